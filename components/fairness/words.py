"""The findings of the fairness gate in sentences that a product owner can read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from tfx_trust.components.fairness.config import Effect, FairnessSettings, Tolerance
from tfx_trust.components.fairness.report import (
    BaselineChange,
    Discovered,
    FairnessSection,
    Gap,
    Slice,
)
from tfx_trust.components.report import Estimate, Finding, Severity

METRICS = {
    "selection_rate": "selection rate",
    "false_positive_rate": "false positive rate",
    "false_negative_rate": "false negative rate",
    "true_positive_rate": "true positive rate",
    "true_negative_rate": "true negative rate",
    "precision": "precision",
    "accuracy": "accuracy",
    "auc": "AUC",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "calibration_in_the_large": "mean score beyond the share of positives",
    "error_rate": "error rate",
}
"""Metrics by name, as people say them."""

# Of the examples in a rate's denominator: who they are, and what happens to them.
_CASES = {
    "selection_rate": ("examples", "decided positive"),
    "false_positive_rate": ("examples with a negative label", "decided positive"),
    "false_negative_rate": ("examples with a positive label", "decided negative"),
    "true_positive_rate": ("examples with a positive label", "decided positive"),
    "true_negative_rate": ("examples with a negative label", "decided negative"),
    "precision": ("examples decided positive", "labelled positive"),
    "accuracy": ("examples", "decided rightly"),
    "error_rate": ("examples", "decided wrongly"),
}
_EFFECTS: dict[Effect, Severity] = {
    "note": Severity.INFO,
    "warn": Severity.WARN,
    "block": Severity.INCONCLUSIVE,
}
_LISTED = 50


def slice_name(values: Slice) -> str:
    """A slice in words.

    Examples
    --------
    >>> slice_name({}), slice_name({"sex": "Female", "race": "Black"})
    ('all examples', 'race=Black and sex=Female')
    """
    return " and ".join(f"{name}={values[name]}" for name in sorted(values)) or "all examples"


def findings(section: FairnessSection, settings: FairnessSettings) -> Iterator[Finding]:
    """All findings, from what was measured."""
    judged = [gap for gap in section.gaps if gap.verdict != "not_judged"]
    for gap in _unmirrored([gap for gap in judged if gap.verdict == "fail"], section):
        yield _failed(gap, section)
    yield from _undecided(judged, section, settings)
    yield from _unjudged(judged, settings)
    yield from _insufficient(judged, settings)
    yield from _regressions(section, settings)
    yield from _discoveries(section.discovered, section, settings)
    yield from _told(section, judged)


def _unmirrored(gaps: Sequence[Gap], section: FairnessSection) -> Iterator[Gap]:
    """Gaps without those that are another one from the other side: of two slices each is all the rest."""
    slices = Counter((item.label_class, tuple(item.slice)) for item in section.slices)
    seen = set()
    for gap in gaps:
        family = gap.label_class, tuple(gap.slice)
        about = gap.metric, gap.kind, family
        if gap.reference == "rest" and slices[family] == 2:
            if about in seen:
                continue
            seen.add(about)
        yield gap


def _failed(gap: Gap, section: FairnessSection) -> Finding:
    return Finding(
        check="fairness_gap",
        severity=Severity.FAIL,
        subject=f"{gap.metric}: {_subject(gap.slice, gap.label_class)}",
        statistic=_estimate(gap, section),
        threshold=_bound(gap),
        message=f"{_comparison(gap, section.weighted)} {_allowed(gap)}",
        remedy="Look for the cause in the group's training labels, features and threshold; ThresholdTuner "
        "and Reweigher mitigate.",
        evidence=_evidence(gap),
    )


def _bound(gap: Gap) -> float | None:
    """The end of the tolerance on whose side the gap is."""
    if gap.tolerance is None or gap.value is None:
        return gap.tolerance
    if gap.kind == "ratio":
        return gap.tolerance if gap.value < 1 else 1 / gap.tolerance
    return math.copysign(gap.tolerance, gap.value)


def _comparison(gap: Gap, weighted: bool) -> str:
    """The two values side by side, in a sentence."""
    by = ", by weight," if weighted else ""
    slice_ = _subject(gap.slice, gap.label_class)
    other = "all other examples" if gap.reference == "rest" else slice_name(dict(gap.reference))
    if gap.metric in _CASES and gap.slice_value is not None and gap.reference_value is not None:
        who, what = _CASES[gap.metric]
        return (
            f"Of {gap.slice_count:,} {who} in {slice_}, {percent(gap.slice_value)}{by} are {what}; of "
            f"{gap.reference_count:,} in {other}, {percent(gap.reference_value)}."
        )
    name = METRICS[gap.metric]
    return (
        f"{name[:1].upper()}{name[1:]} is {_number(gap.slice_value)} in {slice_} and "
        f"{_number(gap.reference_value)} in {other}."
    )


def _allowed(gap: Gap) -> str:
    if gap.tolerance is None:
        return ""
    name = METRICS[gap.metric]
    if gap.kind == "ratio":
        shown = "without bound" if gap.value is None else f"{gap.value:.2f}"
        return f"The ratio of the two is {shown}; {gap.tolerance:g} to {1 / gap.tolerance:.3g} is allowed."
    if gap.value is None:
        return ""
    if gap.metric in _CASES:
        return f"That is {_points(gap.value)}; {_points(gap.tolerance)} are allowed ({name})."
    return f"That is {abs(gap.value):.3f} apart; {gap.tolerance:g} is allowed."


def _undecided(
    judged: Sequence[Gap], section: FairnessSection, settings: FairnessSettings
) -> Iterator[Finding]:
    for metric, kind in dict.fromkeys((gap.metric, gap.kind) for gap in judged):
        open_ = [
            gap for gap in judged if (gap.metric, gap.kind, gap.verdict) == (metric, kind, "inconclusive")
        ]
        if not open_:
            continue
        what = METRICS[metric] if kind == "difference" else f"ratio of the {METRICS[metric]}"
        widest = max(open_, key=lambda gap: max(abs(gap.low or 0), abs(gap.high or 0)))
        yield Finding(
            check="fairness_undecided",
            severity=_EFFECTS[settings.on_inconclusive],
            subject=metric,
            statistic=_estimate(widest, section),
            threshold=_bound(widest),
            message=f"For {_slices(len(open_))} the examples do not settle whether the {what} "
            f"lies within its tolerance: {_names(open_)}.",
            remedy="Collect more examples of these groups, or accept in writing that it is not known.",
            evidence={
                "slices": [
                    {
                        "slice": _subject(gap.slice, gap.label_class),
                        "gap": gap.value,
                        "low": gap.low,
                        "high": gap.high,
                        "count": gap.slice_count,
                    }
                    for gap in open_[:_LISTED]
                ]
            },
        )


def _unjudged(judged: Sequence[Gap], settings: FairnessSettings) -> Iterator[Finding]:
    """Tolerances that were held against nothing: not a pass, whatever insufficient slices do otherwise."""
    for item in settings.tolerances:
        asked = [gap for gap in judged if _binding(gap, settings) is item]
        if any(gap.verdict != "insufficient" for gap in asked):
            continue
        where = f" by {', '.join(' × '.join(family) for family in item.families)}" if item.slices else ""
        why = "no slice has enough examples" if asked else "there is nothing to compare"
        yield Finding(
            check="fairness_insufficient",
            severity=Severity.NOT_RUN,
            subject=item.metric,
            message=f"The {item.kind} of the {METRICS[item.metric]}{where} was not judged at all: {why}.",
            remedy="Give more examples of each group, or features with two groups or more; metrics of "
            "scores need scores beside the decisions. Else leave the tolerance out.",
        )
    if not settings.tolerances:
        yield Finding(
            check="fairness_compared",
            severity=Severity.INFO,
            subject="0 comparisons",
            message="No gap was judged: no tolerance is set.",
            remedy="Set tolerances to have gaps judged.",
        )


def _binding(gap: Gap, settings: FairnessSettings) -> Tolerance | None:
    return settings.tolerance(gap.metric, gap.kind, tuple(sorted(gap.slice)))


def _insufficient(judged: Sequence[Gap], settings: FairnessSettings) -> Iterator[Finding]:
    few = [gap for gap in judged if gap.verdict == "insufficient"]
    if not few:
        return
    slices = list(dict.fromkeys(_subject(gap.slice, gap.label_class) for gap in few))
    yield Finding(
        check="fairness_insufficient",
        severity=_EFFECTS[settings.on_insufficient],
        subject=f"{_slices(len(slices))}",
        threshold=float(settings.min_count),
        message=f"{_comparisons(len(few))} not judged, of {_slices(len(slices))}: fewer than "
        f"{settings.min_count} examples to count in the slice or in what it is compared with.",
        remedy="Collect more examples of these groups, slice more coarsely, or accept in writing that it is "
        "not known.",
        evidence={
            "slices": [
                {
                    "slice": _subject(gap.slice, gap.label_class),
                    "metric": gap.metric,
                    "count": gap.slice_count,
                    "reference_count": gap.reference_count,
                }
                for gap in few[:_LISTED]
            ]
        },
    )


def _regressions(section: FairnessSection, settings: FairnessSettings) -> Iterator[Finding]:
    if section.baseline is None:
        return
    severity = {"note": Severity.INFO, "warn": Severity.WARN, "fail": Severity.FAIL}[settings.on_regression]
    worse = [change for change in section.baseline.changes if change.verdict == "worse"]
    for metric in dict.fromkeys(change.metric for change in worse):
        of_metric = sorted(
            (change for change in worse if change.metric == metric), key=lambda change: -(change.value or 0.0)
        )
        worst = of_metric[0]
        others = "" if len(of_metric) == 1 else f" So do {_slices(len(of_metric) - 1)} more, by less."
        yield Finding(
            check="fairness_regression",
            severity=severity,
            subject=f"{metric}: {_names(of_metric)}",
            statistic=Estimate(
                value=worst.value or 0.0,
                low=worst.low,
                high=worst.high,
                count=worst.count,
                level=section.level,
                method="Bonett & Price, paired",
            ),
            threshold=settings.max_regression,
            message=f"{_regression(worst)}{others}{_unweighted(section)}",
            remedy="Compare the training data and settings of both models for these groups.",
            evidence={
                "test": "McNemar, exact",
                "slices": [
                    {
                        "slice": _subject(item.slice, item.label_class),
                        "change": item.value,
                        "low": item.low,
                        "high": item.high,
                        "worse": item.worse,
                        "better": item.better,
                        "p_adjusted": item.p_adjusted,
                    }
                    for item in of_metric[:_LISTED]
                ],
            },
        )


def _unweighted(section: FairnessSection) -> str:
    return " Counted are examples, without their weights." if section.weighted else ""


def _regression(change: BaselineChange) -> str:
    who, what = _CASES[change.metric]
    subject = _subject(change.slice, change.label_class) if change.slice else "the whole"
    return (
        f"With this model {subject} fares worse than with the baseline: of {change.count:,} {who}, "
        f"{change.worse:,} are newly {what} and {change.better:,} no longer are."
    )


def _discoveries(
    discovered: Sequence[Discovered], section: FairnessSection, settings: FairnessSettings
) -> Iterator[Finding]:
    for item in discovered:
        if not item.confirmed or item.value is None:
            continue
        yield Finding(
            check="fairness_discovered",
            severity=_EFFECTS[settings.on_discovered],
            subject=f"{item.metric}: {slice_name(item.slice)}",
            statistic=Estimate(
                value=item.value,
                low=item.low,
                high=item.high,
                count=item.count,
                level=section.level,
                method="Newcombe, on the other half",
            ),
            threshold=item.tolerance,
            message=f"A slice that nobody named stands out: the {METRICS[item.metric]} is "
            f"{_number(item.slice_value)} for {slice_name(item.slice)} and {_number(item.rest_value)} for "
            "all others, found on one half of the examples and confirmed on the other"
            f"{', counted without weights' if section.weighted else ''}.",
            remedy="Look whether the slice stands for people who are to be protected; name it as a slice to "
            "have it judged every time.",
            evidence={"p": item.p, "p_adjusted": item.p_adjusted, "found_gap": item.found},
        )


def _told(section: FairnessSection, judged: Sequence[Gap]) -> Iterator[Finding]:
    passed = sum(gap.verdict == "pass" for gap in judged)
    decided = sum(gap.verdict in ("pass", "fail", "inconclusive") for gap in judged)
    if judged:
        yield Finding(
            check="fairness_compared",
            severity=Severity.INFO,
            subject=f"{len(judged):,} comparisons",
            message=f"{passed:,} of {decided:,} comparisons that could be judged lie within their tolerance "
            "with their whole interval.",
        )
    for item in section.pooled:
        yield Finding(
            check="fairness_pooled",
            severity=Severity.INFO,
            subject=item.feature,
            message=f"{item.values:,} rare values of {item.feature}, {item.examples:,} examples, are one "
            "slice together.",
            remedy="Raise max_values to have more values as slices of their own.",
        )


# Parts of sentences


def _subject(values: Slice, label_class: str | None) -> str:
    return slice_name(values) if label_class is None else f"{slice_name(values)}, class {label_class}"


def _names(items: Sequence[Gap | BaselineChange]) -> str:
    shown = list(dict.fromkeys(_subject(item.slice, item.label_class) for item in items))
    more = len(shown) - 4
    return "; ".join(shown[:4]) + (f"; and {more:,} more" if more > 0 else "")


def _comparisons(number: int) -> str:
    return f"{number:,} comparison was" if number == 1 else f"{number:,} comparisons were"


def _slices(number: int) -> str:
    return f"{number:,} slice" if number == 1 else f"{number:,} slices"


def percent(share: float) -> str:
    """A share in per cent, with one decimal.

    Examples
    --------
    >>> percent(0.1234), percent(1.0)
    ('12.3 %', '100.0 %')
    """
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * abs(share):.1f} percentage points"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _estimate(gap: Gap, section: FairnessSection) -> Estimate | None:
    if gap.value is None:
        return None
    both = gap.low is not None and gap.high is not None
    return Estimate(
        value=gap.value,
        low=gap.low if both else None,
        high=gap.high if both else None,
        count=gap.slice_count,
        level=section.level,
        method="Wilson on the logarithm"
        if gap.kind == "ratio"
        else "Newcombe"
        if gap.metric in (*_CASES, "auc")
        else "difference of means",
    )


def _evidence(gap: Gap) -> dict[str, object]:
    return {
        "slice": gap.slice_value,
        "slice_count": gap.slice_count,
        "reference": gap.reference_value,
        "reference_count": gap.reference_count,
        "p": gap.p,
        "p_adjusted": gap.p_adjusted,
    }
