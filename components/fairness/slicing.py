"""Counts by slice: cells summed over the features that a slice leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfx_trust.components.fairness import ranks
from tfx_trust.components.fairness.coding import CODE_BITS, Coder
from tfx_trust.components.fairness.count import (
    BIN_BITS,
    LEVEL_BITS,
    RANK_BITS,
    SCORE_LIMBS,
    SUM_BITS,
    WEIGHT_LIMBS,
    Counts,
    Part,
)
from tfx_trust.components.fairness.plan import Family
from tfx_trust.components.fairness.report import MISSING, OTHER, Pooled, Slice
from tfx_trust.components.fairness.tally import from_limbs


@dataclass(frozen=True)
class Amounts:
    """How many examples there are, and what they weigh.

    Attributes
    ----------
    count
        Examples, int64 of any shape.
    weight, square
        Sums of their weights and of the squares of these, float64 of that shape; both `count` without
        weights.
    """

    count: np.ndarray
    weight: np.ndarray
    square: np.ndarray

    def sum(self, axis: int | tuple[int, ...]) -> Amounts:
        """Summed over some axes."""
        return Amounts(self.count.sum(axis), self.weight.sum(axis), self.square.sum(axis))

    def __sub__(self, other: Amounts) -> Amounts:
        # Of sums of weights the difference may miss 0 by rounding.
        weight = np.maximum(self.weight - other.weight, 0)
        count = self.count - other.count
        return Amounts(
            count,
            np.where(count > 0, weight, 0.0),
            np.where(count > 0, np.maximum(self.square - other.square, 0), 0.0),
        )

    def __getitem__(self, index: object) -> Amounts:
        return Amounts(self.count[index], self.weight[index], self.square[index])

    @property
    def effective(self) -> np.ndarray:
        """The effective count (Kish 1965); never more than the count, whatever digits tiny weights lose."""
        found = np.divide(
            self.weight**2,
            self.square,
            out=np.zeros(np.shape(self.weight)),
            where=np.asarray(self.square) > 0,
        )
        return np.minimum(found, self.count)


@dataclass(frozen=True)
class Sliced:
    """The slices of one set of features, of one class against the rest.

    Attributes
    ----------
    family
        The features.
    slices
        Value by feature, of each slice.
    decided
        Examples of shape ``(slices, 2, levels)``: by label and level of the decision.
    binned
        Of shape ``(slices, bins, 2)``: by bin of the score and label; of one bin without scores.
    scores
        Weighted sums of scores by slice, bin and label, of that shape.
    errors
        Weighted sums of squared errors of scores and of their squares, of shape ``(slices, 2)``.
    there
        int64 of shape ``(slices,)``, ascending: what the values of each slice combine to.
    base, pooling, places, sizes
        How the cells of the counted set of features combine.
    """

    family: Family
    slices: list[Slice]
    decided: Amounts
    binned: Amounts
    scores: np.ndarray
    errors: np.ndarray
    there: np.ndarray
    base: Family
    pooling: tuple[np.ndarray, ...]
    places: tuple[int, ...]
    sizes: tuple[int, ...]

    def slice_of(self, cells: np.ndarray) -> np.ndarray:
        """The number of the slice that holds each cell of the counted set of features."""
        return np.searchsorted(self.there, _combined(cells, self.places, self.pooling, self.sizes))


class Pooling:
    """Which values of the features are slices of their own.

    Parameters
    ----------
    counts
        Canonical counts.
    """

    def __init__(self, counts: Counts) -> None:
        self.pooled: list[Pooled] = []
        self.tables: dict[str, np.ndarray] = {}
        self.names: dict[str, list[str]] = {}
        settings = counts.plan.settings
        for name in settings.features:
            examples = _examples_by_code(counts, name)
            self._pool(counts.coders[name], examples, settings.max_values, settings.reference.get(name))

    def _pool(self, coder: Coder, examples: np.ndarray, most: int, reference: str | None) -> None:
        values = coder.values
        table = np.arange(len(values) + 1)
        names = [MISSING, *values]
        if coder.edges is None and len(values) > most + 1:
            # Of equally frequent ones the first by name; the reference stays.
            order = sorted(
                range(1, len(values) + 1), key=lambda code: (values[code - 1] != reference, -examples[code])
            )
            kept = sorted(order[:most])
            table = np.zeros(len(values) + 1, np.int64)
            table[kept] = np.arange(1, most + 1)
            rest = order[most:]
            table[rest] = most + 1
            names = [MISSING, *(values[code - 1] for code in kept), OTHER]
            self.pooled.append(
                Pooled(feature=coder.name, values=len(rest), examples=int(examples[rest].sum()))
            )
        self.tables[coder.name] = table
        self.names[coder.name] = names


def _examples_by_code(counts: Counts, name: str) -> np.ndarray:
    base = counts.plan.base_of((name,))
    tally = counts.parts[0].sums[base].tally
    codes = (tally.keys >> (SUM_BITS + CODE_BITS * base.index(name))) & ((1 << CODE_BITS) - 1)
    found = np.zeros(len(counts.coders[name].values) + 1, np.int64)
    np.add.at(found, codes, tally.sums[:, 0])
    return found


def _combined(
    cells: np.ndarray, places: Sequence[int], pooling: Sequence[np.ndarray], sizes: Sequence[int]
) -> np.ndarray:
    """One number for the values of some of a cell's features."""
    combined = np.zeros(len(cells), np.int64)
    for place, table, size in zip(places, pooling, sizes, strict=True):
        combined = combined * size + table[(cells >> (CODE_BITS * place)) & ((1 << CODE_BITS) - 1)]
    return combined


