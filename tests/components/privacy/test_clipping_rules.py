"""The clipped sum of every kind of layer is that of a loop over examples."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from per_example import compiled, data_of, embedding_mlp, mlp, per_example

from tfx_trust.components.privacy.clipping import Engine

layers = keras.layers
ROWS = 12


def model_of(build: Callable[..., Any], *inputs: Any) -> keras.Model:
    """A model of what is built from the inputs, each of them a shape or an Input, and one probability."""
    keras.utils.set_random_seed(3)
    given = [keras.Input(shape) if isinstance(shape, tuple) else shape for shape in inputs]
    h = build(*given)
    if len(h.shape) > 2:
        h = layers.GlobalAveragePooling1D()(layers.Reshape((-1, h.shape[-1]))(h))
    return compiled(keras.Model(given, layers.Dense(1, activation="sigmoid")(h)))


def ids(*shape: int) -> Any:
    return keras.Input(shape, dtype="int32")


def stack(*kinds: keras.layers.Layer) -> Callable[[Any], Any]:
    def build(h: Any) -> Any:
        for layer in kinds:
            h = layer(h)
        return h

    return build


def shared(layer: keras.layers.Layer) -> Callable[[Any, Any], Any]:
    return lambda one, two: layers.Concatenate(axis=1)([layer(one), layer(two)])


def attention(x: Any) -> Any:
    seen = layers.MultiHeadAttention(2, 4, value_dim=3)(x, x)
    return layers.LayerNormalization()(layers.Add()([x, seen]))


def table_and_width(size: int, width: int) -> Callable[[Any], Any]:
    return stack(layers.Embedding(size, width), layers.Dense(5, activation="tanh"))


class Scaled(keras.layers.Layer):
    """A weight of its own, and a layer inside."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = layers.Dense(4)

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(4,), initializer="random_normal", name="scale")
        self.inner.build(shape)

    def call(self, x: Any) -> Any:
        return self.inner(x) * self.scale


class Gated(keras.layers.Layer):
    """Products of a sequence by matrices, and of these with each other."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = layers.Dense(4), layers.Dense(4)

    def build(self, shape: Any) -> None:
        self.one.build(shape)
        self.two.build(shape)
        self.mixed = self.add_weight(shape=(4, 4), name="mixed")

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(self.one(x) * keras.ops.sigmoid(self.two(x)), self.mixed)


def tied(x: Any) -> Any:
    """One table into a model and out of it."""
    table = layers.ReversibleEmbedding(5, 3)
    return table(layers.Dense(3)(table(x)), reverse=True)


def adapted(x: Any) -> Any:
    """A frozen kernel with two small ones to train beside it."""
    layer = layers.Dense(4)
    y = layer(x)
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.random.default_rng(1).normal(size=layer.lora_kernel_b.shape))
    return y


class Block(keras.layers.Layer):
    """No weight of its own, two layers inside, called in plain code."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = layers.Dense(6, activation="relu"), layers.LayerNormalization()

    def build(self, shape: Any) -> None:
        self.first.build(shape)
        self.second.build((*shape[:-1], 6))

    def call(self, x: Any) -> Any:
        return self.second(self.first(self.first(x)[..., :3]))


