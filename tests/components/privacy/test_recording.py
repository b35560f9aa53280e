"""Whoever starts a training sees which models were made private, and what was done with them."""

from __future__ import annotations

import hashlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from private_models import EXAMPLES, arrays, drawn, mlp, settings, shuffled, values

from tfx_trust.components.privacy.exported import exported_weights
from tfx_trust.components.privacy.private_model import (
    make_private,
    private_gradients,
    private_step,
    training_of,
)
from tfx_trust.components.privacy.recording import digest, recording


def trained(given=None, **arguments):
    given = given or settings()
    data = drawn(given)
    model = make_private(mlp(**arguments), given, data)
    return model, data


def digests(model):
    return [digest(value) for value in values(model)]


def test_a_digest_is_that_of_the_numbers():
    value = np.array([[1.5, -2.0]], ">f8")
    assert digest(value) == hashlib.sha256(np.array([1.5, -2.0], "<f4").tobytes()).hexdigest()
    assert digest(np.asfortranarray(np.eye(3) + np.triu(np.ones(3)))) == digest(
        np.eye(3) + np.triu(np.ones(3))
    )


def test_models_are_seen_while_it_is_open():
    make_private(mlp(), shuffled(), EXAMPLES)
    with recording() as runs:
        first = make_private(mlp(), shuffled(), EXAMPLES)
        with recording() as inner:
            make_private(mlp(), shuffled(steps=7), EXAMPLES)
        second = make_private(mlp(), shuffled(steps=5), EXAMPLES)
    make_private(mlp(), shuffled(), EXAMPLES)
    assert [run.training.planned_steps for run in runs] == [30, 5]
    assert [run.training.planned_steps for run in inner] == [7]
    assert runs[0].training == training_of(first)
    assert runs[1].training == training_of(second)


def test_a_run_is_as_it_stands_when_it_is_asked():
    with recording() as runs:
        model, data = trained()
        assert runs[0].training.steps == 0
        model.fit(data, steps_per_epoch=10, verbose=0)
    assert runs[0].training.steps == runs[0].mechanism.steps == 10
    model.fit(data, verbose=0)
    assert runs[0].training.steps == 30


def test_it_closes_after_an_error():
    with pytest.raises(KeyError), recording() as runs:
        raise KeyError
    make_private(mlp(), shuffled(), EXAMPLES)
    assert runs == []


# Weights


def test_weights_at_the_end_of_every_epoch_are_known():
    with recording() as runs:
        model, data = trained()
        seen = []
        look = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(digests(model)))
        model.fit(data, epochs=3, verbose=0, callbacks=[look])
    assert [set(each) for each in zip(*seen)] == runs[0].weights
    assert [len(each) for each in runs[0].weights] == [3, 3, 3, 3]


def test_the_exported_weights_are_those_that_were_trained(tmp_path):
    with recording() as runs:
        model, data = trained()
        model.fit(data, epochs=3, verbose=0)
        model.export(str(tmp_path), verbose=False)
    kept = set(exported_weights(str(tmp_path)).values())
    assert all(each & kept for each in runs[0].weights)
    assert kept <= set().union(*runs[0].weights)


def test_weights_that_were_changed_afterwards_are_not_known():
    with recording() as runs:
        model, data = trained()
        model.fit(data, epochs=3, verbose=0)
        model.layers[0].kernel.assign_add(tf.ones_like(model.layers[0].kernel))
    known = [now in each for now, each in zip(digests(model), runs[0].weights)]
    assert known == [False, True, True, True]


@pytest.mark.parametrize("how", ["train_on_batch", "private_step"])
def test_weights_after_the_last_step_are_known_and_a_change_after_it_is_not(how):
    with recording() as runs:
        model, data = trained()
        for batch in data.dataset.take(3):
            if how == "train_on_batch":
                model.train_on_batch(*batch)
            else:
                private_step(model, batch)
        assert [each == {now} for now, each in zip(digests(model), runs[0].weights)] == [True] * 4
        model.layers[0].kernel.assign_add(tf.ones_like(model.layers[0].kernel))
        assert digests(model)[0] not in runs[0].weights[0]


