"""Poisson sampling: every example is in a step's batch by a coin's toss of its own."""

from __future__ import annotations

import math
import os

import numpy as np

from tfx_trust.components.errors import UsageError

# Keeps the draws of a seed apart from the noise of the same seed.
_STREAM = 0x5A3D


class PoissonSampler:
    """Draws batches in which every example is, by itself, with the same probability.

    It is what the amplification of privacy by sampling rests on (Abadi et al. 2016, "Deep learning with
    differential privacy"): the size of a batch is random, an example may be in two batches in a row or in
    none for long, and a batch may be empty. A batch above `max_batch` keeps a random part of it, which is the
    truncated sampling that dp-accounting accounts for (`TruncatedSubsampledGaussianDpEvent`).

    Instead of N coins, the gaps between those that fall on heads are drawn, which are geometric; a batch
    costs time that grows with its size and not with N. Randomness is the operating system's, fresh for each
    batch: there is no state from which draws could be foretold or found again.

    Parameters
    ----------
    examples
        N.
    probability
        Of each example to be in a batch.
    max_batch
        Most examples that a batch keeps.
    seed
        For tests: who knows it knows who was in which batch.

    Attributes
    ----------
    drawn : int
        Batches so far.
    truncated : int
        Those of them that were above `max_batch`.

    Raises
    ------
    UsageError
        If a number is out of its range.

    Examples
    --------
    >>> sampler = PoissonSampler(examples=1_000, probability=0.01, max_batch=20, seed=3)
    >>> sampler.next()
    array([401, 420, 508, 727, 935, 968])
    >>> sampler.next().size, sampler.drawn
    (9, 2)
    """

    def __init__(self, examples: int, probability: float, max_batch: int, seed: int | None = None) -> None:
        if examples < 1:
            raise UsageError(f"examples = {examples}; at least 1 is needed")
        if not 0 < probability <= 1:
            raise UsageError(f"probability = {probability}; it must be above 0 and at most 1")
        if max_batch < 1:
            raise UsageError(f"max_batch = {max_batch}; at least 1 is needed")
        self.examples = examples
        self.probability = probability
        self.max_batch = max_batch
        self.drawn = 0
        self.truncated = 0
        self._words = None if seed is None else np.random.Philox(np.random.SeedSequence((_STREAM, seed)))
        # Of the chance that an example is passed over.
        self._log_tails = -math.inf if probability == 1 else math.log1p(-probability)
        expected = examples * probability
        self._gaps_at_once = math.ceil(expected + 8 * math.sqrt(expected)) + 8

    def next(self) -> np.ndarray:
        """The next batch.

        Returns
        -------
        ndarray
            Positions of its examples, int64 of shape ``(size,)``, ascending; none for an empty batch.
        """
        batch = self._tossed()
        self.drawn += 1
        if batch.size <= self.max_batch:
            return batch
        self.truncated += 1
        kept = np.argpartition(self._random_words(batch.size), self.max_batch)[: self.max_batch]
        return np.sort(batch[kept])

    def _tossed(self) -> np.ndarray:
        """Positions at which the coin fell on heads."""
        runs: list[np.ndarray] = []
        last = -1
        while last < self.examples:
            # P(gap >= k) = P(1 - u <= (1 - q)^k) = (1 - q)^k.
            gaps = np.floor(np.log1p(-self._uniforms(self._gaps_at_once)) / self._log_tails)
            run = last + np.cumsum(np.minimum(gaps, self.examples).astype(np.int64) + 1)
            runs.append(run)
            last = int(run[-1])
        found = runs[0] if len(runs) == 1 else np.concatenate(runs)
        return found[: np.searchsorted(found, self.examples)]

    def _uniforms(self, count: int) -> np.ndarray:
        """Numbers in [0, 1), multiples of 2^-53."""
        return (self._random_words(count) >> np.uint64(11)) * 2.0**-53

    def _random_words(self, count: int) -> np.ndarray:
        if self._words is None:
            return np.frombuffer(os.urandom(8 * count), np.uint64)
        return np.asarray(self._words.random_raw(count))
