"""A decision threshold for each group, so that their error rates are alike: deterministic, one a group.

Hardt, Price & Srebro (2016, "Equality of opportunity in supervised learning", section 3.2) equalize rates by
thresholds that are drawn at random for each decision, which reaches any rate but decides equal people
unequally. Here every group has one threshold. Rates can then be equal only as far as scores tell people
apart; what gap remains is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tfx_trust.components.errors import InputError, unknown
from tfx_trust.components.fairness.labels import MOST_WEIGHT
from tfx_trust.components.fairness.report import Slice
from tfx_trust.components.mitigation.config import ThresholdSettings, TunerSettings
from tfx_trust.components.mitigation.frontier import Frontier
from tfx_trust.components.mitigation.groups import Crossing, columns_of, legible, numbers_among
from tfx_trust.components.mitigation.labels import binary_labels, weights_of
from tfx_trust.components.mitigation.measure import Decided, Sample, paid
from tfx_trust.components.mitigation.report import CurvePoint, GroupThreshold, GroupThresholds
from tfx_trust.components.mitigation.search import Choice, Search

# Candidates of all groups together: pairs of bands are many more than bands.
_CANDIDATES = {1: 100_000, 2: 2_000}
_SAME = 1e-9


@dataclass(frozen=True)
class Scored:
    """Examples with what a model said of them.

    Attributes
    ----------
    scores
        Probabilities of the positive label, float64 of shape ``(rows,)``.
    labels
        0 or 1, of shape ``(rows,)``.
    groups
        Features that make the groups, each of shape ``(rows,)``: a mapping by name, or an array of one; none
        where missing.
    weights
        Example weights, of shape ``(rows,)``, if they have any.
    """

    scores: Any
    labels: Any
    groups: Any
    weights: Any = None


def choose_thresholds(
    scores: Any,
    labels: Any,
    groups: Any,
    settings: ThresholdSettings | Mapping[str, Any] | None = None,
    weights: Any = None,
    *,
    held_out: Scored | None = None,
) -> GroupThresholds:
    """The most accurate thresholds by group whose rates differ by no more than is allowed.

    Where the common threshold keeps within the allowed gap, all groups keep it.

    Parameters
    ----------
    scores, labels, groups, weights
        As :class:`Scored` has them. Missing values of a group feature are no group.
    settings
        What is to be alike and how much; the defaults if not given.
    held_out
        Further examples to measure every point of the curve on; nothing is chosen by them.

    Returns
    -------
    GroupThresholds
        The thresholds, what they cost and close, and the curve between.

    Raises
    ------
    InputError
        If there are no examples, they do not go together, a label is not 0 or 1 or the same everywhere, a
        score is no probability, or a weight cannot be one.

    Examples
    --------
    >>> chosen = choose_thresholds(
    ...     scores=[0.2, 0.4, 0.6, 0.8, 0.1, 0.2, 0.3, 0.4],
    ...     labels=[0, 0, 1, 1, 0, 0, 1, 1],
    ...     groups=["a"] * 4 + ["b"] * 4,
    ...     settings={"constraint": "equal_opportunity", "max_gap": 0.0, "min_count": 1},
    ... )
    >>> [(item.group, item.threshold) for item in chosen.groups]
    [({'group': 'a'}, 0.5), ({'group': 'b'}, 0.25)]
    >>> chosen.before.gap.value, chosen.after.gap.value, chosen.after.accuracy.value
    (1.0, 0.0, 1.0)
    """
    chosen = ThresholdSettings.of(settings)
    given = _checked(Scored(scores, labels, groups, weights), "examples")
    other = None if held_out is None else _checked(held_out, "held-out examples")
    return _Chooser(given, chosen, other).result()


def thresholds_of_table(
    table: pa.Table,
    settings: TunerSettings | Mapping[str, Any],
    *,
    score: str = "score",
    held_out: pa.Table | None = None,
) -> GroupThresholds:
    """The same of tables with columns for the label, the groups, the score and the weight.

    Parameters
    ----------
    table
        The examples.
    settings
        Names the columns besides what :func:`choose_thresholds` needs.
    score
        Column with the score.
    held_out
        Further examples, as there.

    Raises
    ------
    UsageError
        If a column is not there.
    InputError
        As :func:`choose_thresholds`.
    """
    chosen = TunerSettings.of(settings)
    parts = [_of_table(item, chosen, score) for item in (table, held_out) if item is not None]
    first = parts[0]
    return choose_thresholds(
        first.scores,
        first.labels,
        first.groups,
        chosen.choice,
        first.weights,
        held_out=parts[1] if len(parts) > 1 else None,
    )


def _of_table(table: pa.Table, settings: TunerSettings, score: str) -> Scored:
    for name in (settings.label, score, *settings.groups, *([settings.weight] if settings.weight else [])):
        if name not in table.column_names:
            raise unknown("column", name, table.column_names)
    columns = columns_of({name: table[name] for name in table.column_names})
    weights = None if settings.weight is None else weights_of(columns[settings.weight], settings.weight)
    return Scored(
        columns[score].to_numpy(zero_copy_only=False),
        binary_labels(columns[settings.label], settings.label, settings.positive),
        {name: columns[name] for name in settings.groups},
        weights,
    )


@dataclass(frozen=True)
class _Given:
    scores: np.ndarray
    labels: np.ndarray
    columns: dict[str, pa.Array]
    weights: np.ndarray | None


def _checked(given: Scored, what: str) -> _Given:
    scores, labels = np.asarray(given.scores, float), np.asarray(given.labels)
    columns = columns_of(given.groups)
    weights = None if given.weights is None else np.asarray(given.weights, float)
    sizes = {
        "scores": scores.shape,
        "labels": labels.shape,
        **{f"groups {name!r}": (len(column),) for name, column in columns.items()},
        **({} if weights is None else {"weights": weights.shape}),
    }
    if len(set(sizes.values())) > 1 or scores.ndim != 1:
        shapes = ", ".join(f"{name} {shape}" for name, shape in sizes.items())
        raise InputError(f"{what} of different shapes: {shapes}; give one of each, of shape (rows,)")
    if not len(scores):
        raise InputError(f"no {what}; thresholds are chosen on some")
    outside = ~((scores >= 0) & (scores <= 1))
    if outside.any():
        raise InputError(
            f"{int(outside.sum()):,} of {len(scores):,} scores are NaN or no probability (the first is "
            f"{scores[int(np.argmax(outside))]:.6g}); give probabilities, e.g. the sigmoid of a logit"
        )
    if not np.isin(labels, (0, 1)).all():
        raise InputError(f"labels of the {what} must be 0 or 1, and none may be missing")
    if weights is not None and not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise InputError(f"weights of the {what} must be finite, none negative, and not all 0")
    if weights is not None and weights.max() >= MOST_WEIGHT:
        raise InputError(f"weights of the {what} are above {MOST_WEIGHT:,.0f}; divide all of them")
    return _Given(scores, labels.astype(np.int64), columns, weights)


class _Chooser:
    """One run of the choice."""

    def __init__(self, given: _Given, settings: ThresholdSettings, held_out: _Given | None) -> None:
        if len(np.unique(given.labels)) < 2:
            raise InputError(
                f"the label is {given.labels[0]} in all {len(given.labels):,} examples: there is no error "
                "rate to make alike; check that it is the label"
            )
        self.settings = settings
        # As the served model has it: compared is a float32.
        self.common = float(np.float32(settings.threshold))
        crossing = Crossing(list(given.columns), settings.max_values)
        keys = crossing.keys(given.columns)
        groups = crossing.groups(keys)
        self.slices: list[Slice] = groups.slices
        self.ungrouped = int((keys < 0).sum())
        size = len(self.slices)
        self.sample = Sample.of(groups.of(keys), size, given.scores, given.labels, given.weights)
        self.held_out = None
        if held_out is not None:
            columns = {name: held_out.columns[name] for name in given.columns}
            numbers = numbers_among(self.slices, columns)
            self.held_out = Sample.of(numbers, size, held_out.scores, held_out.labels, held_out.weights)
        self.commons = [self.common] * size
        self.before = self._decided(self.sample, self.commons)
        readable = np.array([legible(group) for group in self.slices], bool)
        self.adjusted = np.flatnonzero(self.before.enough(settings) & readable)
        self.search: Search | None = None
        self.step = 0.0
        if len(self.adjusted) > 1:
            most = _CANDIDATES[len(settings.rates)] // len(self.adjusted)
            frontiers = [
                Frontier.of(self.sample.groups[place], settings.rates, self.common, settings.compare, most)
                for place in self.adjusted
            ]
            self.search = Search(frontiers)
            self.step = max(item.step for item in frontiers)

    def result(self) -> GroupThresholds:
        chosen, curve = self._curve()
        thresholds = self._thresholds(chosen)
        after = self._decided(self.sample, thresholds)
        settings, sample = self.settings, self.sample
        enough = self._mask(self.before)
        found: dict[str, Any] = {}
        if self.held_out is not None:
            held_before = self._decided(self.held_out, self.commons)
            held_after = self._decided(self.held_out, thresholds)
            held_enough = self._mask(held_before)
            found = {
                "held_out_before": held_before.outcome(settings, held_enough),
                "held_out_after": held_after.outcome(settings, held_enough),
                "held_out_paid": paid(self.held_out, thresholds, settings, self.common),
            }
        return GroupThresholds(
            constraint=settings.constraint,
            max_gap=settings.max_gap,
            compare=settings.compare,
            common_threshold=self.common,
            features=list(self.slices[0]) if self.slices else [],
            groups=[self._group(place, thresholds[place], after) for place in range(len(self.slices))],
            examples=sum(sum(item.counts) for item in (*sample.groups, sample.rest)),
            ungrouped=self.ungrouped,
            resolution=self.step,
            before=self.before.outcome(settings, enough),
            after=after.outcome(settings, enough),
            paid=paid(sample, thresholds, settings, self.common),
            curve=curve,
            **found,
        )

    def _curve(self) -> tuple[Choice | None, list[CurvePoint]]:
        if self.search is None:
            return None, []
        before = self.search.common
        settings = self.settings
        gaps = np.linspace(0, before.gap, settings.points) if before.gap > 0 else np.zeros(1)
        points = [(float(gap), self.search.within(float(gap)), False) for gap in gaps]
        enough = before.gap <= settings.max_gap + _SAME
        chosen = before if enough else self.search.within(settings.max_gap)
        points.append((min(settings.max_gap, before.gap), chosen, True))
        points.sort(key=lambda point: (point[0], point[2]))
        return chosen, [self._point(*point) for point in points]

    def _point(self, allowed: float, choice: Choice, chosen: bool) -> CurvePoint:
        thresholds = self._thresholds(choice)
        decided = self._decided(self.sample, thresholds)
        held: dict[str, float] = {}
        if self.held_out is not None:
            before = self._decided(self.held_out, self.commons)
            after = self._decided(self.held_out, thresholds)
            held = {
                "held_out_gap": after.gap(self.settings.rates, self._mask(before)),
                "held_out_accuracy": after.accuracy,
                "held_out_paid": before.accuracy - after.accuracy,
            }
        return CurvePoint(
            allowed_gap=allowed,
            gap=choice.gap,
            accuracy=decided.accuracy,
            paid=self.before.accuracy - decided.accuracy,
            thresholds=[thresholds[place] for place in self.adjusted],
            chosen=chosen,
            **held,
        )

    def _thresholds(self, choice: Choice | None) -> list[float]:
        """The threshold of every group."""
        found = list(self.commons)
        if choice is not None and self.search is not None:
            for place, number, item in zip(self.adjusted, choice.places, self.search.frontiers, strict=True):
                found[int(place)] = float(item.thresholds[number])
        return found

    def _decided(self, sample: Sample, thresholds: Sequence[float]) -> Decided:
        return Decided.of(sample, thresholds, self.settings, self.common)

    def _mask(self, decided: Decided) -> np.ndarray:
        """Groups whose gap is measured: the adjusted ones, as far as they have enough examples there."""
        mask = np.zeros(len(self.slices), bool)
        mask[self.adjusted] = True
        return mask & decided.enough(self.settings)

    def _group(self, place: int, threshold: float, after: Decided) -> GroupThreshold:
        tally = self.sample.groups[place]
        adjusted = self.search is not None and place in self.adjusted
        return GroupThreshold(
            group=self.slices[place],
            threshold=threshold,
            adjusted=adjusted,
            reason="" if adjusted else self._reason(place),
            examples=sum(tally.counts),
            positives=tally.counts[0],
            before=self.before.estimates(place, self.settings.level),
            after=after.estimates(place, self.settings.level),
        )

    def _reason(self, place: int) -> str:
        if not legible(self.slices[place]):
            return "a value is no UTF-8 text"
        few = [
            f"{self.before.counts[name][place]:,.0f} in the denominator of the {name.replace('_', ' ')}"
            for name in self.settings.rates
            if self.before.counts[name][place] < self.settings.min_count
        ]
        if few:
            return f"too few examples: {' and '.join(few)}, {self.settings.min_count} are needed"
        return "no other group has enough examples to be compared with"
