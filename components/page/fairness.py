"""What the page of a fairness report says: its parts, its numbers in words, what was not looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tfx_trust.components.fairness.config import DECISION_METRICS, METRICS, SCORE_METRICS
from tfx_trust.components.fairness.report import (
    AtThreshold,
    BaselineChange,
    Disparity,
    FairnessReport,
    FairnessSection,
    Gap,
    Metric,
    Slice,
    SliceMetrics,
)
from tfx_trust.components.page import fairness_words, words
from tfx_trust.components.page.leakage import Part, Unseen
from tfx_trust.components.report import Severity, Verdict, format_number

MOST_FORESTS = 9
"""Pictures of metrics; the tables have them all."""
MOST_ROWS_OPEN, MOST_CHANGES_OPEN = 30, 12
"""Rows of a table that are shown at once; the others are unfolded."""

_PARTS = (
    ("gaps", "Gaps between groups", ("fairness_gap", "fairness_undecided")),
    ("insufficient", "Groups too small to judge", ("fairness_insufficient",)),
    ("baseline", "Beside the baseline", ("fairness_regression",)),
    ("discovered", "Groups that nobody named", ("fairness_discovered",)),
    ("disparities", "Disparities by name", ()),
    ("calibration", "Scores and outcomes by group", ()),
    ("metrics", "Every metric of every group", ()),
)


@dataclass(frozen=True)
class Judged:
    """What one tolerance says over all groups that it binds.

    Attributes
    ----------
    metric, kind, bound, label_class
        The tolerance, and the class that is set against the rest.
    families
        Features of the groups, in words.
    counts
        Groups by verdict.
    """

    metric: str
    kind: str
    bound: float
    label_class: str | None
    families: tuple[str, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Small:
    """A comparison that rests on too few examples.

    Attributes
    ----------
    gap
        The comparison.
    effective
        Effective count of the group's denominator, where examples have weights.
    """

    gap: Gap
    effective: float | None


def parts(report: FairnessReport) -> dict[str, Part]:
    """The parts that were looked at, by anchor, in the order of the page."""
    section = report.fairness
    looked = {
        "gaps": bool(section.gaps),
        "insufficient": any(gap.verdict == "insufficient" for gap in section.gaps),
        "baseline": section.baseline is not None,
        "discovered": section.discovery is not None,
        "disparities": bool(section.disparities),
        "calibration": any(item.reliability for item in section.slices),
        "metrics": bool(section.slices),
    }
    return {
        anchor: _part(report, anchor, title, checks) for anchor, title, checks in _PARTS if looked[anchor]
    }


def _part(report: FairnessReport, anchor: str, title: str, checks: Sequence[str]) -> Part:
    found = tuple(
        item for item in report.findings if item.check in checks and item.severity is not Severity.INFO
    )
    if found:
        verdict = Verdict.worst(item.severity.verdict for item in found)
        return Part(anchor, title, verdict.value, words.VERDICTS[verdict], found)
    tone = _untold(report.fairness, anchor)
    return Part(anchor, title, tone, words.TONES[tone], found)


def _untold(section: FairnessSection, anchor: str) -> str:
    """The tone of a part without a grave finding: a pass only where all that was judged passed."""
    verdicts: set[str] = set()
    if anchor == "gaps":
        verdicts.update(gap.verdict for gap in section.gaps if gap.verdict != "not_judged")
    elif anchor == "baseline" and section.baseline is not None:
        verdicts.update(item.verdict for item in section.baseline.changes)
    elif anchor == "discovered" and not any(item.confirmed for item in section.discovered):
        return Verdict.PASS.value if section.discovery and section.discovery.candidates else "not_run"
    if verdicts == {"insufficient"}:
        return Verdict.NOT_RUN.value
    if verdicts and verdicts <= {"pass", "better", "insufficient"}:
        return Verdict.PASS.value
    return Severity.INFO.value


def unseen(report: FairnessReport) -> list[Unseen]:
    """What was not looked at, and what would switch it on."""
    if not report.fairness.slices:
        return [Unseen("Anything beyond the findings", "the examples could not be measured as they are")]
    return [*_unseen_metrics(report), *_unseen_groups(report), *_unseen_baseline(report)]


def _unseen_metrics(report: FairnessReport) -> Iterator[Unseen]:
    section = report.fairness
    if not any(name in item.metrics for item in section.slices for name in SCORE_METRICS):
        yield Unseen(
            "AUC, Brier score and calibration",
            "only decisions were given, no scores",
            names=("score_output",),
        )
    if not any(gap.tolerance is not None for gap in section.gaps) and not report.settings.get("tolerances"):
        yield Unseen("Whether any gap is too large", "no tolerance is set", names=("tolerances",))


def _unseen_groups(report: FairnessReport) -> Iterator[Unseen]:
    section = report.fairness
    sizes = {len(item.slice) for item in section.slices}
    features = {name for item in section.slices for name in item.slice}
    if len(features) > 1 and max(sizes, default=0) < 2:
        yield Unseen(
            "Groups of two features at once, such as the women of one race",
            "features are not crossed",
            names=("cross", "slices"),
        )
    for item in section.pooled:
        yield Unseen(
            f"Each of {words.plural(item.values, 'rare value')} of {item.feature}",
            f"they are one group, (other), with {words.plural(item.examples, 'example')}",
            names=("max_values",),
        )
    if section.discovery is None:
        off = report.settings.get("discover") == []
        yield Unseen(
            "Groups that nobody named",
            "the search is switched off" if off else "there was nothing to search",
            names=("discover",) if off else (),
        )
    else:
        for why, names in _by_reason(section.discovery.skipped).items():
            yield Unseen(
                f"Unnamed groups by {_listed(names)}",
                why,
                names=("buckets",) if "bucket" in why else (),
            )


def _unseen_baseline(report: FairnessReport) -> Iterator[Unseen]:
    if report.fairness.baseline is None:
        connected = "baseline_model" in report.inputs
        yield Unseen(
            "Whether a group fares worse than with the model before",
            "the two models could not be compared" if connected else "no baseline model is connected",
            "input",
            () if connected else ("baseline_model",),
        )


def _by_reason(skipped: Mapping[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, why in skipped.items():
        reasons.setdefault(why, []).append(name)
    return reasons


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def judged(section: FairnessSection) -> list[Judged]:
    """The tolerances, each with its groups by verdict, in order of the evidence against them."""
    bound: dict[tuple[str, str, float, str | None], list[Gap]] = {}
    for gap in section.gaps:
        if gap.tolerance is not None:
            bound.setdefault((gap.metric, gap.kind, gap.tolerance, gap.label_class), []).append(gap)
    place = {features: number for number, features in enumerate(_families(section))}
    return [
        Judged(
            *tolerance,
            tuple(
                sorted(
                    {fairness_words.crossed(gap.slice) for gap in gaps}, key=lambda name: place.get(name, 0)
                )
            ),
            Counter(gap.verdict for gap in gaps),
        )
        for tolerance, gaps in bound.items()
    ]


def _families(section: FairnessSection) -> list[str]:
    """Features that groups are made of, in words, in the order of the report."""
    return list(dict.fromkeys(fairness_words.crossed(item.slice) for item in section.slices))


def divided(section: FairnessSection) -> bool:
    """Whether a metric has one tolerance for some groups and another, or none, for others."""
    bounds = Counter((item.metric, item.kind, item.label_class) for item in judged(section))
    whole = len(_families(section)) - 1
    return any(count > 1 for count in bounds.values()) or any(
        len(item.families) < whole for item in judged(section)
    )


def with_verdict(gaps: Iterable[Gap], *verdicts: str) -> list[Gap]:
    """The gaps of these verdicts, in their order."""
    return [gap for gap in gaps if gap.verdict in verdicts]


def small(section: FairnessSection) -> list[Small]:
    """What rests on too few examples, in the order of the groups."""
    known = {(_key(item.slice), item.label_class): item.metrics for item in section.slices}
    place = {key: number for number, key in enumerate(known)}
    found = []
    for gap in with_verdict(section.gaps, "insufficient"):
        metric = known.get((_key(gap.slice), gap.label_class), {}).get(gap.metric)
        found.append(Small(gap, metric.effective if metric else None))
    return sorted(found, key=lambda item: place.get((_key(item.gap.slice), item.gap.label_class), len(place)))


def _key(of: Slice) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(of.items()))


def by_class(section: FairnessSection) -> dict[str | None, list[SliceMetrics]]:
    """Groups by the class that is set against the rest; none is the key of a label of two values."""
    grouped: dict[str | None, list[SliceMetrics]] = {}
    for item in section.slices:
        grouped.setdefault(item.label_class, []).append(item)
    return grouped


def columns(slices: Sequence[SliceMetrics]) -> list[str]:
    """Metrics that any of the groups has, in their usual order."""
    return [name for name in METRICS if any(name in item.metrics for item in slices)]


def suffices(of: Metric | None, enough: float) -> bool:
    """Whether a metric rests on enough examples to be judged."""
    return of is not None and (of.count if of.effective is None else of.effective) >= enough


def thresholds(
    section: FairnessSection, slices: Sequence[SliceMetrics]
) -> dict[float, list[tuple[SliceMetrics, AtThreshold]]]:
    """The groups' metrics of decisions by threshold, but for the one that is judged."""
    found: dict[float, list[tuple[SliceMetrics, AtThreshold]]] = {}
    for item in slices:
        for at in item.thresholds:
            if at.threshold != section.threshold:
                found.setdefault(at.threshold, []).append((item, at))
    return found


