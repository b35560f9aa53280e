"""Private analyzers: what a `preprocessing_fn` may learn of the data at a stated cost.

They are used beside tft's own, or in place of them. Each is a Gaussian mechanism: it releases a sum over
the examples with noise whose standard deviation is `noise_multiplier` times the sum's sensitivity, the
greatest change (L2 norm) that adding or removing one example makes. `private_statistics` proves each
sensitivity; it is joint over all columns and all numbers that an analyzer releases. The noise is drawn
once, where Transform's pipeline ends its analysis, from the operating system's entropy, and is a constant
of the transform graph from then on. A run of Transform that is made again draws again, and is a release of
its own.

Beside the numbers an analyzer releases its receipt, from which
:func:`~tfx_trust.components.privacy.transform_graph.analyzers_of` finds its cost again. The number of
examples that were analyzed is in it, exactly: as in all of DP-SGD's accounting, it is taken to be known to
all. How many of them have a value is not.

What must hold for the guarantee: row i of what is given here comes of example i alone. A `preprocessing_fn`
that mixes the rows of a batch (their mean, say) or takes several rows of an example breaks it, as nothing
here can see. Several values of an example in a feature of variable length are seen, and refused.

Examples
--------
A `preprocessing_fn` that learns nothing but what is paid for:

>>> def preprocessing_fn(inputs):
...     age = private_scale_to_z_score(inputs["age"], 17, 90, noise_multiplier=50)
...     town = private_compute_and_apply_vocabulary(inputs["town"], noise_multiplier=50, delta=1e-7)
...     return {"age": age, "town": town}
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.beam.experimental import PTransformAnalyzer

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy import private_statistics as statistics
from tfx_trust.components.privacy.private_statistics import Magnitudes, Moments, Ranks, Receipt, Statistic
from tfx_trust.components.privacy.report import Mechanism
from tfx_trust.components.privacy.transform_graph import RECEIPT_SUFFIX, analyzer_scope

Bounds: TypeAlias = "float | Sequence[float] | tf.Tensor | None"
"""A number, one a column, what `private_bounds` found; or none, to be found."""

_PRIVATE = "tfx_trust_private_analyzers"
# tft's own list of what analyzers put into a graph.
_ANALYZED = "tft_all_replacements"


def private_mean_and_var(
    x: Any,
    low: Bounds = None,
    high: Bounds = None,
    *,
    noise_multiplier: float,
    where: tf.Tensor | None = None,
    name: str | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance of columns, with noise.

    Values are clipped to the bounds. Every column's count, sum and centred sum of squares are released
    together, scaled to [-1, 1] each: the sensitivity is √(3 × columns) under adding or removing an example
    (`private_statistics.Moments` has the proof).

    Parameters
    ----------
    x
        Numbers of shape ``[examples]`` or ``[examples, columns]``; or a `tf.SparseTensor` or
        `tf.RaggedTensor`, one column in which an example has a value or none.
    low, high
        Bounds of the values as they are known without the data, from a code book, say: the noise grows with
        their distance. If not given they are found as `private_bounds` does, in the same analyzer:
        `noise_multiplier` is that of both releases together, each having √2 times as much (Dong, Roth & Su
        2022, "Gaussian differential privacy", corollary 2), and the data is read twice.
    noise_multiplier
        Standard deviation of the noise, in units of the sensitivity.
    where
        Whether a value counts, of the shape of a dense `x`; all do if not given.
    name
        Of the analyzer.

    Returns
    -------
    tuple
        Means and variances, of shape ``[]`` or ``[columns]``, of `x`'s type or float32. The variance is not
        told as less than what the noise could hide, so that it is never negative.

    Raises
    ------
    InputError
        For bounds, multipliers and shapes that are none; in the analysis, for NaN or several values of an
        example.
    """
    with tf.compat.v1.name_scope(name, "private_mean_and_var") as scope:
        columns = _Columns.of(x, where, scope)
        found, middle, half = columns.ask(
            Moments(columns.count), low, high, noise_multiplier, scope, "mean and variance"
        )
        mean, variance = tf.split(found, 2)
        return columns.shaped(middle + half * mean), columns.shaped(half * half * variance)


