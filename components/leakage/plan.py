"""What is looked at: which columns make which key, and what a batch is reduced to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa

from tfx_trust.components.errors import UsageError, unknown
from tfx_trust.components.leakage.columns import Batch, Layout
from tfx_trust.components.leakage.config import (
    FEATURES,
    FEATURES_AND_LABEL,
    FEATURES_EXCLUDED,
    LeakageSettings,
)
from tfx_trust.components.leakage.count import Keyed
from tfx_trust.components.leakage.times import Times, seconds

GROUP = "group:"
MOST_LABELS = 1_000
MOST_CLASSES = 20
FEW_ROWS = 20_000

LabelKind = Literal["binary", "classes", "number"]


def columns_wanted(settings: LeakageSettings) -> list[str] | None:
    """Columns to be read; all of them if none."""
    if settings.features is None:
        return None
    named = [*settings.features, settings.label, *settings.set_aside]
    return list(dict.fromkeys([*named, *(name for columns in settings.keys.values() for name in columns)]))


@dataclass(frozen=True)
class Plan:
    """The keys that are made of each example.

    Attributes
    ----------
    settings, layout
        What was asked for, and the columns there are; label, time and groups are plain in it.
    features
        Columns that are compared.
    keys
        Columns by key: overlap keys by their names, entities as ``group:<feature>``.
    """

    settings: LeakageSettings
    layout: Layout
    features: tuple[str, ...]
    keys: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, settings: LeakageSettings, layout: Layout) -> Plan:
        """The plan for some columns.

        Raises
        ------
        UsageError
            If a setting names a column that is not there.
        """
        for role, names in _named(settings).items():
            for name in names:
                if name not in layout.kinds:
                    raise unknown(role, name, layout.names)
        label = settings.label
        chosen = layout.names if settings.features is None else settings.features
        features = tuple(name for name in chosen if name != label)
        if not features:
            raise UsageError(f"no feature besides the label {label!r}: there is nothing to compare")
        keys = {FEATURES_AND_LABEL: (*features, label), FEATURES: features}
        kept = tuple(name for name in features if name not in settings.set_aside)
        if kept and kept != features:
            keys[FEATURES_EXCLUDED] = kept
        keys |= {name: tuple(columns) for name, columns in settings.keys.items()}
        keys |= {f"{GROUP}{name}": (name,) for name in settings.groups}
        plain = tuple(dict.fromkeys([label, *([settings.time] if settings.time else []), *settings.groups]))
        return cls(settings, Layout(layout.kinds, plain), features, keys)

    @property
    def overlap_keys(self) -> dict[str, tuple[str, ...]]:
        """The keys whose overlap is judged against chance."""
        return {name: columns for name, columns in self.keys.items() if not name.startswith(GROUP)}

    @property
    def sampled(self) -> int:
        """Distinct rows of a split to hold: few where only collision probabilities rest on them."""
        settings = self.settings
        return settings.sample if settings.targets or settings.near else min(settings.sample, FEW_ROWS)

    def conflicts(self, key: str) -> bool:
        """Whether equal keys can have different labels."""
        return self.settings.label not in self.keys[key]


def _named(settings: LeakageSettings) -> dict[str, list[str]]:
    named = {
        "label": [settings.label],
        "feature": settings.features or [],
        "column to exclude": settings.exclude,
        "group feature": settings.groups,
        "time feature": [settings.time] if settings.time else [],
        "weight feature": [settings.weight] if settings.weight else [],
    }
    return named | {f"column of key {name!r}": columns for name, columns in settings.keys.items()}


@dataclass(frozen=True)
class Labels:
    """The label's values by term, as far as they are few; parts of the data merge.

    Attributes
    ----------
    values
        Value by term, of at most 1,000 different ones and one more.
    missing
        Examples without a label, by split.
    """

    values: Mapping[int, str | float] = field(default_factory=dict)
    missing: tuple[int, int] = (0, 0)

    def __add__(self, other: Labels) -> Labels:
        both = {**self.values, **other.values}
        kept = dict(sorted(both.items())[: MOST_LABELS + 1])
        return Labels(kept, (self.missing[0] + other.missing[0], self.missing[1] + other.missing[1]))

    @property
    def kind(self) -> LabelKind:
        """Two values are binary, more than twenty numbers a number, all else classes."""
        if len(self.values) == 2:
            return "binary"
        numeric = all(isinstance(value, float) for value in self.values.values())
        return "number" if numeric and len(self.values) > MOST_CLASSES else "classes"

    @property
    def positive(self) -> int:
        """Term of the value that comes last in order: of a binary label, the one that scores are for."""
        return max(self.values, key=lambda term: self.values[term])

    @classmethod
    def of(cls, batch: Batch, label: str, split: int) -> Labels:
        """Of one batch of one split (0 train, 1 eval)."""
        terms = batch.terms[batch.names.index(label), 0]
        found, first = np.unique(terms, return_index=True)
        missing = [0, 0]
        missing[split] = int((terms == 0).sum())
        first, found = first[found != 0][: MOST_LABELS + 1], found[found != 0][: MOST_LABELS + 1]
        values = batch.plain[label].take(pa.array(first)).to_pylist()
        return cls(dict(zip(found.tolist(), map(_value, values), strict=True)), (missing[0], missing[1]))


def _value(value: object) -> str | float:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return float(value) if isinstance(value, (int, float)) else str(value)


@dataclass(frozen=True)
class Reduced:
    """A batch of one split, reduced to what is counted.

    Attributes
    ----------
    split
        0 train, 1 eval.
    keyed
        By key.
    times, labels
        Seen in this batch.
    moments
        float64 of shape ``(rows,)``: the time of each row; none without a time feature.
    """

    split: int
    keyed: Mapping[str, Keyed]
    times: Times
    moments: np.ndarray | None
    labels: Labels


def reduce(batch: Batch, plan: Plan, split: int) -> Reduced:
    """Reduces a batch: from here on no value is known any more, but the time and the score.

    Raises
    ------
    InputError
        If a time cannot be read.
    """
    settings = plan.settings
    labels = batch.terms[batch.names.index(settings.label), 0]
    moments: dict[str, np.ndarray] = {}
    times = Times()
    if settings.time:
        moments["time"] = seconds(batch.plain[settings.time], settings.time, settings.time_format)
        times = Times.of(moments["time"], split)
    scores: dict[str, np.ndarray] = {}
    if batch.scores is not None:
        scores["score"] = batch.scores
        scores["number"] = batch.numbers.get(settings.label, np.full(batch.rows, np.nan))
        # Where the score says no class, whether it is right is not known.
        unknown_ = np.full(batch.rows, -1)
        scores["right"] = (
            unknown_ if batch.predicted is None else (batch.predicted == labels).astype(np.int64)
        )
    keyed = {
        key: Keyed(sums, labels, batch.places, moments if key.startswith(GROUP) else scores)
        for key, sums in _sums(batch, plan).items()
    }
    return Reduced(split, keyed, times, moments.get("time"), Labels.of(batch, settings.label, split))


def _sums(batch: Batch, plan: Plan) -> dict[str, np.ndarray]:
    """The rows' keys. Those that differ from ``features`` in a few columns are made from it."""
    index = {name: number for number, name in enumerate(batch.names)}
    features = batch.key(plan.features)
    sums = {}
    for key, columns in plan.keys.items():
        if key == FEATURES:
            sums[key] = features
        elif key == FEATURES_AND_LABEL:
            sums[key] = features + batch.terms[index[plan.settings.label]]
        elif key == FEATURES_EXCLUDED:
            sums[key] = features - batch.key([name for name in plan.features if name not in columns])
        else:
            sums[key] = batch.key(columns)
    return sums
