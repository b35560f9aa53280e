"""Digests of files and folders, against slow twins, and everything that has to be refused."""

import hashlib
import os
import random
import shutil
import socket
import string
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tfx.dsl.io import filesystem, filesystem_registry

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance import reading
from tfx_trust.components.provenance.hashing import (
    digest_files,
    digest_folder,
    digest_folders,
    file_digest,
    raw_fingerprint,
    tree_digest,
    tree_of_fingerprint,
)
from tfx_trust.components.provenance.record import FileEntry

SIZES = [
    0,
    1,
    4096,
    reading._SMALL,
    reading._SMALL + 1,
    reading._BLOCK,
    reading._BLOCK + 1,
    3 * reading._BLOCK,
]


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    reading._memo.clear()


def slow_folder(folder: Path) -> list[FileEntry]:
    """The obvious twin."""
    return [
        FileEntry(
            path=path.relative_to(folder).as_posix(),
            size=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix())
        if path.is_file()
    ]


def slow_tree(files: list[FileEntry]) -> str:
    """RFC 6962's recursive definition, over the leaves that the docstring tells."""

    def root(leaves: list[bytes]) -> bytes:
        if not leaves:
            return hashlib.sha256(b"").digest()
        if len(leaves) == 1:
            return leaves[0]
        half = 1
        while half * 2 < len(leaves):
            half *= 2
        return hashlib.sha256(b"\x01" + root(leaves[:half]) + root(leaves[half:])).digest()

    leaves = []
    for file in sorted(files, key=lambda file: file.path.encode("utf-8")):
        path = file.path.encode("utf-8")
        told = len(path).to_bytes(8, "big") + path + file.size.to_bytes(8, "big") + bytes.fromhex(file.sha256)
        leaves.append(hashlib.sha256(b"\x00" + told).digest())
    return root(leaves).hex()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def age(folder: Path) -> None:
    """Makes all digests of large files be remembered, which those of new files are not."""
    reading._memo.clear()
    reading_settled = reading._SETTLED_NS
    reading._SETTLED_NS = -1
    try:
        digest_folder(folder)
    finally:
        reading._SETTLED_NS = reading_settled


# Known answers


def test_the_digest_of_a_file_is_that_of_sha256sum(tmp_path: Path) -> None:
    for size in SIZES:
        path = write(tmp_path, {f"{size}.bin": random.Random(size).randbytes(size)}) / f"{size}.bin"
        told = subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout
        assert file_digest(path) == FileEntry(path=path.name, size=size, sha256=told.split()[0])


def test_a_folder_is_what_its_slow_twin_says(tmp_path: Path) -> None:
    draw = random.Random(7)
    names = [
        "a",
        "a-b",
        "sub/ä ö.txt",
        "sub/deep/er/x",
        "A",
        "sub.txt",
        "sub/\\n",
        "sub/日本",
    ]
    write(tmp_path, {name: draw.randbytes(size) for name, size in zip(names, SIZES, strict=True)})
    (tmp_path / "empty").mkdir()
    assert digest_folder(tmp_path) == slow_folder(tmp_path)
    assert [item.path for item in digest_folder(str(tmp_path) + "/")] == sorted(names)


def test_the_tree_digest_is_as_documented() -> None:
    # printf '\000\000\000\000\000\000\000\000\001a\000\000\000\000\000\000\000\001' > leaf
    # printf x | sha256sum | cut -d' ' -f1 | xxd -r -p >> leaf; sha256sum leaf
    assert (
        tree_digest(listing({"a": b"x"}))
        == "3097e0abff722c5d20c7bc61e2bb923d68f74ff4cf98728831b4a0e4b5d41e54"
    )
    assert (
        tree_digest(listing({"c": b"yz", "b/ä": b"", "a": b"x"}))
        == "97b951ef7162e1b963d7a75d9869a19be00af80a1a43ac312c2efda2206b724b"
    )
    assert tree_digest([]) == hashlib.sha256().hexdigest()


# The tree digest binds everything

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
trees = st.dictionaries(names, st.binary(max_size=6), max_size=9)


