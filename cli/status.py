"""Exit statuses of the command."""

from __future__ import annotations

from tfx_trust.components.report import Verdict

OK, ERROR, USAGE, FAIL, UNDECIDED = 0, 1, 2, 3, 4


def status_of(verdict: Verdict) -> int:
    """Exit status for a verdict.

    Examples
    --------
    >>> status_of(Verdict.WARN), status_of(Verdict.FAIL), status_of(Verdict.NOT_RUN)
    (0, 3, 4)
    """
    if verdict is Verdict.FAIL:
        return FAIL
    return UNDECIDED if verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_RUN) else OK
