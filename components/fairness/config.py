"""Settings of the fairness gate."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Annotated, Literal, get_args

import pydantic

from tfx_trust.components.settings import Settings

Share = Annotated[float, pydantic.Field(ge=0, le=1)]
Driver = Literal["auto", "in_process", "beam"]
Compare = Literal[">=", ">"]
Effect = Literal["note", "warn", "block"]
Correction = Literal["holm", "bh", "none"]

DECISION_METRICS = (
    "selection_rate",
    "false_positive_rate",
    "false_negative_rate",
    "true_positive_rate",
    "true_negative_rate",
    "precision",
    "accuracy",
)
"""Metrics of decisions: shares of examples."""
SCORE_METRICS = ("auc", "brier", "calibration_error", "calibration_in_the_large")
"""Metrics of scores; there are none where only decisions are given."""
METRICS = DECISION_METRICS + SCORE_METRICS
Metric = Literal[
    "selection_rate",
    "false_positive_rate",
    "false_negative_rate",
    "true_positive_rate",
    "true_negative_rate",
    "precision",
    "accuracy",
    "auc",
    "brier",
    "calibration_error",
    "calibration_in_the_large",
]
Kind = Literal["difference", "ratio"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MOST_CROSSED = 3


class Tolerance(Settings):
    """How far a metric of a slice may lie from that of its reference.

    Examples
    --------
    >>> Tolerance(metric="selection_rate", kind="ratio", bound=0.8).bound
    0.8
    """

    metric: Metric
    """Which metric."""
    kind: Kind = "difference"
    """``difference``: the metric of the slice less that of the reference; ``ratio``: of the smaller of the
    two to the larger, as in the four-fifths rule."""
    bound: Share
    """Greatest absolute difference allowed, or smallest ratio allowed."""
    slices: list[list[str]] | None = None
    """Sets of features whose slices it binds, e.g. ``[["sex"]]``; all but those that another tolerance of the
    same metric and kind names if not given."""

    @property
    def families(self) -> list[tuple[str, ...]]:
        """Sets of features that it names, each sorted; none where it binds all others."""
        return [tuple(sorted(names)) for names in self.slices or ()]

    @pydantic.model_validator(mode="after")
    def _of_rates(self) -> Tolerance:
        if self.kind == "ratio" and self.metric not in DECISION_METRICS:
            raise ValueError(f"a ratio of {self.metric} is not judged; bound its difference")
        if self.kind == "ratio" and self.bound == 0:
            raise ValueError("a ratio is never below 0: a bound of 0 allows everything")
        if self.slices is not None and not self.slices:
            raise ValueError("slices: an empty list binds nothing; leave it out to bind all")
        return self


class FairnessSettings(Settings):
    """What FairnessEvaluator compares, and the tolerances it judges by.

    Examples
    --------
    >>> settings = FairnessSettings(label="over_50k", slices=[["sex"], ["race"]], cross=2)
    >>> settings.families
    [('sex',), ('race',), ('race', 'sex')]
    """

    label: str = pydantic.Field(min_length=1)
    """Feature that holds the label."""
    positive: str | None = None
    """Value of a two-valued label that counts as positive; needed where they are not 0 and 1."""
    classes: list[str] | None = None
    """Values of a label of several classes, in the order of the model's outputs. Each is then judged against
    the rest, and the decision is the class with the highest score."""
    weight: str | None = None
    """Feature that holds the example weight; intervals then rest on the effective count. The comparison with
    the baseline and the slice discovery count examples without it."""

    slices: list[list[str]] = pydantic.Field(min_length=1)
    """Features by which to slice, as the raw examples have them: ``[["sex"], ["race"], ["sex", "race"]]``."""
    cross: int = pydantic.Field(default=1, ge=1, le=MOST_CROSSED)
    """Cross all features that are sliced by, up to so many at once."""
    buckets: dict[str, int | list[float]] = {}
    """Of a numeric feature, edges (a value equal to an edge belongs to the bucket above it), or in how many
    buckets of equal size in the training statistics to divide it (4 if not given)."""
    max_values: int = pydantic.Field(default=20, ge=2)
    """Values of a feature that are slices of their own; the rarer ones are pooled, which is told."""
    max_distinct: int = pydantic.Field(default=1000, ge=2, le=4000)
    """A feature with more distinct values is refused: it is an identifier, or has to be grouped."""
    reference: dict[str, str] = {}
    """By feature, the value that its slices are compared with, e.g. ``{"sex": "Male"}``. Slices of other
    features are compared with all examples outside them."""

    thresholds: list[Share] = pydantic.Field(default=[0.5], min_length=1, max_length=15)
    """Scores are decided at these; judged is the decision at the first, told are all."""
    compare: Compare = ">="
    """Whether a score equal to the threshold is decided positive (``>=``) or not (``>``, as in TFMA)."""
    tolerances: list[Tolerance] = [
        Tolerance(metric="false_positive_rate", bound=0.1),
        Tolerance(metric="true_positive_rate", bound=0.1),
    ]
    """What is judged. The default is equalized odds to within 0.1; all other metrics are told, not judged."""
    min_count: int = pydantic.Field(default=30, ge=1)
    """Fewest (effective) examples in a metric's denominator, in the slice and in its reference, for a
    judgement."""
    level: float = pydantic.Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of the intervals; 1 less it is the probability of a false alarm, over all judged
    comparisons together."""
    correction: Correction = "holm"
    """For many comparisons: ``holm`` (Holm 1979), ``bh`` (Benjamini & Hochberg 1995), or ``none``."""
    on_inconclusive: Effect = "warn"
    """What a gap does whose interval lies neither within the tolerance nor beyond it."""
    on_insufficient: Effect = "note"
    """What a slice with too few examples to judge does."""
    max_regression: Share = 0.0
    """By how much more often than the baseline a slice may be decided wrongly: above it, beyond chance, it is
    worse."""
    on_regression: Literal["note", "warn", "fail"] = "warn"
    """What a slice does that the model treats worse than the baseline did."""

    discover: list[str] | None = None
    """Features to search for the worst slices; all that can be sliced by if not given, none if empty."""
    discover_order: int = pydantic.Field(default=3, ge=1, le=MOST_CROSSED)
    """A discovered slice has at most so many features."""
    discover_most: int = pydantic.Field(default=10, ge=1, le=100)
    """So many of the worst slices are taken to the other half of the examples for confirmation."""
    on_discovered: Effect = "note"
    """What a confirmed slice beyond a tolerance does."""

    calibration_bins: int = pydantic.Field(default=15, ge=2, le=100)
    """Equal-width bins of the score for the calibration error."""
    replicates: int = pydantic.Field(default=200, ge=100)
    """Bootstrap replicates for the intervals of AUC and calibration error."""
    seed: int = pydantic.Field(default=1, ge=0)
    """Of the bootstrap, and of the halves of the slice discovery."""

    signature: str | None = None
    """Signature of the model that takes serialized tf.Examples; ``serving_default`` or the only one that
    does if not given."""
    score_output: str | None = None
    """Output of it that is the score: a probability, or one a class."""
    decision_output: str | None = None
    """Output of it that is the decision, 0 or 1, where the model decides itself; `thresholds` are then not
    used."""
    eval_split: str = "eval"
    """Split that is judged."""
    train_split: str = "train"
    """Split whose statistics fix the buckets of numeric features."""
    driver: Driver = "auto"
    """``in_process`` predicts in this process, ``beam`` in a Beam pipeline; ``auto`` takes the first up to
    ``in_process_examples``."""
    in_process_examples: int = pydantic.Field(default=5_000_000, ge=1)
    """Most examples that ``auto`` reads in this process."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> FairnessSettings:
        for names in self.slices:
            if not names:
                raise ValueError("slices: an empty list of features; all examples are always looked at")
            if len(set(names)) < len(names):
                raise ValueError(f"slices: {names} names a feature twice")
            if len(names) > MOST_CROSSED:
                raise ValueError(f"slices: {names} crosses {len(names)} features; at most {MOST_CROSSED}")
        if self.weight == self.label:
            raise ValueError(f"weight is the label {self.label!r}")
        for name in (*self.features, *(self.discover or ())):
            if name == self.label:
                raise ValueError(f"slices by the label {self.label!r}; its rates are what is compared")
            if name == self.weight:
                raise ValueError(f"slices by the weight {self.weight!r}")
        for name, edges in self.buckets.items():
            if isinstance(edges, list):
                if not edges or any(a >= b for a, b in pairwise(edges)):
                    raise ValueError(f"buckets of {name!r}: edges must ascend, found {edges}")
            elif edges < 2:
                raise ValueError(f"buckets of {name!r}: at least 2, found {edges}")
        for name in self.reference:
            if name not in self.features:
                raise ValueError(f"reference names {name!r}, which no slice does")
        if len(set(self.thresholds)) < len(self.thresholds):
            raise ValueError(f"thresholds: {self.thresholds} has one twice")
        bound: set[tuple[str, str, tuple[str, ...] | None]] = set()
        for item in self.tolerances:
            named: list[tuple[str, ...] | None] = [*item.families] or [None]
            for family in named:
                if (item.metric, item.kind, family) in bound:
                    raise ValueError(f"tolerances: the {item.kind} of {item.metric} is bounded twice")
                if family is not None and family not in self.families:
                    raise ValueError(f"tolerances: no slices by {', '.join(family)}")
                bound.add((item.metric, item.kind, family))
        if self.classes is not None:
            if len(self.classes) < 3 or len(set(self.classes)) < len(self.classes):
                raise ValueError(f"classes: at least 3 different ones, found {self.classes}")
            if self.positive is not None:
                raise ValueError("positive is for a label of two values, classes for more: give one")
            if self.decision_output is not None:
                raise ValueError("decision_output is for a label of two values")
        return self

    @property
    def features(self) -> list[str]:
        """Features that are sliced by, in the order in which they are named."""
        return list(dict.fromkeys(name for names in self.slices for name in names))

    def tolerance(self, metric: str, kind: str, family: tuple[str, ...]) -> Tolerance | None:
        """What binds a metric of the slices of some features; none where it is only told."""
        fitting = [item for item in self.tolerances if (item.metric, item.kind) == (metric, kind)]
        named = [item for item in fitting if family in item.families]
        return next(iter([*named, *(item for item in fitting if item.slices is None)]), None)

    @property
    def families(self) -> list[tuple[str, ...]]:
        """Sets of features that are sliced by together, the single ones first; each sorted by name."""
        named = [tuple(sorted(names)) for names in self.slices]
        crossed = [
            tuple(sorted(names))
            for size in range(1, self.cross + 1)
            for names in combinations(self.features, size)
        ]
        found = dict.fromkeys([*named, *(crossed if self.cross > 1 else ())])
        return sorted(found, key=len)
