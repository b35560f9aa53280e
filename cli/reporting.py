"""What the commands of gates share: options, settings, and how a report is written and told."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from tfx_trust.cli.status import status_of
from tfx_trust.components.errors import UsageError

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

    from tfx_trust.components.report import Report
    from tfx_trust.components.settings import Settings

SettingsT = TypeVar("SettingsT", bound="Settings")
CommandT = TypeVar("CommandT", bound=Callable[..., Any])

STANDARD_OUTPUT = "-"


# Options


def gate_command(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command of a gate, with ``-h`` besides ``--help``."""
    return click.command(name, context_settings={"help_option_names": ["-h", "--help"]})


def file_options(command: CommandT) -> CommandT:
    """The options of every gate's command, after its own: how files are read, and where the report goes."""
    options = [
        click.option(
            "--format",
            "kind",
            type=click.Choice(["csv", "parquet", "tfrecord"]),
            help="If the ending does not tell.",
        ),
        click.option("--schema", metavar="FILE", help="Schema (.pbtxt) of TFRecords."),
        click.option(
            "--settings",
            "settings_file",
            metavar="FILE",
            help="All settings, as JSON; options go before them.",
        ),
        click.option(
            "--json", "json_file", metavar="FILE", help="Write the report as JSON; - for standard output."
        ),
        click.option("--html", "html_file", metavar="FILE", help="Write the report as a page."),
    ]
    # As decorators do: the last one is applied first.
    for option in reversed(options):
        command = option(command)
    return command


def name_and_value(option: str, text: str, form: str, example: str) -> tuple[str, str]:
    """The two sides of an option such as ``--key NAME=F,F``.

    Raises
    ------
    UsageError
        If there is no ``=``, or nothing on one side of it.

    Examples
    --------
    >>> name_and_value("--key", "person=name,birthday", "NAME=F,F", "person=name")
    ('person', 'name,birthday')
    """
    name, _, value = text.partition("=")
    if not (name and value):
        raise UsageError(f"{option} {text!r}: expected {form}, e.g. {example}")
    return name, value


# Settings


def settings_of(
    kind: type[SettingsT], path: str | None, given: Mapping[str, Any], needed: Mapping[str, str]
) -> SettingsT:
    """The settings of a file, replaced or completed by the options.

    Parameters
    ----------
    kind
        The class of the settings.
    path
        File with settings as JSON.
    given
        Those that the options say.
    needed
        What to say of a setting that has no default, by name.

    Raises
    ------
    UsageError
        If the file cannot be read, or a setting is missing, unknown or not allowed.
    """
    known = {**(_settings_of_file(path) if path is not None else {}), **given}
    try:
        return kind.of(known)
    except UsageError:
        missing = [told for name, told in needed.items() if name not in known]
        # A misspelt setting is told before the one that may be missing because of it.
        if missing and known.keys() <= kind.model_fields.keys():
            raise UsageError(missing[0]) from None
        raise


def _settings_of_file(path: str) -> dict[str, Any]:
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); name a file with settings") from None
    except ValueError as error:
        raise UsageError(f"{path}: no JSON ({error}); correct it") from None
    if not isinstance(given, dict):
        raise UsageError(
            f'{path}: settings are names and values, e.g. {{"label": "defaulted"}}; write them so'
        )
    return given


# TFRecords


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Around the import of what loads TensorFlow: its messages are of no use here."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_schema(path: str | None) -> schema_pb2.Schema | None:
    """The schema in a file; none if none is named.

    Raises
    ------
    UsageError
        If the file cannot be read.
    InputError
        If it is no schema.
    """
    if path is None:
        return None
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); name a schema's file") from None
    with quiet_tensorflow():
        from tfx_trust.components.standard import parse_schema
    return parse_schema(text, path)


# What is told


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """A sign of life, on a terminal only."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True, markup=False).status(what):
        yield


def check_writable(*paths: str | None) -> None:
    """Tells before the work, and not after it, that a file cannot be written.

    Raises
    ------
    UsageError
        If one cannot.
    """
    for path in paths:
        if path is None or path == STANDARD_OUTPUT:
            continue
        target = Path(path)
        if target.is_dir():
            raise UsageError(f"{path}: is a folder; name a file to write")
        if not target.absolute().parent.is_dir():
            raise UsageError(f"{path}: no such folder to write to; make it first")


def finish(report: Report, counted: str, json_file: str | None, html_file: str | None) -> NoReturn:
    """Writes and tells a report, and exits with the status of its verdict.

    Parameters
    ----------
    report
        The report.
    counted
        What was looked at, e.g. ``300 examples``.
    json_file, html_file
        Where to write; ``-`` as the former is standard output, which then has nothing else.
    """
    _write(report, json_file, html_file)
    if json_file != STANDARD_OUTPUT:
        _say(report)
        click.echo(f"\n{counted}")
        for name, path in (("report", json_file), ("page", html_file)):
            if path is not None:
                click.echo(f"{name:<8}{path}")
    sys.exit(status_of(report.verdict))


def _write(report: Report, json_file: str | None, html_file: str | None) -> None:
    if html_file is not None:
        from tfx_trust.components.page import render_report

        write_text(html_file, render_report(report, str(Path(html_file).resolve().parent)))
    if json_file == STANDARD_OUTPUT:
        click.echo(report.to_json(), nl=False)
    elif json_file is not None:
        write_text(json_file, report.to_json())


def write_text(path: str, text: str) -> None:
    """Writes a file that was asked for.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    try:
        # A file's name may be no text; in JSON it is escaped so.
        Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); name another file") from None


def _say(report: Report) -> None:
    """The verdict, what was found, and what to do about it."""
    from tfx_trust.components.page.words import summary
    from tfx_trust.components.report import Severity

    colours = {"fail": "red", "warn": "yellow", "pass": "green"}
    verdict = click.style(f"{report.verdict}", bold=True, fg=colours.get(str(report.verdict)))
    click.echo(f"{verdict}: {summary(report)}\n")
    width = max((len(str(finding.severity)) for finding in report.findings), default=0)
    for finding in report.findings:
        severity = click.style(f"{finding.severity!s:<{width}}", fg=colours.get(str(finding.severity)))
        click.echo(f"{severity}  {finding.message}")
        if finding.remedy and finding.severity is not Severity.INFO:
            click.echo(f"{'':{width}}  What to do: {finding.remedy}")
