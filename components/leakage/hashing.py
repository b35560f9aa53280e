"""128-bit keys of rows, made column by column.

A row's key is the sum, modulo 2⁶⁴ in each of two lanes, of one term a column, and a term depends on
the column's name and value alone. So keys do not depend on the order of columns or rows or on how
rows are batched; the key without a column is the key less its term; and a missing value, which adds
nothing, equals an absent column. Two lanes make an accidental match improbable (about n² / 2¹²⁹ for n
different rows) even where rows are dropped because of it. They are no defence against somebody who
constructs rows to collide.

All arrays here are uint64, of shape ``(2, …)``: a lane each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

LANES = 2
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# A float that is no integer must not share its bits with an integer.
_FRACTION = np.uint64(0xA24BAED4963EE407)
# And an unsigned integer beyond the signed ones not those of a negative.
_BEYOND_INT64 = np.uint64(0xC2B2AE3D27D4EB4F)
# One for each lane, so that the lengths of texts are hashed in two ways.
_LENGTHS = np.array([0x9FB21C651E98DF25, 0x3C6EF372FE94F82B], np.uint64)


def mix(values: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64 (Steele, Lea & Flood 2014): a bijection that scatters bits.

    Parameters
    ----------
    values
        uint64, any shape; left as it is.
    """
    mixed = values ^ (values >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def seeds_of(names: Sequence[str]) -> np.ndarray:
    """Seeds of columns, uint64 of shape ``(2, names)``, from their names alone."""
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=16).digest() for name in names)
    return np.ascontiguousarray(np.frombuffer(digests, np.uint64).reshape(len(names), LANES).T)


def of_integers(values: np.ndarray) -> np.ndarray:
    """Hashes of whole numbers, uint64 of the shape of `values` (int64 or uint64).

    A number has one hash whichever of the two types it has. There are more numbers than hashes, but the
    numbers beyond int64 share theirs with none of the small ones that occur.
    """
    if values.dtype.kind == "i":
        return values.astype(np.int64, copy=False).view(np.uint64)
    return np.where(values >> np.uint64(63), values ^ _BEYOND_INT64, values)


def of_reals(values: np.ndarray) -> np.ndarray:
    """Hashes of floating point numbers: a whole one has that of the int64, and −0.0 that of 0.0.

    NaN must have been taken out as missing.
    """
    values = values.astype(np.float64, copy=False)
    whole = (values >= -(2.0**63)) & (values < 2.0**63) & (values == np.floor(values))
    bits = values.view(np.uint64) ^ _FRACTION
    return np.where(whole, np.where(whole, values, 0).astype(np.int64).view(np.uint64), bits)


def of_texts(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Hashes of byte strings, uint64 of shape ``(2, strings)``.

    Parameters
    ----------
    data
        uint8: all strings, one after the other.
    offsets
        int64 of shape ``(strings + 1,)``: where each begins and ends.
    """
    lengths = np.diff(offsets)
    words = -(-lengths // 8)
    total = int(words.sum())
    # Eight bytes at a time, from any offset; the last word of a string is cut to its bytes.
    padded = np.zeros(len(data) + 8, np.uint8)
    padded[: len(data)] = data
    unaligned: np.ndarray = np.ndarray((len(data) + 1,), "<u8", padded.data, strides=(1,))
    ends = np.cumsum(words)
    number = np.arange(total) - np.repeat(ends - words, words)
    taken = unaligned[np.repeat(offsets[:-1], words) + 8 * number]
    left = np.minimum(np.repeat(lengths, words) - 8 * number, 8).astype(np.uint64)
    taken &= ~np.uint64(0) >> (np.uint64(64) - np.uint64(8) * left)
    hashes = np.empty((LANES, len(lengths)), np.uint64)
    filled = words > 0
    for lane in range(LANES):
        terms = mix(taken + _GOLDEN * (number.astype(np.uint64) * np.uint64(LANES) + np.uint64(lane + 1)))
        sums = np.zeros(len(lengths), np.uint64)
        if total:
            sums[filled] = np.add.reduceat(terms, (ends - words)[filled])
        hashes[lane] = mix(sums ^ mix(lengths.astype(np.uint64) + _LENGTHS[lane]))
    return hashes


def terms(
    values: np.ndarray, seed: np.ndarray, splits: np.ndarray | None = None, valid: np.ndarray | None = None
) -> np.ndarray:
    """What a column adds to the keys of its rows, uint64 of shape ``(2, rows)``.

    The place of a value in its list counts, and a list of one is nothing special: a value has the same
    term in a batch where every row has one value and in a batch where some have none or two.

    Parameters
    ----------
    values
        Hashes of the column's values, uint64 of shape ``(2, values)``.
    seed
        The column's, uint64 of shape ``(2,)``.
    splits
        int64 of shape ``(rows + 1,)``: where the values of each row begin and end; one a row if none.
    valid
        bool of shape ``(values,)``: which values are there; the others add nothing.
    """
    if splits is None or (len(splits) == values.shape[1] + 1 and bool((np.diff(splits) == 1).all())):
        alone = mix(values ^ seed[:, None])
        if valid is not None:
            alone[:, ~valid] = 0
        return alone
    lengths = np.diff(splits)
    places = np.arange(values.shape[1]) - np.repeat(splits[:-1], lengths)
    scattered = mix(values ^ (seed[:, None] + _GOLDEN * places.astype(np.uint64)))
    if valid is not None:
        scattered[:, ~valid] = 0
    sums = np.zeros((LANES, len(lengths)), np.uint64)
    filled = lengths > 0
    if values.shape[1]:
        sums[:, filled] = np.add.reduceat(scattered, splits[:-1][filled], axis=1)
    return sums
