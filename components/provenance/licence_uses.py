"""What of a licence stands against a use: of the source, or of handing a model on under another licence."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple

from tfx_trust.components.provenance.config import IntendedUse
from tfx_trust.components.provenance.licence_terms import passes_as
from tfx_trust.components.provenance.licences import Choice, choices, known_licences

# Section 2 a 1 B: adapted material may be produced, but not shared. Earlier versions allow none.
_UNSHARED = ("CC-BY-ND-4.0", "CC-BY-NC-ND-4.0")


class Clash(NamedTuple):
    """A term that stands against a use, or may do so."""

    term: Literal["commercial", "derivatives", "distribution", "share_alike", "grant"]
    """``grant``: the licence that the model is handed on under gives more than was received."""
    degree: Literal["forbidden", "unknown", "limited"]
    """``limited``: the use is allowed for as long as the model is not handed on."""
    licences: tuple[str, ...]
    """Whose term it is."""


def chosen(
    expression: str | None, declared: Mapping[str, str] | None = None, use: IntendedUse | None = None
) -> Choice:
    """The combination of licences that stands least against a use, and of several such asks for least.

    Parameters
    ----------
    expression, declared
        As :func:`~tfx_trust.components.provenance.licences.choices` takes them.
    use
        What the model is for; none if that is not known.

    Raises
    ------
    UsageError
        If it is no licence expression.
    """

    def against(choice: Choice) -> tuple[int, ...]:
        found = [clash.degree for clash in clashes(choice, use)] if use else []
        return (*(found.count(degree) for degree in ("forbidden", "unknown", "limited")), *choice.demands())

    return min(choices(expression, declared), key=against)


def clashes(choice: Choice, use: IntendedUse) -> list[Clash]:
    """What stands against a use, or may do so."""
    terms, found = choice.terms, []
    if use.commercial and terms.commercial != "allowed":
        found.append(Clash("commercial", terms.commercial, choice.saying("commercial", terms.commercial)))
    if terms.derivatives != "allowed":
        whose = choice.saying("derivatives", terms.derivatives)
        kept = not use.distribution and all(name in _UNSHARED for name in whose)
        found.append(Clash("derivatives", "limited" if kept else terms.derivatives, whose))
    if use.distribution:
        found += _clashes_when_handed_on(choice, use)
    return found


def _clashes_when_handed_on(choice: Choice, use: IntendedUse) -> Iterator[Clash]:
    terms = choice.terms
    if terms.distribution != "allowed":
        yield Clash("distribution", terms.distribution, choice.saying("distribution", terms.distribution))
    if terms.share_alike == "unknown":
        yield Clash("share_alike", "unknown", choice.saying("share_alike", "unknown"))
    alike = choice.saying("share_alike", "required")
    if use.licence is None:
        if alike:
            yield Clash("share_alike", "unknown", alike)
        return
    refused = tuple(name for name in alike if not keeps_to(use.licence, name))
    if refused:
        yield Clash("share_alike", "forbidden", refused)
    if terms.commercial == "forbidden" and any(
        given.terms.commercial == "allowed" for given in choices(use.licence)
    ):
        yield Clash("grant", "forbidden", choice.saying("commercial", "forbidden"))


def keeps_to(licence: str, share_alike: str) -> bool:
    """Whether handing on under an expression keeps to a licence that wants to be shared alike.

    Whoever receives it may choose among the alternatives, so each of them has to.
    """
    allowed = _passes_as(share_alike)
    return all(any(name in allowed for name in given.licences) for given in choices(licence))


def common_licences(share_alike: Collection[str]) -> frozenset[str] | None:
    """Identifiers that keep to each of some licences that want to be shared alike; none if there are none."""
    return frozenset.intersection(*map(_passes_as, share_alike)) if share_alike else None


def _passes_as(identifier: str) -> frozenset[str]:
    return passes_as(identifier, known_licences())
