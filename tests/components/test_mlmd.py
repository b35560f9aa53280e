"""Reading metadata stores: plain values, in bulk, and a clear word where there is nothing to read."""

import hashlib
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from ml_metadata import errors
from ml_metadata.proto import metadata_store_pb2 as pb
from stores import Builder, chain, four_runs, many_runs

from tfx_trust.components import mlmd, mlmd_connection
from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.mlmd import Store, open_store, rewritten, store_of

PASSWORD = "S3cret-of-mine"


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


# Values


def test_an_artifact_is_read_with_its_type_and_properties_of_every_kind(builder: Builder) -> None:
    number = builder.artifact(
        "Examples", "/data/x", {"span": 3, "rate": 0.25, "note": "a", "flag": True}, state="PENDING"
    )
    found = open_store(builder.path).artifacts([number])[number]
    assert (found.id, found.type, found.uri, found.state) == (number, "Examples", "/data/x", "PENDING")
    assert found.properties == {
        "span": 3,
        "rate": 0.25,
        "note": "a",
        "flag": True,
        "split_names": '["train", "eval"]',
    }
    assert found.created > 1_600_000_000_000


def test_custom_properties_win(builder: Builder) -> None:
    kind = builder.store.put_artifact_type(pb.ArtifactType(name="Own", properties={"span": pb.INT}))
    item = pb.Artifact(type_id=kind)
    item.properties["span"].int_value = 1
    item.custom_properties["span"].int_value = 2
    (number,) = builder.store.put_artifacts([item])
    assert open_store(builder.path).artifacts([number])[number].properties == {"span": 2}


def test_structures_are_told_as_json(builder: Builder) -> None:
    item = pb.Artifact(type_id=builder.store.put_artifact_type(pb.ArtifactType(name="Own")))
    held = struct_pb2.Struct()
    held.update({"b": [1, "x"], "a": None})
    item.custom_properties["told"].struct_value.CopyFrom(held)
    (number,) = builder.store.put_artifacts([item])
    found = open_store(builder.path).artifacts([number])[number]
    assert found.properties == {"told": '{"a": null, "b": [1.0, "x"]}'}


def test_an_execution_is_read_with_its_parameters(builder: Builder) -> None:
    made = builder.execute("Trainer", parameters={"run_fn": "a.b", "steps": 7}, state="FAILED")
    found = open_store(builder.path).executions([made.execution])[made.execution]
    assert (found.component, found.state) == ("Trainer", "FAILED")
    assert found.type == "tfx.components.trainer.component.Trainer"
    assert found.properties == {"run_fn": "a.b", "steps": 7}


def test_events_tell_what_was_read_and_made_under_which_name(builder: Builder) -> None:
    one, two = builder.artifact("Examples", "1"), builder.artifact("Examples", "2")
    made = builder.execute("Trainer", inputs={"examples": [one, two]}, outputs={"model": [("Model",)]})
    store = open_store(builder.path)
    told = [
        (event.kind, event.key, event.index, event.artifact)
        for event in store.events_of_executions([made.execution])
    ]
    assert sorted(told) == [
        ("INPUT", "examples", 0, one),
        ("INPUT", "examples", 1, two),
        ("OUTPUT", "model", 0, made["model"]),
    ]
    assert [event.execution for event in store.events_of_artifacts([two])] == [made.execution]


def test_what_is_not_there_is_left_out(builder: Builder) -> None:
    number = builder.artifact("Examples", "x")
    store = open_store(builder.path)
    assert set(store.artifacts([number, 999])) == {number}
    assert store.executions([999]) == store.artifacts([]) == {}
    assert store.artifacts_of_type("Nothing") == store.executions_of_type("Nothing") == []
    assert store.events_of_artifacts([999]) == store.events_of_executions([]) == []
    assert store.latest("Nothing") is None
    assert store.executions_of_run("never") == []


def test_all_are_read_if_no_ids_are_given(tmp_path: Path) -> None:
    store = open_store(four_runs(tmp_path).path)
    assert sorted(store.artifacts()) == list(range(1, max(store.artifacts()) + 1))
    assert {item.state for item in store.executions().values()} == {"COMPLETE", "CACHED"}


