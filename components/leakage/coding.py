"""The label as classes and features as bins: what statistics of features and label start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.plan import MOST_CLASSES, LabelKind
from tfx_trust.components.leakage.sample import Sample

LABEL_BINS = 5
# Rows whose values are tried first: most columns have few, and these show nearly all of them.
_FIRST_ROWS = 4096
_FEW = 256


@dataclass(frozen=True)
class Side:
    """The labelled rows of a split; all arrays are of shape ``(rows,)``.

    Attributes
    ----------
    sample, rows
        Where they are from: int64 indices of the sample's rows, ascending.
    label
        Class of each, from 0.
    classes
        Number of classes, over both splits.
    count
        How many examples each stands for.
    mass, square
        Sums over these examples of their weights, and of the squares. Weights are scaled to be 1 on
        average, so that `mass` and `count` have one total.
    """

    sample: Sample
    rows: np.ndarray
    label: np.ndarray
    classes: int
    count: np.ndarray
    mass: np.ndarray
    square: np.ndarray

    def first(self, rows: int) -> Side:
        """Those among the first rows of the sample, which are a sample of it."""
        end = int(np.searchsorted(self.rows, rows))
        arrays = {name: getattr(self, name)[:end] for name in ("rows", "label", "count", "mass", "square")}
        return replace(self, **arrays)

    def terms(self, name: str) -> np.ndarray:
        """Terms of a column, uint64."""
        return self._labelled(self.sample.column(name))

    def numbers(self, name: str) -> np.ndarray:
        """Numbers of a numeric column, float64; NaN where there is not exactly one."""
        return self._labelled(self.sample.numbers[name])

    def _labelled(self, values: np.ndarray) -> np.ndarray:
        # Without a gap, which is the rule, no copy is needed.
        gapless = len(self.rows) == 0 or self.rows[-1] == len(self.rows) - 1
        return values[: len(self.rows)] if gapless else values[self.rows]

    def table(self, bins: np.ndarray, number: int, of: np.ndarray) -> np.ndarray:
        """Sums of `of` by bin and class, of shape ``(number, classes)``."""
        flat = np.bincount(bins * self.classes + self.label, of, number * self.classes)
        return flat.reshape(number, self.classes)

    @property
    def examples(self) -> int:
        """Number of examples."""
        return int(self.count.sum())

    @cached_property
    def masses(self) -> np.ndarray:
        """Mass of each class."""
        sums: np.ndarray = np.bincount(self.label, self.mass, self.classes)
        return sums

    @property
    def outside_most_frequent(self) -> int:
        """Examples outside of the most frequent class: of a binary label, those of the rarer one."""
        examples = np.bincount(self.label, self.count, self.classes)
        return int(examples.sum() - examples.max())


@dataclass(frozen=True)
class Labelled:
    """Both splits with the label as classes.

    Attributes
    ----------
    kind
        Of the label.
    train, evaluation
        The splits.
    merged
        Whether the label has so many classes that the rare ones were taken as one.
    """

    kind: LabelKind
    train: Side
    evaluation: Side
    merged: bool

    @classmethod
    def of(cls, train: Sample, evaluation: Sample, settings: LeakageSettings) -> Labelled:
        """The labelled rows of two samples.

        Raises
        ------
        InputError
            If no row of a split has a label, or a weight is missing, negative or infinite, or all are 0.
        UsageError
            If the weight is text.
        """
        label = settings.label
        samples = (train, evaluation)
        kind = label_kind(train, evaluation, label)
        merged = False
        if kind == "number":
            codes = _number_classes(train.numbers[label], evaluation.numbers[label])
        else:
            codes, merged = _value_classes(train.column(label), evaluation.column(label), train.count)
        classes = 1 + max(int(code.max(initial=-1)) for code in codes)
        here, there = (
            _side(sample, code, classes, settings, split)
            for sample, code, split in zip(samples, codes, settings.splits, strict=True)
        )
        return cls(kind, here, there, merged)


def label_kind(train: Sample, evaluation: Sample, label: str) -> LabelKind:
    """Two values are binary, more than twenty numbers a number, all else classes."""
    samples = (train, evaluation)
    terms = np.concatenate([sample.column(label) for sample in samples])
    distinct = len(np.unique(terms[terms != 0]))
    if distinct == 2:
        return "binary"
    numeric = all(
        label in sample.numbers and not np.isnan(sample.numbers[label][sample.column(label) != 0]).any()
        for sample in samples
    )
    return "number" if numeric and distinct > MOST_CLASSES else "classes"


def _side(sample: Sample, codes: np.ndarray, classes: int, settings: LeakageSettings, split: str) -> Side:
    rows = np.flatnonzero(codes >= 0)
    if not len(rows):
        raise InputError(
            f"the label {settings.label!r} has no value in any of the {sample.examples:,} {split} examples "
            "that were looked at; name another label, or give labelled examples"
        )
    count = sample.count[rows]
    weight = np.ones(len(rows)) if settings.weight is None else _weights(sample, rows, settings.weight, split)
    weight = weight * (count.sum() / (count @ weight))
    return Side(sample, rows, codes[rows], classes, count, count * weight, count * weight**2)


def _weights(sample: Sample, rows: np.ndarray, name: str, split: str) -> np.ndarray:
    if name not in sample.numbers:
        raise UsageError(f"the weight {name!r} is text; name a numeric feature")
    weights: np.ndarray = sample.numbers[name][rows]
    wrong = int(sample.count[rows][~(np.isfinite(weights) & (weights >= 0))].sum())
    if wrong:
        raise InputError(
            f"the weight {name!r} is missing, negative or infinite in {wrong:,} {split} examples, but each "
            "needs a number from 0 on; mend it, or leave them out"
        )
    if not weights.any():
        raise InputError(f"the weight {name!r} is 0 in all {split} examples; name another weight, or none")
    return weights


def _number_classes(train: np.ndarray, evaluation: np.ndarray) -> list[np.ndarray]:
    """Numbers as classes between the quantiles of train; −1 where missing."""
    inner = edges(train[~np.isnan(train)], LABEL_BINS)
    return [np.where(np.isnan(values), -1, np.searchsorted(inner, values)) for values in (train, evaluation)]


def _value_classes(
    train: np.ndarray, evaluation: np.ndarray, count: np.ndarray
) -> tuple[list[np.ndarray], bool]:
    """Values as classes, −1 where missing; of more than 20, all but the 19 most frequent of train as one."""
    values, ids = np.unique(np.concatenate([train, evaluation]), return_inverse=True)
    ids = ids - np.count_nonzero(values == 0)
    here = ids[: len(train)]
    number = np.count_nonzero(values)
    merged = number > MOST_CLASSES
    if merged:
        examples = np.bincount(here[here >= 0], count[here >= 0], number)
        rank = np.full(number, MOST_CLASSES - 1)
        rank[np.argsort(-examples, kind="stable")[: MOST_CLASSES - 1]] = np.arange(MOST_CLASSES - 1)
        ids = np.where(ids >= 0, rank[ids], -1)
    return [ids[: len(train)], ids[len(train) :]], merged


def edges(values: np.ndarray, bins: int) -> np.ndarray:
    """Upper ends of quantile bins, the last one's left out; equal values are together.

    A value that is frequent enough to fill a bin alone has one of its own.

    Parameters
    ----------
    values
        float64 of shape ``(rows,)``, without NaN.
    bins
        Number of bins; it is exceeded by those of frequent values, and not reached where values are few.

    Returns
    -------
    numpy.ndarray
        Ascending, of shape ``(bins − 1,)`` or so; the bin of x is ``np.searchsorted(edges, x)``.

    Examples
    --------
    >>> edges(np.arange(10.0), 5)
    array([1., 3., 5., 7.])
    """
    if not len(values):
        return np.zeros(0)
    places = np.arange(1, bins) * len(values) // bins - 1
    ends = np.partition(values, places.clip(0))[places.clip(0)]
    frequent = ends[1:][ends[1:] == ends[:-1]]
    return np.unique(np.concatenate([ends, np.nextafter(frequent, -np.inf)]))


@dataclass(frozen=True)
class Column:
    """A feature of both splits: which value each labelled row has.

    Attributes
    ----------
    name
        The feature.
    here, there
        int64 of shape ``(rows,)`` for train and for eval: number of the value, from 0.
    values
        Number of values, missing included.
    has_missing
        Whether it is missing anywhere; value 0 then stands for that.
    """

    name: str
    here: np.ndarray
    there: np.ndarray
    values: int
    has_missing: bool

    @classmethod
    def of(cls, name: str, train: Side, evaluation: Side) -> Column:
        """Values by equality, whatever their type: numbers, texts, lists."""
        here = train.terms(name)
        values, numbers = _numbered(np.concatenate([here, evaluation.terms(name)]))
        has_missing = bool(values[0] == 0)
        return cls(name, numbers[: len(here)], numbers[len(here) :], len(values), has_missing)

    @property
    def distinct(self) -> int:
        """Number of values that are not missing."""
        return self.values - self.has_missing

    def numbers_in(self, train: Side) -> int:
        """How many different single numbers train has."""
        if self.name not in train.sample.numbers:
            return 0
        known = ~np.isnan(train.numbers(self.name))
        return int(np.count_nonzero(np.bincount(self.here[known], minlength=self.values)))

    def binned(self, train: Side, evaluation: Side, bins: int) -> Column:
        """Numbers as quantile bins of train; what is no single number stays: missing, lists."""
        here, there = train.numbers(self.name), evaluation.numbers(self.name)
        inner = edges(here[~np.isnan(here)], bins)

        def with_bins(numbers: np.ndarray, values: np.ndarray) -> np.ndarray:
            return np.where(np.isnan(numbers), values, self.values + np.searchsorted(inner, numbers))

        return replace(
            self,
            here=with_bins(here, self.here),
            there=with_bins(there, self.there),
            values=self.values + len(inner) + 1,
        )

    def compact(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """Bins of train, bins of eval, and their number: one for each value kept, bin 0 for the others.

        Parameters
        ----------
        kept
            bool of shape ``(values,)``.
        """
        bins = np.where(kept, np.cumsum(kept), 0)
        return bins[self.here], bins[self.there], int(np.count_nonzero(kept)) + 1


def _numbered(terms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different terms, ascending, and the number of each row's: ``np.unique``, quick where they are few."""
    few = np.unique(terms[:_FIRST_ROWS])
    if len(few) <= _FEW:
        # Terms are hashes: a few of them are told apart by their upper bits.
        numbers = np.zeros(1 << 16, np.int64)
        numbers[few >> np.uint64(48)] = np.arange(len(few))
        found = numbers[terms >> np.uint64(48)]
        if (few[found] == terms).all():
            return few, found
    values, found = np.unique(terms, return_inverse=True)
    return values, found
