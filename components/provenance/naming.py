"""Names, places and times as statements and exports want them, and who made what."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import unicodedata
import urllib.parse
import uuid
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any

from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.record import (
    ArtifactEntry,
    ExecutionEntry,
    FileEntry,
    Record,
    SourceEntry,
)

URN = "urn:tfx-trust:"
"""What all names of our own begin with."""

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, URN)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?=\S)")
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SCP = re.compile(r"(?:[^@/\s]+@)?(?P<host>[^:/\s]+):(?P<path>\S+)")
_NOT_IN_URI = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]|%(?![0-9A-Fa-f]{2})")
# Endings that the standard library's table lacks, or knows on some machines only.
_MEDIA_TYPES = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "pbtxt": "text/plain",
    "json": "application/json",
    "jsonl": "application/jsonlines",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "parquet": "application/x-parquet",
    "avro": "application/vnd.apache.avro",
    "zip": "application/zip",
    "tar": "application/x-tar",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
}
_COMPRESSED = {"gz": "application/gzip", "bz2": "application/x-bzip2", "zst": "application/zstd"}


def text_of(content: Any) -> str:
    """JSON for people and machines, in the order in which it was made."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def compact(content: Any) -> str:
    """JSON in one line, keys sorted: for what a format has no place for but a text."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)


def as_text(value: Any) -> str:
    """A value of a parameter or property where a format takes text alone."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def properties_of(told: Mapping[str, Any]) -> list[dict[str, str]]:
    """Name-value pairs as CycloneDX has them, one for each item of a list, with our own prefix."""
    return [
        {"name": f"tfx-trust:{name}", "value": as_text(item)}
        for name, value in filled(told).items()
        for item in (value if isinstance(value, list) else [value])
    ]


