"""Writing a record and what is signed of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tfx_trust.components.provenance.record import (
    RECORD_FILE,
    SERVING_SIGNATURE_FILE,
    SIGNATURE_FILE,
    STATEMENT_FILE,
    Record,
    canonical,
)
from tfx_trust.components.provenance.signing import (
    PAYLOAD_TYPE,
    PUBLIC_KEY_FILE,
    PrivateKey,
    envelope,
    model_signature,
    public_pem,
)
from tfx_trust.components.provenance.statement import serving_files, statement_of
from tfx_trust.components.report import PAGE_FILE, REPORT_FILE

CARRY_FOLDER = "assets.extra/provenance"
"""Folder in a pushed copy that the record is put into: the signature of what is served passes over it."""

_SIGNED = (SIGNATURE_FILE, SERVING_SIGNATURE_FILE, PUBLIC_KEY_FILE, STATEMENT_FILE)


def file_names(record: Record, *, signed: bool) -> list[str]:
    """Names of the files that :func:`write_record` writes, before it does."""
    names = [RECORD_FILE]
    if not signed:
        return names
    if record.artifact(record.model).tree is not None:
        names.append(SIGNATURE_FILE)
    if serving_files(record):
        names.append(SERVING_SIGNATURE_FILE)
    return [*names, PUBLIC_KEY_FILE, STATEMENT_FILE]


def write_record(
    record: Record,
    folder: str | Path,
    key: PrivateKey | None = None,
    *,
    beside: Mapping[str, bytes] | None = None,
) -> list[str]:
    """Writes ``record.json``, and with a key what is signed, and returns the files' names.

    Signed are the files of the model, those of what is served of it, and a Statement that names the record,
    both signatures, and the files `beside`. Signatures of an earlier record are taken away.

    Parameters
    ----------
    record
        What is known; it is sealed if it is not.
    folder
        Local; made if it is not there.
    key
        The private key; nothing is signed if there is none.
    beside
        Contents of further files by name that lie, or will lie, in the folder, and are bound by the
        signature: the report and its page. Those that lie there already if not given.
    """
    record = record if record.digest else record.sealed()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    contents = {RECORD_FILE: record.to_bytes()}
    if key is not None:
        if beside is None:
            places = (folder / name for name in (REPORT_FILE, PAGE_FILE))
            beside = {place.name: place.read_bytes() for place in places if place.is_file()}
        contents |= _signatures(record, key, beside)
    for name in {RECORD_FILE, *_SIGNED} - contents.keys():
        (folder / name).unlink(missing_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return list(contents)


def _signatures(record: Record, key: PrivateKey, beside: Mapping[str, bytes]) -> dict[str, bytes]:
    model = record.artifact(record.model)
    signed = {}
    if model.tree is not None:
        signed[SIGNATURE_FILE] = model_signature(model.files, key)
    served = serving_files(record)
    if served:
        name = (record.serving or "").rpartition("/")[2]
        signed[SERVING_SIGNATURE_FILE] = model_signature(served, key, ignore_paths=[CARRY_FOLDER], name=name)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in {**signed, **beside}.items()}
    payload = canonical(statement_of(record, beside=digests))
    return {
        **signed,
        PUBLIC_KEY_FILE: public_pem(key.public_key()),
        STATEMENT_FILE: envelope(payload, PAYLOAD_TYPE, key),
    }
