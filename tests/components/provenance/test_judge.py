import datetime
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from records import census_like, changed, minimal, odd_records
from stores import Builder, four_runs, input_config

from tfx_trust.components.mlmd import open_store
from tfx_trust.components.provenance.build import build_record
from tfx_trust.components.provenance.code import repository_of
from tfx_trust.components.provenance.config import ProvenanceSettings
from tfx_trust.components.provenance.judge import judge
from tfx_trust.components.provenance.record import Change, Record, Repository, Unknown
from tfx_trust.components.provenance.report import ProvenanceReport, Signature
from tfx_trust.components.report import Finding, Severity, Verdict

TODAY = datetime.date(2026, 11, 25)
SIGNED = Signature(key_id="k", algorithm="ECDSA P-256, SHA-256", files=["model.sig"])
COMMITTED = Repository(commit="0" * 40, dirty=False)
DECLARED = {
    "name": "UCI Adult",
    "licence": "CC-BY-4.0",
    "origin": "https://archive.example.org/adult",
    "legal_basis": "not_personal_data",
    "purposes": ["any"],
    "personal_data": [],
}


def clean() -> Record:
    """All is known, committed and declared."""
    record = census_like()
    (files, _) = record.sources
    declared = {**DECLARED, "covers": []}
    source = files.model_dump(mode="json") | {"declaration": declared, "declared_in": "settings"}
    return changed(
        record,
        changes=[],
        unknowns=[],
        sources=[source],
        repository=COMMITTED.model_dump(mode="json"),
        use=None,
        obligations={"licences": ["CC-BY-4.0"], "commercial": "allowed", "derivatives": "allowed"},
        executions=[item.model_dump(mode="json") for item in record.executions],
    )


def report_of(record: Record, settings: Mapping[str, Any] | None = None, **more: Any) -> ProvenanceReport:
    given = {"signature": SIGNED, "today": TODAY, **more}
    return judge(record, ProvenanceSettings.of(settings), **given)


def finding(report: ProvenanceReport, check: str) -> Finding:
    (found,) = (item for item in report.findings if item.check == check)
    return found


def test_a_clean_record_passes_without_a_word() -> None:
    report = report_of(clean())
    assert report.verdict is Verdict.PASS
    assert [item.check for item in report.findings if item.severity is not Severity.INFO] == []
    assert report.component == "ProvenanceTracker"
    assert [item.id for item in report.inputs["model"]] == [15]
    assert [item.id for item in report.inputs["examples"]] == [10]
    assert ProvenanceReport.model_validate_json(report.to_json()) == report


# Tampering


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"kind": "changed", "before": "a", "now": "b"},
            "Split-train/x was changed after T1, when it was last seen as it was, and before T2.",
        ),
        ({"kind": "missing", "before": "a"}, "Split-train/x is gone after T1"),
        ({"kind": "added", "now": "b"}, "Split-train/x was added after T1"),
        ({"kind": "added"}, "Split-train/x was added and taken away again after T1"),
        (
            {"kind": "renamed", "before": "a", "now": "a", "renamed_to": "Split-train/y"},
            "Split-train/x was renamed to Split-train/y after T1",
        ),
        ({"kind": "changed", "before": "a", "now": "a"}, "Split-train/x was changed and put back after T1"),
    ],
)
def test_a_file_that_is_not_what_it_was_fails_and_is_named(change: dict[str, Any], said: str) -> None:
    made = Change(artifact=1, path="Split-train/x", seen="T1", seen_in="/snapshots/3", found="T2", **change)
    report = report_of(clean().model_copy(update={"changes": [made]}))
    found = finding(report, "tampered")
    assert report.verdict is Verdict.FAIL
    assert found.subject == "Examples 1"
    assert said in found.message
    assert found.evidence["seen_in"] == "/snapshots/3"


def test_times_stand_in_sentences_as_people_write_them() -> None:
    seen, later = "2026-11-25T21:43:46+00:00", "2026-11-25T22:05:00+00:00"
    made = [
        Change(artifact=1, path="x", kind="changed", before="a", now="b", seen=seen, found=later),
        Change(source="source:1", path="train.csv", kind="changed", seen=seen, reason="same_size"),
    ]
    report = report_of(clean().model_copy(update={"changes": made}))
    assert (
        "was changed after 25 November 2026, 21:43 UTC, when it was last seen as it was, and before "
        "25 November 2026, 22:05 UTC." in finding(report, "tampered").message
    )
    assert "exchanged since 25 November 2026, 21:43 UTC, in" in finding(report, "source_changed").message
    assert finding(report, "tampered").evidence["changes"][0]["seen"] == seen


