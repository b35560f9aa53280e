"""What the records and snapshots of a store say, for questions about all of it.

There may be a thousand of them: each is searched as text, and only read in full where the text is in it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.carrying import read_file
from tfx_trust.components.provenance.chain import MODEL_ID
from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.graph import Graph
from tfx_trust.components.provenance.record import RECORD_FILE, Record
from tfx_trust.components.provenance.sealed import sealed_digest
from tfx_trust.components.provenance.snapshots import (
    RECORD,
    RECORD_DIGEST,
    SNAPSHOT,
    SNAPSHOT_DIGEST,
    SNAPSHOT_FILE,
)

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


@dataclass(frozen=True)
class _Holder:
    """A record or a snapshot."""

    kind: str
    folder: str
    digest: str | None
    """What the store says that its digest is."""
    model: int | None = None
    """Id of a record's model."""

    @property
    def place(self) -> str:
        return f"{self.folder.rstrip('/')}/{_FILES[self.kind][0]}"


class Recorded:
    """The records and snapshots of a store, as far as they can be believed.

    Parameters
    ----------
    graph
        The store.
    folders
        Further records of models of this store, that lie outside of it.

    Attributes
    ----------
    problems : list of str
        Of those that cannot be read, or are not what the store says that they were.

    Raises
    ------
    InputError
        If one of the `folders` holds no record, one that was edited, or one of another store.
    """

    def __init__(self, graph: Graph, folders: Sequence[str] = ()) -> None:
        self._graph = graph
        self.problems: list[str] = []
        self._believed: dict[_Holder, dict[str, Any] | None] = {}
        self._given = [self._outside(folder) for folder in folders]

    def places(self) -> list[tuple[str, int]]:
        """Folder and model of every record, the oldest first; first those of the store."""
        return [
            (item.folder, item.model)
            for item in self._holders
            if item.model is not None and item in self._texts
        ]

    @cached_property
    def recorded_models(self) -> set[int]:
        """Ids of the models that there is a record of."""
        return {model for _, model in self.places()}

    def record_of(self, model: int) -> tuple[Record, str] | None:
        """The newest record of a model, and its folder; none where there is none that can be believed."""
        for holder in reversed(self._holders):
            if holder.model == model and self._content(holder) is not None:
                try:
                    return Record.of_bytes(self._texts[holder], holder.place), holder.folder
                except InputError as error:
                    self.problems.append(str(error))
        return None

    def with_digest(self, sha256: str) -> set[int]:
        """Ids of the artifacts that a file or a tree is in, or into which a raw input with it was read."""
        artifacts: set[int] = set()
        for content in self._with(f'"{sha256}"'.encode()):
            artifacts |= {int(entry["id"]) for entry in content["artifacts"] if _holds(entry, sha256)}
            for entry in content.get("sources", ()):
                if _holds(entry, sha256):
                    artifacts |= set(entry["made"])
        return artifacts & self._graph.artifacts.keys()

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
    def _holders(self) -> list[_Holder]:
        finished = [
            item
            for item in self._graph.artifacts.values()
            if item.type in _FILES and item.id in self._graph.maker
        ]
        finished.sort(key=lambda item: (item.created, item.id))
        found = []
        for item in finished:
            digest, model = item.properties.get(_FILES[item.type][1]), item.properties.get(MODEL_ID)
            found.append(
                _Holder(
                    kind=item.type,
                    folder=self._graph.place(item),
                    digest=None if digest is None else str(digest),
                    model=int(model) if model is not None and item.type == RECORD else None,
                )
            )
        return [*found, *self._given]

    def _outside(self, folder: str) -> _Holder:
        record = Record.load(folder)
        place = os.path.abspath(folder if os.path.isdir(folder) else os.path.dirname(folder))
        model, known = record.artifact(record.model), self._graph.artifacts.get(record.model)
        if known is None or model.uri not in (known.uri, self._graph.place(known)):
            raise InputError(
                f"{folder}: a record of a model at {model.uri}, which is not model {record.model} of "
                f"{self._graph.store.place}; name records of this store"
            )
        return _Holder(kind=RECORD, folder=place, digest=record.digest, model=record.model)

    @cached_property
    def _texts(self) -> dict[_Holder, bytes]:
        texts = {}
        for holder in self._holders:
            try:
                content = read_file(holder.place)
            except InputError as error:
                self.problems.append(str(error))
                continue
            if content is None:
                self.problems.append(f"{holder.place}: is gone")
            else:
                texts[holder] = content
        return texts

    def _with(self, text: bytes) -> Iterator[dict[str, Any]]:
        for holder in self._holders:
            if text in self._texts.get(holder, b""):
                content = self._content(holder)
                if content is not None:
                    yield content

    def _content(self, holder: _Holder) -> dict[str, Any] | None:
        """What the file says; none where it is not what the store says that it was."""
        if holder not in self._believed:
            self._believed[holder] = self._checked(holder)
        return self._believed[holder]

    def _checked(self, holder: _Holder) -> dict[str, Any] | None:
        text = self._texts.get(holder)
        if text is None:
            return None
        found = sealed_digest(text) if holder.kind == RECORD else hashlib.sha256(text).hexdigest()
        if found is None or found != (holder.digest or found):
            self.problems.append(
                f"{holder.place}: is not what it was when it was written; what it says is passed over"
            )
            return None
        content: dict[str, Any] = json.loads(text)
        return content


def _holds(entry: dict[str, Any], sha256: str) -> bool:
    return bool(entry["tree"] == sha256) or any(file["sha256"] == sha256 for file in entry["files"])
