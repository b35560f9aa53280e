"""The faults that are put into the census data: what they change, and that they change nothing else."""

import csv
import datetime
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tfx.orchestration.pipeline import Pipeline

from tfx_trust.components import Severity, UsageError
from tfx_trust.components.leakage.check import check_leakage
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.pipelines.census import data
from tfx_trust.pipelines.census.features import RAW_FEATURES
from tfx_trust.pipelines.census.pipeline import LEAKAGE, census_pipeline
from tfx_trust.pipelines.census.scenarios import CLEAN, SCENARIOS, Meddling, Scenario, scenario_named

Rows = list[dict[str, str]]

CHANGING = [name for name, scenario in SCENARIOS.items() if scenario.change_data and not scenario.in_place]
IN_PLACE = [name for name, scenario in SCENARIOS.items() if scenario.in_place]
ADDED = {"leaked-target": "tax_band", "leaked-entity": "household", "late-training": "interviewed"}
# The check that each fault is to be found by.
CHECKS: dict[str, set[str]] = {
    CLEAN: set(),
    "leaked-rows": {"duplicates_across_splits"},
    "leaked-target": {"target_leakage"},
    "leaked-entity": {"entity_overlap"},
    "late-training": {"time_order"},
}


def rows_of(folder: Path, split: str) -> Rows:
    with (folder / split / "adult.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The published data, and the changed by scenario."""
    made = {name: data.prepare(tmp_path_factory.mktemp(name)) for name in (CLEAN, *CHANGING, *IN_PLACE)}
    for name in (*CHANGING, *IN_PLACE):
        change = SCENARIOS[name].change_data
        assert change
        change(made[name])
    return made


@pytest.fixture(scope="module")
def rows(folders: dict[str, Path]) -> dict[str, dict[str, Rows]]:
    """Rows by scenario and split."""
    return {
        name: {split: rows_of(folder, split) for split in data.SPLITS} for name, folder in folders.items()
    }


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pipeline]:
    """The census pipeline by scenario."""
    root = str(tmp_path_factory.mktemp("root"))
    return {name: census_pipeline(root, scenario=name) for name in SCENARIOS}


def node(pipeline: Pipeline, name: str) -> Any:
    return next(item for item in pipeline.components if item.id == name)


def schema_of(pipeline: Pipeline) -> Any:
    return tfdv.load_schema_text(node(pipeline, "ImportSchemaGen").exec_properties["schema_file"])


def settings_of(component: Any) -> LeakageSettings:
    return LeakageSettings.of(component.exec_properties["settings"])


@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize("split", data.SPLITS)
def test_the_published_rows_stay_in_order_and_as_they_were_but_for_the_fault(
    rows: dict[str, dict[str, Rows]], name: str, split: str
) -> None:
    published = rows[CLEAN][split]
    changed_column = {"malformed": "workclass", "unfair": data.LABEL}.get(name)
    kept = [column for column in data.COLUMNS if column != changed_column]
    changed = [[row[column] for column in kept] for row in rows[name][split]]
    assert changed[: len(published)] == [[row[column] for column in kept] for row in published]
    added = {("leaked-rows", "train"): 815}.get((name, split), 0)
    assert len(changed) == len(published) + added
    columns = [*data.COLUMNS, ADDED[name]] if name in ADDED else [*data.COLUMNS]
    assert list(rows[name][split][0]) == columns


@pytest.mark.parametrize("name", CHANGING)
def test_a_changed_file_has_the_time_of_the_published_one_and_nothing_beside_it(
    folders: dict[str, Path], name: str
) -> None:
    for split in data.SPLITS:
        published, changed = (folders[item] / split / "adult.csv" for item in (CLEAN, name))
        assert changed.stat().st_mtime_ns == published.stat().st_mtime_ns
        assert list(changed.parent.iterdir()) == [changed]


