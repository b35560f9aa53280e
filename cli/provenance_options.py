"""What the commands of ``tfx-trust provenance`` share: options, exit statuses, tables."""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tfx_trust.cli import reporting
from tfx_trust.cli.status import UNDECIDED
from tfx_trust.components.errors import InputError, UsageError

if TYPE_CHECKING:
    import pydantic
    from rich.console import Console
    from rich.table import Table

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

metadata_option = click.option(
    "--metadata", metavar="DB", required=True, help="Metadata store: a SQLite file, or mysql://USER@HOST/DB."
)
rewrite_option = click.option(
    "--rewrite-prefix",
    "rewrite",
    multiple=True,
    metavar="OLD=NEW",
    help="Where files lie now, if they were moved: the beginning of their places then, and now. Repeatable.",
)
json_option = click.option(
    "--json", "json_file", metavar="FILE", help="Write the answer as JSON; - for standard output."
)


def command(name: str, **more: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """A subcommand; what cannot be read or checked ends with status 4 and one line."""

    def made(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def checked(*args: Any, **options: Any) -> Any:
            try:
                return function(*args, **options)
            except InputError as error:
                message = _one_line(str(error))
            except UnicodeEncodeError as error:
                # Metadata stores, among others, know names of files that are UTF-8 alone.
                message = f"{error.object[:200]!r}: a name that is no UTF-8; give the file another, or a link"
            click.echo(f"tfx-trust: {message}", err=True)
            sys.exit(UNDECIDED)

        return click.command(name, context_settings={"help_option_names": ["-h", "--help"]}, **more)(checked)

    return made


def _one_line(message: str) -> str:
    return re.sub(r"\s*\n\s*", "; ", message.strip())


def prefixes(rewrite: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of ``--rewrite-prefix``.

    Raises
    ------
    UsageError
        If one is not of the form OLD=NEW.
    """
    return [
        reporting.name_and_value("--rewrite-prefix", text, "OLD=NEW", "/old/runs=/mnt/runs")
        for text in rewrite
    ]


# Progress


@contextmanager
def hashing(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A line on a terminal that says how many files and bytes have been read; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True, markup=False, highlight=False).status(what) as status:
        yield lambda files, size: status.update(f"{what}: {files:,} files, {size_of(size)}")


# Words and tables


def size_of(size: int) -> str:
    """Bytes as people say them, on pages too."""
    from tfx_trust.components.page.words import size as said

    return said(size)


def short(digest: str | None) -> str:
    """A digest as a table shows it; a dash where there is none."""
    return "–" if digest is None else digest[:12]


def when(time: str) -> str:
    """A time as a table shows it: to the minute.

    Examples
    --------
    >>> when("2026-11-25T20:40:31+00:00")
    '2026-11-25 20:40'
    """
    return time[:16].replace("T", " ")


def yes_or_no(value: bool | None, unknown: str = "–") -> str:
    """A flag in a table."""
    return unknown if value is None else "yes" if value else "no"


def console() -> Console:
    """Where tables go: as wide as the terminal; 80 columns elsewhere."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)


def table(*headings: str) -> Table:
    """A table without lines, whose texts are folded rather than cut off."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made


def say_unknowns(unknowns: Iterable[str]) -> None:
    """What could not be established, last, so that it is seen."""
    for text in unknowns:
        click.echo(f"{click.style('not known', fg='yellow')}  {text}")


def json_of(answer: pydantic.BaseModel) -> str:
    """An answer as JSON text; it may name a file whose name is no text."""
    return json.dumps(answer.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def write_json(text: str, json_file: str | None) -> None:
    """Writes JSON text where it was asked for.

    Raises
    ------
    UsageError
        If it cannot be written there.
    """
    if json_file == reporting.STANDARD_OUTPUT:
        click.echo(text, nl=False)
    elif json_file is not None:
        reporting.write_text(json_file, text)


def needed(value: str | None, message: str) -> str:
    """A value that must be given.

    Raises
    ------
    UsageError
        With `message`, if it is not.
    """
    if not value:
        raise UsageError(message)
    return value
