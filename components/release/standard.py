"""What ReleaseGate reads from the artifacts of TFX's own components.

TFMA takes seconds to import, so that only the functions that need it do.
"""

from __future__ import annotations

import json
import os
from typing import Any

from google.protobuf import json_format
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.io import fileio
from tfx.types import artifact

from tfx_trust.components.blessing import blessing_of
from tfx_trust.components.release.decision import Evaluation
from tfx_trust.components.release.report import Metric
from tfx_trust.components.report import format_number
from tfx_trust.components.standard import by_split

EVAL_CONFIG_FILE = "eval_config.json"
# tensorflow_model_analysis.MetricDirection, which is not worth its import.
LOWER_IS_BETTER = 1
ANOMALIES_FILE = "SchemaDiff.pb"


def read_anomalies(anomalies: artifact.Artifact) -> dict[str, list[str]]:
    """Anomalies by split, one sentence each, from an ExampleAnomalies artifact."""
    found = {}
    for split, content in by_split(anomalies, ANOMALIES_FILE).items():
        message = anomalies_pb2.Anomalies.FromString(content)
        sentences = [f"{name}: {info.description}" for name, info in sorted(message.anomaly_info.items())]
        if message.HasField("dataset_anomaly_info"):
            sentences.append(message.dataset_anomaly_info.description)
        if message.data_missing:
            sentences.append("there are no examples")
        found[split] = sentences
    return found


def read_evaluation(
    blessing: artifact.Artifact | None, evaluation: artifact.Artifact | None
) -> Evaluation | None:
    """The Evaluator's blessing, with the thresholds missed if its evaluation is given."""
    if blessing is None:
        return None
    blessed = blessing_of(blessing)
    failures = _failures(evaluation) if evaluation is not None and blessed is False else []
    uri = evaluation.uri if evaluation is not None else blessing.uri
    return Evaluation(blessed=blessed, failures=failures, uri=uri)


def read_metrics(evaluation: artifact.Artifact | None) -> list[Metric]:
    """The metrics on all examples, the candidate's beside the baseline's.

    Plots and the differences that TFMA derives are left out; a metric that is undefined (NaN) too.
    """
    if evaluation is None:
        return []
    import tensorflow_model_analysis as tfma

    config = _eval_config(evaluation)
    baselines = {spec.name for spec in config.model_specs if spec.is_baseline}
    bounds = _bounds(config)
    values: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for metrics in tfma.load_metrics(evaluation.uri):
        if metrics.slice_key.single_slice_keys:
            continue
        for item in metrics.metric_keys_and_values:
            if item.key.is_diff or item.value.WhichOneof("type") != "double_value":
                continue
            value = item.value.double_value.value
            if value == value:
                values[item.key.model_name in baselines].setdefault(_metric_name(item.key), value)
    return [
        Metric(
            name=name,
            value=value,
            baseline=values[True].get(name),
            lower_bound=bounds.get(name, (None, None))[0],
            upper_bound=bounds.get(name, (None, None))[1],
        )
        for name, value in values[False].items()
    ]


def _eval_config(evaluation: artifact.Artifact) -> Any:
    """The EvalConfig in force, as TFMA wrote it beside its results."""
    from tensorflow_model_analysis.proto import config_pb2

    with fileio.open(os.path.join(evaluation.uri, EVAL_CONFIG_FILE), "r") as file:
        written = json.loads(file.read())["evalConfig"]
    return json_format.ParseDict(written, config_pb2.EvalConfig(), ignore_unknown_fields=True)


def _metric_name(key: Any) -> str:
    """Name of a metric among those of several outputs, classes or cut-offs."""
    parts = [key.output_name, key.name]
    sub_key = getattr(key, "sub_key", None)
    if sub_key is not None:
        for field in ("class_id", "k", "top_k"):
            if hasattr(sub_key, "DESCRIPTOR") and sub_key.HasField(field):
                parts.append(f"{field} {getattr(sub_key, field).value}")
    return ", ".join(part for part in parts if part)


def _bounds(config: Any) -> dict[str, tuple[float | None, float | None]]:
    """Lowest and highest value allowed on all examples, by metric name."""
    from tensorflow_model_analysis.metrics import metric_specs
    from tensorflow_model_analysis.proto import config_pb2

    thresholds = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, config)
    bounds = {}
    for key, by_slice in thresholds.items():
        for where, threshold in by_slice:
            overall = where is None or where == config_pb2.SlicingSpec()
            if overall and isinstance(threshold, config_pb2.GenericValueThreshold):
                bounds[key.name] = (
                    threshold.lower_bound.value if threshold.HasField("lower_bound") else None,
                    threshold.upper_bound.value if threshold.HasField("upper_bound") else None,
                )
    return bounds


def _failures(evaluation: artifact.Artifact) -> list[str]:
    import tensorflow_model_analysis as tfma

    result = tfma.load_validation_result(evaluation.uri)
    sentences = []
    for validation in result.metric_validations_per_slice:
        where = _slice_name(validation.slice_key)
        for failure in validation.failures:
            sentences.append(f"{failure.metric_key.name}{where} {_missed(failure)}")
    for missing in result.missing_slices:
        keys = ", ".join([*missing.feature_keys, *missing.feature_values]) or "of all examples"
        sentences.append(f"the slice {keys} is missing from the evaluation")
    return sentences


def _missed(failure: Any) -> str:
    """What a threshold wanted, and what was found."""
    if failure.metric_value.WhichOneof("type") is None:
        return f"could not be judged: {failure.message or 'it has no value'}"
    found = format_number(failure.metric_value.double_value.value)
    if failure.metric_threshold.HasField("change_threshold"):
        bound = failure.metric_threshold.change_threshold
        side = "at most" if bound.direction == LOWER_IS_BETTER else "at least"
        wanted = [
            f"{side} {format_number(getattr(bound, unit).value)}{of}"
            for unit, of in (("absolute", ""), ("relative", " of its value"))
            if bound.HasField(unit)
        ]
        return f"changed by {found} against the baseline, wanted {' and '.join(wanted)}"
    limits = failure.metric_threshold.value_threshold
    wanted = [
        f"{side} {format_number(getattr(limits, field).value)}"
        for field, side in (("lower_bound", "at least"), ("upper_bound", "at most"))
        if limits.HasField(field)
    ]
    return f"is {found}, wanted {' and '.join(wanted)}" if wanted else f"is {found} ({failure.message})"


def _slice_name(slice_key: Any) -> str:
    parts = []
    for key in slice_key.single_slice_keys:
        value = getattr(key, key.WhichOneof("kind"))
        shown = value.decode(errors="replace") if isinstance(value, bytes) else value
        parts.append(f"{key.column} = {shown}")
    return f" for {' and '.join(parts)}" if parts else ""
