"""`fit` of a private model makes the steps that are planned, of the batches they are planned for."""

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
    settings,
    shuffled,
    values,
)

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.privacy.private_model import make_private, training_of
from tfx_trust.components.privacy.recording import recording


class Seen(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.batches, self.epochs = 0, []

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(dict(logs))


def private(given, **compiled):
    data = drawn(given)
    return make_private(mlp(**compiled), given, data), data


# Drawn batches


@pytest.mark.parametrize(
    ("steps", "epochs", "per_epoch"),
    [(30, 3, [10, 10, 10]), (31, 3, [11, 11, 9]), (7, 2, [4, 3]), (1, 3, [1])],
)
def test_all_planned_steps_are_spread_over_the_epochs(steps, epochs, per_epoch):
    model, data = private(settings(steps=steps))
    counts = []
    count = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: counts.append(training_of(model).steps)
    )
    history = model.fit(data, epochs=epochs, verbose=0, callbacks=[count])
    assert np.diff([0, *counts]).tolist() == per_epoch
    assert len(history.history["loss"]) == len(per_epoch)
    assert training_of(model).steps == training_of(model).optimizer_steps == steps
    assert training_of(model).sampling == "poisson"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("at_once", [1, 4, 7])
def test_steps_may_be_executed_several_at_a_time(mode, at_once):
    if mode == "eager" and at_once > 1:
        pytest.skip("Keras itself takes one at a time")
    model, data = private(settings(steps=10), steps_per_execution=at_once, **mode_arguments(mode))
    model.fit(data, epochs=2, verbose=0)
    assert training_of(model).steps == 10


def test_the_dataset_of_the_data_is_as_good_as_the_data():
    model, data = private(settings())
    model.fit(data.dataset, epochs=3, verbose=0)
    assert training_of(model).steps == 30
    assert training_of(model).unchecked == []


def test_fit_can_go_on():
    model, data = private(settings())
    model.fit(data, steps_per_epoch=4, epochs=2, verbose=0)
    model.fit(data, initial_epoch=2, epochs=4, verbose=0)
    assert training_of(model).steps == 30
    with pytest.raises(UsageError, match="calibrated for 30 steps of 40 of 400 examples, and 30 are done"):
        model.fit(data, verbose=0)


def test_more_steps_than_are_planned_are_refused_before_any_is_made():
    model, data = private(settings())
    with pytest.raises(UsageError, match="fit would make 40 steps, but 30 are left of the 30"):
        model.fit(data, epochs=4, steps_per_epoch=10, verbose=0)
    assert training_of(model).steps == 0


def test_arrays_are_refused_where_batches_are_to_be_drawn():
    model, _ = private(settings())
    with pytest.raises(UsageError, match="fit got arrays, which it would shuffle"):
        model.fit(*arrays(), verbose=0)


def test_other_data_than_those_it_was_made_private_with_are_refused():
    given = settings()
    model, _ = private(given)
    with pytest.raises(UsageError, match="other private data than make_private"):
        model.fit(drawn(given), verbose=0)
    model = make_private(mlp(), shuffled(), EXAMPLES)
    with pytest.raises(
        UsageError, match="drawn by Poisson sampling, but the settings say sampling = 'shuffle'"
    ):
        model.fit(drawn(given), verbose=0)


def test_what_the_data_have_of_their_own_is_not_given_to_fit():
    model, data = private(settings())
    for name, value in {"y": arrays()[1], "batch_size": 40, "sample_weight": np.ones(EXAMPLES)}.items():
        with pytest.raises(UsageError, match=f"fit: {name} is given, but the private data have their own"):
            model.fit(data, verbose=0, **{name: value})


def test_a_dataset_made_of_the_data_trains_as_well():
    model, data = private(settings(**QUIET))
    model.fit(
        data.dataset.map(lambda x, y, weight: (x + 0.1, y, weight)), epochs=3, steps_per_epoch=10, verbose=0
    )
    assert training_of(model).sampling == "poisson"


