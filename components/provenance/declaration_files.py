"""Declarations in YAML files: beside the data, or given by name."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import yaml

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.provenance.config import TERMS, SourceDeclaration
from tfx_trust.components.provenance.reading import content_of

DECLARATION_FILE = "source.yaml"
"""In the folder of a source, or the one above it."""
DECLARATION_ENDING = ".source.yaml"
"""Of the declaration of a single file, after that file's name."""
DECLARATIONS_FILE = "declarations.json"
"""In a SourceDeclarations artifact."""

_QUERY = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)
_MOST_BYTES = 1 << 20
# Control characters but for tabs and line ends, and those that change the direction of writing.
_NO_TEXT = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]")
_EXAMPLES = {
    "name": "Survey of households 2024",
    "covers": "[train/*, eval/*]",
    "origin": "https://data.example.org/households",
    "publisher": "Office of Statistics",
    "version": '"1"',
    "issued": "2024-05-01",
    "citation": "Office of Statistics (2024). Survey of households.",
    "licence": "CC-BY-4.0",
    "terms": "{commercial: forbidden, attribution: required}",
    "collection": "A survey of households by telephone",
    "legal_basis": "consent",
    "consent": "the form of March 2024, kept by the survey's office",
    "purposes": "[research, statistics/official]",
    "retention": "2030-12-31",
    "personal_data": "[age, sex]",
    "limitations": "One country, one year",
    "contact": "data-office@example.org",
}


class Declared(NamedTuple):
    """A declaration, and where it was found."""

    declaration: SourceDeclaration
    where: str
    """A file, the URI of an artifact, or ``settings``."""
    folder: str | None = None
    """Folder that relative patterns start from; none for settings and artifacts."""


def declarations_beside(place: str, files: Sequence[str]) -> list[Declared]:
    """Declarations that lie beside the files of a source.

    They are ``source.yaml`` in the folder of a file, in those above it up to `place`, and in the one above
    that; and ``<file>.source.yaml`` beside a file, which speaks of that file alone.

    Parameters
    ----------
    place
        Folder, or file, or URI, that was read.
    files
        Absolute paths, or URIs, of the files that were found there.

    Raises
    ------
    InputError
        If a file that is there cannot be read, or is no declaration.
    """
    found = []
    files = [_absolute(path) for path in files]
    wanted = {path + DECLARATION_ENDING for path in files}
    for folder in sorted(_folders(_absolute(place), files)):
        names = _names(folder)
        if DECLARATION_FILE in names:
            found += read_file(_join(folder, DECLARATION_FILE))
        for name in sorted(names):
            if name.endswith(DECLARATION_ENDING) and _join(folder, name) in wanted:
                found += read_file(_join(folder, name))
    return found


def read_file(path: str) -> list[Declared]:
    """The declarations of a YAML file: one, or a list of them.

    Raises
    ------
    InputError
        If it cannot be read, or a field is unknown or not allowed; file, field and what is allowed are named.
    """
    path = _absolute(path)
    return parse(_content(path), path)


def parse(content: bytes, path: str) -> list[Declared]:
    """The declarations in the content of a file that lies at `path`.

    Raises
    ------
    InputError
        As for :func:`read_file`.
    """
    try:
        given = yaml.load(content.decode("utf-8-sig"), _Loader)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start:,}); write it in UTF-8") from None
    except _GivenTwice as error:
        raise InputError(f"{path}{_line(error)}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}{_line(error)}: not YAML: {_problem(error)}") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; a declaration is a mapping of fields") from None
    items = given if isinstance(given, list) else [given]
    if given is None or not items:
        raise InputError(f"{path}: no declaration in it; fill in at least its name")
    folder, name = _split(path)
    single = name.removesuffix(DECLARATION_ENDING) if name.endswith(DECLARATION_ENDING) else None
    found = []
    for number, item in enumerate(items, start=1):
        where = f"{path}, declaration {number}" if len(items) > 1 else path
        declaration = _declaration(item, where)
        if single:
            if declaration.covers:
                raise InputError(f"{where}: covers: it speaks of {single} alone; take the field out")
            declaration = declaration.model_copy(update={"covers": [_literal(single)]})
        found.append(Declared(declaration, path, folder))
    return found


def read_declarations(uri: str) -> list[SourceDeclaration]:
    """The declarations of a SourceDeclarations artifact that lies at `uri`.

    Raises
    ------
    InputError
        If there are none, or they cannot be read.
    """
    return [item.declaration for item in read_file(_join(uri, DECLARATIONS_FILE))]


def to_text(declarations: Iterable[SourceDeclaration]) -> str:
    """Declarations as JSON, which :func:`read_file` reads as well."""
    return json.dumps([item.model_dump(mode="json") for item in declarations], ensure_ascii=False)


