"""Slices of one, two and three features, looked through level by level on the counts of one half."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tfx_trust.components.fairness.config import DECISION_METRICS, FairnessSettings
from tfx_trust.components.fairness.half import SLOTS, Family, Half
from tfx_trust.components.fairness.rates import decision_rates
from tfx_trust.components.fairness.slicing import Amounts
from tfx_trust.components.intervals import newcombe

BEAM = 200
_HIGHER_IS_WORSE = ("false_positive_rate", "false_negative_rate")


@dataclass(frozen=True)
class Measures:
    """The metrics in which slices are looked for, each as a share of counts by label and decision.

    Attributes
    ----------
    names
        Their names.
    bounds
        Greatest gap that is tolerated, of shape ``(metrics,)``.
    members, hits, bad
        Of shape ``(metrics, 4)``, 0 or 1 for label and decision 00, 01, 10, 11: the denominator, what the
        metric counts, and what is bad of the two: what it counts, or the other examples of the denominator.
    signs
        1 where more is worse, -1 where less is, of shape ``(metrics,)``.
    """

    names: tuple[str, ...]
    bounds: np.ndarray
    members: np.ndarray
    hits: np.ndarray
    bad: np.ndarray
    signs: np.ndarray

    @classmethod
    def of(cls, settings: FairnessSettings) -> Measures:
        """Those whose differences are bounded; accuracy with a bound of 0 if there are none.

        Examples
        --------
        >>> Measures.of(FairnessSettings(label="approved", slices=[["sex"]])).names
        ('false_positive_rate', 'true_positive_rate')
        """
        bounds = {
            item.metric: item.bound
            for item in settings.tolerances
            if item.kind == "difference" and item.metric in DECISION_METRICS
        } or {"accuracy": 0.0}
        # What each example alone has as its metrics.
        alone = np.eye(SLOTS, dtype=np.int64).reshape(SLOTS, 2, 2)
        rates = decision_rates(Amounts(alone, alone.astype(float), alone.astype(float)))
        members = np.stack([rates[name].count for name in bounds])
        hits = np.stack([np.nan_to_num(rates[name].value).astype(np.int64) for name in bounds])
        signs = np.array([1 if name in _HIGHER_IS_WORSE else -1 for name in bounds])
        bad = np.where(signs[:, None] > 0, hits, members - hits)
        return cls(tuple(bounds), np.array([*bounds.values()]), members, hits, bad, signs)

    def lower(self, which: np.ndarray, here: np.ndarray, there: np.ndarray, level: float) -> np.ndarray:
        """Lower ends of Newcombe's interval of how much worse some examples are than others.

        Parameters
        ----------
        which
            Numbers of metrics, of shape ``(n,)``.
        here, there
            Counts by label and decision, of shape ``(n, 4)``.
        level
            Confidence level.
        """
        (share, count), (other, other_count) = (
            shares(counts, self.bad[which], self.members[which]) for counts in (here, there)
        )
        return newcombe(share, count, other, other_count, level)[0]


def shares(counts: np.ndarray, hits: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares and their denominators, from arrays of shape ``(…, 4)``; NaN where a denominator is 0."""
    count = (counts * members).sum(axis=-1)
    return np.where(count > 0, (counts * hits).sum(axis=-1) / np.maximum(count, 1), np.nan), count


@dataclass(frozen=True)
class Candidates:
    """Slices in which a metric is worse than elsewhere, the ones of fewer features first.

    Attributes
    ----------
    families
        Sets of features, by their numbers.
    family
        Which of them, int64 of shape ``(candidates,)``.
    keys
        The slice's values as one number (:meth:`Half.keys`), int64 of shape ``(candidates,)``.
    measure
        The metric's number, int64 of shape ``(candidates,)``.
    counts
        By label and decision, of shape ``(candidates, 4)``.
    slices
        Different slices that were looked at.
    comparisons
        Slices that were looked at, each as often as it has a metric with enough examples.
    """

    families: list[Family]
    family: np.ndarray
    keys: np.ndarray
    measure: np.ndarray
    counts: np.ndarray
    slices: int
    comparisons: int


def simultaneous(level: float, comparisons: int) -> float:
    """The level of each of many intervals that hold together at a level (Bonferroni)."""
    return 1 - (1 - level) / max(comparisons, 1)


