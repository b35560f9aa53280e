"""What the leakage checks cost, beside TensorFlow Data Validation's statistics of the same files.

Each figure is the CPU seconds (user and system, all threads) of a process of its own, imports taken off
by a process that only imports. Makes its data, coded survey rows of 30 text and 12 number columns, from a
seed; two thirds are train.

    python benchmarks/leakage.py [--rows 300000] [--rounds 3] [--scale] [--mix PYTHON] [--json FILE]

``--scale`` adds runs from a tenth of the rows to ten times as many, with their peak memory. ``--mix PYTHON``
adds deepchecks' TrainTestSamplesMix on the same rows as CSV: the path of a Python that has
``deepchecks==0.19.1 "numpy<2" "setuptools<81" "category_encoders<2.7"``; it is not part of this project's
environment.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

TEXTS, NUMBERS = 30, 12
CHUNK = 100_000
GOALS = {
    "all checks, in process": 0.35,
    "row checks alone, in process": 0.22,
    "all checks, Beam in memory": 0.60,
}
SETTINGS: dict[str, Any] = {"label": "n0", "exclude": ["n1"]}
ROW_CHECKS = {"targets": False, "near": 0}


def columns_of(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Columns of coded survey rows: skewed categories with some missing, and mostly small numbers."""
    shape, random = np.random.default_rng(0), np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {}
    for number in range(TEXTS):
        values = (2, 3, 5, 9, 17, 33, 50)[number % 7]
        words = np.array([f" Answer {value} to {number}" for value in range(values)])
        drawn = random.choice(values, rows, p=shape.dirichlet(np.full(values, 0.4)))
        columns[f"t{number}"] = np.where(random.random(rows) < 0.04 * (number % 3), "", words[drawn])
    for number in range(NUMBERS):
        limit = (2, 1_000_000, 90, 50)[number % 4]
        drawn = random.integers(0, limit, rows)
        columns[f"n{number}"] = np.where(random.random(rows) < 0.3, 0, drawn) if number > 1 else drawn
    return columns


def chunks(rows: int, split: str) -> Iterator[dict[str, np.ndarray]]:
    """The rows of a split, so many at a time; a hundredth of eval is in train."""
    share = 2 * rows // 3 if split == "train" else rows // 3
    for begin in range(0, share, CHUNK):
        count = min(CHUNK, share - begin)
        columns = columns_of(count, begin + (0 if split == "train" else 7))
        if split == "eval":
            copied = columns_of(count, begin)
            leaked = np.arange(count) % 100 == 0
            columns = {name: np.where(leaked, copied[name], values) for name, values in columns.items()}
        yield columns


def write_records(folder: Path, rows: int) -> None:
    import tensorflow as tf

    options = tf.io.TFRecordOptions(compression_type="GZIP")
    for split in ("train", "eval"):
        (folder / split).mkdir(parents=True, exist_ok=True)
        with tf.io.TFRecordWriter(str(folder / split / "data_tfrecord-00000-of-00001.gz"), options) as writer:
            for columns in chunks(rows, split):
                lists = {name: values.tolist() for name, values in columns.items()}
                for row in zip(*lists.values(), strict=True):
                    example = tf.train.Example()
                    for name, value in zip(lists, row, strict=True):
                        if isinstance(value, int):
                            example.features.feature[name].int64_list.value.append(value)
                        elif value:
                            example.features.feature[name].bytes_list.value.append(value.encode())
                    writer.write(example.SerializeToString())


def write_csv(folder: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    for split in ("train", "eval"):
        tables = [pa.table({name: pa.array(v) for name, v in c.items()}) for c in chunks(rows, split)]
        arrow_csv.write_csv(pa.concat_tables(tables), folder / f"{split}.csv")


def schema() -> Any:
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    features = [f'feature {{ name: "t{n}" type: BYTES }}' for n in range(TEXTS)]
    features += [f'feature {{ name: "n{n}" type: INT }}' for n in range(NUMBERS)]
    return text_format.Parse("\n".join(features), schema_pb2.Schema())


# What each process does, after the imports that all of them pay for.


def imports(folder: Path) -> Callable[[], Any]:
    import apache_beam  # noqa: F401
    import tensorflow_data_validation  # noqa: F401

    from tfx_trust.components.leakage import beam, examples_driver  # noqa: F401

    return lambda: None


def tfdv_statistics(folder: Path) -> Callable[[], Any]:
    imports(folder)
    import apache_beam as beam
    import tensorflow_data_validation as tfdv
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    def run() -> None:
        # As generate_statistics_from_tfrecord does it, on the engine that both versions of Beam have.
        for split in ("train", "eval"):
            with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([])) as pipeline:
                from tfx_bsl.public import tfxio

                source = tfxio.TFExampleRecord(
                    str(folder / split / "*.gz"), telemetry_descriptors=["benchmark"]
                )
                _ = (
                    pipeline
                    | source.BeamSource(batch_size=tfdv.StatsOptions().desired_batch_size)
                    | tfdv.GenerateStatistics(tfdv.StatsOptions())
                    | tfdv.WriteStatisticsToTFRecord(str(folder / f"{split}.stats"))
                )

    return run


