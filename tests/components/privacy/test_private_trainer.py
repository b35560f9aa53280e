"""PrivateTrainer on artifacts: what it guarantees of which training, and what it refuses to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_transform as tft
from leaky import write_rows
from private_runs import RUN_FN
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2, trainer_pb2
from tfx.types import artifact, standard_artifacts
from tfx.types.channel_utils import as_channel
from transform_graphs import save_transform_graph

from tfx_trust.components import (
    BudgetExceeded,
    PrivacyReport,
    PrivateTrainer,
    Severity,
    UsageError,
    Verdict,
    epsilon_of,
    private_scale_to_z_score,
)
from tfx_trust.components.privacy.report import LedgerEntry, Mechanism

TRAIN, BATCH, STEPS, NOISE = 120, 30, 8, 1.5
SETTINGS = {"noise_multiplier": NOISE, "steps": STEPS, "batch_size": BATCH}
DELTA = TRAIN**-1.1


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> artifact.Artifact:
    made = standard_artifacts.Examples()
    made.uri = str(tmp_path_factory.mktemp("examples"))
    made.split_names = json.dumps(["train", "eval"])
    examples_utils.set_payload_format(made, example_gen_pb2.FORMAT_TF_EXAMPLE)
    for split, numbers in (("train", range(TRAIN)), ("eval", range(TRAIN, TRAIN + 60))):
        rows = [{"a": number, "label": number % 2} for number in numbers]
        write_rows(Path(made.uri) / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz", rows)
    return made


Train = Callable[..., tuple[PrivacyReport, artifact.Artifact]]


@pytest.fixture
def train(examples: artifact.Artifact, tmp_path: Path) -> Train:
    """Runs the component's executor, as an orchestrator without a metadata store would."""

    def made(
        fault: str | None = None, *, instead: Any = None, channels: Any = None, **privacy: Any
    ) -> tuple[PrivacyReport, artifact.Artifact]:
        component = PrivateTrainer(
            examples=as_channel([examples]),
            run_fn=RUN_FN,
            custom_config={"fault": fault, "instead": instead or {}},
            privacy={**SETTINGS, **privacy},
            **(channels or {}),
        )
        inputs = {key: list(channel.get()) for key, channel in component.inputs.items()}
        outputs = {key: [channel.type()] for key, channel in component.outputs.items()}
        for key, (item,) in outputs.items():
            item.uri = str(tmp_path / "PrivateTrainer" / key / "7")
        component.executor_spec.executor_class().Do(inputs, outputs, component.exec_properties)
        (report,) = outputs["privacy_report"]
        return PrivacyReport.load(report.uri), report

    return made


def checks(report: PrivacyReport) -> dict[str, Severity]:
    return {finding.check: finding.severity for finding in report.findings}


def said(report: PrivacyReport, check: str) -> str:
    return next(finding.message for finding in report.findings if finding.check == check)


TRAINED = Mechanism(
    what="training",
    noise_multiplier=NOISE,
    sampling="poisson",
    sampling_probability=BATCH / TRAIN,
    steps=STEPS,
    examples=TRAIN,
    max_batch=74,
)


