"""Arrow tables as batches of columns; no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfx_trust.components.errors import InputError
from tfx_trust.components.leakage import hashing
from tfx_trust.components.leakage.columns import Batch, Kind, Layout, place_of

BATCH_ROWS = 65_536


def layout_of(schemas: Sequence[tuple[str, pa.Schema]], columns: Sequence[str] | None) -> Layout:
    """The layout that fits the tables of several splits.

    Numbers of two widths, and whole and real numbers, fit each other; text and numbers do not.

    Parameters
    ----------
    schemas
        Name and Arrow schema of each split.
    columns
        Columns to take; all if not given.

    Raises
    ------
    InputError
        If a column is missing on one side, has a type that cannot be compared, or has text on one side and
        numbers on the other.
    """
    first_name, first = schemas[0]
    for name, schema in schemas:
        twice = sorted({column for column in schema.names if schema.names.count(column) > 1})
        if twice:
            raise InputError(f"{name}: two columns are named {twice[0]!r}; rename one")
    if columns is None:
        for name, schema in schemas[1:]:
            _check_same(first_name, first, name, schema)
        columns = first.names
    kinds: dict[str, Kind] = {}
    for column in columns:
        found = {}
        for name, schema in schemas:
            if column not in schema.names:
                raise InputError(f"{name}: no column {column!r}; it has {', '.join(schema.names)}")
            kind = _kind(schema.field(column).type, f"{name}: column {column!r}")
            if kind is not None:
                found[name] = kind
        different = set(found.values())
        if "text" in different and len(different) > 1:
            told = ", ".join(f"{kind} in {name}" for name, kind in found.items())
            raise InputError(
                f"column {column!r} is {told}; equal values would not be seen, so give it one type"
            )
        kinds[column] = "real" if "real" in different else next(iter(different), "text")
    return Layout(kinds)


def _check_same(first_name: str, first: pa.Schema, name: str, schema: pa.Schema) -> None:
    here, there = (
        [column for column in a.names if column not in b.names] for a, b in ((first, schema), (schema, first))
    )
    if here or there:
        told = [
            f"{who} alone has {', '.join(sorted(those))}"
            for who, those in ((first_name, here), (name, there))
            if those
        ]
        raise InputError(
            f"the splits have different columns: {'; '.join(told)}; name those to look at as features"
        )


def _kind(kind: pa.DataType, where: str) -> Kind | None:
    """None for a column without any value: it fits everything."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    if pa.types.is_null(kind):
        return None
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        return "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "real"
    if (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    ):
        return "text"
    raise InputError(
        f"{where} has type {kind}, which is not compared; leave it out or turn it into text or numbers"
    )


def batches_of(
    table: pa.Table | Iterable[pa.RecordBatch], layout: Layout, *, first: int = 0, file: int = 0
) -> Iterator[Batch]:
    """The rows of a table, a batch at a time.

    Parameters
    ----------
    table
        A table, or its record batches.
    layout
        From :func:`layout_of`.
    first, file
        Number of the first row, and of the file it is from, for `Batch.places`.
    """
    batches = table.to_batches(max_chunksize=BATCH_ROWS) if isinstance(table, pa.Table) else table
    for batch in batches:
        if batch.num_rows:
            yield batch_of(batch, layout, first=first, file=file)
            first += batch.num_rows


def batch_of(batch: pa.RecordBatch, layout: Layout, *, first: int = 0, file: int = 0) -> Batch:
    """One record batch as a batch of columns."""
    rows = batch.num_rows
    seeds = hashing.seeds_of(layout.names)
    terms = np.zeros((len(layout.names), hashing.LANES, rows), np.uint64)
    numbers: dict[str, np.ndarray] = {}
    plain: dict[str, pa.Array] = {}
    for index, (name, kind) in enumerate(layout.kinds.items()):
        place = batch.schema.get_field_index(name)
        array = batch.column(place) if place >= 0 else pa.nulls(rows)
        values, splits = _values(array)
        if kind == "text":
            hashes = _text_hashes(values)
        else:
            hashes = _number_hashes(values, kind)
            numbers[name] = _single(values, splits, rows)
        valid = values.is_valid().to_numpy(zero_copy_only=False) if values.null_count else None
        terms[index] = hashing.terms(hashes, seeds[:, index], splits, valid)
        if name in layout.plain:
            plain[name] = _plain(array, values, splits)
    return Batch(layout.names, terms, numbers, plain, place_of(file, np.arange(first, first + rows)))


