"""``tfx-trust provenance`` as a user calls it: recording, verifying, exporting, keys; and what goes wrong."""

import hashlib
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from calls import HEAVY, Call, Called, modules_after
from ml_metadata.proto import metadata_store_pb2 as pb
from records import census_like
from stores import Runs, failed_run, four_runs

from tfx_trust.components.provenance.record import Record, canonical
from tfx_trust.components.provenance.report import ProvenanceReport
from tfx_trust.components.provenance.writing import write_record

ProvenanceCall = Call[ProvenanceReport]
SECRET = "hunter2-very-secret"


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> ProvenanceCall:
    return Call("provenance", ProvenanceReport, monkeypatch, capsys, tmp_path)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return four_runs(tmp_path / "runs")


@pytest.fixture
def recorded(call: ProvenanceCall, runs: Runs) -> Path:
    """The folder of a signed record of the newest model."""
    assert call("keygen", "--out", "key.pem").status == 0
    done = call("record", "--metadata", runs.path, "--out", "record", "--key", "key.pem")
    assert done.status == 0, done.err
    return call.folder / "record"


def one_line(done: Called[ProvenanceReport], status: int, message: str) -> None:
    """The call ended with this status, and one line on standard error that says why."""
    assert (done.status, done.out) == (status, ""), done
    assert done.err.startswith("tfx-trust: ")
    assert done.err.count("\n") == 1, done.err
    assert message in done.err


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# Keys


def test_keys_are_made_once_and_are_the_owners_alone(call: ProvenanceCall) -> None:
    done = call("keygen")
    assert done.status == 0
    assert "-----BEGIN" not in done.out + done.err
    private, public = call.folder / "key.pem", call.folder / "key.pub"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert public.read_text().startswith("-----BEGIN PUBLIC KEY-----")
    before = private.read_bytes()
    one_line(call("keygen", "--out", "key.pem"), 2, "there is a file already")
    assert private.read_bytes() == before


# Recording


def test_a_record_is_written_with_its_report_and_its_signatures(recorded: Path) -> None:
    assert files_of(recorded) == {
        *("record.json", "report.json", "report.html"),
        *("model.sig", "serving.sig", "provenance.dsse.json", "signing.pub"),
    }
    record = Record.load(recorded)
    assert record.digest == record.content_digest()
    assert ProvenanceReport.load(recorded).provenance.record == record.digest
    # As other programs make files, for others to read.
    assert stat.S_IMODE((recorded / "record.json").stat().st_mode) & 0o044


@pytest.mark.parametrize("wanted", ["latest", "11", "uri", "pushed"])
def test_the_model_is_named_by_id_by_place_or_as_the_latest(
    call: ProvenanceCall, runs: Runs, wanted: str
) -> None:
    asked = {
        "uri": runs.builder.uri(11),
        "pushed": str(runs.folder / "serving/2"),
    }.get(wanted, wanted)
    model = 21 if wanted == "latest" else 11
    done = call("record", "--metadata", runs.path, "--model", asked, "--out", "record")
    assert done.status == 0, done.err
    record = Record.load(call.folder / "record")
    assert record.model == model
    artifacts, executions = runs.upstream[model]
    assert {item.id for item in record.artifacts} == artifacts
    assert {item.id for item in record.executions} == executions
    assert files_of(call.folder / "record") == {"record.json", "report.json", "report.html"}


def test_the_store_is_not_written_to(call: ProvenanceCall, runs: Runs) -> None:
    before = Path(runs.path).read_bytes()
    os.chmod(runs.path, 0o444)
    assert call("record", "--metadata", runs.path, "--out", "record").status == 0
    assert call("query", "--metadata", runs.path, "--impact", runs.data).status == 0
    assert Path(runs.path).read_bytes() == before
    assert sorted(os.listdir(runs.folder)) == ["artifacts", "data", "metadata.db", "serving"]


def test_a_store_that_was_moved_is_recorded_where_it_is(call: ProvenanceCall, runs: Runs) -> None:
    moved = call.folder / "moved"
    runs.folder.rename(moved)
    gone = call("record", "--metadata", moved / "metadata.db", "--out", "gone")
    assert gone.status in (3, 4)
    assert "rewrite" in gone.out or "where it lies now" in gone.out
    prefix = f"{runs.folder}={moved}"
    done = call("record", "--metadata", moved / "metadata.db", "--out", "record", "--rewrite-prefix", prefix)
    assert done.status == 0, done.out
    record = Record.load(call.folder / "record")
    assert all(item.tree for item in record.artifacts)
    assert all(item.uri.startswith(str(moved)) for item in record.artifacts)
    assert record.sources[0].place == str(moved / "data")
    assert call("verify", "record").status == 0


