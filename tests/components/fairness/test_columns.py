"""Metrics beside their references: Student's and Welch's intervals and tests, shares by Wilson."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tfx_trust.components.fairness.columns import Column, _normal_of, _student
from tfx_trust.components.fairness.curves import Calibration, beyond_chance
from tfx_trust.components.intervals import quantile

LEVELS = [0.8, 0.9, 0.95, 0.99]


@pytest.mark.parametrize("level", LEVELS)
def test_students_quantile_is_that_of_scipy(level: float) -> None:
    freedom = np.array([1, 2, 3, 4, 5, 8, 12, 20, 30.5, 100, 1e4, 1e8])
    expected = stats.t.ppf((1 + level) / 2, freedom)
    found = _student(quantile(level), freedom)
    assert found[:2] == pytest.approx(expected[:2], rel=1e-9)
    assert found[2:] == pytest.approx(expected[2:], rel=0.01)
    assert found[4:] == pytest.approx(expected[4:], rel=1e-3)


@given(st.floats(0, 40), st.floats(8, 1e5))
def test_students_statistic_is_about_as_unlikely_as_scipy_has_it(t: float, freedom: float) -> None:
    found = 2 * stats.norm.sf(_normal_of(np.array([t]), np.array([freedom])))[0]
    expected = 2 * stats.t.sf(t, freedom)
    assert found >= expected * (1 - 3e-3) - 1e-12
    if expected > 1e-3:
        assert found == pytest.approx(expected, rel=0.05)


def means(value: list[float], deviation: list[float], count: list[int]) -> Column:
    counts = np.array(count)
    return Column(
        np.array(value), counts, counts.astype(float), np.array(deviation), shares=False, bounds=(0.0, 1.0)
    )


def samples(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.beta(2, 5, 40), random.beta(2, 4, 90)


def column_of(*parts: np.ndarray) -> Column:
    return means(
        [part.mean() for part in parts],
        [part.std(ddof=1) / len(part) ** 0.5 for part in parts],
        [*map(len, parts)],
    )


@pytest.mark.parametrize("seed", range(5))
def test_differences_of_means_are_welchs(seed: int) -> None:
    one, other = samples(seed)
    first, second = column_of(one), column_of(other)
    expected = stats.ttest_ind(one, other, equal_var=False)
    assert first.beyond(second, 0.0)[0] == pytest.approx(expected.pvalue, rel=2e-3)
    a, b = one.var(ddof=1) / len(one), other.var(ddof=1) / len(other)
    freedom = (a + b) ** 2 / (a**2 / (len(one) - 1) + b**2 / (len(other) - 1))
    half = stats.t.ppf(0.975, freedom) * (a + b) ** 0.5
    low, high = first.difference(second, 0.95)
    gap = one.mean() - other.mean()
    assert (low[0], high[0]) == pytest.approx((gap - half, gap + half), rel=1e-5)


@pytest.mark.parametrize("bound", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("seed", range(5))
def test_a_difference_lies_beyond_a_bound_where_its_interval_does(seed: int, bound: float) -> None:
    first, second = column_of(samples(seed)[0]), column_of(samples(seed)[1] + 0.1)
    p = float(first.beyond(second, bound)[0])
    for level in (0.5, 0.8, 0.95, 0.99, 0.999):
        low, high = (float(end[0]) for end in first.difference(second, level))
        if abs(p - (1 - level)) > 0.01 * (1 - level):
            assert (p < 1 - level) == (low > bound or high < -bound)
    assert float(second.beyond(first, bound)[0]) == pytest.approx(p)


def test_of_one_example_or_none_nothing_is_known() -> None:
    column = means([0.3, np.nan, 0.2], [np.inf, np.nan, np.nan], [1, 0, 50])
    low, high = column.interval(0.95)
    assert (low.tolist(), high.tolist()) == ([0, 0, 0], [1, 1, 1])
    other = means([0.5] * 3, [0.01] * 3, [100] * 3)
    low, high = column.difference(other, 0.95)
    assert (low.tolist(), high.tolist()) == ([-1] * 3, [1] * 3)
    assert column.beyond(other, 0.0).tolist() == other.beyond(column, 0.0).tolist() == [1] * 3


def test_calibration_errors_of_few_examples_are_tested_without_a_warning() -> None:
    raw, chance = np.array([0.4, 0.5, 0.6, 0.1]), np.array([0.3, 0.2, 0.1, 0.0])
    count, deviation = np.array([1, 2, 3, 50]), np.array([0, 0.05, 0.05, 0.05])
    column = Column(
        beyond_chance(raw, chance),
        count,
        count.astype(float),
        deviation,
        shares=False,
        calibration=Calibration(raw, chance),
    )
    p = column.beyond(column.take(np.array([3, 3, 3, 3])), 0.0)
    assert ((p > 0) & (p <= 1)).all()
    assert p[3] == 1


def test_means_without_spread_differ_surely_or_not_at_all() -> None:
    column, other = means([0.2, 0.2], [0, 0], [50, 50]), means([0.2, 0.3], [0, 0], [50, 50])
    assert column.beyond(other, 0.0).tolist() == [1, 0]
    low, high = column.difference(other, 0.95)
    assert (low, high) == (pytest.approx([0, -0.1]), pytest.approx([0, -0.1]))


def test_intervals_stay_within_what_is_possible() -> None:
    low, high = means([0.01, 0.99], [0.1, 0.1], [5, 5]).interval(0.95)
    assert (low[0], high[1]) == (0, 1)


def test_enough_is_meant_but_for_rounding() -> None:
    column = Column(np.ones(3), np.full(3, 30), np.array([30 - 1e-12, 29.99, 30.01]), np.full(3, 30.0))
    assert column.enough(30).tolist() == [True, False, True]
    assert column.take(np.array([1, 0])).enough(30).tolist() == [False, True]
