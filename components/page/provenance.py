"""What the page of a provenance report says: the origin in a sentence, sources, changes, how to check it."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterable, Mapping

from tfx_trust.components.page import lineage, words
from tfx_trust.components.provenance.config import SourceDeclaration
from tfx_trust.components.provenance.record import Change
from tfx_trust.components.provenance.report import (
    ProvenanceReport,
    ProvenanceSection,
    SourceSummary,
)

SOURCE_KINDS = {
    "files": "files that were read",
    "query": "a query",
    "import": "imported",
    "artifact": "examples that nothing made",
}
LEGAL_BASES = {
    "consent": "consent",
    "contract": "contract",
    "legal_obligation": "legal obligation",
    "vital_interests": "vital interests",
    "public_task": "public task",
    "legitimate_interests": "legitimate interests",
    "not_personal_data": "identifies nobody, as declared",
}
REASONS = {
    "read_anew": "new data: it was read anew since",
    "same_size": "it has the size of the old one, so that TFX may take it for that",
    "after_reading": "after it was read: the model was made of what lay there before",
}
TERM_TONES = {"allowed": "done", "forbidden": "warn", "unknown": "not_run"}

# Fields of a declaration that the table has no column for.
_FURTHER = {
    "origin": "Origin",
    "publisher": "Publisher",
    "version": "Version",
    "issued": "Issued",
    "citation": "To be cited as",
    "collection": "Collected",
    "consent": "Consent",
    "purposes": "May be used for",
    "limitations": "Limitations",
    "contact": "Contact",
}


# In a sentence ------------------------------------------------------------------------------------


def headline(report: ProvenanceReport) -> str:
    """What the model is made of, in one sentence."""
    section = report.provenance
    made_of = lineage.ancestors(section)
    executions = sum(node.count for node in made_of if node.kind == "execution")
    parts = [node for node in made_of if node.kind != "execution"]
    by = f" by {words.plural(executions, 'execution')}" if executions else ""
    files = sum(node.files for node in parts)
    digests = f"the digests of {words.plural(files, 'file')}, {words.size(sum(node.bytes for node in parts))}"
    signed = f"signed by key {short(section.signature.key_id, 8)}" if section.signature else "not signed"
    return (
        f"The model was made from {_sources(section.sources)}{by}. The record, {signed}, has "
        f"{digests if files else 'the digest of no file'}."
    )


def _sources(sources: Iterable[SourceSummary]) -> str:
    sources = list(sources)
    if not sources:
        return "no source that is known"
    licences = sorted(
        {item.declaration.licence for item in sources if item.declaration and item.declaration.licence}
    )
    unknown = sum(item.declaration is None or item.declaration.licence is None for item in sources)
    if unknown == len(sources):
        licences = ["licence not known" if unknown == 1 else "no licence known"]
    elif unknown:
        licences.append(f"{unknown} without a known licence")
    return f"{words.plural(len(sources), 'source')} ({', '.join(licences)})"


def short(digest: str, letters: int = 12) -> str:
    """The beginning of a digest.

    Examples
    --------
    >>> short("ab12cd34ef56", 4), short("ab12", 8)
    ('ab12…', 'ab12')
    """
    return digest if len(digest) <= letters else f"{digest[:letters]}…"


def window(change: Change) -> str:
    """When a file changed, as far as it is known.

    Examples
    --------
    >>> window(Change(path="a", kind="changed", seen="2026-03-04T08:01:12+00:00"))
    'after 4 March 2026, 08:01 UTC'
    """
    ends = [("after", change.seen), ("before", change.found)]
    return " and ".join(f"{word} {words.when(moment)}" for word, moment in ends if moment) or "not known"


# Sources, changes, signatures ---------------------------------------------------------------------


def name_of(source: SourceSummary) -> str:
    """What a source is called: as it is declared, else by the end of its place."""
    if source.declaration is not None:
        return source.declaration.name
    return source.place.rstrip("/").rpartition("/")[2] or source.place or source.id


def further(declaration: SourceDeclaration) -> list[tuple[str, str]]:
    """What is declared beyond the table's columns, as names and values."""
    rows = []
    for field, label in _FURTHER.items():
        value = getattr(declaration, field)
        if value is None or value == []:
            continue
        if isinstance(value, datetime.date):
            value = day(value.isoformat())
        rows.append((label, ", ".join(value) if isinstance(value, list) else str(value)))
    rows += [(f"Term: {name.replace('_', ' ')}", said) for name, said in declaration.terms.items()]
    return rows


