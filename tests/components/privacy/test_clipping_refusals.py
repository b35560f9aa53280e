"""Models that cannot be clipped: the message names the layer, the reason and what to do."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from per_example import compiled, data_of, mlp

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.clipping import Engine

layers, ops = keras.layers, keras.ops


def through(*kinds: Any, shape: tuple[int | None, ...] = (4,)) -> keras.Model:
    x = h = keras.Input(shape)
    for layer in kinds:
        h = layer(h)
    return compiled(keras.Model(x, layers.Dense(1, activation="sigmoid", name="last")(h)))


def message(model: keras.Model) -> str:
    with pytest.raises(InputError) as caught:
        Engine(model)
    return str(caught.value)


# Models


def test_an_unbuilt_model() -> None:
    model = keras.Sequential([layers.Dense(1)], name="mine")
    assert "model 'mine' is not built" in message(compiled(model))


def test_a_training_step_of_its_own() -> None:
    class Mine(keras.Model):
        def train_step(self, data: Any) -> Any:
            return {}

    x = keras.Input([4])
    found = message(compiled(Mine(x, layers.Dense(1)(x))))
    assert "(Mine) overrides train_step(): private training has a step of its own" in found


def test_a_loss_of_the_models_own() -> None:
    class Mine(keras.Model):
        def compute_loss(self, **kwargs: Any) -> Any:
            return 0.0

    x = keras.Input([4])
    assert "overrides compute_loss()" in message(compiled(Mine(x, layers.Dense(1)(x))))


def test_nothing_to_train() -> None:
    model = through(layers.Dense(3))
    model.trainable = False
    model.compile("sgd", "mse")
    assert "has no trainable weights" in message(model)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_another_precision(policy: str) -> None:
    found = message(through(layers.Dense(3, name="inner", dtype=policy)))
    assert "layer 'inner' (Dense) computes in " in found
    assert "use the dtype policy 'float32'" in found


def test_a_scaled_loss() -> None:
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    x = keras.Input([4])
    found = message(compiled(keras.Model(x, layers.Dense(1)(x)), optimizer=optimizer))
    assert "compile it with the inner optimizer" in found


# Layers that mix examples


def test_batch_normalization_with_what_to_take_instead() -> None:
    found = message(through(layers.BatchNormalization(name="norm")))
    assert "layer 'norm' (BatchNormalization) cannot be trained privately" in found
    assert "keras.layers.GroupNormalization or LayerNormalization" in found


def test_batch_normalization_inside_another_layer() -> None:
    inner = keras.Sequential([keras.Input([4]), layers.Dense(3), layers.BatchNormalization(name="deep")])
    assert "'deep'" in message(through(inner))


def test_batch_normalization_inside_a_layer_without_a_rule() -> None:
    class Own(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.norm = layers.BatchNormalization(name="within")

        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=(shape[-1],), name="scale")
            self.norm.build(shape)

        def call(self, x: Any) -> Any:
            return self.norm(x * self.scale)

    assert "layer 'within' (BatchNormalization) cannot be trained privately" in message(through(Own()))


def test_frozen_batch_normalization_is_allowed() -> None:
    norm = layers.BatchNormalization()
    model = through(norm, layers.Dense(2))
    norm.trainable = False
    model.compile("sgd", "mse")
    engine = Engine(model)
    assert [rule.method for rule in engine.rules if rule.kind == "BatchNormalization"] == ["frozen"]


def test_spectral_normalization() -> None:
    assert "(SpectralNormalization)" in message(through(layers.SpectralNormalization(layers.Dense(3))))


class Centred(layers.Layer):
    def call(self, x: Any) -> Any:
        return x - ops.mean(x, axis=0, keepdims=True)


def test_a_layer_that_takes_the_mean_of_the_batch_is_found_by_trying() -> None:
    found = message(through(layers.Dense(3), Centred(name="centred"), layers.Dense(2)))
    assert "mixes the examples of a batch" in found
    assert "layer 'centred' (Centred)" in found


def test_so_is_an_operation() -> None:
    x = keras.Input([4])
    h = layers.Dense(3)(x)
    h = h / ops.sum(ops.abs(h), axis=0, keepdims=True)
    found = message(compiled(keras.Model(x, layers.Dense(1, name="after")(h))))
    assert "an operation before layer 'after' (Dense)" in found


class Shared(layers.Layer):
    def call(self, x: Any) -> Any:
        return x / tf.cast(tf.shape(x)[0], x.dtype)


def test_a_layer_that_divides_by_the_number_of_examples() -> None:
    assert "returns something else for an example where there are fewer others" in message(through(Shared()))


class Averaging(layers.Layer):
    def build(self, shape: Any) -> None:
        self.seen = self.add_weight(shape=(shape[-1],), trainable=False, name="seen")

    def call(self, x: Any) -> Any:
        self.seen.assign(0.9 * self.seen + 0.1 * x[0])
        return x


def test_a_layer_that_keeps_something_of_the_examples() -> None:
    found = message(through(Averaging(name="averaging"), layers.Dense(2)))
    assert "weight 'averaging/seen' is changed when the model is called in training" in found


# Losses beside the compiled one


def test_an_activity_regularizer() -> None:
    found = message(through(layers.Dense(3, name="inner", activity_regularizer="l2")))
    assert "layer 'inner' (Dense) has an activity regularizer" in found


def test_add_loss() -> None:
    class Adding(layers.Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(ops.mean(x))
            return x

    found = message(through(layers.Dense(3), Adding(name="adding")))
    assert "layer 'adding' (Adding) calls add_loss()" in found


# Weights whose gradients cannot be told


class Tied(layers.Layer):
    """Uses the table of another layer."""

    def __init__(self, table: layers.Embedding, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._table = [table]

    def call(self, x: Any) -> Any:
        return ops.matmul(x, ops.transpose(self._table[0].embeddings))


def test_a_weight_used_beside_its_layer() -> None:
    x = keras.Input([], dtype="int32")
    table = layers.Embedding(5, 3, name="table")
    y = Tied(table)(layers.Dense(3)(table(x)))
    model = compiled(keras.Model(x, y), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    found = message(model)
    assert "the gradient of weight 'table/embeddings' does not all come about in calls of its layer" in found


def test_one_weight_in_two_layers() -> None:
    one, two = layers.Dense(3, name="one"), layers.Dense(3, name="two")
    model = through(one, layers.Dense(4), two)
    two._trainable_variables[0] = one._trainable_variables[0]
    assert "belongs to layer 'one' and to layer 'two'" in message(model)


def test_rows_that_are_no_examples() -> None:
    x = keras.Input([6, 4])
    h = layers.Dense(3, name="flat")(ops.reshape(x, (-1, 4)))
    h = layers.Flatten()(ops.reshape(h, (-1, 6, 3)))
    found = message(compiled(keras.Model(x, layers.Dense(1)(h))))
    assert "layer 'flat' (Dense) has 24 rows for 4 examples" in found


class Noisy(layers.Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.drop = layers.Dropout(0.5)

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")

    def call(self, x: Any) -> Any:
        return self.drop(x * self.scale)


def test_dropout_in_a_layer_without_a_rule() -> None:
    found = message(through(Noisy(name="noisy")))
    assert "layer 'noisy' (Noisy) has no rule for clipping" in found
    assert "set its dropout to 0" in found
    assert "layer 'lstm'" in message(through(layers.LSTM(3, dropout=0.5, name="lstm"), shape=(5, 4)))


def test_dropout_elsewhere_is_kept_and_repeats_are_the_same() -> None:
    model = through(layers.Dense(8), layers.Dropout(0.5, seed=1), layers.Dense(4), layers.GaussianNoise(0.1))
    engine = Engine(model)
    assert engine.unchecked == []
    x, y = data_of(model, 6)
    before = [np.array(variable.numpy()) for variable in model.non_trainable_variables]
    Engine(model)
    for one, variable in zip(before, model.non_trainable_variables):
        np.testing.assert_array_equal(one, variable.numpy())
    assert not np.allclose(engine.step(x, y, None, 1.0).norms, engine.step(x, y, None, 1.0).norms)


def test_a_sparse_input() -> None:
    x = keras.Input([4], sparse=True)
    engine = Engine(compiled(keras.Model(x, layers.Dense(1)(x))))
    assert engine.unchecked
    with pytest.raises(InputError, match="is called on a SparseTensor; call it on a dense tensor"):
        engine.step(tf.sparse.from_dense(tf.ones([3, 4])), tf.ones([3, 1]), None, 1.0)


# What is said rather than refused


def test_what_could_not_be_tried_is_said() -> None:
    class Free(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs["a"])

    model = compiled(Free())
    model({"a": tf.ones([2, 3])})
    assert [entry.split(": ")[0] for entry in Engine(model).unchecked] == [
        "whether the model keeps examples apart",
        "whether the gradients of all weights are told by example",
        "whether the loss keeps examples apart",
    ]


def test_a_subclass_of_one_input_is_tried() -> None:
    class Plain(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.centred = layers.Dense(1), Centred()

        def call(self, inputs: Any) -> Any:
            return self.centred(self.dense(inputs))

    model = compiled(Plain())
    model(tf.ones([2, 3]))
    assert "(Centred)" in message(model)


def test_random_numbers_of_unknown_source_are_said() -> None:
    model = through(layers.Lambda(lambda x: x + tf.random.normal(tf.shape(x))))
    assert Engine(model).unchecked[0].endswith("without a keras.random.SeedGenerator")


def test_a_layer_without_a_rule_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: logged.append(text % values))
    Engine(through(layers.PReLU(name="slow")))
    assert len(logged) == 1
    assert "Layer 'slow' (PReLU) has no rule for clipping" in logged[0]


def test_frozen_layers_are_described() -> None:
    first = layers.Dense(3, name="first")
    model = through(first, layers.Dense(2, name="second"))
    first.trainable = False
    model.compile("sgd", "mse")
    engine = Engine(model)
    assert [(rule.layer, rule.method, rule.weights) for rule in engine.rules] == [
        ("first", "frozen", 15),
        ("second", "ghost", 8),
        ("last", "ghost", 3),
    ]
    assert len(engine.variables) == 4


def test_frozen_weights_inside_a_layer_without_a_rule_are_described() -> None:
    both = layers.Bidirectional(layers.GRU(2), name="both")
    model = through(both, shape=(3, 4))
    both.backward_layer.trainable = False
    model.compile("sgd", "mse")
    found = {(rule.layer, rule.method): rule.weights for rule in Engine(model).rules}
    assert found["both", "fallback"] == found["both", "frozen"] == 48


def test_freezing_a_layer_afterwards_is_an_error() -> None:
    model = mlp(4, (3,))
    engine = Engine(model)
    model.layers[1].trainable = False
    x, y = data_of(model, 3)
    with pytest.raises(InputError, match="trainable weights of model 'functional.*' changed after"):
        engine.step(x, y, None, 1.0)


def test_a_loop_that_xla_cannot_compile() -> None:
    model = through(layers.GRU(3, name="loop"), shape=(5, 4))
    engine = Engine(model)
    model.compile("sgd", "mse", jit_compile=True)
    with pytest.raises(InputError, match="layer 'loop' .GRU. loops over time, which XLA cannot compile"):
        tf.function(engine.step)(*data_of(model, 3), None, 1.0)


def test_a_layer_called_in_a_loop_of_another() -> None:
    class Looping(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(4, name="inner")

        def build(self, shape: Any) -> None:
            self.dense.build(shape)

        def call(self, x: Any) -> Any:
            return tf.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, self.dense(x)), [0, x])[1]

    model = through(Looping())
    engine = Engine(model)
    with pytest.raises(InputError, match="layer 'inner' .Dense. is called inside a loop or a tf.function"):
        tf.function(lambda x, y: engine.step(x, y, None, 1.0).norms, autograph=False)(*data_of(model, 3))
