"""A bounded sample of the rows of a split, the same however they are ordered, batched or sharded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfx_trust.components.leakage.columns import Batch
from tfx_trust.components.leakage.hashing import mix

_SALT = np.uint64(0xD6E8FEB86659FD93)


@dataclass(frozen=True)
class Sample:
    """The distinct rows with the smallest hashes, each with the number of times it occurs.

    A bottom-k sample (Cohen & Kaplan 2007) of *distinct* rows: coded data in which rows repeat are
    held whole as long as they have at most k different rows, and otherwise every distinct row has the same
    chance to be in it. Which ones are is a matter of their content alone. Samples of parts of the data
    merge into the sample of the whole, counts exact.

    Attributes
    ----------
    limit
        k.
    names, kinds
        The columns.
    priority
        uint64 of shape ``(rows,)``, ascending: the hash of the row over all columns.
    terms
        uint64 of shape ``(columns, rows)``: first lane of what each column adds to a key; 0 where missing.
    numbers
        Of each numeric column, float64 of shape ``(rows,)``; NaN where there is not exactly one value.
    count
        int64 of shape ``(rows,)``: how often the row occurs.
    """

    limit: int
    names: tuple[str, ...]
    priority: np.ndarray
    terms: np.ndarray
    numbers: Mapping[str, np.ndarray]
    count: np.ndarray

    @property
    def rows(self) -> int:
        """Number of distinct rows."""
        return len(self.priority)

    @property
    def examples(self) -> int:
        """Number of examples that they stand for."""
        return int(self.count.sum())

    @property
    def complete(self) -> bool:
        """Whether no row can have been left out."""
        return self.rows < self.limit

    @classmethod
    def of(cls, batch: Batch, limit: int, below: int | None = None) -> Sample:
        """The sample of one batch.

        Parameters
        ----------
        batch
            The rows.
        limit
            k.
        below
            Rows with a priority above it are left out: they would not stay in a sample that is full.
        """
        priority = mix(batch.key(batch.names)[0] ^ _SALT)
        chosen = np.arange(batch.rows) if below is None else np.flatnonzero(priority <= np.uint64(below))
        return cls(
            limit,
            batch.names,
            priority[chosen],
            batch.terms[:, 0, chosen] if below is not None else batch.terms[:, 0],
            {name: values[chosen] for name, values in batch.numbers.items()},
            np.ones(len(chosen), np.int64),
        )._reduced()

    @classmethod
    def merged(cls, samples: list[Sample]) -> Sample:
        """The sample of all rows that `samples` are of."""
        first = samples[0]
        if len(samples) == 1:
            return first
        return cls(
            first.limit,
            first.names,
            np.concatenate([sample.priority for sample in samples]),
            np.concatenate([sample.terms for sample in samples], axis=1),
            {name: np.concatenate([sample.numbers[name] for sample in samples]) for name in first.numbers},
            np.concatenate([sample.count for sample in samples]),
        )._reduced()

    def _reduced(self) -> Sample:
        order = np.argsort(self.priority)
        ordered = self.priority[order]
        new = np.ones(len(order), bool)
        new[1:] = ordered[1:] != ordered[:-1]
        begins = np.flatnonzero(new)
        count = np.add.reduceat(self.count[order], begins) if len(order) else self.count
        kept = order[begins][: self.limit]
        return Sample(
            self.limit,
            self.names,
            self.priority[kept],
            self.terms[:, kept],
            {name: values[kept] for name, values in self.numbers.items()},
            count[: self.limit],
        )

    def column(self, name: str) -> np.ndarray:
        """The terms of a column: equal where its values are equal, 0 where it is missing."""
        terms: np.ndarray = self.terms[self.names.index(name)]
        return terms

    def key(self, columns: tuple[str, ...] | list[str]) -> np.ndarray:
        """First lane of the rows' keys over some columns: uint64 of shape ``(rows,)``."""
        keys = np.zeros(self.rows, np.uint64)
        for name in columns:
            keys += self.column(name)
        return keys

    def smallest(self, rows: int) -> Sample:
        """The rows with the smallest hashes: a sample of the sample."""
        return Sample(
            min(rows, self.limit),
            self.names,
            self.priority[:rows],
            self.terms[:, :rows],
            {name: values[:rows] for name, values in self.numbers.items()},
            self.count[:rows],
        )


class Sampler:
    """Collects a sample batch by batch, in memory for at most three times its limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._parts: list[Sample] = []
        self._pending = 0
        self._below: int | None = None

    def add(self, batch: Batch) -> None:
        """Takes the rows of a batch into account."""
        part = Sample.of(batch, self.limit, self._below)
        self._parts.append(part)
        self._pending += part.rows
        if self._pending > 2 * self.limit:
            self._settle()

    @property
    def empty(self) -> bool:
        """Whether there was no batch so far."""
        return not self._parts

    def sample(self) -> Sample:
        """What was collected, of at least one batch."""
        self._settle()
        return self._parts[0]

    def _settle(self) -> None:
        whole = Sample.merged(self._parts)
        self._parts = [whole]
        self._pending = 0
        if not whole.complete:
            self._below = int(whole.priority[-1])
