"""Tables as batches of columns, and the keys of their rows: rows have equal keys where they are equal."""

import datetime
import decimal
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tfx_trust.components import InputError, UsageError
from tfx_trust.components.leakage import hashing
from tfx_trust.components.leakage.columns import Batch, Layout
from tfx_trust.components.leakage.tables import batch_of, batches_of, layout_of

WORD = 2**64
GOLDEN = 0x9E3779B97F4A7C15


def slow_mix(value: int) -> int:
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % WORD
    value = (value ^ value >> 27) * 0x94D049BB133111EB % WORD
    return value ^ value >> 31


def hashed_texts(texts: Sequence[bytes]) -> np.ndarray:
    bounds = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64)
    return hashing.of_texts(np.frombuffer(b"".join(texts), np.uint8), bounds)


def keys(array: pa.Array, layout: Layout | None = None, name: str = "it") -> list[tuple[int, int]]:
    """Keys of a table of one column."""
    batch = pa.record_batch([array], names=[name])
    return key_list(batch_of(batch, layout or layout_of([("train", batch.schema)], None)))


def key_list(batch: Batch, columns: Sequence[str] | None = None) -> list[tuple[int, int]]:
    return list(zip(*batch.key(columns or batch.names).tolist()))


def read(table: pa.Table, layout: Layout | None = None) -> list[Batch]:
    return list(batches_of(table, layout or layout_of([("train", table.schema)], None)))


def same(value: Any) -> Any:
    """A value as it counts where rows are compared."""
    if isinstance(value, list):
        return (
            tuple((place, same(item)) for place, item in enumerate(value) if same(item) is not None) or None
        )
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


# Hashing


def test_mix_is_the_finalizer_of_splitmix64() -> None:
    # The first outputs of the generator for the seed 1234567, as published with it.
    states = np.array([(1234567 + step * GOLDEN) % WORD for step in range(1, 6)], np.uint64)
    assert hashing.mix(states).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@settings(deadline=None)
@given(st.lists(st.integers(0, WORD - 1)))
def test_mix_equals_its_twin_on_single_numbers_and_leaves_its_argument(values: list[int]) -> None:
    array = np.array(values, np.uint64)
    assert hashing.mix(array).tolist() == [slow_mix(value) for value in values]
    assert array.tolist() == values


NEAR_EIGHT = st.integers(0, 33).flatmap(lambda size: st.binary(min_size=size, max_size=size))


@settings(deadline=None)
@given(st.lists(NEAR_EIGHT), st.integers(0, 3))
@example([b"", b"\0", b"\0\0", b"\0" * 8, b"\0" * 9], 0)
@example([b"a", b"a\0", b"\0a", b"aaaaaaaa", b"aaaaaaaaa"], 0)
def test_texts_have_equal_hashes_where_they_are_equal_in_either_lane(
    texts: list[bytes], repeats: int
) -> None:
    texts = texts + texts[:repeats]
    for lane in hashed_texts(texts).tolist():
        assert len(set(lane)) == len(set(texts))
        assert len(set(zip(lane, texts))) == len(set(texts))


@settings(deadline=None)
@given(st.lists(NEAR_EIGHT), NEAR_EIGHT, st.lists(NEAR_EIGHT))
def test_the_hash_of_a_text_does_not_depend_on_what_stands_beside_it(
    before: list[bytes], text: bytes, after: list[bytes]
) -> None:
    assert (hashed_texts([*before, text, *after])[:, len(before)] == hashed_texts([text])[:, 0]).all()


@settings(deadline=None)
@given(st.lists(NEAR_EIGHT, max_size=5))
def test_texts_equal_their_twin_on_single_texts(texts: list[bytes]) -> None:
    def twin(text: bytes, lane: int) -> int:
        words = [int.from_bytes(text[place : place + 8], "little") for place in range(0, len(text), 8)]
        total = sum(slow_mix((word + GOLDEN * (2 * n + lane + 1)) % WORD) for n, word in enumerate(words))
        return slow_mix(total % WORD ^ slow_mix((len(text) + salts[lane]) % WORD))

    salts = [int(salt) for salt in hashing._LENGTHS]
    assert hashed_texts(texts).tolist() == [[twin(text, lane) for text in texts] for lane in range(2)]


