"""The lineage of a model, as a picture and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from tfx_trust.components.page import graph, words
from tfx_trust.components.provenance.report import LineageEdge, LineageNode, ProvenanceSection

MOST_DRAWN = 120
LEAST_SCALE = 0.75
MOST_ROWS = 1_000
KINDS = ("source", "execution", "artifact")

STATE_TONES = {"known": "done", "changed": "fail", "unknown": "not_run"}
STATES = {"known": "as recorded", "changed": "changed", "unknown": "not known"}

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


def picture(section: ProvenanceSection) -> Picture:
    """The lineage, sources at the left; of a very large one, the parts nearest to the model."""
    nodes = {node.id: node for node in section.nodes}
    edges = [edge for edge in section.edges if edge.source in nodes and edge.target in nodes]
    kept = _nearest(nodes, edges)
    acyclic = _without_circles(nodes, edges)
    made_of = {node.id for node in ancestors(section)}
    drawn = [_drawn(node, beside=node.id not in made_of) for node in nodes.values() if node.id in kept]
    arrows = [
        graph.Edge(edge.source, edge.target, "" if edge.target in made_of else "edge-idle")
        for edge in acyclic
        if edge.source in kept and edge.target in kept
    ]
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
    if node.kind == "source" or node.count > 1:
        return node.label
    return f"{node.label} {node.id.partition(':')[2]}"


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


def has_more(section: ProvenanceSection) -> bool:
    """Whether anything is in the lineage that the model was not made of."""
    return len(ancestors(section)) < len(section.nodes)


def marks(section: ProvenanceSection) -> list[tuple[str, str]]:
    """The marks in the picture beyond its shapes: their tone and meaning."""
    present = {node.state for node in section.nodes}
    return [(STATE_TONES[state], STATES[state]) for state in ("changed", "unknown") if state in present]


def ancestors(section: ProvenanceSection) -> list[LineageNode]:
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


def _drawn(node: LineageNode, *, beside: bool) -> graph.Node:
    second = (node.licence or "licence not known") if node.kind == "source" else node.detail
    state = STATES[node.state] if node.state != "known" else ""
    tone = STATE_TONES[node.state] if node.state != "known" else ""
    css = [f"node-{node.kind}", *(["node-model"] if node.role == "model" else ["node-beside"] * beside)]
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


def _tooltip(node: LineageNode) -> str:
    lines = [
        titled(node),
        STATES[node.state] if node.state != "known" else "",
        node.licence or "",
        node.detail,
    ]
    lines += [
        node.place,
        f"{words.plural(node.files, 'file')}, {words.size(node.bytes)}" if node.files else "",
    ]
    lines += [f"sha256 {node.digest}" if node.digest else "", words.when(node.made)]
    return "\n".join(dict.fromkeys(line for line in lines if line))


def _described(part: Part) -> str:
    node = part.node
    state = f", {STATES[node.state]}" if node.state != "known" else ""
    of = f", from {', '.join(map(titled, part.reads))}" if part.reads else ""
    return f"{titled(node)} ({kind_of(node)}{state}){of}"
