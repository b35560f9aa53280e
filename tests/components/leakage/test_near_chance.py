"""Near duplicates: chance where samples were cut off, the spread, and a known answer of the census."""

from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_trust.components.leakage import near
from tfx_trust.components.leakage.columns import Layout
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.sample import Sample
from tfx_trust.components.leakage.tables import batch_of, layout_of
from tfx_trust.pipelines.census import data

FEATURES = list("abcdef")
LAYOUT = Layout({**dict.fromkeys(FEATURES, "integer"), "label": "integer"})


def sample_of(rows: np.ndarray, limit: int = 100_000) -> Sample:
    """Of an array of shape ``(rows, 7)``, the label last."""
    batch = pa.record_batch([pa.array(column) for column in rows.T], names=[*FEATURES, "label"])
    return Sample.of(batch_of(batch, LAYOUT), limit)


def coded(seed: int, rows: int) -> np.ndarray:
    """Rows as of a coded survey: some are common, most have neighbours."""
    return np.minimum(np.random.default_rng(seed).zipf(1.6, (rows, 7)), 6)


def split(rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(len(rows))
    return rows[order[: len(rows) // 2]], rows[order[len(rows) // 2 :]]


def find(train: Sample, evaluation: Sample, differing: int = 1, **changes: Any) -> Any:
    return near.find(train, evaluation, FEATURES, LeakageSettings(label="label", near=differing, **changes))


@pytest.mark.parametrize("differing", [1, 2])
@pytest.mark.parametrize(("train_limit", "eval_limit"), [(150, 10_000), (10_000, 150), (200, 150)])
def test_random_splits_have_no_excess_though_a_sample_was_cut_off(
    differing: int, train_limit: int, eval_limit: int
) -> None:
    excess = []
    for seed in range(30):
        train, evaluation = split(coded(seed, 1_500), seed)
        found = find(sample_of(train, train_limit), sample_of(evaluation, eval_limit), differing)
        assert found.capped
        excess.append(found.excess.value)
    assert abs(np.mean(excess)) < 4 * np.std(excess) / np.sqrt(30) + 1e-3


@pytest.mark.parametrize("differing", [1, 2])
def test_the_interval_is_as_wide_as_random_splits_are_spread(differing: int) -> None:
    rows = coded(0, 1_200)
    found = [find(*map(sample_of, split(rows, seed)), differing) for seed in range(200)]
    spread = np.std([item.excess.value for item in found])
    stated = np.mean([(item.excess.high - item.excess.low) / 2 for item in found]) / 1.959964
    assert stated == pytest.approx(spread, rel=0.25)


def test_an_excess_over_two_features_is_told_where_most_rows_have_neighbours() -> None:
    random = np.random.default_rng(3)
    rows = random.integers(0, 9, (2_000, 7))
    train, evaluation = rows[:1_000], rows[1_000:]
    assert str(find(sample_of(train), sample_of(evaluation), 2).verdict) == "pass"
    altered = evaluation[:200].copy()
    altered[:, :2] += 100
    found = find(sample_of(np.concatenate([train, altered])), sample_of(evaluation), 2)
    assert found.excess.low > 0
    assert str(found.verdict) == "warn"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=9), min_size=1, max_size=6))
def test_the_marks_of_others_are_those_of_a_slow_twin(groups: list[list[int]]) -> None:
    sizes = np.array([len(group) for group in groups])
    marks = np.array([mark for group in groups for mark in group], np.uint64)
    slow = []
    for group in groups:
        for member in range(len(group)):
            others = 0
            for place, mark in enumerate(group):
                others |= mark if place != member else 0
            slow.append(others)
    assert near._of_others(marks, np.cumsum(sizes) - sizes, sizes).tolist() == slow


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 2)] * 7), min_size=2, max_size=30), st.integers(1, 4), st.randoms()
)
def test_neither_the_order_of_rows_nor_of_features_matters(
    rows: list[Any], differing: int, random: Any
) -> None:
    table = np.array(rows)
    half = len(table) // 2
    chosen = LeakageSettings(label="label", near=differing)
    first = near.find(sample_of(table[:half]), sample_of(table[half:]), FEATURES, chosen)
    names = random.sample(FEATURES, len(FEATURES))
    second = near.find(sample_of(table[:half][::-1]), sample_of(table[half:][::-1]), names, chosen)
    assert first.eval_near_train == second.eval_near_train
    assert first.expected_random_split == pytest.approx(second.expected_random_split, abs=1e-9)


def test_the_census_has_as_many_as_dicts_of_tuples_say() -> None:
    left_out = {data.WEIGHT, data.LABEL}
    features = [name for name in data.COLUMNS if name not in left_out]
    index = [data.COLUMNS.index(name) for name in features]
    sides = {name: [tuple(row) for row in data.examples(name)] for name in data.SPLITS}
    near_train: dict[tuple[int, tuple[str, ...]], set[str]] = defaultdict(set)
    for row in sides["train"]:
        for column in index:
            rest = tuple(row[other] for other in index if other != column)
            near_train[column, rest].add(row[column])
    slow = 0
    for row in sides["eval"]:
        rests = ((column, tuple(row[other] for other in index if other != column)) for column in index)
        slow += any(near_train.get(rest, set()) - {row[rest[0]]} for rest in rests)
    samples = []
    for rows in sides.values():
        batch = pa.record_batch([pa.array(column) for column in zip(*rows)], names=list(data.COLUMNS))
        samples.append(Sample.of(batch_of(batch, layout_of([("census", batch.schema)], None)), 100_000))
    found = near.find(*samples, features, LeakageSettings(label=data.LABEL))
    assert (found.eval_near_train, found.capped) == (slow, False)
    assert found.excess.low < 0 < found.excess.high
    assert str(found.verdict) == "pass"
