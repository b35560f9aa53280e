"""Checking records that are as they were written, that were moved, copied, not signed, or are none."""

import hashlib
import json
import os
import shutil

import pytest
from records import census_like, changed, minimal
from signed_records import signed_world

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.authenticity import examine
from tfx_trust.components.provenance.carrying import carry
from tfx_trust.components.provenance.record import Record, canonical
from tfx_trust.components.provenance.signing import (
    envelope_key_id,
    generate_key,
    key_id,
    load_private,
    load_public,
)
from tfx_trust.components.provenance.verification import Verification
from tfx_trust.components.provenance.verify import verify
from tfx_trust.components.provenance.writing import file_names, write_record


@pytest.fixture
def world(tmp_path):
    return signed_world(tmp_path / "world", tmp_path / "keys")


@pytest.fixture
def unsigned(tmp_path):
    return signed_world(tmp_path / "world", tmp_path / "keys", signed=False)


def told(found):
    return [(problem.what, problem.subject) for problem in found.problems]


# Writing


def test_a_record_is_written_with_its_signatures_and_read_back(world):
    assert file_names(world.record, signed=True) == [
        "record.json",
        "model.sig",
        "serving.sig",
        "signing.pub",
        "provenance.dsse.json",
    ]
    assert {path.name for path in world.folder.iterdir()} == {
        *file_names(world.record, signed=True),
        "report.json",
        "report.html",
    }
    assert Record.load(world.folder) == world.record


def test_a_record_that_is_not_sealed_is_sealed_when_it_is_written(tmp_path):
    write_record(minimal().model_copy(update={"digest": ""}), tmp_path)

    assert Record.load(tmp_path).digest == minimal().digest


def test_signatures_of_an_earlier_record_do_not_stay(world):
    assert write_record(world.record, world.folder) == ["record.json"]

    assert {path.name for path in world.folder.iterdir()} == {"record.json", "report.json", "report.html"}


def test_a_model_that_could_not_be_read_is_not_signed_and_its_record_is(tmp_path, world):
    written = write_record(minimal(), tmp_path / "record", load_private(world.private))

    assert (
        written
        == file_names(minimal(), signed=True)
        == ["record.json", "signing.pub", "provenance.dsse.json"]
    )
    found = verify(tmp_path / "record", model=world.model, public_key=world.public)
    assert (found.status, told(found)) == (4, [("unreadable", "artifact:1")])
    assert found.checked.signatures == ["provenance.dsse.json"]


def test_the_private_key_is_in_no_file_that_is_written(world):
    secret = "".join(world.private.read_text().splitlines()[1:-1])
    number = load_private(world.private).private_numbers().private_value
    needles = [number.to_bytes(32, "big"), f"{number:x}".encode(), str(number).encode()]
    needles += [secret[start : start + 20].encode() for start in range(0, len(secret) - 20, 4)]
    for path in world.base.rglob("*"):
        if path.is_file() and path.name != "signing.pub":
            assert not [needle for needle in needles if needle in path.read_bytes()], path
    # What both halves of a pair have in common is the algorithm's name alone.
    public = world.public.read_text().replace("\n", "")
    assert secret[40:80] not in public


# All is well


def test_nothing_is_wrong_with_what_was_just_written(world):
    found = verify(world.folder, public_key=world.public)

    assert (found.status, found.problems) == (0, [])
    assert found.record == world.record.digest
    assert found.key_id == key_id(load_public(world.public))
    assert found.checked.model_dump(exclude={"bytes"}) == {
        "artifacts": 7,
        "sources": 1,
        "code": 1,
        "files": 17,
        "signatures": ["provenance.dsse.json", "model.sig", "serving.sig"],
        "records": 2,
    }
    assert found.checked.bytes == sum(
        file.size for item in (*world.record.artifacts, *world.record.sources) for file in item.files
    )


def test_the_outcome_goes_through_json(world):
    found = verify(world.folder)

    read = json.loads(found.to_json())
    assert read.pop("status") == 0
    assert Verification.model_validate(read) == found


