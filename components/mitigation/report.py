"""The report of the mitigations: what they changed, what it cost, and what was left as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pydantic

from tfx_trust.components.fairness.report import Slice
from tfx_trust.components.mitigation.config import Compare, Constraint
from tfx_trust.components.report import Estimate, Model, Report

if TYPE_CHECKING:
    import numpy as np


def named(group: Slice) -> str:
    """A group as people write it.

    Examples
    --------
    >>> named({"race": "White", "sex": "Female"})
    'race=White, sex=Female'
    """
    return ", ".join(f"{name}={value}" for name, value in group.items())


class GroupThreshold(Model):
    """The threshold of a group, and its rates with it and without."""

    group: Slice
    """Value by feature."""
    threshold: float
    """What its scores are compared with."""
    adjusted: bool
    """Whether it was chosen for this group; else it is the common one."""
    reason: str = ""
    """Why the group has the common threshold, where it has."""
    examples: int
    """Examples of the group."""
    positives: int
    """Those of them with a positive label."""
    before: dict[str, Estimate]
    """Rates and accuracy by the common threshold; undefined ones are left out."""
    after: dict[str, Estimate]
    """The same by its own."""


class Outcome(Model):
    """How decisions fare as a whole."""

    accuracy: Estimate
    """Share of right decisions of all examples, whatever their group."""
    gap: Estimate
    """The widest gap between two groups that have enough examples, in the rates that are to be alike; its
    interval holds for all pairs of groups together."""


class CurvePoint(Model):
    """The most accurate thresholds for one allowed gap."""

    allowed_gap: float
    """The gap that was allowed."""
    gap: float
    """The gap that was reached."""
    accuracy: float
    """Accuracy with these thresholds."""
    paid: float
    """Accuracy by the common threshold less this one; below 0 where nothing was paid but won."""
    thresholds: list[float]
    """Of the adjusted groups, in their order."""
    held_out_gap: float | None = None
    """The gap on the other split."""
    held_out_accuracy: float | None = None
    """The accuracy there."""
    held_out_paid: float | None = None
    """What was paid there."""
    chosen: bool = False
    """Whether these are the thresholds that were taken."""


class GroupThresholds(Model):
    """Thresholds by group, what they cost and what they close."""

    constraint: Constraint
    """What is to be alike."""
    max_gap: float
    """The gap that was allowed."""
    compare: Compare
    """How scores are compared with the thresholds."""
    common_threshold: float
    """What decides where a value is missing, was not seen, or its group is too small."""
    features: list[str]
    """Features whose values, crossed, are the groups."""
    groups: list[GroupThreshold]
    """By the values of the features."""
    examples: int
    """Examples that the thresholds were chosen on."""
    ungrouped: int
    """Those of them that lack a feature of the groups: the common threshold decides."""
    resolution: float
    """The largest step of a rate between two thresholds that were tried next to each other."""
    before: Outcome
    """By the common threshold, on the examples that the others were chosen on."""
    after: Outcome
    """By the thresholds chosen, on the same: they fit these examples better than new ones."""
    paid: Estimate
    """Accuracy before less accuracy after, on the same examples."""
    held_out_before: Outcome | None = None
    """By the common threshold, on examples that nothing was chosen by; none without such."""
    held_out_after: Outcome | None = None
    """By the thresholds chosen, there."""
    held_out_paid: Estimate | None = None
    """What was paid there."""
    curve: list[CurvePoint]
    """Accuracy against gap, from no gap to the one that there was."""

    def thresholds_for(self, groups: Any) -> np.ndarray:
        """The threshold of each example.

        Parameters
        ----------
        groups
            Values of the group features, each of shape ``(rows,)``: a mapping by name, or an array of one.

        Returns
        -------
        ndarray
            float32 of shape ``(rows,)``.
        """
        # Not for those who only read a report, such as its page.
        import numpy as np

        from tfx_trust.components.mitigation.groups import columns_of, numbers_among

        columns = columns_of(groups)
        if not isinstance(groups, Mapping):
            columns = {self.features[0]: next(iter(columns.values()))}
        adjusted = [item for item in self.groups if item.adjusted]
        # The last one is for all others.
        table = np.array([*(item.threshold for item in adjusted), self.common_threshold], np.float32)
        return table[numbers_among([item.group for item in adjusted], columns)]

    def decide(self, scores: np.ndarray, groups: Any) -> np.ndarray:
        """Decisions, int64 of shape ``(rows,)``.

        Parameters
        ----------
        scores
            Of shape ``(rows,)``.
        groups
            As :meth:`thresholds_for` takes them.
        """
        import numpy as np

        bounds = self.thresholds_for(groups).astype(float)
        scores = np.asarray(scores, float)
        return (scores >= bounds if self.compare == ">=" else scores > bounds).astype(np.int64)


class WeightedCell(Model):
    """The examples of a group that have a label, and their weight."""

    group: Slice
    """Value by feature."""
    label: str
    """The label."""
    examples: int
    """How many there are."""
    total: float
    """The sum of the weights that they had; their number where they had none."""
    expected: float
    """What it would be if group and label were independent."""
    factor: float
    """What their weights are multiplied by."""


class GroupShare(Model):
    """How often a group has each label."""

    group: Slice
    """Value by feature."""
    examples: int
    """Examples of the group."""
    before: dict[str, float]
    """Share of each label, by the weights that there were."""
    after: dict[str, float]
    """The same by the new ones."""


class Reweighing(Model):
    """Weights that make group and label independent."""

    feature: str
    """Feature that the weights were written to."""
    features: list[str]
    """Features whose values, crossed, are the groups."""
    strength: float
    """Exponent of the weights."""
    examples: int
    """Examples of the split."""
    untouched: int
    """Those of them that keep their weight: a feature is missing, or the group is too small."""
    cells: list[WeightedCell]
    """By group and label."""
    groups: list[GroupShare]
    """By group."""
    small: list[Slice]
    """Groups that are too small to be reweighed."""
    gap_before: float
    """The widest gap between two groups in the share of a label, by the weights that there were."""
    gap_after: float
    """The same by the new ones."""
    effective_before: float
    """Effective count of examples (Kish 1965) by the weights that there were."""
    effective_after: float
    """The same by the new ones: fewer, since some weigh more than others."""


class MitigationSection(Model):
    """What was changed."""

    thresholds: GroupThresholds | None = None
    """By ThresholdTuner."""
    reweighing: Reweighing | None = None
    """By Reweigher."""


class MitigationReport(Report):
    """Report of ThresholdTuner and Reweigher."""

    CONCERN: ClassVar[str] = "mitigation"

    mitigation: MitigationSection = pydantic.Field(default_factory=MitigationSection)
    """The mitigation section."""
