"""Groups, metrics and gaps of a fairness report in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tfx_trust.components.fairness.report import (
    REST,
    BaselineChange,
    Discovered,
    Disparity,
    Gap,
    Metric,
    Slice,
)
from tfx_trust.components.fairness.words import METRICS as METRIC_WORDS
from tfx_trust.components.page.leakage import percent
from tfx_trust.components.report import format_number

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
_WORST_GAP = "worst_gap_"


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
    >>> gap = Gap(metric="precision", slice={}, reference="rest", kind="ratio", value=0.8, verdict="pass",
    ...           slice_count=9, reference_count=9)
    >>> gap_value(gap), gap_value(gap.model_copy(update={"kind": "difference"}))
    ('× 0.800', '+0.800')
    """
    if of.kind == "ratio" and of.value is not None:
        return f"× {rate(of.value)}"
    return signed(of.value)


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


def corrected(correction: str) -> str:
    """How p-values were corrected for being many.

    Examples
    --------
    >>> corrected("holm")
    'corrected for all comparisons together (Holm)'
    """
    if correction == "none":
        return "not corrected for being many comparisons"
    return f"corrected for all comparisons together ({CORRECTIONS[correction]})"


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
    told = percent(part / whole).replace(" ", "\N{NO-BREAK SPACE}") if whole else ""
    return f"{part:,} ({told})" if told else f"{part:,}"


def titled(name: str, label_class: str | None, kind: str = "difference") -> str:
    """A metric of a class, and whether it is judged as a ratio.

    Examples
    --------
    >>> titled("precision", None), titled("selection_rate", "prime", "ratio")
    ('Precision', 'Selection rate, class prime, as a ratio')
    """
    of = "" if label_class is None else f", class {label_class}"
    return f"{metric(name)}{of}{', as a ratio' if kind == 'ratio' else ''}"


def baseline_verdict(of: BaselineChange, effect: str) -> tuple[str, str]:
    """A change beside the baseline in signs and in a word; `effect` is what a worse one does.

    Examples
    --------
    >>> change = BaselineChange(metric="error_rate", slice={}, count=9, worse=5, better=0, value=0.5,
    ...                         verdict="worse")
    >>> baseline_verdict(change, "note")
    ('info', 'Worse')
    """
    return {
        "worse": ({"note": "info"}.get(effect, effect), "Worse"),
        "better": ("pass", "Better"),
        "pass": ("pass", "No worse"),
        "inconclusive": ("inconclusive", "Inconclusive"),
        "insufficient": ("not_run", "Too few"),
    }[of.verdict]
