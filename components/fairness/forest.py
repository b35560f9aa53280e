"""The groups of a metric beside what they are compared with: a forest plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import altair as alt

from tfx_trust.components.fairness import drawing
from tfx_trust.components.fairness.report import REST, FairnessReport, Gap, Slice, SliceMetrics
from tfx_trust.components.page import fairness as told
from tfx_trust.components.page import fairness_words as said
from tfx_trust.components.page.charts import INK, VERDICT_COLOURS

# Of these pairs the one is 1 less the other: where one is drawn, the other says nothing more.
_MIRRORED = {
    "false_negative_rate": "true_positive_rate",
    "true_positive_rate": "false_negative_rate",
    "true_negative_rate": "false_positive_rate",
    "false_positive_rate": "true_negative_rate",
}
MOST_GROUPS = 40
"""Groups in such a picture."""
PLOT_WIDTH = 420
ROW = 24
LABELS = 230
"""Width of the names of groups."""
# Where the verdict begins, right of the plot.
_WORD = 232
# Of the difference between a metric's least and greatest value, on either side.
_MARGIN = 0.04
# Names up to so many letters fit, whatever the letters.
_LONG = 20
# Metrics that may be below 0.
_SIGNED = ("calibration_in_the_large",)
_Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Line:
    """A line of a forest plot: a heading, or a group.

    Attributes
    ----------
    name
        Values of the group; its features where it is a heading.
    heading
        Whether it is one; nothing else is then set.
    value, low, high
        The group's metric, and the interval that is drawn.
    reference, allowed
        The metric of the reference, and what the tolerance makes of it.
    tone, word, gap, count
        Verdict in signs and in a word, the gap in numbers, the denominator.
    """

    name: str
    heading: bool = False
    value: float | None = None
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    allowed: tuple[float, float] | None = None
    tone: str = "info"
    word: str = ""
    gap: str = ""
    count: int = 0


@dataclass(frozen=True)
class Forest:
    """A metric of all groups, beside their references.

    Attributes
    ----------
    metric, label_class, kind
        Which metric, of which class, and how it is judged.
    allowed
        What is tolerated, in words; empty where it is told only.
    lines
        Headings and groups, from above.
    groups
        How many groups there are, shown or not.
    """

    metric: str
    label_class: str | None
    kind: str
    allowed: str
    lines: tuple[Line, ...]
    groups: int

    @property
    def judged(self) -> bool:
        """Whether it is judged, not only told."""
        return bool(self.allowed)

    @property
    def shown(self) -> int:
        """Groups that are shown."""
        return sum(not line.heading for line in self.lines) - 1

    @property
    def metric_words(self) -> str:
        """The metric in words."""
        return said.metric(self.metric, inline=True)

    @property
    def title(self) -> str:
        """The metric, the class, and the kind where it is a ratio."""
        return said.titled(self.metric, self.label_class, self.kind)

    @property
    def domain(self) -> tuple[float, float]:
        """Ends of the axis: all that is known well enough, and a margin."""
        lines = [line for line in self.lines if not line.heading]
        points = [point for line in lines for point in (line.value, line.reference, *(line.allowed or ()))]
        points += [point for line in lines if line.tone != "not_run" for point in (line.low, line.high)]
        known = [point for point in points if point is not None] or [0.0, 1.0]
        least, most = min(known), max(known)
        margin = _MARGIN * (most - least) or _MARGIN
        return least - margin, most + margin


def forests(report: FairnessReport) -> list[Forest]:
    """The metrics' pictures: the judged ones first, these by evidence; not more than a page bears."""
    section = report.fairness
    bounds: dict[tuple[str, str, str | None], list[told.Judged]] = {}
    for item in told.judged(section):
        bounds.setdefault((item.metric, item.kind, item.label_class), []).append(item)
    judged = [
        _forest(report, metric, kind, label_class, _allowed(items, divided=told.divided(section)))
        for (metric, kind, label_class), items in bounds.items()
    ]
    drawn = {(forest.metric, forest.label_class) for forest in judged}
    others = []
    for label_class, slices in told.by_class(section).items():
        for name in told.columns(slices) if len(slices) > 1 else ():
            if not drawn & {(name, label_class), (_MIRRORED.get(name), label_class)}:
                drawn.add((name, label_class))
                others.append(_forest(report, name, "difference", label_class, ""))
    return [*judged, *others][: told.MOST_FORESTS]