def test_what_is_declared_and_the_use_are_judged(call: ProvenanceCall, runs: Runs) -> None:
    (call.folder / "taxi.yaml").write_text("name: Taxi Trips\nlicence: CC-BY-NC-4.0\npurposes: [research]\n")
    given = ("record", "--metadata", runs.path, "--declarations", "taxi.yaml")
    done = call(*given, "--out", "a", "--purpose", "advertising", "--json", "-")
    assert done.status == 3
    assert str(done.report.verdict) == "fail"
    assert done.report.provenance.sources[0].declaration is not None
    assert done.report.provenance.sources[0].declaration.name == "Taxi Trips"
    fine = call(*given, "--out", "b", "--purpose", "research", "--non-commercial")
    assert fine.status == 0, fine.out
    use = Record.load(call.folder / "b").use
    assert use is not None
    assert (use.purpose, use.commercial, use.distribution) == ("research", False, False)


def test_a_folder_of_declarations_is_read(call: ProvenanceCall, runs: Runs) -> None:
    (call.folder / "declared").mkdir()
    (call.folder / "declared/taxi.yaml").write_text("name: Taxi Trips\nlicence: CC-BY-4.0\n")
    done = call("record", "--metadata", runs.path, "--out", "a", "--declarations", "declared")
    assert done.status == 0, done.out
    declaration = Record.load(call.folder / "a").sources[0].declaration
    assert declaration is not None
    assert declaration.name == "Taxi Trips"


def test_options_go_before_the_settings_of_a_file(call: ProvenanceCall, runs: Runs) -> None:
    settings = {
        "use": {"purpose": "research", "commercial": False, "distribution": True},
        "require_signature": True,
        "require_declarations": True,
    }
    (call.folder / "settings.json").write_text(json.dumps(settings))
    done = call(
        *("record", "--metadata", runs.path, "--out", "a", "--settings", "settings.json"),
        *("--purpose", "teaching", "--json", "-"),
    )
    assert done.status == 3
    assert done.report.settings["require_signature"] is True
    assert done.report.settings["use"] == {**settings["use"], "purpose": "teaching", "licence": None}  # type: ignore[dict-item]


def test_with_json_on_standard_output_there_is_nothing_else(call: ProvenanceCall, runs: Runs) -> None:
    done = call("record", "--metadata", runs.path, "--out", "a", "--json", "-")
    assert done.err == ""
    assert done.report == ProvenanceReport.load(call.folder / "a")


def test_people_are_told_what_was_found_and_where_it_is(call: ProvenanceCall, runs: Runs) -> None:
    done = call("record", "--metadata", runs.path, "--out", "record", "--json", "report.json")
    assert done.out.startswith("warn: ")
    assert "model 21: " in done.out
    assert "record  record" in done.out
    assert "report  report.json" in done.out


def test_a_run_that_failed_is_recorded_with_what_is_missing(call: ProvenanceCall, tmp_path: Path) -> None:
    failed = failed_run(tmp_path / "failed")
    done = call("record", "--metadata", failed.path, "--out", "record")
    assert done.status in (0, 4), done.err
    unknowns = Record.load(call.folder / "record").unknowns
    assert any("FAILED" in item.why or "Evaluator" in item.why for item in unknowns)
    without = failed_run(tmp_path / "without", at="Trainer")
    one_line(
        call("record", "--metadata", without.path, "--out", "nothing"),
        4,
        "there is no model in this metadata store: Trainer of run run-1 is FAILED",
    )
    assert not (call.folder / "nothing").exists()


def test_files_that_are_gone_are_told(call: ProvenanceCall, runs: Runs) -> None:
    shutil.rmtree(runs.builder.uri(5))
    done = call("record", "--metadata", runs.path, "--out", "record", "--json", "-")
    assert done.status in (3, 4)
    assert any("gone" in item.message or "missing" in item.message for item in done.report.findings)
    assert Record.load(call.folder / "record").artifact(5).tree is None


# A folder that is not empty


