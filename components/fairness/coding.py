"""Values of features as numbers, the same however the examples come: what slices are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfx_trust.components.errors import InputError
from tfx_trust.components.fairness.report import MISSING, OTHER

MISSING_CODE = 0
CODE_BITS = 12
"""Bits of a code: at most 4,095 values of a feature, and missing."""
MOST_VALUES = 4000


def bucket_names(edges: Sequence[float]) -> list[str]:
    """Names of the buckets between ascending edges.

    Examples
    --------
    >>> bucket_names([25, 45])
    ['< 25', '[25, 45)', '≥ 45']
    """
    # As short as tells them apart.
    shown = next(
        texts
        for digits in range(6, 18)
        if len(set(texts := [f"{edge:.{digits}g}" for edge in edges])) == len(edges)
    )
    middle = [f"[{low}, {high})" for low, high in pairwise(shown)]
    return [f"< {shown[0]}", *middle, f"≥ {shown[-1]}"]


class Coder:
    """Numbers the values of a feature: 0 is missing, the others as they are met, or by bucket.

    Parameters
    ----------
    name
        The feature.
    edges
        Ascending edges of a number's buckets; none where each value is its own.
    most
        Most distinct values.
    """

    def __init__(self, name: str, edges: Sequence[float] | None, most: int) -> None:
        self.name = name
        self.most = min(most, MOST_VALUES)
        self.edges = None if edges is None else np.asarray(edges, float)
        self.numbers: dict[str, int] = {}
        self.overflown = False
        if edges is not None:
            self.numbers = {text: place for place, text in enumerate(bucket_names(edges), start=1)}

    def codes(self, array: pa.Array) -> np.ndarray:
        """The code of each row's value, int64 of shape ``(rows,)``."""
        if self.edges is not None:
            return self._buckets(array)
        if self.overflown:
            return np.zeros(len(array), np.int64)
        words, places = distinct(array)
        table = self._table(words)
        return np.zeros(len(array), np.int64) if table is None else table[places]

    def _buckets(self, array: pa.Array) -> np.ndarray:
        try:
            numbers = array.cast(pa.float64(), safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise InputError(
                f"feature {self.name!r} is {array.type} and has buckets; buckets are for numbers: leave "
                "them out"
            ) from None
        values = pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False)
        assert self.edges is not None
        return np.where(np.isnan(values), MISSING_CODE, np.searchsorted(self.edges, values, side="right") + 1)

    def _table(self, words: Sequence[str | None]) -> np.ndarray | None:
        """Codes of some values; those that are new get the next. None if there are too many."""
        for word in words:
            if word is not None and word not in self.numbers:
                if len(self.numbers) >= self.most:
                    self.overflown = True
                    return None
                self.numbers[word] = len(self.numbers) + 1
        return np.array([MISSING_CODE if word is None else self.numbers[word] for word in words], np.int64)

    def met(self, other: Coder) -> np.ndarray:
        """Takes another's values in; the code here of each code there, int64 of shape ``(codes,)``."""
        self.overflown |= other.overflown
        known = self._table(list(other.numbers))
        if known is None:
            return np.zeros(len(other.numbers) + 1, np.int64)
        return np.concatenate([[MISSING_CODE], known]).astype(np.int64)

    def sorted(self) -> np.ndarray:
        """Numbers the values in the order of their texts; the new code of each old one."""
        if self.edges is not None:
            return np.arange(len(self.numbers) + 1)
        words = list(self.numbers)
        order = sorted(range(len(words)), key=lambda place: _rank(words[place]))
        self.numbers = {words[place]: number for number, place in enumerate(order, start=1)}
        return np.array([MISSING_CODE, *(self.numbers[word] for word in words)], np.int64)

    @property
    def values(self) -> list[str]:
        """The values, by code from 1 on."""
        return list(self.numbers)


def _rank(word: str) -> tuple[int, float, str]:
    """Numbers by their size, and before texts."""
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    return (0, number, word) if math.isfinite(number) else (1, 0.0, word)


def distinct(array: pa.Array) -> tuple[list[str | None], np.ndarray]:
    """The different values that occur, as texts, and the place of each row's among them.

    Returns
    -------
    words : list
        As :func:`texts`; there may be several that are none.
    places : ndarray
        int64 of shape ``(rows,)``.

    Examples
    --------
    >>> words, places = distinct(pa.array(["b", None, "a", "b"]))
    >>> words, places.tolist()
    (['b', 'a', None], [0, 2, 1, 0])
    """
    coded = isinstance(array, pa.DictionaryArray)
    if pa.types.is_null(array.type.value_type if coded else array.type):
        return [None], np.zeros(len(array), np.int64)
    encoded = array if coded else array.dictionary_encode()
    values, missing = encoded.dictionary, len(encoded.dictionary)
    places = pc.fill_null(encoded.indices.cast(pa.int64()), missing).to_numpy(zero_copy_only=False)
    if coded:
        # A dictionary may have values that no row has.
        there = np.bincount(places, minlength=missing + 1)[:missing] > 0
        values = values.take(pa.array(np.flatnonzero(there)))
        places = np.append(np.cumsum(there) - 1, len(values))[places]
    return [*texts(values), None], places


def texts(values: pa.Array) -> list[str | None]:
    """Values as texts, none where missing or empty; whole numbers without a point.

    Examples
    --------
    >>> texts(pa.array([1.0, 0.5, None])), texts(pa.array([b"a", b""])), texts(pa.array([True]))
    (['1', '0.5', None], ['a', None], ['true'])
    """
    return [_text(value) for value in values.to_pylist()]


def _text(value: object) -> str | None:
    if value is None or value == "" or value == b"":
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if abs(value) < 2**53 and value == int(value) else repr(value)
    if isinstance(value, Decimal):
        return str(int(value)) if value == value.to_integral_value() else str(value.normalize())
    text = str(value)
    if text == MISSING:
        return None
    # What is pooled has that name.
    return repr(text) if text == OTHER else text
