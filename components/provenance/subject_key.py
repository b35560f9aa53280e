"""The secret key of an index of data subjects, and what it makes of an identifier."""

from __future__ import annotations

import hmac
import os
import re
import unicodedata
from collections.abc import Iterable
from typing import NoReturn

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.provenance.config import SubjectIndex

DIGEST_BYTES = 16
"""Of a digest: that two of a thousand million subjects have the same is less likely than 2 to the -69."""
LEAST_BYTES = 32
"""Of a key: as many as HMAC-SHA-256 has bits of strength for (RFC 2104, section 3)."""

_MOST_BYTES = 4096
_VERSION = b"tfx-trust subject 1\0"
_NEEDED = (
    f"needed are {LEAST_BYTES} random bytes at least, as they are or in hex: "
    "`openssl rand -hex 32` makes them"
)


class SubjectKey:
    """The secret that an index is made with; it is shown nowhere."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, env: str | None = None) -> SubjectKey:
        """A key from a file, or from the environment variable of a name; as it is, or in hex.

        White space around a key of printable characters is no part of it.

        Raises
        ------
        UsageError
            If not just one of the two is given.
        InputError
            If there is none, it is too short, or it is the same byte all over. The key is not shown.
        """
        if (path is None) == (env is None):
            raise UsageError("the key of subjects: give its file, or the name of its environment variable")
        if path is not None:
            return cls(_checked(_read(os.fspath(path)), os.fspath(path)))
        place = f"environment variable {env}"
        content = os.environ.get(env or "")
        if content is None:
            raise InputError(f"{place}: not set, and the key of subjects is to be in it; {_NEEDED}")
        return cls(_checked(os.fsencode(content), place))

    @classmethod
    def of(cls, settings: SubjectIndex) -> SubjectKey:
        """The key that settings name.

        Raises
        ------
        InputError
            As for :meth:`load`.
        """
        return cls.load(settings.key_file, settings.key_env)

    def digest(self, feature: str, identifiers: Iterable[bytes]) -> bytes:
        """The digests of identifiers, one after the other: HMAC-SHA-256 (RFC 2104), cut to 16 bytes.

        Identifiers are normalised already. The same one has another digest in another feature.
        """
        secret, before = self._secret, _VERSION + feature.encode() + b"\0"
        make = hmac.digest
        return b"".join([make(secret, before + item, "sha256")[:DIGEST_BYTES] for item in identifiers])

    def check(self) -> str:
        """A value by which the key is known again, and by which it cannot be found."""
        return hmac.digest(self._secret, b"tfx-trust key check 1", "sha256")[:DIGEST_BYTES].hex()

    def __repr__(self) -> str:
        return "SubjectKey(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not written anywhere")


def normalised(identifier: str | int | bytes) -> bytes:
    r"""An identifier as it is digested: text in UTF-8 and Unicode's form NFC, a whole number in decimals.

    So the text ``42`` and the number are one subject. Nothing else is made alike: neither capitals nor
    spaces. Bytes that are no UTF-8 stay as they are.

    Examples
    --------
    >>> normalised("Zoe\u0308") == normalised("Zo\u00eb".encode())
    True
    """
    if isinstance(identifier, bytes):
        if identifier.isascii():
            return identifier
        try:
            text = identifier.decode()
        except UnicodeDecodeError:
            return identifier
    else:
        text = str(identifier)
    return unicodedata.normalize("NFC", text).encode("utf-8", "surrogateescape")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: the key of subjects cannot be read ({error.strerror})") from None
    if len(content) > _MOST_BYTES:
        raise InputError(f"{path}: over {_MOST_BYTES:,} bytes, which is no key of subjects; {_NEEDED}")
    return content


def _checked(content: bytes, place: str) -> bytes:
    text = content.strip()
    if b"-----BEGIN" in text:
        raise InputError(f"{place}: a key for signatures, not one of subjects; {_NEEDED}")
    if text.isascii() and text.decode().isprintable():
        content = text
    if re.fullmatch(rb"([0-9A-Fa-f]{2})+", content):
        content = bytes.fromhex(content.decode())
    if len(content) < LEAST_BYTES:
        raise InputError(f"{place}: the key of subjects has {len(content)} bytes; {_NEEDED}")
    if len(set(content)) == 1:
        raise InputError(f"{place}: the key of subjects is one byte over and over; {_NEEDED}")
    return content
