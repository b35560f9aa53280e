"""A Beam pipeline that is run for one result, such as an analysis' counts."""

from __future__ import annotations

import os
import pickle
import re
import tempfile
from collections.abc import Callable
from typing import Any

import apache_beam as beam

from tfx_trust.components.errors import InputError, UsageError

_RESULT = "counted.pickle"


def result_of(
    counted: Callable[[Any], Any],
    *,
    make_pipeline: Callable[[], Any] | None = None,
    folder: str | None = None,
) -> Any:
    """Runs a pipeline and returns what it comes to.

    Parameters
    ----------
    counted
        From the pipeline to a PCollection of one element that can be pickled.
    make_pipeline
        Makes the pipeline; one that runs in this process if not given.
    folder
        Where workers can write and this process can read; a temporary one if not given.

    Raises
    ------
    InputError, UsageError
        As a step raised it, where the runner tells.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as own:
        target = os.path.join(folder or own, _RESULT)
        try:
            with (make_pipeline or in_process)() as pipeline:
                _ = counted(pipeline) | "WriteResult" >> beam.Map(_written, target)
        except (InputError, UsageError) as error:
            # Beam adds where it ran.
            raise type(error)(re.sub(r" \[while running .*", "", str(error), flags=re.DOTALL)) from None
        with tf.io.gfile.GFile(target, "rb") as file:
            result = pickle.loads(file.read())
        tf.io.gfile.remove(target)
    return result


def in_process() -> Any:
    """A pipeline that runs in this process."""
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    return beam.Pipeline(runner=FnApiRunner())


def _written(result: Any, target: str) -> None:
    import tensorflow as tf

    with tf.io.gfile.GFile(target, "wb") as file:
        file.write(pickle.dumps(result))
