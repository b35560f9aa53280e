"""FairnessEvaluator on artifacts: what it reads, writes, reports and refuses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_model_analysis as tfma
from google.protobuf import text_format
from judged import SETTINGS, examples_artifact, files_of, people, table_of
from leaky import write_records, write_rows
from models import feature_of, save_model, save_scorer
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import standard_artifacts
from tfx.types.channel_utils import as_channel

from tfx_trust.components import (
    FairnessEvaluator,
    FairnessReport,
    InputError,
    UsageError,
    evaluate_fairness,
)
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.examples_driver import evaluate_examples
from tfx_trust.components.fairness.reader import kinds_of
from tfx_trust.components.model import ExampleModel

ROWS = people(1_500)
SCHEMA = """
feature { name: "label" type: INT } feature { name: "sex" type: BYTES shape { dim { size: 1 } } }
feature { name: "race" type: BYTES value_count { min: 0 max: 1 } } feature { name: "age" type: INT }
feature { name: "score" type: FLOAT } feature { name: "tags" type: BYTES value_count { min: 1 } }
feature { name: "nested" type: STRUCT } feature { name: "gone" type: INT lifecycle_stage: DEPRECATED }
"""


def model_artifact(folder: Path, feature: str = "score") -> Any:
    made = standard_artifacts.Model()
    made.uri = str(folder)
    save_scorer(folder / "Format-Serving", feature)
    return made


def schema_artifact(folder: Path, text: str = SCHEMA) -> Any:
    folder.mkdir()
    (folder / "schema.pbtxt").write_text(text)
    made = standard_artifacts.Schema()
    made.uri = str(folder)
    return made


def statistics_artifact(folder: Path, examples: Any) -> Any:
    """As StatisticsGen makes them."""
    made = standard_artifacts.ExampleStatistics()
    made.uri = str(folder)
    made.split_names = examples.split_names
    for split in ("train", "eval"):
        table = table_of(people(2_000, seed=1) if split == "train" else ROWS)
        found = tfdv.generate_statistics_from_dataframe(table.to_pandas(), n_jobs=1)
        target = folder / f"Split-{split}" / "FeatureStats.pb"
        target.parent.mkdir(parents=True)
        target.write_bytes(found.SerializeToString())
    return made


def run(folder: Path, settings: dict[str, Any], **artifacts: Any) -> tuple[FairnessReport, dict[str, Any]]:
    component = FairnessEvaluator(
        settings=settings, **{name: as_channel([made]) for name, made in artifacts.items()}
    )
    inputs = {key: list(channel.get()) for key, channel in component.inputs.items()}
    outputs = {key: [channel.type()] for key, channel in component.outputs.items()}
    for key, (made,) in outputs.items():
        made.uri = str(folder / key)
    component.executor_spec.executor_class().Do(inputs, outputs, component.exec_properties)
    return FairnessReport.load(outputs["fairness_report"][0].uri), {
        key: made for key, (made,) in outputs.items()
    }


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts take seconds; the page has tests of its own, and test_contract.py makes a whole one."""
    monkeypatch.setattr("tfx_trust.components.artifacts.render_report", lambda report, folder: "<p></p>")


@pytest.fixture
def examples(tmp_path: Path) -> Any:
    return examples_artifact(tmp_path / "examples", {"train": ROWS[:100], "eval": ROWS})


@pytest.fixture
def model(tmp_path: Path) -> Any:
    return model_artifact(tmp_path / "model")


def files(folder: Path, rows: Sequence[dict[str, Any]]) -> tuple[list[str], ExampleModel]:
    return files_of(folder / "eval", rows), ExampleModel(save_scorer(folder / "scorer"))


