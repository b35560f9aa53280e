"""A label of several classes: each is set against the rest, and the decision is the most likely one."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from predictions import judged, of_slice, people
from sklearn.metrics import brier_score_loss, roc_auc_score

from tfx_trust.components import FairnessReport, InputError, UsageError

CLASSES = ["low", "mid", "top"]
SCORES = ["p_low", "p_mid", "p_top"]
SETTINGS: dict[str, Any] = {"label": "outcome", "classes": CLASSES}
ROWS = 1_500


def predictions() -> pa.Table:
    random = np.random.default_rng(4)
    label = random.choice(3, ROWS, p=[0.5, 0.3, 0.2])
    scores = random.dirichlet([2, 2, 2], ROWS) + 0.5 * np.eye(3)[label]
    scores /= scores.sum(axis=1, keepdims=True)
    names = np.array(CLASSES)
    return people(
        ROWS,
        outcome=names[label],
        decided=names[scores.argmax(axis=1)],
        guess=names[random.choice(3, ROWS)],
        **dict(zip(SCORES, scores.T)),
    )


TABLE = predictions()


@pytest.fixture(scope="module")
def report() -> FairnessReport:
    return judged(TABLE, SETTINGS, score=SCORES, baseline_prediction="guess")


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("group", [None, "a", "c"])
def test_each_class_is_set_against_the_rest(name: str, group: str | None, report: FairnessReport) -> None:
    frame = TABLE.to_pandas()
    rows = frame if group is None else frame[frame["g"] == group]
    label, decided = rows["outcome"] == name, rows[SCORES].to_numpy().argmax(axis=1) == CLASSES.index(name)
    score = rows[f"p_{name}"]
    expected = {
        "selection_rate": decided.mean(),
        "false_positive_rate": decided[~label].mean(),
        "true_positive_rate": decided[label].mean(),
        "precision": label[decided].mean(),
        "accuracy": (label == decided).mean(),
        "brier": brier_score_loss(label, score),
        "auc": roc_auc_score(label, score),
    }
    item = of_slice(report, {"g": group} if group else {}, name)
    assert (item.examples, item.positives) == (len(rows), label.sum())
    assert {key: item.metrics[key].value for key in expected} == pytest.approx(expected, abs=1e-4)
    assert item.metrics["true_positive_rate"].count == label.sum()


def test_the_classes_are_told_and_a_threshold_is_not(report: FairnessReport) -> None:
    section = report.fairness
    assert section.classes == CLASSES
    assert (section.threshold, section.compare) == (None, None)
    assert [item.label_class for item in section.slices if not item.slice] == CLASSES
    assert {gap.label_class for gap in section.gaps} == set(CLASSES)
    assert {item.label_class for item in section.disparities} == set(CLASSES)


def test_decisions_may_be_given_as_the_classes_texts(report: FairnessReport) -> None:
    both = judged(TABLE, SETTINGS, score=SCORES, prediction="decided", baseline_prediction="guess")
    assert both.fairness == report.fairness
    alone = judged(TABLE, SETTINGS, prediction="decided")
    for item in alone.fairness.slices:
        scored = of_slice(report, item.slice, item.label_class)
        assert item.metrics == {name: scored.metrics[name] for name in item.metrics}
        assert "auc" not in item.metrics


def test_the_baseline_is_compared_class_by_class(report: FairnessReport) -> None:
    baseline = report.fairness.baseline
    assert baseline is not None
    frame = TABLE.to_pandas()
    (change,) = [
        item
        for item in baseline.changes
        if (item.metric, item.slice, item.label_class) == ("false_negative_rate", {"g": "b"}, "top")
    ]
    rows = frame[(frame["g"] == "b") & (frame["outcome"] == "top")]
    now, before = rows["decided"] == "top", rows["guess"] == "top"
    assert (change.count, change.worse, change.better) == (
        len(rows),
        (~now & before).sum(),
        (now & ~before).sum(),
    )


def test_findings_name_the_class() -> None:
    frame = TABLE.to_pandas()
    # Whoever is in group c and at the top is never seen there.
    missed = (frame["g"] == "c") & (frame["outcome"] == "top")
    decided = np.where(missed, "low", frame["decided"])
    report = judged(
        people(ROWS, outcome=frame["outcome"], decided=decided, g=frame["g"]), SETTINGS, prediction="decided"
    )
    (first, *_) = report.findings
    assert first.subject == "true_positive_rate: g=c, class top"
    assert "in g=c, class top, 0.0 % are decided positive" in first.message


def test_searched_is_for_slices_in_which_the_class_is_wrong_more_often() -> None:
    frame = TABLE.to_pandas()
    wrong = (frame["g"] == "b") & (frame["h"] == "x")
    decided = np.where(wrong, "mid", frame["outcome"])
    table = people(ROWS, outcome=frame["outcome"], decided=decided, g=frame["g"], h=frame["h"])
    report = judged(table, {**SETTINGS, "discover": ["g", "h"]}, prediction="decided")
    (found, *_) = report.fairness.discovered
    assert (found.slice, found.metric, found.confirmed) == ({"g": "b", "h": "x"}, "accuracy", True)


def test_a_class_that_nobody_has_is_insufficient() -> None:
    settings = {**SETTINGS, "classes": [*CLASSES, "none"]}
    table = TABLE.append_column("p_none", pa.array(np.zeros(ROWS)))
    report = judged(table, settings, score=[*SCORES, "p_none"])
    assert of_slice(report, {}, "none").positives == 0
    verdicts = {
        gap.verdict
        for gap in report.fairness.gaps
        if (gap.metric, gap.label_class) == ("true_positive_rate", "none")
    }
    assert verdicts == {"insufficient"}


@pytest.mark.parametrize(
    ("settings", "columns", "error", "message"),
    [
        ({}, {"score": SCORES[:2]}, UsageError, "2 score columns for 3 classes; name one a class"),
        ({}, {"score": "p_low"}, UsageError, "1 score columns for 3 classes"),
        (
            {"classes": ["low", "mid", "high"]},
            {"score": SCORES},
            InputError,
            "label 'outcome' is 'top' in an example; classes names low, mid, high: complete it",
        ),
        (
            {},
            {"prediction": "g"},
            InputError,
            r"the decision is none of 0, 1, 2 in 1,500 of 1,500 examples, first in number 0",
        ),
        (
            {"classes": None, "positive": None},
            {"score": "p_low"},
            InputError,
            "label 'outcome' is '(low|mid|top)' in an example; 0 and 1 are understood",
        ),
    ],
)
def test_what_does_not_fit_the_classes_is_refused(
    settings: dict[str, Any], columns: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        judged(TABLE, {**SETTINGS, **settings}, **columns)


def test_one_bad_score_of_several_is_found() -> None:
    scores = TABLE["p_mid"].to_numpy().copy()
    scores[[7, 9]] = np.nan, np.inf
    table = TABLE.set_column(TABLE.schema.get_field_index("p_mid"), "p_mid", pa.array(scores))
    with pytest.raises(InputError, match="the score is NaN in 1 of 1,500 examples, first in number 7"):
        judged(table, SETTINGS, score=SCORES)
    infinite = TABLE["p_top"].to_numpy().copy()
    infinite[9] = -np.inf
    scores[7] = 0.5
    for name, values in (("p_mid", scores), ("p_top", infinite)):
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    with pytest.raises(
        InputError, match=r"the score is no probability \(the first such is inf\) in 1 of 1,500"
    ):
        judged(table, SETTINGS, score=SCORES)
