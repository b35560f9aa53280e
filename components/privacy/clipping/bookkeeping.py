"""One forward and one backward pass, and what follows from what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import keras
import tensorflow as tf

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.clipping.capture import Call, capturing, to_rank
from tfx_trust.components.privacy.clipping.fallback import Arguments
from tfx_trust.components.privacy.clipping.rules import Rule

Answer = TypeVar("Answer")


def in_training(model: keras.Model, x: Any) -> Any:
    """What the model returns in training, called as Keras does."""
    if getattr(model, "_call_has_training_arg", True):
        return model(x, training=True)
    return model(x)


def run(
    rules: Sequence[Rule], forward: Callable[[], Answer], losses_of: Callable[[Answer], tf.Tensor]
) -> tuple[Answer, list[list[Call]]]:
    """A forward pass, and the gradient of the sum of examples' losses at the layers' outputs.

    Parameters
    ----------
    rules
        The layers to keep the calls of.
    forward
        The forward pass.
    losses_of
        From what it returned, losses to add up.

    Returns
    -------
    What the forward pass returned, and for each rule the calls that the losses depend on.
    """
    tape = tf.GradientTape(watch_accessed_variables=False)
    with tape, capturing(rules, tape.watch) as calls:
        answer = forward()
        total = tf.reduce_sum(losses_of(answer))
    _check_graph(rules, calls)
    outputs = [call.outputs for made in calls for call in made]
    gradients = iter(tape.gradient(total, outputs))
    for made in calls:
        for call in made:
            call.gradients = [
                None if gradient is None else tf.convert_to_tensor(gradient) for gradient in next(gradients)
            ]
    return answer, [
        [call for call in made if any(gradient is not None for gradient in call.gradients)] for made in calls
    ]


def squared_norms(rules: Sequence[Rule], calls: Sequence[Sequence[Call]]) -> list[tf.Tensor]:
    """Squared norm of each example's gradient of the weights of each rule that the losses depend on."""
    return [rule.norms(made) for rule, made in zip(rules, calls, strict=True) if made]


def weighted_sums(
    rules: Sequence[Rule],
    calls: Sequence[Sequence[Call]],
    scales: tf.Tensor,
    variables: Sequence[keras.Variable],
) -> list[tf.Tensor]:
    """Sum of the examples' gradients, each times its scale, by variable."""
    sums: dict[int, tf.Tensor] = {}
    for rule, made in zip(rules, calls, strict=True):
        if made:
            found = rule.scaled_sums(made, scales)
            sums |= {id(weight): value for weight, value in zip(rule.weights, found, strict=True)}
    return [
        tf.zeros(variable.shape) if sums.get(id(variable)) is None else sums[id(variable)]
        for variable in variables
    ]


def without(calls: Sequence[Sequence[Call]], good: tf.Tensor) -> list[list[Call]]:
    """The calls without some of the examples: with another in their place, whose gradient there is zero."""
    rows = tf.where(good, tf.range(tf.size(good)), tf.argmax(good, output_type=tf.int32))

    def replaced(inputs: Any) -> Any:
        if isinstance(inputs, Arguments):
            return inputs.replaced([tf.gather(tensor, rows) for tensor in inputs.by_example])
        return tf.gather(inputs, rows)

    def blanked(gradient: tf.Tensor | None) -> tf.Tensor | None:
        return None if gradient is None else tf.where(to_rank(good, gradient), gradient, 0.0)

    return [
        [
            Call(replaced(call.inputs), call.outputs, [blanked(each) for each in call.gradients])
            for call in made
        ]
        for made in calls
    ]


def _check_graph(rules: Sequence[Rule], calls: Sequence[Sequence[Call]]) -> None:
    if tf.executing_eagerly():
        return
    here = tf.compat.v1.get_default_graph()
    for rule, made in zip(rules, calls, strict=True):
        if any(tensor.graph is not here for call in made for tensor in call.outputs):
            raise InputError(
                f"layer {rule.layer.name!r} ({type(rule.layer).__name__}) is called inside a loop or a "
                "tf.function of another layer, where its gradients cannot be kept; call it in plain code, "
                "or on the whole sequence at once"
            )
