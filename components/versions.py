"""The software that a report rests on."""

from __future__ import annotations

import platform
from importlib import metadata

PACKAGES = (
    "tfx-trust",
    "tfx",
    "tensorflow",
    "keras",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "tensorflow-data-validation",
    "ml-metadata",
    "apache-beam",
)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide, by distribution name."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
