"""``tfx-trust provenance query`` and ``diff``: what is told to people, and what is written as JSON."""

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from calls import Call
from stores import Runs, four_runs, many_runs

from tfx_trust.components.provenance.answers import Answers, DataOf, Impact, ModelsFrom
from tfx_trust.components.provenance.differences import Diff
from tfx_trust.components.provenance.record import Record
from tfx_trust.components.provenance.report import ProvenanceReport
from tfx_trust.components.provenance.writing import write_record

ProvenanceCall = Call[ProvenanceReport]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> ProvenanceCall:
    monkeypatch.setenv("COLUMNS", "80")
    return Call("provenance", ProvenanceReport, monkeypatch, capsys, tmp_path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return four_runs(tmp_path_factory.mktemp("runs"))


def table(text: str, first: str) -> list[list[str]]:
    """Rows of the table whose first heading is `first`, split at two spaces or more."""
    lines = text.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(first))
    rows = []
    for line in lines[begin + 1 :]:
        if not line.strip():
            break
        rows.append([part for part in line.split("  ") if part.strip()])
    return rows


# What people are told


def test_models_are_told_in_a_table_of_eighty_columns(call: ProvenanceCall, runs: Runs) -> None:
    done = call("query", "--metadata", runs.path, "--models-from", "span:0")
    assert (done.status, done.err) == (0, "")
    rows = table(done.out, "model")
    assert [row[0].strip() for row in rows] == ["21", "16", "11", "6"]
    assert [row[-1].strip() for row in rows] == ["served now", "still there", "still there", "still there"]
    begin = done.out.index("model ")
    assert max(map(len, done.out[begin:].splitlines())) <= 80


def test_places_are_told_whole_so_that_they_can_be_copied(call: ProvenanceCall, runs: Runs) -> None:
    done = call("query", "--metadata", runs.path, "--impact", runs.data)
    assert done.status == 0
    for number in (1, 2, 3, 4, 5, 8, 25):
        assert f"  {runs.builder.uri(number)}\n" in done.out
    what_to_do = done.out.split("what to do\n")[1].splitlines()
    assert [line.split()[0] for line in what_to_do] == [
        *["withdraw"] * 4,
        "retrain",
        "delete",
        "delete",
    ]
    assert str(runs.folder / "serving/4") in what_to_do[0]


def test_of_many_rows_the_first_are_shown_and_the_others_counted(
    call: ProvenanceCall, tmp_path: Path
) -> None:
    many = many_runs(tmp_path / "many", 60)
    done = call("query", "--metadata", many.path, "--models-from", "span:0")
    assert "and 20 more: --json has all" in done.out
    written = call("query", "--metadata", many.path, "--models-from", "span:0", "--json", "-")
    assert len(json.loads(written.out)["answers"][0]["models"]) == 60


def test_the_data_of_a_model_are_told(call: ProvenanceCall, runs: Runs) -> None:
    done = call("query", "--metadata", runs.path, "--data-of", "11", "--hash")
    assert done.status == 0
    assert done.out.startswith(f"model 11  {runs.builder.uri(11)}\n")
    assert f"source 1  undeclared: files, {runs.data}" in done.out
    assert table(done.out, "examples")[0][0].strip() == "5"
    assert "not known  there is no record of this model" in done.out


def test_nothing_found_is_decided_or_not(call: ProvenanceCall, runs: Runs) -> None:
    none = call("query", "--metadata", runs.path, "--models-from", "span:7")
    assert none.status == 0
    assert "no model came of it" in none.out
    unknown = call("query", "--metadata", runs.path, "--models-from", "MIT")
    assert unknown.status == 4
    assert "no model is known to have come of it" in unknown.out
    assert "of 1 source no licence is known" in unknown.out


@pytest.mark.parametrize(
    ("asked", "told"), [("span:0", "span 0"), ("license:mit", "licence mit"), ("artifact:1", "artifact 1")]
)
def test_what_was_asked_is_told_without_its_prefix(
    call: ProvenanceCall, runs: Runs, asked: str, told: str
) -> None:
    assert call("query", "--metadata", runs.path, "--models-from", asked).out.splitlines()[0] == told


# JSON


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        (("--data-of", "latest"), DataOf),
        (("--models-from", "span:0"), ModelsFrom),
        (("--impact", "span:0"), Impact),
    ],
)
def test_an_answer_is_written_as_json(
    call: ProvenanceCall, runs: Runs, question: tuple[str, str], kind: type[Any]
) -> None:
    done = call("query", "--metadata", runs.path, *question, "--json", "-")
    answers = Answers.model_validate_json(done.out)
    assert type(answers.answers[0]) is kind
    assert answers.question == question[0].strip("-").replace("-", "_")
    into_file = call("query", "--metadata", runs.path, *question, "--json", "answer.json")
    assert "answer  answer.json" in into_file.out
    assert Answers.model_validate_json((call.folder / "answer.json").read_text()) == answers


