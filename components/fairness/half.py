"""Half of the examples, by the values of all searched features: counts of any slice of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SLOTS = 4
"""Ways in which label and decision can be: 00, 01, 10, 11."""
_DENSE = 1 << 14

Family = tuple[int, ...]
"""A set of features, by their numbers, ascending."""


@dataclass(frozen=True)
class Half:
    """Half of the examples; an entry is some that differ in no searched feature, label or decision.

    Attributes
    ----------
    codes
        int64 of shape ``(features, entries)``: number of the value.
    slots
        int64 of shape ``(entries,)``: label and decision, as 2 * label + decision.
    counts
        float64 of shape ``(entries,)``: examples.
    radix
        Number of values by feature.
    """

    codes: np.ndarray
    slots: np.ndarray
    counts: np.ndarray
    radix: tuple[int, ...]

    @classmethod
    def of(cls, codes: np.ndarray, counts: np.ndarray, radix: Sequence[int]) -> Half:
        """From codes of shape ``(cells, features)`` and counts of shape ``(cells, 4)``."""
        cells, slots = np.nonzero(counts)
        own = np.ascontiguousarray(codes[cells].T, np.int64)
        return cls(own, slots.astype(np.int64), counts[cells, slots].astype(float), tuple(radix))

    @property
    def total(self) -> np.ndarray:
        """Counts by label and decision, of shape ``(4,)``."""
        return np.bincount(self.slots, self.counts, SLOTS)

    def keys(self, family: Family, entries: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The values of some features as one number for each entry, the last feature's varying fastest."""
        key = self.codes[family[0], entries]
        for feature in family[1:]:
            key = key * self.radix[feature] + self.codes[feature, entries]
        return key

    def inside(self, family: Family, key: int) -> np.ndarray:
        """Counts by label and decision of one slice, of shape ``(4,)``."""
        entries = np.flatnonzero(self.keys(family) == key)
        return np.bincount(self.slots[entries], self.counts[entries], SLOTS)

    def values_of(self, family: Family, key: int) -> list[int]:
        """Numbers of the values that make a key."""
        return [int(number) for number in np.unravel_index(key, [self.radix[feature] for feature in family])]

    def tally(self, family: Family) -> tuple[np.ndarray, np.ndarray]:
        """Keys that occur, ascending, and their counts by label and decision, of shape ``(keys, 4)``."""
        found, place = _numbered(self.keys(family), self._size(family))
        sums = np.bincount(place * SLOTS + self.slots, self.counts, SLOTS * len(found))
        return found, sums.reshape(-1, SLOTS)

    def without(
        self, family: Family, place: int, keys: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What :meth:`tally` found, with the feature at a place left out.

        Returns
        -------
        keys : ndarray
            Those of the other features, of shape ``(keys,)``.
        counts : ndarray
            Examples with the same values of the other features, of shape ``(keys, 4)``.
        """
        radix = self.radix[family[place]]
        step = self._size(family[place + 1 :])
        smaller = keys // (step * radix) * step + keys % step
        found, number = _numbered(smaller, self._size(family) // radix)
        cells = number[:, None] * SLOTS + np.arange(SLOTS)
        sums = np.bincount(cells.ravel(), counts.ravel(), SLOTS * len(found)).reshape(-1, SLOTS)
        return smaller, sums[number]

    def _size(self, family: Family) -> int:
        return math.prod(self.radix[feature] for feature in family)


def _numbered(keys: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Different keys, ascending, and which of them each one is; keys are below `size`."""
    if size > _DENSE + len(keys):
        found, place = np.unique(keys, return_inverse=True)
        return found, place
    present = np.zeros(size, bool)
    present[keys] = True
    return np.flatnonzero(present), (np.cumsum(present) - 1)[keys]
