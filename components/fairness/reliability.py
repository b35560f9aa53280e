"""Scores against outcomes, group by group: reliability curves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import altair as alt

from tfx_trust.components.fairness.report import Bin, FairnessReport, SliceMetrics
from tfx_trust.components.page import fairness as told
from tfx_trust.components.page import fairness_words as said
from tfx_trust.components.page.charts import INK, PALETTE

MOST_CURVES = 6
"""Pictures of scores against outcomes."""
MOST_PANELS = 15
"""Groups in such a picture."""

PANEL = 152
PANELS_IN_A_ROW = 6


@dataclass(frozen=True)
class Panel:
    """The reliability curve of a group."""

    name: str
    count: int
    error: str
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Curves:
    """Reliability curves of the groups of a feature.

    Attributes
    ----------
    feature, label_class
        The feature, none where only all examples are known, and the class.
    panels, groups
        The groups shown, and how many there are.
    everyone
        The curve of all examples; empty where it is itself a panel.
    enough
        Fewest examples of a bin that is drawn as a full point.
    """

    feature: str | None
    label_class: str | None
    panels: tuple[Panel, ...]
    groups: int
    everyone: tuple[Bin, ...]
    enough: int

    @property
    def title(self) -> str:
        """The feature and the class."""
        by = "of all examples" if self.feature is None else f"by {self.feature}"
        of = "" if self.label_class is None else f", class {self.label_class}"
        return f"Scores and outcomes {by}{of}"


def curves(report: FairnessReport) -> list[Curves]:
    """Reliability curves, a picture for each feature and class; at most :data:`MOST_CURVES`."""
    return list(_curves(report))[:MOST_CURVES]


def _curves(report: FairnessReport) -> Iterator[Curves]:
    enough = int(report.settings.get("min_count", 1))
    for label_class, slices in told.by_class(report.fairness).items():
        known = [item for item in slices if item.reliability]
        everyone = next((item for item in known if not item.slice), None)
        by_feature: dict[str, list[SliceMetrics]] = {}
        for item in known:
            if len(item.slice) == 1:
                by_feature.setdefault(next(iter(item.slice)), []).append(item)
        for feature, items in by_feature.items():
            largest = sorted(items, key=lambda item: -item.examples)[:MOST_PANELS]
            panels = tuple(_panel(item) for item in items if item in largest)
            bins = tuple(everyone.reliability) if everyone else ()
            yield Curves(feature, label_class, panels, len(items), bins, enough)
        if everyone and not by_feature:
            yield Curves(None, label_class, (_panel(everyone),), 1, (), enough)


def _panel(item: SliceMetrics) -> Panel:
    error = item.metrics.get("calibration_error")
    off = "" if error is None or error.value is None else f"off by {said.rate(error.value)}"
    return Panel(said.group(item.slice), item.examples, off, tuple(item.reliability))


def caption(of: Curves) -> str:
    """What was left out."""
    if len(of.panels) == of.groups:
        return ""
    return f"Shown are the {len(of.panels)} largest of {of.groups:,} groups."


def label(of: Curves) -> str:
    """The picture in a sentence, for those who cannot see it."""
    parts = [f"{panel.name} {panel.error or 'unknown'}" for panel in of.panels]
    return f"{of.title}: {', '.join(parts)}."


def chart(curves: Curves) -> Any:
    """The curves, a panel for each group."""
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
            # Their names stand in the panels: headers of this kind would each lie a little higher or lower.
            facet=alt.Facet(
                "panel:N", sort=names, title=None, header=alt.Header(labelExpr="''", labelPadding=0)
            ),
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
