"""Metrics of a model, from ReleaseGate's report or, where TensorFlow may be loaded, from the Evaluator's."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Iterator, Sequence

from tfx_trust.components.errors import InputError
from tfx_trust.components.mlmd import OUTPUTS, Artifact, Prefixes, Store, rewritten
from tfx_trust.components.provenance.lineage import downstream
from tfx_trust.components.provenance.record import Record
from tfx_trust.components.report import REPORT_FILE

RELEASE_REPORT, EVALUATION = "TrustReleaseReport", "ModelEvaluation"
_OUTPUT = "release_report"
_MODEL = "model"
_EVALUATOR = "Evaluator"


def metrics_in_store(
    store: Store, model: Artifact, *, rewrite: Prefixes = (), evaluations: bool = False
) -> dict[str, float]:
    """Metrics of a model on all evaluation examples, by name; the newest that the store knows of.

    Parameters
    ----------
    store
        The metadata store.
    model
        The model's artifact.
    rewrite
        Old and new beginnings of places, if files were moved.
    evaluations
        Whether to read the Evaluator's results where there is no report of ReleaseGate: loads TensorFlow.
    """
    made = downstream(store, [model.id])
    judged = {event.execution for event in made.reads if event.artifact == model.id and event.key == _MODEL}
    events = [event for event in made.makes if event.execution in judged and event.kind in OUTPUTS]
    # Other components, such as FairnessEvaluator, leave results of their own.
    events.sort(key=lambda event: (made.executions[event.execution].component != _EVALUATOR, -event.artifact))
    found = [made.artifacts[event.artifact] for event in events]
    reports = [rewritten(item.uri, rewrite) for item in found if item.type == RELEASE_REPORT]
    results = [rewritten(item.uri, rewrite) for item in found if item.type == EVALUATION]
    return _first(reports, results if evaluations else [])


def metrics_beside(record: Record, *, rewrite: Prefixes = (), evaluations: bool = False) -> dict[str, float]:
    """Metrics of a record's model, by name, from reports that lie in the same pipeline's folder.

    Parameters are those of :func:`metrics_in_store`.
    """
    model = record.artifact(record.model)
    root = os.path.dirname(os.path.dirname(os.path.dirname(rewritten(model.uri, rewrite).rstrip("/"))))
    related = [item for item in record.artifacts if item.role == "related"]
    reports = [rewritten(item.uri, rewrite) for item in related if item.type == RELEASE_REPORT]
    if root.strip("/") and "://" not in root:
        places = glob.glob(os.path.join(glob.escape(root), "*", _OUTPUT, "*"))
        reports += sorted(places, key=_number, reverse=True)
    results = [rewritten(item.uri, rewrite) for item in related if item.type == EVALUATION]
    return _first(
        (place for place in reports if _model_of(place) == model.id), results if evaluations else []
    )


def _number(place: str) -> int:
    name = os.path.basename(place)
    return int(name) if name.isdigit() else 0


def _first(reports: Iterable[str], evaluations: Sequence[str]) -> dict[str, float]:
    """The first metrics that can be read."""
    found = next((metrics for place in reports if (metrics := _of_report(place))), {})
    errors: list[InputError] = []
    for place in () if found else evaluations:
        try:
            found = _of_evaluation(place)
        except InputError as error:
            errors.append(error)
        if found:
            return found
    if errors and not found:
        raise errors[0]
    return found


def _of_report(place: str) -> dict[str, float]:
    metrics = _release(place).get("metrics")
    if not isinstance(metrics, list):
        return {}
    return dict(_values(metrics))


def _values(metrics: list[object]) -> Iterator[tuple[str, float]]:
    for item in metrics:
        if isinstance(item, dict) and isinstance(item.get("value"), (int, float)):
            yield str(item.get("name")), float(item["value"])


def _model_of(place: str) -> int | None:
    model = _release(place).get("model")
    number = model.get("id") if isinstance(model, dict) else None
    return number if isinstance(number, int) else None


def _release(place: str) -> dict[str, object]:
    try:
        with open(os.path.join(place, REPORT_FILE), "rb") as file:
            found = json.load(file)["release"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _of_evaluation(place: str) -> dict[str, float]:
    from tfx.types import standard_artifacts

    from tfx_trust.components.release.standard import read_metrics

    evaluation = standard_artifacts.ModelEvaluation()
    evaluation.uri = place
    try:
        return {item.name: item.value for item in read_metrics(evaluation)}
    except Exception as error:  # Whatever TensorFlow and TFMA raise on files that they cannot read.
        raise InputError(f"{place}: the evaluation cannot be read ({type(error).__name__})") from None