def test_the_key_beside_the_signatures_shows_less_and_that_is_said(world):
    found = verify(world.folder)

    assert (found.status, found.key_given) == (0, False)
    assert any("not who signed" in note for note in found.notes)
    assert not any("not who signed" in note for note in verify(world.folder, public_key=world.public).notes)


def test_a_key_is_taken_as_file_text_and_key(world):
    public = load_public(world.public)
    for key in (str(world.public), world.public.read_bytes(), public):
        assert verify(world.folder, public_key=key).key_given


def test_the_file_of_the_record_stands_for_its_folder(world):
    assert verify(world.folder / "record.json").status == 0


def test_what_has_no_digest_is_said(world):
    assert any("no digests of source:2" in note for note in verify(world.folder).notes)


def test_a_hundred_checks_of_clean_runs_and_copies_give_no_false_alarm(tmp_path):
    for number in range(25):
        world = signed_world(tmp_path / f"{number}", tmp_path / "keys", signed=number % 3 > 0)
        folder, moved = world.copied_to(tmp_path / f"copy-{number}")
        key = world.public if number % 3 > 0 else None
        outcomes = [
            verify(world.folder, public_key=key),
            verify(world.folder),
            verify(folder, public_key=key, rewrite=[moved]),
            verify(world.folder, model=folder.parents[1] / world.model.relative_to(world.base)),
        ]
        assert [found.problems for found in outcomes] == [[], [], [], []]


def test_times_rights_and_empty_folders_are_no_matter(world):
    for path in world.base.rglob("*"):
        if path.is_file():
            os.utime(path, (1, 1))
            path.chmod(0o600)
    (world.model / "an empty folder").mkdir()

    assert verify(world.folder, public_key=world.public).status == 0


# Moved, gone, copied


def test_a_copy_is_checked_where_it_lies(tmp_path, world):
    folder, moved = world.copied_to(tmp_path / "copy")
    shutil.rmtree(world.base)

    assert verify(folder, rewrite=[moved], public_key=world.public).status == 0


def test_what_is_gone_altogether_is_unchecked_and_what_to_do_is_said(world):
    shutil.rmtree(world.examples)

    found = verify(world.folder)

    assert (found.status, told(found)) == (4, [("gone", "artifact:10")])
    assert "--rewrite-prefix" in found.problems[0].remedy


def test_tampering_counts_for_more_than_what_is_gone(world):
    shutil.rmtree(world.examples)
    (world.model / "new").write_text("x")

    found = verify(world.folder)

    assert (found.status, told(found)) == (3, [("added", "artifact:15"), ("gone", "artifact:10")])


def test_a_model_that_went_elsewhere_alone_is_checked_there(tmp_path, world):
    shutil.copytree(world.folder, tmp_path / "record")
    shutil.copytree(world.model, tmp_path / "model")
    shutil.rmtree(world.base)

    for model in (tmp_path / "model", tmp_path / "model/Format-Serving"):
        found = verify(tmp_path / "record", model=model, public_key=world.public)
        assert (found.status, found.problems) == (0, [])
        assert found.model == str(model)
        assert any(
            "not looked at" in note and "artifact:1" in note and "code:module_file" in note
            for note in found.notes
        )


def test_a_model_that_is_not_where_it_is_said_to_be_is_unchecked(tmp_path, world):
    found = verify(world.folder, model=tmp_path / "nowhere")

    assert (found.status, told(found)) == (4, [("gone", "artifact:15")])


def test_what_else_is_there_is_checked_beside_a_model_that_is_elsewhere(tmp_path, world):
    shutil.copytree(world.model, tmp_path / "model")
    (world.examples / "Split-train/transformed_examples-00000-of-00001.gz").write_text("other")

    found = verify(world.folder, model=tmp_path / "model")

    assert (found.status, told(found)) == (3, [("changed", "artifact:10")])


