"""Reports of FairnessEvaluator: a census model with gaps of every kind, and what else a page must bear."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfx_trust.components import corrections, intervals
from tfx_trust.components.fairness.config import DECISION_METRICS, FairnessSettings, Tolerance
from tfx_trust.components.fairness.report import (
    REST,
    AtThreshold,
    Baseline,
    BaselineChange,
    Bin,
    Discovered,
    Discovery,
    Disparity,
    FairnessReport,
    FairnessSection,
    Gap,
    Metric,
    Pooled,
    Slice,
    SliceMetrics,
)
from tfx_trust.components.fairness.words import findings
from tfx_trust.components.report import Finding, InputRef, Severity

WHEN = datetime.datetime(2025, 3, 4, 9, 5, 12, tzinfo=datetime.timezone.utc)
ROOT = "/data/census/runs/artifacts"
LEVEL = 0.95


class Cell(NamedTuple):
    """Counts of some examples by label and decision."""

    examples: int
    positives: int
    true_positives: int
    false_positives: int

    def plus(self, other: Cell) -> Cell:
        return Cell(*(a + b for a, b in zip(self, other, strict=True)))

    def less(self, other: Cell) -> Cell:
        return Cell(*(a - b for a, b in zip(self, other, strict=True)))

    def at(self, share: float) -> Cell:
        """As if decided at a lower threshold: more of the rest is decided positive."""
        found, wrong = self.positives - self.true_positives, self.negatives - self.false_positives
        return Cell(
            self.examples,
            self.positives,
            self.true_positives + round(share * found),
            self.false_positives + round(share * wrong / 5),
        )

    @property
    def negatives(self) -> int:
        return self.examples - self.positives

    def share(self, metric: str) -> tuple[int, int]:
        """Numerator and denominator of a metric of decisions."""
        n, positives, found, wrong = self
        return {
            "selection_rate": (found + wrong, n),
            "false_positive_rate": (wrong, self.negatives),
            "false_negative_rate": (positives - found, positives),
            "true_positive_rate": (found, positives),
            "true_negative_rate": (self.negatives - wrong, self.negatives),
            "precision": (found, found + wrong),
            "accuracy": (found + self.negatives - wrong, n),
        }[metric]


CENSUS = {
    ("White", "Male"): Cell(9_577, 2_953, 1_948, 716),
    ("White", "Female"): Cell(4_369, 517, 262, 96),
    ("Black", "Male"): Cell(837, 142, 74, 31),
    ("Black", "Female"): Cell(724, 37, 14, 6),
    ("Asian-Pac-Islander", "Male"): Cell(310, 111, 79, 27),
    ("Asian-Pac-Islander", "Female"): Cell(170, 22, 12, 7),
    ("Amer-Indian-Eskimo", "Male"): Cell(100, 15, 7, 3),
    ("Amer-Indian-Eskimo", "Female"): Cell(59, 4, 1, 0),
    ("Other", "Male"): Cell(83, 22, 11, 4),
    ("Other", "Female"): Cell(52, 3, 1, 0),
}
AGES = {
    "< 25": Cell(2_755, 31, 4, 9),
    "[25, 35)": Cell(4_192, 652, 371, 168),
    "[35, 45)": Cell(3_981, 1_243, 842, 309),
    "[45, 55)": Cell(2_903, 1_167, 797, 272),
    "[55, 65)": Cell(1_702, 577, 326, 104),
    "≥ 65": Cell(748, 156, 69, 28),
}
EDGES = [25.0, 35.0, 45.0, 55.0, 65.0]
EQUALIZED_ODDS = (("false_positive_rate", "difference", 0.05), ("true_positive_rate", "difference", 0.1))


def full() -> FairnessReport:
    """Adult by sex, race, both, and age: gaps, doubtful ones, small groups, a baseline and a discovery."""
    settings = FairnessSettings(
        label="over_50k",
        slices=[["sex"], ["race"], ["race", "sex"], ["age"], ["native_country"]],
        buckets={"age": EDGES},
        thresholds=[0.5, 0.3],
        tolerances=[Tolerance(metric=name, kind=kind, bound=bound) for name, kind, bound in EQUALIZED_ODDS],
        on_discovered="warn",
    )
    cells = census_cells()
    slices = [_measured(named, cell, thresholds=settings.thresholds) for named, cell in cells.items()]
    gaps = _gaps(cells, settings)
    section = FairnessSection(
        examples=16_281,
        threshold=0.5,
        compare=">=",
        driver="in_process",
        slices=slices,
        gaps=gaps,
        disparities=_disparities(),
        baseline=_baseline(cells),
        discovered=_discovered(),
        discovery=Discovery(
            features=["age", "education", "marital_status", "occupation", "race", "sex", "workclass"],
            skipped={"capital_gain": "a number without buckets", "fnlwgt": "a number without buckets"},
            candidates=2_418,
            found=8_141,
            confirmed_on=8_140,
        ),
        pooled=[Pooled(feature="native_country", values=22, examples=411)],
        buckets={"age": EDGES},
    )
    return _report(section, settings, inputs=("examples", "model", "baseline_model", "schema", "statistics"))


def census_cells() -> dict[tuple[tuple[str, str], ...], Cell]:
    """Counts by slice; the key of everyone is empty."""
    everyone = Cell(0, 0, 0, 0)
    sexes: dict[str, Cell] = {}
    races: dict[str, Cell] = {}
    for (race, sex), cell in CENSUS.items():
        everyone = everyone.plus(cell)
        sexes[sex] = sexes.get(sex, Cell(0, 0, 0, 0)).plus(cell)
        races[race] = races.get(race, Cell(0, 0, 0, 0)).plus(cell)
    countries = {"Mexico": Cell(308, 14, 6, 4), "United-States": Cell(14_662, 3_636, 2_289, 838)}
    return {
        (): everyone,
        **{(("age", name),): cell for name, cell in AGES.items()},
        **{
            (("native_country", name),): cell
            for name, cell in {
                **countries,
                "(missing)": Cell(274, 60, 37, 11),
                "(other)": Cell(411, 49, 31, 14),
            }.items()
        },
        **{(("race", name),): cell for name, cell in sorted(races.items())},
        **{(("sex", name),): cell for name, cell in sorted(sexes.items())},
        **{(("race", race), ("sex", sex)): cell for (race, sex), cell in sorted(CENSUS.items())},
    }


def clean() -> FairnessReport:
    """Decisions alone, two groups, all within a wide tolerance, and nothing else looked at."""
    settings = FairnessSettings(
        label="approved", slices=[["sex"]], discover=[], decision_output="decision", reference={"sex": "Male"}
    )
    cells = {
        (): Cell(40_000, 12_100, 9_710, 1_301),
        (("sex", "Female"),): Cell(19_400, 5_810, 4_655, 627),
        (("sex", "Male"),): Cell(20_600, 6_290, 5_055, 674),
    }
    section = FairnessSection(
        examples=40_000,
        threshold=None,
        compare=None,
        driver="beam",
        slices=[_measured(named, cell, scored=False) for named, cell in cells.items()],
        gaps=_gaps(cells, settings),
        disparities=[
            Disparity(
                name="equalized_odds_difference",
                by=["sex"],
                value=0.0024,
                low=0.0,
                high=0.0171,
                highest={"sex": "Male"},
                lowest={"sex": "Female"},
                slices=2,
                left_out=0,
                over_all=0.0024,
            )
        ],
    )
    return _report(section, settings)


def classes() -> FairnessReport:
    """A label of three classes, each against the rest."""
    settings = FairnessSettings(
        label="grade",
        classes=["prime", "near prime", "subprime"],
        slices=[["sex"]],
        discover=[],
        tolerances=[
            Tolerance(metric="true_positive_rate", bound=0.1),
            Tolerance(metric="selection_rate", kind="ratio", bound=0.8),
        ],
    )
    by_class = {
        "prime": (Cell(6_010, 2_610, 2_214, 402), Cell(5_240, 2_015, 1_690, 338)),
        "near prime": (Cell(6_010, 2_080, 1_389, 611), Cell(5_240, 1_904, 1_237, 590)),
        "subprime": (Cell(6_010, 1_320, 801, 593), Cell(5_240, 1_321, 987, 398)),
    }
    slices, gaps = [], []
    for name, (men, women) in by_class.items():
        cells = {(): men.plus(women), (("sex", "Female"),): women, (("sex", "Male"),): men}
        slices += [_measured(named, cell, label_class=name) for named, cell in cells.items()]
        gaps += _gaps(cells, settings, label_class=name)
    section = FairnessSection(
        examples=11_250,
        threshold=None,
        compare=None,
        driver="in_process",
        classes=list(by_class),
        slices=slices,
        gaps=_in_order(gaps),
        disparities=[
            Disparity(
                name="demographic_parity_ratio",
                by=["sex"],
                label_class=name,
                value=0.91,
                low=0.86,
                high=0.97,
                highest={"sex": "Male"},
                lowest={"sex": "Female"},
                slices=2,
                left_out=0,
                over_all=0.91,
            )
            for name in by_class
        ],
    )
    return _report(section, settings)


def many(features: tuple[int, int] = (10, 10)) -> FairnessReport:
    """Two features, 10 × 10 values by default: more slices than a picture holds."""
    settings = FairnessSettings(label="over_50k", slices=[["occupation", "workclass"]], discover=[])
    rng = np.random.default_rng(4)
    everyone = Cell(0, 0, 0, 0)
    cells: dict[tuple[tuple[str, str], ...], Cell] = {}
    for one in range(features[0]):
        for other in range(features[1]):
            n = int(rng.integers(20, 900))
            positives = int(n * rng.uniform(0.05, 0.5))
            found = int(rng.binomial(positives, rng.uniform(0.45, 0.75)))
            cell = Cell(n, positives, found, int(rng.binomial(n - positives, rng.uniform(0.02, 0.3))))
            everyone = everyone.plus(cell)
            cells[("occupation", f"occupation {one:02d}"), ("workclass", f"class {other:02d}")] = cell
    cells = {(): everyone, **cells}
    section = FairnessSection(
        examples=everyone.examples,
        threshold=0.5,
        compare=">",
        driver="in_process",
        slices=[_measured(named, cell) for named, cell in cells.items()],
        gaps=_gaps(cells, settings),
    )
    return _report(section, settings)


def weighted() -> FairnessReport:
    """Examples with weights, one group the named reference, the four-fifths rule judged."""
    settings = FairnessSettings(
        label="over_50k",
        slices=[["sex"], ["race"]],
        weight="fnlwgt",
        reference={"sex": "Male"},
        discover=[],
        tolerances=[Tolerance(metric="selection_rate", kind="ratio", bound=0.8)],
    )
    cells = {
        named: cell
        for named, cell in census_cells().items()
        if {name for name, _ in named} <= {"sex"} or {name for name, _ in named} == {"race"}
    }
    section = FairnessSection(
        examples=16_281,
        threshold=0.5,
        compare=">=",
        driver="in_process",
        weighted=True,
        slices=[_measured(named, cell, effective=0.71) for named, cell in cells.items()],
        gaps=_gaps(cells, settings),
    )
    return _report(section, settings)


def one_slice() -> FairnessReport:
    """A feature with one value: there is nobody to compare it with."""
    settings = FairnessSettings(label="over_50k", slices=[["region"]])
    cell = Cell(4_110, 980, 640, 210)
    cells = {(): cell, (("region", "north"),): cell}
    section = FairnessSection(
        examples=4_110,
        threshold=0.5,
        compare=">=",
        driver="in_process",
        slices=[_measured(named, item) for named, item in cells.items()],
        gaps=_gaps(cells, settings),
        discovery=Discovery(features=["region"], skipped={}, candidates=0, found=2_055, confirmed_on=2_055),
    )
    return _report(section, settings)


def nothing() -> FairnessReport:
    """The label is constant: nothing could be measured."""
    constant = Finding(
        check="labels",
        severity=Severity.NOT_RUN,
        subject="over_50k",
        message="All 16,281 eval examples have the label 0: no rate of errors can be compared.",
        remedy="Give an eval split with both labels.",
    )
    return FairnessReport(
        component="FairnessEvaluator",
        created=WHEN,
        findings=[constant],
        settings=FairnessSettings(label="over_50k", slices=[["sex"]]).model_dump(mode="json"),
        fairness=FairnessSection(examples=16_281, threshold=0.5, compare=">="),
    )


def hostile(text: str) -> FairnessReport:
    """All names and values are `text`."""
    report = full()
    named = {text: text}
    found = report.fairness
    slices = [
        item.model_copy(update={"slice": slice_})
        for item, slice_ in zip(
            found.slices, [{}, named, {text: f"{text} "}, {text: text, "sex": text}], strict=False
        )
    ]
    gaps = [
        item.model_copy(update={"slice": slice_, "reference": {text: f"{text} "}})
        for item, slice_ in zip(found.gaps[:2], [named, {text: text, "sex": text}], strict=True)
    ]
    assert found.baseline is not None
    baseline = found.baseline.model_copy(
        update={"changes": [item.model_copy(update={"slice": named}) for item in found.baseline.changes[:3]]}
    )
    section = found.model_copy(
        update={
            "classes": [text, "b", "c"],
            "slices": [item.model_copy(update={"label_class": text}) for item in slices],
            "gaps": [item.model_copy(update={"label_class": text}) for item in gaps],
            "disparities": [
                item.model_copy(update={"by": [text], "highest": named, "label_class": text})
                for item in found.disparities
            ],
            "baseline": baseline,
            "discovered": [item.model_copy(update={"slice": named}) for item in found.discovered],
            "discovery": Discovery(
                features=[text], skipped={text: text}, candidates=1, found=1, confirmed_on=1
            ),
            "pooled": [Pooled(feature=text, values=2, examples=3)],
            "buckets": {text: EDGES},
        }
    )
    settings = {**report.settings, "label": text, "weight": text}
    return report.model_copy(update={"fairness": section, "settings": settings})


def _measured(
    named: tuple[tuple[str, str], ...],
    cell: Cell,
    *,
    label_class: str | None = None,
    scored: bool = True,
    thresholds: Sequence[float] = (0.5,),
    effective: float | None = None,
) -> SliceMetrics:
    metrics = _rates(cell, effective)
    if scored:
        metrics |= _scores(cell, effective)
    return SliceMetrics(
        slice=dict(named),
        label_class=label_class,
        examples=cell.examples,
        positives=cell.positives,
        metrics=metrics,
        thresholds=[
            AtThreshold(threshold=at, metrics=_rates(cell if at == 0.5 else cell.at(0.4), effective))
            for at in thresholds
        ]
        if len(thresholds) > 1
        else [],
        reliability=_reliability(cell) if scored and len(named) < 2 else [],
    )


def _rates(cell: Cell, effective: float | None) -> dict[str, Metric]:
    return {name: _rate(*cell.share(name), effective) for name in DECISION_METRICS}


def _rate(part: int, whole: int, effective: float | None = None) -> Metric:
    if not whole:
        return Metric(value=None, count=0)
    kish = None if effective is None else round(effective * whole, 1)
    low, high = intervals.wilson(part / whole, whole if kish is None else kish, LEVEL)
    return Metric(value=part / whole, low=float(low), high=float(high), count=whole, effective=kish)


def _scores(cell: Cell, effective: float | None) -> dict[str, Metric]:
    """Metrics of scores that could have given these decisions."""
    kish = None if effective is None else round(effective * cell.examples, 1)
    if not cell.positives or not cell.negatives:
        return {"auc": Metric(value=None, count=0)}
    spread = 0.55 / min(cell.positives, cell.negatives) ** 0.5
    wrong = (cell.positives - cell.true_positives + cell.false_positives) / cell.examples
    rate = cell.positives / cell.examples
    auc = 0.93 - 0.1 * wrong
    off = 0.011 + 0.09 * abs(rate - 0.24)
    return {
        "auc": _estimate(auc, min(spread, 0.4), cell.examples, kish, bound=0.0003),
        "brier": _estimate(0.7 * wrong + 0.01, wrong * spread, cell.examples, kish),
        "calibration_error": _estimate(off, min(off, spread / 3), cell.examples, kish),
        "calibration_in_the_large": _estimate(
            0.24 * (0.24 - rate) / 3, spread / 3, cell.examples, kish, least=-1
        ),
    }


def _estimate(
    value: float, half: float, count: int, kish: float | None, *, bound: float | None = None, least: float = 0
) -> Metric:
    return Metric(
        value=value,
        low=max(least, value - half),
        high=min(1, value + half),
        count=count,
        effective=kish,
        bound=bound,
    )


def _reliability(cell: Cell) -> list[Bin]:
    """Ten bins; the model is too sure of the high scores where few are positive."""
    weights = np.array([0.52, 0.12, 0.07, 0.06, 0.05, 0.045, 0.04, 0.035, 0.03, 0.03])
    counts = np.round(weights * cell.examples).astype(int)
    bend = 1 - 0.8 * (0.24 - cell.positives / cell.examples)
    bins = []
    for place, count in enumerate(counts):
        if count:
            score = place / 10 + (0.02 if place == 0 else 0.05)
            expected = min(1.0, score * bend)
            bins.append(
                Bin(
                    low=place / 10,
                    high=(place + 1) / 10,
                    count=int(count),
                    score=score,
                    rate=_rate(round(expected * int(count)), int(count)),
                )
            )
    return bins


def _gaps(
    cells: Mapping[tuple[tuple[str, str], ...], Cell],
    settings: FairnessSettings,
    *,
    label_class: str | None = None,
) -> list[Gap]:
    everyone = cells[()]
    bounds = {(item.metric, item.kind): item.bound for item in settings.tolerances}
    wanted = [
        *bounds,
        *((name, "difference") for name in DECISION_METRICS if (name, "difference") not in bounds),
    ]
    gaps = []
    for named, cell in cells.items():
        reference: Slice | str = REST
        other = everyone.less(cell)
        if len(named) == 1 and named[0][0] in settings.reference:
            reference = {named[0][0]: settings.reference[named[0][0]]}
            other = cells[tuple(reference.items())]
        if named and dict(named) != reference:
            gaps += [
                _gap(dict(named), reference, cell, other, name, kind, bounds.get((name, kind)), label_class)
                for name, kind in wanted
            ]
    return _in_order(gaps)


def _gap(
    named: Slice,
    reference: Any,
    cell: Cell,
    other: Cell,
    metric: str,
    kind: Any,
    bound: float | None,
    label_class: str | None,
) -> Gap:
    part, whole = cell.share(metric)
    other_part, other_whole = other.share(metric)
    value = low = high = p = None
    verdict = "not_judged" if bound is None else "insufficient"
    if whole and other_whole:
        shares = (part / whole, whole, other_part / other_whole, other_whole)
        if kind == "difference":
            value = shares[0] - shares[2]
            ends = intervals.newcombe(*shares, LEVEL)
            p = float(intervals.beyond(*map(np.asarray, shares), bound or 0.0))
        else:
            value = shares[0] / shares[2]
            ends = intervals.ratio(*shares, LEVEL)
            p = float(intervals.ratio_beyond(*map(np.asarray, shares), bound or 1.0))
        low, high = float(ends[0]), float(ends[1])
        if bound is not None and min(whole, other_whole) >= 30:
            inside = (-bound, bound) if kind == "difference" else (bound, 1 / bound)
            verdict = "pass" if inside[0] <= low and high <= inside[1] else "inconclusive"
    return Gap(
        metric=metric,
        slice=named,
        reference=reference,
        label_class=label_class,
        kind=kind,
        value=value,
        low=low,
        high=high,
        p=p,
        verdict=verdict,
        tolerance=bound,
        slice_value=part / whole if whole else None,
        reference_value=other_part / other_whole if other_whole else None,
        slice_count=whole,
        reference_count=other_whole,
    )


def _in_order(gaps: list[Gap]) -> list[Gap]:
    """Corrected over all that are judged, these first, the strongest evidence first of all."""
    judged = [gap for gap in gaps if gap.verdict in ("pass", "inconclusive", "fail")]
    adjusted = corrections.holm([gap.p or 0.0 for gap in judged])
    judged = [
        gap.model_copy(update={"p_adjusted": p, "verdict": "fail" if p < 1 - LEVEL else gap.verdict})
        for gap, p in zip(judged, adjusted, strict=True)
    ]
    rank = ["fail", "inconclusive", "pass"]
    judged.sort(key=lambda gap: (rank.index(gap.verdict), gap.p, -abs(gap.value or 0)))
    for wanted in ("insufficient", "not_judged"):
        judged += [gap for gap in gaps if gap.verdict == wanted]
    return judged


def _disparities() -> list[Disparity]:
    told = (
        ("demographic_parity_difference", 0.1921, 0.1804, 0.2035, "Male", "Female", 0.1921),
        ("demographic_parity_ratio", 0.2777, 0.2498, 0.3081, "Male", "Female", 0.2777),
        ("equalized_odds_difference", 0.1572, 0.1126, 0.2012, "Male", "Female", 0.1572),
        ("equal_opportunity_difference", 0.1572, 0.1126, 0.2012, "Male", "Female", 0.1572),
        ("predictive_parity_difference", 0.0044, 0.0, 0.0621, "Male", "Female", 0.0044),
        ("calibration_gap", 0.0081, 0.0012, 0.0194, "Female", "Male", 0.0081),
    )
    by_sex = [
        Disparity(
            name=name,
            by=["sex"],
            value=value,
            low=low,
            high=high,
            highest={"sex": highest},
            lowest={"sex": lowest},
            slices=2,
            left_out=0,
            over_all=over_all,
        )
        for name, value, low, high, highest, lowest, over_all in told
    ]
    crossed = Disparity(
        name="equalized_odds_difference",
        by=["race", "sex"],
        value=0.3333,
        low=0.1409,
        high=0.4987,
        highest={"race": "Asian-Pac-Islander", "sex": "Male"},
        lowest={"race": "Black", "sex": "Female"},
        slices=5,
        left_out=5,
        over_all=0.4617,
    )
    none = Disparity(
        name="worst_gap_true_positive_rate", by=["native_country"], value=None, slices=1, left_out=3
    )
    return [*by_sex, crossed, none]


def _baseline(cells: Mapping[tuple[tuple[str, str], ...], Cell]) -> Baseline:
    told = {
        (): ((171, 236), (204, 197)),
        (("sex", "Female"),): ((26, 31), (61, 24)),
        (("sex", "Male"),): ((145, 205), (143, 173)),
        (("race", "Black"),): ((9, 11), (22, 9)),
        (("race", "White"),): ((158, 219), (176, 182)),
        (("race", "Other"),): ((1, 0), (2, 1)),
    }
    changes = []
    for named, counts in told.items():
        for metric, (worse, better) in zip(
            ("false_positive_rate", "false_negative_rate"), counts, strict=True
        ):
            count = cells[named].share(metric)[1]
            low, high = intervals.paired(np.array(worse), np.array(better), np.array(count), LEVEL)
            changes.append(
                BaselineChange(
                    metric=metric,
                    slice=dict(named),
                    count=count,
                    worse=worse,
                    better=better,
                    value=(worse - better) / count,
                    low=float(low),
                    high=float(high),
                    p=corrections.mcnemar(worse, better),
                    verdict="inconclusive",
                )
            )
    adjusted = corrections.holm([item.p or 0.0 for item in changes])
    judged = [
        item.model_copy(
            update={
                "p_adjusted": p,
                "verdict": "insufficient"
                if item.count < 30
                else "inconclusive"
                if p >= 0.05
                else "worse"
                if item.worse > item.better
                else "better",
            }
        )
        for item, p in zip(changes, adjusted, strict=True)
    ]
    return Baseline(examples=16_281, changed=808, changes=judged)


def _discovered() -> list[Discovered]:
    first = {"education": "Bachelors", "marital_status": "Never-married", "sex": "Female"}
    return [
        Discovered(
            slice=first,
            metric="true_positive_rate",
            found=-0.412,
            value=-0.377,
            low=-0.504,
            high=-0.221,
            count=58,
            slice_value=0.241,
            rest_value=0.618,
            tolerance=0.1,
            p=2e-6,
            p_adjusted=2e-5,
            confirmed=True,
        ),
        Discovered(
            slice={"occupation": "Exec-managerial", "sex": "Male"},
            metric="false_positive_rate",
            found=0.181,
            value=0.163,
            low=0.128,
            high=0.201,
            count=489,
            slice_value=0.229,
            rest_value=0.066,
            tolerance=0.05,
            p=4e-9,
            p_adjusted=4e-8,
            confirmed=True,
        ),
        Discovered(
            slice={"race": "Black", "workclass": "Local-gov"},
            metric="true_positive_rate",
            found=-0.301,
            value=-0.062,
            low=-0.334,
            high=0.221,
            count=13,
            slice_value=0.538,
            rest_value=0.6,
            tolerance=0.1,
            p=1.0,
            p_adjusted=1.0,
            confirmed=False,
        ),
    ]


def _report(
    section: FairnessSection, settings: FairnessSettings, inputs: Sequence[str] = ("examples", "model")
) -> FairnessReport:
    return FairnessReport(
        component="FairnessEvaluator",
        created=WHEN,
        findings=list(findings(section, settings)),
        settings=settings.model_dump(mode="json"),
        inputs={
            name: [InputRef(uri=f"{ROOT}/{name}/{number}", id=number)]
            for number, name in enumerate(inputs, 1)
        },
        fairness=section,
    )
