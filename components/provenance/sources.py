"""Raw inputs: what was read into a pipeline, of which TFX keeps no artifact.

They are found in the parameters of the executions that read them: a folder and patterns of an ExampleGen, the
query of one, the place that an importer was given.
"""

from __future__ import annotations

import datetime
import fnmatch
import json
import os
import re
from collections.abc import Iterable, Iterator

from tfx_trust.components.mlmd import Artifact, Execution, Prefixes, Value, rewritten
from tfx_trust.components.provenance.lineage import Lineage
from tfx_trust.components.provenance.masking import mask_text
from tfx_trust.components.provenance.record import SourceEntry

_DECLARATIONS = "TrustSourceDeclarations"
# What TFX reads where no pattern is given.
_DEFAULT_PATTERNS = {"single_split": "*"}
_SPAN = re.compile(r"\{SPAN(?::(?P<width>\d+))?\}")
_VERSION = re.compile(r"\{VERSION(?::(?P<width>\d+))?\}")
_DATE = ("{YYYY}", "{MM}", "{DD}")
_EPOCH = datetime.date(1970, 1, 1)
# Parameters that say where something was read from: of an Importer, of ImportSchemaGen.
_IMPORTED = ("artifact_uri", "source_uri", "schema_file")
# Parameters of one's own components that read something, and those that sound so and do not.
_READ = re.compile(r"input|data|source|path|file|folder|dir|uri|url", re.IGNORECASE)
_NOT_READ = re.compile(r"module|output|destination|root|log|te?mp|cache|beam|key|secret", re.IGNORECASE)


def sources_of(lineage: Lineage, *, rewrite: Prefixes = ()) -> list[SourceEntry]:
    """The raw inputs of a lineage; their files are not looked at.

    Parameters
    ----------
    lineage
        Of a model; with its artifacts' places as the store has them, or rewritten already.
    rewrite
        Prefixes of places, if the data were moved.
    """
    found = []
    for execution in lineage.executions.values():
        found += _read_by(execution, lineage)
    found += [
        SourceEntry(id="", kind="artifact", place=_safe(item.uri), made=[item.id], span=_span([item], {}))
        for item in lineage.unmade()
    ]
    return [
        entry.model_copy(update={"id": f"source:{number}", "place": rewritten(entry.place, rewrite)})
        for number, entry in enumerate(found, start=1)
    ]


def files_of(source: SourceEntry) -> list[str]:
    """The files of a source as they lie there now: absolute paths, or URIs, sorted.

    There are none of a query, and where nothing lies there.
    """
    if source.kind == "query":
        return []
    if not source.patterns:
        return sorted(_below(source.place))
    found: set[str] = set()
    for pattern in source.patterns.values():
        found.update(_matching(source.place, _any_number(pattern)))
    return sorted(found)


# What an execution read


def _read_by(execution: Execution, lineage: Lineage) -> list[SourceEntry]:
    given = execution.properties
    made = sorted({event.artifact for event in lineage.outputs_of(execution.id)})
    artifacts = [lineage.artifacts[number] for number in made if number in lineage.artifacts]
    # What is declared of sources is read from files, too.
    if all(item.type == _DECLARATIONS for item in artifacts):
        return []
    span, version = _span(artifacts, given), _number("version", artifacts, given)
    patterns = _patterns(given)

    def entry(kind: str, place: str, **more: object) -> SourceEntry:
        return SourceEntry.model_validate(
            {"id": "", "kind": kind, "place": place, "read_by": execution.id, "made": made, **more}
        )

    base = _text(given, "input_base")
    if base:
        filled = {
            split: _filled(pattern, _number("span", artifacts, given), version)
            for split, pattern in (patterns or _DEFAULT_PATTERNS).items()
        }
        return [entry("files", _folder(base), patterns=filled, span=span)]
    if lineage.inputs_of(execution.id):
        return []
    if patterns:
        queries = {split: mask_text(query) for split, query in patterns.items()}
        return [entry("query", "; ".join(dict.fromkeys(queries.values())), patterns=queries, span=span)]
    imported = next((place for name in _IMPORTED if (place := _text(given, name))), None)
    if imported:
        return [entry("import", _folder(imported), span=span)]
    read = [entry("files", _folder(place), span=span) for place in _places(given)]
    return read or [entry("artifact", _safe(artifacts[0].uri), span=span)]


