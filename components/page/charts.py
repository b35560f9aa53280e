"""Vega-Altair charts as inline SVG: no JavaScript, no network, readable on light and dark pages.

A concern draws its charts with any colour of :data:`PALETTE` and :data:`VERDICT_COLOURS`, which
have contrast on both backgrounds, and with :data:`INK` for what should take the text's colour.

>>> import altair as alt
>>> bars = alt.Chart(alt.Data(values=[{"slice": "sex:Female", "rate": 0.1}]))
>>> svg = to_svg(bars.mark_bar().encode(x="rate:Q", y="slice:N"), label="Rate by slice")
>>> "<script" in svg
False
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    import altair

INK = "#0a0b0c"
"""Stands for the colour of the page's text: ``to_svg`` makes it ``currentColor``."""

PALETTE = ("#2f7fb8", "#d0702b", "#12917c", "#a664b4", "#8f8320", "#c8557d", "#6f7f8c")
"""Colours of categories: told apart under the common kinds of colour blindness, and at least
3 : 1 against both the light and the dark page."""

VERDICT_COLOURS = {
    "pass": "#12917c",
    "warn": "#b97a10",
    "inconclusive": "#8f6fc4",
    "not_run": "#7b858f",
    "fail": "#d4483b",
}
"""Colours of verdicts; give each mark a shape or a word too."""

VALIDATED = False
"""Whether charts are checked against the schema of Vega-Lite. It takes longer than to draw them: tests do."""

_ADDRESSES = "rfc3987_syntax"

FONT = "Arial, Helvetica, Liberation Sans, sans-serif"
"""Not the page's font: the room for each text is measured here, before the reader's fonts are known,
so it must be a font that is equally wide everywhere."""


@contextlib.contextmanager
def checked() -> Iterator[None]:
    """Within it, Altair checks each part of a chart as it is made, if :data:`VALIDATED` says so."""
    with _quickly_loaded():
        from altair.utils.schemapi import debug_mode

    with debug_mode(VALIDATED):
        yield


@contextlib.contextmanager
def _quickly_loaded() -> Iterator[None]:
    """Within it, Altair is loaded without a grammar that takes most of the time and that no chart needs.

    It loads jsonschema, which builds a parser of internationalized addresses as it is loaded, if the package
    for that is there; without it, jsonschema merely does not check such addresses.
    """
    known = _ADDRESSES in sys.modules
    if not known:
        sys.modules[_ADDRESSES] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not known:
            sys.modules.pop(_ADDRESSES, None)


@dataclass(frozen=True)
class Figure:
    """A chart with its words, as a report page shows it.

    Attributes
    ----------
    title
        What it shows, as a heading.
    svg
        The chart, from :func:`to_svg`.
    caption
        How to read it, or what it says, in a sentence or two.
    """

    title: str
    svg: str
    caption: str = ""


def to_svg(chart: altair.TopLevelMixin, *, label: str = "") -> str:
    """A chart as inline SVG.

    Parameters
    ----------
    chart
        Any Vega-Altair chart, with its data inline. The library's theme gives way to the chart's own
        ``configure_…``.
    label
        Text alternative, read by screen readers; the chart's title if not given.

    Returns
    -------
    str
        The ``<svg>`` element, marked as safe for templates. Equal charts and labels give equal text;
        ids are made from the text, so that those of different charts never clash in one page.
    """
    import altair
    import vl_convert

    spec = chart.to_dict(validate=VALIDATED)
    spec["config"] = _merged(_theme(), spec.get("config", {}))
    label = label or _title_of(spec)
    svg: str = vl_convert.vegalite_to_svg(
        spec,
        vl_version=".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2]),
        # A page must not depend on what a server says today.
        allowed_base_urls=[],
    )
    return Markup(_inline(svg, label))


def _title_of(spec: dict[str, Any]) -> str:
    title = spec.get("title", "")
    text = title.get("text", "") if isinstance(title, dict) else title
    return " ".join(text) if isinstance(text, list) else str(text)


def _theme() -> dict[str, Any]:
    text = {"labelColor": INK, "titleColor": INK, "labelFont": FONT, "titleFont": FONT, "labelFontSize": 12}
    lines = {
        "domainColor": INK,
        "domainOpacity": 0.45,
        "tickColor": INK,
        "tickOpacity": 0.45,
        "gridColor": INK,
        "gridOpacity": 0.12,
    }
    weights = {"titleFontSize": 12, "titleFontWeight": 600, "labelOpacity": 0.85, "labelLimit": 260}
    symbols = {"symbolBaseFillColor": INK, "symbolBaseStrokeColor": INK}
    return {
        "background": "transparent",
        "padding": 8,
        "font": FONT,
        "view": {"stroke": None},
        "axis": {**text, **lines, **weights},
        "legend": {**text, **symbols, "titleFontSize": 12, "titleFontWeight": 600},
        "header": {**text, "titleFontSize": 12, "titleFontWeight": 600},
        "title": {"color": INK, "font": FONT, "fontSize": 14, "fontWeight": 600, "anchor": "start"},
        "text": {"color": INK, "font": FONT, "fontSize": 12},
        "rule": {"color": INK},
        "range": {"category": list(PALETTE)},
        "mark": {"color": PALETTE[0]},
    }


def _merged(base: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in above.items():
        inner = base.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def _inline(svg: str, label: str) -> str:
    """The standalone SVG made fit for a page: ids of its own, the page's ink, a text alternative."""
    svg = svg[svg.index("<svg") :].strip()
    svg = _in_tags(svg, lambda tag: tag.replace(INK, "currentColor"))
    # The converter numbers ids through all charts of a process: numbered anew, they depend on this one alone.
    ids = list(dict.fromkeys(name for tag in _TAG.findall(svg) for name in _ID.findall(tag)))
    svg = _renamed(svg, {name: f"chart-{number}" for number, name in enumerate(ids)})
    digest = hashlib.sha256(f"{label}\n{svg}".encode()).hexdigest()[:10]
    svg = _renamed(svg, {f"chart-{number}": f"chart-{digest}-{number}" for number in range(len(ids))})
    name = f' role="img" aria-label="{escape(label)}"' if label else ' aria-hidden="true"'
    return svg.replace('class="marks"', "", 1).replace("<svg", f'<svg class="chart"{name}', 1)


_TAG = re.compile(r"<[^>]*>")
_ID = re.compile(r'\sid="([^"]*)"')
_REFERENCE = re.compile(r"""(\sid="|href="\#|url\(['"]?\#)([^"')]*)""")


def _in_tags(svg: str, change: Callable[[str], str]) -> str:
    """`svg` with its tags changed and its texts, which are data, left alone."""
    return _TAG.sub(lambda match: change(match.group()), svg)


def _renamed(svg: str, names: Mapping[str, str]) -> str:
    """`svg` with its ids and what refers to them renamed."""
    return _in_tags(
        svg,
        lambda tag: _REFERENCE.sub(
            lambda match: match.group(1) + names.get(match.group(2), match.group(2)), tag
        ),
    )
