"""Wheels, as TFX packages the user's modules in them: held against the digests that they carry themselves."""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import NamedTuple

from tfx_trust.components.provenance.record import Change, Unknown

_VERSION = re.compile(r"-0\.0[+_](?P<hash>[0-9a-f]{64})-")
_LIST = ".dist-info/RECORD"


class Told(NamedTuple):
    """What a wheel says of itself, where it is not so."""

    changes: list[Change]
    """Members that are not as its list of files has them."""
    unknowns: list[Unknown]
    """Why it cannot be told."""


def check_wheel(place: str, reference: str, found: str) -> Told:
    """Holds a wheel against its own list of files, and against the digest in its name, which TFX puts there.

    Parameters
    ----------
    place
        Path or URI.
    reference
        What a record calls it.
    found
        When it is looked at; ISO 8601.
    """
    try:
        members = _members(place)
        listed = _listed(members)
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        return Told(
            [], [Unknown(what="code", subject=reference, why=f"the wheel cannot be opened ({error})")]
        )
    name = place.rstrip("/").rpartition("/")[2]
    changes = [
        Change.model_validate(
            {
                "path": f"{name}/{member}",
                "kind": kind,
                "before": before,
                "now": now,
                "seen_in": "the wheel's own list of files",
                "found": found,
            }
        )
        for member, before, now, kind in _differing(members, listed)
    ]
    return Told(changes, [] if _fits_name(name, members) else [_other_digest(reference)])


def _differing(
    members: Mapping[str, bytes], listed: Mapping[str, str]
) -> list[tuple[str, str | None, str | None, str]]:
    found = []
    for member in sorted({*members, *listed}):
        now = hashlib.sha256(members[member]).hexdigest() if member in members else None
        before = listed.get(member)
        if before != "" and now != before:
            kind = "missing" if now is None else "added" if before is None else "changed"
            found.append((member, before, now, kind))
    return found


def _members(place: str) -> dict[str, bytes]:
    if "://" in place:
        from tfx.dsl.io import fileio

        with fileio.open(place, "rb") as remote:
            content = remote.read()
    else:
        with open(place, "rb") as file:
            content = file.read()
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        return {item.filename: wheel.read(item) for item in wheel.infolist() if not item.is_dir()}


def _listed(members: Mapping[str, bytes]) -> dict[str, str]:
    """sha256 by member; empty where none is told, as of the list itself."""
    name = next((member for member in members if member.endswith(_LIST)), None)
    if name is None:
        raise ValueError("it has no list of files")
    listed = {}
    for row in csv.reader(io.StringIO(members[name].decode())):
        if row:
            algorithm, _, value = row[1].partition("=") if len(row) > 1 else ("", "", "")
            listed[row[0]] = _hex(value) if algorithm == "sha256" else ""
    return listed | {name: ""}


def _hex(value: str) -> str:
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
    except (binascii.Error, ValueError):
        return value


def _fits_name(name: str, members: Mapping[str, bytes]) -> bool:
    told = _VERSION.search(name)
    # TFX also counts an __init__.py beside the module, which it does not package; most are empty.
    possible = (_version_hash(members), _version_hash({**members, "__init__.py": b""}))
    return told is None or told["hash"] in possible


def _version_hash(members: Mapping[str, bytes]) -> str:
    """As ``_get_version_hash`` of TFX's ``udf_utils``, over the modules."""
    digest = hashlib.sha256()
    for name in sorted(member for member in members if "/" not in member and member.endswith(".py")):
        for part in (name.encode(), members[name]):
            digest.update(struct.pack(">Q", len(part)) + part)
    return digest.hexdigest()


def _other_digest(reference: str) -> Unknown:
    return Unknown(
        what="wheel",
        subject=reference,
        why="its modules do not give the digest in its name: either it was changed after it was packaged, or "
        "there was code in an __init__.py beside them, which is not packaged",
    )
