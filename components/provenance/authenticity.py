"""Whether the files of a record's folder are those that were written, and signed by the right key."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.carrying import read_file
from tfx_trust.components.provenance.record import (
    RECORD_FILE,
    SERVING_SIGNATURE_FILE,
    SIGNATURE_FILE,
    STATEMENT_FILE,
    FileEntry,
    Record,
    is_other_version,
    version_of,
)
from tfx_trust.components.provenance.sealed import disagreeing, looks_like_record, sealed_digest
from tfx_trust.components.provenance.signing import (
    PUBLIC_KEY_FILE,
    OtherKeyError,
    PublicKey,
    SignatureError,
    envelope_key_id,
    is_passed_over,
    key_id,
    load_public,
    open_envelope,
    open_model_signature,
    public_pem,
)
from tfx_trust.components.provenance.statement import PREDICATE_TYPE, serving_files
from tfx_trust.components.provenance.verification import Problem, What
from tfx_trust.components.provenance.writing import CARRY_FOLDER, file_names
from tfx_trust.components.report import PAGE_FILE, REPORT_FILE

_SIGNATURES = (SIGNATURE_FILE, SERVING_SIGNATURE_FILE, STATEMENT_FILE)
_FILES = (RECORD_FILE, *_SIGNATURES, PUBLIC_KEY_FILE, REPORT_FILE, PAGE_FILE)
_REMEDY = "Take the record from a copy that is safe, and find out who can write there."
_T = TypeVar("_T")


@dataclass
class Authenticity:
    """What the files of a record's folder tell of each other."""

    folder: str
    content: dict[str, bytes] = field(default_factory=dict)
    """Of the files that are there, by name."""
    record: Record | None = None
    """None if it cannot be read."""
    public: PublicKey | None = None
    """The key that signatures were checked by."""
    given: bool = False
    """Whether that was given, and not found beside them."""
    holding: list[str] = field(default_factory=list)
    """Signatures that hold."""
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_carried(self) -> bool:
        """Whether this is what a pushed copy carries: the signature there is that of what is served."""
        return self.folder.rstrip("/").endswith(f"/{CARRY_FOLDER}")

    def tampered(self, what: What, name: str, message: str) -> None:
        """Adds a problem with a file, if none of it is told yet."""
        told = {problem.what for problem in self.problems if problem.subject == name}
        if told - {"replaced"}:
            return
        self.problems.append(self._problem("tampered", what, name, message, _REMEDY))

    def unchecked(self, what: What, name: str, message: str, remedy: str) -> None:
        """Adds something that could not be checked."""
        self.problems.append(self._problem("unchecked", what, name, message, remedy))

    def _problem(self, kind: Any, what: What, name: str, message: str, remedy: str) -> Problem:
        place = f"{self.folder.rstrip('/')}/{name}"
        return Problem(kind=kind, what=what, subject=name, path=place, message=message, remedy=remedy)


def examine(folder: str, public: PublicKey | None) -> Authenticity:
    """Reads the folder of a record and holds its files against each other, and against their signatures.

    Parameters
    ----------
    folder
        Local path or URI.
    public
        The key that signatures have to be by; that which lies beside them if none, which shows less.
    """
    found = Authenticity(folder, public=public, given=public is not None)
    for name in _FILES:
        _read_into(found, name)
    _read_record(found)
    said = _said_of_signature(found.content.get(REPORT_FILE))
    if not found.content:
        return found
    if not found.content.keys() & {*_SIGNATURES, PUBLIC_KEY_FILE}:
        _tell_unsigned(found, said)
    else:
        _check_signatures(found)
    return found


def _read_into(found: Authenticity, name: str) -> None:
    place = f"{found.folder.rstrip('/')}/{name}"
    if "://" not in place and os.path.islink(place):
        found.tampered("replaced", name, f"{name} is a symbolic link, and was a file when it was written")
    try:
        content = read_file(place)
    except InputError as error:
        if os.path.isdir(place):
            found.tampered("replaced", name, f"{name} is a folder, and was a file when it was written")
        else:
            found.unchecked("unreadable", name, str(error), "Make it readable.")
        return
    if content is not None:
        found.content[name] = content


# The record


