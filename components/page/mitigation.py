"""What the page of a mitigation report says: groups by name, rates before and after, what was paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfx_trust.components.mitigation.config import RATES
from tfx_trust.components.mitigation.report import GroupThresholds, MitigationReport, Outcome, named
from tfx_trust.components.report import Estimate

if TYPE_CHECKING:
    from tfx_trust.components.page.charts import Figure

CONSTRAINTS = {
    "demographic_parity": "Demographic parity: equal selection rates",
    "equal_opportunity": "Equal opportunity: equal true positive rates",
    "false_positive_parity": "Equal false positive rates",
    "equalized_odds": "Equalized odds: equal true and false positive rates",
}
RATE_NAMES = {
    "selection_rate": "Selection rate",
    "true_positive_rate": "True positive rate",
    "false_positive_rate": "False positive rate",
    "accuracy": "Accuracy",
}


@dataclass(frozen=True)
class Compared:
    """A split under one threshold for all and under those of the groups."""

    split: str
    before: Outcome
    after: Outcome
    paid: Estimate


def compared(report: MitigationReport) -> list[Compared]:
    """The split that was chosen on, and the other one where there is one."""
    found = report.mitigation.thresholds
    if found is None:
        return []
    rows = [Compared(str(report.settings.get("split", "train")), found.before, found.after, found.paid)]
    before, after, paid = found.held_out_before, found.held_out_after, found.held_out_paid
    if before is not None and after is not None and paid is not None:
        rows.append(Compared(str(report.settings.get("eval_split") or "eval"), before, after, paid))
    return rows


def shown_rates(found: GroupThresholds) -> list[str]:
    """The rates that are to be alike, then the others."""
    wanted = RATES[found.constraint]
    return [*wanted, *(name for name in RATE_NAMES if name not in wanted)]


def group(value: dict[str, str]) -> str:
    """A group as people write it."""
    return named(value)


def figure(figures: Sequence[Figure]) -> Figure | None:
    """The curve, if it was drawn."""
    return next(iter(figures), None)
