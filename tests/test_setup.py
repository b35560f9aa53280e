"""tools/setup.sh on machines made of stubs: what it chooses, what it reports missing, when it installs.

PATH holds the stubs and the few system commands that the script uses, so nothing can reach the network.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
COMMANDS = "sh dirname cat cut sort tr uname df awk sha256sum grep mkdir rm mv cp chmod"
OLD_GLIBC, NEW_GLIBC = "2.36", "2.39"

PYTHON_STUB = """#!/bin/sh
case "$*" in
    *sysconfig*) echo "{version} {headers} {path}" ;;
    *ensurepip*) exit {no_venv} ;;
    "-m venv"*) echo "python $*" >>"{log}" && exit 1 ;;
esac
"""

UV_STUB = """#!/bin/sh
[ "$1" != --version ] || {{ echo "uv {version}" && exit; }}
echo "uv $*" >>"{log}"
for python; do :; done # the last argument
mkdir -p .venv/bin
cp "$python" .venv/bin/python
cp "$python" .venv/bin/tfx-trust
echo "VIRTUAL_ENV=$PWD/.venv" >.venv/bin/activate
exit {status}
"""


class Machine:
    """A checkout with its own PATH, home and glibc."""

    def __init__(self, folder: Path, glibc: str) -> None:
        self.bin, self.home, self.checkout = folder / "bin", folder / "home", folder / "checkout"
        self.log = folder / "log"
        for made in (self.bin, self.home, self.checkout / "tools"):
            made.mkdir(parents=True)
        for name in COMMANDS.split():
            found = shutil.which(name)
            assert found, f"{name} is needed by tools/setup.sh"
            (self.bin / name).symlink_to(found)
        shutil.copy(REPOSITORY / "tools" / "setup.sh", self.checkout / "tools")
        for name in ("uv.lock", "pyproject.toml", "setup.py"):
            (self.checkout / name).write_text(name)
        self.environment = {"PATH": str(self.bin), "HOME": str(self.home), "TFX_TRUST_GLIBC": glibc}

    def add(self, name: str, text: str = "#!/bin/sh\n") -> Path:
        path = self.bin / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def add_python(self, name: str, version: str, headers: str = "headers", venv: bool = True) -> Path:
        path = self.bin / name
        return self.add(
            name,
            PYTHON_STUB.format(
                version=version, headers=headers, path=path, no_venv=int(not venv), log=self.log
            ),
        )

    def add_uv(self, version: str = "0.13.9", status: int = 0) -> None:
        self.add("uv", UV_STUB.format(version=version, log=self.log, status=status))

    def setup(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.checkout / "tools" / "setup.sh"), *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def chosen(self, **environment: str) -> str:
        done = self.setup("--check", **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def missing(self, **environment: str) -> list[str]:
        """Lines on standard error of a set-up that must stop before it installs anything."""
        done = self.setup(**environment)
        assert done.returncode == 2, done.stdout + done.stderr
        assert done.stdout == ""
        assert self.installs() == []
        assert not (self.checkout / ".venv").exists()
        return done.stderr.splitlines()

    def installs(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with old glibc that lacks nothing but a Python."""
    made = Machine(tmp_path, OLD_GLIBC)
    made.add("g++")
    made.add_uv()
    return made


@pytest.mark.parametrize(
    ("glibc", "pythons", "expected"),
    [
        (NEW_GLIBC, ["3.10.1", "3.11.2", "3.12.3", "3.13.4"], "Python 3.13.4 TFX 1.21"),
        (NEW_GLIBC, ["3.11.2", "3.12.3", "3.14.0"], "Python 3.12.3 TFX 1.21"),
        (NEW_GLIBC, ["3.10.1", "3.11.2"], "Python 3.11.2 TFX 1.16"),
        ("3.0", ["3.13.4"], "Python 3.13.4 TFX 1.21"),
        (OLD_GLIBC, ["3.10.1", "3.11.2", "3.12.3", "3.13.4"], "Python 3.11.2 TFX 1.16"),
        (OLD_GLIBC, ["3.9.1", "3.10.1", "3.13.4"], "Python 3.10.1 TFX 1.16"),
    ],
)
def test_newest_tfx_that_glibc_can_run_is_chosen(
    machine: Machine, glibc: str, pythons: list[str], expected: str
) -> None:
    for version in pythons:
        machine.add_python("python" + version.rpartition(".")[0], version)
    python, tfx = expected.split(" TFX ")
    chosen = machine.chosen(TFX_TRUST_GLIBC=glibc)
    assert chosen.startswith(f"setup: {python} ")
    assert f", TFX {tfx}, " in chosen


def test_names_are_not_believed(machine: Machine) -> None:
    machine.add("python3.11", "#!/bin/sh\necho 'python3.11: command not found' >&2\nexit 127\n")
    machine.add_python("python3", "3.10.7")
    assert "Python 3.10.7 " in machine.chosen()


def test_pyenv_and_uv_interpreters_are_found(machine: Machine) -> None:
    elsewhere = machine.add_python("elsewhere", "3.10.13")
    pyenv = machine.home / ".pyenv/versions/3.10.13/bin/python"
    pyenv.parent.mkdir(parents=True)
    pyenv.symlink_to(elsewhere)
    assert "Python 3.10.13 " in machine.chosen()
    managed = machine.home / ".local/share/uv/python/cpython-3.11.7-linux-x86_64-gnu/bin/python3"
    managed.parent.mkdir(parents=True)
    managed.symlink_to(machine.add_python("another", "3.11.7"))
    assert "Python 3.11.7 " in machine.chosen()


