"""What lies in folders, held against what was recorded of them: whatever differs, by file."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.hashing import digest_folders
from tfx_trust.components.provenance.reading import Digest, digests_of
from tfx_trust.components.provenance.record import FileEntry
from tfx_trust.components.provenance.verification import Problem, printable


@dataclass(frozen=True)
class Expected:
    """Files that should lie somewhere."""

    subject: str
    """E.g. ``artifact:10``; see :class:`Problem`."""
    title: str
    """What messages call it."""
    folder: str
    """Local path or URI; of a single file, that file."""
    files: Sequence[FileEntry]
    remedy: str
    """What to do if something differs."""
    paths: Sequence[str] | None = None
    """Those files that are looked at, symbolic links followed; all that lie below the folder if none."""
    ignore: Collection[str] = ()
    """Relative paths of files that are passed over."""


@dataclass
class Outcome:
    """What comparing found."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int = 0
    """Whose bytes were read."""
    bytes: int = 0


@dataclass
class _Lying:
    """What lies in a folder."""

    places: dict[str, str] = field(default_factory=dict)
    """Of regular files, by relative path."""
    digests: dict[str, Digest | InputError] = field(default_factory=dict)
    odd: dict[str, str] = field(default_factory=dict)
    """What is neither file nor folder, and what it is."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Folders that cannot be looked into, and why."""
    links: list[str] = field(default_factory=list)
    """Of the files, those that are reached through a symbolic link."""


def compare_all(expected: Sequence[Expected]) -> Outcome:
    """Reads all files, several at once, and tells what is not as it should be.

    What is expected at a place where nothing lies is unchecked; where something lies, every single file that
    is changed, missing, added or renamed, or is a symbolic link now, is told as tampered. A file that is
    missing and one that was added are a renamed one if they hold the same bytes. Folders without files leave
    no trace.
    """
    outcome = Outcome()
    lying: list[tuple[Expected, _Lying]] = []
    for item in expected:
        found = _look(item)
        if isinstance(found, InputError):
            outcome.problems.append(_gone(item, found))
        else:
            lying.append((item, found))
    _read(lying)
    for item, found in lying:
        outcome.problems += _differences(item, found)
        outcome.notes += [
            f"{item.title}: {printable(path)} is a symbolic link; what it leads to was read"
            for path in found.links
        ]
        read = [digest for digest in found.digests.values() if not isinstance(digest, InputError)]
        outcome.files += len(read)
        outcome.bytes += sum(size for size, _ in read)
    return outcome


def _read(lying: Sequence[tuple[Expected, _Lying]]) -> None:
    for follow in (False, True):
        here = [found for item, found in lying if (item.paths is not None) is follow]
        unread = {
            place for found in here for path, place in found.places.items() if path not in found.digests
        }
        digests = digests_of(sorted(unread), follow=follow)
        for found in here:
            found.digests |= {path: digests[place] for path, place in found.places.items() if place in unread}


# Looking


def _look(item: Expected) -> _Lying | InputError:
    if "://" in item.folder:
        return _look_remotely(item)
    if item.paths is not None:
        return _listed(item)
    if not os.path.exists(item.folder):
        return _Gone(f"{item.folder}: there is nothing")
    if not os.path.isdir(item.folder):
        return _Lying(places={os.path.basename(item.folder): item.folder})
    found = _Lying()
    waiting = [("", item.folder)]
    while waiting:
        prefix, place = waiting.pop()
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            found.unreadable[prefix.rstrip("/")] = str(error.strerror)
            continue
        for entry in entries:
            path = prefix + entry.name
            if entry.is_symlink():
                found.odd[path] = f"a symbolic link to {_target(entry.path)}"
            elif entry.is_dir(follow_symlinks=False):
                waiting.append((f"{path}/", entry.path))
            elif entry.is_file(follow_symlinks=False):
                if path not in item.ignore:
                    found.places[path] = entry.path
            else:
                found.odd[path] = "no regular file"
    return found


def _listed(item: Expected) -> _Lying | InputError:
    """The files that were looked for elsewhere, such as those that fit a source's pattern."""
    paths = list(item.paths or ())
    alone = len(item.files) == 1 and os.path.basename(item.folder) == item.files[0].path
    base = os.path.dirname(item.folder) if alone or paths == [item.folder] else item.folder
    if not os.path.lexists(base):
        return _Gone(f"{item.folder}: there is nothing")
    found = _Lying(places={os.path.relpath(path, base).replace(os.sep, "/"): path for path in paths})
    for path in [path for path, place in found.places.items() if os.path.islink(place)]:
        if os.path.isfile(found.places[path]):
            found.links.append(path)
        else:
            found.odd[path] = f"a symbolic link to {_target(found.places.pop(path))}"
    return found


