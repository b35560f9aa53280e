"""What preprocessing saw, and what the model will need: read from Transform's graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust.components.leakage.report import Preprocessing
from tfx_trust.components.report import Verdict

SERVING = "SERVING"


def judged(
    analyzed: Sequence[str] | None,
    evaluation: Collection[str],
    required: Sequence[str] | None,
    absent: Sequence[str],
) -> Preprocessing:
    """The judgement of what is known.

    Parameters
    ----------
    analyzed
        Splits that the analyzers saw; none if not known, which is no pass.
    evaluation
        Splits that they must not see.
    required
        Raw features that the transformed features depend on; none if not known.
    absent
        Of these, those that the schema does not have at serving.
    """
    seen = [split for split in analyzed or () if split in evaluation]
    verdict = Verdict.FAIL if seen or absent else Verdict.NOT_RUN if analyzed is None else Verdict.PASS
    return Preprocessing(
        analyzed_splits=None if analyzed is None else list(analyzed),
        eval_analyzed=seen,
        required_at_serving=None if required is None else list(required),
        absent_at_serving=list(absent),
        verdict=verdict,
    )


def absent_at(environment: str, schema: schema_pb2.Schema, names: Sequence[str]) -> list[str]:
    """Of some features, those that a schema does not have in an environment.

    A feature is there if it names the environment; else if it does not rule it out and the environment
    is a default one, or the schema has none.
    """
    default = list(schema.default_environment)
    absent = []
    for feature in schema.feature:
        there = environment in feature.in_environment or (
            environment not in feature.not_in_environment and (not default or environment in default)
        )
        if feature.name in names and not there:
            absent.append(feature.name)
    return absent


def required_features(transform_graph: str, label: str) -> list[str]:
    """The raw features that a Transform's outputs depend on, the label's aside.

    Parameters
    ----------
    transform_graph
        Folder of the TransformGraph artifact.
    label
        The label; outputs of this name, and outputs that depend on it alone, are no features.
    """
    import tensorflow as tf
    import tensorflow_transform as tft

    loaded = tf.saved_model.load(tft.TFTransformOutput(transform_graph).transform_savedmodel_dir)
    function = loaded.transform_fn
    # Newer and older ways of saving give a concrete function, or a function with one of them.
    graph = next(iter(getattr(function, "concrete_functions", [function]))).graph
    (features,), _ = graph.structured_input_signature
    inputs = {}
    # Sorted by name, as flattened; a sparse or ragged feature has several tensors.
    names = [
        name for name in sorted(features) for _ in tf.nest.flatten(features[name], expand_composites=True)
    ]
    for name, tensor in zip(names, graph.inputs, strict=False):
        inputs[tensor.op.name] = name
    outputs = tf.nest.pack_sequence_as(graph.structured_outputs, graph.outputs, expand_composites=True)
    needed = {
        name: _behind(tf.nest.flatten(output, expand_composites=True), inputs)
        for name, output in outputs.items()
    }
    return sorted(
        set().union(*(found for name, found in needed.items() if name != label and found != {label}))
    )


def _behind(tensors: Sequence[Any], inputs: Mapping[str, str]) -> set[str]:
    """The inputs that some tensors depend on."""
    open_ = [tensor.op for tensor in tensors]
    seen = {operation.name for operation in open_}
    found = set()
    while open_:
        operation = open_.pop()
        if operation.name in inputs:
            found.add(inputs[operation.name])
        for before in (*(tensor.op for tensor in operation.inputs), *operation.control_inputs):
            if before.name not in seen:
                seen.add(before.name)
                open_.append(before)
    return found
