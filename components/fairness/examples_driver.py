"""The fairness of a model on tf.Examples: files in, one report out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from tfx_trust.components.errors import InputError
from tfx_trust.components.examples import serialized_batches
from tfx_trust.components.fairness.buckets import edges_for, edges_of, is_wide
from tfx_trust.components.fairness.conclude import COMPONENT, conclude
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.count import Counts
from tfx_trust.components.fairness.decoder import Decoder
from tfx_trust.components.fairness.plan import Plan
from tfx_trust.components.fairness.reader import Reader, kinds_of
from tfx_trust.components.fairness.report import FairnessReport, FairnessSection
from tfx_trust.components.leakage.examples_driver import estimated_examples
from tfx_trust.components.model import ExampleModel
from tfx_trust.components.report import Finding, Severity

_TOLD_EVERY = 1_000_000


def evaluate_examples(
    files: Sequence[str],
    settings: FairnessSettings | Mapping[str, Any],
    *,
    model: ExampleModel,
    baseline: ExampleModel | None = None,
    schema: schema_pb2.Schema | None = None,
    statistics: statistics_pb2.DatasetFeatureStatistics | None = None,
    examples: int | None = None,
    found: Sequence[Finding] = (),
    make_beam_pipeline: Callable[[], Any] | None = None,
    folder: str | None = None,
) -> FairnessReport:
    """Measures a model's errors by slice on serialized tf.Examples and judges the gaps, in one pass.

    Parameters
    ----------
    files
        TFRecord files of the examples; those that end in ``.gz`` are compressed.
    settings
        A :class:`FairnessSettings`, or its fields as a mapping.
    model, baseline
        The model, and the one that it is compared with.
    schema
        Tells the features and their types; inferred from the first examples of each file if not given.
    statistics
        Of the training examples: the quantiles of their numeric features are the edges of buckets.
    examples
        Number of examples if it is known; estimated from the files if not.
    found
        Further findings for the report.
    make_beam_pipeline, folder
        Makes the pipeline of the Beam driver, and a place that its workers and this process share; both of
        this process if not given.

    Raises
    ------
    InputError, UsageError
        As :func:`~tfx_trust.components.evaluate_fairness`; and if a file cannot be read whole, a feature has
        several values in an example, or a model cannot answer.
    """
    settings = FairnessSettings.of(settings)
    kinds, left_out = kinds_of(files, settings, schema)
    edges = edges_for(
        settings,
        kinds,
        lambda name, wanted: edges_of(statistics, name, wanted),
        lambda name: is_wide(statistics, name, settings.max_values),
    )
    plan = Plan.of(
        settings,
        kinds,
        edges,
        scored=model.scored,
        decided=model.decided,
        baseline=baseline is not None,
    )
    plan = replace(plan, skipped={**left_out, **plan.skipped})
    reader = Reader(Decoder({name: kinds[name] for name in plan.columns}), model, baseline)
    if _in_process(files, settings, examples):
        return conclude(_counted(plan, files, reader), driver="in_process", found=found)
    from tfx_trust.components.fairness.beam import count_files

    counts = count_files(plan, files, reader, make_pipeline=make_beam_pipeline, folder=folder)
    return conclude(counts, driver="beam", found=found)


def model_of(folder: str, settings: FairnessSettings) -> ExampleModel:
    """The model in a folder, asked as the settings say.

    Raises
    ------
    InputError
        If there is none, or it has no such signature or output.
    """
    return ExampleModel(
        folder,
        signature=settings.signature,
        score_output=settings.score_output,
        decision_output=settings.decision_output,
    )


def baseline_of(
    folder: str, settings: FairnessSettings, model: ExampleModel, files: Sequence[str]
) -> tuple[ExampleModel | None, list[Finding]]:
    """The baseline model, or why there is none: an older one may not answer what the new one does.

    Parameters
    ----------
    folder
        Of the baseline.
    settings
        As for the model.
    model
        The one that it is compared with.
    files
        Of the examples: both are asked about the first.
    """
    try:
        baseline = model_of(folder, settings)
        asked = next(batch for path in files for batch, _ in serialized_batches(path, 1))
        theirs, ours = (np.shape(one(asked).scores) for one in (baseline, model))
        if theirs != ours:
            raise InputError(f"{folder}: its score has the shape {theirs} for an example, the model's {ours}")
    except (InputError, OSError, ValueError) as error:
        return None, [
            Finding(
                check="baseline",
                severity=Severity.NOT_RUN,
                subject="baseline_model",
                message=f"Whether a slice fares worse than with the baseline was not looked at: {error}",
                remedy="Connect a baseline that answers the same examples as the model, or none.",
            )
        ]
    return baseline, []


def nothing_measured(settings: FairnessSettings, found: Sequence[Finding]) -> FairnessReport:
    """The report where there are no examples."""
    return FairnessReport(
        component=COMPONENT,
        findings=list(found),
        settings=settings.model_dump(mode="json"),
        fairness=FairnessSection(examples=0, threshold=None, compare=None),
    )


def _in_process(files: Sequence[str], settings: FairnessSettings, examples: int | None) -> bool:
    if settings.driver != "auto":
        return settings.driver == "in_process"
    rows = examples or estimated_examples(files)
    here = rows <= settings.in_process_examples
    where = "this process predicts them" if here else "Beam predicts them"
    logging.info(
        "Fairness: about %d examples; the limit is %d, so %s", rows, settings.in_process_examples, where
    )
    return here


def _counted(plan: Plan, files: Sequence[str], reader: Reader) -> Counts:
    counts = Counts(plan)
    for path in files:
        for batch in reader.batches(path):
            before = counts.examples
            counts.add(batch)
            if counts.examples // _TOLD_EVERY > before // _TOLD_EVERY:
                logging.info("Fairness: %d examples predicted", counts.examples)
    return counts
