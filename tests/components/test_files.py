"""Plain files as tables: what is one value in two files is one value in the tables."""

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfx_trust.components import InputError, UsageError
from tfx_trust.components.files import estimate_mb, format_of, paths_of, read_table, read_tables

Write = Callable[[str, Any], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes text, bytes or a table to a file of a name, and returns its path."""

    def written(name: str, content: str | bytes | Mapping[str, Any] | pa.Table) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        if isinstance(content, bytes):
            path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        else:
            parquet.write_table(content if isinstance(content, pa.Table) else pa.table(content), path)
        return str(path)

    return written


def read(*paths: str, kind: Any = "csv") -> list[dict[str, list[Any]]]:
    """Columns of train, the first file, and eval, the others."""
    return [table.to_pydict() for table in read_tables(paths[:1], paths[1:], kind)]


# Which files


def test_a_folder_is_its_files_in_order_without_those_that_hold_no_data(write: Write, tmp_path: Path) -> None:
    paths = [write(f"data/{name}", "a\n1\n") for name in ("b.csv", "a.csv")]
    for name in (".hidden.csv", "_SUCCESS", "below/c.csv"):
        write(f"data/{name}", "")
    assert paths_of(str(tmp_path / "data")) == sorted(paths)


def test_a_pattern_is_the_files_that_fit_it(write: Write, tmp_path: Path) -> None:
    paths = [write(f"part-{number}.csv", "a\n1\n") for number in (2, 1)]
    write("_part-3.csv", "a\n1\n")
    write("part-4/x.csv", "a\n1\n")
    assert paths_of(str(tmp_path / "*part-*")) == sorted(paths)


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(write: Write) -> None:
    path = write("train[1].csv", "a\n1\n")
    assert paths_of(path) == [path]


@pytest.mark.parametrize("place", ["none.csv", "none*.csv", "nowhere/"])
def test_a_place_without_files_is_named(tmp_path: Path, place: str) -> None:
    with pytest.raises(InputError, match=r"none.*\.csv: no such file|nowhere/?: no such file"):
        paths_of(str(tmp_path / place))


def test_an_empty_folder_and_an_empty_file_are_named(write: Write, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder: no files in this folder"):
        paths_of(str(tmp_path / "folder"))
    with pytest.raises(InputError, match=r"a\.csv: the file is empty"):
        paths_of(write("a.csv", ""))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", "csv"),
        ("A.CSV", "csv"),
        ("a.csv.gz", "csv"),
        ("a.parquet", "parquet"),
        ("a.pq", "parquet"),
        ("a.tfrecord", "tfrecord"),
        ("a.tfrecords.gz", "tfrecord"),
        ("data_tfrecord-00000-of-00001.gz", "tfrecord"),
    ],
)
def test_the_ending_tells_the_format(name: str, kind: str) -> None:
    assert format_of([name, name]) == kind


def test_the_format_that_is_given_goes_before_the_ending() -> None:
    assert format_of(["a.txt", "b.parquet"], "csv") == "csv"


def test_an_ending_that_tells_no_format_is_wrong_usage() -> None:
    with pytest.raises(
        UsageError, match=r"a\.txt: its ending tells no format; say --format csv|parquet|tfrecord"
    ):
        format_of(["a.csv", "a.txt"])


def test_files_of_several_formats_are_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"a\.csv is csv, c\.pq is parquet; give all in one"):
        format_of(["a.csv", "b.csv", "c.pq"])


# CSV: one type a column


@pytest.mark.parametrize(
    ("train", "evaluation", "kind", "values"),
    [
        (["1", "?"], ["1", "2"], "string", (["1", "?"], ["1", "2"])),
        (["1", "2"], ["1", "?"], "string", (["1", "2"], ["1", "?"])),
        (["1", "2"], ["1", "2.5"], "double", ([1.0, 2.0], [1.0, 2.5])),
        (["1", ""], ["", "3"], "int64", ([1, None], [None, 3])),
        (["", ""], ["1.5", ""], "double", ([None, None], [1.5, None])),
        (["", ""], ["x", ""], "string", (["", ""], ["x", ""])),
        (["NA", "NA"], ["x", "NA"], "string", (["NA", "NA"], ["x", "NA"])),
        (["NA", "NA"], ["1", "NA"], "int64", ([None, None], [1, None])),
        (["true", "false"], ["true", "x"], "string", (["true", "false"], ["true", "x"])),
        (["true", "false"], ["1", "0"], "string", (["true", "false"], ["1", "0"])),
        (["2026-01-02", ""], ["2026-01-02", "soon"], "string", (["2026-01-02", ""], ["2026-01-02", "soon"])),
        (["2026-01-02"], ["2026-01-02 10:00:00"], "string", (["2026-01-02"], ["2026-01-02 10:00:00"])),
        (["2026"], ["2026-01-02"], "string", (["2026"], ["2026-01-02"])),
    ],
)
def test_a_column_has_one_type_in_both_splits(
    write: Write, train: list[str], evaluation: list[str], kind: str, values: tuple[list[Any], list[Any]]
) -> None:
    paths = [
        write(name, "n,a\n" + "".join(f"0,{value}\n" for value in side))
        for name, side in (("train.csv", train), ("eval.csv", evaluation))
    ]
    tables = read_tables(paths[:1], paths[1:], "csv")
    assert [str(table.schema.field("a").type).removeprefix("large_") for table in tables] == [kind, kind]
    assert tuple(table["a"].to_pylist() for table in tables) == values


def test_types_agree_over_the_files_of_a_split_too_whatever_the_order_of_columns(write: Write) -> None:
    paths = [
        write("0.csv", "a,b\n1,x\n"),
        write("1.csv", "b,a\n,2.5\n"),
        write("2.csv", "a,b\n3,7\n"),
    ]
    table = read_table(paths, "csv")
    assert table.to_pydict() == {"a": [1.0, 2.5, 3.0], "b": ["x", "", "7"]}


# Not "true", which Arrow takes for 1 in the same column, as Python does.
CELLS = st.sampled_from(["", "0", "1", "01", "1.0", "-2.5", "x", "?", "2026-01-02", "9007199254740993"])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.lists(CELLS, min_size=1, max_size=4), st.lists(CELLS, min_size=1, max_size=4))
def test_equal_cells_are_equal_values(write: Write, train: list[str], evaluation: list[str]) -> None:
    """And cells that differ differ, but for the ways in which a number or nothing can be written."""
    paths = [
        write(f"{name}.csv", "n,a\n" + "".join(f"0,{cell}\n" for cell in cells))
        for name, cells in (("train", train), ("eval", evaluation))
    ]
    first, second = (columns["a"] for columns in read(*paths))
    for one, here in zip(train, first):
        for two, there in zip(evaluation, second):
            if one == two:
                assert here == there
            elif one.strip("01.") or two.strip("01."):
                assert here != there, (one, two)


def test_numbers_too_long_for_a_number_type_stay_apart(write: Write) -> None:
    train = write("train.csv", "id,x\n18446744073709551616,1.5e20\n,2\n")
    evaluation = write("eval.csv", "id,x\n18446744073709551617,2.5e20\n7,1\n")
    first, second = read(train, evaluation)
    assert first == {"id": ["18446744073709551616", ""], "x": [1.5e20, 2.0]}
    assert second == {"id": ["18446744073709551617", "7"], "x": [2.5e20, 1.0]}


def test_a_column_can_be_asked_for_as_text(write: Write) -> None:
    path = write("a.csv", "day,n\n01022026,1\n")
    train, evaluation = read_tables([path], [path], "csv", texts=["day", "not there"])
    assert train.to_pydict() == evaluation.to_pydict() == {"day": ["01022026"], "n": [1]}


# CSV: what is well written is read


def test_quotes_line_breaks_and_a_byte_order_mark_are_read(write: Write) -> None:
    path = write("a.csv", '\ufeffname,"a, b"\r\n"x ""y"" z",1\r\n"two\r\nlines",2\r\n')
    assert read(path)[0] == {"name": ['x "y" z', "two\r\nlines"], "a, b": [1, 2]}


def test_no_row_is_lost_where_values_have_line_breaks_and_the_file_many_blocks(write: Write) -> None:
    rows = 60_000
    path = write("a.csv", "n,text\n" + "".join(f'{n},"line of\n{n}, and more of it"\n' for n in range(rows)))
    table = read_table([path], "csv")
    assert table["n"].to_pylist() == list(range(rows))
    assert table["text"][rows - 1].as_py() == f"line of\n{rows - 1}, and more of it"


def test_a_compressed_file_is_read_also_of_several_parts(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"))
    assert read(str(path))[0] == {"a": [1, 3], "b": [2, 4]}


def test_a_file_with_a_header_alone_is_no_harm_beside_others(write: Write) -> None:
    paths = [write("0.csv", "a,b\n"), write("1.csv", "a,b\n1,x\n")]
    assert read_table(paths, "csv").to_pydict() == {"a": [1], "b": ["x"]}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.tuples(st.integers(-9, 9), st.text('ab,"\n x', max_size=5)), min_size=1))
def test_the_same_is_read_as_pandas_reads(write: Write, rows: list[tuple[int, str]]) -> None:
    frame = pd.DataFrame(rows, columns=["n", "text"])
    path = write("a.csv", frame.to_csv(index=False, quoting=1))
    other = pd.read_csv(path, keep_default_na=False, dtype={"text": str})
    table = read_tables([path], [path], "csv", texts=["text"])[0]
    assert table.to_pydict() == other.to_dict("list")


# CSV: what is not is told


SECRET = "Jane Doe"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            f"a,b\n1,2\n3,4\n5,{SECRET},6\n7,8\n",
            "row 4 .the header is row 1. has 3 columns, the header has 2;",
        ),
        (f"a,b\n1,2\n{SECRET}\n", "row 3 .the header is row 1. has 1 columns, the header has 2;"),
        (f"a,b\n1,2\n3,{SECRET} \xe9\n".encode("latin1"), r"line 3 is not UTF-8 \(byte 12 of it\); convert"),
        ("\xe9,b\n1,2\n".encode("latin1"), "line 1 is not UTF-8"),
        (b"a,b\n1,x\n" + b"?,\xff\n", "line 3 is not UTF-8"),
        (f"a,b\n1,{SECRET}\n".encode("utf-16"), "has zero bytes in its header, as UTF-16 has"),
        ("a,b\n", "no rows; give a file"),
        ("a,b", "no rows; give a file"),
        ("\n\n", "no header; the first line should name the columns"),
        ("a,b,a\n1,2,3\n", "two columns are named 'a'; rename one"),
        (",a\n0,1\n", "column 1 has no name; name it, or leave it out if it only numbers"),
        ("a;b\n1;2\n", "its columns are separated by semicolons; separate them by commas"),
        ("a\tb\n1\t2\n", "its columns are separated by tabs"),
        (f'a,b\n1,"{SECRET}\n' + "3,4\n" * 900_000, "a quote is opened and not closed"),
    ],
    ids=range(14),
)
def test_a_bad_file_is_told_with_its_place_and_without_its_content(
    write: Write, content: str | bytes, told: str
) -> None:
    good, bad = write("good.csv", "a,b\n1,2\n"), write("bad.csv", content)
    with pytest.raises(InputError, match=rf"bad\.csv: ({told})") as error:
        read_tables([good], [bad], "csv")
    assert SECRET not in str(error.value)


def test_a_row_that_does_not_fit_is_found_behind_others_of_several_lines(write: Write) -> None:
    path = write("a.csv", "a,b\n" + '1,"x\ny"\n' * 200_000 + "7\n" + "1,2\n" * 10)
    with pytest.raises(InputError, match=r"row 200002 \(the header is row 1\) has 1 columns"):
        read_table([path], "csv")


def test_a_compressed_file_that_is_cut_off_or_not_compressed_is_told(tmp_path: Path) -> None:
    text = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(50_000))
    cut, plain = tmp_path / "cut.csv.gz", tmp_path / "plain.csv.gz"
    cut.write_bytes(gzip.compress(text)[:-100])
    plain.write_bytes(text)
    for path in (cut, plain):
        with pytest.raises(InputError, match=rf"{path.name}: cannot be read.*copy or make it anew"):
            read_table([str(path)], "csv")


def test_files_of_a_split_with_different_columns_are_told(write: Write) -> None:
    paths = [write("0.csv", "a,b\n1,2\n"), write("1.csv", "a,c\n1,2\n")]
    with pytest.raises(InputError, match=r"1\.csv and .*0\.csv have different columns: only one has b, c;"):
        read_table(paths, "csv")


# Parquet


def test_parquet_is_read_with_its_types(write: Write) -> None:
    table = pa.table({"a": pa.array([1, None], pa.int8()), "b": ["x", ""], "c": [[1], []]})
    first, second = read_tables([write("a.parquet", table)], [write("b.pq", table)], "parquet")
    assert first.equals(table)
    assert second.equals(table)


def test_parquet_files_of_near_types_become_one(write: Write) -> None:
    encoded = pa.array(["x", "y"]).dictionary_encode()
    paths = [
        write("0.parquet", {"a": pa.array([1], pa.int8()), "b": ["x"], "c": [1], "d": pa.nulls(1)}),
        write("1.parquet", {"a": pa.array([2, 3]), "b": encoded, "c": [0.5, 2**53 + 1.0], "d": ["", None]}),
    ]
    for order in (paths, paths[::-1]):
        table = read_table(order, "parquet")
        assert [str(kind) for kind in table.schema.types] == ["int64", "string", "double", "string"]
        assert sorted(table["a"].to_pylist()) == [1, 2, 3]


def test_splits_of_parquet_keep_their_types(write: Write) -> None:
    """Whether they can be compared is not for the reader to say."""
    train, evaluation = {"a": pa.array([1], pa.timestamp("ms"))}, {"a": pa.array([1], pa.date32())}
    first, second = read_tables([write("0.parquet", train)], [write("1.parquet", evaluation)], "parquet")
    assert [first["a"].type, second["a"].type] == [pa.timestamp("ms"), pa.date32()]


def test_whole_numbers_beside_floats_are_rounded_and_not_refused(write: Write) -> None:
    paths = [write("0.parquet", {"a": [2**53 + 1]}), write("1.parquet", {"a": [0.5]})]
    assert read_table(paths, "parquet").to_pydict() == {"a": [2.0**53, 0.5]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1], ["x"]),
        ([1.0], pa.array([1.0], pa.float32())),
        ([1], pa.array([1], pa.uint64())),
        ([True], [1]),
    ],
)
def test_parquet_files_of_types_that_do_not_fit_are_told(write: Write, one: Any, other: Any) -> None:
    paths = [write("0.parquet", {"a": one}), write("1.parquet", {"a": other})]
    with pytest.raises(
        InputError, match=r"column 'a' is .* in .*0\.parquet, .* in .*1\.parquet; equal values"
    ):
        read_table(paths, "parquet")


def test_the_index_of_pandas_is_no_column(tmp_path: Path) -> None:
    """With the row numbers that a shuffled frame leaves behind no two rows would be equal."""
    frame = pd.DataFrame({"a": [1, 2, 3], "__index_level_9__": [0, 0, 0]}).iloc[[2, 0, 1]]
    path = str(tmp_path / "a.parquet")
    frame.to_parquet(path)
    assert "__index_level_0__" in parquet.read_schema(path).names
    assert read_table([path], "parquet").column_names == ["a", "__index_level_9__"]
    named = str(tmp_path / "b.parquet")
    frame[["a"]].rename_axis("patient").to_parquet(named)
    assert read_table([named], "parquet").column_names == ["a", "patient"]


def test_a_folder_named_as_a_partition_makes_no_column(write: Write) -> None:
    """A column that tells the splits apart would hide every copy."""
    paths = [write(f"split={name}/a.parquet", {"a": [1]}) for name in ("train", "eval")]
    assert read(*paths, kind="parquet") == [{"a": [1]}, {"a": [1]}]


def test_parquet_that_is_cut_off_or_none_is_told(write: Write, tmp_path: Path) -> None:
    whole = Path(write("a.parquet", {"a": list(range(1000))})).read_bytes()
    for name, content in (("cut.parquet", whole[:-50]), ("none.parquet", b"a,b\n1,2\n")):
        with pytest.raises(InputError, match=rf"{name}: not a whole Parquet file .*; copy or make it anew"):
            read_table([write(name, content)], "parquet")


def test_parquet_without_rows_or_with_a_name_twice_is_told(write: Write) -> None:
    with pytest.raises(InputError, match=r"a\.parquet: no rows; give a file that has some"):
        read_table([write("a.parquet", {"a": pa.array([], pa.int64())})], "parquet")
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(InputError, match=r"b\.parquet: two columns are named 'a'"):
        read_table([write("b.parquet", twice)], "parquet")


def test_the_same_data_are_the_same_table_from_every_format(write: Write) -> None:
    text = "a,b,c\n1,x,0.5\n,y,1.5\n"
    tables = [
        read_table([write("a.csv", text)], "csv"),
        read_table([write("a.csv.gz", text)], "csv"),
        read_table([write("a.parquet", {"a": [1, None], "b": ["x", "y"], "c": [0.5, 1.5]})], "parquet"),
    ]
    assert all(table.equals(tables[0]) for table in tables)


# Memory


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_the_estimate_is_near_the_size_of_the_table(write: Write, name: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "digit": rng.integers(0, 9, 100_000),
            "real": rng.normal(size=100_000),
            "word": rng.choice(["Private", "Self-employed", "?"], 100_000),
        }
    )
    content = pa.Table.from_pandas(frame) if name.endswith("parquet") else frame.to_csv(index=False)
    path = write(name, content)
    kind = format_of([path])
    size = read_table([path], kind).nbytes / 1e6
    assert 0.8 * size < estimate_mb([path], kind) < 1.3 * size + 1
    assert estimate_mb([path, path], kind) > 1.8 * size


def test_a_file_that_cannot_be_read_counts_as_nothing(write: Write) -> None:
    paths = [write("a.parquet", b"none"), write("b.parquet", {"a": pa.array([], pa.int64())})]
    assert estimate_mb(paths, "parquet") == 1
    (bad := Path(write("a.csv.gz", "a\n"))).write_bytes(b"none")
    assert estimate_mb([str(bad), write("b.csv", "")], "csv") == 1


def test_metadata_of_others_do_not_disturb(write: Write) -> None:
    table = pa.table({"a": [1]}).replace_schema_metadata(
        {"pandas": json.dumps({"index_columns": [{"kind": "range"}]})}
    )
    assert read_table([write("a.parquet", table)], "parquet").column_names == ["a"]
