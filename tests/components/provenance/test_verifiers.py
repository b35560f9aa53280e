"""The environment of the verifiers: made once; without a network its tests are skipped, else they fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import verifiers


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with no environment in it, where nothing is wanted."""
    monkeypatch.setenv("PATH", f"{verifiers._TREE / '.uv/venv/bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(verifiers, "_TREE", tmp_path)
    monkeypatch.setattr(verifiers, "_wrong", None)
    monkeypatch.delenv("CI", raising=False)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("")
    monkeypatch.setattr(verifiers, "REQUIREMENTS", requirements)
    for name in ("PIP_RETRIES", "UV_HTTP_RETRIES"):
        monkeypatch.setenv(name, "0")
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def wants(tree: Path, line: str) -> None:
    (tree / "requirements.txt").write_text(line)


def out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    for name in ("UV_NO_CACHE", "PIP_NO_CACHE_DIR"):
        monkeypatch.setenv(name, "1")


def test_the_environment_has_the_pinned_versions() -> None:
    code = (
        "from importlib import metadata; print(*(f'{d.name}=={d.version}' for d in metadata.distributions()))"
    )
    installed = set(verifiers.script(code, check=True).stdout.lower().split())
    pinned = {line.split(" ")[0] for line in verifiers.REQUIREMENTS.read_text().splitlines() if "==" in line}
    wanted = {"model-signing==1.1.1", "pyopenssl==26.4.0", "prov==3.2.3", "mlcroissant==1.1.1"}
    assert wanted <= pinned
    assert wanted <= {name.replace("_", "-") for name in installed}


def test_it_is_of_the_interpreter_that_runs_the_tests_and_shares_nothing_with_it() -> None:
    seen = verifiers.script(
        "import sys, importlib.util as u; print(sys.version_info[:2], u.find_spec('tfx'))"
    )
    assert seen.stdout.strip() == f"{sys.version_info[:2]} None"


def test_programs_are_called_by_name_and_a_failing_one_is_told_with_all_that_it_said() -> None:
    assert verifiers.run(["model_signing", "--version"]).stdout.startswith("model_signing, version 1.1.1")
    assert verifiers.run(["model_signing", "verify", "nothing"]).returncode != 0
    with pytest.raises(AssertionError, match="ended with 3:\nout\nerr"):
        verifiers.script("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", check=True)


def test_it_is_made_once_and_anew_where_it_was_not_finished(tree: Path) -> None:
    made = verifiers.python()
    (made.parent / "kept").touch()
    assert verifiers.python() == made
    assert (made.parent / "kept").exists()
    (made.parents[1] / "ready").unlink()
    assert verifiers.python() == made
    assert not (made.parent / "kept").exists()
    assert subprocess.run([made, "-c", ""], check=False).returncode == 0


def test_processes_that_want_it_at_once_make_it_once(tree: Path) -> None:
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import verifiers;"
        "tree = pathlib.Path(sys.argv[2]);"
        "verifiers._TREE = tree; verifiers.REQUIREMENTS = tree / 'requirements.txt'; make = verifiers._make;"
        "verifiers._make = lambda folder: (print('made'), make(folder)); verifiers.python()"
    )
    command = [sys.executable, "-c", code, str(Path(verifiers.__file__).parent), str(tree)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert "".join(said) == "made\n"


def test_without_a_network_tests_are_skipped(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wants(tree, f"prov==3.2.3 --hash=sha256:{'0' * 64}\n")
    out_of_reach(monkeypatch)
    with pytest.raises(pytest.skip.Exception, match="out of reach"):
        verifiers.python()


def test_in_ci_they_fail(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wants(tree, f"prov==3.2.3 --hash=sha256:{'0' * 64}\n")
    out_of_reach(monkeypatch)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="could not be installed"):
        verifiers.python()


def test_whatever_else_goes_wrong_fails(tree: Path) -> None:
    wants(tree, "prov==3.2.3\n")  # without a digest
    with pytest.raises(pytest.fail.Exception, match="could not be installed"):
        verifiers.python()
