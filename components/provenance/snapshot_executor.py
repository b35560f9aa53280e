"""Worker side of ArtifactSnapshot: artifacts in, digests of their files out."""

from __future__ import annotations

import datetime
import os
from typing import Any

from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio

from tfx_trust.components.artifacts import Artifacts
from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.hashing import digest_folders, tree_digest
from tfx_trust.components.provenance.snapshots import (
    SNAPSHOT_DIGEST,
    SNAPSHOT_FILE,
    Snapshot,
    SnapshotEntry,
)


class Executor(base_executor.BaseExecutor):
    """Executor of ArtifactSnapshot."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Reads all files of the inputs and writes ``snapshot.json``.

        Parameters
        ----------
        input_dict
            The artifacts, under any names.
        output_dict
            ``snapshot``.
        exec_properties
            None are used.
        """
        artifacts = {item.id: item for items in input_dict.values() for item in items}
        observed = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        found = digest_folders(item.uri for item in artifacts.values())
        entries = []
        for number, item in sorted(artifacts.items()):
            outcome = found[item.uri]
            entry = SnapshotEntry(id=number, type=item.type_name, uri=item.uri, observed=observed)
            if isinstance(outcome, InputError):
                logging.warning("No snapshot of artifact %d: %s", number, outcome)
                entry.problem = str(outcome)
            else:
                entry.files, entry.tree = outcome, tree_digest(outcome)
            entries.append(entry)
        snapshot = Snapshot(artifacts=entries)
        (output,) = output_dict["snapshot"]
        fileio.makedirs(output.uri)
        with fileio.open(os.path.join(output.uri, SNAPSHOT_FILE), "wb") as file:
            file.write(snapshot.to_bytes())
        # Whoever edits the file would have to write into the metadata store, too.
        output.set_string_custom_property(SNAPSHOT_DIGEST, snapshot.digest())
