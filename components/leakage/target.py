"""Features that give the label away, and identifiers, which only seem to.

A feature is judged by how well it alone foretells the labels of eval: its values are sorted into bins, train
gives each bin the probabilities of the classes, and eval is scored by them. So an identifier, which recalls
every label of train, foretells none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfx_trust.components.leakage.coding import LABEL_BINS, Column, Labelled, Side
from tfx_trust.components.leakage.columns import Kind
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.heldout import Tables, auc_estimate, left_out_loss, nmi_estimate
from tfx_trust.components.leakage.pairs import find_pairs
from tfx_trust.components.leakage.plan import MOST_CLASSES, LabelKind
from tfx_trust.components.leakage.report import FeatureLeakage, Identifier, PairLeakage
from tfx_trust.components.leakage.sample import Sample
from tfx_trust.components.report import Estimate, Verdict

# Multiples of the classes of a number, so that the bins of a copy of the label fall together with them.
_MOST_BINS = 12 * LABEL_BINS
_FEWEST_BINS = 2 * LABEL_BINS
_ROWS_A_BIN = 20
_DETERMINED_EXAMPLES = 5

_IDENTIFIER_EXAMPLES = 100
_NO_GAIN_AUC = 0.55
_NO_GAIN_NMI = 0.02


@dataclass(frozen=True)
class TargetResult:
    """What was found out about features and the label.

    Attributes
    ----------
    label
        Kind of the label.
    features
        All features, the gravest and most telling first.
    pairs
        The ten pairs with the greatest lift, the greatest first.
    identifiers
        Features that look like identifiers, in the order of columns.
    notes
        What was left out, and why; each is a sentence.
    """

    label: LabelKind
    features: list[FeatureLeakage]
    pairs: list[PairLeakage]
    identifiers: list[Identifier]
    notes: list[str]


def analyse(
    train: Sample, evaluation: Sample, settings: LeakageSettings, kinds: Mapping[str, Kind]
) -> TargetResult:
    """Looks for features that give the label away.

    A feature *fails* if it determines the label, or if its AUC or NMI reaches the bound to fail while the
    lower end of the interval reaches the bound to warn: a few lucky examples must not block a release.
    It is *warned of* if either reaches the bound to warn. Where train or eval has fewer than
    ``min_class`` examples outside of its most frequent class, only determination can be told: other
    features are *inconclusive*, and pairs and identifiers are not looked for.

    Parameters
    ----------
    train, evaluation
        What is fitted on, and what is scored. Rows without a label are left out.
    settings
        Label, weight, and the bounds to judge by.
    kinds
        Kind of each column. All are features but the label and the weight, or those of the settings.

    Raises
    ------
    InputError
        If no example of a split has a label, or a weight is missing, negative or infinite, or all are 0.
    UsageError
        If the weight is text.
    """
    labelled = Labelled.of(train, evaluation, settings)
    sides = (labelled.train, labelled.evaluation)
    enough = min(side.outside_most_frequent for side in sides) >= settings.min_class
    names = kinds if settings.features is None else settings.features
    apart = (settings.label, settings.weight)
    columns = [Column.of(name, *sides) for name in names if name not in apart]
    features = [_feature(column, labelled, settings, len(columns), enough) for column in columns]
    notes = list(_notes(labelled, settings, enough))
    pairs: list[PairLeakage] = []
    if settings.pairs and enough:
        passed = [found.name for found in features if found.verdict is Verdict.PASS]
        pairs, left_out = find_pairs(labelled, passed, settings)
        notes += left_out
    identifiers = [
        _identifier(column, found, labelled)
        for column, found in zip(columns, features, strict=True)
        if enough
        and column.name not in settings.set_aside
        and _is_identifier(column, found, labelled, settings.identifier_share)
    ]
    return TargetResult(labelled.kind, _sorted(features), pairs, identifiers, notes)


def _notes(labelled: Labelled, settings: LeakageSettings, enough: bool) -> Iterator[str]:
    if labelled.merged:
        yield (
            f"{settings.label} has more than {MOST_CLASSES} classes: for what is said of features, all but "
            f"the {MOST_CLASSES - 1} most frequent were taken as one."
        )
    if not enough:
        yield (
            "Features were not judged by AUC and NMI, and neither pairs nor identifiers were looked for: "
            f"{settings.train_split} or {settings.eval_split} has fewer than {settings.min_class} examples "
            "outside of the most frequent class."
        )


def _sorted(features: Sequence[FeatureLeakage]) -> list[FeatureLeakage]:
    order = list(Verdict)
    return sorted(
        features, key=lambda found: (-order.index(found.verdict), -found.auc, -found.nmi, found.name)
    )


def _feature(
    column: Column, labelled: Labelled, settings: LeakageSettings, features: int, enough: bool
) -> FeatureLeakage:
    tables = tables_of(column, labelled.train, labelled.evaluation)
    # Bonferroni: all intervals hold together at the level of the settings, and so does the chance.
    level = 1 - (1 - settings.level) / features
    auc, nmi = auc_estimate(tables, level), nmi_estimate(tables, level)
    determines = _determines(column, labelled, settings.significance / features)
    return FeatureLeakage(
        name=column.name,
        auc=auc.value,
        nmi=nmi.value,
        verdict=_verdict(auc, nmi, determines, enough, settings),
        auc_estimate=auc,
        nmi_estimate=nmi,
        determines=determines,
        distinct=column.distinct,
    )


def _verdict(
    auc: Estimate, nmi: Estimate, determines: bool, enough: bool, settings: LeakageSettings
) -> Verdict:
    if determines:
        return Verdict.FAIL
    if not enough:
        return Verdict.INCONCLUSIVE
    judged = ((auc, settings.auc_warn, settings.auc_fail), (nmi, settings.nmi_warn, settings.nmi_fail))
    if any(found.value >= fail and (found.low or 0.0) >= warn for found, warn, fail in judged):
        return Verdict.FAIL
    return Verdict.WARN if any(found.value >= warn for found, warn, _ in judged) else Verdict.PASS


def tables_of(column: Column, train: Side, evaluation: Side) -> Tables:
    """A feature's tables of bins by classes; bins are made from train."""
    column = _coded(column, train, evaluation)
    in_train = np.bincount(column.here, minlength=column.values) > 0
    in_eval = np.bincount(column.there, minlength=column.values) > 0
    here, there, number = column.compact(in_train & in_eval)
    fitted = train.table(here, number, train.mass)
    # Bin 0 are the values of one side only: of eval's nothing was learned, and train's are of no use.
    fitted[0] = 0.0
    return Tables(
        train=fitted,
        mass=evaluation.table(there, number, evaluation.mass),
        square=evaluation.table(there, number, evaluation.square),
        masses=train.masses,
        examples=evaluation.examples,
    )


def _coded(column: Column, train: Side, evaluation: Side) -> Column:
    """A bin for each value; for numbers of which there are many, quantile bins.

    There are 60 of these, or fewer where train is small. Numbers may be codes that have no order, such as
    those of places: if train has two examples of each, both codings are tried on it.
    """
    rows = len(train.rows)
    bins = min(_MOST_BINS, max(_FEWEST_BINS, rows // _ROWS_A_BIN // LABEL_BINS * LABEL_BINS))
    numbers = column.numbers_in(train)
    if numbers <= bins:
        return column
    binned = column.binned(train, evaluation, bins)
    if numbers * 2 > train.examples:
        return binned
    return min(binned, column, key=lambda coding: _left_out_loss(coding, train))


def _left_out_loss(column: Column, train: Side) -> float:
    return left_out_loss(train.table(column.here, column.values, train.mass), train.masses)


def _determines(column: Column, labelled: Labelled, chance: float) -> bool:
    """Whether each value has one label, in both splits together; missing is a value, or left out.

    There must be two labels, five examples a value on average, and more than chance would give: labels dealt
    at random, π of each, do it with a probability of Π_v Σ_c π_c^n(v), which is large where all but a
    few examples have one label.
    """
    train, evaluation = labelled.train, labelled.evaluation
    if column.distinct * _DETERMINED_EXAMPLES > train.examples + evaluation.examples:
        return False
    table = train.table(column.here, column.values, train.count)
    table += evaluation.table(column.there, column.values, evaluation.count)
    return _is_pure(table, chance) or (column.has_missing and _is_pure(table[1:], chance))


def _is_pure(table: np.ndarray, chance: float) -> bool:
    if (np.count_nonzero(table, axis=1) > 1).any():
        return False
    labels, examples = table.sum(axis=0), table.sum(axis=1)
    if np.count_nonzero(labels) < 2 or examples.sum() < _DETERMINED_EXAMPLES * len(table):
        return False
    logs = np.log(labels[labels > 0] / labels.sum())
    return float(np.logaddexp.reduce(np.outer(examples, logs), axis=1).sum()) <= math.log(chance)


def _is_identifier(column: Column, found: FeatureLeakage, labelled: Labelled, share: float) -> bool:
    """Nearly all different, text or whole numbers, and of no use on held-out examples."""
    examples = _examples_with(column, labelled)
    if examples < _IDENTIFIER_EXAMPLES or column.distinct <= share * examples:
        return False
    covers = (found.auc_estimate.low or 0.0) <= 0.5 <= (found.auc_estimate.high or 1.0)
    gains = (found.auc >= _NO_GAIN_AUC and not covers) or found.nmi >= _NO_GAIN_NMI
    return not gains and _is_text_or_whole(column.name, labelled)


def _examples_with(column: Column, labelled: Labelled) -> int:
    """Examples that have a value."""
    sides = ((labelled.train, column.here), (labelled.evaluation, column.there))
    missing = sum(int(side.count[values == 0].sum()) for side, values in sides) if column.has_missing else 0
    return labelled.train.examples + labelled.evaluation.examples - missing


def _is_text_or_whole(name: str, labelled: Labelled) -> bool:
    if name not in labelled.train.sample.numbers:
        return True
    numbers = np.concatenate([side.numbers(name) for side in (labelled.train, labelled.evaluation)])
    known = numbers[~np.isnan(numbers)]
    return bool(len(known) and (known == np.floor(known)).all())


def _identifier(column: Column, found: FeatureLeakage, labelled: Labelled) -> Identifier:
    examples = _examples_with(column, labelled)
    return Identifier(
        name=column.name,
        distinct=column.distinct,
        examples=examples,
        auc=found.auc,
        suggestion="group" if column.distinct < examples else "remove",
    )
