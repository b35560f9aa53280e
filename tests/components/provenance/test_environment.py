import importlib.metadata
import platform
import sys
from pathlib import Path

import pytest

from tfx_trust.components.provenance.environment import VARIABLES, environment_of


def test_it_tells_what_this_process_runs_on() -> None:
    found = environment_of("registry.example.org/census@sha256:" + "0" * 64)
    assert found.python == platform.python_version()
    assert found.implementation == "CPython"
    assert found.machine == platform.machine()
    assert found.processors is not None
    assert found.processors >= 1
    assert found.container == "registry.example.org/census@sha256:" + "0" * 64
    assert found.packages["pydantic"] == importlib.metadata.version("pydantic")
    assert list(found.packages) == sorted(found.packages)
    assert all(name == name.lower() and "_" not in name and "." not in name for name in found.packages)


def _install(folder: Path, name: str, version: str) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_of_a_package_that_lies_on_the_path_twice_the_imported_one_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path / "first", "Census_Models.Core", "2.0")
    _install(tmp_path / "second", "census-models-core", "1.0")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "second"), *sys.path])
    assert environment_of().packages["census-models-core"] == "2.0"


def test_what_an_interrupted_installation_left_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken-1.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert "broken" not in environment_of().packages


def test_only_variables_that_change_what_is_computed_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=true --api_key=hunter2")
    found = environment_of()
    assert found.variables == {
        "PYTHONHASHSEED": "0",
        "XLA_FLAGS": "--xla_gpu_deterministic_ops=true --api_key=***",
    }
    assert "hunter2" not in found.model_dump_json()
