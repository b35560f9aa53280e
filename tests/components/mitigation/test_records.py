"""A feature added to serialized examples without parsing them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from leaky import example, write_records

from tfx_trust.components.examples import append_to_split, records
from tfx_trust.components.mitigation.records import Appended

ROWS: list[dict[str, Any]] = [{"a": 1, "b": "x", "c": [0.5, 1.5]}, {"a": 2, "b": None}, {}]


@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=5), st.text(min_size=1, max_size=200)
)
def test_the_parser_finds_the_number_in_what_is_added(values: list[float], name: str) -> None:
    for value, added in zip(values, Appended(name).bytes_of(np.array(values))):
        for row in ROWS:
            before = tf.train.Example.FromString(example(row))
            after = tf.train.Example.FromString(example(row) + added)
            assert list(after.features.feature[name].float_list.value) == [value]
            del after.features.feature[name]
            before.features.feature.pop(name, None)
            assert after == before


def test_tensorflows_own_parser_finds_it_too() -> None:
    added = Appended("weight").bytes_of(np.array([0.25, 0.5, 0.75]))
    serialized = [example(row) + extra for row, extra in zip(ROWS, added)]
    spec = {"weight": tf.io.FixedLenFeature([], tf.float32), "a": tf.io.FixedLenFeature([], tf.int64, -1)}
    parsed = tf.io.parse_example(serialized, spec)
    assert parsed["weight"].numpy().tolist() == [0.25, 0.5, 0.75]
    assert parsed["a"].numpy().tolist() == [1, 2, -1]


@pytest.mark.parametrize("name", ["data-00000-of-00001.gz", "data-00000-of-00001"])
def test_a_split_is_written_in_its_order_and_in_its_format(tmp_path: Path, name: str) -> None:
    before = [example({"n": number}) for number in range(20_000)]
    path = write_records(tmp_path / "old" / name, before)

    def additions(serialized: Any, path: str, first: int) -> list[bytes]:
        return [
            b"" if number % 2 else example({"m": number}) for number in range(first, first + len(serialized))
        ]

    written = append_to_split([path], str(tmp_path / "new"), additions)
    assert written == 20_000
    assert [item.name for item in (tmp_path / "new").iterdir()] == [name]
    expected = [row + (b"" if number % 2 else example({"m": number})) for number, row in enumerate(before)]
    assert list(records(str(tmp_path / "new" / name))) == expected


def test_half_a_file_is_not_left(tmp_path: Path) -> None:
    path = write_records(tmp_path / "old" / "data.gz", [b"a", b"b"])

    def failing(serialized: Any, path: str, first: int) -> list[bytes]:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        append_to_split([path], str(tmp_path / "new"), failing)
    assert [item.name for item in tmp_path.rglob("*") if item.is_file()] == ["data.gz"]
