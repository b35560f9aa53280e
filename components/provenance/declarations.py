"""What is declared of sources: which declaration speaks of which source.

For each file, a declaration that lies beside the data comes before one of the settings or of an artifact, the
nearer before the farther one, and one that names the file more closely before one that does so less; one that
covers nothing by name comes last. Where the files of a source have several declarations, or two say different
things with equal right, all of them hold, and the strictest counts.
"""

from __future__ import annotations

import fnmatch
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.declaration_files import (
    DECLARATION_ENDING,
    DECLARATION_FILE,
    Declared,
    declarations_beside,
    parse,
    read_declarations,
    read_file,
    template,
)
from tfx_trust.components.provenance.joining import joined
from tfx_trust.components.provenance.record import SourceEntry, Unknown

__all__ = [
    "DECLARATION_ENDING",
    "DECLARATION_FILE",
    "Declared",
    "Matched",
    "declarations_beside",
    "match",
    "parse",
    "read_declarations",
    "read_file",
    "template",
]

# How many files are named.
_NAMED = 3

_WILDCARDS = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}

_TOKEN = re.compile(r"(\*\*/|\*\*|\*|\?|\[[^/\]]+\])")

_Rank = tuple[int, ...]


class Matched(NamedTuple):
    """Sources with what is declared of them."""

    sources: list[SourceEntry]
    unknowns: list[Unknown]
    """What is not clear: patterns that fit nothing, files that nothing is declared of, declarations that
    disagree, and declarations that were read as data."""


def match(
    sources: Sequence[SourceEntry],
    declarations: Sequence[Declared | tuple[SourceDeclaration, str, str | None]],
) -> Matched:
    """Fills in ``declaration`` and ``declared_in`` of sources.

    Parameters
    ----------
    sources
        With their files, as far as these could be read.
    declarations
        Each with where it was found and the folder that its relative patterns start from; of one that lies in
        no folder they fit whatever ends so.
    """
    speakers = [_Speaker(item) for item in _each_once(declarations)]
    matched, unknowns = [], []
    for source in sources:
        declared, told = _declared(source, speakers)
        matched.append(declared)
        unknowns += told
    return Matched(matched, unknowns + [told for speaker in speakers for told in speaker.unused()])


def _each_once(declarations: Iterable[tuple[SourceDeclaration, str, str | None]]) -> list[Declared]:
    """Several sources may lie beside the same file."""
    found = [Declared(*item) for item in declarations]
    return list({(item.where, item.folder, item.declaration.to_json()): item for item in found}.values())


def _declared(source: SourceEntry, speakers: Sequence[_Speaker]) -> tuple[SourceEntry, list[Unknown]]:
    """A source with its declaration, and what is not clear about it."""
    texts = _texts(source)
    closest = {text: _closest(text, speakers, query=source.kind == "query") for text in texts}
    unknowns = []

    def tell(what: str, why: str) -> None:
        unknowns.append(Unknown(what=what, subject=source.id, why=why))

    read = [text for text in texts if _is_declaration(text)] if source.files else []
    if read:
        tell(
            "declaration_as_data",
            f"{_few(read)} is read as data, as the pattern fits it: put it one folder above",
        )
    speaking = sorted({number for numbers in closest.values() for number in numbers})
    if not speaking:
        return source, unknowns
    chosen = sorted((speakers[number].declared for number in speaking), key=_name)
    bare = [text for text, numbers in closest.items() if not numbers and text not in read]
    if bare:
        tell(
            "partly_declared",
            f"no declaration speaks of {_few(bare)}, though of other files of this source one does",
        )
    if any(len(numbers) > 1 for numbers in closest.values()):
        told = " and ".join(f"{item.declaration.name!r} ({item.where})" for item in chosen)
        tell(
            "declarations_disagree",
            f"{told} speak of it with equal right and say different things: of each the strictest counts; "
            "name in covers what each speaks of",
        )
    declared = {
        "declaration": joined([item.declaration for item in chosen], partly=bool(bare)),
        "declared_in": "; ".join(dict.fromkeys(item.where for item in chosen)),
    }
    return source.model_copy(update=declared), unknowns


def _name(item: Declared) -> tuple[str, str]:
    return item.declaration.name, item.where


def _closest(text: str, speakers: Sequence[_Speaker], *, query: bool) -> tuple[int, ...]:
    """Numbers of the speakers that speak of it most closely; several only where they say different things."""
    ranks = [one.rank(text, query=query) for one in speakers]
    best = max(ranks, default=())
    saying: dict[str, int] = {}
    for number, rank in enumerate(ranks):
        if best and rank == best:
            saying.setdefault(speakers[number].said, number)
    return tuple(saying.values())


