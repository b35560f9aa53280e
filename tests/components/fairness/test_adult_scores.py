"""Metrics of scores, intervals, tests: those of scikit-learn, statsmodels and slow twins, on UCI Adult."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from predictions import LABEL, THRESHOLD, adult, counted, gap_of, members
from scipy import stats
from sklearn.metrics import brier_score_loss, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from tfx_trust.components import FairnessReport
from tfx_trust.components.fairness.config import DECISION_METRICS, SCORE_METRICS, FairnessSettings
from tfx_trust.components.fairness.measure import measure
from tfx_trust.components.fairness.report import SliceMetrics
from tfx_trust.components.fairness.slicing import Pooling

BINS = 15


def known(number: float | None) -> float:
    assert number is not None
    return number


def rows_of(frame: pd.DataFrame, item: SliceMetrics) -> pd.DataFrame:
    return frame[members(frame, item.slice)]


def slow_calibration_error(frame: pd.DataFrame) -> float:
    """A loop over the bins."""
    error = 0.0
    for number in range(BINS):
        inside = frame[np.minimum((frame["score"] * BINS).astype(int), BINS - 1) == number]
        if len(inside):
            error += abs(inside[LABEL].mean() - inside["score"].mean()) * len(inside) / len(frame)
    return error


def test_brier_is_that_of_scikit_learn(census_report: FairnessReport, census_frame: pd.DataFrame) -> None:
    for item in census_report.fairness.slices:
        rows = rows_of(census_frame, item)
        assert item.metrics["brier"].value == pytest.approx(
            brier_score_loss(rows[LABEL], rows["score"]), abs=1e-9
        )


def test_calibration_in_the_large_is_the_mean_score_less_the_share_of_positives(
    census_report: FairnessReport, census_frame: pd.DataFrame
) -> None:
    for item in census_report.fairness.slices:
        rows = rows_of(census_frame, item)
        metric = item.metrics["calibration_in_the_large"]
        assert metric.value == pytest.approx((rows["score"] - rows[LABEL]).mean(), abs=1e-9)


def test_auc_is_that_of_scikit_learn_within_the_bound_that_is_told(
    census_report: FairnessReport, census_frame: pd.DataFrame
) -> None:
    for item in census_report.fairness.slices:
        rows = rows_of(census_frame, item)
        metric = item.metrics["auc"]
        exact = roc_auc_score(rows[LABEL], rows["score"])
        assert abs(known(metric.value) - exact) <= known(metric.bound) + 1e-12
        assert known(metric.bound) <= 1e-3


def test_auc_of_all_outside_a_slice_is_that_of_scikit_learn(
    census_report: FairnessReport, census_frame: pd.DataFrame
) -> None:
    for item in census_report.fairness.slices[1:]:
        rows = census_frame[~members(census_frame, item.slice)]
        gap = gap_of(census_report, "auc", item.slice)
        assert abs(known(gap.reference_value) - roc_auc_score(rows[LABEL], rows["score"])) <= 1e-3


def test_other_metrics_of_all_outside_a_slice_are_those_of_these_rows(
    census_report: FairnessReport, census_frame: pd.DataFrame
) -> None:
    for item in census_report.fairness.slices[1:]:
        rows = census_frame[~members(census_frame, item.slice)]
        decided = rows["score"] >= THRESHOLD
        expected = {
            "brier": brier_score_loss(rows[LABEL], rows["score"]),
            "calibration_in_the_large": (rows["score"] - rows[LABEL]).mean(),
            "selection_rate": decided.mean(),
            "false_positive_rate": decided[rows[LABEL] == 0].mean(),
            "precision": rows[LABEL][decided].mean(),
        }
        found = {name: gap_of(census_report, name, item.slice).reference_value for name in expected}
        assert found == pytest.approx(expected, abs=1e-9)


def test_calibration_error_is_that_of_a_slow_twin_less_what_chance_gives(
    census_report: FairnessReport, census_frame: pd.DataFrame
) -> None:
    (whole,) = counted(adult(), census_report.settings, 20_000, score="score", baseline_prediction="rule")
    counts = whole.canonical()
    measured = measure(counts, Pooling(counts))
    raw, chance = {}, {}
    for one in measured:
        assert one.calibration is not None
        for slice_, error, part in zip(one.slices, one.calibration.raw, one.calibration.chance):
            raw[tuple(slice_.items())], chance[tuple(slice_.items())] = error, part
    for item in census_report.fairness.slices:
        key = tuple(item.slice.items())
        assert raw[key] == pytest.approx(slow_calibration_error(rows_of(census_frame, item)), abs=1e-9)
        beyond = max(raw[key] ** 2 - chance[key] ** 2, 0) ** 0.5
        assert item.metrics["calibration_error"].value == pytest.approx(beyond)


def test_intervals_of_rates_are_those_of_statsmodels(census_report: FairnessReport) -> None:
    for item in census_report.fairness.slices:
        for name in DECISION_METRICS:
            metric = item.metrics[name]
            expected = proportion_confint(
                round(known(metric.value) * metric.count), metric.count, method="wilson"
            )
            assert (metric.low, metric.high) == pytest.approx(expected, abs=1e-12)


def test_intervals_of_differences_are_those_of_statsmodels(census_report: FairnessReport) -> None:
    gaps = [
        gap
        for gap in census_report.fairness.gaps
        if gap.kind == "difference" and gap.metric in DECISION_METRICS
    ]
    assert len(gaps) == 17 * len(DECISION_METRICS)
    for gap in gaps:
        counts = [
            value
            for share, count in (
                (gap.slice_value, gap.slice_count),
                (gap.reference_value, gap.reference_count),
            )
            for value in (round(known(share) * count), count)
        ]
        expected = confint_proportions_2indep(*counts, method="newcomb", compare="diff")
        assert (gap.low, gap.high) == pytest.approx(expected, abs=1e-12)


def test_intervals_of_means_are_students(census_report: FairnessReport, census_frame: pd.DataFrame) -> None:
    for item in census_report.fairness.slices:
        rows = rows_of(census_frame, item)
        error = rows["score"] - rows[LABEL]
        for name, values in (("brier", error**2), ("calibration_in_the_large", error)):
            half = stats.t.ppf(0.975, len(rows) - 1) * values.std() / np.sqrt(len(rows))
            metric = item.metrics[name]
            assert (metric.low, metric.high) == pytest.approx(
                (values.mean() - half, values.mean() + half), rel=1e-6
            )


def test_intervals_hold_the_value_and_lie_within_the_metrics_range(census_report: FairnessReport) -> None:
    for item in census_report.fairness.slices:
        for name in (*DECISION_METRICS, *SCORE_METRICS):
            metric = item.metrics[name]
            least = -1 if name == "calibration_in_the_large" else 0
            assert least <= known(metric.low) <= known(metric.value) <= known(metric.high) <= 1


def test_only_the_judged_gaps_are_corrected_by_holm(census_report: FairnessReport) -> None:
    judged = [gap for gap in census_report.fairness.gaps if gap.p_adjusted is not None]
    settings = FairnessSettings.of(census_report.settings)
    assert {(gap.metric, gap.kind) for gap in judged} == {(t.metric, t.kind) for t in settings.tolerances}
    # Of the two sexes, either is all that the other is not: one comparison.
    once = [gap for gap in judged if gap.slice != {"sex": "Male"}]
    assert len(once) == len(judged) - 2
    expected = multipletests([known(gap.p) for gap in once], method="holm")[1]
    assert [gap.p_adjusted for gap in once] == pytest.approx(expected)
    for gap in judged:
        if gap.slice == {"sex": "Male"}:
            assert gap.p_adjusted == gap_of(census_report, gap.metric, {"sex": "Female"}).p_adjusted


def test_reliability_tells_mean_score_and_share_of_positives_by_bin(
    census_report: FairnessReport, census_frame: pd.DataFrame
) -> None:
    for item in census_report.fairness.slices:
        if len(item.slice) > 1:
            assert item.reliability == []
            continue
        rows = rows_of(census_frame, item)
        bins = rows.groupby(np.minimum((rows["score"] * BINS).astype(int), BINS - 1))
        told = [(bin_.count, bin_.score, known(bin_.rate.value)) for bin_ in item.reliability]
        expected = [(len(part), part["score"].mean(), part[LABEL].mean()) for _, part in bins]
        assert np.array(told) == pytest.approx(np.array(expected))
        assert [round(bin_.low * BINS) for bin_ in item.reliability] == list(bins.groups)
        assert all(bin_.low - 1e-12 <= bin_.score <= bin_.high + 1e-12 for bin_ in item.reliability)


# Beside the baseline.


def test_the_baseline_is_compared_by_mcnemars_exact_test(
    census_report: FairnessReport, census_frame: pd.DataFrame
) -> None:
    baseline = census_report.fairness.baseline
    assert baseline is not None
    decided, before = census_frame["score"] >= THRESHOLD, census_frame["rule"] == 1
    assert (baseline.examples, baseline.changed) == (16_281, int((decided != before).sum()))
    assert len(baseline.changes) == 3 * 18
    label = census_frame[LABEL] == 1
    could: dict[str, Any] = {"false_positive_rate": ~label, "false_negative_rate": label, "error_rate": True}
    for change in baseline.changes:
        inside = members(census_frame, change.slice) & could[change.metric]
        worse = int((inside & (decided != label) & (before == label)).sum())
        better = int((inside & (decided == label) & (before != label)).sum())
        assert (change.worse, change.better, change.count) == (worse, better, int(inside.sum()))
        assert change.value == pytest.approx((worse - better) / change.count)
        assert change.p == pytest.approx(mcnemar([[0, worse], [better, 0]], exact=True).pvalue)
    asked = [change for change in baseline.changes if change.count >= 30]
    expected = multipletests([known(change.p) for change in asked], method="holm")[1]
    assert [change.p_adjusted for change in asked] == pytest.approx(expected)
    assert {change.verdict for change in baseline.changes if change.count < 30} == {"insufficient"}
