"""The page of a mitigation report: the curve, the groups, the weights."""

import re

import numpy as np
import pyarrow as pa
import pytest

from tfx_trust.components import MitigationReport, choose_thresholds
from tfx_trust.components.mitigation import charts
from tfx_trust.components.mitigation.judge import reweigh_findings, threshold_findings
from tfx_trust.components.mitigation.report import MitigationSection
from tfx_trust.components.mitigation.reweigh import Cells
from tfx_trust.components.mitigation.thresholds import Scored
from tfx_trust.components.page import render_report

SPLITS = {"split": "train", "eval_split": "eval"}


def scored(seed: int, rows: int = 1200) -> Scored:
    random = np.random.default_rng(seed)
    groups = np.where(random.random(rows) < 0.5, "Female", "Male <b>")
    labels = random.integers(0, 2, rows)
    scores = np.clip(random.normal(0.35 + 0.3 * labels + 0.1 * (groups == "Female"), 0.15), 0, 1)
    return Scored(scores, labels, {"sex": [*groups[:-4], *["few"] * 3, None]})


@pytest.fixture(scope="module")
def tuner_report() -> MitigationReport:
    given = scored(1)
    settings = {"max_gap": 0.03, "points": 8}
    found = choose_thresholds(given.scores, given.labels, given.groups, settings, held_out=scored(2))
    return MitigationReport(
        component="ThresholdTuner",
        settings={**SPLITS, **settings},
        findings=threshold_findings(found, "train", "eval"),
        mitigation=MitigationSection(thresholds=found),
    )


def test_it_shows_the_curve_the_groups_and_what_was_paid(tuner_report: MitigationReport) -> None:
    page = render_report(tuner_report)
    found = tuner_report.mitigation.thresholds
    assert found is not None
    for part in ("What it closed, and what it cost", "Accuracy against gap", "Every point of the curve"):
        assert part in page
    assert "sex=Male &lt;b&gt;" in page
    assert "<b>" not in re.sub(r"<b>What to do</b>", "", page)
    assert f"{100 * found.before.gap.value:.1f} %" in page
    assert "too few examples: " in page
    assert "1 example without a group" in page
    (figure,) = charts.figures(tuner_report)
    assert f"an accuracy of {found.before.accuracy.value:.3f} with one threshold for all" in figure.svg
    assert ">eval<" in figure.svg


def test_findings_say_what_was_closed_and_what_was_left(tuner_report: MitigationReport) -> None:
    checks = [finding.check for finding in tuner_report.findings]
    assert checks == ["group_thresholds", "held_out_gap", "groups_left"]
    assert tuner_report.findings[2].message == (
        "The common threshold decides for 1 group with too few examples and 1 example without a group."
    )


def test_a_gap_that_does_not_carry_over_is_warned_of() -> None:
    given = scored(1)
    other = scored(2)
    mirrored = Scored(
        np.where(np.array(other.groups["sex"]) == "Female", other.scores * 0.6, other.scores),
        other.labels,
        other.groups,
    )
    found = choose_thresholds(given.scores, given.labels, given.groups, {"max_gap": 0.03}, held_out=mirrored)
    severities = {item.check: str(item.severity) for item in threshold_findings(found, "train", "eval")}
    assert severities["held_out_gap"] == "warn"


def test_a_group_decided_alike_is_warned_of() -> None:
    given = scored(1)
    found = choose_thresholds(given.scores, given.labels, given.groups, {"max_gap": 0.0})
    subjects = [
        item.subject
        for item in threshold_findings(found, "train", None)
        if item.check == "constant_decisions"
    ]
    assert subjects == ["sex=Female", "sex=Male <b>"]


def test_nothing_to_do_is_said_to_be_so() -> None:
    given = scored(1)
    found = choose_thresholds(given.scores, given.labels, given.groups, {"max_gap": 1.0})
    assert "nothing was changed" in threshold_findings(found, "train", None)[0].message
    alone = choose_thresholds(given.scores, given.labels, ["all"] * len(given.labels))
    (finding,) = threshold_findings(alone, "train", None)
    assert str(finding.severity) == "inconclusive"
    page = render_report(
        MitigationReport(component="ThresholdTuner", mitigation=MitigationSection(thresholds=alone))
    )
    assert "Accuracy against gap" not in page


def test_it_shows_the_weights() -> None:
    cells = Cells("label", ["sex"], 20)
    cells.add(
        {"label": pa.array([0, 1, 1, 0, 0] * 20), "sex": pa.array(["f", "f", "m", "m", "m"] * 20)}, None
    )
    found = cells.factors(min_count=30).reweighing("fairness_weight")
    report = MitigationReport(
        component="Reweigher",
        findings=reweigh_findings(found, "train", 30),
        mitigation=MitigationSection(reweighing=found),
    )
    page = render_report(report)
    assert "Weights by group and label" in page
    assert "fairness_weight" in page
    assert "was 50.0 %" in page
    assert charts.figures(report) == []