class _Speaker:
    """A declaration, with what it fits."""

    def __init__(self, declared: Declared) -> None:
        self.declared = declared
        self.said = declared.declaration.model_copy(update={"covers": []}).to_json()
        self.patterns = declared.declaration.covers
        self._compiled = [_compiled(pattern, declared.folder) for pattern in self.patterns]
        self._fitting: Counter[int] = Counter()

    def rank(self, text: str, *, query: bool) -> _Rank:
        """How closely it speaks of a file, or of a query; nothing if it does not."""
        folder = self.declared.folder
        beside = folder is not None
        if not self.patterns:
            if folder is None:
                return (0,)
            return (1, _depth(folder), 0) if not query and _below(text, folder) else ()
        found = [self._rank_of(number, text, query=query) for number in range(len(self.patterns))]
        best = max(found)
        return (1, _depth(folder or "") if beside else -1, 1, *best) if best else ()

    def _rank_of(self, number: int, text: str, *, query: bool) -> _Rank:
        pattern = self.patterns[number]
        if query:
            exact = _words(pattern) == _words(text)
            rank = (int(exact), len(pattern)) if exact or fnmatch.fnmatchcase(text, pattern) else ()
        else:
            fitting = self._compiled[number].fullmatch(text)
            rank = (fitting.end("fits"), -len(re.findall(r"[*?[]", pattern))) if fitting else ()
        self._fitting[number] += bool(rank)
        return rank

    def unused(self) -> Iterator[Unknown]:
        """Its patterns that fit nothing: perhaps a place that is misspelt."""
        for number, pattern in enumerate(self.patterns):
            if not self._fitting[number]:
                yield Unknown(
                    what="declaration_unused",
                    subject=self.declared.declaration.name,
                    why=f"it covers {pattern!r} ({self.declared.where}), which no source of this model fits",
                )


# Places and patterns


def _texts(source: SourceEntry) -> list[str]:
    """What patterns are held against: the files, or where these are not known the place and what was read."""
    if source.kind == "query":
        return [source.place]
    place = _absolute(source.place)
    if len(source.files) == 1 and place.endswith(f"/{source.files[0].path}") and not source.patterns:
        return [place]
    if source.files:
        return [_join(place, file.path) for file in source.files]
    return [_join(place, pattern) for pattern in source.patterns.values()] or [place]


def _compiled(pattern: str, folder: str | None) -> re.Pattern[str]:
    """A pattern that fits paths, and all below folders."""
    plain = pattern if "://" in pattern else posixpath.normpath(pattern)
    before = ""
    if "://" not in plain and not plain.startswith("/"):
        if folder is None:
            before = "(?:.*/)?"
        else:
            while plain == ".." or plain.startswith("../"):
                folder, plain = posixpath.dirname(folder.rstrip("/")), plain[3:] or "."
            before = re.escape(folder.rstrip("/")) + ("/" if plain != "." else "")
            plain = "" if plain == "." else plain
    return re.compile(f"(?P<fits>{before}{_as_expression(plain.rstrip('/'))})(?:/.*)?", re.DOTALL)


def _as_expression(pattern: str) -> str:
    """A pattern of the shell as a regular expression: ``*`` is part of a name, ``**`` any folders."""
    tokens = [token for token in _TOKEN.split(re.sub(r"\*{3,}", "**", pattern)) if token]
    parts: list[str] = []
    star = None
    for token in tokens:
        if token == "*":
            if star is not None:
                # What lies between two stars of one name is best found as early as may be, and never sought
                # anew: else ten stars take years.
                between = "".join(parts[star + 1 :])
                parts[star:] = [f"(?=(?P<s{star}>[^/]*?{between}))(?P=s{star})"]
            star = len(parts)
        elif "/" in token or token == "**":
            star = None
        parts.append(_WILDCARDS.get(token) or _one_of(token) or re.escape(token))
    return "".join(parts)


def _one_of(token: str) -> str | None:
    """A choice of letters in brackets; none where it is no such choice, or cannot be, as ``[z-a]``."""
    if not (token.startswith("[") and token.endswith("]") and len(token) > 2):
        return None
    negated = token[1] in "!^"
    inner = re.sub(r"([\\\[^&~|])", r"\\\1", token[1 + negated : -1])
    expression = f"[{'^' * negated}{inner}]"
    try:
        re.compile(expression)
    except re.error:
        return None
    return expression


def _absolute(place: str) -> str:
    return place.rstrip("/") if "://" in place else os.path.abspath(place)


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _depth(folder: str) -> int:
    return len([part for part in folder.split("/") if part])


def _is_declaration(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name == DECLARATION_FILE or name.endswith(DECLARATION_ENDING)


def _words(query: str) -> str:
    return " ".join(query.split())


def _few(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"