@pytest.mark.parametrize("name", CHANGING)
def test_the_same_fault_put_in_again_gives_the_same_bytes(
    folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    change = SCENARIOS[name].change_data
    assert change
    change(data.prepare(tmp_path))
    for split in data.SPLITS:
        again, first = (folder / split / "adult.csv" for folder in (tmp_path, folders[name]))
        assert again.read_bytes() == first.read_bytes()


def test_a_swapped_source_has_the_same_rows_and_size_and_other_bytes(folders: dict[str, Path]) -> None:
    published, swapped = (folders[name] / "train" / "adult.csv" for name in (CLEAN, "swapped-source"))
    assert rows_of(folders["swapped-source"], "train") == rows_of(folders[CLEAN], "train")[::-1]
    assert swapped.read_bytes() != published.read_bytes()
    assert swapped.stat().st_size == published.stat().st_size
    assert swapped.stat().st_mtime_ns == published.stat().st_mtime_ns


def test_a_forbidding_licence_is_all_that_is_declared_otherwise(folders: dict[str, Path]) -> None:
    published, forbidding = (folders[name] / data.DECLARATION for name in (CLEAN, "unlicensed"))
    assert published.read_text().count("CC-BY-4.0") >= 1
    assert forbidding.read_text() == published.read_text().replace("CC-BY-4.0", "CC-BY-NC-4.0")
    for split in data.SPLITS:
        assert rows_of(folders["unlicensed"], split) == rows_of(folders[CLEAN], split)


def test_what_is_changed_in_place_is_put_back_by_the_next_run(tmp_path: Path) -> None:
    for name in IN_PLACE:
        census_pipeline(str(tmp_path), scenario=name)
        census_pipeline(str(tmp_path))
    folder, published = tmp_path / "data" / CLEAN, data.prepare(tmp_path / "published")
    for path in published.rglob("*.*"):
        assert (folder / path.relative_to(published)).read_bytes() == path.read_bytes()


def test_what_is_done_during_a_run_is_done_after_its_node_and_to_data_of_its_own(tmp_path: Path) -> None:
    told: list[str] = []

    class Listener:
        def started(self, node: str) -> None:
            told.append(f"started {node}")

        def ended(self, node: str, state: str, seconds: float) -> None:
            told.append(f"ended {node} {state}")

    scenario = Scenario("", blocked_by=None, during={"B": lambda root: told.append(f"done to {root.name}")})
    meddling = Meddling(Listener(), scenario, tmp_path)
    for name, state in (("A", "done"), ("B", "failed"), ("B", "cached")):
        meddling.started(name)
        meddling.ended(name, state, 1.0)  # type: ignore[arg-type]
    assert told == [
        "started A",
        "ended A done",
        "started B",
        "ended B failed",
        "started B",
        "ended B cached",
        f"done to {tmp_path.name}",
    ]
    assert scenario.has_own_data
    assert SCENARIOS["tampered"].has_own_data
    assert not any(SCENARIOS[name].has_own_data for name in (CLEAN, *IN_PLACE))


def test_leaked_rows_are_every_twentieth_of_eval(rows: dict[str, dict[str, Rows]]) -> None:
    train, evaluation = (
        [tuple(row.values()) for row in rows["leaked-rows"][split]] for split in ("train", "eval")
    )
    assert train[32_561:] == evaluation[::20]
    published, changed = set(train[:32_561]), set(train)
    # The 23 are what is known of the published data; none of them is among the copies.
    assert sum(row in published for row in evaluation) == 23
    assert sum(row in changed for row in evaluation) == 23 + 815


def test_the_labels_of_women_alone_are_spoiled_and_of_train_alone(rows: dict[str, dict[str, Rows]]) -> None:
    published, spoiled = (rows[name]["train"] for name in (CLEAN, "unfair"))
    changed = [
        (before["sex"], before[data.LABEL], after[data.LABEL])
        for before, after in zip(published, spoiled)
        if before != after
    ]
    assert Counter(changed) == {("Female", "1", "0"): 589}
    assert sum(row["sex"] == "Female" and row[data.LABEL] == "1" for row in published) == 1_179
    assert rows["unfair"]["eval"] == rows[CLEAN]["eval"]


def test_the_leaked_target_has_one_value_for_each_label(rows: dict[str, dict[str, Rows]]) -> None:
    for split in data.SPLITS:
        pairs = Counter((row["tax_band"], row[data.LABEL]) for row in rows["leaked-target"][split])
        labels = Counter(row[data.LABEL] for row in rows[CLEAN][split])
        assert pairs == {("basic", "0"): labels["0"], ("higher", "1"): labels["1"]}


def test_a_third_of_the_households_of_eval_are_in_train_too(rows: dict[str, dict[str, Rows]]) -> None:
    train, evaluation = (
        Counter(row["household"] for row in rows["leaked-entity"][split]) for split in ("train", "eval")
    )
    assert (len(train), len(evaluation), len(train.keys() & evaluation.keys())) == (10_854, 5_427, 1_809)
    assert max(train.values()) == max(evaluation.values()) == 3
    assert evaluation.total() == 3 * 5_427


def test_the_last_training_interviews_are_as_late_as_the_first_of_eval(
    rows: dict[str, dict[str, Rows]],
) -> None:
    train, evaluation = (
        [datetime.date.fromisoformat(row["interviewed"]) for row in rows["late-training"][split]]
        for split in ("train", "eval")
    )
    assert train == sorted(train)
    assert evaluation == sorted(evaluation)
    assert sum(day >= evaluation[0] for day in train) == 32_561 - 150 * 200
    assert train[-1] < evaluation[-1]


@pytest.mark.parametrize("name", CHANGING)
def test_the_schema_has_the_columns_of_the_changed_data(
    pipelines: dict[str, Pipeline], rows: dict[str, dict[str, Rows]], name: str
) -> None:
    features = [feature.name for feature in schema_of(pipelines[name]).feature]
    assert features == list(rows[name]["train"][0])


@pytest.mark.parametrize("name", [name for name in CHECKS if name != CLEAN])
def test_a_leak_is_no_anomaly(pipelines: dict[str, Pipeline], folders: dict[str, Path], name: str) -> None:
    schema = schema_of(pipelines[name])
    for split in data.SPLITS:
        frame = pd.read_csv(folders[name] / split / "adult.csv").iloc[::10]
        served = frame[[column for column in data.COLUMNS if column != data.LABEL]]
        for environment, examples in (("TRAINING", frame), ("SERVING", served)):
            statistics = tfdv.generate_statistics_from_dataframe(examples)
            assert not tfdv.validate_statistics(statistics, schema, environment=environment).anomaly_info


def test_the_model_needs_no_column_that_a_scenario_adds() -> None:
    assert {*RAW_FEATURES} == {*data.COLUMNS} - {data.LABEL, data.WEIGHT}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_gate_has_the_settings_of_the_scenario(pipelines: dict[str, Pipeline], name: str) -> None:
    found = settings_of(node(pipelines[name], "LeakageValidator"))
    assert found.groups == (["household"] if name == "leaked-entity" else [])
    assert found.time == ("interviewed" if name == "late-training" else None)
    assert (found.label, found.exclude) == (LEAKAGE.label, LEAKAGE.exclude)


def test_leaks_are_filtered_by_what_the_gate_judges_by(tmp_path: Path) -> None:
    pipeline = census_pipeline(str(tmp_path), scenario="leaked-entity", filter_leaks=True)
    finder = node(pipeline, "LeakageFinder")
    assert finder.inputs["examples"].producer_component_id == "CsvExampleGen"
    gate = node(pipeline, "LeakageValidator")
    assert gate.inputs["examples"].producer_component_id == "LeakageFilter"
    assert settings_of(finder) == settings_of(gate).model_copy(update={"analyzed_splits": None})


def test_without_the_option_nothing_is_filtered(pipelines: dict[str, Pipeline]) -> None:
    assert not {"LeakageFinder", "LeakageFilter"} & {item.id for item in pipelines[CLEAN].components}


@pytest.mark.parametrize("name", CHECKS)
def test_a_leak_is_found_by_the_one_check_that_exists_for_it(folders: dict[str, Path], name: str) -> None:
    tables = [
        pa.Table.from_pandas(pd.read_csv(folders[name] / split / "adult.csv"), preserve_index=False)
        for split in ("train", "eval")
    ]
    # Neither pairs of features nor near duplicates can fail, and they are most of the work.
    settings = {**LEAKAGE.model_dump(), **scenario_named(name).leakage, "pairs": False, "near": 0}
    report = check_leakage(*tables, settings)
    failed = {finding.check for finding in report.findings if finding.severity is Severity.FAIL}
    assert failed == CHECKS[name]


def test_an_unknown_scenario_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown scenario 'leaked-row': .*did you mean 'leaked-rows'"):
        scenario_named("leaked-row")
