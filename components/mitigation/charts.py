"""The picture of thresholds by group: what each allowed gap costs."""

from __future__ import annotations

from typing import Any

import altair as alt

from tfx_trust.components.mitigation.report import GroupThresholds, MitigationReport
from tfx_trust.components.page.charts import INK, PALETTE, Figure, to_svg

TITLE = "Accuracy against gap"
PLOT_WIDTH, PLOT_HEIGHT = 460, 260
_CHOSEN, _COMMON = "chosen", "one threshold for all"
_SHAPES = {_CHOSEN: "diamond", _COMMON: "square"}


def figures(report: MitigationReport) -> list[Figure]:
    """The report's chart: the curve, on the split that was chosen on and on the other; of reweighing none.

    Parameters
    ----------
    report
        A report of ThresholdTuner. The names of the splits are those of its settings.
    """
    found = report.mitigation.thresholds
    if found is None or len(found.curve) < 2:
        return []
    split = str(report.settings.get("split", "train"))
    other = str(report.settings.get("eval_split") or "eval")
    chart = _chart(found, split, other)
    caption = (
        "Each point is the most accurate set of thresholds for one allowed gap. Points to the left decide "
        "the groups more alike, points further down are wrong more often."
    )
    if found.held_out_after is not None:
        caption += f" All were chosen on {split}: {other} tells what they are worth on new examples."
    return [Figure(TITLE, to_svg(chart, label=_label(found, split)), caption)]


def _chart(found: GroupThresholds, split: str, other: str) -> Any:
    rows: list[dict[str, Any]] = [
        {"gap": point.gap, "accuracy": point.accuracy, "on": split, "order": number}
        for number, point in enumerate(found.curve)
    ]
    rows += [
        {"gap": point.held_out_gap, "accuracy": point.held_out_accuracy, "on": other, "order": number}
        for number, point in enumerate(found.curve)
        if point.held_out_gap is not None
    ]
    marks = [_mark(found.before, split, _COMMON), _mark(found.after, split, _CHOSEN)]
    if found.held_out_before is not None and found.held_out_after is not None:
        marks += [_mark(found.held_out_before, other, _COMMON), _mark(found.held_out_after, other, _CHOSEN)]
    splits = list(dict.fromkeys(row["on"] for row in rows))
    gaps = [row["gap"] for row in (*rows, *marks)]
    x = alt.X(
        "gap:Q",
        title="widest gap between two groups",
        axis=alt.Axis(format=".3~f", tickCount=6),
        scale=alt.Scale(domain=[0, 1.05 * max([*gaps, found.max_gap, 1e-6])], nice=False),
    )
    y = alt.Y(
        "accuracy:Q",
        title="accuracy",
        axis=alt.Axis(format=".3f", tickCount=6),
        scale=alt.Scale(zero=False, domain=_accuracies([row["accuracy"] for row in (*rows, *marks)])),
    )
    colour = alt.Color(
        "on:N", title=None, sort=splits, scale=alt.Scale(domain=splits, range=list(PALETTE[: len(splits)]))
    )
    line = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=2)
        .encode(x=x, y=y, color=colour, order="order:Q")
        # On new examples the points are where they are, and a line would only zigzag between them.
        .transform_filter(alt.datum.on == split)
    )
    tried = (
        alt.Chart(alt.Data(values=rows))
        .mark_point(size=22, filled=True, opacity=0.9)
        .encode(x=x, y=y, color=colour)
    )
    kinds = [_COMMON, _CHOSEN]
    points = (
        alt.Chart(alt.Data(values=marks))
        .mark_point(size=130, filled=True, opacity=1, stroke=INK, strokeWidth=1)
        .encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape(
                "kind:N",
                title=None,
                sort=kinds,
                scale=alt.Scale(domain=kinds, range=[_SHAPES[kind] for kind in kinds]),
            ),
        )
    )
    bound = alt.Chart(alt.Data(values=[{"gap": found.max_gap, "word": "allowed"}]))
    rule = bound.mark_rule(strokeDash=[4, 3], color=INK, opacity=0.6).encode(x=x)
    word = bound.mark_text(align="left", baseline="top", dx=4, dy=2, fontSize=11).encode(
        x=x, y=alt.value(0), text="word:N"
    )
    return (
        alt.layer(rule, word, line, tried, points)
        .properties(width=PLOT_WIDTH, height=PLOT_HEIGHT)
        .configure_legend(orient="top", columnPadding=18, symbolSize=90)
    )


def _mark(outcome: Any, on: str, kind: str) -> dict[str, Any]:
    return {"gap": outcome.gap.value, "accuracy": outcome.accuracy.value, "on": on, "kind": kind}


def _accuracies(values: list[float]) -> list[float]:
    """The ends of the axis, with some room: accuracies that hardly differ are not blown up to fill it."""
    low, high = min(values), max(values)
    room = max(0.08 * (high - low), 0.002)
    return [max(0.0, low - room), min(1.0, high + room)]


def _label(found: GroupThresholds, split: str) -> str:
    return (
        f"{TITLE} on {split}: a gap of {found.before.gap.value:.3f} and an accuracy of "
        f"{found.before.accuracy.value:.3f} with one threshold for all, {found.after.gap.value:.3f} and "
        f"{found.after.accuracy.value:.3f} as chosen."
    )
