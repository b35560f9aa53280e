"""Models to train privately, and the slow and obvious twin of per-example clipping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

layers = keras.layers


@dataclass
class Reference:
    """What one example after the other gives: gradients in float32, sums in float64."""

    sums: list[np.ndarray]
    norms: np.ndarray
    losses: np.ndarray


def per_example(
    model: keras.Model,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    clip_norm: float = 1.0,
    loss: Callable[[Any, Any, Any, Any], tf.Tensor] | None = None,
) -> Reference:
    """Each example's gradient of the model's own loss on it alone, clipped, and added."""
    rows = len(keras.tree.flatten(x)[0])
    variables = model.trainable_variables
    sums = [np.zeros(variable.shape, np.float64) for variable in variables]
    norms, losses = [], []
    for row in range(rows):
        mine = [
            None if given is None else keras.tree.map_structure(lambda each: each[row : row + 1], given)
            for given in (x, y, sample_weight)
        ]
        with tf.GradientTape() as tape:
            y_pred = model(mine[0], training=True)
            found = (loss or _compiled_loss(model))(mine[0], mine[1], y_pred, mine[2])
        gradients = [
            np.zeros(variable.shape) if gradient is None else _dense(gradient)
            for gradient, variable in zip(tape.gradient(found, [each.value for each in variables]), variables)
        ]
        norm = float(np.sqrt(sum(float((gradient**2).sum()) for gradient in gradients)))
        scale = min(1.0, clip_norm / norm) if norm > 0 else 1.0
        for total, gradient in zip(sums, gradients):
            total += scale * gradient
        norms.append(norm)
        losses.append(float(found))
    return Reference(sums, np.array(norms), np.array(losses))


def _compiled_loss(model: keras.Model) -> Callable[[Any, Any, Any, Any], tf.Tensor]:
    return lambda x, y, y_pred, weight: tf.reduce_sum(model._compile_loss(y, y_pred, weight))


def _dense(gradient: Any) -> np.ndarray:
    return np.asarray(tf.convert_to_tensor(gradient), np.float64)


def mlp(width: int = 100, hidden: tuple[int, ...] = (256, 128), seed: int = 1) -> keras.Model:
    """Dense layers and a probability, compiled."""
    keras.utils.set_random_seed(seed)
    x = keras.Input([width], name="x")
    h: Any = x
    for units in hidden:
        h = layers.Dense(units, activation="relu")(h)
    return compiled(keras.Model(x, layers.Dense(1, activation="sigmoid")(h)))


def embedding_mlp(
    width: int = 100,
    tables: int = 8,
    rows: int = 1000,
    size: int = 16,
    hidden: tuple[int, ...] = (256, 128),
    seed: int = 1,
) -> keras.Model:
    """The same, with embedded categories beside the numbers."""
    keras.utils.set_random_seed(seed)
    numbers = keras.Input([width], name="numbers")
    categories = [keras.Input([], dtype="int32", name=f"category_{table}") for table in range(tables)]
    parts = [layers.Embedding(rows, size)(category) for category in categories]
    h: Any = layers.Concatenate()([numbers, *parts])
    for units in hidden:
        h = layers.Dense(units, activation="relu")(h)
    return compiled(keras.Model([numbers, *categories], layers.Dense(1, activation="sigmoid")(h)))


def compiled(model: keras.Model, loss: Any = "binary_crossentropy", **settings: Any) -> keras.Model:
    """The model, compiled for stochastic gradient descent."""
    model.compile(settings.pop("optimizer", keras.optimizers.SGD(0.1)), loss, **settings)
    return model


def data_of(model: keras.Model, rows: int, seed: int = 1) -> tuple[Any, np.ndarray]:
    """Inputs as a model takes them, with numbers of the range of its embeddings, and labels 0 and 1."""
    rng = np.random.default_rng(seed)
    tables = [layer.input_dim for layer in model._flatten_layers() if isinstance(layer, layers.Embedding)]
    x = []
    for tensor in model.inputs:
        shape = (rows, *[length or 6 for length in tensor.shape[1:]])
        if "int" in tensor.dtype:
            x.append(rng.integers(0, min(tables, default=2), shape).astype(tensor.dtype))
        else:
            x.append(rng.normal(size=shape).astype(np.float32))
    y = rng.integers(0, 2, (rows, 1)).astype(np.float32)
    return (x if len(x) > 1 else x[0]), y
