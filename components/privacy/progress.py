"""How far a private training is, and how far it may go."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tfx_trust.components.errors import UsageError
from tfx_trust.components.privacy import calibration
from tfx_trust.components.privacy.config import PrivacySettings
from tfx_trust.components.privacy.data import PrivateData
from tfx_trust.components.privacy.noise import in_xla
from tfx_trust.components.privacy.padding import Batch
from tfx_trust.components.privacy.report import Mechanism

_PASSED = "privacy: more than was planned"
# Of floating point, where passes over the data are counted.
_SLACK = 1e-9


class Progress:
    """Counts private steps, and refuses those that the noise was not calibrated for.

    Parameters
    ----------
    settings
        Of the training.
    data
        Draws the batches; none for a shuffled dataset.
    examples
        N.

    Attributes
    ----------
    plan : Mechanism
        What is to be released, with its noise.
    """

    def __init__(self, settings: PrivacySettings, data: PrivateData | None, examples: int) -> None:
        self._settings = settings
        self._data = data
        self._examples = examples
        self.plan = calibration.settle(_in_whole_passes(settings, examples), examples)
        # Steps that were made, and examples that were in them.
        self._counts = tf.Variable([0, 0], trainable=False, dtype=tf.int64)

    @property
    def steps(self) -> int:
        """Private steps so far."""
        return int(self._counts.numpy()[0])

    @property
    def rows(self) -> int:
        """Examples in them."""
        return int(self._counts.numpy()[1])

    @property
    def batch_limit(self) -> int:
        """Most examples of a batch."""
        return self._settings.batch_size if self._data is None else self._data.sampler.max_batch

    @property
    def planned_steps(self) -> int:
        """Steps that the noise was calibrated for."""
        if self._data is not None or self._settings.epochs is None:
            return self.plan.steps
        # An epoch of shuffled batches ends with a smaller one.
        whole, part = divmod(self._settings.epochs, 1)
        size = self._settings.batch_size
        return math.ceil(self._examples / size) * int(whole) + math.ceil(
            self._examples * part / size - _SLACK
        )

    @property
    def _planned_rows(self) -> int:
        """Examples that the noise was calibrated for; only shuffled batches are limited by them."""
        if self._data is not None:
            return tf.int64.max
        passes = self._settings.epochs or self.plan.steps * self._settings.batch_size / self._examples
        return math.ceil(passes - _SLACK) * self._examples

    def mechanism(self) -> Mechanism:
        """What was released so far."""
        done = {"steps": self.steps} | ({} if self._data is not None else self._passes())
        return self.plan.model_copy(update=done)

    def _passes(self) -> dict[str, float]:
        """The sampling probability of shuffled batches that come to the passes that were made."""
        steps = self.steps
        if not steps:
            return {}
        # Their mean size, in whole numbers: up only if that is one pass more.
        rows = max(self.rows, steps)
        below = rows // steps
        fewer = -(-steps * below // self._examples) < -(-rows // self._examples)
        return {"sampling_probability": min(self._examples, below + fewer) / self._examples}

    def count(self, batch: Batch) -> list[Any]:
        """Counts a step, if it may be made; what is to be made after that."""
        rows = tf.cast(batch.rows, tf.int64)
        fixed = keras.tree.flatten(batch.x)[0].shape[0]
        if fixed is not None and fixed > self.batch_limit:
            raise UsageError(self._too_large(fixed))
        checks = []
        if tf.executing_eagerly():
            self.expect_step(int(rows))
        elif not in_xla():  # which knows no assertions; what was done is counted all the same
            left = (self._counts[0] < self.planned_steps) & (self._counts[1] + rows <= self._planned_rows)
            checks = [
                tf.debugging.Assert(left, [_PASSED]),
                tf.debugging.Assert(rows <= self.batch_limit, [self._too_large()]),
            ]
        with tf.control_dependencies(checks):
            return [self._counts.assign_add(tf.stack([tf.ones([], tf.int64), rows]))]

    def expect_step(self, rows: int = 0) -> None:
        """Raises if no step of so many examples is left."""
        if self.steps >= self.planned_steps or self.rows + rows > self._planned_rows:
            raise self.no_more()

    def no_more(self) -> UsageError:
        """That all planned steps are made."""
        return UsageError(
            f"the noise was calibrated for {self.planned_steps:,} steps of {self._settings.batch_size:,} of "
            f"{self._examples:,} examples, and {self.steps:,} are done: one more would cost more privacy "
            "than planned; plan more of them (epochs or steps of the settings) before training"
        )

    @contextlib.contextmanager
    def complaining(self) -> Iterator[None]:
        """Tells what a graph complains of by our own errors."""
        try:
            yield
        except tf.errors.InvalidArgumentError as error:
            if _PASSED in str(error):
                raise self.no_more() from None
            if self._too_large() in str(error):
                raise UsageError(self._too_large()) from None
            raise

    def _too_large(self, rows: int | None = None) -> str:
        name, remedy = (
            ("batch_size", "feed smaller batches")
            if self._data is None
            else ("max_batch", "feed the batches of the private data as they are")
        )
        found = "" if rows is None else f"{rows:,} examples, "
        limit = f"{self.batch_limit:,} that {name} allows"
        return f"a batch has {found}more than the {limit}; {remedy}, or raise {name}"


def _in_whole_passes(settings: PrivacySettings, examples: int) -> PrivacySettings:
    """Settings whose steps, of shuffled batches, come to no more passes than there are epochs."""
    if settings.sampling == "poisson" or settings.epochs is None:
        return settings
    steps = math.ceil(settings.epochs - _SLACK) * examples // settings.batch_size
    return settings.model_copy(update={"epochs": None, "steps": max(1, steps)})
