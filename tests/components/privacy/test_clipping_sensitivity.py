"""What privacy rests on: no example moves the clipped sum by more than the clip norm."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from per_example import compiled, data_of, embedding_mlp, mlp, per_example

from tfx_trust.components.privacy.clipping import Engine

layers = keras.layers
ROUNDING = 1 + 1e-5


def sequence() -> keras.Model:
    keras.utils.set_random_seed(6)
    x = keras.Input([5], dtype="int32")
    h = layers.Embedding(4, 3, mask_zero=True)(x)
    shared = layers.Dense(3, activation="tanh")
    h = layers.LayerNormalization()(shared(shared(h)))
    h = layers.GlobalAveragePooling1D()(layers.Conv1D(4, 2)(h))
    return compiled(keras.Model(x, layers.Dense(1, activation="sigmoid")(h)))


class Made(dict[str, Any]):
    """What is made when it is first asked for: not as this file is read, for models take their seed anew."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        self.make = make

    def __missing__(self, name: str) -> Any:
        return self.setdefault(name, self.make(name))


def step_of(name: str) -> Any:
    engine = ENGINES[name]
    return tf.function(lambda x, y, w, c: engine.step(x, y, w, c).sums)


MAKERS: dict[str, Callable[[], keras.Model]] = {
    "mlp": lambda: mlp(6, (5, 4)),
    "embeddings": lambda: embedding_mlp(3, 2, 5, 3, (4,)),
    "sequence": sequence,
}
MODELS = Made(lambda name: MAKERS[name]())
ENGINES = Made(lambda name: Engine(MODELS[name]))
STEPS = Made(step_of)


def sums_of(name: str, x: Any, y: Any, weight: np.ndarray, clip_norm: float) -> list[np.ndarray]:
    tensors = keras.tree.map_structure(tf.constant, (x, y, weight.astype(np.float32)))
    return [each.numpy().astype(np.float64) for each in STEPS[name](*tensors, tf.constant(clip_norm))]


def distance(one: list[np.ndarray], two: list[np.ndarray]) -> float:
    return float(np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(one, two))))


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(list(MAKERS)),
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
    clip_norm=st.sampled_from([1e-3, 0.1, 1.0, 100.0]),
    removed=st.integers(0, 7),
)
def test_removing_an_example_moves_the_sum_by_at_most_the_clip_norm(
    name: str, seed: int, scale: float, clip_norm: float, removed: int
) -> None:
    x, y = data_of(MODELS[name], 8, seed)
    x = keras.tree.map_structure(lambda each: each * scale if each.dtype == np.float32 else each, x)
    weight = np.ones(8)
    everything = sums_of(name, x, y, weight, clip_norm)
    weight[removed] = 0
    assert distance(everything, sums_of(name, x, y, weight, clip_norm)) <= clip_norm * ROUNDING


@pytest.mark.parametrize("name", MAKERS)
def test_an_example_of_a_huge_weight_moves_it_no_further(name: str) -> None:
    x, y = data_of(MODELS[name], 8)
    weight = np.ones(8)
    weight[3] = 1e6
    huge = sums_of(name, x, y, weight, 0.5)
    weight[3] = 0
    assert distance(huge, sums_of(name, x, y, weight, 0.5)) == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize("name", MAKERS)
def test_examples_of_weight_zero_have_no_part_in_it(name: str) -> None:
    model = MODELS[name]
    x, y = data_of(model, 8)
    weight = np.array([1.0] * 5 + [0.0] * 3, np.float32)
    some = keras.tree.map_structure(lambda each: each[:5], (x, y))
    clipped = ENGINES[name].step(x, y, weight, 0.1)
    alone = ENGINES[name].step(*some, None, 0.1)
    np.testing.assert_array_equal(clipped.norms[5:], 0)
    np.testing.assert_array_equal(clipped.losses[5:], 0)
    np.testing.assert_allclose(clipped.norms[:5], alone.norms, rtol=1e-6)
    for mine, theirs in zip(clipped.sums, alone.sums):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


