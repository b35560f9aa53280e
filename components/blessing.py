"""The one place that writes BLESSED or NOT_BLESSED, and the properties that TFX looks for.

Pusher looks at the custom property ``blessed``; resolvers join it with ``current_model_id``. The
file is for people and for systems outside TFX. The names are those of TFX's Evaluator.
"""

from __future__ import annotations

import os

from tfx.dsl.io import fileio
from tfx.types import artifact

# Written out rather than imported: tfx.components.evaluator.constants loads every standard component.
BLESSED_FILE, NOT_BLESSED_FILE = "BLESSED", "NOT_BLESSED"
BLESSED = "blessed"
CURRENT_MODEL, CURRENT_MODEL_ID = "current_model", "current_model_id"
BASELINE_MODEL, BASELINE_MODEL_ID = "baseline_model", "baseline_model_id"
COMPONENT_ID = "component_id"
MESSAGE = "blessing_message"


def write_blessing(
    destination: artifact.Artifact,
    *,
    blessed: bool,
    model: artifact.Artifact,
    baseline_model: artifact.Artifact | None,
    component_id: str,
    message: str,
) -> None:
    """Writes the blessing of `model` into a ModelBlessing artifact: always one or the other.

    Parameters
    ----------
    destination
        The ModelBlessing artifact to be written.
    blessed
        Whether the model may be pushed.
    model, baseline_model
        What was judged, and what it was compared with, if anything.
    component_id
        Node that decides, so that a Resolver can ask for this node's blessings alone.
    message
        Why, in a sentence.
    """
    fileio.makedirs(destination.uri)
    with fileio.open(
        os.path.join(destination.uri, BLESSED_FILE if blessed else NOT_BLESSED_FILE), "w"
    ) as file:
        file.write("")
    destination.set_int_custom_property(BLESSED, int(blessed))
    destination.set_string_custom_property(CURRENT_MODEL, model.uri)
    destination.set_int_custom_property(CURRENT_MODEL_ID, model.id)
    if baseline_model is not None:
        destination.set_string_custom_property(BASELINE_MODEL, baseline_model.uri)
        destination.set_int_custom_property(BASELINE_MODEL_ID, baseline_model.id)
    destination.set_string_custom_property(COMPONENT_ID, component_id)
    destination.set_string_custom_property(MESSAGE, message)


def blessing_of(source: artifact.Artifact) -> bool | None:
    """True, False, or None where the judge wrote no blessing (an Evaluator without thresholds)."""
    if not source.has_custom_property(BLESSED):
        return None
    return source.get_int_custom_property(BLESSED) == 1