EDGES = [0, 2**31, 2**53, 2**63, 2**64 - 9, -(2**53), -(2**63) + 9]
NEAR_EDGES = st.builds(int.__add__, st.sampled_from(EDGES), st.integers(-9, 8))


@settings(deadline=None)
@given(NEAR_EDGES, NEAR_EDGES)
@example(-1, 2**64 - 1)
@example(-(2**63), 2**63)
def test_whole_numbers_have_equal_hashes_where_they_are_equal_whatever_their_type(one: int, two: int) -> None:
    def hashes(number: int) -> set[int]:
        types = [kind for kind in (np.int64, np.uint64) if np.iinfo(kind).min <= number <= np.iinfo(kind).max]
        return {int(hashing.of_integers(np.array([number], kind))[0]) for kind in types}

    assert len(hashes(one)) == len(hashes(two)) == 1
    assert (hashes(one) == hashes(two)) == (one == two)


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False) | st.integers(-(2**53), 2**53).map(float), min_size=2))
@example([0.0, -0.0])
@example([-(2.0**63), 2.0**63, math.inf, -math.inf])
@example([0.5, -0.5])
@example([5e-324, 1.0])
def test_reals_have_equal_hashes_where_they_are_equal(values: list[float]) -> None:
    hashes = hashing.of_reals(np.array(values)).tolist()
    assert len(set(hashes)) == len(set(zip(hashes, values))) == len(set(values))


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1).map(lambda value: int(float(value))).filter(lambda v: v < 2**63))
@example(-(2**63))
def test_a_real_that_is_whole_has_the_hash_of_the_integer(value: int) -> None:
    assert hashing.of_reals(np.array([value], float)) == hashing.of_integers(np.array([value], np.int64))


def test_columns_of_different_names_have_different_seeds() -> None:
    seeds = hashing.seeds_of([f"column {number}" for number in range(1000)])
    assert seeds.shape == (2, 1000)
    assert len(np.unique(seeds)) == 2000
    assert (hashing.seeds_of(["b", "column 7"])[:, 1] == seeds[:, 7]).all()


def test_a_hundred_thousand_different_rows_have_as_many_keys_in_either_lane() -> None:
    numbers = np.arange(100_000)
    table = pa.table({"a": numbers % 1000, "b": (numbers // 1000).astype(str)})
    pooled = np.concatenate([batch.key(["a", "b"]) for batch in read(table)], axis=1)
    assert [len(np.unique(lane)) for lane in pooled] == [100_000, 100_000]


# Keys of rows

VALUES = {
    "text": (pa.string(), st.sampled_from(["", "a", "b", "ab", "9", "a longer text, of several words"])),
    "bytes": (pa.binary(), st.sampled_from([b"", b"\0", b"\0\0", b"\xff"])),
    "whole": (pa.int64(), st.sampled_from([0, 1, -1, 2**53 + 1, 2**53, -(2**63)])),
    "real": (pa.float64(), st.sampled_from([0.0, -0.0, 1.0, 0.5, math.nan, math.inf, -math.inf])),
    "flag": (pa.bool_(), st.booleans()),
    "texts": (pa.list_(pa.string()), st.lists(st.sampled_from(["", "a", "b"]) | st.none(), max_size=3)),
    "reals": (pa.list_(pa.float64()), st.lists(st.sampled_from([0.0, 0.5, math.nan]), max_size=3)),
}
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | value for name, (_, value) in VALUES.items()}))
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in VALUES.items()])


@settings(deadline=None, max_examples=60)
@given(ROWS, st.integers(1, 9))
def test_rows_have_equal_keys_where_they_are_equal_however_they_are_batched(
    rows: list[dict[str, Any]], size: int
) -> None:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    layout = layout_of([("train", SCHEMA)], None)
    found = [
        key for batch in table.to_batches(max_chunksize=size) for key in key_list(batch_of(batch, layout))
    ]
    assert found == [key for batch in read(table, layout) for key in key_list(batch)]
    twins = [tuple(same(row[name]) for name in VALUES) for row in rows]
    assert len(set(found)) == len(set(zip(found, twins))) == len(set(twins))