def search(half: Half, measures: Measures, settings: FairnessSettings, beam: int = BEAM) -> Candidates:
    """Slices that are worse than all other examples, and than what they are part of.

    Level by level: the slices of k + 1 features that are looked at add one to a slice of k features, its
    parent, that is among the `beam` worst of the metric: by the lower end of the interval of its gap, at a
    level corrected for the number of slices looked at so far. They need ``min_count`` examples in the
    metric's denominator; parts of one with fewer have fewer still, so that leaving them out loses nothing.
    One of them is a candidate if

    - there are ``min_count`` examples in the denominator of all others too,
    - the gap to these is more than chance: its interval lies above 0 at the settings' level,
    - it is worse than the rest of each of its parents, by more than chance makes any of those looked at: the
      interval of that gap lies above 0 at the corrected level.

    So a candidate has no feature that does not make it worse.

    Parameters
    ----------
    half
        Examples to find slices in.
    measures
        Metrics to look at.
    settings
        Give ``discover_order``, ``min_count`` and ``level``.
    beam
        So many slices a metric are extended by another feature.
    """
    total, least = half.total, settings.min_count
    families: list[Family] = []
    parts: list[tuple[np.ndarray, ...]] = []
    slices = comparisons = 0
    parents = _Parents.everything(half, measures)
    for order in range(1, settings.discover_order + 1):
        level = _counted(half, measures, least, order, parents)
        which, place = np.nonzero(_enough(measures, level.counts, least) & parents.extended_to(level))
        compared = _enough(measures, total - level.counts, least)[which, place]
        slices += len(np.unique(place[compared]))
        comparisons += int(compared.sum())
        strict = simultaneous(settings.level, comparisons)

        counts = level.counts[place]
        bad = np.flatnonzero(compared)
        bad = bad[measures.lower(which[bad], counts[bad], total - counts[bad], settings.level) > 0]
        for number in range(order if order > 1 else 0):
            rest = level.parents[place[bad], number] - counts[bad]
            bad = bad[measures.lower(which[bad], counts[bad], rest, strict) > 0]
        parts.append(
            (level.family[place[bad]] + len(families), level.keys[place[bad]], which[bad], counts[bad])
        )
        families += level.families
        if order < settings.discover_order:
            parents = _Parents.worst(level, measures, which, place, total, strict, beam)
    family, keys, measure, counts = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Candidates(families, family, keys, measure, counts, slices, comparisons)


def _enough(measures: Measures, counts: np.ndarray, least: int) -> np.ndarray:
    """Where a metric's denominator is large enough, of shape ``(metrics, slices)``."""
    return np.asarray(measures.members @ counts.T >= least)


@dataclass(frozen=True)
class _Level:
    """Slices of equally many features with enough examples for a metric.

    Attributes
    ----------
    families
        Their sets of features.
    family, keys
        Which of these, and the values; of shape ``(slices,)``.
    counts
        Of shape ``(slices, 4)``.
    parents, parent_names
        Counts and names of the slices with one feature less, of shape ``(slices, features, 4)`` and
        ``(slices, features)``.
    """

    families: list[Family]
    family: np.ndarray
    keys: np.ndarray
    counts: np.ndarray
    parents: np.ndarray
    parent_names: np.ndarray


def _name(family: np.ndarray | int, keys: np.ndarray) -> np.ndarray:
    """Family and key as one number; keys are those of two features at most, below 2^31."""
    return keys * (1 << 32) + family


@dataclass(frozen=True)
class _Parents:
    """Slices to which another feature is added: names by metric; `families` are numbered as in names."""

    families: dict[Family, int]
    names: list[np.ndarray]
    features: list[int]

    @classmethod
    def everything(cls, half: Half, measures: Measures) -> _Parents:
        """All examples, the slice of no feature."""
        return cls({(): 0}, [np.zeros(1, np.int64)] * len(measures.names), list(range(len(half.radix))))

    @classmethod
    def worst(
        cls,
        level: _Level,
        measures: Measures,
        which: np.ndarray,
        place: np.ndarray,
        total: np.ndarray,
        strict: float,
        beam: int,
    ) -> _Parents:
        """The worst of a level in each metric; `which` metrics and slices, by `place`, were looked at."""
        counts = level.counts[place]
        order = np.argsort(-measures.lower(which, counts, total - counts, strict), kind="stable")
        names = _name(level.family, level.keys)[place]
        return cls(
            {family: number for number, family in enumerate(level.families)},
            [names[order[which[order] == number][:beam]] for number in range(len(measures.names))],
            sorted({feature for family in level.families for feature in family}),
        )

    @property
    def open(self) -> set[Family]:
        """Sets of features with a slice to which another feature is added."""
        numbers = {int(number) for names in self.names for number in np.unique(names % (1 << 32))}
        return {family for family, number in self.families.items() if number in numbers}

    def extended_to(self, level: _Level) -> np.ndarray:
        """Where a slice adds a feature to one of these, of shape ``(metrics, slices)``."""
        return np.stack([np.isin(level.parent_names, names).any(axis=1) for names in self.names])


def _counted(half: Half, measures: Measures, least: int, order: int, parents: _Parents) -> _Level:
    """Counts the slices of as many features: one pass over the entries for each set of features."""
    families: list[Family] = []
    parts = [
        (
            np.zeros(0, np.int64),
            np.zeros(0, np.int64),
            np.zeros((0, SLOTS)),
            np.zeros((0, order, SLOTS)),
            np.zeros((0, order), np.int64),
        )
    ]
    open_families = parents.open
    for family in combinations(parents.features, order):
        smaller = [family[:place] + family[place + 1 :] for place in range(order)]
        if open_families.isdisjoint(smaller):
            continue
        keys, counts = half.tally(family)
        chosen = np.flatnonzero(_enough(measures, counts, least).any(axis=0))
        if not len(chosen):
            continue
        above = np.empty((len(chosen), order, SLOTS))
        names = np.empty((len(chosen), order), np.int64)
        for place, parent in enumerate(smaller):
            own, sums = half.without(family, place, keys, counts)
            above[:, place] = sums[chosen]
            # A set of features that was not counted has no slice that is extended.
            names[:, place] = _name(parents.families.get(parent, -1), own[chosen])
        parts.append((np.full(len(chosen), len(families)), keys[chosen], counts[chosen], above, names))
        families.append(family)
    return _Level(families, *(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
