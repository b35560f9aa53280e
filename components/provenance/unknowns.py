"""What a record cannot tell, and how grave that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tfx_trust.components.mlmd import Store
from tfx_trust.components.provenance.lineage import Lineage
from tfx_trust.components.provenance.masking import mask_text
from tfx_trust.components.provenance.record import SourceEntry, Training, Unknown, Value

GRAVE = frozenset(
    {
        "artifact_files",
        "code",
        "declaration",
        "deleted",
        "earlier_observation",
        "external",
        "lineage",
        "previous_record",
        "producer",
        "source_files",
        "source_read",
        "training",
        "wheel",
    }
)
"""What the origin of a model cannot be told without; the other unknowns are worth knowing, and no more."""
_GONE = ("DELETED", "MARKED_FOR_DELETION", "ABANDONED")
_STOPPED = {
    "FAILED": "failed",
    "CANCELED": "was cancelled",
    "RUNNING": "has not ended",
    "NEW": "did not begin",
}
_TRACKER = "ProvenanceTracker"
_SCHEMA = "Schema"


def unknowns_of(
    store: Store,
    lineage: Lineage,
    model: int,
    *,
    nodes: Mapping[int, str],
    sources: Sequence[SourceEntry],
    training: Training | None,
    seeds: Mapping[str, Value],
    here: bool,
    running: int | None = None,
) -> list[Unknown]:
    """What cannot be told of a model's lineage, whatever its files are.

    Parameters
    ----------
    store
        The metadata store, for the run that made the model.
    lineage
        Of the model.
    model
        Id of its artifact.
    nodes
        Name of the node by id of execution.
    sources
        Raw inputs.
    training
        What the model learned from.
    seeds
        Seeds among the parameters, by ``component.parameter``.
    here
        Whether the record is made in the pipeline.
    running
        Id of the execution that makes it.
    """
    found = [
        *_unmade(lineage),
        *_imported(lineage, sources),
        *_chosen(store, lineage, model),
        *_unfinished(store, lineage, model, here, running),
    ]
    if training is None:
        found.append(
            Unknown(
                what="training",
                subject=f"artifact:{model}",
                why="nothing in the metadata store tells which examples the model learned from",
            )
        )
    else:
        node = nodes.get(training.execution, "the training")
        if all(value is None for name, value in seeds.items() if name.startswith(f"{node}.")):
            why = f"no seed is among the parameters of {node}: the same weights will not come out again"
            found.append(Unknown(what="seed", subject=f"execution:{training.execution}", why=why))
        if not training.splits:
            why = f"which splits {node} learned from is not among its parameters"
            found.append(Unknown(what="splits", subject=f"execution:{training.execution}", why=why))
    if not here:
        why = "the record was made after the run: with which packages the model was trained is not recorded"
        found.append(Unknown(what="environment", subject="environment", why=why))
    return found


def _unmade(lineage: Lineage) -> Iterator[Unknown]:
    for item in lineage.unmade():
        why = "no execution in the metadata store made it"
        for stopped in lineage.unfinished.get(item.id, [])[:1]:
            ending = _STOPPED.get(stopped.state, "did not complete")
            why = f"the {stopped.component} that it is an output of {ending}"
        yield Unknown(
            what="producer", subject=f"artifact:{item.id}", why=f"{item.type} at {mask_text(item.uri)}: {why}"
        )
    for number, item in sorted(lineage.artifacts.items()):
        if item.state in _GONE:
            why = f"{item.type} at {mask_text(item.uri)} is {item.state} in the metadata store"
            yield Unknown(what="deleted", subject=f"artifact:{number}", why=why)


def _imported(lineage: Lineage, sources: Sequence[SourceEntry]) -> Iterator[Unknown]:
    """Whatever an importer took in; a schema is written by somebody, and its file is what it came from."""
    for source in sources:
        made = [lineage.artifacts[number] for number in source.made if number in lineage.artifacts]
        if source.kind == "import":
            for item in made:
                if item.type != _SCHEMA:
                    why = f"{item.type} was imported from {source.place}; nothing tells what it was made of"
                    yield Unknown(what="external", subject=f"artifact:{item.id}", why=why)


def _chosen(store: Store, lineage: Lineage, model: int) -> Iterator[Unknown]:
    """What a resolver of the model's own run chose, among what the store held at that time."""
    maker = lineage.maker(model)
    resolvers = {event.execution for event in lineage.selected if event.artifact != model}
    runs = store.runs([*resolvers, *([maker.id] if maker else [])])
    own = runs.get(maker.id) if maker else None
    chosen = {
        event.artifact
        for event in lineage.selected
        if event.artifact != model and own is not None and runs.get(event.execution) == own
    }
    for number in sorted(chosen):
        item = lineage.artifacts.get(number)
        if item is not None:
            why = f"{item.type} was chosen by a resolver; what else there was to choose from is not recorded"
            yield Unknown(what="resolver", subject=f"artifact:{number}", why=why)


def _unfinished(
    store: Store, lineage: Lineage, model: int, here: bool, running: int | None
) -> Iterator[Unknown]:
    """Nodes of the model's own run that did not complete: what they would have told is missing."""
    maker = lineage.maker(model)
    run = store.runs([maker.id]).get(maker.id) if maker else None
    if run is None:
        return
    stopped = [
        item
        for item in store.executions_of_run(run)
        if item.state in _STOPPED
        and item.id != running
        and not (here and (item.state != "FAILED" or item.component == _TRACKER))
    ]
    names = store.nodes([item.id for item in stopped])
    for item in stopped:
        node = names.get(item.id, item.component)
        why = f"{node} {_STOPPED[item.state]} in the run that made the model, so what it tells is missing"
        yield Unknown(what="execution", subject=f"execution:{item.id}", why=why)
