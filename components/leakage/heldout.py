"""How well bins foretell the label of examples that they were not fitted on: AUC and NMI, with intervals.

All of it rests on tables of bins by classes, whose cells hold the mass of the examples in them: their number,
or the sum of their weights. Examples are taken as independent, those of equal rows too: where rows were
repeated in order to upsample them, intervals are too narrow. Probabilities are taken as given: an interval
tells what other examples of the eval split's kind would give, not what another train split would.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tfx_trust.components.intervals import quantile, wilson
from tfx_trust.components.report import Estimate


@dataclass(frozen=True)
class Tables:
    """A coded feature, each of shape ``(bins, classes)``.

    Attributes
    ----------
    train
        Mass in train.
    mass, square
        Mass in eval, and the sum of squared weights there.
    masses
        Mass of train by class, of shape ``(classes,)``: also of rows that `train` leaves out.
    examples
        Number of eval examples.
    """

    train: np.ndarray
    mass: np.ndarray
    square: np.ndarray
    masses: np.ndarray
    examples: int

    @property
    def probabilities(self) -> np.ndarray:
        """Probability of each class by bin."""
        return probabilities(self.train, self.masses)


def prior(masses: np.ndarray) -> np.ndarray:
    """Share of each class, half an example added to each (Krichevsky & Trofimov 1981): eval may have it.

    Examples
    --------
    >>> prior(np.array([7.0, 1.0, 0.0])).round(3)
    array([0.789, 0.158, 0.053])
    """
    shares: np.ndarray = (masses + 0.5) / (masses.sum() + len(masses) / 2)
    return shares


def probabilities(table: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Probability of each class by bin, (n + π) / (N + 1): one example is added that is like all of train.

    A bin without examples gives the shares π of the classes; one with a single example, of two equally
    frequent classes, 3/4 and 1/4.

    Parameters
    ----------
    table
        Mass of train, of shape ``(…, bins, classes)``.
    masses
        Mass of train by class, of shape ``(classes,)``.
    """
    shares: np.ndarray = (table + prior(masses)) / (table.sum(axis=-1, keepdims=True) + 1)
    return shares


def left_out_loss(table: np.ndarray, masses: np.ndarray) -> float:
    """Loss of train labels, each by its bin without it: tells codings apart on train alone.

    The sum of negative log-likelihoods of leave-one-out cross-validation, of weighted examples as if all
    weighed the same.

    Parameters
    ----------
    table
        Mass of train, of shape ``(bins, classes)``.
    masses
        Mass of train by class.
    """
    others = np.maximum(table.sum(axis=1, keepdims=True) - 1, 0)
    own = np.minimum(np.maximum(table - 1, 0), others)
    return -float((table * np.log((own + prior(masses)) / (others + 1))).sum())


@dataclass(frozen=True)
class Ranking:
    """How scores rank the examples of a class against all others.

    Arrays are of shape ``(…, classes)`` and ``(…, classes, bins)``; of two classes, the second alone.

    Attributes
    ----------
    auc
        Area under the ROC curve, as of Mann & Whitney (1947), ties counting half; 1/2 where the class, or
        all others, are absent.
    share
        Mass of the class, as a share of all.
    below, above
        Probability that one of the others has a lower score than this bin, and that one of the class has a
        higher one; ties count half. The structural components of DeLong et al. (1988).
    """

    auc: np.ndarray
    share: np.ndarray
    below: np.ndarray
    above: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, mass: np.ndarray) -> Ranking:
        """The ranking of eval examples, from scores and mass of shape ``(…, bins, classes)``."""
        first = 1 if mass.shape[-1] == 2 else 0
        score, own = (np.swapaxes(array, -1, -2)[..., first:, :] for array in (scores, mass))
        others = mass.sum(axis=-1)[..., None, :] - own
        here, there = (array.sum(axis=-1, keepdims=True) for array in (own, others))
        defined = (here > 0) & (there > 0)
        here_or_1, there_or_1 = (np.where(defined, total, 1.0) for total in (here, there))
        below = np.where(defined, _mass_below(score, others) / there_or_1, 0.5)
        above = np.where(defined, 1 - _mass_below(score, own) / here_or_1, 0.5)
        auc = np.where(defined, (own * below).sum(axis=-1, keepdims=True) / here_or_1, 0.5)
        return cls(auc[..., 0], (here / (here + there))[..., 0], below, above)

    @property
    def average(self) -> np.ndarray:
        """AUC of two classes; of more, that of each by its share (Provost & Domingos 2001). Shape ``(…)``."""
        if self.auc.shape[-1] == 1:
            return self.auc[..., 0]
        mean: np.ndarray = (self.share * self.auc).sum(axis=-1)
        return mean

    @property
    def influence(self) -> np.ndarray:
        """What an example adds to n (average − truth), of shape ``(bins, classes)``; for one coding.

        For one class against the others (below − auc) / share of its own examples and (above − auc) /
        (1 − share) of the others, so that mean squares give DeLong's variance. The average of several
        varies with the classes' shares besides.
        """
        single = len(self.auc) == 1
        auc, share = self.auc[:, None], self.share[:, None]
        weight = np.ones_like(share) if single else share
        own = weight * _ratio(self.below - auc, share)
        other = weight * _ratio(self.above - auc, 1 - share)
        if single:
            return np.stack([other[0], own[0]], axis=1)
        found: np.ndarray = (other.sum(axis=0) - other + own + auc - self.average).T
        return found


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Their ratio; 0 where there is nothing to divide by."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), 0.0)


