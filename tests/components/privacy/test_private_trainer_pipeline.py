"""PrivateTrainer in real pipelines over one metadata store: what is spent adds up, until nothing is left."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ml_metadata.metadata_store import metadata_store
from private_runs import RUN_FN
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import example_gen_pb2
from tfx.v1.components import CsvExampleGen

from tfx_trust.components import BudgetExceeded, PrivacyReport, PrivateTrainer, Verdict, epsilon_of
from tfx_trust.components.page.run import Run
from tfx_trust.components.privacy.report import Ledger
from tfx_trust.pipelines import PipelineFailed, run_pipeline
from tfx_trust.pipelines.trust import DIRECT_RUNNER

pytestmark = pytest.mark.slow

SETTINGS = {"noise_multiplier": 1.5, "steps": 8, "batch_size": 30}
BUDGET = 40.0


class Place:
    """A folder with data by span, a metadata store, and the pipelines that use them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.connection = metadata.sqlite_metadata_connection_config(str(folder / "metadata.db"))

    def data(self, span: int) -> None:
        for split, numbers in (("train", range(120)), ("eval", range(120, 150))):
            file = self.folder / "data" / f"span-{span}" / split / "a.csv"
            file.parent.mkdir(parents=True)
            file.write_text("a,label\n" + "".join(f"{number + span},{number % 2}\n" for number in numbers))

    def run(
        self, fault: str | None = None, *, budget: float | None = BUDGET, runner: str = "local", **custom: Any
    ) -> Run:
        splits = [
            example_gen_pb2.Input.Split(name=name, pattern=f"span-{{SPAN}}/{name}/*.csv")
            for name in ("train", "eval")
        ]
        gen = CsvExampleGen(
            input_base=str(self.folder / "data"), input_config=example_gen_pb2.Input(splits=splits)
        )
        trainer = PrivateTrainer(
            examples=gen.outputs["examples"],
            run_fn=RUN_FN,
            privacy={**SETTINGS, "budget": budget and {"epsilon": budget}},
            custom_config={"fault": fault, **custom},
        )
        pipeline = Pipeline(
            pipeline_name="small",
            pipeline_root=str(self.folder / "artifacts"),
            components=[gen, trainer],
            enable_cache=True,
            metadata_connection_config=self.connection,
            beam_pipeline_args=list(DIRECT_RUNNER),
        )
        return run_pipeline(pipeline, runner=runner, overview=self.folder / "index.html")

    @property
    def store(self) -> Any:
        return metadata_store.MetadataStore(self.connection)

    def reports(self) -> list[Any]:
        return sorted(self.store.get_artifacts_by_type("TrustPrivacyReport"), key=lambda item: item.id)

    def latest(self) -> PrivacyReport:
        return PrivacyReport.load(self.reports()[-1].uri)

    def ledger(self) -> Ledger:
        found = self.latest().privacy.ledger
        assert found is not None
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(tmp_path_factory.mktemp("place"))
    made.data(1)
    return made


@pytest.fixture(scope="module")
def steps(place: Place) -> dict[str, Any]:
    """The history of one place, each stage with what could be seen after it."""
    seen: dict[str, Any] = {}

    def stage(name: str, act: Callable[[], Any]) -> None:
        run: Any
        try:
            run = act()
        except PipelineFailed as failure:
            run = failure
        seen[name] = (run, place.latest(), len(place.reports()))

    stage("first", place.run)
    stage("again", place.run)
    stage("other", lambda: place.run(learning_rate=0.2))
    stage("crash", lambda: place.run("crash"))
    one = seen["first"][1].privacy.guarantee.epsilon
    stage("refused", lambda: place.run(budget=1.1 * one))
    stage("refused by Beam", lambda: place.run(budget=1.1 * one, runner="beam"))
    place.data(2)
    stage("new span", lambda: place.run(learning_rate=0.3))
    stage("without budget", lambda: place.run(budget=None))
    return seen


