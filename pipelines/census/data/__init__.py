"""The published census files as plain CSV, one folder a split.

The files beside this module are the published ones, byte for byte. What is changed on the way to
CSV is told in ``README.md`` there.
"""

import csv
import gzip
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

from tfx_trust.components.errors import InputError

LABEL = "over_50k"
# The number of people that an example stands for in the survey. It says nothing about the person,
# so the model does not see it.
WEIGHT = "fnlwgt"
COLUMNS = (
    "age",
    "workclass",
    WEIGHT,
    "education",
    "education_num",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
    "native_country",
    LABEL,
)
# The published split is kept: published results, and the known overlap of the two, refer to it.
SPLITS = {"train": "adult.data.gz", "eval": "adult.test.gz"}

DECLARATION = "source.yaml"
"""What is declared of the data, in a file beside them."""

_BUNDLED = Path(__file__).parent
_INCOMES = {"<=50K": "0", ">50K": "1"}
# TFX's ExampleGen fingerprints its input by the modification times too. A fixed one lets a folder
# that was prepared anew, with the same content, be answered from TFX's cache. 1 May 1996, UTC.
_MODIFIED = 830_908_800


def prepare(folder: str | os.PathLike[str]) -> Path:
    """Write ``folder/train/adult.csv``, ``folder/eval/adult.csv`` and ``folder/source.yaml``.

    The files have a header and the columns `COLUMNS`: 32,561 examples in train, 16,281 in eval.
    A file that already has this content is left as it is, so TFX's cache stays valid.

    Parameters
    ----------
    folder
        Made if it does not exist.

    Returns
    -------
    Path
        The folder, to be given to CsvExampleGen with the patterns ``train/*`` and ``eval/*``.

    Raises
    ------
    InputError
        A bundled file is not the published one.
    """
    _verify()
    folder = Path(folder)
    for split in SPLITS:
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(examples(split))
        _write(folder / split / "adult.csv", text.getvalue().encode(), staging=folder)
    _write(folder / DECLARATION, (_BUNDLED / DECLARATION).read_bytes(), staging=folder)
    return folder


def examples(split: str) -> Iterator[list[str]]:
    """Yield the examples of a split in published order.

    Parameters
    ----------
    split
        A key of `SPLITS`.

    Yields
    ------
    list of str
        The values of `COLUMNS`, spaces stripped. An unknown value is ``"?"``, the label ``"0"`` or ``"1"``.

    Raises
    ------
    InputError
        A line has not 14 features and an income.
    """
    name = SPLITS[split]
    with gzip.open(_BUNDLED / name, "rt", encoding="ascii") as lines:
        for number, line in enumerate(lines, start=1):
            # The test file opens with a line for the tool that split the data; both end in an empty one.
            if line.startswith("|") or not line.strip():
                continue
            *features, income = (value.strip() for value in line.split(","))
            label = _INCOMES.get(income.removesuffix("."))
            if label is None or len(features) != len(COLUMNS) - 1:
                raise InputError(
                    f"{_BUNDLED / name}, line {number}: expected {len(COLUMNS) - 1} features and an income "
                    f"({' or '.join(_INCOMES)}), found {line.strip()!r}"
                )
            yield [*features, label]


def _verify() -> None:
    for line in (_BUNDLED / "SHA256SUMS").read_text(encoding="ascii").splitlines():
        expected, name = line.split()
        file = _BUNDLED / name
        found = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "no such file"
        if found != expected:
            raise InputError(
                f"{file} is not the published file: expected SHA-256 {expected}, found {found}. "
                "Restore it from the repository, or install the package again."
            )


def _write(file: Path, content: bytes, staging: Path) -> None:
    """Put the file in place whole; staged elsewhere, as ExampleGen's patterns match all in its folder."""
    if file.exists() and file.read_bytes() == content:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    staged = staging / f".{file.parent.name}-{file.name}.{os.getpid()}"
    try:
        staged.write_bytes(content)
        os.utime(staged, (_MODIFIED, _MODIFIED))
        staged.replace(file)
    finally:
        staged.unlink(missing_ok=True)
