"""The report's metrics as TensorFlow Model Analysis writes its own, for whatever reads those."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import tensorflow as tf
from google.protobuf import json_format
from tensorflow_model_analysis import version as tfma_version

# From these modules: which of the messages tfma itself has differs by version.
from tensorflow_model_analysis.proto import config_pb2, metrics_for_slice_pb2

from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.report import FairnessReport, FairnessSection, Metric, SliceMetrics

CONFIG_FILE = "eval_config.json"
METRICS_FILE = "metrics-00000-of-00001.tfrecord"

_INDICATORS = "fairness_indicators_metrics"
_AT_THRESHOLD = {
    "selection_rate": "positive_rate",
    "false_positive_rate": "false_positive_rate",
    "false_negative_rate": "false_negative_rate",
    "true_positive_rate": "true_positive_rate",
    "true_negative_rate": "true_negative_rate",
}
_LESS_THAN_ONE = {"selection_rate": "negative_rate", "precision": "false_discovery_rate"}
# Under the name of TFMA's metric, and made by this class of it, where it has one.
_PLAIN = {
    "accuracy": ("binary_accuracy", "BinaryAccuracy"),
    "precision": ("precision", "Precision"),
    "auc": ("auc", "AUC"),
    "brier": ("mean_squared_error", "MeanSquaredError"),
    "calibration_error": ("calibration_error", None),
    "calibration_in_the_large": ("calibration_in_the_large", None),
}
# It divides decisions that were given, which are 0 or 1.
_OF_DECISIONS = 0.5


def write_results(report: FairnessReport, folder: str, *, model_location: str, data_location: str) -> None:
    """Writes what ``tfma.load_eval_result(folder)`` and the viewers of TFX read.

    Rates at a threshold have the names of Fairness Indicators, such as
    ``fairness_indicators_metrics/false_positive_rate@0.5``; decisions that the model made itself are told at
    0.5. ``auc``, ``binary_accuracy`` and ``precision`` (both at the first threshold) and
    ``mean_squared_error`` (the Brier score) have those of TFMA. Of a label of several classes each metric's
    sub-key is the number of the class. An undefined metric is NaN, as there.

    Parameters
    ----------
    report
        The report.
    folder
        Where to write, on any file system that TensorFlow knows; it is made if need be.
    model_location, data_location
        Where the model and the examples are, to be shown.
    """
    section = report.fairness
    tf.io.gfile.makedirs(folder)
    run = config_pb2.EvalRun(
        eval_config=_config(section, FairnessSettings.of(report.settings)),
        version=tfma_version.VERSION,
        data_location=data_location,
        file_format="tfrecords",
        model_locations={"": model_location},
    )
    with tf.io.gfile.GFile(os.path.join(folder, CONFIG_FILE), "w") as file:
        file.write(json_format.MessageToJson(run))
    with tf.io.TFRecordWriter(os.path.join(folder, METRICS_FILE)) as writer:
        for message in _messages(section):
            writer.write(message.SerializeToString())


def _config(section: FairnessSection, settings: FairnessSettings) -> config_pb2.EvalConfig:
    """The configuration of an evaluation with these metrics."""
    families = dict.fromkeys(tuple(sorted(item.slice)) for item in section.slices)
    known = {name for item in section.slices for name in item.metrics}
    thresholds = dict.fromkeys(
        threshold for item in section.slices for threshold, _ in _by_threshold(item, section)
    )
    indicators = config_pb2.MetricConfig(
        class_name="FairnessIndicators", config=json.dumps({"thresholds": list(thresholds)})
    )
    metrics = [
        config_pb2.MetricConfig(class_name=made_by)
        for name, (_, made_by) in _PLAIN.items()
        if made_by is not None and name in known
    ]
    return config_pb2.EvalConfig(
        # Without the weight: viewers would look for a weighted count, not for that of the examples.
        model_specs=[config_pb2.ModelSpec(label_key=settings.label)],
        slicing_specs=[config_pb2.SlicingSpec(feature_keys=family) for family in families],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[config_pb2.MetricConfig(class_name="ExampleCount"), *metrics, indicators]
            )
        ],
    )


def _messages(section: FairnessSection) -> Iterator[metrics_for_slice_pb2.MetricsForSlice]:
    """One for each slice, whose classes, if there are any, are in it together."""
    by_slice: dict[tuple[tuple[str, str], ...], list[SliceMetrics]] = {}
    for item in section.slices:
        by_slice.setdefault(tuple(sorted(item.slice.items())), []).append(item)
    for key, items in by_slice.items():
        message = metrics_for_slice_pb2.MetricsForSlice()
        # Set even where it is empty: that is all examples.
        message.slice_key.SetInParent()
        for name, value in key:
            message.slice_key.single_slice_keys.add(column=name, bytes_value=value.encode())
        pair = message.metric_keys_and_values.add()
        pair.key.name = "example_count"
        pair.key.example_weighted.value = False
        pair.value.double_value.value = items[0].examples
        for item in items:
            _add(message, item, section)
        yield message


def _add(
    message: metrics_for_slice_pb2.MetricsForSlice, item: SliceMetrics, section: FairnessSection
) -> None:
    for name, metric in _named(item, section):
        pair = message.metric_keys_and_values.add()
        pair.key.name = name
        pair.key.example_weighted.value = section.weighted
        if item.label_class is not None:
            pair.key.sub_key.class_id.value = section.classes.index(item.label_class)
        pair.value.double_value.value = math.nan if metric.value is None else metric.value
        if metric.low is not None and metric.high is not None:
            # Viewers make a bounded value of both; whoever reads the records has the value alone as well.
            pair.confidence_interval.lower_bound.double_value.value = metric.low
            pair.confidence_interval.upper_bound.double_value.value = metric.high


def _named(item: SliceMetrics, section: FairnessSection) -> Iterator[tuple[str, Metric]]:
    """The metrics of a slice under the names of TFMA."""
    for name, (shown, _) in _PLAIN.items():
        if name in item.metrics:
            yield shown, item.metrics[name]
    decided = _by_threshold(item, section)
    digits = max((_digits(threshold) for threshold, _ in decided), default=1)
    for threshold, metrics in decided:
        for name, metric in metrics.items():
            if name in _AT_THRESHOLD:
                yield f"{_INDICATORS}/{_AT_THRESHOLD[name]}@{threshold:.{digits}f}", metric
            if name in _LESS_THAN_ONE:
                yield f"{_INDICATORS}/{_LESS_THAN_ONE[name]}@{threshold:.{digits}f}", _complement(metric)


def _by_threshold(
    item: SliceMetrics, section: FairnessSection
) -> Sequence[tuple[float, Mapping[str, Metric]]]:
    """The metrics of decisions at each threshold."""
    if item.thresholds:
        return [(at.threshold, at.metrics) for at in item.thresholds]
    return [(_OF_DECISIONS if section.threshold is None else section.threshold, item.metrics)]


def _digits(threshold: float) -> int:
    """Decimals that a threshold needs, at least one."""
    exponent = Decimal(repr(threshold)).as_tuple().exponent
    return max(1, -exponent if isinstance(exponent, int) else 1)


def _complement(metric: Metric) -> Metric:
    """One less a share."""
    return metric.model_copy(
        update={
            name: None if value is None else 1 - value
            for name, value in (("value", metric.value), ("low", metric.high), ("high", metric.low))
        }
    )
