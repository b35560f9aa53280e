"""The reports of PrivateTrainer and PrivacyAuditor."""

from __future__ import annotations

from typing import ClassVar, Literal

import pydantic

from tfx_trust.components.privacy.config import (
    AccountantName,
    Adjacency,
    Claim,
    Sampling,
    TradeoffPoint,
)
from tfx_trust.components.report import Estimate, Model, Report, Verdict

Slice = dict[str, str]
"""Value by feature; empty for all examples."""


# What PrivateTrainer reports


class Mechanism(Model):
    """One thing that was released, with what its privacy cost follows from."""

    what: str
    """What it released: ``training``, or the name of a private analyzer."""
    noise_multiplier: float = pydantic.Field(gt=0)
    """Standard deviation of its Gaussian noise, in units of the sensitivity."""
    sampling: Sampling | Literal["none"] = "none"
    """How examples came into a step: each by itself (``poisson``), in shuffled batches without claimed
    amplification (``shuffle``), or all of them (``none``)."""
    sampling_probability: float | None = pydantic.Field(default=None, gt=0, le=1)
    """Of an example to be in a step; none where all are."""
    steps: int = pydantic.Field(default=1, ge=0)
    """How often it was applied."""
    examples: int = pydantic.Field(ge=1)
    """N."""
    max_batch: int | None = None
    """Where a Poisson batch was cut off; none where it was not."""
    extra_delta: float = pydantic.Field(default=0.0, ge=0, lt=1)
    """What it may fail by, besides the noise, such as a threshold that hides rare words."""


class Guarantee(Model):
    """An (epsilon, delta) statement, and all that it depends on."""

    epsilon: float | None
    """None where there is no guarantee."""
    delta: float
    """The probability that it fails by."""
    adjacency: Adjacency
    """Which data sets count as neighbours."""
    accountant: AccountantName
    """How epsilon was computed."""
    target: float | None = None
    """The epsilon that was asked for."""


class CurvePoint(Model):
    """Epsilon after some steps."""

    step: int
    """So many."""
    epsilon: float
    """Spent until then."""


class LayerRule(Model):
    """How the gradients of a layer were clipped."""

    layer: str
    """Its name."""
    kind: str
    """Its class."""
    method: Literal["ghost", "fallback", "frozen"]
    """``ghost``: norms without per-example gradients; ``fallback``: with them; ``frozen``: not trained."""
    weights: int
    """How many numbers it has."""


class Training(Model):
    """What the model was seen to do in training."""

    model: str
    """Name and class."""
    examples: int
    """N, as counted."""
    batch_size: int
    """Expected."""
    max_batch: int | None
    """None for a shuffled dataset."""
    sampling: Sampling
    """How batches came about."""
    steps: int
    """Private steps."""
    planned_steps: int
    """Those that the noise was calibrated for."""
    optimizer: str
    """Class of the optimizer."""
    optimizer_steps: int | None
    """Updates that the optimizer made; others than the private ones void the guarantee."""
    l2_clip: float
    """Clip norm, the last one where it is adaptive."""
    adaptive: bool
    """Whether it was."""
    noise_source: Literal["aes-ctr", "philox", "seeded"]
    """Where noise came from: AES in counter mode, TensorFlow's Philox with a secret key, or a known seed."""
    layers: list[LayerRule]
    """Layers with weights."""
    unchecked: list[str] = []
    """Checks on the model that could not be made, and why."""


class Leak(Model):
    """Something that depends on the training data, ships with the model, and is outside of DP-SGD."""

    name: str
    """As it can be declared public, e.g. ``bucketize/age`` or ``early_stopping``."""
    kind: Literal["analyzer", "training"]
    """An analyzer of Transform, or something that was seen in training."""
    what: str
    """In a clause."""
    state: Literal["public", "private", "uncovered"]
    """Declared public; computed privately, its cost being composed in; or neither."""


