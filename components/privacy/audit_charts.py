"""The pictures of an audit: ROC curves on logarithmic axes beside what the claim allows, and slices."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np

from tfx_trust.components.page.audit import ATTACKS, ROC_FIGURE, SLICES_FIGURE, WORDS, slice_name
from tfx_trust.components.page.charts import INK, PALETTE, VERDICT_COLOURS, Figure, to_svg
from tfx_trust.components.privacy import roc
from tfx_trust.components.privacy.report import AuditReport, AuditSection, SliceExposure

WIDTH, HEIGHT, ROW = 440, 340, 24
MOST_SLICES = 40


def figures(report: AuditReport) -> list[Figure]:
    """The report's charts, as far as there is something to draw."""
    section = report.audit
    drawn: list[Figure] = []
    if section.attacks:
        drawn.append(_roc(section))
    known = [item for item in section.slices if item.auc is not None][:MOST_SLICES]
    if known:
        drawn.append(_slices(known, float(report.settings.get("max_auc", 0.6)), section))
    return drawn


def _roc(section: AuditSection) -> Figure:
    smallest = 10 ** math.floor(math.log10(max(1 / max(section.others, 10), 1e-5)))
    names = [ATTACKS[attack.name] for attack in section.attacks]
    rows: list[dict[str, Any]] = [
        {"fpr": point.false_positive_rate, "tpr": point.true_positive_rate, "attack": ATTACKS[attack.name]}
        for attack in section.attacks
        for point in attack.roc
        if point.false_positive_rate >= smallest and point.true_positive_rate >= smallest
    ]
    grid = np.geomspace(smallest, 1, 80)
    scale = alt.Scale(type="log", domain=[smallest, 1], clamp=True, nice=False)
    ticks = [10.0**power for power in range(round(math.log10(smallest)), 1)]
    axis = alt.Axis(values=ticks, format="~g")
    x = alt.X("fpr:Q", title="others who are taken for members (false positive rate)", scale=scale, axis=axis)
    y = alt.Y("tpr:Q", title="members who are found (true positive rate)", scale=scale, axis=axis)
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=2, interpolate="step-after")
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "attack:N",
                title=None,
                sort=names,
                scale=alt.Scale(domain=names, range=list(PALETTE[: len(names)])),
            ),
        )
    )
    chance = [{"fpr": float(rate), "tpr": float(rate)} for rate in (smallest, 1)]
    layers = [
        alt.Chart(alt.Data(values=chance)).mark_line(color=INK, opacity=0.45, strokeWidth=1).encode(x=x, y=y)
    ]
    caption = (
        "Both axes are logarithmic: what counts is how many are found while next to nobody is wrongly taken "
        "for a member. The thin line is a coin’s toss"
    )
    if section.claim is not None:
        most = roc.allowed(grid, section.claim)
        edge = [{"fpr": float(a), "tpr": float(b)} for a, b in zip(grid, most, strict=True)]
        bound = alt.Chart(alt.Data(values=edge)).mark_line(color=INK, strokeDash=[5, 3], strokeWidth=1.5)
        layers.append(bound.encode(x=x, y=y))
        caption += ", the dashed one the most that the claimed guarantee allows any attack"
    chart = alt.layer(*layers, lines).properties(width=WIDTH, height=HEIGHT)
    told = ", ".join(f"{ATTACKS[attack.name]} {attack.auc.value:.3f}" for attack in section.attacks)
    return Figure(
        ROC_FIGURE,
        to_svg(chart.configure_legend(orient="top", columnPadding=18), label=f"{ROC_FIGURE}: AUC {told}."),
        f"{caption}.",
    )


def _slices(slices: list[SliceExposure], limit: float, section: AuditSection) -> Figure:
    rows: list[dict[str, Any]] = []
    for item in slices:
        assert item.auc is not None
        low = item.auc.value if item.auc.low is None else item.auc.low
        high = item.auc.value if item.auc.high is None else item.auc.high
        rows.append(
            {
                "slice": slice_name(item.slice),
                "auc": item.auc.value,
                "low": low,
                "high": high,
                "word": WORDS[item.verdict],
                "verdict": item.verdict.value,
            }
        )
    names = [row["slice"] for row in rows]
    ends = [value for row in rows for value in (row["low"], row["high"])]
    domain = [min(0.48, *ends) - 0.005, max(limit, *ends) + 0.005]
    x = alt.X("auc:Q", title="AUC of the attack", scale=alt.Scale(domain=domain, nice=False))
    y = alt.Y("slice:N", title=None, sort=names)
    tones = sorted({row["verdict"] for row in rows})
    colour = alt.Color(
        "verdict:N",
        legend=None,
        scale=alt.Scale(domain=tones, range=[VERDICT_COLOURS[tone] for tone in tones]),
    )
    base = alt.Chart(alt.Data(values=rows))
    bounds = alt.Chart(alt.Data(values=[{"auc": 0.5, "word": "chance"}, {"auc": limit, "word": "limit"}]))
    chart = alt.layer(
        bounds.mark_rule(strokeDash=[4, 3], color=INK, opacity=0.6).encode(x=x),
        bounds.mark_text(align="center", baseline="bottom", dy=-4, fontSize=11).encode(
            x=x, y=alt.value(0), text="word:N"
        ),
        base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q"), x2="high:Q", y=y, color=colour),
        base.mark_point(filled=True, size=55, opacity=1).encode(x=x, y=y, color=colour),
        base.mark_text(align="left", dx=8, fontSize=11).encode(
            x=alt.value(WIDTH), y=y, text="word:N", color=colour
        ),
    )
    return Figure(
        SLICES_FIGURE,
        to_svg(
            chart.properties(width=WIDTH, height=ROW * len(rows)),
            label=f"{SLICES_FIGURE}: {names[0]} is exposed most, with an AUC of {rows[0]['auc']:.3f}.",
        ),
        f"The attack by {ATTACKS[slices[0].attack].lower()} within each slice, with "
        f"{100 * section.level:g} % intervals.",
    )
