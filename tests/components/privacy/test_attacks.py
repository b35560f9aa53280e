"""Membership inference: scores with known values, judgement with known answers and over many seeds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_trust.components import Verdict
from tfx_trust.components.corrections import holm
from tfx_trust.components.privacy import attacks
from tfx_trust.components.privacy.config import AuditSettings, Claim
from tfx_trust.components.privacy.report import AttackName

SETTINGS = AuditSettings(label="sick")
LIMITED = AuditSettings(label="sick", max_advantage=0.1)


def judged(shift: float, count: int, seed: int, settings: AuditSettings = SETTINGS) -> Verdict:
    rng = np.random.default_rng(seed)
    found = attacks.membership("loss", rng.normal(shift, 1, count), rng.normal(0, 1, count), settings, None)
    return found.verdict


# Scores


def test_scores_are_loss_confidence_and_modified_entropy() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]])
    found = attacks.by_outputs(probabilities, np.array([0, 2]))
    assert found["loss"] == pytest.approx(np.log([0.7, 0.1]))
    assert found["confidence"] == pytest.approx([0.7, 0.7])
    # Song & Mittal (2021), equation 8, negative.
    first = 0.3 * math.log(0.7) + 0.2 * math.log(0.8) + 0.1 * math.log(0.9)
    second = 0.9 * math.log(0.1) + 0.7 * math.log(0.3) + 0.2 * math.log(0.8)
    assert found["entropy"] == pytest.approx([first, second])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_of_two_classes_entropy_orders_as_loss_does(shares: list[float]) -> None:
    right = np.array(shares)
    found = attacks.by_outputs(np.stack([right, 1 - right], axis=1), np.zeros(len(right), int))
    order = np.argsort(found["loss"], kind="stable")
    with np.errstate(invalid="ignore"):
        steps = np.diff(found["entropy"][order])
    assert not (steps < -1e-12).any()


def test_outputs_of_zero_and_one_have_scores_too() -> None:
    probabilities = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    found = attacks.by_outputs(probabilities, np.array([0, 1]))
    assert found["loss"].tolist() == [0.0, -math.inf]
    assert found["entropy"].tolist() == [0.0, -math.inf]


# Judgement


def test_an_attack_beyond_the_limit_fails_one_within_passes_and_between_is_open() -> None:
    # An AUC of 0.6 is a shift of 0.358.
    assert judged(1.0, 2000, 1) is Verdict.FAIL
    assert judged(0.0, 2000, 1) is Verdict.PASS
    assert judged(0.358, 2000, 1) is Verdict.INCONCLUSIVE
    assert judged(3.0, 99, 1) is Verdict.INCONCLUSIVE


def test_the_limit_itself_fails_no_more_often_than_the_level_allows() -> None:
    settings = AuditSettings(label="sick", rates=[0.1])
    failed = sum(judged(0.3583, 300, seed, settings) is Verdict.FAIL for seed in range(150))
    assert failed / 150 < 0.05


def test_a_limit_of_the_advantage_is_judged_too() -> None:
    # An AUC of 0.57, within its limit, and an advantage of 0.1 at the best threshold.
    assert judged(0.25, 20_000, 1, LIMITED) is Verdict.INCONCLUSIVE
    assert judged(0.32, 20_000, 1, LIMITED) is Verdict.FAIL
    assert judged(0.32, 20_000, 1) is Verdict.PASS
    assert judged(0.0, 20_000, 1, LIMITED) is Verdict.PASS


def test_several_attacks_are_corrected_together() -> None:
    rng = np.random.default_rng(2)
    names: list[AttackName] = ["loss", "confidence", "entropy", "lira"]
    members = {name: rng.normal(shift, 1, 500) for name, shift in zip(names, (0.55, 0.5, 0.4, 0.0))}
    others = {name: rng.normal(0, 1, 500) for name in names}
    found = attacks.all_of(members, others, SETTINGS, None)
    assert [item.name for item in found] == names
    p_values = [item.p for item in found if item.p is not None]
    assert [item.p_adjusted for item in found] == pytest.approx(holm(p_values))
    assert all(
        (item.verdict is Verdict.FAIL) == (item.p_adjusted is not None and item.p_adjusted < 0.05)
        for item in found
    )


def test_attacks_at_the_limit_fail_together_no_more_often_than_the_level_allows() -> None:
    names: list[AttackName] = ["loss", "confidence", "entropy", "lira"]
    settings = AuditSettings(label="sick", rates=[0.1])
    failed = 0
    for seed in range(70):
        rng = np.random.default_rng(seed)
        members = {name: rng.normal(0.3583, 1, 150) for name in names}
        others = {name: rng.normal(0, 1, 150) for name in names}
        found = attacks.all_of(members, others, settings, None)
        failed += any(item.verdict is Verdict.FAIL for item in found)
    assert failed / 70 < 0.075


# Against a claim


def test_rates_are_told_beside_what_the_guarantee_allows() -> None:
    rng = np.random.default_rng(3)
    claim = Claim(epsilon=1.0, delta=1e-5)
    found = attacks.membership("loss", rng.normal(0, 1, 3000), rng.normal(0, 1, 3000), SETTINGS, claim)
    assert [item.false_positive_rate for item in found.rates] == [0.001, 0.01, 0.1]
    assert [item.allowed for item in found.rates] == pytest.approx(
        [math.e * rate + 1e-5 for rate in (0.001, 0.01, 0.1)]
    )
    bare = attacks.membership("loss", rng.normal(0, 1, 300), rng.normal(0, 1, 300), SETTINGS, None)
    assert {item.allowed for item in bare.rates} == {None}


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_epsilon_of_an_attack_holds_at_its_level(epsilon: float) -> None:
    """Of examples that are members by chance, an exactly private mechanism tells each one's membership."""
    settings, wrong, found = AuditSettings(label="sick", rates=[0.1]), 0, []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        member = rng.random(600) < 2 / 3
        told = np.where(rng.random(600) < math.exp(epsilon) / (1 + math.exp(epsilon)), member, ~member)
        scores = told.astype(float)
        attack = attacks.membership(
            "loss", scores[member], scores[~member], settings, Claim(epsilon=1, delta=0)
        )
        assert attack.epsilon is not None
        found.append(attack.epsilon)
        wrong += attack.epsilon > epsilon
    assert wrong / 80 < 0.11
    assert np.median(found) > epsilon / 3


def test_epsilon_is_unknown_of_a_handful() -> None:
    found = attacks.membership("loss", np.arange(5.0), np.arange(5.0), SETTINGS, None)
    assert found.epsilon is None
    assert found.p is None
