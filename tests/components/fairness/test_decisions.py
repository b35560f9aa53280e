"""Labels and decisions: thresholds in any order, decisions that are given, values that are texts."""

import operator
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from predictions import cells, counted, judged, of_slice, people

from tfx_trust.components import InputError
from tfx_trust.components.fairness.conclude import conclude
from tfx_trust.components.fairness.config import DECISION_METRICS

ROWS = 800


# Thresholds.


@pytest.mark.parametrize("compare", [">=", ">"])
@pytest.mark.parametrize("thresholds", [[0.5, 0.3, 0.7], [0.3, 0.5, 0.7], [0.7, 0.3, 0.5]])
def test_all_thresholds_are_told_and_the_first_is_judged(thresholds: list[float], compare: str) -> None:
    score = np.random.default_rng(0).integers(0, 11, ROWS) / 10
    table = people(ROWS, s=score)
    report = judged(table, {"thresholds": thresholds, "compare": compare})
    assert (report.fairness.threshold, report.fairness.compare) == (thresholds[0], compare)
    for item in report.fairness.slices:
        inside = table["g"].to_numpy() == item.slice["g"] if item.slice else np.ones(ROWS, bool)
        assert sorted(at.threshold for at in item.thresholds) == sorted(thresholds)
        for at in item.thresholds:
            alone = judged(table, {"thresholds": [at.threshold], "compare": compare})
            decided = score[inside] >= at.threshold if compare == ">=" else score[inside] > at.threshold
            assert at.metrics["selection_rate"].value == pytest.approx(decided.mean())
            assert at.metrics == {
                name: of_slice(alone, item.slice).metrics[name] for name in DECISION_METRICS
            }
            if at.threshold == thresholds[0]:
                assert at.metrics == {name: item.metrics[name] for name in DECISION_METRICS}
    first = judged(table, {"thresholds": thresholds[:1], "compare": compare})
    assert first.fairness.gaps == report.fairness.gaps
    assert of_slice(first).thresholds == []


def test_fifteen_thresholds_fit() -> None:
    thresholds = [number / 16 for number in range(1, 16)]
    item = of_slice(judged(people(ROWS), {"thresholds": thresholds}))
    rates = [at.metrics["selection_rate"].value for at in item.thresholds]
    score = people(ROWS)["s"].to_numpy()
    assert rates == pytest.approx([(score >= at.threshold).mean() for at in item.thresholds])


def test_the_extreme_thresholds_select_all_and_none() -> None:
    table = people(ROWS, s=np.linspace(0, 1, ROWS))
    for threshold, compare, share in [(0.0, ">=", 1.0), (1.0, ">", 0.0), (0.0, ">", 1 - 1 / ROWS)]:
        report = judged(table, {"thresholds": [threshold], "compare": compare})
        assert of_slice(report).metrics["selection_rate"].value == pytest.approx(share)


# Decisions that are given.


def test_decisions_take_the_place_of_thresholds() -> None:
    table = people(ROWS, p=people(ROWS)["s"].to_numpy() >= 0.42)
    given, expected = judged(table, score="s", prediction="p"), judged(table, {"thresholds": [0.42]})
    assert given.fairness.slices == expected.fairness.slices
    assert given.fairness.gaps == expected.fairness.gaps
    assert (given.fairness.threshold, given.fairness.compare) == (None, None)


@pytest.mark.parametrize("thresholds", [[0.5], [0.7, 0.2, 0.5]])
def test_model_and_baseline_may_each_give_scores_or_decisions(thresholds: list[float]) -> None:
    table = people(ROWS, former=np.random.default_rng(1).random(ROWS))
    for name, column in (("p", "s"), ("before", "former")):
        table = table.append_column(name, pa.array(table[column].to_numpy() >= thresholds[0]))
    changes = [
        judged(table, {"thresholds": thresholds}, **model, **baseline).fairness.baseline
        for model in ({"score": "s"}, {"prediction": "p"}, {"score": "s", "prediction": "p"})
        for baseline in ({"baseline_score": "former"}, {"baseline_prediction": "before"})
    ]
    assert all(change == changes[0] for change in changes)
    assert changes[0] is not None
    assert changes[0].changed == int((table["p"].to_numpy() != table["before"].to_numpy()).sum())


# Values.


@pytest.mark.parametrize(
    ("positive", "values"),
    [
        (None, [0, 1]),
        (None, [0.0, 1.0]),
        (None, [False, True]),
        (None, ["0", "1"]),
        ("yes", ["no", "yes"]),
        ("1", [0, 1]),
        ("0", [1, 0]),
        ("true", [False, True]),
        (">50K", [b"<=50K", b">50K"]),
        ("2", [1, 2]),
    ],
)
@pytest.mark.parametrize("coded", [False, True], ids=["plain", "dictionary"])
def test_labels_and_decisions_may_be_of_any_two_values(
    positive: str | None, values: list[Any], coded: bool
) -> None:
    table = cells({"a": (40, 10, 20, 30), "b": (30, 20, 20, 30)})
    expected = judged(table, prediction="p").fairness
    for name in ("y", "p"):
        column = pa.array([values[number] for number in table[name]])
        table[name] = column.dictionary_encode() if coded else column
    assert judged(table, {"positive": positive}, prediction="p").fairness == expected


@pytest.mark.parametrize("decided", ["no", "yes"])
def test_a_model_that_always_decides_alike_is_understood(decided: str) -> None:
    """A batch may have no positive decision at all, or nothing else."""
    table = people(ROWS, y=["no", "yes"] * (ROWS // 2), p=[decided] * ROWS)
    rate = of_slice(judged(table, {"positive": "yes"}, prediction="p")).metrics["selection_rate"]
    assert (rate.value, rate.count) == (float(decided == "yes"), ROWS)


def test_decisions_as_texts_are_understood_batch_by_batch() -> None:
    table = people(ROWS, y=["no", "yes"] * (ROWS // 2), p=["no"] * (ROWS - 10) + ["yes"] * 10)
    settings = {"label": "y", "slices": [["g"]], "discover": [], "positive": "yes"}
    parts = counted(table, settings, 100, prediction="p")
    whole = judged(table, settings, prediction="p")
    assert conclude(reduce(operator.iadd, parts)).fairness == whole.fairness


@pytest.mark.parametrize("positive", ["yes", "0"])
def test_0_and_1_are_decisions_unless_one_of_them_is_the_positive_label(positive: str) -> None:
    label = ["no", "yes"] if positive == "yes" else ["1", "0"]
    table = people(ROWS, y=label * (ROWS // 2), p=[1] * 200 + [0] * 600)
    rate = of_slice(judged(table, {"positive": positive}, prediction="p")).metrics["selection_rate"]
    assert rate.value == (0.25 if positive == "yes" else 0.75)


def test_three_values_of_a_decision_are_refused() -> None:
    table = people(ROWS, y=["no", "yes"] * (ROWS // 2), p=["no", "yes", "maybe", "yes"] * (ROWS // 4))
    with pytest.raises(InputError, match="a decision is 'maybe', which no label is"):
        judged(table, {"positive": "yes"}, prediction="p")
