"""The scores of a TFX model on serialized tf.Examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfx_trust.components.errors import InputError

_PREFERRED = ("probabilities", "scores", "predictions", "outputs", "output_0", "logistic")


class ModelScorer:
    """Scores examples by a SavedModel's signature that takes serialized ones.

    Of a binary model the score is that of the larger label, of a model with several outputs an example it
    is the number of the greatest one, else the output itself.

    Parameters
    ----------
    folder
        Of the SavedModel.

    Raises
    ------
    InputError
        If there is no such signature, or its answer is not understood.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._load()

    def _load(self) -> None:
        self._model = tf.saved_model.load(self.folder)
        self._signature, self._input = _signature_of(self._model, self.folder)

    def __call__(self, serialized: Any) -> np.ndarray:
        """Scores, float64 of shape ``(rows,)``."""
        answer = self._signature(**{self._input: serialized})
        names = [name for name in _PREFERRED if name in answer] or list(answer)
        output = answer[names[0]].numpy()
        rows = int(serialized.shape[0])
        if output.dtype.kind not in "fiu" or output.shape[:1] != (rows,) or output.ndim > 2:
            raise InputError(
                f"{self.folder}: output {names[0]!r} has type {output.dtype} and shape {output.shape} for "
                f"{rows} examples; a number, or one a class, is needed for each"
            )
        if output.ndim == 1 or output.shape[1] == 1:
            scores = output.reshape(rows)
        elif output.shape[1] == 2:
            scores = output[:, 1]
        else:
            scores = output.argmax(axis=1)
        wrong = int((~np.isfinite(scores)).sum())
        if wrong:
            raise InputError(
                f"{self.folder}: {wrong:,} of {rows:,} scores are NaN or infinite; mend the model"
            )
        return np.asarray(scores, np.float64)

    def __getstate__(self) -> dict[str, str]:
        # A worker of Beam loads the model anew.
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.folder = state["folder"]
        self._load()


def _signature_of(model: Any, folder: str) -> tuple[Any, str]:
    names = sorted(model.signatures, key=lambda name: name != "serving_default")
    for name in names:
        signature = model.signatures[name]
        inputs = signature.structured_input_signature[1]
        if len(inputs) == 1:
            ((argument, spec),) = inputs.items()
            if spec.dtype == tf.string and spec.shape.rank in (1, None):
                return signature, argument
    raise InputError(
        f"{folder}: none of its signatures ({', '.join(names) or 'none'}) takes a batch of serialized "
        "tf.Examples"
    )
