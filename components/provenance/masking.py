"""Masking of what must not be seen: passwords, keys and tokens among parameters, in places and in messages.

A metadata store holds whatever a pipeline was given, nested as it was given: JSON within JSON, lists of
flags, connection strings. What is masked is told by its name, or by its shape: rather too much than too
little.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfx_trust.components.provenance.record import Value

MASK = "***"
"""What stands in the place of a secret."""
LONGEST = 4096
"""Bytes of UTF-8 up to which a text is kept; of a longer one its digest is."""

# In names whose words are written in one.
_TELLING = re.compile(
    "password|passwd|passphrase|credential|apikey|privatekey|accesskey|accountkey|connectionstring|connstr"
    "|authtoken|accesstoken|refreshtoken|bearertoken|clientsecret|secretkey|secretaccess|authorization"
)
# In names whose words are parted by underscores.
_NAMES = re.compile(
    r"""(?:^|_)(?:
        secrets? | pwd | auth | bearer | cookies? | dsn | sas
      | (?:access|account|api|app|application|auth|client|consumer|deploy|encryption|hmac|host|license|master
          |private|secret|service|shared|signing|ssh|storage)_keys?
      | (?:access|api|app|auth|bearer|bot|csrf|deploy|git|github|gitlab|hf|hub|huggingface|id|identity|jwt|npm
          |oauth|personal|private|pypi|refresh|sas|security|service|session|slack|user|webhook)_tokens?
      | (?:admin|db|database|ftp|login|mail|mysql|postgres|redis|root|smtp|sql|user)_pass
    )(?:_|$) | ^(?:token|pass)$""",
    re.VERBOSE,
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
# To the last @ before the path, since a password may hold another; a port is no password. Lengths are bounded
# so that no text takes long.
_IN_URL = re.compile(
    r"(?P<before>:(?:\\?/){2})"
    r"(?:[^\s/?#\"'<>]*|[^\s/?#:@\"'<>]+:(?!\d+(?:[/?#]|\Z))[^\s\"'<>]{0,500})@"
)
# Without a scheme, as drivers of databases take it; an image's digest also comes after an @.
_BEFORE_HOST = re.compile(r"(?<![\w/.@-])[\w.+-]{1,100}:[^\s/@\"',;]{1,500}@(?!sha\d+:)(?=[A-Za-z0-9\[(])")
_SHAPES = re.compile(
    r"""(?<![A-Za-z0-9])(?:
        (?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}
      | AIza[0-9A-Za-z_-]{35}
      | ya29\.[0-9A-Za-z_.-]{20,}
      | GOCSPX-[0-9A-Za-z_-]{20,}
      | gh[pousr]_[0-9A-Za-z]{30,}
      | github_pat_[0-9A-Za-z_]{30,}
      | glpat-[0-9A-Za-z_-]{20,}
      | xox[abeprs]-[0-9A-Za-z-]{10,}
      | hf_[0-9A-Za-z]{30,}
      | (?:sk|rk)[-_](?:[a-z]+[-_])?[0-9A-Za-z_-]{20,}
      | npm_[0-9A-Za-z]{36}
      | pypi-[0-9A-Za-z_-]{50,}
      | (?<=hooks\.slack\.com/services/)[0-9A-Za-z_/-]{10,}
      | LS0tLS1CRUdJTi[0-9A-Za-z+/=_-]{10,}  # A key's "-----BEGIN ", in Base64.
      | eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*
    )""",
    re.VERBOSE,
)
_BEARER = re.compile(r"(?P<before>\b(?:bearer|basic)\s+)[^\s\"',;]{8,}", re.IGNORECASE)
# Who has an address that is signed needs no password.
_SIGNED_URL = re.compile(
    r"(?P<before>[?&](?:sig|(?:x-(?:amz|goog)-)?signature)=)[^\s&#\"'<>]+", re.IGNORECASE
)

_NAME = r"[A-Za-z_][\w.-]*"
_NAMED = re.compile(rf"(?<![\w.-])(?P<dashes>-*)(?P<name>{_NAME})\\*[\"']?\s*(?:=>|:=|=|:(?!//))\s*")
# As arguments are typed, or as a list of them is printed.
_FLAG = re.compile(rf"(?<![\w-])--?(?P<name>{_NAME})(?:\s+|\\*[\"']\s*,\s*)(?!-)")
# As variables of a container are listed: {"name": "API_TOKEN", "value": …}.
_VARIABLE = re.compile(
    rf"\b(?:name|key)\\*[\"']?\s*[:=]\s*\\*[\"']?(?P<name>{_NAME})\\*[\"']?[\s,]+\\*[\"']?value\\*[\"']?\s*[:=]\s*"
)
_TAG = re.compile(rf"<(?P<name>{_NAME})[^<>]*>(?=[^<]*</)")
_ONLY_FLAG = re.compile(rf"--?(?P<name>{_NAME})\Z")
_QUOTED = re.compile(
    r"\"(?:[^\"\\]|\\.|\"\")*\"?|'(?:[^'\\]|\\.|'')*'?|(\\+[\"']).*?(?:\1|\Z)|\[[^\]]*\]?", re.DOTALL
)
_MASKED = re.compile(rf"{re.escape(MASK)}(?!\w)")
_TO_END = {
    "line": re.compile(r"[^\r\n\"']+"),
    "word": re.compile(r"[^\s\"']+"),
    "tag": re.compile(r"[^<]+"),
    # A comma parts two parameters, but for one within a password.
    "part": re.compile(r"(?:[^\s,;&\"']|,(?!\s|[\w.-]+\s*[=:]|\Z))+"),
}


def masked(parameters: Mapping[str, Any]) -> dict[str, Value]:
    """Parameters as a record may hold them: no secrets, no floating-point numbers, nothing long.

    Numbers with a point become their text; bytes their digest; other objects their text. JSON within a text
    stays as it was written, unless something in it is masked. A text of more than `LONGEST` bytes becomes its
    length and its SHA-256, those of what is left once secrets are masked.

    Examples
    --------
    >>> masked({"num_steps": 100, "rate": 0.1, "api_key": "8f3a", "place": "mysql://root:hunter2@db/census"})
    {'api_key': '***', 'num_steps': 100, 'place': 'mysql://***@db/census', 'rate': '0.1'}
    """
    return {
        mask_text(str(name)): _shortened(_masked(str(name), parameters[name]))
        for name in sorted(parameters, key=str)
    }


def mask_text(text: str) -> str:
    """A text without passwords in URLs, private keys, tokens of known shapes, ``password=…`` and the like.

    Examples
    --------
    >>> mask_text("--runner=x --db_password=hunter2 gs://bucket/path")
    '--runner=x --db_password=*** gs://bucket/path'
    """
    text = _PEM.sub(MASK, text)
    text = _IN_URL.sub(rf"\g<before>{MASK}@", text)
    text = _BEFORE_HOST.sub(f"{MASK}@", text)
    text = _SHAPES.sub(MASK, text)
    text = _BEARER.sub(rf"\g<before>{MASK}", text)
    text = _SIGNED_URL.sub(rf"\g<before>{MASK}", text)
    for pattern in (_NAMED, _FLAG, _VARIABLE, _TAG):
        text = "".join(_without_values(text, pattern))
    return text


def is_secret(name: str) -> bool:
    """Whether a parameter of this name holds a secret.

    Examples
    --------
    >>> is_secret("dbPassword"), is_secret("access_token"), is_secret("max_tokens"), is_secret("label_key")
    (True, True, False, False)
    """
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(_TELLING.search("".join(words)) or _NAMES.search("_".join(words)))


# Text


def _without_values(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """The pieces of a text, with a mask for what comes after a name that says that it is secret."""
    done = 0
    while named := pattern.search(text, done):
        yield text[done : named.end()]
        done = named.end()
        if is_secret(named["name"]) and (held := _held(text, named, pattern)):
            quote = held[0] if held[0] in "\"'" else ""
            yield quote + MASK + quote
            done += len(held)
    yield text[done:]


def _held(text: str, named: re.Match[str], pattern: re.Pattern[str]) -> str:
    if masked_before := _MASKED.match(text, named.end()):
        return masked_before[0]
    quoted = _QUOTED.match(text, named.end())
    if quoted and pattern is not _TAG:
        return quoted[0]
    ending = "tag" if pattern is _TAG else "word" if pattern is _FLAG or named["dashes"] else "part"
    if "authorization" in named["name"].lower():
        ending = "line"
    found = _TO_END[ending].match(text, named.end())
    return found[0] if found else ""


def _masked_text(text: str) -> str:
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return mask_text(text)
    try:
        found = json.loads(text, object_pairs_hook=_Members)
        inside = _masked_json(found)
        return text if inside == found else json.dumps(_plain(inside), ensure_ascii=False)
    except RecursionError:
        return f"{len(text)} characters of JSON, too deeply nested to be searched for secrets"
    except ValueError:
        return mask_text(text)


def _shortened(value: Value) -> Value:
    if not isinstance(value, str):
        return value
    content = value.encode("utf-8", "backslashreplace")
    return value if len(content) <= LONGEST else _described(content)


def _described(content: bytes) -> str:
    return f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"


# Values


class _Members(list[Any]):
    """A JSON object that keeps all its members, also where two have one name."""


def _masked(name: str, value: Any) -> Value:
    if value is None or isinstance(value, bool):
        return value
    if is_secret(name):
        return MASK
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _described(bytes(value))
    if isinstance(value, str):
        return _masked_text(value)
    if isinstance(value, (Mapping, Sequence)):
        return json.dumps(_plain(_masked_json(_members(value))), ensure_ascii=False)
    return _masked_text(str(value))


def _masked_json(value: Any) -> Any:
    if isinstance(value, _Members):
        return _masked_members(value)
    if isinstance(value, list):
        return [
            MASK if place and _asks(value, place - 1) and _holds(item) else _masked_json(item)
            for place, item in enumerate(value)
        ]
    return _masked_text(value) if isinstance(value, str) else value


def _masked_members(members: _Members) -> _Members:
    # As containers are given variables: {"name": "DB_PASSWORD", "value": …}.
    named = any(key in ("name", "key") and isinstance(item, str) and is_secret(item) for key, item in members)
    return _Members(
        (
            mask_text(name),
            MASK if (is_secret(name) or (named and name == "value")) and _holds(item) else _masked_json(item),
        )
        for name, item in members
    )


def _asks(items: Sequence[Any], place: int) -> bool:
    """Whether what comes after this one of a list is a secret: after a flag, or as the second of a pair."""
    before = items[place]
    if not isinstance(before, str):
        return False
    flag = _ONLY_FLAG.match(before)
    return is_secret(flag["name"]) if flag else len(items) == 2 and " " not in before and is_secret(before)


def _holds(value: Any) -> bool:
    return value is not None and not isinstance(value, bool) and value not in ("", [])


def _members(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _Members((str(key), _members(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return [_members(item) for item in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _described(bytes(value))
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, _Members):
        return {name: _plain(item) for name, item in value}
    return [_plain(item) for item in value] if isinstance(value, list) else value
