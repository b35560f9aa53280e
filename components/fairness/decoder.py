"""Serialized tf.Examples as the columns that the fairness analysis takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfx_trust.components.errors import InputError
from tfx_trust.components.fairness.plan import Kind
from tfx_trust.components.leakage.decoder import undecodable

_TENSORS: dict[Kind, Any] = {"text": tf.string, "integer": tf.int64, "real": tf.float32}


class Decoder:
    """Turns serialized tf.Examples into Arrow arrays, one value an example.

    Texts come as dictionaries, which TensorFlow makes: few of them become Python objects.

    Parameters
    ----------
    kinds
        Kind by name of the features to decode.
    """

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self.kinds = dict(kinds)
        self._make()

    def _make(self) -> None:
        names = list(self.kinds)
        spec = {name: tf.io.RaggedFeature(_TENSORS[kind]) for name, kind in self.kinds.items()}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def decode(serialized: tf.Tensor) -> Any:
            parsed = tf.io.parse_example(serialized, spec)
            values = [parsed[name].values for name in names]
            # Of a text its number among the different ones; of a number itself.
            told = [tf.unique(found) if found.dtype == tf.string else (found,) for found in values]
            return tf.stack([parsed[name].row_lengths() for name in names]), told

        self._decode = decode

    def __getstate__(self) -> dict[str, Kind]:
        # A worker of Beam traces the graph anew.
        return self.kinds

    def __setstate__(self, kinds: dict[str, Kind]) -> None:
        self.kinds = kinds
        self._make()

    def decode(self, serialized: tf.Tensor, *, path: str, first: int) -> dict[str, pa.Array]:
        """The columns of some examples.

        Parameters
        ----------
        serialized
            String tensor of shape ``(rows,)``.
        path, first
            The file that they are from and the number of the first, for messages.

        Returns
        -------
        dict of pa.Array
            By name, of shape ``(rows,)``: dictionaries of binary, int64 or float64; null where an example
            does not have the feature, or it is NaN.

        Raises
        ------
        InputError
            If a record is no tf.Example, or a feature has another type or several values.
        """
        try:
            lengths, told = self._decode(serialized)
        except (tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:
            # The latter where the message of the former would quote bytes that are no text.
            raise undecodable(serialized, path, first, self.kinds, error) from None
        columns = {}
        for name, length, values in zip(self.kinds, lengths.numpy(), told, strict=True):
            if (several := length > 1).any():
                place = int(np.argmax(several))
                raise InputError(
                    f"{path}: feature {name!r} has {length[place]} values in record {first + place:,}; one "
                    "is needed: slice by another feature, or leave it out of the search (settings: discover)"
                )
            columns[name] = _column([item.numpy() for item in values], length == 1)
        return columns


def _column(told: list[np.ndarray], there: np.ndarray) -> pa.Array:
    """An array with the values at the rows that have one."""
    found = told[-1]
    rows = found
    if not there.all():
        rows = np.zeros(len(there), found.dtype)
        rows[there] = found
    absent = ~there
    if found.dtype.kind == "f":
        rows = rows.astype(np.float64)
        absent |= np.isnan(rows)
    array = pa.array(rows, mask=absent)
    return array if len(told) == 1 else pa.DictionaryArray.from_arrays(array, pa.array(told[0], pa.binary()))
