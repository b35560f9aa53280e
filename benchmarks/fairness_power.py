"""How often the fairness gate fails a fair model, and how large a slice must be for a gap to be caught.

False alarms: groups and labels of the census examples, and decisions drawn anew by one false and one true
positive rate for all: no gap is true. A draw counts where any of the gaps between the 17 slices by sex, race
and sex x race, in both rates, is judged as told. Beside the gate stand two rules in use: the widest gap of
the estimates alone, and every gap tested at 0.05 without a correction.

Power: slices of one count beside a reference of 20,000 with a rate of exactly 0.10, their own rate being 0.25
(a gap of 0.15) or 0.10 (none); alone, and as one of 25 comparisons, the first of which Holm's correction
judges at 0.05 / 25. The count is that of the metric's denominator: of a false positive rate, the negatives.

All is drawn from a seed, and counted, measured and judged as the gate does it. Prints Markdown.

    python benchmarks/fairness_power.py [--draws 1000] [--slices 1000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfx_trust.components.fairness.batch import Batch
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.count import Counts
from tfx_trust.components.fairness.judge import gaps
from tfx_trust.components.fairness.measure import Measured, measure
from tfx_trust.components.fairness.plan import Plan
from tfx_trust.components.fairness.report import Gap
from tfx_trust.components.fairness.slicing import Pooling
from tfx_trust.pipelines.census import data as census

SLICES = [["sex"], ["race"], ["sex", "race"]]
ODDS = ("false_positive_rate", "true_positive_rate")
RATES = ((0.1, 0.6), (0.02, 0.9))
BOUNDS = (0.0, 0.05, 0.1)
COUNTS = (20, 50, 100, 200, 300, 500, 1000, 2000)
REFERENCE, BESIDE = "reference", 20_000
BASE, GAP = 0.1, 0.15
COMPARISONS = 25


def settings_of(label: str, slices: Sequence[Sequence[str]], **changes: Any) -> FairnessSettings:
    return FairnessSettings.of({"label": label, "slices": slices, "discover": [], **changes})


def measured(
    columns: Mapping[str, pa.Array], settings: FairnessSettings, decisions: np.ndarray
) -> list[Measured]:
    kinds: Any = {name: "integer" if name == settings.label else "text" for name in columns}
    counts = Counts(Plan.of(settings, kinds, scored=False, decided=True))
    counts.add(Batch(columns, decisions=decisions.astype(np.int64)))
    counts = counts.canonical()
    return measure(counts, Pooling(counts))


def bounded(bound: float, *metrics: str) -> list[dict[str, Any]]:
    return [{"metric": metric, "bound": bound} for metric in metrics]


# A fair model


def false_alarms(draws: int, rates: tuple[float, float]) -> dict[str, float]:
    """Shares of draws in which a rule fails the model, by rule."""
    rows = list(census.examples("eval"))
    texts = {
        name: [row[census.COLUMNS.index(name)] for row in rows] for name in ("sex", "race", census.LABEL)
    }
    label = np.array(texts[census.LABEL], np.int64)
    columns = {
        census.LABEL: pa.array(label),
        **{name: pa.array(texts[name]).dictionary_encode() for name in ("sex", "race")},
    }
    plain = settings_of(census.LABEL, SLICES)
    rules = {
        f"gate, tolerance {bound:g}": plain.model_copy(
            update={
                "tolerances": settings_of(census.LABEL, SLICES, tolerances=bounded(bound, *ODDS)).tolerances
            }
        )
        for bound in BOUNDS
    }
    random = np.random.default_rng(0)
    failed: Counter[str] = Counter()
    for _ in range(draws):
        drawn = measured(columns, plain, random.random(len(label)) < np.where(label == 1, rates[1], rates[0]))
        for name, settings in rules.items():
            judged = [gap for gap in gaps(drawn, settings) if gap.metric in ODDS]
            failed[name] += any(gap.verdict == "fail" for gap in judged)
        # The last ones, whatever their tolerance: the estimates are the same.
        failed["estimates alone: any gap above 0.1"] += any(abs(gap.value or 0) > 0.1 for gap in judged)
        enough = [gap for gap in judged if min(gap.slice_count, gap.reference_count) >= plain.min_count]
        failed["the same, 30 examples or more"] += any(abs(gap.value or 0) > 0.1 for gap in enough)
        equal = [gap for gap in gaps(drawn, rules["gate, tolerance 0"]) if gap.metric in ODDS]
        failed["any p < 0.05, no correction"] += any(
            gap.p is not None and gap.p < 0.05 for gap in equal if gap.verdict != "insufficient"
        )
    return {name: number / draws for name, number in failed.items()}


# An unfair one


def one_size(count: int, rate: float, slices: int) -> list[Measured]:
    random = np.random.default_rng([count, int(1000 * rate)])
    group = np.concatenate([np.repeat(np.arange(slices), count), np.full(BESIDE, slices)])
    selected = random.random(len(group)) < rate
    # Of the reference exactly its rate: else all slices would share its chance.
    selected[slices * count :] = np.arange(BESIDE) < BASE * BESIDE
    names = [f"slice {number}" for number in range(slices)] + [REFERENCE]
    columns = {
        "label": pa.array(np.zeros(len(group), np.int64)),
        "group": pa.DictionaryArray.from_arrays(pa.array(group), pa.array(names)),
    }
    return measured(columns, of_groups(slices), selected)


def of_groups(slices: int, **changes: Any) -> FairnessSettings:
    return settings_of(
        "label",
        [["group"]],
        reference={"group": REFERENCE},
        max_values=slices + 1,
        max_distinct=slices + 1,
        min_count=1,
        **changes,
    )


def judged(drawn: list[Measured], bound: float, slices: int, comparisons: int) -> list[Gap]:
    """Judged as one of so many comparisons: what Holm asks of the first is asked of each."""
    strict = of_groups(
        slices,
        correction="none",
        level=1 - 0.05 / comparisons,
        tolerances=bounded(bound, "false_positive_rate"),
    )
    return [gap for gap in gaps(drawn, strict) if gap.metric == "false_positive_rate"]


def share(found: Sequence[Gap], verdict: str) -> float:
    return sum(gap.verdict == verdict for gap in found) / len(found)


def power(slices: int) -> list[dict[str, float]]:
    told = []
    for count in COUNTS:
        unfair, fair = (one_size(count, rate, slices) for rate in (BASE + GAP, BASE))
        row: dict[str, float] = {"count": count}
        for bound in BOUNDS:
            for comparisons in (1, COMPARISONS):
                found = judged(unfair, bound, slices, comparisons)
                row[f"caught {bound:g} {comparisons}"] = share(found, "fail")
            row[f"passed {bound:g}"] = share(judged(fair, bound, slices, 1), "pass")
        told.append(row)
    return told


# Told


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"| {' | '.join(head)} |")
    print(f"|---|{'---:|' * (len(head) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print()


def percent(value: float) -> str:
    return f"{value:.1%}" if 0 < value < 0.1 else f"{value:.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000, help="fair models drawn (default 1000)")
    parser.add_argument("--slices", type=int, default=1000, help="slices drawn of each count (default 1000)")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    arguments = parser.parse_args()

    alarms = {rates: false_alarms(arguments.draws, rates) for rates in RATES}
    head = [f"{fpr:g} and {tpr:g}" for fpr, tpr in RATES]
    print(f"Fair models failed, of {arguments.draws:,} each, by their false and true positive rate:\n")
    names = list(alarms[RATES[0]])
    table(["rule", *head], [[name, *(percent(alarms[rates][name]) for rates in RATES)] for name in names])

    found = power(arguments.slices)
    print(f"Gaps of {GAP:g} beside a rate of {BASE:g} that fail, alone and as one of {COMPARISONS}:\n")
    columns = [(bound, comparisons) for bound in BOUNDS for comparisons in (1, COMPARISONS)]
    table(
        ["count", *(f"tolerance {b:g}, {'alone' if c == 1 else f'of {c}'}" for b, c in columns)],
        [[f"{row['count']:,}", *(percent(row[f"caught {b:g} {c}"]) for b, c in columns)] for row in found],
    )
    print("No gap, and shown to lie within the tolerance (the others are inconclusive):\n")
    table(
        ["count", *(f"tolerance {bound:g}" for bound in BOUNDS if bound)],
        [
            [f"{row['count']:,}", *(percent(row[f"passed {bound:g}"]) for bound in BOUNDS if bound)]
            for row in found
        ],
    )
    if arguments.json:
        figures = {"alarms": {f"{a:g}, {b:g}": told for (a, b), told in alarms.items()}, "power": found}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
