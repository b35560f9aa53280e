"""Slices found on one half, confirmed on the other: against a slow twin, on planted faults, on chance."""

from collections import defaultdict
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from tfx_trust.components import intervals
from tfx_trust.components.corrections import holm
from tfx_trust.components.fairness.candidates import Measures, search, simultaneous
from tfx_trust.components.fairness.config import DECISION_METRICS, FairnessSettings, Tolerance
from tfx_trust.components.fairness.discovery import discover
from tfx_trust.components.fairness.half import Half
from tfx_trust.components.fairness.report import Discovered

RATES = ("false_positive_rate", "true_positive_rate")


def settings_of(bound: float = 0.0, metrics: tuple[str, ...] = RATES, **more: Any) -> FairnessSettings:
    tolerances = [Tolerance(metric=metric, bound=bound) for metric in metrics]
    return FairnessSettings(label="y", slices=[["a"]], tolerances=tolerances, **more)


def names_of(features: int, values: int) -> dict[str, list[str]]:
    return {f"f{feature}": [f"v{value}" for value in range(values)] for feature in range(features)}


def cells_of(codes: np.ndarray, label: np.ndarray, decision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different rows of codes, and their counts by label and decision."""
    cells, place = np.unique(codes, axis=0, return_inverse=True)
    slot = place.reshape(-1) * 4 + label.astype(int) * 2 + decision.astype(int)
    return cells, np.bincount(slot, minlength=4 * len(cells)).reshape(-1, 2, 2)


def fair_codes(random: np.random.Generator, examples: int, features: int, values: int) -> np.ndarray:
    """Features of unequal shares: some values are rare."""
    shares = random.dirichlet(np.full(values, 1.5), features)
    return np.stack([random.choice(values, examples, p=share) for share in shares], axis=1)


def decided(
    random: np.random.Generator, positive: float | np.ndarray, negative: float | np.ndarray, examples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels, a quarter of them positive, and decisions by the rates of either."""
    label = random.random(examples) < 0.25
    return label, random.random(examples) < np.where(label, positive, negative)


def planted(
    seed: int, order: int, raised: float = 0.2
) -> tuple[np.ndarray, np.ndarray, dict[str, list[str]]]:
    """16,000 examples; some 1,500 have the first value of the first features and are treated badly."""
    random = np.random.default_rng(seed)
    codes = fair_codes(random, 16_000, 8, 6)
    here = 0.094 ** (1 / order)
    for feature in range(order):
        codes[:, feature] = random.choice(6, len(codes), p=[here, *[(1 - here) / 5] * 5])
    bad = (codes[:, :order] == 0).all(axis=1)
    cells = cells_of(codes, *decided(random, 0.6, 0.1 + raised * bad, len(codes)))
    return *cells, names_of(8, 6)


# What is found.


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_bad_slice_is_found_first_and_confirmed_without_its_parts_and_wholes(order: int) -> None:
    expected = {f"f{feature}": "v0" for feature in range(order)}
    first = confirmed = others = 0
    for seed in range(25):
        found, _, _ = discover(*planted(seed, order), settings_of(seed=seed))
        first += bool(found) and found[0].slice == expected and found[0].metric == "false_positive_rate"
        confirmed += any(item.confirmed and item.slice == expected for item in found)
        others += any(item.confirmed and item.slice != expected for item in found)
    assert first >= 24
    assert confirmed >= 24
    # By chance alone it may be one in twenty.
    assert others <= 4


def test_two_bad_slices_that_overlap_are_both_found() -> None:
    random = np.random.default_rng(3)
    codes = random.integers(0, 4, (16_000, 6))
    one, two = codes[:, 0] == 1, (codes[:, 1] == 2) & (codes[:, 2] == 3)
    cells = cells_of(codes, *decided(random, 0.7, 0.1 + 0.15 * one + 0.3 * two, len(codes)))
    found, _, _ = discover(*cells, names_of(6, 4), settings_of(bound=0.05))
    confirmed = [item.slice for item in found if item.confirmed]
    assert sorted(confirmed, key=len) == [{"f0": "v1"}, {"f1": "v2", "f2": "v3"}]


def test_of_two_slices_with_nearly_the_same_examples_one_is_told() -> None:
    random = np.random.default_rng(4)
    codes = random.integers(0, 4, (40_000, 3))
    # The married; of 20 of them 17 are husbands. These are treated worst, the other married ones badly.
    married = codes[:, 0] == 0
    husband = married & (random.random(len(codes)) < 0.85)
    codes[:, 1] = np.where(husband, 0, random.integers(1, 4, len(codes)))
    cells = cells_of(codes, *decided(random, 0.7, 0.1 + 0.15 * married + 0.1 * husband, len(codes)))
    found, _, _ = discover(*cells, names_of(3, 4), settings_of(discover_order=2))
    assert [item.slice for item in found if item.confirmed] == [{"f1": "v0"}]


def test_a_slice_that_is_bad_only_because_it_lies_in_a_bad_one_is_not_told() -> None:
    random = np.random.default_rng(5)
    codes = fair_codes(random, 30_000, 6, 5)
    cells = cells_of(codes, *decided(random, 0.7, 0.1 + 0.3 * (codes[:, 0] == 1), len(codes)))
    found, _, _ = discover(*cells, names_of(6, 5), settings_of())
    assert [item.slice for item in found if item.slice.get("f0") == "v1"] == [{"f0": "v1"}]


BAD = {
    # Decision probabilities by label of those who are treated badly; all others have 0.6 and 0.2.
    "false_positive_rate": (0.6, 0.5),
    "true_negative_rate": (0.6, 0.5),
    "false_negative_rate": (0.3, 0.2),
    "true_positive_rate": (0.3, 0.2),
    "selection_rate": (0.3, 0.05),
    "precision": (0.6, 0.5),
    "accuracy": (0.3, 0.5),
}


@pytest.mark.parametrize("metric", DECISION_METRICS)
@pytest.mark.parametrize("worse", [True, False])
def test_gaps_are_told_in_the_metrics_own_direction_and_only_where_worse(metric: str, worse: bool) -> None:
    random = np.random.default_rng(6)
    codes = random.integers(0, 3, (20_000, 2))
    odd = codes[:, 0] == 0
    # Either a third is treated badly, or two thirds are and the remaining one is better off.
    bad = odd if worse else ~odd
    positive, negative = BAD[metric]
    label, decision = decided(random, np.where(bad, positive, 0.6), np.where(bad, negative, 0.2), len(codes))
    found, _, _ = discover(*cells_of(codes, label, decision), names_of(2, 3), settings_of(0.02, (metric,)))
    confirmed = [item for item in found if item.confirmed]
    slices = [item.slice for item in confirmed]
    assert slices == [{"f0": "v0"}] if worse else {"f0": "v0"} not in slices and slices
    higher_is_worse = metric in ("false_positive_rate", "false_negative_rate")
    for item in confirmed:
        assert item.metric == metric
        assert item.value is not None
        assert (item.value > 0.02) if higher_is_worse else (item.value < -0.02)
        assert (item.found > 0) == higher_is_worse


# What is told of it.


def test_numbers_of_the_other_half_are_those_of_its_examples() -> None:
    """All examples equal but for one feature: the halves are told by the counts."""
    cells = np.array([[0], [1]])
    counts = np.array([[[700, 300], [0, 0]], [[950, 50], [0, 0]]])
    settings = settings_of(bound=0.05, metrics=("false_positive_rate",), seed=5)
    (item,), candidates, halves = discover(cells, counts, {"g": ["x", "y"]}, settings)
    first = np.random.default_rng(5).binomial(counts.reshape(2, 4), 0.5).reshape(2, 2, 2)
    second = counts - first
    assert halves == (first.sum(), second.sum())
    assert candidates == 2
    (x0, x1), (y0, y1) = second[:, 0].tolist()
    assert (item.slice, item.count) == ({"g": "x"}, x0 + x1)
    assert item.slice_value == pytest.approx(x1 / (x0 + x1))
    assert item.rest_value == pytest.approx(y1 / (y0 + y1))
    assert item.value == pytest.approx(x1 / (x0 + x1) - y1 / (y0 + y1))
    assert item.found == pytest.approx(
        first[0, 0, 1] / first[0, 0].sum() - first[1, 0, 1] / first[1, 0].sum()
    )
    inputs = [np.array(value) for value in (item.slice_value, x0 + x1, item.rest_value, y0 + y1)]
    assert (item.low, item.high) == pytest.approx([float(end) for end in intervals.newcombe(*inputs, 0.95)])
    assert item.p == pytest.approx(float(intervals.beyond(*inputs, 0.05)))
    assert item.tolerance == 0.05
    assert item.confirmed


def uneven() -> tuple[np.ndarray, np.ndarray, dict[str, list[str]]]:
    """30,000 examples, whose false positive rate is another for each of twelve values."""
    random = np.random.default_rng(9)
    codes = random.integers(0, 12, (30_000, 2))
    rates = random.uniform(0.1, 0.3, 12)[codes[:, 0]]
    return *cells_of(codes, *decided(random, 0.6, rates, len(codes))), names_of(2, 12)


def test_p_values_are_corrected_for_all_that_were_taken() -> None:
    found, _, _ = discover(*uneven(), settings_of(bound=0.05))
    p_values = [item.p for item in found if item.p is not None]
    assert len(p_values) == len(found) > 3
    assert holm(p_values) != p_values
    assert [item.p_adjusted for item in found] == pytest.approx(holm(p_values))
    assert [item.confirmed for item in found] == [p < 0.05 for p in holm(p_values)]


def test_a_gap_within_the_tolerance_is_not_confirmed() -> None:
    planted_gap = planted(1, 1, raised=0.08)
    (strict, *_), _, _ = discover(*planted_gap, settings_of(bound=0.0))
    (lenient, *_), _, _ = discover(*planted_gap, settings_of(bound=0.1))
    assert strict.slice == lenient.slice == {"f0": "v0"}
    assert strict.confirmed
    assert not lenient.confirmed
    assert lenient.p == 1


def test_gaps_that_exceed_their_tolerance_the_most_come_first() -> None:
    random = np.random.default_rng(8)
    codes = random.integers(0, 3, (20_000, 2))
    cells = cells_of(
        codes, *decided(random, 0.8 - 0.3 * (codes[:, 0] == 0), 0.1 + 0.2 * (codes[:, 1] == 0), len(codes))
    )

    def first(false_positive: float, true_positive: float) -> str:
        tolerances = [
            Tolerance(metric="false_positive_rate", bound=false_positive),
            Tolerance(metric="true_positive_rate", bound=true_positive),
        ]
        settings = FairnessSettings(label="y", slices=[["a"]], tolerances=tolerances)
        return discover(*cells, names_of(2, 3), settings)[0][0].metric

    assert first(0.0, 0.0) == "true_positive_rate"
    assert first(0.0, 0.2) == "false_positive_rate"


# Chance.


def fair(bound: float, seed: int, *metrics: str) -> list[Discovered]:
    random = np.random.default_rng(seed)
    cells = cells_of(fair_codes(random, 3_000, 5, 5), *decided(random, 0.6, 0.1, 3_000))
    return discover(*cells, names_of(5, 5), settings_of(bound, metrics or RATES, seed=seed))[0]


def test_without_disparity_at_most_one_run_in_twenty_confirms_anything() -> None:
    """With a tolerance of 0, the hardest: what is found is chance, and one half in 400 times tells."""
    runs = [fair(0.0, seed) for seed in range(400)]
    assert np.mean([bool(found) for found in runs]) > 0.3, "nothing was put to the test"
    assert np.mean([any(item.confirmed for item in found) for found in runs]) <= 0.05


def test_a_gap_that_turns_round_in_the_other_half_has_a_p_value_of_1() -> None:
    turned = [
        item
        for seed in range(80)
        for item in fair(0.0, seed)
        if item.value is not None and item.value * item.found <= 0
    ]
    assert turned
    assert {(item.p, item.p_adjusted, item.confirmed) for item in turned} == {(1.0, 1.0, False)}


# The search, against every slice there is.


def slow_search(
    codes: np.ndarray, counts: np.ndarray, settings: FairnessSettings
) -> tuple[dict[tuple[int, tuple[tuple[int, int], ...]], list[float]], int, int]:
    """Candidates by metric and slice, slices looked at, and comparisons; from one loop over everything."""
    wrong = {"false_positive_rate": (1, (0, 1)), "true_positive_rate": (2, (2, 3))}
    held: dict[tuple[tuple[int, int], ...], list[float]] = defaultdict(lambda: [0.0] * 4)
    features = range(codes.shape[1])
    for row, four in zip(codes.tolist(), counts.tolist()):
        for order in range(settings.discover_order + 1):
            for family in combinations(features, order):
                slice_ = tuple((feature, row[feature]) for feature in family)
                held[slice_] = [a + b for a, b in zip(held[slice_], four)]
    everything = held[()]

    def lower(metric: str, here: list[float], there: list[float], level: float) -> float:
        bad, denominator = wrong[metric]
        n, m = (sum(counts[slot] for slot in denominator) for counts in (here, there))
        return float(intervals.newcombe(here[bad] / n, n, there[bad] / m, m, level)[0]) if n and m else -1.0

    found: dict[tuple[int, tuple[tuple[int, int], ...]], list[float]] = {}
    looked_at: set[Any] = set()
    comparisons = 0
    for order in range(1, settings.discover_order + 1):
        level = []
        for (number, metric), (slice_, here) in product(
            enumerate(wrong), [item for item in held.items() if len(item[0]) == order]
        ):
            rest = [a - b for a, b in zip(everything, here)]
            denominator = wrong[metric][1]
            if min(sum(four[slot] for slot in denominator) for four in (here, rest)) >= settings.min_count:
                level.append((number, metric, slice_, here, rest))
                looked_at.add(slice_)
        comparisons += len(level)
        strict = simultaneous(settings.level, comparisons)
        for number, metric, slice_, here, rest in level:
            parents = [held[slice_[:k] + slice_[k + 1 :]] for k in range(order)] if order > 1 else []
            apart = [[a - b for a, b in zip(parent, here)] for parent in parents]
            if lower(metric, here, rest, settings.level) > 0 and all(
                lower(metric, here, other, strict) > 0 for other in apart
            ):
                found[number, slice_] = here
    return found, len(looked_at), comparisons


def quick_search(half: Half, settings: FairnessSettings, beam: int) -> tuple[Any, int, int]:
    found = search(half, Measures.of(settings), settings, beam)
    slices = {}
    for number, family, key, counts in zip(found.measure, found.family, found.keys, found.counts):
        members = found.families[family]
        slice_ = tuple(zip(members, half.values_of(members, int(key))))
        slices[int(number), slice_] = counts.tolist()
    return slices, found.slices, found.comparisons


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spread", [1, 700], ids=["dense", "sparse"])
def test_level_by_level_finds_what_looking_at_every_slice_finds(seed: int, spread: int) -> None:
    random = np.random.default_rng(seed)
    codes = fair_codes(random, 4_000, 4, 4)
    bad = (codes[:, 0] == 0) & (codes[:, 1] <= 1) | (codes[:, 2] == 3) & (codes[:, 3] == 1) & (
        codes[:, 0] > 1
    )
    label, decision = decided(random, 0.7 - 0.4 * bad, 0.1 + 0.3 * bad, len(codes))
    cells, counts = cells_of(codes * spread, label, decision)
    counts = counts.reshape(-1, 4)
    settings = settings_of(min_count=20)
    half = Half.of(cells, counts, [4 * spread] * 4)
    expected = slow_search(cells, counts, settings)
    assert any(len(slice_) == 2 for _, slice_ in expected[0])
    assert quick_search(half, settings, 10**6) == expected


def test_a_narrow_beam_looks_at_less_and_still_finds_what_its_parents_lead_to() -> None:
    random = np.random.default_rng(1)
    codes = fair_codes(random, 4_000, 5, 4)
    codes[:, 3:] = random.integers(0, 4, (4_000, 2))
    bad = (codes[:, 3] == 3) & (codes[:, 4] == 3)
    cells, counts = cells_of(codes, *decided(random, 0.7, 0.1 + 0.3 * bad, len(codes)))
    half = Half.of(cells, counts.reshape(-1, 4), [4] * 5)
    wide, narrow = (quick_search(half, settings_of(), beam) for beam in (10**6, 3))
    assert narrow[1] < wide[1]
    assert (0, ((3, 3), (4, 3))) in narrow[0]


# What the result does not depend on.


@pytest.fixture(scope="module")
def sample() -> tuple[np.ndarray, np.ndarray, dict[str, list[str]]]:
    return planted(7, 2)


def test_the_order_of_cells_does_not_matter(sample: tuple[Any, ...]) -> None:
    cells, counts, values = sample
    order = np.random.default_rng(0).permutation(len(cells))
    assert discover(cells[order], counts[order], values, settings_of()) == discover(*sample, settings_of())


def test_the_order_and_numbers_of_features_and_values_do_not_matter(sample: tuple[Any, ...]) -> None:
    cells, counts, values = sample
    names = list(values)[::-1]
    random = np.random.default_rng(0)
    columns, renamed = [], {}
    for name in names:
        order = random.permutation(len(values[name]))
        renamed[name] = [values[name][number] for number in order]
        columns.append(np.argsort(order)[cells[:, list(values).index(name)]])
    again = discover(np.stack(columns, axis=1), counts, renamed, settings_of())
    expected = discover(*sample, settings_of())
    assert again[1:] == expected[1:]
    assert again[0] == expected[0]


def test_a_cell_that_is_given_in_parts_is_one(sample: tuple[Any, ...]) -> None:
    cells, counts, values = sample
    part = np.random.default_rng(0).binomial(counts, 0.3)
    twice = discover(
        np.concatenate([cells, cells]), np.concatenate([part, counts - part]), values, settings_of()
    )
    assert twice == discover(*sample, settings_of())


def test_another_seed_draws_other_halves(sample: tuple[Any, ...]) -> None:
    (one, *_), _, _ = discover(*sample, settings_of(seed=1))
    (two, *_), _, _ = discover(*sample, settings_of(seed=2))
    assert one.slice == two.slice
    assert one.found != two.found


# Settings, and what there is not enough of.


def test_looked_at_are_differences_of_decision_metrics_or_else_accuracy() -> None:
    tolerances = [
        Tolerance(metric="auc", bound=0.1),
        Tolerance(metric="selection_rate", kind="ratio", bound=0.8),
        Tolerance(metric="precision", bound=0.2),
    ]
    some = Measures.of(FairnessSettings(label="y", slices=[["a"]], tolerances=tolerances))
    assert (some.names, some.bounds.tolist()) == (("precision",), [0.2])
    none = Measures.of(FairnessSettings(label="y", slices=[["a"]], tolerances=tolerances[:2]))
    assert (none.names, none.bounds.tolist()) == (("accuracy",), [0.0])


def test_slices_have_at_most_as_many_features_as_asked_for(sample: tuple[Any, ...]) -> None:
    found, candidates, _ = discover(*sample, settings_of(discover_order=1))
    assert {len(item.slice) for item in found} == {1}
    assert 0 < candidates <= 8 * 6


def test_no_more_are_taken_than_asked_for() -> None:
    everything, _, _ = discover(*uneven(), settings_of())
    some, _, _ = discover(*uneven(), settings_of(discover_most=2))
    assert len(everything) > len(some) == 2
    assert [item.slice for item in some] == [item.slice for item in everything[:2]]


def test_too_few_examples_are_no_candidates() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 2, (2_000, 2))
    codes[:50, 0] = 2
    cells = cells_of(codes, *decided(random, 0.6, np.where(codes[:, 0] == 2, 1.0, 0.1), len(codes)))
    values = names_of(2, 3)
    assert {"f0": "v2"} not in [item.slice for item in discover(*cells, values, settings_of())[0]]
    assert discover(*cells, values, settings_of(min_count=10))[0][0].slice == {"f0": "v2"}


