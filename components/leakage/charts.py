"""The pictures of a leakage report: overlap against chance, and features by what they tell of the label."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from tfx_trust.components.leakage.report import FeatureLeakage, LeakageReport, Overlap
from tfx_trust.components.page import leakage as told
from tfx_trust.components.page import words
from tfx_trust.components.page.charts import INK, PALETTE, VERDICT_COLOURS, Figure, to_svg
from tfx_trust.components.report import Verdict

PLOT_WIDTH = 500
MOST_FEATURES = 25
"""Features in the chart; the page's table has them all."""
OBSERVED, RANDOM, INDEPENDENT = "found", "a random split gives", "independent columns give, at most"
_SHAPES = {OBSERVED: "circle", RANDOM: "M0,-1.9V1.9", INDEPENDENT: "M0,-1.6L1.6,0L0,1.6L-1.6,0Z"}
_COLOURS = {OBSERVED: PALETTE[0], RANDOM: INK, INDEPENDENT: PALETTE[1]}
_FILLS = {OBSERVED: PALETTE[0], RANDOM: "transparent", INDEPENDENT: "transparent"}
# Numbers that differ by more than this are set on a scale of magnitudes.
_MAGNITUDES = 20
_VERDICT_SHAPES = {
    Verdict.PASS: "circle",
    Verdict.WARN: "triangle-up",
    Verdict.INCONCLUSIVE: "diamond",
    Verdict.NOT_RUN: "cross",
    Verdict.FAIL: "square",
}


def figures(report: LeakageReport) -> list[Figure]:
    """The report's charts: overlap by key, features by held-out AUC; of what was looked at.

    Parameters
    ----------
    report
        A leakage report. The bounds of the features are those of its settings.
    """
    section = report.leakage
    train, evaluation = told.splits(report)
    drawn = []
    if section.overlap:
        examples = section.examples[evaluation]
        drawn.append(
            Figure(
                told.OVERLAP_FIGURE,
                to_svg(_overlap_chart(section.overlap, examples), label=_overlap_label(section.overlap)),
                f"Of {examples:,} {evaluation} examples, by the columns that are compared with {train}. The "
                "band holds about 19 of 20 random splits.",
            )
        )
    if section.features:
        shown = section.features[:MOST_FEATURES]
        bounds = {
            word: float(report.settings[name])
            for word, name in (("warn", "auc_warn"), ("fail", "auc_fail"))
            if name in report.settings
        }
        drawn.append(
            Figure(
                told.FEATURES_FIGURE,
                to_svg(_features_chart(shown, bounds), label=_features_label(shown)),
                _features_caption(shown, section.features),
            )
        )
    return drawn


def _overlap_chart(overlap: Sequence[Overlap], examples: int) -> Any:
    marks: list[dict[str, Any]] = [
        {"key": told.key(item.key), "what": what, "count": count}
        for item in overlap
        for what, count in (
            (INDEPENDENT, item.expected_independent),
            (RANDOM, item.expected_random_split),
            (OBSERVED, item.eval_in_train),
        )
        if count is not None
    ]
    bands: list[dict[str, Any]] = [
        {
            "key": told.key(item.key),
            "low": max(0.0, item.expected_random_split - 2 * item.random_split_sd),
            "high": item.expected_random_split + 2 * item.random_split_sd,
        }
        for item in overlap
    ]
    shares = [
        {
            "key": told.key(item.key),
            "found": f"{item.eval_in_train:,} · {told.part_of(item.eval_in_train, examples)}",
        }
        for item in overlap
    ]
    x = _counts([mark["count"] for mark in marks] + [band["high"] for band in bands])
    y = alt.Y(
        "key:N", sort=None, title=None, axis=alt.Axis(grid=True, ticks=False, domain=False, labelPadding=12)
    )
    order = [OBSERVED, RANDOM, INDEPENDENT]
    known = [what for what in order if any(mark["what"] == what for mark in marks)]

    def by(channel: Any, values: dict[str, str]) -> Any:
        return channel(
            "what:N", title=None, sort=known, scale=alt.Scale(domain=known, range=[values[w] for w in known])
        )

    band = (
        alt.Chart(alt.Data(values=bands))
        .mark_bar(height=16, color=PALETTE[6], opacity=0.4)
        .encode(x=alt.X("low:Q", **x), x2="high:Q", y=y)
    )
    points = (
        alt.Chart(alt.Data(values=marks))
        .mark_point(size=90, strokeWidth=2, opacity=1)
        .encode(
            x=alt.X("count:Q", **x),
            y=y,
            shape=by(alt.Shape, _SHAPES),
            stroke=by(alt.Stroke, _COLOURS),
            fill=by(alt.Fill, _FILLS),
        )
    )
    text = (
        alt.Chart(alt.Data(values=shares))
        .mark_text(align="left", fontWeight=600)
        .encode(x=alt.value(PLOT_WIDTH + 14), y=y, text="found:N")
    )
    layers = alt.layer(band, points, text).properties(width=PLOT_WIDTH, height=alt.Step(34))
    return layers.configure_legend(
        orient="top", labelLimit=0, symbolSize=90, symbolStrokeWidth=2, columnPadding=18
    )


