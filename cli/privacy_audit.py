"""``tfx-trust privacy audit``: the privacy audit on a file of losses and membership."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import click

from tfx_trust.cli import reporting
from tfx_trust.components.errors import InputError, UsageError, unknown

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from tfx_trust.components.privacy.audit import Scores
    from tfx_trust.components.privacy.config import AuditSettings, Claim
    from tfx_trust.components.privacy.report import AttackName, AuditReport

_MEANT = {"0": 0, "false": 0, "no": 0, "1": 1, "true": 1, "yes": 1}
# Small ones speak for a member.
_NEGATIVE = ("loss", "entropy")
_UNUSED = (
    *("label", "positive", "classes", "claim", "sensitive", "max_inference_gain", "attribute_examples"),
    *("shadow_models", "max_examples", "signature", "score_output", "train_split", "eval_split"),
)
"""Settings that are about a model and examples, which a file of losses has not."""


@reporting.gate_command("audit")
@click.argument("file")
@click.option("--loss", metavar="LOSS", required=True, help="Column of the model's loss on the example.")
@click.option(
    "--member",
    metavar="MEMBER",
    required=True,
    help="Column that tells whether the model was trained on it: 1 or 0, true or false.",
)
@click.option(
    "--score",
    "scores",
    multiple=True,
    metavar="NAME=COLUMN",
    help="A further attack: confidence or lira, great for members, or entropy, small for them. Repeatable.",
)
@click.option(
    "--slice",
    "slices",
    multiple=True,
    metavar="F[,F…]",
    help="Column of groups, or several that are crossed; repeatable.",
)
@click.option(
    "--bucket",
    "buckets",
    multiple=True,
    metavar="F=25,35",
    help="Edges of the buckets of a number that is sliced by; repeatable.",
)
@click.option("--epsilon", type=float, metavar="E", help="The claimed guarantee, with --delta.")
@click.option("--delta", type=float, metavar="D", help="Its delta.")
@click.option(
    "--canary-included",
    "canary",
    metavar="COLUMN",
    help="Column that tells of a canary whether it was trained on; empty for all other examples.",
)
@click.option("--max-auc", type=float, metavar="AUC", help="Greatest AUC of an attack; 0.6 if not given.")
@click.option("--level", type=float, metavar="L", help="Confidence level; 0.95 if not given.")
@click.option("--format", "kind", type=click.Choice(["csv", "parquet"]), help="If the ending does not tell.")
@click.option(
    "--settings", "settings_file", metavar="FILE", help="All settings, as JSON; options go before them."
)
@click.option("--json", "json_file", metavar="FILE", help="Write the report as JSON; - for standard output.")
@click.option("--html", "html_file", metavar="FILE", help="Write the report as a page.")
def command(
    file: str,
    loss: str,
    member: str,
    scores: tuple[str, ...],
    canary: str | None,
    kind: str | None,
    json_file: str | None,
    html_file: str | None,
    **options: Any,
) -> None:
    """Tell what the losses in FILE give away of who was in the training data.

    FILE is CSV with a header, or Parquet: a row for each example, with the model's loss on it and whether the
    model was trained on it. It may be a folder or a quoted pattern. If a guarantee is claimed, it is held
    against what is found; it is never proved by it.
    """
    from tfx_trust.components.files import paths_of
    from tfx_trust.components.page.words import plural
    from tfx_trust.components.report import InputRef

    columns = _columns(loss, scores)
    _check_roles(columns, member, canary, [name for text in options["slices"] for name in _names(text)])
    settings = _settings(options, loss, _claim(options["epsilon"], options["delta"]))
    reporting.check_writable(json_file, html_file)
    paths = paths_of(file)
    with reporting.working(f"attacking {file}"):
        report = _audited(paths, kind, columns, member, canary, settings)
    report.inputs = {"losses": [InputRef(uri=path) for path in paths]}
    told = {name: value for name, value in report.settings.items() if name not in _UNUSED}
    report.settings = {"columns": columns, "member": member, "canary_included": canary, **told}
    section = report.audit
    counted = [plural(section.members, "member"), plural(section.others, "other")]
    if section.canaries is not None:
        counted.append(f"{section.canaries.count:,} canaries")
    reporting.finish(report, ", ".join(counted), json_file, html_file)


# Options


def _columns(loss: str, scores: Sequence[str]) -> dict[AttackName, str]:
    """The column of each attack's score."""
    from tfx_trust.components.privacy.report import AttackName

    columns: dict[AttackName, str] = {"loss": loss}
    for text in scores:
        name, column = reporting.name_and_value("--score", text, "NAME=COLUMN", "lira=likelihood_ratio")
        known = next((item for item in get_args(AttackName) if item == name), None)
        if known is None:
            raise unknown("attack of --score", name, get_args(AttackName))
        if known in columns:
            raise UsageError(f"--score {text!r}: there is a column for {name} already; give one")
        columns[known] = column
    return columns


def _claim(epsilon: float | None, delta: float | None) -> Claim | None:
    from tfx_trust.components.privacy.config import Claim

    if epsilon is None and delta is None:
        return None
    if epsilon is None:
        raise UsageError("--delta is that of a claimed guarantee: give its --epsilon too")
    if delta is None:
        raise UsageError("--epsilon is that of a claimed guarantee: give its --delta too, e.g. --delta 1e-5")
    return Claim.of({"epsilon": epsilon, "delta": delta})


