"""Worker side of FairnessEvaluator: artifacts in, the measurements, report and results out."""

from __future__ import annotations

from typing import Any

from absl import logging
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact
from tfx.utils import path_utils

from tfx_trust.components.artifacts import Artifacts, first, reference, write_report
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.report import FairnessReport


class Executor(base_beam_executor.BaseBeamExecutor):
    """Executor of FairnessEvaluator."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Measures the model and writes the report, and the results for TFMA's readers.

        Parameters
        ----------
        input_dict
            ``examples`` and ``model``; ``baseline_model``, ``schema`` and ``statistics`` where connected.
        output_dict
            ``fairness_report`` and ``evaluation``.
        exec_properties
            ``settings``: JSON text of a FairnessSettings.
        """
        from tfx_trust.components.fairness.tfma_results import write_results

        settings = FairnessSettings.of(exec_properties["settings"])
        folder = self._get_tmp_dir() if self._context else None
        report = _report(input_dict, settings, self._make_beam_pipeline, folder)
        report.inputs = {
            key: [reference(item) for item in items] for key, items in input_dict.items() if items
        }
        write_report(report, output_dict["fairness_report"][0])
        write_results(
            report,
            output_dict["evaluation"][0].uri,
            model_location=path_utils.serving_model_path(input_dict["model"][0].uri),
            data_location=input_dict["examples"][0].uri,
        )
        logging.info("Fairness: %s, %d findings", report.verdict, len(report.findings))


def _report(
    input_dict: Artifacts, settings: FairnessSettings, make_beam_pipeline: Any, folder: str | None
) -> FairnessReport:
    # TensorFlow is for the worker alone.
    from tfx_trust.components.fairness.examples_driver import (
        baseline_of,
        evaluate_examples,
        model_of,
        nothing_measured,
    )
    from tfx_trust.components.fairness.reader import missing_split
    from tfx_trust.components.standard import read_example_counts, read_schema

    files = _files(input_dict["examples"], settings.eval_split)
    if (missing := missing_split(files, settings)) is not None:
        return nothing_measured(settings, [missing])
    assert files is not None
    model = model_of(_folder(input_dict["model"][0]), settings)
    former = first(input_dict, "baseline_model")
    baseline, found = baseline_of(_folder(former), settings, model, files) if former else (None, [])
    schema = first(input_dict, "schema")
    statistics = first(input_dict, "statistics")
    return evaluate_examples(
        files,
        settings,
        model=model,
        baseline=baseline,
        schema=read_schema(schema) if schema else None,
        statistics=_training(statistics, settings.train_split) if statistics else None,
        examples=read_example_counts(statistics).get(settings.eval_split) if statistics else None,
        found=found,
        make_beam_pipeline=make_beam_pipeline,
        folder=folder,
    )


def _folder(model: artifact.Artifact) -> str:
    return str(path_utils.serving_model_path(model.uri))


def _files(examples: list[artifact.Artifact], split: str) -> list[str] | None:
    """Files of a split; none if an artifact does not have it."""
    from tfx_trust.components import examples as files_io

    if not all(split in files_io.splits_of(item) for item in examples):
        return None
    filled = [item for item in examples if files_io.files_of(files_io.split_folder(item, split))]
    return [path for item in filled for path in files_io.split_files(item, split)]


def _training(statistics: artifact.Artifact, split: str) -> Any:
    """The statistics of the training split; none if there are none of it."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    from tfx_trust.components.standard import STATISTICS_FILE, by_split

    content = by_split(statistics, STATISTICS_FILE).get(split)
    if content is None:
        return None
    # The first is of all examples, others of slices of them.
    return next(iter(statistics_pb2.DatasetFeatureStatisticsList.FromString(content).datasets), None)
