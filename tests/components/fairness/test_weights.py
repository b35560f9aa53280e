"""Examples with weights: values as scikit-learn weighs them, intervals by effective count."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from predictions import adult, gap_of, judged, of_slice, people
from sklearn.metrics import accuracy_score, brier_score_loss, precision_score, recall_score, roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from tfx_trust.components import FairnessReport, InputError
from tfx_trust.components.fairness.config import DECISION_METRICS, METRICS
from tfx_trust.pipelines.census.data import LABEL

TABLE = people(3_000, weight=np.random.default_rng(8).gamma(2.0, size=3_000))


@pytest.fixture(scope="module")
def weighted() -> FairnessReport:
    return judged(TABLE, {"weight": "weight"})


def by_scikit_learn(label: np.ndarray, score: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    decided = (score >= 0.5).astype(int)
    given = {"y_true": label, "y_pred": decided, "sample_weight": weight}
    recall, specificity = (recall_score(**given, pos_label=positive) for positive in (1, 0))
    return {
        "selection_rate": float(np.average(decided, weights=weight)),
        "false_positive_rate": 1 - specificity,
        "false_negative_rate": 1 - recall,
        "true_positive_rate": recall,
        "true_negative_rate": specificity,
        "precision": precision_score(**given),
        "accuracy": accuracy_score(**given),
        "brier": brier_score_loss(label, score, sample_weight=weight),
        "calibration_in_the_large": float(np.average(score - label, weights=weight)),
    }


def columns(inside: np.ndarray) -> list[np.ndarray]:
    return [TABLE[name].to_numpy()[inside] for name in ("y", "s", "weight")]


@pytest.mark.parametrize("group", ["a", "b", "c"])
def test_values_are_those_of_scikit_learn_with_sample_weights(group: str, weighted: FairnessReport) -> None:
    inside = TABLE["g"].to_numpy() == group
    expected = by_scikit_learn(*columns(inside))
    metrics = of_slice(weighted, {"g": group}).metrics
    assert {name: metrics[name].value for name in expected} == pytest.approx(expected, abs=1e-9)
    rest = by_scikit_learn(*columns(~inside))
    found = {name: gap_of(weighted, name, {"g": group}).reference_value for name in rest}
    assert found == pytest.approx(rest, abs=1e-9)
    label, score, weight = columns(inside)
    auc = metrics["auc"]
    assert auc.value == pytest.approx(roc_auc_score(label, score, sample_weight=weight), abs=1e-9 + auc.bound)
    label, score, weight = columns(~inside)
    reference = gap_of(weighted, "auc", {"g": group}).reference_value
    assert reference == pytest.approx(roc_auc_score(label, score, sample_weight=weight), abs=1e-3)


def test_effective_counts_are_kishs(weighted: FairnessReport) -> None:
    for group in "abc":
        label, score, weight = columns(TABLE["g"].to_numpy() == group)
        decided = score >= 0.5
        metrics = of_slice(weighted, {"g": group}).metrics
        denominators = {
            "selection_rate": weight,
            "false_positive_rate": weight[label == 0],
            "true_positive_rate": weight[label == 1],
            "precision": weight[decided],
            "brier": weight,
            "calibration_error": weight,
        }
        for name, part in denominators.items():
            assert metrics[name].count == len(part)
            assert metrics[name].effective == pytest.approx(part.sum() ** 2 / (part**2).sum(), rel=1e-9)
        assert metrics["auc"].effective == pytest.approx(
            min(weight[label == value].sum() ** 2 / (weight[label == value] ** 2).sum() for value in (0, 1))
        )


def test_intervals_rest_on_effective_counts(weighted: FairnessReport) -> None:
    for item in weighted.fairness.slices:
        for name in DECISION_METRICS:
            metric = item.metrics[name]
            assert metric.effective is not None
            assert metric.value is not None
            assert metric.effective < metric.count
            expected = proportion_confint(metric.value * metric.effective, metric.effective, method="wilson")
            assert (metric.low, metric.high) == pytest.approx(expected, abs=1e-12)


def values(report: FairnessReport) -> list[Any]:
    """What the slices' metrics are, and their intervals."""
    return [
        (item.slice, name, metric.value, metric.low, metric.high)
        for item in report.fairness.slices
        for name, metric in item.metrics.items()
    ]


@pytest.mark.parametrize("weight", [1.0, 0.1, 3.7e-4, 123.456])
def test_equal_weights_are_none(weight: float) -> None:
    plain = judged(TABLE.drop(["weight"]))
    found = judged(TABLE.set_column(4, "weight", pa.array(np.full(3_000, weight))), {"weight": "weight"})
    for one, other in zip(values(found), values(plain)):
        assert one[:2] == other[:2]
        assert one[2:] == pytest.approx(other[2:], abs=1e-7), one
    for item in found.fairness.slices:
        for metric in item.metrics.values():
            assert metric.effective == pytest.approx(metric.count, rel=1e-9)
    assert [gap.verdict for gap in found.fairness.gaps] == [gap.verdict for gap in plain.fairness.gaps]


