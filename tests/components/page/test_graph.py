"""Layout and drawing of graphs."""

from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_trust.components.errors import InputError
from tfx_trust.components.page.graph import Edge, Layout, Node, draw, lay_out, without_shortcuts

SMALLEST_GAP = 10


@st.composite
def acyclic_graphs(make: st.DrawFn) -> tuple[list[Node], list[Edge]]:
    """Nodes with labels of any length, edges from lower to higher numbers."""
    count = make(st.integers(0, 14))
    labels = make(st.lists(st.text(max_size=40), min_size=count, max_size=count))
    nodes = [Node(str(number), label, "sub") for number, label in enumerate(labels)]
    pairs = list(combinations(range(count), 2))
    chosen = make(st.lists(st.sampled_from(pairs), max_size=30)) if pairs else []
    return make(st.permutations(nodes)), [Edge(str(left), str(right)) for left, right in chosen]


def boxes(layout: Layout) -> list[tuple[float, float, float, float]]:
    return [(it.x, it.y, it.x + it.width, it.y + it.height) for it in layout.nodes]


@settings(max_examples=150, deadline=None)
@given(acyclic_graphs())
def test_nodes_never_overlap_and_lie_within_the_picture(graph: tuple[list[Node], list[Edge]]) -> None:
    layout = lay_out(*graph)
    assert {it.node.id for it in layout.nodes} == {node.id for node in graph[0]}
    for (left, top, right, bottom), (left2, top2, right2, bottom2) in combinations(boxes(layout), 2):
        apart = max(left2 - right, left - right2, top2 - bottom, top - bottom2)
        assert apart >= SMALLEST_GAP
    for left, top, right, bottom in boxes(layout):
        assert left >= 0
        assert top >= 0
        assert right <= layout.width
        assert bottom <= layout.height


@settings(max_examples=150, deadline=None)
@given(acyclic_graphs())
def test_edges_run_left_to_right_from_side_to_side(graph: tuple[list[Node], list[Edge]]) -> None:
    layout = lay_out(*graph)
    box = {it.node.id: it for it in layout.nodes}
    assert {(it.edge.source, it.edge.target) for it in layout.edges} == {
        (e.source, e.target) for e in graph[1]
    }
    for routed in layout.edges:
        xs = [x for x, _ in routed.points]
        assert all(left < right for left, right in pairwise(xs))
        source, target = box[routed.edge.source], box[routed.edge.target]
        assert routed.points[0] == pytest.approx((source.x + source.width, source.y + source.height / 2))
        assert routed.points[-1] == pytest.approx((target.x, target.y + target.height / 2))


@settings(max_examples=150, deadline=None)
@given(acyclic_graphs())
def test_edges_pass_beside_nodes_never_through_them(graph: tuple[list[Node], list[Edge]]) -> None:
    layout = lay_out(*graph)
    for routed in layout.edges:
        # Straight pieces: from the second point on, in pairs; they lie within one layer each.
        inner = routed.points[1:-1]
        for (x, y), (_, _) in zip(inner[::2], inner[1::2], strict=True):
            assert not any(
                left <= x <= right and top <= y <= bottom for left, top, right, bottom in boxes(layout)
            )
    within = [y for routed in layout.edges for _, y in routed.points]
    assert all(0 <= y <= layout.height for y in within)


@settings(max_examples=100, deadline=None)
@given(acyclic_graphs())
def test_leaving_out_shortcuts_keeps_what_follows_from_what(graph: tuple[list[Node], list[Edge]]) -> None:
    nodes, edges = graph
    kept = without_shortcuts(edges)
    assert reachable(nodes, kept) == reachable(nodes, edges)
    # And none is left over: without any one of them something could no longer be reached.
    assert all(
        reachable(nodes, [other for other in kept if other != edge]) != reachable(nodes, kept)
        for edge in kept
    )


def reachable(nodes: list[Node], edges: list[Edge]) -> set[tuple[str, str]]:
    """The slow twin: pairs joined until nothing changes."""
    pairs = {(edge.source, edge.target) for edge in edges}
    while True:
        more = {(a, d) for a, b in pairs for c, d in pairs if b == c} - pairs
        if not more:
            return pairs
        pairs |= more


@settings(max_examples=50, deadline=None)
@given(acyclic_graphs())
def test_drawing_is_sound_xml_and_always_the_same(graph: tuple[list[Node], list[Edge]]) -> None:
    drawn = draw(lay_out(*graph), label='a "label" & more')
    assert draw(lay_out(*graph), label='a "label" & more') == drawn
    printable = "".join(letter for letter in drawn if letter.isprintable())
    ElementTree.fromstring(printable)


def test_layer_is_the_longest_path_and_a_source_stands_by_its_reader() -> None:
    nodes = [Node(name, name) for name in "abcds"]
    edges = [Edge("a", "b"), Edge("b", "c"), Edge("c", "d"), Edge("a", "d"), Edge("s", "d")]
    x = {it.node.id: it.x for it in lay_out(nodes, edges).nodes}
    assert x["a"] < x["b"] < x["c"] < x["d"]
    assert x["s"] == x["c"]


def test_a_chain_is_straight() -> None:
    nodes = [Node(name, name) for name in "abcd"]
    layout = lay_out(nodes, [Edge("a", "b"), Edge("b", "c"), Edge("c", "d")])
    assert len({it.y for it in layout.nodes}) == 1


def test_crossings_that_can_be_avoided_are() -> None:
    nodes = [Node(name, name) for name in ("a", "b", "x", "y")]
    y = {it.node.id: it.y for it in lay_out(nodes, [Edge("a", "y"), Edge("b", "x")]).nodes}
    assert (y["a"] < y["b"]) == (y["y"] < y["x"])


def test_circle_is_refused_by_name() -> None:
    nodes = [Node(name, name) for name in "abc"]
    with pytest.raises(InputError, match="in a circle through b, c"):
        lay_out(nodes, [Edge("a", "b"), Edge("b", "c"), Edge("c", "b")])


def test_edge_to_nowhere_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="edge a → z: there is no node 'z'"):
        lay_out([Node("a", "a")], [Edge("a", "z")])


def test_repeated_ids_are_refused() -> None:
    with pytest.raises(InputError, match="2 nodes have only 1 different ids"):
        lay_out([Node("a", "a"), Node("a", "b")], [])


def test_node_carries_its_class_link_shape_and_tooltip() -> None:
    nodes = [
        Node(
            "m",
            "model",
            "Model 7",
            title="A <model>",
            css="is-artifact",
            shape="round",
            href="m.html?a=1&b=2",
        ),
        Node("t", "x" * 60, icon="fail", shape="gate"),
    ]
    drawn = draw(lay_out(nodes, [Edge("t", "m", css="is-output")]), label="lineage", description="t makes m")
    for text in (
        'class="node is-artifact"',
        'href="m.html?a=1&amp;b=2" tabindex="-1"',
        "<title>A &lt;model&gt;</title>",
        'rx="23"',
        'class="edge is-output"',
        "<desc>t makes m</desc>",
        "…",
    ):
        assert text in drawn
    assert f">{'x' * 60}</text>" not in drawn
