"""Whether the code that a record names is as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from tfx_trust.components.mlmd import Execution, Prefixes, Value, rewritten
from tfx_trust.components.provenance.code import code_of
from tfx_trust.components.provenance.record import CodeEntry, ExecutionEntry, FileEntry, Record
from tfx_trust.components.provenance.verification import Checked, Problem

_REMEDY = "Check out the code that the record names, or train and record anew."


def code_problems(record: Record, rewrite: Prefixes, checked: Checked, notes: list[str]) -> Iterator[Problem]:
    """Files of code that are changed, missing or added; code that is not to be found here is unchecked."""
    recorded = [entry for entry in record.code if entry.tree is not None]
    if not recorded:
        return
    executions = [_execution(item) for item in record.executions]
    now = {_named(entry): entry for entry in code_of(executions, rewrite=rewrite).entries}
    told = set()
    for entry in recorded:
        current = now.get(_named(entry))
        if current is None or current.tree is None:
            message = f"code {entry.reference}: it is not to be found here"
            remedy = "Run this where the code is, or give --rewrite-prefix OLD=NEW if it was moved."
            if message not in told:
                told.add(message)
                yield _code_problem(entry, "gone", "", message, remedy, kind="unchecked")
            continue
        place = rewritten(entry.reference.rpartition("@")[2], rewrite)
        if os.path.islink(place):
            notes.append(f"code {entry.reference}: {place} is a symbolic link; what it leads to was read")
        checked.code += len(entry.files)
        for problem in _code_differences(entry, current.files):
            if problem.message not in told:
                told.add(problem.message)
                yield problem


def _execution(item: ExecutionEntry) -> Execution:
    given: dict[str, Value] = {name: value for name, value in item.parameters.items() if value is not None}
    return Execution(
        id=item.id, type=item.type, name="", state=item.state, created=0, updated=0, properties=given
    )


def _named(entry: CodeEntry) -> tuple[int, str, str]:
    return entry.execution, entry.parameter, entry.reference


def _code_differences(entry: CodeEntry, files: Sequence[FileEntry]) -> Iterator[Problem]:
    before = {file.path: file.sha256 for file in entry.files}
    now = {file.path: file.sha256 for file in files}
    for path in sorted(before.keys() | now.keys()):
        if before.get(path) == now.get(path):
            continue
        what = "added" if path not in before else "missing" if path not in now else "changed"
        said = "is missing" if what == "missing" else f"was {what}"
        message = f"code {entry.reference}: {path} {said}"
        problem = _code_problem(entry, what, path, message, _REMEDY)
        yield problem.model_copy(update={"before": before.get(path), "now": now.get(path)})


def _code_problem(
    entry: CodeEntry, what: str, path: str, message: str, remedy: str, kind: str = "tampered"
) -> Problem:
    fields = {"kind": kind, "what": what, "path": path, "message": message, "remedy": remedy}
    return Problem.model_validate({**fields, "subject": f"code:{entry.parameter}"})
