"""The findings of provenance, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tfx_trust.components.provenance.record import ArtifactEntry, Change, Record, SourceEntry, Unknown
from tfx_trust.components.report import Estimate, Finding, Severity, as_sentence

_NAMED = 3
_EVIDENCE = 50
_KINDS = {"changed": "was changed", "missing": "is gone", "added": "was added", "renamed": "was renamed"}


def tampered(entry: ArtifactEntry, changes: Sequence[Change]) -> Finding:
    """Files of an artifact are not, or were not all along, what was made."""
    first = changes[0]
    more = f", and so with {_files(len(changes) - 1)} more" if len(changes) > 1 else ""
    back = " and put back" if first.before is not None and first.before == first.now else ""
    to = f" to {first.renamed_to}" if first.renamed_to else ""
    return Finding(
        check="tampered",
        severity=Severity.FAIL,
        subject=f"{entry.type} {entry.id}",
        statistic=Estimate(value=float(len(changes)), count=max(len(entry.files), len(changes))),
        message=f"{entry.type} is not what was made: {first.path} {_KINDS[first.kind]}{to}{back}, "
        f"{_when(first)}{more}.",
        remedy="Find out who wrote there. Make the artifact and all that came after it anew, from a source that "
        "is known to be right; do not use this model.",
        evidence={"uri": entry.uri, "seen_in": first.seen_in, "changes": _evidence(changes)},
    )


def code_changed(changes: Sequence[Change]) -> Finding:
    """A wheel is not what was packaged."""
    names = _names([change.path for change in changes])
    return Finding(
        check="tampered",
        severity=Severity.FAIL,
        subject="code",
        message=f"Packaged code is not what was packaged: {names} does not agree with the wheel's own list of "
        "files.",
        remedy="Find out who wrote there. Package the module again from a commit that is known to be right, and "
        "train anew.",
        evidence={"changes": _evidence(changes)},
    )


def is_edited(item: Unknown) -> bool:
    """Whether an earlier record or snapshot was edited, rather than lost."""
    return item.what == "earlier_observation" and "was edited" in item.why


def chain_broken(edited: Sequence[Unknown]) -> Finding:
    """What earlier records or snapshots say cannot be believed."""
    return Finding(
        check="chain_broken",
        severity=Severity.FAIL,
        subject=_names([item.subject for item in edited]),
        statistic=Estimate(value=float(len(edited))),
        message=f"The chain of records is broken: {as_sentence(edited[0].why)}",
        remedy="Find out who wrote there. What was recorded before cannot be relied upon: restore it from a copy, "
        "or begin a new chain and say so.",
        evidence={"edited": [item.model_dump() for item in edited[:_EVIDENCE]]},
    )


def files_missing(record: Record, gone: Sequence[Unknown]) -> Finding:
    """Artifacts of which there are no bytes to be looked at."""
    return Finding(
        check="files_missing",
        severity=Severity.NOT_RUN,
        subject=_names([item.subject for item in gone]),
        statistic=Estimate(value=float(len(gone)), count=len(record.artifacts)),
        message=f"{len(gone)} of {len(record.artifacts)} artifacts could not be checked. {as_sentence(gone[0].why)}",
        remedy="Put the files back, or say where they lie now (--rewrite-prefix OLD=NEW); otherwise make them anew.",
        evidence={"artifacts": [item.model_dump() for item in gone[:_EVIDENCE]]},
    )


def source_changed(source: SourceEntry, changes: Sequence[Change]) -> Finding:
    """A raw input has other bytes than in the record before."""
    name = source.declaration.name if source.declaration else source.place
    reasons = {change.reason for change in changes}
    paths = _names([change.path for change in changes])
    since = changes[0].seen or "the record before"
    if "after_reading" in reasons:
        severity = Severity.WARN
        message = (
            f"{name} was changed after it was read: {paths}. The model is of what lay there before {since}."
        )
        remedy = "Train anew, or put the data back that the model came from."
    elif "same_size" in reasons:
        severity = Severity.WARN
        message = (
            f"{name} has other bytes than on {since}, in files of the very same size: {paths}. "
            "New data seldom have the size of the old."
        )
        remedy = "Ask whoever keeps the data whether they were meant to be exchanged."
    else:
        severity = Severity.INFO
        message = f"{name} was read anew: {_files(len(changes))} other than on {since}, {paths}."
        remedy = ""
    return Finding(
        check="source_changed",
        severity=severity,
        subject=source.id,
        statistic=Estimate(value=float(len(changes)), count=max(len(source.files), len(changes))),
        message=message,
        remedy=remedy,
        evidence={"place": source.place, "changes": _evidence(changes)},
    )


def unsigned(*, required: bool) -> Finding:
    """Nobody answers for the record."""
    return Finding(
        check="unsigned",
        severity=Severity.FAIL if required else Severity.INFO,
        subject="record",
        message="The record is not signed: whoever can write to its folder can change it together with the files "
        "that it speaks of.",
        remedy="Make a key with `tfx-trust provenance keygen` and name it as `signing_key` or `signing_key_env`.",
    )


def uncommitted(record: Record, *, required: bool) -> Finding:
    """The code is in no commit, so that nobody can get it again."""
    severity = Severity.FAIL if required else Severity.INFO
    repository = record.repository
    if repository is None:
        why = next((item.why for item in record.unknowns if item.what == "repository"), "it is not told")
        return Finding(
            check="uncommitted_code",
            severity=severity,
            subject="code",
            message=f"Which commit the code is of is not known: {as_sentence(why)}",
            remedy="Keep the code in git and give its folder as `repository`.",
        )
    return Finding(
        check="uncommitted_code",
        severity=severity,
        subject="code",
        statistic=Estimate(value=float(len(repository.changed))),
        message=f"The code is not as it was committed: in the repository {_names(repository.changed)} "
        f"{'differs' if len(repository.changed) == 1 else 'differ'} from commit {repository.commit[:12]}.",
        remedy="Commit before a model is trained that is to be released.",
        evidence={"commit": repository.commit, "changed": repository.changed[:_EVIDENCE]},
    )


def not_established(unknowns: Sequence[Unknown], *, grave: Sequence[Unknown]) -> Finding:
    """What the record could not find out."""
    first, *others = grave or unknowns
    more = len(unknowns) - 1
    return Finding(
        check="not_established",
        severity=Severity.WARN if grave else Severity.INFO,
        subject=_names([item.subject for item in (grave or unknowns)]),
        statistic=Estimate(value=float(len(unknowns))),
        message=f"{'Part of the origin' if grave else 'Something'} could not be established: "
        f"{as_sentence(first.why)}"
        + (f" There {'is 1 thing' if more == 1 else f'are {more} things'} more." if more else ""),
        remedy="Each is listed in the report with its reason; what can be put right is to be recorded again."
        if grave
        else "",
        evidence={
            "unknowns": [
                item.model_dump()
                for item in [first, *others, *(i for i in unknowns if i not in (grave or unknowns))][
                    :_EVIDENCE
                ]
            ]
        },
    )


def made_afterwards() -> Finding:
    """The record tells of code and raw data as they are now."""
    return Finding(
        check="data_as_it_is_now",
        severity=Severity.INFO,
        subject="record",
        message="The record was made after the run: code, raw data and artifacts are as they are now, which is what "
        "they were only if nobody changed them; the packages of the training are not known.",
        remedy="Put ProvenanceTracker into the pipeline: it records while the model is made.",
    )


def _when(change: Change) -> str:
    if change.seen and change.found:
        return f"between {change.seen}, when it was seen as it was, and {change.found}"
    return f"before {change.found}" if change.found else "at a time that is not known"


def _evidence(changes: Sequence[Change]) -> list[dict[str, object]]:
    return [change.model_dump(exclude_none=True) for change in changes[:_EVIDENCE]]


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _names(names: Iterable[str]) -> str:
    listed = list(dict.fromkeys(names))
    more = len(listed) - _NAMED
    return ", ".join(listed[:_NAMED]) + (f" and {more} more" if more > 0 else "")
