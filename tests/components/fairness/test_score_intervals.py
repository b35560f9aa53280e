"""Intervals of metrics of scores, by simulation: each draw is a slice of one table that is judged at once."""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from predictions import counted
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from tfx_trust.components.fairness.curves import calibration, mean_absolute_deviation
from tfx_trust.components.fairness.measure import Measured, measure
from tfx_trust.components.fairness.slicing import Amounts, Pooling

DRAWS = 400
BINS = 15
Sample = tuple[np.ndarray, np.ndarray]


def measured(score: np.ndarray, label: np.ndarray) -> Measured:
    """Metrics of draws, of shape ``(draws, examples)``."""
    draws, rows = score.shape
    names = np.repeat([f"{number:04d}" for number in range(draws)], rows)
    table = pa.table({"y": label.ravel().astype(int), "s": score.ravel(), "g": names})
    settings = {"label": "y", "slices": [["g"]], "discover": [], "max_values": 4_000, "max_distinct": 4_000}
    (counts,) = counted(table, settings, table.num_rows, score="s")
    counts = counts.canonical()
    return measure(counts, Pooling(counts))[1]


@cache
def predicted(rows: int, seed: int, off: float = 0.0, a: float = 2, b: float = 3) -> Measured:
    """Metrics of scores and labels that they predict: too near 0.5 if `off` is above 0, too far if below."""
    random = np.random.default_rng(seed)
    score = random.beta(a, b, (DRAWS, rows))
    chance = np.clip(score + off * (score - 0.5), 0, 1)
    return measured(score, random.random((DRAWS, rows)) < chance)


def true_calibration_error(off: float) -> float:
    """Of the bins, by numerical integration."""
    score = (np.arange(600_000) + 0.5) / 600_000
    density = stats.beta.pdf(score, 2, 3)
    gap = density * (np.clip(score + off * (score - 0.5), 0, 1) - score)
    return float(np.abs(gap.reshape(BINS, -1).sum(axis=1)).sum() / density.sum())


def coverage(found: Measured, metric: str, truth: float) -> float:
    low, high = found.columns[metric].interval(0.95)
    return float(np.mean((low <= truth) & (truth <= high)))


# Calibration error.


@pytest.mark.parametrize("rows", [200, 1_000])
@pytest.mark.parametrize("shape", [(2, 3), (0.5, 3)])
def test_a_calibrated_model_has_no_calibration_error_but_chance(
    rows: int, shape: tuple[float, float]
) -> None:
    found = predicted(rows, 2, 0.0, *shape).calibration
    assert found is not None
    assert found.raw.mean() > 0.01
    beyond = found.raw - found.chance
    assert abs(beyond.mean()) < max(3 * beyond.std() / DRAWS**0.5, 0.02 * found.raw.mean())


@pytest.mark.parametrize("off", [0.4, -0.4, -0.8])
@pytest.mark.parametrize("rows", [200, 1_000])
def test_the_error_of_a_model_that_is_not_calibrated_does_not_depend_on_the_count(
    rows: int, off: float
) -> None:
    """Less chance as a difference it would be a quarter to a half too small."""
    value = predicted(rows, 2, off).columns["calibration_error"].value
    assert value.mean() == pytest.approx(true_calibration_error(off), rel=0.25 if rows == 200 else 0.06)


@pytest.mark.parametrize("off", [0.0, 0.2, 0.4, -0.4, -0.8])
@pytest.mark.parametrize("rows", [200, 1_000])
def test_intervals_of_calibration_error_cover_it(rows: int, off: float) -> None:
    found = predicted(rows, 2, off)
    # Without error the interval begins at 0 nearly always.
    assert (
        0.92
        <= coverage(found, "calibration_error", true_calibration_error(off))
        <= (1 if off < 0.3 else 0.99)
    )


def test_slices_of_unlike_counts_differ_in_calibration_error_by_no_more_than_chance() -> None:
    """Though none is calibrated; the reference is a slice of the same model with many more examples."""
    few, many = (
        predicted(rows, seed, -0.4).columns["calibration_error"] for rows, seed in ((150, 3), (1_000, 4))
    )
    p = few.beyond(many, 0.0)
    assert np.mean(p < 0.05) <= 0.07
    low, high = few.difference(many, 0.95)
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(np.mean(p >= 0.05), abs=0.005)
    assert np.mean(few.beyond(many, 0.05) < 0.05) <= 0.01


def test_a_difference_of_calibration_errors_lies_beyond_a_bound_where_its_interval_does() -> None:
    first, second = (
        predicted(400, seed, off).columns["calibration_error"] for seed, off in ((5, -0.8), (6, 0.0))
    )
    for bound in (0.0, 0.05, 0.1):
        p = first.beyond(second, bound)
        assert p == pytest.approx(second.beyond(first, bound))
        for level in (0.8, 0.95, 0.999):
            low, high = first.difference(second, level)
            beyond = (low > bound) | (high < -bound)
            certain = np.abs(p - (1 - level)) > 1e-6
            assert ((p < 1 - level) == beyond)[certain].all()


