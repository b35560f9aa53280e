"""The command on wrong usage and for help: no pipeline is run here."""

import fcntl
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tfx_trust.cli.main import cli, main
from tfx_trust.cli.status import status_of
from tfx_trust.components import Verdict


def called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[object, str]:
    monkeypatch.setattr("sys.argv", ["tfx-trust", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    captured = capsys.readouterr()
    return exit_.value.code, captured.out + captured.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--scenario", "claen"], "unknown scenario 'claen': known are .*; did you mean 'clean'?"),
        (["run", "--runner", "airflow"], "'airflow' is not one of 'local', 'beam'"),
        (["run", "--data", "nowhere"], "Directory 'nowhere' does not exist"),
        (["run", "--frobnicate"], "No such option"),
        (["schema", "raport"], "unknown schema 'raport'.*did you mean 'report'?"),
        (["frobnicate"], "No such command"),
    ],
)
def test_wrong_usage_is_named_and_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    status, screen = called(monkeypatch, capsys, *arguments)
    assert status == 2
    assert re.search(said, screen), screen
    assert "Traceback" not in screen


def test_help_names_every_command() -> None:
    done = CliRunner().invoke(cli, ["--help"])
    assert done.exit_code == 0
    for name in ("fairness", "leakage", "privacy", "run", "schema"):
        assert f"\n  {name} " in done.output


def test_schema_prints_json_and_lists_the_names() -> None:
    names = CliRunner().invoke(cli, ["schema"]).output.split()
    assert "report" in names
    for name in names:
        assert json.loads(CliRunner().invoke(cli, ["schema", name]).output)["type"] == "object"


@pytest.mark.parametrize(
    ("verdict", "status"),
    [("pass", 0), ("warn", 0), ("fail", 3), ("inconclusive", 4), ("not_run", 4)],
)
def test_the_exit_status_tells_the_verdict(verdict: str, status: int) -> None:
    assert status_of(Verdict(verdict)) == status


def test_a_root_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    status, screen = called(monkeypatch, capsys, "run", "--root", str(tmp_path / "file"))
    assert status == 2
    assert "is a file" in screen
    status, screen = called(monkeypatch, capsys, "run", "--root", str(tmp_path / "file" / "below"))
    assert status == 2
    assert "cannot be made" in screen


@pytest.mark.parametrize("content", [b"no database at all" * 99, b"SQLite format 3\0" + bytes(3000)])
def test_a_damaged_metadata_store_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "metadata.db").write_bytes(content)
    status, screen = called(monkeypatch, capsys, "run", "--root", str(tmp_path))
    assert status == 1
    assert f"{tmp_path / 'metadata.db'}: damaged" in screen


def test_a_root_in_use_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "run.log").write_text("of the other run")
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, screen = called(monkeypatch, capsys, "run", "--root", str(tmp_path))
    assert status == 1
    assert "another run uses this root" in screen
    assert (tmp_path / "run.log").read_text() == "of the other run"


def test_another_pages_folder_is_not_taken_for_a_root(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("mine")
    status, screen = called(monkeypatch, capsys, "run", "--root", str(tmp_path))
    assert status == 2
    assert "has an index.html but no run" in screen
    assert (tmp_path / "index.html").read_text() == "mine"
