"""The record: everything that a model came from, with the digests of its bytes.

Its file is canonical JSON: keys sorted, no spaces, UTF-8, no floating-point numbers (those of parameters are
written as text), one line feed at the end. So equal records are equal bytes, and a digest of them is a name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pydantic

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.config import IntendedUse, SourceDeclaration
from tfx_trust.components.report import Model, explain

RECORD_VERSION = "1.0"
RECORD_FILE = "record.json"
SIGNATURE_FILE = "model.sig"
"""Signature of the model's artifact folder."""
SERVING_SIGNATURE_FILE = "serving.sig"
"""Signature of what is served of it: the folder that Pusher copies. It lies in the copy as ``model.sig``."""
STATEMENT_FILE = "provenance.dsse.json"

WHOLE_FOLDER = "."
"""Path of a change of which it is not known which file it is in."""

Role = Literal["model", "upstream", "related"]
"""The model itself; what it was made of; what else was connected, such as its evaluation."""
Value = str | int | bool | None


class FileEntry(Model):
    """One file."""

    path: str
    """Relative to its artifact's folder, with ``/``; of a raw input, relative to the source's place."""
    size: int = pydantic.Field(ge=0)
    """In bytes."""
    sha256: str
    """Of its bytes, in hex."""


class ArtifactEntry(Model):
    """One artifact of the metadata store."""

    id: int
    """In the store."""
    type: str
    """Its type's name, e.g. ``Examples``."""
    name: str = ""
    """Name in the store, if it has one."""
    uri: str
    """Where it lies; absolute."""
    role: Role
    """Why it is in the record."""
    state: str = ""
    """As the store has it, e.g. ``LIVE``."""
    created: str = ""
    """When the store learned of it; ISO 8601, UTC."""
    properties: dict[str, Value] = {}
    """Properties and custom properties; what looks like a secret is masked."""
    splits: list[str] = []
    """Names of its splits, of Examples and the like."""
    span: int | None = None
    """Number of its span, if it has one."""
    version: int | None = None
    """Of the span, if it has one."""
    files: list[FileEntry] = []
    """All files below its folder, by path."""
    tree: str | None = None
    """Digest that binds the names, sizes and bytes of all files; none where they could not be read."""
    observed: str = ""
    """When the files were read."""


class Port(Model):
    """One artifact that an execution read or wrote."""

    name: str
    """Of the input or output."""
    artifact: int
    """Id of the artifact."""


class ExecutionEntry(Model):
    """One execution of a component."""

    id: int
    """In the store."""
    type: str
    """Full name of the component's type."""
    component: str
    """Id of its node; the short name of the type where it is not known."""
    run: str = ""
    """Id of its pipeline run."""
    state: str
    """E.g. ``COMPLETE``."""
    started: str = ""
    """ISO 8601, UTC."""
    finished: str = ""
    """When the store was last told of it."""
    parameters: dict[str, Value] = {}
    """Execution parameters; what looks like a secret is masked, floating-point numbers are text."""
    inputs: list[Port] = []
    """What it read."""
    outputs: list[Port] = []
    """What it made."""
    reused_in: list[str] = []
    """Runs that were served its outputs from the cache."""


class SourceEntry(Model):
    """A raw input, which TFX keeps no artifact of."""

    id: str
    """Unique in the record, e.g. ``source:1``."""
    kind: Literal["files", "query", "import", "artifact"]
    """Files that an ExampleGen read; its query; what an importer took in; Examples that nothing made."""
    place: str
    """Folder, query or URI; a password in it is masked."""
    patterns: dict[str, str] = {}
    """File pattern by split, spans put in."""
    read_by: int | None = None
    """Id of the execution that read it."""
    made: list[int] = []
    """Ids of the artifacts that it was read into."""
    span: int | None = None
    """Span that was read, if it has one."""
    files: list[FileEntry] = []
    """The files, as they lie there now."""
    tree: str | None = None
    """Digest over them; none where they could not be read."""
    observed: str = ""
    """When they were read."""
    declaration: SourceDeclaration | None = None
    """What is declared of it."""
    declared_in: str | None = None
    """Where: a file, an artifact, or ``settings``."""


