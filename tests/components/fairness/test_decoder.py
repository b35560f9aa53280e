"""Serialized examples as Arrow arrays, one value an example."""

import pickle
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf
from leaky import example

from tfx_trust.components import InputError
from tfx_trust.components.fairness.decoder import Decoder

KINDS: dict[str, Any] = {"sex": "text", "age": "integer", "income": "real", "gone": "text"}
ROWS: list[dict[str, Any]] = [
    {"sex": "f", "age": 30, "income": 1.5},
    {"sex": "m", "age": None, "income": float("nan")},
    {"sex": "f", "age": -7, "income": None},
    {"sex": None, "age": 2**60, "income": 0.25},
    {"sex": "é", "age": 0, "income": 0.0},
]


def decoded(decoder: Decoder, rows: list[dict[str, Any]]) -> dict[str, pa.Array]:
    return decoder.decode(tf.constant([example(row) for row in rows]), path="data.gz", first=100)


def test_missing_values_and_nan_are_null_and_the_others_as_they_were_written() -> None:
    found = decoded(Decoder(KINDS), ROWS)
    assert found["sex"].to_pylist() == [b"f", b"m", b"f", None, "é".encode()]
    assert found["age"].to_pylist() == [30, None, -7, 2**60, 0]
    assert found["income"].to_pylist() == [1.5, None, None, 0.25, 0.0]
    assert found["gone"].to_pylist() == [None] * 5
    assert found["age"].type == pa.int64()
    assert found["income"].type == pa.float64()


def test_a_text_comes_once_for_all_examples_that_have_it() -> None:
    sexes = decoded(Decoder(KINDS), ROWS)["sex"]
    assert sexes.dictionary.to_pylist() == [b"f", b"m", "é".encode()]


def test_bytes_that_are_no_text_are_kept() -> None:
    made = tf.train.Example()
    made.features.feature["sex"].bytes_list.value.append(b"\xff\xfe")
    found = Decoder({"sex": "text"}).decode(tf.constant([made.SerializeToString()]), path="", first=0)
    assert found["sex"].to_pylist() == [b"\xff\xfe"]


def test_several_values_are_refused_with_their_place() -> None:
    rows = [*ROWS, {**ROWS[0], "age": [1, 2, 3]}]
    with pytest.raises(InputError, match=r"data.gz: feature 'age' has 3 values in record 105; one is needed"):
        decoded(Decoder(KINDS), rows)
    assert len(decoded(Decoder({"sex": "text"}), rows)["sex"]) == 6


def test_another_type_is_refused_with_its_place() -> None:
    with pytest.raises(InputError, match="feature 'age' is text in record 101; integer is expected"):
        decoded(Decoder(KINDS), [ROWS[0], {"age": "old"}])


def test_it_can_be_pickled() -> None:
    decoder = pickle.loads(pickle.dumps(Decoder(KINDS)))
    assert decoded(decoder, ROWS)["age"].to_pylist() == [30, None, -7, 2**60, 0]
