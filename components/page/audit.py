"""What the page of an audit says: attacks and their power, exposure by slice, the bound from canaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfx_trust.components.privacy.report import (
    Attack,
    AuditReport,
    AuditSection,
    CanaryAudit,
    Inference,
    Slice,
)
from tfx_trust.components.report import Estimate, Verdict

if TYPE_CHECKING:
    from tfx_trust.components.page.charts import Figure

ROC_FIGURE = "Telling members from others"
SLICES_FIGURE = "Exposure by slice"

ATTACKS = {
    "loss": "Loss",
    "confidence": "Confidence",
    "entropy": "Modified entropy",
    "lira": "Likelihood ratio (LiRA)",
}
MEANINGS = {
    "loss": "a small loss is taken for a sign of membership (Yeom et al. 2018)",
    "confidence": "so is a score that is sure of itself, whatever the label",
    "entropy": "so is a low entropy that the label bears out (Song & Mittal 2021)",
    "lira": "the score beside those of models trained with and without the example (Carlini et al. 2022)",
}
KINDS = {
    "attribute_inference": "all other features and the label known",
    "inversion": "the label alone known",
}
# Never "passed": an attack that fails shows nothing of attacks that were not made.
VERDICTS = {
    Verdict.PASS: "Not falsified",
    Verdict.WARN: "Not falsified, with a warning",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.NOT_RUN: "Not run",
    Verdict.FAIL: "Falsified",
}
_LEADS = {
    Verdict.PASS: "These attacks found nothing beyond the limits. Others may: an audit can show a claim to "
    "be wrong, and never to be right.",
    Verdict.WARN: "These attacks found nothing beyond the limits, but something deserves a look.",
    Verdict.INCONCLUSIVE: "There are too few examples to tell.",
    Verdict.NOT_RUN: "Something could not be attacked, which says nothing either way.",
    Verdict.FAIL: "An attack does better than the claim or the limits allow.",
}
WORDS = {
    Verdict.PASS: "Within limits",
    Verdict.WARN: "Warning",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.NOT_RUN: "Not run",
    Verdict.FAIL: "Beyond limits",
}


def title(report: AuditReport) -> str:
    """The verdict in a word: a claim that was there and stood is not falsified, nothing more."""
    if report.verdict is Verdict.FAIL and not report.audit.falsified:
        return "Exposed"
    if report.audit.claim is None and report.verdict in (Verdict.PASS, Verdict.WARN):
        return "Nothing found beyond the limits"
    return VERDICTS[report.verdict]


def lead(report: AuditReport) -> str:
    """What that means, in a sentence."""
    return _LEADS[report.verdict]


def slice_name(values: Slice) -> str:
    """A slice as people write it.

    Examples
    --------
    >>> slice_name({"sex": "Female", "race": "Black"})
    'sex: Female, race: Black'
    """
    return ", ".join(f"{name}: {value}" for name, value in values.items()) or "all examples"


def interval(estimate: Estimate | None, digits: int = 3) -> str:
    """The ends of an interval, e.g. ``0.497 to 0.511``; empty where there is none."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    return f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}"


def percent(value: float, digits: int = 1) -> str:
    """A share in per cent, with a proper minus.

    Examples
    --------
    >>> percent(0.0123), percent(-0.004)
    ('1.2 %', '−0.4 %')
    """
    text = f"{100 * value:.{digits}f}"
    return f"{text.removeprefix('-') if float(text) == 0 else text.replace('-', '−')} %"


def shares(estimate: Estimate, digits: int = 1) -> str:
    """An interval in per cent."""
    if estimate.low is None or estimate.high is None:
        return ""
    return " to ".join(percent(end, digits).removesuffix(" %") for end in (estimate.low, estimate.high))


def rates(section: AuditSection) -> list[float]:
    """False positive rates that power is told at."""
    return sorted({rate.false_positive_rate for attack in section.attacks for rate in attack.rates})


def at(attack: Attack, rate: float) -> Estimate | None:
    """Power at a false positive rate."""
    found = (item.true_positive_rate for item in attack.rates if item.false_positive_rate == rate)
    return next(found, None)


def allowed(section: AuditSection, rate: float) -> float | None:
    """What the claim allows at it; the same for every attack."""
    for attack in section.attacks:
        for item in attack.rates:
            if item.false_positive_rate == rate:
                return item.allowed
    return None


def inferences(section: AuditSection, kind: str) -> list[Inference]:
    """Those of a kind."""
    return [item for item in section.inferences if item.kind == kind]


def figure(figures: Sequence[Figure], wanted: str) -> Figure | None:
    """The chart of this title, if it was drawn."""
    return next((item for item in figures if item.title == wanted), None)


def best(canaries: CanaryAudit) -> tuple[int, int]:
    """Right guesses and guesses that the bound rests on."""
    chosen = max(canaries.guesses, key=lambda item: item.epsilon, default=None)
    return (0, 0) if chosen is None else (chosen.correct, chosen.guesses)
