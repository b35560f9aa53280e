"""Attribute inference and model inversion: the guesses of an attacker who asks the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import tensorflow as tf
from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust.components.errors import InputError
from tfx_trust.components.examples import LISTS, parsed
from tfx_trust.components.privacy import inference
from tfx_trust.components.privacy.audit_reader import Reader
from tfx_trust.components.privacy.canaries import permuted
from tfx_trust.components.privacy.config import AuditSettings
from tfx_trust.components.privacy.report import Inference

MOST_VALUES = 50
"""Of a feature that are guessed from: the commonest."""
_BACKGROUND = 500
"""Examples of nobody that inversion averages over."""
_ROUNDING = 1e-6
_ABSENT = -1
_RARE = -2

Judge = Callable[..., Inference]


@dataclass(frozen=True)
class Asked:
    """Some examples that are attacked.

    Attributes
    ----------
    records
        Serialized, object of shape ``(rows,)``.
    labels
        Places of their classes, int64 of that shape.
    """

    records: np.ndarray
    labels: np.ndarray


def infer(
    members: Asked,
    others: Asked,
    reader: Reader,
    settings: AuditSettings,
    schema: schema_pb2.Schema | None = None,
) -> tuple[list[Inference], dict[str, str]]:
    """Guesses each sensitive feature by what the model says.

    Attribute inference knows an example but for the feature, and its label: it asks the model with each value
    in the example and takes the one that makes the label likeliest, weighed by how common the value is
    (Fredrikson et al. 2014). Inversion knows the label alone, and how common the values of each feature are:
    it asks about examples that are put together from these.

    Parameters
    ----------
    members, others
        Examples that the model was trained on, and others.
    reader
        Asks the model.
    settings
        They name the features.
    schema
        Tells which features belong together.

    Returns
    -------
    inferences : list of Inference
        Two a feature; they are still to be judged together.
    not_run : dict
        By attack, why it was not made.
    """
    found: list[Inference] = []
    not_run: dict[str, str] = {}
    for name in settings.sensitive:
        try:
            made = _infer(name, members, others, reader, settings, schema)
        except InputError as error:
            not_run[f"attribute inference and inversion of {name}"] = str(error)
        else:
            found += made
    return found, not_run


def _infer(
    name: str,
    members: Asked,
    others: Asked,
    reader: Reader,
    settings: AuditSettings,
    schema: schema_pb2.Schema | None,
) -> list[Inference]:
    records = np.concatenate([members.records, others.records])
    values = Values.of(name, column_of(records, name), settings.buckets.get(name))
    logging.info("Audit: guessing %s from %d values", name, values.count)
    random = np.random.default_rng(settings.seed)
    cut = len(members.records)
    labels = np.concatenate([members.labels, others.labels])
    known = values.codes != _ABSENT
    if not (known[:cut].any() and known[cut:].any()):
        raise InputError(f"{name!r} is missing in all members, or in all others")
    nobody = permuted(others.records[:_BACKGROUND].tolist(), _BACKGROUND, random, schema=schema)
    likely, inverted = _asked(name, values, records, labels, nobody, reader)
    counts = np.zeros((values.count, inverted.shape[1]))
    usual = values.codes >= 0
    np.add.at(counts, (values.codes[usual], labels[usual]), 1)
    prior = counts.sum(axis=1)

    def judged(judge: Judge, guess: np.ndarray, usually: np.ndarray) -> Inference:
        right, baseline = guess == values.codes, usually == values.codes
        return judge(
            name,
            right[:cut][known[:cut]],
            right[cut:][known[cut:]],
            baseline[cut:][known[cut:]],
            settings,
            values=values.count,
        )

    commonest = np.full(len(labels), prior.argmax())
    by_label = (prior[:, np.newaxis] * inverted).T
    return [
        judged(inference.attribute, _likeliest(prior * likely, random), counts.argmax(axis=0)[labels]),
        judged(inference.inversion, _likeliest(by_label[labels], random), commonest),
    ]


def column_of(records: np.ndarray, name: str) -> np.ndarray:
    """A feature of serialized examples, object of shape ``(rows,)``; None where it is missing or NaN.

    Raises
    ------
    InputError
        If one has several values of it.
    """
    found = np.full(len(records), None, object)
    for place, record in enumerate(records):
        features = parsed(record, "the sample", place).features.feature
        kind = features[name].WhichOneof("kind") if name in features else None
        values = list(getattr(features[name], kind).value) if kind in LISTS else []
        if len(values) > 1:
            raise InputError(f"{name!r} has several values in an example, where one is guessed")
        if len(values) == 1 and values[0] == values[0]:
            found[place] = values[0]
    return found


@dataclass(frozen=True)
class Values:
    """The values of a feature that are guessed from.

    Attributes
    ----------
    codes
        Of each example the place of its value among them, int64; negative where it is missing, or too rare.
    put
        What is put into the examples, one for each.
    """

    codes: np.ndarray
    put: Sequence[bytes | int | float]

    @property
    def count(self) -> int:
        """How many."""
        return len(self.put)

    @classmethod
    def of(cls, name: str, column: np.ndarray, edges: Sequence[float] | None) -> Values:
        """The commonest values, or one for each bucket: the median of those in it.

        Parameters
        ----------
        name
            The feature's.
        column
            Its values in all examples, object; None where missing.
        edges
            Of its buckets, if it has any.

        Raises
        ------
        InputError
            If there are fewer than two values, or so many that most examples have a rare one.
        """
        there = np.array([value is not None for value in column], bool)
        if edges is not None:
            codes, put = _bucketed(name, column, there, edges)
        else:
            codes, put = _commonest(column)
        if len(put) < 2:
            raise InputError(f"{name!r} has {len(put)} value in these examples: there is nothing to guess")
        if 2 * (codes >= 0).sum() < there.sum():
            raise InputError(
                f"{name!r} has so many values that the {MOST_VALUES} commonest are less than half of the "
                "examples; give a number buckets (settings: buckets), or name something coarser"
            )
        return cls(codes, put)


def _commonest(column: np.ndarray) -> tuple[np.ndarray, list[bytes | int | float]]:
    times: dict[bytes | int | float, int] = {}
    for value in column:
        if value is not None:
            times[value] = times.get(value, 0) + 1
    # Of equally frequent ones the first by value.
    put = sorted(sorted(times), key=lambda value: -times[value])[:MOST_VALUES]
    place: dict[bytes | int | float | None, int] = {value: code for code, value in enumerate(put)}
    place[None] = _ABSENT
    return np.array([place.get(value, _RARE) for value in column], np.int64), put


def _bucketed(
    name: str, column: np.ndarray, there: np.ndarray, edges: Sequence[float]
) -> tuple[np.ndarray, list[bytes | int | float]]:
    values = column[there]
    if not edges or any(first >= second for first, second in pairwise(edges)):
        raise InputError(
            f"buckets of {name!r} have the edges {list(edges)}; give some, each greater than the last"
        )
    if any(isinstance(value, bytes) for value in values):
        raise InputError(f"{name!r} is text and has buckets; buckets are for numbers: leave them out")
    buckets, place = np.unique(
        np.searchsorted(edges, values.astype(float), side="right"), return_inverse=True
    )
    codes = np.full(len(column), _ABSENT, np.int64)
    codes[there] = place
    # A value that occurs, not a mean of two.
    put = [sorted(values[place == code])[(place == code).sum() // 2] for code in range(len(buckets))]
    return codes, put


def _asked(
    name: str,
    values: Values,
    records: np.ndarray,
    labels: np.ndarray,
    nobody: Sequence[bytes],
    reader: Reader,
) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each example's label with each value in it, and of each class over the background.

    Returns
    -------
    likely : ndarray
        Of shape ``(examples, values)``.
    inverted : ndarray
        Of shape ``(values, classes)``.
    """
    # Without the feature they are equal oftener. And of two in one example TensorFlow says each time that it
    # reads the last.
    asked, place = np.unique(_without(name, [*records, *nobody]), return_inverse=True)
    likely, inverted = [], []
    # Value by value, so that each example is in the same batch and place every time. Else rounding would tell
    # its own value from the others.
    for value in values.put:
        added = _feature(name, value)
        # Not by numpy's own addition, which takes zero bytes at an end away.
        said = reader.probabilities(np.array([record + added for record in asked], object))[place]
        likely.append(said[np.arange(len(records)), labels])
        inverted.append(said[len(records) :].mean(axis=0))
    return np.stack(likely, axis=1), np.stack(inverted)


def _without(name: str, records: Sequence[bytes]) -> np.ndarray:
    found = np.empty(len(records), object)
    for place, record in enumerate(records):
        example = parsed(record, "the sample", place)
        example.features.feature.pop(name, None)
        found[place] = example.SerializeToString(deterministic=True)
    return found


def _feature(name: str, value: bytes | int | float) -> bytes:
    """What, behind a serialized tf.Example without a feature, gives it that feature.

    Two protos behind each other are one with what both have (Protocol Buffers, "Encoding").
    """
    example = tf.train.Example()
    feature = example.features.feature[name]
    if isinstance(value, bytes):
        feature.bytes_list.value.append(value)
    elif isinstance(value, float):
        feature.float_list.value.append(value)
    else:
        feature.int64_list.value.append(value)
    return bytes(example.SerializeToString())


def _likeliest(scores: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The place of the greatest score of each row; of equal ones any."""
    greatest = scores >= scores.max(axis=1, keepdims=True) * (1 - _ROUNDING)
    found: np.ndarray = np.where(greatest, random.random(scores.shape), -1.0).argmax(axis=1)
    return found
