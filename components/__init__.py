"""Trust gates for TFX pipelines: the public names, all of them.

Names are loaded on first use: reports and settings need neither TFX nor TensorFlow, components do.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "Estimate": "report",
    "FilterSettings": "leakage.config",
    "Finding": "report",
    "InputError": "errors",
    "InputRef": "report",
    "LatestReleasedModelStrategy": "release.baseline",
    "LeakageFilter": "leakage.component",
    "LeakageReport": "leakage.report",
    "LeakageSettings": "leakage.config",
    "LeakageValidator": "leakage.component",
    "ReleaseGate": "release.component",
    "ReleasePolicy": "release.config",
    "ReleaseReport": "release.report",
    "Report": "report",
    "Severity": "report",
    "TrustError": "errors",
    "TrustReport": "artifacts",
    "UsageError": "errors",
    "Verdict": "report",
    "check_leakage": "leakage.check",
    "read_report": "artifacts",
    "write_report": "artifacts",
}

__all__ = [
    "Estimate",
    "FilterSettings",
    "Finding",
    "InputError",
    "InputRef",
    "LatestReleasedModelStrategy",
    "LeakageFilter",
    "LeakageReport",
    "LeakageSettings",
    "LeakageValidator",
    "ReleaseGate",
    "ReleasePolicy",
    "ReleaseReport",
    "Report",
    "Severity",
    "TrustError",
    "TrustReport",
    "UsageError",
    "Verdict",
    "check_leakage",
    "read_report",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
