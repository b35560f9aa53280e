"""``tfx-trust leakage`` as a user calls it, on plain files."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet
import pytest
from calls import HEAVY, Call, modules_after, write_csv

from tfx_trust.components import LeakageReport
from tfx_trust.pipelines.census import data

LABEL = data.LABEL


LeakageCall = Call[LeakageReport]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> LeakageCall:
    """Calls ``tfx-trust leakage`` in this process, in a folder of its own."""
    return Call("leakage", LeakageReport, monkeypatch, capsys, tmp_path)


@pytest.fixture(scope="module")
def census(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both splits of the census data as folders of CSV, compressed CSV and Parquet."""
    folder = data.prepare(tmp_path_factory.mktemp("census"))
    for split in ("train", "eval"):
        source = folder / split / "adult.csv"
        for kind in ("gz", "parquet"):
            (folder / f"{split}-{kind}").mkdir()
        (folder / f"{split}-gz" / "adult.csv.gz").write_bytes(gzip.compress(source.read_bytes(), 1))
        # In two files, the second with a column more narrow than the first.
        table = arrow_csv.read_csv(source)
        parquet.write_table(table.slice(0, 10_000), folder / f"{split}-parquet" / "0.parquet")
        rest = table.slice(10_000)
        index = rest.column_names.index("age")
        rest = rest.set_column(index, "age", rest["age"].cast(pa.int8()))
        parquet.write_table(rest, folder / f"{split}-parquet" / "1.parquet")
    return folder


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """Two files without leakage: 200 and 100 different rows."""
    return write_small(tmp_path / "train.csv", 0, 200), write_small(tmp_path / "eval.csv", 200, 100)


def write_small(path: Path, first: int, rows: int, **further: list[Any]) -> Path:
    rng = np.random.default_rng(first)
    return write_csv(
        path,
        {
            "id": [f"person {number}" for number in range(first, first + rows)],
            "age": rng.integers(18, 90, rows).tolist(),
            "income": rng.normal(size=rows).round(6).tolist(),
            "sick": rng.integers(0, 2, rows).tolist(),
            **further,
        },
    )


# Known answers


@pytest.mark.parametrize("kind", ["", "-gz", "-parquet"])
def test_the_overlap_of_the_census_data_is_the_known_one_in_every_format(
    call: LeakageCall, census: Path, kind: str
) -> None:
    columns = [name for name in data.COLUMNS if name != data.WEIGHT]
    done = call(
        *(census / f"train{kind}", census / f"eval{kind}"),
        *("--label", LABEL, "--weight", data.WEIGHT, "--key", f"unweighted+label={','.join(columns)}"),
        *("--json", "-"),
    )
    assert done.status == 0
    assert done.err == ""
    report = done.report
    assert report.leakage.examples == {"train": 32_561, "eval": 16_281}
    counted = {
        item.key: (
            tuple(item.distinct.values()),
            item.keys_in_both,
            item.eval_in_train,
            item.train_in_eval,
            tuple(item.surplus.values()),
        )
        for item in report.leakage.overlap
    }
    assert counted == {
        "features+label": ((32_537, 16_276), 23, 23, 25, (24, 5)),
        "features": ((32_536, 16_275), 26, 26, 28, (25, 6)),
        "features-excluded": ((28_492, 15_032), 2_085, 2_979, 4_311, (4_069, 1_249)),
        "unweighted+label": ((29_096, 15_259), 1_887, 2_586, 3_658, (3_465, 1_022)),
    }
    conflicts = {
        (item.key, item.scope): (item.groups, item.examples, item.minority)
        for item in report.leakage.conflicts
    }
    assert conflicts == {
        ("features", "train"): (1, 2, 1),
        ("features", "eval"): (1, 2, 1),
        ("features", "all"): (5, 10, 5),
        ("features-excluded", "train"): (604, 2_123, 768),
        ("features-excluded", "eval"): (227, 686, 265),
        ("features-excluded", "all"): (1_029, 3_873, 1_380),
    }
    inputs = {name: [Path(item.uri).parent for item in items] for name, items in report.inputs.items()}
    assert {name: set(folders) for name, folders in inputs.items()} == {
        "train": {census / f"train{kind}"},
        "eval": {census / f"eval{kind}"},
    }


