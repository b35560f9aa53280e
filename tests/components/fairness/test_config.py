"""Settings of the fairness gate: what is refused and in which words, and what they mean."""

from typing import Any

import pytest
from predictions import adult, judged, people

from tfx_trust.components import FairnessReport, FairnessSettings, UsageError
from tfx_trust.components.fairness.config import METRICS, Tolerance
from tfx_trust.pipelines.census.data import LABEL

GIVEN: dict[str, Any] = {"label": "y", "slices": [["g"]]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": ""}, "label: String should have at least 1 character"),
        ({"slices": []}, "slices: List should have at least 1 item"),
        (
            {"tolerances": [{"metric": "auc", "bound": 0.1, "slices": []}]},
            "slices: an empty list binds nothing; leave it out to bind all",
        ),
        ({"slices": [[]]}, "slices: an empty list of features; all examples are always looked at"),
        ({"slices": [["g", "g"]]}, r"slices: \['g', 'g'\] names a feature twice"),
        ({"slices": [list("abcd")]}, r"slices: .* crosses 4 features; at most 3"),
        ({"slices": [["y"]]}, "slices by the label 'y'; its rates are what is compared"),
        ({"slices": [["w"]], "weight": "w"}, "slices by the weight 'w'"),
        ({"discover": ["y"]}, "slices by the label 'y'"),
        ({"cross": 4}, "cross: .*less than or equal to 3, found 4"),
        ({"buckets": {"g": [3, 2]}}, r"buckets of 'g': edges must ascend, found \[3.0, 2.0\]"),
        ({"buckets": {"g": [2, 2]}}, "buckets of 'g': edges must ascend"),
        ({"buckets": {"g": []}}, r"buckets of 'g': edges must ascend, found \[\]"),
        ({"buckets": {"g": 1}}, "buckets of 'g': at least 2, found 1"),
        ({"reference": {"h": "x"}}, "reference names 'h', which no slice does"),
        ({"thresholds": []}, "thresholds: List should have at least 1 item"),
        ({"thresholds": [0.5, 0.5]}, r"thresholds: \[0.5, 0.5\] has one twice"),
        ({"thresholds": [1.5]}, r"thresholds.0: Input should be less than or equal to 1, found 1.5"),
        (
            {"thresholds": [number / 20 for number in range(16)]},
            "thresholds: List should have at most 15 items",
        ),
        ({"compare": "<"}, "compare: Input should be '>=' or '>', found '<'"),
        (
            {"tolerances": [{"metric": "f1", "bound": 0.1}]},
            "tolerances.0.metric: Input should be 'selection_rate'",
        ),
        ({"tolerances": [{"metric": "auc", "bound": 1.2}]}, "tolerances.0.bound: .*less than or equal to 1"),
        (
            {"tolerances": [{"metric": "brier", "kind": "ratio", "bound": 0.8}]},
            "a ratio of brier is not judged; bound its difference",
        ),
        (
            {"tolerances": [{"metric": "accuracy", "kind": "ratio", "bound": 0}]},
            "a ratio is never below 0: a bound of 0 allows everything",
        ),
        (
            {"tolerances": [{"metric": "auc", "bound": 0.1}, {"metric": "auc", "bound": 0.2}]},
            "tolerances: the difference of auc is bounded twice",
        ),
        (
            {"tolerances": [{"metric": "auc", "bound": 0.1, "slices": [["h"]]}]},
            "tolerances: no slices by h",
        ),
        ({"classes": ["a", "b"]}, r"classes: at least 3 different ones, found \['a', 'b'\]"),
        ({"classes": ["a", "b", "a"]}, "classes: at least 3 different ones"),
        (
            {"classes": ["a", "b", "c"], "positive": "a"},
            "positive is for a label of two values, classes for more",
        ),
        (
            {"classes": ["a", "b", "c"], "decision_output": "d"},
            "decision_output is for a label of two values",
        ),
        ({"min_count": 0}, "min_count: .*greater than or equal to 1, found 0"),
        ({"level": 1.0}, "level: Input should be less than 1, found 1.0"),
        ({"level": 0.05}, "level: Input should be greater than 0.5, found 0.05"),
        ({"replicates": 10}, "replicates: .*greater than or equal to 100, found 10"),
        ({"calibration_bins": 101}, "calibration_bins: .*less than or equal to 100"),
        ({"max_distinct": 5_000}, "max_distinct: .*less than or equal to 4000"),
        ({"slcies": []}, "unknown setting of FairnessSettings 'slcies': .* did you mean 'slices'"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        FairnessSettings.of({**GIVEN, **settings})
    assert "\n" not in str(refused.value)


def test_label_and_slices_are_needed() -> None:
    with pytest.raises(UsageError, match="FairnessSettings: label: Field required; slices: Field required"):
        FairnessSettings.of({})


@pytest.mark.parametrize(
    ("slices", "cross", "families"),
    [
        ([["b"], ["a"]], 1, [("b",), ("a",)]),
        ([["b", "a"]], 1, [("a", "b")]),
        ([["b"], ["a"]], 2, [("b",), ("a",), ("a", "b")]),
        ([["b", "a"]], 2, [("b",), ("a",), ("a", "b")]),
        ([["a", "b"], ["b", "a"], ["a"]], 1, [("a",), ("a", "b")]),
        (
            [["c"], ["b"], ["a"]],
            3,
            [("c",), ("b",), ("a",), ("b", "c"), ("a", "c"), ("a", "b"), ("a", "b", "c")],
        ),
    ],
)
def test_families_are_what_is_named_and_crossed(
    slices: list[list[str]], cross: int, families: list[tuple[str, ...]]
) -> None:
    assert FairnessSettings(label="y", slices=slices, cross=cross).families == families


def test_the_tolerance_that_names_the_slices_goes_before_that_for_all() -> None:
    settings = FairnessSettings(
        label="y",
        slices=[["a"], ["b"], ["c"]],
        cross=2,
        tolerances=[
            Tolerance(metric="auc", bound=0.3),
            Tolerance(metric="auc", bound=0.1, slices=[["a"], ["c", "b"]]),
            Tolerance(metric="accuracy", bound=0.2, slices=[["a"]]),
        ],
    )

    def bound(metric: str, *family: str) -> float | None:
        found = settings.tolerance(metric, "difference", family)
        return None if found is None else found.bound

    assert [bound("auc", *family) for family in (("a",), ("b", "c"), ("b",), ("a", "b"))] == [
        0.1,
        0.1,
        0.3,
        0.3,
    ]
    assert (bound("accuracy", "a"), bound("accuracy", "b"), bound("brier", "a")) == (0.2, None, None)
    assert settings.tolerance("auc", "ratio", ("a",)) is None


def test_settings_go_through_json_and_back() -> None:
    settings = FairnessSettings.of(
        {
            **GIVEN,
            "slices": [["g"], ["h"]],
            "cross": 2,
            "buckets": {"g": 3, "h": [1, 2.5]},
            "reference": {"g": "< 1"},
            "thresholds": [0.5, 0.1],
            "compare": ">",
            "tolerances": [{"metric": "precision", "kind": "ratio", "bound": 0.8, "slices": [["h"]]}],
        }
    )
    again = FairnessSettings.of(settings.to_json())
    assert again == settings
    assert again.to_json() == settings.to_json()


# The report.


@pytest.mark.parametrize(
    ("settings", "columns"),
    [
        ({}, {"score": "s"}),
        ({"slices": [["g"], ["h"]], "cross": 2, "discover": None, "weight": "w"}, {"score": "s"}),
        ({"classes": ["0", "1", "2"]}, {"prediction": "p"}),
        ({}, {"prediction": "p", "baseline_score": "s"}),
    ],
)
def test_a_report_goes_through_json_and_back(settings: dict[str, Any], columns: dict[str, Any]) -> None:
    table = people(500, w=[1.5, 0.5] * 250, p=[0, 1] * 250)
    report = judged(table, settings, **columns)
    again = FairnessReport.model_validate_json(report.to_json())
    assert again == report
    assert again.to_json() == report.to_json()


def test_the_report_of_adult_goes_through_json_and_back(census_report: FairnessReport) -> None:
    assert FairnessReport.model_validate_json(census_report.to_json()) == census_report


def test_the_report_holds_the_settings_in_force() -> None:
    report = judged(people(200), {"min_count": 7})
    assert report.settings["min_count"] == 7
    assert FairnessSettings.of(report.settings).min_count == 7


def test_every_metric_is_told_of_every_slice(census_report: FairnessReport) -> None:
    section = census_report.fairness
    assert {tuple(item.metrics) for item in section.slices} == {METRICS}
    told = {(gap.metric, gap.kind) for gap in section.gaps}
    assert told == {*((metric, "difference") for metric in METRICS), ("selection_rate", "ratio")}
    assert len(section.gaps) == 17 * len(told)


def test_the_same_seed_gives_the_same_report_and_another_one_other_replicates() -> None:
    settings = {"label": LABEL, "slices": [["sex"]], "discover": []}
    one, again, other = (
        judged(adult(), {**settings, "seed": seed}, score="score").fairness for seed in (1, 1, 2)
    )
    assert one == again
    auc = [section.slices[1].metrics["auc"] for section in (one, other)]
    assert auc[0].value == auc[1].value
    assert auc[0].low != auc[1].low
    assert auc[0].low == pytest.approx(auc[1].low, abs=5e-3)
