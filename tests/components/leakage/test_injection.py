"""Copies put into the census data: counted exactly, and judged by what a random split would give."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from tfx_trust.components.leakage.chance import random_split
from tfx_trust.components.leakage.check import check_leakage
from tfx_trust.components.leakage.columns import Layout
from tfx_trust.components.leakage.count import Groups
from tfx_trust.components.leakage.report import LeakageReport, Overlap
from tfx_trust.components.leakage.tables import batch_of, layout_of

SETTINGS = {"label": "over_50k", "exclude": ["fnlwgt"], "pairs": False, "near": 0}


def check(train: pa.Table, evaluation: pa.Table) -> LeakageReport:
    return check_leakage(train, evaluation, SETTINGS)


def overlap(report: LeakageReport, key: str = "features") -> Overlap:
    return next(item for item in report.leakage.overlap if item.key == key)


@pytest.fixture(scope="module")
def distinct_rows(census: dict[str, pa.Table]) -> tuple[pa.Table, pa.Table]:
    """The published splits without the 26 eval rows that are in train, so that copies alone overlap."""
    sides = [batch_of(table.combine_chunks().to_batches()[0], layout()) for table in census.values()]
    keys = [side.key([name for name in side.names if name != "over_50k"])[0] for side in sides]
    alone = ~np.isin(keys[1], keys[0])
    assert int((~alone).sum()) == 26
    return census["train"], census["eval"].filter(pa.array(alone))


def layout() -> Layout:
    from leaky import census_table

    return layout_of([("train", census_table("train").schema)], None)


@pytest.mark.parametrize(
    ("copies", "severity"), [(1, "info"), (10, "info"), (20, "info"), (100, "warn"), (1000, "fail")]
)
def test_rows_copied_after_the_split_are_counted_exactly_and_judged_by_their_excess(
    distinct_rows: tuple[pa.Table, pa.Table], copies: int, severity: str
) -> None:
    train, evaluation = distinct_rows
    chosen = np.random.default_rng(copies).choice(evaluation.num_rows, copies, replace=False)
    leaked = pa.concat_tables([train, evaluation.take(pa.array(chosen))])
    report = check(leaked, evaluation)
    found = overlap(report)
    # A copied row may itself be one of the few that repeat within eval.
    repeated = found.eval_in_train - copies
    assert 0 <= repeated <= 2
    assert found.train_in_eval == copies
    (finding,) = (item for item in report.findings if item.check == "duplicates_across_splits")
    assert str(finding.severity) == severity
    assert report.leakage.rows[0].differs == []


@pytest.mark.parametrize("copies", [1, 10, 100, 1000])
def test_rows_copied_before_the_split_are_counted_and_shown_by_independent_columns_alone(
    census: dict[str, pa.Table], copies: int
) -> None:
    random = np.random.default_rng(copies)
    pooled = pa.concat_tables(list(census.values()))
    pooled = pooled.take(pa.array(np.r_[np.arange(48842), random.choice(48842, copies, replace=False)]))
    order = random.permutation(pooled.num_rows)
    splits = order[: 2 * len(order) // 3], order[2 * len(order) // 3 :]
    train, evaluation = (pooled.take(pa.array(rows)) for rows in splits)
    found = overlap(check(train, evaluation))
    assert found.eval_in_train == slow_overlap(train, evaluation)
    assert found.p_value > 1e-4, "a random split was taken for copies made after it"
    assert found.expected_independent is not None
    assert found.expected_independent < 1
    # Of two equal rows each is in eval, and the other in train, with probability 2 / 9.
    beyond = found.eval_in_train - found.expected_independent
    assert (str(found.verdict) == "warn") == (beyond / evaluation.num_rows > 0.01)
    assert str(found.verdict) in ("pass", "warn")


def slow_overlap(train: pa.Table, evaluation: pa.Table) -> int:
    columns = [name for name in train.column_names if name != "over_50k"]
    known = set(zip(*(train[name].to_pylist() for name in columns)))
    return sum(row in known for row in zip(*(evaluation[name].to_pylist() for name in columns)))


def test_a_clean_random_split_is_never_failed_and_hardly_ever_warned_of(census: dict[str, pa.Table]) -> None:
    pooled = pa.concat_tables(list(census.values())).combine_chunks()
    batch = batch_of(pooled.to_batches()[0], layout())
    features = [name for name in batch.names if name != "over_50k"]
    warned = failed = 0
    for names in (features, [name for name in features if name != "fnlwgt"]):
        keys = batch.key(names)
        for seed in range(200):
            order = np.random.default_rng(seed).permutation(batch.rows)
            observed, chance = split_at(keys, order)
            unlikely = chance.p_value(observed) < 0.001
            excess = (observed - chance.expected) / 16281
            warned += unlikely
            failed += unlikely and excess > 0.01
    assert failed == 0
    # 400 splits, of which 0.4 are expected below a probability of 0.001.
    assert warned <= 3


def split_at(keys: np.ndarray, order: Sequence[int]) -> tuple[int, object]:
    train, evaluation = keys[:, order[:32561]], keys[:, order[32561:]]
    counts = Groups.of(train, evaluation).counts
    size, number = np.unique(counts.sum(axis=0), return_counts=True)
    chance = random_split(dict(zip(size.tolist(), number.tolist())), 32561, 16281)
    return int(counts[1, (counts > 0).all(axis=0)].sum()), chance


@pytest.mark.parametrize(
    ("fidelity", "verdict"), [(1.0, "fail"), (0.997, "fail"), (0.95, "warn"), (0.85, "pass")]
)
def test_a_copy_of_the_label_is_judged_by_its_fidelity(
    census: dict[str, pa.Table], fidelity: float, verdict: str
) -> None:
    random = np.random.default_rng(7)
    sides = []
    for table in census.values():
        label = table["over_50k"].to_numpy()
        copy = np.where(random.random(len(label)) < fidelity, label, 1 - label)
        sides.append(table.append_column("copied", pa.array(np.where(copy == 1, "yes", "no"))))
    report = check(*sides)
    copied = next(item for item in report.leakage.features if item.name == "copied")
    assert str(copied.verdict) == verdict
    assert copied.determines == (fidelity == 1.0)
    others = {str(item.verdict) for item in report.leakage.features if item.name != "copied"}
    assert others == {"pass"}


@pytest.mark.parametrize(("labels", "shown"), [([0, 1], "1"), ([51_200, 48_700, 39_100], "")])
def test_the_rows_shown_are_masked_but_for_a_label_that_is_a_class(labels: list[int], shown: str) -> None:
    rows = 300
    values = np.arange(rows) % 2 if len(labels) == 2 else np.arange(rows) * 137 + labels[0]
    table = pa.table({"name": [f"Person {n:03}" for n in range(rows)], "label": values})
    report = check_leakage(table, table.slice(0, 100), {"label": "label", "targets": False, "near": 0})
    row = report.leakage.rows[0]
    assert row.train["name"] == row.eval["name"]
    assert "Person" not in report.to_json()
    assert row.train["label"] in ("0", "1") if shown else "•" in row.train["label"]
