"""tf.Examples as one table."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf
from leaky import example, write_records, write_rows
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust.components import InputError, UsageError
from tfx_trust.components.fairness.records import feature_names, read_records

ROWS: list[dict[str, Any]] = [
    {"sex": "F", "age": 30, "score": 0.5, "tags": ["a"], "only": None},
    {"sex": "", "age": None, "score": float("nan"), "tags": ["a", "b"], "only": 1},
    {"sex": "é", "age": 41, "score": 0.25, "tags": [], "only": None},
]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return write_rows(tmp_path / "a.tfrecord.gz", ROWS)


def schema_of(**types: Any) -> schema_pb2.Schema:
    return schema_pb2.Schema(
        feature=[schema_pb2.Feature(name=name, type=kind) for name, kind in types.items()]
    )


def test_features_with_one_value_are_columns_and_what_is_missing_is_null(path: str) -> None:
    table = read_records([path])
    assert table.to_pydict() == {
        "age": [30, None, 41],
        "only": [None, 1, None],
        "score": [0.5, None, 0.25],
        "sex": ["F", "", "é"],
    }
    assert [str(table.schema.field(name).type) for name in ("age", "score", "sex")] == [
        "int64",
        "double",
        "string",
    ]


def test_a_feature_with_several_values_is_left_out_where_nobody_named_it(path: str) -> None:
    assert set(feature_names([path])) - set(read_records([path]).column_names) == {"tags"}


def test_a_feature_with_several_values_is_refused_with_its_place_where_it_is_needed(
    path: str, tmp_path: Path
) -> None:
    first = write_rows(tmp_path / "0.tfrecord", [{"tags": ["a"]}])
    told = r"a\.tfrecord\.gz: feature 'tags' has several values in record 1; one an example is needed"
    with pytest.raises(InputError, match=told):
        read_records([first, path], ["tags"])
    with pytest.raises(InputError, match=told):
        read_records([first, path], needed=["tags"])


@pytest.mark.parametrize("values", [[1, 2], [0.5, 0.25], ["", "a"]])
def test_several_values_of_every_kind_are_seen(tmp_path: Path, values: list[Any]) -> None:
    path = write_rows(tmp_path / "a.tfrecord", [{"f": values[:1], "label": 1}, {"f": values, "label": 0}])
    assert read_records([path]).column_names == ["label"]


def test_columns_that_are_named_are_read_and_no_others(path: str) -> None:
    assert read_records([path], ["score", "sex"]).column_names == ["score", "sex"]


def test_several_files_are_one_table_in_their_order(path: str, tmp_path: Path) -> None:
    other = write_rows(tmp_path / "b.tfrecord", [{"sex": "M", "age": 9, "score": 1.0}])
    assert read_records([path, other], ["age"])["age"].to_pylist() == [30, None, 41, 9]


@pytest.mark.parametrize("columns", [["sxe"], None])
def test_an_unknown_feature_is_named_with_the_nearest(path: str, columns: list[str] | None) -> None:
    with pytest.raises(UsageError, match="unknown feature of the examples 'sxe': .*did you mean 'sex'?"):
        read_records([path], columns, needed=["sxe"])


def test_a_schema_tells_the_features_and_need_not_know_the_score(path: str) -> None:
    """Schemas are of training data, which have none."""
    schema = schema_of(sex=schema_pb2.BYTES, age=schema_pb2.INT, height=schema_pb2.FLOAT)
    table = read_records([path], None, schema, needed=["score"])
    assert table.column_names == ["sex", "age", "height", "score"]
    assert table["height"].null_count == 3
    assert read_records([path], ["score", "sex"], schema)["score"].to_pylist() == [0.5, None, 0.25]
    with pytest.raises(UsageError, match="unknown feature of the examples 'scor'"):
        read_records([path], None, schema, needed=["scor"])


def test_bytes_that_are_no_text_stay_bytes(tmp_path: Path) -> None:
    made = tf.train.Example.FromString(example({"label": 1}))
    made.features.feature["image"].bytes_list.value.append(b"\xff\xfe")
    path = write_records(tmp_path / "a.tfrecord", [made.SerializeToString()])
    table = read_records([path])
    assert (table.schema.field("image").type, table["image"].to_pylist()) == (pa.binary(), [b"\xff\xfe"])


def test_no_examples_are_told(tmp_path: Path, path: str) -> None:
    empty = write_records(tmp_path / "none.tfrecord", [])
    with pytest.raises(InputError, match="no record in the files"):
        read_records([empty])
    with pytest.raises(InputError, match=r"none\.tfrecord: no examples; give a file that has some"):
        read_records([empty], ["sex"], schema_of(sex=schema_pb2.BYTES))


def test_a_file_that_is_cut_off_is_told(path: str) -> None:
    Path(path).write_bytes(Path(path).read_bytes()[:-20])
    with pytest.raises(InputError, match=r"a\.tfrecord\.gz: damaged or cut short"):
        read_records([path])
