"""tf.Examples as columns: known answers, what makes rows equal, and where they are."""

import math
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from leaky import (
    KNOWN_CONFLICTS,
    KNOWN_OVERLAP,
    census_table,
    example,
    write_rows,
)

from tfx_trust.components import examples as files_io
from tfx_trust.components.leakage import hashing, tables
from tfx_trust.components.leakage.columns import Batch, Layout, place_of
from tfx_trust.components.leakage.count import EVAL, TRAIN, Keyed, Tally, keyed, tally
from tfx_trust.components.leakage.decoder import Decoder, read_batches
from tfx_trust.pipelines.census import data

LAYOUT = Layout({"t": "text", "i": "integer", "r": "real"}, plain=("i", "r"))
WITH_TEXT = Layout(LAYOUT.kinds, plain=("t", "i", "r"))
NONE = np.zeros(0, np.uint64)


def decode(records: Sequence[bytes], layout: Layout = LAYOUT) -> Batch:
    return Decoder(layout).decode(tf.constant(list(records), tf.string))


def keys(*rows: dict[str, Any], layout: Layout = LAYOUT) -> list[tuple[int, int]]:
    found = decode([example(row) for row in rows], layout).key(layout.names)
    return list(zip(*found.tolist()))


def places(number: int, *record: int) -> np.ndarray:
    return place_of(number, np.array(record, np.uint64))


# Known answers


@pytest.fixture(scope="module")
def census(tmp_path_factory: pytest.TempPathFactory) -> list[list[Batch]]:
    """The decoded batches of train and of eval."""
    folder = tmp_path_factory.mktemp("census")
    files = {
        split: [write_rows(folder / f"{split}.gz", census_table(split).to_pylist())]
        for split in ("train", "eval")
    }
    layout = files_io.layout_of_files(files)
    assert layout.kinds[data.WEIGHT] == "integer"
    assert layout.kinds["workclass"] == "text"
    decoder = Decoder(layout)
    return [list(read_batches(paths, decoder, batch_rows=5_000)) for paths in files.values()]


FEATURES = [name for name in data.COLUMNS if name != data.LABEL]
COLUMNS_OF = {
    "features+label": list(data.COLUMNS),
    "features": FEATURES,
    "features-excluded": [name for name in FEATURES if name != data.WEIGHT],
    "person+label": [name for name in data.COLUMNS if name != data.WEIGHT],
}


def counted(census: list[list[Batch]], key: str) -> Tally:
    sides = [
        Keyed.concatenated([keyed(batch, COLUMNS_OF[key], data.LABEL) for batch in batches])
        for batches in census
    ]
    return tally(*sides, conflicts=True)


@pytest.mark.parametrize("key", KNOWN_OVERLAP)
def test_the_census_overlap_is_the_known_one(census: list[list[Batch]], key: str) -> None:
    found = counted(census, key)
    assert found.examples == (32_561, 16_281)
    surplus = {
        "train": found.examples[TRAIN] - found.distinct[TRAIN],
        "eval": found.examples[EVAL] - found.distinct[EVAL],
    }
    assert (found.keys_in_both, found.eval_in_train, found.train_in_eval, surplus) == KNOWN_OVERLAP[key]


@pytest.mark.parametrize("key", ["features", "features-excluded"])
def test_the_census_conflicts_are_the_known_ones_in_each_scope(census: list[list[Batch]], key: str) -> None:
    found = {
        (key, scope): (one.groups, one.examples, one.minority)
        for scope, one in counted(census, key).conflicts.items()
    }
    assert found == {where: answer for where, answer in KNOWN_CONFLICTS.items() if where[0] == key}


# Decoding


texts = st.sampled_from(["", "a", "b", "ab", "ü"])
integers = st.sampled_from([0, 1, -1, 2**53 + 1, -(2**63)])
reals = st.sampled_from([0.0, -0.0, 1.0, 0.5, -2.0, math.nan, math.inf])


