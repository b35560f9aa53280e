"""tf.Examples as batches of columns.

Decoding is what checks of examples cost. So a batch is decoded once, by one TensorFlow graph that also
hashes its texts; what is done per column after that is done for the whole batch by numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfx_trust.components.errors import InputError
from tfx_trust.components.examples import BATCH_ROWS, LISTS, parsed, reason, serialized_batches
from tfx_trust.components.leakage import hashing
from tfx_trust.components.leakage.columns import Batch, Kind, Layout, place_of, without_blanks

_TENSORS: dict[Kind, Any] = {"text": tf.string, "integer": tf.int64, "real": tf.float32}
# Public on purpose: they only have to differ. See hashing.py for what the keys are no defence against.
_HASH_KEYS = ((0x243F6A8885A308D, 0x13198A2E0370734), (0x24A4093822299F3, 0x1D0082EFA98EC4E))
_HASH_RANGE = 2**63 - 1


class Decoder:
    """Turns serialized tf.Examples into batches of columns.

    The result of a row does not depend on the batch that it is in. Texts are hashed by SipHash
    (Aumasson & Bernstein 2012), once a lane.

    Parameters
    ----------
    layout
        The columns.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._make()

    def _make(self) -> None:
        names = {kind: [name for name, of in self.layout.kinds.items() if of == kind] for kind in _TENSORS}
        self._names = [name for kind in _TENSORS for name in names[kind]]
        position = {name: number for number, name in enumerate(self.layout.names)}
        self._order = [position[name] for name in self._names]
        self._seeds = hashing.seeds_of(self._names)
        texts = [name for name in names["text"] if name in self.layout.plain]
        spec = {name: tf.io.RaggedFeature(_TENSORS[kind]) for kind in _TENSORS for name in names[kind]}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def decode(serialized: tf.Tensor) -> dict[str, Any]:
            parsed = tf.io.parse_example(serialized, spec)
            values = {
                kind: tf.concat([parsed[name].values for name in names[kind]], 0)
                for kind in _TENSORS
                if names[kind]
            }
            decoded = {"splits": tf.stack([parsed[name].row_splits for name in self._names]), "plain": {}}
            if "text" in values:
                hashed = values.pop("text")
                decoded["hashes"] = tf.stack(
                    [tf.strings.to_hash_bucket_strong(hashed, _HASH_RANGE, key) for key in _HASH_KEYS]
                )
                decoded["plain"] = {name: parsed[name].values for name in texts}
            return decoded | values

        self._decode = decode

    def __getstate__(self) -> Layout:
        # A worker of Beam traces the graph anew.
        return self.layout

    def __setstate__(self, layout: Layout) -> None:
        self.layout = layout
        self._make()

    def decode(self, serialized: tf.Tensor, *, places: np.ndarray | None = None) -> Batch:
        """One batch.

        Parameters
        ----------
        serialized
            String tensor of shape ``(rows,)``.
        places
            As :class:`~tfx_trust.components.leakage.columns.Batch` has them.

        Raises
        ------
        tf.errors.InvalidArgumentError, UnicodeDecodeError
            If a record is no tf.Example, or a feature has another type than the layout says;
            :func:`read_batches` says which.
        """
        decoded = self._decode(serialized)
        texts = {name: values.numpy() for name, values in decoded.pop("plain").items()}
        arrays = {key: value.numpy() for key, value in decoded.items()}
        splits = arrays["splits"].astype(np.int64)
        single = np.diff(splits, axis=1) == 1
        given = self._numbers_given(arrays, splits)
        numbers = {
            name: _only_value(given[name], splits[row], single[row]) for name, row in self._rows(given)
        }
        plain = {
            name: _only_value_or_null(texts.get(name, given.get(name)), splits[row], single[row])
            for name, row in self._rows(self.layout.plain)
        }
        terms = self._terms(*_hashes(arrays), splits, single)
        return without_blanks(Batch(self.layout.names, terms, numbers, plain, places))

    def _rows(self, names: Any) -> list[tuple[str, int]]:
        """Some columns, each with its number in the graph's order."""
        return [(name, self._names.index(name)) for name in names]

    def _numbers_given(self, arrays: Mapping[str, np.ndarray], splits: np.ndarray) -> dict[str, np.ndarray]:
        """All values of each numeric column, int64 or float32."""
        given: dict[str, np.ndarray] = {}
        begin = dict.fromkeys(_TENSORS, 0)
        for name, total in zip(self._names, splits[:, -1].tolist(), strict=True):
            kind = self.layout.kinds[name]
            if kind != "text":
                given[name] = arrays[kind][begin[kind] : begin[kind] + total]
                begin[kind] += total
        return given

    def _terms(
        self, hashes: np.ndarray, valid: np.ndarray, splits: np.ndarray, single: np.ndarray
    ) -> np.ndarray:
        """What each column adds to keys, uint64 of shape ``(columns, 2, rows)``, as the layout has them."""
        terms = np.zeros((len(splits), hashing.LANES, single.shape[1]), np.uint64)
        all_valid = bool(valid.all())
        begin = 0
        for column, (position, bounds, one) in enumerate(zip(self._order, splits, single, strict=True)):
            end = begin + int(bounds[-1])
            values, seed = hashes[:, begin:end], self._seeds[:, column]
            there = None if all_valid else valid[begin:end]
            if int(np.count_nonzero(one)) == end - begin < len(one):
                # No row has two: the same terms without looking for places in lists.
                terms[position][:, one] = hashing.terms(values, seed, None, there)
            else:
                terms[position] = hashing.terms(values, seed, bounds, there)
            begin = end
        return terms


