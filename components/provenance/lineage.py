"""What a model was made of, and what was made of something: a walk over a metadata store.

Only executions that completed made anything. One that was served from the cache is linked with outputs that
it did not make, and a resolver with artifacts that it only chose: both are told apart, or the lineage of a
model would grow with every run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from tfx_trust.components.errors import InputError
from tfx_trust.components.mlmd import (
    CACHED,
    COMPLETE,
    OUTPUTS,
    SELECTED,
    Artifact,
    Event,
    Execution,
    Prefixes,
    Store,
    rewritten,
)
from tfx_trust.components.provenance.walk import Walk

MODEL, PUSHED_MODEL = "Model", "PushedModel"
_LATEST = "latest"
_ID = r"[0-9]{1,18}"
# How many are named in an error.
_NAMED = 5


@dataclass(frozen=True)
class Lineage:
    """A part of the graph of a metadata store."""

    starts: tuple[int, ...]
    """Ids of the artifacts that the walk began at."""
    artifacts: dict[int, Artifact]
    executions: dict[int, Execution]
    """Those that completed, and the running one that was named."""
    reads: list[Event]
    """What `executions` read, of `artifacts`."""
    makes: list[Event]
    """What `executions` made, of `artifacts`; every artifact has one maker at most."""
    reused: dict[int, list[str]] = field(default_factory=dict)
    """Ids of the runs that were served what an execution made, by its id."""
    selected: list[Event] = field(default_factory=list)
    """Which of `artifacts` a resolver chose; it made none of them."""
    unfinished: dict[int, list[Execution]] = field(default_factory=dict)
    """Executions that did not complete and yet are linked with an artifact as its maker, by its id."""

    def maker(self, artifact: int) -> Execution | None:
        """The execution that made an artifact; none where nothing in the lineage did."""
        number = self._makers.get(artifact)
        return None if number is None else self.executions[number]

    def inputs_of(self, execution: int) -> list[Event]:
        """What an execution read."""
        return self._inputs.get(execution, [])

    def outputs_of(self, execution: int) -> list[Event]:
        """What an execution made."""
        return self._outputs.get(execution, [])

    def of_type(self, name: str) -> list[Artifact]:
        """Artifacts of a type, by id."""
        return [item for _, item in sorted(self.artifacts.items()) if item.type == name]

    def unmade(self) -> list[Artifact]:
        """Artifacts that nothing made, as far as the store knows, by id."""
        return [item for number, item in sorted(self.artifacts.items()) if number not in self._makers]

    def rewritten(self, prefixes: Prefixes) -> Lineage:
        """The lineage with the artifacts where they lie now."""
        moved = {
            number: replace(item, uri=rewritten(item.uri, prefixes))
            for number, item in self.artifacts.items()
        }
        return replace(self, artifacts=moved)

    @cached_property
    def _makers(self) -> dict[int, int]:
        return {event.artifact: event.execution for event in self.makes}

    @cached_property
    def _inputs(self) -> dict[int, list[Event]]:
        return _by_execution(self.reads)

    @cached_property
    def _outputs(self) -> dict[int, list[Event]]:
        return _by_execution(self.makes)


def _by_execution(events: Iterable[Event]) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = {}
    for event in events:
        found.setdefault(event.execution, []).append(event)
    return found


def upstream(store: Store, artifacts: Iterable[int], *, running: int | None = None) -> Lineage:
    """What some artifacts were made of, up to the raw inputs, which TFX keeps no artifacts of.

    Parameters
    ----------
    store
        To be read.
    artifacts
        Ids of the artifacts to begin at.
    running
        Id of the execution that asks, if it is to be in the lineage with what it reads.

    Raises
    ------
    InputError
        If one of the artifacts is not in the store.
    """
    starts = _starts(store, artifacts)
    walk = Walk(store)
    frontier = set(starts)
    if running is not None:
        frontier |= walk.enter(store.executions([running]))
    while frontier:
        walk.add(frontier)
        frontier = walk.enter(walk.makers()) - walk.artifacts
    return _lineage(walk, starts)


def downstream(store: Store, artifacts: Iterable[int]) -> Lineage:
    """What was made of some artifacts: transformed examples, models, their evaluations, pushed copies.

    Raises
    ------
    InputError
        If one of the artifacts is not in the store.
    """
    starts = _starts(store, artifacts)
    walk = Walk(store)
    frontier = set(starts)
    while frontier:
        walk.add(frontier)
        frontier = walk.leave(walk.readers()) - walk.artifacts
    return _lineage(walk, starts)


def _starts(store: Store, artifacts: Iterable[int]) -> tuple[int, ...]:
    starts = tuple(dict.fromkeys(artifacts))
    gone = set(starts) - set(store.artifacts(starts))
    if gone:
        raise InputError(f"{store.place}: there is no artifact {min(gone)} in this metadata store")
    return starts


def _lineage(walk: Walk, starts: tuple[int, ...]) -> Lineage:
    maker = {number: event.execution for number, event in walk.makes.items()}
    others = [
        event
        for event in walk.events
        if event.kind in OUTPUTS and event.execution != maker.get(event.artifact)
    ]
    known = walk.known(event.execution for event in others)
    served: dict[int, set[int]] = {}
    unfinished: dict[int, list[Execution]] = {}
    for event in others:
        execution = known.get(event.execution)
        if execution is None:
            continue
        if execution.state not in (CACHED, COMPLETE):
            unfinished.setdefault(event.artifact, []).append(execution)
        elif event.artifact in maker:
            served.setdefault(maker[event.artifact], set()).add(execution.id)
    runs = walk.store.runs(number for numbers in served.values() for number in numbers)
    return Lineage(
        starts=starts,
        artifacts=walk.store.artifacts(walk.artifacts),
        executions=dict(sorted(walk.executions.items())),
        reads=sorted((event for event in walk.reads if event.artifact in walk.artifacts), key=_order),
        makes=sorted(walk.makes.values(), key=_order),
        reused={
            number: sorted({runs[item] for item in numbers if item in runs})
            for number, numbers in sorted(served.items())
        },
        selected=sorted((event for event in walk.events if event.kind == SELECTED), key=_order),
        unfinished=unfinished,
    )


def _order(event: Event) -> tuple[int, str, int, int]:
    return event.execution, event.key, event.index, event.artifact


def model_of(store: Store, wanted: str, *, rewrite: Prefixes = ()) -> Artifact:
    """The model that somebody means.

    Parameters
    ----------
    store
        To be read.
    wanted
        ``latest``; the id of a model, or of a pushed copy; or a place: the model's folder, anything in it,
        or where it was pushed to.
    rewrite
        Prefixes of places, if the store was moved.

    Raises
    ------
    InputError
        If there is no such model; what there is is named.
    """
    models = {item.id: item for kind in model_types(store) for item in store.artifacts_of_type(kind)}
    if wanted == _LATEST:
        return _latest(store, models)
    if re.fullmatch(_ID, wanted):
        return _by_id(store, models, int(wanted))
    return _by_place(store, models, wanted, rewrite)


def model_types(store: Store) -> list[str]:
    """Names of the types of models: that of TFX, and those that call themselves a kind of it."""
    kinds = {name for name, base in store.artifact_types().items() if base == "MODEL"}
    return sorted((kinds | {MODEL}) - {PUSHED_MODEL})


def _latest(store: Store, models: dict[int, Artifact]) -> Artifact:
    finished = [item for item in models.values() if item.state not in ("PENDING", "ABANDONED")]
    if not finished:
        raise InputError(f"{store.place}: there is no model in this metadata store{_why(store)}")
    return max(finished, key=lambda item: (item.created, item.id))


def _why(store: Store) -> str:
    """What did not complete, for a store that has no model."""
    stopped = [
        item for item in store.executions().values() if item.state in ("FAILED", "RUNNING", "CANCELED")
    ]
    if not stopped:
        return ""
    last = max(stopped, key=lambda item: item.id)
    node = store.nodes([last.id])[last.id]
    run = store.runs([last.id]).get(last.id)
    within = f" of run {run}" if run else ""
    return f": {node}{within} is {last.state}"


def _by_id(store: Store, models: dict[int, Artifact], number: int) -> Artifact:
    if number in models:
        return models[number]
    found = store.artifacts([number]).get(number)
    if found is None:
        raise InputError(
            f"{store.place}: there is no artifact {number} in this metadata store{_known(models)}"
        )
    pushed_from = _pushed_from(store, found, models)
    if pushed_from is None:
        raise InputError(
            f"{store.place}: artifact {number} is of type {found.type}, no model{_known(models)}"
        )
    return pushed_from


def _by_place(store: Store, models: dict[int, Artifact], wanted: str, rewrite: Prefixes) -> Artifact:
    place = _absolute(wanted)
    within = [
        item
        for item in models.values()
        if _holds(rewritten(item.uri, rewrite), place) or _holds(item.uri, place)
    ]
    if within:
        return max(within, key=lambda item: (len(item.uri), item.created, item.id))
    pushed = [
        item
        for item in store.artifacts_of_type(PUSHED_MODEL)
        if any(_holds(rewritten(one, rewrite), place) for one in pushed_places(item))
    ]
    for item in sorted(pushed, key=lambda item: (item.created, item.id), reverse=True):
        model = _pushed_from(store, item, models)
        if model is not None:
            return model
    raise InputError(f"{store.place}: no model of this metadata store lies at {wanted}{_known(models)}")


def pushed_places(pushed: Artifact) -> list[str]:
    """Where the copy of a model lies: the pushed artifact's folder, and the place that it was pushed to."""
    told = pushed.properties.get("pushed_destination")
    return [place for place in (told, pushed.uri) if isinstance(place, str) and place]


def _pushed_from(store: Store, pushed: Artifact, models: dict[int, Artifact]) -> Artifact | None:
    if pushed.type != PUSHED_MODEL:
        return None
    lineage = upstream(store, [pushed.id])
    maker = lineage.maker(pushed.id)
    read = lineage.inputs_of(maker.id) if maker else []
    return next((models[event.artifact] for event in read if event.artifact in models), None)


def _holds(folder: str, place: str) -> bool:
    folder = folder.rstrip("/")
    return bool(folder) and (place == folder or place.startswith(folder + "/"))


def _absolute(place: str) -> str:
    return place.rstrip("/") if "://" in place else os.path.abspath(place)


def _known(models: dict[int, Artifact]) -> str:
    if not models:
        return "; there is no model in it"
    newest = sorted(models.values(), key=lambda item: item.id, reverse=True)
    named = ", ".join(f"{item.id} ({item.uri})" for item in newest[:_NAMED])
    more = f" and {len(newest) - _NAMED} older ones" if len(newest) > _NAMED else ""
    return f"; its models are {named}{more}"
