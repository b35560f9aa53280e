"""Gap, accuracy and price with their intervals, against other libraries and the plain way."""

import numpy as np
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from tfx_trust.components import intervals
from tfx_trust.components.mitigation.config import ThresholdSettings
from tfx_trust.components.mitigation.measure import Decided, Sample, paid


@pytest.fixture
def rows() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    groups = random.integers(-1, 2, 900)
    labels = random.integers(0, 2, 900)
    return {
        "numbers": groups,
        "scores": np.round(random.random(900) * 0.7 + 0.3 * labels, 2),
        "labels": labels,
    }


def sample_of(rows: dict[str, np.ndarray], weights: np.ndarray | None = None) -> Sample:
    return Sample.of(rows["numbers"], 2, rows["scores"], rows["labels"], weights)


def test_intervals_are_those_of_statsmodels(rows: dict[str, np.ndarray]) -> None:
    settings = ThresholdSettings(constraint="equal_opportunity")
    decided = Decided.of(sample_of(rows), [0.5, 0.6], settings, 0.5)
    found = decided.outcome(settings, np.ones(2, bool))
    bounds = np.select([rows["numbers"] == 1], [0.6], 0.5)
    positive = rows["scores"] >= bounds
    right = int((positive == rows["labels"]).sum())
    assert found.accuracy.value == right / 900
    low, high = proportion_confint(right, 900, method="wilson")
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx((low, high))
    counts = [
        (int(positive[of].sum()), int(of.sum()))
        for group in (0, 1)
        for of in [(rows["numbers"] == group) & (rows["labels"] == 1)]
    ]
    ends = confint_proportions_2indep(*counts[0], *counts[1], method="newcomb", compare="diff")
    assert found.gap.value == pytest.approx(abs(counts[0][0] / counts[0][1] - counts[1][0] / counts[1][1]))
    absolute = (max(ends[0], -ends[1], 0), max(ends[1], -ends[0]))
    assert (found.gap.low, found.gap.high) == pytest.approx(absolute)


def test_the_price_is_paired_on_the_examples_that_are_decided_otherwise(rows: dict[str, np.ndarray]) -> None:
    settings = ThresholdSettings()
    found = paid(sample_of(rows), [0.35, 0.7], settings, 0.5)
    worse = better = 0
    for group, score, label in zip(rows["numbers"], rows["scores"], rows["labels"]):
        bound = {0: 0.35, 1: 0.7}.get(int(group), 0.5)
        before, after = int(score >= 0.5) == label, int(score >= bound) == label
        worse += before and not after
        better += after and not before
    assert found.value == pytest.approx((worse - better) / 900)
    ends = intervals.paired(np.array(worse), np.array(better), np.array(900), 0.95)
    assert (found.low, found.high) == pytest.approx((float(ends[0]), float(ends[1])))


def test_intervals_rest_on_the_effective_count(rows: dict[str, np.ndarray]) -> None:
    settings = ThresholdSettings()
    plain = Decided.of(sample_of(rows), [0.5, 0.5], settings, 0.5)
    same = Decided.of(sample_of(rows, np.full(900, 7.0)), [0.5, 0.5], settings, 0.5)
    uneven = Decided.of(sample_of(rows, np.tile([1.0, 9.0], 450)), [0.5, 0.5], settings, 0.5)
    assert same.effective == pytest.approx(plain.effective) == 900
    assert uneven.effective == pytest.approx(900 * 5**2 / 41)


def test_a_group_with_few_examples_of_a_label_is_not_compared(rows: dict[str, np.ndarray]) -> None:
    settings = ThresholdSettings(min_count=150)
    decided = Decided.of(sample_of(rows), [0.5, 0.5], settings, 0.5)
    counts = [
        min(((rows["numbers"] == group) & (rows["labels"] == label)).sum() for label in (0, 1))
        for group in (0, 1)
    ]
    assert decided.enough(settings).tolist() == [count >= 150 for count in counts]
