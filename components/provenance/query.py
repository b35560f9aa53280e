"""Questions to a metadata store: what is in a model, which models came of something, what to do if it goes.

The last one is that of erasure: if a source must not be used any more, its data are in examples and
vocabularies, in models that learned from them, in models built on those, and in every copy that was pushed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tfx_trust.components.errors import InputError
from tfx_trust.components.mlmd import Prefixes, Store
from tfx_trust.components.provenance.answers import (
    Held,
    Impact,
    ModelsFrom,
    ModelUse,
    Subject,
    Task,
)
from tfx_trust.components.provenance.finding import Finder, Found
from tfx_trust.components.provenance.graph import EXAMPLES, Graph, Reached
from tfx_trust.components.provenance.lineage import PUSHED_MODEL
from tfx_trust.components.provenance.masking import mask_text
from tfx_trust.components.provenance.model_data import data_of
from tfx_trust.components.provenance.origins import DECLARATIONS
from tfx_trust.components.provenance.recorded import Recorded
from tfx_trust.components.provenance.snapshots import RECORD, SNAPSHOT
from tfx_trust.components.provenance.subject_index import index_files, look_up, read_index
from tfx_trust.components.provenance.uses import BLESSING, Models, is_there

if TYPE_CHECKING:
    from tfx_trust.components.provenance.subject_key import SubjectKey

__all__ = ["data_of", "impact", "models_from", "subject"]

# They tell of files and verdicts, and hold nothing of the data.
_EVIDENCE = (BLESSING, SNAPSHOT, RECORD, DECLARATIONS, "TrustReleaseReport", "TrustPushReport")
_NO_INDEX = (
    "set `subjects` of ProvenanceTracker, or make one by `tfx-trust provenance record --subject-feature` and "
    "name its folder by --record"
)
_LEARNED = {
    "trained": "learned from it",
    "model": "was built on a model that learned from it",
    "derived": "came of it by a way round",
}


def models_from(
    store: Store,
    criterion: str,
    *,
    rewrite: Prefixes = (),
    records: Sequence[str] = (),
    read: bool = False,
) -> ModelsFrom:
    """The models that came of something, directly or through others.

    Parameters
    ----------
    store
        The metadata store.
    criterion
        A file, the sha256 of one, a licence, the number of a span, a source: as
        :func:`~tfx_trust.components.provenance.criteria.criterion_of` tells them apart.
    rewrite
        Old and new beginnings of places, if files were moved.
    records
        Folders of records of this store that lie outside of it.
    read
        Whether to read all artifacts as they are now, to find a file that no record tells of. Raw inputs are
        read anyway.

    Raises
    ------
    UsageError
        If the criterion cannot be understood.
    InputError
        If the store cannot be read, or knows nothing of the source that is named.
    """
    graph = Graph(store, rewrite)
    finder = Finder(graph, Recorded(graph, records), read=read)
    found = finder.find(criterion)
    models = Models(graph).uses(graph.made_of(found.origin.artifacts))
    return ModelsFrom(
        store=mask_text(store.place),
        origin=found.origin,
        models=models,
        unknowns=finder.unknowns(found),
        decided=_decided(models, found),
    )


def impact(
    store: Store,
    source: str,
    *,
    rewrite: Prefixes = (),
    records: Sequence[str] = (),
    read: bool = False,
) -> Impact:
    """What is touched if a source goes: models, pushed copies, what else holds its data; and what to do.

    Parameters, and errors, as :func:`models_from`; `source` may also be ``artifact:`` and an id.
    """
    graph = Graph(store, rewrite)
    finder = Finder(graph, Recorded(graph, records), read=read)
    return _impact(graph, finder, finder.find(source))


def subject(
    store: Store,
    identifier: str,
    key: SubjectKey,
    *,
    rewrite: Prefixes = (),
    records: Sequence[str] = (),
) -> Impact:
    """Where a data subject is, by the indexes that records carry, and what is touched by it.

    Parameters
    ----------
    store
        The metadata store.
    identifier
        Of the subject, as in the data; it is not repeated in the answer.
    key
        The indexes' secret.
    rewrite
        Old and new beginnings of places, if files were moved.
    records
        Folders of records of this store that lie outside of it.

    Raises
    ------
    InputError
        If the store cannot be read, or no record of it carries an index that is made with this key.
    """
    graph = Graph(store, rewrite)
    recorded = Recorded(graph, records)
    asked = _asked(recorded, identifier, key)
    if not asked.indexed:
        why = asked.problems[0] if asked.problems else _NO_INDEX
        raise InputError(f"{store.place}: no record of this store carries an index that can be asked: {why}")
    finder = Finder(graph, recorded)
    found = finder.of_artifacts("subject", {item.artifact for item in asked.subjects})
    found.unknowns += asked.problems + _not_indexed(graph, asked.indexed)
    return _impact(graph, finder, found).model_copy(update={"subjects": asked.subjects})


class _Asked(NamedTuple):
    """What the indexes of data subjects say."""

    subjects: list[Subject]
    indexed: set[int]
    """Ids of the Examples that there is an index of."""
    problems: list[str]
    """Of indexes that cannot be read."""


def _asked(recorded: Recorded, identifier: str, key: SubjectKey) -> _Asked:
    found: dict[tuple[int, str], Subject] = {}
    asked = _Asked([], set(), [])
    for folder, _ in recorded.places():
        for path in index_files(folder):
            try:
                index = read_index(path)
                examples = look_up(index, key, identifier)
            except InputError as error:
                asked.problems.append(str(error))
                continue
            asked.indexed.add(index.artifact)
            if examples:
                found[index.artifact, index.split] = Subject(
                    artifact=index.artifact, split=index.split, examples=examples, record=folder
                )
    asked.subjects.extend(found[place] for place in sorted(found))
    return asked


def _not_indexed(graph: Graph, indexed: set[int]) -> list[str]:
    """Models that came of raw examples of which there is no index."""
    raw = {
        number for entry in graph.sources for number in entry.made if graph.artifacts[number].type == EXAMPLES
    }
    reached = graph.made_of(raw - indexed)
    silent = [item for item in graph.models if item.id in reached]
    return [f"there is no index of what {_counted(len(silent), 'model')} came from"] if silent else []


# What is touched


def _impact(graph: Graph, finder: Finder, found: Found) -> Impact:
    reached = graph.made_of(found.origin.artifacts)
    known = Models(graph)
    models = known.uses(reached)
    held = _held(graph, known, reached)
    return Impact(
        store=mask_text(graph.store.place),
        origin=found.origin,
        models=models,
        held=held,
        tasks=list(_tasks(models, held)),
        unknowns=finder.unknowns(found),
        decided=_decided(models, found),
    )


def _decided(models: Sequence[ModelUse], found: Found) -> bool:
    return bool(models) or not found.unknowns


def _held(graph: Graph, known: Models, reached: Mapping[int, Reached]) -> list[Held]:
    """What holds the data besides models: examples first, then what was computed of them.

    Of records, those with an index of data subjects do.

    A copy of another model is reached as well, through its comparison with one that came of the source.
    """
    items = [
        item
        for number, item in sorted(graph.artifacts.items())
        if number in reached
        and item.type not in graph.model_types
        and (item.type not in _EVIDENCE or (item.type == RECORD and index_files(graph.place(item))))
        and not (item.type == PUSHED_MODEL and known.model_of(number) not in reached)
    ]
    items.sort(key=lambda item: item.type != EXAMPLES)
    return [
        Held(
            id=item.id,
            type=item.type,
            uri=mask_text(graph.place(item)),
            there=is_there(graph.place(item)),
        )
        for item in items
    ]


# What to do


def _tasks(models: Sequence[ModelUse], held: Sequence[Held]) -> Iterator[Task]:
    yield from _withdrawals(models)
    by_node: defaultdict[tuple[str, str], list[ModelUse]] = defaultdict(list)
    for model in models:
        by_node[model.pipeline, model.component].append(model)
    yield from _successions(by_node)
    gone = [model.id for model in models if is_there(model.uri) is False]
    left = [model.id for model in models if model.id not in gone]
    if left:
        message = f"Delete {_counted(len(left), 'model')} once nothing is served from it any more."
        yield Task(what="delete", message=message, models=left)
    others = [item for item in held if item.there is not False]
    if others:
        count = _counted(len(others), "other artifact")
        message = f"Delete {count}: examples, and what was computed of them."
        yield Task(what="delete", message=message)


def _withdrawals(models: Iterable[ModelUse]) -> Iterator[Task]:
    """What to take away: what is served first, then what lies there, then what cannot be seen."""
    order = (True, False, None)
    copies = [(model, copy) for model in models for copy in model.copies if copy.there is not False]
    for model, copy in sorted(
        copies, key=lambda pair: (order.index(pair[1].there), order.index(pair[1].served))
    ):
        why = f"model {model.id}, which {_LEARNED[model.relation]}"
        if copy.served:
            message = f"Withdraw {copy.destination}: it is served now, and is {why}."
        elif copy.there:
            message = f"Remove {copy.destination}: it is {why}."
        else:
            message = f"See whether {copy.destination} is still there, and withdraw it: it is {why}."
        yield Task(what="withdraw", message=message, models=[model.id], place=copy.destination)


def _successions(by_node: Mapping[tuple[str, str], Sequence[ModelUse]]) -> Iterator[Task]:
    """What takes the place of the models of each node."""
    for (pipeline, component), models in by_node.items():
        node = ".".join(name for name in (pipeline, component) if name) or "what made them"
        other = next((model.newer for model in models if model.newer is not None), None)
        if other is None:
            message = f"Train anew without it: no newer model of {node} does without."
            yield Task(what="retrain", message=message, models=[model.id for model in models])
            continue
        newer = "is newer, and did" if models[0].newer is not None else "did"
        doubt = {True: ", and is blessed", False: ", but is not blessed", None: ""}[other.blessed]
        message = f"Serve model {other.id} of {node}: it {newer} not come of it{doubt}."
        yield Task(what="replace", message=message, models=[other.id], place=other.uri)


def _counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"
