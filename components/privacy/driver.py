"""What PrivateTrainer does before it runs: look into the metadata store for what was spent before.

Only a driver is given the store. What it finds goes into a file beside the report, and not into the execution
properties: they are part of the key of TFX's cache, so that an unchanged pipeline would be trained again, and
spend again, because of what it spent itself. The connection, which may hold a password, goes nowhere.
"""

from __future__ import annotations

import os
from typing import Any

from tfx.dsl.components.base import base_driver
from tfx.dsl.io import fileio
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

from tfx_trust.components.privacy.lineage import snapshot_of
from tfx_trust.components.privacy.spending import Snapshot

_ENDING = ".earlier.json"
_REFUSED = "refused"


class Driver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """Driver of PrivateTrainer. TFX asks for both base classes: one when composing, one when running."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Leaves what the metadata store knows of earlier trainings beside the report to come."""
        (report,) = execution_info.output_dict["privacy_report"]
        inputs = {key: [item.id for item in items] for key, items in execution_info.input_dict.items()}
        with self._mlmd_connection as handle:
            snapshot = snapshot_of(
                handle.store,
                examples=inputs["examples"],
                run=execution_info.pipeline_run_id or "",
                execution=_execution_of(report.uri),
                transform_graph=next(iter(inputs.get("transform_graph", [])), None),
                schema=next(iter(inputs.get("schema", [])), None),
                refused=lambda execution: fileio.exists(refused_folder(report.uri, execution)),
            )
        fileio.makedirs(os.path.dirname(report.uri.rstrip("/")))
        with fileio.open(_beside(report.uri), "w") as file:
            file.write(snapshot.model_dump_json())
        return driver_output_pb2.DriverOutput()


def take_snapshot(uri: str) -> Snapshot | None:
    """What the driver left for the training whose report will be at `uri`; none if there was no driver."""
    place = _beside(uri)
    if not fileio.exists(place):
        return None
    with fileio.open(place, "r") as file:
        snapshot = Snapshot.model_validate_json(file.read())
    fileio.remove(place)
    return snapshot


def refused_folder(uri: str, execution: Any = None) -> str:
    """Where the page of a refused training is kept; TFX deletes the outputs of what fails.

    Parameters
    ----------
    uri
        Of the report that it, or another training of the same node, was to write.
    execution
        Id of the refused execution, if it is another.
    """
    place = uri.rstrip("/")
    name = os.path.basename(place) if execution is None else str(execution)
    return os.path.join(os.path.dirname(os.path.dirname(place)), _REFUSED, name)


def _beside(uri: str) -> str:
    return uri.rstrip("/") + _ENDING


def _execution_of(uri: str) -> int | None:
    """The id of the execution, by which TFX names the folders of outputs; the driver is not told it."""
    name = os.path.basename(uri.rstrip("/"))
    return int(name) if name.isdigit() else None
