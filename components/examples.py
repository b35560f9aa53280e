"""tf.Examples in and out: the splits of an artifact as batches of columns, and splits written anew.

Decoding is what checks of examples cost. So a batch is decoded once, by one TensorFlow graph that also
hashes its texts; what is done per column after that is done for the whole batch by numpy.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust.components.errors import InputError, unknown
from tfx_trust.components.leakage import hashing
from tfx_trust.components.leakage.columns import Batch, Kind, Layout, place_of

BATCH_ROWS = 4_096
INFERRED_FROM = 1_000
"""Records of each file that types are inferred from where there is no schema."""

# Public on purpose: they only have to differ. See hashing.py for what the keys are no defence against.
_HASH_KEYS = ((0x243F6A8885A308D, 0x13198A2E0370734), (0x24A4093822299F3, 0x1D0082EFA98EC4E))
_HASH_RANGE = 2**63 - 1
_UNUSED = frozenset(
    {
        schema_pb2.DEPRECATED,
        schema_pb2.DISABLED,
        schema_pb2.PLANNED,
    }
)


# Artifacts


def splits_of(artifact: Any) -> list[str]:
    """Names of the splits of an Examples artifact."""
    from tfx.types import artifact_utils

    return list(artifact_utils.decode_split_names(artifact.split_names))


def split_folder(artifact: Any, split: str) -> str:
    """Folder of a split of an Examples artifact, whether or not it is there yet."""
    from tfx.types import artifact_utils

    folder: str = artifact_utils.get_split_uri([artifact], split)
    return folder


def split_files(artifact: Any, split: str) -> list[str]:
    """Data files of a split of an Examples artifact.

    Raises
    ------
    InputError
        If there is no such split, it has no files, or they do not hold tf.Examples in TFRecords.
    """
    from tfx.components.util import examples_utils
    from tfx.proto import example_gen_pb2

    known = splits_of(artifact)
    if split not in known:
        raise InputError(f"{artifact.uri}: no split {split!r}; it has {', '.join(known) or 'none'}")
    payload = examples_utils.get_payload_format(artifact)
    if payload != example_gen_pb2.FORMAT_TF_EXAMPLE:
        name = example_gen_pb2.PayloadFormat.Name(payload)
        raise InputError(
            f"{artifact.uri}: payload format {name}; only FORMAT_TF_EXAMPLE is read: let ExampleGen write "
            "tf.Examples"
        )
    folder = split_folder(artifact, split)
    files = files_of(folder)
    if not files:
        raise InputError(f"{folder}: no files; the {split} split should be there")
    return files


def files_of(folder: str) -> list[str]:
    """Data files of a folder, sorted; hidden and temporary ones are left out."""
    if not tf.io.gfile.isdir(folder):
        return []
    names = [
        name
        for name in tf.io.gfile.listdir(folder)
        if not name.startswith((".", "_")) and not name.endswith("/")
    ]
    return [os.path.join(folder, name) for name in sorted(names)]


# Layout


_KINDS: dict[int, Kind] = {schema_pb2.BYTES: "text", schema_pb2.INT: "integer", schema_pb2.FLOAT: "real"}


def layout_of_schema(schema: schema_pb2.Schema, columns: Sequence[str] | None = None) -> Layout:
    """The columns that a schema describes.

    Parameters
    ----------
    schema
        The schema; features that are deprecated, disabled or planned are left out.
    columns
        Those to take; all if not given.

    Raises
    ------
    UsageError
        If `columns` names one that the schema does not have.
    InputError
        If a feature has no type, or a nested one.
    """
    features = {item.name: item for item in schema.feature if item.lifecycle_stage not in _UNUSED}
    for name in columns or ():
        if name not in features:
            raise unknown("feature of the schema", name, features)
    kinds = {}
    for name in columns if columns is not None else features:
        kind = _KINDS.get(features[name].type)
        if kind is None:
            found = schema_pb2.FeatureType.Name(features[name].type)
            raise InputError(
                f"feature {name!r} has type {found} in the schema; BYTES, INT or FLOAT is needed: give it "
                "one, or name the "
                "features to look at"
            )
        kinds[name] = kind
    return Layout(kinds)


def layout_of_files(files: Mapping[str, Sequence[str]], columns: Sequence[str] | None = None) -> Layout:
    """The columns by the first thousand records of every file, where there is no schema.

    Parameters
    ----------
    files
        Files by split.
    columns
        Those to take; all if not given.

    Raises
    ------
    InputError
        If splits have different columns, or a column has different types.
    UsageError
        If `columns` names one that is in no record.
    """
    seen: dict[str, dict[str, tuple[Kind, str]]] = {}
    for split, paths in files.items():
        found = seen.setdefault(split, {})
        for path in paths:
            for name, kind in _kinds_in(path).items():
                before = next((side[name] for side in seen.values() if name in side), None)
                if before is not None and before[0] != kind:
                    raise InputError(
                        f"feature {name!r} is {before[0]} in {before[1]} and {kind} in {path}; equal "
                        "values would not be "
                        "seen, so write it as one type"
                    )
                found.setdefault(name, (kind, path))
    everywhere = list(dict.fromkeys(name for found in seen.values() for name in found))
    for name in columns or ():
        if name not in everywhere:
            raise unknown("feature of the examples", name, everywhere)
    wanted = everywhere if columns is None else list(columns)
    alone = {
        split: [
            name for name in found if name in wanted and any(name not in other for other in seen.values())
        ]
        for split, found in seen.items()
    }
    if any(alone.values()):
        told = "; ".join(
            f"{split} alone has {', '.join(sorted(names))}" for split, names in alone.items() if names
        )
        raise InputError(
            f"the splits have different columns: {told}; name those to look at as features, or give a schema"
        )
    return Layout(
        {name: next(found[name][0] for found in seen.values() if name in found) for name in sorted(wanted)}
    )


def _kinds_in(path: str) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    names: dict[str, Kind] = {"bytes_list": "text", "int64_list": "integer", "float_list": "real"}
    for number, record in enumerate(islice(records(path), INFERRED_FROM)):
        for name, feature in _parsed(record, path, number).features.feature.items():
            which = feature.WhichOneof("kind")
            if which is None or not getattr(feature, which).value:
                continue
            if kinds.setdefault(name, names[which]) != names[which]:
                raise InputError(
                    f"{path}: feature {name!r} is {kinds[name]} in some records and {names[which]} in "
                    f"record {number:,}; "
                    "write it as one type"
                )
    return kinds


def _parsed(record: bytes, path: str, number: int) -> tf.train.Example:
    try:
        return tf.train.Example.FromString(record)
    except Exception:
        raise InputError(
            f"{path}: record {number:,} is no tf.Example; write the file anew, or leave it out"
        ) from None


# Reading


def records(path: str) -> Iterator[bytes]:
    """The records of a TFRecord file, as they are.

    Raises
    ------
    InputError
        If the file is missing, cut short or damaged.
    """
    for batch, _ in serialized_batches(path, 1_024):
        yield from batch.numpy().tolist()


def serialized_batches(path: str, rows: int) -> Iterator[tuple[tf.Tensor, int]]:
    """The records of a TFRecord file, so many at a time, each batch with the number of its first record."""
    compressed = path.endswith(".gz")
    if not tf.io.gfile.exists(path):
        raise InputError(f"{path}: no such file; make the examples anew")
    count = size = 0
    try:
        for batch in tf.data.TFRecordDataset(path, "GZIP" if compressed else "").batch(rows):
            yield batch, count
            count += int(batch.shape[0])
            size += int(tf.reduce_sum(tf.strings.length(batch)))
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError, tf.errors.InvalidArgumentError) as error:
        raise InputError(_damaged(path, count, _first_line(error))) from None
    if compressed:
        _check_end(path, count, size + _FRAMING * count)


# Length and two checksums around each record.
_FRAMING = 16


def _check_end(path: str, count: int, size: int) -> None:
    """A gzip file that was cut looks to TensorFlow like one that ends: its trailer tells.

    The last four bytes are the length of what was compressed, which the records add up to. Where they do
    not, there may be several gzip members, as of files put together: only then all is read once more.
    """
    with tf.io.gfile.GFile(path, "rb") as file:
        length = file.size()
        file.seek(max(0, length - 4))
        told = int.from_bytes(file.read(4), "little")
        if length >= 18 and told == size % 2**32:
            return
        file.seek(0)
        try:
            with gzip.GzipFile(fileobj=file) as whole:
                found = sum(len(chunk) for chunk in iter(lambda: whole.read(1 << 20), b""))
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(_damaged(path, count, str(error))) from None
    if found != size:
        raise InputError(_damaged(path, count, f"{found - size:,} bytes are left over"))


def _damaged(path: str, count: int, why: str) -> str:
    return f"{path}: damaged or cut short after about {count:,} records ({why}); copy or make it anew"


def _first_line(error: Exception) -> str:
    text = getattr(error, "message", str(error)).strip()
    return text.splitlines()[0][:120] if text else type(error).__name__


class Decoder:
    """Turns serialized tf.Examples into batches of columns.

    The result of a row does not depend on the batch that it is in.

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
        self._order = np.array([position[name] for name in self._names], np.int64)
        self._seeds = hashing.seeds_of(self._names)
        self._bounds = np.cumsum([0, *(len(names[kind]) for kind in _TENSORS)])
        self._plain_texts = [name for name in names["text"] if name in self.layout.plain]
        spec = {name: tf.io.RaggedFeature(_TENSORS[kind]) for kind in _TENSORS for name in names[kind]}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def decode(serialized: tf.Tensor) -> dict[str, Any]:
            parsed = tf.io.parse_example(serialized, spec)
            decoded: dict[str, Any] = {"splits": tf.stack([parsed[name].row_splits for name in self._names])}
            for kind, tensor in _TENSORS.items():
                if names[kind]:
                    decoded[kind] = tf.concat(
                        [tf.cast(parsed[name].values, tensor) for name in names[kind]], 0
                    )
            if names["text"]:
                texts = decoded.pop("text")
                decoded["hashes"] = tf.stack(
                    [tf.strings.to_hash_bucket_strong(texts, _HASH_RANGE, key) for key in _HASH_KEYS]
                )
            decoded["plain"] = {name: parsed[name].values for name in self._plain_texts}
            return decoded

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
        tf.errors.InvalidArgumentError
            If a record is no tf.Example, or a feature has another type than the layout says;
            :func:`read_batches` says which.
        """
        decoded = self._decode(serialized)
        texts = decoded.pop("plain")
        arrays = {key: value.numpy() for key, value in decoded.items()}
        rows = int(serialized.shape[0])
        splits = arrays["splits"].astype(np.int64)
        hashes, valid, numbers = self._values(arrays, splits, rows)
        terms = self._terms(hashes, valid, splits, rows)
        plain = self._plain(texts, splits, numbers)
        return Batch(self.layout.names, terms, numbers, plain, places)

    def _values(
        self, arrays: Mapping[str, np.ndarray], splits: np.ndarray, rows: int
    ) -> tuple[np.ndarray, np.ndarray | None, dict[str, np.ndarray]]:
        """Hashes of all values, column after column; which are not NaN; and the numbers."""
        hashes = [arrays["hashes"].view(np.uint64)] if "hashes" in arrays else []
        valid = None
        numbers: dict[str, np.ndarray] = {}
        before = int(splits[: self._bounds[1], -1].sum())
        for kind, begin, end in (("integer", *self._bounds[1:3]), ("real", *self._bounds[2:4])):
            if begin == end:
                continue
            values = arrays[kind]
            missing = np.isnan(values) if kind == "real" else np.zeros(0, bool)
            if missing.any():
                valid = np.ones(int(splits[:, -1].sum()), bool)
                valid[before : before + len(values)] = ~missing
                values = np.where(missing, 0, values)
            one = hashing.of_integers(values) if kind == "integer" else hashing.of_reals(values)
            hashes.append(np.stack([one, one]))
            numbers |= self._numbers(arrays[kind], splits, begin, end, rows)
            before += len(values)
        return np.concatenate(hashes, axis=1), valid, numbers

    def _numbers(
        self, values: np.ndarray, splits: np.ndarray, begin: int, end: int, rows: int
    ) -> dict[str, np.ndarray]:
        found = {}
        offset = 0
        for column in range(begin, end):
            bounds = splits[column]
            part = values[offset : offset + bounds[-1]]
            offset += bounds[-1]
            if len(part) == rows and (np.diff(bounds) == 1).all():
                single = part.astype(np.float64)
            else:
                single = np.full(rows, np.nan)
                one = np.diff(bounds) == 1
                single[one] = part[bounds[:-1][one]]
            found[self._names[column]] = single
        return found

    def _terms(
        self, hashes: np.ndarray, valid: np.ndarray | None, splits: np.ndarray, rows: int
    ) -> np.ndarray:
        """What each column adds to the keys: uint64 ``(columns, 2, rows)``, in the layout's order."""
        terms = np.empty((len(splits), hashing.LANES, rows), np.uint64)
        begin = 0
        for column, bounds in enumerate(splits):
            end = begin + int(bounds[-1])
            terms[self._order[column]] = hashing.terms(
                hashes[:, begin:end],
                self._seeds[:, column],
                bounds,
                None if valid is None else valid[begin:end],
            )
            begin = end
        return terms

    def _plain(
        self, texts: Mapping[str, tf.Tensor], splits: np.ndarray, numbers: Mapping[str, np.ndarray]
    ) -> dict[str, pa.Array]:
        plain = {}
        for name in self.layout.plain:
            if name in numbers:
                values = numbers[name]
                missing = np.isnan(values)
                whole = self.layout.kinds[name] == "integer"
                typed = np.where(missing, 0, values).astype(np.int64) if whole else values
                plain[name] = pa.array(typed, mask=missing)
            else:
                bounds = splits[self._names.index(name)]
                one = np.diff(bounds) == 1
                index = pa.array(np.where(one, bounds[:-1], 0), mask=~one)
                plain[name] = pa.array(texts[name].numpy(), pa.binary()).take(index)
        return plain


