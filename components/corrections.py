"""P-values of many comparisons corrected, and the exact test of paired counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for being several (Holm 1979): the family-wise error rate is kept.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    ranked = np.asarray(p_values, float)[order] * np.arange(len(order), 0, -1)
    return _in_place(np.minimum(np.maximum.accumulate(ranked), 1), order)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for being several (Benjamini & Hochberg 1995): the false discovery rate is kept.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    order = np.argsort(p_values, kind="stable")
    ranked = np.asarray(p_values, float)[order] * len(order) / np.arange(1, len(order) + 1)
    return _in_place(np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1), order)


def _in_place(ranked: np.ndarray, order: np.ndarray) -> list[float]:
    adjusted = np.empty(len(order))
    adjusted[order] = ranked
    return [float(value) for value in adjusted]


METHODS: Mapping[str, Callable[[Sequence[float]], list[float]]] = {
    "holm": holm,
    "bh": benjamini_hochberg,
    "none": list,
}
"""By name, as settings have it."""


def mcnemar(worse: int, better: int) -> float:
    """Exact two-sided p-value of McNemar's test: discordant pairs go either way like a coin (Liddell 1983).

    Examples
    --------
    >>> round(mcnemar(9, 2), 5)
    0.06543
    """
    n, k = worse + better, min(worse, better)
    if worse == better:
        return 1.0
    # The sum of binomial terms from the largest on, each from the one before: nothing overflows.
    log_term = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)
    total = term = 1.0
    for number in range(k, 0, -1):
        term *= number / (n - number + 1)
        total += term
        if term < 1e-17 * total:
            break
    return min(1.0, 2 * math.exp(log_term) * total)
