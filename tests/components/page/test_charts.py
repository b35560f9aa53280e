"""Charts as inline SVG."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from tfx_trust.components.page.charts import INK, PALETTE, VERDICT_COLOURS, to_svg

alt = pytest.importorskip("altair")


def chart(title: str = "Rates", color: str = "slice:N") -> Any:
    rows = [{"slice": f"sex:{name}", "rate": rate} for name, rate in (("Female", 0.1), ("Male & <all>", 0.3))]
    bars = alt.Chart(alt.Data(values=rows), title=title).mark_bar(clip=True)
    return bars.encode(x="rate:Q", y="slice:N", color=color)


def test_chart_is_sound_svg_without_script_or_fetched_parts() -> None:
    svg = to_svg(chart())
    ElementTree.fromstring(svg)
    assert svg.startswith("<svg ")
    assert "<script" not in svg
    assert not re.search(r"(href|src)=\"(?!#)", svg)


def test_equal_charts_give_equal_text() -> None:
    assert to_svg(chart(), label="a") == to_svg(chart(), label="a")


def test_text_takes_the_colour_of_the_page() -> None:
    svg = to_svg(chart())
    assert INK not in svg
    assert 'fill="currentColor"' in svg
    assert 'fill="white"' not in svg
    assert PALETTE[0] in svg


def test_ids_of_several_charts_do_not_clash() -> None:
    one, other = to_svg(chart("One")), to_svg(chart("Other"))
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, known in zip((one, other), ids, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= known


def test_data_that_look_like_ids_or_colours_are_left_alone() -> None:
    data = alt.Data(values=[{"text": f' id="x" {INK} url(#y)'}])
    svg = to_svg(alt.Chart(data).mark_text().encode(text="text:N"))
    assert f'id="x" {INK} url(#y)</text>' in svg


def test_label_is_the_text_alternative_and_the_title_stands_in() -> None:
    assert 'aria-label="a &lt;b&gt;"' in to_svg(chart(), label="a <b>")
    assert 'aria-label="Rates"' in to_svg(chart("Rates"))


def test_own_configuration_of_a_chart_wins() -> None:
    assert "#123123" in to_svg(chart().configure_axis(labelColor="#123123"))


def test_colours_have_contrast_on_light_and_dark_pages() -> None:
    for colour in (*PALETTE, *VERDICT_COLOURS.values()):
        for page in ("#fbfbfa", "#14171a"):
            assert contrast(colour, page) >= 3, (colour, page)


def contrast(one: str, other: str) -> float:
    """Ratio of relative luminances, WCAG 2.2."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
