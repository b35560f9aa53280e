"""A served model that decides by group: the model as it was, and a signature more."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfx_trust.components.errors import InputError, TrustError, UsageError
from tfx_trust.components.fairness.decoder import Decoder
from tfx_trust.components.leakage.columns import Kind
from tfx_trust.components.mitigation.report import GroupThresholds
from tfx_trust.components.model import ExampleModel

DECISION, THRESHOLD = "decision", "threshold"
"""Outputs that the new signature has besides those of the model's own."""

_TYPES: dict[Kind, Any] = {"text": tf.string, "integer": tf.int64}
# What lies beside a SavedModel for its server, and TensorFlow does not copy.
_EXTRA = "assets.extra"


def export_decisions(
    source: str,
    destination: str,
    thresholds: GroupThresholds,
    kinds: Mapping[str, Kind],
    examples: Iterable[Any],
    *,
    signature: str | None = None,
    score_output: str | None = None,
    decision_signature: str = "decisions",
) -> int:
    """Writes a SavedModel that wraps another and decides by thresholds of groups.

    All signatures of the other stay as they are. `decision_signature` has the outputs of `signature` and
    besides ``decision`` (int64, 0 or 1) and ``threshold`` (float32), both of shape ``(rows,)``. It reads
    the group features from the serialized examples itself, so the model need not know them. What was written
    is loaded again and asked.

    Parameters
    ----------
    source
        Folder of the SavedModel.
    destination
        Folder to write to.
    thresholds
        What to decide by.
    kinds
        Kind of each group feature: text or integer.
    examples
        String tensors of serialized examples, each of shape ``(rows,)``, to check the new model on.
    signature, score_output
        As :class:`~tfx_trust.components.model.ExampleModel` takes them.
    decision_signature
        Name of the new signature; that of `signature` itself gets the outputs added.

    Returns
    -------
    int
        Examples that were checked.

    Raises
    ------
    InputError
        If the model cannot be asked, or a group feature is no text and no whole number.
    UsageError
        If an output or signature of this name is there already.
    TrustError
        If the new model answers otherwise than the old one, or decides otherwise than it should. Nothing is
        left in the folder then.
    """
    for name in thresholds.features:
        if kinds[name] not in _TYPES:
            raise InputError(
                f"feature {name!r} holds real numbers; groups are told by texts or whole numbers: make a "
                "feature of coarse values of it"
            )
    original = ExampleModel(source, signature=signature, score_output=score_output)
    loaded = tf.saved_model.load(source)
    _check_names(loaded, original, decision_signature)
    try:
        _save(loaded, destination, original, thresholds, kinds, decision_signature)
        return _check(loaded, destination, original, thresholds, kinds, decision_signature, examples)
    except BaseException:
        if tf.io.gfile.exists(destination):
            tf.io.gfile.rmtree(destination)
        raise


def _check_names(loaded: Any, original: ExampleModel, decision_signature: str) -> None:
    source = original.folder
    if decision_signature in loaded.signatures and decision_signature != original.signature:
        raise UsageError(
            f"{source}: there is a signature {decision_signature!r} already; choose another name for the one "
            "that decides (settings: decision_signature)"
        )
    taken = {DECISION, THRESHOLD} & set(loaded.signatures[original.signature].structured_outputs)
    if taken:
        raise UsageError(
            f"{source}: signature {original.signature!r} has an output {sorted(taken)[0]!r} already: the "
            "model decides by itself; adjust the one before it"
        )


