"""``tfx-trust leakage``: the leakage checks on plain files."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfx_trust.cli.status import status_of
from tfx_trust.components.errors import InputError, UsageError, unknown

if TYPE_CHECKING:
    import pyarrow as pa

    from tfx_trust.components.leakage.config import LeakageSettings
    from tfx_trust.components.leakage.files import Format
    from tfx_trust.components.leakage.report import LeakageReport

STANDARD_OUTPUT = "-"
# No column has it: pydantic wants a label, and that there is none is told by us.
_NO_LABEL = "\0"


@click.command("leakage", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("train")
@click.argument("evaluation", metavar="EVAL")
@click.option("--label", metavar="L", help="Column of the label.")
@click.option(
    "--feature", multiple=True, metavar="F", help="Column to look at; all if not given. Repeatable."
)
@click.option(
    "--exclude", multiple=True, metavar="F", help="Column that tells rows apart and says nothing; repeatable."
)
@click.option(
    "--group", multiple=True, metavar="F", help="Column that names a person or the like; repeatable."
)
@click.option("--time", metavar="F", help="Column of the time.")
@click.option(
    "--time-format", metavar="FORMAT", help="How times are written, as of strptime; ISO 8601 if not given."
)
@click.option("--weight", metavar="F", help="Column of the example weight.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="NAME=F,F",
    help="Further columns to count overlap by; repeatable.",
)
@click.option("--score", metavar="S", help="Column of the model's score: in PREDICTIONS, or else in EVAL.")
@click.option(
    "--predictions", metavar="PREDICTIONS", help="File with the score of each row of EVAL, in the same order."
)
@click.option(
    "--format", "kind", type=click.Choice(["csv", "parquet", "tfrecord"]), help="If the ending does not tell."
)
@click.option("--schema", metavar="FILE", help="Schema (.pbtxt) of TFRecords.")
@click.option(
    "--settings", "settings_file", metavar="FILE", help="All settings, as JSON; options go before them."
)
@click.option("--json", "json_file", metavar="FILE", help="Write the report as JSON; - for standard output.")
@click.option("--html", "html_file", metavar="FILE", help="Write the report as a page.")
def command(
    train: str,
    evaluation: str,
    predictions: str | None,
    score: str | None,
    kind: str | None,
    schema: str | None,
    settings_file: str | None,
    json_file: str | None,
    html_file: str | None,
    **options: Any,
) -> None:
    """Check TRAIN and EVAL for leakage: CSV with a header, Parquet, or TFRecords of tf.Example.

    Each is a file, a folder or a quoted pattern.
    """
    from tfx_trust.components.leakage.files import format_of, paths_of
    from tfx_trust.components.report import InputRef

    settings = _settings(settings_file, options)
    if score == settings.label:
        raise UsageError(f"--score {score!r} is the label; name the column of the model's score")
    for path in (json_file, html_file):
        _check_writable(path)
    sides = paths_of(train), paths_of(evaluation)
    told = format_of([*sides[0], *sides[1]], kind)
    with _working(f"comparing {train} with {evaluation}"):
        if told == "tfrecord":
            report = _of_records(*sides, settings, schema, score, predictions)
        else:
            if schema is not None:
                raise UsageError("--schema is for TFRecords; CSV and Parquet tell their types themselves")
            report = _of_tables(*sides, told, settings, score, predictions)
    report.inputs = {
        name: [InputRef(uri=path) for path in paths]
        for name, paths in zip(settings.splits, sides, strict=True)
    }
    _write(report, json_file, html_file)
    if json_file != STANDARD_OUTPUT:
        _say(report)
        for name, path in (("report", json_file), ("page", html_file)):
            if path is not None:
                click.echo(f"{name:<8}{path}")
    sys.exit(status_of(report.verdict))


# Settings


def _settings(path: str | None, options: dict[str, Any]) -> LeakageSettings:
    """The settings of the file, replaced or completed by the options."""
    from tfx_trust.components.leakage.config import LeakageSettings

    given = _settings_of_file(path) if path is not None else {}
    lists = {"features": options["feature"], "exclude": options["exclude"], "groups": options["group"]}
    given |= {name: list(values) for name, values in lists.items() if values}
    names = ("label", "time", "time_format", "weight")
    given |= {name: options[name] for name in names if options[name] is not None}
    if options["keys"]:
        given["keys"] = dict(_key(text) for text in options["keys"])
    # A misspelt setting is told before the label that may be missing because of it.
    settings = LeakageSettings.of({"label": _NO_LABEL, **given})
    if settings.label == _NO_LABEL:
        raise UsageError("no label: name its column by --label")
    return settings


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


def _key(text: str) -> tuple[str, list[str]]:
    name, _, columns = text.partition("=")
    if not (name and columns):
        raise UsageError(f"--key {text!r}: expected NAME=F,F, e.g. person=name,birthday")
    return name, columns.split(",")


# Checks


def _of_tables(
    train: list[str],
    evaluation: list[str],
    kind: Format,
    settings: LeakageSettings,
    score: str | None,
    predictions: str | None,
) -> LeakageReport:
    from tfx_trust.components.leakage.check import check_leakage
    from tfx_trust.components.leakage.files import read_tables

    _check_memory([*train, *evaluation], kind, settings)
    # Arrow would read what looks like a number or another format's date in its own way.
    texts = [settings.time] if settings.time and settings.time_format else []
    first, second = read_tables(train, evaluation, kind, texts=texts)
    scores = None
    if predictions is not None:
        scores = _predictions(predictions, score)
    elif score is not None:
        scores = _column(second, score, evaluation[0])
        # A score is no feature, in train neither.
        first, second = (
            table.drop([score]) if score in table.column_names else table for table in (first, second)
        )
    return check_leakage(first, second, settings, scores=scores)


def _check_memory(paths: list[str], kind: Format, settings: LeakageSettings) -> None:
    """Refuses what does not fit into memory: tables are compared in this process alone."""
    from tfx_trust.components.leakage.files import estimate_mb

    if settings.driver == "beam":
        raise UsageError("driver 'beam' is for TFRecords; write the rows as such, or leave driver out")
    needed = estimate_mb(paths, kind) if settings.driver == "auto" else 0
    if needed > settings.memory_limit_mb:
        raise InputError(
            f"the files take about {needed:,} MB in memory, the limit is {settings.memory_limit_mb:,} MB; "
            "raise memory_limit_mb in --settings, or write TFRecords, which Beam compares piece by piece"
        )


def _of_records(
    train: list[str],
    evaluation: list[str],
    settings: LeakageSettings,
    schema: str | None,
    score: str | None,
    predictions: str | None,
) -> LeakageReport:
    if score is not None and predictions is None:
        raise UsageError(
            "--score of TFRecords needs --predictions FILE: a CSV or Parquet with a row for each example"
        )
    # TensorFlow's messages are of no use here.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tfx_trust.components.leakage.examples_driver import check_examples

    known = None
    if schema is not None:
        from tfx_trust.components.standard import parse_schema

        try:
            known = parse_schema(Path(schema).read_text(encoding="utf-8"), schema)
        except OSError as error:
            raise UsageError(f"{schema}: cannot be read ({error.strerror}); name a schema's file") from None
    scores = None
    if predictions is not None:
        scores = _predictions(predictions, score).to_numpy()
        if scores.dtype.kind not in "fiu":
            raise InputError(f"{predictions}: scores of TFRecords are numbers, found text; give numbers")
    return check_examples(train, evaluation, settings, schema=known, scores=scores)


def _predictions(place: str, score: str | None) -> pa.ChunkedArray:
    """The scores in a file of their own."""
    from tfx_trust.components.leakage.files import format_of, paths_of, read_table

    paths = paths_of(place)
    kind = format_of(paths)
    if kind == "tfrecord":
        raise UsageError(f"{place}: predictions are read from CSV or Parquet; write them as such")
    table = read_table(paths, kind)
    if score is None:
        if table.num_columns != 1:
            raise UsageError(
                f"{place}: has {', '.join(table.column_names)}; name the score's column by --score"
            )
        score = table.column_names[0]
    return _column(table, score, place)


def _column(table: pa.Table, name: str, place: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise unknown(f"score column of {place}", name, table.column_names)
    return table[name]


# What is told


@contextlib.contextmanager
def _working(what: str) -> Iterator[None]:
    """A sign of life, on a terminal only."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True, markup=False).status(what):
        yield


def _check_writable(path: str | None) -> None:
    """Tells before the work, and not after it, that a file cannot be written."""
    if path is None or path == STANDARD_OUTPUT:
        return
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{path}: is a folder; name a file to write")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"{path}: no such folder to write to; make it first")


def _write(report: LeakageReport, json_file: str | None, html_file: str | None) -> None:
    if html_file is not None:
        from tfx_trust.components.page import render_report

        _write_text(html_file, render_report(report, str(Path(html_file).resolve().parent)))
    if json_file == STANDARD_OUTPUT:
        click.echo(report.to_json(), nl=False)
    elif json_file is not None:
        _write_text(json_file, report.to_json())


def _write_text(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); name another file") from None


def _say(report: LeakageReport) -> None:
    """The verdict, what was found and what to do about it, and what was looked at."""
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
    counts = " and ".join(f"{count:,} {name}" for name, count in report.leakage.examples.items())
    click.echo(f"\n{counts} examples")