def ledger(stage: tuple[Any, PrivacyReport, int]) -> Ledger:
    found = stage[1].privacy.ledger
    assert found is not None
    return found


def state(run: Run) -> str:
    return next(node.state for node in run.nodes if node.name == "PrivateTrainer")


def test_the_first_training_is_alone_in_the_ledger(steps: dict[str, Any], place: Place) -> None:
    run, report, _ = steps["first"]
    assert report.verdict is Verdict.PASS, report.findings
    (entry,) = ledger(steps["first"]).entries
    assert (entry.here, entry.spans, entry.run) == (True, [1], run.run_id)
    assert ledger(steps["first"]).source == str(place.folder / "data")
    assert ledger(steps["first"]).total == pytest.approx(report.privacy.guarantee.epsilon, rel=1e-3)


def test_an_unchanged_pipeline_is_served_from_the_cache_and_spends_nothing(steps: dict[str, Any]) -> None:
    run, _, reports = steps["again"]
    assert (state(run), reports) == ("cached", 1)


def test_another_training_adds_to_what_was_spent(steps: dict[str, Any]) -> None:
    first, _ = steps["first"][1:]
    book = ledger(steps["other"])
    assert state(steps["other"][0]) == "done"
    assert [entry.here for entry in book.entries] == [False, True]
    assert book.entries[0].artifact is not None
    assert book.total_before == pytest.approx(first.privacy.guarantee.epsilon, rel=1e-3)
    twice = first.privacy.mechanisms[0].model_copy(update={"steps": 16})
    assert book.total == pytest.approx(epsilon_of([twice], book.delta), rel=1e-3)


@pytest.mark.parametrize("stage", ["refused", "refused by Beam"])
def test_a_training_that_would_pass_the_budget_stops_before_it_begins(
    steps: dict[str, Any], place: Place, stage: str
) -> None:
    failure, _, reports = steps[stage]
    assert isinstance(failure, PipelineFailed)
    assert reports == 2
    (refusal,) = failure.causes.values()
    assert isinstance(refusal, BudgetExceeded)
    assert len(str(refusal).splitlines()) > 3
    page = Path(refusal.page)
    assert page.parent.parent == place.folder / "artifacts" / "PrivateTrainer" / "refused"
    refused = PrivacyReport.load(page.parent)
    assert refused.verdict is Verdict.FAIL
    assert [entry.here for entry in refused.privacy.ledger.entries] == [False, False, True]
    (node,) = failure.run.failed
    assert node.page == str(page.relative_to(place.folder))
    assert node.verdict is Verdict.FAIL


def test_other_data_have_a_budget_of_their_own(steps: dict[str, Any]) -> None:
    book = ledger(steps["new span"])
    assert [entry.spans for entry in book.entries] == [[1], [1], [2]]
    assert set(book.by_span) == {"1", "2"}
    assert book.total == pytest.approx(book.total_before, rel=1e-3)
    assert book.by_span["2"] < book.by_span["1"]


def test_a_training_that_failed_is_told_and_one_that_was_refused_is_not(steps: dict[str, Any]) -> None:
    (told,) = ledger(steps["new span"]).unknown
    assert told.startswith("A training failed before its end")
    assert ledger(steps["other"]).unknown == []


def test_the_ledger_is_kept_without_a_budget(steps: dict[str, Any]) -> None:
    book = ledger(steps["without budget"])
    assert book.budget is None
    assert len(book.entries) == 4


def test_the_store_holds_no_more_than_it_must(steps: dict[str, Any], place: Place) -> None:
    # Nothing of the ledger in the execution properties, which are the key of the cache; nor any connection.
    executions = [item for item in place.store.get_executions() if item.type.endswith(".PrivateTrainer")]
    assert len(executions) == 8
    expected = {"privacy", "train_args", "eval_args", "run_fn", "custom_config"}
    for item in executions:
        assert {name for name in item.custom_properties if not name.startswith("__")} <= expected
        assert "metadata.db" not in str(item.custom_properties)
