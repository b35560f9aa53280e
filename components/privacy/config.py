"""Settings of private training, and of the audit of what a model gives away."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import pydantic

from tfx_trust.components.errors import UsageError
from tfx_trust.components.settings import Settings

Share = Annotated[float, pydantic.Field(ge=0, le=1)]
Sampling = Literal["poisson", "shuffle"]
Adjacency = Literal["add_or_remove_one", "replace_one"]
AccountantName = Literal["pld", "rdp"]
Effect = Literal["note", "warn", "block"]

PRIVACY = "privacy"
"""The key of ``fn_args.custom_config`` that has the privacy settings."""
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)
ADJACENCIES: tuple[Adjacency, ...] = get_args(Adjacency)
ACCOUNTANTS: tuple[AccountantName, ...] = get_args(AccountantName)


class AdaptiveClip(Settings):
    """The clip norm follows a quantile of the gradients' norms, found privately.

    After Andrew, Thakkar, McMahan & Ramaswamy (2021), "Differentially private learning with adaptive
    clipping". It costs no epsilon of its own: the gradients get so much more noise that both releases of a
    step together are as private as the noise multiplier says.
    """

    quantile: float = pydantic.Field(default=0.5, gt=0, lt=1)
    """Share of the gradients that are to lie below the clip norm."""
    learning_rate: float = pydantic.Field(default=0.2, gt=0)
    """Of the geometric update of the clip norm."""
    count_noise: float | None = pydantic.Field(default=None, gt=0)
    """Standard deviation of the noise on the count of unclipped examples; a twentieth of the batch size if
    not given, as the authors advise."""


class PrivacySettings(Settings):
    """How a model is trained by DP-SGD: what `make_private` takes.

    One of `epsilon` and `noise_multiplier`, and one of `epochs` and `steps`, must be given.

    Examples
    --------
    >>> settings = PrivacySettings(epsilon=3.0, epochs=20, batch_size=256)
    >>> settings.largest_batch
    384
    """

    epsilon: float | None = pydantic.Field(default=None, gt=0)
    """Target; the noise is calibrated to it."""
    noise_multiplier: float | None = pydantic.Field(default=None, gt=0)
    """Standard deviation of the noise on the sum of clipped gradients, in units of the clip norm."""
    delta: float | None = pydantic.Field(default=None, gt=0, lt=1)
    """Must be below 1/N; N^-1.1 if not given, N being the number of examples."""
    l2_clip: float = pydantic.Field(default=1.0, gt=0)
    """Greatest L2 norm that an example's gradient keeps; the first one where it is adaptive."""
    batch_size: int = pydantic.Field(default=256, ge=1)
    """Expected number of examples of a step; what the sum of gradients is divided by."""
    epochs: float | None = pydantic.Field(default=None, gt=0)
    """Passes over the examples, in expectation."""
    steps: int | None = pydantic.Field(default=None, ge=1)
    """Steps, in place of `epochs`."""
    max_batch: int | None = pydantic.Field(default=None, ge=1)
    """Most examples that a Poisson batch keeps; ``batch_size + 8 sqrt(batch_size)`` if not given, which is
    exceeded next to never. What it costs is accounted for."""
    microbatch: int | None = pydantic.Field(default=None, ge=1)
    """Examples that are in memory as activations at a time; the whole batch if not given."""
    sampling: Sampling = "poisson"
    """How batches come about: ``poisson``, every example by itself with the same probability; ``shuffle``, a
    dataset that is shuffled and cut, for which no amplification by sampling is claimed."""
    adjacency: Adjacency = "add_or_remove_one"
    """Which data sets count as neighbours: one more or less example, or one other."""
    accountant: AccountantName = "pld"
    """``pld``, by privacy loss distributions, is tight; ``rdp``, by Rényi divergences, an upper bound."""
    adaptive_clip: AdaptiveClip | None = None
    """None keeps `l2_clip` as it is."""
    examples: int | None = pydantic.Field(default=None, ge=1)
    """Number of training examples, where it is known beforehand; compared with the data."""
    composed_with: list[dict[str, Any]] = []
    """What else is released of the same data, each a mechanism as the report has them. A target epsilon is
    then that of all together. PrivateTrainer puts the private analyzers of Transform here."""
    seed: int | None = pydantic.Field(default=None, ge=0)
    """Of noise and sampling, for tests alone: who knows it can take the noise away, so that a model trained
    with one has no guarantee, which its report then says. From the operating system's entropy if not
    given."""

    @pydantic.model_validator(mode="after")
    def _one_of_each(self) -> PrivacySettings:
        for first, second in (("epsilon", "noise_multiplier"), ("epochs", "steps")):
            given = [name for name in (first, second) if getattr(self, name) is not None]
            if len(given) != 1:
                what = "both are given" if given else "neither is given"
                raise ValueError(f"{first}, {second}: {what}; give one of the two")
        if self.max_batch is not None and self.max_batch < self.batch_size:
            raise ValueError(f"max_batch = {self.max_batch} is below batch_size = {self.batch_size}")
        return self

    @property
    def largest_batch(self) -> int:
        """Most examples that a batch keeps."""
        return self.max_batch or round(self.batch_size + 8 * self.batch_size**0.5)

    def steps_for(self, examples: int) -> int:
        """How many steps are trained, on so many examples."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        steps = self.epochs * examples / self.batch_size
        # A shuffled dataset pays by the pass: not for one that has only just begun.
        return max(1, round(steps) if self.sampling == "poisson" else math.floor(steps + 1e-9))


class Spending(Settings):
    """What was released of the same data elsewhere, outside this metadata store."""

    what: str = pydantic.Field(min_length=1)
    """In a few words, e.g. ``the tables published in March``."""
    epsilon: float = pydantic.Field(gt=0)
    """What it cost."""
    delta: float = pydantic.Field(default=0.0, ge=0, lt=1)
    """And its delta."""
    span: int | None = None
    """The span of the data; all spans if not given."""


class Budget(Settings):
    """What may be spent on one source of data, over all trainings."""

    epsilon: float = pydantic.Field(gt=0)
    """In total. A run that would pass it stops before training."""
    delta: float | None = pydantic.Field(default=None, gt=0, lt=1)
    """The delta at which the total is computed; that of the run if not given."""
    source: str | None = None
    """Name of the data, the same over all pipelines that read it; where ExampleGen reads from if not
    given."""
    spans: Literal["disjoint", "overlapping"] = "disjoint"
    """Whether examples of different spans are different data. If so, the costliest span counts (parallel
    composition, McSherry 2009); else everything adds up."""
    prior: list[Spending] = []
    """What was spent elsewhere."""


class Canaries(Settings):
    """Made-up examples that are put into training, each by a coin's toss, for the audit to find again."""

    count: int = pydantic.Field(ge=20)
    """How many are made; about half of them are trained on. The greatest epsilon that the audit can prove
    grows with it."""
    seed: int | None = pydantic.Field(default=None, ge=0)
    """Of the canaries and the tosses, for tests alone."""


