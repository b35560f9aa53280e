"""The ROC curve of an attack, against slow twins, scipy, a bootstrap and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tfx_trust.components import InputError
from tfx_trust.components.privacy import roc
from tfx_trust.components.privacy.config import Claim

# Few values, so that there are ties.
scores_of_few = st.lists(st.integers(-3, 3), min_size=2, max_size=25).map(lambda rows: np.array(rows, float))


def normal(
    rng: np.random.Generator, shift: float, members: int, others: int
) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(shift, 1, members), rng.normal(0, 1, others)


# The area


def wins(members: np.ndarray, others: np.ndarray) -> np.ndarray:
    """1 where the member beats the other, 1/2 where they are equal: pair by pair."""
    return np.array([[float(a > b) + (a == b) / 2 for b in others] for a in members])


@given(scores_of_few, scores_of_few)
def test_area_and_its_deviation_are_those_pair_by_pair(members: np.ndarray, others: np.ndarray) -> None:
    pairs = wins(members, others)
    found = roc.area(members, others)
    variance = pairs.mean(1).var(ddof=1) / len(members) + pairs.mean(0).var(ddof=1) / len(others)
    assert found.value == pytest.approx(pairs.mean(), abs=1e-12)
    assert found.deviation == pytest.approx(math.sqrt(variance), abs=1e-12)


def test_deviation_is_that_of_a_bootstrap() -> None:
    rng = np.random.default_rng(3)
    members, others = normal(rng, 0.8, 300, 150)
    found = [
        roc.area(rng.choice(members, len(members)), rng.choice(others, len(others))).value
        for _ in range(1500)
    ]
    assert roc.area(members, others).deviation == pytest.approx(np.std(found), rel=0.06)


@pytest.mark.parametrize(("shift", "members", "others"), [(0.0, 40, 30), (0.36, 100, 200), (1.8, 60, 60)])
def test_interval_of_the_area_holds_it_as_often_as_it_says(shift: float, members: int, others: int) -> None:
    rng = np.random.default_rng(5)
    true, held, beyond, repeats = stats.norm.cdf(shift / math.sqrt(2)), 0, 0, 1500
    for _ in range(repeats):
        low, high = roc.area(*normal(rng, shift, members, others)).interval(0.95)
        held += low <= true <= high
        beyond += low > true
    assert held / repeats > 0.935
    # What a limit is tested by.
    assert beyond / repeats < 0.035


@given(scores_of_few, scores_of_few, st.floats(0.5, 0.95), st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=60)
def test_area_is_above_a_bound_where_its_interval_is(
    members: np.ndarray, others: np.ndarray, bound: float, level: float
) -> None:
    found = roc.area(members, others)
    low = found.interval(level)[0]
    if abs(low - bound) > 1e-6:
        assert (found.above(bound) < 1 - level) == (low > bound)


def test_area_of_perfect_and_of_equal_scores() -> None:
    perfect = roc.area(np.array([2.0, 3.0, math.inf]), np.array([0.0, 1.0, -math.inf]))
    assert perfect.value == 1.0
    low, high = perfect.interval(0.95)
    assert 0 < low < 1 == high
    assert roc.area(np.ones(50), np.ones(50)).value == 0.5


def test_area_of_one_side_alone_is_refused() -> None:
    with pytest.raises(
        InputError, match="3 members and 0 others; an attack needs some of both to tell apart"
    ):
        roc.area(np.ones(3), np.ones(0))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([[0.1, 0.2]], r"scores of members have the shape \(1, 2\); give one number for each example"),
        ([0.1, math.nan], "scores of members: 1 of 2 are not a number; leave these examples out"),
    ],
)
def test_what_are_no_scores_is_refused(scores: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        roc.checked(np.array(scores), "members")


# The advantage


def test_advantage_of_no_power_is_none_on_average() -> None:
    rng = np.random.default_rng(1)
    found = [roc.advantage(*normal(rng, 0.0, 100, 100), seed).value for seed in range(400)]
    assert abs(np.mean(found)) < 0.01


def test_advantage_is_that_of_the_best_threshold() -> None:
    # Of two normal distributions one apart, at 1/2.
    found = roc.advantage(*normal(np.random.default_rng(2), 1.0, 20_000, 20_000), 7)
    estimate = found.estimate(0.95)
    best = 2 * stats.norm.cdf(0.5) - 1
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < best < estimate.high
    assert estimate.high - estimate.low < 0.04
    assert found.above(best - 0.03) < 0.01 < 0.5 < found.above(best + 0.03)


def test_advantage_is_above_a_limit_no_more_often_than_the_level_allows() -> None:
    rng, limit = np.random.default_rng(9), 2 * stats.norm.cdf(0.25) - 1
    wrong = sum(roc.advantage(*normal(rng, 0.5, 400, 400), seed).above(limit) < 0.05 for seed in range(600))
    assert wrong / 600 < 0.04


# Low false positive rates


@given(st.integers(0, 60), st.integers(1, 60), st.sampled_from([0.8, 0.95, 0.999]))
def test_clopper_pearson_is_that_of_scipy(successes: int, more: int, level: float) -> None:
    count = successes + more - 1 if successes else more
    expected = stats.binomtest(successes, count).proportion_ci(level, method="exact")
    assert roc.clopper_pearson(successes, count, level) == pytest.approx(
        (expected.low, expected.high), abs=1e-9
    )


@pytest.mark.parametrize(
    ("shift", "members", "others", "rate"),
    [(1.0, 800, 800, 0.01), (2.0, 300, 100, 0.1), (1.0, 2000, 5000, 0.001), (0.0, 100, 100, 0.1)],
)
def test_interval_of_the_power_holds_it_at_the_true_rate(
    shift: float, members: int, others: int, rate: float
) -> None:
    rng, repeats = np.random.default_rng(4), 300
    true = stats.norm.sf(stats.norm.isf(rate) - shift)
    found = [roc.power_at(*normal(rng, shift, members, others), rate, 0.95) for _ in range(repeats)]
    held = sum(
        item.low <= true <= item.high for item in found if item.low is not None and item.high is not None
    )
    assert held / repeats > 0.96


def test_power_is_that_at_a_threshold_that_keeps_the_rate() -> None:
    others = np.arange(100.0)
    members = np.array([98.5] * 30 + [95.5] * 30 + [50.0] * 40)
    assert roc.power_at(members, others, 0.01, 0.95).value == 0.3
    assert roc.power_at(members, others, 0.04, 0.95).value == 0.6
    # Ties with the threshold would break the rate.
    assert roc.power_at(np.ones(50), np.ones(50), 0.5, 0.95).value == 0.0


def test_power_at_a_rate_that_so_few_others_cannot_show_is_unknown() -> None:
    found = roc.power_at(np.full(200, 2.0), np.linspace(0, 1, 50), 0.001, 0.95)
    assert found.value == 1.0
    assert (found.low, found.high) == (0.0, 1.0)


# What a guarantee allows


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 4.0])
def test_randomized_response_reaches_what_is_allowed(epsilon: float) -> None:
    share = math.exp(epsilon) / (1 + math.exp(epsilon))
    claim = Claim(epsilon=epsilon, delta=0.0)
    assert roc.allowed(1 - share, claim) == pytest.approx(share)


def test_the_bound_of_a_claim_is_that_of_its_hypothesis_tests() -> None:
    """TPR <= min(e^eps FPR + delta, 1 - e^-eps (1 - delta - FPR)): at 0, at 1, and where both meet."""
    claim = Claim(epsilon=np.log(3), delta=0.1)
    rates = np.array([0.0, 0.1, 0.225, 0.5, 1.0])
    assert roc.allowed(rates, claim) == pytest.approx([0.1, 0.4, 0.775, 1 - 0.4 / 3, 1.0])


@given(st.floats(1e-3, 900), st.floats(0, 0.1), st.floats(0.0, 1.0))
def test_what_is_allowed_lies_between_chance_and_one(epsilon: float, delta: float, rate: float) -> None:
    claim = Claim(epsilon=epsilon, delta=delta)
    found = roc.allowed(rate, claim)
    assert min(1.0, rate + delta) - 1e-9 <= found <= 1
    # The same region from the other side: a false negative rate and its true negative rate.
    # What 1 - found is off by comes back e^epsilon times as large.
    off = max(1e-6, math.exp(min(epsilon, 700)) * 2.0**-52)
    assert roc.allowed(1 - found, claim) == pytest.approx(1 - rate, abs=off) or found == 1


# The picture


@given(scores_of_few, scores_of_few)
def test_points_are_those_of_every_threshold(members: np.ndarray, others: np.ndarray) -> None:
    found = [(item.false_positive_rate, item.true_positive_rate) for item in roc.points(members, others)]
    curve = {
        ((others >= threshold).mean(), (members >= threshold).mean())
        for threshold in [math.inf, *members, *others]
    }
    for x, y in found:
        assert any((x, y) == pytest.approx(point) for point in curve)
    assert found == sorted(found)
    assert found[0] == (0.0, 0.0)
    assert found[-1] == (1.0, 1.0)


def test_points_are_few_and_reach_low_rates() -> None:
    found = roc.points(*normal(np.random.default_rng(6), 1.0, 30_000, 30_000))
    rates = [item.false_positive_rate for item in found]
    assert len(found) <= 200
    assert min(rate for rate in rates if rate > 0) < 1e-4
    assert sum(1e-4 < rate < 1e-2 for rate in rates) > 20
    assert max(np.diff(rates)) < 0.05
