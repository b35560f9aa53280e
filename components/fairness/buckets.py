"""Buckets of numeric features: their edges are quantiles of the training examples, never of those judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tfx_trust.components.errors import InputError
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.plan import Kind

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import statistics_pb2

BUCKETS = 4
"""Of a number that has to have buckets and has none in the settings."""
_REMEDY = "name the edges (settings: buckets)"

Edges = list[float]
Find = Callable[[str, int | Edges], Edges]


def edges_for(
    settings: FairnessSettings,
    kinds: Mapping[str, Kind],
    find: Find,
    wide: Callable[[str], bool] = lambda name: False,
) -> dict[str, Edges]:
    """Edges of all features that get buckets.

    These are the ones that the settings give buckets, real numbers, and whole numbers of more values than are
    slices of their own.

    Parameters
    ----------
    settings
        Which features are sliced by and searched.
    kinds
        Kind by name of the columns that there are.
    find
        Edges by the feature's name and what is wanted.
    wide
        Whether a whole number has more values than `settings.max_values`.

    Raises
    ------
    InputError
        If there are none for a feature that is to be sliced by. One that is only searched is left out.
    """
    taken = {settings.label, settings.weight}
    searched = (
        [name for name in kinds if name not in taken] if settings.discover is None else settings.discover
    )
    edges = {}
    for name in dict.fromkeys([*settings.buckets, *settings.features, *searched]):
        kind = kinds.get(name)
        wanted = settings.buckets.get(name)
        if kind is None or kind == "text" or (wanted is None and kind == "integer" and not wide(name)):
            continue
        try:
            edges[name] = find(name, BUCKETS if wanted is None else wanted)
        except InputError:
            if wanted is not None or name in settings.features:
                raise
    return edges


def edges_of(
    statistics: statistics_pb2.DatasetFeatureStatistics | None, name: str, wanted: int | Edges
) -> Edges:
    """Edges of a feature's buckets by its statistics: TFDV's histogram of quantiles inverted.

    Between the quantiles that it has, values are taken to be spread evenly.

    Parameters
    ----------
    statistics
        Of the training examples.
    name
        The feature.
    wanted
        The edges themselves, or a number of buckets with equally many examples. There are fewer where one
        value is too frequent.

    Returns
    -------
    list of float
        Ascending, each once, above the least value and not above the greatest.

    Raises
    ------
    InputError
        If there are no such statistics, or the feature is the same everywhere.
    """
    if isinstance(wanted, list):
        return list(wanted)
    if statistics is None:
        raise InputError(
            f"feature {name!r} is a number without buckets; {_REMEDY}, or give training statistics"
        )
    numbers, whole = _numbers_of(statistics, name)
    for histogram in (*numbers.histograms, *numbers.weighted_numeric_stats.histograms):
        if histogram.type == histogram.QUANTILES and (found := _inverted(histogram, wanted)) is not None:
            least, greatest = _ends(statistics, name)
            return _tidy(found, least, greatest, least + 1 if whole else None, whole, name)
    raise InputError(
        f"the training statistics have no quantiles of feature {name!r}; {_REMEDY}, or make them by "
        "StatisticsGen"
    )


def is_wide(statistics: statistics_pb2.DatasetFeatureStatistics | None, name: str, most: int) -> bool:
    """Whether a whole number spans more than so many values and one more in the training statistics."""
    if statistics is None:
        return False
    try:
        least, greatest = _ends(statistics, name)
    except InputError:
        return False
    return greatest - least > most


def _numbers_of(statistics: Any, name: str) -> tuple[Any, bool]:
    """The numeric statistics of a feature, and whether it is a whole number."""
    for feature in statistics.features:
        if (feature.name or ".".join(feature.path.step)) == name:
            if not feature.HasField("num_stats"):
                raise InputError(f"the training statistics have {name!r} as no number; {_REMEDY}, or none")
            return feature.num_stats, feature.type == feature.INT
    raise InputError(f"the training statistics have no feature {name!r}; {_REMEDY}, or make them anew")


def _ends(statistics: Any, name: str) -> tuple[float, float]:
    numbers, _ = _numbers_of(statistics, name)
    return float(numbers.min), float(numbers.max)


def _inverted(histogram: Any, wanted: int) -> np.ndarray | None:
    """Quantiles of equally many examples, by a histogram's buckets; none if it has no example."""
    filled = [
        (bucket.low_value, bucket.high_value, bucket.sample_count)
        for bucket in histogram.buckets
        if bucket.sample_count > 0 and math.isfinite(bucket.low_value) and math.isfinite(bucket.high_value)
    ]
    if not filled:
        return None
    low, high, count = np.array(filled, float).T
    reached = np.concatenate([[0.0], np.cumsum(count)])
    shares = np.arange(1, wanted) / wanted
    return np.interp(shares * reached[-1], reached, np.concatenate([low[:1], high]))


def edges_of_column(column: pa.ChunkedArray | pa.Array, wanted: int | Edges, name: str = "") -> Edges:
    """Edges of a feature's buckets by its values: quantiles, each a value that occurs.

    Parameters
    ----------
    column
        Numbers of the training examples, of shape ``(rows,)``; those that are null, NaN or infinite do not
        count.
    wanted
        As for :func:`edges_of`.
    name
        The feature's, for the message.

    Returns
    -------
    list of float
        As :func:`edges_of`.

    Raises
    ------
    InputError
        If there is no value, or only one.

    Examples
    --------
    >>> edges_of_column(pa.chunked_array([[1, 2, 3, 4], [5, 6, 7, 8]]), 4)
    [3.0, 5.0, 7.0]
    >>> edges_of_column(pa.array([0.0, 0.0, 0.0, 0.0, 2.5]), 4)
    [2.5]
    """
    if isinstance(wanted, list):
        return list(wanted)
    values = np.sort(finite(column))
    if not len(values) or values[0] == values[-1]:
        raise InputError(
            f"feature {name!r} has {'one value' if len(values) else 'no number'} in the training examples; "
            f"{_REMEDY}"
        )
    # The first value above each share of the examples.
    places = np.minimum(np.ceil(np.arange(1, wanted) * len(values) / wanted).astype(int), len(values) - 1)
    above_least = float(values[np.searchsorted(values, values[0], side="right")])
    return _tidy(values[places], float(values[0]), float(values[-1]), above_least, False, name)


def finite(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """The numbers of a column that are some, float64.

    Raises
    ------
    pa.ArrowInvalid, pa.ArrowNotImplementedError
        If it holds no numbers.
    """
    numbers = column.cast(pa.float64(), safe=False).drop_null()
    values = np.asarray(numbers.to_numpy() if isinstance(numbers, pa.ChunkedArray) else numbers, float)
    return values[np.isfinite(values)]


def _tidy(
    found: np.ndarray, least: float, greatest: float, above_least: float | None, whole: bool, name: str
) -> Edges:
    """Edges with an example on either side, ascending, each once.

    Where so many have the least value that a quantile is it, the next value above is taken if it is known.
    """
    edges = np.ceil(found) if whole else found
    if above_least is not None:
        edges = np.maximum(edges, above_least)
    kept = sorted({float(edge) for edge in edges if least < edge <= greatest})
    if not kept:
        raise InputError(
            f"feature {name!r} has the value {least:.6g} in nearly all training examples; {_REMEDY}, or "
            "leave it out"
        )
    return kept
