"""The ML-BOM, validated by CycloneDX's own library."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import verifiers
from records import census_like, minimal, odd_records

from tfx_trust.components.provenance.config import IntendedUse
from tfx_trust.components.provenance.exports import export
from tfx_trust.components.provenance.record import Record

# What is wrong with each document by the rules of the version that it names; null if nothing is.
VALIDATE = """
import functools, json, sys
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator
@functools.cache
def validator(version):
    return make_schemabased_validator(OutputFormat.JSON, SchemaVersion["V" + version.replace(".", "_")])
answers = []
for path in sys.argv[1:]:
    text = open(path, encoding="utf-8").read()
    error = validator(json.loads(text)["specVersion"]).validate_str(text)
    answers.append(None if error is None else str(error.data.message)[:500])
print(json.dumps(answers))
"""

Bom = dict[str, Any]


def bom_of(record: Record) -> Bom:
    return json.loads(export(record, "cyclonedx")["bom.cdx.json"])


def validated(boms: list[Bom], folder: Path) -> list[str | None]:
    paths = []
    for number, bom in enumerate(boms):
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(json.dumps(bom), encoding="utf-8")
    return json.loads(verifiers.script(VALIDATE, *paths, check=True).stdout)


def as_version(version: str, bom: Bom) -> Bom:
    return {name: value for name, value in {**bom, "specVersion": version}.items() if name != "$schema"}


def component(bom: Bom, ref: str) -> Bom:
    return next(item for item in bom["components"] if item["bom-ref"] == ref)


def properties(item: Bom) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in item.get("properties", []):
        found.setdefault(entry["name"].removeprefix("tfx-trust:"), []).append(entry["value"])
    return found


def test_every_record_gives_a_valid_document(tmp_path: Path) -> None:
    boms = [bom_of(record) for record in (census_like(), *odd_records())]
    boms += [as_version(version, bom) for version in ("1.5", "1.7") for bom in boms[:2]]
    assert validated(boms, tmp_path) == [None] * len(boms)


BREAKS: dict[str, Callable[[Bom], Any]] = {
    "ml-model": lambda bom: bom["metadata"]["component"].update(type="ml-model"),
    "modelCardd": lambda bom: bom["metadata"]["component"].update(modelCardd={}),
    "not a digest": lambda bom: bom["metadata"]["component"]["components"][0]["hashes"][0].update(
        content="not a digest"
    ),
    "paint": lambda bom: bom["formulation"][0]["workflows"][0]["tasks"][0].update(taskTypes=["paint"]),
    "an id": lambda bom: bom["components"][0].update(licenses=[{"license": {"id": "an id"}}]),
    "noon": lambda bom: bom["metadata"].update(timestamp="noon"),
}


def test_the_validator_refuses_what_is_broken(tmp_path: Path) -> None:
    broken = []
    for spoil in BREAKS.values():
        broken.append(bom_of(census_like()))
        spoil(broken[-1])
    for name, said in zip(BREAKS, validated(broken, tmp_path), strict=True):
        assert said is not None, name


def test_references_are_unique_and_lead_somewhere() -> None:
    for record in (census_like(), *odd_records()[:4]):
        bom = bom_of(record)
        defined = _values(bom, "bom-ref")
        assert len(set(defined)) == len(defined)
        wanted = _values(bom["formulation"], "ref") if "formulation" in bom else []
        wanted += _values(bom["metadata"]["component"].get("modelCard", {}), "ref")
        wanted += [name for item in bom["dependencies"] for name in (item["ref"], *item.get("dependsOn", []))]
        assert set(wanted) <= set(defined)


def _values(content: Any, name: str) -> list[str]:
    if isinstance(content, dict):
        own = [content[name]] if name in content else []
        return own + [value for item in content.values() for value in _values(item, name)]
    return [value for item in content for value in _values(item, name)] if isinstance(content, list) else []


def test_the_subject_is_the_model_with_its_files_and_its_card() -> None:
    record = census_like()
    model = bom_of(record)["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    assert {item["name"]: item["hashes"][0]["content"] for item in model["components"]} == {
        file.path: file.sha256 for file in record.artifact(15).files
    }
    assert properties(model)["tree-sha256"] == [record.artifact(15).tree]
    card = model["modelCard"]
    assert card["modelParameters"]["datasets"] == [
        {"ref": "artifact:10"},
        {"ref": "source:1"},
        {"ref": "source:2"},
    ]
    assert card["considerations"]["useCases"] == ["research"]
    assert card["considerations"]["technicalLimitations"] == ["Incomes of 1994, of one country."]
    (risk,) = card["considerations"]["ethicalConsiderations"]
    assert risk["name"] == "UCI Adult holds data about people: age, sex"
    assert risk["mitigationStrategy"].startswith("Legal basis: legitimate interests. Consent: Answers")


def test_the_model_has_the_licence_of_its_use_and_data_those_of_their_declarations() -> None:
    bom = bom_of(census_like())
    assert bom["metadata"]["component"]["licenses"] == [{"expression": "Apache-2.0"}]
    assert component(bom, "source:1")["licenses"] == [{"expression": "CC-BY-4.0"}]
    assert component(bom, "source:2")["licenses"] == [{"expression": "LicenseRef-contract-17"}]


def test_an_undeclared_licence_is_left_out() -> None:
    record = census_like().model_copy(update={"use": IntendedUse(purpose="research")})
    assert "licenses" not in bom_of(record)["metadata"]["component"]


def test_data_have_owners_keepers_and_what_is_sensitive_in_them() -> None:
    (data,) = component(bom_of(census_like()), "source:1")["data"]
    assert data["governance"] == {
        "owners": [{"organization": {"name": "UCI Machine Learning Repository"}}],
        "custodians": [{"contact": {"email": "data-office@example.org"}}],
    }
    assert data["sensitiveData"] == ["age", "sex"]
    assert component(bom_of(census_like()), "source:2")["data"][0]["sensitiveData"] == ["none"]


def test_a_digest_over_several_files_is_no_hash_of_the_component() -> None:
    bom = bom_of(census_like())
    assert "hashes" not in component(bom, "source:1")
    assert len(component(bom, "source:1")["components"]) == 2
    assert component(bom, "artifact:2")["hashes"] == component(bom, "artifact:2")["components"][0]["hashes"]


def test_packages_are_libraries_with_package_urls() -> None:
    bom = bom_of(census_like())
    library = component(bom, "pkg:pypi/ml-metadata@1.16.0")
    assert (library["type"], library["name"], library["version"]) == ("library", "ml-metadata", "1.16.0")
    needed = next(item for item in bom["dependencies"] if item["ref"] == "artifact:15")["dependsOn"]
    assert {"pkg:pypi/ml-metadata@1.16.0", "artifact:10", "artifact:11", "code:1"} <= set(needed)


def test_spellings_of_one_package_are_one_component() -> None:
    record = census_like()
    assert record.environment is not None
    environment = record.environment.model_copy(update={"packages": {"Ml_Metadata": "1", "ml-metadata": "1"}})
    bom = bom_of(record.model_copy(update={"environment": environment}))
    assert sum(item["type"] == "library" for item in bom["components"]) == 1


def test_the_making_is_a_workflow_with_a_task_for_each_execution() -> None:
    (formula,) = bom_of(census_like())["formulation"]
    (workflow,) = formula["workflows"]
    tasks = {task["bom-ref"]: task for task in workflow["tasks"]}
    assert tasks["execution:1"]["taskTypes"] == ["copy"]
    assert tasks["execution:6"]["taskTypes"] == ["build"]
    assert {"resource": {"ref": "artifact:10"}} in tasks["execution:6"]["inputs"]
    assert tasks["execution:6"]["outputs"] == [{"type": "artifact", "resource": {"ref": "artifact:15"}}]
    (parameters,) = [item["parameters"] for item in tasks["execution:6"]["inputs"] if "parameters" in item]
    assert {"name": "learning_rate", "value": "0.001"} in parameters
    order = {item["ref"]: item.get("dependsOn", []) for item in workflow["taskDependencies"]}
    assert order["execution:6"] == ["execution:5", "execution:2"]


def test_what_is_unknown_makes_it_incomplete() -> None:
    record = census_like()
    assert bom_of(record)["compositions"][0]["aggregate"] == "incomplete"
    assert properties(bom_of(record)["metadata"])["unknown"] == [
        "source_files of source:2: A query leaves no files behind."
    ]
    assert bom_of(minimal())["compositions"][0]["aggregate"] == "unknown"


def test_the_serial_number_is_that_of_the_record() -> None:
    assert bom_of(minimal())["serialNumber"] == bom_of(minimal())["serialNumber"]
    assert bom_of(minimal())["serialNumber"] != bom_of(census_like())["serialNumber"]


def test_the_repository_is_a_reference_that_says_when_it_was_changed() -> None:
    (reference,) = bom_of(census_like())["metadata"]["component"]["externalReferences"]
    assert reference["type"] == "vcs"
    assert reference["comment"].endswith("changed since")


def test_what_is_too_long_for_a_version_is_none() -> None:
    assert bom_of(census_like())["metadata"]["component"]["version"].startswith("2026-11-25")
    long = census_like().model_copy(update={"run": "x" * 1025})
    assert "version" not in bom_of(long)["metadata"]["component"]