@pytest.mark.slow
def test_tfrecords_tell_the_same_as_csv(call: LeakageCall, census: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    from tfx_trust import schemas

    def feature(value: str | int) -> tf.train.Feature:
        if isinstance(value, str):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    for split in ("train", "eval"):
        table = arrow_csv.read_csv(census / split / "adult.csv").slice(0, 2_000)
        # So that there is something to be found.
        table = pa.concat_tables([table, table.slice(0, 100)])
        arrow_csv.write_csv(table, tmp_path / f"{split}.csv")
        with tf.io.TFRecordWriter(str(tmp_path / f"{split}.tfrecord.gz"), "GZIP") as writer:
            for row in table.to_pylist():
                features = tf.train.Features(feature={name: feature(row[name]) for name in row})
                writer.write(tf.train.Example(features=features).SerializeToString())
    arguments = ("--label", LABEL, "--exclude", data.WEIGHT, "--json", "-")
    plain = call("train.csv", "eval.csv", *arguments).report.leakage
    for further in ((), ("--schema", schemas.path("census.pbtxt"))):
        done = call("train.tfrecord.gz", "eval.tfrecord.gz", *arguments, *further)
        found = done.report.leakage
        assert [item.eval_in_train for item in found.overlap] == [
            item.eval_in_train for item in plain.overlap
        ]
        assert [item.surplus for item in found.overlap] == [item.surplus for item in plain.overlap]
        assert all(item.surplus["train"] >= 100 for item in found.overlap)
        assert found.conflicts == plain.conflicts


# The verdict


def test_copies_fail_with_status_3_and_are_told_with_a_remedy(
    call: LeakageCall, small: tuple[Path, Path], tmp_path: Path
) -> None:
    train, evaluation = small
    lines = train.read_text().splitlines(keepends=True)
    with evaluation.open("a") as file:
        file.writelines(lines[1:41])
    done = call(train, evaluation, "--label", "sick", "--json", "out.json", "--html", "out.html")
    assert done.status == 3
    said = done.out.splitlines()
    assert said[0].startswith("fail: Something was found that must be mended first")
    assert any(line.startswith("fail ") and "40 of 140 eval examples" in line for line in said)
    assert any(line.startswith("      What to do: ") for line in said)
    assert said[-3:] == ["200 train and 140 eval examples", "report  out.json", "page    out.html"]
    assert done.err == ""
    assert "\x1b" not in done.out
    report = LeakageReport.load(tmp_path / "out.json")
    assert str(report.verdict) == "fail"
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "40 of 140 eval examples" in page
    assert "person 1" not in page + report.to_json() + done.out


def test_the_same_person_on_both_sides_fails_and_on_one_side_does_not(
    call: LeakageCall, small: tuple[Path, Path]
) -> None:
    train, evaluation = small
    arguments = ("--label", "sick", "--group", "id", "--json", "-")
    assert call(train, evaluation, *arguments).status == 0
    text = evaluation.read_text().replace("person 200,", "person 7,")
    evaluation.write_text(text)
    done = call(train, evaluation, *arguments)
    assert done.status == 3
    assert [item.eval_in_train for item in done.report.leakage.entities] == [1]


def test_what_could_not_be_checked_is_status_4(
    call: LeakageCall, small: tuple[Path, Path], tmp_path: Path
) -> None:
    for path in small:
        table = arrow_csv.read_csv(path)
        # One row has no entity.
        entities = pa.array([None, *table["id"].to_pylist()[1:]])
        parquet.write_table(table.set_column(0, "id", entities), path.with_suffix(".parquet"))
    done = call("train.parquet", "eval.parquet", "--label", "sick", "--group", "id", "--json", "-")
    assert done.status == 4
    assert done.report.leakage.entities[0].missing == {"train": 1, "eval": 1}


# Scores


def test_the_score_says_how_much_of_it_was_leakage_and_is_no_feature(
    call: LeakageCall, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    train = write_small(tmp_path / "train.csv", 0, 200, risk=rng.random(200).tolist())
    plain = write_small(tmp_path / "plain.csv", 200, 100)
    scores = rng.random(160).round(4)
    copies = train.read_text().splitlines()[1:61]
    rows = [*plain.read_text().splitlines()[1:], *(line.rpartition(",")[0] for line in copies)]
    with (tmp_path / "eval.csv").open("w") as file:
        file.write("id,age,income,sick,risk\n")
        file.writelines(f"{row},{score}\n" for row, score in zip(rows, scores))
    within = call(train, "eval.csv", "--label", "sick", "--score", "risk", "--json", "-").report
    (told,) = [item for item in within.leakage.consequence if item.key == "features"]
    assert (told.metric, told.leaked, told.clean) == ("auc", 60, 100)
    assert all("risk" not in item.columns for item in within.leakage.overlap)

    (tmp_path / "rows.csv").write_text("id,age,income,sick\n" + "".join(f"{row}\n" for row in rows))
    (tmp_path / "cut.csv").write_text(
        "".join(f"{line.rpartition(',')[0]}\n" for line in train.read_text().splitlines())
    )
    write_csv(tmp_path / "scores.csv", {"n": list(range(160)), "risk": scores.tolist()})
    write_csv(tmp_path / "only.csv", {"p": scores.tolist()})
    for further in (("scores.csv", "--score", "risk"), ("only.csv",)):
        beside = call(
            "cut.csv", "rows.csv", "--label", "sick", "--json", "-", "--predictions", *further
        ).report
        assert beside.leakage.consequence == within.leakage.consequence


# Settings and options


def test_options_go_before_the_settings_file(
    call: LeakageCall, small: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = {"label": "id", "exclude": ["age"], "shown": 0, "keys": {"old": ["age"]}, "near": 0}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    done = call(
        *small,
        *("--settings", "settings.json", "--label", "sick", "--exclude", "id", "--exclude", "income"),
        *("--key", "both=age,income", "--json", "-"),
    )
    found = done.report.settings
    assert (found["label"], found["exclude"], found["keys"]) == (
        "sick",
        ["id", "income"],
        {"both": ["age", "income"]},
    )
    assert (found["shown"], found["near"]) == (0, 0)


def test_features_that_are_named_are_the_ones_that_are_compared(
    call: LeakageCall, small: tuple[Path, Path]
) -> None:
    done = call(*small, "--label", "sick", "--feature", "age", "--feature", "income", "--json", "-")
    columns = {item.key: item.columns for item in done.report.leakage.overlap}
    assert columns["features"] == ["age", "income"]


def test_a_time_of_a_format_of_its_own_is_read_by_that_format(call: LeakageCall, tmp_path: Path) -> None:
    """As numbers, 1 February 2026 would come before 31 January 2026."""
    days = [f"{day:02}01{year}" for year in (2024, 2025) for day in range(1, 29)]
    train = write_small(tmp_path / "train.csv", 0, 56, day=days)
    evaluation = write_small(tmp_path / "eval.csv", 56, 56, day=["01022026"] * 56)
    done = call(
        *(train, evaluation, "--label", "sick", "--time", "day", "--time-format", "%d%m%Y", "--json", "-")
    )
    assert done.report.leakage.time is not None
    assert done.report.leakage.time.first == {"train": "2024-01-01", "eval": "2026-02-01"}
    assert done.report.leakage.time.late_train == 0


def test_a_format_that_is_given_is_taken_for_any_ending(call: LeakageCall, small: tuple[Path, Path]) -> None:
    paths = [path.rename(path.with_suffix(".txt")) for path in small]
    assert call(*paths, "--label", "sick", "--format", "csv").status == 0


# What is wrong is told


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ((), 2, "no label: name its column by --label"),
        (("--label", "sik"), 2, "unknown label 'sik': known are age, id, income, sick; did you mean 'sick'?"),
        (("--label", "sick", "--exclude", "idd"), 2, "unknown column to exclude 'idd'.* mean 'id'?"),
        (("--label", "sick", "--group", "idd"), 2, "unknown group feature 'idd'.* mean 'id'?"),
        (("--label", "sick", "--time", "agee"), 2, "unknown time feature 'agee'.* mean 'age'?"),
        (("--label", "sick", "--weight", "agee"), 2, "unknown weight feature 'agee'.* mean 'age'?"),
        (("--label", "sick", "--feature", "agee"), 2, "unknown column 'agee'.* mean 'age'?"),
        (
            ("--label", "sick", "--key", "k=age,incom"),
            2,
            "unknown column of key 'k' 'incom'.* mean 'income'?",
        ),
        (
            ("--label", "sick", "--score", "agee"),
            2,
            "unknown score column of .*eval.csv 'agee'.* mean 'age'?",
        ),
        (("--label", "sick", "--score", "sick"), 2, "--score 'sick' is the label"),
        (("--label", "sick", "--key", "age"), 2, "--key 'age': expected NAME=F,F"),
        (("--label", "sick", "--key", "features=age"), 2, "'features' is built in; choose another name"),
        (("--label", "sick", "--schema", "a.pbtxt"), 2, "--schema is for TFRecords"),
        (("--label", "sick", "--settings", "none.json"), 2, "none.json: cannot be read"),
        (("--label", "sick", "--settings", "list.json"), 2, "list.json: settings are names and values"),
        (("--label", "sick", "--settings", "bad.json"), 2, "bad.json: no JSON"),
        (("--settings", "misspelt.json"), 2, "unknown setting of LeakageSettings 'labl'.* mean 'label'?"),
        (("--label", "sick", "--settings", "odd.json"), 2, "unknown setting of LeakageSettings 'agee'"),
        (("--settings", "keys.json"), 2, "LeakageSettings: keys: .*dictionary"),
        (("--settings", "beam.json"), 2, "driver 'beam' is for TFRecords"),
        (("--label", "sick", "--json", "nowhere/a.json"), 2, "nowhere/a.json: no such folder to write to"),
        (("--label", "sick", "--html", "."), 2, "is a folder; name a file to write"),
        (("--label", "sick", "--predictions", "none.csv"), 1, "none.csv: no such file"),
        (("--label", "sick", "--predictions", "two.csv"), 2, "two.csv: has a, b; name the score's column"),
        (("--label", "sick", "--predictions", "short.csv"), 2, "1 scores for 100 eval rows; give one a row"),
        (("--label", "sick", "--format", "xls"), 2, "'xls' is not one of 'csv', 'parquet', 'tfrecord'"),
        (("--label", "sick", "--format", "parquet"), 1, "train.csv: not a whole Parquet file"),
    ],
)
def test_wrong_usage_and_bad_input_are_told_in_one_line(
    call: LeakageCall,
    small: tuple[Path, Path],
    tmp_path: Path,
    arguments: tuple[str, ...],
    status: int,
    told: str,
) -> None:
    for name, text in {
        "list.json": "[]",
        "bad.json": "{",
        "misspelt.json": '{"labl": "sick"}',
        "odd.json": '{"agee": 1}',
        "keys.json": '{"label": "sick", "keys": ["age"]}',
        "beam.json": '{"label": "sick", "driver": "beam"}',
        "two.csv": "a,b\n1,2\n",
        "short.csv": "a\n1\n",
    }.items():
        (tmp_path / name).write_text(text)
    done = call(*small, *arguments)
    assert done.status == status, done
    assert done.out == ""
    last = done.err.splitlines()[-1]
    assert re.search(told, last), last
    assert "Traceback" not in done.err


def test_files_beyond_the_memory_limit_are_refused_unless_they_are_to_be_read_here(
    call: LeakageCall, tmp_path: Path
) -> None:
    rows = 20_000
    wide = {f"text {n}": ["some words that take room" + "." * 200] * rows for n in range(15)}
    label = {"sick": [0, 1] * (rows // 2)}
    parquet.write_table(pa.table({**wide, **label}), tmp_path / "a.parquet")
    settings = {"label": "sick", "memory_limit_mb": 64}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    done = call("a.parquet", "a.parquet", "--settings", "settings.json")
    assert done.status == 1
    assert "MB in memory, the limit is 64 MB; raise memory_limit_mb" in done.err
    (tmp_path / "settings.json").write_text(json.dumps({**settings, "driver": "in_process", "near": 0}))
    assert call("a.parquet", "a.parquet", "--settings", "settings.json").status == 3


def test_scores_of_tfrecords_need_a_file_of_their_own(call: LeakageCall, tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").write_bytes(b"x")
    done = call("a.tfrecord", "a.tfrecord", "--label", "sick", "--score", "risk")
    assert done.status == 2
    assert "--score of TFRecords needs --predictions FILE" in done.err


# Quick and quiet


def test_plain_files_load_no_tensorflow(small: tuple[Path, Path], tmp_path: Path) -> None:
    for path in small:
        parquet.write_table(arrow_csv.read_csv(path), path.with_suffix(".parquet"))
    for ending in ("csv", "parquet"):
        names = (f"train.{ending}", f"eval.{ending}")
        loaded = modules_after(tmp_path, "leakage", *names, "--label", "sick", "--json", "-")
        assert "pyarrow" in loaded
        assert not loaded.intersection(HEAVY)


def test_help_loads_nothing_that_takes_time(tmp_path: Path) -> None:
    loaded = modules_after(tmp_path, "leakage", "--help")
    assert not loaded.intersection((*HEAVY, "numpy", "pyarrow", "altair", "jinja2"))


def test_a_label_that_one_file_alone_has_is_told_as_the_label(call: LeakageCall, tmp_path: Path) -> None:
    train = write_small(tmp_path / "train.csv", 0, 50)
    evaluation = write_csv(tmp_path / "eval.csv", {"age": list(range(20))})
    done = call(train, evaluation, "--label", "sick")
    assert done.status == 1
    assert "the eval split has no column 'sick', the label; give labelled examples" in done.err


def test_an_empty_cell_names_nobody_and_is_not_passed_over(call: LeakageCall, tmp_path: Path) -> None:
    sides = [
        write_small(tmp_path / f"{name}.csv", first, 60, who=[*people, ""])
        for name, first, people in (
            ("train", 0, [f"a{n}" for n in range(59)]),
            ("eval", 60, [f"b{n}" for n in range(59)]),
        )
    ]
    done = call(*sides, "--label", "sick", "--group", "who", "--json", "-")
    assert done.status == 4
    (met,) = done.report.leakage.entities
    assert (met.entities_in_both, met.missing) == (0, {"train": 1, "eval": 1})
