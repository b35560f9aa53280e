"""From a record to a verdict."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping

from tfx_trust.components.provenance import words
from tfx_trust.components.provenance.config import ProvenanceSettings
from tfx_trust.components.provenance.obligations import conflicts
from tfx_trust.components.provenance.origins import of_data
from tfx_trust.components.provenance.record import Change, Record
from tfx_trust.components.provenance.report import ProvenanceReport, Signature
from tfx_trust.components.provenance.unknowns import GRAVE
from tfx_trust.components.provenance.view import section_of
from tfx_trust.components.report import Finding, InputRef

COMPONENT = "ProvenanceTracker"


def judge(
    record: Record,
    settings: ProvenanceSettings,
    *,
    signature: Signature | None = None,
    subjects: Mapping[str, int] | None = None,
    today: datetime.date | None = None,
    component: str = COMPONENT,
) -> ProvenanceReport:
    """The report on a record.

    Parameters
    ----------
    record
        Sealed.
    settings
        What is asked of it.
    signature
        What was signed; none if nothing was.
    subjects
        Number of data subjects indexed, by split.
    today
        For retention dates; that of the clock, in UTC, if not given.
    component
        Which program says so.
    """
    day = today or datetime.datetime.now(datetime.timezone.utc).date()
    findings = [
        *_tampered(record),
        *_missing(record),
        *conflicts(
            of_data(record.sources, record.artifacts),
            record.obligations,
            settings.use,
            day,
            require_declarations=settings.require_declarations,
        ),
        *_sources(record),
        *_trust(record, settings, signature),
        *_unknown(record),
    ]
    return ProvenanceReport(
        component=component,
        findings=findings,
        settings=settings.model_dump(mode="json"),
        inputs=_inputs(record),
        provenance=section_of(record, signature=signature, subjects=subjects),
    )


def _tampered(record: Record) -> Iterator[Finding]:
    by_artifact: dict[int, list[Change]] = {}
    for change in record.changes:
        if change.artifact is not None:
            by_artifact.setdefault(change.artifact, []).append(change)
    for number, found in sorted(by_artifact.items()):
        yield words.tampered(record.artifact(number), found)
    packaged = [item for item in record.changes if item.artifact is None and item.source is None]
    if packaged:
        yield words.code_changed(packaged)
    edited = [item for item in record.unknowns if words.is_edited(item)]
    if edited:
        yield words.chain_broken(edited)


def _missing(record: Record) -> Iterator[Finding]:
    gone = [item for item in record.unknowns if item.what == "artifact_files"]
    if gone:
        yield words.files_missing(record, gone)


def _sources(record: Record) -> Iterator[Finding]:
    for source in record.sources:
        found = [item for item in record.changes if item.source == source.id]
        if found:
            yield words.source_changed(source, found)


def _trust(record: Record, settings: ProvenanceSettings, signature: Signature | None) -> Iterator[Finding]:
    if signature is None:
        yield words.unsigned(required=settings.require_signature)
    if record.repository is None or record.repository.dirty:
        yield words.uncommitted(record, required=settings.require_commit)


def _unknown(record: Record) -> Iterator[Finding]:
    told = {"artifact_files", "environment", "repository"}
    left = [item for item in record.unknowns if item.what not in told and not words.is_edited(item)]
    if left:
        yield words.not_established(left, [item for item in left if item.what in GRAVE])
    if record.environment is None:
        yield words.made_afterwards()


def _inputs(record: Record) -> dict[str, list[InputRef]]:
    model = record.artifact(record.model)
    examples = [record.artifact(number) for number in (record.training.examples if record.training else [])]
    found = {"model": [model], "examples": examples}
    return {
        name: [InputRef(uri=item.uri, type=item.type, id=item.id, split_names=item.splits) for item in items]
        for name, items in found.items()
        if items
    }