def _patterns(given: dict[str, Value]) -> dict[str, str]:
    """Pattern, or query, by split."""
    try:
        splits = json.loads(_text(given, "input_config") or "{}").get("splits") or []
        return {str(item.get("name", "")): str(item["pattern"]) for item in splits if item.get("pattern")}
    except (ValueError, AttributeError, TypeError, KeyError):
        return {}


def _places(given: dict[str, Value]) -> list[str]:
    """Absolute places among the parameters of a component of one's own."""
    return [
        value
        for name, value in sorted(given.items())
        if isinstance(value, str)
        and _READ.search(name)
        and not _NOT_READ.search(name)
        and (value.startswith("/") or re.match(r"[a-z][a-z0-9+.-]*://", value))
        and "\n" not in value
    ]


def _text(given: dict[str, Value], name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""


def _folder(place: str) -> str:
    return _safe(place.rstrip("/")) or "/"


def _span(artifacts: Iterable[Artifact], given: dict[str, Value]) -> int | None:
    """Number of the span; none for 0, which TFX also calls data without numbers, unless a version is told."""
    artifacts = list(artifacts)
    number = _number("span", artifacts, given)
    return number if number or _number("version", artifacts, given) is not None else None


def _number(name: str, artifacts: Iterable[Artifact], given: dict[str, Value]) -> int | None:
    for properties in [*(item.properties for item in artifacts), given]:
        text = str(properties.get(name, ""))
        if re.fullmatch(r"-?\d+", text):
            return int(text)
    return None


def _filled(pattern: str, span: int | None, version: int | None) -> str:
    """A pattern with the numbers put in that TFX put in, where they are known."""
    if span is not None:
        pattern = _SPAN.sub(lambda match: str(span).zfill(int(match["width"] or 0)), pattern)
        if all(part in pattern for part in _DATE):
            day = _EPOCH + datetime.timedelta(days=span)
            for part, value in zip(_DATE, (f"{day:%Y}", f"{day:%m}", f"{day:%d}"), strict=True):
                pattern = pattern.replace(part, value)
    if version is not None:
        pattern = _VERSION.sub(lambda match: str(version).zfill(int(match["width"] or 0)), pattern)
    return pattern


def _safe(place: str) -> str:
    """A place without the user and password of an address; a local path stays what can be opened."""
    return mask_text(place) if "://" in place else place


# Files


def _any_number(pattern: str) -> str:
    for part in (_SPAN, _VERSION):
        pattern = part.sub("*", pattern)
    for date in _DATE:
        pattern = pattern.replace(date, "*")
    return pattern


def _below(place: str) -> Iterator[str]:
    if "://" in place:
        yield from _below_remote(place)
    elif os.path.isfile(place):
        yield place
    else:
        for folder, _, names in os.walk(place):
            yield from (os.path.join(folder, name) for name in names)


def _below_remote(place: str) -> Iterator[str]:
    from tfx.dsl.io import fileio

    if not fileio.exists(place):
        return
    if not fileio.isdir(place):
        yield place
        return
    for folder, _, names in fileio.walk(place):
        yield from (f"{str(folder).rstrip('/')}/{name}" for name in names)


def _matching(base: str, pattern: str) -> list[str]:
    """Files that a pattern below a folder names; ``*`` is any part of one name, as it is for TFX."""
    if "://" in base:
        from tfx.dsl.io import fileio

        found = fileio.glob(f"{base.rstrip('/')}/{pattern}") if fileio.exists(base) else []
        return [str(path) for path in found if not fileio.isdir(path)]
    return list(_descend(base, [part for part in pattern.split("/") if part not in ("", ".")]))


def _descend(folder: str, parts: list[str]) -> Iterator[str]:
    if not parts:
        return
    first, rest = parts[0], parts[1:]
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if not fnmatch.fnmatchcase(entry.name, first):
            continue
        if rest and entry.is_dir():
            yield from _descend(entry.path, rest)
        elif not rest and not entry.is_dir():
            yield entry.path
