"""Training data as Poisson batches of one shape, and data that is in memory."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.privacy.accounting import check_delta, default_delta
from tfx_trust.components.privacy.config import PrivacySettings
from tfx_trust.components.privacy.sampling import PoissonSampler


class Source(ABC):
    """Where the examples of batches come from.

    Attributes
    ----------
    storage : str
        Where they are: ``memory``, ``indexed`` or ``streamed``.
    examples : int
        N.
    types : list of tf.DType
        Of the arrays that `draw` returns.
    """

    storage: str
    examples: int
    types: list[tf.DType]

    @abstractmethod
    def draw(self, sampler: PoissonSampler) -> list[np.ndarray]:
        """The examples of the sampler's next batch, in the source's own form."""

    @abstractmethod
    def batch(self, drawn: list[tf.Tensor], rows: int) -> tuple[Any, Any, tf.Tensor]:
        """Features, labels and weights of what was drawn, in a graph; so many rows, the last ones padding."""


class PrivateData:
    """Training data, drawn by Poisson sampling: what `make_private` and ``fit`` take.

    Made by `private_data`, `private_records` or `private_transformed`.

    Attributes
    ----------
    examples : int
        N, as counted.
    settings : PrivacySettings
        Of the training.
    steps : int
        Batches of a whole training.
    sampler : PoissonSampler
        Draws them.
    dataset : tf.data.Dataset
        Of ``(features, labels, weights)``: `steps` batches, of ``sampler.max_batch`` rows each. What is not
        filled by examples is padding, of weight 0, which comes last: zeros, and empty texts. Weights are
        float32 of shape ``(rows,)``, 1 where none are given. Every iteration draws anew; what shows a batch
        twice, such as ``cache()``, voids the guarantee.
    drawn : int
        Batches that were taken from the dataset so far, over all iterations.
    storage : str
        Where the examples are: ``memory``, ``indexed`` or ``streamed``.

    Examples
    --------
    >>> settings = PrivacySettings(noise_multiplier=1.0, epochs=2, batch_size=100)
    >>> data = private_data({"age": np.arange(1_000.0)}, np.arange(1_000) % 2, settings)
    >>> data.examples, data.steps
    (1000, 20)
    >>> features, labels, weights = next(iter(data))
    >>> features["age"].shape, labels.shape, weights.shape
    (TensorShape([180]), TensorShape([180]), TensorShape([180]))
    >>> bool(np.all(weights.numpy()[-20:] == 0)), data.drawn
    (True, 1)
    """

    def __init__(self, source: Source, settings: PrivacySettings) -> None:
        check_settings(settings, source.examples)
        self.settings = settings
        self.examples = source.examples
        self.storage = source.storage
        self.steps = settings.steps_for(self.examples)
        self.drawn = 0
        self.sampler = PoissonSampler(
            self.examples,
            settings.batch_size / self.examples,
            min(settings.largest_batch, self.examples),
            settings.seed,
        )
        self._source = source
        self._one_at_a_time = threading.Lock()
        options = tf.data.Options()
        # Nothing is drawn ahead, so that what is counted as drawn is what a step was given.
        options.experimental_optimization.inject_prefetch = False
        self.dataset = tf.data.Dataset.range(self.steps).map(self._batch).with_options(options)

    @tf.autograph.experimental.do_not_convert
    def _batch(self, _: tf.Tensor) -> tuple[Any, Any, tf.Tensor]:
        drawn = tf.numpy_function(self._draw, [], self._source.types, stateful=True)
        return self._source.batch(drawn, self.sampler.max_batch)

    def _draw(self) -> list[np.ndarray]:
        with self._one_at_a_time:
            self.drawn += 1
            return self._source.draw(self.sampler)

    def __iter__(self) -> Iterator[tuple[Any, Any, tf.Tensor]]:
        return iter(self.dataset)

    def __len__(self) -> int:
        return self.steps

    def __repr__(self) -> str:
        return (
            f"PrivateData({self.examples:,} examples ({self.storage}), batches of "
            f"{self.settings.batch_size:,} expected and {self.sampler.max_batch:,} at most, "
            f"{self.steps:,} steps)"
        )


def check_settings(settings: PrivacySettings, examples: int) -> None:
    """Raises if batches of so many examples cannot be drawn as the settings say."""
    if settings.sampling != "poisson":
        raise UsageError(
            f"sampling = {settings.sampling!r}, but batches are drawn by Poisson sampling here; leave it "
            "out, or feed a shuffled dataset of your own and give make_private the number of examples instead"
        )
    if settings.examples is not None and settings.examples != examples:
        raise InputError(
            f"examples = {settings.examples:,} in the settings, but the data have {examples:,}; correct it, "
            "or leave it out to have them counted"
        )
    if settings.batch_size > examples:
        raise InputError(
            f"batch_size = {settings.batch_size:,}, but the data have {examples:,} examples; set it to "
            f"{examples:,} or less"
        )
    check_delta(settings.delta or default_delta(examples), examples)


# In memory


def private_data(
    features: Any,
    labels: Any,
    settings: PrivacySettings | Mapping[str, Any],
    weights: Any = None,
) -> PrivateData:
    """Poisson batches of examples that are in memory.

    Parameters
    ----------
    features
        An array of shape ``(examples, ...)``, or a dict of them, as the model takes them. Values are kept as
        they are: those that are not finite make a gradient that is not.
    labels
        An array of shape ``(examples, ...)``, or a dict or tuple of them for a model of several outputs.
    settings
        Of the training.
    weights
        Of the examples, of shape ``(examples,)``; 1 if not given.

    Raises
    ------
    InputError
        If there is no example, arrays differ in length or cannot be put into tensors, a label is missing or
        not finite, a weight is negative or not finite, there are fewer examples than `batch_size`, or not as
        many as `settings.examples` says.
    UsageError
        If a setting is not allowed, such as a delta of 1/N or more, or shuffled sampling.

    Examples
    --------
    >>> settings = PrivacySettings(epsilon=3.0, epochs=20, batch_size=256)
    >>> x, y = np.zeros((5_000, 4), np.float32), np.zeros(5_000)
    >>> private_data(x, y, settings)
    PrivateData(5,000 examples (memory), batches of 256 expected and 384 at most, 391 steps)
    """
    settings = PrivacySettings.of(settings)
    if labels is None:
        raise InputError("labels: none are given; give an array with one a example")
    given = {"features": features, "labels": labels}
    if weights is not None:
        given["weights"] = weights
    arrays = mapped(given, _array)
    _check_lengths(arrays)
    check_labels(arrays["labels"], check_whole)
    if weights is None:
        examples = len(next(array for _, array in named(arrays)))
        arrays["weights"] = np.ones(examples, np.float32)
    check_weights(arrays["weights"], check_whole)
    arrays["weights"] = arrays["weights"].astype(np.float32)
    return PrivateData(MemorySource(arrays), settings)


class MemorySource(Source):
    """Examples as arrays; those of one type and shape are packed side by side, to be gathered together.

    Parameters
    ----------
    arrays
        ``features``, ``labels`` and ``weights``, each an array or a nest of them, all of one length.
    """

    storage = "memory"

    def __init__(self, arrays: dict[str, Any]) -> None:
        flat = [array for _, array in named(arrays)]
        self.examples = len(flat[0])
        groups: dict[tuple[np.dtype, tuple[int, ...]], list[int]] = {}
        for place, array in enumerate(flat):
            groups.setdefault((array.dtype, array.shape[1:]), []).append(place)
        self._places = list(groups.values())
        self._packed = [
            flat[places[0]][:, None]
            if len(places) == 1
            else np.stack([flat[place] for place in places], axis=1)
            for places in self._places
        ]
        self._structure = mapped(arrays, lambda name, array: name)
        self.types = [tf.as_dtype(np.dtype(array.dtype)) for array in self._packed]

    def draw(self, sampler: PoissonSampler) -> list[np.ndarray]:
        """The packed columns of a batch, padded."""
        chosen = sampler.next()
        gathered = []
        for packed in self._packed:
            empty: Any = b"" if packed.dtype == object else 0
            rows = np.full((sampler.max_batch, *packed.shape[1:]), empty, packed.dtype)
            np.take(packed, chosen, axis=0, out=rows[: chosen.size], mode="clip")
            gathered.append(rows)
        return gathered

    def batch(self, drawn: list[tf.Tensor], rows: int) -> tuple[Any, Any, tf.Tensor]:
        """The columns, one by one."""
        columns: dict[int, tf.Tensor] = {}
        for places, packed, tensor in zip(self._places, self._packed, drawn, strict=True):
            tensor.set_shape((rows, *packed.shape[1:]))
            columns.update(zip(places, tf.unstack(tensor, axis=1), strict=True))
        ordered = iter([columns[place] for place in range(len(columns))])
        batch = mapped(self._structure, lambda name, _: next(ordered))
        return batch["features"], batch["labels"], batch["weights"]


# Nests of arrays


def mapped(nest: Any, change: Callable[[str, Any], Any], name: str = "") -> Any:
    """The same nest of dicts and tuples, every leaf changed by what takes its name and it.

    A name is, e.g., ``features['age']``.
    """
    if isinstance(nest, Mapping):
        return {
            key: mapped(value, change, f"{name}[{key!r}]" if name else str(key))
            for key, value in nest.items()
        }
    if isinstance(nest, tuple):
        return tuple(mapped(value, change, f"{name}[{place}]") for place, value in enumerate(nest))
    return change(name, nest)


def named(nest: Any) -> list[tuple[str, Any]]:
    """The leaves of a nest with their names, in the order of `mapped`."""
    leaves: list[tuple[str, Any]] = []
    mapped(nest, lambda name, leaf: leaves.append((name, leaf)))
    return leaves


def _array(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim == 0:
        raise InputError(f"{name}: not an array with a row for each example; give one")
    if array.dtype.kind == "U":
        array = np.char.encode(array, "utf-8").astype(object)
    elif array.dtype.kind == "S":
        array = array.astype(object)
    elif array.dtype.kind == "O":
        array = _texts(name, array)
    try:
        tf.as_dtype(array.dtype)
    except TypeError:
        raise InputError(f"{name}: values of type {array.dtype}; give numbers, booleans or texts") from None
    return array


def _texts(name: str, array: np.ndarray) -> np.ndarray:
    missing = sum(value is None for value in array.flat)
    if missing:
        raise InputError(f"{name}: {missing:,} of {array.size:,} values are missing (None); fill them in")
    try:
        texts: np.ndarray = tf.constant(array, tf.string).numpy()
    except (TypeError, ValueError):
        raise InputError(
            f"{name}: not an array of one type; give numbers, booleans or texts, all rows of one length"
        ) from None
    return texts


def _check_lengths(arrays: dict[str, Any]) -> None:
    lengths = {name: len(array) for name, array in named(arrays)}
    if not any(name.startswith("features") for name in lengths):
        raise InputError("features: none are given; give an array, or a dict of arrays")
    first, examples = next(iter(lengths.items()))
    for name, length in lengths.items():
        if length != examples:
            raise InputError(
                f"{name} has {length:,} rows, {first} has {examples:,}; each needs one a example"
            )
    if not examples:
        raise InputError(f"{first}: no examples; give some")


# What labels and weights may be

Complain = Callable[[str, np.ndarray, str], None]
"""Takes a name, which rows are bad, and what is wrong with them; raises if there are any."""


def check_labels(labels: Any, complain: Complain) -> None:
    """Raises for labels that are not finite."""
    for name, array in named({"labels": labels}):
        if array.dtype.kind in "fc":
            complain(name, ~np.isfinite(array), "missing (NaN) or infinite; leave those examples out")


def check_weights(weights: np.ndarray, complain: Complain) -> None:
    """Raises for weights that are negative, not finite, or not one an example."""
    if weights.ndim != 1 or weights.dtype.kind not in "biuf":
        raise InputError(
            f"weights: of type {weights.dtype} and shape {weights.shape}; one number for each example is "
            "needed"
        )
    complain("weights", ~(np.isfinite(weights) & (weights >= 0)), "negative or not finite; correct them")


def check_whole(name: str, bad: np.ndarray, what: str) -> None:
    """Complains of rows of a whole array."""
    rows = bad.reshape(len(bad), -1).any(axis=1)
    if rows.any():
        raise InputError(
            f"{name}: {int(rows.sum()):,} of {len(rows):,} are {what} (the first is in row "
            f"{int(rows.argmax()):,}, counted from 0)"
        )
