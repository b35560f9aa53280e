"""What the fairness gate costs, beside TensorFlow Model Analysis, Fairlearn and TFX's Evaluator.

First the analysis alone, on predictions in memory and 18 slices: everyone, sex, race, sex x race. They are
those of gradient-boosted trees on the census examples, resampled to the size wanted, each score moved by up
to 0.001 so that few are equal. Each peer tells less: seven rates and AUC at one threshold, with intervals
(TFMA's jackknife, 20 bootstraps of Fairlearn's); ours all metrics, intervals, tests, gaps and disparities.
Then the component beside the Evaluator, on the model and Examples of a run of the census pipeline.

Each figure is the CPU seconds (user and system, all threads and children) of a process of its own, imports
and the making of the predictions taken off, the linear algebra of all on one thread.

    python benchmarks/fairness.py [--sizes 50000,300000] [--peers tfma,fairlearn] [--rounds 3]
                                  [--peer-rounds 1] [--run ROOT] [--only analysis|component] [--json FILE]

``--run ROOT`` names the root of a run of the census pipeline (``tfx-trust run --root ROOT``); without it one
is made in a temporary folder.
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
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

SLICES = [["sex"], ["race"], ["sex", "race"]]
SETTINGS: dict[str, Any] = {"label": "label", "slices": SLICES}
BOOTSTRAPS = 20
ANALYSIS_GOAL = 1 / 200
COMPONENT_GOAL = 0.5
RATES = ("PredictedPositiveRate", "FPR", "FNR", "TPR", "TNR", "Precision", "BinaryAccuracy")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}

Work = Callable[[], Any]


# Predictions


def write_predictions(folder: Path, sizes: list[int]) -> None:
    """The predictions, as ``<size>.npz`` with the columns label, score, sex and race."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.preprocessing import OrdinalEncoder

    from tfx_trust.pipelines.census import data as census

    rows = {split: np.array(list(census.examples(split)), object) for split in census.SPLITS}
    chosen = [place for place, name in enumerate(census.COLUMNS) if name not in (census.LABEL, census.WEIGHT)]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    label = {split: found[:, census.COLUMNS.index(census.LABEL)].astype(int) for split, found in rows.items()}
    model = HistGradientBoostingClassifier(random_state=0)
    model.fit(encoder.fit_transform(rows["train"][:, chosen]), label["train"])
    score = model.predict_proba(encoder.transform(rows["eval"][:, chosen]))[:, 1]
    for size in sizes:
        random = np.random.default_rng(size)
        drawn = random.integers(0, len(score), size)
        moved = np.clip(score[drawn] + random.uniform(-1e-3, 1e-3, size), 0, 1)
        groups = {
            name: rows["eval"][drawn, census.COLUMNS.index(name)].astype(str) for name in ("sex", "race")
        }
        np.savez(folder / f"{size}.npz", label=label["eval"][drawn], score=moved, **groups)


def predictions(folder: Path, size: int) -> dict[str, np.ndarray]:
    return dict(np.load(folder / f"{size}.npz"))


# The analysis, after the imports that all pay for


def ours(**changes: Any) -> Callable[[Path, int], Work]:
    def prepare(folder: Path, size: int) -> Work:
        import pyarrow as pa

        from tfx_trust.components.fairness.evaluate import evaluate_fairness

        table = pa.table(predictions(folder, size))
        return lambda: evaluate_fairness(table, {**SETTINGS, **changes}, score="score")

    return prepare


def tfma_jackknife(folder: Path, size: int) -> Work:
    import pandas as pd
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.proto import config_pb2

    frame = pd.DataFrame(predictions(folder, size)).rename(columns={"score": "prediction"})
    options = config_pb2.Options()
    options.compute_confidence_intervals.value = True
    options.confidence_intervals.method = config_pb2.ConfidenceIntervalOptions.JACKKNIFE
    metrics = [
        config_pb2.MetricConfig(class_name=name, config='{"thresholds": [0.5]}') for name in RATES[:-1]
    ]
    metrics += [
        config_pb2.MetricConfig(class_name=name) for name in ("BinaryAccuracy", "AUC", "ExampleCount")
    ]
    config = config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(prediction_key="prediction", label_key="label")],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
        slicing_specs=[config_pb2.SlicingSpec(feature_keys=keys) for keys in ([], *SLICES)],
        options=options,
    )

    def run() -> None:
        result = tfma.analyze_raw_data(frame, config)
        assert len(result.slicing_metrics) == 18, len(result.slicing_metrics)

    return run


