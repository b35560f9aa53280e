"""The bytes of files: read several files at once, with little to do for each, and not twice in a process."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

from tfx_trust.components.errors import InputError

# Measured: larger blocks gain nothing any more, smaller ones lose up to a tenth.
_BLOCK = 1 << 20
# Up to here a file takes a thread longer to be handed over than to be hashed.
_SMALL = 32 << 10
_BATCH_BYTES = 8 << 20
_MAX_THREADS = 8
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Within a tick of the clock that stamps files, a second write leaves the same times as the first. That of
# Linux is 10 ms at most; other file systems have clocks of 2 s.
_TICK_NS = 20_000_000
_SETTLED_NS = 2_000_000_000
_MEMO_LIMIT = 100_000

Digest = tuple[int, str]
"""Size in bytes, and SHA-256 in hex."""

_memo: dict[tuple[str | int, ...], str] = {}
_buffers = threading.local()


def digests_of(paths: Iterable[str], *, follow: bool = False) -> dict[str, Digest | InputError]:
    """Size and digest of files by path, or why there are none: small ones here, the others by threads.

    Parameters
    ----------
    paths
        Local paths or URIs of files.
    follow
        Whether symbolic links are followed, rather than refused.
    """
    found: dict[str, Digest | InputError] = {}
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


def _small(path: str, flags: int, found: dict[str, Digest | InputError]) -> int | None:
    """Finds the digest of a small file; of a larger one tells the size, unless its digest is known."""
    descriptor = _opened(path, flags)
    try:
        before = _settled(descriptor)
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
        unreadable(path, error)
    finally:
        os.close(descriptor)
    found[path] = size, hashlib.sha256(content).hexdigest()
    return None


def _large(path: str, flags: int) -> Digest:
    if not hasattr(_buffers, "block"):
        _buffers.block = memoryview(bytearray(_BLOCK))
    block = _buffers.block
    digest = hashlib.sha256()
    size = 0
    began = time.time_ns()
    descriptor = _opened(path, flags)
    try:
        before = _settled(descriptor)
        if not stat.S_ISREG(before.st_mode):
            _refuse_special(path)
        while count := os.readv(descriptor, [block]):
            digest.update(block[:count])
            size += count
        after = os.fstat(descriptor)
    except OSError as error:
        unreadable(path, error)
    finally:
        os.close(descriptor)
    if size != before.st_size or _times(before) != _times(after):
        _changed(path)
    sha256 = digest.hexdigest()
    if _age(before, began) > _SETTLED_NS:
        _remember(_key(path, before), sha256)
    return size, sha256


def _remote(path: str) -> Digest:
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
        unreadable(path, error)
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
            refuse_link(path)
        if _is_special(path):
            _refuse_special(path)
        unreadable(path, error)


def _is_special(path: str) -> bool:
    try:
        kind = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def _settled(descriptor: int) -> os.stat_result:
    """The state of a file, at a time when a write from now on must leave other times."""
    state = os.fstat(descriptor)
    if 0 <= _age(state, time.time_ns()) < _TICK_NS:
        time.sleep(_TICK_NS / 1e9)
    return state


def _age(state: os.stat_result, now: int) -> int:
    return now - state.st_ctime_ns


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


def content_of(place: str, told: str = "cannot be read", *, most: int = -1) -> bytes:
    """The bytes of a file of ours, local or not; no more than `most`, if that is given.

    Raises
    ------
    InputError
        If it cannot be read: `told` says so.
    """
    try:
        if "://" not in place:
            with open(place, "rb", opener=regular) as file:
                return file.read(most)
        from tfx.dsl.io import fileio

        with fileio.open(place, "rb") as remote:
            return bytes(remote.read(most))
    except Exception as error:  # Every file system has errors of its own.
        why = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(f"{place}: {told} ({why})") from None


def regular(place: str, flags: int) -> int:
    """Opens a file, for :func:`open`; not a pipe, which nobody may ever write to, nor an endless device."""
    descriptor = os.open(place, flags | os.O_NONBLOCK)
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "no regular file")


# Errors


def unreadable(path: str, error: Exception) -> NoReturn:
    """Raises an InputError about something that cannot be read."""
    if isinstance(error, FileNotFoundError):
        raise InputError(f"{path}: there is nothing; give the place where it lies now") from None
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    raise InputError(f"{path}: cannot be read ({why})") from None


def refuse_link(path: str) -> NoReturn:
    """Raises an InputError about a symbolic link."""
    raise InputError(f"{path}: a symbolic link, which is not followed; put the file itself there")


def _refuse_special(path: str) -> NoReturn:
    raise InputError(f"{path}: not a regular file; only those can be recorded, so take it away")


def _changed(path: str) -> NoReturn:
    raise InputError(f"{path}: changed while it was read; do it again when nothing writes there")
