"""The index of data subjects: who is in the examples, without an identifier in it."""

import dataclasses
import hashlib
import hmac
import os
import pickle
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tfx.dsl.io import fileio

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.provenance import subjects as subjects_module
from tfx_trust.components.provenance.config import SubjectIndex
from tfx_trust.components.provenance.hashing import digest_folder
from tfx_trust.components.provenance.record import ArtifactEntry, Record
from tfx_trust.components.provenance.subjects import (
    Found,
    SubjectKey,
    build,
    find,
    has_index,
    index_training,
    look_up,
    normalised,
    read_index,
    write_index,
)

SECRET = bytes(range(32))
KEY = SubjectKey(SECRET)
OTHER = SubjectKey(SECRET[::-1])

Value = list[str] | list[bytes] | list[int] | list[float] | None


def write(path: Path, values: list[Value], feature: str = "person") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), "GZIP" if path.suffix == ".gz" else "") as writer:
        for number, items in enumerate(values):
            example = tf.train.Example()
            example.features.feature["row"].int64_list.value.append(number)
            for item in items or ():
                holder = example.features.feature[feature]
                if isinstance(item, int):
                    holder.int64_list.value.append(item)
                elif isinstance(item, float):
                    holder.float_list.value.append(item)
                else:
                    holder.bytes_list.value.append(item.encode() if isinstance(item, str) else item)
            writer.write(example.SerializeToString())
    return path


def slow_twin(values: list[Value], feature: str = "person") -> dict[bytes, int]:
    counts: Counter[bytes] = Counter()
    for items in values:
        for item in {normalised(item) for item in items or () if item not in ("", b"")}:  # type: ignore[arg-type]
            whole = hmac.new(
                SECRET, b"tfx-trust subject 1\0" + feature.encode() + b"\0" + item, hashlib.sha256
            )
            counts[whole.digest()[:16]] += 1
    return dict(counts)


PEOPLE: list[Value] = [["ann"], ["bob"], ["ann"], None, [""], ["Zoë"], ["ann", "bob", "bob"]]


# Building and looking up


@pytest.mark.parametrize("name", ["data.gz", "data.tfrecord"])
def test_examples_of_a_subject_are_counted(tmp_path: Path, name: str) -> None:
    index = build([str(write(tmp_path / name, PEOPLE))], "person", KEY)
    assert (index.subjects, index.examples, index.missing, index.kind) == (3, 7, 2, "text")
    assert [look_up(index, KEY, who) for who in ("ann", "bob", "Zoë", "Ann", "", "eve")] == [3, 2, 1, 0, 0, 0]


def test_several_files_are_one_index(tmp_path: Path) -> None:
    paths = [str(write(tmp_path / f"{number}.gz", PEOPLE)) for number in range(3)]
    assert look_up(build(paths, "person", KEY), KEY, "ann") == 9


def test_whole_numbers_are_looked_up_as_numbers_and_as_text(tmp_path: Path) -> None:
    index = build([str(write(tmp_path / "a.gz", [[42], [42], [-7], None, [0]]))], "person", KEY)
    assert index.kind == "integer"
    assert [look_up(index, KEY, who) for who in (42, "42", " 042 ", "+42", -7, 0, 43)] == [
        2,
        2,
        2,
        2,
        1,
        1,
        0,
    ]
    with pytest.raises(InputError, match="by whole numbers, and what is looked for is none") as caught:
        look_up(index, KEY, "ann")
    assert "ann" not in str(caught.value)


def test_ways_to_write_the_same_letters_are_one_subject(tmp_path: Path) -> None:
    index = build([str(write(tmp_path / "a.gz", [["Zoe\u0308"], ["Zo\u00eb"]]))], "person", KEY)
    assert look_up(index, KEY, "Zo\u00eb") == look_up(index, KEY, "Zoe\u0308") == 2


def test_bytes_that_are_no_text_are_identifiers_too(tmp_path: Path) -> None:
    index = build([str(write(tmp_path / "a.gz", [[b"\xff\xfe"], ["x"]]))], "person", KEY)
    assert look_up(index, KEY, os.fsdecode(b"\xff\xfe")) == 1


VALUES = st.lists(
    st.none() | st.lists(st.sampled_from(["ann", "bob", "", "é", "e\u0301", "x\0"]), max_size=3), max_size=12
)