def _allowed(items: Sequence[told.Judged], *, divided: bool) -> str:
    """What is tolerated, and of which groups where it is not the same of all."""
    if not divided:
        return said.tolerance(items[0].kind, items[0].bound)
    return "; ".join(
        f"{said.tolerance(item.kind, item.bound)} by {', '.join(item.families)}" for item in items
    )


def _forest(report: FairnessReport, metric: str, kind: str, label_class: str | None, allowed: str) -> Forest:
    section = report.fairness
    slices = [item for item in told.by_class(section).get(label_class, []) if metric in item.metrics]
    gaps = {
        _key(gap.slice): gap
        for gap in section.gaps
        if (gap.metric, gap.kind, gap.label_class) == (metric, kind, label_class)
    }
    enough = report.settings.get("min_count", 1)
    references = {_key(dict(gap.reference)) for gap in gaps.values() if gap.reference != REST}
    rank = {key: number for number, key in enumerate(gaps)}
    groups = [item for item in slices if item.slice]
    kept = sorted(
        groups,
        key=lambda item: rank.get(_key(item.slice), -1 if _key(item.slice) in references else len(rank)),
    )
    names = {_key(item.slice) for item in kept[:MOST_GROUPS]}
    lines = [_line(item, metric, None, enough) for item in slices if not item.slice]
    family: list[str] = []
    for item in groups:
        key = _key(item.slice)
        if key in names:
            if list(item.slice) != family:
                family = list(item.slice)
                lines.append(Line(said.crossed(family), heading=True))
            lines.append(_line(item, metric, gaps.get(key), enough, is_reference=key in references))
    return Forest(metric, label_class, kind, allowed, tuple(lines), len(groups))


def _line(
    item: SliceMetrics, metric: str, gap: Gap | None, enough: float, *, is_reference: bool = False
) -> Line:
    known = item.metrics[metric]
    line = Line(
        said.group(item.slice),
        value=known.value,
        low=known.low,
        high=known.high,
        tone="info" if told.suffices(known, enough) else "not_run",
        word="reference" if is_reference else "",
        count=known.count,
    )
    if gap is None:
        return line
    line = replace(line, reference=gap.reference_value, gap=said.gap_value(gap))
    return line if gap.tolerance is None else _judged(line, gap)


def _judged(line: Line, gap: Gap) -> Line:
    """The line of a group with its verdict, and what that rests on."""
    tone, word = said.TONES[gap.verdict]
    line = replace(line, tone=tone, word=word)
    inside = said.allowed(gap)
    if inside is None or gap.reference_value is None:
        return line
    least, most = (_at(gap, distance) for distance in inside)
    line = replace(line, allowed=(least, most))
    if gap.low is None:
        return line
    # The interval that is judged, laid where the reference is: the picture then says what the verdict says.
    return replace(line, low=_at(gap, gap.low), high=1.0 if gap.high is None else _at(gap, gap.high))


def _at(gap: Gap, distance: float) -> float:
    """The metric that is so far from the reference's; a share stays one."""
    reference = gap.reference_value or 0.0
    place = reference + distance if gap.kind == "difference" else reference * distance
    return place if gap.metric in _SIGNED else min(max(place, 0.0), 1.0)


def _key(of: Slice) -> _Key:
    return tuple(sorted(of.items()))


def caption(forest: Forest) -> str:
    """What is measured, what is allowed, and what was left out."""
    parts = [said.MEANINGS[forest.metric]]
    if forest.allowed:
        parts.append(f"Allowed is {forest.allowed}.")
    if forest.shown < forest.groups:
        which = "with the strongest evidence" if forest.judged else "of the first sets of features"
        parts.append(
            f"Shown are {forest.shown} of {forest.groups:,} groups, those {which}; the tables have all."
        )
    return " ".join(parts)


