"""Features that give the label away: single ones, pairs, and identifiers that only seem to.

Whatever is said of a feature was fitted on train and scored on eval, so that a feature with a value for
each example does not look predictive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
import pyarrow as pa

from tfx_trust.components.leakage.columns import Kind
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.plan import MOST_CLASSES
from tfx_trust.components.leakage.report import FeatureLeakage, Identifier, PairLeakage
from tfx_trust.components.leakage.sample import Sample
from tfx_trust.components.report import Estimate, Verdict

NUMBER_BINS = 64
"""Numbers with more different values than this are binned by quantiles of train."""
LABEL_BINS = 5
"""Classes that a label that is a number is cut into, by quantiles of train."""
PAIR_BINS = 16
PAIR_ROWS = (20_000, 10_000)
PAIR_FEATURES = 100
SHOWN_PAIRS = 10
FEW_EXAMPLES = 100
# An m-estimate (Cestnik 1990): each bin has one more example, of the train split's classes.
_SMOOTHING = 1.0
_EXAMPLES_A_VALUE = 5
_NO_GAIN = 0.55


@dataclass(frozen=True)
class TargetResult:
    """What was found of features and the label."""

    features: list[FeatureLeakage] = field(default_factory=list)
    pairs: list[PairLeakage] = field(default_factory=list)
    identifiers: list[Identifier] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Side:
    """The labelled rows of a split: their classes and weights."""

    rows: np.ndarray
    classes: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class _Coded:
    """A feature as bins: codes of the labelled rows of train and eval.

    Attributes
    ----------
    bins
        Codes for train and eval, and how many there are.
    values
        The same by exact value.
    """

    bins: tuple[np.ndarray, np.ndarray]
    count: int
    values: tuple[np.ndarray, np.ndarray]
    distinct: int


@dataclass(frozen=True)
class Score:
    """A held-out statistic and its standard error."""

    value: float
    error: float

    def estimate(self, z: float, count: int, level: float, method: str) -> Estimate:
        """With an interval of `z` standard errors, within [0, 1]."""
        low, high = (min(1.0, max(0.0, self.value + sign * z * self.error)) for sign in (-1, 1))
        return Estimate(
            value=self.value,
            low=min(low, self.value),
            high=max(high, self.value),
            count=count,
            level=level,
            method=method,
        )


def analyse(
    train: Sample, evaluation: Sample, settings: LeakageSettings, kinds: Mapping[str, Kind]
) -> TargetResult:
    """Looks at each feature, at pairs of them, and for identifiers.

    Parameters
    ----------
    train, evaluation
        Rows of both splits; each counts as often as it occurs, times its weight.
    settings
        Label, weight, thresholds.
    kinds
        Kind of each column.
    """
    sides, classes = _labelled(train, evaluation, settings)
    features = [name for name in train.names if name not in (settings.label, settings.weight)]
    if settings.features is not None:
        features = [name for name in features if name in settings.features]
    if classes < 2 or not all(len(side.rows) for side in sides):
        return TargetResult(
            notes=["features were not looked at: the label has one value in what was sampled"]
        )
    coded = {name: _code(train, evaluation, name, sides) for name in features}
    found = _features(coded, sides, classes, settings)
    named = {item.name: item for item in found}
    pairs, notes = _pairs(coded, sides, classes, settings, named) if settings.pairs else ([], [])
    identifiers = [
        item
        for name in features
        if name not in settings.set_aside
        and (item := _identifier(train, evaluation, name, kinds[name], named[name], settings)) is not None
    ]
    return TargetResult(found, pairs, identifiers, notes)


def _labelled(
    train: Sample, evaluation: Sample, settings: LeakageSettings
) -> tuple[tuple[_Side, _Side], int]:
    label = settings.label
    here, there = train.column(label), evaluation.column(label)
    (first, second), distinct = _encoded(here, there)
    if label in train.numbers and distinct > MOST_CLASSES:
        known = train.numbers[label][here != 0]
        edges = np.unique(np.quantile(known, np.arange(1, LABEL_BINS) / LABEL_BINS))
        first, second = (
            np.asarray(np.searchsorted(edges, sample.numbers[label], side="left"))
            for sample in (train, evaluation)
        )
    sides = []
    for sample, terms, classes in ((train, here, first), (evaluation, there, second)):
        weights = sample.count.astype(float)
        if settings.weight is not None:
            weights = weights * np.nan_to_num(sample.numbers[settings.weight])
        rows = np.flatnonzero((terms != 0) & (weights > 0))
        sides.append(_Side(rows, classes[rows], weights[rows]))
    # Classes without an example any more (the missing label's) are taken out.
    used, packed = np.unique(np.concatenate([side.classes for side in sides]), return_inverse=True)
    cut = len(sides[0].rows)
    return (
        _Side(sides[0].rows, packed[:cut], sides[0].weights),
        _Side(sides[1].rows, packed[cut:], sides[1].weights),
    ), len(used)


def _encoded(here: np.ndarray, there: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Codes from 0 of equal terms, the same for both sides, and how many there are."""
    encoded = pa.array(np.concatenate([here, there])).dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return (codes[: len(here)], codes[len(here) :]), len(encoded.dictionary)


