"""PrivacyAuditor: what it reads and asks, whose claim it holds against, and what it says where it cannot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from example_gates import raising_run_fn
from judged import examples_artifact
from leaky import example, write_rows
from memorizing import memorize, people
from models import save_model
from tfx.types import standard_artifacts
from tfx.types.channel_utils import as_channel

from tfx_trust.components import AuditReport, PrivacyAuditor
from tfx_trust.components.artifacts import AuditReport as AuditArtifact
from tfx_trust.components.artifacts import PrivacyReport as PrivacyArtifact
from tfx_trust.components.artifacts import write_report
from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.privacy import canaries
from tfx_trust.components.privacy.audit_examples import claim_of
from tfx_trust.components.privacy.config import AuditSettings, Canaries, Claim
from tfx_trust.components.privacy.report import (
    CanaryRecord,
    Guarantee,
    PrivacyReport,
    PrivacySection,
)
from tfx_trust.components.privacy.sampled import sample_records
from tfx_trust.components.report import Verdict

Row = dict[str, Any]


def knowing(known: list[bytes], *, classes: int | None = None, sure: float = 0.95) -> Callable[[Any], Any]:
    """A model that is sure of the labels of the examples that it knows."""
    hashes = tf.strings.to_hash_bucket_fast(tf.constant(known), 2**60)
    spec = {"label": tf.io.FixedLenFeature([], tf.int64), "id": tf.io.FixedLenFeature([], tf.int64)}

    def answer(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        found = tf.io.parse_example(examples, spec)
        hashed = tf.strings.to_hash_bucket_fast(examples, 2**60)
        inside = tf.reduce_any(hashed[:, None] == hashes[None, :], axis=1)
        own = 0.5 + 0.3 * tf.sin(tf.cast(found["id"], tf.float32))
        right = tf.where(inside, 0.5 * own + 0.5 * sure, own)
        if classes is None:
            return {"outputs": tf.where(found["label"] == 1, right, 1 - right)[:, None]}
        rest = (1 - right) / (classes - 1)
        hot = tf.one_hot(found["label"], classes)
        return {"probabilities": hot * right[:, None] + (1 - hot) * rest[:, None]}

    return answer


def statement(
    epsilon: float | None = 3.0, *, scope: str = "pipeline", record: CanaryRecord | None = None
) -> PrivacyReport:
    guarantee = Guarantee(epsilon=epsilon, delta=1e-5, adjacency="add_or_remove_one", accountant="pld")
    return PrivacyReport(
        component="PrivateTrainer",
        settings={"epsilon": 3.0, "epochs": 1},
        privacy=PrivacySection(guarantee=guarantee, scope=scope, canaries=record),
    )


def channel_of(kind: Any, uri: Path) -> Any:
    made = kind()
    made.uri = str(uri)
    return as_channel([made])


def run(
    folder: Path,
    splits: dict[str, list[Row]],
    answer: Any,
    settings: dict[str, Any] | None = None,
    *,
    report: PrivacyReport | None = None,
    **given: Any,
) -> AuditReport:
    """The report that the component writes."""
    save_model(folder / "model" / "Format-Serving", answer)
    if report is not None:
        given["privacy_report"] = channel_of(PrivacyArtifact, folder / "privacy")
        write_report(report, next(iter(given["privacy_report"].get())))
    auditor = PrivacyAuditor(
        examples=as_channel([examples_artifact(folder / "examples", splits)]),
        model=channel_of(standard_artifacts.Model, folder / "model"),
        settings={"label": "label", **(settings or {})},
        **given,
    )
    inputs = {key: list(channel.get()) for key, channel in auditor.inputs.items()}
    made = AuditArtifact()
    made.uri = str(folder / "report")
    auditor.executor_spec.executor_class().Do(inputs, {"audit_report": [made]}, auditor.exec_properties)
    assert (folder / "report" / "report.html").exists()
    found = AuditReport.load(folder / "report")
    assert made.get_string_custom_property("verdict") == str(found.verdict)
    return found


def serialized(rows: list[Row]) -> list[bytes]:
    return [example(row) for row in rows]


# From end to end


def test_a_model_that_remembers_is_found_out_in_every_way(tmp_path: Path) -> None:
    splits = {"train": people(0, 600), "eval": people(600, 500)}
    files = [write_rows(tmp_path / "raw.gz", people(5000, 300))]
    made = canaries.make(
        files,
        Canaries(count=400),
        label="label",
        report_folder=str(tmp_path / "privacy"),
        train_folder=str(tmp_path / "train"),
    )
    included = tf.data.TFRecordDataset(made.train_file, "GZIP").as_numpy_iterator()
    trained = [*serialized(splits["train"]), *included]
    report = run(
        tmp_path,
        splits,
        knowing(trained),
        {"slices": [["sex"], ["age"]], "buckets": {"age": [40.0]}, "sensitive": ["sex"]},
        report=statement(1.0, scope="training only", record=made.record),
    )
    audit = report.audit
    assert report.verdict is Verdict.FAIL
    assert (audit.members, audit.others) == (600, 500)
    assert audit.claim == Claim(epsilon=1.0, delta=1e-5)
    assert audit.claimed_by == "the privacy report (training only)"
    assert audit.falsified
    assert audit.canaries is not None
    assert (audit.canaries.count, audit.canaries.included) == (400, made.record.included)
    assert audit.canaries.epsilon > 1.0
    assert {attack.name for attack in audit.attacks} == {"loss", "confidence", "entropy"}
    assert audit.attacks[0].auc.value > 0.6
    assert {tuple(item.slice.items()) for item in audit.slices} == {
        (("sex", "f"),),
        (("sex", "m"),),
        (("age", "< 40"),),
        (("age", "≥ 40"),),
    }
    assert {item.kind for item in audit.inferences} == {"attribute_inference", "inversion"}
    assert set(audit.not_run) == {"lira"}
    assert set(report.inputs) == {"examples", "model", "privacy_report"}


def test_a_model_that_forgets_is_not_falsified(tmp_path: Path) -> None:
    splits = {"train": people(0, 600), "eval": people(600, 500)}
    report = run(tmp_path, splits, knowing([b""]), report=statement())
    assert not report.audit.falsified
    assert report.verdict is not Verdict.FAIL
    assert "passed" not in report.model_dump_json()
    assert "none were put into training" in report.audit.not_run["canaries"]


def test_labels_of_several_classes(tmp_path: Path) -> None:
    splits = {"train": people(0, 300), "eval": people(300, 300)}
    for rows in splits.values():
        for row in rows:
            row["label"] = row["id"] % 3
    answer = knowing(serialized(splits["train"]), classes=3)
    report = run(tmp_path, splits, answer, {"classes": ["0", "1", "2"]})
    assert report.audit.attacks[0].auc.value > 0.6


def test_labels_in_words(tmp_path: Path) -> None:
    splits = {"train": people(0, 300), "eval": people(300, 300)}
    answer = knowing(serialized(splits["train"]))
    numbers = run(tmp_path / "numbers", splits, answer)
    for classes in ({"positive": "1"}, {"classes": ["0", "1"]}):
        words = run(tmp_path / next(iter(classes)), splits, answer, classes)
        assert words.audit.attacks[0].auc == numbers.audit.attacks[0].auc


def test_shadow_models_attack_by_their_trainings(tmp_path: Path) -> None:
    splits = {"train": people(0, 150), "eval": people(150, 150)}
    report = run(
        tmp_path,
        splits,
        knowing(serialized(splits["train"])),
        {"shadow_models": 4, "slices": [["sex"]], "min_count": 50},
        run_fn=f"memorizing.{memorize.__name__}",
    )
    (lira,) = [attack for attack in report.audit.attacks if attack.name == "lira"]
    assert lira.auc.value > 0.6
    assert {item.attack for item in report.audit.slices} == {"lira"}
    assert "lira" not in report.audit.not_run


def test_a_failing_shadow_training_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    splits = {"train": people(0, 200), "eval": people(200, 200)}
    report = run(
        tmp_path,
        splits,
        knowing([b""]),
        {"shadow_models": 4},
        run_fn=f"example_gates.{raising_run_fn.__name__}",
    )
    assert report.audit.not_run["lira"].startswith(
        "shadow model 1 of 4: its training failed (RuntimeError in example_gates.py"
    )
    assert "exploded" not in report.model_dump_json()
    assert {attack.name for attack in report.audit.attacks} == {"loss", "confidence", "entropy"}
    (finding,) = [item for item in report.findings if item.check == "attack_not_made"]
    assert (finding.subject, str(finding.severity)) == ("lira", "not_run")
    assert report.verdict is Verdict.NOT_RUN


# What cannot be tried


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": people(0, 20)}, "There is no eval split."),
        ({"train": [], "eval": people(0, 20)}, "The train split has no examples."),
    ],
)
def test_without_members_or_others_nothing_is_tried(
    tmp_path: Path, splits: dict[str, list[Row]], message: str
) -> None:
    report = run(tmp_path, splits, knowing([b""]), report=statement())
    assert report.verdict is Verdict.NOT_RUN
    assert report.audit.not_run == {"audit": message}
    assert report.audit.claim is not None


def test_few_examples_are_inconclusive(tmp_path: Path) -> None:
    report = run(tmp_path, {"train": people(0, 30), "eval": people(30, 30)}, knowing([b""]))
    assert report.verdict is Verdict.INCONCLUSIVE


def test_canaries_that_are_gone_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    record = CanaryRecord(count=20, included=1, file="canaries.tfrecord.gz", tosses=[True] + [False] * 19)
    splits = {"train": people(0, 200), "eval": people(200, 200)}
    report = run(tmp_path, splits, knowing([b""]), report=statement(record=record))
    assert "canaries.tfrecord.gz: no such file" in report.audit.not_run["canaries"]
    assert report.audit.canaries is None
    assert report.audit.attacks
    assert report.verdict is Verdict.NOT_RUN


def test_scores_that_are_no_probabilities_are_refused(tmp_path: Path) -> None:
    splits = {"train": people(0, 30), "eval": people(30, 30)}
    with pytest.raises(InputError, match="score is no probability .*sigmoid"):
        run(tmp_path, splits, lambda examples: {"outputs": tf.fill([tf.size(examples)], 2.0)})


def test_an_unknown_sensitive_feature_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    splits = {"train": people(0, 30), "eval": people(30, 30)}
    with pytest.raises(UsageError, match="'sexx': known are age, id, label, sex; did you mean 'sex'"):
        run(tmp_path, splits, knowing([b""]), {"sensitive": ["sexx"]})


@pytest.mark.parametrize(
    ("settings", "given", "message"),
    [
        ({"shadow_models": 4}, {}, "shadow_models = 4 needs run_fn or module_file"),
        ({}, {"run_fn": "a.b", "module_file": "a.py"}, "run_fn and module_file are both given"),
        ({"shadow_models": 2}, {"run_fn": "a.b"}, "shadow_models: 0, or at least 4, found 2"),
    ],
)
def test_a_pipeline_that_cannot_run_is_refused_when_it_is_made(
    tmp_path: Path, settings: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        PrivacyAuditor(
            examples=as_channel([examples_artifact(tmp_path, {"train": [], "eval": []})]),
            model=channel_of(standard_artifacts.Model, tmp_path),
            settings={"label": "label", **settings},
            **given,
        )


# Claims


def test_the_settings_claim_comes_before_the_reports() -> None:
    own = AuditSettings(label="label", claim=Claim(epsilon=0.5, delta=1e-6))
    assert claim_of(own, statement()) == (Claim(epsilon=0.5, delta=1e-6), "the settings")
    none = AuditSettings(label="label")
    assert claim_of(none, statement()) == (Claim(epsilon=3.0, delta=1e-5), "the privacy report")
    assert claim_of(none, statement(None, scope="none")) == (None, "")
    assert claim_of(none, None) == (None, "")


# Secrets


def test_no_values_of_examples_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    splits = {"train": people(0, 150), "eval": people(150, 150)}
    for rows in splits.values():
        for row in rows:
            row["name"] = f"secret{row['id']:06d}"
            row["sex"] = f"secret{row['id']:06d}" if row["id"] % 5 else "often"
    report = run(tmp_path, splits, knowing([b""]), {"sensitive": ["name", "sex"]}, report=statement())
    assert set(report.audit.not_run) == {
        "canaries",
        "lira",
        "attribute inference and inversion of name",
        "attribute inference and inversion of sex",
    }
    captured = capfd.readouterr()
    page = (tmp_path / "report" / "report.html").read_text()
    assert "secret" not in report.model_dump_json() + page + captured.out + captured.err


# Samples


def test_a_sample_is_of_all_records_and_each_is_equally_likely(tmp_path: Path) -> None:
    files = [write_rows(tmp_path / f"{part}.gz", people(2000 * part, 2000)) for part in range(2)]
    times = np.zeros(4000)
    for seed in range(40):
        sample = sample_records(files, 1000, seed)
        assert (sample.rows, sample.total) == (1000, 4000)
        times[sample.places] += 1
    # Binomial: 40 draws of a quarter each.
    assert times.mean() == 10
    assert times.var() == pytest.approx(7.5, rel=0.12)
    assert times[:2000].sum() == pytest.approx(20_000, rel=0.02)


def test_a_sample_is_the_same_in_another_order_and_other_files(tmp_path: Path) -> None:
    rows = people(0, 3000)
    first = sample_records([write_rows(tmp_path / "all.gz", rows)], 100, 5)
    files = [write_rows(tmp_path / f"{part}.gz", rows[::-1][part::3]) for part in range(3)]
    second = sample_records(files, 100, 5)
    assert first.records.tolist() == second.records.tolist()
    whole = [record for path in files for record in tf.data.TFRecordDataset(path, "GZIP").as_numpy_iterator()]
    assert [whole[place] for place in second.places] == second.records.tolist()
    assert sample_records(files, 100, 6).records.tolist() != second.records.tolist()


def test_a_sample_of_more_than_there_are_is_all(tmp_path: Path) -> None:
    sample = sample_records([write_rows(tmp_path / "all.gz", people(0, 50))], 100, 5)
    assert sorted(sample.places) == list(range(50))
