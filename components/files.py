"""Examples in plain files: CSV and Parquet as Arrow tables. No TensorFlow.

Equal values are equal only where they have equal types, and CSV has none. So the type of a column is inferred
from all files that are read together: one ``?`` in a column of numbers makes it text everywhere.
"""

from __future__ import annotations

import csv
import glob
import gzip
import io
import json
import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal, NoReturn, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet

from tfx_trust.components.errors import InputError, UsageError

Format = Literal["csv", "parquet", "tfrecord"]
FORMATS: tuple[Format, ...] = get_args(Format)

_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".tfrecord": "tfrecord",
    ".tfrecords": "tfrecord",
    # As TFX writes them: data_tfrecord-00000-of-00001.gz
    ".gz": "tfrecord",
}
_BLOCK = 1 << 20
_BATCH_ROWS = 65_536
# From here on, not every whole number is a float64: different ones would become equal.
_EXACT = 2.0**53
_LONG_INTEGER = r"^[+-]?[0-9]{16,}$"
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


# Which files


def paths_of(place: str) -> list[str]:
    """The files of a path, a folder or a pattern, sorted.

    Of a folder and a pattern, files that begin with a dot or an underscore are left out: they hold no data.

    Raises
    ------
    InputError
        If there is none, or one is empty.
    """
    path = Path(place)
    if path.is_file():
        found = [place]
    elif path.is_dir():
        found = _data_files(str(item) for item in path.iterdir())
        if not found:
            raise InputError(f"{place}: no files in this folder; name one that has some")
    else:
        found = _data_files(glob.glob(place))
        if not found:
            raise InputError(f"{place}: no such file, folder or pattern; correct the path")
    for name in found:
        if not Path(name).stat().st_size:
            raise InputError(f"{name}: the file is empty; write it anew, or take it away")
    return found


def _data_files(names: Any) -> list[str]:
    return sorted(name for name in names if Path(name).is_file() and Path(name).name[0] not in "._")


def format_of(paths: Sequence[str], given: str | None = None) -> Format:
    """The format of some files, told by their ending where it is not given.

    Raises
    ------
    UsageError
        If an ending tells none, or the files have several.

    Examples
    --------
    >>> format_of(["train.csv.gz"]), format_of(["data_tfrecord-00000-of-00001.gz"])
    ('csv', 'tfrecord')
    """
    for name in FORMATS:
        if name == given:
            return name
    found: dict[Format, str] = {}
    for path in paths:
        ending = next((ending for ending in _ENDINGS if path.lower().endswith(ending)), None)
        if ending is None:
            raise UsageError(f"{path}: its ending tells no format; say --format {'|'.join(FORMATS)}")
        found.setdefault(_ENDINGS[ending], path)
    if len(found) > 1:
        told = ", ".join(f"{path} is {kind}" for kind, path in found.items())
        raise UsageError(f"the files have different formats: {told}; give all in one")
    return next(iter(found))


# Tables


def read_tables(
    train: Sequence[str], evaluation: Sequence[str], kind: Format, *, texts: Collection[str] = ()
) -> tuple[pa.Table, pa.Table]:
    """Two splits as tables.

    A column of CSV has the same type in both. Types of Parquet stay what they are, but that files of one
    split are brought to one; :func:`~tfx_trust.components.leakage.tables.layout_of` tells whether the
    splits can be compared.

    Parameters
    ----------
    train, evaluation
        Files of each split, as :func:`paths_of` gives them.
    kind
        ``csv``, with a header and in UTF-8, or ``parquet``. In CSV nothing between two commas is a missing
        number, and an empty text where the column has texts.
    texts
        Columns of CSV that are text whatever they look like, such as times of a format of their own.

    Raises
    ------
    InputError
        If a file cannot be read whole, its rows do not fit its header, or the files do not fit each other.
    """
    files = [*train, *evaluation]
    tables = _read_csv(files, texts) if kind == "csv" else [_read_parquet(path) for path in files]
    cut = len(train)
    first, second = tables[:cut], tables[cut:]
    if kind == "csv":
        wanted = _common_types(files, tables)
        return _together(train, first, wanted), _together(evaluation, second, wanted)
    return (
        _together(train, first, _common_types(train, first)),
        _together(evaluation, second, _common_types(evaluation, second)),
    )


def read_table(paths: Sequence[str], kind: Format) -> pa.Table:
    """Some files as one table; see :func:`read_tables`."""
    return read_tables(paths, [], kind)[0]


def estimate_mb(paths: Sequence[str], kind: Format) -> int:
    """Memory that the table of some files takes, in MB, by the first rows of each.

    A file that cannot be read counts as nothing: what is wrong with it is told when it is read.
    """
    size_of = _csv_bytes if kind == "csv" else _parquet_bytes
    total = 0.0
    for path in paths:
        try:
            total += size_of(path)
        except (pa.ArrowException, OSError, EOFError, StopIteration):
            continue
    return int(total / 1e6) + 1


