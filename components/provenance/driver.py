"""What ProvenanceTracker does before it runs: walk the metadata store, and read the bytes that it tells of.

Only a driver is given the store. The record that it builds goes into a file beside the output; the execution
properties get a digest of it alone, so that TFX's cache follows the bytes. The connection, which may hold a
password, goes nowhere.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import time

from tfx.dsl.components.base import base_driver
from tfx.dsl.io import fileio
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

from tfx_trust.components.mlmd import store_of
from tfx_trust.components.provenance.build import build_record
from tfx_trust.components.provenance.config import ProvenanceSettings
from tfx_trust.components.provenance.keys import key_id, private_key_of
from tfx_trust.components.provenance.obligations import conflicts
from tfx_trust.components.provenance.record import Record, canonical

CONTENT_DIGEST = "content_digest"
DATED = ("retention_near", "retention_passed")
"""Checks whose findings depend on the date."""
_ENDING = ".lineage.json"
# What a run that was served from the cache left behind is cleared away by a later one.
_STALE_SECONDS = 3600.0


class Driver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """Driver of ProvenanceTracker. TFX asks for both base classes: one when composing, one when running."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Leaves the record beside the output to come, and its digest in the execution properties."""
        settings = ProvenanceSettings.of(execution_info.exec_properties["settings"])
        (output,) = execution_info.output_dict["provenance_record"]
        (model,) = execution_info.input_dict["model"]
        related = [
            item.id for key, items in execution_info.input_dict.items() if key != "model" for item in items
        ]
        with self._mlmd_connection as handle:
            store = store_of(handle.store)
            record = build_record(
                store,
                store.artifacts([model.id])[model.id],
                settings,
                related=related,
                here=True,
                run=execution_info.pipeline_run_id,
            )
        place = _beside(output.uri)
        folder = os.path.dirname(place)
        fileio.makedirs(folder)
        _clear(folder)
        with fileio.open(place, "wb") as file:
            file.write(record.to_bytes())
        result = driver_output_pb2.DriverOutput()
        result.exec_properties[CONTENT_DIGEST].string_value = content_digest(record, settings)
        return result


def content_digest(record: Record, settings: ProvenanceSettings) -> str:
    """A digest of all that decides what the tracker says: bytes, declarations, code, changes, the key.

    Times, the environment, the state of the repository and the record before are left out: an unchanged
    pipeline is served from the cache, until the day comes on which a source must not be used any more.
    """
    key = private_key_of(settings)
    content = {
        "artifacts": [[item.id, item.uri, item.tree] for item in record.artifacts],
        "sources": [
            [item.place, item.tree, item.declaration and item.declaration.model_dump(mode="json")]
            for item in record.sources
        ],
        "code": [[item.parameter, item.reference, item.tree] for item in record.code],
        # That new data were read is no news in the next run.
        "changes": [
            [item.artifact, item.source, item.path, item.kind, item.now]
            for item in record.changes
            if item.reason != "read_anew"
        ],
        "unknowns": [item.model_dump(mode="json") for item in record.unknowns],
        "overdue": _overdue(record),
        "key": key and key_id(key.public_key()),
    }
    return hashlib.sha256(canonical(content)).hexdigest()


def _overdue(record: Record) -> list[list[str]]:
    """What the date alone decides: findings of retention, as of today."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    found = conflicts(record.sources, record.obligations, None, today)
    return [[item.check, item.subject] for item in found if item.check in DATED]


def take_record(uri: str) -> Record | None:
    """What the driver left for the execution whose output will be at `uri`; none if there was no driver."""
    place = _beside(uri)
    if not fileio.exists(place):
        return None
    with fileio.open(place, "rb") as file:
        record = Record.of_bytes(file.read(), place)
    fileio.remove(place)
    return record


def _clear(folder: str) -> None:
    if "://" in folder:
        return
    for entry in os.scandir(folder):
        # Another run may clear it away at the same time.
        with contextlib.suppress(OSError):
            if entry.name.endswith(_ENDING) and time.time() - entry.stat().st_mtime > _STALE_SECONDS:
                os.remove(entry.path)


def _beside(uri: str) -> str:
    return uri.rstrip("/") + _ENDING
