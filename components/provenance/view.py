"""The part of a report that shows a record: the lineage as a graph, sources, and what is not known."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping

from tfx_trust.components.provenance.record import (
    ArtifactEntry,
    ExecutionEntry,
    FileEntry,
    Record,
    SourceEntry,
)
from tfx_trust.components.provenance.report import (
    LineageEdge,
    LineageNode,
    ProvenanceSection,
    Signature,
    SourceSummary,
)
from tfx_trust.components.provenance.unknowns import GRAVE

READABLE = 30
"""Nodes that a picture shows one by one; of more, those that are alike are shown as one."""
# So many that are alike are not told apart any more.
_ALIKE = 3
_SHORT = 12

_Edge = tuple[str, str, str]


def section_of(
    record: Record,
    *,
    signature: Signature | None = None,
    subjects: Mapping[str, int] | None = None,
) -> ProvenanceSection:
    """What a report shows of a record.

    Parameters
    ----------
    record
        Sealed.
    signature
        What was signed, if anything was.
    subjects
        Number of data subjects indexed, by split.
    """
    nodes, edges = lineage_picture(record)
    model = record.artifact(record.model)
    return ProvenanceSection(
        model=model.uri,
        digest=model.tree,
        record=record.digest or record.content_digest(),
        pipeline=record.pipeline,
        run=record.run,
        nodes=nodes,
        edges=edges,
        sources=[_summary(source) for source in record.sources],
        obligations=record.obligations,
        changes=record.changes,
        unknowns=record.unknowns,
        signature=signature,
        repository=record.repository,
        environment=record.environment,
        seeds=record.seeds,
        previous=record.previous,
        subjects=dict(subjects or {}),
    )


def lineage_picture(record: Record) -> tuple[list[LineageNode], list[LineageEdge]]:
    """Artifacts, executions and sources, with what was read by what or made by it.

    Of more than `READABLE` nodes, those of one kind that were made alike and are read by the same ones become
    one, which says how many it stands for; it has the id of the first of them.
    """
    nodes = _nodes(record)
    edges = [edge for edge in _edges(record) if edge[0] in nodes and edge[1] in nodes]
    if len(nodes) > READABLE:
        nodes, edges = _merged(nodes, edges, _alike(nodes, edges, record))
    return list(nodes.values()), [
        LineageEdge(source=source, target=target, name=name) for source, target, name in dict.fromkeys(edges)
    ]


def _summary(source: SourceEntry) -> SourceSummary:
    return SourceSummary(
        id=source.id,
        kind=source.kind,
        place=source.place,
        files=len(source.files),
        bytes=_bytes(source.files),
        digest=source.tree,
        declaration=source.declaration,
        declared_in=source.declared_in,
    )


# The graph


def _nodes(record: Record) -> dict[str, LineageNode]:
    unknown = {item.subject for item in record.unknowns if item.what in GRAVE}
    changed = {item.artifact for item in record.changes if item.artifact is not None}
    altered = {
        item.source for item in record.changes if item.source is not None and item.reason != "read_anew"
    }
    found = [_source(source, source.id in altered) for source in record.sources]
    found += [_artifact(item, item.id in changed) for item in record.artifacts]
    found += [_execution(item, f"execution:{item.id}" in unknown) for item in record.executions]
    return {node.id: node for node in found}


def _edges(record: Record) -> list[_Edge]:
    found: list[_Edge] = []
    for source in record.sources:
        if source.read_by is not None:
            found.append((source.id, f"execution:{source.read_by}", ""))
        else:
            found += [(source.id, f"artifact:{number}", "") for number in source.made]
    for item in record.executions:
        own = f"execution:{item.id}"
        found += [(f"artifact:{port.artifact}", own, port.name) for port in item.inputs]
        found += [(own, f"artifact:{port.artifact}", port.name) for port in item.outputs]
    return found


def _artifact(entry: ArtifactEntry, changed: bool) -> LineageNode:
    return LineageNode(
        id=f"artifact:{entry.id}",
        kind="artifact",
        label=entry.type,
        detail=(entry.tree or "")[:_SHORT],
        digest=entry.tree,
        place=entry.uri,
        role=entry.role,
        state="changed" if changed else "unknown" if entry.tree is None else "known",
        files=len(entry.files),
        bytes=_bytes(entry.files),
        made=entry.created,
    )


def _execution(entry: ExecutionEntry, unknown: bool) -> LineageNode:
    return LineageNode(
        id=f"execution:{entry.id}",
        kind="execution",
        label=entry.component,
        detail=_duration(entry.started, entry.finished),
        state="unknown" if unknown else "known",
        made=entry.finished,
    )


def _source(source: SourceEntry, changed: bool) -> LineageNode:
    declared = source.declaration
    name = source.place.rstrip("/").rpartition("/")[2] if source.kind != "query" else "query"
    licence = declared.licence if declared else None
    return LineageNode(
        id=source.id,
        kind="source",
        label=declared.name if declared else name or source.place,
        detail=licence or ("licence not declared" if declared else "not declared"),
        digest=source.tree,
        place=source.place,
        licence=licence,
        state="changed" if changed else "unknown" if source.tree is None else "known",
        files=len(source.files),
        bytes=_bytes(source.files),
        made=source.observed,
    )


def _duration(started: str, finished: str) -> str:
    try:
        begun, ended = (datetime.datetime.fromisoformat(text) for text in (started, finished))
        seconds = int((ended - begun).total_seconds())
    except (ValueError, TypeError):
        return ""
    if seconds < 0:
        return ""
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _bytes(files: Iterable[FileEntry]) -> int:
    return sum(file.size for file in files)


# Fewer nodes


def _alike(nodes: Mapping[str, LineageNode], edges: Iterable[_Edge], record: Record) -> list[list[str]]:
    """Nodes that look alike and are read by the same ones, or by ones that are alike, from the model on."""
    readers: dict[str, set[str]] = {number: set() for number in nodes}
    for source, target, _ in edges:
        readers[source].add(target)
    groups: dict[tuple[object, ...], list[str]] = {}
    group_of: dict[str, tuple[object, ...]] = {}
    names: dict[tuple[object, ...], int] = {}
    for number in _downstream_first(readers):
        node = nodes[number]
        key = (
            node.kind,
            node.label,
            node.role,
            node.state,
            node.licence,
            frozenset(names[group_of[item]] for item in readers[number] if item in group_of),
            number if number == f"artifact:{record.model}" else "",
        )
        names.setdefault(key, len(names))
        group_of[number] = key
        groups.setdefault(key, []).append(number)
    return [group for group in groups.values() if len(group) >= _ALIKE]


def _downstream_first(readers: Mapping[str, set[str]]) -> list[str]:
    """So that what reads a node comes before it, without recursion; a circle is cut somewhere."""
    order: list[str] = []
    seen: set[str] = set()
    for start in readers:
        waiting = [(start, False)]
        while waiting:
            number, is_done = waiting.pop()
            if is_done:
                order.append(number)
            elif number not in seen:
                seen.add(number)
                waiting.append((number, True))
                waiting += [(item, False) for item in sorted(readers[number]) if item not in seen]
    return order


def _merged(
    nodes: Mapping[str, LineageNode], edges: Iterable[_Edge], groups: Iterable[list[str]]
) -> tuple[dict[str, LineageNode], list[_Edge]]:
    first: dict[str, str] = {}
    kept = dict(nodes)
    for group in groups:
        members = [nodes[number] for number in group]
        for number in group:
            first[number] = group[0]
            if number != group[0]:
                del kept[number]
        kept[group[0]] = _together(members)
    moved = [(first.get(source, source), first.get(target, target), name) for source, target, name in edges]
    return kept, list(dict.fromkeys(edge for edge in moved if edge[0] != edge[1]))


def _together(members: list[LineageNode]) -> LineageNode:
    lead = members[0]
    states = {member.state for member in members}
    return lead.model_copy(
        update={
            "label": f"{lead.label} × {len(members)}",
            "detail": lead.licence or f"{len(members)} shown as one",
            "count": len(members),
            "digest": None,
            "place": "",
            "state": "changed" if "changed" in states else "unknown" if "unknown" in states else "known",
            "files": sum(member.files for member in members),
            "bytes": sum(member.bytes for member in members),
            "made": max(member.made for member in members),
        }
    )
