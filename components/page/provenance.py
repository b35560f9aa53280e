"""What the page of a provenance report says: the origin in a sentence, the lineage as picture and table."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from tfx_trust.components.page import graph, words
from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.record import Change
from tfx_trust.components.provenance.report import (
    LineageEdge,
    LineageNode,
    ProvenanceReport,
    ProvenanceSection,
    SourceSummary,
)

MOST_DRAWN = 120
LEAST_SCALE = 0.8
MOST_ROWS = 1_000

SOURCE_KINDS = {
    "files": "files that were read",
    "query": "a query",
    "import": "imported",
    "artifact": "examples that nothing made",
}
LEGAL_BASES = {
    "consent": "consent",
    "contract": "contract",
    "legal_obligation": "legal obligation",
    "vital_interests": "vital interests",
    "public_task": "public task",
    "legitimate_interests": "legitimate interests",
    "not_personal_data": "no personal data",
}
STATE_TONES = {"known": "done", "changed": "fail", "unknown": "not_run"}
STATES = {"known": "as recorded", "changed": "changed", "unknown": "not known"}
TERM_TONES = {"allowed": "done", "forbidden": "warn", "unknown": "not_run"}

# Fields of a declaration that the table has no column for.
_FURTHER = {
    "origin": "Origin",
    "publisher": "Publisher",
    "version": "Version",
    "issued": "Issued",
    "citation": "To be cited as",
    "collection": "Collected",
    "consent": "Consent",
    "purposes": "May be used for",
    "limitations": "Limitations",
    "contact": "Contact",
}
_SHAPES: dict[str, Literal["gate", "box", "round"]] = {
    "source": "gate",
    "execution": "box",
    "artifact": "round",
}
# Of the legend, 26 wide and 16 high.
_SAMPLES = {
    "source": "M6 2h14l4 4v4l-4 4h-14l-4-4v-4z",
    "execution": "M4 2h18q2 0 2 2v8q0 2-2 2h-18q-2 0-2-2v-8q0-2 2-2z",
    "artifact": "M8 2h10a6 6 0 0 1 0 12h-10a6 6 0 0 1 0-12z",
}
_EARLIER = "earlier"


@dataclass(frozen=True)
class Part:
    """A node of the lineage as a row of its table.

    Attributes
    ----------
    anchor
        Where it is on the page.
    reads
        What went into it.
    """

    node: LineageNode
    anchor: str
    reads: tuple[LineageNode, ...]


@dataclass(frozen=True)
class Picture:
    """The lineage as inline SVG.

    Attributes
    ----------
    width
        In which it needs no scrolling, in pixels.
    left_out
        How many parts, those farthest from the model, are not in it.
    circular
        How many arrows are not in it because they would run in a circle.
    """

    svg: Markup
    width: int
    left_out: int
    circular: int


# In a sentence ------------------------------------------------------------------------------------


def headline(report: ProvenanceReport) -> str:
    """What the model is made of, in one sentence."""
    section = report.provenance
    made_of = _ancestors(section)
    executions = sum(node.kind == "execution" for node in made_of)
    parts = [node for node in made_of if node.kind != "execution"]
    by = f" by {words.plural(executions, 'execution')}" if executions else ""
    files = sum(node.files for node in parts)
    digests = f"the digests of {words.plural(files, 'file')}, {size_of(sum(node.bytes for node in parts))}"
    signed = f"signed by key {short(section.signature.key_id, 8)}" if section.signature else "not signed"
    return (
        f"The model was made from {_sources(section.sources)}{by}. The record, {signed}, has "
        f"{digests if files else 'the digest of no file'}."
    )


def _sources(sources: Iterable[SourceSummary]) -> str:
    sources = list(sources)
    if not sources:
        return "no source that is known"
    licences = sorted(
        {item.declaration.licence for item in sources if item.declaration and item.declaration.licence}
    )
    unknown = sum(item.declaration is None or item.declaration.licence is None for item in sources)
    told = [*licences, *([f"{unknown} without a known licence"] if unknown else [])]
    return f"{words.plural(len(sources), 'source')} ({', '.join(told)})"


def size_of(count: int) -> str:
    """Bytes as people say them.

    Examples
    --------
    >>> size_of(812), size_of(3_146_000), size_of(1_500_000_000_000)
    ('812 bytes', '3.1 MB', '1.5 TB')
    """
    if count < 1000:
        return words.plural(count, "byte")
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        value /= 1000
        if value < 999.5 or unit == "PB":
            break
    return f"{value:.3g} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def short(digest: str, letters: int = 12) -> str:
    """The beginning of a digest.

    Examples
    --------
    >>> short("ab12cd34ef56", 4), short("ab12", 8)
    ('ab12…', 'ab12')
    """
    return digest if len(digest) <= letters else f"{digest[:letters]}…"


def when(moment: str) -> str:
    """A time of the record as people write it; as it stands where it is none."""
    try:
        return words.moment(datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")))
    except ValueError:
        return moment


def window(change: Change) -> str:
    """When a file changed, as far as it is known.

    Examples
    --------
    >>> window(Change(path="a", kind="changed", seen="2026-03-04T08:01:12+00:00"))
    'after 4 March 2026, 08:01 UTC'
    """
    ends = [("after", change.seen), ("before", change.found)]
    return " and ".join(f"{word} {when(moment)}" for word, moment in ends if moment) or "not known"


# The lineage --------------------------------------------------------------------------------------


def picture(section: ProvenanceSection) -> Picture:
    """The lineage, sources at the left; of a very large one, the parts nearest to the model."""
    nodes = {node.id: node for node in section.nodes}
    edges = [edge for edge in section.edges if edge.source in nodes and edge.target in nodes]
    kept = _nearest(nodes, edges)
    acyclic = _without_circles(nodes, edges)
    drawn = [_drawn(node) for node in nodes.values() if node.id in kept]
    arrows = [_arrow(edge, nodes) for edge in acyclic if edge.source in kept and edge.target in kept]
    left_out = len(nodes) - len(kept)
    if left_out:
        drawn.insert(0, graph.Node(_EARLIER, f"{left_out:,} more parts", "in the table", css="node-unseen"))
        cut = [edge for edge in acyclic if edge.source not in kept and edge.target in kept]
        arrows += [graph.Edge(_EARLIER, edge.target, "edge-idle") for edge in cut]
    known = [part for part in parts(section) if part.node.id in kept]
    layout = graph.lay_out(drawn, arrows)
    svg = graph.draw(
        layout,
        label=f"Lineage of the model, {words.plural(len(nodes), 'part')}. The table below says the same.",
        description="; ".join(map(_described, known)),
        least_scale=LEAST_SCALE,
    )
    return Picture(svg, round(layout.width), left_out, len(edges) - len(acyclic))


def parts(section: ProvenanceSection) -> list[Part]:
    """All parts of the lineage: sources first, then what was made of them, the model and what is related."""
    nodes = {node.id: node for node in section.nodes}
    before: dict[str, dict[str, None]] = {name: {} for name in nodes}
    for edge in section.edges:
        if edge.source in nodes and edge.target in nodes:
            before[edge.target][edge.source] = None
    return [
        Part(nodes[name], anchor(name), tuple(nodes[other] for other in before[name]))
        for name in _in_order(nodes, before)
    ]


def anchor(name: str) -> str:
    """The id that a part has on the page.

    Examples
    --------
    >>> anchor("artifact:14")
    'artifact-14'
    """
    return name.replace(":", "-")


def titled(node: LineageNode) -> str:
    """A part by its label, and by its number in the store.

    Examples
    --------
    >>> titled(LineageNode(id="artifact:14", kind="artifact", label="Model"))
    'Model 14'
    """
    return node.label if node.kind == "source" else f"{node.label} {node.id.partition(':')[2]}"


def kind_of(node: LineageNode) -> str:
    """What a part is, in words."""
    return "the model" if node.role == "model" else node.kind


def shapes(section: ProvenanceSection) -> list[tuple[str, str, str]]:
    """The shapes in the picture: their classes, how they are drawn and what they mean."""
    present = {node.kind for node in section.nodes}
    told: list[tuple[str, str, str]] = [
        (f"node-{kind}", path, kind) for kind, path in _SAMPLES.items() if kind in present
    ]
    if any(node.role == "model" for node in section.nodes):
        told.append(("node-artifact node-model", _SAMPLES["artifact"], "the model"))
    return told


def has_related(section: ProvenanceSection) -> bool:
    """Whether anything is in the lineage that the model was not made of."""
    return any(node.role == "related" for node in section.nodes)


def marks(section: ProvenanceSection) -> list[tuple[str, str]]:
    """The marks in the picture beyond its shapes: their tone and meaning."""
    present = {node.state for node in section.nodes}
    return [(STATE_TONES[state], STATES[state]) for state in ("changed", "unknown") if state in present]


def _ancestors(section: ProvenanceSection) -> list[LineageNode]:
    """The model, and all that went into it."""
    nodes = {node.id: node for node in section.nodes}
    before: dict[str, list[str]] = {}
    for edge in section.edges:
        before.setdefault(edge.target, []).append(edge.source)
    found = [node.id for node in section.nodes if node.role == "model"]
    seen = set(found)
    for name in found:
        new = [other for other in before.get(name, ()) if other in nodes and other not in seen]
        found += dict.fromkeys(new)
        seen.update(new)
    return [nodes[name] for name in found]


def _nearest(nodes: Mapping[str, LineageNode], edges: Iterable[LineageEdge]) -> set[str]:
    """The parts to draw: all, or those that the fewest steps lead to from the model."""
    if len(nodes) <= MOST_DRAWN:
        return set(nodes)
    beside: dict[str, list[str]] = {}
    for edge in edges:
        # What was made of the model comes after what it was made of: it is nearer than it matters.
        beside.setdefault(edge.target, []).insert(0, edge.source)
        beside.setdefault(edge.source, []).append(edge.target)
    kept = dict.fromkeys(name for name, node in nodes.items() if node.role == "model")
    waiting = list(kept) or list(nodes)[:1]
    kept.update(dict.fromkeys(waiting))
    for name in waiting:
        for other in beside.get(name, ()):
            if other not in kept and len(kept) < MOST_DRAWN:
                kept[other] = None
                waiting.append(other)
    return set(kept)


def _without_circles(nodes: Mapping[str, LineageNode], edges: Iterable[LineageEdge]) -> list[LineageEdge]:
    """The edges without those that close a circle, such as of what was changed in place."""
    after: dict[str, list[LineageEdge]] = {name: [] for name in nodes}
    for edge in edges:
        after[edge.source].append(edge)
    kept: list[LineageEdge] = []
    entered: set[str] = set()
    for start in nodes:
        if start in entered:
            continue
        entered.add(start)
        path = {start: iter(after[start])}
        while path:
            name, rest = next(reversed(path.items()))
            for edge in rest:
                if edge.target in path:
                    continue
                kept.append(edge)
                if edge.target not in entered:
                    entered.add(edge.target)
                    path[edge.target] = iter(after[edge.target])
                    break
            else:
                del path[name]
    return kept


def _in_order(nodes: Mapping[str, LineageNode], before: Mapping[str, Iterable[str]]) -> list[str]:
    """Each part after what it was made of, as far as there are no circles; sources at the front."""
    first = [name for name, node in nodes.items() if node.kind == "source"]
    done = dict.fromkeys(first)
    for start in nodes:
        path = [start]
        entered = {start}
        while path:
            waiting = next(
                (name for name in before[path[-1]] if name not in done and name not in entered), None
            )
            if waiting is None:
                done[path.pop()] = None
            else:
                entered.add(waiting)
                path.append(waiting)
    return list(done)


def _drawn(node: LineageNode) -> graph.Node:
    second = (node.licence or "licence not known") if node.kind == "source" else node.detail
    state = STATES[node.state] if node.state != "known" else ""
    tone = STATE_TONES[node.state] if node.state != "known" else ""
    css = [f"node-{node.kind}", f"node-{node.role}"]
    if tone:
        css += [f"is-{tone}", f"node-{tone}"]
    return graph.Node(
        id=node.id,
        label=node.label,
        sublabel=state if state and node.kind != "source" else second,
        title=_tooltip(node),
        css=" ".join(css),
        icon=tone,
        shape=_SHAPES[node.kind],
        href=f"#{anchor(node.id)}",
    )


def _arrow(edge: LineageEdge, nodes: Mapping[str, LineageNode]) -> graph.Edge:
    related = "related" in (nodes[edge.source].role, nodes[edge.target].role)
    return graph.Edge(edge.source, edge.target, "edge-idle" if related else "")


def _tooltip(node: LineageNode) -> str:
    lines = [
        titled(node),
        STATES[node.state] if node.state != "known" else "",
        node.licence or "",
        node.detail,
    ]
    lines += [node.place, f"{words.plural(node.files, 'file')}, {size_of(node.bytes)}" if node.files else ""]
    lines += [f"sha256 {node.digest}" if node.digest else "", when(node.made)]
    return "\n".join(dict.fromkeys(line for line in lines if line))


def _described(part: Part) -> str:
    node = part.node
    state = f", {STATES[node.state]}" if node.state != "known" else ""
    of = f", from {', '.join(map(titled, part.reads))}" if part.reads else ""
    return f"{titled(node)} ({kind_of(node)}{state}){of}"


# Sources, changes, signatures ---------------------------------------------------------------------


def name_of(source: SourceSummary) -> str:
    """What a source is called: as it is declared, else by the end of its place."""
    if source.declaration is not None:
        return source.declaration.name
    return source.place.rstrip("/").rpartition("/")[2] or source.place or source.id


def further(declaration: SourceDeclaration) -> list[tuple[str, str]]:
    """What is declared beyond the table's columns, as names and values."""
    rows = []
    for field, label in _FURTHER.items():
        value = getattr(declaration, field)
        if value is None or value == []:
            continue
        if isinstance(value, datetime.date):
            value = day(value.isoformat())
        rows.append((label, ", ".join(value) if isinstance(value, list) else str(value)))
    rows += [(f"Term: {name.replace('_', ' ')}", said) for name, said in declaration.terms.items()]
    return rows


