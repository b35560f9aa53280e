"""Snapshots: what artifacts' files were when they were made, and what became of them since.

A snapshot says what it saw, and when. So do the records of ProvenanceTracker. Whatever was seen first of an
artifact is what it was; a file that is not so any more was changed after it was last seen as it was, and
before it was first seen otherwise.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pydantic

from tfx_trust.components.errors import InputError
from tfx_trust.components.mlmd import COMPLETE, INPUTS, OUTPUTS, Artifact, Prefixes, Store, rewritten
from tfx_trust.components.provenance.reading import content_of
from tfx_trust.components.provenance.record import (
    RECORD_FILE,
    ArtifactEntry,
    Change,
    FileEntry,
    Record,
    Unknown,
    canonical,
)
from tfx_trust.components.provenance.sealed import has_digest
from tfx_trust.components.report import Model, explain

if TYPE_CHECKING:
    from tfx.dsl.components.base.base_node import BaseNode

    from tfx_trust.components.provenance.snapshot_component import ArtifactSnapshot

SNAPSHOT_VERSION = "1.0"
SNAPSHOT_FILE = "snapshot.json"
SNAPSHOT, RECORD = "TrustSnapshot", "TrustProvenanceRecord"
"""Names of the artifact types that tell of bytes."""
SNAPSHOT_DIGEST, RECORD_DIGEST = "snapshot_digest", "record_digest"
"""Custom properties of theirs: what the digest of their content has to be."""


class SnapshotEntry(Model):
    """One artifact as it was."""

    id: int
    """In the metadata store."""
    type: str
    """Its type's name."""
    uri: str
    """Where it lies."""
    files: list[FileEntry] = []
    """All files below its folder, by path."""
    tree: str | None = None
    """Digest over them; none where they could not be read."""
    observed: str
    """When they were read; ISO 8601, UTC."""
    problem: str | None = None
    """Why they could not be read."""


class Snapshot(Model):
    """What is in ``snapshot.json``: canonical JSON, as a record's."""

    schema_version: str = SNAPSHOT_VERSION
    """``major.minor``; a reader refuses another major."""
    artifacts: list[SnapshotEntry]
    """By id."""

    @pydantic.model_validator(mode="after")
    def _readable(self) -> Snapshot:
        if self.schema_version.partition(".")[0] != SNAPSHOT_VERSION.partition(".")[0]:
            raise ValueError(
                f"schema_version is {self.schema_version}, this tfx-trust reads {SNAPSHOT_VERSION}: use the "
                "version of tfx-trust that wrote the snapshot"
            )
        return self

    def to_bytes(self) -> bytes:
        """The file's content."""
        return canonical(self.model_dump(mode="json")) + b"\n"

    def digest(self) -> str:
        """The file's sha256."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @classmethod
    def of_bytes(cls, content: bytes, place: str) -> Snapshot:
        """A snapshot from the content of its file.

        Raises
        ------
        InputError
            If it is none, or of another version; `place` is named.
        """
        try:
            return cls.model_validate_json(content)
        except pydantic.ValidationError as error:
            raise InputError(f"{place}: not a snapshot: {explain(error)}") from None


@dataclass(frozen=True)
class Seen:
    """What was seen of an artifact's files at some time."""

    files: tuple[FileEntry, ...]
    observed: str
    """ISO 8601, UTC."""
    where: str
    """The file of the snapshot or record that says so."""


def track(component: BaseNode) -> ArtifactSnapshot:
    """A node that takes a snapshot of all outputs of a component; it is to be added to the pipeline.

    Its id is ``Snapshot_`` and that of the component, which must have got its own before.

    Examples
    --------
    >>> components += [trainer, track(trainer)]                              # doctest: +SKIP
    """
    from tfx_trust.components.provenance.snapshot_component import ArtifactSnapshot

    snapshot = ArtifactSnapshot(artifacts=component.outputs)
    snapshot.id = f"Snapshot_{component.id}"
    return snapshot


# What a store tells


