"""Gives the tests of this folder the module of samples beside them."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def samples() -> ModuleType:
    # Loaded by its path: under pytest's importlib mode this folder is not on sys.path.
    spec = importlib.util.spec_from_file_location("page_samples", Path(__file__).with_name("samples.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pydantic looks up the annotations of its models there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def pages(samples: ModuleType) -> dict[str, str]:
    """Every sample page by its file name."""
    pages: dict[str, str] = samples.pages()
    return pages
