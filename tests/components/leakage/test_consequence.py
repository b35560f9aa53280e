"""How much of a score was leakage."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from tfx_trust.components import InputError, UsageError
from tfx_trust.components.leakage.check import check_leakage
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.consequence import codes, consequence
from tfx_trust.components.leakage.count import cells_of

SETTINGS = LeakageSettings(label="label")


def cells(scores: np.ndarray, target: np.ndarray, leaked: np.ndarray) -> np.ndarray:
    value, target = codes(
        "binary",
        scores=scores,
        positive=target == 1,
        labels=target.astype(float),
        right=np.zeros(len(target)),
    )
    return cells_of(np.stack([value, target, leaked.astype(int), np.ones(len(value), int)], axis=1))


@pytest.mark.parametrize("confidence", [1.0, 12.0])
def test_the_auc_is_scikit_learns_on_all_and_on_the_rest(confidence: float) -> None:
    random = np.random.default_rng(0)
    target = random.integers(0, 2, 5_000)
    scores = 1 / (1 + np.exp(-confidence * (target + random.normal(0, 1, 5_000) - 0.5)))
    leaked = random.random(5_000) < 0.2
    found = consequence("features", "binary", cells(scores, target, leaked), SETTINGS)
    assert found.all == pytest.approx(roc_auc_score(target, scores), abs=1e-4)
    assert found.without_leaked == pytest.approx(roc_auc_score(target[~leaked], scores[~leaked]), abs=1e-4)
    assert (found.leaked, found.clean) == (leaked.sum(), (~leaked).sum())
    assert found.difference.low < found.difference.value < found.difference.high


def test_the_interval_is_that_of_resampled_rows() -> None:
    random = np.random.default_rng(1)
    target = random.integers(0, 2, 2_000)
    scores = target * 0.5 + random.normal(0, 0.6, 2_000)
    leaked = random.random(2_000) < 0.3
    found = consequence("features", "binary", cells(scores, target, leaked), SETTINGS)
    differences = []
    for _ in range(400):
        rows = random.integers(0, 2_000, 2_000)
        t, s, clean = target[rows], scores[rows], ~leaked[rows]
        differences.append(roc_auc_score(t, s) - roc_auc_score(t[clean], s[clean]))
    half = (found.difference.high - found.difference.low) / 2
    assert half == pytest.approx(1.96 * np.std(differences), rel=0.15)


def test_codes_keep_the_order_of_scores() -> None:
    random = np.random.default_rng(2)
    scores = np.sort(np.r_[random.normal(0, 3, 500), random.random(500), 1 - 10.0 ** -np.arange(1, 6), 0, 1])
    value, _ = codes(
        "binary",
        scores=scores,
        positive=np.ones(len(scores), bool),
        labels=np.zeros(len(scores)),
        right=np.zeros(len(scores)),
    )
    assert (np.diff(value) >= 0).all()
    assert len(np.unique(value[-6:])) == 6, "confident scores must be told apart"
    assert (value >= 0).all()


def tables(rows: int = 400) -> tuple[pa.Table, pa.Table, np.ndarray]:
    """Half of eval is in train; a model that knows train by heart is right on that half alone."""
    random = np.random.default_rng(3)
    table = pa.table({"a": np.arange(2 * rows), "label": random.integers(0, 3, 2 * rows)})
    train, evaluation = table.slice(0, rows), table.slice(rows // 2, rows)
    guessed = (evaluation["label"].to_numpy() + random.integers(0, 3, rows)) % 3
    known = np.arange(rows) < rows // 2
    return train, evaluation, np.where(known, evaluation["label"].to_numpy(), guessed)


def test_memorised_classes_are_told_by_accuracy() -> None:
    train, evaluation, predicted = tables()
    report = check_leakage(train, evaluation, SETTINGS, scores=predicted)
    found = next(item for item in report.leakage.consequence if item.key == "features")
    assert (found.metric, found.leaked, found.clean) == ("accuracy", 200, 200)
    assert found.without_leaked == pytest.approx(
        np.mean(predicted[200:] == evaluation["label"].to_numpy()[200:])
    )
    assert found.difference.low > 0.2
    message = next(item.message for item in report.findings if item.check == "consequence")
    assert "accuracy" in message


def test_classes_can_be_texts() -> None:
    train, evaluation, predicted = tables()
    names = np.array(["red", "green", "blue"])
    sides = [
        pa.table({"a": side["a"], "label": names[side["label"].to_numpy()]}) for side in (train, evaluation)
    ]
    report = check_leakage(*sides, SETTINGS, scores=names[predicted].tolist())
    found = next(item for item in report.leakage.consequence if item.key == "features")
    assert found.all == pytest.approx(np.mean(predicted == evaluation["label"].to_numpy()))


def test_a_number_is_told_by_its_mean_absolute_error() -> None:
    random = np.random.default_rng(4)
    table = pa.table({"a": np.arange(600), "label": random.random(600) * 100})
    train, evaluation = table.slice(0, 300), table.slice(150, 300)
    truth = evaluation["label"].to_numpy()
    error = np.where(np.arange(300) < 150, 0, random.normal(0, 5, 300))
    report = check_leakage(train, evaluation, SETTINGS, scores=truth + error)
    found = next(item for item in report.leakage.consequence if item.key == "features")
    assert found.metric == "mean_absolute_error"
    assert found.all == pytest.approx(np.abs(error).mean(), rel=1e-3)
    assert found.without_leaked == pytest.approx(np.abs(error[150:]).mean(), rel=1e-3)


def test_too_few_clean_examples_give_no_difference() -> None:
    train, _, predicted = tables()
    report = check_leakage(train, train, SETTINGS, scores=predicted)
    found = next(item for item in report.leakage.consequence if item.key == "features")
    assert found.without_leaked is None
    assert found.difference is None


@pytest.mark.parametrize(
    ("scores", "error", "said"),
    [
        ([0.5], UsageError, "1 scores for 400 eval rows"),
        ([float("nan")] * 400, InputError, "400 of 400 scores are NaN or infinite"),
        ([None] * 400, InputError, "400 of 400 scores are missing"),
    ],
)
def test_unusable_scores_are_named(scores: list[Any], error: type[Exception], said: str) -> None:
    train, evaluation, _ = tables()
    with pytest.raises(error, match=said):
        check_leakage(train, evaluation, SETTINGS, scores=pa.array(scores, pa.float64()))