def test_the_part_of_chance_is_what_simulation_gives() -> None:
    random = np.random.default_rng(0)
    score = random.beta(1, 2, 300)
    bins = np.minimum((score * BINS).astype(int), BINS - 1)
    sums = np.bincount(bins, score, BINS)
    number = np.bincount(bins, minlength=BINS)
    mean = np.divide(sums, number, out=np.zeros(BINS), where=number > 0)
    # Labels as the bin's mean score predicts them.
    positive = random.binomial(number, mean, (40_000, BINS))
    raw = np.abs(positive - number * mean).sum(axis=1) / 300
    count = np.stack([number, np.zeros(BINS, int)], axis=1)[None]
    given = calibration(
        Amounts(count, count.astype(float), count.astype(float)), np.stack([sums, 0 * sums], 1)[None]
    )
    assert given.chance[0] == pytest.approx(raw.mean(), rel=0.01)


@pytest.mark.parametrize("count", [1, 2, 7, 50, 1_001])
def test_the_mean_absolute_deviation_of_a_share_is_that_of_its_distribution(count: int) -> None:
    share = np.array([0.0, 1e-6, 0.01, 1 / 3, 0.5, 0.5 + 1e-9, 0.98, 1.0])
    hits = np.arange(count + 1)
    expected = [float((stats.binom.pmf(hits, count, p) * np.abs(hits / count - p)).sum()) for p in share]
    found = mean_absolute_deviation(np.full(len(share), float(count)), share)
    assert found == pytest.approx(np.array(expected), rel=1e-9, abs=1e-15)
    assert mean_absolute_deviation(np.zeros(2), np.array([0.3, 0.0])).tolist() == [0, 0]


# Means.


@pytest.mark.parametrize(("rows", "shape"), [(50, (2, 3)), (100, (0.5, 3)), (500, (2, 3))])
def test_intervals_of_brier_and_calibration_in_the_large_cover_them(
    rows: int, shape: tuple[float, float]
) -> None:
    found = predicted(rows, 7, 0.0, *shape)
    a, b = shape
    # E[s (1 - s)] of a beta distribution.
    brier = a * b / ((a + b) * (a + b + 1))
    assert 0.91 <= coverage(found, "brier", brier) <= 0.98
    assert 0.91 <= coverage(found, "calibration_in_the_large", 0.0) <= 0.98


# AUC.


def normal(mean: float, positives: int, negatives: int, seed: int, deviation: float = 1.0) -> Sample:
    """Scores of two normal distributions, on the scale of probabilities."""
    random = np.random.default_rng(seed)
    values = np.concatenate(
        [random.normal(mean, deviation, (DRAWS, positives)), random.normal(0, 1, (DRAWS, negatives))], axis=1
    )
    label = np.repeat([1, 0], [positives, negatives])
    return 1 / (1 + np.exp(1 - values)), np.broadcast_to(label, values.shape)


def true_auc(mean: float, deviation: float = 1.0) -> float:
    return float(stats.norm.cdf(mean / (1 + deviation**2) ** 0.5))


@pytest.mark.parametrize(
    ("auc", "positives", "negatives", "deviation"),
    [
        (0.95, 20, 20, 1.0),
        (0.95, 20, 200, 1.0),
        (0.95, 20, 2_000, 1.0),
        (0.95, 600, 20, 1.0),
        (0.99, 20, 200, 1.0),
        (0.99, 30, 900, 1.0),
        (0.76, 5, 100, 1.0),
        (0.76, 30, 30, 1.0),
        (0.76, 200, 500, 1.0),
        (0.5, 30, 100, 1.0),
        (0.9, 30, 300, 2.0),
        (0.98, 50, 50, 0.5),
    ],
)
def test_intervals_of_auc_cover_it_at_small_counts(
    auc: float, positives: int, negatives: int, deviation: float
) -> None:
    mean = float(stats.norm.ppf(auc)) * (1 + deviation**2) ** 0.5
    found = measured(*normal(mean, positives, negatives, 8, deviation))
    assert coverage(found, "auc", true_auc(mean, deviation)) >= 0.9
    if min(positives, negatives) >= 200:
        assert coverage(found, "auc", true_auc(mean, deviation)) <= 0.98


@pytest.mark.parametrize(("positives", "negatives"), [(1, 1), (5, 5), (20, 200), (1, 500)])
def test_a_perfect_ranking_is_not_a_certain_one(positives: int, negatives: int) -> None:
    score = np.concatenate([np.linspace(0.6, 0.9, positives), np.linspace(0.1, 0.4, negatives)])[None]
    label = np.repeat([1, 0], [positives, negatives])[None]
    for values, perfect in ((label, 1.0), (1 - label, 0.0)):
        column = measured(score, values).columns["auc"]
        low, high = (float(end[0]) for end in column.interval(0.95))
        assert column.value[0] == perfect
        # What as many right decisions would tell.
        least = min(positives, negatives)
        worst, _ = proportion_confint(least, least, method="wilson")
        assert high - low == pytest.approx(1 - worst)


def test_the_spread_of_auc_is_that_of_resampled_examples() -> None:
    """The bootstrap of the cells beside that of the rows."""
    score, label = (values[:1] for values in normal(1.0, 100, 300, 9))
    column = measured(np.repeat(score, 2, axis=0), np.repeat(label, 2, axis=0)).columns["auc"]
    random = np.random.default_rng(0)
    replicates = []
    for _ in range(500):
        chosen = random.integers(0, 400, 400)
        positive, negative = (score[0, chosen][label[0, chosen] == value] for value in (1, 0))
        replicates.append(stats.mannwhitneyu(positive, negative).statistic / (len(positive) * len(negative)))
    count = column.value[0] * (1 - column.value[0]) / np.var(replicates)
    assert column.basis[0] == pytest.approx(count, rel=0.25)
