"""The weights of an exported model, to be held against those that were trained privately."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from tfx_trust.components.privacy.recording import digest

# What TensorFlow itself keeps beside the variables.
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_COUNTERS = "save_counter"


def exported_weights(folder: str) -> dict[str, str]:
    """Digests of the numbers in a SavedModel's variables, by their keys in its checkpoint.

    Variables of whole numbers, texts and truth values are left out: no optimizer moves them.

    Parameters
    ----------
    folder
        Of the SavedModel. One without variables has none.
    """
    prefix = os.path.join(folder, "variables", "variables")
    if not tf.io.gfile.exists(prefix + ".index"):
        return {}
    reader = tf.train.load_checkpoint(prefix)
    kinds = reader.get_variable_to_dtype_map()
    return {
        key: digest(_as_numbers(reader.get_tensor(key)))
        for key, kind in sorted(kinds.items())
        if kind.is_floating and key not in (_GRAPH, _COUNTERS)
    }


def _as_numbers(values: np.ndarray) -> np.ndarray:
    # bfloat16 and its like are no types of numpy's own.
    return np.asarray(values).astype(np.float32)