def private_scale_to_z_score(
    x: Any,
    low: Bounds = None,
    high: Bounds = None,
    *,
    noise_multiplier: float,
    where: tf.Tensor | None = None,
    name: str | None = None,
) -> Any:
    """Columns less their mean, over their standard deviation: `tft.scale_to_z_score` by private moments.

    Parameters
    ----------
    x, low, high, noise_multiplier, where, name
        As of `private_mean_and_var`, which says what it costs.

    Returns
    -------
    tf.Tensor or tf.SparseTensor or tf.RaggedTensor
        Of the kind and shape of `x`, of its type or float32. Values are not clipped.
    """
    with tf.compat.v1.name_scope(name, "private_scale_to_z_score"):
        mean, variance = private_mean_and_var(x, low, high, noise_multiplier=noise_multiplier, where=where)
        return _on_values(x, lambda values: (tf.cast(values, mean.dtype) - mean) / tf.sqrt(variance))


def private_bounds(
    x: Any, *, noise_multiplier: float, where: tf.Tensor | None = None, name: str | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Approximate smallest and greatest values of columns: 0, or powers of two and their negatives.

    By a noisy histogram over powers of two, as in Google's differential privacy library: the sensitivity is
    √columns under adding or removing an example (`private_statistics.Magnitudes` has the proof). Few values
    at the ends may lie outside: those that noise could hide, about 7 noise multipliers of them a cell.

    To have the values of another analyzer bounded, leave out its `low` and `high` rather than give it these.
    An analyzer whose input depends on another's output is a second phase of the analysis, at which the
    Transform of TFX 1.16 fails with its version of Beam, for tft's own analyzers too (1.21 does not).

    Parameters
    ----------
    x, noise_multiplier, where, name
        As of `private_mean_and_var`.

    Returns
    -------
    tuple
        Lower and upper bounds, of shape ``[]`` or ``[columns]``, of `x`'s type or float32.

    Raises
    ------
    InputError
        As `private_mean_and_var`; in the analysis, where no power of two has enough values.
    """
    with tf.compat.v1.name_scope(name, "private_bounds") as scope:
        columns = _Columns.of(x, where, scope)
        magnitudes = Magnitudes(columns.count)
        found = _release(
            magnitudes, columns.values, columns.present, noise_multiplier, scope, f"bounds of {columns.said}"
        )
        low, high = tf.split(found, 2)
        return columns.shaped(low), columns.shaped(high)


def private_quantiles(
    x: Any,
    low: Bounds,
    high: Bounds,
    buckets: int | Sequence[int],
    *,
    noise_multiplier: float,
    where: tf.Tensor | None = None,
    name: str | None = None,
) -> tf.Tensor | list[tf.Tensor]:
    """Quantiles of columns, with noise on their ranks.

    The range is cut into 4096 cells; running sums of the columns' histograms are released together, with
    correlated noise: the sensitivity is √(3.7 × columns) under adding or removing an example
    (`private_statistics.Ranks` has the proof). A rank is off by about 3.7 √columns noise multipliers.

    Parameters
    ----------
    x, low, high, noise_multiplier, where, name
        As of `private_mean_and_var`. Take the logarithm of what is large for few before.
        If the bounds are not known, None and None find them.
    buckets
        Into how many parts, 2 at least; one number, or one a column.

    Returns
    -------
    tf.Tensor or list
        Of shape ``[buckets - 1]``, float32, rising, though not strictly; for several columns a list of such.

    Raises
    ------
    InputError
        As `private_mean_and_var`.
    """
    with tf.compat.v1.name_scope(name, "private_quantiles") as scope:
        columns = _Columns.of(x, where, scope)
        parts = (buckets,) * columns.count if isinstance(buckets, int) else tuple(buckets)
        if len(parts) != columns.count or any(not isinstance(each, int) or each < 2 for each in parts):
            raise InputError(
                f"{scope[:-1]}: buckets must be a whole number of 2 or more, or one for each of the "
                f"{columns.count} columns, found {buckets!r}"
            )
        found, middle, half = columns.ask(Ranks(parts), low, high, noise_multiplier, scope, "quantiles")
        edges = [
            tf.cast(
                tf.maximum(middle[column] + half[column] * each, middle[column] - half[column]), tf.float32
            )
            for column, each in enumerate(tf.split(found, [each - 1 for each in parts]))
        ]
        return edges[0] if columns.flat else edges


def private_bucketize(
    x: Any,
    low: Bounds,
    high: Bounds,
    buckets: int | Sequence[int],
    *,
    noise_multiplier: float,
    where: tf.Tensor | None = None,
    name: str | None = None,
) -> Any:
    """The bucket of each value: `tft.bucketize` by private quantiles.

    Parameters
    ----------
    x, low, high, buckets, noise_multiplier, where, name
        As of `private_quantiles`, which says what it costs. `where` says by which values the buckets are
        made; every value gets one.

    Returns
    -------
    tf.Tensor or tf.SparseTensor or tf.RaggedTensor
        int64, of the kind and shape of `x`: from 0 to `buckets` - 1.
    """
    with tf.compat.v1.name_scope(name, "private_bucketize"):
        edges = private_quantiles(x, low, high, buckets, noise_multiplier=noise_multiplier, where=where)
        if isinstance(edges, list):
            columns = tf.unstack(x, axis=1)
            return tf.stack([_buckets(*each) for each in zip(columns, edges, strict=True)], axis=1)
        if isinstance(x, tf.Tensor) and x.shape.rank == 2:
            return tf.expand_dims(_buckets(tf.squeeze(x, 1), edges), 1)
        return _buckets(x, edges)


def private_vocabulary(
    x: Any,
    *,
    noise_multiplier: float,
    delta: float,
    top_k: int | None = None,
    vocab_filename: str | None = None,
    where: tf.Tensor | None = None,
    name: str | None = None,
) -> Any:
    """The words that are frequent, the most frequent first: a file, as `tft.vocabulary` writes it.

    A word's count gets noise, and it is kept where that exceeds a threshold that a word of a single example
    exceeds with a probability of `delta` at most (Korolova et al. 2009, with Gaussian noise). An example
    contributes one word: the sensitivity is 1 under adding or removing one (`private_statistics.threshold`
    has the proof). Counts are not released. Where the words are known without the data, do not look for
    them: a table of them costs nothing.

    Parameters
    ----------
    x
        Texts or whole numbers of shape ``[examples]``; or a `tf.SparseTensor` or `tf.RaggedTensor` in which
        an example has one or none. Empty texts and those with a line break are left out.
    noise_multiplier
        Standard deviation of the noise on a count.
    delta
        The probability that a word is seen that one example alone has. It adds to that of the guarantee:
        far below one in the number of examples.
    top_k
        How many words to keep; all that exceed the threshold if not given.
    vocab_filename
        Name of the file; made of the analyzer's name if not given.
    where
        Whether a word counts, of the shape of a dense `x`; all do if not given.
    name
        Of the analyzer.

    Returns
    -------
    tf.Tensor
        Path of the file, for `tft.apply_vocabulary`. Where no word is frequent enough it has one that
        nothing equals.

    Raises
    ------
    InputError
        For settings that are none; in the analysis, for several values of an example.
    """
    with tf.compat.v1.name_scope(name, "private_vocabulary") as scope:
        multiplier = _checked(noise_multiplier, scope)
        if not 0 < delta < 0.5:
            raise InputError(
                f"{scope[:-1]}: delta must be above 0 and below 0.5, far below 1/N, found {delta!r}"
            )
        if top_k is not None and top_k < 1:
            raise InputError(f"{scope[:-1]}: top_k must be 1 or more, found {top_k!r}")
        words, present = _words(x, where, scope)
        filename = _filename(vocab_filename or f"vocab_{scope[:-1]}")
        tft.annotate_asset(vocab_filename or filename, filename)
        nothing = statistics.NOTHING["string" if x.dtype == tf.string else "int64"]
        mechanism = Mechanism(what=scope[:-1], noise_multiplier=multiplier, examples=1, extra_delta=delta)
        receipt = Receipt(
            mechanism=mechanism, found="the frequent values", depends=_unprotected([words, present])
        )
        path, other = tft.experimental.ptransform_analyzer(
            [words, present],
            _Words(receipt, filename, nothing, top_k),
            [tf.string, tf.string],
            [[], []],
            # All or none of the outputs of an analyzer are files.
            output_asset_default_values=[nothing, b""],
        )
        _remember(path)
        _remember(other)
        return path


def private_compute_and_apply_vocabulary(
    x: Any,
    *,
    noise_multiplier: float,
    delta: float,
    default_value: int = -1,
    num_oov_buckets: int = 0,
    top_k: int | None = None,
    vocab_filename: str | None = None,
    where: tf.Tensor | None = None,
    name: str | None = None,
) -> Any:
    """The position of each word: `tft.compute_and_apply_vocabulary` with a private vocabulary.

    Parameters
    ----------
    x, noise_multiplier, delta, top_k, vocab_filename, where, name
        As of `private_vocabulary`, which says what it costs.
    default_value, num_oov_buckets
        What words outside of it get, as of `tft.apply_vocabulary`.

    Returns
    -------
    tf.Tensor or tf.SparseTensor or tf.RaggedTensor
        int64, of the kind and shape of `x`.
    """
    with tf.compat.v1.name_scope(name, "private_compute_and_apply_vocabulary"):
        path = private_vocabulary(
            x,
            noise_multiplier=noise_multiplier,
            delta=delta,
            top_k=top_k,
            vocab_filename=vocab_filename,
            where=where,
        )
        return tft.apply_vocabulary(x, path, default_value=default_value, num_oov_buckets=num_oov_buckets)


# Tensors


@dataclass(frozen=True)
class _Columns:
    """Numbers of examples, and which of them are there."""

    values: tf.Tensor
    """float64 of shape ``[examples, columns]``; 0 where there is none."""
    present: tf.Tensor
    """int64, the same shape: how many values."""
    count: int
    """Columns."""
    flat: bool
    """Whether `x` had no columns."""
    dtype: tf.DType
    """Of what is returned."""

    @classmethod
    def of(cls, x: Any, where: tf.Tensor | None, scope: str) -> _Columns:
        dtype = x.dtype if x.dtype.is_floating else tf.float32
        if not (x.dtype.is_floating or x.dtype.is_integer):
            raise InputError(f"{scope[:-1]}: x must be numbers, found {x.dtype.name}")
        if not isinstance(x, tf.Tensor):
            sparse = _sparse(x, where, scope)
            rows, count = _rows(sparse)
            values = tf.math.unsorted_segment_sum(tf.cast(sparse.values, tf.float64), rows, tf.size(count))
            return cls(values[:, None], count[:, None], 1, True, dtype)
        if x.shape.rank not in (1, 2) or (x.shape.rank == 2 and x.shape[1] is None):
            raise InputError(
                f"{scope[:-1]}: x must have shape [examples] or [examples, columns], found {x.shape}"
            )
        values = tf.cast(x if x.shape.rank == 2 else x[:, None], tf.float64)
        here = _where(where, x, scope)
        here = here if x.shape.rank == 2 else here[:, None]
        return cls(
            tf.where(here, values, tf.zeros_like(values)),
            tf.cast(here, tf.int64),
            int(values.shape[1]),
            x.shape.rank == 1,
            dtype,
        )

    @property
    def said(self) -> str:
        return "a column" if self.count == 1 else f"{self.count} columns"

    def ask(
        self, statistic: Statistic, low: Bounds, high: Bounds, noise_multiplier: float, scope: str, what: str
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """What a statistic tells of the columns, scaled; middle and half the width of the bounds, float64."""
        found = f"{what} of {self.said}"
        if low is None and high is None:
            told = _release(
                statistic, self.values, self.present, noise_multiplier, scope, f"bounds, {found}", within=True
            )
            ends = tf.split(told, [self.count, self.count, statistic.outputs])
            return ends[2], *_middle_and_half(*ends[:2])
        if low is None or high is None:
            raise InputError(f"{scope[:-1]}: give low and high, or neither; found low = {low}, high = {high}")
        if isinstance(low, tf.Tensor) or isinstance(high, tf.Tensor):
            ends = [tf.cast(each, tf.float64) + tf.zeros([self.count], tf.float64) for each in (low, high)]
        else:
            known = statistics.checked_bounds(low, high, self.count, scope[:-1])
            ends = [tf.constant(each) for each in known]
        middle, half = _middle_and_half(*ends)
        scaled = (self.values - middle) / half
        return _release(statistic, scaled, self.present, noise_multiplier, scope, found), middle, half

    def shaped(self, found: tf.Tensor) -> tf.Tensor:
        """What was found of each column, as it is returned."""
        return tf.cast(tf.squeeze(found, 0) if self.flat else found, self.dtype)


def _middle_and_half(low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """As of `private_statistics`, of tensors."""
    half = (high - low) / 2
    return (low + high) / 2, tf.where(half > 0, half, tf.ones_like(half))


def _words(x: Any, where: tf.Tensor | None, scope: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Texts of shape ``[examples]``, and how many there are, int64."""
    if not (x.dtype == tf.string or x.dtype.is_integer):
        raise InputError(f"{scope[:-1]}: x must be texts or whole numbers, found {x.dtype.name}")
    if isinstance(x, tf.Tensor):
        if x.shape.rank != 1:
            raise InputError(f"{scope[:-1]}: x must have shape [examples], found {x.shape}")
        words, present = x, tf.cast(_where(where, x, scope), tf.int64)
    else:
        sparse = _sparse(x, where, scope)
        rows, present = _rows(sparse)
        # The first of each row; where there are more, counting refuses.
        first = tf.math.unsorted_segment_min(tf.range(tf.size(rows)), rows, tf.size(present))
        padded = tf.concat([sparse.values, tf.zeros([1], x.dtype)], 0)
        words = tf.gather(padded, tf.minimum(first, tf.size(rows)))
    words = words if x.dtype == tf.string else tf.strings.as_string(words)
    unwritable = tf.strings.regex_full_match(words, r"|\C*[\n\r]\C*")
    return words, tf.where(unwritable & (present == 1), tf.zeros_like(present), present)


def _where(where: tf.Tensor | None, x: tf.Tensor, scope: str) -> tf.Tensor:
    if where is None:
        return tf.ones_like(x, tf.bool)
    if where.dtype != tf.bool or not where.shape.is_compatible_with(x.shape):
        raise InputError(
            f"{scope[:-1]}: where must be bool of the shape of x, {x.shape}, found {where.dtype.name} of "
            f"{where.shape}"
        )
    return where


def _sparse(x: Any, where: tf.Tensor | None, scope: str) -> tf.SparseTensor:
    if where is not None:
        raise InputError(
            f"{scope[:-1]}: where is for a dense x; in this one, what does not count can be left out"
        )
    return x.to_sparse() if isinstance(x, tf.RaggedTensor) else x


def _rows(sparse: tf.SparseTensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The example of each value, and how many values each example has."""
    rows = sparse.indices[:, 0]
    examples = tf.cast(sparse.dense_shape[0], tf.int32)
    return rows, tf.cast(tf.math.unsorted_segment_sum(tf.ones_like(rows), rows, examples), tf.int64)


def _on_values(x: Any, function: Any) -> Any:
    if isinstance(x, tf.SparseTensor):
        return tf.SparseTensor(x.indices, function(x.values), x.dense_shape)
    if isinstance(x, tf.RaggedTensor):
        return x.with_flat_values(function(x.flat_values))
    return function(x)


def _buckets(x: Any, edges: tf.Tensor) -> Any:
    return tft.apply_buckets(x, tf.expand_dims(edges, 0))


# Analysis


def _release(
    statistic: Statistic,
    values: tf.Tensor,
    present: tf.Tensor,
    noise_multiplier: float,
    scope: str,
    found: str,
    *,
    within: bool = False,
) -> tf.Tensor:
    """What a statistic tells, by an analyzer of Transform.

    Returns
    -------
    tf.Tensor
        float64: the statistic's outputs. With `within`, the lower and upper bounds of the columns before
        them, which the values were scaled by.
    """
    multiplier = _checked(noise_multiplier, scope)
    receipt = Receipt(
        # Examples are counted in the analysis.
        mechanism=Mechanism(what=scope[:-1], noise_multiplier=multiplier, examples=1),
        found=found,
        depends=_unprotected([values, present]),
    )
    columns = int(values.shape[1])
    (texts,) = tft.experimental.ptransform_analyzer(
        [values, present],
        _Within(statistic, Magnitudes(columns), receipt)
        if within
        else tft.experimental.CacheablePTransformAnalyzer(
            _Sum(statistic, scope[:-1]), _AddSums(statistic), _Tell(statistic, receipt), _SumCoder()
        ),
        [tf.string],
        [[1 + (2 * columns if within else 0) + statistic.outputs]],
    )
    _remember(texts)
    # The receipt and the numbers are one constant, so that neither is kept without the other.
    return tf.strings.to_number(texts[1:], tf.float64)


def _checked(noise_multiplier: float, scope: str) -> float:
    if not tf.inside_function():
        raise InputError(
            f"{scope[:-1]}: under TensorFlow 1's behaviour its cost could not be found again; run Transform "
            "without force_tf_compat_v1"
        )
    return statistics.checked_multiplier(noise_multiplier, scope[:-1])


def _remember(tensor: Any) -> None:
    """Note an output as a private analyzer's, until it is replaced by what it found."""
    if tf.is_symbolic_tensor(tensor):
        tf.compat.v1.add_to_collection(_PRIVATE, tensor.name)


def _unprotected(tensors: Iterable[tf.Tensor]) -> list[str]:
    """Names of the analyzers without privacy that some tensors were made with."""
    graph = tf.compat.v1.get_default_graph()
    private = set(graph.get_collection(_PRIVATE))
    sinks = graph.get_collection(_ANALYZED)
    others = {sink.tensor.op.name for sink in sinks if sink.tensor.name not in private}
    open_ = [tensor.op for tensor in tensors if tf.is_symbolic_tensor(tensor)]
    seen, found = {operation.name for operation in open_}, set()
    while open_:
        operation = open_.pop()
        if operation.name in others:
            found.add(analyzer_scope(operation.name))
        for before in (*(tensor.op for tensor in operation.inputs), *operation.control_inputs):
            if before.name not in seen:
                seen.add(before.name)
                open_.append(before)
    return sorted(found)


class _Sum(beam.PTransform):
    """Batches to their sums, with the number of examples before them."""

    def __init__(self, statistic: Statistic, name: str) -> None:
        super().__init__()
        self._statistic = statistic
        self._name = name

    def __repr__(self) -> str:
        # Transform's cache of analyzers tells them by this.
        made_with = (self._statistic, statistics.GRID, statistics.CELLS, statistics.EXPONENTS)
        return f"{type(self).__name__}{made_with!r}"

    def expand(self, batches: Any) -> Any:
        return batches | beam.MapTuple(self._sum)

    def _sum(self, values: np.ndarray, present: np.ndarray) -> np.ndarray:
        statistics.checked(values, present, self._name)
        return np.concatenate([[len(values)], self._statistic.sums(values, present)])


class _AddSums(beam.PTransform):
    """Sums to one."""

    def __init__(self, statistic: Statistic) -> None:
        super().__init__()
        self._size = 1 + statistic.size

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._size})"

    def expand(self, sums: Any) -> Any:
        return sums | beam.CombineGlobally(_Total(self._size))