def test_several_stores_are_asked(call: ProvenanceCall, runs: Runs, tmp_path: Path) -> None:
    other = four_runs(tmp_path / "other")
    both = ("query", "--metadata", runs.path, "--metadata", other.path)
    done = call(*both, "--models-from", "span:0", "--json", "-")
    answers = Answers.model_validate_json(done.out).answers
    assert [answer.store for answer in answers] == [runs.path, other.path]
    # A source that one of them knows is found, and the other is told of.
    done = call(*both, "--impact", other.data, "--json", "-")
    assert done.status == 0
    (answer,) = Answers.model_validate_json(done.out).answers
    assert answer.store == other.path
    assert any(runs.path in text for text in answer.unknowns)
    assert call(*both, "--impact", "nowhere").status == 4
    assert call(*both, "--impact", "span:0", "--record", "x").status == 2


def test_names_of_files_need_not_be_text(call: ProvenanceCall, runs: Runs) -> None:
    odd = call.folder / os.fsdecode(b"odd\xff")
    odd.write_bytes(b"x")
    call("record", "--metadata", runs.path, "--out", "record")
    shutil.copytree(call.folder / "record", call.folder / os.fsdecode(b"copy\xff"))
    for arguments in (
        ("query", "--metadata", runs.path, "--models-from", odd),
        ("diff", "record", os.fsdecode(b"copy\xff")),
        ("verify", os.fsdecode(b"copy\xff")),
    ):
        done = call(*arguments, "--json", "-")
        assert done.err == ""
        assert "\\udcff" in done.out
        json.loads(done.out)
        call(*arguments, "--json", "into.json")
        assert json.loads((call.folder / "into.json").read_text()) == json.loads(done.out)
    copy = shutil.copy(runs.path, call.folder / os.fsdecode(b"store\xff"))
    done = call("query", "--metadata", copy, "--data-of", "latest")
    assert (done.status, done.out, done.err.count("\n")) == (4, "", 1)
    assert "no UTF-8" in done.err


# Data subjects


