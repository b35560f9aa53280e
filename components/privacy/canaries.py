"""Canaries: examples of nobody, put into training each by a coin's toss, for the audit to find again."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust.components.errors import InputError, unknown
from tfx_trust.components.examples import BATCH_ROWS, LISTS, parsed, records
from tfx_trust.components.privacy.config import Canaries
from tfx_trust.components.privacy.report import CanaryRecord
from tfx_trust.components.privacy.sampled import sample_records
from tfx_trust.components.privacy.transforming import Transformation

CANARIES_FILE = "canaries.tfrecord.gz"
TRAIN_FILE = "canaries-00000-of-00001.gz"

_SAMPLE = "the sampled examples"


@dataclass(frozen=True)
class Made:
    """The canaries of one training.

    Attributes
    ----------
    record
        For the report of the training.
    train_file
        TFRecord file (GZIP) of those that are trained on, as ``run_fn`` reads examples; to be added to its
        train files. It holds no record where no toss came up so.
    """

    record: CanaryRecord
    train_file: str


def make(
    files: Sequence[str],
    settings: Canaries,
    *,
    label: str,
    report_folder: str,
    train_folder: str,
    transform_graph: str | None = None,
    schema: schema_pb2.Schema | None = None,
) -> Made:
    """Makes canaries, tosses for each, and writes them down.

    Of examples that are chosen at random, the values of each feature are permuted by themselves, so that what
    belongs together in a canary belongs to different people; its label is any of those that occur, with equal
    chances. What only has a meaning together stays together: the parts of a sparse or ragged feature, and a
    feature and its weights. An inclusion is a fair coin from the operating system's entropy, each by itself
    and of nothing else, as Steinke, Nasr & Jagielski (2023), arXiv 2305.08846, need it.

    Parameters
    ----------
    files
        TFRecord files of raw examples that are not trained on: of the eval split.
    settings
        How many.
    label
        Feature of the label.
    report_folder
        Where all canaries are written, raw, to be asked about later.
    train_folder
        Where those that are trained on are written, as ``run_fn`` reads them.
    transform_graph
        Folder of the TransformGraph artifact; none where raw examples are trained on.
    schema
        Tells which features belong together; that of the transform graph if not given.

    Raises
    ------
    UsageError
        If no example has the label.
    InputError
        If there are no examples, they cannot be read or transformed, their label has one value, or permuting
        them changes nothing.
    """
    transformation = None if transform_graph is None else Transformation(transform_graph)
    if schema is None and transformation is not None:
        schema = transformation.raw_schema
    sample = sample_records(files, settings.count, settings.seed)
    if not sample.rows:
        raise InputError(
            f"{os.path.dirname(files[0]) if files else 'no files'}: no examples to make canaries of; give "
            "examples that have some in the eval split"
        )
    random = np.random.default_rng(settings.seed)
    made = permuted(sample.records.tolist(), settings.count, random, label=label, schema=schema)
    tosses = _tosses(settings.count, settings.seed)
    chosen = [canary for canary, tossed in zip(made, tosses, strict=True) if tossed]
    _write(report_folder, CANARIES_FILE, made)
    _write(train_folder, TRAIN_FILE, _as_trained_on(chosen, transformation))
    logging.info("Canaries: %d made, %d of them are trained on", len(made), len(chosen))
    record = CanaryRecord(count=len(made), included=len(chosen), file=CANARIES_FILE, tosses=tosses)
    return Made(record, os.path.join(train_folder, TRAIN_FILE))


def read(folder: str, record: CanaryRecord) -> np.ndarray:
    """The raw canaries of a report, object of shape ``(canaries,)``, in the order of its tosses.

    Parameters
    ----------
    folder
        Of the report.
    record
        What it says of them.

    Raises
    ------
    InputError
        If the file is missing or damaged, or holds others than the report says.
    """
    path = os.path.join(folder, record.file)
    found = list(records(path))
    if not len(found) == record.count == len(record.tosses):
        raise InputError(
            f"{path}: {len(found):,} canaries, the report has {len(record.tosses):,} tosses for "
            f"{record.count:,}; the folder was changed: train again"
        )
    return np.array(found, object)


def permuted(
    serialized: Sequence[bytes],
    count: int,
    random: np.random.Generator,
    *,
    label: str | None = None,
    schema: schema_pb2.Schema | None = None,
) -> list[bytes]:
    """Examples each feature of which is somebody else's.

    Parameters
    ----------
    serialized
        tf.Examples.
    count
        How many to make: where there are more than examples, some are taken oftener.
    random
        Of the permutations.
    label
        A feature that is not permuted but drawn, each of its values with equal chances.
    schema
        Tells which features belong together.

    Raises
    ------
    UsageError
        If no example has the label.
    InputError
        If the label has one value or belongs to another feature, or all other features are the same in all
        examples.
    """
    given = [parsed(record, _SAMPLE, number).features.feature for number, record in enumerate(serialized)]
    names = sorted({name for features in given for name in features})
    made = [tf.train.Example() for _ in range(count)]
    if label is not None:
        values = _label_values(given, names, label)
        for canary, place in zip(made, random.integers(0, len(values), count), strict=True):
            canary.features.feature[label].CopyFrom(values[place])
    changed = False
    for unit in _units(names, schema, label):
        order = random.permutation(np.resize(np.arange(len(given)), count))
        changed |= len({_written(features, unit) for features in given}) > 1
        for canary, place in zip(made, order.tolist(), strict=True):
            for name in unit:
                if name in given[place]:
                    canary.features.feature[name].CopyFrom(given[place][name])
    if not changed:
        raise InputError(
            f"all {len(given):,} examples whose values were to be permuted have the same features; that "
            "makes no other examples: give some that differ"
        )
    return [canary.SerializeToString() for canary in made]


def _written(features: tf.train.Features, unit: Sequence[str]) -> tuple[bytes | None, ...]:
    return tuple(features[name].SerializeToString() if name in features else None for name in unit)


def _label_values(given: Sequence[tf.train.Features], names: Sequence[str], label: str) -> list:
    if label not in names:
        raise unknown("feature of the examples", label, names)
    values = {}
    for features in given:
        kind = features[label].WhichOneof("kind") if label in features else None
        if kind in LISTS and len(getattr(features[label], kind).value) == 1:
            values[features[label].SerializeToString()] = features[label]
    if len(values) < 2:
        found = "one value" if values else "no single value"
        raise InputError(
            f"label {label!r} has {found} in the {len(given):,} examples that canaries are made of; name the "
            "feature that is the label (settings: label), or make more canaries"
        )
    return [values[key] for key in sorted(values)]


def _units(
    names: Sequence[str], schema: schema_pb2.Schema | None, label: str | None
) -> list[tuple[str, ...]]:
    """The features, those that belong together as one, without the label."""
    unit_of = {name: {name} for name in names}
    for group in () if schema is None else _belonging(schema):
        there = [name for name in group if name in unit_of]
        if label in there and len(there) > 1:
            others = ", ".join(name for name in there if name != label)
            raise InputError(
                f"label {label!r} belongs to {others} by the schema, so that canaries cannot get it at "
                "random; give the examples a label of its own"
            )
        whole = set().union(*(unit_of[name] for name in there))
        for name in whole:
            unit_of[name] = whole
    return sorted({tuple(sorted(unit)) for unit in unit_of.values() if label not in unit})


def _belonging(schema: schema_pb2.Schema) -> Iterator[set[str]]:
    """Names of features that only have a meaning together."""
    for sparse in schema.sparse_feature:
        yield {sparse.value_feature.name, *(index.name for index in sparse.index_feature)}
    for weighted in schema.weighted_feature:
        yield {*weighted.feature.step, *weighted.weight_feature.step}
    for group in schema.tensor_representation_group.values():
        for tensor in group.tensor_representation.values():
            if tensor.HasField("sparse_tensor"):
                yield {tensor.sparse_tensor.value_column_name, *tensor.sparse_tensor.index_column_names}
            if tensor.HasField("ragged_tensor"):
                partitions = {part.row_length for part in tensor.ragged_tensor.partition if part.row_length}
                yield {*tensor.ragged_tensor.feature_path.step, *partitions}


def _tosses(count: int, seed: int | None) -> list[bool]:
    if seed is not None:
        # Another stream than the canaries' own.
        return np.random.default_rng([seed, 1]).integers(0, 2, count).astype(bool).tolist()
    bits = np.frombuffer(secrets.token_bytes(-(-count // 8)), np.uint8)
    return np.unpackbits(bits)[:count].astype(bool).tolist()


def _as_trained_on(chosen: Sequence[bytes], transformation: Transformation | None) -> Iterator[bytes]:
    if transformation is None:
        yield from chosen
        return
    for begin in range(0, len(chosen), BATCH_ROWS):
        yield from transformation(chosen[begin : begin + BATCH_ROWS])


def _write(folder: str, name: str, written: Sequence[bytes] | Iterator[bytes]) -> None:
    tf.io.gfile.makedirs(folder)
    with tf.io.TFRecordWriter(os.path.join(folder, name), tf.io.TFRecordOptions("GZIP")) as writer:
        for record in written:
            writer.write(record)
