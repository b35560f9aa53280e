"""SavedModels for tests, as small as can be: each signature is a function of serialized examples."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

Answer = Callable[[Any], dict[str, Any]]


def save_model(folder: Path, answers: Answer | Mapping[str, Answer]) -> str:
    """A SavedModel whose signatures answer so; one answer alone is that of ``serving_default``."""
    if callable(answers):
        answers = {"serving_default": answers}
    taken = [tf.TensorSpec([None], tf.string, "examples")]
    functions = {name: tf.function(answer, input_signature=taken) for name, answer in answers.items()}
    module = tf.Module()
    # What a module does not hold is not saved.
    module.functions = list(functions.values())
    tf.saved_model.save(module, str(folder), signatures=functions)
    return str(folder)


def feature_of(examples: Any, name: str, kind: Any = tf.float32) -> Any:
    """A feature of serialized examples, of shape ``(rows,)``."""
    return tf.io.parse_example(examples, {name: tf.io.FixedLenFeature([], kind)})[name]


def save_scorer(folder: Path, feature: str = "score") -> str:
    """A SavedModel whose score is a feature of the examples."""
    return save_model(folder, lambda examples: {"outputs": feature_of(examples, feature)[:, None]})
