"""Arrow tables as batches of columns; no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfx_trust.components.errors import InputError, unknown
from tfx_trust.components.leakage import hashing
from tfx_trust.components.leakage.columns import Batch, Kind, Layout, is_text, place_of, without_blanks

BATCH_ROWS = 16_384
_COMPARABLE = ({"whole number", "float32"}, {"whole number", "float64"})


def layout_of(schemas: Sequence[tuple[str, pa.Schema]], columns: Sequence[str] | None) -> Layout:
    """The layout that fits the tables of several splits.

    Whole numbers of all widths, booleans, float64 and decimals fit each other, and so do dates and
    timestamps. Text, numbers and times do not, and neither do float32 and float64: 0.1 differs in them.

    Parameters
    ----------
    schemas
        Name and Arrow schema of each split.
    columns
        Columns to take; all if not given.

    Raises
    ------
    UsageError
        If `columns` names one that no split has.
    InputError
        If a column is missing on one side, has a type that cannot be compared, or types on the two sides in
        which equal values are not equal.
    """
    for name, schema in schemas:
        twice = [column for column in schema.names if schema.names.count(column) > 1]
        if twice:
            raise InputError(f"{name}: two columns are named {twice[0]!r}; rename one")
    first_name, first = schemas[0]
    if columns is None:
        for name, schema in schemas[1:]:
            _check_same(first_name, first, name, schema)
        columns = first.names
    known = dict.fromkeys(column for _, schema in schemas for column in schema.names)
    kinds: dict[str, Kind] = {}
    for column in columns:
        if column not in known:
            raise unknown("column", column, known)
        for name, schema in schemas:
            if column not in schema.names:
                raise InputError(f"{name}: no column {column!r}; it has {', '.join(schema.names)}")
        kinds[column] = _kind(column, {name: schema.field(column).type for name, schema in schemas})
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


def _kind(column: str, types: Mapping[str, pa.DataType]) -> Kind:
    """The kind of a column, by its type in each split."""
    families = {name: _family(kind, f"{name}: column {column!r}") for name, kind in types.items()}
    found = set(families.values()) - {"nothing"}
    if len(found) > 1 and not any(found <= together for together in _COMPARABLE):
        told = ", ".join(f"{types[name]} in {name}" for name in families)
        raise InputError(f"column {column!r} is {told}; equal values would not be seen, so give it one type")
    if found & {"float32", "float64"}:
        return "real"
    return "text" if found <= {"text"} else "integer"


def _family(kind: pa.DataType, where: str) -> str:
    """Types of a family can be compared with each other."""
    plain = _element(kind)
    if pa.types.is_null(plain):
        return "nothing"
    if pa.types.is_integer(plain) or pa.types.is_boolean(plain):
        return "whole number"
    if pa.types.is_float32(plain):
        return "float32"
    if pa.types.is_float64(plain) or pa.types.is_decimal(plain):
        return "float64"
    if is_text(plain):
        return "text"
    if pa.types.is_date(plain) or pa.types.is_timestamp(plain):
        return "date"
    if pa.types.is_time(plain):
        return "time of day"
    if pa.types.is_duration(plain):
        return "duration"
    raise InputError(
        f"{where} has type {kind}, which is not compared; leave it out or turn it into text or numbers"
    )


def _element(kind: pa.DataType) -> pa.DataType:
    """The type of single values: of a dictionary's, a list's, or the column's own."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if _is_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


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
    for batch in _large_batches(table) if isinstance(table, pa.Table) else table:
        if batch.num_rows:
            yield batch_of(batch, layout, first=first, file=file)
            first += batch.num_rows


def _large_batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    """A table's rows in few batches, however small its chunks are: each batch costs something of its own."""
    for begin in range(0, table.num_rows, BATCH_ROWS):
        yield from table.slice(begin, BATCH_ROWS).combine_chunks().to_batches()


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
    places = place_of(file, np.arange(first, first + rows))
    return without_blanks(Batch(layout.names, terms, numbers, plain, places))


def _values(array: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    """The values of a column, and where those of each row begin and end (none: one a row)."""
    if isinstance(array, pa.DictionaryArray) and not is_text(array.type.value_type):
        array = array.dictionary_decode()
    if pa.types.is_fixed_size_list(array.type):
        lengths = array.is_valid().to_numpy(zero_copy_only=False) * array.type.list_size
    elif _is_list(array.type):
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    else:
        return _comparable(array), None
    splits = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return _comparable(array.flatten()), splits


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _comparable(array: pa.Array) -> pa.Array:
    """Texts as they are, all else as int64, uint64 or float64, in one unit of time; NaN as missing."""
    if isinstance(array, pa.DictionaryArray):
        if is_text(array.type.value_type) and not array.dictionary.null_count:
            return array
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_timestamp(kind):
        return array.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())
    if pa.types.is_date(kind):
        return array.cast(pa.timestamp("us")).cast(pa.int64())
    if pa.types.is_time(kind):
        return array.cast(pa.time64("us"), safe=False).cast(pa.int64())
    if pa.types.is_duration(kind):
        return array.cast(pa.duration("us"), safe=False).cast(pa.int64())
    if pa.types.is_decimal(kind):
        return _of_decimals(array)
    if pa.types.is_boolean(kind) or (pa.types.is_integer(kind) and kind != pa.uint64()):
        return array.cast(pa.int64())
    if pa.types.is_floating(kind):
        numbers = array.cast(pa.float64())
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    return array


def _of_decimals(array: pa.Array) -> pa.Array:
    """Whole ones exactly, since identifiers are exported as such; the others as float64."""
    if array.type.scale == 0:
        try:
            return array.cast(pa.int64())
        except pa.ArrowInvalid:
            # Beyond 64 bits.
            pass
    return array.cast(pa.float64())


def _text_hashes(values: pa.Array) -> np.ndarray:
    """Hashes of texts, those of equal texts made once; anything where null."""
    if pa.types.is_null(values.type):
        return np.zeros((hashing.LANES, len(values)), np.uint64)
    encoded = values if isinstance(values, pa.DictionaryArray) else values.dictionary_encode()
    words = encoded.dictionary.cast(pa.large_binary())
    if not len(words):
        return np.zeros((hashing.LANES, len(values)), np.uint64)
    _, offsets, data = words.buffers()
    bounds = np.frombuffer(offsets, np.int64)[words.offset : words.offset + len(words) + 1]
    octets = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    hashes = hashing.of_texts(octets, bounds)
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
