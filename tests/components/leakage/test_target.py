"""Features that give the label away, against scikit-learn and plain loops."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tfx_trust.components.leakage import target
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.report import FeatureLeakage
from tfx_trust.components.leakage.sample import Sample
from tfx_trust.components.leakage.tables import batch_of, layout_of

Columns = dict[str, Any]


def analyse(train: Columns, evaluation: Columns, **changes: Any) -> target.TargetResult:
    sides = [pa.table(side) for side in (train, evaluation)]
    layout = layout_of([("train", sides[0].schema), ("eval", sides[1].schema)], None)
    samples = [
        Sample.of(batch_of(side.combine_chunks().to_batches()[0], layout), 1_000_000) for side in sides
    ]
    return target.analyse(*samples, LeakageSettings(label="label", **changes), layout.kinds)


def split(columns: Columns, share: float = 0.6) -> tuple[Columns, Columns]:
    rows = len(columns["label"])
    cut = int(rows * share)
    # Rows must be distinct to be counted alone, as they mostly are.
    columns = {**columns, "row": np.random.default_rng(0).random(rows)}
    return {name: values[:cut] for name, values in columns.items()}, {
        name: values[cut:] for name, values in columns.items()
    }


def feature(result: target.TargetResult, name: str) -> FeatureLeakage:
    return next(item for item in result.features if item.name == name)


def fitted(train: Columns, evaluation: Columns, name: str, weights: np.ndarray | None = None) -> np.ndarray:
    """Class probabilities of eval rows by loops: the bin's classes in train, and one example of all "
    "classes."""
    classes = sorted({*train["label"], *evaluation["label"]})
    weights = np.ones(len(train["label"])) if weights is None else weights
    total = np.array([weights[train["label"] == label].sum() for label in classes])
    prior = (total + 1) / (total.sum() + len(classes))
    rows = []
    for value in evaluation[name]:
        same = train[name] == value
        counts = np.array([weights[same & (train["label"] == label)].sum() for label in classes])
        rows.append((counts + prior) / (counts.sum() + 1))
    return np.array(rows)


def test_auc_and_nmi_of_two_classes_are_scikit_learns() -> None:
    random = np.random.default_rng(1)
    label = random.integers(0, 2, 800)
    columns = {
        "label": label,
        "colour": np.where(random.random(800) < 0.7, label * 2, random.integers(0, 5, 800)),
    }
    train, evaluation = split(columns)
    found = feature(analyse(train, evaluation), "colour")
    scores = fitted(train, evaluation, "colour")
    assert found.auc == pytest.approx(roc_auc_score(evaluation["label"], scores[:, 1]))
    prior = np.tile(
        (np.bincount(train["label"]) + 1) / (len(train["label"]) + 2), (len(evaluation["label"]), 1)
    )
    explained = 1 - log_loss(evaluation["label"], scores) / log_loss(evaluation["label"], prior)
    assert found.nmi == pytest.approx(explained, abs=1e-9)


def test_auc_of_several_classes_is_the_weighted_one_against_the_rest() -> None:
    random = np.random.default_rng(2)
    label = random.choice([3, 5, 9], 1_200, p=[0.2, 0.3, 0.5])
    columns = {"label": label, "x": np.where(random.random(1_200) < 0.6, label, random.integers(0, 9, 1_200))}
    train, evaluation = split(columns)
    found = feature(analyse(train, evaluation), "x")
    scores = fitted(train, evaluation, "x")
    expected = roc_auc_score(evaluation["label"], scores, multi_class="ovr", average="weighted")
    assert found.auc == pytest.approx(expected)


def test_weights_count_as_scikit_learns_do() -> None:
    random = np.random.default_rng(3)
    label = random.integers(0, 2, 900)
    weight = random.integers(1, 9, 900).astype(float)
    columns = {
        "label": label,
        "weight": weight,
        "x": np.where(random.random(900) < 0.6, label, random.integers(0, 4, 900)),
    }
    train, evaluation = split(columns)
    found = feature(analyse(train, evaluation, weight="weight"), "x")
    scores = fitted(train, evaluation, "x", train["weight"])
    expected = roc_auc_score(evaluation["label"], scores[:, 1], sample_weight=evaluation["weight"])
    assert found.auc == pytest.approx(expected, abs=1e-9)