def test_the_report_is_that_of_the_same_predictions_in_a_table(
    examples: Any, model: Any, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "discover": ["sex", "race"]}
    report, outputs = run(tmp_path, settings, examples=examples, model=model)
    table = evaluate_fairness(table_of(ROWS), settings, score="score")
    assert report.fairness == table.fairness
    assert report.findings == table.findings
    assert str(report.verdict) == "fail"
    assert outputs["fairness_report"].get_string_custom_property("verdict") == "fail"
    assert {key: [item.uri for item in items] for key, items in report.inputs.items()} == {
        "examples": [examples.uri],
        "model": [model.uri],
    }


def test_the_evaluation_is_read_by_tfma(examples: Any, model: Any, tmp_path: Path) -> None:
    report, outputs = run(tmp_path, SETTINGS, examples=examples, model=model)
    result = tfma.load_eval_result(outputs["evaluation"].uri)
    assert len(result.slicing_metrics) == len(report.fairness.slices)
    assert (result.model_location, result.data_location) == (f"{model.uri}/Format-Serving", examples.uri)


def test_a_baseline_is_compared_on_the_same_examples(examples: Any, model: Any, tmp_path: Path) -> None:
    former = model_artifact(tmp_path / "former", "former")
    report, _ = run(tmp_path, SETTINGS, examples=examples, model=model, baseline_model=former)
    table = evaluate_fairness(table_of(ROWS), SETTINGS, score="score", baseline_score="former")
    assert report.fairness.baseline is not None
    assert report.fairness.baseline == table.fairness.baseline


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("absent", "no SavedModel there"),
        ("unanswering", "cannot answer the examples"),
        ("otherwise", "its score has the shape"),
    ],
)
def test_a_baseline_that_cannot_be_asked_is_told_and_the_rest_goes_on(
    fault: str, said: str, examples: Any, model: Any, tmp_path: Path
) -> None:
    former = standard_artifacts.Model()
    former.uri = str(tmp_path / "former")
    if fault == "unanswering":
        save_scorer(tmp_path / "former" / "Format-Serving", "unheard_of")
    if fault == "otherwise":
        save_model(
            tmp_path / "former" / "Format-Serving",
            lambda raw: {"scores": tf.repeat(feature_of(raw, "score")[:, None], 3, axis=1)},
        )
    report, _ = run(tmp_path, SETTINGS, examples=examples, model=model, baseline_model=former)
    (finding,) = (item for item in report.findings if str(item.severity) == "not_run")
    assert finding.check == "baseline"
    assert said in finding.message
    assert report.fairness.baseline is None
    assert report.fairness.examples == len(ROWS)


def test_a_missing_or_empty_split_fails_and_everything_is_written(model: Any, tmp_path: Path) -> None:
    sources = {
        "There is no eval split.": {"train": ROWS[:10]},
        "The eval split has no examples.": {"train": ROWS[:10], "eval": []},
    }
    for number, (message, splits) in enumerate(sources.items()):
        examples = examples_artifact(tmp_path / f"examples{number}", splits)
        report, outputs = run(tmp_path / f"out{number}", SETTINGS, examples=examples, model=model)
        assert str(report.verdict) == "fail"
        assert [item.message for item in report.findings] == [message]
        assert report.fairness.slices == []
        assert tfma.load_eval_result(outputs["evaluation"].uri).slicing_metrics == []


def test_a_split_without_files_has_no_examples(examples: Any, model: Any, tmp_path: Path) -> None:
    for path in (Path(examples.uri) / "Split-eval").iterdir():
        path.unlink()
    report, _ = run(tmp_path, SETTINGS, examples=examples, model=model)
    assert [item.message for item in report.findings] == ["The eval split has no examples."]


def test_another_split_may_be_judged(model: Any, tmp_path: Path) -> None:
    examples = examples_artifact(tmp_path / "examples", {"train": ROWS[:10], "holdout": ROWS})
    report, _ = run(tmp_path, {**SETTINGS, "eval_split": "holdout"}, examples=examples, model=model)
    assert report.fairness.examples == len(ROWS)


