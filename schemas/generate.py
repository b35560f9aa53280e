"""Writes the JSON Schema of what is written and of settings: ``python -m tfx_trust.schemas.generate``."""

from __future__ import annotations

import json
from pathlib import Path

import pydantic

from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.report import FairnessReport
from tfx_trust.components.leakage.config import FilterSettings, LeakageSettings
from tfx_trust.components.leakage.report import LeakageReport
from tfx_trust.components.mitigation.config import ReweighSettings, TunerSettings
from tfx_trust.components.mitigation.report import MitigationReport
from tfx_trust.components.privacy.config import AuditSettings, PrivacySettings, PrivateTrainingSettings
from tfx_trust.components.privacy.report import AuditReport, PrivacyReport
from tfx_trust.components.provenance.answers import Answers
from tfx_trust.components.provenance.config import ProvenanceSettings, SourceDeclaration
from tfx_trust.components.provenance.differences import Diff
from tfx_trust.components.provenance.record import Record
from tfx_trust.components.provenance.report import ProvenanceReport, PushReport
from tfx_trust.components.provenance.verification import Verification
from tfx_trust.components.release.config import ReleasePolicy
from tfx_trust.components.release.report import ReleaseReport
from tfx_trust.components.report import Report

DOCUMENTS: dict[str, type[pydantic.BaseModel]] = {
    "report": Report,
    "audit-report": AuditReport,
    "audit-settings": AuditSettings,
    "fairness-report": FairnessReport,
    "fairness-settings": FairnessSettings,
    "leakage-report": LeakageReport,
    "leakage-settings": LeakageSettings,
    "leakage-filter": FilterSettings,
    "mitigation-report": MitigationReport,
    "mitigation-reweighing": ReweighSettings,
    "mitigation-thresholds": TunerSettings,
    "privacy-report": PrivacyReport,
    "privacy-settings": PrivacySettings,
    "privacy-training-settings": PrivateTrainingSettings,
    "provenance-answers": Answers,
    "provenance-declaration": SourceDeclaration,
    "provenance-diff": Diff,
    "provenance-push-report": PushReport,
    "provenance-record": Record,
    "provenance-report": ProvenanceReport,
    "provenance-settings": ProvenanceSettings,
    "provenance-verification": Verification,
    "release-report": ReleaseReport,
    "release-policy": ReleasePolicy,
}
# Of these the form that is written is told; of settings that which is read.
_WRITTEN = (Report, Record, Answers, Diff, Verification)


def generate() -> dict[str, str]:
    """JSON Schema text (draft 2020-12) by file name.

    They describe what is written, so that fields with defaults are required of a report.
    """
    texts = {}
    for name, document in DOCUMENTS.items():
        mode = "serialization" if issubclass(document, _WRITTEN) else "validation"
        schema = document.model_json_schema(mode=mode)  # type: ignore[arg-type]
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        texts[f"{name}.schema.json"] = json.dumps(schema, indent=2) + "\n"
    return texts


def main() -> None:
    """Writes them beside this module."""
    for name, text in generate().items():
        Path(__file__).with_name(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
