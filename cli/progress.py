"""What the screen shows of a running pipeline, while the libraries' own talk goes to a file."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

_MARKS = {
    "done": ("✓", "green"),
    "cached": ("=", "cyan"),
    "failed": ("✗", "bold red"),
    "not_run": ("-", "dim"),
}


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[Console]:
    """Sends all output of this process to `log`; yields a console that still reaches the screen.

    TensorFlow writes to the file descriptors from C++, so these are what is redirected.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    screen, errors = os.dup(1), os.dup(2)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    logging.getLogger().setLevel(logging.INFO)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        with os.fdopen(os.dup(screen), "w", encoding="utf-8") as file:
            yield Console(file=file, highlight=False, markup=False, soft_wrap=True)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(screen, 1)
        os.dup2(errors, 2)
        for descriptor in (screen, errors, target):
            os.close(descriptor)


class NodeLines:
    """One line a node: name and state, and how long it took; on a terminal the running one moves."""

    def __init__(self, console: Console, width: int) -> None:
        self._console = console
        self._width = width
        self._live: Live | None = None

    def started(self, node: str) -> None:
        """Says that the node runs."""
        if self._console.is_terminal:
            # It must not catch the process's own output: that belongs to the log.
            self._live = Live(
                _Clock(node, self._width),
                console=self._console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        else:
            self._console.print(f"  {node:<{self._width}}  running")

    def ended(self, node: str, state: str, seconds: float) -> None:
        """Says how it went."""
        if self._live:
            self._live.stop()
            self._live = None
        mark, style = _MARKS[state]
        self._console.print(
            Text.assemble(
                (mark, style), f" {node:<{self._width}}  ", (f"{state:<8}", style), f"{seconds:7.1f} s"
            )
        )


class _Clock:
    """A spinner with the seconds that have passed."""

    def __init__(self, node: str, width: int) -> None:
        self._begin = time.monotonic()
        self._spinner = Spinner("dots")
        self._label = f"{node:<{width}}  running "

    def __rich__(self) -> Spinner:
        self._spinner.update(text=f"{self._label}{time.monotonic() - self._begin:7.1f} s")
        return self._spinner
