"""What executions noted of the bytes that they read, and what a run knows of a model that another made."""

import json
from pathlib import Path
from typing import Any

import pytest
from stores import Builder, input_config

from tfx_trust.components.mlmd import open_store
from tfx_trust.components.provenance.build import build_record
from tfx_trust.components.provenance.config import ProvenanceSettings
from tfx_trust.components.provenance.driver import content_digest
from tfx_trust.components.provenance.hashing import digest_files, digest_folder, raw_fingerprint, tree_digest
from tfx_trust.components.provenance.judge import judge
from tfx_trust.components.provenance.record import Record
from tfx_trust.components.report import Severity


class Pipeline:
    """ExampleGen and Trainer in a store, with what each notes of its input."""

    def __init__(self, folder: Path, **noted: Any) -> None:
        self.builder = Builder(folder)
        self.data = folder / "data"
        self.data.mkdir()
        (self.data / "a.csv").write_text("x\n1\n")
        raw = raw_fingerprint({"train": digest_files([str(self.data / "a.csv")], str(self.data))})
        self.builder.run("run-1")
        generated = self.builder.execute(
            "CsvExampleGen",
            "tfx.components.CsvExampleGen",
            outputs={"examples": [("Examples", "examples", {})]},
            parameters={
                "input_base": str(self.data),
                "input_config": input_config(train="*.csv"),
                "inputs_digest": json.dumps({"raw": raw}),
            },
        )
        self.examples = generated["examples"]
        tree = tree_digest(digest_folder(self.builder.uri(self.examples)))
        digests = {"artifacts": {str(self.examples): tree}} | noted
        made = self.builder.execute(
            "Trainer",
            "tfx.components.Trainer",
            inputs={"examples": [self.examples]},
            outputs={"model": [("Model", "model", {})]},
            parameters={"train_args": '{"splits": ["train"]}', "inputs_digest": json.dumps(digests)},
        )
        self.model = made["model"]

    def record(self, **more: Any) -> Record:
        store = open_store(self.builder.path)
        model = store.artifacts([self.model])[self.model]
        return build_record(store, model, ProvenanceSettings(), **more)


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path)


def test_bytes_that_are_as_they_were_read_are_no_change(pipeline: Pipeline) -> None:
    record = pipeline.record()
    assert record.changes == []
    assert "source_read" not in {item.what for item in record.unknowns}


def test_other_bytes_than_were_read_are_tampered_with_though_no_snapshot_was_taken(
    pipeline: Pipeline,
) -> None:
    folder = Path(pipeline.builder.uri(pipeline.examples))
    file = next(path for path in sorted(folder.rglob("*")) if path.is_file())
    file.write_bytes(file.read_bytes() + b"1")
    record = pipeline.record()
    (change,) = record.changes
    assert (change.artifact, change.path, change.kind) == (pipeline.examples, ".", "changed")
    assert change.now == record.artifact(pipeline.examples).tree != change.before
    assert change.seen_in == "what Trainer read"
    (finding,) = [
        item for item in judge(record.sealed(), ProvenanceSettings()).findings if item.check == "tampered"
    ]
    assert finding.severity is Severity.FAIL
    assert "something in it was changed since" in finding.message
    assert "what Trainer read" in finding.message


def test_whoever_read_the_model_after_it_was_made_tells_of_it_too(pipeline: Pipeline) -> None:
    builder, model = pipeline.builder, Path(pipeline.builder.uri(pipeline.model))
    file = next(path for path in sorted(model.rglob("*")) if path.is_file())
    noted = json.dumps({"artifacts": {str(pipeline.model): tree_digest(digest_folder(str(model)))}})
    for state in ("FAILED", "COMPLETE"):
        file.write_bytes(file.read_bytes() + b"1")
        builder.execute(
            "Evaluator",
            "tfx.components.Evaluator",
            inputs={"model": [pipeline.model]},
            outputs={},
            state=state,
            parameters={"inputs_digest": noted},
        )
        changes = pipeline.record().changes
        assert [change.artifact for change in changes] == ([pipeline.model] if state == "COMPLETE" else [])


def test_what_could_not_be_read_is_no_digest(tmp_path: Path) -> None:
    odd = Pipeline(tmp_path, artifacts={"1": "missing", "2": "unreadable 17", "77": "0" * 64})
    assert odd.record().changes == []


@pytest.mark.parametrize("noted", ["", "[]", "no JSON", '{"artifacts": {}}'])
def test_whatever_an_execution_noted_is_no_fault(tmp_path: Path, noted: str) -> None:
    builder = Builder(tmp_path)
    builder.run("run-1")
    made = builder.execute(
        "Trainer",
        "tfx.components.Trainer",
        outputs={"model": [("Model", "model", {})]},
        parameters={"inputs_digest": noted},
    )
    store = open_store(builder.path)
    model = store.artifacts([made["model"]])[made["model"]]
    assert build_record(store, model, ProvenanceSettings()).changes == []


def test_a_raw_file_that_was_exchanged_after_it_was_read_is_told(pipeline: Pipeline) -> None:
    (pipeline.data / "a.csv").write_text("x\n2\n")
    (unknown,) = [item for item in pipeline.record().unknowns if item.what == "source_read"]
    assert unknown.subject == "source:1"
    assert "is not what was read" in unknown.why


# The run


def keep(pipeline: Pipeline, record: Record, run: str) -> None:
    sealed = record.sealed()
    pipeline.builder.run(run)
    properties = {"record_digest": sealed.digest, "model_id": sealed.model}
    made = pipeline.builder.execute(
        "ProvenanceTracker",
        "tfx_trust.components.provenance.component.ProvenanceTracker",
        inputs={"model": [sealed.model]},
        outputs={"provenance_record": [("TrustProvenanceRecord", f"records/{run}", properties)]},
    )
    place = pipeline.builder.uri(made["provenance_record"])
    pipeline.builder.write(place, {"record.json": sealed.to_bytes()})


def test_a_model_of_this_run_was_made_with_what_is_here(pipeline: Pipeline) -> None:
    record = pipeline.record(here=True, run="run-1")
    assert record.environment
    assert record.environment.packages["tfx-trust"]


def test_a_model_of_another_run_was_made_with_what_its_own_record_says(pipeline: Pipeline) -> None:
    own = pipeline.record(here=True, run="run-1")
    assert own.environment
    then = own.environment.model_copy(update={"python": "3.9.1"})
    keep(pipeline, own.model_copy(update={"environment": then}), "run-1b")
    later = pipeline.record(here=True, run="run-2")
    assert later.environment == then
    assert later.repository == own.repository
    assert later.run == "run-1"


def test_why_a_commit_is_not_known_is_told_of_a_cached_model_as_it_was_of_a_new_one(
    pipeline: Pipeline,
) -> None:
    own = pipeline.record(here=True, run="run-1")
    assert own.repository is None
    keep(pipeline, own, "run-1b")
    later = pipeline.record(here=True, run="run-2")
    assert later.unknowns == own.unknowns
    settings = ProvenanceSettings()
    assert content_digest(later, settings) == content_digest(own, settings)


def test_a_model_of_another_run_without_a_record_is_of_unknown_making(pipeline: Pipeline) -> None:
    record = pipeline.record(here=True, run="run-2")
    assert record.environment is None
    assert record.repository is None
    told = {item.what: item.why for item in record.unknowns}
    assert "made in run run-1 and served from the cache" in told["environment"]
    assert "repository" in told
