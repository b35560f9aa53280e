"""What the mitigations did, in findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tfx_trust.components.fairness.report import Slice
from tfx_trust.components.mitigation.report import GroupThreshold, GroupThresholds, Outcome, Reweighing, named
from tfx_trust.components.report import Estimate, Finding, Severity, format_number

WANTED = {
    "demographic_parity": "selection rates",
    "equal_opportunity": "true positive rates",
    "false_positive_parity": "false positive rates",
    "equalized_odds": "true and false positive rates",
}
_SHOWN = 10
_SAME = 1e-9


def threshold_findings(found: GroupThresholds, split: str, eval_split: str | None) -> list[Finding]:
    """What there is to say of some thresholds.

    Parameters
    ----------
    found
        The thresholds.
    split, eval_split
        Names of the splits that they were chosen and measured on.
    """
    return list(_of_thresholds(found, split, eval_split))


def _of_thresholds(found: GroupThresholds, split: str, eval_split: str | None) -> Iterator[Finding]:
    adjusted = [item for item in found.groups if item.adjusted]
    rates = WANTED[found.constraint]
    if len(adjusted) < 2:
        yield Finding(
            check="group_thresholds",
            severity=Severity.INCONCLUSIVE,
            subject=", ".join(found.features),
            message=(
                f"No thresholds were chosen: fewer than two groups have enough {split} examples to compare "
                f"their {rates}; the common threshold {format_number(found.common_threshold)} decides for "
                "all."
            ),
            remedy="Group by coarser values, or lower min_count.",
            evidence=_few(adjusted, found.groups),
        )
        return
    before, after = found.before, found.after
    unchanged = all(item.threshold == found.common_threshold for item in adjusted)
    if unchanged and before.gap.value <= found.max_gap + _SAME:
        yield Finding(
            check="group_thresholds",
            severity=Severity.INFO,
            subject=", ".join(found.features),
            statistic=before.gap,
            threshold=found.max_gap,
            message=(
                f"The {rates} of the groups differ by {_points(before.gap.value)} on {split} with one "
                "threshold for all, which is allowed: nothing was changed."
            ),
        )
    else:
        yield Finding(
            check="group_thresholds",
            severity=Severity.INFO,
            subject=", ".join(found.features),
            statistic=after.gap,
            threshold=found.max_gap,
            message=(
                f"With a threshold for each group the {rates} differ by {_points(after.gap.value)} on "
                f"{split} instead of {_points(before.gap.value)}, and {_accuracy(after)} of decisions are "
                f"right instead of {_accuracy(before)}."
            ),
        )
    yield from _held_out(found, rates, eval_split)
    yield from _constant(adjusted, split)
    left = [item.group for item in found.groups if not item.adjusted]
    if left or found.ungrouped:
        told = [_small(left)] if left else []
        told += [f"{_examples(found.ungrouped)} without a group"] if found.ungrouped else []
        yield _left(f"The common threshold decides for {' and '.join(told)}.", left)


def _held_out(found: GroupThresholds, rates: str, split: str | None) -> Iterator[Finding]:
    before, after = found.held_out_before, found.held_out_after
    if before is None or after is None or split is None:
        return
    beyond = after.gap.low is not None and after.gap.low > found.max_gap
    yield Finding(
        check="held_out_gap",
        severity=Severity.WARN if beyond else Severity.INFO,
        subject=split,
        statistic=after.gap,
        threshold=found.max_gap,
        message=(
            f"On {split}, which nothing was chosen by, the {rates} differ by {_points(after.gap.value)} "
            f"instead of {_points(before.gap.value)}, and {_accuracy(after)} of decisions are right instead "
            f"of {_accuracy(before)}."
        ),
        remedy=(
            "The thresholds do not carry over: choose them on examples that the model was not fitted to, or "
            "look for what differs between the splits."
            if beyond
            else ""
        ),
    )


def _constant(adjusted: list[GroupThreshold], split: str) -> Iterator[Finding]:
    for item in adjusted:
        if is_constant(item):
            rate = item.after["selection_rate"]
            yield Finding(
                check="constant_decisions",
                severity=Severity.WARN,
                subject=named(item.group),
                statistic=rate,
                message=(
                    f"{'Nobody' if rate.value == 0 else 'Everybody'} of {named(item.group)} is decided "
                    f"positive on {split}: its threshold is {format_number(item.threshold)}."
                ),
                remedy="Allow a larger gap (max_gap): the curve tells what each costs.",
            )


def is_constant(item: GroupThreshold) -> bool:
    """Whether a group's own threshold decides all of it alike, and the common one does not."""
    before, after = item.before["selection_rate"].value, item.after["selection_rate"].value
    return item.adjusted and after in (0.0, 1.0) and before not in (0.0, 1.0)


