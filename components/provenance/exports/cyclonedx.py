"""The record as a CycloneDX 1.6 ML-BOM: the model with its card, its data, code and packages, its making.

Its specification is ECMA-424, first edition. References within the document are the names of the record's
nodes. What CycloneDX has no field for stands in properties whose names begin with ``tfx-trust:``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tfx_trust.components.provenance import naming as common
from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.exports._formulation import formulation_of
from tfx_trust.components.provenance.record import (
    ArtifactEntry,
    CodeEntry,
    FileEntry,
    Record,
    SourceEntry,
)
from tfx_trust.components.provenance.statement import package_url

FILE = "bom.cdx.json"
_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+")
_Json = dict[str, Any]


def export(record: Record) -> dict[str, str]:
    """The file's text by its name."""
    model = record.artifact(record.model)
    libraries = _libraries(record)
    components = [
        *(_source(source) for source in record.sources),
        *(_artifact(record, item) for item in record.artifacts if item.id != model.id),
        *(_code(number, code) for number, code in enumerate(record.code, start=1)),
        *libraries,
    ]
    content = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{common.identifier('cyclonedx', common.digest_of(record))}",
        "version": 1,
        "metadata": {
            "timestamp": record.created,
            "tools": {
                "components": [
                    {"type": "application", "name": "tfx-trust", "version": common.version()},
                ]
            },
            "component": _model(record, model),
            "properties": common.properties_of(
                {
                    "record:sha256": common.digest_of(record),
                    "record:previous": record.previous.digest if record.previous else None,
                    "pipeline": record.pipeline,
                    "run": record.run,
                    "unknown": [f"{item.what} of {item.subject}: {item.why}" for item in record.unknowns],
                }
            ),
        },
        "components": components,
        "dependencies": _dependencies(record, [library["bom-ref"] for library in libraries]),
        "compositions": [
            {
                "aggregate": "incomplete" if record.unknowns else "unknown",
                "assemblies": [common.artifact_ref(record.model)],
            }
        ],
        "formulation": formulation_of(record),
    }
    return {FILE: common.text_of(common.filled(content))}


# Components


def _model(record: Record, model: ArtifactEntry) -> _Json:
    repository = record.repository
    address = common.address_of_repository(repository.remote) if repository is not None else None
    references = []
    if repository is not None and address:
        state = ", changed since" if repository.dirty else ""
        references.append({"type": "vcs", "url": address, "comment": f"commit {repository.commit}{state}"})
    obligations = record.obligations
    return common.filled(
        {
            "type": "machine-learning-model",
            "bom-ref": common.artifact_ref(model.id),
            "name": common.model_name(record),
            "version": _version(record.run),
            "licenses": _licences(record.use.licence if record.use is not None else None),
            "externalReferences": references,
            "components": _files(common.artifact_ref(model.id), model.files),
            "modelCard": _card(record),
            "properties": common.properties_of(
                {
                    **_told_of(record, model),
                    "serving": record.serving,
                    "commercial": obligations.commercial,
                    "derivatives": obligations.derivatives,
                    "distribution": obligations.distribution,
                    "licence:inherited": obligations.licences,
                    "attribution": obligations.attribution,
                    "share-alike": obligations.share_alike,
                    "retention": obligations.retention,
                    "undeclared": obligations.undeclared,
                    "repository:commit": repository.commit if repository else None,
                    "repository:diff-sha256": repository.diff_sha256 if repository else None,
                    "repository:changed": repository.changed if repository else None,
                    "container": record.environment.container if record.environment else None,
                }
            ),
        }
    )


def _card(record: Record) -> _Json:
    training = record.training
    learned_from = [] if training is None else common.known(record, training.examples)
    declared = [source.declaration for source in record.sources if source.declaration is not None]
    use = record.use
    considerations: _Json = {
        "useCases": [] if use is None else [use.purpose],
        "technicalLimitations": _each(item.limitations for item in declared),
        "ethicalConsiderations": _risks(record, declared),
    }
    read = [
        source
        for source in record.sources
        if any(item.type == "Examples" for item in common.known(record, source.made))
    ]
    return common.filled(
        {
            "bom-ref": f"card:{record.model}",
            "modelParameters": common.filled(
                {
                    "datasets": [
                        *({"ref": common.artifact_ref(item.id)} for item in learned_from),
                        *({"ref": source.id} for source in read),
                    ]
                }
            ),
            "considerations": common.filled(considerations),
            "properties": common.properties_of(
                {
                    "training:split": training.splits if training else None,
                    "evaluation:split": training.evaluation_splits if training else None,
                    "seed": [f"{name}={value}" for name, value in record.seeds.items() if value is not None],
                    "use:commercial": None if use is None else common.as_text(use.commercial),
                    "use:distribution": None if use is None else common.as_text(use.distribution),
                }
            ),
        }
    )


def _risks(record: Record, declared: Iterable[SourceDeclaration]) -> list[_Json]:
    risks = []
    for item in declared:
        if item.personal_data:
            consent = f"Consent: {item.consent}" if item.consent else None
            risk = {
                "name": f"{item.name} holds data about people: {', '.join(item.personal_data)}",
                "mitigationStrategy": " ".join(filter(None, (common.legal_basis(item), consent))),
            }
            risks.append(common.filled(risk))
    names = {source.id: common.source_name(source) for source in record.sources}
    risks += [
        {"name": f"nothing is declared of {names.get(name, name)}"} for name in record.obligations.undeclared
    ]
    return risks