def test_batches_shown_again_have_no_amplification():
    model, data = private(settings())
    model.fit(data.dataset.take(5).cache().repeat(), epochs=3, steps_per_epoch=10, verbose=0)
    training = training_of(model)
    assert (training.steps, training.sampling) == (30, "shuffle")
    assert "30 private steps were made, but 5 batches were drawn" in training.unchecked[0]


def test_class_weights_weigh_the_drawn_examples():
    """As much as weights of the examples do."""
    x, y = arrays()
    given = settings(seed=5, **QUIET)
    model, data = private(given)
    model.fit(data, class_weight={0: 0.5, 1: 2.0}, verbose=0)
    from tfx_trust.components.privacy.data import private_data

    weighed = private_data(x, y, given, weights=np.where(y[:, 0] > 0, 2.0, 0.5))
    other = make_private(mlp(), given, weighed)
    other.fit(weighed, verbose=0)
    close(values(model), values(other))


def test_one_hot_classes_are_weighed():
    from tfx_trust.components.privacy.fitting import _weighed

    y = tf.constant([[1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]])
    weights = _weighed({0: 2.0, 2: 3.0}, None, y, tf.constant([1.0, 1.0, 0.0]))[2]
    assert weights.numpy().tolist() == [2.0, 3.0, 0.0]


# Shuffled batches


def test_arrays_are_cut_into_batches_of_the_settings():
    model = make_private(mlp(), shuffled(), EXAMPLES)
    model.fit(*arrays(), epochs=3, verbose=0)
    training = training_of(model)
    assert (training.steps, training.sampling, training.max_batch) == (30, "shuffle", None)
    assert training.unchecked == []
    with pytest.raises(UsageError, match="calibrated for 30 steps"):
        model.fit(*arrays(), verbose=0)


def test_the_smaller_last_batch_of_an_epoch_is_trained_on():
    model = make_private(mlp(), shuffled(), 410)
    model.fit(*arrays(410), epochs=3, verbose=0)
    assert (training_of(model).steps, training_of(model).planned_steps) == (33, 33)


def test_too_many_epochs_are_refused():
    model = make_private(mlp(), shuffled(), EXAMPLES)
    with pytest.raises(UsageError, match="fit would make 40 steps, but 30 are left"):
        model.fit(*arrays(), epochs=4, verbose=0)


def test_another_batch_size_is_refused():
    model = make_private(mlp(), shuffled(), EXAMPLES)
    with pytest.raises(UsageError, match="batch_size = 20, but 40 in the privacy settings"):
        model.fit(*arrays(), batch_size=20, verbose=0)
    data = tf.data.Dataset.from_tensor_slices(arrays()).batch(20, drop_remainder=True)
    with pytest.raises(UsageError, match="the dataset has batches of 20, but batch_size = 40"):
        model.fit(data, verbose=0)


def test_another_number_of_examples_than_the_data_have_is_refused():
    model = make_private(mlp(), shuffled(), 500)
    with pytest.raises(
        InputError, match="make_private was told of 500 examples, but fit got 400; epsilon depends"
    ):
        model.fit(*arrays(), verbose=0)
    data = tf.data.Dataset.from_tensor_slices(arrays()).batch(40)
    with pytest.raises(InputError, match="told of 500 examples, but the dataset has 10 batches"):
        model.fit(data, verbose=0)
    with pytest.raises(InputError, match="told of 500 examples, but an epoch had 400"):
        model.fit(data.filter(lambda x, y: True), verbose=0)


def test_what_does_not_fill_a_batch_may_be_left_out():
    model = make_private(mlp(), shuffled(), 410)
    data = tf.data.Dataset.from_tensor_slices(arrays(410)).shuffle(410).batch(40, drop_remainder=True)
    model.fit(data, epochs=3, verbose=0)
    assert training_of(model).steps == 30


def test_more_passes_than_are_planned_are_refused():
    """A dataset that repeats within an epoch is seen by its rows."""
    model = make_private(mlp(), shuffled(steps=30), EXAMPLES)
    data = tf.data.Dataset.from_tensor_slices(arrays()).batch(40).repeat()
    model.fit(data, epochs=3, steps_per_epoch=10, verbose=0)
    with pytest.raises(UsageError, match="calibrated for 30 steps"):
        model.fit(data, steps_per_epoch=1, verbose=0)


