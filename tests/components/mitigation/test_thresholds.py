"""Thresholds by group: the best there are, within the gap that is allowed."""

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tfx_trust.components import InputError, ThresholdSettings, UsageError, choose_thresholds
from tfx_trust.components.mitigation.config import RATES, Compare
from tfx_trust.components.mitigation.frontier import Frontier, Tally
from tfx_trust.components.mitigation.report import GroupThresholds
from tfx_trust.components.mitigation.thresholds import Scored, thresholds_of_table

CONSTRAINTS = list(RATES)
EVERYBODY, NOBODY = -1.0, 2.0


def small_data(seed: int, groups: int = 3, rows: int = 24) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    names = np.array([f"g{number}" for number in np.arange(rows) % groups], object)
    # Few different scores, so that they tie; the groups' differ.
    levels = random.integers(0, 7, rows) + np.where(names == "g0", 2, 0)
    labels = (random.random(rows) < (levels + 1) / 10).astype(int)
    labels[:groups], labels[groups : 2 * groups] = 0, 1
    return {"scores": (levels / 10).astype(np.float32).astype(float), "labels": labels, "groups": names}


def rates_of(decided: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """The rates of some examples, row by row."""
    selected = labelled = true = false = whole = 0.0
    for decision, label, weight in zip(decided, labels, weights):
        selected += weight * decision
        labelled += weight * label
        true += weight * decision * label
        false += weight * decision * (1 - label)
        whole += weight
    return {
        "selection_rate": selected / whole,
        "true_positive_rate": true / labelled,
        "false_positive_rate": false / (whole - labelled),
    }


def outcome_of(
    data: dict[str, Any], thresholds: dict[str, float], constraint: str, compare: str
) -> tuple[float, float]:
    """Gap and accuracy, the plain way."""
    weights = np.asarray(data.get("weights", np.ones(len(data["labels"]))))
    bounds = np.array([thresholds[name] for name in data["groups"]])
    decided = (data["scores"] >= bounds if compare == ">=" else data["scores"] > bounds).astype(int)
    rates = [
        rates_of(decided[rows], data["labels"][rows], weights[rows])
        for name in thresholds
        for rows in [data["groups"] == name]
    ]
    gap = max(max(row[name] for row in rates) - min(row[name] for row in rates) for name in RATES[constraint])
    return gap, float((weights * (decided == data["labels"])).sum() / weights.sum())


def best_of_all(data: dict[str, Any], constraint: str, compare: str, allowed: float) -> float:
    """The highest accuracy of all thresholds that keep within the gap, by trying every combination."""
    groups = sorted(set(data["groups"]))
    tried = []
    for name in groups:
        levels = np.unique(data["scores"][data["groups"] == name])
        tried.append([EVERYBODY, *((levels[:-1] + levels[1:]) / 2), NOBODY])
    outcomes = [
        outcome_of(data, dict(zip(groups, combination)), constraint, compare)
        for combination in itertools.product(*tried)
    ]
    return max(accuracy for gap, accuracy in outcomes if gap <= allowed + 1e-9)


def chosen_of(data: dict[str, Any], **settings: Any) -> GroupThresholds:
    return choose_thresholds(**data, settings={"min_count": 1, **settings})


def by_group(found: GroupThresholds) -> dict[str, float]:
    return {item.group["group"]: item.threshold for item in found.groups}


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize(
    ("seed", "compare", "weighted"), [(1, ">=", False), (2, ">", False), (3, ">=", True)]
)
def test_no_other_thresholds_are_more_accurate_within_the_gap(
    constraint: str, seed: int, compare: str, weighted: bool
) -> None:
    data = small_data(seed)
    if weighted:
        data["weights"] = np.random.default_rng(seed).integers(1, 5, 24).astype(float)
    for allowed in (0.0, 0.13, 0.26):
        found = chosen_of(data, constraint=constraint, compare=compare, max_gap=allowed)
        gap, accuracy = outcome_of(data, by_group(found), constraint, compare)
        assert gap == pytest.approx(found.after.gap.value)
        assert accuracy == pytest.approx(found.after.accuracy.value)
        assert gap <= allowed + 1e-9 or found.before.gap.value <= allowed
        if found.before.gap.value > allowed:
            assert accuracy == pytest.approx(best_of_all(data, constraint, compare, allowed))
        for point in found.curve[::5]:
            if not point.chosen:
                best = best_of_all(data, constraint, compare, point.allowed_gap)
                assert point.accuracy == pytest.approx(best)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_more_is_won_where_more_of_a_gap_is_allowed(constraint: str) -> None:
    random = np.random.default_rng(4)
    scores = random.random(4000)
    data = {
        "scores": scores,
        "groups": random.choice(["a", "b", "c", "d"], 4000),
        "labels": (random.random(4000) < scores).astype(int),
    }
    data["scores"] = np.clip(scores + np.where(data["groups"] == "a", 0.2, 0), 0, 1)
    curve = [point for point in chosen_of(data, constraint=constraint, max_gap=0.02).curve]
    accuracies = [point.accuracy for point in curve]
    assert accuracies == sorted(accuracies)
    assert [point.allowed_gap for point in curve] == sorted(point.allowed_gap for point in curve)
    assert all(point.gap <= point.allowed_gap + 1e-9 for point in curve)
    assert [point.chosen for point in curve].count(True) == 1


def test_thresholds_stay_where_the_gap_is_allowed_already() -> None:
    data = small_data(1)
    found = chosen_of(data, max_gap=1.0)
    assert set(by_group(found).values()) == {0.5}
    assert found.after == found.before
    assert found.paid.value == 0


def test_the_order_of_the_examples_does_not_matter() -> None:
    data = small_data(6, rows=60)
    order = np.random.default_rng(0).permutation(60)
    mixed = {name: values[order] for name, values in data.items()}
    assert chosen_of(data, max_gap=0.1) == chosen_of(mixed, max_gap=0.1)


def test_a_weight_of_two_is_two_examples() -> None:
    data = small_data(7)
    twice = {name: np.repeat(values, 2) for name, values in data.items()}
    weighted = chosen_of({**data, "weights": np.full(24, 2.0)}, max_gap=0.1)
    assert by_group(weighted) == by_group(chosen_of(twice, max_gap=0.1))


PROBABILITIES = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=12, unique=True)


