"""No count depends on the order of rows, columns or batches; a slow twin made of tuples agrees."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from leaky import example, write_records

from tfx_trust.components.leakage import tables
from tfx_trust.components.leakage.columns import Batch, Layout
from tfx_trust.components.leakage.count import Keyed, arrivals, tally
from tfx_trust.components.leakage.decoder import Decoder, read_batches

Row = dict[str, Any]
COLUMNS = ("age", "city", "tags", "income", "label")
LAYOUT = Layout(
    {"age": "integer", "city": "text", "tags": "text", "income": "real", "label": "integer"}, ("label",)
)
SCHEMA = pa.schema(
    [
        ("age", pa.int64()),
        ("city", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("income", pa.float32()),
        ("label", pa.int64()),
    ]
)
FEATURES = COLUMNS[:-1]

rows_strategy = st.lists(
    st.fixed_dictionaries(
        {
            "age": st.none() | st.integers(-1, 2),
            "city": st.none() | st.sampled_from(["", "a", "b", "a city of more than eight letters", "é"]),
            "tags": st.none() | st.lists(st.sampled_from(["x", "y", "xy"]), max_size=3),
            "income": st.none() | st.sampled_from([0.0, -0.0, 0.5, 2.0, float("nan")]),
            "label": st.integers(0, 1),
        }
    ),
    min_size=1,
    max_size=30,
)


def batches_by_tables(rows: Sequence[Row], size: int) -> list[Batch]:
    table = pa.Table.from_pylist(list(rows), SCHEMA)
    return list(tables.batches_of(table.to_batches(max_chunksize=size), LAYOUT))


def keyed(batches: Sequence[Batch], columns: Sequence[str] = FEATURES) -> Keyed:
    label = [batch.terms[batch.names.index("label"), 0] for batch in batches]
    return Keyed.concatenated(
        [Keyed(batch.key(columns), terms, batch.places) for batch, terms in zip(batches, label)]
    )


def value_of(row: Row, column: str) -> Any:
    value = row[column]
    if value is None or value == [] or value != value:
        return None
    return tuple(value) if isinstance(value, list) else value + 0 if isinstance(value, float) else value


def twin(train: Sequence[Row], evaluation: Sequence[Row]) -> dict[str, Any]:
    """The same counts with tuples and loops."""
    keys = [
        [tuple(value_of(row, column) for column in FEATURES) for row in side] for side in (train, evaluation)
    ]
    both = set(keys[0]) & set(keys[1])
    told: dict[str, Any] = {
        "keys_in_both": len(both),
        "eval_in_train": sum(key in both for key in keys[1]),
        "train_in_eval": sum(key in both for key in keys[0]),
        "distinct": (len(set(keys[0])), len(set(keys[1]))),
        "sizes": dict(sorted(Counter(Counter([*keys[0], *keys[1]]).values()).items())),
        "conflicts": {},
    }
    pairs = {"train": [0], "eval": [1], "all": [0, 1]}
    for scope, chosen in pairs.items():
        labels = defaultdict(Counter)
        for side in chosen:
            for key, row in zip(keys[side], (train, evaluation)[side]):
                labels[key][row["label"]] += 1
        torn = [counter for counter in labels.values() if len(counter) > 1]
        told["conflicts"][scope] = (
            len(torn),
            sum(sum(counter.values()) for counter in torn),
            sum(sum(counter.values()) - max(counter.values()) for counter in torn),
        )
    return told


def told_by(train: Keyed, evaluation: Keyed) -> dict[str, Any]:
    counted = tally(train, evaluation, conflicts=True)
    return {
        "keys_in_both": counted.keys_in_both,
        "eval_in_train": counted.eval_in_train,
        "train_in_eval": counted.train_in_eval,
        "distinct": counted.distinct,
        "sizes": counted.sizes,
        "conflicts": {
            scope: (conflict.groups, conflict.examples, conflict.minority)
            for scope, conflict in counted.conflicts.items()
        },
    }


@settings(max_examples=150, deadline=None)
@given(rows_strategy, rows_strategy, st.integers(1, 30))
def test_the_counts_are_those_of_a_slow_twin_whatever_the_batch_size(
    train: list[Row], evaluation: list[Row], size: int
) -> None:
    found = told_by(keyed(batches_by_tables(train, size)), keyed(batches_by_tables(evaluation, size)))
    assert found == twin(train, evaluation)


@settings(max_examples=60, deadline=None)
@given(rows_strategy, rows_strategy, st.randoms(use_true_random=False))
def test_the_order_of_rows_and_columns_does_not_matter(
    train: list[Row], evaluation: list[Row], random: Any
) -> None:
    shuffled = random.sample(train, len(train))
    order = random.sample(FEATURES, len(FEATURES))
    other = told_by(
        keyed(batches_by_tables(shuffled, 3), order), keyed(batches_by_tables(evaluation, 7), order)
    )
    assert other == told_by(keyed(batches_by_tables(train, 30)), keyed(batches_by_tables(evaluation, 30)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows_strategy, rows_strategy, st.randoms(use_true_random=False))
def test_examples_give_the_counts_of_tables_whatever_batch_size_and_map_order(
    tmp_path: Path, train: list[Row], evaluation: list[Row], random: Any
) -> None:
    decoder = Decoder(LAYOUT)
    sides = []
    for name, rows, size in (("train", train, 1), ("eval", evaluation, 7)):
        records = [example(row, names=random.sample(COLUMNS, len(COLUMNS))) for row in rows]
        path = write_records(tmp_path / f"{name}.tfrecord", records)
        sides.append(keyed(list(read_batches([path], decoder, batch_rows=size))))
    # A tf.Example holds float32; the values here are exact in it.
    assert told_by(*sides) == twin(train, evaluation)


@settings(max_examples=30, deadline=None)
@given(rows_strategy, rows_strategy, st.integers(1, 5))
def test_shards_add_up_to_the_whole(train: list[Row], evaluation: list[Row], shards: int) -> None:
    sides = keyed(batches_by_tables(train, 30)), keyed(batches_by_tables(evaluation, 30))
    parts: dict[int, list[Keyed]] = {}
    for split, side in enumerate(sides):
        for number, rows in side.shards(shards):
            parts.setdefault(number, [side.take(np.zeros(0, int)) for side in sides])[split] = rows
    whole = tally(*sides, conflicts=True)
    total = type(whole).merged(tally(*part, conflicts=True) for part in parts.values())
    assert total == whole


def test_an_absent_column_is_a_missing_value() -> None:
    table = pa.Table.from_pylist(
        [{"age": 1, "label": 0}], pa.schema([SCHEMA.field("age"), SCHEMA.field("label")])
    )
    absent = keyed(list(tables.batches_of(table, LAYOUT)))
    missing = keyed(batches_by_tables([{"age": 1, "city": None, "tags": [], "income": None, "label": 0}], 1))
    assert (absent.keys == missing.keys).all()


def test_whole_floats_equal_integers_and_text_does_not() -> None:
    def key(array: pa.Array, kind: str) -> np.ndarray:
        table = pa.table({"a": array, "label": pa.array([0])})
        return next(tables.batches_of(table, Layout({"a": kind, "label": "integer"}))).key(["a"])

    assert (key(pa.array([5]), "integer") == key(pa.array([5.0]), "real")).all()
    assert (key(pa.array([5], pa.int8()), "integer") == key(pa.array([5]), "integer")).all()
    assert (key(pa.array(["5"]), "text") != key(pa.array([5]), "integer")).all()
    assert (key(pa.array(["5"]).dictionary_encode(), "text") == key(pa.array([b"5"]), "text")).all()
    large = pa.array([2**53 + 1])
    assert (key(large, "integer") != key(pa.array([2**53]), "integer")).any(), "integers must stay exact"


def test_the_place_of_a_value_in_its_list_counts() -> None:
    rows = [{"tags": tags} for tags in (["x", "y"], ["y", "x"], ["x"], ["x", "x"], [None, "x"])]
    table = pa.Table.from_pylist(rows, pa.schema([SCHEMA.field("tags")]))
    batch = next(tables.batches_of(table, Layout({"tags": "text"})))
    assert len(np.unique(batch.key(["tags"])[0])) == 5


def test_keys_that_share_a_lane_are_told_apart() -> None:
    keys = np.array([[7, 7, 7, 7, 1], [1, 2, 1, 3, 1]], np.uint64)
    nothing = np.zeros(5, np.uint64)
    counted = tally(Keyed(keys, nothing), Keyed(keys[:, 1:4], nothing[1:4]), conflicts=False)
    assert (counted.distinct, counted.keys_in_both, counted.eval_in_train, counted.train_in_eval) == (
        (4, 3),
        3,
        3,
        4,
    )


def test_a_row_without_an_entity_is_counted_as_missing_and_matches_none() -> None:
    keys = np.array([[0, 5, 5], [0, 6, 6]], np.uint64)
    side = Keyed(keys, np.zeros(3, np.uint64))
    met = arrivals(side, side)
    assert (met.entities, met.entities_in_both, met.eval_in_train, met.missing) == ((1, 1), 1, 2, (1, 1))


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 16, 17, 40])
def test_texts_that_differ_in_a_byte_or_in_length_have_other_hashes(length: int) -> None:
    text = b"x" * length
    others = [text + b"\0", text + b"x", text[:-1] + b"y" if length else b"y", b"\0" + text]
    batch = pa.table({"a": pa.array([text, *others], pa.binary())})
    terms = next(tables.batches_of(batch, Layout({"a": "text"}))).terms[0]
    for lane in terms:
        assert len(np.unique(lane)) == len({text, *others})


@pytest.mark.parametrize("by", ["tables", "examples"])
def test_an_empty_text_is_no_entity_and_no_class_but_a_value_elsewhere(by: str, tmp_path: Path) -> None:
    rows = [
        {"who": who, "city": city, "sick": sick}
        for who, city, sick in (("a", "", "yes"), ("", "", "no"), ("b", "x", ""))
    ]
    layout = Layout(dict.fromkeys(("who", "city", "sick"), "text"), plain=("sick", "who"))
    if by == "tables":
        batch = next(tables.batches_of(pa.Table.from_pylist(rows), layout))
    else:
        path = write_records(tmp_path / "a.tfrecord", [example(row) for row in rows])
        batch = next(read_batches([path], Decoder(layout)))
    missing = {name: (batch.key([name]) == 0).all(axis=0).tolist() for name in layout.names}
    assert missing == {"who": [False, True, False], "city": [False] * 3, "sick": [False, False, True]}
