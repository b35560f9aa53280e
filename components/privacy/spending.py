"""What was spent on the same data before: what the driver found in the metadata store, as ledger entries.

Every training leaves its own entry as a property of its report's artifact, so that the ledger stands as long
as the metadata store does, whatever becomes of the folders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pydantic

from tfx_trust.components.privacy.config import Budget
from tfx_trust.components.privacy.report import LedgerEntry, Mechanism
from tfx_trust.components.report import Model

SPENT = "spent"
"""Property of a report's artifact: the entry of its training, as JSON."""
TRAINING = "training"
"""What the mechanism of the training itself is called."""


class Earlier(Model):
    """A training that the metadata store knows of."""

    artifact: int
    """Id of its report."""
    created: str
    """When, ISO 8601."""
    run: str
    """Id of its pipeline run."""
    name: str | None = None
    """What its settings call the source of its data."""
    places: list[str]
    """Where its examples came from."""
    spans: list[int] = []
    """Of its examples; empty where they are not numbered."""
    transform_graph: int | None = None
    """Id of the transform graph that it used."""
    spent: str | None = None
    """The entry that it left."""
    pushed: bool = False
    """Whether its model, or one made of it, was pushed."""


class Unfinished(Model):
    """A training that left no report."""

    execution: int
    """Its id."""
    run: str
    """Id of its pipeline run."""
    state: Literal["failed", "running"]
    """An interrupted one stays ``running``."""
    name: str | None = None
    """What its settings call the source of its data."""
    places: list[str]
    """Where its examples came from."""


class Unprotected(Model):
    """A model that was made of examples by a component that keeps no ledger."""

    artifact: int
    """Its id."""
    component: str
    """Class of the component."""
    places: list[str]
    """Where the examples came from."""


class Snapshot(Model):
    """What the metadata store knew before a training began."""

    run: str = ""
    """Id of the pipeline run at hand."""
    places: list[str]
    """Where its examples came from."""
    spans: list[int] = []
    """Of its examples; empty where they are not numbered."""
    transform_graph: int | None = None
    """Id of its transform graph."""
    inferred_schema: bool = False
    """Whether its schema was inferred from data."""
    earlier: list[Earlier] = []
    """All trainings with a report, on whatever data."""
    unfinished: list[Unfinished] = []
    """All without."""
    unprotected: list[Unprotected] = []
    """Models that other components made."""


@dataclass(frozen=True)
class Account:
    """What was spent on a source of data before.

    Attributes
    ----------
    source
        Name of the data.
    run
        Id of the pipeline run at hand.
    spans
        Of the examples at hand.
    entries
        Of the earlier trainings, the oldest first.
    unknown
        What could not be established of them, in sentences.
    paid
        Names of private analyzers that an earlier entry has: the same transform graph was used before, and
        what was released once is not spent twice.
    """

    source: str
    run: str = ""
    spans: Sequence[int] = ()
    entries: Sequence[LedgerEntry] = ()
    unknown: Sequence[str] = ()
    paid: frozenset[str] = frozenset()

    @classmethod
    def of(cls, snapshot: Snapshot | None, budget: Budget | None) -> Account:
        """The account of the data at hand, as the metadata store has it.

        Parameters
        ----------
        snapshot
            None where the store could not be read: the account is then empty.
        budget
            Its `source` names the data.
        """
        name = budget.source if budget else None
        if snapshot is None:
            return cls(source=name or "the data of this pipeline")
        mine = sorted(
            (item for item in snapshot.earlier if _same(name, snapshot.places, item)),
            key=lambda item: item.artifact,
        )
        entries = {item.artifact: _entry(item) for item in mine}
        counted = [entry for item in mine if (entry := entries[item.artifact]) is not None]
        return cls(
            source=name or " and ".join(snapshot.places),
            run=snapshot.run,
            spans=snapshot.spans,
            entries=counted,
            unknown=[
                *_renamed(snapshot, name),
                *_unread(mine, entries),
                *_unfinished(snapshot, name),
                *_unprotected(snapshot),
            ],
            paid=_paid(snapshot.transform_graph, mine, entries),
        )

    def here(
        self, mechanisms: Sequence[Mechanism], *, epsilon: float | None, delta: float, created: str = ""
    ) -> LedgerEntry:
        """The entry of the training at hand.

        Parameters
        ----------
        mechanisms
            All that its guarantee is composed of.
        epsilon, delta
            Of them together.
        created
            When, ISO 8601.
        """
        return LedgerEntry(
            run=self.run,
            created=created,
            artifact=None,
            spans=list(self.spans),
            epsilon=epsilon,
            delta=delta,
            mechanisms=[item for item in mechanisms if item.what not in self.paid],
            here=True,
        )


