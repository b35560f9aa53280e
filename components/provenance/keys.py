"""Keys: ECDSA over P-256, in PEM. No error tells anything of a key but its kind."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path
from typing import Any, NoReturn

from cryptography import exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.provenance.config import ProvenanceSettings

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey

_LABEL = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")
_NEEDED = "needed is an ECDSA key on the curve P-256, as `tfx-trust provenance keygen` makes"


def generate_key(path: str | os.PathLike[str]) -> Path:
    """Makes a new pair of keys and returns the path of the public one.

    The private key, PKCS#8 without a password, goes to `path`, which only its owner may read. The public key
    goes beside it: ``key.pub`` for ``key.pem``.

    Raises
    ------
    InputError
        If one of the two files is there already, or cannot be written.
    """
    path = _no_key(path)
    public = path.with_suffix(".pub") if path.suffix in (".pem", ".key") else Path(f"{path}.pub")
    for place in (path, public):
        if os.path.lexists(place):
            raise InputError(
                f"{place}: there is a file already, and no key is overwritten; choose another name"
            )
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write_new(path, text, 0o600)
    try:
        _write_new(public, public_pem(key.public_key()), 0o644)
    except InputError:
        path.unlink()
        raise
    return public


def load_private(path: str | os.PathLike[str] | None = None, env: str | None = None) -> PrivateKey:
    """A private key from a file, or from the environment variable of a name.

    No error tells anything of the key but its kind.

    Raises
    ------
    UsageError
        If not just one of the two is given.
    InputError
        If there is none, it is encrypted, a public one, or of another kind.
    """
    if (path is None) == (env is None):
        raise UsageError(
            "a private key: give its file, or the name of its environment variable, one of the two"
        )
    if path is not None:
        place = str(_no_key(path))
        content = _read(place, "private key")
    else:
        place, content = _from_environment(str(_no_key(env or "")))
    text = content.decode("latin-1")
    labels = _labels(text, place, "PRIVATE KEY")
    if "ENCRYPTED PRIVATE KEY" in labels or "Proc-Type: 4,ENCRYPTED" in text:
        raise InputError(
            f"{place}: the private key is encrypted, and no password is asked for; decrypt it by `openssl "
            "pkcs8 -topk8 -nocrypt`, and keep it where nobody else can read it"
        )
    if "OPENSSH PRIVATE KEY" in labels:
        raise InputError(f"{place}: a key in OpenSSH's own form; convert it by `ssh-keygen -p -m PKCS8`")
    if not any(label.endswith("PRIVATE KEY") for label in labels):
        raise InputError(
            f"{place}: {_article(labels[-1].lower())}, where the private key is needed; give that of the two"
        )
    try:
        key: Any = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm):
        raise InputError(f"{place}: the private key is damaged, or of no known kind; {_NEEDED}") from None
    if not isinstance(key, PrivateKey) or key.curve.name != "secp256r1":
        raise InputError(f"{place}: {_kind(key)}; {_NEEDED}")
    return key


def load_public(source: str | os.PathLike[str] | bytes) -> PublicKey:
    """A public key from a file, or from its PEM text as bytes.

    Raises
    ------
    InputError
        If there is none, it is a private one, or of another kind.
    """
    if isinstance(source, bytes):
        place, content = "public key", source
    else:
        place = str(_no_key(source))
        content = _read(place, "public key")
    labels = _labels(content.decode("latin-1"), place, "PUBLIC KEY")
    if any(label.endswith("PRIVATE KEY") for label in labels):
        raise InputError(
            f"{place}: a private key, where the public one is needed; give the file ending in .pub, and the "
            "private key to nobody"
        )
    if "PUBLIC KEY" not in labels:
        raise InputError(f"{place}: {_article(labels[0].lower())}; {_NEEDED}")
    try:
        key: Any = serialization.load_pem_public_key(content)
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm):
        raise InputError(f"{place}: the public key is damaged, or of no known kind; {_NEEDED}") from None
    if not isinstance(key, PublicKey) or key.curve.name != "secp256r1":
        raise InputError(f"{place}: a public key of another kind, {_kind(key)}; {_NEEDED}")
    return key


def private_key_of(settings: ProvenanceSettings) -> PrivateKey | None:
    """The key that settings name; none where they name none. Errors as :func:`load_private`."""
    if settings.signing_key is None and settings.signing_key_env is None:
        return None
    return load_private(settings.signing_key, settings.signing_key_env)


def public_pem(public: PublicKey) -> bytes:
    """The PEM text of a public key."""
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(public: PublicKey) -> str:
    """sha256 of the key's PEM text, in hex: what model_signing calls it by, and what we do."""
    return hashlib.sha256(public_pem(public)).hexdigest()


def envelope_key_id(public: PublicKey) -> str:
    """What in-toto and securesystemslib call the same key by: envelopes name it so.

    sha256 of the canonical JSON of TUF's key object, in hex.
    """
    pem = public_pem(public).decode()
    text = f'{{"keytype":"ecdsa","keyval":{{"public":"{pem}"}},"scheme":"ecdsa-sha2-nistp256"}}'
    return hashlib.sha256(text.encode()).hexdigest()


# Files of keys


def _no_key(place: str | os.PathLike[str]) -> Path:
    """Refuses a key where its name is wanted, and does not repeat it."""
    if "-----BEGIN" in os.fspath(place) or "\n" in os.fspath(place):
        raise UsageError("a key was given where the name of its file or environment variable is wanted")
    return Path(place)


def _read(place: str, what: str) -> bytes:
    try:
        return Path(place).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{place}: no such file; give that of the {what}") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(f"{place}: the {what} cannot be read ({why})") from None


def _from_environment(name: str) -> tuple[str, bytes]:
    text = os.environ.get(name, "")
    if not text.strip():
        raise InputError(
            f"environment variable {name} is not set; put the PEM text of the private key into it"
        )
    if "\n" not in text.strip():
        text = text.replace("\\n", "\n")
    return f"environment variable {name}", text.encode("latin-1", errors="replace")


def _labels(text: str, place: str, wanted: str) -> list[str]:
    labels = _LABEL.findall(text)
    if not labels:
        raise InputError(
            f"{place}: no PEM text, which begins with -----BEGIN {wanted}-----; {_NEEDED}, or convert it by "
            "openssl"
        )
    return labels


def _article(what: str) -> str:
    return f"{'an' if what[0] in 'aeiouAEX' else 'a'} {what}"


def _kind(key: Any) -> str:
    if isinstance(key, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)):
        return f"an ECDSA key on the curve {key.curve.name}"
    if isinstance(key, (rsa.RSAPrivateKey, rsa.RSAPublicKey)):
        return f"an RSA key of {key.key_size} bits"
    if isinstance(key, (dsa.DSAPrivateKey, dsa.DSAPublicKey)):
        return f"a DSA key of {key.key_size} bits"
    name = re.sub(r"(Private|Public)Key$", "", type(key).__name__)
    return f"{_article(name)} key"


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        _unwritable(path, error)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        _unwritable(path, error)


def _unwritable(path: Path, error: OSError) -> NoReturn:
    raise InputError(
        f"{path}: the key cannot be written there ({error.strerror}); choose another place"
    ) from None
