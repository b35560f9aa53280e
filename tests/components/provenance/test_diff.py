"""What two models differ in: of records made by hand, and of runs of a store."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from records import census_like, changed, entries, minimal
from stores import Builder, four_runs

from tfx_trust.components.mlmd import open_store
from tfx_trust.components.provenance.build import build_record
from tfx_trust.components.provenance.config import ProvenanceSettings
from tfx_trust.components.provenance.diff import diff
from tfx_trust.components.provenance.differences import Diff
from tfx_trust.components.provenance.hashing import tree_digest
from tfx_trust.components.provenance.metrics import metrics_beside, metrics_in_store
from tfx_trust.components.provenance.record import Record
from tfx_trust.components.provenance.schema_text import features_of


def edited(record: Record, path: list[Any], value: Any) -> Record:
    """The record with one part of it exchanged."""
    content = record.model_dump(mode="json")
    part = content
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    return changed(record, **content)


def test_a_record_does_not_differ_from_itself() -> None:
    record = census_like()
    found = diff(record, record)
    assert found.same_model is True
    assert {item.status for item in [*found.examples]} == {"same"}
    for name in ("repository", "parameters", "environment", "packages", "schema_features", "obligations"):
        assert getattr(found, name) == [], name
    assert found.schema_status == "same"
    # A query has no files, and a wheel that is gone no digest.
    assert {item.status for item in found.sources} == {"same", "unknown"}
    assert {item.status for item in found.code} == {"same", "unknown"}


def test_the_smallest_record_is_compared() -> None:
    found = diff(minimal(), census_like())
    assert found.same_model is None
    assert {item.status for item in [*found.sources, *found.examples, *found.code]} == {"added"}
    back = diff(census_like(), minimal())
    assert {item.status for item in [*back.sources, *back.examples, *back.code]} == {"removed"}
    assert any("environment" in text for text in found.unknowns)


def test_files_of_a_source_are_told_apart() -> None:
    before = {"train/a.csv": "1", "train/b.csv": "2", "train/c.csv": "3"}
    after = {"train/a.csv": "1", "train/b.csv": "changed", "train/d.csv": "3", "train/e.csv": "new"}
    records = []
    for files in (before, after):
        listed = [item.model_dump() for item in entries(files)]
        record = edited(census_like(), ["sources", 0, "files"], listed)
        records.append(edited(record, ["sources", 0, "tree"], tree_digest(entries(files))))
    found = diff(*records)
    source = next(item for item in found.sources if item.name == "UCI Adult")
    assert source.status == "changed"
    assert source.files.changed == ["train/b.csv"]
    assert source.files.added == ["train/e.csv"]
    assert source.files.removed == []
    assert source.files.renamed == {"train/c.csv": "train/d.csv"}


def test_a_source_that_moved_is_compared_with_the_one_that_the_same_node_read() -> None:
    record = census_like()
    moved = edited(record, ["sources", 0, "place"], "/srv/elsewhere")
    source = next(item for item in diff(record, moved).sources if item.name == "UCI Adult")
    assert source.status == "changed"
    assert (source.a, source.b) == (
        "/srv/census/data (eval/*, train/*), span 0",
        "/srv/elsewhere (eval/*, train/*), span 0",
    )
    assert source.tree_a == source.tree_b


def test_parameters_are_compared_within_json() -> None:
    record = census_like()
    other = edited(
        record,
        ["executions", 4, "parameters"],
        {
            "run_fn": "tfx_trust.pipelines.census.model.run_fn",
            "train_args": '{"splits": ["train"], "num_steps": 200}',
            "settings": '{"epsilon":1.0,"nested":{"list":[{"x":1}]}}',
            "learning_rate": "0.001",
        },
    )
    found = {item.name: (item.a, item.b) for item in diff(record, other).parameters}
    assert found == {
        "PrivateTrainer.train_args.num_steps": ("100", "200"),
        "PrivateTrainer.settings.epsilon": ("3.0", "1.0"),
        "PrivateTrainer.settings.nested.list[0].x": (None, "1"),
        "PrivateTrainer.api_token": ("***", None),
    }


def test_what_drivers_add_for_the_cache_is_no_parameter() -> None:
    record = census_like()
    added = {
        "inputs_digest": '{"artifacts": {"13": "aa"}}',
        "outputs_refused": "14",
        "content_digest": "bb",
        "input_fingerprint": "split:train,num_files:1",
    }
    parameters = record.executions[4].parameters | added
    assert diff(record, edited(record, ["executions", 4, "parameters"], parameters)).parameters == []


@pytest.mark.parametrize(
    ("path", "value", "section", "expected"),
    [
        (["environment", "packages", "keras"], "3.13.0", "packages", ("keras", "3.12.0", "3.13.0")),
        (["environment", "python"], "3.13.1", "environment", ("python", "3.11.7", "3.13.1")),
        (
            ["repository", "commit"],
            "f" * 40,
            "repository",
            ("commit", "0123456789abcdef" * 2 + "01234567", "f" * 40),
        ),
        (
            ["obligations", "licences"],
            ["MIT"],
            "obligations",
            ("licences", "CC-BY-4.0, LicenseRef-contract-17", "MIT"),
        ),
        (
            ["obligations", "retention"],
            "2029-01-01",
            "obligations",
            ("retention", "2030-12-31", "2029-01-01"),
        ),
    ],
)
def test_each_part_is_compared(
    path: list[Any], value: Any, section: str, expected: tuple[str, str, str]
) -> None:
    record = census_like()
    found: Diff = diff(record, edited(record, path, value))
    assert [(item.name, item.a, item.b) for item in getattr(found, section)] == [expected]


def test_code_is_compared_by_its_files() -> None:
    record = census_like()
    files = [item.model_dump() for item in entries({"model.py": "def run_fn(fn_args): return 1\n"})]
    other = edited(record, ["code", 0, "files"], files)
    other = edited(other, ["code", 0, "tree"], "e" * 64)
    code = {item.name: item for item in diff(record, other).code}
    assert code["PrivateTrainer.run_fn"].status == "changed"
    assert code["PrivateTrainer.run_fn"].files.changed == ["model.py"]


def test_metrics_are_told_side_by_side() -> None:
    record = census_like()
    found = diff(record, record, metrics=({"auc": 0.9, "loss": 0.3}, {"auc": 0.91}))
    assert [(item.name, item.a, item.b) for item in found.metrics] == [
        ("auc", "0.9", "0.91"),
        ("loss", "0.3", None),
    ]


# Schemas


SCHEMA = """
# proto-file: tensorflow_metadata/proto/v0/schema.proto
feature {
  name: "age"
  type: INT
  presence { min_fraction: 1.0 }  # all of them
}
feature { name: 'job' domain: "jobs" type: BYTES }
string_domain { name: "jobs" value: "a } b" value: "c" }
"""


def schema_in(folder: Path, text: str) -> dict[str, str]:
    folder.mkdir()
    (folder / "schema.pbtxt").write_text(text)
    return {str(folder): hashlib.sha256(text.encode()).hexdigest()}


def test_features_of_a_schema_are_told_apart(tmp_path: Path) -> None:
    assert features_of(schema_in(tmp_path / "1", SCHEMA)) == {
        "age": "type: INT presence { min_fraction: 1.0 }",
        "job": 'domain: "jobs" type: BYTES',
        "string_domain jobs": 'value: "a } b" value: "c"',
    }


def test_features_are_those_that_the_library_reads(tmp_path: Path) -> None:
    from tfx_trust.components.standard import parse_schema
    from tfx_trust.schemas import __file__ as schemas

    text = (Path(schemas).parent / "census.pbtxt").read_text()
    found = features_of(schema_in(tmp_path / "1", text))
    assert found is not None
    assert {name for name in found if " " not in name} == {
        item.name for item in parse_schema(text, "").feature
    }


def test_schemas_are_compared_feature_by_feature(tmp_path: Path) -> None:
    record = changed(census_like(), schemas=schema_in(tmp_path / "1", SCHEMA))
    other = changed(
        census_like(),
        schemas=schema_in(tmp_path / "2", SCHEMA.replace("INT", "FLOAT") + 'feature { name: "new" }'),
    )
    found = diff(record, other)
    assert found.schema_status == "changed"
    assert [(item.name, item.a, item.b) for item in found.schema_features] == [
        (
            "age",
            "type: INT presence { min_fraction: 1.0 }",
            "type: FLOAT presence { min_fraction: 1.0 }",
        ),
        ("new", None, ""),
    ]
    (tmp_path / "2" / "schema.pbtxt").write_text("something else")
    gone = diff(record, other)
    assert (gone.schema_status, gone.schema_features) == ("changed", [])
    assert any("schemas differ" in text for text in gone.unknowns)


# Runs of a store


def test_two_runs_differ_in_what_was_changed(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    store = open_store(runs.path)
    first, last = (
        build_record(store, store.artifacts([number])[number], ProvenanceSettings())
        for number in (runs.models[0], runs.models[-1])
    )
    found = diff(first, last)
    assert {(item.name, item.a, item.b) for item in found.parameters} == {
        ("Trainer.custom_config.seed", "1", "4"),
        ("Trainer.train_args.num_steps", "100", "400"),
    }
    assert [item.status for item in found.sources] == ["same"]
    assert [item.status for item in found.examples] == ["same", "same"]
    assert found.same_model is False
    assert found.schema_status == "same"


# Metrics


def released(builder: Builder, model: int, auc: float, **more: Any) -> None:
    made = builder.execute(
        "ReleaseGate",
        "tfx_trust.ReleaseGate",
        inputs={"model": [model], **more},
        outputs={"release_report": [("TrustReleaseReport",)]},
    )
    report = {"release": {"model": {"id": model}, "metrics": [{"name": "auc", "value": auc}]}}
    builder.write(builder.uri(made["release_report"]), {"report.json": json.dumps(report).encode()})


def test_metrics_come_from_the_report_of_the_models_own_release(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    first, second = runs.models[:2]
    released(runs.builder, first, 0.9)
    released(runs.builder, second, 0.8, baseline_model=[first])
    store = open_store(runs.path)
    for model, auc in ((first, 0.9), (second, 0.8)):
        artifact = store.artifacts([model])[model]
        assert metrics_in_store(store, artifact) == {"auc": auc}
        record = build_record(store, artifact, ProvenanceSettings())
        assert metrics_beside(record) == {"auc": auc}
    third = store.artifacts([runs.models[2]])[runs.models[2]]
    assert metrics_in_store(store, third) == {}
    assert metrics_beside(build_record(store, third, ProvenanceSettings())) == {}


def test_a_report_that_is_none_is_passed_over(tmp_path: Path) -> None:
    runs = four_runs(tmp_path)
    released(runs.builder, 6, 0.9)
    path = next(tmp_path.glob("artifacts/ReleaseGate/release_report/*/report.json"))
    for text in ("{", "[]", '{"release": 3}', '{"release": {"model": {"id": 6}, "metrics": [3]}}'):
        path.write_text(text)
        store = open_store(runs.path)
        assert metrics_in_store(store, store.artifacts([6])[6]) == {}