def _hashes(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all values, column by column, uint64 of shape ``(2, values)``; and which are not NaN."""
    hashes, valid = [], []
    if "hashes" in arrays:
        hashes.append(arrays["hashes"].view(np.uint64))
    if "integer" in arrays:
        one = hashing.of_integers(arrays["integer"])
        hashes.append(np.stack([one, one]))
    valid.append(np.ones(sum(part.shape[1] for part in hashes), bool))
    if "real" in arrays:
        missing = np.isnan(arrays["real"])
        one = hashing.of_reals(np.where(missing, 0, arrays["real"]))
        hashes.append(np.stack([one, one]))
        valid.append(~missing)
    return np.concatenate(hashes, axis=1), np.concatenate(valid)


def _only_value(values: np.ndarray, splits: np.ndarray, single: np.ndarray) -> np.ndarray:
    """The number of each row that has exactly one, float64; NaN elsewhere."""
    numbers = np.full(len(single), np.nan)
    numbers[single] = values[splits[:-1][single]]
    return numbers


def _only_value_or_null(values: Any, splits: np.ndarray, single: np.ndarray) -> pa.Array:
    """The value of each row that has exactly one, as an Arrow array; null elsewhere, and for NaN."""
    if values.dtype.kind == "f":
        typed = pa.array(values.astype(np.float64), from_pandas=True)
    else:
        typed = pa.array(values, pa.binary() if values.dtype.kind == "O" else pa.int64())
    return typed.take(pa.array(np.where(single, splits[:-1], 0), pa.int64(), mask=~single))


def read_batches(
    files: Sequence[str],
    decoder: Decoder,
    *,
    batch_rows: int = BATCH_ROWS,
    first_file: int = 0,
    scorer: Callable[[Any], np.ndarray] | None = None,
) -> Iterator[Batch]:
    """The examples of some files, in order.

    Parameters
    ----------
    files
        TFRecord files.
    decoder
        Makes the batches.
    batch_rows
        Examples a batch.
    first_file
        Number of the first file, for `Batch.places`.
    scorer
        From serialized examples to the model's scores, float64 of shape ``(rows,)``.

    Raises
    ------
    InputError
        If a file is missing or damaged, a record is no tf.Example, or a feature has an unexpected type.
    """
    for number, path in enumerate(files, start=first_file):
        for serialized, first in serialized_batches(path, batch_rows):
            rows = int(serialized.shape[0])
            try:
                batch = decoder.decode(serialized, places=place_of(number, np.arange(first, first + rows)))
            except (tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:
                # The latter where the message of the former would quote bytes that are no text.
                raise undecodable(serialized, path, first, decoder.layout.kinds, error) from None
            yield batch if scorer is None else _scored(batch, scorer(serialized), decoder.layout)


def _scored(batch: Batch, scores: np.ndarray, layout: Layout) -> Batch:
    """The batch with its scores; of a numeric label also as the class that they say."""
    label = layout.plain[0]
    predicted = None
    if layout.kinds[label] != "text":
        known = np.where(np.isnan(scores), 0, scores)
        one = hashing.of_reals(known)
        predicted = hashing.terms(np.stack([one, one]), hashing.seeds_of([label])[:, 0])[0]
    return replace(batch, scores=scores, predicted=predicted)


def undecodable(
    serialized: tf.Tensor, path: str, first: int, kinds: Mapping[str, Kind], error: Exception
) -> InputError:
    """The error that names the record and feature at fault."""
    for number, record in enumerate(serialized.numpy().tolist(), start=first):
        for name, feature in parsed(record, path, number).features.feature.items():
            which = feature.WhichOneof("kind")
            if which is not None and name in kinds and LISTS[which] != kinds[name]:
                return InputError(
                    f"{path}: feature {name!r} is {LISTS[which]} in record {number:,}; {kinds[name]} "
                    "is expected: correct the schema, or write the feature as one type"
                )
    return InputError(
        f"{path}: records from {first:,} on cannot be decoded ({reason(error)}); write the file anew"
    )
