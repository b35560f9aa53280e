"""PushValidator: the pushed copy against the record, and the record that is put into the copy."""

import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import verifiers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import census_like, changed, minimal

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance import carrying
from tfx_trust.components.provenance.carrying import CARRIED
from tfx_trust.components.provenance.push import check_push, compare
from tfx_trust.components.provenance.record import Record
from tfx_trust.components.provenance.report import ProvenanceReport, PushReport
from tfx_trust.components.provenance.signing import (
    PrivateKey,
    generate_key,
    load_private,
    load_public,
    open_model_signature,
    signature_of,
)
from tfx_trust.components.provenance.verify import verify
from tfx_trust.components.provenance.view import section_of
from tfx_trust.components.provenance.writing import CARRY_FOLDER, write_record
from tfx_trust.components.report import Severity, Verdict

DATA = "variables/variables.data-00000-of-00001"
FILES = ["fingerprint.pb", "saved_model.pb", DATA, "variables/variables.index"]


class Pushed:
    """A record with its files, and a copy of the model where a server looks for it."""

    def __init__(self, folder: Path, key: PrivateKey | None = None) -> None:
        # The code that it names is that of this library here: another than what was recorded.
        self.record = changed(census_like(folder), code=[])
        self.place = folder / "record"
        self.copy = folder / "serving" / "1764072000"
        write_record(self.record, self.place, key)
        model = self.record.artifact(self.record.model)
        shutil.copytree(Path(model.uri) / "Format-Serving", self.copy)

    def check(self, *, carry: bool = True) -> PushReport:
        return check_push(str(self.place), str(self.copy), carry=carry)

    def carried(self) -> dict[str, bytes]:
        folder = self.copy / CARRY_FOLDER
        if not folder.is_dir():
            return {}
        return {item.name: item.read_bytes() for item in folder.iterdir()}


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    path = tmp_path_factory.mktemp("key") / "key.pem"
    generate_key(path)
    return load_private(path)


@pytest.fixture
def pushed(tmp_path: Path) -> Pushed:
    return Pushed(tmp_path)


@pytest.fixture
def signed(tmp_path: Path, key: PrivateKey) -> Pushed:
    return Pushed(tmp_path, key)


def told(report: PushReport) -> list[tuple[str, str]]:
    return [(item.check, str(item.severity)) for item in report.findings]


# The copy


def test_a_copy_to_the_byte_passes_and_gets_the_record(pushed: Pushed) -> None:
    report = pushed.check()
    assert report.verdict is Verdict.PASS
    assert told(report) == [("signature", "info")]
    assert report.push.files == 4
    assert report.push.record == pushed.record.digest
    assert report.push.carried == [f"{CARRY_FOLDER}/record.json"]
    assert Record.load(pushed.copy / CARRY_FOLDER) == pushed.record


def test_a_signed_record_goes_along_with_its_signatures(signed: Pushed, key: PrivateKey) -> None:
    report = signed.check()
    assert report.findings == []
    carried = signed.carried()
    assert {f"{CARRY_FOLDER}/{name}" for name in carried} == CARRIED == set(report.push.carried)
    assert carried["model.sig"] == (signed.place / "serving.sig").read_bytes()
    public = load_public(carried["signing.pub"])
    assert public == key.public_key()
    assert sorted(open_model_signature(carried["model.sig"], public).digests) == FILES


def test_whoever_has_the_copy_alone_can_check_it(signed: Pushed, key: PrivateKey, tmp_path: Path) -> None:
    signed.check()
    sent = tmp_path / "sent" / "copy"
    shutil.copytree(signed.copy, sent)
    for place in ("record", "artifacts", "data", "code"):
        shutil.rmtree(tmp_path / place)
    found = verify(sent / CARRY_FOLDER, public_key=key.public_key())
    assert not [item.message for item in found.problems if item.kind == "tampered"]
    byte(sent / DATA)
    found = verify(sent / CARRY_FOLDER, public_key=key.public_key())
    assert [item.path for item in found.problems if item.kind == "tampered"] == [str(sent / DATA)]


def test_model_signing_accepts_the_copy_with_all_that_it_carries(signed: Pushed) -> None:
    signed.check()
    carried = signed.copy / CARRY_FOLDER
    options = ["--signature", carried / "model.sig", "--public_key", carried / "signing.pub"]
    verify_key = ["model_signing", "verify", "key", signed.copy, *options]
    verifiers.run(verify_key, check=True)
    byte(signed.copy / DATA)
    assert verifiers.run(verify_key).returncode == 1


