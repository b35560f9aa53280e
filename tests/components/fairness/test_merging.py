"""Counts of parts add up to those of the whole: the report is the same to the last digit."""

import operator
import pickle
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from predictions import counted

from tfx_trust.components import InputError
from tfx_trust.components.fairness import count, curves, search
from tfx_trust.components.fairness.conclude import conclude
from tfx_trust.components.fairness.count import Counts

ROWS = 600
CLASSES = ["low", "mid", "top"]


def mixed() -> pa.Table:
    """Predictions with all that a column can have: missing values, many values, numbers, scores alike."""
    random = np.random.default_rng(5)
    label = random.integers(0, 2, ROWS)
    score = np.clip(0.4 * label + 0.6 * random.random(ROWS), 0, 1)
    several = random.dirichlet([1, 2, 3], ROWS)
    rare = np.minimum(random.geometric(0.2, ROWS), 30)
    return pa.table(
        {
            "y": label,
            "outcome": random.choice(CLASSES, ROWS),
            "guess": random.choice(CLASSES, ROWS),
            "decision": random.random(ROWS) < 0.4,
            "s": np.where(np.arange(ROWS) % 4 == 0, score.round(1), score),
            "former": random.random(ROWS),
            "weight": random.gamma(2.0, size=ROWS),
            "g": pa.array(
                [value if value != "none" else None for value in random.choice(["a", "b", "none"], ROWS)]
            ),
            "rare": [f"v{number}" for number in rare],
            "age": pa.array(np.where(random.random(ROWS) < 0.1, np.nan, random.normal(40, 10, ROWS))),
            "flag": random.random(ROWS) < 0.3,
            **{f"{name}_score": several[:, place] for place, name in enumerate(CLASSES)},
        }
    )


TABLE = mixed()
PLAIN = {
    "label": "y",
    "slices": [["g"], ["rare"], ["age"], ["flag"]],
    "cross": 2,
    "buckets": {"age": [30.0, 45.0]},
    "max_values": 5,
    "thresholds": [0.5, 0.3, 0.7],
    "discover": ["g", "rare", "age", "flag"],
    "min_count": 10,
    "replicates": 100,
}
BINARY = {"score": "s", "baseline_score": "former"}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": (PLAIN, BINARY),
    "weighted": ({**PLAIN, "weight": "weight"}, BINARY),
    "several classes": (
        {**PLAIN, "label": "outcome", "classes": CLASSES, "thresholds": [0.5]},
        {"score": [f"{name}_score" for name in CLASSES], "baseline_prediction": "guess"},
    ),
    "decisions": ({**PLAIN, "thresholds": [0.5]}, {"prediction": "decision"}),
}


def concluded(counts: Counts) -> dict[str, Any]:
    return conclude(counts).model_dump(mode="json", exclude={"created"})


@pytest.fixture(scope="module")
def whole() -> dict[str, dict[str, Any]]:
    """The report of each case, counted in one go."""
    return {
        name: concluded(counted(TABLE, given_settings, ROWS, **columns)[0])
        for name, (given_settings, columns) in CASES.items()
    }


def parted(case: str, order: np.ndarray, sizes: list[int] | int) -> list[Counts]:
    given_settings, columns = CASES[case]
    return counted(TABLE.take(pa.array(order)), given_settings, sizes, **columns)


@pytest.mark.parametrize("case", CASES)
def test_the_case_has_what_it_is_about(case: str, whole: dict[str, dict[str, Any]]) -> None:
    section = whole[case]["fairness"]
    assert section["pooled"]
    assert section["discovery"]["candidates"] > 0
    assert {"g": "(missing)"} in [item["slice"] for item in section["slices"]]
    assert {"age": "(missing)"} in [item["slice"] for item in section["slices"]]
    assert (section["baseline"] is not None) == (case != "decisions")
    assert section["classes"] == (CLASSES if case == "several classes" else [])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_parts_in_any_order_added_up_in_any_tree_are_the_whole(
    case: str, seed: int, whole: dict[str, dict[str, Any]]
) -> None:
    random = np.random.default_rng(seed)
    sizes = random.multinomial(ROWS, random.dirichlet(np.ones(9))).tolist()
    parts = parted(case, random.permutation(ROWS), sizes)
    while len(parts) > 1:
        first, second = random.choice(len(parts), 2, replace=False)
        parts[first] += pickle.loads(pickle.dumps(parts[second]))
        del parts[second]
    assert concluded(parts[0]) == whole[case]


