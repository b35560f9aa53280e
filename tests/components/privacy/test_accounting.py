"""Epsilon, held against dp-accounting itself, closed forms, published numbers and slow twins."""

import math
from typing import Any

import dp_accounting
import numpy as np
import pytest
from dp_accounting import pld, rdp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from tfx_trust.components import UsageError
from tfx_trust.components.privacy import accounting
from tfx_trust.components.privacy.accounting import (
    check_delta,
    curve,
    default_delta,
    epsilon_of,
    guarantees,
    passes,
    roughly,
)
from tfx_trust.components.privacy.config import AccountantName, Adjacency, PrivacySettings
from tfx_trust.components.privacy.report import Mechanism

ADULT = 32_561
DELTA = ADULT**-1.1
RELATIONS = {
    "add_or_remove_one": dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE,
    "replace_one": dp_accounting.NeighboringRelation.REPLACE_ONE,
}
BOTH: tuple[Adjacency, ...] = ("add_or_remove_one", "replace_one")


def poisson(
    noise: float, steps: int = 2543, batch: int = 256, examples: int = ADULT, **further: Any
) -> Mechanism:
    return Mechanism(
        what="training",
        noise_multiplier=noise,
        sampling="poisson",
        sampling_probability=batch / examples,
        steps=steps,
        examples=examples,
        **further,
    )


def plain(noise: float, steps: int = 1, **further: Any) -> Mechanism:
    return Mechanism(what="mean", noise_multiplier=noise, steps=steps, examples=ADULT, **further)


def event(noise: float, batch: int = 256, examples: int = ADULT) -> dp_accounting.DpEvent:
    return dp_accounting.PoissonSampledDpEvent(batch / examples, dp_accounting.GaussianDpEvent(noise))


def balle_wang(noise: float, delta: float) -> float:
    """Epsilon of the Gaussian mechanism of sensitivity 1: Balle & Wang (2018), Theorem 8, by bisection."""

    def missing(epsilon: float) -> float:
        first = stats.norm.cdf(1 / (2 * noise) - epsilon * noise)
        second = stats.norm.logcdf(-1 / (2 * noise) - epsilon * noise)
        return float(first - math.exp(epsilon + second) - delta)

    return 0.0 if missing(0.0) <= 0 else float(optimize.brentq(missing, 0.0, 500.0, xtol=1e-12))


# Against dp-accounting


@pytest.mark.parametrize(
    ("noise", "steps", "batch", "examples", "delta"),
    [(1.0, 2543, 256, ADULT, DELTA), (1.5, 14_062, 256, 60_000, 1e-5), (3.0, 100, 512, 5_000, 1e-6)],
)
@pytest.mark.parametrize("adjacency", BOTH)
def test_pld_is_that_of_dp_accounting(
    noise: float, steps: int, batch: int, examples: int, delta: float, adjacency: Adjacency
) -> None:
    direct = pld.PLDAccountant(RELATIONS[adjacency]).compose(event(noise, batch, examples), steps)
    found = epsilon_of([poisson(noise, steps, batch, examples)], delta, adjacency=adjacency)
    assert found == pytest.approx(direct.get_epsilon(delta), rel=1e-4)


@pytest.mark.parametrize("noise", [0.5, 1.0, 4.0])
def test_rdp_is_that_of_dp_accounting(noise: float) -> None:
    direct = rdp.RdpAccountant().compose(event(noise), 2543).get_epsilon(DELTA)
    assert epsilon_of([poisson(noise)], DELTA, accountant="rdp") == pytest.approx(direct, rel=1e-12)


def test_several_mechanisms_are_composed_as_dp_accounting_does() -> None:
    mechanisms = [plain(12.0), poisson(2.0, 500), plain(20.0, steps=3)]
    for direct, accountant in ((pld.PLDAccountant(), "pld"), (rdp.RdpAccountant(), "rdp")):
        direct.compose(dp_accounting.GaussianDpEvent(12.0)).compose(event(2.0), 500)
        direct.compose(dp_accounting.GaussianDpEvent(20.0), 3)
        for order in (mechanisms, mechanisms[::-1]):
            found = epsilon_of(order, DELTA, accountant="pld" if accountant == "pld" else "rdp")
            assert found == pytest.approx(direct.get_epsilon(DELTA), rel=1e-4), accountant


