import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_trust.components import Finding, ReleasePolicy, Report, Severity, Verdict
from tfx_trust.components.release.decision import (
    Evaluation,
    Judged,
    decide,
    weigh_anomalies,
    weigh_evaluation,
    weigh_report,
)

VERDICTS = st.sampled_from(Verdict)
POLICIES = st.builds(
    ReleasePolicy,
    required=st.none() | st.lists(st.sampled_from("abc"), unique=True),
    on_warn=st.sampled_from(["allow", "block"]),
    on_inconclusive=st.sampled_from(["allow", "block"]),
    on_not_run=st.sampled_from(["allow", "block"]),
)


def judged(verdict: Verdict) -> Judged:
    if verdict is Verdict.PASS:
        return Judged(Report(component="Gate"))
    finding = Finding(check="c", severity=Severity(str(verdict)), message="Rows leak.", remedy="Drop them.")
    return Judged(Report(component="Gate", findings=[finding]))


@pytest.mark.parametrize(
    ("verdict", "weight", "severity"),
    [
        (Verdict.PASS, "allows", None),
        (Verdict.WARN, "warns", Severity.WARN),
        (Verdict.INCONCLUSIVE, "blocks", Severity.INCONCLUSIVE),
        (Verdict.NOT_RUN, "blocks", Severity.NOT_RUN),
        (Verdict.FAIL, "blocks", Severity.FAIL),
    ],
)
def test_by_default_only_pass_and_warn_let_a_model_through(
    verdict: Verdict, weight: str, severity: Severity | None
) -> None:
    policy = ReleasePolicy()
    item = weigh_report("leakage", judged(verdict), policy)
    blessed, findings = decide([item], policy)
    assert item.weight == weight
    assert blessed is (weight != "blocks")
    assert [finding.severity for finding in findings] == ([severity] if severity else [])


@given(policy=POLICIES)
def test_no_policy_lets_a_fail_through(policy: ReleasePolicy) -> None:
    assert weigh_report("a", judged(Verdict.FAIL), policy).weight == "blocks"


@given(policy=POLICIES, verdicts=st.dictionaries(st.sampled_from("abc"), VERDICTS), more=VERDICTS)
def test_one_more_report_never_releases_what_was_blocked(
    policy: ReleasePolicy, verdicts: dict[str, Verdict], more: Verdict
) -> None:
    weighed = [weigh_report(name, judged(verdict), policy) for name, verdict in verdicts.items()]
    before, _ = decide(weighed, policy)
    after, findings = decide([*weighed, weigh_report("z", judged(more), policy)], policy)
    assert after <= before
    assert after is not any(finding.severity in ("fail", "not_run", "inconclusive") for finding in findings)


def test_a_required_report_that_is_not_connected_blocks_and_is_named() -> None:
    policy = ReleasePolicy(required=["leakage"])
    item = weigh_report("leakage", None, policy)
    blessed, findings = decide([item], policy)
    assert not blessed
    assert findings[0].severity is Severity.NOT_RUN
    assert findings[0].message == (
        "Leakage could not be weighed: its report is not connected to the release gate."
    )
    assert findings[0].remedy


def test_an_optional_report_that_did_not_run_warns() -> None:
    item = weigh_report("leakage", judged(Verdict.NOT_RUN), ReleasePolicy(required=[]))
    assert item.weight == "warns"


def test_a_blocking_warning_makes_the_release_fail() -> None:
    policy = ReleasePolicy(on_warn="block")
    blessed, findings = decide([weigh_report("leakage", judged(Verdict.WARN), policy)], policy)
    assert not blessed
    assert findings[0].severity is Severity.FAIL


def test_a_finding_carries_what_the_gate_said_and_its_remedy() -> None:
    _, (finding,) = decide([weigh_report("leakage", judged(Verdict.FAIL), ReleasePolicy())], ReleasePolicy())
    assert finding.message == "Leakage says fail: Rows leak."
    assert finding.remedy == "Drop them."


def test_a_waived_gate_is_remembered() -> None:
    blessed, (finding,) = decide([], ReleasePolicy(waived=["leakage"]))
    assert blessed
    assert (finding.severity, finding.subject) == (Severity.WARN, "leakage")


@pytest.mark.parametrize(
    ("evaluation", "verdict", "weight", "reason"),
    [
        (Evaluation(True), Verdict.PASS, "allows", "meets every threshold"),
        (Evaluation(False, ["auc is 0.5"]), Verdict.FAIL, "blocks", "auc is 0.5"),
        (Evaluation(False), Verdict.FAIL, "blocks", "did not bless"),
        (Evaluation(None), Verdict.NOT_RUN, "blocks", "gave no blessing"),
        (None, Verdict.NOT_RUN, "blocks", "no Evaluator is connected"),
    ],
)
def test_the_evaluation_must_have_blessed(
    evaluation: Evaluation | None, verdict: Verdict, weight: str, reason: str
) -> None:
    item = weigh_evaluation(evaluation, ReleasePolicy())
    assert (item.verdict, item.weight) == (verdict, weight)
    assert reason in item.reason


def test_an_evaluation_that_is_not_required_may_be_absent_but_not_negative() -> None:
    policy = ReleasePolicy(require_evaluation=False)
    assert weigh_evaluation(None, policy).weight == "warns"
    assert weigh_evaluation(Evaluation(False), policy).weight == "blocks"


def test_anomalies_block_unless_the_policy_says_otherwise() -> None:
    found = {"train": [], "eval": ["sex: unknown value F", "age: out of range"]}
    item = weigh_anomalies(found, "uri", ReleasePolicy())
    assert (item.weight, item.reason) == ("blocks", "eval: sex: unknown value F; eval: age: out of range")
    assert weigh_anomalies(found, "uri", ReleasePolicy(on_anomalies="allow")).weight == "warns"
    assert weigh_anomalies({"train": []}, "uri", ReleasePolicy()).weight == "allows"
