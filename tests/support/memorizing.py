"""Models that know whom they were trained on, for attackers to find out; and run_fns that make them.

In a module of its own, since TFX imports a ``run_fn`` by its name.
"""

import glob
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from models import save_model

SPEC = {"id": tf.io.FixedLenFeature([], tf.int64), "label": tf.io.FixedLenFeature([], tf.int64)}


def save_memory(folder: Path, ids: Sequence[int], sure: float = 0.9) -> str:
    """A model that gives those it knows their label with this probability, others with one around a half."""
    known = tf.constant(sorted(ids), tf.int64)

    def answer(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        found = tf.io.parse_example(examples, SPEC)
        inside = tf.reduce_any(found["id"][:, None] == known[None, :], axis=1)
        # A number of its own for each example, as far as another model is concerned the same.
        own = 0.5 + 0.1 * tf.sin(tf.cast(found["id"], tf.float32))
        right = tf.where(inside, sure * tf.ones_like(own), own)
        return {"outputs": tf.where(found["label"] == 1, right, 1 - right)[:, None]}

    return save_model(folder, answer)


def memorize(fn_args: Any) -> None:
    """A run_fn whose model remembers the ids that it was trained on; it keeps what it was given."""
    ids = _ids(fn_args.train_files)
    save_memory(Path(fn_args.serving_model_dir), ids)
    custom = fn_args.custom_config or {}
    if "notes" in custom:
        told = {
            "train": len(ids),
            "eval": len(_ids(fn_args.eval_files)),
            "both": len({*ids} & {*_ids(fn_args.eval_files)}),
            "custom_config": custom,
            "train_steps": fn_args.train_steps,
            "transform": fn_args.transform_graph_path,
        }
        with Path(custom["notes"]).open("a") as file:
            file.write(json.dumps(told) + "\n")


def fail_at_second(fn_args: Any) -> None:
    """A run_fn that fails once it has been called before, and says a secret."""
    memorize(fn_args)
    if len(Path(fn_args.custom_config["notes"]).read_text().splitlines()) > 1:
        raise RuntimeError("Jane Doe, born 1970, has no label")


def shift(inputs: dict[str, Any]) -> dict[str, Any]:
    """A preprocessing_fn for `SPEC`, after which ids are called otherwise and are others."""
    return {"shifted": inputs["id"] + 1000, "label": inputs["label"]}


def _ids(patterns: Sequence[str]) -> list[int]:
    """Of transformed examples, which have another name for it and another number."""
    files = [path for pattern in patterns for path in sorted(glob.glob(pattern))]
    found = []
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        if "shifted" in features:
            found.append(int(features["shifted"].int64_list.value[0]) - 1000)
        else:
            found.append(int(features["id"].int64_list.value[0]))
    return found


def people(first: int, rows: int, seed: int = 0) -> list[dict[str, Any]]:
    """Examples with an id from `first` on."""
    random = np.random.default_rng([seed, first])
    return [
        {
            "id": number,
            "label": int(random.integers(2)),
            "sex": str(random.choice(["f", "m"])),
            "age": int(random.integers(18, 80)),
        }
        for number in range(first, first + rows)
    ]
