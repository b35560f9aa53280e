"""What is declared of sources: read from YAML beside the data, and matched with the sources it speaks of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.record import SourceEntry, Unknown

DECLARATION_FILE = "source.yaml"
"""In the folder of a source, or the one above it."""
DECLARATION_ENDING = ".source.yaml"
"""Of the declaration of a single file, after that file's name."""


class Declared(NamedTuple):
    """A declaration, and where it was found."""

    declaration: SourceDeclaration
    where: str
    """A file, the URI of an artifact, or ``settings``."""
    folder: str | None = None
    """Folder that relative patterns start from; none for settings and artifacts."""


class Matched(NamedTuple):
    """Sources with what is declared of them."""

    sources: list[SourceEntry]
    unknowns: list[Unknown]
    """What is not clear: declarations that speak of nothing, files that none speaks of, ones that disagree."""


def read_file(path: str) -> list[Declared]:
    """The declarations of a YAML file."""
    raise NotImplementedError


def declarations_beside(place: str, files: Sequence[str]) -> list[Declared]:
    """Declarations that lie beside the files of a source, whose folder is `place`."""
    raise NotImplementedError


def match(
    sources: Sequence[SourceEntry],
    declarations: Sequence[Declared | tuple[SourceDeclaration, str, str | None]],
) -> Matched:
    """Fills in ``declaration`` and ``declared_in`` of sources."""
    raise NotImplementedError


def template() -> str:
    """A YAML text to be filled in, each field explained."""
    raise NotImplementedError
