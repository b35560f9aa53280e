"""The most accurate thresholds of several groups whose rates lie within a band.

Every rate of a group ascends along its frontier, so the candidates with a rate within a band are a stretch of
it, and the best of a stretch is looked up in two steps. Whatever is chosen, some group has the lowest rate: so
only the bands that begin at a candidate's rate have to be tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfx_trust.components.mitigation.frontier import Frontier

# Shares that are equal may differ in their last digits.
_ROUNDING = 1e-12
_AT_ONCE = 200_000


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
        first, last = stretches
        return self._best(first, last, (first <= last).all(axis=0))

    def _of_two(self, stretches: tuple[np.ndarray, np.ndarray], gap: float) -> list[Choice]:
        """Bands of the first rate, each with those bands of the second that it can go with."""
        first, last = stretches
        second_first, second_last = self._stretches_of(1, gap)
        bands = self._bands[1]
        usable = np.flatnonzero((first <= last).all(axis=0))
        ends = [
            np.stack([item.rates[1][places] for item, places in zip(self.frontiers, side, strict=True)])
            for side in (first[:, usable], last[:, usable])
        ]
        # The lowest rate of all groups lies between the lowest at the beginning of the stretches and the
        # lowest at their ends, and no group may begin above its band.
        lowest = np.maximum(ends[0].min(axis=0), ends[0].max(axis=0) - gap)
        begin = np.searchsorted(bands, lowest - _ROUNDING, side="left")
        end = np.searchsorted(bands, ends[1].min(axis=0) + _ROUNDING, side="right")
        found: list[Choice] = []
        for rows in _blocks(np.maximum(end - begin, 0)):
            number = np.maximum(end - begin, 0)[rows]
            pairs = np.repeat(rows, number)
            other = np.arange(len(pairs)) - np.repeat(np.cumsum(number) - number, number) + begin[pairs]
            low = np.maximum(first[:, usable[pairs]], second_first[:, other])
            high = np.minimum(last[:, usable[pairs]], second_last[:, other])
            found += self._best(low, high, (low <= high).all(axis=0))
        return found

    def _best(self, first: np.ndarray, last: np.ndarray, possible: np.ndarray) -> list[Choice]:
        """The choices of the highest accuracy among some stretches, of shape ``(groups, bands)``."""
        first, last = first[:, possible], last[:, possible]
        if not first.shape[1]:
            return []
        pairs = zip(self._stretches, first, last, strict=True)
        places = np.stack([item.best(low, high) for item, low, high in pairs])
        correct = sum(item.correct[place] for item, place in zip(self.frontiers, places, strict=True))
        most = float(np.max(correct))
        equal = np.flatnonzero(correct >= most - _ROUNDING * max(1.0, abs(most)))
        return [Choice.of(self.frontiers, place) for place in np.unique(places[:, equal], axis=1).T]


class _Stretches:
    """The best candidate of any stretch: a table of the best of all stretches of 1, 2, 4, … (a sparse table)."""

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
