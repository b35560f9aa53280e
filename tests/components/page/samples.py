"""Reports and runs as a census pipeline writes them, and nasty ones.

``python samples.py FOLDER`` writes their pages.
"""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any, ClassVar

import leakage_samples

from tfx_trust.components.page import render_overview, render_report
from tfx_trust.components.page.run import NodeRun, Run
from tfx_trust.components.release.config import ReleasePolicy
from tfx_trust.components.release.decision import (
    Evaluation,
    Judged,
    decide,
    weigh_anomalies,
    weigh_evaluation,
    weigh_report,
)
from tfx_trust.components.release.report import Metric, ReleaseReport, ReleaseSection
from tfx_trust.components.report import Estimate, Finding, InputRef, Model, Report, Severity, Verdict

WHEN = datetime.datetime(2025, 3, 4, 9, 5, 12, tzinfo=datetime.timezone.utc)
ROOT = "/data/risk/runs/census/artifacts"
HOSTILE = "<script>alert('x')</script> & \"quoted\" ünïcödé 国勢調査 " + "long/" * 40 + "path"

UPSTREAM = {
    "CsvExampleGen": (),
    "StatisticsGen": ("CsvExampleGen",),
    "SchemaImporter": (),
    "ExampleValidator": ("StatisticsGen", "SchemaImporter"),
    "LeakageValidator": ("CsvExampleGen", "SchemaImporter"),
    "Transform": ("CsvExampleGen", "SchemaImporter"),
    "Trainer": ("CsvExampleGen", "Transform", "SchemaImporter"),
    "Resolver": (),
    "Evaluator": ("CsvExampleGen", "Trainer", "Resolver"),
    "FairnessEvaluator": ("CsvExampleGen", "Trainer", "Resolver"),
    "PrivacyAuditor": ("CsvExampleGen", "Trainer"),
    "ProvenanceTracker": ("CsvExampleGen", "StatisticsGen", "SchemaImporter", "Transform", "Trainer"),
    "ReleaseGate": (
        "Trainer",
        "Resolver",
        "Evaluator",
        "ExampleValidator",
        "StatisticsGen",
        "LeakageValidator",
        "FairnessEvaluator",
        "PrivacyAuditor",
        "ProvenanceTracker",
    ),
    "Pusher": ("Trainer", "ReleaseGate"),
}
KINDS = {"SchemaImporter": "ImportSchemaGen"}
SECONDS = (4.1, 9.8, 0.3, 1.2, 3.4, 31.7, 88.2, 0.1, 24.5, 12.9, 41.0, 0.8, 0.6, 0.9)
GATES = {
    "leakage": "LeakageValidator",
    "fairness": "FairnessEvaluator",
    "privacy": "PrivacyAuditor",
    "provenance": "ProvenanceTracker",
}


class DriftSplit(Model):
    """Rows of one split."""

    split: str
    rows: int
    drift: Estimate


class DriftSection(Model):
    """A section of an invented concern, with every shape that a section may have."""

    label_shift: float = 0.0123
    verdict: Verdict = Verdict.WARN
    checked_at: datetime.datetime = WHEN
    splits: list[DriftSplit]
    by_feature: dict[str, dict[str, Any]]
    features_skipped: list[str] = []
    notes: list[str]
    nothing: str | None = None


class DriftReport(Report):
    """Report of an invented gate, which has no template of its own."""

    CONCERN: ClassVar[str] = "drift"

    drift: DriftSection


