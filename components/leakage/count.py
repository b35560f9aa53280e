"""Counting: rows to keys, keys to tallies. Each part is mergeable, so that shards add up to the whole."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from tfx_trust.components.leakage.columns import RECORD, Batch
from tfx_trust.components.leakage.hashing import LANES

TRAIN, EVAL = 0, 1


@dataclass(frozen=True)
class Keyed:
    """Rows of one split, reduced to the key over some columns and what is counted with it.

    Attributes
    ----------
    keys
        uint64 of shape ``(2, rows)``; both lanes 0 where none of the columns has a value.
    labels
        uint64 of shape ``(rows,)``: the label's term; 0 where it is missing.
    places
        As :class:`~tfx_trust.components.leakage.columns.Batch` has them, or none.
    extras
        Further arrays of shape ``(rows,)``, e.g. ``score``, ``target``, ``time``.
    """

    keys: np.ndarray
    labels: np.ndarray
    places: np.ndarray | None = None
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.keys.shape[1])

    def take(self, rows: np.ndarray) -> Keyed:
        """Some of the rows, by mask or number."""
        return Keyed(
            self.keys[:, rows],
            self.labels[rows],
            None if self.places is None else self.places[rows],
            {name: values[rows] for name, values in self.extras.items()},
        )

    def shards(self, count: int) -> list[tuple[int, Keyed]]:
        """The rows parted by key, so that equal keys are in the same shard; empty shards left out."""
        number = (self.keys[0] % np.uint64(count)).astype(np.int64)
        order = np.argsort(number, kind="stable")
        bounds: list[int] = np.asarray(np.searchsorted(number[order], np.arange(count + 1))).tolist()
        return [
            (shard, self.take(order[begin:end]))
            for shard, (begin, end) in enumerate(pairwise(bounds))
            if end > begin
        ]

    @classmethod
    def concatenated(cls, parts: Sequence[Keyed]) -> Keyed:
        """One after the other."""
        if not parts:
            return cls(np.zeros((LANES, 0), np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.uint64))
        if len(parts) == 1:
            return parts[0]
        known = all(part.places is not None for part in parts)
        return cls(
            np.concatenate([part.keys for part in parts], axis=1),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.places for part in parts if part.places is not None]) if known else None,
            {name: np.concatenate([part.extras[name] for part in parts]) for name in parts[0].extras},
        )


def keyed(
    batch: Batch, columns: Sequence[str], label: str, extras: Mapping[str, np.ndarray] | None = None
) -> Keyed:
    """A batch reduced to its key over some columns."""
    labels = batch.terms[batch.names.index(label), 0]
    return Keyed(batch.key(columns), labels, batch.places, extras or {})


@dataclass(frozen=True)
class Groups:
    """Rows of both splits grouped by key.

    Attributes
    ----------
    ids
        int64 of shape ``(rows,)``, train first: which group a row is in.
    counts
        int64 of shape ``(2, groups)``: rows of train and of eval.
    """

    ids: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, train: np.ndarray, evaluation: np.ndarray) -> Groups:
        """Groups of equal keys, each of shape ``(2, rows)``."""
        keys = np.concatenate([train, evaluation], axis=1)
        ids = group_ids(keys)
        number = int(ids.max()) + 1 if len(ids) else 0
        there = train.shape[1]
        counts = np.stack(
            [np.bincount(ids[:there], minlength=number), np.bincount(ids[there:], minlength=number)]
        )
        return cls(ids, counts)


def group_ids(keys: np.ndarray) -> np.ndarray:
    """Which group of equal keys each row is in: int64 of shape ``(rows,)``, from 0 without gaps.

    Parameters
    ----------
    keys
        uint64 of shape ``(2, rows)``.
    """
    order = np.argsort(keys[0])
    ordered = keys[:, order]
    new = _differs(ordered)
    same_first = ordered[0, 1:] == ordered[0, :-1]
    if (new[1:] & same_first).any():
        # Different keys that share a lane: equal ones need not be neighbours, so sort by both.
        order = np.lexsort(keys[::-1])
        new = _differs(keys[:, order])
    ids = np.empty(len(order), np.int64)
    ids[order] = np.cumsum(new) - 1
    return ids


def _differs(ordered: np.ndarray) -> np.ndarray:
    """Whether each row differs from the one before it; the first does."""
    new = np.ones(ordered.shape[1], bool)
    new[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
    return new


@dataclass(frozen=True)
class ConflictCount:
    """Equal keys with different labels: groups, the examples in them, and those of a minority label."""

    groups: int = 0
    examples: int = 0
    minority: int = 0

    def __add__(self, other: ConflictCount) -> ConflictCount:
        return ConflictCount(
            self.groups + other.groups, self.examples + other.examples, self.minority + other.minority
        )


@dataclass(frozen=True)
class Match:
    """A key on both sides: where its first row lies in each split, and how far that is to read."""

    far: int
    train: int
    eval: int


@dataclass(frozen=True)
class Tally:
    """What was counted of one key; tallies of disjoint shards add up.

    Attributes
    ----------
    examples, distinct
        Rows, and different keys, of train and of eval.
    keys_in_both, eval_in_train, train_in_eval
        Keys on both sides, and the rows of each side that have one.
    sizes
        Number of groups by size, both splits pooled.
    conflicts
        By scope (``train``, ``eval``, ``all``).
    matches
        A few keys on both sides: those whose rows are soonest reached in the files.
    scored
        Histograms for the consequence, see :mod:`~tfx_trust.components.leakage.consequence`: count by
        (value code, target, whether leaked), as an int64 array of shape ``(cells, 4)``, sorted.
    """

    examples: tuple[int, int] = (0, 0)
    distinct: tuple[int, int] = (0, 0)
    keys_in_both: int = 0
    eval_in_train: int = 0
    train_in_eval: int = 0
    sizes: Mapping[int, int] = field(default_factory=dict)
    conflicts: Mapping[str, ConflictCount] = field(default_factory=dict)
    matches: tuple[Match, ...] = ()
    scored: np.ndarray | None = None

    MATCHES = 20

    def __add__(self, other: Tally) -> Tally:
        sizes = dict(self.sizes)
        for size, number in other.sizes.items():
            sizes[size] = sizes.get(size, 0) + number
        scopes = dict.fromkeys([*self.conflicts, *other.conflicts])
        none = ConflictCount()
        return Tally(
            (self.examples[0] + other.examples[0], self.examples[1] + other.examples[1]),
            (self.distinct[0] + other.distinct[0], self.distinct[1] + other.distinct[1]),
            self.keys_in_both + other.keys_in_both,
            self.eval_in_train + other.eval_in_train,
            self.train_in_eval + other.train_in_eval,
            dict(sorted(sizes.items())),
            {scope: self.conflicts.get(scope, none) + other.conflicts.get(scope, none) for scope in scopes},
            tuple(
                sorted((*self.matches, *other.matches), key=lambda match: (match.far, match.eval))[
                    : self.MATCHES
                ]
            ),
            _added(self.scored, other.scored),
        )

    @classmethod
    def merged(cls, parts: Iterable[Tally]) -> Tally:
        """The sum of `parts`."""
        return functools.reduce(cls.__add__, parts, cls())


def _added(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    if one is None or other is None:
        return other if one is None else one
    return cells_of(np.concatenate([one, other]))


def cells_of(cells: np.ndarray) -> np.ndarray:
    """Equal cells added up: rows ``(…, count)``, sorted by what stands before the count."""
    if not len(cells):
        return cells
    order = np.lexsort(cells[:, -2::-1].T)
    cells = cells[order]
    new = np.ones(len(cells), bool)
    new[1:] = (cells[1:, :-1] != cells[:-1, :-1]).any(axis=1)
    begins = np.flatnonzero(new)
    merged = cells[begins].copy()
    merged[:, -1] = np.add.reduceat(cells[:, -1], begins)
    return merged


def tally(train: Keyed, evaluation: Keyed, *, conflicts: bool, matches: bool = True) -> Tally:
    """Counts the rows of both splits, or of the same shard of both.

    Parameters
    ----------
    train, evaluation
        The rows.
    conflicts
        Whether to count conflicting labels: not of a key that contains the label.
    matches
        Whether to keep the places of a few rows that are on both sides.
    """
    groups = Groups.of(train.keys, evaluation.keys)
    counts = groups.counts
    both = (counts > 0).all(axis=0)
    size, number = np.unique(counts.sum(axis=0), return_counts=True)
    return Tally(
        examples=(train.rows, evaluation.rows),
        distinct=(int((counts[TRAIN] > 0).sum()), int((counts[EVAL] > 0).sum())),
        keys_in_both=int(both.sum()),
        eval_in_train=int(counts[EVAL, both].sum()),
        train_in_eval=int(counts[TRAIN, both].sum()),
        sizes=dict(zip(size.tolist(), number.tolist(), strict=True)),
        conflicts=_conflicts(groups, train, evaluation) if conflicts else {},
        matches=_matches(groups, both, train, evaluation) if matches else (),
        scored=_scored(groups, evaluation),
    )


def _conflicts(groups: Groups, train: Keyed, evaluation: Keyed) -> dict[str, ConflictCount]:
    labels = np.concatenate([train.labels, evaluation.labels])
    in_train = np.arange(len(labels)) < train.rows
    found = {}
    for scope, rows in (("train", in_train), ("eval", ~in_train), ("all", None)):
        wanted = labels != 0
        if rows is not None:
            wanted &= rows
        found[scope] = _conflict(groups.ids[wanted], labels[wanted])
    return found


def _conflict(ids: np.ndarray, labels: np.ndarray) -> ConflictCount:
    """Groups with more than one label, among rows whose group and label are given."""
    if not len(ids):
        return ConflictCount()
    size = np.bincount(ids)
    several = size[ids] > 1
    ids, labels = ids[several], labels[several]
    order = np.lexsort((labels, ids))
    ids, labels = ids[order], labels[order]
    new = np.ones(len(ids), bool)
    new[1:] = (ids[1:] != ids[:-1]) | (labels[1:] != labels[:-1])
    begins = np.flatnonzero(new)
    of_label = np.diff(np.append(begins, len(ids)))
    group = ids[begins]
    labels_in = np.bincount(group, minlength=len(size))
    largest = np.zeros(len(size), np.int64)
    np.maximum.at(largest, group, of_label)
    torn = labels_in > 1
    return ConflictCount(int(torn.sum()), int(size[torn].sum()), int((size[torn] - largest[torn]).sum()))


def _matches(groups: Groups, both: np.ndarray, train: Keyed, evaluation: Keyed) -> tuple[Match, ...]:
    """The keys on both sides whose first rows are soonest reached."""
    if train.places is None or evaluation.places is None or not both.any():
        return ()
    firsts = []
    for rows, places in (
        (groups.ids[: train.rows], train.places),
        (groups.ids[train.rows :], evaluation.places),
    ):
        first = np.full(len(both), np.iinfo(np.uint64).max, np.uint64)
        matching = both[rows]
        np.minimum.at(first, rows[matching], places[matching])
        firsts.append(first[both])
    far = (firsts[TRAIN] & RECORD) + (firsts[EVAL] & RECORD)
    chosen = np.lexsort((firsts[EVAL], far))[: Tally.MATCHES]
    return tuple(Match(int(far[row]), int(firsts[TRAIN][row]), int(firsts[EVAL][row])) for row in chosen)


def _scored(groups: Groups, evaluation: Keyed) -> np.ndarray | None:
    if "value" not in evaluation.extras:
        return None
    ids = groups.ids[len(groups.ids) - evaluation.rows :]
    leaked = groups.counts[TRAIN, ids] > 0
    value, target = evaluation.extras["value"], evaluation.extras["target"]
    known = value >= 0
    columns = (value[known], target[known], leaked[known], np.ones(int(known.sum()), np.int64))
    return cells_of(np.stack([column.astype(np.int64) for column in columns], axis=1))


@dataclass(frozen=True)
class Arrivals:
    """Entities on both sides, and train examples that come after an eval example of the same entity."""

    entities: tuple[int, int] = (0, 0)
    entities_in_both: int = 0
    eval_in_train: int = 0
    train_in_eval: int = 0
    missing: tuple[int, int] = (0, 0)
    late: int = 0

    def __add__(self, other: Arrivals) -> Arrivals:
        return Arrivals(
            (self.entities[0] + other.entities[0], self.entities[1] + other.entities[1]),
            self.entities_in_both + other.entities_in_both,
            self.eval_in_train + other.eval_in_train,
            self.train_in_eval + other.train_in_eval,
            (self.missing[0] + other.missing[0], self.missing[1] + other.missing[1]),
            self.late + other.late,
        )


def arrivals(train: Keyed, evaluation: Keyed) -> Arrivals:
    """Counts the entities of both splits; with an extra ``time`` also the late train examples of each."""
    missing = tuple(int(_unkeyed(side).sum()) for side in (train, evaluation))
    train, evaluation = (side.take(~_unkeyed(side)) for side in (train, evaluation))
    groups = Groups.of(train.keys, evaluation.keys)
    counts = groups.counts
    both = (counts > 0).all(axis=0)
    late = 0
    if "time" in train.extras and len(groups.ids):
        first = np.full(counts.shape[1], np.inf)
        np.fmin.at(first, groups.ids[train.rows :], evaluation.extras["time"])
        late = int((train.extras["time"] >= first[groups.ids[: train.rows]]).sum())
    return Arrivals(
        (int((counts[TRAIN] > 0).sum()), int((counts[EVAL] > 0).sum())),
        int(both.sum()),
        int(counts[EVAL, both].sum()),
        int(counts[TRAIN, both].sum()),
        (missing[0], missing[1]),
        late,
    )


def _unkeyed(side: Keyed) -> np.ndarray:
    missing: np.ndarray = (side.keys == 0).all(axis=0)
    return missing
