"""The audit as a whole: verdicts, what is said, and what is refused."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tfx_trust.components import Finding, InputError, Severity, Verdict
from tfx_trust.components.privacy import attacks, inference
from tfx_trust.components.privacy.audit import Outputs, Scores, audit_outputs, audit_scores
from tfx_trust.components.privacy.config import AuditSettings, Claim
from tfx_trust.components.privacy.report import AuditReport, Inference

SETTINGS = AuditSettings(label="sick")
CLAIM = Claim(epsilon=3.0, delta=1e-5)


def outputs(rng: np.random.Generator, count: int, shift: float, classes: int = 2) -> Outputs:
    """What a model says that is right by so many log odds more."""
    labels = rng.integers(0, classes, count)
    logits = rng.normal(0, 1, (count, classes))
    logits[np.arange(count), labels] += 1 + shift
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Outputs(shares, labels, {"town": np.where(np.arange(count) % 10, "big", "small")})


def audited(
    shift: float,
    *,
    claim: Claim | None = CLAIM,
    canary_shift: float | None = None,
    count: int = 3000,
    settings: AuditSettings = SETTINGS,
    inferences: Sequence[Inference] = (),
    seed: int = 1,
    classes: int = 2,
) -> AuditReport:
    """The audit of a model that is right of its members by so many log odds more than of others."""
    rng = np.random.default_rng(seed)
    canaries = None
    if canary_shift is not None:
        included = rng.random(1000) < 0.5
        drawn = rng.uniform(0.2, 0.4, 1000) + included * canary_shift
        canaries = Outputs(np.stack([1 - drawn, drawn], axis=1), np.ones(1000, int)), included
    return audit_outputs(
        outputs(rng, count, shift, classes),
        outputs(rng, count, 0.0, classes),
        settings,
        claim,
        "the privacy report",
        canaries=canaries,
        inferences=inferences,
    )


def found(report: AuditReport, check: str) -> Finding:
    return next(item for item in report.findings if item.check == check)


def checks(report: AuditReport) -> dict[str, str]:
    return {item.check: str(item.severity) for item in report.findings}


# Verdicts


def test_a_model_that_tells_nothing_is_not_falsified() -> None:
    report = audited(0.0, canary_shift=0.0)
    assert report.verdict is Verdict.PASS
    assert not report.audit.falsified
    assert checks(report) == {"claim_not_falsified": "info", "membership_not_shown": "info"}
    told = found(report, "claim_not_falsified").message
    assert told.startswith(
        "Not falsified: the claimed guarantee (epsilon 3 at delta 1e-05, stated by the privacy report) "
        "survives."
    )
    assert "That is no proof" in told


def test_a_model_that_memorized_fails_by_every_gate() -> None:
    report = audited(2.0, canary_shift=0.55)
    assert report.verdict is Verdict.FAIL
    assert report.audit.falsified
    assert checks(report) == {"claim_falsified": "fail", "membership_inference": "fail"}
    canaries, section = report.audit.canaries, report.audit
    assert canaries is not None
    assert canaries.epsilon > 4
    assert {item.verdict for item in section.attacks} == {Verdict.FAIL}
    told = found(report, "claim_falsified")
    assert "does not hold" in told.message
    assert re.search(r"of 1,000 guesses which those were, .* 1,000 are right|of \d+ guesses", told.message)
    assert "make_private" in told.remedy
    assert told.threshold == 3.0
    told = found(report, "membership_inference")
    assert re.search(
        r"in \d\d\.\d % of such pairs \(\d\d\.\d % to \d\d\.\d %\); a coin would in 50\.0 %", told.message
    )
    assert told.statistic is not None
    assert told.statistic.value == max(
        item.auc.value for item in section.attacks if item.verdict is Verdict.FAIL
    )


def test_membership_beyond_the_guarantee_falsifies_it_without_canaries() -> None:
    report = audited(
        2.0, claim=Claim(epsilon=0.1, delta=1e-5), settings=AuditSettings(label="sick", max_auc=1.0)
    )
    assert checks(report) == {"membership_beyond_guarantee": "fail", "membership_not_shown": "info"}
    assert report.audit.falsified
    assert "if members and others were drawn alike" in found(report, "membership_beyond_guarantee").message


def test_over_seeds_a_private_mechanism_is_never_falsified_and_a_memorizing_one_always() -> None:
    """Randomized response about membership is as telling as its epsilon allows; more than this is claimed."""
    settings, claim = AuditSettings(label="sick", max_auc=0.8, rates=[0.1]), Claim(epsilon=1.25, delta=0.0)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        told = [rng.random(1500) < share for share in (np.e / (1 + np.e), 1 / (1 + np.e))]
        sides = [Scores({"loss": item.astype(float)}) for item in told]
        canary = rng.random(500) < 0.5
        said = np.where(rng.random(500) < np.e / (1 + np.e), canary, ~canary).astype(float)
        report = audit_scores(*sides, settings, claim, "", canaries=(said, canary))
        assert report.audit.canaries is not None
        assert 0.3 < report.audit.canaries.epsilon <= 1.25
        assert not report.audit.falsified
        report = audit_scores(*sides, settings, claim, "", canaries=(canary.astype(float), canary))
        assert report.audit.falsified


def test_without_canaries_the_claim_is_said_to_be_tested_less() -> None:
    report = audited(0.0)
    assert report.verdict is Verdict.PASS
    assert "canaries put into training would test it harder" in found(report, "claim_not_falsified").message


@pytest.mark.parametrize("claim", [Claim(epsilon=20.0, delta=1e-5), Claim(epsilon=1.0, delta=0.3)])
def test_a_claim_that_no_attack_could_falsify_is_a_warning(claim: Claim) -> None:
    report = audited(0.0, claim=claim)
    assert report.verdict is Verdict.WARN
    assert "even a perfect attack would have shown" in found(report, "claim_untested").message


def test_a_lower_bound_is_rounded_down() -> None:
    report = audited(0.0, claim=None, canary_shift=0.55)
    assert report.audit.canaries is not None
    told = re.search(r"at least ([0-9.]+[0-9])", found(report, "canaries_told").message)
    assert told is not None
    assert report.audit.canaries.epsilon - 0.01 < float(told[1]) <= report.audit.canaries.epsilon


def test_without_a_claim_nothing_is_falsified_and_limits_are_judged_all_the_same() -> None:
    report = audited(0.0, claim=None, canary_shift=0.55)
    assert report.verdict is Verdict.PASS
    assert not report.audit.falsified
    assert checks(report) == {"canaries_told": "info", "no_claim": "info", "membership_not_shown": "info"}
    assert "No guarantee is claimed that this could be held against" in found(report, "canaries_told").message
    assert audited(2.0, claim=None).verdict is Verdict.FAIL


def test_a_claim_beyond_what_canaries_can_show_is_a_warning() -> None:
    report = audited(0.0, claim=Claim(epsilon=8.0, delta=1e-5), canary_shift=0.0)
    assert report.verdict is Verdict.WARN
    told = found(report, "claim_untested")
    assert "cannot tell whether the claimed guarantee" in told.message
    assert "Put more canaries into training" in told.remedy


def test_too_few_examples_leave_it_undecided() -> None:
    report = audited(2.0, count=99)
    assert report.verdict is Verdict.INCONCLUSIVE
    told = found(report, "membership_few")
    assert "by 99 members and 99 other examples: at least 100 of each" in told.message
    handful = audited(2.0, count=3)
    assert handful.verdict is Verdict.INCONCLUSIVE
    assert handful.audit.attacks == []
    assert handful.audit.not_run["loss"] == "there are 3 members and 3 others"
    undecided = audited(0.55, count=300)
    assert checks(undecided)["membership_undecided"] == "inconclusive"
    assert undecided.verdict is Verdict.INCONCLUSIVE


def test_a_minority_that_is_exposed_fails_though_the_whole_does_not() -> None:
    settings = AuditSettings(label="sick", slices=[["town"]])
    rng = np.random.default_rng(1)
    members, others = (outputs(rng, 4000, 0.0) for _ in range(2))
    small = np.asarray(members.slices["town"]) == "small"
    shares = np.array(members.probabilities)
    rows = np.flatnonzero(small)
    shares[rows] = 0.02
    shares[rows, members.labels[rows]] = 0.98
    report = audit_outputs(Outputs(shares, members.labels, members.slices), others, settings, None, "")
    assert report.verdict is Verdict.FAIL
    assert {item.verdict for item in report.audit.attacks} == {Verdict.PASS}
    told = found(report, "slice_exposed")
    assert told.message.startswith(
        "The model gives away who of town=small was in its training data: an attacker"
    )
    assert [item.slice for item in report.audit.slices] == [{"town": "small"}, {"town": "big"}]


def test_slices_are_attacked_by_lira_where_there_is_one() -> None:
    settings = AuditSettings(label="sick", slices=[["town"]])
    rng = np.random.default_rng(1)
    members, others = outputs(rng, 1000, 0.0), outputs(rng, 1000, 0.0)
    ratios = rng.normal(2, 1, 1000), rng.normal(0, 1, 1000)
    report = audit_outputs(members, others, settings, None, "", lira=ratios)
    assert [item.name for item in report.audit.attacks] == ["loss", "confidence", "entropy", "lira"]
    assert {item.attack for item in report.audit.slices} == {"lira"}
    assert found(report, "membership_inference").subject == "lira"


def test_sensitive_features_are_judged_and_told() -> None:
    def guessed(feature: str, members: float, others: float) -> Inference:
        rights = [np.arange(1000) < share * 1000 for share in (members, others, 0.5)]
        return inference.attribute(feature, *rights, SETTINGS, values=4)

    told = inference.inversion(
        "race", *[np.arange(1000) < 700] * 2, np.arange(1000) < 600, SETTINGS, values=4
    )
    report = audited(0.0, inferences=[guessed("race", 0.9, 0.6), guessed("age", 0.62, 0.6), told])
    assert report.verdict is Verdict.FAIL
    assert found(report, "attribute_inference").message == (
        "Who knows everything else about an example and asks the model guesses race right in 90.0 % of "
        "members and in 60.0 % of others; without the model, in 50.0 %. That is 30.0 percentage points "
        "(26.4 to 33.5) more often; 5.0 percentage points are allowed. The model remembers its training "
        "examples."
    )
    assert checks(report)["attribute_undecided"] == "warn"
    assert "it is told, not judged" in found(report, "inversion_told").message


def test_slices_none_of_which_could_be_judged_are_not_run() -> None:
    report = audited(0.0, count=105, claim=None, settings=AuditSettings(label="sick", slices=[["town"]]))
    assert checks(report)["slices_few"] == "not_run"


# What is said


def every_report() -> list[AuditReport]:
    sliced = AuditSettings(label="sick", slices=[["town"]], max_advantage=0.2)
    return [
        audited(shift, claim=claim, canary_shift=canary, count=count, settings=sliced, classes=classes)
        for shift in (0.0, 0.5, 2.0)
        for claim in (None, CLAIM, Claim(epsilon=0.1, delta=0.0), Claim(epsilon=9.0, delta=1e-6))
        for canary, count, classes in ((None, 300, 2), (0.55, 2000, 3), (0.0, 50, 2))
    ]


def test_findings_are_sentences_with_remedies_and_nothing_is_said_to_have_passed() -> None:
    for report in every_report():
        assert report.findings
        for item in report.findings:
            assert re.fullmatch(r"[A-Z].*[.]", item.message), item.message
            assert "  " not in item.message
            assert "pass" not in (item.message + item.remedy).lower()
            assert item.remedy or item.severity is Severity.INFO
        assert AuditReport.model_validate_json(report.to_json()) == report


def test_attacks_that_were_not_made_are_told() -> None:
    rng = np.random.default_rng(1)
    report = audit_outputs(
        outputs(rng, 200, 0.0),
        outputs(rng, 200, 0.0),
        SETTINGS,
        None,
        "",
        not_run={"lira": "no shadow models were asked for", "other": "why not"},
    )
    assert found(report, "attacks_left_out").message == (
        "Not tried: membership inference by likelihood ratio (LiRA) (no shadow models were asked for); "
        "other (why not)."
    )


def test_a_report_can_be_saved_with_its_page(tmp_path: Path) -> None:
    page = audited(2.0, canary_shift=0.55).save(tmp_path)
    assert "does not hold" in page.read_text()
    assert AuditReport.load(tmp_path).audit.falsified


# Bad input


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (
            np.full((3, 1), 0.5),
            [0, 0, 0],
            r"have the shape \(3, 1\); expected \(examples, classes\), two classes",
        ),
        (np.full((3, 2), 0.5), [0, 1], r"members: labels have the shape \(2,\), outputs \(3, 2\)"),
        (np.full((3, 2), 0.6), [0, 1, 0], "are no probabilities that sum up to 1 for 3 of 3 members"),
        ([[0.5, 0.5], [np.nan, 1]], [0, 1], "are no probabilities that sum up to 1 for 1 of 2 members"),
        ([[0.5, 0.5], [-1, 2]], [0, 1], "are no probabilities that sum up to 1 for 1 of 2 members"),
        (
            np.full((3, 2), 0.5),
            [0, 1, 2],
            "labels of members are not all places of one of the model's 2 outputs",
        ),
        (np.full((3, 2), 0.5), [0.0, 1.0, 0.5], "labels of members are not all places of one"),
    ],
)
def test_what_are_no_outputs_is_refused(probabilities: object, labels: list[int], message: str) -> None:
    good = Outputs(np.full((3, 2), 0.5), np.array([0, 1, 0]))
    with pytest.raises(InputError, match=message):
        audit_outputs(Outputs(np.array(probabilities), np.array(labels)), good, SETTINGS, None, "")


def test_scores_that_cannot_be_compared_are_refused() -> None:
    one, other = Scores({"loss": np.zeros(5)}), Scores({"lira": np.zeros(5)})
    with pytest.raises(
        InputError, match="scores of lira, loss: members and others need scores by the same attacks"
    ):
        audit_scores(one, other, SETTINGS, None, "")
    with pytest.raises(InputError, match="scores of no attack: members and others need"):
        audit_scores(Scores({}), Scores({}), SETTINGS, None, "")
    uneven = Scores({"loss": np.zeros(5), "lira": np.zeros(4)})
    with pytest.raises(InputError, match="attack 'lira' has 4 scores for 5 examples; give one for each"):
        audit_scores(uneven, uneven, SETTINGS, None, "")
    assert attacks.LEAST > 1
