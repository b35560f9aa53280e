"""The Evaluator's configuration: metrics, and the thresholds that a model must meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorflow_model_analysis.proto import config_pb2


def eval_config(
    label: str,
    *,
    at_least: Mapping[str, float],
    may_drop: Mapping[str, float] | None = None,
    slices: Sequence[Sequence[str]] = (),
) -> config_pb2.EvalConfig:
    """An EvalConfig with every threshold inside its MetricConfig, the only place where TFMA finds it.

    Parameters
    ----------
    label
        Feature that holds the label.
    at_least
        Lowest value allowed by metric: class names of TFMA's metrics, e.g. ``{"AUC": 0.88}``.
    may_drop
        By how much a metric may lie below the baseline model's (absolute), e.g. ``{"AUC": 0.005}``;
        its metrics must stand in `at_least` too. Without a baseline it is not looked at.
    slices
        Features by which metrics are sliced besides overall, e.g. ``[["sex"], ["sex", "race"]]``.
        Thresholds are for the whole.

    Examples
    --------
    >>> config = eval_config("over_50k", at_least={"AUC": 0.88})
    >>> [metric.class_name for metric in config.metrics_specs[0].metrics]
    ['ExampleCount', 'AUC']
    """
    may_drop = may_drop or {}
    unbounded = sorted(set(may_drop) - set(at_least))
    if unbounded:
        raise ValueError(f"may_drop names {', '.join(unbounded)}, which at_least does not")
    metrics = [config_pb2.MetricConfig(class_name="ExampleCount")]
    for name, bound in at_least.items():
        threshold = config_pb2.MetricThreshold(
            value_threshold=config_pb2.GenericValueThreshold(lower_bound={"value": bound})
        )
        if name in may_drop:
            threshold.change_threshold.direction = config_pb2.MetricDirection.HIGHER_IS_BETTER
            threshold.change_threshold.absolute.value = -may_drop[name]
        # A bare `threshold` would hold every slice to the bound as well, however small.
        overall = config_pb2.PerSliceMetricThreshold(
            slicing_specs=[config_pb2.SlicingSpec()], threshold=threshold
        )
        metrics.append(config_pb2.MetricConfig(class_name=name, per_slice_thresholds=[overall]))
    return config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(label_key=label)],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=list(keys)) for keys in slices),
        ],
    )
