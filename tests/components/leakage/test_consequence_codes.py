"""What the codes of scores keep, and inputs at the edge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.consequence import codes, consequence
from tfx_trust.components.leakage.count import cells_of

SETTINGS = LeakageSettings(label="label")


def of_binary(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return codes("binary", scores=scores, positive=positive, labels=scores, right=positive)


def cells(value: np.ndarray, target: np.ndarray, leaked: np.ndarray) -> np.ndarray:
    columns = (value, target, leaked, np.ones(len(value)))
    return cells_of(np.stack([np.asarray(column, np.int64) for column in columns], axis=1))


def test_eval_of_one_class_has_no_auc() -> None:
    value, target = of_binary(np.linspace(0, 1, 60), np.zeros(60, bool))
    assert consequence("features", "binary", cells(value, target, np.arange(60) % 2), SETTINGS) is None


@pytest.mark.parametrize("unknown", ["score", "label"])
def test_a_number_that_cannot_be_compared_is_unknown(unknown: str) -> None:
    scores, labels = np.array([1.0, 2.0]), np.array([1.5, 2.0])
    (scores if unknown == "score" else labels)[0] = np.nan
    value, _ = codes("number", scores=scores, positive=labels > 0, labels=labels, right=labels > 0)
    assert value[0] == -1
    assert value[1] >= 0


@given(st.lists(st.floats(allow_nan=False), min_size=2, max_size=30))
def test_codes_never_turn_an_order_around(scores: list[float]) -> None:
    ordered = np.sort(np.array(scores))
    value, _ = of_binary(ordered, np.zeros(len(scores), bool))
    assert (np.diff(value) >= 0).all()
    assert (value >= 0).all()


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=30), st.integers(1, 29))
def test_a_code_depends_on_its_own_score_alone(scores: list[float], cut: int) -> None:
    whole = of_binary(np.array(scores), np.zeros(len(scores), bool))[0]
    parts = [of_binary(np.array(part), np.zeros(len(part), bool))[0] for part in (scores[:cut], scores[cut:])]
    assert np.concatenate(parts).tolist() == whole.tolist()


def test_a_model_that_knows_leaked_rows_by_heart_is_told_and_an_honest_one_is_not() -> None:
    random = np.random.default_rng(6)
    positive, leaked = random.random(6_000) < 0.4, random.random(6_000) < 0.25
    honest = 1 / (1 + np.exp(-(positive - 0.5 + random.normal(0, 1, 6_000))))
    found = consequence("features", "binary", cells(*of_binary(honest, positive), leaked), SETTINGS)
    assert found.difference.low < 0 < found.difference.high
    by_heart = np.where(leaked, np.where(positive, 0.999, 0.001), honest)
    found = consequence("features", "binary", cells(*of_binary(by_heart, positive), leaked), SETTINGS)
    assert found.difference.low > 0.03


def test_shards_add_up() -> None:
    random = np.random.default_rng(7)
    positive, leaked = random.random(3_000) < 0.5, random.random(3_000) < 0.3
    value, target = of_binary(positive + random.normal(0, 1, 3_000), positive)
    whole = cells(value, target, leaked)
    shard = random.integers(0, 7, 3_000)
    parts = [cells(value[shard == n], target[shard == n], leaked[shard == n]) for n in range(7)]
    added = cells_of(np.concatenate(parts))
    together, apart = (consequence("features", "binary", counted, SETTINGS) for counted in (whole, added))
    assert together is not None
    assert apart == together
