"""The record as events of OpenLineage 2-0-2: START and COMPLETE of every execution, a line each.

Datasets are named as OpenLineage's naming has it, by where they lie, so that the events join those of other
systems; their version is the digest over their files. The facets are those of the specification, but for one,
``tfxTrust_files``, which has the files with their digests, and who they are in the metadata store.
"""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from typing import Any

from tfx_trust.components.provenance import naming as common
from tfx_trust.components.provenance.record import (
    ArtifactEntry,
    ExecutionEntry,
    FileEntry,
    Record,
    SourceEntry,
)

FILE = "openlineage.ndjson"
JOBS = "tfx"
"""Namespace of the jobs, which are named ``<pipeline>.<node>``."""

_SPEC = "https://openlineage.io/spec"
_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_VERSIONS = {
    "DatasetVersionDatasetFacet": "1-0-1",
    "DatasetTypeDatasetFacet": "1-0-1",
    "DatasourceDatasetFacet": "1-0-1",
    "DocumentationDatasetFacet": "1-1-0",
    "EnvironmentVariablesRunFacet": "1-0-0",
    "ExecutionParametersRunFacet": "1-0-0",
    "InputStatisticsInputDatasetFacet": "1-0-0",
    "JobTypeJobFacet": "2-0-4",
    "LifecycleStateChangeDatasetFacet": "1-0-1",
    "NominalTimeRunFacet": "1-0-1",
    "OutputStatisticsOutputDatasetFacet": "1-0-2",
    "OwnershipDatasetFacet": "1-0-1",
    "ParentRunFacet": "1-2-0",
    "ProcessingEngineRunFacet": "1-1-1",
    "SQLJobFacet": "1-1-0",
    "SourceCodeLocationJobFacet": "1-1-0",
    "TagsDatasetFacet": "1-0-0",
}
_FILES = "tfxTrust_files"
_ENDS = {"COMPLETE": "COMPLETE", "CACHED": "COMPLETE", "FAILED": "FAIL", "CANCELED": "ABORT"}

_Facets = dict[str, dict[str, Any]]


def export(record: Record) -> dict[str, str]:
    """The file's text by its name."""
    events = [event for execution in record.executions for event in _events(record, execution)]
    events.sort(key=lambda event: event["eventTime"])
    _tell_files_once(events)
    # In ASCII: there are line breaks beyond it that some readers of lines break at.
    return {FILE: "".join(json.dumps(event, allow_nan=False) + "\n" for event in events)}


def run_id(record: Record, execution: ExecutionEntry) -> str:
    """The same for one execution in whichever record it stands."""
    return common.identifier(
        "execution", record.pipeline, execution.run, execution.component, execution.id, execution.started
    )


def _events(record: Record, execution: ExecutionEntry) -> list[dict[str, Any]]:
    shared = {
        "producer": _producer(),
        "schemaURL": _EVENT,
        "run": {"runId": run_id(record, execution), "facets": _run_facets(record, execution)},
        "job": {
            "namespace": JOBS,
            "name": _job(record, execution),
            "facets": _job_facets(record, execution),
        },
    }
    end = _ENDS.get(execution.state, "OTHER")
    return [
        {
            "eventType": "START",
            "eventTime": common.started(record, execution),
            **shared,
            "inputs": _inputs(record, execution),
            "outputs": [],
        },
        {
            "eventType": end,
            "eventTime": common.finished(record, execution),
            **shared,
            "inputs": _inputs(record, execution),
            "outputs": _outputs(record, execution),
        },
    ]


def _tell_files_once(events: list[dict[str, Any]]) -> None:
    """Leaves the lists of files, which may be long, where a dataset is first named."""
    seen = set()
    for event in events:
        for dataset in (*event["inputs"], *event["outputs"]):
            name = (dataset["namespace"], dataset["name"])
            if name in seen:
                dataset["facets"].pop(_FILES, None)
            seen.add(name)


def _producer() -> str:
    return f"{common.URN}tfx-trust:{urllib.parse.quote(common.version())}"


def _job(record: Record, execution: ExecutionEntry) -> str:
    return ".".join(part for part in (record.pipeline, execution.component) if part)


