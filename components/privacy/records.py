"""Poisson batches of the records of TFRecord files: in memory, by an index, or streamed."""

from __future__ import annotations

import errno
import itertools
import math
import os
import re
import tempfile
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np
import tensorflow as tf
from absl import logging

from tfx_trust.components.errors import InputError, UsageError, unknown
from tfx_trust.components.examples import reason, serialized_batches
from tfx_trust.components.privacy.config import PrivacySettings
from tfx_trust.components.privacy.data import (
    MemorySource,
    PrivateData,
    Source,
    check_labels,
    check_weights,
    mapped,
    named,
)
from tfx_trust.components.privacy.sampling import PoissonSampler

if TYPE_CHECKING:
    import tensorflow_transform as tft

Storage = Literal["auto", "memory", "indexed", "streamed"]
Parse = Callable[[tf.Tensor], tuple[Any, ...]]

MEMORY_LIMIT = 1 << 30
"""Bytes of parsed examples that ``auto`` keeps in memory."""
STREAM_LIMIT = 1 << 28
"""Bytes of records that a streamed pass gathers: it makes as many batches at once as fit in there."""

_STORAGES = ("auto", "memory", "indexed", "streamed")
_COMPRESSIONS = ("GZIP", "")
_READ_ROWS = 512
# Bytes that Python adds to each record.
_OVERHEAD = 64
# What TensorFlow says of a feature, but not of its values.
_SAFE_REASON = re.compile(
    r"(Feature: .* is required but could not be found|Key: [^,]*, Index: \d+\.\s+"
    r"(Number of \w+ values != expected\.\s+Values size: \d+ but output shape: \[[\d,]*\]"
    r"|Data types don't match\.\s+Data type: \w+ but expected type: \w+))"
)


def private_records(
    files: str | Sequence[str],
    parse: Parse,
    settings: PrivacySettings | Mapping[str, Any],
    *,
    storage: Storage = "auto",
    compression: Literal["GZIP", ""] = "GZIP",
    scratch: str | None = None,
) -> PrivateData:
    """Poisson batches of the records of TFRecord files.

    All records are read and parsed once, to count and to check them. Equal draws give equal batches, wherever
    the records are kept; the files are taken in the order of their names.

    Parameters
    ----------
    files
        Paths or patterns. A file that several of them mean counts once.
    parse
        Turns serialized records, a string tensor of shape ``(rows,)``, into ``(features, labels)`` or
        ``(features, labels, weights)``: dense tensors, or dicts or tuples of them, with a row for each
        record, which must depend on that record alone. It runs in a graph, and is given no record now and
        then.
    settings
        Of the training.
    storage
        ``memory``: parsed, in memory. ``indexed``: decompressed into a temporary file, from which the records
        of a batch are read; memory does not grow with N. ``streamed``: no copy of the data at all; each pass
        over the files gathers the records of as many batches as fit into 256 MiB, of an epoch at most.
        ``auto``: in memory where the parsed examples take no more than 1 GiB, else indexed, or streamed where
        the disk has no room.
    compression
        Of the files.
    scratch
        Folder of the temporary file, which has no name there and is gone when the process ends; the system's
        folder for temporary files if not given.

    Raises
    ------
    InputError
        If there are no files or no records, a record is damaged or cannot be parsed, a label is missing or
        not finite, a weight is negative or not finite, `parse` returns something else than it should, there
        are fewer examples than `batch_size`, or not as many as `settings.examples` says. What is wrong with a
        record is told with its file and number.
    UsageError
        If an argument or a setting is not allowed, such as a delta of 1/N or more.

    Examples
    --------
    >>> def parse(serialized):
    ...     spec = {"x": tf.io.FixedLenFeature([8], tf.float32), "y": tf.io.FixedLenFeature([], tf.int64)}
    ...     columns = tf.io.parse_example(serialized, spec)
    ...     return columns["x"], columns["y"]
    >>> data = private_records("train/*.gz", parse, settings)                        # doctest: +SKIP
    >>> model.fit(data.dataset)                                                      # doctest: +SKIP
    """
    settings = PrivacySettings.of(settings)
    if storage not in _STORAGES:
        raise unknown("storage", storage, _STORAGES)
    if compression not in _COMPRESSIONS:
        raise UsageError(f"compression = {compression!r}; 'GZIP', or '' for none")
    if scratch is not None and not os.path.isdir(scratch):
        raise InputError(f"{scratch}: no such folder; make it, or leave scratch out")
    records = _Records(_paths(files), parse, compressed=compression == "GZIP")
    data = PrivateData(_source(records, storage, scratch), settings)
    logging.info("%r", data)
    return data


