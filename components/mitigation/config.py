"""Settings of the mitigations: thresholds by group, and weights of training examples."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from tfx_trust.components.settings import Settings

Share = Annotated[float, pydantic.Field(ge=0, le=1)]
Compare = Literal[">=", ">"]
Constraint = Literal["demographic_parity", "equal_opportunity", "false_positive_parity", "equalized_odds"]

RATES: dict[Constraint, tuple[str, ...]] = {
    "demographic_parity": ("selection_rate",),
    "equal_opportunity": ("true_positive_rate",),
    "false_positive_parity": ("false_positive_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
}
"""The rates that a constraint wants to be alike in all groups."""
MOST_FEATURES = 4
"""Features that groups can be crossed of."""


class ThresholdSettings(Settings):
    """How thresholds by group are chosen.

    Examples
    --------
    >>> ThresholdSettings(constraint="demographic_parity", max_gap=0.02).rates
    ('selection_rate',)
    """

    constraint: Constraint = "equalized_odds"
    """What is to be alike: ``demographic_parity`` the selection rates, ``equal_opportunity`` the true
    positive rates, ``false_positive_parity`` the false positive rates, ``equalized_odds`` the latter two."""
    max_gap: Share = 0.05
    """By how much the rates of any two groups may differ."""
    threshold: Share = 0.5
    """The common threshold: it decides without the mitigation, and where a group has none of its own."""
    compare: Compare = ">="
    """Whether a score equal to the threshold is decided positive (``>=``) or not (``>``, as in TFMA)."""
    max_values: int = pydantic.Field(default=20, ge=2, le=1000)
    """Most values of a feature that makes groups; one with more does not name any."""
    min_count: int = pydantic.Field(default=30, ge=1)
    """Fewest (effective) examples of a group in the denominator of each rate; smaller groups keep the common
    threshold."""
    level: float = pydantic.Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of the intervals."""
    points: int = pydantic.Field(default=21, ge=2, le=200)
    """Allowed gaps, from 0 to the one found, at which the curve is drawn."""

    @property
    def rates(self) -> tuple[str, ...]:
        """The rates that are to be alike."""
        return RATES[self.constraint]


class TunerSettings(ThresholdSettings):
    """What ThresholdTuner reads, chooses and exports.

    Examples
    --------
    >>> TunerSettings(label="over_50k", groups=["sex"]).decision_signature
    'decisions'
    """

    label: str = pydantic.Field(min_length=1)
    """Feature that holds the label, of two values."""
    positive: str | None = None
    """Value of the label that counts as positive; needed where they are not 0 and 1."""
    weight: str | None = None
    """Feature that holds the example weight; accuracy and rates are then weighted, and intervals rest on the
    effective count."""
    groups: list[str] = pydantic.Field(min_length=1, max_length=MOST_FEATURES)
    """Features whose values, crossed, are the groups. They must be in the examples at serving, too: texts or
    whole numbers."""
    split: str = "train"
    """Split on which the thresholds are chosen."""
    eval_split: str | None = "eval"
    """Split on which each point of the curve is measured besides; nothing is chosen by it. None where there
    is none."""
    signature: str | None = None
    """Signature of the model that takes serialized examples; found by itself if not given."""
    score_output: str | None = None
    """Output of it that is the score, a probability; found by itself if not given."""
    decision_signature: str = pydantic.Field(default="decisions", min_length=1)
    """Signature of the new model that has the outputs ``decision`` and ``threshold`` besides those of
    `signature`. All other signatures stay as they are; named like `signature`, it takes its place."""

    @property
    def choice(self) -> ThresholdSettings:
        """What concerns the choice alone."""
        return ThresholdSettings(**{name: getattr(self, name) for name in ThresholdSettings.model_fields})

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> TunerSettings:
        _check_roles(self.groups, self.label, self.weight)
        if self.split == self.eval_split:
            raise ValueError(f"split and eval_split are both {self.split!r}")
        return self


class ReweighSettings(Settings):
    """How training examples are weighed.

    Examples
    --------
    >>> ReweighSettings(label="over_50k", groups=["sex"]).feature
    'fairness_weight'
    """

    label: str = pydantic.Field(min_length=1)
    """Feature that holds the label: two values or several, not a measured number."""
    groups: list[str] = pydantic.Field(min_length=1, max_length=MOST_FEATURES)
    """Features whose values, crossed, are the groups."""
    feature: str = pydantic.Field(default="fairness_weight", min_length=1)
    """Feature that the weight is written to; the examples must not have it yet."""
    weight: str | None = None
    """Feature with weights that the examples have already: the new ones are these, multiplied."""
    strength: Share = 1.0
    """Exponent of the weights: 1 makes group and label independent, 0 changes nothing."""
    min_count: int = pydantic.Field(default=30, ge=1)
    """Groups with fewer examples are not reweighed; a label of a group with fewer is warned of."""
    max_values: int = pydantic.Field(default=20, ge=2, le=1000)
    """Most values of the label and of each feature of `groups`."""
    split: str = "train"
    """Split that is reweighed; examples of all others get the weight that they have, or 1."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> ReweighSettings:
        _check_roles(self.groups, self.label, self.weight)
        if self.feature in (self.label, self.weight, *self.groups):
            raise ValueError(f"feature is {self.feature!r}, which has another role; choose a new name")
        return self


def _check_roles(groups: list[str], label: str, weight: str | None) -> None:
    if len(set(groups)) < len(groups):
        raise ValueError(f"groups: {groups} names a feature twice")
    if label in groups:
        raise ValueError(f"groups names the label {label!r}")
    if weight is not None and weight in (label, *groups):
        raise ValueError(f"weight is {weight!r}, which has another role")