@pytest.mark.parametrize("case", ["plain", "weighted"])
def test_batches_of_one_row_are_the_whole(case: str, whole: dict[str, dict[str, Any]]) -> None:
    parts = parted(case, np.random.default_rng(9).permutation(ROWS), 1)
    assert len(parts) == ROWS
    assert concluded(reduce(operator.iadd, parts)) == whole[case]


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, ROWS), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_cuts_anywhere_even_into_nothing_do_not_matter(
    whole: dict[str, dict[str, Any]], cuts: list[int], random: Any
) -> None:
    ends = [0, *sorted(cuts), ROWS]
    sizes = [after - before for before, after in zip(ends, ends[1:])]
    parts = parted("weighted", np.arange(ROWS), sizes)
    random.shuffle(parts)
    assert concluded(reduce(operator.iadd, parts)) == whole["weighted"]


@pytest.mark.parametrize("case", ["plain", "weighted"])
def test_a_large_batch_is_counted_piece_by_piece(
    case: str, whole: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(count, "_CHUNK", 7)
    monkeypatch.setattr(count, "_PENDING", 50)
    (counts,) = parted(case, np.arange(ROWS), ROWS)
    assert concluded(counts) == whole[case]


def test_sparse_and_dense_ways_of_counting_agree(
    whole: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(count, "_DENSE", -(1 << 17))
    (counts,) = parted("weighted", np.arange(ROWS), ROWS)
    assert concluded(counts) == whole["weighted"]


def test_what_is_taken_in_stays_as_it_was() -> None:
    """A runner may merge the same part twice, as when a worker is lost."""
    for case in CASES:
        parts = parted(case, np.random.default_rng(1).permutation(ROWS), [ROWS // 2] * 2)
        before = concluded(pickle.loads(pickle.dumps(parts[1])))
        parts[0] += parts[1]
        assert concluded(parts[1]) == before


def test_concluding_twice_or_adding_afterwards_is_the_same(whole: dict[str, dict[str, Any]]) -> None:
    first, second = parted("plain", np.arange(ROWS), [ROWS // 2] * 2)
    concluded(first)
    second += first
    assert concluded(second) == concluded(second) == whole["plain"]


def test_replicates_may_be_drawn_in_blocks(
    whole: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then they are other ones; all that does not rest on them is the same, and they spread alike."""
    monkeypatch.setattr(curves, "_MOST_HELD", 20_000)
    (counts,) = parted("plain", np.arange(ROWS), ROWS)
    found, expected = concluded(counts)["fairness"]["slices"], whole["plain"]["fairness"]["slices"]
    for one, other in zip(found, expected):
        assert {**one, "metrics": 0} == {**other, "metrics": 0}
        for name, metric in one["metrics"].items():
            if name not in ("auc", "calibration_error"):
                assert metric == other["metrics"][name]
    (one, other) = (item[0]["metrics"]["auc"] for item in (found, expected))
    assert one["high"] - one["low"] == pytest.approx(other["high"] - other["low"], rel=0.3)


@pytest.mark.parametrize("sizes", [[ROWS], [590, 10], [10, 590], [100] * 6])
def test_too_many_combinations_are_told_whoever_counted_them(
    sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_MOST_CELLS", 60)
    parts = parted("plain", np.arange(ROWS), sizes)
    discovery = conclude(reduce(operator.iadd, parts)).fairness.discovery
    assert discovery is not None
    assert (discovery.candidates, discovery.features) == (0, [])
    for name in ("g", "age", "flag"):
        assert "too many different combinations of values" in discovery.skipped[name]


@pytest.mark.parametrize("sizes", [[ROWS], [300, 300], [1] * 20 + [580]])
def test_features_of_too_many_values_are_not_searched_whoever_counted_them(sizes: list[int]) -> None:
    table = TABLE.append_column("id", pa.array([f"id {number}" for number in range(ROWS)]))
    given_settings = {**PLAIN, "discover": ["g", "id"], "max_distinct": 400}
    parts = counted(table, given_settings, sizes, score="s")
    discovery = conclude(reduce(operator.iadd, parts)).fairness.discovery
    assert discovery is not None
    assert (discovery.features, discovery.skipped) == (["g"], {"id": "more than 400 different values"})


def test_too_many_values_to_slice_by_are_refused_when_parts_are_added_up() -> None:
    table = TABLE.append_column("id", pa.array([f"id {number}" for number in range(ROWS)]))
    first, second = counted(table, {**PLAIN, "slices": [["id"]], "max_distinct": 400}, 300, score="s")
    with pytest.raises(InputError, match="feature 'id' has more than 400 different values"):
        first += second


def test_a_dictionary_is_counted_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "_CHUNK", 7)
    coded = TABLE
    for name in ("y", "g", "rare"):
        column = TABLE[name].combine_chunks().dictionary_encode()
        coded = coded.set_column(coded.schema.get_field_index(name), name, column)
    (counts,) = counted(coded, PLAIN, ROWS, **BINARY)
    monkeypatch.undo()
    (plain,) = parted("plain", np.arange(ROWS), ROWS)
    assert concluded(counts) == concluded(plain)
