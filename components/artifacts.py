"""Every artifact type of the library, and how a report gets in and out of one.

Type names are global in a metadata store, hence the prefix.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import pydantic
from tfx.dsl.io import fileio
from tfx.types import artifact

from tfx_trust.components.errors import InputError
from tfx_trust.components.page import render_report
from tfx_trust.components.report import PAGE_FILE, REPORT_FILE, InputRef, Report, explain

ReportT = TypeVar("ReportT", bound=Report)


Artifacts = dict[str, list[artifact.Artifact]]
"""What an executor is given and gives: artifacts by the name of the input or output."""


def first(artifacts: Artifacts, key: str) -> artifact.Artifact | None:
    """The first artifact of an input; none where it is not connected, or nothing was there."""
    return next(iter(artifacts.get(key) or ()), None)


def only(artifacts: Sequence[artifact.Artifact], component: str) -> artifact.Artifact:
    """The artifact of an input that has exactly one.

    Raises
    ------
    InputError
        If there are none, or several.
    """
    if len(artifacts) != 1:
        kind = artifacts[0].type_name if artifacts else "such"
        raise InputError(
            f"{len(artifacts)} {kind} artifacts; {component} takes one (spans are to be taken one by one)"
        )
    return artifacts[0]


class TrustReport(artifact.Artifact):
    """A folder with ``report.json`` and ``report.html``; custom properties ``verdict`` and ``findings``.

    Gates of one's own may use it as it is or subclass it.
    """

    TYPE_NAME = "TrustReport"


class ReleaseReport(TrustReport):
    """What ReleaseGate weighed, and its decision."""

    TYPE_NAME = "TrustReleaseReport"


class LeakageReport(TrustReport):
    """What LeakageValidator counted, and its judgement."""

    TYPE_NAME = "TrustLeakageReport"


class FairnessReport(TrustReport):
    """What FairnessEvaluator measured, and its judgement."""

    TYPE_NAME = "TrustFairnessReport"


class MitigationReport(TrustReport):
    """What ThresholdTuner or Reweigher changed, what it cost and what it closed."""

    TYPE_NAME = "TrustMitigationReport"


class PrivacyReport(TrustReport):
    """What PrivateTrainer guarantees, and what it does not."""

    TYPE_NAME = "TrustPrivacyReport"


class AuditReport(TrustReport):
    """What PrivacyAuditor found out by attacking a model."""

    TYPE_NAME = "TrustAuditReport"


class ProvenanceRecord(TrustReport):
    """Where a model came from: ProvenanceTracker's record, its signatures, and its judgement."""

    TYPE_NAME = "TrustProvenanceRecord"


class PushReport(TrustReport):
    """How what Pusher put into place compares with the model that was recorded."""

    TYPE_NAME = "TrustPushReport"


class Snapshot(artifact.Artifact):
    """Digests of artifacts' files, taken as soon as they were made."""

    TYPE_NAME = "TrustSnapshot"


class SourceDeclarations(artifact.Artifact):
    """What is declared of the sources of data."""

    TYPE_NAME = "TrustSourceDeclarations"


def write_report(report: Report, destination: artifact.Artifact) -> None:
    """Writes a report into its artifact, on any file system that TFX knows.

    The artifact gets the custom properties ``verdict`` (string) and ``findings`` (their count),
    so that ``tfx.dsl.Cond`` can branch on them.
    """
    fileio.makedirs(destination.uri)
    for name, text in ((REPORT_FILE, report.to_json()), (PAGE_FILE, render_report(report, destination.uri))):
        with fileio.open(os.path.join(destination.uri, name), "wb") as file:
            file.write(text.encode())
    destination.set_string_custom_property("verdict", str(report.verdict))
    destination.set_int_custom_property("findings", len(report.findings))


def read_report(source: artifact.Artifact, kind: type[ReportT] = Report) -> ReportT:  # type: ignore[assignment]
    """Reads the report of an artifact.

    Raises
    ------
    InputError
        If there is none, or it is not of the shape that `kind` describes.
    """
    path = os.path.join(source.uri, REPORT_FILE)
    if not fileio.exists(path):
        raise InputError(f"{path}: no such report; the component that should have written it did not")
    with fileio.open(path, "rb") as file:
        text = file.read()
    try:
        return kind.model_validate_json(text)
    except pydantic.ValidationError as error:
        raise InputError(f"{path}: not a report: {explain(error)}; run its component again") from None


def reference(source: artifact.Artifact) -> InputRef:
    """How a report names an artifact that it looked at."""
    properties = source.mlmd_artifact.properties
    splits = properties["split_names"].string_value if "split_names" in properties else ""
    return InputRef(
        uri=source.uri,
        type=source.type_name,
        id=source.id or None,
        split_names=[part.strip(' "') for part in splits.strip("[]").split(",") if part.strip(' "')],
    )
