"""A batch that is gone through in slices gives what it gives as a whole."""

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
    values,
)

from tfx_trust.components.privacy.clipping import Engine
from tfx_trust.components.privacy.microbatches import clipped_by_slices
from tfx_trust.components.privacy.padding import Batch
from tfx_trust.components.privacy.private_model import make_private, training_of


def two_outputs():
    keras.utils.set_random_seed(5)
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(6, activation="relu")(inputs)
    model = keras.Model(
        inputs, [keras.layers.Dense(1, activation="sigmoid")(hidden), keras.layers.Dense(3)(hidden)]
    )
    model.compile("sgd", ["binary_crossentropy", "mse"], loss_weights=[1.0, 0.5])
    return model


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("rows", [1, 7, 10, 40, 64])
def test_slices_give_what_the_whole_batch_gives(rows, compiled):
    x, y = arrays()
    x, y = tf.constant(x[:40]), tf.constant(y[:40])
    y = [y, tf.repeat(y, 3, axis=1)]
    weights = tf.constant(np.random.default_rng(1).uniform(0, 2, 40).astype(np.float32))
    engine = Engine(two_outputs())
    batch = Batch.of((x, y, weights), padded=False)
    whole = engine.step(batch.x, batch.y, batch.sample_weight, 0.5)

    @tf.function(jit_compile=compiled)
    def by_slices():
        found = clipped_by_slices(engine, batch, 0.5, rows)
        return found.sums, found.norms, found.losses, found.y_pred, found.parts

    sums, norms, losses, y_pred, parts = by_slices()
    close(sums, whole.sums, atol=1e-5)
    close(
        [norms, losses, *y_pred, *parts], [whole.norms, whole.losses, *whole.y_pred, *whole.parts], atol=1e-5
    )


@pytest.mark.parametrize("mode", MODES)
def test_training_is_the_same(mode):
    ends, logs = [], []
    for microbatch in (None, 16):
        given = settings(microbatch=microbatch, seed=3, **QUIET)
        model = make_private(mlp(metrics=["accuracy"], **mode_arguments(mode)), given, drawn(given))
        shown = [model.train_on_batch(*padded_batch(rows, 90), return_dict=True) for rows in (20, 64, 65, 0)]
        ends.append(values(model))
        logs.append([value for each in shown for value in each.values()])
    close(*ends)
    assert logs[0] == pytest.approx(logs[1], rel=1e-3)


def test_batches_without_weights_and_of_any_size_are_sliced():
    x, y = arrays()
    ends = []
    for microbatch in (None, 16):
        model = make_private(mlp(), shuffled(microbatch=microbatch, **QUIET), EXAMPLES)
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(30).batch(1).map(lambda x, y: (x[0], y[0]))
        for batch in data:
            model.train_on_batch(*batch)
        ends.append(values(model))
    close(*ends)


def test_several_epochs_with_noise():
    given = settings(microbatch=8)
    data = drawn(given)
    model = make_private(mlp(), given, data)
    model.fit(data, epochs=3, verbose=0)
    assert training_of(model).steps == 30


def test_activations_of_a_slice_alone_are_in_the_graph():
    """No tensor of the step has as many rows as the batch but inputs, labels and outputs."""
    model = make_private(mlp(), shuffled(microbatch=8, batch_size=37), EXAMPLES)
    engine = Engine(model)
    x, y = arrays()
    function = tf.function(
        lambda x, y: clipped_by_slices(engine, Batch.of((x, y), padded=False), 1.0, 8).sums
    )
    graph = function.get_concrete_function(tf.constant(x[:37]), tf.constant(y[:37])).graph
    hidden = [
        tensor
        for operation in graph.get_operations()
        for tensor in operation.outputs
        if tensor.shape.rank == 2 and tensor.shape[1] == 5 and tensor.shape[0] == 37
    ]
    assert hidden == []