def cell(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Mostly one value, as in real data; at times none or several."""
    return st.one_of(st.lists(values, min_size=1, max_size=1), st.lists(values, max_size=3))


row = st.fixed_dictionaries({"t": cell(texts), "i": cell(integers), "r": cell(reals)})
rows_of = st.lists(row, min_size=1, max_size=20)
DECODER = Decoder(LAYOUT)


def canonical(values: dict[str, list[Any]]) -> tuple[Any, ...]:
    """What two equal rows have in common: their values with their places, NaN left out, −0.0 as 0.0."""
    return tuple(
        (name, place, value + 0.0 if name == "r" else value)
        for name, listed in sorted(values.items())
        for place, value in enumerate(listed)
        if value == value
    )


@settings(max_examples=60, deadline=None)
@given(rows_of)
def test_rows_have_equal_keys_exactly_where_their_values_are_equal(rows: list[dict[str, Any]]) -> None:
    batch = DECODER.decode(tf.constant([example(one) for one in rows]))
    found = list(zip(*batch.key(LAYOUT.names).tolist()))
    twins = [canonical(one) for one in rows]
    for key, twin in zip(found, twins):
        assert [key == other for other in found] == [twin == other for other in twins]


@settings(max_examples=40, deadline=None)
@given(rows_of)
def test_a_row_is_decoded_alike_whatever_the_batch_it_is_in(rows: list[dict[str, Any]]) -> None:
    records = [example(one) for one in rows]
    whole = DECODER.decode(tf.constant(records))
    for size in (1, 7):
        parts = [
            DECODER.decode(tf.constant(records[begin : begin + size]))
            for begin in range(0, len(records), size)
        ]
        np.testing.assert_array_equal(np.concatenate([part.terms for part in parts], axis=2), whole.terms)
        for name, values in whole.numbers.items():
            np.testing.assert_array_equal(np.concatenate([part.numbers[name] for part in parts]), values)
        for name, array in whole.plain.items():
            assert pa.concat_arrays([part.plain[name] for part in parts]).equals(array)


@settings(max_examples=40, deadline=None)
@given(rows_of)
def test_numbers_are_decoded_as_they_are_from_tables(rows: list[dict[str, Any]]) -> None:
    layout = Layout({"i": "integer", "r": "real"})
    table = pa.table(
        {
            "i": pa.array([one["i"] for one in rows], pa.list_(pa.int64())),
            "r": pa.array([one["r"] for one in rows], pa.list_(pa.float64())),
        }
    )
    expected = next(tables.batches_of(table, layout))
    found = decode([example(one) for one in rows], layout)
    np.testing.assert_array_equal(found.terms, expected.terms)
    for name in layout.names:
        np.testing.assert_array_equal(found.numbers[name], expected.numbers[name])


def in_map_order(row: dict[str, Any], names: Sequence[str]) -> bytes:
    """A serialized tf.Example whose map has its entries in this very order."""
    body = b"".join(
        tf.train.Example.FromString(example({name: row[name]})).features.SerializeToString() for name in names
    )
    assert len(body) < 128, "longer lengths take more than one byte"
    return b"\x0a" + bytes([len(body)]) + body


def test_the_order_of_the_map_in_the_bytes_does_not_matter() -> None:
    one = {"t": "a", "i": 3, "r": 0.5}
    records = [in_map_order(one, names) for names in ("tir", "rit", "itr")]
    assert len(set(records)) == 3
    batch = decode(records)
    assert (batch.terms == batch.terms[:, :, :1]).all()
    assert batch.terms.all()


def test_a_missing_value_is_an_absent_feature_and_an_empty_one_and_adds_nothing() -> None:
    typed = tf.train.Example()
    typed.features.feature["t"].bytes_list.SetInParent()
    typed.features.feature["i"].int64_list.SetInParent()
    typed.features.feature["r"].float_list.SetInParent()
    absent, empty = example({}), example({"t": None, "i": None, "r": None})
    assert absent != empty
    assert not decode([absent, empty, typed.SerializeToString()]).terms.any()


def test_the_empty_text_and_zero_are_values() -> None:
    assert decode([example({"t": "", "i": 0, "r": 0.0})]).terms.all()


def test_nan_is_missing_and_minus_zero_is_zero() -> None:
    layout = Layout({"r": "real"})
    nan, missing, minus, zero = keys({"r": math.nan}, {}, {"r": -0.0}, {"r": 0.0}, layout=layout)
    assert nan == missing == (0, 0)
    assert minus == zero != missing


def test_the_place_in_a_list_counts() -> None:
    first, second, alone = keys({"t": ["a", "b"]}, {"t": ["b", "a"]}, {"t": "a"})
    assert len({first, second, alone}) == 3


def test_the_same_text_in_two_columns_is_not_the_same() -> None:
    layout = Layout({"a": "text", "b": "text"})
    one, other = keys({"a": "x"}, {"b": "x"}, layout=layout)
    assert one != other


def unmixed(values: np.ndarray) -> np.ndarray:
    """The inverse of `hashing.mix`."""
    for shift, factor in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9), (30, 1)):
        values = values ^ (values >> np.uint64(shift)) ^ (values >> np.uint64(2 * shift))
        values = values * np.uint64(pow(factor, -1, 2**64))
    return values


def test_each_lane_has_a_hash_of_the_text_of_its_own() -> None:
    layout = Layout({"t": "text"})
    terms = decode([example({"t": f"value {n}"}) for n in range(500)], layout).terms[0]
    np.testing.assert_array_equal(hashing.mix(unmixed(terms)), terms)
    # One hash under two seeds would look like two, and be of half the bits.
    first, second = unmixed(terms) ^ hashing.seeds_of(layout.names)
    assert len(np.unique(first)) == len(np.unique(second)) == 500
    assert not np.intersect1d(first, second).size


def test_a_real_is_as_exact_as_the_example_holds_it() -> None:
    layout = Layout({"r": "real"})
    wide, narrow, other = keys({"r": 0.1}, {"r": float(np.float32(0.1))}, {"r": 0.1001}, layout=layout)
    assert wide == narrow != other
    assert decode([example({"r": 0.1})], layout).numbers["r"][0] == np.float64(np.float32(0.1))


def test_a_whole_real_has_the_key_of_the_integer() -> None:
    whole = decode([example({"n": 3.0})], Layout({"n": "real"}))
    integer = decode([example({"n": 3})], Layout({"n": "integer"}))
    np.testing.assert_array_equal(whole.terms, integer.terms)


def test_numbers_and_plain_values_are_there_where_there_is_exactly_one() -> None:
    rows = [{"t": "a", "i": 2**62 + 1, "r": 0.5}, {}, {"t": ["a", "b"], "i": [1, 2], "r": math.nan}]
    batch = decode([example(one) for one in rows], WITH_TEXT)
    assert batch.plain["t"].to_pylist() == [b"a", None, None]
    # More digits than a float64 has.
    assert batch.plain["i"].to_pylist() == [2**62 + 1, None, None]
    assert batch.plain["r"].to_pylist() == [0.5, None, None]
    np.testing.assert_array_equal(batch.numbers["i"], [2.0**62, np.nan, np.nan])
    np.testing.assert_array_equal(batch.numbers["r"], [0.5, np.nan, np.nan])


def test_columns_that_no_row_of_a_batch_has_are_null_throughout() -> None:
    batch = decode([example({}), example({})], WITH_TEXT)
    assert all(batch.plain[name].to_pylist() == [None, None] for name in WITH_TEXT.plain)
    assert all(np.isnan(values).all() for values in batch.numbers.values())


def test_terms_are_in_the_order_of_the_layout_whatever_the_kinds() -> None:
    mixed = Layout({"r": "real", "t": "text", "i": "integer"})
    record = [example({"t": "a", "i": 5, "r": 0.5})]
    found, expected = decode(record, mixed), decode(record)
    for name in mixed.names:
        np.testing.assert_array_equal(
            found.terms[mixed.names.index(name)], expected.terms[LAYOUT.names.index(name)]
        )


def test_a_decoder_that_travelled_to_a_worker_decodes_alike() -> None:
    records = tf.constant([example({"t": "a", "i": 1, "r": 0.5})])
    sent = pickle.loads(pickle.dumps(DECODER))
    np.testing.assert_array_equal(sent.decode(records).terms, DECODER.decode(records).terms)


# Reading


def test_places_tell_file_and_record(tmp_path: Path) -> None:
    files = [write_rows(tmp_path / name, [{"i": n} for n in range(5)]) for name in ("a.gz", "b")]
    batches = list(read_batches(files, DECODER, batch_rows=3, first_file=2))
    found = np.concatenate([batch.places for batch in batches])
    assert [batch.rows for batch in batches] == [3, 2, 3, 2]
    np.testing.assert_array_equal(found, [*places(2, *range(5)), *places(3, *range(5))])


def test_a_scorer_fills_scores_and_says_which_label_they_are(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a", [{"i": 0}, {"i": 1}])
    decoder = Decoder(Layout({"i": "integer"}, plain=("i",)))

    def score(serialized: tf.Tensor) -> np.ndarray:
        return np.arange(int(serialized.shape[0]), dtype=np.float64)[::-1]

    batch = next(read_batches([path], decoder, scorer=score))
    assert batch.scores is not None
    assert batch.predicted is not None
    assert batch.scores.tolist() == [1.0, 0.0]
    np.testing.assert_array_equal(batch.predicted, batch.terms[0, 0, ::-1])
