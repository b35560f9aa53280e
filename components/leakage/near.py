"""Near duplicates: rows that differ in a few features only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pyarrow as pa

from tfx_trust.components.leakage.chance import all_drawn
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.report import NearDuplicates
from tfx_trust.components.leakage.sample import Sample
from tfx_trust.components.report import Estimate, Verdict

RANDOM_SPLITS = 62
_BITS = 20
_SEED = 20_240_229


@dataclass(frozen=True)
class _Rows:
    """Rows that differ in some feature, both splits pooled.

    Attributes
    ----------
    terms
        uint64 of shape ``(features, rows)``.
    counts
        int64 of shape ``(2, rows)``: examples of train and eval.
    dealt
        int64 of shape ``(2, rows)``: of these, the ones that a random split deals anew. A sample that was cut
        off lacks the rows beyond its last one, however they are dealt, so what the other split has there
        stays where it is.
    """

    terms: np.ndarray
    counts: np.ndarray
    dealt: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """int64 of shape ``(2, rows)``: the examples that stay on their side."""
        kept: np.ndarray = self.counts - self.dealt
        return kept


@dataclass(frozen=True)
class _Splits:
    """Which rows have train examples, now and in random splits: a bit each, so that one search does for all.

    Attributes
    ----------
    marks
        uint64 of shape ``(rows,)``. Bit 0: there is a train example; bit 1: there is one that stays; bit
        2 + r: there is one in random split r.
    evaluation
        int64 of shape ``(rows,)``, a random split each: its eval examples.
    """

    marks: np.ndarray
    evaluation: list[np.ndarray]


@dataclass(frozen=True)
class _Near:
    """What is near each row.

    Attributes
    ----------
    examples
        int64 of shape ``(rows,)``: its neighbours, of both splits, among the examples that are dealt.
    marks
        uint64 of shape ``(rows,)``: the marks that any of its neighbours has.
    """

    examples: np.ndarray
    marks: np.ndarray

    def has(self, bit: int) -> np.ndarray:
        """Whether any neighbour has a mark."""
        there: np.ndarray = (self.marks >> np.uint64(bit)) & np.uint64(1) == 1
        return there


def find(
    train: Sample, evaluation: Sample, features: Sequence[str], settings: LeakageSettings
) -> NearDuplicates:
    """Eval examples that differ from a train example in at least one and at most `settings.near` features.

    With one feature, every pair is found: two rows differ in column c alone when they are equal in all
    others, and the key without c is the key less a term. With k > 1, two rows within k differ in no column of
    at least one of k + 1 blocks (pigeonhole principle), so candidates are those that share a block.

    Parameters
    ----------
    train, evaluation
        Rows to search.
    features
        Columns to compare.
    settings
        How many features may differ, and the bounds.
    """
    rows = _pooled(train, evaluation, features)
    splits = _random_splits(rows)
    if settings.near == 1:
        near, capped = _by_groups(rows, splits.marks), 0
    else:
        near, capped = _by_blocks(rows, splits.marks, settings.near, settings.near_bucket)
    n_train, n_eval = (int(count.sum()) for count in rows.counts)
    observed = int(rows.counts[1, near.has(0)].sum())
    expected = _expected(rows, near)
    excess = (observed - expected) / max(1, n_eval)
    half = NormalDist().inv_cdf((1 + settings.level) / 2) * _sd(rows, splits, near) / max(1, n_eval)
    note = _note(train, evaluation, capped)
    return NearDuplicates(
        differing=settings.near,
        eval_rows=n_eval,
        train_rows=n_train,
        eval_near_train=observed,
        expected_random_split=expected,
        capped=bool(note),
        note=note,
        excess=Estimate(
            value=excess,
            low=excess - half,
            high=excess + half,
            count=n_eval,
            level=settings.level,
            method=f"{RANDOM_SPLITS} random splits of the same rows",
        ),
        verdict=Verdict.WARN if excess > settings.max_excess and excess - half > 0 else Verdict.PASS,
    )


def _pooled(train: Sample, evaluation: Sample, features: Sequence[str]) -> _Rows:
    index = [train.names.index(name) for name in features]
    terms = np.concatenate([train.terms[index], evaluation.terms[index]], axis=1)
    ids, number = _encoded(terms.sum(axis=0, dtype=np.uint64))
    first = np.empty(number, np.int64)
    first[ids[::-1]] = np.arange(len(ids))[::-1]
    last = min(_reach(sample) for sample in (train, evaluation))
    sides = ((train, ids[: train.rows]), (evaluation, ids[train.rows :]))
    counts = np.stack([np.bincount(of, sample.count, number) for sample, of in sides])
    dealt = np.stack(
        [np.bincount(of, sample.count * (sample.priority <= last), number) for sample, of in sides]
    )
    if number < len(ids):
        terms = terms[:, first]
    return _Rows(terms, counts.astype(np.int64), dealt.astype(np.int64))


def _reach(sample: Sample) -> np.uint64:
    """The priority up to which the sample holds every row of its split."""
    return np.uint64(2**64 - 1 if sample.complete else int(sample.priority[-1]))


def _random_splits(rows: _Rows) -> _Splits:
    """Examples dealt to eval each by itself; that their number then varies is taken out in `_sd`."""
    random = np.random.default_rng(_SEED)
    pooled, (stay, _) = rows.dealt.sum(axis=0), rows.kept
    share = rows.dealt[1].sum() / max(1, pooled.sum())
    marks = (rows.counts[0] > 0).astype(np.uint64) | (stay > 0).astype(np.uint64) << np.uint64(1)
    small = np.min_scalar_type(int(pooled.max(initial=0)))
    drawn = []
    several = np.flatnonzero(pooled > 1)
    for number in range(RANDOM_SPLITS):
        there = np.where(random.random(len(pooled)) < share, pooled, 0)
        there[several] = random.binomial(pooled[several], share)
        marks |= (stay + pooled > there).astype(np.uint64) << np.uint64(2 + number)
        drawn.append(there.astype(small))
    return _Splits(marks, drawn)


def _encoded(keys: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers of equal keys from 0, by hashing instead of sorting; and how many there are."""
    encoded = pa.array(keys).dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), len(encoded.dictionary)


