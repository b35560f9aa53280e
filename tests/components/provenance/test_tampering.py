"""Any single change to any file that a record speaks of, or that belongs to it, is found and named."""

import base64
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signed_records import World, signed_world

from tfx_trust.components.provenance.keys import generate_key, load_private
from tfx_trust.components.provenance.record import Record, canonical
from tfx_trust.components.provenance.signing import PAYLOAD_TYPE, envelope
from tfx_trust.components.provenance.verify import verify


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def template(tmp_path_factory, keys):
    """Worlds at places of their own; one is put back after each example."""
    base = tmp_path_factory.mktemp("worlds")
    world = signed_world(base / "world", keys)
    shutil.copytree(world.base, base / "kept")
    return world


@pytest.fixture(scope="module")
def unsigned_template(tmp_path_factory, keys):
    base = tmp_path_factory.mktemp("unsigned")
    world = signed_world(base / "world", keys, signed=False)
    shutil.copytree(world.base, base / "kept")
    return world


def put_back(world: World, folder: Path | None = None) -> None:
    """As it was; only a folder, where nothing else was touched."""
    folder = folder or world.base
    shutil.rmtree(folder)
    shutil.copytree(world.base.parent / "kept" / folder.relative_to(world.base), folder)


def of_artifacts(world: World, *roles: str) -> list[Path]:
    return [
        Path(item.uri) / file.path
        for item in world.record.artifacts
        if item.role in roles
        for file in item.files
    ]


FILES = {
    "model": lambda world: of_artifacts(world, "model"),
    "examples and the like": lambda world: of_artifacts(world, "upstream", "related"),
    "raw input": lambda world: sorted((world.base / "data").glob("*/*.csv")),
    "code": lambda world: [world.code],
    "record": lambda world: [world.folder / "record.json"],
    "model signature": lambda world: [world.folder / "model.sig"],
    "signature of what is served": lambda world: [world.folder / "serving.sig"],
    "statement": lambda world: [world.folder / "provenance.dsse.json"],
    "report": lambda world: [world.folder / "report.json"],
    "page": lambda world: [world.folder / "report.html"],
    "records before": lambda world: [place / "record.json" for place in world.earlier],
    "public key": lambda world: [world.folder / "signing.pub"],
}
"""Files of each class."""


def flip(path, data):
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1), "byte")] ^= data.draw(st.integers(1, 255), "flip")
    path.write_bytes(content)


def truncate(path, data):
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1), "length")])


def append(path, data):
    path.write_bytes(path.read_bytes() + data.draw(st.binary(min_size=1, max_size=3), "more"))


def insert(path, data):
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content)), "place")
    path.write_bytes(
        content[:place] + data.draw(st.sampled_from([b" ", b"\n", b"0", b"\0"]), "what") + content[place:]
    )


def rename(path, data):
    path.rename(path.with_name(path.name + data.draw(st.sampled_from([".bak", " 2", "é"]), "ending")))


def delete(path, data):
    path.unlink()


def link(path, data):
    """To the very same bytes elsewhere."""
    target = next(above for above in path.parents if above.name == "world").parent / "elsewhere"
    shutil.copy(path, target)
    path.unlink()
    path.symlink_to(target)


def swap(path, data):
    """With a neighbour of its folder, or else something of the same length."""
    content = path.read_bytes()
    others = [other for other in path.parent.iterdir() if other.is_file() and other.read_bytes() != content]
    if others:
        path.write_bytes(data.draw(st.sampled_from(sorted(others)), "other").read_bytes())
    else:
        path.write_bytes(bytes(reversed(content)) + b"!")


CHANGES = [flip, truncate, append, insert, rename, delete, link, swap]
# Links are followed where data and code lie, as they were when it was recorded: the same bytes are no change.
FOLLOWED = ("raw input", "code")
# Whatever holds no others, and is gone altogether, may have been moved.
GONE = ("code", "records before", "public key")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_any_single_change_is_found_and_named(template, kind, change, data):
    world = template
    path = data.draw(st.sampled_from(FILES[kind](world)), "file")
    try:
        change(path, data)

        found = verify(world.folder, public_key=world.public)

        if kind in FOLLOWED and change is link:
            assert found.status == 0
            assert any(path.name in note and "symbolic link" in note for note in found.notes)
        elif kind == "public key" and change in (delete, rename):
            assert any("signing.pub is missing" in note for note in found.notes)
        else:
            is_gone = kind in GONE and change in (delete, rename)
            assert found.status == (4 if is_gone else 3)
            assert names(found, path)
        assert not others(found, kind, path)
    finally:
        put_back(world, path.parent)


def names(found, path):
    return any(path.name in problem.path or str(path) in problem.message for problem in found.problems)


def others(found, kind, path):
    """Problems of files that nobody touched; a record that changed is not what others speak of."""
    if kind == "records before":
        return [problem for problem in found.problems if problem.subject != "chain"]
    if kind in ("public key", "record"):
        return []
    return [
        problem
        for problem in found.problems
        if not problem.path.startswith(str(path)) and str(path) not in problem.message
    ]


