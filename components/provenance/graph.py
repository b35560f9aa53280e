"""The whole of a metadata store as a graph: what was made of what, read in a few strokes.

Questions that begin at the data (which models were made of this?) touch most of a store, so all of it is read
at once; a walk of its own for each model would take minutes on a store of a thousand runs.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from tfx_trust.components.mlmd import COMPLETE, INPUTS, OUTPUTS, Artifact, Event, Execution, Prefixes, Store
from tfx_trust.components.mlmd import rewritten as moved
from tfx_trust.components.provenance.lineage import MODEL, PUSHED_MODEL, Lineage
from tfx_trust.components.provenance.record import SourceEntry
from tfx_trust.components.provenance.sources import sources_of

Relation = Literal["trained", "model", "derived"]
"""How a model came of something: it learned from it; another model that did was built on; or by a way round,
such as a schema, statistics or a vocabulary that were made of it."""
EXAMPLES = "Examples"
_RELATIONS: tuple[Relation, ...] = ("trained", "model", "derived")


@dataclass(frozen=True)
class Reached:
    """Something that was made of where a walk began."""

    relation: Relation
    """The closest there is."""
    through: int | None
    """Id of the artifact that it was made of, on the way that is closest; none of where the walk began."""


class Graph:
    """All artifacts and executions of a store, and who made and read what.

    Only executions that completed count: one that was served from the cache made nothing.

    Parameters
    ----------
    store
        Is read here, whole.
    rewrite
        Old and new beginnings of places, if the files were moved.
    """

    def __init__(self, store: Store, rewrite: Prefixes = ()) -> None:
        self.store = store
        self.rewrite = tuple(rewrite)
        self.artifacts: dict[int, Artifact] = store.artifacts()
        self.executions: dict[int, Execution] = {
            number: item for number, item in store.executions().items() if item.state == COMPLETE
        }
        self.makes: defaultdict[int, list[Event]] = defaultdict(list)
        """By execution: of an artifact that several made, as importers do, the first made it."""
        self.reads: defaultdict[int, list[Event]] = defaultdict(list)
        """By execution."""
        self.readers: defaultdict[int, list[Event]] = defaultdict(list)
        """By artifact."""
        self.maker: dict[int, int] = {}
        """Id of the execution that made an artifact."""
        for event in sorted(store.events_of_executions(self.executions), key=lambda item: item.execution):
            if event.artifact not in self.artifacts:
                continue
            if event.kind in INPUTS:
                self.reads[event.execution].append(event)
                self.readers[event.artifact].append(event)
            elif event.kind in OUTPUTS and event.artifact not in self.maker:
                self.maker[event.artifact] = event.execution
                self.makes[event.execution].append(event)

    @cached_property
    def model_types(self) -> frozenset[str]:
        """Names of the types of models: that of TFX, and those that call themselves a kind of it."""
        kinds = {name for name, base in self.store.artifact_types().items() if base == "MODEL"}
        return frozenset((kinds | {MODEL}) - {PUSHED_MODEL})

    @cached_property
    def models(self) -> list[Artifact]:
        """All models, the oldest first."""
        found = [item for item in self.artifacts.values() if item.type in self.model_types]
        return sorted(found, key=lambda item: (item.created, item.id))

    @cached_property
    def sources(self) -> list[SourceEntry]:
        """All raw inputs; of one that was read several times, an entry for each."""
        found: list[SourceEntry] = []
        for number, execution in sorted(self.executions.items()):
            if self.makes[number] and not (self.reads[number] and "input_base" not in execution.properties):
                found += sources_of(self._alone(execution), rewrite=self.rewrite)
        unmade = {number: item for number, item in self.artifacts.items() if number not in self.maker}
        found += sources_of(Lineage((), unmade, {}, [], []), rewrite=self.rewrite)
        return [entry.model_copy(update={"id": f"source:{n}"}) for n, entry in enumerate(found, start=1)]

    def _alone(self, execution: Execution) -> Lineage:
        made = {event.artifact: self.artifacts[event.artifact] for event in self.makes[execution.id]}
        return Lineage(
            (), made, {execution.id: execution}, self.reads[execution.id], self.makes[execution.id]
        )

    def place(self, artifact: Artifact) -> str:
        """Where it lies now."""
        return moved(artifact.uri, self.rewrite)

    def made_of(self, starts: Iterable[int]) -> dict[int, Reached]:
        """Everything that was made of some artifacts, these included, with the closest relation to them.

        The relation is that of the farthest step on the way: from examples to examples or to a model is
        nearest, from a model to a model is next, and all else is a way round.
        """
        found: dict[int, Reached] = {}
        # By relation, then by length: the first way that arrives is the closest.
        waiting: list[tuple[int, int, int, int | None]] = [
            (self._first(number), 0, number, None) for number in set(starts) if number in self.artifacts
        ]
        heapq.heapify(waiting)
        while waiting:
            rank, steps, number, through = heapq.heappop(waiting)
            if number in found:
                continue
            found[number] = Reached(_RELATIONS[rank], through)
            for made in self._made_with(number):
                if made not in found:
                    heapq.heappush(waiting, (max(rank, self._step(number, made)), steps + 1, made, number))
        return found

    def _made_with(self, artifact: int) -> Iterator[int]:
        for read in self.readers[artifact]:
            for made in self.makes[read.execution]:
                yield made.artifact

    def _first(self, artifact: int) -> int:
        if self.artifacts[artifact].type in self.model_types:
            return _RELATIONS.index("model")
        return _RELATIONS.index("trained" if self.artifacts[artifact].type == EXAMPLES else "derived")

    def _step(self, read: int, made: int) -> int:
        before, after = self.artifacts[read].type, self.artifacts[made].type
        if before == EXAMPLES and (after == EXAMPLES or after in self.model_types):
            return _RELATIONS.index("trained")
        if before in self.model_types and after in self.model_types:
            return _RELATIONS.index("model")
        return _RELATIONS.index("derived")


def route(found: Mapping[int, Reached], artifact: int) -> list[int]:
    """Ids of the artifacts on the closest way, from where the walk began to `artifact`."""
    steps = [artifact]
    while (before := found[steps[-1]].through) is not None:
        steps.append(before)
    return steps[::-1]