@given(scores=PROBABILITIES, common=st.floats(0, 1, width=32), compare=st.sampled_from([">=", ">"]))
@example(scores=[0.0, 1.0], common=0.25, compare=">=")
@example(scores=[0.0, 1.0], common=0.25, compare=">")
@example(
    scores=[float(np.float32(0.4)), float(np.nextafter(np.float32(0.4), np.float32(1)))],
    common=0.5,
    compare=">",
)
def test_there_is_a_threshold_between_any_two_scores_and_beyond_them(
    scores: list[float], common: float, compare: Compare
) -> None:
    ascending = np.sort(np.array(scores))
    labels = np.arange(len(scores)) % 2
    frontier = Frontier.of(Tally.of(ascending, labels, None), ("selection_rate",), common, compare, 1000)
    selected = []
    for threshold in frontier.thresholds:
        assert threshold == float(np.float32(threshold))
        selected.append(int((ascending >= threshold if compare == ">=" else ascending > threshold).sum()))
    assert selected == list(range(len(scores) + 1))
    assert frontier.thresholds[frontier.common] == common


def test_scores_that_no_float32_tells_apart_are_decided_alike() -> None:
    close = np.array([0.4, 0.4 + 1e-12])
    tally = Tally.of(close, np.array([0, 1]), None)
    assert len(Frontier.of(tally, ("selection_rate",), 0.5, ">=", 1000).thresholds) == 2


def test_a_small_group_and_an_unknown_one_keep_the_common_threshold() -> None:
    random = np.random.default_rng(8)
    groups = np.array(["a"] * 300 + ["b"] * 300 + ["few"] * 8 + [None] * 5, object)
    labels = np.tile([0, 1], 307)[: len(groups)]
    scores = np.clip(random.random(len(groups)) * 0.5 + 0.3 * labels + np.where(groups == "a", 0.2, 0), 0, 1)
    found = choose_thresholds(scores, labels, groups, {"max_gap": 0.02, "threshold": 0.6})
    adjusted = {item.group["group"]: item.adjusted for item in found.groups}
    assert adjusted == {"a": True, "b": True, "few": False}
    (few,) = (item for item in found.groups if not item.adjusted)
    assert few.threshold == found.common_threshold == float(np.float32(0.6))
    assert "4 in the denominator of the true positive rate" in few.reason
    assert found.ungrouped == 5
    own = by_group(found)
    told = found.thresholds_for(np.array(["b", "few", "new", None, "a"], object)).tolist()
    assert told == [own["b"], *[found.common_threshold] * 3, own["a"]]


def test_one_group_alone_is_left_as_it_is() -> None:
    found = choose_thresholds([0.2, 0.8] * 40, [0, 1] * 40, ["a"] * 80)
    assert not found.groups[0].adjusted
    assert found.groups[0].reason == "no other group has enough examples to be compared with"
    assert found.curve == []


