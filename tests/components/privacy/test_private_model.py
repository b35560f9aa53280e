"""A private model is the model that it was, what was done is told, and what cannot be done is refused."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace

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

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.privacy import accounting
from tfx_trust.components.privacy.private_model import (
    guarantee_of,
    make_private,
    mechanism_of,
    private_gradients,
    private_step,
    training_of,
)

# What it is afterwards


@pytest.fixture
def once_trained():
    given = settings()
    data = drawn(given)
    model = make_private(mlp(metrics=["accuracy"]), given, data)
    model.fit(data, epochs=3, verbose=0)
    return model


def test_it_is_the_model_that_it_was(once_trained):
    model = mlp()
    private = make_private(model, shuffled(), EXAMPLES)
    assert private is model
    assert type(model) is keras.Sequential
    plain = mlp()
    assert [layer["class_name"] for layer in model.get_config()["layers"]] == [
        layer["class_name"] for layer in plain.get_config()["layers"]
    ]
    assert len(model.variables) == len(plain.variables)
    assert [type(layer) for layer in model.layers] == [type(layer) for layer in plain.layers]


def test_what_is_saved_is_the_plain_model(once_trained, tmp_path):
    x, _ = arrays()
    once_trained.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded.predict(x, verbose=0), once_trained.predict(x, verbose=0))
    assert type(loaded) is keras.Sequential
    assert "train_step" not in loaded.__dict__
    assert loaded.optimizer.iterations == 30
    before = values(loaded)
    loaded.fit(*arrays(), verbose=0)
    assert not np.array_equal(values(loaded)[0], before[0])
    with pytest.raises(UsageError, match="is not private; call make_private first"):
        training_of(loaded)


def test_what_is_exported_is_the_plain_model(once_trained, tmp_path):
    x, _ = arrays()
    once_trained.export(str(tmp_path / "exported"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "exported"))
    assert np.array_equal(loaded.serve(x), once_trained.predict_on_batch(x))
    plain = mlp()
    plain.export(str(tmp_path / "plain"), verbose=False)
    kept = [
        {name for name, _ in tf.train.list_variables(str(tmp_path / folder / "variables" / "variables"))}
        for folder in ("exported", "plain")
    ]
    assert kept[0] == kept[1]


def test_a_saved_model_has_nothing_of_ours(once_trained, tmp_path):
    tf.saved_model.save(once_trained, str(tmp_path / "saved"))
    names = [name for name, _ in tf.train.list_variables(str(tmp_path / "saved" / "variables" / "variables"))]
    assert not [name for name in names if "private" in name or "noise" in name or "counts" in name]


def test_weights_are_saved_and_loaded(once_trained, tmp_path):
    once_trained.save_weights(tmp_path / "model.weights.h5")
    other = mlp(seed=9, metrics=["accuracy"])
    other.load_weights(tmp_path / "model.weights.h5")
    close(values(other), values(once_trained), atol=0)


def test_copies_are_plain_models(once_trained):
    x, _ = arrays()
    for other in (pickle.loads(pickle.dumps(once_trained)), copy.deepcopy(once_trained)):
        assert "train_step" not in other.__dict__
        assert np.array_equal(other.predict(x, verbose=0), once_trained.predict(x, verbose=0))
    assert "train_step" not in keras.models.clone_model(once_trained).__dict__


def test_evaluating_and_predicting_are_as_before(once_trained):
    x, y = arrays()
    plain = mlp(metrics=["accuracy"])
    plain.set_weights(once_trained.get_weights())
    assert once_trained.evaluate(x, y, verbose=0) == pytest.approx(plain.evaluate(x, y, verbose=0))


def test_compiled_again_it_is_still_private():
    given = settings(**QUIET)
    data = drawn(given)
    model = make_private(mlp(), given, data)
    model.fit(data, epochs=1, steps_per_epoch=5, verbose=0)
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(data, epochs=2, verbose=0)
    training = training_of(model)
    assert (training.steps, training.optimizer_steps, training.optimizer) == (30, 30, "Adam")


# What is told


def test_the_training_is_told(once_trained):
    training = training_of(once_trained)
    assert training.model == f"{once_trained.name} (Sequential)"
    assert training.examples == EXAMPLES
    assert (training.batch_size, training.max_batch) == (40, 91)
    assert (training.steps, training.planned_steps, training.optimizer_steps) == (30, 30, 30)
    assert (training.optimizer, training.l2_clip, training.adaptive) == ("SGD", 1.0, False)
    assert (training.sampling, training.noise_source) == ("poisson", "aes-ctr")
    assert [layer.kind for layer in training.layers] == ["Dense", "Dense"]
    assert training.unchecked == []


def test_the_mechanism_is_what_was_done_and_the_guarantee_its_epsilon(once_trained):
    mechanism = mechanism_of(once_trained)
    assert mechanism.noise_multiplier == 1.0
    assert (mechanism.sampling, mechanism.sampling_probability, mechanism.steps) == ("poisson", 0.1, 30)
    assert (mechanism.examples, mechanism.max_batch) == (EXAMPLES, 91)
    guarantee = guarantee_of(once_trained)
    assert guarantee.delta == pytest.approx(EXAMPLES**-1.1)
    assert guarantee.epsilon == accounting.epsilon_of([mechanism], guarantee.delta)
    assert guarantee_of(once_trained, delta=1e-6).epsilon > guarantee.epsilon


def test_fewer_steps_than_planned_cost_less():
    given = settings()
    data = drawn(given)
    model = make_private(mlp(), given, data)
    assert guarantee_of(model).epsilon == 0
    model.fit(data, steps_per_epoch=10, verbose=0)
    assert mechanism_of(model).steps == 10
    first = guarantee_of(model).epsilon
    model.fit(data, verbose=0)
    assert mechanism_of(model).steps == 30
    assert 0 < first < guarantee_of(model).epsilon


def test_a_target_epsilon_is_met():
    given = settings(noise_multiplier=None, epsilon=2.0, delta=1e-3)
    data = drawn(given)
    model = make_private(mlp(), given, data)
    model.fit(data, epochs=3, verbose=0)
    guarantee = guarantee_of(model)
    assert guarantee.target == 2.0
    assert 1.98 < guarantee.epsilon <= 2.0


def test_what_is_composed_with_it_costs_as_well():
    other = {"what": "mean of age", "noise_multiplier": 2.0, "examples": EXAMPLES}
    given = settings(composed_with=[other])
    data = drawn(given)
    model = make_private(mlp(), given, data)
    model.fit(data, verbose=0)
    alone = accounting.epsilon_of([mechanism_of(model)], guarantee_of(model).delta)
    assert guarantee_of(model).epsilon > alone


def test_other_updates_leave_no_guarantee(once_trained):
    gradients = [tf.ones_like(variable) for variable in once_trained.trainable_variables]
    once_trained.optimizer.apply(gradients, once_trained.trainable_variables)
    assert training_of(once_trained).optimizer_steps == 31
    assert guarantee_of(once_trained).epsilon is None


def test_a_known_seed_leaves_no_guarantee():
    given = settings(seed=1)
    ends = []
    for _ in range(2):
        data = drawn(given)
        model = make_private(mlp(), given, data)
        model.fit(data, epochs=3, verbose=0)
        ends.append(values(model))
    close(*ends, atol=1e-5)
    assert training_of(model).noise_source == "seeded"
    assert guarantee_of(model).epsilon is None


def test_other_batches_than_those_drawn_have_no_amplification():
    given = settings()
    data = drawn(given)
    model = make_private(mlp(), given, data)
    batch = next(iter(data))
    for _ in range(10):
        model.train_on_batch(*batch)
    training = training_of(model)
    assert training.sampling == "shuffle"
    assert "10 private steps were made, but 1 batches were drawn" in training.unchecked[0]
    mechanism = mechanism_of(model)
    assert (mechanism.sampling, mechanism.sampling_probability, mechanism.max_batch) == ("none", None, None)
    # As of ten releases of its gradient, for that is what an example of this batch paid with.
    once = mechanism.model_copy(update={"noise_multiplier": 10**-0.5, "steps": 1})
    delta = guarantee_of(model).delta
    assert guarantee_of(model).epsilon == pytest.approx(accounting.epsilon_of([once], delta))


@pytest.mark.parametrize("examples", [401, 403, 441, 479])
def test_shuffled_batches_cost_as_many_passes_as_were_made(examples):
    x, y = arrays(examples)
    model = make_private(mlp(), shuffled(), examples)
    model.fit(x, y, epochs=3, verbose=0)
    assert accounting.passes(mechanism_of(model)) == 3


# Bad input


def expect(error, text, model=None, given=None, data=None):
    with pytest.raises(error, match=text):
        make_private(model or mlp(), given or shuffled(), data)


def test_a_model_that_is_not_compiled_is_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    expect(
        InputError,
        r"is not compiled: call compile\(\) with an optimizer and a loss before",
        model,
        data=EXAMPLES,
    )


def test_a_distributed_model_is_refused(monkeypatch):
    model = mlp()
    monkeypatch.setattr(keras.Sequential, "distribute_strategy", SimpleNamespace(num_replicas_in_sync=2))
    expect(InputError, "is distributed over 2 replicas, each of which would add noise", model, data=EXAMPLES)


def test_a_model_that_is_not_built_is_refused():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    expect(InputError, "is not built", model, data=EXAMPLES)


def test_a_model_that_was_trained_already_is_refused():
    model = mlp()
    model.fit(*arrays(), batch_size=40, verbose=0)
    expect(
        InputError, "its optimizer has made 10 updates already, which were not private", model, data=EXAMPLES
    )
    model.compile("sgd", "binary_crossentropy")
    make_private(model, shuffled(), EXAMPLES)


def test_a_model_that_has_trained_privately_is_not_made_private_again(once_trained):
    expect(UsageError, "has made 30 private steps already", once_trained, data=EXAMPLES)


def test_a_model_can_be_made_private_anew_before_training():
    model = make_private(mlp(), shuffled(), EXAMPLES)
    given = settings(batch_size=20)
    data = drawn(given)
    make_private(model, given, data).fit(data, verbose=0)
    assert training_of(model).steps == 60


def test_poisson_sampling_needs_private_data():
    for data in (None, EXAMPLES, np.int64(EXAMPLES)):
        expect(UsageError, r"sampling is 'poisson': give it the private data", given=settings(), data=data)


def test_shuffled_batches_need_the_number_of_examples():
    expect(UsageError, "needs the number of examples")
    expect(InputError, "data = 0: the number of examples must be at least 1", data=0)
    expect(
        InputError,
        "examples = 500 in the settings, but make_private was told of 400",
        None,
        shuffled(examples=500),
        400,
    )
    make_private(mlp(), shuffled(examples=400))
    make_private(mlp(), shuffled(examples=400), np.int64(400))


def test_a_batch_larger_than_the_data_is_refused():
    expect(InputError, "batch_size = 500, but there are 400 examples", None, shuffled(batch_size=500), 400)


def test_a_delta_of_one_in_n_or_more_is_refused():
    expect(UsageError, r"delta = 0.0025.*below 1/N = 0.0025", None, shuffled(delta=1 / 400), 400)
    model = make_private(mlp(), shuffled(), 400)
    with pytest.raises(UsageError, match="delta = 0.01"):
        guarantee_of(model, delta=0.01)


def test_data_of_other_settings_are_refused():
    data = drawn(settings())
    expect(
        UsageError,
        "batch_size = 20 in the settings of make_private, 40 in those of the data",
        None,
        settings(batch_size=20),
        data,
    )
    expect(UsageError, "epochs = 4.0 in the settings of make_private, 3.0", None, settings(epochs=4), data)
    expect(UsageError, "sampling = 'shuffle' in the settings", None, shuffled(), data)
    expect(
        InputError,
        "examples = 500 in the settings, but the data have 400",
        None,
        settings(examples=500),
        data,
    )


def test_settings_may_be_a_mapping():
    given = settings(noise_multiplier=2.0)
    model = make_private(mlp(), given.model_dump(mode="json"), drawn(given))
    assert mechanism_of(model).noise_multiplier == 2.0


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_above_the_largest_is_refused(mode):
    x, y = arrays()
    model = make_private(mlp(**mode_arguments(mode)), shuffled(), EXAMPLES)
    with pytest.raises(
        UsageError, match="has 41 examples, more than the 40 that batch_size allows; feed smaller"
    ):
        model.train_on_batch(x[:41], y[:41])
    assert training_of(model).steps == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_padded_batch_above_the_largest_is_refused(mode):
    given = settings(max_batch=50)
    model = make_private(mlp(**mode_arguments(mode)), given, drawn(given))
    with pytest.raises(
        UsageError, match="more than the 50 that max_batch allows; feed the batches of the private"
    ):
        model.train_on_batch(*padded_batch(55, 60))
    assert training_of(model).steps == 0


def test_a_batch_above_the_largest_is_refused_where_its_size_is_not_known_before():
    x, y = arrays()
    model = make_private(mlp(), shuffled(), EXAMPLES)
    before = values(model)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(50).filter(lambda x, y: True)
    with pytest.raises(UsageError, match="a batch has more than the 40 that batch_size allows"):
        model.fit(data, verbose=0)
    assert training_of(model).steps == 0
    assert training_of(model).optimizer_steps == 0
    close(values(model), before, atol=0)


def test_a_batch_without_weights_is_refused():
    given = settings()
    model = make_private(mlp(), given, drawn(given))
    x, y = arrays()
    with pytest.raises(UsageError, match="a batch without weights: they tell examples from padding"):
        model.train_on_batch(x[:40], y[:40])


@pytest.mark.parametrize("mode", MODES)
def test_a_step_beyond_the_planned_ones_is_refused(mode):
    x, y = arrays()
    model = make_private(mlp(**mode_arguments(mode)), shuffled(steps=3), EXAMPLES)
    for _ in range(3):
        model.train_on_batch(x[:40], y[:40])
    before = values(model)
    for step in (model.train_on_batch, lambda x, y: private_step(model, (x, y))):
        with pytest.raises(UsageError, match="calibrated for 3 steps of 40 of 400 examples, and 3 are done"):
            step(x[:40], y[:40])
    assert (training_of(model).steps, training_of(model).optimizer_steps) == (3, 3)
    close(values(model), before, atol=0)


def test_a_step_beyond_the_planned_ones_is_refused_within_a_graph():
    x, y = arrays()
    model = make_private(mlp(), shuffled(steps=3), EXAMPLES)
    model.optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        model.optimizer.apply(private_gradients(model, x[:40], y[:40]), model.trainable_variables)

    for _ in range(3):
        step()
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than was planned"):
        step()
    assert training_of(model).steps == 3


def test_what_xla_does_beyond_the_plan_is_reported():
    x, y = arrays()
    model = make_private(mlp(), shuffled(steps=3), EXAMPLES)

    @tf.function(jit_compile=True)
    def gradients():
        return private_gradients(model, x[:40], y[:40])

    for _ in range(5):
        gradients()
    assert (training_of(model).steps, mechanism_of(model).steps) == (5, 5)


def test_a_model_that_is_not_private_has_no_training():
    for ask in (training_of, mechanism_of, guarantee_of):
        with pytest.raises(UsageError, match="is not private; call make_private first"):
            ask(mlp())
