"""The slow and obvious twin of per-example clipping, and models and data to hold it against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

layers = keras.layers


@dataclass
class Reference:
    """What one example after the other gives."""

    gradients: list[list[np.ndarray]]
    """Of each example, by variable."""
    losses: np.ndarray
    """Of each example."""

    @property
    def norms(self) -> np.ndarray:
        """L2 norm of each example's gradient."""
        return np.array([np.sqrt(sum((part**2).sum() for part in mine)) for mine in self.gradients])

    def sums(self, clip_norm: float) -> list[np.ndarray]:
        """Sum of the clipped gradients by variable, float64."""
        scales = [min(1.0, clip_norm / norm) if norm > 0 else 1.0 for norm in self.norms]
        return [sum(scale * part for scale, part in zip(scales, parts)) for parts in zip(*self.gradients)]


def per_example(model: keras.Model, x: Any, y: Any, sample_weight: Any = None) -> Reference:
    """The gradient of the model's own loss on each example alone."""
    gradients, losses = [], []
    for row in range(len(keras.tree.flatten(x)[0])):
        mine = [None if given is None else row_of(given, row) for given in (x, y, sample_weight)]
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model._compile_loss(mine[1], model(mine[0], training=True), mine[2]))
        found = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        gradients.append(
            [
                np.zeros(variable.shape)
                if gradient is None
                else np.asarray(tf.convert_to_tensor(gradient), np.float64)
                for gradient, variable in zip(found, model.trainable_variables)
            ]
        )
        losses.append(float(loss))
    return Reference(gradients, np.array(losses))


def row_of(given: Any, row: int) -> Any:
    """A batch of one."""
    return keras.tree.map_structure(lambda each: each[row : row + 1], given)


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
