"""Exposure by slice: the exposed minority, corrections, buckets, missing values."""

import re

import numpy as np
import pytest

from tfx_trust.components import InputError, UsageError, Verdict
from tfx_trust.components.corrections import holm
from tfx_trust.components.errors import TrustError
from tfx_trust.components.privacy.config import AuditSettings
from tfx_trust.components.privacy.exposure import Values, by_slice
from tfx_trust.components.privacy.report import SliceExposure


def found_of(
    slices: list[list[str]],
    values: Values,
    shift: np.ndarray,
    seed: int = 1,
    **further: object,
) -> list[SliceExposure]:
    """Slices of as many members as others with the same values; members score higher by `shift`."""
    rng = np.random.default_rng(seed)
    settings = AuditSettings.of({"label": "sick", "slices": slices, **further})
    members, others = rng.normal(shift, 1), rng.normal(0, 1, len(shift))
    return by_slice("loss", members, others, values, values, settings)


def test_a_minority_that_is_memorized_stands_first() -> None:
    town = np.array(["big"] * 2000 + ["small"] * 200)
    found = found_of([["town"]], {"town": town}, np.where(town == "small", 1.5, 0.0))
    assert [item.slice for item in found] == [{"town": "small"}, {"town": "big"}]
    assert [item.verdict for item in found] == [Verdict.FAIL, Verdict.PASS]
    assert [(item.members, item.others) for item in found] == [(200, 200), (2000, 2000)]
    assert found[0].auc is not None
    assert found[0].auc.value > 0.8


def test_p_values_are_corrected_for_all_slices() -> None:
    group = np.array([f"g{number % 12}" for number in range(2400)])
    shift = np.full(2400, 0.5)
    found = found_of([["group"], ["half"]], {"group": group, "half": group > "g3"}, shift)
    p_values = [item.p for item in found if item.p is not None]
    assert len(p_values) == 14
    assert [item.p_adjusted for item in found] == pytest.approx(holm(p_values))
    assert any(item.p < 0.05 <= item.p_adjusted for item in found if item.p and item.p_adjusted)


def test_slices_at_the_limit_fail_together_no_more_often_than_the_level_allows() -> None:
    group = np.array([number % 10 for number in range(2000)])
    failed = 0
    for seed in range(100):
        found = found_of([["group"]], {"group": group}, np.full(2000, 0.3583), seed)
        failed += any(item.verdict is Verdict.FAIL for item in found)
    assert failed / 100 < 0.06


def test_slices_are_crossed_bucketed_and_may_be_missing() -> None:
    sex = [("m", "f", None)[number % 3] for number in range(900)]
    age = [float(20 + number // 3 % 40) for number in range(900)]
    found = found_of([["sex", "age"]], {"sex": sex, "age": age}, np.zeros(900), buckets={"age": [40]})
    names = {(item.slice["age"], item.slice["sex"]) for item in found}
    assert names == {(bucket, value) for bucket in ("< 40", "≥ 40") for value in ("m", "f", "(missing)")}
    assert sum(item.members for item in found) == 900
    # In another order they are the same slices.
    assert found == found_of([["age", "sex"]], {"sex": sex, "age": age}, np.zeros(900), buckets={"age": [40]})


def test_slices_of_few_are_told_last_and_not_judged() -> None:
    town = np.array(["big"] * 500 + ["small"] * 99 + ["tiny"] * 3)
    found = found_of([["town"]], {"town": town}, np.full(602, 3.0))
    assert [(item.slice["town"], item.verdict, item.auc is None) for item in found] == [
        ("big", Verdict.FAIL, False),
        ("small", Verdict.INCONCLUSIVE, True),
        ("tiny", Verdict.INCONCLUSIVE, True),
    ]
    many = found_of([["code"]], {"code": np.arange(3000)}, np.zeros(3000))
    assert len(many) == 3000, "each is told, and their number with them"


def test_a_slice_that_only_members_have_is_told() -> None:
    settings = AuditSettings(label="sick", slices=[["town"]])
    mine, theirs = {"town": ["a"] * 150 + ["b"] * 150}, {"town": ["a"] * 150}
    found = by_slice("lira", np.zeros(300), np.zeros(150), mine, theirs, settings)
    assert [(item.slice["town"], item.members, item.others) for item in found] == [
        ("a", 150, 150),
        ("b", 150, 0),
    ]
    assert {item.attack for item in found} == {"lira"}


@pytest.mark.parametrize(
    ("slices", "values", "further", "kind", "message"),
    [
        (
            ["sxe"],
            {"sex": ["m"] * 3},
            {},
            UsageError,
            "unknown feature to slice by 'sxe': known are sex; did you",
        ),
        (
            ["sex"],
            {"sex": ["m"] * 2},
            {},
            InputError,
            "feature 'sex' has 2 values for 3 members; give one each",
        ),
        (["sex"], {"sex": ["m", 3, 1.5]}, {}, InputError, "feature 'sex' has values of several types"),
        (
            ["age"],
            {"age": [1.0, 2.0, 3.0]},
            {"buckets": {"age": [40, 20]}},
            UsageError,
            "buckets of 'age' have the edges [40.0, 20.0]; give some, each greater than the last",
        ),
        (
            ["sex"],
            {"sex": ["m", "f", "m"]},
            {"buckets": {"sex": [1]}},
            InputError,
            "feature 'sex' is string and has buckets; buckets are for numbers",
        ),
    ],
)
def test_what_cannot_be_sliced_by_is_refused(
    slices: list[str], values: Values, further: dict[str, object], kind: type[TrustError], message: str
) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        found_of([slices], values, np.zeros(3), **further)


def test_numbers_of_many_values_need_buckets() -> None:
    with pytest.raises(InputError, match="feature 'wage' is a number of many values without buckets"):
        found_of([["wage"]], {"wage": np.linspace(0, 1, 300)}, np.zeros(300))
    with pytest.raises(
        InputError, match="feature 'id' has more than 4,000 values; slice by something coarser"
    ):
        found_of([["id"]], {"id": np.arange(5000)}, np.zeros(5000))
