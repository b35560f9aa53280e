import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tfx_trust.components import UsageError
from tfx_trust.pipelines.census import features
from tfx_trust.pipelines.source import dotted_path, source_digest


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "userpackage"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "deep" / "__init__.py").write_text("")
    (folder / "model.py").write_text("from .deep import layers\nimport json\n\ndef run_fn(fn_args): ...\n")
    (folder / "deep" / "layers.py").write_text("from userpackage import constants\n")
    (folder / "constants.py").write_text("SIZE = 1\n")
    (folder / "unrelated.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "userpackage"]:
        del sys.modules[name]


def test_a_function_is_named_by_its_module() -> None:
    assert dotted_path(features.preprocessing_fn) == "tfx_trust.pipelines.census.features.preprocessing_fn"


def test_a_function_that_no_worker_could_import_is_refused() -> None:
    with pytest.raises(UsageError, match="at the top level of an importable module"):
        dotted_path(lambda inputs: inputs)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("userpackage.nothing.run_fn", "no module 'userpackage.nothing' can be imported"),
        ("run_fn", "no module '' can be imported"),
        ("userpackage.model.train", "userpackage.model defines no 'train' at its top level"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(package: Path, path: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        dotted_path(path)


def test_the_digest_sees_what_the_module_imports_from_its_package_and_nothing_else(package: Path) -> None:
    first = source_digest("userpackage.model.run_fn")
    (package / "unrelated.py").write_text("A = 2\n")
    assert source_digest("userpackage.model.run_fn") == first
    (package / "constants.py").write_text("SIZE = 2\n")
    second = source_digest("userpackage.model.run_fn")
    assert second != first
    (package / "model.py").write_text("from .deep import layers\n\ndef run_fn(fn_args): return 1\n")
    assert source_digest("userpackage.model.run_fn") not in (first, second)


def test_the_digest_sees_modules_beside_a_module_outside_any_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "flat_model.py").write_text(
        "import flat_constants\nimport json\n\ndef run_fn(fn_args): ...\n"
    )
    (tmp_path / "flat_constants.py").write_text("SIZE = 1\n")
    first = source_digest("flat_model.run_fn")
    (tmp_path / "flat_constants.py").write_text("SIZE = 2\n")
    assert source_digest("flat_model.run_fn") != first


def test_code_without_source_is_refused() -> None:
    with pytest.raises(UsageError, match="the source of math cannot be read"):
        source_digest("math.sqrt")


def test_the_digest_does_not_depend_on_where_the_package_lies(package: Path, tmp_path: Path) -> None:
    first = source_digest("userpackage.model.run_fn")
    for name in [name for name in sys.modules if name.split(".")[0] == "userpackage"]:
        del sys.modules[name]
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    package.rename(moved / "userpackage")
    sys.path.insert(0, str(moved))
    try:
        assert source_digest("userpackage.model.run_fn") == first
    finally:
        sys.path.remove(str(moved))
