"""ProvenanceTracker: where a model came from, byte by byte, signed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from tfx_trust.components.artifacts import ProvenanceRecord, SourceDeclarations
from tfx_trust.components.errors import UsageError
from tfx_trust.components.provenance.config import ProvenanceSettings
from tfx_trust.components.provenance.declarer_component import SourceDeclarer
from tfx_trust.components.provenance.driver import Driver
from tfx_trust.components.provenance.executor import RELATED_PREFIX, Executor
from tfx_trust.components.provenance.keys import private_key_of
from tfx_trust.components.provenance.push_component import PushValidator
from tfx_trust.components.provenance.snapshot_component import ArtifactSnapshot
from tfx_trust.components.provenance.subject_key import SubjectKey

__all__ = ["ArtifactSnapshot", "ProvenanceTracker", "PushValidator", "SourceDeclarer"]


class ProvenanceTrackerSpec(ComponentSpec):
    """Specification of ProvenanceTracker; each further artifact adds an input ``related_<name>``."""

    PARAMETERS = {"settings": ExecutionParameter(type=str)}
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "declarations": ChannelParameter(type=SourceDeclarations, optional=True),
    }
    OUTPUTS = {"provenance_record": ChannelParameter(type=ProvenanceRecord)}


class ProvenanceTracker(base_component.BaseComponent):
    """Records what a model came from, down to the bytes of the raw input, and signs it.

    Its driver walks the metadata store from the model to its sources, reads every file on the way, and holds
    it against the snapshots and records made before. What it finds is part of the key of TFX's cache: if any
    byte of anything changed, it runs anew.

    Parameters
    ----------
    model
        Model channel: what is recorded and signed.
    settings
        A :class:`ProvenanceSettings`, or its fields as a mapping.
    declarations
        SourceDeclarations channel of a :class:`SourceDeclarer`. Declarations that lie beside the data, as
        ``source.yaml``, are found without it.
    artifacts
        Channels of what else belongs into the record, by name: the evaluation, statistics, a gate's report.

    Outputs: ``provenance_record``, a folder with ``record.json``, the report, and with a key the signatures.

    Raises
    ------
    UsageError
        If a setting is unknown or not allowed, or the name of an artifact is no identifier.
    InputError
        If a key is there where the pipeline is composed, and is of no use.

    Examples
    --------
    >>> tracker = ProvenanceTracker(                                         # doctest: +SKIP
    ...     model=trainer.outputs["model"],
    ...     settings=ProvenanceSettings(
    ...         use=IntendedUse(purpose="research"), signing_key_env="SIGNING_KEY"
    ...     ),
    ...     artifacts={"evaluation": evaluator.outputs["evaluation"]},
    ... )
    """

    SPEC_CLASS = ProvenanceTrackerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        *,
        model: channel.BaseChannel,
        settings: ProvenanceSettings | Mapping[str, Any] | None = None,
        declarations: channel.BaseChannel | None = None,
        artifacts: Mapping[str, channel.BaseChannel] | None = None,
    ) -> None:
        settings = ProvenanceSettings.of(settings)
        _check_keys(settings)
        related = {RELATED_PREFIX + name: given for name, given in (artifacts or {}).items()}
        optional = {"declarations": declarations} if declarations is not None else {}
        spec = _spec_with(related)(
            model=model,
            settings=settings.to_json(),
            provenance_record=channel.Channel(type=ProvenanceRecord),
            **optional,
            **related,
        )
        super().__init__(spec=spec)


def _check_keys(settings: ProvenanceSettings) -> None:
    """Refuses a key of the wrong kind before a model is trained, not after.

    A key that is not here may be where the pipeline runs.
    """
    if _is_here(settings.signing_key, settings.signing_key_env):
        private_key_of(settings)
    subjects = settings.subjects
    if subjects is not None and _is_here(subjects.key_file, subjects.key_env):
        SubjectKey.of(subjects)


def _is_here(path: str | None, env: str | None) -> bool:
    return os.access(path, os.R_OK) if path is not None else bool(os.environ.get(env or ""))


def _spec_with(related: Mapping[str, channel.BaseChannel]) -> type[ProvenanceTrackerSpec]:
    """A specification with one more input an artifact: TFX wants each input's type beforehand."""
    for name in (key.removeprefix(RELATED_PREFIX) for key in related):
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise UsageError(
                f"artifact name {name!r} is not allowed: a letter, then letters, digits and underscores"
            )
    inputs = {name: ChannelParameter(type=given.type, optional=True) for name, given in related.items()}
    return type(
        "ProvenanceTrackerSpec",
        (ProvenanceTrackerSpec,),
        {"INPUTS": {**ProvenanceTrackerSpec.INPUTS, **inputs}},
    )
