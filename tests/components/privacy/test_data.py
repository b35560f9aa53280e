"""Data in memory as Poisson batches: what they hold, that they can be fitted to, and what is refused."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from poisson import Mutant, Shuffled, Uneven, p_values

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.privacy import data as data_module
from tfx_trust.components.privacy.config import PrivacySettings
from tfx_trust.components.privacy.data import PrivateData, private_data
from tfx_trust.components.privacy.sampling import PoissonSampler

ROWS = 1_000


def settings_of(**given: Any) -> PrivacySettings:
    return PrivacySettings.of({"noise_multiplier": 1.0, "steps": 20, "batch_size": 40, "seed": 7, **given})


def columns(rows: int = ROWS) -> dict[str, np.ndarray]:
    """One of every kind; no value is what padding is."""
    random = np.random.default_rng(3)
    return {
        "id": np.arange(1, rows + 1),
        "real": 1 + random.random(rows).astype(np.float32),
        "other": 1 + random.random(rows).astype(np.float32),
        "wide": 1 + random.random((rows, 3)).astype(np.float32),
        "image": 1 + random.random((rows, 2, 4, 1)).astype(np.float32),
        "double": 1 + random.random(rows),
        "flag": np.ones(rows, bool),
        "small": random.integers(1, 100, rows).astype(np.uint8),
        "text": np.array([f"täxt {row}" for row in range(rows)]),
        "bytes": np.array([f"{row}".encode() for row in range(rows)], object),
    }


def drawn_by(settings: PrivacySettings, rows: int, batches: int) -> list[np.ndarray]:
    """What the sampler of such settings draws."""
    rate = settings.batch_size / rows
    sampler = PoissonSampler(rows, rate, min(settings.largest_batch, rows), settings.seed)
    return [sampler.next() for _ in range(batches)]


# What batches hold


def test_batches_hold_the_drawn_examples_and_then_padding_of_weight_zero() -> None:
    settings = settings_of()
    features = columns()
    labels, weights = np.arange(ROWS) % 3 + 1, np.linspace(1, 2, ROWS)
    data = private_data(features, labels, settings, weights)
    batches = list(data)
    assert len(batches) == len(data) == data.steps == data.drawn == 20
    for batch, chosen in zip(batches, drawn_by(settings, ROWS, 20)):
        found, found_labels, found_weights = batch
        size = chosen.size
        assert set(found) == set(features)
        for name, column in features.items():
            values = found[name].numpy()
            assert found[name].shape == (settings.largest_batch, *column.shape[1:])
            texts = column.dtype.kind in "UO"
            expected = (
                [text if isinstance(text, bytes) else text.encode() for text in column] if texts else column
            )
            assert (values[:size] == np.asarray(expected, values.dtype)[chosen]).all(), name
            assert (values[size:] == (b"" if texts else 0)).all(), name
            if not texts:
                assert values.dtype == column.dtype
        assert (found_labels.numpy()[:size] == labels[chosen]).all()
        assert (found_labels.numpy()[size:] == 0).all()
        assert found_weights.dtype == tf.float32
        assert found_weights.numpy()[:size] == pytest.approx(weights[chosen], rel=1e-6)
        assert (found_weights.numpy()[size:] == 0).all()


def test_an_example_weighs_one_where_no_weight_is_given() -> None:
    settings = settings_of()
    for (_, _, weights), chosen in zip(
        private_data(np.ones((ROWS, 2)), np.ones(ROWS), settings), drawn_by(settings, ROWS, 20)
    ):
        assert weights.numpy().tolist() == [1] * chosen.size + [0] * (settings.largest_batch - chosen.size)


def test_an_array_stays_an_array_and_labels_may_be_a_nest() -> None:
    x, y = np.arange(ROWS, dtype=np.float32)[:, None], np.arange(ROWS, dtype=np.float32)
    for labels in ({"a": y, "b": 2 * y}, (y, 2 * y)):
        features, found, _ = next(iter(private_data(x, labels, settings_of())))
        first, second = found.values() if isinstance(found, dict) else found
        assert isinstance(found, type(labels))
        assert (first.numpy() == features.numpy()[:, 0]).all()
        assert (second.numpy() == 2 * features.numpy()[:, 0]).all()


def test_shapes_are_known_without_drawing() -> None:
    data = private_data(columns(), np.ones(ROWS), settings_of())
    features, labels, weights = data.dataset.element_spec
    assert all(spec.shape.is_fully_defined() for spec in (*features.values(), labels, weights))
    assert int(data.dataset.cardinality()) == 20
    assert data.drawn == 0


def test_a_batch_has_no_more_rows_than_there_are_examples() -> None:
    data = private_data(np.ones((50, 1)), np.ones(50), settings_of(batch_size=40))
    assert data.sampler.max_batch == 50
    assert data.dataset.element_spec[0].shape == (50, 1)


def test_a_batch_above_the_largest_is_cut_at_random() -> None:
    settings = settings_of(max_batch=40, steps=200)
    data = private_data(np.ones((ROWS, 1)), np.ones(ROWS), settings)
    rows = [int(weights.numpy().sum()) for _, _, weights in data]
    assert max(rows) == 40
    assert data.sampler.truncated > 50


def test_empty_batches_are_all_padding() -> None:
    data = private_data(np.ones((ROWS, 1)), np.ones(ROWS), settings_of(batch_size=1, steps=100))
    rows = [int(weights.numpy().sum()) for _, _, weights in data]
    assert 20 < rows.count(0) < 60
    assert data.drawn == 100


# What decides on them


def inclusions(data: PrivateData) -> list[np.ndarray]:
    """Which examples are in each batch, by their ids."""
    found = []
    for features, _, weights in data:
        ids = features["id"].numpy()[weights.numpy() > 0]
        assert (ids > 0).all()
        found.append(ids - 1)
    return found


def test_batches_of_the_dataset_pass_the_tests_of_poisson_sampling() -> None:
    settings = settings_of(steps=2_000, batch_size=20, max_batch=100)
    found = p_values(inclusions(private_data(columns(200), np.ones(200), settings)), 200, 0.1)
    assert min(found.values()) > 1e-3, found


@pytest.mark.parametrize("mutant", [Shuffled, Uneven])
def test_those_of_another_sampler_fail_them(mutant: type[Mutant], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_module, "PoissonSampler", mutant)
    settings = settings_of(steps=2_000, batch_size=20, max_batch=100)
    found = p_values(inclusions(private_data(columns(200), np.ones(200), settings)), 200, 0.1)
    assert min(found.values()) < 1e-8, found


def test_every_iteration_draws_anew() -> None:
    data = private_data(columns(), np.ones(ROWS), settings_of())
    first, second = inclusions(data), inclusions(data)
    assert all(one.tolist() != other.tolist() for one, other in zip(first, second))
    assert data.drawn == data.sampler.drawn == 40


def test_nothing_is_drawn_ahead() -> None:
    data = private_data(columns(), np.ones(ROWS), settings_of())
    batches = iter(data)
    for taken in range(1, 6):
        next(batches)
        assert data.drawn == data.sampler.drawn == taken


def test_two_iterations_at_once_share_the_draws() -> None:
    data = private_data(columns(), np.ones(ROWS), settings_of())
    found = [
        features["id"].numpy()[weights.numpy() > 0] - 1
        for pair in zip(data, data)
        for features, _, weights in pair
    ]
    expected = drawn_by(settings_of(), ROWS, 40)
    assert [batch.tolist() for batch in found] == [batch.tolist() for batch in expected]


def test_changing_the_arrays_given_does_not_change_the_labels_type() -> None:
    # Lists and whatever NumPy takes for an array are as good.
    features, labels, _ = next(iter(private_data([[1.0], [2.0]] * 20, [1, 2] * 20, settings_of())))
    assert (features.numpy()[:, 0] == labels.numpy()).all()


# Fitting


def model_of(features: dict[str, tuple[int, ...]]) -> keras.Model:
    inputs = {name: keras.Input(shape, name=name) for name, shape in features.items()}
    flat = [keras.layers.Reshape((-1,))(value) for value in inputs.values()]
    output = keras.layers.Dense(1, kernel_initializer="zeros")(keras.layers.Concatenate()(flat))
    return keras.Model(inputs, output)


@pytest.mark.parametrize(
    ("arguments", "steps_per_execution"),
    [({}, 1), ({}, 3), ({"steps_per_epoch": 5, "epochs": 4}, 1), ({"steps_per_epoch": 10, "epochs": 2}, 5)],
)
def test_a_model_is_fitted_with_as_many_batches_as_are_planned(
    arguments: dict[str, int], steps_per_execution: int
) -> None:
    features = {name: columns()[name] for name in ("real", "wide")}
    data = private_data(features, 3 * features["real"], settings_of())
    model = model_of({"real": (), "wide": (3,)})
    model.compile(keras.optimizers.SGD(0.1), "mse", steps_per_execution=steps_per_execution)
    history = model.fit(data.dataset, verbose=0, **arguments).history["loss"]
    assert data.drawn == int(model.optimizer.iterations.numpy()) == 20
    assert len(history) == arguments.get("epochs", 1)
    assert model.evaluate(features, 3 * features["real"], verbose=0) < 1


def test_a_model_is_compiled_by_xla_on_batches_of_one_shape() -> None:
    features = {"real": columns()["real"]}
    traces = 0

    class Counted(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            nonlocal traces
            traces += 1
            return keras.ops.square(keras.ops.squeeze(y_pred, -1) - y_true)

    data = private_data(features, features["real"], settings_of())
    model = model_of({"real": ()})
    model.compile("sgd", Counted(), jit_compile=True)
    model.fit(data.dataset, verbose=0)
    assert traces == 1


# Bad input


def test_what_is_told_of_it_is_in_numbers() -> None:
    assert repr(private_data(columns(), np.ones(ROWS), settings_of())) == (
        "PrivateData(1,000 examples (memory), batches of 40 expected and 91 at most, 20 steps)"
    )


X, Y = np.ones((ROWS, 2), np.float32), np.ones(ROWS, np.float32)


def put(array: np.ndarray, *places: int, value: float) -> np.ndarray:
    changed = array.copy()
    changed[list(places)] = value
    return changed


@pytest.mark.parametrize(
    ("features", "labels", "weights", "message"),
    [
        ({}, Y, None, "features: none are given; give an array, or a dict of arrays"),
        (X, None, None, "labels: none are given; give an array with one a example"),
        (X[:0], Y[:0], None, "features: no examples; give some"),
        ({"a": X, "b": X[:900]}, Y, None, "features['b'] has 900 rows, features['a'] has 1,000; each needs"),
        (X, Y[:999], None, "labels has 999 rows, features has 1,000; each needs"),
        (X, {"one": Y, "two": Y[:5]}, None, "labels['two'] has 5 rows, features has 1,000"),
        (X, (Y, Y[:5]), None, "labels[1] has 5 rows, features has 1,000"),
        (X, Y, Y[:7], "weights has 7 rows, features has 1,000"),
        (X, 1.0, None, "labels: not an array with a row for each example; give one"),
        (
            X,
            put(Y, 3, 5, value=np.nan),
            None,
            "labels: 2 of 1,000 are missing (NaN) or infinite; leave those",
        ),
        (X, put(Y, 3, 5, value=np.nan), None, "(the first is in row 3, counted from 0)"),
        (X, {"a": Y, "b": put(X, 9, value=np.inf)}, None, "labels['b']: 1 of 1,000 are missing (NaN) or inf"),
        (
            X,
            np.array([None, *Y[1:]], object),
            None,
            "labels: 1 of 1,000 values are missing (None); fill them in",
        ),
        (X, np.array([b"a", 1.0] * 500, object), None, "labels: not an array of one type; give numbers"),
        (
            {"t": np.full(ROWS, np.datetime64("2020-01-01"))},
            Y,
            None,
            "features['t']: values of type datetime64",
        ),
        (X, Y, put(Y, 3, value=-1), "weights: 1 of 1,000 are negative or not finite; correct them"),
        (X, Y, put(Y, 3, value=np.nan), "weights: 1 of 1,000 are negative or not finite; correct them"),
        (X, Y, X, "weights: of type float32 and shape (1000, 2); one number for each example is needed"),
        (X, Y, np.full(ROWS, "1"), "weights: of type object and shape (1000,); one number for each"),
    ],
)
def test_bad_data_are_refused(features: Any, labels: Any, weights: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        private_data(features, labels, settings_of(), weights)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            {"batch_size": 1_001},
            InputError,
            "batch_size = 1,001, but the data have 1,000 examples; set it to 1,000",
        ),
        (
            {"examples": 999},
            InputError,
            "examples = 999 in the settings, but the data have 1,000; correct it",
        ),
        ({"delta": 1e-3}, UsageError, "delta = 0.001: expected above 0 and below 1/N = 0.001"),
        ({"delta": 0.5}, UsageError, "delta = 0.5: expected above 0 and below 1/N = 0.001"),
        (
            {"sampling": "shuffle"},
            UsageError,
            "sampling = 'shuffle', but batches are drawn by Poisson sampling",
        ),
        ({"epsilon": -1.0, "noise_multiplier": None}, UsageError, "epsilon"),
        ({"bach_size": 3}, UsageError, "did you mean 'batch_size'?"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused(
    given: dict[str, Any], error: type[Exception], message: str
) -> None:
    settings = {"noise_multiplier": 1.0, "steps": 20, "batch_size": 40, **given}
    with pytest.raises(error) as caught:
        private_data(X, Y, settings)
    assert message in str(caught.value)


def test_one_example_is_nobody_to_hide_among() -> None:
    with pytest.raises(UsageError, match="examples = 1: expected at least 2"):
        private_data(X[:1], Y[:1], settings_of(batch_size=1))


def test_a_batch_may_be_all_examples() -> None:
    data = private_data(X, Y, settings_of(batch_size=ROWS, examples=ROWS, delta=9e-4, steps=2))
    assert [int(weights.numpy().sum()) for _, _, weights in data] == [ROWS, ROWS]
