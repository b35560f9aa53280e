"""What the overview says of a run: its headline, its gates and its graph."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tfx_trust.components.page import graph, release, words
from tfx_trust.components.page.links import relative_link
from tfx_trust.components.page.run import NodeRun, Run
from tfx_trust.components.release.report import Weighed

SNAPSHOT = "ArtifactSnapshot"
# A pipeline with all gates is long, and its end is what one looks for.
LEAST_SCALE = 0.62
GATES = frozenset(
    {
        "LeakageValidator",
        "FairnessEvaluator",
        "PrivacyAuditor",
        "ProvenanceTracker",
        "ReleaseGate",
        "PushValidator",
    }
)
"""This library's gates, drawn as such even without a verdict; any other node that has one is a gate too."""


@dataclass(frozen=True)
class Headline:
    """The run's outcome: a word, the tone it is set in, and the reason in a sentence."""

    word: str
    tone: str
    sentence: str
    remedy: str = ""


def headline(run: Run) -> Headline:
    """The outcome of `run` in words.

    A model that was released but could not be pushed is a failure of the run; one that was refused
    is refused, whatever else went wrong.
    """
    decision = run.release
    if decision is not None and not decision.release.blessed:
        return Headline(
            "Not released", str(decision.verdict), release.sentence(decision), release.remedy(decision)
        )
    if run.failed and (decision is None or run.pushed is None):
        return Headline("Failed", "fail", _failure(run), _RETRY)
    if decision is None:
        return Headline("Not decided", "not_run", _undecided(run))
    return Headline(
        "Released", str(decision.verdict), " ".join([release.sentence(decision), *_afterwards(run)])
    )


_RETRY = "Mend the cause and run again: nodes that finished come from the cache."


def _failure(run: Run) -> str:
    names = release.listed([node.name for node in run.failed])
    if run.release is None:
        return f"{names} failed, so the release was not decided."
    return f"The model may be released, but {names} failed before it was pushed."


def _undecided(run: Run) -> str:
    gate = next((node for node in run.nodes if node.kind == "ReleaseGate"), None)
    if gate is None:
        return "This pipeline has no ReleaseGate, so nothing decides whether the model may be released."
    return f"{gate.name} did not run, or wrote no report, so nothing says whether the model may be released."


def _afterwards(run: Run) -> list[str]:
    said = []
    if run.failed:
        said.append(f"Yet {release.listed([node.name for node in run.failed])} failed.")
    if run.pushed is None:
        said.append("No Pusher pushed it in this run.")
    return said


def tally(run: Run) -> str:
    """Nodes counted by state, e.g. ``14 nodes: 9 done, 5 cached``."""
    counts = Counter[str](node.state for node in run.nodes)
    parts = [f"{counts[state]} {word.lower()}" for state, word in words.STATES.items() if counts[state]]
    return f"{words.plural(len(run.nodes), 'node')}: {', '.join(parts)}" if parts else "no nodes"


def legend(run: Run) -> list[tuple[str, str]]:
    """The marks that the graph of `run` uses, with their words."""
    used = {tone_of(node) for node in run.nodes}
    return [(tone, word) for tone, word in {**words.STATES, **words.TONES}.items() if tone in used]


def gates(run: Run) -> list[release.Row]:
    """What was weighed, each with the link to its page."""
    if run.release is None:
        return []
    return release.rows(run.release, lambda item: _href(node_of(item, run)))


def other_reports(run: Run) -> list[NodeRun]:
    """Nodes with a verdict of which the gates' table says nothing."""
    weighed = run.release.release.weighed if run.release else []
    told = {node.name for item in weighed if (node := node_of(item, run)) is not None}
    told |= {
        node.name for node in run.nodes if run.release is not None and node.kind == run.release.component
    }
    return [node for node in run.nodes if node.verdict is not None and node.name not in told]


