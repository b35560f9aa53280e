"""A judged metric of the groups of two features: a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from tfx_trust.components.fairness import drawing
from tfx_trust.components.fairness.report import FairnessReport, Gap
from tfx_trust.components.page import fairness_words as said
from tfx_trust.components.page import words
from tfx_trust.components.page.charts import INK, PALETTE, VERDICT_COLOURS

MOST_ROWS, MOST_COLUMNS = 24, 8
CELL_WIDTH, CELL_HEIGHT = 112, 46
# The hatch of a cell that says nothing: so many strokes from corner to corner.
_STROKES = 7


@dataclass(frozen=True)
class HeatCell:
    """A group of two features."""

    row: int
    column: int
    value: float | None
    count: int
    tone: str
    strength: float
    """The value, 0 of the least that is known well enough and 1 of the greatest."""


@dataclass(frozen=True)
class HeatMap:
    """A judged metric of the groups of two features.

    Attributes
    ----------
    metric, label_class, kind
        Which metric, of which class, and how it is judged.
    row_feature, column_feature, rows, columns
        The features and their values.
    cells
        The groups.
    left_out
        Groups that found no room.
    """

    metric: str
    label_class: str | None
    kind: str
    row_feature: str
    column_feature: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[HeatCell, ...]
    left_out: int

    @property
    def title(self) -> str:
        """The metric, the class and the features."""
        name = said.titled(self.metric, self.label_class, self.kind)
        return f"{name}, by {self.row_feature} and {self.column_feature}"


def heat_maps(report: FairnessReport) -> list[HeatMap]:
    """For each judged metric, the groups of those two features that have the strongest evidence."""
    first: dict[str, tuple[Gap, list[Gap]]] = {}
    crossed = [gap for gap in report.fairness.gaps if gap.tolerance is not None and len(gap.slice) == 2]
    for gap in crossed:
        lead, of = first.setdefault(gap.metric, (gap, []))
        if _family(gap) == _family(lead):
            of.append(gap)
    order = _order(report)
    return [_heat_map(gaps, order) for _, gaps in first.values()]


def _family(gap: Gap) -> tuple[Any, ...]:
    return (*sorted(gap.slice), gap.label_class, gap.kind)


def _heat_map(gaps: Sequence[Gap], order: Mapping[tuple[str, str], int]) -> HeatMap:
    features = sorted(gaps[0].slice)
    counts: dict[str, dict[str, int]] = {name: {} for name in features}
    for gap in gaps:
        for name in features:
            value = gap.slice[name]
            counts[name][value] = counts[name].get(value, 0) + gap.slice_count
    down, across = sorted(features, key=lambda name: -len(counts[name]))
    rows, columns = (
        sorted(_largest(counts[name], most), key=lambda value: order.get((name, value), len(order)))
        for name, most in ((down, MOST_ROWS), (across, MOST_COLUMNS))
    )
    shown = [gap for gap in gaps if gap.slice[down] in rows and gap.slice[across] in columns]
    known = [
        gap.slice_value for gap in shown if gap.slice_value is not None and gap.verdict != "insufficient"
    ]
    least, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    cells = tuple(
        HeatCell(
            rows.index(gap.slice[down]),
            columns.index(gap.slice[across]),
            gap.slice_value,
            gap.slice_count,
            said.TONES[gap.verdict][0],
            ((gap.slice_value or 0.0) - least) / span if span else 0.5,
        )
        for gap in shown
    )
    lead = gaps[0]
    return HeatMap(
        lead.metric,
        lead.label_class,
        lead.kind,
        down,
        across,
        tuple(rows),
        tuple(columns),
        cells,
        len(gaps) - len(shown),
    )


def _order(report: FairnessReport) -> dict[tuple[str, str], int]:
    """Place of each feature and value in the report, whose buckets ascend."""
    named = (pair for item in report.fairness.slices for pair in item.slice.items())
    return {pair: place for place, pair in enumerate(dict.fromkeys(named))}


def _largest(counts: Mapping[str, int], most: int) -> list[str]:
    """The values with the most examples."""
    return sorted(counts, key=lambda value: (-counts[value], value))[:most]


def caption(heat: HeatMap) -> str:
    """What was left out."""
    if not heat.left_out:
        return ""
    return f"{words.plural(heat.left_out, 'group')} of rarer values found no room; the tables have all."


def label(heat: HeatMap) -> str:
    """The picture in a sentence, for those who cannot see it."""
    parts = [
        f"{heat.rows[cell.row]}, {heat.columns[cell.column]} {said.rate(cell.value)}"
        for cell in heat.cells
        if cell.tone != "not_run"
    ]
    return f"{heat.title}: {'; '.join(parts[:8])}{' …' if len(parts) > 8 else ''}."


def chart(heat: HeatMap) -> Any:
    """The heat map."""
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
            "colour": drawing.COLOURS[cell.tone],
            "shape": drawing.SHAPES[cell.tone],
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
            drawing.layer(rows)
            .mark_rect(**style)
            .encode(x=across("left"), x2="right:Q", y=drawing.down("top", tall), y2="bottom:Q")
        )

    layers = [
        box(sure, color=PALETTE[0], strokeWidth=2).encode(
            fillOpacity=alt.FillOpacity("fill:Q", scale=None, legend=None),
            stroke=alt.Stroke("stroke:N", scale=None, legend=None),
        ),
        box(unsure, filled=False, stroke=INK, strokeOpacity=0.2),
        drawing.layer([stroke for cell in unsure for stroke in _hatch(cell)])
        .mark_rule(strokeOpacity=0.2, color=INK)
        .encode(x=across("from_x"), x2="to_x:Q", y=drawing.down("from_y", tall), y2="to_y:Q"),
        drawing.layer(sure)
        .mark_point(size=55, filled=True, opacity=1)
        .encode(
            x=across("sign"),
            y=drawing.down("upper", tall),
            color=alt.Color("colour:N", scale=None, legend=None),
            shape=alt.Shape("shape:N", scale=None, legend=None),
        ),
        *_heat_texts(heat),
    ]
    chart = alt.layer(*layers).properties(width=CELL_WIDTH * wide, height=CELL_HEIGHT * tall)
    return chart.resolve_scale(shape="independent", color="independent").configure(aria=False)


def _heat_texts(heat: HeatMap) -> list[Any]:
    """The names of rows and columns, and the numbers of the cells."""
    tall = len(heat.rows)

    def at(text: str, x: float, y: float) -> dict[str, Any]:
        return {"text": text, "x": x, "y": y}

    def middle(column: int) -> float:
        return CELL_WIDTH * (column + 0.5)

    sure = [cell for cell in heat.cells if cell.tone != "not_run"]
    unsure = [cell for cell in heat.cells if cell.tone == "not_run"]
    rows = [at(name, -12, place + 0.5) for place, name in enumerate(heat.rows)]
    columns = [at(name, middle(place), -14 / CELL_HEIGHT) for place, name in enumerate(heat.columns)]
    values = [at(said.rate(cell.value), middle(cell.column), cell.row + 0.34) for cell in sure]
    counts = [at(f"{cell.count:,}", middle(cell.column), cell.row + 0.7) for cell in sure]
    doubtful = [at(said.rate(cell.value), middle(cell.column), cell.row + 0.34) for cell in unsure]
    few = [at(f"{cell.count:,}, too few", middle(cell.column), cell.row + 0.7) for cell in unsure]
    return [
        drawing.texts(rows, tall, align="right", limit=200),
        drawing.texts(columns, tall, align="center", limit=CELL_WIDTH - 6),
        drawing.texts(
            [at(heat.row_feature, -12, -14 / CELL_HEIGHT)], tall, align="right", fontWeight=600, limit=200
        ),
        drawing.texts(
            [at(heat.column_feature, 2, -36 / CELL_HEIGHT)], tall, align="left", fontWeight=600, limit=400
        ),
        drawing.texts(values, tall, align="center", fontWeight=600, fontSize=13),
        drawing.texts([*counts, *few], tall, align="center", fontSize=11),
        drawing.texts(doubtful, tall, align="center", fontStyle="italic", opacity=0.65),
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
