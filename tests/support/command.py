"""Calling the command as a user would."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CommandRun:
    """What a call of ``tfx-trust run`` did."""

    status: int
    screen: str
    root: Path

    @property
    def states(self) -> dict[str, str]:
        """State by node, as the screen told it at last."""
        known = ("done", "cached", "failed", "not_run")
        lines = [line.lstrip("✓=✗- ").split() for line in self.screen.splitlines()]
        return {words[0]: words[1] for words in lines if len(words) >= 2 and words[1] in known}

    @property
    def served(self) -> list[str]:
        """Versions in the serving folder."""
        folder = self.root / "serving"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def run_census(root: Path, *arguments: str) -> CommandRun:
    """``tfx-trust run --root ROOT …`` in a process of its own."""
    command = [str(Path(sys.executable).with_name("tfx-trust")), "run", "--root", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return CommandRun(done.returncode, done.stdout + done.stderr, root)
