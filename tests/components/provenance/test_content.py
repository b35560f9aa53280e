"""Content-aware caching, in real pipelines over one metadata store."""

import builtins
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aware import Driver as OwnDriver
from aware import Own, Reader
from tfx.components.example_gen.driver import FileBasedDriver
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration import metadata
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner
from tfx.orchestration.experimental.interactive.interactive_context import InteractiveContext
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts
from tfx.utils import import_utils, name_utils
from tfx.v1.components import CsvExampleGen

from tfx_trust.components import ProvenanceTracker
from tfx_trust.components.errors import UsageError
from tfx_trust.components.mlmd import Artifact, Execution, open_store
from tfx_trust.components.privacy.driver import Driver as PrivateTrainerDriver
from tfx_trust.components.provenance import content
from tfx_trust.components.provenance.content import (
    INPUTS_DIGEST,
    OUTPUTS_REFUSED,
    content_aware,
    inputs_digest,
)
from tfx_trust.components.provenance.driver import Driver as TrackerDriver
from tfx_trust.components.provenance.hashing import (
    digest_files,
    digest_folder,
    tree_digest,
    tree_of_fingerprint,
)
from tfx_trust.components.provenance.snapshots import track

GEN, READER, OWN = "CsvExampleGen", "Reader", "Own"