@pytest.mark.parametrize("change", [flip, truncate, append, insert, rename, delete])
@pytest.mark.parametrize("kind", ["model", "examples and the like", "raw input", "record", "records before"])
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_so_it_is_where_nothing_is_signed(unsigned_template, kind, change, data):
    world = unsigned_template
    path = data.draw(st.sampled_from(FILES[kind](world)), "file")
    try:
        change(path, data)

        found = verify(world.folder)

        assert found.status in (3, 4)
        assert found.status == 3 or (kind in GONE and change in (delete, rename))
        assert names(found, path)
    finally:
        put_back(world, path.parent)


FOLDERS = {
    "model": lambda world: [
        world.model,
        world.model / "Format-Serving",
        world.model / "Format-Serving/variables",
    ],
    "examples": lambda world: [world.examples, world.examples / "Split-train"],
    "raw input": lambda world: [world.base / "data/train"],
}


@pytest.mark.parametrize("kind", FOLDERS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_an_added_file_is_found_and_named(template, kind, data):
    world = template
    folder = data.draw(st.sampled_from(FOLDERS[kind](world)), "folder")
    name = data.draw(st.sampled_from(["new", "new file.csv", "zü", "more.pb"]), "name")
    if kind != "raw input":
        name = data.draw(st.sampled_from(["", "below/"]), "below") + name
    try:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data.draw(st.binary(max_size=4), "content"))

        found = verify(world.folder, public_key=world.public)

        assert [(problem.what, problem.path) for problem in found.problems] == [("added", str(folder / name))]
        assert found.status == 3
    finally:
        put_back(world, folder)


def test_a_renamed_file_is_told_with_its_new_name_and_no_other(template):
    world = template
    path = world.model / "Format-Serving/saved_model.pb"
    try:
        path.rename(world.model / "saved_model.pb")

        (problem,) = verify(world.folder).problems

        assert (problem.what, problem.path, problem.renamed_to) == ("renamed", str(path), "saved_model.pb")
    finally:
        put_back(world)


def test_all_changes_at_once_are_told_one_by_one(template):
    world = template
    serving = world.model / "Format-Serving"
    try:
        (serving / "saved_model.pb").write_text("a modez")
        (serving / "fingerprint.pb").unlink()
        (serving / "variables/variables.index").rename(serving / "variables/index")
        (serving / "new").write_text("x")

        found = verify(world.folder, public_key=world.public)

        assert {(problem.what, Path(problem.path).name) for problem in found.problems} == {
            ("changed", "saved_model.pb"),
            ("missing", "fingerprint.pb"),
            ("renamed", "variables.index"),
            ("added", "new"),
        }
        assert all(problem.remedy and problem.message for problem in found.problems)
    finally:
        put_back(world)


def test_a_file_of_equal_size_and_time_is_found_out(template):
    world = template
    path = world.base / "data/train/adult.csv"
    try:
        before = path.stat()
        path.write_bytes(path.read_bytes().replace(b"39", b"40", 1))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

        found = verify(world.folder)

        assert [(problem.what, problem.subject) for problem in found.problems] == [("changed", "source:1")]
    finally:
        put_back(world)


def test_the_same_process_does_not_remember_too_much(template):
    """What was read once is remembered by times; a change within their grain has to be seen all the same."""
    world = template
    path = world.model / "Format-Serving/variables/variables.data-00000-of-00001"
    try:
        for content in ("weighty", "weights"):
            path.write_text(content)
            assert verify(world.folder).status == (3 if content == "weighty" else 0)
    finally:
        put_back(world)


def field(name, value):
    def change(content):
        content[name] = value(content[name])

    return change