class CodeEntry(Model):
    """Code that is named by a parameter of an execution."""

    parameter: str
    """Its name, e.g. ``run_fn``, ``module_file``, ``module_path``."""
    reference: str
    """Its value: a dotted path, a file, a wheel."""
    execution: int
    """Id of the execution."""
    files: list[FileEntry] = []
    """Source files, or the wheel, with digests; as they are now."""
    tree: str | None = None
    """Digest over them; none where they could not be read."""


class Repository(Model):
    """State of the git repository of the code."""

    commit: str
    """Full id."""
    branch: str | None = None
    """Name, if one is checked out."""
    remote: str | None = None
    """Address of ``origin``, without user and password."""
    dirty: bool
    """Whether anything differs from the commit, untracked files included."""
    changed: list[str] = []
    """Which files do."""
    diff_sha256: str | None = None
    """Digest of the changes to tracked files."""


class Environment(Model):
    """What the pipeline ran on."""

    python: str
    """Version."""
    implementation: str
    """E.g. ``CPython``."""
    platform: str
    """Operating system and its version."""
    machine: str
    """E.g. ``x86_64``."""
    processors: int | None = None
    """How many it may use."""
    packages: dict[str, str]
    """Version of every installed distribution, by name."""
    container: str | None = None
    """Image that it ran in, if told."""
    variables: dict[str, str] = {}
    """Environment variables that decide about repeatability, e.g. ``PYTHONHASHSEED``; those alone."""


class Training(Model):
    """What the model was trained on, told apart from what else had an influence."""

    execution: int
    """Id of the execution that made the model."""
    examples: list[int] = []
    """Ids of the Examples that it read."""
    splits: list[str] = []
    """Names of the splits that it learned from; empty where that is not told."""
    evaluation_splits: list[str] = []
    """Names of the splits that it only looked at."""


class Obligations(Model):
    """What the model inherits of its sources: of each the strictest."""

    licences: list[str] = []
    """Expressions of all sources."""
    commercial: Literal["allowed", "forbidden", "unknown"] = "unknown"
    """Whether somebody may earn by it."""
    derivatives: Literal["allowed", "forbidden", "unknown"] = "unknown"
    """Whether anything may be made of the data and used."""
    distribution: Literal["allowed", "forbidden", "unknown"] = "unknown"
    """Whether the model may be handed to others."""
    attribution: list[str] = []
    """Names of sources that must be named."""
    share_alike: list[str] = []
    """Licences that what is made of the data must be handed on under."""
    purposes: list[str] | None = None
    """What every source that says something allows; none where no source does."""
    retention: str | None = None
    """The earliest day on which a source must be gone; ISO 8601."""
    personal_data: list[str] = []
    """Categories of all sources."""
    legal_bases: dict[str, str] = {}
    """By name of the source."""
    undeclared: list[str] = []
    """Ids of sources that nothing is declared of."""


class Change(Model):
    """A file of an artifact that is not what it was when it was seen before."""

    artifact: int | None = None
    """Id of the artifact; none of a raw input."""
    source: str | None = None
    """Id of the raw input."""
    path: str
    """Of the file; ``.`` where it is only known that something below the folder is."""
    kind: Literal["changed", "missing", "added", "renamed"]
    """What happened to it."""
    renamed_to: str | None = None
    """Where the same bytes lie now."""
    before: str | None = None
    """sha256 that was seen; of a whole folder, the digest over its files."""
    now: str | None = None
    """What is there."""
    seen: str = ""
    """When it was last seen as it was: it changed after that."""
    seen_in: str = ""
    """The snapshot or record that says so."""
    found: str = ""
    """When it was first seen otherwise: it changed before that."""
    reason: Literal["read_anew", "same_size", "after_reading"] | None = None
    """Of a raw input: it was read anew since, as new data are; so, but a file of other bytes has the size of
    the old one; or the model was made of what lay there before."""


class Unknown(Model):
    """Something that could not be established."""

    what: str
    """A short machine name, e.g. ``source_files``."""
    subject: str
    """What it is about."""
    why: str
    """In a sentence."""


class Previous(Model):
    """The record before this one, of the same pipeline."""

    digest: str
    """Its own."""
    uri: str
    """Folder that it lies in."""
    artifact: int | None = None
    """Id of its artifact."""
    created: str = ""
    """When it was made."""


