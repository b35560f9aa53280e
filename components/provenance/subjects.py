"""The opt-in index of data subjects: which examples are whose, without an identifier in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class SubjectKey:
    """The secret that the index is made with. It is never shown."""

    @classmethod
    def load(cls, *, path: str | None = None, env: str | None = None) -> SubjectKey:
        """Reads the key from a file, or from the environment variable of that name."""
        raise NotImplementedError


class Index(NamedTuple):
    """Which subjects are in some files, by digest."""

    feature: str
    digests: np.ndarray
    """Sorted; uint8, ``(subjects, 16)``."""
    counts: np.ndarray
    """Examples of each; uint32, ``(subjects,)``."""
    examples: int
    missing: int
    """Examples without the feature."""


class Found(NamedTuple):
    """A subject that is in a split."""

    record: str
    artifact: int
    split: str
    examples: int


def build(files: Sequence[str], feature: str, key: SubjectKey) -> Index:
    """Indexes TFRecord files of tf.Examples."""
    raise NotImplementedError


def write(
    index: Index, folder: str, key: SubjectKey, *, artifact: int, split: str, files: Sequence[object]
) -> str:
    """Writes the index of a split below the folder of a record; returns its path."""
    raise NotImplementedError


def look_up(index: Index, key: SubjectKey, subject: str | int) -> int:
    """How many examples are the subject's."""
    raise NotImplementedError


def find(folder: str, subject: str | int, key: SubjectKey) -> list[Found]:
    """Where a subject is, by the indexes below the folder of a record."""
    raise NotImplementedError
