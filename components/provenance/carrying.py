"""A record's files, believed only if their signatures hold, and put into a copy of the model."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.record import (
    RECORD_FILE,
    SERVING_SIGNATURE_FILE,
    SIGNATURE_FILE,
    STATEMENT_FILE,
    Record,
)
from tfx_trust.components.provenance.report import ProvenanceReport, Signature
from tfx_trust.components.provenance.signing import (
    PUBLIC_KEY_FILE,
    SignatureError,
    is_passed_over,
    key_id,
    load_public,
    open_envelope,
    open_model_signature,
)
from tfx_trust.components.provenance.statement import serving_files
from tfx_trust.components.provenance.writing import CARRY_FOLDER
from tfx_trust.components.report import REPORT_FILE

# Files of the record's folder by their names in the copy. The record comes last: where it is, all is.
_CARRIED = {
    SIGNATURE_FILE: SERVING_SIGNATURE_FILE,
    STATEMENT_FILE: STATEMENT_FILE,
    PUBLIC_KEY_FILE: PUBLIC_KEY_FILE,
    RECORD_FILE: RECORD_FILE,
}
CARRIED = frozenset(f"{CARRY_FOLDER}/{name}" for name in _CARRIED)
"""Files that are put into a copy, relative to it."""


@dataclass(frozen=True)
class RecordFiles:
    """A record with all that lies beside it, read once: what is carried is what was checked.

    Attributes
    ----------
    record
        The record.
    place
        The folder.
    content
        Bytes of the files that are carried, by name; those that are there.
    told
        What the report beside it says of the signature.
    """

    record: Record
    place: str
    content: dict[str, bytes]
    told: Signature | None

    @classmethod
    def read(cls, folder: str) -> RecordFiles:
        """Reads the files of a record's folder, a local path or a URI.

        Raises
        ------
        InputError
            If there is no record, or none that can be read.
        """
        found = {name: read_file(os.path.join(folder, name)) for name in _CARRIED.values()}
        content = {name: item for name, item in found.items() if item is not None}
        if RECORD_FILE not in content:
            raise InputError(f"{folder}: there is no {RECORD_FILE}; run ProvenanceTracker first")
        record = Record.of_bytes(content[RECORD_FILE], os.path.join(folder, RECORD_FILE))
        if all(item.id != record.model for item in record.artifacts):
            raise InputError(f"{folder}: not a record: its model, {record.model}, is not in it")
        return cls(record, folder, content, _told(folder))

    @property
    def signed(self) -> bool:
        """Whether there is a signature, or should be one."""
        return self.told is not None or len(self.content) > 1

    def check(self) -> None:
        """Holds the record against its own digest and, if it is signed, against its signatures.

        Raises
        ------
        InputError
            If it was edited, or a signature is missing or wrong.
        """
        if self.record.content_digest() != self.record.digest:
            raise InputError(f"{RECORD_FILE} was edited: its content has another digest than it says")
        if self.signed:
            self._check_signatures()

    def _check_signatures(self) -> None:
        public = load_public(self._needed(PUBLIC_KEY_FILE))
        if self.told is not None and self.told.key_id != key_id(public):
            raise SignatureError(f"{PUBLIC_KEY_FILE} is not the key that {REPORT_FILE} names")
        payload = open_envelope(self._needed(STATEMENT_FILE), public)
        if hashlib.sha256(self.content[RECORD_FILE]).hexdigest() not in _subject_digests(payload):
            raise SignatureError(f"{STATEMENT_FILE} signs another record")
        served = serving_files(self.record)
        if not served:
            return
        signed = open_model_signature(self._needed(SERVING_SIGNATURE_FILE), public)
        recorded = {
            file.path: file.sha256 for file in served if not is_passed_over(file.path, signed.ignored)
        }
        if signed.digests != recorded:
            raise SignatureError(f"{SERVING_SIGNATURE_FILE} signs other files than the record names")

    def _needed(self, name: str) -> bytes:
        if name not in self.content:
            raise SignatureError(f"{name} is missing, although the record was signed")
        return self.content[name]

    def carry(self, destination: str) -> list[str]:
        """Puts the files into a copy, each whole or not at all, and returns their paths in it.

        What is there already stays as it is; what an earlier record left and this one has not goes.
        """
        carried = []
        for name, origin in _CARRIED.items():
            path = f"{CARRY_FOLDER}/{name}"
            if origin in self.content:
                _write(destination, path, self.content[origin])
                carried.append(path)
            else:
                _remove(os.path.join(destination, path))
        return carried


def _subject_digests(statement: bytes) -> set[str]:
    try:
        return {str(subject["digest"]["sha256"]) for subject in json.loads(statement)["subject"]}
    except (ValueError, KeyError, TypeError):
        raise SignatureError(f"{STATEMENT_FILE} is signed, and is no in-toto Statement") from None


def _told(folder: str) -> Signature | None:
    content = read_file(os.path.join(folder, REPORT_FILE))
    try:
        return None if content is None else ProvenanceReport.model_validate_json(content).provenance.signature
    except ValueError:
        return None


# Files, here and elsewhere


def is_folder(place: str) -> bool:
    """Whether there is a folder."""
    if "://" not in place:
        return os.path.isdir(place)
    from tfx.dsl.io import fileio

    return bool(fileio.exists(place) and fileio.isdir(place))


def read_file(place: str) -> bytes | None:
    """The content of a file; none if there is no such file."""
    if "://" not in place:
        try:
            with open(place, "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise InputError(f"{place}: cannot be read ({error.strerror})") from None
    from tfx.dsl.io import fileio

    if not fileio.exists(place):
        return None
    with fileio.open(place, "rb") as file:
        return bytes(file.read())


def _write(folder: str, path: str, content: bytes) -> None:
    """Writes a file into a folder that a server may be reading: beside it first, then moved."""
    target = os.path.join(folder, path)
    if read_file(target) == content and not os.path.islink(target):
        return
    above, name = os.path.split(folder.rstrip("/"))
    # A server looks for folders that are called by a number here: it passes this over.
    partial = os.path.join(above, f".{name}.{os.path.basename(path)}.partial")
    if "://" in folder:
        from tfx.dsl.io import fileio

        fileio.makedirs(os.path.dirname(target))
        with fileio.open(partial, "wb") as file:
            file.write(content)
        fileio.rename(partial, target, overwrite=True)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(partial, "wb") as file:
        file.write(content)
    os.replace(partial, target)


def _remove(place: str) -> None:
    if "://" not in place:
        if os.path.lexists(place):
            os.remove(place)
        return
    from tfx.dsl.io import fileio

    if fileio.exists(place):
        fileio.remove(place)