def _read_record(found: Authenticity) -> None:
    content = found.content.get(RECORD_FILE)
    if content is None:
        _tell_absent(found)
        return
    sealed = sealed_digest(content) is not None
    try:
        found.record = _usable(Record.of_bytes(content, f"{found.folder}/{RECORD_FILE}"))
    except InputError as error:
        is_other = is_other_version(version_of(content))
        was_record = looks_like_record(content) or found.content.keys() - {RECORD_FILE}
        if sealed or is_other or not was_record:
            what: What = "version" if is_other else "unreadable"
            found.unchecked(what, RECORD_FILE, str(error), "Give the folder of a record of this version.")
            return
    if not sealed:
        message = f"{RECORD_FILE} was edited: its bytes do not have the digest that it says"
        found.tampered("edited", RECORD_FILE, message)
    elif found.record is not None and (name := disagreeing(found.record)) is not None:
        message = f"{RECORD_FILE} was edited, and sealed anew: the digest of {name} is not that of its files"
        found.tampered("edited", RECORD_FILE, message)


def _usable(record: Record) -> Record:
    count = sum(item.id == record.model for item in record.artifacts)
    if count != 1:
        how = "not in it" if count == 0 else f"in it {count} times"
        raise InputError(f"not a record: its model, artifact {record.model}, is {how}")
    return record


def _tell_absent(found: Authenticity) -> None:
    if any(problem.subject == RECORD_FILE for problem in found.problems):
        return
    if found.content:
        others = ", ".join(sorted(found.content))
        message = f"{RECORD_FILE} is missing, although {others} lie there"
        found.tampered("missing", RECORD_FILE, message)
        return
    message = f"{found.folder}: there is no record"
    found.unchecked("gone", RECORD_FILE, message, f"Give the folder that {RECORD_FILE} lies in.")


# Signatures


def _tell_unsigned(found: Authenticity, said: Mapping[str, Any] | None) -> None:
    _check_report(found)
    if said:
        message = f"the signatures were taken away: {REPORT_FILE} says that key {said.get('key_id')} signed"
        found.tampered("missing", STATEMENT_FILE, message)
    elif found.given:
        found.unchecked(
            "unsigned",
            STATEMENT_FILE,
            "nothing is signed here, so that the key given has nothing to check",
            "Record anew with --key.",
        )
    else:
        found.notes.append(
            "the record is not signed: whoever can write to its folder could have made it fit changed files"
        )


def _check_signatures(found: Authenticity) -> None:
    own = _own_key(found)
    found.public = found.public or own
    _tell_missing(found)
    if found.public is None:
        message = f"signatures cannot be checked without a public key: {PUBLIC_KEY_FILE} is missing or none"
        found.unchecked("key", PUBLIC_KEY_FILE, message, "Give it by --public-key.")
        return
    if not found.given:
        found.notes.append(
            f"signatures were checked by {PUBLIC_KEY_FILE}, which lies beside them: that they belong "
            "together is shown, and not who signed; give the signer's key by --public-key"
        )
    elif PUBLIC_KEY_FILE not in found.content:
        found.notes.append(f"{PUBLIC_KEY_FILE} is missing, and the key given stands for it")
    bound = _check_statement(found, own)
    if found.record is not None:
        _check_models(found, found.record)
    if bound is None:
        _check_report(found)
        return
    for name, digest in bound.items():
        _check_bound(found, name, digest, bound)


def _own_key(found: Authenticity) -> PublicKey | None:
    """The key that lies beside the signatures."""
    content = found.content.get(PUBLIC_KEY_FILE)
    if content is None:
        return None
    try:
        own = load_public(content)
    except InputError as error:
        message = f"{PUBLIC_KEY_FILE} is not as it was written: {error}"
        found.tampered("edited", PUBLIC_KEY_FILE, message)
        return None
    if public_pem(own) != content:
        found.tampered("edited", PUBLIC_KEY_FILE, f"{PUBLIC_KEY_FILE} is not as it was written")
    if found.public is not None and key_id(own) != key_id(found.public):
        message = f"{PUBLIC_KEY_FILE} is key {key_id(own)}, and the key given is {key_id(found.public)}"
        found.tampered("key", PUBLIC_KEY_FILE, message)
    return own


def _tell_missing(found: Authenticity) -> None:
    expected = [STATEMENT_FILE]
    if found.record is not None:
        expected = file_names(found.record, signed=True)
    for name in _SIGNATURES:
        is_served = name == SERVING_SIGNATURE_FILE and found.is_carried
        if name in expected and name not in found.content and not is_served:
            found.tampered("missing", name, f"{name} is missing, although the record was signed")


