"""ArtifactSnapshot: what an artifact's files are as soon as they are made."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from tfx_trust.components.artifacts import Snapshot
from tfx_trust.components.errors import UsageError
from tfx_trust.components.provenance.snapshot_executor import Executor


class ArtifactSnapshotSpec(ComponentSpec):
    """Specification of ArtifactSnapshot; each artifact adds an input ``artifact_<name>``."""

    PARAMETERS: dict[str, object] = {}
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {"snapshot": ChannelParameter(type=Snapshot)}


class ArtifactSnapshot(base_component.BaseComponent):
    """Takes the digests of artifacts' files, so that a later change of them shows, and when it was made.

    Put it right behind the component that makes the artifacts;
    :func:`~tfx_trust.components.provenance.snapshots.track` does. ProvenanceTracker holds what it finds
    against it. It is served from TFX's cache as long as the artifacts are the same: the first
    snapshot of an artifact stands.

    Parameters
    ----------
    artifacts
        Channels by name. Names consist of letters, digits and underscores.

    Outputs: ``snapshot``, a folder with ``snapshot.json``: of each artifact its files with sizes and SHA-256,
    and when they were read. One that cannot be read is in it with the reason.

    Raises
    ------
    UsageError
        If there are no artifacts, or a name is no identifier.

    Examples
    --------
    >>> ArtifactSnapshot(artifacts={"model": trainer.outputs["model"]})      # doctest: +SKIP
    """

    SPEC_CLASS = ArtifactSnapshotSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, *, artifacts: Mapping[str, channel.BaseChannel]) -> None:
        if not artifacts:
            raise UsageError("artifacts is empty; ArtifactSnapshot takes at least one")
        inputs = {}
        for name, given in artifacts.items():
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
                raise UsageError(
                    f"artifact name {name!r} is not allowed: a letter, then letters, digits and underscores"
                )
            inputs[f"artifact_{name}"] = given
        super().__init__(spec=_spec_with(inputs)(snapshot=channel.Channel(type=Snapshot), **inputs))


def _spec_with(inputs: Mapping[str, channel.BaseChannel]) -> type[ArtifactSnapshotSpec]:
    """A specification with one more input an artifact: TFX wants each input's type beforehand."""
    given = {name: ChannelParameter(type=item.type, optional=True) for name, item in inputs.items()}
    return type("ArtifactSnapshotSpec", (ArtifactSnapshotSpec,), {"INPUTS": given})