def _settings(options: Mapping[str, Any], loss: str, claim: Claim | None) -> AuditSettings:
    """The settings of the file, replaced or completed by the options."""
    from tfx_trust.components.privacy.config import AuditSettings

    given: dict[str, Any] = {
        "slices": [_names(text) for text in options["slices"]],
        "buckets": dict(_bucket(text) for text in options["buckets"]),
    }
    given = {name: value for name, value in given.items() if value}
    given |= {name: options[name] for name in ("max_auc", "level") if options[name] is not None}
    if claim is not None:
        given["claim"] = claim.model_dump()
    # What the label was is in the loss already.
    return reporting.settings_of(AuditSettings, options["settings_file"], {**given, "label": loss}, {})


def _names(text: str) -> list[str]:
    names = text.split(",")
    if not all(names):
        raise UsageError(f"--slice {text!r}: a name is empty; give F or F,F, e.g. sex,race")
    return names


def _bucket(text: str) -> tuple[str, list[float]]:
    name, values = reporting.name_and_value("--bucket", text, "F=25,35", "age=25,45,65")
    try:
        return name, [float(value) for value in values.removesuffix(",").split(",")]
    except ValueError:
        raise UsageError(f"--bucket {text!r}: an edge is no number; write numbers, e.g. age=25,45") from None


def _check_roles(
    columns: Mapping[AttackName, str], member: str, canary: str | None, slices: Sequence[str]
) -> None:
    """Refuses a column that is named for two things."""
    roles = [("--member", member), *((_option(name), column) for name, column in columns.items())]
    roles += [] if canary is None else [("--canary-included", canary)]
    for place, (option, name) in enumerate(roles):
        for other, same in roles[:place]:
            if name == same:
                raise UsageError(f"column {name!r} is named by {other} and by {option}; they are two columns")
        if name in slices:
            raise UsageError(f"column {name!r} is named by {option} and by --slice; it is no feature")


def _option(name: AttackName) -> str:
    return "--loss" if name == "loss" else f"--score {name}"


# The audit


def _audited(
    paths: Sequence[str],
    kind: str | None,
    columns: Mapping[AttackName, str],
    member: str,
    canary: str | None,
    settings: AuditSettings,
) -> AuditReport:
    import numpy as np

    from tfx_trust.components.files import format_of, read_table
    from tfx_trust.components.privacy.audit import audit_scores

    told = format_of(paths, kind)
    if told == "tfrecord":
        raise UsageError(f"{paths[0]}: losses are read from CSV or Parquet; write them as such")
    table = read_table(paths, told)
    features = dict.fromkeys(name for names in settings.slices for name in names)
    for name in (*columns.values(), member, *([canary] if canary else []), *features):
        if name not in table.column_names:
            raise unknown(f"column of {paths[0]}", name, table.column_names)
    included = _truths(table, canary) if canary else None
    rest = np.ones(table.num_rows, bool) if included is None else included < 0
    members = _truths(table, member)
    missing = (members < 0) & rest
    if missing.any():
        raise InputError(
            f"column {member!r} is empty in {int(missing.sum()):,} rows, the first of them "
            f"{_row(missing)}; say of each example whether it is a member"
        )
    scores = {name: _numbers(table, column, name in _NEGATIVE) for name, column in columns.items()}
    sides = [_side(table, scores, features, (members == is_member) & rest) for is_member in (1, 0)]
    canaries = None
    if included is not None:
        chosen = included >= 0
        if not chosen.any():
            raise InputError(
                f"column {canary!r} is empty everywhere; put 1 or 0 where a row is a canary, or leave "
                "--canary-included out"
            )
        canaries = scores["loss"][chosen], included[chosen] == 1
    return audit_scores(
        sides[0],
        sides[1],
        settings,
        settings.claim,
        "the settings",
        canaries=canaries,
        not_run=_not_run(columns, canary),
    )


def _side(
    table: pa.Table, scores: Mapping[AttackName, np.ndarray], features: Iterable[str], rows: np.ndarray
) -> Scores:
    """The scores and features of some rows."""
    import pyarrow as pa

    from tfx_trust.components.privacy.audit import Scores

    mask = pa.array(rows)
    return Scores(
        {name: values[rows] for name, values in scores.items()},
        {name: table[name].combine_chunks().filter(mask) for name in features},
    )


def _truths(table: pa.Table, name: str) -> np.ndarray:
    """Of each row 1 or 0, or -1 where the column is empty."""
    import numpy as np

    from tfx_trust.components.fairness.coding import distinct

    words, places = distinct(table[name].combine_chunks())
    for word in words:
        if word is not None and word.lower() not in _MEANT:
            raise InputError(
                f"column {name!r} holds something else than 1 and 0, true and false, or yes and no; write "
                "one of these"
            )
    meant = [-1 if word is None else _MEANT[word.lower()] for word in words]
    found: np.ndarray = np.array(meant, np.int64)[places]
    return found


def _numbers(table: pa.Table, name: str, negative: bool) -> np.ndarray:
    """Scores of which great ones speak for a member."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        column = table[name].cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(f"column {name!r} is {table[name].type}; numbers are needed") from None
    found = np.asarray(pc.fill_null(column, np.nan).to_numpy(), float)
    missing = np.isnan(found)
    if missing.any():
        raise InputError(
            f"column {name!r} has no number in {int(missing.sum()):,} rows, the first of them "
            f"{_row(missing)}; leave these examples out, or look why the model gives none"
        )
    return -found if negative else found


def _row(rows: np.ndarray) -> str:
    return f"example {int(rows.argmax()) + 1:,}"


def _not_run(columns: Mapping[AttackName, str], canary: str | None) -> dict[str, str]:
    found = {}
    if "lira" not in columns:
        found["lira"] = "no column of its score is named"
    if canary is None:
        found["canaries"] = "no column tells of any"
    return {**found, "attribute_inference": "it has to ask the model"}