class _Total(beam.CombineFn):
    def __init__(self, size: int) -> None:
        self._size = size

    def create_accumulator(self) -> np.ndarray:
        return np.zeros(self._size, np.int64)

    def add_input(self, total: np.ndarray, part: np.ndarray) -> np.ndarray:
        return total + part

    def merge_accumulators(self, totals: Iterable[np.ndarray]) -> np.ndarray:
        return sum(totals, self.create_accumulator())

    def extract_output(self, total: np.ndarray) -> np.ndarray:
        return total


class _SumCoder(tft.experimental.PTransformAnalyzerCacheCoder):
    def encode_cache(self, accumulator: np.ndarray) -> bytes:
        return np.ascontiguousarray(accumulator, "<i8").tobytes()

    def decode_cache(self, encoded_accumulator: bytes) -> np.ndarray:
        return np.frombuffer(encoded_accumulator, "<i8").astype(np.int64)


class _Tell(beam.PTransform):
    """The sum to what is told of it: a receipt, and numbers as texts."""

    def __init__(self, statistic: Statistic, receipt: Receipt) -> None:
        super().__init__()
        self._statistic = statistic
        self._receipt = receipt.model_dump_json()

    def expand(self, total: Any) -> Any:
        return total | beam.Map(self._tell)

    def _tell(self, total: np.ndarray) -> np.ndarray:
        receipt = _filled(self._receipt, int(total[0]))
        return _told(receipt, self._statistic.released(total[1:], receipt.mechanism.noise_multiplier))


