"""PROV-JSON, read by the prov package: it goes through XML and RDF and comes back equal."""

import json
from pathlib import Path
from typing import Any

import pytest
import verifiers
from records import census_like, minimal, odd_records

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.exports import export
from tfx_trust.components.provenance.keys import generate_key, key_id, load_private, public_pem

# Reads every document, writes it in each format, reads that, and tells which did not come back.
ROUND_TRIPS = """
import io, json, sys
from prov.model import ProvDocument
wrong = []
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as lines:
        whole = ProvDocument.deserialize(lines, format="json")
    for format in ("json", "xml", "rdf"):
        written = io.StringIO(whole.serialize(format=format))
        if ProvDocument.deserialize(written, format=format) != whole:
            wrong.append(f"{path}: {format}")
print(json.dumps(wrong))
"""


def told(record: Any, **more: Any) -> dict[str, Any]:
    return json.loads(export(record, "prov", **more)["prov.json"])


def related(document: dict[str, Any], kind: str, *ends: str) -> list[tuple[str, ...]]:
    return [tuple(item.get(f"prov:{end}", "") for end in ends) for item in document[kind].values()]


def test_the_converter_takes_it_and_the_comparison_tells_a_changed_one(tmp_path: Path) -> None:
    written, converted = tmp_path / "prov.json", tmp_path / "prov.xml"
    text = export(census_like(), "prov")["prov.json"]
    written.write_text(text, encoding="utf-8")
    verifiers.run(["prov-convert", "-f", "xml", written, converted], check=True)
    verifiers.run(["prov-compare", "-f", "json", "-F", "xml", written, converted], check=True)
    written.write_text(text.replace("CC-BY-4.0", "CC-BY-5.0"), encoding="utf-8")
    assert verifiers.run(["prov-compare", "-f", "json", "-F", "xml", written, converted]).returncode == 1
    written.write_text(text.replace('"artifact:15"', '"nowhere:15"'), encoding="utf-8")
    assert verifiers.run(["prov-convert", "-f", "xml", written, converted]).returncode != 0


def test_whatever_stands_in_a_record_survives_json_xml_and_rdf(tmp_path: Path) -> None:
    paths = []
    for number, record in enumerate((census_like(), minimal(), *odd_records())):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(export(record, "prov")["prov.json"], encoding="utf-8")
    assert json.loads(verifiers.script(ROUND_TRIPS, *paths, check=True).stdout) == []


def test_executions_used_what_they_read_and_generated_what_they_made() -> None:
    document = told(census_like())
    assert ("execution:6", "artifact:10") in related(document, "used", "activity", "entity")
    assert ("execution:1", "source:1") in related(document, "used", "activity", "entity")
    assert ("artifact:15", "execution:6") in related(document, "wasGeneratedBy", "entity", "activity")
    times = document["activity"]["execution:6"]
    assert times["prov:startTime"] < times["prov:endTime"]


def test_the_model_is_derived_by_training_from_what_it_learned_from_alone() -> None:
    derived = told(census_like())["wasDerivedFrom"].values()
    trained = [item for item in derived if item.get("prov:type", {}).get("$") == "trust:Training"]
    assert [(item["prov:generatedEntity"], item["prov:usedEntity"]) for item in trained] == [
        ("artifact:15", "artifact:10")
    ]


def test_raw_inputs_are_primary_sources_and_attributed_to_their_publishers() -> None:
    document = told(census_like())
    primary = [
        (item["prov:generatedEntity"], item["prov:usedEntity"])
        for item in document["wasDerivedFrom"].values()
        if item.get("prov:type", {}).get("$") == "prov:PrimarySource"
    ]
    assert primary == [("artifact:1", "source:1"), ("artifact:1", "source:2")]
    assert ("source:1", "agent:publisher-1") in related(document, "wasAttributedTo", "entity", "agent")
    assert document["agent"]["agent:publisher-1"]["prov:label"] == "UCI Machine Learning Repository"


def test_code_is_the_plan_of_the_execution_that_named_it() -> None:
    plans = [item for item in told(census_like())["wasAssociatedWith"].values() if "prov:plan" in item]
    assert {(item["prov:activity"], item["prov:plan"]) for item in plans} == {
        ("execution:6", "code:1"),
        ("execution:5", "code:2"),
    }


def test_files_are_told_as_sha256sum_tells_them() -> None:
    record = census_like()
    files = told(record)["entity"]["artifact:15"]["trust:file"]
    assert files == [f"{file.sha256}  {file.path}" for file in record.artifact(15).files]


def test_that_there_are_no_personal_data_is_told_and_that_it_is_not_known_is_not() -> None:
    record = census_like()
    entities = told(record)["entity"]
    assert entities["source:2"]["trust:personalData"] == ["none"]
    unsaid = record.sources[1].model_copy(update={"declaration": None})
    entities = told(record.model_copy(update={"sources": [record.sources[0], unsaid]}))["entity"]
    assert "trust:personalData" not in entities["source:2"]


def test_the_signer_is_told_where_there_is_one(tmp_path: Path) -> None:
    assert "agent:signer" not in told(census_like(), folder=tmp_path)["agent"]
    generate_key(tmp_path / "k.pem")
    key = load_private(tmp_path / "k.pem")
    public = key.public_key()
    (tmp_path / "signing.pub").write_bytes(public_pem(public))
    document = told(census_like(), folder=tmp_path)
    assert document["agent"]["agent:signer"]["trust:keySha256"] == key_id(public)


def test_a_public_key_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "signing.pub").write_text("no key")
    with pytest.raises(InputError, match=r"signing\.pub"):
        told(minimal(), folder=tmp_path)
