"""Worker side of ThresholdTuner: examples and a model in, a model that decides by group out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact
from tfx.utils import path_utils

from tfx_trust.components.artifacts import Artifacts, first, only, reference, write_report
from tfx_trust.components.errors import InputError
from tfx_trust.components.mitigation.config import TunerSettings
from tfx_trust.components.mitigation.judge import is_constant, threshold_findings
from tfx_trust.components.mitigation.report import GroupThresholds, MitigationReport, MitigationSection

COMPONENT = "ThresholdTuner"


class Executor(base_executor.BaseExecutor):
    """Executor of ThresholdTuner."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Chooses the thresholds, writes the model anew and checks what was written.

        Parameters
        ----------
        input_dict
            ``examples`` and ``common_model``; ``schema`` where connected.
        output_dict
            ``model`` and ``mitigation_report``.
        exec_properties
            ``settings``: JSON text of a TunerSettings.

        Raises
        ------
        InputError
            If a split, feature, label or model cannot be used, or only deciding all alike keeps within the
            gap.
        TrustError
            If the new model does not answer as it should.
        """
        # TensorFlow is for the worker alone.
        from tfx_trust.components.mitigation.export import export_decisions
        from tfx_trust.components.mitigation.records import kinds_of
        from tfx_trust.components.standard import read_schema

        settings = TunerSettings.of(exec_properties["settings"])
        examples = only(input_dict["examples"], COMPONENT)
        source = path_utils.serving_model_path(only(input_dict["common_model"], COMPONENT).uri)
        schema = first(input_dict, "schema")
        files, held_out = _files(examples, settings)
        columns = [settings.label, *settings.groups, *([settings.weight] if settings.weight else [])]
        kinds = kinds_of(files, columns, settings.groups, read_schema(schema) if schema else None)
        found = _chosen(source, files, held_out, kinds, settings)
        _check_useful(found, settings)
        destination = path_utils.serving_model_dir(output_dict["model"][0].uri)
        fileio.makedirs(output_dict["model"][0].uri)
        checked = export_decisions(
            source,
            destination,
            found,
            kinds,
            _batches(files),
            signature=settings.signature,
            score_output=settings.score_output,
            decision_signature=settings.decision_signature,
        )
        report = MitigationReport(
            component=COMPONENT,
            findings=threshold_findings(found, settings.split, settings.eval_split if held_out else None),
            settings=settings.model_dump(mode="json"),
            mitigation=MitigationSection(thresholds=found),
        )
        report.inputs = {
            key: [reference(item) for item in items] for key, items in input_dict.items() if items
        }
        write_report(report, output_dict["mitigation_report"][0])
        logging.info("Thresholds by group: %s; checked on %d examples", report.verdict, checked)


def _files(examples: artifact.Artifact, settings: TunerSettings) -> tuple[list[str], list[str]]:
    """Files to choose on, and files to measure on besides: none where there is no such split."""
    from tfx_trust.components import examples as files_io

    files = files_io.split_files(examples, settings.split)
    other = settings.eval_split
    held_out = other is not None and other in files_io.splits_of(examples)
    return files, files_io.split_files(examples, other) if held_out and other is not None else []


def _chosen(
    source: str, files: Sequence[str], held_out: Sequence[str], kinds: dict[str, Any], settings: TunerSettings
) -> GroupThresholds:
    from tfx_trust.components.fairness.decoder import Decoder
    from tfx_trust.components.mitigation.scored import read_scored
    from tfx_trust.components.mitigation.thresholds import choose_thresholds
    from tfx_trust.components.model import ExampleModel

    model = ExampleModel(source, signature=settings.signature, score_output=settings.score_output)
    decoder = Decoder(kinds)
    train = read_scored(files, decoder, model, settings)
    other = read_scored(held_out, decoder, model, settings) if held_out else None
    return choose_thresholds(
        train.scores, train.labels, train.groups, settings.choice, train.weights, held_out=other
    )


def _check_useful(found: GroupThresholds, settings: TunerSettings) -> None:
    adjusted = [item for item in found.groups if item.adjusted]
    if adjusted and all(is_constant(item) for item in adjusted):
        raise InputError(
            f"within a gap of {settings.max_gap:g} only thresholds are left that decide everybody alike, "
            f"with an accuracy of {found.after.accuracy.value:.4f} instead of "
            f"{found.before.accuracy.value:.4f}; the gap is {found.before.gap.value:.4f} without: allow a "
            "larger one (settings: max_gap)"
        )


def _batches(files: Sequence[str]) -> Iterator[Any]:
    """The examples that the new model is checked on: the first ones of each file."""
    from tfx_trust.components.examples import BATCH_ROWS, serialized_batches

    for path in files:
        yield from (serialized for serialized, _ in islice(serialized_batches(path, BATCH_ROWS), 1))