def _counts(values: Sequence[float]) -> dict[str, Any]:
    """The axis of numbers of examples.

    Where they differ by magnitudes it is linear up to 1 and logarithmic beyond (``symlog``), so that
    nothing at all has a place, too.
    """
    most = max(values)
    least = min((value for value in values if value > 0), default=most)
    if most <= max(_MAGNITUDES * least, 10):
        step = _step(most)
        ticks = [step * number for number in range(math.ceil(most / step) + 1)]
        scale = alt.Scale(domain=[0, max(ticks[-1], step)], nice=False)
    else:
        ticks = [0, *(10**power for power in range(math.floor(math.log10(most)) + 1))]
        scale = alt.Scale(type="symlog", constant=1, domain=[0, 1.15 * most], nice=False)
    return {"scale": scale, "axis": alt.Axis(format=",d", values=ticks), "title": "examples"}


def _step(most: float) -> int:
    """A whole step of 1, 2 or 5 times a power of ten, with at most five of them up to `most`."""
    steps = (number * 10**power for power in itertools.count() for number in (1, 2, 5))
    return next(step for step in steps if 5 * step >= most)


def _overlap_label(overlap: Sequence[Overlap]) -> str:
    parts = [
        f"{told.key(item.key)}: {item.eval_in_train:,}, {told.surely(item.expected_random_split)} in a "
        "random split"
        for item in overlap
    ]
    return f"{told.OVERLAP_FIGURE}. {'; '.join(parts)}."


def _features_chart(features: Sequence[FeatureLeakage], bounds: dict[str, float]) -> Any:
    rows: list[dict[str, Any]] = [
        {
            "name": item.name,
            "auc": item.auc,
            "low": item.auc if item.auc_estimate.low is None else item.auc_estimate.low,
            "high": item.auc if item.auc_estimate.high is None else item.auc_estimate.high,
            "verdict": words.VERDICTS[item.verdict],
        }
        for item in features
    ]
    present = [verdict for verdict in reversed(Verdict) if any(item.verdict is verdict for item in features)]
    domain = [words.VERDICTS[verdict] for verdict in present]
    least = math.floor(20 * min([0.5, *(row["low"] for row in rows)])) / 20
    x = {"scale": alt.Scale(domain=[least, 1], nice=False), "title": "AUC on held-out examples"}
    y = alt.Y("name:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=180))

    def by(channel: Any, values: list[str]) -> Any:
        return channel("verdict:N", title=None, sort=domain, scale=alt.Scale(domain=domain, range=values))

    colours = [VERDICT_COLOURS[verdict.value] for verdict in present]
    data = alt.Data(values=rows)
    intervals = (
        alt.Chart(data)
        .mark_rule(strokeWidth=2, opacity=0.55)
        .encode(x=alt.X("low:Q", **x), x2="high:Q", y=y, color=by(alt.Color, colours))
    )
    points = (
        alt.Chart(data)
        .mark_point(size=70, filled=True, opacity=1)
        .encode(
            x=alt.X("auc:Q", **x),
            y=y,
            shape=by(alt.Shape, [_VERDICT_SHAPES[verdict] for verdict in present]),
            color=by(alt.Color, colours),
        )
    )
    layers = [*_bounds(bounds, x), intervals, points]
    return (
        alt.layer(*layers)
        .properties(width=PLOT_WIDTH, height=alt.Step(22))
        .configure_legend(orient="top", symbolSize=70, symbolOpacity=1, columnPadding=18)
    )


def _bounds(bounds: dict[str, float], x: dict[str, Any]) -> list[Any]:
    """A line for each bound, its word above the plot: to the left of the lower, to the right of the upper."""
    drawn = []
    for word, bound in bounds.items():
        at = alt.Chart(alt.Data(values=[{"bound": bound, "word": f"{word} ≥ {bound:g}"}]))
        rule = at.mark_rule(strokeDash=[4, 3], strokeWidth=1.25, color=VERDICT_COLOURS[word])
        text = at.mark_text(
            align="right" if word == "warn" else "left", baseline="bottom", dx=0, dy=-4, fontSize=11
        )
        drawn += [
            rule.encode(x=alt.X("bound:Q", **x)),
            text.encode(x=alt.X("bound:Q", **x), y=alt.value(0), text="word:N"),
        ]
    return drawn


def _features_caption(shown: Sequence[FeatureLeakage], features: Sequence[FeatureLeakage]) -> str:
    which = (
        f"The {len(shown)} most telling of {len(features)} features. " if len(shown) < len(features) else ""
    )
    return (
        f"{which}0.5 is a guess, 1 gives the label away. The lines are intervals that hold for all features "
        "together."
    )


def _features_label(shown: Sequence[FeatureLeakage]) -> str:
    parts = [f"{item.name} {item.auc:.3f}" for item in shown[:5]]
    return (
        f"{told.FEATURES_FIGURE}, as AUC on held-out examples: "
        f"{', '.join(parts)}{' …' if len(shown) > 5 else ''}."
    )
