"""What a metadata store tells of a training: the examples and splits that it learned from, and its seeds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tfx_trust.components.mlmd import Artifact, Event, Execution
from tfx_trust.components.provenance.lineage import MODEL, Lineage
from tfx_trust.components.provenance.masking import masked
from tfx_trust.components.provenance.record import Training, Value

EXAMPLES = "Examples"
_INPUT = "examples"
TRAIN_ARGS, EVAL_ARGS = "train_args", "eval_args"
# What TFX's trainer takes where its arguments name none.
_DEFAULT = {TRAIN_ARGS: ["train"], EVAL_ARGS: ["eval"]}
_SEED = re.compile(r"(?:^|_)(?:seeds?|random_state)$")


def training_of(lineage: Lineage, model: int) -> Training | None:
    """Of the execution that trained a model: where the model was altered afterwards, the one before that.

    None where nothing that made the model read examples.
    """
    makers = {event.artifact: event.execution for event in lineage.makes}
    reads: dict[int, list[Event]] = {}
    for event in lineage.reads:
        reads.setdefault(event.execution, []).append(event)
    number = makers.get(model)
    if number is None:
        return None
    seen: set[int] = set()
    while number not in seen and TRAIN_ARGS not in lineage.executions[number].properties:
        seen.add(number)
        before = next(
            (
                makers[event.artifact]
                for event in reads.get(number, [])
                if lineage.artifacts[event.artifact].type == MODEL and event.artifact in makers
            ),
            None,
        )
        if before is None:
            break
        number = before
    execution = lineage.executions[number]
    read = [event for event in reads.get(number, []) if lineage.artifacts[event.artifact].type == EXAMPLES]
    # Of several, such as those that canaries are made of, the ones that every trainer calls so.
    examples = {event.artifact for event in [item for item in read if item.key == _INPUT] or read}
    if not examples:
        return None
    return Training(
        execution=number,
        examples=sorted(examples),
        splits=_splits(execution, TRAIN_ARGS),
        evaluation_splits=_splits(execution, EVAL_ARGS),
    )


def splits_of(artifact: Artifact) -> list[str]:
    """Names of an artifact's splits, in its own order.

    Examples
    --------
    >>> splits_of(Artifact(1, "Examples", "", "/x", "LIVE", 0, 0, {"split_names": '["train", "eval"]'}))
    ['train', 'eval']
    """
    text = artifact.properties.get("split_names")
    if not isinstance(text, str) or not text:
        return []
    try:
        found = json.loads(text)
    except ValueError:
        found = [part.strip() for part in text.split(",")]
    return [str(name) for name in found] if isinstance(found, list) else [str(found)]


def span_of(artifact: Artifact) -> tuple[int | None, int | None]:
    """Span and version. TFX also calls data that come without numbers span 0."""
    span, version = (_number(artifact.properties.get(name)) for name in ("span", "version"))
    return (span if span or version is not None else None), version


def seeds_of(executions: Mapping[int, Execution], nodes: Mapping[int, str]) -> dict[str, Value]:
    """Seeds among the parameters, also within JSON, by ``component.parameter``; none of one left open."""
    found: dict[str, Value] = {}
    for number in sorted(executions):
        for path, value in _seeds("", executions[number].properties):
            kept = masked({"seed": value})["seed"]
            found[f"{nodes.get(number, executions[number].component)}.{path}"] = kept
    return dict(sorted(found.items()))


def _seeds(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from _seeds(f"{path}[{place}]", item)
    if not isinstance(value, Mapping):
        return
    for name, item in value.items():
        inside = f"{path}.{name}" if path else str(name)
        if _is_seed(str(name)) and not isinstance(item, Mapping):
            yield inside, item
        else:
            yield from _seeds(inside, item)


def _is_seed(name: str) -> bool:
    return _SEED.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) is not None


def _splits(execution: Execution, name: str) -> list[str]:
    text = execution.properties.get(name)
    if not isinstance(text, str):
        return []
    try:
        told = json.loads(text)
    except ValueError:
        return []
    splits = told.get("splits") if isinstance(told, dict) else None
    return [str(split) for split in splits] if isinstance(splits, list) and splits else _DEFAULT[name]


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if re.fullmatch(r"-?\d+", text) else None
