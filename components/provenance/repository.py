"""State of a git repository, as ``git`` itself tells it; nothing is ever written there.

No hook, pager, filter of diffs or file system monitor of the repository is run, no network asked, and
variables such as ``GIT_DIR``, which would lead to another repository, are not handed on.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from pathlib import Path

from tfx_trust.components.provenance.masking import mask_text
from tfx_trust.components.provenance.record import Repository

_SECONDS = 30.0
_DIFF_SECONDS = 300.0
_BLOCK = 1 << 20
# How many changed files are named.
_NAMED = 1000
_QUIET = [
    "--no-pager",
    "-c",
    "core.fsmonitor=false",
    "-c",
    f"core.hooksPath={os.devnull}",
    "-c",
    "core.quotePath=true",
]
# Whatever the user's configuration says, equal changes give an equal digest.
_DIFF = (
    "diff --binary --full-index --no-color --no-ext-diff --no-textconv --no-renames --no-relative "
    "--diff-algorithm=myers --indent-heuristic --unified=3 --inter-hunk-context=0 --submodule=short "
    f"--src-prefix=a/ --dst-prefix=b/ -O{os.devnull} HEAD"
).split()


class _Unanswered(Exception):
    """Git could not tell; the message says why."""


def repository_of(folder: str | os.PathLike[str]) -> Repository | None:
    """State of the repository that a folder, or a file, lies in; none where there is none to be told of."""
    return look_up(folder)[0]


def look_up(folder: str | os.PathLike[str]) -> tuple[Repository | None, str]:
    """As :func:`repository_of`, with the reason where there is none."""
    place = Path(folder)
    place = place if place.is_dir() else place.parent
    try:
        return _state(place), ""
    except _Unanswered as error:
        return None, str(error)


def _state(place: Path) -> Repository:
    if not place.is_dir():
        raise _Unanswered(f"{place} is no folder here")
    top = Path(_ask(place, "rev-parse", "--show-toplevel").rstrip("\n"))
    if _answers(place, "check-ignore", "--quiet", "."):
        raise _Unanswered(f"{place} is ignored by the git repository {top} that it lies in")
    try:
        commit = _ask(top, "rev-parse", "--verify", "--quiet", "HEAD^{commit}").strip()
    except _Unanswered:
        raise _Unanswered(f"the git repository {top} has no commit yet") from None
    entries = _changes(top)
    names = sorted({mask_text(name) for _, name in entries})
    tracked = any(kind != "??" for kind, _ in entries)
    return Repository(
        commit=commit,
        branch=_optional(top, "symbolic-ref", "--short", "--quiet", "HEAD"),
        remote=_remote(top),
        dirty=bool(entries),
        changed=[*names[:_NAMED], *([f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else [])],
        diff_sha256=_diff_digest(top) if tracked else None,
    )


def _changes(top: Path) -> list[tuple[str, str]]:
    """Kind and name of whatever is not as it is in the commit."""
    fields = _ask(top, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=normal").split(
        "\0"
    )
    return [(field[:2], field[3:]) for field in fields if field]


def _remote(top: Path) -> str | None:
    address = _optional(top, "config", "--get", "remote.origin.url")
    return None if address is None else without_user(address)


def without_user(address: str) -> str:
    """A remote's address without user, password and token.

    Examples
    --------
    >>> without_user("https://user:token@example.org/census.git"), without_user("git@example.org:census.git")
    ('https://example.org/census.git', 'example.org:census.git')
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        host, colon, path = address.partition(":")
        is_scp_like = colon and "/" not in host
        return mask_text(f"{host.rpartition('@')[2]}:{path}" if is_scp_like else address)
    host, slash, path = rest.partition("/")
    if ":" in host and "@" not in host and "@" in path:
        # A password with a slash in it, which should have been written as %2F.
        host, slash, path = rest.rpartition("@")[2].partition("/")
    return mask_text(f"{scheme}://{host.rpartition('@')[2]}{slash}{path}")


def _diff_digest(top: Path) -> str | None:
    digest = hashlib.sha256()
    try:
        process = subprocess.Popen(
            _command(top, *_DIFF),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
    except OSError:
        return None
    watch = threading.Timer(_DIFF_SECONDS, process.kill)
    watch.start()
    try:
        with process:
            assert process.stdout is not None
            while block := process.stdout.read(_BLOCK):
                digest.update(block)
    finally:
        watch.cancel()
    return digest.hexdigest() if process.returncode == 0 else None


def _optional(place: Path, *arguments: str) -> str | None:
    try:
        return _ask(place, *arguments).strip() or None
    except _Unanswered:
        return None


def _answers(place: Path, *arguments: str) -> bool:
    try:
        _ask(place, *arguments)
    except _Unanswered:
        return False
    return True


def _ask(place: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            _command(place, *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_environment(),
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise _Unanswered("git is not installed here") from None
    except OSError as error:
        raise _Unanswered(f"git cannot be run ({error.strerror})") from None
    except subprocess.TimeoutExpired:
        raise _Unanswered(f"git did not answer within {_SECONDS:.0f} seconds") from None
    if done.returncode:
        raise _Unanswered(_reason(place, done.stderr.decode("utf-8", "replace")))
    return done.stdout.decode("utf-8", "backslashreplace")


def _reason(place: Path, said: str) -> str:
    if "dubious ownership" in said:
        return (
            f"git does not trust {place}, which belongs to another user; "
            "`git config --global --add safe.directory` with this folder lets it"
        )
    if "not a git repository" in said or "work tree" in said:
        return f"{place} lies in no git repository"
    lines = said.strip().splitlines()
    return f"git says of {place}: {mask_text(lines[0])}" if lines else f"git cannot tell of {place}"


def _command(place: Path, *arguments: str) -> list[str]:
    return ["git", *_QUIET, "-C", str(place), *arguments]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        # Otherwise `git status` writes what it learned into the index.
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "LC_ALL": "C",
        "LANGUAGE": "C",
    }