def ours(**changes: Any) -> Callable[[Path], Callable[[], Any]]:
    def prepare(folder: Path) -> Callable[[], Any]:
        imports(folder)
        from tfx_trust.components.leakage.examples_driver import check_examples

        files = [[str(path) for path in sorted((folder / split).glob("*.gz"))] for split in ("train", "eval")]
        return lambda: check_examples(*files, {**SETTINGS, **changes}, schema=schema())

    return prepare


RUNS: dict[str, Callable[[Path], Callable[[], Any]]] = {
    "imports alone": imports,
    "TFDV statistics": tfdv_statistics,
    "all checks, in process": ours(driver="in_process"),
    "row checks alone, in process": ours(driver="in_process", **ROW_CHECKS),
    "all checks, Beam in memory": ours(driver="beam"),
}


def child(name: str, folder: Path) -> None:
    """Runs one of `RUNS` and prints CPU seconds, wall seconds and peak memory in MB."""
    run = RUNS[name](folder)
    begin, cpu = time.monotonic(), time.process_time()
    run()
    # Not ru_maxrss, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    print(json.dumps([time.process_time() - cpu, time.monotonic() - begin, peak]))


def measured(name: str, folder: Path) -> tuple[float, float, float]:
    command = [sys.executable, __file__, "--child", name, "--folder", str(folder)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    cpu, wall, peak = json.loads(done.stdout.splitlines()[-1])
    return cpu, wall, peak


def whole_process(command: list[str]) -> float:
    """CPU seconds of a command, imports included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3, 4):
        raise SystemExit(f"{command[0]}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


_MIX = """
import sys, pandas as pd
from deepchecks.tabular import Dataset
from deepchecks.tabular.checks import TrainTestSamplesMix
train, evaluation = (Dataset(pd.read_csv(path), label="n0", cat_features=[]) for path in sys.argv[1:])
print(TrainTestSamplesMix().run(train, evaluation).value["ratio"])
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--mix", metavar="PYTHON")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.folder)
        return
    told: dict[str, Any] = {"rows": arguments.rows}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told["ratios"] = against_statistics(folder, arguments.rows, arguments.rounds)
        told["command"] = against_mix(folder, arguments.rows, arguments.rounds, arguments.mix)
        if arguments.scale:
            told["scale"] = scale(folder, arguments.rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=2) + "\n")


def against_statistics(folder: Path, rows: int, rounds: int) -> dict[str, float]:
    print(f"making {rows:,} x {TEXTS + NUMBERS} tf.Examples", file=sys.stderr, flush=True)
    write_records(folder, rows)
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in RUNS}
    for number in range(rounds):
        # In turn, so that a machine that grows slower is unfair to all alike.
        for name, found in figures.items():
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            found.append(measured(name, folder))
    print(f"{'':<34}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}{'ratio':>9}")
    ratios = {}
    for name, found in figures.items():
        cpu, wall, peak = (statistics.median(run[index] for run in found) for index in range(3))
        pairs = [run[0] / base[0] for run, base in zip(found, figures["TFDV statistics"], strict=True)]
        ratios[name] = statistics.median(pairs)
        goal = f"  (goal: at most {GOALS[name]:.2f})" if name in GOALS else ""
        print(f"{name:<34}{cpu:>9.2f}{wall:>9.2f}{peak:>9.0f}{ratios[name]:>9.3f}{goal}")
    return ratios


def against_mix(folder: Path, rows: int, rounds: int, python: str | None) -> dict[str, float]:
    write_csv(folder, rows)
    files = [str(folder / f"{split}.csv") for split in ("train", "eval")]
    command = [
        str(Path(sys.executable).with_name("tfx-trust")),
        "leakage",
        *files,
        "--label",
        "n0",
        "--exclude",
        "n1",
    ]
    own = [whole_process(command) for _ in range(rounds)]
    told = {"command": statistics.median(own)}
    print(f"tfx-trust leakage on CSV, all checks: {told['command']:.2f} CPU s, start and reading included")
    if python:
        other = [whole_process([python, "-W", "ignore", "-c", _MIX, *files]) for _ in range(rounds)]
        told["mix"] = statistics.median(other)
        told["ratio"] = statistics.median(a / b for a, b in zip(own, other, strict=True))
        print(
            f"deepchecks TrainTestSamplesMix, that check alone: {told['mix']:.2f} CPU s; ratio "
            f"{told['ratio']:.3f} "
            "(goal: at most 0.25)"
        )
    return told


def scale(folder: Path, rows: int) -> dict[int, tuple[float, float]]:
    print(f"{'examples':>12}{'CPU s':>9}{'per 100k':>10}{'peak MB':>9}")
    found = {}
    for count in (rows // 10, rows, rows * 10):
        write_records(folder / str(count), count)
        cpu, _, peak = measured("all checks, in process", folder / str(count))
        found[count] = (cpu, peak)
        print(f"{count:>12,}{cpu:>9.2f}{cpu / count * 1e5:>10.2f}{peak:>9.0f}", flush=True)
    return found


if __name__ == "__main__":
    main()