def _csv_bytes(path: str) -> float:
    size = float(Path(path).stat().st_size)
    if path.lower().endswith(".gz"):
        with open(path, "rb") as file:
            packed = file.read(_BLOCK)
        unpacker = zlib.decompressobj(wbits=31)
        try:
            size *= len(unpacker.decompress(packed)) / len(packed)
        except zlib.error as error:
            raise OSError(str(error)) from None
    parsing = arrow_csv.ParseOptions(newlines_in_values=True)
    with arrow_csv.open_csv(path, read_options=_one_thread(), parse_options=parsing) as reader:
        return size * reader.read_next_batch().nbytes / min(size, _BLOCK)


def _parquet_bytes(path: str) -> float:
    file = parquet.ParquetFile(path)
    first = next(file.iter_batches(batch_size=_BATCH_ROWS))
    return file.metadata.num_rows * first.nbytes / max(1, first.num_rows)


def _together(
    paths: Sequence[str], tables: Sequence[pa.Table], wanted: Mapping[str, pa.DataType]
) -> pa.Table:
    """Files of one kind as one table."""
    if not tables:
        return pa.table({})
    names = tables[0].column_names
    for path, table in zip(paths, tables, strict=True):
        alone = sorted(set(table.column_names) ^ set(names))
        if alone:
            raise InputError(
                f"{path} and {paths[0]} have different columns: only one has {', '.join(alone)}; give files "
                "of one shape"
            )
    schema = pa.schema([(name, wanted[name]) for name in names])
    # Whole numbers may be too long for a float; then they are rounded in all files alike.
    whole = pa.concat_tables([_decoded(table).select(names).cast(schema, safe=False) for table in tables])
    if not whole.num_rows:
        raise InputError(f"{paths[0]}: no rows; give a file that has some")
    return whole


def _common_types(paths: Sequence[str], tables: Sequence[pa.Table]) -> dict[str, pa.DataType]:
    """For each column the type that holds its values in all files."""
    schemas = {path: table.schema for path, table in zip(paths, tables, strict=True)}
    wanted = {}
    for name in dict.fromkeys(name for schema in schemas.values() for name in schema.names):
        types = {path: schema.field(name).type for path, schema in schemas.items() if name in schema.names}
        common = _common(types.values())
        if common is None:
            told = dict(zip(types.values(), types, strict=True))
            raise InputError(
                f"column {name!r} is {', '.join(f'{kind} in {path}' for kind, path in told.items())}; equal "
                "values would differ, so give it one type"
            )
        wanted[name] = common
    return wanted


def _common(types: Collection[pa.DataType]) -> pa.DataType | None:
    """The type that holds the values of all types as they are; none if there is none."""
    known = list(dict.fromkeys(_plain(kind) for kind in types if not pa.types.is_null(kind)))
    if len(known) < 2:
        return known[0] if known else pa.null()
    if all(pa.types.is_integer(kind) and kind != pa.uint64() for kind in known):
        return pa.int64()
    # A float32 is not the float64 that was written alike.
    if pa.float64() in known and all(pa.types.is_integer(kind) or kind == pa.float64() for kind in known):
        return pa.float64()
    if all(pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in known):
        return pa.large_string()
    return None


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _decoded(table: pa.Table) -> pa.Table:
    """Dictionary columns as plain ones."""
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(index, field.name, table[index].cast(field.type.value_type))
    return table


def _check_names(path: str, names: Sequence[str]) -> None:
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise InputError(f"{path}: two columns are named {twice[0]!r}; rename one")
    if "" in names:
        raise InputError(
            f"{path}: column {names.index('') + 1} has no name; name it, or leave it out if it only numbers "
            "the rows (pandas: index=False)"
        )


# Parquet


def _read_parquet(path: str) -> pa.Table:
    try:
        # Read as a file and not as a data set: folders named split=train make no column.
        table = parquet.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path}: not a whole Parquet file ({_brief(error)}); copy or make it anew"
        ) from None
    _check_names(path, table.column_names)
    return table.drop([name for name in _pandas_index(table.schema) if name in table.column_names])


def _pandas_index(schema: pa.Schema) -> list[str]:
    """Columns that number the rows, which pandas takes for no columns."""
    told = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    names = [name for name in told.get("index_columns", ()) if isinstance(name, str)]
    return [name for name in names if re.fullmatch(r"__index_level_\d+__", name)]


# CSV


def _read_csv(paths: Sequence[str], texts: Collection[str]) -> list[pa.Table]:
    """CSV files as tables. Columns whose types differ over the files are read anew as text."""
    tables = [_read_one(path, texts) for path in paths]
    torn = _torn(tables) | _long_integers(paths, tables)
    if not torn:
        return tables
    return [
        _with_texts(
            path,
            table,
            [field.name for field in table.schema if field.name in torn and field.type != pa.string()],
        )
        for path, table in zip(paths, tables, strict=True)
    ]