@settings(max_examples=25, deadline=None)
@given(VALUES)
def test_an_index_is_that_of_the_slow_twin(
    tmp_path_factory: pytest.TempPathFactory, values: list[Value]
) -> None:
    path = write(tmp_path_factory.mktemp("twin") / "a.gz", [["someone"], *values])
    index = build([str(path)], "person", KEY)
    expected = slow_twin([["someone"], *values])
    digests = np.ascontiguousarray(index.digests).view(np.uint8).reshape(-1, 16)
    assert {bytes(row): int(count) for row, count in zip(digests, index.counts, strict=True)} == expected
    assert [bytes(row) for row in digests] == sorted(expected)
    assert index.missing == sum(not any(items or ()) for items in values)


def test_digests_are_put_together_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values: list[Value] = [[random.Random(number).randrange(40)] for number in range(300)]
    path = str(write(tmp_path / "a.gz", values))
    whole = build([path], "person", KEY)
    monkeypatch.setattr(subjects_module, "_APART", 10)
    monkeypatch.setattr(subjects_module, "_BATCH_ROWS", 7)
    parts = build([path], "person", KEY)
    assert whole.digests.tolist() == parts.digests.tolist()
    assert whole.counts.tolist() == parts.counts.tolist()
    assert whole.counts.sum() == 300


def test_the_same_subject_has_another_digest_in_another_feature(tmp_path: Path) -> None:
    one = build([str(write(tmp_path / "a.gz", [["ann"]]))], "person", KEY)
    other = build([str(write(tmp_path / "b.gz", [["ann"]], "client"))], "client", KEY)
    assert one.digests.tolist() != other.digests.tolist()


