"""Settings of the leakage checks and of the filter."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from tfx_trust.components.settings import Settings

Share = Annotated[float, pydantic.Field(ge=0, le=1)]
Driver = Literal["auto", "in_process", "beam"]

FEATURES = "features"
FEATURES_AND_LABEL = "features+label"
FEATURES_EXCLUDED = "features-excluded"
BUILT_IN_KEYS = (FEATURES_AND_LABEL, FEATURES, FEATURES_EXCLUDED)


class LeakageSettings(Settings):
    """What LeakageValidator looks at, and the bounds it judges by.

    Examples
    --------
    >>> LeakageSettings(label="over_50k", exclude=["fnlwgt"]).set_aside
    ['fnlwgt']
    """

    label: str = pydantic.Field(min_length=1)
    """Feature that holds the label: binary, of several classes, or a number."""
    features: list[str] | None = None
    """Columns to look at; all but the label (and the score) if not given."""
    exclude: list[str] = []
    """Columns that tell examples apart though they say nothing of the case: weights, identifiers,
    times. A second count leaves them out, since one such column hides copies."""
    weight: str | None = None
    """Feature that holds the example weight; it weighs the features' statistics and is excluded too."""
    groups: list[str] = []
    """Features that name an entity (patient, household, user) that must be on one side only."""
    time: str | None = None
    """Feature that holds the time of an example: a number, a date, or text."""
    time_format: str | None = None
    """How a time that is text is written, as of ``strptime``; ISO 8601 if not given."""
    keys: dict[str, list[str]] = {}
    """Further sets of columns to count overlap by, by name."""
    train_split: str = "train"
    """Split that the model learns from."""
    eval_split: str = "eval"
    """Split that the model is judged by."""
    analyzed_splits: list[str] | None = None
    """Splits that the analyzers of Transform saw. Not needed where ``transform_graph`` comes from a
    Transform of the same pipeline: it is read from there."""

    max_excess: Share = 0.01
    """Overlap in excess of what a random split gives, as a share of the eval split: above it, fail."""
    significance: float = pydantic.Field(default=0.001, gt=0, lt=0.5)
    """Probability that a random split is warned of by chance, over all keys together."""
    level: float = pydantic.Field(default=0.95, gt=0, lt=1)
    """Confidence level of the intervals."""
    surplus_warn: Share = 0.01
    """Repeated rows within a split, as a share of it: above it, warn."""
    surplus_fail: Share = 0.5
    """The same: above it, fail."""
    conflicts_warn: Share = 0.005
    """Rows to drop so that equal features have one label, as a share of all: above it, warn."""
    conflicts_fail: Share = 0.05
    """The same: above it, fail."""
    entities_fail: Share = 0
    """Eval examples whose entity is in train too, as a share: above it, fail."""
    late_fail: Share = 0
    """Train examples at or after the first eval example, as a share: above it, fail."""
    near: int = pydantic.Field(default=1, ge=0, le=4)
    """Rows that differ in at most this many features are near duplicates; 0 switches the check off."""
    near_bucket: int = pydantic.Field(default=256, ge=2)
    """Blocks of more candidates than this are searched in part, which the report tells."""
    auc_warn: float = pydantic.Field(default=0.95, ge=0.5, le=1)
    """Held-out AUC of a single feature: from here on, warn."""
    auc_fail: float = pydantic.Field(default=0.99, ge=0.5, le=1)
    """The same: from here on, fail."""
    nmi_warn: Share = 0.5
    """Held-out share of the label's entropy that a single feature explains: from here on, warn."""
    nmi_fail: Share = 0.9
    """The same: from here on, fail."""
    pair_lift: float = pydantic.Field(default=0.2, gt=0, le=0.5)
    """AUC of two features together above the better of the two: from here on, warn."""
    pairs: bool = True
    """Whether to look at pairs of features."""
    targets: bool = True
    """Whether to look for features that give the label away: single ones, pairs, identifiers."""
    identifier_share: Share = 0.95
    """Distinct values of a feature, as a share of the examples: above it, and without a gain on
    held-out examples, it looks like an identifier."""
    min_class: int = pydantic.Field(default=25, ge=1)
    """Fewest eval examples of a class for a statement about features."""

    sample: int = pydantic.Field(default=100_000, ge=1_000)
    """Distinct rows of a split that the statistics of features and near duplicates rest on. A split
    with fewer is looked at whole."""
    shown: int = pydantic.Field(default=3, ge=0, le=20)
    """Masked pairs of rows to show; 0 shows none."""
    driver: Driver = "auto"
    """``in_process`` reads the examples in this process, ``beam`` in a Beam pipeline; ``auto`` takes the
    first up to the memory limit."""
    memory_limit_mb: int = pydantic.Field(default=4096, ge=64)
    """Memory that the in-process driver may need by its own estimate."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> LeakageSettings:
        for low, high in (
            ("surplus_warn", "surplus_fail"),
            ("conflicts_warn", "conflicts_fail"),
            ("auc_warn", "auc_fail"),
            ("nmi_warn", "nmi_fail"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} = {getattr(self, low)} lies above {high} = {getattr(self, high)}")
        for name in self.keys:
            if name in BUILT_IN_KEYS:
                raise ValueError(f"keys: {name!r} is built in; choose another name")
        for name, columns in self.keys.items():
            if not columns:
                raise ValueError(f"keys: {name!r} has no columns")
        if self.train_split == self.eval_split:
            raise ValueError(f"train_split and eval_split are both {self.train_split!r}")
        for role in ("exclude", "groups"):
            if self.label in getattr(self, role):
                raise ValueError(f"{role} names the label {self.label!r}")
        for role in ("weight", "time"):
            if getattr(self, role) == self.label:
                raise ValueError(f"{role} is the label {self.label!r}")
        return self

    @property
    def set_aside(self) -> list[str]:
        """Columns that the key ``features-excluded`` leaves out."""
        named = [*self.exclude, *self.groups, *(name for name in (self.weight, self.time) if name)]
        return list(dict.fromkeys(named))

    @property
    def splits(self) -> tuple[str, str]:
        """The train and the eval split."""
        return self.train_split, self.eval_split


class FilterSettings(Settings):
    """What LeakageFilter takes out, and from where."""

    keys: list[str] | None = None
    """Overlap keys by which a row counts as leaked; ``features`` if not given (and no `groups`)."""
    groups: list[str] | None = None
    """Group features whose entities are kept on one side; those of the report if not given."""
    drop_from: Literal["train", "eval"] = "train"
    """Which split loses the rows that are on both sides. From train, eval stays comparable."""
    entities: Literal["drop", "move", "keep"] = "drop"
    """What is done with entities on both sides: their rows are dropped from `drop_from`, or moved to
    the side that a stable hash of the entity says, or kept."""
    eval_fraction: float = pydantic.Field(default=0.33, gt=0, lt=1)
    """With ``move``: the fraction of the entities on both sides that go to eval."""
