"""The page of a fairness report."""

import importlib.util
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
from markup import Checker
from markupsafe import escape

from tfx_trust.components.fairness import charts, forest, heat, reliability
from tfx_trust.components.fairness.config import METRICS, FairnessSettings
from tfx_trust.components.fairness.report import BaselineChange, Disparity, FairnessReport, Gap, Metric
from tfx_trust.components.fairness.words import METRICS as METRIC_WORDS
from tfx_trust.components.page import fairness, render, render_report
from tfx_trust.components.page import fairness_words as said
from tfx_trust.components.page.charts import Figure
from tfx_trust.components.report import Severity

HOSTILE = '</title><script>alert("x & y")</script>\' onload=alert(1) {{7*7}} ${x} datum.y 国勢調査'


@pytest.fixture(scope="module")
def samples() -> ModuleType:
    path = Path(__file__).with_name("fairness_samples.py")
    spec = importlib.util.spec_from_file_location("fairness_samples", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fairness_samples"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def full(samples: ModuleType) -> FairnessReport:
    report: FairnessReport = samples.full()
    return report


@pytest.fixture(scope="module")
def drawn(full: FairnessReport) -> list[Figure]:
    return charts.figures(full)


@pytest.fixture(scope="module")
def page(full: FairnessReport, drawn: list[Figure]) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "_figures", lambda report: drawn)
        return render_report(full)


@pytest.fixture(scope="module")
def hostile_page(samples: ModuleType) -> str:
    return render_report(samples.hostile(HOSTILE))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Callable[[FairnessReport], str]:
    """Renders without charts, which is quick."""
    monkeypatch.setattr(render, "_figures", lambda report: ())
    return render_report


def part_text(page: str, anchor: str) -> str:
    """The text of a part, without tags and doubled spaces."""
    begin = page.index(f'aria-labelledby="{anchor}"')
    return text(page[begin : page.index("</section>", begin)])


def text(markup: str) -> str:
    """What a reader sees, the charts' texts included."""
    shown = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", markup)).strip()
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def without(report: FairnessReport, **fields: Any) -> FairnessReport:
    return report.model_copy(update={"fairness": report.fairness.model_copy(update=fields)})


def set_to(report: FairnessReport, **settings: Any) -> FairnessReport:
    return report.model_copy(update={"settings": {**report.settings, **settings}})


def unseen(report: FairnessReport) -> dict[str, tuple[str, ...]]:
    return {item.what: item.names for item in fairness.unseen(report)}


def line_of(drawn: forest.Forest, name: str) -> forest.Line:
    return next(line for line in drawn.lines if line.name == name and not line.heading)