class _Within(beam.PTransform):
    """Batches to what is told of them within bounds that are found first: a receipt, and numbers as texts."""

    def __init__(self, statistic: Statistic, magnitudes: Magnitudes, receipt: Receipt) -> None:
        super().__init__()
        self._statistic = statistic
        self._magnitudes = magnitudes
        self._receipt = receipt.model_dump_json()
        self._name = receipt.mechanism.what
        self._multiplier = math.sqrt(2) * receipt.mechanism.noise_multiplier

    def expand(self, batches: Any) -> Any:
        bounds = (
            batches
            | "SumMagnitudes" >> _Sum(self._magnitudes, self._name)
            | "AddMagnitudes" >> _AddSums(self._magnitudes)
            | "Bounds" >> beam.Map(lambda total: self._magnitudes.released(total[1:], self._multiplier))
        )
        return (
            batches
            | "Sum" >> beam.Map(self._sum, beam.pvalue.AsSingleton(bounds))
            | "Add" >> beam.CombinePerKey(_Total(1 + self._statistic.size))
            | "Collect" >> beam.combiners.ToList()
            | "Tell" >> beam.Map(self._tell)
        )

    def _sum(
        self, batch: tuple[np.ndarray, np.ndarray], bounds: np.ndarray
    ) -> tuple[tuple[float, ...], np.ndarray]:
        values, present = batch
        middle, half = statistics.middle_and_half(*bounds.reshape(2, -1))
        sums = self._statistic.sums((values - middle) / half, present)
        # A runner that drew bounds twice, having lost them, is found out by the key.
        return tuple(bounds.tolist()), np.concatenate([[len(values)], sums])

    def _tell(self, totals: list[tuple[tuple[float, ...], np.ndarray]]) -> np.ndarray:
        if len(totals) > 1:
            raise InputError(
                f"{self._name}: the runner computed the bounds more than once; give low and high, or use "
                "another runner"
            )
        bounds, total = totals[0] if totals else ((), np.zeros(1))
        receipt = _filled(self._receipt, int(total[0]))
        return _told(receipt, [*bounds, *self._statistic.released(total[1:], self._multiplier)])


