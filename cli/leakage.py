"""``tfx-trust leakage``: the leakage checks on plain files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tfx_trust.cli import reporting
from tfx_trust.components.errors import InputError, UsageError, unknown

if TYPE_CHECKING:
    import pyarrow as pa

    from tfx_trust.components.files import Format
    from tfx_trust.components.leakage.config import LeakageSettings
    from tfx_trust.components.leakage.report import LeakageReport


@reporting.gate_command("leakage")
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
@reporting.file_options
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
    from tfx_trust.components.files import format_of, paths_of
    from tfx_trust.components.report import InputRef

    settings = _settings(settings_file, options)
    if score == settings.label:
        raise UsageError(f"--score {score!r} is the label; name the column of the model's score")
    reporting.check_writable(json_file, html_file)
    sides = paths_of(train), paths_of(evaluation)
    told = format_of([*sides[0], *sides[1]], kind)
    with reporting.working(f"comparing {train} with {evaluation}"):
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
    counts = " and ".join(f"{count:,} {name}" for name, count in report.leakage.examples.items())
    reporting.finish(report, f"{counts} examples", json_file, html_file)


# Settings


def _settings(path: str | None, options: dict[str, Any]) -> LeakageSettings:
    """The settings of the file, replaced or completed by the options."""
    from tfx_trust.components.leakage.config import LeakageSettings

    lists = {"features": options["feature"], "exclude": options["exclude"], "groups": options["group"]}
    given: dict[str, Any] = {name: list(values) for name, values in lists.items() if values}
    names = ("label", "time", "time_format", "weight")
    given |= {name: options[name] for name in names if options[name] is not None}
    if options["keys"]:
        given["keys"] = dict(_key(text) for text in options["keys"])
    return reporting.settings_of(
        LeakageSettings, path, given, {"label": "no label: name its column by --label"}
    )


def _key(text: str) -> tuple[str, list[str]]:
    name, columns = reporting.name_and_value("--key", text, "NAME=F,F", "person=name,birthday")
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
    from tfx_trust.components.files import read_tables
    from tfx_trust.components.leakage.check import check_leakage

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
    from tfx_trust.components.files import estimate_mb

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
    with reporting.quiet_tensorflow():
        from tfx_trust.components.leakage.examples_driver import check_examples

    known = reporting.read_schema(schema)
    scores = None
    if predictions is not None:
        scores = _predictions(predictions, score).to_numpy()
        if scores.dtype.kind not in "fiu":
            raise InputError(f"{predictions}: scores of TFRecords are numbers, found text; give numbers")
    return check_examples(train, evaluation, settings, schema=known, scores=scores)


def _predictions(place: str, score: str | None) -> pa.ChunkedArray:
    """The scores in a file of their own."""
    from tfx_trust.components.files import format_of, paths_of, read_table

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