def test_weights_of_the_best_epoch_are_known():
    with recording() as runs:
        model, data = trained()
        stop = keras.callbacks.EarlyStopping("loss", mode="max", patience=5, restore_best_weights=True)
        model.fit(data, epochs=3, verbose=0, callbacks=[stop])
    assert all(now in each for now, each in zip(digests(model), runs[0].weights))


def test_averages_that_the_optimizer_puts_in_place_in_the_end_are_known():
    with recording() as runs:
        model, data = trained(optimizer=keras.optimizers.SGD(0.5, use_ema=True))
        model.fit(data, epochs=3, verbose=0)
    assert all(now in each for now, each in zip(digests(model), runs[0].weights))


def test_in_a_loop_of_ones_own_the_present_weights_count_and_that_is_said():
    x, y = arrays()
    with recording() as runs:
        model = make_private(mlp(), shuffled(), EXAMPLES)
        model.optimizer.apply(private_gradients(model, x[:40], y[:40]), model.trainable_variables)
    assert runs[0].weights == [{now} for now in digests(model)]
    assert "nothing else changed the weights, is not known" in runs[0].training.unchecked[-1]


def test_no_weights_are_known_before_training():
    with recording() as runs:
        trained()
    assert runs[0].weights == [set()] * 4


# What is not trained


def test_frozen_weights_are_told_and_known():
    with recording() as runs:
        model = mlp()
        model.layers[0].trainable = False
        model.compile("sgd", "binary_crossentropy")
        given = settings()
        data = drawn(given)
        make_private(model, given, data)
        frozen = model.layers[0].get_weights()
        model.fit(data, verbose=0)
    (leak,) = runs[0].leaks
    assert (leak.name, leak.state) == ("frozen_weights", "uncovered")
    assert "are not trained here: what they were made of is not covered" in leak.what
    assert {digest(value) for value in frozen} <= runs[0].other_weights
    assert len(runs[0].weights) == 2


def test_preprocessing_that_was_adapted_is_told():
    x, _ = arrays()
    scale = keras.layers.Normalization(name="scale")
    scale.adapt(x)
    given = keras.layers.Normalization(mean=[0.0] * 4, variance=[1.0] * 4)
    model = keras.Sequential([keras.Input((4,)), scale, given, keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    with recording() as runs:
        make_private(model, shuffled(), EXAMPLES)
    (leak,) = runs[0].leaks
    assert leak.name == "adapted/scale"
    assert leak.what.startswith("layer 'scale' (Normalization) holds means and variances that were not given")
    assert (
        digest(scale.mean.numpy()) in runs[0].other_weights
        or digest(scale.adapt_mean.numpy()) in runs[0].other_weights
    )


@pytest.mark.parametrize("adapt", [True, False])
@pytest.mark.parametrize("kind", ["words", "numbers", "text", "buckets"])
def test_vocabularies_and_boundaries_that_were_adapted_are_told(kind, adapt):
    words = np.array([["a"], ["b"]], dtype=object)
    if kind == "words":
        layer = keras.layers.StringLookup(name="looked_up", vocabulary=None if adapt else ["a", "b"])
        data, inputs = words, keras.Input((1,), dtype="string")
    elif kind == "numbers":
        layer = keras.layers.IntegerLookup(name="looked_up", vocabulary=None if adapt else [1, 2])
        data, inputs = np.array([[1], [2]]), keras.Input((1,), dtype="int64")
    elif kind == "text":
        layer = keras.layers.TextVectorization(
            name="looked_up", vocabulary=None if adapt else ["a", "b"], output_sequence_length=1
        )
        data, inputs = tf.constant(["a b", "b"]), keras.Input((1,), dtype="string")
    else:
        layer = keras.layers.Discretization(
            name="looked_up", **({"num_bins": 2} if adapt else {"bin_boundaries": [0.0]})
        )
        data, inputs = np.array([[1.0], [2.0]]), keras.Input((1,))
    if adapt:
        layer.adapt(data)
    hidden = keras.layers.Embedding(5, 2)(layer(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(hidden)))
    model.compile("sgd", "mse")
    with recording() as runs:
        make_private(model, shuffled(), EXAMPLES)
    assert [leak.name for leak in runs[0].leaks] == (["adapted/looked_up"] if adapt else [])