@pytest.mark.parametrize(("max_batch", "adjacency"), [(384, BOTH[0]), (300, BOTH[0]), (300, BOTH[1])])
def test_cut_batches_cost_what_dp_accounting_says(max_batch: int, adjacency: Adjacency) -> None:
    cut = dp_accounting.TruncatedSubsampledGaussianDpEvent(
        dataset_size=ADULT,
        sampling_probability=256 / ADULT,
        truncated_batch_size=max_batch,
        noise_multiplier=3.0,
    )
    direct = pld.PLDAccountant(RELATIONS[adjacency]).compose(cut, 500).get_epsilon(DELTA)
    found = epsilon_of([poisson(3.0, 500, max_batch=max_batch)], DELTA, adjacency=adjacency)
    assert found == pytest.approx(direct, rel=1e-3)


# Against closed forms


@pytest.mark.parametrize("noise", [0.05, 0.3, 1.0, 3.7, 20.0])
@pytest.mark.parametrize("delta", [1e-9, 1e-5, 0.01])
def test_without_sampling_it_is_the_analytic_gaussian_mechanism(noise: float, delta: float) -> None:
    assert epsilon_of([plain(noise)], delta) == pytest.approx(balle_wang(noise, delta), rel=1e-6, abs=1e-9)


def test_gaussians_come_down_to_one() -> None:
    together = (3 / 4.0**2 + 2 / 9.0**2) ** -0.5
    assert epsilon_of([plain(4.0, steps=3), plain(9.0, steps=2)], 1e-5) == pytest.approx(
        balle_wang(together, 1e-5), rel=1e-6
    )
    # Thousands of them at once, as of a training on all examples at each step.
    assert epsilon_of([plain(100.0, steps=10_000)], 1e-5) == pytest.approx(balle_wang(1.0, 1e-5), rel=1e-6)


@pytest.mark.parametrize("accountant", ["pld", "rdp"])
def test_replacing_an_example_moves_a_sum_twice_as_far(accountant: AccountantName) -> None:
    replaced = epsilon_of([plain(6.0)], 1e-5, accountant=accountant, adjacency="replace_one")
    assert replaced == pytest.approx(epsilon_of([plain(3.0)], 1e-5, accountant=accountant), rel=1e-9)


def test_a_probability_of_one_is_no_sampling() -> None:
    assert epsilon_of([poisson(20.0, 50, batch=ADULT)], 1e-5) == epsilon_of([plain(20.0, 50)], 1e-5)


@pytest.mark.parametrize("delta", [1e-6, 1e-9, 1e-12])
def test_rounding_never_makes_it_too_small(delta: float) -> None:
    # As good as no sampling, but composed step by step.
    almost = poisson(20.0, 1000).model_copy(update={"sampling_probability": 1 - 1e-9})
    exact = balle_wang(20 / math.sqrt(1000), delta)
    found = epsilon_of([almost], delta)
    assert exact * (1 - 1e-9) <= found <= exact * 1.01


@pytest.mark.parametrize(
    ("probability", "noise", "order"), [(1.0, 2.0, 3.0), (0.01, 1.0, 2.5), (0.3, 0.8, 8.0)]
)
def test_divergence_of_a_replacement_is_that_of_the_integral(
    probability: float, noise: float, order: float
) -> None:
    def log_mixture(x: float, side: float) -> float:
        moved, still = stats.norm.logpdf(x, side, noise), stats.norm.logpdf(x, 0, noise)
        at_rest = math.log1p(-probability) if probability < 1 else -math.inf
        return float(np.logaddexp(math.log(probability) + moved, at_rest + still))

    def integrand(x: float) -> float:
        return math.exp(order * log_mixture(x, 1.0) + (1 - order) * log_mixture(x, -1.0))

    integral, _ = integrate.quad(integrand, -12.0, 2 * order + 10, limit=1000)
    found = accounting._divergence_of_replacement(noise, probability, order)
    assert found == pytest.approx(math.log(integral) / (order - 1), rel=1e-6)
    if probability == 1.0:
        assert found == pytest.approx(order * (2 / noise) ** 2 / 2, rel=1e-9)