def day(date: str) -> str:
    """A date as people write it; as it stands where it is none.

    Examples
    --------
    >>> day("2027-12-31")
    '31 December 2027'
    """
    try:
        return words.moment(datetime.datetime.fromisoformat(date)).partition(",")[0]
    except ValueError:
        return date


def over(date: str | datetime.date | None, report: ProvenanceReport) -> bool:
    """Whether a date was over when the report was made."""
    return date is not None and str(date) < report.created.date().isoformat()


def subject(change: Change, section: ProvenanceSection) -> tuple[str, str]:
    """What a changed file belongs to: the name, and the anchor on the page."""
    wanted = f"artifact:{change.artifact}" if change.artifact is not None else change.source or ""
    for node in section.nodes:
        if node.id == wanted:
            return titled(node), anchor(wanted)
    return wanted.replace(":", " ") or "not known", ""


def names_of(identifiers: Iterable[str], section: ProvenanceSection) -> list[str]:
    """Sources by name, given their ids."""
    known = {item.id: name_of(item) for item in section.sources}
    return [known.get(name, name) for name in identifiers]


def commands(section: ProvenanceSection) -> list[str]:
    """How to check record and signatures, from the folder of the page."""
    own = ["tfx-trust", "provenance", "verify", "."]
    if section.signature is None:
        return [shlex.join(own)]
    model = section.model if "://" not in section.model else "MODEL_DIR"
    return [
        shlex.join([*own, "--public-key", "KEY.pub"]),
        shlex.join(
            ["model_signing", "verify", "key", model, "--signature", "model.sig", "--public_key", "KEY.pub"]
        ),
    ]


def columns(packages: Mapping[str, str]) -> str:
    """Packages as pip writes them, one a line."""
    return "\n".join(f"{name}=={version}" for name, version in sorted(packages.items()))
