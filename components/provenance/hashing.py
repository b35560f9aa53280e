"""Digests of files and folders: SHA-256 of every file, and a tree digest that binds their names.

No symbolic link is followed and no special file is read: what is hashed is what lies in the folder. Files are
read where they are, through :mod:`tfx.dsl.io.fileio` if their place is a URI.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any, NoReturn

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.record import FileEntry

# Measured: larger blocks gain nothing any more, smaller ones lose up to a tenth.
_BLOCK = 1 << 20
# Up to here a file takes a thread longer to be handed over than to be hashed.
_SMALL = 32 << 10
_BATCH_BYTES = 8 << 20
_MAX_THREADS = 8
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# A clock of a file system may be as coarse as this: until then, a later write may leave the same times.
_SETTLED_NS = 2_000_000_000
_MEMO_LIMIT = 100_000

_Found = tuple[int, str]

_memo: dict[tuple[str | int, ...], str] = {}


def file_digest(path: str | os.PathLike[str]) -> FileEntry:
    """Size and SHA-256 of one file; `path` of the entry is its name.

    Raises
    ------
    InputError
        If it is missing, a symbolic link, no regular file, unreadable, or changes while it is read.
    """
    place = os.fspath(path)
    return _finished(_digests([place]), os.path.basename(place), place)


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
    found = _digests(path for files in listed.values() if isinstance(files, list) for _, path in files)
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
    found = _digests((path for _, path in files), follow=follow)
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


# What lies in a folder


def _listed(folder: str, ignore: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Relative path and place of every file below a folder."""
    if "://" in folder:
        yield from _listed_remotely(folder, ignore)
        return
    try:
        kind = os.stat(folder).st_mode
    except OSError as error:
        _unreadable(folder, error)
    if not stat.S_ISDIR(kind):
        yield _utf8(os.path.basename(folder), folder), folder
        return
    waiting = [("", folder)]
    while waiting:
        prefix, place = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except OSError as error:
            _unreadable(place, error)
        for entry in entries:
            relative = prefix + _utf8(entry.name, entry.path)
            if relative in ignore:
                continue
            if entry.is_symlink():
                _refuse_link(entry.path)
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
        _unreadable(folder, error)


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


# Bytes


def _entries(
    found: dict[str, _Found | InputError], files: Sequence[tuple[str, str]]
) -> list[FileEntry] | InputError:
    try:
        return [_finished(found, name, path) for name, path in files]
    except InputError as error:
        return error


def _finished(found: dict[str, _Found | InputError], name: str, path: str) -> FileEntry:
    outcome = found[path]
    if isinstance(outcome, InputError):
        raise outcome
    size, sha256 = outcome
    return FileEntry(path=name, size=size, sha256=sha256)


def _digests(paths: Iterable[str], *, follow: bool = False) -> dict[str, _Found | InputError]:
    """Size and digest by path, or why there are none: small files here, the others by threads."""
    found: dict[str, _Found | InputError] = {}
    flags = _OPEN & ~os.O_NOFOLLOW if follow else _OPEN

    def read(batch: list[str]) -> None:
        for path in batch:
            try:
                found[path] = _remote(path) if "://" in path else _large(path, flags)
            except InputError as error:
                found[path] = error

    with ThreadPoolExecutor(_threads()) as pool:
        batch: list[str] = []
        weight = 0
        running = []
        for path in paths:
            try:
                size = _BATCH_BYTES if "://" in path else _small(path, flags, found)
            except InputError as error:
                found[path] = error
                continue
            if size is None:
                continue
            batch.append(path)
            weight += size
            if weight >= _BATCH_BYTES:
                running.append(pool.submit(read, batch))
                batch, weight = [], 0
        running.append(pool.submit(read, batch))
        for future in running:
            future.result()
    return found


def _threads() -> int:
    available = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return min(len(available), _MAX_THREADS)


def _small(path: str, flags: int, found: dict[str, _Found | InputError]) -> int | None:
    """Finds the digest of a small file; of a larger one tells the size, unless its digest is known."""
    descriptor = _opened(path, flags)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            _refuse_special(path)
        size = before.st_size
        if size > _SMALL:
            known = _memo.get(_key(path, before))
            if known is None:
                return size
            found[path] = size, known
            return None
        content = os.read(descriptor, size + 1)
        if len(content) != size or _times(os.fstat(descriptor)) != _times(before):
            # A file system may give less at once than it was asked for: the slow way finds out.
            return size
    except OSError as error:
        _unreadable(path, error)
    finally:
        os.close(descriptor)
    found[path] = size, hashlib.sha256(content).hexdigest()
    return None


_buffers = threading.local()


def _large(path: str, flags: int) -> _Found:
    if not hasattr(_buffers, "block"):
        _buffers.block = memoryview(bytearray(_BLOCK))
    block = _buffers.block
    digest = hashlib.sha256()
    size = 0
    began = time.time_ns()
    descriptor = _opened(path, flags)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            _refuse_special(path)
        while count := os.readv(descriptor, [block]):
            digest.update(block[:count])
            size += count
        after = os.fstat(descriptor)
    except OSError as error:
        _unreadable(path, error)
    finally:
        os.close(descriptor)
    if size != before.st_size or _times(before) != _times(after):
        _changed(path)
    sha256 = digest.hexdigest()
    if began - max(before.st_mtime_ns, before.st_ctime_ns) > _SETTLED_NS:
        _remember(_key(path, before), sha256)
    return size, sha256


def _remote(path: str) -> _Found:
    from tfx.dsl.io import fileio

    digest = hashlib.sha256()
    size = 0
    try:
        before = _remote_state(path)
        with fileio.open(path, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
        after = _remote_state(path)
    except Exception as error:  # Every file system has errors of its own.
        _unreadable(path, error)
    if before != after:
        _changed(path)
    return size, digest.hexdigest()


def _remote_state(path: str) -> tuple[Any, ...]:
    from tfx.dsl.io import fileio

    told = fileio.stat(path)
    return tuple(getattr(told, name, None) for name in ("length", "mtime_nsec", "st_size", "st_mtime_ns"))


def _opened(path: str, flags: int) -> int:
    try:
        return os.open(path, flags)
    except OSError as error:
        if os.path.islink(path) and flags & os.O_NOFOLLOW:
            _refuse_link(path)
        if _is_special(path):
            _refuse_special(path)
        _unreadable(path, error)


def _is_special(path: str) -> bool:
    try:
        kind = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


# What is known already


def _times(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _key(path: str, state: os.stat_result) -> tuple[str | int, ...]:
    """What changes with every write: the change time does, whatever the modification time is set to."""
    return (os.path.abspath(path), state.st_dev, state.st_ino, *_times(state))


def _remember(key: tuple[str | int, ...], sha256: str) -> None:
    if len(_memo) >= _MEMO_LIMIT:
        _memo.clear()
    _memo[key] = sha256


# Errors


def _unreadable(path: str, error: Exception) -> NoReturn:
    if isinstance(error, FileNotFoundError):
        raise InputError(f"{path}: there is nothing; give the place where it lies now") from None
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    raise InputError(f"{path}: cannot be read ({why})") from None


def _refuse_link(path: str) -> NoReturn:
    raise InputError(f"{path}: a symbolic link, which is not followed; put the file itself there")


def _refuse_special(path: str) -> NoReturn:
    raise InputError(f"{path}: not a regular file; only those can be recorded, so take it away")


def _changed(path: str) -> NoReturn:
    raise InputError(f"{path}: changed while it was read; do it again when nothing writes there")
