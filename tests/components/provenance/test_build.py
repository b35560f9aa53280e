import datetime
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from stores import Builder, Runs, chain, failed_run, four_runs, input_config

from tfx_trust.components.errors import InputError
from tfx_trust.components.mlmd import open_store
from tfx_trust.components.provenance.build import build_record
from tfx_trust.components.provenance.config import IntendedUse, ProvenanceSettings, SourceDeclaration
from tfx_trust.components.provenance.hashing import tree_digest
from tfx_trust.components.provenance.judge import judge
from tfx_trust.components.provenance.record import FileEntry, Port, Record, Training
from tfx_trust.components.provenance.serving import serving_folder

NOW = datetime.datetime(2026, 11, 25, 12, 0, tzinfo=datetime.timezone.utc)
LATER = NOW + datetime.timedelta(hours=1)
SECRET = "Xq7Kv9Zt2Lm4Rw8P"


def record_of(builder: Builder, model: int, *, settings: dict[str, Any] | None = None, **more: Any) -> Record:
    store = open_store(builder.path)
    given = ProvenanceSettings.of(settings)
    return build_record(store, store.artifacts([model])[model], given, **{"now": NOW, **more})


def keep(builder: Builder, record: Record, *, run: str = "run-1", place: str = "records/1") -> int:
    """Puts a record into the store as ProvenanceTracker leaves it there."""
    sealed = record.sealed()
    builder.run(run)
    made = builder.execute(
        "ProvenanceTracker",
        "tfx_trust.components.provenance.component.ProvenanceTracker",
        inputs={"model": [sealed.model]},
        outputs={
            "provenance_record": [
                (
                    "TrustProvenanceRecord",
                    place,
                    {"record_digest": sealed.digest, "model_id": sealed.model},
                )
            ]
        },
    )
    number = made["provenance_record"]
    builder.write(builder.uri(number), {"record.json": sealed.to_bytes()})
    return number


def told(record: Record) -> list[tuple[str, str]]:
    return [(item.what, item.subject) for item in record.unknowns]


