"""The model beside the baseline, on the same examples: no group is to be treated worse than before.

What both models decide alike cancels out. McNemar's test looks at the others alone, which is far sharper than
two independent intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tfx_trust.components import intervals
from tfx_trust.components.corrections import METHODS, mcnemar
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.count import PAIR_BITS, Counts
from tfx_trust.components.fairness.measure import Measured
from tfx_trust.components.fairness.report import Baseline, BaselineChange

_Error = Literal["false_positive_rate", "false_negative_rate", "error_rate"]
_Judged = Literal["pass", "worse", "better", "inconclusive", "insufficient"]
# By error: the labels of the examples that could have it.
_LABELS: dict[_Error, list[int]] = {
    "false_positive_rate": [0],
    "false_negative_rate": [1],
    "error_rate": [0, 1],
}


def beside_baseline(
    counts: Counts, measured: Sequence[Measured], settings: FairnessSettings
) -> Baseline | None:
    """The changes of every slice; none without a baseline."""
    if not counts.plan.baseline:
        return None
    changes = [change for one in measured for change in _changes(counts, one, settings.level)]
    method = METHODS[settings.correction]
    asked = [change for change in changes if change.count >= settings.min_count]
    for change, adjusted in zip(asked, method([change.p or 0.0 for change in asked]), strict=True):
        change.p_adjusted = adjusted
    comparisons = 1 if settings.correction == "none" else max(1, len(asked))
    surely = 1 - (1 - settings.level) / comparisons
    for change in changes:
        change.verdict = _verdict(change, settings, surely)
    pairs = _pairs(counts, measured[0])
    return Baseline(
        examples=int(pairs.sum()),
        changed=int(pairs[:, :, 0, 1].sum() + pairs[:, :, 1, 0].sum()),
        changes=changes,
    )


def _pairs(counts: Counts, measured: Measured) -> np.ndarray:
    """Examples of shape ``(slices, 2, 2, 2)``: by label, decision and the baseline's decision."""
    part = counts.parts[counts.plan.classes.index(measured.label_class)]
    tally = part.pairs[measured.sliced.base].tally
    own = measured.sliced.slice_of(tally.keys >> PAIR_BITS)
    found = np.zeros((len(measured.slices), 2, 2, 2), np.int64)
    keys = tally.keys
    np.add.at(found, (own, keys >> 2 & 1, keys >> 1 & 1, keys & 1), tally.sums[:, 0])
    return found


def _changes(counts: Counts, measured: Measured, level: float) -> list[BaselineChange]:
    pairs = _pairs(counts, measured)
    wrong = {0: 1, 1: 0}
    found = []
    for metric, labels in _LABELS.items():
        count = pairs[:, labels].sum(axis=(1, 2, 3))
        worse = sum(pairs[:, label, wrong[label], 1 - wrong[label]] for label in labels)
        better = sum(pairs[:, label, 1 - wrong[label], wrong[label]] for label in labels)
        low, high = intervals.paired(worse, better, count, level)
        for place, slice_ in enumerate(measured.slices):
            b, c, n = int(worse[place]), int(better[place]), int(count[place])
            found.append(
                BaselineChange(
                    metric=metric,
                    slice=slice_,
                    label_class=measured.label_class,
                    count=n,
                    worse=b,
                    better=c,
                    value=(b - c) / n if n else None,
                    low=float(low[place]) if n else None,
                    high=float(high[place]) if n else None,
                    p=mcnemar(b, c) if n else None,
                    verdict="inconclusive",
                )
            )
    return found


def _verdict(change: BaselineChange, settings: FairnessSettings, surely: float) -> _Judged:
    """What a change amounts to; `surely` is the level that holds for all changes together (Bonferroni)."""
    if change.p_adjusted is None or change.value is None or change.high is None:
        return "insufficient"
    if change.p_adjusted < 1 - settings.level:
        if change.value < 0:
            return "better"
        return "worse" if _beyond_allowed(change, settings.max_regression, surely) else "inconclusive"
    # Where no decision differs nothing has changed, whatever the interval.
    unchanged = not change.worse and not change.better
    return "pass" if unchanged or change.high <= settings.max_regression else "inconclusive"


def _beyond_allowed(change: BaselineChange, most: float, surely: float) -> bool:
    """Whether a change for the worse, which is more than chance, is more than is allowed, too."""
    if not most:
        return True
    worse, better, count = (np.array(number) for number in (change.worse, change.better, change.count))
    return float(intervals.paired(worse, better, count, surely)[0]) > most
