"""``tfx-trust leakage``: the leakage checks on plain files."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfx_trust.cli.status import status_of
from tfx_trust.components.errors import InputError, UsageError, unknown

if TYPE_CHECKING:
    import pyarrow as pa

    from tfx_trust.components.leakage.config import LeakageSettings
    from tfx_trust.components.leakage.report import LeakageReport

STANDARD_OUTPUT = "-"


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
    sides = paths_of(train), paths_of(evaluation)
    told = format_of([*sides[0], *sides[1]], kind)
    for path in (json_file, html_file):
        _check_writable(path)
    with _working(f"comparing {train} with {evaluation}"):
        if told == "tfrecord":
            report = _of_records(sides[0], sides[1], settings, schema, score, predictions)
        else:
            if schema is not None:
                raise UsageError("--schema is for TFRecords; CSV and Parquet tell their types themselves")
            report = _of_tables(sides[0], sides[1], told, settings, score, predictions)
    report.component = "LeakageValidator"
    report.inputs = {
        name: [InputRef(uri=path) for path in paths]
        for name, paths in zip(settings.splits, sides, strict=True)
    }
    _write(report, json_file, html_file)
    sys.exit(status_of(report.verdict))


def _settings(path: str | None, options: dict[str, Any]) -> LeakageSettings:
    from tfx_trust.components.leakage.config import LeakageSettings

    given: dict[str, Any] = {}
    if path is not None:
        try:
            given = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
        except ValueError as error:
            raise UsageError(f"{path}: no JSON ({error})") from None
        if not isinstance(given, dict):
            raise UsageError(
                f'{path}: settings are an object of names and values, e.g. {{"label": "defaulted"}}'
            )
    lists = {"features": options["feature"], "exclude": options["exclude"], "groups": options["group"]}
    given |= {name: list(values) for name, values in lists.items() if values}
    names = ("label", "time", "time_format", "weight")
    given |= {name: options[name] for name in names if options[name] is not None}
    if options["keys"]:
        given["keys"] = {**given.get("keys", {}), **dict(_key(text) for text in options["keys"])}
    if "label" not in given:
        raise UsageError("no label: name its column by --label")
    return LeakageSettings.of(given)


def _key(text: str) -> tuple[str, list[str]]:
    name, equals, columns = text.partition("=")
    if not (name and equals and columns):
        raise UsageError(f"--key {text!r}: expected NAME=F,F, e.g. person=name,birthday")
    return name, columns.split(",")


def _of_tables(
    train: list[str],
    evaluation: list[str],
    kind: Any,
    settings: LeakageSettings,
    score: str | None,
    predictions: str | None,
) -> LeakageReport:
    from tfx_trust.components.leakage.check import check_leakage
    from tfx_trust.components.leakage.files import read_tables

    first, second = read_tables(train, evaluation, kind)
    if predictions is not None:
        scores = _predictions(predictions, score)
    elif score is not None:
        if score not in second.column_names:
            raise unknown("score column", score, second.column_names)
        scores = second[score]
        # A score is no feature, also where train has one.
        first, second = (
            table.drop([score]) if score in table.column_names else table for table in (first, second)
        )
    else:
        scores = None
    return check_leakage(first, second, settings, scores=scores)


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
    with _quiet():
        from tfx_trust.components.leakage.examples_driver import check_examples
        from tfx_trust.components.leakage.standard import parse_schema

        known = None
        if schema is not None:
            try:
                known = parse_schema(Path(schema).read_text(encoding="utf-8"), schema)
            except OSError as error:
                raise InputError(f"{schema}: cannot be read ({error.strerror})") from None
        scores = None
        if predictions is not None:
            scores = _predictions(predictions, score).to_numpy()
            if scores.dtype.kind not in "fiu":
                raise UsageError(
                    f"{predictions}: of TFRecords a score must be a number, found {scores.dtype}"
                )
        return check_examples(train, evaluation, settings, schema=known, scores=scores)


def _predictions(place: str, score: str | None) -> pa.ChunkedArray:
    from tfx_trust.components.leakage.files import format_of, paths_of, read_tables

    paths = paths_of(place)
    kind = format_of(paths)
    if kind == "tfrecord":
        raise UsageError(f"{place}: predictions are read from CSV or Parquet")
    table = read_tables(paths, paths[:1], kind)[0]
    if score is None:
        if table.num_columns != 1:
            raise UsageError(
                f"{place}: has {', '.join(table.column_names)}; say by --score which is the score"
            )
        score = table.column_names[0]
    if score not in table.column_names:
        raise unknown("score column", score, table.column_names)
    return table[score]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """TensorFlow's messages are of no use here."""
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    yield


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
    if path not in (None, STANDARD_OUTPUT) and not Path(str(path)).resolve().parent.is_dir():
        raise UsageError(f"{path}: no such folder to write to")


def _write(report: LeakageReport, json_file: str | None, html_file: str | None) -> None:
    if html_file is not None:
        from tfx_trust.components.page import render_report

        Path(html_file).write_text(
            render_report(report, str(Path(html_file).resolve().parent)), encoding="utf-8"
        )
    if json_file == STANDARD_OUTPUT:
        click.echo(report.to_json(), nl=False)
        return
    if json_file is not None:
        Path(json_file).write_text(report.to_json(), encoding="utf-8")
    _say(report)
    for written in (json_file, html_file):
        if written is not None:
            click.echo(f"written: {written}")


def _say(report: LeakageReport) -> None:
    """The verdict, then what was found and what to do about it."""
    from tfx_trust.components.page.words import summary
    from tfx_trust.components.report import Severity

    click.echo(f"{report.verdict}: {summary(report)}")
    for finding in report.findings:
        about = f" ({finding.subject})" if finding.subject else ""
        click.echo(f"\n{finding.severity}  {finding.check}{about}")
        click.echo(f"  {finding.message}")
        if finding.remedy and finding.severity is not Severity.INFO:
            click.echo(f"  What to do: {finding.remedy}")
    click.echo()
    counts = ", ".join(f"{count:,} {name}" for name, count in report.leakage.examples.items())
    click.echo(f"{counts} examples, {len(report.leakage.features)} features")
