"""What is sliced by: buckets, missing and rare values, crossings, references, kinds of columns."""

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from predictions import adult, gap_of, judged, of_slice, people

from tfx_trust.components import FairnessReport, InputError, UsageError
from tfx_trust.components.fairness.coding import bucket_names, distinct
from tfx_trust.components.fairness.report import MISSING, OTHER
from tfx_trust.pipelines.census.data import LABEL

ROWS = 1_000


def by_g(values: Any, settings: dict[str, Any] | None = None, **given: Any) -> dict[str, int]:
    """Examples by slice, of a column."""
    report = judged(people(ROWS, g=values), settings, **given)
    return examples(report)


def examples(report: FairnessReport) -> dict[str, int]:
    return {item.slice["g"]: item.examples for item in report.fairness.slices if list(item.slice) == ["g"]}


def cycled(*values: Any) -> list[Any]:
    return [values[number % len(values)] for number in range(ROWS)]


# Buckets.


def test_a_value_equal_to_an_edge_belongs_to_the_bucket_above() -> None:
    values = cycled(1.0, 2.0, 2.5, 3.0)
    assert by_g(values, {"buckets": {"g": [2, 3]}}) == {"< 2": 250, "[2, 3)": 500, "≥ 3": 250}


def test_buckets_hold_infinite_values_and_none_without_a_number() -> None:
    values = cycled(-np.inf, 1.0, np.inf, np.nan, None)
    found = by_g(pa.array(values, from_pandas=False), {"buckets": {"g": [0.0]}})
    assert found == {MISSING: 400, "< 0": 200, "≥ 0": 400}


def test_buckets_that_nobody_is_in_are_no_slices() -> None:
    assert by_g(cycled(1, 9), {"buckets": {"g": [2, 3, 4]}}) == {"< 2": 500, "≥ 4": 500}


def test_names_of_buckets_tell_close_edges_apart() -> None:
    edges = [1_000_002.0, 1_000_004.0, 1_000_006.0]
    assert bucket_names(edges) == ["< 1000002", "[1000002, 1000004)", "[1000004, 1000006)", "≥ 1000006"]
    values = [1_000_000 + number % 8 for number in range(ROWS)]
    assert list(by_g(values, {"buckets": {"g": edges}}).values()) == [250] * 4


def test_a_number_is_bucketed_by_the_quantiles_of_the_training_examples() -> None:
    train = pa.table({"g": np.arange(100.0)})
    report = judged(people(ROWS, g=np.linspace(0, 99, ROWS)), train=train)
    assert report.fairness.buckets == {"g": [25.0, 50.0, 75.0]}
    assert list(examples(report)) == ["< 25", "[25, 50)", "[50, 75)", "≥ 75"]


def test_buckets_of_adults_ages_are_those_of_pandas() -> None:
    settings = {"label": LABEL, "slices": [["age"]], "buckets": {"age": [25, 35, 45, 65]}, "discover": []}
    found = judged(adult(), settings, score="score").fairness.slices[1:]
    age = adult()["age"].to_pandas()
    expected = pd.cut(age, [-np.inf, 25, 35, 45, 65, np.inf], right=False).value_counts(sort=False)
    assert [item.examples for item in found] == expected.tolist()


# Missing values.


@pytest.mark.parametrize(
    "values",
    [
        cycled("a", None),
        cycled("a", ""),
        pa.array(cycled(b"a", b"")),
        cycled("a", None, "a", ""),
        pa.array(cycled("a", None)).dictionary_encode(),
        pa.array(cycled("a", "")).dictionary_encode(),
    ],
    ids=["null", "empty", "empty bytes", "both", "null in a dictionary", "empty in a dictionary"],
)
def test_missing_is_a_slice_of_its_own(values: Any) -> None:
    assert by_g(values) == {MISSING: 500, "a": 500}


def test_nan_is_missing_where_a_number_is_a_value_of_its_own() -> None:
    values = pa.DictionaryArray.from_arrays(pa.array(cycled(0, 1)), pa.array([1.0, np.nan]))
    words, places = distinct(values)
    assert (words[:2], places[:4].tolist()) == (["1", None], [0, 1, 0, 1])


def test_a_column_of_nothing_is_one_slice() -> None:
    assert by_g(pa.nulls(ROWS)) == by_g(pa.array([None] * ROWS, pa.string())) == {MISSING: ROWS}


