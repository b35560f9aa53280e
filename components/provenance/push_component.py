"""Graph side of PushValidator."""

from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from tfx_trust.components.artifacts import ProvenanceRecord, PushReport
from tfx_trust.components.provenance.push_executor import Executor


class PushValidatorSpec(ComponentSpec):
    """Specification of PushValidator."""

    PARAMETERS = {"carry": ExecutionParameter(type=int)}
    INPUTS = {
        "pushed_model": ChannelParameter(type=standard_artifacts.PushedModel),
        "provenance_record": ChannelParameter(type=ProvenanceRecord),
    }
    OUTPUTS = {"push_report": ChannelParameter(type=PushReport)}


class PushValidator(base_component.BaseComponent):
    """Checks that what Pusher put into place is the model that was recorded, to the byte.

    Whatever was changed, is missing, was added or has another name in the copy fails. A copy that is right
    gets the record and its signatures into ``assets.extra/provenance``, where servers leave them alone: so
    whoever has the copy alone can check it, and see where it came from.

    Parameters
    ----------
    pushed_model
        PushedModel channel of Pusher.
    provenance_record
        ProvenanceRecord channel of ProvenanceTracker, of the same model.
    carry
        Whether to put the record and its signatures into the copy.

    Outputs: ``push_report``.

    Examples
    --------
    >>> validator = PushValidator(                                           # doctest: +SKIP
    ...     pushed_model=pusher.outputs["pushed_model"],
    ...     provenance_record=tracker.outputs["provenance_record"],
    ... )
    """

    SPEC_CLASS = PushValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        pushed_model: channel.BaseChannel,
        provenance_record: channel.BaseChannel,
        carry: bool = True,
    ) -> None:
        super().__init__(
            spec=PushValidatorSpec(
                pushed_model=pushed_model,
                provenance_record=provenance_record,
                carry=int(carry),
                push_report=channel.Channel(type=PushReport),
            )
        )
