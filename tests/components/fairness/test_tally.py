"""What the counts are made of: ranks of scores, sums in whole numbers, values as codes."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from predictions import judged, of_slice, people
from sklearn.metrics import roc_auc_score

from tfx_trust.components.fairness import ranks
from tfx_trust.components.fairness.coding import Coder, bucket_names, texts
from tfx_trust.components.fairness.curves import areas
from tfx_trust.components.fairness.slicing import Ranked
from tfx_trust.components.fairness.tally import Tally, firsts, from_limbs, in_limbs

scores = st.floats(0, 1)
near = st.one_of(
    scores,
    st.floats(0, 1, width=32),
    st.floats(0, 2.0**-30),
    st.floats(0, 2.0**-30).map(lambda value: 1 - value),
    st.sampled_from([0.0, -0.0, 2.0**-32, 2.0**-33, 5e-324, 0.5, 1 - 2.0**-32, 1 - 2.0**-53, 1.0]),
    st.sampled_from([float(np.nextafter(0.5, 0)), float(np.nextafter(0.5, 1))]),
)


# Ranks.


@given(st.lists(near, min_size=2, max_size=50))
def test_a_greater_score_has_the_same_rank_or_a_greater_one(values: list[float]) -> None:
    found = ranks.of(np.array(sorted(values)))
    assert (np.diff(found) >= 0).all()
    assert found.min() >= 0
    assert found.max() < 2**ranks.BITS


@given(near)
def test_the_middle_of_a_rank_lies_in_it_and_near_its_scores(value: float) -> None:
    rank = ranks.of(np.array([value]))
    middle = ranks.middles(rank)
    assert 0 <= middle[0] <= 1
    assert ranks.of(middle) == rank
    nearest = min(value, 1 - value)
    assert abs(middle[0] - value) <= nearest * 2.0**-12 + 2.0**-32


def test_middles_of_all_ranks_ascend() -> None:
    every = np.unique(ranks.of(np.linspace(0, 1, 2_000_001)))
    assert (np.diff(ranks.middles(every)) > 0).all()
    assert (ranks.of(ranks.middles(every)) == every).all()


@given(st.floats(0, 1, width=32), st.integers(1, 1_000))
@example(2.0**-40, 1)
@example(0.5, 1)
def test_scores_of_32_bits_differ_in_their_rank_or_in_what_it_leaves_out(value: float, steps: int) -> None:
    pair = np.array([value, min(1.0, value + steps * float(np.spacing(np.float32(value))))])
    if pair[0] != pair[1] and min(pair[0], 1 - pair[1]) >= 2.0**-32:
        both = list(zip(ranks.of(pair).tolist(), ranks.rests(pair).tolist()))
        assert both[0] != both[1]


@given(near)
def test_what_a_rank_leaves_out_fits_15_bits(value: float) -> None:
    rest = int(ranks.rests(np.array([value]))[0])
    assert 0 <= rest < 2**15


@pytest.mark.parametrize(
    "pair",
    [
        (0.3, 0.3 + 1e-12),
        (0.7, 0.7 + 1e-12),
        (0.0, 1e-20),
        (2.0**-40, 2.0**-41),
        (1e-15, 1e-16),
        (0.1, 0.1 + 2e-17),
    ],
)
def test_the_bound_of_auc_tells_of_scores_that_one_rank_holds_however_close(
    pair: tuple[float, float],
) -> None:
    """Ordered as they are, AUC is 1; taken for equal, 1/2."""
    assert pair[0] != pair[1]
    label = [0, 1] * 50
    table = people(100, y=label, s=[pair[value] for value in label])
    metric = of_slice(judged(table)).metrics["auc"]
    assert (metric.value, metric.bound) == (0.5, 0.5)
    equal = of_slice(judged(people(100, y=label, s=[pair[0]] * 100))).metrics["auc"]
    assert (equal.value, equal.bound) == (0.5, 0.0)


def test_many_scores_of_one_rank_are_told_from_one_score() -> None:
    """Sums of squares that do not fit 64 bits would not tell."""
    rows = 1 << 21
    score = np.where(np.arange(rows) % 2, 0.25, 0.25 + 2.0**-16)
    table = pa.table({"y": np.arange(rows) % 2, "s": score, "g": ["a", "b"] * (rows // 2)})
    assert of_slice(judged(table, {"replicates": 100})).metrics["auc"].bound == 0.5


@given(st.lists(st.tuples(near, st.booleans()), min_size=2, max_size=60))
def test_auc_lies_within_its_bound_of_that_of_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    score, label = np.array([score for score, _ in rows]), np.array([label for _, label in rows])
    if 0 < label.sum() < len(label):
        order = np.argsort(ranks.of(score), kind="stable")
        score, label = score[order], label[order].astype(int)
        distinct, place = np.unique(ranks.of(score), return_inverse=True)
        mixed = np.array([len(set(score[place == number])) > 1 for number in range(len(distinct))])
        entries = Ranked(
            np.zeros(len(score), int),
            place.ravel(),
            label,
            np.ones(len(score)),
            ranks.middles(distinct),
            mixed,
        )
        own = (np.arange(len(score)) % 2).astype(np.int64)
        inside, outside = areas(entries, own, 2)
        for slice_ in (0, 1):
            for found, part in ((inside, own == slice_), (outside, own != slice_)):
                if 0 < label[part].sum() < part.sum():
                    exact = roc_auc_score(label[part], score[part])
                    assert abs(found.value[slice_] - exact) <= found.bound[slice_] + 1e-12
                else:
                    assert np.isnan(found.value[slice_])


# Sums.


@given(st.lists(st.floats(0, 2.0**60), min_size=1, max_size=30))
def test_limbs_hold_a_number_but_for_what_lies_below_the_lowest(values: list[float]) -> None:
    limbs = in_limbs(np.array(values), 1, -2)
    assert limbs.shape == (4, len(values))
    assert (limbs >= 0).all()
    for value, parts in zip(values, limbs.T.tolist()):
        exact = sum(Fraction(part) * Fraction(2) ** (30 * limb) for part, limb in zip(parts, (1, 0, -1, -2)))
        assert 0 <= Fraction(value) - exact < Fraction(2) ** -60


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_sums_of_limbs_are_exact_in_any_order(values: list[float], random: object) -> None:
    limbs = in_limbs(np.array(values), 1, -2)
    total = from_limbs(limbs.sum(axis=1), 1)
    assert total == pytest.approx(math.fsum(values), rel=1e-14, abs=1e-15)
    assert total == from_limbs(limbs[:, ::-1].sum(axis=1), 1)


keyed = st.lists(st.tuples(st.integers(-5, 5), st.integers(-100, 100)), max_size=40)


@given(keyed, keyed)
def test_tallies_add_up_by_key(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    parts = [
        Tally.of(
            np.array([key for key, _ in rows], np.int64), np.array([[n, 1] for _, n in rows]).reshape(-1, 2)
        )
        for rows in (first, second)
    ]
    found = Tally.together([*parts, Tally.empty(2)])
    expected: dict[int, tuple[int, int]] = {}
    for key, number in first + second:
        before = expected.get(key, (0, 0))
        expected[key] = (before[0] + number, before[1] + 1)
    assert dict(zip(found.keys.tolist(), map(tuple, found.sums.tolist()))) == expected
    assert found.keys.tolist() == sorted(expected)
    counted = Tally.counting(np.array([key for key, _ in first], np.int64))
    assert dict(zip(counted.keys.tolist(), counted.sums[:, 0].tolist())) == {
        key: sum(key == other for other, _ in first) for key, _ in first
    }


@given(st.lists(st.integers(0, 4)))
def test_firsts_are_where_sorted_keys_change(keys: list[int]) -> None:
    ordered = sorted(keys)
    assert firsts(np.array(ordered, int)).tolist() == [ordered.index(key) for key in sorted(set(keys))]


# Codes.


@given(st.lists(st.one_of(st.none(), st.text(max_size=3), st.integers(0, 20).map(str)), max_size=30))
def test_codes_name_the_values_and_sorted_ones_do_not_depend_on_the_order(values: list[str | None]) -> None:
    coder, backwards = Coder("g", None, 100), Coder("g", None, 100)
    codes = coder.codes(pa.array(values, pa.string()))
    backwards.codes(pa.array(values[::-1], pa.string()))
    names = [None, *coder.values]
    assert [names[code] for code in codes] == [value or None for value in values]
    mapped = coder.sorted()
    backwards.sorted()
    assert coder.values == backwards.values
    assert [[None, *coder.values][mapped[code]] for code in codes] == [value or None for value in values]


def test_numbers_are_sorted_by_their_size_and_before_texts() -> None:
    coder = Coder("g", None, 100)
    coder.codes(pa.array(["b", "10", "9", "-1", "2.5", "nan", "inf", "a"]))
    coder.sorted()
    assert coder.values == ["-1", "2.5", "9", "10", "a", "b", "inf", "nan"]


def test_too_many_values_are_told_and_coded_as_nothing() -> None:
    coder, other = Coder("g", None, 3), Coder("g", None, 3)
    assert coder.codes(pa.array(["a", "b"])).tolist() == [1, 2]
    assert coder.codes(pa.array(["b", "c", "d"])).tolist() == [0, 0, 0]
    assert coder.overflown
    assert coder.codes(pa.array(["a"])).tolist() == [0]
    assert not other.overflown
    other.met(coder)
    assert other.overflown


@given(st.lists(st.floats(-1e18, 1e18), min_size=1, max_size=8, unique=True).map(sorted))
def test_names_of_buckets_differ(edges: list[float]) -> None:
    names = bucket_names(edges)
    assert len(set(names)) == len(edges) + 1
    assert all(
        low.split(", ")[-1].rstrip(")") == high.split(",")[0].lstrip("[")
        for low, high in pairwise(names[1:-1])
    )


def test_texts_of_numbers_tell_them_apart() -> None:
    values = [0.1, 0.1 + 1e-16, 3.0, 2.0**53 + 2, 1e300, math.inf, -math.inf, -0.0, math.nan]
    assert texts(pa.array(values)) == [
        "0.1",
        "0.1000000000000001",
        "3",
        "9007199254740994.0",
        "1e+300",
        "inf",
        "-inf",
        "0",
        None,
    ]
