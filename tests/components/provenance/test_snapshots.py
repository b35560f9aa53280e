"""Snapshots: what was seen first stands, and what became of it is told with the times between."""

import datetime
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import minute
from stores import Builder, Made
from tfx.types import standard_artifacts
from tfx.types.channel_utils import as_channel
from tfx.v1.components import CsvExampleGen

from tfx_trust.components.artifacts import Snapshot as SnapshotArtifact
from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.mlmd import Store, open_store
from tfx_trust.components.provenance.hashing import digest_folder, tree_digest
from tfx_trust.components.provenance.record import ArtifactEntry, FileEntry, Record, Unknown
from tfx_trust.components.provenance.snapshot_component import ArtifactSnapshot
from tfx_trust.components.provenance.snapshot_executor import Executor
from tfx_trust.components.provenance.snapshots import (
    SNAPSHOT_DIGEST,
    SNAPSHOT_FILE,
    Seen,
    Snapshot,
    SnapshotEntry,
    changes,
    earlier,
    track,
)

SNAPSHOT_TYPE = "tfx_trust.components.provenance.snapshot_component.ArtifactSnapshot"
TRACKER_TYPE = "tfx_trust.components.provenance.component.ProvenanceTracker"


def listing(files: Mapping[str, str]) -> list[FileEntry]:
    return [
        FileEntry(path=name, size=len(content), sha256=hashlib.sha256(content.encode()).hexdigest())
        for name, content in sorted(files.items())
    ]


def entry_of(files: Mapping[str, str] | None, at: int, number: int = 7) -> ArtifactEntry:
    listed = listing(files or {})
    tree = None if files is None else tree_digest(listed)
    return ArtifactEntry(
        id=number, type="Examples", uri="/e", role="upstream", files=listed, tree=tree, observed=minute(at)
    )


def seen(*views: Mapping[str, str]) -> list[Seen]:
    return [
        Seen(tuple(listing(view)), minute(number), f"snapshot {number}") for number, view in enumerate(views)
    ]


def told(now: Mapping[str, str] | None, *views: Mapping[str, str]) -> list[tuple[str, str, str | None]]:
    found = changes(entry_of(now, at=len(views)), seen(*views))
    return [(item.kind, item.path, item.renamed_to) for item in found]


# What changed

CLEAN = {"a": "1", "b": "2", "sub/c": "3"}


def test_nothing_is_told_of_what_is_as_it_was() -> None:
    assert told(CLEAN) == []
    assert told(CLEAN, CLEAN) == []
    assert told(CLEAN, *[CLEAN] * 20) == []
    assert told({}, {}) == []


def test_each_kind_of_change_is_told_by_path() -> None:
    assert told({**CLEAN, "b": "x"}, CLEAN) == [("changed", "b", None)]
    assert told({"a": "1", "sub/c": "3"}, CLEAN) == [("missing", "b", None)]
    assert told({**CLEAN, "aa": "9"}, CLEAN) == [("added", "aa", None)]
    assert told({"a": "1", "bb": "2", "sub/c": "3"}, CLEAN) == [("renamed", "b", "bb")]
    assert told({}, CLEAN) == [("missing", "a", None), ("missing", "b", None), ("missing", "sub/c", None)]
    assert told({"a": "2", "b": "1", "sub/c": "3"}, CLEAN) == [("changed", "a", None), ("changed", "b", None)]


def test_several_files_of_the_same_bytes_are_paired_in_order() -> None:
    before = {"a": "same", "b": "same", "c": "same"}
    assert told({"x": "same", "y": "same"}, before) == [
        ("renamed", "a", "x"),
        ("renamed", "b", "y"),
        ("missing", "c", None),
    ]


def test_a_copy_is_added_and_not_renamed() -> None:
    assert told({**CLEAN, "copy": "1"}, CLEAN) == [("added", "copy", None)]


def test_a_change_tells_when_it_was_made_at_the_earliest_and_at_the_latest() -> None:
    other = {**CLEAN, "a": "x"}
    (change,) = changes(entry_of(other, at=9), seen(CLEAN, CLEAN, other, other))
    assert (change.seen, change.seen_in, change.found) == (minute(1), "snapshot 1", minute(2))
    assert (change.before, change.now) == (listing(CLEAN)[0].sha256, listing(other)[0].sha256)
    assert change.artifact == 7
    (change,) = changes(entry_of(other, at=9), seen(CLEAN, CLEAN))
    assert (change.seen, change.found) == (minute(1), minute(9))


