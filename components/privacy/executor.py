"""Worker side of PrivateTrainer: artifacts in, the training, its model and report out."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.types import artifact
from tfx.utils import path_utils

from tfx_trust.components.artifacts import Artifacts, PrivacyReport, first, reference, write_report
from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy import judge, words
from tfx_trust.components.privacy.config import PrivateTrainingSettings
from tfx_trust.components.privacy.driver import refused_folder, take_snapshot
from tfx_trust.components.privacy.ledger import BudgetExceeded, exceeds
from tfx_trust.components.privacy.report import CanaryRecord, Leak, Mechanism
from tfx_trust.components.privacy.scope import analyzer_leaks, mechanisms_of
from tfx_trust.components.privacy.spending import SPENT, Account, Snapshot

# What TFX's Trainer knows, and is handed on to it.
_TRAINER_INPUTS = ("examples", "transform_graph", "schema", "base_model", "hyperparameters", "statistics")
_TRAINER_OUTPUTS = ("model", "model_run")
_TRAINER_PARAMETERS = ("train_args", "eval_args", "module_file", "module_path", "run_fn", "custom_config")


class Executor(base_executor.BaseExecutor):
    """Executor of PrivateTrainer."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Trains by ``run_fn``, and writes what it guarantees.

        Parameters
        ----------
        input_dict
            ``examples``; ``transform_graph``, ``schema``, ``base_model``, ``hyperparameters``, ``statistics``
            and ``canary_examples`` where connected.
        output_dict
            ``model``, ``model_run`` and ``privacy_report``.
        exec_properties
            ``privacy``: JSON text of a PrivateTrainingSettings; all others as TFX's Trainer has them.

        Raises
        ------
        BudgetExceeded
            Before training, if it would pass the budget.
        """
        from tfx_trust.components.privacy.exported import exported_weights
        from tfx_trust.components.privacy.running import run

        settings = PrivateTrainingSettings.of(exec_properties["privacy"])
        (report_artifact,) = output_dict["privacy_report"]
        snapshot = take_snapshot(report_artifact.uri)
        account = Account.of(snapshot, settings.budget)
        with ExitStack() as stack:
            data = _data(input_dict, exec_properties, settings, report_artifact.uri, self._folder(stack))
            analyzers = _analyzers(first(input_dict, "transform_graph"), settings)
            if settings.budget is not None:
                _stop_beyond_budget(settings, data.examples, analyzers.mechanisms, account, report_artifact)
            runs = run(
                self._context,
                {key: input_dict[key] for key in _TRAINER_INPUTS if key in input_dict},
                {key: output_dict[key] for key in _TRAINER_OUTPUTS},
                {key: exec_properties[key] for key in _TRAINER_PARAMETERS if key in exec_properties},
                settings=_for_run_fn(settings, data, analyzers.mechanisms),
                further_files=data.further_files,
            )
        report = judge.conclude(
            judge.Observed(
                runs=runs,
                exported=exported_weights(path_utils.serving_model_path(output_dict["model"][0].uri)),
                examples=data.examples,
                leaks=[*analyzers.leaks, *_given(input_dict, snapshot)],
                analyzers=analyzers.mechanisms,
                unknown_analyzers=analyzers.unknown,
                account=None if snapshot is None else account,
                canaries=data.canaries,
            ),
            settings,
        )
        report.inputs = {
            key: [reference(item) for item in items] for key, items in input_dict.items() if items
        }
        _write(report, report_artifact, account)
        logging.info("Privacy: %s, epsilon %s", report.verdict, report.privacy.guarantee.epsilon)

    def _folder(self, stack: ExitStack) -> str:
        """A folder for the while."""
        if self._context:
            return str(self._get_tmp_dir())
        return stack.enter_context(tempfile.TemporaryDirectory())


@dataclass(frozen=True)
class _Data:
    """What is trained on.

    Attributes
    ----------
    examples
        How many there are, canaries included; none where the format is one that only TFX reads.
    further_files
        Files of canaries.
    canaries
        What was made of them.
    """

    examples: int | None
    further_files: Sequence[str] = ()
    canaries: CanaryRecord | None = None


def _data(
    input_dict: Artifacts,
    exec_properties: Mapping[str, Any],
    settings: PrivateTrainingSettings,
    report_folder: str,
    folder: str,
) -> _Data:
    from tfx_trust.components import examples as files_io

    try:
        counted: int | None = sum(
            int(batch.shape[0])
            for path in _files(input_dict["examples"], exec_properties["train_args"], "train")
            for batch, _ in files_io.serialized_batches(path, files_io.BATCH_ROWS)
        )
    except InputError as error:
        # Trainer may read what we do not; what is wrong with it otherwise, it will say.
        logging.warning("Privacy: the examples are not counted: %s", error)
        counted = None
    if settings.canaries is None:
        return _Data(counted)
    record, path = _canaries(input_dict, exec_properties, settings, report_folder, folder)
    return _Data(None if counted is None else counted + record.included, [path], record)


def _canaries(
    input_dict: Artifacts,
    exec_properties: Mapping[str, Any],
    settings: PrivateTrainingSettings,
    report_folder: str,
    folder: str,
) -> tuple[CanaryRecord, str]:
    from tfx_trust.components.privacy import canaries
    from tfx_trust.components.standard import read_schema

    assert settings.canaries is not None
    assert settings.label is not None
    graph, schema = first(input_dict, "transform_graph"), first(input_dict, "schema")
    made = canaries.make(
        _files(input_dict["canary_examples"], exec_properties["eval_args"], "eval"),
        settings.canaries,
        label=settings.label,
        report_folder=report_folder,
        train_folder=folder,
        transform_graph=graph.uri if graph else None,
        schema=read_schema(schema) if schema else None,
    )
    return made.record, made.train_file


def _files(examples: Sequence[artifact.Artifact], args: str, split: str) -> list[str]:
    """The files of the splits that TrainArgs or EvalArgs, as JSON, name; of `split` if they name none."""
    from tfx_trust.components.examples import split_files

    splits = json.loads(args).get("splits") or [split]
    return [path for item in examples for name in splits for path in split_files(item, name)]


@dataclass(frozen=True)
class _Analyzers:
    """What Transform computed from the data, and ships with the model."""

    leaks: Sequence[Leak] = ()
    mechanisms: Sequence[Mechanism] = ()
    unknown: str = ""


def _analyzers(graph: artifact.Artifact | None, settings: PrivateTrainingSettings) -> _Analyzers:
    if graph is None:
        return _Analyzers()
    from tfx_trust.components.privacy.transform_graph import analyzers_of

    try:
        found = analyzers_of(graph.uri)
    except InputError as error:
        return _Analyzers(unknown=str(error))
    return _Analyzers(analyzer_leaks(found, settings.public), mechanisms_of(found))


def _given(input_dict: Artifacts, snapshot: Snapshot | None) -> list[Leak]:
    """What else was made of data and given to training."""
    given = []
    if first(input_dict, "base_model"):
        given.append(words.input_leak("base_model"))
    if first(input_dict, "hyperparameters"):
        given.append(words.input_leak("hyperparameters"))
    if snapshot is not None and snapshot.inferred_schema:
        given.append(words.input_leak("schema"))
    return given


def _for_run_fn(
    settings: PrivateTrainingSettings, data: _Data, analyzers: Sequence[Mechanism]
) -> dict[str, Any]:
    """The settings as ``run_fn`` gets them: a target epsilon is that of training and analyzers together."""
    given = settings.training.model_dump(mode="json")
    given["composed_with"] = [*settings.composed_with, *(item.model_dump(mode="json") for item in analyzers)]
    if settings.examples is not None and data.canaries is not None:
        given["examples"] = settings.examples + data.canaries.included
    return given


def _stop_beyond_budget(
    settings: PrivateTrainingSettings,
    counted: int | None,
    analyzers: Sequence[Mechanism],
    account: Account,
    report_artifact: artifact.Artifact,
) -> None:
    """Raises, and leaves a page of the ledger, if the training would pass the budget."""
    from tfx_trust.components.privacy.calibration import settle

    examples = counted if counted is not None else settings.examples
    if examples is None:
        raise InputError(
            "the examples cannot be counted, so that the training cannot be held against its budget before "
            "it begins; give their number as `examples`"
        )
    # With the analyzers, so that a target epsilon is shared as it will be in run_fn.
    shared = settings.training.model_copy(
        update={
            "examples": None,
            "composed_with": _for_run_fn(settings, _Data(None), analyzers)["composed_with"],
        }
    )
    book = judge.planned(settle(shared, examples), analyzers, account, settings, examples)
    if not exceeds(book):
        return
    page = PrivacyReport()
    page.uri = refused_folder(report_artifact.uri)
    write_report(judge.refused(book, settings), page)
    error = BudgetExceeded(book)
    error.page = os.path.join(page.uri, "report.html")
    raise error


def _write(report: Any, destination: artifact.Artifact, account: Account) -> None:
    """The report, and on its artifact what the ledger of later trainings needs."""
    write_report(report, destination)
    section = report.privacy
    guarantee = section.guarantee
    if guarantee.epsilon is not None:
        destination.set_float_custom_property("epsilon", guarantee.epsilon)
        destination.set_float_custom_property("delta", guarantee.delta)
    entry = (
        section.ledger.entries[-1]
        if section.ledger
        else account.here(section.mechanisms, epsilon=guarantee.epsilon, delta=guarantee.delta)
    )
    destination.set_string_custom_property(SPENT, entry.model_dump_json())
