import json
from pathlib import Path

import jsonschema
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_trust import schemas
from tfx_trust.components import Estimate, Finding, InputError, Report, Severity, Verdict

FINDINGS = st.builds(
    Finding,
    check=st.text(min_size=1),
    severity=st.sampled_from(Severity),
    subject=st.text(),
    statistic=st.none() | st.builds(Estimate, value=st.floats(allow_nan=False, allow_infinity=False)),
    message=st.text(min_size=1),
    remedy=st.text(),
)


def finding(severity: str) -> Finding:
    return Finding(check="check", severity=Severity(severity), message="found")


@given(st.lists(FINDINGS, max_size=5))
def test_the_verdict_is_that_of_the_gravest_finding(findings: list[Finding]) -> None:
    report = Report(component="Gate", findings=findings)
    order = ["info", "warn", "inconclusive", "not_run", "fail"]
    gravest = max((order.index(str(item.severity)) for item in findings), default=0)
    assert str(report.verdict) == ["pass", *order[1:]][gravest]
    assert [str(item.severity) for item in report.findings] == sorted(
        (str(item.severity) for item in findings), key=order.index, reverse=True
    )


@given(st.lists(FINDINGS, max_size=3))
def test_what_is_written_validates_against_the_json_schema_and_reads_back(findings: list[Finding]) -> None:
    report = Report(component="Gate", findings=findings, settings={"level": 0.95})
    schema = json.loads(schemas.json_schemas()["report"].read_text())
    jsonschema.validate(json.loads(report.to_json()), schema, cls=jsonschema.Draft202012Validator)
    assert Report.model_validate_json(report.to_json()) == report


def test_a_verdict_milder_than_a_finding_is_refused() -> None:
    with pytest.raises(pydantic.ValidationError, match="verdict is pass although a finding is fail"):
        Report(component="Gate", verdict=Verdict.PASS, findings=[finding("fail")])


def test_a_verdict_graver_than_the_findings_is_kept() -> None:
    assert Report(component="Gate", verdict=Verdict.NOT_RUN).verdict is Verdict.NOT_RUN


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_statistic_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(pydantic.ValidationError, match="finite"):
        Estimate(value=value)


@pytest.mark.parametrize(
    ("ends", "message"),
    [({"low": 0.2}, "both its ends"), ({"low": 0.3, "high": 0.2}, r"low = 0\.3 lies above high = 0\.2")],
)
def test_an_interval_has_two_ends_in_order(ends: dict[str, float], message: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        Estimate(value=0.25, **ends)


def test_saving_writes_the_json_and_the_page_and_loading_reads_it_back(tmp_path: Path) -> None:
    report = Report(component="Gate", findings=[finding("warn")])
    page = report.save(tmp_path / "new")
    assert page.read_text().startswith("<!")
    assert Report.load(tmp_path / "new") == report


def test_loading_says_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"report\.json: no such report; run the gate"):
        Report.load(tmp_path / "report.json")
    written = Report(component="Gate").to_json()
    (tmp_path / "report.json").write_text(written[: len(written) // 2])
    with pytest.raises(InputError, match=r"report\.json: not a report: .*EOF"):
        Report.load(tmp_path)
    (tmp_path / "report.json").write_text(written.replace('"1.0"', '"2.0"'))
    with pytest.raises(InputError, match=r"schema_version is 2\.0, this tfx-trust reads 1\.0"):
        Report.load(tmp_path)
    (tmp_path / "report.json").write_text(written.replace('"pass"', '"fine"'))
    with pytest.raises(InputError, match="verdict: Input should be 'pass', .*found 'fine'"):
        Report.load(tmp_path)


def test_a_notebook_shows_the_page_in_a_frame_of_its_own() -> None:
    shown = Report(component="Gate")._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert "<html" not in shown
