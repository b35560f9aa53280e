"""tf.Examples in and out: what is read, what is refused, and what is written anew."""

import gzip
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from leaky import (
    example,
    write_records,
    write_rows,
)
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts

from tfx_trust.components import examples as files_io
from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.leakage.columns import Layout, place_of
from tfx_trust.components.leakage.decoder import Decoder, read_batches

LAYOUT = Layout({"t": "text", "i": "integer", "r": "real"}, plain=("t", "i", "r"))
NONE = np.zeros(0, np.uint64)
DECODER = Decoder(LAYOUT)


def read_plainly(path: str | Path) -> list[bytes]:
    """The records of a file, without the code under test."""
    kind = "GZIP" if str(path).endswith(".gz") else ""
    return list(tf.data.TFRecordDataset(str(path), kind).as_numpy_iterator())


def read_all(path: str | Path) -> int:
    return sum(1 for _ in files_io.records(str(path)))


def places(number: int, *record: int) -> np.ndarray:
    return place_of(number, np.array(record, np.uint64))


RECORDS = [example({"i": n, "t": "text of some length " * 3}) for n in range(3_000)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    return {name: Path(write_records(folder / name, RECORDS)).read_bytes() for name in ("a", "a.gz")}


def flipped(content: bytes, position: int) -> bytes:
    position %= len(content)
    return content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :]


def cut_between_records(content: bytes) -> bytes:
    """A stream that was flushed after the first record and ends there, without a trailer."""
    length = int.from_bytes(content[:8], "little") + 16
    packer = zlib.compressobj(wbits=31)
    return packer.compress(content[:length]) + packer.flush(zlib.Z_FULL_FLUSH)


