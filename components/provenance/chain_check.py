"""Whether the records before one are as they were."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from tfx_trust.components.errors import InputError
from tfx_trust.components.mlmd import Prefixes, rewritten
from tfx_trust.components.provenance.carrying import read_file
from tfx_trust.components.provenance.record import RECORD_FILE, Previous, Record
from tfx_trust.components.provenance.sealed import has_digest, sealed_digest
from tfx_trust.components.provenance.verification import Checked, Problem

_REMEDY = "Find out who wrote there. Take that record from a copy that is safe."


def chain_problems(record: Record, rewrite: Prefixes, checked: Checked) -> Iterator[Problem]:
    """Follows the chain of records back, until one is not what the next says that it was."""
    seen = {record.digest}
    previous: Previous | None = record.previous
    while previous is not None and previous.digest not in seen:
        seen.add(previous.digest)
        place = f"{rewritten(previous.uri, rewrite).rstrip('/')}/{RECORD_FILE}"
        try:
            content = read_file(place)
        except InputError as error:
            yield _chain_problem("unchecked", "unreadable", place, str(error), "Make it readable.")
            return
        if content is None:
            message = f"the record before, {previous.digest[:12]}…, is not where it was: the chain ends there"
            yield _chain_problem(
                "unchecked",
                "gone",
                place,
                message,
                "Put it back, or give --rewrite-prefix OLD=NEW if it was moved.",
            )
            return
        if "://" not in place and os.path.islink(place):
            message = f"the record before, {previous.digest[:12]}…, is a symbolic link now, and was a file"
            yield _chain_problem("tampered", "replaced", place, message, _REMEDY)
        if not has_digest(content, previous.digest):
            yield _break(previous, content, place)
            return
        checked.records += 1
        name = previous.digest[:12]
        try:
            previous = _previous_of(content)
        except (ValueError, RecursionError):
            message = f"what the record {name}… says of the one before it cannot be read here"
            yield _chain_problem("unchecked", "version", place, message, "Use a newer tfx-trust.")
            return


def _previous_of(content: bytes) -> Previous | None:
    told = json.loads(content).get("previous")
    return None if told is None else Previous.model_validate(told)


def _break(previous: Previous, content: bytes, place: str) -> Problem:
    digest = sealed_digest(content)
    what = "it was edited" if digest is None else f"another, {digest[:12]}…, lies there"
    message = f"the chain is broken at the record before, {previous.digest[:12]}…: {what}"
    return _chain_problem("tampered", "chain", place, message, _REMEDY)


def _chain_problem(kind: str, what: str, place: str, message: str, remedy: str) -> Problem:
    fields = {
        "kind": kind,
        "what": what,
        "subject": "chain",
        "path": place,
        "message": message,
        "remedy": remedy,
    }
    return Problem.model_validate(fields)
