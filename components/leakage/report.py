"""The report of LeakageValidator: what was counted, beside what chance would give."""

from __future__ import annotations

from typing import ClassVar, Literal

from tfx_trust.components.report import Estimate, Model, Report, Verdict

Scope = Literal["train", "eval", "all"]


class Overlap(Model):
    """Rows that stand on both sides, by one set of columns."""

    key: str
    """``features+label``, ``features``, ``features-excluded`` (without weights, identifiers, times), or a
    name of the user's."""
    columns: list[str]
    """The columns that are compared."""
    keys_in_both: int
    """Distinct rows that are on both sides."""
    eval_in_train: int
    """Eval examples that also stand in train."""
    train_in_eval: int
    """Train examples that also stand in eval."""
    distinct: dict[str, int]
    """Distinct rows by split."""
    surplus: dict[str, int]
    """Repeated rows by split: examples less distinct rows."""
    expected_random_split: float
    """Eval examples in train if the same rows were split at random: exposes copies made after the split."""
    random_split_sd: float
    """Standard deviation of that number over random splits."""
    expected_independent: float | None
    """Upper bound of the eval examples in train if columns were independent of each other: exposes copies
    made before the split, and rows that are alike by nature. None where it was not estimated."""
    excess: Estimate
    """Eval examples in train beyond a random split's, as a share of the eval split."""
    p_value: float
    """Probability of so many or more under a random split (normal approximation, one-sided)."""
    verdict: Verdict
    """What it amounts to."""


class NearDuplicates(Model):
    """Eval rows that differ from a train row in a few features only."""

    differing: int
    """In at most so many features, and in at least one."""
    eval_rows: int
    """Eval examples that were searched for."""
    train_rows: int
    """Train examples that were searched."""
    eval_near_train: int
    """Eval examples with such a train row."""
    expected_random_split: float
    """As many as a random split of the same rows would give."""
    capped: bool
    """Whether the search left something out; the count is then a lower bound."""
    note: str = ""
    """What was left out."""
    excess: Estimate
    """Eval examples beyond a random split's, as a share of `eval_rows`."""
    verdict: Verdict
    """What it amounts to."""


class Conflict(Model):
    """Equal features with different labels."""

    key: str
    """The columns that are equal."""
    scope: Scope
    """Within train, within eval, or over all examples."""
    groups: int
    """Groups of equal rows with more than one label."""
    examples: int
    """Examples in them."""
    minority: int
    """Examples to drop so that each group has one label."""


class FeatureLeakage(Model):
    """How much a single feature tells of the label: fitted on train, scored on eval."""

    name: str
    """The feature."""
    auc: float
    """Held-out area under the ROC curve; of several classes, each against the rest, by prevalence."""
    nmi: float
    """Held-out normalised mutual information: the share of the label's entropy that it explains."""
    verdict: Verdict
    """What it amounts to."""
    auc_estimate: Estimate
    """`auc` with its interval, which holds for all features together."""
    nmi_estimate: Estimate
    """`nmi` with its interval, which holds for all features together."""
    determines: bool
    """Whether each of its values has one label only."""
    distinct: int
    """Distinct values in what was looked at."""


class PairLeakage(Model):
    """Two features that tell more of the label together than alone."""

    names: tuple[str, str]
    """The two features."""
    auc: float
    """Held-out AUC of the two together."""
    best_single: float
    """Held-out AUC of the better of the two."""
    lift: Estimate
    """The difference."""
    verdict: Verdict
    """What it amounts to."""


class Identifier(Model):
    """A feature that looks like an identifier: nearly unique, and of no use on held-out examples."""

    name: str
    """The feature."""
    distinct: int
    """Distinct values in what was looked at."""
    examples: int
    """Examples that have it, of those."""
    auc: float
    """Its held-out AUC."""
    suggestion: Literal["group", "remove"]
    """Whether some of its values repeat, so that it may name an entity, or none does."""


class EntityOverlap(Model):
    """Entities (patients, households, users) on both sides."""

    group: str
    """The group feature."""
    entities: dict[str, int]
    """Distinct entities by split."""
    entities_in_both: int
    """Entities on both sides."""
    eval_in_train: int
    """Eval examples whose entity is in train."""
    train_in_eval: int
    """Train examples whose entity is in eval."""
    missing: dict[str, int]
    """Examples without an entity, by split: they were not checked."""
    verdict: Verdict
    """What it amounts to."""


class TimeOrder(Model):
    """Whether training examples come before the evaluation examples."""

    feature: str
    """The time feature."""
    first: dict[str, str]
    """Earliest time by split."""
    last: dict[str, str]
    """Latest time by split."""
    late_train: int
    """Train examples at or after the first eval example."""
    late_in_group: dict[str, int]
    """By group feature: train examples at or after the first eval example of the same entity."""
    missing: dict[str, int]
    """Examples without a time, by split: they were not checked."""
    verdict: Verdict
    """What it amounts to."""


class Preprocessing(Model):
    """Whether preprocessing saw what it must not."""

    analyzed_splits: list[str] | None
    """Splits that the analyzers of Transform saw; none where it is not known."""
    eval_analyzed: list[str]
    """Of these, the evaluation splits."""
    required_at_serving: list[str] | None
    """Raw features that the transformed features depend on; none where it is not known."""
    absent_at_serving: list[str]
    """Of these, those that the schema does not have at serving."""
    verdict: Verdict
    """What it amounts to."""


class Consequence(Model):
    """How much of the score was leakage."""

    key: str
    """Overlap key by which a row counts as leaked."""
    metric: Literal["auc", "accuracy", "mean_absolute_error"]
    """What was measured."""
    all: float
    """On all eval examples."""
    without_leaked: float | None
    """On those that do not stand in train; none where too few are left."""
    difference: Estimate | None
    """The first less the second, with a bootstrap interval."""
    leaked: int
    """Eval examples that stand in train."""
    clean: int
    """Eval examples that do not."""


class Row(Model):
    """A train row and an eval row that are alike, masked."""

    key: str
    """Overlap key by which they are alike."""
    train: dict[str, str]
    """Masked values by column; empty where missing."""
    eval: dict[str, str]
    """Masked values by column."""
    differs: list[str]
    """Columns in which the two differ."""


class LeakageSection(Model):
    """What was found."""

    examples: dict[str, int]
    """Examples by split."""
    label: Literal["binary", "classes", "number"] | None = None
    """The kind of label; none where nothing could be counted."""
    driver: Literal["in_process", "beam"] | None = None
    """How the examples were read; none where nothing could be counted."""
    sampled: dict[str, int] = {}
    """Examples by split that the statistics of features and near duplicates rest on."""
    overlap: list[Overlap] = []
    """By key."""
    near_duplicates: NearDuplicates | None = None
    """None where switched off."""
    conflicts: list[Conflict] = []
    """By key and scope."""
    features: list[FeatureLeakage] = []
    """The most telling first."""
    pairs: list[PairLeakage] = []
    """The greatest lift first: at most ten."""
    identifiers: list[Identifier] = []
    """Features that look like identifiers."""
    entities: list[EntityOverlap] = []
    """By group feature."""
    time: TimeOrder | None = None
    """None where no time feature is named."""
    preprocessing: Preprocessing | None = None
    """None where nothing is known of it."""
    consequence: list[Consequence] = []
    """By overlap key; empty without a model or predictions."""
    rows: list[Row] = []
    """A few masked pairs of rows that stand on both sides."""


class LeakageReport(Report):
    """Report of LeakageValidator."""

    CONCERN: ClassVar[str] = "leakage"

    leakage: LeakageSection
    """The leakage section."""