def test_a_model_that_takes_no_examples_is_refused(examples: Any, tmp_path: Path) -> None:
    made = standard_artifacts.Model()
    made.uri = str(tmp_path / "model")
    module = tf.Module()
    module.f = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    tf.saved_model.save(module, str(tmp_path / "model" / "Format-Serving"), signatures=module.f)
    with pytest.raises(InputError, match=r"none of its signatures \(serving_default\) takes a batch"):
        run(tmp_path, SETTINGS, examples=examples, model=made)


def test_edges_come_from_the_statistics_of_the_train_split(examples: Any, model: Any, tmp_path: Path) -> None:
    settings = {"label": "label", "slices": [["age"], ["former"]], "buckets": {"former": 2}, "discover": []}
    statistics = statistics_artifact(tmp_path / "statistics", examples)
    report, _ = run(tmp_path, settings, examples=examples, model=model, statistics=statistics)
    train = table_of(people(2_000, seed=1))
    quartiles = np.quantile(train["age"].to_numpy(), [0.25, 0.5, 0.75])
    assert np.abs(np.array(report.fairness.buckets["age"]) - quartiles).max() <= 2
    (middle,) = report.fairness.buckets["former"]
    assert middle == pytest.approx(np.median(train["former"].to_numpy()), abs=0.02)
    shown = [item.slice for item in report.fairness.slices if "age" in item.slice]
    assert len(shown) == 4


def test_a_real_number_needs_buckets_or_statistics(examples: Any, model: Any, tmp_path: Path) -> None:
    settings = {"label": "label", "slices": [["former"]]}
    with pytest.raises(InputError, match="'former' is a number without buckets; name the edges"):
        run(tmp_path, settings, examples=examples, model=model)


def test_the_schema_tells_types_and_what_is_searched(model: Any, tmp_path: Path) -> None:
    rows = [{**row, "tags": ["a", "b"]} for row in ROWS]
    examples = examples_artifact(tmp_path / "examples", {"train": rows[:10], "eval": rows})
    schema = schema_artifact(tmp_path / "schema")
    report, _ = run(tmp_path, SETTINGS, examples=examples, model=model, schema=schema)
    discovery = report.fairness.discovery
    assert discovery is not None
    assert discovery.features == ["age", "race", "sex"]
    assert discovery.skipped == {
        "nested": "neither text nor a number",
        "score": "a number without buckets",
        "tags": "several values in an example",
    }


def test_without_a_schema_features_of_several_values_are_not_searched(tmp_path: Path) -> None:
    rows = [{**row, "tags": ["a", "b"]} for row in ROWS]
    paths, model = files(tmp_path, rows)
    report = evaluate_examples(paths, SETTINGS, model=model)
    discovery = report.fairness.discovery
    assert discovery is not None
    assert discovery.features == ["age", "race", "sex"]
    assert discovery.skipped["tags"] == "several values in an example"
    with pytest.raises(InputError, match=r"feature 'tags' has 2 values in record 0; one is needed: slice by"):
        evaluate_examples(paths, {**SETTINGS, "slices": [["tags"]], "buckets": {}}, model=model)


@pytest.mark.parametrize("described", [True, False])
def test_an_unknown_feature_is_refused_with_the_nearest_known(described: bool, tmp_path: Path) -> None:
    paths, model = files(tmp_path, ROWS)
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema()) if described else None
    for discover in (None, []):
        settings = {**SETTINGS, "slices": [["sexx"]], "buckets": {}, "discover": discover}
        with pytest.raises(UsageError, match="'sexx': known are .*; did you mean 'sex'"):
            evaluate_examples(paths, settings, model=model, schema=schema)


def test_a_feature_of_another_type_than_the_schema_says_is_refused(tmp_path: Path) -> None:
    paths, model = files(tmp_path, ROWS)
    schema = text_format.Parse(SCHEMA.replace('"sex" type: BYTES', '"sex" type: INT'), schema_pb2.Schema())
    with pytest.raises(InputError, match="feature 'sex' is text in record 0; integer is expected"):
        evaluate_examples(paths, SETTINGS, model=model, schema=schema)


