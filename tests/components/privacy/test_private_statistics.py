"""The noisy statistics: exact sums, sensitivity by brute force, noise of the stated scale, usable answers."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy import private_statistics as statistics
from tfx_trust.components.privacy.private_statistics import CELLS, GRID, Magnitudes, Moments, Ranks
from tfx_trust.pipelines.census import data

# So little that an answer is as without noise.
NONE = 1e-9


def sums_of(statistic, values, counts=None):
    values = np.asarray(values, float)
    values = values[:, None] if values.ndim == 1 else values
    counts = np.ones(values.shape, np.int64) if counts is None else np.asarray(counts).reshape(values.shape)
    return statistic.sums(values, counts)


@functools.cache
def root():
    """What is below the diagonal of the square root of the matrix of running sums, the slow way."""
    return np.array([math.comb(2 * k, k) / 4**k for k in range(1000)])


# Noise


def test_the_noise_is_normal():
    drawn = statistics.gaussian(200_001)
    assert drawn.shape == (200_001,)
    assert stats.kstest(drawn, "norm").pvalue > 1e-6
    # The two halves come of the same pairs.
    assert abs(np.corrcoef(drawn[:100_000], drawn[100_001:])[0, 1]) < 0.02


def test_the_noise_is_never_the_same():
    assert len({statistics.gaussian(1)[0] for _ in range(1000)}) == 1000


@pytest.mark.parametrize("columns", [1, 3])
def test_moments_are_as_noisy_as_declared(columns):
    count, multiplier = 10_000, 20.0
    moments = Moments(columns)
    # Half of the values are -1/2, half 1/2: the mean is 0, 2u² - 1 is -1/2.
    total = sums_of(moments, np.tile([[0.5], [-0.5]], (count // 2, columns)))
    drawn = np.array([moments.released(total, multiplier) for _ in range(2000)])
    mean, variance = drawn[:, :columns], drawn[:, columns:]
    deviation = multiplier * math.sqrt(3 * columns) / count
    assert mean.std() == pytest.approx(deviation, rel=0.1)
    # (w + noise) / (n + noise) / 2, where w / n is -1/2.
    assert variance.std() == pytest.approx(deviation * math.sqrt(1.25) / 2, rel=0.1)
    assert abs(mean.mean()) < 6 * deviation / math.sqrt(mean.size)
    if columns > 1:
        assert abs(np.corrcoef(mean[:, 0], mean[:, 1])[0, 1]) < 0.1


def test_running_sums_are_as_noisy_as_declared():
    size, multiplier, repeats = 50, 5.0, 1000
    factor = np.array([[root()[i - j] if i >= j else 0.0 for j in range(size)] for i in range(size)])
    np.testing.assert_allclose(factor @ factor, np.tril(np.ones((size, size))), atol=1e-12)
    ranks = Ranks((4, 4))
    total = sums_of(ranks, np.full((7, 2), -1.0))
    drawn = np.array([ranks.running(total, multiplier) for _ in range(repeats)])
    assert drawn.shape == (repeats, 2, CELLS)
    # The sensitivity of two columns.
    deviation = multiplier * ranks.sensitivity / GRID
    for last in (0, 10, 999):
        expected = deviation * math.sqrt(np.sum(root()[: last + 1] ** 2))
        assert drawn[:, :, last].std() == pytest.approx(expected, rel=0.1)
        assert abs(drawn[:, :, last].mean() - 7) < 6 * expected / math.sqrt(2 * repeats)
    covariance = np.cov(drawn[:, 0, :size].T) / deviation**2
    np.testing.assert_allclose(covariance, factor @ factor.T, atol=10 / math.sqrt(repeats))


@pytest.mark.parametrize("above", [0, 1])
def test_cells_of_bounds_are_as_noisy_as_declared(above):
    multiplier = 50.0
    magnitudes = Magnitudes(1)
    threshold = -multiplier * stats.norm.ppf(statistics.FAILURE / magnitudes.size)
    total = sums_of(magnitudes, np.ones(round(threshold + above * multiplier)))
    found = 0
    for _ in range(600):
        try:
            magnitudes.released(total, multiplier)
            found += 1
        except InputError:
            pass
    assert stats.binomtest(found, 600, stats.norm.cdf(above)).pvalue > 1e-5


def test_counts_of_words_are_as_noisy_as_declared():
    drawn = np.array([statistics.noisy_count(10_000, 30.0, 1e-6) for _ in range(4000)])
    assert stats.kstest((drawn - 10_000) / 30, "norm").pvalue > 1e-6


def test_a_word_of_one_example_is_kept_with_probability_delta():
    kept = sum(statistics.noisy_count(1, 3.0, 0.05) is not None for _ in range(20_000))
    assert stats.binomtest(kept, 20_000, 0.05).pvalue > 1e-6
    assert statistics.threshold(3.0, 0.05) == pytest.approx(1 + 3 * stats.norm.isf(0.05))


# Sensitivity


def norm_of(statistic, change):
    """What is between two sums, as the noise is added to it."""
    if isinstance(statistic, Ranks):
        # The change times B; f(k) / f(k-1) = (2k - 1) / 2k.
        steps = np.arange(1, CELLS)
        f = np.concatenate([[1.0], np.cumprod((2 * steps - 1) / (2 * steps))])
        np.testing.assert_allclose(f[:1000], root())
        change = [
            sum(each[cell] * np.pad(f, (cell, 0))[:CELLS] for cell in np.flatnonzero(each))
            for each in change.reshape(-1, CELLS)
        ]
    return math.sqrt(sum(np.sum(np.square(each, dtype=float)) for each in change))


NUMBERS = st.one_of(
    st.sampled_from([-math.inf, -1.0, -0.5, 0.0, 0.5, 1.0, math.inf, 1e300, -1e-300]), st.floats(-1.5, 1.5)
)


@given(
    statistic=st.sampled_from([Moments(2), Magnitudes(2), Ranks((3, 5))]),
    rows=st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans(), st.booleans()), min_size=1, max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_one_example_changes_a_sum_by_no_more_than_the_sensitivity(statistic, rows):
    values = np.array([row[:2] for row in rows])
    counts = np.array([row[2:] for row in rows], np.int64)
    total = statistic.sums(values, counts)
    for left_out in range(len(rows)):
        rest = statistic.sums(np.delete(values, left_out, 0), np.delete(counts, left_out, 0))
        assert norm_of(statistic, total - rest) <= statistic.sensitivity * (1 + 1e-12)


@pytest.mark.parametrize("statistic", [Moments(2), Magnitudes(2), Ranks((3, 5))])
def test_an_example_can_reach_the_sensitivity(statistic):
    values = np.array([[-1.0, -1.0]])
    reached = norm_of(statistic, sums_of(statistic, values)) / statistic.sensitivity
    assert reached == pytest.approx(1)


@given(
    statistic=st.sampled_from([Moments(1), Magnitudes(1), Ranks((4,))]),
    values=st.lists(NUMBERS, min_size=2, max_size=30),
    cut=st.integers(1, 29),
)
@settings(max_examples=40, deadline=None)
def test_sums_of_parts_add_up_exactly(statistic, values, cut):
    parts = [part for part in (values[:cut], values[cut:]) if part]
    np.testing.assert_array_equal(sums_of(statistic, values), sum(sums_of(statistic, part) for part in parts))


def test_absent_values_count_for_nothing():
    for statistic in (Moments(1), Magnitudes(1), Ranks((4,))):
        there = sums_of(statistic, [0.25, 0.5])
        with_absent = sums_of(statistic, [0.25, math.nan, 0.5, math.inf], [1, 0, 1, 0])
        np.testing.assert_array_equal(there, with_absent)


# Answers


@given(values=st.lists(st.floats(-1, 1), min_size=5, max_size=50))
@settings(max_examples=50, deadline=None)
def test_without_noise_moments_are_the_sample_s(values):
    mean, variance = Moments(1).released(sums_of(Moments(1), values), NONE)
    assert mean == pytest.approx(np.mean(values), abs=1e-5)
    assert variance == pytest.approx(np.var(values), abs=1e-5)


@pytest.mark.parametrize("rows", [0, 1, 30])
def test_under_all_the_noise_answers_stay_consistent(rows):
    values = np.random.default_rng(1).uniform(-1, 1, (rows, 2))
    moments, ranks = Moments(2), Ranks((5, 9))
    for _ in range(30):
        mean, variance = moments.released(sums_of(moments, values), 1e4).reshape(2, 2)
        assert (np.abs(mean) <= 1).all()
        assert ((variance > 0) & (variance <= 1)).all()
        edges = ranks.released(sums_of(ranks, values), 1e4)
        assert (np.abs(edges) <= 1).all()
        assert (np.diff(edges[:4]) >= 0).all()
        assert (np.diff(edges[4:]) >= 0).all()


def test_a_variance_is_not_told_as_less_than_noise_could_hide():
    moments = Moments(1)
    total = sums_of(moments, np.zeros(1000))
    least = [moments.released(total, 5.0)[1] for _ in range(200)]
    assert min(least) >= 5 * math.sqrt(3) / 1000 * 0.9


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 5.0, 100.0], (1, 128)),
        ([-3.0, -0.75], (-4, -0.5)),
        ([-3.0, 0.0, 8.0], (-4, 16)),
        ([0.0, 2.0**-40], (0, 0)),
        ([0.0, 3.0], (0, 4)),
        ([-3.0, 0.0], (-4, 0)),
        ([math.inf, 1.0], (1, 2.0**64)),
    ],
)
def test_bounds_are_the_powers_of_two_around(values, expected):
    found = Magnitudes(1).released(sums_of(Magnitudes(1), np.repeat(values, 100)), 1.0)
    assert tuple(found) == expected


def test_bounds_leave_out_what_noise_could_hide():
    values = np.concatenate([np.full(10_000, 5.0), [1e6]])
    assert tuple(Magnitudes(1).released(sums_of(Magnitudes(1), values), 10.0)) == (4, 8)


def test_bounds_of_too_few_values_are_refused():
    with pytest.raises(
        InputError, match=r"column 1 .* stand out from noise \(about 98\).*lower the noise multiplier"
    ):
        Magnitudes(2).released(sums_of(Magnitudes(2), np.ones((500, 2)), np.tile([1, 0], (500, 1))), 10.0)


def test_without_noise_quantiles_cut_as_they_should():
    values = np.random.default_rng(2).normal(0, 0.3, 5001)
    edges = Ranks((4,)).released(sums_of(Ranks((4,)), values), NONE)
    np.testing.assert_allclose(edges, np.quantile(values, [0.25, 0.5, 0.75]), atol=2 / CELLS)


def test_a_value_on_an_edge_is_in_the_upper_bucket():
    # 0 is the edge of a cell.
    edges = Ranks((2,)).released(sums_of(Ranks((2,)), [-1.0] * 49 + [0.0] * 51), NONE)
    assert -2 / CELLS < edges[0] <= 0


def test_words_are_ordered_by_their_noisy_counts():
    assert statistics.ordered({b"a": 2.5, b"b": 7.0, b"c": 2.5}, None) == [b"b", b"a", b"c"]
    assert statistics.ordered({b"a": 2.5, b"b": 7.0}, 1) == [b"b"]


@pytest.mark.parametrize(("column", "low", "high"), [("age", 17, 90), ("hours_per_week", 1, 99)])
def test_census_columns_are_found_well(column, low, high):
    place = data.COLUMNS.index(column)
    values = np.array([float(row[place]) for row in data.examples("train")])
    scaled = (values - (low + high) / 2) / ((high - low) / 2)
    mean, variance = Moments(1).released(sums_of(Moments(1), scaled), 30.0)
    assert mean == pytest.approx(scaled.mean(), abs=0.02 * scaled.std())
    assert math.sqrt(variance) == pytest.approx(scaled.std(), rel=0.05)
    edges = Ranks((8,)).released(sums_of(Ranks((8,)), scaled), 30.0)
    for edge, share in zip(edges, np.arange(1, 8) / 8):
        # Many have the same value: the edge's rank has to be around, within noise, 6 of 3.7 × 30.
        below, up_to = (scaled < edge).mean(), (scaled < edge + 2 / CELLS).mean()
        assert below - 700 / len(values) <= share <= up_to + 700 / len(values)


# What is refused


def test_nan_is_refused():
    with pytest.raises(
        InputError, match=r"wage: values are NaN \(1 of 3 in a batch\); leave them out by `where`"
    ):
        statistics.checked(np.array([[1.0], [math.nan], [2.0]]), np.ones((3, 1), int), "wage")
    statistics.checked(np.array([[1.0], [math.nan]]), np.array([[1], [0]]), "wage")


def test_several_values_of_an_example_are_refused():
    with pytest.raises(InputError, match=r"tags: examples have more than one value \(2 of 3 in a batch\)"):
        statistics.checked(np.array([b"a", b"b", b"c"], object), np.array([2, 1, 3]), "tags")


@pytest.mark.parametrize("multiplier", [0, -1, math.nan, math.inf, None, "30"])
def test_noise_multipliers_are_positive_numbers(multiplier):
    with pytest.raises(InputError, match=r"wage: noise_multiplier must be a positive number, such as 30"):
        statistics.checked_multiplier(multiplier, "wage")


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (3, 3, "low must be below high, and both finite; found low = 3, high = 3"),
        (0, math.inf, "both finite"),
        ([0, 1], [2, 1], "low must be below high"),
        ([0, 1, 2], 5, r"low has shape \(3,\), and x has 2 columns"),
    ],
)
def test_bounds_are_checked(low, high, message):
    with pytest.raises(InputError, match=message):
        statistics.checked_bounds(low, high, 2, "wage")


def test_sums_are_whole_numbers_on_the_grid():
    assert sums_of(Moments(1), [0.1]).dtype == np.int64
    assert sums_of(Magnitudes(1), [0.1, 0.2]).sum() == 2 * GRID
    assert sums_of(Ranks((2,)), [0.1, 0.2]).sum() == 2 * GRID