class Place:
    """A folder with a raw input, a metadata store, and the pipeline over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.csv = folder / "data" / "a.csv"
        self.schema = folder / "schema.pbtxt"
        self.database = folder / "metadata.db"
        self.numbers = itertools.count(10)
        self.csv.parent.mkdir(parents=True)
        self.csv.write_text("a,b\n" + "".join(f"{number},{number}\n" for number in range(10, 90)))
        self.schema.write_text("feature {}")

    def run(
        self,
        runner: Any = LocalDagRunner,
        *,
        track_all: bool = False,
        only_gen: bool = False,
        cache: bool = True,
        record: bool = False,
    ) -> dict[str, str]:
        """Runs it; the state of the newest execution by component."""
        gen = content_aware(CsvExampleGen(input_base=str(self.csv.parent)))
        reader = content_aware(Reader(examples=gen.outputs["examples"]))
        own = content_aware(Own(model=reader.outputs["copy"], schema_file=str(self.schema)))
        nodes = [gen] if only_gen else [gen, reader, own]
        if record:
            nodes.append(content_aware(ProvenanceTracker(model=reader.outputs["copy"])))
        tracked = [track(node) for node in nodes] if track_all else []
        pipeline = Pipeline(
            pipeline_name="small",
            pipeline_root=str(self.folder / "artifacts"),
            components=[*nodes, *tracked],
            enable_cache=cache,
            metadata_connection_config=metadata.sqlite_metadata_connection_config(str(self.database)),
            beam_pipeline_args=["--runner=DirectRunner", "--direct_running_mode=in_memory"],
        )
        runner().run(pipeline)
        return {item.component: item.state for item in sorted(self.executions(), key=lambda item: item.id)}

    def executions(self) -> list[Execution]:
        return list(open_store(self.database).executions().values())

    def swap_raw_input(self) -> None:
        """Other bytes than ever; size and time of modification stay."""
        before = self.csv.stat()
        self.csv.write_text(self.csv.read_text()[:-3] + f"{next(self.numbers)}\n")
        os.utime(self.csv, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert self.csv.stat().st_size == before.st_size

    def newest(self, node: str) -> Execution:
        return max((item for item in self.executions() if item.component == node), key=lambda item: item.id)

    def newest_done(self, node: str) -> Execution:
        """The newest that was not served from the cache."""
        found = (item for item in self.executions() if (item.component, item.state) == (node, "COMPLETE"))
        return max(found, key=lambda item: item.id)

    def made(self, node: str) -> Artifact:
        """What the newest execution of a node made, or was served."""
        store = open_store(self.database)
        events = store.events_of_executions([self.newest(node).id])
        (number,) = (event.artifact for event in events if event.kind == "OUTPUT")
        return store.artifacts([number])[number]


def swap_byte(path: Path) -> None:
    """Changes one byte; size and time of modification stay."""
    before = path.stat()
    changed = bytearray(path.read_bytes())
    changed[-2] ^= 1
    path.write_bytes(changed)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("aware"))
    assert place.run() == {GEN: "COMPLETE", READER: "COMPLETE", OWN: "COMPLETE"}
    return place


@pytest.fixture
def settled(place: Place) -> Place:
    """Whatever a test before left is made good: nothing is to be done any more."""
    place.run()
    return place


@pytest.mark.parametrize("runner", [LocalDagRunner, BeamDagRunner])
def test_equal_bytes_are_served_from_the_cache(settled: Place, runner: Any) -> None:
    assert set(settled.run(runner).values()) == {"CACHED"}


@pytest.mark.parametrize("runner", [LocalDagRunner, BeamDagRunner])
def test_raw_input_of_equal_size_and_time_but_other_bytes_is_read_anew(settled: Place, runner: Any) -> None:
    settled.swap_raw_input()
    assert settled.run(runner) == {GEN: "COMPLETE", READER: "COMPLETE", OWN: "COMPLETE"}


def test_raw_input_that_was_only_touched_is_not_read_anew(settled: Place) -> None:
    os.utime(settled.csv)
    assert set(settled.run().values()) == {"CACHED"}


def test_raw_input_that_was_put_back_is_served_from_the_cache_again(settled: Place) -> None:
    before = settled.csv.read_bytes()
    settled.swap_raw_input()
    assert settled.run()[GEN] == "COMPLETE"
    settled.csv.write_bytes(before)
    assert set(settled.run().values()) == {"CACHED"}


def test_raw_input_under_another_name_is_read_anew(settled: Place) -> None:
    settled.csv.rename(settled.csv.with_name("b.csv"))
    try:
        assert settled.run()[GEN] == "COMPLETE"
    finally:
        settled.csv.with_name("b.csv").rename(settled.csv)


def test_raw_input_may_be_reached_through_a_link(settled: Place) -> None:
    target = settled.folder / "elsewhere.csv"
    settled.csv.rename(target)
    settled.csv.symlink_to(target)
    try:
        assert set(settled.run().values()) == {"CACHED"}
        settled.swap_raw_input()
        assert settled.run()[GEN] == "COMPLETE"
    finally:
        settled.csv.unlink()
        target.rename(settled.csv)


def test_no_input_is_no_reason_to_serve_what_was_made_of_one(settled: Place) -> None:
    aside = settled.folder / "aside.csv"
    settled.csv.rename(aside)
    try:
        with pytest.raises(RuntimeError, match="match any file"):
            settled.run()
    finally:
        aside.rename(settled.csv)


def test_a_file_that_a_parameter_names_counts(settled: Place) -> None:
    swap_byte(settled.schema)
    assert settled.run() == {GEN: "CACHED", READER: "CACHED", OWN: "COMPLETE"}


def test_the_fingerprint_is_the_digest_of_the_raw_input(settled: Place) -> None:
    examples = settled.made(GEN)
    files = digest_files([str(settled.csv)], str(settled.csv.parent))
    assert tree_of_fingerprint(str(examples.properties["input_fingerprint"])) == tree_digest(files)


def test_the_property_tells_what_was_read(settled: Place) -> None:
    settled.swap_raw_input()
    settled.run()
    examples, reader = settled.made(GEN), settled.newest_done(READER)
    told = json.loads(str(reader.properties[INPUTS_DIGEST]))
    assert told == {"artifacts": {str(examples.id): tree_digest(digest_folder(examples.uri))}}


# What was made


def test_tampered_examples_are_made_anew_and_so_is_all_that_reads_them(settled: Place) -> None:
    before = settled.made(GEN)
    swap_byte(next(Path(before.uri).rglob("*.gz")))
    assert settled.run() == {GEN: "COMPLETE", READER: "COMPLETE", OWN: "COMPLETE"}
    assert settled.newest_done(GEN).properties[OUTPUTS_REFUSED] == json.dumps([before.id])
    assert set(settled.run().values()) == {"CACHED"}


def test_a_missing_file_of_what_was_made_is_noticed(settled: Place) -> None:
    for path in Path(settled.made(READER).uri).iterdir():
        path.unlink()
    assert settled.run() == {GEN: "CACHED", READER: "COMPLETE", OWN: "COMPLETE"}
    assert set(settled.run().values()) == {"CACHED"}


def test_what_was_put_back_is_served_again(settled: Place) -> None:
    made = settled.made(READER)
    swap_byte(Path(made.uri) / "bytes")
    assert settled.run()[READER] == "COMPLETE"
    swap_byte(Path(made.uri) / "bytes")
    assert settled.run()[READER] == "CACHED"
    assert settled.made(READER).id == made.id


def test_a_verdict_that_was_edited_is_judged_anew(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    place.run(track_all=True, record=True)
    report = Path(place.made("ProvenanceTracker").uri) / "report.json"
    assert place.run(track_all=True, record=True)["ProvenanceTracker"] == "CACHED"
    report.write_text(report.read_text().replace("warn", "pass"))
    assert place.run(track_all=True, record=True)["ProvenanceTracker"] == "COMPLETE"


def test_what_the_cache_would_not_serve_may_be_cleared_away(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    place.run(track_all=True)
    old = [Path(place.made(node).uri) for node in (GEN, READER, OWN)]
    place.run(track_all=True, cache=False)
    for folder in old:
        shutil.rmtree(folder)
    assert set(place.run(track_all=True).values()) == {"CACHED"}
    shutil.rmtree(place.made(OWN).uri)
    assert place.run(track_all=True)[OWN] == "COMPLETE"


def test_what_nobody_looked_at_is_served_unless_there_is_a_snapshot_of_it(
    tmp_path: Path,
) -> None:
    without, tracked = Place(tmp_path / "without"), Place(tmp_path / "tracked")
    for place in (without, tracked):
        place.run(track_all=place is tracked)
        swap_byte(Path(place.made(OWN).uri) / "bytes")
    assert without.run()[OWN] == "CACHED"
    assert tracked.run(track_all=True)[OWN] == "COMPLETE"


def test_bytes_that_change_between_two_nodes_are_read_by_the_second_though_the_first_is_cached(
    tmp_path: Path,
) -> None:
    """Examples that nobody saw before cannot be refused; who reads them goes by what is there."""
    place = Place(tmp_path)
    place.run(only_gen=True)
    swap_byte(next(Path(place.made(GEN).uri).rglob("*.gz")))
    assert place.run() == {GEN: "CACHED", READER: "COMPLETE", OWN: "COMPLETE"}


# Drivers


def test_a_driver_of_its_own_goes_on_working_inside(settled: Place) -> None:
    assert settled.newest_done(OWN).properties["counted"] == 1
    assert (Path(settled.made(OWN).uri) / "bytes").read_text() == f"1 {settled.schema}"


def test_a_wrapped_driver_is_found_by_its_name_in_another_process() -> None:
    path = name_utils.get_full_name(content_aware(CsvExampleGen(input_base="/data")).driver_class)
    code = f"""
