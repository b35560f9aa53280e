"""``tfx-trust provenance``: where a model came from, whether it is what it was, and what came of what."""

from __future__ import annotations

import importlib

import click

_COMMANDS = {
    "diff": "Tell what two models differ in.",
    "export": "Write a record in the form of PROV, OpenLineage, CycloneDX, Croissant or SLSA.",
    "keygen": "Make a pair of keys to sign with.",
    "query": "Tell what is in a model, which models came of something, and what to do if it goes.",
    "record": "Record where a model came from, byte by byte, and sign it.",
    "verify": "Check that a model and what it came from are as they were recorded.",
}


class _Lazy(click.Group):
    """Imports a subcommand when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"tfx_trust.cli.provenance_{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    "provenance",
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 all is well, 1 an error in running, 2 wrong usage, 3 tampered with, or the "
    "verdict is fail, 4 it could not be checked.",
)
def command() -> None:
    """Provenance of models, from any TFX metadata store.

    A store is the path of a SQLite file, or mysql://USER@HOST/DB with the password in the environment
    variable TFX_TRUST_METADATA_PASSWORD. It is only read.
    """