def test_the_interval_of_the_auc_covers_it_as_often_as_it_says() -> None:
    random = np.random.default_rng(4)
    truth = 0.75  # of a fair label, of which the feature is a copy in three of four cases
    covered = 0
    for _ in range(300):
        label = random.integers(0, 2, 600)
        copy = np.where(random.random(600) < truth, label, 1 - label)
        cells = [(((copy == value) & (label == sign)).sum()) for value in (0, 1) for sign in (1, 0)]
        score = target.auc_of(np.array([0.0, 1.0]), np.array(cells[::2], float), np.array(cells[1::2], float))
        covered += abs(score.value - truth) <= 1.96 * score.error
    assert 0.92 <= covered / 300 <= 0.98


def test_a_perfect_auc_of_few_examples_is_not_certain() -> None:
    score = target.auc_of(np.array([0.0, 1.0]), np.array([0.0, 20.0]), np.array([20.0, 0.0]))
    assert score.value == 1
    assert 0.005 < score.error < 0.1


def test_two_features_that_give_the_label_together_are_found() -> None:
    random = np.random.default_rng(5)
    one, other = random.integers(0, 2, (2, 4_000))
    columns = {"label": one ^ other, "one": one, "other": np.where(other == 1, "yes", "no")}
    columns["noise"] = random.integers(0, 9, 4_000)
    result = analyse(*split(columns))
    best = result.pairs[0]
    assert set(best.names) == {"one", "other"}
    assert best.auc > 0.99
    assert best.lift.value > 0.4
    assert str(best.verdict) == "warn"
    assert all(str(pair.verdict) == "pass" for pair in result.pairs[1:])


def test_an_identifier_is_no_predictor_and_is_named() -> None:
    random = np.random.default_rng(6)
    columns = {"label": random.integers(0, 2, 1_000), "id": np.array([f"person {n}" for n in range(1_000)])}
    columns["number"] = np.r_[np.arange(990), np.arange(10)]
    columns["measured"] = random.random(1_000)
    result = analyse(*split(columns))
    assert feature(result, "id").auc == pytest.approx(0.5)
    assert feature(result, "id").nmi == 0
    assert {(item.name, item.suggestion) for item in result.identifiers} == {
        ("id", "remove"),
        ("number", "group"),
    }
    assert analyse(*split(columns), exclude=["id", "number"]).identifiers == []


def test_a_label_that_is_a_number_is_binned() -> None:
    random = np.random.default_rng(7)
    label = random.random(2_000)
    columns = {"label": label, "copied": label * 2 + 1, "noise": random.random(2_000)}
    result = analyse(*split(columns))
    assert feature(result, "copied").auc > 0.98
    assert feature(result, "copied").nmi > 0.85
    assert abs(feature(result, "noise").auc - 0.5) < 0.05


def test_a_value_that_is_missing_can_tell_the_label() -> None:
    random = np.random.default_rng(8)
    label = random.integers(0, 2, 1_000)
    columns = {"label": label, "discharged": np.where(label == 1, random.random(1_000), np.nan)}
    found = feature(analyse(*split(columns)), "discharged")
    assert str(found.verdict) == "fail"


def test_a_hashed_copy_of_many_values_is_found() -> None:
    random = np.random.default_rng(9)
    code = random.integers(0, 150, 3_000)
    columns = {"label": code % 2, "code": np.array([f"c{value:03}" for value in code])}
    found = feature(analyse(*split(columns)), "code")
    assert found.determines
    assert str(found.verdict) == "fail"


def test_few_examples_are_inconclusive() -> None:
    label = np.array([0, 1] * 30)
    result = analyse(*split({"label": label, "copied": label}))
    assert {str(item.verdict) for item in result.features} == {"inconclusive"}


def test_the_order_of_rows_changes_nothing() -> None:
    random = np.random.default_rng(10)
    label = random.integers(0, 2, 500)
    train, evaluation = split({"label": label, "x": np.round(random.random(500) + label, 3)})
    order = random.permutation(len(train["label"]))
    shuffled = {name: values[order] for name, values in train.items()}
    assert analyse(shuffled, evaluation).features == analyse(train, evaluation).features