def test_without_carrying_the_copy_stays_as_it_is(signed: Pushed) -> None:
    assert signed.check(carry=False).push.carried == []
    assert not (signed.copy / "assets.extra").exists()


def test_a_second_look_changes_nothing(signed: Pushed) -> None:
    first = signed.check()
    times = {path: path.stat().st_mtime_ns for path in signed.copy.rglob("*")}
    second = signed.check()
    assert second.push.carried == first.push.carried
    assert second.verdict is Verdict.PASS
    assert {path: path.stat().st_mtime_ns for path in signed.copy.rglob("*")} == times
    assert sorted(os.listdir(signed.copy.parent)) == [signed.copy.name]


def test_signatures_of_an_earlier_record_do_not_stay_beside_an_unsigned_one(signed: Pushed) -> None:
    signed.check()
    write_record(changed(signed.record, run="another"), signed.place)
    assert signed.check().push.carried == [f"{CARRY_FOLDER}/record.json"]
    assert list(signed.carried()) == ["record.json"]


def byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def link(path: Path) -> None:
    target = path.parent.parent.parent / "elsewhere"
    path.rename(target)
    path.symlink_to(target)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "byte": (byte, "changed"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "changed"),
    "longer": (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "changed"),
    "gone": (lambda path: path.unlink(), "missing"),
    "renamed": (lambda path: path.rename(path.with_name("other")), "renamed"),
    "copied": (lambda path: shutil.copy(path, path.with_name("other")), "added"),
    "linked": (link, "changed"),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), what=st.sampled_from(sorted(CHANGES)))
def test_any_single_change_of_the_copy_is_found_and_named(tmp_path: Path, name: str, what: str) -> None:
    pushed = Pushed(tmp_path / uuid.uuid4().hex)
    assert compare(pushed.record, str(pushed.copy)) == []
    change, kind = CHANGES[what]
    change(pushed.copy / name)
    report = pushed.check()
    assert report.verdict is Verdict.FAIL
    (found,) = report.push.changes
    assert found.kind == kind
    assert found.path == (str(Path(name).with_name("other")) if what == "copied" else name)
    assert found.path in report.findings[0].message
    assert pushed.carried() == {}


def test_a_folder_that_is_a_link_is_found(pushed: Pushed, tmp_path: Path) -> None:
    (pushed.copy / "variables").rename(tmp_path / "elsewhere")
    (pushed.copy / "variables").symlink_to(tmp_path / "elsewhere")
    found = {item.path: item.kind for item in compare(pushed.record, str(pushed.copy))}
    assert found == {"variables": "added", DATA: "missing", "variables/variables.index": "missing"}


def test_the_folder_of_the_record_is_no_place_to_hide_in(signed: Pushed, tmp_path: Path) -> None:
    signed.check()
    (signed.copy / CARRY_FOLDER / "library.so").write_bytes(b"code")
    assert [item.path for item in signed.check().push.changes] == [f"{CARRY_FOLDER}/library.so"]
    shutil.move(signed.copy / "assets.extra", tmp_path / "elsewhere")
    (signed.copy / "assets.extra").symlink_to(tmp_path / "elsewhere")
    assert [item.path for item in signed.check().push.changes] == ["assets.extra"]


@pytest.mark.parametrize("carry", [True, False])
def test_a_folder_called_like_a_file_of_the_record_hides_nothing(pushed: Pushed, carry: bool) -> None:
    hidden = pushed.copy / CARRY_FOLDER / "model.sig/library.so"
    hidden.parent.mkdir(parents=True)
    hidden.write_bytes(b"code")
    report = pushed.check(carry=carry)
    assert report.verdict is Verdict.FAIL
    assert [item.path for item in report.push.changes] == [f"{CARRY_FOLDER}/model.sig/library.so"]


def test_a_pipe_called_like_a_file_of_the_record_never_passes(pushed: Pushed) -> None:
    (pushed.copy / CARRY_FOLDER).mkdir(parents=True)
    os.mkfifo(pushed.copy / CARRY_FOLDER / "record.json")
    report = pushed.check()
    assert report.verdict is Verdict.NOT_RUN
    assert not report.push.carried


