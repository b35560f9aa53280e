"""Worker side of PrivacyAuditor: artifacts in, the attacks, report out."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from typing import Any

from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.types import artifact
from tfx.utils import path_utils

from tfx_trust.components.artifacts import Artifacts, first, read_report, reference, write_report
from tfx_trust.components.privacy.config import AuditSettings
from tfx_trust.components.privacy.report import AuditReport, PrivacyReport

# What shadow models are trained with, as TFX's Trainer knows it.
_TRAINER_INPUTS = ("transform_graph", "schema", "hyperparameters")
_TRAINER_PARAMETERS = ("run_fn", "module_file", "module_path", "train_args", "eval_args", "custom_config")


class Executor(base_executor.BaseExecutor):
    """Executor of PrivacyAuditor."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Attacks the model and writes the report.

        Parameters
        ----------
        input_dict
            ``examples`` and ``model``; ``privacy_report``, ``schema``, ``transform_graph`` and
            ``hyperparameters`` where connected.
        output_dict
            ``audit_report``.
        exec_properties
            ``settings``: JSON text of an AuditSettings; all others as TFX's Trainer has them.
        """
        settings = AuditSettings.of(exec_properties["settings"])
        with ExitStack() as stack:
            report = _report(input_dict, exec_properties, settings, self._folder(stack))
        report.inputs = {
            key: [reference(item) for item in items] for key, items in input_dict.items() if items
        }
        write_report(report, output_dict["audit_report"][0])
        logging.info("Audit: %s, %d findings", report.verdict, len(report.findings))

    def _folder(self, stack: ExitStack) -> str:
        """A folder for the while."""
        if self._context:
            return str(self._get_tmp_dir())
        return stack.enter_context(tempfile.TemporaryDirectory())


def _report(
    input_dict: Artifacts, exec_properties: dict[str, Any], settings: AuditSettings, folder: str
) -> AuditReport:
    # TensorFlow is for the worker alone.
    from tfx_trust.components.model import ExampleModel
    from tfx_trust.components.privacy.audit_examples import Stated, audit_examples
    from tfx_trust.components.privacy.shadow import Training
    from tfx_trust.components.standard import read_schema

    model, schema = input_dict["model"][0], first(input_dict, "schema")
    given = first(input_dict, "privacy_report")
    private = None if given is None else read_report(given, PrivacyReport)
    return audit_examples(
        _files(input_dict["examples"], (settings.train_split, settings.eval_split)),
        settings,
        model=ExampleModel(
            path_utils.serving_model_path(model.uri),
            signature=settings.signature,
            score_output=settings.score_output,
        ),
        schema=read_schema(schema) if schema else None,
        stated=None if given is None or private is None else Stated(private, given.uri),
        training=Training(
            {key: exec_properties[key] for key in _TRAINER_PARAMETERS if exec_properties.get(key)},
            {key: input_dict[key] for key in _TRAINER_INPUTS if input_dict.get(key)},
            private,
        ),
        folder=folder,
    )


def _files(examples: list[artifact.Artifact], splits: tuple[str, str]) -> dict[str, list[str]]:
    """Files by split, of the splits that all artifacts have."""
    from tfx_trust.components import examples as files_io

    found = {}
    for split in splits:
        if all(split in files_io.splits_of(item) for item in examples):
            filled = [item for item in examples if files_io.files_of(files_io.split_folder(item, split))]
            found[split] = [path for item in filled for path in files_io.split_files(item, split)]
    return found
