"""tf.Examples in and out: the splits of an artifact, their columns and records, and splits written anew."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count, islice
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust.components.errors import InputError, unknown
from tfx_trust.components.leakage.columns import Kind, Layout, place_of

BATCH_ROWS = 8_192
INFERRED_FROM = 1_000
"""Records of each file that types are inferred from where there is no schema."""

LISTS: dict[str, Kind] = {"bytes_list": "text", "int64_list": "integer", "float_list": "real"}
"""Kind by the list of a feature that holds its values."""

_TYPES: dict[int, Kind] = {schema_pb2.BYTES: "text", schema_pb2.INT: "integer", schema_pb2.FLOAT: "real"}
_UNUSED = frozenset({schema_pb2.DEPRECATED, schema_pb2.DISABLED, schema_pb2.PLANNED})
# Length and two checksums around each record.
_FRAMING = 16
_FILE_FORMAT = "tfrecords_gzip"


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
    known = splits_of(artifact)
    if split not in known:
        raise InputError(f"{artifact.uri}: no split {split!r}; it has {', '.join(known) or 'none'}")
    _check_format(artifact)
    folder = split_folder(artifact, split)
    files = files_of(folder)
    if not files:
        raise InputError(f"{folder}: no files; the {split} split should be there: make the examples anew")
    return files


def copy_properties(source: Any, destination: Any) -> None:
    """Gives an Examples artifact the splits, format, span and version of the one that it was made from.

    What else the source says of itself is true of its own records, and not copied.
    """
    for name, value in source.mlmd_artifact.properties.items():
        destination.mlmd_artifact.properties[name].CopyFrom(value)
    for name, value in source.mlmd_artifact.custom_properties.items():
        if name in ("payload_format", "file_format", "span", "version", "fingerprint", "input_fingerprint"):
            destination.mlmd_artifact.custom_properties[name].CopyFrom(value)


def _check_format(artifact: Any) -> None:
    from tfx.components.util import examples_utils
    from tfx.proto import example_gen_pb2

    payload = examples_utils.get_payload_format(artifact)
    if payload != example_gen_pb2.FORMAT_TF_EXAMPLE:
        name = example_gen_pb2.PayloadFormat.Name(payload)
        raise InputError(
            f"{artifact.uri}: payload format {name}; only FORMAT_TF_EXAMPLE is read: let ExampleGen write "
            "tf.Examples"
        )
    file_format = examples_utils.get_file_format(artifact)
    if file_format != _FILE_FORMAT:
        raise InputError(
            f"{artifact.uri}: file format {file_format}; only {_FILE_FORMAT} is read: let ExampleGen write "
            "TFRecords"
        )


def files_of(folder: str) -> list[str]:
    """Data files of a folder, sorted; hidden and temporary ones are left out."""
    if not tf.io.gfile.isdir(folder):
        return []
    # Some file systems mark a folder with a slash at the end.
    names = [
        name
        for name in tf.io.gfile.listdir(folder)
        if not name.startswith((".", "_")) and not name.endswith("/")
    ]
    return [os.path.join(folder, name) for name in sorted(names)]


# Layout


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
    kinds = {}
    for name in features if columns is None else columns:
        if name not in features:
            raise unknown("feature of the schema", name, features)
        kind = _TYPES.get(features[name].type)
        if kind is None:
            found = schema_pb2.FeatureType.Name(features[name].type)
            raise InputError(
                f"feature {name!r} has type {found} in the schema; BYTES, INT or FLOAT is needed: give it "
                "one, or name the features to look at"
            )
        kinds[name] = kind
    return Layout(kinds)


def layout_of_files(files: Mapping[str, Sequence[str]], columns: Sequence[str] | None = None) -> Layout:
    """The columns by the first thousand records of every file, where there is no schema.

    A feature that none of them has is not found; give a schema where that matters.

    Parameters
    ----------
    files
        Files by split.
    columns
        Those to take; one that is named may be absent from a split. All if not given.

    Raises
    ------
    InputError
        If there is no record, a column has different types, or splits have different columns.
    UsageError
        If `columns` names one that is in no record.
    """
    seen = {split: _features_in(paths) for split, paths in files.items()}
    # A split without records does not tell which columns it has.
    seen = {split: found for split, found in seen.items() if found}
    if not seen:
        raise InputError(
            f"no record in the files of {', '.join(files) or 'no split'}; make the examples anew"
        )
    everywhere = sorted({name for found in seen.values() for name in found})
    if columns is None:
        _check_same(seen)
    for name in columns or ():
        if name not in everywhere:
            raise unknown("feature of the examples", name, everywhere)
    return Layout({name: _kind_of(name, seen) for name in (everywhere if columns is None else columns)})


def _features_in(paths: Sequence[str]) -> dict[str, dict[Kind, str]]:
    """By feature, each kind that it is written as and where it is so first."""
    found: dict[str, dict[Kind, str]] = {}
    for path in paths:
        for number, record in enumerate(islice(records(path), INFERRED_FROM)):
            for name, feature in parsed(record, path, number).features.feature.items():
                kinds = found.setdefault(name, {})
                # An empty list has a type all the same, which the parser insists on.
                which = feature.WhichOneof("kind")
                if which is not None:
                    kinds.setdefault(LISTS[which], f"{path} (record {number:,})")
    return found


def _check_same(seen: Mapping[str, Mapping[str, Any]]) -> None:
    alone = {
        split: sorted(name for name in found if any(name not in other for other in seen.values()))
        for split, found in seen.items()
    }
    told = "; ".join(f"{split} alone has {', '.join(names)}" for split, names in alone.items() if names)
    if told:
        raise InputError(
            f"the splits have different columns: {told}; name those to look at as features, or give a schema"
        )


def _kind_of(name: str, seen: Mapping[str, Mapping[str, Mapping[Kind, str]]]) -> Kind:
    found: dict[Kind, str] = {}
    for features in seen.values():
        for kind, where in features.get(name, {}).items():
            found.setdefault(kind, where)
    if len(found) > 1:
        told = " and ".join(f"{kind} in {where}" for kind, where in found.items())
        raise InputError(
            f"feature {name!r} is {told}; equal values would not be seen, so write it as one type"
        )
    # Without any value it is as good as any.
    return next(iter(found), "text")


def parsed(record: bytes, path: str, number: int) -> tf.train.Example:
    """The example of a record; the file and the record's number are for the error."""
    try:
        return tf.train.Example.FromString(record)
    except DecodeError:
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
    for batch, _ in serialized_batches(path, INFERRED_FROM):
        yield from batch.numpy().tolist()


