"""The transformation of raw census examples into what the model reads.

Of the columns of `data.COLUMNS`, the survey weight is left out. `preprocessing_fn` is to learn its
means, vocabularies and quantiles from the train split alone: give Transform
``SplitsConfig(analyze=["train"], transform=["train", "eval"])``.
"""

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from tfx_trust.pipelines.census.data import LABEL

_SCALED = ("age", "education_num", "hours_per_week")
# A few large amounts among zeros: their logarithm is scaled.
_AMOUNTS = ("capital_gain", "capital_loss")
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
_BUCKETS = {"age": 12, "hours_per_week": 8, "capital_gain": 24, "capital_loss": 24}
# Where a value goes that the train split does not have.
_OUT_OF_VOCABULARY_BUCKETS = 1

NUMERIC_FEATURES = tuple(f"{name}_scaled" for name in _SCALED + _AMOUNTS)
"""Transformed features of type float32: mean 0 and standard deviation 1 on the train split."""

INTEGER_FEATURES = tuple(f"{name}_id" for name in _CATEGORIES) + tuple(f"{name}_bucket" for name in _BUCKETS)
"""Transformed features of type int64: positions from 0 in a vocabulary, or in a list of quantile buckets."""

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
    for name in _SCALED:
        outputs[f"{name}_scaled"] = tft.scale_to_z_score(tf.cast(inputs[name], tf.float32))
    for name in _AMOUNTS:
        outputs[f"{name}_scaled"] = tft.scale_to_z_score(tf.math.log1p(tf.cast(inputs[name], tf.float32)))
    for name in _CATEGORIES:
        outputs[f"{name}_id"] = tft.compute_and_apply_vocabulary(
            inputs[name], vocab_filename=name, num_oov_buckets=_OUT_OF_VOCABULARY_BUCKETS
        )
    for name, count in _BUCKETS.items():
        # Zeros are no quantile's business: nine amounts in ten are zero.
        present = tf.cast(inputs[name] > 0, tf.float32)
        outputs[f"{name}_bucket"] = tft.bucketize(inputs[name], count, weights=present)
    return outputs