def _values(array: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    """The values of a column, and where those of each row begin and end (none: one a row)."""
    if isinstance(array, pa.DictionaryArray) and _is_list(array.type.value_type):
        array = array.dictionary_decode()
    if pa.types.is_fixed_size_list(array.type):
        array = array.cast(pa.list_(array.type.value_type))
    if not _is_list(array.type):
        return _as_number(array), None
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    splits = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return _as_number(array.flatten()), splits


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _as_number(array: pa.Array) -> pa.Array:
    """Booleans, dates, times and decimals as plain numbers; NaN as missing."""
    if isinstance(array, pa.DictionaryArray) and not _is_text(array.type.value_type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_boolean(kind):
        return array.cast(pa.int64())
    if pa.types.is_timestamp(kind):
        # One unit for all, so that equal moments are equal numbers.
        return array.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())
    if pa.types.is_date(kind):
        return array.cast(pa.timestamp("us")).cast(pa.int64())
    if pa.types.is_temporal(kind):
        return array.cast(pa.int32() if kind.bit_width == 32 else pa.int64()).cast(pa.int64())
    if pa.types.is_decimal(kind) or (pa.types.is_floating(kind) and kind != pa.float64()):
        array = array.cast(pa.float64())
    elif pa.types.is_integer(kind) and kind not in (pa.int64(), pa.uint64()):
        array = array.cast(pa.int64())
    if pa.types.is_floating(array.type):
        return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array) if len(array) else array
    return array


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _text_hashes(values: pa.Array) -> np.ndarray:
    """Hashes of texts, those of equal texts made once; anything where null."""
    if pa.types.is_null(values.type):
        return np.zeros((hashing.LANES, len(values)), np.uint64)
    encoded = values if isinstance(values, pa.DictionaryArray) else values.dictionary_encode()
    words = encoded.dictionary.cast(pa.large_binary())
    _, offsets, data = words.buffers()
    bounds = np.frombuffer(offsets, np.int64)[words.offset : words.offset + len(words) + 1]
    octets = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    hashes = hashing.of_texts(octets, bounds)
    if not len(words):
        return np.zeros((hashing.LANES, len(values)), np.uint64)
    return hashes[:, pc.fill_null(encoded.indices, 0).to_numpy(zero_copy_only=False)]


def _number_hashes(values: pa.Array, kind: Kind) -> np.ndarray:
    if pa.types.is_null(values.type):
        return np.zeros((hashing.LANES, len(values)), np.uint64)
    filled = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    one = hashing.of_reals(filled) if filled.dtype.kind == "f" else hashing.of_integers(filled)
    return np.stack([one, one])


def _single(values: pa.Array, splits: np.ndarray | None, rows: int) -> np.ndarray:
    """The number of each row that has exactly one; NaN elsewhere."""
    if pa.types.is_null(values.type):
        return np.full(rows, np.nan)
    numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    if splits is None:
        return numbers
    one = np.diff(splits) == 1
    single = np.full(rows, np.nan)
    single[one] = numbers[splits[:-1][one]]
    return single


def _plain(array: pa.Array, values: pa.Array, splits: np.ndarray | None) -> pa.Array:
    if splits is None:
        return array
    one = np.diff(splits) == 1
    index = pa.array(np.where(one, splits[:-1], 0), mask=~one)
    return values.take(index)