def _source(source: SourceEntry) -> _Json:
    declared = source.declaration
    name = common.source_name(source)
    origin = common.address_of(declared.origin) if declared is not None else None
    references = [{"type": "distribution", "url": origin}] if origin else []
    data: _Json = {
        "type": "dataset",
        "name": name,
        "contents": {"url": common.source_uri(source)},
    }
    if declared is not None:
        data |= {
            "sensitiveData": common.told(declared.personal_data),
            "description": "\n\n".join(_each((declared.collection, declared.limitations))),
            "governance": common.filled(
                {
                    "owners": _parties(declared.publisher, organisation=True),
                    "custodians": _parties(declared.contact),
                }
            ),
        }
    told: Mapping[str, Any] = {
        "kind": source.kind,
        "place": source.place,
        "pattern": [f"{split}: {pattern}" for split, pattern in source.patterns.items()],
        "span": source.span,
        "tree-sha256": source.tree,
        "observed": source.observed,
        "declared-in": source.declared_in,
    }
    if declared is not None:
        told = {
            **told,
            "origin": None if origin else declared.origin,
            "issued": declared.issued,
            "citation": declared.citation,
            "legal-basis": declared.legal_basis,
            "consent": declared.consent,
            "purpose": common.told(declared.purposes),
            "retention": declared.retention,
        }
    return common.filled(
        {
            "type": "data",
            "bom-ref": source.id,
            "name": name,
            "version": _version(declared.version) if declared is not None else None,
            "publisher": declared.publisher if declared is not None else None,
            "hashes": _hashes(source.files),
            "licenses": _licences(declared.licence if declared is not None else None),
            "externalReferences": references,
            "components": _files(source.id, source.files),
            "data": [common.filled(data)],
            "properties": common.properties_of(told),
        }
    )


def _artifact(record: Record, artifact: ArtifactEntry) -> _Json:
    is_model = artifact.type == "Model"
    data = [{"type": "dataset", "name": common.artifact_name(artifact)}] if not is_model else []
    if data and artifact.type not in ("Examples", "ExampleStatistics"):
        data[0]["type"] = "definition" if artifact.type in ("Schema", "TransformGraph") else "other"
    return common.filled(
        {
            "type": "machine-learning-model" if is_model else "data",
            "bom-ref": common.artifact_ref(artifact.id),
            "name": artifact.name or common.artifact_name(artifact),
            "hashes": _hashes(artifact.files),
            "components": _files(common.artifact_ref(artifact.id), artifact.files),
            "data": [{**item, "contents": {"url": common.uri_of(artifact.uri)}} for item in data],
            "properties": common.properties_of(_told_of(record, artifact)),
        }
    )


def _told_of(record: Record, artifact: ArtifactEntry) -> Mapping[str, Any]:
    return {
        "artifact-type": artifact.type,
        "role": artifact.role,
        "place": artifact.uri,
        "created": artifact.created,
        "split": artifact.splits,
        "span": artifact.span,
        "tree-sha256": artifact.tree,
        "observed": artifact.observed,
        "change": [
            f"{item.path} {item.kind}, after {item.seen}, before {item.found}"
            for item in record.changes
            if item.artifact == artifact.id
        ],
    }


def _code(number: int, code: CodeEntry) -> _Json:
    name = f"code:{number}"
    return common.filled(
        {
            "type": "application",
            "bom-ref": name,
            "name": code.reference,
            "hashes": _hashes(code.files),
            "components": _files(name, code.files),
            "properties": common.properties_of({"parameter": code.parameter, "tree-sha256": code.tree}),
        }
    )


def _libraries(record: Record) -> list[_Json]:
    if record.environment is None:
        return []
    found = {}
    for name, version in record.environment.packages.items():
        purl = package_url(name, version)
        library = {"name": name, "version": _version(version), "purl": purl}
        found[purl] = common.filled({"type": "library", "bom-ref": purl, **library})
    return list(found.values())


def _files(owner: str, files: Iterable[FileEntry]) -> list[_Json]:
    return [
        {
            "type": "file",
            "bom-ref": f"{owner}/{file.path}",
            "name": file.path,
            "hashes": _hashes([file]),
            "properties": common.properties_of({"size": file.size}),
        }
        for file in files
    ]


def _hashes(files: list[FileEntry]) -> list[_Json]:
    """Those of one file are those of the whole; the digest over several is no hash that others can check."""
    return [{"alg": "SHA-256", "content": files[0].sha256}] if len(files) == 1 else []


def _licences(expression: str | None) -> list[_Json]:
    # One licence is an expression too, and an expression is bound to no edition of the list of licences.
    return [{"expression": expression}] if expression else []


def _version(text: str | None) -> str | None:
    """What is longer is no version to CycloneDX."""
    return text if text and len(text) <= 1024 else None


def _parties(name: str | None, *, organisation: bool = False) -> list[_Json]:
    if not name:
        return []
    if organisation:
        return [{"organization": {"name": name}}]
    return [{"contact": {"email" if _EMAIL.fullmatch(name) else "name": name}}]


# How it was made


def _dependencies(record: Record, libraries: list[str]) -> list[_Json]:
    makers = common.makers(record)
    found: dict[str, dict[str, None]] = {}
    for artifact in record.artifacts:
        needed = found.setdefault(common.artifact_ref(artifact.id), {})
        maker = makers.get(artifact.id)
        if maker is not None:
            read = common.known(record, (port.artifact for port in maker.inputs))
            needed |= {common.artifact_ref(item.id): None for item in read if item.id != artifact.id}
            needed |= {
                f"code:{number}": None
                for number, code in enumerate(record.code, start=1)
                if code.execution == maker.id
            }
    for source in record.sources:
        found.setdefault(source.id, {})
        for artifact in common.known(record, source.made):
            found[common.artifact_ref(artifact.id)][source.id] = None
    found[common.artifact_ref(record.model)] |= dict.fromkeys(libraries)
    return [common.filled({"ref": ref, "dependsOn": list(needed)}) for ref, needed in found.items()]


def _each(texts: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))