@pytest.fixture
def pushed(tmp_path, world):
    copy = tmp_path / "serving/3"
    shutil.copytree(world.model / "Format-Serving", copy)
    carry(examine(str(world.folder), None).content, str(copy))
    return copy


def test_a_pushed_copy_fits_the_record_with_what_it_carries(world, pushed):
    found = verify(world.folder, model=pushed, public_key=world.public)

    assert (found.status, found.problems) == (0, [])


def test_a_pushed_copy_is_checked_by_the_record_that_it_carries(world, pushed):
    shutil.rmtree(world.base)

    found = verify(pushed / "assets.extra/provenance", public_key=world.public)

    assert (found.status, found.problems) == (0, [])
    assert found.model == str(pushed)
    assert found.checked.signatures == ["provenance.dsse.json", "model.sig"]
    assert found.checked.files == 4


@pytest.mark.parametrize(
    "place", ["saved_model.pb", "assets.extra/provenance/record.json", "assets.extra/provenance/model.sig"]
)
def test_a_pushed_copy_that_was_changed_is_found_out_from_both_sides(world, pushed, place):
    content = (pushed / place).read_bytes()
    (pushed / place).write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])

    for folder in (world.folder, pushed / "assets.extra/provenance"):
        found = verify(folder, model=pushed, public_key=world.public)
        assert found.status == 3
        assert any(problem.path == str(pushed / place) for problem in found.problems)


def test_a_file_among_those_that_a_pushed_copy_carries_counts_as_added(world, pushed):
    (pushed / "assets.extra/provenance/more").write_text("x")
    (pushed / "assets.extra/provenance/record.json.d").mkdir()
    (pushed / "assets.extra/provenance/record.json.d/x").write_text("x")

    found = verify(world.folder, model=pushed)

    assert told(found) == [("added", "artifact:15")] * 2


@pytest.fixture
def another(tmp_path, world):
    """Another record of the same model, as whoever asks the metadata store afterwards makes it."""
    folder = tmp_path / "another"
    record = changed(world.record, environment=None)
    write_record(record, folder, load_private(world.private))
    return folder


def test_a_copy_may_carry_another_record_of_the_same_model(world, pushed, another):
    found = verify(another, model=pushed, public_key=world.public)

    assert (found.status, found.problems) == (0, [])
    assert any("another record of the same model" in note for note in found.notes)


@pytest.mark.parametrize("name", ["record.json", "model.sig", "provenance.dsse.json"])
def test_another_record_that_a_copy_carries_has_to_be_sound(world, pushed, another, name):
    place = pushed / "assets.extra/provenance" / name
    place.write_bytes(place.read_bytes().replace(b"e", b"f", 1))

    found = verify(another, model=pushed, public_key=world.public)

    assert found.status == 3
    assert str(place) in {problem.path for problem in found.problems}


@pytest.mark.parametrize(("signs", "status"), [("nobody", 4), ("another", 3)])
def test_another_record_that_a_copy_carries_has_to_be_signed_by_the_key_given(
    tmp_path, world, pushed, signs, status
):
    record = changed(world.record, environment=None)
    generate_key(tmp_path / "other.pem")
    place = pushed / "assets.extra/provenance"
    shutil.rmtree(place)
    write_record(record, place, None if signs == "nobody" else load_private(tmp_path / "other.pem"))
    if signs == "another":
        (place / "serving.sig").replace(place / "model.sig")

    assert verify(world.folder, model=pushed).status == 0
    assert verify(world.folder, model=pushed, public_key=world.public).status == status


def test_a_record_that_a_copy_carries_of_another_model_is_found(tmp_path, world, pushed, another):
    record = Record.load(pushed / "assets.extra/provenance")
    model = record.artifact(record.model)
    model.files[0].sha256 = "0" * 64
    write_record(record.sealed(), pushed / "assets.extra/provenance")

    assert verify(another, model=pushed).status == 3


