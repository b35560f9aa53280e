"""The likelihood ratio attack, against scipy's densities and on a toy whose answer is known."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from tfx_trust.components import InputError
from tfx_trust.components.privacy import lira, roc


class Toy:
    """Confidences of models: each example has its own difficulty and spread; training on it adds to it."""

    def __init__(self, shadows: int, examples: int = 3000, effect: float = 1.0, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        difficulty, spread = rng.normal(0, 2, examples), np.exp(rng.normal(-0.2, 0.5, examples))
        half = rng.random((shadows // 2, examples)) < 0.5
        self.inside = np.concatenate([half, ~half])
        self.shadows = difficulty + spread * (
            effect * self.inside + rng.normal(0, 1, (2 * len(half), examples))
        )
        self.member = rng.random(examples) < 0.5
        self.target = difficulty + spread * (effect * self.member + rng.normal(0, 1, examples))

    def area(self, scores: np.ndarray) -> float:
        return roc.area(scores[self.member], scores[~self.member]).value

    @property
    def scores(self) -> np.ndarray:
        return lira.lira_scores(self.shadows, self.inside, self.target)


def slow_scores(toy: Toy, own: bool) -> list[float]:
    """Example by example, with scipy's densities."""
    columns = range(toy.shadows.shape[1])
    sides = [
        [toy.shadows[toy.inside[:, column] == side, column] for column in columns] for side in (True, False)
    ]
    found = []
    for column in columns:
        densities = []
        for side in sides:
            values = side[column]
            if own:
                variance = np.var(values, ddof=1)
            else:
                squares = sum(((item - item.mean()) ** 2).sum() for item in side)
                variance = squares / sum(len(item) - 1 for item in side)
            deviation = np.sqrt(variance * (1 + 1 / len(values)))
            densities.append(stats.norm.logpdf(toy.target[column], values.mean(), deviation))
        found.append(densities[0] - densities[1])
    return found


@pytest.mark.parametrize(("shadows", "own"), [(4, False), (16, False), (64, True)])
def test_scores_are_the_ratio_of_scipys_densities(shadows: int, own: bool) -> None:
    toy = Toy(shadows, examples=150)
    assert toy.scores == pytest.approx(np.array(slow_scores(toy, own)), abs=1e-9)


def test_few_models_beat_the_loss_and_more_models_do_better() -> None:
    toys = [Toy(shadows) for shadows in (4, 16, 128)]
    areas = [toy.area(toy.scores) for toy in toys]
    assert areas[0] > toys[0].area(toys[0].target) + 0.02
    assert all(later > before + 0.02 for before, later in pairwise(areas[:2]))
    assert areas[2] > areas[1]
    # Where training leaves no trace there is nothing to find.
    none = Toy(16, effect=0.0)
    assert none.area(none.scores) == pytest.approx(0.5, abs=0.03)


def test_with_all_that_can_be_known_it_comes_near_the_best_attack() -> None:
    # The best knows each example's distributions: two normal ones, one deviation apart.
    toy = Toy(256)
    assert toy.area(toy.scores) == pytest.approx(stats.norm.cdf(1 / np.sqrt(2)), abs=0.025)


def test_confidence_is_the_log_odds_of_the_label() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [1e-9, 1e-12, 1 - 1e-9]])
    found = lira.lira_confidence(probabilities, np.array([0, 2, 1]))
    assert found[:2] == pytest.approx([np.log(0.7 / 0.3), np.log(0.1 / 0.9)])
    assert np.isfinite(found).all()
    certain = lira.lira_confidence(np.array([[1.0, 0.0]]), np.array([0]))
    assert certain == pytest.approx(np.log(2.0**24))


def test_models_that_all_say_the_same_leave_scores_finite() -> None:
    inside = np.array([[True, False], [False, True]] * 2)
    found = lira.lira_scores(np.ones((4, 2)), inside, np.ones(2))
    assert found == pytest.approx([0.0, 0.0])


@pytest.mark.parametrize(
    ("shadows", "inside", "target", "message"),
    [
        (
            np.zeros((4, 3)),
            np.zeros((4, 2), bool),
            np.zeros(3),
            r"have the shape \(4, 3\), their members \(4, 2\)",
        ),
        (
            np.full((4, 1), np.inf),
            np.eye(4, 1) > 0,
            np.zeros(1),
            "are not all finite; make them by lira_confidence",
        ),
        (
            np.zeros((4, 2)),
            np.ones((4, 2), bool),
            np.zeros(2),
            "2 of 2 examples were in all shadow models' training",
        ),
        (np.zeros((2, 1)), np.array([[True], [False]]), np.zeros(1), "2 shadow models; at least 3, better 4"),
    ],
)
def test_bad_shadow_models_are_refused(
    shadows: np.ndarray, inside: np.ndarray, target: np.ndarray, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        lira.lira_scores(shadows, inside, target)
