"""The record where there is no metadata store to be asked: of what was handed over, and no more."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.config import ProvenanceSettings
from tfx_trust.components.provenance.environment import environment_of
from tfx_trust.components.provenance.hashing import digest_folder, tree_digest
from tfx_trust.components.provenance.record import ArtifactEntry, Record, Role, Unknown
from tfx_trust.components.provenance.repository import repository_of
from tfx_trust.components.provenance.serving import serving_folder


@dataclass(frozen=True)
class Given:
    """An artifact that an executor was handed."""

    id: int
    type: str
    uri: str
    role: Role


def direct_record(given: Sequence[Given], settings: ProvenanceSettings) -> Record:
    """The record of some artifacts alone, one of which has the role ``model``; the lineage is unknown in it.

    Some runners, such as Kubeflow's, run no drivers of components and give executors no metadata store.
    """
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    unknowns = [
        Unknown(
            what="lineage",
            subject="the model",
            why="this runner shows components no metadata store, so that only what was connected is "
            "recorded; `tfx-trust provenance record` makes the whole record from the store afterwards",
        )
    ]
    entries = []
    for item in given:
        try:
            files = digest_folder(item.uri)
        except InputError as error:
            unknowns.append(Unknown(what="artifact_files", subject=item.uri, why=str(error)))
            entries.append(ArtifactEntry(id=item.id, type=item.type, uri=item.uri, role=item.role))
            continue
        entries.append(
            ArtifactEntry(
                id=item.id,
                type=item.type,
                uri=item.uri,
                role=item.role,
                files=files,
                tree=tree_digest(files),
                observed=now,
            )
        )
    model = next(entry for entry in entries if entry.role == "model")
    return Record(
        created=now,
        model=model.id,
        serving=serving_folder(model.files),
        artifacts=sorted(entries, key=lambda entry: entry.id),
        executions=[],
        repository=repository_of(settings.repository or "."),
        environment=environment_of(settings.container),
        use=settings.use,
        unknowns=unknowns,
    )