def test_a_link_in_the_place_of_what_a_copy_carries_is_found(world, pushed):
    carried = pushed / "assets.extra/provenance/record.json"
    carried.unlink()
    carried.symlink_to(world.folder / "record.json")

    assert ("added", "artifact:15") in told(verify(world.folder, model=pushed))


# Signatures and keys


def test_a_record_that_is_not_signed_is_checked_and_that_is_said(unsigned):
    found = verify(unsigned.folder)

    assert (found.status, found.checked.signatures) == (0, [])
    assert any("not signed" in note for note in found.notes)


def test_a_key_without_signatures_has_nothing_to_check(unsigned):
    found = verify(unsigned.folder, public_key=unsigned.public)

    assert (found.status, told(found)) == (4, [("unsigned", "provenance.dsse.json")])


def test_signatures_that_were_taken_away_are_missed(world):
    for name in ("model.sig", "serving.sig", "provenance.dsse.json", "signing.pub"):
        (world.folder / name).unlink()

    for key in (world.public, None):
        found = verify(world.folder, public_key=key)
        assert (found.status, told(found)) == (3, [("missing", "provenance.dsse.json")])
        assert "taken away" in found.problems[0].message


def test_another_key_is_named_with_the_one_that_signed(tmp_path, world):
    other = generate_key(tmp_path / "other.pem")

    found = verify(world.folder, public_key=other)

    assert found.status == 3
    assert {problem.subject for problem in found.problems if problem.what == "key"} == {
        "signing.pub",
        "provenance.dsse.json",
        "model.sig",
        "serving.sig",
    }
    for problem in found.problems:
        assert key_id(load_public(other)) in problem.message
        assert key_id(load_public(world.public)) in problem.message


def test_somebody_who_signs_anew_is_found_out_by_the_key(tmp_path, world):
    generate_key(tmp_path / "other.pem")
    (world.model / "Format-Serving/saved_model.pb").write_text("a worse model")
    forged = _recorded_anew(world.record)
    write_record(forged, world.folder, load_private(tmp_path / "other.pem"), beside={})

    assert verify(world.folder, public_key=world.public).status == 3
    alone = verify(world.folder)
    assert any("not who signed" in note for note in alone.notes)


def _recorded_anew(record):
    from tfx_trust.components.provenance.hashing import digest_folder, tree_digest

    content = record.model_dump(mode="json")
    for item in content["artifacts"]:
        files = digest_folder(item["uri"])
        item |= {"files": [file.model_dump() for file in files], "tree": tree_digest(files)}
    return changed(record, artifacts=content["artifacts"])


def test_a_record_that_was_sealed_anew_is_found_out_by_the_signature(world):
    forged = changed(world.record, seeds={"Trainer.seed": 1})
    (world.folder / "record.json").write_bytes(forged.to_bytes())

    assert told(verify(world.folder)) == [("edited", "record.json")]


def test_a_record_that_was_sealed_anew_and_is_not_signed_disagrees_with_its_report(unsigned):
    forged = changed(unsigned.record, seeds={"Trainer.seed": 1})
    (unsigned.folder / "record.json").write_bytes(forged.to_bytes())

    assert told(verify(unsigned.folder)) == [("edited", "report.json")]


def test_signatures_of_another_model_are_found_out(tmp_path, world):
    other = signed_world(tmp_path / "other", tmp_path / "keys")
    for name in ("model.sig", "serving.sig"):
        (world.folder / name).write_bytes((world.folder / "model.sig").read_bytes())
    assert {problem.subject for problem in verify(world.folder).problems} == {"serving.sig"}

    shutil.copy(other.folder / "provenance.dsse.json", world.folder)
    assert ("edited", "record.json") in told(verify(world.folder))


def test_a_key_of_another_kind_is_refused(tmp_path, world):
    (tmp_path / "k.pub").write_text(world.private.read_text())

    with pytest.raises(InputError, match="a private key, where the public one is needed"):
        verify(world.folder, public_key=tmp_path / "k.pub")


