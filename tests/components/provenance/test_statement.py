"""The in-toto Statement: read by in-toto's own messages, and telling what the record tells."""

import hashlib
import json

import pytest
import verifiers
from records import census_like, changed, minimal

from tfx_trust.components.provenance.record import canonical
from tfx_trust.components.provenance.signing import model_root
from tfx_trust.components.provenance.statement import TREE, package_url, serving_files, statement_of

IN_TOTO = """
import json, sys
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
for path in sys.argv[1:]:
    text = open(path).read()
    Statement.copy_from_pb(json_format.Parse(text, statement_pb2.Statement())).validate()
    read = json_format.ParseDict(json.loads(text)["predicate"], provenance_pb2.Provenance())
    listed = [*read.build_definition.resolved_dependencies, *read.run_details.byproducts]
    for item in listed:
        ResourceDescriptor.copy_from_pb(item).validate()
    print(read.build_definition.build_type, read.run_details.metadata.started_on.ToJsonString(), len(listed))
"""


@pytest.fixture(scope="module")
def statement():
    return statement_of(census_like(), beside={"report.json": "a" * 64})


def dependencies(statement, role):
    found = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    return [item for item in found if item["annotations"]["role"] == role]


def test_in_toto_reads_the_statement_and_slsa_the_provenance(tmp_path, statement):
    for name, content in (("whole", statement), ("minimal", statement_of(minimal()))):
        (tmp_path / name).write_bytes(canonical(content))

    said = verifiers.script(IN_TOTO, tmp_path / "whole", tmp_path / "minimal", check=True).stdout.splitlines()

    whole = len(dependencies_of_all(statement))
    assert said[0] == f"urn:tfx-trust:build:tfx-pipeline:v1 2026-11-25T12:01:00Z {whole}"
    assert said[1].endswith(" 0")


def dependencies_of_all(statement):
    predicate = statement["predicate"]
    return [*predicate["buildDefinition"]["resolvedDependencies"], *predicate["runDetails"]["byproducts"]]


def test_in_toto_refuses_a_field_that_is_not_of_the_standard(tmp_path, statement):
    (tmp_path / "bad").write_bytes(canonical({**statement, "licence": "MIT"}))

    assert "ParseError" in verifiers.script(IN_TOTO, tmp_path / "bad").stderr


def test_its_subjects_are_the_model_what_is_served_and_the_record(statement):
    record = census_like()
    model = record.artifact(15)
    named = {item["name"]: item["digest"] for item in statement["subject"]}

    assert named["Model 15"] == {"sha256": model_root(model.files), TREE: model.tree}
    assert named["Format-Serving"] == {"sha256": model_root(serving_files(record))}
    assert named["record.json"] == {"sha256": hashlib.sha256(record.to_bytes()).hexdigest()}


def test_a_model_that_could_not_be_read_is_no_subject():
    assert [item["name"] for item in statement_of(minimal())["subject"]] == ["record.json"]


def test_sources_are_dependencies_with_digests_and_licences(statement):
    files, query = dependencies(statement, "source")

    assert files["digest"][TREE] == census_like().sources[0].tree
    assert files["annotations"]["licence"] == "CC-BY-4.0"
    assert files["annotations"]["declaration"]["retention"] == "2030-12-31"
    assert query["annotations"]["declaration"]["personal_data"] == []
    assert "digest" not in query


def test_artifacts_code_commit_packages_and_container_are_dependencies(statement):
    assert [item["name"] for item in dependencies(statement, "upstream")] == [
        "Examples 1",
        "Schema 2",
        "ExampleStatistics 3",
        "Examples 10",
        "TransformGraph 11",
    ]
    code = {item["name"]: item for item in dependencies(statement, "code")}
    assert code["repository"]["digest"] == {"gitCommit": "0123456789abcdef0123456789abcdef01234567"}
    assert code["repository"]["uri"].startswith("git+https://git.example.org/people/census.git@0123")
    assert code["model.py"]["digest"].keys() == {"sha256"}
    assert {"uri": "pkg:pypi/ml-metadata@1.16.0", "annotations": {"role": "package"}} in dependencies(
        statement, "package"
    )
    assert len(dependencies(statement, "container")) == 1


def test_parameters_are_those_of_every_node(statement):
    nodes = statement["predicate"]["buildDefinition"]["externalParameters"]["nodes"]

    assert nodes["PrivateTrainer"]["learning_rate"] == "0.001"
    assert nodes["PrivateTrainer"]["api_token"] == "***"
    assert len(nodes) == len(census_like().executions)


def test_two_executions_of_a_node_are_told_apart():
    content = census_like().model_dump(mode="json")
    for execution in content["executions"]:
        execution["component"] = "Same"
    record = changed(census_like(), executions=content["executions"])

    nodes = statement_of(record)["predicate"]["buildDefinition"]["externalParameters"]["nodes"]

    assert len(nodes) == len(record.executions)


def test_the_evaluation_and_the_files_beside_are_byproducts(statement):
    evaluation, report = statement["predicate"]["runDetails"]["byproducts"]

    assert evaluation["name"] == "ModelEvaluation 19"
    assert evaluation["annotations"]["madeBy"] == "Evaluator"
    assert report == {"name": "report.json", "digest": {"sha256": "a" * 64}}


def test_numbers_that_float64_cannot_hold_are_text():
    record = changed(census_like(), seeds={"A.seed": 2**53 + 1, "B.seed": -(2**53), "C.seed": True})

    seeds = statement_of(record)["predicate"]["buildDefinition"]["internalParameters"]["seeds"]

    assert seeds == {"A.seed": "9007199254740993", "B.seed": -(2**53), "C.seed": True}


def test_equal_records_give_equal_statements():
    assert json.dumps(statement_of(census_like())) == json.dumps(statement_of(census_like()))


def test_packages_are_named_as_python_names_them():
    assert package_url("Jinja2", "3.1") == "pkg:pypi/jinja2@3.1"
    assert package_url("zope.interface__x", "1+cu12") == "pkg:pypi/zope-interface-x@1%2Bcu12"
