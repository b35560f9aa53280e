"""What lies there now: looked for by digest where no record tells what lay there once."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.graph import Graph
from tfx_trust.components.provenance.hashing import digest_files, digest_folders, tree_digest
from tfx_trust.components.provenance.record import FileEntry, SourceEntry
from tfx_trust.components.provenance.sources import files_of


def sources_with(
    graph: Graph, sha256: str, *, size: int | None, passing: Collection[int]
) -> tuple[set[int], list[str]]:
    """Artifacts that raw inputs were read into which hold a file, or are a tree, of this digest.

    Parameters
    ----------
    graph
        The store.
    sha256
        In hex.
    size
        Of the file, so that others need not be read; none where it is not known.
    passing
        Ids of artifacts whose raw inputs need not be looked at.

    Returns
    -------
    set of int
        Ids.
    list of str
        What could not be read.
    """
    found: set[int] = set()
    problems: list[str] = []
    for entry in graph.sources:
        if entry.kind in ("files", "import") and not set(entry.made) <= set(passing):
            try:
                if _is_there(_files(entry, size), sha256):
                    found |= set(entry.made)
            except InputError as error:
                problems.append(str(error))
    return found, problems


def artifacts_with(graph: Graph, sha256: str) -> tuple[set[int], list[str]]:
    """Artifacts that hold a file, or are a tree, of this digest; and what could not be read."""
    items = {item.id: graph.place(item) for item in graph.artifacts.values() if item.uri}
    outcomes = digest_folders(items.values())
    found = {
        number
        for number, place in items.items()
        if not isinstance(files := outcomes[place], InputError) and _is_there(files, sha256)
    }
    return found, [str(one) for one in outcomes.values() if isinstance(one, InputError)]


def _files(entry: SourceEntry, size: int | None) -> list[FileEntry]:
    paths: Sequence[str] = files_of(entry)
    if size is not None:
        paths = [path for path in paths if "://" in path or os.path.getsize(path) == size]
    base = entry.place if list(paths) != [entry.place] else os.path.dirname(entry.place)
    return digest_files(paths, base, follow=True)


def _is_there(files: Iterable[FileEntry], sha256: str) -> bool:
    listed = list(files)
    return bool(listed) and (any(file.sha256 == sha256 for file in listed) or tree_digest(listed) == sha256)