DAMAGE: dict[str, tuple[str, Callable[[dict[str, bytes]], bytes]]] = {
    "plain, cut in the middle": ("a", lambda of: of["a"][: len(of["a"]) // 2 + 5]),
    "plain, last byte lost": ("a", lambda of: of["a"][:-1]),
    "plain, length flipped": ("a", lambda of: flipped(of["a"], 0)),
    "plain, byte flipped in the middle": ("a", lambda of: flipped(of["a"], len(of["a"]) // 2)),
    "plain, byte flipped at the end": ("a", lambda of: flipped(of["a"], -6)),
    "plain, really GZIP": ("a", lambda of: of["a.gz"]),
    "gz, cut in the middle": ("a.gz", lambda of: of["a.gz"][: len(of["a.gz"]) // 2]),
    "gz, last byte lost": ("a.gz", lambda of: of["a.gz"][:-1]),
    "gz, trailer lost": ("a.gz", lambda of: of["a.gz"][:-8]),
    "gz, cut to its header": ("a.gz", lambda of: of["a.gz"][:10]),
    "gz, cut to nothing": ("a.gz", lambda of: b""),
    "gz, cut between two records": ("a.gz", lambda of: cut_between_records(of["a"])),
    "gz, second member cut": ("a.gz", lambda of: of["a.gz"] + of["a.gz"][:-40]),
    "gz, byte flipped in the middle": ("a.gz", lambda of: flipped(of["a.gz"], len(of["a.gz"]) // 2)),
    "gz, length flipped": ("a.gz", lambda of: flipped(of["a.gz"], -1)),
    "gz, really plain": ("a.gz", lambda of: of["a"]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_and_never_read_as_a_shorter_one(
    tmp_path: Path, whole: dict[str, bytes], damage: str
) -> None:
    name, change = DAMAGE[damage]
    path = tmp_path / name
    path.write_bytes(change(whole))
    with pytest.raises(InputError, match=r"damaged or cut short after about [\d,]+ records") as caught:
        read_all(path)
    assert str(caught.value).startswith(str(path))
    assert "copy or make it anew" in str(caught.value)
    assert "function_node" not in str(caught.value)


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_a_whole_file_is_read_whole(tmp_path: Path, whole: dict[str, bytes], name: str) -> None:
    (tmp_path / name).write_bytes(whole[name])
    assert list(files_io.records(str(tmp_path / name))) == RECORDS


def test_a_gzip_file_of_several_members_is_read_whole(tmp_path: Path, whole: dict[str, bytes]) -> None:
    (tmp_path / "a.gz").write_bytes(whole["a.gz"] + gzip.compress(whole["a"]))
    assert read_all(tmp_path / "a.gz") == 2 * len(RECORDS)


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_a_file_without_records_has_none(tmp_path: Path, name: str) -> None:
    assert list(read_batches([write_records(tmp_path / name, [])], DECODER)) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.gz: no such file"):
        list(read_batches([str(tmp_path / "nowhere.gz")], DECODER))


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read .*check that it is a file"):
        read_all(tmp_path)


@pytest.mark.parametrize(
    ("value", "kind"), [("x", "text"), (0.5, "real")], ids=["text for integer", "real for integer"]
)
def test_a_feature_of_another_type_is_named_with_file_and_record(
    tmp_path: Path, value: Any, kind: str
) -> None:
    path = write_rows(tmp_path / "a", [{"i": n} for n in range(12)] + [{"i": value}])
    expected = rf"a: feature 'i' is {kind} in record 12; integer is expected: correct the schema"
    with pytest.raises(InputError, match=expected):
        list(read_batches([path], DECODER, batch_rows=5))


@pytest.mark.parametrize("record", [b"hello", b"\xff\xff\xfe"], ids=["text", "no text"])
def test_a_record_that_is_no_example_is_named_with_its_file(tmp_path: Path, record: bytes) -> None:
    path = write_records(tmp_path / "a", [example({"i": 1})] * 6 + [record])
    with pytest.raises(InputError, match=r"a: record 6 is no tf\.Example"):
        list(read_batches([path], DECODER, batch_rows=4))


def test_examples_are_fetched_from_their_places_in_whatever_order(tmp_path: Path) -> None:
    files = [
        write_rows(tmp_path / f"{file}.gz", [{"i": 100 * file + n} for n in range(10)]) for file in range(3)
    ]
    wanted = [int(place) for place in [*places(2, 9, 0), *places(0, 3, 3)]]
    found = files_io.fetch(files, wanted)
    assert set(found) == set(wanted)
    values = {place: one.features.feature["i"].int64_list.value[0] for place, one in found.items()}
    assert values == {int(places(2, 9)[0]): 209, int(places(2, 0)[0]): 200, int(places(0, 3)[0]): 3}


def test_no_more_of_a_file_is_read_than_the_last_place_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_io, "BATCH_ROWS", 10)
    path = tmp_path / "a"
    content = Path(write_records(path, RECORDS)).read_bytes()
    path.write_bytes(content[:-1])
    assert len(files_io.fetch([str(path), "unneeded"], [15])) == 1


def test_a_place_beyond_the_end_is_told(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a", [{"i": 1}])
    with pytest.raises(InputError, match=r"a: no record 5; it was changed"):
        files_io.fetch([path], [5])


def test_values_are_displayed_as_they_are_and_missing_ones_as_none() -> None:
    one = tf.train.Example.FromString(example({"t": "ü", "i": [1, 2], "r": 0.5, "empty": None}))
    shown = files_io.displayed(one, ["t", "i", "r", "empty", "absent"])
    assert shown == {"t": "ü", "i": "1, 2", "r": 0.5, "empty": None, "absent": None}
    assert "absent" not in one.features.feature


# Layout


def schema_of(text: str) -> schema_pb2.Schema:
    return text_format.Parse(text, schema_pb2.Schema())


SCHEMA = """
feature { name: "t" type: BYTES } feature { name: "i" type: INT } feature { name: "r" type: FLOAT }
feature { name: "old" type: INT lifecycle_stage: DEPRECATED }
feature { name: "off" type: INT lifecycle_stage: DISABLED }
feature { name: "beta" type: INT lifecycle_stage: BETA }
"""


def test_a_schema_tells_kinds_and_features_out_of_use_are_left_out() -> None:
    kinds = {"t": "text", "i": "integer", "r": "real", "beta": "integer"}
    assert files_io.layout_of_schema(schema_of(SCHEMA)).kinds == kinds


def test_named_columns_are_taken_in_their_order() -> None:
    assert files_io.layout_of_schema(schema_of(SCHEMA), ["r", "t"]).names == ("r", "t")


def test_an_unknown_column_is_answered_with_the_nearest() -> None:
    schema = schema_of('feature { name: "income" type: INT } feature { name: "age" type: INT }')
    with pytest.raises(UsageError, match=r"unknown feature of the schema 'incme'.*did you mean 'income'"):
        files_io.layout_of_schema(schema, ["incme"])


@pytest.mark.parametrize("kind", ["STRUCT", "TYPE_UNKNOWN"])
def test_a_feature_that_cannot_be_compared_is_refused_unless_others_are_named(kind: str) -> None:
    schema = schema_of(f'feature {{ name: "s" type: {kind} }} feature {{ name: "i" type: INT }}')
    with pytest.raises(InputError, match=rf"feature 's' has type {kind}.*BYTES, INT or FLOAT"):
        files_io.layout_of_schema(schema)
    assert files_io.layout_of_schema(schema, ["i"]).kinds == {"i": "integer"}


def layout_of(
    tmp_path: Path, columns: Sequence[str] | None = None, **rows: Sequence[dict[str, Any]]
) -> Layout:
    files = {split: [write_rows(tmp_path / split, some)] for split, some in rows.items()}
    return files_io.layout_of_files(files, columns)


def test_without_a_schema_the_records_tell(tmp_path: Path) -> None:
    full = {"t": "a", "i": 1, "r": 0.5}
    assert layout_of(tmp_path, train=[{}, full], eval=[full]).kinds == LAYOUT.kinds


def test_every_file_of_a_split_is_looked_at(tmp_path: Path) -> None:
    files = [write_rows(tmp_path / "a", [{"i": 1}]), write_rows(tmp_path / "b.gz", [{"i": 1, "t": "a"}])]
    assert files_io.layout_of_files({"train": files}).kinds == {"i": "integer", "t": "text"}


@pytest.mark.parametrize(("value", "kind"), [(0.5, "real"), ("x", "text")])
def test_a_feature_of_two_types_is_named_with_both_files(tmp_path: Path, value: Any, kind: str) -> None:
    with pytest.raises(
        InputError, match=rf"feature 'i' is integer in .*train \(record 0\) and {kind} in .*eval \(record 1\)"
    ):
        layout_of(tmp_path, train=[{"i": 1}], eval=[{}, {"i": value}])


def test_two_types_of_a_feature_that_is_not_looked_at_are_no_matter(tmp_path: Path) -> None:
    rows = {"train": [{"i": 1, "x": 1}], "eval": [{"i": 1, "x": "text"}]}
    assert layout_of(tmp_path, ["i"], **rows).kinds == {"i": "integer"}


def test_columns_of_one_split_alone_are_listed_unless_named(tmp_path: Path) -> None:
    rows = {"train": [{"i": 1, "x": 1, "y": 2}], "eval": [{"i": 1, "z": "a"}]}
    with pytest.raises(InputError, match="train alone has x, y; eval alone has z"):
        layout_of(tmp_path, **rows)
    assert layout_of(tmp_path, ["i", "x"], **rows).kinds == {"i": "integer", "x": "integer"}


def test_a_column_without_a_value_on_one_side_fits_the_other(tmp_path: Path) -> None:
    found = layout_of(tmp_path, train=[{"i": 1, "r": 0.5}], eval=[{"i": 1, "r": None}])
    assert found.kinds == {"i": "integer", "r": "real"}


def test_an_empty_list_has_a_type_which_the_parser_insists_on(tmp_path: Path) -> None:
    empty = tf.train.Example()
    empty.features.feature["i"].bytes_list.SetInParent()
    files = [
        write_records(tmp_path / "a", [empty.SerializeToString()]),
        write_rows(tmp_path / "b", [{"i": 1}]),
    ]
    with pytest.raises(InputError, match="feature 'i' is text in .* and integer in"):
        files_io.layout_of_files({"train": files})
    with pytest.raises(InputError, match="feature 'i' is text in record 0; integer is expected"):
        list(read_batches(files, DECODER))


def test_a_split_without_records_does_not_make_columns_differ(tmp_path: Path) -> None:
    assert layout_of(tmp_path, train=[{"i": 1}], eval=[]).kinds == {"i": "integer"}


def test_types_cannot_be_told_from_no_record_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no record in the files of train, eval"):
        layout_of(tmp_path, train=[], eval=[])


def test_an_unknown_column_of_files_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'incme'.*did you mean 'income'"):
        layout_of(tmp_path, ["incme"], train=[{"income": 1}])


# Artifacts


@pytest.fixture
def artifact(tmp_path: Path) -> Any:
    made = standard_artifacts.Examples()
    made.uri = str(tmp_path)
    made.split_names = '["train", "eval"]'
    for name in ("b.gz", "a.gz", ".hidden.gz", "_SUCCESS"):
        write_rows(tmp_path / "Split-train" / name, [{"i": 1}])
    return made


def test_the_files_of_a_split_are_sorted_and_hidden_ones_left_out(artifact: Any) -> None:
    assert files_io.splits_of(artifact) == ["train", "eval"]
    assert [os.path.basename(path) for path in files_io.split_files(artifact, "train")] == ["a.gz", "b.gz"]


def test_a_split_without_files_is_told(artifact: Any) -> None:
    with pytest.raises(InputError, match="Split-eval: no files; the eval split should be there"):
        files_io.split_files(artifact, "eval")


def test_an_unknown_split_is_answered_with_those_there_are(artifact: Any) -> None:
    with pytest.raises(InputError, match="no split 'test'; it has train, eval"):
        files_io.split_files(artifact, "test")


def test_another_payload_is_refused_by_its_name(artifact: Any) -> None:
    examples_utils.set_payload_format(artifact, example_gen_pb2.FORMAT_PARQUET)
    with pytest.raises(InputError, match="payload format FORMAT_PARQUET; only FORMAT_TF_EXAMPLE"):
        files_io.split_files(artifact, "train")


def test_another_file_format_is_refused_by_its_name(artifact: Any) -> None:
    examples_utils.set_file_format(artifact, "riegeli")
    with pytest.raises(InputError, match="file format riegeli; only tfrecords_gzip"):
        files_io.split_files(artifact, "train")


# Writing


def numbered(path: Path, begin: int, end: int) -> str:
    return write_rows(path, [{"i": n} for n in range(begin, end)])


@pytest.fixture
def source(tmp_path: Path) -> list[str]:
    return [numbered(tmp_path / "from" / "a.gz", 0, 20), numbered(tmp_path / "from" / "b", 20, 30)]


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(0, 29)))
def test_what_stays_is_the_same_bytes_in_the_same_order(
    tmp_path_factory: pytest.TempPathFactory, gone: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("split")
    files = [numbered(folder / "from" / "a.gz", 0, 20), numbered(folder / "from" / "b", 20, 30)]
    dropped = np.array(sorted(int(place_of(*((0, n) if n < 20 else (1, n - 20)))) for n in gone), np.uint64)
    counts = files_io.write_split(files, str(folder / "to"), dropped)
    assert counts == (30, 30 - len(gone))
    for path, begin in zip(files, (0, 20)):
        records = read_plainly(path)
        expected = [record for n, record in enumerate(records, start=begin) if n not in gone]
        assert read_plainly(folder / "to" / os.path.basename(path)) == expected


def test_compression_is_kept_and_batches_may_be_smaller_than_files(
    tmp_path: Path, source: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_io, "BATCH_ROWS", 7)
    to = tmp_path / "to"
    dropped = np.concatenate([places(0, 6, 7, 13), places(1, 9)])
    assert files_io.write_split(source, str(to), dropped) == (30, 26)
    assert (to / "a.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert (to / "b").read_bytes()[:2] != b"\x1f\x8b"
    expected = [record for n, record in enumerate(read_plainly(source[0])) if n not in (6, 7, 13)]
    assert read_plainly(to / "a.gz") == expected
    assert read_plainly(to / "b") == read_plainly(source[1])[:-1]


def test_records_that_move_in_get_a_file_of_their_own(tmp_path: Path, source: list[str]) -> None:
    others = [numbered(tmp_path / "other" / "a.gz", 50, 55), numbered(tmp_path / "other" / "b.gz", 60, 65)]
    moved = np.concatenate([places(0, 1, 4), places(1, 0)])
    to = tmp_path / "to"
    assert files_io.write_split(source, str(to), places(0, 0), moved_in=[(others, moved)]) == (30, 32)
    (new,) = {path.name for path in to.iterdir()} - {"a.gz", "b"}
    assert new.endswith(".gz")
    there = read_plainly(others[0]), read_plainly(others[1])
    assert read_plainly(to / new) == [there[0][1], there[0][4], there[1][0]]


def test_records_that_moved_in_before_are_not_written_over(tmp_path: Path, source: list[str]) -> None:
    others = [numbered(tmp_path / "other" / "a.gz", 50, 55)]
    moved = [(others, places(0, 0)), (others, places(0, 1, 2))]
    once, twice = tmp_path / "once", tmp_path / "twice"
    assert files_io.write_split(source, str(once), NONE, moved_in=moved) == (30, 33)
    written = files_io.files_of(str(once))
    assert files_io.write_split(written, str(twice), NONE, moved_in=moved) == (33, 36)
    assert sum(len(read_plainly(path)) for path in twice.iterdir()) == 36


def test_a_run_that_ends_early_leaves_no_file_that_looks_whole(tmp_path: Path, source: list[str]) -> None:
    content = Path(source[1]).read_bytes()
    Path(source[1]).write_bytes(content[:-1])
    to = tmp_path / "to"
    with pytest.raises(InputError, match="damaged or cut short"):
        files_io.write_split(source, str(to), NONE)
    assert [path.name for path in to.iterdir()] == ["a.gz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["from", "to"]


def test_nothing_half_written_is_ever_in_the_folder(
    tmp_path: Path, source: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "to"
    seen: list[list[str]] = []
    rename = tf.io.gfile.rename

    def watched(*given: Any, **named: Any) -> None:
        seen.append([path.name for path in to.iterdir()])
        rename(*given, **named)

    monkeypatch.setattr(tf.io.gfile, "rename", watched)
    files_io.write_split(source, str(to), NONE)
    assert seen == [[], ["a.gz"]]


def test_files_of_one_name_are_not_written_over_each_other(tmp_path: Path, source: list[str]) -> None:
    other = numbered(tmp_path / "other" / "b", 0, 3)
    with pytest.raises(InputError, match="2 files to write to .* are named 'b'"):
        files_io.write_split([*source, other], str(tmp_path / "to"), NONE)


def test_a_place_without_a_record_is_told(tmp_path: Path, source: list[str]) -> None:
    with pytest.raises(InputError, match="0 records at 1 places; the files were changed"):
        files_io.write_split(source, str(tmp_path / "to"), places(1, 10))


def test_a_moved_record_that_is_not_there_is_told(tmp_path: Path, source: list[str]) -> None:
    others = [numbered(tmp_path / "other" / "a", 0, 3)]
    with pytest.raises(InputError, match="1 records at 2 places"):
        files_io.write_split(source, str(tmp_path / "to"), NONE, moved_in=[(others, places(0, 2, 3))])
