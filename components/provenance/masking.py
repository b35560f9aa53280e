"""Masking of what must not be seen: passwords, keys and tokens among parameters, in places and in messages.

A metadata store holds whatever a pipeline was given, nested as it was given: JSON within JSON, lists of
flags, connection strings. What is masked is told by its name, or by its shape; rather too much than too
little.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfx_trust.components.provenance.record import Value

MASK = "***"
"""What stands in the place of a secret."""
LONGEST = 4096
"""Bytes of UTF-8 up to which a text is kept; of a longer one a digest is."""

# Words that say by themselves what a value is, in a name that is written in one.
_TELLING = [
    "password",
    "passwd",
    "passphrase",
    "credential",
    "apikey",
    "privatekey",
    "accesskey",
    "accountkey",
    "connectionstring",
    "connstr",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "bearertoken",
    "clientsecret",
    "secretkey",
    "secretaccess",
    "authorization",
]
_SECRET_WORDS = {"secret", "secrets", "pwd", "auth", "bearer", "cookie", "cookies", "dsn", "sas"}
_KEYS_OF = set(
    [
        "access",
        "account",
        "api",
        "app",
        "application",
        "auth",
        "client",
        "consumer",
        "deploy",
        "encryption",
        "hmac",
        "host",
        "license",
        "master",
        "private",
        "secret",
        "service",
        "shared",
        "signing",
        "ssh",
        "storage",
    ]
)
_TOKENS_OF = set(
    [
        "access",
        "api",
        "app",
        "auth",
        "bearer",
        "bot",
        "csrf",
        "deploy",
        "git",
        "github",
        "gitlab",
        "hf",
        "hub",
        "huggingface",
        "id",
        "identity",
        "jwt",
        "npm",
        "oauth",
        "personal",
        "pypi",
        "refresh",
        "sas",
        "security",
        "service",
        "session",
        "slack",
        "user",
        "webhook",
    ]
)
_PASSES_OF = set(
    [
        "admin",
        "db",
        "database",
        "ftp",
        "login",
        "mail",
        "my",
        "mysql",
        "postgres",
        "redis",
        "root",
        "smtp",
        "sql",
        "user",
    ]
)

_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
# The last @ before the path: a password may hold another. A port is no password.
_USER_IN_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:/{2})"
    r"(?:[^\s/?#\"'<>]*|[^\s/?#:@\"'<>]+:(?!\d+(?:[/?#]|\Z))[^\s\"'<>]*)@"
)
_KNOWN_SHAPES = re.compile(
    r"""(?<![A-Za-z0-9])(?:
        (?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}
      | AIza[0-9A-Za-z_-]{35}
      | ya29\.[0-9A-Za-z_.-]{20,}
      | gh[pousr]_[0-9A-Za-z]{30,}
      | github_pat_[0-9A-Za-z_]{30,}
      | glpat-[0-9A-Za-z_-]{20,}
      | xox[abeprs]-[0-9A-Za-z-]{10,}
      | hf_[0-9A-Za-z]{30,}
      | (?:sk|rk|pk)[-_](?:[a-z]+[-_])?[0-9A-Za-z_-]{20,}
      | npm_[0-9A-Za-z]{36}
      | pypi-[0-9A-Za-z_-]{50,}
      | eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*
    )""",
    re.VERBOSE,
)
_SCHEME_AND_TOKEN = re.compile(
    r"\b(?P<scheme>bearer|basic)(?P<gap>\s+)(?=[^\s\"',;]{8})[^\s\"',;]+", re.IGNORECASE
)
_NAME = r"[A-Za-z_][\w.\-]*"
_HELD = r"\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|\[[^\]]*\]?|[^\s,;&\"'<>{}()\[\]]+"
_NAMED = re.compile(
    rf"(?P<before>(?<![\w.\-])(?P<dashes>-{{0,2}})(?P<name>{_NAME})(?P<gap>\\?[\"']?\s*(?:=|:(?!//))\s*(?:\\(?=[\"']))?))"
    rf"(?P<held>{_HELD})"
)
_FLAG_AND_VALUE = re.compile(rf"(?P<before>(?<![\w\-])--?(?P<name>{_NAME})\s+)(?P<held>(?!-)(?:{_HELD}))")
_FLAG = re.compile(rf"--?(?P<name>{_NAME})\Z")


def masked(parameters: Mapping[str, Any]) -> dict[str, Value]:
    """Parameters as a record may hold them: no secrets, no floating-point numbers, nothing long.

    Numbers with a point become their text, bytes and messages a description or their text. JSON within a text
    stays as it was written, unless something in it is masked. A text of more than `LONGEST` bytes becomes its
    SHA-256 and its length, those of what is left once secrets are masked.

    Examples
    --------
    >>> masked({"num_steps": 100, "rate": 0.1, "api_key": "8f3a", "place": "mysql://root:hunter2@db/census"})
    {'api_key': '***', 'num_steps': 100, 'place': 'mysql://***@db/census', 'rate': '0.1'}
    """
    return {
        mask_text(str(name)): _shortened(_masked_value(str(name), parameters[name]))
        for name in sorted(parameters, key=str)
    }


def mask_text(text: str) -> str:
    """A text without passwords in URLs, private keys, tokens of known shapes, and ``password=…`` and the like.

    Examples
    --------
    >>> mask_text("--runner=x --db_password=hunter2 gs://bucket/path")
    '--runner=x --db_password=*** gs://bucket/path'
    """
    text = _PEM.sub(MASK, text)
    text = _USER_IN_URL.sub(rf"\g<scheme>{MASK}@", text)
    text = _KNOWN_SHAPES.sub(MASK, text)
    text = _SCHEME_AND_TOKEN.sub(rf"\g<scheme>\g<gap>{MASK}", text)
    text = _NAMED.sub(_without_value, text)
    return _FLAG_AND_VALUE.sub(_without_value, text)


def is_secret(name: str) -> bool:
    """Whether a parameter of this name holds a secret.

    Examples
    --------
    >>> is_secret("dbPassword"), is_secret("access_token"), is_secret("max_tokens"), is_secret("label_key")
    (True, True, False, False)
    """
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name.replace("'", ""))]
    squeezed = "".join(words)
    if any(telling in squeezed for telling in _TELLING) or _SECRET_WORDS.intersection(words):
        return True
    if squeezed in ("token", "key", "pass") and len(words) == 1:
        return squeezed != "key"
    pairs = list(zip(words, words[1:], strict=False))
    return any(
        (second in ("key", "keys") and first in _KEYS_OF)
        or (second in ("token", "tokens") and first in _TOKENS_OF)
        or (second == "pass" and first in _PASSES_OF)
        for first, second in pairs
    )


def _without_value(match: re.Match[str]) -> str:
    if not is_secret(match["name"]):
        # What follows the name may itself be a name with a value.
        held = match["held"]
        return match[0] if len(held) == len(match[0]) else match["before"] + _inner(held)
    held = match["held"]
    quote = held[0] if held[0] in "\"'" else ""
    closing = quote if len(held) > 1 and held.endswith(quote) else ""
    return f"{match['before']}{quote}{MASK}{closing}"


def _inner(held: str) -> str:
    """What stands in quotes or brackets is a text of its own."""
    if held[0] in "\"'[" and len(held) > 1:
        return held[0] + mask_text(held[1:])
    return _NAMED.sub(_without_value, held) if "=" in held or ":" in held else held


def _masked_value(name: str, value: Any) -> Value:
    if value is None or isinstance(value, bool):
        return value
    if is_secret(name):
        return MASK
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        content = bytes(value)
        return f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
    if isinstance(value, str):
        return _masked_text(value)
    if isinstance(value, (Mapping, Sequence)):
        return _dumped(_masked_json(_pairs(value)))
    return mask_text(str(value))


def _masked_text(text: str) -> str:
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return mask_text(text)
    try:
        found = json.loads(text, object_pairs_hook=_Pairs)
        inside = _masked_json(found)
        return text if inside == found else _dumped(inside)
    except ValueError:
        return mask_text(text)
    except RecursionError:
        return f"{len(text)} characters of JSON, nested too deeply to be searched for secrets"


class _Pairs(list[Any]):
    """A JSON object that keeps each of its members, also where two have one name."""


def _pairs(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _Pairs((str(key), _pairs(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return [_pairs(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


def _masked_json(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return _Pairs(
            (mask_text(name), MASK if is_secret(name) and _holds(item) else _masked_json(item))
            for name, item in value
        )
    if isinstance(value, list):
        return [
            MASK if place and _asks(value[place - 1]) and _holds(item) else _masked_json(item)
            for place, item in enumerate(value)
        ]
    return _masked_text(value) if isinstance(value, str) else value


def _asks(before: Any) -> bool:
    """Whether what comes after this one of a list of flags is a secret."""
    flag = _FLAG.match(before) if isinstance(before, str) else None
    return flag is not None and is_secret(flag["name"])


def _holds(value: Any) -> bool:
    return value is not None and not isinstance(value, bool) and value not in ("", [])


def _dumped(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {name: _plain(item) for name, item in value}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _shortened(value: Value) -> Value:
    if not isinstance(value, str):
        return value
    content = value.encode("utf-8", "surrogatepass")
    if len(content) <= LONGEST:
        return value
    return f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
