"""What is declared of the raw inputs of a whole store: in its records, in artifacts, and beside the data."""

from __future__ import annotations

from dataclasses import dataclass, field

from tfx_trust.components.provenance.declarations import Declared, declarations_beside, match, read_file
from tfx_trust.components.provenance.graph import Graph
from tfx_trust.components.provenance.hashing import digest_folder
from tfx_trust.components.provenance.masking import mask_text
from tfx_trust.components.provenance.origins import DECLARATIONS
from tfx_trust.components.provenance.record import SourceEntry
from tfx_trust.components.provenance.recorded import DeclaredSource, Recorded
from tfx_trust.components.provenance.sources import files_of


@dataclass(frozen=True)
class Declarations:
    """The raw inputs of a store, as they are declared."""

    sources: list[DeclaredSource]
    problems: list[str] = field(default_factory=list)
    """Of declarations that cannot be read."""


def declarations_of(graph: Graph, recorded: Recorded) -> Declarations:
    """What records say; of the other raw inputs, what the store's declarations and their folders say."""
    told = {number for item in recorded.declared if item.name for number in item.made}
    rest = [entry for entry in graph.sources if not set(entry.made) <= told and entry.kind != "artifact"]
    problems: list[str] = []
    matched = match(rest, [*_in_artifacts(graph, problems), *_beside(rest, problems)]) if rest else None
    now = [
        DeclaredSource(
            entry.place,
            tuple(entry.made),
            entry.declaration,
        )
        for entry in (matched.sources if matched else ())
    ]
    return Declarations([*(item for item in recorded.declared if item.name), *now], problems)


def _in_artifacts(graph: Graph, problems: list[str]) -> list[Declared]:
    found: list[Declared] = []
    for item in graph.artifacts.values():
        if item.type == DECLARATIONS and item.id in graph.maker:
            place = graph.place(item)
            try:
                for file in digest_folder(place):
                    read = read_file(f"{place.rstrip('/')}/{file.path}")
                    found += [one._replace(where=place, folder=None) for one in read]
            except ValueError as error:
                problems.append(mask_text(str(error)))
    return found


def _beside(sources: list[SourceEntry], problems: list[str]) -> list[Declared]:
    found: dict[str, list[Declared]] = {}
    for entry in sources:
        if entry.kind == "query" or entry.place in found:
            continue
        try:
            found[entry.place] = declarations_beside(entry.place, files_of(entry))
        except Exception as error:  # Every file system has errors of its own.
            problems.append(mask_text(f"{entry.place}: declarations cannot be read ({error})"))
    return [one for several in found.values() for one in several]