def test_several_changes_of_an_artifact_are_one_finding() -> None:
    made = [Change(artifact=1, path=f"{number}", kind="changed", now="b", found="T2") for number in range(3)]
    found = finding(report_of(clean().model_copy(update={"changes": made})), "tampered")
    assert found.message == "Examples 1 is not what was made: 0 was changed before T2; 2 more files likewise."
    assert found.statistic is not None
    assert found.statistic.value == 3


def test_a_wheel_that_was_edited_fails() -> None:
    made = Change(path="model.whl/model.py", kind="changed", before="a", now="b", found="T2")
    report = report_of(clean().model_copy(update={"changes": [made]}))
    assert report.verdict is Verdict.FAIL
    assert "model.whl/model.py does not agree" in finding(report, "tampered").message


def test_an_edited_record_or_snapshot_breaks_the_chain() -> None:
    edited = Unknown(what="earlier_observation", subject="artifact:7", why="/r/record.json: was edited: x")
    report = report_of(clean().model_copy(update={"unknowns": [edited]}))
    assert report.verdict is Verdict.FAIL
    assert finding(report, "chain_broken").subject == "artifact:7"
    assert "not_established" not in [item.check for item in report.findings]


def test_a_lost_record_does_not_break_the_chain() -> None:
    lost = Unknown(what="earlier_observation", subject="artifact:7", why="/r/record.json: cannot be read")
    report = report_of(clean().model_copy(update={"unknowns": [lost]}))
    assert report.verdict is Verdict.WARN
    assert finding(report, "not_established").severity is Severity.WARN


def test_artifacts_without_files_could_not_be_checked() -> None:
    gone = Unknown(what="artifact_files", subject="artifact:1", why="Examples: /a: there is nothing")
    report = report_of(clean().model_copy(update={"unknowns": [gone]}))
    assert report.verdict is Verdict.NOT_RUN
    found = finding(report, "files_missing")
    assert found.message == "1 of 7 artifacts could not be checked. Examples: /a: there is nothing."


# Raw data


@pytest.mark.parametrize(
    ("reason", "severity", "said"),
    [
        ("read_anew", Severity.INFO, "holds other data since T1"),
        ("same_size", Severity.WARN, "bytes of the very same size"),
        ("after_reading", Severity.WARN, "was changed after it was read"),
    ],
)
def test_a_source_that_changed_is_judged_by_how(reason: Any, severity: Severity, said: str) -> None:
    made = Change(source="source:1", path="train.csv", kind="changed", seen="T1", reason=reason)
    found = finding(report_of(clean().model_copy(update={"changes": [made]})), "source_changed")
    assert found.severity is severity
    assert said in found.message
    assert "UCI Adult" in found.message
    assert "train.csv" in found.message


# Trust


def test_an_unsigned_record_is_told_and_fails_where_a_signature_is_asked_for() -> None:
    told = report_of(clean(), signature=None)
    assert told.verdict is Verdict.PASS
    assert finding(told, "unsigned").severity is Severity.INFO
    assert report_of(clean(), {"require_signature": True}, signature=None).verdict is Verdict.FAIL
    assert report_of(clean(), {"require_signature": True}).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("repository", "said"),
    [
        (None, "It is not known which commit the code is of: x lies in no git repository."),
        (
            Repository(commit="0" * 40, dirty=True, changed=["a.py"]),
            "The code is not as it was committed: a.py differs from commit 000000000000.",
        ),
        (
            Repository(commit="0" * 40, dirty=True, changed=["a", "b", "c", "d", "e"]),
            "The code is not as it was committed: a, b, c and 2 more differ from commit 000000000000.",
        ),
    ],
)
def test_code_in_no_commit_is_told_and_fails_where_one_is_asked_for(
    repository: Repository | None, said: str
) -> None:
    record = clean().model_copy(
        update={
            "repository": repository,
            "unknowns": [
                Unknown(what="repository", subject="git", why="x lies in no git repository")
                for _ in range(repository is None)
            ],
        }
    )
    told = report_of(record)
    assert told.verdict is Verdict.PASS
    assert finding(told, "uncommitted_code").message == said
    assert report_of(record, {"require_commit": True}).verdict is Verdict.FAIL
    assert report_of(clean(), {"require_commit": True}).verdict is Verdict.PASS


