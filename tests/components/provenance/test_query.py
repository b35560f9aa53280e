"""Questions to whole metadata stores: known answers, and slow twins."""

import hashlib
import json
from pathlib import Path

import pytest
from stores import Builder, Runs, chain, failed_run, four_runs, input_config, many_runs

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.mlmd import Store, open_store
from tfx_trust.components.provenance.answers import Answers, Impact
from tfx_trust.components.provenance.build import build_record
from tfx_trust.components.provenance.config import ProvenanceSettings, SourceDeclaration
from tfx_trust.components.provenance.criteria import Criterion, criterion_of
from tfx_trust.components.provenance.graph import Graph, route
from tfx_trust.components.provenance.lineage import downstream, model_of
from tfx_trust.components.provenance.query import data_of, impact, models_from
from tfx_trust.components.provenance.record import Record
from tfx_trust.components.provenance.writing import write_record

RECORD = "TrustProvenanceRecord"


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return four_runs(tmp_path_factory.mktemp("four"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def spans(folder: Path) -> Builder:
    """Two spans; a model of each, one of both, one tuned from the first, and the schema is of the first."""
    builder = Builder(folder, "spans").run("run-1")
    data = builder.folder / "data"
    builder.write(data, {"span-1/a.csv": b"a,b\n1,2\n", "span-2/a.csv": b"a,b\n3,4\n"})
    patterns = input_config(all="span-{SPAN}/*")
    gens = [
        builder.execute(
            "CsvExampleGen",
            outputs={"examples": [("Examples", "", {"span": number})]},
            parameters={"input_base": str(data), "input_config": patterns, "span": number},
        )["examples"]
        for number in (1, 2)
    ]  # Examples 1 and 2
    schema = builder.execute("SchemaGen", inputs={"examples": gens[:1]}, outputs={"schema": [("Schema",)]})
    train = {"outputs": {"model": [("Model",)]}, "kind": "Trainer"}
    first = builder.execute("Trainer", inputs={"examples": gens[:1]}, **train)  # 4
    second = builder.execute(
        "Trainer", inputs={"examples": gens[1:], "schema": [schema["schema"]]}, **train
    )  # 5
    builder.execute("Trainer", inputs={"examples": gens}, **train)  # 6
    builder.execute("Tuner", inputs={"examples": gens[1:], "base_model": [first["model"]]}, **train)  # 7
    builder.execute("Trainer", inputs={"examples": gens[1:]}, **train)  # 8
    assert second["model"] == 5
    return builder


def with_record(
    runs: Runs, model: int, declarations: list[SourceDeclaration] | None = None, *, edited: bool = False
) -> Path:
    """Puts the record of a model into its store, as ProvenanceTracker does."""
    store = open_store(runs.path)
    settings = ProvenanceSettings(declarations=declarations or [])
    record = build_record(store, store.artifacts([model])[model], settings).sealed()
    folder = runs.folder / "records" / str(model)
    write_record(record, folder)
    if edited:
        text = (folder / "record.json").read_text()
        (folder / "record.json").write_text(text.replace('"run-4"', '"run-5"'))
    told = {"record_digest": record.digest, "model_id": model}
    runs.builder.execute(
        "ProvenanceTracker",
        "tfx_trust.ProvenanceTracker",
        inputs={"model": [model]},
        outputs={"provenance_record": [(RECORD, str(folder), told)]},
    )
    return folder


# The whole store as a graph


def test_the_graph_agrees_with_walks_of_its_own(four: Runs) -> None:
    store = open_store(four.path)
    graph = Graph(store)
    for start in graph.artifacts:
        assert set(graph.made_of([start])) == set(downstream(store, [start]).artifacts)


def test_a_long_chain_is_followed_to_its_end(tmp_path: Path) -> None:
    graph = Graph(open_store(chain(tmp_path, 500).path))
    found = graph.made_of([1])
    assert len(found) == 501
    assert route(found, 501) == list(range(1, 502))


def test_of_a_run_that_was_served_from_the_cache_nothing_is_made_twice(four: Runs) -> None:
    graph = Graph(open_store(four.path))
    assert [len(entry.made) for entry in graph.sources] == [1]


# Criteria


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("a" * 64, "sha256", "a" * 64),
        ("A" * 64, "sha256", "a" * 64),
        ("3", "span", "3"),
        ("03", "span", "3"),
        ("span:3", "span", "3"),
        ("cc-by-4.0", "licence", "CC-BY-4.0"),
        ("MIT OR Apache-2.0", "licence", "MIT OR Apache-2.0"),
        ("license:MIT", "licence", "MIT"),
        ("UCI Adult", "source", "UCI Adult"),
        ("/data/gone.csv", "source", "/data/gone.csv"),
        ("source:3", "source", "3"),
        ("file:x.csv", "file", "x.csv"),
        ("artifact:7", "artifact", "7"),
        ("gs://bucket/data", "source", "gs://bucket/data"),
    ],
)
def test_the_form_tells_what_is_meant(text: str, kind: str, value: str) -> None:
    assert criterion_of(text) == Criterion(kind, value)  # type: ignore[arg-type]


