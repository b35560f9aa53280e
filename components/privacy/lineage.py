"""Which trainings of a metadata store used which data: an own walk, that reads and never writes.

``get_lineage_subgraph`` and filter queries are not used: the former leaves artifacts out without a word, the
latter are gone from newer versions. Executions that were served from the cache are linked with what they did
not make; so only those that completed count as makers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ml_metadata import errors
from ml_metadata.proto import metadata_store_pb2

from tfx_trust.components.privacy.spending import SPENT, Earlier, Snapshot, Unfinished, Unprotected

_IN = (metadata_store_pb2.Event.INPUT, metadata_store_pb2.Event.DECLARED_INPUT)
_OUT = (metadata_store_pb2.Event.OUTPUT, metadata_store_pb2.Event.DECLARED_OUTPUT)
_COMPLETE = metadata_store_pb2.Execution.COMPLETE
_FAILED = metadata_store_pb2.Execution.FAILED
_RUNNING = metadata_store_pb2.Execution.RUNNING
_RUN_CONTEXT = "pipeline_run"
_INFERRED = "SchemaGen"
# Types that are walked through.
_EXAMPLES, _MODEL, _PUSHED, _SCHEMA, _REPORT = (
    "Examples",
    "Model",
    "PushedModel",
    "Schema",
    "TrustPrivacyReport",
)


def snapshot_of(
    store: Any,
    *,
    examples: Sequence[int],
    run: str,
    execution: int | None,
    transform_graph: int | None = None,
    schema: int | None = None,
    refused: Any = lambda execution: False,
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
    graph = _Graph(store)
    trainings = graph.makers(graph.artifacts(_REPORT))
    by_kind = graph.executions_like(trainings.values())
    makers = graph.makers(graph.artifacts(_MODEL))
    others = {
        number: maker for number, maker in makers.items() if maker.type_id not in {e.type_id for e in by_kind}
    }
    graph.read_inputs([*by_kind, *others.values()])
    graph.walk_up([*examples, *(number for node in by_kind for number in graph.examples_of(node.id))])
    graph.walk_up([number for node in others.values() for number in graph.examples_of(node.id)])
    places, spans = graph.origin(examples)
    return Snapshot(
        run=run,
        places=places,
        spans=spans,
        transform_graph=transform_graph,
        inferred_schema=schema is not None and graph.inferred(schema),
        earlier=[_earlier(graph, graph.known[number], maker) for number, maker in sorted(trainings.items())],
        unfinished=[
            Unfinished(
                execution=node.id,
                run=graph.run_of(node.id),
                state="failed" if node.last_known_state == _FAILED else "running",
                name=_source_name(node),
                places=graph.origin(graph.examples_of(node.id))[0],
            )
            for node in by_kind
            if node.last_known_state in (_FAILED, _RUNNING)
            and node.id != execution
            and not (node.last_known_state == _FAILED and refused(node.id))
        ],
        unprotected=[
            Unprotected(
                artifact=number,
                component=graph.type_name(maker).rpartition(".")[2],
                places=graph.origin(graph.examples_of(maker.id))[0],
            )
            for number, maker in sorted(others.items())
            if graph.examples_of(maker.id)
        ],
    )


def _earlier(graph: _Graph, report: Any, maker: Any) -> Earlier:
    places, spans = graph.origin(graph.examples_of(maker.id))
    models = [number for number in graph.outputs_of(maker.id) if graph.kind(number) == _MODEL]
    transform = [number for key, number in graph.inputs[maker.id] if key == "transform_graph"]
    noted = report.custom_properties[SPENT].string_value if SPENT in report.custom_properties else None
    return Earlier(
        artifact=report.id,
        created=_iso(report.create_time_since_epoch),
        run=graph.run_of(maker.id),
        name=_source_name(maker),
        places=places,
        spans=spans,
        transform_graph=transform[0] if transform else None,
        spent=noted,
        pushed=_lacks_guarantee(noted) and graph.is_pushed(models),
    )


def _lacks_guarantee(noted: str | None) -> bool:
    """Whether it matters if the model was pushed; what has a guarantee counts in any case."""
    try:
        return noted is None or json.loads(noted)["epsilon"] is None
    except (ValueError, KeyError, TypeError):
        return True


def _source_name(execution: Any) -> str | None:
    """What the settings of a training call the source of its data."""
    try:
        budget = json.loads(execution.custom_properties["privacy"].string_value)["budget"] or {}
        name = budget.get("source")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return name if isinstance(name, str) else None


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, timezone.utc).isoformat()


@dataclass
class _Graph:
    """The part of a metadata store that was read so far."""

    store: Any
    known: dict[int, Any] = field(default_factory=dict)
    inputs: dict[int, list[tuple[str, int]]] = field(default_factory=dict)
    maker: dict[int, Any] = field(default_factory=dict)
    _types: dict[int, str] = field(default_factory=dict)

    def artifacts(self, kind: str) -> list[int]:
        """Ids of all artifacts of a type."""
        try:
            found = self.store.get_artifacts_by_type(kind)
        except errors.NotFoundError:
            return []
        self.known |= {item.id: item for item in found}
        return [item.id for item in found]

    def makers(self, artifacts: Sequence[int]) -> dict[int, Any]:
        """The completed execution that made each artifact, where there is one."""
        fresh = [number for number in artifacts if number not in self.maker]
        if fresh:
            events = [item for item in self.store.get_events_by_artifact_ids(fresh) if item.type in _OUT]
            executions = {
                item.id: item
                for item in self._executions({event.execution_id for event in events})
                if item.last_known_state == _COMPLETE
            }
            self.maker |= {
                event.artifact_id: executions[event.execution_id]
                for event in events
                if event.execution_id in executions
            }
        return {number: self.maker[number] for number in artifacts if number in self.maker}

    def executions_like(self, examples: Iterable[Any]) -> list[Any]:
        """All executions of the types of some; and of PrivateTrainer, if none of it completed yet."""
        kinds = {item.type_id for item in examples}
        kinds |= {
            item.id
            for item in self.store.get_execution_types()
            if item.name.rpartition(".")[2] == "PrivateTrainer"
        }
        return [
            item
            for kind in self.store.get_execution_types()
            if kind.id in kinds
            for item in self.store.get_executions_by_type(kind.name)
        ]

    def _executions(self, numbers: Iterable[int]) -> list[Any]:
        wanted = sorted(numbers)
        return list(self.store.get_executions_by_id(wanted)) if wanted else []

    def read_inputs(self, executions: Iterable[Any]) -> None:
        """Reads what some executions took, by name of the input."""
        fresh = sorted({item.id for item in executions} - set(self.inputs))
        if not fresh:
            return
        self.inputs |= {number: [] for number in fresh}
        for event in self.store.get_events_by_execution_ids(fresh):
            if event.type in _IN:
                key = event.path.steps[0].key if event.path.steps else ""
                self.inputs[event.execution_id].append((key, event.artifact_id))
        self._read({number for execution in fresh for _, number in self.inputs[execution]})

    def _read(self, artifacts: Iterable[int]) -> None:
        fresh = sorted(set(artifacts) - set(self.known))
        if fresh:
            self.known |= {item.id: item for item in self.store.get_artifacts_by_id(fresh)}

    def examples_of(self, execution: int) -> list[int]:
        """The examples that an execution took."""
        return [number for _, number in self.inputs[execution] if self.kind(number) == _EXAMPLES]

    def outputs_of(self, execution: int) -> list[int]:
        """What an execution made."""
        events = self.store.get_events_by_execution_ids([execution])
        found = [event.artifact_id for event in events if event.type in _OUT]
        self._read(found)
        return found

    def walk_up(self, artifacts: Iterable[int]) -> None:
        """Reads what some examples were made of, up to those that were made of none."""
        self._read(artifacts)
        seen: set[int] = set()
        frontier = set(artifacts)
        while frontier:
            seen |= frontier
            makers = self.makers(sorted(frontier))
            self.read_inputs(makers.values())
            frontier = {n for node in makers.values() for n in self.examples_of(node.id)} - seen

    def origin(self, artifacts: Iterable[int]) -> tuple[list[str], list[int]]:
        """Places and spans of the examples that some examples were made of."""
        roots: set[int] = set()
        seen: set[int] = set()
        frontier = set(artifacts)
        while frontier:
            seen |= frontier
            above: set[int] = set()
            for number in frontier:
                made = self.examples_of(self.maker[number].id) if number in self.maker else []
                above |= set(made)
                if not made:
                    roots.add(number)
            frontier = above - seen
        places = {self._place(number) for number in roots}
        spans = [_span(self.known[number]) for number in sorted(roots)]
        # One without a number may hold anybody's examples.
        numbered = sorted({span for span in spans if span is not None}) if None not in spans else []
        return sorted(places), numbered

    def _place(self, number: int) -> str:
        """Where examples came from: the folder or query of an ExampleGen, or they themselves.

        Of an ExampleGen's parameters no other is looked at: a connection may hold a password.
        """
        if number in self.maker:
            properties = self.maker[number].custom_properties
            if properties["input_base"].string_value if "input_base" in properties else "":
                return str(properties["input_base"].string_value).rstrip("/") or "/"
            query = _query(properties["input_config"].string_value if "input_config" in properties else "")
            if query:
                return query
        return str(self.known[number].uri)

    def inferred(self, schema: int) -> bool:
        """Whether a schema was inferred from data."""
        maker = self.makers([schema]).get(schema)
        return maker is not None and self.type_name(maker).rpartition(".")[2] == _INFERRED

    def is_pushed(self, models: Iterable[int]) -> bool:
        """Whether a model, or one that was made of it, was pushed."""
        seen: set[int] = set()
        frontier = set(models)
        while frontier:
            seen |= frontier
            events = self.store.get_events_by_artifact_ids(sorted(frontier))
            readers = {event.execution_id for event in events if event.type in _IN}
            done = [item.id for item in self._executions(readers) if item.last_known_state == _COMPLETE]
            made = {number for execution in done for number in self.outputs_of(execution)}
            if any(
                self.kind(number) == _PUSHED and self.known[number].custom_properties["pushed"].int_value
                for number in made
            ):
                return True
            frontier = {number for number in made if self.kind(number) == _MODEL} - seen
        return False

    def run_of(self, execution: int) -> str:
        """Id of the pipeline run of an execution."""
        try:
            contexts = self.store.get_contexts_by_execution(execution)
        except errors.NotFoundError:
            return ""
        return next((str(context.name) for context in contexts if context.type == _RUN_CONTEXT), "")

    def kind(self, number: int) -> str:
        """Name of the type of an artifact."""
        return self._type(self.known[number].type_id)

    def _type(self, number: int) -> str:
        if number not in self._types:
            (kind,) = self.store.get_artifact_types_by_id([number])
            self._types[number] = kind.name
        return self._types[number]

    def type_name(self, execution: Any) -> str:
        """Name of the type of an execution."""
        (kind,) = self.store.get_execution_types_by_id([execution.type_id])
        return str(kind.name)


def _span(examples: Any) -> int | None:
    """Number of a span; none where there is none, and for 0, which TFX also calls data without numbers."""
    for properties in (examples.custom_properties, examples.properties):
        if "span" in properties:
            value = properties["span"]
            text = value.string_value if value.WhichOneof("value") == "string_value" else str(value.int_value)
            return int(text) or None if text.lstrip("-").isdigit() else None
    return None


def _query(config: str) -> str:
    """The queries of an ExampleGen, with a sign for every number: those of a span are put in by TFX."""
    try:
        splits = json.loads(config or "{}").get("splits", [])
        patterns = [str(item.get("pattern", "")) for item in splits]
    except (ValueError, AttributeError):
        return ""
    return re.sub(r"\d+", "#", "; ".join(filter(None, patterns)))
