"""The most accurate thresholds of several groups whose rates lie within a band.

Every rate of a group ascends along its frontier, so the candidates with a rate within a band are a stretch of
it, and the best of a stretch is looked up in two steps. Whatever is chosen, some group has the lowest rate:
so only the bands that begin at a candidate's rate have to be tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfx_trust.components.mitigation.frontier import Frontier

# Shares that are equal may differ in their last digits.
_ROUNDING = 1e-12
_AT_ONCE = 50_000


@dataclass(frozen=True)
class Choice:
    """A candidate for each group.

    Attributes
    ----------
    places
        Number of the candidate in each group's frontier; int64 of shape ``(groups,)``.
    correct
        Weight of the right decisions in these groups.
    gap
        The widest gap of a rate.
    """

    places: np.ndarray
    correct: float
    gap: float

    @classmethod
    def of(cls, frontiers: Sequence[Frontier], places: Sequence[int] | np.ndarray) -> Choice:
        """The choice of some candidates."""
        rates = np.stack([item.rates[:, place] for item, place in zip(frontiers, places, strict=True)])
        correct = sum(float(item.correct[place]) for item, place in zip(frontiers, places, strict=True))
        return cls(np.asarray(places, np.int64), correct, float(np.ptp(rates, axis=0).max()))


class Search:
    """Looks for the best choice within a gap; made once for all gaps.

    Parameters
    ----------
    frontiers
        One for each group, at least one, all of the same one or two rates.
    """

    def __init__(self, frontiers: Sequence[Frontier]) -> None:
        self.frontiers = list(frontiers)
        self._stretches = [_Stretches(item.rank) for item in frontiers]
        self._bands = [
            np.unique(np.concatenate([item.rates[row] for item in frontiers]))
            for row in range(len(frontiers[0].rates))
        ]

    @property
    def common(self) -> Choice:
        """The common threshold for all."""
        return Choice.of(self.frontiers, [item.common for item in self.frontiers])

    def within(self, gap: float) -> Choice:
        """The most accurate choice whose rates lie within a gap.

        Of equally accurate candidates of a group that nearest to the common threshold is taken, of equally
        accurate bands that with the smaller gap. There always is a choice: to decide nobody positive has no
        gap.

        Parameters
        ----------
        gap
            The widest gap allowed.
        """
        stretches = self._stretches_of(0, gap)
        found = self._of_one(stretches) if len(self._bands) == 1 else self._of_two(stretches, gap)
        return min(found, key=lambda choice: (-choice.correct, choice.gap, self._moved(choice)))

    def _moved(self, choice: Choice) -> float:
        pairs = zip(self.frontiers, choice.places, strict=True)
        return sum(abs(float(item.thresholds[place] - item.thresholds[item.common])) for item, place in pairs)

    def _stretches_of(self, row: int, gap: float) -> tuple[np.ndarray, np.ndarray]:
        """First and last candidate of each group within each band; int64 of shape ``(groups, bands)``."""
        bands = self._bands[row]
        rates = [item.rates[row] for item in self.frontiers]
        first = [np.searchsorted(rate, bands - _ROUNDING, side="left") for rate in rates]
        last = [np.searchsorted(rate, bands + gap + _ROUNDING, side="right") - 1 for rate in rates]
        return np.stack(first), np.stack(last)

    def _of_one(self, stretches: tuple[np.ndarray, np.ndarray]) -> list[Choice]:
        places, correct = self._best(*stretches)
        return self._choices(places, correct)

    def _of_two(self, stretches: tuple[np.ndarray, np.ndarray], gap: float) -> list[Choice]:
        """Bands of the first rate, each with those bands of the second that it can go with.

        What a band gives without a thought to the other is the most that it can give with it. So the most
        promising ones are tried first, and those that cannot reach what was found not at all.
        """
        others = self._stretches_of(1, gap)
        most, most_of_others = (self._best(*item)[1] for item in (stretches, others))
        usable = np.argsort(-most, kind="stable")
        usable = usable[np.isfinite(most[usable])]
        begin, end = self._others_of(stretches[0][:, usable], stretches[1][:, usable], gap)
        sizes = np.maximum(end - begin, 0)
        found: list[Choice] = []
        best = -np.inf
        for rows in _blocks(sizes):
            if most[usable[rows[0]]] < _nearly(best):
                break
            pairs = np.repeat(rows, sizes[rows])
            other = np.arange(len(pairs)) - np.repeat(np.cumsum(sizes[rows]) - sizes[rows], sizes[rows])
            other += begin[pairs]
            hopeful = np.minimum(most[usable[pairs]], most_of_others[other]) >= _nearly(best)
            band, other = usable[pairs[hopeful]], other[hopeful]
            low = np.maximum(stretches[0][:, band], others[0][:, other])
            high = np.minimum(stretches[1][:, band], others[1][:, other])
            found += self._choices(*self._best(low, high))
            best = max((choice.correct for choice in found), default=best)
        return found

    def _others_of(self, first: np.ndarray, last: np.ndarray, gap: float) -> tuple[np.ndarray, np.ndarray]:
        """The bands of the second rate that can go with some of the first, from one to before another.

        The lowest second rate of all groups lies between the lowest at the beginning of the stretches and
        the lowest at their ends, and no group may begin above its band.
        """
        ends = [
            np.stack([item.rates[1][places] for item, places in zip(self.frontiers, side, strict=True)])
            for side in (first, last)
        ]
        lowest = np.maximum(ends[0].min(axis=0), ends[0].max(axis=0) - gap)
        begin = np.searchsorted(self._bands[1], lowest - _ROUNDING, side="left")
        return begin, np.searchsorted(self._bands[1], ends[1].min(axis=0) + _ROUNDING, side="right")

    def _best(self, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best candidate of each stretch, ``(groups, bands)``, and what they get right, ``(bands,)``.

        Minus infinity where a group has no candidate.
        """
        possible = (first <= last).all(axis=0)
        first, last = np.where(possible, first, 0), np.where(possible, last, 0)
        pairs = zip(self._stretches, first, last, strict=True)
        places = np.stack([item.best(low, high) for item, low, high in pairs])
        correct = sum(item.correct[place] for item, place in zip(self.frontiers, places, strict=True))
        return places, np.where(possible, correct, -np.inf)

    def _choices(self, places: np.ndarray, correct: np.ndarray) -> list[Choice]:
        """The choices that get the most right."""
        most = float(np.max(correct, initial=-np.inf))
        if not np.isfinite(most):
            return []
        equal = np.flatnonzero(correct >= _nearly(most))
        return [Choice.of(self.frontiers, place) for place in np.unique(places[:, equal], axis=1).T]


