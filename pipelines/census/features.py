"""The transformation of raw census examples into what the model reads.

Of the columns of `data.COLUMNS`, the survey weight is left out. The categories are those that the
curated schema lists, and the edges of buckets are round numbers: they are public, and nothing is learnt of
them from anybody's record. Means and variances are learnt, from the train split alone: give Transform
``SplitsConfig(analyze=["train"], transform=["train", "eval"])``. They ship with the model, and so are
computed privately: with noise that costs next to nothing beside the training's.
"""

import math
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust import schemas
from tfx_trust.components.privacy.analyzers import private_scale_to_z_score
from tfx_trust.pipelines.census.data import LABEL

# The least and the greatest value that the census bureau's code book allows.
_SCALED = {"age": (17, 90), "education_num": (1, 16), "hours_per_week": (1, 99)}
# A few large amounts among zeros: their logarithm is scaled.
_AMOUNTS = {"capital_gain": (0, 99_999), "capital_loss": (0, 4_356)}
_CATEGORIES = (
    "workclass",
    "education",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "native_country",
)
_EDGES = {
    "age": [20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70],
    "hours_per_week": [20, 30, 35, 40, 41, 50, 60],
    "capital_gain": [1, *range(500, 10_000, 500), 10_000, 15_000, 20_000, 50_000],
    "capital_loss": [1, *range(1_000, 3_001, 100)],
}
_NOISE = 40.0
"""Standard deviation of the noise on the sums that means and variances come of, in units of what an example
can make a difference."""
RAW_FEATURES = (*_SCALED, *_AMOUNTS, *_CATEGORIES)
"""Columns that the transformation reads, and so all that the model needs at serving."""

NUMERIC_FEATURES = tuple(f"{name}_scaled" for name in (*_SCALED, *_AMOUNTS))
"""Transformed features of type float32: mean 0 and standard deviation 1 on the train split, but for noise."""

BUCKETED_FEATURES = tuple(f"{name}_bucket" for name in _EDGES)

INTEGER_FEATURES = tuple(f"{name}_id" for name in _CATEGORIES) + BUCKETED_FEATURES
"""Transformed features of type int64: positions from 0 in a list of categories, or of buckets."""

FEATURES = NUMERIC_FEATURES + INTEGER_FEATURES
"""Every transformed feature that the model reads; the label keeps its name `data.LABEL`."""


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Transform a batch of raw examples.

    Parameters
    ----------
    inputs
        Tensors of shape ``[batch]`` by the names of `data.COLUMNS`.

    Returns
    -------
    dict
        Tensors of shape ``[batch]`` by the names of `FEATURES`, and the label, int64, 0 or 1.
    """
    outputs = {LABEL: inputs[LABEL]}
    plain = [tf.cast(inputs[name], tf.float32) for name in _SCALED]
    amounts = [tf.math.log1p(tf.cast(inputs[name], tf.float32)) for name in _AMOUNTS]
    bounds = [*_SCALED.values(), *((math.log1p(low), math.log1p(high)) for low, high in _AMOUNTS.values())]
    # Together, since each analyzer is a Beam graph of its own.
    scaled = private_scale_to_z_score(
        tf.stack(plain + amounts, axis=1),
        [low for low, _ in bounds],
        [high for _, high in bounds],
        noise_multiplier=_NOISE,
    )
    outputs |= dict(zip(NUMERIC_FEATURES, tf.unstack(scaled, axis=1), strict=True))
    for name, values in categories().items():
        outputs[f"{name}_id"] = _table(name, values).lookup(inputs[name])
    for name, edges in _EDGES.items():
        outputs[f"{name}_bucket"] = tft.apply_buckets(inputs[name], tf.constant([edges], tf.float32))
    return outputs


def categories() -> dict[str, list[str]]:
    """The values that the schema allows, by categorical column.

    A value that is not among them is given the position behind the last.
    """
    text = Path(schemas.path("census.pbtxt")).read_text(encoding="utf-8")
    schema = text_format.Parse(text, schema_pb2.Schema())
    domains = {domain.name: domain for domain in schema.string_domain}
    columns = {feature.name: feature for feature in schema.feature}
    return {
        name: list((domains.get(columns[name].domain) or columns[name].string_domain).value)
        for name in _CATEGORIES
    }


def _table(name: str, values: list[str]) -> tf.lookup.StaticHashTable:
    def make() -> tf.lookup.StaticHashTable:
        positions = tf.range(len(values), dtype=tf.int64)
        rows = tf.lookup.KeyValueTensorInitializer(tf.constant(values), positions)
        return tf.lookup.StaticHashTable(rows, default_value=len(values))

    # Transform has to know of the table, to put it into the model.
    return tft.make_and_track_object(make, name=name)
