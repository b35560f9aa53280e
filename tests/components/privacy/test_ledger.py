"""The ledger in every corner, and who is stopped by a budget."""

import math
import pickle
from typing import Any

import pytest

from tfx_trust.components import TrustError
from tfx_trust.components.privacy.accounting import default_delta, epsilon_of
from tfx_trust.components.privacy.config import Budget, Spending
from tfx_trust.components.privacy.ledger import BudgetExceeded, exceeds, ledger_of, told
from tfx_trust.components.privacy.report import Ledger, LedgerEntry, Mechanism

DELTA = 1e-5
N = 10_000


def released(noise: float, examples: int = N, **further: Any) -> Mechanism:
    return Mechanism(what="training", noise_multiplier=noise, examples=examples, **further)


def entry(
    run: str,
    *mechanisms: Mechanism,
    spans: tuple[int, ...] = (),
    epsilon: float | None = 1.0,
    delta: float = DELTA,
) -> LedgerEntry:
    return LedgerEntry(
        run=run,
        created="2026-01-02T03:04:05+00:00",
        artifact=7,
        spans=list(spans),
        epsilon=epsilon,
        delta=delta,
        mechanisms=list(mechanisms),
    )


def book(
    earlier: list[LedgerEntry],
    here: LedgerEntry,
    budget: Budget | None = None,
    delta: float = DELTA,
    **further: Any,
) -> Ledger:
    return ledger_of("census.csv", here.spans, earlier, here, budget, delta, **further)


def cost(*mechanisms: Mechanism, delta: float = DELTA, **further: Any) -> float:
    return epsilon_of(mechanisms, delta, **further)


# Composition


def test_the_first_training_is_the_whole_ledger() -> None:
    found = book([], entry("a", released(4.0)))
    assert found.total_before == 0
    assert found.total == cost(released(4.0))
    assert [(item.run, item.here) for item in found.entries] == [("a", True)]
    assert (found.by_span, found.budget, found.unknown) == ({}, None, [])


@pytest.mark.parametrize("further", [{}, {"accountant": "rdp"}, {"adjacency": "replace_one"}])
def test_trainings_are_composed_by_what_they_consisted_of(further: dict[str, Any]) -> None:
    sampled = released(1.5, sampling="poisson", sampling_probability=0.02, steps=40, max_batch=400)
    found = book([entry("a", released(4.0)), entry("b", sampled)], entry("c", released(6.0)), **further)
    assert found.total == cost(released(4.0), sampled, released(6.0), **further)
    assert found.total_before == cost(released(4.0), sampled, **further)
    assert found.total < cost(released(4.0), **further) + cost(sampled, **further) + cost(
        released(6.0), **further
    )


def test_what_was_spent_elsewhere_adds_up_with_its_delta() -> None:
    prior = [Spending(what="tables", epsilon=0.5, delta=2e-6), Spending(what="maps", epsilon=0.25)]
    found = book(
        [entry("old", epsilon=1.5, delta=3e-6)], entry("here", released(4.0)), Budget(epsilon=9, prior=prior)
    )
    assert found.total == pytest.approx(2.25 + cost(released(4.0), delta=5e-6), rel=1e-12)
    assert found.total_before == 2.25
    assert [item.run for item in found.entries] == ["tables", "maps", "old", "here"]


@pytest.mark.parametrize("delta", [1e-5, 2e-5])
def test_deltas_that_were_spent_elsewhere_can_use_up_that_of_the_total(delta: float) -> None:
    prior = [Spending(what="tables", epsilon=0.5, delta=delta)]
    found = book([], entry("here", released(4.0)), Budget(epsilon=9, prior=prior))
    assert found.total is None
    assert exceeds(found)
    assert any("may fail with a greater probability already" in note for note in found.unknown)
    # Where nothing else is to be covered, just as much is enough.
    assert found.total_before == (0.5 if delta == 1e-5 else None)