def test_what_the_other_half_has_nothing_of_is_told_and_not_confirmed() -> None:
    """Of a slice of few examples all may fall into the first half."""
    counts = np.array([[[0, 4], [0, 0]], [[500, 0], [0, 0]]])
    settings = settings_of(metrics=("false_positive_rate",), min_count=1, level=0.6)
    for seed in range(100):
        found, _, _ = discover(
            np.array([[0], [1]]), counts, {"g": ["x", "y"]}, settings.model_copy(update={"seed": seed})
        )
        if found and found[0].count == 0:
            break
    (item,) = found
    assert (item.slice_value, item.value, item.low, item.high, item.p, item.p_adjusted) == (None,) * 6
    assert item.rest_value == 0
    assert not item.confirmed


@pytest.mark.parametrize(
    ("cells", "counts"),
    [
        (np.zeros((0, 2), int), np.zeros((0, 2, 2), int)),
        (np.zeros((1, 2), int), np.full((1, 2, 2), 1_000)),
        (np.stack([np.arange(500), np.zeros(500, int)], axis=1), np.full((500, 2, 2), 1)),
    ],
    ids=["no examples", "all alike", "identifier"],
)
def test_there_may_be_nothing_to_find(cells: np.ndarray, counts: np.ndarray) -> None:
    values = {"id": [str(number) for number in range(500)], "constant": ["only"]}
    found, candidates, halves = discover(cells, counts, values, settings_of())
    assert (found, candidates, sum(halves)) == ([], 0, counts.sum())


def test_features_of_thousands_of_values_cross_without_a_table_of_all_combinations() -> None:
    random = np.random.default_rng(2)
    codes = random.integers(0, 4_000, (20_000, 3))
    codes[:6_000] = random.integers(0, 2, (6_000, 3))
    bad = (codes[:, 0] == 1) & (codes[:, 2] == 1)
    cells = cells_of(codes, *decided(random, 0.6, 0.1 + 0.4 * bad, len(codes)))
    found, _, _ = discover(*cells, names_of(3, 4_000), settings_of())
    assert (found[0].slice, found[0].confirmed) == ({"f0": "v1", "f2": "v1"}, True)