def serialized_batches(
    path: str, rows: int, *, compressed: bool | None = None
) -> Iterator[tuple[tf.Tensor, int]]:
    """The records of a TFRecord file, so many at a time, each batch with the number of its first record.

    A file that is not compressed and was cut exactly between two records cannot be told from a whole one.

    Parameters
    ----------
    path
        Of the file.
    rows
        So many at a time.
    compressed
        Whether it is GZIP; by the ending of its name if not given.

    Raises
    ------
    InputError
        If the file is missing, cut short or damaged: at the latest when all of it has been read.
    """
    if compressed is None:
        compressed = path.endswith(".gz")
    if not tf.io.gfile.exists(path):
        raise InputError(f"{path}: no such file; make the examples anew, or check the path")
    read = size = 0
    try:
        for batch in tf.data.TFRecordDataset(path, "GZIP" if compressed else "").batch(rows):
            yield batch, read
            read += int(batch.shape[0])
            size += int(tf.reduce_sum(tf.cast(tf.strings.length(batch), tf.int64)))
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError, tf.errors.InvalidArgumentError) as error:
        raise _damaged(path, read, reason(error)) from None
    except tf.errors.OpError as error:
        raise InputError(
            f"{path}: cannot be read ({reason(error)}); check that it is a file and that you may read it"
        ) from None
    if compressed:
        _check_end(path, read, size + _FRAMING * read)


