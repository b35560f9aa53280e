"""Small models and data for the tests of private training."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tfx_trust.components.privacy.config import PrivacySettings
from tfx_trust.components.privacy.data import PrivateData, private_data

EXAMPLES, FEATURES = 400, 4
QUIET = {"noise_multiplier": 1e-9, "l2_clip": 1e4}
"""Settings of a training that is as good as not private: noise of 1e-5 on the sum of gradients, nothing "
"clipped."""

MODES = ["graph", "eager", pytest.param("jit", marks=pytest.mark.slow)]
"""How Keras can run a step; XLA takes seconds to compile one."""


def mode_arguments(mode: str) -> dict[str, Any]:
    """For ``compile``."""
    return {"graph": {}, "eager": {"run_eagerly": True}, "jit": {"jit_compile": True}}[mode]


def arrays(examples: int = EXAMPLES, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(examples, FEATURES)).astype(np.float32)
    return x, (x[:, :1] + 0.3 * random.normal(size=(examples, 1)) > 0).astype(np.float32)


def settings(**changes: Any) -> PrivacySettings:
    given: dict[str, Any] = {"noise_multiplier": 1.0, "batch_size": 40, "epochs": 3} | changes
    if "steps" in changes:
        del given["epochs"]
    return PrivacySettings(**given)


def shuffled(**changes: Any) -> PrivacySettings:
    return settings(sampling="shuffle", **changes)


def drawn(given: PrivacySettings) -> PrivateData:
    return private_data(*arrays(), given)


def mlp(seed: int = 3, **compiled: Any) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Dense(5, activation="tanh"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(**{"optimizer": keras.optimizers.SGD(0.5), "loss": "binary_crossentropy"} | compiled)
    return model


def still(size: int = 50, **compiled: Any) -> keras.Model:
    """A model whose loss has no gradient, so that noise alone moves it: by ``- noise``, for its learning "
    "rate is 1."""
    model = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(size), keras.layers.Dense(3)])
    model.compile(
        **{
            "optimizer": keras.optimizers.SGD(1.0),
            "loss": lambda y_true, y_pred: 0.0 * keras.ops.mean(y_pred, axis=-1),
        }
        | compiled
    )
    return model


def values(model: keras.Model) -> list[np.ndarray]:
    return [np.array(variable.numpy()) for variable in model.trainable_variables]


def close(found: list[np.ndarray], expected: list[np.ndarray], atol: float = 2e-5) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=atol)


def padded_batch(rows: int, size: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y = arrays()
    batch = [np.zeros((size, part.shape[1]), np.float32) for part in (x, y)]
    for whole, part in zip(batch, (x, y)):
        whole[:rows] = part[:rows]
    return *batch, (np.arange(size) < rows).astype(np.float32)
