"""``tfx-trust fairness`` as a user calls it, on plain files."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from calls import HEAVY, Call, modules_after, write_csv

from tfx_trust.components.fairness.report import FairnessReport

FairnessCall = Call[FairnessReport]
Rows = list[dict[str, Any]]

# Examples by sex, label and decision. Women without the condition are told that they have it four times as
# often as men; with it, both are found out equally often.
CELLS = {
    ("M", 0): (400, 40),
    ("M", 1): (200, 160),
    ("F", 0): (400, 160),
    ("F", 1): (200, 160),
}
FAIR = {**CELLS, ("F", 0): (400, 40)}
FEW = {group: (count // 20, positive // 20) for group, (count, positive) in CELLS.items()}
BASIC = ("--label", "sick", "--score", "risk", "--slice", "sex")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> FairnessCall:
    """Calls ``tfx-trust fairness`` in this process, in a folder of its own."""
    return Call("fairness", FairnessReport, monkeypatch, capsys, tmp_path)


def rows_of(cells: dict[tuple[str, int], tuple[int, int]]) -> Rows:
    """Examples with so many of each group, and of these so many decided positive.

    Scores are multiples of 1/64: a tf.Example holds them as they are.
    """
    rows = []
    for (sex, sick), (count, positive) in cells.items():
        for number in range(count):
            decided = int(number < positive)
            rows.append(
                {
                    "sex": sex,
                    "town": ["north", "south", ""][number % 3],
                    "age": 20 + number % 50,
                    "weight": 1.0 + number % 2,
                    "sick": sick,
                    "risk": (32 * decided + number % 32) / 64,
                    "said": decided,
                    "before": int(number % 3 == 0),
                }
            )
    return rows


def columns_of(rows: Rows) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.fixture
def unfair(tmp_path: Path) -> Path:
    """Predictions with a known gap, as CSV."""
    return write_csv(tmp_path / "unfair.csv", columns_of(rows_of(CELLS)))


@pytest.fixture
def fair(tmp_path: Path) -> Path:
    """Predictions without a gap, as CSV."""
    return write_csv(tmp_path / "fair.csv", columns_of(rows_of(FAIR)))


def rates(report: FairnessReport, metric: str) -> dict[str, tuple[float | None, int]]:
    """Value and denominator of a metric by sex; ``""`` is everyone."""
    return {
        item.slice.get("sex", ""): (item.metrics[metric].value, item.metrics[metric].count)
        for item in report.fairness.slices
        if set(item.slice) <= {"sex"}
    }


# Known answers


def test_rates_are_those_that_were_put_in(call: FairnessCall, unfair: Path) -> None:
    done = call(unfair, *BASIC, "--json", "-")
    assert done.status == 3
    assert done.err == ""
    report = done.report
    assert rates(report, "false_positive_rate") == {"": (0.25, 800), "F": (0.4, 400), "M": (0.1, 400)}
    assert rates(report, "true_positive_rate") == {"": (0.8, 400), "F": (0.8, 200), "M": (0.8, 200)}
    section = report.fairness
    assert (section.examples, section.threshold, section.compare) == (1200, 0.5, ">=")
    failed = {(gap.metric, gap.slice["sex"]): gap.value for gap in section.gaps if gap.verdict == "fail"}
    assert failed == pytest.approx(
        {("false_positive_rate", "F"): 0.3, ("false_positive_rate", "M"): -0.3}, abs=1e-12
    )
    assert [item.uri for item in report.inputs["predictions"]] == [str(unfair)]


def test_every_format_gives_the_same_report(call: FairnessCall, unfair: Path, tmp_path: Path) -> None:
    from leaky import write_rows

    rows = rows_of(CELLS)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(unfair.read_bytes()))
    parquet.write_table(pa.table(columns_of(rows)), tmp_path / "a.parquet")
    # As a schema would not have it, and in several files.
    absent = [{name: None if value == "" else value for name, value in row.items()} for row in rows]
    write_rows(tmp_path / "a.tfrecord.gz", absent)
    for number, part in enumerate((rows[:500], rows[500:])):
        write_rows(tmp_path / "parts" / f"part-{number}.tfrecord", part)
    (tmp_path / "s.pbtxt").write_text('feature { name: "sex" type: BYTES } feature { name: "age" type: INT }')
    options = (
        *(*BASIC, "--slice", "town", "--cross", "2", "--slice", "age", "--bucket", "age=30,50"),
        *("--reference", "sex=M", "--weight", "weight", "--baseline-prediction", "before"),
        *("--threshold", "0.5", "--threshold", "0.25", "--json", "-"),
    )
    expected = call(unfair, *options)
    assert expected.status == 3
    missing = [item for item in expected.report.fairness.slices if item.slice == {"town": "(missing)"}]
    assert [item.examples for item in missing] == [398]
    for files, further in (
        ("a.csv.gz", ()),
        ("a.parquet", ()),
        ("a.tfrecord.gz", ()),
        ("parts", ("--format", "tfrecord")),
    ):
        done = call(files, *options, *further)
        assert done.err == ""
        assert done.status == 3
        assert done.report.fairness == expected.report.fairness, files
        assert done.report.findings == expected.report.findings, files
    # A schema says which features are looked at; others come in where an option names them.
    few = (*BASIC, "--discover", "age", "--bucket", "age=30,50", "--json", "-")
    plain = call("a.tfrecord.gz", *few).report.fairness
    assert plain.discovery is not None
    assert plain.discovery.features == ["age"]
    assert call("a.tfrecord.gz", *few, "--schema", "s.pbtxt").report.fairness == plain


def test_a_feature_with_several_values_is_not_searched_and_told(call: FairnessCall, tmp_path: Path) -> None:
    from leaky import write_rows

    rows = [{**row, "tags": ["a", "b"]} for row in rows_of(CELLS)]
    path = write_rows(tmp_path / "a.tfrecord", rows)
    discovery = call(path, *BASIC, "--json", "-").report.fairness.discovery
    assert discovery is not None
    assert discovery.skipped["tags"] == "several values in an example"
    done = call(path, *BASIC, "--slice", "tags")
    assert done.status == 1
    assert "a.tfrecord: feature 'tags' has several values in record 0" in done.err


# The verdict


def test_a_gap_fails_with_status_3_and_is_told_with_a_remedy(
    call: FairnessCall, unfair: Path, tmp_path: Path
) -> None:
    done = call(unfair, *BASIC, "--no-discovery", "--json", "out.json", "--html", "out.html")
    assert done.status == 3
    said = done.out.splitlines()
    assert said[0].startswith("fail: Something was found that must be mended first")
    assert any(line.startswith("fail ") and "sex=F" in line for line in said)
    assert any(line.startswith("      What to do: ") for line in said)
    assert said[-3:] == [
        "1,200 examples, 2 slices, 4 gaps judged",
        "report  out.json",
        "page    out.html",
    ]
    assert done.err == ""
    assert "\x1b" not in done.out
    report = FairnessReport.load(tmp_path / "out.json")
    assert str(report.verdict) == "fail"
    assert "FairnessEvaluator" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_equal_rates_pass(call: FairnessCall, tmp_path: Path) -> None:
    plenty = {group: (count * 10, positive * 10) for group, (count, positive) in FAIR.items()}
    path = write_csv(tmp_path / "a.csv", columns_of(rows_of(plenty)))
    done = call(path, *BASIC, "--no-discovery", "--json", "-")
    assert done.status == 0
    assert str(done.report.verdict) == "pass"
    assert {gap.verdict for gap in done.report.fairness.gaps} == {"pass", "not_judged"}


def test_groups_of_which_none_is_large_enough_to_judge_are_status_4(
    call: FairnessCall, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "few.csv", columns_of(rows_of(FEW)))
    done = call(path, *BASIC, "--json", "-")
    assert done.status == 4
    assert str(done.report.verdict) == "not_run"
    # Where fewer examples are enough they are judged.
    (tmp_path / "few.json").write_text(json.dumps({"min_count": 1, "on_inconclusive": "block"}))
    done = call(path, *BASIC, "--settings", "few.json", "--json", "-")
    assert done.status == 4
    assert str(done.report.verdict) == "inconclusive"


# Options


def test_decisions_that_are_given_are_those_that_are_judged(call: FairnessCall, unfair: Path) -> None:
    by_score = call(unfair, *BASIC, "--json", "-").report
    arguments = ("--label", "sick", "--prediction", "said", "--slice", "sex")
    by_decision = call(unfair, *arguments, "--json", "-").report
    for metric in ("false_positive_rate", "true_positive_rate", "precision"):
        assert rates(by_decision, metric) == rates(by_score, metric)
    assert by_decision.fairness.threshold is None


def test_a_score_equal_to_the_threshold_is_decided_as_compare_says(call: FairnessCall, unfair: Path) -> None:
    """Of 5 women in 160 that are decided positive the score is the threshold itself."""
    found = {}
    for compare in (">=", ">"):
        report = call(unfair, *BASIC, "--compare", compare, "--json", "-").report
        found[compare] = rates(report, "false_positive_rate")["F"][0]
        assert report.fairness.compare == compare
    assert found == {">=": 160 / 400, ">": 155 / 400}


def test_the_first_threshold_is_judged_and_all_are_told(call: FairnessCall, unfair: Path) -> None:
    report = call(unfair, *BASIC, "--threshold", "0.75", "--threshold", "0.5", "--json", "-").report
    assert report.fairness.threshold == 0.75
    women = next(item for item in report.fairness.slices if item.slice == {"sex": "F"})
    told = {item.threshold: item.metrics["false_positive_rate"].value for item in women.thresholds}
    assert told == {0.5: 0.4, 0.75: 0.2}
    assert women.metrics["false_positive_rate"].value == 0.2


def test_options_are_the_settings_that_they_name(call: FairnessCall, unfair: Path) -> None:
    done = call(
        *(unfair, *BASIC, "--slice", "town,sex", "--slice", "age", "--cross", "2", "--weight", "weight"),
        *("--bucket", "age=40,", "--reference", "sex=M", "--positive", "1", "--discover", "town"),
        *("--tolerance", "selection_rate:ratio=0.8", "--tolerance", "auc=0.2", "--json", "-"),
    )
    settings = done.report.settings
    expected = {
        "label": "sick",
        "positive": "1",
        "weight": "weight",
        "slices": [["sex"], ["town", "sex"], ["age"]],
        "cross": 2,
        "buckets": {"age": [40.0]},
        "reference": {"sex": "M"},
        "discover": ["town"],
        "tolerances": [
            {"metric": "selection_rate", "kind": "ratio", "bound": 0.8, "slices": None},
            {"metric": "auc", "kind": "difference", "bound": 0.2, "slices": None},
        ],
    }
    assert {name: settings[name] for name in expected} == expected
    assert {item.slice.get("age") for item in done.report.fairness.slices} == {None, "< 40", "≥ 40"}
    assert done.report.fairness.weighted


def test_options_go_before_the_settings_file(call: FairnessCall, unfair: Path, tmp_path: Path) -> None:
    settings = {"label": "town", "slices": [["town"]], "min_count": 7, "thresholds": [0.25]}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    found = call(
        unfair, "--settings", "settings.json", *BASIC, "--no-discovery", "--json", "-"
    ).report.settings
    assert (found["label"], found["slices"], found["discover"]) == ("sick", [["sex"]], [])
    assert (found["min_count"], found["thresholds"]) == (7, [0.25])


def test_tolerances_that_are_named_replace_the_defaults(call: FairnessCall, unfair: Path) -> None:
    arguments = ("--no-discovery", "--tolerance", "true_positive_rate=0.2", "--json", "-")
    done = call(unfair, *BASIC, *arguments)
    assert done.status == 0
    judged = {gap.metric for gap in done.report.fairness.gaps if gap.verdict != "not_judged"}
    assert judged == {"true_positive_rate"}


def test_without_discovery_nothing_is_searched(call: FairnessCall, unfair: Path) -> None:
    assert call(unfair, *BASIC, "--json", "-").report.fairness.discovery is not None
    assert call(unfair, *BASIC, "--no-discovery", "--json", "-").report.fairness.discovery is None


def test_buckets_are_quantiles_of_the_training_examples_in_any_format(
    call: FairnessCall, unfair: Path, tmp_path: Path
) -> None:
    from leaky import write_rows

    # As old again as anyone who is judged.
    train = [{"age": 40 + number} for number in range(40)]
    write_csv(tmp_path / "train.csv", {"age": [row["age"] for row in train]})
    write_rows(tmp_path / "train.tfrecord", train)
    for name in ("train.csv", "train.tfrecord"):
        arguments = ("--slice", "age", "--bucket", "age=2", "--train", name, "--json", "-")
        report = call(unfair, *BASIC, *arguments).report
        (edge,) = report.fairness.buckets["age"]
        assert 59 <= edge <= 60
        assert [item.uri for item in report.inputs["train"]] == [name]


def test_the_baseline_is_the_one_that_is_named(call: FairnessCall, unfair: Path) -> None:
    for arguments in (("--baseline-prediction", "before"), ("--baseline-score", "before")):
        baseline = call(unfair, *BASIC, *arguments, "--json", "-").report.fairness.baseline
        assert baseline is not None
        assert baseline.examples == 1200
        changed = sum(row["said"] != row["before"] for row in rows_of(CELLS))
        assert baseline.changed == changed


def test_a_label_of_several_classes_has_a_score_each_or_a_decision(
    call: FairnessCall, tmp_path: Path
) -> None:
    """Class names with the sign that parts them from their column, as in the census data."""
    classes = ["<=1", "2", ">2"]
    columns: dict[str, list[Any]] = {"sex": [], "grade": [], "said": [], "low": [], "mid": [], "high": []}
    for number in range(900):
        label = number % 3
        # Women of the first class are taken for the second half of the time.
        wrong = number % 2 == 1 and label == 0 and number % 4 == 1
        said = 1 if wrong else label
        columns["sex"].append("MF"[number % 2])
        columns["grade"].append(classes[label])
        columns["said"].append(classes[said])
        for place, name in enumerate(("low", "mid", "high")):
            columns[name].append(0.75 if place == said else 0.125)
    path = write_csv(tmp_path / "a.csv", columns)
    arguments = ("--label", "grade", "--slice", "sex", "--json", "-")
    scores = [
        f"--class={name}={column}" for name, column in zip(classes, ("low", "mid", "high"), strict=True)
    ]
    by_score = call(path, *arguments, *scores).report
    by_decision = call(
        path, *arguments, "--prediction", "said", *(f"--class={name}" for name in classes)
    ).report
    for report in (by_score, by_decision):
        assert report.fairness.classes == classes
        found = {
            (item.slice.get("sex"), item.label_class): item.metrics["true_positive_rate"].value
            for item in report.fairness.slices
        }
        assert (found["M", "<=1"], found["F", "<=1"], found["F", "2"]) == (1.0, 0.5, 1.0)


# What is wrong is told


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--score", "risk", "--slice", "sex"), 2, "no label: name its column by --label"),
        (("--label", "sick", "--score", "risk"), 2, "no slices: name the columns of the groups by --slice"),
        (("--label", "sick", "--slice", "sex"), 2, "no score and no decision: name its column by --score or"),
        ((*BASIC, "--prediction", "said"), 2, "--score and --prediction: give one of them"),
        (
            (*BASIC, "--baseline-score", "a", "--baseline-prediction", "b"),
            2,
            "--baseline-score and --baseline-prediction: give one of them",
        ),
        ((*BASIC, "--discover", "age", "--no-discovery"), 2, "--discover and --no-discovery: give one"),
        ((*BASIC, "--label", "sik"), 2, "unknown column 'sik': known are .*; did you mean 'sick'?"),
        ((*BASIC, "--slice", "sxe"), 2, "unknown column 'sxe'.* mean 'sex'?"),
        ((*BASIC, "--weight", "weigth"), 2, "unknown column 'weigth'.* mean 'weight'?"),
        ((*BASIC, "--discover", "agee"), 2, "unknown column 'agee'.* mean 'age'?"),
        ((*BASIC, "--score", "rissk"), 2, "unknown column of --score 'rissk'.* mean 'risk'?"),
        (
            (*BASIC, "--baseline-score", "rissk"),
            2,
            "unknown column of --baseline-score 'rissk'.* mean 'risk'?",
        ),
        ((*BASIC, "--score", "sick"), 2, "--score 'sick' is the label; name the column of what the model"),
        ((*BASIC, "--slice", "sex,"), 2, "--slice 'sex,': a name is empty"),
        ((*BASIC, "--slice", "sick"), 2, "slices by the label 'sick'"),
        ((*BASIC, "--cross", "9"), 2, "FairnessSettings: cross: .*less than or equal to 3, found 9"),
        ((*BASIC, "--threshold", "1.5"), 2, "thresholds.0: .*less than or equal to 1, found 1.5"),
        ((*BASIC, "--threshold", "half"), 2, "'half' is not a valid float"),
        ((*BASIC, "--compare", "<"), 2, "'<' is not one of '>=', '>'"),
        ((*BASIC, "--bucket", "age"), 2, "--bucket 'age': expected F=25,35 or F=4"),
        ((*BASIC, "--bucket", "age=old"), 2, "--bucket 'age=old': 'old' is no number"),
        ((*BASIC, "--bucket", "age=50,30"), 2, "buckets of 'age': edges must ascend"),
        ((*BASIC, "--bucket", "agee=30,50"), 2, "unknown column 'agee'.* mean 'age'?"),
        ((*BASIC, "--bucket", "sex=30,50"), 1, "feature 'sex' is text and has buckets"),
        (
            (*BASIC, "--slice", "age", "--bucket", "age=4"),
            2,
            "buckets of 'age' are quantiles of the training examples: name",
        ),
        ((*BASIC, "--reference", "sex"), 2, "--reference 'sex': expected F=VALUE, e.g. sex=Male"),
        ((*BASIC, "--reference", "town=x"), 2, "reference names 'town', which no slice does"),
        (
            (*BASIC, "--tolerance", "acuracy=0.1"),
            2,
            "unknown metric of --tolerance 'acuracy'.* mean 'accuracy'?",
        ),
        ((*BASIC, "--tolerance", "accuracy:rato=1"), 2, "unknown kind of --tolerance 'rato'.* mean 'ratio'?"),
        ((*BASIC, "--tolerance", "accuracy"), 2, "--tolerance 'accuracy': expected METRIC=BOUND or"),
        ((*BASIC, "--tolerance", "accuracy=low"), 2, "--tolerance 'accuracy=low': 'low' is no number"),
        ((*BASIC, "--tolerance", "accuracy=3"), 2, "tolerances.0.bound: .*less than or equal to 1, found 3"),
        ((*BASIC, "--tolerance", "auc:ratio=0.8"), 2, "a ratio of auc is not judged"),
        (
            ("--label", "sick", "--slice", "sex", "--prediction", "said", "--threshold", "0.5"),
            2,
            "--threshold is for scores; decisions are taken as they are",
        ),
        ((*BASIC, "--class", "a=x", "--class", "b=y", "--class", "c=z"), 2, "--score is for a label of two"),
        (("--label", "sick", "--slice", "sex", "--class", "a"), 2, "--class 'a': expected CLASS=COLUMN"),
        (
            ("--label", "sick", "--slice", "sex", "--class", "a=x", "--class", "b=y"),
            2,
            "classes: at least 3 different ones",
        ),
        ((*BASIC, "--settings", "classes.json"), 2, "the label has the classes a, b, c: name the column of"),
        ((*BASIC, "--schema", "a.pbtxt"), 2, "--schema is for TFRecords"),
        ((*BASIC, "--settings", "none.json"), 2, "none.json: cannot be read"),
        (
            (*BASIC, "--settings", "odd.json"),
            2,
            "unknown setting of FairnessSettings 'slice'.* mean 'slices'?",
        ),
        ((*BASIC, "--settings", "beam.json"), 2, "driver 'beam' is for FairnessEvaluator"),
        ((*BASIC, "--json", "nowhere/a.json"), 2, "nowhere/a.json: no such folder to write to"),
        ((*BASIC, "--html", "."), 2, "is a folder; name a file to write"),
        ((*BASIC, "--train", "none.csv"), 1, "none.csv: no such file"),
        ((*BASIC, "--format", "parquet"), 1, "unfair.csv: not a whole Parquet file"),
        ((*BASIC, "--score", "age"), 1, "the score is no probability"),
        ((*BASIC, "--label", "town"), 1, "label 'town' is"),
        (("--label", "age", "--slice", "sex", "--prediction", "said"), 1, "label 'age' "),
    ],
)
def test_wrong_usage_and_bad_input_are_told_in_one_line(
    call: FairnessCall, unfair: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, told: str
) -> None:
    for name, settings in {
        "odd.json": {"slice": [["sex"]]},
        "beam.json": {"driver": "beam"},
        "classes.json": {"classes": ["a", "b", "c"]},
    }.items():
        (tmp_path / name).write_text(json.dumps(settings))
    done = call(unfair, *arguments)
    assert done.status == status, done
    assert done.out == ""
    last = done.err.splitlines()[-1]
    assert re.search(told, last), last
    assert "Traceback" not in done.err


def test_a_file_that_is_missing_or_cut_off_is_told(call: FairnessCall, tmp_path: Path) -> None:
    from leaky import write_rows

    for name in ("a.tfrecord", "a.tfrecord.gz"):
        path = Path(write_rows(tmp_path / name, rows_of(FEW)))
        path.write_bytes(path.read_bytes()[:-30])
        done = call(name, *BASIC)
        assert done.status == 1
        assert re.search(
            rf"tfx-trust: {name}: damaged or cut short after about .*; copy or make it", done.err
        )
    for name in ("none.csv", "none.tfrecord"):
        done = call(name, *BASIC)
        assert done.status == 1
        assert f"{name}: no such file, folder or pattern" in done.err


def test_an_unknown_feature_of_tfrecords_and_a_bad_schema_are_told(
    call: FairnessCall, tmp_path: Path
) -> None:
    from leaky import write_rows

    write_rows(tmp_path / "a.tfrecord", rows_of(FEW))
    (tmp_path / "bad.pbtxt").write_text("no schema")
    for arguments, status, told in (
        ((*BASIC, "--slice", "sxe"), 2, "unknown feature of the examples 'sxe'.* mean 'sex'?"),
        (
            (*BASIC, "--slice", "sxe", "--no-discovery"),
            2,
            "unknown feature of the examples 'sxe'.* mean 'sex'?",
        ),
        ((*BASIC, "--schema", "none.pbtxt"), 2, "none.pbtxt: cannot be read"),
        ((*BASIC, "--schema", "bad.pbtxt"), 1, "bad.pbtxt: not a text-format Schema"),
    ):
        done = call("a.tfrecord", *arguments)
        assert (done.status, done.out) == (status, "")
        assert re.search(told, done.err), done.err


# Quick and quiet


def test_plain_files_load_no_tensorflow(unfair: Path, fair: Path, tmp_path: Path) -> None:
    parquet.write_table(pa.table(columns_of(rows_of(FAIR))), tmp_path / "fair.parquet")
    for name in ("fair.csv", "fair.parquet"):
        loaded = modules_after(tmp_path, "fairness", name, *BASIC, "--no-discovery", "--json", "-")
        assert "pyarrow" in loaded
        assert not loaded.intersection(HEAVY)


def test_help_loads_nothing_that_takes_time(tmp_path: Path) -> None:
    loaded = modules_after(tmp_path, "fairness", "--help")
    assert not loaded.intersection((*HEAVY, "numpy", "pyarrow", "altair", "jinja2"))


def test_training_examples_of_another_type_are_told_in_one_line(call: FairnessCall, tmp_path: Path) -> None:
    rows = {"y": [0, 1] * 50, "s": [0.25, 0.75] * 50, "sex": ["F", "M"] * 50, "age": [20.5, 40.25] * 50}
    path = write_csv(tmp_path / "predictions.csv", rows)
    train = write_csv(tmp_path / "train.csv", {"age": ["old", "young"] * 50})
    basic = (path, "--label", "y", "--score", "s", "--train", train)
    refused = call(*basic, "--slice", "age")
    assert refused.status == 1
    assert "column 'age' is string in the training examples" in refused.err
    # One that is only searched is left out of the search.
    found = call(*basic, "--slice", "sex", "--json", "-").report.fairness.discovery
    assert "age" in found.skipped