def test_a_private_training_has_the_guarantee_of_its_mechanism(train: Train) -> None:
    report, made = train()
    section = report.privacy
    assert section.mechanisms == [TRAINED]
    assert section.guarantee.epsilon == pytest.approx(epsilon_of([TRAINED], DELTA), rel=1e-9)
    assert section.guarantee.delta == pytest.approx(DELTA)
    assert section.training is not None
    assert (section.training.steps, section.training.optimizer_steps) == (STEPS, STEPS)
    assert section.curve[-1].step == STEPS
    assert section.scope == "pipeline"
    assert report.verdict is Verdict.PASS, report.findings
    assert "trained privately on 120 examples" in said(report, "guarantee")
    assert "anything that ships with the model" in said(report, "guarantee")
    # What was spent is left with the artifact.
    assert made.get_float_custom_property("epsilon") == section.guarantee.epsilon
    entry = LedgerEntry.model_validate_json(made.get_string_custom_property("spent"))
    assert entry.mechanisms == [TRAINED]
    assert entry.epsilon == report.privacy.guarantee.epsilon


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ("plain", "not_private", "run_fn trained no model privately: it did not call make_private"),
        ("idle", "not_private", "run_fn called make_private and then made no private step"),
        ("changed", "other_weights", "of the 4 sets of weights that were, 3 stand in it"),
        ("other", "other_weights", "The exported model is not the one that was trained privately"),
        ("more", "examples", "trained on 180 examples, and the train split has 120"),
    ],
)
def test_no_epsilon_is_stated_for_another_training(train: Train, fault: str, check: str, words: str) -> None:
    report, made = train(fault)
    assert report.verdict is Verdict.FAIL
    assert checks(report)[check] is Severity.FAIL
    assert words in said(report, check)
    assert (report.privacy.guarantee.epsilon, report.privacy.scope) == (None, "none")
    assert report.privacy.mechanisms == []
    assert not made.has_custom_property("epsilon")
    entry = LedgerEntry.model_validate_json(made.get_string_custom_property("spent"))
    assert entry.epsilon is None


def test_two_private_trainings_cost_what_both_do(train: Train) -> None:
    report, _ = train("twice")
    second = TRAINED.model_copy(update={"what": "training 2"})
    assert report.privacy.mechanisms == [TRAINED, second]
    assert report.privacy.guarantee.epsilon == pytest.approx(epsilon_of([TRAINED, second], DELTA), rel=1e-6)


def test_weights_beside_those_trained_privately_are_a_leak(train: Train) -> None:
    report, _ = train("stowaway")
    assert [leak.name for leak in report.privacy.leaks] == ["other_weights"]
    assert report.privacy.scope == "training only"
    assert report.privacy.guarantee.epsilon is not None


def test_a_target_that_was_met_is_met_by_all_together(train: Train) -> None:
    release = {"what": "a table", "noise_multiplier": 4.0, "examples": TRAIN}
    report, _ = train(noise_multiplier=None, epsilon=3.0, composed_with=[release])
    assert [item.what for item in report.privacy.mechanisms] == ["training", "a table"]
    assert report.privacy.guarantee.epsilon == pytest.approx(3.0, rel=2e-3)
    assert "target" not in checks(report)


def test_what_else_was_made_of_data_and_given_to_training_is_a_leak(train: Train, tmp_path: Path) -> None:
    base, graph = standard_artifacts.Model(), standard_artifacts.TransformGraph()
    base.uri, graph.uri = str(tmp_path / "base"), str(tmp_path / "graph")
    (tmp_path / "base" / "Format-Serving").mkdir(parents=True)
    channels = {"base_model": as_channel([base]), "transform_graph": as_channel([graph])}
    report, _ = train(channels=channels, budget={"epsilon": 50.0})
    assert [leak.name for leak in report.privacy.leaks] == ["base_model"]
    assert (report.privacy.leaks_known, report.privacy.scope) == (False, "training only")
    # Nor was the budget held against anything, without a metadata store.
    assert checks(report)["budget"] is Severity.NOT_RUN


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> artifact.Artifact:
    """Of a Transform with a private analyzer and another."""

    def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
        a = tf.cast(inputs["a"], tf.float32)
        scaled = private_scale_to_z_score(a, low=0.0, high=120.0, noise_multiplier=4.0)
        return {"scaled": scaled, "bucket": tft.bucketize(a, 3), "label": inputs["label"]}

    spec = {name: tf.io.FixedLenFeature([], tf.int64) for name in ("a", "label")}
    rows = [{"a": number, "label": number % 2} for number in range(TRAIN)]
    made = standard_artifacts.TransformGraph()
    made.uri = save_transform_graph(tmp_path_factory.mktemp("graph") / "graph", rows, spec, preprocessing_fn)
    return made


