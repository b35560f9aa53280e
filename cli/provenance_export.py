"""``tfx-trust provenance export``: a record in the form of a standard."""

from __future__ import annotations

from pathlib import Path

import click

from tfx_trust.cli import provenance_options as options
from tfx_trust.cli import reporting
from tfx_trust.components.errors import UsageError

# Those of tfx_trust.components.provenance.exports, which --help does without.
_FORMATS = ("prov", "openlineage", "cyclonedx", "croissant", "slsa")


@options.command("export")
@click.argument("folder", metavar="DIR")
@click.option(
    "--format", "form", type=click.Choice(_FORMATS), required=True, help="Which standard to write it by."
)
@click.option(
    "--out",
    metavar="FILE|DIR",
    help="File to write, or a folder, which gets a file of the usual name; standard output if not given.",
)
def command(folder: str, form: str, out: str | None) -> None:
    """Write the record in DIR as W3C PROV-JSON, OpenLineage events, a CycloneDX ML-BOM, Croissant, or SLSA.

    Croissant describes a source of data, so there is a file for each: --out is a folder if there are several.
    """
    from tfx_trust.components.provenance.exports import export
    from tfx_trust.components.provenance.record import Record

    record = Record.load(folder)
    where = Path(folder) if Path(folder).is_dir() else Path(folder).parent
    texts = export(record, form, folder=where)
    if not texts:
        click.echo(f"nothing of this record can be told as {form}: it has no source of files", err=True)
        return
    if out is None or out == reporting.STANDARD_OUTPUT:
        if len(texts) > 1:
            raise UsageError(f"--format {form} makes {len(texts)} files: name a folder for them by --out")
        click.echo(next(iter(texts.values())), nl=False)
        return
    for path in _written(texts, Path(out)):
        click.echo(path)


def _written(texts: dict[str, str], out: Path) -> list[str]:
    if len(texts) == 1 and not out.is_dir():
        reporting.check_writable(str(out))
        paths = {str(out): next(iter(texts.values()))}
    else:
        if out.exists() and not out.is_dir():
            raise UsageError(f"{out}: is a file, and there are {len(texts)} to write; name a folder")
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{out}: cannot be made ({error.strerror}); name another folder") from None
        paths = {str(out / name): text for name, text in texts.items()}
    for path, text in paths.items():
        reporting.write_text(path, text)
    return list(paths)
