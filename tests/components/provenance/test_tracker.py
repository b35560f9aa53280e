"""ProvenanceTracker: what its cache goes by, what it writes and signs, and what it does without a store."""

import datetime
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from records import census_like
from tfx.types import standard_artifacts
from tfx.types.channel import Channel
from tfx.types.channel_utils import as_channel

from tfx_trust.components import (
    InputError,
    ProvenanceReport,
    ProvenanceSettings,
    ProvenanceTracker,
    SourceDeclaration,
    UsageError,
    Verdict,
)
from tfx_trust.components.artifacts import ProvenanceRecord
from tfx_trust.components.provenance import driver
from tfx_trust.components.provenance.keys import generate_key
from tfx_trust.components.provenance.record import Record
from tfx_trust.components.provenance.verify import verify


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "key.pem"
    path.parent.mkdir()
    generate_key(path)
    return path


def model_in(folder: Path) -> standard_artifacts.Model:
    made = standard_artifacts.Model()
    made.uri = str(folder / "model")
    serving = folder / "model" / "Format-Serving"
    serving.mkdir(parents=True)
    (serving / "saved_model.pb").write_bytes(b"graph")
    return made


def tracked(folder: Path, model: Any, **arguments: Any) -> tuple[ProvenanceRecord, ProvenanceReport]:
    """What the executor writes where no driver was run, unless one left a record."""
    tracker = ProvenanceTracker(model=as_channel([model]), **arguments)
    output = ProvenanceRecord()
    output.uri = str(folder / "record" / "7")
    inputs = {name: list(channel.get()) for name, channel in tracker.inputs.items()}
    executor = tracker.executor_spec.executor_class()
    executor.Do(inputs, {"provenance_record": [output]}, tracker.exec_properties)
    return output, ProvenanceReport.load(output.uri)


def test_without_a_metadata_store_only_what_was_connected_is_recorded(tmp_path: Path) -> None:
    statistics = standard_artifacts.ExampleStatistics()
    statistics.uri = str(tmp_path / "statistics")
    Path(statistics.uri).mkdir()
    Path(statistics.uri, "stats.pb").write_bytes(b"counts")
    statistics.id = 3
    output, report = tracked(tmp_path, model_in(tmp_path), artifacts={"statistics": as_channel([statistics])})
    record = Record.load(output.uri)
    assert [(item.role, item.type, len(item.files)) for item in record.artifacts] == [
        ("model", "Model", 1),
        ("related", "ExampleStatistics", 1),
    ]
    assert record.serving == "Format-Serving"
    assert record.environment
    assert "lineage" in {item.what for item in record.unknowns}
    assert any("no metadata store" in item.why for item in report.provenance.unknowns)
    assert report.verdict is not Verdict.PASS


def test_what_was_connected_and_is_gone_is_told(tmp_path: Path) -> None:
    model = model_in(tmp_path)
    gone = standard_artifacts.ExampleStatistics()
    gone.uri = str(tmp_path / "nowhere")
    gone.id = 3
    output, report = tracked(tmp_path, model, artifacts={"statistics": as_channel([gone])})
    entry = Record.load(output.uri).artifact(3)
    assert entry.tree is None
    assert entry.files == []
    assert any(str(tmp_path / "nowhere") in item.subject for item in report.provenance.unknowns)


def test_a_record_is_signed_with_all_that_lies_beside_it(tmp_path: Path, key: Path) -> None:
    settings = ProvenanceSettings(signing_key=str(key), require_signature=True)
    output, report = tracked(tmp_path, model_in(tmp_path), settings=settings)
    assert {path.name for path in Path(output.uri).iterdir()} == {
        "model.sig",
        "provenance.dsse.json",
        "record.json",
        "report.html",
        "report.json",
        "serving.sig",
        "signing.pub",
    }
    public = key.with_suffix(".pub")
    assert report.provenance.signature
    assert report.provenance.signature.key_id == hashlib.sha256(public.read_bytes()).hexdigest()
    assert verify(output.uri, public_key=public).status == 0
    page = Path(output.uri, "report.html")
    page.write_text(page.read_text().replace("Model", "Muddle", 1))
    assert verify(output.uri, public_key=public).status == 3


def test_its_artifact_tells_which_record_of_which_model(tmp_path: Path) -> None:
    model = model_in(tmp_path)
    model.id = 12
    output, report = tracked(tmp_path, model)
    assert output.get_string_custom_property("record_digest") == Record.load(output.uri).digest
    assert output.get_string_custom_property("record_digest") == report.provenance.record
    assert output.get_int_custom_property("model_id") == 12
    assert output.get_string_custom_property("verdict") == str(report.verdict)


def test_what_its_driver_left_is_taken_and_cleared_away(tmp_path: Path) -> None:
    uri = str(tmp_path / "record" / "7")
    left = Path(uri + ".lineage.json")
    left.parent.mkdir()
    left.write_bytes(census_like(tmp_path / "files").to_bytes())
    assert driver.take_record(uri) == census_like(tmp_path / "files")
    assert not left.exists()
    assert driver.take_record(uri) is None