GHOST: dict[str, Callable[[], keras.Model]] = {
    "dense": lambda: mlp(10, (8, 6)),
    "embeddings": lambda: embedding_mlp(5, 3, 7, 4, (6,)),
    "dense of no bias": lambda: model_of(stack(layers.Dense(4, use_bias=False)), (5,)),
    "dense over positions": lambda: model_of(stack(layers.Dense(4, activation="tanh")), (6, 3)),
    "wide dense over few positions": lambda: model_of(stack(layers.Dense(40), layers.Dense(40)), (2, 50)),
    "dense over images": lambda: model_of(stack(layers.Dense(4), layers.Dense(3)), (3, 4, 2)),
    "dense over positions of no fixed number": lambda: model_of(stack(layers.Dense(4)), (None, 3)),
    "dense shared": lambda: model_of(shared(layers.Dense(4, activation="relu")), (5,), (5,)),
    "dense shared over positions": lambda: model_of(shared(layers.Dense(4)), (6, 3), (2, 3)),
    "layer as activation": lambda: model_of(stack(layers.Dense(4, activation=layers.PReLU())), (5,)),
    "embedding": lambda: model_of(stack(layers.Embedding(7, 4), layers.Flatten()), ids(1)),
    "embedding of repeated ids": lambda: model_of(table_and_width(4, 3), ids(9)),
    "embedding over two axes": lambda: model_of(table_and_width(4, 3), ids(3, 5)),
    "embedding shared": lambda: model_of(shared(layers.Embedding(5, 3)), ids(4), ids(2)),
    "embedding of no fixed length": lambda: model_of(table_and_width(4, 3), ids(None)),
    "einsum": lambda: model_of(stack(layers.EinsumDense("ab,bc->ac", 4, bias_axes="c")), (5,)),
    "einsum over positions": lambda: model_of(
        stack(layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), layers.Reshape((6, 6))),
        (6, 5),
    ),
    "einsum of two axes": lambda: model_of(
        stack(layers.EinsumDense("abcd,cde->abe", (None, 4), bias_axes="e")), (6, 2, 3)
    ),
    "einsum by group": lambda: model_of(
        stack(layers.EinsumDense("abcd,cde->abce", (None, 2, 4), bias_axes="ce")), (6, 2, 3)
    ),
    "einsum elided": lambda: model_of(
        stack(layers.EinsumDense("...x,xy->...y", 4, activation="relu", bias_axes="y")), (6, 3)
    ),
    "einsum elided to the right": lambda: model_of(
        stack(layers.EinsumDense("ab...,bc->ac...", (4, None), bias_axes="c")), (3, 6)
    ),
    "einsum with an axis added up": lambda: model_of(
        stack(layers.EinsumDense("abc,cd->ad", 4, bias_axes="d")), (6, 3)
    ),
    "einsum transposed": lambda: model_of(stack(layers.EinsumDense("abc,dc->adb", (4, 6))), (6, 3)),
    "layer normalization": lambda: model_of(stack(layers.Dense(6), layers.LayerNormalization()), (5,)),
    "layer normalization over positions": lambda: model_of(
        stack(layers.LayerNormalization(gamma_initializer="random_normal"), layers.Dense(4)), (6, 3)
    ),
    "layer normalization of two axes": lambda: model_of(
        stack(layers.LayerNormalization(axis=[1, 2], beta_initializer="random_normal")), (6, 3)
    ),
    "layer normalization of a first axis": lambda: model_of(stack(layers.LayerNormalization(axis=1)), (6, 3)),
    "layer normalization without scale": lambda: model_of(
        stack(layers.LayerNormalization(scale=False)), (6, 3)
    ),
    "layer normalization without shift": lambda: model_of(
        stack(layers.LayerNormalization(center=False)), (6, 3)
    ),
    "group normalization": lambda: model_of(stack(layers.GroupNormalization(2)), (6, 4)),
    "group normalization of a first axis": lambda: model_of(
        stack(layers.GroupNormalization(2, axis=1)), (4, 3)
    ),
    "attention": lambda: model_of(attention, (5, 6)),
    "conv1d": lambda: model_of(stack(layers.Conv1D(4, 3, activation="relu")), (8, 3)),
    "conv1d causal": lambda: model_of(stack(layers.Conv1D(4, 3, padding="causal", dilation_rate=2)), (8, 3)),
    "conv1d of no fixed length": lambda: model_of(stack(layers.Conv1D(4, 3, padding="same")), (None, 3)),
    "conv2d": lambda: model_of(stack(layers.Conv2D(4, 3), layers.Conv2D(3, (2, 1))), (7, 6, 2)),
    "conv2d same and strided": lambda: model_of(
        stack(layers.Conv2D(4, (3, 2), strides=(2, 3), padding="same", use_bias=False)), (7, 6, 2)
    ),
    "conv2d dilated": lambda: model_of(
        stack(layers.Conv2D(4, 2, dilation_rate=(2, 3), padding="same")), (7, 6, 2)
    ),
    "conv2d shared": lambda: model_of(
        lambda one, two: layers.Concatenate()(
            [layers.Reshape((-1, 4))(c(x)) for c in [layers.Conv2D(4, 2)] for x in (one, two)]
        ),
        (5, 4, 2),
        (5, 4, 2),
    ),
    "layers inside a layer": lambda: model_of(stack(Block()), (4, 3)),
    "model inside a model": lambda: model_of(
        stack(keras.Sequential([keras.Input([5]), layers.Dense(4), layers.LayerNormalization()])), (5,)
    ),
}
if hasattr(layers, "RMSNormalization"):
    GHOST["rms normalization"] = lambda: model_of(stack(layers.RMSNormalization()), (6, 3))

