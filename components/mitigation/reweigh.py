"""Weights of training examples that make group and label independent (Kamiran & Calders 2012, section 5.3).

An example of group g with label y weighs ``P(g) P(y) / P(g, y)``: what is rarer than it would be if the two
had nothing to do with each other counts more. Nothing else of the examples changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tfx_trust.components.errors import InputError
from tfx_trust.components.mitigation.groups import NO_GROUP, Crossing, Groups, columns_of
from tfx_trust.components.mitigation.labels import LabelCodes
from tfx_trust.components.mitigation.report import GroupShare, Reweighing, WeightedCell

MOST_VALUES = 1000
"""Most labels, and values of a group feature, in :func:`example_weights`."""
_LABEL = "(label)"


def cell_factors(sums: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """By how much to multiply the weights of each group and label.

    The sum of all weights stays as it is.

    Parameters
    ----------
    sums
        Sums of weights, or counts, of shape ``(groups, labels)``.
    strength
        Exponent of the factors: 1 makes groups and labels independent, 0 changes nothing.

    Returns
    -------
    ndarray
        float64 of the same shape; 1 where there are no examples.

    Examples
    --------
    >>> cell_factors(np.array([[30.0, 10.0], [30.0, 30.0]])).round(3).tolist()
    [[0.8, 1.6], [1.2, 0.8]]
    """
    sums = np.asarray(sums, float)
    expected = expected_sums(sums)
    factors = np.divide(expected, sums, out=np.ones(sums.shape), where=sums > 0) ** strength
    total = float((factors * sums).sum())
    return np.where(sums > 0, factors * (sums.sum() / total), 1.0) if total > 0 else factors


def expected_sums(sums: np.ndarray) -> np.ndarray:
    """What the sums would be if groups and labels were independent, of shape ``(groups, labels)``."""
    total = sums.sum()
    if not total > 0:
        return np.zeros(sums.shape)
    products: np.ndarray = np.outer(sums.sum(axis=1), sums.sum(axis=0)) / total
    return products


class Cells:
    """Counts examples by group and label, batch by batch.

    Parameters
    ----------
    label
        The label's column.
    groups
        Columns whose values, crossed, are the groups.
    most
        Most values of each of these columns.
    """

    def __init__(self, label: str, groups: Sequence[str], most: int) -> None:
        self.label = label
        self._crossing = Crossing(groups, most)
        self._labels = LabelCodes(label, most)
        self._sums: dict[tuple[int, int], np.ndarray] = {}

    def codes(self, columns: Mapping[str, pa.Array]) -> tuple[np.ndarray, np.ndarray]:
        """The key of the group and the number of the label of each example, int64 of shape ``(rows,)``.

        Raises
        ------
        InputError
            If a label is missing, or a column has too many values.
        """
        return self._crossing.keys(columns), self._labels.of(columns[self.label])

    def add(self, columns: Mapping[str, pa.Array], weights: np.ndarray | None) -> None:
        """Counts some examples.

        Parameters
        ----------
        columns
            The label and the groups, each of shape ``(rows,)``.
        weights
            Weights that they have, float64 of shape ``(rows,)``; 1 if not given.
        """
        keys, labels = self.codes(columns)
        pairs, places = np.unique(np.stack([keys, labels]), axis=1, return_inverse=True)
        weights = np.ones(len(keys)) if weights is None else weights
        of_cell = [np.bincount(places.ravel(), values, pairs.shape[1]) for values in (weights, weights**2)]
        counts = np.bincount(places.ravel(), minlength=pairs.shape[1])
        for key, label, *sums in zip(*pairs.tolist(), counts, *of_cell, strict=True):
            self._sums[key, label] = self._sums.get((key, label), 0.0) + np.array(sums, float)

    def factors(self, *, strength: float = 1.0, min_count: int = 1) -> Factors:
        """What to multiply the weights of each cell by.

        Raises
        ------
        InputError
            If there are no examples, or weights add up to nothing.
        """
        groups = self._crossing.groups(np.array([key for key, _ in self._sums], np.int64))
        values = self._labels.values
        order = np.argsort(sorted(range(len(values)), key=values.__getitem__))
        sums = np.zeros((3, len(groups.slices) + 1, len(values)))
        for (key, label), found in self._sums.items():
            row = int(groups.of(np.array([key]))[0])
            sums[:, row if row != NO_GROUP else -1, order[label]] += found
        if not sums[1].sum() > 0:
            raise InputError("no examples with a weight above 0; there is nothing to weigh anew")
        return Factors(
            groups, order, sorted(values), sums[0].astype(int), sums[1], sums[2], strength, min_count
        )


class Factors:
    """What the weights of each group and label are multiplied by.

    Parameters
    ----------
    groups
        The groups.
    order
        Place among `labels` of the label of each number.
    labels
        The labels, sorted.
    counts, sums, squares
        Examples, their weights and the squares of these, of shape ``(groups + 1, labels)``; the last row is
        of no group.
    strength
        Exponent of the factors.
    min_count
        Fewest examples of a group that is reweighed.

    Attributes
    ----------
    table
        float64 of shape ``(groups + 1, labels)``; 1 for examples that keep their weight.
    """

    def __init__(
        self,
        groups: Groups,
        order: np.ndarray,
        labels: list[str],
        counts: np.ndarray,
        sums: np.ndarray,
        squares: np.ndarray,
        strength: float,
        min_count: int,
    ) -> None:
        self.groups = groups
        self._order = order
        self._labels = labels
        self._counts, self._sums, self._squares = counts, sums, squares
        self._strength = strength
        self._enough = counts[:-1].sum(axis=1) >= min_count
        self.table = np.ones(sums.shape)
        self.table[:-1][self._enough] = cell_factors(sums[:-1][self._enough], strength)

    def of(self, keys: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The factor of each example, float64 of shape ``(rows,)``, from what :meth:`Cells.codes` gave it."""
        rows = self.groups.of(keys)
        factors: np.ndarray = self.table[
            np.where(rows == NO_GROUP, len(self.table) - 1, rows), self._order[labels]
        ]
        return factors

    def reweighing(self, feature: str) -> Reweighing:
        """What they do, for the report."""
        large, labels, slices = np.flatnonzero(self._enough), self._labels, self.groups.slices
        before = self._sums[large]
        expected = expected_sums(before)
        after = before * self.table[large]
        shares = _shares(before), _shares(after)
        examples = int(self._counts.sum())
        return Reweighing(
            feature=feature,
            features=self.groups.features,
            strength=self._strength,
            examples=examples,
            untouched=examples - int(self._counts[large].sum()),
            cells=[
                WeightedCell(
                    group=slices[group],
                    label=labels[label],
                    examples=int(self._counts[group, label]),
                    total=float(before[row, label]),
                    expected=float(expected[row, label]),
                    factor=float(self.table[group, label]),
                )
                for row, group in enumerate(large.tolist())
                for label in range(len(labels))
            ],
            groups=[
                GroupShare(
                    group=slices[group],
                    examples=int(self._counts[group].sum()),
                    before=dict(zip(labels, shares[0][row].tolist(), strict=True)),
                    after=dict(zip(labels, shares[1][row].tolist(), strict=True)),
                )
                for row, group in enumerate(large.tolist())
            ],
            small=[slices[group] for group in np.flatnonzero(~self._enough).tolist()],
            gap_before=_gap(shares[0]),
            gap_after=_gap(shares[1]),
            effective_before=_effective(self._sums, self._squares),
            effective_after=_effective(self._sums * self.table, self._squares * self.table**2),
        )


