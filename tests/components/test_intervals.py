"""Intervals of shares, against statsmodels, slow twins and simulation."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from tfx_trust.components.intervals import (
    beyond,
    fisher,
    newcombe,
    paired,
    quantile,
    ratio,
    ratio_beyond,
    two_sided,
    unequal,
    wilson,
)

Share = tuple[float, int]
levels = st.sampled_from([0.6, 0.8, 0.9, 0.95, 0.99, 0.9999])


@st.composite
def observed(draw: st.DrawFn, most: int = 400) -> Share:
    """A share, and its denominator."""
    count = draw(st.integers(1, most))
    return draw(st.integers(0, count)) / count, count


def of(interval: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    low, high = interval
    return float(low), float(high)


# Quantiles.


@given(st.floats(0.01, 0.999999))
def test_quantiles_and_p_values_are_those_of_scipy(level: float) -> None:
    assert quantile(level) == pytest.approx(stats.norm.ppf((1 + level) / 2))
    assert two_sided(np.array(quantile(level))) == pytest.approx(1 - level, rel=1e-6)


def test_p_values_of_far_statistics_are_those_of_scipy() -> None:
    z = np.array([0.0, -1.96, 6.0, -12.0, 30.0, 60.0])
    assert two_sided(z) == pytest.approx(2 * stats.norm.sf(np.abs(z)), rel=1e-9)


# Shares.


@given(observed(), levels)
def test_wilson_is_that_of_statsmodels(one: Share, level: float) -> None:
    share, count = one
    expected = proportion_confint(round(share * count), count, alpha=1 - level, method="wilson")
    assert of(wilson(share, count, level)) == pytest.approx(expected, abs=1e-12)


@given(observed(), levels, levels)
def test_wilson_holds_the_share_within_0_and_1_and_widens_with_the_level(
    one: Share, level: float, other: float
) -> None:
    share, count = one
    low, high = of(wilson(share, count, level))
    assert 0 <= low <= share <= high <= 1
    lower, higher = of(wilson(share, count, max(level, other)))
    assert lower <= low
    assert high <= higher


@given(observed(), levels)
def test_wilson_mirrors(one: Share, level: float) -> None:
    share, count = one
    low, high = of(wilson(share, count, level))
    assert of(wilson(1 - share, count, level)) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@given(observed(), levels)
def test_wilson_narrows_with_the_count(one: Share, level: float) -> None:
    share, count = one
    (low, high), (lower, higher) = (of(wilson(share, n, level)) for n in (4 * count, count))
    assert high - low < higher - lower


def test_nothing_is_known_of_a_share_of_nothing() -> None:
    low, high = wilson(np.array([np.nan, 0.5, np.nan]), np.array([0, 0, 5]), 0.95)
    assert (low.tolist(), high.tolist()) == ([0, 0, 0], [1, 1, 1])
    low, high = newcombe(
        np.array([np.nan, 0.5]), np.array([0, 9]), np.array([0.5, np.nan]), np.array([9, 0]), 0.95
    )
    assert (low.tolist(), high.tolist()) == ([-1, -1], [1, 1])
    low, high = ratio(
        np.array([np.nan, 0.5]), np.array([0, 9]), np.array([0.5, np.nan]), np.array([9, 0]), 0.95
    )
    assert (low.tolist(), high.tolist()) == ([0, 0], [np.inf, np.inf])
    unknown = (np.array([np.nan, 0.5]), np.array([0, 9]), np.array([0.5, np.nan]), np.array([9, 0]))
    assert beyond(*unknown, 0.0).tolist() == [1, 1]
    assert ratio_beyond(*unknown, 0.8).tolist() == [1, 1]


def test_counts_need_not_be_whole() -> None:
    (low, high), (lower, higher) = of(wilson(0.3, 20.5, 0.95)), of(wilson(0.3, 20, 0.95))
    assert lower < low < 0.3 < high < higher


def test_arrays_of_any_shape_are_taken_value_by_value() -> None:
    shares, counts = np.array([[0.1, 0.5], [0.0, 1.0]]), np.array([[10, 20]])
    low, high = wilson(shares, counts, 0.9)
    assert low.shape == high.shape == (2, 2)
    for row, column in np.ndindex(2, 2):
        expected = of(wilson(shares[row, column], counts[0, column], 0.9))
        assert (low[row, column], high[row, column]) == pytest.approx(expected)


def coverage(
    truth: float, count: int, interval: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> float:
    """How often an interval holds the truth: exactly, by the distribution of the hits."""
    hits = np.arange(count + 1)
    low, high = interval(hits / count)
    return float(stats.binom.pmf(hits, count, truth)[(low <= truth) & (truth <= high)].sum())


@pytest.mark.parametrize(
    ("count", "truth"), [(10, 0.05), (10, 0.1), (20, 0.05), (30, 0.02), (50, 0.5), (100, 0.95)]
)
def test_wilson_covers_at_small_counts(count: int, truth: float) -> None:
    assert coverage(truth, count, lambda share: wilson(share, count, 0.95)) >= 0.9


def test_the_textbook_interval_would_not() -> None:
    def wald(share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        half = quantile(0.95) * np.sqrt(share * (1 - share) / 10)
        return share - half, share + half

    assert coverage(0.05, 10, wald) == pytest.approx(0.4, abs=0.01)


# Differences.


@given(observed(), observed(), levels)
def test_newcombe_is_that_of_statsmodels(one: Share, two: Share, level: float) -> None:
    (share, count), (other, other_count) = one, two
    hits, other_hits = round(share * count), round(other * other_count)
    expected = confint_proportions_2indep(
        hits, count, other_hits, other_count, method="newcomb", compare="diff", alpha=1 - level
    )
    assert of(newcombe(share, count, other, other_count, level)) == pytest.approx(expected, abs=1e-9)


@given(observed(), observed(), levels, levels)
def test_newcombe_holds_the_difference_and_widens_with_the_level(
    one: Share, two: Share, level: float, other: float
) -> None:
    low, high = of(newcombe(*one, *two, level))
    assert -1 - 1e-12 <= low <= one[0] - two[0] <= high <= 1 + 1e-12
    lower, higher = of(newcombe(*one, *two, max(level, other)))
    assert lower <= low
    assert high <= higher


@given(observed(), observed(), levels)
def test_newcombe_mirrors_when_the_two_change_places(one: Share, two: Share, level: float) -> None:
    low, high = of(newcombe(*one, *two, level))
    assert of(newcombe(*two, *one, level)) == pytest.approx((-high, -low), abs=1e-12)


def pairs(shape: tuple[int, int], truths: tuple[float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All shares that two samples can have, and the probability of each pair of them."""
    one, two = (np.arange(count + 1) / count for count in shape)
    chance = [stats.binom.pmf(np.arange(count + 1), count, truth) for count, truth in zip(shape, truths)]
    return *np.broadcast_arrays(one[:, None], two[None, :]), np.outer(*chance)


