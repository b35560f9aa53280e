"""What was spent on a source of data, over all trainings, and whether a budget allows for one more.

Trainings are composed by what they consisted of, at one delta: tight where adding up their epsilons is not.
Of what was spent elsewhere only epsilon and delta are known; these add up (basic composition, Dwork & Roth
2014, Theorem 3.16). Where spans are different examples, each has an account of its own, and the costliest is
the total (parallel composition, McSherry 2009, Theorem 4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from tfx_trust.components.errors import TrustError
from tfx_trust.components.privacy.accounting import default_delta, epsilon_of, roughly
from tfx_trust.components.privacy.config import AccountantName, Adjacency, Budget, Spending
from tfx_trust.components.privacy.report import Ledger, LedgerEntry

# What sums of floating point may be off by.
_SLACK = 1e-9
_LISTED = 20
# Accounts of spans that are not touched are told exactly if they are so few.
_FEW_ACCOUNTS = 12


class BudgetExceeded(TrustError):
    """A training would pass the budget. The message shows the ledger.

    Attributes
    ----------
    ledger
        As it would be with the training.
    page
        Where the ledger can be seen as a page; empty if nowhere.
    """

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(told(ledger))
        self.ledger = ledger
        self.page = ""

    def __reduce__(self) -> tuple[type[BudgetExceeded], tuple[Ledger], dict[str, str]]:
        return BudgetExceeded, (self.ledger,), {"page": self.page}


def ledger_of(
    source: str,
    spans: Sequence[int],
    earlier: Sequence[LedgerEntry],
    here: LedgerEntry,
    budget: Budget | None,
    delta: float,
    *,
    accountant: AccountantName = "pld",
    adjacency: Adjacency = "add_or_remove_one",
) -> Ledger:
    """The ledger with the training at hand.

    Parameters
    ----------
    source
        Name of the data.
    spans
        Those that the training at hand reads; empty if it reads all, or they are not numbered.
    earlier
        Trainings before it, the oldest first.
    here
        The training at hand.
    budget
        Says whether spans are different examples (they are, if there is none), and what was spent elsewhere,
        which is taken to be told for the same adjacency.
    delta
        Of the totals. It is lowered where it is not below 1/N for the largest N of all trainings.
    accountant, adjacency
        By which the trainings are composed.

    Returns
    -------
    Ledger
        A total is none where one of the trainings had no guarantee, or the deltas that were spent elsewhere
        use up `delta`; `unknown` says why.

    Raises
    ------
    UsageError
        As of `epsilon_of`.
    """
    here = here.model_copy(update={"spans": sorted(set(spans)), "here": True})
    before = [*(_elsewhere(spending) for spending in (budget.prior if budget else [])), *earlier]
    entries = [*before, here]
    notes = [
        f"{entry.run} had no guarantee: what it gave away of the data has no limit."
        for entry in before
        if entry.epsilon is None
    ]
    largest = max((it.examples for entry in entries for it in entry.mechanisms), default=1)
    if delta * largest >= 1:
        notes.append(
            f"Totals are told at delta = {default_delta(largest):.3g}: {delta:.3g} is not below 1/N for the "
            f"training on {largest:,} examples."
        )
        delta = default_delta(largest)

    def total(of: Sequence[LedgerEntry], epsilon: Callable[..., float] = epsilon_of) -> float | None:
        return _total(of, delta, epsilon, accountant, adjacency)

    numbered = sorted({span for entry in entries for span in entry.spans})
    if (budget is not None and budget.spans == "overlapping") or not numbered:
        by_span = {}
        sums = total(before), total(entries)
    else:
        untouched = [span for span in numbered if here.spans and span not in here.spans]
        coarse = roughly if len(untouched) > _FEW_ACCOUNTS else epsilon_of
        accounts = {
            span: tuple(
                total(_of_span(span, of), coarse if span in untouched else epsilon_of)
                for of in (before, entries)
            )
            for span in numbered
        }
        by_span = {str(span): sum_ for span, (_, sum_) in accounts.items()}
        sums = _greatest(sum_ for sum_, _ in accounts.values()), _greatest(by_span.values())
    if sums[1] is None and all(entry.epsilon is not None for entry in entries):
        notes.append(
            f"At delta = {delta:.3g} no total can be told: what was spent so far may fail with a greater "
            "probability already."
        )
    return Ledger(
        source=source,
        entries=entries,
        total_before=sums[0],
        total=sums[1],
        delta=delta,
        by_span=by_span,
        budget=budget.epsilon if budget else None,
        spans=budget.spans if budget else "disjoint",
        unknown=notes,
    )


def exceeds(ledger: Ledger) -> bool:
    """Whether the training at hand passes the budget.

    It does where one of the spans that it reads would cost more than the budget, or an amount that is not
    known. What other spans cost does not change by it.
    """
    if ledger.budget is None:
        return False
    limit = ledger.budget * (1 + _SLACK)
    return any(sum_ is None or sum_ > limit for sum_ in _touched(ledger))


def spent_here(ledger: Ledger) -> float | None:
    """The total of the data at hand: of the costliest of its spans, where spans are different data."""
    return _greatest(_touched(ledger))


def told(ledger: Ledger) -> str:
    """The ledger as text: what it comes to, and its entries."""
    spent, before = spent_here(ledger), ledger.total_before
    limit = "" if ledger.budget is None else f" of a budget of {ledger.budget:g}"
    sums = f"an amount that is not known{limit}" if spent is None else f"{spent:.4g}{limit}"
    if not ledger.by_span and before is not None:
        sums += f" ({before:.4g} before it)"
    lines = [
        f"with this training, epsilon for {ledger.source} would be {sums}, at delta = {ledger.delta:.3g}; "
        "train on new data or at a lower epsilon, or raise the budget"
    ]
    left_out = len(ledger.entries) - _LISTED
    if left_out > 0:
        lines.append(f"  ... and {left_out} before these")
    rows = [("training", "spans", "epsilon", "delta"), *(_row(entry) for entry in ledger.entries[-_LISTED:])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        lines.append(
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    lines.extend(f"  note: {note}" for note in ledger.unknown)
    return "\n".join(lines)


# Parts


def _elsewhere(spending: Spending) -> LedgerEntry:
    return LedgerEntry(
        run=spending.what,
        created="",
        artifact=None,
        spans=[] if spending.span is None else [spending.span],
        epsilon=spending.epsilon,
        delta=spending.delta,
    )


def _of_span(span: int, entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Those that read the span; one that does not say which spans it read may have read any."""
    return [entry for entry in entries if not entry.spans or span in entry.spans]


