"""The declarations of a model's sources, each once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tfx_trust.components.provenance.config import IntendedUse, SourceDeclaration
from tfx_trust.components.provenance.licence_uses import chosen
from tfx_trust.components.provenance.licences import Choice
from tfx_trust.components.provenance.record import SourceEntry
from tfx_trust.components.report import Finding, Severity


class Spoken(NamedTuple):
    """A declaration, and the sources that it speaks of."""

    declaration: SourceDeclaration
    sources: tuple[str, ...]
    """Their ids."""

    @property
    def name(self) -> str:
        """What the source is called."""
        return self.declaration.name

    @property
    def licence(self) -> str:
        """Its licence, in words."""
        return self.declaration.licence or "terms of its own"

    @property
    def whom(self) -> str:
        """Who can be asked."""
        return self.declaration.contact or self.declaration.publisher or "whoever answers for the data"

    def choice(self, use: IntendedUse | None) -> Choice:
        """Of the licences that it lets choose from, those for this use."""
        return chosen(self.declaration.licence, self.declaration.terms, use)

    def finding(
        self,
        check: str,
        severity: Severity,
        message: str,
        remedy: str = "",
        *,
        evidence: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Finding:
        """A finding about it."""
        return Finding(
            check=check,
            severity=severity,
            subject=self.name,
            message=message,
            remedy=remedy,
            evidence={"sources": list(self.sources), **(evidence or {})},
            **more,
        )


def spoken_of(sources: Iterable[SourceEntry]) -> list[Spoken]:
    """Each declaration once, by name, with the sources that have it."""
    found: dict[str, tuple[SourceDeclaration, set[str]]] = {}
    for source in sources:
        if source.declaration is not None:
            text = source.declaration.to_json()
            found.setdefault(text, (source.declaration, set()))[1].add(source.id)
    ordered = sorted(found.items(), key=lambda item: (item[1][0].name, item[0]))
    return [Spoken(declaration, tuple(sorted(ids))) for _, (declaration, ids) in ordered]
