"""From counts to the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from tfx_trust.components import intervals
from tfx_trust.components.errors import InputError
from tfx_trust.components.fairness import words
from tfx_trust.components.fairness.columns import Column
from tfx_trust.components.fairness.config import FairnessSettings, Tolerance
from tfx_trust.components.fairness.count import Counts
from tfx_trust.components.fairness.discovery import discover
from tfx_trust.components.fairness.disparity import disparities
from tfx_trust.components.fairness.judge import gaps
from tfx_trust.components.fairness.labels import check_words
from tfx_trust.components.fairness.measure import EVERYTHING, Measured, measure
from tfx_trust.components.fairness.paired import beside_baseline
from tfx_trust.components.fairness.report import (
    MISSING,
    AtThreshold,
    Bin,
    Discovered,
    Discovery,
    FairnessReport,
    FairnessSection,
    Metric,
    SliceMetrics,
)
from tfx_trust.components.fairness.slicing import Pooling, weight_of_all
from tfx_trust.components.report import Finding

COMPONENT = "FairnessEvaluator"
# The search does not pool rare values, so it takes some more of them.
_SEARCHED = 2
# Mean weight; the squares of lesser ones lose digits.
_LEAST_WEIGHT = 1e-7


def conclude(
    counts: Counts, *, driver: Literal["in_process", "beam"] = "in_process", found: Sequence[Finding] = ()
) -> FairnessReport:
    """Measures, compares and judges.

    Parameters
    ----------
    counts
        Of all examples.
    driver
        How they were counted.
    found
        Further findings for the report.

    Raises
    ------
    InputError
        If there are no examples, all have the same label, or a number to slice by has too many values.
    """
    plan, settings = counts.plan, counts.plan.settings
    if not counts.examples:
        raise InputError(f"the {settings.eval_split} split has no examples; there is nothing to measure")
    counts.labels.check_differ(counts.examples)
    check_words(counts.negative_words, counts.labels)
    _check_weighed(counts)
    counts = counts.canonical()
    _check_grouped(counts)
    pooling = Pooling(counts)
    measured = measure(counts, pooling)
    judged = gaps(measured, settings)
    discovered, discovery = _discovered(counts)
    by_threshold = bool(plan.thresholds)
    section = FairnessSection(
        examples=counts.examples,
        threshold=settings.thresholds[0] if by_threshold else None,
        compare=settings.compare if by_threshold else None,
        driver=driver,
        classes=list(settings.classes or ()),
        weighted=settings.weight is not None,
        level=settings.level,
        slices=[item for one in measured for item in _slices(one, settings)],
        gaps=judged,
        disparities=disparities(measured, settings),
        baseline=beside_baseline(counts, measured, settings),
        discovered=discovered,
        discovery=discovery,
        pooled=pooling.pooled,
        buckets={name: list(edges) for name, edges in plan.edges.items()},
    )
    return FairnessReport(
        component=COMPONENT,
        findings=[*found, *words.findings(section, settings)],
        settings=settings.model_dump(mode="json"),
        fairness=section,
    )


def _check_weighed(counts: Counts) -> None:
    """Refuses weights that are all 0, or of which too little is left when they are cut to whole units."""
    name = counts.plan.settings.weight
    if name is None:
        return
    mean = weight_of_all(counts) / counts.examples
    if mean == 0:
        raise InputError(
            f"weight {name!r} is 0 in all {counts.examples:,} examples: nothing counts; correct the weights"
        )
    if mean < _LEAST_WEIGHT:
        raise InputError(
            f"weight {name!r} is {mean:.3g} on average, too little to be added up exactly; multiply all "
            "weights by the same number"
        )


def _check_grouped(counts: Counts) -> None:
    """Refuses whole numbers that are sliced by value though they have many: pooled, they say nothing."""
    for name in counts.plan.whole:
        number = len(counts.coders[name].values)
        if number > counts.plan.settings.max_values + 1:
            raise InputError(
                f"feature {name!r} is a number with {number:,} values; give buckets for it, training "
                "examples or statistics whose quantiles are taken, or raise max_values"
            )


# Metrics


def _slices(measured: Measured, settings: FairnessSettings) -> Iterator[SliceMetrics]:
    level = settings.level
    decided = measured.sliced.decided.sum(2)
    shown = {name: _metrics(column, level, settings) for name, column in measured.columns.items()}
    at = {
        threshold: {name: _metrics(column, level, settings) for name, column in columns.items()}
        for threshold, columns in measured.by_threshold.items()
    }
    curves = (
        _reliability(measured, settings) if len(measured.sliced.family) <= 1 else [[]] * len(measured.slices)
    )
    for place, slice_ in enumerate(measured.slices):
        yield SliceMetrics.model_construct(
            slice=slice_,
            label_class=measured.label_class,
            examples=int(decided.count[place].sum()),
            positives=int(decided.count[place, 1]),
            metrics={name: values[place] for name, values in shown.items()},
            thresholds=[
                AtThreshold.model_construct(
                    threshold=threshold, metrics={name: values[place] for name, values in columns.items()}
                )
                for threshold, columns in at.items()
            ],
            reliability=curves[place],
        )


def _metrics(column: Column, level: float, settings: FairnessSettings) -> list[Metric]:
    low, high = column.interval(level)
    weighted = settings.weight is not None
    known = ~np.isnan(column.value)
    return [
        Metric.model_construct(
            value=value if there else None,
            low=least if there else None,
            high=most if there else None,
            count=count,
            effective=effective if weighted else None,
            bound=None if bound is None or not there else bound,
        )
        for value, there, least, most, count, effective, bound in zip(
            column.value.tolist(),
            known.tolist(),
            low.tolist(),
            high.tolist(),
            column.count.tolist(),
            column.effective.tolist(),
            [None] * len(known) if column.bound is None else column.bound.tolist(),
            strict=True,
        )
    ]


def _reliability(measured: Measured, settings: FairnessSettings) -> list[list[Bin]]:
    """Mean score and share of positives, by bin of the score that has examples."""
    if measured.calibration is None:
        return [[] for _ in measured.slices]
    binned, edges = measured.sliced.binned, np.linspace(0, 1, settings.calibration_bins + 1)
    every = binned.sum(2)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = binned.weight[:, :, 1] / every.weight
        score = measured.sliced.scores.sum(axis=2) / every.weight
    low, high = intervals.wilson(np.minimum(rate, 1.0), every.effective, settings.level)
    weighted = settings.weight is not None
    return [
        [
            Bin.model_construct(
                low=float(edges[place]),
                high=float(edges[place + 1]),
                count=int(every.count[number, place]),
                score=float(min(score[number, place], 1.0)),
                rate=Metric.model_construct(
                    value=float(min(rate[number, place], 1.0)),
                    low=float(low[number, place]),
                    high=float(high[number, place]),
                    count=int(every.count[number, place]),
                    effective=float(every.effective[number, place]) if weighted else None,
                    bound=None,
                ),
            )
            for place in np.flatnonzero(every.weight[number] > 0).tolist()
        ]
        for number in range(len(measured.slices))
    ]


# Discovery


def _discovered(counts: Counts) -> tuple[list[Discovered], Discovery | None]:
    plan, settings = counts.plan, counts.plan.settings
    if settings.discover is not None and not settings.discover:
        return [], None
    skipped = dict(plan.skipped)
    used = []
    for name in plan.searched:
        coder = counts.coders[name]
        if coder.overflown or (coder.edges is None and len(coder.values) > _SEARCHED * settings.max_values):
            number = f"more than {coder.most:,}" if coder.overflown else f"{len(coder.values):,}"
            skipped[name] = f"{number} different values"
        elif len(coder.values) < 2:
            skipped[name] = "one value only"
        else:
            used.append(name)
    if counts.search.overflown:
        reason = "too many different combinations of values to be counted; name fewer features (discover)"
        return [], Discovery(
            features=[], skipped=skipped | dict.fromkeys(used, reason), candidates=0, found=0, confirmed_on=0
        )
    codes, cells = counts.search.cells
    places = [plan.searched.index(name) for name in used]
    values = {name: [MISSING, *counts.coders[name].values] for name in used}
    if not used:
        return [], Discovery(features=[], skipped=skipped, candidates=0, found=0, confirmed_on=0)
    bounds = _searched_bounds(settings)
    if settings.classes is not None:
        # Counted was whether the class is right.
        bound = settings.tolerance("accuracy", "difference", EVERYTHING)
        bounds = [bound or Tolerance(metric="accuracy", bound=0)]
    chosen = settings.model_copy(update={"tolerances": bounds})
    found, candidates, halves = discover(
        codes[:, places].astype(np.int64), cells.reshape(-1, 2, 2), values, chosen
    )
    allowed: dict[str, float] = {item.metric: item.bound for item in bounds}
    for item in found:
        item.tolerance = allowed.get(item.metric, 0.0)
    return found, Discovery(
        features=used, skipped=skipped, candidates=candidates, found=halves[0], confirmed_on=halves[1]
    )


def _searched_bounds(settings: FairnessSettings) -> list[Tolerance]:
    """What binds slices that nobody named: the tolerance of all slices, or else the widest of any."""
    found: dict[str, Tolerance] = {}
    for item in settings.tolerances:
        if item.kind == "difference":
            known = settings.tolerance(item.metric, item.kind, EVERYTHING) or found.get(item.metric, item)
            found[item.metric] = known if known.bound >= item.bound or known.slices is None else item
    return [item.model_copy(update={"slices": None}) for item in found.values()]
