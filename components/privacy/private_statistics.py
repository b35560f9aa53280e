"""Noisy statistics of columns: what the private analyzers release, and why its sensitivity is what it is.

Every statistic here is a sum over examples of a vector that each example contributes, released once with
Gaussian noise. Its *sensitivity* is the greatest L2 norm of such a vector: that much, and no more, does the
sum change when one example is added or removed. The noise's standard deviation is the noise multiplier
times the sensitivity.

**Whole numbers.** Contributions are rounded to multiples of 1 / `GRID` before they are summed, the sums are
exact, in int64, whatever the order of summation, and the noise is rounded to the same grid before it is
added. Rounding the sum of a whole number and a real one is the same as adding the whole number to the
rounded real one, so what is released is a function of the sum with unrounded noise: no low-order bits tell
of the data (Mironov 2012, "On significance of the least significant bits for differential privacy"). What
remains of the floating-point caveat is that the noise itself is made of uniform numbers of 53 bits and ends
at 8.5 standard deviations (a chance of 1e-17).
"""

from __future__ import annotations

import functools
import hashlib
import math
import numbers
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, Protocol

import numpy as np

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.report import Mechanism
from tfx_trust.components.report import Model

GRID = 1 << 20
"""Sums are kept in units of 1 / GRID."""
CELLS = 4096
"""Cells that the range of a column is cut into, for its quantiles."""
EXPONENTS = (-30, 64)
"""Powers of two that bounds are looked for among: magnitudes below the first count as 0, above the last as
the last."""
FAILURE = 1e-9
"""The probability at which noise alone makes a bound of a power of two that no value has."""
NOTHING = {"string": b"49d0cd50-04bb-48c0-bc6f-5b575dce351a", "int64": b"-1"}
"""The only word of a vocabulary in which no word is frequent enough, by type, as tft writes it: a table
needs one."""


class Receipt(Model):
    """What a private analyzer did, as it is written beside what it released."""

    receipt: Literal["tfx_trust.private_analyzer"] = "tfx_trust.private_analyzer"
    """Tells it from other texts."""
    mechanism: Mechanism
    """What it cost; `what` is the analyzer's name."""
    found: str
    """What it found out, in a clause."""
    depends: list[str] = []
    """Analyzers without privacy that its input was made with."""
    sha256: str = ""
    """Of the file that it wrote, in hexadecimal; empty where it wrote none."""


def gaussian(count: int) -> np.ndarray:
    """Standard normal numbers from the operating system's entropy, by Box & Muller (1958).

    Parameters
    ----------
    count
        How many.

    Returns
    -------
    numpy.ndarray
        float64 of shape ``(count,)``.
    """
    pairs = (count + 1) // 2
    bits = np.frombuffer(os.urandom(16 * pairs), np.uint64).reshape(2, pairs) >> np.uint64(11)
    radius = np.sqrt(-2 * np.log((bits[0] + 1.0) * 2.0**-53))
    angle = (2 * math.pi * 2.0**-53) * bits[1]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]


