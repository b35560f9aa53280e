"""A clip norm that follows a quantile of the gradients' norms.

After Andrew, Thakkar, McMahan & Ramaswamy (2021), "Differentially private learning with adaptive clipping".
"""

from __future__ import annotations

import math

import tensorflow as tf

from tfx_trust.components.errors import UsageError
from tfx_trust.components.privacy.config import PrivacySettings


class ClipNorm:
    """The clip norm of a training: fixed, or following a quantile.

    Parameters
    ----------
    settings
        Of the training.
    noise_multiplier
        Of a step, all that it releases taken together.

    Attributes
    ----------
    noise_multiplier : float
        Of the sum of gradients alone. The count of unclipped examples of a step is released beside it, and
        both together are as private as the noise multiplier of the step says (Andrew et al. 2021, theorem 1).
    count_noise : float or None
        Standard deviation of the noise on that count; none where the norm is fixed.

    Raises
    ------
    UsageError
        If the count has so little noise that it alone would cost more than the step may.
    """

    def __init__(self, settings: PrivacySettings, noise_multiplier: float) -> None:
        self._settings = settings.adaptive_clip
        self._batch_size = settings.batch_size
        self._fixed = settings.l2_clip
        self.count_noise: float | None = None
        self.noise_multiplier = noise_multiplier
        if self._settings is None:
            return
        given = self._settings.count_noise
        self.count_noise = given if given is not None else settings.batch_size / 20
        # Each example adds or takes half a one to a count that is centred.
        left = noise_multiplier**-2 - (2 * self.count_noise) ** -2
        if left <= 0:
            what = "count_noise" if given is not None else "count_noise (batch_size / 20)"
            raise UsageError(
                f"adaptive_clip: {what} = {self.count_noise:g}, which must be above half of the noise "
                f"multiplier, {noise_multiplier:.3g}: the count of unclipped examples would cost more than a "
                f"whole step may; give a greater one, such as {noise_multiplier:.2g}"
            )
        self.noise_multiplier = 1 / math.sqrt(left)
        self._norm = tf.Variable(self._fixed, trainable=False, dtype=tf.float32)

    @property
    def adaptive(self) -> bool:
        """Whether it follows a quantile."""
        return self._settings is not None

    def now(self) -> float | tf.Tensor:
        """The norm of the step at hand."""
        return self._norm.read_value() if self.adaptive else self._fixed

    def value(self) -> float:
        """The norm, as a number."""
        return float(self._norm.numpy()) if self.adaptive else self._fixed

    def follow(self, norms: tf.Tensor, real: tf.Tensor, noise: tf.Tensor) -> None:
        """Move the norm towards the quantile.

        Parameters
        ----------
        norms
            Of the gradients before clipping, of shape ``[batch]``.
        real
            Which of them belong to examples rather than padding.
        noise
            A standard normal number.
        """
        assert self._settings is not None
        assert self.count_noise is not None
        below = tf.cast(norms <= self._norm, tf.float32) - 0.5
        centred = tf.reduce_sum(tf.where(real, below, 0.0)) + self.count_noise * noise
        share = centred / self._batch_size + 0.5
        step = -self._settings.learning_rate * (share - self._settings.quantile)
        self._norm.assign(self._norm * tf.exp(step))
