"""``tfx-trust provenance query``: what is in a model, what came of something, what to do if it goes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypedDict, TypeVar

import click

from tfx_trust.cli import provenance_options as options
from tfx_trust.cli import reporting
from tfx_trust.cli.status import OK, UNDECIDED
from tfx_trust.components.errors import InputError, UsageError

if TYPE_CHECKING:
    from tfx_trust.components.mlmd import Store
    from tfx_trust.components.provenance.answers import (
        Answer,
        DataOf,
        ExamplesData,
        Impact,
        ModelUse,
        SourceData,
        SourceRef,
        Traced,
    )
    from tfx_trust.components.provenance.subject_key import SubjectKey

AnswerT = TypeVar("AnswerT", bound="Answer")

_QUESTIONS = ("--data-of", "--models-from", "--impact", "--subject")
_HOW = {"trained": "learned from it", "model": "built on one that did", "derived": "by a way round"}
# How many rows of a table are shown; --json has all.
_SHOWN = 40


class _More(TypedDict):
    rewrite: Sequence[tuple[str, str]]
    records: Sequence[str]
    read: bool


@options.command("query")
@click.option(
    "--metadata",
    multiple=True,
    required=True,
    metavar="DB",
    help="Metadata store: a SQLite file, or mysql://USER@HOST/DB. Repeatable: all are asked.",
)
@click.option("--data-of", metavar="MODEL", help="What a model was made of: latest, an id, or a place.")
@click.option(
    "--models-from",
    metavar="WHAT",
    help="Which models came of a file, the sha256 of one, a licence, a span's number, or a source. file:, "
    "sha256:, licence:, span: and source: before it say which, if its form does not.",
)
@click.option(
    "--impact",
    metavar="SOURCE",
    help="What must be withdrawn or retrained if a source goes: its name, place, a file of it, span:N, or "
    "artifact:ID.",
)
@click.option(
    "--subject",
    metavar="ID",
    help="The same of a data subject, by the indexes of the records; - reads the id from standard input.",
)
@click.option("--subject-key", metavar="FILE", help="The secret that the indexes were made with.")
@click.option("--subject-key-env", metavar="NAME", help="Environment variable that holds it instead.")
@click.option(
    "--record",
    "records",
    multiple=True,
    metavar="DIR",
    help="A record of a model of the store that lies elsewhere, as `record` writes it. Repeatable.",
)
@click.option(
    "--hash",
    "read",
    is_flag=True,
    help="Read all files that no record tells the digests of, as they are now.",
)
@options.rewrite_option
@options.json_option
def command(
    metadata: tuple[str, ...],
    data_of: str | None,
    models_from: str | None,
    impact: str | None,
    subject: str | None,
    subject_key: str | None,
    subject_key_env: str | None,
    records: tuple[str, ...],
    read: bool,
    rewrite: tuple[str, ...],
    json_file: str | None,
) -> None:
    """Ask metadata stores what a model was made of, or what was made of something.

    Exit status 4 if nothing was found and that may be for want of knowledge: what is missing is told.
    """
    from tfx_trust.components.provenance import query
    from tfx_trust.components.provenance.lineage import model_of

    given = dict(zip(_QUESTIONS, (data_of, models_from, impact, subject), strict=True))
    asked = [name for name, value in given.items() if value is not None]
    if len(asked) != 1:
        raise UsageError(f"{', '.join(asked) or 'nothing'} asked; ask one of {', '.join(_QUESTIONS)}")
    if len(metadata) > 1 and records:
        raise UsageError("--record is of one store; ask one by --metadata")
    reporting.check_writable(json_file)
    moved = options.prefixes(rewrite)
    more: _More = {"rewrite": moved, "records": records, "read": read}
    if data_of is not None:
        wanted = data_of
        _finish(
            "data_of",
            _ask(
                metadata, lambda store: query.data_of(store, model_of(store, wanted, rewrite=moved), **more)
            ),
            json_file,
            _say_data,
        )
    elif models_from is not None:
        criterion = models_from
        found = _ask(metadata, lambda store: query.models_from(store, criterion, **more))
        _finish("models_from", found, json_file, _say_models)
    elif impact is not None:
        source = impact
        _finish(
            "impact",
            _ask(metadata, lambda store: query.impact(store, source, **more)),
            json_file,
            _say_impact,
        )
    else:
        key = _subject_key(subject_key, subject_key_env)
        who = sys.stdin.readline().rstrip("\n") if subject == "-" else str(subject)
        touched = _ask(metadata, lambda store: query.subject(store, who, key, rewrite=moved, records=records))
        _finish("subject", touched, json_file, _say_impact)


def _subject_key(path: str | None, env: str | None) -> SubjectKey:
    from tfx_trust.components.provenance.subject_key import SubjectKey

    if path is not None and env is not None:
        raise UsageError("--subject-key, --subject-key-env: both are given; give one of the two")
    if path is None and env is None:
        raise UsageError("--subject needs the secret of the index: give --subject-key or --subject-key-env")
    return SubjectKey.load(path=path, env=env)


# Asking


def _ask(places: Sequence[str], ask: Callable[[Store], AnswerT]) -> list[AnswerT]:
    """The answers of all stores; one that knows nothing of what is asked may, if another does."""
    from tfx_trust.components.mlmd import open_store

    answers: list[AnswerT] = []
    errors: list[InputError] = []
    for place in places:
        with reporting.working("asking the metadata store"):
            try:
                answers.append(ask(open_store(place)))
            except InputError as error:
                errors.append(error)
    if not answers:
        raise errors[0]
    answers[0].unknowns += [str(error) for error in errors]
    return answers


def _finish(
    question: str,
    answers: Sequence[AnswerT],
    json_file: str | None,
    say: Callable[[AnswerT], None],
) -> None:
    from tfx_trust.components.provenance.answers import Answers, Traced

    written = Answers.model_validate({"question": question, "answers": list(answers)})
    options.write_json(options.json_of(written), json_file)
    if json_file != reporting.STANDARD_OUTPUT:
        for answer in answers:
            if len(answers) > 1:
                click.echo(click.style(answer.store, bold=True))
            say(answer)
            options.say_unknowns(answer.unknowns)
        if json_file is not None:
            click.echo(f"answer  {json_file}")
    decided = any(answer.decided for answer in answers if isinstance(answer, Traced))
    sys.exit(OK if decided or question == "data_of" else UNDECIDED)


# What is in a model


def _say_data(answer: DataOf) -> None:
    model = answer.model
    click.echo(f"model {model.id}  {model.uri}")
    click.echo(f"made {options.when(model.created)} by {_node(model.pipeline, model.component, model.run)}")
    click.echo(f"record  {answer.record or 'none'}\n")
    console = options.console()
    for number, source in enumerate(answer.sources, start=1):
        _say_source(number, source)
    table = options.table("examples", "made by", "span", "splits", "learned from", "digest", "by")
    for item in answer.examples:
        table.add_row(
            str(item.id),
            item.component,
            _span(item),
            ", ".join(item.splits),
            ", ".join(item.trained_on) or "–",
            options.short(item.tree),
            item.known,
        )
    if answer.examples:
        console.print(table)


def _say_source(number: int, source: SourceData) -> None:
    click.echo(f"source {number}  {source.name or 'undeclared'}: {source.kind}, {source.place}")
    licence = source.licence or "not declared"
    span = f"  span {source.span}" if source.span is not None else ""
    click.echo(f"          licence {licence}{span}")
    if source.files is None:
        click.echo("          digest not recorded\n")
    else:
        size = options.size_of(source.bytes or 0)
        files = "1 file" if source.files == 1 else f"{source.files:,} files"
        click.echo(f"          {files}, {size}, digest {options.short(source.tree)} (by {source.known})\n")


def _span(item: ExamplesData) -> str:
    if item.span is None:
        return "–"
    return str(item.span) if item.version is None else f"{item.span}, version {item.version}"


# What came of something


def _say_models(answer: Traced) -> None:
    _say_origin(answer)
    if not answer.models:
        click.echo("no model came of it" if answer.decided else "no model is known to have come of it")
        return
    several = len({model.pipeline for model in answer.models}) > 1
    table = options.table("model", "made", "made by", "how", "blessed", "pushed")
    for model in answer.models[:_SHOWN]:
        table.add_row(
            str(model.id),
            options.when(model.created),
            _node(model.pipeline if several else "", model.component, ""),
            _HOW[model.relation] if model.relation == "trained" else f"{_HOW[model.relation]}: {_way(model)}",
            options.yes_or_no(model.blessed),
            _pushed(model),
        )
    options.console().print(table)
    _say_more(len(answer.models))


def _say_impact(answer: Impact) -> None:
    _say_models(answer)
    for hit in answer.subjects:
        click.echo(f"subject  in {hit.examples:,} of split {hit.split} of Examples {hit.artifact}")
    newer = [model for model in answer.models if model.newer is not None]
    if newer:
        click.echo(f"newer    model {newer[0].newer.id if newer[0].newer else ''} did not come of it")
    if answer.held:
        click.echo("\nwhat else holds its data, or what was made of it")
        width = max(len(item.type) for item in answer.held[:_SHOWN])
        for item in answer.held[:_SHOWN]:
            there = {True: "there", False: "gone", None: "not seen"}[item.there]
            click.echo(f"  {item.id:>5}  {item.type:<{width}}  {there:<8}  {item.uri}")
        _say_more(len(answer.held))
    if answer.tasks:
        click.echo("\nwhat to do")
    for task in answer.tasks[:_SHOWN]:
        click.echo(f"  {click.style(f'{task.what:<8}', bold=True)}  {task.message}")
    _say_more(len(answer.tasks))


def _say_more(count: int) -> None:
    if count > _SHOWN:
        click.echo(f"  and {count - _SHOWN:,} more: --json has all")


def _say_origin(answer: Traced) -> None:
    origin = answer.origin
    if origin.kind == "subject":
        click.echo(f"the data subject, in {len(answer.origin.artifacts)} of the artifacts that are indexed")
    else:
        digest = f", sha256 {origin.digest}" if origin.digest and origin.kind == "file" else ""
        # What was asked may have said itself what it is: span:3, license:MIT.
        asked = re.sub(f"^({origin.kind}|license):", "", origin.asked)
        click.echo(f"{origin.kind} {asked}{digest}")
    for source in origin.sources[:_SHOWN]:
        click.echo(f"  source {_source(source)}")
    _say_more(len(origin.sources))
    click.echo("")


def _source(source: SourceRef) -> str:
    told = [source.name or "undeclared", source.licence or "licence not declared"]
    if source.span is not None:
        told.append(f"span {source.span}")
    return f"{source.place}  ({', '.join(told)})"


def _way(model: ModelUse) -> str:
    """What the model came through, other than examples."""
    through = [step for step in model.route[:-1:2] if not step.startswith("Examples ")]
    return ", ".join(through) or model.route[0]


def _pushed(model: ModelUse) -> str:
    """The most that can be said of the copies."""
    if not model.copies:
        return "no"
    if any(copy.served for copy in model.copies):
        return "served now"
    if any(copy.there for copy in model.copies):
        return "still there"
    return "gone" if all(copy.there is False for copy in model.copies) else "not seen from here"


def _node(pipeline: str, component: str, run: str) -> str:
    node = ".".join(part for part in (pipeline, component) if part) or "unknown"
    return f"{node}, run {run}" if run else node
