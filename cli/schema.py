"""``tfx-trust schema``: the JSON Schema of a report or settings file."""

from __future__ import annotations

import click

from tfx_trust import schemas
from tfx_trust.components.errors import unknown


@click.command("schema", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """Print the JSON Schema NAME; without a name, list those there are."""
    known = schemas.json_schemas()
    if name is None:
        click.echo("\n".join(known))
        return
    if name not in known:
        raise unknown("schema", name, known)
    click.echo(known[name].read_text(encoding="utf-8"), nl=False)