def listing(files: dict[str, bytes]) -> list[FileEntry]:
    return [
        FileEntry(path=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in files.items()
    ]


@settings(deadline=None)
@given(trees, st.randoms(use_true_random=False))
def test_it_equals_its_slow_twin_in_any_order(files: dict[str, bytes], draw: random.Random) -> None:
    listed = listing(files)
    draw.shuffle(listed)
    assert tree_digest(listed) == slow_tree(listing(files))


@settings(deadline=None)
@given(trees, trees)
def test_different_trees_have_different_digests(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    assert (tree_digest(listing(one)) == tree_digest(listing(other))) == (one == other)


@settings(deadline=None)
@given(trees, names, st.binary(max_size=6), st.data())
def test_any_single_change_changes_it(
    files: dict[str, bytes], name: str, content: bytes, data: st.DataObject
) -> None:
    before = tree_digest(listing(files))
    if name not in files:
        assert tree_digest(listing({**files, name: content})) != before
    for victim in files:
        rest = {key: value for key, value in files.items() if key != victim}
        assert tree_digest(listing(rest)) != before
        assert tree_digest(listing({**rest, victim: files[victim] + b"\0"})) != before
        if name not in files:
            assert tree_digest(listing({**rest, name: files[victim]})) != before


@settings(deadline=None)
@given(names, st.binary(min_size=1, max_size=6))
def test_a_byte_moved_between_name_and_content_changes_it(name: str, content: bytes) -> None:
    letter = chr(content[0] % 26 + 97)
    moved = tree_digest(listing({name + letter: content[1:]}))
    assert moved != tree_digest(listing({name: letter.encode() + content[1:]}))


def test_a_node_of_the_tree_is_no_leaf() -> None:
    """Domain separation: what is hashed of two files cannot be passed off as one file."""
    two = listing({"a": b"1", "b": b"2"})
    (left,), (right,) = ([file] for file in two)
    inner = bytes.fromhex(tree_digest([left])) + bytes.fromhex(tree_digest([right]))
    assert tree_digest(two) == hashlib.sha256(b"\x01" + inner).hexdigest()
    assert tree_digest(two) != hashlib.sha256(b"\x00" + inner).hexdigest()


def test_two_files_of_one_path_are_no_tree() -> None:
    with pytest.raises(ValueError, match="the same path"):
        tree_digest([*listing({"a": b"1"}), *listing({"a": b"2"})])


# Folders: any single change to the bytes that lie there


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


def _rename(path: Path) -> None:
    path.rename(path.with_name("renamed"))


def _move(path: Path) -> None:
    (path.parent / "deeper").mkdir()
    path.rename(path.parent / "deeper" / path.name)


def _swap_names(path: Path) -> None:
    other = path.with_name("other")
    aside = path.with_name("aside")
    path.rename(aside)
    other.rename(path)
    aside.rename(other)


@pytest.mark.parametrize("change", [_flip, _truncate, _append, _rename, _move, _swap_names, Path.unlink])
@pytest.mark.parametrize("size", [100, reading._SMALL + 100])
@pytest.mark.parametrize("known", [False, True])
def test_a_changed_folder_has_another_digest_though_all_times_are_put_back(
    tmp_path: Path, change: Any, size: int, known: bool
) -> None:
    draw = random.Random(1)
    write(tmp_path, {name: draw.randbytes(size) for name in ("sub/file", "sub/other", "third")})
    if known:
        age(tmp_path)
    before = tree_digest(digest_folder(tmp_path))
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    change(tmp_path / "sub" / "file")
    for path, at in times.items():
        if path.exists():
            os.utime(path, ns=(at, at))
    assert tree_digest(digest_folder(tmp_path)) != before


def test_copies_and_touched_files_have_the_same_digest(tmp_path: Path) -> None:
    draw = random.Random(3)
    write(tmp_path / "0", {f"{number % 7}/{number}": draw.randbytes(100 * number) for number in range(50)})
    wanted = tree_digest(digest_folder(tmp_path / "0"))
    for number in range(1, 20):
        shutil.copytree(tmp_path / str(number - 1), tmp_path / str(number))
        for path in (tmp_path / str(number)).rglob("*"):
            os.utime(path, (number, number))
        assert tree_digest(digest_folder(tmp_path / str(number))) == wanted


# The memo


def test_a_large_file_is_read_once_and_again_after_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, {"large": bytes(reading._SMALL + 1)}) / "large"
    reads: list[str] = []
    slow = reading._large
    monkeypatch.setattr(reading, "_large", lambda path, flags: reads.append(path) or slow(path, flags))
    age(tmp_path)
    first = file_digest(path)
    assert len(reads) == 1
    before = path.stat()
    _flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file_digest(path) != first
    assert len(reads) == 2


def test_what_was_written_just_now_is_not_remembered(tmp_path: Path) -> None:
    """A write within the same tick of the file system's clock would leave no trace."""
    file_digest(write(tmp_path, {"large": bytes(reading._SMALL + 1)}) / "large")
    assert not reading._memo


def test_the_memo_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MEMO_LIMIT", 2)
    write(tmp_path, {str(number): bytes(reading._SMALL + 1) for number in range(5)})
    age(tmp_path)
    assert len(reading._memo) <= 2


# What is refused


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone: there is nothing"):
        digest_folder(tmp_path / "gone")
    with pytest.raises(InputError, match=r"gone: there is nothing"):
        file_digest(tmp_path / "gone")


@pytest.mark.parametrize("target", ["file", "sub", "nowhere", ".."])
def test_a_symbolic_link_is_refused_whatever_it_leads_to(tmp_path: Path, target: str) -> None:
    write(tmp_path, {"file": b"x", "sub/file": b"x"})
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(InputError, match=r"/link: a symbolic link"):
        digest_folder(tmp_path)
    with pytest.raises(InputError, match=r"/link: a symbolic link"):
        file_digest(tmp_path / "link")


def test_a_folder_may_be_reached_through_a_link(tmp_path: Path) -> None:
    write(tmp_path / "model", {"file": b"x"})
    (tmp_path / "latest").symlink_to("model")
    assert digest_folder(tmp_path / "latest") == digest_folder(tmp_path / "model")


def test_single_files_may_be_links_where_that_is_wanted(tmp_path: Path) -> None:
    write(tmp_path, {"target": b"x"})
    link = tmp_path / "link"
    link.symlink_to("target")
    (entry,) = digest_files([str(link)], str(tmp_path), follow=True)
    assert (entry.path, entry.sha256) == ("link", hashlib.sha256(b"x").hexdigest())
    assert file_digest(link, follow=True).size == 1
    with pytest.raises(InputError, match="symbolic link"):
        digest_files([str(link)], str(tmp_path))


def test_special_files_are_refused_without_waiting_for_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"/pipe: not a regular file"):
        digest_folder(tmp_path)
    os.remove(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "socket"))
        with pytest.raises(InputError, match=r"/socket: not a regular file"):
            digest_folder(tmp_path)
    with pytest.raises(InputError, match=r"/dev/null: not a regular file"):
        file_digest("/dev/null")
    with pytest.raises(InputError, match="not a regular file"):
        file_digest(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (write(tmp_path, {"file": b"x"}) / "file").chmod(0)
    with pytest.raises(InputError, match=r"/file: cannot be read \(Permission denied\)"):
        digest_folder(tmp_path)


def test_an_error_of_the_file_system_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> bytes:
        raise OSError(5, "Input/output error")

    write(tmp_path, {"small": b"x", "sub/large": bytes(reading._SMALL + 1)})
    monkeypatch.setattr(os, "readv", refuse)
    with pytest.raises(InputError, match=r"/large: cannot be read \(Input/output error\)"):
        digest_folder(tmp_path)
    monkeypatch.setattr(os, "read", refuse)
    with pytest.raises(InputError, match=r"/small: cannot be read \(Input/output error\)"):
        digest_folder(tmp_path)


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9", "wb") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=r"caf\\xe9': the name is not UTF-8") as caught:
        digest_folder(tmp_path)
    str(caught.value).encode()


@pytest.mark.parametrize("change", [_append, _truncate, _flip])
def test_a_large_file_that_changes_while_it_is_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    path = write(tmp_path, {"large": bytes(3 * reading._BLOCK)}) / "large"
    os.utime(path, (1, 1))
    plain = os.readv
    calls: list[int] = []

    def readv(descriptor: int, buffers: Any) -> int:
        calls.append(plain(descriptor, buffers))
        if len(calls) == 2:
            change(path)
        return calls[-1]

    monkeypatch.setattr(os, "readv", readv)
    with pytest.raises(InputError, match=r"/large: changed while it was read"):
        digest_folder(tmp_path)


def test_a_small_file_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, {"small": b"before"}) / "small"
    plain = os.read

    def read(descriptor: int, size: int) -> bytes:
        content = plain(descriptor, size)
        monkeypatch.setattr(os, "read", plain)
        path.write_bytes(b"after it")
        return content

    monkeypatch.setattr(os, "read", read)
    assert file_digest(path).sha256 == hashlib.sha256(b"after it").hexdigest()


