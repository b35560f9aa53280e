"""Times: parsed, compared, and refused without being told."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from tfx_trust.components import InputError
from tfx_trust.components.leakage.check import check_leakage
from tfx_trust.components.leakage.times import seconds

NOON = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.timezone.utc).timestamp()


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        (["2026-11-24T12:00:00Z", "2026-11-24T13:00:00+01:00", "2026-11-24 12:00:00"], None),
        ([b"2026-11-24T12:00:00"], None),
        (["24.11.2026 12h"], "%d.%m.%Y %Hh"),
        ([datetime.datetime(2026, 11, 24, 12)], None),
    ],
)
def test_moments_of_any_form_are_the_same_number(values: list[object], pattern: str | None) -> None:
    assert (seconds(pa.array(values), "when", pattern) == NOON).all()


def test_numbers_stay_and_missing_ones_are_not_a_number() -> None:
    assert seconds(pa.array([3, 17]), "when", None).tolist() == [3, 17]
    assert np.isnan(seconds(pa.array(["", None]), "when", None)).all()


def test_what_cannot_be_read_is_told_by_its_shape_and_not_by_its_content() -> None:
    with pytest.raises(InputError, match=r"time 'when': 1 different values.*'Aaaaa 99'|'aaaaa 99'") as told:
        seconds(pa.array(["Smith 42", "2026-11-24"]), "when", None)
    assert "Smith" not in str(told.value)
    assert "time_format" in str(told.value)


def report(train: list[object], evaluation: list[object], **changes: object):
    def table(times: list[object], shift: int) -> pa.Table:
        rows = range(len(times))
        label, who = ([n % number for n in rows] for number in (2, 3))
        return pa.table({"when": pa.array(times), "a": [n + shift for n in rows], "who": who, "label": label})

    settings = {"label": "label", "time": "when", "targets": False, "near": 0, **changes}
    return check_leakage(table(train, 0), table(evaluation, 1000), settings)


def test_training_examples_at_or_after_the_first_eval_example_fail() -> None:
    found = report(["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-05"], ["2026-01-03", "2026-01-04"])
    assert str(found.verdict) == "fail"
    assert found.leakage.time.late_train == 2
    assert found.leakage.time.first == {"train": "2026-01-01", "eval": "2026-01-03"}
    (finding,) = (item for item in found.findings if item.check == "time_order")
    assert "2 of 4 train examples (50 %) are from 2026-01-03 or later" in finding.message


def test_the_order_within_an_entity_is_told_as_well() -> None:
    found = report([1, 2, 6], [5, 6, 6], groups=["who"], entities_fail=1.0)
    assert found.leakage.time.late_train == 1
    assert found.leakage.time.late_in_group == {"who": 1}


def test_an_orderly_split_passes_and_a_missing_time_is_not_checked() -> None:
    assert str(report([1, 2], [3, 4]).verdict) == "pass"
    found = report([1, None], [3, 4])
    assert str(found.verdict) == "not_run"
    assert "1 train examples have no when" in found.findings[0].message
