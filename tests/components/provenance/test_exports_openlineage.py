"""OpenLineage events, held against the schema and the classes of its official client."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import verifiers
from records import census_like, changed, minimal, odd_records

from tfx_trust.components.provenance.exports import export
from tfx_trust.components.provenance.record import Record

CHECK = verifiers.DATA / "openlineage_events.py"

Event = dict[str, Any]


def events_of(record: Record) -> list[Event]:
    return [json.loads(line) for line in export(record, "openlineage")["openlineage.ndjson"].splitlines()]


def wrong_in(events: list[Event], folder: Path) -> list[str]:
    path = folder / "events.ndjson"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return json.loads(verifiers.run(["python", CHECK, path], check=True).stdout)


def named(events: list[Event], job: str, kind: str) -> Event:
    return next(event for event in events if event["job"]["name"] == job and event["eventType"] == kind)


def test_every_event_of_every_record_is_valid(tmp_path: Path) -> None:
    events = [event for record in (census_like(), *odd_records()) for event in events_of(record)]
    assert len(events) > 100
    assert wrong_in(events, tmp_path) == []


BREAKS: dict[str, tuple[Callable[[Event], Any], str]] = {
    "no namespace": (lambda event: event["job"].pop("namespace"), "'namespace' is a required property"),
    "no uuid": (lambda event: event["run"].update(runId="7"), "'7' is not a 'uuid'"),
    "no time": (lambda event: event.update(eventTime="noon"), "'noon' is not a 'date-time'"),
    "no type": (lambda event: event.update(eventType="STOP"), "'STOP' is not one of"),
    "no producer": (lambda event: event.pop("producer"), "'producer' is a required property"),
    "no address": (lambda event: event.update(producer="a b"), "'a b' is not a 'uri'"),
    "facet of nobody": (
        lambda event: event["run"]["facets"]["parent"].pop("_producer"),
        "'_producer' is a required property",
    ),
    "facet without its content": (
        lambda event: event["inputs"][0]["facets"]["version"].pop("datasetVersion"),
        "'datasetVersion' is a required property",
    ),
    "tag that is a number": (
        lambda event: event["inputs"][0]["facets"]["tags"]["tags"][0].update(value=3),
        "3 is not of type 'string'",
    ),
    "facet of no version": (
        lambda event: event["inputs"][0]["facets"]["version"].update(
            _schemaURL="https://openlineage.io/spec/facets/9-9-9/X.json"
        ),
        "no such schema",
    ),
}


def test_the_check_refuses_what_is_broken(tmp_path: Path) -> None:
    broken = []
    for spoil, _ in BREAKS.values():
        event = events_of(census_like())[0]
        spoil(event)
        broken.append(event)
    wrong = wrong_in(broken, tmp_path)
    for number, (name, (_, said)) in enumerate(BREAKS.items(), start=1):
        assert any(line.startswith(f"{number}: ") and said in line for line in wrong), (name, wrong)


def test_each_execution_starts_and_completes_once_under_one_id() -> None:
    record = census_like()
    events = events_of(record)
    by_run: dict[str, list[str]] = {}
    for event in events:
        by_run.setdefault(event["run"]["runId"], []).append(event["eventType"])
    assert list(by_run.values()) == [["START", "COMPLETE"]] * len(record.executions)
    assert all(uuid.UUID(run).version == 5 for run in by_run)
    assert [event["eventTime"] for event in events] == sorted(event["eventTime"] for event in events)


def test_an_execution_has_one_id_in_whichever_record_it_stands() -> None:
    record = census_like()
    later = changed(record, model=15, created="2027-01-01T00:00:00+00:00", unknowns=[])
    assert [event["run"]["runId"] for event in events_of(record)] == [
        event["run"]["runId"] for event in events_of(later)
    ]


def test_a_failed_execution_ends_as_failed() -> None:
    record = census_like()
    executions = [item.model_copy(update={"state": "FAILED"}) for item in record.executions[:1]]
    events = events_of(record.model_copy(update={"executions": executions}))
    assert [event["eventType"] for event in events] == ["START", "FAIL"]


def test_a_record_without_executions_has_no_events() -> None:
    assert export(minimal(), "openlineage") == {"openlineage.ndjson": ""}


def test_what_one_job_makes_is_by_its_name_what_the_next_one_reads() -> None:
    events = events_of(census_like())
    made = {
        (item["namespace"], item["name"]) for item in named(events, "census.Transform", "COMPLETE")["outputs"]
    }
    read = {
        (item["namespace"], item["name"])
        for item in named(events, "census.PrivateTrainer", "START")["inputs"]
    }
    assert len(made) == 2
    assert made <= read


def test_the_version_of_a_dataset_is_the_digest_over_its_files() -> None:
    record = census_like()
    model = named(events_of(record), "census.PrivateTrainer", "COMPLETE")["outputs"][0]
    assert model["facets"]["version"]["datasetVersion"] == f"tree-sha256:{record.artifact(15).tree}"
    assert model["outputFacets"]["outputStatistics"]["fileCount"] == len(record.artifact(15).files)


def test_unread_files_have_no_version_and_no_statistics() -> None:
    record = census_like()
    unread = [item.model_copy(update={"files": [], "tree": None}) for item in record.artifacts]
    events = events_of(record.model_copy(update={"artifacts": unread}))
    model = named(events, "census.PrivateTrainer", "COMPLETE")["outputs"][0]
    assert "version" not in model["facets"]
    assert "outputFacets" not in model
    assert model["facets"]["tfxTrust_files"]["known"] is False


def test_licence_owner_and_query_of_sources_are_told() -> None:
    start = named(events_of(census_like()), "census.CsvExampleGen", "START")
    census, query = start["inputs"]
    tags = {(tag["key"], tag["value"]) for tag in census["facets"]["tags"]["tags"]}
    assert {("licence", "CC-BY-4.0"), ("retention", "2030-12-31"), ("personal_data", "age")} <= tags
    assert {owner["name"] for owner in census["facets"]["ownership"]["owners"]} == {
        "UCI Machine Learning Repository",
        "data-office@example.org",
    }
    assert start["job"]["facets"]["sql"]["query"].startswith("SELECT age, sex")
    assert query["namespace"] == "urn:tfx-trust:query"


def test_the_files_of_a_dataset_are_listed_where_it_is_first_named_alone() -> None:
    seen: dict[tuple[str, str], int] = {}
    for event in events_of(census_like()):
        for dataset in (*event["inputs"], *event["outputs"]):
            name = (dataset["namespace"], dataset["name"])
            seen[name] = seen.get(name, 0) + ("tfxTrust_files" in dataset["facets"])
    assert set(seen.values()) == {1}


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/srv/a b", ("file", "/srv/a b")),
        ("gs://bucket/a/b", ("gs://bucket", "a/b")),
        ("s3://bucket", ("s3://bucket", "/")),
        ("hdfs://node:8020/a", ("hdfs://node:8020", "/a")),
        ("file:///srv/a%20b", ("file", "/srv/a b")),
    ],
)
def test_datasets_are_named_as_openlineage_names_them(place: str, name: tuple[str, str]) -> None:
    record = census_like()
    moved = [item.model_copy(update={"uri": place}) for item in record.artifacts if item.id == 15]
    event = events_of(record.model_copy(update={"artifacts": moved}))
    model = named(event, "census.PrivateTrainer", "COMPLETE")["outputs"][0]
    assert (model["namespace"], model["name"]) == name
