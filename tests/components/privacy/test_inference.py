"""Attribute inference and inversion, from guesses: shares, gains, tests over many seeds."""

import numpy as np
import pytest

from tfx_trust.components import InputError, Verdict
from tfx_trust.components.corrections import holm
from tfx_trust.components.intervals import newcombe, paired, wilson
from tfx_trust.components.privacy import inference
from tfx_trust.components.privacy.config import AuditSettings
from tfx_trust.components.privacy.report import Inference

SETTINGS = AuditSettings(label="sick", sensitive=["race"])


def right(share: float, count: int) -> np.ndarray:
    return np.arange(count) < share * count


def attribute(members: np.ndarray, others: np.ndarray, feature: str = "race") -> Inference:
    return inference.attribute(feature, members, others, right(0.5, len(others)), SETTINGS, values=5)


def test_attribute_inference_is_judged_by_what_members_lose_beyond_others() -> None:
    found = attribute(right(0.8, 1000), right(0.6, 1000))
    assert (found.members.value, found.others.value, found.baseline.value) == (0.8, 0.6, 0.5)
    assert found.gain.value == pytest.approx(0.2)
    low, high = newcombe(0.8, 1000, 0.6, 1000, 0.95)
    assert (found.gain.low, found.gain.high) == pytest.approx((float(low), float(high)))
    assert (found.members.low, found.members.high) == pytest.approx(
        tuple(float(end) for end in wilson(0.8, 1000, 0.95))
    )
    assert found.verdict is Verdict.FAIL
    # What can be inferred of anyone is no fault of the training.
    assert attribute(right(0.9, 5000), right(0.9, 5000)).verdict is Verdict.PASS
    assert attribute(right(0.6, 5000), right(0.9, 5000)).verdict is Verdict.PASS
    assert attribute(right(0.65, 400), right(0.6, 400)).verdict is Verdict.INCONCLUSIVE
    few = attribute(right(1.0, 99), right(0.1, 1000))
    assert (few.verdict, few.p) == (Verdict.INCONCLUSIVE, None)


def test_gains_at_the_limit_fail_no_more_often_than_the_level_allows() -> None:
    rng, failed = np.random.default_rng(1), 0
    for _ in range(400):
        found = attribute(rng.random(500) < 0.65, rng.random(300) < 0.6)
        failed += found.verdict is Verdict.FAIL
    assert failed / 400 < 0.045


def test_several_features_are_corrected_together() -> None:
    found = [attribute(right(share, 600), right(0.6, 600), f"f{share}") for share in (0.72, 0.715, 0.71, 0.7)]
    told = inference.inversion("race", right(0.5, 9), right(0.5, 9), right(0.5, 9), SETTINGS, values=2)
    done = inference.judged([*found, told], SETTINGS)
    p_values = [item.p for item in found if item.p is not None]
    assert [item.p_adjusted for item in done[:-1]] == pytest.approx(holm(p_values))
    assert any(one.verdict is Verdict.FAIL is not other.verdict for one, other in zip(found, done))
    assert done[-1] == told
    # Those that were given are as they were.
    assert [item.p_adjusted for item in found] == [item.p for item in found]


def test_inversion_is_told_beside_the_guess_without_the_model_and_not_judged() -> None:
    others, baseline = right(0.7, 1000), ~right(0.4, 1000)
    found = inference.inversion("race", right(0.9, 500), others, baseline, SETTINGS, values=3)
    assert (found.members.value, found.others.value, found.baseline.value) == (0.9, 0.7, 0.6)
    assert found.gain.value == pytest.approx(0.1)
    low, high = paired(np.array(400), np.array(300), np.array(1000), 0.95)
    assert (found.gain.low, found.gain.high) == pytest.approx((float(low), float(high)))
    assert (found.verdict, found.p, found.values) == (Verdict.NOT_RUN, None, 3)


def test_guesses_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(
        InputError, match="3 guesses of 'race' without the model, 5 with it; give those of the same"
    ):
        inference.attribute("race", right(1, 5), right(1, 5), right(1, 3), SETTINGS, values=2)
    with pytest.raises(
        InputError, match=r"guesses of 'race' have the shape \(0,\); give one for each example"
    ):
        attribute(right(1, 0), right(1, 5))
