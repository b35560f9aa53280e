"""What goes into the pictures of a fairness report: which groups, in which order, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfx_trust.components.fairness.report import Bin, FairnessReport, Gap, Slice, SliceMetrics
from tfx_trust.components.page import fairness as told
from tfx_trust.components.page import words

MOST_FORESTS = 9
"""Pictures of metrics; the tables have them all."""
# Of these pairs the one is 1 less the other: where one is drawn, the other says nothing more.
_MIRRORED = {
    "false_negative_rate": "true_positive_rate",
    "true_positive_rate": "false_negative_rate",
    "true_negative_rate": "false_positive_rate",
    "false_positive_rate": "true_negative_rate",
}
MOST_GROUPS = 40
"""Groups in such a picture."""
MOST_HEAT_ROWS, MOST_HEAT_COLUMNS = 24, 8
MOST_CURVES = 6
"""Pictures of scores against outcomes."""
MOST_PANELS = 15
"""Groups in such a picture."""

# Of the difference between a metric's least and greatest value, on either side.
_MARGIN = 0.04
# Of numbers that are shares.
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
    metric, label_class, kind, bound
        Which metric, of which class, and how it is judged; no bound where it is told only.
    lines
        Headings and groups, from above.
    groups
        How many groups there are, shown or not.
    """

    metric: str
    label_class: str | None
    kind: str
    bound: float | None
    lines: tuple[Line, ...]
    groups: int

    @property
    def judged(self) -> bool:
        """Whether it is judged, not only told."""
        return self.bound is not None

    @property
    def shown(self) -> int:
        """Groups that are shown."""
        return sum(not line.heading for line in self.lines) - 1

    @property
    def metric_words(self) -> str:
        """The metric in words."""
        return told.metric(self.metric, inline=True)

    @property
    def title(self) -> str:
        """The metric, the class, and the kind where it is a ratio."""
        return told.titled(self.metric, self.label_class, self.kind)

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
    """The metrics' pictures: the judged ones first, these by evidence; at most :data:`MOST_FORESTS`."""
    section = report.fairness
    judged = [
        _forest(report, item.metric, item.kind, item.bound, item.label_class) for item in told.judged(section)
    ]
    drawn = {(forest.metric, forest.label_class) for forest in judged}
    others = []
    for label_class, slices in told.by_class(section).items():
        for name in told.columns(slices) if len(slices) > 1 else ():
            if not drawn & {(name, label_class), (_MIRRORED.get(name), label_class)}:
                drawn.add((name, label_class))
                others.append(_forest(report, name, "difference", None, label_class))
    return [*judged, *others][:MOST_FORESTS]


def _forest(
    report: FairnessReport, metric: str, kind: str, bound: float | None, label_class: str | None
) -> Forest:
    section = report.fairness
    slices = [item for item in told.by_class(section).get(label_class, []) if metric in item.metrics]
    gaps = {
        _key(gap.slice): gap
        for gap in section.gaps
        if (gap.metric, gap.kind, gap.label_class) == (metric, kind, label_class)
    }
    enough = report.settings.get("min_count", 1)
    references = {_key(dict(gap.reference)) for gap in gaps.values() if gap.reference != "rest"}
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
                lines.append(Line(told.crossed(family), heading=True))
            lines.append(_line(item, metric, gaps.get(key), enough, is_reference=key in references))
    return Forest(metric, label_class, kind, bound, tuple(lines), len(groups))


def _line(
    item: SliceMetrics, metric: str, gap: Gap | None, enough: float, *, is_reference: bool = False
) -> Line:
    known = item.metrics[metric]
    value, low, high = known.value, known.low, known.high
    doubtful = "info" if told.suffices(known, enough) else "not_run"
    if gap is None:
        return Line(
            told.group(item.slice),
            value=value,
            low=low,
            high=high,
            tone=doubtful,
            word="reference" if is_reference else "",
            count=known.count,
        )
    reference, allowed = gap.reference_value, None
    if gap.tolerance is not None and reference is not None:
        inside = told.allowed(gap)
        assert inside is not None
        allowed = _at(gap, inside[0]), _at(gap, inside[1])
        if metric not in _SIGNED:
            allowed = max(0.0, allowed[0]), min(1.0, allowed[1])
        if gap.low is not None:
            # The interval that is judged, where the reference lies: then the picture says what the verdict says.
            low, high = _at(gap, gap.low), 1.0 if gap.high is None else _at(gap, gap.high)
            if metric not in _SIGNED:
                low, high = max(0.0, low), min(1.0, high)
    tone, word = told.TONES[gap.verdict]
    if gap.tolerance is None:
        tone, word = doubtful, ""
    return Line(
        told.group(item.slice),
        value=value,
        low=low,
        high=high,
        reference=reference,
        allowed=allowed,
        tone=tone,
        word=word,
        gap=told.gap_value(gap),
        count=known.count,
    )


