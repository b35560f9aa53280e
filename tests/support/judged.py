"""Examples with a score in them, for models to answer with: what the fairness gate is tried on."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from leaky import write_rows
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts

SETTINGS: dict[str, Any] = {
    "label": "label",
    "slices": [["sex"], ["race"], ["age"]],
    "cross": 2,
    "buckets": {"age": [30.0, 50.0]},
    "thresholds": [0.5, 0.25],
}


def people(rows: int, seed: int = 0) -> list[dict[str, Any]]:
    """Some of whom the score wrongs: of the women with a positive label it misses more."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, rows)
    sex = random.choice(["f", "m"], rows)
    score = np.clip(0.6 * label - 0.35 * label * (sex == "f") + random.normal(0.2, 0.2, rows), 0, 1)
    columns: dict[str, Any] = {
        "label": label.tolist(),
        "sex": sex.tolist(),
        "race": random.choice(["a", "b", "c", "?"], rows, p=[0.6, 0.25, 0.1, 0.05]).tolist(),
        "age": random.integers(17, 91, rows).tolist(),
        "weight": random.random(rows).astype(np.float32).tolist(),
        "score": score.astype(np.float32).tolist(),
        "former": random.random(rows).astype(np.float32).tolist(),
    }
    made = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    for row in made[::17]:
        row["race"] = None
    return made


def table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The same as a table, for the analysis without TFX."""
    return pa.Table.from_pylist([dict(row) for row in rows])


def files_of(folder: Path, rows: Sequence[Mapping[str, Any]], parts: int = 2) -> list[str]:
    """The same as TFRecord files."""
    return [
        write_rows(folder / f"data_tfrecord-{part:05d}-of-{parts:05d}.gz", rows[part::parts])
        for part in range(parts)
    ]


def examples_artifact(folder: Path, splits: Mapping[str, Sequence[Mapping[str, Any]]]) -> Any:
    """The same as an artifact, by split."""
    made = standard_artifacts.Examples()
    made.uri = str(folder)
    made.split_names = json.dumps(list(splits))
    examples_utils.set_payload_format(made, example_gen_pb2.FORMAT_TF_EXAMPLE)
    for split, rows in splits.items():
        files_of(folder / f"Split-{split}", rows)
    return made
