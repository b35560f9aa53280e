"""Examples in plain files: CSV and Parquet as Arrow tables. No TensorFlow."""

from __future__ import annotations

import glob
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
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
    ".tfrecord.gz": "tfrecord",
    ".tfrecords.gz": "tfrecord",
    # As TFX writes them: data_tfrecord-00000-of-00001.gz
    ".gz": "tfrecord",
}
_LINE = 1 << 20


def paths_of(place: str) -> list[str]:
    """The files of a path, a folder or a pattern, sorted; hidden ones are left out.

    Raises
    ------
    InputError
        If there is none, or one is empty.
    """
    path = Path(place)
    if path.is_dir():
        found = [str(item) for item in sorted(path.iterdir()) if item.is_file() and item.name[0] not in "._"]
        if not found:
            raise InputError(f"{place}: no files in this folder")
    elif path.exists():
        found = [place]
    else:
        found = sorted(glob.glob(place))
        if not found:
            raise InputError(f"{place}: no such file")
    for name in found:
        if not Path(name).stat().st_size:
            raise InputError(f"{name}: the file is empty")
    return found


def format_of(paths: Sequence[str], given: str | None = None) -> Format:
    """The format of some files, told by their ending where it is not given.

    Examples
    --------
    >>> format_of(["train.csv.gz"]), format_of(["data_tfrecord-00000-of-00001.gz"])
    ('csv', 'tfrecord')
    """
    for name in FORMATS:
        if name == given:
            return name
    found = {}
    for path in paths:
        ending = next((ending for ending in _ENDINGS if path.endswith(ending)), None)
        if ending is None:
            raise UsageError(f"{path}: its ending tells no format; say --format {'|'.join(FORMATS)}")
        found[_ENDINGS[ending]] = path
    if len(found) > 1:
        told = ", ".join(f"{path} is {kind}" for kind, path in found.items())
        raise UsageError(f"the files have different formats: {told}; give all in one")
    return next(iter(found))


def read_tables(train: Sequence[str], evaluation: Sequence[str], kind: Format) -> tuple[pa.Table, pa.Table]:
    """Both splits as tables, a column of the same type in each.

    Parameters
    ----------
    train, evaluation
        Files of each split.
    kind
        ``csv``, with a header and in UTF-8, or ``parquet``.

    Raises
    ------
    InputError
        If a file cannot be read whole, or its rows do not fit its header.
    """
    files = [*train, *evaluation]
    tables = _read_csv(files) if kind == "csv" else [_read_parquet(path) for path in files]
    cut = len(train)
    return _together(tables[:cut], files[:cut]), _together(tables[cut:], files[cut:])


def _together(tables: list[pa.Table], paths: list[str]) -> pa.Table:
    first = tables[0]
    for table, path in zip(tables, paths, strict=True):
        if set(table.column_names) != set(first.column_names):
            alone = sorted(set(table.column_names) ^ set(first.column_names))
            raise InputError(
                f"{path} and {paths[0]} have different columns: {', '.join(alone)} is in one only"
            )
    if len(tables) == 1:
        return first
    ordered = [table.select(first.column_names) for table in tables]
    if any(table.schema != first.schema for table in ordered):
        ordered = [table.cast(_wider([item.schema for item in ordered])) for table in ordered]
    return pa.concat_tables(ordered)


def _wider(schemas: list[pa.Schema]) -> pa.Schema:
    """Types that hold those of all schemas."""
    fields = []
    for field in schemas[0]:
        types = [schema.field(field.name).type for schema in schemas]
        known = [kind for kind in types if not pa.types.is_null(kind)]
        same = not known or all(kind == known[0] for kind in known)
        fields.append(
            pa.field(field.name, known[0] if known and same else pa.float64() if known else pa.null())
        )
    return pa.schema(fields)


def _read_parquet(path: str) -> pa.Table:
    try:
        return parquet.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{path}: not a whole Parquet file ({_brief(error)}); copy or make it anew"
        ) from None


def _read_csv(paths: Sequence[str]) -> list[pa.Table]:
    """CSV files as tables. Types are inferred; where files differ, a column is read as text in all."""
    tables = [_read_one(path, {}) for path in paths]
    texts = _torn([table.schema for table in tables])
    if texts:
        types = dict.fromkeys(texts, pa.string())
        tables = [_read_one(path, types) for path in paths]
    return tables


def _torn(schemas: Sequence[pa.Schema]) -> list[str]:
    """Columns that are numbers in one file and something else in another."""
    torn = []
    for name in dict.fromkeys(name for schema in schemas for name in schema.names):
        types = [schema.field(name).type for schema in schemas if name in schema.names]
        kinds = {_family(kind) for kind in types} - {"nothing"}
        if len(kinds) > 1:
            torn.append(name)
    return torn


def _family(kind: pa.DataType) -> str:
    if pa.types.is_null(kind):
        return "nothing"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    return str(kind)


def _read_one(path: str, types: dict[str, pa.DataType]) -> pa.Table:
    _check_header(path)
    convert = arrow_csv.ConvertOptions(column_types=types, strings_can_be_null=False)
    try:
        table = arrow_csv.read_csv(path, convert_options=convert)
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        raise InputError(f"{path}: {_brief(error)}; correct the row, or make the file anew") from None
    if not table.num_rows:
        raise InputError(f"{path}: a header but no rows")
    return table


def _check_header(path: str) -> None:
    try:
        with gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb") as file:
            line = file.readline(_LINE)
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({_brief(error)}); copy or make it anew") from None
    try:
        header = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); convert it") from None
    if not header.strip():
        raise InputError(f"{path}: the first line is empty; it should be a header")
    for separator in (";", "\t", "|"):
        if separator in header and "," not in header:
            raise InputError(f"{path}: columns are separated by {separator!r}; commas are read: convert it")


def _brief(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0].rstrip(".")[:160] if text else type(error).__name__
