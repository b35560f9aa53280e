"""A source of the record in Croissant 1.0 with its responsible-AI vocabulary (RAI) 1.0, a file for each.

A file of CSV gets a record set, with the types that its values have, read where the record says that it lies;
it is called by its split, and numbered where a split has several. Of other files, of queries, and of files
that are gone or changed since they were recorded, no fields are told; the description says why.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import Any

from tfx_trust.components.errors import InputError
from tfx_trust.components.provenance import naming as common
from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.exports._columns import ROWS, columns_of
from tfx_trust.components.provenance.hashing import digest_files
from tfx_trust.components.provenance.record import FileEntry, Record, SourceEntry

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_CONFORMS_TO = ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"]
_ONE_LICENCE = re.compile(r"(?!LicenseRef-|DocumentRef-)[A-Za-z0-9.+-]+")
# More of them would be one description as many times over.
_FILES = 100
_SPECIAL = re.compile(r"\*\*/?|[*?]|\[[^\]]+\]")

_Json = dict[str, Any]


def export(record: Record) -> dict[str, str]:
    """The files' texts by their names, one for each source.

    A file names its data by their absolute places; for data that were moved, readers take another place for
    a file by its id, which is its path in the source.
    """
    texts = {}
    for source in record.sources:
        name = common.slug(common.source_name(source)) or common.slug(source.id)
        file = f"croissant-{name}.json"
        if file in texts:
            file = f"croissant-{name}-{common.slug(source.id)}.json"
        texts[file] = common.text_of(_dataset(record, source))
    return texts


def _dataset(record: Record, source: SourceEntry) -> _Json:
    names = _Names()
    ids = {file.path: names.of(file.path) for file in source.files}
    distribution = [_file_object(source, file, ids[file.path]) for file in source.files]
    sets: list[_Json] = []
    untold = _why_none(source)
    for split, files in ({} if untold else _splits(source)).items():
        for number, file in enumerate(files[:_FILES], start=1):
            name = split if len(files) == 1 else f"{split}-{number}"
            try:
                columns = _columns_of(source, file)
            except InputError as error:
                untold.append(f"Of {file.path} no fields are told: {error}.")
            else:
                sets.append(_record_set(names, name, split, ids[file.path], file.path, columns))
        if len(files) > _FILES:
            untold.append(f"Of {split}, fields are told of the first {_FILES} files.")
    return common.filled(
        {
            "@context": _CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": _CONFORMS_TO,
            "name": common.source_name(source),
            "description": _description(record, source, untold),
            **(_declared(source.declaration) if source.declaration is not None else {}),
            "distribution": distribution,
            "recordSet": sets,
        }
    )


def _description(record: Record, source: SourceEntry, untold: list[str]) -> str:
    declared = source.declaration
    where = source.place if source.kind != "query" else f"the query {source.place}"
    parts = [declared.collection] if declared is not None else []
    parts.append(f"What {record.pipeline or 'a TFX pipeline'} read from {where}.")
    if declared is None:
        parts.append("Nothing is declared of its origin.")
    elif declared.origin and not common.address_of(declared.origin):
        parts.append(f"Origin: {declared.origin}.")
    return " ".join([part for part in parts if part] + untold)


def _declared(declared: SourceDeclaration) -> _Json:
    personal = declared.personal_data
    told = list(personal or [])
    if personal is not None and not personal:
        told = ["No personal data."]
    basis = common.legal_basis(declared)
    if basis and personal != []:
        told.append(basis)
    if declared.consent:
        told.append(f"Consent: {declared.consent}")
    return {
        "url": common.address_of(declared.origin),
        "version": declared.version,
        "datePublished": None if declared.issued is None else declared.issued.isoformat(),
        "license": _licence(declared.licence),
        "citeAs": declared.citation,
        "publisher": _party(declared.publisher),
        "maintainer": _party(declared.contact),
        "rai:dataCollection": declared.collection,
        "rai:dataLimitations": declared.limitations,
        "rai:dataUseCases": declared.purposes,
        "rai:personalSensitiveInformation": told,
        "rai:dataReleaseMaintenancePlan": (
            None if declared.retention is None else f"Not to be used after {declared.retention.isoformat()}."
        ),
    }


def _party(name: str | None) -> _Json | None:
    return {"@type": "sc:Organization", "name": name} if name else None


def _licence(expression: str | None) -> str | None:
    """The page of a licence on SPDX's list; an expression of several, or of one's own, as it is."""
    if expression and _ONE_LICENCE.fullmatch(expression):
        return f"https://spdx.org/licenses/{expression}"
    return expression


# Files and fields


def _file_object(source: SourceEntry, file: FileEntry, name: str) -> _Json:
    types = common.media_types(file.path)
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": file.path,
        "contentUrl": common.file_place(source, file),
        "contentSize": f"{file.size} B",
        "encodingFormat": types if len(types) > 1 else types[0],
        "sha256": file.sha256,
    }


def _why_none(source: SourceEntry) -> list[str]:
    if source.kind == "query":
        return ["A query leaves no files behind, so that no fields are told."]
    if not source.files:
        return ["Its files could not be read, so that no fields are told."]
    if not any(_is_csv(file) for file in source.files):
        return ["Fields are told of CSV alone."]
    if common.is_remote(source.place):
        return ["The files lie elsewhere, so that no fields are told."]
    return []


def _splits(source: SourceEntry) -> dict[str, list[FileEntry]]:
    """The CSV files of each split."""
    files = [file for file in source.files if _is_csv(file)]
    if not source.patterns:
        return {"records": files}
    found = {
        split: [file for file in files if _matches(pattern, file.path)]
        for split, pattern in source.patterns.items()
    }
    return {split: matching for split, matching in found.items() if matching}


def _columns_of(source: SourceEntry, file: FileEntry) -> dict[str, str]:
    place = common.file_place(source, file)
    if digest_files([place], source.place, follow=True)[0].sha256 != file.sha256:
        raise InputError("it has changed since it was recorded")
    return columns_of(place)


def _record_set(names: _Names, text: str, split: str, file: str, path: str, columns: dict[str, str]) -> _Json:
    # Readers take several files for one set only out of an archive: so each has its own.
    name = names.of(text)
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": text,
        "description": f"Rows of {path}, of the split {split}; types as its first {ROWS:,} rows have them.",
        "field": [
            {
                "@type": "cr:Field",
                "@id": names.of(column, within=name),
                "name": column,
                "dataType": f"sc:{kind}",
                "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
            }
            for column, kind in columns.items()
        ],
    }


def _is_csv(file: FileEntry) -> bool:
    return common.media_types(file.path)[0] == "text/csv"


def _matches(pattern: str, path: str) -> bool:
    """Whether a pattern takes a path, as TFX has it: a wildcard takes no ``/``."""
    parts, end = [], 0
    for found in _SPECIAL.finditer(pattern):
        parts.append(re.escape(pattern[end : found.start()]))
        special = found[0]
        parts.append({"*": "[^/]*", "?": "[^/]"}.get(special, ".*" if special[0] == "*" else special))
        end = found.end()
    return re.fullmatch("".join([*parts, re.escape(pattern[end:])]), path) is not None


class _Names:
    """Ids of nodes: relative IRIs, each given once."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, text: str, within: str = "") -> str:
        name = urllib.parse.quote(text, safe="" if within else "/") or "_"
        name = f"{within}/{name}" if within else name
        unique, number = name, 2
        while unique in self._given:
            unique, number = f"{name}-{number}", number + 1
        self._given.add(unique)
        return unique
