"""From what was seen of a training to findings and verdict: trainings made up, the accounting real."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tfx_trust.components import PrivacyReport, Severity, Verdict, epsilon_of
from tfx_trust.components.privacy.config import PrivateTrainingSettings
from tfx_trust.components.privacy.judge import Observed, conclude
from tfx_trust.components.privacy.report import CanaryRecord, Leak, Mechanism, Training
from tfx_trust.components.privacy.spending import Account, Snapshot, Unfinished

EXAMPLES, STEPS = 1000, 20
DELTA = EXAMPLES**-1.1
TRAINED = Mechanism(
    what="training",
    noise_multiplier=1.5,
    sampling="poisson",
    sampling_probability=0.05,
    steps=STEPS,
    examples=EXAMPLES,
)
ANALYZED = Mechanism(what="private_mean/age", noise_multiplier=5.0, examples=EXAMPLES)


@dataclass
class Run:
    """A model that was made private, as `recording` tells of it."""

    training: Training
    mechanism: Mechanism
    leaks: list[Leak] = field(default_factory=list)
    weights: list[set[str]] = field(default_factory=lambda: [{"k0", "k1"}, {"b0", "b1"}])
    other_weights: set[str] = field(default_factory=lambda: {"mean"})


def run(*, leaks: Sequence[Leak] = (), mechanism: Mechanism = TRAINED, **changes: Any) -> Run:
    training: dict[str, Any] = {
        "model": "m (Functional)",
        "examples": EXAMPLES,
        "batch_size": 50,
        "max_batch": 100,
        "sampling": "poisson",
        "steps": STEPS,
        "planned_steps": STEPS,
        "optimizer": "SGD",
        "optimizer_steps": STEPS,
        "l2_clip": 1.0,
        "adaptive": False,
        "noise_source": "aes-ctr",
        "layers": [],
        **changes,
    }
    return Run(Training(**training), mechanism.model_copy(update={"steps": training["steps"]}), list(leaks))


EXPORTED = {"a/.ATTRIBUTES/VARIABLE_VALUE": "k1", "b/.ATTRIBUTES/VARIABLE_VALUE": "b1", "optimizer/x": "slot"}


def judged(*runs: Run, exported: Any = None, settings: Any = None, **seen: Any) -> PrivacyReport:
    given = {"noise_multiplier": 1.5, "steps": STEPS, "batch_size": 50, **(settings or {})}
    observed = Observed(
        runs=runs,
        exported=EXPORTED if exported is None else exported,
        **{"examples": EXAMPLES, "account": Account("census"), **seen},
    )
    return conclude(observed, PrivateTrainingSettings.of(given))


def checks(report: PrivacyReport) -> dict[str, Severity]:
    return {finding.check: finding.severity for finding in report.findings}


def said(report: PrivacyReport, check: str) -> str:
    return next(finding.message for finding in report.findings if finding.check == check)


def leak(name: str, state: str = "uncovered") -> Leak:
    return Leak(name=name, kind="training", what="something of the data", state=state)


def test_nothing_open_is_a_pass() -> None:
    report = judged(run())
    assert report.verdict is Verdict.PASS
    assert checks(report) == {"guarantee": Severity.INFO}
    assert report.privacy.scope == "pipeline"
    assert report.privacy.guarantee.epsilon == pytest.approx(epsilon_of([TRAINED], DELTA), rel=1e-9)


def test_private_analyzers_are_composed_in() -> None:
    report = judged(run(), analyzers=[ANALYZED], leaks=[leak("private_mean/age", "private")])
    assert report.privacy.guarantee.epsilon == pytest.approx(epsilon_of([TRAINED, ANALYZED], DELTA), rel=1e-9)
    assert report.privacy.scope == "pipeline"


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"steps": 0, "optimizer_steps": 0}, "not_private"),
        ({"optimizer_steps": STEPS + 5}, "other_updates"),
        ({"noise_source": "seeded"}, "known_seed"),
        ({"examples": EXAMPLES + 1}, "examples"),
    ],
)
def test_what_takes_the_guarantee_away(changes: dict[str, Any], check: str) -> None:
    report = judged(run(**changes))
    assert checks(report)[check] is Severity.FAIL
    section = report.privacy
    assert (section.guarantee.epsilon, section.scope, section.curve) == (None, "none", [])
    assert section.ledger is not None
    assert (section.ledger.entries[-1].epsilon, section.ledger.total) == (None, None)


def test_a_delta_of_1_over_n_is_none() -> None:
    report = judged(run(), settings={"delta": 1 / EXAMPLES})
    assert checks(report)["delta"] is Severity.FAIL
    assert "gives away an example" in said(report, "delta")


def test_hardly_any_noise_is_no_guarantee_or_an_enormous_epsilon() -> None:
    report = judged(run(mechanism=TRAINED.model_copy(update={"noise_multiplier": 1e-6})))
    epsilon = report.privacy.guarantee.epsilon
    assert ("no_bound" in checks(report)) if epsilon is None else epsilon > 1e5


@pytest.mark.parametrize("exported", [{}, {"a": "k0", "b": "else"}, {"a": "k2", "b": "b2"}])
def test_weights_that_were_never_those_of_private_training(exported: dict[str, str]) -> None:
    report = judged(run(), exported=exported)
    assert checks(report)["other_weights"] is Severity.FAIL
    assert report.privacy.guarantee.epsilon is None


def test_weights_of_an_earlier_epoch_are_as_good() -> None:
    assert judged(run(), exported={"a": "k0", "b": "b0"}).verdict is Verdict.PASS


def test_weights_count_under_whatever_key_the_optimizer_has_them() -> None:
    # As tf.saved_model.save writes a Keras model.
    kept = "optimizer/_trainable_variables"
    exported = {f"{kept}/0": "k1", f"{kept}/1": "b1", "optimizer/_variables/2": "momentum"}
    report = judged(run(), exported=exported)
    assert (report.verdict, report.privacy.leaks) == (Verdict.PASS, [])


def test_frozen_weights_are_known_and_others_are_a_leak() -> None:
    assert judged(run(), exported={**EXPORTED, "c": "mean"}).privacy.leaks == []
    (found,) = judged(run(), exported={**EXPORTED, "c": "mean", "d": "more", "e": "still more"}).privacy.leaks
    assert found.name == "other_weights"
    assert "2 sets of numbers" in found.what


def test_of_several_trainings_the_exported_one_is_told_and_all_are_paid_for() -> None:
    first, second = run(model="first (Functional)"), run(model="second (Functional)")
    second.weights = [{"other"}]
    report = judged(first, second)
    assert report.privacy.training == first.training
    assert [item.what for item in report.privacy.mechanisms] == ["training", "training 2"]
    assert "2 models privately" in said(report, "trainings")


def test_a_training_that_did_not_begin_costs_nothing() -> None:
    report = judged(run(steps=0, optimizer_steps=0), run())
    assert [item.what for item in report.privacy.mechanisms] == ["training"]
    assert report.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("effect", "severity"), [("note", Severity.INFO), ("warn", Severity.WARN), ("block", Severity.FAIL)]
)
def test_a_leak_does_to_the_verdict_what_the_settings_say(effect: str, severity: Severity) -> None:
    report = judged(run(leaks=[leak("early_stopping")]), settings={"on_leak": effect})
    assert checks(report)["uncovered"] is severity
    assert report.privacy.scope == "training only"
    assert "anything that training put into it" in said(report, "guarantee")
    assert "One thing depends on the data without protection: early_stopping" in said(report, "uncovered")


def test_a_leak_that_is_public_is_none() -> None:
    report = judged(run(leaks=[leak("class_weight")]), settings={"public": ["class_*", "typo"]})
    assert report.privacy.scope == "pipeline"
    assert [item.state for item in report.privacy.leaks] == ["public"]
    assert "'typo' is declared public" in said(report, "public")


def test_many_leaks_are_named_in_part_and_listed_in_whole() -> None:
    report = judged(run(leaks=[leak(f"leak {n}") for n in range(8)]))
    finding = next(item for item in report.findings if item.check == "uncovered")
    assert finding.message.endswith("; and 3 more.")
    assert len(finding.evidence["leaks"]) == 8


@pytest.mark.parametrize(
    ("effect", "severity"), [("note", Severity.INFO), ("warn", Severity.WARN), ("block", Severity.NOT_RUN)]
)
def test_analyzers_that_cannot_be_told(effect: str, severity: Severity) -> None:
    report = judged(run(), unknown_analyzers="no graph", settings={"on_leak": effect})
    assert checks(report)["analyzers"] is severity
    assert (report.privacy.leaks_known, report.privacy.scope) == (False, "training only")


def test_what_could_not_be_checked_is_no_pass() -> None:
    report = judged(run(unchecked=["whether layers mix examples: inputs are texts"], optimizer_steps=None))
    assert report.verdict is Verdict.WARN
    assert [item.check for item in report.findings[:2]] == ["unchecked", "unchecked"]
    assert report.privacy.guarantee.epsilon is not None


def test_steps_beyond_the_plan_are_told_and_paid_for() -> None:
    report = judged(run(steps=STEPS + 5, optimizer_steps=STEPS + 5))
    assert checks(report)["steps"] is Severity.WARN
    assert report.privacy.mechanisms[0].steps == STEPS + 5


def test_fewer_steps_and_fewer_examples_are_noted() -> None:
    report = judged(run(steps=STEPS - 5, optimizer_steps=STEPS - 5), examples=EXAMPLES + 7)
    assert (checks(report)["steps"], checks(report)["examples"]) == (Severity.INFO, Severity.INFO)
    assert "used 1,000 of the 1,007 examples" in said(report, "examples")


def test_examples_that_could_not_be_counted_are_no_pass() -> None:
    report = judged(run(), examples=None)
    assert report.verdict is Verdict.WARN
    assert "could not be counted" in said(report, "unchecked")


def test_batches_from_elsewhere_gain_nothing_from_sampling() -> None:
    report = judged(run(sampling="shuffle"))
    assert checks(report)["sampling"] is Severity.WARN


def test_a_missed_target_fails() -> None:
    report = judged(run(), settings={"noise_multiplier": None, "epsilon": 0.1})
    assert checks(report)["target"] is Severity.FAIL
    assert report.privacy.guarantee.target == 0.1


def test_canaries_are_told() -> None:
    record = CanaryRecord(count=2, included=1, file="canaries", tosses=[True, False])
    report = judged(run(), canaries=record)
    assert report.privacy.canaries == record
    assert "1 of 2 made-up examples" in said(report, "canaries")


# The ledger


def spent(epsilon: float | None, *mechanisms: Mechanism) -> Account:
    entry = Account("census").here(mechanisms, epsilon=epsilon, delta=DELTA)
    earlier = entry.model_copy(update={"here": False, "artifact": 3, "run": "before"})
    return Account("census", run="now", entries=[earlier])


def test_earlier_trainings_add_up_within_the_budget() -> None:
    report = judged(run(), account=spent(2.0, TRAINED), settings={"budget": {"epsilon": 50}})
    book = report.privacy.ledger
    assert book is not None
    both = TRAINED.model_copy(update={"steps": 2 * STEPS})
    assert book.total == pytest.approx(epsilon_of([both], DELTA), rel=1e-3)
    assert book.total_before == pytest.approx(epsilon_of([TRAINED], DELTA), rel=1e-3)
    assert checks(report)["budget"] is Severity.INFO
    assert "by 1 earlier entry and this training" in said(report, "budget")


def test_a_budget_that_is_passed_after_all_fails() -> None:
    report = judged(run(), account=spent(2.0, TRAINED), settings={"budget": {"epsilon": 0.5}})
    assert checks(report)["budget"] is Severity.FAIL
    assert "The budget of census is used up" in said(report, "budget")


def test_a_total_that_is_not_known_is_no_total() -> None:
    report = judged(run(), account=spent(None), settings={"budget": {"epsilon": 50}})
    assert report.privacy.ledger is not None
    assert report.privacy.ledger.total is None
    assert checks(report)["budget"] is Severity.FAIL
    assert "since an earlier training on it had no guarantee" in said(report, "budget")
    report = judged(run(noise_source="seeded"), settings={"budget": {"epsilon": 50}})
    assert "since this training has no guarantee" in said(report, "budget")


def test_what_is_not_known_of_earlier_trainings_is_told() -> None:
    failed = Unfinished(execution=4, run="r", state="failed", places=["/data"])
    account = Account.of(Snapshot(places=["/data"], unfinished=[failed]), None)
    report = judged(run(), account=account)
    assert "A training failed before its end (execution 4, run r)" in said(report, "ledger")
    assert report.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("settings", "check", "severity"),
    [({}, "ledger", Severity.INFO), ({"budget": {"epsilon": 50}}, "budget", Severity.NOT_RUN)],
)
def test_without_a_metadata_store(settings: dict[str, Any], check: str, severity: Severity) -> None:
    report = judged(run(), account=None, settings=settings)
    assert checks(report)[check] is severity
    assert report.privacy.ledger is None