class LedgerEntry(Model):
    """One training on a source of data."""

    run: str
    """Id of the pipeline run, or what an earlier spending was."""
    created: str
    """When, ISO 8601; empty where it is not known."""
    artifact: int | None
    """Id of its report in the metadata store; none of the training at hand and of spending elsewhere."""
    spans: list[int]
    """Spans of the data that it read; empty where it read all, or they are not numbered."""
    epsilon: float | None
    """Of it alone, at its delta; none where it had no guarantee."""
    delta: float
    """Its delta."""
    mechanisms: list[Mechanism] = []
    """What it consisted of; empty for spending elsewhere."""
    here: bool = False
    """Whether it is the training at hand."""


class Ledger(Model):
    """What was spent on a source of data, over all trainings."""

    source: str
    """Name of the data."""
    entries: list[LedgerEntry]
    """The oldest first; the training at hand is the last."""
    total_before: float | None
    """Epsilon of all before this one, composed; none where one of them had no guarantee."""
    total: float | None
    """Epsilon with this one."""
    delta: float
    """Of the totals."""
    by_span: dict[str, float | None] = {}
    """Total by span, where spans are disjoint."""
    budget: float | None = None
    """None where there is no limit."""
    spans: Literal["disjoint", "overlapping"] = "disjoint"
    """Whether spans count by themselves."""
    unknown: list[str] = []
    """What could not be established of earlier trainings."""


class CanaryRecord(Model):
    """The canaries that were put into training."""

    count: int
    """How many were made."""
    included: int
    """How many of them were trained on."""
    file: str
    """Where they are, under the report's folder: TFRecords of raw tf.Examples."""
    tosses: list[bool]
    """Which of them were trained on, in the order of the file."""


class PrivacySection(Model):
    """What is guaranteed, and what is not."""

    guarantee: Guarantee
    """The guarantee of everything that is covered."""
    scope: Literal["pipeline", "training only", "none"]
    """``pipeline``: all that ships with the model; ``training only``: not what leaks beside it; ``none``."""
    mechanisms: list[Mechanism] = []
    """What was composed."""
    alternatives: list[Guarantee] = []
    """The same by the other accountant and adjacency, where they can tell."""
    curve: list[CurvePoint] = []
    """Epsilon over the steps."""
    training: Training | None = None
    """None where the model did not train privately."""
    leaks: list[Leak] = []
    """What depends on the data outside of training."""
    leaks_known: bool = True
    """Whether Transform's analyzers could be told; if not, the scope is ``training only``."""
    ledger: Ledger | None = None
    """None where the metadata store could not be read."""
    canaries: CanaryRecord | None = None
    """None if none were put in."""
    tradeoff: list[TradeoffPoint] = []
    """Quality of the model at other epsilons, as the settings say it was measured."""


class PrivacyReport(Report):
    """Report of PrivateTrainer."""

    CONCERN: ClassVar[str] = "privacy"

    privacy: PrivacySection
    """The privacy section."""


# What PrivacyAuditor reports


class Rate(Model):
    """The power of an attack at a false positive rate."""

    false_positive_rate: float
    """Of those who are no members."""
    true_positive_rate: Estimate
    """Of the members, with its Clopper-Pearson interval, which allows for the error of the threshold."""
    allowed: float | None = None
    """The greatest that the claimed guarantee allows."""


class RocPoint(Model):
    """A point of the attack's ROC curve."""

    false_positive_rate: float
    """Others that are called members."""
    true_positive_rate: float
    """Members that are."""


AttackName = Literal["loss", "confidence", "entropy", "lira"]


class Attack(Model):
    """Membership inference by one score."""

    name: AttackName
    """Which score."""
    members: int
    """Examples that the model was trained on."""
    others: int
    """Examples that it was not."""
    auc: Estimate
    """Probability that a member scores above another; 0.5 is chance."""
    advantage: Estimate
    """True less false positive rate at a threshold that was chosen on one half and is measured on the
    other."""
    rates: list[Rate]
    """At low false positive rates."""
    roc: list[RocPoint]
    """For the picture."""
    epsilon: float | None = None
    """Lower bound on epsilon that it shows, at the section's level over all attacks together, by the theorem
    of the canaries: it holds if examples came into either split by chance. None where there are too few."""
    p: float | None = None
    """Of the test whether it is above a limit; none where there are too few."""
    p_adjusted: float | None = None
    """`p` corrected (Holm) for all attacks."""
    verdict: Verdict
    """Against the limits."""


