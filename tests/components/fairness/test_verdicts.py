"""Gaps judged against tolerances, all of them together corrected; what each verdict does to the report's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from predictions import cells, gap_of, judged, of_slice
from statsmodels.stats.multitest import multipletests

from tfx_trust.components import FairnessReport
from tfx_trust.components.intervals import newcombe, ratio

Four = Sequence[int]
FPR: dict[str, Any] = {"metric": "false_positive_rate", "bound": 0.1}
SELECTED: dict[str, Any] = {"metric": "selection_rate", "kind": "ratio", "bound": 0.8}


def of_groups(groups: dict[str, Four], *tolerances: dict[str, Any], **settings: Any) -> FairnessReport:
    """The report on groups of so many examples with label and decision 00, 01, 10, 11."""
    return judged(cells(groups), {"tolerances": [*tolerances], **settings}, prediction="p")


def negatives(wrong: int, count: int) -> Four:
    """A group of so many negatives, some of them decided positive."""
    return count - wrong, wrong, 50, 50


# Each verdict.


@pytest.mark.parametrize(
    ("wrong", "count", "verdict"),
    [
        (100, 1_000, "pass"),
        (185, 1_000, "inconclusive"),
        (220, 1_000, "inconclusive"),
        (300, 1_000, "fail"),
        (0, 1_000, "inconclusive"),
        (9, 30, "inconclusive"),
        (30, 30, "fail"),
        (29, 29, "insufficient"),
    ],
)
def test_a_difference_passes_within_fails_beyond_and_is_else_undecided(
    wrong: int, count: int, verdict: str
) -> None:
    report = of_groups(
        {"a": negatives(wrong, count), "b": negatives(120, 1_000), "c": negatives(80, 1_000)}, FPR
    )
    gap = gap_of(report, "false_positive_rate", {"g": "a"})
    assert gap.verdict == verdict
    assert (gap.slice_value, gap.reference_value) == (wrong / count, 0.1)
    low, high = newcombe(wrong / count, count, 0.1, 2_000, 0.95)
    assert (gap.low, gap.high) == (pytest.approx(float(low)), pytest.approx(float(high)))
    assert (low >= -0.1 and high <= 0.1) == (verdict == "pass") or verdict == "insufficient"
    assert gap.tolerance == 0.1


@pytest.mark.parametrize(
    ("selected", "verdict"),
    [(500, "pass"), (430, "inconclusive"), (380, "inconclusive"), (300, "fail"), (700, "fail")],
)
def test_a_ratio_is_judged_in_both_directions(selected: int, verdict: str) -> None:
    report = of_groups(
        {"a": (1_000 - selected, selected, 0, 1), "b": (1_000, 1_000, 0, 1), "c": (500, 500, 0, 1)}, SELECTED
    )
    gap = gap_of(report, "selection_rate", {"g": "a"}, "ratio")
    assert gap.verdict == verdict
    assert gap.value == pytest.approx((selected + 1) / 1_001 / (1_502 / 3_002))
    low, high = ratio((selected + 1) / 1_001, 1_001, 1_502 / 3_002, 3_002, 0.95)
    assert (gap.low, gap.high) == (pytest.approx(float(low)), pytest.approx(float(high)))


def test_a_ratio_to_nothing_is_told_as_none() -> None:
    report = of_groups({"a": (50, 50, 5, 5), "b": (300, 0, 10, 0)}, SELECTED)
    gap = gap_of(report, "selection_rate", {"g": "a"}, "ratio")
    assert (gap.value, gap.low, gap.high, gap.p) == (None, None, None, None)
    assert gap.verdict == "fail"
    assert FairnessReport.model_validate_json(report.to_json()) == report


def test_where_nobody_is_selected_no_ratio_fails() -> None:
    """However uneven the groups are."""
    report = of_groups({"a": (29, 0, 1, 0), "b": (15_000, 0, 1_000, 0), "c": (40, 0, 2, 0)}, SELECTED)
    verdicts = {gap.verdict for gap in report.fairness.gaps if gap.kind == "ratio"}
    assert verdicts == {"inconclusive"}


def test_metrics_without_a_tolerance_are_told_and_not_judged() -> None:
    report = of_groups({"a": negatives(100, 1_000), "b": negatives(120, 1_000)}, FPR)
    gap = gap_of(report, "accuracy", {"g": "a"})
    assert (gap.verdict, gap.tolerance, gap.p_adjusted) == ("not_judged", None, None)
    assert gap.p is not None
    assert gap_of(report, "selection_rate", {"g": "a"}, "ratio").verdict == "not_judged"


def test_the_strongest_evidence_comes_first() -> None:
    groups = {
        "a": negatives(2, 20),
        "b": negatives(300, 3_000),
        "c": negatives(40, 200),
        "d": negatives(400, 1_000),
        "e": negatives(310, 3_000),
    }
    found = [gap for gap in of_groups(groups, FPR).fairness.gaps if gap.verdict != "not_judged"]
    assert [(gap.verdict, gap.slice["g"]) for gap in found] == [
        ("fail", "d"),
        ("inconclusive", "c"),
        ("pass", "b"),
        ("pass", "e"),
        ("insufficient", "a"),
    ]


# Slices with little in them.


def test_a_slice_without_positives_is_insufficient() -> None:
    report = of_groups({"a": (300, 30, 0, 0), "b": (300, 30, 40, 60), "c": (300, 30, 40, 60)})
    report = judged(
        cells({"a": (300, 30, 0, 0), "b": (300, 30, 40, 60), "c": (300, 30, 40, 60)}), prediction="p"
    )
    metric = of_slice(report, {"g": "a"}).metrics["true_positive_rate"]
    assert (metric.value, metric.low, metric.high, metric.count) == (None, None, None, 0)
    gap = gap_of(report, "true_positive_rate", {"g": "a"})
    assert (gap.verdict, gap.value, gap.p, gap.slice_count) == ("insufficient", None, None, 0)
    assert gap_of(report, "false_positive_rate", {"g": "a"}).verdict == "pass"


@pytest.mark.parametrize("few", [(1, 0, 0, 0), (0, 0, 0, 1), (1, 0, 0, 1), (0, 0, 5, 0), (2, 2, 2, 2)])
def test_the_smallest_slices_are_measured_without_a_crash(few: Four) -> None:
    table = cells({"a": few, "b": (300, 30, 40, 60), "c": (10, 10, 10, 10)})
    score = np.linspace(0, 1, len(table["y"]))
    report = judged({**table, "s": score}, prediction="p", score="s")
    item = of_slice(report, {"g": "a"})
    assert item.examples == sum(few)
    for metric in item.metrics.values():
        assert (metric.value is None) == (metric.count == 0)
        if metric.value is not None:
            assert metric.low is not None
            assert metric.high is not None
            assert metric.low <= metric.value <= metric.high
    assert FairnessReport.model_validate_json(report.to_json()) == report


def test_a_slice_that_is_everybody_has_nothing_to_be_compared_with() -> None:
    table = cells({"only": (300, 30, 40, 60)})
    report = judged({**table, "s": np.linspace(0, 1, 430)}, prediction="p", score="s")
    assert {gap.verdict for gap in report.fairness.gaps} == {"not_judged", "insufficient"}
    assert all(
        (gap.value, gap.reference_value, gap.reference_count) == (None, None, 0)
        for gap in report.fairness.gaps
    )
    assert report.fairness.disparities == []
    assert of_slice(report, {"g": "only"}).metrics == of_slice(report).metrics
    # Nothing was judged, which is no pass.
    assert str(report.verdict) == "not_run"
    messages = [finding.message for finding in report.findings if str(finding.severity) == "not_run"]
    assert messages == [
        "The difference of the false positive rate was not judged at all: no slice has enough examples.",
        "The difference of the true positive rate was not judged at all: no slice has enough examples.",
    ]


def test_a_tolerance_of_some_slices_alone_is_no_pass_where_they_cannot_be_judged() -> None:
    table = cells({"a": (900, 100, 100, 900), "b": (900, 100, 100, 900)})
    settings = {
        "slices": [["g"], ["only"]],
        "tolerances": [{**FPR, "bound": 0.2}, {**FPR, "bound": 0.1, "slices": [["only"]]}],
    }
    report = judged({**table, "only": ["same"] * 4_000}, settings, prediction="p")
    assert str(report.verdict) == "not_run"
    (message,) = [finding.message for finding in report.findings if str(finding.severity) == "not_run"]
    assert "false positive rate by only was not judged at all: no slice has enough examples" in message


def test_without_tolerances_it_is_said_that_nothing_is_judged() -> None:
    table = cells({"a": (900, 100, 100, 900), "b": (900, 100, 100, 900)})
    report = judged(table, {"tolerances": [], "discover": []}, prediction="p")
    assert [finding.message for finding in report.findings] == ["No gap was judged: no tolerance is set."]


def test_undecided_gaps_are_told_once_a_kind_and_counted_by_slice() -> None:
    table = cells({"a": (60, 40, 40, 60), "b": (55, 45, 45, 55), "c": (50, 50, 50, 50)})
    rate = {"metric": "selection_rate"}
    settings = {"tolerances": [{**rate, "bound": 0.05}, {**rate, "kind": "ratio", "bound": 0.9}]}
    report = judged(table, {**settings, "discover": []}, prediction="p")
    messages = [item.message for item in report.findings if item.check == "fairness_undecided"]
    assert len(messages) == 2
    assert all(message.startswith("For 3 slices") for message in messages)
    assert "the ratio of the selection rate lies" in messages[1]


def test_a_tolerance_of_a_metric_that_needs_scores_is_not_judged_without_them() -> None:
    table = cells({"a": (900, 100, 100, 900), "b": (900, 100, 100, 900)})
    settings = {"tolerances": [{**FPR, "bound": 0.2}, {"metric": "auc", "bound": 0.1}]}
    report = judged(table, settings, prediction="p")
    assert str(report.verdict) == "not_run"
    (finding,) = [finding for finding in report.findings if str(finding.severity) == "not_run"]
    assert (finding.check, finding.subject) == ("fairness_insufficient", "auc")
    assert finding.message == "The difference of the AUC was not judged at all: there is nothing to compare."


# Many comparisons.


def uneven() -> dict[str, Four]:
    wrong = [100, 101, 150, 190, 210, 230]
    return {f"g{number}": negatives(count, 700) for number, count in enumerate(wrong)}


@pytest.mark.parametrize(("correction", "method"), [("holm", "holm"), ("bh", "fdr_bh"), ("none", None)])
def test_p_values_are_corrected_as_asked(correction: str, method: str | None) -> None:
    tolerances = [{**FPR, "bound": 0.05}, {"metric": "accuracy", "bound": 0.02}]
    report = of_groups(uneven(), *tolerances, correction=correction)
    gaps = [gap for gap in report.fairness.gaps if gap.p_adjusted is not None]
    assert len(gaps) == 12
    p_values = [gap.p for gap in gaps]
    expected = multipletests(p_values, method=method)[1] if method else p_values
    assert [gap.p_adjusted for gap in gaps] == pytest.approx(expected)
    for gap in gaps:
        assert (gap.verdict == "fail") == (gap.p_adjusted is not None and gap.p_adjusted < 0.05)
    # Without correction more fail.
    assert {gap.verdict for gap in gaps} >= {"fail", "inconclusive"}


def test_a_smaller_level_asks_for_less_evidence() -> None:
    groups = {"a": negatives(230, 1_000), "b": negatives(100, 1_000), "c": negatives(100, 1_000)}
    verdicts = [
        gap_of(of_groups(groups, FPR, level=level), "false_positive_rate", {"g": "a"}).verdict
        for level in (0.6, 0.999)
    ]
    assert verdicts == ["fail", "inconclusive"]


def two() -> dict[str, Four]:
    return {"f": negatives(300, 1_000), "m": negatives(130, 1_000)}


def test_two_slices_are_one_comparison() -> None:
    report = of_groups(two(), FPR)
    one, other = (gap_of(report, "false_positive_rate", {"g": name}) for name in "fm")
    assert one.value == -(other.value or 0)
    # Alone, it needs no correction.
    assert one.p == one.p_adjusted == other.p == other.p_adjusted
    assert (one.verdict, other.verdict) == ("fail", "fail")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("metric", ["false_positive_rate", "auc", "brier"])
def test_two_slices_are_told_by_one_finding(metric: str, weighted: bool) -> None:
    table = cells(two())
    random = np.random.default_rng(0)
    rows = len(table["y"])
    # Scores that are worse in one group.
    score = np.clip(
        0.3 * np.array(table["y"]) * (np.array(table["g"]) == "m") + 0.5 * random.random(rows), 0, 1
    )
    settings = {
        "tolerances": [{"metric": metric, "bound": 0.001}],
        "weight": "w" if weighted else None,
    }
    report = judged(
        {**table, "s": score, "w": random.uniform(0.5, 2, rows)}, settings, score="s", prediction="p"
    )
    assert [gap.verdict for gap in report.fairness.gaps[:2]] == ["fail", "fail"]
    assert [finding.check for finding in report.findings if finding.check == "fairness_gap"] == [
        "fairness_gap"
    ]


def test_three_slices_are_told_by_three() -> None:
    groups = {"a": negatives(500, 1_000), "b": negatives(10, 1_000), "c": negatives(260, 1_000)}
    report = of_groups(groups, {**FPR, "bound": 0.0})
    failed = [gap.slice["g"] for gap in report.fairness.gaps if gap.verdict == "fail"]
    assert len(failed) == sum(finding.check == "fairness_gap" for finding in report.findings) >= 2


def test_two_slices_with_a_named_reference_are_one_comparison_that_is_not_mirrored() -> None:
    report = of_groups(two(), FPR, reference={"g": "m"})
    assert [gap.slice for gap in report.fairness.gaps if gap.verdict == "fail"] == [{"g": "f"}]


# A tolerance for some slices only.


def test_a_tolerance_may_bind_only_some_slices() -> None:
    table = {**cells(two()), "h": ["x", "y"] * 1_100}
    settings = {
        "slices": [["g"], ["h"]],
        "tolerances": [{**FPR, "slices": [["g"]], "bound": 0.5}, {**FPR, "bound": 0.01}],
    }
    report = judged(table, settings, prediction="p")
    assert gap_of(report, "false_positive_rate", {"g": "f"}).tolerance == 0.5
    assert gap_of(report, "false_positive_rate", {"h": "x"}).tolerance == 0.01


# What verdicts do.


def severity(report: FairnessReport, check: str) -> tuple[str, str]:
    found = {str(finding.severity) for finding in report.findings if finding.check == check}
    (only,) = found
    return only, str(report.verdict)


@pytest.mark.parametrize(
    ("effect", "expected"),
    [("note", ("info", "pass")), ("warn", ("warn", "warn")), ("block", ("inconclusive", "inconclusive"))],
)
def test_what_is_not_decided_does_what_the_settings_say(effect: str, expected: tuple[str, str]) -> None:
    undecided = {"a": negatives(20, 100), "b": negatives(20, 100)}
    assert severity(of_groups(undecided, FPR, on_inconclusive=effect), "fairness_undecided") == expected
    few = {"a": negatives(2, 20), "b": negatives(100, 1_000), "c": negatives(100, 1_000)}
    assert severity(of_groups(few, FPR, on_insufficient=effect), "fairness_insufficient") == expected


@pytest.mark.parametrize(
    ("effect", "expected"),
    [("note", ("info", "pass")), ("warn", ("warn", "warn")), ("block", ("inconclusive", "inconclusive"))],
)
def test_what_was_discovered_does_what_the_settings_say(effect: str, expected: tuple[str, str]) -> None:
    table = {
        **cells({"a": (900, 100, 100, 900), "b": (100, 900, 100, 900)}),
        "only": ["one", "other"] * 2_000,
    }
    settings = {
        "slices": [["only"]],
        "discover": ["g"],
        "tolerances": [{**FPR, "bound": 0.2}],
        "on_discovered": effect,
    }
    report = judged(table, settings, prediction="p")
    assert severity(report, "fairness_discovered") == expected
    (found,) = report.fairness.discovered
    assert (found.slice, found.metric, found.confirmed) == ({"g": "b"}, "false_positive_rate", True)


@pytest.mark.parametrize("effect", ["note", "warn", "fail"])
def test_a_group_that_got_worse_does_what_the_settings_say(effect: str) -> None:
    table = cells({"a": (300, 40, 100, 100), "b": (300, 0, 100, 100)})
    before = [int(decision and (group, label) != ("a", 0)) for group, label, decision in zip(*table.values())]
    settings = {"tolerances": [], "on_regression": effect}
    report = judged({**table, "before": before}, settings, prediction="p", baseline_prediction="before")
    shown = "info" if effect == "note" else effect
    assert severity(report, "fairness_regression") == (shown, "pass" if effect == "note" else effect)
    subjects = [finding.subject for finding in report.findings if finding.check == "fairness_regression"]
    assert any("false_positive_rate" in subject and "g=a" in subject for subject in subjects)
    assert not any("g=b" in subject for subject in subjects)


def test_a_regression_may_be_allowed_up_to_a_bound() -> None:
    table = cells({"a": (260, 40, 100, 100), "b": (300, 0, 100, 100)})
    before = [int(decision and (group, label) != ("a", 0)) for group, label, decision in zip(*table.values())]
    verdicts = {}
    for bound in (0.0, 0.05, 0.1, 0.3):
        settings = {"tolerances": [], "max_regression": bound}
        report = judged({**table, "before": before}, settings, prediction="p", baseline_prediction="before")
        assert report.fairness.baseline is not None
        (verdicts[bound],) = [
            change.verdict
            for change in report.fairness.baseline.changes
            if (change.metric, change.slice) == ("false_positive_rate", {"g": "a"})
        ]
    # It is 0.133; that this is more than 0.1 the examples do not tell.
    assert verdicts == {0.0: "worse", 0.05: "worse", 0.1: "inconclusive", 0.3: "inconclusive"}


def test_a_change_as_large_as_is_allowed_is_hardly_ever_found_worse() -> None:
    random = np.random.default_rng(5)
    worse = 0
    for _ in range(60):
        changed = random.random(4_000) < 0.02
        table = {"y": [0, 1] * 2_000, "g": ["a", "a", "b", "b"] * 1_000}
        before = np.array(table["y"])
        table |= {"p": np.where(changed, 1 - before, before), "before": before}
        settings = {"tolerances": [], "max_regression": 0.02}
        report = judged(table, settings, prediction="p", baseline_prediction="before")
        assert report.fairness.baseline is not None
        worse += any(change.verdict == "worse" for change in report.fairness.baseline.changes)
    assert worse <= 3