def _mass_below(scores: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """For each bin, on the last axis, the mass at lower scores and half of that at its own score."""
    order = np.argsort(scores, axis=-1)
    ranked = np.take_along_axis(scores, order, -1)
    rises = ranked[..., 1:] != ranked[..., :-1]
    edge = np.ones((*scores.shape[:-1], 1), bool)
    places = np.arange(scores.shape[-1])
    begin = np.maximum.accumulate(np.where(np.concatenate([edge, rises], -1), places, 0), axis=-1)
    # The same from the other end: a run of equal scores ends where the next one begins.
    last = np.where(np.concatenate([rises, edge], -1), places, places[-1])
    end = np.minimum.accumulate(last[..., ::-1], axis=-1)[..., ::-1]
    sums = np.cumsum(np.take_along_axis(mass, order, -1), axis=-1)
    sums = np.concatenate([np.zeros((*scores.shape[:-1], 1)), sums], -1)
    middle = (np.take_along_axis(sums, begin, -1) + np.take_along_axis(sums, end + 1, -1)) / 2
    below = np.empty(scores.shape)
    np.put_along_axis(below, order, middle, -1)
    return below


def auc_estimate(tables: Tables, level: float) -> Estimate:
    """Held-out AUC, with DeLong's variance (DeLong et al. 1988) in an interval of Wilson's form (1927).

    A share A of n examples has the variance A (1 − A) / n, so an AUC with the variance v counts as a share of
    A (1 − A) / v. Unlike A ± z √v, its interval stays within [0, 1] and is not narrow next to 1 for want of
    counter-examples. Where v is 0 the greatest possible variance is taken, A (1 − A) over the
    examples of the rarer class (Birnbaum & Klose 1957).
    """
    ranking = Ranking.of(tables.probabilities, tables.mass)
    auc = clipped(float(ranking.average))
    variance = float((tables.square * ranking.influence**2).sum()) / tables.mass.sum() ** 2
    effective = auc * (1 - auc) / variance if variance > 0 else 0.0
    low, high = (float(end) for end in wilson(auc, effective or _fewest_effective(tables), level))
    return Estimate(
        value=auc,
        low=min(low, auc),
        high=max(high, auc),
        count=tables.examples,
        level=level,
        method="DeLong's variance in Wilson's form",
    )


def _fewest_effective(tables: Tables) -> float:
    """Examples of the rarer class, or their like for several; weighted ones count as of Kish (1965)."""
    own, square = tables.mass.sum(axis=0), tables.square.sum(axis=0)
    effective = np.minimum(_ratio(own**2, square), _ratio((own.sum() - own) ** 2, square.sum() - square))
    present = own > 0
    if not effective[present].all():
        return 0.0
    # The deviation of an average is at most the average of the deviations.
    return float((own[present] / own.sum() / np.sqrt(effective[present])).sum() ** -2)


def clipped(share: float) -> float:
    """At least 0 and at most 1."""
    return min(1.0, max(0.0, share))


def nmi_estimate(tables: Tables, level: float) -> Estimate:
    """Share of the label's entropy that a feature removes, by held-out cross-entropies.

    1 − L / L₀: mean negative log-likelihood of eval labels by the probabilities of their bins, over that by
    the shares of train. It estimates, from below, Theil's uncertainty coefficient I(X; Y) / H(Y)
    (Theil 1970), since fitted probabilities lose against the true ones (Gibbs' inequality). Below 0
    nothing was learned, and 0 is told.

    The interval is that of a ratio of means by the delta method. One example in which feature and label
    are independent is added for its width, lest it have none where every label was foretold.
    """
    loss, base = -np.log(tables.probabilities), -np.log(prior(tables.masses))
    mass = tables.mass
    whole = float((mass * base).sum())
    ratio = float((mass * loss).sum()) / whole
    independent = np.outer(mass.sum(axis=1), mass.sum(axis=0)) / mass.sum() ** 2
    variance = float(((tables.square + independent) * (loss - ratio * base) ** 2).sum()) / whole**2
    half = quantile(level) * math.sqrt(variance)
    return Estimate(
        value=clipped(1 - ratio),
        low=clipped(1 - ratio - half),
        high=clipped(1 - ratio + half),
        count=tables.examples,
        level=level,
        method="delta method",
    )
