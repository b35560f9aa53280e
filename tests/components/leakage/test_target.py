import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import log_loss, roc_auc_score

from tfx_trust.components import Verdict
from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.leakage import tables
from tfx_trust.components.leakage.coding import edges, label_kind
from tfx_trust.components.leakage.columns import Layout
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.heldout import (
    Ranking,
    Tables,
    auc_estimate,
    left_out_loss,
    nmi_estimate,
    prior,
    probabilities,
)
from tfx_trust.components.leakage.report import FeatureLeakage
from tfx_trust.components.leakage.sample import Sample
from tfx_trust.components.leakage.target import TargetResult, analyse

Columns = Mapping[str, Any]


def samples_of(train: Columns, evaluation: Columns, limit: int = 100_000) -> tuple[Sample, Sample, Layout]:
    sides = [pa.table(dict(columns)) for columns in (train, evaluation)]
    layout = tables.layout_of([("train", sides[0].schema), ("eval", sides[1].schema)], None)
    first, second = (
        Sample.merged([Sample.of(batch, limit) for batch in tables.batches_of(side, layout)])
        for side in sides
    )
    return first, second, layout


def looked_at(train: Columns, evaluation: Columns, **given: Any) -> TargetResult:
    first, second, layout = samples_of(train, evaluation)
    return analyse(first, second, LeakageSettings(**{"label": "y", **given}), layout.kinds)


def split(columns: Columns, train: int, **given: Any) -> TargetResult:
    """The result where the first `train` rows are train, and the others eval."""
    return looked_at(
        {name: values[:train] for name, values in columns.items()},
        {name: values[train:] for name, values in columns.items()},
        **given,
    )


def found(result: TargetResult, name: str) -> FeatureLeakage:
    return next(feature for feature in result.features if feature.name == name)


def noisy(label: np.ndarray, fidelity: float, random: np.random.Generator) -> np.ndarray:
    """The label of two classes, right in this share of the rows."""
    return np.where(random.random(len(label)) < fidelity, label, 1 - label)


def texts(values: Sequence[Any] | np.ndarray) -> list[str]:
    return [f"value {value}" for value in values]


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(20)


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
