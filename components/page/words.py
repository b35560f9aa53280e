"""The words of the pages: verdicts, counts, shares, times and durations as people say them."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable

from tfx_trust.components.report import Estimate, Finding, Report, Severity, Verdict

VERDICTS = {
    Verdict.PASS: "Pass",
    Verdict.WARN: "Warning",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.NOT_RUN: "Not run",
    Verdict.FAIL: "Fail",
}
SEVERITIES = {Severity.INFO: "Note"} | {
    severity: VERDICTS[severity.verdict] for severity in Severity if severity is not Severity.INFO
}
TONES = {key.value: word for words in (VERDICTS, SEVERITIES) for key, word in words.items()}
"""Verdicts and severities by their machine names."""
STATES = {"done": "Done", "cached": "Cached", "failed": "Failed", "not_run": "Not run"}
WEIGHTS = {"allows": "Allows", "warns": "Warns", "blocks": "Blocks"}

_MEANINGS = {
    Verdict.PASS: "Nothing was found that speaks against it",
    Verdict.WARN: "Nothing fails, but something deserves a look",
    Verdict.INCONCLUSIVE: "The data do not settle the question",
    Verdict.NOT_RUN: "Something could not be checked, which is neither a pass nor a fail",
    Verdict.FAIL: "Something was found that must be mended first",
}
_COUNTED = {
    Severity.FAIL: ("fail", "fails"),
    Severity.NOT_RUN: ("check not run", "checks not run"),
    Severity.INCONCLUSIVE: ("inconclusive", "inconclusive"),
    Severity.WARN: ("warning", "warnings"),
    Severity.INFO: ("note", "notes"),
}


def summary(report: Report) -> str:
    """One sentence: what the verdict means, and how many findings of each severity there are.

    Examples
    --------
    >>> summary(Report(component="LeakageValidator"))
    'Nothing was found that speaks against it.'
    >>> found = Finding(check="duplicates", severity=Severity.FAIL, message="Rows repeat.")
    >>> summary(Report(component="LeakageValidator", findings=[found]))
    'Something was found that must be mended first: 1 fail.'
    """
    meaning = _MEANINGS[report.verdict]
    counts = counted(report.findings)
    return f"{meaning}: {counts}." if counts else f"{meaning}."


def counted(findings: Iterable[Finding]) -> str:
    """Findings counted by severity, the gravest first, e.g. ``1 fail, 2 warnings``."""
    counts = Counter(finding.severity for finding in findings)
    return ", ".join(
        f"{counts[severity]} {names[counts[severity] != 1]}"
        for severity, names in _COUNTED.items()
        if counts[severity]
    )


def duration(seconds: float | None) -> str:
    """Seconds as people say them; a dash where there are none.

    Examples
    --------
    >>> duration(0.42), duration(12.3), duration(200), duration(7300), duration(None)
    ('0.4 s', '12 s', '3 min 20 s', '2 h 02 min', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def moment(when: datetime.datetime) -> str:
    """A time for reading, in UTC where its zone is known.

    Examples
    --------
    >>> moment(datetime.datetime(2025, 3, 4, 9, 5, tzinfo=datetime.timezone.utc))
    '4 March 2025, 09:05 UTC'
    """
    zone = ""
    if when.tzinfo is not None:
        when = when.astimezone(datetime.timezone.utc)
        zone = " UTC"
    # Not strftime("%B"): that depends on the locale, and the page must not.
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}, {when:%H:%M}{zone}"


def when(text: str) -> str:
    """A time in ISO 8601 as people write it; the text as it is where it is none.

    Examples
    --------
    >>> when("2025-03-04T09:05:00+00:00"), when("yesterday")
    ('4 March 2025, 09:05 UTC', 'yesterday')
    """
    try:
        return moment(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")))
    except ValueError:
        return text


_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def plural(count: int, noun: str) -> str:
    """A count with its noun.

    Examples
    --------
    >>> plural(1, "node"), plural(3, "node")
    ('1 node', '3 nodes')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(count: int) -> str:
    """Bytes as people say them.

    Examples
    --------
    >>> size(812), size(3_146_000), size(1_500_000_000_000)
    ('812 bytes', '3.1 MB', '1.5 TB')
    """
    if count < 1000:
        return plural(count, "byte")
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        value /= 1000
        if value < 999.5 or unit == "PB":
            break
    return f"{value:.3g} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def percent(value: float, digits: int = 1) -> str:
    """A share in per cent, with a proper minus, and none before nothing.

    Examples
    --------
    >>> percent(0.6293), percent(-0.0123, 2), percent(-0.0000001)
    ('62.9 %', '−1.23 %', '0.0 %')
    """
    text = f"{100 * value:.{digits}f}"
    return f"{text.removeprefix('-') if float(text) == 0 else text.replace('-', '−')} %"


def interval(share: Estimate, digits: int = 1) -> str:
    """The interval of a share in per cent, as ``60.1 to 65.7``; empty where there is none.

    Examples
    --------
    >>> interval(Estimate(value=0.63, low=0.601, high=0.657))
    '60.1 to 65.7'
    """
    if share.low is None or share.high is None:
        return ""
    return " to ".join(percent(end, digits).removesuffix(" %") for end in (share.low, share.high))