def test_a_record_that_lies_there_is_kept_and_held_against_the_new_one(
    call: ProvenanceCall, runs: Runs, recorded: Path
) -> None:
    first = Record.load(recorded)
    path = Path(runs.builder.uri(5)) / "Split-train/data_tfrecord-00000-of-00001.gz"
    path.write_bytes(b"tampered with")
    done = call("record", "--metadata", runs.path, "--out", "record", "--json", "-")
    assert done.status == 3
    second = Record.load(recorded)
    assert [(item.artifact, item.path, item.kind) for item in second.changes] == [
        (5, "Split-train/data_tfrecord-00000-of-00001.gz", "changed")
    ]
    assert second.previous is not None
    assert second.previous.digest == first.digest
    kept = Path(second.previous.uri)
    assert Record.load(kept) == first
    assert (kept / "model.sig").exists()
    # The new one is not signed, and nothing of the old signatures is left beside it.
    assert not (recorded / "model.sig").exists()
    third = call("record", "--metadata", runs.path, "--out", "record", "--key", "key.pem")
    assert third.status in (0, 3)
    assert len(list((recorded / "earlier").iterdir())) == 2
    assert call("verify", "record", "--public-key", "key.pub").status == 0


def test_a_folder_with_other_things_is_left_alone(call: ProvenanceCall, runs: Runs) -> None:
    (call.folder / "notes").mkdir()
    (call.folder / "notes/thesis.txt").write_text("mine")
    one_line(
        call("record", "--metadata", runs.path, "--out", "notes"), 2, "notes: holds thesis.txt, and no record"
    )
    assert files_of(call.folder / "notes") == {"thesis.txt"}
    (call.folder / "file").write_text("mine")
    one_line(call("record", "--metadata", runs.path, "--out", "file"), 2, "no folder to write to")
    (call.folder / "empty").mkdir()
    assert call("record", "--metadata", runs.path, "--out", "empty").status == 0


def test_a_record_that_was_edited_is_not_replaced(call: ProvenanceCall, runs: Runs, recorded: Path) -> None:
    path = recorded / "record.json"
    path.write_text(path.read_text().replace('"run-4"', '"run-5"'))
    before = {name: (recorded / name).read_bytes() for name in files_of(recorded)}
    one_line(call("record", "--metadata", runs.path, "--out", "record"), 4, "was edited since it was written")
    assert {name: (recorded / name).read_bytes() for name in files_of(recorded)} == before


# Verifying


def test_what_is_as_it_was_is_verified(call: ProvenanceCall, recorded: Path) -> None:
    done = call("verify", "record", "--public-key", "key.pub")
    assert (done.status, done.err) == (0, "")
    assert "intact: 14 files" in done.out
    read = json.loads(call("verify", "record", "--public-key", "key.pub", "--json", "-").out)
    assert (read["status"], read["problems"], read["key_given"]) == (0, [], True)


@pytest.mark.parametrize(
    ("where", "status", "word"),
    [
        ("model", 3, "changed"),
        ("examples", 3, "changed"),
        ("source", 3, "changed"),
        ("record", 3, "edited"),
        ("signature", 3, "model.sig"),
        ("added", 3, "evil.so"),
        ("gone", 4, "Schema"),
    ],
)
def test_what_is_not_as_it_was_is_named(
    call: ProvenanceCall, runs: Runs, recorded: Path, where: str, status: int, word: str
) -> None:
    path = {
        "model": Path(runs.builder.uri(21)) / "Format-Serving/saved_model.pb",
        "examples": Path(runs.builder.uri(1)) / "Split-eval/data_tfrecord-00000-of-00001.gz",
        "source": runs.data / "train.csv",
        "record": recorded / "record.json",
        "signature": recorded / "model.sig",
        "added": Path(runs.builder.uri(21)) / "Format-Serving/evil.so",
        "gone": Path(runs.builder.uri(3)) / "schema.pbtxt",
    }[where]
    if where == "gone":
        shutil.rmtree(path.parent)
    elif where == "added":
        path.write_bytes(b"evil")
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    done = call("verify", "record", "--public-key", "key.pub")
    assert done.status == status, done.out
    problems = [line for line in done.out.splitlines() if line.startswith(("tampered ", "unchecked "))]
    assert len(problems) >= 1
    assert any(word in line or str(path) in line for line in problems), done.out
    told = json.loads(call("verify", "record", "--public-key", "key.pub", "--json", "-").out)
    assert told["status"] == status