def _by_groups(rows: _Rows, marks: np.ndarray) -> _Near:
    """Rows that differ in one column: equal without it, so that each pair is met once."""
    keys = rows.terms.sum(axis=0, dtype=np.uint64)
    pooled = rows.dealt.sum(axis=0)
    near = _Near(np.zeros(len(keys), np.int64), np.zeros(len(keys), np.uint64))
    for column in rows.terms:
        several, begins = _alike(keys - column)
        if not len(several):
            continue
        sizes = np.diff(np.append(begins, len(several)))
        own = pooled[several]
        near.examples[several] += np.repeat(np.add.reduceat(own, begins), sizes) - own
        near.marks[several] |= _of_others(marks[several], begins, sizes)
    return near


def _alike(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose key another row has too, group after group, and where each group begins among them.

    Most rows have a key of their own: they are told by the upper bits alone, and only the rest is sorted.
    """
    bits = (keys >> np.uint64(64 - _BITS)).astype(np.int64)
    maybe = np.flatnonzero(np.bincount(bits, minlength=1 << _BITS)[bits] > 1)
    ranked = maybe[np.argsort(keys[maybe])]
    ordered = keys[ranked]
    same = ordered[1:] == ordered[:-1]
    chosen = np.r_[same, False] | np.r_[False, same] if len(ranked) else np.zeros(0, bool)
    several, ordered = ranked[chosen], ordered[chosen]
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(several) else several
    return several, begins


def _of_others(marks: np.ndarray, begins: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The marks that any other member of the same group has; groups lie one after the other.

    Two members of a group differ in some bit of their places in it. So the others of a member are, bit by
    bit, those whose place has the opposite bit, which one reduction tells for the whole group.
    """
    group = np.repeat(np.arange(len(begins)), sizes)
    place = np.arange(len(marks)) - begins[group]
    found = np.zeros(len(marks), np.uint64)
    for bit in range(int(sizes.max() - 1).bit_length()):
        odd = (place >> bit) & 1 == 1
        of_odd, of_even = (
            np.bitwise_or.reduceat(np.where(chosen, marks, np.uint64(0)), begins) for chosen in (odd, ~odd)
        )
        found |= np.where(odd, of_even[group], of_odd[group])
    return found


def _by_blocks(rows: _Rows, marks: np.ndarray, differing: int, bucket: int) -> tuple[_Near, int]:
    """Rows that differ in at most so many columns; and the rows in blocks too large to search whole."""
    pooled = rows.dealt.sum(axis=0)
    near = _Near(np.zeros(len(pooled), np.int64), np.zeros(len(pooled), np.uint64))
    distinct = [-_encoded(column)[1] for column in rows.terms]
    order = np.argsort(distinct, kind="stable")
    blocks = [order[number :: differing + 1] for number in range(differing + 1)]
    keys = [rows.terms[block].sum(axis=0, dtype=np.uint64) for block in blocks]
    capped = 0
    for number, key in enumerate(keys):
        ranked = np.argsort(key, kind="stable")
        ids, groups = _encoded(key[ranked])
        sizes = np.bincount(ids, minlength=groups)
        capped += int(sizes[sizes > bucket].sum())
        for offset in range(1, min(bucket, int(sizes.max(initial=1)))):
            same = np.flatnonzero(ids[:-offset] == ids[offset:])
            if not len(same):
                break
            left, right = ranked[same], ranked[same + offset]
            # A pair that shares an earlier block was met there.
            fresh = np.ones(len(left), bool)
            for before in keys[:number]:
                fresh &= before[left] != before[right]
            left, right = left[fresh], right[fresh]
            close = _distance(rows.terms, left, right) <= differing
            left, right = left[close], right[close]
            for here, there in ((left, right), (right, left)):
                # At one offset a row is at most once on each side, so plain addition counts each pair.
                near.examples[here] += pooled[there]
                near.marks[here] |= marks[there]
    return near, capped


def _distance(terms: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """In how many columns the rows of each pair differ."""
    distance = np.zeros(len(left), np.int64)
    for column in terms:
        distance += column[left] != column[right]
    return distance


def _expected(rows: _Rows, near: _Near) -> float:
    """Eval examples with a neighbour in train, on the average over random splits.

    Of the N examples that are dealt let n be drawn for eval. An example that is dealt is in eval without a
    neighbour in train when it and its m neighbours are all drawn, of which the probability is
    P(m + 1) of :func:`~tfx_trust.components.leakage.chance.all_drawn`. For one that stays in eval it is P(m),
    and 0 where a neighbour stays in train.
    """
    drawn, total = int(rows.dealt[1].sum()), int(rows.dealt.sum())
    pooled, staying = rows.dealt.sum(axis=0), rows.kept[1]
    alone = ~near.has(1)
    outside = pooled * alone @ all_drawn(near.examples + 1, drawn, total)
    outside += staying * alone @ all_drawn(near.examples, drawn, total)
    return float(drawn + staying.sum() - outside)


def _sd(rows: _Rows, splits: _Splits, near: _Near) -> float:
    """Standard deviation of the eval examples with a neighbour in train, over random splits of this size.

    The splits were drawn example by example; what their size explains of the number (by linear
    regression) is no part of the spread at a fixed size (Hájek 1964, rejective sampling).
    """
    staying = rows.kept[1]
    found = np.array(
        [(staying + there)[near.has(2 + number)].sum() for number, there in enumerate(splits.evaluation)],
        float,
    )
    size = np.array([there.sum(dtype=np.int64) for there in splits.evaluation], float)
    found, size = found - found.mean(), size - size.mean()
    if size.any():
        found -= size * (size @ found) / (size @ size)
    return float(np.sqrt((found**2).sum() / (RANDOM_SPLITS - 2)))


def _note(train: Sample, evaluation: Sample, capped: int) -> str:
    parts = [
        f"{name} was searched among {sample.rows:,} of its different rows"
        for name, sample in (("train", train), ("eval", evaluation))
        if not sample.complete
    ]
    if capped:
        parts.append(f"{capped:,} rows share a block with too many others to compare all")
    return f"a lower bound: {'; '.join(parts)}" if parts else ""
