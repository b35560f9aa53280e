"""The record in the formats of others: they tell what the record tells, and nothing that it does not.

Each is made of a record alone, without the metadata store, and equal records give equal files.
"""

from __future__ import annotations

import importlib
import os

from tfx_trust.components.errors import unknown
from tfx_trust.components.provenance.record import Record

FORMATS = ("prov", "openlineage", "cyclonedx", "croissant", "slsa")
"""W3C PROV-JSON; OpenLineage events; a CycloneDX ML-BOM; Croissant with its responsible-AI vocabulary, a file
for each source; an in-toto Statement with SLSA provenance."""


def export(record: Record, format: str, *, folder: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """The texts of a format's files by their names.

    Parameters
    ----------
    record
        What is told.
    format
        One of `FORMATS`.
    folder
        Where the record lies. What was signed there is told as signed: PROV names the key, and ``slsa`` is
        the envelope that lies there.

    Raises
    ------
    UsageError
        If there is no such format.
    InputError
        If a signature in `folder` cannot be read, or is of another record.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    # As it is read from its file, so that the order in which it was filled does not show.
    record = Record.of_bytes(record.to_bytes(), "record")
    module = importlib.import_module(f"{__name__}.{format}")
    if format in ("prov", "slsa"):
        return module.export(record, folder=folder)
    return module.export(record)
