"""What a model was made of: its raw inputs and its examples, with the digests that are known of them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from tfx_trust.components.errors import InputError
from tfx_trust.components.mlmd import Artifact, Prefixes, Store, rewritten
from tfx_trust.components.provenance.answers import DataOf, ExamplesData, Known, SourceData
from tfx_trust.components.provenance.declared import declarations_of
from tfx_trust.components.provenance.graph import EXAMPLES, Graph
from tfx_trust.components.provenance.hashing import digest_files, digest_folders, tree_digest
from tfx_trust.components.provenance.lineage import Lineage, upstream
from tfx_trust.components.provenance.masking import mask_text
from tfx_trust.components.provenance.record import FileEntry, Record, SourceEntry, Training
from tfx_trust.components.provenance.recorded import Recorded
from tfx_trust.components.provenance.snapshots import earlier
from tfx_trust.components.provenance.sources import files_of, sources_of
from tfx_trust.components.provenance.training import span_of, splits_of, training_of
from tfx_trust.components.provenance.uses import Models


class _Bytes:
    """What is known of the bytes of something."""

    def __init__(self, files: Sequence[FileEntry], known: Known, observed: str) -> None:
        self.fields = {
            "files": len(files),
            "bytes": sum(file.size for file in files),
            "tree": tree_digest(files),
            "known": known,
            "observed": observed,
        }


def data_of(
    store: Store,
    model: Artifact,
    *,
    rewrite: Prefixes = (),
    records: Sequence[str] = (),
    read: bool = False,
) -> DataOf:
    """The raw inputs and the examples that a model came from.

    Digests are those of the model's record in the store, or of a snapshot.

    Parameters
    ----------
    store
        The metadata store.
    model
        The model's artifact.
    rewrite
        Old and new beginnings of places, if files were moved.
    records
        Folders of records of this store that lie outside of it.
    read
        Whether to read the files of what no record or snapshot tells of, as they are now.

    Raises
    ------
    InputError
        If the store cannot be read.
    """
    graph = Graph(store, rewrite)
    recorded = Recorded(graph, records)
    lineage = upstream(store, [model.id]).rewritten(rewrite)
    found = recorded.record_of(model.id)
    record, folder = found if found else (None, None)
    unknowns: list[str] = []
    examples = _examples(store, lineage, model.id, record, rewrite, read, unknowns)
    sources = _sources(graph, recorded, lineage, record, read, unknowns)
    if record is None:
        unknowns.insert(0, "there is no record of this model")
    return DataOf(
        store=mask_text(store.place),
        model=Models(graph).reference(model),
        record=folder,
        sources=sources,
        examples=examples,
        unknowns=[*recorded.problems, *unknowns],
    )


# Examples


def _examples(
    store: Store,
    lineage: Lineage,
    model: int,
    record: Record | None,
    rewrite: Prefixes,
    read: bool,
    unknowns: list[str],
) -> list[ExamplesData]:
    items = lineage.of_type(EXAMPLES)
    training = training_of(lineage, model)
    makers = {item.id: maker.id for item in items if (maker := lineage.maker(item.id))}
    nodes = store.nodes(makers.values())
    known = _known_of(store, items, record, rewrite, read, unknowns)
    found = [_entry(item, nodes.get(makers.get(item.id, 0), ""), training, known) for item in items]
    return sorted(found, key=lambda entry: (not _is_read(entry.id, training), entry.id))


def _entry(item: Artifact, node: str, training: Training | None, known: Mapping[int, _Bytes]) -> ExamplesData:
    span, version = span_of(item)
    is_read = training is not None and _is_read(item.id, training)
    return ExamplesData(
        id=item.id,
        uri=mask_text(item.uri),
        component=node,
        span=span,
        version=version,
        splits=splits_of(item),
        trained_on=training.splits if is_read and training else [],
        looked_at=training.evaluation_splits if is_read and training else [],
        **(known[item.id].fields if item.id in known else {}),
    )


def _is_read(artifact: int, training: Training | None) -> bool:
    return training is not None and artifact in training.examples


def _known_of(
    store: Store,
    items: Sequence[Artifact],
    record: Record | None,
    rewrite: Prefixes,
    read: bool,
    unknowns: list[str],
) -> dict[int, _Bytes]:
    found = {
        entry.id: _Bytes(entry.files, "record", entry.observed)
        for entry in (record.artifacts if record else ())
        if entry.tree is not None
    }
    rest = [item for item in items if item.id not in found]
    for number, seen in earlier(store, [item.id for item in rest], rewrite=rewrite).items():
        if seen:
            found[number] = _Bytes(seen[0].files, "snapshot", seen[0].observed)
    rest = [item for item in rest if item.id not in found]
    outcomes = digest_folders([item.uri for item in rest if item.uri]) if read else {}
    for item in rest:
        outcome = outcomes.get(item.uri)
        if isinstance(outcome, InputError):
            unknowns.append(mask_text(f"Examples {item.id}: {outcome}"))
        elif outcome is not None:
            found[item.id] = _Bytes(outcome, "now", _now())
    return found


# Raw inputs


def _sources(
    graph: Graph,
    recorded: Recorded,
    lineage: Lineage,
    record: Record | None,
    read: bool,
    unknowns: list[str],
) -> list[SourceData]:
    if record is not None:
        return [
            _source(entry.model_copy(update={"place": rewritten(entry.place, graph.rewrite)}), "record")
            for entry in record.sources
        ]
    declared = declarations_of(graph, recorded)
    unknowns += declared.problems
    found = []
    for entry in sources_of(lineage, rewrite=graph.rewrite):
        said = next((one for one in declared.sources if set(one.made) & set(entry.made)), None)
        whole = entry.model_copy(update={"declaration": said and said.declaration})
        found.append(_source(_read_now(whole, unknowns) if read else whole, "now"))
    return found


def _read_now(entry: SourceEntry, unknowns: list[str]) -> SourceEntry:
    try:
        paths = files_of(entry)
        if not paths:
            return entry
        base = entry.place if paths != [entry.place] else entry.place.rpartition("/")[0]
        files = digest_files(paths, base, follow=True)
    except InputError as error:
        unknowns.append(mask_text(f"{entry.place}: {error}"))
        return entry
    return entry.model_copy(update={"files": files, "tree": tree_digest(files), "observed": _now()})


def _source(entry: SourceEntry, known: Known) -> SourceData:
    told = entry.declaration
    is_known = entry.tree is not None
    return SourceData(
        kind=entry.kind,
        place=entry.place,
        name=told and told.name,
        licence=told and told.licence,
        span=entry.span,
        read_by=[entry.read_by] if entry.read_by is not None else [],
        made=entry.made,
        declaration=told,
        **(_Bytes(entry.files, known, entry.observed).fields if is_known else {}),
    )


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