from tfx.utils import import_utils
import pickle
found = import_utils.import_class_by_path({path!r})
assert pickle.loads(pickle.dumps(found)) is found
print(*(item.__name__ for item in found.__mro__))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "ContentAware FileBasedDriver Driver" in done.stdout


@pytest.mark.parametrize("driver", [PrivateTrainerDriver, TrackerDriver])
def test_the_drivers_of_this_library_can_be_wrapped(driver: type) -> None:
    component = CsvExampleGen(input_base="/data")
    component.driver_class = driver
    wrapped = content_aware(component).driver_class
    assert wrapped.__mro__[1:3] == (content.ContentAware, driver)
    assert import_utils.import_class_by_path(name_utils.get_full_name(wrapped)) is wrapped


def test_wrapping_twice_is_wrapping_once() -> None:
    component = content_aware(CsvExampleGen(input_base="/data"))
    wrapped = component.driver_class
    assert content_aware(component).driver_class is wrapped
    assert issubclass(wrapped, FileBasedDriver)


def test_nodes_that_read_no_bytes_are_left_as_they_are() -> None:
    importer = Importer(source_uri="/data", artifact_type=standard_artifacts.Schema)
    snapshot = track(CsvExampleGen(input_base="/data"))
    for node in (importer, snapshot):
        before = node.driver_class
        assert content_aware(node) is node
        assert node.driver_class is before


