"""Putting a record and its signatures into a copy of the model, wherever that is."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance.reading import regular
from tfx_trust.components.provenance.record import (
    RECORD_FILE,
    SERVING_SIGNATURE_FILE,
    SIGNATURE_FILE,
    STATEMENT_FILE,
)
from tfx_trust.components.provenance.signing import PUBLIC_KEY_FILE
from tfx_trust.components.provenance.writing import CARRY_FOLDER

# Files of the record's folder by their names in the copy. The record comes last: where it is, all is.
_CARRIED = {
    SIGNATURE_FILE: SERVING_SIGNATURE_FILE,
    STATEMENT_FILE: STATEMENT_FILE,
    PUBLIC_KEY_FILE: PUBLIC_KEY_FILE,
    RECORD_FILE: RECORD_FILE,
}
CARRIED = frozenset(f"{CARRY_FOLDER}/{name}" for name in _CARRIED)
"""Files that are put into a copy, relative to it."""


def carry(content: Mapping[str, bytes], destination: str) -> list[str]:
    """Puts the files of a record into a copy, each whole or not at all, and returns their paths in it.

    What is there already stays as it is; what an earlier record left and this one has not goes.

    Parameters
    ----------
    content
        Of the files in the record's folder, by name.
    destination
        The copy: a local path or a URI.
    """
    carried = []
    for name, origin in _CARRIED.items():
        path = f"{CARRY_FOLDER}/{name}"
        if origin in content:
            _write(destination, path, content[origin])
            carried.append(path)
        else:
            _remove(os.path.join(destination, path))
    return carried


# Files, here and elsewhere


def is_folder(place: str) -> bool:
    """Whether there is a folder."""
    if "://" not in place:
        return os.path.isdir(place)
    from tfx.dsl.io import fileio

    return bool(fileio.exists(place) and fileio.isdir(place))


def read_file(place: str) -> bytes | None:
    """The content of a file; none if there is no such file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        if "://" not in place:
            with open(place, "rb", opener=regular) as file:
                return file.read()
        from tfx.dsl.io import fileio

        if not fileio.exists(place):
            return None
        with fileio.open(place, "rb") as file:
            return bytes(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # Every file system has errors of its own.
        why = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(f"{place}: cannot be read ({why})") from None


def _write(folder: str, path: str, content: bytes) -> None:
    """Writes a file into a folder that a server may be reading: beside it first, then moved."""
    target = os.path.join(folder, path)
    if read_file(target) == content and not os.path.islink(target):
        return
    above, name = os.path.split(folder.rstrip("/"))
    # A server looks for folders that are called by a number here: it passes this over.
    partial = os.path.join(above, f".{name}.{os.path.basename(path)}.partial")
    if "://" in folder:
        from tfx.dsl.io import fileio

        fileio.makedirs(os.path.dirname(target))
        with fileio.open(partial, "wb") as file:
            file.write(content)
        fileio.rename(partial, target, overwrite=True)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    _remove(partial)
    with open(partial, "xb") as file:
        file.write(content)
    os.replace(partial, target)


def _remove(place: str) -> None:
    if "://" not in place:
        if os.path.lexists(place):
            os.remove(place)
        return
    from tfx.dsl.io import fileio

    if fileio.exists(place):
        fileio.remove(place)