def private_transformed(
    files: str | Sequence[str],
    transform_output: tft.TFTransformOutput,
    label: str,
    settings: PrivacySettings | Mapping[str, Any],
    *,
    weight: str | None = None,
    storage: Storage = "auto",
    features: Sequence[str] | None = None,
) -> PrivateData:
    """Poisson batches of the examples that Transform wrote, for a ``run_fn``.

    Parameters
    ----------
    files
        ``fn_args.train_files``: GZIP TFRecords of tf.Examples.
    transform_output
        Tells what the examples consist of.
    label
        Feature with the label, one value an example or more, as Transform's schema has it.
    settings
        Of the training: ``fn_args.custom_config["privacy"]``.
    weight
        Feature with the weight, one number an example; each weighs 1 if not given.
    storage
        See `private_records`.
    features
        Those that the model takes; all others that are dense if not given.

    Returns
    -------
    PrivateData
        Its features are a dict of tensors by name, of shape ``(rows, ...)``.

    Raises
    ------
    InputError, UsageError
        As `private_records`; and if a feature does not exist, or is not dense.

    Examples
    --------
    >>> def run_fn(fn_args):
    ...     transformed = tft.TFTransformOutput(fn_args.transform_output)
    ...     settings = fn_args.custom_config["privacy"]
    ...     data = private_transformed(fn_args.train_files, transformed, "over_50k", settings)
    ...     model = build_model()
    ...     model.compile(optimizer="adam", loss="binary_crossentropy")
    ...     make_private(model, settings, data)
    ...     model.fit(data.dataset)
    ...     model.export(fn_args.serving_model_dir)
    """
    spec = _spec(transform_output.transformed_feature_spec(), label, weight, features)

    def parse(serialized: tf.Tensor) -> tuple[Any, ...]:
        columns = tf.io.parse_example(serialized, spec)
        labels = columns.pop(label)
        if weight is None:
            return columns, labels
        return columns, labels, tf.reshape(columns.pop(weight), [-1])

    return private_records(files, parse, settings, storage=storage)


def _spec(
    whole: Mapping[str, Any], label: str, weight: str | None, features: Sequence[str] | None
) -> dict[str, Any]:
    """How the features that are wanted are parsed."""
    asked = [label, *([] if weight is None else [weight])]
    for name in (*asked, *(features or ())):
        if name not in whole:
            raise unknown("transformed feature", name, whole)
    for name in asked:
        if name in (features or ()):
            raise UsageError(
                f"features: {name!r} is the {'label' if name == label else 'weight'}; leave it out"
            )
    dense = [name for name, kind in whole.items() if isinstance(kind, tf.io.FixedLenFeature)]
    for name in features or ():
        if name not in dense:
            raise InputError(
                f"feature {name!r} is not dense ({type(whole[name]).__name__}); make it so in "
                "preprocessing_fn, e.g. by tf.sparse.to_dense, or leave it out of features"
            )
    chosen = [name for name in dense if name not in asked] if features is None else list(features)
    if not chosen:
        raise InputError("no dense feature besides the label; make some in preprocessing_fn")
    left_out = sorted(set(whole) - set(dense) - set(asked))
    if features is None and left_out:
        logging.info("private_transformed: not dense, so left out: %s", ", ".join(left_out))
    spec = {name: whole[name] for name in chosen}
    for name in asked:
        # One value an example is dense, whatever the schema could not promise.
        spec[name] = whole[name] if name in dense else tf.io.FixedLenFeature([], whole[name].dtype)
    return spec


def _paths(files: str | Sequence[str]) -> list[str]:
    """The files that are meant, each once, sorted."""
    patterns = [files] if isinstance(files, str | os.PathLike) else list(files)
    if not patterns:
        raise InputError("files: none are given; give paths or patterns of TFRecord files")
    found: set[str] = set()
    for pattern in map(os.fspath, patterns):
        matching = [pattern] if tf.io.gfile.exists(pattern) else tf.io.gfile.glob(pattern)
        paths = [path for path in matching if not tf.io.gfile.isdir(path)]
        if not paths:
            raise InputError(
                f"{pattern}: no files; the training data should be there: check the path, or make them anew"
            )
        found.update(paths)
    return sorted(found)