def _same(name: str | None, places: Sequence[str], item: Earlier | Unfinished) -> bool:
    """Whether a training read the same data: by name where both have one, else by where it came from."""
    if name is not None and item.name is not None:
        return name == item.name
    return bool(set(places) & set(item.places))


def _entry(item: Earlier) -> LedgerEntry | None:
    """Its entry; none where nothing is to be counted, for its model had no guarantee and was kept back."""
    try:
        entry = LedgerEntry.model_validate_json(item.spent or "")
    except pydantic.ValidationError:
        entry = None
    if entry is None:
        entry = LedgerEntry(
            run=item.run, created=item.created, artifact=None, spans=[], epsilon=None, delta=0.0
        )
    elif entry.epsilon is None and not item.pushed:
        return None
    return entry.model_copy(
        update={
            "run": item.run,
            "created": entry.created or item.created,
            "artifact": item.artifact,
            "spans": item.spans,
            "here": False,
        }
    )


def _paid(
    graph: int | None, mine: Iterable[Earlier], entries: dict[int, LedgerEntry | None]
) -> frozenset[str]:
    if graph is None:
        return frozenset()
    return frozenset(
        mechanism.what
        for item in mine
        if item.transform_graph == graph and (entry := entries[item.artifact]) is not None
        for mechanism in entry.mechanisms
        if not is_training(mechanism)
    )


def is_training(mechanism: Mechanism) -> bool:
    """Whether it is a training, and no analyzer; of several in one run the later ones are numbered."""
    return mechanism.what.partition(" ")[0] == TRAINING


def _renamed(snapshot: Snapshot, name: str | None) -> Iterator[str]:
    """Trainings on what came from the same place, whose settings call it otherwise."""
    others = [
        item
        for item in snapshot.earlier
        if set(item.places) & set(snapshot.places) and not _same(name, snapshot.places, item)
    ]
    if others:
        names = ", ".join(sorted({repr(item.name) for item in others}))
        many = len(others) != 1
        counted = f"{len(others):,} trainings" if many else "1 training"
        yield (
            f"{counted} on data from the same place {'are' if many else 'is'} not counted, since the "
            f"settings call {'their' if many else 'its'} source {names}. If it is the same data, the total "
            "is too small."
        )


def _unread(mine: Sequence[Earlier], entries: dict[int, LedgerEntry | None]) -> Iterator[str]:
    for item in mine:
        entry = entries[item.artifact]
        if entry is None:
            yield (
                f"The training of {_when(item.created)} (report {item.artifact}) had no guarantee. Its model "
                "was not pushed, so that it is not counted; if it was given away otherwise, the total is "
                "not known."
            )
        elif entry.epsilon is None and not item.spent:
            yield (
                f"What the training of {_when(item.created)} (report {item.artifact}) spent is not noted in "
                "the metadata store."
            )


def _unfinished(snapshot: Snapshot, name: str | None) -> Iterator[str]:
    for item in snapshot.unfinished:
        if not _same(name, snapshot.places, item):
            continue
        if item.state == "failed":
            yield (
                f"A training failed before its end (execution {item.execution}, run {item.run or 'unknown'})."
                " Its model was deleted; what its log may have shown of the data is not counted."
            )
        else:
            yield (
                f"A training has not ended (execution {item.execution}, run {item.run or 'unknown'}): it is "
                "still running, or was interrupted. What it spends is not counted yet."
            )


def _unprotected(snapshot: Snapshot) -> Iterator[str]:
    found = [item for item in snapshot.unprotected if set(item.places) & set(snapshot.places)]
    if found:
        by = ", ".join(sorted({item.component for item in found}))
        many = len(found) != 1
        yield (
            f"{len(found):,} model{'s' if many else ''} in the metadata store {'were' if many else 'was'} "
            f"made of the same data without a guarantee, by {by}, and {'are' if many else 'is'} not counted."
        )


def _when(created: str) -> str:
    return created[:10] or "an unknown day"
