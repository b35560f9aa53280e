"""Whether there are two splits at all: files behind each, examples in them, and not the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.report import Finding, Severity

MISSING = "splits"
SHARED = "shared_files"
_CHUNK = 1 << 20


def findings(files: Mapping[str, Sequence[str]], settings: LeakageSettings) -> list[Finding]:
    """What is wrong with the splits.

    Parameters
    ----------
    files
        Data files by split; a split that the artifact does not have is left out.
    settings
        They name the splits.
    """
    found = []
    for name in settings.splits:
        if name not in files:
            message = (
                f"There is no {name} split: the artifact has {', '.join(files) or 'none of those named'}."
            )
        elif not any(has_examples(path) for path in files[name]):
            message = f"The {name} split has no examples."
        else:
            continue
        found.append(
            Finding(
                check=MISSING,
                severity=Severity.FAIL,
                subject=name,
                message=message,
                remedy="Give ExampleGen an output_config or input_config with both splits, or name the "
                "splits in the settings (train_split, eval_split).",
            )
        )
    if found:
        return found
    shared = same_files(files[settings.train_split], files[settings.eval_split])
    if shared:
        found.append(
            Finding(
                check=SHARED,
                severity=Severity.FAIL,
                subject=f"{settings.train_split} and {settings.eval_split}",
                message=f"{len(shared):,} files of the {settings.eval_split} split have the content of a "
                f"{settings.train_split} file: the model is judged by what it learned from.",
                remedy="Check the patterns that ExampleGen reads each split from.",
                evidence={"files": [path for path, _ in shared][:20]},
            )
        )
    return found


def has_examples(path: str) -> bool:
    """Whether a file has a record; one that cannot be read has, so that reading it tells what is wrong."""
    compression = "GZIP" if path.endswith(".gz") else ""
    try:
        return any(True for _ in tf.data.TFRecordDataset(path, compression).take(1))
    except tf.errors.OpError:
        return True


def same_files(train: Sequence[str], evaluation: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of an eval and a train file that are the same, or have the same content."""
    by_size: dict[int, list[str]] = {}
    for path in train:
        by_size.setdefault(tf.io.gfile.stat(path).length, []).append(path)
    digests: dict[str, bytes] = {}

    def digest(path: str) -> bytes:
        if path not in digests:
            digests[path] = _digest(path)
        return digests[path]

    return [
        (path, other)
        for path in evaluation
        for other in by_size.get(tf.io.gfile.stat(path).length, ())
        if path == other or digest(path) == digest(other)
    ]


def _digest(path: str) -> bytes:
    sha = hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
    return sha.digest()
