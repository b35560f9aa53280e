"""``tfx-trust provenance``: where a model came from, whether it is what it was, and what came of what."""

from __future__ import annotations

import click

from tfx_trust.cli.lazy import LazyGroup

_COMMANDS = {
    "diff": "Tell what two models differ in.",
    "export": "Write a record in the form of PROV, OpenLineage, CycloneDX, Croissant or SLSA.",
    "keygen": "Make a pair of keys to sign with.",
    "query": "Tell what is in a model, which models came of something, and what to do if it goes.",
    "record": "Record where a model came from, byte by byte, and sign it.",
    "verify": "Check that a model and what it came from are as they were recorded.",
}


@click.group(
    "provenance",
    cls=LazyGroup,
    modules="tfx_trust.cli.provenance_",
    summaries=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 all is well, 1 an error in running, 2 wrong usage, 3 tampered with, or the "
    "verdict is fail, 4 it could not be checked.",
)
def command() -> None:
    """Provenance of models, from any TFX metadata store.

    A store is the path of a SQLite file, or mysql://USER@HOST/DB with the password in the environment
    variable TFX_TRUST_METADATA_PASSWORD. It is only read.
    """