def sliced(counts: Counts, part: Part, family: Family, pooling: Pooling) -> Sliced:
    """The slices of some features, from canonical counts; of no feature, all examples."""
    plan = counts.plan
    base = plan.base_of(family) if family else plan.bases[0]
    tally = part.sums[base].tally
    places = tuple(base.index(name) for name in family)
    tables = tuple(pooling.tables[name] for name in family)
    sizes = tuple(len(pooling.names[name]) for name in family)
    combined = _combined(tally.keys >> SUM_BITS, places, tables, sizes)
    there = np.unique(combined)
    slices = []
    for number in there.tolist():
        values = {}
        for name, size in zip(reversed(family), reversed(sizes), strict=True):
            number, code = divmod(number, size)
            values[name] = pooling.names[name][code]
        slices.append({name: values[name] for name in family})
    own = np.searchsorted(there, combined)
    bins, level, label = _fields(tally.keys)
    weighted = plan.settings.weight is not None
    shape = (len(there), 2, plan.levels)
    by_level = _added(tally.sums, shape, (own, label, level))
    # Without scores all are in one bin.
    number_of_bins = plan.settings.calibration_bins if plan.scored else 1
    by_bin = _added(tally.sums, (len(there), number_of_bins, 2), (own, bins, label))
    limbs = WEIGHT_LIMBS if weighted else SCORE_LIMBS
    width, begin = limbs[0] - limbs[1] + 1, _begin(weighted)
    scores = np.zeros(by_bin.shape[:3])
    errors = np.zeros((len(there), 2))
    if plan.scored:
        scores = from_limbs(by_bin[..., begin : begin + width], limbs[0])
        total = by_bin.sum(axis=(1, 2))
        for place in range(2):
            first = begin + width * (place + 1)
            errors[:, place] = from_limbs(total[:, first : first + width], limbs[0])
    return Sliced(
        family=family,
        slices=slices,
        decided=_amounts(by_level, weighted),
        binned=_amounts(by_bin, weighted),
        scores=scores,
        errors=errors,
        there=there,
        base=base,
        pooling=tables,
        places=places,
        sizes=sizes,
    )


def weight_of_all(counts: Counts) -> float:
    """The sum of all weights."""
    width = WEIGHT_LIMBS[0] - WEIGHT_LIMBS[1] + 1
    limbs = counts.parts[0].sums[counts.plan.bases[0]].tally.sums[:, 1 : 1 + width]
    return float(from_limbs(limbs.sum(axis=0), WEIGHT_LIMBS[0]))


def _fields(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bin of the score, level of the decision, and label."""
    bins = (keys >> (LEVEL_BITS + 1)) & ((1 << BIN_BITS) - 1)
    return bins, (keys >> 1) & ((1 << LEVEL_BITS) - 1), keys & 1


def _added(sums: np.ndarray, shape: tuple[int, ...], index: tuple[np.ndarray, ...]) -> np.ndarray:
    found = np.zeros((*shape, sums.shape[1]), np.int64)
    np.add.at(found, index, sums)
    return found


def _begin(weighted: bool) -> int:
    return 1 + (2 * (WEIGHT_LIMBS[0] - WEIGHT_LIMBS[1] + 1) if weighted else 0)


def _amounts(sums: np.ndarray, weighted: bool) -> Amounts:
    count = sums[..., 0]
    if not weighted:
        return Amounts(count, count.astype(float), count.astype(float))
    width = WEIGHT_LIMBS[0] - WEIGHT_LIMBS[1] + 1
    first, second = sums[..., 1 : 1 + width], sums[..., 1 + width : 1 + 2 * width]
    return Amounts(count, from_limbs(first, WEIGHT_LIMBS[0]), from_limbs(second, WEIGHT_LIMBS[0]))


@dataclass(frozen=True)
class Ranked:
    """Examples by cell, rank of the score and label, in that order.

    Attributes
    ----------
    cell, label
        Of each entry, int64.
    rank
        Place of its rank among those that there are.
    amount
        Its examples' weight, float64.
    middles
        A score of each rank, ascending.
    mixed
        Which ranks have different scores in them.
    """

    cell: np.ndarray
    rank: np.ndarray
    label: np.ndarray
    amount: np.ndarray
    middles: np.ndarray
    mixed: np.ndarray


def ranked(counts: Counts, part: Part, base: Family) -> Ranked:
    """The ranks of one counted set of features."""
    tally = part.ranked[base].tally
    rank = (tally.keys >> 1) & ((1 << ranks.BITS) - 1)
    known = part.mixed.tally
    examples, first, second = known.sums.T
    amount = tally.sums[:, 0].astype(float)
    if counts.plan.settings.weight is not None:
        amount = from_limbs(tally.sums[:, 1:], WEIGHT_LIMBS[0])
    return Ranked(
        cell=tally.keys >> RANK_BITS,
        rank=np.searchsorted(known.keys, rank),
        label=tally.keys & 1,
        amount=amount,
        middles=ranks.middles(known.keys),
        # All are the same where their mean square is the square of their mean, which is whole.
        mixed=(first % examples != 0) | (second != first // examples * first),
    )
