"""``tfx-trust provenance diff``: what two models differ in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfx_trust.cli import provenance_options as options
from tfx_trust.cli import reporting
from tfx_trust.components.errors import InputError

if TYPE_CHECKING:
    from tfx_trust.components.mlmd import Prefixes, Store
    from tfx_trust.components.provenance.differences import CodeDiff, DataDiff, Diff, FileChanges, Pair
    from tfx_trust.components.provenance.record import Record

# How many files of a kind are named; --json has all.
_NAMED = 8
# How many characters of a value are shown.
_SHOWN = 200


@options.command("diff")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--metadata",
    metavar="DB",
    help="Metadata store, if A and B are models in it: latest, an id, or a place; folders of records if not "
    "given.",
)
@click.option(
    "--metrics",
    "evaluations",
    is_flag=True,
    help="Read the Evaluator's results where there is no report of ReleaseGate; this loads TensorFlow.",
)
@options.rewrite_option
@options.json_option
def command(
    first: str,
    second: str,
    metadata: str | None,
    evaluations: bool,
    rewrite: tuple[str, ...],
    json_file: str | None,
) -> None:
    """Tell what model B differs in from model A: data, code, parameters, packages, schema, metrics, licences.

    A and B are folders of records, or models of a metadata store.
    """
    from tfx_trust.components.provenance.diff import diff

    reporting.check_writable(json_file)
    moved = options.prefixes(rewrite)
    sides = _Sides(metadata, moved, evaluations)
    with reporting.quiet_tensorflow():
        records = [sides.record(name) for name in (first, second)]
    found = diff(
        records[0].record,
        records[1].record,
        origins=(records[0].origin, records[1].origin),
        metrics=(records[0].metrics, records[1].metrics),
    )
    for name, side in zip((first, second), records, strict=True):
        if not side.metrics:
            found.unknowns.append(
                f"{name}: no metrics are known; --metrics reads the Evaluator's results, if there are any"
            )
    options.write_json(options.json_of(found), json_file)
    if json_file != reporting.STANDARD_OUTPUT:
        _say(found)
        if json_file is not None:
            click.echo(f"answer  {json_file}")


# The two sides


class _Known:
    """One of the models: its record, where that is from, and its metrics."""

    def __init__(self, record: Record, origin: str, metrics: Mapping[str, float]) -> None:
        self.record = record
        self.origin = origin
        self.metrics = metrics


class _Sides:
    """Where the two models are found."""

    def __init__(self, metadata: str | None, rewrite: Prefixes, evaluations: bool) -> None:
        self._place = metadata
        self._rewrite = rewrite
        self._evaluations = evaluations
        self._store: Store | None = None

    def record(self, name: str) -> _Known:
        from tfx_trust.components.provenance.metrics import metrics_beside
        from tfx_trust.components.provenance.record import Record

        if self._place is not None:
            return self._in_store(name, self._place)
        if not Path(name).exists():
            raise InputError(
                f"{name}: no such folder; give that of a record, or the metadata store by --metadata"
            )
        record = Record.load(name)
        metrics = metrics_beside(record, rewrite=self._rewrite, evaluations=self._evaluations)
        return _Known(self._moved(record), name, metrics)

    def _in_store(self, name: str, place: str) -> _Known:
        from tfx_trust.components.mlmd import open_store
        from tfx_trust.components.provenance.build import build_record
        from tfx_trust.components.provenance.config import ProvenanceSettings
        from tfx_trust.components.provenance.graph import Graph
        from tfx_trust.components.provenance.lineage import model_of
        from tfx_trust.components.provenance.metrics import metrics_in_store
        from tfx_trust.components.provenance.recorded import Recorded

        if self._store is None:
            self._store = open_store(place)
            self._recorded = Recorded(Graph(self._store, self._rewrite))
        model = model_of(self._store, name, rewrite=self._rewrite)
        metrics = metrics_in_store(self._store, model, rewrite=self._rewrite, evaluations=self._evaluations)
        found = self._recorded.record_of(model.id)
        if found is not None:
            return _Known(self._moved(found[0]), found[1], metrics)
        with options.hashing(f"reading what model {model.id} came from") as progress:
            record = build_record(
                self._store, model, ProvenanceSettings(), rewrite=self._rewrite, progress=progress
            )
        return _Known(record.sealed(), "the metadata store, and files as they are now", metrics)

    def _moved(self, record: Record) -> Record:
        """The record with the places where things lie now."""
        from tfx_trust.components.mlmd import rewritten

        def now(place: str) -> str:
            return rewritten(place, self._rewrite)

        return record.model_copy(
            update={
                "artifacts": [item.model_copy(update={"uri": now(item.uri)}) for item in record.artifacts],
                "sources": [item.model_copy(update={"place": now(item.place)}) for item in record.sources],
                "schemas": {now(uri): digest for uri, digest in record.schemas.items()},
            }
        )


# What is told


def _say(found: Diff) -> None:
    for letter, side in (("A", found.a), ("B", found.b)):
        made = ", ".join(part for part in (side.pipeline, side.run and f"run {side.run}") if part)
        click.echo(f"{letter}  model {side.model}  {side.uri}")
        click.echo(f"   {made or 'made by nothing that is known'}, {options.when(side.created)}")
        click.echo(f"   by {side.origin}")
    same = {True: "the same bytes", False: "other bytes", None: "not known whether they are the same bytes"}
    click.echo(f"\nmodel files: {same[found.same_model]}")
    _say_data("sources", found.sources)
    _say_data("examples", found.examples)
    _say_code(found.code)
    _say_pairs("repository", found.repository)
    _say_pairs("parameters", found.parameters)
    _say_pairs("environment", found.environment)
    _say_pairs("packages", found.packages)
    _say_schema(found)
    _say_pairs("metrics", [item.model_copy(update=_rounded(item)) for item in found.metrics])
    _say_pairs("licences and obligations", found.obligations)
    if found.unknowns:
        click.echo("")
    options.say_unknowns(found.unknowns)


def _heading(text: str) -> None:
    click.echo(f"\n{click.style(text, bold=True)}")


def _say_data(heading: str, found: Sequence[DataDiff]) -> None:
    if not found:
        return
    _heading(heading)
    for item in found:
        click.echo(f"  {item.status:<8}  {item.name}")
        if item.a != item.b:
            click.echo(f"            A {item.a or '–'}")
            click.echo(f"            B {item.b or '–'}")
        if item.status == "changed" and item.tree_a != item.tree_b:
            click.echo(f"            digest {options.short(item.tree_a)} → {options.short(item.tree_b)}")
        elif item.status == "changed" and item.tree_a is not None:
            click.echo("            the same bytes")
        _say_files(item.files)


def _say_code(found: Sequence[CodeDiff]) -> None:
    if not found:
        return
    _heading("code")
    for item in found:
        click.echo(f"  {item.status:<8}  {item.name}  {item.b or item.a}")
        if None not in (item.a, item.b) and item.a != item.b:
            click.echo(f"            instead of {item.a}")
        _say_files(item.files)


def _say_files(files: FileChanges) -> None:
    lines = [
        *(f"changed  {path}" for path in files.changed),
        *(f"added    {path}" for path in files.added),
        *(f"removed  {path}" for path in files.removed),
        *(f"renamed  {path} → {target}" for path, target in files.renamed.items()),
    ]
    for line in lines[:_NAMED]:
        click.echo(f"            {line}")
    if len(lines) > _NAMED:
        click.echo(f"            and {len(lines) - _NAMED:,} more files: --json has all")


def _say_pairs(heading: str, found: Sequence[Pair]) -> None:
    if not found:
        return
    _heading(heading)
    table = options.table("", "A", "B")
    for item in found:
        table.add_row(item.name, _cut(item.a), _cut(item.b))
    options.console().print(table)


def _cut(text: str | None) -> str:
    """A value in a table; of a long one the beginning, as --json has it whole."""
    if text is None:
        return "–"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _rounded(metric: Pair) -> dict[str, str]:
    values = {"a": metric.a, "b": metric.b}
    return {name: f"{float(value):.6g}" for name, value in values.items() if value is not None}


def _say_schema(found: Diff) -> None:
    _heading("schema")
    click.echo(f"  {found.schema_status}")
    if found.schema_features:
        table = options.table("feature", "A", "B")
        for item in found.schema_features:
            table.add_row(item.name, item.a or "–", item.b or "–")
        options.console().print(table)
