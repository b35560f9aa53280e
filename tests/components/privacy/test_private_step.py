"""The step of a private model is that of Keras, with clipping and noise, however it is run."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from private_models import (
    EXAMPLES,
    MODES,
    QUIET,
    arrays,
    close,
    drawn,
    mlp,
    mode_arguments,
    padded_batch,
    settings,
    shuffled,
    still,
    values,
)
from scipy import stats

from tfx_trust.components.privacy.private_model import (
    guarantee_of,
    make_private,
    private_gradients,
    private_step,
    training_of,
)

# The step is that of Keras, but for clipping and noise


def two_outputs(**compiled):
    keras.utils.set_random_seed(5)
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(6, activation="relu")(inputs)
    outputs = {
        "one": keras.layers.Dense(1, activation="sigmoid", name="one")(hidden),
        "many": keras.layers.Dense(3, name="many")(hidden),
    }
    model = keras.Model(inputs, outputs)
    model.compile(
        **{
            "optimizer": keras.optimizers.SGD(0.3),
            "loss": {"one": "binary_crossentropy", "many": "mse"},
            "loss_weights": {"one": 2.0, "many": 0.5},
        }
        | compiled
    )
    return model


def regularized(**compiled):
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="tanh", kernel_regularizer=keras.regularizers.L2(0.1)),
            keras.layers.Dense(1, activation="sigmoid", bias_regularizer="l1"),
        ]
    )
    model.compile(**{"optimizer": keras.optimizers.SGD(0.3), "loss": "binary_crossentropy"} | compiled)
    return model


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.5, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.05, epsilon=1e-3),
    "adamw": lambda: keras.optimizers.AdamW(0.05, weight_decay=0.01, epsilon=1e-3),
    "accumulating": lambda: keras.optimizers.SGD(0.5, gradient_accumulation_steps=2),
    "averaging": lambda: keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5),
}


def trained(model, data, epochs=2):
    history = model.fit(data, epochs=epochs, verbose=0).history
    return values(model), history


@pytest.mark.parametrize(
    ("optimizer", "mode"),
    [
        *((name, "graph") for name in OPTIMIZERS),
        ("adam", "eager"),
        pytest.param("adam", "jit", marks=pytest.mark.slow),
    ],
)
def test_without_noise_and_clipping_it_trains_as_keras_does(optimizer, mode):
    x, y = arrays()
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(40)
    made = dict(optimizer=OPTIMIZERS[optimizer](), metrics=["accuracy"], **mode_arguments(mode))
    expected, plain = trained(mlp(**made), data)
    made["optimizer"] = OPTIMIZERS[optimizer]()
    model = make_private(mlp(**made), shuffled(**QUIET), EXAMPLES)
    found, private = trained(model, data)
    close(found, expected)
    for name, shown in plain.items():
        assert private[name] == pytest.approx(shown, rel=1e-3), name


@pytest.mark.parametrize("mode", MODES)
def test_regularization_is_added_after_the_noise(mode):
    x, y = arrays()
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(40)
    expected, plain = trained(regularized(**mode_arguments(mode)), data)
    model = make_private(regularized(**mode_arguments(mode)), shuffled(**QUIET), EXAMPLES)
    found, private = trained(model, data)
    close(found, expected)
    assert private["loss"] == pytest.approx(plain["loss"], rel=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_several_outputs_show_the_losses_that_keras_shows(mode):
    x, y = arrays()
    labels = {"one": y, "many": np.repeat(y, 3, axis=1)}
    data = tf.data.Dataset.from_tensor_slices((x, labels)).batch(40)
    compiled = mode_arguments(mode) | {"metrics": {"one": ["accuracy"], "many": ["mae"]}}
    expected, plain = trained(two_outputs(**compiled), data)
    model = make_private(two_outputs(**compiled), shuffled(**QUIET), EXAMPLES)
    found, private = trained(model, data)
    close(found, expected)
    assert set(private) == set(plain)
    for name, shown in plain.items():
        assert private[name] == pytest.approx(shown, rel=1e-3), name


def test_weights_of_examples_count():
    x, y = arrays()
    weights = np.random.default_rng(2).uniform(0, 3, EXAMPLES).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(40)
    made = {"weighted_metrics": ["accuracy"]}
    expected, plain = trained(mlp(**made), data)
    found, private = trained(make_private(mlp(**made), shuffled(**QUIET), EXAMPLES), data)
    close(found, expected)
    assert private["accuracy"] == pytest.approx(plain["accuracy"], rel=1e-3)


def test_dropout_and_inputs_by_name_train():
    x, y = arrays()
    inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((2,), name="b")}
    hidden = keras.layers.Dropout(0.5)(
        keras.layers.Dense(8)(keras.layers.Concatenate()(list(inputs.values())))
    )
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    make_private(model, shuffled(), EXAMPLES)
    model.fit({"a": x[:, :2], "b": x[:, 2:]}, y, epochs=3, verbose=0)
    assert training_of(model).steps == 30


# Clipping and noise


@pytest.mark.parametrize("mode", MODES)
def test_noise_alone_moves_a_model_without_gradients(mode):
    """By a normal number of standard deviation z C / B, for each weight and step by itself."""
    given = shuffled(noise_multiplier=1.5, l2_clip=0.5, steps=40)
    model = make_private(still(**mode_arguments(mode)), given, EXAMPLES)
    x, _ = arrays()
    y = np.zeros((40, 3), np.float32)
    moves = []
    for _ in range(40):
        before = values(model)
        model.train_on_batch(x[:40], y)
        moves.append(
            np.concatenate([(one - other).ravel() for one, other in zip(values(model), before, strict=True)])
        )
    noise = np.stack(moves) / (1.5 * 0.5 / 40)
    # Weights are near 1, so that what is added to them is rounded to 1e-7, and less of the 0.02 of the noise.
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-4
    assert abs((noise[1:] * noise[:-1]).mean()) < 4.5 / np.sqrt(noise[1:].size)
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < 4.5 / np.sqrt(noise[:, 1:].size)
    assert abs(np.corrcoef(noise)[~np.eye(40, dtype=bool)]).max() < 0.3


@pytest.mark.parametrize("mode", MODES)
def test_an_example_moves_the_weights_by_the_clip_norm_at_most(mode):
    x, y = arrays()
    given = shuffled(noise_multiplier=1e-9, l2_clip=0.7)
    x[7] *= 1_000
    moved = []
    for rows in (slice(0, 40), [row for row in range(40) if row != 7]):
        model = make_private(
            mlp(optimizer=keras.optimizers.SGD(1.0), **mode_arguments(mode)), given, EXAMPLES
        )
        before = values(model)
        model.train_on_batch(x[rows], y[rows])
        moved.append(
            np.concatenate([(one - other).ravel() for one, other in zip(values(model), before, strict=True)])
        )
    assert np.linalg.norm(moved[0] - moved[1]) <= 0.7 / 40 * (1 + 1e-4)
    assert np.linalg.norm(moved[0] - moved[1]) > 0.3 / 40


@pytest.mark.parametrize("mode", MODES)
def test_the_sum_is_divided_by_the_expected_size(mode):
    """Not by that of the batch, which is private."""
    x, y = arrays()
    given = settings(**QUIET)
    model = make_private(
        mlp(optimizer=keras.optimizers.SGD(1.0), **mode_arguments(mode)), given, drawn(given)
    )
    before = values(model)
    padded = [np.concatenate([part[:20], np.zeros((30, part.shape[1]), np.float32)]) for part in (x, y)]
    model.train_on_batch(*padded, np.repeat([1, 0], [20, 30]).astype(np.float32))
    plain = mlp(optimizer=keras.optimizers.SGD(1.0))
    plain.train_on_batch(x[:20], y[:20])
    for now, was, expected in zip(values(model), before, values(plain), strict=True):
        np.testing.assert_allclose(now - was, (expected - was) / 2, atol=1e-5)


# Padding


@pytest.mark.parametrize("mode", MODES)
def test_metrics_are_those_of_the_examples_without_the_padding(mode):
    def metrics():
        return {
            "metrics": [
                "accuracy",
                keras.metrics.AUC(name="auc"),
                keras.metrics.MeanSquaredError(name="mse"),
            ],
            "weighted_metrics": [keras.metrics.BinaryAccuracy(name="weighted")],
        }

    given = settings(**QUIET)
    model = make_private(mlp(**metrics(), **mode_arguments(mode)), given, drawn(given))
    plain = mlp(**metrics())
    for rows in (20, 45, 1):
        plain_weights = values(model)
        for variable, value in zip(plain.trainable_variables, plain_weights, strict=True):
            variable.assign(value)
        batch = padded_batch(rows)
        found = model.train_on_batch(*batch, return_dict=True)
        expected = plain.test_on_batch(*(part[:rows] for part in batch), return_dict=True)
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-3), name


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_batch_is_noise_alone(mode):
    given = settings()
    model = make_private(
        mlp(metrics=["accuracy", keras.metrics.AUC()], **mode_arguments(mode)), given, drawn(given)
    )
    before = values(model)
    logs = model.train_on_batch(*padded_batch(0), return_dict=True)
    assert np.isfinite(list(logs.values())).all()
    assert training_of(model).steps == 1
    moved = np.concatenate([(one - other).ravel() for one, other in zip(values(model), before, strict=True)])
    assert 0 < np.abs(moved).max() < 0.5 * 5 / 40


@pytest.mark.parametrize("mode", MODES)
def test_padding_has_no_part_in_the_gradient(mode):
    given = settings(**QUIET)
    ends = []
    for size in (30, 64):
        model = make_private(mlp(**mode_arguments(mode)), given, drawn(given))
        x, y, weights = padded_batch(25, size)
        x[25:] = 1e6
        model.train_on_batch(x, y, weights)
        ends.append(values(model))
    close(*ends, atol=1e-5)


# Loops of one's own


def test_private_gradients_are_those_of_the_step():
    x, y = arrays()
    given = shuffled(**QUIET)
    model = make_private(mlp(), given, EXAMPLES)
    plain = mlp()
    gradients = private_gradients(model, x[:40], y[:40])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(plain.compute_loss(y=y[:40], y_pred=plain(x[:40], training=True)))
    close([value.numpy() for value in gradients], tape.gradient(loss, plain.trainable_variables), atol=1e-5)
    assert training_of(model).steps == 1
    assert training_of(model).optimizer_steps is None


@pytest.mark.parametrize("compiled", [False, True])
def test_a_loop_of_ones_own_trains_privately(compiled):
    x, y = arrays()
    model = make_private(mlp(), shuffled(), EXAMPLES)

    @tf.function(jit_compile=compiled)
    def step(x, y):
        gradients = private_gradients(model, x, y)
        model.optimizer.apply(gradients, model.trainable_variables)

    model.optimizer.build(model.trainable_variables)
    for start in range(0, EXAMPLES, 40):
        step(tf.constant(x[start : start + 40]), tf.constant(y[start : start + 40]))
    training = training_of(model)
    assert (training.steps, training.optimizer_steps) == (10, 10)
    assert training.noise_source == ("philox" if compiled else "aes-ctr")
    assert any("loop that cannot be looked into" in said for said in training.unchecked)
    assert guarantee_of(model).epsilon is not None


def test_private_steps_train_privately():
    given = settings()
    data = drawn(given)
    model = make_private(mlp(metrics=["accuracy"]), given, data)
    for batch in data:
        logs = private_step(model, batch)
    assert set(logs) == {"loss", "accuracy"}
    training = training_of(model)
    assert (training.steps, training.optimizer_steps, training.sampling) == (30, 30, "poisson")
    assert training.unchecked == []


def test_a_train_step_in_a_graph_of_ones_own_trains_privately():
    given = settings()
    data = drawn(given)
    model = make_private(mlp(), given, data)
    model.optimizer.build(model.trainable_variables)

    @tf.function
    def train(batches):
        for batch in batches:
            private_step(model, batch)

    train(data.dataset.take(7))
    assert training_of(model).steps == 7
