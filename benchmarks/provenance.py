"""What provenance costs: hashing beside ``sha256sum``, the walk, the command on a large store, the tracker.

Makes its files and stores in a temporary folder. CPU seconds are those of a process of its own, user and
system, all threads; those of Python without the imports.

    python benchmarks/provenance.py [--only hashing|walk|store|pipeline] [--rounds 3] [--folder DIR]
                                    [--json FILE]

``hashing``: bytes a CPU second of files above 64 MB and of 10,000 small ones, over those of ``sha256sum`` on
the same files, and seconds of the clock on one core over those on all. coreutils may be built without the
instructions that processors have for SHA-256, so ``openssl dgst`` is told beside it.
``walk``: the lineage of an artifact at the end of 3,000 steps.
``store``: the commands ``record``, ``verify`` and ``query`` on a store of 1,000 runs, start included.
``pipeline``: what the tracker, the snapshots, the check of the pushed copy and the digests in drivers add to
the census pipeline.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

GOAL_HASHING = 0.9
GOAL_WALK_SECONDS = 1.0
GOAL_PIPELINE = 0.02
BIG_FILES, BIG_BYTES = 4, 96 << 20
SMALL_FILES, SMALL_BYTES, FOLDERS = 10_000, 4096, 100
STEPS, RUNS = 3000, 1000
DIGESTS = ("inputs_digest", "_raw_fingerprint", "refused_outputs")
"""What drivers do besides."""
SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"

Seconds = tuple[float, float]
"""CPU and clock."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child)
        return
    told = {}
    for name in [arguments.only] if arguments.only else PARTS:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            print(f"{name}", flush=True)
            told[name] = PARTS[name](Path(folder), arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=2) + "\n")


# Hashing


def hashing(folder: Path, rounds: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, make in (("files of 96 MiB", _big), ("10,000 files of 4 KiB", _small)):
        place = folder / name.replace(" ", "_")
        size = make(place)
        runs: dict[str, list[Seconds]] = {}
        for _ in range(rounds):
            # In turn, so that a machine that grows slower is unfair to all alike.
            for tool, measure in _tools(place).items():
                runs.setdefault(tool, []).append(measure())
        told[name] = _compare(name, size, runs)
        shutil.rmtree(place)
    return told


def _big(folder: Path) -> int:
    folder.mkdir()
    for number in range(BIG_FILES):
        with open(folder / str(number), "wb") as file:
            for _ in range(BIG_BYTES >> 20):
                file.write(os.urandom(1 << 20))
    return BIG_FILES * BIG_BYTES


def _small(folder: Path) -> int:
    for number in range(SMALL_FILES):
        path = folder / str(number % FOLDERS) / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(SMALL_BYTES))
    return SMALL_FILES * SMALL_BYTES


def _tools(folder: Path) -> dict[str, Callable[[], Seconds]]:
    paths = [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]
    tools = {
        "tfx-trust": lambda: _in_child(folder, cores=None),
        "tfx-trust, on one core": lambda: _in_child(folder, cores=1),
        "sha256sum": lambda: _command(["sha256sum", *paths]),
    }
    if shutil.which("openssl"):
        tools["openssl dgst"] = lambda: _command(["openssl", "dgst", "-sha256", "-r", *paths])
    return tools


def _in_child(folder: Path, cores: int | None) -> Seconds:
    request = json.dumps({"folder": str(folder), "cores": cores})
    done = subprocess.run(
        [sys.executable, __file__, "--child", request], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    cpu, clock = json.loads(done.stdout)
    return cpu, clock


def child(request: str) -> None:
    """Hashes a folder once, and prints the seconds of it."""
    from tfx_trust.components.provenance.hashing import digest_folder, tree_digest

    told = json.loads(request)
    if told["cores"]:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: told["cores"]])
    begin, cpu = time.perf_counter(), time.process_time()
    tree_digest(digest_folder(told["folder"]))
    print(json.dumps([time.process_time() - cpu, time.perf_counter() - begin]))