def _shares(sums: np.ndarray) -> np.ndarray:
    whole = sums.sum(axis=1, keepdims=True)
    return np.divide(sums, whole, out=np.zeros(sums.shape), where=whole > 0)


def _gap(shares: np.ndarray) -> float:
    return float(np.ptp(shares, axis=0).max()) if len(shares) > 1 else 0.0


def _effective(sums: np.ndarray, squares: np.ndarray) -> float:
    return float(sums.sum() ** 2 / squares.sum()) if squares.sum() > 0 else 0.0


def example_weights(
    labels: Any,
    groups: Any,
    weights: Any = None,
    *,
    strength: float = 1.0,
    min_count: int = 1,
) -> np.ndarray:
    """The weight of each example, so that group and label are independent.

    Parameters
    ----------
    labels
        Of shape ``(rows,)``; two values or several.
    groups
        Features that make the groups, each of shape ``(rows,)``: a mapping by name, or an array of one.
    weights
        Weights that the examples have already, of shape ``(rows,)``.
    strength
        Exponent: 1 makes group and label independent, 0 changes nothing.
    min_count
        Groups with fewer examples, and examples that lack a feature of the groups, keep their weight.

    Returns
    -------
    ndarray
        float64 of shape ``(rows,)``; its sum is the number of examples, or that of `weights`.

    Raises
    ------
    InputError
        If a label is missing, or a weight cannot be one.

    Examples
    --------
    >>> example_weights([0, 0, 0, 1, 0, 1], ["a", "a", "a", "a", "b", "b"]).round(3).tolist()
    [0.889, 0.889, 0.889, 1.333, 1.333, 0.667]
    """
    columns = columns_of(groups)
    own = np.ones(len(next(iter(columns.values())))) if weights is None else np.asarray(weights, float)
    if not (np.isfinite(own).all() and (own >= 0).all()):
        raise InputError("weights must be finite, and none negative")
    cells = Cells(_LABEL, list(columns), MOST_VALUES)
    # A name that no group feature has.
    given = {**columns, _LABEL: columns_of({_LABEL: labels})[_LABEL]}
    if len({len(column) for column in given.values()} | {len(own)}) > 1:
        raise InputError(
            f"{len(given[_LABEL]):,} labels, {len(own):,} weights or groups of other numbers; give one of "
            "each"
        )
    cells.add(given, own)
    return own * cells.factors(strength=strength, min_count=min_count).of(*cells.codes(given))
