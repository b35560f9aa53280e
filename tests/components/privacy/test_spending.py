"""The account of a source of data: which earlier trainings count, and what is told of others."""

from typing import Any

import pytest

from tfx_trust.components.privacy.config import Budget
from tfx_trust.components.privacy.report import LedgerEntry, Mechanism
from tfx_trust.components.privacy.spending import Account, Earlier, Snapshot, Unfinished, Unprotected

TRAINED = Mechanism(what="training", noise_multiplier=1.0, examples=100, steps=10)
ANALYZED = Mechanism(what="private_mean/age", noise_multiplier=3.0, examples=100)


def entry(epsilon: float | None = 1.0, *mechanisms: Mechanism) -> str:
    return LedgerEntry(
        run="as it was",
        created="2026-01-02T03:04:05+00:00",
        artifact=None,
        spans=[99],
        epsilon=epsilon,
        delta=1e-5,
        mechanisms=list(mechanisms),
        here=True,
    ).model_dump_json()


def earlier(artifact: int, spent: str | None = None, **given: Any) -> Earlier:
    return Earlier(
        **{
            "artifact": artifact,
            "created": "2026-01-02T03:04:06+00:00",
            "run": f"run-{artifact}",
            "places": ["/data"],
            "spent": entry() if spent is None else spent,
            **given,
        }
    )


def account(*trainings: Earlier, source: str | None = None, **given: Any) -> Account:
    snapshot = Snapshot(**{"run": "now", "places": ["/data"], "earlier": list(trainings), **given})
    return Account.of(snapshot, Budget(epsilon=9.0, source=source))


def artifacts(of: Account) -> list[int | None]:
    return [item.artifact for item in of.entries]


def test_the_oldest_come_first_with_what_the_store_knows_of_them() -> None:
    found = account(earlier(5, spans=[2]), earlier(3))
    assert artifacts(found) == [3, 5]
    assert [item.run for item in found.entries] == ["run-3", "run-5"]
    # The lineage tells which data it was, whatever the entry says.
    assert [item.spans for item in found.entries] == [[], [2]]
    assert not any(item.here for item in found.entries)


def test_other_data_do_not_count() -> None:
    assert artifacts(account(earlier(1), earlier(2, places=["/other"]))) == [1]


def test_data_of_several_places_count_for_each() -> None:
    found = account(earlier(1), earlier(2, places=["/other"]), places=["/data", "/other"])
    assert artifacts(found) == [1, 2]
    assert found.source == "/data and /other"


def test_names_decide_where_both_have_one_and_places_otherwise() -> None:
    trainings = [
        earlier(1, name="census", places=["/copy"]),
        earlier(2, name="taxi"),
        earlier(3),
        earlier(4, places=["/other"]),
    ]
    found = account(*trainings, source="census")
    assert artifacts(found) == [1, 3]
    assert found.source == "census"


def test_another_name_for_the_same_place_is_told() -> None:
    found = account(earlier(1, name="census"), earlier(2, name="adult"), source="adult")
    assert artifacts(found) == [2]
    (told,) = found.unknown
    assert told.startswith("1 training on data from the same place is not counted")
    assert "'census'" in told
    assert not account(earlier(1, name="taxi", places=["/other"]), source="adult").unknown


def test_without_a_name_of_ones_own_a_named_training_of_the_same_place_counts() -> None:
    assert artifacts(account(earlier(1, name="census"))) == [1]


def test_a_model_without_guarantee_counts_if_it_was_pushed_and_is_told_if_not() -> None:
    found = account(earlier(1, entry(None)), earlier(2, entry(None), pushed=True))
    assert [(item.artifact, item.epsilon) for item in found.entries] == [(2, None)]
    assert found.unknown == [
        "The training of 2026-01-02 (report 1) had no guarantee. Its model was not pushed, so that it is not "
        "counted; if it was given away otherwise, the total is not known."
    ]


def test_a_report_without_an_entry_leaves_the_total_open() -> None:
    found = account(earlier(1, ""))
    assert [(item.artifact, item.epsilon) for item in found.entries] == [(1, None)]
    assert "report 1) spent is not noted in the metadata store" in found.unknown[0]


def test_failed_and_interrupted_trainings_of_the_same_data_are_told() -> None:
    found = account(
        unfinished=[
            Unfinished(execution=7, run="r7", state="failed", places=["/data"]),
            Unfinished(execution=8, run="", state="running", places=["/data"]),
            Unfinished(execution=9, run="r9", state="failed", places=["/other"]),
        ]
    )
    first, second = found.unknown
    assert "A training failed before its end (execution 7, run r7)." in first
    assert "A training has not ended (execution 8, run unknown)" in second


def test_models_of_other_components_are_told() -> None:
    made = [Unprotected(artifact=n, component="Trainer", places=["/data"]) for n in (1, 2)]
    (told,) = account(unprotected=[*made, Unprotected(artifact=3, component="X", places=["/other"])]).unknown
    assert told == (
        "2 models in the metadata store were made of the same data without a guarantee, by Trainer, and are "
        "not "
        "counted."
    )


def test_an_analyzer_whose_outcome_is_used_again_is_not_paid_twice() -> None:
    spent = entry(1.0, TRAINED, ANALYZED)
    again = account(earlier(1, spent, transform_graph=4), transform_graph=4)
    anew = account(earlier(1, spent, transform_graph=4), transform_graph=5)
    for found, expected in ((again, ["training"]), (anew, ["training", "private_mean/age"])):
        here = found.here([TRAINED, ANALYZED], epsilon=1.5, delta=1e-5)
        assert [item.what for item in here.mechanisms] == expected
        assert (here.here, here.run) == (True, "now")


def test_trainings_are_paid_for_each_time() -> None:
    second = TRAINED.model_copy(update={"what": "training 2"})
    found = account(earlier(1, entry(1.0, TRAINED, second), transform_graph=4), transform_graph=4)
    here = found.here([TRAINED, second], epsilon=1.5, delta=1e-5)
    assert [item.what for item in here.mechanisms] == ["training", "training 2"]


def test_without_a_store_the_account_is_empty() -> None:
    found = Account.of(None, None)
    assert (found.entries, found.unknown, found.source) == ((), (), "the data of this pipeline")


@pytest.mark.parametrize("budget", [None, Budget(epsilon=1.0)])
def test_the_source_is_called_by_its_place_where_it_has_no_name(budget: Budget | None) -> None:
    assert Account.of(Snapshot(places=["/data"]), budget).source == "/data"
