"""The opt-in index of data subjects: which examples are whose, without an identifier in it.

It tells that examples of a subject are in a split, and how many; never that a model remembers them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.provenance.config import SubjectIndex
from tfx_trust.components.provenance.record import ArtifactEntry, FileEntry, Record
from tfx_trust.components.provenance.subject_index import (
    Index,
    Kind,
    index_files,
    look_up,
    read_index,
    write_index,
)
from tfx_trust.components.provenance.subject_key import DIGEST_BYTES, SubjectKey, normalised

__all__ = [
    "Found",
    "Index",
    "SubjectKey",
    "build",
    "find",
    "has_index",
    "index_training",
    "look_up",
    "normalised",
    "read_index",
    "write_index",
]

_BATCH_ROWS = 65_536
# Digests that are kept apart before they are put together.
_APART = 1 << 20
_EXAMPLES = "Examples"
_SPLIT = "Split-"
_FORMATS = {"payload_format": "FORMAT_TF_EXAMPLE", "file_format": "tfrecords_gzip"}
_DIGEST = f"S{DIGEST_BYTES}"


class Found(NamedTuple):
    """A subject that is in a split."""

    record: str
    """Folder of the record that tells."""
    artifact: int
    """Id of the Examples."""
    split: str
    """Name of the split."""
    examples: int
    """How many are the subject's."""

    def __str__(self) -> str:
        number = "1 example" if self.examples == 1 else f"{self.examples:,} examples"
        return f"in split {self.split} of Examples {self.artifact} ({number})"


def build(files: Sequence[str], feature: str, key: SubjectKey, *, kind: Kind | None = None) -> Index:
    """Indexes the examples of TFRecord files, compressed by GZIP or not, by the feature of their subject.

    An example may belong to several subjects, if the feature has several values. One whose feature has no
    value, or an empty text, belongs to none. Memory grows with the number of subjects, not of examples.

    Parameters
    ----------
    files
        Paths or URIs; names of compressed ones end in ``.gz``.
    feature
        Texts or whole numbers.
    key
        Without which nobody is found in it.
    kind
        Of the feature's values; found out by the first thousand records of each file if not given.

    Raises
    ------
    InputError
        If a file cannot be read, the feature is in none, or it holds numbers that need not be whole.
    """
    if kind is None:
        kind = _kind_of(feature, {"the examples": files})
        if kind is None:
            raise InputError(f"{', '.join(files) or 'no files'}: no example has the feature {feature!r}")
    gathered = _Gathered()
    examples = missing = 0
    for batch in _batches(files, feature, kind):
        gathered.add(key.digest(feature, batch.identifiers), batch.counts)
        examples += batch.rows
        missing += batch.missing
    digests, counts = gathered.together()
    return Index(
        feature=feature,
        kind=kind,
        key_check=key.check(),
        examples=examples,
        missing=missing,
        digests=digests,
        counts=counts,
    )


def index_training(record: Record, settings: SubjectIndex, folder: str) -> dict[str, int]:
    """Indexes the Examples that a model came of, below a folder, and returns the number of subjects by split.

    These are all that have the feature: the raw ones, and what filters left of them. Transformed ones mostly
    do not have it any more.

    Raises
    ------
    InputError
        If the key cannot be had, no Examples have the feature, or a file cannot be read.
    """
    key = SubjectKey.of(settings)
    feature = settings.feature
    having = []
    for entry in record.artifacts:
        if entry.type == _EXAMPLES and entry.role == "upstream":
            if not entry.files:
                raise InputError(
                    f"the files of Examples {entry.id} at {entry.uri} could not be read, so that nobody in "
                    "them can be indexed; put them back, or leave the index out"
                )
            splits = _splits(entry)
            kind = _kind_of(feature, {name: list(files) for name, files in splits.items()})
            if kind is not None:
                having.append((entry, splits, kind))
    if not having:
        raise InputError(
            f"no Examples that this model came of have the feature {feature!r}, by which subjects are to be "
            "told: correct it in the settings, or let ExampleGen keep it"
        )
    found = {}
    for entry, splits, kind in having:
        for split, files in splits.items():
            index = build(list(files), feature, key, kind=kind)
            index = replace(index, artifact=entry.id, split=split, files=tuple(files.values()))
            write_index(index, folder)
            found[split if len(having) == 1 else f"{split} of Examples {entry.id}"] = index.subjects
    return found


def has_index(folder: str) -> bool:
    """Whether the folder of a record carries an index."""
    return bool(index_files(folder))


def find(folder: str, subject: str | int, key: SubjectKey) -> list[Found]:
    """Where a subject is, by the indexes in the folder of a record.

    Raises
    ------
    InputError
        If an index cannot be read, or was made with another key.
    """
    found = []
    for path in index_files(folder):
        index = read_index(path)
        examples = look_up(index, key, subject)
        if examples:
            found.append(Found(folder, index.artifact, index.split, examples))
    return sorted(found, key=lambda item: (item.artifact, item.split))


