"""Trust gates for TFX pipelines: the public names, all of them.

Names are loaded on first use: reports and settings need neither TFX nor TensorFlow, components do.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "Estimate": "report",
    "FairnessEvaluator": "fairness.component",
    "FairnessReport": "fairness.report",
    "FairnessSettings": "fairness.config",
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
    "Tolerance": "fairness.config",
    "TrustError": "errors",
    "TrustReport": "artifacts",
    "UsageError": "errors",
    "Verdict": "report",
    "check_leakage": "leakage.check",
    "evaluate_fairness": "fairness.evaluate",
    "read_report": "artifacts",
    "write_report": "artifacts",
}

__all__ = [
    "Estimate",
    "FairnessEvaluator",
    "FairnessReport",
    "FairnessSettings",
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
    "Tolerance",
    "TrustError",
    "TrustReport",
    "UsageError",
    "Verdict",
    "check_leakage",
    "evaluate_fairness",
    "read_report",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
