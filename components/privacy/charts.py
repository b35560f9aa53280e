"""The pictures of a privacy report: epsilon over the steps, quality by epsilon, the budget."""

from __future__ import annotations

from typing import Any

import altair as alt

from tfx_trust.components.page.charts import INK, PALETTE, Figure, to_svg
from tfx_trust.components.page.privacy import CURVE_FIGURE, LEDGER_FIGURE, TRADEOFF_FIGURE, epsilon
from tfx_trust.components.privacy.config import TradeoffPoint
from tfx_trust.components.privacy.report import Ledger, PrivacyReport, PrivacySection

WIDTH, HEIGHT = 400, 220
_NAMES = {"auc": "AUC", "accuracy": "accuracy"}


def figures(report: PrivacyReport) -> list[Figure]:
    """The report's charts, as far as there is something to draw."""
    section = report.privacy
    drawn: list[Figure] = []
    if len(section.curve) > 1:
        drawn.append(_curve(section))
    if section.tradeoff:
        drawn.append(_tradeoff(section))
    if section.ledger is not None and section.ledger.budget and section.ledger.total is not None:
        drawn.append(_budget(section.ledger))
    return drawn


def _curve(section: PrivacySection) -> Figure:
    rows = [{"step": point.step, "epsilon": point.epsilon} for point in section.curve]
    x = alt.X("step:Q", title="steps", axis=alt.Axis(tickCount=6))
    y = alt.Y("epsilon:Q", title="epsilon", scale=alt.Scale(zero=True))
    line = alt.Chart(alt.Data(values=rows)).mark_line(point=True, strokeWidth=2).encode(x=x, y=y)
    chart: Any = line
    target = section.guarantee.target
    if target is not None:
        asked = alt.Chart(alt.Data(values=[{"epsilon": target, "word": "asked for"}]))
        chart = alt.layer(
            line,
            asked.mark_rule(strokeDash=[4, 3], color=INK, opacity=0.6).encode(y=y),
            asked.mark_text(align="left", baseline="bottom", dx=4, dy=-3, fontSize=11).encode(
                x=alt.value(0), y=y, text="word:N"
            ),
        )
    last = section.curve[-1]
    return Figure(
        CURVE_FIGURE,
        to_svg(
            chart.properties(width=WIDTH, height=HEIGHT),
            label=f"{CURVE_FIGURE}: {epsilon(last.epsilon)} after {last.step} steps.",
        ),
        "What was spent after each part of the training. The first steps cost most; stopping early saves "
        "less than it seems.",
    )


def _tradeoff(section: PrivacySection) -> Figure:
    metrics = list(dict.fromkeys(point.metric for point in section.tradeoff))
    panels = [
        _panel([point for point in section.tradeoff if point.metric == name], section.guarantee.epsilon)
        for name in metrics
    ]
    rows = len({point.epsilon for point in section.tradeoff})
    trainings = max(point.count for point in section.tradeoff)
    chart = alt.hconcat(*panels, spacing=24)
    return Figure(
        TRADEOFF_FIGURE,
        to_svg(chart, label=f"{TRADEOFF_FIGURE}: {', '.join(metrics)} at {rows} values of epsilon."),
        f"Measured beforehand, {trainings} trainings at each epsilon: their mean, smallest and greatest. The "
        "dashed line is the same without privacy, the upright one this model’s epsilon.",
    )


def _panel(points: list[TradeoffPoint], marked: float | None) -> Any:
    name = _NAMES.get(points[0].metric, points[0].metric)
    private = [
        {"epsilon": point.epsilon, "mean": point.mean, "low": point.low, "high": point.high}
        for point in points
        if point.epsilon is not None
    ]
    plain = [{"mean": point.mean} for point in points if point.epsilon is None]
    values = [value for point in points for value in (point.low, point.high)]
    room = max(0.1 * (max(values) - min(values)), 0.002)
    scale = alt.Scale(zero=False, domain=[min(values) - room, max(values) + room])
    ticks = [row["epsilon"] for row in private]
    marks = [*ticks, *([marked] if marked is not None else [])]
    span = alt.Scale(type="log", domain=[min(marks) / 1.3, max(marks) * 1.3], nice=False)
    x = alt.X("epsilon:Q", title="epsilon", scale=span, axis=alt.Axis(values=ticks, format="~g"))
    y = alt.Y("mean:Q", title=name, scale=scale, axis=alt.Axis(format=".3f", tickCount=5))
    base = alt.Chart(alt.Data(values=private))
    layers = [
        base.mark_rule(strokeWidth=2, color=PALETTE[0]).encode(
            x=x, y=alt.Y("low:Q", scale=scale), y2="high:Q"
        ),
        base.mark_line(color=PALETTE[0], strokeWidth=2).encode(x=x, y=y),
        base.mark_point(filled=True, size=45, color=PALETTE[0], opacity=1).encode(x=x, y=y),
    ]
    if plain:
        layers.append(
            alt.Chart(alt.Data(values=plain)).mark_rule(strokeDash=[4, 3], color=INK, opacity=0.6).encode(y=y)
        )
    if marked is not None:
        here = alt.Chart(alt.Data(values=[{"epsilon": marked}]))
        layers.append(here.mark_rule(color=PALETTE[1], strokeWidth=1.5).encode(x=x))
    return alt.layer(*layers).properties(width=190, height=HEIGHT)


def _budget(ledger: Ledger) -> Figure:
    before, total, budget = ledger.total_before or 0.0, ledger.total, ledger.budget
    assert total is not None
    assert budget is not None
    parts = [("earlier trainings", 0.0, before), ("this one", before, max(total, before))]
    if total < budget:
        parts.append(("left", total, budget))
    names = [name for name, _, _ in parts]
    colours = {"earlier trainings": PALETTE[0], "this one": PALETTE[1], "left": PALETTE[6]}
    rows = [
        {"part": name, "from": low, "to": high, "row": "spent"} for name, low, high in parts if high > low
    ]
    end = max(total, budget)
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(height=22)
        .encode(
            x=alt.X("from:Q", title="epsilon", scale=alt.Scale(domain=[0, end], nice=False)),
            x2="to:Q",
            y=alt.Y("row:N", title=None, axis=None),
            color=alt.Color(
                "part:N",
                title=None,
                sort=names,
                scale=alt.Scale(domain=names, range=[colours[name] for name in names]),
            ),
            opacity=alt.condition(alt.datum.part == "left", alt.value(0.35), alt.value(1)),
        )
    )
    limit = alt.Chart(alt.Data(values=[{"budget": budget}])).mark_rule(color=INK, strokeWidth=2)
    chart = alt.layer(bars, limit.encode(x=alt.X("budget:Q")))
    return Figure(
        LEDGER_FIGURE,
        to_svg(
            chart.properties(width=560, height=40).configure_legend(orient="top", columnPadding=18),
            label=f"{LEDGER_FIGURE}: {epsilon(total)} of {epsilon(budget)}, {epsilon(before)} of it before.",
        ),
        "Composed, not added: several trainings cost less than the sum of their epsilons. The upright "
        "line is the budget.",
    )
