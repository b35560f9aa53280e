"""Pairs of features that give the label away together."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from targets import found, noisy, split, texts

from tfx_trust.components import Verdict

# Pairs.


@pytest.mark.parametrize("form", [texts, list], ids=["text", "integer"])
def test_two_features_that_tell_the_label_only_together_are_found(
    form: Callable[[np.ndarray], list[Any]], random: np.random.Generator
) -> None:
    label, first = random.integers(0, 2, (2, 3_000))
    others = {f"x{k}": random.integers(0, 30, 3_000) for k in range(4)}
    result = split({"y": label, "first": form(first), "second": form(label ^ first), **others}, 2_000)
    assert found(result, "first").verdict is Verdict.PASS
    best = result.pairs[0]
    assert set(best.names) == {"first", "second"}
    assert best.verdict is Verdict.WARN
    assert best.auc == pytest.approx(1.0)
    assert best.lift.value == pytest.approx(best.auc - best.best_single)
    assert [pair.verdict for pair in result.pairs[1:]] == [Verdict.PASS] * 9


def test_real_numbers_whose_halves_tell_the_label_together_are_found(random: np.random.Generator) -> None:
    first, second = random.normal(size=(2, 4_000))
    result = split({"y": ((first > 0) ^ (second > 0)).astype(int), "first": first, "second": second}, 3_000)
    assert result.pairs[0].verdict is Verdict.WARN


def test_pairs_of_several_classes_are_found(random: np.random.Generator) -> None:
    label, first = random.integers(0, 3, (2, 3_000))
    result = split({"y": texts(label), "first": first, "second": (label + first) % 3}, 2_000)
    assert result.pairs[0].verdict is Verdict.WARN


def test_the_lift_of_a_pair_is_that_of_joint_values_scored_by_scikit_learn(
    random: np.random.Generator,
) -> None:
    first, second = random.integers(0, 3, (2, 3_000))
    label = (random.random(3_000) < (0.2 + 0.3 * (first == second) + 0.1 * first)).astype(int)
    pair = split({"y": label, "first": first, "second": second}, 2_000).pairs[0]
    train, evaluation = slice(0, 2_000), slice(2_000, None)

    def auc(values: np.ndarray) -> float:
        share = [np.mean(label[train][values[train] == value]) for value in range(9)]
        return float(roc_auc_score(label[evaluation], np.nan_to_num(share)[values[evaluation]]))

    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
        alone = max(auc(first), auc(second))
    assert pair.auc == pytest.approx(auc(3 * first + second))
    assert pair.lift.value == pytest.approx(pair.auc - alone)
    assert pair.lift.low is not None
    assert pair.lift.low < pair.lift.value


def test_features_that_stand_out_alone_are_not_paired(random: np.random.Generator) -> None:
    label = random.integers(0, 2, 2_000)
    columns = {
        "y": label,
        "copy": noisy(label, 0.97, random),
        "a": label ^ 1,
        **{"b": random.normal(size=2_000)},
    }
    assert not split(columns, 1_000).pairs


def test_pairs_of_noise_have_no_lift(random: np.random.Generator) -> None:
    columns = {"y": random.integers(0, 2, 600), **{f"x{k}": random.normal(size=600) for k in range(12)}}
    result = split(columns, 400)
    assert len(result.pairs) == 10
    assert all(pair.verdict is Verdict.PASS for pair in result.pairs)
    lifts = [pair.lift.value for pair in result.pairs]
    assert lifts == pytest.approx(sorted(lifts, reverse=True), abs=1e-12)


def test_pairs_can_be_switched_off(random: np.random.Generator) -> None:
    label, first = random.integers(0, 2, (2, 1_000))
    assert not split({"y": label, "a": first, "b": label ^ first}, 500, pairs=False).pairs


def test_of_very_many_features_those_with_the_greatest_entropy_are_paired(
    random: np.random.Generator,
) -> None:
    label, first = random.integers(0, 2, (2, 600))
    rare = {f"rare{k}": (np.arange(600) % 97 == k).astype(int) for k in range(99)}
    result = split({"y": label, **rare, "a": first, "b": label ^ first}, 400)
    assert set(result.pairs[0].names) == {"a", "b"}
    assert any("100 of 101 features" in note for note in result.notes)
