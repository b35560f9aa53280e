"""Rates of decisions, and moments of scores, by slice: values with what they rest on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfx_trust.components.fairness.config import DECISION_METRICS
from tfx_trust.components.fairness.slicing import Amounts

# Of each rate: (label, decision) of its numerator and of its denominator.
_NEGATIVE, _POSITIVE = 0, 1
_EVERYTHING = ((0, 0), (0, 1), (1, 0), (1, 1))
_RATES: dict[str, tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]] = {
    "selection_rate": (((0, 1), (1, 1)), _EVERYTHING),
    "false_positive_rate": (((0, 1),), ((0, 0), (0, 1))),
    "false_negative_rate": (((1, 0),), ((1, 0), (1, 1))),
    "true_positive_rate": (((1, 1),), ((1, 0), (1, 1))),
    "true_negative_rate": (((0, 0),), ((0, 0), (0, 1))),
    "precision": (((1, 1),), ((0, 1), (1, 1))),
    "accuracy": (((0, 0), (1, 1)), _EVERYTHING),
}


@dataclass(frozen=True)
class Shares:
    """Metrics that are shares of examples, or are treated as such.

    Attributes
    ----------
    value
        float64 of any shape; NaN where the denominator is 0.
    count
        Examples in the denominator, int64.
    effective
        The effective count, float64.
    """

    value: np.ndarray
    count: np.ndarray
    effective: np.ndarray


def decision_rates(decided: Amounts) -> dict[str, Shares]:
    """All rates of decisions.

    Parameters
    ----------
    decided
        Examples of shape ``(slices, 2, 2)``: by label and decision.

    Returns
    -------
    dict
        Shares of shape ``(slices,)`` by the names of
        :data:`~tfx_trust.components.fairness.config.DECISION_METRICS`.
    """
    return {name: _rate(decided, *_RATES[name]) for name in DECISION_METRICS}


def _rate(
    decided: Amounts, numerator: tuple[tuple[int, int], ...], denominator: tuple[tuple[int, int], ...]
) -> Shares:
    above, below = _of(decided, numerator), _of(decided, denominator)
    value = np.divide(
        above.weight, below.weight, out=np.full(np.shape(above.weight), np.nan), where=below.weight > 0
    )
    return Shares(np.minimum(value, 1.0), below.count, below.effective)


def _of(decided: Amounts, fields: tuple[tuple[int, int], ...]) -> Amounts:
    labels, decisions = zip(*fields, strict=True)
    return decided[:, list(labels), list(decisions)].sum(1)


def at_threshold(decided: Amounts, place: int) -> Amounts:
    """From levels of decisions, ``(slices, 2, levels)``, to decisions at one threshold, ``(slices, 2, 2)``.

    Parameters
    ----------
    decided
        By level: how many thresholds, ascending, the score passes.
    place
        Which of them.
    """
    below, above = decided[..., : place + 1].sum(2), decided[..., place + 1 :].sum(2)
    return Amounts(
        *(
            np.stack([getattr(below, name), getattr(above, name)], axis=2)
            for name in ("count", "weight", "square")
        )
    )


@dataclass(frozen=True)
class Means:
    """Means of a number over the examples of each slice.

    Attributes
    ----------
    value
        float64; NaN where there are no examples.
    deviation
        Standard error.
    count, effective
        Examples, and their effective count.
    """

    value: np.ndarray
    deviation: np.ndarray
    count: np.ndarray
    effective: np.ndarray


def calibration_in_the_large(binned: Amounts, scores: np.ndarray, errors: np.ndarray) -> Means:
    """Mean score less the share of positive labels.

    Parameters
    ----------
    binned, scores
        Of shape ``(slices, bins, 2)``: examples and sums of their scores by bin and label.
    errors
        Sums of squared errors, of shape ``(slices, 2)``; the second, of their squares, is not used.
    """
    every = binned.sum((1, 2))
    positive = binned[:, :, _POSITIVE].sum(1)
    mean = _divided(scores.sum(axis=(1, 2)) - positive.weight, every.weight)
    # The variance of score - label is its mean square, the Brier score, less the square of its mean.
    return _means(mean, _divided(errors[:, 0], every.weight), every)


def brier(binned: Amounts, errors: np.ndarray) -> Means:
    """Mean squared error of the scores (Brier 1950); parameters as :func:`calibration_in_the_large`."""
    every = binned.sum((1, 2))
    return _means(_divided(errors[:, 0], every.weight), _divided(errors[:, 1], every.weight), every)


def _means(mean: np.ndarray, mean_square: np.ndarray, every: Amounts) -> Means:
    n = every.effective
    variance = np.maximum(mean_square - mean**2, 0) * n / np.maximum(n - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = np.where(n > 1, np.sqrt(variance / n), np.inf)
    return Means(mean, deviation, every.count, n)


def _divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
