"""Any value of a report in a shape that a page can show: a scalar, a list, a record or a table.

Reports hold what their concern needs: pydantic models, dicts and lists, nested at will. The
generic part of the page shows all of it; this module decides how, the template only draws.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pydantic

from tfx_trust.components.page import words
from tfx_trust.components.report import Estimate, Severity, Verdict, format_number

MOST_COLUMNS = 10
LONG_TEXT = 48
SHORT_LIST = 12
LONG_TABLE = 30


@dataclass(frozen=True)
class Scalar:
    """One value as text; `kind` says how to set it."""

    shape: ClassVar[str] = "scalar"
    text: str
    kind: Literal["text", "number", "nothing", "verdict"] = "text"
    tone: str = ""
    """Verdict or severity, for the icon and colour."""
    note: str = ""
    """Said after it in smaller type, e.g. how an interval was made."""

    @property
    def wide(self) -> bool:
        """Whether it needs the whole width."""
        return len(self.text) > LONG_TEXT


@dataclass(frozen=True)
class Items:
    """A list; `inline` where its items are few and short enough to stand in one line."""

    shape: ClassVar[str] = "items"
    items: tuple[Shown, ...]
    inline: bool

    @property
    def wide(self) -> bool:
        """Whether it needs the whole width."""
        return not self.inline


@dataclass(frozen=True)
class Record:
    """Labels and their values."""

    shape: ClassVar[str] = "record"
    wide: ClassVar[bool] = True
    rows: tuple[tuple[Label, Shown], ...]


@dataclass(frozen=True)
class Table:
    """Records of one kind, side by side."""

    shape: ClassVar[str] = "table"
    wide: ClassVar[bool] = True
    columns: tuple[Column, ...]
    rows: tuple[tuple[Label | None, tuple[Shown, ...]], ...]
    """Each with a heading of its own, or none."""

    @property
    def headed(self) -> bool:
        """Whether rows have headings."""
        return bool(self.rows) and self.rows[0][0] is not None

    @property
    def long(self) -> bool:
        """Whether it would push everything else off the screen."""
        return len(self.rows) > LONG_TABLE


@dataclass(frozen=True)
class Label:
    """The name of a value; `verbatim` where it is data, such as the name of a feature."""

    text: str
    verbatim: bool = False


@dataclass(frozen=True)
class Column:
    """A table's column."""

    label: Label
    numeric: bool


Shown = Scalar | Items | Record | Table


def shown(value: Any, name: str = "") -> Shown:
    """How to show `value`; `name` is its key, which tells verdicts from other words.

    Examples
    --------
    >>> shown(32561)
    Scalar(text='32,561', kind='number', tone='', note='')
    >>> type(shown([{"slice": "sex:Female", "n": 9}, {"slice": "sex:Male", "n": 7}])).__name__
    'Table'
    """
    estimate = _estimate(value)
    if estimate is not None:
        return Scalar(str(estimate), "number", note=interval_note(estimate))
    fields = _fields(value)
    if fields is not None:
        return _record(fields)
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return _sequence(value)
    return _scalar(value, name)


def interval_note(estimate: Estimate) -> str:
    """How an estimate's interval was made, e.g. ``95 % interval, wilson``; empty where that is not known."""
    level = "" if estimate.level is None else f"{format_number(100 * estimate.level)} % interval"
    return ", ".join(part for part in (level, estimate.method or "") if part)


def _scalar(value: Any, name: str) -> Scalar:
    if value is None or value == "":
        return Scalar("–", "nothing")
    if isinstance(value, bool):
        return Scalar("yes" if value else "no")
    if isinstance(value, (int, float)):
        return Scalar(format_number(value), "number")
    tone = _tone(value, name)
    if tone:
        return Scalar(words.TONES[tone], "verdict", tone)
    if isinstance(value, datetime.datetime):
        return Scalar(words.moment(value))
    if isinstance(value, enum.Enum):
        value = value.value
    return Scalar(str(value))


def _tone(value: Any, name: str) -> str:
    """The verdict or severity that `value` is; a plain word counts only under such a key."""
    if isinstance(value, (Verdict, Severity)):
        return value.value
    return value if name in ("verdict", "severity") and value in words.TONES else ""


def _estimate(value: Any) -> Estimate | None:
    if isinstance(value, Estimate):
        return value
    # An Estimate that went through JSON: it has its value and at least one other of its fields.
    if not isinstance(value, Mapping) or "value" not in value or not ({"low", "count"} & value.keys()):
        return None
    try:
        return Estimate.model_validate(dict(value))
    except pydantic.ValidationError:
        return None


Fields = list[tuple[Label, str, Any]]


def _fields(value: Any) -> Fields | None:
    """Labels, keys and values of a record; none if `value` is none."""
    if isinstance(value, pydantic.BaseModel):
        return [(Label(_spoken(key)), key, item) for key, item in value]
    if isinstance(value, Mapping):
        return [(Label(str(key), verbatim=True), str(key), item) for key, item in value.items()]
    return None


def _spoken(name: str) -> str:
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def _record(fields: Fields) -> Shown:
    if not fields:
        return Scalar("none", "nothing")
    nested = [_fields(item) for _, _, item in fields]
    if len(fields) > 1 and all(_estimate(item) is None for _, _, item in fields):
        table = _table(nested, [label for label, _, _ in fields])
        if table is not None:
            return table
    return Record(tuple((label, shown(item, key)) for label, key, item in fields))


def _sequence(values: Sequence[Any]) -> Shown:
    if not values:
        return Scalar("none", "nothing")
    if all(_estimate(value) is None for value in values):
        table = _table([_fields(value) for value in values], [None] * len(values))
        if table is not None:
            return table
    items = tuple(shown(value) for value in values)
    short = all(isinstance(item, Scalar) and len(item.text) <= 40 for item in items)
    return Items(items, inline=short and (len(items) <= SHORT_LIST or all(_numeric(item) for item in items)))


def _table(records: Sequence[Fields | None], headings: Sequence[Label | None]) -> Table | None:
    """The records as a table, if they are alike enough: few columns, most cells filled."""
    rows = [record for record in records if record]
    if len(rows) < len(records):
        return None
    columns: dict[str, Label] = {key: label for record in rows for label, key, _ in record}
    filled = sum(len(record) for record in rows) / (len(rows) * len(columns))
    if len(columns) > MOST_COLUMNS or filled < 0.6:
        return None
    cells = [_cells(record, columns) for record in rows]
    return Table(
        tuple(
            Column(label, all(_numeric(row[place]) for row in cells))
            for place, label in enumerate(columns.values())
        ),
        tuple(zip(headings, cells, strict=True)),
    )


def _cells(record: Fields, columns: Mapping[str, Label]) -> tuple[Shown, ...]:
    values = {key: item for _, key, item in record}
    return tuple(shown(values.get(key), key) for key in columns)


def _numeric(item: Shown) -> bool:
    return isinstance(item, Scalar) and item.kind in ("number", "nothing")
