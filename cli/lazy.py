"""Commands whose modules are imported when they are asked for, so that ``--help`` answers at once."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group of commands, each the ``command`` of a module of its own.

    Parameters
    ----------
    modules
        Beginning of the modules' names; that of the command follows.
    summaries
        What each does, by name, in the order in which they are listed.
    """

    def __init__(self, *args: Any, modules: str, summaries: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules
        self._summaries = dict(summaries)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return list(self._summaries)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of a name; none if there is none."""
        if name not in self._summaries:
            return None
        command: click.Command = importlib.import_module(f"{self._modules}{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists them without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))