class Record(Model):
    """What is known of a model's origin."""

    schema_version: str = RECORD_VERSION
    """``major.minor``; a reader refuses another major."""
    created: str
    """ISO 8601, UTC."""
    pipeline: str = ""
    """Name of the pipeline that made the model."""
    run: str = ""
    """Id of the run that made it."""
    model: int
    """Id of the model's artifact."""
    serving: str | None = None
    """Folder within the model's artifact that is pushed, e.g. ``Format-Serving``; none where there is
    none."""
    artifacts: list[ArtifactEntry]
    """By id."""
    executions: list[ExecutionEntry]
    """By id; those that completed and made something of `artifacts`."""
    sources: list[SourceEntry] = []
    """Raw inputs."""
    training: Training | None = None
    """What the model learned from."""
    code: list[CodeEntry] = []
    """User code."""
    repository: Repository | None = None
    """Git state of the code."""
    environment: Environment | None = None
    """Where the record was made: that of the training if a component made it; none otherwise."""
    schemas: dict[str, str] = {}
    """sha256 of the schema's file by URI of its artifact."""
    seeds: dict[str, Value] = {}
    """Seeds that are among the parameters, by ``component.parameter``."""
    obligations: Obligations = Obligations()
    """What the model inherits."""
    use: IntendedUse | None = None
    """What it was said to be for."""
    changes: list[Change] = []
    """What differs from snapshots and records made before."""
    unknowns: list[Unknown] = []
    """What could not be established."""
    previous: Previous | None = None
    """The record before; none of the first."""
    digest: str = ""
    """sha256 over the canonical JSON of all other fields."""

    @pydantic.model_validator(mode="after")
    def _readable(self) -> Record:
        if is_other_version(self.schema_version):
            raise ValueError(_other_version(self.schema_version))
        return self

    def sealed(self) -> Record:
        """The record with its own digest."""
        return self.model_copy(update={"digest": self.content_digest()})

    def content_digest(self) -> str:
        """What `digest` has to be."""
        content = self.model_dump(mode="json")
        del content["digest"]
        return hashlib.sha256(canonical(content)).hexdigest()

    def to_bytes(self) -> bytes:
        """The file's content."""
        return canonical(self.model_dump(mode="json")) + b"\n"

    def artifact(self, number: int) -> ArtifactEntry:
        """The artifact with this id; KeyError if it is not in the record."""
        return {item.id: item for item in self.artifacts}[number]

    @classmethod
    def load(cls, path: str | Path) -> Record:
        """Reads a record from its file or its folder.

        Raises
        ------
        InputError
            If there is none, it is no record, or one of another version.
        """
        path = Path(path)
        if path.is_dir():
            path = path / RECORD_FILE
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: no record can be read there ({error.strerror})") from None
        return cls.of_bytes(content, str(path))

    @classmethod
    def of_bytes(cls, content: bytes, place: str) -> Record:
        """A record from the content of its file.

        Raises
        ------
        InputError
            If it is none, or of another version; `place` is named.
        """
        try:
            return cls.model_validate_json(content)
        except pydantic.ValidationError as error:
            # Of another version the fields differ too, which says less.
            version = version_of(content)
            why = _other_version(version) if is_other_version(version) else f"not a record: {explain(error)}"
            raise InputError(f"{place}: {why}") from None


def version_of(content: bytes) -> str:
    """The version that the content of a record's file says it has; this one if it says none."""
    try:
        return str(json.loads(content)["schema_version"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return RECORD_VERSION


def is_other_version(version: str) -> bool:
    """Whether records of a version cannot be read here."""
    return version.partition(".")[0] != RECORD_VERSION.partition(".")[0]


def _other_version(version: str) -> str:
    return (
        f"schema_version is {version}, this tfx-trust reads {RECORD_VERSION}: use the version of tfx-trust "
        "that wrote the record"
    )


def canonical(content: Mapping[str, Any]) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8.

    Raises
    ------
    TypeError
        If there is a floating-point number in it: their texts differ between programs.

    Examples
    --------
    >>> canonical({"b": 1, "a": "é"}).decode()
    '{"a":"é","b":1}'
    """
    _refuse_floats(content)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _refuse_floats(content: Any) -> None:
    if isinstance(content, float):
        raise TypeError(f"{content!r} is a floating-point number; write it as text")
    if isinstance(content, Mapping):
        content = content.values()
    if not isinstance(content, (str, bytes)) and hasattr(content, "__iter__"):
        for item in content:
            _refuse_floats(item)
