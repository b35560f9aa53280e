"""Batches are drawn by Poisson sampling, and other ways to draw them are told from it."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from poisson import FixedSize, InBlocks, Mutant, Shuffled, Sticky, Uneven, p_values
from scipy import stats

from tfx_trust.components.errors import UsageError
from tfx_trust.components.privacy.sampling import PoissonSampler

EXAMPLES, STEPS = 200, 4_000


@pytest.mark.parametrize("probability", [0.02, 0.1, 0.5, 0.9])
def test_draws_pass_the_tests_of_poisson_sampling(probability: float) -> None:
    sampler = PoissonSampler(EXAMPLES, probability, EXAMPLES, seed=11)
    found = p_values([sampler.next() for _ in range(STEPS)], EXAMPLES, probability)
    assert min(found.values()) > 1e-3, found
    assert (sampler.drawn, sampler.truncated) == (STEPS, 0)


def test_draws_from_the_systems_entropy_pass_them_too() -> None:
    sampler = PoissonSampler(EXAMPLES, 0.1, EXAMPLES)
    found = p_values([sampler.next() for _ in range(STEPS)], EXAMPLES, 0.1)
    # They differ each time: once in millions of runs may fail.
    assert min(found.values()) > 1e-8, found


@pytest.mark.parametrize(
    ("mutant", "failed"),
    [
        (Shuffled, {"inclusion", "sizes", "size distribution", "next batch"}),
        (FixedSize, {"sizes", "size distribution", "pairs"}),
        (Uneven, {"inclusion"}),
        (Sticky, {"next batch"}),
        (InBlocks, {"sizes", "pairs"}),
    ],
)
def test_what_is_no_poisson_sampling_fails_them(mutant: type[Mutant], failed: set[str]) -> None:
    sampler = mutant(EXAMPLES, 0.1, EXAMPLES, seed=1)
    found = p_values([sampler.next() for _ in range(STEPS)], EXAMPLES, 0.1)
    assert failed <= {name for name, value in found.items() if value < 1e-8}, found


def test_sizes_and_inclusions_are_those_of_a_coin_for_each_example() -> None:
    random = np.random.default_rng(5)
    coins = random.random((STEPS, EXAMPLES)) < 0.05
    sampler = PoissonSampler(EXAMPLES, 0.05, EXAMPLES, seed=5)
    batches = [sampler.next() for _ in range(STEPS)]
    assert stats.ks_2samp(coins.sum(axis=1), [batch.size for batch in batches]).pvalue > 0.01
    # The first and the last example are where a sampler by gaps would go wrong.
    for example in (0, 1, EXAMPLES - 2, EXAMPLES - 1):
        times = sum(int(example in batch) for batch in batches)
        assert stats.binomtest(times, STEPS, 0.05).pvalue > 0.001


@given(
    examples=st.integers(1, 3_000),
    probability=st.floats(1e-12, 1),
    max_batch=st.integers(1, 400),
    seed=st.integers(0, 2**40),
)
def test_a_batch_is_ascending_without_repeats_and_within_bounds(
    examples: int, probability: float, max_batch: int, seed: int
) -> None:
    sampler = PoissonSampler(examples, probability, max_batch, seed)
    for _ in range(3):
        batch = sampler.next()
        assert batch.dtype == np.int64
        assert batch.size <= max_batch
        assert (np.diff(batch) > 0).all()
        assert ((batch >= 0) & (batch < examples)).all()


def test_all_are_drawn_with_probability_one() -> None:
    assert PoissonSampler(1_000, 1.0, 1_000).next().tolist() == list(range(1_000))


def test_a_batch_may_be_empty() -> None:
    sampler = PoissonSampler(10, 0.01, 10, seed=1)
    sizes = [sampler.next().size for _ in range(2_000)]
    assert stats.binomtest(sizes.count(0), 2_000, 0.99**10).pvalue > 0.001


def test_few_of_very_many_are_drawn_without_going_over_all() -> None:
    sampler = PoissonSampler(10**12, 1e-10, 500, seed=2)
    batch = sampler.next()
    assert 50 < batch.size < 160
    assert batch[-1] > 9 * 10**11


def test_a_batch_that_is_too_large_keeps_a_random_part() -> None:
    sampler = PoissonSampler(100, 0.5, 45, seed=4)
    batches = [sampler.next() for _ in range(STEPS)]
    whole = PoissonSampler(100, 0.5, 100, seed=4)
    assert max(batch.size for batch in batches) == 45
    assert sampler.truncated == pytest.approx(STEPS * stats.binom.sf(45, 100, 0.5), rel=0.05)
    assert whole.truncated == 0
    # No example, be it early or late, is cut off oftener than another.
    times = np.bincount(np.concatenate(batches), minlength=100)
    assert stats.chisquare(times).pvalue > 0.001
    # A batch of which a part is kept is spread over the data as it was.
    cut = [batch for batch in batches if batch.size == 45]
    assert np.mean(np.concatenate(cut)) == pytest.approx(49.5, abs=0.5)


def test_a_seed_repeats_the_draws() -> None:
    first, second, other = (PoissonSampler(1_000, 0.1, 200, seed=seed) for seed in (1, 1, 2))
    for _ in range(5):
        drawn = first.next()
        assert drawn.tolist() == second.next().tolist()
        assert drawn.tolist() != other.next().tolist()


def test_no_seed_of_other_generators_repeats_them() -> None:
    drawn = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        drawn.append(PoissonSampler(10_000, 0.1, 2_000).next().tolist())
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.1, 10), "examples = 0; at least 1 is needed"),
        ((10, 0.0, 10), "probability = 0.0; it must be above 0 and at most 1"),
        ((10, 1.5, 10), "probability = 1.5; it must be above 0 and at most 1"),
        ((10, float("nan"), 10), "probability = nan; it must be above 0 and at most 1"),
        ((10, 0.1, 0), "max_batch = 0; at least 1 is needed"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: tuple[int, float, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PoissonSampler(*arguments)
