"""How each kind of layer is clipped: what its calls keep, and its weights' norms and sums from them."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import keras
import tensorflow as tf

from tfx_trust.components.privacy.clipping import terms
from tfx_trust.components.privacy.clipping.capture import Call, Watch


class Rule(abc.ABC):
    """A layer with weights to train, and how examples' gradients of them are found.

    Parameters
    ----------
    layer
        The layer.
    weights
        Those of its weights that are trained.
    """

    method: ClassVar[Literal["ghost", "fallback"]] = "ghost"

    def __init__(self, layer: keras.Layer, weights: Sequence[keras.Variable]) -> None:
        self.layer = layer
        self.weights = list(weights)
        self._trained = {id(weight) for weight in weights}

    @abc.abstractmethod
    def forward(
        self, original: Callable[..., Any], watch: Watch, *args: Any, **kwargs: Any
    ) -> tuple[Any, Call]:
        """What the layer returns, and its call."""

    @abc.abstractmethod
    def norms(self, calls: Sequence[Call]) -> tf.Tensor:
        """Squared norm of each example's gradient of the weights, of shape ``(batch,)``."""

    @abc.abstractmethod
    def sums(self, calls: Sequence[Call]) -> list[tf.Tensor]:
        """Sum over the examples of the gradients of each weight; of clipped ones if output gradients are scaled."""

    def trains(self, weight: keras.Variable | None) -> bool:
        """Whether this weight is one of those."""
        return weight is not None and id(weight) in self._trained


class Affine(Rule):
    """A layer that multiplies by a kernel, adds a bias, and then applies an activation."""

    def forward(
        self, original: Callable[..., Any], watch: Watch, *args: Any, **kwargs: Any
    ) -> tuple[Any, Call]:
        layer = self.layer
        activation = layer.activation
        # Its own code computes all but the activation.
        layer.__dict__["activation"] = None
        try:
            before = original(*args, **kwargs)
        finally:
            layer.__dict__["activation"] = activation
        watch(before)
        after = before if activation is None else activation(before)
        return after, Call(args[0] if args else kwargs["inputs"], [before])

    def norms(self, calls: Sequence[Call]) -> tf.Tensor:
        found = []
        if self.trains(self.layer.kernel):
            found.append(self.kernel_norms(calls))
        if self.trains(self.layer.bias):
            found.append(terms.squares(self._bias_gradients(calls)))
        return tf.add_n(found)

    def sums(self, calls: Sequence[Call]) -> list[tf.Tensor]:
        return [
            self.kernel_sum(calls) if weight is self.layer.kernel else self._bias_sum(calls)
            for weight in self.weights
        ]

    @abc.abstractmethod
    def kernel_norms(self, calls: Sequence[Call]) -> tf.Tensor:
        """Squared norm of each example's gradient of the kernel."""

    @abc.abstractmethod
    def kernel_sum(self, calls: Sequence[Call]) -> tf.Tensor:
        """Sum of them."""

    def _bias_gradients(self, calls: Sequence[Call]) -> tf.Tensor:
        shape = tuple(self.layer.bias.shape)
        return add([terms.reduce_to(single(call.gradients[0]), shape) for call in calls])

    def _bias_sum(self, calls: Sequence[Call]) -> tf.Tensor:
        return tf.reduce_sum(self._bias_gradients(calls), axis=0)


class Dense(Affine):
    """A dense layer, over examples or over positions of them."""

    def kernel_norms(self, calls: Sequence[Call]) -> tf.Tensor:
        return terms.product_norms(*self._rows(calls))

    def kernel_sum(self, calls: Sequence[Call]) -> tf.Tensor:
        inputs, gradients = self._rows(calls)
        product = terms.product_sum(inputs, gradients)
        return product if len(inputs.shape) == 2 else product[0]

    def _rows(self, calls: Sequence[Call]) -> tuple[tf.Tensor, tf.Tensor]:
        inputs = [single(call.inputs) for call in calls]
        gradients = [single(call.gradients[0]) for call in calls]
        if len(calls) == 1 and len(inputs[0].shape) == 2:
            return inputs[0], gradients[0]
        return positions(inputs)[:, None], positions(gradients)[:, None]


class Embedding(Rule):
    """A table of vectors that are looked up by number."""

    def forward(
        self, original: Callable[..., Any], watch: Watch, *args: Any, **kwargs: Any
    ) -> tuple[Any, Call]:
        found = original(*args, **kwargs)
        watch(found)
        ids = tf.convert_to_tensor(args[0] if args else kwargs["inputs"])
        if ids.dtype not in (tf.int32, tf.int64):
            ids = tf.cast(ids, tf.int32)
        # As the layer does, which counts negative numbers from the end.
        ids = tf.where(ids < 0, ids + tf.cast(self.layer.input_dim, ids.dtype), ids)
        return found, Call(ids, [found])

    def norms(self, calls: Sequence[Call]) -> tf.Tensor:
        return terms.lookup_norms(*self._lookups(calls))

    def sums(self, calls: Sequence[Call]) -> list[tf.Tensor]:
        return [terms.lookup_sum(*self._lookups(calls), self.layer.input_dim)]

    def _lookups(self, calls: Sequence[Call]) -> tuple[tf.Tensor, tf.Tensor]:
        ids = positions([call.inputs[..., None] for call in calls])[..., 0]
        return ids, positions([single(call.gradients[0]) for call in calls])


def single(tensor: tf.Tensor) -> tf.Tensor:
    """In single precision, if it is in half."""
    return tf.cast(tensor, tf.float32) if tensor.dtype in (tf.float16, tf.bfloat16) else tensor


def add(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Their sum."""
    return tensors[0] if len(tensors) == 1 else tf.add_n(tensors)


def positions(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """All of their vectors by example, of shape ``(batch, positions, width)``."""
    flat = []
    for tensor in tensors:
        between = tensor.shape[1:-1].num_elements()
        shape = (
            [-1, between, tensor.shape[-1]]
            if between is not None
            else [tf.shape(tensor)[0], -1, tensor.shape[-1]]
        )
        flat.append(tensor if len(tensor.shape) == 3 else tf.reshape(tensor, shape))
    return flat[0] if len(flat) == 1 else tf.concat(flat, axis=1)


def own_code(layer: keras.Layer, kind: type) -> bool:
    """Whether a layer is of a kind, or of a subclass that calls no other code."""
    return isinstance(layer, kind) and type(layer).call is kind.call and "call" not in layer.__dict__


def rule_of(layer: keras.Layer, weights: Sequence[keras.Variable]) -> Rule | None:
    """The rule that knows such a layer; none if there is none."""
    if getattr(layer, "lora_enabled", False):
        return None
    for kind, rule in _RULES:
        if own_code(layer, kind):
            return rule(layer, weights)
    return None


_RULES: list[tuple[type, type[Rule]]] = [
    (keras.layers.Dense, Dense),
    (keras.layers.Embedding, Embedding),
]
