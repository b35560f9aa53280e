"""The page of a leakage report."""

import re
from itertools import pairwise
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
from markupsafe import escape

from tfx_trust.components.leakage import charts
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.report import Consequence, LeakageReport
from tfx_trust.components.page import leakage, render_report
from tfx_trust.components.report import Estimate, Finding, Severity, Verdict

NAMES = ("leakage_full", "leakage_clean", "leakage_nothing", "leakage_hostile")


@pytest.fixture(scope="module")
def full(leakage_samples: ModuleType) -> LeakageReport:
    report: LeakageReport = leakage_samples.full()
    return report


@pytest.fixture(scope="module")
def page(full: LeakageReport) -> str:
    return render_report(full)


def part_text(page: str, anchor: str) -> str:
    """The text of a part, without tags and doubled spaces."""
    begin = page.index(f'aria-labelledby="{anchor}"')
    return text(page[begin : page.index("</section>", begin)])


def text(markup: str) -> str:
    """What a reader sees, the charts' texts included."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", markup)).strip()


def without(report: LeakageReport, **fields: Any) -> LeakageReport:
    return report.model_copy(update={"leakage": report.leakage.model_copy(update=fields)})


def unseen(report: LeakageReport) -> dict[str, tuple[str, ...]]:
    return {item.what: item.names for item in leakage.unseen(report)}


def test_every_overlap_count_stands_beside_both_baselines(full: LeakageReport, page: str) -> None:
    shown = part_text(page, "overlap")
    for row in (
        "Features and label features+label 32 columns",
        "451 3.73 % 462 1.1 % 433 9.4 ± 2.7 0 +3.65 % 3.6 % to 3.69 % Fail",
        "1,127 9.31 % 1,344 3.21 % 1,003 611.7 ± 22.6 ≤ 38.2 +4.26 % 3.89 % to 4.62 % Fail",
        "1,502 12.4 % 1,871 4.47 % 1,318 1,489.0 ± 33.2 – +0.107 % −0.43 % to 0.644 % Pass",
    ):
        assert row in shown
    for column in {name for item in full.leakage.overlap for name in item.columns}:
        assert column in shown
    assert "copied across after the split" in shown
    assert "copied before the split" in shown


def test_rows_stand_side_by_side_with_differing_columns_first(page: str) -> None:
    shown = part_text(page, "overlap")
    assert "Values are masked" in shown
    assert "1. Features and label: nothing differs Column train eval application_id" in shown
    assert "2. Features: 1 column differs Column train eval defaulted ≠ differs 0 1 application_id" in shown
    assert (
        "3. Features but the excluded: 2 columns differ Column train eval application_id ≠ differs" in shown
    )


def test_every_column_of_a_pair_is_shown_once(full: LeakageReport) -> None:
    for row in full.leakage.rows:
        first, rest = leakage.compared(row)
        assert sorted(cell.name for cell in first + rest) == sorted(row.train)
        assert {cell.name for cell in first if cell.differs} == set(row.differs)
        assert not any(cell.differs for cell in rest)


def test_counts_of_the_other_parts_are_shown(page: str) -> None:
    expected = {
        "read": ("41,873", "12,104", "two classes", "in one process", "40,000 of 41,873 train examples"),
        "score": (
            "0.9104 instead of 0.9271",
            "0.0167 0.0121 to 0.0214",
            "486 11,618",
            "12,090 14",
            "flatter",
        ),
        "near": ("738 of 12,104", "702.6", "+0.292 %", "lower bound"),
        "repeated": ("Features and label 29 0.0693 % 18 0.149 %",),
        "conflicts": ("within train 96 244 104 0.248 %", "over both 171 462 188 0.348 %"),
        "features": (
            "branch and weekday 0.9127 0.5071 0.4056",
            "52,104",
            "campaign 0.4961",
            "no value repeats",
        ),
        "entities": ("customer 40,108 11,697 1,318 1,502 12.4 % 1,871 4.47 % 15 12 train, 3 eval",),
        "time": ("2,963 of 41,873", "2023-06-01 00:00", "617 train examples"),
        "preprocessing": ("train, eval", "27 features", "collection_fee"),
    }
    for anchor, texts in expected.items():
        shown = part_text(page, anchor)
        for wanted in texts:
            assert wanted in shown, anchor


def test_findings_are_told_once_with_their_remedy(full: LeakageReport, page: str) -> None:
    for finding in full.findings:
        assert page.count(str(escape(finding.message))) == 1
        assert str(escape(finding.remedy)) in page


def test_each_part_has_the_gravest_verdict_found_in_it(full: LeakageReport) -> None:
    tones = {anchor: part.tone for anchor, part in leakage.parts(full).items()}
    assert tones == {
        "overlap": "fail",
        "score": "info",
        "near": "pass",
        "repeated": "pass",
        "conflicts": "pass",
        "features": "fail",
        "entities": "fail",
        "time": "fail",
        "preprocessing": "fail",
    }


def test_every_check_that_can_warn_belongs_to_a_part(full: LeakageReport) -> None:
    told = [finding for part in leakage.parts(full).values() for finding in part.findings]
    grave = [finding for finding in full.findings if finding.severity is not Severity.INFO]
    assert sorted(map(str, told)) == sorted(map(str, grave))


def test_links_within_the_page_lead_somewhere(pages: dict[str, str]) -> None:
    for name in NAMES:
        page = pages[f"report_{name}.html"]
        targets = set(re.findall(r'href="#([^"]+)"', page))
        assert targets <= set(re.findall(r'\sid="([^"]+)"', page)), name


def test_score_that_could_not_be_told_has_a_part_with_its_verdict(leakage_samples: ModuleType) -> None:
    report = leakage_samples.clean()
    untold = Finding(check="consequence", severity=Severity.NOT_RUN, message="The model has no signature.")
    report = report.model_copy(update={"findings": [untold], "verdict": Verdict.NOT_RUN})
    assert leakage.parts(report)["score"].tone == "not_run"
    assert 'href="#score"' in render_report(report)


def test_report_that_passes_tells_what_was_not_looked_at(
    leakage_samples: ModuleType, pages: dict[str, str]
) -> None:
    report = leakage_samples.clean()
    assert report.verdict is Verdict.PASS
    names = {name for item in leakage.unseen(report) for name in item.names}
    assert names == {"exclude", "weight", "near", "targets", "groups", "time", "transform_graph", "schema"}
    shown = part_text(pages["report_leakage_clean.html"], "unseen")
    for name in names:
        assert name in shown
    for anchor in ("score", "near", "conflicts", "features", "entities", "time", "preprocessing"):
        assert f'aria-labelledby="{anchor}"' not in pages["report_leakage_clean.html"]


def test_nothing_is_left_to_look_at_where_all_was_asked_for(full: LeakageReport, page: str) -> None:
    assert not leakage.unseen(full)
    assert "Not looked at" not in page


@pytest.mark.parametrize(
    ("field", "empty", "names"),
    [
        ("near_duplicates", None, ("near",)),
        ("entities", [], ("groups",)),
        ("time", None, ("time",)),
        ("rows", [], ("shown",)),
        ("features", [], ()),
    ],
)
def test_what_is_missing_is_named_with_its_setting(
    full: LeakageReport, field: str, empty: Any, names: tuple[str, ...]
) -> None:
    assert list(unseen(without(full, **{field: empty})).values()) == [names]


def test_settings_named_as_switches_exist(full: LeakageReport, leakage_samples: ModuleType) -> None:
    bare = without(full, near_duplicates=None, entities=[], time=None, rows=[])
    items = [*leakage.unseen(bare), *leakage.unseen(leakage_samples.clean())]
    switches = {name for item in items if item.kind == "setting" for name in item.names}
    assert switches <= set(LeakageSettings.model_fields)


def test_schema_is_asked_for_where_serving_could_not_be_checked(full: LeakageReport) -> None:
    inputs = {name: refs for name, refs in full.inputs.items() if name != "schema"}
    assert list(unseen(full.model_copy(update={"inputs": inputs})).values()) == [("schema",)]


def test_model_is_asked_for_only_where_something_leaked(full: LeakageReport) -> None:
    scoreless = without(full, consequence=[]).model_copy(update={"findings": [], "inputs": {"schema": []}})
    assert ("model",) in unseen(scoreless).values()
    spotless = without(
        scoreless,
        overlap=[item.model_copy(update={"eval_in_train": 0}) for item in full.leakage.overlap],
    )
    assert ("model",) not in unseen(spotless).values()


def test_report_of_nothing_counted_says_so(pages: dict[str, str]) -> None:
    page = pages["report_leakage_nothing.html"]
    assert "There is no eval split" in page
    assert "could not be counted" in part_text(page, "unseen")
    assert "<figure>" not in page


def test_splits_of_other_names_are_called_by_them(full: LeakageReport) -> None:
    names = {"train": "learn", "eval": "judge"}

    def renamed(item: Any, *fields: str) -> Any:
        values = {name: getattr(item, name) for name in fields}
        return item.model_copy(
            update={name: {names[split]: count for split, count in by.items()} for name, by in values.items()}
        )

    section = renamed(full.leakage, "examples", "sampled").model_copy(
        update={
            "overlap": [renamed(item, "distinct", "surplus") for item in full.leakage.overlap],
            "entities": [renamed(item, "entities", "missing") for item in full.leakage.entities],
            "time": renamed(full.leakage.time, "first", "last", "missing"),
        }
    )
    settings = {**full.settings, "train_split": "learn", "eval_split": "judge"}
    page = render_report(full.model_copy(update={"leakage": section, "settings": settings}))
    assert "judge in learn" in text(page)
    assert "40,000 of 41,873 learn examples" in part_text(page, "read")
    assert "within learn 96 244 104 0.248 %" in part_text(page, "conflicts")
    assert "customer 40,108 11,697" in part_text(page, "entities")
    assert "learn 2021-01-04" in part_text(page, "time")
    assert "Of 12,104 judge examples" in part_text(page, "overlap")


def test_page_is_the_same_after_a_round_trip(full: LeakageReport, page: str) -> None:
    assert render_report(LeakageReport.model_validate_json(full.to_json())) == page


def test_figures_are_drawn_of_what_was_looked_at(full: LeakageReport, leakage_samples: ModuleType) -> None:
    titles = [figure.title for figure in charts.figures(full)]
    assert titles == [leakage.OVERLAP_FIGURE, leakage.FEATURES_FIGURE]
    assert [figure.title for figure in charts.figures(leakage_samples.clean())] == [leakage.OVERLAP_FIGURE]
    assert charts.figures(leakage_samples.nothing_counted()) == []
    for figure in charts.figures(full):
        ElementTree.fromstring(figure.svg)


def test_overlap_chart_names_what_was_found(full: LeakageReport) -> None:
    drawn = text(charts.figures(full)[0].svg)
    for wanted in ("Features but the excluded", "name and birthday", "486 · 4.02 %", "1,127 · 9.31 %"):
        assert wanted in drawn
    for legend in (charts.OBSERVED, charts.RANDOM, charts.INDEPENDENT):
        assert legend in drawn


def test_baseline_that_was_not_estimated_is_not_drawn(full: LeakageReport) -> None:
    bare = [item.model_copy(update={"expected_independent": None}) for item in full.leakage.overlap]
    assert charts.INDEPENDENT not in text(charts.figures(without(full, overlap=bare))[0].svg)


def test_counts_of_different_magnitudes_have_a_scale_with_zero(full: LeakageReport) -> None:
    assert re.search(r"^0 1 10 100 1,000 examples", text(charts.figures(full)[0].svg))


@pytest.mark.parametrize("counts", [(0, 0.0), (3, 1.2), (45, 40.0), (700, 611.0), (12_104, 9_000.5)])
def test_counts_of_one_magnitude_have_whole_ticks_that_differ(
    full: LeakageReport, counts: tuple[int, float]
) -> None:
    observed, expected = counts
    item = full.leakage.overlap[0].model_copy(
        update={
            "eval_in_train": observed,
            "expected_random_split": expected,
            "random_split_sd": 0.1,
            "expected_independent": None,
        }
    )
    drawn = text(charts.figures(without(full, overlap=[item]))[0].svg)
    match = re.search(r"^(0(?: [\d,]+)+) examples", drawn)
    assert match is not None
    ticks = [int(tick.replace(",", "")) for tick in match.group(1).split()]
    assert len({second - first for first, second in pairwise(ticks)}) == 1
    assert ticks[1] > 0
    assert ticks[-1] >= max(counts)
    assert len(ticks) <= 6


def test_most_telling_features_are_charted_against_the_bounds(full: LeakageReport) -> None:
    figure = charts.figures(full)[1]
    drawn = text(figure.svg)
    names = [feature.name for feature in full.leakage.features]
    places = [drawn.index(name) for name in names[: charts.MOST_FEATURES]]
    assert places == sorted(places)
    assert not any(name in drawn for name in names[charts.MOST_FEATURES :])
    assert "The 25 most telling of 27 features" in figure.caption
    assert "warn ≥ 0.95" in drawn
    assert "fail ≥ 0.99" in drawn
    for word in ("Fail", "Warning", "Pass"):
        assert word in drawn


def test_bounds_in_the_chart_are_those_of_the_settings(full: LeakageReport) -> None:
    strict = full.model_copy(update={"settings": {**full.settings, "auc_warn": 0.8, "auc_fail": 0.9}})
    drawn = text(charts.figures(strict)[1].svg)
    assert "warn ≥ 0.8 " in drawn
    assert "fail ≥ 0.9 " in drawn


@pytest.mark.parametrize(
    ("metric", "low", "high", "said"),
    [
        ("auc", 0.01, 0.03, "flatter the model"),
        ("auc", -0.03, -0.01, "do not flatter"),
        ("accuracy", -0.01, 0.03, "no more than chance"),
        ("mean_absolute_error", -0.3, -0.1, "The leaked examples flatter the model"),
        ("mean_absolute_error", 0.1, 0.3, "do not flatter"),
    ],
)
def test_score_is_flattered_by_a_higher_score_or_a_lower_error(
    metric: Any, low: float, high: float, said: str
) -> None:
    difference = Estimate(value=(low + high) / 2, low=low, high=high)
    item = Consequence(
        key="features",
        metric=metric,
        all=0.8,
        without_leaked=0.8 - difference.value,
        difference=difference,
        leaked=9,
        clean=90,
    )
    assert said in leakage.consequence(item, "eval")


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.9996, "100 %"),
        (2979 / 16281, "18.3 %"),
        (-0.00031, "−0.031 %"),
        (1e-9, "≈ 0 %"),
        (-1e-9, "≈ 0 %"),
    ],
)
def test_shares_are_said_in_per_cent(share: float, shown: str) -> None:
    assert leakage.percent(share) == shown
