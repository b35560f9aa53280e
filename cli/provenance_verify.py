"""``tfx-trust provenance verify``: whether a model, and what it came from, are as they were recorded."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING

import click

from tfx_trust.cli import provenance_options as options
from tfx_trust.cli import reporting

if TYPE_CHECKING:
    from tfx_trust.components.provenance.verification import Verification

_COLOURS = {"tampered": "red", "unchecked": "yellow"}


@options.command("verify")
@click.argument("folder", metavar="DIR")
@click.option(
    "--model",
    metavar="MODEL_DIR",
    help="Where the model lies now, or a pushed copy; where it was if not given.",
)
@click.option(
    "--public-key",
    metavar="KEY.pub",
    help="Key of whoever must have signed. The one that lies beside the signatures tells less.",
)
@options.rewrite_option
@options.json_option
def command(
    folder: str, model: str | None, public_key: str | None, rewrite: tuple[str, ...], json_file: str | None
) -> None:
    """Check what the record in DIR tells: all files of the model and of what it came from, and signatures.

    DIR is what `record` wrote, or the artifact of ProvenanceTracker. Exit status: 0 all is as it was
    recorded, 3 something was tampered with, 4 something could not be checked.
    """
    from tfx_trust.components.provenance.verify import verify

    reporting.check_writable(json_file)
    with reporting.working(f"checking what {folder} tells"):
        found = verify(folder, model=model, public_key=public_key, rewrite=options.prefixes(rewrite))
    options.write_json(found.to_json(), json_file)
    if json_file != reporting.STANDARD_OUTPUT:
        _say(found)
        if json_file is not None:
            click.echo(f"answer  {json_file}")
    sys.exit(found.status)


def _say(found: Verification) -> None:
    from tfx_trust.components.provenance.verification import printable

    # What to do about all files of an artifact is the same: it is told once.
    for remedy, problems in itertools.groupby(found.problems, key=lambda problem: problem.remedy):
        for problem in problems:
            kind = click.style(f"{problem.kind:<9}", fg=_COLOURS[problem.kind])
            click.echo(f"{kind}  {problem.subject}  {problem.message}")
        if remedy:
            click.echo(f"{'':11}What to do: {remedy}")
    words = {0: ("intact", "green"), 3: ("tampered with", "red"), 4: ("not all checked", "yellow")}
    told, colour = words[found.status]
    checked = found.checked
    click.echo(
        f"{click.style(told, bold=True, fg=colour)}: {checked.files:,} files "
        f"({options.size_of(checked.bytes)}) of {_counted(checked.artifacts, 'artifact')} and "
        f"{_counted(checked.sources, 'source')}"
    )
    signed = ", ".join(checked.signatures) or "none"
    key = f", by key {found.key_id[:12]}" if found.key_id and checked.signatures else ""
    click.echo(f"signatures that hold  {signed}{key}")
    for note in found.notes:
        click.echo(f"note  {printable(note)}")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