@pytest.mark.parametrize("name", ["record.json", "model.sig"])
def test_nothing_is_written_through_a_link_that_waits_beside_the_copy(
    signed: Pushed, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    (signed.copy.parent / f".{signed.copy.name}.{name}.partial").symlink_to(outside)
    assert signed.check().verdict is Verdict.PASS
    assert outside.read_text() == "kept"
    assert not (signed.copy / CARRY_FOLDER / name).is_symlink()


def test_many_changed_files_are_one_finding_that_names_them(pushed: Pushed) -> None:
    for name in FILES:
        byte(pushed.copy / name)
    (finding,) = (item for item in pushed.check().findings if item.check == "pushed_copy")
    assert "4 files are changed" in finding.message
    assert finding.evidence == {"files": FILES}


# What cannot be compared


def test_nothing_pushed_is_nothing_to_check_and_no_failure(pushed: Pushed) -> None:
    report = check_push(str(pushed.place), None)
    assert report.verdict is Verdict.NOT_RUN
    assert ("pushed", "not_run") in told(report)
    assert report.push.destination is None


def test_a_copy_that_is_gone_fails(pushed: Pushed) -> None:
    shutil.rmtree(pushed.copy)
    assert pushed.check().verdict is Verdict.FAIL


def test_the_name_of_a_service_is_no_folder_and_not_judged(pushed: Pushed) -> None:
    report = check_push(str(pushed.place), "projects/1/locations/europe-west4/models/2")
    assert ("pushed_copy", "not_run") in told(report)


@pytest.mark.parametrize("record", [minimal(), changed(census_like(), serving=None)])
def test_a_record_that_does_not_tell_what_is_served_is_not_judged(pushed: Pushed, record: Record) -> None:
    write_record(record, pushed.place)
    report = pushed.check()
    assert report.verdict is Verdict.NOT_RUN
    assert report.push.files == 0
    assert pushed.carried() == {}


def test_no_record_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no record\.json; run ProvenanceTracker first"):
        check_push(str(tmp_path), None)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"schema_version": "2.0"}'])
def test_by_what_is_no_record_nothing_is_judged(pushed: Pushed, content: bytes) -> None:
    (pushed.place / "record.json").write_bytes(content)
    report = pushed.check()
    assert report.verdict is Verdict.NOT_RUN
    assert report.push.record == ""
    assert pushed.carried() == {}


def test_a_record_without_its_model_is_not_judged(pushed: Pushed) -> None:
    content = changed(pushed.record, model=999).to_bytes()
    (pushed.place / "record.json").write_bytes(content)
    assert "its model, artifact 999, is not in it" in pushed.check().findings[0].message


