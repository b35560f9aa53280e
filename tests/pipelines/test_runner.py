"""A small pipeline in this process: the gates' veto, failures, and what the run tells of them."""

import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import example_gates
import pytest
from example_gates import OpinionGate
from ml_metadata.metadata_store import metadata_store
from tfx.orchestration import metadata

from tfx_trust import schemas
from tfx_trust.components import UsageError, Verdict
from tfx_trust.components.page.run import Run
from tfx_trust.pipelines import Gate, PipelineFailed, create_pipeline, eval_config, run_pipeline
from tfx_trust.pipelines.census.data import LABEL, prepare

pytestmark = pytest.mark.slow

FEW = 1500


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first examples of either split; one category stands in the eval split alone."""
    folder = prepare(tmp_path_factory.mktemp("data"))
    for split in ("train", "eval"):
        path = folder / split / "adult.csv"
        header, *lines = path.read_text().splitlines()[: FEW + 1]
        if split == "train":
            lines = [line for line in lines if ",Cuba," not in line]
        path.write_text("\n".join([header, *lines]) + "\n")
    return folder


def opinion(severity: str) -> Gate:
    return Gate("opinion", lambda nodes: OpinionGate(model=nodes.trainer.outputs["model"], severity=severity))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("small")


@pytest.fixture(scope="module")
def run(data: Path, root: Path) -> Callable[..., Run]:
    def make(*, root: Path = root, runner: str = "local", **changes: Any) -> Run:
        settings: dict[str, Any] = {
            "name": "small",
            "root": str(root),
            "data": str(data),
            "schema": schemas.path("census.pbtxt"),
            "preprocessing_fn": "example_features.preprocessing_fn",
            "run_fn": "tfx_trust.pipelines.census.model.run_fn",
            "evaluation": eval_config(LABEL, at_least={"AUC": 0.6}, may_drop={"AUC": 0.2}),
            "gates": [opinion("info")],
        }
        pipeline = create_pipeline(**{**settings, **changes})
        return run_pipeline(pipeline, runner=runner, overview=root / "index.html")

    return make


@pytest.fixture(scope="module")
def three(run: Callable[..., Run]) -> list[Run]:
    """Three models in turn: the gate blesses the first and the third, the Evaluator blesses all."""
    opinions = ["info", "fail", "warn"]
    return [
        run(gates=[opinion(severity)], custom_config={"seed": seed, "epochs": 2})
        for seed, severity in enumerate(opinions)
    ]


def release(run: Run) -> Any:
    assert run.release is not None
    return run.release.release


def test_the_gates_verdict_decides_although_the_evaluator_blessed_all(three: list[Run]) -> None:
    assert [release(item).blessed for item in three] == [True, False, True]
    for item in three:
        evaluation = next(weighed for weighed in release(item).weighed if weighed.name == "evaluation")
        assert evaluation.verdict is Verdict.PASS


def test_a_blocked_model_is_not_pushed(three: list[Run], root: Path) -> None:
    assert [item.pushed is not None for item in three] == [True, False, True]
    assert len(list((root / "serving").iterdir())) == 2
    assert all((version / "saved_model.pb").exists() for version in (root / "serving").iterdir())


def test_the_baseline_is_the_last_model_that_the_gate_blessed(three: list[Run]) -> None:
    first, blocked, third = three
    assert release(first).baseline_model is None
    assert release(blocked).baseline_model.id == release(first).model.id
    # The Evaluator alone blessed the model between: it must not become the baseline.
    assert release(third).baseline_model.id == release(first).model.id
    assert release(third).model.id > release(blocked).model.id > release(first).model.id


def test_the_report_sets_the_model_beside_its_baseline(three: list[Run]) -> None:
    auc = next(metric for metric in release(three[2]).metrics if metric.name == "auc")
    before = next(metric for metric in release(three[0]).metrics if metric.name == "auc")
    assert auc.baseline == pytest.approx(before.value, abs=1e-6)
    assert auc.lower_bound == 0.6


def test_each_nodes_outcome_is_told(three: list[Run]) -> None:
    nodes = {node.name: node for node in three[1].nodes}
    assert nodes["CsvExampleGen"].state == "cached"
    assert all(node.seconds is not None and node.seconds >= 0 for node in nodes.values())
    assert nodes["Trainer"].state == "done"
    assert nodes["OpinionGate"].verdict is Verdict.FAIL
    assert nodes["ReleaseGate"].verdict is Verdict.FAIL
    assert nodes["Trainer"].upstream == ("ImportSchemaGen", "Transform")
    order = [node.name for node in three[1].nodes]
    assert all(order.index(up) < order.index(node.name) for node in nodes.values() for up in node.upstream)
    assert nodes["OpinionGate"].page is not None
    assert nodes["Trainer"].page is None


def test_no_vocabulary_has_a_category_of_the_eval_split_alone(three: list[Run], root: Path) -> None:
    (path,) = root.glob("artifacts/Transform/transform_graph/*/transform_fn/assets/countries")
    countries = path.read_text().split()
    assert "United-States" in countries
    assert "Cuba" not in countries


def test_the_metadata_store_holds_one_blessing_a_judge_and_model(three: list[Run], root: Path) -> None:
    config = metadata.sqlite_metadata_connection_config(str(root / "metadata.db"))
    store = metadata_store.MetadataStore(config)
    blessings = store.get_artifacts_by_type("ModelBlessing")
    gates = [
        item for item in blessings if item.custom_properties["component_id"].string_value == "ReleaseGate"
    ]
    assert [item.custom_properties["blessed"].int_value for item in gates] == [1, 0, 1]


@pytest.mark.parametrize("runner", ["local", "beam"])
def test_a_node_that_raises_ends_the_run_with_its_own_error(
    run: Callable[..., Run], three: list[Run], root: Path, runner: str
) -> None:
    served = sorted((root / "serving").iterdir())
    with pytest.raises(PipelineFailed, match="^Trainer: RuntimeError: the optimizer exploded$") as failure:
        run(run_fn="example_gates.raising_run_fn", runner=runner)
    states = {node.name: node.state for node in failure.value.run.nodes}
    assert states["Trainer"] == "failed"
    assert {states[name] for name in ("Evaluator", "ReleaseGate", "Pusher")} == {"not_run"}
    assert sorted((root / "serving").iterdir()) == served
    assert "the optimizer exploded" in (root / "index.html").read_text()


def test_a_node_whose_inputs_are_missing_ends_the_run(run: Callable[..., Run], tmp_path: Path) -> None:
    # TFX's LocalDagRunner notes this in the metadata store, goes on, and returns as if all were well.
    from tfx.dsl.components.common.resolver import Resolver
    from tfx.dsl.input_resolution.strategies.latest_artifact_strategy import LatestArtifactStrategy
    from tfx.orchestration.pipeline import Pipeline
    from tfx.types import standard_artifacts
    from tfx.types.channel import Channel

    nothing = Resolver(
        strategy_class=LatestArtifactStrategy, model=Channel(type=standard_artifacts.Model)
    ).with_id("Latest")
    gate = OpinionGate(model=nothing.outputs["model"], severity="info")
    pipeline = Pipeline(
        pipeline_name="missing",
        pipeline_root=str(tmp_path / "artifacts"),
        components=[nothing, gate],
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(tmp_path / "m.db")),
    )
    with pytest.raises(PipelineFailed, match=r"^Latest: .*InputResolutionError.*returned None"):
        run_pipeline(pipeline)


def test_an_edited_gate_judges_anew(
    run: Callable[..., Run], three: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    source = Path(example_gates.__file__).read_text()
    settings = {"custom_config": {"seed": 0, "epochs": 2}}

    def judged(code: str) -> tuple[str, bool]:
        (tmp_path / "edited_gate.py").write_text(code)
        sys.modules.pop("edited_gate", None)
        gate = importlib.import_module("edited_gate").OpinionGate
        made = run(
            gates=[
                Gate(
                    "opinion",
                    lambda nodes: gate(model=nodes.trainer.outputs["model"], severity="info").with_id(
                        "Edited"
                    ),
                )
            ],
            **settings,
        )
        return next(node.state for node in made.nodes if node.name == "Edited"), release(made).blessed

    assert judged(source) == ("done", True)
    assert judged(source) == ("cached", True)
    assert judged(source.replace("Severity(severity)", "Severity.FAIL")) == ("done", False)


def test_anomalies_are_told_beside_the_failure_they_explain(
    run: Callable[..., Run], data: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "data"
    shutil.copytree(data, damaged)
    path = damaged / "train" / "adult.csv"
    path.write_text(path.read_text().replace(",1\n", ",yes\n"))
    with pytest.raises(
        PipelineFailed, match=r"^Transform: .* \(the examples do not fit their schema: .*over_50k"
    ):
        run(root=tmp_path, data=str(damaged))


def test_an_unknown_runner_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown runner 'airflow': known are beam, local"):
        run_pipeline(None, runner="airflow")  # type: ignore[arg-type]
