"""Putting a record together: the lineage of a model, the bytes of all in it, and what is not known."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tfx_trust.components.errors import InputError
from tfx_trust.components.mlmd import Artifact, Event, Execution, Prefixes, Store
from tfx_trust.components.provenance import origins
from tfx_trust.components.provenance.chain import iso, previous_of, records_of_model, without_records
from tfx_trust.components.provenance.code import Code, code_of, folder_of
from tfx_trust.components.provenance.config import ProvenanceSettings
from tfx_trust.components.provenance.environment import environment_of
from tfx_trust.components.provenance.hashing import digest_folders, tree_digest
from tfx_trust.components.provenance.lineage import Lineage, upstream
from tfx_trust.components.provenance.masking import mask_text, masked
from tfx_trust.components.provenance.readings import read_otherwise, sources_read_otherwise
from tfx_trust.components.provenance.record import (
    ArtifactEntry,
    Change,
    Environment,
    ExecutionEntry,
    FileEntry,
    Port,
    Previous,
    Record,
    Repository,
    Unknown,
)
from tfx_trust.components.provenance.repository import look_up
from tfx_trust.components.provenance.serving import serving_folder
from tfx_trust.components.provenance.snapshots import changes, earlier
from tfx_trust.components.provenance.training import seeds_of, span_of, splits_of, training_of
from tfx_trust.components.provenance.unknowns import unknowns_of

SCHEMA = "Schema"
Progress = Callable[[int, int], None]
"""Is told how many files and how many bytes have been hashed so far."""


@dataclass
class _Graph:
    """What of the store goes into the record."""

    upstream: Lineage
    """Of the model."""
    artifacts: dict[int, Artifact]
    executions: dict[int, Execution]
    reads: list[Event]
    makes: list[Event]
    reused: dict[int, list[str]]
    nodes: dict[int, str]
    runs: dict[int, str]
    roles: dict[int, str] = field(default_factory=dict)


def build_record(
    store: Store,
    model: Artifact,
    settings: ProvenanceSettings,
    *,
    related: Iterable[int] = (),
    running: int | None = None,
    rewrite: Prefixes = (),
    here: bool = False,
    run: str | None = None,
    now: datetime.datetime | None = None,
    previous: Previous | None = None,
    progress: Progress | None = None,
) -> Record:
    """The record of a model, unsealed.

    Parameters
    ----------
    store
        The metadata store; it is only read.
    model
        The model's artifact.
    settings
        Declarations, the use, the repository and the container.
    related
        Ids of further artifacts: the evaluation, a gate's report, declarations.
    running
        Id of the execution that asks, which has not ended and is no fault.
    rewrite
        Old and new beginnings of places, if the files were moved since the store was written.
    here
        Whether this is the pipeline, so that the environment is that of the training. A record that is made
        afterwards has none, and takes code and raw inputs as they are now.
    run
        Id of the pipeline run that is on. If the model is of another, and was served from the cache, the
        environment and the state of the repository are those that a record of that run has, or unknown.
    now
        Time of the record; that of the clock if not given.
    previous
        The record before; that which the store has of this pipeline if not given.
    progress
        Is told how far the hashing has come.

    Raises
    ------
    InputError
        If the store cannot be read, or one of the artifacts is not in it.
    """
    moment = now or datetime.datetime.now(datetime.timezone.utc)
    created = moment.astimezone(datetime.timezone.utc).isoformat(timespec="seconds")
    unknowns: list[Unknown] = []
    graph = _graph(store, model.id, related, rewrite)
    files = _Files(progress)
    artifacts = [
        _artifact(graph.artifacts[number], graph.roles[number], files, created, unknowns)
        for number in files.hash_all(graph.artifacts)
    ]
    maker = graph.upstream.maker(model.id)
    pipeline = store.pipelines([maker.id]).get(maker.id, "") if maker else ""
    found, last = previous_of(store, pipeline, rewrite=rewrite, unknowns=unknowns)
    sources = origins.read_sources(
        graph.upstream, settings, artifacts, observed=created, rewrite=rewrite, unknowns=unknowns
    )
    code = code_of(graph.executions.values(), rewrite=rewrite, found=created)
    training = training_of(graph.upstream, model.id)
    made_in = graph.runs.get(maker.id, "") if maker else ""
    if here and run is not None and run != made_in:
        repository, environment = _then(store, model.id, made_in, rewrite, unknowns)
    else:
        trained = training.execution if training else None
        repository = _repository(graph, code, settings, trained, rewrite, unknowns)
        environment = environment_of(settings.container) if here else None
    seeds = seeds_of(graph.upstream.executions, graph.nodes)
    unseen: list[Unknown] = []
    seen = earlier(store, graph.artifacts, rewrite=rewrite, unknowns=unseen)
    unknowns += without_records(unseen, store, last=found.artifact if found else None)
    differing = [change for entry in artifacts for change in changes(entry, seen[entry.id])]
    told = {change.artifact for change in differing}
    differing += [change for change in read_otherwise(store, artifacts) if change.artifact not in told]
    differing += [*origins.changes_of(sources, last, created), *code.changes]
    unknowns += [*code.unknowns, *sources_read_otherwise(graph.executions, sources)]
    unknowns += unknowns_of(
        store,
        graph.upstream,
        model.id,
        nodes=graph.nodes,
        sources=sources,
        training=training,
        seeds=seeds,
        here=here,
        running=running,
    )
    model_files = next(entry for entry in artifacts if entry.id == model.id).files
    return Record(
        created=created,
        pipeline=pipeline,
        run=made_in,
        model=model.id,
        serving=serving_folder(model_files),
        artifacts=artifacts,
        executions=_executions(graph),
        sources=sources,
        training=training,
        code=code.entries,
        repository=repository,
        environment=environment,
        schemas=_schemas(artifacts),
        seeds=seeds,
        obligations=origins.inherited(sources, artifacts, settings.use),
        use=settings.use,
        changes=_in_order(differing),
        unknowns=_once(unknowns),
        previous=previous or found,
    )


# The graph


def _graph(store: Store, model: int, related: Iterable[int], rewrite: Prefixes) -> _Graph:
    own = upstream(store, [model]).rewritten(rewrite)
    others = sorted(set(related) - set(own.artifacts))
    beside = upstream(store, others).rewritten(rewrite) if others else None
    artifacts, executions = dict(own.artifacts), dict(own.executions)
    reads, makes, reused = list(own.reads), list(own.makes), dict(own.reused)
    if beside is not None:
        artifacts |= {number: beside.artifacts[number] for number in others}
        added = [event for event in beside.makes if event.artifact in others]
        fresh = {event.execution for event in added} - set(executions)
        executions |= {number: beside.executions[number] for number in fresh}
        makes += added
        reads += [event for event in beside.reads if event.execution in fresh]
        reused |= {number: beside.reused[number] for number in fresh if number in beside.reused}
    roles = {number: "related" if number in others else "upstream" for number in artifacts}
    return _Graph(
        upstream=own,
        artifacts=dict(sorted(artifacts.items())),
        executions=dict(sorted(executions.items())),
        reads=reads,
        makes=makes,
        reused=reused,
        nodes=store.nodes(executions),
        runs=store.runs(executions),
        roles=roles | {model: "model"},
    )


def _executions(graph: _Graph) -> list[ExecutionEntry]:
    inputs, outputs = _ports(graph.reads, graph.artifacts), _ports(graph.makes, graph.artifacts)
    return [
        ExecutionEntry(
            id=number,
            type=item.type,
            component=graph.nodes.get(number, item.component),
            run=graph.runs.get(number, ""),
            state=item.state,
            started=iso(item.created),
            finished=iso(item.updated),
            parameters=masked(item.properties),
            inputs=inputs.get(number, []),
            outputs=outputs.get(number, []),
            reused_in=graph.reused.get(number, []),
        )
        for number, item in graph.executions.items()
    ]


def _ports(events: Iterable[Event], artifacts: Mapping[int, Artifact]) -> dict[int, list[Port]]:
    """By execution; artifacts that are not in the record, such as a baseline's, are left out."""
    found: dict[int, list[Port]] = {}
    for event in sorted(events, key=lambda event: (event.key, event.index, event.artifact)):
        port = Port(name=event.key, artifact=event.artifact)
        ports = found.setdefault(event.execution, [])
        if event.artifact in artifacts and port not in ports:
            ports.append(port)
    return found


