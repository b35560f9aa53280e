"""One number for all slices of some features: the widest gap between any two of them, and its interval.

The widest of many estimated gaps is wider than the true one, and so would its plain interval be. But where
intervals hold for all pairs of slices together (Bonferroni), the true widest gap lies between the greatest of
their lower ends and the greatest of their upper ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tfx_trust.components import intervals
from tfx_trust.components.fairness.columns import Column
from tfx_trust.components.fairness.config import DECISION_METRICS, FairnessSettings
from tfx_trust.components.fairness.measure import EVERYTHING, Measured
from tfx_trust.components.fairness.report import Disparity

# The names of the literature (Barocas, Hardt & Narayanan 2023, chapter 3), by metric.
_NAMES = {
    "selection_rate": "demographic_parity_difference",
    "true_positive_rate": "equal_opportunity_difference",
    "precision": "predictive_parity_difference",
    "calibration_in_the_large": "calibration_gap",
}
# All pairs at once; more slices are taken a block of pairs at a time.
_BLOCK = 512


@dataclass(frozen=True)
class _Widest:
    value: float
    low: float
    high: float
    highest: int
    lowest: int


def disparities(measured: Sequence[Measured], settings: FairnessSettings) -> list[Disparity]:
    """The disparities of every set of features."""
    return [
        item
        for one in measured
        if one.sliced.family != EVERYTHING and len(one.slices) > 1
        for item in _of_family(one, settings)
    ]


def _of_family(measured: Measured, settings: FairnessSettings) -> Iterator[Disparity]:
    columns = measured.columns
    level = settings.level
    for metric, column in columns.items():
        if metric in ("true_negative_rate", "brier"):
            # The gap of the one is that of the false positive rate; the other depends on how many are
            # positive.
            continue
        enough = _enough(column, settings)
        widest = _widest(column, enough, level)
        name = _NAMES.get(metric, f"worst_gap_{metric}")
        yield _disparity(measured, name, enough, widest, _plain(column))
    yield _ratio(measured, settings)
    both = [columns[name] for name in ("true_positive_rate", "false_positive_rate")]
    enough = np.logical_and(*(_enough(column, settings) for column in both))
    # Either may be the wider: the two intervals hold together at half the error each.
    found = [_widest(column, enough, (1 + level) / 2) for column in both]
    known = [item for item in found if item is not None]
    widest = max(known, key=lambda item: item.value) if known else None
    if widest is not None:
        widest = _Widest(
            widest.value,
            max(item.low for item in known),
            max(item.high for item in known),
            widest.highest,
            widest.lowest,
        )
    over_all = [value for value in map(_plain, both) if value is not None]
    yield _disparity(measured, "equalized_odds_difference", enough, widest, max(over_all, default=None))


def _enough(column: Column, settings: FairnessSettings) -> np.ndarray:
    return column.enough(settings.min_count) & ~np.isnan(column.value)


def _disparity(
    measured: Measured, name: str, enough: np.ndarray, widest: _Widest | None, over_all: float | None
) -> Disparity:
    return Disparity(
        name=name,
        by=list(measured.sliced.family),
        label_class=measured.label_class,
        value=None if widest is None else widest.value,
        low=None if widest is None else widest.low,
        high=None if widest is None else widest.high,
        highest=None if widest is None else measured.slices[widest.highest],
        lowest=None if widest is None else measured.slices[widest.lowest],
        slices=int(enough.sum()),
        left_out=int((~enough).sum()),
        over_all=over_all,
    )


def _plain(column: Column) -> float | None:
    """The greatest less the smallest, of all slices in which the metric is defined."""
    known = column.value[~np.isnan(column.value)]
    return float(known.max() - known.min()) if len(known) > 1 else None


def _widest(column: Column, enough: np.ndarray, level: float) -> _Widest | None:
    """The widest gap between two slices; none where fewer than two have enough examples."""
    places = np.flatnonzero(enough)
    if len(places) < 2:
        return None
    values = column.value[places]
    highest, lowest = int(places[np.argmax(values)]), int(places[np.argmin(values)])
    low, high = 0.0, 0.0
    for first, second in _pairs(places):
        ends = column.take(first).difference(column.take(second), _bonferroni(level, len(places)))
        # The absolute gap of a pair: 0 where its interval holds 0.
        low = max(low, float(np.maximum(ends[0], -ends[1]).max()))
        high = max(high, float(np.maximum(ends[1], -ends[0]).max()))
    return _Widest(float(values.max() - values.min()), low, high, highest, lowest)


def _bonferroni(level: float, slices: int) -> float:
    return 1 - (1 - level) / (slices * (slices - 1) / 2)


def _pairs(places: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for begin in range(0, len(places) - 1, _BLOCK):
        rows = np.arange(begin, min(begin + _BLOCK, len(places) - 1))
        first = np.repeat(rows, len(places) - 1 - rows)
        second = np.concatenate([np.arange(row + 1, len(places)) for row in rows])
        yield places[first], places[second]


def _ratio(measured: Measured, settings: FairnessSettings) -> Disparity:
    """The smallest selection rate divided by the greatest, as in the four-fifths rule."""
    column = measured.columns[DECISION_METRICS[0]]
    enough = _enough(column, settings)
    places = np.flatnonzero(enough)
    widest = None
    if len(places) > 1 and column.value[places].max() > 0:
        values = column.value[places]
        low, high = 1.0, 1.0
        for first, second in _pairs(places):
            a, b = column.take(first), column.take(second)
            ends = intervals.ratio(
                a.value, a.basis, b.value, b.basis, _bonferroni(settings.level, len(places))
            )
            with np.errstate(divide="ignore"):
                inverse = 1 / ends[1], 1 / ends[0]
            low = min(low, float(np.minimum(ends[0], inverse[0]).min()))
            # Of the smaller to the larger: 1 where the interval holds 1.
            high = min(high, float(np.where(ends[0] > 1, inverse[1], np.minimum(ends[1], 1)).min()))
        widest = _Widest(
            float(values.min() / values.max()),
            low,
            high,
            int(places[np.argmax(values)]),
            int(places[np.argmin(values)]),
        )
    known = column.value[~np.isnan(column.value)]
    over_all = float(known.min() / known.max()) if len(known) > 1 and known.max() > 0 else None
    return _disparity(measured, "demographic_parity_ratio", enough, widest, over_all)