def test_generators_train_as_well():
    x, y = arrays()

    def batches():
        while True:
            for start in range(0, EXAMPLES, 40):
                yield x[start : start + 40], y[start : start + 40]

    model = make_private(mlp(), shuffled(), EXAMPLES)
    model.fit(batches(), epochs=3, steps_per_epoch=10, verbose=0)
    training = training_of(model)
    assert training.steps == 30
    assert "cannot be looked into" in training.unchecked[0]


def test_a_compiled_step_is_not_run_beyond_the_plan():
    x, y = arrays()
    model = make_private(mlp(jit_compile=True), shuffled(steps=3), EXAMPLES)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(40).filter(lambda x, y: True)
    with pytest.raises(UsageError, match="calibrated for 3 steps"):
        model.fit(
            data.map(lambda x, y: (tf.ensure_shape(x, [40, 4]), tf.ensure_shape(y, [40, 1]))), verbose=0
        )
    assert training_of(model).steps == 3


# Callbacks and validation


def test_callbacks_and_validation_work_as_before(tmp_path):
    model, data = private(settings(), metrics=["accuracy"])
    seen = Seen()
    rates = []
    history = model.fit(
        data,
        epochs=3,
        verbose=0,
        validation_data=arrays(100, seed=2),
        callbacks=[
            seen,
            keras.callbacks.LearningRateScheduler(lambda epoch: rates.append(epoch) or 0.1 / (epoch + 1)),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
            keras.callbacks.TerminateOnNaN(),
        ],
    )
    assert seen.batches == 30
    assert rates == [0, 1, 2]
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 4
    last = keras.models.load_model(tmp_path / "3.keras")
    close(values(last), values(model), atol=0)


def test_a_list_of_callbacks_is_left_as_it_is():
    model, data = private(settings())
    callbacks = [Seen()]
    model.fit(data, epochs=1, verbose=0, callbacks=callbacks)
    assert len(callbacks) == 1


def test_a_callback_list_is_watched_too():
    model, data = private(settings())
    seen = Seen()
    callbacks = keras.callbacks.CallbackList([seen], model=model, add_history=True, epochs=3)
    model.fit(data, epochs=3, verbose=0, callbacks=callbacks)
    assert (len(seen.epochs), training_of(model).steps) == (3, 30)


def test_early_stopping_stops_and_is_told_of():
    with recording() as runs:
        model, data = private(settings(epochs=20))
        stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=10.0, restore_best_weights=True)
        model.fit(data, epochs=20, verbose=0, callbacks=[stop])
    assert training_of(model).steps == 20
    (leak,) = runs[0].leaks
    assert (leak.name, leak.kind, leak.state) == ("early_stopping", "training", "uncovered")
    assert leak.what == "training stops by 'loss' on the training data, which is measured without noise"


@pytest.mark.parametrize(
    ("arguments", "name", "says"),
    [
        (
            {"callbacks": [keras.callbacks.EarlyStopping("val_loss")]},
            "early_stopping",
            "'val_loss' on validation examples",
        ),
        (
            {"callbacks": keras.callbacks.ReduceLROnPlateau("loss")},
            "reduce_lr_on_plateau",
            "learning rate falls by",
        ),
        (
            {"callbacks": [keras.callbacks.ModelCheckpoint("x.keras", monitor="loss", save_best_only=True)]},
            "best_checkpoint",
            "the weights that are kept are chosen by 'loss'",
        ),
        ({"class_weight": {0: 1.0, 1: 2.0}}, "class_weight", "weighed by class"),
        ({"validation_split": 0.2}, "validation_split", "a part of the data is measured on"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_what_depends_on_the_data_beside_the_gradients_is_told(arguments, name, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = 320 if "validation_split" in arguments else EXAMPLES
    with recording() as runs:
        model = make_private(mlp(), shuffled(), examples)
        validation = {} if "validation_split" in arguments else {"validation_data": arrays(50)}
        model.fit(*arrays(), epochs=2, verbose=0, **arguments, **validation)
        model.fit(*arrays(), verbose=0, **arguments, **validation)
    (leak,) = runs[0].leaks
    assert leak.name == name
    assert says in leak.what
