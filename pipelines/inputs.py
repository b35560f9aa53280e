"""What the standard pipeline is made from: files of examples and a schema, checked before anything runs."""

from __future__ import annotations

import csv
import hashlib
import os

from tensorflow_model_analysis.proto import config_pb2
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.v1 import components as standard

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.standard import parse_schema

SPLITS = ("train", "eval")


def example_gen_of(folder: str, label: str) -> BaseComponent:
    """CsvExampleGen of a folder with ``train/*.csv`` and ``eval/*.csv``.

    Raises
    ------
    InputError
        If a file or the label is missing, or a file cannot be read as TFX would.
    """
    for split in SPLITS:
        _check_split(folder, split, label)
    splits = [example_gen_pb2.Input.Split(name=split, pattern=f"{split}/*.csv") for split in SPLITS]
    return standard.CsvExampleGen(input_base=folder, input_config=example_gen_pb2.Input(splits=splits))


def raw_label(evaluation: config_pb2.EvalConfig) -> str:
    """The label as the raw examples have it; empty where the Evaluator makes it by preprocessing."""
    if not evaluation.model_specs:
        raise UsageError("the EvalConfig has no model_specs; eval_config(label, ...) makes one that fits")
    spec = evaluation.model_specs[0]
    return "" if spec.preprocessing_function_names else spec.label_key


def _check_split(folder: str, split: str, label: str) -> None:
    if not fileio.isdir(folder):
        raise InputError(f"{folder}: no such folder; it should hold train/*.csv and eval/*.csv")
    files = fileio.glob(os.path.join(folder, split, "*.csv"))
    if not files:
        raise InputError(f"{folder}: no {split}/*.csv; the {split} split is read from there")
    examples = False
    for path in files:
        with fileio.open(path, "rb") as file:
            header, first = (_decoded(file.readline(), path) for _ in range(2))
        examples = examples or bool(first.strip())
        if not header.strip():
            raise InputError(f"{path}: the file is empty; it should have a header and examples")
        columns = next(csv.reader([header]))
        if header.startswith("\ufeff"):
            raise InputError(
                f"{path}: begins with a byte order mark, which TFX takes for part of a name; save without"
            )
        if label and label not in columns:
            separator = "; TFX reads commas between columns" if len(columns) == 1 else ""
            raise InputError(
                f"{path}: no column {label!r}, the label; its header has {', '.join(columns)}{separator}"
            )
    if not examples:
        raise InputError(f"{files[0]}: a header but no example, and so is all of the {split} split")


def _decoded(line: bytes, path: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); convert it") from None


def checked_schema(path: str, label: str) -> str:
    """The text of a schema file.

    Raises
    ------
    InputError
        If there is none, it is no schema, or the label is not in it.
    """
    if not fileio.exists(path):
        raise InputError(f"{path}: no such schema file")
    with fileio.open(path, "r") as file:
        text = str(file.read())
    names = [feature.name for feature in parse_schema(text, path).feature]
    if label and label not in names:
        raise InputError(f"{path}: no feature {label!r}, the label; it has {', '.join(names)}")
    return text


def by_content(text: str, root: str) -> str:
    """A copy of the schema under a name made of its content.

    ImportSchemaGen is served from the cache as long as the path is the same, whatever is in the file.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = os.path.join(root, "schema", digest[:16], "schema.pbtxt")
    if not fileio.exists(path):
        fileio.makedirs(os.path.dirname(path))
        with fileio.open(path, "w") as file:
            file.write(text)
    return path