def check_structure(page: str) -> None:
    found = Checker(page)
    assert not found.wrong
    assert not found.open
    assert len(set(found.ids)) == len(found.ids)
    assert set(found.named) <= set(found.ids)
    assert found.tags.count("table") == found.tags.count("caption")
    assert "script" not in found.tags
    levels = [int(tag[1]) for tag in found.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(lower <= upper + 1 for upper, lower in pairwise(levels)), levels


# What is told


def test_judged_gap_stands_with_both_values_interval_tolerance_and_verdict(page: str) -> None:
    shown = part_text(page, "gaps")
    assert (
        "Female sex False positive rate 0.023 n 4,791 0.102 all others, n 7,664 −0.079 −0.087 to −0.071 "
        "± 0.05 < 0.0001 Fail" in shown
    )
    assert "White race False positive rate 0.078 n 10,476" in shown
    assert "False positive rate ± 0.05 6 12 9 –" in shown
    assert "True positive rate ± 0.1 1 17 1 8" in shown
    assert "corrected for all comparisons together (Holm)" in shown


def test_gaps_stand_in_the_order_of_the_report_and_all_of_them(full: FairnessReport, page: str) -> None:
    rows = re.findall(r"<tr>\s*<th scope=\"row\">(.*?)</tr>", page[page.index('id="gaps"') :], re.DOTALL)
    told = [text(row) for row in rows]
    wanted = [
        f"{said.group(gap.slice)} {said.crossed(gap.slice)} {said.metric(gap.metric)} "
        f"{said.rate(gap.slice_value)} n {gap.slice_count:,}"
        for gap in full.fairness.gaps
        if gap.verdict != "insufficient"
    ]
    places = [next(place for place, row in enumerate(told) if row.startswith(start)) for start in wanted]
    assert places == sorted(places)
    assert len(set(places)) == len(wanted)


def test_groups_too_small_are_listed_with_their_counts(full: FairnessReport, page: str) -> None:
    shown = part_text(page, "insufficient")
    small = [gap for gap in full.fairness.gaps if gap.verdict == "insufficient"]
    for gap in small:
        assert (
            f"{said.group(gap.slice)} {said.crossed(gap.slice)} {said.metric(gap.metric)} {gap.slice_count} "
            f"all others {gap.reference_count:,}" in shown
        )
    assert "Fewer than 30 examples" in shown
    assert len(small) == 8


def test_the_other_parts_hold_their_numbers(page: str) -> None:
    expected = {
        "read": (
            "16,281",
            "over_50k , positive in 3,826",
            "score ≥ 0.5",
            "95 %",
            "in one process",
            "Buckets of age begin at 25, 35, 45, 55, 65",
            "native_country 22 rare values, 411 examples",
        ),
        "baseline": (
            "808 (4.96 %) of the same 16,281",
            "Female sex False negative rate 583 61 24 +0.063 0.032 to 0.094 0.00089 Worse",
            "Other race False negative rate 25 2 1 +0.040 −0.125 to 0.199 1 Too few",
        ),
        "discovered": (
            "2,418 groups of 7 features were looked at in 8,141 examples",
            "the other 8,140",
            "Bachelors, Never-married, Female education × marital_status × sex True positive rate −0.412 "
            "−0.377 −0.504 to −0.221 ± 0.1 0.241 0.618 58 < 0.0001 yes",
            "Black, Local-gov race × workclass True positive rate −0.301 −0.062 −0.334 to 0.221 ± 0.1 0.538 "
            "0.600 13 1 no",
        ),
        "disparities": (
            "sex Demographic parity difference 0.192 0.180 to 0.203 Male Female 2 0 0.192",
            "race × sex Equalized odds difference 0.333 0.141 to 0.499 Asian-Pac-Islander, Male "
            "Black, Female 5 5 0.462",
            "native_country Worst gap in true positive rate – – – 1 3 –",
        ),
        "metrics": (
            "all examples 16,281 3,826 0.203 0.197 to 0.209 n 16,281 0.071 0.067 to 0.076 n 12,455",
            "at most 0.0003",
            "Decisions at a threshold of 0.3",
        ),
    }
    for anchor, texts in expected.items():
        shown = part_text(page, anchor)
        for wanted in texts:
            assert wanted in shown, anchor


def test_threshold_that_is_judged_is_not_told_twice(full: FairnessReport) -> None:
    slices = full.fairness.slices
    assert [at.threshold for at in slices[0].thresholds] == [0.5, 0.3]
    told = fairness.thresholds(full.fairness, slices)
    assert list(told) == [0.3]
    assert len(told[0.3]) == len(slices)


def test_every_metric_of_every_group_is_shown_with_its_denominator(full: FairnessReport, page: str) -> None:
    shown = part_text(page, "metrics")
    for item in full.fairness.slices:
        for metric in item.metrics.values():
            if metric.value is None:
                assert f"– n {metric.count:,}" in shown
            else:
                assert f"{said.rate(metric.value)} {said.interval(metric)} n {metric.count:,}" in shown


def test_findings_are_told_once_with_their_remedy(full: FairnessReport, page: str) -> None:
    for finding in full.findings:
        assert page.count(str(escape(finding.message))) == 1
        assert str(escape(finding.remedy)) in page


def test_tolerances_of_some_groups_are_told_apart(
    full: FairnessReport, plain: Callable[[FairnessReport], str]
) -> None:
    def changed(gap: Gap) -> Gap:
        if gap.tolerance is not None and set(gap.slice) == {"age"}:
            return gap.model_copy(update={"tolerance": None, "verdict": "not_judged"})
        if gap.tolerance is not None and set(gap.slice) == {"sex"}:
            return gap.model_copy(update={"tolerance": 0.02})
        return gap

    report = without(full, gaps=[changed(gap) for gap in full.fairness.gaps])
    shown = part_text(plain(report), "gaps")
    assert "False positive rate by sex ± 0.02 2 – – –" in shown
    assert "False positive rate by native_country, race, race × sex ± 0.05 2 11" in shown
    drawn = [item for item in forest.forests(report) if item.metric == "false_positive_rate"]
    assert len(drawn) == 1
    assert drawn[0].allowed == "± 0.02 by sex; ± 0.05 by native_country, race, race × sex"
    assert line_of(drawn[0], "< 25").word == ""
    assert line_of(drawn[0], "< 25").allowed is None
    female = line_of(drawn[0], "Female")
    assert female.reference is not None
    assert female.allowed == pytest.approx((female.reference - 0.02, female.reference + 0.02))


# Parts and their verdicts


def test_each_part_has_the_gravest_verdict_found_in_it(full: FairnessReport) -> None:
    tones = {anchor: part.tone for anchor, part in fairness.parts(full).items()}
    assert tones == {
        "gaps": "fail",
        "insufficient": "info",
        "baseline": "warn",
        "discovered": "warn",
        "disparities": "info",
        "calibration": "info",
        "metrics": "info",
    }


@pytest.mark.parametrize("name", ["full", "classes", "many", "weighted"])
def test_every_check_that_can_warn_belongs_to_a_part(samples: ModuleType, name: str) -> None:
    report = getattr(samples, name)()
    told = [finding for part in fairness.parts(report).values() for finding in part.findings]
    grave = [finding for finding in report.findings if finding.severity is not Severity.INFO]
    assert sorted(map(str, told)) == sorted(map(str, grave))


def test_gaps_pass_only_where_all_that_was_judged_passed(samples: ModuleType) -> None:
    report = samples.clean()
    assert fairness.parts(report)["gaps"].tone == "pass"
    first, *others = report.fairness.gaps
    doubtful = [first.model_copy(update={"verdict": "inconclusive"}), *others]
    assert fairness.parts(without(report, gaps=doubtful))["gaps"].tone == "info"


def test_nothing_that_could_be_judged_is_not_a_pass(samples: ModuleType) -> None:
    tones = {anchor: part.tone for anchor, part in fairness.parts(samples.one_slice()).items()}
    assert tones["gaps"] == "not_run"
    assert tones["discovered"] == "not_run"


def test_baseline_without_anything_worse_but_unsettled_is_not_a_pass(full: FairnessReport) -> None:
    baseline = full.fairness.baseline
    assert baseline is not None

    def tone(*verdicts: str) -> str:
        changes = [baseline.changes[0].model_copy(update={"verdict": verdict}) for verdict in verdicts]
        changed = without(full, baseline=baseline.model_copy(update={"changes": changes}))
        return fairness.parts(changed.model_copy(update={"findings": []}))["baseline"].tone

    assert tone("pass", "better", "insufficient") == "pass"
    assert tone("pass", "inconclusive") == "info"
    assert tone("insufficient") == "not_run"


@pytest.mark.parametrize(("effect", "tone"), [("note", "info"), ("warn", "warn"), ("fail", "fail")])
def test_regression_has_the_tone_that_the_settings_give_it(
    full: FairnessReport, effect: str, tone: str
) -> None:
    change = BaselineChange(
        metric="error_rate", slice={}, count=9, worse=5, better=0, value=0.5, verdict="worse"
    )
    assert said.baseline_verdict(change, effect) == (tone, "Worse")


# What was not looked at


def test_report_that_passes_tells_what_was_not_looked_at(
    samples: ModuleType, plain: Callable[[FairnessReport], str]
) -> None:
    report = samples.clean()
    assert set(unseen(report).values()) == {("score_output",), ("discover",), ("baseline_model",)}
    shown = part_text(plain(report), "unseen")
    for name in ("score_output", "discover", "baseline_model", "only decisions were given"):
        assert name in shown
    for anchor in ("calibration", "baseline", "discovered", "insufficient"):
        assert f'aria-labelledby="{anchor}"' not in plain(report)


def test_features_that_were_not_searched_and_pooled_values_are_named(full: FairnessReport) -> None:
    assert unseen(full) == {
        "Each of 22 rare values of native_country": ("max_values",),
        "Unnamed groups by capital_gain or fnlwgt": ("buckets",),
    }


def test_features_that_are_not_crossed_are_told(samples: ModuleType) -> None:
    assert ("cross", "slices") in unseen(samples.weighted()).values()
    assert ("cross", "slices") not in unseen(samples.clean()).values()


def test_no_tolerance_is_told(full: FairnessReport) -> None:
    gaps = [gap.model_copy(update={"tolerance": None, "verdict": "not_judged"}) for gap in full.fairness.gaps]
    untold = set_to(without(full, gaps=gaps), tolerances=[])
    assert ("tolerances",) in unseen(untold).values()
    assert ("tolerances",) not in unseen(full).values()


def test_baseline_that_was_connected_is_not_asked_for(full: FairnessReport) -> None:
    assert () in unseen(without(full, baseline=None)).values()


def test_settings_named_as_switches_exist(full: FairnessReport, samples: ModuleType) -> None:
    reports = [full, without(full, discovery=None, baseline=None), samples.clean(), samples.weighted()]
    switches = {
        name
        for report in reports
        for item in fairness.unseen(report)
        if item.kind == "setting"
        for name in item.names
    }
    assert switches <= set(FairnessSettings.model_fields)


def test_report_of_nothing_measured_says_so(samples: ModuleType) -> None:
    shown = render_report(samples.nothing())
    check_structure(shown)
    assert "All 16,281 eval examples have the label 0" in shown
    assert "could not be measured" in part_text(shown, "unseen")
    assert "<figure>" not in shown
    assert charts.figures(samples.nothing()) == []


# Kinds of reports


def test_classes_are_told_apart(samples: ModuleType, plain: Callable[[FairnessReport], str]) -> None:
    shown = plain(samples.classes())
    check_structure(shown)
    assert "Classes, each against the rest prime, near prime, subprime" in part_text(shown, "read")
    assert "the class with the highest score" in part_text(shown, "read")
    assert "Female sex True positive rate class subprime 0.747 n 1,321" in part_text(shown, "gaps")
    assert "sex class near prime Demographic parity ratio" in part_text(shown, "disparities")
    for name in ("prime", "near prime", "subprime"):
        assert f"3 groups, class {name}" in part_text(shown, "metrics")


def test_weights_are_told_with_effective_counts(
    samples: ModuleType, plain: Callable[[FairnessReport], str]
) -> None:
    report = samples.weighted()
    few = [gap.model_copy(update={"verdict": "insufficient"}) for gap in report.fairness.gaps[:1]]
    shown = plain(without(report, gaps=[*few, *report.fairness.gaps[1:]]))
    check_structure(shown)
    assert "Weighted by fnlwgt ; intervals rest on effective counts" in part_text(shown, "read")
    assert "n 16,281, eff. 11,560" in part_text(shown, "metrics")
    assert "5,374 effectively 3,815.5" in part_text(shown, "insufficient")
    assert "but by sex, with Male" in part_text(shown, "gaps")
    for gap in report.fairness.gaps[1:3]:
        assert f"{said.gap_value(gap)} {said.interval(gap)} × 0.8 to 1.25" in part_text(shown, "gaps")


def test_decisions_of_the_model_have_no_threshold(
    samples: ModuleType, plain: Callable[[FairnessReport], str]
) -> None:
    shown = plain(samples.clean())
    assert "as the model decides itself" in part_text(shown, "read")
    assert "AUC" not in part_text(shown, "metrics")
    assert charts.forest.forests(samples.clean())[0].judged
    assert reliability.curves(samples.clean()) == []


def test_hundred_groups_are_cut_in_pictures_and_whole_in_tables(
    samples: ModuleType, plain: Callable[[FairnessReport], str]
) -> None:
    report = samples.many()
    drawn = forest.forests(report)
    assert len(drawn) <= fairness.MOST_FORESTS
    assert all(item.shown == forest.MOST_GROUPS for item in drawn)
    assert "Shown are 40 of 100 groups, those with the strongest evidence" in forest.caption(drawn[0])
    kept = {line.name for line in drawn[0].lines}
    judged = [
        gap for gap in report.fairness.gaps if gap.metric == drawn[0].metric and gap.tolerance is not None
    ]
    assert {said.group(gap.slice) for gap in judged[: forest.MOST_GROUPS]} <= kept
    maps = heat.heat_maps(report)
    assert [len(item.cells) + item.left_out for item in maps] == [100, 100]
    assert "20 groups of rarer values found no room" in heat.caption(maps[0])
    shown = part_text(plain(report), "metrics")
    for item in report.fairness.slices:
        assert f"{said.group(item.slice)} " in shown


def test_one_group_alone_is_a_page(samples: ModuleType, plain: Callable[[FairnessReport], str]) -> None:
    shown = plain(samples.one_slice())
    check_structure(shown)
    assert "north region" in part_text(shown, "insufficient")
    assert "No group of the searched features had enough examples" in part_text(shown, "discovered")
    assert heat.heat_maps(samples.one_slice()) == []
    svg = charts.figures(samples.one_slice())[0].svg
    assert "Too few" in text(svg)


def test_page_is_the_same_after_a_round_trip_and_holds_the_charts(samples: ModuleType) -> None:
    report = samples.clean()
    page = render_report(report)
    assert render_report(FairnessReport.model_validate_json(report.to_json())) == page
    assert charts.figures(report)[0].svg in page


def test_structure_of_the_page(page: str) -> None:
    check_structure(page)


def test_names_and_values_are_text_everywhere(hostile_page: str) -> None:
    check_structure(hostile_page)
    assert "<script" not in hostile_page
    assert "&lt;script&gt;" in hostile_page
    assert "&amp;lt;" not in hostile_page
    assert "{{7*7}}" in hostile_page
    assert "国勢調査" in hostile_page


# Pictures


def test_figures_are_drawn_by_part(drawn: list[Figure], page: str) -> None:
    assert [getattr(figure, "part", "") for figure in drawn].count("judged") == 2
    parts = {(getattr(figure, "part", ""), figure.title) for figure in drawn}
    for wanted in (
        ("judged", "False positive rate"),
        ("judged", "True positive rate"),
        ("told", "Selection rate"),
        ("told", "AUC"),
        ("crossed", "False positive rate, by race and sex"),
        ("crossed", "True positive rate, by race and sex"),
        ("calibration", "Scores and outcomes by sex"),
    ):
        assert wanted in parts
    for figure in drawn:
        ElementTree.fromstring(figure.svg)
        assert page.count(figure.svg) == 1


def test_judged_group_shows_the_interval_of_its_gap_at_its_reference(full: FairnessReport) -> None:
    drawn = forest.forests(full)[0]
    gap = next(
        gap for gap in full.fairness.gaps if gap.slice == {"sex": "Female"} and gap.metric == drawn.metric
    )
    line = line_of(drawn, "Female")
    assert gap.reference_value is not None
    assert (line.value, line.reference) == (gap.slice_value, gap.reference_value)
    assert line.low == pytest.approx(gap.reference_value + gap.low)
    assert line.high == pytest.approx(gap.reference_value + gap.high)
    assert line.allowed == pytest.approx((gap.reference_value - 0.05, gap.reference_value + 0.05))
    assert (line.tone, line.word, line.gap, line.count) == ("fail", "Fail", "−0.079", 4_791)


@pytest.mark.parametrize("name", ["full", "weighted", "many", "classes"])
def test_picture_says_pass_exactly_where_the_verdict_does(samples: ModuleType, name: str) -> None:
    for drawn in forest.forests(getattr(samples, name)()):
        for line in drawn.lines if drawn.judged else ():
            if line.word in ("Pass", "Inconclusive", "Fail"):
                assert line.allowed is not None
                assert line.low is not None
                assert line.high is not None
                inside = line.allowed[0] <= line.low + 1e-12 and line.high <= line.allowed[1] + 1e-12
                if line.word == "Pass":
                    assert inside
                elif line.low > 0 and line.high < 1:
                    assert not inside


def test_ratio_is_drawn_as_factors_of_the_reference(samples: ModuleType) -> None:
    drawn = forest.forests(samples.weighted())[0]
    assert drawn.title == "Selection rate, as a ratio"
    line = line_of(drawn, "Female")
    assert line.reference is not None
    assert line.allowed == pytest.approx((0.8 * line.reference, line.reference / 0.8))
    assert line_of(drawn, "Male").word == "reference"


def test_forest_names_features_once_and_everyone_first(full: FairnessReport, drawn: list[Figure]) -> None:
    lines = forest.forests(full)[0].lines
    assert lines[0].name == "all examples"
    assert [line.name for line in lines if line.heading] == [
        "age",
        "native_country",
        "race",
        "sex",
        "race × sex",
    ]
    picture = text(drawn[0].svg)
    for wanted in ("Amer-Indian-Eskimo, Female", "[25, 35)", "(missing)", "Inconclusive", "−0.079", "0.102"):
        assert wanted in picture


def test_value_of_few_examples_is_never_drawn_as_if_certain(
    full: FairnessReport, drawn: list[Figure]
) -> None:
    told = next(item for item in forest.forests(full) if item.metric == "precision")
    tones = {line.count >= 30: line.tone for line in told.lines if not line.heading}
    assert tones == {True: "info", False: "not_run"}
    crossed = heat.heat_maps(full)[1]
    few = [cell for cell in crossed.cells if cell.count < 30]
    assert {cell.tone for cell in few} == {"not_run"}
    picture = text(next(figure.svg for figure in drawn if figure.title == crossed.title))
    for cell in few:
        assert f"{cell.count:,}, too few" in picture


def test_complement_of_a_drawn_metric_is_not_drawn_again(full: FairnessReport) -> None:
    drawn = [item.metric for item in forest.forests(full)]
    assert "false_negative_rate" not in drawn
    assert "true_negative_rate" not in drawn
    assert drawn[:2] == ["false_positive_rate", "true_positive_rate"]


def test_heat_map_has_the_value_and_count_of_each_group(full: FairnessReport) -> None:
    drawn = heat.heat_maps(full)[0]
    assert (drawn.row_feature, drawn.column_feature) == ("race", "sex")
    assert drawn.columns == ("Female", "Male")
    cell = next(cell for cell in drawn.cells if (drawn.rows[cell.row], cell.column) == ("White", 1))
    assert (said.rate(cell.value), cell.count, cell.tone) == ("0.108", 6_624, "fail")
    assert {0.0, 1.0} <= {round(cell.strength, 9) for cell in drawn.cells}


def test_buckets_in_a_heat_map_keep_their_order(full: FairnessReport) -> None:
    names = ["< 25", "[25, 100)", "[100, 250)", "≥ 250"]
    gap = next(gap for gap in full.fairness.gaps if len(gap.slice) == 2 and gap.tolerance is not None)
    gaps = [
        gap.model_copy(update={"slice": {"income": name, "sex": sex}})
        for name in (names[2], names[0], names[3], names[1])
        for sex in ("Female", "Male")
    ]
    slices = [
        full.fairness.slices[0].model_copy(update={"slice": {"income": name, "sex": sex}})
        for name in names
        for sex in ("Female", "Male")
    ]
    drawn = heat.heat_maps(without(full, gaps=gaps, slices=slices))[0]
    assert drawn.rows == tuple(names)


def test_curves_are_drawn_for_each_feature_with_everyone_behind(
    full: FairnessReport, drawn: list[Figure]
) -> None:
    known = {item.feature: item for item in reliability.curves(full)}
    assert list(known) == ["age", "native_country", "race", "sex"]
    by_sex = known["sex"]
    assert [panel.name for panel in by_sex.panels] == ["Female", "Male"]
    assert list(by_sex.everyone) == full.fairness.slices[0].reliability
    assert by_sex.enough == 30
    svg = next(figure.svg for figure in drawn if figure.title == by_sex.title)
    assert "n 5,374" in text(svg)
    assert "off by 0.023" in text(svg)


def test_everyone_has_a_curve_where_no_group_has(full: FairnessReport) -> None:
    drawn = reliability.curves(without(full, slices=full.fairness.slices[:1]))
    assert [(item.feature, len(item.panels)) for item in drawn] == [(None, 1)]


def test_charts_take_the_colour_of_the_page(drawn: list[Figure]) -> None:
    for figure in drawn:
        assert "currentColor" in figure.svg
        assert "#0a0b0c" not in figure.svg
        assert 'role="img"' in figure.svg


# Words


def test_every_metric_has_a_name_and_a_meaning() -> None:
    assert set(METRICS) == set(said.MEANINGS)
    assert set(METRIC_WORDS) == set(said.NAMES)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.12345, "0.123"),
        (0.0, "0.000"),
        (-0.0004, "−0.0004"),
        (0.99951, "1.000"),
        (1.0, "1.000"),
        (None, "–"),
    ],
)
def test_metrics_have_three_decimals_or_a_figure(value: float | None, shown: str) -> None:
    assert said.rate(value) == shown


def test_open_interval_is_told() -> None:
    gap = Gap(
        metric="selection_rate",
        slice={"a": "b"},
        reference="rest",
        kind="ratio",
        value=2.0,
        low=0.7,
        high=None,
        verdict="inconclusive",
        slice_count=40,
        reference_count=40,
    )
    assert said.interval(gap) == "0.700 or more"
    assert said.interval(Metric(value=None, count=0)) == ""


def test_worst_gap_has_a_name() -> None:
    item = Disparity(name="worst_gap_auc", by=["sex"], value=0.1, slices=2, left_out=0)
    assert said.disparity(item.name) == "Worst gap in AUC"
