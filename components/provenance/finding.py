"""Finds in a store what a question is about: which raw inputs are meant, and which artifacts they are in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance import present
from tfx_trust.components.provenance.answers import Origin, SourceRef
from tfx_trust.components.provenance.criteria import Kind, criterion_of, is_below, is_under, names
from tfx_trust.components.provenance.declared import Declarations, declarations_of
from tfx_trust.components.provenance.graph import Graph
from tfx_trust.components.provenance.masking import mask_text
from tfx_trust.components.provenance.record import FileEntry, SourceEntry
from tfx_trust.components.provenance.recorded import Recorded

# How many are named in an error.
_NAMED = 8


@dataclass
class Found:
    """Where a question begins, in one store."""

    origin: Origin
    unknowns: list[str] = field(default_factory=list)
    """Why more might be found, if more were known."""


class Finder:
    """Finds things in one store.

    Parameters
    ----------
    graph, recorded
        The store, and what its records say.
    read
        Whether to read all artifacts, to find a digest that no record tells.
    """

    def __init__(self, graph: Graph, recorded: Recorded, *, read: bool = False) -> None:
        self.graph = graph
        self.recorded = recorded
        self._read = read

    def find(self, text: str) -> Found:
        """Where something is; `text` as for :func:`criterion_of`.

        Raises
        ------
        UsageError
            If the text cannot be understood.
        InputError
            If it names a source, an artifact or a file that this store knows nothing of; what it knows is
            named.
        """
        criterion = criterion_of(text, known=self._is_source)
        found: Found = getattr(self, f"_{criterion.kind}")(criterion.value)
        found.origin.asked = text
        return found

    def of_artifacts(self, kind: Literal["subject"], artifacts: Iterable[int]) -> Found:
        """A question that begins at artifacts that are found otherwise."""
        starts = set(artifacts)
        sources = [entry for entry in self.graph.sources if set(entry.made) & starts]
        return self._found(kind, "", sources, starts, whole=False)

    def unknowns(self, found: Found) -> list[str]:
        """What could not be established, all in all."""
        return list(dict.fromkeys([*found.unknowns, *self.recorded.problems, *self._declared.problems]))

    @cached_property
    def _declared(self) -> Declarations:
        return declarations_of(self.graph, self.recorded)

    def _is_source(self, text: str) -> bool:
        return any(text in (item.name, item.place) for item in self._declared.sources) or any(
            text.rstrip("/") == entry.place for entry in self.graph.sources
        )

    def _artifact(self, value: str) -> Found:
        number = int(value)
        if number not in self.graph.artifacts:
            raise InputError(
                f"{self.graph.store.place}: there is no artifact {number} in this metadata store"
            )
        made = [entry for entry in self.graph.sources if number in entry.made]
        return Found(Origin(kind="artifact", asked=value, sources=self._refs(made), artifacts=[number]))

    def _span(self, value: str) -> Found:
        number = int(value)
        artifacts = [
            item.id
            for item in self.graph.artifacts.values()
            if str(item.properties.get("span", "")) == value and item.id in self._read_in
        ]
        sources = [entry for entry in self.graph.sources if set(entry.made) & set(artifacts)]
        sources += [entry for entry in self.graph.sources if entry.span == number and entry not in sources]
        return self._found("span", value, sources, artifacts)

    @property
    def _read_in(self) -> set[int]:
        return {number for entry in self.graph.sources for number in entry.made}

    def _licence(self, value: str) -> Found:
        declared = [item for item in self._declared.sources if is_under(item.licence, value)]
        made = {number for item in declared for number in item.made}
        sources = [entry for entry in self.graph.sources if set(entry.made) & made]
        silent = self._undeclared()
        unknowns = (
            [f"of {_counted(len(silent), 'source')} no licence is known: {_listed(silent)}"] if silent else []
        )
        found = self._found("licence", value, sources, made)
        found.unknowns += unknowns
        return found

    def _undeclared(self) -> list[str]:
        known = {number for item in self._declared.sources if item.licence for number in item.made}
        places = [
            entry.place
            for entry in self.graph.sources
            if entry.kind != "artifact" and not set(entry.made) <= known
        ]
        return list(dict.fromkeys(places))

    def _sha256(self, value: str) -> Found:
        artifacts, unknowns = self._with_digest(value, None)
        sources = [entry for entry in self.graph.sources if set(entry.made) & artifacts]
        found = self._found("sha256", value, sources, artifacts, whole=False)
        found.unknowns += unknowns
        found.origin.digest = value
        return found

    def _with_digest(self, sha256: str, size: int | None) -> tuple[set[int], list[str]]:
        """Artifacts that something of this digest is in, and why there may be more."""
        found = self.recorded.with_digest(sha256)
        told = {number for item in self.recorded.declared for number in item.made}
        reached = self.graph.made_of(self._read_in - told)
        silent = [item for item in self.graph.models if item.id in reached]
        if not silent:
            return found, []
        now, problems = present.sources_with(self.graph, sha256, size=size, passing=told)
        if self._read:
            more, others = present.artifacts_with(self.graph, sha256)
            now, problems = now | more, [*problems, *others]
        compared = "and artifacts were" if self._read else "were"
        unknown = (
            f"no record tells the digests of what {_counted(len(silent), 'model')} came from: raw inputs "
            f"{compared} compared as they are now{'' if self._read else ', and artifacts were not'}"
        )
        return found | now, [unknown, *map(mask_text, problems)]

    def _file(self, value: str) -> Found:
        path = value if "://" in value else os.path.abspath(value)
        digest = _digest(path)
        sources = [entry for entry in self.graph.sources if names(entry, path)]
        artifacts = {number for entry in sources for number in entry.made} | self._around(path)
        if digest is None and not artifacts:
            raise InputError(
                f"{value}: no such file, and no source or artifact of {self.graph.store.place} has one there"
            )
        found_by: list[Literal["place", "content"]] = ["place"] if artifacts else []
        unknowns: list[str] = []
        if digest is not None:
            same, unknowns = self._with_digest(digest.sha256, digest.size)
            found_by += ["content"] if same else []
            sources += [
                entry for entry in self.graph.sources if set(entry.made) & same and entry not in sources
            ]
            artifacts |= same
        found = self._found("file", value, sources, artifacts, whole=False)
        found.origin.digest = digest.sha256 if digest else None
        found.origin.found_by = found_by
        found.unknowns += unknowns
        return found

    def _around(self, path: str) -> set[int]:
        """Artifacts whose folder the path lies in."""
        parents = {path}
        while (parent := os.path.dirname(path)) not in ("", path):
            parents.add(parent)
            path = parent
        return {
            item.id
            for item in self.graph.artifacts.values()
            if item.uri and self.graph.place(item).rstrip("/") in parents
        }

    def _source(self, value: str) -> Found:
        path = value if "://" in value else os.path.abspath(value)
        declared = [item for item in self._declared.sources if value in (item.name, item.place)]
        made = {number for item in declared for number in item.made}
        sources = [
            entry
            for entry in self.graph.sources
            if set(entry.made) & made
            or value == entry.place
            or (entry.kind != "query" and (names(entry, path) or is_below(entry.place, path)))
        ]
        if not sources and not made:
            raise InputError(
                f"{self.graph.store.place}: no source of this store is called {value!r} or lies there"
                f"{self._known_sources()}"
            )
        return self._found("source", value, sources, made)

    def _known_sources(self) -> str:
        names = [item.name for item in self._declared.sources if item.name]
        places = [entry.place for entry in self.graph.sources if entry.kind != "artifact"]
        known = list(dict.fromkeys([*names, *places]))
        return f"; known are {_listed(known)}" if known else "; none is known"

    def _found(
        self,
        kind: Kind | Literal["subject"],
        value: str,
        sources: Sequence[SourceEntry],
        artifacts: Iterable[int],
        *,
        whole: bool = True,
    ) -> Found:
        """Where a question begins; `whole` if all that the sources were read into belongs to it."""
        starts = set(artifacts)
        if whole:
            starts |= {number for entry in sources for number in entry.made}
        origin = Origin(kind=kind, asked=value, sources=self._refs(sources), artifacts=sorted(starts))
        return Found(origin)

    def _refs(self, entries: Iterable[SourceEntry]) -> list[SourceRef]:
        """Sources, those that are the same but for who read them put together."""
        together: dict[tuple[str, str, int | None], SourceRef] = {}
        for entry in entries:
            said = next((item for item in self._declared.sources if set(item.made) & set(entry.made)), None)
            ref = together.setdefault(
                (entry.kind, entry.place, entry.span),
                SourceRef(
                    kind=entry.kind,
                    place=entry.place,
                    span=entry.span,
                    name=said and said.name,
                    licence=said and said.licence,
                ),
            )
            ref.read_by += [entry.read_by] if entry.read_by is not None else []
            ref.made += entry.made
        return list(together.values())


def _digest(path: str) -> FileEntry | None:
    from tfx_trust.components.provenance.hashing import file_digest

    if "://" not in path and not os.path.exists(path):
        return None
    return file_digest(os.path.realpath(path) if "://" not in path else path)


# Words


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