def _facet(name: str, /, **content: Any) -> dict[str, Any]:
    return {
        "_producer": _producer(),
        "_schemaURL": f"{_SPEC}/facets/{_VERSIONS[name]}/{name}.json#/$defs/{name}",
        **{key: value for key, value in content.items() if value is not None},
    }


def _run_facets(record: Record, execution: ExecutionEntry) -> _Facets:
    facets = {}
    if execution.run:
        run = {"runId": common.identifier("run", record.pipeline, execution.run)}
        facets["parent"] = _facet(
            "ParentRunFacet", run=run, job={"namespace": JOBS, "name": record.pipeline or execution.run}
        )
    if execution.started:
        facets["nominalTime"] = _facet(
            "NominalTimeRunFacet",
            nominalStartTime=execution.started,
            nominalEndTime=execution.finished or None,
        )
    environment = record.environment
    engine = environment.packages.get("tfx") if environment is not None else None
    if engine:
        facets["processing_engine"] = _facet(
            "ProcessingEngineRunFacet",
            version=engine,
            name="TFX",
            openlineageAdapterVersion=common.version(),
        )
    if execution.parameters:
        facets["executionParameters"] = _facet(
            "ExecutionParametersRunFacet",
            parameters=[
                {"key": name, **({} if value is None else {"value": common.as_text(value)})}
                for name, value in execution.parameters.items()
            ],
        )
    if environment is not None and environment.variables:
        facets["environmentVariables"] = _facet(
            "EnvironmentVariablesRunFacet",
            environmentVariables=[
                {"name": name, "value": value} for name, value in environment.variables.items()
            ],
        )
    return facets


def _job_facets(record: Record, execution: ExecutionEntry) -> _Facets:
    trains = record.training is not None and record.training.execution == execution.id
    facets = {
        "jobType": _facet(
            "JobTypeJobFacet",
            processingType="BATCH",
            integration="TFX",
            jobType="TRAINING" if trains else "TASK",
        )
    }
    queries = [
        source.place for source in common.sources_read_by(record, execution.id) if source.kind == "query"
    ]
    if queries:
        facets["sql"] = _facet("SQLJobFacet", query=";\n".join(queries))
    repository = record.repository
    address = common.address_of_repository(repository.remote) if repository is not None else None
    if repository is not None and address and any(code.execution == execution.id for code in record.code):
        facets["sourceCodeLocation"] = _facet(
            "SourceCodeLocationJobFacet",
            type="git",
            url=address,
            repoUrl=address,
            version=repository.commit,
            branch=repository.branch,
        )
    return facets


def _inputs(record: Record, execution: ExecutionEntry) -> list[dict[str, Any]]:
    read = common.known(record, (port.artifact for port in execution.inputs))
    return [
        *(_source(source) for source in common.sources_read_by(record, execution.id)),
        *(
            {**_artifact(record, artifact), "inputFacets": _read(artifact.files, artifact.tree)}
            for artifact in read
        ),
    ]


def _outputs(record: Record, execution: ExecutionEntry) -> list[dict[str, Any]]:
    made = []
    for artifact in common.known(record, (port.artifact for port in execution.outputs)):
        dataset = _artifact(record, artifact)
        dataset["facets"]["lifecycleStateChange"] = _facet(
            "LifecycleStateChangeDatasetFacet", lifecycleStateChange="CREATE"
        )
        if artifact.tree is not None:
            dataset["outputFacets"] = {
                "outputStatistics": _facet(
                    "OutputStatisticsOutputDatasetFacet",
                    size=common.size_of(artifact.files),
                    fileCount=len(artifact.files),
                )
            }
        made.append(dataset)
    return made


def _read(files: list[FileEntry], tree: str | None) -> _Facets:
    if tree is None:
        return {}
    return {
        "inputStatistics": _facet(
            "InputStatisticsInputDatasetFacet", size=common.size_of(files), fileCount=len(files)
        )
    }