# Kinds of columns.


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (pa.array(cycled(3, 20)), ["3", "20"]),
        (pa.array(cycled(3, 20), pa.uint8()), ["3", "20"]),
        (pa.array(cycled(True, False)), ["false", "true"]),
        (pa.array(cycled(b"x", b"y")), ["x", "y"]),
        (pa.array(cycled("x", "y"), pa.large_string()), ["x", "y"]),
        (pa.array(cycled("x", "y")).dictionary_encode(), ["x", "y"]),
        (pa.array(cycled(3, 20)).dictionary_encode(), ["3", "20"]),
        (
            pa.array(cycled(datetime.date(2026, 1, 2), datetime.date(2026, 1, 3))),
            ["2026-01-02", "2026-01-03"],
        ),
    ],
    ids=["int", "uint8", "bool", "bytes", "large text", "dictionary", "dictionary of numbers", "date"],
)
def test_features_may_be_of_many_kinds(values: pa.Array, names: list[str]) -> None:
    assert by_g(values) == dict.fromkeys(names, 500)


def test_values_of_a_dictionary_that_no_row_has_do_not_count() -> None:
    words = pa.array([f"v{number}" for number in range(2_000)])
    values = pa.DictionaryArray.from_arrays(pa.array(cycled(7, 1_999)), words)
    assert by_g(values) == {"v1999": 500, "v7": 500}


def test_a_dictionary_of_as_many_values_as_its_index_can_hold_may_miss_some() -> None:
    words = pa.array([f"{number}" for number in range(128)])
    index = pa.array(cycled(127, None, 0, 5), pa.int8())
    assert by_g(pa.DictionaryArray.from_arrays(index, words)) == {
        MISSING: 250,
        "0": 250,
        "5": 250,
        "127": 250,
    }


def test_dictionaries_may_differ_from_chunk_to_chunk() -> None:
    parts = [pa.array(["a", "b"] * 250).dictionary_encode(), pa.array(["b", "c"] * 250).dictionary_encode()]
    assert by_g(pa.chunked_array(parts)) == {"a": 250, "b": 500, "c": 250}


def test_a_column_that_is_neither_text_nor_number_is_refused() -> None:
    with pytest.raises(InputError, match="column 'g' has type list<item: int64>, which cannot be sliced by"):
        by_g(pa.array([[1]] * ROWS))


def test_text_with_buckets_is_refused() -> None:
    with pytest.raises(InputError, match="feature 'g' is text and has buckets; buckets are for numbers"):
        by_g(cycled("a", "b"), {"buckets": {"g": [1.0]}})


# Many values.


def test_the_most_frequent_values_are_kept_and_the_others_pooled_and_told() -> None:
    values = ["a"] * 400 + ["b"] * 300 + ["c"] * 200 + ["d"] * 60 + ["e"] * 40
    report = judged(people(ROWS, g=values), {"max_values": 3})
    assert examples(report) == {"a": 400, "b": 300, "c": 200, OTHER: 100}
    (pooled,) = report.fairness.pooled
    assert (pooled.feature, pooled.values, pooled.examples) == ("g", 2, 100)
    (finding,) = [finding for finding in report.findings if finding.check == "fairness_pooled"]
    assert finding.message == "2 rare values of g, 100 examples, are one slice together."


def test_a_single_value_is_not_pooled_alone() -> None:
    report = judged(people(ROWS, g=cycled("a", "b", "c", "d")), {"max_values": 3})
    assert list(examples(report)) == ["a", "b", "c", "d"]
    assert report.fairness.pooled == []


def test_of_equally_frequent_values_the_first_are_kept() -> None:
    assert list(by_g(cycled(*"hgfedcba"), {"max_values": 2})) == ["a", "b", OTHER]


def test_the_reference_is_never_pooled() -> None:
    values = ["a"] * 400 + ["b"] * 300 + ["c"] * 200 + ["d"] * 60 + ["e"] * 40
    report = judged(people(ROWS, g=values), {"max_values": 2, "reference": {"g": "e"}})
    assert examples(report) == {"a": 400, "e": 40, OTHER: 560}
    assert gap_of(report, "selection_rate", {"g": "a"}).reference == {"g": "e"}