def standing_alone(declared: Declared) -> SourceDeclaration:
    """A declaration whose patterns do not depend on the folder that it lies in.

    Queries, which begin with ``SELECT`` or ``WITH``, stay as they are.
    """
    declaration, _, folder = declared
    if folder is None:
        return declaration
    covered = [
        pattern
        if "://" in pattern or pattern.startswith("/") or _QUERY.match(pattern)
        else _join(_literal(folder), pattern)
        for pattern in declaration.covers
    ]
    return declaration.model_copy(update={"covers": covered or [_literal(folder)]})


def _declaration(given: Any, where: str) -> SourceDeclaration:
    if not isinstance(given, dict):
        raise InputError(
            f"{where}: a declaration is a mapping of fields, such as `name: …`; found {given!r:.60}"
        )
    # A field that was left empty is one that was left out.
    fields = {
        str(name): value
        for name, value in given.items()
        if value is not None and not (isinstance(value, str) and not value.strip())
    }
    try:
        return SourceDeclaration.of(fields)
    except UsageError as error:
        raise InputError(f"{where}: {error}") from None


def _literal(name: str) -> str:
    """A pattern that only this name fits."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def template() -> str:
    """A ``source.yaml`` to be filled in: every field, what it means, and an example.

    Examples
    --------
    >>> "# licence: CC-BY-4.0" in template().splitlines()
    True
    """
    parts = [
        "# What is declared of the data in this folder. Only the name has to be given: what is left out is\n"
        "# reported as unknown. Take the # off the lines that you fill in.\n"
    ]
    for name, field in SourceDeclaration.model_fields.items():
        told = " ".join((field.description or "").replace("``", "").split())
        if name == "terms":
            told += " Possible are " + ", ".join(
                f"{term} ({' or '.join(said)})" for term, said in TERMS.items()
            )
        if name == "legal_basis":
            told += " One of " + ", ".join(_words(field.annotation)) + "."
        lines = textwrap.wrap(told, 100, initial_indent="# ", subsequent_indent="# ")
        mark = "" if field.is_required() else "# "
        parts.append("\n".join([*lines, f"{mark}{name}: {_EXAMPLES[name]}"]) + "\n")
    return "\n".join(parts)


def _words(annotation: Any) -> Iterable[str]:
    for part in getattr(annotation, "__args__", ()):
        if isinstance(part, str):
            yield part
        else:
            yield from _words(part)


# YAML


class _GivenTwice(yaml.constructor.ConstructorError):
    """A field that is given twice."""


class _Loader(yaml.SafeLoader):
    """Texts stay as they are written: a version 1.10 is no number, and a country NO no truth value."""

    yaml_implicit_resolvers = {
        letter: [(tag, pattern) for tag, pattern in pairs if tag == "tag:yaml.org,2002:null"]
        for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {
        tag: yaml.SafeLoader.yaml_constructors[tag]
        for tag in (None, *(f"tag:yaml.org,2002:{kind}" for kind in ("null", "str", "seq", "map")))
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A node; none that stands for another: a few lines of these are more than any memory holds."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(
                problem=f"the alias *{event.anchor} stands for what is written elsewhere; write it out",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """A text, without what a terminal takes for a command, and by which lines read other than written."""
        text = super().construct_scalar(node)
        found = _NO_TEXT.search(str(text))
        if found:
            raise yaml.constructor.ConstructorError(
                problem=f"the character U+{ord(found[0]):04X} is none that a text has; take it out",
                problem_mark=node.start_mark,
            )
        return text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping, in which no field is given twice."""
        seen: set[object] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _GivenTwice(
                        problem=f"the field {key.value!r} is given twice; take one out",
                        problem_mark=key.start_mark,
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark is not None else ""


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or str(error).partition("\n")[0])


# Places, local or not


def _content(path: str) -> bytes:
    content = content_of(path, "the declaration cannot be read", most=_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise InputError(f"{path}: over {_MOST_BYTES >> 20} MB, which no declaration is")
    return content


def _absolute(path: str) -> str:
    return path.rstrip("/") if "://" in path else os.path.abspath(path)


def _folders(place: str, files: Sequence[str]) -> set[str]:
    """The folders of the files, those above them up to the place, and the one above that."""
    found: set[str] = set()
    for folder in {_split(path)[0] for path in files}:
        while folder.startswith(f"{place}/") and folder not in found:
            found.add(folder)
            folder = _split(folder)[0]
    if place not in files:
        found.add(place)
    above = _split(place)[0]
    return found | {above} if above and not above.endswith(":/") else found


def _names(folder: str) -> set[str]:
    """Names in a folder; none where it cannot be listed, which whoever reads the data tells."""
    try:
        if "://" in folder:
            from tfx.dsl.io import fileio

            return {str(name).rstrip("/") for name in fileio.listdir(folder)}
        return set(os.listdir(folder))
    except Exception:  # Each remote file system has errors of its own.
        return set()


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder or "/", name


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"
