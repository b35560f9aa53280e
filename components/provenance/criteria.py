"""What a question is about: a file, a digest, a licence, a span, a source, or an artifact, found in a store.

Somebody who asks which models came of ``data/train.csv`` or ``CC-BY-NC-4.0`` need not say what that is: its
form tells. Where it would not, a prefix does: ``file:``, ``sha256:``, ``licence:``, ``span:``, ``source:``,
``artifact:``.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tfx_trust.components.errors import UsageError
from tfx_trust.components.provenance.record import SourceEntry

Kind = Literal["file", "sha256", "licence", "span", "source", "artifact"]
KINDS: tuple[Kind, ...] = ("file", "sha256", "licence", "span", "source", "artifact")
"""Prefixes that say what is given."""
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_NUMBER = re.compile(r"\d+")
_OPEN = re.compile(r"\{(?:SPAN|VERSION)(?::\d+)?\}|\{YYYY\}|\{MM\}|\{DD\}")
_WORDS = re.compile(r"[A-Za-z0-9.+:-]+")
_OPERATORS = {"AND", "OR", "WITH"}


@dataclass(frozen=True)
class Criterion:
    """What is asked about."""

    kind: Kind
    value: str
    """Without a prefix."""


def criterion_of(text: str, *, known: Callable[[str], bool] = lambda name: False) -> Criterion:
    """What a text means, by its form.

    Parameters
    ----------
    text
        As it was given.
    known
        Whether a text is the name or the place of a source.

    Raises
    ------
    UsageError
        If it is empty, or what its prefix says cannot be.

    Examples
    --------
    >>> criterion_of("span:3"), criterion_of("cc-by-4.0").value
    (Criterion(kind='span', value='3'), 'CC-BY-4.0')
    """
    head, colon, rest = text.partition(":")
    kind = next((kind for kind in KINDS if colon and kind == head), None)
    if kind is None and colon and head == "license":
        kind = "licence"
    if kind is not None:
        return _checked(kind, rest, text)
    if not text.strip():
        raise UsageError("nothing is asked about: give a file, a sha256, a licence, a span or a source")
    if os.path.isfile(text):
        return Criterion("file", text)
    if _DIGEST.fullmatch(text):
        return Criterion("sha256", text.lower())
    if known(text) or os.path.isdir(text):
        return Criterion("source", text)
    if _NUMBER.fullmatch(text):
        return Criterion("span", str(int(text)))
    licence = _licence(text)
    return Criterion("source", text) if licence is None else Criterion("licence", licence)


def _checked(kind: Kind, value: str, text: str) -> Criterion:
    if not value:
        raise UsageError(f"{text!r}: nothing follows {kind}:, give what is asked about")
    if kind in ("span", "artifact"):
        if not _NUMBER.fullmatch(value):
            raise UsageError(f"{text!r}: expected a number after {kind}:")
        return Criterion(kind, str(int(value)))
    if kind == "sha256":
        if not _DIGEST.fullmatch(value):
            raise UsageError(f"{text!r}: expected 64 hexadecimal digits after sha256:")
        return Criterion(kind, value.lower())
    if kind == "licence":
        from tfx_trust.components.provenance.licences import check_expression

        return Criterion(kind, check_expression(value))
    return Criterion(kind, value)


def _licence(text: str) -> str | None:
    from tfx_trust.components.provenance.licences import check_expression

    try:
        return check_expression(text)
    except UsageError:
        return None


# What fits


def is_under(licence: str | None, wanted: str) -> bool:
    """Whether a licence is the wanted one, or names it among others."""
    if licence is None:
        return False
    named = {word for word in _WORDS.findall(licence) if word not in _OPERATORS}
    return licence == wanted or wanted in named


def names(entry: SourceEntry, path: str) -> bool:
    """Whether a source's patterns name a file, there or not."""
    if entry.kind == "query":
        return False
    if entry.place == path:
        return True
    relative = path.removeprefix(entry.place.rstrip("/") + "/")
    if relative == path:
        return False
    return not entry.patterns or any(_fits(pattern, relative) for pattern in entry.patterns.values())


def _fits(pattern: str, relative: str) -> bool:
    wanted = [part for part in _OPEN.sub("*", pattern).split("/") if part not in ("", ".")]
    parts = relative.split("/")
    return len(wanted) == len(parts) and all(map(fnmatch.fnmatchcase, parts, wanted))


def is_below(place: str, folder: str) -> bool:
    """Whether a place lies in a folder."""
    return place.startswith(folder.rstrip("/") + "/")
