"""What chance gives: how many rows stand on both sides though nobody copied any.

Coded survey rows coincide by nature, so a bare share of common rows says little. Two baselines put
it in proportion. One keeps the rows and splits them anew: it exposes copies made after the split. The
other keeps each column's distribution and makes columns independent: it exposes copies made before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from tfx_trust.components.leakage.plan import FEW_ROWS
from tfx_trust.components.leakage.sample import Sample
from tfx_trust.components.report import Estimate

# Groups that are in eval as a whole less often than this add nothing that a float could hold.
_NEGLIGIBLE = 1e-18
_ROUNDING = 1e-6


@dataclass(frozen=True)
class RandomSplit:
    """Number of eval examples that also stand in train, over random splits of the same rows.

    Attributes
    ----------
    expected, sd
        Mean and standard deviation.
    """

    expected: float
    sd: float

    def p_value(self, observed: int) -> float:
        """Probability of `observed` or more: normal approximation with continuity correction."""
        # Where all rows differ the mean is 0 but for rounding.
        if observed <= self.expected + _ROUNDING:
            return 1.0
        if self.sd == 0:
            return 0.0
        return NormalDist().cdf(-max(0.0, observed - 0.5 - self.expected) / self.sd)

    def excess(self, observed: int, examples: int, level: float) -> Estimate:
        """`observed` beyond the mean, as a share of the `examples` of eval."""
        if not examples:
            return Estimate(value=0.0, count=0)
        half = NormalDist().inv_cdf((1 + level) / 2) * self.sd
        value = observed - self.expected
        return Estimate(
            value=value / examples,
            low=(value - half) / examples,
            high=(value + half) / examples,
            count=examples,
            level=level,
            method="random splits of the same rows",
        )


def random_split(sizes: Mapping[int, int], train: int, evaluation: int) -> RandomSplit:
    """The overlap of random splits, in closed form.

    An eval example is *not* in train when its whole group of equal rows fell into eval. Of N rows let n be
    drawn for eval without replacement. A group of m is among them as a whole with probability
    P(m) = (n)ₘ / (N)ₘ, two groups of a and b with P(a + b) (falling factorials; the hypergeometric
    distribution, e.g. Feller 1968, II.6). So with g(m) groups of each size the number of eval examples
    outside of train has the mean Σ g(m) m P(m), and a variance from these pair probabilities.

    Parameters
    ----------
    sizes
        Number of groups of equal rows by size, both splits pooled.
    train, evaluation
        Examples of each split.
    """
    total = train + evaluation
    if not train or not evaluation:
        return RandomSplit(0.0, 0.0)
    size = np.array([m for m in sorted(sizes) if m <= evaluation], np.int64)
    alone = all_drawn(size, evaluation, total)
    size, alone = size[alone > _NEGLIGIBLE], alone[alone > _NEGLIGIBLE]
    number = np.array([sizes[int(m)] for m in size], float)
    outside = float((number * size * alone).sum())
    variance = float((number * size**2 * alone * (1 - alone)).sum())
    if len(size):
        weight = size * alone
        pairs = np.outer(number, number) - np.diag(number)
        variance += float((pairs * np.outer(weight, weight) * _dependence(size, evaluation, total)).sum())
    return RandomSplit(max(evaluation - outside, 0.0), math.sqrt(max(variance, 0.0)))


def all_drawn(number: np.ndarray, drawn: int, total: int) -> np.ndarray:
    """P(m): the probability that m examples, named beforehand, are all among the drawn.

    (n)ₘ / (N)ₘ with n drawn out of N (falling factorials; Feller 1968, II.6), for each m of `number`.
    """
    steps = np.arange(min(drawn, int(number.max(initial=0))))
    logs = np.concatenate([[0.0], np.cumsum(np.log((drawn - steps) / (total - steps)))])
    return np.where(number <= drawn, np.exp(logs[np.minimum(number, len(steps))]), 0.0)


def _dependence(size: np.ndarray, drawn: int, total: int) -> np.ndarray:
    """P(a + b) / (P(a) P(b)) − 1 for each pair of sizes, accurate where it is next to 0."""
    steps = np.arange(int(size.max()))
    a = size[:, None]
    possible = a + steps < drawn
    # Beyond it the factors have no logarithm: the two groups do not fit into eval together.
    terms = np.where(
        possible,
        np.log1p(-np.where(possible, a, 0) / (drawn - steps))
        - np.log1p(-np.where(possible, a, 0) / (total - steps)),
        -np.inf,
    )
    logs = np.concatenate([np.zeros((len(size), 1)), np.cumsum(terms, axis=1)], axis=1)
    ratio: np.ndarray = np.expm1(logs[:, size])
    return ratio


def collision_probabilities(train: Sample, evaluation: Sample, columns: Sequence[str]) -> dict[str, float]:
    """By column: the probability that a train and an eval example have the same value there.

    Σ p(v) q(v) over the values v, estimated from the samples (from at most 20,000 rows of each).
    """
    train, evaluation = (sample.smallest(FEW_ROWS) for sample in (train, evaluation))
    pairs = float(train.examples) * float(evaluation.examples)
    found = {}
    for name in columns:
        here, there = train.column(name), evaluation.column(name)
        values, ids = np.unique(np.concatenate([here, there]), return_inverse=True)
        p = np.bincount(ids[: len(here)], train.count, len(values))
        q = np.bincount(ids[len(here) :], evaluation.count, len(values))
        found[name] = float(p @ q) / pairs if pairs else 0.0
    return found


def independent_columns(
    collisions: Mapping[str, float], columns: Sequence[str], train: int, evaluation: int
) -> float:
    """Upper bound of the eval examples that stand in train if columns were independent of each other.

    Two examples are then alike with the product of the columns' collision probabilities, q, and an
    eval example is like one of n train examples with probability 1 − (1 − q)ⁿ at most (by Jensen's
    inequality, as rows differ in how common they are).
    """
    log_q = sum(math.log(collisions[name]) if collisions[name] > 0 else -math.inf for name in columns)
    q = math.exp(log_q)
    return evaluation * -math.expm1(train * math.log1p(-q)) if q < 1 else float(evaluation)
