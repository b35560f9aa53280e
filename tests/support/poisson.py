"""Tests of Poisson sampling on batches that were drawn, and samplers that are to fail them."""

from collections.abc import Sequence

import numpy as np
from scipy import stats


def p_values(batches: Sequence[np.ndarray], examples: int, probability: float) -> dict[str, float]:
    """How probable batches like these, or odder ones, are under Poisson sampling, by what is looked at.

    Two-sided, so that what is too regular is found as what is too irregular.
    """
    steps = len(batches)
    drawn = np.zeros((steps, examples))
    for step, batch in enumerate(batches):
        drawn[step, batch] = 1
    variance = probability * (1 - probability)
    sizes = drawn.sum(axis=1)
    pairs = examples * (examples - 1) / 2
    correlations = np.corrcoef(drawn.T)[np.triu_indices(examples, 1)]
    again = (drawn[1:] * drawn[:-1]).sum()
    return {
        # Each example is in as many batches as another,
        "inclusion": _chi2(
            ((drawn.sum(axis=0) - steps * probability) ** 2).sum() / (steps * variance), examples
        ),
        # sizes vary as the binomial distribution says,
        "sizes": _chi2(((sizes - examples * probability) ** 2).sum() / (examples * variance), steps),
        "size distribution": _fit(sizes, examples, probability),
        # an example's being in a batch tells nothing of another's,
        "pairs": 2 * stats.norm.sf(abs(steps * (correlations**2).sum() - pairs) / np.sqrt(2 * pairs)),
        # nor of its own in the next batch.
        "next batch": stats.binomtest(int(again), (steps - 1) * examples, probability**2).pvalue,
    }


def _chi2(statistic: float, freedom: int) -> float:
    return float(2 * min(stats.chi2.cdf(statistic, freedom), stats.chi2.sf(statistic, freedom)))


def _fit(sizes: np.ndarray, examples: int, probability: float) -> float:
    edges = stats.binom.ppf(np.linspace(0.05, 0.95, 10), examples, probability)
    cells = np.unique(edges)
    bounds = np.concatenate([[0], stats.binom.cdf(cells, examples, probability), [1]])
    found = np.bincount(np.searchsorted(cells, sizes), minlength=len(cells) + 1)
    return float(stats.chisquare(found, np.diff(bounds) * len(sizes)).pvalue)


class Mutant:
    """A sampler that is none: what all of these have in common."""

    def __init__(self, examples: int, probability: float, max_batch: int, seed: int | None = None) -> None:
        self.examples, self.probability, self.max_batch = examples, probability, max_batch
        self.size = round(examples * probability)
        self.random = np.random.default_rng(seed)
        self.drawn = self.truncated = 0


class Shuffled(Mutant):
    """Shuffles, and cuts into batches."""

    left = np.zeros(0, np.int64)

    def next(self) -> np.ndarray:
        if self.left.size < self.size:
            self.left = self.random.permutation(self.examples)
        batch, self.left = self.left[: self.size], self.left[self.size :]
        return np.sort(batch)


class FixedSize(Mutant):
    """A random subset, but always of the same size."""

    def next(self) -> np.ndarray:
        return np.sort(self.random.choice(self.examples, self.size, replace=False))


class Uneven(Mutant):
    """Every tenth example comes half again as often."""

    def next(self) -> np.ndarray:
        often = np.where(np.arange(self.examples) % 10 == 0, 1.5, 1.0)
        return np.flatnonzero(self.random.random(self.examples) < self.probability * often)


class Sticky(Mutant):
    """What was in the last batch is a little likelier to be in the next."""

    last = np.zeros(0, np.int64)

    def next(self) -> np.ndarray:
        chance = np.full(self.examples, self.probability * 0.97)
        chance[self.last] = self.probability * 1.27
        self.last = np.flatnonzero(self.random.random(self.examples) < chance)
        return self.last


class InBlocks(Mutant):
    """Neighbours are drawn together, as a file is read in blocks."""

    def next(self) -> np.ndarray:
        return np.flatnonzero(np.repeat(self.random.random(self.examples // 2) < self.probability, 2))
