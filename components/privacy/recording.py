"""What is seen of private trainings, for whoever started them and must vouch for them."""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import keras
import numpy as np

from tfx_trust.components.privacy.report import Leak, Mechanism, Training

if TYPE_CHECKING:
    from tfx_trust.components.privacy.private_training import PrivateTraining

_LISTENING: contextvars.ContextVar[list[PrivateRun] | None] = contextvars.ContextVar(
    "listening", default=None
)


class PrivateRun:
    """A model that was made private, as it stands when it is asked."""

    def __init__(self, source: PrivateTraining) -> None:
        self._source = source

    @property
    def training(self) -> Training:
        """What the model was seen to do."""
        return self._source.training()

    @property
    def mechanism(self) -> Mechanism:
        """What it released."""
        return self._source.mechanism()

    @property
    def leaks(self) -> list[Leak]:
        """What depends on the training data beside it."""
        return self._source.leaks()

    @property
    def weights(self) -> list[set[str]]:
        """For each trainable variable, digests of what it was at the end of an epoch or of the last step.

        A model that is saved with other values was changed by something else than private training.
        """
        return self._source.weights()

    @property
    def other_weights(self) -> set[str]:
        """What the variables that are not trained were before training: digests of them."""
        return self._source.other_weights()


@contextlib.contextmanager
def recording() -> Iterator[list[PrivateRun]]:
    """Collects each model that is made private while it is open.

    Examples
    --------
    >>> with recording() as runs:
    ...     pass  # make_private(model, settings, data); model.fit(data)
    >>> runs
    []
    """
    runs: list[PrivateRun] = []
    token = _LISTENING.set(runs)
    try:
        yield runs
    finally:
        _LISTENING.reset(token)


def announce(source: PrivateTraining) -> None:
    """Tells whoever listens of a model that was made private."""
    runs = _LISTENING.get()
    if runs is not None:
        runs.append(PrivateRun(source))


def digest(value: np.ndarray) -> str:
    """SHA-256 of an array's values, as little-endian float32 in C order, in hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(value, "<f4").tobytes()).hexdigest()


class SeenWeights:
    """The values that a model's trainable variables were seen to have."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._digests: list[set[str]] = []
        self._latest: list[np.ndarray] = []
        self.steps = 0
        """Private steps when they were seen last."""

    def see(self, steps: int) -> None:
        """Takes the values after so many private steps in place of those seen last."""
        self._latest = self._values()
        self.steps = steps

    def keep(self, steps: int) -> None:
        """Takes the values after so many private steps for good."""
        self._digests = self._all(self._values())
        self._latest = []
        self.steps = steps

    def digests(self, steps: int) -> list[set[str]]:
        """Digests by variable, when so many private steps were made."""
        # Where steps were not seen to end, as in a loop of one's own, all that is left is to look now.
        return self._all(self._latest if steps == self.steps else self._values())

    def _all(self, values: list[np.ndarray]) -> list[set[str]]:
        kept = self._digests or [set() for _ in self._model.trainable_variables]
        if not values:
            return [set(digests) for digests in kept]
        places = range(len(kept))
        return [kept[place] | {digest(value) for value in values[place :: len(kept)]} for place in places]

    def _values(self) -> list[np.ndarray]:
        """Of the variables, and of their moving averages, which an optimizer may put in their place."""
        optimizer = self._model.optimizer
        averages = getattr(optimizer, "_model_variables_moving_average", []) if optimizer.use_ema else []
        return [np.array(variable.numpy()) for variable in [*self._model.trainable_variables, *averages]]