_TENSORS: dict[Kind, Any] = {"text": tf.string, "integer": tf.int64, "real": tf.float32}


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
        From serialized examples to the model's scores.

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
            except tf.errors.InvalidArgumentError as error:
                raise _undecodable(serialized, path, first, decoder.layout, error) from None
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


def _undecodable(
    serialized: tf.Tensor, path: str, first: int, layout: Layout, error: Exception
) -> InputError:
    """The error that names the record and feature at fault."""
    kinds: dict[str, Kind] = {"bytes_list": "text", "int64_list": "integer", "float_list": "real"}
    for number, record in enumerate(serialized.numpy().tolist(), start=first):
        for name, feature in _parsed(record, path, number).features.feature.items():
            which = feature.WhichOneof("kind")
            if which is not None and name in layout.kinds and kinds[which] != layout.kinds[name]:
                return InputError(
                    f"{path}: feature {name!r} is {kinds[which]} in record {number:,}; "
                    f"{layout.kinds[name]} is expected: "
                    "correct the schema, or write the feature as one type"
                )
    return InputError(f"{path}: records from {first:,} on cannot be decoded: {_first_line(error)}")


def fetch(files: Sequence[str], places: Sequence[int]) -> dict[int, tf.train.Example]:
    """The examples at some places, each file read only as far as need be."""
    found = {}
    for number, path in enumerate(files):
        wanted = sorted(place & (2**40 - 1) for place in places if place >> 40 == number)
        if not wanted:
            continue
        dataset = tf.data.TFRecordDataset(path, "GZIP" if path.endswith(".gz") else "")
        for position in dict.fromkeys(wanted):
            for record in dataset.skip(position).take(1).as_numpy_iterator():
                found[int(place_of(number, position))] = tf.train.Example.FromString(record)
    return found


