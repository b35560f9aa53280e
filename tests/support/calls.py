"""Calling the command in this process, and asking what a call of it loads."""

import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest

from tfx_trust.cli.main import main
from tfx_trust.components import Report

HEAVY = ("tensorflow", "tfx", "tfx_bsl", "apache_beam", "tensorflow_metadata")
"""What a command on CSV and Parquet has no need of."""

ReportT = TypeVar("ReportT", bound=Report)


@dataclass(frozen=True)
class Called(Generic[ReportT]):
    """What a call of the command did."""

    status: int
    out: str
    err: str
    kind: type[ReportT]

    @property
    def report(self) -> ReportT:
        """The report on standard output."""
        return self.kind.model_validate_json(self.out)


@dataclass(frozen=True)
class Call(Generic[ReportT]):
    """Calls a subcommand of ``tfx-trust`` in this process, in a folder of its own.

    Parameters
    ----------
    name
        Of the subcommand.
    kind
        Class of its report.
    """

    name: str
    kind: type[ReportT]
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    folder: Path

    def __call__(self, *arguments: object) -> Called[ReportT]:
        self.monkeypatch.chdir(self.folder)
        self.monkeypatch.setattr("sys.argv", ["tfx-trust", self.name, *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = self.capsys.readouterr()
        return Called(int(str(exit_.value.code or 0)), captured.out, captured.err, self.kind)


def write_csv(path: Path, columns: dict[str, list[Any]]) -> Path:
    """Writes columns as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def modules_after(folder: Path, *arguments: str) -> set[str]:
    """Names of the modules that a call of the command in a process of its own has loaded."""
    program = (
        "import atexit, json, sys\n"
        "from tfx_trust.cli.main import main\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr))