def _opened(
    found: Authenticity, name: str, opening: Callable[[bytes, PublicKey], _T], own: Any = None
) -> _T | None:
    assert found.public is not None
    if name not in found.content:
        return None
    try:
        opened = opening(found.content[name], found.public)
    except OtherKeyError as error:
        signer = error.signer
        if own is not None and signer == envelope_key_id(own):
            signer = key_id(own)
        wanted = key_id(found.public)
        found.tampered("key", name, f"{name} is signed by key {signer}, and should be by {wanted}")
        return None
    except SignatureError as error:
        found.tampered("signature", name, f"{name}: {error}")
        return None
    found.holding.append(name)
    return opened


def _check_statement(found: Authenticity, own: PublicKey | None) -> dict[str, str] | None:
    """Digests of the files that the Statement binds, by name; none if it does not hold."""
    payload = _opened(found, STATEMENT_FILE, open_envelope, own)
    if payload is None:
        return None
    try:
        statement = json.loads(payload)
        (signed,) = (item["digest"]["sha256"] for item in statement["subject"] if item["name"] == RECORD_FILE)
        byproducts = statement["predicate"]["runDetails"]["byproducts"]
        bound = {item["name"]: item["digest"]["sha256"] for item in byproducts if _is_beside(item)}
        if statement["predicateType"] != PREDICATE_TYPE or not all(map(_is_name, bound)):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        found.tampered("signature", STATEMENT_FILE, f"{STATEMENT_FILE} is signed, and speaks of no record")
        return None
    return {RECORD_FILE: str(signed), **bound}


def _is_beside(byproduct: Mapping[str, Any]) -> bool:
    """Whether it is a file of the record's folder, and no artifact."""
    return "uri" not in byproduct and "annotations" not in byproduct


def _is_name(name: object) -> bool:
    """Whether it is that of a file, and leads nowhere else."""
    return isinstance(name, str) and re.fullmatch(r"\w[\w.-]*", name) is not None


def _check_bound(found: Authenticity, name: str, digest: str, bound: Mapping[str, str]) -> None:
    if found.is_carried:
        if name == SIGNATURE_FILE:
            digest = bound.get(SERVING_SIGNATURE_FILE, digest)
        elif name != RECORD_FILE:
            return
    if name not in _FILES:
        _read_into(found, name)
    content = found.content.get(name)
    if content is None:
        if name != RECORD_FILE:
            found.tampered("missing", name, f"{name} is missing, and was there when the record was signed")
    elif hashlib.sha256(content).hexdigest() != digest:
        found.tampered("edited", name, f"{name} is not the one that {STATEMENT_FILE} was signed for")


def _check_models(found: Authenticity, record: Record) -> None:
    model, served = record.artifact(record.model).files, serving_files(record)
    pairs = {SIGNATURE_FILE: served if found.is_carried else model, SERVING_SIGNATURE_FILE: served}
    for name, files in pairs.items():
        signed = _opened(found, name, open_model_signature)
        if signed is not None and signed.digests != _expected(files, signed.ignored):
            found.holding.remove(name)
            found.tampered("signature", name, f"{name} is signed, and for other files than the record names")


def _expected(files: Sequence[FileEntry], ignored: Sequence[str]) -> dict[str, str]:
    return {file.path: file.sha256 for file in files if not is_passed_over(file.path, ignored)}


# The report


def _said_of_signature(content: bytes | None) -> Mapping[str, Any] | None:
    """What a report says of the signature, whatever else is in it."""
    try:
        said = json.loads(content or b"")["provenance"]["signature"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _check_report(found: Authenticity) -> None:
    """Holds the report against the record where no signature binds it."""
    content = found.content.get(REPORT_FILE)
    if content is None:
        return
    try:
        report = json.loads(content)
        told = [report["provenance"][name] for name in ("record", "digest", "model")]
        as_written = f"{json.dumps(report, indent=2, ensure_ascii=False)}\n".encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        found.tampered("edited", REPORT_FILE, f"{REPORT_FILE} is no report any more")
        return
    if as_written != content:
        found.tampered("edited", REPORT_FILE, f"{REPORT_FILE} is not as it was written")
    if found.record is None:
        return
    model = found.record.artifact(found.record.model)
    if told != [found.record.digest, model.tree, model.uri]:
        found.tampered("edited", REPORT_FILE, f"{REPORT_FILE} tells of another record, or of another model")
