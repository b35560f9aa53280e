"""The findings of provenance, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tfx_trust.components.page.words import when
from tfx_trust.components.provenance.chain import EDITED
from tfx_trust.components.provenance.record import (
    WHOLE_FOLDER,
    ArtifactEntry,
    Change,
    Record,
    SourceEntry,
    Unknown,
)
from tfx_trust.components.report import Estimate, Finding, Severity, as_sentence

_NAMED = 3
# How many changes or unknowns a finding holds; the report has them all.
_EVIDENCE = 50
_KINDS = {"changed": "was changed", "missing": "is gone", "added": "was added", "renamed": "was renamed"}


def tampered(entry: ArtifactEntry, changes: Sequence[Change]) -> Finding:
    """Files of an artifact are not, or were not all along, what was made."""
    first = changes[0]
    others = len(changes) - 1
    more = f"; {others:,} more {_verb(others, 'file', 'files')} likewise" if others else ""
    return Finding(
        check="tampered",
        severity=Severity.FAIL,
        subject=f"{entry.type} {entry.id}",
        statistic=_share(len(changes), len(entry.files)),
        message=f"{entry.type} {entry.id} is not what was made: {_named(first)} {_done(first)} "
        f"{_when(first)}{more}.",
        remedy="Find out who wrote there. Do not use this model: make the artifact, and all that came after "
        "it, anew.",
        evidence={"uri": entry.uri, "seen_in": first.seen_in, "changes": _changes(changes)},
    )


def code_changed(changes: Sequence[Change]) -> Finding:
    """A wheel is not what was packaged."""
    return Finding(
        check="tampered",
        severity=Severity.FAIL,
        subject="code",
        statistic=Estimate(value=float(len(changes))),
        message=f"Packaged code is not what was packaged: {_names(change.path for change in changes)} "
        f"{_verb(len(changes), 'does', 'do')} not agree with the wheel's own list of files.",
        remedy="Find out who wrote there. Package the code anew from a commit that is known to be right, and "
        "train again.",
        evidence={"changes": _changes(changes)},
    )


def is_edited(item: Unknown) -> bool:
    """Whether an earlier record or snapshot was edited, rather than lost."""
    return item.what == "earlier_observation" and EDITED in item.why


def chain_broken(edited: Sequence[Unknown]) -> Finding:
    """What earlier records or snapshots say cannot be believed."""
    return Finding(
        check="chain_broken",
        severity=Severity.FAIL,
        subject=_names(item.subject for item in edited),
        statistic=Estimate(value=float(len(edited))),
        message=f"An earlier observation was tampered with. {as_sentence(edited[0].why)}",
        remedy="Find out who wrote there. What was recorded before cannot be relied upon: restore it from a "
        "copy, or begin anew and say so.",
        evidence={"edited": _unknowns(edited)},
    )


def files_missing(record: Record, gone: Sequence[Unknown]) -> Finding:
    """Artifacts of which there are no bytes to be looked at."""
    count, all_of_them = len(gone), len(record.artifacts)
    return Finding(
        check="files_missing",
        severity=Severity.NOT_RUN,
        subject=_names(item.subject for item in gone),
        statistic=_share(count, all_of_them),
        message=f"{count} of {all_of_them} artifacts could not be checked. {as_sentence(gone[0].why)}",
        remedy="Put the files back, or say where they lie now; otherwise make them anew.",
        evidence={"artifacts": _unknowns(gone)},
    )


def source_changed(source: SourceEntry, changes: Sequence[Change]) -> Finding:
    """A raw input has other bytes than in the record before."""
    name = source.declaration.name if source.declaration else source.place
    reasons = {change.reason for change in changes}
    since = next((when(change.seen) for change in changes if change.seen), "the time of the record before")
    differing = f"{_files(len(changes))} ({_names(change.path for change in changes)})"
    severity, remedy = Severity.WARN, ""
    if "after_reading" in reasons:
        message = (
            f"{name} was changed after it was read, in {differing}: the model is of what lay there before."
        )
        remedy = "Train anew on what lies there now, or put back what the model came from."
    elif "same_size" in reasons:
        message = (
            f"{name} was exchanged since {since}, in {differing}, for bytes of the very same size: new data "
            "seldom have that, and TFX by itself may not see it."
        )
        remedy = "Ask whoever keeps the data whether they were meant to be exchanged."
    else:
        severity = Severity.INFO
        message = f"{name} holds other data since {since}, in {differing}; they were read anew."
    return Finding(
        check="source_changed",
        severity=severity,
        subject=source.id,
        statistic=_share(len(changes), len(source.files)),
        message=message,
        remedy=remedy,
        evidence={"place": source.place, "changes": _changes(changes)},
    )


def unsigned(*, required: bool) -> Finding:
    """Nobody answers for the record."""
    return Finding(
        check="unsigned",
        severity=Severity.FAIL if required else Severity.INFO,
        subject="record",
        message="The record is not signed: whoever can write to its folder can change it together with the "
        "files that it speaks of.",
        remedy="Make a key with `tfx-trust provenance keygen`, and name it as `signing_key` or "
        "`signing_key_env`.",
    )


def uncommitted(record: Record, *, required: bool) -> Finding:
    """The code is in no commit, so that nobody can get it again."""
    severity = Severity.FAIL if required else Severity.INFO
    repository = record.repository
    if repository is None:
        why = next((item.why for item in record.unknowns if item.what == "repository"), "no git repository")
        return Finding(
            check="uncommitted_code",
            severity=severity,
            subject="code",
            message=f"It is not known which commit the code is of: {why.rstrip('.')}.",
            remedy="Keep the code in git, and give its folder as `repository`.",
        )
    changed = repository.changed
    return Finding(
        check="uncommitted_code",
        severity=severity,
        subject="code",
        statistic=Estimate(value=float(len(changed))),
        message=f"The code is not as it was committed: {_names(changed)} "
        f"{_verb(len(changed), 'differs', 'differ')} from commit {repository.commit[:12]}.",
        remedy="Commit before a model is trained that is to be released.",
        evidence={"commit": repository.commit, "changed": changed[:_EVIDENCE]},
    )


def not_established(unknowns: Sequence[Unknown], grave: Sequence[Unknown]) -> Finding:
    """What the record could not find out; of some of it the origin cannot be told without it."""
    told = grave or unknowns
    ordered = [*grave, *(item for item in unknowns if item not in grave)]
    more = len(unknowns) - 1
    rest = f" There {_verb(more, 'is 1 thing', f'are {more} things')} more." if more else ""
    return Finding(
        check="not_established",
        severity=Severity.WARN if grave else Severity.INFO,
        subject=_names(item.subject for item in told),
        statistic=Estimate(value=float(len(unknowns))),
        message=f"{'Part of the origin' if grave else 'Something'} could not be established. "
        f"{as_sentence(told[0].why)}{rest}",
        remedy="The report lists each with its reason: put right what can be, and record again."
        if grave
        else "",
        evidence={"unknowns": _unknowns(ordered)},
    )


def made_afterwards() -> Finding:
    """The record tells of code and raw data as they are now."""
    return Finding(
        check="data_as_it_is_now",
        severity=Severity.INFO,
        subject="record",
        message="The record was made after the run: it has code, raw data and artifacts as they are now, and "
        "does not know which packages the model was trained with.",
        remedy="Put ProvenanceTracker into the pipeline: it records while the model is made.",
    )


def _named(change: Change) -> str:
    return "something in it" if change.path == WHOLE_FOLDER else change.path


def _done(change: Change) -> str:
    if change.renamed_to:
        return f"was renamed to {change.renamed_to}"
    if change.kind == "changed" and change.before == change.now:
        return "was changed and put back"
    if change.kind == "added" and change.now is None:
        return "was added and taken away again"
    return _KINDS[change.kind]


def _when(change: Change) -> str:
    if change.path == WHOLE_FOLDER:
        return f"since {when(change.seen)}, by {change.seen_in}"
    if change.seen and change.found:
        last, found = when(change.seen), when(change.found)
        return f"after {last}, when it was last seen as it was, and before {found}"
    return f"before {when(change.found)}" if change.found else "at a time that is not known"


def _share(count: int, of: int) -> Estimate:
    return Estimate(value=float(count), count=max(count, of))


def _changes(changes: Sequence[Change]) -> list[dict[str, object]]:
    return [change.model_dump(exclude_none=True) for change in changes[:_EVIDENCE]]


def _unknowns(unknowns: Sequence[Unknown]) -> list[dict[str, object]]:
    return [item.model_dump() for item in unknowns[:_EVIDENCE]]


def _files(count: int) -> str:
    return f"{count:,} {_verb(count, 'file', 'files')}"


def _verb(count: int, one: str, several: str) -> str:
    return one if count == 1 else several


def _names(names: Iterable[str]) -> str:
    listed = list(dict.fromkeys(names))
    more = len(listed) - _NAMED
    return ", ".join(listed[:_NAMED]) + (f" and {more} more" if more > 0 else "")
