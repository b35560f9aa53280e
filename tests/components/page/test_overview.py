"""The overview of a run."""

from types import ModuleType

import pytest

from tfx_trust.components.page import render_overview
from tfx_trust.components.page.run import NodeRun, Run
from tfx_trust.components.report import Verdict


def word(page: str) -> str:
    """The headline."""
    return page.split("<h1>")[1].split("<span>")[1].split("</span>")[0]


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("released", "Released"),
        ("blocked", "Not released"),
        ("failed", "Failed"),
        ("undecided", "Not decided"),
        ("unpushed", "Failed"),
        ("empty", "Not decided"),
    ],
)
def test_headline_says_the_outcome(samples: ModuleType, run: str, expected: str) -> None:
    assert word(render_overview(samples.RUNS[run]())) == expected


def test_released_run_says_where_the_model_went(samples: ModuleType) -> None:
    page = render_overview(samples.released_run())
    assert "/data/risk/runs/census/serving/1741079112" in page
    assert "Nothing that was weighed speaks against it." in page
    for text in ("binary_accuracy", "22,792", "local (DirectRunner)", "2.16.2"):
        assert text in page


def test_released_but_not_pushed_is_said(samples: ModuleType) -> None:
    run = Run("census", "1", None, samples.nodes(Pusher="not_run"), release=samples.release_report())
    page = render_overview(run)
    assert word(page) == "Released"
    assert "No Pusher pushed it in this run." in page


def test_blocked_run_gives_the_gravest_reason_and_links_to_the_gates(samples: ModuleType) -> None:
    page = render_overview(samples.blocked_run())
    assert "Blocked by leakage and fairness. 2.9 % of the rows of eval are also in train" in page
    assert '<a href="artifacts/LeakageValidator/report/5/report.html">leakage</a>' in page
    assert '<a href="artifacts/ReleaseGate/release_report/13/report.html">The decision in full</a>' in page


def test_failed_run_names_the_node_its_error_and_the_log(samples: ModuleType) -> None:
    page = render_overview(samples.failed_run())
    assert "Transform failed, so the release was not decided." in page
    assert "ValueError: the schema has no feature &#39;incme&#39;" in page
    assert '<a href="run.log">' in page
    # Gates that did run are told even so.
    assert '<a href="artifacts/LeakageValidator/report/5/report.html">LeakageValidator</a>' in page


def test_failure_to_push_does_not_hide_the_decision(samples: ModuleType) -> None:
    page = render_overview(samples.unpushed_run())
    assert "The model may be released, but Pusher failed before it was pushed." in page
    assert "What was weighed" in page


def test_outcomes_are_words_in_graph_and_table(samples: ModuleType) -> None:
    page = render_overview(samples.released_run())
    graph, table = page.split('<svg class="graph"')[1].split("<h2", 1)
    for text in ("Cached", "Pass · cached", "Pass · 0.6 s"):
        assert text in graph
    assert "14 nodes: 10 done, 4 cached" in page
    for text in ("Cached", "Done", "1 min 28 s"):
        assert text in table


def test_graph_has_a_text_alternative_and_tooltips(samples: ModuleType) -> None:
    graph = render_overview(samples.blocked_run()).split('<svg class="graph"')[1].split("</section>")[0]
    assert 'role="img"' in graph
    assert "Pipeline census, 14 nodes: 12 done, 2 not run." in graph
    assert "Trainer: done, after CsvExampleGen, Transform and SchemaImporter" in graph
    assert "<title>LeakageValidator\nDone\nVerdict: Fail\n3.4 s</title>" in graph


def test_gate_is_found_by_its_kind_where_its_page_lies_elsewhere(samples: ModuleType) -> None:
    node = NodeRun("MyLeakage", "LeakageValidator", "done", verdict=Verdict.PASS, page="pages/leakage.html")
    page = render_overview(Run("census", "1", None, (node,), release=samples.release_report()))
    assert '<a href="pages/leakage.html">leakage</a>' in page


def test_links_with_a_scheme_are_not_links() -> None:
    node = NodeRun("a", "A", "done", page="javascript:alert(1)")
    page = render_overview(Run("p", "1", None, (node,)))
    assert "javascript" not in page
