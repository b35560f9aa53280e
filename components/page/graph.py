"""Directed acyclic graphs, laid out left to right and drawn as inline SVG.

The layout is the layered one of Sugiyama, Tagawa and Toda (1981): each node goes into the layer
of its longest path from a source; an edge that spans several layers is held by a waypoint in each
layer between; the order within layers is chosen by barycentres to cross as few edges as may be;
then each node is moved as near to the mean height of its neighbours as the order permits.

All of it is deterministic and knows nothing of pipelines: labels, classes, icons, links and shapes
are the caller's. Colours come from the page's style sheet through the classes.

>>> layout = lay_out([Node("a", "A"), Node("b", "B")], [Edge("a", "b")])
>>> [placed.node.id for placed in layout.nodes], layout.nodes[0].x < layout.nodes[1].x
(['a', 'b'], True)
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from markupsafe import Markup, escape

from tfx_trust.components.errors import InputError
from tfx_trust.components.page import icons

NODE_HEIGHT = 46.0
LEAST_WIDTH = 96.0
MOST_LETTERS = 28
LAYER_GAP = 24.0
NODE_GAP = 16.0
WAYPOINT_GAP = 11.0
MARGIN = 6.0
LEAST_SCALE = 0.68
SWEEPS = 12


@dataclass(frozen=True)
class Node:
    """A node to draw.

    Attributes
    ----------
    label, sublabel
        Its first and second line; long ones are shortened in the middle.
    title
        Its tooltip; the label if empty.
    css
        Classes of its group, for colour.
    icon
        Name of an icon of :mod:`tfx_trust.components.page.icons`, if any.
    shape
        ``box``, ``gate`` (corners cut) or ``round``.
    href
        What a click opens, if anything.
    """

    id: str
    label: str
    sublabel: str = ""
    title: str = ""
    css: str = ""
    icon: str = ""
    shape: Literal["box", "gate", "round"] = "box"
    href: str | None = None


@dataclass(frozen=True)
class Edge:
    """An arrow from one node to another; `css` as for nodes."""

    source: str
    target: str
    css: str = ""


@dataclass(frozen=True)
class Placed:
    """A node in its place: `x` and `y` are its upper left corner."""

    node: Node
    x: float
    y: float
    width: float
    height: float = NODE_HEIGHT


@dataclass(frozen=True)
class Routed:
    """An edge in its place: from the right side of its source, through waypoints, to its target's left."""

    edge: Edge
    points: tuple[tuple[float, float], ...]
    """The ends of straight pieces: they come in pairs, with a curve between one pair and the next."""


@dataclass(frozen=True)
class Layout:
    """Everything in its place, within ``0 ≤ x ≤ width`` and ``0 ≤ y ≤ height``."""

    nodes: tuple[Placed, ...]
    edges: tuple[Routed, ...]
    width: float
    height: float


# A place in a layer: a node by its id, or the waypoint of a source's long edges as (source, layer).
Spot = Hashable


def without_shortcuts(edges: Iterable[Edge]) -> list[Edge]:
    """The edges without those that only repeat a longer path (the transitive reduction).

    An edge a → c is left out if there also is a path a → b → … → c. In a pipeline nearly every node
    reads the examples, and their arrows would hide the order of things; what follows from what is
    the same without them. Say so beside the picture.

    Raises
    ------
    InputError
        If the edges run in a circle.
    """
    edges = _distinct(edges)
    after = _successors(edges)
    reach: dict[str, set[str]] = {}
    for name in reversed(_in_order(list(after), after)):
        reach[name] = set(after[name]).union(*(reach[other] for other in after[name]))
    return [
        edge
        for edge in edges
        if not any(edge.target in reach[other] for other in after[edge.source] if other != edge.target)
    ]


def lay_out(nodes: Sequence[Node], edges: Iterable[Edge]) -> Layout:
    """Gives every node and edge its place.

    Parameters
    ----------
    nodes
        With distinct ids. Their order breaks ties, so that like graphs look alike.
    edges
        Repeated ones are drawn once.

    Raises
    ------
    InputError
        If ids repeat, an edge names no node, or the edges run in a circle.
    """
    edges = _distinct(edges)
    _check(nodes, edges)
    layer = _layers([node.id for node in nodes], edges)
    columns, links = _columns(nodes, edges, layer)
    columns = _fewest_crossings(columns, links)
    centres = _heights(columns, links, {node.id for node in nodes})
    return _placed(nodes, edges, layer, columns, centres)


