"""Inputs that are allowed and odd: what they are taken for does not depend on luck or on batches."""

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from predictions import counted
from sklearn.metrics import roc_auc_score

from tfx_trust.components import InputError, UsageError, choose_thresholds, evaluate_fairness
from tfx_trust.components.fairness.conclude import conclude

ROWS = 600
LABEL = np.arange(ROWS) % 2
GROUP = np.where(np.arange(ROWS) % 3 == 0, "a", "b")
WORDS = np.where(LABEL == 1, "yes", "no")
SETTINGS: dict[str, Any] = {"label": "y", "slices": [["g"]], "discover": []}


def table(**columns: Any) -> pa.Table:
    return pa.table({"y": LABEL, "g": GROUP, "s": (LABEL + 1) / 4, **columns})


def slices_of(given: pa.Table, **settings: Any) -> dict[str, int]:
    report = evaluate_fairness(given, {**SETTINGS, **settings}, score="s")
    return {item.slice["g"]: item.examples for item in report.fairness.slices if item.slice}


def test_scores_that_crowd_closer_than_ranks_are_inconclusive_and_not_wrong() -> None:
    random = np.random.default_rng(0)
    label, group = random.integers(0, 2, 8_000), random.choice(["a", "b"], 8_000)
    score = 0.5 + 1e-6 * (random.normal(size=8_000) + np.where(group == "a", 3.0, 1.0) * label)
    given = pa.table({"y": label, "g": group, "s": score})
    settings = {**SETTINGS, "tolerances": [{"metric": "auc", "bound": 0.1}]}
    report = evaluate_fairness(given, settings, score="s")
    for item in report.fairness.slices[1:]:
        here = group == item.slice["g"]
        auc, exact = item.metrics["auc"], roc_auc_score(label[here], score[here])
        assert auc.low is not None
        assert auc.high is not None
        assert auc.low <= exact <= auc.high
    assert {gap.verdict for gap in report.fairness.gaps if gap.metric == "auc"} == {"inconclusive"}


@pytest.mark.parametrize("sizes", [ROWS, 150, 1])
def test_a_word_that_no_label_is_is_refused_however_the_examples_come(sizes: int) -> None:
    # In no batch of 150 are there two words besides the positive one.
    said = np.where(np.arange(ROWS) < 450, WORDS, np.where(LABEL == 1, "yes", "nope"))
    given = table(y=WORDS, p=said)
    parts = counted(given, {**SETTINGS, "positive": "yes"}, sizes, prediction="p")
    total = parts[0]
    for part in parts[1:]:
        total += part
    with pytest.raises(InputError, match=r"a decision is 'nope', which no label is \(they are no and yes\)"):
        conclude(total)


def test_decisions_in_words_of_the_label_are_understood_even_if_all_are_negative() -> None:
    report = evaluate_fairness(
        table(y=WORDS, p=["no"] * ROWS), {**SETTINGS, "positive": "yes"}, prediction="p"
    )
    assert report.fairness.slices[0].metrics["selection_rate"].value == 0


def test_the_name_of_missing_values_as_a_value_is_missing_and_that_of_pooled_ones_is_quoted() -> None:
    group = np.array(["(missing)", "(other)", "x", None] * (ROWS // 4), object)
    assert slices_of(table(g=group)) == {"(missing)": 300, "'(other)'": 150, "x": 150}


def test_whole_decimals_are_labels() -> None:
    decimals = pa.array([Decimal(int(label)) for label in LABEL], pa.decimal128(22, 2))
    assert slices_of(table(y=decimals)) == slices_of(table())


def test_tiny_weights_beside_large_ones_count_for_no_more_than_their_examples() -> None:
    weight = np.where(GROUP == "a", 1.3e-9, 1.0)
    report = evaluate_fairness(table(w=weight), {**SETTINGS, "weight": "w"}, score="s")
    for item in report.fairness.slices:
        for metric in item.metrics.values():
            assert metric.effective is not None
            assert metric.effective <= metric.count


def test_a_weight_is_neither_the_label_nor_the_score() -> None:
    with pytest.raises(UsageError, match="weight is the label 'y'"):
        evaluate_fairness(table(), {**SETTINGS, "weight": "y"}, score="s")
    for changed in ({"weight": "s"}, {"discover": ["s"]}):
        with pytest.raises(UsageError, match="column 's' is the model's score or decision"):
            evaluate_fairness(table(), {**SETTINGS, **changed}, score="s")


def test_weights_beyond_measure_are_refused_by_the_choice_of_thresholds() -> None:
    with pytest.raises(InputError, match="weights of the examples are above 1,073,741,824"):
        choose_thresholds(LABEL / 2, LABEL, GROUP, weights=np.full(ROWS, 1e300))