def test_pooled_values_are_crossed_as_one() -> None:
    values = ["a"] * 500 + ["b"] * 300 + [f"c{number}" for number in range(200)]
    report = judged(people(ROWS, g=values), {"slices": [["g"], ["h"]], "cross": 2, "max_values": 2})
    crossed = [item for item in report.fairness.slices if len(item.slice) == 2]
    assert [tuple(item.slice.values()) for item in crossed] == [
        (g, h) for g in ("a", "b", OTHER) for h in ("x", "y")
    ]
    assert sum(item.examples for item in crossed[4:]) == 200


def test_whole_numbers_of_many_values_are_refused_but_digits_that_are_text_are_not() -> None:
    numbers = [number % 50 for number in range(ROWS)]
    with pytest.raises(
        InputError, match="feature 'g' is a number with 50 values; give buckets for it, .* max_v"
    ):
        by_g(numbers)
    found = by_g([f"{10_000 + number}" for number in numbers])
    assert (len(found), found[OTHER]) == (21, 600)
    assert len(by_g(numbers, {"max_values": 50})) == 50


def test_a_feature_of_ten_thousand_values_is_refused() -> None:
    table = people(10_000, g=[f"id {number}" for number in range(10_000)])
    with pytest.raises(
        InputError, match=r"^feature 'g' has more than 1,000 different values; slice by a feature"
    ):
        judged(table)


def test_many_values_of_three_features_need_no_table_of_all_combinations() -> None:
    random = np.random.default_rng(0)
    names = {name: [f"v{number}" for number in random.integers(0, 3_000, ROWS)] for name in "ghk"}
    settings = {"slices": [["g", "h", "k"]], "max_values": 3_000, "max_distinct": 3_000}
    report = judged(people(ROWS, **names), settings)
    assert len(report.fairness.slices) == len(set(zip(*names.values()))) + 1


# Crossings and references.


def test_all_features_are_crossed_up_to_an_order() -> None:
    table = people(ROWS, k=cycled("u", "v", "u"))
    families = {
        order: sorted({tuple(item.slice) for item in report.fairness.slices}, key=len)
        for order in (1, 2, 3)
        for report in [judged(table, {"slices": [["g"], ["h"], ["k"]], "cross": order})]
    }
    assert [len(families[order]) for order in (1, 2, 3)] == [4, 7, 8]
    assert families[3][-1] == ("g", "h", "k")


def test_crossed_slices_hold_the_examples_of_both() -> None:
    report = judged(people(ROWS), {"slices": [["h", "g"]]})
    frame = people(ROWS).to_pandas()
    expected = frame.groupby(["g", "h"]).size()
    assert {
        tuple(item.slice.values()): item.examples for item in report.fairness.slices[1:]
    } == expected.to_dict()


def test_a_named_reference_is_what_the_others_are_compared_with() -> None:
    report = judged(people(ROWS), {"slices": [["g"], ["h"]], "reference": {"g": "b"}})
    compared = {tuple(gap.slice.items()) for gap in report.fairness.gaps if "g" in gap.slice}
    assert compared == {(("g", "a"),), (("g", "c"),)}
    gap, reference = (
        gap_of(report, "precision", {"g": "c"}),
        of_slice(report, {"g": "b"}).metrics["precision"],
    )
    assert (gap.reference, gap.reference_value, gap.reference_count) == (
        {"g": "b"},
        reference.value,
        reference.count,
    )
    assert gap_of(report, "precision", {"h": "x"}).reference == "rest"


def test_a_crossed_slice_has_a_named_reference_where_all_its_features_have() -> None:
    settings = {"slices": [["g"], ["h"]], "cross": 2, "reference": {"g": "b", "h": "y"}}
    report = judged(people(ROWS), settings)
    assert gap_of(report, "accuracy", {"g": "a", "h": "x"}).reference == {"g": "b", "h": "y"}
    partly = judged(people(ROWS), {**settings, "reference": {"g": "b"}})
    assert gap_of(partly, "accuracy", {"g": "a", "h": "x"}).reference == "rest"


def test_a_reference_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown reference value of 'g' 'B': known are a, b, c"):
        judged(people(ROWS), {"reference": {"g": "B"}})


def test_missing_and_buckets_may_be_references() -> None:
    report = judged(people(ROWS, g=cycled("a", None)), {"reference": {"g": MISSING}})
    assert gap_of(report, "accuracy", {"g": "a"}).reference == {"g": MISSING}
    settings = {"buckets": {"g": [2]}, "reference": {"g": "≥ 2"}}
    assert (
        gap_of(judged(people(ROWS, g=cycled(1, 2)), settings), "accuracy", {"g": "< 2"}).reference_count
        == 500
    )
