"""What a model was made of, and what was made of something: exactly that, whatever was cached or failed."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import Builder, Runs, chain, failed_run, four_runs, many_runs

from tfx_trust.components.errors import InputError
from tfx_trust.components.mlmd import Store, open_store
from tfx_trust.components.provenance import walk
from tfx_trust.components.provenance.lineage import Lineage, downstream, model_of, upstream
from tfx_trust.components.provenance.sources import files_of, sources_of


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return four_runs(tmp_path_factory.mktemp("four"))


@pytest.fixture(scope="module")
def store(runs: Runs) -> Store:
    return open_store(runs.path)


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path, files=False)


def held(lineage: Lineage) -> tuple[set[int], set[int]]:
    return set(lineage.artifacts), set(lineage.executions)


# Upstream


def test_after_four_runs_the_upstream_of_every_model_is_exactly_its_own(runs: Runs, store: Store) -> None:
    assert len(runs.models) == 4
    for model in runs.models:
        assert held(upstream(store, [model])) == runs.upstream[model]


def test_what_was_served_from_the_cache_is_told_by_run(runs: Runs, store: Store) -> None:
    lineage = upstream(store, [runs.models[0]])
    trainer = lineage.maker(runs.models[0])
    assert trainer is not None
    assert lineage.reused == {
        number: ["run-2", "run-3", "run-4"] for number in lineage.executions if number != trainer.id
    }


def test_every_artifact_has_its_maker_and_every_execution_what_it_read(runs: Runs, store: Store) -> None:
    model = runs.models[2]
    lineage = upstream(store, [model])
    trainer = lineage.maker(model)
    assert trainer is not None
    assert trainer.component == "Trainer"
    keys = {event.key for event in lineage.inputs_of(trainer.id)}
    assert keys == {"examples", "transform_graph", "schema"}
    assert [event.key for event in lineage.outputs_of(trainer.id)] == ["model"]
    assert all(lineage.maker(number) is not None for number in lineage.artifacts)
    assert lineage.unmade() == []
    assert [item.type for item in lineage.of_type("Examples")] == ["Examples", "Examples"]


def test_an_execution_that_completed_again_for_the_same_artifact_did_not_make_it(builder: Builder) -> None:
    schema = builder.run("run-1").execute("importer", "Importer", outputs={"result": [("Schema", "/s")]})
    builder.run("run-2").execute("other", "Importer")
    again = builder.execute("importer", "Importer")
    builder._event(again.execution, schema["result"], 4, "result", 0)
    builder._flush()
    lineage = upstream(open_store(builder.path), [schema["result"]])
    assert set(lineage.executions) == {schema.execution}
    assert lineage.reused == {schema.execution: ["run-2"]}


def test_what_a_resolver_chose_is_told_and_made_by_another(
    runs: Runs, store: Store, builder: Builder
) -> None:
    gen = builder.run("run-1").execute("gen", "CsvExampleGen", outputs={"examples": [("Examples",)]})
    chosen = builder.resolver("window", {"examples": gen.outputs["examples"]})
    trainer = builder.execute("Trainer", inputs=chosen.outputs, outputs={"model": [("Model",)]})
    lineage = upstream(open_store(builder.path), [trainer["model"]])
    assert set(lineage.executions) == {gen.execution, trainer.execution}
    assert [(event.execution, event.artifact) for event in lineage.selected] == [
        (chosen.execution, gen["examples"])
    ]


def test_a_baseline_is_not_upstream_of_a_model_but_of_its_evaluation(runs: Runs, store: Store) -> None:
    assert not set(runs.models[:-1]) & set(upstream(store, [runs.models[-1]]).artifacts)
    evaluation = [item for item in store.artifacts_of_type("ModelEvaluation")][-1]
    assert set(runs.models) & set(upstream(store, [evaluation.id]).artifacts) == set(runs.models[-2:])


def test_a_chain_of_3000_steps_is_walked_to_its_end(tmp_path: Path) -> None:
    store = open_store(chain(tmp_path, 3000).path)
    up, down = upstream(store, [3001]), downstream(store, [1])
    for lineage in (up, down):
        assert set(lineage.artifacts) == set(range(1, 3002))
        assert set(lineage.executions) == set(range(1, 3001))
    assert (up.reads, up.makes) == (down.reads, down.makes)


def test_among_many_runs_only_what_belongs_to_a_model_is_found(tmp_path: Path) -> None:
    runs = many_runs(tmp_path, 100)
    store = open_store(runs.path)
    for model in (runs.models[0], runs.models[-1]):
        assert held(upstream(store, [model])) == runs.upstream[model]
    lineage = downstream(store, [1])
    assert set(runs.models) | set(runs.pushed) <= set(lineage.artifacts)


def test_several_artifacts_share_one_lineage(runs: Runs, store: Store) -> None:
    both = upstream(store, runs.models[:2])
    assert both.starts == tuple(runs.models[:2])
    one, other = (runs.upstream[model] for model in runs.models[:2])
    assert held(both) == (one[0] | other[0], one[1] | other[1])


def test_an_artifact_that_is_not_there_is_refused(store: Store) -> None:
    for way in (upstream, downstream):
        with pytest.raises(InputError, match="there is no artifact 999"):
            way(store, [1, 999])


def test_the_running_execution_is_in_it_with_all_that_it_reads(builder: Builder) -> None:
    gen = builder.execute("CsvExampleGen", outputs={"examples": [("Examples",)]})
    trainer = builder.execute("Trainer", inputs=gen.outputs, outputs={"model": [("Model",)]})
    evaluator = builder.execute(
        "Evaluator", inputs=trainer.outputs, outputs={"evaluation": [("ModelEvaluation",)]}
    )
    own = builder.execute("Own", inputs=trainer.outputs | evaluator.outputs, state="RUNNING")
    store = open_store(builder.path)
    assert set(upstream(store, [trainer["model"]]).executions) == {gen.execution, trainer.execution}
    lineage = upstream(store, [trainer["model"]], running=own.execution)
    assert set(lineage.executions) == {gen.execution, trainer.execution, evaluator.execution, own.execution}
    assert {event.artifact for event in lineage.inputs_of(own.execution)} == {
        trainer["model"],
        evaluator["evaluation"],
    }


# What did not complete


def test_of_a_failed_run_what_completed_is_found_and_what_did_not_can_be_told(tmp_path: Path) -> None:
    runs = failed_run(tmp_path)
    store = open_store(runs.path)
    (model,) = runs.models
    assert held(upstream(store, [model])) == runs.upstream[model]
    assert [item.component for item in store.executions_of_run("run-1") if item.state == "FAILED"] == [
        "Evaluator"
    ]


@pytest.mark.parametrize("state", ["FAILED", "RUNNING", "CANCELED"])
def test_what_an_execution_left_that_did_not_complete_has_no_maker(builder: Builder, state: str) -> None:
    gen = builder.execute("CsvExampleGen", outputs={"examples": [("Examples",)]})
    trainer = builder.execute("Trainer", inputs=gen.outputs, outputs={"model": [("Model",)]}, state=state)
    lineage = upstream(open_store(builder.path), [trainer["model"]])
    assert [item.id for item in lineage.unmade()] == [trainer["model"]]
    assert held(lineage) == ({trainer["model"]}, set())
    (unfinished,) = lineage.unfinished[trainer["model"]]
    assert (unfinished.id, unfinished.state) == (trainer.execution, state)
    assert set(downstream(open_store(builder.path), [gen["examples"]]).artifacts) == {gen["examples"]}


# Downstream


def test_all_that_was_made_of_the_data_is_found_pushed_copies_included(runs: Runs, store: Store) -> None:
    gen = upstream(store, [runs.models[0]]).of_type("Examples")[0]
    lineage = downstream(store, [gen.id])
    assert set(runs.models) | set(runs.pushed) <= set(lineage.artifacts)
    assert lineage.of_type("PushedModel")[0].properties["pushed_destination"] == str(
        runs.builder.serving / "1"
    )
    assert all(event.artifact in lineage.artifacts for event in lineage.reads)
    assert {item.state for item in lineage.executions.values()} == {"COMPLETE"}


def test_a_later_model_comes_only_of_an_earlier_through_what_was_made_with_it(
    runs: Runs, store: Store
) -> None:
    lineage = downstream(store, [runs.models[1]])
    assert [item.id for item in lineage.of_type("Model")] == [runs.models[1]]
    assert [item.id for item in lineage.of_type("PushedModel")] == [runs.pushed[1]]
    # Its own evaluation, and the next one, in which it is the baseline.
    assert len(lineage.of_type("ModelEvaluation")) == 2


# Graphs at random, against a slow twin


@st.composite
def plans(draw: st.DrawFn) -> list[tuple[list[int], int, str]]:
    """Executions: which earlier artifacts each reads, how many it makes, and its state."""
    plan: list[tuple[list[int], int, str]] = []
    made = 0
    for _ in range(draw(st.integers(1, 12))):
        inputs = draw(st.lists(st.integers(1, made), max_size=3, unique=True)) if made else []
        count = draw(st.integers(0, 2))
        plan.append((inputs, count, draw(st.sampled_from(["COMPLETE", "COMPLETE", "FAILED"]))))
        made += count
    return plan


@settings(max_examples=10, deadline=None)
@given(plan=plans(), seed=st.integers(0, 1000))
@pytest.mark.parametrize("deep", [1, 2, 100])
def test_walks_find_what_a_slow_twin_finds(
    tmp_path_factory: pytest.TempPathFactory, deep: int, plan: list[tuple[list[int], int, str]], seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "_DEEP", deep)
        compare_with_slow_twin(tmp_path_factory.mktemp("graph"), plan, seed)


def compare_with_slow_twin(folder: Path, plan: list[tuple[list[int], int, str]], seed: int) -> None:
    builder = Builder(folder, files=False)
    made: dict[int, tuple[list[int], int]] = {}
    executions = []
    chance = random.Random(seed)
    with builder.bulk():
        for inputs, count, state in plan:
            found = builder.execute(
                "Step", "Step", inputs={"in": inputs}, outputs={"out": [("Examples",)] * count}, state=state
            )
            for number in found.outputs.get("out", []):
                executions.append(number)
                if state == "COMPLETE":
                    made[number] = (inputs, found.execution)
            if found.outputs and chance.random() < 0.5:
                builder.cached("Step", "Step", inputs={"in": inputs}, outputs=found.outputs)
        numbers = sorted(executions)
        if not numbers:
            builder.artifact("Examples", "alone")
            numbers = [1]
    start = chance.choice(numbers)

    def above(number: int) -> set[int]:
        inputs, _ = made.get(number, ([], 0))
        return {number}.union(*(above(item) for item in inputs)) if inputs else {number}

    store = open_store(builder.path)
    assert held(upstream(store, [start])) == (
        above(start),
        {made[number][1] for number in above(start) if number in made},
    )
    # An execution with several outputs leads to them all.
    assert set(downstream(store, [start]).artifacts) == {
        number for number in numbers if number == start or (number in made and start in above(number))
    }


# Which model is meant


def test_a_model_is_named_by_latest_by_id_or_by_place(runs: Runs, store: Store) -> None:
    uri = runs.builder.uri(runs.models[1])
    assert model_of(store, "latest").id == runs.models[-1]
    assert model_of(store, str(runs.models[0])).id == runs.models[0]
    for place in (uri, uri + "/", f"{uri}/Format-Serving", f"{uri}/Format-Serving/saved_model.pb"):
        assert model_of(store, place).id == runs.models[1]


def test_a_pushed_copy_names_the_model_that_it_was_made_of(runs: Runs, store: Store) -> None:
    assert model_of(store, str(runs.pushed[2])).id == runs.models[2]
    serving = runs.builder.serving / "3"
    for place in (str(serving), f"{serving}/variables", runs.builder.uri(runs.pushed[2])):
        assert model_of(store, place).id == runs.models[2]


def test_a_relative_place_is_taken_from_where_one_is(
    runs: Runs, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs.folder)
    assert model_of(store, "serving/4").id == runs.models[3]


def test_a_place_that_was_moved_is_found_where_it_is_now(runs: Runs, store: Store) -> None:
    moved = runs.builder.uri(runs.models[0]).replace(str(runs.folder), "/mnt/moved")
    rewrite = [(str(runs.folder), "/mnt/moved")]
    assert model_of(store, moved, rewrite=rewrite).id == runs.models[0]
    assert model_of(store, "/mnt/moved/serving/2", rewrite=rewrite).id == runs.models[1]
    told = store.artifacts([runs.models[0]])[runs.models[0]].uri
    assert model_of(store, told, rewrite=rewrite).id == runs.models[0], "where the store says that it lies"
    lineage = upstream(store, [runs.models[0]]).rewritten(rewrite)
    assert all(item.uri.startswith("/mnt/moved/") for item in lineage.artifacts.values())


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("1", "artifact 1 is of type Examples, no model"),
        ("999", "there is no artifact 999"),
        ("/nowhere", "no model of this metadata store lies at /nowhere"),
        ("newest", "no model of this metadata store lies at newest"),
        ("²", "no model of this metadata store lies at ²"),
        ("9" * 30, "no model of this metadata store lies at 999"),
    ],
)
def test_what_is_no_model_is_refused_and_the_models_named(
    runs: Runs, store: Store, wanted: str, told: str
) -> None:
    with pytest.raises(InputError) as caught:
        model_of(store, wanted)
    assert told in str(caught.value)
    assert all(f"{model} (" in str(caught.value) for model in runs.models)


def test_of_many_models_the_newest_are_named(tmp_path: Path) -> None:
    builder = Builder(tmp_path, files=False)
    with builder.bulk():
        for number in range(8):
            builder.artifact("Model", f"m{number}")
    with pytest.raises(InputError, match=r"its models are 8 \(.*, 4 \(.*\) and 3 older ones"):
        model_of(open_store(builder.path), "77")


def test_a_store_without_a_model_says_what_stopped_it(tmp_path: Path) -> None:
    runs = failed_run(tmp_path / "failed", at="Trainer")
    with pytest.raises(InputError, match="there is no model .*: Trainer of run run-1 is FAILED"):
        model_of(open_store(runs.path), "latest")
    with pytest.raises(InputError, match=r"there is no model in this metadata store$"):
        model_of(open_store(chain(tmp_path / "chain", 3).path), "latest")


def test_a_kind_of_model_of_ones_own_is_a_model_and_a_pushed_one_is_not(builder: Builder) -> None:
    from ml_metadata.proto import metadata_store_pb2 as pb

    base = pb.ArtifactType.SystemDefinedBaseType.Value("MODEL")
    builder.store.put_artifact_type(pb.ArtifactType(name="OwnModel", base_type=base))
    builder._types["artifact", "OwnModel"] = builder.store.get_artifact_type("OwnModel").id
    own = builder.artifact("OwnModel", "/own")
    builder.artifact("PushedModel", "/pushed")
    store = open_store(builder.path)
    assert model_of(store, "latest").id == model_of(store, str(own)).id == own
    with pytest.raises(InputError, match="of type PushedModel, no model"):
        model_of(store, "2")


# A store that TFX wrote


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Store]:
    """Two runs of a pipeline; of the second, all before SchemaGen is cached."""
    from tfx import v1 as tfx
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner

    folder = tmp_path_factory.mktemp("real")
    (folder / "data").mkdir()
    rows = "".join(f"{number},{number % 2}\n" for number in range(50))
    (folder / "data" / "taxi.csv").write_text("x,y\n" + rows)
    (folder / "imported").mkdir()
    path = str(folder / "metadata.db")
    for exclude in ([], ["eval"]):
        gen = tfx.components.CsvExampleGen(input_base=str(folder / "data"))
        chosen = tfx.dsl.Resolver(
            strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
            chosen=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Examples),
        ).with_id("chosen")
        chosen.add_upstream_node(gen)
        statistics = tfx.components.StatisticsGen(examples=chosen.outputs["chosen"])
        schema = tfx.components.SchemaGen(statistics=statistics.outputs["statistics"], exclude_splits=exclude)
        imported = tfx.dsl.Importer(
            source_uri=str(folder / "imported"), artifact_type=tfx.types.standard_artifacts.Schema
        ).with_id("imported")
        pipeline = tfx.dsl.Pipeline(
            "tiny",
            str(folder / "artifacts"),
            components=[gen, chosen, statistics, schema, imported],
            enable_cache=True,
            metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(path),
        )
        LocalDagRunner().run(pipeline)
    return folder, open_store(path)


@pytest.mark.slow
def test_of_a_store_of_tfx_the_upstream_is_exact(real: tuple[Path, Store]) -> None:
    _, store = real
    first, second = (item for item in store.artifacts_of_type("Schema") if "SchemaGen" in item.uri)
    for schema in (first, second):
        lineage = upstream(store, [schema.id])
        names = store.nodes(lineage.executions)
        assert sorted(names.values()) == ["CsvExampleGen", "SchemaGen", "StatisticsGen"]
        assert {item.state for item in lineage.executions.values()} == {"COMPLETE"}
        assert [item.type for item in lineage.artifacts.values()] == [
            "Examples",
            "ExampleStatistics",
            "Schema",
        ]
        assert len(lineage.selected) == 2
        gen = next(number for number, name in names.items() if name == "CsvExampleGen")
        runs = sorted(set(store.runs(store.executions()).values()))
        assert lineage.reused[gen] == [runs[1]]


@pytest.mark.slow
def test_of_a_store_of_tfx_the_raw_input_is_found(real: tuple[Path, Store]) -> None:
    folder, store = real
    schema = store.latest("Schema")
    assert schema is not None
    (source,) = sources_of(upstream(store, [schema.id]))
    assert (source.kind, source.place) == ("files", str(folder / "data"))
    assert (source.patterns, source.span) == ({"single_split": "*"}, None)
    assert files_of(source) == [str(folder / "data" / "taxi.csv")]
    imported = next(item for item in store.artifacts_of_type("Schema") if "SchemaGen" not in item.uri)
    (source,) = sources_of(upstream(store, [imported.id]))
    assert (source.kind, source.place, source.made) == ("import", str(folder / "imported"), [imported.id])
    assert files_of(source) == []
