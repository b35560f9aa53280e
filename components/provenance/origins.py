"""Raw inputs of a record: their bytes as they lie there, what is declared of them, and how they changed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence

from tfx_trust.components.errors import InputError, TrustError
from tfx_trust.components.mlmd import Artifact, Prefixes
from tfx_trust.components.provenance.config import IntendedUse, ProvenanceSettings
from tfx_trust.components.provenance.declarations import Declared, declarations_beside, match, read_file
from tfx_trust.components.provenance.hashing import digest_files, tree_digest
from tfx_trust.components.provenance.lineage import Lineage
from tfx_trust.components.provenance.masking import mask_text
from tfx_trust.components.provenance.obligations import inherit
from tfx_trust.components.provenance.record import (
    ArtifactEntry,
    Change,
    Obligations,
    Record,
    SourceEntry,
    Unknown,
)
from tfx_trust.components.provenance.snapshots import Seen, changes
from tfx_trust.components.provenance.sources import files_of, sources_of

DECLARATIONS = "TrustSourceDeclarations"
_SCHEMA = "Schema"
_FINGERPRINT = re.compile(r"split:(?P<split>[^,\n]*),num_files:(?P<files>\d+),total_bytes:(?P<bytes>\d+)")


def read_sources(
    lineage: Lineage,
    settings: ProvenanceSettings,
    artifacts: Sequence[ArtifactEntry],
    *,
    observed: str,
    rewrite: Prefixes = (),
    unknowns: list[Unknown],
) -> list[SourceEntry]:
    """The raw inputs of a lineage, with digests of their files and what is declared of them.

    Parameters
    ----------
    lineage
        Of the model, with places where they are now.
    settings
        With declarations.
    artifacts
        Of the record; those that hold declarations are read.
    observed
        Time that is written to what was read.
    rewrite
        Prefixes of places, if files were moved.
    unknowns
        Gets an entry for whatever could not be read, or is not clear.
    """
    sources = []
    declared = [Declared(item, "settings") for item in settings.declarations]
    for found in sources_of(lineage, rewrite=rewrite):
        paths = _listed(found, unknowns)
        sources.append(_hashed(found, paths, observed, unknowns))
        unknowns += _read_otherwise(found, sources[-1], lineage.artifacts)
        try:
            declared += declarations_beside(found.place, paths)
        except TrustError as error:
            unknowns.append(_unread(found.id, error))
    for entry in artifacts:
        if entry.type == DECLARATIONS:
            declared += _declared_in(entry, unknowns)
    matched = match(sources, declared)
    unknowns += matched.unknowns
    return matched.sources


def inherited(
    sources: Iterable[SourceEntry], artifacts: Iterable[ArtifactEntry], use: IntendedUse | None
) -> Obligations:
    """What a model inherits of the sources of its data."""
    return inherit(of_data(sources, artifacts), use=use)


def of_data(sources: Iterable[SourceEntry], artifacts: Iterable[ArtifactEntry]) -> list[SourceEntry]:
    """The sources that data came from: a schema that somebody wrote is none."""
    types = {entry.id: entry.type for entry in artifacts}
    return [
        source
        for source in sources
        if not source.made or any(types.get(number, "") != _SCHEMA for number in source.made)
    ]


def changes_of(sources: Iterable[SourceEntry], previous: Record | None, now: str) -> list[Change]:
    """What became of raw inputs since the record before."""
    earlier = (
        {(item.kind, item.place, _patterns(item)): item for item in previous.sources} if previous else {}
    )
    found = []
    for source in sources:
        last = earlier.get((source.kind, source.place, _patterns(source)))
        if last is None or last.tree is None or source.tree is None or last.tree == source.tree:
            continue
        entry = ArtifactEntry(
            id=0,
            type="",
            uri=source.place,
            role="upstream",
            files=source.files,
            tree=source.tree,
            observed=now,
        )
        assert previous is not None
        where = f"the record {previous.digest[:12]}"
        seen = Seen(tuple(last.files), last.observed, where)
        sizes = {file.path: file.size for file in last.files}, {file.path: file.size for file in source.files}
        anew = not set(source.made) & set(last.made)
        for change in changes(entry, [seen]):
            same = change.kind == "changed" and sizes[0].get(change.path) == sizes[1].get(change.path)
            reason = "after_reading" if not anew else "same_size" if same else "read_anew"
            found.append(change.model_copy(update={"artifact": None, "source": source.id, "reason": reason}))
    return found


def _patterns(source: SourceEntry) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(source.patterns.items()))


# Bytes


def _listed(source: SourceEntry, unknowns: list[Unknown]) -> list[str]:
    try:
        return files_of(source)
    except Exception as error:  # Every file system has errors of its own.
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        unknowns.append(
            Unknown(
                what="source_files",
                subject=source.id,
                why=mask_text(f"{source.place} cannot be listed ({why})"),
            )
        )
        return []


def _hashed(source: SourceEntry, paths: Sequence[str], observed: str, unknowns: list[Unknown]) -> SourceEntry:
    if source.kind == "query":
        why = f"it was read by a query, of which no bytes are left to be looked at: {source.place}"
        unknowns.append(Unknown(what="source_query", subject=source.id, why=why))
        return source
    if not paths:
        why = f"no file is left at {source.place}{_as_patterns(source)}"
        unknowns.append(Unknown(what="source_files", subject=source.id, why=why))
        return source
    base = os.path.dirname(source.place) if paths == [source.place] else source.place
    try:
        files = digest_files(paths, base, follow=True)
    except InputError as error:
        unknowns.append(Unknown(what="source_files", subject=source.id, why=mask_text(str(error))))
        return source
    return source.model_copy(update={"files": files, "tree": tree_digest(files), "observed": observed})


def _as_patterns(source: SourceEntry) -> str:
    patterns = ", ".join(sorted(set(source.patterns.values())))
    return f" that {patterns} fits" if patterns else ""


def _read_otherwise(
    source: SourceEntry, hashed: SourceEntry, artifacts: Mapping[int, Artifact]
) -> Iterable[Unknown]:
    """Whether the files have other sizes, or are not as many, as when ExampleGen looked at them."""
    if hashed.tree is None:
        return
    sizes = {file.path: file.size for file in hashed.files}
    for number in source.made:
        told = str(artifacts[number].properties.get("input_fingerprint", "")) if number in artifacts else ""
        for read in _FINGERPRINT.finditer(told):
            count, size = int(read["files"]), int(read["bytes"])
            files = _of_split(source, read["split"], sizes)
            if files is None or (len(files), sum(files)) == (count, size):
                continue
            why = (
                f"split {read['split']} was read from {count:,} files of {size:,} bytes, and now there are "
                f"{len(files):,} of {sum(files):,}: what lies there is not what was read"
            )
            yield Unknown(what="source_read", subject=source.id, why=why)
            return


def _of_split(source: SourceEntry, split: str, sizes: Mapping[str, int]) -> list[int] | None:
    if split not in source.patterns:
        return None
    alone = source.model_copy(update={"patterns": {split: source.patterns[split]}})
    prefix = source.place.rstrip("/") + "/"
    return [sizes[path] for file in files_of(alone) if (path := file.removeprefix(prefix)) in sizes]


# Declarations


def _declared_in(entry: ArtifactEntry, unknowns: list[Unknown]) -> list[Declared]:
    found: list[Declared] = []
    for file in entry.files:
        place = f"{entry.uri.rstrip('/')}/{file.path}"
        try:
            found += [item._replace(where=entry.uri, folder=None) for item in read_file(place)]
        except TrustError as error:
            unknowns.append(_unread(f"artifact:{entry.id}", error))
    return found


def _unread(subject: str, error: TrustError) -> Unknown:
    return Unknown(what="declaration", subject=subject, why=mask_text(str(error)))
