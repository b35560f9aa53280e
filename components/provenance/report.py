"""The report of ProvenanceTracker, and that of PushValidator."""

from __future__ import annotations

from typing import ClassVar, Literal

from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.record import (
    Change,
    Environment,
    Obligations,
    Previous,
    Repository,
    Unknown,
)
from tfx_trust.components.report import Model, Report


class LineageNode(Model):
    """An artifact, an execution or a source, as the picture shows it."""

    id: str
    """``artifact:14``, ``execution:7`` or ``source:1``."""
    kind: Literal["artifact", "execution", "source"]
    """What it is."""
    label: str
    """Type of the artifact, node of the execution, name of the source."""
    detail: str = ""
    """A second line: a short digest, a licence, a duration."""
    digest: str | None = None
    """Full digest over its files."""
    place: str = ""
    """Where it lies."""
    role: Literal["model", "upstream", "related"] = "upstream"
    """As in the record."""
    licence: str | None = None
    """Of a source."""
    state: Literal["known", "changed", "unknown"] = "known"
    """Whether its bytes are as they were, are not, or could not be read."""
    files: int = 0
    """How many."""
    bytes: int = 0
    """Of all its files."""
    count: int = 1
    """How many artifacts, executions or sources that are alike it stands for, where there are too many to be
    shown one by one."""
    made: str = ""
    """When; ISO 8601."""


class LineageEdge(Model):
    """What was read by what, or made by it."""

    source: str
    """Id of a node."""
    target: str
    """Id of another."""
    name: str = ""
    """Of the input or output."""


class SourceSummary(Model):
    """A source in the table of sources."""

    id: str
    """As in the record."""
    kind: str
    """As in the record."""
    place: str
    """As in the record."""
    files: int
    """How many."""
    bytes: int
    """Of all its files."""
    digest: str | None
    """Over them."""
    declaration: SourceDeclaration | None
    """What is declared of it."""
    declared_in: str | None
    """Where."""


class Signature(Model):
    """What was signed, and by whom."""

    key_id: str
    """sha256 of the public key's PEM text, in hex."""
    algorithm: str
    """E.g. ``ECDSA P-256, SHA-256``."""
    files: list[str]
    """Names of the signatures' files, beside the report."""


class ProvenanceSection(Model):
    """What ProvenanceTracker found out."""

    model: str
    """URI of the model."""
    digest: str | None
    """Over the files of the model."""
    record: str
    """Digest of ``record.json``."""
    pipeline: str = ""
    """Its name."""
    run: str = ""
    """Id of the run that made the model."""
    nodes: list[LineageNode]
    """The lineage."""
    edges: list[LineageEdge]
    """Between them."""
    sources: list[SourceSummary]
    """Raw inputs."""
    obligations: Obligations
    """What the model inherits."""
    changes: list[Change]
    """What is not as it was."""
    unknowns: list[Unknown]
    """What could not be established."""
    signature: Signature | None
    """None where nothing was signed."""
    repository: Repository | None
    """Git state of the code."""
    environment: Environment | None
    """What it ran on."""
    seeds: dict[str, str | int | bool | None] = {}
    """Of the training."""
    previous: Previous | None
    """The record before."""
    subjects: dict[str, int] = {}
    """Number of data subjects indexed, by split; empty where there is no index."""


class ProvenanceReport(Report):
    """Report of ProvenanceTracker and of ``tfx-trust provenance record``."""

    CONCERN: ClassVar[str] = "provenance"

    provenance: ProvenanceSection
    """What was found."""


class PushSection(Model):
    """How a pushed copy compares with the model that was recorded."""

    destination: str | None
    """Where Pusher put it; none if nothing was pushed."""
    record: str
    """Digest of the model's record."""
    files: int = 0
    """How many were compared."""
    changes: list[Change] = []
    """What differs."""
    carried: list[str] = []
    """Files that were put into the copy, relative to it."""


class PushReport(Report):
    """Report of PushValidator."""

    CONCERN: ClassVar[str] = "push"

    push: PushSection
    """What was found."""