def _at(gap: Gap, distance: float) -> float:
    """The metric that is so far from the reference's."""
    reference = gap.reference_value or 0.0
    return reference + distance if gap.kind == "difference" else reference * distance


def _key(of: Slice) -> _Key:
    return tuple(sorted(of.items()))


def forest_caption(forest: Forest) -> str:
    """What is measured, what is allowed, and what was left out."""
    parts = [told.MEANINGS[forest.metric]]
    if forest.bound is not None:
        parts.append(f"Allowed is {told.tolerance(forest.kind, forest.bound)}.")
    if forest.shown < forest.groups:
        which = "with the strongest evidence" if forest.judged else "of the first sets of features"
        parts.append(
            f"Shown are {forest.shown} of {forest.groups:,} groups, those {which}; the tables have all."
        )
    return " ".join(parts)


def forest_label(forest: Forest) -> str:
    """The picture in a sentence, for those who cannot see it."""
    lines = [line for line in forest.lines if not line.heading and line.value is not None]
    parts = [
        f"{line.name} {told.rate(line.value)}{f' ({line.word})' if line.word else ''}" for line in lines[:8]
    ]
    return f"{forest.title} by group: {', '.join(parts)}{' …' if len(lines) > 8 else ''}."


# Crossed groups


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
        name = told.titled(self.metric, self.label_class, self.kind)
        return f"{name}, by {self.row_feature} and {self.column_feature}"


def heat_maps(report: FairnessReport) -> list[HeatMap]:
    """For each judged metric, the groups of those two features that have the strongest evidence."""
    first: dict[str, tuple[Gap, list[Gap]]] = {}
    crossed = [gap for gap in report.fairness.gaps if gap.tolerance is not None and len(gap.slice) == 2]
    for gap in crossed:
        lead, of = first.setdefault(gap.metric, (gap, []))
        if _family(gap) == _family(lead):
            of.append(gap)
    return [_heat_map(gaps) for _, gaps in first.values()]


def _family(gap: Gap) -> tuple[Any, ...]:
    return (*sorted(gap.slice), gap.label_class, gap.kind)


def _heat_map(gaps: Sequence[Gap]) -> HeatMap:
    features = sorted(gaps[0].slice)
    counts: dict[str, dict[str, int]] = {name: {} for name in features}
    for gap in gaps:
        for name in features:
            value = gap.slice[name]
            counts[name][value] = counts[name].get(value, 0) + gap.slice_count
    down, across = sorted(features, key=lambda name: -len(counts[name]))
    rows, columns = _largest(counts[down], MOST_HEAT_ROWS), _largest(counts[across], MOST_HEAT_COLUMNS)
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
            told.TONES[gap.verdict][0],
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


def _largest(counts: Mapping[str, int], most: int) -> list[str]:
    """The values with the most examples, in order of their names."""
    return sorted(sorted(counts, key=lambda value: (-counts[value], value))[:most])


def heat_caption(heat: HeatMap) -> str:
    """What was left out."""
    if not heat.left_out:
        return ""
    return f"{words.plural(heat.left_out, 'group')} of rarer values found no room; the tables have all."


def heat_label(heat: HeatMap) -> str:
    """The picture in a sentence, for those who cannot see it."""
    parts = [
        f"{heat.rows[cell.row]}, {heat.columns[cell.column]} {told.rate(cell.value)}"
        for cell in heat.cells
        if cell.tone != "not_run"
    ]
    return f"{heat.title}: {'; '.join(parts[:8])}{' …' if len(parts) > 8 else ''}."


# Scores against outcomes


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
    said = "" if error is None or error.value is None else f"off by {told.rate(error.value)}"
    return Panel(told.group(item.slice), item.examples, said, tuple(item.reliability))


def curves_caption(of: Curves) -> str:
    """What was left out."""
    if len(of.panels) == of.groups:
        return ""
    return f"Shown are the {len(of.panels)} largest of {of.groups:,} groups."


def curves_label(of: Curves) -> str:
    """The picture in a sentence, for those who cannot see it."""
    parts = [f"{panel.name} {panel.error or 'unknown'}" for panel in of.panels]
    return f"{of.title}: {', '.join(parts)}."
