"""Layers that no rule knows: each example's gradient is computed, of some examples at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfx_trust.components.privacy.clipping import terms
from tfx_trust.components.privacy.clipping.capture import Call, Watch, mask_of, with_mask
from tfx_trust.components.privacy.clipping.rules import Rule

# TensorFlow corrupts memory where oneDNN multiplies (n, 1, rows, D) by a matrix (tensorflow#117700), which is
# what vectorisation makes of a batch of one example. So the example is in it twice, the second time without a
# gradient, but in layers that multiply no sequence by a matrix.
_WITHOUT_PRODUCTS = (
    keras.layers.RNN,
    keras.layers.Bidirectional,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    keras.layers.PReLU,
)


class Fallback(Rule):
    """Any layer that treats examples apart, with all of its sublayers.

    Each example's gradient is computed by the layer's backward pass, vectorised over examples: once for its
    norm, and once more to be scaled and added. One backward pass over the batch would be quicker, but would
    not add up the very gradients that were measured: where large parts of one cancel, float32 rounds away
    what others have. Both repeat the forward pass, which must give the same again: it may not draw random
    numbers.
    """

    method = "fallback"

    def forward(
        self, original: Callable[..., Any], watch: Watch, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Call]:
        """The layer's own code."""
        watched = []

        def apart(tensor: Any) -> Any:
            if not (tf.is_tensor(tensor) and tensor.dtype.is_floating):
                return tensor
            # A layer may return its input, or one tensor twice.
            same = with_mask(tf.identity(tensor), mask_of(tensor))
            watch(same)
            watched.append(same)
            return same

        outputs = keras.tree.map_structure(apart, original(*args, **kwargs))
        return outputs, Call(Arguments(args, kwargs), watched)

    def norms(self, calls: Sequence[Call]) -> tf.Tensor:
        """Of each example's gradient, computed."""

        def norm_of_one(some: Sequence[tf.Tensor]) -> tf.Tensor:
            return tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in self._of_one(calls, some)])

        tensors = _by_example(calls)
        if tf.executing_eagerly():
            # Vectorisation would be traced again in every step.
            return tf.stack([norm_of_one(some) for some in zip(*map(tf.unstack, tensors), strict=True)])
        return terms.in_chunks(
            lambda *some: tf.vectorized_map(norm_of_one, list(some)), tensors, self._numbers
        )

    def scaled_sums(self, calls: Sequence[Call], scales: tf.Tensor) -> list[tf.Tensor | None]:
        """From each example's gradient, computed."""
        tensors = _by_example(calls)
        if tf.executing_eagerly():
            totals = [tf.zeros(weight.shape) for weight in self.weights]
            for scale, *some in zip(scales, *map(tf.unstack, tensors), strict=True):
                found = self._of_one(calls, some)
                totals = [total + scale * gradient for total, gradient in zip(totals, found, strict=True)]
            return totals

        def sums_of(some_scales: tf.Tensor, *some: tf.Tensor) -> list[tf.Tensor]:
            found = tf.vectorized_map(lambda one: self._of_one(calls, one), list(some))
            return [tf.tensordot(some_scales, gradients, 1) for gradients in found]

        shapes = [tuple(weight.shape) for weight in self.weights]
        return list(terms.sums_in_chunks(sums_of, scales, tensors, shapes, self._numbers))

    def sums(self, calls: Sequence[Call]) -> list[tf.Tensor | None]:
        """Those of scales of one."""
        return self.scaled_sums(calls, tf.ones([tf.shape(_by_example(calls)[0])[0]]))

    @property
    def _numbers(self) -> int:
        return sum(int(weight.value.shape.num_elements()) for weight in self.weights)

    def _of_one(self, calls: Sequence[Call], some: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The gradient of one example, of which `some` are the tensors that `_by_example` gives of all."""
        twice = not isinstance(self.layer, _WITHOUT_PRODUCTS)
        rest = list(some)
        one = []
        for call in calls:
            mine = [_batch_of(rest.pop(0), twice) for _ in call.inputs.by_example]
            gradients = [
                None if gradient is None else _batch_of(rest.pop(0), twice, zero=True)
                for gradient in call.gradients
            ]
            one.append(Call(call.inputs.replaced(mine), [], gradients))
        return [
            tf.zeros(weight.shape) if gradient is None else gradient
            for weight, gradient in zip(self.weights, self._gradients(one), strict=True)
        ]

    def _gradients(self, calls: Sequence[Call]) -> list[tf.Tensor | None]:
        weights = [weight.value for weight in self.weights]
        outputs, gradients = [], []
        # Nothing that the layer keeps is changed by calling it again.
        with (
            keras.StatelessScope(),
            tf.GradientTape(watch_accessed_variables=False) as tape,
        ):
            for weight in weights:
                tape.watch(weight)
            for call in calls:
                made = [
                    tensor
                    for tensor in keras.tree.flatten(call.inputs.call(self.layer))
                    if tf.is_tensor(tensor) and tensor.dtype.is_floating
                ]
                for tensor, gradient in zip(made, call.gradients, strict=True):
                    if gradient is not None:
                        outputs.append(tensor)
                        gradients.append(gradient)
        return [
            None if gradient is None else tf.convert_to_tensor(gradient)
            for gradient in tape.gradient(outputs, weights, output_gradients=gradients)
        ]


class Arguments:
    """What a layer was called on; `by_example` are the tensors and masks in it whose rows are examples."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._structure = (args, kwargs)
        self._flat = keras.tree.flatten(self._structure)
        batch = next((each.shape[0] for each in self._flat if _has_rows(each)), None)
        self._places = [
            place
            for place, each in enumerate(self._flat)
            if _has_rows(each) and (batch is None or each.shape[0] in (None, batch))
        ]
        self._masked = [place for place in self._places if mask_of(self._flat[place]) is not None]
        self.by_example: list[tf.Tensor] = [
            *(self._flat[place] for place in self._places),
            *(mask_of(self._flat[place]) for place in self._masked),
        ]

    def replaced(self, by_example: Sequence[tf.Tensor]) -> Arguments:
        """The same with other examples."""
        flat = list(self._flat)
        for place, tensor in zip(self._places, by_example[: len(self._places)], strict=True):
            flat[place] = tensor
        for place, mask in zip(self._masked, by_example[len(self._places) :], strict=True):
            with_mask(flat[place], mask)
        args, kwargs = keras.tree.pack_sequence_as(self._structure, flat)
        return Arguments(args, kwargs)

    def call(self, layer: keras.Layer) -> Any:
        """What the layer returns for them in training."""
        args, kwargs = self._structure
        return layer(*args, **{"training": True, **kwargs})


def _by_example(calls: Sequence[Call]) -> list[tf.Tensor]:
    """All tensors that gradients follow from, call by call."""
    tensors: list[tf.Tensor] = []
    for call in calls:
        tensors += call.inputs.by_example
        tensors += [gradient for gradient in call.gradients if gradient is not None]
    return tensors


def _batch_of(example: tf.Tensor, twice: bool, zero: bool = False) -> tf.Tensor:
    if not twice:
        return example[None]
    return tf.stack([example, tf.zeros_like(example) if zero else example])


def _has_rows(value: Any) -> bool:
    return tf.is_tensor(value) and len(value.shape) > 0