# Against published numbers


@pytest.mark.parametrize(
    ("noise", "epochs", "published"), [(1.3, 15, 1.19), (1.1, 60, 3.01), (0.7, 45, 7.10)]
)
def test_a_published_table_is_reproduced(noise: float, epochs: int, published: float) -> None:
    """TensorFlow Privacy's tutorial: MNIST, batches of 256, delta 1e-5, converted as by Mironov (2017)."""
    training = poisson(noise, epochs * 60_000 // 256, 256, 60_000)
    orders = np.array(accounting._ORDERS)
    divergences = np.array(accounting._divergences(noise, 256 / 60_000, "add_or_remove_one"))
    old = float(np.min(training.steps * divergences + math.log(1e5) / (orders - 1)))
    assert old == pytest.approx(published, abs=0.01)
    # Today's conversion is tighter, and distributions are tighter still.
    assert epsilon_of([training], 1e-5) < epsilon_of([training], 1e-5, accountant="rdp") < old


@pytest.mark.parametrize(
    ("epochs", "shuffled", "sampled"), [(1, 4.36, 0.60), (5, 11.44, 1.13), (20, 28.29, 2.23)]
)
def test_a_shuffled_dataset_costs_a_gaussian_a_pass(epochs: int, shuffled: float, sampled: float) -> None:
    settings = PrivacySettings(noise_multiplier=1.0, epochs=epochs, batch_size=256, sampling="shuffle")
    training = poisson(1.0, settings.steps_for(ADULT))
    assert epsilon_of([training.model_copy(update={"sampling": "shuffle"})], DELTA) == pytest.approx(
        shuffled, abs=0.01
    )
    assert epsilon_of([training], DELTA) == pytest.approx(sampled, abs=0.01)


@pytest.mark.parametrize(
    ("steps", "batch", "examples", "count"),
    [
        (127, 256, 32_512, 1),
        (128, 256, 32_512, 2),
        (10, 10, 100, 1),
        (11, 10, 100, 2),
        (3, 100, 100, 3),
        (1, 7, 9, 1),
    ],
)
def test_passes_over_a_shuffled_dataset_are_counted_up(
    steps: int, batch: int, examples: int, count: int
) -> None:
    shuffled = poisson(1.0, steps, batch, examples).model_copy(update={"sampling": "shuffle"})
    assert passes(shuffled) == count


# Properties

MECHANISMS = st.builds(
    poisson,
    noise=st.floats(0.8, 20),
    steps=st.integers(1, 5000),
    batch=st.integers(1, 5000),
    examples=st.just(10_000),
)


@settings(deadline=None, max_examples=10)
@given(MECHANISMS, st.floats(1e-9, 1e-3), st.sampled_from(BOTH))
def test_more_of_anything_costs_more(mechanism: Mechanism, delta: float, adjacency: Adjacency) -> None:
    def cost(delta: float, adjacency: Adjacency, **changed: Any) -> float:
        return epsilon_of(
            [mechanism.model_copy(update=changed)], delta, accountant="rdp", adjacency=adjacency
        )

    here = cost(delta, adjacency)
    assert cost(delta, adjacency, steps=mechanism.steps * 2) >= here
    assert cost(delta, adjacency, noise_multiplier=mechanism.noise_multiplier * 2) <= here
    assert cost(delta * 10, adjacency) <= here
    assert cost(delta, "replace_one") >= cost(delta, "add_or_remove_one") * (1 - 1e-9)


@settings(deadline=None, max_examples=6)
@given(
    st.builds(poisson, st.floats(1.5, 5), st.integers(1, 300), st.integers(10, 500), st.just(5_000)),
    st.sampled_from(BOTH),
)
def test_divergences_bound_distributions_and_a_coarse_grid_bounds_a_fine_one(
    mechanism: Mechanism, adjacency: Adjacency
) -> None:
    exact = epsilon_of([mechanism], 1e-5, adjacency=adjacency)
    assert exact <= epsilon_of([mechanism], 1e-5, accountant="rdp", adjacency=adjacency)
    assert exact * (1 - 1e-6) <= roughly([mechanism], 1e-5, adjacency=adjacency) <= exact * 1.02 + 1e-3


def test_steps_may_be_told_in_parts() -> None:
    parts = epsilon_of([poisson(1.0, 200), poisson(1.0, 300)], 1e-5)
    assert parts == epsilon_of([poisson(1.0, 500)], 1e-5)


def test_what_was_not_done_costs_nothing() -> None:
    assert epsilon_of([], 1e-5) == 0
    assert epsilon_of([poisson(0.1, 0), plain(0.1, 0)], 1e-5) == 0
    assert epsilon_of([plain(2.0), poisson(0.1, 0)], 1e-5) == epsilon_of([plain(2.0)], 1e-5)


@pytest.mark.parametrize("accountant", ["pld", "rdp"])
def test_other_failures_are_taken_off_delta(accountant: AccountantName) -> None:
    def cost(mechanism: Mechanism, delta: float) -> float:
        return epsilon_of([mechanism], delta, accountant=accountant)

    failing = plain(2.0, extra_delta=4e-6)
    assert cost(failing, 1e-5) == pytest.approx(cost(plain(2.0), 6e-6), rel=1e-9)
    assert cost(plain(2.0, steps=2, extra_delta=4e-6), 1e-5) == pytest.approx(
        cost(plain(2.0, steps=2), 2e-6), rel=1e-9
    )
    assert cost(failing, 4e-6) == math.inf
    assert cost(failing, 1e-6) == math.inf


def test_a_batch_that_is_often_cut_costs_more() -> None:
    costs = [epsilon_of([poisson(3.0, 200, max_batch=most)], DELTA) for most in (None, 400, 320, 288)]
    assert costs == sorted(costs)
    assert costs[1] == pytest.approx(costs[0], rel=1e-4)
    assert costs[3] > 1.1 * costs[0]
    # Where nothing can be cut, it is as if nothing were.
    assert epsilon_of([poisson(3.0, 200, max_batch=ADULT)], DELTA) == costs[0]


def test_by_divergences_cut_batches_are_paid_for_out_of_delta() -> None:
    training = poisson(1.0, 200, max_batch=360)
    lost = 200 * sum(stats.binom.pmf(count, ADULT, 256 / ADULT) for count in range(360, 700))
    assert 0 < lost < DELTA
    assert epsilon_of([training], DELTA, accountant="rdp") == pytest.approx(
        epsilon_of([poisson(1.0, 200)], DELTA - lost, accountant="rdp"), rel=1e-6
    )
    assert epsilon_of([poisson(1.0, 200, max_batch=288)], DELTA, accountant="rdp") == math.inf


@pytest.mark.parametrize("noise", [1e-300, 1e-5, 1e-3, 0.02, 1e8, 1e200])
@pytest.mark.parametrize("adjacency", BOTH)
def test_extreme_noise_gives_a_number_or_infinity(noise: float, adjacency: Adjacency) -> None:
    for mechanism in (plain(noise), poisson(noise, 100)):
        found = epsilon_of([mechanism], 1e-5, adjacency=adjacency)
        assert found > 100 if noise < 1 else found < 1e-4


def test_a_delta_below_what_rounding_leaves_is_bounded_by_divergences() -> None:
    """A grid of floating point cannot tell a delta of 1e-30; that is no reason to say that nothing holds."""
    bound = epsilon_of([poisson(2.0, 50)], 1e-30, accountant="rdp")
    assert epsilon_of([poisson(2.0, 50)], 1e-30) == bound < math.inf


def test_any_number_of_steps_is_told_at_once() -> None:
    many = poisson(1.0, 10**9)
    assert epsilon_of([many], 1e-5) == epsilon_of([many], 1e-5, accountant="rdp") > 1e3


# Guarantees and curves


def test_a_guarantee_is_told_in_all_four_ways() -> None:
    asked = PrivacySettings(epsilon=5.0, epochs=1, adjacency="replace_one")
    own, others = guarantees([poisson(2.0, 100)], 1e-5, asked)
    assert (own.accountant, own.adjacency, own.target) == ("pld", "replace_one", 5.0)
    assert own.epsilon == epsilon_of([poisson(2.0, 100)], 1e-5, adjacency="replace_one")
    told = {(other.accountant, other.adjacency): other for other in others}
    assert len(told) == 3
    for (accountant, adjacency), other in told.items():
        expected = epsilon_of([poisson(2.0, 100)], 1e-5, accountant=accountant, adjacency=adjacency)
        assert (other.epsilon, other.delta, other.target) == (expected, 1e-5, None)


def test_a_guarantee_that_cannot_be_told_is_none() -> None:
    settings = PrivacySettings(noise_multiplier=1.0, epochs=1)
    own, others = guarantees([plain(1.0, extra_delta=1e-4)], 1e-5, settings)
    assert own.epsilon is None
    assert others == []
    own, others = guarantees([poisson(2.0, 100, max_batch=288)], DELTA, settings)
    assert own.epsilon is not None
    assert {other.accountant for other in others} == {"pld"}


@pytest.mark.parametrize("accountant", ["pld", "rdp"])
def test_a_curve_ends_at_the_whole_training(accountant: AccountantName) -> None:
    training, others = poisson(2.0, 400), [plain(10.0)]
    drawn = curve(training, others, 1e-5, accountant=accountant, points=10)
    assert [point.step for point in drawn] == list(range(40, 401, 40))
    assert drawn[-1].epsilon == epsilon_of([training, *others], 1e-5, accountant=accountant)
    costs = [point.epsilon for point in drawn]
    assert costs == sorted(costs)
    for point in drawn[::4]:
        exact = epsilon_of([poisson(2.0, point.step), *others], 1e-5, accountant=accountant)
        assert exact * (1 - 1e-6) <= point.epsilon <= exact * 1.02


def test_a_curve_of_few_steps_has_a_point_for_each() -> None:
    assert [point.step for point in curve(poisson(1.0, 3), [], 1e-5)] == [1, 2, 3]
    shuffled = poisson(1.0, 4, 50, 100).model_copy(update={"sampling": "shuffle"})
    costs = [point.epsilon for point in curve(shuffled, [], 1e-5)]
    # In pairs, rather than with each step.
    assert costs[0] == costs[1] < costs[2] == costs[3]


def test_there_is_no_curve_without_a_guarantee_or_steps() -> None:
    assert curve(poisson(1.0, 0), [], 1e-5) == []
    assert curve(poisson(1.0, 10), [plain(1.0, extra_delta=1e-4)], 1e-5) == []


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delta": 0.0}, "delta = 0: expected above 0 and below 1"),
        ({"delta": 1.0}, "delta = 1: expected above 0 and below 1"),
        ({"delta": math.nan}, "delta = nan: expected above 0 and below 1"),
        ({"accountant": "prv"}, "unknown accountant 'prv': known are pld, rdp"),
        ({"adjacency": "replace"}, "unknown adjacency 'replace': known are .*; did you mean 'replace_one'?"),
    ],
)
def test_arguments_that_are_not_allowed_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        epsilon_of([plain(1.0)], **{"delta": 1e-5, **options})


@pytest.mark.parametrize("sampling", ["poisson", "shuffle"])
def test_sampling_needs_its_probability(sampling: str) -> None:
    bare = plain(1.0).model_copy(update={"sampling": sampling})
    with pytest.raises(
        UsageError, match=f"mean: {sampling} sampling without a sampling probability; give the"
    ):
        epsilon_of([bare], 1e-5)


@pytest.mark.parametrize(
    ("delta", "examples", "message"),
    [
        (
            0.01,
            100,
            r"delta = 0.01: expected above 0 and below 1/N = 0.01, N = 100 being the number of examples",
        ),
        (0.02, 100, "leave it out for N\\^-1.1 = 0.00631"),
        (0.0, 100, "delta = 0: expected above 0"),
        (-1.0, 100, "delta = -1: expected above 0"),
        (math.nan, 100, "delta = nan: expected above 0"),
        (1e-5, 1, "examples = 1: expected at least 2"),
    ],
)
def test_a_delta_that_protects_nobody_is_refused(delta: float, examples: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_delta(delta, examples)


@pytest.mark.parametrize("examples", [2, 100, 10**9])
def test_the_default_delta_is_allowed(examples: int) -> None:
    check_delta(default_delta(examples), examples)
