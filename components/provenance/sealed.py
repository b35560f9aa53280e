"""Whether a record is as it was written: told by its bytes alone, so of records of any version."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tfx_trust.components.provenance.record import RECORD_VERSION, canonical


def sealed_digest(content: bytes) -> str | None:
    """The digest of a record, if it has the one that it says, and the very bytes that were written."""
    try:
        fields = json.loads(content)
        as_written = canonical(fields) + b"\n"
        digest = fields.pop("digest")
        of_content = hashlib.sha256(canonical(fields)).hexdigest()
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None
    return of_content if as_written == content and of_content == digest else None


def is_newer(content: bytes) -> bool:
    """Whether a record says that it is of a version that is not read here."""
    version = str(_fields(content).get("schema_version", RECORD_VERSION))
    return version.partition(".")[0] != RECORD_VERSION.partition(".")[0]


def looks_like_record(content: bytes) -> bool:
    """Whether it has what every record has, whatever else became of it."""
    return {"schema_version", "digest"} <= _fields(content).keys()


def _fields(content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
