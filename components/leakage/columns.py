"""One batch of examples as columns: what every reader makes, and all counting starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Kind = Literal["text", "integer", "real"]


@dataclass(frozen=True)
class Layout:
    """The columns of all batches of a data set, in one order.

    Attributes
    ----------
    kinds
        Kind by name.
    plain
        Columns with a part to play, label, time and entities, whose values are wanted as they are
        besides (`Batch.plain`). An empty text in them is a missing value.
    """

    kinds: Mapping[str, Kind]
    plain: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.kinds)


@dataclass(frozen=True)
class Batch:
    """Some examples of one split, as columns.

    Attributes
    ----------
    names
        Names of the columns.
    terms
        uint64 of shape ``(columns, 2, rows)``: what each column adds to a row's key
        (see :mod:`~tfx_trust.components.leakage.hashing`); 0 where the value is missing.
    numbers
        Of each numeric column, float64 of shape ``(rows,)``; NaN where it has not exactly one value.
    plain
        Of the columns asked for, an Arrow array of shape ``(rows,)``: the value, or null where there is
        not exactly one.
    places
        uint64 of shape ``(rows,)``: which row it is, unique within the split, so that it can be found
        again; none where rows cannot be.
    scores
        float64 of shape ``(rows,)``: the model's score of each row; none without a model.
    predicted
        uint64 of shape ``(rows,)``: the term that the label column would have if the label were the score,
        which tells whether a predicted class is right.
    """

    names: tuple[str, ...]
    terms: np.ndarray
    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)
    plain: Mapping[str, pa.Array] = field(default_factory=dict)
    places: np.ndarray | None = None
    scores: np.ndarray | None = None
    predicted: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.terms.shape[2])

    def key(self, columns: Sequence[str]) -> np.ndarray:
        """The rows' keys over some of the columns: uint64 of shape ``(2, rows)``."""
        index = {name: number for number, name in enumerate(self.names)}
        keys = np.zeros(self.terms.shape[1:], np.uint64)
        # One by one: to pick the columns first would copy them all.
        for name in columns:
            keys += self.terms[index[name]]
        return keys


def without_blanks(batch: Batch) -> Batch:
    """The batch with empty texts in its plain columns taken as missing: nobody's name, and no class.

    Elsewhere an empty text is a value, which two rows may have in common.
    """
    for name, array in batch.plain.items():
        texts = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        if not is_text(texts.type):
            continue
        blank = pc.fill_null(pc.equal(pc.binary_length(texts), 0), False).to_numpy(zero_copy_only=False)
        if blank.any():
            batch.terms[batch.names.index(name)][:, blank] = 0
    return batch


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds texts, or bytes, which are compared like them."""
    return any(
        is_kind(kind)
        for is_kind in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
        )
    )


RECORD = np.uint64(2**40 - 1)
"""The part of a place that is the record's number."""


def place_of(file: int, record: int | np.ndarray) -> np.ndarray:
    """The place of a record: the file's number in the upper 24 bits, the record's in the lower 40."""
    return (np.uint64(file) << np.uint64(40)) | np.asarray(record, np.uint64)
