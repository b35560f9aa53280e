"""The records of TFRecord files, and what a user's ``parse`` makes of them, each looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_trust.components.errors import InputError
from tfx_trust.components.examples import reason, serialized_batches
from tfx_trust.components.privacy.data import check_labels, check_weights, mapped, named

Parse = Callable[[tf.Tensor], tuple[Any, ...]]

_READ_ROWS = 512
# What TensorFlow says of a feature, but not of its values.
_SAFE_REASON = re.compile(
    r"(Feature: .* is required but could not be found|Key: [^,]*, Index: \d+\.\s+"
    r"(Number of \w+ values != expected\.\s+Values size: \d+ but output shape: \[[\d,]*\]"
    r"|Data types don't match\.\s+Data type: \w+ but expected type: \w+))"
)


class Records:
    """The records of some files, and what is made of them."""

    def __init__(self, paths: list[str], parse: Parse, *, compressed: bool) -> None:
        self.paths = paths
        self._compressed = compressed
        self._parse = tf.function(parse, input_signature=[tf.TensorSpec([None], tf.string)])
        self.shapes = self._checked_shapes(self._parse.get_concrete_function().structured_outputs)

    def _checked_shapes(self, outputs: Any) -> list[tuple[int, ...]]:
        """The shapes of rows of all that parse makes."""
        if not isinstance(outputs, tuple) or len(outputs) not in (2, 3):
            raise InputError(
                "parse: returns no tuple of (features, labels) or (features, labels, weights); let it do so"
            )
        leaves = named(dict(zip(("features", "labels", "weights"), outputs, strict=False)))
        for name, tensor in leaves:
            if not isinstance(tensor, tf.Tensor | tf.TensorSpec):
                raise InputError(
                    f"{name}: parse makes {type(tensor).__name__} of it; a dense tensor is needed: use "
                    "tf.io.FixedLenFeature, tf.sparse.to_dense or RaggedTensor.to_tensor"
                )
            if tensor.shape.rank == 0:
                raise InputError(f"{name}: parse makes a single value of it; a row for each record is needed")
            if tensor.shape.rank is None or not tensor.shape[1:].is_fully_defined():
                raise InputError(
                    f"{name}: parse makes rows of it whose shape is not fixed ({tensor.shape}); give it one, "
                    "e.g. by tf.ensure_shape, or by to_tensor(shape=...) of a RaggedTensor"
                )
        if not any(name.startswith("features") for name, _ in leaves):
            raise InputError("features: parse returns none; let it return a tensor, or a dict of tensors")
        shapes = [tuple(tensor.shape[1:]) for _, tensor in leaves]
        return shapes if len(outputs) == 3 else [*shapes, ()]

    def __call__(self, serialized: tf.Tensor) -> dict[str, Any]:
        """``features``, ``labels`` and ``weights`` of some records."""
        parsed = dict(zip(("features", "labels", "weights"), self._parse(serialized), strict=False))
        ones = tf.ones(tf.shape(serialized), tf.float32)
        parsed["weights"] = tf.cast(parsed["weights"], tf.float32) if "weights" in parsed else ones
        return parsed

    def raw(self) -> Iterator[tuple[str, int, tf.Tensor]]:
        """All records as they are, some at a time, with their file and the number of the first in it."""
        for path in self.paths:
            try:
                for serialized, first in serialized_batches(path, _READ_ROWS, compressed=self._compressed):
                    yield path, first, serialized
            except InputError:
                self._find_damage(path)
                raise

    def _find_damage(self, path: str) -> None:
        """Raises with the number of the first record that cannot be read, if that is what is wrong."""
        read = 0
        try:
            for _ in tf.data.TFRecordDataset(path, "GZIP" if self._compressed else ""):
                read += 1
        except (tf.errors.DataLossError, tf.errors.OutOfRangeError, tf.errors.InvalidArgumentError) as error:
            hint = "copy or make the file anew"
            if not read:
                hint += f"; if it is {'not ' if self._compressed else ''}compressed, say so by compression"
            raise InputError(
                f"{path}: record {read:,} (counted from 0) is cut short or damaged ({reason(error)}); {hint}"
            ) from None
        except tf.errors.OpError:
            return

    def checked(self) -> Iterator[tuple[tf.Tensor, dict[str, Any]]]:
        """All records with what is made of them, each looked at."""
        try:
            self._look_at(self(tf.constant([], tf.string)), "no record", 0, 0)
        except tf.errors.OpError:
            raise InputError(
                "parse: fails where it is given no record, which happens when a batch is empty; let it "
                "return tensors without rows"
            ) from None
        found = False
        for path, first, serialized in self.raw():
            arrays = self._look_at(
                self._parsed(serialized, path, first), path, first, int(serialized.shape[0])
            )
            if not found:
                self._check_alone(serialized, arrays)
                found = True
            yield serialized, arrays
        if not found:
            others = f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else ""
            raise InputError(
                f"{self.paths[0]}{others}: no records; the training data should be there: make them anew"
            )

    def _check_alone(self, serialized: tf.Tensor, arrays: dict[str, Any]) -> None:
        """Refuses a parse by which one record changes what another becomes."""
        again, alone = self(serialized), self(serialized[:1])
        leaves = (named(arrays), named(again), named(alone))
        for (name, array), (_, repeated), (_, one) in zip(*leaves, strict=True):
            # What is random, such as an augmentation, cannot be told.
            if _same(array, repeated.numpy()) and not _same(array[:1], one.numpy()):
                raise InputError(
                    f"{name}: what parse makes of a record depends on the records beside it, which the "
                    "guarantee does not cover; let it look at each record alone"
                )

    def _parsed(self, serialized: tf.Tensor, path: str, first: int) -> dict[str, Any]:
        try:
            return self(serialized)
        except (tf.errors.OpError, UnicodeDecodeError):
            for place in range(int(serialized.shape[0])):
                try:
                    self(serialized[place : place + 1])
                except (tf.errors.OpError, UnicodeDecodeError) as error:
                    raise InputError(
                        f"{path}: record {first + place:,} (counted from 0) cannot be parsed "
                        f"({_told(error)}); correct it, or leave it out"
                    ) from None
            raise InputError(
                f"{path}: records from {first:,} (counted from 0) can be parsed one by one, but not "
                "together; let parse look at each record alone"
            ) from None

    def _look_at(self, parsed: dict[str, Any], path: str, first: int, rows: int) -> dict[str, Any]:
        """The arrays that were made of some records, or an error about them."""
        arrays: dict[str, Any] = mapped(parsed, lambda _, tensor: tensor.numpy())
        for name, array in named(arrays):
            if len(array) != rows:
                raise InputError(
                    f"{name}: parse makes {len(array):,} rows of {rows:,} records of {path}; a row for each "
                    "is needed"
                )

        def complain(name: str, bad: np.ndarray, what: str) -> None:
            wrong = bad.reshape(rows, -1).any(axis=1)
            if wrong.any():
                place = first + int(wrong.argmax())
                raise InputError(f"{path}: record {place:,} (counted from 0): {name} is {what}")

        if rows:
            check_labels(arrays["labels"], complain)
            check_weights(arrays["weights"], complain)
        return arrays


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype.kind in "fc":
        return bool(np.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True))
    return bool(np.array_equal(one, other))


def _told(error: Exception) -> str:
    """What is wrong with a record, if TensorFlow says it without a value of it."""
    found = _SAFE_REASON.search(str(error))
    return found.group(1) if found else "it is no such record as parse expects"
