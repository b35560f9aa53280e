"""Signatures: ECDSA over P-256 with SHA-256.

Two forms are written, both for programs of others to check. A model's files are signed as OpenSSF model
signing 1.0 does, in a Sigstore bundle, so that ``model_signing verify key`` takes it as it is. Whatever else
is signed lies in an envelope of DSSE 1.0 (Dead Simple Signing Envelope), as in-toto has it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import exceptions
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.keys import (
    PrivateKey,
    PublicKey,
    envelope_key_id,
    generate_key,
    key_id,
    load_private,
    load_public,
    private_key_of,
    public_pem,
)
from tfx_trust.components.provenance.record import RECORD_FILE, FileEntry, canonical
from tfx_trust.components.provenance.report import Signature

__all__ = [
    "ALGORITHM",
    "PAYLOAD_TYPE",
    "PUBLIC_KEY_FILE",
    "STATEMENT_TYPE",
    "OtherKeyError",
    "PrivateKey",
    "PublicKey",
    "SignatureError",
    "SignedModel",
    "envelope",
    "envelope_key_id",
    "envelope_signer",
    "generate_key",
    "is_passed_over",
    "key_id",
    "load_private",
    "load_public",
    "model_root",
    "model_signature",
    "open_envelope",
    "open_model_signature",
    "private_key_of",
    "public_pem",
    "signature_of",
]

ALGORITHM = "ECDSA P-256, SHA-256"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
"""Of the envelopes: what is in them is an in-toto Statement."""
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PUBLIC_KEY_FILE = "signing.pub"
"""Public key beside the signatures, for whoever has none from a safer place."""

_MODEL_SIGNATURE = "https://model_signing/signature/v1.0"
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
# What model_signing leaves out of a model's folder unless it is told otherwise.
_GIT_PATHS = (".git", ".gitattributes", ".github", ".gitignore")


class SignatureError(InputError):
    """A signature that does not hold."""


class OtherKeyError(SignatureError):
    """A signature that says to be by another key; `signer` is what it calls that key by."""

    def __init__(self, signer: str, wanted: str) -> None:
        self.signer = signer[:64]
        super().__init__(f"it is signed by another key: by {self.signer}, and not by {wanted}")


def signature_of(public: PublicKey, files: Iterable[str]) -> Signature:
    """How a report tells what was signed: of the `files` that were written it names the signatures."""
    signatures = [name for name in files if name not in (RECORD_FILE, PUBLIC_KEY_FILE)]
    return Signature(key_id=key_id(public), algorithm=ALGORITHM, files=signatures)


# Signatures of models


@dataclass(frozen=True)
class SignedModel:
    """What a model's signature speaks of."""

    name: str
    digests: dict[str, str]
    """sha256 by path."""
    ignored: list[str]
    """Paths that it says nothing about."""


def model_root(files: Iterable[FileEntry]) -> str:
    """The one digest of a model by OpenSSF model signing: sha256 over the files' digests, by path.

    It binds no names: the signature does.
    """
    digests = (bytes.fromhex(file.sha256) for file in _signed(files))
    return hashlib.sha256(b"".join(digests)).hexdigest()


def model_signature(
    files: Sequence[FileEntry],
    key: PrivateKey,
    *,
    ignore_paths: Collection[str] = (),
    name: str = "model",
) -> bytes:
    """Signs a model's files; ``model_signing verify key`` accepts it.

    Parameters
    ----------
    files
        Of the model; paths relative to the folder that will be verified.
    key
        To sign with.
    ignore_paths
        Files and folders there that the verifier is to pass over. Git's own are passed over too, since
        model_signing does.
    name
        Of the model; informative.
    """
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": model_root(files)}}],
        "predicateType": _MODEL_SIGNATURE,
        "predicate": {
            "resources": [
                {"name": file.path, "algorithm": "sha256", "digest": file.sha256} for file in _signed(files)
            ],
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": sorted({*ignore_paths, *_GIT_PATHS}),
            },
        },
    }
    payload = canonical(statement)
    bundle = {
        "mediaType": _BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": key_id(key.public_key())}, "tlogEntries": []},
        "dsseEnvelope": _envelope(payload, PAYLOAD_TYPE, key, ""),
    }
    return canonical(bundle) + b"\n"