def _check_end(path: str, read: int, size: int) -> None:
    """A gzip file that was cut may look to TensorFlow like one that ends: its trailer tells.

    The last four bytes are the length of what was compressed (RFC 1952, section 2.3.1), which the records
    add up to. Where they do not, there may be several gzip members, as of files put together: only then
    all is read once more.
    """
    with tf.io.gfile.GFile(path, "rb") as file:
        length = file.size()
        if not length:
            raise _damaged(path, read, "it has no bytes")
        file.seek(max(0, length - 4))
        if int.from_bytes(file.read(4), "little") == size % 2**32:
            return
        file.seek(0)
        try:
            with gzip.GzipFile(fileobj=file) as whole:
                found = sum(len(chunk) for chunk in iter(lambda: whole.read(1 << 20), b""))
        except (EOFError, OSError, zlib.error) as error:
            raise _damaged(path, read, str(error)) from None
    if found != size:
        raise _damaged(path, read, f"{found - size:,} bytes are left over")


def _damaged(path: str, read: int, why: str) -> InputError:
    hint = "" if read else "; a name ends in .gz if, and only if, the file is GZIP"
    return InputError(
        f"{path}: damaged or cut short after about {read:,} records ({why}); copy or make it anew{hint}"
    )


def reason(error: Exception) -> str:
    """The first line of an error of TensorFlow, without the names of its own operations."""
    text = re.sub(r"^(\{\{.*?\}\}\s*)+|\s*\[(Op:|\[).*", "", str(getattr(error, "message", error)).strip())
    return text.partition("\n")[0][:120] or type(error).__name__


def fetch(files: Sequence[str], places: Sequence[int]) -> dict[int, tf.train.Example]:
    """The examples at some places, each file read once, and only as far as need be.

    Raises
    ------
    InputError
        If a file is missing or damaged, or has no record at a place.
    """
    wanted = np.unique(np.array(places, np.uint64))
    found: dict[int, tf.train.Example] = {}
    for number, path in enumerate(files):
        left = _of_file(wanted, number)
        if not len(left):
            continue
        last = int(left[-1])
        for batch, first in serialized_batches(path, BATCH_ROWS):
            end = first + int(batch.shape[0])
            here = left[(left >= first) & (left < end)]
            for position, record in zip(here.tolist(), tf.gather(batch, here - first).numpy(), strict=True):
                found[int(place_of(number, position))] = parsed(record, path, position)
            if last < end:
                break
        else:
            raise InputError(f"{path}: no record {last:,}; it was changed since it was read: run again")
    return found