def _told(receipt: Receipt, numbers: Iterable[float]) -> np.ndarray:
    texts = [receipt.model_dump_json(), *(repr(float(number)) for number in numbers)]
    return np.array([text.encode() for text in texts], object)


def _filled(receipt: str, examples: int) -> Receipt:
    found = Receipt.model_validate_json(receipt)
    if not examples:
        raise InputError(f"{found.mechanism.what}: there are no examples")
    return found.model_copy(update={"mechanism": found.mechanism.model_copy(update={"examples": examples})})


# Vocabularies: counts by word, and the number of examples under None


class _Words(PTransformAnalyzer):
    """Batches to the paths of a vocabulary and of its receipt."""

    def __init__(self, receipt: Receipt, filename: str, nothing: bytes, top_k: int | None) -> None:
        super().__init__()
        self._receipt = receipt.model_dump_json()
        self._filename = filename
        self._nothing = nothing
        self._top_k = top_k

    def expand(self, batches: Any) -> Any:
        mechanism = Receipt.model_validate_json(self._receipt).mechanism
        written = (
            batches
            | "Count" >> beam.FlatMap(_counted, mechanism.what)
            | "Add" >> beam.CombinePerKey(sum)
            | "AddNoise" >> beam.FlatMap(_noisy, mechanism.noise_multiplier, mechanism.extra_delta)
            | "Collect" >> beam.combiners.ToList()
            | "Write" >> beam.Map(self._write, self.base_temp_dir)
        )
        return tuple(
            written | which >> beam.Map(lambda paths, at: paths[at], at)
            for at, which in enumerate(("Vocabulary", "Receipt"))
        )

    def _write(self, counts: list[tuple[bytes | None, float]], folder: str) -> tuple[np.ndarray, np.ndarray]:
        noisy = dict(counts)
        receipt = _filled(self._receipt, int(noisy.pop(None, 0)))
        words = statistics.ordered(noisy, self._top_k) or [self._nothing]  # type: ignore[arg-type]
        content = b"".join(word + b"\n" for word in words)
        receipt = receipt.model_copy(update={"sha256": statistics.digest(content)})
        tf.io.gfile.makedirs(folder)
        paths = [os.path.join(folder, self._filename + suffix) for suffix in ("", RECEIPT_SUFFIX)]
        for path, written in zip(paths, (content, receipt.model_dump_json().encode()), strict=True):
            with tf.io.gfile.GFile(path, "wb") as file:
                file.write(written)
        return np.array(paths[0]), np.array(paths[1])


def _counted(batch: tuple[np.ndarray, np.ndarray], name: str) -> Iterator[tuple[bytes | None, int]]:
    words, present = batch
    statistics.checked(words, present, name)
    yield None, len(words)
    found, counts = np.unique(words[present > 0].astype(object), return_counts=True)
    yield from ((bytes(word), int(count)) for word, count in zip(found, counts, strict=True))


def _noisy(
    counted: tuple[bytes | None, int], noise_multiplier: float, delta: float
) -> Iterator[tuple[bytes | None, float]]:
    word, count = counted
    if word is None:
        yield word, count
    elif (noisy := statistics.noisy_count(count, noise_multiplier, delta)) is not None:
        yield word, noisy


def _filename(name: str) -> str:
    """A name of a file, made as tft makes those of its vocabularies."""
    from tensorflow_transform import analyzers

    return str(analyzers.sanitized_vocab_filename(name))
