"""One batch of examples as the fairness analysis takes it: what every reader makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Batch:
    """Some examples, with what a model said of them.

    Attributes
    ----------
    columns
        Arrow array of shape ``(rows,)`` by name: the label, the weight if there is one, and the raw features
        to slice by or to search; null where missing.
    scores
        float64 of shape ``(rows,)``, the probability of the positive label, or ``(rows, classes)``; none
        where there are only decisions.
    decisions
        Of shape ``(rows,)``: 0 or 1, or the index of a class; none where scores are decided by a threshold.
    baseline_scores, baseline_decisions
        The same of the baseline model; none without one.
    negative_words
        Words that decisions have and that were taken for negative ones: to be values of the label, which
        only all examples together tell.
    """

    columns: Mapping[str, pa.Array]
    scores: np.ndarray | None = None
    decisions: np.ndarray | None = None
    baseline_scores: np.ndarray | None = None
    baseline_decisions: np.ndarray | None = None
    negative_words: frozenset[str] = frozenset()

    @property
    def rows(self) -> int:
        """Number of examples."""
        return len(next(iter(self.columns.values())))