def displayed(example: tf.train.Example, columns: Sequence[str]) -> dict[str, object]:
    """Values by column, a single one as it is; none where missing. Not masked: that is for the caller."""
    values: dict[str, object] = {}
    for name in columns:
        # Looking a feature up by index would add it.
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

    A file is written beside the folder and gets its name in it when it is whole.

    Parameters
    ----------
    files
        Of the split as it is.
    folder
        Where to write; files keep their names.
    dropped
        Places of the records to leave out; uint64, ascending, each once.
    moved_in
        Files of another split, and the places of those of its records that come here, as for `dropped`;
        they go into a file of their own.

    Returns
    -------
    tuple of int
        Records before and after.

    Raises
    ------
    InputError
        If a file is missing or damaged, two have the same name, or there is no record at a place.
    """
    names = _distinct_names(files, folder)
    tf.io.gfile.makedirs(folder)
    read = kept = arrived = 0
    for number, (path, name) in enumerate(zip(files, names, strict=True)):
        of_file = _copy([(number, path)], folder, name, dropped, keep=False)
        read, kept = read + of_file[0], kept + of_file[1]
    _check_found(read - kept, dropped, files)
    for others, places in moved_in:
        name = _unused(names, ".gz" if others[0].endswith(".gz") else "")
        names.append(name)
        _, written = _copy(list(enumerate(others)), folder, name, places, keep=True)
        _check_found(written, places, others)
        arrived += written
    return read, kept + arrived


def _distinct_names(files: Sequence[str], folder: str) -> list[str]:
    """The names of the files, to be written to one folder."""
    names = [os.path.basename(path) for path in files]
    name, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise InputError(
            f"{times} files to write to {folder} are named {name!r}; rename them, or write each split apart"
        )
    return names


def _unused(names: Sequence[str], ending: str) -> str:
    """A name for records from elsewhere that none of the files has: a split may be written anew twice."""
    return next(name for n in count() if (name := f"moved_in-{n:05d}{ending}") not in names)


def _check_found(found: int, places: np.ndarray, files: Sequence[str]) -> None:
    if found != len(places):
        where = os.path.dirname(files[0]) if files else "no files"
        raise InputError(
            f"{where}: {found:,} records at {len(places):,} places; the files were changed since they were "
            "read: run again"
        )


def _copy(
    files: Sequence[tuple[int, str]], folder: str, name: str, places: np.ndarray, *, keep: bool
) -> tuple[int, int]:
    """Copies the records at some places, or all others, into one file; records read and written."""
    read = written = 0
    with _whole_file(folder, name) as writer:
        for number, path in files:
            for batch, first in serialized_batches(path, BATCH_ROWS):
                named = _among(places, number, first, int(batch.shape[0]))
                chosen = batch.numpy()[named if keep else ~named]
                for record in chosen:
                    writer.write(record)
                read += len(named)
                written += len(chosen)
    return read, written


@contextmanager
def _whole_file(folder: str, name: str) -> Iterator[Any]:
    """A writer of a TFRecord file that gets its name when it is whole, and leaves nothing if it never is."""
    # Beside the folder: whoever reads all that is in it must not meet half a file.
    staged = f"{folder.rstrip('/')}.partial-{name}"
    options = tf.io.TFRecordOptions(compression_type="GZIP" if name.endswith(".gz") else "")
    try:
        with tf.io.TFRecordWriter(staged, options) as writer:
            yield writer
        tf.io.gfile.rename(staged, os.path.join(folder, name), overwrite=True)
    except BaseException:
        if tf.io.gfile.exists(staged):
            tf.io.gfile.remove(staged)
        raise


def append_to_split(
    files: Sequence[str], folder: str, additions: Callable[[Any, str, int], Sequence[bytes]]
) -> int:
    """Writes a split anew with something added to the end of each record, in the same order.

    Records that are put together are the two protos merged (Protocol Buffers, "Encoding", last one wins), so
    that features are added without parsing what is there. A file gets its name in the folder when it is
    whole.

    Parameters
    ----------
    files
        Of the split as it is.
    folder
        Where to write; files keep their names.
    additions
        From serialized examples, a string tensor of shape ``(rows,)``, their file and the number of the first
        to what is added to each.

    Returns
    -------
    int
        Records written.

    Raises
    ------
    InputError
        If a file is missing or damaged, or two have the same name.
    """
    names = _distinct_names(files, folder)
    tf.io.gfile.makedirs(folder)
    written = 0
    for path, name in zip(files, names, strict=True):
        with _whole_file(folder, name) as writer:
            for batch, first in serialized_batches(path, BATCH_ROWS):
                for record, added in zip(batch.numpy(), additions(batch, path, first), strict=True):
                    writer.write(record + added)
                written += int(batch.shape[0])
    return written


def _of_file(places: np.ndarray, number: int) -> np.ndarray:
    """Numbers of the records of one file among ascending places, int64."""
    begin, end = _position(places, number, 0), _position(places, number + 1, 0)
    return (places[begin:end] - place_of(number, 0)).astype(np.int64)


def _among(places: np.ndarray, number: int, first: int, rows: int) -> np.ndarray:
    """Which records of a file, from the first on, are at one of some ascending places: bool, ``(rows,)``."""
    begin, end = _position(places, number, first), _position(places, number, first + rows)
    among = np.zeros(rows, bool)
    among[(places[begin:end] - place_of(number, first)).astype(np.int64)] = True
    return among


def _position(places: np.ndarray, number: int, record: int) -> int:
    """How many of some ascending places come before a record."""
    return int(np.searchsorted(places, place_of(number, record)))