def test_thresholds_of_earlier_trainings_take_their_part_of_delta() -> None:
    earlier = released(8.0, extra_delta=4e-6)
    found = book([entry("a", earlier)], entry("here", released(4.0, extra_delta=5e-6)))
    assert found.total == pytest.approx(cost(released(8.0), released(4.0), delta=1e-6), rel=1e-9)
    used_up = book([entry("a", earlier), entry("b", earlier), entry("c", earlier)], entry("d", released(4.0)))
    assert used_up.total is None


def test_a_training_without_guarantee_leaves_no_total() -> None:
    found = book([entry("open", epsilon=None), entry("b", released(4.0))], entry("here", released(4.0)))
    assert found.total_before is None
    assert found.total is None
    assert found.unknown == ["open had no guarantee: what it gave away of the data has no limit."]
    # Even if it is known what it did.
    assert book([entry("open", released(4.0), epsilon=None)], entry("here", released(4.0))).total is None
    here = book([entry("a", released(4.0))], entry("here", epsilon=None))
    assert here.total_before == cost(released(4.0))
    assert here.total is None


def test_delta_is_below_one_over_the_largest_number_of_examples() -> None:
    large = released(9.0, examples=10**7)
    found = book([entry("a", large)], entry("here", released(4.0)), delta=1e-5)
    assert found.delta == default_delta(10**7)
    assert found.total == cost(large, released(4.0), delta=default_delta(10**7))
    assert "1e-05 is not below 1/N for the training on 10,000,000 examples." in found.unknown[0]
    assert book([entry("a", large)], entry("here", released(4.0)), delta=9e-8).delta == 9e-8


# Spans


def test_disjoint_spans_have_accounts_of_their_own() -> None:
    earlier = [entry("a", released(4.0), spans=(1, 2)), entry("b", released(6.0), spans=(2,))]
    found = book(earlier, entry("here", released(5.0), spans=(3,)))
    assert found.by_span == {
        "1": cost(released(4.0)),
        "2": cost(released(4.0), released(6.0)),
        "3": cost(released(5.0)),
    }
    assert found.total == found.total_before == found.by_span["2"]


def test_a_training_that_does_not_say_what_it_read_may_have_read_any_span() -> None:
    found = book(
        [entry("all", released(4.0)), entry("b", released(6.0), spans=(2,))],
        entry("c", released(5.0), spans=(3,)),
    )
    assert found.by_span == {"2": cost(released(4.0), released(6.0)), "3": cost(released(4.0), released(5.0))}
    everywhere = book([entry("b", released(6.0), spans=(2,))], entry("here", released(5.0)))
    assert everywhere.by_span == {"2": cost(released(6.0), released(5.0))}


def test_overlapping_spans_add_up() -> None:
    earlier = [entry("a", released(4.0), spans=(1,))]
    found = book(earlier, entry("here", released(5.0), spans=(2,)), Budget(epsilon=9, spans="overlapping"))
    assert found.by_span == {}
    assert found.total == cost(released(4.0), released(5.0))
    assert found.spans == "overlapping"


def test_spending_elsewhere_counts_in_its_span_or_in_all() -> None:
    prior = [Spending(what="tables", epsilon=0.5, span=1), Spending(what="maps", epsilon=0.25)]
    found = book([], entry("here", released(4.0), spans=(2,)), Budget(epsilon=9, prior=prior))
    assert found.by_span == {"1": 0.75, "2": pytest.approx(0.25 + cost(released(4.0)))}


def test_many_accounts_are_still_bounds() -> None:
    sampled = [
        released(2.0, sampling="poisson", sampling_probability=0.01, steps=20 + span) for span in range(14)
    ]
    earlier = [entry(f"r{span}", it, spans=(span,)) for span, it in enumerate(sampled)]
    found = book(earlier, entry("here", sampled[3], spans=(3,)))
    assert found.by_span["3"] == cost(sampled[3], sampled[3])
    for span in (0, 13):
        exact, account = cost(sampled[span]), found.by_span[str(span)]
        assert account is not None
        assert exact * (1 - 1e-6) <= account <= exact * 1.02 + 1e-3


