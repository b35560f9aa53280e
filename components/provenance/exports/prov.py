"""The record in W3C PROV-JSON (Member Submission of 24 April 2013, PROV-DM of 30 April 2013).

Artifacts, raw inputs, code and the record itself are entities, executions are activities; names are those of
the record's nodes: ``artifact:15``, ``execution:6``, ``source:1``. What PROV has no word for stands in
attributes of the namespace ``trust``.
"""

from __future__ import annotations

import os
import re
from typing import Any

from tfx_trust.components.provenance import naming as common
from tfx_trust.components.provenance.keys import key_id, load_public
from tfx_trust.components.provenance.record import (
    ArtifactEntry,
    Change,
    ExecutionEntry,
    FileEntry,
    Record,
    SourceEntry,
)
from tfx_trust.components.provenance.signing import PUBLIC_KEY_FILE

FILE = "prov.json"
# PROV is also written as XML, which has no place for other control characters.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_Attributes = dict[str, Any]


def export(record: Record, *, folder: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """The file's text by its name.

    Raises
    ------
    InputError
        If there is a public key in `folder` that cannot be read.
    """
    return {FILE: common.text_of(_Document(record, signer_of(folder)).content)}


def signer_of(folder: str | os.PathLike[str] | None) -> str | None:
    """Id of the key that the record in a folder was signed with; none where it was not signed."""
    public = None if folder is None else os.path.join(folder, PUBLIC_KEY_FILE)
    if public is None or not os.path.exists(public):
        return None
    return key_id(load_public(public))


class _Document:
    """Collects the statements; `content` is the whole."""

    def __init__(self, record: Record, signer: str | None) -> None:
        self._record = record
        self._digest = common.digest_of(record)
        base = f"{common.URN}record:{self._digest}:"
        self.content: dict[str, dict[str, Any]] = {
            "prefix": {
                "trust": f"{common.URN}terms:",
                "record": f"{common.URN}record:",
                **{name: f"{base}{name}:" for name in ("artifact", "execution", "source", "code", "agent")},
            }
        }
        self._add_agents(signer)
        self._add_sources()
        self._add_code()
        self._add_artifacts()
        self._add_executions()
        self._add_record(signer)

    # Elements

    def _add_agents(self, signer: str | None) -> None:
        environment = self._record.environment
        told: _Attributes = {}
        if environment is not None:
            told = {
                "trust:python": f"{environment.implementation} {environment.python}",
                "trust:platform": f"{environment.platform}, {environment.machine}",
                "trust:processors": environment.processors,
                "trust:container": environment.container,
                "trust:package": [f"{name}=={version}" for name, version in environment.packages.items()],
                "trust:variable": [f"{name}={value}" for name, value in environment.variables.items()],
            }
        self._element(
            "agent",
            "agent:pipeline",
            "prov:SoftwareAgent",
            f"TFX pipeline {self._record.pipeline}".strip(),
            told,
        )
        self._element(
            "agent", "agent:tfx-trust", "prov:SoftwareAgent", "tfx-trust", {"trust:version": common.version()}
        )
        if signer is not None:
            self._element("agent", "agent:signer", None, f"key {signer}", {"trust:keySha256": signer})

    def _add_sources(self) -> None:
        for source in self._record.sources:
            declared = source.declaration
            told: _Attributes = {
                "prov:location": source.place,
                "trust:kind": source.kind,
                "trust:pattern": [f"{split}: {pattern}" for split, pattern in source.patterns.items()],
                "trust:span": source.span,
                **_bytes_of(source.files, source.tree, source.observed),
            }
            if declared is not None:
                told |= {
                    "trust:origin": declared.origin,
                    "trust:version": declared.version,
                    "trust:issued": None if declared.issued is None else str(declared.issued),
                    "trust:citation": declared.citation,
                    "trust:licence": declared.licence,
                    "trust:collection": declared.collection,
                    "trust:legalBasis": declared.legal_basis,
                    "trust:consent": declared.consent,
                    "trust:purpose": common.told(declared.purposes),
                    "trust:retention": None if declared.retention is None else str(declared.retention),
                    "trust:personalData": common.told(declared.personal_data),
                    "trust:limitations": declared.limitations,
                    "trust:declaredIn": source.declared_in,
                }
            self._element("entity", source.id, "trust:Source", common.source_name(source), told)
            if declared is not None:
                number = source.id.rpartition(":")[2]
                for role, name in (("publisher", declared.publisher), ("contact", declared.contact)):
                    if name:
                        agent = f"agent:{role}-{number}"
                        self._element("agent", agent, None, name)
                        self._relate(
                            "wasAttributedTo",
                            {"prov:entity": source.id, "prov:agent": agent},
                            {"trust:as": role},
                        )

    def _add_code(self) -> None:
        for number, code in enumerate(self._record.code, start=1):
            told = {
                "trust:parameter": code.parameter,
                "trust:reference": code.reference,
                **_bytes_of(code.files, code.tree, ""),
            }
            self._element("entity", f"code:{number}", "prov:Plan", code.reference, told)
        repository = self._record.repository
        if repository is not None:
            told = {
                "prov:location": repository.remote,
                "trust:commit": repository.commit,
                "trust:branch": repository.branch,
                "trust:dirty": "yes" if repository.dirty else "no",
                "trust:changed": repository.changed,
                "trust:diffSha256": repository.diff_sha256,
            }
            self._element("entity", "code:repository", "trust:Repository", repository.commit, told)
            self._relate(
                "wasInfluencedBy",
                {
                    "prov:influencee": common.artifact_ref(self._record.model),
                    "prov:influencer": "code:repository",
                },
            )

    def _add_artifacts(self) -> None:
        made = common.makers(self._record)
        for artifact in self._record.artifacts:
            self._element(
                "entity",
                common.artifact_ref(artifact.id),
                f"trust:{common.slug(artifact.type) or 'Artifact'}",
                common.artifact_name(artifact),
                self._told_of(artifact),
            )
            maker = made.get(artifact.id)
            if maker is not None:
                time = artifact.created or common.finished(self._record, maker)
                port = next(port.name for port in maker.outputs if port.artifact == artifact.id)
                self._relate(
                    "wasGeneratedBy",
                    {
                        "prov:entity": common.artifact_ref(artifact.id),
                        "prov:activity": common.execution_ref(maker.id),
                        "prov:time": time,
                    },
                    {"prov:role": port},
                )

    def _told_of(self, artifact: ArtifactEntry) -> _Attributes:
        record = self._record
        told: _Attributes = {
            "prov:location": artifact.uri,
            "trust:artifactType": artifact.type,
            "trust:name": artifact.name,
            "trust:role": artifact.role,
            "trust:state": artifact.state,
            "trust:split": artifact.splits,
            "trust:span": artifact.span,
            "trust:spanVersion": artifact.version,
            "trust:properties": common.compact(artifact.properties) if artifact.properties else None,
            "trust:schemaSha256": record.schemas.get(artifact.uri),
            "trust:change": [_change(item) for item in record.changes if item.artifact == artifact.id],
            **_bytes_of(artifact.files, artifact.tree, artifact.observed),
        }
        if artifact.id == record.model:
            told |= {
                "trust:serving": record.serving,
                "trust:obligations": common.compact(record.obligations.model_dump(mode="json")),
                "trust:use": common.compact(record.use.model_dump(mode="json")) if record.use else None,
                "trust:seed": [
                    f"{name}={value}" for name, value in record.seeds.items() if value is not None
                ],
            }
            if record.training is not None:
                told["trust:trainedOnSplit"] = record.training.splits
                told["trust:evaluatedOnSplit"] = record.training.evaluation_splits
        return told

    def _add_executions(self) -> None:
        for execution in self._record.executions:
            times = {"prov:startTime": execution.started, "prov:endTime": execution.finished}
            told = {
                **common.filled(times),
                "trust:component": execution.type,
                "trust:run": execution.run,
                "trust:state": execution.state,
                "trust:parameters": common.compact(execution.parameters) if execution.parameters else None,
                "trust:reusedIn": execution.reused_in,
            }
            self._element(
                "activity", common.execution_ref(execution.id), "trust:Execution", execution.component, told
            )
            self._add_association(execution)
            self._add_uses(execution)
            self._add_derivations(execution)

    def _add_association(self, execution: ExecutionEntry) -> None:
        plans = [
            f"code:{number}"
            for number, code in enumerate(self._record.code, start=1)
            if code.execution == execution.id
        ]
        ends = {"prov:activity": common.execution_ref(execution.id), "prov:agent": "agent:pipeline"}
        for plan in plans or [""]:
            self._relate("wasAssociatedWith", {**ends, "prov:plan": plan})

    def _add_uses(self, execution: ExecutionEntry) -> None:
        for port in execution.inputs:
            if common.known(self._record, [port.artifact]):
                self._relate(
                    "used",
                    {
                        "prov:activity": common.execution_ref(execution.id),
                        "prov:entity": common.artifact_ref(port.artifact),
                    },
                    {"prov:role": port.name},
                )
        for source in common.sources_read_by(self._record, execution.id):
            self._relate(
                "used",
                {"prov:activity": common.execution_ref(execution.id), "prov:entity": source.id},
                {"prov:role": "source"},
            )

    def _add_derivations(self, execution: ExecutionEntry) -> None:
        training = self._record.training
        inputs = common.known(self._record, (port.artifact for port in execution.inputs))
        for output in common.known(self._record, (port.artifact for port in execution.outputs)):
            for origin in inputs:
                learned = (
                    training is not None
                    and output.id == self._record.model
                    and origin.id in training.examples
                )
                self._relate(
                    "wasDerivedFrom",
                    {
                        "prov:generatedEntity": common.artifact_ref(output.id),
                        "prov:usedEntity": common.artifact_ref(origin.id),
                        "prov:activity": common.execution_ref(execution.id),
                    },
                    {"prov:type": _qualified("trust:Training")} if learned else {},
                )

    def _add_record(self, signer: str | None) -> None:
        record = self._record
        for source in record.sources:
            for artifact in common.known(record, source.made):
                self._primary_source(artifact, source)
        name = f"record:{self._digest}"
        told = {
            "trust:schemaVersion": record.schema_version,
            "trust:pipeline": record.pipeline,
            "trust:run": record.run,
            "trust:unknown": [f"{item.what} of {item.subject}: {item.why}" for item in record.unknowns],
            "trust:change": [_change(item) for item in record.changes if item.artifact is None],
        }
        self._element("entity", name, "trust:Record", "provenance record", told)
        self._relate("wasGeneratedBy", {"prov:entity": name, "prov:time": record.created})
        self._relate("wasAttributedTo", {"prov:entity": name, "prov:agent": "agent:tfx-trust"})
        if signer is not None:
            self._relate(
                "wasAttributedTo", {"prov:entity": name, "prov:agent": "agent:signer"}, {"trust:as": "signer"}
            )
        self._relate(
            "wasDerivedFrom",
            {"prov:generatedEntity": name, "prov:usedEntity": common.artifact_ref(record.model)},
        )
        previous = record.previous
        if previous is not None:
            before = f"record:{previous.digest}"
            self._element(
                "entity",
                before,
                "trust:Record",
                "provenance record",
                {"prov:location": previous.uri, "trust:created": previous.created},
            )
            self._relate(
                "wasDerivedFrom",
                {"prov:generatedEntity": name, "prov:usedEntity": before},
                {"prov:type": _qualified("prov:Revision")},
            )

    def _primary_source(self, artifact: ArtifactEntry, source: SourceEntry) -> None:
        ends = {"prov:generatedEntity": common.artifact_ref(artifact.id), "prov:usedEntity": source.id}
        if any(execution.id == source.read_by for execution in self._record.executions):
            ends["prov:activity"] = f"execution:{source.read_by}"
        self._relate("wasDerivedFrom", ends, {"prov:type": _qualified("prov:PrimarySource")})

    # Statements

    def _element(
        self, kind: str, name: str, type_name: str | None, label: str, told: _Attributes | None = None
    ) -> None:
        attributes: _Attributes = {"prov:label": label or name}
        if type_name is not None:
            attributes["prov:type"] = _qualified(type_name)
        attributes |= told or {}
        self.content.setdefault(kind, {})[name] = _values(attributes)

    def _relate(self, kind: str, ends: dict[str, str], told: _Attributes | None = None) -> None:
        statements = self.content.setdefault(kind, {})
        statements[f"_:{kind}{len(statements) + 1}"] = {**common.filled(ends), **_values(told or {})}


def _qualified(name: str) -> dict[str, str]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _bytes_of(files: list[FileEntry], tree: str | None, observed: str) -> _Attributes:
    """Digests as attributes; a file is told as ``sha256sum`` tells it."""
    return {
        "trust:treeSha256": tree,
        "trust:files": len(files),
        "trust:bytes": {"$": str(common.size_of(files)), "type": "xsd:long"},
        "trust:file": [f"{file.sha256}  {file.path}" for file in files],
        "trust:observed": observed,
    }


def _change(change: Change) -> str:
    there = f" to {change.renamed_to}" if change.renamed_to else ""
    subject = f"{change.source}: " if change.source else ""
    return f"{subject}{change.path} {change.kind}{there}, after {change.seen}, before {change.found}"


def _values(attributes: _Attributes) -> _Attributes:
    return {
        name: [_value(item) for item in value] if isinstance(value, list) else _value(value)
        for name, value in common.filled(attributes).items()
    }


def _value(value: Any) -> Any:
    return (
        _NOT_IN_XML.sub(lambda found: f"\\x{ord(found[0]):02x}", value) if isinstance(value, str) else value
    )
