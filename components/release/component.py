"""ReleaseGate: the one component whose blessing releases a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from tfx_trust.components.artifacts import ReleaseReport
from tfx_trust.components.errors import UsageError
from tfx_trust.components.release.config import ReleasePolicy
from tfx_trust.components.release.executor import REPORT_PREFIX, Executor


class ReleaseGateSpec(ComponentSpec):
    """Specification of ReleaseGate; each connected report adds an input ``report_<name>``."""

    PARAMETERS = {"policy": ExecutionParameter(type=str)}
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "evaluator_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation, optional=True),
        "baseline_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies, optional=True),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
    }
    OUTPUTS = {
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "release_report": ChannelParameter(type=ReleaseReport),
    }


class ReleaseGate(base_component.BaseComponent):
    """Weighs the Evaluator's blessing and every gate's report, and alone blesses what is pushed.

    TFX's Pusher takes one ModelBlessing, and its resolver takes a model that *any* blessing
    approves. So give Pusher this component's ``blessing``, and resolve the baseline by this
    component's id (see :class:`~tfx_trust.components.LatestReleasedModelStrategy`).

    Parameters
    ----------
    model
        Model channel: the candidate.
    evaluator_blessing
        ModelBlessing channel of the Evaluator. Without it the model is blocked, unless the policy
        says otherwise.
    reports
        Report channels of the gates by name: any artifact with a ``report.json`` of this library's
        shape. Names consist of letters, digits and underscores.
    evaluation
        ModelEvaluation channel of the Evaluator; its metrics go on the page, and the thresholds
        that were missed into the reason.
    baseline_model
        Model channel of the baseline; recorded in the blessing.
    anomalies
        ExampleAnomalies channel of ExampleValidator; anomalies block, unless the policy says otherwise.
    statistics
        ExampleStatistics channel; the example counts go on the page.
    policy
        A :class:`ReleasePolicy`, or its fields as a mapping; strict by default.

    Outputs: ``blessing`` (ModelBlessing, always BLESSED or NOT_BLESSED) and ``release_report``.

    Raises
    ------
    UsageError
        If the policy has an unknown or forbidden setting, or a report's name is no identifier.

    Examples
    --------
    >>> gate = ReleaseGate(                                                  # doctest: +SKIP
    ...     model=trainer.outputs["model"],
    ...     evaluator_blessing=evaluator.outputs["blessing"],
    ...     reports={"leakage": leakage.outputs["leakage_report"]},
    ...     policy=ReleasePolicy(on_warn="block"),
    ... )
    >>> pusher = Pusher(model=..., model_blessing=gate.outputs["blessing"])  # doctest: +SKIP
    """

    SPEC_CLASS = ReleaseGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: channel.BaseChannel,
        evaluator_blessing: channel.BaseChannel | None = None,
        reports: Mapping[str, channel.BaseChannel] | None = None,
        evaluation: channel.BaseChannel | None = None,
        baseline_model: channel.BaseChannel | None = None,
        anomalies: channel.BaseChannel | None = None,
        statistics: channel.BaseChannel | None = None,
        policy: ReleasePolicy | Mapping[str, Any] | None = None,
    ) -> None:
        reports = dict(reports or {})
        inputs = {
            "evaluator_blessing": evaluator_blessing,
            "evaluation": evaluation,
            "baseline_model": baseline_model,
            "anomalies": anomalies,
            "statistics": statistics,
            **{REPORT_PREFIX + name: report for name, report in reports.items()},
        }
        spec = _spec_with(reports)(
            model=model,
            policy=ReleasePolicy.of(policy).to_json(),
            blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
            release_report=channel.Channel(type=ReleaseReport),
            **{name: given for name, given in inputs.items() if given is not None},
        )
        super().__init__(spec=spec)


def _spec_with(reports: Mapping[str, channel.BaseChannel]) -> type[ReleaseGateSpec]:
    """A specification with one more input a report: TFX wants each input's type beforehand."""
    for name in reports:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise UsageError(
                f"report name {name!r} is not allowed: a letter, then letters, digits and underscores"
            )
    inputs = {
        REPORT_PREFIX + name: ChannelParameter(type=report.type, optional=True)
        for name, report in reports.items()
    }
    return type("ReleaseGateSpec", (ReleaseGateSpec,), {"INPUTS": {**ReleaseGateSpec.INPUTS, **inputs}})
