"""What is read from TFX's own artifacts, written here by TFX's and TFMA's own means."""

from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tensorflow_model_analysis.proto import config_pb2, validation_result_pb2
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer
from tfx.types import artifact, artifact_utils, standard_artifacts

from tfx_trust.components.release.standard import read_anomalies, read_evaluation
from tfx_trust.components.standard import read_example_counts

Failure = validation_result_pb2.ValidationFailure


def with_splits(
    kind: type[artifact.Artifact], folder: Path, file_name: str, **contents: bytes
) -> artifact.Artifact:
    made = kind()
    made.uri = str(folder)
    made.split_names = artifact_utils.encode_split_names(list(contents))
    for split, content in contents.items():
        (folder / f"Split-{split}").mkdir()
        (folder / f"Split-{split}" / file_name).write_bytes(content)
    return made


def statistics(count: int) -> bytes:
    dataset = statistics_pb2.DatasetFeatureStatistics(num_examples=count)
    return statistics_pb2.DatasetFeatureStatisticsList(datasets=[dataset]).SerializeToString()


def test_examples_are_counted_by_split(tmp_path: Path) -> None:
    made = with_splits(
        standard_artifacts.ExampleStatistics,
        tmp_path,
        "FeatureStats.pb",
        train=statistics(7),
        eval=statistics(3),
    )
    assert read_example_counts(made) == {"train": 7, "eval": 3}


def test_anomalies_are_told_in_sentences_by_split(tmp_path: Path) -> None:
    found = anomalies_pb2.Anomalies()
    found.anomaly_info["sex"].description = "unknown value F"
    found.dataset_anomaly_info.description = "too few examples"
    made = with_splits(
        standard_artifacts.ExampleAnomalies,
        tmp_path,
        "SchemaDiff.pb",
        train=anomalies_pb2.Anomalies().SerializeToString(),
        eval=found.SerializeToString(),
        empty=anomalies_pb2.Anomalies(data_missing=True).SerializeToString(),
    )
    assert read_anomalies(made) == {
        "train": [],
        "eval": ["sex: unknown value F", "too few examples"],
        "empty": ["there are no examples"],
    }


def failed(value: float, threshold: config_pb2.MetricThreshold) -> Failure:
    failure = Failure(metric_threshold=threshold)
    failure.metric_key.name = "auc"
    failure.metric_value.double_value.value = value
    return failure


@pytest.mark.parametrize(
    ("value", "threshold", "said"),
    [
        (0.8, {"value_threshold": {"lower_bound": {"value": 0.9}}}, "auc is 0.8, wanted at least 0.9"),
        (0.8, {"value_threshold": {"upper_bound": {"value": 0.5}}}, "auc is 0.8, wanted at most 0.5"),
        (
            -0.3,
            {"change_threshold": {"absolute": {"value": -0.01}, "direction": "HIGHER_IS_BETTER"}},
            "auc changed by -0.3 against the baseline, wanted at least -0.01",
        ),
        (
            0.3,
            {"change_threshold": {"relative": {"value": 0.1}, "direction": "LOWER_IS_BETTER"}},
            "auc changed by 0.3 against the baseline, wanted at most 0.1 of its value",
        ),
    ],
)
def test_each_missed_threshold_is_told(tmp_path: Path, value: float, threshold: dict, said: str) -> None:
    result = validation_result_pb2.ValidationResult(validation_ok=False)
    result.metric_validations_per_slice.add().failures.append(
        failed(value, config_pb2.MetricThreshold(**threshold))
    )
    sliced = result.metric_validations_per_slice.add()
    sliced.slice_key.single_slice_keys.add(column="sex", bytes_value=b"Male")
    sliced.failures.append(failed(value, config_pb2.MetricThreshold(**threshold)))

    with tf.io.TFRecordWriter(str(tmp_path / "validations.tfrecord")) as file:
        file.write(result.SerializeToString())
    assert writer.load_and_deserialize_validation_result(str(tmp_path)) == result

    evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    evaluation.uri = str(tmp_path)
    blessing.set_int_custom_property("blessed", 0)
    read = read_evaluation(blessing, evaluation)
    assert read is not None
    assert read.blessed is False
    assert list(read.failures) == [said, said.replace("auc", "auc for sex = Male", 1)]
