"""The lower bound on epsilon from one training: the paper, a slow twin, mechanisms that are known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tfx_trust.components import InputError, Verdict
from tfx_trust.components.privacy import one_run
from tfx_trust.components.privacy.config import AuditSettings, Claim

SETTINGS = AuditSettings(label="sick")


def slow_p_value(m: int, r: int, v: int, epsilon: float, delta: float) -> float:
    """Theorem 5.2 of the paper, term by term."""
    mass = stats.binom.pmf(np.arange(r + 1), r, math.exp(epsilon) / (1 + math.exp(epsilon)))
    steepest = max((mass[v - i : v].sum() / i for i in range(1, v + 1)), default=0.0)
    return min(1.0, mass[v:].sum() + 2 * m * delta * steepest)


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int, int]:
    """Canaries, guesses, right ones."""
    guesses = draw(st.integers(1, 60))
    return guesses + draw(st.integers(0, 60)), guesses, draw(st.integers(0, guesses))


# The theorem


@given(counts(), st.floats(0, 8), st.sampled_from([0.0, 1e-6, 1e-4, 0.01]))
@settings(max_examples=150, deadline=None)
def test_p_value_is_the_theorem_term_by_term(of: tuple[int, int, int], epsilon: float, delta: float) -> None:
    assert one_run.p_value(*of, epsilon, delta) == pytest.approx(slow_p_value(*of, epsilon, delta), rel=1e-8)


@pytest.mark.parametrize("correct", [2500, 2580, 2700, 3100])
def test_p_value_of_many_guesses_is_that_of_all_terms(correct: int) -> None:
    for epsilon in (0.0, 0.1, 0.4):
        expected = slow_p_value(20_000, 5000, correct, epsilon, 1e-5)
        assert one_run.p_value(20_000, 5000, correct, epsilon, 1e-5) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("count", "guesses", "correct", "delta", "published"),
    [(1000, 100, 75, 1e-4, 0.673), (100_000, 1510, 1439, 1e-5, 2.675)],
)
def test_bounds_are_those_that_the_paper_prints(
    count: int, guesses: int, correct: int, delta: float, published: float
) -> None:
    # Appendix D rounds, section 7 cuts off.
    assert one_run.least_epsilon(count, guesses, correct, delta, 0.95) == pytest.approx(published, abs=1e-3)


def test_bound_is_the_greatest_refuted_epsilon() -> None:
    found = one_run.least_epsilon(500, 200, 180, 1e-5, 0.95)
    assert one_run.p_value(500, 200, 180, found, 1e-5) < 0.05
    assert one_run.p_value(500, 200, 180, found + 1e-4, 1e-5) >= 0.05
    assert one_run.least_epsilon(500, 200, 100, 1e-5, 0.95) == 0.0


def test_a_greater_delta_and_a_greater_level_show_less() -> None:
    bounds = [one_run.least_epsilon(1000, 200, 180, delta, 0.95) for delta in (0.0, 1e-5, 1e-3, 0.1)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] == 0.0
    assert one_run.least_epsilon(1000, 200, 180, 0.0, 0.999) < bounds[0]


# Mechanisms whose epsilon is known


def randomized_response(
    rng: np.random.Generator, count: int, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """What an exactly epsilon-private mechanism says of each toss: the truth, as often as it may."""
    tosses = rng.random(count) < 0.5
    honest = rng.random(count) < math.exp(epsilon) / (1 + math.exp(epsilon))
    return np.where(honest, tosses, ~tosses).astype(float), tosses


@pytest.mark.parametrize("epsilon", [0.2, 1.0, 3.0])
def test_bound_holds_at_its_level_for_randomized_response(epsilon: float) -> None:
    rng, repeats = np.random.default_rng(8), 200
    found = [
        one_run.bound(*randomized_response(rng, 200, epsilon), 0.0, 0.95, seed).epsilon
        for seed in range(repeats)
    ]
    wrong = sum(bound > epsilon for bound in found)
    assert stats.binomtest(wrong, repeats, 0.05, alternative="greater").pvalue > 0.01
    # And it is no empty one: half of epsilon is shown as a rule.
    if epsilon >= 1:
        assert np.median(found) > epsilon / 2


def test_each_number_of_guesses_alone_would_be_wrong_as_often_as_the_level_allows() -> None:
    """The bound is tight: without Bonferroni, of a single number of guesses, it fails about 1 time in 20."""
    rng, wrong, repeats = np.random.default_rng(2), 0, 600
    for _ in range(repeats):
        said, tosses = randomized_response(rng, 400, 1.0)
        correct = int((said.astype(bool) == tosses).sum())
        wrong += one_run.p_value(400, 400, correct, 1.0, 0.0) < 0.05
    assert 0.02 < wrong / repeats < 0.07


def test_bound_holds_for_a_mechanism_that_fails_with_probability_delta() -> None:
    """It says nothing, but of each toss, with probability delta, the truth: (0, delta)-private."""
    rng, delta, count = np.random.default_rng(3), 0.02, 400
    shown, shown_without = [], []
    for seed in range(60):
        tosses = rng.random(count) < 0.5
        told = rng.random(count) < delta
        scores = np.where(told, np.where(tosses, 1.0, -1.0), 0.0)
        shown.append(one_run.bound(scores, tosses, delta, 0.95, seed).epsilon)
        shown_without.append(one_run.bound(scores, tosses, 0.0, 0.95, seed).epsilon)
    assert max(shown) == 0.0
    assert np.mean(np.array(shown_without) > 0) > 0.1


def test_bound_holds_for_gaussian_noise() -> None:
    """Each toss with normal noise: epsilon at this delta follows from Balle & Wang (2018), theorem 8."""
    rng, delta, noise = np.random.default_rng(4), 1e-3, 1.5

    def delta_at(epsilon: float) -> float:
        half, far = 1 / (2 * noise), epsilon * noise
        return stats.norm.cdf(half - far) - math.exp(epsilon) * stats.norm.cdf(-half - far)

    epsilon = next(float(value) for value in np.linspace(0, 5, 2001) if delta_at(value) <= delta)
    found = []
    for seed in range(40):
        tosses = rng.random(300) < 0.5
        found.append(one_run.bound(tosses + rng.normal(0, noise, 300), tosses, delta, 0.95, seed).epsilon)
    assert max(found) < epsilon
    assert max(found) > 0


# Canaries


def canaries(count: int, shift: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    included = rng.random(count) < 0.5
    return rng.normal(0, 1, count) + shift * included, included


def test_memorized_canaries_refute_a_guarantee_up_to_the_ceiling() -> None:
    scores, included = canaries(1000, 50.0)
    found = one_run.audit_canaries(scores, included, SETTINGS, Claim(epsilon=3.0, delta=1e-5))
    assert found.verdict is Verdict.FAIL
    # As many of the greatest and of the least are guessed, and about half is trained on.
    assert 4.5 < found.epsilon <= found.ceiling
    assert found.auc.value == 1.0
    assert (found.count, found.included, found.delta, found.level) == (1000, int(included.sum()), 1e-5, 0.95)
    assert [item.guesses for item in found.guesses] == [1000, 500, 250, 124, 62, 30, 14]
    assert max(item.epsilon for item in found.guesses) == found.epsilon


def test_canaries_that_leave_no_trace_show_nothing_and_falsify_nothing() -> None:
    found = [
        one_run.audit_canaries(*canaries(400, 0.0, seed), SETTINGS, Claim(epsilon=1.0, delta=1e-5))
        for seed in range(20)
    ]
    assert {item.verdict for item in found} == {Verdict.PASS}
    assert np.median([item.epsilon for item in found]) == 0.0


def test_what_so_few_canaries_could_not_refute_is_not_tested() -> None:
    scores, included = canaries(100, 0.0)
    found = one_run.audit_canaries(scores, included, SETTINGS, Claim(epsilon=8.0, delta=1e-5))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.ceiling == pytest.approx(3.1, abs=0.01)


def test_without_a_claim_the_bound_is_told_and_not_judged() -> None:
    found = one_run.audit_canaries(*canaries(200, 3.0), SETTINGS, None)
    assert found.verdict is Verdict.NOT_RUN
    assert found.delta == one_run.DELTA
    assert found.epsilon > 0.5


def test_equal_scores_show_nothing_whatever_the_order_of_the_canaries() -> None:
    included = np.arange(400) < 200
    for order in (included, ~included):
        for seed in range(10):
            assert one_run.bound(np.zeros(400), order, 0.0, 0.95, seed).epsilon < 0.5
    shown = [one_run.bound(np.zeros(400), included, 0.0, 0.95, seed).epsilon for seed in range(40)]
    assert np.median(shown) == 0.0


@pytest.mark.parametrize(
    ("scores", "included", "message"),
    [
        (
            np.zeros(30),
            np.zeros(29, bool),
            "there are 30 canaries and 29 tosses; give one toss for each canary",
        ),
        (np.zeros(19), np.arange(19) % 2 == 0, "19 canaries; at least 20 are needed to show anything"),
        (np.zeros(100), np.arange(100) < 90, "90 of 100 canaries were trained on: no fair coin gives that"),
        (np.full(30, np.nan), np.arange(30) % 2 == 0, "scores of the canaries: 30 of 30 are not a number"),
    ],
)
def test_what_are_no_canaries_is_refused(scores: np.ndarray, included: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        one_run.audit_canaries(scores, included, SETTINGS, None)


# Members and others as canaries


@pytest.mark.parametrize(("members", "others"), [(3000, 1000), (500, 2000), (800, 800)])
def test_balanced_examples_are_members_by_a_fair_coin(members: int, others: int) -> None:
    heads, sizes = [], []
    for seed in range(200):
        scores, included = one_run.balanced(np.ones(members), np.zeros(others), seed)
        assert (scores == included).all()
        heads.append(included.sum())
        sizes.append(len(included))
    assert np.mean(heads) / np.mean(sizes) == pytest.approx(0.5, abs=0.01)
    assert max(sizes) <= 2 * min(members, others) * 1.2