DIFFERENCES = {
    "dense": lambda x: layers.Dense(16)(x),
    "wide": lambda x: layers.Dense(64)(x),
    "convolution": lambda x: layers.Conv1D(16, 1)(x),
    "bias": lambda x: layers.Dense(16)(0 * x + 1) * x,
    "embedding": lambda x: layers.Embedding(3, 16)(0 * x[..., 0]) * x,
    "fallback": lambda x: layers.TimeDistributed(layers.Dense(16))(x),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_large_parts_of_an_example_that_cancel_move_it_no_further(name: str) -> None:
    """Nor what others add to the sum, which float32 would round away beside them."""
    keras.utils.set_random_seed(7)
    x = keras.Input([2, 16])
    h = DIFFERENCES[name](x)
    model = compiled(keras.Model(x, layers.Dense(1, activation="sigmoid")(h[:, 0] - h[:, 1])))
    engine = Engine(model)
    step = tf.function(lambda x, y, w: engine.step(x, y, w, 1.0).sums)
    pairs, y = data_of(model, 64)
    weight = np.ones(64, np.float32)
    weight[20] = 0
    without = [each.numpy().astype(np.float64) for each in step(pairs, y, weight)]
    for size in (1, 1e3, 1e6, 1e8, 1e10, 1e14, 1e18):
        pairs[20] = size * np.float32(1.2345)
        everything = [each.numpy().astype(np.float64) for each in step(pairs, y, np.ones(64, np.float32))]
        assert distance(everything, without) <= ROUNDING, size


def test_a_batch_of_padding_alone_gives_zero() -> None:
    x, y = data_of(MODELS["mlp"], 8)
    clipped = ENGINES["mlp"].step(np.zeros_like(x), y, np.zeros(8, np.float32), 1.0)
    assert all(not np.any(each) for each in clipped.sums)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e38])
@pytest.mark.parametrize("jit", [False, True])
def test_an_example_of_no_finite_gradient_is_left_out(bad: float, jit: bool) -> None:
    model = MODELS["mlp"]
    x, y = data_of(model, 8)
    others = np.arange(8) != 2
    expected = per_example(model, x[others], y[others]).sums(0.1)
    x[2] = bad
    step = tf.function(lambda x, y: vars(ENGINES["mlp"].step(x, y, None, 0.1)), jit_compile=jit)
    found = step(tf.constant(x), tf.constant(y))
    assert np.isposinf(found["norms"][2])
    for mine, total in zip(found["sums"], expected):
        np.testing.assert_allclose(mine, total, atol=1e-6)


def test_padding_that_is_not_a_number_is_left_out_and_has_no_norm() -> None:
    x, y = data_of(MODELS["mlp"], 8)
    x[6:] = np.nan
    clipped = ENGINES["mlp"].step(x, y, np.array([1] * 6 + [0] * 2, np.float32), 0.1)
    np.testing.assert_array_equal(clipped.norms[6:], 0)
    np.testing.assert_array_equal(clipped.losses[6:], 0)
    assert all(np.isfinite(each).all() for each in clipped.sums)


def test_a_batch_without_any_finite_gradient_gives_zero() -> None:
    x, y = data_of(MODELS["mlp"], 8)
    clipped = ENGINES["mlp"].step(x * np.nan, y, None, 1.0)
    assert all(not np.any(each) for each in clipped.sums)


def test_nothing_is_clipped_below_the_clip_norm() -> None:
    model = MODELS["sequence"]
    x, y = data_of(model, 8)
    sums = ENGINES["sequence"].step(x, y, None, 1e6).sums
    for mine, total in zip(sums, per_example(model, x, y).sums(np.inf)):
        np.testing.assert_allclose(mine, total, atol=1e-5)


def test_a_step_changes_no_weight_and_leaves_the_layers_as_they_were() -> None:
    model = mlp(6, (5,))
    before = [np.array(variable.numpy()) for variable in model.variables]
    x, y = data_of(model, 8)
    Engine(model).step(x, y, None, 1.0)
    for one, variable in zip(before, model.variables):
        np.testing.assert_array_equal(one, variable.numpy())
    assert all("call" not in layer.__dict__ for layer in model._flatten_layers())
    assert model.layers[1].activation is keras.activations.relu


def test_regularization_has_gradients_of_its_own() -> None:
    x = keras.Input([4])
    kernel = layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.1))
    model = compiled(keras.Model(x, layers.Dense(1)(kernel(x))), "mse")
    engine = Engine(model)
    found = engine.regularization_gradients()
    np.testing.assert_allclose(found[0], 0.2 * kernel.kernel.numpy(), rtol=1e-6)
    assert found[1:] == [None, None, None]
    np.testing.assert_allclose(
        engine.regularization_loss(), 0.1 * np.sum(kernel.kernel.numpy() ** 2), rtol=1e-6
    )
    without = per_example(model, *data_of(model, 5)).sums(1.0)
    for mine, total in zip(engine.step(*data_of(model, 5), None, 1.0).sums, without):
        np.testing.assert_allclose(mine, total, atol=1e-6)
