"""What the records and snapshots in a store say, for questions about all of it.

There may be a thousand of them: each is searched as text, and only read in full where the text is in it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tfx_trust.components.errors import InputError
from tfx_trust.components.mlmd import Artifact
from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.graph import Graph
from tfx_trust.components.provenance.record import RECORD_FILE, Record, canonical
from tfx_trust.components.provenance.snapshots import (
    RECORD,
    RECORD_DIGEST,
    SNAPSHOT,
    SNAPSHOT_DIGEST,
    SNAPSHOT_FILE,
)

_MODEL_ID = "model_id"
"""Custom property of a record's artifact."""
_FILES = {RECORD: (RECORD_FILE, RECORD_DIGEST), SNAPSHOT: (SNAPSHOT_FILE, SNAPSHOT_DIGEST)}


@dataclass(frozen=True)
class DeclaredSource:
    """What a record says of a raw input."""

    place: str
    made: tuple[int, ...]
    declaration: SourceDeclaration | None

    @property
    def name(self) -> str | None:
        """What it is declared as."""
        return self.declaration.name if self.declaration else None

    @property
    def licence(self) -> str | None:
        """What is declared."""
        return self.declaration.licence if self.declaration else None


class Recorded:
    """The records and snapshots of a store that are finished, and can be believed.

    Parameters
    ----------
    graph
        The store.

    Attributes
    ----------
    problems : list of str
        Of those that cannot be read, or are not what the store says that they were.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.problems: list[str] = []
        self._believed: dict[int, dict[str, Any] | None] = {}

    def folder(self, holder: Artifact) -> str:
        """Where a record or snapshot lies."""
        return self._graph.place(holder)

    @cached_property
    def records(self) -> list[Artifact]:
        """Artifacts of records, the oldest first."""
        return [item for item in self._holders if item.type == RECORD]

    def places(self) -> Iterator[tuple[Artifact, str, int]]:
        """Artifact, folder and model of every record that can be read."""
        for holder in self.records:
            model = holder.properties.get(_MODEL_ID)
            if holder.id in self._texts and model is not None:
                yield holder, self.folder(holder), int(model)

    @cached_property
    def recorded_models(self) -> set[int]:
        """Ids of the models that there is a record of."""
        return {model for _, _, model in self.places()}

    def record_of(self, model: int) -> tuple[Record, str] | None:
        """The newest record of a model, and its folder; none where there is none that can be believed."""
        for holder, folder, other in reversed(list(self.places())):
            if other != model or self._content(holder) is None:
                continue
            try:
                return Record.of_bytes(self._texts[holder.id], folder), folder
            except InputError as error:
                self.problems.append(str(error))
        return None

    def with_digest(self, sha256: str) -> tuple[set[int], list[dict[str, Any]]]:
        """Where a file or a tree of this digest is.

        Returns
        -------
        set of int
            Ids of the artifacts that it is in, or that a raw input was read into which it is of.
        list of dict
            Those raw inputs, as the records have them.
        """
        artifacts: set[int] = set()
        sources = []
        for content in self._with(f'"{sha256}"'.encode()):
            artifacts |= {int(entry["id"]) for entry in content["artifacts"] if _holds(entry, sha256)}
            for entry in content.get("sources", ()):
                if _holds(entry, sha256):
                    sources.append(entry)
                    artifacts |= set(entry["made"])
        return artifacts, sources

    @cached_property
    def declared(self) -> list[DeclaredSource]:
        """All raw inputs that a record tells of, as they are declared; each once."""
        found: dict[str, DeclaredSource] = {}
        for content in self._with(b'"sources":[{'):
            for entry in content["sources"]:
                told = json.dumps([entry["place"], entry["made"], entry["declaration"]])
                if told not in found:
                    said = entry["declaration"] and SourceDeclaration.model_validate(entry["declaration"])
                    found[told] = DeclaredSource(entry["place"], tuple(entry["made"]), said)
        return list(found.values())

    @cached_property
    def _holders(self) -> list[Artifact]:
        finished = [
            item
            for item in self._graph.artifacts.values()
            if item.type in _FILES and item.id in self._graph.maker
        ]
        return sorted(finished, key=lambda item: (item.created, item.id))

    @cached_property
    def _texts(self) -> dict[int, bytes]:
        texts = {}
        for holder in self._holders:
            place = os.path.join(self.folder(holder), _FILES[holder.type][0])
            try:
                texts[holder.id] = _read(place)
            except InputError as error:
                self.problems.append(str(error))
        return texts

    def _with(self, text: bytes) -> Iterator[dict[str, Any]]:
        for holder in self._holders:
            if text in self._texts.get(holder.id, b""):
                content = self._content(holder)
                if content is not None:
                    yield content

    def _content(self, holder: Artifact) -> dict[str, Any] | None:
        """What the file says; none where it is not what the store says that it was."""
        if holder.id not in self._believed:
            self._believed[holder.id] = self._checked(holder)
        return self._believed[holder.id]

    def _checked(self, holder: Artifact) -> dict[str, Any] | None:
        name, digest = _FILES[holder.type]
        text = self._texts.get(holder.id)
        if text is None:
            return None
        try:
            content: dict[str, Any] = json.loads(text)
            is_record = holder.type == RECORD
            plain = {key: value for key, value in content.items() if not (is_record and key == "digest")}
            found = hashlib.sha256(canonical(plain) + (b"" if is_record else b"\n")).hexdigest()
            edited = holder.properties.get(digest, content.get("digest", found)) != found
        except (ValueError, TypeError, AttributeError):
            edited = True
        if edited:
            place = os.path.join(self.folder(holder), name)
            self.problems.append(f"{place}: is not what the metadata store says that it was; passed over")
            return None
        return content


def _holds(entry: dict[str, Any], sha256: str) -> bool:
    return bool(entry["tree"] == sha256) or any(file["sha256"] == sha256 for file in entry["files"])


def _read(place: str) -> bytes:
    try:
        if "://" not in place:
            with open(place, "rb") as file:
                return file.read()
        from tfx.dsl.io import fileio

        with fileio.open(place, "rb") as file:
            return bytes(file.read())
    except Exception as error:  # Every file system has errors of its own.
        why = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(f"{place}: cannot be read ({why})") from None