def test_what_to_do_about_several_files_is_told_once(
    call: ProvenanceCall, runs: Runs, recorded: Path
) -> None:
    for name in ("evil.so", "evil.txt"):
        (Path(runs.builder.uri(21)) / "Format-Serving" / name).write_bytes(b"evil")
    done = call("verify", "record", "--public-key", "key.pub")
    assert [done.out.count(words) for words in ("was added", "What to do")] == [2, 1]


def test_a_copy_of_the_model_is_verified_by_itself(call: ProvenanceCall, runs: Runs, recorded: Path) -> None:
    copy = runs.folder / "serving/4"
    assert call("verify", "record", "--model", copy, "--public-key", "key.pub").status == 0
    (copy / "saved_model.pb").write_bytes(b"other")
    done = call("verify", "record", "--model", copy, "--public-key", "key.pub")
    assert done.status == 3
    assert "saved_model.pb" in done.out


def test_anothers_key_is_named(call: ProvenanceCall, recorded: Path) -> None:
    call("keygen", "--out", "other.pem")
    done = call("verify", "record", "--public-key", "other.pub")
    assert done.status == 3
    assert "key" in done.out
    one_line(call("verify", "record", "--public-key", "other.pem"), 4, "a private key, where the public one")


# Exports


@pytest.mark.parametrize("form", ["prov", "openlineage", "cyclonedx", "slsa"])
def test_a_record_is_exported(call: ProvenanceCall, recorded: Path, form: str) -> None:
    done = call("export", "record", "--format", form)
    assert done.status == 0, done.err
    for text in done.out.splitlines() if form == "openlineage" else [done.out]:
        json.loads(text)
    written = call("export", "record", "--format", form, "--out", "exported")
    assert written.out == "exported\n"
    assert (call.folder / "exported").read_text() == done.out


def test_sources_are_exported_one_by_one(call: ProvenanceCall, tmp_path: Path) -> None:
    write_record(census_like(), tmp_path / "record")
    done = call("export", "record", "--format", "croissant", "--out", "croissants")
    assert done.status == 0, done.err
    written = done.out.split()
    assert written
    for path in written:
        assert json.loads((call.folder / path).read_text())["@type"] == "sc:Dataset"


# Bad input


def broken(folder: Path) -> dict[str, Path]:
    """Things that are no metadata store."""
    (folder / "text.db").write_text("not a database at all, but long enough to be looked at as if it was one")
    (folder / "empty.db").write_bytes(b"")
    other = sqlite3.connect(folder / "other.db")
    other.execute("create table people (name text)")
    other.commit()
    other.close()
    return {name: folder / f"{name}.db" for name in ("text", "empty", "other", "gone")}


@pytest.mark.parametrize("kind", ["text", "empty", "other", "gone"])
@pytest.mark.parametrize("command", ["record", "query", "diff"])
def test_what_is_no_store_is_told(call: ProvenanceCall, kind: str, command: str) -> None:
    path = broken(call.folder)[kind]
    more = {
        "record": ("--out", "record"),
        "query": ("--data-of", "latest"),
        "diff": ("1", "2"),
    }[command]
    one_line(call(command, *more, "--metadata", path), 4, str(path))
    assert not (call.folder / "record").exists()
    assert path.exists() == (kind != "gone")


