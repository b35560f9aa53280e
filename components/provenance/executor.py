"""Worker side of ProvenanceTracker: the record that its driver built, judged, signed and written."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio

from tfx_trust.components.artifacts import Artifacts, only, reference, write_report
from tfx_trust.components.provenance.chain import MODEL_ID
from tfx_trust.components.provenance.config import ProvenanceSettings
from tfx_trust.components.provenance.direct import Given, direct_record
from tfx_trust.components.provenance.driver import take_record
from tfx_trust.components.provenance.judge import judge
from tfx_trust.components.provenance.keys import private_key_of
from tfx_trust.components.provenance.record import Record
from tfx_trust.components.provenance.signing import signature_of
from tfx_trust.components.provenance.snapshots import RECORD_DIGEST
from tfx_trust.components.provenance.writing import file_names, write_record
from tfx_trust.components.report import PAGE_FILE, REPORT_FILE

RELATED_PREFIX = "related_"


class Executor(base_executor.BaseExecutor):
    """Executor of ProvenanceTracker."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Writes the record, its signatures, the index of subjects if one is asked for, and the report.

        Parameters
        ----------
        input_dict
            ``model``, ``declarations`` where connected, and further artifacts under ``related_<name>``.
        output_dict
            ``provenance_record``.
        exec_properties
            ``settings``: JSON text of a ProvenanceSettings.
        """
        settings = ProvenanceSettings.of(exec_properties["settings"])
        (destination,) = output_dict["provenance_record"]
        model = only(input_dict["model"], "ProvenanceTracker")
        record = (take_record(destination.uri) or direct_record(_given(input_dict), settings)).sealed()
        key = private_key_of(settings)
        with tempfile.TemporaryDirectory() as folder:
            subjects = _index(record, settings, folder)
            report = judge(
                record,
                settings,
                signature=signature_of(key.public_key(), file_names(record, signed=True)) if key else None,
                subjects=subjects,
            )
            report.inputs = {
                name: [reference(item) for item in items] for name, items in input_dict.items() if items
            }
            write_report(report, destination)
            # The signature binds the report and the index too, so that they are written before it.
            beside = {name: _read(os.path.join(destination.uri, name)) for name in (REPORT_FILE, PAGE_FILE)}
            write_record(record, folder, key, beside={**beside, **_contents(folder)})
            _carry(folder, destination.uri)
        destination.set_string_custom_property(RECORD_DIGEST, record.digest)
        destination.set_int_custom_property(MODEL_ID, model.id)
        logging.info("Provenance: %s, record %s", report.verdict, record.digest)


def _given(input_dict: Artifacts) -> list[Given]:
    return [
        Given(
            id=item.id,
            type=item.type_name,
            uri=item.uri,
            role="model" if key == "model" else "related",
        )
        for key, items in input_dict.items()
        if key in ("model", "declarations") or key.startswith(RELATED_PREFIX)
        for item in items
    ]


def _index(record: Record, settings: ProvenanceSettings, folder: str) -> dict[str, int]:
    """Number of subjects indexed, by split; the index goes into the folder."""
    if settings.subjects is None:
        return {}
    # Loads TensorFlow's records, which nobody else needs.
    from tfx_trust.components.provenance.subjects import index_training

    return index_training(record, settings.subjects, folder)


def _read(place: str) -> bytes:
    with fileio.open(place, "rb") as file:
        return bytes(file.read())


def _contents(folder: str) -> dict[str, bytes]:
    """What lies in a local folder, by path within it."""
    return {
        os.path.relpath(place, folder): _read(place)
        for place in (os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names)
    }


def _carry(folder: str, uri: str) -> None:
    """Copies a local folder to where the artifact lies, on any file system that TFX knows."""
    for parent, _, names in os.walk(folder):
        target = os.path.join(uri, os.path.relpath(parent, folder)) if parent != folder else uri
        fileio.makedirs(target)
        for name in names:
            fileio.copy(os.path.join(parent, name), os.path.join(target, name), overwrite=True)
