"""Keras models that train by DP-SGD, in place.

After Abadi et al. (2016), "Deep learning with differential privacy".
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.privacy import accounting
from tfx_trust.components.privacy.config import PrivacySettings
from tfx_trust.components.privacy.data import PrivateData, check_settings
from tfx_trust.components.privacy.fitting import private_fit
from tfx_trust.components.privacy.private_training import PrivateTraining, check_untrained
from tfx_trust.components.privacy.recording import announce
from tfx_trust.components.privacy.report import Guarantee, Mechanism, Training

_TRAINING = "_private_training"


def make_private(
    model: keras.Model,
    settings: PrivacySettings | Mapping[str, Any],
    data: PrivateData | int | None = None,
) -> keras.Model:
    """Makes a compiled model train privately, in place.

    It remains the model that it is: its class, weights, optimizer, metrics, ``jit_compile``, and what is
    saved or exported. Its training step clips the gradient of each example, sums them, adds noise, and
    divides by the expected batch size; ``fit``, ``train_on_batch`` and all that is built on ``train_step``
    use it. Batches that are padded count for nothing but their examples, in the metrics too.

    The numbers that training shows (loss, metrics, those of the training data above all) are not private:
    what is covered is the model.

    Parameters
    ----------
    model
        Built and compiled. Layers that mix the examples of a batch, such as BatchNormalization, are refused.
    settings
        Of the training.
    data
        What draws the batches, for Poisson sampling; the number of examples for a shuffled dataset
        (``sampling="shuffle"``), if the settings do not have it.

    Returns
    -------
    keras.Model
        `model`.

    Raises
    ------
    InputError
        If the model cannot be trained with per-example clipping, has been trained already, or the data are
        not what the settings say.
    UsageError
        If a setting is not allowed, or data and settings are for different trainings.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> from tfx_trust.components import PrivacySettings, make_private, private_data, training_of
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    >>> model.compile("sgd", "binary_crossentropy")
    >>> settings = PrivacySettings(noise_multiplier=1.0, epochs=2, batch_size=100)
    >>> data = private_data(np.zeros((1_000, 4), np.float32), np.zeros(1_000), settings)
    >>> history = make_private(model, settings, data).fit(data, epochs=2, verbose=0)
    >>> training_of(model).steps
    20
    """
    settings = PrivacySettings.of(settings)
    _check_model(model)
    drawn = data if isinstance(data, PrivateData) else None
    training = PrivateTraining(model, settings, drawn, _examples(settings, data))
    # Into the instance's own dictionary: Keras would track what is set otherwise, and save it.
    own = model.__dict__
    own[_TRAINING] = training
    own["train_step"] = training.train_step
    own["fit"] = private_fit(training, model.fit)
    own["train_on_batch"] = _watched(training, model.train_on_batch)
    model.train_function = None
    announce(training)
    return model


def private_gradients(
    model: keras.Model, x: Any, y: Any = None, sample_weight: Any = None
) -> list[tf.Tensor]:
    """The noised mean gradients of a step, for a training loop of one's own.

    Parameters
    ----------
    model
        Made private.
    x, y, sample_weight
        A batch; of private data with its weights, which tell examples from padding.

    Returns
    -------
    list of tf.Tensor
        By variable of ``model.trainable_variables``. Each call counts as a step, whatever is done with them.
    """
    return _training(model).gradients(x, y, sample_weight)


def private_step(model: keras.Model, data: Any) -> dict[str, Any]:
    """Makes a training step on a batch ``(x, y, sample_weight)``; returns logs as Keras' own does."""
    training = _training(model)
    data = tuple(data) if isinstance(data, list) else data
    if not tf.executing_eagerly():
        return dict(training.train_step(data))
    with training.watched_step():
        model.make_train_function()
        return dict(model.train_function(iter([data])))


def training_of(model: keras.Model) -> Training:
    """What a private model was seen to do."""
    return _training(model).training()


def mechanism_of(model: keras.Model) -> Mechanism:
    """What the training of a private model released so far."""
    return _training(model).mechanism()