def leakage_report() -> Report:
    """Duplicates across the splits, and a feature that knows the answer."""
    return Report(
        component="LeakageValidator",
        created=WHEN,
        findings=[
            Finding(
                check="duplicates_across_splits",
                severity=Severity.FAIL,
                subject="train, eval",
                statistic=Estimate(
                    value=0.0287, low=0.0255, high=0.0323, count=9769, level=0.95, method="wilson"
                ),
                threshold=0.01,
                message="2.9 % of the rows of eval are also in train, so the evaluation rewards memory.",
                remedy="Put LeakageFilter before Transform, or split by a hash of the row, not at random.",
                evidence={
                    "rows": 280,
                    "largest_groups": [
                        {"key": "sha256:9f2b…", "train": 11, "eval": 4, "labels_agree": True},
                        {"key": "sha256:0c77…", "train": 6, "eval": 3, "labels_agree": False},
                    ],
                    "splits": ["train", "eval"],
                },
            ),
            Finding(
                check="label_proxy",
                severity=Severity.WARN,
                subject="capital_gain",
                statistic=Estimate(
                    value=0.731, low=0.712, high=0.749, count=9769, level=0.95, method="bootstrap"
                ),
                threshold=0.7,
                message="capital_gain alone predicts the label better than the settings allow.",
                remedy="Ask whether it is known at the time of prediction; exclude it if not.",
                evidence={"auc_by_split": {"train": 0.729, "eval": 0.731}, "bins": list(range(16))},
            ),
            Finding(
                check="temporal_order",
                severity=Severity.NOT_RUN,
                message="Whether eval lies after train was not checked: no time column is set.",
                remedy="Set time, or leave temporal_order out of the checks and say why.",
            ),
            Finding(
                check="constant_features",
                severity=Severity.INFO,
                message="No feature is constant.",
                statistic=Estimate(value=0, count=14),
            ),
        ],
        settings={
            "label": "income",
            "exclude": ["fnlwgt"],
            "max_duplicates": 0.01,
            "thresholds": {"auc": 0.7, "mutual_information": 0.35},
            "time": None,
            "group": None,
        },
        inputs={
            "examples": [
                InputRef(
                    uri=f"{ROOT}/CsvExampleGen/examples/1",
                    type="Examples",
                    id=1,
                    split_names=["train", "eval"],
                )
            ],
            "schema": [InputRef(uri=f"{ROOT}/SchemaImporter/schema/3", type="Schema", id=3)],
        },
        leakage={
            "rows": {"train": 22792, "eval": 9769},
            "pairs": [
                {"left": "train", "right": "eval", "exact": 280, "near": 412},
                {"left": "eval", "right": "eval", "exact": 9, "near": 31},
            ],
            "proxies": [
                {"feature": "capital_gain", "auc": Estimate(value=0.731, low=0.712, high=0.749, count=9769)},
                {"feature": "marital_status", "auc": Estimate(value=0.683, low=0.664, high=0.7, count=9769)},
            ],
        },
    )


def clean_report(component: str, verdict: Verdict = Verdict.PASS) -> Report:
    """A report with no finding."""
    return Report(component=component, created=WHEN, verdict=verdict)


def drift_report() -> DriftReport:
    """A section of typed fields, shown without a template."""
    return DriftReport(
        component="DriftGate",
        created=WHEN,
        verdict=Verdict.WARN,
        drift=DriftSection(
            splits=[
                DriftSplit(
                    split="train", rows=22792, drift=Estimate(value=0.01, low=0.0, high=0.02, count=22792)
                ),
                DriftSplit(
                    split="eval", rows=9769, drift=Estimate(value=0.03, low=0.01, high=0.05, count=9769)
                ),
            ],
            by_feature={
                f"feature_{n:02d}": {"psi": n / 100, "bins": 10, "kept": n % 2 == 0} for n in range(40)
            },
            notes=["Bins were made on train.", "Features with fewer than ten values were not binned at all."],
        ),
    )


def fairness_report() -> Report:
    """A slice that is too small to tell."""
    return Report(
        component="FairnessEvaluator",
        created=WHEN,
        findings=[
            Finding(
                check="equal_opportunity",
                severity=Severity.INCONCLUSIVE,
                subject="race:Amer-Indian-Eskimo × sex:Female",
                statistic=Estimate(value=0.21, low=0.06, high=0.44, count=19, level=0.95, method="wilson"),
                threshold=0.2,
                message="With 19 positives this slice's true positive rate cannot be told from its bound.",
                remedy="Gather more examples of the slice, or merge it with a neighbour and say so.",
            )
        ],
    )


