"""The sum of clipped gradients of a batch, in one forward and one backward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfx_trust.components.privacy.clipping.capture import Call, capturing
from tfx_trust.components.privacy.clipping.losses import ExampleLosses
from tfx_trust.components.privacy.clipping.plan import plan
from tfx_trust.components.privacy.clipping.rules import Rule
from tfx_trust.components.privacy.report import LayerRule


_TINY = 1e-30


@dataclass(frozen=True)
class Clipped:
    """What a batch gives.

    Attributes
    ----------
    sums
        Sum over the examples of ``min(1, C / norm) * gradient`` by variable of the engine, dense float32.
    norms
        L2 norm of each example's gradient over all variables before clipping, of shape ``(batch,)``; 0 for
        examples of weight 0, infinite where it is not a finite number, which contributes nothing to `sums`.
    losses
        Loss of each example, of shape ``(batch,)``.
    y_pred
        What the model returned.
    parts
        Loss of each example by compiled loss, before its loss weight.
    """

    sums: list[tf.Tensor]
    norms: tf.Tensor
    losses: tf.Tensor
    y_pred: Any
    parts: list[tf.Tensor]


class Engine:
    """Per-example clipping for one model.

    The gradient of the sum of the examples' losses is taken at the layers' outputs alone. With what came into a
    layer it gives the norm of every example's gradient (Goodfellow 2015, "Efficient per-example gradient
    computations"; Li et al. 2022, "Large language models can be strong differentially private learners") and,
    scaled by its clip factor, the sum of the clipped gradients (Bu et al. 2023, "Differentially private
    optimization on large model at small cost", book-keeping): there is no second backward pass.

    Parameters
    ----------
    model
        A built and compiled Keras model. It is not changed.

    Attributes
    ----------
    variables
        The trained variables, in the model's order.
    rules
        How each layer with weights is clipped.
    unchecked
        Checks on the model that could not be made, and why.

    Raises
    ------
    InputError
        If the model cannot be trained with per-example clipping, and what to do about it.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._losses = ExampleLosses(model)
        planned = plan(model)
        self._rules: list[Rule] = planned.rules
        self.variables: list[keras.Variable] = planned.variables
        self.rules: list[LayerRule] = planned.described
        self.unchecked: list[str] = planned.unchecked
        self._place = {id(variable): place for place, variable in enumerate(self.variables)}

    def step(self, x: Any, y: Any, sample_weight: Any, clip_norm: float | tf.Tensor) -> Clipped:
        """The clipped sum of gradients of a batch, and what it followed from.

        Parameters
        ----------
        x, y, sample_weight
            As for a step of Keras; examples of weight 0 have no part in it.
        clip_norm
            Greatest L2 norm that an example's gradient keeps.
        """
        tape = tf.GradientTape(watch_accessed_variables=False)
        with tape, capturing(self._rules, tape.watch) as calls:
            y_pred = self._forward(x)
            losses, parts = self._losses(y, y_pred, sample_weight)
            total = tf.reduce_sum(losses)
        calls = _with_gradients(calls, tape, total)
        squared = [rule.norms(made) for rule, made in zip(self._rules, calls, strict=True) if made]
        norms = tf.sqrt(tf.add_n(squared)) if squared else tf.zeros_like(losses)
        finite = tf.math.is_finite(norms)
        scales = tf.where(
            finite, tf.minimum(1.0, tf.cast(clip_norm, norms.dtype) / tf.maximum(norms, _TINY)), 0.0
        )
        sums = self._sums(calls, scales)
        return Clipped(sums, tf.where(finite, norms, float("inf")), losses, y_pred, parts)

    def regularization_gradients(self) -> list[tf.Tensor | None]:
        """Gradient of the weights' regularization by variable, none where it has none: no example has part in it."""
        found: list[tf.Tensor | None] = []
        for variable in self.variables:
            if variable.regularizer is None:
                found.append(None)
                continue
            value = tf.convert_to_tensor(variable.value)
            with tf.GradientTape() as tape:
                tape.watch(value)
                loss = variable.regularizer(value)
            found.append(tape.gradient(loss, value))
        return found

    def regularization_loss(self) -> tf.Tensor:
        """Loss that the weights' regularization adds."""
        losses = [
            variable.regularizer(variable) for variable in self.variables if variable.regularizer is not None
        ]
        return tf.add_n(losses) if losses else tf.constant(0.0)

    def _forward(self, x: Any) -> Any:
        if getattr(self._model, "_call_has_training_arg", True):
            return self._model(x, training=True)
        return self._model(x)

    def _sums(self, calls: list[list[Call]], scales: tf.Tensor) -> list[tf.Tensor]:
        sums: list[Any] = [None] * len(self.variables)
        for rule, made in zip(self._rules, calls, strict=True):
            found = (
                rule.sums([_scaled(call, scales) for call in made]) if made else [None] * len(rule.weights)
            )
            for weight, value in zip(rule.weights, found, strict=True):
                sums[self._place[id(weight)]] = (
                    tf.zeros(weight.shape) if value is None else tf.cast(value, tf.float32)
                )
        return sums


def _with_gradients(calls: list[list[Call]], tape: tf.GradientTape, total: tf.Tensor) -> list[list[Call]]:
    """The calls that the loss depends on, with its gradients at their outputs."""
    outputs = [call.outputs for made in calls for call in made]
    gradients = iter(tape.gradient(total, outputs))
    for made in calls:
        for call in made:
            call.gradients = next(gradients)
    return [
        [call for call in made if any(gradient is not None for gradient in call.gradients)] for made in calls
    ]


def _scaled(call: Call, scales: tf.Tensor) -> Call:
    return Call(
        call.inputs,
        call.outputs,
        [
            None
            if gradient is None
            else gradient
            * tf.reshape(tf.cast(scales, gradient.dtype), [-1] + [1] * (len(gradient.shape) - 1))
            for gradient in call.gradients
        ],
    )