def displayed(example: tf.train.Example, columns: Sequence[str]) -> dict[str, object]:
    """Values by column, a single one as it is; none where missing. Not masked: that is for the caller."""
    values: dict[str, object] = {}
    for name in columns:
        feature = example.features.feature.get(name)
        which = feature.WhichOneof("kind") if feature is not None else None
        items = list(getattr(feature, which).value) if which else []
        items = [item.decode(errors="replace") if isinstance(item, bytes) else item for item in items]
        values[name] = items[0] if len(items) == 1 else (", ".join(map(str, items)) or None)
    return values


# Writing


def write_split(
    files: Sequence[str],
    folder: str,
    dropped: np.ndarray,
    *,
    moved_in: Sequence[tuple[Sequence[str], np.ndarray]] = (),
) -> tuple[int, int]:
    """Writes a split anew: the records that stay are the same bytes in the same order.

    Parameters
    ----------
    files
        Of the split as it is.
    folder
        Where to write; files keep their names.
    dropped
        Places of the records to leave out; uint64, ascending.
    moved_in
        Files of another split, and the places of those of its records that come here; they go into a
        file of their own.

    Returns
    -------
    tuple of int
        Records before and after.

    Raises
    ------
    InputError
        If a file is missing or damaged.
    """
    before = after = 0
    for number, path in enumerate(files):
        read, written = _copy(
            [(path, number)], os.path.join(folder, os.path.basename(path)), dropped, keep=False
        )
        before += read
        after += written
    for others, places in moved_in:
        ending = ".gz" if others[0].endswith(".gz") else ""
        name = os.path.join(folder, f"moved_in-00000-of-00001{ending}")
        numbered = [(path, number) for number, path in enumerate(others)]
        after += _copy(numbered, name, places, keep=True)[1]
    return before, after


def _copy(
    files: Sequence[tuple[str, int]], target: str, places: np.ndarray, *, keep: bool
) -> tuple[int, int]:
    """Copies the records at some places, or all others; under another name until it is whole."""
    staged = os.path.join(os.path.dirname(target), f".{os.path.basename(target)}")
    read = written = 0
    options = tf.io.TFRecordOptions(compression_type="GZIP" if target.endswith(".gz") else "")
    with tf.io.TFRecordWriter(staged, options) as writer:
        for path, number in files:
            for batch, first in serialized_batches(path, BATCH_ROWS):
                rows = int(batch.shape[0])
                here = np.isin(place_of(number, np.arange(first, first + rows)), places)
                for record in batch.numpy()[here if keep else ~here]:
                    writer.write(record)
                    written += 1
                read += rows
    tf.io.gfile.rename(staged, target, overwrite=True)
    return read, written
