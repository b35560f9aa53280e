"""From metrics to gaps: each judged against its tolerance, all of them together corrected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfx_trust.components import intervals
from tfx_trust.components.corrections import METHODS
from tfx_trust.components.fairness.columns import Column
from tfx_trust.components.fairness.config import KINDS, FairnessSettings, Kind, Tolerance
from tfx_trust.components.fairness.measure import EVERYTHING, Measured
from tfx_trust.components.fairness.report import Gap, GapVerdict

# Told as a ratio too, though not judged: what the four-fifths rule is about.
_TOLD_AS_RATIO = "selection_rate"
_BEYOND: Mapping[Kind, Callable[..., np.ndarray]] = {
    "difference": intervals.beyond,
    "ratio": intervals.ratio_beyond,
}
_ORDER: dict[GapVerdict, int] = {"fail": 0, "inconclusive": 1, "pass": 2, "insufficient": 3, "not_judged": 4}


@dataclass
class _Compared:
    """One metric of all slices of one set of features beside their references."""

    measured: Measured
    metric: str
    kind: Kind
    own: Column
    other: Column
    tolerance: Tolerance | None
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    enough: np.ndarray
    adjusted: np.ndarray


def gaps(measured: Sequence[Measured], settings: FairnessSettings) -> list[Gap]:
    """All gaps, judged: the ones with the strongest evidence against them first.

    A gap fails where the test that it lies beyond its tolerance is significant after the correction for all
    judged comparisons, passes where its interval lies within the tolerance, and is inconclusive otherwise.
    """
    compared = [
        item for one in measured if one.sliced.family != EVERYTHING for item in _compared(one, settings)
    ]
    _test(compared)
    _correct(compared, settings)
    found = [gap for item in compared for gap in _gaps(item, settings)]
    return sorted(found, key=_evidence)


def _evidence(gap: Gap) -> tuple[int, float, float]:
    p = gap.p if gap.p_adjusted is None else gap.p_adjusted
    size = 0.0 if gap.value is None else abs(gap.value - (gap.kind == "ratio"))
    return _ORDER[gap.verdict], 1.0 if p is None else p, -size


def _compared(measured: Measured, settings: FairnessSettings) -> Iterator[_Compared]:
    for metric, column in measured.columns.items():
        own, other = column.take(measured.compared), measured.references[metric]
        for kind in KINDS:
            tolerance = settings.tolerance(metric, kind, measured.sliced.family)
            if kind == "difference" or tolerance is not None or metric == _TOLD_AS_RATIO:
                yield _compare(measured, metric, kind, own, other, tolerance, settings)


def _compare(
    measured: Measured,
    metric: str,
    kind: Kind,
    own: Column,
    other: Column,
    tolerance: Tolerance | None,
    settings: FairnessSettings,
) -> _Compared:
    if kind == "difference":
        value = own.value - other.value
        low, high = own.difference(other, settings.level)
    else:
        shares = own.value, own.basis, other.value, other.basis
        with np.errstate(divide="ignore", invalid="ignore"):
            value = own.value / other.value
        low, high = intervals.ratio(*shares, settings.level)
    enough = own.enough(settings.min_count) & other.enough(settings.min_count)
    none = np.full(len(value), np.nan)
    return _Compared(
        measured, metric, kind, own, other, tolerance, value, low, high, none, enough, none.copy()
    )


def _test(compared: Sequence[_Compared]) -> None:
    """Fills in the p-values; those of all shares at once, since they are searched for step by step."""
    for kind, beyond in _BEYOND.items():
        _test_shares([item for item in compared if item.own.shares and item.kind == kind], beyond)
    for item in compared:
        if not item.own.shares:
            item.p = item.own.beyond(item.other, _bound(item))


def _test_shares(compared: Sequence[_Compared], beyond: Callable[..., np.ndarray]) -> None:
    if not compared:
        return
    columns = [(item.own.value, item.own.basis, item.other.value, item.other.basis) for item in compared]
    shares = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
    bounds = np.concatenate([_allowed(item) for item in compared])
    p_values = np.maximum(beyond(*shares, bounds), intervals.unequal(*shares))
    ends = np.cumsum([len(item.value) for item in compared])[:-1]
    for item, part in zip(compared, np.split(p_values, ends), strict=True):
        item.p = part


def _allowed(item: _Compared) -> np.ndarray:
    """The tolerance of each slice; wider by what the binning of scores may be off. No ratio is of scores."""
    slack = item.own.slack + item.other.slack if item.kind == "difference" else 0.0
    return np.full(len(item.value), _bound(item)) + slack


def _bound(item: _Compared) -> float:
    """The tolerance, or that all must be equal."""
    if item.tolerance is None:
        return 1.0 if item.kind == "ratio" else 0.0
    return item.tolerance.bound


def _correct(compared: Sequence[_Compared], settings: FairnessSettings) -> None:
    """Fills in the adjusted p-values of the judged comparisons; a mirrored one counts once."""
    method = METHODS[settings.correction]
    judged = [item for item in compared if item.tolerance is not None]
    # Of two slices that are each other's rest, the second comparison is the first again.
    asked = [
        item.enough & ~(np.arange(len(item.p)) == 1) if item.measured.mirrored else item.enough
        for item in judged
    ]
    p_values = [float(p) for item, which in zip(judged, asked, strict=True) for p in item.p[which]]
    adjusted = iter(method(p_values))
    for item, which in zip(judged, asked, strict=True):
        item.adjusted[which] = [next(adjusted) for _ in range(int(which.sum()))]
        if item.measured.mirrored and item.enough.all():
            item.adjusted[1] = item.adjusted[0]


def _gaps(item: _Compared, settings: FairnessSettings) -> Iterator[Gap]:
    measured = item.measured
    for place, number in enumerate(measured.compared.tolist()):
        known = bool(np.isfinite(item.value[place]))
        verdict = _verdict(item, place, settings)
        adjusted = float(item.adjusted[place])
        yield Gap.model_construct(
            metric=item.metric,
            slice=measured.slices[number],
            reference=measured.reference,
            label_class=measured.label_class,
            kind=item.kind,
            value=float(item.value[place]) if known else None,
            low=float(item.low[place]) if known else None,
            high=_finite(item.high[place]) if known else None,
            p=float(item.p[place]) if known else None,
            p_adjusted=None if np.isnan(adjusted) else adjusted,
            verdict=verdict,
            tolerance=None if item.tolerance is None else item.tolerance.bound,
            slice_value=_known(item.own.value[place]),
            reference_value=_known(item.other.value[place]),
            slice_count=int(item.own.count[place]),
            reference_count=int(item.other.count[place]),
        )


def _verdict(item: _Compared, place: int, settings: FairnessSettings) -> GapVerdict:
    if item.tolerance is None:
        return "not_judged"
    if not item.enough[place]:
        return "insufficient"
    bound, low, high = item.tolerance.bound, item.low[place], item.high[place]
    if item.adjusted[place] < 1 - settings.level:
        return "fail"
    least, most = (-bound, bound) if item.kind == "difference" else (bound, 1 / bound)
    return "pass" if low >= least and high <= most else "inconclusive"


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
