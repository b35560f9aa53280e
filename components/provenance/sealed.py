"""Whether a record is as it was written: told by its own bytes, and by no other file."""

from __future__ import annotations

import hashlib
import json

from tfx_trust.components.provenance.hashing import tree_digest
from tfx_trust.components.provenance.record import ArtifactEntry, CodeEntry, Record, SourceEntry


def has_digest(content: bytes, digest: str) -> bool:
    """Whether the bytes of a record's file are those that a digest was made of.

    The digest is over the canonical JSON of all other fields, which is what is left of the file when it is
    taken out. No JSON is read for that, so that a chain of a thousand records is soon followed.
    """
    others = content.replace(f'"digest":"{digest}",'.encode(), b"", 1)
    ends = others != content and content.endswith(b"}\n")
    return ends and hashlib.sha256(others[:-1]).hexdigest() == digest


def sealed_digest(content: bytes) -> str | None:
    """The digest of a record, if it has the one that it says, and the very bytes that were written."""
    try:
        fields = json.loads(content)
        digest = str(fields["digest"])
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return digest if f"{text}\n".encode() == content and has_digest(content, digest) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def disagreeing(record: Record) -> str | None:
    """The first artifact, raw input or code whose digest is not that of the files that the record names."""
    named: list[tuple[str, ArtifactEntry | SourceEntry | CodeEntry]] = [
        *((f"{item.type} {item.id}", item) for item in record.artifacts),
        *((item.id, item) for item in record.sources),
        *((item.reference, item) for item in record.code),
    ]
    return next((name for name, item in named if not _agrees(item)), None)


def _agrees(item: ArtifactEntry | SourceEntry | CodeEntry) -> bool:
    if item.tree is None:
        return not item.files
    try:
        return tree_digest(item.files) == item.tree
    except (ValueError, OverflowError):
        return False


def looks_like_record(content: bytes) -> bool:
    """Whether it has what every record has, whatever else became of it."""
    try:
        return {"schema_version", "digest"} <= json.loads(content).keys()
    except (ValueError, AttributeError, RecursionError):
        return False
