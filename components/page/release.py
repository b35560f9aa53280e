"""What the pages say of a release decision: its sentence, and each input with its remedy and link."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfx_trust.components.release.report import Metric, ReleaseReport, Weighed
from tfx_trust.components.report import Finding, as_sentence, format_number


@dataclass(frozen=True)
class Row:
    """An input of the decision, with what the decision says of it.

    Attributes
    ----------
    finding
        The decision's finding about it; none where it simply allows.
    href
        Link to its page, where one is known.
    """

    weighed: Weighed
    finding: Finding | None
    href: str | None


def rows(report: ReleaseReport, link: Callable[[Weighed], str | None]) -> list[Row]:
    """Every input that was weighed, in the report's order: blocking ones first."""
    found = {(finding.check, finding.subject): finding for finding in report.findings}
    return [Row(item, found.get((item.kind, item.name)), link(item)) for item in report.release.weighed]


def further_findings(report: ReleaseReport) -> list[Finding]:
    """The decision's findings that are about none of its inputs, e.g. a gate left out on purpose."""
    told = {(item.kind, item.name) for item in report.release.weighed}
    return [finding for finding in report.findings if (finding.check, finding.subject) not in told]


def sentence(report: ReleaseReport) -> str:
    """Why the model is released or not."""
    return _granted(report) if report.release.blessed else _refused(report)


def remedy(report: ReleaseReport) -> str:
    """What to do first where the model is not released."""
    return (
        "" if report.release.blessed else next((item.remedy for item in report.findings if item.remedy), "")
    )


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    Examples
    --------
    >>> listed(["leakage", "fairness", "privacy"])
    'leakage, fairness and privacy'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def bounds(metric: Metric) -> str:
    """A metric's threshold in signs.

    Examples
    --------
    >>> bounds(Metric(name="auc", value=0.9, lower_bound=0.85))
    '≥ 0.85'
    """
    low, high = metric.lower_bound, metric.upper_bound
    if low is not None and high is not None:
        return f"{format_number(low)} to {format_number(high)}"
    if low is not None:
        return f"≥ {format_number(low)}"
    return "–" if high is None else f"≤ {format_number(high)}"


def missed(metric: Metric) -> bool:
    """Whether a metric lies outside its thresholds."""
    low, high = metric.lower_bound, metric.upper_bound
    return (low is not None and metric.value < low) or (high is not None and metric.value > high)


def difference(metric: Metric) -> str:
    """The candidate's value less the baseline's, with its sign."""
    if metric.baseline is None:
        return "–"
    change = metric.value - metric.baseline
    return f"{'+' if change > 0 else '−' if change < 0 else '±'}{format_number(abs(change))}"


def _refused(report: ReleaseReport) -> str:
    blocking = [item for item in report.release.weighed if item.weight == "blocks"]
    if not blocking:
        return "The release gate did not bless the model."
    # The page says all of it below: here only who blocks, and the gravest reason.
    gravest = blocking[0].findings[0].message if blocking[0].findings else blocking[0].reason
    return f"Blocked by {listed([item.name for item in blocking])}. {as_sentence(gravest)}"


def _granted(report: ReleaseReport) -> str:
    warned = [item.name for item in report.release.weighed if item.weight == "warns"]
    if warned:
        said = f"Nothing blocks it, but {listed(warned)} {'warns' if len(warned) == 1 else 'warn'}"
    else:
        said = "Nothing that was weighed speaks against it"
    waived = [finding.subject for finding in report.findings if finding.check == "waived"]
    if waived:
        said += f"; {listed(waived)} {'was' if len(waived) == 1 else 'were'} left out on purpose"
    return f"{said}."
