"""The scores of a TFX model on serialized tf.Examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfx_trust.components.errors import InputError
from tfx_trust.components.model import ExampleModel


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
        self._model = ExampleModel(folder)

    def __call__(self, serialized: Any) -> np.ndarray:
        """Scores, float64 of shape ``(rows,)``."""
        scores = self._model(serialized).scores
        assert scores is not None
        if scores.ndim == 2:
            scores = scores.argmax(axis=1)
        wrong = int((~np.isfinite(scores)).sum())
        if wrong:
            raise InputError(
                f"{self._model.folder}: {wrong:,} of {len(scores):,} scores are NaN or infinite; mend the "
                "model"
            )
        return np.asarray(scores, np.float64)
