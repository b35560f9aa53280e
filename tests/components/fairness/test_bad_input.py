"""What cannot be judged is refused by one message that names it, its place, and the remedy."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from predictions import judged, people

from tfx_trust.components import FairnessSettings, InputError, UsageError, evaluate_fairness

ROWS = 100


def changed(column: str, place: int, value: Any) -> pa.Table:
    """Predictions with one other value."""
    table = people(ROWS, w=np.ones(ROWS), p=np.zeros(ROWS, int), b=np.full(ROWS, 0.5))
    values = table[column].to_pylist()
    values[place] = value
    return table.set_column(table.schema.get_field_index(column), column, pa.array(values))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "s",
            float("nan"),
            "the score is NaN in 1 of 100 examples, first in number 7 (from 0); mend the model",
        ),
        ("s", None, "the score is NaN in 1 of 100 examples, first in number 7 (from 0)"),
        (
            "s",
            1.5,
            "the score is no probability (the first such is 1.5) in 1 of 100 examples, first in number 7 "
            "(from 0); give probabilities between 0 and 1, e.g. the sigmoid of a logit",
        ),
        ("s", -0.001, "the score is no probability (the first such is -0.001) in 1 of 100 examples"),
        ("s", float("inf"), "the score is no probability (the first such is inf) in 1 of 100 examples"),
        ("b", float("nan"), "the baseline score is NaN in 1 of 100 examples, first in number 7"),
        ("b", 2.0, "the baseline score is no probability (the first such is 2)"),
        ("y", None, "label 'y' is missing in 1 of 100 examples, first in number 7 (from 0); leave these"),
        ("y", 2, "label 'y' has more than two values (0, 1, 2, …); name the classes of a label of several"),
        ("y", -1, "label 'y' has more than two values"),
        ("w", -0.5, "weight 'w' is negative in 1 of 100 examples, first in number 7 (from 0); correct the"),
        ("w", None, "weight 'w' is missing or NaN in 1 of 100 examples, first in number 7"),
        (
            "w",
            1e12,
            "weight 'w' is above 1,073,741,824 in 1 of 100 examples, first in number 7 (from 0); divide",
        ),
        ("p", 2, "the decision is none of 0, 1 in 1 of 100 examples, first in number 7 (from 0)"),
        (
            "p",
            None,
            "the decision is missing or NaN in 1 of 100 examples, first in number 7 (from 0); give a",
        ),
    ],
)
def test_one_bad_value_is_named_with_its_place(column: str, value: Any, message: str) -> None:
    columns: dict[str, Any] = {"score": "s", "baseline_score": "b"}
    if column == "p":
        columns["prediction"] = "p"
    with pytest.raises(InputError) as refused:
        judged(changed(column, 7, value), {"weight": "w"}, **columns)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("values", "only"), [([1] * ROWS, "1"), ([False] * ROWS, "false")])
def test_a_constant_label_is_refused(values: list[Any], only: str) -> None:
    with pytest.raises(
        InputError, match=f"label 'y' is '{only}' in all 100 examples: rates of errors cannot be"
    ):
        judged(people(ROWS, y=values))
    coded = pa.DictionaryArray.from_arrays(pa.array([1] * ROWS), pa.array([0, 1]))
    with pytest.raises(InputError, match="label 'y' is '1' in all 100 examples"):
        judged(people(ROWS, y=coded))


@pytest.mark.parametrize(
    "values", [["no", "yes"] * 50, [1, 2] * 50, [0.5, 1.0] * 50, [float("inf"), 0.0] * 50]
)
def test_a_label_whose_positive_value_is_not_told_is_refused(values: list[Any]) -> None:
    with pytest.raises(
        InputError, match=r"label 'y' is '.*' in an example; 0 and 1 are understood: say which"
    ):
        judged(people(ROWS, y=values))


def test_a_positive_value_that_nobody_has_is_refused() -> None:
    with pytest.raises(
        InputError, match="label 'y' is no or yes, never the positive value 'Yes'; name one of"
    ):
        judged(people(ROWS, y=["no", "yes"] * 50), {"positive": "Yes"})


def test_a_label_of_three_texts_is_refused_with_or_without_a_positive_one() -> None:
    for positive in (None, "b"):
        with pytest.raises(
            InputError, match=r"label 'y' (has more than two values \(a, b, c|is 'a' in an example)"
        ):
            judged(people(90, y=["a", "b", "c"] * 30), {"positive": positive})


def test_a_label_that_is_nothing_but_missing_is_refused() -> None:
    with pytest.raises(InputError, match="label 'y' is missing in 100 of 100 examples"):
        judged(people(ROWS, y=pa.nulls(ROWS)))


@pytest.mark.parametrize(
    ("settings", "columns", "message"),
    [
        ({"slices": [["group"]]}, {}, "unknown column 'group': known are g, h, y"),
        ({"slices": [["gg"]]}, {}, "did you mean 'g'?"),
        ({"label": "label"}, {}, "unknown column 'label'"),
        ({"weight": "weights"}, {}, "unknown column 'weights'"),
        ({"discover": ["gh"]}, {}, "unknown column 'gh'"),
        ({"buckets": {"age": [1.0]}}, {}, "unknown column 'age'"),
        ({}, {"score": "score"}, "unknown column 'score': known are g, h, s, y"),
        ({}, {"score": "s", "baseline_score": "t"}, "unknown column 't'"),
        ({}, {"score": None}, "there are no predictions: name the column of the score, or of the prediction"),
        ({}, {"score": "y"}, "column 'y' is the label; name the column of the model's score or prediction"),
        ({}, {"score": ["s", "s"]}, "2 score columns for 1 classes"),
        ({"slice": [["g"]]}, {}, "unknown setting of FairnessSettings 'slice'"),
    ],
)
def test_a_name_that_there_is_not_is_refused(
    settings: dict[str, Any], columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        judged(people(ROWS), settings, **columns)
    assert message in str(refused.value)


def test_numbers_without_buckets_are_refused() -> None:
    table = people(ROWS, g=np.linspace(0, 1, ROWS))
    with pytest.raises(InputError, match=r"feature 'g' is a number without buckets; name their edges"):
        judged(table)
    train = pa.table({"other": [1, 2]})
    with pytest.raises(UsageError, match="unknown column of the training examples 'g': known are other"):
        judged(table, train=train)


def test_a_score_that_is_text_is_refused() -> None:
    with pytest.raises(InputError, match="column 's' is string; numbers are needed"):
        judged(people(ROWS, s=["high"] * ROWS))


def test_columns_of_one_name_are_refused() -> None:
    table = pa.Table.from_arrays(
        [*people(ROWS).columns, pa.array(["x"] * ROWS)], names=["y", "s", "g", "h", "g"]
    )
    with pytest.raises(InputError, match="there are several columns called 'g'; rename them"):
        judged(table)


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(InputError, match="the table has no rows; there is nothing to measure"):
        judged(people(ROWS).slice(0, 0))


def test_settings_may_be_given_as_they_are_or_as_a_mapping() -> None:
    given = {"label": "y", "slices": [["g"]], "discover": []}
    one, other = (
        evaluate_fairness(people(ROWS), settings, score="s")
        for settings in (given, FairnessSettings.of(given))
    )
    assert one.fairness == other.fairness


def test_extremes_that_are_allowed_are_no_errors() -> None:
    """Scores of exactly 0 and 1, weights of 0, a single example of a kind, one row."""
    judged(people(ROWS, s=[0.0, 1.0] * 50))
    judged(people(ROWS, s=[-0.0] * ROWS))
    judged(people(2, y=[0, 1], s=[0.1, 0.9]))
    judged(people(ROWS, y=[1] + [0] * 99))
