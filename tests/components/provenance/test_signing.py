"""Keys and signatures, and the programs of others that check them."""

import base64
import datetime
import hashlib
import json
import os
import stat
from pathlib import Path

import pytest
import verifiers
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st

from tfx_trust.components.errors import InputError, TrustError, UsageError
from tfx_trust.components.provenance.config import ProvenanceSettings
from tfx_trust.components.provenance.hashing import digest_folder
from tfx_trust.components.provenance.record import FileEntry
from tfx_trust.components.provenance.signing import (
    PAYLOAD_TYPE,
    OtherKeyError,
    SignatureError,
    envelope,
    envelope_key_id,
    generate_key,
    key_id,
    load_private,
    load_public,
    model_root,
    model_signature,
    open_envelope,
    open_model_signature,
    private_key_of,
    public_pem,
    signature_of,
)

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PKCS8, SEC1 = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
PLAIN = serialization.NoEncryption()
P256 = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def keys(tmp_path):
    public = generate_key(tmp_path / "signing.pem")
    return load_private(tmp_path / "signing.pem"), public


def private_text(key, form=PKCS8, encryption=PLAIN, encoding=PEM):
    return key.private_bytes(encoding, form, encryption)


def public_text(key, encoding=PEM):
    return key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def certificate():
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
    day = datetime.datetime(2026, 1, 1)
    made = x509.CertificateBuilder(name, name, P256.public_key(), 1, day, day + datetime.timedelta(days=1))
    return made.sign(P256, hashes.SHA256()).public_bytes(PEM)


# Keys


def test_a_new_pair_of_keys_is_written_for_its_owner_alone(tmp_path):
    public = generate_key(tmp_path / "signing.pem")

    assert public == tmp_path / "signing.pub"
    assert stat.S_IMODE(os.stat(tmp_path / "signing.pem").st_mode) == 0o600
    assert key_id(load_private(tmp_path / "signing.pem").public_key()) == key_id(load_public(public))
    assert generate_key(tmp_path / "release key") == tmp_path / "release key.pub"


def test_two_pairs_of_keys_differ(tmp_path):
    assert load_public(generate_key(tmp_path / "a")) != load_public(generate_key(tmp_path / "b"))


@pytest.mark.parametrize("there", ["signing.pem", "signing.pub"])
def test_no_key_is_overwritten(tmp_path, there):
    (tmp_path / there).write_text("precious")

    with pytest.raises(InputError, match=f"{there}.*no key is overwritten"):
        generate_key(tmp_path / "signing.pem")

    assert os.listdir(tmp_path) == [there]
    assert (tmp_path / there).read_text() == "precious"


def test_a_dangling_link_in_the_place_of_a_key_is_not_followed(tmp_path):
    (tmp_path / "signing.pem").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(InputError, match="choose another name"):
        generate_key(tmp_path / "signing.pem")

    assert not (tmp_path / "elsewhere").exists()


def test_keys_that_cannot_be_written_are_told(tmp_path):
    with pytest.raises(InputError, match="cannot be written there"):
        generate_key(tmp_path / "no such folder" / "signing.pem")


def test_private_keys_are_read_in_both_common_forms_of_pem(tmp_path):
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    for text in (private_text(P256), private_text(P256, SEC1), parameters + private_text(P256, SEC1)):
        (tmp_path / "k.pem").write_bytes(text)
        assert load_private(tmp_path / "k.pem").private_numbers() == P256.private_numbers()


def test_a_private_key_is_read_from_the_environment(monkeypatch):
    text = private_text(P256).decode()
    for value in (text, text.replace("\n", "\\n")):
        monkeypatch.setenv("SIGNING_KEY", value)
        assert load_private(env="SIGNING_KEY").private_numbers() == P256.private_numbers()


