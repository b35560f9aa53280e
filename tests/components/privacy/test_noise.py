"""The noise is normal, independent, and nobody can compute it again."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import tensorflow as tf
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from scipy import stats

from tfx_trust.components.privacy import noise
from tfx_trust.components.privacy.noise import PAIRS, GaussianNoise

BLOCK = 2 * PAIRS
SEEDS = (1, 2, 3)


def drawn(count: int, seed: int = 1, stddev: float = 1.0) -> np.ndarray:
    return GaussianNoise(seed).fill(np.empty(count, np.float32), stddev)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_moments_are_those_of_a_normal_distribution(seed):
    count = 4_000_000
    numbers = drawn(count, seed).astype(np.float64)
    # Their standard errors: 1/sqrt(n), sqrt(2/n), sqrt(6/n), sqrt(24/n); for the sixth moment, sqrt(10170/n).
    assert abs(numbers.mean()) < 4 / math.sqrt(count)
    assert abs((numbers**2).mean() - 1) < 4 * math.sqrt(2 / count)
    assert abs((numbers**3).mean()) < 4 * math.sqrt(15 / count)
    assert abs((numbers**4).mean() - 3) < 4 * math.sqrt(96 / count)
    assert abs((numbers**6).mean() - 15) < 4 * math.sqrt(10170 / count)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_distribution_is_normal(seed):
    numbers = drawn(1_000_000, seed)
    assert stats.kstest(numbers, "norm").pvalue > 1e-3
    shares = stats.norm.cdf(numbers)
    counts, _ = np.histogram(shares, bins=1_000, range=(0, 1))
    assert stats.chisquare(counts).pvalue > 1e-3


def test_the_tail_is_as_heavy_as_it_should_be():
    count = 8_000_000
    sizes = np.abs(drawn(count, seed=4))
    for beyond in (3.0, 4.0, 4.5, 5.0):
        expected = 2 * stats.norm.sf(beyond)
        assert stats.binomtest(int((sizes > beyond).sum()), count, expected).pvalue > 1e-3


class Keystream:
    """In the place of the cipher: what it is told to give."""

    def __init__(self, *parts: bytes):
        self.parts = list(parts)

    def update_into(self, data, out):
        given = self.parts.pop(0)
        assert len(given) == len(data)
        out[: len(given)] = given


def test_the_farthest_number_lies_beyond_nine_standard_deviations():
    source = GaussianNoise(1)
    source._cipher = Keystream(bytes(8), bytes(4))
    assert source.fill(np.empty(1, np.float32))[0] == pytest.approx(math.sqrt(2 * 65 * math.log(2)), rel=1e-6)


def test_the_far_tail_is_continuous():
    """Uniform numbers below 2^-20 get more bits: given that, they are uniform below it."""
    pairs = 10_000
    random = np.random.default_rng(3)
    first = random.integers(0, 1 << 12, pairs, np.uint32)
    more = random.integers(0, 1 << 32, pairs, np.uint32)
    source = GaussianNoise(1)
    source._cipher = Keystream(first.tobytes() + np.zeros(pairs, np.uint32).tobytes(), more.tobytes())
    radii = source.fill(np.empty(2 * pairs, np.float32))[:pairs].astype(np.float64)  # the cosine of 0 is 1
    shares = np.exp(-(radii**2) / 2) * 2**20
    assert stats.kstest(shares, "uniform").pvalue > 1e-3
    assert len(np.unique(radii)) > 9_000


@pytest.mark.parametrize("count", [1, 2, 3, 1_001, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_every_number_is_as_in_the_textbook(count):
    """The transform of Box and Muller in double precision, of the same bits."""
    source = GaussianNoise(7)
    secret = source._secret("aes", 48)
    cipher = Cipher(algorithms.AES(secret[:32]), modes.CTR(secret[32:])).encryptor()
    expected: list[float] = []
    while len(expected) < count:
        size = min(BLOCK, count - len(expected))
        pairs = (size + 1) // 2
        words = np.frombuffer(cipher.update(bytes(8 * pairs)), np.uint32).astype(np.float64)
        if (words[:pairs] < 1 << 12).any():
            small = np.flatnonzero(words[:pairs] < 1 << 12)
            words[small] += (np.frombuffer(cipher.update(bytes(4 * len(small))), np.uint32) + 0.5) * 2.0**-32
        radius = np.sqrt(-2 * np.log(words[:pairs] * 2.0**-32))
        angle = words[pairs:] * 2.0**-32 * 2 * np.pi
        expected.extend(np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size])
    found = source.fill(np.empty(count, np.float32), 2.5)
    # Where the logarithm is near 0, the rounding of its argument shows.
    np.testing.assert_allclose(found, 2.5 * np.array(expected), rtol=2e-5, atol=2e-3)


def test_the_standard_deviation_scales():
    np.testing.assert_allclose(drawn(10_001, stddev=0.125), 0.125 * drawn(10_001), rtol=1e-5)


# Independence


@pytest.mark.parametrize("stddev", [1e-35, 1e-24, 1e-15, 1e15, 1e30])
def test_noise_is_not_lost_where_its_square_is_too_small_or_large_for_float32(stddev):
    np.testing.assert_allclose(drawn(1_000, stddev=stddev) / np.float32(stddev), drawn(1_000), rtol=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_numbers_of_a_draw_are_uncorrelated(seed):
    count = 2 * BLOCK
    numbers = drawn(count, seed).astype(np.float64)
    bound = 4.5 / math.sqrt(count / 2)
    for lag in (1, 2, 3, 16, 1_024, PAIRS - 1, PAIRS, PAIRS + 1, BLOCK - 1, BLOCK):
        one, other = numbers[:-lag], numbers[lag:]
        assert abs(np.corrcoef(one, other)[0, 1]) < bound * math.sqrt(count / len(one))
        assert abs(np.corrcoef(one**2, other**2)[0, 1]) < bound * math.sqrt(count / len(one))


def test_both_numbers_of_a_pair_are_independent():
    numbers = drawn(BLOCK * 20, seed=5).reshape(-1, 2, PAIRS)
    one, other = (stats.norm.cdf(numbers[:, place].ravel()) for place in (0, 1))
    counts, _, _ = np.histogram2d(one, other, bins=20, range=[[0, 1], [0, 1]])
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_draws_are_uncorrelated_over_steps():
    source, steps, count = GaussianNoise(6), 200, 3_000
    draws = np.stack([source.fill(np.empty(count, np.float32)) for _ in range(steps)]).astype(np.float64)
    for lag in (1, 2, 10):
        together = (draws[:-lag] * draws[lag:]).sum(axis=1) / math.sqrt(count)
        assert stats.kstest(together, "norm").pvalue > 1e-3
    # And a sum over steps grows as that of independent ones.
    assert stats.kstest(draws.sum(axis=0) / math.sqrt(steps), "norm").pvalue > 1e-3


# Secrecy


def test_equal_seeds_give_equal_streams_and_others_do_not():
    assert np.array_equal(drawn(1_000, seed=1), drawn(1_000, seed=1))
    assert not np.isclose(drawn(1_000, seed=1), drawn(1_000, seed=2)).any()


def test_without_a_seed_each_stream_is_its_own():
    one, other = (GaussianNoise().fill(np.empty(1_000, np.float32)) for _ in range(2))
    assert not np.isclose(one, other, rtol=1e-6).any()


def test_without_a_seed_the_key_comes_from_the_operating_system(monkeypatch):
    asked = []
    monkeypatch.setattr(noise.os, "urandom", lambda size: asked.append(size) or b"k" * size)
    GaussianNoise()
    assert sorted(asked) == [24, 48]


def test_a_forked_process_draws_other_numbers(monkeypatch):
    source = GaussianNoise()
    secret = source._cipher
    monkeypatch.setattr(noise.os, "getpid", lambda: -1)
    source.fill(np.empty(4, np.float32))
    assert source._cipher is not secret
    again = source._cipher
    source.fill(np.empty(4, np.float32))
    assert source._cipher is again


# In TensorFlow


def test_a_graph_draws_anew_each_time_it_runs():
    source = GaussianNoise()
    draw = tf.function(lambda: source.tensor(5, 2.0))
    numbers = np.stack([draw().numpy() for _ in range(2_000)])
    assert numbers.shape == (2_000, 5)
    assert len(np.unique(numbers)) > 9_900
    assert stats.kstest(numbers.ravel() / 2, "norm").pvalue > 1e-4


def test_a_loop_draws_anew_in_each_turn():
    source = GaussianNoise()

    @tf.function
    def draws():
        kept = tf.TensorArray(tf.float32, size=50, element_shape=[100])
        for turn in tf.range(50):
            kept = kept.write(turn, source.tensor(100))
        return kept.stack()

    numbers = draws().numpy()
    assert len(np.unique(numbers)) > 4_990
    assert abs(np.corrcoef(numbers)[~np.eye(50, dtype=bool)]).max() < 0.6


def test_a_draw_is_not_overwritten_by_later_ones():
    source = GaussianNoise()
    draw = tf.function(lambda: source.tensor(100_000))
    first = draw()
    before = first.numpy().copy()
    for _ in range(20):
        draw()
    assert np.array_equal(first.numpy(), before)


def test_eager_draws_are_tensors_too():
    assert GaussianNoise(3).tensor(10, 0.5).numpy() == pytest.approx(drawn(10, seed=3, stddev=0.5))


def test_the_shape_is_known_when_it_is_traced():
    source = GaussianNoise()

    @tf.function
    def draw():
        noise = source.tensor(7)
        assert noise.shape == (7,)
        return noise

    draw()


def test_memory_is_aligned_so_that_it_is_not_copied():
    assert all(GaussianNoise()._fresh(count, 1.0).ctypes.data % 64 == 0 for count in (1, 15, 1_000, 100_001))


# Under XLA


def test_xla_draws_normal_numbers_anew_each_time():
    source = GaussianNoise()
    draw = tf.function(lambda: source.tensor(2_001, 3.0), jit_compile=True)
    numbers = np.stack([draw().numpy() for _ in range(100)]) / 3
    assert source.compiled
    assert stats.kstest(numbers.ravel(), "norm").pvalue > 1e-4
    assert len(np.unique(numbers)) > 199_000
    assert abs(np.corrcoef(numbers)[~np.eye(100, dtype=bool)]).max() < 0.14


def test_the_farthest_number_under_xla_lies_as_far_out():
    """Not at 5.68, where TensorFlow's own end: beyond it, an example could be told by a single weight."""
    made = tf.function(noise._normal, jit_compile=True)
    words = np.array([[0, 0, 1, 5, 2**32 - 1], [0, 1, 0, 2**31, 2**32 - 1], [0, 0, 0, 2**30, 0]], np.uint32)
    numbers = made(tf.constant(words)).numpy()
    uniform = [2.0**-65, 2.0**-64, 2.0**-32, 5.5 * 2.0**-32, 1.0]
    radii = np.sqrt(-2 * np.log(uniform))
    expected = np.concatenate([radii * [1, 1, 1, 0, 1], radii * [0, 0, 0, 1, 0]])
    np.testing.assert_allclose(numbers, expected, rtol=1e-6, atol=1e-6)
    assert numbers.max() > 9


