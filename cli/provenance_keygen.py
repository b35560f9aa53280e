"""``tfx-trust provenance keygen``: a pair of keys to sign with."""

from __future__ import annotations

import click

from tfx_trust.cli import provenance_options as options
from tfx_trust.components.errors import InputError, UsageError


@options.command("keygen")
@click.option(
    "--out",
    metavar="KEY.pem",
    default="key.pem",
    show_default=True,
    help="File of the private key; none is overwritten.",
)
def command(out: str) -> None:
    """Make a pair of keys, ECDSA over P-256.

    The private key has no password and is readable by its owner alone; the public key goes beside it, as
    KEY.pub.
    """
    from tfx_trust.components.provenance.keys import generate_key, key_id, load_public

    try:
        public = generate_key(out)
    except InputError as error:
        raise UsageError(str(error)) from None
    click.echo(f"private key  {out}")
    click.echo(f"public key   {public}")
    click.echo(f"its id       {key_id(load_public(public))}")
    click.echo(
        "Keep the private key where nobody else can read it, and give the public one to all who verify."
    )
