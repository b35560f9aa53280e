"""Checking a record: that it is as it was written, who signed it, and that all it tells of is as it was."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from tfx_trust.components.errors import InputError
from tfx_trust.components.mlmd import Prefixes, rewritten
from tfx_trust.components.provenance.authenticity import Authenticity, examine
from tfx_trust.components.provenance.carrying import CARRIED, read_file
from tfx_trust.components.provenance.chain_check import chain_problems
from tfx_trust.components.provenance.code_check import code_problems
from tfx_trust.components.provenance.compared import Expected, compare_all
from tfx_trust.components.provenance.record import (
    RECORD_FILE,
    SERVING_SIGNATURE_FILE,
    SIGNATURE_FILE,
    ArtifactEntry,
    FileEntry,
    Record,
    SourceEntry,
)
from tfx_trust.components.provenance.signing import PublicKey, key_id, load_public
from tfx_trust.components.provenance.sources import files_of
from tfx_trust.components.provenance.statement import serving_files
from tfx_trust.components.provenance.verification import Checked, Problem, Verification
from tfx_trust.components.provenance.writing import CARRY_FOLDER

__all__ = ["Checked", "Problem", "Verification", "verify"]

_FIND_OUT = "Find out who wrote there. "
_REMEDIES = {
    "model": _FIND_OUT + "Do not use the model; put the recorded files back, or train it anew.",
    "artifact": _FIND_OUT
    + "Put the recorded files back, or run the pipeline anew from the node that made them.",
    "source": "If the data were meant to change, train and record anew; if not, put the recorded files back.",
}
_MOVED = "give --rewrite-prefix OLD=NEW if it was moved"
_SHOWN = 12


def verify(
    folder: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    public_key: str | os.PathLike[str] | bytes | PublicKey | None = None,
    rewrite: Prefixes = (),
) -> Verification:
    """Checks a record, its signatures, the records before it, and every file that it names.

    Parameters
    ----------
    folder
        Of the record; also the ``assets.extra/provenance`` of a pushed copy.
    model
        Where the model lies now: the folder of its artifact, the folder in it that is served, or a pushed
        copy. The model is checked there, and not where it was recorded. As it may have gone there alone, it
        is no fault then if nothing else is to be found; what is found is checked. Of the record that a pushed
        copy carries, it is that copy if not given.
    public_key
        The signer's public key: its file, its PEM text, or itself. By the one that lies beside the signatures
        it can only be told that files and signatures belong together.
    rewrite
        Old and new beginnings of places, if files were moved.

    Raises
    ------
    InputError
        If the public key cannot be read, or is of another kind.
    """
    place = _place(folder)
    public = (
        public_key if public_key is None or isinstance(public_key, PublicKey) else load_public(public_key)
    )
    found = examine(place, public)
    if model is None and found.is_carried:
        model = place[: -len(CARRY_FOLDER)].rstrip("/")
    result = Verification(
        folder=place,
        record=found.record.digest if found.record else None,
        key_id=key_id(found.public) if found.public else None,
        key_given=found.given,
    )
    result.checked.signatures = found.holding
    result.notes += found.notes
    result.add(found.problems)
    if found.record is not None:
        _check_record(result, found, found.record, None if model is None else _place(model), rewrite)
    return result


def _place(folder: str | os.PathLike[str]) -> str:
    place = os.fspath(folder)
    if "://" in place:
        return place.rstrip("/")
    place = os.path.abspath(place)
    return os.path.dirname(place) if os.path.basename(place) == RECORD_FILE else place


def _check_record(
    result: Verification, found: Authenticity, record: Record, model: str | None, rewrite: Prefixes
) -> None:
    recorded = record.artifact(record.model)
    result.model = model or rewritten(recorded.uri, rewrite)
    expected = [
        _artifact(item, rewritten(item.uri, rewrite))
        for item in record.artifacts
        if item.tree is not None and (model is None or item.id != record.model)
    ]
    if model is not None and recorded.tree is not None:
        expected.append(_model_at(recorded, record, model))
    result.checked.artifacts = len(expected)
    sources = [_source(item, rewrite) for item in record.sources if item.tree is not None]
    result.checked.sources = len(sources)
    outcome = compare_all([*expected, *sources])
    result.checked.files, result.checked.bytes = outcome.files, outcome.bytes
    result.notes += outcome.notes
    problems = [*outcome.problems, *code_problems(record, rewrite, result.checked, result.notes)]
    problems += chain_problems(record, rewrite, result.checked)
    if model is not None:
        problems += _carried_problems(found, model, result.notes)
        problems = _excused(problems, record, result)
    result.add(problems)
    if recorded.tree is None:
        result.add([_never_read(recorded, result.model)])
    unread = [item.id for item in record.sources if item.tree is None]
    unread += [
        f"{item.type} {item.id}" for item in record.artifacts if item.tree is None and item != recorded
    ]
    if unread:
        result.notes.append(
            f"the record has no digests of {_listed(unread)}, so that nothing can be said of them"
        )


def _never_read(model: ArtifactEntry, place: str) -> Problem:
    message = f"{model.type} {model.id}: its files could not be read when it was recorded"
    return Problem(
        kind="unchecked",
        what="unreadable",
        subject=f"artifact:{model.id}",
        path=place,
        message=f"{message}, so that nothing can be said of them",
        remedy="Record the model anew where its files lie.",
    )


def _excused(problems: Iterable[Problem], record: Record, result: Verification) -> list[Problem]:
    """Without what is not to be found, which a note tells; the model has to be."""
    kept, absent = [], []
    for problem in problems:
        if problem.what == "gone" and problem.subject != f"artifact:{record.model}":
            absent.append(problem)
        else:
            kept.append(problem)
    if absent:
        named = _listed([problem.subject for problem in absent])
        result.notes.append(f"not looked at, since they are not where they were recorded: {named}; {_MOVED}")
    return kept


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


# Files


def _artifact(item: ArtifactEntry, folder: str) -> Expected:
    return Expected(
        subject=f"artifact:{item.id}",
        title=f"{item.type} {item.id}",
        folder=folder,
        files=item.files,
        remedy=_REMEDIES["model" if item.role == "model" else "artifact"],
    )


def _model_at(recorded: ArtifactEntry, record: Record, folder: str) -> Expected:
    """The model in a folder that somebody gave: all of it, or what is served of it."""
    whole = _artifact(recorded, folder)
    served = serving_files(record)
    if not served or _fit(folder, recorded.files) >= _fit(folder, served):
        return whole
    title = f"{whole.title}, {record.serving}"
    return Expected(whole.subject, title, folder, served, whole.remedy, ignore=CARRIED)


def _fit(folder: str, files: Sequence[FileEntry]) -> float:
    """The part of some files that lies in a folder."""
    if "://" in folder:
        from tfx.dsl.io import fileio

        there = sum(bool(fileio.exists(f"{folder}/{file.path}")) for file in files)
    else:
        there = sum(os.path.lexists(os.path.join(folder, file.path)) for file in files)
    return there / max(1, len(files))


def _source(source: SourceEntry, rewrite: Prefixes) -> Expected:
    moved = source.model_copy(update={"place": rewritten(source.place, rewrite)})
    try:
        paths = files_of(moved)
    except Exception:  # Every file system has errors of its own; comparing tells what cannot be reached.
        paths = []
    name = f"source {source.declaration.name}" if source.declaration else source.id
    return Expected(source.id, name, moved.place, source.files, _REMEDIES["source"], paths=paths)


def _is_another(found: Authenticity, carried: Authenticity) -> bool:
    """Whether what a copy carries is untouched, and another record of the same model."""
    if found.record is None or carried.record is None or carried.record.digest == found.record.digest:
        return False
    if any(problem.kind == "tampered" for problem in carried.problems):
        return False
    return serving_files(carried.record) == serving_files(found.record)


def _note_of(carried: Authenticity) -> str:
    assert carried.record is not None
    signer = key_id(carried.public) if carried.public is not None and carried.holding else "nobody"
    return (
        f"the copy carries another record of the same model, {carried.record.digest[:12]}, signed by "
        f"{signer}; check it by itself: {carried.folder}"
    )


def _carried_problems(found: Authenticity, model: str, notes: list[str]) -> Iterable[Problem]:
    """What a pushed copy carries has to be what lies in the folder of the record, or another record of it.

    If a key was given, that one has to be signed by it, too.
    """
    if found.is_carried and model == found.folder[: -len(CARRY_FOLDER)].rstrip("/"):
        return
    carried = examine(f"{model.rstrip('/')}/{CARRY_FOLDER}", found.public if found.given else None)
    if _is_another(found, carried):
        notes.append(_note_of(carried))
        yield from carried.problems
        return
    for path in sorted(CARRIED):
        name = path.rpartition("/")[2]
        origin = SERVING_SIGNATURE_FILE if name == SIGNATURE_FILE and not found.is_carried else name
        place = f"{model.rstrip('/')}/{path}"
        try:
            content = read_file(place)
        except InputError as error:
            what, message = "replaced", f"the copy carries something that is no file as {name}: {error}"
        else:
            what, message = "edited", f"the copy carries another {name} than the record has"
            if content is None or content == found.content.get(origin):
                continue
        yield Problem.model_validate(
            {
                "kind": "tampered",
                "what": what,
                "subject": name,
                "path": place,
                "message": message,
                "remedy": _FIND_OUT + "Push again.",
            }
        )
