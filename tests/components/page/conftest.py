"""Gives the tests of this folder the modules of samples beside them."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tfx_trust.components.page import charts

# What a page is not made to wait for: every chart of every sample is checked against Vega-Lite's schema.
charts.VALIDATED = True


@pytest.fixture(scope="session")
def leakage_samples() -> ModuleType:
    return _module("leakage_samples")


@pytest.fixture(scope="session")
def privacy_samples() -> ModuleType:
    return _module("privacy_samples")


@pytest.fixture(scope="session")
def provenance_samples() -> ModuleType:
    return _module("provenance_samples")


@pytest.fixture(scope="session")
def samples(leakage_samples: ModuleType) -> ModuleType:
    return _module("samples")


@pytest.fixture(scope="session")
def pages(samples: ModuleType) -> dict[str, str]:
    """Every sample page by its file name."""
    pages: dict[str, str] = samples.pages()
    return pages


def _module(name: str) -> ModuleType:
    # Loaded by its path: under pytest's importlib mode this folder is not on sys.path.
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where samples imports it from, and pydantic looks up annotations
    spec.loader.exec_module(module)
    return module
