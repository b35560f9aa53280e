"""What two models differ in, with its JSON form."""

from __future__ import annotations

from typing import Literal

from tfx_trust.components.report import Model

DIFF_VERSION = "1.0"

Status = Literal["same", "changed", "added", "removed", "unknown"]
"""``added`` is in the second alone, ``removed`` in the first; ``unknown`` where a digest is missing."""


class Side(Model):
    """One of the two models."""

    model: int
    """Id of its artifact."""
    uri: str
    """Where it lies."""
    pipeline: str = ""
    """Name of the pipeline that made it."""
    run: str = ""
    """Id of the run that made it."""
    created: str = ""
    """When the store learned of it."""
    tree: str | None = None
    """Digest over its files."""
    origin: str = ""
    """Where the record is from."""


class Pair(Model):
    """Something of the two that differs."""

    name: str
    """What it is."""
    a: str | None = None
    """Of the first; none where it has none."""
    b: str | None = None
    """Of the second."""


class FileChanges(Model):
    """Files by their paths."""

    added: list[str] = []
    """In the second alone."""
    removed: list[str] = []
    """In the first alone."""
    changed: list[str] = []
    """In both, with other bytes."""
    renamed: dict[str, str] = {}
    """The same bytes under another name: the new one by the old."""


class DataDiff(Model):
    """A raw input, or examples, of both."""

    name: str
    """Place of the source; node and output of examples."""
    status: Status
    """How they compare."""
    a: str | None = None
    """What it was in the first: its place, query, span or splits."""
    b: str | None = None
    """What it is in the second."""
    tree_a: str | None = None
    """Digest over the files of the first."""
    tree_b: str | None = None
    """Digest over the files of the second."""
    files: FileChanges = FileChanges()
    """Which files differ."""


class CodeDiff(Model):
    """Code that both name by the same parameter."""

    name: str
    """Component and parameter."""
    status: Status
    """How it compares."""
    a: str | None = None
    """What the first names."""
    b: str | None = None
    """What the second names."""
    files: FileChanges = FileChanges()
    """Which files differ."""


class Diff(Model):
    """What two models differ in; what is the same is left out but for data and code."""

    schema_version: str = DIFF_VERSION
    """``major.minor``; a reader refuses another major."""
    a: Side
    """The first model."""
    b: Side
    """The second model."""
    same_model: bool | None
    """Whether their bytes are equal; none where a digest is missing."""
    sources: list[DataDiff] = []
    """Raw inputs."""
    examples: list[DataDiff] = []
    """Examples, by the node that made them."""
    code: list[CodeDiff] = []
    """User code."""
    repository: list[Pair] = []
    """Git state."""
    parameters: list[Pair] = []
    """Execution parameters, by ``component.parameter``, within JSON too."""
    environment: list[Pair] = []
    """Python, platform, container and the like."""
    packages: list[Pair] = []
    """Versions of distributions."""
    schema_status: Status = "same"
    """How the schemas compare."""
    schema_features: list[Pair] = []
    """Features that differ, if the schemas still lie there."""
    metrics: list[Pair] = []
    """Metrics, all of them, whether they differ or not."""
    obligations: list[Pair] = []
    """Licences, purposes, retention and what else is inherited."""
    unknowns: list[str] = []
    """What could not be compared, in sentences."""
