"""Where the records that batches are drawn from are kept: in memory, by an index, or in their own files."""

from __future__ import annotations

import errno
import itertools
import math
import os
import tempfile
from abc import abstractmethod
from collections import deque
from typing import IO, Any, Literal

import numpy as np
import tensorflow as tf
from absl import logging

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.data import MemorySource, Source, mapped, named
from tfx_trust.components.privacy.record_files import Records
from tfx_trust.components.privacy.sampling import PoissonSampler

Storage = Literal["auto", "memory", "indexed", "streamed"]

MEMORY_LIMIT = 1 << 30
"""Bytes of parsed examples that ``auto`` keeps in memory."""
STREAM_LIMIT = 1 << 28
"""Bytes of records that a streamed pass gathers: it makes as many batches at once as fit in there."""

# Bytes that Python adds to each record.
_OVERHEAD = 64


def source_of(records: Records, storage: Storage, scratch: str | None) -> Source:
    """What draws from the records, kept as `private_records` tells."""
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


def _in_memory(records: Records, limit: int | None) -> MemorySource | None:
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

    def __init__(self, records: Records) -> None:
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

    def __init__(self, records: Records, folder: str | None) -> None:
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


def _copy(records: Records, data: IO[bytes], ends: IO[bytes]) -> int:
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

    def __init__(self, records: Records) -> None:
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
