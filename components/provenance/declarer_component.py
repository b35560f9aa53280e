"""SourceDeclarer: what is declared of the sources, as an artifact of the pipeline."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from tfx_trust.components.artifacts import SourceDeclarations
from tfx_trust.components.errors import UsageError
from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.declaration_files import read_file, standing_alone, to_text
from tfx_trust.components.provenance.declarer_executor import Executor


class SourceDeclarerSpec(ComponentSpec):
    """Specification of SourceDeclarer."""

    PARAMETERS = {"declared": ExecutionParameter(type=str)}
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {"declarations": ChannelParameter(type=SourceDeclarations)}


class SourceDeclarer(base_component.BaseComponent):
    """Declares where the data of a pipeline come from, and what they may be used for.

    It is for data that no file can be put beside, such as those of a query, and for declarations that many
    pipelines share. Everything is read and checked when the pipeline is composed; an edited file makes
    another artifact in the next run.

    Parameters
    ----------
    declarations
        :class:`SourceDeclaration`, or their fields as mappings.
    files
        YAML files with one declaration or a list of them. Relative patterns in ``covers`` start from the
        folder of the file; without any, it speaks of all that lies in that folder.

    Outputs: ``declarations``, a folder with ``declarations.json``, for ProvenanceTracker.

    Raises
    ------
    UsageError
        If neither is given, or a field is unknown or not allowed.
    InputError
        If a file cannot be read, or is no declaration.

    Examples
    --------
    >>> declarer = SourceDeclarer(
    ...     declarations=[
    ...         SourceDeclaration(name="Loans", covers=["SELECT * FROM loans"], purposes=["credit"])
    ...     ]
    ... )
    >>> list(declarer.outputs)
    ['declarations']
    """

    SPEC_CLASS = SourceDeclarerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        declarations: Sequence[SourceDeclaration | Mapping[str, Any]] | None = None,
        files: Sequence[str | os.PathLike[str]] | None = None,
    ) -> None:
        given = [SourceDeclaration.of(item) for item in declarations or ()]
        for path in files or ():
            given += [standing_alone(item) for item in read_file(os.fspath(path))]
        if not given:
            raise UsageError("SourceDeclarer declares nothing: give declarations, files, or both")
        super().__init__(
            spec=SourceDeclarerSpec(
                declared=to_text(given), declarations=channel.Channel(type=SourceDeclarations)
            )
        )
