"""Shadow models: trained as the audited one was, on random halves of the examples, for LiRA.

Of Carlini, Chien, Nasr, Song, Terzis & Tramèr (2022), "Membership inference attacks from first principles",
arXiv 2112.03570.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from tfx.components.trainer.executor import GenericExecutor
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts
from tfx.utils import json_utils, path_utils

from tfx_trust.components.artifacts import Artifacts
from tfx_trust.components.errors import InputError, TrustError
from tfx_trust.components.examples import BATCH_ROWS, serialized_batches, split_folder
from tfx_trust.components.model import ExampleModel
from tfx_trust.components.privacy import lira
from tfx_trust.components.privacy.audit import Outputs
from tfx_trust.components.privacy.audit_reader import Reader
from tfx_trust.components.privacy.config import (
    PRIVACY,
    AuditSettings,
    PrivateTrainingSettings,
)
from tfx_trust.components.privacy.report import PrivacyReport
from tfx_trust.components.privacy.sampled import Sampled
from tfx_trust.components.privacy.transforming import Transformation

_SPLITS = ("train", "eval")
_FILE = "transformed_examples-00000-of-00001.gz"
_CHUNK = 65_536


class ShadowError(TrustError):
    """A shadow model could not be trained, or not be asked."""


@dataclass(frozen=True)
class Training:
    """How the audited model was trained.

    Attributes
    ----------
    properties
        ``run_fn``, ``module_file`` or ``module_path``, ``train_args``, ``eval_args`` and ``custom_config``,
        as TFX's Trainer has them.
    inputs
        ``transform_graph``, ``schema`` and ``hyperparameters``, where it has them.
    report
        Of PrivateTrainer, where the model was trained by it.
    """

    properties: Mapping[str, Any]
    inputs: Artifacts = field(default_factory=dict)
    report: PrivacyReport | None = None


def shadow_scores(
    files: tuple[Sequence[str], Sequence[str]],
    samples: tuple[Sampled, Sampled],
    outputs: tuple[Outputs, Outputs],
    *,
    training: Training,
    reader: Reader,
    settings: AuditSettings,
    folder: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of members and others: how much likelier the model's confidence is if it was trained on them.

    The examples of both splits together are the pool. Each is in a random half of the shadow models'
    training, and for the other half among the examples that ``run_fn`` evaluates with.

    Parameters
    ----------
    files
        TFRecord files of raw examples: of the members, and of the others.
    samples
        Those of each that are attacked.
    outputs
        What the audited model says of these.
    training
        How to train.
    reader
        Asks models.
    settings
        How many, and the seed of the halves.
    folder
        For what is only needed meanwhile: a copy of the transformed examples and one model at a time.

    Returns
    -------
    members, others : ndarray
        As :func:`tfx_trust.components.privacy.lira.lira_scores`.

    Raises
    ------
    ShadowError
        If a training failed, or its model could not be asked.
    """
    pool = _Pool.written(files, training.inputs, os.path.join(folder, "pool"))
    attacked = np.concatenate([samples[0].places, pool.sizes[0] + samples[1].places])
    records = np.concatenate([sample.records for sample in samples])
    labels = np.concatenate([item.labels for item in outputs])
    inside = halves(settings.shadow_models, pool.examples, settings.seed)
    confidences = []
    for number, chosen in enumerate(inside):
        with _told(number, settings.shadow_models, int(chosen.sum())):
            place = os.path.join(folder, f"shadow-{number}")
            model = _trained(pool, chosen, training, place, settings)
            confidences.append(lira.lira_confidence(reader.probabilities(records, model), labels))
            del model
            _forget(place)
    target = np.concatenate([lira.lira_confidence(item.probabilities, item.labels) for item in outputs])
    scores = lira.lira_scores(np.stack(confidences), inside[:, attacked], target)
    return scores[: samples[0].rows], scores[samples[0].rows :]


def halves(models: int, examples: int, seed: int) -> np.ndarray:
    """Which examples each of some models is trained on, bool of shape ``(models, examples)``.

    Each example is in half of the models, rounded down, and these are random.
    """
    random = np.random.default_rng([seed, 2])
    inside = np.zeros((models, examples), bool)
    for first in range(0, examples, _CHUNK):
        part = inside[:, first : first + _CHUNK]
        order = random.random(part.shape).argsort(axis=0)
        part[:] = order < models // 2
    return inside


# The pool