def hostile_report() -> Report:
    """Every text of it tries to be markup."""
    return Report(
        component=HOSTILE,
        created=WHEN,
        findings=[
            Finding(
                check=HOSTILE,
                severity=Severity.FAIL,
                subject=HOSTILE,
                message=HOSTILE,
                remedy=HOSTILE,
                evidence={HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]},
            )
        ],
        settings={HOSTILE: HOSTILE},
        inputs={HOSTILE: [InputRef(uri=HOSTILE, type=HOSTILE, split_names=[HOSTILE])]},
        extra={HOSTILE: [{HOSTILE: HOSTILE}]},
    )


def release_report(reports: dict[str, Report] | None = None, **policy: Any) -> ReleaseReport:
    """The decision on `reports` by name; clean ones where none is given."""
    chosen = ReleasePolicy(**policy)
    weighed = [
        weigh_evaluation(Evaluation(True), chosen),
        weigh_anomalies({}, f"{ROOT}/ExampleValidator/anomalies/4", chosen),
    ]
    for number, (name, component) in enumerate(GATES.items(), 5):
        if name in chosen.waived:
            continue
        judged = Judged(
            (reports or {}).get(name, clean_report(component)), uri=f"{ROOT}/{component}/report/{number}"
        )
        weighed.append(weigh_report(name, judged, chosen))
    weighed.sort(key=lambda item: (item.weight != "blocks", -list(Verdict).index(item.verdict)))
    blessed, findings = decide(weighed, chosen)
    return ReleaseReport(
        component="ReleaseGate",
        created=WHEN,
        findings=findings,
        settings=chosen.model_dump(mode="json"),
        inputs={"model": [InputRef(uri=f"{ROOT}/Trainer/model/7", type="Model", id=9)]},
        release=ReleaseSection(
            blessed=blessed,
            model=InputRef(uri=f"{ROOT}/Trainer/model/7", type="Model", id=9),
            baseline_model=InputRef(
                uri="/data/risk/runs/census/artifacts/Trainer/model/2", type="Model", id=2
            ),
            weighed=weighed,
            metrics=[
                Metric(name="auc", value=0.9071, baseline=0.9034, lower_bound=0.85),
                Metric(name="binary_accuracy", value=0.8532, baseline=0.8541, lower_bound=0.8),
                Metric(name="binary_crossentropy", value=0.3184, baseline=0.3211, upper_bound=0.4),
                Metric(name="calibration", value=1.0123),
            ],
            examples={"train": 22792, "eval": 9769},
            versions={
                "python": "3.11.7",
                "tfx-trust": "0.1.0",
                "tfx": "1.16.0",
                "tensorflow": "2.16.2",
                "keras": "3.12.0",
            },
        ),
    )


def blocked_release() -> ReleaseReport:
    """Leakage fails, fairness cannot tell, privacy was left out on purpose."""
    return release_report({"leakage": leakage_report(), "fairness": fairness_report()}, waived=["privacy"])


def nodes(verdicts: dict[str, Verdict] | None = None, **states: Any) -> tuple[NodeRun, ...]:
    """The census pipeline's nodes; `states` by name, all others done."""
    made = []
    for number, ((name, upstream), took) in enumerate(zip(UPSTREAM.items(), SECONDS, strict=True), 1):
        state = states.get(name, "done")
        gate = name in GATES.values() or name == "ReleaseGate"
        key = "release_report" if name == "ReleaseGate" else "report"
        written = gate and state in ("done", "cached")
        made.append(
            NodeRun(
                name=name,
                kind=KINDS.get(name, name),
                state=state,
                seconds=took if state in ("done", "failed") else None,
                upstream=upstream,
                error="ValueError: the schema has no feature 'incme'; did you mean 'income'?"
                if state == "failed"
                else "",
                verdict=(verdicts or {}).get(name, Verdict.PASS) if written else None,
                page=f"artifacts/{name}/{key}/{_number(name, number)}/report.html" if written else None,
            )
        )
    return tuple(made)


def _number(name: str, otherwise: int) -> int:
    return list(GATES.values()).index(name) + 5 if name in GATES.values() else otherwise