def decision_columns(rows: Sequence[tuple[SliceMetrics, AtThreshold]]) -> list[str]:
    """Metrics of decisions that any of the groups has at a threshold."""
    return [name for name in DECISION_METRICS if any(name in at.metrics for _, at in rows)]


def binning(section: FairnessSection) -> float:
    """The greatest error that the binning of scores makes in any metric; 0 where there is none."""
    return max(
        (metric.bound or 0.0 for item in section.slices for metric in item.metrics.values()),
        default=0.0,
    )


def named(disparities: Sequence[Disparity]) -> list[Disparity]:
    """The disparities that have a name in the literature."""
    return [item for item in disparities if item.name in fairness_words.DISPARITIES]


def unnamed(disparities: Sequence[Disparity]) -> list[Disparity]:
    """The others: worst gaps."""
    return [item for item in disparities if item.name not in fairness_words.DISPARITIES]


def by_features(disparities: Sequence[Disparity]) -> dict[tuple[str, str | None], list[Disparity]]:
    """Disparities by the features, in words, and the class that they are of."""
    grouped: dict[tuple[str, str | None], list[Disparity]] = {}
    for item in disparities:
        grouped.setdefault((fairness_words.crossed(item.by), item.label_class), []).append(item)
    return grouped


def decided(report: FairnessReport) -> str:
    """How it was decided what is positive."""
    section = report.fairness
    if section.classes:
        return "the class with the highest score"
    if section.threshold is None:
        return "as the model decides itself"
    sign = {">=": "≥", ">": ">"}[section.compare or ">="]
    return f"score {sign} {format_number(section.threshold)}"


def compared(report: FairnessReport) -> str:
    """What groups are compared with, in a sentence."""
    named: Mapping[str, str] = report.settings.get("reference") or {}
    if not named:
        return "Each group is compared with all examples outside it."
    told = "; ".join(f"by {feature}, with {value}" for feature, value in named.items())
    return f"Each group is compared with all examples outside it, but {told}."


def in_order(changes: Sequence[BaselineChange]) -> list[BaselineChange]:
    """Changes with the worst first, and of equal verdict the strongest evidence."""
    rank = ["worse", "better", "inconclusive", "pass", "insufficient"]
    return sorted(changes, key=lambda item: (rank.index(item.verdict), 1.0 if item.p is None else item.p))
