"""The pictures of a fairness report: groups against their tolerance, crossed groups, scores against outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from tfx_trust.components.fairness import pictures
from tfx_trust.components.fairness.report import FairnessReport
from tfx_trust.components.page import fairness as told
from tfx_trust.components.page.charts import INK, PALETTE, VERDICT_COLOURS, Figure, to_svg

PLOT_WIDTH = 420
ROW = 24
LABELS = 230
"""Width of the names of groups."""
CELL_WIDTH, CELL_HEIGHT = 112, 46
PANEL = 152
PANELS_IN_A_ROW = 6

_SHAPES = {
    "pass": "circle",
    "inconclusive": "diamond",
    "fail": "square",
    "not_run": "cross",
    "info": "circle",
}
_COLOURS = {
    **{name: VERDICT_COLOURS[name] for name in ("pass", "inconclusive", "fail", "not_run")},
    "info": PALETTE[0],
}
# The hatch of a cell that says nothing: so many strokes from corner to corner.
_STROKES = 7


@dataclass(frozen=True)
class PartFigure(Figure):
    """A figure, and to which part of the page it belongs.

    Attributes
    ----------
    part
        ``judged`` or ``told`` (a metric's groups), ``crossed`` (a heat map) or ``calibration``.
    """

    part: str = ""


def figures(report: FairnessReport) -> list[Figure]:
    """The report's charts: each metric's groups, crossed groups, and scores against outcomes.

    Parameters
    ----------
    report
        A fairness report.

    Returns
    -------
    list of Figure
        :class:`PartFigure` all of them; none where nothing was measured. Long ones are cut, and say so.
    """
    drawn: list[Figure] = []
    for forest in pictures.forests(report):
        drawn.append(
            PartFigure(
                forest.title,
                to_svg(_forest_chart(forest), label=pictures.forest_label(forest)),
                pictures.forest_caption(forest),
                "judged" if forest.judged else "told",
            )
        )
    for heat in pictures.heat_maps(report):
        drawn.append(
            PartFigure(
                heat.title,
                to_svg(_heat_chart(heat), label=pictures.heat_label(heat)),
                pictures.heat_caption(heat),
                "crossed",
            )
        )
    for curves in pictures.curves(report):
        drawn.append(
            PartFigure(
                curves.title,
                to_svg(_curves_chart(curves), label=pictures.curves_label(curves)),
                pictures.curves_caption(curves),
                "calibration",
            )
        )
    return drawn


# A metric's groups


def _forest_chart(forest: pictures.Forest) -> Any:
    lines = list(enumerate(forest.lines))
    low, high = forest.domain
    x: dict[str, Any] = {
        "scale": alt.Scale(domain=[low, high], nice=False, zero=False, clamp=True),
        "title": forest.metric_words,
        "axis": alt.Axis(tickCount=6, domain=False, ticks=False, labelPadding=6),
    }
    height = len(lines)
    rows = [
        {
            "y": place + 0.5,
            "top": place + 0.12,
            "bottom": place + 0.88,
            "value": line.value,
            "low": line.low,
            "high": line.high,
            "reference": line.reference,
            "least": None if line.allowed is None else line.allowed[0],
            "most": None if line.allowed is None else line.allowed[1],
            "colour": _COLOURS[line.tone],
            "shape": _SHAPES[line.tone],
        }
        for place, line in lines
        if not line.heading
    ]

    def having(field: str) -> Any:
        return _layer([row for row in rows if row[field] is not None])

    y, colour = _down("y", height), alt.Color("colour:N", scale=None, legend=None)
    layers = [
        _layer(rows)
        .mark_rule(strokeOpacity=0.1, color=INK)
        .encode(x=alt.value(0), x2=alt.value(PLOT_WIDTH), y=y),
        having("least")
        .mark_rect(color=VERDICT_COLOURS["pass"], opacity=0.2)
        .encode(x=alt.X("least:Q", **x), x2="most:Q", y=_down("top", height), y2="bottom:Q"),
        having("reference")
        .mark_rule(strokeWidth=1.5, color=INK)
        .encode(x=alt.X("reference:Q", **x), y=_down("top", height), y2="bottom:Q"),
        having("low")
        .mark_rule(strokeWidth=2, opacity=0.75)
        .encode(x=alt.X("low:Q", **x), x2="high:Q", y=y, color=colour),
        having("value")
        .mark_point(size=75, filled=True, opacity=1)
        .encode(
            x=alt.X("value:Q", **x), y=y, color=colour, shape=alt.Shape("shape:N", scale=None, legend=None)
        ),
        *_forest_texts(forest),
    ]
    chart = alt.layer(*layers).properties(width=PLOT_WIDTH, height=ROW * height)
    return chart.resolve_scale(shape="independent", color="independent").configure(aria=False)


def _forest_texts(forest: pictures.Forest) -> list[Any]:
    """The names of the groups, and their numbers in columns: value, gap, examples, verdict."""
    compared = any(line.gap for line in forest.lines)
    value, gap, count, word = (PLOT_WIDTH + place for place in (62, 128, 196 if compared else 130, 216))
    right: list[dict[str, Any]] = []
    left: list[dict[str, Any]] = []
    headings: list[dict[str, Any]] = []

    def say(where: list[dict[str, Any]], text: str, place: float, at: float, colour: str = INK) -> None:
        if text:
            where.append({"text": text, "x": place, "y": at, "colour": colour})

    for place, line in enumerate(forest.lines):
        if line.heading:
            say(headings, line.name, -LABELS, place + 0.5)
            continue
        say(right, line.name, -14, place + 0.5)
        say(right, told.rate(line.value), value, place + 0.5)
        say(right, line.gap, gap, place + 0.5)
        say(right, f"{line.count:,}", count, place + 0.5)
        say(left, line.word, word, place + 0.5, _COLOURS[line.tone] if line.tone != "info" else INK)
    for name, at in (("value", value), ("gap", gap if compared else None), ("examples", count)):
        if at is not None:
            say(right, name, at, -0.4)
    if forest.judged:
        say(right, "verdict", word + 38, -0.4)
    height = len(forest.lines)
    return [
        _texts(right, height, align="right", limit=LABELS - 20),
        _texts(left, height, align="left", fontWeight=600),
        _texts(headings, height, align="left", fontWeight=600, limit=LABELS + PLOT_WIDTH),
    ]


def _texts(texts: Sequence[dict[str, Any]], height: int, **style: Any) -> Any:
    """Texts at places in pixels from the left, in rows from above."""
    return (
        _layer(texts)
        .mark_text(baseline="middle", **style)
        .encode(
            x=alt.X("x:Q", scale=None, axis=None),
            y=_down("y", height),
            text=alt.Text("text:N"),
            color=alt.Color("colour:N", scale=None, legend=None),
        )
    )


def _layer(rows: Sequence[dict[str, Any]]) -> Any:
    return alt.Chart(alt.Data(values=list(rows)))


def _down(name: str, rows: int) -> Any:
    """A place down the rows, the first at the top."""
    return alt.Y(f"{name}:Q", axis=None, scale=alt.Scale(domain=[rows, 0], nice=False, zero=False))


# Crossed groups


def _heat_chart(heat: pictures.HeatMap) -> Any:
    wide, tall = len(heat.columns), len(heat.rows)
    cells = [
        {
            "left": cell.column + 0.02,
            "right": cell.column + 0.98,
            "top": cell.row + 0.04,
            "bottom": cell.row + 0.96,
            "sign": cell.column + 0.88,
            "upper": cell.row + 0.34,
            "unsure": cell.tone == "not_run",
            "colour": _COLOURS[cell.tone],
            "shape": _SHAPES[cell.tone],
            "fill": 0.08 + 0.62 * cell.strength,
            "stroke": VERDICT_COLOURS["fail"] if cell.tone == "fail" else "transparent",
        }
        for cell in heat.cells
    ]
    sure = [cell for cell in cells if not cell["unsure"]]
    unsure = [cell for cell in cells if cell["unsure"]]

    def across(name: str) -> Any:
        return alt.X(f"{name}:Q", axis=None, scale=alt.Scale(domain=[0, wide], nice=False, zero=False))

    def box(rows: Sequence[dict[str, Any]], **style: Any) -> Any:
        return (
            _layer(rows)
            .mark_rect(**style)
            .encode(x=across("left"), x2="right:Q", y=_down("top", tall), y2="bottom:Q")
        )

    layers = [
        box(sure, color=PALETTE[0], strokeWidth=2).encode(
            fillOpacity=alt.FillOpacity("fill:Q", scale=None, legend=None),
            stroke=alt.Stroke("stroke:N", scale=None, legend=None),
        ),
        box(unsure, filled=False, stroke=INK, strokeOpacity=0.2),
        _layer([stroke for cell in unsure for stroke in _hatch(cell)])
        .mark_rule(strokeOpacity=0.2, color=INK)
        .encode(x=across("from_x"), x2="to_x:Q", y=_down("from_y", tall), y2="to_y:Q"),
        _layer(sure)
        .mark_point(size=55, filled=True, opacity=1)
        .encode(
            x=across("sign"),
            y=_down("upper", tall),
            color=alt.Color("colour:N", scale=None, legend=None),
            shape=alt.Shape("shape:N", scale=None, legend=None),
        ),
        *_heat_texts(heat),
    ]
    chart = alt.layer(*layers).properties(width=CELL_WIDTH * wide, height=CELL_HEIGHT * tall)
    return chart.resolve_scale(shape="independent", color="independent").configure(aria=False)


def _heat_texts(heat: pictures.HeatMap) -> list[Any]:
    """The names of rows and columns, and the numbers of the cells."""
    tall = len(heat.rows)

    def at(text: str, x: float, y: float) -> dict[str, Any]:
        return {"text": text, "x": x, "y": y, "colour": INK}

    def middle(column: int) -> float:
        return CELL_WIDTH * (column + 0.5)

    sure = [cell for cell in heat.cells if cell.tone != "not_run"]
    unsure = [cell for cell in heat.cells if cell.tone == "not_run"]
    rows = [at(name, -12, place + 0.5) for place, name in enumerate(heat.rows)]
    columns = [at(name, middle(place), -14 / CELL_HEIGHT) for place, name in enumerate(heat.columns)]
    values = [at(told.rate(cell.value), middle(cell.column), cell.row + 0.34) for cell in sure]
    counts = [at(f"{cell.count:,}", middle(cell.column), cell.row + 0.7) for cell in sure]
    doubtful = [at(told.rate(cell.value), middle(cell.column), cell.row + 0.34) for cell in unsure]
    few = [at(f"{cell.count:,}, too few", middle(cell.column), cell.row + 0.7) for cell in unsure]
    return [
        _texts(rows, tall, align="right", limit=200),
        _texts(columns, tall, align="center", limit=CELL_WIDTH - 6),
        _texts(
            [at(heat.row_feature, -12, -14 / CELL_HEIGHT)], tall, align="right", fontWeight=600, limit=200
        ),
        _texts(
            [at(heat.column_feature, 2, -36 / CELL_HEIGHT)], tall, align="left", fontWeight=600, limit=400
        ),
        _texts(values, tall, align="center", fontWeight=600, fontSize=13),
        _texts([*counts, *few], tall, align="center", fontSize=11),
        _texts(doubtful, tall, align="center", fontStyle="italic", opacity=0.65),
    ]


def _hatch(cell: dict[str, Any]) -> list[dict[str, float]]:
    """Strokes across a cell, in the units of rows and columns."""
    left, top = cell["left"], cell["top"]
    across, down = cell["right"] - left, cell["bottom"] - top
    strokes = []
    for number in range(1, 2 * _STROKES):
        at = number / _STROKES
        # From the upper or right edge down to the left or lower one, within a square of side 1.
        start, end = (at, 0.0) if at <= 1 else (1.0, at - 1), (0.0, at) if at <= 1 else (at - 1, 1.0)
        strokes.append(
            {
                "from_x": left + across * start[0],
                "from_y": top + down * start[1],
                "to_x": left + across * end[0],
                "to_y": top + down * end[1],
            }
        )
    return strokes


# Scores against outcomes


def _curves_chart(curves: pictures.Curves) -> Any:
    names = [panel.name for panel in curves.panels]
    points = [
        {
            "panel": panel.name,
            "what": what,
            "score": point.score,
            "rate": point.rate.value,
            "low": point.rate.low,
            "high": point.rate.high,
            "enough": point.count >= curves.enough,
        }
        for panel in curves.panels
        for what, bins in (("group", panel.bins), ("everyone", curves.everyone))
        for point in bins
        if point.rate.value is not None
    ]
    notes = [
        {"panel": panel.name, "what": "note", "x": 0 if text == panel.name else 4, "y": place, "text": text}
        for panel in curves.panels
        for place, text in ((-11, panel.name), (7, f"n {panel.count:,}"), (21, panel.error))
    ]
    ideal = [{"panel": name, "what": "ideal"} for name in names]
    data = alt.Data(values=[*points, *notes, *ideal])
    axis: dict[str, Any] = {"values": [0, 0.5, 1], "format": ".1~f", "domain": False, "ticks": False}
    x = alt.X(
        "score:Q", title="mean score", scale=alt.Scale(domain=[0, 1], nice=False), axis=alt.Axis(**axis)
    )
    y = alt.Y(
        "rate:Q",
        title="share of positives",
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(**axis),
    )

    def only(test: str) -> Any:
        return alt.Chart().transform_filter(test)

    group, colour = "datum.what == 'group'", PALETTE[0]
    layers = [
        only("datum.what == 'ideal'")
        .mark_rule(color=INK, strokeDash=[3, 3], strokeOpacity=0.5)
        .encode(x=alt.XDatum(0), y=alt.YDatum(0), x2=alt.X2Datum(1), y2=alt.Y2Datum(1)),
        only("datum.what == 'everyone'")
        .mark_line(color=INK, strokeWidth=1.5, strokeOpacity=0.35)
        .encode(x=x, y=y),
        only(f"{group} && datum.low != null")
        .mark_rule(color=colour, strokeWidth=2, opacity=0.5)
        .encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
        only(group).mark_line(color=colour, strokeWidth=1.5).encode(x=x, y=y),
        only(f"{group} && datum.enough")
        .mark_point(filled=True, opacity=1, color=colour, size=45)
        .encode(x=x, y=y),
        only(f"{group} && !datum.enough")
        .mark_point(filled=False, opacity=0.9, color=colour, size=32)
        .encode(x=x, y=y),
        _note("datum.what == 'note' && datum.y > 0", fontSize=11, opacity=0.8),
        _note("datum.what == 'note' && datum.y < 0", fontWeight=600),
    ]
    return (
        alt.layer(*layers)
        .properties(width=PANEL, height=PANEL)
        .facet(
            facet=alt.Facet("panel:N", sort=names, title=None, header=None),
            columns=PANELS_IN_A_ROW,
            spacing={"row": 30, "column": 18},
            data=data,
        )
        .configure(aria=False)
    )


def _note(test: str, **style: Any) -> Any:
    """Texts at places in pixels from a panel's upper left corner."""
    return (
        alt.Chart()
        .transform_filter(test)
        .mark_text(align="left", baseline="middle", limit=PANEL, **style)
        .encode(
            x=alt.X("x:Q", scale=None, axis=None),
            y=alt.Y("y:Q", scale=None, axis=None),
            text=alt.Text("text:N"),
        )
    )
