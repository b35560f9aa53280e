"""Corrections and the exact paired test, against statsmodels and slow twins."""

from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_statsmodels
from statsmodels.stats.multitest import multipletests

from tfx_trust.components.corrections import benjamini_hochberg, holm, mcnemar

Correct = Callable[[Sequence[float]], list[float]]

p_values = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.05, 1.0]), min_size=1, max_size=30)
METHODS = pytest.mark.parametrize(
    ("correct", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")], ids=["holm", "benjamini_hochberg"]
)


def test_holm_is_that_of_a_slow_twin() -> None:
    p_values = [0.02, 0.001, 0.2, 0.04]
    ranked = sorted(p_values)
    slow = [max(min(1, (4 - rank) * ranked[rank]) for rank in range(ranked.index(p) + 1)) for p in p_values]
    assert holm(p_values) == pytest.approx(slow)


@METHODS
@settings(deadline=None, max_examples=25)
@given(p_values)
def test_corrections_are_those_of_statsmodels(correct: Correct, name: str, p: list[float]) -> None:
    assert correct(p) == pytest.approx(multipletests(p, method=name)[1].tolist())


@METHODS
@given(p_values, st.randoms(use_true_random=False))
def test_corrections_do_not_depend_on_the_order(
    correct: Correct, name: str, p: list[float], random: Random
) -> None:
    order = random.sample(range(len(p)), len(p))
    assert correct([p[place] for place in order]) == [correct(p)[place] for place in order]


@given(p_values)
def test_corrected_p_values_are_no_smaller_and_holms_are_the_largest(p: list[float]) -> None:
    for raw, discovery, family in zip(p, benjamini_hochberg(p), holm(p)):
        assert raw <= discovery * (1 + 1e-12)
        assert discovery <= family * (1 + 1e-12)
        assert family <= 1


@METHODS
def test_nothing_to_correct_is_nothing(correct: Correct, name: str) -> None:
    assert correct([]) == []


def test_holm_keeps_the_family_wise_error_rate() -> None:
    random = np.random.default_rng(0)
    false_alarms = [min(holm(random.random(20).tolist())) < 0.05 for _ in range(4_000)]
    assert np.mean(false_alarms) == pytest.approx(0.05, abs=0.01)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_that_of_statsmodels(worse: int, better: int) -> None:
    expected = mcnemar_of_statsmodels([[3, worse], [better, 5]], exact=True).pvalue
    assert mcnemar(worse, better) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("worse", "better"), [(5_100, 4_900), (1_000_500, 999_500), (30_000, 0), (0, 900)])
def test_mcnemar_of_many_pairs_is_the_binomial_test(worse: int, better: int) -> None:
    expected = stats.binomtest(worse, worse + better, 0.5).pvalue
    # Logarithms of factorials of a million lose some digits.
    assert mcnemar(worse, better) == pytest.approx(expected, rel=1e-6)


@given(st.integers(0, 1_000), st.integers(0, 1_000))
def test_mcnemar_is_symmetric_and_a_probability(worse: int, better: int) -> None:
    assert 0 <= mcnemar(worse, better) == mcnemar(better, worse) <= 1


def test_mcnemar_keeps_its_level() -> None:
    """Exact: never above the level, at any number of discordant pairs."""
    for pairs in (1, 5, 6, 20, 100):
        chance = stats.binom.pmf(np.arange(pairs + 1), pairs, 0.5)
        rejected = [mcnemar(worse, pairs - worse) < 0.05 for worse in range(pairs + 1)]
        assert chance[rejected].sum() <= 0.05
