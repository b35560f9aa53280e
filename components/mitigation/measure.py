"""Rates of groups, accuracy and gap under some thresholds, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfx_trust.components import intervals
from tfx_trust.components.mitigation.config import ThresholdSettings
from tfx_trust.components.mitigation.frontier import Tally
from tfx_trust.components.mitigation.report import Outcome
from tfx_trust.components.report import Estimate

SELECTION, TRUE_POSITIVE, FALSE_POSITIVE, ACCURACY = (
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "accuracy",
)


@dataclass(frozen=True)
class Sample:
    """Examples that decisions are measured on.

    Attributes
    ----------
    groups
        A tally for each group.
    rest
        Of the examples that are in none: the common threshold decides them always.
    """

    groups: list[Tally]
    rest: Tally

    @classmethod
    def of(
        cls,
        numbers: np.ndarray,
        size: int,
        scores: np.ndarray,
        labels: np.ndarray,
        weights: np.ndarray | None,
    ) -> Sample:
        """From examples.

        Parameters
        ----------
        numbers
            Group of each, negative for none; int64 of shape ``(rows,)``, as all that follow.
        size
            Number of groups.
        scores, labels, weights
            Of the examples; no weights if not given.
        """
        order = np.argsort(numbers, kind="stable")
        bounds = np.searchsorted(numbers[order], np.arange(size + 1))
        parts = np.split(order, bounds)
        tallies = [
            Tally.of(scores[rows], labels[rows], None if weights is None else weights[rows])
            for rows in parts[: size + 1]
        ]
        return cls(tallies[1:], tallies[0])


@dataclass(frozen=True)
class Decided:
    """A sample under one threshold a group.

    Attributes
    ----------
    shares, counts
        By rate, of each group: float64 of shape ``(groups,)``; NaN where undefined; and the effective count.
    right
        Weight of right decisions, the rest included.
    total, effective
        Weight of all examples, and their effective count.
    """

    shares: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]
    right: float
    total: float
    effective: float

    @classmethod
    def of(
        cls, sample: Sample, thresholds: Sequence[float], settings: ThresholdSettings, common: float
    ) -> Decided:
        """Decides a sample."""
        tallies = [*sample.groups, sample.rest]
        places = [
            item.place(bound, settings.compare)
            for item, bound in zip(tallies, [*thresholds, common], strict=True)
        ]
        positive = np.array([item.positive[place] for item, place in zip(tallies, places, strict=True)])
        negative = np.array([item.negative[place] for item, place in zip(tallies, places, strict=True)])
        positives = np.array([item.positives for item in tallies])
        negatives = np.array([item.negatives for item in tallies])
        right = positive + (negatives - negative)
        effective = np.array([item.effective() for item in tallies])
        wholes = {
            SELECTION: (positive + negative, positives + negatives, effective[:, 2]),
            TRUE_POSITIVE: (positive, positives, effective[:, 0]),
            FALSE_POSITIVE: (negative, negatives, effective[:, 1]),
            ACCURACY: (right, positives + negatives, effective[:, 2]),
        }
        squares = sum(sum(item.squares) for item in tallies)
        total = float((positives + negatives).sum())
        return cls(
            {name: _shares(part, whole)[:-1] for name, (part, whole, _) in wholes.items()},
            {name: count[:-1] for name, (_, _, count) in wholes.items()},
            float(right.sum()),
            total,
            total * total / squares if squares > 0 else 0.0,
        )

    @property
    def accuracy(self) -> float:
        """Share of right decisions."""
        return self.right / self.total

    def gap(self, rates: Sequence[str], enough: np.ndarray) -> float:
        """The widest gap of a rate between two of those groups that have enough examples; 0 of fewer."""
        return max(_spread(self.shares[name][enough]) for name in rates)

    def enough(self, settings: ThresholdSettings) -> np.ndarray:
        """Which groups have enough examples in the denominator of each rate that is to be alike."""
        rows = [self.counts[name] >= settings.min_count for name in settings.rates]
        found: np.ndarray = np.logical_and.reduce(rows)
        return found

    def outcome(self, settings: ThresholdSettings, enough: np.ndarray) -> Outcome:
        """Accuracy and gap with their intervals."""
        low, high = intervals.wilson(self.accuracy, self.effective, settings.level)
        accuracy = _estimate(self.accuracy, low, high, self.effective, settings.level, "wilson")
        rates = settings.rates
        # Of several rates any may have the widest gap: their intervals hold together.
        level = 1 - (1 - settings.level) / len(rates)
        ends = [_widest(self.shares[name][enough], self.counts[name][enough], level) for name in rates]
        gap = _estimate(
            self.gap(rates, enough),
            max(end[0] for end in ends),
            max(end[1] for end in ends),
            min(float(self.counts[name][enough].min(initial=np.inf)) for name in rates),
            settings.level,
            "newcombe, bonferroni",
        )
        return Outcome(accuracy=accuracy, gap=gap)

    def estimates(self, group: int, level: float) -> dict[str, Estimate]:
        """Rates and accuracy of a group; those without a denominator are left out."""
        found = {}
        for name, shares in self.shares.items():
            share, count = float(shares[group]), float(self.counts[name][group])
            if not np.isnan(share):
                low, high = intervals.wilson(share, count, level)
                found[name] = _estimate(share, low, high, count, level, "wilson")
        return found


def paid(sample: Sample, thresholds: Sequence[float], settings: ThresholdSettings, common: float) -> Estimate:
    """Accuracy by the common threshold less that by others, on the same examples, with a paired interval."""
    worse = better = 0.0
    for item, bound in zip(sample.groups, thresholds, strict=True):
        before, after = item.place(common, settings.compare), item.place(bound, settings.compare)
        # The scores between the two thresholds are decided differently, and no other.
        positive = float(item.positive[before] - item.positive[after])
        negative = float(item.negative[before] - item.negative[after])
        worse += max(positive, 0.0) + max(-negative, 0.0)
        better += max(-positive, 0.0) + max(negative, 0.0)
    whole = Decided.of(sample, [common] * len(sample.groups), settings, common)
    value = (worse - better) / whole.total
    scale = whole.effective / whole.total
    low, high = intervals.paired(
        np.array(worse * scale), np.array(better * scale), np.array(whole.effective), settings.level
    )
    return _estimate(value, low, high, whole.effective, settings.level, "bonett-price")


def _estimate(value: float, low: object, high: object, count: float, level: float, method: str) -> Estimate:
    first, last = float(low), float(high)  # type: ignore[arg-type]
    number = round(count) if np.isfinite(count) else 0
    return Estimate(
        value=value, low=min(first, value), high=max(last, value), count=number, level=level, method=method
    )


def _shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def _spread(values: np.ndarray) -> float:
    return float(values.max() - values.min()) if len(values) > 1 else 0.0


def _widest(values: np.ndarray, counts: np.ndarray, level: float) -> tuple[float, float]:
    """Ends of the widest gap: intervals of all pairs of groups that hold together (Bonferroni)."""
    size = len(values)
    if size < 2:
        return 0.0, 1.0
    first, second = np.triu_indices(size, 1)
    low, high = intervals.newcombe(
        values[first], counts[first], values[second], counts[second], 1 - (1 - level) / len(first)
    )
    # The absolute gap of a pair: 0 where its interval holds 0.
    return max(0.0, float(np.maximum(low, -high).max())), float(np.maximum(high, -low).max())