@settings(deadline=None, max_examples=60)
@given(ROWS.filter(len), st.permutations(list(VALUES)), st.data())
def test_keys_do_not_depend_on_the_order_of_columns_and_add_up(
    rows: list[dict[str, Any]], order: list[str], data: st.DataObject
) -> None:
    (batch,) = read(pa.Table.from_pylist(rows, schema=SCHEMA))
    (turned,) = read(pa.Table.from_pylist(rows, schema=SCHEMA).select(order))
    assert key_list(batch) == key_list(turned)
    some = data.draw(st.lists(st.sampled_from(order), unique=True, min_size=1))
    rest = [name for name in order if name not in some]
    assert (batch.key(order) - batch.key(some) == batch.key(rest)).all()


@settings(deadline=None, max_examples=60)
@given(ROWS, st.integers(0, 5), st.integers(0, 5))
def test_keys_do_not_depend_on_what_a_table_was_cut_from(
    rows: list[dict[str, Any]], begin: int, size: int
) -> None:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    layout = layout_of([("train", SCHEMA)], None)
    whole = [key for batch in read(table, layout) for key in key_list(batch)]
    cut = [key for batch in read(table.slice(begin, size), layout) for key in key_list(batch)]
    assert cut == whole[begin : begin + size]


def test_a_missing_value_equals_an_absent_column_an_empty_list_and_nan() -> None:
    layout = Layout({"it": "real", "other": "text"})
    arrays = [
        pa.array([None], pa.float64()),
        pa.array([math.nan]),
        pa.array([[]], pa.list_(pa.float32())),
        pa.array([None], pa.list_(pa.int8())),
        pa.array([[None]], pa.list_(pa.float64())),
        pa.nulls(1),
        pa.array([None], pa.dictionary(pa.int8(), pa.float64())),
    ]
    assert {keys(array, layout)[0] for array in arrays} == {(0, 0)}
    assert keys(pa.array(["x"]), Layout({"another": "text"})) == [(0, 0)]


def test_an_empty_text_is_a_value() -> None:
    assert keys(pa.array(["", None]))[0] != (0, 0) == keys(pa.array(["", None]))[1]


def test_the_same_value_in_another_column_is_another_key() -> None:
    assert keys(pa.array([7]), name="a") != keys(pa.array([7]), name="b")


def test_a_list_of_one_equals_the_value_and_the_order_in_a_list_counts() -> None:
    alone, listed, turned = keys(pa.array([["a"], ["a", "b"], ["b", "a"]]))
    assert [alone] == keys(pa.array(["a"]))
    assert len({alone, listed, turned}) == 3


