"""A walk over the events of a metadata store, step by step: what it met, and nothing twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tfx_trust.components.mlmd import COMPLETE, INPUTS, OUTPUTS, Event, Execution, Store

# From so many steps on, reading the whole store at once is quicker than going on asking.
_DEEP = 100


class Walk:
    """What was read of a store so far."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._steps = 0
        self._reader: Store | _Whole = store
        self.artifacts: set[int] = set()
        self.executions: dict[int, Execution] = {}
        self.reads: list[Event] = []
        self.makes: dict[int, Event] = {}
        self.events: list[Event] = []
        self._fresh: list[Event] = []
        self._known: dict[int, Execution] = {}

    def add(self, artifacts: set[int]) -> None:
        """Adds artifacts."""
        self._steps += 1
        if self._steps == _DEEP:
            self._reader = _Whole(self.store)
        self.artifacts |= artifacts
        self._fresh = self._reader.events_of_artifacts(artifacts)
        self.events += self._fresh

    def makers(self) -> dict[int, Execution]:
        """The executions that made the artifacts added last.

        Of several that completed, as an importer does in every run that finds its artifact in the store, the
        first made it.
        """
        made = [event for event in self._fresh if event.kind in OUTPUTS]
        completed = self._completed(event.execution for event in made)
        for event in sorted(made, key=lambda event: event.execution):
            if event.execution in completed:
                self.makes.setdefault(event.artifact, event)
        wanted = {self.makes[event.artifact].execution for event in made if event.artifact in self.makes}
        return {number: completed[number] for number in wanted}

    def readers(self) -> dict[int, Execution]:
        """The executions that read the artifacts added last."""
        return self._completed(event.execution for event in self._fresh if event.kind in INPUTS)

    def enter(self, executions: dict[int, Execution]) -> set[int]:
        """Adds executions; returns the artifacts that they read."""
        fresh = {number: item for number, item in executions.items() if number not in self.executions}
        self.executions |= fresh
        read = [event for event in self._reader.events_of_executions(fresh) if event.kind in INPUTS]
        self.reads += read
        return {event.artifact for event in read}

    def leave(self, executions: dict[int, Execution]) -> set[int]:
        """Adds executions; returns the artifacts that they made."""
        fresh = {number: item for number, item in executions.items() if number not in self.executions}
        self.executions |= fresh
        events = self._reader.events_of_executions(fresh)
        self.reads += [event for event in events if event.kind in INPUTS]
        made = [event for event in events if event.kind in OUTPUTS]
        for event in made:
            self.makes.setdefault(event.artifact, event)
        return {event.artifact for event in made}

    def _completed(self, numbers: Iterable[int]) -> dict[int, Execution]:
        return {number: item for number, item in self.known(numbers).items() if item.state == COMPLETE}

    def known(self, numbers: Iterable[int]) -> dict[int, Execution]:
        """Executions by id; each is read once."""
        wanted = set(numbers)
        self._known |= self._reader.executions(wanted - self._known.keys())
        return {number: self._known[number] for number in wanted if number in self._known}


class _Whole:
    """All events and executions of a store, read at once."""

    def __init__(self, store: Store) -> None:
        self._executions = store.executions()
        self._of_artifact: defaultdict[int, list[Event]] = defaultdict(list)
        self._of_execution: defaultdict[int, list[Event]] = defaultdict(list)
        for event in store.events_of_executions(self._executions):
            self._of_artifact[event.artifact].append(event)
            self._of_execution[event.execution].append(event)

    def executions(self, ids: Iterable[int]) -> dict[int, Execution]:
        return {number: self._executions[number] for number in ids if number in self._executions}

    def events_of_artifacts(self, ids: Iterable[int]) -> list[Event]:
        return [event for number in ids for event in self._of_artifact[number]]

    def events_of_executions(self, ids: Iterable[int]) -> list[Event]:
        return [event for number in ids for event in self._of_execution[number]]
