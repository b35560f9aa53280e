"""Statistics of tables of bins by classes, against scikit-learn and simulation; and the bins."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import log_loss, roc_auc_score

from tfx_trust.components.leakage.coding import edges
from tfx_trust.components.leakage.heldout import (
    Ranking,
    Tables,
    auc_estimate,
    left_out_loss,
    nmi_estimate,
    prior,
    probabilities,
)

# Statistics of tables.


@st.composite
def coded(draw: st.DrawFn, most_classes: int = 4) -> Tables:
    """Tables in which each class occurs in eval, with weights."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(2, most_classes)))
    counts = hnp.arrays(np.int64, shape, elements=st.integers(0, 5))
    train, mass = draw(counts).astype(float), draw(counts).astype(float)
    mass[0, mass.sum(axis=0) == 0] = 1.0
    weight = draw(st.sampled_from([1.0, 0.5, 3.0]))
    return Tables(train, mass * weight, mass * weight**2, train.sum(axis=0), int(mass.sum()))


def rows_of(found: Tables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, label and weight of one row for each cell of eval that has any mass."""
    bins, label = np.nonzero(found.mass)
    return found.probabilities[bins], label, found.mass[bins, label]


@given(coded())
def test_auc_is_that_of_scikit_learn_on_the_same_scores_and_weights(found: Tables) -> None:
    scores, label, weight = rows_of(found)
    auc = Ranking.of(found.probabilities, found.mass).average
    if scores.shape[1] == 2:
        expected = roc_auc_score(label, scores[:, 1], sample_weight=weight)
    else:
        # It takes no weights for several classes, but weighs the classes by them as it does alone.
        each = [roc_auc_score(label == k, scores[:, k], sample_weight=weight) for k in range(scores.shape[1])]
        expected = np.average(each, weights=found.mass.sum(axis=0))
    assert float(auc) == pytest.approx(expected)


@given(coded())
def test_auc_of_several_classes_is_scikit_learns_one_versus_rest(found: Tables) -> None:
    bins, label = np.nonzero(found.mass)
    repeats = np.rint(found.mass / found.mass[found.mass > 0].min() * 6)[bins, label].astype(int)
    mass = np.zeros_like(found.mass)
    mass[bins, label] = repeats
    scores, label = np.repeat(found.probabilities[bins], repeats, axis=0), np.repeat(label, repeats)
    given = scores[:, 1] if scores.shape[1] == 2 else scores
    expected = roc_auc_score(label, given, multi_class="ovr", average="weighted")
    assert float(Ranking.of(found.probabilities, mass).average) == pytest.approx(expected)


@given(coded(most_classes=2))
def test_auc_is_the_share_of_pairs_that_are_ranked_rightly(found: Tables) -> None:
    score = found.probabilities[:, 1]
    right = total = 0.0
    for here, positive in zip(score, found.mass[:, 1], strict=False):
        for there, negative in zip(score, found.mass[:, 0], strict=False):
            right += positive * negative * ((here > there) + (here == there) / 2)
            total += positive * negative
    assert auc_estimate(found, 0.95).value == pytest.approx(right / total)


@given(coded())
def test_influence_is_how_the_average_changes_with_an_examples_mass(found: Tables) -> None:
    scores, mass = found.probabilities, found.mass
    influence = Ranking.of(scores, mass).influence
    total = mass.sum()
    step = 1e-6 * total
    for cell in np.ndindex(*mass.shape):
        more = mass.copy()
        more[cell] += step
        change = Ranking.of(scores, more).average - Ranking.of(scores, mass).average
        assert influence[cell] == pytest.approx(float(change) * total / step, abs=1e-3)


def test_variance_is_delongs() -> None:
    random = np.random.default_rng(3)
    scores = np.repeat(np.linspace(0.1, 0.9, 9)[:, None], 2, axis=1)
    mass = random.integers(1, 9, (9, 2)).astype(float)
    influence = Ranking.of(scores, mass).influence
    negative, positive = (np.repeat(scores[:, 1], mass[:, k].astype(int)) for k in (0, 1))
    ranked = (positive[:, None] > negative) + (positive[:, None] == negative) / 2
    expected = ranked.mean(axis=1).var() / len(positive) + ranked.mean(axis=0).var() / len(negative)
    assert (mass * influence**2).sum() / mass.sum() ** 2 == pytest.approx(expected)


def test_several_codings_are_ranked_at_once_as_one_by_one() -> None:
    random = np.random.default_rng(4)
    train, mass = (random.integers(0, 3, (5, 7, 3)).astype(float) for _ in range(2))
    masses = np.array([30.0, 20.0, 10.0])
    together = Ranking.of(probabilities(train, masses), mass).average
    alone = [
        float(Ranking.of(probabilities(t, masses), m).average) for t, m in zip(train, mass, strict=False)
    ]
    assert together == pytest.approx(alone)


@given(coded())
def test_nmi_is_one_less_the_ratio_of_scikit_learns_log_losses(found: Tables) -> None:
    scores, label, weight = rows_of(found)
    classes = range(scores.shape[1])
    shares = np.tile(prior(found.masses), (len(scores), 1))
    loss, base = (log_loss(label, p, sample_weight=weight, labels=classes) for p in (scores, shares))
    assert nmi_estimate(found, 0.95).value == pytest.approx(max(0.0, 1 - loss / base))


@given(coded(), st.sampled_from([0.8, 0.95, 0.9999]))
def test_intervals_hold_their_value_within_the_possible(found: Tables, level: float) -> None:
    for estimate in (auc_estimate(found, level), nmi_estimate(found, level)):
        assert estimate.low is not None
        assert estimate.high is not None
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


@given(coded())
def test_loss_of_examples_left_out_is_that_of_taking_each_out_in_turn(found: Tables) -> None:
    shares = prior(found.masses)
    loss = 0.0
    for cell in np.ndindex(*found.train.shape):
        for _ in range(int(found.train[cell])):
            others = found.train[cell[0]].copy()
            others[cell[1]] -= 1
            loss -= math.log((others[cell[1]] + shares[cell[1]]) / (others.sum() + 1))
    assert left_out_loss(found.train, found.masses) == pytest.approx(loss)


CELLS = {
    "no signal": np.outer([0.3, 0.5, 0.2], [0.6, 0.4]),
    "some signal": np.array([[0.4, 0.05], [0.15, 0.1], [0.05, 0.25]]),
    "strong signal": np.array([[0.65, 0.015], [0.015, 0.32]]),
    "three classes": np.array([[0.3, 0.05, 0.02], [0.1, 0.2, 0.03], [0.05, 0.05, 0.2]]),
}


@pytest.mark.parametrize("cells", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("examples", [150, 1_000])
@pytest.mark.parametrize("estimate", [auc_estimate, nmi_estimate])
def test_intervals_cover_the_truth_as_often_as_they_say(
    cells: np.ndarray, examples: int, estimate: Callable[[Tables, float], Any]
) -> None:
    """Within 2.5 points below 95 % over 600 seeded draws, whose own deviation is 0.9 points."""
    random = np.random.default_rng(5)
    train = cells / cells.sum() * 1_000
    truth = estimate(Tables(train, cells, cells, train.sum(axis=0), 1), 0.95).value
    drawn = random.multinomial(examples, (cells / cells.sum()).ravel(), 600).reshape(-1, *cells.shape)
    covered = 0
    for mass in drawn.astype(float):
        found = estimate(Tables(train, mass, mass, train.sum(axis=0), examples), 0.95)
        covered += found.low <= truth + 1e-12 and truth - 1e-12 <= found.high
    assert covered / len(drawn) >= 0.925


@pytest.mark.parametrize("examples", [50, 500])
def test_a_lower_end_is_not_1_for_want_of_counter_examples(examples: int) -> None:
    table = np.diag([examples / 2.0, examples / 2.0])
    found = Tables(table, table, table, table.sum(axis=0), examples)
    for estimate in (auc_estimate(found, 0.95), nmi_estimate(found, 0.95)):
        assert estimate.value > 0.95
        assert 1 - 200 / examples < (estimate.low or 0) < 1 - 1 / examples


@pytest.mark.parametrize("examples", [100, 1_000])
def test_the_lower_end_of_an_auc_next_to_1_is_rarely_above_the_truth(examples: int) -> None:
    """One bin is right of all negatives and 98 % of positives: draws with no error at all are common."""
    cells = np.array([[0.5, 0.01], [0.0, 0.49]])
    random = np.random.default_rng(6)
    above = 0
    for mass in random.multinomial(examples, cells.ravel(), 600).reshape(-1, 2, 2).astype(float):
        found = auc_estimate(Tables(cells * 1_000, mass, mass, cells.sum(axis=0) * 1_000, examples), 0.95)
        above += (found.low or 0) > 0.99
    assert above / 600 <= 0.03


# Bins.


@given(
    hnp.arrays(np.float64, st.integers(0, 200), elements=st.integers(-5, 5).map(float) | st.floats(-9, 9)),
    st.integers(2, 20),
)
def test_bins_are_no_larger_than_they_should_be_but_for_single_values(values: np.ndarray, bins: int) -> None:
    inner = edges(values, bins)
    assert (np.diff(inner) > 0).all()
    codes = np.searchsorted(inner, values)
    for code in np.unique(codes):
        member = values[codes == code]
        assert np.count_nonzero(member < member.max()) <= len(values) / bins + 1


def test_a_frequent_value_has_a_bin_of_its_own() -> None:
    values = np.concatenate([np.linspace(-1, 1, 101), np.zeros(100)])
    codes = np.searchsorted(edges(values, 10), values)
    assert set(values[codes == codes[50]]) == {0.0}


def test_infinite_numbers_are_numbers() -> None:
    assert edges(np.array([-np.inf, 1.0, 2.0, np.inf]), 2).tolist() == [1.0]
