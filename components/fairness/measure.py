"""From counts to metrics by slice, and the same of what each slice is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tfx_trust.components.errors import unknown
from tfx_trust.components.fairness import curves, rates
from tfx_trust.components.fairness.columns import Column
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.count import Counts, Part
from tfx_trust.components.fairness.plan import Family
from tfx_trust.components.fairness.report import REST, Slice
from tfx_trust.components.fairness.slicing import Amounts, Pooling, Ranked, Sliced, ranked, sliced

EVERYTHING: Family = ()


@dataclass(frozen=True)
class Measured:
    """The metrics of the slices of one set of features, of one class against the rest.

    Attributes
    ----------
    sliced
        The slices and their counts.
    label_class
        The class; none for a label of two values.
    columns
        Metric by name.
    references
        The same of what each slice is compared with.
    compared
        Which slices are compared: all but the reference itself.
    reference
        The slice that they are compared with, or ``rest``.
    by_threshold
        Rates of decisions at each of several thresholds, by threshold.
    calibration
        Plain calibration error, and what chance gives; none without scores.
    """

    sliced: Sliced
    label_class: str | None
    columns: Mapping[str, Column]
    references: Mapping[str, Column]
    compared: np.ndarray
    reference: Slice | Literal["rest"]
    by_threshold: Mapping[float, Mapping[str, Column]]
    calibration: curves.Calibration | None

    @property
    def slices(self) -> list[Slice]:
        """Value by feature, of each slice."""
        return self.sliced.slices

    @property
    def mirrored(self) -> bool:
        """Whether there are two slices, each all that is outside the other: one comparison, told twice."""
        return self.reference == REST and len(self.slices) == 2


def measure(counts: Counts, pooling: Pooling) -> list[Measured]:
    """All metrics, by class and set of features; that of no feature, all examples, comes first."""
    found = []
    for name, part in zip(counts.plan.classes, counts.parts, strict=True):
        everything = sliced(counts, part, EVERYTHING, pooling)
        for base in counts.plan.bases:
            scores = _Scores.of(counts, part, base, pooling, everything)
            if base == everything.base:
                found.append(_of_all(counts, everything, name, scores))
            families = [item for item in counts.plan.settings.families if counts.plan.base_of(item) == base]
            found += [_measured(counts, part, name, item, pooling, everything, scores) for item in families]
    order = [EVERYTHING, *counts.plan.settings.families]
    return sorted(
        found, key=lambda item: (counts.plan.classes.index(item.label_class), order.index(item.sliced.family))
    )


@dataclass(frozen=True)
class _Scores:
    """The ranks of scores of one counted set of features, and their replicates."""

    entries: Ranked
    bootstrap: curves.Bootstrap

    @classmethod
    def of(
        cls, counts: Counts, part: Part, base: Family, pooling: Pooling, everything: Sliced
    ) -> _Scores | None:
        if not counts.plan.scored:
            return None
        settings = counts.plan.settings
        entries = ranked(counts, part, base)
        own = sliced(counts, part, base, pooling).slice_of(entries.cell)
        total = everything.decided.sum((0, 1, 2))
        inflation = float(total.square / total.weight)
        bootstrap = curves.Bootstrap(
            entries, own, inflation, settings.calibration_bins, settings.replicates, settings.seed
        )
        return cls(entries, bootstrap)


def _of_all(counts: Counts, everything: Sliced, name: str | None, scores: _Scores | None) -> Measured:
    columns, _, calibration = _columns(counts, everything, None, scores)
    return Measured(
        everything,
        name,
        columns,
        {},
        np.zeros(0, np.int64),
        REST,
        _at_thresholds(counts, everything),
        calibration,
    )


def _measured(
    counts: Counts,
    part: Part,
    name: str | None,
    family: Family,
    pooling: Pooling,
    everything: Sliced,
    scores: _Scores | None,
) -> Measured:
    found = sliced(counts, part, family, pooling)
    columns, rests, calibration = _columns(counts, found, everything, scores)
    reference = _reference(counts.plan.settings, found)
    compared = np.arange(len(found.slices))
    if reference is not None:
        rests = {key: column.take(np.full(len(compared), reference)) for key, column in columns.items()}
        rests = {key: column.take(compared != reference) for key, column in rests.items()}
        compared = compared[compared != reference]
    return Measured(
        found,
        name,
        columns,
        rests,
        compared,
        REST if reference is None else found.slices[reference],
        _at_thresholds(counts, found),
        calibration,
    )


def _reference(settings: FairnessSettings, found: Sliced) -> int | None:
    """The slice that the others are compared with, where the settings name one for each feature."""
    if not all(name in settings.reference for name in found.family):
        return None
    wanted = {name: settings.reference[name] for name in found.family}
    if wanted not in found.slices:
        if len(found.family) > 1:
            # Of crossed features it may be that nobody has both values.
            return None
        (name,) = found.family
        raise unknown(f"reference value of {name!r}", wanted[name], [item[name] for item in found.slices])
    return found.slices.index(wanted)


def _at_thresholds(counts: Counts, found: Sliced) -> dict[float, dict[str, Column]]:
    thresholds = counts.plan.thresholds
    if len(thresholds) < 2:
        return {}
    return {
        threshold: _rates(rates.at_threshold(found.decided, place))
        for place, threshold in enumerate(thresholds)
    }


def decisions(counts: Counts, decided: Amounts) -> Amounts:
    """Examples by label and the decision that is judged, of shape ``(slices, 2, 2)``."""
    thresholds = counts.plan.thresholds
    if not thresholds:
        return decided
    return rates.at_threshold(decided, thresholds.index(counts.plan.settings.thresholds[0]))


def _rates(decided: Amounts) -> dict[str, Column]:
    return {name: Column.of_shares(shares) for name, shares in rates.decision_rates(decided).items()}


def _columns(
    counts: Counts, found: Sliced, everything: Sliced | None, scores: _Scores | None
) -> tuple[dict[str, Column], dict[str, Column], curves.Calibration | None]:
    """Metrics of the slices, and of all examples outside each; these only if all examples are given."""
    decided = decisions(counts, found.decided)
    columns = _rates(decided)
    rests: dict[str, Column] = {}
    if everything is not None:
        rests = _rates(decisions(counts, everything.decided) - decided)
    if scores is None:
        return columns, rests, None
    own = found.slice_of(scores.entries.cell)
    area, rest_area = curves.areas(scores.entries, own, len(found.slices))
    spread = scores.bootstrap.spread(found)
    calibration = curves.calibration(found.binned, found.scores)
    columns |= _of_scores(
        found.binned, found.scores, found.errors, area, spread.auc, calibration, spread.calibration
    )
    if everything is not None:
        binned, sums = everything.binned - found.binned, everything.scores - found.scores
        errors = np.maximum(everything.errors - found.errors, 0)
        rest_calibration = curves.calibration(binned, sums)
        rests |= _of_scores(
            binned, sums, errors, rest_area, spread.rest_auc, rest_calibration, spread.rest_calibration
        )
    return columns, rests, calibration


def _of_scores(
    binned: Amounts,
    scores: np.ndarray,
    errors: np.ndarray,
    area: curves.Areas,
    area_deviation: np.ndarray,
    calibration: curves.Calibration,
    calibration_deviation: np.ndarray,
) -> dict[str, Column]:
    by_label = binned.sum(1)
    every = by_label.sum(1)
    negatives, positives = by_label.effective.T
    basis = curves.ranking_count(area.value, area_deviation, positives, negatives)
    smaller = np.minimum(positives, negatives)
    auc = Column(area.value, by_label.count.min(axis=1), smaller, basis, bound=area.bound)
    error = Column(
        np.where(every.count > 0, calibration.value, np.nan),
        every.count,
        every.effective,
        calibration_deviation,
        shares=False,
        bound=np.zeros(len(every.count)),
        calibration=calibration,
    )
    return {
        "auc": auc,
        "brier": Column.of_means(rates.brier(binned, errors), (0.0, 1.0)),
        "calibration_error": error,
        "calibration_in_the_large": Column.of_means(
            rates.calibration_in_the_large(binned, scores, errors), (-1.0, 1.0)
        ),
    }