def reweigh_findings(found: Reweighing, split: str, min_count: int) -> list[Finding]:
    """What there is to say of some weights.

    Parameters
    ----------
    found
        The weights.
    split
        Name of the split that was reweighed.
    min_count
        Fewest examples of a group that is reweighed.
    """
    return list(_of_weights(found, split, min_count))


def _of_weights(found: Reweighing, split: str, min_count: int) -> Iterator[Finding]:
    subject = ", ".join(found.features)
    if len(found.groups) < 2:
        yield Finding(
            check="reweighing",
            severity=Severity.INCONCLUSIVE,
            subject=subject,
            message=(
                f"Nothing was reweighed: fewer than two groups have the {min_count:,} {split} examples that "
                "are needed."
            ),
            remedy="Group by coarser values, or lower min_count.",
        )
    else:
        yield Finding(
            check="reweighing",
            severity=Severity.INFO,
            subject=subject,
            statistic=Estimate(value=found.gap_after, count=found.examples - found.untouched),
            message=(
                f"By weight, groups differ by {_points(found.gap_after)} in the share of a label instead of "
                f"{_points(found.gap_before)}; {found.examples:,} {split} examples count like "
                f"{found.effective_after:,.0f} of equal weight ({found.effective_before:,.0f} before)."
            ),
        )
    for cell in found.cells:
        if cell.expected > 0 and cell.examples < min_count and len(found.groups) > 1:
            none = cell.examples == 0
            yield Finding(
                check="empty_cells" if none else "few_examples",
                severity=Severity.WARN,
                subject=f"{named(cell.group)}, label {cell.label}",
                statistic=Estimate(value=float(cell.examples)),
                threshold=float(min_count),
                message=(
                    f"{named(cell.group)} has {'no' if none else f'only {cell.examples:,}'} {split} examples "
                    f"with label {cell.label}, where {format_number(round(cell.expected, 1))} were expected: "
                    + (
                        "no weight can make up for them."
                        if none
                        else f"each of them now counts {format_number(cell.factor)} times."
                    )
                ),
                remedy="Gather examples of this kind, group by coarser values, or lower strength.",
            )
    if found.untouched:
        why = f", among them {_small(found.small)}" if found.small else ", which have no group"
        yield _left(f"The weight of {_examples(found.untouched)} stays as it was{why}.", found.small)


def _left(message: str, groups: list[Slice]) -> Finding:
    return Finding(
        check="groups_left",
        severity=Severity.INFO,
        message=message,
        evidence={"groups": _names(groups)} if groups else {},
    )


def _small(groups: list[Slice]) -> str:
    return f"{len(groups):,} {'group' if len(groups) == 1 else 'groups'} with too few examples"


def _examples(count: int) -> str:
    return f"{count:,} {'example' if count == 1 else 'examples'}"


def _few(adjusted: list[GroupThreshold], groups: list[GroupThreshold]) -> dict[str, object]:
    few = [item for item in groups if item not in adjusted]
    return {"groups": {named(item.group): item.reason for item in few[:_SHOWN]}} if few else {}


def _names(groups: Iterable[Slice]) -> list[str]:
    names = [named(group) for group in groups]
    more = len(names) - _SHOWN
    return names if more <= 0 else [*names[:_SHOWN], f"and {more:,} more"]


def _points(value: float) -> str:
    return f"{100 * value:.1f} percentage points"


def _accuracy(outcome: Outcome) -> str:
    return f"{100 * outcome.accuracy.value:.2f} %"