def _total(
    entries: Sequence[LedgerEntry],
    delta: float,
    epsilon: Callable[..., float],
    accountant: AccountantName,
    adjacency: Adjacency,
) -> float | None:
    if any(entry.epsilon is None for entry in entries):
        return None
    stated = [entry for entry in entries if not entry.mechanisms]
    composed = [it for entry in entries for it in entry.mechanisms]
    left = delta - math.fsum(entry.delta for entry in stated)
    sum_ = math.fsum(entry.epsilon or 0.0 for entry in stated)
    if composed:
        if left <= 0:
            return None
        sum_ += epsilon(composed, left, accountant=accountant, adjacency=adjacency)
    elif left < -delta * _SLACK:
        return None
    return sum_ if math.isfinite(sum_) else None


def _greatest(sums: Iterable[float | None]) -> float | None:
    known = list(sums)
    return None if any(sum_ is None for sum_ in known) else max((sum_ or 0.0 for sum_ in known), default=0.0)


def _touched(ledger: Ledger) -> list[float | None]:
    """Totals of the spans that the training at hand reads."""
    here = ledger.entries[-1]
    if not here.spans or not ledger.by_span:
        return [ledger.total]
    return [ledger.by_span[str(span)] for span in here.spans]


def _row(entry: LedgerEntry) -> tuple[str, str, str, str]:
    name = "this training" if entry.here else entry.run
    if entry.created and not entry.here:
        name = f"{name}, {entry.created}"
    epsilon = "no guarantee" if entry.epsilon is None else f"{entry.epsilon:.4g}"
    return name, _ranges(entry.spans) or "all", epsilon, f"{entry.delta:.3g}"


def _ranges(spans: Sequence[int]) -> str:
    """Spans, neighbours drawn together.

    Examples
    --------
    >>> _ranges([1, 2, 3, 7])
    '1-3, 7'
    """
    parts: list[list[int]] = []
    for span in sorted(spans):
        if parts and span == parts[-1][1] + 1:
            parts[-1][1] = span
        else:
            parts.append([span, span])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