def test_a_file_that_is_there_is_a_file_and_a_known_name_is_a_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MIT").write_text("")
    assert criterion_of("MIT").kind == "file"
    assert criterion_of("licence:MIT").kind == "licence"
    assert criterion_of("7", known=lambda name: name == "7") == Criterion("source", "7")
    assert criterion_of("span:7", known=lambda name: True) == Criterion("span", "7")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing is asked about"),
        ("span:x", "expected a number after span:"),
        ("artifact:x", "expected a number after artifact:"),
        ("sha256:abc", "expected 64 hexadecimal digits"),
        ("licence:nonsense", "nonsense"),
        ("source:", "nothing follows source:"),
    ],
)
def test_what_cannot_be_meant_is_told(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        criterion_of(text)


# Models from


@pytest.mark.parametrize("form", ["folder", "file", "sha256", "span", "prefix", "relative"])
def test_all_models_of_a_source_are_found(four: Runs, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(four.folder)
    train = four.data / "train.csv"
    asked = {
        "folder": f"{four.data}/",
        "file": str(train),
        "sha256": sha256(train),
        "span": "span:0",
        "prefix": f"source:{four.data}",
        "relative": "data/train.csv",
    }[form]
    found = models_from(open_store(four.path), asked)
    assert [item.id for item in found.models] == four.models[::-1]
    assert {item.relation for item in found.models} == {"trained"}
    assert found.origin.sources[0].place == str(four.data)
    assert found.origin.sources[0].made == [1]
    assert found.models[0].route == ["Examples 1", "Transform", "Examples 5", "Trainer", "Model 21"]
    assert (found.models[0].pipeline, found.models[0].run) == ("taxi", "run-4")


def test_how_a_model_came_of_it_is_told_and_the_others_are_left_out(tmp_path: Path) -> None:
    store = open_store(spans(tmp_path).path)
    first = {item.id: item.relation for item in models_from(store, "span:1").models}
    assert first == {4: "trained", 5: "derived", 6: "trained", 7: "model"}
    second = {item.id: item.relation for item in models_from(store, "2").models}
    assert second == {5: "trained", 6: "trained", 7: "trained", 8: "trained"}
    assert models_from(store, "span:3").models == []


def test_a_file_belongs_to_the_span_that_its_pattern_was_filled_with(tmp_path: Path) -> None:
    builder = spans(tmp_path)
    store = open_store(builder.path)
    found = models_from(store, str(tmp_path / "data/span-2/a.csv"))
    assert {item.id for item in found.models} == {5, 6, 7, 8}
    # Whether it is still there or not.
    (tmp_path / "data/span-2/a.csv").unlink()
    again = models_from(store, str(tmp_path / "data/span-2/a.csv"))
    assert {item.id for item in again.models} == {5, 6, 7, 8}
    with pytest.raises(InputError, match="no source of this store"):
        models_from(store, str(tmp_path / "data/span-3/a.csv"))


def test_a_copy_of_a_file_is_found_by_its_bytes(tmp_path: Path) -> None:
    builder = spans(tmp_path)
    copy = tmp_path / "copy"
    copy.write_bytes((tmp_path / "data/span-1/a.csv").read_bytes())
    found = models_from(open_store(builder.path), str(copy))
    assert {item.id for item in found.models} == {4, 5, 6, 7}
    assert found.origin.found_by == ["content"]
    at_home = models_from(open_store(builder.path), str(tmp_path / "data/span-1/a.csv"))
    assert at_home.origin.found_by == ["place", "content"]
    assert at_home.origin.digest == found.origin.digest == sha256(copy)


def test_a_file_of_an_artifact_is_found_by_place_and_where_asked_by_bytes(four: Runs, tmp_path: Path) -> None:
    store = open_store(four.path)
    inside = Path(four.builder.uri(5)) / "Split-train/data_tfrecord-00000-of-00001.gz"
    by_place = models_from(store, str(inside))
    assert by_place.origin.artifacts == [5]
    assert len(by_place.models) == 4
    assert models_from(store, sha256(inside)).models == []
    assert not models_from(store, sha256(inside)).decided
    assert models_from(store, sha256(inside), read=True).origin.artifacts == [5]


def test_an_unknown_digest_is_decided_only_where_all_are_known(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    nothing = models_from(open_store(runs.path), "f" * 64)
    assert nothing.models == []
    assert not nothing.decided
    assert "no record tells the digests of what 4 models came from" in nothing.unknowns[0]
    with_record(runs, runs.models[-1])
    # All four came of the same examples, of which the one record tells.
    told = models_from(open_store(runs.path), "f" * 64)
    assert told.decided
    assert told.unknowns == []


def test_what_a_record_saw_counts_when_the_file_was_replaced(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    before = sha256(runs.data / "train.csv")
    folder = with_record(runs, runs.models[-1])
    (runs.data / "train.csv").write_bytes(b"fare,tips\n99,1\n20,3\n")
    store = open_store(runs.path)
    assert [item.id for item in models_from(store, before).models] == runs.models[::-1]
    assert models_from(store, sha256(runs.data / "train.csv")).models == []
    by_place = models_from(store, str(runs.data / "train.csv"))
    assert by_place.origin.found_by == ["place"]
    tree = Record.load(folder).sources[0].tree
    assert tree is not None
    assert len(models_from(store, tree).models) == 4


def test_a_record_outside_of_the_store_is_asked_too(tmp_path: Path) -> None:
    runs = four_runs(tmp_path / "runs")
    store = open_store(runs.path)
    record = build_record(store, store.artifacts([21])[21], ProvenanceSettings()).sealed()
    write_record(record, tmp_path / "record")
    before = sha256(runs.data / "train.csv")
    (runs.data / "train.csv").write_bytes(b"other")
    assert models_from(store, before).models == []
    assert len(models_from(store, before, records=[str(tmp_path / "record")]).models) == 4
    other = four_runs(tmp_path / "others")
    with pytest.raises(InputError, match="name records of this store"):
        models_from(open_store(other.path), before, records=[str(tmp_path / "record")])


def test_an_edited_record_is_passed_over_and_told(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    with_record(runs, 21, edited=True)
    store = open_store(runs.path)
    found = data_of(store, store.artifacts([21])[21])
    assert found.record is None
    assert any("is not what it was when it was written" in text for text in found.unknowns)


def test_a_licence_is_found_alone_and_within_an_expression(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    with_record(runs, 21, [SourceDeclaration(name="Taxi Trips", licence="CC-BY-4.0 AND LicenseRef-city")])
    store = open_store(runs.path)
    for asked in ("CC-BY-4.0", "cc-by-4.0", "LicenseRef-city", "CC-BY-4.0 AND LicenseRef-city", "Taxi Trips"):
        found = models_from(store, asked)
        assert len(found.models) == 4, asked
        assert found.origin.sources[0].name == "Taxi Trips"
    nothing = models_from(store, "CC-BY-NC-4.0")
    assert nothing.models == []
    assert nothing.decided


def test_a_licence_that_lies_beside_the_data_needs_no_record(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    store = open_store(runs.path)
    undeclared = models_from(store, "CC-BY-4.0")
    assert not undeclared.decided
    assert "of 1 source no licence is known" in undeclared.unknowns[0]
    (tmp_path / "data" / "source.yaml").write_text("name: Taxi Trips\nlicence: CC-BY-4.0\n")
    assert len(models_from(store, "CC-BY-4.0").models) == 4
    assert len(models_from(store, "Taxi Trips").models) == 4


def test_an_unknown_source_is_told_with_the_known_ones(four: Runs) -> None:
    with pytest.raises(InputError, match="no source of this store is called 'Taxy'") as error:
        models_from(open_store(four.path), "Taxy")
    assert str(four.data) in str(error.value)
    with pytest.raises(InputError, match="no artifact 99 in this metadata store"):
        impact(open_store(four.path), "artifact:99")


# Impact


def test_the_impact_of_a_source_is_every_model_and_copy(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    (tmp_path / "serving/2/saved_model.pb").unlink()
    for folder in ("serving/2/variables", "serving/2"):
        for path in (tmp_path / folder).iterdir():
            path.unlink() if path.is_file() else None
        (tmp_path / folder).rmdir() if folder.endswith("variables") else None
    (tmp_path / "serving/2").rmdir()
    found = impact(open_store(runs.path), str(runs.data))
    assert [item.id for item in found.models] == [21, 16, 11, 6]
    copies = {copy.version: (copy.there, copy.served) for item in found.models for copy in item.copies}
    assert copies == {"4": (True, True), "3": (True, False), "2": (False, False), "1": (True, False)}
    assert all(item.blessed for item in found.models)
    assert all(item.newer is None for item in found.models)
    assert [task.what for task in found.tasks] == [
        "withdraw",
        "withdraw",
        "withdraw",
        "retrain",
        "delete",
        "delete",
    ]
    assert found.tasks[0].place == str(tmp_path / "serving/4")
    assert "served now" in found.tasks[0].message
    assert found.tasks[3].models == [21, 16, 11, 6]
    assert [item.id for item in found.held[:2]] == [1, 5]
    assert all(item.there for item in found.held)


def test_a_newer_model_that_does_without_takes_the_place(tmp_path: Path) -> None:
    builder = spans(tmp_path)
    builder.push("Pusher", 4, 1)
    found = impact(open_store(builder.path), "span:1")
    by_id = {item.id: item for item in found.models}
    # The newest of the node Trainer is 8; the Tuner has no other.
    assert by_id[4].newer is not None
    assert by_id[4].newer.id == 8
    assert by_id[7].newer is None
    tasks = {task.what: task for task in found.tasks}
    assert tasks["replace"].models == [8]
    assert tasks["retrain"].models == [7]
    assert tasks["withdraw"].models == [4]


def test_a_copy_of_a_model_that_was_only_compared_is_not_touched(tmp_path: Path) -> None:
    builder = spans(tmp_path)
    evaluated = builder.execute(
        "Evaluator",
        inputs={"model": [8], "baseline_model": [4]},
        outputs={"blessing": [("ModelBlessing", "", {"blessed": 1, "current_model_id": 8})]},
    )
    pushed = builder.execute(
        "Pusher",
        inputs={"model": [8], "model_blessing": [evaluated["blessing"]]},
        outputs={"pushed_model": [("PushedModel", "", {"pushed_destination": str(tmp_path / "serving/8")})]},
    )
    found = impact(open_store(builder.path), "span:1")
    assert 8 not in {item.id for item in found.models}
    assert pushed["pushed_model"] not in {item.id for item in found.held}
    assert not any(task.what == "withdraw" for task in found.tasks)
    replaced = next(task for task in found.tasks if task.what == "replace")
    assert "is blessed" in replaced.message


def test_a_pusher_that_was_not_allowed_to_push_made_no_copy(tmp_path: Path) -> None:
    builder = spans(tmp_path)
    builder.execute(
        "Pusher",
        inputs={"model": [4]},
        outputs={"pushed_model": [("PushedModel", "", {"pushed": 0})]},
    )
    found = impact(open_store(builder.path), "span:1")
    assert all(item.copies == [] for item in found.models)


def test_what_was_moved_is_not_said_to_be_gone(tmp_path: Path) -> None:
    runs = four_runs(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    store = open_store(str(tmp_path / "after/metadata.db"))
    unseen = impact(store, str(runs.data))
    assert {copy.there for item in unseen.models for copy in item.copies} == {None}
    assert {item.there for item in unseen.held} == {None}
    assert "See whether" in unseen.tasks[0].message
    moved = [(str(tmp_path / "before"), str(tmp_path / "after"))]
    seen = impact(store, str(tmp_path / "after/data"), rewrite=moved)
    assert {copy.there for item in seen.models for copy in item.copies} == {True}
    assert seen.models[0].uri.startswith(str(tmp_path / "after"))
    assert seen.models[0].copies[0].served
    assert all(item.there for item in seen.held)


def test_the_last_blessing_counts(tmp_path: Path) -> None:
    builder = spans(tmp_path)
    for blessed in (1, 0):
        told = {"blessed": blessed, "current_model_id": 4}
        builder.execute(
            "Evaluator", inputs={"model": [4]}, outputs={"blessing": [("ModelBlessing", "", told)]}
        )
    models = {item.id: item for item in models_from(open_store(builder.path), "span:1").models}
    assert models[4].blessed is False
    assert models[5].blessed is None


# Data of


def test_the_data_of_a_model_are_those_of_its_record(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    folder = with_record(runs, 21, [SourceDeclaration(name="Taxi Trips", licence="CC-BY-4.0")])
    store = open_store(runs.path)
    found = data_of(store, model_of(store, "latest"))
    assert found.record == str(folder)
    assert found.unknowns == []
    (source,) = found.sources
    assert (source.name, source.licence, source.files, source.known) == (
        "Taxi Trips",
        "CC-BY-4.0",
        2,
        "record",
    )
    assert [item.id for item in found.examples] == [5, 1]
    assert (found.examples[0].trained_on, found.examples[0].looked_at) == (["train"], ["eval"])
    assert found.examples[1].trained_on == []
    record = Record.load(folder)
    assert {item.id: item.tree for item in found.examples} == {
        number: record.artifact(number).tree for number in (1, 5)
    }


def test_what_is_not_recorded_is_said_to_be_so_and_read_where_asked(four: Runs) -> None:
    store = open_store(four.path)
    model = model_of(store, "11")
    silent = data_of(store, model)
    assert {item.known for item in [*silent.examples, *silent.sources]} == {"not recorded"}
    assert silent.unknowns == ["there is no record of this model"]
    read = data_of(store, model, read=True)
    assert {item.known for item in [*read.examples, *read.sources]} == {"now"}
    assert read.sources[0].files == 2
    assert read.sources[0].bytes == sum(path.stat().st_size for path in four.data.iterdir())


def test_the_span_of_examples_is_told(tmp_path: Path) -> None:
    store = open_store(spans(tmp_path).path)
    found = data_of(store, store.artifacts([6])[6])
    assert [(item.id, item.span) for item in found.examples] == [(1, 1), (2, 2)]
    assert [source.span for source in found.sources] == [1, 2]


def test_a_run_that_failed_is_answered(tmp_path: Path) -> None:
    runs = failed_run(tmp_path)
    store = open_store(runs.path)
    assert [item.id for item in impact(store, str(runs.data)).models] == runs.models
    assert data_of(store, model_of(store, "latest")).examples[0].id == 1


# All together


def test_answers_are_the_same_after_json(four: Runs) -> None:
    store = open_store(four.path)
    for question, answer in (
        ("impact", impact(store, str(four.data))),
        ("models_from", models_from(store, "span:0")),
        ("data_of", data_of(store, model_of(store, "latest"))),
    ):
        written = Answers.model_validate({"question": question, "answers": [answer]})
        read = Answers.model_validate(json.loads(written.model_dump_json()))
        assert read.answers[0] == answer
        assert type(read.answers[0]) is type(answer)


def test_many_runs_are_answered_as_few_are(tmp_path: Path) -> None:
    runs = many_runs(tmp_path, 60)
    store: Store = open_store(runs.path)
    found: Impact = impact(store, str(runs.data))
    assert [item.id for item in found.models] == runs.models[::-1]
    assert len({item.run for item in found.models}) == 60