def fairlearn_bootstraps(folder: Path, size: int) -> Work:
    import inspect

    import pandas as pd
    from fairlearn import metrics
    from sklearn.metrics import accuracy_score, brier_score_loss, precision_score, roc_auc_score

    columns = predictions(folder, size)
    frame = pd.DataFrame(columns)

    def area(truth: Any, _: Any, score: Any) -> float:
        return roc_auc_score(truth, score) if len(set(truth)) == 2 else float("nan")

    def brier(truth: Any, _: Any, score: Any) -> float:
        return brier_score_loss(truth, score, pos_label=1)

    def precision(truth: Any, decided: Any) -> float:
        return precision_score(truth, decided, zero_division=0)

    told = {
        "selection_rate": metrics.selection_rate,
        "false_positive_rate": metrics.false_positive_rate,
        "false_negative_rate": metrics.false_negative_rate,
        "true_positive_rate": metrics.true_positive_rate,
        "true_negative_rate": metrics.true_negative_rate,
        "precision": precision,
        "accuracy": accuracy_score,
        "auc": area,
        "brier": brier,
    }
    native = "n_boot" in inspect.signature(metrics.MetricFrame.__init__).parameters
    how = f"MetricFrame(n_boot={BOOTSTRAPS})" if native else f"{BOOTSTRAPS} resampled MetricFrames"
    print(f"Fairlearn: {how}", file=sys.stderr)

    def of(rows: pd.DataFrame, keys: list[str], **options: Any) -> Any:
        score = rows["score"].to_numpy()
        return metrics.MetricFrame(
            metrics=told,
            y_true=rows["label"].to_numpy(),
            y_pred=(score >= 0.5).astype(int),
            sensitive_features=rows[keys],
            sample_params={"auc": {"score": score}, "brier": {"score": score}},
            **options,
        )

    def run() -> None:
        random = np.random.default_rng(0)
        warnings.simplefilter("ignore")
        for keys in SLICES:
            if native:
                of(frame, keys, n_boot=BOOTSTRAPS, ci_quantiles=[0.025, 0.975], random_state=0)
                continue
            of(frame, keys)
            # What n_boot does, of which this version has none.
            for _ in range(BOOTSTRAPS):
                of(frame.iloc[random.integers(0, size, size)], keys)

    return run


OURS, SEARCHED = "all metrics, intervals, tests", "the same, and slice discovery"
ANALYSES: dict[str, Callable[[Path, int], Work]] = {
    OURS: ours(discover=[]),
    SEARCHED: ours(),
    "tfma": tfma_jackknife,
    "fairlearn": fairlearn_bootstraps,
}
PEERS = {"tfma": "TFMA, jackknife", "fairlearn": f"Fairlearn, {BOOTSTRAPS} bootstraps"}


# The components, on the artifacts of a run


def artifacts(root: Path) -> dict[str, list[Any]]:
    """The newest artifacts of a run that both components read."""
    from tfx.components.util import examples_utils
    from tfx.proto import example_gen_pb2
    from tfx.types import standard_artifacts as kinds

    wanted = {
        "examples": ("CsvExampleGen", kinds.Examples),
        "model": ("Trainer", kinds.Model),
        "schema": ("ImportSchemaGen", kinds.Schema),
        "statistics": ("StatisticsGen", kinds.ExampleStatistics),
    }
    found = {}
    for key, (node, kind) in wanted.items():
        folders = [path for path in root.glob(f"artifacts/{node}/{key}/*") if path.name.isdecimal()]
        if not folders:
            raise SystemExit(f"{root}: no {key} of {node}; name the root of a run of the census pipeline")
        made = kind()
        made.uri = str(max(folders, key=lambda path: int(path.name)))
        if key in ("examples", "statistics"):
            made.split_names = json.dumps(["train", "eval"])
        found[key] = [made]
    examples_utils.set_payload_format(found["examples"][0], example_gen_pb2.FORMAT_TF_EXAMPLE)
    return found


