"""Large batches, a slice at a time, so that the activations of one slice alone are in memory."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfx_trust.components.privacy.clipping import Clipped, Engine
from tfx_trust.components.privacy.padding import Batch, head, size


def clipped_by_slices(engine: Engine, batch: Batch, clip_norm: float | tf.Tensor, rows: int) -> Clipped:
    """What `Engine.step` gives for a batch, which is never in memory as a whole.

    Parameters
    ----------
    engine
        Clips the gradients.
    batch
        The batch.
    clip_norm
        Greatest norm that an example's gradient keeps.
    rows
        Of a slice.
    """
    total = size(batch.x)
    fixed = keras.tree.flatten(batch.x)[0].shape[0]
    # XLA must know how long what a loop collects is.
    slices = max(1, -(-fixed // rows)) if fixed is not None else tf.maximum((total + rows - 1) // rows, 1)
    weight = tf.ones([total]) if batch.sample_weight is None else batch.sample_weight
    whole = [_lengthened(part, slices * rows - total) for part in (batch.x, batch.y, weight)]

    def clip(place: Any) -> tuple[list[tf.Tensor], list[Any]]:
        x, y, sample_weight = (_cut(part, place * rows, rows) for part in whole)
        found = engine.step(x, y, sample_weight, clip_norm)
        return found.sums, [found.norms, found.losses, found.y_pred, found.parts]

    def write(kept: list[Any], place: Any, values: list[Any]) -> list[Any]:
        return keras.tree.map_structure(lambda array, value: array.write(place, value), kept, values)

    def body(place: tf.Tensor, sums: list[tf.Tensor], kept: list[Any]) -> tuple[Any, ...]:
        more, values = clip(place)
        return (
            place + 1,
            [one + other for one, other in zip(sums, more, strict=True)],
            write(kept, place, values),
        )

    # The first slice tells what there is to collect.
    sums, values = clip(0)
    kept = keras.tree.map_structure(
        lambda value: tf.TensorArray(value.dtype, size=slices, element_shape=value.shape), values
    )
    state = [tf.constant(1), sums, write(kept, 0, values)]
    _, sums, kept = tf.while_loop(lambda place, *_: place < slices, body, state, parallel_iterations=1)
    norms, losses, y_pred, parts = head(keras.tree.map_structure(_joined, kept), total)
    return Clipped(sums=sums, norms=norms, losses=losses, y_pred=y_pred, parts=parts)


def _lengthened(nest: Any, more: tf.Tensor) -> Any:
    """With more rows of zeros."""

    def lengthen(leaf: Any) -> Any:
        return None if leaf is None else tf.pad(leaf, [[0, more]] + [[0, 0]] * (len(leaf.shape) - 1))

    return keras.tree.map_structure(lengthen, nest)


def _cut(nest: Any, start: Any, rows: int) -> Any:
    """So many rows from `start` on."""

    def cut(leaf: Any) -> Any:
        if leaf is None:
            return None
        # XLA must know the size.
        rest = [tf.shape(leaf)[axis] if size is None else size for axis, size in enumerate(leaf.shape)][1:]
        return tf.ensure_shape(
            tf.slice(leaf, [start, *(0 for _ in rest)], [rows, *rest]), [rows, *leaf.shape[1:]]
        )

    return keras.tree.map_structure(cut, nest)


def _joined(array: tf.TensorArray) -> tf.Tensor:
    stacked = array.stack()
    return tf.reshape(stacked, tf.concat([[-1], tf.shape(stacked)[2:]], axis=0))
