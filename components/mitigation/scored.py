"""What a model says of tf.Examples in files, with their labels and groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tfx_trust.components.errors import InputError
from tfx_trust.components.fairness.decoder import Decoder
from tfx_trust.components.mitigation.config import TunerSettings
from tfx_trust.components.mitigation.labels import LabelCodes, weights_of
from tfx_trust.components.mitigation.records import batches
from tfx_trust.components.mitigation.thresholds import Scored
from tfx_trust.components.model import ExampleModel

# Of a label of two values, enough to say which there are.
_MOST_LABELS = 100


def read_scored(
    files: Sequence[str], decoder: Decoder, model: ExampleModel, settings: TunerSettings
) -> Scored:
    """The examples of some files, each asked of the model once.

    Parameters
    ----------
    files
        TFRecord files.
    decoder
        Of the label, the groups and the weight.
    model
        Gives the scores.
    settings
        Names the features.

    Raises
    ------
    InputError
        If there are no examples, or one cannot be read, labelled, weighed or scored.
    """
    codes = LabelCodes(settings.label, _MOST_LABELS)
    scores, labels, weights = [], [], []
    columns: dict[str, list[pa.Array]] = {name: [] for name in settings.groups}
    for serialized, read in batches(files, decoder):
        said = model(serialized).scores
        if said is None or said.ndim != 1:
            raise InputError(
                f"{model.folder}: output {model.score_output!r} has several numbers an example; thresholds "
                "are for one score: name the output that is the probability (settings: score_output)"
            )
        scores.append(said)
        labels.append(codes.of(read[settings.label]))
        if settings.weight is not None:
            weights.append(weights_of(read[settings.weight], settings.weight))
        for name, parts in columns.items():
            parts.append(read[name])
    if not scores:
        raise InputError(f"no examples in {', '.join(files)}; make them anew")
    return Scored(
        np.concatenate(scores),
        codes.binary(np.concatenate(labels), settings.positive),
        {name: _joined(parts) for name, parts in columns.items()},
        np.concatenate(weights) if weights else None,
    )


def _joined(parts: Sequence[pa.Array]) -> pa.Array:
    """One array of several; of dictionaries one with a dictionary of all."""
    whole = pa.chunked_array(parts)
    if pa.types.is_dictionary(whole.type):
        whole = whole.unify_dictionaries()
    return whole.combine_chunks() if whole.num_chunks != 1 else whole.chunk(0)