def _run(nodes: tuple[NodeRun, ...], **fields: Any) -> Run:
    details = {
        "log": "run.log",
        "runner": "local (DirectRunner)",
        "scenario": "clean",
        "data": "UCI census income, 32,561 rows",
    }
    return Run("census", "2025-03-04T09-05-12", WHEN, nodes, details=details, **fields)


def released_run() -> Run:
    """All is well, with some nodes from the cache."""
    cached = dict.fromkeys(("CsvExampleGen", "StatisticsGen", "SchemaImporter", "LeakageValidator"), "cached")
    return _run(nodes(**cached), release=release_report(), pushed="/data/risk/runs/census/serving/1741079112")


def blocked_run() -> Run:
    """The release gate refuses."""
    verdicts = {
        "LeakageValidator": Verdict.FAIL,
        "FairnessEvaluator": Verdict.INCONCLUSIVE,
        "ReleaseGate": Verdict.FAIL,
    }
    return _run(nodes(verdicts, Pusher="not_run", PrivacyAuditor="not_run"), release=blocked_release())


def failed_run() -> Run:
    """Transform raised, so half of the pipeline never ran."""
    after = (
        "Trainer",
        "Evaluator",
        "FairnessEvaluator",
        "PrivacyAuditor",
        "ProvenanceTracker",
        "ReleaseGate",
        "Pusher",
    )
    verdicts = {"LeakageValidator": Verdict.WARN}
    return _run(nodes(verdicts, Transform="failed", **dict.fromkeys(after, "not_run")))


def undecided_run() -> Run:
    """A pipeline without a release gate."""
    return _run(tuple(node for node in nodes() if node.kind not in ("ReleaseGate", "Pusher")))


def unpushed_run() -> Run:
    """Released, but Pusher failed."""
    return _run(nodes(Pusher="failed"), release=release_report())


def hostile_run() -> Run:
    """Names, errors and links that try to be markup or script."""
    node = NodeRun(
        HOSTILE, HOSTILE, "failed", 1.0, ("no such node",), HOSTILE, Verdict.FAIL, "javascript:alert(1)"
    )
    second = NodeRun("second", "second", "done", 1.0, (HOSTILE,), page='x"onclick="alert(1)')
    return Run(HOSTILE, HOSTILE, None, (node, second), pushed=HOSTILE, details={HOSTILE: HOSTILE})


def wide_run() -> Run:
    """Thirty nodes in two interleaved pipelines."""
    made = []
    for number in range(30):
        upstream = tuple(
            f"Component{other:02d}" for other in {number - 2, number - 3, number // 2} if 0 <= other < number
        )
        made.append(NodeRun(f"Component{number:02d}", "Component", "done", number * 0.7, upstream))
    return _run(tuple(made))


REPORTS = {
    "leakage": leakage_report,
    "leakage_full": leakage_samples.full,
    "leakage_clean": leakage_samples.clean,
    "leakage_nothing": leakage_samples.nothing_counted,
    "leakage_hostile": lambda: leakage_samples.hostile(HOSTILE),
    "fairness": fairness_report,
    "drift": drift_report,
    "clean": lambda: clean_report("PrivacyAuditor"),
    "not_run": lambda: clean_report("PrivacyAuditor", Verdict.NOT_RUN),
    "hostile": hostile_report,
    "released": release_report,
    "blocked": blocked_release,
}
RUNS = {
    "released": released_run,
    "blocked": blocked_run,
    "failed": failed_run,
    "undecided": undecided_run,
    "unpushed": unpushed_run,
    "hostile": hostile_run,
    "wide": wide_run,
    "empty": lambda: _run(()),
}


def pages() -> dict[str, str]:
    """Every sample page by its file name."""
    reports = {
        f"report_{name}.html": render_report(make(), f"{ROOT}/ReleaseGate/release_report/13")
        for name, make in REPORTS.items()
    }
    return reports | {f"run_{name}.html": render_overview(make()) for name, make in RUNS.items()}


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "pages")
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages().items():
        (folder / name).write_text(page, encoding="utf-8")
    print(f"{len(pages())} pages in {folder}")
