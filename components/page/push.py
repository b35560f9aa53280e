"""What the page of PushValidator says: whether what is served is what was recorded."""

from __future__ import annotations

from tfx_trust.components.page import words
from tfx_trust.components.provenance.report import PushReport


def headline(report: PushReport) -> str:
    """The outcome in one sentence."""
    section = report.push
    if section.destination is None:
        return "Nothing was pushed, so there is nothing to compare with the record."
    if section.changes:
        verb = "differs" if len(section.changes) == 1 else "differ"
        return (
            f"What was pushed is not what was recorded: {words.plural(len(section.changes), 'file')} {verb}."
        )
    if not section.files:
        return "What was pushed could not be compared with the record."
    files = words.plural(section.files, "file")
    carries = " It carries its record." if section.carried else ""
    return f"What was pushed is the model that was recorded, to the byte: {files}.{carries}"
