"""Values as a report may show them.

A masked row is to be recognised by somebody who has the data, and not to be read by somebody who has
not. So of a text its first character and about its length are shown, of a number its first digit and its
magnitude, of a date its year. What is so short that this would give it away (a digit, a code of up to
three characters) is hidden whole; of a longer text at most a quarter is shown.

Masking is no anonymisation: of a column with few values the length alone may tell the value.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Collection, Mapping

DOT = "•"
WIDTH = 24
"""Most characters that a masked value has."""
_MOST_DOTS = 12
_SHORT = 3
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"([0-9]{4})-[0-9]{2}-[0-9]{2}")


def mask(value: object) -> str:
    """A value masked, of at most 24 characters; empty where missing.

    Parameters
    ----------
    value
        As Arrow gives it: text, bytes, a number, a boolean, a date or time, a list of such, or None.

    Examples
    --------
    >>> mask("Private"), mask(45), mask(215646), mask(0.1234), mask("F"), mask(None)
    ('P••••••', '4•', '2•••••', '0.1•••', '•', '')
    >>> mask("1990-05-12"), mask(["anna@example.org", 7])
    ('1990-••-••', 'a••••••••••••, •')
    """
    if isinstance(value, (list, tuple)):
        return _cut(", ".join(mask(item) for item in value))
    text = _text(value)
    if isinstance(value, bool):
        return DOT
    date = _DATE.match(text)
    if date:
        return f"{date[1]}-{DOT * 2}-{DOT * 2}"
    return _cut(_masked_number(text) if _NUMBER.fullmatch(text) else _masked_text(text))


def masked_row(values: Mapping[str, object], clear: Collection[str] = ()) -> dict[str, str]:
    """A row masked.

    Parameters
    ----------
    values
        Value by column.
    clear
        Columns that are shown as they are, such as a label of two classes.

    Examples
    --------
    >>> masked_row({"age": 45, "over_50k": 1}, clear=["over_50k"])
    {'age': '4•', 'over_50k': '1'}
    """
    return {name: _cut(_text(value)) if name in clear else mask(value) for name, value in values.items()}


def _text(value: object) -> str:
    """A value as text; NaN is missing, as it is where rows are compared."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode(errors="replace").strip()
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    return str(value).strip()


def _masked_number(text: str) -> str:
    digits = text.lstrip("+-")
    if len(digits) == 1:
        return DOT
    first = next((place for place, letter in enumerate(text) if letter in "123456789"), None)
    if first is None:
        return DOT * min(len(digits), _MOST_DOTS)
    return text[: first + 1] + re.sub("[0-9]", DOT, text[first + 1 :])[:_MOST_DOTS]


def _masked_text(text: str) -> str:
    if len(text) <= _SHORT:
        return DOT * len(text)
    first = text[0] if text[0].isprintable() else DOT
    return first + DOT * min(len(text) - 1, _MOST_DOTS)


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