def earlier(
    store: Store,
    artifacts: Iterable[int],
    *,
    rewrite: Prefixes = (),
    unknowns: list[Unknown] | None = None,
    records: bool = True,
) -> dict[int, list[Seen]]:
    """What the snapshots and records of a store say of some artifacts, the earliest first.

    Snapshots are found by the events of the store; of the records only those are read in full that name the
    place of an artifact.

    Parameters
    ----------
    store
        The metadata store.
    artifacts
        Ids.
    rewrite
        Old and new beginnings of places, if the files were moved.
    unknowns
        A list that gets an entry for each snapshot or record that cannot be believed: its file is gone or
        unreadable, or is not what the store says that it was.
    records
        Whether records count, all of which have to be opened; or snapshots alone.

    Returns
    -------
    dict
        By id of the artifact; one that nothing is told of has an empty list.
    """
    wanted = store.artifacts(artifacts)
    seen: dict[int, list[Seen]] = {number: [] for number in wanted}
    holders = _snapshots_of(store, wanted)
    if records and wanted:
        holders += store.artifacts_of_type(RECORD)
    for holder in holders:
        name = SNAPSHOT_FILE if holder.type == SNAPSHOT else RECORD_FILE
        place = os.path.join(rewritten(holder.uri, rewrite), name)
        try:
            entries = _entries(holder, place, wanted.values())
        except InputError as error:
            if unknowns is not None:
                subject = f"artifact:{holder.id}"
                unknowns.append(Unknown(what="earlier_observation", subject=subject, why=str(error)))
            continue
        for entry in entries:
            if entry.id in wanted and entry.tree is not None:
                seen[entry.id].append(Seen(tuple(entry.files), entry.observed, place))
    for found in seen.values():
        found.sort(key=lambda item: item.observed)
    return seen


def _snapshots_of(store: Store, artifacts: Iterable[int]) -> list[Artifact]:
    readers = {event.execution for event in store.events_of_artifacts(artifacts) if event.kind in INPUTS}
    done = [number for number, item in store.executions(readers).items() if item.state == COMPLETE]
    made = [event.artifact for event in store.events_of_executions(done) if event.kind in OUTPUTS]
    return [item for item in store.artifacts(made).values() if item.type == SNAPSHOT]


def _entries(
    holder: Artifact, place: str, wanted: Iterable[Artifact]
) -> Sequence[SnapshotEntry | ArtifactEntry]:
    content = content_of(place)
    if holder.type == SNAPSHOT:
        snapshot = Snapshot.of_bytes(content, place)
        _believe(snapshot.digest() == holder.properties.get(SNAPSHOT_DIGEST, snapshot.digest()), place)
        return snapshot.artifacts
    noted = holder.properties.get(RECORD_DIGEST)
    _believe(noted is None or has_digest(content, str(noted)), place)
    # Reading a record in full takes a hundred times as long as looking for a text in it.
    if not any(canonical({"uri": item.uri})[1:-1] in content for item in wanted):
        return []
    record = Record.of_bytes(content, place)
    _believe(noted is not None or record.content_digest() == record.digest, place)
    return record.artifacts


def _believe(is_as_noted: bool, place: str) -> None:
    if not is_as_noted:
        raise InputError(f"{place}: was edited: the metadata store has another digest of it")


# What changed


def changes(entry: ArtifactEntry, seen: Iterable[Seen]) -> list[Change]:
    """Which files of an artifact are not, or once were not, what they were when it was seen first, by path.

    A file that was changed and put back counts: whoever read it in between read something else. Then ``now``
    is what ``before`` is. A file whose very bytes lie under another name is ``renamed``.

    Parameters
    ----------
    entry
        The artifact as it is now. Where its files could not be read, only what was seen is compared.
    seen
        Of it, in any order, as :func:`earlier` gives it.
    """
    found = sorted(seen, key=lambda item: item.observed)
    if entry.tree is not None:
        found.append(Seen(tuple(entry.files), entry.observed, ""))
    views = [{file.path: file for file in item.files} for item in found]
    if all(view == views[0] for view in views[1:]):
        return []
    made = {
        path: _change(entry.id, path, found, [view.get(path) for view in views])
        for path in sorted(set().union(*views))
        if any(view.get(path) != views[0].get(path) for view in views)
    }
    _pair_renames(made, views[0], views[-1])
    return list(made.values())


def _change(artifact: int, path: str, found: Sequence[Seen], states: Sequence[FileEntry | None]) -> Change:
    first = states[0]
    turned = next(index for index, state in enumerate(states) if state != first)
    now = states[-1]
    kind: Literal["added", "missing", "changed"] = (
        "added" if first is None else "missing" if now is None else "changed"
    )
    return Change(
        artifact=artifact,
        path=path,
        kind=kind,
        before=first and first.sha256,
        now=now and now.sha256,
        seen=found[turned - 1].observed,
        seen_in=found[turned - 1].where,
        found=found[turned].observed,
    )


def _pair_renames(
    made: dict[str, Change], before: Mapping[str, FileEntry], now: Mapping[str, FileEntry]
) -> None:
    """Puts together what is gone here and new there with the same bytes."""
    new: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for path in sorted(now.keys() - before.keys(), reverse=True):
        new[now[path].size, now[path].sha256].append(path)
    for path in sorted(before.keys() - now.keys()):
        candidates = new[before[path].size, before[path].sha256]
        if candidates:
            target = candidates.pop()
            del made[target]
            made[path] = made[path].model_copy(update={"kind": "renamed", "renamed_to": target})