WAYS = {
    "text": [
        pa.array(["a", "", None, "a", "ä"]),
        pa.array(["a", "", None, "a", "ä"], pa.large_string()),
        pa.array([b"a", b"", None, b"a", "ä".encode()]),
        pa.array([b"a", b"", None, b"a", "ä".encode()], pa.large_binary()),
        pa.array(["a", "", None, "a", "ä"]).dictionary_encode(),
        pa.DictionaryArray.from_arrays(pa.array([2, 0, 1, 2, 3], pa.uint8()), pa.array(["", None, "a", "ä"])),
        pa.DictionaryArray.from_arrays(
            pa.array([2, 0, None, 1, 3], pa.int8()), pa.array(["", "a", "a", "ä"])
        ),
        pa.array([["a"], [""], [], ["a"], ["ä"]]),
        pa.array([["a"], [""], None, ["a"], ["ä"]], pa.large_list(pa.large_string())),
        pa.array([["a"], [""], None, ["a"], ["ä"]], pa.list_(pa.string(), 1)),
        pa.array([None, "a", "", None, "a", "ä"]).slice(1),
    ],
    "number": [
        pa.array([3, 0, None, 1, 3], kind)
        for kind in (pa.int8(), pa.uint8(), pa.int32(), pa.int64(), pa.uint64(), pa.float32(), pa.float64())
    ]
    + [
        pa.array(
            [None if n is None else decimal.Decimal(n) for n in (3, 0, None, 1, 3)], pa.decimal128(9, 2)
        ),
        pa.array(
            [None if n is None else decimal.Decimal(n) for n in (3, 0, None, 1, 3)], pa.decimal128(38, 0)
        ),
        pa.array([3, 0, None, 1, 3]).dictionary_encode(),
        pa.array([3.0, -0.0, math.nan, 1.0, 3.0]),
        pa.array([[3], [0], None, [1], [3]], pa.list_(pa.int16(), 1)),
    ],
    "flag": [pa.array([True, False, None]), pa.array([1, 0, None]), pa.array([1.0, -0.0, math.nan])],
    "day": [
        pa.array([datetime.datetime(1970, 1, 2), None, datetime.datetime(1969, 12, 31)]).cast(kind)
        for kind in (pa.date32(), pa.date64(), *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")))
    ]
    + [pa.array([86_400, None, -86_400], pa.timestamp("s", "UTC"))],
    "time of day": [
        pa.array([datetime.time(8, 30), None], kind)
        for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"))
    ],
    "duration": [
        pa.array([datetime.timedelta(hours=1), None], pa.duration(unit)) for unit in ("s", "ms", "us", "ns")
    ],
}


@pytest.mark.parametrize("ways", WAYS.values(), ids=WAYS)
def test_equal_values_have_equal_keys_whatever_type_holds_them(ways: list[pa.Array]) -> None:
    # Other floats do not fit float32, but its whole numbers are equal to theirs.
    types = [way.type for way in ways if way.type != pa.float32()]
    layout = layout_of([(str(kind), pa.schema([("it", kind)])) for kind in types], None)
    for way in ways:
        assert keys(way, layout) == keys(ways[0], layout), way.type


def test_long_whole_numbers_stay_apart() -> None:
    numbers = [2**63 - 1, 2**63 - 2, 2**53, 2**53 + 1]
    ways = [pa.array(numbers), pa.array([decimal.Decimal(n) for n in numbers], pa.decimal128(38, 0))]
    assert len(set(keys(ways[0]))) == 4
    assert keys(ways[0]) == keys(ways[1])


def test_decimals_beyond_64_bits_are_read_as_floats() -> None:
    found = keys(pa.array([decimal.Decimal(10**30), decimal.Decimal(1)], pa.decimal128(38, 0)))
    assert found == keys(pa.array([1e30, 1.0]))


def test_a_fixed_size_list_with_missing_rows_is_read_row_by_row() -> None:
    values = [[1, 2], None, [3, None], [1, 2]]
    fixed = pa.array(values, pa.list_(pa.int64(), 2))
    assert keys(fixed) == keys(pa.array(values))
    assert keys(fixed.slice(1)) == keys(pa.array(values))[1:]


def test_columns_without_rows_or_without_values_are_read() -> None:
    kinds = [
        pa.string(),
        pa.float64(),
        pa.null(),
        pa.list_(pa.int64()),
        pa.dictionary(pa.int32(), pa.string()),
    ]
    for kind in kinds:
        assert keys(pa.array([], kind)) == []
        assert keys(pa.nulls(3, kind)) == [(0, 0)] * 3


# What else a batch has


def test_numbers_are_those_of_rows_with_exactly_one() -> None:
    table = pa.table(
        {
            "one": pa.array([1, None, 3], pa.int8()),
            "few": pa.array([[0.5], [1.0, 2.0], []]),
            "flag": [True, False, None],
            "text": ["1", "2", "3"],
        }
    )
    (batch,) = read(table)
    assert set(batch.numbers) == {"one", "few", "flag"}
    np.testing.assert_array_equal(batch.numbers["one"], [1, np.nan, 3])
    np.testing.assert_array_equal(batch.numbers["few"], [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(batch.numbers["flag"], [1, 0, np.nan])


def test_plain_values_are_those_of_rows_with_exactly_one() -> None:
    table = pa.table(
        {"label": [["a"], ["a", "b"], []], "day": [datetime.date(2026, 1, day) for day in (1, 2, 3)]}
    )
    layout = layout_of([("train", table.schema)], None)
    (batch,) = read(table, Layout(layout.kinds, ("label", "day")))
    assert batch.plain["label"].to_pylist() == ["a", None, None]
    assert batch.plain["day"].to_pylist() == table["day"].to_pylist()


def test_places_number_the_rows_over_all_batches() -> None:
    parts = [pa.record_batch([pa.array(rows)], names=["a"]) for rows in ([1, 2], [], [3])]
    layout = layout_of([("train", parts[0].schema)], None)
    found = [batch.places for batch in batches_of(parts, layout, first=5, file=3)]
    assert np.concatenate(found).tolist() == [3 * 2**40 + row for row in (5, 6, 7)]


# Layouts


def schemas(**types: pa.DataType) -> list[tuple[str, pa.Schema]]:
    return [(split, pa.schema([("it", kind)])) for split, kind in types.items()]


@pytest.mark.parametrize(
    ("train", "evaluation", "kind"),
    [
        (pa.int32(), pa.uint8(), "integer"),
        (pa.int64(), pa.float64(), "real"),
        (pa.float32(), pa.int64(), "real"),
        (pa.bool_(), pa.null(), "integer"),
        (pa.null(), pa.null(), "text"),
        (pa.null(), pa.float32(), "real"),
        (pa.decimal128(9, 2), pa.float64(), "real"),
        (pa.string(), pa.dictionary(pa.int8(), pa.large_string()), "text"),
        (pa.list_(pa.dictionary(pa.int8(), pa.string())), pa.binary(), "text"),
        (pa.list_(pa.int8()), pa.list_(pa.null()), "integer"),
        (pa.date32(), pa.timestamp("ns", "UTC"), "integer"),
    ],
)
def test_types_that_hold_equal_values_fit(train: pa.DataType, evaluation: pa.DataType, kind: str) -> None:
    for pair in (schemas(train=train, eval=evaluation), schemas(train=evaluation, eval=train)):
        assert layout_of(pair, None).kinds == {"it": kind}


@pytest.mark.parametrize(
    ("train", "evaluation"),
    [
        (pa.string(), pa.int64()),
        (pa.string(), pa.date32()),
        (pa.float32(), pa.float64()),
        (pa.float32(), pa.decimal128(9, 2)),
        (pa.date32(), pa.int64()),
        (pa.time32("s"), pa.timestamp("s")),
        (pa.duration("s"), pa.bool_()),
        (pa.list_(pa.string()), pa.float64()),
    ],
)
def test_types_in_which_equal_values_are_not_equal_are_refused(
    train: pa.DataType, evaluation: pa.DataType
) -> None:
    with pytest.raises(
        InputError, match=r"column 'it' is .+ in train, .+ in eval; equal values would not be"
    ):
        layout_of(schemas(train=train, eval=evaluation), None)


@pytest.mark.parametrize(
    "kind",
    [
        pa.struct([("a", pa.int64())]),
        pa.list_(pa.list_(pa.int64())),
        pa.map_(pa.string(), pa.int64()),
        pa.float16(),
        pa.month_day_nano_interval(),
        pa.binary(16),
    ],
)
def test_a_type_that_is_not_compared_is_named(kind: pa.DataType) -> None:
    with pytest.raises(
        InputError, match="train: column 'it' has type .*, which is not compared; leave it out"
    ):
        layout_of(schemas(train=kind), None)


def test_a_column_that_no_split_has_is_wrong_usage_with_the_nearest_name() -> None:
    pair = [(split, pa.schema([("age", pa.int64()), ("sex", pa.string())])) for split in ("train", "eval")]
    with pytest.raises(UsageError, match="unknown column 'agee': known are age, sex; did you mean 'age'?"):
        layout_of(pair, ["sex", "agee"])


def test_a_column_on_one_side_only_is_named_with_the_side() -> None:
    train, evaluation = (pa.schema([(name, pa.int64()) for name in names]) for names in ("ab", "acd"))
    pair = [("train", train), ("eval", evaluation)]
    with pytest.raises(InputError, match="train alone has b; eval alone has c, d; name those to look at"):
        layout_of(pair, None)
    with pytest.raises(InputError, match="eval: no column 'b'; it has a, c, d"):
        layout_of(pair, ["a", "b"])
    assert layout_of(pair, ["a"]).names == ("a",)


def test_two_columns_of_one_name_are_refused() -> None:
    twice = pa.schema([("a", pa.int64()), ("b", pa.int64()), ("a", pa.string())])
    with pytest.raises(InputError, match="eval: two columns are named 'a'; rename one"):
        layout_of([("train", pa.schema([("a", pa.int64()), ("b", pa.int64())])), ("eval", twice)], None)
