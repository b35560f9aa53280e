"""tf.Examples as the mitigations read them, and a feature more at the end of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust.components.errors import InputError
from tfx_trust.components.examples import BATCH_ROWS, layout_of_files, layout_of_schema, serialized_batches
from tfx_trust.components.fairness.decoder import Decoder
from tfx_trust.components.leakage.columns import Kind

_FLOAT_BYTES = 4


def kinds_of(
    files: Sequence[str], columns: Sequence[str], groups: Sequence[str], schema: schema_pb2.Schema | None
) -> dict[str, Kind]:
    """Kind by name of some columns: by the schema, or by the first examples of each file.

    Raises
    ------
    UsageError
        If a column is not there.
    InputError
        If it has several types, or a group feature holds real numbers.
    """
    if schema is None:
        layout = layout_of_files({"these files": list(files)}, columns)
    else:
        layout = layout_of_schema(schema, columns)
    for name in groups:
        if layout.kinds[name] == "real":
            raise InputError(
                f"feature {name!r} holds real numbers; groups are told by texts or whole numbers: make a "
                "feature of coarse values of it"
            )
    return dict(layout.kinds)


def batches(files: Sequence[str], decoder: Decoder) -> Iterator[tuple[Any, dict[str, pa.Array]]]:
    """Serialized examples and their columns, batch by batch, in the order of the files."""
    for path in files:
        for serialized, first in serialized_batches(path, BATCH_ROWS):
            yield serialized, decoder.decode(serialized, path=path, first=first)


class Appended:
    """A feature of one real number, as the bytes that add it to a serialized tf.Example.

    Parameters
    ----------
    name
        Name of the feature.

    Examples
    --------
    >>> (added,) = Appended("weight").bytes_of(np.array([0.5]))
    >>> example = tf.train.Example.FromString(tf.train.Example().SerializeToString() + added)
    >>> example.features.feature["weight"].float_list.value[0]
    0.5
    """

    def __init__(self, name: str) -> None:
        example = tf.train.Example()
        example.features.feature[name].float_list.value.append(1.0)
        # The number is what comes last, 4 bytes of it.
        self._head = example.SerializeToString()[:-_FLOAT_BYTES]

    def bytes_of(self, values: np.ndarray) -> list[bytes]:
        """The bytes for each number; they are rounded to float32."""
        numbers = np.asarray(values).astype("<f4").tobytes()
        places = range(0, len(numbers), _FLOAT_BYTES)
        return [self._head + numbers[place : place + _FLOAT_BYTES] for place in places]