COUNTS = pytest.mark.parametrize("shape", [(10, 30), (30, 30), (30, 1_000), (200, 400)])
TRUTHS = pytest.mark.parametrize("truths", [(0.05, 0.05), (0.1, 0.3), (0.5, 0.5), (0.9, 0.8), (0.95, 0.7)])


@COUNTS
@TRUTHS
def test_newcombe_covers_the_difference(shape: tuple[int, int], truths: tuple[float, float]) -> None:
    share, other, chance = pairs(shape, truths)
    low, high = newcombe(share, shape[0], other, shape[1], 0.95)
    truth = truths[0] - truths[1]
    assert chance[(low <= truth) & (truth <= high)].sum() >= 0.93


# Tests of differences.


def slow_beyond(one: Share, two: Share, bound: float) -> float:
    """The level at which the interval of :func:`newcombe` just touches the bound, by bisection on it."""
    if abs(one[0] - two[0]) <= bound:
        return 1.0

    def excludes(level: float) -> bool:
        low, high = of(newcombe(*one, *two, level))
        return low > bound or high < -bound

    lowest, highest = 0.0, 1 - 1e-15
    for _ in range(80):
        middle = (lowest + highest) / 2
        lowest, highest = (middle, highest) if excludes(middle) else (lowest, middle)
    return 1 - lowest


@given(observed(), observed(), st.sampled_from([0.0, 0.02, 0.1, 0.5]))
def test_beyond_is_the_interval_inverted(one: Share, two: Share, bound: float) -> None:
    inputs = [np.array(value) for value in (*one, *two)]
    # Levels next to 1 have few digits left.
    assert float(beyond(*inputs, bound)) == pytest.approx(slow_beyond(one, two, bound), rel=1e-3, abs=1e-12)


@given(observed(), observed(), st.sampled_from([0.0, 0.02, 0.1]), levels)
def test_a_p_value_below_1_less_the_level_is_an_interval_that_excludes_the_bound(
    one: Share, two: Share, bound: float, level: float
) -> None:
    p = float(beyond(*(np.array(value) for value in (*one, *two)), bound))
    low, high = of(newcombe(*one, *two, level))
    if abs(p - (1 - level)) > 1e-9:
        assert (p < 1 - level) == (low > bound or high < -bound)


@given(observed(), observed(), st.floats(0, 0.5), st.floats(0, 0.5))
def test_beyond_grows_with_the_bound_and_is_symmetric(
    one: Share, two: Share, bound: float, other: float
) -> None:
    inputs, swapped = ([np.array(value) for value in shares] for shares in ((*one, *two), (*two, *one)))
    least, most = sorted((bound, other))
    assert 0 <= beyond(*inputs, least) <= beyond(*inputs, most) <= 1
    assert float(beyond(*inputs, least)) == pytest.approx(float(beyond(*swapped, least)), abs=1e-12)