def test_groups_are_crossed_of_several_features() -> None:
    random = np.random.default_rng(9)
    columns = {"sex": random.choice(["f", "m"], 2000), "age": random.choice([30, 60], 2000)}
    labels = random.integers(0, 2, 2000)
    scores = np.clip(0.3 * random.random(2000) + 0.3 * labels + 0.2 * (columns["age"] == 30), 0, 1)
    found = choose_thresholds(scores, labels, columns, {"max_gap": 0.05})
    assert [item.group for item in found.groups] == [
        {"sex": sex, "age": age} for sex in "fm" for age in ("30", "60")
    ]
    own = {tuple(item.group.values()): item.threshold for item in found.groups}
    expected = [own[sex, str(age)] for sex, age in zip(columns["sex"], columns["age"])]
    assert found.thresholds_for(columns).tolist() == expected


def test_held_out_examples_are_measured_and_choose_nothing() -> None:
    data, other = small_data(10, rows=90), small_data(11, rows=60)
    plain = chosen_of(data, max_gap=0.1)
    found = choose_thresholds(**data, settings={"min_count": 1, "max_gap": 0.1}, held_out=Scored(**other))
    assert by_group(found) == by_group(plain)
    gap, accuracy = outcome_of(other, by_group(found), "equalized_odds", ">=")
    assert found.held_out_after is not None
    assert found.held_out_after.gap.value == pytest.approx(gap)
    assert found.held_out_after.accuracy.value == pytest.approx(accuracy)
    chosen = next(point for point in found.curve if point.chosen)
    assert chosen.held_out_gap == pytest.approx(gap)
    before = outcome_of(other, dict.fromkeys(by_group(found), 0.5), "equalized_odds", ">=")[1]
    assert found.held_out_paid is not None
    assert found.held_out_paid.value == pytest.approx(before - accuracy)


def test_tables_are_taken_by_the_names_of_their_columns() -> None:
    data = small_data(12, rows=60)
    columns = {"s": data["scores"], "y": np.where(data["labels"] == 1, "yes", "no"), "g": data["groups"]}
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    settings = {"label": "y", "positive": "yes", "groups": ["g"], "min_count": 1, "max_gap": 0.1}
    found = thresholds_of_table(table, settings, score="s", held_out=table)
    plain = chosen_of(data, max_gap=0.1)
    assert [item.threshold for item in found.groups] == [item.threshold for item in plain.groups]
    assert found.held_out_after == found.after
    with pytest.raises(UsageError, match="unknown column 'score': known are g, s, y"):
        thresholds_of_table(table, settings)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"scores": [0.5, np.nan]}, "1 of 2 scores are NaN or no probability"),
        ({"scores": [0.5, 1.5]}, r"no probability \(the first is 1.5\)"),
        ({"labels": [0, 2]}, "must be 0 or 1"),
        ({"labels": [1, 1]}, "the label is 1 in all 2 examples"),
        ({"labels": [1]}, "of different shapes"),
        ({"scores": [], "labels": [], "groups": []}, "no examples"),
        ({"weights": [-1, 1]}, "weights of the examples must be finite, none negative"),
    ],
)
def test_what_cannot_be_used_is_told(changed: dict[str, Any], said: str) -> None:
    given = {"scores": [0.5, 0.6], "labels": [0, 1], "groups": ["a", "b"], **changed}
    with pytest.raises(InputError, match=said):
        choose_thresholds(**given)


def test_a_feature_with_many_values_names_no_groups() -> None:
    with pytest.raises(InputError, match="feature 'group' has more than 20 values"):
        choose_thresholds(np.full(50, 0.5), np.arange(50) % 2, np.arange(50))


def test_many_groups_and_scores_stay_within_the_resolution_told() -> None:
    random = np.random.default_rng(13)
    rows = 20_000
    scores = random.random(rows)
    groups = random.choice([f"g{number}" for number in range(12)], rows)
    labels = (random.random(rows) < scores).astype(int)
    scores = 0.9 * scores + np.where(groups == "g3", 0.1, 0)
    found = choose_thresholds(scores, labels, groups, {"max_gap": 0.03})
    assert found.after.gap.value <= 0.03 + 1e-9
    # 2,000 candidates for 12 groups.
    assert 0 < found.resolution <= 2 / (2_000 // 12) + 0.01
    assert found.paid.value < 0.02


def test_settings_say_what_is_to_be_alike() -> None:
    assert ThresholdSettings(constraint="equalized_odds").rates == (
        "true_positive_rate",
        "false_positive_rate",
    )
    with pytest.raises(UsageError, match="constraint"):
        ThresholdSettings.of({"constraint": "parity"})
