"""Rates on UCI Adult with '>': those of TFMA, whose decision is positive above the threshold."""

import json

import pandas as pd
import pytest
from predictions import FAMILIES, LABEL, THRESHOLD, members, of_slice

from tfx_trust.components import FairnessReport

pytestmark = pytest.mark.slow

NAMES = {
    "FPR": "false_positive_rate",
    "FNR": "false_negative_rate",
    "TPR": "true_positive_rate",
    "TNR": "true_negative_rate",
    "Precision": "precision",
    "BinaryAccuracy": "accuracy",
}
"""Metrics by TFMA's name of them."""
Rates = dict[tuple[tuple[str, str], ...], dict[str, float]]


@pytest.fixture(scope="module")
def by_tfma(census_frame: pd.DataFrame) -> Rates:
    """TFMA's rates by slice, all from one run."""
    # Not before: it is slow to load.
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.proto import config_pb2

    config = config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(label_key=LABEL, prediction_key="score")],
        slicing_specs=[config_pb2.SlicingSpec(feature_keys=keys) for keys in [(), *FAMILIES]],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(
                        class_name=name, config=json.dumps({"name": name, argument: threshold})
                    )
                    for name in NAMES
                    for argument, threshold in [
                        ("threshold", THRESHOLD) if name == "BinaryAccuracy" else ("thresholds", [THRESHOLD])
                    ]
                ]
            )
        ],
    )
    result = tfma.analyze_raw_data(census_frame[[LABEL, "score", "sex", "race"]], config)
    return {
        tuple(sorted(key)): {
            NAMES[name]: value["doubleValue"] for name, value in metrics[""][""].items() if name in NAMES
        }
        for key, metrics in result.slicing_metrics
    }


def test_rates_of_every_slice_are_those_of_tfma(by_tfma: Rates, strict_report: FairnessReport) -> None:
    assert len(by_tfma) == len(strict_report.fairness.slices) == 18
    for item in strict_report.fairness.slices:
        values = {name: item.metrics[name].value for name in NAMES.values()}
        assert values == pytest.approx(by_tfma[tuple(sorted(item.slice.items()))], abs=1e-9, nan_ok=True)


def test_with_the_other_comparison_they_are_not(by_tfma: Rates, census_report: FairnessReport) -> None:
    metric = of_slice(census_report, {"sex": "Male"}).metrics["false_positive_rate"]
    assert abs((metric.value or 0) - by_tfma[("sex", "Male"),]["false_positive_rate"]) > 1e-3


def test_the_selection_rate_is_the_share_above_the_threshold(
    strict_report: FairnessReport, census_frame: pd.DataFrame
) -> None:
    """TFMA's PredictedPositiveRate takes no part: it is not there in all versions."""
    for item in strict_report.fairness.slices:
        rows = census_frame[members(census_frame, item.slice)]
        metric = item.metrics["selection_rate"]
        assert metric.value == pytest.approx((rows["score"] > THRESHOLD).mean(), abs=1e-9)