class TradeoffPoint(Settings):
    """A measured quality of the model at some epsilon, to be drawn."""

    epsilon: float | None = pydantic.Field(default=None, gt=0)
    """None is training without privacy."""
    metric: str
    """E.g. ``auc``."""
    mean: float
    """Over the seeds."""
    low: float
    """Smallest."""
    high: float
    """Greatest."""
    count: int = pydantic.Field(ge=1)
    """Trainings."""


class PrivateTrainingSettings(PrivacySettings):
    """What PrivateTrainer takes: the training, what is public, and the budget.

    Examples
    --------
    >>> PrivateTrainingSettings(epsilon=3.0, epochs=20, budget=Budget(epsilon=9.0)).budget.epsilon
    9.0
    """

    public: list[str] = []
    """What is known to all and so needs no protection: names of analyzers of Transform, as the report lists
    them (``*`` and ``?`` stand for other letters), and of other leaks that the report names."""
    on_leak: Effect = "warn"
    """What something that the guarantee does not cover, and that is not declared public, does to the verdict.
    The guarantee then reads "training only"."""
    budget: Budget | None = None
    """None limits nothing; the ledger is kept all the same."""
    canaries: Canaries | None = None
    """None puts none in."""
    label: str | None = None
    """Feature of the label in the raw examples, which canaries get at random; needed for them."""
    tradeoff: list[TradeoffPoint] = []
    """For the page: what other epsilons cost, as measured by the user."""

    @pydantic.model_validator(mode="after")
    def _canaries_have_labels(self) -> PrivateTrainingSettings:
        if self.canaries is not None and self.label is None:
            raise ValueError("canaries need label, the feature of the raw examples that they get at random")
        return self

    @property
    def training(self) -> PrivacySettings:
        """The part that `make_private` takes."""
        return PrivacySettings.of({name: getattr(self, name) for name in PrivacySettings.model_fields})


