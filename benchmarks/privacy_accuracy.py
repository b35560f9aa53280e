"""What privacy costs in quality: AUC and accuracy of the census model on the eval split, by epsilon.

Each is trained anew with several seeds of its initial weights; noise and batches are drawn anew too. Without
privacy is the same network, stopped early and with dropout. The figures are for the model's page.

    python benchmarks/privacy_accuracy.py [--root runs/census] [--seeds 3] [--json FILE]

What the census pipeline shows of it is in ``pipelines/census/tradeoff.json``.

The root is one of `tfx-trust run`, whose transformed examples are read; it is run if there is none.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

EPSILONS = (0.5, 1.0, 3.0, 8.0, None)
METRICS = ("auc", "accuracy")


def newest(root: Path, output: str) -> Path:
    return max((root / "artifacts" / "Transform" / output).iterdir(), key=lambda path: int(path.name))


def area(scores: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))


def trained(
    epsilon: float | None, seed: int, files: dict[str, list[str]], transform: Any
) -> dict[str, float]:
    import keras
    import tensorflow as tf

    from tfx_trust.components.privacy.private_model import make_private
    from tfx_trust.components.privacy.records import private_transformed
    from tfx_trust.pipelines.census import model as census
    from tfx_trust.pipelines.census.data import LABEL
    from tfx_trust.pipelines.census.features import FEATURES
    from tfx_trust.pipelines.census.pipeline import PRIVACY

    spec = transform.transformed_feature_spec()

    def read(split: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
        records = tf.data.TFRecordDataset(files[split], compression_type="GZIP").batch(8192)
        batches = list(records.map(lambda batch: tf.io.parse_example(batch, spec)).as_numpy_iterator())
        columns = {name: np.concatenate([batch[name] for batch in batches]) for name in (*FEATURES, LABEL)}
        return columns, columns.pop(LABEL)

    keras.utils.set_random_seed(seed)
    if epsilon is None:
        features, labels = read("train")
        settings = census.Hyperparameters(seed=seed)
        model = census.build_model(
            transform, settings.units, prior=float(labels.mean()), dropout=settings.dropout
        )
        census.fit(model, features, labels, settings)
    else:
        chosen = census.PrivateHyperparameters(seed=seed)
        privacy = PRIVACY.training.model_copy(update={"epsilon": epsilon})
        data = private_transformed(files["train"], transform, LABEL, privacy, features=FEATURES)
        model = census.build_model(transform, chosen.units, prior=0.5)
        model.compile(
            keras.optimizers.SGD(chosen.learning_rate, chosen.momentum),
            loss="binary_crossentropy",
            jit_compile=False,
        )
        make_private(model, privacy, data)
        model.fit(data, verbose=0)
    features, labels = read("eval")
    scores = model.predict(features, batch_size=8192, verbose=0)[:, 0]
    return {"auc": area(scores, labels), "accuracy": float(((scores >= 0.5) == labels).mean())}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default="runs/census")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    root = Path(given.root)
    if not (root / "artifacts" / "Transform" / "transform_graph").is_dir():
        subprocess.run([Path(sys.executable).parent / "tfx-trust", "run", "--root", root], check=True)
    import tensorflow_transform as tft

    transform = tft.TFTransformOutput(str(newest(root, "transform_graph")))
    examples = newest(root, "transformed_examples")
    files = {split: sorted(map(str, (examples / f"Split-{split}").iterdir())) for split in ("train", "eval")}
    points: list[dict[str, Any]] = []
    columns = "".join(f"  {metric:>8} {'lowest':>7} {'highest':>8}" for metric in METRICS)
    print(f"{'epsilon':>8}{columns}")
    for epsilon in EPSILONS:
        begin = time.monotonic()
        found = [trained(epsilon, seed, files, transform) for seed in range(1, given.seeds + 1)]
        row = f"{'none' if epsilon is None else epsilon:>8}"
        for metric in METRICS:
            values = [item[metric] for item in found]
            points.append(
                {
                    "epsilon": epsilon,
                    "metric": metric,
                    "mean": round(float(np.mean(values)), 4),
                    "low": round(min(values), 4),
                    "high": round(max(values), 4),
                    "count": len(values),
                }
            )
            row += f"  {np.mean(values):>8.4f} {min(values):>7.4f} {max(values):>8.4f}"
        print(f"{row}   {time.monotonic() - begin:.0f} s", flush=True)
    if given.json:
        Path(given.json).write_text(json.dumps(points, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