def test_overwhelming_evidence_has_a_p_value_of_next_to_nothing() -> None:
    p = beyond(np.array(0.9), np.array(1e6), np.array(0.1), np.array(1e6), 0.1)
    assert 0 <= float(p) < 1e-300


@COUNTS
@pytest.mark.parametrize("truth", [0.05, 0.3, 0.5, 0.9])
def test_equal_shares_are_rarely_told_apart(shape: tuple[int, int], truth: float) -> None:
    share, other, chance = pairs(shape, (truth, truth))
    p = beyond(share, np.array(shape[0]), other, np.array(shape[1]), 0.0)
    assert chance[p < 0.05].sum() <= 0.07


@pytest.mark.parametrize("truth", [0.05, 0.3, 0.8])
def test_a_gap_that_is_just_tolerated_is_rarely_told_to_be_beyond(truth: float) -> None:
    share, other, chance = pairs((200, 1_000), (truth + 0.1, truth))
    assert chance[beyond(share, np.array(200), other, np.array(1_000), 0.1) < 0.05].sum() <= 0.04


# The exact test of equality.


@given(observed(), observed())
def test_fisher_is_twice_the_smaller_tail_of_scipy(one: Share, two: Share) -> None:
    """Of whole counts; others are rounded."""
    (n, m) = (int(one[1]), int(two[1]))
    x, y = round(one[0] * n), round(two[0] * m)
    table = [[x, n - x], [y, m - y]]
    tails = [stats.fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
    inputs = [np.array(value) for value in (x / n, n, y / m, m)]
    assert float(fisher(*inputs)) == pytest.approx(min(2 * min(tails), 1), rel=1e-8)
    assert float(fisher(*inputs[2:], *inputs[:2])) == pytest.approx(float(fisher(*inputs)), rel=1e-8)


def test_fisher_knows_nothing_of_a_share_of_nothing() -> None:
    unknown = np.array([np.nan, 0.5]), np.array([0, 10]), np.array([0.5, np.nan]), np.array([10, 0])
    assert fisher(*unknown).tolist() == [1, 1]
    assert unequal(*unknown).tolist() == [0, 0]


def test_the_exact_test_has_its_say_where_few_are_expected() -> None:
    share, count = np.array([2 / 41, 0.12]), np.array([41, 5_000])
    other, other_count = np.array([0.02, 0.1]), np.array([12_000, 12_000])
    p = fisher(share, count, other, other_count)
    assert unequal(share, count, other, other_count).tolist() == [p[0], 0]


@pytest.mark.parametrize("truth", [0.002, 0.02, 0.1])
@pytest.mark.parametrize("level", [0.05, 0.002])
def test_equal_shares_of_few_are_told_apart_no_more_often_than_allowed(truth: float, level: float) -> None:
    """Far out Newcombe's interval alone would not keep to it."""
    share, other, chance = pairs((41, 2_000), (truth, truth))
    both = share, np.array(41), other, np.array(2_000)
    plain = beyond(*both, 0.0)
    assert chance[np.maximum(plain, unequal(*both)) < level].sum() <= level
    if level < 0.05 and truth < 0.1:
        assert chance[plain < level].sum() > 3 * level


# Ratios.


def slow_ratio(one: Share, two: Share, level: float) -> tuple[float, float]:
    """Wilson's ends by statsmodels, put together on the logarithm (Zou & Donner 2008)."""
    (p1, _), (p2, _) = one, two
    (low1, high1), (low2, high2) = (
        proportion_confint(round(share * count), count, 1 - level, "wilson") for share, count in (one, two)
    )
    if p1 == 0 or p2 == 0:
        return (0.0 if p1 == 0 else low1 / high2), (math.inf if p2 == 0 else high1 / low2)
    below = math.hypot(math.log(p1 / low1), math.log(high2 / p2))
    above = math.hypot(math.log(high1 / p1), math.log(p2 / low2))
    return p1 / p2 * math.exp(-below), p1 / p2 * math.exp(above)


@given(observed(), observed(), levels)
def test_ratio_is_that_of_a_slow_twin(one: Share, two: Share, level: float) -> None:
    assert of(ratio(*one, *two, level)) == pytest.approx(slow_ratio(one, two, level), rel=1e-9)


@pytest.mark.parametrize("shares", [(0.3, 0.5), (0.5, 0.3), (0.9, 0.8), (0.05, 0.06)])
def test_ratio_of_many_examples_is_the_logarithmic_one_of_statsmodels(shares: tuple[float, float]) -> None:
    one, two = ((share, 100_000) for share in shares)
    expected = confint_proportions_2indep(
        *(round(share * count) if place == 0 else count for share, count in (one, two) for place in (0, 1)),
        method="log",
        compare="ratio",
    )
    assert of(ratio(*one, *two, 0.95)) == pytest.approx(expected, rel=1e-3)


@given(observed(), observed(), levels, levels)
def test_ratio_widens_with_the_level(one: Share, two: Share, level: float, other: float) -> None:
    low, high = of(ratio(*one, *two, level))
    lower, higher = of(ratio(*one, *two, max(level, other)))
    assert 0 <= lower <= low < high <= higher


@given(observed(), observed(), levels)
def test_ratio_inverts_when_the_two_change_places(one: Share, two: Share, level: float) -> None:
    low, high = of(ratio(*one, *two, level))
    lower, higher = of(ratio(*two, *one, level))
    assert high == pytest.approx(1 / lower) if two[0] > 0 else lower == 0
    assert higher == pytest.approx(1 / low) if one[0] > 0 else low == 0


@pytest.mark.parametrize("shape", [(30, 30), (30, 1_000), (200, 400)])
@TRUTHS
def test_ratio_covers_the_ratio(shape: tuple[int, int], truths: tuple[float, float]) -> None:
    share, other, chance = pairs(shape, truths)
    low, high = ratio(share, shape[0], other, shape[1], 0.95)
    truth = truths[0] / truths[1]
    assert chance[(low <= truth) & (truth <= high)].sum() >= 0.93


@given(observed(), observed(), st.sampled_from([0.5, 0.8, 0.9, 1.0]), levels)
def test_ratio_beyond_is_the_interval_inverted(one: Share, two: Share, bound: float, level: float) -> None:
    p = float(ratio_beyond(*(np.array(value) for value in (*one, *two)), bound))
    low, high = slow_ratio(one, two, level)
    if abs(p - (1 - level)) > 1e-9:
        assert (p < 1 - level) == (low > 1 / bound or high < bound)


@given(observed(), observed(), st.sampled_from([0.5, 0.8, 1.0]))
def test_ratio_beyond_is_symmetric_and_a_probability(one: Share, two: Share, bound: float) -> None:
    p, swapped = (
        float(ratio_beyond(*(np.array(value) for value in shares), bound))
        for shares in ((*one, *two), (*two, *one))
    )
    assert 0 <= p <= 1
    assert p == pytest.approx(swapped)


def test_no_ratio_is_told_of_two_shares_of_0() -> None:
    zero = (np.array(0.0), np.array(50), np.array(0.0), np.array(50))
    assert ratio_beyond(*zero, 0.8) == 1
    low, high = of(ratio(*zero, 0.95))
    assert low == 0
    assert high > 10


# Paired shares.


def slow_paired(worse: int, better: int, count: int, level: float) -> tuple[float, float]:
    """Bonett & Price (2012): one example added to each way of being discordant, two to all."""
    p12, p21 = (worse + 1) / (count + 2), (better + 1) / (count + 2)
    half = stats.norm.ppf((1 + level) / 2) * math.sqrt((p12 + p21 - (p12 - p21) ** 2) / (count + 2))
    return max(p12 - p21 - half, -1), min(p12 - p21 + half, 1)


@st.composite
def discordant(draw: st.DrawFn) -> tuple[int, int, int]:
    count = draw(st.integers(1, 300))
    worse = draw(st.integers(0, count))
    return worse, draw(st.integers(0, count - worse)), count


@given(discordant(), levels)
def test_paired_is_that_of_a_slow_twin(one: tuple[int, int, int], level: float) -> None:
    found = of(paired(*(np.array(value) for value in one), level))
    assert found == pytest.approx(slow_paired(*one, level), abs=1e-12)


@given(discordant(), levels)
def test_paired_mirrors_when_worse_and_better_change_places(one: tuple[int, int, int], level: float) -> None:
    worse, better, count = (np.array(value) for value in one)
    low, high = of(paired(worse, better, count, level))
    assert -1 <= low <= high <= 1
    assert of(paired(better, worse, count, level)) == pytest.approx((-high, -low), abs=1e-12)


@pytest.mark.parametrize("count", [20, 60, 500])
@pytest.mark.parametrize("truths", [(0.05, 0.05), (0.1, 0.02), (0.3, 0.1), (0.02, 0.2)])
def test_paired_covers_the_change(count: int, truths: tuple[float, float]) -> None:
    random = np.random.default_rng(0)
    worse, better, _ = random.multinomial(count, [*truths, 1 - sum(truths)], 20_000).T
    low, high = paired(worse, better, np.array(count), 0.95)
    truth = truths[0] - truths[1]
    assert np.mean((low <= truth) & (truth <= high)) >= 0.93