def test_a_driver_that_cannot_be_imported_by_name_is_refused() -> None:
    class Local(OwnDriver):
        pass

    component = CsvExampleGen(input_base="/data")
    component.driver_class = Local
    with pytest.raises(UsageError, match="driver of CsvExampleGen cannot be wrapped"):
        content_aware(component)


def test_the_module_has_no_other_names_than_its_own() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = content.Nothing


# What is read


def pushed(destination: Path, uri: Path) -> standard_artifacts.PushedModel:
    made = standard_artifacts.PushedModel()
    made.uri = str(uri)
    made.set_string_custom_property("pushed_destination", str(destination))
    return made


def test_the_folder_that_a_model_was_pushed_to_counts_without_its_record(tmp_path: Path) -> None:
    destination, uri = tmp_path / "serving" / "7", tmp_path / "pushed"
    (destination / "assets.extra" / "provenance").mkdir(parents=True)
    uri.mkdir()
    (destination / "saved_model.pb").write_text("model")
    before = inputs_digest({"model": [pushed(destination, uri)]}, {})
    (destination / "assets.extra" / "provenance" / "record.json").write_text("{}")
    assert inputs_digest({"model": [pushed(destination, uri)]}, {}) == before
    (destination / "saved_model.pb").write_text("other")
    assert inputs_digest({"model": [pushed(destination, uri)]}, {}) != before


def test_an_input_that_is_gone_is_told_and_one_that_cannot_be_read_is_never_the_same_again(
    tmp_path: Path,
) -> None:
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "model")
    assert inputs_digest({"model": [model]}, {}) == '{"artifacts":{"0":"missing"}}'
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link").symlink_to(tmp_path)
    assert inputs_digest({"model": [model]}, {}) != inputs_digest({"model": [model]}, {})


def test_an_input_that_is_no_file_is_left_to_tfx() -> None:
    table = standard_artifacts.Model()
    table.uri = "bq://project.dataset.table"
    assert inputs_digest({"table": [table]}, {}) == '{"artifacts":{"0":"no files"}}'


# In a notebook


def test_it_works_in_an_interactive_context_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "__IPYTHON__", True, raising=False)
    place = Place(tmp_path)
    database = metadata.sqlite_metadata_connection_config(str(place.database))
    context = InteractiveContext("small", str(tmp_path / "artifacts"), database)

    def states() -> list[str]:
        gen = content_aware(CsvExampleGen(input_base=str(place.csv.parent)))
        context.run(gen)
        reader = content_aware(Reader(examples=gen.outputs["examples"]))
        context.run(reader)
        return [place.newest(node).state for node in (GEN, READER)]

    assert states() == ["COMPLETE", "COMPLETE"]
    os.utime(place.csv)
    assert states() == ["CACHED", "CACHED"]
    swap_byte(next(Path(place.made(GEN).uri).rglob("*.gz")))
    assert states() == ["CACHED", "COMPLETE"]
    place.swap_raw_input()
    assert states() == ["COMPLETE", "COMPLETE"]