def test_python_without_headers_yields_to_one_with_them(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11.7", headers="no-headers")
    (line,) = machine.missing()
    assert "no Python.h" in line
    assert "apt-get install python3.11-dev" in line
    machine.add_python("python3.10", "3.10.7")
    assert "Python 3.10.7 " in machine.chosen()


def test_python_variable_overrides_the_choice(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11.7")
    other = machine.add_python("mine", "3.10.7")
    assert "Python 3.10.7 " in machine.chosen(PYTHON=str(other))
    assert "Python 3.10.7 " in machine.chosen(PYTHON="mine")
    (line,) = machine.missing(PYTHON="absent")
    assert "PYTHON=absent" in line
    newer = machine.add_python("newer", "3.12.3")
    (line,) = machine.missing(PYTHON=str(newer))
    assert f"PYTHON={newer} is Python 3.12.3" in line
    assert "needs one of 3.11 3.10" in line


def test_old_glibc_with_new_python_alone_is_refused_with_the_remedy(machine: Machine) -> None:
    machine.add_python("python3.13", "3.13.5")
    (line,) = machine.missing()
    assert "no Python 3.11 or 3.10 (found: 3.13.5)" in line
    assert "glibc 2.36" in line
    assert "uv python install 3.11" in line


def test_missing_compiler_is_told_in_one_line(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11.7")
    (machine.bin / "g++").unlink()
    (line,) = machine.missing()
    assert "no C++ compiler" in line
    assert "apt-get install g++" in line


def test_all_that_is_missing_is_told_together(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11.7", venv=False)
    (machine.bin / "g++").unlink()
    (machine.bin / "uv").unlink()
    lines = machine.missing()
    assert len(lines) == 2
    assert "no C++ compiler" in lines[0]
    assert "no uv" in lines[1]
    assert "apt-get install python3-venv" in lines[1]


@pytest.mark.parametrize("system", ["Darwin arm64", "Linux aarch64"])
def test_other_platforms_are_refused(machine: Machine, system: str) -> None:
    kernel, architecture = system.split()
    machine.add("uname", f"#!/bin/sh\n[ $1 = -s ] && echo {kernel} || echo {architecture}\n")
    (line,) = machine.missing()
    assert f"this is {kernel} on {architecture}" in line
    assert "container" in line


def test_full_disk_is_told(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11.7")
    machine.add("df", "#!/bin/sh\nprintf 'Filesystem\\n/dev/x 9000000 8000000 1000000 89%% /\\n'\n")
    (line,) = machine.missing()
    assert "1000 MB free" in line


def test_uv_that_is_absent_or_too_old_is_installed_into_the_project(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11.7")
    machine.add_uv(version="0.5.9")
    done = machine.setup()
    assert machine.installs() == ["python -m venv .uv/venv"]
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("setup: uv could not be installed")


def test_second_call_installs_nothing(machine: Machine) -> None:
    python = machine.add_python("python3.11", "3.11.7")
    first = machine.setup()
    assert first.returncode == 0, first.stderr
    assert "about 1 GB" in first.stdout
    sync = [f"uv sync --quiet --frozen --compile-bytecode --python {python}"]
    assert machine.installs() == sync
    # Not even a check: what was needed to install is not needed any more.
    for name in ("g++", "uv", "python3.11"):
        (machine.bin / name).unlink()
    second = machine.setup()
    assert second.returncode == 0
    assert second.stdout == "setup: Python 3.11.7, TFX 1.16 is ready in .venv\n"
    assert machine.installs() == sync


@pytest.mark.parametrize("stale", ["lock", "interpreter", "override"])
def test_stale_environment_is_synced_again(machine: Machine, stale: str) -> None:
    machine.add_python("python3.11", "3.11.7")
    machine.setup()
    override = {}
    if stale == "lock":
        (machine.checkout / "uv.lock").write_text("changed")
    elif stale == "interpreter":
        (machine.checkout / ".venv/bin/python").unlink()
    else:
        override["PYTHON"] = str(machine.add_python("mine", "3.10.7"))
    assert machine.setup(**override).returncode == 0
    assert len(machine.installs()) == 2


def test_moved_checkout_gets_a_new_environment(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11.7")
    machine.setup()
    (machine.checkout / ".venv/old").touch()
    machine.checkout = machine.checkout.rename(machine.checkout.with_name("moved"))
    assert machine.setup().returncode == 0
    assert not (machine.checkout / ".venv/old").exists()


def test_failed_sync_is_not_taken_for_a_finished_one(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11.7")
    machine.add_uv(status=1)
    failed = machine.setup()
    assert failed.returncode == 1
    assert "could not be installed" in failed.stderr
    machine.add_uv()
    assert machine.setup().returncode == 0
    assert len(machine.installs()) == 2


def test_active_environment_of_the_caller_does_not_matter(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11.7")
    done = machine.setup(VIRTUAL_ENV="/elsewhere", UV_PROJECT_ENVIRONMENT="/elsewhere", UV_PYTHON="3.9")
    assert done.returncode == 0, done.stderr
    assert (machine.checkout / ".venv/.tfx-trust-setup").exists()


def test_script_is_portable_shell() -> None:
    script = REPOSITORY / "tools" / "setup.sh"
    subprocess.run(["sh", "-n", str(script)], check=True)
    assert os.access(script, os.X_OK)
