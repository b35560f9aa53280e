"""The schemas that come with the library, as files: JSON Schemas of reports and settings, data schemas."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

_FOLDER = Path(str(resources.files(__name__)))
_JSON_SCHEMA = ".schema.json"


def path(name: str) -> str:
    """Path of a schema file.

    Parameters
    ----------
    name
        The file's name, such as ``"census.pbtxt"``.

    Raises
    ------
    ValueError
        If there is no schema file of that name; the message lists those there are.
    """
    available = sorted(file.name for file in _FOLDER.iterdir() if file.suffix in (".json", ".pbtxt"))
    if name not in available:
        raise ValueError(f"no schema is named {name!r}; the names are: {', '.join(available)}")
    return str(_FOLDER / name)


def json_schemas() -> dict[str, Path]:
    """The JSON Schemas by short name, e.g. ``release-report``."""
    files = sorted(_FOLDER.glob(f"*{_JSON_SCHEMA}"))
    return {file.name.removesuffix(_JSON_SCHEMA): file for file in files}
