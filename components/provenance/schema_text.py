"""The features of a schema's text, told apart without the libraries that know its form."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping

_SCHEMA_FILE = "schema.pbtxt"
# A text in quotes may hold a brace; a comment may hold anything.
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|#[^\n]*|[{}]|[^\s{}"\'#]+')
_OPENING = ("feature", "string_domain", "sparse_feature", "weighted_feature")


def features_of(schemas: Mapping[str, str]) -> dict[str, str] | None:
    """What some schemas say of each feature, as text.

    Parameters
    ----------
    schemas
        sha256 of the file by the URI of its artifact; local ones alone are read.

    Returns
    -------
    dict or None
        By name; domains that are shared by features are there as ``string_domain <name>``. None where a
        schema does not lie there as it was.
    """
    found: dict[str, str] = {}
    for uri, sha256 in schemas.items():
        try:
            with open(os.path.join(uri, _SCHEMA_FILE), "rb") as file:
                content = file.read()
        except OSError:
            return None
        if hashlib.sha256(content).hexdigest() != sha256:
            return None
        found.update(_blocks(content.decode(errors="replace")))
    return found


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """The outermost blocks that have a name, each on one line.

    Examples
    --------
    >>> dict(_blocks('feature { name: "age" type: INT } # ages'))
    {'age': 'type: INT'}
    """
    tokens = [token for token in _TOKENS.findall(text) if not token.startswith("#")]
    depth, begin = 0, 0
    for place, token in enumerate(tokens):
        if token == "{":
            depth += 1
            begin = place + 1 if depth == 1 else begin
        elif token == "}":
            depth -= 1
            kind = tokens[begin - 2].rstrip(":") if begin >= 2 else ""
            if depth == 0 and kind in _OPENING:
                name, said = _named(tokens[begin:place])
                yield (name if kind == "feature" else f"{kind} {name}"), said


def _named(tokens: list[str]) -> tuple[str, str]:
    depth = 0
    for place, token in enumerate(tokens):
        depth += (token == "{") - (token == "}")
        if depth == 0 and token == "name:" and place + 1 < len(tokens):
            rest = tokens[:place] + tokens[place + 2 :]
            return tokens[place + 1].strip("\"'"), " ".join(rest)
    return "", " ".join(tokens)
