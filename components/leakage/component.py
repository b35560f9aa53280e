"""Graph side of LeakageValidator and LeakageFilter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from tfx_trust.components.artifacts import LeakageReport
from tfx_trust.components.leakage.config import FilterSettings, LeakageSettings
from tfx_trust.components.leakage.executor import Executor
from tfx_trust.components.leakage.filter_executor import Executor as FilterExecutor


class LeakageValidatorSpec(ComponentSpec):
    """Specification of LeakageValidator."""

    PARAMETERS = {"settings": ExecutionParameter(type=str)}
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema, optional=True),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
        "model": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {"leakage_report": ChannelParameter(type=LeakageReport)}


class LeakageValidator(base_beam_component.BaseBeamComponent):
    """Finds what a model could not know in use but was trained on, row by row, in one pass.

    Duplicates across splits, by several keys and against chance; near duplicates; repeated rows and
    conflicting labels; entities on both sides; training examples from after the evaluation; features,
    and pairs of features, that give the label away; identifiers; preprocessing that saw the evaluation
    split.

    Parameters
    ----------
    examples
        Examples channel with the splits that the settings name (``train`` and ``eval`` by default).
    settings
        A :class:`LeakageSettings`, or its fields as a mapping; ``label`` is needed.
    schema
        Schema channel: the types of the features. Without it they are inferred from the first examples of
        each file.
    transform_graph
        TransformGraph channel: which splits its analyzers saw, and which raw features the model needs, are
        checked.
    statistics
        ExampleStatistics channel of the same examples: their number decides how they are read.
    model
        Model channel: tells how much of its score was leakage.

    Outputs: ``leakage_report``.

    Raises
    ------
    UsageError
        If a setting is unknown or not allowed.

    Examples
    --------
    >>> leakage = LeakageValidator(                                          # doctest: +SKIP
    ...     examples=example_gen.outputs["examples"],
    ...     schema=schema_gen.outputs["schema"],
    ...     settings=LeakageSettings(label="defaulted", exclude=["weight"], groups=["customer"]),
    ... )
    """

    SPEC_CLASS = LeakageValidatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: channel.BaseChannel,
        settings: LeakageSettings | Mapping[str, Any],
        schema: channel.BaseChannel | None = None,
        transform_graph: channel.BaseChannel | None = None,
        statistics: channel.BaseChannel | None = None,
        model: channel.BaseChannel | None = None,
    ) -> None:
        chosen = LeakageSettings.of(settings)
        if chosen.analyzed_splits is None and transform_graph is not None:
            chosen = chosen.model_copy(update={"analyzed_splits": _analyzed(transform_graph)})
        optional = {
            "schema": schema,
            "transform_graph": transform_graph,
            "statistics": statistics,
            "model": model,
        }
        super().__init__(
            spec=LeakageValidatorSpec(
                examples=examples,
                settings=chosen.to_json(),
                leakage_report=channel.Channel(type=LeakageReport),
                **{name: given for name, given in optional.items() if given is not None},
            )
        )


def _analyzed(transform_graph: channel.BaseChannel) -> list[str] | None:
    """The splits that Transform's analyzers see, from the node of this pipeline that makes the graph."""
    producer = getattr(transform_graph, "producer_component", None)
    properties = getattr(producer, "exec_properties", None)
    if not isinstance(properties, dict) or "splits_config" not in properties:
        return None
    written = properties["splits_config"]
    if written is None:
        # Transform's own default.
        return ["train"]
    return list(json.loads(written).get("analyze", [])) if isinstance(written, str) else None


class LeakageFilterSpec(ComponentSpec):
    """Specification of LeakageFilter."""

    PARAMETERS = {"settings": ExecutionParameter(type=str)}
    INPUTS = {
        # Named otherwise than the argument: a specification must not use a name for input and output both.
        "unfiltered_examples": ChannelParameter(type=standard_artifacts.Examples),
        "leakage_report": ChannelParameter(type=LeakageReport),
        "schema": ChannelParameter(type=standard_artifacts.Schema, optional=True),
    }
    OUTPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}


class LeakageFilter(base_beam_component.BaseBeamComponent):
    """Writes the examples anew, without the rows and entities that stand on both sides.

    It slots between ExampleGen and all that reads examples. Records that stay are byte-identical; splits,
    file format and properties are those of the input. What was written is read again and must be free of
    what was to be taken out.

    Parameters
    ----------
    examples
        Examples channel.
    leakage_report
        The report of a LeakageValidator about the same examples: label, keys and groups are its own.
    schema
        Schema channel, as LeakageValidator takes it.
    settings
        A :class:`FilterSettings`, or its fields as a mapping.

    Outputs: ``examples``, with the custom properties ``<split>_examples_before`` and
    ``<split>_examples_after``.

    Raises
    ------
    UsageError
        If a setting is unknown or not allowed.

    Examples
    --------
    >>> cleaned = LeakageFilter(                                             # doctest: +SKIP
    ...     examples=example_gen.outputs["examples"],
    ...     leakage_report=leakage.outputs["leakage_report"],
    ... )
    >>> transform = Transform(examples=cleaned.outputs["examples"], ...)     # doctest: +SKIP
    """

    SPEC_CLASS = LeakageFilterSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(FilterExecutor)

    def __init__(
        self,
        *,
        examples: channel.BaseChannel,
        leakage_report: channel.BaseChannel,
        schema: channel.BaseChannel | None = None,
        settings: FilterSettings | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            spec=LeakageFilterSpec(
                unfiltered_examples=examples,
                leakage_report=leakage_report,
                settings=FilterSettings.of(settings).to_json(),
                examples=channel.Channel(type=standard_artifacts.Examples),
                **({} if schema is None else {"schema": schema}),
            )
        )
