"""Rates and disparities on UCI Adult: those of Fairlearn, and the published ones of the rule model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from predictions import FAMILIES, LABEL, SLICES, THRESHOLD, adult, of_slice

from tfx_trust.components import FairnessReport, evaluate_fairness
from tfx_trust.components.fairness.config import DECISION_METRICS
from tfx_trust.components.fairness.report import Disparity


def fairlearn_metrics() -> dict[str, Callable[..., float]]:
    from fairlearn import metrics
    from sklearn.metrics import accuracy_score, precision_score

    return {
        "selection_rate": metrics.selection_rate,
        "false_positive_rate": metrics.false_positive_rate,
        "false_negative_rate": metrics.false_negative_rate,
        "true_positive_rate": metrics.true_positive_rate,
        "true_negative_rate": metrics.true_negative_rate,
        "precision": lambda *given: precision_score(*given, zero_division=np.nan),
        "accuracy": accuracy_score,
    }


@pytest.fixture(scope="module")
def frames(census_frame: pd.DataFrame) -> dict[tuple[str, ...], Any]:
    """Fairlearn's MetricFrame by set of features."""
    from fairlearn.metrics import MetricFrame

    decided = (census_frame["score"] >= THRESHOLD).astype(int)
    return {
        family: MetricFrame(
            metrics=fairlearn_metrics(),
            y_true=census_frame[LABEL],
            y_pred=decided,
            sensitive_features=census_frame[list(family)],
        )
        for family in FAMILIES
    }


def test_scores_equal_to_the_threshold_occur(census_frame: pd.DataFrame) -> None:
    assert (census_frame["score"] == THRESHOLD).sum() > 500


@pytest.mark.parametrize("family", FAMILIES, ids=",".join)
def test_rates_are_those_of_fairlearn(
    family: tuple[str, ...], census_report: FairnessReport, frames: dict[Any, Any]
) -> None:
    by_group = frames[family].by_group
    found = [item for item in census_report.fairness.slices if tuple(item.slice) == family]
    assert len(found) == len(by_group) == {1: 2 if family == ("sex",) else 5, 2: 10}[len(family)]
    for item in found:
        key = tuple(item.slice.values())
        expected = by_group.loc[key if len(family) > 1 else key[0]]
        values = {name: item.metrics[name].value for name in DECISION_METRICS}
        assert values == pytest.approx(expected.to_dict(), abs=1e-9)


def test_rates_of_all_examples_are_those_of_fairlearn(
    census_report: FairnessReport, frames: dict[Any, Any]
) -> None:
    everyone = of_slice(census_report)
    assert (everyone.examples, everyone.positives) == (16_281, 3_846)
    values = {name: everyone.metrics[name].value for name in DECISION_METRICS}
    assert values == pytest.approx(frames["sex",].overall.to_dict(), abs=1e-9)


def test_each_rate_rests_on_its_own_denominator(
    census_report: FairnessReport, census_frame: pd.DataFrame
) -> None:
    women = census_frame[census_frame["sex"] == "Female"]
    metrics = of_slice(census_report, {"sex": "Female"}).metrics
    decided = int((women["score"] >= THRESHOLD).sum())
    negatives, positives = (int((women[LABEL] == label).sum()) for label in (0, 1))
    counts = [len(women), negatives, positives, positives, negatives, decided, len(women)]
    assert [metrics[name].count for name in DECISION_METRICS] == counts
    assert all(metrics[name].effective is None for name in DECISION_METRICS)


def test_a_score_equal_to_the_threshold_is_decided_as_compare_says(
    census_report: FairnessReport, strict_report: FairnessReport, census_frame: pd.DataFrame
) -> None:
    equal = int((census_frame["score"] == THRESHOLD).sum())
    selected = [
        metric.value * metric.count
        for metric in (
            of_slice(report).metrics["selection_rate"] for report in (census_report, strict_report)
        )
        if metric.value is not None
    ]
    assert selected[0] - selected[1] == pytest.approx(equal)


def disparity(report: FairnessReport, name: str, family: tuple[str, ...]) -> Disparity:
    (found,) = [
        item for item in report.fairness.disparities if item.name == name and tuple(item.by) == family
    ]
    return found


@pytest.mark.parametrize("family", FAMILIES, ids=",".join)
@pytest.mark.parametrize(
    "name", ["demographic_parity_difference", "demographic_parity_ratio", "equalized_odds_difference"]
)
def test_disparities_over_all_slices_are_those_of_fairlearn(
    name: str, family: tuple[str, ...], census_report: FairnessReport, census_frame: pd.DataFrame
) -> None:
    from fairlearn import metrics

    decided = (census_frame["score"] >= THRESHOLD).astype(int)
    expected = getattr(metrics, name)(
        census_frame[LABEL], decided, sensitive_features=census_frame[list(family)]
    )
    assert disparity(census_report, name, family).over_all == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("family", FAMILIES, ids=",".join)
def test_disparities_leave_out_slices_of_few_examples_and_say_so(
    family: tuple[str, ...], census_report: FairnessReport, frames: dict[Any, Any], census_frame: pd.DataFrame
) -> None:
    by_group = frames[family].by_group
    positives = census_frame.groupby(list(family))[LABEL].sum()
    kept = by_group["true_positive_rate"][positives.reindex(by_group.index) >= 30]
    found = disparity(census_report, "equal_opportunity_difference", family)
    assert found.value == pytest.approx(kept.max() - kept.min(), abs=1e-9)
    assert (found.slices, found.left_out) == (len(kept), len(by_group) - len(kept))
    extremes = [kept.idxmax(), kept.idxmin()]
    named = [tuple((slice_ or {}).values()) for slice_ in (found.highest, found.lowest)]
    assert named == [key if isinstance(key, tuple) else (key,) for key in extremes]
    assert found.low is not None
    assert found.high is not None
    assert found.low <= kept.max() - kept.min() <= found.high


@pytest.fixture(scope="module")
def rule_report() -> FairnessReport:
    """The published rule: education_num >= 13 or capital_gain > 5000."""
    settings = {"label": LABEL, "slices": SLICES, "discover": []}
    return evaluate_fairness(adult(), settings, prediction="rule")


@pytest.mark.parametrize(
    ("family", "name", "published"),
    [
        (("sex",), "demographic_parity_difference", 0.04426),
        (("sex",), "demographic_parity_ratio", 0.844797),
        (("sex",), "equalized_odds_difference", 0.086488),
        (("race",), "demographic_parity_difference", 0.32217),
        (("race",), "equalized_odds_difference", 0.428571),
        (("race", "sex"), "demographic_parity_difference", 0.361729),
        (("race", "sex"), "equalized_odds_difference", 0.8),
    ],
)
def test_the_rule_model_has_its_known_disparities(
    family: tuple[str, ...], name: str, published: float, rule_report: FairnessReport
) -> None:
    assert disparity(rule_report, name, family).over_all == pytest.approx(published, abs=5e-6)


def test_decisions_alone_have_no_threshold_and_no_metrics_of_scores(rule_report: FairnessReport) -> None:
    section = rule_report.fairness
    assert (section.threshold, section.compare) == (None, None)
    assert {name for item in section.slices for name in item.metrics} == set(DECISION_METRICS)
    assert not any(item.reliability or item.thresholds for item in section.slices)
