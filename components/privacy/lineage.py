"""Which trainings of a metadata store used which data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from tfx_trust.components.mlmd import COMPLETE, INPUTS, OUTPUTS, Artifact, Execution, Store, store_of
from tfx_trust.components.privacy.spending import SPENT, Earlier, Snapshot, Unfinished, Unprotected
from tfx_trust.components.provenance.lineage import Lineage, upstream

_FAILED, _RUNNING = "FAILED", "RUNNING"
_INFERRED, _TRAINER = "SchemaGen", "PrivateTrainer"
_EXAMPLES, _MODEL, _PUSHED, _REPORT = "Examples", "Model", "PushedModel", "TrustPrivacyReport"


def snapshot_of(
    store: Any,
    *,
    examples: Sequence[int],
    run: str,
    execution: int | None,
    transform_graph: int | None = None,
    schema: int | None = None,
    refused: Callable[[int], bool] = lambda execution: False,
) -> Snapshot:
    """What a metadata store knows of trainings, seen from one that is about to begin.

    Parameters
    ----------
    store
        The ``MetadataStore``.
    examples
        Ids of the Examples artifacts that it reads.
    run
        Id of its pipeline run.
    execution
        Its own id; it is left out of what has not ended.
    transform_graph, schema
        Ids of the artifacts that it uses.
    refused
        Tells of the id of a failed execution whether it stopped before training.
    """
    graph = _Graph(store_of(store), [*examples, *([] if schema is None else [schema])])
    places, spans = graph.origin(examples)
    return Snapshot(
        run=run,
        places=places,
        spans=spans,
        transform_graph=transform_graph,
        inferred_schema=schema is not None and graph.inferred(schema),
        earlier=[
            _earlier(graph, report, maker)
            for report in graph.reports
            if (maker := graph.lineage.maker(report.id)) is not None
        ],
        unfinished=[
            Unfinished(
                execution=node.id,
                run=graph.run_of(node),
                state="failed" if node.state == _FAILED else "running",
                name=_source_name(node),
                places=graph.origin(graph.examples_of(node))[0],
            )
            for node in graph.trainings
            if node.state in (_FAILED, _RUNNING)
            and node.id != execution
            and not (node.state == _FAILED and refused(node.id))
        ],
        unprotected=[
            Unprotected(artifact=model.id, component=maker.component, places=graph.origin(read)[0])
            for model in graph.models
            if (maker := graph.lineage.maker(model.id)) is not None
            and maker.type not in graph.kinds
            and (read := graph.examples_of(maker))
        ],
    )


def _earlier(graph: _Graph, report: Artifact, maker: Execution) -> Earlier:
    places, spans = graph.origin(graph.examples_of(maker))
    transform = [
        event.artifact for event in graph.lineage.inputs_of(maker.id) if event.key == "transform_graph"
    ]
    noted = _text(report, SPENT)
    return Earlier(
        artifact=report.id,
        created=_iso(report.created),
        run=graph.run_of(maker),
        name=_source_name(maker),
        places=places,
        spans=spans,
        transform_graph=transform[0] if transform else None,
        spent=noted,
        pushed=_lacks_guarantee(noted) and graph.is_pushed(graph.models_of(maker)),
    )


def _lacks_guarantee(noted: str | None) -> bool:
    """Whether it matters if the model was pushed; what has a guarantee counts in any case."""
    try:
        return noted is None or json.loads(noted)["epsilon"] is None
    except (ValueError, KeyError, TypeError):
        return True


def _source_name(execution: Execution) -> str | None:
    """What the settings of a training call the source of its data."""
    try:
        budget = json.loads(_text(execution, "privacy") or "")["budget"] or {}
        name = budget.get("source")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return name if isinstance(name, str) else None


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, timezone.utc).isoformat()


def _text(node: Artifact | Execution, name: str) -> str | None:
    value = node.properties.get(name)
    return value if isinstance(value, str) else None


class _Graph:
    """The trainings of a metadata store, and what they came from."""

    def __init__(self, store: Store, starts: Iterable[int]) -> None:
        self.store = store
        self.reports = store.artifacts_of_type(_REPORT)
        self.models = store.artifacts_of_type(_MODEL)
        self.kinds = self._kinds()
        self.trainings = [item for kind in sorted(self.kinds) for item in store.executions_of_type(kind)]
        self._read: dict[int, list[int]] = {item.id: [] for item in self.trainings}
        for event in store.events_of_executions(self._read):
            if event.kind in INPUTS:
                self._read[event.execution].append(event.artifact)
        found = [item.id for item in (*self.reports, *self.models)]
        read = [number for numbers in self._read.values() for number in numbers]
        self.lineage: Lineage = upstream(store, [*starts, *found, *read])

    def _kinds(self) -> set[str]:
        """Types of the executions that report what they spend; PrivateTrainer's, if none did yet."""
        events = self.store.events_of_artifacts(item.id for item in self.reports)
        makers = self.store.executions(event.execution for event in events if event.kind in OUTPUTS)
        named = {name for name in self.store.execution_types() if name.rpartition(".")[2] == _TRAINER}
        return named | {item.type for item in makers.values()}

    def examples_of(self, execution: Execution) -> list[int]:
        """The examples that an execution took, one that did not complete included."""
        read = self._read.get(execution.id)
        if read is None:
            read = [event.artifact for event in self.lineage.inputs_of(execution.id)]
        return [number for number in read if self.lineage.artifacts[number].type == _EXAMPLES]

    def models_of(self, execution: Execution) -> list[int]:
        """The models that an execution made."""
        made = [event.artifact for event in self.lineage.outputs_of(execution.id)]
        return [number for number in made if self.lineage.artifacts[number].type == _MODEL]

    def run_of(self, execution: Execution) -> str:
        """Id of the pipeline run of an execution."""
        return self.store.runs([execution.id]).get(execution.id, "")

    def origin(self, artifacts: Iterable[int]) -> tuple[list[str], list[int]]:
        """Places and spans of the examples that some examples were made of."""
        roots: set[int] = set()
        seen: set[int] = set()
        frontier = set(artifacts)
        while frontier:
            seen |= frontier
            above: set[int] = set()
            for number in frontier:
                maker = self.lineage.maker(number)
                made = self.examples_of(maker) if maker else []
                above |= set(made)
                if not made:
                    roots.add(number)
            frontier = above - seen
        places = {self._place(number) for number in roots}
        spans = [_span(self.lineage.artifacts[number]) for number in sorted(roots)]
        # One without a number may hold anybody's examples.
        numbered = sorted({span for span in spans if span is not None}) if None not in spans else []
        return sorted(places), numbered

    def _place(self, number: int) -> str:
        """Where examples came from: the folder or query of an ExampleGen, or they themselves.

        Of an ExampleGen's parameters no other is looked at: a connection may hold a password.
        """
        maker = self.lineage.maker(number)
        if maker is not None:
            base = _text(maker, "input_base")
            if base:
                return base.rstrip("/") or "/"
            query = _query(_text(maker, "input_config") or "")
            if query:
                return query
        return self.lineage.artifacts[number].uri

    def inferred(self, schema: int) -> bool:
        """Whether a schema was inferred from data."""
        maker = self.lineage.maker(schema)
        return maker is not None and maker.component == _INFERRED

    def is_pushed(self, models: Iterable[int]) -> bool:
        """Whether a model, or one that was made of it, was pushed.

        Only from model to model: one that was the baseline of another's evaluation was not pushed with it.
        """
        seen: set[int] = set()
        frontier = set(models)
        while frontier:
            seen |= frontier
            readers = [
                event.execution for event in self.store.events_of_artifacts(frontier) if event.kind in INPUTS
            ]
            done = [item.id for item in self.store.executions(readers).values() if item.state == COMPLETE]
            events = self.store.events_of_executions(done)
            made = self.store.artifacts(event.artifact for event in events if event.kind in OUTPUTS)
            if any(item.type == _PUSHED and item.properties.get("pushed") for item in made.values()):
                return True
            frontier = {number for number, item in made.items() if item.type == _MODEL} - seen
        return False


def _span(examples: Artifact) -> int | None:
    """Number of a span; none where there is none, and for 0, which TFX also calls data without numbers."""
    text = str(examples.properties.get("span", ""))
    return int(text) or None if re.fullmatch("-?[0-9]+", text) else None


def _query(config: str) -> str:
    """The queries of an ExampleGen, with a sign for every number: those of a span are put in by TFX."""
    try:
        splits = json.loads(config or "{}").get("splits", [])
        patterns = [str(item.get("pattern", "")) for item in splits]
    except (ValueError, AttributeError):
        return ""
    return re.sub(r"\d+", "#", "; ".join(filter(None, patterns)))
