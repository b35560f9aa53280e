"""What executions noted of the bytes that they read: it may be other bytes than lie there now.

Components that :func:`~tfx_trust.components.content_aware` wraps note a digest of all that they read. So a
file that was changed, read, and put back is known all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tfx_trust.components.mlmd import COMPLETE, INPUTS, Execution, Store
from tfx_trust.components.provenance.chain import iso
from tfx_trust.components.provenance.hashing import tree_of_fingerprint
from tfx_trust.components.provenance.record import WHOLE_FOLDER, ArtifactEntry, Change, SourceEntry, Unknown

INPUTS_DIGEST = "inputs_digest"
"""Execution property with the digests of what was read: JSON, tree digests by artifact id, and others."""

# What is missing, or cannot be read, is noted otherwise.
_DIGEST = re.compile(r"[0-9a-f]{64}")


def readings_of(execution: Execution) -> dict[str, Any]:
    """What an execution noted; empty if it noted nothing."""
    try:
        noted = json.loads(str(execution.properties.get(INPUTS_DIGEST, "{}")))
    except ValueError:
        return {}
    return noted if isinstance(noted, dict) else {}


def read_otherwise(store: Store, artifacts: Iterable[ArtifactEntry]) -> Iterator[Change]:
    """Artifacts whose bytes are not those that some execution read.

    Whoever read them counts, also what came after the model. Which of the files it was is not told: an
    execution notes one digest of them all.

    Parameters
    ----------
    store
        The metadata store.
    artifacts
        Of the record, as they are now; those that could not be read are passed over.
    """
    trees = {str(entry.id): entry.tree for entry in artifacts if entry.tree is not None}
    events = store.events_of_artifacts(int(number) for number in trees)
    readers = store.executions({event.execution for event in events if event.kind in INPUTS})
    told = set()
    for _, execution in sorted(readers.items()):
        if execution.state != COMPLETE:
            continue
        for number, tree in dict(readings_of(execution).get("artifacts", {})).items():
            if number not in trees or number in told or trees[number] == tree or not _DIGEST.fullmatch(tree):
                continue
            told.add(number)
            yield Change(
                artifact=int(number),
                path=WHOLE_FOLDER,
                kind="changed",
                before=tree,
                now=trees[number],
                seen=iso(execution.created),
                seen_in=f"what {execution.component} read",
            )


def sources_read_otherwise(
    executions: Mapping[int, Execution], sources: Iterable[SourceEntry]
) -> Iterator[Unknown]:
    """Raw inputs that have other bytes now than when they were read."""
    for source in sources:
        if source.read_by is None or source.read_by not in executions or source.tree is None:
            continue
        fingerprint = readings_of(executions[source.read_by]).get("raw")
        read = tree_of_fingerprint(fingerprint) if isinstance(fingerprint, str) else None
        if read is not None and read != source.tree:
            yield Unknown(
                what="source_read",
                subject=source.id,
                why=f"what lies at {source.place} is not what was read: its files have other bytes now",
            )