def _torn(tables: Sequence[pa.Table]) -> set[str]:
    """Columns that are text in some files and something else in others, or else do not fit."""
    torn = set()
    for name in {name for table in tables for name in table.column_names}:
        types = {table.schema.field(name).type for table in tables if name in table.column_names}
        # What is missing in a file without any text would be an empty text beside texts.
        if _common(types) is None or {pa.null(), pa.string()} <= types:
            torn.add(name)
    return torn


def _long_integers(paths: Sequence[str], tables: Sequence[pa.Table]) -> set[str]:
    """Columns of whole numbers too long for any number type, such as some identifiers."""
    found = set()
    for path, table in zip(paths, tables, strict=True):
        suspects = [
            field.name
            for field in table.schema
            if pa.types.is_floating(field.type) and _largest(table[field.name]) >= _EXACT
        ]
        if suspects:
            written = _with_texts(path, table, suspects)
            found |= {name for name in suspects if _any_matches(written[name], _LONG_INTEGER)}
    return found


def _largest(values: pa.ChunkedArray) -> float:
    return float(pc.max(pc.abs(values)).as_py() or 0)


def _any_matches(values: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(values, pattern)).as_py())


def _with_texts(path: str, table: pa.Table, names: Sequence[str]) -> pa.Table:
    """A table with some of its columns as they are written in the file."""
    if not names:
        return table
    written = _parsed(path, arrow_csv.ConvertOptions(include_columns=names, column_types=_as_text(names)))
    for name in names:
        table = table.set_column(table.column_names.index(name), name, written[name])
    return table


def _as_text(names: Collection[str]) -> dict[str, pa.DataType]:
    return dict.fromkeys(names, pa.string())


def _read_one(path: str, texts: Collection[str]) -> pa.Table:
    _check_header(path)
    table = _parsed(path, arrow_csv.ConvertOptions(column_types=_as_text(texts)))
    # Arrow takes what is no UTF-8 for bytes.
    if any(pa.types.is_binary(field.type) for field in table.schema):
        _refuse_encoding(path)
    return table


def _parsed(path: str, conversion: Any) -> pa.Table:
    misfits: list[Any] = []

    def refuse(row: Any) -> str:
        misfits.append(row)
        return "error"

    # Without newlines_in_values, a quoted line break at the edge of a block loses rows without a word.
    parsing = arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse)
    try:
        return arrow_csv.read_csv(
            path, read_options=_one_thread(), parse_options=parsing, convert_options=conversion
        )
    except (pa.ArrowException, OSError, EOFError) as error:
        raise InputError(f"{path}: {_told(path, error, misfits)}") from None


def _one_thread() -> Any:
    """Arrow's threads can wait for each other without end where a file is bad, and on two cores save nothing.

    And one thread knows the numbers of rows.
    """
    return arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK)


def _told(path: str, error: Exception, misfits: Sequence[Any]) -> str:
    """What is wrong with a CSV file; not in Arrow's words, which quote the row with its personal data."""
    if misfits:
        row = misfits[0]
        return (
            f"row {row.number} (the header is row 1) has {row.actual_columns} columns, the header has "
            f"{row.expected_columns}; put values that contain commas in quotes, or correct the row"
        )
    text = str(error)
    if "UTF8" in text:
        _refuse_encoding(path)
    if "straddling" in text:
        return f"a quote is opened and not closed, or a row is longer than {_BLOCK:,} bytes; correct the row"
    if "Empty CSV" in text:
        return "no rows; give a file that has some"
    return f"cannot be read as CSV ({_brief(error)}); copy or make it anew"


def _refuse_encoding(path: str) -> NoReturn:
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{path}: line {number} is not UTF-8 (byte {error.start + 1} of it); convert the file, "
                    "e.g. by iconv -f LATIN1 -t UTF-8"
                ) from None
    raise InputError(f"{path}: holds bytes that are no text; convert it to UTF-8")


def _opened(path: str) -> IO[bytes]:
    opening: Any = gzip.open if path.lower().endswith(".gz") else open
    file: IO[bytes] = opening(path, "rb")
    return file


def _check_header(path: str) -> None:
    """Refuses what Arrow would read as something else, or with a message that does not help."""
    try:
        with _opened(path) as file:
            begin = file.read(_BLOCK)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({_brief(error)}); copy or make it anew") from None
    if b"\0" in begin.partition(b"\n")[0]:
        raise InputError(f"{path}: has zero bytes in its header, as UTF-16 has; convert it to UTF-8")
    text = begin.decode("utf-8-sig", errors="replace")
    try:
        header = next((row for row in csv.reader(io.StringIO(text, newline="")) if row), [])
    except csv.Error as error:
        raise InputError(f"{path}: its header cannot be read ({error}); correct it") from None
    if not any(header):
        raise InputError(f"{path}: no header; the first line should name the columns")
    if any("\ufffd" in name for name in header):
        _refuse_encoding(path)
    if len(header) == 1:
        for separator, name in _SEPARATORS.items():
            if separator in header[0]:
                raise InputError(
                    f"{path}: its columns are separated by {name}; separate them by commas, or write Parquet"
                )
    _check_names(path, header)


def _brief(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0].rstrip(".")[:160] if text else type(error).__name__