# Records


class _Records:
    """The records of some files, and what is made of them."""

    def __init__(self, paths: list[str], parse: Parse, *, compressed: bool) -> None:
        self.paths = paths
        self._compressed = compressed
        self._parse = tf.function(parse, input_signature=[tf.TensorSpec([None], tf.string)])
        self.shapes = self._checked_shapes(self._parse.get_concrete_function().structured_outputs)

    def _checked_shapes(self, outputs: Any) -> list[tuple[int, ...]]:
        """The shapes of rows of all that parse makes."""
        if not isinstance(outputs, tuple) or len(outputs) not in (2, 3):
            raise InputError(
                "parse: returns no tuple of (features, labels) or (features, labels, weights); let it do so"
            )
        leaves = named(dict(zip(("features", "labels", "weights"), outputs, strict=False)))
        for name, tensor in leaves:
            if not isinstance(tensor, tf.Tensor | tf.TensorSpec):
                raise InputError(
                    f"{name}: parse makes {type(tensor).__name__} of it; a dense tensor is needed: use "
                    "tf.io.FixedLenFeature, tf.sparse.to_dense or RaggedTensor.to_tensor"
                )
            if tensor.shape.rank == 0:
                raise InputError(f"{name}: parse makes a single value of it; a row for each record is needed")
            if tensor.shape.rank is None or not tensor.shape[1:].is_fully_defined():
                raise InputError(
                    f"{name}: parse makes rows of it whose shape is not fixed ({tensor.shape}); give it one, "
                    "e.g. by tf.ensure_shape, or by to_tensor(shape=...) of a RaggedTensor"
                )
        if not any(name.startswith("features") for name, _ in leaves):
            raise InputError("features: parse returns none; let it return a tensor, or a dict of tensors")
        shapes = [tuple(tensor.shape[1:]) for _, tensor in leaves]
        return shapes if len(outputs) == 3 else [*shapes, ()]

    def __call__(self, serialized: tf.Tensor) -> dict[str, Any]:
        """``features``, ``labels`` and ``weights`` of some records."""
        parsed = dict(zip(("features", "labels", "weights"), self._parse(serialized), strict=False))
        ones = tf.ones(tf.shape(serialized), tf.float32)
        parsed["weights"] = tf.cast(parsed["weights"], tf.float32) if "weights" in parsed else ones
        return parsed

    def raw(self) -> Iterator[tuple[str, int, tf.Tensor]]:
        """All records as they are, some at a time, with their file and the number of the first in it."""
        for path in self.paths:
            try:
                for serialized, first in serialized_batches(path, _READ_ROWS, compressed=self._compressed):
                    yield path, first, serialized
            except InputError:
                self._find_damage(path)
                raise

    def _find_damage(self, path: str) -> None:
        """Raises with the number of the first record that cannot be read, if that is what is wrong."""
        read = 0
        try:
            for _ in tf.data.TFRecordDataset(path, "GZIP" if self._compressed else ""):
                read += 1
        except (tf.errors.DataLossError, tf.errors.OutOfRangeError, tf.errors.InvalidArgumentError) as error:
            hint = "copy or make the file anew"
            if not read:
                hint += f"; if it is {'not ' if self._compressed else ''}compressed, say so by compression"
            raise InputError(
                f"{path}: record {read:,} (counted from 0) is cut short or damaged ({reason(error)}); {hint}"
            ) from None
        except tf.errors.OpError:
            return

    def checked(self) -> Iterator[tuple[tf.Tensor, dict[str, Any]]]:
        """All records with what is made of them, each looked at."""
        try:
            self._look_at(self(tf.constant([], tf.string)), "no record", 0, 0)
        except tf.errors.OpError:
            raise InputError(
                "parse: fails where it is given no record, which happens when a batch is empty; let it "
                "return tensors without rows"
            ) from None
        found = False
        for path, first, serialized in self.raw():
            arrays = self._look_at(
                self._parsed(serialized, path, first), path, first, int(serialized.shape[0])
            )
            if not found:
                self._check_alone(serialized, arrays)
                found = True
            yield serialized, arrays
        if not found:
            others = f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else ""
            raise InputError(
                f"{self.paths[0]}{others}: no records; the training data should be there: make them anew"
            )

    def _check_alone(self, serialized: tf.Tensor, arrays: dict[str, Any]) -> None:
        """Refuses a parse by which one record changes what another becomes."""
        again, alone = self(serialized), self(serialized[:1])
        leaves = (named(arrays), named(again), named(alone))
        for (name, array), (_, repeated), (_, one) in zip(*leaves, strict=True):
            # What is random, such as an augmentation, cannot be told.
            if _same(array, repeated.numpy()) and not _same(array[:1], one.numpy()):
                raise InputError(
                    f"{name}: what parse makes of a record depends on the records beside it, which the "
                    "guarantee does not cover; let it look at each record alone"
                )

    def _parsed(self, serialized: tf.Tensor, path: str, first: int) -> dict[str, Any]:
        try:
            return self(serialized)
        except (tf.errors.OpError, UnicodeDecodeError):
            for place in range(int(serialized.shape[0])):
                try:
                    self(serialized[place : place + 1])
                except (tf.errors.OpError, UnicodeDecodeError) as error:
                    raise InputError(
                        f"{path}: record {first + place:,} (counted from 0) cannot be parsed "
                        f"({_told(error)}); correct it, or leave it out"
                    ) from None
            raise InputError(
                f"{path}: records from {first:,} (counted from 0) can be parsed one by one, but not "
                "together; let parse look at each record alone"
            ) from None

    def _look_at(self, parsed: dict[str, Any], path: str, first: int, rows: int) -> dict[str, Any]:
        """The arrays that were made of some records, or an error about them."""
        arrays: dict[str, Any] = mapped(parsed, lambda _, tensor: tensor.numpy())
        for name, array in named(arrays):
            if len(array) != rows:
                raise InputError(
                    f"{name}: parse makes {len(array):,} rows of {rows:,} records of {path}; a row for each "
                    "is needed"
                )

        def complain(name: str, bad: np.ndarray, what: str) -> None:
            wrong = bad.reshape(rows, -1).any(axis=1)
            if wrong.any():
                place = first + int(wrong.argmax())
                raise InputError(f"{path}: record {place:,} (counted from 0): {name} is {what}")

        if rows:
            check_labels(arrays["labels"], complain)
            check_weights(arrays["weights"], complain)
        return arrays


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype.kind in "fc":
        return bool(np.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True))
    return bool(np.array_equal(one, other))


