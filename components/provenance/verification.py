"""What came out of checking a record against what lies there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

import pydantic

from tfx_trust.components.report import Model

INTACT, TAMPERED, UNCHECKED = 0, 3, 4
"""Statuses: everything is as it was recorded; something is not; something could not be looked at."""

What = Literal[
    "changed",
    "missing",
    "added",
    "renamed",
    "replaced",
    "edited",
    "signature",
    "key",
    "chain",
    "gone",
    "unreadable",
    "version",
    "unsigned",
]
"""``replaced``: a symbolic link, or something else that is no file, lies in a file's place. ``edited``: a
file of the record's folder is not as it was written. ``signature``, ``key``: it does not hold; it is
another's. ``chain``: the record before is not what it was. ``gone``: nothing lies where it should.
``version``: the record is newer than this program. ``unsigned``: nothing is signed, although a key was given
to check it by."""


VERIFICATION_VERSION = "1.0"


def printable(path: str) -> str:
    """A name as text, also one that is not UTF-8, or would write to the terminal as it likes."""
    text = path.encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class Problem(Model):
    """One thing that is not as it should be, or that could not be looked at."""

    kind: Literal["tampered", "unchecked"]
    """Whether it is known to be wrong."""
    what: What
    """What is the matter."""
    subject: str
    """What it belongs to: ``artifact:15``, ``source:1``, ``code:run_fn``, ``chain``, or the name of a file of
    the record's folder, such as ``model.sig``."""
    path: str = ""
    """Of the file or folder, as it lies there."""
    message: str
    """In a sentence."""
    remedy: str = ""
    """What to do."""
    renamed_to: str | None = None
    """Where the same bytes lie now."""
    before: str | None = None
    """sha256 that was recorded."""
    now: str | None = None
    """sha256 that is there."""

    @pydantic.field_validator("subject", "path", "message", mode="before")
    @classmethod
    def _in_plain_letters(cls, text: str) -> str:
        return printable(text)


class Checked(Model):
    """What was looked at."""

    artifacts: int = 0
    """How many; the model is one."""
    sources: int = 0
    """Raw inputs."""
    code: int = 0
    """Files of code."""
    files: int = 0
    """Files of all of them."""
    bytes: int = 0
    """Of all files."""
    signatures: list[str] = []
    """Names of the signatures that hold."""
    records: int = 0
    """Records of the chain before this one."""


class Verification(Model):
    """The outcome of :func:`~tfx_trust.components.provenance.verify.verify`."""

    schema_version: str = VERIFICATION_VERSION
    """``major.minor``; a reader refuses another major."""
    folder: str
    """Of the record."""
    record: str | None = None
    """Digest of the record; none if it cannot be read."""
    model: str | None = None
    """Where the model was looked for."""
    key_id: str | None = None
    """Of the public key that signatures were checked by; none where there was none."""
    key_given: bool = False
    """Whether somebody gave the key. One that lies beside the signatures shows that they belong together, and
    not who signed: whoever changes a file can sign anew and put another key there."""
    checked: Checked = Checked()
    """What was looked at."""
    problems: list[Problem] = []
    """What is wrong first, then what could not be looked at."""
    notes: list[str] = []
    """What else has to be known to understand the outcome."""

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def status(self) -> int:
        """0 if all is well, 3 if something was tampered with, 4 if something could not be checked."""
        kinds = {problem.kind for problem in self.problems}
        return TAMPERED if "tampered" in kinds else UNCHECKED if "unchecked" in kinds else INTACT

    def add(self, problems: Iterable[Problem]) -> None:
        """Adds problems, keeping their order."""
        self.problems = sorted([*self.problems, *problems], key=lambda item: item.kind == "unchecked")

    def to_json(self) -> str:
        """As JSON text, with the status."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