@pytest.mark.slow
def test_a_store_that_is_locked_is_told(call: ProvenanceCall, runs: Runs) -> None:
    # Locks of a file are the process's: within one, nobody is kept out.
    program = (
        "import sqlite3, sys\n"
        "writer = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "writer.execute('begin exclusive')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, runs.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"locked\n"
        done = call("query", "--metadata", runs.path, "--data-of", "latest")
        writer.communicate()
    one_line(done, 4, runs.path)
    assert "lock" in done.err


def test_a_record_of_a_newer_version_is_told(call: ProvenanceCall, recorded: Path) -> None:
    content = json.loads((recorded / "record.json").read_text()) | {"schema_version": "2.0"}
    del content["digest"]
    content["digest"] = hashlib.sha256(canonical(content)).hexdigest()
    (call.folder / "newer").mkdir()
    (call.folder / "newer/record.json").write_bytes(canonical(content) + b"\n")
    shutil.rmtree(recorded)
    (call.folder / "newer").rename(recorded)
    done = call("verify", "record")
    assert done.status == 4
    assert "schema_version is 2.0" in done.out
    one_line(call("export", "record", "--format", "prov"), 4, "schema_version is 2.0")
    one_line(call("diff", "record", "record"), 4, "schema_version is 2.0")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("record", "--out", "a", "--model", "7"), 4, "artifact 7 is of type ModelRun, no model"),
        (("record", "--out", "a", "--model", "999"), 4, "there is no artifact 999"),
        (
            ("record", "--out", "a", "--model", "/nowhere"),
            4,
            "no model of this metadata store lies at /nowhere",
        ),
        (("record", "--out", "a", "--key", "gone.pem"), 4, "gone.pem: no such file"),
        (("record", "--out", "a", "--key-env", "NO_SUCH_KEY"), 4, "NO_SUCH_KEY is not set"),
        (("record", "--out", "a", "--key", "rsa.pem"), 4, "needed is an ECDSA key"),
        (("record", "--out", "a", "--settings", "gone.json"), 2, "gone.json: cannot be read"),
        (
            ("record", "--out", "a", "--settings", "bad.json"),
            2,
            "unknown setting of ProvenanceSettings 'licens'",
        ),
        (("record", "--out", "a", "--declarations", "gone.yaml"), 4, "gone.yaml"),
        (("record", "--out", "a", "--declarations", "bad.yaml"), 4, "bad.yaml"),
        (("record", "--out", "a", "--distribute"), 2, "give --purpose"),
        (("record", "--out", "a", "--rewrite-prefix", "/old"), 2, "expected OLD=NEW"),
        (("record", "--out", "a", "--repository", "gone"), 2, "--repository gone: no such folder"),
        (("record", "--out", "a", "--subject-feature", "id"), 2, "give --subject-key"),
        (("record", "--out", "a", "--subject-key", "gone"), 2, "give --subject-feature"),
        (("record", "--out", "a", "--json", "nowhere/a.json"), 2, "no such folder to write to"),
        (("query",), 2, "nothing asked"),
        (("query", "--data-of", "1", "--impact", "2"), 2, "ask one of --data-of"),
        (("query", "--data-of", "999"), 4, "there is no artifact 999"),
        (("query", "--impact", "Taxy"), 4, "no source of this store is called 'Taxy'"),
        (("query", "--models-from", "span:x"), 2, "expected a number"),
        (("query", "--models-from", "licence:XYZ"), 2, "XYZ"),
        (("query", "--subject", "17"), 2, "give --subject-key"),
        (("query", "--subject", "17", "--subject-key", "a", "--subject-key-env", "B"), 2, "both are given"),
        (("query", "--subject", "17", "--subject-key", "gone"), 4, "gone"),
        (("query", "--subject", "17", "--subject-key", "subjects.key"), 4, "no record of this store carries"),
        (("query", "--data-of", "latest", "--record", "gone"), 4, "gone"),
        (("diff", "1", "2"), 4, "artifact 1 is of type Examples"),
    ],
)
def test_bad_input_is_named(
    call: ProvenanceCall, runs: Runs, arguments: tuple[str, ...], status: int, message: str
) -> None:
    (call.folder / "rsa.pem").write_text(
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"
    )
    (call.folder / "bad.json").write_text('{"licens": 1}')
    (call.folder / "bad.yaml").write_text("licence: MIT\n")
    (call.folder / "subjects.key").write_bytes(bytes(range(32)))
    done = call(arguments[0], "--metadata", runs.path, *arguments[1:])
    one_line(done, status, message)
    assert not (call.folder / "a").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("record", "--out", "a"), "Missing option '--metadata'"),
        (("record", "--metadata", "a.db"), "Missing option '--out'"),
        (("export", "a", "--format", "xml"), "'xml' is not one of"),
        (("verify",), "Missing argument 'DIR'"),
        (("forget",), "No such command 'forget'"),
    ],
)
def test_wrong_usage_is_named(call: ProvenanceCall, arguments: tuple[str, ...], message: str) -> None:
    done = call(*arguments)
    assert done.status == 2
    assert message in done.err


def test_folders_without_a_record_are_told(call: ProvenanceCall) -> None:
    (call.folder / "empty").mkdir()
    one_line(call("export", "empty", "--format", "prov"), 4, "no record can be read there")
    one_line(call("diff", "empty", "empty"), 4, "no record can be read there")
    one_line(call("diff", "gone", "gone"), 4, "gone: no such folder")
    assert call("verify", "empty").status == 4
    assert call("verify", "gone").status == 4


def test_a_password_in_a_place_is_refused_and_not_repeated(call: ProvenanceCall) -> None:
    done = call("query", "--metadata", f"mysql://me:{SECRET}@host/db", "--data-of", "latest")
    assert done.status == 2
    assert SECRET not in done.out + done.err


# Secrets


def leaked(folder: Path) -> list[str]:
    return [
        str(path) for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ]


def test_secrets_of_the_store_and_the_environment_get_nowhere(
    call: ProvenanceCall, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    monkeypatch.setenv("TFX_TRUST_METADATA_PASSWORD", SECRET)
    with_secrets(runs)
    outputs: list[Any] = []
    for arguments in (
        ("record", "--metadata", runs.path, "--out", "record"),
        ("record", "--metadata", runs.path, "--out", "other", "--model", "6", "--json", "-"),
        ("verify", "record", "--json", "-"),
        ("query", "--metadata", runs.path, "--data-of", "latest", "--json", "-"),
        ("query", "--metadata", runs.path, "--models-from", "span:0", "--json", "-"),
        ("query", "--metadata", runs.path, "--impact", f"{runs.data}"),
        ("query", "--metadata", runs.path, "--impact", "nothing"),
        ("diff", "6", "21", "--metadata", runs.path, "--json", "-"),
        ("diff", "record", "other"),
        *(("export", "record", "--format", form) for form in ("prov", "openlineage", "cyclonedx", "slsa")),
    ):
        done = call(*arguments)
        outputs.append((arguments, done.out, done.err))
    assert not [arguments for arguments, out, err in outputs if SECRET in out + err]
    assert leaked(call.folder / "record") == []
    assert leaked(call.folder / "other") == []


def with_secrets(runs: Runs) -> None:
    """Puts a password into parameters of executions, and into places."""
    store = runs.builder.store
    executions = store.get_executions()
    for execution in executions:
        execution.custom_properties["db_password"].string_value = SECRET
        execution.custom_properties["connection"].string_value = f"mysql://me:{SECRET}@host/db"
        execution.custom_properties["custom_config"].string_value = json.dumps({"api_key": SECRET, "seed": 3})
    store.put_executions(executions)
    artifacts = [item for item in store.get_artifacts() if item.type == "PushedModel"]
    for artifact in artifacts:
        artifact.custom_properties["pushed_destination"].string_value = f"https://me:{SECRET}@host/model"
    store.put_artifacts(artifacts)
    assert isinstance(executions[0], pb.Execution)


def test_the_key_is_in_no_output(call: ProvenanceCall, recorded: Path) -> None:
    key = "".join((call.folder / "key.pem").read_text().splitlines()[1:-1])
    for path in recorded.rglob("*"):
        assert key not in path.read_text().replace("\n", "").replace("\\n", "")
        assert str(call.folder / "key.pem") not in path.read_text()


# Quick and quiet


def test_no_tensorflow_is_loaded(runs: Runs, recorded: Path, tmp_path: Path) -> None:
    for arguments in (
        ("record", "--metadata", runs.path, "--out", "again", "--key", "key.pem"),
        ("verify", "record", "--public-key", "key.pub"),
        ("query", "--metadata", runs.path, "--impact", str(runs.data)),
        ("query", "--metadata", runs.path, "--data-of", "latest", "--hash"),
        ("diff", "6", "21", "--metadata", runs.path),
        ("export", "record", "--format", "croissant", "--out", "exported"),
        ("keygen", "--out", "another.pem"),
    ):
        loaded = modules_after(tmp_path, "provenance", *arguments)
        assert not loaded.intersection(HEAVY), arguments


@pytest.mark.parametrize(
    "command", [(), *((name,) for name in ("record", "verify", "query", "diff", "export"))]
)
def test_help_loads_nothing_that_takes_time(tmp_path: Path, command: tuple[str, ...]) -> None:
    loaded = modules_after(tmp_path, "provenance", *command, "--help")
    slow = (*HEAVY, "numpy", "ml_metadata", "cryptography", "jinja2", "altair", "rich", "yaml")
    assert not loaded.intersection(slow)


def test_help_names_every_subcommand(call: ProvenanceCall) -> None:
    done = call("--help")
    assert done.status == 0
    for name in ("diff", "export", "keygen", "query", "record", "verify"):
        assert f"\n  {name} " in done.out
