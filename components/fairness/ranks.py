"""The rank of a score among all possible ones: fine enough that AUC can be had from counts by rank.

Near 0 and near 1 scores of rare and of frequent events crowd, so ranks are of equal relative width there, as
floating-point numbers are: of ``min(score, 1 - score)`` the exponent and the first 12 bits of the mantissa.
"""

from __future__ import annotations

import numpy as np

_MANTISSA = 12
_REST = 15
# What lies nearer to 0 or 1 is taken together.
_LEAST = 2.0**-32
_SHIFT = 52 - _MANTISSA
_FURTHER = _SHIFT - _REST
# Odd, 2**64 divided by the golden ratio (Knuth 1998, section 6.4).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _bits(values: np.ndarray) -> np.ndarray:
    return values.view(np.int64) >> _SHIFT


_BASE = int(_bits(np.array([_LEAST]))[0])
_HALF = int(_bits(np.array([0.5]))[0]) - _BASE
_TOP = 2 * _HALF + 3
BITS = 18
"""Bits of a rank."""


def of(scores: np.ndarray) -> np.ndarray:
    """Ranks, int64: the greater score has the greater rank, or the same.

    Examples
    --------
    >>> ranks = of(np.array([0.0, 1e-7, 0.3, 0.5, 0.7, 1 - 1e-7, 1.0]))
    >>> bool((np.diff(ranks) > 0).all()), bool(ranks[-1] < 2**BITS)
    (True, True)
    """
    upper = scores >= 0.5
    nearest = np.where(upper, 1.0 - scores, scores)
    place = np.where(nearest < _LEAST, 0, _bits(np.maximum(nearest, _LEAST)) - _BASE + 1)
    return np.where(upper, _TOP - place, place)


def rests(scores: np.ndarray) -> np.ndarray:
    """What the rank leaves out of each score, below ``2**15``.

    It tells scores of one rank from each other that are float32, and of those that are finer all but one pair
    in 2**15.
    """
    nearest = np.abs(np.where(scores >= 0.5, 1.0 - scores, scores))
    bits = nearest.view(np.int64)
    tiny = nearest < _LEAST
    rest = np.where(tiny, 0, (bits >> _FURTHER) & ((1 << _REST) - 1))
    further = np.where(tiny, bits, bits & ((1 << _FURTHER) - 1)).view(np.uint64)
    mixed: np.ndarray = rest ^ (further * _GOLDEN >> np.uint64(64 - _REST)).astype(np.int64)
    return mixed


def middles(ranks: np.ndarray) -> np.ndarray:
    """A score in the middle of each rank.

    Examples
    --------
    >>> scores = np.array([1e-6, 0.2, 0.5, 0.8])
    >>> bool((abs(middles(of(scores)) - scores) < 1e-4).all())
    True
    """
    upper = ranks > _TOP // 2
    place = np.where(upper, _TOP - ranks, ranks)
    bits = ((np.maximum(place, 1) - 1 + _BASE) << _SHIFT) | (1 << (_SHIFT - 1))
    nearest = np.where(place == 0, 0.0, np.minimum(bits.view(np.float64), 0.5))
    return np.where(upper, 1.0 - nearest, nearest)