def test_a_record_that_cannot_be_put_there_is_a_warning(
    pushed: Pushed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(carrying.os, "replace", refuse)
    report = pushed.check()
    assert report.verdict is Verdict.WARN
    assert "Permission denied" in report.findings[0].message
    assert report.push.carried == []


# The record


def edited(place: Path) -> None:
    content = json.loads((place / "record.json").read_bytes())
    content["use"]["commercial"] = True
    (place / "record.json").write_text(json.dumps(content))


def resealed(place: Path) -> None:
    record = changed(Record.load(place), run="another")
    (place / "record.json").write_bytes(record.to_bytes())


@pytest.mark.parametrize("harm", [edited, resealed])
def test_an_edited_record_fails_and_is_not_carried(signed: Pushed, harm: Callable[[Path], None]) -> None:
    harm(signed.place)
    report = signed.check()
    assert report.verdict is Verdict.FAIL
    assert report.findings[0].check == "record"
    assert signed.carried() == {}


@pytest.mark.parametrize("name", ["serving.sig", "provenance.dsse.json", "signing.pub"])
@pytest.mark.parametrize("harm", [byte, Path.unlink], ids=["byte", "gone"])
def test_a_signature_that_is_harmed_or_gone_never_passes(
    signed: Pushed, name: str, harm: Callable[[Path], None]
) -> None:
    path = signed.place / name
    if harm is byte:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        harm(path)
    report = signed.check()
    without_key = (name, harm) == ("signing.pub", Path.unlink)
    assert report.verdict is (Verdict.NOT_RUN if without_key else Verdict.FAIL)
    assert report.findings[0].check == "record"
    assert name in report.findings[0].message
    assert signed.carried() == {}


def test_signatures_that_were_all_taken_away_are_missed(signed: Pushed, key: PrivateKey) -> None:
    section = section_of(signed.record, signature=signature_of(key.public_key(), ["model.sig"]))
    report = ProvenanceReport(component="ProvenanceTracker", provenance=section)
    (signed.place / "report.json").write_text(report.to_json())
    assert signed.check().verdict is Verdict.PASS
    for name in ("serving.sig", "model.sig", "provenance.dsse.json", "signing.pub"):
        (signed.place / name).unlink()
    assert "the signatures were taken away" in signed.check().findings[0].message


def test_a_signature_of_another_model_fails(signed: Pushed, key: PrivateKey, tmp_path: Path) -> None:
    model = signed.record.artifact(signed.record.model)
    files = [item.model_dump() for item in model.files]
    files[0]["sha256"] = "0" * 64
    artifacts = [
        item.model_dump() | ({"files": files} if item.id == model.id else {})
        for item in signed.record.artifacts
    ]
    write_record(changed(signed.record, artifacts=artifacts), tmp_path / "other", key)
    shutil.copy(tmp_path / "other" / "serving.sig", signed.place)
    assert "serving.sig is signed, and for other files" in signed.check().findings[0].message


# Elsewhere, and in a pipeline


def test_it_works_on_other_file_systems(signed: Pushed) -> None:
    from tfx.dsl.io import fileio

    base = f"ram://{uuid.uuid4().hex}"
    for place, name in ((signed.place, "record"), (signed.copy, "serving/1")):
        for path in place.rglob("*"):
            if path.is_file():
                target = f"{base}/{name}/{path.relative_to(place).as_posix()}"
                fileio.makedirs(os.path.dirname(target))
                fileio.copy(str(path), target)
    for _ in range(2):
        report = check_push(f"{base}/record", f"{base}/serving/1")
        assert report.verdict is Verdict.PASS
        assert set(report.push.carried) == CARRIED
    assert fileio.listdir(f"{base}/serving") in (["1"], ["1/"])
    with fileio.open(f"{base}/serving/1/saved_model.pb", "wb") as file:
        file.write(b"another")
    assert [item.path for item in check_push(f"{base}/record", f"{base}/serving/1").push.changes] == [
        "saved_model.pb"
    ]
    assert check_push(f"{base}/record", f"{base}/serving/2").verdict is Verdict.FAIL


@pytest.mark.parametrize("carry", [True, False])
@pytest.mark.parametrize("was_pushed", [True, False])
def test_the_component_reads_where_pusher_put_the_model(
    signed: Pushed, tmp_path: Path, carry: bool, was_pushed: bool
) -> None:
    from tfx.types import standard_artifacts
    from tfx.types.channel_utils import as_channel

    from tfx_trust.components.artifacts import ProvenanceRecord
    from tfx_trust.components.artifacts import PushReport as PushReportArtifact
    from tfx_trust.components.provenance.push_component import PushValidator

    model = standard_artifacts.PushedModel()
    model.uri = str(tmp_path / "pushed_model")
    model.set_int_custom_property("pushed", int(was_pushed))
    if was_pushed:
        model.set_string_custom_property("pushed_destination", str(signed.copy))
    record = ProvenanceRecord()
    record.uri = str(signed.place)
    validator = PushValidator(
        pushed_model=as_channel([model]), provenance_record=as_channel([record]), carry=carry
    )
    made = PushReportArtifact()
    made.uri = str(tmp_path / "report")
    inputs = {name: list(channel.get()) for name, channel in validator.inputs.items()}
    validator.executor_spec.executor_class().Do(inputs, {"push_report": [made]}, validator.exec_properties)
    report = PushReport.load(made.uri)
    assert report.component == "PushValidator"
    assert set(report.inputs) == {"pushed_model", "provenance_record"}
    assert report.push.destination == (str(signed.copy) if was_pushed else None)
    assert bool(signed.carried()) is (was_pushed and carry)
    verdict = "pass" if was_pushed else "not_run"
    assert made.get_string_custom_property("verdict") == str(report.verdict) == verdict
    assert (tmp_path / "report" / "report.html").exists()
    assert all(item.severity is not Severity.FAIL for item in report.findings)
