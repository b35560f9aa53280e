"""The clip norm finds the quantile that it is to find, at no cost of its own."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from private_models import (
    EXAMPLES,
    MODES,
    arrays,
    drawn,
    mlp,
    mode_arguments,
    settings,
    shuffled,
    still,
    values,
)
from scipy import stats

from tfx_trust.components.errors import UsageError
from tfx_trust.components.privacy.adaptive import ClipNorm
from tfx_trust.components.privacy.config import AdaptiveClip
from tfx_trust.components.privacy.private_model import make_private, mechanism_of, training_of


def test_a_fixed_norm_has_all_the_noise():
    clip = ClipNorm(settings(l2_clip=0.3), 1.7)
    assert (clip.adaptive, clip.now(), clip.value(), clip.noise_multiplier) == (False, 0.3, 0.3, 1.7)


@pytest.mark.parametrize("count_noise", [None, 1.0, 10.0])
def test_both_releases_of_a_step_are_as_private_as_it_says(count_noise):
    """Gaussians compose by the sum of 1/z^2: that of the gradients, and that of the count, whose "
    "sensitivity is 1/2."""
    clip = ClipNorm(settings(adaptive_clip=AdaptiveClip(count_noise=count_noise)), 1.1)
    assert clip.count_noise == (count_noise or 2.0)
    together = clip.noise_multiplier**-2 + (clip.count_noise / 0.5) ** -2
    assert together == pytest.approx(1.1**-2)
    assert clip.noise_multiplier > 1.1


def test_too_little_noise_on_the_count_is_refused():
    with pytest.raises(
        UsageError, match=r"count_noise = 0.5, which must be above half of the noise multiplier, 1.1"
    ):
        ClipNorm(settings(adaptive_clip=AdaptiveClip(count_noise=0.5)), 1.1)
    with pytest.raises(
        UsageError, match=r"count_noise \(batch_size / 20\) = 0.5.*give a greater one, such as 1.1"
    ):
        ClipNorm(settings(batch_size=10, adaptive_clip=AdaptiveClip()), 1.1)


def test_an_update_is_that_of_the_paper():
    adaptive = AdaptiveClip(quantile=0.3, learning_rate=0.2, count_noise=4.0)
    clip = ClipNorm(settings(l2_clip=2.0, batch_size=40, adaptive_clip=adaptive), 1.0)
    norms = tf.constant([0.5, 1.0, 2.0, 2.5, float("inf"), 0.0, 0.0])
    real = tf.constant([True] * 5 + [False] * 2)
    clip.follow(norms, real, tf.constant(0.75))
    # 3 of 5 are not clipped. Centred: 3/2 - 2/2; with the noise, over the expected batch.
    share = (0.5 + 4.0 * 0.75) / 40 + 0.5
    assert clip.value() == pytest.approx(2.0 * math.exp(-0.2 * (share - 0.3)))


@pytest.mark.parametrize("quantile", [0.2, 0.8])
def test_it_comes_to_the_quantile(quantile):
    random = np.random.default_rng(4)
    adaptive = AdaptiveClip(quantile=quantile, learning_rate=0.2, count_noise=20.0)
    clip = ClipNorm(settings(l2_clip=50.0, batch_size=400, adaptive_clip=adaptive), 1.0)
    ends = []
    for step in range(150):
        norms = random.lognormal(size=400).astype(np.float32)
        clip.follow(tf.constant(norms), tf.ones(400, tf.bool), tf.constant(random.normal(), tf.float32))
        if step > 100:
            ends.append(clip.value())
    expected = stats.lognorm.cdf(ends, 1.0)
    assert np.mean(expected) == pytest.approx(quantile, abs=0.03)


@pytest.mark.parametrize("mode", MODES)
def test_a_model_trains_with_it(mode):
    given = settings(epochs=6, adaptive_clip=AdaptiveClip(quantile=0.5), l2_clip=20.0)
    data = drawn(given)
    model = make_private(mlp(**mode_arguments(mode)), given, data)
    model.fit(data, epochs=6, verbose=0)
    training = training_of(model)
    assert training.adaptive
    assert training.steps == 60
    assert 0 < training.l2_clip < 5
    assert mechanism_of(model).noise_multiplier == 1.0


def test_the_noise_on_the_gradients_is_that_of_the_step_with_its_norm():
    given = shuffled(noise_multiplier=1.0, l2_clip=3.0, steps=30, adaptive_clip=AdaptiveClip(count_noise=1.0))
    model = make_private(still(), given, EXAMPLES)
    x, _ = arrays()
    moves = []
    for _ in range(30):
        before, norm = values(model), training_of(model).l2_clip
        model.train_on_batch(x[:40], np.zeros((40, 3), np.float32))
        moved = np.concatenate([(one - other).ravel() for one, other in zip(values(model), before)])
        moves.append(moved / (norm / 40))
    # 1 / sqrt(1 - 1/4)
    assert stats.kstest(np.concatenate(moves) * math.sqrt(0.75), "norm").pvalue > 1e-4
    assert training_of(model).l2_clip < 3.0


def test_padding_is_not_counted():
    """Its gradients are 0, which no norm clips: counted, they would lower the norm."""
    x, y = arrays()
    adaptive = AdaptiveClip(quantile=0.5, learning_rate=1.0, count_noise=1e-3)
    ends = []
    for size in (40, 90):
        given = settings(noise_multiplier=1e-9, l2_clip=1e-3, adaptive_clip=adaptive)
        model = make_private(mlp(optimizer=keras.optimizers.SGD(1e-6)), given, drawn(given))
        padded = [
            np.concatenate([part[:40], np.zeros((size - 40, part.shape[1]), np.float32)]) for part in (x, y)
        ]
        model.train_on_batch(*padded, (np.arange(size) < 40).astype(np.float32))
        ends.append(training_of(model).l2_clip)
    assert ends[0] == pytest.approx(ends[1], rel=1e-3)
    assert ends[0] == pytest.approx(1e-3 * math.exp(0.5), rel=1e-3)


def test_an_example_moves_the_count_by_a_half_whatever_is_beside_it():
    """Examples of weight 0 before the last one of another weight do not come and go with it."""
    x, y = arrays(6)
    adaptive = AdaptiveClip(quantile=0.5, learning_rate=1.0, count_noise=1e-3)
    ends = []
    for last in (1.0, 0.0):
        given = settings(noise_multiplier=1e-9, l2_clip=1e3, adaptive_clip=adaptive)
        model = make_private(mlp(optimizer=keras.optimizers.SGD(1e-6)), given, drawn(given))
        model.train_on_batch(x, y, np.array([1, 0, 0, 0, last, 0], np.float32))
        ends.append(training_of(model).l2_clip)
    assert ends[1] / ends[0] == pytest.approx(math.exp(0.5 / 40), rel=1e-4)
