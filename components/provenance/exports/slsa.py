"""The record as an in-toto Statement with SLSA provenance: signed where it was signed, else plain."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance import naming as common
from tfx_trust.components.provenance.record import STATEMENT_FILE, Record
from tfx_trust.components.provenance.statement import statement_of

FILE = "provenance.intoto.json"
"""Name of the plain statement; the signed one is called as it is beside the record."""


def export(record: Record, *, folder: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """The file's text by its name: the envelope that lies in `folder`, if there is one.

    Its signature is not checked here; ``verify`` does that.

    Raises
    ------
    InputError
        If what lies there is no envelope, or one of another record.
    """
    path = None if folder is None else Path(folder) / STATEMENT_FILE
    if path is None or not path.exists():
        return {FILE: common.text_of(statement_of(record))}
    try:
        envelope = path.read_text(encoding="utf-8")
        statement = json.loads(base64.b64decode(json.loads(envelope)["payload"], validate=True))
        stated = {subject["digest"].get("sha256") for subject in statement["subject"]}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: no envelope with a statement ({error}); record the model anew") from None
    if hashlib.sha256(record.to_bytes()).hexdigest() not in stated:
        raise InputError(f"{path} is of another record than the one beside it; record the model anew")
    return {STATEMENT_FILE: envelope}
