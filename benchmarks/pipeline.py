"""What trust costs: the census pipeline with all gates beside the one without, in one run.

Prints the seconds of every node and the ratio of the two pipelines. Both run in this process, from
the same data, with nothing cached, and first a round each that is not counted, so that neither pays
for imports. The gate-less pipeline is plain TFX: Pusher goes by the Evaluator.

    python benchmarks/pipeline.py [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

GOAL = 1.5
VARIANTS = {"with all gates": (), "without gates": ("release",)}

Seconds = dict[str, tuple[float, float]]


class Clock:
    """Wall and CPU seconds by node."""

    def __init__(self) -> None:
        self.seconds: Seconds = {}
        self._cpu = 0.0

    def started(self, node: str) -> None:
        self._cpu = time.process_time()

    def ended(self, node: str, state: str, seconds: float) -> None:
        if state != "done":
            raise SystemExit(f"{node} is {state}: nothing was to be cached or skipped")
        self.seconds[node] = (seconds, time.process_time() - self._cpu)


def one_run(without: tuple[str, ...]) -> Seconds:
    from tfx_trust.pipelines import run_pipeline
    from tfx_trust.pipelines.census.pipeline import census_pipeline

    clock = Clock()
    with tempfile.TemporaryDirectory() as root:
        run_pipeline(census_pipeline(root, without=without, enable_cache=False), progress=clock)
    return clock.seconds


def median_of(runs: list[Seconds], which: int) -> dict[str, float]:
    return {node: statistics.median(run[node][which] for run in runs) for node in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="counted runs of each pipeline (default 3)")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    arguments = parser.parse_args()

    runs: dict[str, list[Seconds]] = {name: [] for name in VARIANTS}
    for number in range(arguments.rounds + 1):
        # In turn, so that a machine that grows slower is unfair to both alike.
        for name, without in VARIANTS.items():
            print(f"round {number} of {arguments.rounds}: {name}", file=sys.stderr, flush=True)
            seconds = one_run(without)
            if number:
                runs[name].append(seconds)

    wall, cpu = ({name: median_of(found, which) for name, found in runs.items()} for which in (0, 1))
    ours, plain = VARIANTS
    print(f"{'node':<20}{'wall s':>10}{'without':>10}{'CPU s':>10}{'without':>10}")
    for node in wall[ours]:
        figures = [table.get(node) for table in (wall[ours], wall[plain], cpu[ours], cpu[plain])]
        print(f"{node:<20}" + "".join(f"{'-' if item is None else f'{item:.2f}':>10}" for item in figures))
    totals = [sum(table.values()) for table in (wall[ours], wall[plain], cpu[ours], cpu[plain])]
    print(f"{'all':<20}" + "".join(f"{item:>10.2f}" for item in totals))
    # Round by round, as the machine's speed drifts between rounds.
    ratios = sorted(
        sum(cost for _, cost in with_gates.values()) / sum(cost for _, cost in bare.values())
        for with_gates, bare in zip(runs[ours], runs[plain], strict=True)
    )
    print(
        f"cost of trust: {statistics.median(ratios):.3f}x of the CPU seconds without gates "
        f"({ratios[0]:.3f} to {ratios[-1]:.3f} over {arguments.rounds} rounds; goal: at most {GOAL}x)"
    )
    if arguments.json:
        figures = {"wall": wall, "cpu": cpu, "ratios": ratios, "goal": GOAL}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
