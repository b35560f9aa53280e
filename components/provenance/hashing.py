"""Digests of files and folders: SHA-256 of every file, and a tree digest that binds their names.

No symbolic link is followed unless that is asked for, and no special file is read. Files are read where they
are, through :mod:`tfx.dsl.io.fileio` if their place is a URI.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.reading import Digest, digests_of, refuse_link, unreadable
from tfx_trust.components.provenance.record import FileEntry

_FINGERPRINT = "tree_sha256:"


def file_digest(path: str | os.PathLike[str], *, follow: bool = False) -> FileEntry:
    """Size and SHA-256 of one file; `path` of the entry is its name.

    Parameters
    ----------
    path
        Local path or URI.
    follow
        Whether it may be a symbolic link; its target is read then.

    Raises
    ------
    InputError
        If it is missing, a symbolic link, no regular file, unreadable, or changes while it is read.
    """
    place = os.fspath(path)
    return _finished(digests_of([place], follow=follow), os.path.basename(place), place)


def digest_folder(folder: str | os.PathLike[str], *, ignore: Collection[str] = ()) -> list[FileEntry]:
    """All files below a folder, sorted by their relative paths. Folders that are empty leave no trace.

    Where `folder` is a file, as of TFX's value artifacts, it is the only entry.

    Parameters
    ----------
    folder
        Local path or URI. It may itself be reached through a symbolic link.
    ignore
        Paths of files and folders in it that are passed over, relative, with ``/``.

    Raises
    ------
    InputError
        If the folder is missing, or something in it is a symbolic link, a special file, unreadable, has a
        name that is not UTF-8, or changes while it is read.
    """
    place = os.fspath(folder)
    outcome = digest_folders([place], ignore=ignore)[place]
    if isinstance(outcome, InputError):
        raise outcome
    return outcome


def digest_folders(
    folders: Iterable[str], *, ignore: Collection[str] = ()
) -> dict[str, list[FileEntry] | InputError]:
    """:func:`digest_folder` of many, several files at once; of one that cannot be read, the error."""
    listed: dict[str, list[tuple[str, str]] | InputError] = {}
    for folder in dict.fromkeys(folders):
        try:
            listed[folder] = sorted(_listed(folder, frozenset(ignore)))
        except InputError as error:
            listed[folder] = error
    found = digests_of(path for files in listed.values() if isinstance(files, list) for _, path in files)
    return {
        folder: files if isinstance(files, InputError) else _entries(found, files)
        for folder, files in listed.items()
    }


def digest_files(paths: Sequence[str], base: str, *, follow: bool = False) -> list[FileEntry]:
    """Some files, sorted by their paths relative to `base`.

    Parameters
    ----------
    paths
        Local paths or URIs.
    base
        Folder that the entries' paths are relative to.
    follow
        Whether a file may be a symbolic link; its target is read then.

    Raises
    ------
    InputError
        As :func:`digest_folder`.
    """
    files = sorted((_relative(path, base), path) for path in dict.fromkeys(paths))
    found = digests_of((path for _, path in files), follow=follow)
    return [_finished(found, name, path) for name, path in files]


def tree_digest(files: Iterable[FileEntry]) -> str:
    """One digest that binds the names, sizes and bytes of some files.

    A Merkle tree of SHA-256, in hex. Its leaves are the files, sorted by the UTF-8 bytes of their paths::

        leaf = SHA-256(0x00 || length of path || path || size || SHA-256 of the bytes)
        node = SHA-256(0x01 || left || right)

    where the path is UTF-8, its length and the size are unsigned numbers of 8 bytes, the most significant
    first, and digests are their 32 bytes. Level by level, neighbours are joined from the left; one that is
    left over goes up as it is. The digest of no files is the SHA-256 of nothing. The form of the tree is that
    of RFC 6962, section 2.1.

    Raises
    ------
    ValueError
        If two files have the same path.

    Examples
    --------
    >>> tree_digest([])
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    listed = list(files)
    by_path = {file.path.encode(): file for file in listed}
    if len(by_path) < len(listed):
        raise ValueError("two files of a tree have the same path")
    level = [
        hashlib.sha256(
            b"\x00"
            + len(path).to_bytes(8, "big")
            + path
            + file.size.to_bytes(8, "big")
            + bytes.fromhex(file.sha256)
        ).digest()
        for path, file in sorted(by_path.items())
    ]
    while len(level) > 1:
        joined = [
            hashlib.sha256(b"\x01" + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        level = joined + level[2 * len(joined) :]
    return (level[0] if level else hashlib.sha256().digest()).hex()


def raw_fingerprint(splits: Mapping[str, Sequence[FileEntry]]) -> str:
    """What a content-aware ExampleGen keeps as ``input_fingerprint`` of its Examples.

    As TFX's, but that the tree digest of all files stands in the place of what is made of their times.

    Parameters
    ----------
    splits
        By split the files that are read, relative to ``input_base``.
    """
    lines = [
        f"split:{name},num_files:{len(files)},total_bytes:{sum(file.size for file in files)}"
        for name, files in splits.items()
    ]
    every = {file.path: file for files in splits.values() for file in files}
    return "\n".join([*lines, _FINGERPRINT + tree_digest(every.values())])


def tree_of_fingerprint(fingerprint: str) -> str | None:
    """The tree digest of raw input in an ``input_fingerprint``; none if TFX made it of sizes and times."""
    _, found, tree = fingerprint.partition(_FINGERPRINT)
    return tree if found else None


# What lies in a folder


def _listed(folder: str, ignore: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Relative path and place of every file below a folder."""
    if "://" in folder:
        yield from _listed_remotely(folder, ignore)
        return
    try:
        kind = os.stat(folder).st_mode
    except OSError as error:
        unreadable(folder, error)
    if not stat.S_ISDIR(kind):
        yield _utf8(os.path.basename(folder), folder), folder
        return
    waiting = [("", folder)]
    while waiting:
        prefix, place = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except OSError as error:
            unreadable(place, error)
        for entry in entries:
            relative = prefix + _utf8(entry.name, entry.path)
            if relative in ignore:
                continue
            if entry.is_symlink():
                refuse_link(entry.path)
            if entry.is_dir(follow_symlinks=False):
                waiting.append((relative + "/", entry.path))
            else:
                yield relative, entry.path


def _listed_remotely(folder: str, ignore: frozenset[str]) -> Iterator[tuple[str, str]]:
    from tfx.dsl.io import fileio

    place = folder.rstrip("/")
    try:
        if not fileio.exists(place):
            raise InputError(f"{folder}: there is nothing; give the place where it lies now")
        if not fileio.isdir(place):
            yield place.rpartition("/")[2], place
            return
        for where, _, names in fileio.walk(place):
            for name in names:
                path = f"{where.rstrip('/')}/{name}"
                relative = path[len(place) + 1 :]
                within = [str(parent) for parent in PurePosixPath(relative).parents]
                if not ignore.intersection([relative, *within]):
                    yield relative, path
    except InputError:
        raise
    except Exception as error:  # Every file system has errors of its own.
        unreadable(folder, error)


def _relative(path: str, base: str) -> str:
    if "://" not in path:
        return _utf8(os.path.relpath(path, base).replace(os.sep, "/"), path)
    prefix = base.rstrip("/") + "/"
    return path.removeprefix(prefix)


def _utf8(name: str, path: str) -> str:
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{os.fsencode(path)!r}: the name is not UTF-8, so no record can hold it; rename the file"
            ) from None
    return name


def _entries(
    found: dict[str, Digest | InputError], files: Sequence[tuple[str, str]]
) -> list[FileEntry] | InputError:
    try:
        return [_finished(found, name, path) for name, path in files]
    except InputError as error:
        return error


def _finished(found: dict[str, Digest | InputError], name: str, path: str) -> FileEntry:
    outcome = found[path]
    if isinstance(outcome, InputError):
        raise outcome
    size, sha256 = outcome
    return FileEntry(path=name, size=size, sha256=sha256)