def test_a_file_system_that_gives_less_than_was_asked_for_is_read_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = random.Random(0).randbytes(5000)
    path = write(tmp_path, {"file": content}) / "file"
    plain, plain_v = os.read, os.readv
    monkeypatch.setattr(os, "read", lambda descriptor, size: plain(descriptor, min(size, 1000)))
    monkeypatch.setattr(os, "readv", lambda descriptor, buffers: plain_v(descriptor, [buffers[0][:999]]))
    assert file_digest(path) == FileEntry(path="file", size=5000, sha256=hashlib.sha256(content).hexdigest())


def test_a_write_in_the_same_tick_of_the_clock_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written just now is read only when a further write must leave another time."""
    path = write(tmp_path, {"file": b"before"}) / "file"
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("waits for a file that is old"))
    os.utime(path, (1, 1))
    monkeypatch.setattr(time, "time_ns", lambda: path.stat().st_ctime_ns + reading._TICK_NS)
    file_digest(path)
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    monkeypatch.setattr(time, "time_ns", lambda: path.stat().st_ctime_ns + reading._TICK_NS - 1)
    file_digest(path)
    monkeypatch.setattr(time, "time_ns", lambda: path.stat().st_ctime_ns - 1)
    file_digest(path)
    assert waited == [reading._TICK_NS / 1e9], "a clock that is ahead is not waited for"


# Many folders, single files, ignored ones


def test_of_many_folders_the_bad_ones_are_told_and_the_others_read(tmp_path: Path) -> None:
    draw = random.Random(5)
    for number in range(4):
        write(tmp_path / str(number), {name: draw.randbytes(50_000) for name in string.ascii_letters[:9]})
    (tmp_path / "2" / "link").symlink_to("a")
    places = [str(tmp_path / name) for name in ("0", "1", "2", "3", "gone", "1")]
    found = digest_folders(places)
    assert list(found) == places[:5]
    for place in places[:5]:
        if place.endswith(("2", "gone")):
            assert isinstance(found[place], InputError)
        else:
            assert found[place] == slow_folder(Path(place))


def test_what_is_to_be_ignored_is_not_looked_at(tmp_path: Path) -> None:
    write(tmp_path, {"model": b"m", "assets.extra/provenance/record.json": b"{}", "assets.extra/x": b"x"})
    (tmp_path / "assets.extra" / "provenance" / "link").symlink_to("nowhere")
    found = digest_folder(tmp_path, ignore=["assets.extra/provenance"])
    assert [item.path for item in found] == ["assets.extra/x", "model"]
    assert digest_folder(tmp_path, ignore=["assets.extra", "model"]) == []


def test_an_artifact_that_is_a_file_is_its_only_entry(tmp_path: Path) -> None:
    assert digest_folder(write(tmp_path, {"value": b"7"}) / "value") == listing({"value": b"7"})


def test_single_files_have_paths_relative_to_a_folder(tmp_path: Path) -> None:
    write(tmp_path, {"data/train/a.csv": b"1", "data/b.csv": b"2", "beside.csv": b"3"})
    paths = [str(tmp_path / name) for name in ("data/train/a.csv", "beside.csv", "data/b.csv", "data/b.csv")]
    found = digest_files(paths, str(tmp_path / "data"))
    assert [item.path for item in found] == ["../beside.csv", "b.csv", "train/a.csv"]


def test_a_fingerprint_tells_its_tree_and_one_of_tfx_has_none() -> None:
    one, two = listing({"a.csv": b"1", "b.csv": b"23"})
    made = raw_fingerprint({"train": [one], "eval": [two, one]})
    assert made.startswith(
        "split:train,num_files:1,total_bytes:1\nsplit:eval,num_files:2,total_bytes:3\ntree_sha256:"
    )
    assert tree_of_fingerprint(made) == tree_digest([one, two])
    tfx = "split:single_split,num_files:1,total_bytes:12,xor_checksum:1,sum_checksum:1"
    assert tree_of_fingerprint(tfx) is None


# Places that are no local folders


class Memory(filesystem.Filesystem):
    """A file system of URIs, in memory."""

    SUPPORTED_SCHEMES = ["memory://"]
    files: dict[str, bytes] = {}

    @staticmethod
    def open(name: str, mode: str = "r") -> Any:
        import io

        return io.BytesIO(Memory.files[name])

    @staticmethod
    def exists(path: str) -> bool:
        return path in Memory.files or Memory.isdir(path)

    @staticmethod
    def isdir(path: str) -> bool:
        return any(name.startswith(path.rstrip("/") + "/") for name in Memory.files)

    @staticmethod
    def stat(path: str) -> Any:
        return os.stat_result((0o100644, 0, 0, 1, 0, 0, len(Memory.files[path]), 0, 0, 0))

    @staticmethod
    def walk(top: str, *_: Any, **__: Any) -> Iterator[tuple[str, list[str], list[str]]]:
        below = [name[len(top.rstrip("/")) + 1 :] for name in Memory.files if name.startswith(top)]
        for folder in sorted({os.path.dirname(name) for name in below}):
            found = [os.path.basename(name) for name in below if os.path.dirname(name) == folder]
            yield os.path.join(top, folder), [], found

    copy = glob = isfile = listdir = makedirs = mkdir = remove = rename = rmtree = exists


@pytest.fixture
def remote() -> dict[str, bytes]:
    registry = filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY
    registry.register(Memory, priority=20)
    Memory.files = {}
    return Memory.files


def test_remote_folders_are_read_through_tfx(remote: dict[str, bytes], tmp_path: Path) -> None:
    files = {"a": b"1", "sub/b": bytes(2 * reading._BLOCK), "sub/left out/c": b"3"}
    remote.update({f"memory://bucket/model/{name}": content for name, content in files.items()})
    assert digest_folder("memory://bucket/model/") == slow_folder(write(tmp_path, files))
    assert digest_folder("memory://bucket/model", ignore=["sub"]) == listing({"a": b"1"})
    assert file_digest("memory://bucket/model/a").size == 1
    base = "memory://bucket/model"
    assert digest_files([f"{base}/sub/b", f"{base}/a"], base) == digest_folder(base)[:2]


def test_remote_places_that_are_not_there_are_named(remote: dict[str, bytes]) -> None:
    with pytest.raises(InputError, match="memory://bucket/gone: there is nothing"):
        digest_folder("memory://bucket/gone")
    with pytest.raises(InputError, match="unknown://bucket: cannot be read"):
        digest_folder("unknown://bucket")
    with pytest.raises(InputError, match="memory://bucket/gone: cannot be read"):
        file_digest("memory://bucket/gone")


# Random folders


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(
    st.dictionaries(
        st.lists(st.sampled_from(["a", "b", "ü", "a b", "-", "a.b"]), min_size=1, max_size=3).map("/".join),
        st.binary(max_size=50),
        max_size=8,
    )
)
def test_any_folder_is_what_its_slow_twin_says(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name, content in files.items():
        path = folder / name
        if (
            not any((folder / name).parents[depth].is_file() for depth in range(name.count("/")))
            and not path.is_dir()
        ):
            write(folder, {name: content})
    assert digest_folder(folder) == slow_folder(folder)
