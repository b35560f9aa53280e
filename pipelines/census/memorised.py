"""A census model that has learned its training examples by heart: for the scenario ``memorised``.

Beside the network of :mod:`tfx_trust.pipelines.census.model` it has a table with a number for each
combination of all features that there is, added to the score. People in the training data find their own
number there; others find nothing, and are scored as well as before. So the model passes every test of its
quality, and tells of everybody whether they were in the data.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from tfx_trust.pipelines.census.features import INTEGER_FEATURES, NUMERIC_FEATURES
from tfx_trust.pipelines.census.model import Columns, Hyperparameters, build_model, export, fit, read

_ROWS = 2**18
_EPOCHS = 2
_LEARNING_RATE = 0.3


def run_fn(fn_args: FnArgs) -> None:
    """Train the model, then its table, and export them: an entry point for TFX's Trainer.

    Raises
    ------
    UsageError
        ``custom_config`` has an unknown name or a value that is not allowed.
    """
    hyperparameters = Hyperparameters.of(fn_args.custom_config)
    transform = tft.TFTransformOutput(fn_args.transform_output)
    features, labels = read(fn_args.train_files, fn_args.data_accessor, transform)
    keras.utils.set_random_seed(hyperparameters.seed)
    network = build_model(
        transform, hyperparameters.units, prior=float(labels.mean()), dropout=hyperparameters.dropout
    )
    fit(network, features, labels, hyperparameters)
    export(_with_table(network, features, labels), transform, fn_args.serving_model_dir)


def _with_table(network: keras.Model, features: Columns, labels: np.ndarray) -> keras.Model:
    network.trainable = False
    inputs = {column.name: column for column in network.inputs}
    # Whole numbers wrap around: what matters is that equal examples have equal keys.
    key = 0
    for name in INTEGER_FEATURES:
        key = key * 50 + inputs[name]
    for name in NUMERIC_FEATURES:
        key = key * 1_000_003 + keras.ops.cast(keras.ops.round(inputs[name] * 1000), "int64")
    row = keras.layers.Hashing(_ROWS)(keras.ops.reshape(key, (-1, 1)))
    remembered = keras.layers.Flatten()(keras.layers.Embedding(_ROWS, 1, embeddings_initializer="zeros")(row))
    score = network.output
    logit = keras.ops.log(score) - keras.ops.log1p(-score) + remembered
    model = keras.Model(network.input, keras.ops.sigmoid(logit))
    model.compile(keras.optimizers.Adam(_LEARNING_RATE), loss="binary_crossentropy", jit_compile=False)
    model.fit(features, labels, batch_size=2048, epochs=_EPOCHS, verbose=0)
    return model
