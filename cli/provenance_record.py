"""``tfx-trust provenance record``: the record of a model of any metadata store, judged and signed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfx_trust.cli import provenance_options as options
from tfx_trust.cli import reporting
from tfx_trust.components.errors import InputError, UsageError

if TYPE_CHECKING:
    from tfx_trust.components.provenance.config import ProvenanceSettings, SourceDeclaration
    from tfx_trust.components.provenance.record import Record


@options.command("record")
@options.metadata_option
@click.option(
    "--model",
    "wanted",
    metavar="MODEL",
    default="latest",
    show_default=True,
    help="Its id in the store, its folder, or where it was pushed to.",
)
@click.option("--out", metavar="DIR", required=True, help="Folder to write into; a record in it is kept.")
@click.option("--key", "signing_key", metavar="KEY.pem", help="Private key to sign with; see keygen.")
@click.option(
    "--key-env", "signing_key_env", metavar="NAME", help="Environment variable that holds it instead."
)
@options.rewrite_option
@click.option(
    "--declarations",
    multiple=True,
    metavar="FILE|DIR",
    help="What is declared of the sources: a YAML file, or a folder of them. Those beside the data are read "
    "anyway. Repeatable.",
)
@click.option("--purpose", metavar="P", help="What the model is to be used for, e.g. research/health.")
@click.option(
    "--commercial/--non-commercial",
    default=None,
    help="Whether somebody earns by it; yes if not given.",
)
@click.option("--distribute", is_flag=True, default=None, help="The model itself is handed to others.")
@click.option("--repository", metavar="DIR", help="Git repository of the code, if its place is not told.")
@click.option("--subject-feature", metavar="F", help="Index data subjects by this feature of the examples.")
@click.option("--subject-key", metavar="FILE", help="Secret that the index is made with.")
@click.option("--subject-key-env", metavar="NAME", help="Environment variable that holds it instead.")
@click.option(
    "--settings", "settings_file", metavar="FILE", help="All settings, as JSON; options go before them."
)
@click.option("--json", "json_file", metavar="FILE", help="Write the report as JSON; - for standard output.")
def command(
    metadata: str,
    wanted: str,
    out: str,
    rewrite: tuple[str, ...],
    declarations: tuple[str, ...],
    settings_file: str | None,
    json_file: str | None,
    **given: Any,
) -> None:
    """Record where a model came from: every file of it and of what it was made of, code, sources, licences.

    Works on the store of any TFX pipeline, which is only read, also of runs made before this library. DIR
    gets record.json, report.json and report.html, and with a key the signatures. Exit status: 3 if the
    verdict is fail, 4 if something could not be checked.
    """
    from tfx_trust.cli.provenance_writing import check_folder, recorded, write
    from tfx_trust.components.mlmd import open_store
    from tfx_trust.components.provenance.keys import private_key_of
    from tfx_trust.components.provenance.lineage import model_of

    reporting.check_writable(json_file)
    settings = _settings(settings_file, given, declarations)
    key = private_key_of(settings)
    moved = options.prefixes(rewrite)
    last = check_folder(Path(out))
    store = open_store(metadata)
    model = model_of(store, wanted, rewrite=moved)
    with options.hashing(f"reading what model {model.id} came from") as progress:
        record = recorded(store, model, settings, rewrite=moved, last=last, progress=progress)
    with reporting.working("writing"):
        report = write(record, settings, key, Path(out), last)
    reporting.finish(report, _counted(record, out), json_file, None)


def _counted(record: Record, out: str) -> str:
    artifacts = [item for item in record.artifacts if item.tree is not None]
    files = [file for item in artifacts for file in item.files]
    files += [file for source in record.sources for file in source.files]
    size = options.size_of(sum(file.size for file in files))
    return (
        f"model {record.model}: {len(files):,} files, {size}, of {len(artifacts):,} artifacts and "
        f"{len(record.sources):,} sources\nrecord  {out}"
    )


# Settings


def _settings(
    settings_file: str | None, given: dict[str, Any], declarations: Sequence[str]
) -> ProvenanceSettings:
    from tfx_trust.components.provenance.config import ProvenanceSettings

    repository = given["repository"]
    if repository is not None and not Path(repository).is_dir():
        raise UsageError(f"--repository {repository}: no such folder; name that of the code, or leave it out")
    kept = {
        name: value for name in ("signing_key", "signing_key_env", "repository") if (value := given[name])
    }
    settings = reporting.settings_of(ProvenanceSettings, settings_file, {}, {})
    whole = settings.model_dump()
    if "signing_key" in kept or "signing_key_env" in kept:
        whole |= {"signing_key": None, "signing_key_env": None}
    whole |= kept
    whole["declarations"] = [*whole["declarations"], *_declared(declarations)]
    whole["use"] = _use(whole["use"], given)
    whole["subjects"] = _subjects(whole["subjects"], given)
    return ProvenanceSettings.of(whole)


def _use(use: dict[str, Any] | None, given: dict[str, Any]) -> dict[str, Any] | None:
    told = {
        "purpose": given["purpose"],
        "commercial": given["commercial"],
        "distribution": given["distribute"],
    }
    told = {name: value for name, value in told.items() if value is not None}
    if not told:
        return use
    if use is None and "purpose" not in told:
        raise UsageError("what the model is used for is not told: give --purpose")
    return {**(use or {}), **told}


def _subjects(subjects: dict[str, Any] | None, given: dict[str, Any]) -> dict[str, Any] | None:
    told = {
        "feature": given["subject_feature"],
        "key_file": given["subject_key"],
        "key_env": given["subject_key_env"],
    }
    if not any(told.values()):
        return subjects
    if told["key_file"] and told["key_env"]:
        raise UsageError("--subject-key, --subject-key-env: both are given; give one of the two")
    feature = told["feature"] or (subjects or {}).get("feature")
    if not feature:
        raise UsageError("data subjects are indexed by a feature: give --subject-feature")
    if told["key_file"] or told["key_env"]:
        return {**told, "feature": feature}
    if subjects is None:
        raise UsageError("the index of data subjects needs a secret: give --subject-key or --subject-key-env")
    return {**subjects, "feature": feature}


def _declared(places: Sequence[str]) -> list[SourceDeclaration]:
    from tfx_trust.components.provenance.declarations import read_file

    found = []
    for place in places:
        for path in _files(Path(place)):
            found += [item.declaration for item in read_file(str(path))]
    return found


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    found = sorted(path for path in place.iterdir() if path.suffix in (".yaml", ".yml") and path.is_file())
    if not found:
        raise InputError(f"{place}: no YAML file in this folder; name a file or a folder of declarations")
    return found
