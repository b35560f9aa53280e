"""The one pass: examples are reduced to counts, which add up exactly and in any order.

All that the report tells follows from them: by slice and label, how many examples were decided how, how
their scores are ranked and summed, and what the baseline decided. Slices of fewer features are sums of
those of more, so only the largest sets of features are counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from tfx_trust.components.errors import InputError
from tfx_trust.components.fairness import ranks
from tfx_trust.components.fairness.batch import Batch
from tfx_trust.components.fairness.coding import CODE_BITS, Coder
from tfx_trust.components.fairness.labels import Labels, decisions_of, scores_of, weights_of
from tfx_trust.components.fairness.plan import Family, Plan
from tfx_trust.components.fairness.search import Search
from tfx_trust.components.fairness.tally import Tally, in_limbs

# Keys: the cell above these bits. Of a sum: bin of the score, level of the decision, label.
SUM_BITS, BIN_BITS, LEVEL_BITS = 12, 7, 4
# Of a rank: rank of the score, label.
RANK_BITS = ranks.BITS + 1
# Of a pair: label, decision, decision of the baseline.
PAIR_BITS = 3
_CHUNK = 1 << 20
_PENDING = 1 << 21
# Counted without sorting where the table of all cells has at most so many entries for each row.
_DENSE = 4

WEIGHT_LIMBS = (1, -2)
SCORE_LIMBS = (-1, -2)


class _Growing:
    """A tally that takes batches in: they are put together when there are many."""

    def __init__(self, quantities: int) -> None:
        self._parts = [Tally.empty(quantities)]
        self._pending = 0

    def add(self, part: Tally) -> None:
        self._parts.append(part)
        self._pending += len(part.keys)
        if self._pending > max(_PENDING, len(self._parts[0].keys)):
            self.tally  # noqa: B018

    @property
    def tally(self) -> Tally:
        self._parts = [Tally.together(self._parts)]
        self._pending = 0
        return self._parts[0]

    def recoded(self, bits: int, cells: _CellMap) -> Tally:
        """The same with the cells of all keys replaced."""
        tally = self.tally
        low = tally.keys & ((1 << bits) - 1)
        return Tally.of((cells(tally.keys >> bits) << bits) | low, tally.sums)

    def recode(self, bits: int, cells: _CellMap) -> None:
        """Replaces the cells of all keys."""
        self._parts = [self.recoded(bits, cells)]


@dataclass
class _CellMap:
    """From the cells of some codes to those of others."""

    codes: Sequence[np.ndarray]

    def __call__(self, cells: np.ndarray) -> np.ndarray:
        mapped = np.zeros(len(cells), np.int64)
        for place, codes in enumerate(self.codes):
            shift = CODE_BITS * place
            mapped |= codes[(cells >> shift) & ((1 << CODE_BITS) - 1)] << shift
        return mapped


@dataclass
class Part:
    """What is counted of one class against the rest: tallies by the set of features."""

    sums: dict[Family, _Growing] = field(default_factory=dict)
    ranked: dict[Family, _Growing] = field(default_factory=dict)
    mixed: _Growing = field(default_factory=lambda: _Growing(3))
    """By rank of the score: examples, and sums of what the rank leaves out and of its square, which tell
    whether all their scores are the same."""
    pairs: dict[Family, _Growing] = field(default_factory=dict)

    def tallies(self) -> list[tuple[dict[Family, _Growing], int]]:
        """Each with the number of bits below the cell in its keys."""
        return [(self.sums, SUM_BITS), (self.ranked, RANK_BITS), (self.pairs, PAIR_BITS)]


class Counts:
    """Counts of some examples; those of parts add up to those of the whole.

    Parameters
    ----------
    plan
        What is counted.
    """

    def __init__(self, plan: Plan) -> None:
        settings = plan.settings
        self.plan = plan
        self.examples = 0
        self.labels = Labels(settings)
        self.negative_words: frozenset[str] = frozenset()
        self.coders = {name: Coder(name, plan.edges.get(name), settings.max_distinct) for name in plan.coded}
        self.search = Search(plan.searched)
        self.parts: list[Part] = []
        for _ in plan.classes:
            part = Part()
            for base in plan.bases:
                part.sums[base] = _Growing(quantities(plan))
                if plan.scored:
                    part.ranked[base] = _Growing(1 + (_limbs(WEIGHT_LIMBS) if settings.weight else 0))
                if plan.baseline:
                    part.pairs[base] = _Growing(1)
            self.parts.append(part)

    def add(self, batch: Batch) -> None:
        """Counts some examples.

        Raises
        ------
        InputError
            If a label, score, decision or weight is missing or not allowed, or a feature to slice by has too
            many values.
        """
        for begin in range(0, batch.rows, _CHUNK):
            self._add(_sliced(batch, begin, _CHUNK) if batch.rows > _CHUNK else batch)

    def _add(self, batch: Batch) -> None:
        plan, settings = self.plan, self.plan.settings
        first = self.examples
        labels = self.labels.of(batch.columns[settings.label], first)
        weights = (
            weights_of(batch.columns[settings.weight], settings.weight, first) if settings.weight else None
        )
        scores = scores_of(batch.scores, plan, first, "score") if plan.scored else None
        decided = decisions_of(batch.decisions, scores, plan, first, "decision")
        baseline = None
        if plan.baseline:
            theirs = None
            if batch.baseline_scores is not None:
                theirs = scores_of(batch.baseline_scores, plan, first, "baseline score")
            baseline = decisions_of(batch.baseline_decisions, theirs, plan, first, "baseline decision")
        codes = self._codes(batch)
        cells = {base: _cells(codes, base) for base in plan.bases}
        for number, (part, name) in enumerate(zip(self.parts, plan.classes, strict=True)):
            positive = labels if name is None else (labels == number).astype(np.int64)
            level = decided if name is None else (decided == number).astype(np.int64)
            score = None if scores is None else scores if name is None else scores[:, number]
            rows = _Rows(positive, level, score, weights)
            other = None if baseline is None else baseline if name is None else (baseline == number)
            self._count(part, rows, cells, None if other is None else other.astype(np.int64))
        self._search(codes, labels, decided)
        self.negative_words |= batch.negative_words
        self.examples += batch.rows

    def _codes(self, batch: Batch) -> dict[str, np.ndarray]:
        codes = {}
        for name, coder in self.coders.items():
            codes[name] = coder.codes(batch.columns[name])
            self._check(name)
        return codes

    def _check(self, name: str) -> None:
        if self.coders[name].overflown and name in self.plan.settings.features:
            raise InputError(
                f"feature {name!r} has more than {self.plan.settings.max_distinct:,} different values; "
                "slice by a feature that groups them, give buckets if it is a number, or raise max_distinct"
            )

    def _count(
        self, part: Part, rows: _Rows, cells: Mapping[Family, np.ndarray], baseline: np.ndarray | None
    ) -> None:
        plan = self.plan
        bins = rows.bins(plan.settings.calibration_bins)
        key = (bins << (LEVEL_BITS + 1)) | (rows.level << 1) | rows.label
        amounts = rows.amounts()
        if rows.score is not None:
            rank, rest = ranks.of(rows.score), ranks.rests(rows.score)
            part.mixed.add(_summed(rank, [np.stack([rest, rest * rest])]))
            ranked = (rank << 1) | rows.label
            weight = None if rows.weight is None else in_limbs(rows.weight, *WEIGHT_LIMBS)
        if baseline is not None:
            decision, theirs = _positive(rows.level, plan), _positive(baseline, plan)
            pair = (rows.label << 2) | (decision << 1) | theirs
        for base, cell in cells.items():
            part.sums[base].add(_summed(cell << SUM_BITS | key, amounts))
            if rows.score is not None:
                part.ranked[base].add(_summed_or_counted((cell << RANK_BITS) | ranked, weight))
            if baseline is not None:
                part.pairs[base].add(Tally.counting((cell << PAIR_BITS) | pair))

    def _search(self, codes: Mapping[str, np.ndarray], labels: np.ndarray, level: np.ndarray) -> None:
        if not self.plan.searched:
            return
        decision = _positive(level, self.plan)
        if self.plan.settings.classes:
            # Of several classes, whether the decision is right is what is looked at.
            decision, labels = (level == labels).astype(np.int64), np.ones_like(labels)
        self.search.add({name: codes[name] for name in self.plan.searched}, labels, decision)

    def __iadd__(self, other: Counts) -> Counts:
        """Takes the counts of other examples in."""
        self.examples += other.examples
        self.labels.merge(other.labels)
        self.negative_words |= other.negative_words
        codes = {}
        for name, coder in self.coders.items():
            codes[name] = coder.met(other.coders[name])
            self._check(name)
        for ours, theirs in zip(self.parts, other.parts, strict=True):
            for (mine, bits), (others, _) in zip(ours.tallies(), theirs.tallies(), strict=True):
                for base, growing in others.items():
                    mine[base].add(growing.recoded(bits, _CellMap([codes[name] for name in base])))
            ours.mixed.add(theirs.mixed.tally)
        self.search.merge(other.search, codes)
        return self

    def canonical(self) -> Counts:
        """The same with values in the order of their texts, in whatever order they came."""
        codes = {name: coder.sorted() for name, coder in self.coders.items()}
        for part in self.parts:
            for growing, bits in part.tallies():
                for base, item in growing.items():
                    item.recode(bits, _CellMap([codes[name] for name in base]))
        self.search.recode(codes)
        return self


@dataclass(frozen=True)
class _Rows:
    """Some examples of one class against the rest."""

    label: np.ndarray
    level: np.ndarray
    score: np.ndarray | None
    weight: np.ndarray | None

    def bins(self, number: int) -> np.ndarray:
        """The bin of each score; 0 without scores."""
        if self.score is None:
            return np.zeros(len(self.label), np.int64)
        return np.minimum((self.score * number).astype(np.int64), number - 1)

    def amounts(self) -> list[np.ndarray]:
        """What is summed, each as limbs, in the order of :func:`quantities`."""
        weighed = np.ones(len(self.label)) if self.weight is None else self.weight
        found: list[np.ndarray] = []
        if self.weight is not None:
            found += [in_limbs(self.weight, *WEIGHT_LIMBS), in_limbs(self.weight**2, *WEIGHT_LIMBS)]
        if self.score is not None:
            error = (self.score - self.label) ** 2
            limbs = SCORE_LIMBS if self.weight is None else WEIGHT_LIMBS
            found += [in_limbs(weighed * values, *limbs) for values in (self.score, error, error**2)]
        return found


def _limbs(bounds: tuple[int, int]) -> int:
    return bounds[0] - bounds[1] + 1


def quantities(plan: Plan) -> int:
    """Columns of a sum: the count; weights and their squares; scores, squared errors and their squares."""
    weighted = plan.settings.weight is not None
    limbs = _limbs(WEIGHT_LIMBS if weighted else SCORE_LIMBS)
    return 1 + (2 * _limbs(WEIGHT_LIMBS) if weighted else 0) + (3 * limbs if plan.scored else 0)


def _positive(level: np.ndarray, plan: Plan) -> np.ndarray:
    """The decision that is judged: at the threshold that is named first."""
    if not plan.thresholds:
        return level
    return (level > plan.thresholds.index(plan.settings.thresholds[0])).astype(np.int64)


def _cells(codes: Mapping[str, np.ndarray], base: Family) -> np.ndarray:
    cells = np.zeros(len(codes[base[0]]), np.int64)
    for place, name in enumerate(base):
        cells |= codes[name] << (CODE_BITS * place)
    return cells


def _summed(keys: np.ndarray, amounts: Sequence[np.ndarray]) -> Tally:
    """Counts and sums of rows with equal keys: through a table of all keys where that is small."""
    distinct, place = _distinct(keys)
    columns = [np.bincount(place, minlength=len(distinct))]
    # Exact, since a float holds whole numbers up to 2**53: as many as 2**22 limbs of 30 bits.
    columns += [np.bincount(place, limb, len(distinct)) for limbs in amounts for limb in limbs]
    return Tally(distinct, np.stack(columns, axis=1).astype(np.int64))


def _distinct(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different keys, ascending, and which of them each row has."""
    fields = np.bitwise_or.reduce(keys) if len(keys) else 0
    used = [bit for bit in range(63) if fields >> bit & 1]
    if len(used) > 40 or 1 << len(used) > _DENSE * len(keys) + (1 << 16):
        distinct, place = np.unique(keys, return_inverse=True)
        return distinct, place.ravel()
    # Bits that no key has are left out; the order stays.
    packed = np.zeros(len(keys), np.int64)
    for place, (begin, end) in enumerate(_runs(used)):
        packed |= (keys >> begin & ((1 << (end - begin)) - 1)) << sum(e - b for b, e in _runs(used)[:place])
    there = np.bincount(packed, minlength=1 << len(used)) > 0
    number = np.cumsum(there) - 1
    small = np.flatnonzero(there)
    distinct = np.zeros(len(small), np.int64)
    done = 0
    for begin, end in _runs(used):
        distinct |= (small >> done & ((1 << (end - begin)) - 1)) << begin
        done += end - begin
    return distinct, number[packed]


def _runs(bits: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as runs of neighbours."""
    runs: list[tuple[int, int]] = []
    for bit in bits:
        if runs and runs[-1][1] == bit:
            runs[-1] = (runs[-1][0], bit + 1)
        else:
            runs.append((bit, bit + 1))
    return runs


def _summed_or_counted(keys: np.ndarray, weights: np.ndarray | None) -> Tally:
    if weights is None:
        return Tally.counting(keys)
    return Tally.of(keys, np.stack([np.ones(len(keys), np.int64), *weights], axis=1))


def _sliced(batch: Batch, begin: int, rows: int) -> Batch:
    def part(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[begin : begin + rows]

    columns: dict[str, pa.Array] = {name: array.slice(begin, rows) for name, array in batch.columns.items()}
    return Batch(
        columns,
        part(batch.scores),
        part(batch.decisions),
        part(batch.baseline_scores),
        part(batch.baseline_decisions),
        batch.negative_words,
    )