def _splits(entry: ArtifactEntry) -> dict[str, dict[str, FileEntry]]:
    """Files of tf.Examples by split and place."""
    for name, needed in _FORMATS.items():
        told = entry.properties.get(name) or needed
        if told != needed:
            # To leave them out would be to say that nobody is in them.
            raise InputError(
                f"{entry.uri}: {name} {told}; subjects can be indexed where it is {needed}: let ExampleGen "
                "write that, or ask for no index"
            )
    splits: dict[str, dict[str, FileEntry]] = {}
    for file in entry.files:
        folder, _, name = file.path.partition("/")
        if folder.startswith(_SPLIT) and "/" not in name and not name.startswith((".", "_")):
            place = f"{entry.uri.rstrip('/')}/{file.path}"
            splits.setdefault(folder.removeprefix(_SPLIT), {})[place] = file
    return splits


def _kind_of(feature: str, files: Mapping[str, Sequence[str]]) -> Kind | None:
    """Of the values of a feature; none where no example has it."""
    from tfx_trust.components.examples import layout_of_files

    try:
        kind = layout_of_files(files, [feature]).kinds[feature]
    except UsageError:
        return None
    if kind not in ("text", "integer"):
        raise InputError(f"feature {feature!r} holds real numbers, which identify nobody; write it as text")
    return kind


class _Batch(NamedTuple):
    identifiers: list[bytes]
    """Those in it, normalised, each once."""
    counts: np.ndarray
    """Examples of each."""
    rows: int
    missing: int


def _batches(files: Sequence[str], feature: str, kind: Kind) -> Iterator[_Batch]:
    import tensorflow as tf

    from tfx_trust.components.examples import reason, serialized_batches

    spec = {feature: tf.io.RaggedFeature(tf.string if kind == "text" else tf.int64)}
    for path in files:
        for serialized, first in serialized_batches(path, _BATCH_ROWS):
            try:
                column = tf.io.parse_example(serialized, spec)[feature]
            except tf.errors.InvalidArgumentError as error:
                raise InputError(
                    f"{path}: after record {first:,} is one that is no tf.Example, or whose {feature!r} is "
                    f"of another type ({reason(error)})"
                ) from None
            yield _counted(column.values.numpy(), column.row_splits.numpy())


def _counted(values: np.ndarray, row_splits: np.ndarray) -> _Batch:
    """The distinct identifiers of a batch, with the number of rows that each is in."""
    import pyarrow as pa

    total = len(row_splits) - 1
    encoded = pa.array(values, pa.binary() if values.dtype == object else pa.int64()).dictionary_encode()
    numbers: dict[bytes, int] = {}
    spellings = [
        numbers.setdefault(normalised(item), len(numbers)) for item in encoded.dictionary.to_pylist()
    ]
    codes = np.array(spellings, np.int64)[encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)]
    rows = np.repeat(np.arange(total), np.diff(row_splits))
    named = codes != numbers.get(b"", -1)
    codes, rows = codes[named], rows[named]
    # A subject that is twice in a row is of one example all the same.
    pairs = np.unique(rows * max(1, len(numbers)) + codes)
    counts = np.bincount(pairs % max(1, len(numbers)), minlength=len(numbers))
    identifiers = list(numbers)
    kept = np.flatnonzero(counts)
    return _Batch(
        [identifiers[number] for number in kept.tolist()], counts[kept], total, total - len(np.unique(rows))
    )


class _Gathered:
    """Digests with counts, put together as they come."""

    def __init__(self) -> None:
        self._digests = [np.array([], _DIGEST)]
        self._counts = [np.array([], np.uint32)]
        self._apart = 0

    def add(self, digests: bytes, counts: np.ndarray) -> None:
        self._digests.append(np.frombuffer(digests, _DIGEST))
        self._counts.append(counts)
        self._apart += len(counts)
        if self._apart > max(_APART, len(self._digests[0])):
            self.together()

    def together(self) -> tuple[np.ndarray, np.ndarray]:
        """Sorted, each once."""
        digests, counts = np.concatenate(self._digests), np.concatenate(self._counts)
        order = np.argsort(digests, kind="stable")
        digests, counts = digests[order], counts[order]
        begins = np.flatnonzero(np.append(True, digests[1:] != digests[:-1])[: len(digests)])
        if len(begins):
            digests, counts = digests[begins], np.add.reduceat(counts, begins)
        self._digests, self._counts, self._apart = [digests], [counts.astype(np.uint32)], 0
        return self._digests[0], self._counts[0]
