"""Predictions to judge: of a rule and of a formula on UCI Adult's evaluation split, and made-up ones."""

from collections.abc import Mapping, Sequence
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from tfx_trust.components import FairnessReport, evaluate_fairness
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.count import Counts
from tfx_trust.components.fairness.evaluate import TableReader
from tfx_trust.components.fairness.report import Gap, Slice, SliceMetrics
from tfx_trust.pipelines.census import data

LABEL = data.LABEL
SLICES = [["sex"], ["race"], ["race", "sex"]]
FAMILIES: list[tuple[str, ...]] = [("sex",), ("race",), ("race", "sex")]
THRESHOLD = 0.3


@cache
def adult() -> pa.Table:
    """The split as read from its CSV, with a `score`, a `rule`, and as `importance` powers of 2.

    The score is a logistic formula of five features, rounded so that many are equal: that of every third
    example to one decimal, so that 0.3 and 0.5 occur often.
    """
    with TemporaryDirectory() as folder:
        table = csv.read_csv(data.prepare(folder) / "eval" / "adult.csv")
    features = {
        name: table[name].to_numpy() for name in ("education_num", "age", "capital_gain", "hours_per_week")
    }
    rows = np.arange(table.num_rows)
    logit = (
        0.35 * (features["education_num"] - 10)
        + 0.03 * (features["age"] - 38)
        + 0.0003 * features["capital_gain"]
        + 0.02 * (features["hours_per_week"] - 40)
        + 0.8 * (table["sex"].to_numpy() == "Male")
        - 1.8
    )
    score = 1 / (1 + np.exp(-logit))
    score = np.where(rows % 3 == 0, score.round(1), score.round(4))
    rule = (features["education_num"] >= 13) | (features["capital_gain"] > 5_000)
    made = {"score": score, "rule": rule.astype(np.int64), "importance": 2.0 ** (rows % 5 - 2)}
    for name, values in made.items():
        table = table.append_column(name, pa.array(values))
    return table


def people(rows: int, seed: int = 0, **more: Any) -> pa.Table:
    """Made-up predictions: label `y`, score `s` and the groups `g` (a, b, c) and `h` (x, y)."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, rows)
    columns = {
        "y": label,
        "s": np.clip(random.beta(2, 2, rows) + 0.2 * (label - 0.5), 0, 1),
        "g": random.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2]),
        "h": random.choice(["x", "y"], rows),
    }
    return pa.table({**columns, **more})


def judged(
    table: pa.Table | Mapping[str, Any], settings: Mapping[str, Any] | None = None, **given: Any
) -> FairnessReport:
    """The report on a table with label `y`, score `s` and group `g`, unless it is said otherwise."""
    table = table if isinstance(table, pa.Table) else pa.table(dict(table))
    settings = {"label": "y", "slices": [["g"]], "discover": [], **(settings or {})}
    if not {"score", "prediction"} & set(given):
        given["score"] = "s"
    return evaluate_fairness(table, settings, **given)


def cells(groups: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Predictions by group: so many with label and decision 00, 01, 10 and 11."""
    rows = [
        (group, label, decision)
        for group, four in groups.items()
        for (label, decision), number in zip([(0, 0), (0, 1), (1, 0), (1, 1)], four)
        for _ in range(number)
    ]
    names, labels, decisions = zip(*rows)
    return {"g": list(names), "y": list(labels), "p": list(decisions)}


def counted(
    table: pa.Table, settings: Mapping[str, Any], rows: int | Sequence[int], **columns: Any
) -> list[Counts]:
    """Counts of parts of a table, of so many rows each."""
    read = {
        name: columns.get(name) for name in ("score", "prediction", "baseline_score", "baseline_prediction")
    }
    reader = TableReader(table.schema, FairnessSettings.of(settings), *read.values())
    sizes = [rows] * -(-table.num_rows // rows) if isinstance(rows, int) else rows
    begins = np.cumsum([0, *sizes])[:-1]
    found = []
    for begin, size in zip(begins.tolist(), sizes):
        counts = Counts(reader.plan)
        for batch in table.select(reader.columns).slice(begin, size).combine_chunks().to_batches():
            counts.add(reader.batch(batch))
        found.append(counts)
    return found


def of_slice(
    report: FairnessReport, slice_: Slice | None = None, label_class: str | None = None
) -> SliceMetrics:
    """A slice of a report; all examples if none is named."""
    (found,) = [
        item
        for item in report.fairness.slices
        if item.slice == (slice_ or {}) and item.label_class == label_class
    ]
    return found


def gap_of(report: FairnessReport, metric: str, slice_: Slice, kind: str = "difference") -> Gap:
    """A gap of a report."""
    (found,) = [
        gap for gap in report.fairness.gaps if (gap.metric, gap.slice, gap.kind) == (metric, slice_, kind)
    ]
    return found


def members(frame: pd.DataFrame, slice_: Slice) -> np.ndarray:
    """Which rows are in a slice."""
    inside = np.ones(len(frame), bool)
    for name, value in slice_.items():
        inside &= (frame[name] == value).to_numpy()
    return inside
