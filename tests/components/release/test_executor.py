"""ReleaseGate's worker on artifacts as gates leave them, good and bad."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from tfx.components.evaluator import constants
from tfx.types import artifact, standard_artifacts

from tfx_trust import schemas
from tfx_trust.components import (
    Finding,
    ReleasePolicy,
    Report,
    Severity,
    TrustReport,
    Verdict,
    blessing,
    read_report,
    write_report,
)
from tfx_trust.components.artifacts import ReleaseReport as ReleaseReportArtifact
from tfx_trust.components.release.executor import Executor
from tfx_trust.components.release.report import ReleaseReport

Gate = Callable[..., tuple[artifact.Artifact, ReleaseReport]]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[type[artifact.Artifact], str], artifact.Artifact]:
    def make(kind: type[artifact.Artifact], name: str) -> artifact.Artifact:
        made = kind()
        made.uri = str(tmp_path / name)
        (tmp_path / name).mkdir()
        made.id = len(list(tmp_path.iterdir()))
        return made

    return make


@pytest.fixture
def report(folder: Callable[..., artifact.Artifact]) -> Callable[..., artifact.Artifact]:
    def make(severity: str | None, name: str = "gate") -> artifact.Artifact:
        findings = [Finding(check="c", severity=Severity(severity), message="m")] if severity else []
        made = folder(TrustReport, name)
        write_report(Report(component="Gate", findings=findings), made)
        return made

    return make


@pytest.fixture
def gate(folder: Callable[..., artifact.Artifact]) -> Gate:
    """Runs the executor on a blessed model and the given inputs; the blessing and the report it writes."""

    def run(
        policy: ReleasePolicy | None = None, **inputs: artifact.Artifact
    ) -> tuple[artifact.Artifact, ReleaseReport]:
        evaluated = folder(standard_artifacts.ModelBlessing, "evaluated")
        evaluated.set_int_custom_property("blessed", 1)
        given = {
            "model": folder(standard_artifacts.Model, "model"),
            "evaluator_blessing": evaluated,
            **inputs,
        }
        outputs = {
            "blessing": [folder(standard_artifacts.ModelBlessing, "blessing")],
            "release_report": [folder(ReleaseReportArtifact, "release")],
        }
        Executor().Do(
            {name: [item] for name, item in given.items()},
            outputs,
            {"policy": (policy or ReleasePolicy()).to_json()},
        )
        return outputs["blessing"][0], read_report(outputs["release_report"][0], ReleaseReport)

    return run


def files(source: artifact.Artifact) -> list[str]:
    return [path.name for path in Path(source.uri).iterdir()]


def test_a_model_that_nothing_speaks_against_is_blessed_as_tfx_expects(gate: Gate, report: Callable) -> None:
    blessed, written = gate(report_leakage=report(None))
    assert files(blessed) == ["BLESSED"]
    assert blessed.get_int_custom_property("blessed") == 1
    assert blessed.get_int_custom_property("current_model_id") == written.release.model.id
    assert blessed.get_string_custom_property("current_model") == written.release.model.uri
    assert written.verdict is Verdict.PASS
    assert [item.name for item in written.release.weighed] == ["evaluation", "leakage"]


def test_a_failing_report_is_a_veto(gate: Gate, report: Callable) -> None:
    blessed, written = gate(report_leakage=report("fail"))
    assert files(blessed) == ["NOT_BLESSED"]
    assert blessed.get_int_custom_property("blessed") == 0
    assert "Leakage says fail: m." in blessed.get_string_custom_property("blessing_message")
    assert written.verdict is Verdict.FAIL


def test_a_gate_that_is_waived_but_runs_is_weighed(gate: Gate, report: Callable) -> None:
    blessed, written = gate(ReleasePolicy(waived=["leakage"]), report_leakage=report("fail"))
    assert files(blessed) == ["NOT_BLESSED"]
    assert [finding.check for finding in written.findings] == ["report"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_text(path.read_text()[:50]), "not a report"),
        (lambda path: path.unlink(), "no such report"),
        (lambda path: path.write_text(path.read_text().replace('"1.0"', '"9.0"')), "schema_version is 9.0"),
    ],
)
def test_a_report_that_cannot_be_read_blocks_as_not_run(
    gate: Gate, report: Callable, damage: Callable[[Path], object], said: str
) -> None:
    broken = report(None)
    damage(Path(broken.uri) / "report.json")
    blessed, written = gate(report_leakage=broken)
    assert blessed.get_int_custom_property("blessed") == 0
    assert written.verdict is Verdict.NOT_RUN
    assert said in written.findings[0].message


def test_what_the_policy_requires_must_be_there(gate: Gate) -> None:
    blessed, written = gate(ReleasePolicy(required=["leakage"]))
    assert blessed.get_int_custom_property("blessed") == 0
    assert written.verdict is Verdict.NOT_RUN


def test_without_a_word_from_the_evaluator_nothing_is_released(
    gate: Gate, folder: Callable[..., artifact.Artifact]
) -> None:
    # An Evaluator without thresholds leaves its blessing artifact empty.
    blessed, written = gate(evaluator_blessing=folder(standard_artifacts.ModelBlessing, "silent"))
    assert blessed.get_int_custom_property("blessed") == 0
    assert written.findings[0].subject == "evaluation"


def test_the_baseline_is_recorded(gate: Gate, folder: Callable[..., artifact.Artifact]) -> None:
    baseline = folder(standard_artifacts.Model, "baseline")
    blessed, written = gate(baseline_model=baseline)
    assert blessed.get_int_custom_property("baseline_model_id") == baseline.id
    assert written.release.baseline_model is not None
    assert written.release.baseline_model.uri == baseline.uri


def test_the_report_carries_its_verdict_for_conditions_and_fits_its_json_schema(
    gate: Gate, report: Callable, tmp_path: Path
) -> None:
    gate(report_leakage=report("warn"))
    schema = json.loads(schemas.json_schemas()["release-report"].read_text())
    written = json.loads((tmp_path / "release" / "report.json").read_text())
    jsonschema.validate(written, schema, cls=jsonschema.Draft202012Validator)
    assert written["verdict"] == "warn"
    assert written["release"]["blessed"] is True


def test_a_written_report_has_its_verdict_and_count_as_properties(report: Callable) -> None:
    written = report("warn")
    assert written.get_string_custom_property("verdict") == "warn"
    assert written.get_int_custom_property("findings") == 1


def test_the_names_of_the_blessing_are_tfxs_own() -> None:
    ours = (
        blessing.BLESSED_FILE,
        blessing.NOT_BLESSED_FILE,
        blessing.BLESSED,
        blessing.CURRENT_MODEL,
        blessing.CURRENT_MODEL_ID,
        blessing.BASELINE_MODEL,
        blessing.BASELINE_MODEL_ID,
    )
    assert ours == (
        constants.BLESSED_FILE_NAME,
        constants.NOT_BLESSED_FILE_NAME,
        constants.ARTIFACT_PROPERTY_BLESSED_KEY,
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY,
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY,
        constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY,
        constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY,
    )