def filled(content: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is none, or empty."""
    return {name: value for name, value in content.items() if value not in (None, "", [], {})}


def told(items: Sequence[str] | None) -> list[str]:
    """A declared list: that there is nothing on it is something told, unlike that there is none."""
    return ["none"] if items is not None and not items else list(items or [])


def legal_basis(declared: SourceDeclaration) -> str | None:
    """On which ground the data about people are used, as a sentence; none where it is not declared."""
    if declared.legal_basis == "not_personal_data":
        return "It is declared that nobody can be identified by them."
    return declared.legal_basis and f"Legal basis: {declared.legal_basis.replace('_', ' ')}."


def identifier(*parts: str | int) -> str:
    """A UUID that is the same for the same parts."""
    return str(uuid.uuid5(_NAMESPACE, json.dumps(parts, ensure_ascii=False)))


def version() -> str:
    """Of this library."""
    return metadata.version("tfx-trust")


def digest_of(record: Record) -> str:
    """The record's own digest, whether it is sealed or not."""
    return record.digest or record.content_digest()


# Places


def is_remote(place: str) -> bool:
    """Whether it is an address rather than a path."""
    return _REMOTE.match(place) is not None


def uri_of(place: str) -> str:
    """An absolute path or an address as a URI, every character of it one that a URI may have.

    Examples
    --------
    >>> uri_of("/srv/a b/50%"), uri_of("gs://bucket/é")
    ('file:///srv/a%20b/50%25', 'gs://bucket/%C3%A9')
    """
    if _REMOTE.match(place):
        scheme, _, rest = place.partition("://")
        host = re.split(r"[/?#]", rest, maxsplit=1)[0]
        return f"{scheme}://{_quoted(host)}{_without_brackets(rest[len(host) :])}"
    if _SCHEME.match(place):
        return _without_brackets(place)
    path = urllib.parse.quote(place)
    return f"file://{path}" if place.startswith("/") else path


def _quoted(text: str) -> str:
    return _NOT_IN_URI.sub(lambda found: urllib.parse.quote(found[0], safe=""), text)


def _without_brackets(text: str) -> str:
    """Quoted; brackets stand around addresses of IPv6, and nowhere else."""
    return _quoted(text).replace("[", "%5B").replace("]", "%5D")


def address_of(text: str | None) -> str | None:
    """A URI if somebody's words are one, such as the origin of a declaration."""
    if not text or any(character.isspace() for character in text) or not _SCHEME.match(text):
        return None
    return uri_of(text)


def address_of_repository(remote: str | None) -> str | None:
    """The address of a git remote, the short form of SSH written out; none of a relative path.

    Examples
    --------
    >>> address_of_repository("git@example.org:people/census.git")
    'ssh://git@example.org/people/census.git'
    """
    if not remote:
        return None
    if is_remote(remote) or remote.startswith("/"):
        return uri_of(remote)
    short = _SCP.fullmatch(remote)
    if short is None:
        return None
    user = remote.partition("@")[0] + "@" if "@" in remote.partition(":")[0] else ""
    return uri_of(f"ssh://{user}{short['host']}/{short['path'].lstrip('/')}")


def place_of(folder: str, path: str) -> str:
    """Where a file of an artifact or a source lies."""
    return folder if path in ("", ".") else posixpath.join(folder, path)


def file_place(source: SourceEntry, file: FileEntry) -> str:
    """Where a file of a source lies: the source itself may be the one file."""
    if len(source.files) == 1 and posixpath.basename(source.place) == file.path and not source.patterns:
        return source.place
    return place_of(source.place, file.path)


def source_uri(source: SourceEntry) -> str:
    """The URI of a source; of a query, a name that is made of its digest."""
    if source.kind == "query" or not (is_remote(source.place) or source.place.startswith("/")):
        return f"{URN}{source.kind}:sha256:{hashlib.sha256(source.place.encode()).hexdigest()}"
    return uri_of(source.place)


def media_types(path: str) -> list[str]:
    """The media type that a file's ending tells, with that of its compression.

    Examples
    --------
    >>> media_types("a/people.CSV.gz"), media_types("data_tfrecord-00000-of-00001"), media_types("README")
    (['text/csv', 'application/gzip'], ['application/x-tfrecord'], ['application/octet-stream'])
    """
    name = posixpath.basename(path).lower()
    stem, _, ending = name.rpartition(".")
    packed = _COMPRESSED.get(ending)
    if packed:
        name, ending = stem, stem.rpartition(".")[2]
    if "tfrecord" in name:
        inner = "application/x-tfrecord"
    else:
        inner = _MEDIA_TYPES.get(ending, "") if "." in name else ""
    return [item for item in (inner, packed) if item] or ["application/octet-stream"]


# Names


def artifact_ref(number: int) -> str:
    """The name of an artifact in graphs."""
    return f"artifact:{number}"


def execution_ref(number: int) -> str:
    """The name of an execution in graphs."""
    return f"execution:{number}"


def source_name(source: SourceEntry) -> str:
    """What people call it."""
    if source.declaration is not None:
        return source.declaration.name
    if source.kind == "query":
        return f"query {source.id}"
    return posixpath.basename(source.place.rstrip("/")) or source.place


def artifact_name(artifact: ArtifactEntry) -> str:
    """Type and id."""
    return f"{artifact.type} {artifact.id}"


def model_name(record: Record) -> str:
    """Of the model: that of its pipeline, if it has one."""
    model = record.artifact(record.model)
    return model.name or (f"{record.pipeline} model" if record.pipeline else artifact_name(model))


def slug(text: str) -> str:
    """A name for a file, of letters, digits, dots, dashes and underscores.

    Examples
    --------
    >>> slug("UCI Adult (1994)"), slug("Größe/Maß"), slug("人口")
    ('UCI-Adult-1994', 'Groe-Ma', '')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._]+", "-", plain.replace("/", "-")).strip("-._")[:80]


# Who made what


def makers(record: Record) -> dict[int, ExecutionEntry]:
    """The execution that made an artifact, by the artifact's id."""
    return {port.artifact: execution for execution in record.executions for port in execution.outputs}


def known(record: Record, artifacts: Iterable[int]) -> list[ArtifactEntry]:
    """Those of these artifacts that the record has, each once."""
    entries = {artifact.id: artifact for artifact in record.artifacts}
    return [entries[number] for number in dict.fromkeys(artifacts) if number in entries]


def sources_read_by(record: Record, execution: int) -> list[SourceEntry]:
    """Raw inputs of an execution."""
    return [source for source in record.sources if source.read_by == execution]


def started(record: Record, execution: ExecutionEntry) -> str:
    """When it began, or what is known that is nearest to that."""
    return execution.started or execution.finished or record.created


def finished(record: Record, execution: ExecutionEntry) -> str:
    """When it ended, or what is known that is nearest to that."""
    return execution.finished or execution.started or record.created


def size_of(files: Iterable[FileEntry]) -> int:
    """Bytes of all files."""
    return sum(file.size for file in files)
