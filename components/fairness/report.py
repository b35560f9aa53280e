"""The report of FairnessEvaluator: metrics by slice with interval and count, and the gaps between."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

import pydantic

from tfx_trust.components.fairness.config import Compare
from tfx_trust.components.report import Model, Report

Slice = dict[str, str]
"""Value by feature; empty for all examples."""
MISSING = "(missing)"
"""The value of examples that do not have the feature."""
OTHER = "(other)"
"""The values that are too rare to be slices of their own, together."""
REST: Final = "rest"
"""The reference that is all examples outside the slice."""

GapVerdict = Literal["pass", "fail", "inconclusive", "insufficient", "not_judged"]


class Metric(Model):
    """A metric of a slice."""

    value: float | None
    """The estimate; none where it is undefined (its denominator is 0)."""
    low: float | None = None
    """Lower end of the interval at the settings' level; none where there is no estimate."""
    high: float | None = None
    """Upper end."""
    count: int
    """Examples in its denominator."""
    effective: float | None = None
    """Effective count (Kish 1965) where examples have weights: the interval rests on it."""
    bound: float | None = None
    """Greatest error by the binning of scores, where there is any."""


class AtThreshold(Model):
    """The decision metrics of a slice at one threshold."""

    threshold: float
    """Of the score."""
    metrics: dict[str, Metric]
    """By name."""


class Bin(Model):
    """One bin of a reliability curve."""

    low: float
    """Lower end of the bin."""
    high: float
    """Upper end."""
    count: int
    """Examples in it."""
    score: float
    """Their mean score."""
    rate: Metric
    """The share of them with a positive label."""


class SliceMetrics(Model):
    """A slice and its metrics."""

    slice: Slice
    """Value by feature; empty for all examples."""
    label_class: str | None = None
    """The class that is set against the rest, where the label has several."""
    examples: int
    """Examples of the slice."""
    positives: int
    """Those of them with a positive label."""
    metrics: dict[str, Metric]
    """By name; decisions at the first threshold, or the model's own."""
    thresholds: list[AtThreshold] = []
    """Decision metrics at every threshold, where there are several."""
    reliability: list[Bin] = []
    """Score against outcome, for slices of one feature and all examples; empty without scores."""


class Gap(Model):
    """How far a metric of a slice lies from that of its reference."""

    metric: str
    """Which metric."""
    slice: Slice
    """The slice."""
    reference: Slice | Literal["rest"]
    """What it is compared with: a slice, or ``rest``, all examples outside it."""
    label_class: str | None = None
    """The class that is set against the rest, where the label has several."""
    kind: Literal["difference", "ratio"]
    """The slice's less the reference's, or the slice's divided by the reference's."""
    value: float | None
    """The estimate; none where it is undefined."""
    low: float | None = None
    """Lower end of its interval."""
    high: float | None = None
    """Upper end of its interval."""
    p: float | None = None
    """Of the test whether it lies beyond the tolerance (beyond none if it is not judged)."""
    p_adjusted: float | None = None
    """`p` corrected for all judged comparisons; none where it is not judged."""
    verdict: GapVerdict
    """Whether the interval lies within the tolerance, the gap beyond it, or neither."""
    tolerance: float | None = None
    """The bound that it was judged by; none where it is not judged."""
    slice_value: float | None = None
    """The metric of the slice."""
    reference_value: float | None = None
    """The metric of the reference."""
    slice_count: int
    """Examples in the slice's denominator."""
    reference_count: int
    """Examples in the reference's denominator."""


class Disparity(Model):
    """One number over all slices of some features, as the literature names it."""

    name: str
    """``demographic_parity_difference``, ``demographic_parity_ratio``, ``equalized_odds_difference``,
    ``equal_opportunity_difference``, ``predictive_parity_difference``, ``calibration_gap``, or
    ``worst_gap_<metric>``."""
    by: list[str]
    """Features whose slices are compared."""
    label_class: str | None = None
    """The class that is set against the rest, where the label has several."""
    value: float | None
    """Over the slices with enough examples; none where fewer than two have."""
    low: float | None = None
    """Lower end of its interval, which holds for all pairs of slices together."""
    high: float | None = None
    """Upper end."""
    highest: Slice | None = None
    """The slice with the highest metric."""
    lowest: Slice | None = None
    """The slice with the lowest metric."""
    slices: int
    """Slices with enough examples."""
    left_out: int
    """Slices with too few."""
    over_all: float | None = None
    """The same over all slices in which it is defined, however small, as Fairlearn computes it."""


