"""What several test files share: whole runs of the census pipeline, each made once."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class CommandRun:
    """What a call of the command did."""

    status: int
    screen: str
    root: Path

    @property
    def states(self) -> dict[str, str]:
        """State by node, as the screen told it at last."""
        lines = [
            line.replace("✓", " ").replace("=", " ").replace("✗", " ").split()
            for line in self.screen.splitlines()
        ]
        known = ("done", "cached", "failed", "not_run")
        return {words[0]: words[1] for words in lines if len(words) >= 2 and words[1] in known}

    @property
    def served(self) -> list[str]:
        """Versions in the serving folder."""
        folder = self.root / "serving"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def tfx_trust(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Calls the command as a user would."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("tfx-trust")), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def run_census(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., CommandRun]:
    def run(*arguments: str, root: Path | None = None) -> CommandRun:
        root = root or tmp_path_factory.mktemp("census")
        done = tfx_trust("run", "--root", str(root), *arguments)
        return CommandRun(done.returncode, done.stdout + done.stderr, root)

    return run


@pytest.fixture(scope="session")
def first_run(run_census: Callable[..., CommandRun]) -> CommandRun:
    """The census pipeline, run for the first time in a root of its own."""
    return run_census()


@pytest.fixture(scope="session")
def second_run(first_run: CommandRun, run_census: Callable[..., CommandRun]) -> CommandRun:
    """The same once more, over the same root."""
    return run_census(root=first_run.root)