@pytest.mark.slow
def test_analyzers_of_transform_are_covered_declared_or_told(train: Train, graph: artifact.Artifact) -> None:
    channels = {"transform_graph": as_channel([graph])}
    report, _ = train(channels=channels, noise_multiplier=None, epsilon=3.0)
    section = report.privacy
    assert {leak.name: leak.state for leak in section.leaks} == {
        "bucketize/a": "uncovered",
        "private_scale_to_z_score/a": "private",
    }
    assert (section.scope, report.verdict) == ("training only", Verdict.WARN)
    # The target is that of training and private analyzer together.
    trained, analyzed = section.mechanisms
    assert (trained.what, analyzed.what) == ("training", "private_scale_to_z_score/a")
    assert section.guarantee.epsilon == pytest.approx(3.0, rel=2e-3)
    assert epsilon_of([trained], DELTA) < 2.95
    report, _ = train(channels=channels, public=["bucketize/*"])
    assert (report.privacy.scope, report.verdict) == ("pipeline", Verdict.PASS)


def test_canaries_are_made_trained_on_and_recorded(train: Train, examples: artifact.Artifact) -> None:
    report, made = train(
        channels={"canary_examples": as_channel([examples])}, canaries={"count": 40, "seed": 1}, label="label"
    )
    record = report.privacy.canaries
    assert record is not None
    assert (record.count, record.included) == (40, sum(record.tosses))
    assert report.privacy.training is not None
    assert report.privacy.training.examples == TRAIN + record.included
    written = list(tf.data.TFRecordDataset(str(Path(made.uri) / record.file), "GZIP").as_numpy_iterator())
    assert len(written) == 40
    assert report.verdict is Verdict.PASS, report.findings
    assert "made-up examples were put into training" in said(report, "canaries")


def test_a_training_that_alone_would_pass_the_budget_does_not_begin(train: Train, tmp_path: Path) -> None:
    with pytest.raises(BudgetExceeded) as caught:
        train("crash", budget={"epsilon": 0.5, "source": "census"})
    page = tmp_path / "PrivateTrainer" / "refused" / "7"
    assert caught.value.page == str(page / "report.html")
    report = PrivacyReport.load(page)
    assert report.verdict is Verdict.FAIL
    assert "The budget of census is used up" in said(report, "budget")
    assert report.privacy.ledger is not None
    assert report.privacy.ledger.entries[-1].here
    assert not (tmp_path / "PrivateTrainer" / "model").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"run_fn": None}, "module_file, run_fn: neither is given"),
        ({"module_file": "model.py"}, "module_file, run_fn: both are given"),
        ({"examples": None}, "examples, transformed_examples: neither is given"),
        ({"custom_config": {"privacy": {}}}, "custom_config has 'privacy'"),
        ({"privacy": {**SETTINGS, "epsilom": 3}}, "did you mean 'epsilon'"),
        (
            {"privacy": {**SETTINGS, "label": "label", "canaries": {"count": 20}}},
            "canaries are asked for and canary_examples is not connected",
        ),
    ],
)
def test_what_cannot_be_is_refused_when_composing(
    examples: artifact.Artifact, given: dict[str, Any], said: str
) -> None:
    arguments = {"examples": as_channel([examples]), "run_fn": RUN_FN, "privacy": SETTINGS, **given}
    with pytest.raises(UsageError, match=said):
        PrivateTrainer(**arguments)


def test_the_older_name_of_examples_needs_the_transform_graph(examples: artifact.Artifact) -> None:
    with pytest.raises(UsageError, match="transformed_examples need transform_graph"):
        PrivateTrainer(transformed_examples=as_channel([examples]), run_fn=RUN_FN, privacy=SETTINGS)


def test_equal_arguments_make_an_equal_key_for_the_cache(examples: artifact.Artifact) -> None:
    def properties() -> dict[str, Any]:
        component = PrivateTrainer(
            examples=as_channel([examples]),
            run_fn=RUN_FN,
            privacy=SETTINGS,
            train_args=trainer_pb2.TrainArgs(splits=["train"]),
        )
        return dict(component.exec_properties)

    assert properties() == properties()
