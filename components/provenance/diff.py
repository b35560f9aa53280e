"""What two models differ in: data, code, parameters, packages, schema, metrics, and what they inherit."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from tfx_trust.components.provenance.differences import (
    CodeDiff,
    DataDiff,
    Diff,
    FileChanges,
    Pair,
    Side,
    Status,
)
from tfx_trust.components.provenance.readings import INPUTS_DIGEST
from tfx_trust.components.provenance.record import (
    ArtifactEntry,
    CodeEntry,
    FileEntry,
    Obligations,
    Record,
    SourceEntry,
)
from tfx_trust.components.provenance.schema_text import features_of

EXAMPLES, SCHEMA = "Examples", "Schema"
# Properties that drivers add for the sake of the cache: they tell of the data, and nobody chose them.
_CACHE_KEYS = {INPUTS_DIGEST, "outputs_refused", "content_digest", "input_fingerprint"}
_ItemT = TypeVar("_ItemT")


class _Side(NamedTuple):
    """Something of one of the two models."""

    told: str
    tree: str | None
    files: Sequence[FileEntry]


def diff(
    a: Record,
    b: Record,
    *,
    origins: tuple[str, str] = ("", ""),
    metrics: tuple[Mapping[str, float], Mapping[str, float]] | None = None,
) -> Diff:
    """What the second record differs in from the first.

    Parameters
    ----------
    a, b
        Records of two models; of one pipeline or of two.
    origins
        Where they are from, to be told.
    metrics
        Of both models, by name.
    """
    unknowns: list[str] = []
    schema_status, features = _schemas(a, b, unknowns)
    trees = a.artifact(a.model).tree, b.artifact(b.model).tree
    if (a.environment is None) != (b.environment is None):
        unknowns.append("only one of the two records tells of the environment, so packages are not compared")
    elif a.environment is None:
        unknowns.append("neither record tells of the environment, so packages are not compared")
    return Diff(
        a=_side(a, origins[0]),
        b=_side(b, origins[1]),
        same_model=None if None in trees else trees[0] == trees[1],
        sources=[_source(*pair) for pair in _paired_sources(a, b)],
        examples=[_examples(name, *pair) for name, pair in _paired(_examples_of(a), _examples_of(b))],
        code=[_code(name, *pair) for name, pair in _paired(_code_of(a), _code_of(b))],
        repository=_pairs(_repository(a), _repository(b)),
        parameters=_pairs(_parameters(a), _parameters(b)),
        environment=_pairs(_environment(a), _environment(b)) if a.environment and b.environment else [],
        packages=_pairs(a.environment.packages, b.environment.packages)
        if a.environment and b.environment
        else [],
        schema_status=schema_status,
        schema_features=features,
        metrics=_metrics(*metrics) if metrics else [],
        obligations=_pairs(_obligations(a.obligations), _obligations(b.obligations)),
        unknowns=unknowns,
    )


def _side(record: Record, origin: str) -> Side:
    model = record.artifact(record.model)
    return Side(
        model=model.id,
        uri=model.uri,
        pipeline=record.pipeline,
        run=record.run,
        created=model.created,
        tree=model.tree,
        origin=origin,
    )


# Data


def _paired_sources(a: Record, b: Record) -> list[tuple[SourceEntry | None, SourceEntry | None]]:
    """Sources that correspond: by what was read, or by the place, or by the node that read it."""
    nodes = [{item.id: item.component for item in record.executions} for record in (a, b)]
    keys: list[Callable[[SourceEntry, Mapping[int, str]], Any]] = [
        lambda item, _: (item.kind, item.place, sorted(item.patterns.items())),
        lambda item, _: (item.kind, item.place),
        lambda item, nodes: (item.kind, nodes.get(item.read_by or 0)),
    ]
    left, right = list(a.sources), list(b.sources)
    pairs: list[tuple[SourceEntry | None, SourceEntry | None]] = []
    for key in keys:
        for one in list(left):
            other = next((item for item in right if key(item, nodes[1]) == key(one, nodes[0])), None)
            if other is not None:
                pairs.append((one, other))
                left.remove(one)
                right.remove(other)
    pairs += [(one, None) for one in left]
    return pairs + [(None, other) for other in right]


def _source(a: SourceEntry | None, b: SourceEntry | None) -> DataDiff:
    sides = [_Side(_told_of_source(item), item.tree, item.files) if item else None for item in (a, b)]
    either = b or a
    assert either is not None
    name = either.declaration.name if either.declaration else either.place
    return _data(name, *sides)


def _told_of_source(source: SourceEntry) -> str:
    span = f", span {source.span}" if source.span is not None else ""
    patterns = ", ".join(sorted(set(source.patterns.values())))
    return f"{source.place}{f' ({patterns})' if patterns and source.kind != 'query' else ''}{span}"


def _examples_of(record: Record) -> dict[str, ArtifactEntry]:
    return dict(_named(record, EXAMPLES))


def _named(record: Record, kind: str) -> Iterator[tuple[str, ArtifactEntry]]:
    """Artifacts of a type by node and output, numbered where there are several."""
    counts: defaultdict[str, int] = defaultdict(int)
    makers = {port.artifact: (item, port.name) for item in record.executions for port in item.outputs}
    for entry in record.artifacts:
        if entry.type == kind and entry.role != "related":
            maker = makers.get(entry.id)
            name = f"{maker[0].component}.{maker[1]}" if maker else entry.uri
            counts[name] += 1
            yield name if counts[name] == 1 else f"{name} ({counts[name]})", entry


def _examples(name: str, a: ArtifactEntry | None, b: ArtifactEntry | None) -> DataDiff:
    return _data(
        name,
        *(_Side(_told_of_examples(item), item.tree, item.files) if item else None for item in (a, b)),
    )


def _told_of_examples(examples: ArtifactEntry) -> str:
    span = f"span {examples.span}, " if examples.span is not None else ""
    return f"{span}splits {', '.join(examples.splits) or 'unknown'}"


def _data(name: str, a: _Side | None, b: _Side | None) -> DataDiff:
    return DataDiff(
        name=name,
        status=_status(a, b),
        a=a.told if a else None,
        b=b.told if b else None,
        tree_a=a.tree if a else None,
        tree_b=b.tree if b else None,
        files=_files_of(a, b),
    )


def _status(a: _Side | None, b: _Side | None) -> Status:
    if a is None:
        return "added"
    if b is None:
        return "removed"
    if a.tree is None or b.tree is None:
        return "unknown" if a.told == b.told else "changed"
    return "same" if (a.told, a.tree) == (b.told, b.tree) else "changed"


def _files_of(a: _Side | None, b: _Side | None) -> FileChanges:
    if a is None or b is None or a.tree is None or b.tree is None:
        return FileChanges()
    return _files(a.files, b.files)


def _files(a: Sequence[FileEntry], b: Sequence[FileEntry]) -> FileChanges:
    before, after = ({file.path: file.sha256 for file in files} for files in (a, b))
    gone = sorted(before.keys() - after.keys())
    new = sorted(after.keys() - before.keys())
    renamed: dict[str, str] = {}
    for path in gone:
        target = next((other for other in new if after[other] == before[path]), None)
        if target is not None:
            renamed[path] = target
            new.remove(target)
    return FileChanges(
        added=new,
        removed=[path for path in gone if path not in renamed],
        changed=sorted(path for path in before.keys() & after.keys() if before[path] != after[path]),
        renamed=renamed,
    )


# Code and parameters


def _code_of(record: Record) -> dict[str, CodeEntry]:
    nodes = {item.id: item.component for item in record.executions}
    return {f"{nodes.get(item.execution, item.execution)}.{item.parameter}": item for item in record.code}


def _code(name: str, a: CodeEntry | None, b: CodeEntry | None) -> CodeDiff:
    sides = [_Side(item.reference, item.tree, item.files) if item else None for item in (a, b)]
    return CodeDiff(
        name=name,
        status=_status(*sides),
        a=a.reference if a else None,
        b=b.reference if b else None,
        files=_files_of(*sides),
    )


def _repository(record: Record) -> dict[str, str]:
    found = record.repository
    if found is None:
        return {}
    told = {"commit": found.commit, "branch": found.branch, "remote": found.remote}
    if found.dirty:
        told["changed since the commit"] = ", ".join(found.changed) or "yes"
        told["digest of the changes"] = found.diff_sha256
    return {name: value for name, value in told.items() if value is not None}


def _parameters(record: Record) -> dict[str, str]:
    """Parameters by component and name; of JSON its parts, so that what differs is seen."""
    found: dict[str, str] = {}
    counts: defaultdict[str, int] = defaultdict(int)
    related = {item.id for item in record.artifacts if item.role == "related"}
    for item in record.executions:
        if any(port.artifact in related for port in item.outputs):
            continue
        counts[item.component] += 1
        name = (
            item.component if counts[item.component] == 1 else f"{item.component} ({counts[item.component]})"
        )
        for parameter, value in item.parameters.items():
            if parameter not in _CACHE_KEYS:
                found.update(_flat(f"{name}.{parameter}", value))
    return found


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            yield name, value
            return
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from _flat(f"{name}.{key}", value[key])
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        for number, item in enumerate(value):
            yield from _flat(f"{name}[{number}]", item)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)


# All else


def _environment(record: Record) -> dict[str, str]:
    found = record.environment
    if found is None:
        return {}
    names = ("python", "implementation", "platform", "machine", "processors", "container")
    told = {name: getattr(found, name) for name in names}
    return {name: str(value) for name, value in told.items() if value is not None} | found.variables


def _schemas(a: Record, b: Record, unknowns: list[str]) -> tuple[Status, list[Pair]]:
    digests = sorted(a.schemas.values()), sorted(b.schemas.values())
    if digests[0] == digests[1]:
        return ("same", []) if digests[0] or not _has_schema(a, b) else ("unknown", [])
    if not digests[0] or not digests[1]:
        return ("unknown" if _has_schema(a, b) else "added" if digests[1] else "removed"), []
    features = [features_of(record.schemas) for record in (a, b)]
    if None in features:
        unknowns.append("the schemas differ; they do not lie there as they were, so it is not told in what")
        return "changed", []
    return "changed", _pairs(features[0] or {}, features[1] or {})


def _has_schema(a: Record, b: Record) -> bool:
    return any(item.type == SCHEMA and item.tree is None for record in (a, b) for item in record.artifacts)


def _obligations(found: Obligations) -> dict[str, str]:
    told = found.model_dump(mode="json", exclude={"undeclared"})
    told["undeclared sources"] = len(found.undeclared) or None
    texts = {name.replace("_", " "): _as_text(value) for name, value in told.items()}
    return {name: text for name, text in texts.items() if text}


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {held}" for name, held in sorted(value.items()))
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _metrics(a: Mapping[str, float], b: Mapping[str, float]) -> list[Pair]:
    return [
        Pair(
            name=name,
            a=repr(a[name]) if name in a else None,
            b=repr(b[name]) if name in b else None,
        )
        for name in sorted({*a, *b})
    ]


def _pairs(a: Mapping[str, str], b: Mapping[str, str]) -> list[Pair]:
    """What differs, by name."""
    names = sorted({*a, *b})
    return [Pair(name=name, a=a.get(name), b=b.get(name)) for name in names if a.get(name) != b.get(name)]


def _paired(
    a: Mapping[str, _ItemT], b: Mapping[str, _ItemT]
) -> Iterable[tuple[str, tuple[_ItemT | None, _ItemT | None]]]:
    return [(name, (a.get(name), b.get(name))) for name in sorted({*a, *b})]