FALLBACK: dict[str, Callable[[], keras.Model]] = {
    "a layer with a weight of its own": lambda: model_of(stack(Scaled()), (6, 3)),
    "products of products": lambda: model_of(stack(Gated()), (6, 3)),
    "low-rank adaptation": lambda: model_of(adapted, (6, 3)),
    "prelu": lambda: model_of(stack(layers.PReLU()), (6, 3)),
    "depthwise convolution": lambda: model_of(stack(layers.DepthwiseConv2D(3)), (5, 6, 2)),
    "convolution by group": lambda: model_of(stack(layers.Conv1D(4, 3, groups=2)), (8, 2)),
    "transposed convolution": lambda: model_of(stack(layers.Conv1DTranspose(4, 3)), (8, 2)),
    "time distributed": lambda: model_of(stack(layers.TimeDistributed(layers.Dense(4))), (4, 3)),
    "shared": lambda: model_of(shared(Scaled()), (6, 3), (6, 3)),
}
if hasattr(layers, "ReversibleEmbedding"):
    FALLBACK["a table used both ways"] = lambda: model_of(tied, ids(6))
RECURRENT: dict[str, Callable[[], keras.Model]] = {
    "gru": lambda: model_of(stack(layers.GRU(4)), (5, 3)),
    "lstm of two outputs": lambda: model_of(
        lambda x: layers.Concatenate()(layers.LSTM(3, return_state=True)(x)), (5, 3)
    ),
    "masked lstm both ways": lambda: model_of(
        stack(layers.Embedding(4, 3, mask_zero=True), layers.Bidirectional(layers.LSTM(3))), ids(5)
    ),
}


def check(model: keras.Model, *ways: str) -> Engine:
    """The engine's sums, norms and losses are those of a loop, some of the examples being clipped."""
    engine = Engine(model)
    assert not engine.unchecked
    assert [id(each) for each in engine.variables] == [id(each) for each in model.trainable_variables]
    x, y = data_of(model, ROWS)
    expected = per_example(model, x, y)
    clip_norm = float(np.median(expected.norms))
    sums = expected.sums(clip_norm)
    largest = max(np.abs(total).max() for total in sums)

    def step(x: Any, y: Any) -> Any:
        clipped = engine.step(x, y, None, clip_norm)
        return clipped.sums, clipped.norms, clipped.losses

    for way in ways:
        taken = step if way == "eager" else tf.function(step, jit_compile=way == "jit")
        found, norms, losses = taken(keras.tree.map_structure(tf.constant, x), tf.constant(y))
        np.testing.assert_allclose(norms, expected.norms, rtol=2e-5)
        np.testing.assert_allclose(losses, expected.losses, rtol=2e-5, atol=1e-7)
        for mine, total in zip(found, sums):
            assert mine.dtype == tf.float32
            np.testing.assert_allclose(mine, total, rtol=0, atol=2e-6 * ROWS * largest)
    return engine


def methods(engine: Engine) -> set[str]:
    return {rule.method for rule in engine.rules}


@pytest.mark.parametrize("name", GHOST)
def test_layers_with_a_rule_equal_a_loop(name: str) -> None:
    assert "ghost" in methods(check(GHOST[name](), "graph"))


@pytest.mark.parametrize("name", FALLBACK)
def test_layers_without_a_rule_equal_a_loop(name: str) -> None:
    assert "fallback" in methods(check(FALLBACK[name](), "graph"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GHOST, *FALLBACK])
def test_layers_equal_a_loop_compiled_and_eager(name: str) -> None:
    check((GHOST | FALLBACK)[name](), "eager", "jit")


@pytest.mark.slow
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_equal_a_loop(name: str) -> None:
    assert "fallback" in methods(check(RECURRENT[name](), "graph", "eager"))
