"""Graph side of FairnessEvaluator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from tfx_trust.components.artifacts import FairnessReport
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.executor import Executor


class FairnessEvaluatorSpec(ComponentSpec):
    """Specification of FairnessEvaluator."""

    PARAMETERS = {"settings": ExecutionParameter(type=str)}
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "schema": ChannelParameter(type=standard_artifacts.Schema, optional=True),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
    }
    OUTPUTS = {
        "fairness_report": ChannelParameter(type=FairnessReport),
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
    }


class FairnessEvaluator(base_beam_component.BaseBeamComponent):
    """Compares a model's errors between groups of examples: intervals, tests, a judgement of each gap.

    Rates, AUC and calibration of every slice, each with its interval and count; the gap to the examples
    outside it, or to a named reference, judged by a tolerance after correction for many comparisons; beside
    the baseline, on the same examples; and the worst slices that nobody named. In one pass.

    Parameters
    ----------
    examples
        Examples channel with the split that the settings name (``eval`` by default), as they are before
        Transform: slices are made of raw features.
    model
        Model channel: a SavedModel with a signature that takes serialized tf.Examples.
    settings
        A :class:`FairnessSettings`, or its fields as a mapping; ``label`` and ``slices`` are needed.
    baseline_model
        Model channel of the one in use: no slice may fare worse than with it.
    schema
        Schema channel: the types of the features. Without it they are inferred from the first examples of
        each file.
    statistics
        ExampleStatistics channel of the same examples: the quantiles of the train split are the edges of
        numeric features' buckets, and the number of examples decides how they are read.

    Outputs: ``fairness_report``, and ``evaluation``, the same metrics as TensorFlow Model Analysis writes
    them.

    Raises
    ------
    UsageError
        If a setting is unknown or not allowed.

    Examples
    --------
    >>> fairness = FairnessEvaluator(                                        # doctest: +SKIP
    ...     examples=example_gen.outputs["examples"],
    ...     model=trainer.outputs["model"],
    ...     statistics=statistics_gen.outputs["statistics"],
    ...     settings=FairnessSettings(label="defaulted", slices=[["sex"], ["age"]], cross=2),
    ... )
    """

    SPEC_CLASS = FairnessEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: channel.BaseChannel,
        model: channel.BaseChannel,
        settings: FairnessSettings | Mapping[str, Any],
        baseline_model: channel.BaseChannel | None = None,
        schema: channel.BaseChannel | None = None,
        statistics: channel.BaseChannel | None = None,
    ) -> None:
        optional = {"baseline_model": baseline_model, "schema": schema, "statistics": statistics}
        super().__init__(
            spec=FairnessEvaluatorSpec(
                examples=examples,
                model=model,
                settings=FairnessSettings.of(settings).to_json(),
                fairness_report=channel.Channel(type=FairnessReport),
                evaluation=channel.Channel(type=standard_artifacts.ModelEvaluation),
                **{name: given for name, given in optional.items() if given is not None},
            )
        )
