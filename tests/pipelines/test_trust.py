"""Composing the standard pipeline: what it is made of, and what it refuses."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from example_gates import IdleFilter, IdleModelStep, OpinionGate, PushLooker, SilentGate
from google.protobuf import json_format
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import transform_pb2
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel
from tfx.v1.components import StatisticsGen

from tfx_trust import schemas
from tfx_trust.components import InputError, PrivateTrainer, ProvenanceTracker, UsageError
from tfx_trust.components.provenance.content import ContentAware
from tfx_trust.components.release.config import ReleasePolicy
from tfx_trust.pipelines import Filter, Gate, ModelStep, Nodes, PushStep, create_pipeline, eval_config
from tfx_trust.pipelines.census.data import COLUMNS, LABEL

STANDARD = [
    "CsvExampleGen",
    "Evaluator",
    "ExampleValidator",
    "ImportSchemaGen",
    "Pusher",
    "Resolver",
    "StatisticsGen",
    "Trainer",
    "Transform",
]


def opinion(severity: str = "info", name: str = "opinion") -> Gate:
    return Gate(
        name,
        lambda nodes: OpinionGate(model=nodes.trainer.outputs["model"], severity=severity).with_id(name),
    )


def idle(name: str = "idle") -> Filter:
    return Filter(
        name, lambda examples, schema: [IdleFilter(unfiltered=examples, schema=schema).with_id(name)]
    )


def idle_step(name: str = "step") -> ModelStep:
    return ModelStep(
        name,
        lambda model, examples, schema: [
            IdleModelStep(before=model, examples=examples, schema=schema).with_id(name)
        ],
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "eval"):
        (tmp_path / "data" / split).mkdir(parents=True)
        (tmp_path / "data" / split / "a.csv").write_text(",".join(COLUMNS) + "\n" + ",".join("1" * 15) + "\n")
    return tmp_path / "data"


@pytest.fixture
def compose(tmp_path: Path, folder: Path) -> Callable[..., Pipeline]:
    def make(**changes: Any) -> Pipeline:
        settings: dict[str, Any] = {
            "name": "test",
            "root": str(tmp_path),
            "data": str(folder),
            "schema": schemas.path("census.pbtxt"),
            "preprocessing_fn": "tfx_trust.pipelines.census.features.preprocessing_fn",
            "run_fn": "tfx_trust.pipelines.census.model.run_fn",
            "evaluation": eval_config(LABEL, at_least={"AUC": 0.5}),
        }
        return create_pipeline(**{**settings, **changes})

    return make


def node(pipeline: Pipeline, name: str) -> Any:
    return next(item for item in pipeline.components if item.id == name)


def readers(pipeline: Pipeline, producer: str, kind: Any = standard_artifacts.Examples) -> set[str]:
    """Ids of the nodes that read examples, or artifacts of another kind, from the node named."""
    return {
        item.id
        for item in pipeline.components
        for channel in item.inputs.values()
        if channel.type is kind and getattr(channel, "producer_component_id", None) == producer
    }


def policy_of(pipeline: Pipeline) -> ReleasePolicy:
    return ReleasePolicy.of(node(pipeline, "ReleaseGate").exec_properties["policy"])


def test_it_is_the_standard_pipeline_with_one_release_gate(compose: Callable[..., Pipeline]) -> None:
    assert sorted(item.id for item in compose().components) == sorted([*STANDARD, "ReleaseGate"])


def test_pusher_and_resolver_go_by_the_release_gate_alone(compose: Callable[..., Pipeline]) -> None:
    pipeline = compose(gates=[opinion()])
    blessing = node(pipeline, "Pusher").inputs["model_blessing"]
    assert blessing.producer_component_id == "ReleaseGate"
    judge = node(pipeline, "Resolver").raw_inputs["model_blessing"]
    assert judge.producer_component_id == "ReleaseGate"


def test_gates_of_ones_own_are_weighed_and_required(compose: Callable[..., Pipeline]) -> None:
    pipeline = compose(gates=[opinion(), opinion(name="second")])
    assert {"report_opinion", "report_second"} <= set(node(pipeline, "ReleaseGate").inputs)
    assert policy_of(pipeline).required == ["opinion", "second"]


def test_a_gate_left_out_is_waived_and_not_required(compose: Callable[..., Pipeline]) -> None:
    pipeline = compose(gates=[opinion(), opinion(name="second")], without=["second"])
    assert policy_of(pipeline).required == ["opinion"]
    assert policy_of(pipeline).waived == ["second"]
    assert "second" not in {item.id for item in pipeline.components}


def test_what_the_user_requires_stands_even_if_no_such_gate_is_there(
    compose: Callable[..., Pipeline],
) -> None:
    assert policy_of(compose(policy={"required": ["privacy"]})).required == ["privacy"]


def test_without_the_release_gate_it_is_plain_tfx(compose: Callable[..., Pipeline]) -> None:
    pipeline = compose(gates=[opinion()], without=["release"])
    assert sorted(item.id for item in pipeline.components) == STANDARD
    assert node(pipeline, "Pusher").inputs["model_blessing"].producer_component_id == "Evaluator"


def test_transform_analyses_the_train_split_alone(compose: Callable[..., Pipeline]) -> None:
    written = node(compose(), "Transform").exec_properties["splits_config"]
    config = json_format.Parse(written, transform_pb2.SplitsConfig())
    assert list(config.analyze) == ["train"]


def test_edited_code_changes_the_cache_key(
    compose: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "edited_model.py"

    def parameters(code: str) -> list[str]:
        module.write_text(code)
        return node(compose(run_fn="edited_model.run_fn"), "Trainer").executor_spec.extra_flags

    first = parameters("def run_fn(fn_args): ...\n")
    assert first
    assert parameters("def run_fn(fn_args): ...\n") == first
    assert parameters("def run_fn(fn_args): return\n") != first


def test_an_edited_schema_is_imported_anew(compose: Callable[..., Pipeline], tmp_path: Path) -> None:
    edited = tmp_path / "schema.pbtxt"
    edited.write_text(Path(schemas.path("census.pbtxt")).read_text())
    first = node(compose(schema=str(edited)), "ImportSchemaGen").exec_properties["schema_file"]
    assert Path(first).read_text() == edited.read_text()
    edited.write_text(edited.read_text() + "\n# a wider domain\n")
    assert node(compose(schema=str(edited)), "ImportSchemaGen").exec_properties["schema_file"] != first


def test_a_module_file_is_taken_as_well(compose: Callable[..., Pipeline], tmp_path: Path) -> None:
    module = tmp_path / "module" / "user_model.py"
    with pytest.raises(InputError, match=r"user_model\.py: no such file; run_fn is to be found there"):
        compose(run_fn=str(module))
    module.parent.mkdir()
    module.write_text("def run_fn(fn_args): ...\n")
    assert node(compose(run_fn=str(module)), "Trainer").exec_properties["module_file"]


def empty(path: Path) -> None:
    path.write_text("")


def header_only(path: Path) -> None:
    path.write_text(",".join(COLUMNS) + "\n")


PRIVACY = {"epsilon": 3.0, "epochs": 1}
CANARIES = {**PRIVACY, "label": LABEL, "canaries": {"count": 20}}


def test_a_trainer_of_ones_own_takes_the_place_of_tfxs(compose: Callable[..., Pipeline]) -> None:
    pipeline = compose(trainer=partial(PrivateTrainer, privacy=PRIVACY), custom_config={"seed": 3})
    names = [item.id for item in pipeline.components]
    expected = {*STANDARD, "PrivateTrainer", "ReleaseGate"} - {"Trainer"}
    assert sorted(names) == sorted(expected)
    trainer = node(pipeline, "PrivateTrainer")
    assert trainer.inputs["examples"].producer_component_id == "Transform"
    assert trainer.inputs["transform_graph"].producer_component_id == "Transform"
    assert trainer.exec_properties["custom_config"] == '{"seed": 3}'
    assert readers(pipeline, "PrivateTrainer", standard_artifacts.Model) == {
        "Evaluator",
        "ReleaseGate",
        "Pusher",
    }


def test_raw_examples_reach_a_trainer_that_makes_canaries_and_no_other(
    compose: Callable[..., Pipeline],
) -> None:
    with_canaries = compose(filters=[idle()], trainer=partial(PrivateTrainer, privacy=CANARIES))
    raw = node(with_canaries, "PrivateTrainer").inputs["canary_examples"]
    assert raw.producer_component_id == "idle"
    without = compose(trainer=partial(PrivateTrainer, privacy=PRIVACY))
    assert "canary_examples" not in node(without, "PrivateTrainer").inputs


def test_a_gate_may_be_a_component_that_is_there_already(compose: Callable[..., Pipeline]) -> None:
    privacy = Gate("privacy", lambda nodes: nodes.trainer)
    pipeline = compose(trainer=partial(PrivateTrainer, privacy=PRIVACY), gates=[privacy])
    names = [item.id for item in pipeline.components]
    assert names.count("PrivateTrainer") == 1
    report = node(pipeline, "ReleaseGate").inputs["report_privacy"]
    assert report.producer_component_id == "PrivateTrainer"
    assert policy_of(pipeline).required == ["privacy"]


def test_a_trainer_of_ones_own_runs_anew_when_it_or_the_users_code_is_edited(
    compose: Callable[..., Pipeline],
) -> None:
    gates = [Gate("privacy", lambda nodes: nodes.trainer)]
    flags = [
        node(
            compose(trainer=partial(PrivateTrainer, privacy=PRIVACY), gates=given), "PrivateTrainer"
        ).executor_spec.extra_flags
        for given in ([], gates)
    ]
    assert len(set(flags[0])) == 2
    assert flags[0] == flags[1]


def test_a_trainer_without_a_model_is_refused(compose: Callable[..., Pipeline]) -> None:
    def trainer(**arguments: Any) -> Any:
        return StatisticsGen(examples=arguments["examples"]).with_id("odd")

    with pytest.raises(UsageError, match="the trainer StatisticsGen has no output 'model'"):
        compose(trainer=trainer)


def unlabelled(path: Path) -> None:
    path.write_text("age,sex\n39,Male\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (empty, r"eval/a\.csv: the file is empty"),
        (header_only, r"eval/a\.csv: a header but no example"),
        (lambda path: path.write_bytes(b"\xe9,over_50k\n1,1\n"), r"eval/a\.csv: not UTF-8"),
        (unlabelled, r"eval/a\.csv: no column 'over_50k', the label; its header has age, sex"),
        (Path.unlink, r"data: no eval/\*\.csv"),
    ],
)
def test_data_that_cannot_be_used_is_named(
    compose: Callable[..., Pipeline], folder: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(folder / "eval" / "a.csv")
    with pytest.raises(InputError, match=said):
        compose()


def test_a_missing_data_folder_is_named(compose: Callable[..., Pipeline], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such folder; it should hold train/\*\.csv"):
        compose(data=str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such schema file"),
        ("feature {", "not a text-format Schema proto"),
        ('feature { name: "age" }', "no feature 'over_50k', the label; it has age"),
    ],
)
def test_a_schema_that_cannot_be_used_is_named(
    compose: Callable[..., Pipeline], tmp_path: Path, text: str | None, said: str
) -> None:
    path = tmp_path / "schema.pbtxt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=rf"schema\.pbtxt: {said}"):
        compose(schema=str(path))


def test_an_unknown_gate_is_named_with_the_known_ones(compose: Callable[..., Pipeline]) -> None:
    with pytest.raises(
        UsageError, match="unknown gate 'opinon': known are opinion, release; did you mean 'opinion'"
    ):
        compose(gates=[opinion()], without=["opinon"])


def test_two_gates_of_one_name_are_refused(compose: Callable[..., Pipeline]) -> None:
    with pytest.raises(UsageError, match="gate names must differ"):
        compose(gates=[opinion(), opinion()])


@pytest.mark.parametrize("name", ["release", "evaluation", "anomalies"])
def test_a_name_that_the_decision_uses_itself_is_refused(compose: Callable[..., Pipeline], name: str) -> None:
    with pytest.raises(UsageError, match=f"a gate must not be named '{name}'"):
        compose(gates=[opinion(name=name)])


def test_the_label_may_be_made_by_preprocessing(compose: Callable[..., Pipeline]) -> None:
    evaluation = eval_config("label_xf", at_least={"AUC": 0.5})
    evaluation.model_specs[0].preprocessing_function_names.append("transform_features")
    assert node(compose(evaluation=evaluation), "Evaluator")


def test_an_evaluation_of_no_model_is_refused(compose: Callable[..., Pipeline]) -> None:
    evaluation = eval_config("label", at_least={"AUC": 0.5})
    del evaluation.model_specs[:]
    with pytest.raises(UsageError, match="has no model_specs"):
        compose(evaluation=evaluation)


def test_one_empty_shard_is_no_fault(compose: Callable[..., Pipeline], folder: Path) -> None:
    header_only(folder / "eval" / "b.csv")
    assert node(compose(), "CsvExampleGen")


def test_a_gate_without_a_report_is_refused(compose: Callable[..., Pipeline]) -> None:
    silent = Gate("silent", lambda nodes: SilentGate(model=nodes.trainer.outputs["model"]))
    with pytest.raises(UsageError, match="gate 'silent': .* has 0 outputs of type TrustReport"):
        compose(gates=[silent])


def test_a_gate_name_that_is_no_identifier_is_refused(compose: Callable[..., Pipeline]) -> None:
    with pytest.raises(UsageError, match="report name 'my gate' is not allowed"):
        compose(gates=[opinion(name="my gate")])


def test_what_the_last_filter_gives_is_what_all_others_read(compose: Callable[..., Pipeline]) -> None:
    unfiltered = readers(compose(), "CsvExampleGen")
    assert unfiltered == {"StatisticsGen", "Transform", "Evaluator"}
    pipeline = compose(filters=[idle("first"), idle("second")])
    assert readers(pipeline, "CsvExampleGen") == {"first"}
    assert readers(pipeline, "first") == {"second"}
    assert readers(pipeline, "second") == unfiltered


@pytest.mark.parametrize(("filters", "producer"), [([], "CsvExampleGen"), ([idle()], "idle")])
def test_a_gate_is_shown_the_examples_that_the_model_learns_from(
    compose: Callable[..., Pipeline], filters: list[Filter], producer: str
) -> None:
    shown: list[BaseChannel] = []

    def build(nodes: Nodes) -> Any:
        shown.append(nodes.examples)
        return OpinionGate(model=nodes.trainer.outputs["model"], severity="info")

    compose(filters=filters, gates=[Gate("looking", build)])
    assert [channel.producer_component_id for channel in shown] == [producer]


def test_a_filter_is_given_the_schema(compose: Callable[..., Pipeline]) -> None:
    schema = node(compose(filters=[idle()]), "idle").inputs["schema"]
    assert schema.producer_component_id == "ImportSchemaGen"


def test_a_filter_stays_though_the_release_gate_is_left_out(compose: Callable[..., Pipeline]) -> None:
    pipeline = compose(filters=[idle()], without=["release"])
    assert sorted(item.id for item in pipeline.components) == sorted([*STANDARD, "idle"])


def test_every_component_of_a_filter_is_in_the_pipeline_and_runs_anew_when_edited(
    compose: Callable[..., Pipeline],
) -> None:
    def build(examples: BaseChannel, schema: BaseChannel) -> list[Any]:
        first = IdleFilter(unfiltered=examples, schema=schema).with_id("first")
        return [first, IdleFilter(unfiltered=first.outputs["examples"], schema=schema).with_id("last")]

    pipeline = compose(filters=[Filter("both", build)])
    for name in ("first", "last"):
        (flag,) = node(pipeline, name).executor_spec.extra_flags
        assert flag.startswith("--source_digest=")
    assert readers(pipeline, "last") == {"StatisticsGen", "Transform", "Evaluator"}


def test_a_filter_of_nothing_is_refused(compose: Callable[..., Pipeline]) -> None:
    with pytest.raises(UsageError, match="filter 'none' builds no component"):
        compose(filters=[Filter("none", lambda examples, schema: [])])


def test_a_filter_that_gives_no_examples_is_refused(compose: Callable[..., Pipeline]) -> None:
    def build(examples: BaseChannel, schema: BaseChannel) -> list[Any]:
        return [
            IdleFilter(unfiltered=examples, schema=schema),
            StatisticsGen(examples=examples).with_id("more"),
        ]

    said = "filter 'odd': StatisticsGen comes last and has no output 'examples'.*; its outputs: statistics"
    with pytest.raises(UsageError, match=said):
        compose(filters=[Filter("odd", build)])


def test_two_filters_of_one_name_are_refused(compose: Callable[..., Pipeline]) -> None:
    with pytest.raises(UsageError, match="filter names must differ: idle"):
        compose(filters=[idle(), idle()])


def test_what_the_last_model_step_gives_is_what_all_others_read(compose: Callable[..., Pipeline]) -> None:
    model = standard_artifacts.Model
    unaltered = readers(compose(gates=[opinion()]), "Trainer", model)
    assert unaltered == {"Evaluator", "ReleaseGate", "Pusher", "opinion"}
    looking = Gate(
        "looking", lambda nodes: OpinionGate(model=nodes.model, severity="info").with_id("looking")
    )
    pipeline = compose(gates=[looking], model_steps=[idle_step("first"), idle_step("second")])
    assert readers(pipeline, "Trainer", model) == {"first"}
    assert readers(pipeline, "first", model) == {"second"}
    assert readers(pipeline, "second", model) == {"Evaluator", "ReleaseGate", "Pusher", "looking"}


def test_the_baseline_is_looked_for_beside_the_model_of_the_last_step(
    compose: Callable[..., Pipeline],
) -> None:
    resolver = node(compose(model_steps=[idle_step()]), "Resolver")
    assert resolver.raw_inputs["candidate"].producer_component_id == "step"


def test_a_model_step_is_given_the_filtered_examples_and_the_schema(compose: Callable[..., Pipeline]) -> None:
    step = node(compose(filters=[idle()], model_steps=[idle_step()]), "step")
    assert step.inputs["examples"].producer_component_id == "idle"
    assert step.inputs["schema"].producer_component_id == "ImportSchemaGen"


def test_a_model_step_runs_anew_when_edited_and_stays_without_the_release_gate(
    compose: Callable[..., Pipeline],
) -> None:
    pipeline = compose(model_steps=[idle_step()], without=["release"])
    (flag,) = node(pipeline, "step").executor_spec.extra_flags
    assert flag.startswith("--source_digest=")
    assert sorted(item.id for item in pipeline.components) == sorted([*STANDARD, "step"])
    assert node(pipeline, "Pusher").inputs["model"].producer_component_id == "step"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([ModelStep("none", lambda model, examples, schema: [])], "model step 'none' builds no component"),
        (
            [
                ModelStep(
                    "odd", lambda model, examples, schema: [StatisticsGen(examples=examples).with_id("more")]
                )
            ],
            "model step 'odd': StatisticsGen comes last and has no output 'model'",
        ),
        ([idle_step(), idle_step()], "model step names must differ: step"),
    ],
)
def test_a_model_step_that_cannot_be_is_refused(
    compose: Callable[..., Pipeline], steps: list[ModelStep], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        compose(model_steps=steps)


def judged_push(name: str = "looking", needs: Sequence[str] = ("opinion",)) -> PushStep:
    return PushStep(
        name,
        lambda pushed, reports: [PushLooker(pushed=pushed, report=reports["opinion"]).with_id(name)],
        needs=needs,
    )


def test_a_push_step_reads_what_was_pushed_and_the_reports_of_gates(
    compose: Callable[..., Pipeline],
) -> None:
    step = node(compose(gates=[opinion()], push_steps=[judged_push()]), "looking")
    assert step.inputs["pushed"].producer_component_id == "Pusher"
    assert step.inputs["report"].producer_component_id == "opinion"
    assert any("--source_digest=" in flag for flag in step.executor_spec.extra_flags)


@pytest.mark.parametrize("without", ["opinion", "release"])
def test_a_push_step_is_left_out_with_a_gate_that_it_needs(
    compose: Callable[..., Pipeline], without: str
) -> None:
    pipeline = compose(gates=[opinion()], push_steps=[judged_push()], without=[without])
    assert "looking" not in {item.id for item in pipeline.components}


def test_a_push_step_that_needs_an_unknown_gate_is_refused(compose: Callable[..., Pipeline]) -> None:
    with pytest.raises(UsageError, match="push step 'looking' needs: 'opinions'.*did you mean 'opinion'"):
        compose(gates=[opinion()], push_steps=[judged_push(needs=["opinions"])])
    with pytest.raises(UsageError, match="push step names must differ: looking"):
        compose(gates=[opinion()], push_steps=[judged_push(), judged_push()])


def test_a_snapshot_is_taken_before_anybody_else_reads(compose: Callable[..., Pipeline]) -> None:
    pipeline = compose(gates=[opinion()], track=["example_gen", "trainer"])
    order = [item.id for item in pipeline.components]
    for tracked in ("CsvExampleGen", "Trainer"):
        snapshot = f"Snapshot_{tracked}"
        readers = {
            item.id
            for item in pipeline.components
            for channel in item.inputs.values()
            if tracked in channel.get_data_dependent_node_ids()
        }
        assert snapshot in readers
        assert len(readers) > 2
        assert all(order.index(snapshot) < order.index(reader) for reader in readers - {snapshot})
        assert all(
            snapshot in {item.id for item in node(pipeline, reader).upstream_nodes}
            for reader in readers - {snapshot}
        )


def test_an_unknown_node_to_be_tracked_is_named_with_the_known_ones(compose: Callable[..., Pipeline]) -> None:
    with pytest.raises(UsageError, match="unknown node to be tracked .example_ge.: .*mean .example_gen"):
        compose(track=["example_ge"])
    with pytest.raises(UsageError, match="unknown node to be tracked 'resolver'"):
        compose(track=["resolver"])


def test_the_cache_follows_bytes_unless_that_is_switched_off(compose: Callable[..., Pipeline]) -> None:
    def aware(pipeline: Pipeline) -> set[str]:
        return {item.id for item in pipeline.components if issubclass(item.driver_class, ContentAware)}

    # A record that says fail must not be served once somebody made it say pass.
    provenance = Gate("provenance", lambda nodes: ProvenanceTracker(model=nodes.model))
    followed = compose(gates=[opinion(), provenance], track=["trainer"])
    rest = {item.id for item in followed.components} - aware(followed)
    assert rest == {"Resolver", "Snapshot_Trainer"}
    assert aware(compose(content_aware=False)) == set()