def _told(error: Exception) -> str:
    """What is wrong with a record, if TensorFlow says it without a value of it."""
    found = _SAFE_REASON.search(str(error))
    return found.group(1) if found else "it is no such record as parse expects"


# Where they are kept


def _source(records: _Records, storage: Storage, scratch: str | None) -> Source:
    if storage in ("auto", "memory"):
        source = _in_memory(records, MEMORY_LIMIT if storage == "auto" else None)
        if source is not None:
            return source
    if storage != "streamed":
        try:
            return IndexedSource(records, scratch)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            if storage == "indexed":
                raise InputError(
                    f"{scratch or tempfile.gettempdir()}: no room for the decompressed records; name a "
                    "folder with more as scratch, or set storage to 'streamed'"
                ) from None
            logging.warning("no room on the disk for the decompressed records: they are streamed")
    return StreamedSource(records)


def _in_memory(records: _Records, limit: int | None) -> MemorySource | None:
    """The examples in memory; none if they would pass the limit."""
    columns: list[list[np.ndarray]] = []
    size = 0
    structure: Any = None
    for serialized, arrays in records.checked():
        structure = arrays
        leaves = [array for _, array in named(arrays)]
        columns = columns or [[] for _ in leaves]
        for column, array in zip(columns, leaves, strict=True):
            column.append(array)
        texts = any(array.dtype == object for array in leaves)
        size += sum(array.nbytes for array in leaves)
        # The bytes of texts are not the array's.
        size += int(tf.reduce_sum(tf.strings.length(serialized))) if texts else 0
        if limit is not None and size > limit:
            return None
    whole = iter(columns)

    def joined(_name: str, _leaf: Any) -> np.ndarray:
        column = next(whole)
        array = np.concatenate(column)
        column.clear()
        return array

    return MemorySource(mapped(structure, joined))


