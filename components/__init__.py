"""Trust gates for TFX pipelines: the public names, all of them.

Names are loaded on first use: reports and settings need neither TFX nor TensorFlow, components do.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "AdaptiveClip": "privacy.config",
    "AuditReport": "privacy.report",
    "AuditSettings": "privacy.config",
    "Budget": "privacy.config",
    "Canaries": "privacy.config",
    "Claim": "privacy.config",
    "Estimate": "report",
    "FairnessEvaluator": "fairness.component",
    "FairnessReport": "fairness.report",
    "FairnessSettings": "fairness.config",
    "FilterSettings": "leakage.config",
    "Finding": "report",
    "GroupThresholds": "mitigation.report",
    "InputError": "errors",
    "InputRef": "report",
    "LatestReleasedModelStrategy": "release.baseline",
    "LeakageFilter": "leakage.component",
    "LeakageReport": "leakage.report",
    "LeakageSettings": "leakage.config",
    "LeakageValidator": "leakage.component",
    "MitigationReport": "mitigation.report",
    "PrivacyReport": "privacy.report",
    "PrivacySettings": "privacy.config",
    "PrivateTrainingSettings": "privacy.config",
    "ReleaseGate": "release.component",
    "ReleasePolicy": "release.config",
    "ReleaseReport": "release.report",
    "Report": "report",
    "ReweighSettings": "mitigation.config",
    "Reweigher": "mitigation.component",
    "Scored": "mitigation.thresholds",
    "Severity": "report",
    "Spending": "privacy.config",
    "ThresholdSettings": "mitigation.config",
    "ThresholdTuner": "mitigation.component",
    "Tolerance": "fairness.config",
    "TradeoffPoint": "privacy.config",
    "TrustError": "errors",
    "TrustReport": "artifacts",
    "TunerSettings": "mitigation.config",
    "UsageError": "errors",
    "Verdict": "report",
    "check_leakage": "leakage.check",
    "choose_thresholds": "mitigation.thresholds",
    "evaluate_fairness": "fairness.evaluate",
    "example_weights": "mitigation.reweigh",
    "read_report": "artifacts",
    "write_report": "artifacts",
}

__all__ = [
    "AdaptiveClip",
    "AuditReport",
    "AuditSettings",
    "Budget",
    "Canaries",
    "Claim",
    "Estimate",
    "FairnessEvaluator",
    "FairnessReport",
    "FairnessSettings",
    "FilterSettings",
    "Finding",
    "GroupThresholds",
    "InputError",
    "InputRef",
    "LatestReleasedModelStrategy",
    "LeakageFilter",
    "LeakageReport",
    "LeakageSettings",
    "LeakageValidator",
    "MitigationReport",
    "PrivacyReport",
    "PrivacySettings",
    "PrivateTrainingSettings",
    "ReleaseGate",
    "ReleasePolicy",
    "ReleaseReport",
    "Report",
    "ReweighSettings",
    "Reweigher",
    "Scored",
    "Severity",
    "Spending",
    "ThresholdSettings",
    "ThresholdTuner",
    "Tolerance",
    "TradeoffPoint",
    "TrustError",
    "TrustReport",
    "TunerSettings",
    "UsageError",
    "Verdict",
    "check_leakage",
    "choose_thresholds",
    "evaluate_fairness",
    "example_weights",
    "read_report",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