def open_model_signature(content: bytes, public: PublicKey) -> SignedModel:
    """What a model's signature speaks of, if it is one by this key.

    Raises
    ------
    SignatureError
        If it is not.
    """
    bundle = _parsed(content)
    hint = _at(bundle, "verificationMaterial", "publicKey", "hint")
    if hint and hint != key_id(public):
        raise OtherKeyError(str(hint), key_id(public))
    payload = _verified(_at(bundle, "dsseEnvelope"), public)
    statement = _parsed(payload)
    if _at(statement, "predicateType") != _MODEL_SIGNATURE:
        raise SignatureError("it signs something other than a model")
    try:
        resources = statement["predicate"]["resources"]
        return SignedModel(
            name=str(statement["subject"][0]["name"]),
            digests={str(item["name"]): str(item["digest"]) for item in resources},
            ignored=[str(path) for path in statement["predicate"]["serialization"].get("ignore_paths", ())],
        )
    except (KeyError, IndexError, TypeError, AttributeError):
        raise SignatureError("it is signed, and is no statement of OpenSSF model signing 1.0") from None


def is_passed_over(path: str, ignored: Iterable[str]) -> bool:
    """Whether a path is one of those that a signature says nothing about, or lies below one.

    Examples
    --------
    >>> is_passed_over(".git/config", [".git"]), is_passed_over(".gitmodules", [".git"])
    (True, False)
    """
    return any(path == other or path.startswith(f"{other}/") for other in ignored)


def _signed(files: Iterable[FileEntry]) -> list[FileEntry]:
    """The files that are signed, in model_signing's order: name by name, not letter by letter."""
    kept = (file for file in files if not is_passed_over(file.path, _GIT_PATHS))
    return sorted(kept, key=lambda file: file.path.split("/"))


# Envelopes


def envelope(payload: bytes, payload_type: str, key: PrivateKey) -> bytes:
    """Signs a payload: the text of a DSSE envelope, as canonical JSON."""
    return canonical(_envelope(payload, payload_type, key, envelope_key_id(key.public_key()))) + b"\n"


def open_envelope(content: bytes, public: PublicKey) -> bytes:
    """The payload of an envelope, if it is signed by this key and written as :func:`envelope` writes.

    Raises
    ------
    SignatureError
        If it is not.
    """
    written = _parsed(content)
    signed_by = envelope_signer(content)
    if signed_by and signed_by != envelope_key_id(public):
        raise OtherKeyError(signed_by, envelope_key_id(public))
    payload = _verified(written, public)
    as_written = _form(payload, PAYLOAD_TYPE, envelope_key_id(public), _at(written["signatures"][0], "sig"))
    if canonical(as_written) + b"\n" != content:
        raise SignatureError("its bytes are not those that were written, although the signature holds")
    return payload


def envelope_signer(content: bytes) -> str | None:
    """Which key an envelope says to be signed by, as :func:`envelope_key_id`; not checked."""
    signatures = _at(_parsed(content), "signatures")
    signer = _at(signatures[0], "keyid") if isinstance(signatures, list) and signatures else None
    return str(signer) if signer else None


def _envelope(payload: bytes, payload_type: str, key: PrivateKey, keyid: str) -> dict[str, Any]:
    signature = key.sign(_encoded(payload, payload_type), ec.ECDSA(hashes.SHA256()))
    return _form(payload, payload_type, keyid, base64.b64encode(signature).decode())


def _form(payload: bytes, payload_type: str, keyid: str, signature: str) -> dict[str, Any]:
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": keyid, "sig": signature}],
    }


def _encoded(payload: bytes, payload_type: str) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _verified(written: Any, public: PublicKey) -> bytes:
    signatures = _at(written, "signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise SignatureError("it should hold one signature, and does not")
    payload = _decoded(_at(written, "payload"))
    signature = _decoded(_at(signatures[0], "sig"))
    kind = _at(written, "payloadType")
    if kind != PAYLOAD_TYPE:
        raise SignatureError(f"its payload should be {PAYLOAD_TYPE}, and is {str(kind)[:60]!r}")
    try:
        public.verify(signature, _encoded(payload, kind), ec.ECDSA(hashes.SHA256()))
    except exceptions.InvalidSignature:
        raise SignatureError(
            f"what it signs was changed afterwards, or the signature was: key {key_id(public)} signed "
            "something else"
        ) from None
    return payload


def _decoded(text: Any) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise SignatureError("its text is damaged: no Base64") from None
    if base64.b64encode(content).decode() != text:
        raise SignatureError("its text is damaged: other Base64 than was written")
    return content


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise SignatureError("it is no signature: not a JSON object")
    return parsed


def _at(found: Any, *names: str) -> Any:
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found