EDITS = {
    "another training": field("seeds", lambda seeds: {**seeds, "PrivateTrainer.seed": 18}),
    "a licence": lambda content: content["sources"][0]["declaration"].update(licence="MIT"),
    "nothing unknown": field("unknowns", lambda _: []),
    "no changes": field("changes", lambda _: []),
    "no record before": field("previous", lambda _: None),
    "another digest of a file": lambda content: content["artifacts"][0]["files"][0].update(sha256="0" * 64),
    "another time": field("created", lambda _: "2020-01-01T00:00:00+00:00"),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("seal", [False, True])
def test_an_edited_record_is_found_out_also_if_it_is_sealed_anew(template, edit, seal):
    from records import changed

    from tfx_trust.components.provenance.record import canonical

    world = template
    content = json.loads((world.folder / "record.json").read_bytes())
    EDITS[edit](content)
    text = canonical(content) + b"\n"
    if seal:
        del content["digest"]
        text = changed(world.record, **content).to_bytes()
    try:
        (world.folder / "record.json").write_bytes(text)

        found = verify(world.folder, public_key=world.public)

        assert found.status == 3
        assert ("edited", "record.json") in [(problem.what, problem.subject) for problem in found.problems]
    finally:
        put_back(world)


def test_a_signature_swapped_for_a_valid_one_by_another_key_is_found_out(template, tmp_path):
    from tfx_trust.components.provenance.keys import load_private
    from tfx_trust.components.provenance.writing import write_record

    world = template
    generate_key(tmp_path / "other.pem")
    write_record(world.record, tmp_path / "theirs", load_private(tmp_path / "other.pem"))
    for name in ("model.sig", "serving.sig", "provenance.dsse.json", "signing.pub"):
        try:
            shutil.copy(tmp_path / "theirs" / name, world.folder / name)
            found = verify(world.folder, public_key=world.public)
            assert found.status == 3
            assert {problem.subject for problem in found.problems} == {name}
            assert verify(world.folder).status == 3
        finally:
            put_back(world)


def test_a_signature_made_anew_by_the_same_key_is_not_the_one_that_was_written(template):
    """Each signature of ECDSA is another: it holds, and its bytes are not those that the Statement binds."""
    from tfx_trust.components.provenance.keys import load_private
    from tfx_trust.components.provenance.signing import model_signature

    world = template
    model = world.record.artifact(world.record.model)
    try:
        (world.folder / "model.sig").write_bytes(model_signature(model.files, load_private(world.private)))
        found = verify(world.folder, public_key=world.public)
        assert [(problem.what, problem.subject) for problem in found.problems] == [("edited", "model.sig")]
    finally:
        put_back(world)


def test_what_a_signature_says_cannot_be_exchanged(template):
    world = template
    for name in ("model.sig", "provenance.dsse.json"):
        try:
            written = json.loads((world.folder / name).read_bytes())
            inner = written.get("dsseEnvelope", written)
            payload = base64.b64decode(inner["payload"]).replace(b"sha256", b"sha255", 1)
            inner["payload"] = base64.b64encode(payload).decode()
            (world.folder / name).write_text(json.dumps(written))

            found = verify(world.folder, public_key=world.public)

            assert ("signature", name) in [(problem.what, problem.subject) for problem in found.problems]
        finally:
            put_back(world)


def _with_byproduct(name):
    def change(statement):
        digest = {"sha256": hashlib.sha256(b"x").hexdigest()}
        statement["predicate"]["runDetails"]["byproducts"].append({"name": name, "digest": digest})
        return canonical(statement)

    return change


@pytest.mark.parametrize(
    "change",
    [
        *map(_with_byproduct, ["../../outside", "/etc/hostname", "..", "a\0b", 5, None]),
        lambda statement: canonical({**statement, "predicateType": "https://example.org/other"}),
        lambda _: b'{"subject":' + b"[" * 100_000,
    ],
)
def test_a_signed_statement_that_speaks_of_something_else_is_refused(template, change):
    """Whoever made it has the key that lies beside it: nothing outside the folder is read for them."""
    world = template
    place = world.folder / "provenance.dsse.json"
    (world.folder.parent.parent / "outside").write_bytes(b"x")
    try:
        statement = json.loads(base64.b64decode(json.loads(place.read_bytes())["payload"]))
        place.write_bytes(envelope(change(statement), PAYLOAD_TYPE, load_private(world.private)))

        found = verify(world.folder)

        assert [(problem.what, problem.subject) for problem in found.problems] == [
            ("signature", "provenance.dsse.json")
        ]
    finally:
        put_back(world)


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content["artifacts"][0].update(tree="0" * 64),
        lambda content: content["artifacts"][0].update(tree=None),
        lambda content: content["artifacts"][0]["files"].append(content["artifacts"][0]["files"][0]),
        lambda content: content["artifacts"][0]["files"][0].update(size=2**70),
        lambda content: content["sources"][0].update(tree="0" * 64),
    ],
)
def test_files_that_have_another_digest_than_the_record_says_show_that_it_was_edited(unsigned_template, edit):
    world = unsigned_template
    place = world.folder / "record.json"
    (world.folder / "report.json").unlink(missing_ok=True)
    try:
        content = json.loads(place.read_bytes())
        edit(content)
        place.write_bytes(Record.model_validate_json(json.dumps(content)).sealed().to_bytes())

        assert ("edited", "record.json") in [
            (problem.what, problem.subject) for problem in verify(world.folder).problems
        ]
    finally:
        put_back(world)


def test_nothing_that_verifying_says_holds_a_key(template, keys):
    secret = "".join((keys / "signing.pem").read_text().splitlines()[1:-1])
    world = template
    try:
        with tempfile.TemporaryDirectory() as other:
            for key in (world.public, generate_key(Path(other) / "k.pem"), None):
                said = verify(world.folder, public_key=key).to_json()
                assert not any(secret[start : start + 12] in said for start in range(len(secret) - 12))
    finally:
        put_back(world)