def test_more_ids_than_one_statement_takes_are_read_in_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(chain(tmp_path, 50).path)
    whole = (store.artifacts(range(1, 52)), sorted(store.events_of_executions(range(1, 51)), key=str))
    monkeypatch.setattr(mlmd, "_CHUNK", 7)
    assert whole == (store.artifacts(range(1, 52)), sorted(store.events_of_executions(range(1, 51)), key=str))
    assert len(whole[0]) == 51
    assert len(whole[1]) == 100


def test_the_latest_artifact_is_the_newest_that_was_finished(builder: Builder) -> None:
    numbers = [builder.artifact("Model", f"{number}") for number in range(3)]
    builder.artifact("Model", "unfinished", state="PENDING")
    builder.artifact("Model", "left", state="ABANDONED")
    found = open_store(builder.path).latest("Model")
    assert found is not None
    assert found.id == numbers[-1]


def test_runs_pipelines_and_nodes_are_told_of_each_execution(builder: Builder) -> None:
    builder.run("run-1")
    one = builder.execute("train.again", "Trainer").execution
    builder.run("run-2")
    two = builder.execute("Pusher").execution
    bare = Builder(builder.folder / "bare")
    alone = bare.execute("somewhere", "Trainer").execution
    store = open_store(builder.path)
    assert store.runs([one, two]) == {one: "run-1", two: "run-2"}
    assert store.pipelines([one]) == {one: "taxi"}
    assert store.nodes([one, two]) == {one: "train.again", two: "Pusher"}
    assert [item.id for item in store.executions_of_run("run-2")] == [two]
    other = open_store(bare.path)
    assert (other.runs([alone]), other.pipelines([alone])) == ({}, {})
    assert other.nodes([alone]) == {alone: "Trainer"}


def test_contexts_of_few_and_of_many_executions_are_told_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = many_runs(tmp_path, 30).path
    one_by_one = open_store(path)
    wanted = list(one_by_one.executions())[::2]
    monkeypatch.setattr(mlmd, "_MANY", len(wanted))
    told = [one_by_one.runs(wanted), one_by_one.pipelines(wanted), one_by_one.nodes(wanted)]
    monkeypatch.setattr(mlmd, "_MANY", 3)
    at_once = open_store(path)
    assert told == [at_once.runs(wanted), at_once.pipelines(wanted), at_once.nodes(wanted)]
    assert all(set(found) == set(wanted) for found in told)


def test_types_of_artifacts_tell_what_they_are_a_kind_of(tmp_path: Path) -> None:
    types = open_store(four_runs(tmp_path).path).artifact_types()
    assert (types["Model"], types["Examples"], types["Schema"]) == ("MODEL", "DATASET", "")


def test_a_store_that_is_open_already_can_be_read(builder: Builder) -> None:
    number = builder.artifact("Model", "m")
    assert set(store_of(builder.store).artifacts()) == {number}


# Opening


def test_reading_leaves_the_bytes_alone(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    digest = hashlib.sha256(Path(runs.path).read_bytes()).hexdigest()
    before = sorted(path.name for path in tmp_path.iterdir())
    store = open_store(runs.path)
    store.runs(store.executions())
    store.events_of_artifacts(store.artifacts())
    with pytest.raises(errors.StatusError):
        store.raw.put_artifact_type(pb.ArtifactType(name="Written"))
    assert hashlib.sha256(Path(runs.path).read_bytes()).hexdigest() == digest
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_store_is_read_while_a_pipeline_writes_to_it(builder: Builder) -> None:
    store = open_store(builder.path)
    for number in range(1, 4):
        builder.artifact("Model", f"{number}")
        assert len(store.artifacts()) == number
        assert len(open_store(Path(builder.path)).artifacts()) == number


def test_a_path_with_signs_that_addresses_have_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = Builder(tmp_path / "50% of it? #1")
    builder.artifact("Model", "m")
    assert len(open_store(builder.path).artifacts()) == 1
    monkeypatch.chdir(builder.folder)
    shutil.copy("metadata.db", "file:x.db")
    assert len(open_store("file:x.db").artifacts()) == 1


def refused(place: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        open_store(place)
    message = str(caught.value)
    assert "\n" not in message
    assert str(place) in message
    return message


def test_what_is_no_metadata_store_is_refused(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "gone.db")
    assert f"e.g. {tmp_path / 'metadata.db'}" in refused(tmp_path)
    (tmp_path / "empty.db").touch()
    assert "empty" in refused(tmp_path / "empty.db")
    (tmp_path / "text.db").write_text("this is no database\n" * 100)
    assert "no SQLite file" in refused(tmp_path / "text.db")
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE people (name)")
    connection.close()
    assert "no metadata store" in refused(tmp_path / "other.db")
    assert "Not a directory" in refused(tmp_path / "other.db" / "below")


def test_a_folder_with_a_store_in_it_is_refused_and_the_store_named(builder: Builder) -> None:
    assert refused(builder.folder).endswith(f"name the file in it, {builder.path}")


@pytest.mark.parametrize(("change", "remedy"), [(1, "newer ml-metadata"), (-1, "migrate")])
def test_another_version_of_the_schema_is_refused_and_not_migrated(
    builder: Builder, change: int, remedy: str
) -> None:
    path = builder.folder / "other.db"
    shutil.copy(builder.path, path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE MLMDEnv SET schema_version = schema_version + ?", (change,))
    connection.close()
    before = path.read_bytes()
    message = refused(path)
    assert re.search(r"schema version \d+, and the installed ml-metadata reads \d+", message)
    assert remedy in message
    assert path.read_bytes() == before


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    path = Path(chain(tmp_path, 300).path)
    content = path.read_bytes()
    path.write_bytes(content[:5000])
    assert "cannot be read" in refused(path)


LOCKING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def locked_store(tmp_path: Path) -> Iterator[str]:
    """A store that another process locks; on its way it was opened, and closed again, in this one."""
    path = tmp_path / "locked.db"
    shutil.copy(Builder(tmp_path / "whole").path, path)
    command = [sys.executable, "-c", LOCKING, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield str(path)
        process.kill()


def test_a_store_that_a_writer_locks_is_refused_soon(
    locked_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlmd_connection, "_PATIENCE_SECONDS", 0.1)
    assert "locked by a program that writes to it" in refused(locked_store)


@pytest.mark.parametrize(
    ("error", "told"),
    [(errors.AbortedError("Concurrent writes aborted"), "locked"), (errors.InternalError("Odd"), "Odd")],
)
def test_what_fails_in_reading_is_told(error: errors.StatusError, told: str) -> None:
    class Failing:
        def get_artifacts(self) -> None:
            raise error

    with pytest.raises(InputError, match=f"^here: .*{told}"):
        Store(Failing(), "here").artifacts()


def test_ml_metadata_does_not_log_what_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    class Failing:
        def get_artifacts(self) -> None:
            raise errors.make_exception("Odd", errors.INTERNAL)

    with pytest.raises(InputError):
        Store(Failing(), "here").artifacts()
    assert not caplog.records
    with pytest.raises(errors.InternalError):
        Failing().get_artifacts()
    assert caplog.records


def test_what_may_not_be_read_is_refused(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "permission denied" in refused(builder.path)


def test_an_interrupted_writer_is_named(builder: Builder) -> None:
    path = builder.folder / "interrupted.db"
    with builder.bulk():
        for number in range(300):
            builder.artifact("Step", f"{number}" * 50)
    shutil.copy(builder.path, path)
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA cache_size=1'); c.execute('BEGIN EXCLUSIVE');"
        "c.execute('UPDATE Artifact SET uri = uri || uri'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert f"{path}-journal" in refused(path)


# MySQL


@pytest.mark.parametrize(
    "address",
    [
        f"mysql://user:{PASSWORD}@host/db",
        f"mysql://user:{PASSWORD}@host:3306/db",
        f"mysql://user:a/{PASSWORD}@host/db",
        f"mysql://user:a@{PASSWORD}@host/db",
        f"mysql://user@host:{PASSWORD}/db",
        f"mysql://user@host/db?password={PASSWORD}",
        f"mysql://user@host/db#{PASSWORD}",
        f"mysql://user@[{PASSWORD}/db",
        f"mysql://{PASSWORD}",
        "mysql://host/db",
        "mysql://user@host",
        f"postgresql://user:{PASSWORD}@host/db",
    ],
)
def test_an_address_with_a_password_or_of_another_form_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(address)
    assert PASSWORD not in str(caught.value)
    assert "mysql://user@host:port/database" in str(caught.value) or "TFX_TRUST" in str(caught.value)


def test_a_server_that_does_not_answer_is_told_in_one_line_without_the_password(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(mlmd.PASSWORD_ENV, PASSWORD)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    message = refused(f"mysql://me@127.0.0.1:{port}/db")
    assert "no MySQL server answers" in message
    out, err = capfd.readouterr()
    assert PASSWORD not in message + out + err + caplog.text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (f"Odd: {PASSWORD},\n and again {PASSWORD}", "Odd: ***, and again ***"),
        ("mysql_real_connect failed: errno: , error: ", "refuses this user or the password"),
        ("mysql_query failed: errno: Unknown database 'x'", "no such database"),
        ("CREATE command denied to user", "no pipeline has written a metadata store"),
        ("Concurrent writes aborted after max number of retries.", "locked"),
    ],
)
def test_the_password_comes_from_the_environment_and_goes_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, error: str, told: str
) -> None:
    from ml_metadata.metadata_store import metadata_store

    given = []

    def connect(config: pb.ConnectionConfig) -> None:
        given.append(config)
        raise RuntimeError(error)

    monkeypatch.setattr(metadata_store, "MetadataStore", connect)
    monkeypatch.setenv("MY_PASSWORD", PASSWORD)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(InputError) as caught:
            open_store(f"mysql://m%40e@127.0.0.1:{port}/data_1", password_env="MY_PASSWORD")
    (config,) = given
    assert config.mysql.password == PASSWORD
    assert (config.mysql.host, config.mysql.port) == ("127.0.0.1", port)
    assert (config.mysql.user, config.mysql.database) == ("m@e", "data_1")
    assert config.mysql.skip_db_creation
    message = str(caught.value)
    assert message.startswith(f"mysql://m@e@127.0.0.1:{port}/data_1: ")
    assert told in message
    assert PASSWORD not in message
    assert "\n" not in message


# Places of a store that was moved

NAMES = st.lists(st.sampled_from(["a", "ab", "b", "c"]), min_size=1, max_size=4)


@given(NAMES, NAMES, NAMES)
def test_a_place_below_an_old_folder_is_below_the_new(
    old: list[str], new: list[str], below: list[str]
) -> None:
    before, after, rest = "/" + "/".join(old), "/" + "/".join(new), "/".join(below)
    for ending in ("", "/"):
        assert rewritten(f"{before}/{rest}", [(before + ending, after + ending)]) == f"{after}/{rest}"
    assert rewritten(before, [(before, after)]) == after
    assert rewritten(f"{before}{rest}", [(before, after)]) == f"{before}{rest}"


def test_the_longest_old_beginning_is_replaced() -> None:
    prefixes = [("/a", "/1"), ("/a/b", "/2"), ("gs://bucket", "/3")]
    places = ["/a/x", "/a/b/x", "/a/bc", "gs://bucket/x", "/other"]
    moved = [rewritten(place, prefixes) for place in places]
    assert moved == ["/1/x", "/2/x", "/1/bc", "/3/x", "/other"]


def test_the_root_can_be_old_and_new() -> None:
    assert rewritten("/a/b", [("/", "/mnt")]) == "/mnt/a/b"
    assert rewritten("/mnt/a", [("/mnt", "/")]) == "/a"
    assert rewritten("/mnt", [("/mnt", "/")]) == "/"
    assert rewritten("gs://b/x", [("/", "/mnt")]) == "gs://b/x"
