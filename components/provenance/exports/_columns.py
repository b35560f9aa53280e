"""Columns of a CSV file and their types, as readers of Croissant take them."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import itertools
import re
from collections.abc import Iterator
from typing import Any

from tfx_trust.components.errors import InputError

ROWS = 100_000
"""Rows of a file that decide about types."""

# What pandas, and so most readers, takes for no value.
_NO_VALUE = {
    *(
        "",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
    ),
    *("NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
}
_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
_BOOLEANS = {"true", "True", "TRUE", "false", "False", "FALSE"}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})[T ](?P<hour>\d{2}:\d{2}(:\d{2})?)(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})?"
)


def columns_of(path: str) -> dict[str, str]:
    """Type by column of a CSV file with a header: those of schema.org, without the prefix.

    ``Integer``, ``Float``, ``Boolean``, ``Date``, ``DateTime`` or ``Text``: the narrowest that takes every
    value of the first `ROWS` rows; a column without values is text.

    Raises
    ------
    InputError
        If the file cannot be read, is empty, or names a column twice or not at all.
    """
    rows = _rows(path)
    header = _checked(next(rows, []))
    possible = [set(_TYPES) for _ in header]
    seen = [False] * len(header)
    for row in itertools.islice(rows, ROWS):
        for column, value in enumerate(row[: len(header)]):
            if value not in _NO_VALUE:
                seen[column] = True
                possible[column] = {name for name in possible[column] if _TYPES[name](value.strip())}
    return {
        name: next((kind for kind in _TYPES if kind in fits), "Text") if told else "Text"
        for name, fits, told in zip(header, possible, seen, strict=True)
    }


def _rows(path: str) -> Iterator[list[str]]:
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            content: Any = gzip.GzipFile(fileobj=raw) if packed else raw
            yield from csv.reader(io.TextIOWrapper(content, encoding="utf-8-sig", newline=""))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"it cannot be read as CSV ({error})") from None


def _checked(header: list[str]) -> list[str]:
    if not header:
        raise InputError("it is empty")
    if "" in header:
        raise InputError("it has a column without a name")
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"it names the column {twice!r} twice")
    return header


def _is_date(value: str) -> bool:
    if not _DATE.fullmatch(value):
        return False
    try:
        datetime.date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_time(value: str) -> bool:
    match = _TIME.fullmatch(value)
    if match is None:
        return False
    try:
        datetime.datetime.fromisoformat(f"{match['day']}T{match['hour']}")
    except ValueError:
        return False
    return True


# The narrowest first; what fits an earlier one fits those after it only by chance, but Integer and Float.
_TYPES = {
    "Integer": lambda value: _INTEGER.fullmatch(value) is not None,
    "Float": lambda value: _FLOAT.fullmatch(value) is not None,
    "Boolean": _BOOLEANS.__contains__,
    "Date": _is_date,
    "DateTime": _is_time,
}