class _Deciding(tf.Module):
    """The loaded model, and what decides by its score."""

    def __init__(
        self, model: Any, original: ExampleModel, thresholds: GroupThresholds, kinds: Mapping[str, Kind]
    ) -> None:
        super().__init__()
        # Held, for what a module does not hold is not saved: variables, tables, files.
        self.model = model
        self._function = model.signatures[original.signature]
        (self._argument,) = self._function.structured_input_signature[1]
        self._score = original.score_output
        self._at_least = thresholds.compare == ">="
        self._features = {name: _TYPES[kinds[name]] for name in thresholds.features}
        own = {_key(item.group.values()): item.threshold for item in thresholds.groups if item.adjusted}
        # What no group has: a table must not be empty.
        own[b"-"] = thresholds.common_threshold
        keys, values = tf.constant(list(own)), tf.constant(list(own.values()), tf.float32)
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(keys, values), thresholds.common_threshold
        )

    def signature(self) -> Any:
        """The function that answers and decides."""
        spec = tf.TensorSpec([None], tf.string, name=self._argument)
        return tf.function(self._answer, input_signature=[spec])

    def _answer(self, examples: Any) -> dict[str, Any]:
        outputs = dict(self._function(**{self._argument: examples}))
        threshold = self.table.lookup(self._keys(examples))
        score = outputs[self._score]
        # Of two columns the second is the positive label's.
        score = tf.reshape(score[:, -1] if score.shape.rank == 2 else score, [-1])
        # In the wider type, so that neither is rounded.
        score, bound = tf.cast(score, tf.float64), tf.cast(threshold, tf.float64)
        decided = score >= bound if self._at_least else score > bound
        return {**outputs, DECISION: tf.cast(decided, tf.int64), THRESHOLD: threshold}

    def _keys(self, examples: Any) -> Any:
        """The key of each example's group; empty where a feature has not exactly one value."""
        spec = {name: tf.io.RaggedFeature(kind) for name, kind in self._features.items()}
        parsed = tf.io.parse_example(examples, spec)
        parts, there = [], tf.ones_like(examples, tf.bool)
        # Parsed features come in the order of their names, keys are put together in that of the groups.
        for found in (parsed[name] for name in self._features):
            texts = found if found.dtype == tf.string else tf.strings.as_string(found)
            single = texts.row_lengths() == 1
            value = _first(texts)
            length = tf.strings.length(value)
            there &= single & (length > 0)
            parts.append(tf.strings.join([tf.strings.as_string(length), ":", value]))
        return tf.where(there, tf.strings.join(parts), "")


def _first(texts: Any) -> Any:
    """The first value of each row; an empty text where there is none."""
    return texts[:, :1].to_tensor(default_value="", shape=[None, 1])[:, 0]


def _key(values: Iterable[str]) -> bytes:
    """A text for a group; lengths keep different values from looking alike when put together."""
    return b"".join(b"%d:%s" % (len(value.encode()), value.encode()) for value in values)


def _save(
    loaded: Any,
    destination: str,
    original: ExampleModel,
    thresholds: GroupThresholds,
    kinds: Mapping[str, Kind],
    decision_signature: str,
) -> None:
    module = _Deciding(loaded, original, thresholds, kinds)
    signatures = {name: loaded.signatures[name] for name in loaded.signatures}
    signatures[decision_signature] = module.signature()
    # As for the signatures: held, to be saved.
    module.decide = signatures[decision_signature]
    tf.saved_model.save(module, destination, signatures=signatures)
    _copy(os.path.join(original.folder, _EXTRA), os.path.join(destination, _EXTRA))


def _copy(source: str, destination: str) -> None:
    if not tf.io.gfile.isdir(source):
        return
    tf.io.gfile.makedirs(destination)
    for name in tf.io.gfile.listdir(source):
        path = os.path.join(source, name.rstrip("/"))
        target = os.path.join(destination, name.rstrip("/"))
        if tf.io.gfile.isdir(path):
            _copy(path, target)
        else:
            tf.io.gfile.copy(path, target, overwrite=True)


