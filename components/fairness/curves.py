"""AUC and calibration error of each slice and of all examples outside it, from counts by rank."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tfx_trust.components.fairness.slicing import Amounts, Ranked, Sliced
from tfx_trust.components.fairness.tally import firsts

# Ranks of about equal numbers of examples are taken together for the bootstrap: enough for the spread.
_QUANTILES = 32
# Floats that the replicates of a block of slices may take.
_MOST_HELD = 1 << 24
# Of all weights; less than this is rounding.
_NOTHING = 1e-12


@dataclass(frozen=True)
class Areas:
    """AUC by slice.

    Attributes
    ----------
    value
        Of shape ``(slices,)``; NaN where there are no positives or no negatives.
    bound
        Greatest error by taking scores of one rank for equal.
    """

    value: np.ndarray
    bound: np.ndarray


def areas(entries: Ranked, own: np.ndarray, slices: int) -> tuple[Areas, Areas]:
    """Area under the ROC curve of each slice, and of all examples outside it.

    It is the share of (positive, negative) pairs in which the positive has the greater score, equal scores
    counting half (Mann & Whitney 1947). Pairs outside a slice are all pairs, less those with a positive or a
    negative of the slice, plus those within it.

    Parameters
    ----------
    entries
        Examples by cell, rank and label.
    own
        Number of the slice of each entry.
    slices
        Number of slices.
    """
    number = len(entries.middles)
    by_label = np.bincount(entries.label * number + entries.rank, entries.amount, 2 * number)
    negatives, positives = by_label.reshape(2, number)
    below = np.cumsum(negatives) - negatives / 2
    above = positives.sum() - np.cumsum(positives) + positives / 2
    # The cells of a slice are put together.
    key = (own * number + entries.rank) * 2 + entries.label
    order = np.argsort(key, kind="stable")
    first = firsts(key[order])
    chosen = order[first]
    key, own, rank, label = key[chosen], own[chosen], entries.rank[chosen], entries.label[chosen]
    amount = np.add.reduceat(entries.amount[order], first) if len(first) else entries.amount
    negative, positive = np.flatnonzero(label == 0), np.flatnonzero(label == 1)
    of_negative, of_positive = own[negative], own[positive]
    less, more = amount[negative], amount[positive]
    n_negative, n_positive = np.bincount(of_negative, less, slices), np.bincount(of_positive, more, slices)
    before = np.cumsum(n_negative) - n_negative
    lower = np.cumsum(np.where(label == 0, amount, 0.0))[positive] - before[of_positive]
    # Negatives of a rank stand right before its positives.
    same = np.where(key[positive - 1] == key[positive] - 1, amount[positive - 1], 0.0)
    at_negative, at_positive = rank[negative], rank[positive]
    within = np.bincount(of_positive, more * (lower - same / 2), slices)
    tied = np.bincount(of_positive, more * same * entries.mixed[at_positive], slices)

    def with_all(of_positives: np.ndarray, of_negatives: np.ndarray) -> np.ndarray:
        first = np.bincount(of_positive, more * of_positives[at_positive], slices)
        return first + np.bincount(of_negative, less * of_negatives[at_negative], slices)

    concordant = with_all(below, above)
    tied_all = with_all(negatives * entries.mixed, positives * entries.mixed)
    everything = float((positives * below).sum())
    everything_tied = float((positives * negatives * entries.mixed).sum())
    rest_positive, rest_negative = _less(positives.sum(), n_positive), _less(negatives.sum(), n_negative)
    rest = everything - concordant + within, everything_tied - tied_all + tied
    return _areas(within, tied, n_positive * n_negative), _areas(*rest, rest_positive * rest_negative)


def _less(total: float, some: np.ndarray) -> np.ndarray:
    left = total - some
    return np.where(left > _NOTHING * total, left, 0.0)


def _areas(concordant: np.ndarray, tied: np.ndarray, pairs: np.ndarray) -> Areas:
    def share(values: np.ndarray) -> np.ndarray:
        return np.divide(values, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)

    return Areas(np.clip(share(concordant), 0, 1), np.clip(share(tied) / 2, 0, 0.5))


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error by slice.

    Attributes
    ----------
    raw
        Mean over the bins of ``|share of positives - mean score|``, weighted by their examples (Naeini et al.
        2015); of shape ``(slices,)``, NaN without examples.
    chance
        What it would be on average of a perfectly calibrated model with these scores and counts.
    """

    raw: np.ndarray
    chance: np.ndarray

    @property
    def value(self) -> np.ndarray:
        """The error beyond chance; at least 0."""
        return beyond_chance(self.raw, self.chance)

    def take(self, index: np.ndarray) -> Calibration:
        """That of some slices."""
        return Calibration(self.raw[index], self.chance[index])


