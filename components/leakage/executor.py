"""Worker side of LeakageValidator: artifacts in, the checks, the report out."""

from __future__ import annotations

from typing import Any

from absl import logging
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact

from tfx_trust.components.artifacts import Artifacts, first, reference, write_report
from tfx_trust.components.errors import InputError
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.report import LeakageReport, LeakageSection, Preprocessing
from tfx_trust.components.report import Finding, Severity

COMPONENT = "LeakageValidator"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Executor of LeakageValidator."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Checks the examples and writes the report.

        Parameters
        ----------
        input_dict
            ``examples``; ``schema``, ``transform_graph``, ``statistics`` and ``model`` where connected.
        output_dict
            ``leakage_report``.
        exec_properties
            ``settings``: JSON text of a LeakageSettings.
        """
        settings = LeakageSettings.of(exec_properties["settings"])
        folder = self._get_tmp_dir() if self._context else None
        report = _report(input_dict, settings, self._make_beam_pipeline, folder)
        report.inputs = {
            key: [reference(item) for item in items] for key, items in input_dict.items() if items
        }
        write_report(report, output_dict["leakage_report"][0])
        logging.info("Leakage: %s, %d findings", report.verdict, len(report.findings))


def _report(
    input_dict: Artifacts, settings: LeakageSettings, make_beam_pipeline: Any, folder: str | None
) -> LeakageReport:
    # TensorFlow is for the worker alone.
    from tfx_trust.components import examples as files_io
    from tfx_trust.components.leakage import splits
    from tfx_trust.components.leakage.examples_driver import check_examples
    from tfx_trust.components.standard import read_example_counts, read_schema

    files = {
        name: [path for item in input_dict["examples"] for path in files_io.split_files(item, name)]
        for name in settings.splits
        if all(name in files_io.splits_of(item) for item in input_dict["examples"])
    }
    found = splits.findings(files, settings)
    if any(finding.check == splits.MISSING for finding in found):
        return _nothing_counted(settings, found)
    schema = first(input_dict, "schema")
    graph = first(input_dict, "transform_graph")
    statistics = first(input_dict, "statistics")
    model = first(input_dict, "model")
    schema_proto = read_schema(schema) if schema else None
    scorer, unscored = _scorer(model)
    return check_examples(
        files[settings.train_split],
        files[settings.eval_split],
        settings,
        schema=schema_proto,
        scorer=scorer,
        examples=sum(read_example_counts(statistics).values()) if statistics else None,
        preprocessing=_preprocessing(graph, schema_proto, settings),
        found=[*found, *unscored],
        make_beam_pipeline=make_beam_pipeline,
        folder=folder,
    )


def _scorer(model: artifact.Artifact | None) -> tuple[Any, list[Finding]]:
    """The model's scorer, or why there is none."""
    if model is None:
        return None, []
    from tfx.utils import path_utils

    from tfx_trust.components.leakage.scoring import ModelScorer

    try:
        return ModelScorer(path_utils.serving_model_path(model.uri)), []
    except (InputError, OSError, ValueError) as error:
        return None, [
            Finding(
                check="consequence",
                severity=Severity.NOT_RUN,
                subject="model",
                message=f"How much of the model's score is leakage was not looked at: {error}",
                remedy="Connect a model with a signature that takes serialized tf.Examples, or none.",
            )
        ]


def _preprocessing(
    graph: artifact.Artifact | None, schema: Any, settings: LeakageSettings
) -> Preprocessing | None:
    from tfx_trust.components.leakage import preprocessing

    analyzed = settings.analyzed_splits
    if graph is None:
        if analyzed is None:
            return None
        return preprocessing.judged(analyzed, [settings.eval_split], None, [])
    required = preprocessing.required_features(graph.uri, settings.label)
    absent = preprocessing.absent_at(preprocessing.SERVING, schema, required) if schema is not None else []
    return preprocessing.judged(analyzed, [settings.eval_split], required, absent)


def _nothing_counted(settings: LeakageSettings, found: list[Finding]) -> LeakageReport:
    return LeakageReport(
        component=COMPONENT,
        findings=found,
        settings=settings.model_dump(mode="json"),
        leakage=LeakageSection(examples={}),
    )
