"""The record as an in-toto Statement with SLSA provenance, for programs of others.

See https://in-toto.io/Statement/v1 and https://slsa.dev/provenance/v1. What these have no place for, such as
licences and splits, is told in annotations.
"""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfx_trust.components.provenance.naming import (
    address_of_repository,
    artifact_name,
    file_place,
    filled,
    makers,
    place_of,
    size_of,
    source_name,
    source_uri,
    uri_of,
    version,
)
from tfx_trust.components.provenance.record import (
    RECORD_FILE,
    ArtifactEntry,
    CodeEntry,
    Environment,
    FileEntry,
    Record,
    Repository,
    SourceEntry,
)
from tfx_trust.components.provenance.signing import STATEMENT_TYPE, model_root

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:tfx-trust:build:tfx-pipeline:v1"
"""How to read the parameters: those of every node of a TFX pipeline, by the node's name."""
BUILDER = "urn:tfx-trust:builder:provenance-tracker"
TREE = "tfxTrustTree"
"""Name among the digests of the tree digest, which binds the names of files; see
:func:`~tfx_trust.components.provenance.hashing.tree_digest`."""
# Whole numbers beyond these are no longer told apart by programs that read all numbers as float64.
_EXACT = 2**53


def statement_of(record: Record, *, beside: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The Statement that is signed together with a record.

    Its subjects are the model, the part of it that is served, and the file of the record, which has all that
    is left out here: the digest of every single file.

    Parameters
    ----------
    record
        Sealed.
    beside
        sha256 of further files in the record's folder, by name: they become by-products, so that a change to
        them shows; those without a URI are these.
    """
    return {
        "_type": STATEMENT_TYPE,
        "subject": _subjects(record),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"pipeline": record.pipeline, "nodes": _parameters(record)},
                "internalParameters": _internal(record),
                "resolvedDependencies": _dependencies(record),
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"tfx-trust": version()}},
                "metadata": _metadata(record),
                "byproducts": _byproducts(record, beside or {}),
            },
        },
    }


def serving_files(record: Record) -> list[FileEntry]:
    """The files of the model that are pushed, relative to the folder that is; none where none is known."""
    prefix = f"{record.serving}/"
    return [
        file.model_copy(update={"path": file.path.removeprefix(prefix)})
        for file in record.artifact(record.model).files
        if record.serving is not None and file.path.startswith(prefix)
    ]


def package_url(name: str, package_version: str) -> str:
    """How a Python distribution is named among all packages of the world.

    Examples
    --------
    >>> package_url("ml_metadata", "1.16.0"), package_url("torch", "2.9.0+cpu")
    ('pkg:pypi/ml-metadata@1.16.0', 'pkg:pypi/torch@2.9.0%2Bcpu')
    """
    normal = re.sub(r"[-_.]+", "-", name).lower()
    return f"pkg:pypi/{normal}@{urllib.parse.quote(package_version, safe='')}"


def _subjects(record: Record) -> list[dict[str, Any]]:
    content = hashlib.sha256(record.to_bytes()).hexdigest()
    subjects = [{"name": RECORD_FILE, "digest": {"sha256": content}}]
    model = record.artifact(record.model)
    if model.tree is not None:
        told = {"sha256": model_root(model.files), TREE: model.tree}
        subjects.insert(0, {"name": artifact_name(model), "uri": uri_of(model.uri), "digest": told})
    served = serving_files(record)
    if served:
        place = uri_of(place_of(model.uri, record.serving or ""))
        subjects.insert(
            1, {"name": str(record.serving), "uri": place, "digest": {"sha256": model_root(served)}}
        )
    return subjects


# Parameters


def _parameters(record: Record) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for execution in record.executions:
        name = execution.component
        named[name if name not in named else f"{name} ({execution.id})"] = _plain(execution.parameters)
    return named


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, int) and abs(value) > _EXACT else value
        for name, value in values.items()
    }


def _internal(record: Record) -> dict[str, Any]:
    return filled(
        {
            "record": record.digest,
            "recorded": record.created,
            "seeds": _plain(record.seeds),
            "environment": _environment(record.environment),
            "previousRecord": record.previous.digest if record.previous else None,
        }
    )


def _environment(environment: Environment | None) -> dict[str, Any]:
    if environment is None:
        return {}
    return filled(environment.model_dump(mode="json", exclude={"packages", "container"}))


def _metadata(record: Record) -> dict[str, str]:
    return filled(
        {
            "invocationId": record.run,
            "startedOn": min((item.started for item in record.executions if item.started), default=""),
            "finishedOn": max((item.finished for item in record.executions if item.finished), default=""),
        }
    )


# What went in


def _dependencies(record: Record) -> list[dict[str, Any]]:
    found = [_source(source) for source in record.sources]
    found += [_artifact(item) for item in record.artifacts if item.role == "upstream"]
    found += _code(record.code)
    if record.repository is not None:
        found.append(_repository(record.repository))
    if record.environment is not None:
        found += _packages(record.environment)
    return found


def _source(source: SourceEntry) -> dict[str, Any]:
    declared = source.declaration
    annotations = {
        "role": "source",
        "id": source.id,
        "kind": source.kind,
        "patterns": source.patterns,
        "span": source.span,
        "files": len(source.files),
        "bytes": size_of(source.files),
        "declaredIn": source.declared_in,
    }
    if declared is not None:
        annotations["declaration"] = declared.model_dump(mode="json", exclude_none=True)
        annotations["licence"] = declared.licence
    if source.kind == "query":
        annotations["query"] = source.place
    uri = file_place(source, source.files[0]) if len(source.files) == 1 else source_uri(source)
    return _descriptor(
        source_name(source), uri_of(uri), _digests(source.files, source.tree), filled(annotations)
    )


def _artifact(item: ArtifactEntry) -> dict[str, Any]:
    annotations = {
        "role": item.role,
        "type": item.type,
        "splits": item.splits,
        "span": item.span,
        "files": len(item.files),
        "bytes": size_of(item.files),
    }
    return _descriptor(
        artifact_name(item), uri_of(item.uri), _digests(item.files, item.tree), filled(annotations)
    )


def _code(entries: Sequence[CodeEntry]) -> list[dict[str, Any]]:
    """Each file once, whichever parameters name it."""
    named: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        for file in entry.files:
            named.setdefault((file.path, file.sha256), []).append(f"{entry.parameter}={entry.reference}")
    return [
        _descriptor(path, "", {"sha256": sha256}, {"role": "code", "namedBy": sorted(set(by))})
        for (path, sha256), by in named.items()
    ]


def _repository(repository: Repository) -> dict[str, Any]:
    address = address_of_repository(repository.remote)
    annotations = {
        "role": "code",
        "branch": repository.branch,
        "dirty": repository.dirty,
        "changed": repository.changed,
        "diffSha256": repository.diff_sha256,
    }
    uri = f"git+{address}@{repository.commit}" if address else ""
    return _descriptor("repository", uri, {"gitCommit": repository.commit}, filled(annotations))


def _packages(environment: Environment) -> list[dict[str, Any]]:
    urls = [package_url(name, value) for name, value in sorted(environment.packages.items())]
    found = [{"uri": url, "annotations": {"role": "package"}} for url in urls]
    if environment.container:
        found.insert(0, {"name": environment.container, "annotations": {"role": "container"}})
    return found


# What else came out


def _byproducts(record: Record, beside: Mapping[str, str]) -> list[dict[str, Any]]:
    made_by = makers(record)
    found = []
    for item in record.artifacts:
        if item.role == "related":
            described = _artifact(item)
            if item.id in made_by:
                described["annotations"]["madeBy"] = made_by[item.id].component
            found.append(described)
    found += [_descriptor(name, "", {"sha256": digest}, {}) for name, digest in sorted(beside.items())]
    return found


def _digests(files: Iterable[FileEntry], tree: str | None) -> dict[str, str]:
    if tree is None:
        return {}
    listed = list(files)
    return {TREE: tree, **({"sha256": listed[0].sha256} if len(listed) == 1 else {})}


def _descriptor(name: str, uri: str, digest: Mapping[str, str], annotations: Any) -> dict[str, Any]:
    return filled({"name": name, "uri": uri, "digest": dict(digest), "annotations": annotations})
