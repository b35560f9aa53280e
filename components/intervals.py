"""Intervals of shares, and of the differences and ratios of two, on arrays.

A share of few examples is what gates are asked about most, and where the textbook interval (Wald) and the
percentile bootstrap fail: of 10 examples with a true share of 0.05 they hold it 4 times in 10, not 19 in 20.
Those here keep close to their level at any count. A count need not be whole: with weights it is the
effective count, (sum of weights)^2 / (sum of squared weights) (Kish 1965).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

_NORMAL = NormalDist()
# Beyond it a p-value is 0 for every purpose.
_FURTHEST = 38.0
_HALVINGS = 16
_STRAIGHT = 3
# Where a cell of the table of two shares expects fewer examples, the tails are not those of Wilson's form.
_FEW = 50.0
_NEGLIGIBLE = 1e-16

Interval = tuple[np.ndarray, np.ndarray]


def quantile(level: float) -> float:
    """The standard normal quantile of a two-sided interval.

    Examples
    --------
    >>> round(quantile(0.95), 4)
    1.96
    """
    return _NORMAL.inv_cdf((1 + level) / 2)


def two_sided(z: np.ndarray) -> np.ndarray:
    """Two-sided p-values of standard normal statistics."""
    erfc = np.frompyfunc(math.erfc, 1, 1)
    return np.asarray(erfc(np.abs(np.asarray(z, float)) / math.sqrt(2)), float)


def wilson(share: np.ndarray | float, count: np.ndarray | float, level: float) -> Interval:
    """Wilson's score interval of a share (Wilson 1927).

    Parameters
    ----------
    share
        Observed share, of any shape; NaN where there is none.
    count
        Its denominator.
    level
        Confidence level.

    Returns
    -------
    tuple of ndarray
        Lower and upper end; 0 and 1 of nothing.

    Examples
    --------
    >>> low, high = wilson(0.1, 10, 0.95)
    >>> round(float(low), 4), round(float(high), 4)
    (0.0179, 0.4042)
    """
    return _wilson(np.asarray(share, float), np.asarray(count, float), np.asarray(quantile(level)))


def _wilson(share: np.ndarray, count: np.ndarray, z: np.ndarray) -> Interval:
    known = (count > 0) & ~np.isnan(share)
    n, p = np.where(known, count, 1.0), np.where(known, share, 0.5)
    squared = z * z / n
    middle = (p + squared / 2) / (1 + squared)
    # Written so that nothing cancels at shares of 0 and 1.
    half = z / (1 + squared) * np.sqrt(p * (1 - p) / n + squared / (4 * n))
    low, high = np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
    low, high = np.where(p == 0, 0.0, low), np.where(p == 1, 1.0, high)
    return np.where(known, low, 0.0), np.where(known, high, 1.0)


def newcombe(
    share: np.ndarray | float,
    count: np.ndarray | float,
    other: np.ndarray | float,
    other_count: np.ndarray | float,
    level: float,
) -> Interval:
    """Interval of ``share - other`` of two independent samples: Newcombe's hybrid score (1998, method 10).

    Examples
    --------
    >>> low, high = newcombe(56 / 70, 70, 48 / 80, 80, 0.95)
    >>> round(float(low), 4), round(float(high), 4)
    (0.0524, 0.3339)
    """
    p1, n1, p2, n2 = (np.asarray(item, float) for item in (share, count, other, other_count))
    return _newcombe(p1, n1, p2, n2, np.asarray(quantile(level)))


def _newcombe(p1: np.ndarray, n1: np.ndarray, p2: np.ndarray, n2: np.ndarray, z: np.ndarray) -> Interval:
    low1, high1 = _wilson(p1, n1, z)
    low2, high2 = _wilson(p2, n2, z)
    gap = p1 - p2
    low = gap - np.sqrt((p1 - low1) ** 2 + (high2 - p2) ** 2)
    high = gap + np.sqrt((high1 - p1) ** 2 + (p2 - low2) ** 2)
    unknown = np.isnan(gap)
    return np.where(unknown, -1.0, low), np.where(unknown, 1.0, high)


def beyond(
    share: np.ndarray,
    count: np.ndarray,
    other: np.ndarray,
    other_count: np.ndarray,
    bound: np.ndarray | float,
) -> np.ndarray:
    """Two-sided p-values of ``|share - other| <= bound``: Newcombe's interval inverted.

    The p-value is 1 less the level at which the interval would just touch the bound; with a bound of 0 it is
    a test of equality. It is 1 where the difference itself lies within the bound, or there is none.
    """
    p1, n1, p2, n2, most = np.broadcast_arrays(
        *(np.asarray(item, float) for item in (share, count, other, other_count, bound))
    )
    gap = np.where(np.isnan(p1 - p2), 0.0, p1 - p2)
    # Mirrored where it is negative: then the lower end alone is of interest.
    flipped = gap < 0
    shares = np.where(flipped, [p2, p1], [p1, p2])
    counts = np.where(flipped, [n2, n1], [n1, n2])

    def lower(z: np.ndarray) -> np.ndarray:
        low, high = _wilson(shares, counts, z)
        return np.abs(gap) - np.sqrt((shares[0] - low[0]) ** 2 + (high[1] - shares[1]) ** 2)

    return inverted(lower, np.abs(gap), most)


def fisher(share: np.ndarray, count: np.ndarray, other: np.ndarray, other_count: np.ndarray) -> np.ndarray:
    """Two-sided p-values of ``share == other``: twice the smaller tail of Fisher's exact test (1935).

    Counts are rounded to whole numbers. It is 1 where a share is NaN or a count 0.

    Examples
    --------
    >>> fisher(np.array([3 / 10]), np.array([10]), np.array([2 / 100]), np.array([100])).round(4).tolist()
    [0.0101]
    """
    p1, n1, p2, n2 = np.broadcast_arrays(
        *(np.asarray(item, float) for item in (share, count, other, other_count))
    )
    unknown = np.isnan(p1 - p2) | (n1 <= 0) | (n2 <= 0)
    p1, p2 = np.where(unknown, 0.0, p1), np.where(unknown, 0.0, p2)
    flipped = p1 < p2
    n, m = np.rint(np.where(flipped, [n2, n1], [n1, n2]))
    x, y = np.rint(np.where(flipped, [p2, p1], [p1, p2]) * [n, m])
    first = _log_choose(n, x) + _log_choose(m, y) - _log_choose(n + m, x + y)
    # The tail, each term as a share of the first.
    term = total = np.ones(x.shape)
    while (term > _NEGLIGIBLE * total).any():
        term = term * ((n - x) * y / ((x + 1) * (m - y + 1)))
        total = total + term
        x, y = x + 1, y - 1
    return np.where(unknown, 1.0, np.minimum(2 * np.exp(first) * total, 1.0))


def unequal(share: np.ndarray, count: np.ndarray, other: np.ndarray, other_count: np.ndarray) -> np.ndarray:
    """:func:`fisher` where few examples are expected in a cell; 0, which refuses nothing, elsewhere.

    The tails of small counts are heavier than those of Wilson's form, the more so the further out: of shares
    of 0.02, with 41 examples beside 12,000, a p-value below 0.002 comes up more than four times as often.
    Shares that do not differ lie within any bound, so this p-value is a lower bound for :func:`beyond` and
    :func:`ratio_beyond`: with it equal shares are told apart no more often than the level allows.
    """
    p1, n1, p2, n2 = np.broadcast_arrays(
        *(np.asarray(item, float) for item in (share, count, other, other_count))
    )
    whole = np.maximum(n1 + n2, 1.0)
    positive = p1 * n1 + p2 * n2
    few = np.minimum(positive, whole - positive) * np.minimum(n1, n2) / whole < _FEW
    found = np.zeros(few.shape)
    found[few] = fisher(p1[few], n1[few], p2[few], n2[few])
    return found


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    log_gamma = np.frompyfunc(math.lgamma, 1, 1)
    return np.asarray(log_gamma(n + 1) - log_gamma(k + 1) - log_gamma(n - k + 1), float)


def ratio(
    share: np.ndarray | float,
    count: np.ndarray | float,
    other: np.ndarray | float,
    other_count: np.ndarray | float,
    level: float,
) -> Interval:
    """Interval of ``share / other``: Wilson's ends put together on the logarithm (Zou & Donner 2008).

    The plain logarithmic interval (Katz et al. 1978) rests on a variance that vanishes at a share of 1: of a
    true ratio of 0.95 to 0.7 and 30 examples it holds 84 in 100, this one 95. Where a share is 0 the ratio of
    the ends is taken, which is wider.

    Examples
    --------
    >>> low, high = ratio(0.3, 100, 0.5, 100, 0.95)
    >>> round(float(low), 3), round(float(high), 3)
    (0.418, 0.851)
    """
    p1, n1, p2, n2 = (np.asarray(item, float) for item in (share, count, other, other_count))
    low, high = _log_ratio(p1, n1, p2, n2, np.asarray(quantile(level)))
    with np.errstate(over="ignore"):
        return np.exp(low), np.exp(high)


def _log_ratio(p1: np.ndarray, n1: np.ndarray, p2: np.ndarray, n2: np.ndarray, z: np.ndarray) -> Interval:
    first, n_first, second, n_second = np.broadcast_arrays(p1, n1, p2, n2)
    shares, counts = np.stack([first, second]), np.stack([n_first, n_second])
    return _least_log_ratio(shares, counts, z), -_least_log_ratio(shares[::-1], counts[::-1], z)


def _least_log_ratio(shares: np.ndarray, counts: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Lower end of the logarithm of the first share over the second."""
    low, high = _wilson(shares, counts, z)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = np.log(shares)
        least, most = np.log(low[0]), np.log(high[1])
        end = first - second - np.sqrt((first - least) ** 2 + (most - second) ** 2)
        end = np.where((shares == 0).any(axis=0), least - most, end)
    unknown = (np.isnan(shares) | (counts <= 0)).any(axis=0)
    # Nothing of nothing may be any ratio.
    return np.where(unknown | np.isnan(end), -np.inf, end)


