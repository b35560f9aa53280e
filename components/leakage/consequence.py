"""How much of a model's score was leakage: the metric with and without the leaked examples.

Scores are counted by a code of 22 bits, so that shards add up and memory is bounded. What a code loses
is less than one part in a thousand of a score, or of its distance from 1.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Literal

import numpy as np

from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.report import Consequence
from tfx_trust.components.report import Estimate

Metric = Literal["auc", "accuracy", "mean_absolute_error"]
METRICS: dict[str, Metric] = {"binary": "auc", "classes": "accuracy", "number": "mean_absolute_error"}

REPLICATES = 400
_BINS = 2_048
_SEED = 20_240_229
_SHIFT = 10
_TOP = 1 << 23


def codes(
    kind: str, *, scores: np.ndarray, positive: np.ndarray, labels: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores as codes that can be counted, and what they are compared with; int64 of shape ``(rows,)``.

    Parameters
    ----------
    kind
        Of the label: ``binary``, ``classes`` or ``number``.
    scores
        float64; a row whose score, or its distance from the label, is not known (NaN) has the code −1.
    positive
        Whether the label is the one that scores are for (binary).
    labels
        The label as a number (number).
    right
        Whether the predicted class is the label (classes): 1 or 0, −1 where it is not known.
    """
    if kind == "binary":
        # Near 1 as fine as near 0: confident models crowd there.
        upper = scores > 0.5
        code = _ordered(np.where(upper, 1 - scores, scores))
        value, target = np.where(upper, _TOP - code, code), positive.astype(np.int64)
    elif kind == "classes":
        return np.minimum(right, 0).astype(np.int64), np.maximum(right, 0).astype(np.int64)
    else:
        scores = np.abs(scores - labels)
        value, target = _ordered(scores), np.zeros(len(scores), np.int64)
    return np.where(np.isnan(scores), -1, value), target


def _ordered(values: np.ndarray) -> np.ndarray:
    """Codes in the order of the values, from the upper bits of their float32."""
    most = float(np.finfo(np.float32).max)
    bits = np.clip(np.nan_to_num(values), -most, most).astype(np.float32).view(np.uint32)
    ordered = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31))
    return (ordered >> np.uint32(_SHIFT)).astype(np.int64)


def _decoded(code: np.ndarray) -> np.ndarray:
    """The value in the middle of what has a code, where that is not negative."""
    bits = ((code.astype(np.uint32) << np.uint32(_SHIFT)) | np.uint32(1 << (_SHIFT - 1))) & np.uint32(
        2**31 - 1
    )
    zero = bits >> np.uint32(_SHIFT) == 0
    return np.where(zero, 0.0, bits.view(np.float32).astype(float))


def consequence(key: str, kind: str, scored: np.ndarray, settings: LeakageSettings) -> Consequence | None:
    """The metric on all eval examples, and on those that do not stand in train.

    Parameters
    ----------
    key
        Overlap key by which an example counts as leaked.
    kind
        Of the label.
    scored
        int64 of shape ``(cells, 4)``: code, target, whether leaked, and the number of examples.
    settings
        The interval's level, and the fewest examples of a class.

    Returns
    -------
    Consequence or None
        None if nothing was scored, or if an AUC is asked of examples of one class only.
    """
    if not len(scored):
        return None
    metric = METRICS[kind]
    cells = _table(scored)
    leaked, clean = int(cells.counts[1].sum()), int(cells.counts[0].sum())
    if not _enough(cells.counts.sum(axis=0), metric, 1):
        return None
    enough = _enough(cells.counts[0], metric, settings.min_class)
    whole = _metric(metric, cells.values, cells.counts.sum(axis=0)[None])[0]
    without = float(_metric(metric, cells.values, cells.counts[0][None])[0]) if enough else None
    return Consequence(
        key=key,
        metric=metric,
        all=float(whole),
        without_leaked=without,
        difference=None if without is None else _difference(metric, cells, float(whole) - without, settings),
        leaked=leaked,
        clean=clean,
    )


class _table:
    """Counts by (leaked, target, value): int64 of shape ``(2, 2, values)``, values ascending."""

    def __init__(self, scored: np.ndarray) -> None:
        codes_, place = np.unique(scored[:, 0], return_inverse=True)
        self.values = _decoded(codes_)
        self.counts = np.zeros((2, 2, len(codes_)), np.int64)
        np.add.at(self.counts, (scored[:, 2], scored[:, 1], place.ravel()), scored[:, 3])


def _enough(counts: np.ndarray, metric: Metric, fewest: int) -> bool:
    """Whether there are examples enough, of each class where it is about classes."""
    by_class = counts.sum(axis=1) if metric == "auc" else counts.sum()
    return bool(np.all(by_class >= fewest))


def _metric(metric: Metric, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The metric of several tables of counts, each ``(2, values)``: shape ``(tables,)``."""
    negative, positive = counts[:, 0].astype(float), counts[:, 1].astype(float)
    if metric == "accuracy":
        ratio = positive.sum(axis=1), (positive + negative).sum(axis=1)
    elif metric == "mean_absolute_error":
        ratio = negative @ values, negative.sum(axis=1)
    else:
        below = np.cumsum(negative, axis=1) - negative / 2
        ratio = (positive * below).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1)
    told: np.ndarray = np.divide(ratio[0], ratio[1], out=np.full(len(counts), np.nan), where=ratio[1] > 0)
    return told


def _difference(metric: Metric, cells: _table, value: float, settings: LeakageSettings) -> Estimate:
    """With an interval from a Poisson bootstrap of the examples (Hanley & MacGibbon 2006)."""
    values, counts = cells.values, cells.counts
    if len(values) > _BINS:
        # Enough for the spread: values of about equal numbers are taken together.
        rank = np.cumsum(counts.sum(axis=(0, 1)))
        bins = np.minimum((rank - 1) * _BINS // rank[-1], _BINS - 1)
        merged = np.zeros((2, 2, _BINS), np.int64)
        np.add.at(merged, (slice(None), slice(None), bins), counts)
        weight = np.maximum(np.bincount(bins, counts.sum(axis=(0, 1)), _BINS), 1)
        values = np.bincount(bins, values * counts.sum(axis=(0, 1)), _BINS) / weight
        counts = merged
    drawn = np.random.default_rng(_SEED).poisson(counts, (REPLICATES, *counts.shape))
    spread = _metric(metric, values, drawn.sum(axis=1)) - _metric(metric, values, drawn[:, 0])
    spread = spread[~np.isnan(spread)]
    half = (
        NormalDist().inv_cdf((1 + settings.level) / 2) * float(spread.std(ddof=1)) if len(spread) > 1 else 0.0
    )
    return Estimate(
        value=value,
        low=value - half,
        high=value + half,
        count=int(counts[0].sum()),
        level=settings.level,
        method="Poisson bootstrap",
    )