@pytest.mark.parametrize("weight", [1.0, 0.1, 1 / 3, 0.7])
def test_equal_weights_do_not_fall_short_of_the_fewest_examples_by_rounding(weight: float) -> None:
    table = people(600, seed=3)
    fewest = min(gap.slice_count for gap in judged(table).fairness.gaps if gap.metric == "true_positive_rate")
    table = table.append_column("weight", pa.array(np.full(600, weight)))
    report = judged(table, {"weight": "weight", "min_count": fewest})
    verdicts = {gap.verdict for gap in report.fairness.gaps if gap.metric == "true_positive_rate"}
    assert "insufficient" not in verdicts


@pytest.mark.parametrize("scale", [1e-6, 0.3, 1e6])
def test_scaling_all_weights_changes_nothing_but_rounding(scale: float, weighted: FairnessReport) -> None:
    scaled = TABLE.set_column(4, "weight", pa.array(scale * TABLE["weight"].to_numpy()))
    found = judged(scaled, {"weight": "weight"})
    assert tuple(of_slice(found).metrics) == METRICS
    for one, other in zip(values(found), values(weighted)):
        assert one[:2] == other[:2]
        assert one[2:] == pytest.approx(other[2:], abs=1e-6), one


def test_few_weighted_examples_have_an_auc_however_small_their_weights() -> None:
    table = people(60, seed=2, weight=np.full(60, 1e-6))
    metric = of_slice(judged(table, {"weight": "weight"}), {"g": "c"}).metrics["auc"]
    plain = of_slice(judged(table.drop(["weight"])), {"g": "c"}).metrics["auc"]
    assert metric.value == pytest.approx(plain.value)


def test_weights_of_powers_of_2_count_like_so_many_copies() -> None:
    """Adult, each example as often as its weight says, has the same values."""
    table = adult().select([LABEL, "score", "sex", "importance"])
    copies = (4 * table["importance"].to_numpy()).astype(int)
    repeated = table.take(pa.array(np.repeat(np.arange(len(copies)), copies)))
    settings = {"label": LABEL, "slices": [["sex"]], "discover": []}
    found = judged(table, {**settings, "weight": "importance"}, score="score")
    expected = judged(repeated, settings, score="score")
    for item, other in zip(found.fairness.slices, expected.fairness.slices):
        for name in (*DECISION_METRICS, "auc", "brier", "calibration_in_the_large"):
            assert item.metrics[name].value == pytest.approx(other.metrics[name].value, abs=1e-9)


# Weights of 0, and such that cannot be used.


def test_examples_of_weight_0_are_counted_but_weigh_nothing() -> None:
    weight = np.ones(1_000)
    score = np.random.default_rng(0).uniform(0, 0.8, 1_000)
    # Alone in their bin of the score.
    weight[:10], score[:10] = 0, 0.99
    table = people(1_000, weight=weight, s=score)
    found, expected = judged(table, {"weight": "weight"}), judged(table.slice(10), {"weight": "weight"})
    assert of_slice(found).examples == 1_000
    for name, metric in of_slice(found).metrics.items():
        assert metric.value == pytest.approx(of_slice(expected).metrics[name].value, abs=1e-12)
        assert metric.effective == pytest.approx(of_slice(expected).metrics[name].effective)
    assert max(bin_.high for bin_ in of_slice(found).reliability) < 0.9


def test_a_slice_that_weighs_nothing_is_insufficient() -> None:
    table = people(900)
    weight = np.where(table["g"].to_numpy() == "c", 0.0, 1.3)
    report = judged(table.append_column("weight", pa.array(weight)), {"weight": "weight"})
    nothing = of_slice(report, {"g": "c"})
    assert nothing.examples > 100
    assert {metric.value for metric in nothing.metrics.values()} == {None}
    assert gap_of(report, "false_positive_rate", {"g": "c"}).verdict == "insufficient"


def test_all_outside_may_weigh_nothing() -> None:
    table = people(900)
    weight = np.where(table["g"].to_numpy() == "a", 1.3, 0.0)
    report = judged(table.append_column("weight", pa.array(weight)), {"weight": "weight"})
    assert gap_of(report, "true_positive_rate", {"g": "a"}).verdict == "insufficient"
    assert gap_of(report, "auc", {"g": "a"}).reference_value is None


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (0.0, "weight 'weight' is 0 in all 900 examples: nothing counts; correct the weights"),
        (1e-9, "weight 'weight' is 1e-09 on average, too little .* multiply all weights by the same number"),
        (-1.0, "weight 'weight' is negative in 900 of 900 examples, first in number 0"),
        (np.nan, "weight 'weight' is missing or NaN in 900 of 900"),
        (np.inf, "weight 'weight' is above 1,073,741,824 in 900 of 900 .* divide all weights"),
        (None, "weight 'weight' is missing or NaN in 900 of 900"),
        ("heavy", "weight 'weight' is string; numbers are needed"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(weight: Any, message: str) -> None:
    table = people(900, weight=pa.array([weight] * 900))
    with pytest.raises(InputError, match=message):
        judged(table, {"weight": "weight"})
