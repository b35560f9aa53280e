"""tf.Examples in TFRecord files as one Arrow table, for what is judged in this process."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust.components.errors import InputError, unknown
from tfx_trust.components.examples import layout_of_files, layout_of_schema
from tfx_trust.components.leakage.columns import RECORD, Batch, Kind, Layout
from tfx_trust.components.leakage.decoder import Decoder, read_batches

_FILES = "these records"


def read_records(
    paths: Sequence[str],
    columns: Sequence[str] | None = None,
    schema: schema_pb2.Schema | None = None,
    *,
    needed: Collection[str] = (),
) -> pa.Table:
    """The features of some tf.Examples, one value an example.

    Whole numbers become int64, others float64, and texts strings (binary where they are not UTF-8). A feature
    that an example does not have is null.

    Parameters
    ----------
    paths
        TFRecord files; those that end in ``.gz`` are compressed.
    columns
        Features to read, each of them needed. If not given, all that have a single value in every example;
        :func:`feature_names` tells which there are.
    schema
        Tells the features and their types; what it does not have, such as a score, and all without one, is
        inferred from the first examples of each file.
    needed
        Features that must be among those read.

    Raises
    ------
    UsageError
        If a needed feature is not there.
    InputError
        If a needed feature has several values in an example, or a file is missing, damaged or without
        examples.
    """
    needed = list(dict.fromkeys([*(columns or ()), *needed]))
    kinds = _kinds(paths, needed if columns is not None else None, schema, needed)
    decoder = Decoder(Layout(kinds, tuple(kinds)))
    parts: dict[str, list[pa.Array]] = {name: [] for name in kinds}
    rows = 0
    for batch in read_batches(paths, decoder):
        rows += batch.rows
        for name in list(parts):
            row = _row_of_several(batch, name)
            if row is None:
                parts[name].append(batch.plain[name])
            elif name in needed:
                raise _several(name, paths, batch, row)
            else:
                del parts[name]
    if not rows:
        raise InputError(f"{paths[0]}: no examples; give a file that has some")
    return pa.table({name: _joined(arrays, kinds[name]) for name, arrays in parts.items()})


def feature_names(paths: Sequence[str], schema: schema_pb2.Schema | None = None) -> list[str]:
    """Names of all features, those with several values an example too; see :func:`read_records`."""
    return list(_kinds(paths, None, schema, ()))


def _kinds(
    paths: Sequence[str],
    columns: Sequence[str] | None,
    schema: schema_pb2.Schema | None,
    needed: Collection[str],
) -> dict[str, Kind]:
    """Kind by name of the columns, or of all that there are."""
    files = {_FILES: list(paths)}
    if schema is None:
        kinds = dict(layout_of_files(files, columns).kinds)
    else:
        described = {item.name for item in schema.feature}
        wanted = None if columns is None else [name for name in columns if name in described]
        kinds = dict(layout_of_schema(schema, wanted).kinds)
        further = [name for name in needed if name not in kinds]
        kinds |= layout_of_files(files, further).kinds if further else {}
    for name in needed:
        if name not in kinds:
            raise unknown("feature of the examples", name, kinds)
    return kinds


def _row_of_several(batch: Batch, name: str) -> int | None:
    """A row of a batch in which a feature has several values; none if there is none."""
    array = batch.plain[name]
    if not array.null_count:
        return None
    # Both are null, but of several values something goes into a row's key, and of a missing one nothing.
    keyed = batch.terms[batch.names.index(name)].any(axis=0)
    several = keyed & pc.is_null(array).to_numpy(zero_copy_only=False)
    return int(np.argmax(several)) if several.any() else None


def _several(name: str, paths: Sequence[str], batch: Batch, row: int) -> InputError:
    assert batch.places is not None
    place = batch.places[row]
    path, record = paths[int(place >> np.uint64(40))], int(place & RECORD)
    return InputError(
        f"{path}: feature {name!r} has several values in record {record:,}; one an example is needed: "
        "write a feature that has one, or leave it out"
    )


def _joined(arrays: Sequence[pa.Array], kind: Kind) -> pa.ChunkedArray:
    types: dict[Kind, pa.DataType] = {"text": pa.binary(), "integer": pa.int64(), "real": pa.float64()}
    whole = pa.chunked_array(arrays, types[kind])
    if kind != "text":
        return whole
    try:
        return whole.cast(pa.string())
    except pa.ArrowInvalid:
        return whole