def guarantee_of(model: keras.Model, delta: float | None = None) -> Guarantee:
    """What holds of the model after the steps made so far.

    Parameters
    ----------
    model
        Made private.
    delta
        Probability that the guarantee fails by; that of the settings, or N^-1.1, if not given.

    Returns
    -------
    Guarantee
        Of all that is composed with the training. Its epsilon is none where the noise came from a known
        seed, or the optimizer made updates that were not private.
    """
    training = _training(model)
    settings = training.settings
    if delta is None:
        delta = settings.delta or accounting.default_delta(training.examples)
    accounting.check_delta(delta, training.examples)
    mechanisms = [
        training.mechanism(),
        *(Mechanism.model_validate(other) for other in settings.composed_with),
    ]
    guarantee, _ = accounting.guarantees(mechanisms, delta, settings)
    return guarantee if training.guaranteed() else guarantee.model_copy(update={"epsilon": None})


def _training(model: keras.Model) -> PrivateTraining:
    training = model.__dict__.get(_TRAINING)
    if training is None:
        raise UsageError(f"model {model.name!r} is not private; call make_private first")
    assert isinstance(training, PrivateTraining)
    return training


def _watched(training: PrivateTraining, train_on_batch: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(train_on_batch)
    def watched(*args: Any, **kwargs: Any) -> Any:
        with training.watched_step():
            return train_on_batch(*args, **kwargs)

    return watched


def _check_model(model: keras.Model) -> None:
    before = model.__dict__.get(_TRAINING)
    if before is not None:
        if before.progress.steps:
            raise UsageError(
                f"model {model.name!r} has made {before.progress.steps:,} private steps already; make a new "
                "model, or plan all steps at once"
            )
        # Made private once more, with other settings perhaps.
        for name in (_TRAINING, "train_step", "fit", "train_on_batch"):
            del model.__dict__[name]
    if not model.compiled or model.optimizer is None:
        raise InputError(
            f"model {model.name!r} is not compiled: call compile() with an optimizer and a loss before it is "
            "made private"
        )
    if model.distribute_strategy.num_replicas_in_sync > 1:
        raise InputError(
            f"model {model.name!r} is distributed over {model.distribute_strategy.num_replicas_in_sync} "
            "replicas, each of which would add noise and sample by itself; build it outside of the "
            "strategy's scope"
        )
    check_untrained(model)


def _examples(settings: PrivacySettings, data: PrivateData | int | None) -> int:
    """N."""
    if isinstance(data, PrivateData):
        _check_same(settings, data)
        return data.examples
    if settings.sampling == "poisson":
        found = "nothing" if data is None else f"{data!r}"
        raise UsageError(
            f"make_private got {found} for data, but sampling is 'poisson': give it the private data whose "
            "batches are trained on (private_data, private_records), or set sampling = 'shuffle', for which "
            "no amplification by sampling is claimed"
        )
    told = settings.examples
    given = told if data is None else operator.index(data)
    if given is None:
        raise UsageError(
            "make_private needs the number of examples: give it as data, or as examples in the settings"
        )
    if given < 1:
        raise InputError(f"data = {given}: the number of examples must be at least 1")
    if told is not None and told != given:
        raise InputError(
            f"examples = {told:,} in the settings, but make_private was told of {given:,}; give the right one"
        )
    if settings.batch_size > given:
        raise InputError(
            f"batch_size = {settings.batch_size:,}, but there are {given:,} examples; set it to {given:,} or "
            "less"
        )
    if settings.delta is not None:
        accounting.check_delta(settings.delta, given)
    return given


def _check_same(settings: PrivacySettings, data: PrivateData) -> None:
    """Raises if the data were made for another training."""
    for name in ("sampling", "batch_size", "epochs", "steps", "largest_batch"):
        ours, theirs = getattr(settings, name), getattr(data.settings, name)
        if ours != theirs:
            raise UsageError(
                f"{name} = {ours!r} in the settings of make_private, {theirs!r} in those of the data; give "
                "both the same settings"
            )
    check_settings(settings, data.examples)