def _command(command: Sequence[str], good: Sequence[int] = (0,)) -> Seconds:
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    clock = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in good:
        raise SystemExit(f"{' '.join(command[:6])}: {done.stderr[-2000:]}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, clock


def _compare(name: str, size: int, runs: dict[str, list[Seconds]]) -> dict[str, Any]:
    print(f"  {name:<28}{'CPU s':>9}{'MB/CPU s':>10}{'clock s':>9}{'tfx-trust / it':>16}")
    ours = runs["tfx-trust"]
    told: dict[str, Any] = {}
    for tool, found in runs.items():
        cpu, clock = (statistics.median(run[which] for run in found) for which in (0, 1))
        # How many bytes a CPU second ours does for each of its.
        ratio = statistics.median(its[0] / own[0] for its, own in zip(found, ours, strict=True))
        goal = f"  (goal: at least {GOAL_HASHING:.1f})" if tool == "sha256sum" else ""
        print(f"  {tool:<28}{cpu:>9.3f}{size / cpu / 1e6:>10.0f}{clock:>9.3f}{ratio:>16.2f}{goal}")
        told[tool] = {"cpu": cpu, "clock": clock, "ratio": ratio}
    pairs = zip(runs["tfx-trust, on one core"], ours, strict=True)
    told["scaling"] = statistics.median(one[1] / all_[1] for one, all_ in pairs)
    print(f"  on all {len(os.sched_getaffinity(0))} cores {told['scaling']:.2f} times as quick as on one")
    return told


# The walk


def walk(folder: Path, rounds: int) -> dict[str, float]:
    sys.path.insert(0, str(SUPPORT))
    from stores import chain

    from tfx_trust.components.mlmd import open_store
    from tfx_trust.components.provenance.lineage import upstream

    path = chain(folder, STEPS).path
    seconds = []
    for _ in range(rounds):
        store = open_store(path)
        last = max(store.artifacts())
        begin = time.perf_counter()
        lineage = upstream(store, [last])
        seconds.append(time.perf_counter() - begin)
        assert (len(lineage.artifacts), len(lineage.executions)) == (STEPS + 1, STEPS)
    found = statistics.median(seconds)
    print(f"  {STEPS:,} steps, all found: {found:.2f} s  (goal: under {GOAL_WALK_SECONDS:.0f} s)")
    return {"seconds": found}


# The command on a large store


def store(folder: Path, rounds: int) -> dict[str, Seconds]:
    sys.path.insert(0, str(SUPPORT))
    from stores import many_runs

    made = many_runs(folder / "store", RUNS, files=True)
    program, record = str(Path(sys.executable).with_name("tfx-trust")), str(folder / "record")
    at = ["--metadata", made.path]
    commands = {
        "record": ["record", *at, "--model", "latest", "--out", record],
        "verify": ["verify", record],
        "query --data-of": ["query", *at, "--data-of", "latest"],
        "query --models-from": ["query", *at, "--models-from", str(made.data / "train.csv")],
        "query --impact": ["query", *at, "--impact", str(made.data)],
    }
    told = {}
    print(f"  {RUNS:,} runs{'CPU s':>22}{'clock s':>10}")
    for name, words in commands.items():
        # 3 is a verdict, and not a failure of the command.
        runs = [_command([program, "provenance", *words], good=(0, 3)) for _ in range(rounds)]
        cpu, clock = (statistics.median(run[which] for run in runs) for which in (0, 1))
        told[name] = (cpu, clock)
        print(f"  {name:<22}{cpu:>10.2f}{clock:>10.2f}", flush=True)
    return told


# The census pipeline


class Clock:
    """Seconds by node."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def started(self, node: str) -> None:
        pass

    def ended(self, node: str, state: str, seconds: float) -> None:
        if state != "done":
            raise SystemExit(f"{node} is {state}: nothing was to be cached or skipped")
        self.seconds[node] = seconds


def pipeline(folder: Path, rounds: int) -> dict[str, float]:
    shares, found = [], []
    for number in range(rounds + 1):
        print(f"  round {number} of {rounds}", file=sys.stderr, flush=True)
        seconds, ours = _census(folder / str(number))
        # The first pays for imports.
        if number:
            added = sum(ours.values())
            shares.append(added / (sum(seconds.values()) - sum(ours.values())))
            found.append(ours)
    if not found[0]:
        print("  no provenance in this pipeline")
        return {}
    for name in found[0]:
        print(f"  {name:<36}{statistics.median(ours[name] for ours in found):>8.3f} s")
    share = statistics.median(shares)
    print(f"  added to the rest of the pipeline: {share:.1%}  (goal: at most {GOAL_PIPELINE:.0%})")
    return {"share": share, **{name: statistics.median(ours[name] for ours in found) for name in found[0]}}


def _census(root: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds by node, and those of them that provenance takes."""
    from tfx_trust.components.provenance import content
    from tfx_trust.components.provenance.component import (
        ArtifactSnapshot,
        ProvenanceTracker,
        PushValidator,
        SourceDeclarer,
    )
    from tfx_trust.pipelines import run_pipeline
    from tfx_trust.pipelines.census.pipeline import census_pipeline

    # The cache is on, since drivers look into it: a new root has nothing in it.
    made = census_pipeline(root)
    own = {
        node.id
        for node in made.components
        if isinstance(node, (ArtifactSnapshot, ProvenanceTracker, PushValidator, SourceDeclarer))
    }
    clock = Clock()
    digests = 0.0
    plain = {name: getattr(content, name) for name in DIGESTS}

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            nonlocal digests
            begin = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                digests += time.perf_counter() - begin

        return run

    try:
        for name, call in plain.items():
            setattr(content, name, timed(call))
        run_pipeline(made, progress=clock)
    finally:
        for name, call in plain.items():
            setattr(content, name, call)
    ours = {node: seconds for node, seconds in clock.seconds.items() if node in own}
    return clock.seconds, {**ours, "digests in drivers": digests} if digests else ours


PARTS: dict[str, Callable[[Path, int], Any]] = {
    "hashing": hashing,
    "walk": walk,
    "store": store,
    "pipeline": pipeline,
}


if __name__ == "__main__":
    main()
