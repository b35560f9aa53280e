"""The loss of each example: every loss, weight, mask and number of outputs, held against a loop."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from per_example import compiled, per_example

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.clipping import Engine

layers = keras.layers
ROWS, CLASSES = 10, 3
RNG = np.random.default_rng(5)
X = RNG.normal(size=(ROWS, 4)).astype(np.float32)
STEPS = RNG.normal(size=(ROWS, 5, 4)).astype(np.float32)
LENGTHS = RNG.integers(0, 6, ROWS)
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[RNG.integers(0, CLASSES, ROWS)]
BINARY = RNG.integers(0, 2, (ROWS, 1)).astype(np.float32)
WEIGHTS = np.array([0.5, 2.0, 0.0, 1.0, 3.0, 0.1, 1.0, 0.0, 1.0, 1.0], np.float32)


def model_of(units: int, activation: str | None, loss: Any, **settings: Any) -> keras.Model:
    keras.utils.set_random_seed(4)
    x = keras.Input([4])
    h = layers.Dense(6, activation="tanh")(x)
    return compiled(keras.Model(x, layers.Dense(units, activation=activation)(h)), loss, **settings)


def sequence_model(loss: Any, masked: bool = True, units: int = 1) -> keras.Model:
    keras.utils.set_random_seed(4)
    x = keras.Input([5, 4])
    h = layers.Masking()(x) if masked else x
    h = layers.LayerNormalization()(layers.Dense(6, activation="tanh")(h))
    return compiled(keras.Model(x, layers.Dense(units, activation="sigmoid")(h)), loss)


def padded_steps() -> np.ndarray:
    return np.where(np.arange(5)[None, :, None] < LENGTHS[:, None, None], STEPS, 0).astype(np.float32)


def check(model: keras.Model, x: Any, y: Any, sample_weight: Any = None) -> None:
    expected = per_example(model, x, y, sample_weight)
    clip_norm = float(np.median(expected.norms[expected.norms > 0]))
    found = Engine(model).step(x, y, sample_weight, clip_norm)
    np.testing.assert_allclose(found.norms, expected.norms, rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(found.losses, expected.losses, rtol=2e-5, atol=1e-6)
    for mine, total in zip(found.sums, expected.sums(clip_norm)):
        np.testing.assert_allclose(mine, total, rtol=0, atol=1e-5)


def squared(y: Any, y_pred: Any) -> Any:
    return keras.ops.mean(keras.ops.square(y - y_pred), axis=-1)


class Cubed(keras.losses.Loss):
    def call(self, y: Any, y_pred: Any) -> Any:
        return keras.ops.sum(keras.ops.abs(y - y_pred) ** 3, axis=-1)


@pytest.mark.parametrize("sample_weight", [None, WEIGHTS, WEIGHTS[:, None]], ids=["none", "flat", "column"])
@pytest.mark.parametrize(
    ("units", "activation", "loss", "y"),
    [
        (1, "sigmoid", "binary_crossentropy", BINARY),
        (1, "sigmoid", "binary_crossentropy", BINARY[:, 0]),
        (1, None, keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1), BINARY),
        (1, None, "mse", BINARY),
        (CLASSES, "softmax", "categorical_crossentropy", ONE_HOT),
        (CLASSES, "softmax", "sparse_categorical_crossentropy", ONE_HOT.argmax(1)),
        (
            CLASSES,
            None,
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            ONE_HOT.argmax(1)[:, None],
        ),
        (CLASSES, "softmax", "kl_divergence", ONE_HOT),
        (CLASSES, None, "cosine_similarity", ONE_HOT),
        (CLASSES, None, keras.losses.Huber(0.3), ONE_HOT),
        (CLASSES, None, "hinge", ONE_HOT),
        (CLASSES, "sigmoid", "binary_focal_crossentropy", ONE_HOT),
        (CLASSES, None, squared, ONE_HOT),
        (CLASSES, None, Cubed(), ONE_HOT),
        (CLASSES, None, Cubed(reduction="sum"), ONE_HOT),
        (CLASSES, None, keras.losses.MeanSquaredError(reduction="none"), ONE_HOT),
        (CLASSES, None, keras.losses.MeanSquaredError(reduction="mean"), ONE_HOT),
    ],
    ids=lambda value: getattr(value, "name", None) or str(value)[:30].replace("\n", " "),
)
def test_losses_equal_a_loop(units: int, activation: Any, loss: Any, y: Any, sample_weight: Any) -> None:
    check(model_of(units, activation, loss), X, y, sample_weight)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
@pytest.mark.parametrize("weights", [None, "examples", "steps"])
def test_a_loss_over_time_is_the_mean_over_an_examples_own_steps(
    masked: bool, reduction: str, weights: str | None
) -> None:
    model = sequence_model(keras.losses.BinaryCrossentropy(reduction=reduction), masked)
    y = RNG.integers(0, 2, (ROWS, 5, 1)).astype(np.float32)
    given = {None: None, "examples": WEIGHTS, "steps": RNG.uniform(size=(ROWS, 5)).astype(np.float32)}[
        weights
    ]
    check(model, padded_steps(), y, given)


def test_a_loss_over_pixels_is_their_mean() -> None:
    x = keras.Input([4, 3, 2])
    model = compiled(keras.Model(x, layers.Dense(2)(layers.Conv2D(3, 2, padding="same")(x))), "mse")
    images = RNG.normal(size=(ROWS, 4, 3, 2)).astype(np.float32)
    check(model, images, 2 * images, WEIGHTS)


def two_outputs(structure: type, loss: Any, **settings: Any) -> keras.Model:
    keras.utils.set_random_seed(4)
    x = keras.Input([4])
    h = layers.Dense(6, activation="tanh")(x)
    outputs = {
        "a": layers.Dense(1, activation="sigmoid", name="a")(h),
        "b": layers.Dense(CLASSES, name="b")(h),
    }
    return compiled(
        keras.Model(x, outputs if structure is dict else list(outputs.values())), loss, **settings
    )


@pytest.mark.parametrize("loss_weights", [None, {"a": 0.3, "b": 2.0}])
def test_losses_of_two_outputs_are_added(loss_weights: Any) -> None:
    loss = {"a": "binary_crossentropy", "b": "mse"}
    check(two_outputs(dict, loss, loss_weights=loss_weights), X, {"a": BINARY, "b": ONE_HOT}, WEIGHTS)
    in_order = two_outputs(
        list, list(loss.values()), loss_weights=loss_weights and list(loss_weights.values())
    )
    check(in_order, X, [BINARY, ONE_HOT], None)


def test_an_output_may_have_no_loss_and_weights_of_its_own() -> None:
    check(two_outputs(dict, {"a": "binary_crossentropy", "b": None}), X, {"a": BINARY, "b": ONE_HOT})
    weights = {"a": WEIGHTS, "b": WEIGHTS[::-1].copy()}
    check(two_outputs(dict, {"a": "mse", "b": "mse"}), X, {"a": BINARY, "b": ONE_HOT}, weights)


def test_losses_of_outputs_are_given_apart_before_their_weights() -> None:
    model = two_outputs(dict, {"a": "binary_crossentropy", "b": "mse"}, loss_weights={"a": 0.5, "b": 2.0})
    clipped = Engine(model).step(X, {"a": BINARY, "b": ONE_HOT}, None, 1.0)
    first, second = clipped.parts
    np.testing.assert_allclose(clipped.losses, 0.5 * first + 2.0 * second, rtol=1e-6)
    np.testing.assert_allclose(
        second, np.mean((clipped.y_pred["b"].numpy() - ONE_HOT) ** 2, axis=1), rtol=1e-5
    )


def test_the_mean_of_the_losses_is_that_of_keras() -> None:
    model = two_outputs(dict, {"a": "binary_crossentropy", "b": "mse"}, loss_weights={"a": 0.5, "b": 2.0})
    y = {"a": BINARY, "b": ONE_HOT}
    losses = Engine(model).step(X, y, WEIGHTS, 1.0).losses
    expected = model.compute_loss(X, y, model(X), WEIGHTS)
    np.testing.assert_allclose(np.mean(losses), expected, rtol=1e-6)


def test_the_engine_leaves_metrics_as_they_are() -> None:
    model = two_outputs(dict, {"a": "binary_crossentropy", "b": "mse"}, metrics={"a": ["AUC"]})
    model.fit(X, {"a": BINARY, "b": ONE_HOT}, verbose=0)
    before = {metric.name: [np.array(each.numpy()) for each in metric.variables] for metric in model.metrics}
    Engine(model).step(X, {"a": BINARY, "b": ONE_HOT}, None, 1.0)
    after = {metric.name: [np.array(each.numpy()) for each in metric.variables] for metric in model.metrics}
    assert list(before) == list(after)
    for name in before:
        for one, two in zip(before[name], after[name]):
            np.testing.assert_array_equal(one, two)


# Losses that cannot be told by example


def the_message(loss: Any, y: Any = BINARY) -> str:
    with pytest.raises(InputError) as caught:
        Engine(model_of(1, "sigmoid", loss)).step(X, y, None, 1.0)
    return str(caught.value)


def test_a_model_without_a_loss_is_refused() -> None:
    assert "compiled without a loss; pass `loss=` to compile()" in the_message(None)


def test_an_uncompiled_model_is_refused() -> None:
    with pytest.raises(InputError, match=r"is not compiled; call compile\(\)"):
        Engine(keras.Sequential([keras.Input([4]), layers.Dense(1)]))


def test_a_loss_reduced_over_the_batch_is_refused() -> None:
    def whole(y: Any, y_pred: Any) -> Any:
        return keras.ops.mean(keras.ops.square(y - y_pred))

    message = the_message(whole)
    assert "'whole'" in message
    assert "reduced over the batch; return one value an example" in message


def test_a_loss_that_divides_by_the_weights_of_the_batch_is_refused() -> None:
    message = the_message(keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"))
    assert "'mean_with_sample_weight'" in message
    assert "use 'sum_over_batch_size'" in message


def test_a_loss_that_mixes_examples_is_refused() -> None:
    def relative(y: Any, y_pred: Any) -> Any:
        return keras.ops.mean(keras.ops.square(y - y_pred), axis=-1) / (1 + keras.ops.mean(y_pred))

    assert "mixes the examples of a batch" in the_message(relative)


def test_a_loss_that_is_called_in_a_way_of_its_own_is_refused() -> None:
    class Direct(keras.losses.Loss):
        def __call__(self, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return keras.ops.mean(y_pred)

    assert "has a __call__ of its own; override `call`" in the_message(Direct())


class SquaredApart(keras.losses.Loss):
    def call(self, y: Any, y_pred: Any) -> Any:
        return keras.ops.mean(keras.ops.square(y - y_pred), axis=-1)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
def test_labels_that_are_broadcast_against_the_outputs_of_all_examples_are_refused(compiled: bool) -> None:
    engine = Engine(model_of(1, None, SquaredApart()))

    def step(y: tf.Tensor) -> Any:
        return engine.step(X, y, None, 1.0).sums

    if compiled:
        step = tf.function(step, autograph=False)
    step(tf.constant(BINARY))
    with pytest.raises(
        InputError, match=r"labels of shape \(10,\) and outputs of shape \(10, 1\).*the shape of the"
    ):
        step(tf.constant(BINARY[:, 0]))


def test_a_loss_of_those_that_came_before_is_refused() -> None:
    def added(y: Any, y_pred: Any) -> Any:
        return keras.ops.cumsum(keras.ops.mean(keras.ops.square(y - y_pred), axis=-1))

    assert "mixes the examples of a batch" in the_message(added)


def test_a_loss_that_divides_by_the_number_of_examples_is_refused() -> None:
    def divided(y: Any, y_pred: Any) -> Any:
        losses = keras.ops.mean(keras.ops.square(y - y_pred), axis=-1)
        return losses / keras.ops.cast(keras.ops.shape(y)[0], "float32")

    assert "or on how many they are" in the_message(divided)


def test_weights_that_are_not_one_an_example_are_refused() -> None:
    engine = Engine(model_of(CLASSES, None, "mse"))
    with pytest.raises(
        InputError, match=r"of shape \(10, 10\), but the loss has 1 axes of values: give one weight"
    ):
        engine.step(X, ONE_HOT, np.ones((ROWS, ROWS), np.float32), 1.0)