def ratio_beyond(
    share: np.ndarray,
    count: np.ndarray,
    other: np.ndarray,
    other_count: np.ndarray,
    bound: np.ndarray | float,
) -> np.ndarray:
    """Two-sided p-values of ``bound <= share / other <= 1 / bound``: :func:`ratio` inverted."""
    p1, n1, p2, n2, least = np.broadcast_arrays(
        *(np.asarray(item, float) for item in (share, count, other, other_count, bound))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.nan_to_num(np.log(p1) - np.log(p2), nan=0.0)
    flipped = gap < 0
    shares = np.where(flipped, [p2, p1], [p1, p2])
    counts = np.where(flipped, [n2, n1], [n1, n2])

    def lower(z: np.ndarray) -> np.ndarray:
        return _least_log_ratio(shares, counts, z)

    return inverted(lower, np.abs(gap), -np.log(least))


def paired(worse: np.ndarray, better: np.ndarray, count: np.ndarray, level: float) -> Interval:
    """Interval of ``(worse - better) / count`` of paired examples (Bonett & Price 2012, equation 4).

    Examples
    --------
    >>> low, high = paired(np.array(9), np.array(2), np.array(100), 0.95)
    >>> round(float(low), 4), round(float(high), 4)
    (0.0006, 0.1366)
    """
    b, c, n = (np.asarray(item, float) for item in (worse, better, count))
    first, second = (b + 1) / (n + 2), (c + 1) / (n + 2)
    gap = first - second
    half = quantile(level) * np.sqrt(np.maximum(first + second - gap**2, 0) / (n + 2))
    return np.maximum(gap - half, -1), np.minimum(gap + half, 1)


def inverted(lower: Callable[[np.ndarray], np.ndarray], value: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """P-values from the quantile at which a lower end, falling in the quantile, meets a bound."""
    begin, end = np.zeros(value.shape), np.full(value.shape, _FURTHEST)
    for _ in range(_HALVINGS):
        middle = (begin + end) / 2
        above = lower(middle) > bound
        begin, end = np.where(above, middle, begin), np.where(above, end, middle)
    # So near it is all but a straight line.
    with np.errstate(invalid="ignore"):
        over, under = lower(begin) - bound, bound - lower(end)
        for _ in range(_STRAIGHT):
            whole = over + under
            known = (whole > 0) & np.isfinite(whole)
            share = np.divide(over, whole, out=np.full(value.shape, 0.5), where=known)
            place = np.clip(begin + share * (end - begin), begin, end)
            left = lower(place) - bound
            begin, over = np.where(left > 0, place, begin), np.where(left > 0, left, over)
            end, under = np.where(left > 0, end, place), np.where(left > 0, under, -left)
    return np.where(value > bound, two_sided(np.where(over <= under, begin, end)), 1.0)