def done(
    executor: Any, root: Path, folder: Path, outputs: Mapping[str, Any], properties: Any, *keys: str
) -> Work:
    """Runs an executor as the pipeline does: on the same engine."""
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor

    from tfx_trust.pipelines.beam import LOCAL_RUNNER

    made = {key: [kind()] for key, kind in outputs.items()}
    for key, (item,) in made.items():
        item.uri = str(folder / key)
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=[f"--runner={LOCAL_RUNNER}"], tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    inputs = {key: items for key, items in artifacts(root).items() if key in keys}
    # It packs the library for Beam's workers, ours and the Evaluator alike.
    worker = executor(context)
    return lambda: worker.Do(inputs, made, properties)


def evaluator(slices: list[list[str]]) -> Callable[[Path, Path], Work]:
    def prepare(root: Path, folder: Path) -> Work:
        from tfx.components.evaluator.executor import Executor
        from tfx.types import standard_artifacts as kinds
        from tfx.utils import proto_utils

        from tfx_trust.pipelines.census.data import LABEL
        from tfx_trust.pipelines.evaluation import eval_config

        config = eval_config(LABEL, at_least={"AUC": 0.88, "BinaryAccuracy": 0.84}, slices=slices)
        outputs = {"evaluation": kinds.ModelEvaluation, "blessing": kinds.ModelBlessing}
        properties = {
            "eval_config": proto_utils.proto_to_json(config),
            "example_splits": json.dumps(["eval"]),
        }
        return done(Executor, root, folder, outputs, properties, "examples", "model", "schema")

    return prepare


def fairness_evaluator(**changes: Any) -> Callable[[Path, Path], Work]:
    def prepare(root: Path, folder: Path) -> Work:
        from tfx.types import standard_artifacts as kinds

        from tfx_trust.components.artifacts import FairnessReport
        from tfx_trust.components.fairness import charts, examples_driver, tfma_results  # noqa: F401
        from tfx_trust.components.fairness.config import FairnessSettings
        from tfx_trust.components.fairness.executor import Executor
        from tfx_trust.pipelines.census.data import LABEL

        settings = FairnessSettings.of({"label": LABEL, "slices": SLICES, **changes})
        outputs = {"fairness_report": FairnessReport, "evaluation": kinds.ModelEvaluation}
        return done(
            Executor,
            root,
            folder,
            outputs,
            {"settings": settings.to_json()},
            "examples",
            "model",
            "schema",
            "statistics",
        )

    return prepare


GATE = "FairnessEvaluator"
COMPONENTS: dict[str, Callable[[Path, Path], Work]] = {
    GATE: fairness_evaluator(),
    f"{GATE}, no slice discovery": fairness_evaluator(discover=[]),
    "Evaluator, everyone": evaluator([]),
    "Evaluator, 18 slices": evaluator(SLICES),
}


# Measuring