def _nearly(correct: float) -> float:
    """A little less, so that sums of weights that are equal but for rounding count as such."""
    return correct - _ROUNDING * max(1.0, abs(correct)) if np.isfinite(correct) else correct


class _Stretches:
    """The best candidate of any stretch, from those of all stretches of 1, 2, 4, … (a sparse table)."""

    def __init__(self, rank: np.ndarray) -> None:
        self._where = np.argsort(rank)
        levels = [rank]
        while 2 ** len(levels) <= len(rank):
            before, width = levels[-1], 2 ** (len(levels) - 1)
            level = before.copy()
            level[: len(rank) - width] = np.minimum(before[:-width], before[width:])
            levels.append(level)
        self._levels = np.stack(levels)

    def best(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """The best candidate from each first one to each last one; int64."""
        # Two overlapping stretches of a power of two cover any.
        level = np.frexp((last - first + 1).astype(float))[1] - 1
        ranks = np.minimum(self._levels[level, first], self._levels[level, last + 1 - (1 << level)])
        found: np.ndarray = self._where[ranks]
        return found


def _blocks(sizes: np.ndarray) -> list[np.ndarray]:
    """Rows in blocks of about so many pairs at once."""
    if not len(sizes):
        return []
    block = np.cumsum(sizes) // _AT_ONCE
    return np.split(np.arange(len(sizes)), np.flatnonzero(np.diff(block)) + 1)
