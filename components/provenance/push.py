"""Whether what was pushed is what was recorded.

TFX's Pusher copies the serving folder of a model to where a server looks for it. Nobody checks the copy, and
nothing in it tells where it came from.
"""

from __future__ import annotations

import datetime
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.authenticity import Authenticity, examine
from tfx_trust.components.provenance.carrying import CARRIED, is_folder
from tfx_trust.components.provenance.carrying import carry as put_into
from tfx_trust.components.provenance.hashing import digest_folder
from tfx_trust.components.provenance.record import RECORD_FILE, ArtifactEntry, Change, Record
from tfx_trust.components.provenance.report import PushReport, PushSection
from tfx_trust.components.provenance.snapshots import Seen, changes
from tfx_trust.components.provenance.statement import serving_files
from tfx_trust.components.report import Finding, Severity

_SAID = {
    "changed": "changed since it was recorded",
    "missing": "missing",
    "added": "there that the model does not have",
    "renamed": "there under another name",
}
_REMEDY = "Take the copy away, find out who can write there, and push again."
_UNSIGNED = (
    "The record is not signed: nobody can tell whether somebody changed it, and the model, since it was made."
)


def compare(record: Record, folder: str) -> list[Change]:
    """What differs between a copy of the model and the folder that the record says is served, by path.

    The files that PushValidator itself puts into a copy are passed over, by their names; whatever else lies
    beside them counts as added. A symbolic link in the copy counts as a change, wherever it leads.

    Parameters
    ----------
    record
        The model's.
    folder
        The copy: a local path or a URI.

    Raises
    ------
    InputError
        If the record does not tell what is served, or the copy cannot be read.
    """
    expected = tuple(file for file in serving_files(record) if file.path not in CARRIED)
    if not expected:
        raise InputError(f"the record {record.digest} does not tell the files of the model that are served")
    links = frozenset() if "://" in folder else frozenset(_links(folder)) - CARRIED
    carried = frozenset(path for path in CARRIED if not _is_odd(os.path.join(folder, path)))
    model = record.artifact(record.model)
    copy = ArtifactEntry(
        id=model.id,
        type=model.type,
        uri=folder,
        role="model",
        files=digest_folder(folder, ignore=carried | links),
        tree="",
        observed=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    )
    found = {item.path: item for item in changes(copy, [Seen(expected, model.observed, RECORD_FILE)])}
    for path in links:
        known = found.get(path)
        found[path] = (
            Change(artifact=model.id, path=path, kind="added", seen=model.observed, found=copy.observed)
            if known is None
            else known.model_copy(update={"kind": "changed", "renamed_to": None})
        )
    return [found[path] for path in sorted(found)]


def _is_odd(place: str) -> bool:
    """Whether something lies there that is neither a file nor a link, which are written over."""
    if "://" in place:
        return is_folder(place)
    return os.path.lexists(place) and not (os.path.islink(place) or os.path.isfile(place))


def _links(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            place = os.path.join(parent, name)
            if os.path.islink(place):
                yield os.path.relpath(place, folder).replace(os.sep, "/")


def check_push(record_folder: str, destination: str | None, *, carry: bool = True) -> PushReport:
    """Compares a pushed copy with the record of its model, and puts the record and its signatures into it.

    Nothing is put into a copy that differs from its record, or could not be compared, nor from a record that
    was edited or whose signatures do not hold.

    Parameters
    ----------
    record_folder
        Folder of the record: a local path or a URI.
    destination
        The copy, likewise; none if nothing was pushed.
    carry
        Whether to put the record into the copy.

    Raises
    ------
    InputError
        If there is no record.
    """
    found = examine(record_folder, None)
    if not found.content:
        raise InputError(f"{record_folder}: there is no {RECORD_FILE}; run ProvenanceTracker first")
    section = PushSection(destination=destination, record=found.record.digest if found.record else "")
    findings = _record_findings(found)
    if destination is None:
        findings.append(
            _finding("pushed", Severity.NOT_RUN, "Nothing was pushed, so there is no copy to check.")
        )
    elif found.record is not None and _sound(findings):
        findings += _copy_findings(found.record, destination, section)
        if carry and _sound(findings):
            findings += _carry_findings(found, destination, section)
    return PushReport(component="PushValidator", findings=findings, settings={"carry": carry}, push=section)


def _finding(check: str, severity: Severity, message: str, remedy: str = "", subject: str = "") -> Finding:
    return Finding(check=check, severity=severity, message=message, remedy=remedy, subject=subject)


def _sound(findings: Sequence[Finding]) -> bool:
    return all(item.severity is Severity.INFO for item in findings)


def _record_findings(found: Authenticity) -> list[Finding]:
    findings = [
        _finding(
            "record",
            Severity.FAIL if problem.kind == "tampered" else Severity.NOT_RUN,
            f"The record cannot be believed: {problem.message}.",
            problem.remedy,
            problem.path,
        )
        for problem in found.problems
    ]
    if not findings and found.public is None:
        findings.append(_finding("signature", Severity.INFO, _UNSIGNED))
    return findings


def _copy_findings(record: Record, destination: str, section: PushSection) -> list[Finding]:
    if not is_folder(destination):
        return [_gone(destination)]
    try:
        section.changes = compare(record, destination)
    except InputError as error:
        message = f"The copy could not be compared with the record: {error}."
        return [_finding("pushed_copy", Severity.NOT_RUN, message, subject=destination)]
    section.files = len(serving_files(record))
    by_kind: defaultdict[str, list[str]] = defaultdict(list)
    for item in section.changes:
        by_kind[item.kind].append(item.path)
    return [_differs(kind, paths, destination) for kind, paths in by_kind.items()]


def _gone(destination: str) -> Finding:
    if "://" in destination or os.path.isabs(destination):
        message = "There is no folder where Pusher says that it put the model."
        return _finding("pushed_copy", Severity.FAIL, message, _REMEDY, destination)
    message = "The model was pushed to what is no folder that can be read from here."
    return _finding("pushed_copy", Severity.NOT_RUN, message, subject=destination)


def _differs(kind: str, paths: Sequence[str], destination: str) -> Finding:
    told = f"{paths[0]} is" if len(paths) == 1 else f"{len(paths)} files are"
    return Finding(
        check="pushed_copy",
        severity=Severity.FAIL,
        subject=paths[0] if len(paths) == 1 else destination,
        message=f"In the pushed copy, {told} {_SAID[kind]}.",
        remedy=_REMEDY,
        evidence={"files": list(paths)},
    )


def _carry_findings(found: Authenticity, destination: str, section: PushSection) -> list[Finding]:
    try:
        section.carried = put_into(found.content, destination)
    except Exception as error:  # Every file system has errors of its own.
        why = getattr(error, "strerror", None) or type(error).__name__
        message = f"The copy is right, but the record could not be put into it: {why}."
        remedy = "Give the pipeline the right to write there, or set carry to False."
        return [_finding("carried", Severity.WARN, message, remedy, destination)]
    return []