def cpu() -> float:
    """CPU seconds of this process, its threads, and its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


def child(name: str, folder: Path, size: int, root: Path | None) -> None:
    """Does one piece of work and prints the CPU seconds of it, and of the whole process."""
    if root is None:
        work = ANALYSES[name](folder, size)
    else:
        with tempfile.TemporaryDirectory() as made:
            work = COMPONENTS[name](root, Path(made))
            told(work)
            return
    told(work)


def told(work: Work) -> None:
    begin = cpu()
    work()
    end = cpu()
    print(json.dumps([end - begin, end]))


def measured(name: str, folder: Path, size: int = 0, root: Path | None = None) -> tuple[float, float]:
    command = [sys.executable, __file__, "--child", name, "--folder", str(folder), "--sizes", str(size)]
    if root is not None:
        command += ["--run", str(root)]
    environment = {**os.environ, **ONE_THREAD, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if ran.returncode:
        raise SystemExit(f"{name}: {ran.stderr[-3000:]}")
    for line in ran.stderr.splitlines():
        if line.startswith("Fairlearn"):
            print(line, file=sys.stderr, flush=True)
    work, whole = json.loads(ran.stdout.splitlines()[-1])
    return work, whole


def analysis(sizes: list[int], peers: list[str], rounds: int, peer_rounds: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_predictions(folder, sizes)
        for size in sizes:
            seconds: dict[str, float] = {}
            for name in (OURS, SEARCHED, *peers):
                times = rounds if name in (OURS, SEARCHED) else peer_rounds
                print(f"{size:,} predictions: {PEERS.get(name, name)}", file=sys.stderr, flush=True)
                seconds[name] = statistics.median(measured(name, folder, size)[0] for _ in range(times))
            print(f"\n{f'{size:,} predictions, 18 slices':<36}{'CPU s':>10}{'ours to it':>14}")
            for name, took in seconds.items():
                share = ""
                if name in PEERS:
                    share = f"{'1/' + format(took / seconds[OURS], ',.0f'):>14}  "
                    share += f"({'1/' + format(took / seconds[SEARCHED], ',.0f')} with discovery; "
                    share += f"goal: at most 1/{1 / ANALYSIS_GOAL:.0f})"
                print(f"{PEERS.get(name, name):<36}{took:>10.3f}{share}", flush=True)
            found[str(size)] = seconds
    return found


def components(root: Path, rounds: int) -> dict[str, Any]:
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in COMPONENTS}
    for number in range(rounds):
        # In turn, so that a machine that grows slower is unfair to all alike.
        for name, found in runs.items():
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            found.append(measured(name, root, root=root))
    print(f"\n{'component':<36}{'CPU s':>10}{'with imports':>14}{'gate to it':>12}")
    figures = {}
    for name, found in runs.items():
        work, whole = (statistics.median(run[place] for run in found) for place in (0, 1))
        ratio = statistics.median(own[0] / run[0] for own, run in zip(runs[GATE], found, strict=True))
        goal = f"  (goal: at most {COMPONENT_GOAL})" if name.startswith("Evaluator") else ""
        print(f"{name:<36}{work:>10.2f}{whole:>14.2f}{ratio:>12.2f}{goal}")
        figures[name] = {"work": work, "whole": whole, "ratio": ratio}
    return figures


def census_run(root: Path) -> Path:
    print("running the census pipeline", file=sys.stderr, flush=True)
    command = [str(Path(sys.executable).with_name("tfx-trust")), "run", "--root", str(root)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode not in (0, 3, 4):
        raise SystemExit(f"tfx-trust run: {ran.stderr[-3000:]}")
    return root


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="50000,300000")
    parser.add_argument("--peers", default="tfma,fairlearn")
    parser.add_argument("--rounds", type=int, default=3, help="processes of ours (default 3)")
    parser.add_argument("--peer-rounds", type=int, default=1, help="processes of TFMA, Fairlearn (default 1)")
    parser.add_argument("--run", type=Path, metavar="ROOT")
    parser.add_argument("--only", choices=("analysis", "component"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    if arguments.child:
        child(arguments.child, arguments.folder, sizes[0], arguments.run)
        return
    peers = [name for name in arguments.peers.split(",") if name]
    if unknown := sorted(set(peers) - set(PEERS)):
        parser.error(f"no peer {', '.join(unknown)}; there are {', '.join(PEERS)}")
    figures: dict[str, Any] = {}
    if arguments.only != "component":
        figures["analysis"] = analysis(sizes, peers, arguments.rounds, arguments.peer_rounds)
    if arguments.only != "analysis":
        with tempfile.TemporaryDirectory() as made:
            figures["component"] = components(arguments.run or census_run(Path(made)), arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