@pytest.mark.parametrize(
    ("values", "feature", "told"),
    [
        ([["ann"]], "persn", "no example has the feature 'persn'"),
        ([[1.5]], "person", "feature 'person' holds real numbers, which identify nobody"),
        ([["ann"]] * 1200 + [[7]], "person", "whose 'person' is of another type"),
    ],
)
def test_a_feature_that_identifies_nobody_is_refused(
    tmp_path: Path, values: list[Value], feature: str, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        build([str(write(tmp_path / "a.gz", values))], feature, KEY)


def test_a_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gz", PEOPLE * 100)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="damaged or cut short"):
        build([str(path)], "person", KEY)


# Files


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Folder of a record with an index of two splits."""
    for split, values in {"train": PEOPLE, "eval/odd": PEOPLE[:2]}.items():
        index = build([str(write(tmp_path / f"{len(values)}.gz", values))], "person", KEY)
        write_index(dataclasses.replace(index, artifact=5, split=split), str(tmp_path / "record"))
    return tmp_path / "record"


def test_a_subject_is_found_in_the_folder_of_a_record(record: Path) -> None:
    assert find(str(record), "ann", KEY) == [
        Found(str(record), 5, "eval/odd", 1),
        Found(str(record), 5, "train", 3),
    ]
    assert [str(item) for item in find(str(record), "bob", KEY)] == [
        "in split eval/odd of Examples 5 (1 example)",
        "in split train of Examples 5 (2 examples)",
    ]
    assert find(str(record), "eve", KEY) == []


def test_a_folder_without_an_index_says_so(tmp_path: Path, record: Path) -> None:
    assert has_index(str(record))
    assert not has_index(str(tmp_path))
    assert find(str(tmp_path), "ann", KEY) == []


def test_an_index_is_read_on_other_file_systems_too(record: Path) -> None:
    fileio.makedirs("ram://subjects-of-a-record/subjects")
    for path in record.rglob("*.index"):
        fileio.copy(str(path), f"ram://subjects-of-a-record/subjects/{path.name}", overwrite=True)
    found = find("ram://subjects-of-a-record", "ann", KEY)
    assert [(item.split, item.examples) for item in found] == [("eval/odd", 1), ("train", 3)]
    assert not has_index("ram://no-record")


def test_a_wrong_key_is_told_and_never_finds_nobody(record: Path) -> None:
    with pytest.raises(InputError, match="was made with another key"):
        find(str(record), "ann", OTHER)
    with pytest.raises(InputError, match="was made with another key"):
        find(str(record), "eve", OTHER)


def test_no_identifier_and_no_key_is_in_the_files(record: Path) -> None:
    files = [path for path in record.rglob("*") if path.is_file()]
    assert len(files) == 2
    secrets = [
        "ann",
        "bob",
        "Zoë",
        SECRET,
        SECRET.hex(),
        hashlib.sha256(b"ann").digest(),
        hashlib.sha256(b"ann").hexdigest(),
    ]
    for path in files:
        content = path.read_bytes() + path.name.encode()
        for secret in secrets:
            assert (secret if isinstance(secret, bytes) else secret.encode()) not in content


def test_an_index_is_compact(record: Path) -> None:
    whole = read_index(str(next(record.rglob("5-train.index"))))
    assert whole.subjects == 3
    size = next(record.rglob("5-train.index")).stat().st_size
    assert size < 20 * whole.subjects + 700


def summed(content: bytes) -> bytes:
    return content + hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda content: content[:-1], "damaged or was changed"),
        (lambda content: content + b"\0", "damaged or was changed"),
        (lambda content: content[:-3] + b"\xff" + content[-2:], "damaged or was changed"),
        (lambda content: content[:60], "damaged or was changed"),
        (lambda content: content[:24], "damaged or was changed"),
        (lambda content: b"", "no index of subjects"),
        (lambda content: b"something else", "no index of subjects"),
        (
            lambda content: content.replace(b"subjects 1\n", b"subjects 2\n"),
            "of version 2, this tfx-trust reads 1",
        ),
        (lambda content: content.replace(b'"subjects":3', b'"subjects":2'), "damaged or was changed"),
        (lambda content: summed(content[:40]), "damaged or was changed"),
        (lambda content: summed(content[:-32].replace(b'"feature"', b'"Feature"')), "damaged or was changed"),
    ],
)
def test_a_damaged_index_is_refused(record: Path, damage: object, told: str) -> None:
    path = next(record.rglob("5-train.index"))
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(InputError, match=told):
        read_index(str(path))


def test_every_flipped_bit_is_refused(record: Path) -> None:
    path = next(record.rglob("5-train.index"))
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(InputError, match="make the record anew"):
            read_index(str(path))


# Of a record


def record_of(tmp_path: Path, *entries: ArtifactEntry) -> Record:
    model = ArtifactEntry(id=99, type="Model", uri=str(tmp_path / "model"), role="model")
    return Record(created="2026-11-25T12:00:00+00:00", model=99, artifacts=[*entries, model], executions=[])


def examples(
    tmp_path: Path, number: int, splits: dict[str, list[Value]], feature: str = "person", **more: object
) -> ArtifactEntry:
    uri = tmp_path / "examples" / str(number)
    for split, values in splits.items():
        write(uri / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz", values, feature)
    return ArtifactEntry.model_validate(
        {
            "id": number,
            "type": "Examples",
            "uri": str(uri),
            "role": "upstream",
            "files": digest_folder(str(uri)),
            "properties": {"payload_format": "FORMAT_TF_EXAMPLE", "file_format": "tfrecords_gzip"},
            **more,
        }
    )


@pytest.fixture
def wanted(tmp_path: Path) -> SubjectIndex:
    (tmp_path / "key").write_text(SECRET.hex() + "\n")
    return SubjectIndex(feature="person", key_file=str(tmp_path / "key"))


def test_raw_and_filtered_examples_of_a_record_are_indexed(tmp_path: Path, wanted: SubjectIndex) -> None:
    made = record_of(
        tmp_path,
        examples(tmp_path, 1, {"train": PEOPLE, "eval": PEOPLE[:1]}),
        examples(tmp_path, 4, {"train": PEOPLE[:2]}),
        examples(tmp_path, 6, {"train": [[1.0]]}, "transformed"),
        examples(tmp_path, 8, {"train": PEOPLE}, role="related"),
    )
    assert index_training(made, wanted, str(tmp_path / "record")) == {
        "train of Examples 1": 3,
        "eval of Examples 1": 1,
        "train of Examples 4": 2,
    }
    found = find(str(tmp_path / "record"), "ann", KEY)
    assert [(item.artifact, item.split, item.examples) for item in found] == [
        (1, "eval", 1),
        (1, "train", 3),
        (4, "train", 1),
    ]
    index = read_index(str(tmp_path / "record" / "subjects" / "1-train.index"))
    assert index.files == tuple(file for file in made.artifacts[0].files if "train" in file.path)


def test_one_set_of_examples_is_told_by_its_splits(tmp_path: Path, wanted: SubjectIndex) -> None:
    made = record_of(tmp_path, examples(tmp_path, 1, {"train": PEOPLE, "eval": []}))
    assert index_training(made, wanted, str(tmp_path / "record")) == {"train": 3, "eval": 0}


def test_no_examples_with_the_feature_is_an_error(tmp_path: Path, wanted: SubjectIndex) -> None:
    for entries in ([], [examples(tmp_path, 1, {"train": PEOPLE}, "client")]):
        with pytest.raises(InputError, match="no Examples that this model came of have the feature 'person'"):
            index_training(record_of(tmp_path, *entries), wanted, str(tmp_path / "record"))


def test_examples_that_cannot_be_read_are_an_error_and_not_left_out(
    tmp_path: Path, wanted: SubjectIndex
) -> None:
    parquet = examples(tmp_path, 2, {"train": PEOPLE}, properties={"payload_format": "FORMAT_PARQUET"})
    made = record_of(tmp_path, examples(tmp_path, 1, {"train": PEOPLE}), parquet)
    with pytest.raises(
        InputError, match="payload_format FORMAT_PARQUET; subjects can be indexed where it is"
    ):
        index_training(made, wanted, str(tmp_path / "record"))


def test_examples_whose_files_are_gone_are_named(tmp_path: Path, wanted: SubjectIndex) -> None:
    gone = examples(tmp_path, 2, {"train": PEOPLE}).model_copy(update={"tree": None, "files": []})
    made = record_of(tmp_path, examples(tmp_path, 1, {"train": PEOPLE}), gone)
    with pytest.raises(InputError, match=f"files of Examples 2 at {gone.uri} could not be read"):
        index_training(made, wanted, str(tmp_path / "record"))


# Keys


@pytest.mark.parametrize(
    "content",
    [SECRET, SECRET.hex().encode(), SECRET.hex().upper().encode() + b"\r\n", b" " + SECRET.hex().encode()],
)
def test_a_key_is_read_as_it_is_or_in_hex(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    assert SubjectKey.load(tmp_path / "key").check() == KEY.check()


def test_a_key_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBJECT_KEY", SECRET.hex())
    assert SubjectKey.of(SubjectIndex(feature="x", key_env="SUBJECT_KEY")).check() == KEY.check()


def test_a_passphrase_is_the_same_key_with_and_without_a_line_feed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("correct horse battery staple, twice")
    (tmp_path / "b").write_text("correct horse battery staple, twice\n")
    assert SubjectKey.load(tmp_path / "a").check() == SubjectKey.load(tmp_path / "b").check()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "has 0 bytes; needed are 32 random bytes at least"),
        (b"hunter2-hunter2", "has 15 bytes"),
        (b"ab" * 20, "has 20 bytes"),
        (b"\0" * 32, "one byte over and over"),
        (b"00" * 32, "one byte over and over"),
        (b"-----BEGIN PRIVATE KEY-----\nhunter2" * 2, "a key for signatures"),
        (b"x" * 5000, "over 4,096 bytes"),
    ],
)
def test_a_weak_key_is_refused_and_not_shown(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(InputError, match=re.escape(told)) as caught:
        SubjectKey.load(tmp_path / "key")
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "key"))


def test_a_key_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUBJECT_KEY", raising=False)
    with pytest.raises(InputError, match="the key of subjects cannot be read"):
        SubjectKey.load(tmp_path / "key")
    with pytest.raises(InputError, match="environment variable SUBJECT_KEY: not set"):
        SubjectKey.load(env="SUBJECT_KEY")
    with pytest.raises(UsageError, match="give its file, or the name"):
        SubjectKey.load()


def test_a_key_shows_itself_nowhere() -> None:
    assert repr(KEY) == str(KEY) == "SubjectKey(***)"
    assert SECRET.hex() not in f"{vars(KEY) if hasattr(KEY, '__dict__') else ''}"
    with pytest.raises(TypeError, match="a key is not written anywhere"):
        pickle.dumps(KEY)