def test_the_order_in_which_they_are_given_does_not_matter() -> None:
    other = {**CLEAN, "a": "x"}
    found = seen(CLEAN, other, other)
    assert changes(entry_of(other, at=5), found[::-1]) == changes(entry_of(other, at=5), found)


def test_what_was_changed_and_put_back_is_told() -> None:
    """Whoever read it in between read something else."""
    (change,) = changes(entry_of(CLEAN, at=5), seen(CLEAN, {**CLEAN, "a": "x"}, CLEAN))
    assert change.kind == "changed"
    assert change.now == change.before
    assert (change.seen, change.found) == (minute(0), minute(1))


def test_what_was_renamed_and_changed_afterwards_is_told_as_both() -> None:
    assert told({"a": "1", "bb": "x", "sub/c": "3"}, CLEAN, {"a": "1", "bb": "2", "sub/c": "3"}) == [
        ("missing", "b", None),
        ("added", "bb", None),
    ]


def test_of_what_cannot_be_read_now_what_was_seen_is_compared() -> None:
    assert told(None, CLEAN) == []
    assert told(None, CLEAN, {**CLEAN, "a": "x"}) == [("changed", "a", None)]


names = st.sampled_from(["a", "b", "c/d", "c/e", "f"])
views = st.dictionaries(names, st.sampled_from(["1", "2", "33"]), max_size=5)


@settings(deadline=None)
@given(views, views)
def test_any_difference_is_told_and_explains_itself(before: dict[str, str], now: dict[str, str]) -> None:
    """Doing to `before` what is told gives `now`."""
    rebuilt = {file.path: file.sha256 for file in listing(before)}
    found = changes(entry_of(now, at=1), seen(before))
    for change in found:
        if change.kind in ("missing", "renamed"):
            del rebuilt[change.path]
        if change.kind == "renamed":
            assert change.renamed_to is not None
            assert change.before is not None
            rebuilt[change.renamed_to] = change.before
        if change.kind in ("added", "changed"):
            assert change.now is not None
            rebuilt[change.path] = change.now
    assert rebuilt == {file.path: file.sha256 for file in listing(now)}
    assert bool(found) == (before != now)


@settings(deadline=None)
@given(st.lists(views, min_size=1, max_size=5))
def test_a_window_begins_with_what_was_first_and_ends_with_something_else(history: list[Any]) -> None:
    times = [minute(number) for number in range(len(history))]
    for change in changes(entry_of(history[-1], at=len(history) - 1), seen(*history[:-1])):
        begin, end = times.index(change.seen), times.index(change.found)
        assert end == begin + 1
        assert all(view.get(change.path) == history[0].get(change.path) for view in history[:end])
        assert history[end].get(change.path) != history[0].get(change.path)


# The file


def test_the_file_is_canonical_and_comes_back() -> None:
    snapshot = Snapshot(
        artifacts=[SnapshotEntry(id=1, type="Model", uri="/ü", files=listing(CLEAN), observed=minute(0))]
    )
    content = snapshot.to_bytes()
    assert content.startswith(b'{"artifacts":[{"files":[{"path":"a",')
    assert content.endswith(b'"1.0"}\n')
    assert Snapshot.of_bytes(content, "s") == snapshot
    assert snapshot.digest() == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"{", "snapshot.json: not a snapshot"),
        (b'{"artifacts":[],"schema_version":"2.0"}', "schema_version is 2.0, this tfx-trust reads 1.0"),
        (b'{"artifacts":[],"more":1}', "snapshot.json: not a snapshot"),
    ],
)
def test_another_file_is_refused(content: bytes, text: str) -> None:
    with pytest.raises(InputError, match=text):
        Snapshot.of_bytes(content, "snapshot.json")


# The component


def channel_of(uri: Path, number: int, kind: type = standard_artifacts.Model) -> Any:
    made = kind()
    made.uri, made.id = str(uri), number
    return as_channel([made])


def run_snapshot(inputs: Mapping[str, Any], folder: Path) -> SnapshotArtifact:
    component = ArtifactSnapshot(artifacts=inputs)
    output = SnapshotArtifact()
    output.uri = str(folder)
    given = {key: list(channel.get()) for key, channel in component.inputs.items()}
    Executor().Do(given, {"snapshot": [output]}, component.exec_properties)
    return output


