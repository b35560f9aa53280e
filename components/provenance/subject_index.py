"""Indexes of data subjects as files: which subjects are in a split, by digest, and with how many examples.

A file is a line that tells its kind, the length of a header, the header in JSON, the sorted digests (16 bytes
each), the number of examples of each (4 bytes, the lowest first), and the SHA-256 of all that. No identifier
is in it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.reading import content_of
from tfx_trust.components.provenance.record import FileEntry, canonical
from tfx_trust.components.provenance.subject_key import DIGEST_BYTES, SubjectKey, normalised

Kind = Literal["text", "integer"]
INDEX_FOLDER = "subjects"
"""Within the folder of a record."""
_ENDING = ".index"
_KIND = b"tfx-trust subjects 1\n"
_CHECK_BYTES = hashlib.sha256().digest_size
_ALGORITHM = "HMAC-SHA-256, the first 16 bytes"


@dataclass(frozen=True)
class Index:
    """Which subjects are in some files of examples."""

    feature: str
    """That identifies them."""
    kind: Kind
    """Of its values."""
    key_check: str
    """By which the key is known again."""
    examples: int
    """All that were read."""
    missing: int
    """Those without an identifier."""
    digests: np.ndarray = dataclasses.field(repr=False)
    """Of the subjects, sorted; bytes, shape ``(subjects,)``, dtype ``S16``."""
    counts: np.ndarray = dataclasses.field(repr=False)
    """Examples of each; uint32, shape ``(subjects,)``."""
    artifact: int = 0
    """Id of the Examples."""
    split: str = ""
    """Name of the split."""
    files: tuple[FileEntry, ...] = ()
    """That were indexed, as the record has them."""

    @property
    def subjects(self) -> int:
        """How many there are."""
        return len(self.digests)


def look_up(index: Index, key: SubjectKey, subject: str | int) -> int:
    """How many examples are a subject's; 0 if it is not there.

    Raises
    ------
    InputError
        If the key is not the one that the index was made with, or the identifiers are whole numbers and this
        is none.
    """
    if key.check() != index.key_check:
        raise InputError(
            f"the index of {index.feature!r} was made with another key, without which nobody is found in it"
        )
    if index.kind == "integer" and isinstance(subject, str):
        if not re.fullmatch(r"\s*[+-]?\d+\s*", subject):
            raise InputError(
                f"{index.feature!r} identifies subjects by whole numbers, and what is looked for is none"
            )
        subject = int(subject)
    wanted = np.frombuffer(key.digest(index.feature, [normalised(subject)]), f"S{DIGEST_BYTES}")
    place = int(np.searchsorted(index.digests, wanted)[0])
    there = place < index.subjects and index.digests[place] == wanted[0]
    return int(index.counts[place]) if there else 0


def write_index(index: Index, folder: str) -> str:
    """Writes an index below the folder of a record, and returns its path."""
    header = {
        "algorithm": _ALGORITHM,
        "artifact": index.artifact,
        "examples": index.examples,
        "feature": index.feature,
        "files": [file.model_dump(mode="json") for file in index.files],
        "key_check": index.key_check,
        "kind": index.kind,
        "missing": index.missing,
        "split": index.split,
        "subjects": index.subjects,
    }
    text = canonical(header)
    digests = np.ascontiguousarray(index.digests).tobytes()
    content = _KIND + len(text).to_bytes(8, "little") + text + digests + index.counts.astype("<u4").tobytes()
    os.makedirs(os.path.join(folder, INDEX_FOLDER), exist_ok=True)
    name = f"{index.artifact}-{urllib.parse.quote(index.split, safe='')}{_ENDING}"
    path = os.path.join(folder, INDEX_FOLDER, name)
    with open(path, "wb") as file:
        file.write(content + hashlib.sha256(content).digest())
    return path


def read_index(path: str) -> Index:
    """Reads an index.

    Raises
    ------
    InputError
        If it cannot be read, is none, one of another version, or damaged.
    """
    content = content_of(path, "the index of subjects cannot be read")
    if not content.startswith(_KIND):
        version = re.match(rb"tfx-trust subjects (\d+)\n", content[:40])
        told = (
            f"of version {version[1].decode()}, this tfx-trust reads 1" if version else "no index of subjects"
        )
        raise InputError(f"{path}: {told}; make the record anew")
    damaged = InputError(f"{path}: the index is damaged or was changed; make the record anew")
    content, expected = content[:-_CHECK_BYTES], content[-_CHECK_BYTES:]
    if hashlib.sha256(content).digest() != expected:
        raise damaged
    begin = len(_KIND) + 8
    end = begin + int.from_bytes(content[len(_KIND) : begin], "little")
    try:
        header = json.loads(content[begin:end])
        split = end + header["subjects"] * DIGEST_BYTES
        return dataclasses.replace(
            _of_header(header),
            digests=np.frombuffer(content[end:split], f"S{DIGEST_BYTES}"),
            counts=np.frombuffer(content[split:], "<u4"),
        )
    except (ValueError, KeyError, TypeError):
        raise damaged from None


def _of_header(header: dict[str, Any]) -> Index:
    given = {
        name: header[name]
        for name in ("feature", "kind", "key_check", "examples", "missing", "artifact", "split")
    }
    files = tuple(FileEntry.model_validate(item) for item in header["files"])
    empty: Sequence[bytes] = ()
    return Index(
        **given,
        digests=np.array(empty, f"S{DIGEST_BYTES}"),
        counts=np.array(empty, np.uint32),
        files=files,
    )


def index_files(folder: str) -> list[str]:
    """Paths of the indexes below the folder of a record, sorted; none if it has none."""
    place = f"{folder.rstrip('/')}/{INDEX_FOLDER}"
    if "://" in place:
        from tfx.dsl.io import fileio

        names = [str(name) for name in fileio.listdir(place)] if fileio.isdir(place) else []
    else:
        names = os.listdir(place) if os.path.isdir(place) else []
    return [f"{place}/{name}" for name in sorted(names) if name.endswith(_ENDING)]
