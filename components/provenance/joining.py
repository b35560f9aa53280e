"""Several declarations that all hold of one source, as one: of what each says the strictest."""

from __future__ import annotations

from collections.abc import Sequence

from tfx_trust.components.provenance.config import TERMS, SourceDeclaration
from tfx_trust.components.provenance.licence_terms import strictest
from tfx_trust.components.provenance.licences import terms_of
from tfx_trust.components.provenance.purposes import common

_NOT_DECLARED = "LicenseRef-not-declared"


def joined(declarations: Sequence[SourceDeclaration], *, partly: bool = False) -> SourceDeclaration:
    """One declaration that is as strict as all of them.

    Parameters
    ----------
    declarations
        At least one.
    partly
        Whether there are files that none of them speaks of: their licence is unknown.
    """
    if len(declarations) == 1 and not partly:
        return declarations[0]
    texts = ("origin", "publisher", "version", "citation", "collection", "consent", "limitations", "contact")
    issued = {item.issued for item in declarations}
    bases = {item.legal_basis for item in declarations}
    categories = [item.personal_data for item in declarations]
    known = [category for given in categories for category in given or ()]
    return SourceDeclaration(
        name=" + ".join(dict.fromkeys(item.name for item in declarations)),
        covers=list(dict.fromkeys(pattern for item in declarations for pattern in item.covers)),
        issued=issued.pop() if len(issued) == 1 else None,
        licence=_licence(declarations, partly=partly),
        terms=_terms(declarations, partly=partly),
        legal_basis=bases.pop() if len(bases) == 1 and not partly else None,
        purposes=common(item.purposes for item in declarations),
        retention=min((item.retention for item in declarations if item.retention), default=None),
        personal_data=None if not known and (partly or None in categories) else sorted(set(known)),
        **{name: "; ".join(_texts(declarations, name)) or None for name in texts},
    )


def _texts(declarations: Sequence[SourceDeclaration], name: str) -> list[str]:
    return list(dict.fromkeys(text for item in declarations if (text := getattr(item, name))))


def _licence(declarations: Sequence[SourceDeclaration], *, partly: bool) -> str | None:
    given = list(dict.fromkeys(item.licence for item in declarations))
    if given == [None]:
        return None
    if partly and None not in given:
        given.append(None)
    parts = [licence or _NOT_DECLARED for licence in given]
    return " AND ".join(f"({part})" if len(parts) > 1 and " " in part else part for part in parts)


def _terms(declarations: Sequence[SourceDeclaration], *, partly: bool) -> dict[str, str]:
    """Of each term the strictest; nothing of one that is allowed unless all that say anything allow it."""
    saying = [item.terms for item in declarations if _says_terms(item)]
    # A listed licence speaks for itself, unless nobody knows what it says.
    listed = [terms_of(item.licence, {}) for item in declarations if not _says_terms(item)]
    found = {}
    for name in TERMS:
        said = [terms.get(name, "unknown") for terms in saying] + ["unknown"] * partly
        said += ["unknown" for terms in listed if getattr(terms, name) == "unknown"]
        strict = strictest(*said) if said else "unknown"
        if strict != "unknown":
            found[name] = strict
    return found


def _says_terms(declaration: SourceDeclaration) -> bool:
    """Whether its terms are its own, rather than those of a listed licence."""
    licence = declaration.licence
    return bool(declaration.terms) or licence is None or "LicenseRef-" in licence
