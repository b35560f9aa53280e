"""Values as a report may show them.

A masked row is to be recognised by somebody who has the data, and not to be read by somebody who has
not: of a text its first character and about its length, of a number its first digit and its magnitude, of
a date its year. A single character or digit is hidden whole.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Mapping

DOT = "•"
MOST_DOTS = 12
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_DATE = re.compile(r"(\d{4})-\d{2}-\d{2}")


def mask(value: object) -> str:
    """A value masked; empty where missing.

    Examples
    --------
    >>> mask("Private"), mask(45), mask(215646), mask(0.1234), mask("F"), mask(None)
    ('P••••••', '4•', '2•••••', '0.1•••', '•', '')
    """
    if value is None or value == "":
        return ""
    if isinstance(value, (datetime.date, datetime.datetime)):
        value = value.isoformat()
    text = str(value).strip()
    if isinstance(value, bool):
        return DOT
    date = _DATE.match(text)
    if date:
        return f"{date[1]}-{DOT * 2}-{DOT * 2}"
    if _NUMBER.fullmatch(text):
        return _masked_number(text)
    return text[:1] + DOT * min(len(text) - 1, MOST_DOTS) if len(text) > 3 else DOT * len(text)


def _masked_number(text: str) -> str:
    if len(text.lstrip("+-")) == 1:
        return DOT
    first = next((place for place, letter in enumerate(text) if letter in "123456789"), 0)
    hidden = re.sub(r"\d", DOT, text[first + 1 :])
    return text[: first + 1] + hidden[:MOST_DOTS]


def masked_row(values: Mapping[str, object], clear: Collection[str] = ()) -> dict[str, str]:
    """A row masked, but for the columns in `clear`.

    Examples
    --------
    >>> masked_row({"age": 45, "over_50k": 1}, clear=["over_50k"])
    {'age': '4•', 'over_50k': '1'}
    """
    return {
        name: ("" if value is None else str(value)[:24]) if name in clear else mask(value)
        for name, value in values.items()
    }