def test_xla_draws_an_odd_count_too():
    source = GaussianNoise()
    assert tf.function(lambda: source.tensor(7), jit_compile=True)().shape == (7,)


@pytest.mark.parametrize("count", [1, 2, 1_001])
def test_xla_draws_every_number_as_in_the_textbook(count):
    source = GaussianNoise()
    pairs = (count + 1) // 2
    words = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[3, pairs],
        key=source._key,
        counter=source._counter + tf.constant([0, 1], tf.uint64),
        alg=1,
        dtype=tf.uint32,
    )
    high, low, turn = words.numpy().astype(np.float64)
    radius = np.sqrt(-2 * np.log((high + (low + 0.5) * 2.0**-32) * 2.0**-32))
    angle = turn * 2.0**-31 * np.pi
    expected = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
    found = tf.function(lambda: source.tensor(count, 2.0), jit_compile=True)()
    np.testing.assert_allclose(found, 2 * expected, rtol=2e-5, atol=2e-3)


def test_xla_draws_of_two_streams_differ():
    def first():
        source = GaussianNoise()
        return tf.function(lambda: source.tensor(100), jit_compile=True)().numpy()

    assert not np.isclose(first(), first(), rtol=1e-6).any()


def test_a_compiled_graph_does_not_hold_the_key():
    source = GaussianNoise()
    graph = tf.function(lambda: source.tensor(10), jit_compile=True).get_concrete_function().graph
    written = graph.as_graph_def().SerializeToString()
    for secret in (source._key, source._counter):
        for value in secret.numpy():
            assert value.tobytes() not in written


def test_the_process_is_looked_up_at_each_draw():
    assert GaussianNoise()._process == os.getpid()