def test_it_hashes_all_artifacts_and_tells_of_those_it_cannot_read(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "file").write_text(name)
    (tmp_path / "two" / "link").symlink_to("sub")
    inputs = {"b": channel_of(tmp_path / "two", 4), "a": channel_of(tmp_path / "one", 9)}
    output = run_snapshot({**inputs, "gone": channel_of(tmp_path / "gone", 2)}, tmp_path / "snapshot")
    snapshot = Snapshot.of_bytes((tmp_path / "snapshot" / SNAPSHOT_FILE).read_bytes(), "")
    gone, two, one = snapshot.artifacts
    assert (gone.id, gone.tree, gone.files) == (2, None, [])
    assert "there is nothing" in (gone.problem or "")
    assert "a symbolic link" in (two.problem or "")
    assert one.files == digest_folder(tmp_path / "one")
    assert one.tree == tree_digest(one.files)
    assert (one.type, one.uri, one.problem) == ("Model", str(tmp_path / "one"), None)
    assert datetime.datetime.fromisoformat(one.observed).utcoffset() == datetime.timedelta(0)
    assert output.get_string_custom_property(SNAPSHOT_DIGEST) == snapshot.digest()


def test_track_takes_all_outputs_of_a_component() -> None:
    gen = CsvExampleGen(input_base="/data").with_id("Gen")
    node = track(gen)
    assert node.id == "Snapshot_Gen"
    assert list(node.inputs) == ["artifact_examples"]
    assert list(node.outputs) == ["snapshot"]


