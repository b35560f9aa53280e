"""Near duplicates against a slow twin that compares all pairs."""

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
from tfx_trust.components.leakage.tables import batch_of

FEATURES = ["a", "b", "c", "d"]
LAYOUT = Layout({**dict.fromkeys(FEATURES, "integer"), "label": "integer"})

Rows = list[tuple[int, ...]]
rows_strategy = st.lists(st.tuples(*[st.integers(0, 3)] * 4, st.integers(0, 1)), min_size=1, max_size=25)


def sample_of(rows: Rows, limit: int = 100_000) -> Sample:
    columns = [pa.array(column) for column in zip(*rows)]
    return Sample.of(batch_of(pa.record_batch(columns, names=[*FEATURES, "label"]), LAYOUT), limit)


def find(train: Rows, evaluation: Rows, differing: int, **changes: Any) -> Any:
    chosen = LeakageSettings(label="label", near=differing, **changes)
    return near.find(sample_of(train), sample_of(evaluation), FEATURES, chosen)


def close(one: tuple[int, ...], other: tuple[int, ...], differing: int) -> bool:
    return 1 <= sum(a != b for a, b in zip(one[:4], other[:4])) <= differing


@settings(max_examples=80, deadline=None)
@given(rows_strategy, rows_strategy, st.integers(1, 3))
def test_it_finds_what_comparing_all_pairs_finds(train: Rows, evaluation: Rows, differing: int) -> None:
    found = find(train, evaluation, differing)
    slow = sum(any(close(row, other, differing) for other in train) for row in evaluation)
    assert found.eval_near_train == slow
    assert (found.train_rows, found.eval_rows, found.capped) == (len(train), len(evaluation), False)


@pytest.mark.parametrize("differing", [1, 2])
def test_the_expectation_is_that_of_simulated_splits(differing: int) -> None:
    random = np.random.default_rng(1)
    pooled = [tuple(row) for row in random.integers(0, [4, 9][differing - 1], (90, 5)).tolist()]
    found = []
    for _ in range(400):
        order = random.permutation(90)
        train, evaluation = ([pooled[row] for row in part] for part in (order[:60], order[60:]))
        result = find(train, evaluation, differing)
        found.append(result.eval_near_train)
    # It depends on the pooled rows alone, so each split tells the same.
    assert result.expected_random_split == pytest.approx(np.mean(found), abs=4 * np.std(found) / 20)


def test_corrected_copies_are_warned_of_and_a_random_split_is_not() -> None:
    random = np.random.default_rng(5)
    rows = [(*row, 0) for row in random.integers(0, 60, (1_500, 4)).tolist()]
    train, evaluation = rows[:1_000], rows[1_000:]
    assert str(find(train, evaluation, 1).verdict) == "pass"
    corrected = [(a + 100, b, c, d, e) for a, b, c, d, e in evaluation[:100]]
    found = find([*train, *corrected], evaluation, 1)
    assert found.eval_near_train >= 100
    assert str(found.verdict) == "warn"
    assert found.excess.low > 0


def test_large_blocks_are_searched_in_part_and_that_is_told() -> None:
    rows = [(n, n + 1, 0, 0, 0) for n in range(300)]
    found = find(rows[:200], rows[200:], 2, near_bucket=16)
    assert found.capped
    assert "share a block with too many others" in found.note


def test_a_sample_is_told_to_be_one() -> None:
    rows = [(n, 0, 0, 0, 0) for n in range(50)]
    chosen = LeakageSettings(label="label")
    found = near.find(sample_of(rows, limit=20), sample_of(rows), FEATURES, chosen)
    assert found.capped
    assert "train was searched among 20 of its different rows" in found.note
