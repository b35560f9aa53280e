"""Reports of LeakageValidator: all that can go wrong, nothing wrong, nothing counted, and a nasty one."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.report import (
    Conflict,
    Consequence,
    EntityOverlap,
    FeatureLeakage,
    Identifier,
    LeakageReport,
    LeakageSection,
    NearDuplicates,
    Overlap,
    PairLeakage,
    Preprocessing,
    Row,
    TimeOrder,
)
from tfx_trust.components.leakage.words import findings_of
from tfx_trust.components.report import Estimate, Finding, InputRef, Severity, Verdict

WHEN = datetime.datetime(2025, 3, 4, 9, 5, 12, tzinfo=datetime.timezone.utc)
ROOT = "/data/risk/runs/loans/artifacts"
TRAIN, EVAL = 41_873, 12_104

# The most telling first: name, held-out AUC, share of the label's entropy, distinct values.
FEATURES = (
    ("collection_fee", 0.9968, 0.913, 212),
    ("last_contact_code", 0.9612, 0.571, 14),
    ("arrears_months", 0.8714, 0.284, 19),
    ("score_bureau", 0.8203, 0.201, 587),
    ("utilisation", 0.7741, 0.152, 1004),
    ("income", 0.7188, 0.096, 8120),
    ("instalment_share", 0.7012, 0.087, 640),
    ("employment", 0.6873, 0.071, 7),
    ("years_employed", 0.6721, 0.064, 42),
    ("housing", 0.6518, 0.052, 5),
    ("age", 0.6407, 0.047, 71),
    ("purpose", 0.6255, 0.039, 12),
    ("amount", 0.6191, 0.036, 2874),
    ("term_months", 0.6104, 0.031, 9),
    ("open_accounts", 0.6013, 0.027, 31),
    ("enquiries_6m", 0.5922, 0.023, 14),
    ("savings_band", 0.5837, 0.019, 6),
    ("region", 0.5716, 0.014, 48),
    ("dependants", 0.5588, 0.009, 8),
    ("channel", 0.5479, 0.006, 5),
    ("marital_status", 0.5431, 0.005, 6),
    ("years_at_address", 0.5362, 0.004, 51),
    ("phone_known", 0.5204, 0.001, 2),
    ("weekday", 0.5071, 0.0002, 7),
    ("currency", 0.5012, 0.0001, 3),
    ("branch", 0.4988, 0.0001, 210),
    ("campaign", 0.4961, 0.0, 33),
)
SET_ASIDE = ("application_id", "customer", "applied_on", "weight")
COLUMNS = [*SET_ASIDE, *(name for name, *_ in FEATURES)]


def full() -> LeakageReport:
    """Loan applications with a fault of each kind, and a model that was judged by them."""
    settings = LeakageSettings(
        label="defaulted",
        exclude=["application_id"],
        weight="weight",
        groups=["customer"],
        time="applied_on",
        keys={"name and birthday": ["customer", "age"]},
    )
    section = LeakageSection(
        examples={"train": TRAIN, "eval": EVAL},
        label="binary",
        driver="in_process",
        sampled={"train": 40_000, "eval": EVAL},
        overlap=_overlap(),
        near_duplicates=_near(),
        conflicts=[
            Conflict(key=key, scope=scope, groups=groups, examples=examples, minority=minority)
            for key, scope, groups, examples, minority in (
                ("features", "train", 18, 41, 19),
                ("features", "eval", 2, 4, 2),
                ("features", "all", 37, 88, 39),
                ("features-excluded", "train", 96, 244, 104),
                ("features-excluded", "eval", 11, 25, 11),
                ("features-excluded", "all", 171, 462, 188),
            )
        ],
        features=[_feature(*feature) for feature in FEATURES],
        pairs=[
            _pair("branch", "weekday", 0.9127, 0.5071, Verdict.WARN),
            _pair("income", "instalment_share", 0.7961, 0.7188, Verdict.PASS),
        ],
        identifiers=[
            Identifier(
                name="application_id", distinct=52_104, examples=52_104, auc=0.5004, suggestion="remove"
            ),
            Identifier(name="customer", distinct=50_391, examples=52_104, auc=0.5019, suggestion="group"),
        ],
        entities=[
            EntityOverlap(
                group="customer",
                entities={"train": 40_108, "eval": 11_697},
                entities_in_both=1_318,
                eval_in_train=1_502,
                train_in_eval=1_871,
                missing={"train": 12, "eval": 3},
                verdict=Verdict.FAIL,
            )
        ],
        time=TimeOrder(
            feature="applied_on",
            first={"train": "2021-01-04 00:00", "eval": "2023-06-01 00:00"},
            last={"train": "2023-08-17 00:00", "eval": "2023-12-29 00:00"},
            late_train=2_963,
            late_in_group={"customer": 617},
            missing={"train": 0, "eval": 0},
            verdict=Verdict.FAIL,
        ),
        preprocessing=Preprocessing(
            analyzed_splits=["train", "eval"],
            eval_analyzed=["eval"],
            required_at_serving=[name for name, *_ in FEATURES],
            absent_at_serving=["collection_fee"],
            verdict=Verdict.FAIL,
        ),
        consequence=[
            Consequence(
                key="features",
                metric="auc",
                all=0.9271,
                without_leaked=0.9104,
                difference=Estimate(
                    value=0.0167, low=0.0121, high=0.0214, count=11_618, level=0.95, method="bootstrap"
                ),
                leaked=486,
                clean=11_618,
            ),
            Consequence(
                key="features-excluded",
                metric="auc",
                all=0.9271,
                without_leaked=None,
                difference=None,
                leaked=12_090,
                clean=14,
            ),
        ],
        rows=[
            _row("features+label"),
            _row("features", defaulted=("0", "1")),
            _row("features-excluded", application_id=("A•••••••", "A•••••••"), weight=("1•••", "0•••")),
        ],
    )
    return _report(section, settings, notes=["collection_fee: values beyond 64 bins were taken together."])


def clean() -> LeakageReport:
    """Nothing found, and nothing looked at but what always is."""
    settings = LeakageSettings(label="species", near=0, targets=False, shown=0)
    section = LeakageSection(
        examples={"train": 105, "eval": 45},
        label="classes",
        driver="beam",
        sampled={"train": 105, "eval": 45},
        overlap=[
            _counted("features+label", ["petal_length", "petal_width"], 0, 0, 0, (0.0003, 0.02), 0.0, 45),
            _counted("features", ["petal_length", "petal_width"], 0, 0, 0, (0.0, 0.0), None, 45),
        ],
    )
    return _report(section, settings)


def nothing_counted() -> LeakageReport:
    """There is no eval split."""
    missing = Finding(
        check="splits",
        severity=Severity.FAIL,
        subject="eval",
        message="There is no eval split: the examples have train.",
        remedy="Give ExampleGen an output_config with both splits.",
    )
    return LeakageReport(
        component="LeakageValidator",
        created=WHEN,
        findings=[missing],
        settings=LeakageSettings(label="species").model_dump(mode="json"),
        leakage=LeakageSection(examples={}),
    )


def hostile(text: str) -> LeakageReport:
    """All names and values are `text`."""
    report = full()
    section = report.leakage.model_copy(
        update={
            "overlap": [
                item.model_copy(update={"key": text, "columns": [text]})
                for item in report.leakage.overlap[:1]
            ],
            "conflicts": [item.model_copy(update={"key": text}) for item in report.leakage.conflicts],
            "features": [item.model_copy(update={"name": text}) for item in report.leakage.features[:1]],
            "pairs": [item.model_copy(update={"names": (text, text)}) for item in report.leakage.pairs],
            "identifiers": [item.model_copy(update={"name": text}) for item in report.leakage.identifiers],
            "entities": [item.model_copy(update={"group": text}) for item in report.leakage.entities],
            "rows": [Row(key=text, train={text: text}, eval={text: text}, differs=[text])],
        }
    )
    settings = {**report.settings, "label": text}
    return report.model_copy(update={"leakage": section, "settings": settings})


def _report(section: LeakageSection, settings: LeakageSettings, notes: Sequence[str] = ()) -> LeakageReport:
    connected = bool(section.consequence)
    names = ("examples", "schema", "transform_graph", "model") if connected else ("examples",)
    return LeakageReport(
        component="LeakageValidator",
        created=WHEN,
        findings=findings_of(section, settings, (0, 0), notes),
        settings=settings.model_dump(mode="json"),
        inputs={
            name: [InputRef(uri=f"{ROOT}/{name}/{number}", id=number)] for number, name in enumerate(names, 1)
        },
        leakage=section,
    )


def _overlap() -> list[Overlap]:
    plain = [name for name in COLUMNS if name not in SET_ASIDE]
    return [
        _counted(
            "features+label", [*COLUMNS, "defaulted"], 451, 462, 433, (9.42, 2.71), 0.0, EVAL, Verdict.FAIL
        ),
        _counted("features", COLUMNS, 486, 503, 466, (10.18, 2.84), 0.0, EVAL, Verdict.FAIL),
        _counted("features-excluded", plain, 1_127, 1_344, 1_003, (611.73, 22.64), 38.21, EVAL, Verdict.FAIL),
        _counted(
            "name and birthday", ["customer", "age"], 1_502, 1_871, 1_318, (1_489.02, 33.17), None, EVAL
        ),
    ]


def _counted(
    key: str,
    columns: list[str],
    eval_in_train: int,
    train_in_eval: int,
    in_both: int,
    chance: tuple[float, float],
    independent: float | None,
    examples: int,
    verdict: Verdict = Verdict.PASS,
) -> Overlap:
    expected, sd = chance
    beyond = eval_in_train - expected
    return Overlap(
        key=key,
        columns=columns,
        keys_in_both=in_both,
        eval_in_train=eval_in_train,
        train_in_eval=train_in_eval,
        distinct={"train": TRAIN - train_in_eval + in_both, "eval": EVAL - eval_in_train + in_both},
        surplus={"train": train_in_eval - in_both, "eval": eval_in_train - in_both},
        expected_random_split=expected,
        random_split_sd=sd,
        expected_independent=independent,
        excess=Estimate(
            value=beyond / examples,
            low=(beyond - 1.96 * sd) / examples,
            high=(beyond + 1.96 * sd) / examples,
            count=examples,
            level=0.95,
            method="random splits of the same rows",
        ),
        p_value=0.0 if beyond > 5 * sd else 0.4,
        verdict=verdict,
    )


def _near() -> NearDuplicates:
    return NearDuplicates(
        differing=1,
        eval_rows=EVAL,
        train_rows=40_000,
        eval_near_train=738,
        expected_random_split=702.6,
        capped=True,
        note="searched 40,000 of 41,873 train examples",
        excess=Estimate(
            value=0.00292, low=-0.00121, high=0.00705, count=EVAL, level=0.95, method="random splits"
        ),
        verdict=Verdict.PASS,
    )


def _feature(name: str, auc: float, nmi: float, distinct: int) -> FeatureLeakage:
    half = 0.0021 + 0.03 * (1 - auc)
    return FeatureLeakage(
        name=name,
        auc=auc,
        nmi=nmi,
        verdict=Verdict.FAIL if auc >= 0.99 else Verdict.WARN if auc >= 0.95 else Verdict.PASS,
        auc_estimate=Estimate(
            value=auc, low=auc - half, high=min(1, auc + half), count=EVAL, level=0.95, method="DeLong"
        ),
        nmi_estimate=Estimate(value=nmi, low=nmi * 0.9, high=min(1, nmi * 1.1), count=EVAL, level=0.95),
        determines=name == "collection_fee",
        distinct=distinct,
    )


def _pair(one: str, other: str, auc: float, best: float, verdict: Verdict) -> PairLeakage:
    lift = auc - best
    return PairLeakage(
        names=(one, other),
        auc=auc,
        best_single=best,
        lift=Estimate(
            value=round(lift, 4), low=round(lift - 0.012, 4), high=round(lift + 0.012, 4), count=EVAL
        ),
        verdict=verdict,
    )


def _row(key: str, **differing: tuple[str, str]) -> Row:
    texts = ("2•••••", "4•", "0.7••", "C•••••••", "1•", "")
    plain = {name: texts[place % len(texts)] for place, name in enumerate([*COLUMNS, "defaulted"])}
    plain["defaulted"] = "0"
    return Row(
        key=key,
        train=plain | {name: pair[0] for name, pair in differing.items()},
        eval=plain | {name: pair[1] for name, pair in differing.items()},
        differs=list(differing),
    )
