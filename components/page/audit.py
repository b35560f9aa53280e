"""What the page of an audit says: attacks and their power, exposure by slice, the bound from canaries."""

from __future__ import annotations

from tfx_trust.components.privacy.report import AuditReport, Slice
from tfx_trust.components.report import Estimate, Verdict

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


def interval(auc: Estimate) -> str:
    """The ends of an AUC's interval, e.g. ``0.497 to 0.511``; empty where there is none."""
    if auc.low is None or auc.high is None:
        return ""
    return f"{auc.low:.3f} to {auc.high:.3f}"
