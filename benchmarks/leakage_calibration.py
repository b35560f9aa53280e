"""How often harmless features are flagged, and copies of the label caught, by the bounds in force.

Each data set is split at random, seed by seed. All of its own features are legitimate: each that is
warned of or fails is a false flag, although some all but define the label, which no bound can tell from
a leak; the table names them. Then copies of the label are judged, one at a time, that are right in a
given share of the examples: as text, as a number, and as one of many codes. Each that passes is missed.

    python benchmarks/leakage_calibration.py [--seeds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn import datasets

from tfx_trust.components.leakage import tables, target
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.sample import Sample
from tfx_trust.components.report import Verdict
from tfx_trust.pipelines.census import data as census

LABEL = "label"
COPY = "copy of the label"
FIDELITIES = (0.99, 0.95, 0.90, 0.85)
EVAL_SHARE = 0.33
# Codes that a class has in the fine-grained form of a copy, such as those of a diagnosis.
CODES = 20

Columns = dict[str, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20, help="random splits of each data set (default 20)")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    arguments = parser.parse_args()

    outcomes = [calibrate(name, make(), range(arguments.seeds)) for name, make in DATA.items()]
    for outcome in outcomes:
        outcome.print()
    total = Outcome("all data sets")
    for outcome in outcomes:
        total.add(outcome)
    print(total.summary())
    if arguments.json:
        figures = {outcome.name: outcome.figures() for outcome in [*outcomes, total]}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


@dataclass
class Outcome:
    """Verdicts on a data set's own features, and on copies of its label."""

    name: str
    rows: int = 0
    own: Counter[str] = field(default_factory=Counter)
    flagged: Counter[str] = field(default_factory=Counter)
    pairs: Counter[str] = field(default_factory=Counter)
    copies: dict[float, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    best: list[tuple[float, float]] = field(default_factory=list)
    margins: dict[float, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, other: Outcome) -> None:
        self.rows += other.rows
        self.own += other.own
        self.pairs += other.pairs
        for fidelity, verdicts in other.copies.items():
            self.copies[fidelity] += verdicts

    def print(self) -> None:
        auc, nmi = (max(values) for values in zip(*self.best, strict=True))
        print(f"{self.name}: {self.rows:,} rows; greatest AUC {auc:.3f}, NMI {nmi:.3f} of its own features")
        print(f"  {'':<24}{'pass':>8}{'warn':>8}{'fail':>8}{'inconclusive':>14}   AUC and NMI, median")
        for what, verdicts in self._lines():
            told = "".join(
                f"{verdicts[verdict]:>{width}}"
                for verdict, width in (("pass", 8), ("warn", 8), ("fail", 8), ("inconclusive", 14))
            )
            print(f"  {what:<24}{told}   {self._medians(what)}")
        if self.flagged:
            named = ", ".join(f"{name} ({times})" for name, times in self.flagged.most_common(6))
            print(f"  flagged: {named}")
        print()

    def _lines(self) -> Iterator[tuple[str, Counter[str]]]:
        yield "own features", self.own
        yield "own pairs, greatest", self.pairs
        for fidelity, verdicts in self.copies.items():
            yield _copy(fidelity), verdicts

    def _medians(self, what: str) -> str:
        for fidelity, found in self.margins.items():
            if what == _copy(fidelity):
                auc, nmi = np.median(np.array(found), axis=0)
                return f"{auc:.3f} {nmi:.3f}"
        return ""

    def summary(self) -> str:
        caught = ", ".join(
            f"{caught_of(verdicts):.1%} at {fidelity:.0%}" for fidelity, verdicts in self.copies.items()
        )
        return (
            f"{self.name}: {self.own['warn']} warnings and {self.own['fail']} fails of {self.own.total():,} "
            f"verdicts on legitimate features ({flagged_of(self.own):.2%}); copies of the label caught: "
            f"{caught}"
        )

    def figures(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "own": dict(self.own),
            "flagged": dict(self.flagged),
            "pairs": dict(self.pairs),
            "copies": {f"{fidelity:.2f}": dict(verdicts) for fidelity, verdicts in self.copies.items()},
        }


def _copy(fidelity: float) -> str:
    return f"copy, {fidelity:.0%} right"


def flagged_of(verdicts: Counter[str]) -> float:
    return (verdicts["warn"] + verdicts["fail"]) / max(1, verdicts.total())


caught_of = flagged_of


def calibrate(name: str, columns: Columns, seeds: range) -> Outcome:
    outcome = Outcome(name, len(columns[LABEL]))
    for seed in seeds:
        random = np.random.default_rng([seed, len(name)])
        in_eval = random.random(outcome.rows) < EVAL_SHARE
        result = analyse(columns, in_eval, pairs=True)
        for feature in result.features:
            outcome.own[str(feature.verdict)] += 1
            if feature.verdict in (Verdict.WARN, Verdict.FAIL):
                outcome.flagged[feature.name] += 1
        outcome.pairs.update(str(pair.verdict) for pair in result.pairs[:1])
        outcome.best.append((max(f.auc for f in result.features), max(f.nmi for f in result.features)))
        for fidelity in FIDELITIES:
            for form in FORMS:
                copy = form(noisy_copy(columns[LABEL], fidelity, random), random)
                (feature,) = analyse({LABEL: columns[LABEL], COPY: copy}, in_eval, pairs=False).features
                outcome.copies[fidelity][str(feature.verdict)] += 1
                outcome.margins[fidelity].append((feature.auc, feature.nmi))
    return outcome


def analyse(columns: Columns, in_eval: np.ndarray, *, pairs: bool) -> target.TargetResult:
    settings = LeakageSettings(label=LABEL, pairs=pairs)
    train, evaluation = (
        pa.table({name: values[part] for name, values in columns.items()}) for part in (~in_eval, in_eval)
    )
    layout = tables.layout_of([("train", train.schema), ("eval", evaluation.schema)], None)
    samples = [
        Sample.of(tables.batch_of(table.combine_chunks().to_batches()[0], layout), settings.sample)
        for table in (train, evaluation)
    ]
    return target.analyse(*samples, settings, layout.kinds)


def noisy_copy(label: np.ndarray, fidelity: float, random: np.random.Generator) -> np.ndarray:
    """The label, but in a share of the rows a different class, or any row's number."""
    wrong = random.random(len(label)) >= fidelity
    if label.dtype.kind == "f":
        return np.where(wrong, random.permutation(label), label)
    values, codes = np.unique(label, return_inverse=True)
    shift = random.integers(1, len(values), len(label))
    return np.where(wrong, (codes + shift) % len(values), codes)


def as_text(copy: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.char.add("outcome ", copy.astype(str)).astype(object)


def as_number(copy: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return copy


def as_codes(copy: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Several codes for each value, in an order that says nothing."""
    _, codes = np.unique(copy, return_inverse=True)
    fine = codes * CODES + random.integers(0, CODES, len(copy))
    return random.permutation(int(fine.max()) + 1)[fine]


FORMS = (as_text, as_number, as_codes)


def bundled(load: Callable[..., Any], *, number: bool = False) -> Callable[[], Columns]:
    def columns() -> Columns:
        loaded = load()
        names = getattr(loaded, "feature_names", None)
        names = [str(name) for name in names] if names is not None else []
        features = {name: loaded.data[:, place] for place, name in enumerate(names)}
        label = loaded.target if loaded.target.ndim == 1 else loaded.target[:, 0]
        return {**features, LABEL: label.astype(float) if number else label}

    return columns


def made(informative: int, separation: float, noise: float, rows: int) -> Callable[[], Columns]:
    def columns() -> Columns:
        features, label = datasets.make_classification(
            rows,
            n_features=20,
            n_informative=informative,
            n_redundant=2,
            class_sep=separation,
            flip_y=noise,
            random_state=informative,
        )
        return {**{f"x{place}": values for place, values in enumerate(features.T)}, LABEL: label}

    return columns


def adult() -> Columns:
    rows = [row for split in census.SPLITS for row in census.examples(split)]
    columns = {}
    for name, texts in zip(census.COLUMNS, zip(*rows, strict=True), strict=True):
        whole = all(text.isdecimal() for text in texts)
        columns[name] = np.array(texts, np.int64) if whole else np.array(texts, object)
    return {LABEL if name == census.LABEL else name: values for name, values in columns.items()}


DATA: dict[str, Callable[[], Columns]] = {
    "iris": bundled(datasets.load_iris),
    "wine": bundled(datasets.load_wine),
    "breast cancer": bundled(datasets.load_breast_cancer),
    "digits": bundled(datasets.load_digits),
    "diabetes": bundled(datasets.load_diabetes, number=True),
    "census": adult,
    "made, hard": made(10, 0.5, 0.05, 2_000),
    "made, medium": made(6, 1.0, 0.05, 5_000),
    "made, easy": made(3, 2.0, 0.0, 2_000),
    "made, nearly separable": made(2, 4.0, 0.0, 2_000),
}


if __name__ == "__main__":
    main()
