"""Which group each example belongs to: the values of some features, crossed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tfx_trust.components.errors import InputError
from tfx_trust.components.fairness.coding import CODE_BITS, MISSING_CODE, Coder, distinct
from tfx_trust.components.fairness.report import Slice

NO_GROUP = -1
"""The number of an example that lacks one of the features, or whose group is not among those known."""
# What is no text in UTF-8 is shown with this, and different values could look alike.
_ILLEGIBLE = "\ufffd"


class Crossing:
    """Numbers the crossings of some features' values, batch by batch.

    Parameters
    ----------
    features
        Names of the features.
    most
        Most values of each.

    Examples
    --------
    >>> crossing = Crossing(["sex"], 20)
    >>> keys = crossing.keys({"sex": pa.array(["m", "f", None, "m"])})
    >>> groups = crossing.groups(keys)
    >>> groups.slices, groups.of(keys).tolist()
    ([{'sex': 'f'}, {'sex': 'm'}], [1, 0, -1, 1])
    """

    def __init__(self, features: Sequence[str], most: int) -> None:
        self.features = list(features)
        self._coders = [Coder(name, None, most) for name in features]

    def keys(self, columns: Mapping[str, pa.Array]) -> np.ndarray:
        """A number for each example's values: int64 of shape ``(rows,)``, negative where one is missing.

        Raises
        ------
        InputError
            If a feature has too many values.
        """
        keys = np.zeros(len(columns[self.features[0]]), np.int64)
        missing = np.zeros(len(keys), bool)
        for coder in self._coders:
            codes = coder.codes(columns[coder.name])
            if coder.overflown:
                raise InputError(
                    f"feature {coder.name!r} has more than {coder.most:,} values, so it does not name "
                    "groups; group by another, make coarser values of it, or allow more (settings: "
                    "max_values)"
                )
            missing |= codes == MISSING_CODE
            keys = (keys << CODE_BITS) | codes
        return np.where(missing, NO_GROUP, keys)

    def groups(self, keys: np.ndarray) -> Groups:
        """The groups that some keys stand for, in the order of their values."""
        found = np.unique(keys[keys >= 0])
        slices = [self._slice(int(key)) for key in found]
        order = sorted(range(len(found)), key=lambda place: tuple(slices[place].values()))
        return Groups(self.features, [slices[place] for place in order], found[order])

    def _slice(self, key: int) -> Slice:
        codes = [(key >> CODE_BITS * place) % (1 << CODE_BITS) for place in range(len(self._coders))][::-1]
        values = [coder.values[code - 1] for coder, code in zip(self._coders, codes, strict=True)]
        return dict(zip(self.features, values, strict=True))


@dataclass(frozen=True)
class Groups:
    """Groups, and the keys that a crossing gave them.

    Attributes
    ----------
    features
        Names of the features.
    slices
        Value by feature of each.
    keys
        int64 of shape ``(groups,)``.
    """

    features: list[str]
    slices: list[Slice]
    keys: np.ndarray

    def of(self, keys: np.ndarray) -> np.ndarray:
        """The number of the group of each key, int64; `NO_GROUP` where it is none of these."""
        return numbers_of(keys, self.keys)


def numbers_of(keys: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The place of each key among some known ones, in any order; `NO_GROUP` where it is none of them."""
    if not len(known):
        return np.full(len(keys), NO_GROUP, np.int64)
    order = np.argsort(known)
    places = np.minimum(np.searchsorted(known, keys, sorter=order), len(known) - 1)
    numbers = order[places]
    return np.where(known[numbers] == keys, numbers, NO_GROUP)


def numbers_among(groups: Sequence[Slice], columns: Mapping[str, pa.Array]) -> np.ndarray:
    """The place of each example's group among some known ones; `NO_GROUP` where it is none of them.

    Parameters
    ----------
    groups
        The groups, all of the same features.
    columns
        The features, each of shape ``(rows,)``.

    Examples
    --------
    >>> numbers_among([{"sex": "f"}, {"sex": "m"}], {"sex": pa.array(["m", "x", None])}).tolist()
    [1, -1, -1]
    """
    keys = np.zeros(len(next(iter(columns.values()))), np.int64)
    known = np.zeros(len(groups), np.int64)
    for name in groups[0] if groups else ():
        values = sorted({group[name] for group in groups})
        numbers = {value: number for number, value in enumerate(values, start=1)}
        keys = keys * (len(values) + 1) + _numbers(columns[name], numbers)
        known = known * (len(values) + 1) + [numbers[group[name]] for group in groups]
    return numbers_of(keys, known)


def _numbers(array: pa.Array, numbers: Mapping[str, int]) -> np.ndarray:
    """The number of each row's value; 0 where there is none."""
    words, places = distinct(array)
    table = np.array([0 if word is None else numbers.get(word, 0) for word in words], np.int64)
    rows: np.ndarray = table[places]
    return rows


def legible(group: Slice) -> bool:
    """Whether the values of a group are texts that name nothing else."""
    return not any(_ILLEGIBLE in value for value in group.values())


def columns_of(groups: Any) -> dict[str, pa.Array]:
    """Group features as Arrow arrays, from a mapping by name, or from the values of one, called ``group``.

    Examples
    --------
    >>> columns_of(np.array(["m", None], object))["group"].null_count
    1
    """
    given = dict(groups) if isinstance(groups, Mapping) else {"group": groups}
    return {name: _array(values) for name, values in given.items()}


def _array(values: Any) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    return values if isinstance(values, pa.Array) else pa.array(values, from_pandas=True)
