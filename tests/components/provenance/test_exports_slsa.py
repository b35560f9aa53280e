"""The Statement, read by in-toto's own messages; signed, by securesystemslib."""

import json
from pathlib import Path

import pytest
import verifiers
from records import census_like, changed, odd_records

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.exports import export
from tfx_trust.components.provenance.keys import generate_key, load_private
from tfx_trust.components.provenance.writing import write_record

# Every file as a Statement with SLSA provenance; what is wrong with each, null if nothing is.
READ = """
import json, sys
from google.protobuf.json_format import Parse, ParseDict
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
answers = []
for path in sys.argv[1:]:
    try:
        text = open(path, encoding="utf-8").read()
        Statement.copy_from_pb(Parse(text, statement_pb2.Statement())).validate()
        ParseDict(json.loads(text)["predicate"], provenance_pb2.Provenance())
        answers.append(None)
    except Exception as error:
        answers.append(f"{type(error).__name__}: {error}")
print(json.dumps(answers))
"""
VERIFY = """
import json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
key = SSlibKey.from_crypto(load_pem_public_key(open(sys.argv[2], "rb").read()))
envelope = json.load(open(sys.argv[1], encoding="utf-8"))
for signature in envelope["signatures"]:
    signature["keyid"] = key.keyid
Envelope.from_dict(envelope).verify([key], 1)
"""


def test_every_statement_is_one_by_in_totos_own_messages(tmp_path: Path) -> None:
    paths = []
    for number, record in enumerate((census_like(), *odd_records())):
        (name, text), *more = export(record, "slsa").items()
        assert not more
        paths.append(tmp_path / f"{number}-{name}")
        paths[-1].write_text(text, encoding="utf-8")
    broken = json.loads(paths[0].read_text())
    broken["predicate"]["buildDefinition"]["buildTypo"] = "x"
    paths.append(tmp_path / "broken.json")
    paths[-1].write_text(json.dumps(broken))
    *fine, refused = json.loads(verifiers.script(READ, *paths, check=True).stdout)
    assert fine == [None] * len(fine)
    assert "buildTypo" in refused


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A folder with a signed record of the census."""
    generate_key(tmp_path / "key.pem")
    write_record(census_like(tmp_path / "census"), tmp_path, key=load_private(tmp_path / "key.pem"))
    return tmp_path


def test_of_a_signed_record_it_is_the_envelope_that_verifies(signed: Path) -> None:
    texts = export(census_like(signed / "census"), "slsa", folder=signed)
    assert list(texts) == ["provenance.dsse.json"]
    taken = signed / "taken.json"
    taken.write_text(texts["provenance.dsse.json"])
    verifiers.script(VERIFY, taken, signed / "signing.pub", check=True)
    envelope = json.loads(taken.read_text())
    envelope["payload"] = "e30="
    taken.write_text(json.dumps(envelope))
    assert verifiers.script(VERIFY, taken, signed / "signing.pub").returncode != 0


def test_an_envelope_of_another_record_is_refused(signed: Path) -> None:
    other = changed(census_like(signed / "census"), run="another")
    with pytest.raises(InputError, match="of another record"):
        export(other, "slsa", folder=signed)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"payload": "!"}', '{"payload": "e30="}', '{"payload": 1}']
)
def test_what_is_no_envelope_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "provenance.dsse.json").write_text(content)
    with pytest.raises(InputError, match=r"provenance\.dsse\.json: no envelope with a statement"):
        export(census_like(), "slsa", folder=tmp_path)
