"""How values of any shape are shown, and links and marks are made."""

import datetime

import pytest

from tfx_trust.components.page import icons, links, marks
from tfx_trust.components.page.values import Items, Record, Scalar, Shown, Table, shown
from tfx_trust.components.report import Estimate, InputRef, Severity, Verdict


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ("", "–"),
        (True, "yes"),
        (32561, "32,561"),
        (0.123456, "0.1235"),
        ([], "none"),
        ({}, "none"),
        (Verdict.NOT_RUN, "Not run"),
        (Severity.INFO, "Note"),
        (datetime.datetime(2025, 3, 4, 9, 5), "4 March 2025, 09:05"),
        (Estimate(value=0.1, low=0.05, high=0.15, count=200), "0.1 [0.05, 0.15], n = 200"),
        ({"value": 0.1, "low": 0.05, "high": 0.15, "count": 200}, "0.1 [0.05, 0.15], n = 200"),
    ],
)
def test_single_values_are_text(value: object, text: str) -> None:
    it = shown(value)
    assert isinstance(it, Scalar)
    assert it.text == text


def test_verdict_is_told_from_other_words_by_its_key() -> None:
    record = shown({"verdict": "fail", "mode": "fail"})
    assert isinstance(record, Record)
    kinds = [item.kind for _, item in record.rows if isinstance(item, Scalar)]
    assert kinds == ["verdict", "text"]


def test_a_value_that_only_resembles_an_estimate_is_a_record() -> None:
    assert isinstance(shown({"value": "high", "count": 3}), Record)
    assert isinstance(shown({"value": 1, "count": 3, "unit": "ms"}), Record)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ([1, 2, 3], Items),
        ([{"a": 1, "b": 2}, {"a": 3, "b": 4}], Table),
        ({"train": {"rows": 1}, "eval": {"rows": 2}}, Table),
        ({"train": {"rows": 1}, "eval": 2}, Record),
        ([{"a": 1}, 2], Items),
        ([{f"k{n}": n for n in range(40)}] * 2, Items),
        ([{"a": 1}, {"b": 1}, {"c": 1}], Items),
        ([InputRef(uri="a"), InputRef(uri="b")], Table),
        ({"z", "a"}, Items),
    ],
)
def test_shape_follows_the_data(value: object, kind: type[Shown]) -> None:
    assert isinstance(shown(value), kind)


def test_names_of_data_stay_as_they_are_and_fields_are_spoken() -> None:
    record = shown(InputRef(uri="a", split_names=["train"]))
    assert isinstance(record, Record)
    assert [label.text for label, _ in record.rows] == ["Uri", "Type", "Id", "Split names"]
    data = shown({"marital_status": 1})
    assert isinstance(data, Record)
    assert data.rows[0][0].text == "marital_status"
    assert data.rows[0][0].verbatim


def test_missing_cells_of_a_table_are_dashes() -> None:
    table = shown([{"a": 1, "b": 2}, {"a": 3}])
    assert isinstance(table, Table)
    assert table.rows[1][1][1] == Scalar("–", "nothing")
    assert table.columns[1].numeric


@pytest.mark.parametrize(
    ("uri", "folder", "link"),
    [
        ("/a/b c", "/a/d", "../b%20c/report.html"),
        ("/a/b", None, "/a/b/report.html"),
        ("gs://bucket/a/b", "gs://bucket/a/c/d", "../../b/report.html"),
        ("gs://bucket/a/b", "gs://other/a/c", None),
        ("gs://bucket/a/b", None, None),
        ("javascript:alert(1)", None, None),
        ("//host/share", "/a", "/host/share/report.html"),
        ("", "/a", None),
    ],
)
def test_pages_are_linked_only_where_a_browser_can_follow(
    uri: str, folder: str | None, link: str | None
) -> None:
    made = links.page_link(uri, folder)
    if uri.startswith("//"):
        assert made is None or not made.startswith("//")
    else:
        assert made == link


def test_a_mark_needs_something_to_compare_with() -> None:
    assert marks.mark(0.5) == ""
    assert marks.mark(0.5, bounds=[0.5]) == ""


def test_marks_stay_within_their_box() -> None:
    drawn = marks.mark(-3.0, low=-9.0, high=1e6, baseline=7.0, bounds=[2.0, 5.0], allowed=(2.0, None))
    for part in ("mark-allowed", "mark-bound", "mark-interval", "mark-baseline", "mark-value"):
        assert part in drawn
    assert "nan" not in drawn


def test_every_outcome_has_a_shape_of_its_own() -> None:
    names = [verdict.value for verdict in Verdict] + ["info", "done", "cached"]
    assert set(names) | {"failed"} == icons.NAMES
    assert len({icons.shape(name) for name in names}) == len(names)