@pytest.mark.parametrize(
    ("artifacts", "text"),
    [({}, "artifacts is empty"), ({"a b": 1}, "artifact name 'a b' is not allowed")],
)
def test_bad_arguments_are_refused(artifacts: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        ArtifactSnapshot(artifacts=artifacts)


# What a store tells


class Place:
    """A store with examples and a model, and what was seen of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.builder = Builder(folder).run("run-1")
        gen = self.builder.execute("CsvExampleGen", outputs={"examples": [("Examples",)]})
        self.examples = gen["examples"]
        trained = self.builder.execute(
            "Trainer", inputs={"examples": [self.examples]}, outputs={"model": [("Model",)]}
        )
        self.model = trained["model"]

    def files(self, number: int) -> list[FileEntry]:
        return digest_folder(self.builder.uri(number))

    def snapshot(self, at: int, *numbers: int, state: str = "COMPLETE", **changed: Any) -> Path:
        """A snapshot node's execution, with what is there now."""
        entries = [
            SnapshotEntry(
                id=number,
                type="x",
                uri=self.builder.uri(number),
                files=self.files(number),
                tree=tree_digest(self.files(number)),
                observed=minute(at),
            )
            for number in numbers
        ]
        made = Snapshot(artifacts=entries)
        properties = {SNAPSHOT_DIGEST: changed.get("digest", made.digest())}
        done = self._holder("Snapshot", SNAPSHOT_TYPE, "TrustSnapshot", properties, numbers, state)
        path = Path(self.builder.uri(done["out"])) / SNAPSHOT_FILE
        path.write_bytes(made.to_bytes())
        return path

    def record(self, at: int, *numbers: int) -> Path:
        """A tracker's execution. It is linked with the model alone, whatever is in its record."""
        record = Record(
            created=minute(at),
            model=self.model,
            artifacts=[
                ArtifactEntry(
                    id=number,
                    type="x",
                    uri=self.builder.uri(number),
                    role="upstream",
                    files=self.files(number),
                    tree=tree_digest(self.files(number)),
                    observed=minute(at),
                )
                for number in numbers
            ],
            executions=[],
        ).sealed()
        properties = {"record_digest": record.digest}
        done = self._holder("Tracker", TRACKER_TYPE, "TrustProvenanceRecord", properties, [self.model])
        path = Path(self.builder.uri(done["out"])) / "record.json"
        path.write_bytes(record.to_bytes())
        return path

    def _holder(
        self, node: str, kind: str, type_name: str, properties: Any, numbers: Any, state: str = "COMPLETE"
    ) -> Made:
        return self.builder.execute(
            node,
            kind,
            inputs={"artifact": list(numbers)},
            outputs={"out": [(type_name, "", properties)]},
            state=state,
        )

    def tamper(self, number: int) -> None:
        path = next(path for path in sorted(Path(self.builder.uri(number)).rglob("*")) if path.is_file())
        path.write_bytes(path.read_bytes()[:-1] + b"!")

    @property
    def store(self) -> Store:
        return open_store(self.builder.path)

    def seen(self, number: int, **more: Any) -> list[str]:
        return [item.where for item in earlier(self.store, [number], **more)[number]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


def test_snapshots_and_records_are_found_the_earliest_first(place: Place) -> None:
    late = place.record(5, place.model, place.examples)
    first = place.snapshot(1, place.examples)
    both = place.snapshot(3, place.examples, place.model)
    assert place.seen(place.examples) == [str(first), str(both), str(late)]
    assert place.seen(place.model) == [str(both), str(late)]
    found = earlier(place.store, [place.examples])[place.examples]
    assert list(found[0].files) == place.files(place.examples)


def test_of_snapshots_alone_no_record_is_opened(place: Place) -> None:
    first = place.snapshot(1, place.examples)
    place.record(5, place.model, place.examples).write_text("no record")
    unknowns: list[Unknown] = []
    found = earlier(place.store, [place.model, place.examples], unknowns=unknowns, records=False)
    assert [item.where for item in found[place.examples]] == [str(first)]
    assert found[place.model] == []
    assert unknowns == []


def test_a_change_is_found_between_a_snapshot_and_a_record(place: Place) -> None:
    first = place.snapshot(1, place.examples)
    place.tamper(place.examples)
    place.record(5, place.model, place.examples)
    files = place.files(place.examples)
    now = ArtifactEntry(
        id=place.examples,
        type="Examples",
        uri="",
        role="upstream",
        files=files,
        tree=tree_digest(files),
        observed=minute(9),
    )
    (change,) = changes(now, earlier(place.store, [place.examples])[place.examples])
    assert change.path == "Split-eval/data_tfrecord-00000-of-00001.gz"
    assert (change.seen, change.seen_in, change.found) == (minute(1), str(first), minute(5))


def test_nothing_is_told_where_nobody_looked(place: Place) -> None:
    assert earlier(place.store, [place.model, 999]) == {place.model: []}


def test_a_snapshot_that_was_not_finished_is_not_read(place: Place) -> None:
    place.snapshot(1, place.model, state="FAILED")
    assert place.seen(place.model) == []


def _delete(path: Path) -> None:
    shutil.rmtree(path.parent)


def _garble(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _edit(path: Path) -> None:
    content = json.loads(path.read_bytes())
    content["artifacts"][0]["observed"] = minute(0)
    path.write_text(json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _escape(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"/', b'"\\u002f'))


@pytest.mark.parametrize(
    ("kind", "damage", "text"),
    [
        ("snapshot", _delete, "cannot be read"),
        ("record", _delete, "cannot be read"),
        ("snapshot", _pipe, "cannot be read"),
        ("snapshot", _garble, "not a"),
        ("record", _garble, "was edited"),
        ("snapshot", _edit, "was edited"),
        ("record", _edit, "was edited"),
        ("record", _escape, "was edited"),  # It tells the same, by other bytes.
    ],
)
def test_what_cannot_be_believed_is_noted_and_passed_over(
    place: Place, kind: str, damage: Callable[[Path], None], text: str
) -> None:
    good = place.snapshot(3, place.model)
    damage(getattr(place, kind)(1, place.model))
    unknowns: list[Unknown] = []
    assert place.seen(place.model, unknowns=unknowns) == [str(good)]
    assert [item.what for item in unknowns] == ["earlier_observation"]
    assert text in unknowns[0].why
    assert place.seen(place.model) == [str(good)]


def test_a_store_that_was_moved_is_read_where_it_lies_now(place: Place, tmp_path: Path) -> None:
    place.snapshot(1, place.model)
    place.record(2, place.model)
    shutil.copytree(place.folder, tmp_path / "moved")
    shutil.rmtree(place.folder / "artifacts")
    prefixes = [(str(place.folder), str(tmp_path / "moved"))]
    assert place.seen(place.model) == []
    found = place.seen(place.model, rewrite=prefixes)
    assert [os.path.basename(name) for name in found] == [SNAPSHOT_FILE, "record.json"]


def test_only_what_tells_of_the_artifacts_is_read_in_full(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        place.snapshot(number, place.model)
        place.record(number, place.model)
    place.snapshot(7, place.examples)
    parsed: list[str] = []
    for kind in (Snapshot, Record):
        plain = kind.of_bytes
        monkeypatch.setattr(
            kind,
            "of_bytes",
            lambda content, where, plain=plain: parsed.append(where) or plain(content, where),
        )
    assert len(place.seen(place.examples)) == 1
    assert len(parsed) == 1
