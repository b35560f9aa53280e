"""Times of examples as numbers: what comes before what."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfx_trust.components.errors import InputError
from tfx_trust.components.report import format_number


@dataclass(frozen=True)
class Times:
    """What was seen of the times of train and eval; parts of the data merge.

    Attributes
    ----------
    first, last
        Earliest and latest time of each split; infinite where there is none.
    missing
        Examples without one, by split.
    """

    first: tuple[float, float] = (np.inf, np.inf)
    last: tuple[float, float] = (-np.inf, -np.inf)
    missing: tuple[int, int] = (0, 0)

    def __add__(self, other: Times) -> Times:
        return Times(
            (min(self.first[0], other.first[0]), min(self.first[1], other.first[1])),
            (max(self.last[0], other.last[0]), max(self.last[1], other.last[1])),
            (self.missing[0] + other.missing[0], self.missing[1] + other.missing[1]),
        )

    @classmethod
    def of(cls, times: np.ndarray, split: int) -> Times:
        """Of some examples of one split (0 train, 1 eval); NaN where missing."""
        known = times[~np.isnan(times)]
        first, last, missing = [np.inf, np.inf], [-np.inf, -np.inf], [0, 0]
        missing[split] = len(times) - len(known)
        if len(known):
            first[split], last[split] = float(known.min()), float(known.max())
        return cls((first[0], first[1]), (last[0], last[1]), (missing[0], missing[1]))


def seconds(values: pa.Array, name: str, pattern: str | None) -> np.ndarray:
    """Times as float64 of shape ``(rows,)``, NaN where missing.

    Dates and timestamps and text become seconds since 1970 (UTC where no zone is told); numbers stay
    what they are, whatever their unit.

    Parameters
    ----------
    values
        Of one batch.
    name
        The feature's, for the message.
    pattern
        As of ``strptime``, for text; ISO 8601 if none.

    Raises
    ------
    InputError
        If a text cannot be read as a time.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.dictionary_decode()
        kind = values.type
    if pa.types.is_null(kind):
        return np.full(len(values), np.nan)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        try:
            values = values.cast(pa.string())
        except pa.ArrowInvalid:
            raise InputError(
                f"time {name!r} holds bytes that are no text; name another feature as time"
            ) from None
        kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values = _parsed(values.cast(pa.string()), name, pattern)
        kind = values.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        whole = values.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
        return whole.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) / 1e6
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers: np.ndarray = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return numbers
    raise InputError(f"time {name!r} has type {kind}; a number, a date or text is needed")


def _parsed(values: pa.Array, name: str, pattern: str | None) -> pa.Array:
    encoded = values.dictionary_encode()
    texts = encoded.dictionary
    # An empty text is a missing time.
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts) if len(texts) else texts
    moments = [_moment(text, pattern) for text in texts.to_pylist()]
    wrong = [text for text, moment in zip(texts.to_pylist(), moments, strict=True) if text and moment is None]
    if wrong:
        expected = f"the format {pattern!r}" if pattern else "ISO 8601, as 2026-11-24 or 2026-11-24T08:30:00Z"
        raise InputError(
            f"time {name!r}: {len(wrong):,} different values cannot be read, one of the shape "
            f"{_shape(wrong[0])!r}; expected {expected}; give its format as time_format"
        )
    parsed = pa.array(moments, pa.timestamp("us"))
    return parsed.take(encoded.indices)


def _moment(text: str | None, pattern: str | None) -> datetime.datetime | None:
    if not text:
        return None
    try:
        if pattern:
            moment = datetime.datetime.strptime(text, pattern)
        else:
            # Python 3.10 does not know the Z.
            moment = datetime.datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", text.strip()))
    except ValueError:
        return None
    return moment.astimezone(datetime.timezone.utc).replace(tzinfo=None) if moment.tzinfo else moment


def _shape(text: str) -> str:
    """A text without what it says: 9 for a digit, a for a letter.

    Examples
    --------
    >>> _shape("24 Nov 2026")
    '99 aaa 9999'
    """
    return re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", text))[:40]


def said(time: float, *, clock: bool) -> str:
    """A time for reading: a date with its clock where it was one, else the number.

    Examples
    --------
    >>> said(1_700_000_000.0, clock=True), said(17.0, clock=False)
    ('2023-11-14 22:13:20', '17')
    """
    if not np.isfinite(time):
        return ""
    if not clock:
        return format_number(time)
    epoch = datetime.datetime(1970, 1, 1)
    return str(epoch + datetime.timedelta(seconds=time)).removesuffix(" 00:00:00")
