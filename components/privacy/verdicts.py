"""Verdicts of several attacks of one kind, which are tested together against one limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tfx_trust.components.corrections import holm
from tfx_trust.components.privacy.report import Attack, Inference, SliceExposure
from tfx_trust.components.report import Estimate, Verdict

Tested = TypeVar("Tested", Attack, Inference, SliceExposure)


def judge(items: Sequence[Tested], level: float, within: Callable[[Tested], bool]) -> None:
    """Sets the corrected p-values (Holm) and the verdicts of those that were tested.

    Parameters
    ----------
    items
        Those without a p-value keep their verdict.
    level
        One fails where its corrected p-value is below 1 less this.
    within
        Whether one that does not fail passes: its whole interval lies within the limit. Else it is
        inconclusive.
    """
    tested = [item for item in items if item.p is not None]
    for item, adjusted in zip(tested, holm([item.p or 0.0 for item in tested]), strict=True):
        item.p_adjusted = adjusted
        if adjusted < 1 - level:
            item.verdict = Verdict.FAIL
        else:
            item.verdict = Verdict.PASS if within(item) else Verdict.INCONCLUSIVE


def at_most(estimate: Estimate | None, limit: float) -> bool:
    """Whether the whole interval of an estimate lies within a limit."""
    return estimate is not None and estimate.high is not None and estimate.high <= limit