def _look_remotely(item: Expected) -> _Lying | InputError:
    if item.paths is None:
        entries = digest_folders([item.folder], ignore=item.ignore)[item.folder]
        if isinstance(entries, InputError):
            return entries
        prefix = item.folder.rstrip("/")
        return _Lying(
            places={entry.path: f"{prefix}/{entry.path}" for entry in entries},
            digests={entry.path: (entry.size, entry.sha256) for entry in entries},
        )
    if not item.paths:
        return _Gone(f"{item.folder}: there is nothing")
    prefix = item.folder.rstrip("/") + "/"
    return _Lying(places={path.removeprefix(prefix): path for path in item.paths})


class _Gone(InputError):
    """Nothing lies there."""


def _target(path: str) -> str:
    try:
        return printable(os.readlink(path))
    except OSError:
        return "somewhere"


# Telling


def _gone(item: Expected, why: InputError) -> Problem:
    if not isinstance(why, _Gone):
        return _problem(item, "unreadable", "", str(why), "Make it readable.", kind="unchecked")
    message = f"nothing lies at {item.folder}, where {_count(item.files)} should"
    remedy = "Give --rewrite-prefix OLD=NEW if it was moved."
    return _problem(item, "gone", "", message, remedy, kind="unchecked")


def _count(files: Sequence[FileEntry]) -> str:
    return "a file" if len(files) == 1 else f"{len(files):,} files"


def _differences(item: Expected, found: _Lying) -> list[Problem]:
    wanted = {file.path: file for file in item.files if file.path not in item.ignore}
    told = []
    missing = []
    for path, file in wanted.items():
        digest = found.digests.get(path)
        if path in found.odd:
            message = f"in the place of {path} lies {found.odd[path]}"
            told.append(_problem(item, "replaced", path, message, before=file.sha256))
        elif isinstance(digest, InputError):
            told.append(_problem(item, "unreadable", path, str(digest), kind="unchecked"))
        elif digest is not None:
            told += _changed(item, file, digest)
        elif _is_below(path, found.unreadable):
            message = f"the folder of {path} cannot be read"
            told.append(_problem(item, "unreadable", path, message, kind="unchecked"))
        else:
            missing.append(path)
    new = {path: digest for path, digest in found.digests.items() if path not in wanted}
    told += _moved(item, [wanted[path] for path in missing], new)
    told += [
        _problem(item, "added", path, f"{path} was added, {what}")
        for path, what in found.odd.items()
        if path not in wanted
    ]
    return sorted(told, key=lambda problem: problem.path)


def _changed(item: Expected, file: FileEntry, digest: Digest) -> Iterator[Problem]:
    size, now = digest
    if digest == (file.size, file.sha256):
        return
    how = "" if size == file.size else f" and has {size:,} bytes instead of {file.size:,}"
    message = f"{file.path} was changed{how}: recorded is sha256 {file.sha256[:12]}…, there is {now[:12]}…"
    yield _problem(item, "changed", file.path, message, before=file.sha256, now=now)


def _moved(
    item: Expected, missing: Iterable[FileEntry], new: Mapping[str, Digest | InputError]
) -> Iterator[Problem]:
    """What is missing and what was added, put together where the bytes are the same."""
    left: defaultdict[Digest, list[str]] = defaultdict(list)
    unread = []
    for path, digest in sorted(new.items(), reverse=True):
        if isinstance(digest, InputError):
            unread.append(path)
        else:
            left[digest].append(path)
    for file in missing:
        candidates = left[file.size, file.sha256]
        if not candidates:
            message = f"{file.path} is missing"
            yield _problem(item, "missing", file.path, message, before=file.sha256)
            continue
        target = printable(candidates.pop())
        digests = {"before": file.sha256, "now": file.sha256}
        message = f"{file.path} was renamed to {target}"
        yield _problem(item, "renamed", file.path, message, renamed_to=target, **digests)
    for (_, now), paths in left.items():
        for path in paths:
            yield _problem(item, "added", path, f"{path} was added", now=now)
    for path in unread:
        yield _problem(item, "added", path, f"{path} was added, and cannot be read")


def _is_below(path: str, folders: Collection[str]) -> bool:
    return any(path.startswith(f"{folder}/") or not folder for folder in folders)


def _problem(
    item: Expected,
    what: str,
    path: str,
    message: str,
    remedy: str = "",
    *,
    kind: str = "tampered",
    **more: Any,
) -> Problem:
    place = item.folder
    is_that_file = os.path.basename(place) == path and not os.path.isdir(place)
    if path and not is_that_file:
        place = f"{place.rstrip('/')}/{path}"
    return Problem.model_validate(
        {
            "kind": kind,
            "what": what,
            "subject": item.subject,
            "path": place,
            "message": f"{item.title}: {message}",
            "remedy": remedy or item.remedy,
            **more,
        }
    )
