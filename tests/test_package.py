"""What holds for the package as a whole."""

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import tfx_trust.cli
import tfx_trust.components
import tfx_trust.pipelines
import tfx_trust.schemas
from tfx_trust.schemas.generate import generate

PACKAGES = (tfx_trust.components, tfx_trust.pipelines, tfx_trust.cli, tfx_trust.schemas)
MODULES = sorted(
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
)


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert outcome.failed == 0


@pytest.mark.parametrize("package", [tfx_trust.components, tfx_trust.pipelines])
def test_every_public_name_can_be_had(package: object) -> None:
    for name in package.__all__:  # type: ignore[attr-defined]
        assert getattr(package, name).__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_no_module_is_imported_twice_under_a_bare_name() -> None:
    imports = "; ".join(f"import {name}" for name in MODULES if not name.endswith("__main__"))
    bare = run_python(
        f"{imports}; import sys; print({{'components', 'pipelines', 'cli'}} & set(sys.modules))"
    )
    assert bare == "set()"


def test_the_json_schemas_are_current() -> None:
    written = {path.name: path.read_text() for path in tfx_trust.schemas.json_schemas().values()}
    assert written == generate(), "run: python -m tfx_trust.schemas.generate"


@pytest.mark.parametrize(
    "light",
    [
        "import tfx_trust.cli.main, tfx_trust.cli.run, tfx_trust.cli.schema",
        "from tfx_trust.components import Report, Finding, ReleasePolicy, ReleaseReport",
        "from tfx_trust.components.page import render_report",
        "from tfx_trust.components.release.decision import decide",
        "import tfx_trust.pipelines.census.scenarios",
    ],
)
def test_what_needs_no_tensorflow_loads_none(light: str) -> None:
    heavy = {"tensorflow", "tfx", "apache_beam", "pandas", "altair"}
    assert run_python(f"{light}; import sys; print({heavy!r} & set(sys.modules))") == "set()"


def test_help_costs_little() -> None:
    code = (
        "import sys; sys.argv = ['tfx-trust', '--help']\n"
        "from tfx_trust.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(len(sys.modules))"
    )
    loaded = int(run_python(code).splitlines()[-1])
    # A stand-in for seconds that no busy machine can upset: TensorFlow alone brings thousands.
    assert loaded < 700
