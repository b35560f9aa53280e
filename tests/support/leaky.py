"""Examples for the leakage tests: tables, the same as TFRecords, and the census data in every form."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import tensorflow as tf

from tfx_trust.pipelines.census import data

KNOWN_OVERLAP = {
    "features+label": (23, 23, 25, {"train": 24, "eval": 5}),
    "features": (26, 26, 28, {"train": 25, "eval": 6}),
    "features-excluded": (2085, 2979, 4311, {"train": 4069, "eval": 1249}),
    "person+label": (1887, 2586, 3658, {"train": 3465, "eval": 1022}),
}
"""By key: keys in both, eval in train, train in eval, surplus; counted independently, by pandas."""

KNOWN_CONFLICTS = {
    ("features", "train"): (1, 2, 1),
    ("features", "eval"): (1, 2, 1),
    ("features", "all"): (5, 10, 5),
    ("features-excluded", "train"): (604, 2123, 768),
    ("features-excluded", "eval"): (227, 686, 265),
    ("features-excluded", "all"): (1029, 3873, 1380),
}
"""By key and scope: groups, examples, minority."""

CENSUS_SETTINGS: dict[str, Any] = {
    "label": data.LABEL,
    "exclude": [data.WEIGHT],
    "keys": {"person+label": [name for name in data.COLUMNS if name != data.WEIGHT]},
}


def census_table(split: str) -> pa.Table:
    """The census data as an Arrow table, numbers as numbers."""
    columns = zip(*data.examples(split))
    arrays = {}
    for name, values in zip(data.COLUMNS, columns):
        numeric = all(value.isdigit() for value in values[:100])
        arrays[name] = pa.array([int(value) for value in values] if numeric else list(values))
    return pa.table(arrays)


def example(row: Mapping[str, Any], *, names: Sequence[str] | None = None) -> bytes:
    """A serialized tf.Example of a row, its features put in in the order of `names`."""
    made = tf.train.Example()
    for name in names or list(row):
        value = row[name]
        feature = made.features.feature[name]
        for item in value if isinstance(value, list) else [] if value is None else [value]:
            if isinstance(item, str):
                feature.bytes_list.value.append(item.encode())
            elif isinstance(item, float):
                feature.float_list.value.append(item)
            else:
                feature.int64_list.value.append(int(item))
    return bytes(made.SerializeToString())


def write_records(path: Path, records: Sequence[bytes]) -> str:
    """A TFRecord file, compressed if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = tf.io.TFRecordOptions(compression_type="GZIP" if path.suffix == ".gz" else "")
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for record in records:
            writer.write(record)
    return str(path)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    """A TFRecord file of rows."""
    return write_records(path, [example(row) for row in rows])