class SerializedSource(Source):
    """Examples as serialized records, which are parsed when they are drawn."""

    types = [tf.string]

    def __init__(self, records: _Records) -> None:
        self._records = records

    @abstractmethod
    def draw(self, sampler: PoissonSampler) -> list[np.ndarray]:
        """The records of the next batch, as an array of bytes."""

    def batch(self, drawn: list[tf.Tensor], rows: int) -> tuple[Any, Any, tf.Tensor]:
        """The records parsed, and padded."""
        serialized = tf.reshape(drawn[0], [-1])
        parsed = self._records(serialized)
        missing = rows - tf.shape(serialized)[0]
        shapes = iter(self._records.shapes)

        def padded(_: str, tensor: tf.Tensor) -> tf.Tensor:
            shape = next(shapes)
            whole = tf.pad(tensor, [[0, missing], *[[0, 0]] * len(shape)])
            return tf.ensure_shape(whole, (rows, *shape))

        batch = mapped(parsed, padded)
        return batch["features"], batch["labels"], batch["weights"]


class IndexedSource(SerializedSource):
    """Records in a temporary file, with their ends in another: a short read for each that is drawn.

    Raises
    ------
    OSError
        If the disk has no room for them.
    """

    storage = "indexed"

    def __init__(self, records: _Records, folder: str | None) -> None:
        super().__init__(records)
        self._data = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it is as long as the source is
        with tempfile.TemporaryFile(dir=folder) as ends:
            self.examples = _copy(records, self._data, ends)
            # Of a file, so that the system may take its memory back.
            self._ends = np.memmap(ends, np.int64, "r")
        # Where few records are read of many, reading ahead is in vain.
        os.posix_fadvise(self._data.fileno(), 0, 0, os.POSIX_FADV_RANDOM)

    def draw(self, sampler: PoissonSampler) -> list[np.ndarray]:
        """The records of the next batch, read from the file."""
        file = self._data.fileno()
        chosen = sampler.next()
        starts, ends = self._ends[chosen], self._ends[chosen + 1]
        drawn = np.empty(chosen.size, object)
        for place, (start, size) in enumerate(zip(starts.tolist(), (ends - starts).tolist(), strict=True)):
            drawn[place] = os.pread(file, size, start)
        return [drawn]


def _copy(records: _Records, data: IO[bytes], ends: IO[bytes]) -> int:
    """Write the records one after the other, and where each of them ends, after a 0; their number."""
    written = np.int64(0)
    examples = 0
    ends.write(written.tobytes())
    for serialized, _ in records.checked():
        batch = serialized.numpy().tolist()
        data.writelines(batch)
        places = written + np.cumsum([len(record) for record in batch], dtype=np.int64)
        ends.write(places.tobytes())
        written = places[-1]
        examples += len(batch)
    data.flush()
    ends.flush()
    return examples


class StreamedSource(SerializedSource):
    """Records that stay in their files: one pass gathers those of many batches.

    The batches of a pass are drawn before it, so that each record is in each of them by a toss of its own.
    """

    storage = "streamed"

    def __init__(self, records: _Records) -> None:
        super().__init__(records)
        self.examples = size = 0
        for serialized, _ in records.checked():
            self.examples += int(serialized.shape[0])
            size += int(tf.reduce_sum(tf.cast(tf.strings.length(serialized), tf.int64)))
        self._mean_size = size / self.examples
        self._ready: deque[np.ndarray] = deque()

    def draw(self, sampler: PoissonSampler) -> list[np.ndarray]:
        """The records of the next batch; of many, when none is left of those that were gathered."""
        if not self._ready:
            self._ready.extend(self._gathered(sampler))
        return [self._ready.popleft()]

    def _gathered(self, sampler: PoissonSampler) -> list[np.ndarray]:
        expected = self.examples * sampler.probability * (self._mean_size + _OVERHEAD)
        # More than a pass reads is not worth gathering; the last ones may be for nobody.
        count = min(int(STREAM_LIMIT / expected), math.ceil(1 / sampler.probability))
        batches = [sampler.next() for _ in range(max(1, count))]
        wanted = np.concatenate(batches)
        order = np.argsort(wanted, kind="stable")
        wanted = wanted[order]
        found = np.empty(wanted.size, object)
        first = 0
        for _, _, serialized in self._records.raw():
            last = first + int(serialized.shape[0])
            low, high = np.searchsorted(wanted, (first, last))
            if high > low:
                found[order[low:high]] = serialized.numpy()[wanted[low:high] - first]
            first = last
        if first != self.examples:
            raise InputError(
                f"the files hold {first:,} records now, and held {self.examples:,} before; do not change "
                "them while a model is trained"
            )
        ends = itertools.accumulate(batch.size for batch in batches)
        return [found[end - batch.size : end] for batch, end in zip(batches, ends, strict=True)]