class SliceExposure(Model):
    """How well members of a slice are told, by the loss or, where there is one, LiRA."""

    slice: Slice
    """Value by feature."""
    attack: AttackName
    """Which score."""
    members: int
    """Members in it."""
    others: int
    """Others in it."""
    auc: Estimate | None
    """None where there are too few."""
    p: float | None = None
    """Of the test whether it is above the limit."""
    p_adjusted: float | None = None
    """`p` corrected (Holm) for all slices."""
    verdict: Verdict
    """Against the limit; inconclusive where there are too few, or the interval holds the limit."""


class Guesses(Model):
    """A bound from so many of the canaries, those that look most and least like members."""

    guesses: int
    """So many."""
    correct: int
    """Right ones."""
    epsilon: float
    """Lower bound from them, at the corrected level."""


class CanaryAudit(Model):
    """A lower bound on epsilon, from one training.

    Steinke, Nasr & Jagielski (2023), "Privacy auditing with one (1) training run", Theorem 5.2.
    """

    count: int
    """Canaries."""
    included: int
    """Those that were trained on."""
    auc: Estimate
    """Of telling the ones from the others by the score."""
    epsilon: float
    """Lower bound; 0 where nothing is shown."""
    level: float
    """Confidence that epsilon is no less, over all numbers of guesses together."""
    delta: float
    """At this delta."""
    ceiling: float
    """The greatest lower bound that as many canaries could have shown, all guesses being right."""
    guesses: list[Guesses]
    """What was tried."""
    verdict: Verdict
    """Fail where the bound is above the claim; not_run without a claim."""

    @property
    def best(self) -> Guesses:
        """Those that the bound rests on: of equal ones the most guesses."""
        return max(self.guesses, key=lambda item: (item.epsilon, item.guesses))


class Inference(Model):
    """An attacker who knows the rest of an example and asks the model for a sensitive feature."""

    feature: str
    """The sensitive feature."""
    kind: Literal["attribute_inference", "inversion"]
    """``attribute_inference``: from all other features and the label, of members and of others;
    ``inversion``: from the label and the model alone."""
    members: Estimate
    """Share of members for whom the guess is right."""
    others: Estimate
    """The same of others."""
    baseline: Estimate
    """Share of right guesses without the model: the commonest value, or the commonest of the label."""
    gain: Estimate
    """Members less others for attribute inference, others less baseline for inversion."""
    values: int
    """Values that were guessed from."""
    p: float | None = None
    """Of the test whether the gain is above its limit; attribute inference only."""
    p_adjusted: float | None = None
    """`p` corrected (Holm) for all features."""
    verdict: Verdict
    """Against the limit; inversion is told, not judged."""


class AuditSection(Model):
    """What an attacker would find."""

    claim: Claim | None
    """The guarantee that it is held against; none where none is claimed."""
    claimed_by: str = ""
    """Who states it: the privacy report, or the settings."""
    falsified: bool = False
    """Whether the claim is shown to be wrong."""
    level: float = 0.95
    """Confidence level of all intervals."""
    members: int
    """Examples of the train split that were attacked."""
    others: int
    """Examples of the eval split that were."""
    attacks: list[Attack] = []
    """Membership inference."""
    slices: list[SliceExposure] = []
    """Exposure by slice, the most exposed first."""
    canaries: CanaryAudit | None = None
    """None if none were put into training."""
    inferences: list[Inference] = []
    """By sensitive feature."""
    not_run: dict[str, str] = {}
    """Attacks that were not made, and why."""


class AuditReport(Report):
    """Report of PrivacyAuditor."""

    CONCERN: ClassVar[str] = "audit"
    CHARTS: ClassVar[str] = "tfx_trust.components.privacy.audit_charts"

    audit: AuditSection
    """The audit section."""