class Claim(Settings):
    """A guarantee that somebody states."""

    epsilon: float = pydantic.Field(gt=0)
    """Stated."""
    delta: float = pydantic.Field(ge=0, lt=1)
    """Stated."""


class AuditSettings(Settings):
    """What PrivacyAuditor attacks with, and the limits it judges by.

    Examples
    --------
    >>> AuditSettings(label="over_50k", slices=[["sex"]], sensitive=["race"]).max_auc
    0.6
    """

    label: str = pydantic.Field(min_length=1)
    """Feature that holds the label."""
    positive: str | None = None
    """Value of a two-valued label that counts as positive; needed where they are not 0 and 1."""
    classes: list[str] | None = None
    """Values of a label of several classes, in the order of the model's outputs."""
    claim: Claim | None = None
    """The guarantee to hold against; that of the privacy report if not given."""
    slices: list[list[str]] = []
    """Features by which exposure is told, as the raw examples have them."""
    buckets: dict[str, list[float]] = {}
    """Edges of the buckets of numeric features among them; a value equal to an edge belongs above it."""
    sensitive: list[str] = []
    """Features that an attacker must not learn from the model: attribute inference and inversion try."""

    max_auc: float = pydantic.Field(default=0.6, gt=0.5, le=1)
    """Greatest AUC of membership inference; an attack beyond it, by more than chance, fails."""
    max_advantage: float | None = pydantic.Field(default=None, gt=0, le=1)
    """Greatest advantage (true less false positive rate, at the best threshold); not limited if not given."""
    max_inference_gain: Share = 0.05
    """By how much oftener an attacker may guess a sensitive feature of members than of others."""
    rates: list[float] = pydantic.Field(default=[0.001, 0.01, 0.1], min_length=1)
    """False positive rates at which the true positive rate is told."""
    level: float = pydantic.Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of all intervals and lower bounds."""
    min_count: int = pydantic.Field(default=100, ge=10)
    """Fewest members, and fewest others, for a judgement."""
    max_examples: int = pydantic.Field(default=20_000, ge=100)
    """Most members, and most others, that are attacked; a random sample of them if there are more."""
    attribute_examples: int = pydantic.Field(default=2_000, ge=100)
    """The same for attribute inference, which asks the model once for each possible value."""
    shadow_models: int = pydantic.Field(default=0, ge=0, le=256)
    """Models that are trained like this one on halves of the data, for the likelihood ratio attack (LiRA); 0
    leaves it out. Each costs a training; at least 4."""
    seed: int = pydantic.Field(default=1, ge=0)
    """Of the samples and the shadow models' halves."""

    signature: str | None = None
    """Signature of the model that takes serialized tf.Examples; ``serving_default`` or the only one that does
    if not given."""
    score_output: str | None = None
    """Output of it that is the score: a probability, or one a class."""
    train_split: str = "train"
    """Split of the members."""
    eval_split: str = "eval"
    """Split of those that are none."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> AuditSettings:
        if 0 < self.shadow_models < 4:
            raise ValueError(f"shadow_models: 0, or at least 4, found {self.shadow_models}")
        if self.train_split == self.eval_split:
            raise ValueError(f"train_split and eval_split are both {self.train_split!r}")
        for rate in self.rates:
            if not 0 < rate < 1:
                raise ValueError(f"rates: between 0 and 1, found {rate}")
        for name in (*self.sensitive, *(name for names in self.slices for name in names)):
            if name == self.label:
                raise ValueError(f"{name!r} is the label; an attacker is taken to know it")
        if any(not names for names in self.slices):
            raise ValueError("slices: an empty list of features; all examples are always looked at")
        if self.positive is not None and self.classes is not None:
            raise ValueError("positive is for a label of two values, classes for more: give one")
        return self


def check_custom_config(custom: Mapping[str, Any]) -> None:
    """Refuses a user's ``custom_config`` that has something under `PRIVACY` already.

    Raises
    ------
    UsageError
        If it has.
    """
    if PRIVACY in custom:
        raise UsageError(
            f"custom_config has {PRIVACY!r}, which PrivateTrainer itself puts there for run_fn; call "
            "yours otherwise"
        )
