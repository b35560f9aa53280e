"""Batches whose last rows may be padding, which must count for nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf

from tfx_trust.components.privacy.clipping.losses import weighed
from tfx_trust.components.privacy.noise import in_xla


@dataclass(frozen=True)
class Batch:
    """Examples of a step.

    Attributes
    ----------
    x, y, sample_weight
        As Keras has them.
    rows
        How many examples there are, an int32 tensor; what is behind them is padding.
    padded
        Whether there may be padding.
    """

    x: Any
    y: Any
    sample_weight: Any
    rows: tf.Tensor
    padded: bool

    @classmethod
    def of(cls, data: Any, *, padded: bool) -> Batch:
        """A batch from what Keras hands to a step: ``(x, y, sample_weight)``, or less of it."""
        x, y, sample_weight = keras.tree.map_structure(_tensor, keras.utils.unpack_x_y_sample_weight(data))
        if not padded or sample_weight is None:
            return cls(x, y, sample_weight, size(x), padded=False)
        batch = cls(x, y, sample_weight, _used(sample_weight), padded=True)
        # XLA needs fixed shapes. Elsewhere, work on padding is saved; one row is left to an empty batch.
        return batch if in_xla() else batch.first(tf.maximum(batch.rows, 1))

    def first(self, rows: tf.Tensor) -> Batch:
        """Its first rows."""
        x, y, sample_weight = (head(each, rows) for each in (self.x, self.y, self.sample_weight))
        return replace(self, x=x, y=y, sample_weight=sample_weight)

    def real(self, values: tf.Tensor) -> tf.Tensor:
        """Which of the rows of `values` are examples."""
        return tf.range(tf.shape(values)[0]) < self.rows

    def weighed(self, values: tf.Tensor) -> tf.Tensor:
        """Which of the rows of `values` have a weight, each by itself, whatever rows there are beside it."""
        if self.sample_weight is None:
            return tf.ones([tf.shape(values)[0]], tf.bool)
        return weighed(self.sample_weight)

    def mean(self, values: tf.Tensor) -> tf.Tensor:
        """Mean over the examples; 0 if there are none."""
        if self.padded:
            values = tf.where(self.real(values), values, 0)
        return tf.reduce_sum(values) / tf.cast(tf.maximum(self.rows, 1), values.dtype)


def size(x: Any) -> tf.Tensor:
    """Rows of a nest of tensors, an int32 tensor."""
    return tf.shape(next(leaf for leaf in keras.tree.flatten(x) if leaf is not None))[0]


def head(nest: Any, rows: tf.Tensor) -> Any:
    """First rows of all tensors of a nest."""
    return keras.tree.map_structure(lambda leaf: None if leaf is None else leaf[:rows], nest)


def _tensor(leaf: Any) -> Any:
    return leaf if leaf is None or tf.is_tensor(leaf) else tf.convert_to_tensor(leaf)


def _used(sample_weight: Any) -> tf.Tensor:
    """Rows up to the last one of any weight."""
    some = weighed(sample_weight)
    return tf.reduce_max(tf.where(some, tf.range(1, tf.shape(some)[0] + 1), 0))


@contextlib.contextmanager
def leaving_out(metrics: Iterable[Any], real: tf.Tensor) -> Iterator[None]:
    """Metrics that are given no weights of rows get them from `real` while this is open."""
    metrics = list(metrics)
    weights = tf.cast(real, tf.float32)
    for metric in metrics:
        # Into the instance's own dictionary: a metric's attributes are tracked when set.
        metric.__dict__["update_state"] = _weighing(metric.update_state, weights)
    try:
        yield
    finally:
        for metric in metrics:
            del metric.__dict__["update_state"]


def _weighing(update_state: Any, weights: tf.Tensor) -> Any:
    def update(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return update_state(y_true, y_pred, sample_weight=weights if sample_weight is None else sample_weight)

    return update
