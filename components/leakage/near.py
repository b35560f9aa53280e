"""Near duplicates: rows that differ in a few features only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pyarrow as pa

from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.report import NearDuplicates
from tfx_trust.components.leakage.sample import Sample
from tfx_trust.components.report import Estimate, Verdict

PERMUTATIONS = 40
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
    """

    terms: np.ndarray
    counts: np.ndarray


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
    if settings.near == 1:
        groups = list(_leave_one_out(rows))
        near, capped = _by_groups(groups, rows.counts), 0
    else:
        groups = []
        near, capped = _by_blocks(rows, settings.near, settings.near_bucket)
    n_train, n_eval = (int(count.sum()) for count in rows.counts)
    observed = int(rows.counts[1, near[0] > 0].sum())
    chance = _random_split(rows.counts.sum(axis=0), near.sum(axis=0), n_train, n_eval)
    excess = (observed - chance.sum()) / max(1, n_eval)
    if groups and excess > settings.max_excess:
        sd, method = _permuted_sd(groups, rows.counts), f"{PERMUTATIONS} random splits of the same rows"
    else:
        # Rows with common neighbours rise and fall together: as if only one in as many counted.
        together = 1 + float(np.average(near.sum(axis=0), weights=rows.counts.sum(axis=0)))
        sd, method = (
            float(np.sqrt((chance * (1 - chance / rows.counts.sum(axis=0))).sum() * together)),
            "upper bound",
        )
    half = NormalDist().inv_cdf((1 + settings.level) / 2) * sd / max(1, n_eval)
    note = _note(train, evaluation, capped)
    return NearDuplicates(
        differing=settings.near,
        eval_rows=n_eval,
        train_rows=n_train,
        eval_near_train=observed,
        expected_random_split=float(chance.sum()),
        capped=bool(note),
        note=note,
        excess=Estimate(
            value=excess,
            low=excess - half,
            high=excess + half,
            count=n_eval,
            level=settings.level,
            method=method,
        ),
        verdict=Verdict.WARN if excess > settings.max_excess and excess - half > 0 else Verdict.PASS,
    )


def _pooled(train: Sample, evaluation: Sample, features: Sequence[str]) -> _Rows:
    index = [train.names.index(name) for name in features]
    terms = np.concatenate([train.terms[index], evaluation.terms[index]], axis=1)
    ids, number = _encoded(terms.sum(axis=0, dtype=np.uint64))
    first = np.empty(number, np.int64)
    first[ids[::-1]] = np.arange(len(ids))[::-1]
    cut = train.rows
    counts = np.stack(
        [
            np.bincount(ids[:cut], train.count, number),
            np.bincount(ids[cut:], evaluation.count, number),
        ]
    ).astype(np.int64)
    return _Rows(terms[:, first], counts)


def _encoded(keys: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers of equal keys from 0, by hashing instead of sorting; and how many there are."""
    encoded = pa.array(keys).dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), len(encoded.dictionary)


def _leave_one_out(rows: _Rows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each column: the rows that are equal to another in all others, and their group numbers."""
    keys = rows.terms.sum(axis=0, dtype=np.uint64)
    for column in rows.terms:
        ids, number = _encoded(keys - column)
        several = np.flatnonzero(np.bincount(ids, minlength=number)[ids] > 1)
        if len(several):
            yield several, _encoded(ids[several])[0]


def _by_groups(groups: Sequence[tuple[np.ndarray, np.ndarray]], counts: np.ndarray) -> np.ndarray:
    """Neighbours of each row in train and in eval: a pair differs in one column, so it is met once."""
    near = np.zeros(counts.shape, np.int64)
    for members, ids in groups:
        for split in (0, 1):
            own = counts[split, members]
            near[split, members] += np.bincount(ids, own)[ids].astype(np.int64) - own
    return near


def _by_blocks(rows: _Rows, differing: int, bucket: int) -> tuple[np.ndarray, int]:
    """Neighbours of each row in train and in eval; and the rows in blocks too large to search whole."""
    near = np.zeros(rows.counts.shape, np.int64)
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
            for split in (0, 1):
                np.add.at(near[split], left, rows.counts[split, right])
                np.add.at(near[split], right, rows.counts[split, left])
    return near, capped


def _distance(terms: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """In how many columns the rows of each pair differ."""
    distance = np.zeros(len(left), np.int64)
    for column in terms:
        distance += column[left] != column[right]
    return distance


def _random_split(examples: np.ndarray, near: np.ndarray, train: int, evaluation: int) -> np.ndarray:
    """For each row, the eval examples of it with a neighbour in train, on the average over random splits.

    An example is in eval with probability n / N, and then all of its m neighbours are too with the falling
    factorial ratio (n − 1)ₘ / (N − 1)ₘ.
    """
    total = train + evaluation
    steps = np.arange(int(near.max(initial=0)))
    left = np.maximum(evaluation - 1 - steps, 0)
    with np.errstate(divide="ignore"):
        logs = np.concatenate([[0.0], np.cumsum(np.log(left / np.maximum(total - 1 - steps, 1)))])
    expected: np.ndarray = examples * (evaluation / max(1, total)) * -np.expm1(logs[near])
    return expected


def _permuted_sd(groups: Sequence[tuple[np.ndarray, np.ndarray]], counts: np.ndarray) -> float:
    """Standard deviation over random splits of the same examples."""
    random = np.random.default_rng(_SEED)
    pooled = counts.sum(axis=0)
    rows = np.repeat(np.arange(len(pooled)), pooled)
    n_eval = int(counts[1].sum())
    found = []
    for _ in range(PERMUTATIONS):
        chosen = random.permutation(len(rows))[:n_eval]
        there = np.bincount(rows[chosen], minlength=len(pooled))
        split = np.stack([pooled - there, there])
        found.append(split[1, _by_groups(groups, split)[0] > 0].sum())
    return float(np.std(found, ddof=1))


def _note(train: Sample, evaluation: Sample, capped: int) -> str:
    parts = [
        f"{name} was searched among {sample.rows:,} of its different rows"
        for name, sample in (("train", train), ("eval", evaluation))
        if not sample.complete
    ]
    if capped:
        parts.append(f"{capped:,} rows share a block with too many others to compare all")
    return f"a lower bound: {'; '.join(parts)}" if parts else ""
