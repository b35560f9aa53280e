"""Gaussian noise for the gradients, unpredictable and cheap.

Whoever can predict the noise can take it away, so it must come from a cryptographic generator. Ordinary ones
of that kind would be the costliest part of a private step. Here AES-256 in counter mode, which processors
compute by themselves, gives the bits, and the transform of Box & Muller (1958), in blocks that fit the
processor's cache, makes normal numbers of them: about 3 ns a number.

Numbers are float32. The radius comes from a uniform number of 32 bits, or of 64 bits where it is small, so
that the tail reaches beyond 9 standard deviations (a chance of 1e-19 lies outside), under XLA too. What
remains is the caveat of every implementation in floating point (Mironov 2012, "On significance of the least
significant bits for differential privacy"): the numbers lie on a grid that is not quite that of a continuous
distribution, and the proofs are about the latter.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
from typing import Literal

import numpy as np
import tensorflow as tf
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from tensorflow.python.ops import control_flow_util

PAIRS = 1 << 14
"""Pairs of numbers that are made at a time: their scratch is 450 KiB."""
ALIGNMENT = 16
"""TensorFlow takes memory as it is, rather than a copy, where it starts at a multiple of so many float32."""
_RARE = 1 << 12
# Standard deviations whose squares float32 can hold.
_SQUARED = (1e-15, 1e15)
_PHILOX = 1


def in_xla() -> bool:
    """Whether what is traced here will be compiled by XLA, which cannot call Python."""
    return not tf.executing_eagerly() and bool(
        control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())
    )


class GaussianNoise:
    """A stream of independent normal numbers.

    Safe to use from several threads, and in a forked process, which gets a stream of its own.

    Parameters
    ----------
    seed
        For tests alone: equal seeds give equal streams. From the operating system's entropy if not given.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self._lock = threading.Lock()
        self._zeros = memoryview(bytes(8 * PAIRS))
        self._raw = bytearray(8 * PAIRS + 15)  # AES asks for room for a block
        self._words = np.frombuffer(self._raw, np.uint32, 2 * PAIRS)
        self._radii, self._angles, self._parts = (np.empty(PAIRS, np.float32) for _ in range(3))
        self._process = 0
        self._rekey()
        secret = np.frombuffer(self._secret("philox", 24), np.uint64).copy()
        secret[1] >>= np.uint64(1)  # room to count within a draw
        # In variables, not constants: a graph can be written to a file, and a key must not be in it.
        self._key = tf.Variable(secret[:1], trainable=False, dtype=tf.uint64)
        self._counter = tf.Variable(secret[1:], trainable=False, dtype=tf.uint64)
        self.compiled = False
        """Whether a draw was compiled by XLA, where Philox gives the bits."""

    @property
    def source(self) -> Literal["aes-ctr", "philox", "seeded"]:
        """Where what was drawn came from."""
        if self.seed is not None:
            return "seeded"
        return "philox" if self.compiled else "aes-ctr"

    def _secret(self, purpose: str, size: int) -> bytes:
        if self.seed is None:
            return os.urandom(size)
        return hashlib.shake_256(f"{purpose} {self.seed}".encode()).digest(size)

    def _rekey(self) -> None:
        secret = self._secret("aes", 48)
        self._cipher = Cipher(algorithms.AES(secret[:32]), modes.CTR(secret[32:])).encryptor()
        self._process = os.getpid()

    def fill(self, out: np.ndarray, stddev: float = 1.0) -> np.ndarray:
        """Write noise into an array.

        Parameters
        ----------
        out
            float32 of shape ``[n]``.
        stddev
            Standard deviation.

        Returns
        -------
        numpy.ndarray
            `out`.
        """
        at_once = stddev if _SQUARED[0] <= stddev <= _SQUARED[1] else 1.0
        with self._lock:
            if self._process != os.getpid() and self.seed is None:
                self._rekey()
            for start in range(0, len(out), 2 * PAIRS):
                self._fill_block(out[start : start + 2 * PAIRS], at_once)
        if at_once != stddev:
            out *= np.float32(stddev)
        return out

    def _fill_block(self, out: np.ndarray, stddev: float) -> None:
        pairs = (len(out) + 1) // 2
        words = self._words[: 2 * pairs]
        self._cipher.update_into(self._zeros[: 8 * pairs], self._raw)
        radii, angles, parts = self._radii[:pairs], self._angles[:pairs], self._parts[:pairs]

        np.copyto(radii, words[:pairs], casting="unsafe")
        if words[:pairs].min() < _RARE:
            self._refine(radii, words[:pairs])
        radii *= np.float32(2.0**-32)
        np.log(radii, out=radii)
        radii *= np.float32(-2 * stddev * stddev)
        np.sqrt(radii, out=radii)

        np.copyto(angles, words[pairs:].view(np.int32), casting="unsafe")
        angles *= np.float32(math.pi * 2.0**-31)
        np.cos(angles, out=parts)
        np.multiply(parts, radii, out=out[:pairs])
        np.sin(angles, out=parts)
        rest = len(out) - pairs
        np.multiply(parts[:rest], radii[:rest], out=out[pairs:])

    def _refine(self, radii: np.ndarray, words: np.ndarray) -> None:
        """Give the smallest uniform numbers, those of the tail, 32 bits more."""
        small = np.flatnonzero(words < _RARE)
        more = bytearray(4 * len(small) + 15)
        self._cipher.update_into(self._zeros[: 4 * len(small)], more)
        fractions = (np.frombuffer(more, np.uint32, len(small)) + 0.5) * 2.0**-32
        radii[small] = words[small] + fractions

    def tensor(self, count: int, stddev: float = 1.0) -> tf.Tensor:
        """Noise as a tensor, drawn anew each time that it is run.

        Parameters
        ----------
        count
            Numbers.
        stddev
            Standard deviation.

        Returns
        -------
        tf.Tensor
            float32 of shape ``[count]``. Where XLA compiles it, by TensorFlow's Philox with a secret key and
            counter, else by AES.
        """
        if in_xla():
            self.compiled = True
            return self._philox(count) * stddev
        if tf.executing_eagerly():
            return tf.convert_to_tensor(self._fresh(count, stddev))
        drawn = tf.numpy_function(lambda: self._fresh(count, stddev), [], tf.float32)
        drawn.set_shape([count])
        return drawn

    def _fresh(self, count: int, stddev: float) -> np.ndarray:
        # TensorFlow keeps the memory for as long as a step needs it, so that it cannot be used again.
        memory = np.empty(count + ALIGNMENT, np.float32)
        start = -(memory.ctypes.data // memory.itemsize) % ALIGNMENT
        return self.fill(memory[start : start + count], stddev)

    def _philox(self, count: int) -> tf.Tensor:
        # The counter has 128 bits. A draw takes a new value of the upper half, and counts in the lower one.
        counter = self._counter.assign_add(tf.constant([0, 1], tf.uint64), read_value=True)
        words = tf.raw_ops.StatelessRandomUniformFullIntV2(
            shape=[3, (count + 1) // 2], key=self._key, counter=counter, alg=_PHILOX, dtype=tf.uint32
        )
        return _normal(words)[:count]


def _normal(words: tf.Tensor) -> tf.Tensor:
    """Two normal numbers from every column of three words of 32 bits: two for the radius, one for the angle.

    TensorFlow's own normal numbers end at 5.68 standard deviations, since they take 23 bits for the radius.
    """
    high, low, angle = (tf.cast(row, tf.float32) for row in tf.unstack(words))
    uniform = tf.maximum((high + low * 2.0**-32) * 2.0**-32, 2.0**-65)
    radii = tf.sqrt(-2.0 * tf.math.log(uniform))
    angles = angle * (math.pi * 2.0**-31)
    return tf.concat([radii * tf.cos(angles), radii * tf.sin(angles)], axis=0)
