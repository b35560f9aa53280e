"""What the overview page shows: one run of a pipeline, as its metadata store tells it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tfx_trust.components.release.report import ReleaseReport
from tfx_trust.components.report import Verdict

State = Literal["done", "cached", "failed", "not_run"]


@dataclass(frozen=True)
class NodeRun:
    """One node of the run.

    Attributes
    ----------
    name, kind
        Node id and component class, e.g. ``Trainer``.
    state
        ``not_run`` if the run ended before it or its condition did not hold.
    seconds
        Wall seconds of its execution; none where it did not execute.
    upstream
        Names of the nodes whose outputs it read.
    error
        Its own error in one line, if it failed.
    verdict
        Verdict of the report it wrote, if it is a gate.
    page
        Link to its page, relative to the overview, if it wrote one.
    """

    name: str
    kind: str
    state: State
    seconds: float | None = None
    upstream: tuple[str, ...] = ()
    error: str = ""
    verdict: Verdict | None = None
    page: str | None = None


@dataclass(frozen=True)
class Run:
    """One run of a pipeline.

    Attributes
    ----------
    nodes
        In the order in which they ran (topological).
    release
        The report of the release gate, if it got that far.
    pushed
        Where Pusher put the model, relative to the overview if it lies below it; none if it pushed
        none in this run.
    details
        Further facts to show, by label, e.g. the runner and the scenario.
    """

    pipeline: str
    run_id: str
    started: datetime.datetime | None
    nodes: tuple[NodeRun, ...]
    release: ReleaseReport | None = None
    pushed: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> tuple[NodeRun, ...]:
        """The nodes that failed."""
        return tuple(node for node in self.nodes if node.state == "failed")
