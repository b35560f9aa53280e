"""Single features that give the label away, and identifiers, which only seem to."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from targets import found, noisy, samples_of, split, texts

from tfx_trust.components import Verdict
from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.leakage.coding import label_kind

# Features.


@pytest.mark.parametrize("form", [texts, list], ids=["text", "integer"])
@pytest.mark.parametrize(
    ("fidelity", "verdict"),
    [(0.5, Verdict.PASS), (0.8, Verdict.PASS), (0.96, Verdict.WARN), (0.998, Verdict.FAIL)],
)
def test_a_copy_of_the_label_is_judged_by_its_fidelity(
    form: Callable[[np.ndarray], list[Any]], fidelity: float, verdict: Verdict, random: np.random.Generator
) -> None:
    label = random.integers(0, 2, 6_000)
    columns = {"y": label, "copy": form(noisy(label, fidelity, random)), "x": random.normal(size=6_000)}
    result = split(columns, 4_000)
    copy = found(result, "copy")
    assert copy.verdict is verdict
    assert copy.auc == pytest.approx(fidelity, abs=0.03)
    assert found(result, "x").verdict is Verdict.PASS
    assert result.features[0].name == "copy" or verdict is Verdict.PASS


@pytest.mark.parametrize("form", [texts, list], ids=["text", "integer"])
def test_codes_without_order_that_tell_the_label_are_seen(
    form: Callable[[np.ndarray], list[Any]], random: np.random.Generator
) -> None:
    label = random.integers(0, 2, 9_000)
    codes = random.permutation(1_000)[label * 500 + random.integers(0, 500, 9_000)]
    copy = found(split({"y": label, "codes": form(codes)}, 6_000), "codes")
    assert copy.auc > 0.99
    assert copy.distinct == 1_000


def test_a_feature_that_determines_the_label_fails(random: np.random.Generator) -> None:
    codes = random.integers(0, 50, 1_000)
    columns = {"y": codes % 2, "code": texts(codes), "x": random.integers(0, 50, 1_000)}
    result = split(columns, 700)
    assert found(result, "code").determines
    assert found(result, "code").verdict is Verdict.FAIL
    assert not found(result, "x").determines


def test_determination_is_told_even_where_examples_are_too_few_for_more(random: np.random.Generator) -> None:
    label = np.array([0, 1] * 20)
    result = split({"y": label, "code": texts(label), "x": random.integers(0, 5, 40)}, 25)
    assert found(result, "code").verdict is Verdict.FAIL
    assert found(result, "x").verdict is Verdict.INCONCLUSIVE
    assert not result.pairs
    assert any("fewer than 25" in note for note in result.notes)


def test_rare_labels_that_values_have_by_chance_are_not_determined() -> None:
    label = np.zeros(2_000, int)
    label[[3, 5]] = 1
    codes = np.arange(2_000) % 390 + 10
    codes[[3, 5]] = [0, 1]
    assert not found(split({"y": label, "code": codes}, 1_500), "code").determines


def test_a_value_of_which_some_examples_differ_does_not_determine(random: np.random.Generator) -> None:
    label = random.integers(0, 2, 1_000)
    copy = label.copy()
    copy[0] = 1 - copy[0]
    assert not found(split({"y": label, "copy": copy}, 700), "copy").determines


def test_a_constant_says_nothing(random: np.random.Generator) -> None:
    constant = found(split({"y": random.integers(0, 2, 500), "x": ["same"] * 500}, 300), "x")
    assert (constant.auc, constant.nmi, constant.determines) == (0.5, 0.0, False)
    assert constant.verdict is Verdict.PASS


def test_missing_values_that_tell_the_label_are_seen(random: np.random.Generator) -> None:
    label = random.integers(0, 2, 3_000)
    copy = noisy(label, 0.97, random)
    left = [
        None if value else float(number)
        for value, number in zip(copy, random.normal(size=3_000), strict=False)
    ]
    text = [
        None if value else f"ward {number}"
        for value, number in zip(copy, random.integers(0, 9, 3_000), strict=False)
    ]
    result = split({"y": label, "left": left, "text": pa.array(text)}, 2_000)
    assert found(result, "left").verdict is Verdict.WARN
    assert found(result, "text").verdict is Verdict.WARN
    assert found(result, "text").distinct == 9


def test_values_that_determine_the_label_where_they_are_present_fail(random: np.random.Generator) -> None:
    label = random.integers(0, 2, 3_000)
    sometimes = [
        f"code {value}" if there else None
        for value, there in zip(label, random.random(3_000) < 0.2, strict=False)
    ]
    outcome = found(split({"y": label, "outcome": pa.array(sometimes)}, 2_000), "outcome")
    assert outcome.determines
    assert outcome.verdict is Verdict.FAIL


def test_lists_are_compared_as_a_whole(random: np.random.Generator) -> None:
    label = random.integers(0, 2, 3_000)
    copy = noisy(label, 0.97, random)
    lists = pa.array([[1, 2] if value else [2, 1] for value in copy])
    assert found(split({"y": label, "list": lists}, 2_000), "list").verdict is Verdict.WARN


def test_a_feature_that_ranks_the_wrong_way_round_in_eval_is_told_as_it_is(
    random: np.random.Generator,
) -> None:
    label = random.integers(0, 2, 2_000)
    flipped = np.where(np.arange(2_000) < 1_000, label, 1 - label)
    assert found(split({"y": label, "x": flipped}, 1_000), "x").auc == 0.0


def test_a_feature_unlike_train_in_eval_tells_nothing(random: np.random.Generator) -> None:
    label = random.integers(0, 2, 2_000)
    far = found(split({"y": label, "x": texts(label + 5 * (np.arange(2_000) >= 1_000))}, 1_000), "x")
    assert (far.auc, far.nmi) == (0.5, 0.0)


@pytest.mark.parametrize("scale", [1.0, -3.0])
def test_a_copy_of_a_number_fails_and_a_noisy_one_is_told_by_its_noise(
    scale: float, random: np.random.Generator
) -> None:
    label = random.normal(size=6_000)
    columns = {
        "y": label,
        "copy": scale * label + 7,
        "near": label + 0.15 * random.normal(size=6_000),
        "far": label + 3 * random.normal(size=6_000),
    }
    result = split(columns, 4_000)
    assert result.label == "number"
    assert found(result, "copy").verdict is Verdict.FAIL
    assert found(result, "near").verdict is Verdict.WARN
    assert found(result, "far").verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        (["a", "b"] * 20, "binary"),
        ([0, 1] * 20, "binary"),
        ([1, 2, 3, None] * 10, "classes"),
        (list(range(20)) * 2, "classes"),
        (list(range(40)), "number"),
        (texts(range(40)), "classes"),
    ],
)
def test_kind_of_the_label_goes_by_its_values(label: list[Any], kind: str) -> None:
    first, second, _ = samples_of({"y": label[::2], "x": range(20)}, {"y": label[1::2], "x": range(20)})
    assert label_kind(first, second, "y") == kind


def test_several_classes_are_weighed_by_how_frequent_they_are(random: np.random.Generator) -> None:
    label = random.choice(4, 6_000, p=[0.5, 0.3, 0.15, 0.05])
    wrong = random.random(6_000) < 0.03
    copy = np.where(wrong, (label + random.integers(1, 4, 6_000)) % 4, label)
    result = split({"y": texts(label), "copy": copy, "x": random.integers(0, 9, 6_000)}, 4_000)
    assert result.label == "classes"
    assert found(result, "copy").verdict is Verdict.WARN
    assert found(result, "copy").auc == pytest.approx(0.975, abs=0.01)
    assert found(result, "x").auc == pytest.approx(0.5, abs=0.05)


def test_a_class_that_train_has_not_is_scored_as_well(random: np.random.Generator) -> None:
    label = random.integers(0, 3, 3_000)
    label[:2_000] %= 2
    copy = np.where(random.random(3_000) < 0.1, random.integers(0, 3, 3_000), label)
    auc = found(split({"y": texts(label), "copy": copy}, 2_000), "copy").auc
    assert 0.7 < auc < 1


def test_of_very_many_classes_the_rare_ones_are_taken_as_one(random: np.random.Generator) -> None:
    label = np.minimum(random.geometric(0.08, 6_000), 60)
    result = split({"y": texts(label), "copy": texts(label)}, 4_000)
    assert found(result, "copy").auc > 0.99
    assert any("more than 20 classes" in note for note in result.notes)


def test_examples_without_a_label_are_left_out(random: np.random.Generator) -> None:
    label = random.integers(0, 2, 2_000)
    columns = {"y": label, "x": noisy(label, 0.8, random), "z": random.normal(size=2_000)}
    gaps = random.random(2_000) < 0.3
    with_gaps = {**columns, "y": pa.array(label, mask=gaps)}
    kept = {name: values[~gaps] for name, values in columns.items()}
    assert split(with_gaps, 1_000).features == split(kept, int((~gaps[:1_000]).sum())).features


def test_the_order_of_rows_does_not_matter(random: np.random.Generator) -> None:
    label = random.integers(0, 2, 2_000)
    columns = {
        "y": label,
        "x": random.integers(0, 9, 2_000),
        "z": random.normal(size=2_000),
        "t": random.integers(0, 700, 2_000).astype(str),
    }
    order = np.concatenate([random.permutation(1_200), 1_200 + random.permutation(800)])
    assert split(columns, 1_200) == split({name: values[order] for name, values in columns.items()}, 1_200)


def test_a_row_that_occurs_twice_counts_twice_and_so_does_one_of_double_weight() -> None:
    random = np.random.default_rng(8)
    label = random.integers(0, 2, 1_000)
    columns = {"y": label, "x": noisy(label, 0.8, random), "z": np.arange(1_000) // 2 * 0.5}
    twice = random.random(1_000) < 0.5
    order = np.concatenate([np.arange(1_000), np.flatnonzero(twice)])
    repeated = {name: values[np.sort(order)] for name, values in columns.items()}
    weighted = {**columns, "w": 1.0 + twice}
    train = 600 + int(twice[:600].sum())
    by_count = found(split(repeated, train), "x")
    by_weight = found(split(weighted, 600, weight="w"), "x")
    assert by_weight.auc == pytest.approx(by_count.auc)
    assert by_weight.nmi == pytest.approx(by_count.nmi, abs=0.002)
    # An example that is weighed double is no more certain for that.
    width = [
        (found.auc_estimate.high or 0) - (found.auc_estimate.low or 0) for found in (by_weight, by_count)
    ]
    assert width[0] > width[1]
    assert by_weight.auc_estimate.count == 400


def test_the_unit_of_the_weight_does_not_matter(random: np.random.Generator) -> None:
    label = random.integers(0, 2, 1_000)
    columns = {"y": label, "x": noisy(label, 0.8, random)}
    weight = random.gamma(2, size=1_000)
    small, large = (found(split({**columns, "w": weight * unit}, 600, weight="w"), "x") for unit in (1, 1024))
    assert small.auc_estimate.low == pytest.approx(large.auc_estimate.low)
    assert small.nmi_estimate.low == pytest.approx(large.nmi_estimate.low)


def test_the_weight_is_no_feature(random: np.random.Generator) -> None:
    label = random.integers(0, 2, 1_000)
    result = split({"y": label, "w": label + 1.0, "x": random.integers(0, 3, 1_000)}, 600, weight="w")
    assert [feature.name for feature in result.features] == ["x"]


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        ([1.0, -1.0] * 50, InputError, "negative or infinite in 25 train examples"),
        ([1.0, None] * 50, InputError, "missing, negative or infinite in 25 train examples"),
        ([0.0] * 100, InputError, "is 0 in all train examples"),
        (texts(range(100)), UsageError, "is text; name a numeric feature"),
    ],
)
def test_a_weight_that_cannot_be_used_is_told(
    weight: list[Any], error: type[Exception], message: str
) -> None:
    columns = {"y": [0, 0, 1, 1] * 25, "x": list(range(100)), "w": weight}
    with pytest.raises(error, match=message):
        split(columns, 50, weight="w")


def test_a_split_without_any_label_is_told() -> None:
    columns = {"y": [0, 1] * 25 + [None] * 50, "x": list(range(100))}
    with pytest.raises(InputError, match="'y' has no value in any of the 50 eval examples"):
        split(columns, 50)


def test_intervals_hold_for_all_features_together(random: np.random.Generator) -> None:
    columns = {"y": random.integers(0, 2, 1_000), **{f"x{k}": random.normal(size=1_000) for k in range(10)}}
    result = split(columns, 600)
    levels = [feature.auc_estimate.level for feature in result.features]
    assert levels == [pytest.approx(0.995)] * 10


# Identifiers.


@pytest.mark.parametrize("form", [texts, list], ids=["text", "integer"])
def test_an_identifier_tells_nothing_and_is_told(
    form: Callable[[np.ndarray], list[Any]], random: np.random.Generator
) -> None:
    columns = {"y": random.integers(0, 2, 1_000), "id": form(random.permutation(1_000))}
    result = split(columns, 600)
    assert found(result, "id").auc == pytest.approx(0.5, abs=0.06)
    assert found(result, "id").nmi == pytest.approx(0.0, abs=0.02)
    (identifier,) = result.identifiers
    assert (identifier.name, identifier.distinct, identifier.examples) == ("id", 1_000, 1_000)
    assert identifier.suggestion == "remove"


def test_an_identifier_of_which_some_repeat_may_name_a_group(random: np.random.Generator) -> None:
    ids = np.arange(1_000)
    ids[-20:] = ids[:20]
    (identifier,) = split({"y": random.integers(0, 2, 1_000), "id": texts(ids)}, 600).identifiers
    assert identifier.suggestion == "group"


def test_missing_identifiers_are_not_counted(random: np.random.Generator) -> None:
    ids = [None if k % 2 else f"id {k}" for k in range(1_000)]
    (identifier,) = split({"y": random.integers(0, 2, 1_000), "id": pa.array(ids)}, 600).identifiers
    assert (identifier.distinct, identifier.examples) == (500, 500)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.linspace(0, 1, 1_000) + 0.1, id="measurement"),
        pytest.param(np.arange(1_000) % 900, id="repeated"),
        pytest.param(pa.array([None] * 920 + texts(range(80))), id="few"),
    ],
)
def test_what_is_no_identifier_is_not_told(values: Any) -> None:
    random = np.random.default_rng(9)
    order = random.permutation(1_000)
    values = values.take(pa.array(order)) if isinstance(values, pa.Array) else values[order]
    assert not split({"y": random.integers(0, 2, 1_000), "x": values}, 600).identifiers


def test_a_whole_number_that_tells_the_label_is_no_identifier(random: np.random.Generator) -> None:
    income = random.permutation(100_000)[:1_000]
    label = (income + random.normal(0, 20_000, 1_000) > 50_000).astype(int)
    assert not split({"y": label, "income": income}, 600).identifiers


@pytest.mark.parametrize("role", ["exclude", "groups"])
def test_an_identifier_that_was_set_aside_is_known(role: str, random: np.random.Generator) -> None:
    columns = {"y": random.integers(0, 2, 1_000), "id": texts(range(1_000))}
    assert not split(columns, 600, **{role: ["id"]}).identifiers


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(60, 200))
def test_whatever_the_data_the_report_is_complete_and_ordered(seed: int, classes: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    columns = {
        "y": random.integers(0, classes, rows),
        "a": random.integers(0, 3, rows),
        "b": pa.array(random.normal(size=rows), mask=random.random(rows) < 0.3),
        "c": texts(random.integers(0, rows, rows)),
    }
    result = split(columns, rows // 2)
    assert {feature.name for feature in result.features} == {"a", "b", "c"}
    order = list(Verdict)
    gravity = [(order.index(feature.verdict), feature.auc) for feature in result.features]
    assert gravity == sorted(gravity, reverse=True)
