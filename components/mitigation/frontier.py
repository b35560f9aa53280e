"""What each threshold would do to a group: its rates and its right decisions, from sorted scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfx_trust.components.mitigation.config import Compare

# Beyond probabilities on either side, and no denormal, which some devices take for 0.
_ABOVE = float(np.nextafter(np.float32(1), np.float32(2)))
_BELOW = -(2.0**-24)


@dataclass(frozen=True)
class Tally:
    """The scores of a group, and what is decided positive from each on.

    Attributes
    ----------
    scores
        Distinct scores, ascending, float64 of shape ``(scores,)``.
    positive, negative
        Weight of the positive and negative labels at or above each score; float64 of shape ``(scores + 1,)``,
        the last of which is 0: of no example.
    squares
        Sums of squared weights of the positive and negative labels, for effective counts.
    counts
        Examples with a positive and a negative label.
    """

    scores: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    squares: tuple[float, float]
    counts: tuple[int, int]

    @classmethod
    def of(cls, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> Tally:
        """From examples: scores, labels (0 or 1) and weights, each of shape ``(rows,)``."""
        distinct, places = np.unique(scores, return_inverse=True)
        weights = np.ones(len(scores)) if weights is None else weights
        is_positive = labels == 1
        squares = weights * weights
        return cls(
            distinct,
            _from_the_top(places, np.where(is_positive, weights, 0.0), len(distinct)),
            _from_the_top(places, np.where(is_positive, 0.0, weights), len(distinct)),
            (float(squares[is_positive].sum()), float(squares[~is_positive].sum())),
            (int(is_positive.sum()), int((~is_positive).sum())),
        )

    @property
    def positives(self) -> float:
        """Weight of the positive labels."""
        return float(self.positive[0])

    @property
    def negatives(self) -> float:
        """Weight of the negative labels."""
        return float(self.negative[0])

    def effective(self) -> tuple[float, float, float]:
        """Effective counts (Kish 1965) of positive, negative and all examples."""
        sums = self.positives, self.negatives, self.positives + self.negatives
        squares = (*self.squares, sum(self.squares))
        first, second, both = (a * a / b if b > 0 else 0.0 for a, b in zip(sums, squares, strict=True))
        return first, second, both

    def place(self, threshold: float, compare: Compare) -> int:
        """How many of the distinct scores a threshold decides negative."""
        return int(np.searchsorted(self.scores, threshold, side="left" if compare == ">=" else "right"))


def _from_the_top(places: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    sums = np.bincount(places.ravel(), weights, minlength=size)
    return np.append(np.cumsum(sums[::-1])[::-1], 0.0)


@dataclass(frozen=True)
class Frontier:
    """Thresholds of a group that may be taken, from the one that decides nobody positive on.

    Attributes
    ----------
    thresholds
        float64 of shape ``(candidates,)``, each a float32; descending.
    rates
        Rates that are to be alike, ascending, float64 of shape ``(rates, candidates)``.
    correct
        Weight of right decisions, float64 of shape ``(candidates,)``.
    rank
        0 is the most accurate candidate, of equal ones that nearest to the common threshold; int64.
    common
        Which candidate is the common threshold.
    """

    thresholds: np.ndarray
    rates: np.ndarray
    correct: np.ndarray
    rank: np.ndarray
    common: int

    @classmethod
    def of(cls, tally: Tally, rates: tuple[str, ...], common: float, compare: Compare, most: int) -> Frontier:
        """The candidates of a group: one between each two of its scores, at most so many.

        Parameters
        ----------
        tally
            The group.
        rates
            Names of the rates that are to be alike.
        common
            The common threshold, a float32; always a candidate.
        compare
            How scores are compared with it.
        most
            About how many candidates to keep. Of those between which no rate moves by a step, the most
            accurate one is kept.
        """
        place = tally.place(common, compare)
        thresholds, usable = _between(tally.scores, compare)
        thresholds[place], usable[place] = common, True
        # Descending thresholds, ascending rates.
        order = np.flatnonzero(usable)[::-1]
        thresholds, positive, negative = thresholds[order], tally.positive[order], tally.negative[order]
        shares = {
            "selection_rate": _share(positive + negative, tally.positives + tally.negatives),
            "true_positive_rate": _share(positive, tally.positives),
            "false_positive_rate": _share(negative, tally.negatives),
        }
        rows = np.stack([shares[name] for name in rates])
        correct = positive + (tally.negatives - negative)
        rank = np.empty(len(order), np.int64)
        rank[np.lexsort((thresholds, np.abs(thresholds - common), -correct))] = np.arange(len(order))
        here = int(np.flatnonzero(order == place)[0])
        kept = _kept(rows, rank, here, most)
        return cls(
            thresholds[kept],
            rows[:, kept],
            correct[kept],
            np.argsort(np.argsort(rank[kept])),
            int(np.searchsorted(kept, here)),
        )

    @property
    def step(self) -> float:
        """The largest step of a rate between neighbouring candidates."""
        return float(np.diff(self.rates, axis=1).max(initial=0.0))


def _share(part: np.ndarray, whole: float) -> np.ndarray:
    return part / whole if whole > 0 else np.zeros(len(part))


def _between(scores: np.ndarray, compare: Compare) -> tuple[np.ndarray, np.ndarray]:
    """A threshold below each score and one above the last, float32 values; and whether there is one.

    Halfway between two scores, so that a score that is another in its last digit is decided alike.
    """
    below, above = scores[:-1], scores[1:]
    # Halved first: the sum of the two may be rounded up to the upper one.
    middle = (below / 2 + above / 2).astype(np.float32).astype(float)
    at_least = compare == ">="
    apart = (below < middle) & (middle <= above) if at_least else (below <= middle) & (middle < above)
    # No float32 lies between neighbours: one of the two is the bound, if it is a float32.
    end = (above if at_least else below).astype(np.float32).astype(float)
    exact = end == (above if at_least else below)
    inner = np.where(apart, middle, end)
    everyone, nobody = (0.0, _ABOVE) if at_least else (_BELOW, 1.0)
    return np.concatenate([[everyone], inner, [nobody]]), np.concatenate([[True], apart | exact, [True]])


def _kept(rates: np.ndarray, rank: np.ndarray, common: int, most: int) -> np.ndarray:
    """Candidates to keep, ascending: the best of each step of the rates, the common one and both ends."""
    steps = np.arange(rates.shape[1])
    if rates.shape[1] > most:
        # All rates ascend, so their sum is a way along the frontier on which no rate moves faster.
        steps = np.floor(rates.sum(axis=0) * (most / rates.shape[0])).astype(np.int64)
    elif rates.shape[0] == 1:
        # Candidates of equal rates differ in accuracy alone.
        steps = rates[0]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(steps)) + 1])
    best = np.minimum.reduceat(rank, starts)
    where = np.empty(len(rank), np.int64)
    where[rank] = np.arange(len(rank))
    return np.unique([*where[best], 0, common, rates.shape[1] - 1])
