"""Which earlier trainings a metadata store knows of, and on which data: stores made by hand, walked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from stores import Builder

from tfx_trust.components.privacy.lineage import snapshot_of
from tfx_trust.components.privacy.spending import SPENT, Snapshot

TRAINER = "tfx_trust.components.privacy.component.PrivateTrainer"
ENTRY = '{"run": "r", "created": "", "artifact": null, "spans": [], "epsilon": %s, "delta": 1e-5}'


class Store:
    """A store, filled as TFX would fill it with trainings."""

    def __init__(self, folder: Path) -> None:
        self.builder = Builder(folder, files=False)

    def artifact(self, kind: str, uri: str = "somewhere", **properties: Any) -> int:
        return self.builder.artifact(kind, uri, properties)

    def execution(
        self,
        kind: str,
        *,
        inputs: Sequence[tuple[str, int]] = (),
        outputs: Sequence[tuple[str, int]] = (),
        state: str = "COMPLETE",
        run: str = "",
        **parameters: Any,
    ) -> int:
        made = self.builder.run(run).execute(
            kind.rpartition(".")[2],
            kind,
            inputs=by_key(inputs),
            outputs=by_key(outputs),
            state=state,
            parameters=parameters,
        )
        return made.execution

    # A pipeline, node by node

    def example_gen(self, base: str = "/data", *, span: int = 0, **properties: Any) -> int:
        made = self.artifact("Examples", f"/runs/gen/{base}/{span}", span=span)
        given = {"input_base": base} if base else {}
        self.execution("tfx.CsvExampleGen", outputs=[("examples", made)], **given, **properties)
        return made

    def transform(self, *examples: int) -> tuple[int, int]:
        made, graph = self.artifact("Examples", "/runs/transformed"), self.artifact("TransformGraph")
        self.execution(
            "tfx.Transform",
            inputs=[("examples", number) for number in examples],
            outputs=[("transformed_examples", made), ("transform_graph", graph)],
        )
        return made, graph

    def training(
        self, examples: int, graph: int | None = None, *, epsilon: str = "1.0", run: str = "run", **more: Any
    ) -> tuple[int, int]:
        report = self.artifact("TrustPrivacyReport", "/runs/report", **{SPENT: ENTRY % epsilon})
        model = self.artifact("Model", "/runs/model")
        inputs = [("examples", examples)] + ([("transform_graph", graph)] if graph else [])
        self.execution(
            TRAINER, inputs=inputs, outputs=[("privacy_report", report), ("model", model)], run=run, **more
        )
        return report, model

    def snapshot(self, *examples: int, **given: Any) -> Snapshot:
        given = {"run": "now", "execution": None, **given}
        return snapshot_of(self.builder.store, examples=examples, **given)


def by_key(pairs: Sequence[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for key, number in pairs:
        found.setdefault(key, []).append(number)
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_the_source_is_where_the_first_examples_came_from(store: Store) -> None:
    filtered = store.artifact("Examples", "/runs/filtered")
    gen = store.example_gen("/data/census/", span=3)
    store.execution("LeakageFilter", inputs=[("unfiltered_examples", gen)], outputs=[("examples", filtered)])
    transformed, graph = store.transform(filtered)
    snapshot = store.snapshot(transformed, transform_graph=graph)
    assert snapshot.places == ["/data/census"]
    assert snapshot.spans == [3]
    assert snapshot.transform_graph == graph


def test_several_spans_are_all_told(store: Store) -> None:
    transformed, _ = store.transform(*(store.example_gen(span=span) for span in (7, 5, 6)))
    assert store.snapshot(transformed).spans == [5, 6, 7]


def test_span_0_is_no_number_and_beside_numbered_ones_there_are_none(store: Store) -> None:
    assert store.snapshot(store.transform(store.example_gen())[0]).spans == []
    transformed, _ = store.transform(store.example_gen(span=5), store.example_gen())
    assert store.snapshot(transformed).spans == []


def test_queries_differ_in_more_than_numbers_and_no_connection_is_told(store: Store) -> None:
    def gen(query: str) -> Any:
        config = f'{{"splits": [{{"name": "train", "pattern": "{query}"}}]}}'
        return store.example_gen("", input_config=config, custom_config='{"password": "secret"}')

    first = store.snapshot(gen("SELECT * FROM people WHERE day BETWEEN 1 AND 2"))
    second = store.snapshot(gen("SELECT * FROM people WHERE day BETWEEN 3 AND 44"))
    assert first.places == second.places == ["SELECT * FROM people WHERE day BETWEEN # AND #"]
    assert "secret" not in first.model_dump_json()


def test_imported_examples_are_their_own_source(store: Store) -> None:
    imported = store.artifact("Examples", "/elsewhere/examples")
    store.execution("tfx.Importer", outputs=[("result", imported)])
    assert store.snapshot(imported).places == ["/elsewhere/examples"]


def test_earlier_trainings_are_found_with_their_data_run_and_entry(store: Store) -> None:
    transformed, graph = store.transform(store.example_gen("/data", span=2))
    report, _ = store.training(transformed, graph, epsilon="2.5", run="run-1")
    (earlier,) = store.snapshot(transformed).earlier
    assert (earlier.artifact, earlier.run, earlier.places, earlier.spans) == (report, "run-1", ["/data"], [2])
    assert earlier.transform_graph == graph
    assert earlier.spent == ENTRY % "2.5"
    assert earlier.created.startswith("20")


def test_a_cached_execution_adds_nothing(store: Store) -> None:
    transformed, graph = store.transform(store.example_gen())
    report, model = store.training(transformed, graph)
    for _ in range(3):
        store.execution(
            TRAINER,
            inputs=[("examples", transformed)],
            outputs=[("privacy_report", report), ("model", model)],
            state="CACHED",
        )
    snapshot = store.snapshot(transformed)
    assert [item.artifact for item in snapshot.earlier] == [report]
    assert snapshot.unfinished == []


def test_a_name_of_the_data_is_read_from_the_settings(store: Store) -> None:
    transformed, _ = store.transform(store.example_gen())
    store.training(transformed, privacy='{"budget": {"epsilon": 3.0, "source": "census"}}')
    store.training(transformed, privacy='{"budget": null}')
    store.training(transformed, privacy="not JSON")
    assert [item.name for item in store.snapshot(transformed).earlier] == ["census", None, None]


def test_what_has_not_ended_is_told_but_for_itself_and_what_was_refused(store: Store) -> None:
    transformed, _ = store.transform(store.example_gen())
    inputs = [("examples", transformed)]
    failed = store.execution(TRAINER, inputs=inputs, state="FAILED", run="run-1")
    refused = store.execution(TRAINER, inputs=inputs, state="FAILED")
    interrupted = store.execution(TRAINER, inputs=inputs, state="RUNNING")
    own = store.execution(TRAINER, inputs=inputs, state="RUNNING")
    found = store.snapshot(transformed, execution=own, refused=lambda number: number == refused).unfinished
    assert [(item.execution, item.state, item.places) for item in found] == [
        (failed, "failed", ["/data"]),
        (interrupted, "running", ["/data"]),
    ]
    assert found[0].run == "run-1"


def test_models_that_keep_no_ledger_are_told(store: Store) -> None:
    transformed, _ = store.transform(store.example_gen("/data"))
    model = store.artifact("Model")
    store.execution(
        "tfx.components.trainer.component.Trainer",
        inputs=[("examples", transformed)],
        outputs=[("model", model)],
    )
    store.training(transformed)
    imported = store.artifact("Model")
    store.execution("tfx.Importer", outputs=[("result", imported)])
    (found,) = store.snapshot(transformed).unprotected
    assert (found.artifact, found.component, found.places) == (model, "Trainer", ["/data"])


@pytest.mark.parametrize("altered", [False, True])
def test_whether_a_model_without_guarantee_was_pushed(store: Store, altered: bool) -> None:
    transformed, _ = store.transform(store.example_gen())
    _, kept = store.training(transformed, epsilon="null")
    _, pushed = store.training(transformed, epsilon="null")
    if altered:
        tuned = store.artifact("Model")
        store.execution("ThresholdTuner", inputs=[("model", pushed)], outputs=[("model", tuned)])
        pushed = tuned
    for model, done in ((kept, 0), (pushed, 1)):
        place = store.artifact("PushedModel", pushed=done)
        store.execution("tfx.Pusher", inputs=[("model", model)], outputs=[("pushed_model", place)])
    assert [item.pushed for item in store.snapshot(transformed).earlier] == [False, True]


@pytest.mark.parametrize(("maker", "inferred"), [("tfx.x.SchemaGen", True), ("tfx.x.ImportSchemaGen", False)])
def test_whether_the_schema_was_inferred(store: Store, maker: str, inferred: bool) -> None:
    schema = store.artifact("Schema")
    store.execution(maker, outputs=[("schema", schema)])
    assert store.snapshot(store.example_gen(), schema=schema).inferred_schema is inferred


def test_a_new_store_knows_nothing(store: Store) -> None:
    snapshot = store.snapshot(store.example_gen())
    assert (snapshot.earlier, snapshot.unfinished, snapshot.unprotected) == ([], [], [])


def test_a_long_chain_of_filters_is_walked_to_its_end(store: Store) -> None:
    with store.builder.bulk():
        last = store.example_gen("/data")
        for _ in range(300):
            made = store.artifact("Examples")
            store.execution("Filter", inputs=[("examples", last)], outputs=[("examples", made)])
            last = made
    assert store.snapshot(last).places == ["/data"]
