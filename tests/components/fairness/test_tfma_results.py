"""The results that TFMA reads: slices, names, values and bounds, as its own evaluation has them."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.view import util as view_util

from tfx_trust.components.fairness.conclude import COMPONENT
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.evaluate import evaluate_fairness
from tfx_trust.components.fairness.report import FairnessReport, FairnessSection
from tfx_trust.components.fairness.tfma_results import write_results

NAMES = {
    "selection_rate": "fairness_indicators_metrics/positive_rate",
    "false_positive_rate": "fairness_indicators_metrics/false_positive_rate",
    "false_negative_rate": "fairness_indicators_metrics/false_negative_rate",
    "true_positive_rate": "fairness_indicators_metrics/true_positive_rate",
    "true_negative_rate": "fairness_indicators_metrics/true_negative_rate",
}
PLAIN = {
    "accuracy": "binary_accuracy",
    "precision": "precision",
    "auc": "auc",
    "brier": "mean_squared_error",
    "calibration_error": "calibration_error",
    "calibration_in_the_large": "calibration_in_the_large",
}


def table(rows: int = 600) -> pa.Table:
    random = np.random.default_rng(0)
    label = random.integers(0, 2, rows)
    return pa.table(
        {
            "label": label,
            "score": np.clip((label + random.normal(0.5, 1, rows)) / 2, 0, 1),
            "weight": random.random(rows),
            "sex": random.choice(["f", "m"], rows),
            "race": random.choice(["a", "b", "c"], rows),
        }
    )


def report_of(given: dict[str, Any], examples: pa.Table | None = None, **columns: Any) -> FairnessReport:
    settings = {"label": "label", "slices": [["sex"], ["race"]], "cross": 2, "discover": [], **given}
    return evaluate_fairness(
        table() if examples is None else examples, settings, **(columns or {"score": "score"})
    )


def written(report: FairnessReport, folder: Path) -> str:
    write_results(report, str(folder), model_location="models/7", data_location="examples/eval")
    return str(folder)


def bounded(metric: Any) -> dict[str, Any]:
    return {"boundedValue": {"value": metric.value, "lowerBound": metric.low, "upperBound": metric.high}}


def test_every_slice_has_the_values_and_bounds_of_the_report(tmp_path: Path) -> None:
    report = report_of({})
    result = tfma.load_eval_result(written(report, tmp_path))
    assert [key for key, _ in result.slicing_metrics] == [
        tuple(sorted(item.slice.items())) for item in report.fairness.slices
    ]
    assert (("race", "a"), ("sex", "f")) in dict(result.slicing_metrics)
    for item in report.fairness.slices:
        found = result.get_metrics_for_slice(tuple(sorted(item.slice.items())))
        assert found is not None
        assert found["example_count"] == {"doubleValue": item.examples}
        for name, shown in NAMES.items():
            assert found[f"{shown}@0.5"] == bounded(item.metrics[name]), name
        for name, shown in PLAIN.items():
            assert found[shown] == bounded(item.metrics[name]), name
        discovered = found["fairness_indicators_metrics/false_discovery_rate@0.5"]["boundedValue"]
        precision = item.metrics["precision"]
        assert precision.value is not None
        assert discovered["value"] == pytest.approx(1 - precision.value)
        assert discovered["lowerBound"] < discovered["value"] < discovered["upperBound"]
    assert (result.model_location, result.data_location) == ("models/7", "examples/eval")


def test_the_configuration_names_label_slices_and_thresholds(tmp_path: Path) -> None:
    config = tfma.load_eval_result(written(report_of({"thresholds": [0.5, 0.25]}), tmp_path)).config
    assert config.model_specs[0].label_key == "label"
    assert [list(spec.feature_keys) for spec in config.slicing_specs] == [
        [],
        ["sex"],
        ["race"],
        ["race", "sex"],
    ]
    metrics = {item.class_name: item.config for item in config.metrics_specs[0].metrics}
    assert set(json.loads(metrics["FairnessIndicators"])["thresholds"]) == {0.25, 0.5}
    assert {"ExampleCount", "AUC", "MeanSquaredError"} <= set(metrics)


def test_each_threshold_is_in_the_names_with_the_same_decimals(tmp_path: Path) -> None:
    report = report_of({"thresholds": [0.5, 0.25, 1e-05]})
    found = tfma.load_eval_result(written(report, tmp_path)).get_metrics_for_slice()
    assert found is not None
    rates = {item.threshold: item.metrics for item in report.fairness.slices[0].thresholds}
    for threshold, text in ((0.5, "0.50000"), (0.25, "0.25000"), (1e-05, "0.00001")):
        name = f"fairness_indicators_metrics/false_positive_rate@{text}"
        assert found[name] == bounded(rates[threshold]["false_positive_rate"])
    assert found["binary_accuracy"] == bounded(rates[0.5]["accuracy"])


def test_decisions_of_the_model_are_told_at_one_half(tmp_path: Path) -> None:
    decided = table().append_column("decided", pa.array(np.arange(600) % 2))
    report = report_of({}, decided, prediction="decided")
    found = tfma.load_eval_result(written(report, tmp_path)).get_metrics_for_slice()
    assert found is not None
    rate = report.fairness.slices[0].metrics["true_positive_rate"]
    assert found["fairness_indicators_metrics/true_positive_rate@0.5"] == bounded(rate)
    assert "auc" not in found


def test_an_undefined_metric_is_nan_and_has_no_bounds(tmp_path: Path) -> None:
    rows = table().to_pylist()
    for row in rows[:40]:
        row.update(sex="x", label=0)
    folder = written(report_of({}, pa.Table.from_pylist(rows)), tmp_path)
    found = tfma.load_eval_result(folder).get_metrics_for_slice((("sex", "x"),))
    assert found is not None
    assert found["fairness_indicators_metrics/true_positive_rate@0.5"] == {"doubleValue": "NaN"}
    assert "boundedValue" in found["fairness_indicators_metrics/true_negative_rate@0.5"]


def test_the_records_have_the_value_beside_its_interval(tmp_path: Path) -> None:
    report = report_of({"weight": "weight"})
    messages = list(tfma.load_metrics(written(report, tmp_path)))
    pairs = {pair.key.name: pair for pair in messages[0].metric_keys_and_values}
    metric = report.fairness.slices[0].metrics["auc"]
    assert pairs["auc"].value.double_value.value == metric.value
    assert pairs["auc"].confidence_interval.lower_bound.double_value.value == metric.low
    assert pairs["auc"].key.example_weighted.value
    assert not pairs["example_count"].key.example_weighted.value
    assert all(math.isfinite(pair.value.double_value.value) for pair in pairs.values())


def test_classes_are_the_sub_keys_of_their_metrics(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    scores = random.dirichlet([1, 1, 1], 600)
    names = ["low", "mid", "top"]
    examples = table().set_column(0, "label", pa.array(random.choice(names, 600)))
    for place, name in enumerate(names):
        examples = examples.append_column(name, pa.array(scores[:, place]))
    report = report_of({"classes": names}, examples, score=names)
    result = tfma.load_eval_result(written(report, tmp_path))
    for item in report.fairness.slices:
        assert item.label_class is not None
        key = tuple(sorted(item.slice.items()))
        found = result.get_metrics_for_slice(key, class_id=names.index(item.label_class))
        assert found is not None
        assert found["auc"] == bounded(item.metrics["auc"])
        assert result.get_metrics_for_slice(key) == {"example_count": {"doubleValue": item.examples}}
    assert len(result.slicing_metrics) * 3 == len(report.fairness.slices)


def test_the_viewer_finds_the_slices_of_a_feature(tmp_path: Path) -> None:
    result = tfma.load_eval_result(written(report_of({}), tmp_path))
    data = view_util.get_slicing_metrics(result.slicing_metrics, slicing_column="sex")
    assert [item["slice"] for item in data] == ["sex:f", "sex:m"]
    assert view_util.get_slicing_config(result.config) == {"weightedExamplesColumn": "example_count"}
    assert all("example_count" in item["metrics"][""][""] for item in data)


def test_a_report_without_measurements_gives_results_without_slices(tmp_path: Path) -> None:
    report = FairnessReport(
        component=COMPONENT,
        settings=FairnessSettings(label="label", slices=[["sex"]]).model_dump(mode="json"),
        fairness=FairnessSection(examples=0, threshold=0.5, compare=">="),
    )
    result = tfma.load_eval_result(written(report, tmp_path))
    assert result.slicing_metrics == []
    assert result.config.model_specs[0].label_key == "label"