def _check(
    before: Any,
    destination: str,
    original: ExampleModel,
    thresholds: GroupThresholds,
    kinds: Mapping[str, Kind],
    decision_signature: str,
    examples: Iterable[Any],
) -> int:
    """Asks both models, by every signature that takes examples; the number of examples."""
    after = tf.saved_model.load(destination)
    _check_specs(before.signatures, after.signatures, decision_signature)
    asked = [name for name in before.signatures if _takes_examples(before.signatures[name])]
    decoder = Decoder({name: kinds[name] for name in thresholds.features})
    usual, own = before.signatures[original.signature], after.signatures[decision_signature]

    def check(serialized: Any, where: str) -> None:
        for name in asked:
            if name != decision_signature:
                expected = _answer(before.signatures[name], serialized)
                _check_same(expected, _answer(after.signatures[name], serialized), name, where)
        found = _answer(own, serialized)
        _check_same(_answer(usual, serialized), found, decision_signature, where)
        columns = decoder.decode(serialized, path=where, first=0)
        _check_decided(original(serialized).scores, found, thresholds, columns, where)

    checked = 0
    for number, serialized in enumerate(examples):
        check(serialized, f"batch {number}")
        if not checked:
            for stranger in _strangers(serialized, decoder.kinds):
                # What the model itself cannot answer needs no decision.
                if _answers(before.signatures, asked, stranger):
                    check(stranger, "an example without a known group")
        checked += int(serialized.shape[0])
    if not checked:
        raise InputError(f"{original.folder}: no examples to check the new model on; give some")
    return checked


def _strangers(serialized: Any, kinds: Mapping[str, Kind]) -> Iterator[Any]:
    """The first example with each of the group features missing, empty, and of a value that nobody has."""
    values: dict[Kind, list[Any]] = {"text": [None, [b""], [b"\x00nobody"]], "integer": [None, [-(2**62)]]}
    for name, kind in kinds.items():
        for value in values[kind]:
            example = tf.train.Example.FromString(serialized[0].numpy())
            example.features.feature.pop(name, None)
            if value is not None:
                feature = example.features.feature[name]
                getattr(feature, "bytes_list" if kind == "text" else "int64_list").value.extend(value)
            yield tf.constant([example.SerializeToString()])


def _answers(signatures: Any, names: Iterable[str], serialized: Any) -> bool:
    try:
        for name in names:
            _answer(signatures[name], serialized)
    except tf.errors.OpError:
        return False
    return True


def _takes_examples(function: Any) -> bool:
    inputs = list(function.structured_input_signature[1].values())
    return len(inputs) == 1 and inputs[0].dtype == tf.string and inputs[0].shape.rank in (1, None)


def _answer(function: Any, serialized: Any) -> dict[str, np.ndarray]:
    (argument,) = function.structured_input_signature[1]
    return {name: value.numpy() for name, value in function(**{argument: serialized}).items()}


def _check_specs(before: Any, after: Any, decision_signature: str) -> None:
    for name in before:
        if name not in after:
            raise TrustError(f"signature {name!r} was lost in writing the model anew; report it")
        same = before[name].structured_input_signature[1] == after[name].structured_input_signature[1]
        outputs = set(before[name].structured_outputs)
        kept = outputs <= set(after[name].structured_outputs)
        exact = name == decision_signature or outputs == set(after[name].structured_outputs)
        if not (same and kept and exact):
            raise TrustError(
                f"signature {name!r} has other inputs or outputs after the model was written anew; report it"
            )


def _check_same(
    expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray], signature: str, where: str
) -> None:
    for name, values in expected.items():
        other = found[name]
        same = values.dtype == other.dtype and values.shape == other.shape
        if same and values.dtype.kind == "O":
            same = bool((values == other).all())
        elif same:
            same = values.tobytes() == other.tobytes()
        if not same:
            raise TrustError(
                f"{where}: output {name!r} of signature {signature!r} changed when the model was written "
                "anew; it is not taken. Does the model answer the same examples alike each time?"
            )


def _check_decided(
    scores: np.ndarray | None,
    found: Mapping[str, np.ndarray],
    thresholds: GroupThresholds,
    columns: Mapping[str, pa.Array],
    where: str,
) -> None:
    assert scores is not None
    wanted = {
        THRESHOLD: thresholds.thresholds_for(columns),
        DECISION: thresholds.decide(scores, columns),
    }
    for name, values in wanted.items():
        if found[name].dtype != values.dtype or not np.array_equal(found[name], values):
            different = (
                int((found[name] != values).sum()) if found[name].shape == values.shape else len(values)
            )
            raise TrustError(
                f"{where}: output {name!r} of the exported model is not what was chosen for {different:,} "
                "examples; it is not taken: report it"
            )
