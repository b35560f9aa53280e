"""What a model inherits of its sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from tfx_trust.components.provenance.config import IntendedUse
from tfx_trust.components.provenance.conflicts import conflicts
from tfx_trust.components.provenance.licence_terms import strictest
from tfx_trust.components.provenance.purposes import common
from tfx_trust.components.provenance.record import Obligations, SourceEntry
from tfx_trust.components.provenance.spoken import Spoken, spoken_of

__all__ = ["conflicts", "inherit"]


def inherit(sources: Sequence[SourceEntry], *, use: IntendedUse | None = None) -> Obligations:
    """What a model inherits of its sources: of each term the strictest.

    Forbidden is stricter than unknown, and unknown stricter than allowed; of a source that nothing is
    declared of, all is unknown. A model that was made of another one inherits of the other's sources, which
    are in its lineage.

    Parameters
    ----------
    sources
        All raw inputs of the model.
    use
        What it is for: where a licence lets choose, the choice is made for that; if not given, the choice is
        the one that asks for least.
    """
    declared = spoken_of(sources)
    picked = [(item, item.choice(use)) for item in declared]
    undeclared = sorted({source.id for source in sources if source.declaration is None})
    terms = [choice.terms for _, choice in picked]

    def worst(term: Literal["commercial", "derivatives", "distribution"]) -> str:
        said = [getattr(item, term) for item in terms] + ["unknown"] * bool(undeclared or not terms)
        return strictest(*said)

    return Obligations.model_validate(
        {
            "licences": sorted({licence for item in declared if (licence := item.declaration.licence)}),
            "commercial": worst("commercial"),
            "derivatives": worst("derivatives"),
            "distribution": worst("distribution"),
            "attribution": sorted(
                {item.name for item, choice in picked if choice.terms.attribution == "required"}
            ),
            "share_alike": sorted(
                {name for _, choice in picked for name in choice.saying("share_alike", "required")}
            ),
            "purposes": common(item.declaration.purposes for item in declared),
            "retention": _earliest(declared),
            "personal_data": sorted(
                {category for item in declared for category in item.declaration.personal_data or ()}
            ),
            "legal_bases": _legal_bases(declared),
            "undeclared": undeclared,
        }
    )


def _earliest(declared: Iterable[Spoken]) -> str | None:
    days = [day for item in declared if (day := item.declaration.retention)]
    return min(days).isoformat() if days else None


def _legal_bases(declared: Sequence[Spoken]) -> dict[str, str]:
    """By name of the source; where two are called the same, all that they say."""
    found: dict[str, set[str]] = {}
    for item in declared:
        if item.declaration.legal_basis:
            found.setdefault(item.name, set()).add(item.declaration.legal_basis)
    return {name: ", ".join(sorted(bases)) for name, bases in sorted(found.items())}
