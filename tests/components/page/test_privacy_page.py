"""The pages of a privacy report and of an audit."""

import re
from types import ModuleType

import pytest

from tfx_trust.components.page import audit, privacy, render_report
from tfx_trust.components.privacy import audit_charts, charts, words

NAMES = ("privacy_full", "privacy_none", "audit_full", "audit_exposed", "audit_bare")
HOSTILE = '<script>alert("x")</script>&"\''


@pytest.fixture(scope="module")
def pages(privacy_samples: ModuleType) -> dict[str, str]:
    return {name: render_report(make()) for name, make in privacy_samples.SAMPLES.items()}


def text(markup: str) -> str:
    """What a reader sees, the charts' texts included."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", markup.partition("</style>")[2])).strip()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_one_file_without_scripts_and_network(pages: dict[str, str], name: str) -> None:
    page = pages[name]
    assert "<script" not in page
    assert not re.search(r"(src|href)=[\"'](https?:)?//", page)
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_the_guarantee_stands_in_words_beside_the_numbers(pages: dict[str, str]) -> None:
    shown = text(pages["privacy_full"])
    for part in (
        "(3.00, 1.08e-05)-differentially private",
        "by more than a factor of 20.1",
        "1 in 92,",
        "at most 95.3 % sure of it",
        "the training alone, not all that ships with the model",
        "one example being another privacy loss distributions 4.87",
        "one example being another Rényi divergences none",
    ):
        assert part in shown


def test_what_is_not_covered_is_told_beside_what_is(pages: dict[str, str]) -> None:
    shown = text(pages["privacy_full"])
    assert "quantiles bucketize(age) – – Not covered" in shown
    assert "a vocabulary vocab_sex – – Declared public" in shown
    assert "Statistic of Transform z_score(age) 40 times the sensitivity 1 time Private" in shown
    assert "Not known" in text(pages["privacy_none"])


def test_the_ledger_has_every_training_and_the_budget(pages: dict[str, str]) -> None:
    shown = text(pages["privacy_full"])
    assert "epsilon 7.90 of a budget of 20.00" in shown
    assert shown.count("3.00 1.08e-05") == 4
    assert "This one 1 March 2026, 08:01 UTC all 3.00" in shown
    assert "One execution of PrivateTrainer failed" in shown


def test_without_a_guarantee_no_number_is_stated(pages: dict[str, str]) -> None:
    shown = text(pages["privacy_none"])
    assert "The model has no privacy guarantee." in shown
    assert "factor of" not in shown
    assert "differentially private" not in shown


def test_an_audit_never_says_passed(pages: dict[str, str]) -> None:
    for name in ("audit_full", "audit_exposed", "audit_bare"):
        assert not re.search(r"\bpass(ed|es)?\b", text(pages[name]), re.IGNORECASE), name
    assert text(pages["audit_full"]).count("Not falsified") >= 2
    assert "never to be right" in text(pages["audit_full"])
    assert "Falsified" in text(pages["audit_exposed"])


def test_the_power_of_attacks_stands_beside_what_the_claim_allows(pages: dict[str, str]) -> None:
    shown = text(pages["audit_full"])
    assert re.search(r"Loss a small loss .*? 0\.503 0\.497 to 0\.509 0\.6 % −0\.5 to 1\.7", shown)
    assert "Most that the claim allows of any attack – – 2.0 % 20.1 % 100.0 %" in shown


def test_what_was_not_attacked_is_told_with_its_reason(pages: dict[str, str]) -> None:
    assert "Likelihood ratio (LiRA) : no shadow models were asked for" in text(pages["audit_full"])
    assert "membership : there is no train split" in text(pages["audit_bare"])


def test_hostile_names_are_shown_and_not_obeyed(privacy_samples: ModuleType) -> None:
    for report in (privacy_samples.private(HOSTILE), privacy_samples.audited(HOSTILE)):
        page = render_report(report)
        assert "<script" not in page
        assert "&lt;script&gt;alert(" in page


def test_the_pictures_are_drawn_of_what_there_is(privacy_samples: ModuleType) -> None:
    titles = [item.title for item in charts.figures(privacy_samples.private())]
    assert titles == [privacy.CURVE_FIGURE, privacy.TRADEOFF_FIGURE, privacy.LEDGER_FIGURE]
    assert charts.figures(privacy_samples.not_private()) == []
    assert [item.title for item in audit_charts.figures(privacy_samples.audited())] == [
        audit.ROC_FIGURE,
        audit.SLICES_FIGURE,
    ]
    assert audit_charts.figures(privacy_samples.bare()) == []


@pytest.mark.parametrize("epsilon", [0.01234567, 0.1001, 1.1201, 3.0049, 12.3401, 1234.4])
def test_an_epsilon_is_never_told_as_less_than_it_is(epsilon: float) -> None:
    assert epsilon <= float(privacy.epsilon(epsilon)) <= epsilon * 1.01 + 0.01
    assert epsilon <= float(words.number(epsilon).replace(",", "")) <= epsilon * 1.01 + 0.01


def test_of_shuffled_batches_an_example_more_is_a_place_filled(privacy_samples: ModuleType) -> None:
    report = privacy_samples.private()
    (first, *rest) = report.privacy.mechanisms
    report.privacy.mechanisms = [first.model_copy(update={"sampling": "shuffle"}), *rest]
    assert "for one example being there or its place left blank" in text(render_report(report))


@pytest.mark.parametrize(
    ("epsilon", "said"), [(0.5, "1.65"), (3.0, "20.1"), (8.0, "2,981"), (30.0, "more than a million")]
)
def test_the_factor_is_readable_at_every_epsilon(epsilon: float, said: str) -> None:
    assert privacy.factor(epsilon) == said
