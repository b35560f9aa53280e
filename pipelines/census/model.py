"""The census model: a small network over scaled numbers and one-hot categories, and its training."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from absl import logging
from pydantic import Field, PositiveInt
from tfx.components.trainer.fn_args_utils import DataAccessor, FnArgs
from tfx_bsl.tfxio.dataset_options import TensorFlowDatasetOptions

from tfx_trust.components.privacy.config import PRIVACY, PrivacySettings
from tfx_trust.components.privacy.private_model import make_private
from tfx_trust.components.privacy.records import private_transformed
from tfx_trust.components.settings import Settings
from tfx_trust.pipelines.census.data import LABEL
from tfx_trust.pipelines.census.features import (
    BUCKETED_FEATURES,
    FEATURES,
    INTEGER_FEATURES,
    NUMERIC_FEATURES,
    RAW_FEATURES,
    categories,
)

Columns = dict[str, np.ndarray]

# Only how many examples are decoded at a time: the split is held in memory whole.
_READ_BATCH = 8192


class Hyperparameters(Settings):
    """What `run_fn` takes from the Trainer's ``custom_config`` where it trains without privacy."""

    seed: int = Field(default=1, ge=0)
    """Of the weights, the dropout, the order of the examples and the held-out part."""
    epochs: int = Field(default=40, ge=1)
    """At most this many: see ``patience``."""
    patience: int = Field(default=3, ge=1)
    """Training stops after this many epochs without a lower loss on the held-out part."""
    held_out: float = Field(default=0.1, gt=0, lt=1)
    """The fraction of the train split that is kept from training, to tell when to stop."""
    batch_size: int = Field(default=512, ge=1)
    """Examples a step."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Of Adam."""
    units: tuple[PositiveInt, ...] = (64, 32)
    """The width of each hidden layer."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """The rate after each hidden layer."""


class PrivateHyperparameters(Settings):
    """What `run_fn` takes from ``custom_config``, beside ``privacy``, where it trains privately.

    How long is a matter of the privacy settings. Nothing is chosen by the training data: no examples are
    held out to stop by, and the model starts without knowing the share of positive labels.
    """

    seed: int = Field(default=1, ge=0)
    """Of the initial weights alone: noise and batches are nobody's to know."""
    learning_rate: float = Field(default=0.5, gt=0)
    """Of SGD: on clipped and noisy gradients it does better than Adam, which takes noise for curvature."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of SGD."""
    units: tuple[PositiveInt, ...] = (64, 32)
    """The width of each hidden layer."""


def run_fn(fn_args: FnArgs) -> None:
    """Train the model on the train split and export it: the entry point for TFX's Trainer and PrivateTrainer.

    Under PrivateTrainer it trains by DP-SGD. Hyperparameters come from ``custom_config`` (see
    `PrivateHyperparameters` and `Hyperparameters`); the numbers of steps of the Trainer's ``train_args`` and
    ``eval_args`` are not used. Besides the model, a JSON file is written to ``model_run_dir``.

    Raises
    ------
    UsageError
        ``custom_config`` has an unknown name or a value that is not allowed.
    """
    custom = dict(fn_args.custom_config or {})
    privacy = custom.pop(PRIVACY, None)
    transform = tft.TFTransformOutput(fn_args.transform_output)
    if privacy is None:
        _train(fn_args, transform, Hyperparameters.of(custom))
    else:
        _train_privately(fn_args, transform, PrivateHyperparameters.of(custom), PrivacySettings.of(privacy))


def _train_privately(
    fn_args: FnArgs,
    transform: tft.TFTransformOutput,
    hyperparameters: PrivateHyperparameters,
    privacy: PrivacySettings,
) -> None:
    data = private_transformed(fn_args.train_files, transform, LABEL, privacy, features=FEATURES)
    keras.utils.set_random_seed(hyperparameters.seed)
    model = build_model(transform, hyperparameters.units, prior=0.5)
    model.compile(
        optimizer=keras.optimizers.SGD(hyperparameters.learning_rate, hyperparameters.momentum),
        loss="binary_crossentropy",
        jit_compile=False,
    )
    make_private(model, privacy, data)
    logging.info("training by DP-SGD: %d steps of about %d examples", data.steps, privacy.batch_size)
    model.fit(data, verbose=0)
    export(model, transform, fn_args.serving_model_dir)
    # The loss on the training examples is not written down: it is no part of what the guarantee covers.
    _record(fn_args, {"hyperparameters": hyperparameters.model_dump(mode="json")})


def _train(fn_args: FnArgs, transform: tft.TFTransformOutput, hyperparameters: Hyperparameters) -> None:
    # The eval split (fn_args.eval_files) is not opened: it is the Evaluator's. Early stopping on it
    # would choose the model by the very examples that are to judge it.
    features, labels = read(fn_args.train_files, fn_args.data_accessor, transform)

    keras.utils.set_random_seed(hyperparameters.seed)
    model = build_model(
        transform, hyperparameters.units, prior=float(labels.mean()), dropout=hyperparameters.dropout
    )
    history = fit(model, features, labels, hyperparameters)
    export(model, transform, fn_args.serving_model_dir)
    _record(fn_args, {"hyperparameters": hyperparameters.model_dump(mode="json"), "epochs": history})


