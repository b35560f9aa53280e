"""Counts by all searched features at once: what the slice discovery looks into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tfx_trust.components.fairness.coding import CODE_BITS

_WORD = 64 // CODE_BITS
_MOST_CELLS = 2_000_000
_PENDING = 1 << 19
# Odd numbers of splitmix64 (Steele, Lea & Flood 2014).
_MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


class Search:
    """Examples by label and decision for each different combination of the searched features.

    Parameters
    ----------
    features
        The searched features.
    """

    def __init__(self, features: Sequence[str]) -> None:
        self.features = tuple(features)
        self.overflown = False
        self._codes = [np.zeros((0, len(self.features)), np.int16)]
        self._counts = [np.zeros((0, 4), np.int64)]

    def add(self, codes: Mapping[str, np.ndarray], labels: np.ndarray, decisions: np.ndarray) -> None:
        """Counts some examples: codes by feature, labels and decisions, each of shape ``(rows,)``."""
        if self.overflown:
            return
        matrix = np.stack([codes[name] for name in self.features], axis=1).astype(np.int16)
        first, place = _grouped(matrix)
        counts = np.bincount(place * 4 + labels * 2 + decisions, minlength=4 * len(first)).reshape(-1, 4)
        self._take(matrix[first], counts)

    def _take(self, codes: np.ndarray, counts: np.ndarray) -> None:
        self._codes.append(codes)
        self._counts.append(counts)
        if sum(map(len, self._codes[1:])) > max(_PENDING, len(self._codes[0])):
            self._compact()

    def _compact(self) -> None:
        codes, counts = np.concatenate(self._codes), np.concatenate(self._counts)
        first, place = _grouped(codes)
        summed = np.zeros((len(first), 4), np.int64)
        np.add.at(summed, place, counts)
        self._codes, self._counts = [codes[first]], [summed]
        if len(first) > _MOST_CELLS:
            self._overflow()

    def _overflow(self) -> None:
        self.overflown = True
        self._codes, self._counts = [self._codes[0][:0]], [self._counts[0][:0]]

    def merge(self, other: Search, codes: Mapping[str, np.ndarray]) -> None:
        """Takes another's counts in; `codes` are those here of each code there."""
        theirs, counts = other.cells
        if other.overflown or self.overflown:
            self._overflow()
            return
        self._take(self._recoded(theirs, codes), counts)

    def recode(self, codes: Mapping[str, np.ndarray]) -> None:
        """Replaces codes by others."""
        self._codes[0] = self._recoded(self.cells[0], codes)

    def _recoded(self, cells: np.ndarray, codes: Mapping[str, np.ndarray]) -> np.ndarray:
        recoded = np.empty_like(cells)
        for place, name in enumerate(self.features):
            recoded[:, place] = codes[name][cells[:, place]]
        return recoded

    @property
    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Codes, int16 of shape ``(cells, features)``, and counts, int64 of shape ``(cells, 4)``."""
        self._compact()
        return self._codes[0], self._counts[0]


def _grouped(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A row with each different combination of codes, and which of them each row has."""
    mixed = np.zeros(len(codes), np.uint64)
    for begin in range(0, codes.shape[1], _WORD):
        word = np.zeros(len(codes), np.uint64)
        for place, column in enumerate(codes[:, begin : begin + _WORD].T):
            word |= column.astype(np.uint64) << np.uint64(CODE_BITS * place)
        # Two combinations in a million have the same 64 bits once in tens of millions of data sets.
        mixed = _mixed(mixed + word)
    _, first, place = np.unique(mixed, return_index=True, return_inverse=True)
    return first, place.ravel()


def _mixed(values: np.ndarray) -> np.ndarray:
    values = values + np.uint64(_MIX[0])
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_MIX[1])
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_MIX[2])
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed
