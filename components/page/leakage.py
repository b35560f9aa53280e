"""What the page of a leakage report says: its parts, its numbers in words, what was not looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tfx_trust.components.leakage.config import FEATURES, FEATURES_AND_LABEL, FEATURES_EXCLUDED
from tfx_trust.components.leakage.report import (
    Conflict,
    Consequence,
    LeakageReport,
    LeakageSection,
    Row,
    Scope,
)
from tfx_trust.components.page import words
from tfx_trust.components.report import Estimate, Finding, Severity, Verdict, format_number

OVERLAP_FIGURE = "Eval examples that also stand in train"
FEATURES_FIGURE = "What each feature alone tells of the label"

KEYS = {
    FEATURES_AND_LABEL: "Features and label",
    FEATURES: "Features",
    FEATURES_EXCLUDED: "Features but the excluded",
}
LABELS = {"binary": "two classes", "classes": "several classes", "number": "a number"}
DRIVERS = {"in_process": "in one process", "beam": "by Apache Beam"}
METRICS = {"auc": "AUC", "accuracy": "accuracy", "mean_absolute_error": "mean absolute error"}
SUGGESTIONS = {
    "group": "some values repeat: it may name somebody or something",
    "remove": "no value repeats: it tells the examples apart and nothing else",
}

_ROWS_AT_ONCE = 12


@dataclass(frozen=True)
class Part:
    """A part of the page, with the gravest that was found in it.

    Attributes
    ----------
    anchor, title
        Where it is on the page, and its name.
    tone, word
        The verdict in signs and in a word.
    findings
        Its findings beyond notes.
    """

    anchor: str
    title: str
    tone: str
    word: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Unseen:
    """Something that was not looked at.

    Attributes
    ----------
    what, why
        What, and for want of what.
    kind, names
        What switches it on: settings of the component, or inputs of it; no names where nothing does.
    """

    what: str
    why: str
    kind: Literal["setting", "input"] = "setting"
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compared:
    """A column of a train row beside that of an eval row."""

    name: str
    train: str
    eval: str
    differs: bool


_PARTS = (
    ("overlap", "Rows on both sides", ("duplicates_across_splits",)),
    ("score", "The model’s score", ("consequence",)),
    ("near", "Nearly equal rows", ("near_duplicates",)),
    ("repeated", "Repeated rows", ("duplicates_within_split",)),
    ("conflicts", "Conflicting labels", ("conflicting_labels",)),
    ("features", "Features and the label", ("target_leakage", "target_leakage_pairs", "identifier_like")),
    ("entities", "Entities on both sides", ("entity_overlap",)),
    ("time", "Order in time", ("time_order",)),
    ("preprocessing", "Preprocessing", ("preprocessing", "serving_features")),
)


def parts(report: LeakageReport) -> dict[str, Part]:
    """The parts that were looked at, by anchor, in the order of the page."""
    section = report.leakage
    scored = bool(section.consequence) or any(item.check == "consequence" for item in report.findings)
    looked = {
        "overlap": bool(section.overlap),
        "score": scored,
        "near": section.near_duplicates is not None,
        "repeated": bool(section.overlap),
        "conflicts": bool(section.conflicts),
        "features": bool(section.features or section.pairs or section.identifiers),
        "entities": bool(section.entities),
        "time": section.time is not None,
        "preprocessing": section.preprocessing is not None,
    }
    return {
        anchor: _part(report, anchor, title, checks) for anchor, title, checks in _PARTS if looked[anchor]
    }


def _part(report: LeakageReport, anchor: str, title: str, checks: Sequence[str]) -> Part:
    found = tuple(
        item for item in report.findings if item.check in checks and item.severity is not Severity.INFO
    )
    if anchor == "score" and not found:
        # What leakage did to the score is told; nothing is judged by it.
        return Part(anchor, title, Severity.INFO.value, words.SEVERITIES[Severity.INFO], found)
    verdict = Verdict.worst(item.severity.verdict for item in found)
    return Part(anchor, title, verdict.value, words.VERDICTS[verdict], found)


def unseen(report: LeakageReport) -> list[Unseen]:
    """What was not looked at, and what would switch it on."""
    if report.leakage.label is None:
        return [Unseen("Anything beyond the findings", "the examples could not be counted as they are")]
    return [*_unseen_rows(report), *_unseen_features(report), *_unseen_around(report)]


def _unseen_rows(report: LeakageReport) -> Iterator[Unseen]:
    section = report.leakage
    if section.overlap and FEATURES_EXCLUDED not in {item.key for item in section.overlap}:
        yield Unseen(
            "Copies that a weight, an identifier or a time hides",
            "no such column is named",
            names=("exclude", "weight"),
        )
    if section.near_duplicates is None:
        yield Unseen("Nearly equal rows", "switched off", names=("near",))
    if any(item.eval_in_train for item in section.overlap):
        if not section.rows:
            yield Unseen("Rows on both sides, to look at", "none are shown", names=("shown",))
        untold = not any(item.check == "consequence" for item in report.findings)
        if not section.consequence and untold:
            scored = "model" in report.inputs
            yield Unseen(
                "How much of the model’s score is leakage",
                "its scores were too few to tell" if scored else "there was no model and no scores",
                "input",
                () if scored else ("model",),
            )


def _unseen_features(report: LeakageReport) -> Iterator[Unseen]:
    if not report.settings.get("targets", True):
        yield Unseen("Features that give the label away", "switched off", names=("targets",))
        return
    if not report.leakage.features:
        yield Unseen("Features that give the label away", "none could be set against the label")
    if not report.settings.get("pairs", True):
        yield Unseen("Pairs of features that give the label away together", "switched off", names=("pairs",))


def _unseen_around(report: LeakageReport) -> Iterator[Unseen]:
    section = report.leakage
    if not section.entities:
        yield Unseen(
            "Whether the same person, household or device is on both sides",
            "no group feature is named",
            names=("groups",),
        )
    if section.time is None:
        yield Unseen("Whether the model learned from the future", "no time feature is named", names=("time",))
    known = section.preprocessing
    if known is None:
        yield Unseen(
            "Whether preprocessing saw the eval split",
            "no transform graph is connected",
            "input",
            ("transform_graph",),
        )
    if known is None or known.required_at_serving is None:
        yield Unseen(
            "Whether the model needs features that are not there at serving",
            "no transform graph is connected",
            "input",
            ("transform_graph", "schema"),
        )
    elif "schema" not in report.inputs:
        yield Unseen(
            "Whether the model needs features that are not there at serving",
            "no schema is connected",
            "input",
            ("schema",),
        )


def key(name: str) -> str:
    """An overlap key in words; a key of the user's keeps its name.

    Examples
    --------
    >>> key("features+label"), key("name and birthday")
    ('Features and label', 'name and birthday')
    """
    return KEYS.get(name, name)


def percent(share: float) -> str:
    """A share in per cent, with three figures.

    Examples
    --------
    >>> percent(2979 / 16281), percent(1.0), percent(-0.00031), percent(0.0), percent(1e-9)
    ('18.3 %', '100 %', '−0.031 %', '0 %', '≈ 0 %')
    """
    if 0 < abs(share) < 1e-5:
        return "≈ 0 %"
    return f"{format_number(float(f'{100 * share:.3g}'))} %".replace("-", "−")


def part_of(count: int, whole: int) -> str:
    """`count` as a share of `whole`; a dash where there is no whole."""
    return percent(count / whole) if whole else "–"


def surely(number: float) -> str:
    """An expected number of examples, to a tenth.

    Examples
    --------
    >>> surely(0), surely(0.0003), surely(31.44), surely(2968.08)
    ('0', '< 0.1', '31.4', '2,968.1')
    """
    if 0 < number < 0.05:
        return "< 0.1"
    return format_number(number) if number == int(number) else f"{number:,.1f}"


def excess(estimate: Estimate) -> str:
    """A share beyond what was expected, with its sign.

    Examples
    --------
    >>> excess(Estimate(value=0.0123)), excess(Estimate(value=-0.0004)), excess(Estimate(value=0))
    ('+1.23 %', '−0.04 %', '0 %')
    """
    return f"{'+' if estimate.value >= 1e-5 else ''}{percent(estimate.value)}"


def interval(estimate: Estimate) -> str:
    """The interval of a share in per cent; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{percent(estimate.low)} to {percent(estimate.high)}"


def span(estimate: Estimate) -> str:
    """The interval of a plain number, four figures; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{signed(estimate.low)} to {signed(estimate.high)}"


def signed(number: float) -> str:
    """A number with a proper minus."""
    return format_number(number).replace("-", "−")


def consequence(item: Consequence, evaluation: str) -> str:
    """What the leaked examples did to the model's score, in a sentence or two.

    Examples
    --------
    >>> difference = Estimate(value=0.0161, low=0.0118, high=0.0204)
    >>> item = Consequence(key="features", metric="auc", all=0.927, without_leaked=0.911,
    ...                    difference=difference, leaked=486, clean=9283)
    >>> consequence(item, "eval").partition(". ")[2]
    'The leaked examples flatter the model.'
    """
    metric = METRICS[item.metric]
    leaked = words.plural(item.leaked, f"{evaluation} example")
    if item.without_leaked is None or item.difference is None:
        return (
            f"{metric} on all examples is {signed(item.all)}; without the {leaked} in train too few are "
            "left to tell."
        )
    changed = f"{metric} is {signed(item.without_leaked)} instead of {signed(item.all)}"
    return f"Without the {leaked} that stand in train, {changed}. {_effect(item)}"


def _effect(item: Consequence) -> str:
    difference = item.difference
    if difference is None or difference.low is None or difference.high is None:
        return ""
    if difference.low <= 0 <= difference.high:
        return "That is no more than chance would change."
    better = difference.value < 0 if item.metric == "mean_absolute_error" else difference.value > 0
    if better:
        return "The leaked examples flatter the model."
    return "The leaked examples do not flatter the model: it does worse on them than on the others."


def compared(row: Row) -> tuple[list[Compared], list[Compared]]:
    """The columns of a pair of rows, those that differ first: the ones to show, and the others."""
    names = list(dict.fromkeys([*row.train, *row.eval]))
    names.sort(key=lambda name: name not in row.differs)
    cells = [
        Compared(name, row.train.get(name, ""), row.eval.get(name, ""), name in row.differs) for name in names
    ]
    shown = max(_ROWS_AT_ONCE, len(row.differs))
    return cells[:shown], cells[shown:]


def by_key(conflicts: Sequence[Conflict]) -> dict[str, list[Conflict]]:
    """Conflicts grouped by key."""
    grouped: dict[str, list[Conflict]] = {}
    for item in conflicts:
        grouped.setdefault(item.key, []).append(item)
    return grouped


def scope(report: LeakageReport, name: Scope) -> tuple[str, int]:
    """A scope of conflicts in words, and the number of its examples."""
    examples = report.leakage.examples
    if name == "all":
        return "over both", sum(examples.values())
    train, evaluation = splits(report)
    split = train if name == "train" else evaluation
    return f"within {split}", examples.get(split, 0)


def splits(report: LeakageReport) -> tuple[str, str]:
    """Names of the train and the eval split."""
    return report.settings.get("train_split", "train"), report.settings.get("eval_split", "eval")


def basis(section: LeakageSection) -> str:
    """What the statistics of features and near duplicates rest on.

    Examples
    --------
    >>> basis(LeakageSection(examples={"train": 9, "eval": 3}, sampled={"train": 9, "eval": 3}))
    'all examples'
    """
    if not section.sampled:
        return "none"
    parts = [
        f"{count:,} of {section.examples[name]:,} {name}"
        for name, count in section.sampled.items()
        if count < section.examples.get(name, 0)
    ]
    return f"a sample: {' and '.join(parts)} examples" if parts else "all examples"
