"""Weights that make group and label independent."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_trust.components import InputError, example_weights
from tfx_trust.components.mitigation.reweigh import Cells, cell_factors, expected_sums


def by_hand(labels: Any, groups: Any) -> list[float]:
    """P(g) P(y) / P(g, y) of each example, counted one by one."""
    rows = list(zip(groups, labels))
    n = len(rows)
    return [
        (sum(g == group for g, _ in rows) / n)
        * (sum(y == label for _, y in rows) / n)
        / (rows.count((group, label)) / n)
        for group, label in rows
    ]


def test_they_are_those_of_the_paper() -> None:
    # Kamiran & Calders 2012, table 1: five men of whom four are hired, five women of whom two are.
    sex = ["M"] * 5 + ["F"] * 5
    hired = ["+"] * 4 + ["-"] + ["+"] * 2 + ["-"] * 3
    weights = dict(zip(zip(sex, hired), example_weights(hired, sex).round(2)))
    assert weights == {("M", "+"): 0.75, ("M", "-"): 2.0, ("F", "+"): 1.5, ("F", "-"): 0.67}


LABELLED = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0, 1, 2])), min_size=1, max_size=60)


@given(LABELLED)
def test_they_are_those_counted_one_by_one(rows: list[tuple[str, int]]) -> None:
    groups, labels = zip(*rows)
    found = example_weights(labels, list(groups))
    expected = np.array(by_hand(labels, groups))
    assert found.sum() == pytest.approx(len(rows))
    # Where a group lacks a label nothing can stand for it: the others then share its weight.
    assert found == pytest.approx(expected * len(rows) / expected.sum())


def test_group_and_label_are_independent_by_weight() -> None:
    random = np.random.default_rng(2)
    groups = random.choice(["a", "b", "c"], 3000, p=[0.6, 0.3, 0.1])
    labels = (random.random(3000) < np.where(groups == "a", 0.6, 0.2)).astype(int)
    own = random.random(3000) + 0.1
    for before in (None, own):
        weights = example_weights(labels, groups, before)
        total = weights.sum()
        assert total == pytest.approx(3000 if before is None else own.sum())
        for group in "abc":
            for label in (0, 1):
                both = weights[(groups == group) & (labels == label)].sum() / total
                assert both == pytest.approx(
                    weights[groups == group].sum() / total * weights[labels == label].sum() / total
                )


def test_strength_goes_from_nothing_to_all() -> None:
    labels, groups = [1, 1, 1, 0, 1, 0, 0, 0], ["a"] * 4 + ["b"] * 4
    spread = []
    for strength in (0.0, 0.5, 1.0):
        weights = example_weights(labels, groups, strength=strength)
        assert weights.sum() == pytest.approx(8)
        spread.append(np.ptp(weights))
    assert spread[0] == 0
    assert spread[1] < spread[2]
    # Both cells of a group keep the ratio of their powers.
    half = example_weights(labels, groups, strength=0.5)
    full = example_weights(labels, groups)
    assert half[3] / half[0] == pytest.approx((full[3] / full[0]) ** 0.5)


def test_small_groups_and_examples_without_one_keep_their_weight() -> None:
    labels = np.array([1, 1, 1, 0, 1, 0, 0, 0, 1, 0])
    groups = np.array(["a"] * 4 + ["b"] * 4 + ["few", None], object)
    own = np.arange(1.0, 11.0)
    weights = example_weights(labels, groups, own, min_count=2)
    assert weights[8:].tolist() == [9.0, 10.0]
    assert weights[:8].sum() == pytest.approx(own[:8].sum())


def test_a_label_that_a_group_lacks_is_told() -> None:
    cells = Cells("y", ["g"], 20)
    cells.add({"y": pa.array([0, 1, 0, 0]), "g": pa.array(["a", "a", "b", "b"])}, None)
    told = cells.factors().reweighing("w")
    (empty,) = (cell for cell in told.cells if cell.examples == 0)
    assert (empty.group, empty.label, empty.expected, empty.factor) == ({"g": "b"}, "1", 0.5, 1.0)
    assert told.gap_after > 0


def test_batches_come_to_the_same_as_one() -> None:
    random = np.random.default_rng(5)
    columns = {"y": pa.array(random.integers(0, 2, 500)), "g": pa.array(random.choice(["a", "b"], 500))}
    own = random.integers(1, 4, 500).astype(float)
    one, many = Cells("y", ["g"], 20), Cells("y", ["g"], 20)
    one.add(columns, own)
    for begin in (400, 100, 0):
        end = {400: 500, 100: 400, 0: 100}[begin]
        part = {name: array.slice(begin, end - begin) for name, array in columns.items()}
        many.add(part, own[begin:end])
    assert one.factors().reweighing("w") == many.factors().reweighing("w")


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 10**6))
def test_factors_keep_the_sum_and_the_expected_margins(rows: int, columns: int, seed: int) -> None:
    sums = np.random.default_rng(seed).integers(1, 50, (rows, columns)).astype(float)
    after = sums * cell_factors(sums)
    assert after == pytest.approx(expected_sums(sums))
    assert after.sum(axis=0) == pytest.approx(sums.sum(axis=0))
    assert after.sum(axis=1) == pytest.approx(sums.sum(axis=1))


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        (([0, None], ["a", "b"]), "label '\\(label\\)' is missing in 1 of 2"),
        (([0, 1], ["a", "b"], [1, -1]), "none negative"),
        (([0, 1], ["a", "b"], [0, 0]), "no examples with a weight above 0"),
        (([0, 1, 1], ["a", "b"]), "give one of each"),
    ],
)
def test_what_cannot_be_weighed_is_told(given_: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        example_weights(*given_)
