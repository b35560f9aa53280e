"""The census data's published overlap, exactly, by every driver and file format."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from click.testing import CliRunner
from leaky import CENSUS_SETTINGS, KNOWN_CONFLICTS, KNOWN_OVERLAP

from tfx_trust.cli.main import cli
from tfx_trust.components.leakage.beam import CheckLeakage
from tfx_trust.components.leakage.check import check_leakage
from tfx_trust.components.leakage.examples_driver import check_examples
from tfx_trust.pipelines.census.data import prepare


def by_tables(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    census = request.getfixturevalue("census")
    return as_json(check_leakage(census["train"], census["eval"], CENSUS_SETTINGS))


def by_records(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    files = request.getfixturevalue("census_records")
    return as_json(check_examples(files["train"], files["eval"], CENSUS_SETTINGS))


def by_beam_from_files(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    files = request.getfixturevalue("census_records")
    report = check_examples(files["train"], files["eval"], {**CENSUS_SETTINGS, "driver": "beam"})
    assert report.leakage.driver == "beam"
    return as_json(report)


def by_beam_transform(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    census: dict[str, pa.Table] = request.getfixturevalue("census")
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        splits = {
            name: pipeline | name >> beam.Create(table.to_batches(max_chunksize=7_000))
            for name, table in census.items()
        }
        _ = (
            splits
            | CheckLeakage(CENSUS_SETTINGS, census["train"].schema)
            | beam.Map(
                lambda report, path: Path(path).write_text(report.to_json()), str(folder / "report.json")
            )
        )
    return json.loads((folder / "report.json").read_text())


def by_command(kind: str) -> Callable[[pytest.FixtureRequest, Path], dict[str, Any]]:
    def run(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
        if kind == "csv":
            places = {
                split: str(prepare(folder / "data") / split / "adult.csv") for split in ("train", "eval")
            }
        elif kind == "parquet":
            places = {split: str(path) for split, path in request.getfixturevalue("census_parquet").items()}
        else:
            files = request.getfixturevalue("census_records")
            places = {split: str(Path(paths[0]).parent) for split, paths in files.items()}
        columns = ",".join(CENSUS_SETTINGS["keys"]["person+label"])
        options = ["--label", "over_50k", "--exclude", "fnlwgt", "--key", f"person+label={columns}"]
        done = CliRunner().invoke(
            cli, ["leakage", *places.values(), *options, "--json", str(folder / "out.json")]
        )
        assert done.exit_code == 0, done.output
        return json.loads((folder / "out.json").read_text())

    return run


def as_json(report: Any) -> dict[str, Any]:
    return json.loads(report.to_json())


WAYS = {
    "tables": by_tables,
    "records": by_records,
    "beam from files": by_beam_from_files,
    "beam transform": by_beam_transform,
    "command, CSV": by_command("csv"),
    "command, Parquet": by_command("parquet"),
    "command, TFRecord": by_command("tfrecord"),
}


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS.keys())
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return request.param(request, tmp_path_factory.mktemp("way"))


def test_the_overlap_is_the_known_one(report: dict[str, Any]) -> None:
    found = {
        item["key"]: (item["keys_in_both"], item["eval_in_train"], item["train_in_eval"], item["surplus"])
        for item in report["leakage"]["overlap"]
    }
    assert found == KNOWN_OVERLAP


def test_the_conflicts_are_the_known_ones(report: dict[str, Any]) -> None:
    found = {
        (item["key"], item["scope"]): (item["groups"], item["examples"], item["minority"])
        for item in report["leakage"]["conflicts"]
    }
    assert found == KNOWN_CONFLICTS


def test_the_published_split_passes_with_its_chance_beside_it(report: dict[str, Any]) -> None:
    assert report["verdict"] == "pass"
    assert report["leakage"]["examples"] == {"train": 32561, "eval": 16281}
    by_key = {item["key"]: item for item in report["leakage"]["overlap"]}
    assert by_key["features"]["expected_random_split"] == pytest.approx(25.3, abs=0.1)
    assert by_key["features-excluded"]["expected_random_split"] == pytest.approx(3104, abs=1)
    assert by_key["features-excluded"]["expected_independent"] == pytest.approx(108.5, rel=0.2)


def test_features_and_near_duplicates_do_not_depend_on_the_driver(report: dict[str, Any]) -> None:
    features = {item["name"]: item for item in report["leakage"]["features"]}
    assert features["relationship"]["auc"] == pytest.approx(0.7810451268, abs=1e-9)
    assert features["age"]["nmi"] == pytest.approx(features["age"]["nmi_estimate"]["value"])
    assert report["leakage"]["near_duplicates"]["eval_near_train"] == 3047
    assert report["leakage"]["identifiers"] == []