# What is not known


@pytest.mark.parametrize(
    ("what", "severity"),
    [
        ("seed", Severity.INFO),
        ("resolver", Severity.INFO),
        ("source_files", Severity.WARN),
        ("producer", Severity.WARN),
    ],
)
def test_unknowns_are_one_finding_as_grave_as_the_gravest(what: str, severity: Severity) -> None:
    unknowns = [
        Unknown(what="source_query", subject="source:2", why="it was a query"),
        Unknown(what=what, subject="x", why="it is gone"),
        Unknown(what="splits", subject="y", why="not told"),
    ]
    found = finding(report_of(clean().model_copy(update={"unknowns": unknowns})), "not_established")
    assert found.severity is severity
    assert found.message.endswith("There are 2 things more.")
    assert len(found.evidence["unknowns"]) == 3
    if severity is Severity.WARN:
        assert "It is gone." in found.message
        assert found.subject == "x"


def test_a_record_made_afterwards_says_so() -> None:
    found = finding(report_of(clean().model_copy(update={"environment": None})), "data_as_it_is_now")
    assert found.severity is Severity.INFO


def test_what_stands_against_the_use_is_a_finding() -> None:
    record = clean()
    record.sources[0].declaration = record.sources[0].declaration.model_copy(  # type: ignore[union-attr]
        update={"licence": "CC-BY-NC-4.0"}
    )
    use = {"purpose": "marketing", "commercial": True}
    report = report_of(record.sealed(), {"use": use})
    assert report.verdict is Verdict.FAIL


def test_a_source_that_nothing_is_declared_of_warns_and_fails_where_it_is_asked_for() -> None:
    record = clean()
    record.sources[0].declaration = None
    record.obligations.undeclared = ["source:1"]
    assert report_of(record).verdict is Verdict.WARN
    assert report_of(record, {"require_declarations": True}).verdict is Verdict.FAIL


@pytest.mark.parametrize("number", range(len(odd_records())))
def test_records_with_odd_texts_and_without_parts_are_judged(number: int) -> None:
    record = odd_records()[number]
    report = report_of(record, signature=None, component="tfx-trust provenance record")
    assert report.component == "tfx-trust provenance record"
    assert report.provenance.record == record.digest
    assert report_of(minimal()).findings


# With a store


def _run(folder: Path) -> tuple[Builder, int]:
    builder = Builder(folder).run("run-1")
    builder.write("data", {"train.csv": b"a\n1\n", "eval.csv": b"a\n2\n"})
    builder.write("code", {"model.py": b"def run_fn(fn_args): ...\n"})
    gen = builder.execute(
        "CsvExampleGen",
        outputs={"examples": [("Examples",)]},
        parameters={
            "input_base": str(folder / "data"),
            "input_config": input_config(train="train.csv", eval="eval.csv"),
        },
    )
    trainer = builder.execute(
        "Trainer",
        inputs={"examples": gen.outputs["examples"]},
        outputs={"model": [("Model",)]},
        parameters={
            "module_file": str(folder / "code" / "model.py"),
            "train_args": '{"splits": ["train"]}',
            "custom_config": '{"seed": 1}',
        },
    )
    return builder, trainer["model"]


def test_a_clean_run_with_a_declared_source_passes_and_its_bytes_do_not_change_the_verdict(
    tmp_path: Path,
) -> None:
    builder, model = _run(tmp_path)
    settings = ProvenanceSettings.of({"declarations": [DECLARED]})
    store = open_store(builder.path)
    record = build_record(store, store.artifacts([model])[model], settings, here=True).sealed()
    report = judge(record, settings, today=TODAY)
    assert report.verdict is Verdict.PASS
    assert {item.check for item in report.findings} <= {"unsigned", "uncommitted_code"} | {
        item.check for item in report.findings if item.severity is Severity.INFO
    }
    assert repository_of(tmp_path) == record.repository


def test_a_run_whose_files_are_gone_is_not_passed(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    shutil.rmtree(tmp_path / "artifacts")
    store = open_store(runs.path)
    model = store.artifacts([runs.models[0]])[runs.models[0]]
    report = judge(build_record(store, model, ProvenanceSettings()).sealed(), ProvenanceSettings())
    assert report.verdict is Verdict.NOT_RUN
    assert "6 of 6 artifacts could not be checked" in finding(report, "files_missing").message