def test_settings_name_the_key_or_none(tmp_path, monkeypatch):
    generate_key(tmp_path / "k.pem")
    monkeypatch.setenv("SIGNING_KEY", (tmp_path / "k.pem").read_text())

    assert private_key_of(ProvenanceSettings()) is None
    for settings in ({"signing_key": str(tmp_path / "k.pem")}, {"signing_key_env": "SIGNING_KEY"}):
        assert private_key_of(ProvenanceSettings(**settings)) is not None


def test_a_public_key_is_read_from_its_text():
    assert load_public(public_text(P256)) == P256.public_key()


OTHER_KINDS = {
    "an RSA key of 2048 bits": rsa.generate_private_key(65537, 2048),
    "an Ed25519 key": ed25519.Ed25519PrivateKey.generate(),
    "an X25519 key": x25519.X25519PrivateKey.generate(),
    "an ECDSA key on the curve secp384r1": ec.generate_private_key(ec.SECP384R1()),
    "a DSA key of 2048 bits": dsa.generate_private_key(2048),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_key_of_another_kind_is_told_with_the_one_that_is_needed(tmp_path, kind):
    path = tmp_path / "k"
    for text, load in (
        (private_text(OTHER_KINDS[kind]), load_private),
        (public_text(OTHER_KINDS[kind]), load_public),
    ):
        path.write_bytes(text)
        with pytest.raises(InputError, match=f"{kind}; needed is an ECDSA key on the curve P-256"):
            load(path)


BAD_PRIVATE = {
    "no PEM text": private_text(P256, encoding=DER),
    "a public key, where the private key is needed": public_text(P256),
    "a certificate, where the private key is needed": certificate(),
    "encrypted.*openssl pkcs8 -topk8 -nocrypt": private_text(
        P256, encryption=serialization.BestAvailableEncryption(b"pw")
    ),
    r"encrypted, and no password is asked for": private_text(
        P256, SEC1, encryption=serialization.BestAvailableEncryption(b"pw")
    ),
    "OpenSSH's own form.*ssh-keygen -p -m PKCS8": private_text(P256, serialization.PrivateFormat.OpenSSH),
    "damaged": private_text(P256).replace(b"MI", b"MA", 1),
    "no PEM text.*BEGIN PRIVATE KEY": b"",
}


@pytest.mark.parametrize("said", BAD_PRIVATE)
def test_what_is_no_private_key_is_told_without_a_letter_of_it(tmp_path, said):
    (tmp_path / "k.pem").write_bytes(BAD_PRIVATE[said])

    with pytest.raises(InputError, match=said) as error:
        load_private(tmp_path / "k.pem")

    assert not leaks(BAD_PRIVATE[said].decode("latin-1"), str(error.value))
    assert error.value.__cause__ is None


BAD_PUBLIC = {
    "a private key, where the public one is needed": private_text(P256),
    "a certificate; needed": certificate(),
    "no PEM text": public_text(P256, DER),
    "damaged": public_text(P256).replace(b"MF", b"MA", 1),
}


@pytest.mark.parametrize("said", BAD_PUBLIC)
def test_what_is_no_public_key_is_told(tmp_path, said):
    (tmp_path / "k.pub").write_bytes(BAD_PUBLIC[said])

    with pytest.raises(InputError, match=said) as error:
        load_public(tmp_path / "k.pub")

    assert not leaks(BAD_PUBLIC[said].decode("latin-1"), str(error.value))


def test_keys_that_are_not_there_are_told(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    monkeypatch.setenv("EMPTY_KEY", " \n")
    with pytest.raises(InputError, match=r"k\.pem: no such file; give that of the private key"):
        load_private(tmp_path / "k.pem")
    with pytest.raises(InputError, match=r"k\.pub: no such file; give that of the public key"):
        load_public(tmp_path / "k.pub")
    with pytest.raises(InputError, match="cannot be read"):
        load_private(tmp_path)
    for name in ("NO_SUCH_KEY", "EMPTY_KEY"):
        with pytest.raises(InputError, match=f"{name} is not set"):
            load_private(env=name)
    for both in ({}, {"path": "k.pem", "env": "KEY"}):
        with pytest.raises(UsageError, match="one of the two"):
            load_private(**both)


def test_a_key_given_in_the_place_of_its_name_is_not_repeated():
    text = private_text(P256).decode()
    for load in (load_private, load_public, generate_key, lambda value: load_private(env=value)):
        with pytest.raises(TrustError, match="name of its file or environment variable") as error:
            load(text)
        assert not leaks(text, str(error.value))


def leaks(secret, text):
    lines = [line for line in secret.splitlines() if line and not line.startswith("-----")]
    return any(line[start : start + 16] in text for line in lines for start in range(max(1, len(line) - 15)))


def test_keys_are_named_as_model_signing_and_in_toto_name_them(keys):
    private, public = keys
    code = """
import sys, hashlib
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import SSlibKey
text = open(sys.argv[1], 'rb').read()
print(hashlib.sha256(text).hexdigest(), SSlibKey.from_crypto(load_pem_public_key(text)).keyid)
"""

    said = verifiers.script(code, public, check=True).stdout.split()

    assert said == [key_id(private.public_key()), envelope_key_id(private.public_key())]


def test_a_report_names_the_signatures_and_not_the_rest():
    told = signature_of(
        P256.public_key(), ["record.json", "model.sig", "signing.pub", "provenance.dsse.json"]
    )

    assert told.files == ["model.sig", "provenance.dsse.json"]
    assert told.key_id == hashlib.sha256(public_text(P256)).hexdigest()


# Signatures of models


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


SAVED_MODEL = {
    "saved_model.pb": b"graph",
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": b"weights",
    "assets/a list of words.txt": b"words",
    "assets/Größe 語.txt": b"size",
    "assets-2": b"sorts before assets/ letter by letter, and after it name by name",
    "fingerprint.pb": b"",
    ".gitignore": b"*.tmp",
}


def model_signing_verify(folder, signature, public):
    return verifiers.run(
        ["model_signing", "verify", "key", folder, "--signature", signature, "--public_key", public]
    )


def test_model_signing_accepts_the_signature_and_refuses_a_changed_byte_and_one_more_file(tmp_path, keys):
    key, public = keys
    model, signature = write(tmp_path / "model", SAVED_MODEL), tmp_path / "model.sig"
    (model / "an empty folder").mkdir()
    signature.write_bytes(model_signature(digest_folder(model), key))

    assert model_signing_verify(model, signature, public).returncode == 0

    (model / "saved_model.pb").write_bytes(b"grapf")
    changed = model_signing_verify(model, signature, public)
    assert changed.returncode == 1
    assert "Hash mismatch" in changed.stderr
    assert "saved_model.pb" in changed.stderr

    write(model, {**SAVED_MODEL, "variables/more": b""})
    added = model_signing_verify(model, signature, public)
    assert added.returncode == 1
    assert "variables/more" in added.stderr


def test_model_signing_passes_over_what_a_pushed_copy_carries_and_nothing_else(tmp_path, keys):
    key, public = keys
    model = write(tmp_path / "serving/3", SAVED_MODEL)
    carried = model / "assets.extra/provenance"
    signature = model_signature(digest_folder(model), key, ignore_paths=["assets.extra/provenance"])
    write(carried, {"record.json": b"{}", "model.sig": signature, "signing.pub": public.read_bytes()})

    assert model_signing_verify(model, carried / "model.sig", public).returncode == 0

    write(model, {"assets.extra/warmup": b""})
    assert "assets.extra/warmup" in model_signing_verify(model, carried / "model.sig", public).stderr


def test_model_signing_reads_signatures_of_folders_of_any_shape(tmp_path, keys):
    key, public = keys
    shapes = [
        {},
        {"a": b""},
        {"a/b": b"1", "a.b": b"2", "a-b": b"3", "a b": b"4", "A": b"5", "é": b"6", "a/é/語": b"7"},
        {f"shard-{number:03}": bytes([number]) for number in range(120)},
        {
            "deep/" * 20 + "file": b"x",
            ".git/config": b"",
            ".gitattributes": b"",
            ".github/a": b"",
            "x/.git": b"",
        },
        {"same": b"bytes", "same too": b"bytes"},
    ]
    for number, shape in enumerate(shapes):
        folder = write(tmp_path / f"m{number}", shape)
        folder.mkdir(exist_ok=True)
        Path(f"{folder}.sig").write_bytes(model_signature(digest_folder(folder), key))
    code = """
import pathlib, sys, model_signing
from model_signing import hashing
public, *folders = sys.argv[1:]
for folder in map(pathlib.Path, folders):
    model_signing.verifying.Config().use_elliptic_key_verifier(public_key=public).set_hashing_config(
        hashing.Config()).verify(folder, pathlib.Path(f"{folder}.sig"))
    print(folder.name)
"""

    said = verifiers.script(code, public, *sorted(tmp_path.glob("m?")), check=True)

    assert said.stdout.split() == [f"m{number}" for number in range(len(shapes))]


def test_the_root_is_that_of_model_signing(tmp_path, keys):
    key, _ = keys
    model = write(tmp_path / "model", SAVED_MODEL)
    (tmp_path / "key.pem").write_bytes(private_text(key))
    verifiers.run(
        [
            *("model_signing", "sign", "key", model, "--private_key", tmp_path / "key.pem"),
            *("--signature", tmp_path / "theirs.sig"),
        ],
        check=True,
    )
    theirs = json.loads((tmp_path / "theirs.sig").read_text())["dsseEnvelope"]["payload"]
    files = digest_folder(model)

    ours = json.loads(model_signature(files, key, name="model"))["dsseEnvelope"]["payload"]

    theirs, ours = json.loads(base64.b64decode(theirs)), json.loads(base64.b64decode(ours))
    for statement in (theirs, ours):
        statement["predicate"]["serialization"]["ignore_paths"].sort()
    assert ours == theirs
    assert model_root(files) == theirs["subject"][0]["digest"]["sha256"]
    signed = open_model_signature((tmp_path / "theirs.sig").read_bytes(), key.public_key())
    assert signed.digests == {file.path: file.sha256 for file in files if file.path != ".gitignore"}


def entry(path, content=b""):
    return FileEntry(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())


@given(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.binary(), max_size=5)
)
def test_a_signature_tells_what_was_signed(contents):
    files = [entry(name, content) for name, content in contents.items()]

    signed = open_model_signature(model_signature(files, P256, name="m"), P256.public_key())

    passed_over = (".git", ".gitattributes", ".github", ".gitignore")
    assert signed.name == "m"
    assert signed.digests == {
        file.path: file.sha256 for file in files if file.path.split("/")[0] not in passed_over
    }


def test_the_order_of_the_files_does_not_count():
    files = [entry(name, name.encode()) for name in ("b", "a/b", "a-b", "a")]

    assert model_root(files) == model_root(reversed(files))


# Envelopes


def test_securesystemslib_verifies_the_envelope_and_refuses_another_payload(tmp_path, keys):
    key, public = keys
    (tmp_path / "good").write_bytes(envelope(b'{"a":1}', PAYLOAD_TYPE, key))
    written = json.loads((tmp_path / "good").read_bytes())
    written["payload"] = base64.b64encode(b'{"a":2}').decode()
    (tmp_path / "bad").write_text(json.dumps(written))
    code = """
import json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
key = SSlibKey.from_crypto(load_pem_public_key(open(sys.argv[1], 'rb').read()))
for path in sys.argv[2:]:
    try:
        print(len(Envelope.from_dict(json.load(open(path))).verify([key], 1)))
    except VerificationError:
        print("refused")
"""

    said = verifiers.script(code, public, tmp_path / "good", tmp_path / "bad", check=True)

    assert said.stdout.split() == ["1", "refused"]


@given(st.binary())
def test_an_envelope_gives_back_what_was_put_in(payload):
    assert open_envelope(envelope(payload, PAYLOAD_TYPE, P256), P256.public_key()) == payload


ENVELOPE = envelope(b'{"_type":"https://in-toto.io/Statement/v1"}', PAYLOAD_TYPE, P256)
BUNDLE = model_signature([entry("a", b"a"), entry("b", b"b")], P256)


@given(st.integers(0, len(ENVELOPE) - 1), st.integers(1, 255))
def test_an_envelope_with_any_byte_changed_is_refused(place, flip):
    changed = bytearray(ENVELOPE)
    changed[place] ^= flip

    with pytest.raises(SignatureError):
        open_envelope(bytes(changed), P256.public_key())


@given(st.integers(0, len(BUNDLE) - 1), st.integers(1, 255))
def test_a_model_signature_with_any_byte_changed_never_tells_of_other_files(place, flip):
    changed = bytearray(BUNDLE)
    changed[place] ^= flip
    try:
        signed = open_model_signature(bytes(changed), P256.public_key())
    except SignatureError:
        return
    assert signed == open_model_signature(BUNDLE, P256.public_key())


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_cut_envelope_is_refused(cut):
    with pytest.raises(SignatureError):
        open_envelope(ENVELOPE[:cut], P256.public_key())


@pytest.mark.parametrize(
    "content",
    [b"[]", b"{}", b"null", b'{"signatures":[]}', b'{"signatures":[1],"payload":2}', b"\xff", b"[" * 5000],
)
def test_what_is_no_signature_is_refused(content):
    for opening in (open_envelope, open_model_signature):
        with pytest.raises(SignatureError):
            opening(content, P256.public_key())


def test_a_signature_by_another_key_names_both():
    other = ec.generate_private_key(ec.SECP256R1())

    with pytest.raises(OtherKeyError) as error:
        open_model_signature(model_signature([], other), P256.public_key())
    assert key_id(other.public_key()) in str(error.value)
    assert key_id(P256.public_key()) in str(error.value)

    with pytest.raises(OtherKeyError) as error:
        open_envelope(envelope(b"", PAYLOAD_TYPE, other), P256.public_key())
    assert error.value.signer == envelope_key_id(other.public_key())


def test_a_signature_that_claims_the_right_key_and_is_by_another_is_refused():
    other = ec.generate_private_key(ec.SECP256R1())
    for content, opening in (
        (model_signature([], other), open_model_signature),
        (envelope(b"", PAYLOAD_TYPE, other), open_envelope),
    ):
        forged = content.replace(key_id(other.public_key()).encode(), key_id(P256.public_key()).encode())
        forged = forged.replace(
            envelope_key_id(other.public_key()).encode(), envelope_key_id(P256.public_key()).encode()
        )
        with pytest.raises(SignatureError, match="signed something else"):
            opening(forged, P256.public_key())


def test_another_kind_of_payload_is_refused():
    with pytest.raises(SignatureError, match="application/vnd.in-toto"):
        open_envelope(envelope(b"", "text/plain", P256), P256.public_key())
    statement = model_signature([], P256)
    payload = base64.b64decode(json.loads(statement)["dsseEnvelope"]["payload"])
    other = json.loads(statement) | {
        "dsseEnvelope": json.loads(envelope(payload.replace(b"/v1.0", b"/v9.9"), PAYLOAD_TYPE, P256))
    }
    with pytest.raises(SignatureError, match="something other than a model"):
        open_model_signature(json.dumps(other).encode(), P256.public_key())


def test_no_signature_holds_the_private_key():
    secret = private_text(P256).decode()
    number = P256.private_numbers().private_value
    for content in (ENVELOPE, BUNDLE, public_pem(P256.public_key())):
        assert not leaks(secret, content.decode())
        for raw in (number.to_bytes(32, "big"), number.to_bytes(32, "little")):
            assert raw not in content
            assert raw.hex() not in content.decode()
