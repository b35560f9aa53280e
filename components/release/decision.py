"""The release decision: every report and the evaluation weighed against a policy. No TFX here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfx_trust.components.release.config import ReleasePolicy
from tfx_trust.components.release.report import Weighed, Weight
from tfx_trust.components.report import Finding, Report, Severity, Verdict, as_sentence


@dataclass(frozen=True)
class Judged:
    """A report as it was found: read, or not readable with the reason why not."""

    report: Report | None
    uri: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Evaluation:
    """What the Evaluator said.

    Attributes
    ----------
    blessed
        Its blessing; none if it gave none.
    failures
        One sentence for each threshold that was missed.
    """

    blessed: bool | None
    failures: Sequence[str] = ()
    uri: str = ""


def weigh_report(name: str, judged: Judged | None, policy: ReleasePolicy) -> Weighed:
    """Weighs one report; `judged` is none where no such report is connected."""
    required = policy.required is None or name in policy.required
    if judged is None or judged.report is None:
        problem = judged.problem if judged else "its report is not connected to the release gate"
        uri = judged.uri if judged else ""
        weight: Weight = "blocks" if required and policy.blocks(Verdict.NOT_RUN) else "warns"
        return Weighed(
            name=name,
            kind="report",
            component="",
            verdict=Verdict.NOT_RUN,
            weight=weight,
            required=required,
            reason=f"{name} could not be weighed: {problem}",
            uri=uri,
        )
    report = judged.report
    grave = [finding for finding in report.findings if finding.severity is not Severity.INFO]
    if report.verdict is Verdict.PASS:
        weight = "allows"
    elif policy.blocks(report.verdict) and (required or report.verdict is not Verdict.NOT_RUN):
        weight = "blocks"
    else:
        weight = "warns"
    return Weighed(
        name=name,
        kind="report",
        component=report.component,
        verdict=report.verdict,
        weight=weight,
        required=required,
        reason=_reason(name, report.verdict, grave),
        uri=judged.uri,
        findings=grave,
    )


def weigh_evaluation(evaluation: Evaluation | None, policy: ReleasePolicy) -> Weighed:
    """Weighs the Evaluator's blessing; `evaluation` is none where no Evaluator is connected."""
    required = policy.require_evaluation
    if evaluation is not None and evaluation.blessed is not None:
        met = "the model meets every threshold of the Evaluator"
        missed = "; ".join(evaluation.failures) or "the Evaluator did not bless the model"
        return Weighed(
            name="evaluation",
            kind="evaluation",
            component="Evaluator",
            verdict=Verdict.PASS if evaluation.blessed else Verdict.FAIL,
            weight="allows" if evaluation.blessed else "blocks",
            required=required,
            reason=met if evaluation.blessed else missed,
            uri=evaluation.uri,
        )
    why = (
        "no Evaluator is connected to the release gate"
        if evaluation is None
        else "the Evaluator gave no blessing; it does so only where its EvalConfig has thresholds"
    )
    return Weighed(
        name="evaluation",
        kind="evaluation",
        component="" if evaluation is None else "Evaluator",
        verdict=Verdict.NOT_RUN,
        weight="blocks" if required else "warns",
        required=required,
        reason=why,
    )


def weigh_anomalies(anomalies: Mapping[str, Sequence[str]], uri: str, policy: ReleasePolicy) -> Weighed:
    """Weighs what ExampleValidator found: sentences by split."""
    found = [f"{split}: {sentence}" for split, sentences in anomalies.items() for sentence in sentences]
    blocks = policy.on_anomalies == "block"
    return Weighed(
        name="anomalies",
        kind="anomalies",
        component="ExampleValidator",
        verdict=Verdict.FAIL if found else Verdict.PASS,
        weight="allows" if not found else "blocks" if blocks else "warns",
        required=blocks,
        reason=_several(found) if found else "the examples fit their schema",
        uri=uri,
    )


def decide(weighed: Sequence[Weighed], policy: ReleasePolicy) -> tuple[bool, list[Finding]]:
    """Whether the model is released, and one finding for each input that does not simply allow it.

    The release is blocked if anything blocks; whether it then reads ``fail``, ``inconclusive`` or
    ``not_run`` depends on the gravest thing that blocks.
    """
    findings = [_finding(item) for item in weighed if item.weight != "allows"]
    named = {item.name for item in weighed}
    findings += [
        Finding(
            check="waived",
            severity=Severity.WARN,
            subject=name,
            message=f"The gate {name} was left out of this run on purpose.",
            remedy=f"Run again with {name} before you rely on the model.",
        )
        for name in policy.waived
        if name not in named
    ]
    blessed = not any(item.weight == "blocks" for item in weighed)
    return blessed, findings


def _finding(item: Weighed) -> Finding:
    severity = Severity.WARN
    if item.weight == "blocks":
        # What blocks by policy alone (a warning under on_warn="block") is a fail of the release.
        severity = {
            Verdict.INCONCLUSIVE: Severity.INCONCLUSIVE,
            Verdict.NOT_RUN: Severity.NOT_RUN,
        }.get(item.verdict, Severity.FAIL)
    remedies = [finding.remedy for finding in item.findings if finding.remedy]
    return Finding(
        check=item.kind,
        severity=severity,
        subject=item.name,
        message=as_sentence(item.reason),
        remedy=remedies[0] if remedies else _REMEDIES.get((item.kind, item.verdict), ""),
    )


_REMEDIES = {
    (
        "report",
        Verdict.NOT_RUN,
    ): "Connect and run the gate, or take it out of the policy's required reports and say why.",
    ("evaluation", Verdict.NOT_RUN): "Give the Evaluator a threshold inside its MetricConfig.",
    ("evaluation", Verdict.FAIL): "Improve the model, or argue for another threshold.",
    ("anomalies", Verdict.FAIL): "Mend the data, or revise the schema if the data are right.",
}


def _reason(name: str, verdict: Verdict, findings: Sequence[Finding]) -> str:
    if verdict is Verdict.PASS:
        return f"{name} found nothing that weighs"
    said = _several([finding.message for finding in findings])
    return f"{name} says {verdict}: {said}" if said else f"{name} says {verdict}"


def _several(sentences: Sequence[str], shown: int = 3) -> str:
    text = "; ".join(sentence.rstrip(". ") for sentence in sentences[:shown])
    more = len(sentences) - shown
    return f"{text}; and {more} more" if more > 0 else text