def _code(train: Sample, evaluation: Sample, name: str, sides: tuple[_Side, _Side]) -> _Coded:
    values, distinct = _encoded(train.column(name)[sides[0].rows], evaluation.column(name)[sides[1].rows])
    if name not in train.numbers or distinct <= NUMBER_BINS:
        return _Coded(values, distinct, values, distinct)
    here, there = (
        sample.numbers[name][side.rows] for sample, side in zip((train, evaluation), sides, strict=True)
    )
    bins = _quantile_bins(here, there, NUMBER_BINS)
    return _Coded(bins, NUMBER_BINS + 1, values, distinct)


def _quantile_bins(train: np.ndarray, evaluation: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Bins of about as many train rows each; missing is the last."""
    there = train[~np.isnan(train)]
    edges = np.unique(np.quantile(there, np.arange(1, count) / count)) if len(there) else np.zeros(0)
    first, second = (
        np.where(np.isnan(values), count, np.searchsorted(edges, values, side="left"))
        for values in (train, evaluation)
    )
    return first, second


def table_of(
    codes: np.ndarray, classes: np.ndarray, weights: np.ndarray, bins: int, number: int
) -> np.ndarray:
    """Weight by bin and class, shape ``(bins, classes)``."""
    return np.bincount(codes * number + classes, weights, bins * number).reshape(bins, number)


def fitted(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each class by bin, and over all, from train's table; smoothed."""
    total = table.sum(axis=0)
    prior = (total + _SMOOTHING) / (total.sum() + _SMOOTHING * len(total))
    return (table + _SMOOTHING * prior) / (table.sum(axis=1, keepdims=True) + _SMOOTHING), prior


def auc_of(scores: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> Score:
    """Area under the ROC curve of binned scores, ties counting half, with DeLong's standard error.

    Parameters
    ----------
    scores, positive, negative
        Of each bin the score and the number (weight) of examples of either class; shape ``(bins,)``.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson 1988, from the bins. Their variance is 0 at an area of 1; there it
    is Hanley & McNeil's (1982) at the area that half an example more would give.
    """
    p, n = float(positive.sum()), float(negative.sum())
    if p <= 0 or n <= 0:
        return Score(0.5, 0.5)
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    up, down = np.add.reduceat(positive[order], begins), np.add.reduceat(negative[order], begins)
    above = (np.cumsum(down) - down / 2) / n
    below = (p - np.cumsum(up) + up / 2) / p
    area = float(up @ above) / p
    variance = (float(up @ (above - area) ** 2) / p) / p + (float(down @ (below - area) ** 2) / n) / n
    fewest = min(p, n)
    near = (area * fewest + 0.5) / (fewest + 1)
    q1, q2 = near / (2 - near), 2 * near**2 / (1 + near)
    floor = (near * (1 - near) + (p - 1) * (q1 - near**2) + (n - 1) * (q2 - near**2)) / (p * n)
    return Score(area, math.sqrt(max(variance, floor if area in (0.0, 1.0) else 0.0, 0.0)))


def held_out_auc(probabilities: np.ndarray, table: np.ndarray) -> Score:
    """AUC of fitted probabilities on eval's table, both of shape ``(bins, classes)``.

    Of several classes, each against the rest, averaged by prevalence; its standard error is the average of
    theirs, an upper bound.
    """
    total = table.sum(axis=0)
    rest = table.sum(axis=1)
    classes = [1] if table.shape[1] == 2 else [index for index, weight in enumerate(total) if weight > 0]
    shares = (
        total[classes] / total[classes].sum()
        if total[classes].sum()
        else np.ones(len(classes)) / len(classes)
    )
    scores = [auc_of(probabilities[:, index], table[:, index], rest - table[:, index]) for index in classes]
    return Score(
        float(sum(share * score.value for share, score in zip(shares, scores, strict=True))),
        float(sum(share * score.error for share, score in zip(shares, scores, strict=True))),
    )


def held_out_nmi(probabilities: np.ndarray, prior: np.ndarray, table: np.ndarray) -> Score:
    """The share of the label's entropy that fitted probabilities take away on eval.

    1 − CE(fitted) / CE(prior) with both cross-entropies on eval: a lower bound of Theil's uncertainty
    coefficient I(X; Y) / H(Y) (Theil 1970). Clipped to [0, 1]; the standard error is that of a ratio of
    means (delta method).
    """
    total = table.sum()
    alone = np.broadcast_to(-np.log(prior), table.shape)
    gain = np.log(probabilities) + alone
    entropy = float((table * alone).sum() / total)
    ratio = float((table * gain).sum() / total) / entropy
    variance = float((table * (gain - ratio * alone) ** 2).sum() / total) / total / entropy**2
    return Score(min(1.0, max(0.0, ratio)), math.sqrt(variance))


def _features(
    coded: Mapping[str, _Coded], sides: tuple[_Side, _Side], classes: int, settings: LeakageSettings
) -> list[FeatureLeakage]:
    _, evaluation = sides
    # Weights are brought to the number of examples that they are worth (Kish 1965).
    scale = [_effective(side.weights) / side.weights.sum() for side in sides]
    level = 1 - (1 - settings.level) / max(1, len(coded))
    z = NormalDist().inv_cdf((1 + level) / 2)
    examples = round(_effective(evaluation.weights))
    rarest = float(np.bincount(evaluation.classes, evaluation.weights * scale[1], classes).min())
    told = []
    for name, column in coded.items():
        tables = [
            table_of(codes, side.classes, side.weights * factor, column.count, classes)
            for codes, side, factor in zip(column.bins, sides, scale, strict=True)
        ]
        probabilities, prior = fitted(tables[0])
        auc = held_out_auc(probabilities, tables[1])
        nmi = held_out_nmi(probabilities, prior, tables[1])
        determines = _determines(column, sides, classes)
        told.append(
            FeatureLeakage(
                name=name,
                auc=auc.value,
                nmi=nmi.value,
                verdict=_verdict(auc, nmi, determines, z, rarest, settings),
                auc_estimate=auc.estimate(z, examples, settings.level, "DeLong, simultaneous (Bonferroni)"),
                nmi_estimate=nmi.estimate(
                    z, examples, settings.level, "delta method, simultaneous (Bonferroni)"
                ),
                determines=determines,
                distinct=column.distinct,
            )
        )
    return sorted(told, key=lambda item: (-item.auc, -item.nmi, item.name))


def _effective(weights: np.ndarray) -> float:
    # A row that occurs n times has weight n and is n examples: only what goes beyond is uneven.
    return (
        float(weights.sum() ** 2 / (weights**2).sum()) if weights.max(initial=0) % 1 else float(weights.sum())
    )


def _verdict(
    auc: Score, nmi: Score, determines: bool, z: float, rarest: float, settings: LeakageSettings
) -> Verdict:
    """Fail where it is certain, warn where it is likely; few examples say neither."""
    if rarest < settings.min_class:
        return Verdict.INCONCLUSIVE
    if (
        determines
        or auc.value - z * auc.error >= settings.auc_fail
        or nmi.value - z * nmi.error >= settings.nmi_fail
    ):
        return Verdict.FAIL
    if auc.value >= settings.auc_warn or nmi.value >= settings.nmi_warn:
        return Verdict.WARN
    return Verdict.PASS


def _determines(column: _Coded, sides: tuple[_Side, _Side], classes: int) -> bool:
    """Whether each value has one label, over several labels and enough examples a value."""
    examples = sum(len(side.rows) for side in sides)
    if examples < _EXAMPLES_A_VALUE * column.distinct:
        return False
    there = np.zeros(column.distinct * classes, bool)
    for codes, side in zip(column.values, sides, strict=True):
        there[codes * classes + side.classes] = True
    by_value = there.reshape(column.distinct, classes)
    return bool((by_value.sum(axis=1) <= 1).all() and by_value.any(axis=0).sum() > 1)


def _pairs(
    coded: Mapping[str, _Coded],
    sides: tuple[_Side, _Side],
    classes: int,
    settings: LeakageSettings,
    singles: Mapping[str, FeatureLeakage],
) -> tuple[list[PairLeakage], list[str]]:
    notes = []
    names = [name for name in coded if singles[name].verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)]
    cut = tuple(min(limit, len(side.rows)) for limit, side in zip(PAIR_ROWS, sides, strict=True))
    small = tuple(
        _Side(side.rows[:rows], side.classes[:rows], side.weights[:rows])
        for side, rows in zip(sides, cut, strict=True)
    )
    binned = {name: _few_bins(coded[name], cut) for name in names}
    if len(names) > PAIR_FEATURES:
        notes.append(f"pairs were looked at among the first {PAIR_FEATURES} of {len(names)} features")
        names = names[:PAIR_FEATURES]
    if len(names) < 2:
        return [], notes
    codes = [np.stack([binned[name][split] for name in names], axis=1) for split in (0, 1)]
    alone = np.array([_joint(codes, None, number, small, classes)[0].value for number in range(len(names))])
    lifts = np.full((len(names), len(names)), -1.0)
    for first in range(len(names) - 1):
        lifts[first, first + 1 :] = _joint_areas(codes, first, small, classes) - np.maximum(
            alone[first], alone[first + 1 :]
        )
    number = len(names) * (len(names) - 1) // 2
    z = NormalDist().inv_cdf(1 - (1 - settings.level) / 2 / number)
    found = []
    for place in np.argsort(-lifts, axis=None)[: min(SHOWN_PAIRS, number)]:
        first, second = divmod(int(place), len(names))
        found.append(_pair(names, codes, (first, second), small, classes, z, settings))
    return found, notes


def _few_bins(column: _Coded, cut: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """At most sixteen bins: neighbouring quantile bins together, or the most frequent values and the rest."""
    first, second = column.bins[0][: cut[0]], column.bins[1][: cut[1]]
    if column.count <= PAIR_BINS:
        return first, second
    if column.count == NUMBER_BINS + 1 and column.distinct > NUMBER_BINS:
        width = -(-NUMBER_BINS // (PAIR_BINS - 1))
        return first // width, second // width
    frequent = np.argsort(-np.bincount(first, minlength=column.count), kind="stable")[: PAIR_BINS - 1]
    codes = np.full(column.count, PAIR_BINS - 1)
    codes[frequent] = np.arange(len(frequent))
    return codes[first], codes[second]


def _joint(
    codes: Sequence[np.ndarray], first: int | None, second: int, sides: Sequence[_Side], classes: int
) -> tuple[Score, int]:
    """Held-out AUC of one feature, or of two together."""
    tables = []
    for split in (0, 1):
        joint = codes[split][:, second] + (0 if first is None else codes[split][:, first] * PAIR_BINS)
        side = sides[split]
        tables.append(table_of(joint, side.classes, side.weights, PAIR_BINS**2, classes))
    probabilities, _ = fitted(tables[0])
    return held_out_auc(probabilities, tables[1]), len(sides[1].rows)


def _joint_areas(codes: Sequence[np.ndarray], first: int, sides: Sequence[_Side], classes: int) -> np.ndarray:
    """Held-out AUC of a feature together with each that comes after it: shape ``(features after it,)``."""
    cells = PAIR_BINS**2
    tables = []
    for split in (0, 1):
        side = sides[split]
        later = codes[split][:, first + 1 :]
        joint = later + (codes[split][:, first] * PAIR_BINS)[:, None] + np.arange(later.shape[1]) * cells
        flat = (joint * classes + side.classes[:, None]).ravel()
        weights = np.repeat(side.weights, later.shape[1])
        size = later.shape[1] * cells * classes
        tables.append(np.bincount(flat, weights, size).reshape(later.shape[1], cells, classes))
    total = tables[0].sum(axis=1, keepdims=True)
    prior = (total + _SMOOTHING) / (total.sum(axis=2, keepdims=True) + _SMOOTHING * classes)
    probabilities = (tables[0] + _SMOOTHING * prior) / (tables[0].sum(axis=2, keepdims=True) + _SMOOTHING)
    chosen = [1] if classes == 2 else list(range(classes))
    prevalence = tables[1].sum(axis=1)[0]
    shares = prevalence[chosen] / prevalence[chosen].sum()
    everything = tables[1].sum(axis=2)
    areas = [
        _areas(probabilities[:, :, index], tables[1][:, :, index], everything - tables[1][:, :, index])
        for index in chosen
    ]
    together: np.ndarray = np.tensordot(shares, np.stack(areas), 1)
    return together


def _areas(scores: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Areas under several ROC curves at once; all of shape ``(curves, bins)``."""
    order = np.argsort(scores, axis=1, kind="stable")
    scores, positive, negative = (
        np.take_along_axis(values, order, axis=1) for values in (scores, positive, negative)
    )
    curves, bins = scores.shape
    new = np.ones((curves, bins), bool)
    new[:, 1:] = scores[:, 1:] != scores[:, :-1]
    groups = (np.cumsum(new, axis=1) - 1 + np.arange(curves)[:, None] * bins).ravel()
    up, down = (
        np.bincount(groups, values.ravel(), curves * bins).reshape(curves, bins)
        for values in (positive, negative)
    )
    p, n = up.sum(axis=1), down.sum(axis=1)
    area = (up * (np.cumsum(down, axis=1) - down / 2)).sum(axis=1)
    return np.divide(area, p * n, out=np.full(curves, 0.5), where=p * n > 0)


def _pair(
    names: Sequence[str],
    codes: Sequence[np.ndarray],
    pair: tuple[int, int],
    sides: Sequence[_Side],
    classes: int,
    z: float,
    settings: LeakageSettings,
) -> PairLeakage:
    together, examples = _joint(codes, pair[0], pair[1], sides, classes)
    best = max(
        (_joint(codes, None, number, sides, classes)[0] for number in pair), key=lambda score: score.value
    )
    lift = together.value - best.value
    # The two are of the same examples, so their errors do not add up: an upper bound.
    half = z * (together.error + best.error)
    rarest = np.bincount(sides[1].classes, minlength=classes).min()
    caught = lift >= settings.pair_lift and lift - half > 0 and rarest >= settings.min_class
    return PairLeakage(
        names=(names[pair[0]], names[pair[1]]),
        auc=together.value,
        best_single=best.value,
        lift=Estimate(
            value=lift,
            low=lift - half,
            high=lift + half,
            count=examples,
            level=settings.level,
            method="DeLong, simultaneous (Bonferroni), upper bound of the error",
        ),
        verdict=Verdict.WARN if caught else Verdict.PASS,
    )


def _identifier(
    train: Sample,
    evaluation: Sample,
    name: str,
    kind: Kind,
    feature: FeatureLeakage,
    settings: LeakageSettings,
) -> Identifier | None:
    if kind == "real":
        return None
    terms = np.concatenate([train.column(name), evaluation.column(name)])
    count = np.concatenate([train.count, evaluation.count])[terms != 0]
    examples = int(count.sum())
    distinct = len(np.unique(terms[terms != 0]))
    if examples < FEW_EXAMPLES or distinct <= settings.identifier_share * examples:
        return None
    low = feature.auc_estimate.low
    if feature.auc >= _NO_GAIN and low is not None and low > 0.5:
        return None
    return Identifier(
        name=name,
        distinct=distinct,
        examples=examples,
        auc=feature.auc,
        suggestion="group" if distinct < examples else "remove",
    )