def _record(fn_args: FnArgs, record: Mapping[str, Any]) -> None:
    run = Path(fn_args.model_run_dir)
    run.mkdir(parents=True, exist_ok=True)
    (run / "history.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def read(
    files: Sequence[str], accessor: DataAccessor, transform: tft.TFTransformOutput
) -> tuple[Columns, np.ndarray]:
    """Read transformed examples into memory, in an order that depends on nothing but their values.

    Parameters
    ----------
    files
        Paths or patterns.
    accessor
        The Trainer's, which knows the files' format.
    transform
        Its schema tells the features.

    Returns
    -------
    features : dict of ndarray
        One array of shape ``[examples]`` for each of `features.FEATURES`.
    labels : ndarray
        Shape ``[examples]``, 0 or 1.
    """
    options = TensorFlowDatasetOptions(batch_size=_READ_BATCH, num_epochs=1, shuffle=False)
    schema = transform.transformed_metadata.schema
    batches = list(accessor.tf_dataset_factory(list(files), options, schema).as_numpy_iterator())
    columns = {name: np.concatenate([batch[name] for batch in batches]) for name in (*FEATURES, LABEL)}
    # Beam writes examples in any order. In one order of their own, equal data give an equal model.
    order = np.lexsort(list(columns.values()))
    columns = {name: column[order] for name, column in columns.items()}
    return columns, columns.pop(LABEL)


def build_model(
    transform: tft.TFTransformOutput, widths: Sequence[int], *, prior: float, dropout: float = 0.0
) -> keras.Model:
    """Build the network, not compiled; before it learns it gives everybody the prior.

    Parameters
    ----------
    transform
        Tells how many buckets each of the bucketed features has.
    widths
        Of the hidden layers.
    prior
        The share of positive labels; of training data it is a thing that privacy does not cover.
    dropout
        The rate after each hidden layer.

    Returns
    -------
    keras.Model
        From a dict of `features.FEATURES`, each of shape ``[batch]``, to the probability of the label,
        float32 of shape ``[batch, 1]``.
    """
    numeric = {name: keras.Input((), name=name, dtype="float32") for name in NUMERIC_FEATURES}
    integer = {name: keras.Input((), name=name, dtype="int64") for name in INTEGER_FEATURES}
    sizes = {f"{name}_id": len(values) + 1 for name, values in categories().items()}
    for name in BUCKETED_FEATURES:
        sizes[name] = transform.num_buckets_for_transformed_feature(name)
    one_hot = [
        keras.layers.CategoryEncoding(sizes[name], output_mode="one_hot")(ids)
        for name, ids in integer.items()
    ]
    columns = [keras.layers.Reshape((1,))(column) for column in numeric.values()]
    hidden = keras.layers.Concatenate()(columns + one_hot)
    for units in widths:
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
        if dropout:
            hidden = keras.layers.Dropout(dropout)(hidden)
    output = keras.layers.Dense(
        1,
        activation="sigmoid",
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(np.log(prior / (1 - prior))),
    )
    return keras.Model({**numeric, **integer}, output(hidden))


def fit(
    model: keras.Model, features: Columns, labels: np.ndarray, hyperparameters: Hyperparameters
) -> list[dict[str, float]]:
    """Train until the loss on a held-out part of the given examples stops falling; keep the best weights.

    Parameters
    ----------
    model
        Compiled here and trained in place.
    features, labels
        As `read` returns them.
    hyperparameters
        Of the training.

    Returns
    -------
    list of dict
        The losses and metrics of each epoch.
    """
    order = np.random.default_rng(hyperparameters.seed).permutation(len(labels))
    held_out, kept = np.split(order, [max(1, round(hyperparameters.held_out * len(labels)))])

    def part(rows: np.ndarray) -> tuple[Columns, np.ndarray]:
        return {name: column[rows] for name, column in features.items()}, labels[rows]

    def log(epoch: int, metrics: Mapping[str, float]) -> None:
        logging.info(
            "epoch %d: %s", epoch + 1, ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        )

    model.compile(
        optimizer=keras.optimizers.Adam(hyperparameters.learning_rate),
        loss="binary_crossentropy",
        metrics=["accuracy"],
        # On two cores XLA's compilation costs more (3 s) than it saves in a training this short.
        jit_compile=False,
    )
    stop = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=hyperparameters.patience, restore_best_weights=True
    )
    history = model.fit(
        *part(kept),
        validation_data=part(held_out),
        batch_size=hyperparameters.batch_size,
        epochs=hyperparameters.epochs,
        # Keras' TensorBoard callback is not used: TensorBoard is no dependency of TensorFlow any more.
        callbacks=[stop, keras.callbacks.LambdaCallback(on_epoch_end=log)],
        verbose=0,
    ).history
    return [
        dict(zip(history, map(float, values), strict=True)) for values in zip(*history.values(), strict=True)
    ]


def export(model: keras.Model, transform: tft.TFTransformOutput, folder: str) -> None:
    """Write a SavedModel that answers raw examples.

    Both its signatures take ``examples``, a string tensor of shape ``[batch]`` of serialized tf.Examples,
    in which only `features.RAW_FEATURES` are needed:

    - ``serving_default`` returns ``outputs``, the probability of the label, float32 of shape ``[batch, 1]``;
    - ``transform_features`` returns the tensors of `features.FEATURES`, each of shape ``[batch]``.
    """
    layer = transform.transform_features_layer()
    spec = {name: kind for name, kind in transform.raw_feature_spec().items() if name in RAW_FEATURES}

    def transform_features(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        transformed = layer(tf.io.parse_example(examples, spec))
        return {name: transformed[name] for name in FEATURES}

    def serving_default(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": model(transform_features(examples), training=False)}

    # Not tf.saved_model.save(model): TensorFlow Lite's converter aborts on what that writes of a Keras 3
    # model (TensorFlow 2.16), or turns it into one that answers NaN (2.21).
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.track(layer)  # Its tables are not found by themselves.
    signature = [tf.TensorSpec([None], tf.string, name="examples")]
    archive.add_endpoint("serving_default", serving_default, input_signature=signature)
    archive.add_endpoint("transform_features", transform_features, input_signature=signature)
    archive.write_out(folder, verbose=False)
