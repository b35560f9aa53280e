"""``tfx-trust fairness``: the fairness gate on a file of predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import click

from tfx_trust.cli import reporting
from tfx_trust.components.errors import UsageError, unknown

if TYPE_CHECKING:
    import pyarrow as pa

    from tfx_trust.components.fairness.config import FairnessSettings
    from tfx_trust.components.fairness.report import FairnessReport
    from tfx_trust.components.files import Format

_NEEDED = {
    "label": "no label: name its column by --label",
    "slices": "no slices: name the columns of the groups by --slice, e.g. --slice sex --slice sex,race",
}
_SEVERAL = "several values in an example"


@reporting.gate_command("fairness")
@click.argument("predictions")
@click.option("--label", metavar="L", help="Column of the label.")
@click.option(
    "--positive", metavar="VALUE", help="Value of the label that is positive, if they are not 0 and 1."
)
@click.option(
    "--score", metavar="S", help="Column of the model's score: the probability of the positive label."
)
@click.option("--prediction", metavar="P", help="Column of the model's decision, instead of a score.")
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="C=S",
    help="Of a label of several classes: a class and the column of its score; with --prediction, the class "
    "alone. Repeatable.",
)
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    type=float,
    metavar="T",
    help="A score is decided by this; 0.5 if not given. Repeatable: the first is judged.",
)
@click.option(
    "--compare", type=click.Choice([">=", ">"]), help="How a score is compared with it; >= by default."
)
@click.option("--baseline-score", metavar="S", help="Column of the score of the model before.")
@click.option("--baseline-prediction", metavar="P", help="Column of the decision of the model before.")
@click.option("--weight", metavar="F", help="Column of the example weight.")
@click.option(
    "--slice",
    "slices",
    multiple=True,
    metavar="F[,F…]",
    help="Column of groups, or several that are crossed; repeatable.",
)
@click.option("--cross", type=int, metavar="N", help="Cross all columns of groups, up to so many at once.")
@click.option(
    "--bucket",
    "buckets",
    multiple=True,
    metavar="F=25,35",
    help="Edges of a number's buckets (one: F=40,), or F=4: how many of equal size in --train. Repeatable.",
)
@click.option(
    "--train", metavar="FILE", help="Training examples: their quantiles fix the buckets of numbers."
)
@click.option(
    "--reference",
    multiple=True,
    metavar="F=VALUE",
    help="Compare groups of a column with this one, not with all others; repeatable.",
)
@click.option(
    "--tolerance",
    "tolerances",
    multiple=True,
    metavar="METRIC[:ratio]=BOUND",
    help="Greatest difference, or smallest ratio, of a metric. Repeatable; replaces the defaults.",
)
@click.option(
    "--discover",
    multiple=True,
    metavar="F",
    help="Column to search for the worst groups; all if not given. Repeatable.",
)
@click.option("--no-discovery", is_flag=True, help="Search for no groups.")
@reporting.file_options
def command(
    predictions: str,
    score: str | None,
    prediction: str | None,
    classes: tuple[str, ...],
    baseline_score: str | None,
    baseline_prediction: str | None,
    train: str | None,
    kind: str | None,
    schema: str | None,
    settings_file: str | None,
    json_file: str | None,
    html_file: str | None,
    **options: Any,
) -> None:
    """Compare the errors of a model between groups of people, by its PREDICTIONS.

    They are examples with the label, the model's score or decision, and the columns of the groups: CSV with a
    header, Parquet, or TFRecords of tf.Example; a file, a folder or a quoted pattern.
    """
    from tfx_trust.components.files import paths_of
    from tfx_trust.components.page.words import plural
    from tfx_trust.components.report import InputRef

    named, columns = _classes(classes, prediction)
    settings = _settings(settings_file, {**options, "classes": named})
    model = _Model.of(settings, score, prediction, columns, baseline_score, baseline_prediction)
    _check_used(options, settings, model)
    _check_buckets(settings, train)
    reporting.check_writable(json_file, html_file)
    inputs = {"predictions": paths_of(predictions)} | (
        {"train": paths_of(train)} if train is not None else {}
    )
    with reporting.working(f"judging {predictions}"):
        report = _evaluated(inputs, kind, schema, settings, model)
    report.inputs = {name: [InputRef(uri=path) for path in paths] for name, paths in inputs.items()}
    section = report.fairness
    judged = sum(gap.verdict not in ("not_judged", "insufficient") for gap in section.gaps)
    slices = len({tuple(item.slice.items()) for item in section.slices} - {()})
    counted = (
        f"{plural(section.examples, 'example')}, {plural(slices, 'slice')}, {plural(judged, 'gap')} judged"
    )
    reporting.finish(report, counted, json_file, html_file)


# Settings


def _settings(path: str | None, options: Mapping[str, Any]) -> FairnessSettings:
    """The settings of the file, replaced or completed by the options."""
    from tfx_trust.components.fairness.config import FairnessSettings

    if options["discover"] and options["no_discovery"]:
        raise UsageError("--discover and --no-discovery: give one of them")
    given: dict[str, Any] = {
        "slices": [_names(text) for text in options["slices"]],
        "thresholds": list(options["thresholds"]),
        "classes": options["classes"],
        "buckets": dict(_bucket(text) for text in options["buckets"]),
        "reference": dict(
            reporting.name_and_value("--reference", text, "F=VALUE", "sex=Male")
            for text in options["reference"]
        ),
        "tolerances": [_tolerance(text) for text in options["tolerances"]],
        "discover": list(options["discover"]),
    }
    given = {name: value for name, value in given.items() if value}
    if options["no_discovery"]:
        given["discover"] = []
    names = ("label", "positive", "compare", "weight", "cross")
    given |= {name: options[name] for name in names if options[name] is not None}
    settings = reporting.settings_of(FairnessSettings, path, given, _NEEDED)
    if settings.driver == "beam":
        raise UsageError(
            "driver 'beam' is for FairnessEvaluator; a file is read in this process: leave driver out"
        )
    return settings


def _names(text: str) -> list[str]:
    names = text.split(",")
    if not all(names):
        raise UsageError(f"--slice {text!r}: a name is empty; give F or F,F, e.g. sex,race")
    return names


def _bucket(text: str) -> tuple[str, int | list[float]]:
    name, values = reporting.name_and_value("--bucket", text, "F=25,35 or F=4", "age=25,45,65")
    if values.isdecimal():
        return name, int(values)
    return name, [_number("--bucket", text, value) for value in values.removesuffix(",").split(",")]


def _tolerance(text: str) -> dict[str, Any]:
    from tfx_trust.components.fairness.config import METRICS, Kind

    name, bound = reporting.name_and_value(
        "--tolerance", text, "METRIC=BOUND or METRIC:ratio=BOUND", "selection_rate:ratio=0.8"
    )
    metric, colon, kind = name.partition(":")
    if metric not in METRICS:
        raise unknown("metric of --tolerance", metric, METRICS)
    if colon and kind not in get_args(Kind):
        raise unknown("kind of --tolerance", kind, get_args(Kind))
    return {"metric": metric, "kind": kind or "difference", "bound": _number("--tolerance", text, bound)}


def _number(option: str, text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"{option} {text!r}: {value!r} is no number; write one, e.g. 0.1") from None


def _classes(texts: Sequence[str], prediction: str | None) -> tuple[list[str], list[str]]:
    """The classes, and the columns of their scores where there is no decision."""
    if prediction is not None:
        return list(texts), []
    # A class such as <=50K has the sign in its own name.
    pairs = [text.rpartition("=") for text in texts]
    for text, (name, _, column) in zip(texts, pairs, strict=True):
        if not (name and column):
            raise UsageError(f"--class {text!r}: expected CLASS=COLUMN of its score, or --prediction besides")
    return [name for name, _, _ in pairs], [column for _, _, column in pairs]


# What the model said


@dataclass(frozen=True)
class _Model:
    """The columns of what a model and the one before it say."""

    score: str | list[str] | None
    prediction: str | None
    baseline_score: str | None
    baseline_prediction: str | None

    @classmethod
    def of(
        cls,
        settings: FairnessSettings,
        score: str | None,
        prediction: str | None,
        columns: list[str],
        baseline_score: str | None,
        baseline_prediction: str | None,
    ) -> _Model:
        for one, other, what in (
            (score, prediction, ("--score", "--prediction")),
            (baseline_score, baseline_prediction, ("--baseline-score", "--baseline-prediction")),
        ):
            if one is not None and other is not None:
                raise UsageError(f"{what[0]} and {what[1]}: give one of them")
        if settings.classes is not None:
            if prediction is None and not columns:
                raise UsageError(
                    f"the label has the classes {', '.join(settings.classes)}: name the column of each one's "
                    "score by --class CLASS=COLUMN, or that of the decision by --prediction"
                )
            if score is not None:
                raise UsageError(
                    "--score is for a label of two values, --class for several: give one of them"
                )
            if baseline_score is not None:
                raise UsageError(
                    "--baseline-score is for a label of two values; name decisions by --baseline-prediction"
                )
        elif score is None and prediction is None:
            raise UsageError("no score and no decision: name its column by --score or --prediction")
        model = cls(columns or score, prediction, baseline_score, baseline_prediction)
        for option, name in model.columns:
            if name == settings.label:
                raise UsageError(f"{option} {name!r} is the label; name the column of what the model said")
        return model

    @property
    def columns(self) -> Iterator[tuple[str, str]]:
        """The option and name of each column."""
        if isinstance(self.score, list):
            yield from (("--class", name) for name in self.score)
        elif self.score is not None:
            yield "--score", self.score
        others = (self.prediction, self.baseline_score, self.baseline_prediction)
        for option, name in zip(
            ("--prediction", "--baseline-score", "--baseline-prediction"), others, strict=True
        ):
            if name is not None:
                yield option, name


def _check_used(options: Mapping[str, Any], settings: FairnessSettings, model: _Model) -> None:
    """Refuses options that nothing would read."""
    for option, given in (("--threshold", options["thresholds"]), ("--compare", options["compare"])):
        if given and settings.classes is not None:
            raise UsageError(f"{option} is for a label of two values; of several the highest score decides")
        if given and model.prediction is not None and model.baseline_score is None:
            raise UsageError(f"{option} is for scores; decisions are taken as they are: leave it out")


def _check_buckets(settings: FairnessSettings, train: str | None) -> None:
    counted = [name for name, of in settings.buckets.items() if isinstance(of, int)]
    if counted and train is None:
        raise UsageError(
            f"buckets of {counted[0]!r} are quantiles of the training examples: name these by --train, "
            "or give edges, e.g. --bucket age=25,45"
        )


# The gate


def _evaluated(
    inputs: Mapping[str, list[str]],
    kind: str | None,
    schema: str | None,
    settings: FairnessSettings,
    model: _Model,
) -> FairnessReport:
    from tfx_trust.components.fairness.evaluate import evaluate_fairness
    from tfx_trust.components.files import format_of

    formats = {name: format_of(paths, kind) for name, paths in inputs.items()}
    if schema is not None and "tfrecord" not in formats.values():
        raise UsageError("--schema is for TFRecords; CSV and Parquet tell their types themselves")
    said = dict.fromkeys(name for _, name in model.columns)
    named = [settings.label, *([settings.weight] if settings.weight else []), *settings.features]
    needed = list(dict.fromkeys([*named, *(settings.discover or ()), *said]))
    columns = needed if settings.discover is not None else None
    table, left_out = _read(inputs["predictions"], formats["predictions"], schema, columns, needed)
    for option, name in model.columns:
        if name not in table.column_names:
            raise unknown(f"column of {option}", name, table.column_names)
    train = _read(inputs["train"], formats["train"], schema)[0] if "train" in inputs else None
    report = evaluate_fairness(
        table,
        settings,
        score=model.score,
        prediction=model.prediction,
        baseline_score=model.baseline_score,
        baseline_prediction=model.baseline_prediction,
        train=train,
    )
    if report.fairness.discovery is not None:
        report.fairness.discovery.skipped |= dict.fromkeys(left_out, _SEVERAL)
    return report


def _read(
    paths: Sequence[str],
    kind: Format,
    schema: str | None,
    columns: Sequence[str] | None = None,
    needed: Sequence[str] = (),
) -> tuple[pa.Table, list[str]]:
    """The examples, and those of their features that were left out for having several values."""
    if kind != "tfrecord":
        from tfx_trust.components.files import read_table

        return read_table(paths, kind), []
    with reporting.quiet_tensorflow():
        from tfx_trust.components.fairness.records import feature_names, read_records

    known = reporting.read_schema(schema)
    table = read_records(paths, columns, known, needed=needed)
    there = feature_names(paths, known) if columns is None else []
    return table, [name for name in there if name not in table.column_names]