@dataclass(frozen=True)
class _Pool:
    """All examples of both splits as ``run_fn`` reads them, in the order of the raw ones."""

    path: str
    sizes: tuple[int, int]

    @property
    def examples(self) -> int:
        return sum(self.sizes)

    @classmethod
    def written(cls, files: tuple[Sequence[str], Sequence[str]], inputs: Artifacts, path: str) -> _Pool:
        graphs = inputs.get("transform_graph")
        transformation = Transformation(graphs[0].uri) if graphs else None
        sizes = []
        tf.io.gfile.makedirs(os.path.dirname(path))
        with tf.io.TFRecordWriter(path) as writer:
            for some in files:
                size = 0
                for batch in (batch for file in some for batch, _ in serialized_batches(file, BATCH_ROWS)):
                    for record in batch.numpy() if transformation is None else transformation(batch):
                        writer.write(record)
                    size += int(batch.shape[0])
                sizes.append(size)
        return cls(path, (sizes[0], sizes[1]))

    def split(self, chosen: np.ndarray, folders: Sequence[str]) -> None:
        """Writes the chosen examples to the first folder, all others to the second."""
        with ExitStack() as stack:
            writers = []
            for folder in folders:
                tf.io.gfile.makedirs(folder)
                writer = tf.io.TFRecordWriter(os.path.join(folder, _FILE), tf.io.TFRecordOptions("GZIP"))
                writers.append(stack.enter_context(writer))
            for batch, first in serialized_batches(self.path, BATCH_ROWS):
                records = batch.numpy()
                for record, own in zip(records, chosen[first : first + len(records)].tolist(), strict=True):
                    writers[0 if own else 1].write(record)


# Training


def _trained(
    pool: _Pool, chosen: np.ndarray, training: Training, folder: str, settings: AuditSettings
) -> ExampleModel:
    """A model that ``run_fn`` trained on the chosen examples."""
    examples = standard_artifacts.Examples()
    examples.uri = os.path.join(folder, "examples")
    examples.split_names = json.dumps(list(_SPLITS))
    examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
    pool.split(chosen, [split_folder(examples, split) for split in _SPLITS])
    model, run = standard_artifacts.Model(), standard_artifacts.ModelRun()
    model.uri, run.uri = os.path.join(folder, "model"), os.path.join(folder, "model_run")
    GenericExecutor().Do(
        {**training.inputs, "examples": [examples]},
        {"model": [model], "model_run": [run]},
        _properties(training, pool, int(chosen.sum())),
    )
    return ExampleModel(
        path_utils.serving_model_path(model.uri),
        signature=settings.signature,
        score_output=settings.score_output,
    )


def _properties(training: Training, pool: _Pool, examples: int) -> dict[str, Any]:
    """The Trainer's parameters, with other names of splits and privacy settings for so many examples."""
    properties = dict(training.properties)
    for name, split in zip(("train_args", "eval_args"), _SPLITS, strict=True):
        properties[name] = json.dumps({**json.loads(properties.get(name) or "{}"), "splits": [split]})
    if training.report is not None:
        custom = json_utils.loads(properties.get("custom_config") or "null") or {}
        private = private_settings(training.report, examples, pool.sizes[0])
        properties["custom_config"] = json_utils.dumps({**custom, PRIVACY: private})
    return properties


def private_settings(report: PrivacyReport, examples: int, trained: int) -> dict[str, Any]:
    """The settings of a private training, for another number of examples, as ``run_fn`` gets them.

    The noise is that of the training that the report is of: calibrated anew, it would be another's.

    Parameters
    ----------
    report
        Of the private training.
    examples
        Of the training to come.
    trained
        Of the one that the report is of.
    """
    settings = PrivateTrainingSettings.of(report.settings)
    noise = [item.noise_multiplier for item in report.privacy.mechanisms if item.what == "training"]
    changed: dict[str, Any] = {}
    if noise:
        changed |= {"epsilon": None, "noise_multiplier": noise[0], "composed_with": []}
    if settings.examples is not None:
        changed["examples"] = round(settings.examples * examples / trained)
    if settings.delta is not None and settings.delta * examples >= 1:
        changed["delta"] = None
    return settings.training.model_copy(update=changed).model_dump(mode="json")


@contextmanager
def _told(number: int, models: int, examples: int) -> Iterator[None]:
    """Progress into the log; what fails is told without what it says, which may quote examples."""
    name = f"shadow model {number + 1} of {models}"
    logging.info("Audit: %s is trained on %d examples", name, examples)
    begin = time.monotonic()
    try:
        yield
    except InputError as error:
        raise ShadowError(f"{name}: {error}") from None
    # Whatever a user's code may raise.
    except Exception as error:
        raise ShadowError(f"{name}: its training failed ({_where(error)})") from None
    logging.info("Audit: %s took %.0f s", name, time.monotonic() - begin)


def _where(error: Exception) -> str:
    """The kind of an error, and where in the user's code, which is what the Trainer called, it came up."""
    frames = traceback.extract_tb(error.__traceback__)
    called = [place for place, frame in enumerate(frames) if frame.filename.endswith("trainer/executor.py")]
    own = frames[min(called[-1] + 1, len(frames) - 1) if called else -1].filename
    line = [frame.lineno for frame in frames if frame.filename == own][-1]
    return f"{type(error).__name__} in {os.path.basename(own)}, line {line}"


def _forget(folder: str) -> None:
    import keras

    tf.io.gfile.rmtree(folder)
    keras.utils.clear_session()