def legal_bases(bases: str) -> str:
    """The legal bases that sources of one name have, in words.

    Examples
    --------
    >>> legal_bases("consent, legal_obligation")
    'consent, legal obligation'
    """
    return ", ".join(LEGAL_BASES.get(basis, basis) for basis in bases.split(", "))


def day(date: str) -> str:
    """A date as people write it; as it stands where it is none.

    Examples
    --------
    >>> day("2027-12-31")
    '31 December 2027'
    """
    try:
        return words.moment(datetime.datetime.fromisoformat(date)).partition(",")[0]
    except ValueError:
        return date


def over(date: str | datetime.date | None, report: ProvenanceReport) -> bool:
    """Whether a date was over when the report was made."""
    return date is not None and str(date) < report.created.date().isoformat()


def tone_of(change: Change) -> str:
    """What a change is coloured by: new data are no fault."""
    return {"read_anew": "info", "after_reading": "warn"}.get(change.reason or "", "fail")


def subject(change: Change, section: ProvenanceSection) -> tuple[str, str]:
    """What a changed file belongs to: the name, and the anchor on the page, if it has one."""
    if change.artifact is None and change.source is None:
        return "code", ""
    return named(change.source or f"artifact:{change.artifact}", section)


def named(identifier: str, section: ProvenanceSection) -> tuple[str, str]:
    """The name of a part by its id, and its anchor on the page, if it has one; other words as they are.

    Examples
    --------
    >>> from tfx_trust.components.provenance.report import LineageNode
    >>> nodes = [LineageNode(id="artifact:14", kind="artifact", label="Model")]
    >>> section = ProvenanceSection.model_construct(nodes=nodes, sources=[])
    >>> named("artifact:14", section), named("artifact:15", section), named("the model", section)
    (('Model 14', 'artifact-14'), ('artifact 15', ''), ('the model', ''))
    """
    for node in section.nodes:
        if node.id == identifier:
            return lineage.titled(node), lineage.anchor(identifier)
    for source in section.sources:
        if source.id == identifier:
            return name_of(source), ""
    kind, _, number = identifier.partition(":")
    return (f"{kind} {number}" if kind in lineage.KINDS and number.isdigit() else identifier), ""


def is_drawn(name: str, section: ProvenanceSection) -> bool:
    """Whether a part has a row of its own, or is one of several that share one."""
    return any(node.id == name for node in section.nodes)


def names_of(identifiers: Iterable[str], section: ProvenanceSection) -> list[str]:
    """Sources by name, given their ids."""
    known = {item.id: name_of(item) for item in section.sources}
    return [known.get(name, name) for name in identifiers]


def commands(section: ProvenanceSection) -> list[str]:
    """How to check record and signatures, from the folder of the page."""
    own = ["tfx-trust", "provenance", "verify", "."]
    if section.signature is None:
        return [shlex.join(own)]
    model = section.model if "://" not in section.model else "MODEL_DIR"
    return [
        shlex.join([*own, "--public-key", "KEY.pub"]),
        shlex.join(
            ["model_signing", "verify", "key", model, "--signature", "model.sig", "--public_key", "KEY.pub"]
        ),
    ]


def columns(packages: Mapping[str, str]) -> str:
    """Packages as pip writes them, one a line."""
    return "\n".join(f"{name}=={version}" for name, version in sorted(packages.items()))