def beyond_chance(raw: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """What is left of a calibration error without what chance adds to it.

    In a bin the share of positives misses the mean score by a true part and by chance, which add up as the
    standard deviations of independent numbers do, in squares. A difference would take too much from the error
    of a model that is not calibrated: of a true 0.067 and 1,000 examples it leaves 0.037, this 0.065.

    Examples
    --------
    >>> beyond_chance(np.array([0.05, 0.02]), np.array([0.03, 0.03])).round(9).tolist()
    [0.04, 0.0]
    """
    return np.sqrt(np.maximum(np.maximum(raw, 0) ** 2 - chance**2, 0))


def calibration(binned: Amounts, scores: np.ndarray) -> Calibration:
    """Calibration error, with the bias of few examples told apart.

    Even of a perfect model the shares of positives scatter, so that the plain error is above 0, the more
    the fewer examples a slice has. In each bin that part is the mean absolute deviation of a binomial share,
    by De Moivre's identity (Diaconis & Zabell 1991).

    Parameters
    ----------
    binned, scores
        Of shape ``(slices, bins, 2)``: examples, and sums of their scores, by bin of the score and label.
    """
    every = binned.sum(2)
    mean = np.divide(scores.sum(2), every.weight, out=np.zeros(every.weight.shape), where=every.weight > 0)
    rate = np.divide(
        binned.weight[:, :, 1], every.weight, out=np.zeros(every.weight.shape), where=every.weight > 0
    )
    total = every.weight.sum(1)
    share = np.divide(
        every.weight, total[:, None], out=np.zeros(every.weight.shape), where=total[:, None] > 0
    )
    raw = np.where(total > 0, (share * np.abs(rate - mean)).sum(1), np.nan)
    chance = (share * mean_absolute_deviation(every.effective, np.clip(mean, 0, 1))).sum(1)
    return Calibration(raw, chance)


def mean_absolute_deviation(count: np.ndarray, share: np.ndarray) -> np.ndarray:
    """``E|X / n - p|`` of a binomial X, by De Moivre's identity; a count is rounded to a whole number.

    Examples
    --------
    >>> mean_absolute_deviation(np.array([1.0, 2.0]), np.array([0.5, 0.5])).round(9).tolist()
    [0.5, 0.25]
    """
    n = np.maximum(np.rint(count), 1.0)
    middle = np.clip(np.floor(n * share) + 1, 1, n)
    log_gamma = np.frompyfunc(math.lgamma, 1, 1)
    choose = (log_gamma(n + 1) - log_gamma(middle + 1) - log_gamma(n - middle + 1)).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = choose + middle * np.log(share) + (n - middle + 1) * np.log1p(-share)
        found = 2 * middle * np.exp(log) / n
    return np.where((share <= 0) | (share >= 1) | (count <= 0), 0.0, found)


@dataclass(frozen=True)
class Spread:
    """Standard deviations over bootstrap replicates, of shape ``(slices,)``; NaN where there are none."""

    auc: np.ndarray
    rest_auc: np.ndarray
    calibration: np.ndarray
    rest_calibration: np.ndarray


class Bootstrap:
    """Replicates of the counts of one counted set of features (Efron 1979), in the Poisson form.

    Each cell's count is drawn anew from a Poisson distribution with itself as mean (Hanley & MacGibbon 2006):
    it costs by cells and not by examples, and the replicates of slices are sums of those of cells.
    Examples with weights are drawn by their effective count.

    Parameters
    ----------
    entries
        Examples by cell, rank and label.
    own
        Number of the finest slice that holds each entry: what is drawn together.
    inflation
        What an example counts for on average where there are weights: sum of squares by sum of weights.
    bins
        Of the calibration error.
    replicates, seed
        How many, and the seed.
    """

    def __init__(
        self, entries: Ranked, own: np.ndarray, inflation: float, bins: int, replicates: int, seed: int
    ) -> None:
        mass = np.bincount(entries.rank, entries.amount, len(entries.middles))
        # Rounded, as below, so that equal weights draw what none would, whatever their last digits are.
        position = np.round((np.cumsum(mass) - mass / 2) / mass.sum() * _QUANTILES, 6)
        quantile = np.minimum(position, _QUANTILES - 1).astype(int)
        bin_ = np.minimum((entries.middles * bins).astype(int), bins - 1)
        # Both ascend with the rank.
        numbered = bin_ * _QUANTILES + quantile
        first = firsts(numbered)
        group = np.repeat(np.arange(len(first)), np.diff(first, append=len(numbered)))
        self._bins = bin_[first]
        weight = np.bincount(group, mass)
        self._means = np.divide(
            np.bincount(group, mass * entries.middles), weight, out=np.zeros(len(first)), where=weight > 0
        )
        # One cell of each of the finest slices: the coarser slice that holds it holds all the others too.
        self._cells = np.zeros(own.max() + 1, np.int64)
        self._cells[own] = entries.cell
        shape = (2, len(self._cells), len(first))
        place = (entries.label * len(self._cells) + own) * len(first) + group[entries.rank]
        amounts = np.bincount(place, entries.amount, int(np.prod(shape))).reshape(shape)
        self._expected = np.round(amounts / inflation, 6)
        self._inflation = inflation
        self._replicates = replicates
        self._seed = [seed, len(self._cells), len(first)]
        self._kept: np.ndarray | None = None

    def _drawn(self) -> Iterator[np.ndarray]:
        """The replicates in blocks of shape ``(2, cells, replicates, groups)``; each time the same ones."""
        if self._kept is not None:
            yield self._kept
            return
        rng = np.random.default_rng(self._seed)
        label, cells, groups = self._expected.shape
        block = max(1, _MOST_HELD // self._expected.size)
        for begin in range(0, self._replicates, block):
            wanted = (label, cells, min(block, self._replicates - begin), groups)
            drawn = rng.poisson(self._expected[:, :, None], wanted).astype(np.float32)
            drawn *= np.float32(self._inflation)
            if block >= self._replicates:
                self._kept = drawn
            yield drawn

    def spread(self, slices: Sliced) -> Spread:
        """The spread of the metrics of the slices of a set of features."""
        own = slices.slice_of(self._cells)
        found = [self._metrics(drawn, own, len(slices.slices)) for drawn in self._drawn()]
        return Spread(*map(_deviation, np.concatenate(found, axis=2)))

    def _metrics(self, drawn: np.ndarray, own: np.ndarray, number: int) -> np.ndarray:
        """AUC and calibration error of slices and of what is outside, of shape (4, slices, replicates)."""
        total = drawn.sum(axis=1, keepdims=True)
        block = max(1, _MOST_HELD // total.size)
        found = []
        for begin in range(0, number, block):
            end = min(number, begin + block)
            part = np.stack([drawn[:, own == place].sum(axis=1) for place in range(begin, end)], axis=1)
            rest = total - part
            areas = _auc(*part), _auc(*rest)
            found.append(np.stack([*areas, self._calibration(*part), self._calibration(*rest)]))
        return np.concatenate(found, axis=1)

    def _calibration(self, negative: np.ndarray, positive: np.ndarray) -> np.ndarray:
        """Calibration errors of shape ``(slices, replicates)``."""
        every = negative + positive
        gap = np.add.reduceat(positive - every * self._means.astype(np.float32), firsts(self._bins), axis=-1)
        total = every.sum(axis=-1)
        return np.divide(
            np.abs(gap).sum(axis=-1), total, out=np.full(total.shape, np.nan, np.float32), where=total > 0
        )


def _auc(negative: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """AUC of each replicate, of shape ``(slices, replicates)``."""
    below = np.cumsum(negative, axis=-1) - negative / 2
    pairs = positive.sum(axis=-1) * negative.sum(axis=-1)
    concordant = np.einsum("srg,srg->sr", positive, below)
    return np.divide(concordant, pairs, out=np.full(pairs.shape, np.nan, np.float32), where=pairs > 0)


def _deviation(values: np.ndarray) -> np.ndarray:
    """Standard deviation over the replicates in which the metric is defined; NaN of fewer than two."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    filled = np.where(known, values, 0).astype(float)
    mean = filled.sum(axis=1) / np.maximum(count, 1)
    square = (np.where(known, filled - mean[:, None], 0) ** 2).sum(axis=1)
    return np.where(count > 1, np.sqrt(square / np.maximum(count - 1, 1)), np.nan)


def ranking_count(
    auc: np.ndarray, deviation: np.ndarray, positives: np.ndarray, negatives: np.ndarray
) -> np.ndarray:
    """How many examples a share with the AUC's variance would rest on.

    With it the interval takes Wilson's form, which does not leave [0, 1]. The variance is that of the
    replicates or, if it is greater, of two exponential distributions (Newcombe 2006, method 5): of few
    examples that happen to be ranked well the replicates vary too little. Where all of them rank alike, as
    those of a perfect ranking, the smaller class is what it rests on; it is never more than both together.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        count = auc * (1 - auc) / deviation**2
    both = (positives + negatives) / 2 - 1
    modelled = positives * negatives / (1 + both * ((1 - auc) / (2 - auc) + auc / (1 + auc)))
    count = np.where(count > 0, np.minimum(count, modelled), count)
    least, most = np.minimum(positives, negatives), positives + negatives
    count = np.where(np.isfinite(count) & (count > 0), count, least)
    return np.where(np.isnan(auc), 0.0, np.clip(count, np.minimum(1.0, least), most))