@pytest.fixture
def people(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Four runs whose raw examples have ids, and whose transformed ones do not."""
    tf = pytest.importorskip("tensorflow")
    made = four_runs(tmp_path_factory.mktemp("people"))
    for number, feature in ((1, "person"), (5, "encoded")):
        for split, ids in {"train": ["ann-17", "bob-18", "ann-17"], "eval": ["cid-19"]}.items():
            path = Path(made.builder.uri(number)) / f"Split-{split}/data_tfrecord-00000-of-00001.gz"
            with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
                for identifier in ids:
                    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[identifier.encode()]))
                    features = tf.train.Features(feature={feature: value})
                    writer.write(tf.train.Example(features=features).SerializeToString())
    (made.folder / "subjects.key").write_bytes(bytes(range(32)))
    return made


@pytest.fixture
def ask(call: ProvenanceCall, people: Runs) -> tuple[str, ...]:
    """A question about a data subject, with a record of the last model that carries an index."""
    key = ("--subject-key", str(people.folder / "subjects.key"))
    done = call("record", "--metadata", people.path, "--out", "record", "--subject-feature", "person", *key)
    assert done.status == 0, done.err
    return ("query", "--metadata", people.path, "--record", "record", *key)


def test_a_data_subject_is_followed_to_what_is_served(
    call: ProvenanceCall, people: Runs, ask: tuple[str, ...]
) -> None:
    found = call(*ask, "--subject", "ann-17", "--json", "-")
    assert found.status == 0, found.err
    answers = Answers.model_validate_json(found.out)
    answer = answers.answers[0]
    assert answers.question == "subject"
    assert isinstance(answer, Impact)
    assert [(item.artifact, item.split, item.examples) for item in answer.subjects] == [(1, "train", 2)]
    assert [item.id for item in answer.models] == people.models[::-1]
    assert answer.tasks[0].place == str(people.folder / "serving/4")
    told = call(*ask, "--subject", "cid-19")
    assert "subject  in 1 of split eval of Examples 1" in told.out
    assert not [text for text in (found.out, found.err, told.out) if "ann-17" in text or "cid-19" in text]


def test_the_id_may_come_from_standard_input(
    call: ProvenanceCall, ask: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("bob-18\n"))
    assert "subject  in 1 of split train of Examples 1" in call(*ask, "--subject", "-").out


def test_another_secret_is_told(call: ProvenanceCall, ask: tuple[str, ...]) -> None:
    (call.folder / "other.key").write_bytes(bytes(range(1, 33)))
    done = call(*ask[:-1], "other.key", "--subject", "ann-17")
    assert (done.status, done.out) == (4, "")
    assert done.err.count("\n") == 1
    assert "another key" in done.err
    assert "ann-17" not in done.err


def test_who_is_in_no_index_is_in_no_model_if_all_are_indexed(
    call: ProvenanceCall, people: Runs, ask: tuple[str, ...]
) -> None:
    nobody = call(*ask, "--subject", "dan-20", "--json", "-")
    assert nobody.status == 0
    said = Answers.model_validate_json(nobody.out).answers[0]
    assert isinstance(said, Impact)
    assert (said.models, said.subjects, said.tasks, said.unknowns) == ([], [], [], [])
    people.builder.run("run-5")
    more = people.builder.execute("ImportExampleGen", outputs={"examples": [("Examples",)]})
    people.builder.execute(
        "Trainer", inputs={"examples": [more["examples"]]}, outputs={"model": [("Model",)]}
    )
    unknown = call(*ask, "--subject", "dan-20")
    assert unknown.status == 4
    assert "there is no index of what 1 model came from" in unknown.out


def test_a_record_of_a_moved_store_is_told_where_its_sources_lie_now(
    call: ProvenanceCall, runs: Runs, tmp_path: Path
) -> None:
    call("record", "--metadata", runs.path, "--out", "record")
    moved = ("--record", "record", "--rewrite-prefix", f"{runs.data}=/elsewhere/data")
    done = call("query", "--metadata", runs.path, "--data-of", "latest", *moved)
    assert "undeclared: files, /elsewhere/data\n" in done.out


# Diff


def test_two_models_of_a_store_are_compared(call: ProvenanceCall, runs: Runs) -> None:
    done = call("diff", "6", "latest", "--metadata", runs.path)
    assert (done.status, done.err) == (0, "")
    assert [[part.strip() for part in row] for row in table(done.out, " " * 10)] == [
        ["Trainer.custom_config.seed", "1", "4"],
        ["Trainer.train_args.num_steps", "100", "400"],
    ]
    found = Diff.model_validate_json(call("diff", "6", "latest", "--metadata", runs.path, "--json", "-").out)
    assert (found.a.model, found.b.model) == (6, 21)


def test_two_records_are_compared(call: ProvenanceCall, tmp_path: Path) -> None:
    made = four_runs(tmp_path / "made")
    for number, model in enumerate(made.models[:2]):
        if number:
            (made.data / "more.csv").write_text("fare,tips\n")
            (made.data / "train.csv").write_text("fare,tips\n1,1\n")
        done = call("record", "--metadata", made.path, "--model", model, "--out", f"record-{number}")
        assert done.status == 0, done.out
    done = call("diff", "record-0", "record-1", "--json", "-")
    (source,) = Diff.model_validate_json(done.out).sources
    assert source.status == "changed"
    assert source.files.changed == ["train.csv"]
    told = call("diff", "record-0", "record-1/record.json")
    assert told.status == 0
    assert "changed  train.csv" in told.out
    assert "the same bytes\n" not in told.out.split("\nsources")[1]


def test_a_source_that_was_moved_is_told_to_have_the_same_bytes(call: ProvenanceCall, runs: Runs) -> None:
    call("record", "--metadata", runs.path, "--out", "record")
    moved = shutil.copytree(runs.data, call.folder / "moved")
    call("record", "--metadata", runs.path, "--rewrite-prefix", f"{runs.data}={moved}", "--out", "other")
    told = call("diff", "record", "other").out
    assert "the same bytes" in told.split("\nsources")[1].split("\nexamples")[0]


def test_of_a_long_value_the_beginning_is_shown(call: ProvenanceCall, runs: Runs) -> None:
    call("record", "--metadata", runs.path, "--out", "record")
    record = Record.load(str(call.folder / "record"))
    longer = record.executions[0].model_copy(update={"parameters": {"names": "x" * 5000}})
    other = record.model_copy(update={"executions": [longer, *record.executions[1:]]}).sealed()
    write_record(other, call.folder / "other")
    told = call("diff", "record", "other").out
    assert 0 < told.count("x") < 300
    assert "x…" in told