def test_signatures_without_any_key_cannot_be_checked(world):
    (world.folder / "signing.pub").unlink()

    found = verify(world.folder)

    assert (found.status, told(found)) == (4, [("key", "signing.pub")])
    assert found.checked.signatures == []
    given = verify(world.folder, public_key=world.public)
    assert given.status == 0
    assert any("signing.pub is missing" in note for note in given.notes)


# No record


def test_a_folder_without_a_record_is_unchecked(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        found = verify(folder)
        assert (found.status, told(found)) == (4, [("gone", "record.json")])
        assert (found.record, found.notes) == (None, [])


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff\xfe", b"null", b'{"schema_version": "1.0"}', b"[" * 3000]
)
def test_what_is_no_record_is_unchecked(tmp_path, content):
    (tmp_path / "record.json").write_bytes(content)

    found = verify(tmp_path)

    assert (found.status, told(found)) == (4, [("unreadable", "record.json")])
    assert "not a record" in found.problems[0].message


def test_what_is_no_record_any_more_is_tampered_with_where_others_tell_that_it_was(world):
    (world.folder / "record.json").write_bytes(b"")

    assert ("edited", "record.json") in told(verify(world.folder))


def test_a_record_of_a_newer_version_is_unchecked(tmp_path):
    content = json.loads(minimal().to_bytes())
    del content["digest"]
    content |= {"schema_version": "2.0", "a field of tomorrow": [1]}
    content["digest"] = hashlib.sha256(canonical(content)).hexdigest()
    (tmp_path / "record.json").write_bytes(canonical(content) + b"\n")

    found = verify(tmp_path)

    assert (found.status, told(found)) == (4, [("version", "record.json")])
    assert "schema_version is 2.0" in found.problems[0].message


@pytest.mark.parametrize("beside", [True, False])
def test_whatever_else_is_wrong_a_newer_version_is_told(unsigned, beside):
    place = unsigned.folder / "record.json"
    place.write_bytes(place.read_bytes().replace(b'"schema_version":"1.0"', b'"schema_version":"2.0"'))
    if not beside:
        for name in ("report.json", "report.html"):
            (unsigned.folder / name).unlink()

    found = verify(unsigned.folder)

    assert (found.status, told(found)) == (4, [("version", "record.json")])


def test_a_record_without_its_model_is_no_record(tmp_path):
    (tmp_path / "record.json").write_bytes(changed(census_like(), model=99).to_bytes())

    assert told(verify(tmp_path)) == [("unreadable", "record.json")]


# The chain


def test_the_chain_is_followed_to_its_beginning(world):
    assert verify(world.folder).checked.records == 2


@pytest.mark.parametrize("which", [0, 1])
def test_a_record_before_that_was_edited_breaks_the_chain(world, which):
    place = world.earlier[which] / "record.json"
    place.write_bytes(place.read_bytes().replace(b"2026", b"2025"))

    found = verify(world.folder)

    assert (found.status, told(found)) == (3, [("chain", "chain")])
    assert found.problems[0].path == str(place)
    assert "edited" in found.problems[0].message


def test_another_record_in_the_place_of_one_before_breaks_the_chain(world):
    write_record(changed(minimal(), run="another"), world.earlier[0])

    found = verify(world.folder)

    assert told(found) == [("chain", "chain")]
    assert "another" in found.problems[0].message


def test_a_chain_whose_beginning_is_gone_is_unchecked(world):
    shutil.rmtree(world.earlier[1])

    found = verify(world.folder)

    assert (found.status, told(found)) == (4, [("gone", "chain")])
    assert found.checked.records == 1


def test_a_chain_that_leads_back_to_itself_ends(tmp_path):
    record = changed(minimal(), previous={"digest": "d" * 64, "uri": str(tmp_path)})
    write_record(record, tmp_path)

    assert told(verify(tmp_path))[0] == ("chain", "chain")


@pytest.mark.parametrize(
    "odd", [b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", b'{"previous":{"digest":5}}\n']
)
def test_a_record_before_that_tells_nonsense_ends_the_chain(tmp_path, odd):
    digest = hashlib.sha256(odd[:-1]).hexdigest()
    before = tmp_path / "before"
    before.mkdir()
    (before / "record.json").write_bytes(odd.replace(b"{", b'{"digest":"%b",' % digest.encode(), 1))
    write_record(changed(minimal(), previous={"digest": digest, "uri": str(before)}), tmp_path)

    assert ("version", "chain") in told(verify(tmp_path))


@pytest.mark.parametrize("place", ["/a\0b", "nowhere://bucket"])
def test_a_record_before_in_an_impossible_place_is_unchecked(tmp_path, place):
    write_record(changed(minimal(), previous={"digest": "d" * 64, "uri": place}), tmp_path)

    assert ("unreadable", "chain") in told(verify(tmp_path))


def test_what_a_record_says_of_the_one_before_is_told_in_plain_letters(tmp_path):
    write_record(
        changed(minimal(), previous={"digest": "\x1b[2J\n", "uri": str(tmp_path / "\x1b[1m")}), tmp_path
    )

    assert all(problem.message.isprintable() for problem in verify(tmp_path).problems)
    assert all(problem.path.isprintable() for problem in verify(tmp_path).problems)


# Odd things in folders


@pytest.mark.parametrize("name", ["record.json", "model.sig"])
def test_a_pipe_in_the_place_of_a_file_of_the_record_is_not_waited_for(world, name):
    (world.folder / name).unlink()
    os.mkfifo(world.folder / name)

    found = verify(world.folder)

    assert found.status != 0
    assert ("unreadable", name) in told(found)


def test_a_name_that_would_write_to_the_terminal_is_told_in_plain_letters(world):
    (world.model / "a\n\x1b[2Jintact").write_text("x")

    (problem,) = verify(world.folder).problems

    assert "a\\n\\x1b[2Jintact" in problem.message
    assert problem.message.isprintable()
    assert problem.path.isprintable()


def test_what_cannot_be_read_is_unchecked_and_named(world, monkeypatch):
    from tfx_trust.components.provenance import compared

    target = str(world.model / "Format-Serving/saved_model.pb")
    real = compared.digests_of

    def without_rights(paths, **more):
        found = real(paths, **more)
        return {
            path: InputError(f"{path}: cannot be read (Permission denied)") if path == target else item
            for path, item in found.items()
        }

    monkeypatch.setattr(compared, "digests_of", without_rights)

    found = verify(world.folder)

    assert (found.status, told(found)) == (4, [("unreadable", "artifact:15")])
    assert found.problems[0].path == target


def test_special_files_and_names_that_are_no_text_are_named(world):
    os.mkfifo(world.model / "a pipe")
    with open(os.fsencode(world.model) + b"/\xff", "w"):
        pass

    found = verify(world.folder)

    assert told(found) == [("added", "artifact:15")] * 2
    assert any("\\udcff" in problem["path"] for problem in json.loads(found.to_json())["problems"])


def test_a_folder_in_the_place_of_a_file_is_named(world):
    place = world.model / "Format-Serving/saved_model.pb"
    place.unlink()
    place.mkdir()
    (place / "inside").write_text("x")

    assert sorted(told(verify(world.folder))) == [("added", "artifact:15"), ("missing", "artifact:15")]


def test_a_linked_folder_is_named_and_not_looked_into(tmp_path, world):
    shutil.move(world.model / "Format-Serving", tmp_path / "elsewhere")
    (world.model / "Format-Serving").symlink_to(tmp_path / "elsewhere")

    found = verify(world.folder)

    assert found.status == 3
    assert {problem.what for problem in found.problems} == {"added", "missing"}
    assert any("symbolic link" in problem.message for problem in found.problems)


def test_envelope_ids_of_keys_are_not_shown(world, tmp_path):
    found = verify(world.folder, public_key=generate_key(tmp_path / "other.pem"))

    assert not any(
        envelope_key_id(load_public(world.public)) in problem.message for problem in found.problems
    )
