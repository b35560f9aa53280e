"""Sums by key that add up exactly, in whatever order the examples come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A sum of real numbers depends on their order, and Beam keeps none. So each is cut into whole numbers of 30
# bits, which add up exactly.
_BITS = 30


@dataclass(frozen=True)
class Tally:
    """Whole numbers summed by key.

    Attributes
    ----------
    keys
        int64 of shape ``(cells,)``, ascending, each once.
    sums
        int64 of shape ``(cells, quantities)``.
    """

    keys: np.ndarray
    sums: np.ndarray

    @classmethod
    def empty(cls, quantities: int) -> Tally:
        """No cell."""
        return cls(np.zeros(0, np.int64), np.zeros((0, quantities), np.int64))

    @classmethod
    def of(cls, keys: np.ndarray, sums: np.ndarray) -> Tally:
        """Sums of rows with equal keys.

        Parameters
        ----------
        keys
            int64 of shape ``(rows,)``.
        sums
            int64 of shape ``(rows, quantities)``.
        """
        order = np.argsort(keys, kind="stable")
        keys, sums = keys[order], sums[order]
        first = firsts(keys)
        if len(first) == len(keys):
            return cls(keys, sums)
        return cls(keys[first], np.add.reduceat(sums, first, axis=0))

    @classmethod
    def counting(cls, keys: np.ndarray) -> Tally:
        """The number of rows with each key."""
        keys = np.sort(keys)
        first = firsts(keys)
        return cls(keys[first], np.diff(first, append=len(keys))[:, None])

    @classmethod
    def together(cls, parts: Sequence[Tally]) -> Tally:
        """The sum of several."""
        if len(parts) == 1:
            return parts[0]
        return cls.of(
            np.concatenate([part.keys for part in parts]), np.concatenate([part.sums for part in parts])
        )


def firsts(keys: np.ndarray) -> np.ndarray:
    """Where in sorted keys each different one comes first.

    Examples
    --------
    >>> firsts(np.array([3, 3, 5, 9, 9])).tolist()
    [0, 2, 3]
    """
    if not len(keys):
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))


def in_limbs(values: np.ndarray, highest: int, lowest: int) -> np.ndarray:
    """Numbers as whole ones of 30 bits each, int64 of shape ``(limbs, rows)``, the highest first.

    Parameters
    ----------
    values
        Not negative and, as of the highest limb, at most ``2 ** (30 * (highest + 1))``; of shape ``(rows,)``.
    highest, lowest
        A limb counts in units of ``2 ** (30 * limb)``; what is smaller than the lowest is cut off.

    Examples
    --------
    >>> in_limbs(np.array([0.75, 1.0]), -1, -2).tolist()
    [[805306368, 1073741824], [0, 0]]
    """
    left = np.asarray(values, float)
    limbs = np.empty((highest - lowest + 1, len(left)), np.int64)
    for place, limb in enumerate(range(highest, lowest - 1, -1)):
        scaled = np.floor(left * 2.0 ** (-_BITS * limb))
        limbs[place] = scaled
        left = left - scaled * 2.0 ** (_BITS * limb)
    return limbs


def from_limbs(sums: np.ndarray, highest: int) -> np.ndarray:
    """Sums of limbs as numbers: int64 of shape ``(..., limbs)`` to float64 of shape ``(...)``."""
    units = 2.0 ** (_BITS * np.arange(highest, highest - sums.shape[-1], -1))
    return (sums * units).sum(axis=-1)
