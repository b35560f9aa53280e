"""What ``tfx-trust provenance record`` writes, and how a record that lies there already is kept."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfx_trust.cli import reporting
from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.mlmd import COMPLETE, OUTPUTS, Artifact, Prefixes, Store
from tfx_trust.components.provenance.build import build_record
from tfx_trust.components.provenance.config import ProvenanceSettings
from tfx_trust.components.provenance.judge import judge
from tfx_trust.components.provenance.origins import DECLARATIONS, changes_of
from tfx_trust.components.provenance.record import (
    RECORD_FILE,
    SERVING_SIGNATURE_FILE,
    SIGNATURE_FILE,
    STATEMENT_FILE,
    Change,
    Previous,
    Record,
)
from tfx_trust.components.provenance.signing import PUBLIC_KEY_FILE, PrivateKey, signature_of
from tfx_trust.components.provenance.snapshots import Seen, changes
from tfx_trust.components.provenance.subject_index import INDEX_FOLDER
from tfx_trust.components.provenance.writing import file_names, write_record
from tfx_trust.components.report import PAGE_FILE, REPORT_FILE, InputRef

if TYPE_CHECKING:
    from tfx_trust.components.provenance.report import ProvenanceReport

EARLIER_FOLDER = "earlier"
"""In the folder of a record: those that lay there before, each in a folder of its own."""
COMPONENT = "tfx-trust provenance record"
_OURS = (
    *(RECORD_FILE, REPORT_FILE, PAGE_FILE, SIGNATURE_FILE, SERVING_SIGNATURE_FILE),
    *(STATEMENT_FILE, PUBLIC_KEY_FILE, INDEX_FOLDER),
)


@dataclass(frozen=True)
class Last:
    """The record that lay in the folder before."""

    record: Record
    kept_in: Path
    """Where it is put."""


def check_folder(out: Path) -> Last | None:
    """The record that lies in a folder already; none where nothing does.

    Raises
    ------
    UsageError
        If it is no folder, or holds other things, and no record.
    InputError
        If the record cannot be read, or was edited: it is evidence, and stays where it is.
    """
    try:
        names = sorted(os.listdir(out))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{out}: no folder to write to ({error.strerror}); name another") from None
    if not names:
        return None
    if RECORD_FILE not in names:
        raise UsageError(f"{out}: holds {names[0]}, and no record; name an empty folder, or a new one")
    record = Record.load(out)
    if record.content_digest() != record.digest:
        raise InputError(
            f"{out / RECORD_FILE}: was edited since it was written, and is not replaced; see what `verify` "
            "says, and name another folder"
        )
    name = f"{re.sub(r'[^0-9T]', '', record.created[:19])}-{record.digest[:12]}"
    return Last(record, out.resolve() / EARLIER_FOLDER / name)


def recorded(
    store: Store,
    model: Artifact,
    settings: ProvenanceSettings,
    *,
    rewrite: Prefixes,
    last: Last | None,
    progress: Callable[[int, int], None] | None,
) -> Record:
    """The record of a model, sealed; held against the one that lies in its folder already, if one does."""
    previous = None
    if last is not None:
        previous = Previous(digest=last.record.digest, uri=str(last.kept_in), created=last.record.created)
    record = build_record(
        store,
        model,
        settings,
        related=_declarations(store, model),
        rewrite=rewrite,
        previous=previous,
        progress=progress,
    )
    if last is not None:
        record = record.model_copy(update={"changes": _changes(record, last)})
    return record.sealed()


def _declarations(store: Store, model: Artifact) -> list[int]:
    """The newest declarations that the store has of the model's pipeline."""
    found = store.artifacts_of_type(DECLARATIONS)
    if not found:
        return []
    events = store.events_of_artifacts([model.id, *(item.id for item in found)])
    makers = {event.artifact: event.execution for event in events if event.kind in OUTPUTS}
    completed = {
        number for number, item in store.executions(makers.values()).items() if item.state == COMPLETE
    }
    pipelines = store.pipelines(makers.values())
    own = pipelines.get(makers.get(model.id, 0))
    fitting = [
        item for item in found if makers.get(item.id) in completed and pipelines.get(makers[item.id]) == own
    ]
    return [max(fitting, key=lambda item: (item.created, item.id)).id] if fitting else []


def _changes(record: Record, last: Last) -> list[Change]:
    """What the record tells of already, and what differs from the one that lay in the folder."""
    before = {(item.id, item.uri): item for item in last.record.artifacts if item.tree is not None}
    found = list(record.changes)
    told = {(item.artifact, item.source, item.path) for item in found}
    where = str(last.kept_in / RECORD_FILE)
    fresh = changes_of(record.sources, last.record, record.created)
    for entry in record.artifacts:
        known = before.get((entry.id, entry.uri))
        if known is not None:
            fresh += changes(entry, [Seen(tuple(known.files), known.observed, where)])
    return found + [item for item in fresh if (item.artifact, item.source, item.path) not in told]


# Writing


def write(
    record: Record, settings: ProvenanceSettings, key: PrivateKey | None, out: Path, last: Last | None
) -> ProvenanceReport:
    """Judges a record, and writes it with its report, its page and what is signed.

    All of it is made beside the folder and then put into place; a record that lies there is put into
    ``earlier/``, and nothing is lost.

    Raises
    ------
    InputError
        If the index of data subjects cannot be made.
    UsageError
        If the folder cannot be written to.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise UsageError(f"{out}: cannot be written to ({error.strerror}); name another folder") from None
    try:
        report = _write_into(made, record, settings, key, out)
        _put_into_place(made, out, last)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written to ({error.strerror}); name another folder") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return report


def _write_into(
    folder: Path, record: Record, settings: ProvenanceSettings, key: PrivateKey | None, out: Path
) -> ProvenanceReport:
    from tfx_trust.components.page import render_report

    subjects: dict[str, int] = {}
    if settings.subjects is not None:
        # Reading examples loads TensorFlow.
        with reporting.quiet_tensorflow():
            from tfx_trust.components.provenance.subjects import index_training

            subjects = index_training(record, settings.subjects, str(folder))
    names = file_names(record, signed=key is not None)
    report = judge(
        record,
        settings,
        signature=signature_of(key.public_key(), names) if key else None,
        subjects=subjects,
        component=COMPONENT,
    )
    model = record.artifact(record.model)
    report.inputs = {"model": [InputRef(uri=model.uri, type=model.type, id=model.id)]}
    reporting.write_text(str(folder / REPORT_FILE), report.to_json())
    reporting.write_text(str(folder / PAGE_FILE), render_report(report, str(out.resolve())))
    beside = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    write_record(record, folder, key, beside=beside)
    return report


def _put_into_place(made: Path, out: Path, last: Last | None) -> None:
    out.mkdir(exist_ok=True)
    if last is not None:
        last.kept_in.mkdir(parents=True)
        for name in _OURS:
            if (out / name).exists():
                os.replace(out / name, last.kept_in / name)
    for path in sorted(made.iterdir()):
        os.replace(path, out / path.name)