def node_of(item: Weighed, run: Run) -> NodeRun | None:
    """The node that wrote what was weighed: the one whose page lies there, or the only one of its kind."""
    for node in run.nodes:
        folder = posixpath.dirname(node.page or "")
        if folder and f"/{item.uri}".endswith(f"/{folder}"):
            return node
    kin = [node for node in run.nodes if node.kind == item.component]
    return kin[0] if len(kin) == 1 else None


def page_of_release(run: Run) -> str | None:
    """Link to the release gate's own page."""
    if run.release is None:
        return None
    return next((_href(node) for node in run.nodes if node.kind == run.release.component and node.page), None)


def pipeline(run: Run) -> str:
    """The run's graph as inline SVG."""
    known = {node.name: node for node in run.nodes}
    drawn = {name: node for name, node in known.items() if node.kind != SNAPSHOT}
    every = [
        graph.Edge(name, node.name, "edge-idle" if node.state == "not_run" else "")
        for node in drawn.values()
        for name in _before(node, known)
    ]
    nodes = [_drawn(node) for node in drawn.values()]
    described = "; ".join(_described(node, known) for node in run.nodes)
    label = f"Pipeline {run.pipeline}, {tally(run)}. The table of nodes below says the same."
    return graph.draw(
        graph.lay_out(nodes, graph.without_shortcuts(every)),
        label=label,
        description=described,
        least_scale=LEAST_SCALE,
    )


def snapshots(run: Run) -> list[str]:
    """Names of the nodes that only take snapshots; the graph leaves them out."""
    return [node.name for node in run.nodes if node.kind == SNAPSHOT]


def _before(node: NodeRun, known: Mapping[str, NodeRun]) -> set[str]:
    """What a node waits for; of a snapshot, what that waits for."""
    before: set[str] = set()
    for name in node.upstream:
        if name in known:
            before |= _before(known[name], known) if known[name].kind == SNAPSHOT else {name}
    return before


def _drawn(node: NodeRun) -> graph.Node:
    tone = tone_of(node)
    took = words.duration(node.seconds) if node.seconds is not None else ""
    said = words.STATES[node.state] if node.state in ("failed", "cached", "not_run") else ""
    if node.verdict is not None and node.state != "failed":
        said = words.VERDICTS[node.verdict] + (" · cached" if node.state == "cached" else "")
    return graph.Node(
        id=node.name,
        label=node.name,
        sublabel=" · ".join(part for part in (said, took) if part),
        title=_tooltip(node),
        css=f"is-{tone} node-{node.state}",
        icon=tone,
        shape="gate" if node.verdict is not None or node.kind in GATES else "box",
        href=_href(node),
    )


def tone_of(node: NodeRun) -> str:
    """What a node is coloured and marked by: its gate's verdict, else its state."""
    if node.state in ("done", "cached") and node.verdict is not None:
        return node.verdict.value
    return node.state


def _tooltip(node: NodeRun) -> str:
    lines = [node.name if node.name == node.kind else f"{node.name} ({node.kind})", words.STATES[node.state]]
    if node.verdict is not None:
        lines.append(f"Verdict: {words.VERDICTS[node.verdict]}")
    if node.seconds is not None:
        lines.append(words.duration(node.seconds))
    if node.error:
        lines.append(node.error)
    return "\n".join(lines)


def _described(node: NodeRun, known: dict[str, NodeRun]) -> str:
    verdict = f", {words.VERDICTS[node.verdict]}" if node.verdict is not None else ""
    after = [name for name in node.upstream if name in known]
    reads = f", after {release.listed(after)}" if after else ""
    return f"{node.name}: {words.STATES[node.state].lower()}{verdict}{reads}"


def _href(node: NodeRun | None) -> str | None:
    return relative_link(node.page) if node else None


def seconds(run: Run) -> float | None:
    """Wall seconds of all nodes that executed; none if none did."""
    known = [node.seconds for node in run.nodes if node.seconds is not None]
    return sum(known) if known else None