class Statistic(Protocol):
    """A sum over examples that can be released with noise."""

    @property
    def size(self) -> int:
        """Whole numbers in its sum."""

    @property
    def outputs(self) -> int:
        """Numbers that are told of it."""

    @property
    def sensitivity(self) -> float:
        """Greatest L2 norm of an example's contribution, in the units of the sum."""

    def sums(self, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """The sum over some examples, exact.

        Parameters
        ----------
        values
            float64 of shape ``(examples, columns)``.
        counts
            The same shape, int64: 1 where an example has a value, 0 where not.

        Returns
        -------
        numpy.ndarray
            int64 of shape ``(size,)``.
        """

    def released(self, total: np.ndarray, noise_multiplier: float) -> np.ndarray:
        """What is told of a sum: it with noise, drawn here, and what is computed of that alone.

        Parameters
        ----------
        total
            int64 of shape ``(size,)``.
        noise_multiplier
            Standard deviation of the noise, in units of the sensitivity.

        Returns
        -------
        numpy.ndarray
            float64 of shape ``(outputs,)``.
        """


@dataclass(frozen=True)
class Moments:
    """Means and variances of columns that lie in [-1, 1].

    An example contributes, for every column that it has a value u of, the three numbers 1, u and 2u² - 1,
    each of which lies in [-1, 1] and stays there when it is rounded to the grid; 0 for every other. So the
    squared norm of a contribution is at most 3 a column, and the sensitivity √(3 × columns), of all columns
    together. (With u² in place of 2u² - 1 it would be the same, and the variance twice as noisy.)

    Released are the means, then the variances. A variance is never told as less than the noise could hide.
    """

    columns: int
    """How many."""

    @property
    def size(self) -> int:  # noqa: D102
        return 3 * self.columns

    @property
    def outputs(self) -> int:  # noqa: D102
        return 2 * self.columns

    @property
    def sensitivity(self) -> float:  # noqa: D102
        return GRID * math.sqrt(3 * self.columns)

    def sums(self, values: np.ndarray, counts: np.ndarray) -> np.ndarray:  # noqa: D102
        there = counts > 0
        inside = np.where(there, np.clip(values, -1, 1), 0)
        parts = np.where(there, [np.ones_like(inside), inside, 2 * inside * inside - 1], 0)
        return np.rint(parts * GRID).astype(np.int64).sum(axis=1).reshape(-1)

    def released(self, total: np.ndarray, noise_multiplier: float) -> np.ndarray:  # noqa: D102
        deviation = noise_multiplier * self.sensitivity
        noisy = total + np.rint(deviation * gaussian(self.size)).astype(np.int64)
        count, first, second = noisy.reshape(3, self.columns) / GRID
        count = np.maximum(count, 1)
        mean = np.clip(first / count, -1, 1)
        square = np.clip((second / count + 1) / 2, 0, 1)
        hidden = np.minimum(deviation / GRID / count, 1)
        return np.concatenate([mean, np.maximum(square - mean * mean, hidden)])


@dataclass(frozen=True)
class Magnitudes:
    """Bounds of columns: powers of two that all but few values lie between.

    An example contributes, for every column that it has a value of, 1 to one cell of a histogram: that of
    the value's sign and its power of two. The squared norm of a contribution is the number of columns at
    most, and the sensitivity √columns. After Google's differential privacy library, the bounds are those of
    the outermost cells whose noisy count is beyond what noise alone would reach, but for a chance of
    `FAILURE`.

    Released are the lower bounds, then the upper ones.
    """

    columns: int
    """How many."""

    @property
    def _cells(self) -> int:
        return 2 * (EXPONENTS[1] - EXPONENTS[0]) + 1

    @property
    def size(self) -> int:  # noqa: D102
        return self.columns * self._cells

    @property
    def outputs(self) -> int:  # noqa: D102
        return 2 * self.columns

    @property
    def sensitivity(self) -> float:  # noqa: D102
        return GRID * math.sqrt(self.columns)

    def sums(self, values: np.ndarray, counts: np.ndarray) -> np.ndarray:  # noqa: D102
        low, high = EXPONENTS
        present = np.clip(np.where(counts > 0, values, 0), -np.ldexp(1.0, high), np.ldexp(1.0, high))
        # frexp is exact: 2^(e-1) <= |x| < 2^e.
        steps = np.clip(np.frexp(present)[1] - low, 1, high - low) * np.sign(present).astype(np.int64)
        steps = np.where(np.abs(present) < np.ldexp(1.0, low), 0, steps)
        return GRID * _histogram(steps + (high - low), counts, self._cells)

    def released(self, total: np.ndarray, noise_multiplier: float) -> np.ndarray:  # noqa: D102
        deviation = noise_multiplier * self.sensitivity
        noisy = total + np.rint(deviation * gaussian(self.size)).astype(np.int64)
        beyond = -deviation * NormalDist().inv_cdf(FAILURE / self.size)
        edges = np.ldexp(1.0, np.arange(EXPONENTS[0], EXPONENTS[1] + 1))
        lower = np.concatenate([-edges[:0:-1], [0.0], edges[:-1]])
        upper = np.concatenate([-edges[-2::-1], [0.0], edges[1:]])
        bounds = np.empty((2, self.columns))
        for column, cells in enumerate(noisy.reshape(self.columns, self._cells)):
            frequent = np.flatnonzero(cells > beyond)
            if not len(frequent):
                raise InputError(
                    f"private_bounds: no power of two has so many values in column {column} that they stand "
                    f"out from noise (about {math.ceil(beyond / GRID):,}); lower the noise multiplier, or "
                    "give bounds that are known to all"
                )
            bounds[:, column] = lower[frequent[0]], upper[frequent[-1]]
        return bounds.reshape(-1)


@dataclass(frozen=True)
class Ranks:
    """Quantiles of columns that lie in [-1, 1].

    The range of a column is cut into `CELLS` cells; an example contributes 1 to one cell of each column
    that it has a value of. What is released of a column's histogram h are its running sums, A h with A the
    lower triangle of ones. They are made of B h plus noise, B being the square root of A, the lower
    triangular matrix with f(i - j), f(k) = binomial(2k, k) / 4^k, in row i and column j (Henzinger,
    Upadhyay & Upadhyay 2023, "Almost tight error bounds on differentially private continual counting";
    Fichtenberger, Henzinger & Upadhyay 2023, "Constant matters"): B (B h + noise) = A h + B noise. B h
    changes by one column of B when an example comes or goes, whose squared norm is at most f(0)² + … +
    f(CELLS - 1)² = 3.7; over all columns of data together the sensitivity is the root of that, times
    √columns. The noise on any running sum of a single column is then at most 3.7 noise multipliers, where a
    plain histogram's would grow to 64 times.

    Released are, column by column, the lower edges of the cells in which the sums pass 1/n, …, (n-1)/n of
    their last, after they were made to rise. They are in order, and may be equal, as tft's.
    """

    buckets: tuple[int, ...]
    """How many parts each column is to be cut into."""

    @property
    def size(self) -> int:  # noqa: D102
        return CELLS * len(self.buckets)

    @property
    def outputs(self) -> int:  # noqa: D102
        return sum(self.buckets) - len(self.buckets)

    @property
    def sensitivity(self) -> float:  # noqa: D102
        return GRID * math.sqrt(len(self.buckets) * float(np.sum(_root() ** 2)))

    def sums(self, values: np.ndarray, counts: np.ndarray) -> np.ndarray:  # noqa: D102
        inside = np.where(counts > 0, np.clip(values, -1, 1), 0)
        cells = np.minimum(np.floor((inside + 1) * (CELLS / 2)).astype(np.int64), CELLS - 1)
        return GRID * _histogram(cells, counts, CELLS)

    def released(self, total: np.ndarray, noise_multiplier: float) -> np.ndarray:  # noqa: D102
        edges = []
        for buckets, noisy in zip(self.buckets, self.running(total, noise_multiplier), strict=True):
            rising = (np.maximum.accumulate(noisy) + np.minimum.accumulate(noisy[::-1])[::-1]) / 2
            wanted = max(rising[-1], 0.0) * np.arange(1, buckets) / buckets
            passed = np.minimum(np.searchsorted(rising, wanted), CELLS - 1)
            # A little less than the edge, so that rounding moves no value that lies on it.
            edges.append(np.maximum((passed - 1e-3) * (2 / CELLS) - 1, -1))
        return np.concatenate(edges)

    def running(self, total: np.ndarray, noise_multiplier: float) -> np.ndarray:
        """The running sums of the columns' histograms with noise, drawn here.

        Parameters
        ----------
        total, noise_multiplier
            As of `released`.

        Returns
        -------
        numpy.ndarray
            float64 of shape ``(columns, CELLS)``, in examples.
        """
        deviation = noise_multiplier * self.sensitivity
        cells = total.reshape(len(self.buckets), CELLS)
        white = deviation * gaussian(total.size).reshape(cells.shape)
        # The product with B is a convolution.
        noise = np.fft.irfft(np.fft.rfft(white, 2 * CELLS) * np.fft.rfft(_root(), 2 * CELLS))[:, :CELLS]
        return (np.cumsum(cells, axis=1) + np.rint(noise).astype(np.int64)) / GRID


def _histogram(cells: np.ndarray, counts: np.ndarray, size: int) -> np.ndarray:
    """Values by column and cell, flat."""
    columns = cells.shape[1]
    placed = cells + size * np.arange(columns)
    return np.bincount(placed[counts > 0], minlength=size * columns).astype(np.int64)


@functools.cache
def _root() -> np.ndarray:
    """Coefficients of (1 - x)^(-1/2)."""
    steps = np.arange(1, CELLS)
    return np.concatenate([[1.0], np.cumprod((2 * steps - 1) / (2 * steps))])


def threshold(noise_multiplier: float, delta: float) -> float:
    """The noisy count that a word must have to be in a private vocabulary.

    An example contributes one word, so that counts of words that others have as well change by 1 in one
    place: the sensitivity is 1. A word that it alone has is seen only where 1 plus the noise exceeds the
    threshold, which it does with probability `delta` at most (Korolova, Kenthapadi, Mishra & Ntoulas 2009,
    "Releasing search queries and clicks privately", with Gaussian noise).

    Examples
    --------
    >>> round(threshold(10.0, 1e-6), 1)
    48.5
    """
    return 1 - noise_multiplier * NormalDist().inv_cdf(delta)


def noisy_count(count: int, noise_multiplier: float, delta: float) -> float | None:
    """A word's count with noise, drawn here; none where it does not exceed the threshold."""
    noisy = count + round(GRID * noise_multiplier * float(gaussian(1)[0])) / GRID
    # What rounding may have added is taken off.
    return noisy if noisy - 1 / GRID > threshold(noise_multiplier, delta) else None


def ordered(noisy: Mapping[bytes, float], top_k: int | None) -> list[bytes]:
    """Words of a private vocabulary, the most frequent first."""
    return sorted(noisy, key=lambda word: (-noisy[word], word))[:top_k]


def digest(content: bytes) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def checked(values: np.ndarray, counts: np.ndarray, name: str) -> None:
    """Refuse values that no bound can be stated for.

    Parameters
    ----------
    values, counts
        As of `Statistic.sums`; values may be texts.
    name
        Of the analyzer, for the message.

    Raises
    ------
    InputError
        If an example has several values, or a value is no number.
    """
    if (counts > 1).any():
        raise InputError(
            f"{name}: examples have more than one value ({int((counts > 1).sum()):,} of {len(counts):,} in a "
            "batch); one example may contribute one value, or its share in the result has no bound: reduce "
            "them to one first"
        )
    if values.dtype.kind == "f" and np.isnan(values[counts > 0]).any():
        raise InputError(
            f"{name}: values are NaN ({int(np.isnan(values[counts > 0]).sum()):,} of "
            f"{int((counts > 0).sum()):,} in a batch); leave them out by `where`, or let missing values be "
            "missing: a feature of variable length, without a value there"
        )


def middle_and_half(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half the width of bounds; a width of 0, as where all is 0, is taken for 2."""
    return (low + high) / 2, np.where(high > low, (high - low) / 2, 1.0)


def checked_multiplier(noise_multiplier: Any, name: str) -> float:
    """The noise multiplier, refused where it is none."""
    if not (isinstance(noise_multiplier, numbers.Real) and 0 < float(noise_multiplier) < math.inf):
        raise InputError(
            f"{name}: noise_multiplier must be a positive number, such as 30, found {noise_multiplier!r}"
        )
    return float(noise_multiplier)


def checked_bounds(
    low: float | Sequence[float], high: float | Sequence[float], columns: int, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds that are known to all, float64 of shape ``(columns,)`` each, refused where they are none."""
    bounds = []
    for bound, which in ((low, "low"), (high, "high")):
        array = np.asarray(bound, np.float64)
        if array.shape not in ((), (columns,)):
            raise InputError(
                f"{name}: {which} has shape {array.shape}, and x has {columns} columns; give one number, or "
                "one a column"
            )
        bounds.append(np.broadcast_to(array, (columns,)))
    if not (np.isfinite(bounds).all() and (bounds[0] < bounds[1]).all()):
        raise InputError(f"{name}: low must be below high, and both finite; found low = {low}, high = {high}")
    return bounds[0], bounds[1]
