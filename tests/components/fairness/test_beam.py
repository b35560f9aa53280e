"""The Beam driver and PTransform: the report of the in-process driver, to the last digit."""

import pickle
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from judged import SETTINGS, files_of, people, table_of
from models import feature_of, save_model, save_scorer

from tfx_trust.components import FairnessReport, InputError, UsageError, evaluate_fairness
from tfx_trust.components.beam_io import result_of
from tfx_trust.components.fairness.beam import CountFairness, EvaluateFairness
from tfx_trust.components.fairness.conclude import conclude
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.count import Counts
from tfx_trust.components.fairness.evaluate import TableReader
from tfx_trust.components.fairness.examples_driver import evaluate_examples
from tfx_trust.components.model import ExampleModel

ROWS = people(3_000)
EXCLUDED = {"discover": ["sex", "race", "age"]}
BINARY = {"score": "score", "baseline_score": "former"}


def section(report: FairnessReport) -> dict[str, Any]:
    """All that was measured, but for how."""
    return report.fairness.model_dump(exclude={"driver"})


def transformed(table: pa.Table, settings: dict[str, Any], *, rows: int, **columns: Any) -> FairnessReport:
    """The report of the PTransform on record batches of so many rows."""

    def apply(pipeline: Any) -> Any:
        batches = pipeline | beam.Create(table.to_batches(max_chunksize=rows)) | beam.Reshuffle()
        return batches | EvaluateFairness(settings, table.schema, **columns)

    report: FairnessReport = result_of(apply)
    return report


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "binary": ({}, BINARY),
    "weighted": ({"weight": "weight", "compare": ">"}, BINARY),
}


@pytest.mark.parametrize("case", CASES)
def test_the_drivers_agree_to_the_last_digit_on_files(case: str, tmp_path: Path) -> None:
    given, columns = CASES[case]
    settings = {**SETTINGS, **EXCLUDED, **given}
    model = ExampleModel(save_scorer(tmp_path / "model", columns["score"]))
    baseline = ExampleModel(save_scorer(tmp_path / "baseline", columns["baseline_score"]))
    files = files_of(tmp_path / "eval", ROWS, parts=3)
    reports = {
        driver: evaluate_examples(files, {**settings, "driver": driver}, model=model, baseline=baseline)
        for driver in ("in_process", "beam")
    }
    assert {driver: report.fairness.driver for driver, report in reports.items()} == {
        driver: driver for driver in reports
    }
    assert section(reports["beam"]) == section(reports["in_process"])
    assert reports["beam"].findings == reports["in_process"].findings
    assert section(reports["beam"]) == section(evaluate_fairness(table_of(ROWS), settings, **columns))
    assert reports["beam"].fairness.baseline is not None
    assert reports["beam"].fairness.discovery is not None


@pytest.mark.parametrize("case", CASES)
def test_the_transform_agrees_to_the_last_digit_with_the_function(case: str) -> None:
    given, columns = CASES[case]
    settings = {**SETTINGS, **EXCLUDED, **given}
    report = transformed(table_of(ROWS), settings, rows=700, **columns)
    assert report.fairness.driver == "beam"
    assert section(report) == section(evaluate_fairness(table_of(ROWS), settings, **columns))


def test_classes_agree_to_the_last_digit_on_files_and_tables(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    classes = ["low", "mid", "top"]
    scores = random.dirichlet([1, 1, 1], len(ROWS)).astype(np.float32)
    rows = [
        {**row, "label": str(random.choice(classes)), **dict(zip(classes, map(float, values), strict=True))}
        for row, values in zip(ROWS, scores, strict=True)
    ]
    settings = {**SETTINGS, **EXCLUDED, "classes": classes}

    def answer(examples: Any) -> dict[str, Any]:
        import tensorflow as tf

        return {"scores": tf.stack([feature_of(examples, name) for name in classes], axis=1)}

    model = ExampleModel(save_model(tmp_path / "model", answer))
    files = files_of(tmp_path / "eval", rows)
    found = [
        section(evaluate_examples(files, {**settings, "driver": driver}, model=model))
        for driver in ("in_process", "beam")
    ]
    table = evaluate_fairness(table_of(rows), settings, score=classes)
    assert found == [section(table)] * 2


def test_parts_may_be_combined_in_any_order() -> None:
    table = table_of(ROWS)
    settings = FairnessSettings.of({**SETTINGS, **EXCLUDED})
    reader = TableReader(table.schema, settings, "score", None, "former", None)
    combine = CountFairness(reader.plan)
    parts = [
        combine.add_input(combine.create_accumulator(), reader.batch(batch))
        for batch in table.to_batches(max_chunksize=500)
    ]
    backwards = [pickle.loads(pickle.dumps(part)) for part in parts[::-1]]
    one = combine.merge_accumulators(parts)
    halves = [combine.compact(combine.merge_accumulators(half)) for half in (backwards[:2], backwards[2:])]
    two = combine.extract_output(combine.merge_accumulators([Counts(reader.plan), *halves]))
    assert section(conclude(two)) == section(conclude(one))


def test_no_examples_are_refused() -> None:
    table = table_of(ROWS)
    with pytest.raises(InputError, match="the eval split has no examples"):
        transformed(table.slice(0, 0), {**SETTINGS, **EXCLUDED}, rows=700, score="score")


def test_a_column_that_there_is_not_is_refused_when_the_pipeline_is_made() -> None:
    with pytest.raises(UsageError, match="unknown column 'risk'"):
        EvaluateFairness(SETTINGS, table_of(ROWS).schema, score="risk")


def test_what_is_wrong_with_an_example_is_told_from_a_worker(tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS]
    rows[700]["score"] = float("nan")
    model = ExampleModel(save_scorer(tmp_path / "model"))
    files = files_of(tmp_path / "eval", rows)
    with pytest.raises(InputError, match=r"the score is NaN in 1 of .*leave these examples out$"):
        evaluate_examples(files, {**SETTINGS, **EXCLUDED, "driver": "beam"}, model=model)


def test_edges_of_numbers_may_be_given_to_the_transform() -> None:
    table = table_of(ROWS)
    settings = {"label": "label", "slices": [["former"]], "discover": []}
    with pytest.raises(InputError, match="'former' is a number without buckets"):
        EvaluateFairness(settings, table.schema, score="score")
    report = transformed(table, settings, rows=1_000, score="score", edges={"former": [0.5]})
    assert [item.slice for item in report.fairness.slices] == [{}, {"former": "< 0.5"}, {"former": "≥ 0.5"}]