def label(forest: Forest) -> str:
    """The picture in a sentence, for those who cannot see it."""
    lines = [line for line in forest.lines if not line.heading and line.value is not None]
    parts = [
        f"{line.name} {said.rate(line.value)}{f' ({line.word})' if line.word else ''}" for line in lines[:8]
    ]
    return f"{forest.title} by group: {', '.join(parts)}{' …' if len(lines) > 8 else ''}."


def chart(forest: Forest) -> Any:
    """The forest plot."""
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
            "colour": drawing.COLOURS[line.tone],
            "shape": drawing.SHAPES[line.tone],
            "word": bool(line.word) and line.tone != "info",
        }
        for place, line in lines
        if not line.heading
    ]

    def having(field: str) -> Any:
        return drawing.layer([row for row in rows if row[field] is not None])

    y, colour = drawing.down("y", height), alt.Color("colour:N", scale=None, legend=None)
    shape = alt.Shape("shape:N", scale=None, legend=None)
    layers = [
        drawing.layer(rows)
        .mark_rule(strokeOpacity=0.1, color=INK)
        .encode(x=alt.value(0), x2=alt.value(PLOT_WIDTH), y=y),
        having("least")
        .mark_rect(color=VERDICT_COLOURS["pass"], opacity=0.2)
        .encode(x=alt.X("least:Q", **x), x2="most:Q", y=drawing.down("top", height), y2="bottom:Q"),
        having("reference")
        .mark_rule(strokeWidth=1.5, color=INK)
        .encode(x=alt.X("reference:Q", **x), y=drawing.down("top", height), y2="bottom:Q"),
        having("low")
        .mark_rule(strokeWidth=2, opacity=0.75)
        .encode(x=alt.X("low:Q", **x), x2="high:Q", y=y, color=colour),
        having("value")
        .mark_point(size=75, filled=True, opacity=1)
        .encode(x=alt.X("value:Q", **x), y=y, color=colour, shape=shape),
        drawing.layer([row for row in rows if row["word"]])
        .mark_point(size=60, filled=True, opacity=1)
        .encode(x=alt.value(PLOT_WIDTH + _WORD - 12), y=y, color=colour, shape=shape),
        *_forest_texts(forest),
    ]
    chart = alt.layer(*layers).properties(width=PLOT_WIDTH, height=ROW * height)
    return chart.resolve_scale(shape="independent", color="independent").configure(aria=False)


def _forest_texts(forest: Forest) -> list[Any]:
    """The names of the groups, and their numbers in columns: value, gap, examples, verdict."""
    compared = any(line.gap for line in forest.lines)
    value, gap, count, word = (PLOT_WIDTH + place for place in (62, 128, 196 if compared else 130, _WORD))
    right: list[dict[str, Any]] = []
    left: list[dict[str, Any]] = []
    headings: list[dict[str, Any]] = []
    long: list[dict[str, Any]] = []

    def say(where: list[dict[str, Any]], text: str, place: float, at: float) -> None:
        if text:
            where.append({"text": text, "x": place, "y": at})

    for place, line in enumerate(forest.lines):
        if line.heading:
            say(headings, line.name, -LABELS, place + 0.5)
            continue
        say(long if len(line.name) > _LONG else right, line.name, -14, place + 0.5)
        say(right, said.rate(line.value), value, place + 0.5)
        say(right, line.gap, gap, place + 0.5)
        say(right, f"{line.count:,}", count, place + 0.5)
        say(left, line.word, word, place + 0.5)
    for name, at in (("value", value), ("gap", gap if compared else None), ("examples", count)):
        if at is not None:
            say(right, name, at, -0.4)
    if forest.judged:
        say(right, "verdict", word + 38, -0.4)
    height = len(forest.lines)
    return [
        drawing.texts(right, height, align="right"),
        # To cut a text at its width costs more than all the rest of a picture, so what is short is not asked.
        drawing.texts(long, height, align="right", limit=LABELS - 20),
        drawing.texts(left, height, align="left"),
        drawing.texts(headings, height, align="left", fontWeight=600, limit=LABELS + PLOT_WIDTH),
    ]
