"""A random sample of the records of a split, the same however they are ordered or sharded."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfx_trust.components.examples import BATCH_ROWS, serialized_batches

_BUCKETS = 2**62
_SALT = 0x5DEECE66D


@dataclass(frozen=True)
class Sampled:
    """Records of a split, chosen at random.

    Attributes
    ----------
    records
        Serialized tf.Examples, object of shape ``(rows,)``, in random order.
    places
        Number of each in the split, counted over all files, int64 of shape ``(rows,)``.
    total
        How many the split has.
    """

    records: np.ndarray
    places: np.ndarray
    total: int

    @property
    def rows(self) -> int:
        """Number of records in the sample."""
        return len(self.records)


def sample_records(files: Sequence[str], most: int, seed: int | None) -> Sampled:
    """So many records of some files, each equally likely to be among them; all if there are no more.

    Those with the smallest keyed hashes (a bottom-k sample, Cohen & Kaplan 2007), in their order: which ones
    these are, and in which order, depends on their content and the seed alone. All files are read, and at
    most a batch beyond the sample is held.

    Parameters
    ----------
    files
        TFRecord files of serialized tf.Examples.
    most
        Greatest number of records.
    seed
        Key of the hashes; one from the operating system's entropy if not given.

    Raises
    ------
    InputError
        If a file is missing or damaged.
    """
    key = [secrets.randbits(63) if seed is None else seed, _SALT]
    ranks, places, records = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, object)
    total = 0
    for path in files:
        for batch, _ in serialized_batches(path, BATCH_ROWS):
            rank = tf.strings.to_hash_bucket_strong(batch, _BUCKETS, key).numpy()
            chosen = np.flatnonzero(rank < ranks[-1]) if len(ranks) >= most else np.arange(len(rank))
            if len(chosen):
                ranks = np.concatenate([ranks, rank[chosen]])
                places = np.concatenate([places, total + chosen])
                records = np.concatenate([records, tf.gather(batch, chosen).numpy()])
                order = np.argsort(ranks, kind="stable")[:most]
                ranks, places, records = ranks[order], places[order], records[order]
            total += len(rank)
    return Sampled(records, places, total)
