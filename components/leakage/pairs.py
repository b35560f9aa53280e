"""Two features that together give the label away, though neither does alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tfx_trust.components.intervals import quantile
from tfx_trust.components.leakage.coding import Column, Labelled, Side
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.heldout import Ranking, probabilities
from tfx_trust.components.leakage.report import PairLeakage
from tfx_trust.components.report import Estimate, Verdict

TRAIN_ROWS = 20_000
EVAL_ROWS = 10_000
MOST_FEATURES = 100
SHOWN = 10
_FEWEST_BINS = 4
_MOST_BINS = 16
_ROWS_A_CELL = 10


def find_pairs(
    labelled: Labelled, names: Sequence[str], settings: LeakageSettings
) -> tuple[list[PairLeakage], list[str]]:
    """The ten pairs with the greatest lift, the greatest first, and notes on what was left out.

    Lift is the held-out AUC of two features' joint bins less that of the better one. Its interval holds for
    all pairs that were looked at, not only for those shown (Bonferroni). A pair is warned of where its lift
    reaches ``pair_lift`` and the lower end is above half of that.

    Parameters
    ----------
    labelled
        Both splits, of which 20,000 and 10,000 rows are looked at.
    names
        Features to pair. Of more than a hundred, those with the greatest entropy are: what a feature adds
        to another is at most its own.
    settings
        The bounds to judge by.
    """
    train, evaluation = labelled.train.first(TRAIN_ROWS), labelled.evaluation.first(EVAL_ROWS)
    if min(train.outside_most_frequent, evaluation.outside_most_frequent) < settings.min_class:
        return [], [
            "Pairs of features were not looked at: in the rows taken for that, fewer than "
            f"{settings.min_class} examples are outside of the most frequent class."
        ]
    notes = []
    coarse = _Coarse.of(names, train, evaluation)
    if len(names) > MOST_FEATURES:
        coarse = coarse.richest(MOST_FEATURES)
        notes.append(
            f"Pairs were looked at among {MOST_FEATURES} of {len(names)} features: those with the greatest "
            "entropy."
        )
    if len(coarse.names) < 2:
        return [], notes
    first, second = np.triu_indices(len(coarse.names), 1)
    greatest = np.argsort(-coarse.lifts()[first, second], kind="stable")[:SHOWN]
    level = 1 - (1 - settings.level) / len(first)
    return [
        _judged(coarse, int(first[k]), int(second[k]), level, settings.pair_lift) for k in greatest
    ], notes


def _judged(coarse: _Coarse, first: int, second: int, level: float, bound: float) -> PairLeakage:
    """One pair, with the interval of a difference of dependent AUCs (DeLong et al. 1988)."""
    evaluation = coarse.evaluation
    auc, influence = coarse.scored(*coarse.joint(first, second), coarse.bins**2)
    alone = [coarse.scored(coarse.here[k], coarse.there[k], coarse.bins) for k in (first, second)]
    best, best_influence = max(alone, key=lambda scored: scored[0])
    variance = evaluation.square @ (influence - best_influence) ** 2 / evaluation.mass.sum() ** 2
    value, half = auc - best, quantile(level) * math.sqrt(variance)
    return PairLeakage(
        names=(coarse.names[first], coarse.names[second]),
        auc=auc,
        best_single=best,
        lift=Estimate(
            value=value,
            low=max(-1.0, value - half),
            high=min(1.0, value + half),
            count=evaluation.examples,
            level=level,
            method="DeLong's variance",
        ),
        verdict=Verdict.WARN if value >= bound and value - half > bound / 2 else Verdict.PASS,
    )


@dataclass(frozen=True)
class _Coarse:
    """Features in a few bins each, so that train fills the table of any two.

    Attributes
    ----------
    names
        The features.
    bins
        Number of bins of each.
    train, evaluation
        The rows.
    here, there
        int64 of shape ``(features, rows)``: the bin of each train row, and of each eval row.
    """

    names: tuple[str, ...]
    bins: int
    train: Side
    evaluation: Side
    here: np.ndarray
    there: np.ndarray

    @classmethod
    def of(cls, names: Sequence[str], train: Side, evaluation: Side) -> _Coarse:
        """Numbers in quantile bins; of other values the most frequent ones, and the rest in one bin."""
        bins = min(_MOST_BINS, max(_FEWEST_BINS, math.isqrt(len(train.rows) // _ROWS_A_CELL)))
        here = np.empty((len(names), len(train.rows)), np.int64)
        there = np.empty((len(names), len(evaluation.rows)), np.int64)
        for place, name in enumerate(names):
            column = Column.of(name, train, evaluation)
            if column.numbers_in(train) >= bins:
                # Two bins are for missing values and for the rest.
                column = column.binned(train, evaluation, bins - 2)
            mass = np.bincount(column.here, train.mass, column.values)
            kept = np.zeros(column.values, bool)
            kept[np.argsort(-mass, kind="stable")[: bins - 1]] = True
            here[place], there[place], _ = column.compact(kept)
        return cls(tuple(names), bins, train, evaluation, here, there)

    def richest(self, number: int) -> _Coarse:
        """Only the features with the greatest entropy."""
        entropy = np.array([_entropy(np.bincount(codes, self.train.mass)) for codes in self.here])
        kept = np.sort(np.argsort(-entropy, kind="stable")[:number])
        names = tuple(self.names[place] for place in kept)
        return replace(self, names=names, here=self.here[kept], there=self.there[kept])

    def joint(self, first: int, second: int | slice) -> tuple[np.ndarray, np.ndarray]:
        """Joint bins of one feature and another, or several others at once, of train and of eval."""
        return (
            self.here[first] * self.bins + self.here[second],
            self.there[first] * self.bins + self.there[second],
        )

    def lifts(self) -> np.ndarray:
        """Lift of each pair, of shape ``(features, features)``: its upper triangle."""
        number = len(self.names)
        single = self._aucs(self.here, self.there, self.bins)
        lifts = np.zeros((number, number))
        for first in range(number - 1):
            others = slice(first + 1, None)
            joint = self._aucs(*self.joint(first, others), self.bins**2)
            lifts[first, others] = joint - np.maximum(single[first], single[others])
        return lifts

    def _aucs(self, here: np.ndarray, there: np.ndarray, bins: int) -> np.ndarray:
        """Held-out AUCs of several codings, of shape ``(codings, rows)``, at once."""
        scores = probabilities(_tables(self.train, here, bins), self.train.masses)
        average: np.ndarray = Ranking.of(scores, _tables(self.evaluation, there, bins)).average
        return average

    def scored(self, here: np.ndarray, there: np.ndarray, bins: int) -> tuple[float, np.ndarray]:
        """Held-out AUC of one coding, and the influence of each eval row on it."""
        scores = probabilities(_tables(self.train, here[None], bins), self.train.masses)[0]
        ranking = Ranking.of(scores, _tables(self.evaluation, there[None], bins)[0])
        return float(ranking.average), ranking.influence[there, self.evaluation.label]


def _tables(side: Side, codes: np.ndarray, bins: int) -> np.ndarray:
    """Mass by bin and class: from codes of shape ``(codings, rows)`` to ``(codings, bins, classes)``."""
    tables = [side.table(coding, bins, side.mass) for coding in codes]
    return np.stack(tables)


def _entropy(mass: np.ndarray) -> float:
    shares = mass[mass > 0] / mass.sum()
    return float(-(shares @ np.log(shares)))
