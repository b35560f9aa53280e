"""Examples as the audit takes them: labels, what the model says of them, and what they are sliced by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import tensorflow as tf
from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust.components.examples import BATCH_ROWS, layout_of_files, layout_of_schema
from tfx_trust.components.fairness.decoder import Decoder
from tfx_trust.components.fairness.labels import Labels, probabilities_of
from tfx_trust.components.fairness.plan import Kind
from tfx_trust.components.model import ExampleModel
from tfx_trust.components.privacy.audit import Outputs
from tfx_trust.components.privacy.config import AuditSettings

_TOLD_EVERY = 100_000
_SCORE = "model's score"


class Reader:
    """Reads serialized examples, and asks the model about them.

    Parameters
    ----------
    model
        Is asked.
    kinds
        Kind by name of the label and the features to slice by; :func:`kinds_of` tells.
    settings
        They name these, and the values of the label.
    """

    def __init__(self, model: ExampleModel, kinds: dict[str, Kind], settings: AuditSettings) -> None:
        self.model = model
        self.settings = settings
        self._slices = list(dict.fromkeys(name for family in settings.slices for name in family))
        self._decoder = Decoder({name: kinds[name] for name in (settings.label, *self._slices)})
        self._labels = Labels(settings)

    def outputs(self, records: np.ndarray, what: str) -> Outputs:
        """What the audit needs to know of some examples.

        Parameters
        ----------
        records
            Serialized, object of shape ``(rows,)``.
        what
            Where they are from, for messages.

        Raises
        ------
        InputError
            If they cannot be read, a label is missing or unknown, or the model gives no probabilities.
        """
        labels: list[np.ndarray] = []
        slices: dict[str, list[np.ndarray]] = {name: [] for name in self._slices}
        for first, batch in _batches(records):
            columns = self._decoder.decode(batch, path=what, first=first)
            labels.append(self._labels.of(columns[self.settings.label], first))
            for name, parts in slices.items():
                parts.append(plain(columns[name]))
        return Outputs(
            self.probabilities(records),
            np.concatenate([np.zeros(0, np.int64), *labels]),
            {name: np.concatenate([np.zeros(0, object), *parts]) for name, parts in slices.items()},
        )

    def probabilities(self, records: np.ndarray, model: ExampleModel | None = None) -> np.ndarray:
        """Probability of each class, float64 of shape ``(rows, classes)``.

        Parameters
        ----------
        records
            Serialized, object of shape ``(rows,)``.
        model
            Is asked in place of the reader's own.
        """
        classes = self.settings.classes
        several = classes if classes is not None and len(classes) > 2 else None
        found = [np.zeros((0, len(several) if several else 2))]
        for first, batch in _batches(records):
            said = (model or self.model)(batch).scores
            scores = probabilities_of(said, several, first, _SCORE)
            found.append(scores if several else np.stack([1 - scores, scores], axis=1))
            if (first + BATCH_ROWS) // _TOLD_EVERY > first // _TOLD_EVERY:
                logging.info("Audit: %d of %d examples predicted", first + len(scores), len(records))
        return np.concatenate(found)


def kinds_of(
    files: dict[str, Sequence[str]], settings: AuditSettings, schema: schema_pb2.Schema | None
) -> dict[str, Kind]:
    """Kind by name of all features that the settings name: by the schema, or the first examples of each file.

    Raises
    ------
    UsageError
        If one is not there.
    InputError
        If it has no type, or several.
    """
    named = [settings.label, *(name for family in settings.slices for name in family), *settings.sensitive]
    names = list(dict.fromkeys(named))
    layout = layout_of_files(files, names) if schema is None else layout_of_schema(schema, names)
    return dict(layout.kinds)


def plain(array: pa.Array) -> np.ndarray:
    """The values of a column, object of shape ``(rows,)``: bytes or numbers, None where missing."""
    values = np.empty(len(array), object)
    values[:] = array.to_pylist()
    return values


def _batches(records: np.ndarray) -> Iterator[tuple[int, tf.Tensor]]:
    for first in range(0, len(records), BATCH_ROWS):
        yield first, tf.constant(records[first : first + BATCH_ROWS], tf.string)
