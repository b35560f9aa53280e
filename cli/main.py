"""Entry point."""

from __future__ import annotations

import io
import sys
from importlib import metadata

import click

from tfx_trust.cli.lazy import LazyGroup
from tfx_trust.cli.status import ERROR, USAGE
from tfx_trust.components.errors import TrustError, UsageError

_COMMANDS = {
    "fairness": "Compare the errors of a model between groups of people.",
    "leakage": "Check two files, train and eval, for leakage.",
    "privacy": "Cost of private training, the noise that it takes, and what a model gives away.",
    "provenance": "Where a model came from: record, sign, verify, ask, compare and export.",
    "run": "Run the census trust pipeline: data to release decision, model and overview page.",
    "schema": "Print the JSON Schema of a report or settings file.",
}


@click.group(
    cls=LazyGroup,
    modules="tfx_trust.cli.",
    summaries=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 pass or warn, 1 an error in running, 2 wrong usage, 3 the verdict is fail, "
    "4 it could not be decided.",
)
@click.version_option(metadata.version("tfx-trust"), prog_name="tfx-trust")
def cli() -> None:
    """Trust gates for TFX pipelines."""


def main() -> None:
    """Runs the command; our own errors end in one line instead of a stack."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files need not be text.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        cli()
    except TrustError as error:
        click.echo(f"tfx-trust: {error}", err=True)
        sys.exit(USAGE if isinstance(error, UsageError) else ERROR)
