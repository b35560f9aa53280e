"""What layers take in and put out, kept while a model is called."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import keras
import tensorflow as tf

Watch = Callable[[tf.Tensor], None]


@dataclass
class Call:
    """One call of a layer.

    Attributes
    ----------
    inputs
        What the gradients of the layer's weights follow from, besides those of its outputs.
    outputs
        The watched tensors, which the gradient of the loss is taken at; examples are the first axis.
    gradients
        That gradient for each of them; none where the loss does not depend on it.
    """

    inputs: Any
    outputs: list[tf.Tensor]
    gradients: list[tf.Tensor | None] = field(default_factory=list)

    @property
    def gradient(self) -> tf.Tensor:
        """The gradient where there is one output."""
        return self.gradients[0]

    def scaled(self, scales: tf.Tensor) -> Call:
        """The same with every example's gradients times its scale."""
        scaled = [None if each is None else each * to_rank(scales, each) for each in self.gradients]
        return Call(self.inputs, self.outputs, scaled)


def to_rank(by_example: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """Of shape ``(batch,)``, with as many axes as a tensor that it is to be multiplied by."""
    return tf.reshape(by_example, [-1] + [1] * (len(tensor.shape) - 1))


def mask_of(tensor: Any) -> tf.Tensor | None:
    """The mask that Keras keeps with a tensor."""
    return getattr(tensor, "_keras_mask", None)


def with_mask(tensor: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """The tensor, with such a mask."""
    if mask is not None:
        tensor._keras_mask = mask
    return tensor


class Observed(Protocol):
    """A layer whose calls can be kept."""

    layer: keras.Layer

    def forward(
        self, original: Callable[..., Any], watch: Watch, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Call]:
        """What the layer returns, and its call, whose outputs are watched before anything is made of them."""


@contextlib.contextmanager
def capturing(observed: Sequence[Observed], watch: Watch) -> Iterator[list[list[Call]]]:
    """Keep the layers' calls while it is open.

    Yields
    ------
    A list of calls for each of `observed`, in the order in which they are made.
    """
    calls: list[list[Call]] = [[] for _ in observed]
    before = [each.layer.__dict__.get("call") for each in observed]
    for each, kept in zip(observed, calls, strict=True):
        # Into the instance's own dictionary: a layer's attributes are tracked and locked when set.
        each.layer.__dict__["call"] = _keeping(each, each.layer.call, watch, kept)
    try:
        yield calls
    finally:
        for each, call in zip(observed, before, strict=True):
            if call is None:
                del each.layer.__dict__["call"]
            else:
                each.layer.__dict__["call"] = call


def _keeping(
    each: Observed, original: Callable[..., Any], watch: Watch, kept: list[Call]
) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        outputs, made = each.forward(original, watch, args, kwargs)
        kept.append(made)
        return outputs

    return call