def test_what_is_no_example_is_refused(tmp_path: Path) -> None:
    _, model = files(tmp_path, ROWS[:2])
    path = write_records(tmp_path / "data.gz", [b"\xff no example"])
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    with pytest.raises(InputError, match="record 0 is no tf.Example"):
        evaluate_examples([path], SETTINGS, model=model, schema=schema)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"score": float("nan")}, "the score is NaN in 1 of"),
        ({"score": 1.5}, "the score is no probability .the first such is 1.5."),
        ({"label": None}, "label 'label' is missing in 1 of"),
        ({"label": 2}, "label 'label' has more than two values"),
    ],
)
def test_an_example_that_is_not_allowed_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS]
    rows[-1].update(change)
    paths, model = files(tmp_path, rows)
    with pytest.raises(InputError, match=said):
        evaluate_examples(paths, SETTINGS, model=model)


def test_a_constant_label_is_refused(tmp_path: Path) -> None:
    paths, model = files(tmp_path, [{**row, "label": 1} for row in ROWS])
    with pytest.raises(InputError, match="label 'label' is '1' in all 1,500 examples"):
        evaluate_examples(paths, SETTINGS, model=model)


def test_a_feature_of_too_many_values_is_refused(tmp_path: Path) -> None:
    rows = [{**row, "name": f"n{number}"} for number, row in enumerate(ROWS)]
    paths, model = files(tmp_path, rows)
    with pytest.raises(InputError, match="feature 'name' has more than 1,000 different values"):
        evaluate_examples(paths, {**SETTINGS, "slices": [["name"]], "buckets": {}}, model=model)


def test_the_model_may_decide_itself(tmp_path: Path) -> None:
    paths, _ = files(tmp_path, ROWS)

    def answer(raw: Any) -> dict[str, Any]:
        score = feature_of(raw, "score")
        return {"scores": score, "decision": tf.cast(score >= 0.25, tf.int64)}

    folder = save_model(tmp_path / "deciding", answer)
    settings = {**SETTINGS, "decision_output": "decision", "discover": []}
    report = evaluate_examples(paths, settings, model=ExampleModel(folder, decision_output="decision"))
    assert report.fairness.threshold is None
    scored = evaluate_fairness(
        table_of(ROWS), {**SETTINGS, "thresholds": [0.25], "discover": []}, score="score"
    )
    for ours, theirs in zip(report.fairness.slices, scored.fairness.slices, strict=True):
        assert ours.metrics["false_positive_rate"] == theirs.metrics["false_positive_rate"]
        assert ours.metrics["auc"] == theirs.metrics["auc"]


def test_the_driver_is_chosen_by_the_number_of_examples(tmp_path: Path) -> None:
    paths, model = files(tmp_path, ROWS)
    few = evaluate_examples(paths, {**SETTINGS, "in_process_examples": 2_000}, model=model)
    assert few.fairness.driver == "in_process"
    many = {**SETTINGS, "in_process_examples": 1_000, "discover": []}
    assert evaluate_examples(paths, many, model=model, examples=1_500).fairness.driver == "beam"
    assert evaluate_examples(paths, many, model=model, examples=900).fairness.driver == "in_process"


def test_features_that_the_settings_name_are_read_and_no_others_if_nothing_is_searched(
    tmp_path: Path,
) -> None:
    path = write_rows(tmp_path / "data.gz", ROWS[:5])
    settings = FairnessSettings.of({**SETTINGS, "discover": [], "weight": "weight"})
    kinds, left_out = kinds_of([path], settings, None)
    assert kinds == {"label": "integer", "weight": "real", "sex": "text", "race": "text", "age": "integer"}
    assert left_out == {}