# The bytes


class _Files:
    """Digests of artifacts' folders, each read once."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._found: dict[str, list[FileEntry] | InputError] = {}

    def hash_all(self, artifacts: Mapping[int, Artifact]) -> list[int]:
        """Reads all folders; returns the ids of the artifacts."""
        folders = list(dict.fromkeys(item.uri for item in artifacts.values() if item.uri))
        if self._progress is None:
            self._found = digest_folders(folders)
            return sorted(artifacts)
        files = size = 0
        for folder in folders:
            outcome = digest_folders([folder])[folder]
            self._found[folder] = outcome
            if not isinstance(outcome, InputError):
                files, size = files + len(outcome), size + sum(file.size for file in outcome)
                self._progress(files, size)
        return sorted(artifacts)

    def of(self, uri: str) -> list[FileEntry] | InputError:
        """The files below a folder, or why they cannot be told."""
        return self._found.get(uri, InputError("the store names no place of it"))


def _artifact(
    item: Artifact, role: str, files: _Files, observed: str, unknowns: list[Unknown]
) -> ArtifactEntry:
    outcome = files.of(item.uri)
    span, version = span_of(item)
    entry = ArtifactEntry.model_validate(
        {
            "id": item.id,
            "type": item.type,
            "name": mask_text(item.name),
            "uri": mask_text(item.uri),
            "role": role,
            "state": item.state,
            "created": iso(item.created),
            "properties": masked(item.properties),
            "splits": splits_of(item),
            "span": span,
            "version": version,
        }
    )
    if isinstance(outcome, InputError):
        why = f"{item.type}: {mask_text(str(outcome))}"
        unknowns.append(Unknown(what="artifact_files", subject=f"artifact:{item.id}", why=why))
        return entry
    return entry.model_copy(update={"files": outcome, "tree": tree_digest(outcome), "observed": observed})


def _schemas(artifacts: Iterable[ArtifactEntry]) -> dict[str, str]:
    found = {}
    for entry in artifacts:
        if entry.type == SCHEMA and entry.files:
            named = [file for file in entry.files if file.path.rpartition("/")[2] == "schema.pbtxt"]
            found[entry.uri] = (named or entry.files)[0].sha256
    return dict(sorted(found.items()))


# The code


def _repository(
    graph: _Graph,
    code: Code,
    settings: ProvenanceSettings,
    training: int | None,
    rewrite: Prefixes,
    unknowns: list[Unknown],
) -> Repository | None:
    folder = settings.repository
    if folder is None and training is not None:
        folder = folder_of(graph.executions[training], rewrite=rewrite)
    if folder is None:
        why = (
            "where the code was before it was packaged is not told; give its folder as `repository`"
            if code.entries
            else "no parameter names the code; give its folder as `repository`"
        )
        unknowns.append(Unknown(what="repository", subject="git", why=why))
        return None
    repository, why = look_up(folder)
    if repository is None:
        unknowns.append(Unknown(what="repository", subject="git", why=mask_text(why)))
    return repository


def _then(
    store: Store, model: int, run: str, rewrite: Prefixes, unknowns: list[Unknown]
) -> tuple[Repository | None, Environment | None]:
    """Repository and environment as the first record has them that was made of a model in its own run."""
    for record in records_of_model(store, model, rewrite=rewrite):
        if record.environment is not None:
            unknowns += [item for item in record.unknowns if item.what == "repository"]
            return record.repository, record.environment
    why = (
        f"the model was made in run {run or 'of unknown name'} and served from the cache; which packages and "
        "which state of the code it was made with, no record tells"
    )
    unknowns += [Unknown(what=what, subject=what, why=why) for what in ("environment", "repository")]
    return None, None


# Order


def _in_order(found: Iterable[Change]) -> list[Change]:
    return sorted(
        found,
        key=lambda item: (item.artifact is None, item.artifact or 0, item.source or "", item.path, item.kind),
    )


def _once(found: Iterable[Unknown]) -> list[Unknown]:
    kept: dict[tuple[str, str], Unknown] = {}
    for item in found:
        kept.setdefault((item.what, item.subject), item)
    return list(kept.values())