def draw(layout: Layout, *, label: str, description: str = "", least_scale: float = LEAST_SCALE) -> Markup:
    """The layout as inline SVG.

    Links are left out of the tab order: the picture is one image to a screen reader, so the page
    must offer the same links elsewhere, e.g. in a table.

    Parameters
    ----------
    label, description
        The picture's name and its content in words, for those who cannot see it.
    least_scale
        How much smaller than drawn it may be shown; from there on it scrolls.
    """
    body = "".join([*map(_edge_svg, layout.edges), *map(_node_svg, layout.nodes)])
    # Scaled to the page, but never so small that labels cannot be read: then it scrolls.
    style = f"max-width:{layout.width:.0f}px;min-width:{least_scale * layout.width:.0f}px"
    return Markup(
        f'<svg class="graph" role="img" aria-label="{escape(label)}" style="{style}" '
        f'viewBox="0 0 {layout.width:.1f} {layout.height:.1f}">'
        f"<desc>{escape(description)}</desc>{body}</svg>"
    )


# Layers -------------------------------------------------------------------------------------------


def _distinct(edges: Iterable[Edge]) -> list[Edge]:
    return list({(edge.source, edge.target): edge for edge in edges}.values())


def _check(nodes: Sequence[Node], edges: Sequence[Edge]) -> None:
    known = {node.id for node in nodes}
    if len(known) < len(nodes):
        raise InputError(f"{len(nodes)} nodes have only {len(known)} different ids: give each its own")
    for edge in edges:
        for end in (edge.source, edge.target):
            if end not in known:
                raise InputError(f"edge {edge.source} → {edge.target}: there is no node {end!r}")


def _successors(edges: Iterable[Edge], names: Iterable[str] = ()) -> dict[str, list[str]]:
    after: dict[str, list[str]] = {name: [] for name in names}
    for edge in edges:
        after.setdefault(edge.source, []).append(edge.target)
        after.setdefault(edge.target, [])
    return after


def _in_order(names: Sequence[str], after: Mapping[str, Sequence[str]]) -> list[str]:
    """Topological order by Kahn's algorithm, nearest to the order given."""
    waiting = dict.fromkeys(names, 0)
    for targets in after.values():
        for target in targets:
            waiting[target] += 1
    order = [name for name in names if not waiting[name]]
    for name in order:
        for target in after[name]:
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    if len(order) < len(names):
        circle = ", ".join(sorted(name for name in names if waiting[name]))
        raise InputError(f"the edges run in a circle through {circle}: only acyclic graphs can be drawn")
    return order