def entries(files: dict[str, bytes]) -> list[FileEntry]:
    return [
        FileEntry(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for path, content in sorted(files.items())
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return four_runs(tmp_path_factory.mktemp("four"))


# The lineage


def test_a_model_s_record_has_exactly_what_it_came_from(runs: Runs) -> None:
    for number, model in enumerate(runs.models, start=1):
        record = record_of(runs.builder, model)
        artifacts, executions = runs.upstream[model]
        assert {item.id for item in record.artifacts} == artifacts
        assert {item.id for item in record.executions} == executions
        assert [item.id for item in record.artifacts] == sorted(artifacts)
        assert {item.id: item.role for item in record.artifacts}[model] == "model"
        assert (record.pipeline, record.run) == ("taxi", f"run-{number}")
        assert all(item.state == "COMPLETE" for item in record.executions)


def test_the_record_of_the_second_of_four_runs(runs: Runs) -> None:
    record = record_of(runs.builder, runs.models[1])
    by_component = {item.component: item for item in record.executions}
    ids = {item.type: item.id for item in record.artifacts}
    examples, transformed = (item.id for item in record.artifacts if item.type == "Examples")
    assert list(by_component) == ["CsvExampleGen", "StatisticsGen", "SchemaGen", "Transform", "Trainer"]
    assert by_component["CsvExampleGen"].outputs == [Port(name="examples", artifact=examples)]
    assert by_component["CsvExampleGen"].reused_in == ["run-2", "run-3", "run-4"]
    assert by_component["CsvExampleGen"].run == "run-1"
    trainer = by_component["Trainer"]
    assert trainer.run == "run-2"
    assert trainer.reused_in == []
    assert trainer.inputs == [
        Port(name="examples", artifact=transformed),
        Port(name="schema", artifact=ids["Schema"]),
        Port(name="transform_graph", artifact=ids["TransformGraph"]),
    ]
    assert trainer.outputs == [Port(name="model", artifact=runs.models[1])]
    assert trainer.parameters == {
        "custom_config": '{"seed": 2, "learning_rate": 0.1}',
        "eval_args": '{"num_steps": 10, "splits": ["eval"]}',
        "run_fn": "json.dumps",
        "train_args": '{"num_steps": 200, "splits": ["train"]}',
    }
    assert record.training == Training(
        execution=trainer.id, examples=[transformed], splits=["train"], evaluation_splits=["eval"]
    )
    assert record.seeds == {"Trainer.custom_config.seed": 2}
    assert record.serving == "Format-Serving"
    model = record.artifact(record.model)
    assert model.files == entries(
        {
            name: f"{name} of Model {model.id}\n".encode()
            for name in (
                "Format-Serving/saved_model.pb",
                "Format-Serving/variables/variables.data-00000-of-00001",
                "Format-Serving/variables/variables.index",
            )
        }
    )
    assert model.tree == tree_digest(model.files)
    assert model.observed == record.created == "2026-11-25T12:00:00+00:00"
    assert record.artifact(examples).splits == ["train", "eval"]
    schema = record.artifact(ids["Schema"])
    assert record.schemas == {schema.uri: schema.files[0].sha256}
    (source,) = record.sources
    assert (source.id, source.kind, source.place) == ("source:1", "files", str(runs.data))
    assert source.made == [examples]
    assert source.files == entries(
        {"train.csv": b"fare,tips\n10,1\n20,3\n", "eval.csv": b"fare,tips\n15,2\n"}
    )
    assert [(item.parameter, item.reference, item.execution) for item in record.code] == [
        ("preprocessing_fn", "json.dumps", by_component["Transform"].id),
        ("run_fn", "json.dumps", trainer.id),
    ]
    assert "json/decoder.py" in [file.path for file in record.code[0].files]
    assert record.environment is None
    assert record.previous is None
    assert record.changes == []
    assert told(record) == [("repository", "git"), ("environment", "environment")]


def test_equal_inputs_give_equal_bytes(runs: Runs) -> None:
    first = record_of(runs.builder, runs.models[3], related=[runs.pushed[3]], here=True)
    second = record_of(runs.builder, runs.models[3], related=[runs.pushed[3]], here=True)
    assert first.sealed().to_bytes() == second.sealed().to_bytes()
    again = Record.of_bytes(first.sealed().to_bytes(), "x")
    assert again == first.sealed()
    assert again.content_digest() == again.digest


def test_what_is_connected_is_recorded_with_what_made_it_and_no_more(runs: Runs) -> None:
    model = runs.models[2]
    store = open_store(runs.path)
    evaluation = max(
        item.id
        for item in store.artifacts_of_type("ModelEvaluation")
        if item.id < runs.models[3] and item.id > model
    )
    record = record_of(runs.builder, model, related=[evaluation, model, runs.pushed[2]])
    related = {item.id for item in record.artifacts if item.role == "related"}
    assert related == {evaluation, runs.pushed[2]}
    assert {item.id for item in record.artifacts} == runs.upstream[model][0] | related
    evaluator = next(item for item in record.executions if item.component == "Evaluator")
    known = {item.id for item in record.artifacts}
    assert {port.artifact for port in (*evaluator.inputs, *evaluator.outputs)} <= known
    assert Port(name="model", artifact=model) in evaluator.inputs
    assert runs.models[1] not in {port.artifact for port in evaluator.inputs}
    assert {item.component for item in record.executions} >= {"Evaluator", "Pusher", "Trainer"}


def test_an_artifact_that_is_not_in_the_store_is_an_error(runs: Runs) -> None:
    with pytest.raises(InputError, match="there is no artifact 999"):
        record_of(runs.builder, runs.models[0], related=[999])


def test_the_environment_is_recorded_in_the_pipeline_alone(runs: Runs) -> None:
    record = record_of(runs.builder, runs.models[0], here=True, settings={"container": "census@sha256:1"})
    assert record.environment is not None
    assert record.environment.container == "census@sha256:1"
    assert ("environment", "environment") not in told(record)


def test_how_far_the_hashing_has_come_is_told(runs: Runs) -> None:
    steps: list[tuple[int, int]] = []
    record = record_of(runs.builder, runs.models[0], progress=lambda files, size: steps.append((files, size)))
    files = [file for item in record.artifacts for file in item.files]
    assert steps == sorted(steps)
    assert steps[-1] == (len(files), sum(file.size for file in files))
    assert record.to_bytes() == record_of(runs.builder, runs.models[0]).to_bytes()


def test_of_a_model_that_was_altered_the_training_is_the_one_before(tmp_path: Path) -> None:
    builder = Builder(tmp_path).run("run-1")
    examples = builder.execute("CsvExampleGen", outputs={"examples": [("Examples",)]})["examples"]
    trained = builder.execute(
        "Trainer",
        inputs={"examples": [examples]},
        outputs={"model": [("Model",)]},
        parameters={"train_args": "{}", "eval_args": "{}", "run_fn": "json.dumps"},
    )
    tuned = builder.execute(
        "ThresholdTuner",
        "tfx_trust.components.mitigation.component.ThresholdTuner",
        inputs={"model": [trained["model"]], "examples": [examples]},
        outputs={"model": [("Model",)]},
        parameters={"settings": '{"random_state": 4, "inner": {"sampling_seed": 0.5}}'},
    )
    record = record_of(builder, tuned["model"])
    assert record.training == Training(
        execution=trained.execution, examples=[examples], splits=["train"], evaluation_splits=["eval"]
    )
    assert record.seeds == {
        "ThresholdTuner.settings.inner.sampling_seed": "0.5",
        "ThresholdTuner.settings.random_state": 4,
    }


def test_a_long_chain_is_recorded_whole(tmp_path: Path) -> None:
    builder = chain(tmp_path, 300)
    record = record_of(builder, 301)
    assert len(record.artifacts) == 301
    assert len(record.executions) == 300


def test_a_store_that_was_moved_gives_the_same_bytes_elsewhere(tmp_path: Path) -> None:
    runs = four_runs(tmp_path / "old")
    before = record_of(runs.builder, runs.models[0])
    shutil.move(tmp_path / "old", tmp_path / "new")
    store = open_store(tmp_path / "new" / "metadata.db")
    model = store.artifacts([runs.models[0]])[runs.models[0]]
    rewrite = [(str(tmp_path / "old"), str(tmp_path / "new"))]
    after = build_record(store, model, ProvenanceSettings(), rewrite=rewrite, now=NOW)
    assert [item.tree for item in after.artifacts] == [item.tree for item in before.artifacts]
    assert [item.tree for item in after.sources] == [item.tree for item in before.sources]
    assert all(item.uri.startswith(str(tmp_path / "new")) for item in after.artifacts)
    lost = build_record(store, model, ProvenanceSettings(), now=NOW)
    assert [item.tree for item in lost.artifacts] == [None] * len(lost.artifacts)


# What is not known


def test_the_record_of_a_failed_run_says_what_is_missing(tmp_path: Path) -> None:
    runs = failed_run(tmp_path)
    record = record_of(runs.builder, runs.models[0])
    why = {item.what: item.why for item in record.unknowns}
    assert why["execution"] == "Evaluator failed in the run that made the model, so what it tells is missing"
    assert why["seed"].startswith("no seed is among the parameters of Trainer")
    assert why["splits"] == "which splits Trainer learned from is not among its parameters"
    assert record.training is not None
    assert record.training.splits == []


def test_in_the_pipeline_nodes_that_still_run_are_no_fault(tmp_path: Path) -> None:
    runs = failed_run(tmp_path)
    runs.builder.execute("Pusher", inputs={"model": runs.models}, state="RUNNING")
    tracker = runs.builder.execute("ProvenanceTracker", inputs={"model": runs.models}, state="RUNNING")
    assert [what for what, _ in told(record_of(runs.builder, runs.models[0], here=True))].count(
        "execution"
    ) == 1
    afterwards = record_of(runs.builder, runs.models[0], running=tracker.execution)
    said = [item.why for item in afterwards.unknowns if item.what == "execution"]
    assert any(text.startswith("Pusher has not ended") for text in said)
    assert not any(text.startswith("ProvenanceTracker") for text in said)


def test_files_that_are_gone_are_unknown_and_the_rest_is_recorded(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    examples = min(runs.upstream[runs.models[0]][0])
    shutil.rmtree(runs.builder.uri(examples))
    record = record_of(runs.builder, runs.models[0])
    entry = record.artifact(examples)
    assert (entry.tree, entry.files, entry.observed) == (None, [], "")
    assert ("artifact_files", f"artifact:{examples}") in told(record)
    assert all(item.tree for item in record.artifacts if item.id != examples)


def test_a_symbolic_link_in_an_artifact_is_refused_and_named(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    model = Path(runs.builder.uri(runs.models[0])) / "Format-Serving" / "saved_model.pb"
    model.rename(tmp_path / "elsewhere.pb")
    model.symlink_to(tmp_path / "elsewhere.pb")
    record = record_of(runs.builder, runs.models[0])
    (why,) = (item.why for item in record.unknowns if item.what == "artifact_files")
    assert "symbolic link" in why
    assert "saved_model.pb" in why


def test_raw_data_that_are_gone_are_unknown(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    shutil.rmtree(runs.data)
    record = record_of(runs.builder, runs.models[0])
    assert ("source_files", "source:1") in told(record)
    assert record.sources[0].tree is None


def test_raw_data_of_another_size_than_was_read_are_told(tmp_path: Path) -> None:
    builder = Builder(tmp_path).run("run-1")
    builder.write("data", {"train.csv": b"a\n1\n", "eval.csv": b"a\n2\n"})
    fingerprint = (
        "split:train,num_files:1,total_bytes:4,xor_checksum:1,sum_checksum:1\n"
        "split:eval,num_files:1,total_bytes:4,xor_checksum:1,sum_checksum:1"
    )
    gen = builder.execute(
        "CsvExampleGen",
        outputs={"examples": [("Examples", "", {"input_fingerprint": fingerprint})]},
        parameters={
            "input_base": str(tmp_path / "data"),
            "input_config": input_config(train="train.csv", eval="eval.csv"),
        },
    )
    model = builder.execute(
        "Trainer", inputs={"examples": gen.outputs["examples"]}, outputs={"model": [("Model",)]}
    )["model"]
    assert "source_read" not in [what for what, _ in told(record_of(builder, model))]
    builder.write("data", {"eval.csv": b"a\n22\n"})
    (why,) = (item.why for item in record_of(builder, model).unknowns if item.what == "source_read")
    assert why == (
        "split eval was read from 1 files of 4 bytes, and now there are 1 of 5: "
        "what lies there is not what was read"
    )


def test_a_query_an_import_and_what_nothing_made_are_unknown(tmp_path: Path) -> None:
    builder = Builder(tmp_path).run("run-1")
    queried = builder.execute(
        "BigQueryExampleGen",
        outputs={"examples": [("Examples",)]},
        parameters={"input_config": input_config(single_split="SELECT * FROM people")},
    )
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "x").write_text("x")
    imported = builder.execute(
        "Importer",
        outputs={"result": [("Examples", str(tmp_path / "given"))]},
        parameters={"artifact_uri": str(tmp_path / "given")},
    )
    found = builder.artifact("Examples", "found")
    gone = builder.artifact("Examples", "gone", state="DELETED")
    unfinished = builder.execute(
        "OtherGen", "OtherGen", outputs={"examples": [("Examples",)]}, state="FAILED"
    )
    examples = [queried["examples"], imported["result"], found, gone, unfinished["examples"]]
    model = builder.execute("Trainer", inputs={"examples": examples}, outputs={"model": [("Model",)]})[
        "model"
    ]
    record = record_of(builder, model)
    why = {(item.what, item.subject): item.why for item in record.unknowns}
    query = next(source for source in record.sources if source.kind == "query")
    assert "SELECT * FROM people" in why["source_query", query.id]
    assert "was imported from" in why["external", f"artifact:{imported['result']}"]
    assert "no execution in the metadata store made it" in why["producer", f"artifact:{found}"]
    assert (
        "the OtherGen that it is an output of failed" in why["producer", f"artifact:{unfinished['examples']}"]
    )
    assert "is DELETED" in why["deleted", f"artifact:{gone}"]


def test_what_a_resolver_chose_for_the_training_is_told(tmp_path: Path) -> None:
    builder = Builder(tmp_path).run("run-1")
    first = builder.execute("Trainer", outputs={"model": [("Model",)]})["model"]
    builder.run("run-2")
    examples = builder.execute("CsvExampleGen", outputs={"examples": [("Examples",)]})["examples"]
    builder.resolver("latest", {"model": [first]})
    second = builder.execute(
        "Trainer",
        inputs={"base_model": [first], "examples": [examples]},
        outputs={"model": [("Model",)]},
        parameters={"train_args": "{}"},
    )
    builder.run("run-3").resolver("latest", {"model": [second["model"]]})
    record = record_of(builder, second["model"])
    assert [subject for what, subject in told(record) if what == "resolver"] == [f"artifact:{first}"]
    assert record.training is not None
    assert record.training.execution == second.execution


def test_a_model_that_came_from_outside_has_no_training(tmp_path: Path) -> None:
    builder = Builder(tmp_path).run("run-1")
    model = builder.execute("Importer", outputs={"result": [("Model",)]})["result"]
    record = record_of(builder, model)
    assert record.training is None
    assert ("training", f"artifact:{model}") in told(record)


# What changed


def test_what_changed_since_a_record_is_named(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    model = runs.models[0]
    before = record_of(runs.builder, model)
    holder = keep(runs.builder, before)
    examples = min(runs.upstream[model][0])
    path = Path(runs.builder.uri(examples)) / "Split-train" / "data_tfrecord-00000-of-00001.gz"
    old = path.read_bytes()
    path.write_bytes(bytes([old[0] ^ 1]) + old[1:])
    record = record_of(runs.builder, model, now=LATER)
    (change,) = record.changes
    assert (change.artifact, change.path, change.kind) == (
        examples,
        "Split-train/data_tfrecord-00000-of-00001.gz",
        "changed",
    )
    assert (change.before, change.now) == (
        hashlib.sha256(old).hexdigest(),
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    assert (change.seen, change.found) == ("2026-11-25T12:00:00+00:00", "2026-11-25T13:00:00+00:00")
    assert record.previous is not None
    assert (record.previous.digest, record.previous.artifact) == (before.sealed().digest, holder)


def test_the_record_before_is_the_newest_of_the_same_pipeline(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    keep(runs.builder, record_of(runs.builder, runs.models[0]), place="records/1")
    newest = keep(runs.builder, record_of(runs.builder, runs.models[1], now=LATER), place="records/2")
    runs.builder.pipeline = "another"
    keep(runs.builder, record_of(runs.builder, runs.models[2], now=LATER), run="else", place="records/3")
    record = record_of(runs.builder, runs.models[3], now=LATER)
    assert record.previous is not None
    assert record.previous.artifact == newest
    assert Record.load(record.previous.uri).model == runs.models[1]


def test_a_record_that_was_edited_breaks_the_chain(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    holder = keep(runs.builder, record_of(runs.builder, runs.models[0]))
    path = Path(runs.builder.uri(holder)) / "record.json"
    edited = Record.load(path).model_copy(update={"run": "another"}).sealed()
    path.write_bytes(edited.to_bytes())
    record = record_of(runs.builder, runs.models[1], now=LATER)
    said = [item for item in record.unknowns if item.subject == f"artifact:{holder}"]
    assert [item.what for item in said] == ["earlier_observation"]
    assert "was edited" in said[0].why
    assert record.previous is not None
    assert record.previous.digest != edited.digest


@pytest.mark.parametrize("content", [None, b"", b"{}"])
def test_a_record_that_is_gone_or_none_is_told(tmp_path: Path, content: bytes | None) -> None:
    runs = four_runs(tmp_path)
    holder = keep(runs.builder, record_of(runs.builder, runs.models[0]))
    path = Path(runs.builder.uri(holder)) / "record.json"
    path.unlink() if content is None else path.write_bytes(content)
    record = record_of(runs.builder, runs.models[1], now=LATER)
    assert ("previous_record", f"artifact:{holder}") in told(record)
    assert record.previous is not None


def test_records_of_runs_that_were_cleared_away_are_one_unknown(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    holders = [
        keep(runs.builder, record_of(runs.builder, model), place=f"records/{model}") for model in runs.models
    ]
    for holder in holders[:3]:
        shutil.rmtree(runs.builder.uri(holder))
    record = record_of(runs.builder, runs.models[3], now=LATER)
    (unread,) = (item for item in record.unknowns if item.what == "earlier_record")
    assert unread.why.startswith("3 earlier records of this store cannot be read")
    assert not {"earlier_observation", "previous_record"} & {what for what, _ in told(record)}
    shutil.rmtree(runs.builder.uri(holders[3]))
    record = record_of(runs.builder, runs.models[3], now=LATER)
    assert ("previous_record", f"artifact:{holders[3]}") in told(record)
    assert "earlier_observation" not in {what for what, _ in told(record)}


def _reread(runs: Runs) -> int:
    """A fifth run, with data that are read anew."""
    builder = runs.builder.run("run-5")
    gen = builder.execute(
        "CsvExampleGen",
        outputs={"examples": [("Examples",)]},
        parameters={
            "input_base": str(runs.data),
            "input_config": input_config(train="train.csv", eval="eval.csv"),
            "span": 0,
        },
    )
    return builder.execute(
        "Trainer",
        inputs={"examples": gen.outputs["examples"]},
        outputs={"model": [("Model",)]},
        parameters={"run_fn": "json.dumps", "train_args": "{}"},
    )["model"]


@pytest.mark.parametrize(
    ("content", "anew", "reason"),
    [
        (b"fare,tips\n10,1\n20,4\n", False, "after_reading"),
        (b"fare,tips\n10,1\n20,4\n", True, "same_size"),
        (b"fare,tips\n10,1\n20,4\n30,5\n", True, "read_anew"),
    ],
)
def test_what_became_of_raw_data_is_told(tmp_path: Path, content: bytes, anew: bool, reason: str) -> None:
    runs = four_runs(tmp_path)
    keep(runs.builder, record_of(runs.builder, runs.models[3]))
    runs.builder.write(runs.data, {"train.csv": content})
    model = _reread(runs) if anew else runs.models[3]
    record = record_of(runs.builder, model, now=LATER)
    (change,) = record.changes
    assert (change.source, change.artifact, change.path) == ("source:1", None, "train.csv")
    assert change.reason == reason


def test_raw_data_that_did_not_change_are_no_change(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    keep(runs.builder, record_of(runs.builder, runs.models[3]))
    assert record_of(runs.builder, _reread(runs), now=LATER).changes == []


# Declarations


def test_declarations_are_found_beside_the_data_in_settings_and_in_artifacts(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    model = runs.models[0]
    declared = {"name": "Taxi trips", "licence": "CC0-1.0", "covers": [str(runs.data)]}
    record = record_of(runs.builder, model, settings={"declarations": [declared]})
    assert record.sources[0].declaration == SourceDeclaration.of(declared)
    assert record.sources[0].declared_in == "settings"
    assert record.obligations.licences == ["CC0-1.0"]
    number = runs.builder.artifact("TrustSourceDeclarations", "declared")
    shutil.rmtree(runs.builder.uri(number))
    runs.builder.write(runs.builder.uri(number), {"declarations.yaml": json.dumps([declared]).encode()})
    record = record_of(runs.builder, model, related=[number])
    assert record.sources[0].declared_in == runs.builder.uri(number)
    runs.builder.write(runs.data, {"source.yaml": b"name: Taxis of Chicago\nlicence: CC-BY-4.0\n"})
    record = record_of(runs.builder, model, related=[number])
    assert record.sources[0].declared_in == str(runs.data / "source.yaml")
    assert record.obligations.licences == ["CC-BY-4.0"]


def test_a_declaration_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    runs.builder.write(runs.data, {"source.yaml": b"licence: MIT\n"})
    record = record_of(runs.builder, runs.models[0])
    (why,) = (item.why for item in record.unknowns if item.what == "declaration")
    assert "source.yaml" in why


def test_a_schema_is_no_source_that_has_to_be_declared(tmp_path: Path) -> None:
    builder = Builder(tmp_path).run("run-1")
    builder.write("data", {"a.csv": b"a\n", "source.yaml": b"name: A\nlicence: CC0-1.0\ncovers: ['*.csv']\n"})
    builder.write("schemas", {"schema.pbtxt": b"feature {}\n"})
    schema = builder.execute(
        "ImportSchemaGen",
        outputs={"schema": [("Schema",)]},
        parameters={"schema_file": str(tmp_path / "schemas" / "schema.pbtxt")},
    )
    gen = builder.execute(
        "CsvExampleGen",
        outputs={"examples": [("Examples",)]},
        parameters={
            "input_base": str(tmp_path / "data"),
            "input_config": input_config(single_split="*.csv"),
        },
    )
    model = builder.execute(
        "Trainer",
        inputs={"examples": gen.outputs["examples"], "schema": schema.outputs["schema"]},
        outputs={"model": [("Model",)]},
        parameters={"run_fn": "json.dumps", "train_args": '{"splits": ["train"]}'},
    )["model"]
    use = IntendedUse(purpose="research")
    record = record_of(builder, model, settings={"use": use})
    assert record.obligations.undeclared == []
    checks = {item.check for item in judge(record.sealed(), ProvenanceSettings(use=use)).findings}
    assert "undeclared_source" not in checks


# Secrets


def test_planted_secrets_are_in_no_byte_of_the_record_or_its_report(tmp_path: Path) -> None:
    builder = Builder(tmp_path).run("run-1")
    builder.write("data", {"a.csv": b"a\n"})
    connection = json.dumps({"mysql": {"host": "db", "user": "root", "password": SECRET}})
    gen = builder.execute(
        "BigQueryExampleGen",
        outputs={"examples": [("Examples", "", {"api_key": SECRET, "note": f"token={SECRET}"})]},
        parameters={
            "input_config": input_config(
                single_split=f"SELECT * FROM EXTERNAL_QUERY('mysql://root:{SECRET}@db/census')"
            ),
            "connection": connection,
        },
    )
    csv = builder.execute(
        "CsvExampleGen",
        outputs={"examples": [("Examples",)]},
        parameters={"input_base": f"ftp://root:{SECRET}@data.example.org/people"},
    )
    trainer = builder.execute(
        "Trainer",
        inputs={"examples": [gen["examples"], csv["examples"]]},
        outputs={"model": [("Model", "", {"connection_string": SECRET})]},
        parameters={
            "run_fn": "json.dumps",
            "custom_config": json.dumps(
                {"beam": ["--runner=x", "--db_password", SECRET], "inner": connection, "token_seed": 3}
            ),
            "module_file": f"https://{SECRET}@code.example.org/model.py",
            "push": f"postgres://root:{SECRET}@db/models",
        },
    )
    builder.execute("Evaluator", inputs={"model": [trainer["model"]]}, state="FAILED")
    record = record_of(builder, trainer["model"], here=True).sealed()
    report = judge(record, ProvenanceSettings())
    for content in (record.to_bytes().decode(), report.to_json()):
        assert SECRET not in content
    assert "***" in record.to_bytes().decode()


def _times(record: Record) -> Sequence[str]:
    return [item.created for item in record.artifacts] + [
        text for item in record.executions for text in (item.started, item.finished)
    ]


def test_times_are_iso_8601_in_utc(runs: Runs) -> None:
    record = record_of(
        runs.builder,
        runs.models[0],
        now=datetime.datetime(
            2026, 11, 25, 14, 0, 0, 999, tzinfo=datetime.timezone(datetime.timedelta(hours=2))
        ),
    )
    assert record.created == "2026-11-25T12:00:00+00:00"
    for text in _times(record):
        assert datetime.datetime.fromisoformat(text).utcoffset() == datetime.timedelta(0)
        assert text.endswith("+00:00")


@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (["Format-Serving/saved_model.pb", "Format-TFMA/saved_model.pb"], "Format-Serving"),
        (["eval_model_dir/1/saved_model.pb", "serving_model_dir/saved_model.pb"], "serving_model_dir"),
        (["serving_model_dir/export/taxi/1700/saved_model.pb"], "serving_model_dir/export/taxi/1700"),
        (["Format-Serving/export/taxi/1700/saved_model.pb"], "Format-Serving/export/taxi/1700"),
        (["Format-Serving/model.json", "notes.txt"], "Format-Serving"),
        (["b/deep/saved_model.pb", "a/saved_model.pb", "a/assets.extra/x/saved_model.pb"], "a"),
        (["saved_model.pb", "variables/variables.index"], None),
        (["weights.h5"], None),
        ([], None),
    ],
)
def test_the_folder_that_is_served_is_found(paths: list[str], folder: str | None) -> None:
    assert serving_folder(entries({path: b"" for path in paths})) == folder