def _artifact(record: Record, artifact: ArtifactEntry) -> dict[str, Any]:
    namespace, name = _dataset_name(artifact.uri)
    is_model = artifact.id == record.model
    facets = {
        "dataSource": _facet("DatasourceDatasetFacet", name=namespace, uri=common.uri_of(artifact.uri)),
        "datasetType": _facet(
            "DatasetTypeDatasetFacet",
            datasetType="MODEL" if artifact.type == "Model" else "FILE",
            subType=artifact.type,
        ),
        _FILES: _files(
            artifact.files,
            artifact.tree,
            id=common.artifact_ref(artifact.id),
            role=artifact.role,
            splits=artifact.splits,
            observed=artifact.observed,
        ),
    }
    tags = [("licence", licence) for licence in record.obligations.licences] if is_model else []
    tags += [("split", split) for split in artifact.splits]
    if is_model and record.use is not None:
        tags.append(("purpose", record.use.purpose))
    return {
        "namespace": namespace,
        "name": name,
        "facets": {**facets, **_version(artifact.tree), **_tags(tags)},
    }


def _source(source: SourceEntry) -> dict[str, Any]:
    if source.kind == "query":
        # What the query asks is not known by name, so the query itself is the name.
        namespace = f"{common.URN}query"
        name = f"sha256:{hashlib.sha256(source.place.encode()).hexdigest()}"
    else:
        namespace, name = _dataset_name(source.place)
    declared = source.declaration
    facets: _Facets = {
        "dataSource": _facet(
            "DatasourceDatasetFacet", name=common.source_name(source), uri=common.source_uri(source)
        ),
        _FILES: _files(
            source.files,
            source.tree,
            id=source.id,
            role="source",
            splits=list(source.patterns),
            observed=source.observed,
        ),
    }
    tags: list[tuple[str, str]] = []
    if declared is not None:
        words = [part for part in (declared.collection, declared.limitations, declared.citation) if part]
        if words:
            facets["documentation"] = _facet("DocumentationDatasetFacet", description="\n\n".join(words))
        owners = [
            {"name": owner, "type": kind}
            for kind, owner in (("PUBLISHER", declared.publisher), ("CONTACT", declared.contact))
            if owner
        ]
        if owners:
            facets["ownership"] = _facet("OwnershipDatasetFacet", owners=owners)
        tags = [
            ("licence", declared.licence or ""),
            ("legal_basis", declared.legal_basis or ""),
            ("retention", str(declared.retention or "")),
            *(("purpose", purpose) for purpose in common.told(declared.purposes)),
            *(("personal_data", category) for category in common.told(declared.personal_data)),
        ]
    return {
        "namespace": namespace,
        "name": name,
        "facets": {**facets, **_version(source.tree), **_tags(tags)},
        "inputFacets": _read(source.files, source.tree),
    }


def _version(tree: str | None) -> _Facets:
    if tree is None:
        return {}
    return {"version": _facet("DatasetVersionDatasetFacet", datasetVersion=f"tree-sha256:{tree}")}


def _tags(tags: list[tuple[str, str]]) -> _Facets:
    told = [{"key": key, "value": value, "source": "TFX-TRUST"} for key, value in tags if value]
    return {"tags": _facet("TagsDatasetFacet", tags=told)} if told else {}


def _files(files: list[FileEntry], tree: str | None, **more: Any) -> dict[str, Any]:
    """The one facet of our own: what the specification has no facet for."""
    return {
        "_producer": _producer(),
        "_schemaURL": f"{common.URN}openlineage:1-0-0:TfxTrustFilesDatasetFacet",
        **common.filled(more),
        "known": tree is not None,
        "files": [file.model_dump(mode="json") for file in files],
    }


def _dataset_name(place: str) -> tuple[str, str]:
    """Namespace and name, as OpenLineage names what lies in a file system or in an object store."""
    if not common.is_remote(place):
        return "file", place
    parts = urllib.parse.urlsplit(place)
    if parts.scheme == "file":
        return "file", urllib.parse.unquote(parts.path)
    path = place[len(parts.scheme) + 3 + len(parts.netloc) :]
    # A key in an object store begins with no slash, a path does.
    name = path if parts.scheme in ("hdfs", "dbfs", "http", "https") else path.lstrip("/")
    return f"{parts.scheme}://{parts.netloc}", name or "/"
