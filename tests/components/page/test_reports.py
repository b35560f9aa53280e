"""Pages of reports."""

import importlib.machinery
import sys
from types import ModuleType
from typing import ClassVar

import pytest
from markupsafe import escape

from tfx_trust.components.page import render_report
from tfx_trust.components.page.charts import Figure
from tfx_trust.components.release.config import ReleasePolicy
from tfx_trust.components.release.decision import Judged, decide, weigh_report
from tfx_trust.components.report import Estimate, Finding, Report, Severity, Verdict


class LatencyReport(Report):
    CONCERN: ClassVar[str] = "latency"

    latency: dict[str, float] = {}


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.PASS, "Pass"),
        (Verdict.WARN, "Warning"),
        (Verdict.INCONCLUSIVE, "Inconclusive"),
        (Verdict.NOT_RUN, "Not run"),
        (Verdict.FAIL, "Fail"),
    ],
)
def test_verdict_is_said_in_a_word_and_a_shape_of_its_own(verdict: Verdict, word: str) -> None:
    page = render_report(Report(component="Gate", verdict=verdict))
    head = page[page.index("<h1>") : page.index("</h1>")]
    assert f"<span>{word}</span>" in head
    assert "<svg" in head
    others = [
        render_report(Report(component="Gate", verdict=other)) for other in Verdict if other is not verdict
    ]
    assert all(head != other[other.index("<h1>") : other.index("</h1>")] for other in others)


def test_every_finding_is_told_with_its_numbers_and_remedy(samples: ModuleType) -> None:
    report = samples.leakage_report()
    page = render_report(report)
    for finding in report.findings:
        for text in (finding.check, finding.subject, finding.message, finding.remedy):
            assert str(escape(text)) in page
        if finding.statistic is not None:
            assert str(finding.statistic) in page
    assert "95 % interval, wilson" in page
    assert "sha256:9f2b…" in page


def test_gravest_finding_comes_first() -> None:
    findings = [
        Finding(check="a", severity=severity, message=f"It is {severity}.")
        for severity in (Severity.INFO, Severity.WARN, Severity.FAIL)
    ]
    page = render_report(Report(component="Gate", findings=findings))
    places = [page.index(f"It is {severity}.") for severity in ("fail", "warn", "info")]
    assert places == sorted(places)


def test_summary_counts_findings(samples: ModuleType) -> None:
    assert "1 fail, 1 check not run, 1 warning, 1 note." in render_report(samples.leakage_report())


def test_settings_and_inputs_are_shown(samples: ModuleType) -> None:
    page = render_report(samples.leakage_report())
    for text in ("max_duplicates", "fnlwgt", "CsvExampleGen/examples/1", "train, eval", "schema 1.0"):
        assert text in page


def test_unknown_sections_of_a_plain_report_are_shown(samples: ModuleType) -> None:
    page = render_report(samples.leakage_report())
    assert ">Leakage</h2>" in page
    for text in ("22,792", "capital_gain", "0.731 [0.712, 0.749], n = 9,769"):
        assert text in page


def test_a_report_looks_the_same_after_a_round_trip(samples: ModuleType) -> None:
    report = samples.leakage_report()
    assert render_report(Report.model_validate_json(report.to_json())) == render_report(report)


def test_typed_section_is_shown_field_by_field(samples: ModuleType) -> None:
    page = render_report(samples.drift_report())
    for text in (
        ">Drift</h2>",
        "Label shift",
        "feature_39",
        "40 rows",
        "4 March 2025, 09:05 UTC",
        "Bins were made on train.",
    ):
        assert text in page


def test_figures_of_a_concern_are_found_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    package, module = "tfx_trust.components.latency", "tfx_trust.components.latency.charts"
    made = {name: ModuleType(name) for name in (package, module)}
    for name, it in made.items():
        it.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=name == package)
        monkeypatch.setitem(sys.modules, name, it)
    made[module].figures = lambda report: [  # type: ignore[attr-defined]
        Figure("By <host>", f"<svg><text>{report.latency['p99']}</text></svg>", "In ms & s.")
    ]
    page = render_report(LatencyReport(component="LatencyGate", latency={"p99": 4.125}))
    assert "<svg><text>4.125</text></svg>" in page
    assert "By &lt;host&gt;" in page
    assert "In ms &amp; s." in page


def test_concern_without_a_package_has_no_figures() -> None:
    assert "<figure>" not in render_report(LatencyReport(component="LatencyGate", latency={"p99": 4.125}))


def test_statistic_equal_to_its_threshold_is_drawn_without_a_scale() -> None:
    finding = Finding(
        check="a", severity=Severity.WARN, message="m", statistic=Estimate(value=1), threshold=1
    )
    assert '<svg class="mark"' not in render_report(Report(component="Gate", findings=[finding]))


def test_decision_names_what_blocks_and_why(samples: ModuleType) -> None:
    report = samples.blocked_release()
    page = render_report(report)
    assert "<span>Not released</span>" in page
    assert "Blocked by leakage and fairness." in page
    for item in report.release.weighed:
        assert item.name in page
        for finding in item.findings:
            assert str(escape(finding.message)) in page
            assert str(escape(finding.remedy)) in page
    assert "The gate privacy was left out of this run on purpose." in page
    assert "Run again with privacy before you rely on the model." in page


def test_released_model_is_shown_with_metrics_examples_and_versions(samples: ModuleType) -> None:
    page = render_report(samples.release_report())
    assert "<span>Released</span>" in page
    for text in (
        "binary_accuracy",
        "+0.0037",
        "−0.0009",
        "≥ 0.85",
        "≤ 0.4",
        "22,792",
        "70.0 %",
        "tensorflow",
        "2.16.2",
    ):
        assert text in page
    assert "missed" not in page


def test_missed_threshold_is_said_in_a_word(samples: ModuleType) -> None:
    report = samples.release_report()
    report.release.metrics[0].lower_bound = 0.95
    assert "missed" in render_report(report)


def test_released_with_a_warning_says_who_warns(samples: ModuleType) -> None:
    page = render_report(
        samples.release_report({"privacy": samples.clean_report("PrivacyAuditor", Verdict.WARN)})
    )
    assert "<span>Released</span>" in page
    assert "Nothing blocks it, but privacy warns." in page


def test_links_to_reports_are_relative_to_the_page(samples: ModuleType) -> None:
    report = samples.release_report()
    assert 'href="../../../LeakageValidator/report/5/report.html"' in render_report(
        report, f"{samples.ROOT}/ReleaseGate/release_report/13"
    )
    assert f'href="{samples.ROOT}/LeakageValidator/report/5/report.html"' in render_report(report)


def test_report_that_was_not_written_has_no_link(samples: ModuleType) -> None:
    report = samples.release_report()
    item = weigh_report("leakage", Judged(None, uri="/somewhere", problem="no such report"), ReleasePolicy())
    _, findings = decide([item], ReleasePolicy())
    broken = report.model_copy(
        update={"release": report.release.model_copy(update={"weighed": [item]}), "findings": findings}
    )
    page = render_report(broken)
    assert "/somewhere" not in page
    assert "Leakage could not be weighed: no such report." in page
    assert str(escape(findings[0].remedy)) in page
