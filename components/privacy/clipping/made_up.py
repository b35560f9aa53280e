"""Made-up inputs and labels of a model, for a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# For axes of no fixed length; the first that the model can be called on.
_LENGTHS = (6, 32, 128)


def inputs_of(model: keras.Model, rows: int) -> Iterator[tuple[Any, Any]]:
    """Inputs of a model for so many examples, and the same with other examples in all places but the first.

    Yields
    ------
    The likeliest to be understood first; none where it is not known what the model takes.
    """
    known = _specs(model)
    if known is None:
        return
    flat, pack = known
    for length in _LENGTHS:
        for numbers in (_normal, _zero_or_one):
            if numbers is _zero_or_one and all(not _is_float(dtype) for _, dtype in flat):
                continue
            made = [_values(shape, dtype, rows, length, numbers) for shape, dtype in flat]
            yield (
                pack([tf.constant(first) for first, _ in made]),
                pack([tf.constant(other) for _, other in made]),
            )
        if all(None not in shape[1:] for shape, _ in flat):
            return


def labels_of(y_pred: Any, rows: int) -> Iterator[tuple[Any, Any]]:
    """Labels for such outputs and the same with others in all places but the first: values, then classes."""
    rng = np.random.default_rng(2)

    def values(tensor: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
        first = rng.integers(0, 2, tensor.shape).astype(np.float32)
        return first, _others(first, 1 - first)

    def classes(tensor: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
        first = rng.integers(0, 2, tensor.shape[:-1] if len(tensor.shape) > 1 else tensor.shape)
        return first, _others(first, 1 - first)

    for kind in (values, classes):
        flat = [kind(tensor) for tensor in keras.tree.flatten(y_pred)]
        yield tuple(
            keras.tree.pack_sequence_as(y_pred, [tf.constant(pair[side]) for pair in flat]) for side in (0, 1)
        )


def _specs(
    model: keras.Model,
) -> tuple[list[tuple[tuple[int | None, ...], str]], Callable[[list[Any]], Any]] | None:
    """Shape and type of each input, and how they are handed over."""
    functional = getattr(model, "_functional", None) or model
    tensors = getattr(functional, "inputs", None)
    if tensors:
        structure = getattr(functional, "_inputs_struct", None)
        specs = [(tuple(each.shape), keras.backend.standardize_dtype(each.dtype)) for each in tensors]
        if any(getattr(each, "sparse", False) or getattr(each, "ragged", False) for each in tensors):
            return None
        if structure is None:
            return specs, lambda flat: flat[0] if len(flat) == 1 else flat
        return specs, lambda flat: keras.tree.pack_sequence_as(structure, flat)
    shapes = getattr(model, "_build_shapes_dict", None)
    if shapes and len(shapes) == 1:
        (shape,) = shapes.values()
        if isinstance(shape, tuple | list) and all(size is None or isinstance(size, int) for size in shape):
            return [(tuple(shape), "float32")], lambda flat: flat[0]
    return None


def _values(
    shape: tuple[int | None, ...],
    dtype: str,
    rows: int,
    length: int,
    numbers: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    whole = (rows, *(length if size is None else size for size in shape[1:]))
    bits = rng.integers(0, 2, whole)
    if dtype == "string":
        return bits.astype(str), _others(bits, 1 - bits).astype(str)
    if dtype == "bool" or not _is_float(dtype):
        return bits.astype(dtype), _others(bits, 1 - bits).astype(dtype)
    first = numbers(rng, whole)
    other = 1 - first if numbers is _zero_or_one else 2 * numbers(rng, whole) + 1
    return first.astype(dtype), _others(first, other).astype(dtype)


def _others(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.concatenate([first[:1], other[1:]])


def _is_float(dtype: str) -> bool:
    return "float" in dtype


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=shape)


def _zero_or_one(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(0, 2, shape)