class BaselineChange(Model):
    """How a slice fares with the model beside the baseline: on the same examples."""

    metric: Literal["false_positive_rate", "false_negative_rate", "error_rate"]
    """Which errors are counted."""
    slice: Slice
    """The slice."""
    label_class: str | None = None
    """The class that is set against the rest, where the label has several."""
    count: int
    """Examples that could have had the error."""
    worse: int
    """Decided rightly by the baseline and wrongly by the model."""
    better: int
    """Decided wrongly by the baseline and rightly by the model."""
    value: float | None
    """Change of the rate: (worse - better) / count."""
    low: float | None = None
    """Lower end of its interval (Bonett & Price 2012)."""
    high: float | None = None
    """Upper end."""
    p: float | None = None
    """Exact two-sided McNemar test."""
    p_adjusted: float | None = None
    """`p` corrected for all slices and metrics."""
    verdict: Literal["pass", "worse", "better", "inconclusive", "insufficient"]
    """``worse`` or ``better`` where the change is more than chance; ``pass`` where the whole interval is
    no worse than allowed."""


class Baseline(Model):
    """The model beside the baseline."""

    examples: int
    """Examples that both models decided."""
    changed: int
    """Examples that they decided differently."""
    changes: list[BaselineChange]
    """By slice and metric."""


class Discovered(Model):
    """A slice that nobody named: found on one half of the examples, measured on the other."""

    slice: Slice
    """Value by feature."""
    metric: str
    """In which it is bad."""
    found: float
    """The gap to all other examples in the half in which it was found."""
    value: float | None
    """The gap in the other half."""
    low: float | None = None
    """Lower end of its interval."""
    high: float | None = None
    """Upper end."""
    count: int
    """Examples in the metric's denominator, in the other half."""
    slice_value: float | None = None
    """The metric of the slice in the other half."""
    rest_value: float | None = None
    """The metric of all other examples in the other half."""
    tolerance: float | None = None
    """By how much it may be worse: the bound of all slices, or the widest of any."""
    p: float | None = None
    """Of the test in the other half whether it is worse than its tolerance allows."""
    p_adjusted: float | None = None
    """`p` corrected (Holm) for all slices that were taken there."""
    confirmed: bool
    """Whether it holds there, after correction."""


class Discovery(Model):
    """What was searched."""

    features: list[str]
    """Features that were searched."""
    skipped: dict[str, str]
    """Features that were not, and why."""
    candidates: int
    """Slices that were looked at in the first half."""
    found: int
    """Examples of the half in which slices were found."""
    confirmed_on: int
    """Examples of the half in which they were measured."""


class Pooled(Model):
    """Values of a feature that are too rare to be slices of their own."""

    feature: str
    """The feature."""
    values: int
    """How many values."""
    examples: int
    """Examples that have one."""


class FairnessSection(Model):
    """What was measured."""

    examples: int
    """Examples that were looked at."""
    threshold: float | None
    """Of the score, where decisions are made by one; none where decisions were given."""
    compare: Compare | None
    """How scores were compared with the threshold; none where decisions were given."""
    driver: Literal["in_process", "beam"] | None = None
    """How the examples were read; none where nothing could be measured."""
    classes: list[str] = []
    """Classes that are set against the rest; empty for a label of two values."""
    weighted: bool = False
    """Whether examples have weights."""
    level: float = 0.95
    """Confidence level of all intervals."""
    slices: list[SliceMetrics] = []
    """All examples first, then by features."""
    gaps: list[Gap] = []
    """The judged ones first, and of these the ones with the strongest evidence against them."""
    disparities: list[Disparity] = []
    """By set of features."""
    baseline: Baseline | None = None
    """None without a baseline model."""
    discovered: list[Discovered] = []
    """The worst slices that were found, confirmed or not."""
    discovery: Discovery | None = None
    """None where it is switched off."""
    pooled: list[Pooled] = []
    """Features with values that are too rare to be slices of their own."""
    buckets: dict[str, list[float]] = pydantic.Field(default_factory=dict)
    """Edges of the buckets of numeric features."""


class FairnessReport(Report):
    """Report of FairnessEvaluator."""

    CONCERN: ClassVar[str] = "fairness"

    fairness: FairnessSection
    """The fairness section."""
