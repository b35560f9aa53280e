"""The sum of clipped gradients of a batch, in one forward and one backward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.clipping import bookkeeping
from tfx_trust.components.privacy.clipping.losses import ExampleLosses, weighed
from tfx_trust.components.privacy.clipping.plan import check_trainable, plan, same
from tfx_trust.components.privacy.clipping.trial import try_out
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
        L2 norm of each example's gradient over all variables before clipping, of shape ``(batch,)``. 0 for
        examples of weight 0. Infinite where the gradient is not finite, as of an example that holds a NaN:
        `sums` leaves it out.
    losses
        Loss of each example, times its weight, of shape ``(batch,)``; 0 for examples of weight 0.
    y_pred
        What the model returned.
    parts
        The same as `losses` by compiled loss, in the order of the model's trackers, before loss weights.
    """

    sums: list[tf.Tensor]
    norms: tf.Tensor
    losses: tf.Tensor
    y_pred: Any
    parts: list[tf.Tensor]


class Engine:
    """Per-example clipping for one model.

    The gradient of the sum of the examples' losses is taken at the layers' outputs alone. With what came into
    a layer it gives the norm of every example's gradient (Goodfellow 2015, "Efficient per-example gradient
    computations"; Li et al. 2022, "Large language models can be strong differentially private learners") and,
    scaled by its clip factor, the sum of the clipped gradients (Bu et al. 2023, "Differentially private
    optimization on large foundation models at small cost", book-keeping): there is no second backward pass.

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
        unchecked = try_out(model, planned, self._losses)
        if not same(model.trainable_variables, planned.variables):
            # Some layers are built in their first call.
            planned = plan(model)
            unchecked = try_out(model, planned, self._losses)
        self._rules = planned.rules
        self.variables: list[keras.Variable] = planned.variables
        self.rules: list[LayerRule] = planned.described
        self.unchecked: list[str] = unchecked

    @tf.autograph.experimental.do_not_convert
    def step(self, x: Any, y: Any, sample_weight: Any, clip_norm: float | tf.Tensor) -> Clipped:
        """The clipped sum of gradients of a batch, and what it followed from.

        Parameters
        ----------
        x, y, sample_weight
            As for a step of Keras; examples of weight 0 have no part in it.
        clip_norm
            Greatest L2 norm that an example's gradient keeps.

        Raises
        ------
        InputError
            When traced: if the model's trainable weights are others than they were, or a loss gives no value
            for each example.
        """
        check_trainable(self._model, self.variables)
        self._check_loops()
        (y_pred, losses, parts), calls = bookkeeping.run(
            self._rules,
            lambda: self._forward(x, y, sample_weight),
            lambda answer: answer[1],
        )
        squared = bookkeeping.squared_norms(self._rules, calls)
        norms = tf.sqrt(tf.add_n(squared)) if squared else tf.zeros_like(losses)
        finite = tf.math.is_finite(norms)
        scales = tf.minimum(1.0, tf.cast(clip_norm, tf.float32) / tf.maximum(norms, _TINY))
        sums = tf.cond(
            tf.reduce_all(finite),
            lambda: self._sums(calls, scales),
            lambda: self._finite_sums(calls, scales, finite),
        )
        norms = tf.where(finite, norms, float("inf"))
        if sample_weight is not None:
            counted = weighed(sample_weight)
            norms, losses, *parts = (tf.where(counted, each, 0.0) for each in (norms, losses, *parts))
        return Clipped(list(sums), norms, losses, y_pred, list(parts))

    def regularization_gradients(self) -> list[tf.Tensor | None]:
        """Gradient of the weights' regularization by variable, if it has any; no example is in it."""
        found: list[tf.Tensor | None] = []
        for variable in self.variables:
            if variable.regularizer is None:
                found.append(None)
                continue
            value = tf.convert_to_tensor(variable)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(value)
                loss = variable.regularizer(value)
            found.append(tape.gradient(loss, value))
        return found

    def regularization_loss(self) -> tf.Tensor:
        """What the weights' regularization adds to the loss."""
        losses = [
            tf.reduce_sum(variable.regularizer(tf.convert_to_tensor(variable)))
            for variable in self.variables
            if variable.regularizer is not None
        ]
        return tf.add_n(losses) if losses else tf.constant(0.0)

    def _forward(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, tf.Tensor, list[tf.Tensor]]:
        y_pred = bookkeeping.in_training(self._model, x)
        return (y_pred, *self._losses(y, y_pred, sample_weight))

    def _sums(self, calls: Any, scales: tf.Tensor) -> list[tf.Tensor]:
        return bookkeeping.weighted_sums(self._rules, calls, scales, self.variables)

    def _finite_sums(self, calls: Any, scales: tf.Tensor, finite: tf.Tensor) -> list[tf.Tensor]:
        sums = self._sums(bookkeeping.without(calls, finite), tf.where(finite, scales, 0.0))
        # With no good example there was none to put in the others' place.
        return [tf.where(tf.reduce_any(finite), each, 0.0) for each in sums]

    def _check_loops(self) -> None:
        if tf.executing_eagerly() or not self._model.jit_compile:
            return
        for rule in self._rules:
            if rule.method != "fallback":
                continue
            for layer in rule.layer._flatten_layers():
                if isinstance(layer, keras.layers.RNN) and not layer.unroll:
                    raise InputError(
                        f"layer {layer.name!r} ({type(layer).__name__}) loops over time, which XLA cannot "
                        "compile example by example; compile the model with jit_compile=False, or make the "
                        "layer with unroll=True"
                    )
