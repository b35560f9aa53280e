"""The record before this one: each holds the digest of the last, so that one that is edited shows."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable

from tfx_trust.components.errors import InputError
from tfx_trust.components.mlmd import OUTPUTS, Artifact, Prefixes, Store, rewritten
from tfx_trust.components.provenance.reading import content_of
from tfx_trust.components.provenance.record import RECORD_FILE, Previous, Record, Unknown
from tfx_trust.components.provenance.snapshots import RECORD, RECORD_DIGEST

EDITED = "was edited"
"""In the reason of an unknown: an earlier observation is not what it was when it was written."""
MODEL_ID = "model_id"
"""Property of a record's artifact: the id of the model's."""
_LIVE = ("", "UNKNOWN", "LIVE")


def previous_of(
    store: Store, pipeline: str, *, rewrite: Prefixes = (), unknowns: list[Unknown] | None = None
) -> tuple[Previous | None, Record | None]:
    """The newest record of a pipeline that its store knows of, and what is in it.

    Parameters
    ----------
    store
        To be read.
    pipeline
        Its name.
    rewrite
        Prefixes of places, if the records were moved.
    unknowns
        Gets an entry if the record is gone, cannot be read, or is not what the store says that it was.
    """
    for holder in sorted(store.artifacts_of_type(RECORD), key=lambda item: -item.id):
        if holder.state in _LIVE and _pipeline_of(store, holder) == pipeline:
            return _read(holder, rewritten(holder.uri, rewrite), [] if unknowns is None else unknowns)
    return None, None


def records_of_model(store: Store, model: int, *, rewrite: Prefixes = ()) -> list[Record]:
    """The records of a model that its store knows of and that can be believed, the earliest first."""
    holders = [item for item in store.artifacts_of_type(RECORD) if item.properties.get(MODEL_ID) == model]
    found = [_read(item, rewritten(item.uri, rewrite), [])[1] for item in holders if item.state in _LIVE]
    return [record for record in found if record is not None]


def without_records(unseen: Iterable[Unknown], store: Store, *, last: int | None) -> list[Unknown]:
    """What earlier observations could not be read, with the records among them as one.

    Whoever clears away old runs loses their records, which is no fault; the `last` one is told of by itself,
    and one that was edited stays as it is.
    """
    records = {f"artifact:{item.id}" for item in store.artifacts_of_type(RECORD)}
    own = f"artifact:{last}"
    kept, gone = [], []
    for item in unseen:
        if item.subject not in records or EDITED in item.why:
            kept.append(item)
        elif item.subject != own:
            gone.append(item)
    if gone:
        count = "1 earlier record" if len(gone) == 1 else f"{len(gone):,} earlier records"
        why = f"{count} of this store cannot be read, the newest of them: {gone[-1].why}"
        kept.append(Unknown(what="earlier_record", subject=gone[-1].subject, why=why))
    return kept


def iso(milliseconds: int) -> str:
    """A time of the store as ISO 8601, UTC; empty for none."""
    if not milliseconds:
        return ""
    return datetime.datetime.fromtimestamp(milliseconds // 1000, datetime.timezone.utc).isoformat()


def _pipeline_of(store: Store, artifact: Artifact) -> str | None:
    makers = [event.execution for event in store.events_of_artifacts([artifact.id]) if event.kind in OUTPUTS]
    return next(iter(store.pipelines(makers).values()), None)


def _read(holder: Artifact, uri: str, unknowns: list[Unknown]) -> tuple[Previous | None, Record | None]:
    noted = holder.properties.get(RECORD_DIGEST)
    place = os.path.join(uri, RECORD_FILE)
    subject = f"artifact:{holder.id}"
    record = None
    try:
        record = Record.of_bytes(content_of(place, "the record before this one cannot be read"), place)
    except InputError as error:
        unknowns.append(Unknown(what="previous_record", subject=subject, why=str(error)))
    if record is not None:
        noted = noted or record.digest
        if record.content_digest() != noted:
            unknowns.append(
                Unknown(
                    what="earlier_observation",
                    subject=subject,
                    why=f"{place}: {EDITED}: the metadata store has another digest of it",
                )
            )
            record = None
    if not noted:
        return None, None
    previous = Previous(digest=str(noted), uri=uri, artifact=holder.id, created=iso(holder.created))
    return previous, record
