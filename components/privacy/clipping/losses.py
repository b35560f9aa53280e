"""The loss of each example, as a compiled model weighs and adds it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.clipping.capture import mask_of

_MIXING = "mean_with_sample_weight"
# Made-up examples, the one among them that is looked at, and entries of their axes of no fixed length.
_ROWS, _MIDDLE, _LENGTH = 5, 2, 7


class ExampleLosses:
    """The losses that a model was compiled with, by example.

    An example's loss is the mean over what follows its first axis (time steps, pixels), weighed by the sample
    weight and, where the model's output has a mask, over what is not masked; a loss of reduction ``sum`` is
    summed instead. Their mean over the batch is the loss that Keras minimises, except that Keras divides by
    the number of unmasked time steps of the whole batch, which makes an example's loss depend on the others.

    Parameters
    ----------
    model
        A compiled model.

    Raises
    ------
    InputError
        If it has no loss, or one that mixes examples by its reduction.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model_name = model.name
        if not model.compiled:
            raise InputError(
                f"model {model.name!r} is not compiled; call compile() with its optimizer and loss"
            )
        self._compiled = model._compile_loss
        if self._compiled is None:
            raise InputError(
                f"model {model.name!r} is compiled without a loss; pass `loss=` to compile(): its value "
                "for each example is what is clipped"
            )
        for loss in keras.tree.flatten(self._compiled._user_loss):
            if getattr(loss, "reduction", None) == _MIXING:
                raise InputError(
                    f"loss {loss.name!r} has the reduction {_MIXING!r}, which divides by the weights of "
                    "all examples of the batch: one example changes the others' gradients; use "
                    "'sum_over_batch_size'"
                )
        self._tried: set[Any] = set()

    def afresh(self) -> ExampleLosses:
        """The same, for labels and outputs of any other structure."""
        compiled = self._compiled
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._compiled = type(compiled)(
            compiled._user_loss, compiled._user_loss_weights, output_names=compiled.output_names
        )
        return twin

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any = None) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Loss of each example, of shape ``(batch,)``; and the same by compiled loss, before loss weights."""
        compiled = self._compiled
        if not compiled.built:
            # As the first step of fit does; what it does to metrics is dropped.
            with keras.StatelessScope():
                compiled(y, y_pred, sample_weight)
        parts: list[tf.Tensor] = []
        twin = object.__new__(type(compiled))
        twin.__dict__.update(compiled.__dict__)
        twin._flat_losses = [
            entry._replace(loss=_by_example(entry.loss, parts, self._tried))
            for entry in compiled._flat_losses
        ]
        # One for each loss, as its caller pairs them; none of them to be updated.
        twin._metrics = [None] * len(twin._flat_losses)
        return twin(y, y_pred, sample_weight), parts


def weighed(sample_weight: Any) -> tf.Tensor:
    """Which examples have any weight that is not 0, of shape ``(batch,)``."""
    some = []
    for weight in keras.tree.flatten(sample_weight):
        if weight is not None:
            used = tf.convert_to_tensor(weight) != 0
            axes = list(range(1, len(used.shape)))
            some.append(tf.reduce_any(used, axis=axes) if axes else used)
    return some[0] if len(some) == 1 else tf.reduce_any(tf.stack(some), axis=0)


def _by_example(loss: Any, parts: list[tf.Tensor], tried: set[Any]) -> Any:
    def call(y: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        found = _example_losses(loss, y, y_pred, sample_weight, tried)
        parts.append(found)
        return found

    return call


def _example_losses(loss: Any, y: Any, y_pred: Any, sample_weight: Any, tried: set[Any]) -> tf.Tensor:
    if type(loss).__call__ is not keras.losses.Loss.__call__:
        raise InputError(
            f"loss {loss.name!r} ({type(loss).__name__}) has a __call__ of its own; override `call`, which "
            "returns one value an example, instead"
        )
    mask = mask_of(y_pred)
    predicted = keras.tree.map_structure(
        lambda each: keras.ops.convert_to_tensor(each, dtype=loss.dtype), y_pred
    )
    given = keras.tree.map_structure(lambda each: keras.ops.convert_to_tensor(each, dtype=loss.dtype), y)
    _check_apart(loss, given, predicted, tried)
    values = loss.call(given, predicted)
    if len(values.shape) == 0 or _differ(values.shape[0], keras.tree.flatten(y_pred)[0].shape[0]):
        raise InputError(
            f"loss {loss.name!r} gives values of shape {tuple(values.shape)}, not one an example: it is "
            "reduced over the batch; return one value an example (the mean over the last axis, not over "
            "all) and leave the rest to Keras"
        )
    inner = mask_of(values)
    if inner is not None:
        mask = inner if mask is None else mask & inner
    weights = None
    if mask is not None:
        weights = _share_of_unmasked(_to_rank(tf.cast(mask, values.dtype), len(values.shape)), loss.reduction)
    if sample_weight is not None:
        given_weights = _to_rank(
            tf.cast(tf.convert_to_tensor(sample_weight), values.dtype), len(values.shape)
        )
        weights = given_weights if weights is None else weights * given_weights
    if weights is not None:
        values = values * weights
    if len(values.shape) == 1:
        return values
    axes = list(range(1, len(values.shape)))
    return tf.reduce_sum(values, axes) if loss.reduction == "sum" else tf.reduce_mean(values, axes)


def _check_apart(loss: Any, y: Any, y_pred: Any, tried: set[Any]) -> None:
    """Refuses a loss that mixes examples where labels and outputs have such shapes, as it broadcasts them."""
    leaves = keras.tree.flatten((y, y_pred))
    if any(not tf.is_tensor(leaf) or leaf.shape.rank is None for leaf in leaves):
        return
    shapes = [tuple(leaf.shape) for leaf in leaves]
    kind = (id(loss), *(shape[1:] for shape in shapes))
    if kind in tried:
        return
    rng = np.random.default_rng(4)
    labels = len(keras.tree.flatten(y))

    def made_up(leaf: tf.Tensor, label: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shape = (_ROWS, *(_LENGTH if size is None else size for size in leaf.shape[1:]))
        one, other = (rng.integers(0, 2, shape) if label else rng.uniform(0.1, 0.9, shape) for _ in range(2))
        other[_MIDDLE] = one[_MIDDLE]
        return one, other, one[: _MIDDLE + 1]

    found = []
    with tf.init_scope():
        for batch in zip(*(made_up(leaf, place < labels) for place, leaf in enumerate(leaves)), strict=True):
            flat = [tf.cast(values, leaf.dtype) for values, leaf in zip(batch, leaves, strict=True)]
            try:
                values = loss.call(*keras.tree.pack_sequence_as((y, y_pred), flat))
                found.append(np.array(values)[_MIDDLE])
            except Exception:  # whatever a loss raises on what it was not made for
                return
    if np.isfinite(found[0]).all() and any(not _close(found[0], each) for each in found[1:]):
        raise InputError(
            f"loss {loss.name!r} mixes the examples of a batch for labels of shape {shapes[0]} and outputs "
            f"of shape {shapes[-1]}: its value for one depends on the others, or on how many they are; take "
            "a loss that gives each example a value of its own, and give labels the shape of the outputs"
        )
    tried.add(kind)


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-5, atol=1e-6)


def _differ(found: int | None, expected: int | None) -> bool:
    return found is not None and expected is not None and found != expected


def _to_rank(tensor: tf.Tensor, rank: int) -> tf.Tensor:
    """With as many axes: its own are the first of them, and last ones of one entry can go."""
    while len(tensor.shape) > rank and tensor.shape[-1] == 1:
        tensor = tf.squeeze(tensor, axis=-1)
    if len(tensor.shape) > rank:
        raise InputError(
            f"sample weights or a mask of shape {tuple(tensor.shape)}, but the loss has {rank} axes of "
            "values: give one weight an example"
        )
    while len(tensor.shape) < rank:
        tensor = tensor[..., None]
    return tensor


def _share_of_unmasked(mask: tf.Tensor, reduction: str) -> tf.Tensor:
    """Weights that make a mean over all into one over what is not masked, by example."""
    if len(mask.shape) == 1 or reduction == "sum":
        return mask
    axes = list(range(1, len(mask.shape)))
    return tf.math.divide_no_nan(mask, tf.reduce_mean(mask, axes, keepdims=True))
