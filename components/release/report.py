"""The report of ReleaseGate: what was weighed, and how it came out."""

from __future__ import annotations

from typing import ClassVar, Literal

from tfx_trust.components.report import Finding, InputRef, Model, Report, Verdict

Weight = Literal["allows", "warns", "blocks"]


class Weighed(Model):
    """One input of the decision."""

    name: str
    """Name of the gate, or ``evaluation`` or ``anomalies``."""
    kind: Literal["report", "evaluation", "anomalies"]
    """What kind of input it is."""
    component: str
    """Component that wrote it; empty where it is missing."""
    verdict: Verdict
    """What it says itself; ``not_run`` where it is missing or cannot be read."""
    weight: Weight
    """What the policy makes of that."""
    required: bool
    """Whether the policy requires it."""
    reason: str
    """Why, in a sentence."""
    uri: str = ""
    """Where it lies; its page is ``report.html`` in there."""
    findings: list[Finding] = []
    """Its own findings, those without weight left out."""


class Metric(Model):
    """A metric of the model on all evaluation examples, as the Evaluator computed it."""

    name: str
    """Name in the evaluation, e.g. ``auc``."""
    value: float
    """The candidate's."""
    baseline: float | None = None
    """The baseline model's, where there is one."""
    lower_bound: float | None = None
    """The Evaluator's threshold from below, if any."""
    upper_bound: float | None = None
    """The Evaluator's threshold from above, if any."""


class ReleaseSection(Model):
    """What the decision rests on."""

    blessed: bool
    """Whether the model may be pushed."""
    model: InputRef
    """The candidate."""
    baseline_model: InputRef | None = None
    """The model it was compared with, if any."""
    weighed: list[Weighed] = []
    """All inputs of the decision, blocking ones first."""
    metrics: list[Metric] = []
    """The model's metrics on all evaluation examples."""
    examples: dict[str, int] = {}
    """Number of examples by split."""
    versions: dict[str, str] = {}
    """Versions of the software that decided."""


class ReleaseReport(Report):
    """Report of ReleaseGate."""

    CONCERN: ClassVar[str] = "release"

    release: ReleaseSection
    """The release section."""
