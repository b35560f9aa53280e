"""What the page of a fairness report says: its parts, its numbers in words, what was not looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tfx_trust.components.fairness.config import DECISION_METRICS, METRICS, SCORE_METRICS
from tfx_trust.components.fairness.report import (
    REST,
    AtThreshold,
    BaselineChange,
    Discovered,
    Disparity,
    FairnessReport,
    FairnessSection,
    Gap,
    Metric,
    Slice,
    SliceMetrics,
)
from tfx_trust.components.fairness.words import METRICS as METRIC_WORDS
from tfx_trust.components.page import words
from tfx_trust.components.page.leakage import Part, Unseen, percent
from tfx_trust.components.report import Severity, Verdict, format_number

EVERYONE = "all examples"
NAMES = {name: f"{said[:1].upper()}{said[1:]}" for name, said in METRIC_WORDS.items()} | {
    "calibration_in_the_large": "Calibration in the large"
}
MEANINGS = {
    "selection_rate": "Of all examples, the share that is decided positive.",
    "false_positive_rate": "Of the examples with a negative label, the share that is decided positive.",
    "false_negative_rate": "Of the examples with a positive label, the share that is decided negative.",
    "true_positive_rate": "Of the examples with a positive label, the share that is decided positive.",
    "true_negative_rate": "Of the examples with a negative label, the share that is decided negative.",
    "precision": "Of the examples that are decided positive, the share with a positive label.",
    "accuracy": "Of all examples, the share that is decided as labelled.",
    "auc": "How often a positive example has a higher score than a negative one; 0.5 is a guess.",
    "brier": "The mean squared distance between score and label; 0 is best.",
    "calibration_error": "How far scores lie from the share of positives among examples with such scores; "
    "0 is best.",
    "calibration_in_the_large": "The mean score less the share of positives; 0 is best.",
}
DISPARITIES = {
    "demographic_parity_difference": "Demographic parity difference",
    "demographic_parity_ratio": "Demographic parity ratio",
    "equalized_odds_difference": "Equalized odds difference",
    "equal_opportunity_difference": "Equal opportunity difference",
    "predictive_parity_difference": "Predictive parity difference",
    "calibration_gap": "Calibration gap",
}
TONES = {
    "pass": ("pass", "Pass"),
    "fail": ("fail", "Fail"),
    "inconclusive": ("inconclusive", "Inconclusive"),
    "insufficient": ("not_run", "Too few"),
    "not_judged": ("info", "Not judged"),
}
"""A verdict of a gap in signs and in a word."""
SIGNS = {"fail": "■", "inconclusive": "◆", "pass": "●"}
"""The shapes that stand for verdicts in charts."""
DRIVERS = {"in_process": "in one process", "beam": "by Apache Beam"}
CORRECTIONS = {"holm": "Holm", "bh": "Benjamini and Hochberg"}
MOST_ROWS_OPEN = 30
"""Rows of a table that are shown at once; the others are unfolded."""

_WORST_GAP = "worst_gap_"
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
    """What one tolerance says over all groups.

    Attributes
    ----------
    metric, kind, bound, label_class
        The tolerance, and the class that is set against the rest.
    counts
        Groups by verdict.
    """

    metric: str
    kind: str
    bound: float
    label_class: str | None
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
    """The tone of a part without a grave finding: a pass only where something was judged and all of it passed."""
    verdicts: set[str] = set()
    if anchor == "gaps":
        verdicts = {gap.verdict for gap in section.gaps} - {"not_judged"}
    elif anchor == "baseline" and section.baseline is not None:
        verdicts = {item.verdict for item in section.baseline.changes}
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
    """The tolerances, each with its groups by verdict; the one with the strongest evidence against it first."""
    counts: dict[tuple[str, str, float, str | None], dict[str, int]] = {}
    for gap in section.gaps:
        if gap.tolerance is not None:
            of = counts.setdefault((gap.metric, gap.kind, gap.tolerance, gap.label_class), {})
            of[gap.verdict] = of.get(gap.verdict, 0) + 1
    return [
        Judged(metric, kind, bound, label_class, of)
        for (metric, kind, bound, label_class), of in counts.items()
    ]


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
        (metric.bound or 0.0 for item in section.slices for metric in item.metrics.values()), default=0.0
    )


def named(disparities: Sequence[Disparity]) -> list[Disparity]:
    """The disparities that have a name in the literature."""
    return [item for item in disparities if item.name in DISPARITIES]


def unnamed(disparities: Sequence[Disparity]) -> list[Disparity]:
    """The others: worst gaps."""
    return [item for item in disparities if item.name not in DISPARITIES]


def by_features(disparities: Sequence[Disparity]) -> dict[tuple[str, str | None], list[Disparity]]:
    """Disparities by the features, in words, and the class that they are of."""
    grouped: dict[tuple[str, str | None], list[Disparity]] = {}
    for item in disparities:
        grouped.setdefault((crossed(item.by), item.label_class), []).append(item)
    return grouped


def disparity(name: str) -> str:
    """A disparity in words.

    Examples
    --------
    >>> disparity("equalized_odds_difference"), disparity("worst_gap_precision")
    ('Equalized odds difference', 'Worst gap in precision')
    """
    if name.startswith(_WORST_GAP):
        return f"Worst gap in {metric(name.removeprefix(_WORST_GAP), inline=True)}"
    return DISPARITIES.get(name, name)


def metric(name: str, *, inline: bool = False) -> str:
    """A metric in words, within a sentence if `inline`.

    Examples
    --------
    >>> metric("true_positive_rate"), metric("auc", inline=True), metric("precision", inline=True)
    ('True positive rate', 'AUC', 'precision')
    """
    known = NAMES.get(name, name)
    return known[:1].lower() + known[1:] if inline and known[:2] != known[:2].upper() else known


def crossed(features: Iterable[str]) -> str:
    """Features of a group.

    Examples
    --------
    >>> crossed(["race", "sex"]), crossed([])
    ('race × sex', '')
    """
    return " × ".join(features)


def group(of: Slice) -> str:
    """A group by its values alone; its features are said beside.

    Examples
    --------
    >>> group({"race": "Black", "sex": "Female"}), group({})
    ('Black, Female', 'all examples')
    """
    return ", ".join(of.values()) or EVERYONE


def reference(of: Gap) -> str:
    """What a group is compared with."""
    return "all others" if of.reference == REST else group(dict(of.reference))


def rate(value: float | None) -> str:
    """A metric with three decimals, or one figure where those would be 0; a dash where there is none.

    Examples
    --------
    >>> rate(0.12345), rate(1.0), rate(0.00012), rate(0), rate(None), rate(-0.5)
    ('0.123', '1.000', '0.0001', '0.000', '–', '−0.500')
    """
    if value is None:
        return "–"
    text = f"{value:.1g}" if 0 < abs(value) < 5e-4 else f"{value:.3f}"
    return text.replace("-", "−")


def gap_value(of: Gap) -> str:
    """A gap with its sign, or as a factor.

    Examples
    --------
    >>> known = dict(metric="precision", slice={}, reference="rest", verdict="pass",
    ...              slice_count=9, reference_count=9)
    >>> gap_value(Gap(kind="difference", value=0.05, **known)), gap_value(Gap(kind="ratio", value=0.8, **known))
    ('+0.050', '× 0.800')
    """
    return (
        signed(of.value)
        if of.kind == "difference"
        else f"× {rate(of.value)}"
        if of.value is not None
        else "–"
    )


def signed(value: float | None) -> str:
    """A difference with its sign."""
    return f"{'+' if value is not None and value >= 5e-4 else ''}{rate(value)}"


def interval(of: Metric | Gap | Disparity | BaselineChange | Discovered) -> str:
    """An interval; empty where there is none, and open where an end is missing."""
    if of.low is None and of.high is None:
        return ""
    if of.high is None:
        return f"{rate(of.low)} or more"
    return f"{rate(of.low)} to {rate(of.high)}"


def tolerance(kind: str, bound: float) -> str:
    """What a tolerance allows.

    Examples
    --------
    >>> tolerance("difference", 0.1), tolerance("ratio", 0.8)
    ('± 0.1', '× 0.8 to 1.25')
    """
    if kind == "ratio":
        return f"× {format_number(bound)} to {format_number(1 / bound)}"
    return f"± {format_number(bound)}"


def allowed(of: Gap) -> tuple[float, float] | None:
    """The least and the greatest gap that its tolerance allows."""
    if of.tolerance is None:
        return None
    return (of.tolerance, 1 / of.tolerance) if of.kind == "ratio" else (-of.tolerance, of.tolerance)


def chance(p: float | None) -> str:
    """A p-value.

    Examples
    --------
    >>> chance(0.0312), chance(2e-9), chance(1.0), chance(None)
    ('0.031', '< 0.0001', '1', '–')
    """
    if p is None:
        return "–"
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def count(examples: int, effective: float | None = None) -> str:
    """A denominator, and its effective count where examples have weights.

    Examples
    --------
    >>> count(1234), count(1234, 870.4)
    ('1,234', '1,234, effectively 870')
    """
    return f"{examples:,}" if effective is None else f"{examples:,}, effectively {effective:,.0f}"


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


def corrected(correction: str, comparisons: int) -> str:
    """How p-values were corrected for being many.

    Examples
    --------
    >>> corrected("holm", 46)
    'corrected for all 46 comparisons (Holm)'
    """
    if correction == "none":
        return "which was not corrected for being many comparisons"
    return f"corrected for all {words.plural(comparisons, 'comparison')} ({CORRECTIONS[correction]})"


def edges(of: Sequence[float]) -> str:
    """Edges of buckets.

    Examples
    --------
    >>> edges([25.0, 37.5])
    '25, 37.5'
    """
    return ", ".join(format_number(edge) for edge in of)


def share(part: int, whole: int) -> str:
    """A count with its share."""
    return f"{part:,} ({percent(part / whole)})" if whole else f"{part:,}"


def baseline_verdict(item: BaselineChange, report: FairnessReport) -> tuple[str, str]:
    """A change beside the baseline in signs and in a word."""
    if item.verdict == "worse":
        return {"note": "info", "warn": "warn", "fail": "fail"}[
            report.settings.get("on_regression", "warn")
        ], "Worse"
    return {
        "better": ("pass", "Better"),
        "pass": ("pass", "No worse"),
        "inconclusive": ("inconclusive", "Inconclusive"),
        "insufficient": ("not_run", "Too few"),
    }[item.verdict]


def in_order(changes: Sequence[BaselineChange]) -> list[BaselineChange]:
    """Changes with the worst first, and of equal verdict the strongest evidence."""
    rank = ["worse", "better", "inconclusive", "pass", "insufficient"]
    return sorted(changes, key=lambda item: (rank.index(item.verdict), 1.0 if item.p is None else item.p))


def titled(name: str, label_class: str | None, kind: str = "difference") -> str:
    """A metric of a class, and whether it is judged as a ratio.

    Examples
    --------
    >>> titled("precision", None), titled("selection_rate", "prime", "ratio")
    ('Precision', 'Selection rate, class prime, as a ratio')
    """
    of = "" if label_class is None else f", class {label_class}"
    return f"{metric(name)}{of}{', as a ratio' if kind == 'ratio' else ''}"
