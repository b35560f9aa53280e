"""The closed forms against simulation and scipy."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tfx_trust.components.leakage.chance import (
    collision_probabilities,
    independent_columns,
    random_split,
)
from tfx_trust.components.leakage.columns import Layout
from tfx_trust.components.leakage.sample import Sample
from tfx_trust.components.leakage.tables import batch_of


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=40), st.integers(1, 60))
def test_the_mean_is_that_of_the_hypergeometric_distribution(sizes: list[int], drawn: int) -> None:
    total = sum(sizes)
    drawn = min(drawn, total - 1) or 1
    if total == 1:
        return
    expected = sum(sum(x * stats.hypergeom.pmf(x, total, size, drawn) for x in range(size)) for size in sizes)
    counts = {size: sizes.count(size) for size in sizes}
    assert random_split(counts, total - drawn, drawn).expected == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_mean_and_deviation_are_those_of_simulated_splits(share: float) -> None:
    random = np.random.default_rng(0)
    sizes = random.choice([1, 2, 3, 7, 40], 400, p=[0.6, 0.2, 0.1, 0.08, 0.02])
    groups = np.repeat(np.arange(len(sizes)), sizes)
    drawn = int(len(groups) * share)
    found = []
    for _ in range(3_000):
        order = random.permutation(groups)
        found.append(np.isin(order[:drawn], order[drawn:]).sum())
    counts = dict(zip(*(array.tolist() for array in np.unique(sizes, return_counts=True))))
    chance = random_split(counts, len(groups) - drawn, drawn)
    assert chance.expected == pytest.approx(np.mean(found), abs=4 * np.std(found) / 3_000**0.5)
    assert chance.sd == pytest.approx(np.std(found), rel=0.06)


def test_no_duplicates_give_no_overlap_and_no_spread() -> None:
    chance = random_split({1: 100}, 60, 40)
    assert (chance.expected, chance.sd, chance.p_value(0)) == (
        pytest.approx(0, abs=1e-9),
        pytest.approx(0, abs=1e-6),
        1.0,
    )


def test_rows_that_all_differ_speak_for_no_copies_however_many_there_are() -> None:
    chance = random_split({1: 45_585}, 29_304, 16_281)
    assert chance.expected >= 0
    assert chance.p_value(0) == 1


def test_rows_that_all_equal_each_other_are_all_expected_in_both() -> None:
    assert random_split({1_000_000: 1}, 600_000, 400_000).expected == pytest.approx(400_000)


def test_independent_columns_give_the_overlap_that_they_have() -> None:
    random = np.random.default_rng(3)
    layout = Layout({"a": "integer", "b": "integer", "c": "integer"})

    def draw(rows: int) -> pa.RecordBatch:
        columns = [random.integers(0, limit, rows) for limit in (20, 30, 40)]
        return pa.record_batch([pa.array(column) for column in columns], names=list("abc"))

    train, evaluation = draw(3_000), draw(2_000)
    samples = [Sample.of(batch_of(side, layout), 10_000) for side in (train, evaluation)]
    collisions = collision_probabilities(*samples, "abc")
    assert collisions["a"] == pytest.approx(1 / 20, rel=0.02)
    known = set(zip(*(train[index].to_pylist() for index in range(3))))
    observed = sum(row in known for row in zip(*(evaluation[index].to_pylist() for index in range(3))))
    expected = independent_columns(collisions, "abc", 3_000, 2_000)
    assert expected == pytest.approx(observed, rel=0.1)