# Budgets


def test_a_budget_is_passed_by_what_is_above_it_alone() -> None:
    here = entry("here", released(4.0))
    whole = cost(released(4.0))
    assert not exceeds(book([], here))
    assert not exceeds(book([], here, Budget(epsilon=whole)))
    assert exceeds(book([], here, Budget(epsilon=whole * 0.999)))
    assert exceeds(book([entry("a", released(4.0))], here, Budget(epsilon=whole * 1.2)))


def test_what_rounding_adds_is_not_held_against_anybody() -> None:
    prior = [Spending(what=str(part), epsilon=0.1) for part in range(3)]
    silent = entry("here", released(1.0, steps=0))
    assert not exceeds(book([], silent, Budget(epsilon=0.3, prior=prior)))


def test_an_earlier_training_without_guarantee_uses_up_any_budget() -> None:
    assert exceeds(book([entry("open", epsilon=None)], entry("here", released(40.0)), Budget(epsilon=1000)))


def test_a_new_span_has_the_whole_budget() -> None:
    dear = [entry("a", released(1.0), spans=(1,)), entry("open", epsilon=None, spans=(2,))]
    budget = Budget(epsilon=1.0)
    found = book(dear, entry("here", released(5.0), spans=(3,)), budget)
    # The source as a whole has no total, but nobody in this span pays more than the budget.
    assert found.total is None
    assert found.by_span["2"] is None
    assert not exceeds(found)
    for spans in ((1,), (2,), (2, 3), ()):
        assert exceeds(book(dear, entry("here", released(5.0), spans=spans), budget)), spans
    assert exceeds(
        book(dear, entry("here", released(5.0), spans=(3,)), Budget(epsilon=1.0, spans="overlapping"))
    )


def test_the_error_shows_the_ledger() -> None:
    budget = Budget(epsilon=1.0, prior=[Spending(what="the tables of March", epsilon=0.5)])
    found = book([entry("run-1", released(4.0))], entry("here", released(4.0)), budget)
    error = BudgetExceeded(found)
    assert isinstance(error, TrustError)
    assert error.ledger is found
    head, *rows = str(error).splitlines()
    assert head == (
        f"with this training, epsilon for census.csv would be {found.total:.4g} of a budget of 1 "
        f"({found.total_before:.4g} before it), at delta = 1e-05; train on new data or at a lower epsilon, "
        "or raise the budget"
    )
    assert [row.split("  ")[1].strip() for row in rows] == [
        "training",
        "the tables of March",
        "run-1, 2026-01-02T03:04:05+00:00",
        "this training",
    ]


def test_the_error_travels_between_processes() -> None:
    error = BudgetExceeded(book([], entry("here", released(1.0)), Budget(epsilon=1.0)))
    error.page = "page.html"
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.ledger, again.page) == (str(error), error.ledger, "page.html")


def test_a_long_ledger_is_cut_and_notes_are_told() -> None:
    earlier = [entry(f"r{place}", released(30.0), spans=(1, 2, 3, place + 9)) for place in range(30)]
    text = told(book([entry("open", epsilon=None), *earlier], entry("here", released(4.0), spans=(1,))))
    assert "epsilon for census.csv would be an amount that is not known, at delta" in text
    assert "... and 12 before these" in text
    assert "1-3, 38" in text
    assert "note: open had no guarantee" in text
    assert text.count("\n") < 30


def test_a_ledger_is_part_of_a_report() -> None:
    found = book([entry("a", released(1e-6)), entry("b", epsilon=None)], entry("here", released(4.0)))
    assert Ledger.model_validate_json(found.model_dump_json()) == found
    infinite = book([entry("a", released(1e-6))], entry("here", released(4.0)))
    assert infinite.total is None
    assert not any(math.isinf(value) for value in infinite.model_dump().values() if isinstance(value, float))