def _layers(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    after = _successors(edges, names)
    layer = dict.fromkeys(names, 0)
    targets = {edge.target for edge in edges}
    order = _in_order(names, after)
    for name in order:
        for target in after[name]:
            layer[target] = max(layer[target], layer[name] + 1)
    for name in order:
        # A source stands next to what reads it first, not at the far left.
        if name not in targets and after[name]:
            layer[name] = min(layer[target] for target in after[name]) - 1
    return layer


def _columns(
    nodes: Sequence[Node], edges: Sequence[Edge], layer: Mapping[str, int]
) -> tuple[list[list[Spot]], list[tuple[Spot, Spot]]]:
    """Spots by layer, waypoints included, and the links between neighbouring layers."""
    columns: list[list[Spot]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node in nodes:
        columns[layer[node.id]].append(node.id)
    links: dict[tuple[Spot, Spot], None] = {}
    for edge in edges:
        spots = _way(edge, layer)
        for place, spot in enumerate(spots[1:-1], layer[edge.source] + 1):
            if spot not in columns[place]:
                columns[place].append(spot)
        links.update(dict.fromkeys(pairwise(spots)))
    return columns, list(links)


def _way(edge: Edge, layer: Mapping[str, int]) -> list[Spot]:
    """The spots that an edge passes. Long edges of one source share theirs: one line that branches."""
    between = range(layer[edge.source] + 1, layer[edge.target])
    return [edge.source, *((edge.source, place) for place in between), edge.target]


# Order within layers ------------------------------------------------------------------------------


def _neighbours(links: Iterable[tuple[Spot, Spot]]) -> tuple[dict[Spot, list[Spot]], dict[Spot, list[Spot]]]:
    before: dict[Spot, list[Spot]] = {}
    after: dict[Spot, list[Spot]] = {}
    for left, right in links:
        before.setdefault(right, []).append(left)
        after.setdefault(left, []).append(right)
    return before, after


def _fewest_crossings(columns: list[list[Spot]], links: list[tuple[Spot, Spot]]) -> list[list[Spot]]:
    before, after = _neighbours(links)
    best, fewest = columns, _crossings(columns, after)
    current = columns
    for sweep in range(SWEEPS):
        current = _swept(current, after, backwards=True) if sweep % 2 else _swept(current, before)
        crossings = _crossings(current, after)
        if crossings < fewest:
            best, fewest = current, crossings
    return best


def _swept(
    columns: Sequence[Sequence[Spot]], neighbours: Mapping[Spot, Sequence[Spot]], *, backwards: bool = False
) -> list[list[Spot]]:
    """Each layer sorted by the mean place of its spots' neighbours in the layer passed before."""
    step = -1 if backwards else 1
    swept: list[list[Spot]] = []
    place: dict[Spot, float] = {}
    for column in columns[::step]:
        wanted = {
            spot: _mean([place[other] for other in neighbours.get(spot, ())], otherwise=float(index))
            for index, spot in enumerate(column)
        }
        swept.append(sorted(column, key=wanted.__getitem__))
        place = {spot: float(index) for index, spot in enumerate(swept[-1])}
    return swept[::step]


def _crossings(columns: Sequence[Sequence[Spot]], after: Mapping[Spot, Sequence[Spot]]) -> int:
    """Number of pairs of links that cross: the inversions between neighbouring layers."""
    total = 0
    for left, right in pairwise(columns):
        place = {spot: index for index, spot in enumerate(right)}
        seen: list[int] = []
        for spot in left:
            ends = sorted(place[other] for other in after.get(spot, ()))
            total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


# Heights ------------------------------------------------------------------------------------------


def _heights(
    columns: Sequence[Sequence[Spot]], links: Iterable[tuple[Spot, Spot]], nodes: set[str]
) -> dict[Spot, float]:
    """The centre of each spot: near its neighbours, in the order given, never overlapping."""
    before, after = _neighbours(links)
    both = {spot: [*before.get(spot, ()), *after.get(spot, ())] for column in columns for spot in column}
    centre: dict[Spot, float] = {}
    for column in columns:
        offsets = _offsets(column, nodes)
        centre.update((spot, offset - offsets[-1] / 2) for spot, offset in zip(column, offsets, strict=True))
    for neighbours, step in ((before, 1), (after, -1), (before, 1), (after, -1), (both, 1), (both, -1)) * 2:
        for column in columns[::step]:
            wanted = [
                _mean([centre[other] for other in neighbours.get(spot, ())], otherwise=centre[spot])
                for spot in column
            ]
            # A long edge is straight before a node is central: bends tire the eye.
            weights = [1.0 if spot in nodes else 3.0 for spot in column]
            centre.update(zip(column, _spread(wanted, weights, _offsets(column, nodes)), strict=True))
    return centre


def _offsets(column: Sequence[Spot], nodes: set[str]) -> list[float]:
    """Distances of the spots from the first, if all stand as near as may be."""
    offsets = [0.0]
    for upper, lower in pairwise(column):
        sizes = sum(NODE_HEIGHT / 2 for spot in (upper, lower) if spot in nodes)
        offsets.append(
            offsets[-1] + sizes + (NODE_GAP if upper in nodes and lower in nodes else WAYPOINT_GAP)
        )
    return offsets[: len(column)]


def _spread(wanted: Sequence[float], weights: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The places nearest to `wanted` (least squares) that keep the order and the distances.

    Without its offset each place need only not be less than the one before, which is isotonic
    regression: solved by pooling adjacent violators.
    """
    blocks: list[tuple[float, float, int]] = []
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        block = (want - offset, weight, 1)
        while blocks and blocks[-1][0] >= block[0]:
            value, heft, size = blocks.pop()
            total = heft + block[1]
            block = ((value * heft + block[0] * block[1]) / total, total, size + block[2])
        blocks.append(block)
    levels = [value for value, _, size in blocks for _ in range(size)]
    return [level + offset for level, offset in zip(levels, offsets, strict=True)]


# Places -------------------------------------------------------------------------------------------


def _placed(
    nodes: Sequence[Node],
    edges: Sequence[Edge],
    layer: Mapping[str, int],
    columns: Sequence[Sequence[Spot]],
    centres: Mapping[Spot, float],
) -> Layout:
    widths = [LEAST_WIDTH] * len(columns)
    for node in nodes:
        widths[layer[node.id]] = max(widths[layer[node.id]], _width(node))
    lefts = [MARGIN + sum(widths[:place]) + place * LAYER_GAP for place in range(len(columns))]
    top = min((centre - NODE_HEIGHT / 2 for centre in centres.values()), default=0.0) - MARGIN
    bottom = max((centre + NODE_HEIGHT / 2 for centre in centres.values()), default=0.0) + MARGIN
    height = {spot: round(centre - top, 1) for spot, centre in centres.items()}
    placed = tuple(
        Placed(node, lefts[layer[node.id]], height[node.id] - NODE_HEIGHT / 2, widths[layer[node.id]])
        for node in nodes
    )
    sides = [(left, left + width) for left, width in zip(lefts, widths, strict=True)]
    routed = tuple(Routed(edge, _points(edge, layer, height, sides)) for edge in edges)
    right = max((right for _, right in sides), default=0.0) + MARGIN
    return Layout(placed, routed, right, round(bottom - top, 1))


def _points(
    edge: Edge,
    layer: Mapping[str, int],
    height: Mapping[Spot, float],
    sides: Sequence[tuple[float, float]],
) -> tuple[tuple[float, float], ...]:
    points = []
    for place, spot in enumerate(_way(edge, layer), layer[edge.source]):
        points += [(side, height[spot]) for side in sides[place]]
    # The source's left and the target's right side are no part of the way.
    return tuple(points[1:-1])


def _width(node: Node) -> float:
    # The label is set in 13 px, but bold.
    text = max(_text_width(_shortened(node.label), 14.5), _text_width(_shortened(node.sublabel), 11.5))
    return max(LEAST_WIDTH, round(text + (46.0 if node.icon else 24.0)))


def _text_width(text: str, size: float) -> float:
    """A generous guess of a text's width in pixels: the reader's font is not known here."""
    return size * sum(_letter_width(letter) for letter in text)


def _letter_width(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    if letter in "mwMW@%—…":
        return 0.92
    if letter in "iljtfrI.,:;|'()[]! ·":
        return 0.36
    return 0.7 if letter.isupper() else 0.6


def _shortened(text: str) -> str:
    if len(text) <= MOST_LETTERS:
        return text
    # Both ends tell nodes apart: what it is, and which of several.
    tail = MOST_LETTERS // 2 - 1
    return f"{text[: MOST_LETTERS - tail - 1]}…{text[-tail:]}"


# Drawing ------------------------------------------------------------------------------------------


def _node_svg(placed: Placed) -> str:
    node = placed.node
    middle = placed.y + placed.height / 2
    parts = [f"<title>{escape(node.title or node.label)}</title>", _outline(placed)]
    left = placed.x + 12
    if node.icon:
        parts.append(
            f'<svg class="node-icon" x="{left:.1f}" y="{middle - 8:.1f}" width="16" height="16" '
            f'viewBox="0 0 16 16" fill="currentColor">{icons.shape(node.icon)}</svg>'
        )
        left += 24
    first, second = (middle - 3, middle + 13) if node.sublabel else (middle + 4.5, 0)
    parts.append(
        f'<text class="node-label" x="{left:.1f}" y="{first:.1f}">{escape(_shortened(node.label))}</text>'
    )
    if node.sublabel:
        text = escape(_shortened(node.sublabel))
        parts.append(f'<text class="node-sublabel" x="{left:.1f}" y="{second:.1f}">{text}</text>')
    group = f'<g class="node {escape(node.css)}">{"".join(parts)}</g>'
    return f'<a href="{escape(node.href)}" tabindex="-1">{group}</a>' if node.href else group


def _outline(placed: Placed) -> str:
    x, y, width, height = placed.x, placed.y, placed.width, placed.height
    if placed.node.shape == "gate":
        cut = 9
        across, down = f"{width - 2 * cut:.1f}", f"{height - 2 * cut:.1f}"
        return (
            f'<path class="node-shape" d="M{x + cut:.1f} {y:.1f}h{across}l{cut} {cut}v{down}l-{cut} {cut}'
            f'h-{across}l-{cut} -{cut}v-{down}z"/>'
        )
    radius = height / 2 if placed.node.shape == "round" else 7
    return (
        f'<rect class="node-shape" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="{radius:g}"/>'
    )


def _edge_svg(routed: Routed) -> str:
    points = routed.points
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x, y), (next_x, next_y) in pairwise(points):
        if y == next_y:
            path.append(f"H{next_x:.1f}")
        else:
            middle = (x + next_x) / 2
            path.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {next_y:.1f} {next_x:.1f} {next_y:.1f}")
    x, y = points[-1]
    head = f"M{x - 7:.1f} {y - 3.5:.1f}l7 3.5-7 3.5z"
    css = f"edge {escape(routed.edge.css)}".strip()
    line = f'<path class="edge-line" d="{"".join(path)}"/>'
    return f'<g class="{css}">{line}<path class="edge-head" d="{head}"/></g>'
