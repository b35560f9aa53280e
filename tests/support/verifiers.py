"""The programs of others that check what we write, in an environment of their own.

It is made on first use, in ``build/verifiers/``, from ``verifiers/requirements.txt``, by the interpreter
that runs the tests. Where the package index cannot be reached the tests that need it are skipped, except in
CI; whatever else goes wrong fails them.

    verifiers.run(["prov-convert", "-f", "xml", "in.json", "out.xml"])
    verifiers.script("import sys, cyclonedx; print(sys.argv[1])", "an argument")
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

DATA = Path(__file__).with_suffix("")
REQUIREMENTS = DATA / "requirements.txt"
_TREE = Path(__file__).resolve().parents[2]
_READY = "ready"
_FOREIGN = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")
_UNREACHABLE = re.compile(
    r"connection (refused|reset|aborted|error|broken)|NewConnectionError|ConnectTimeout|ProxyError|tunnel"
    r"|dns error|name resolution|timed out|unreachable|network (was|is) disabled|error trying to connect"
    r"|from versions: none",
    re.I,
)
_wrong: BaseException | None = None


def python() -> Path:
    """The interpreter of the environment, which is made if there is none yet."""
    return _folder() / "bin" / "python"


def run(args: Sequence[str | os.PathLike[str]], check: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs a program of the environment, named as on a command line.

    With `check`, a status other than 0 is an AssertionError with all that was printed.
    """
    program, *rest = args
    return _call([str(_folder() / "bin" / program), *map(str, rest)], check)


def script(code: str, *args: str | os.PathLike[str], check: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs Python code in the environment; its ``sys.argv[1:]`` are `args`."""
    return _call([str(python()), "-c", code, *map(str, args)], check)


def _call(command: list[str], check: bool = False) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=_environment()
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(command[:3])[:200]} … ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN}


def _folder() -> Path:
    key = hashlib.sha256(REQUIREMENTS.read_bytes())
    key.update(f"{sys.version_info[:2]} {sysconfig.get_platform()}".encode())
    folder = _TREE / "build" / "verifiers" / key.hexdigest()[:16]
    if not _ready(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(folder.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _ready(folder):  # another process may have made it meanwhile
                _make(folder)
    return folder


def _ready(folder: Path) -> bool:
    """Whether it was made to the end, and here: its programs hold its path."""
    try:
        return (folder / _READY).read_text() == str(folder)
    except OSError:
        return False


def _make(folder: Path) -> None:
    global _wrong
    if _wrong is not None:  # once a process is enough: it may take minutes to fail
        raise _wrong
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv", path=f"{_TREE / '.uv/venv/bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    inside = str(folder / "bin" / "python")
    if uv is not None:
        steps = [
            [uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder)],
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--python",
                inside,
                "--require-hashes",
                "-r",
                str(REQUIREMENTS),
            ],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", str(folder)],
            [inside, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS)],
        ]
    for step in steps:
        done = _call(step)
        if done.returncode != 0:
            try:
                _give_up(done.stderr.strip() or done.stdout.strip())
            except BaseException as error:
                _wrong = error
                raise
    (folder / _READY).write_text(str(folder))


def _give_up(said: str) -> NoReturn:
    if _UNREACHABLE.search(said) and not os.environ.get("CI"):
        pytest.skip(f"the verifiers cannot be installed, the package index is out of reach: {said[-300:]}")
    pytest.fail(f"the verifiers could not be installed:\n{said}", pytrace=False)
