"""Graph side of ThresholdTuner and Reweigher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from tfx_trust.components.artifacts import MitigationReport
from tfx_trust.components.mitigation.config import ReweighSettings, TunerSettings
from tfx_trust.components.mitigation.reweigh_executor import Executor as ReweighExecutor
from tfx_trust.components.mitigation.thresholds_executor import Executor


class ThresholdTunerSpec(ComponentSpec):
    """Specification of ThresholdTuner."""

    PARAMETERS = {"settings": ExecutionParameter(type=str)}
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        # Named otherwise than the argument: a specification must not use a name for input and output both.
        "common_model": ChannelParameter(type=standard_artifacts.Model),
        "schema": ChannelParameter(type=standard_artifacts.Schema, optional=True),
    }
    OUTPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "mitigation_report": ChannelParameter(type=MitigationReport),
    }


class ThresholdTuner(base_component.BaseComponent):
    """Chooses a decision threshold for each group, and puts them into the served model.

    It slots between Trainer and all that reads the model. The new model answers as the old one by every
    signature that there was, and by one more says what is decided. Thresholds are deterministic, and chosen
    on the train split; what was written is loaded again and asked.

    Parameters
    ----------
    examples
        Examples channel, as they are before Transform.
    model
        Model channel: a SavedModel with a signature that takes serialized tf.Examples.
    settings
        A :class:`TunerSettings`, or its fields as a mapping; ``label`` and ``groups`` are needed.
    schema
        Schema channel: the types of the features. Without it they are inferred from the first examples of
        each file.

    Outputs: ``model`` and ``mitigation_report``.

    Raises
    ------
    UsageError
        If a setting is unknown or not allowed.

    Examples
    --------
    >>> tuner = ThresholdTuner(                                              # doctest: +SKIP
    ...     examples=example_gen.outputs["examples"],
    ...     model=trainer.outputs["model"],
    ...     settings=TunerSettings(label="defaulted", groups=["sex"], max_gap=0.03),
    ... )
    >>> pusher = Pusher(model=tuner.outputs["model"], ...)                   # doctest: +SKIP
    """

    SPEC_CLASS = ThresholdTunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        examples: channel.BaseChannel,
        model: channel.BaseChannel,
        settings: TunerSettings | Mapping[str, Any],
        schema: channel.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            spec=ThresholdTunerSpec(
                examples=examples,
                common_model=model,
                settings=TunerSettings.of(settings).to_json(),
                model=channel.Channel(type=standard_artifacts.Model),
                mitigation_report=channel.Channel(type=MitigationReport),
                **({} if schema is None else {"schema": schema}),
            )
        )


class ReweigherSpec(ComponentSpec):
    """Specification of Reweigher."""

    PARAMETERS = {"settings": ExecutionParameter(type=str)}
    INPUTS = {
        # Named otherwise than the argument: a specification must not use a name for input and output both.
        "unweighted_examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema, optional=True),
    }
    OUTPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "mitigation_report": ChannelParameter(type=MitigationReport),
    }


class Reweigher(base_component.BaseComponent):
    """Writes the examples anew with a weight by which group and label are independent in train.

    It slots between ExampleGen and all that reads examples. Nothing else of a record changes; splits, file
    format and properties are those of the input. The model has to learn by the weight: the README shows how.

    Parameters
    ----------
    examples
        Examples channel.
    settings
        A :class:`ReweighSettings`, or its fields as a mapping; ``label`` and ``groups`` are needed.
    schema
        Schema channel: the types of the features. Without it they are inferred from the first examples of
        each file.

    Outputs: ``examples`` and ``mitigation_report``.

    Raises
    ------
    UsageError
        If a setting is unknown or not allowed.

    Examples
    --------
    >>> reweigher = Reweigher(                                               # doctest: +SKIP
    ...     examples=example_gen.outputs["examples"],
    ...     settings=ReweighSettings(label="defaulted", groups=["sex"]),
    ... )
    >>> transform = Transform(examples=reweigher.outputs["examples"], ...)   # doctest: +SKIP
    """

    SPEC_CLASS = ReweigherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ReweighExecutor)

    def __init__(
        self,
        *,
        examples: channel.BaseChannel,
        settings: ReweighSettings | Mapping[str, Any],
        schema: channel.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            spec=ReweigherSpec(
                unweighted_examples=examples,
                settings=ReweighSettings.of(settings).to_json(),
                examples=channel.Channel(type=standard_artifacts.Examples),
                mitigation_report=channel.Channel(type=MitigationReport),
                **({} if schema is None else {"schema": schema}),
            )
        )