def test_what_runs_from_the_cache_left_behind_is_cleared_away_later(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in ("3.lineage.json", "4.lineage.json", "5.json"))
    for path in (old, new, other):
        path.write_text("{}")
    for path in (old, other):
        os.utime(path, (time.time() - 7200,) * 2)
    # Another run was quicker.
    (tmp_path / "2.lineage.json").symlink_to(tmp_path / "gone")
    driver._clear(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"2.lineage.json", "4.lineage.json", "5.json"}


def test_the_cache_goes_by_bytes_declarations_code_and_key_and_not_by_time(tmp_path: Path, key: Path) -> None:
    record, settings = census_like(), ProvenanceSettings()
    known = driver.content_digest(record, settings)
    assert driver.content_digest(changed(record, created="2030-01-01T00:00:00+00:00"), settings) == known
    assert driver.content_digest(changed(record, environment=None, repository=None), settings) == known
    assert driver.content_digest(changed(record, previous=None), settings) == known
    artifact, source, code = record.artifacts[0], record.sources[0], record.code[0]
    others = [
        changed(record, artifacts=[changed_tree(artifact), *record.artifacts[1:]]),
        changed(record, sources=[changed_tree(source), *record.sources[1:]]),
        changed(record, sources=[source.model_copy(update={"declaration": None}), *record.sources[1:]]),
        changed(record, code=[changed_tree(code), *record.code[1:]]),
        changed(record, unknowns=[]),
        changed(record, changes=[]),
    ]
    digests = [driver.content_digest(other, settings) for other in others]
    signed = driver.content_digest(record, ProvenanceSettings(signing_key=str(key)))
    assert len({known, signed, *digests}) == len(others) + 2


def test_the_cache_does_not_outlast_the_day_on_which_a_source_must_be_gone() -> None:
    record, today = census_like(), datetime.datetime.now(datetime.timezone.utc).date()

    def kept_until(days: int) -> Record:
        declared = SourceDeclaration(name="Loans", retention=today + datetime.timedelta(days))
        source = record.sources[0].model_copy(update={"declaration": declared})
        return changed(record, sources=[source])

    def findings(days: int) -> list[list[str]]:
        return driver._overdue(kept_until(days))

    assert [item[0] for days in (400, 10, -1) for item in findings(days)] == [
        "retention_near",
        "retention_passed",
    ]


def changed(record: Record, **fields: Any) -> Record:
    return record.model_copy(update=fields)


def changed_tree(entry: Any) -> Any:
    return entry.model_copy(update={"tree": "0" * 64})


def test_the_settings_travel_without_a_key(key: Path) -> None:
    tracker = ProvenanceTracker(
        model=Channel(type=standard_artifacts.Model), settings={"signing_key": str(key)}
    )
    travelled = tracker.exec_properties["settings"]
    assert json.loads(travelled)["signing_key"] == str(key)
    secret = "".join(key.read_text().splitlines()[1:-1])
    assert secret[:30] not in travelled


@pytest.mark.parametrize("setting", ["signing_key", "signing_key_env"])
def test_a_key_in_the_place_of_its_name_is_refused_and_not_repeated(setting: str, key: Path) -> None:
    with pytest.raises(UsageError, match="a key was given where the name of its file") as caught:
        ProvenanceSettings.of({setting: key.read_text()})
    assert key.read_text()[30:60] not in str(caught.value)
    assert "BEGIN" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"settings": {"signingkey": "k"}},
            "unknown setting of ProvenanceSettings 'signingkey'.*did you mean",
        ),
        ({"settings": {"signing_key": "k", "signing_key_env": "K"}}, "give one of the two"),
        ({"settings": {"use": {"purpose": ""}}}, "purpose"),
        ({"artifacts": {"two words": Channel(type=standard_artifacts.Schema)}}, "'two words' is not allowed"),
    ],
)
def test_what_cannot_be_is_refused_when_composed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ProvenanceTracker(model=Channel(type=standard_artifacts.Model), **arguments)


def test_a_key_of_no_use_is_refused_when_composed_if_it_is_there(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compose(**settings: Any) -> None:
        ProvenanceTracker(model=Channel(type=standard_artifacts.Model), settings=settings)

    for name in ("signing_key", "signing_key_env"):
        compose(**{name: str(tmp_path / "elsewhere")})
    compose(subjects={"feature": "id", "key_env": "ELSEWHERE"})
    with pytest.raises(InputError, match="a public key, where the private key is needed"):
        compose(signing_key=str(key.with_suffix(".pub")))
    monkeypatch.setenv("SIGNING_KEY", "secret")
    with pytest.raises(InputError, match="environment variable SIGNING_KEY: no PEM text"):
        compose(signing_key_env="SIGNING_KEY")
    with pytest.raises(InputError, match="a key for signatures, not one of subjects"):
        compose(subjects={"feature": "id", "key_file": str(key)})
