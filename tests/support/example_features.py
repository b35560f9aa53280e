"""A preprocessing_fn that learns a vocabulary, which the census example's does not."""

from typing import Any

import tensorflow_transform as tft

from tfx_trust.pipelines.census import features


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """The census example's features, and a vocabulary on the side."""
    tft.vocabulary(inputs["native_country"], vocab_filename="countries")
    return features.preprocessing_fn(inputs)
