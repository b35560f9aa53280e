"""What of the declarations of sources stands against what a model is to be used for."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from tfx_trust.components.provenance.config import IntendedUse
from tfx_trust.components.provenance.licence_uses import Clash, clashes, common_licences
from tfx_trust.components.provenance.licences import choices
from tfx_trust.components.provenance.purposes import covers
from tfx_trust.components.provenance.record import Obligations, SourceEntry
from tfx_trust.components.provenance.spoken import Spoken, spoken_of
from tfx_trust.components.report import Estimate, Finding, Severity

RETENTION_NEAR_DAYS = 30
"""So many days before a source must be gone, it is told."""

# What a term of a licence allows, in words.
_ALLOWS = {
    "commercial": "commercial use",
    "derivatives": "making something of the data",
    "distribution": "handing on what is made of the data",
    "share_alike": "handing it on under another licence",
}


def conflicts(
    sources: Sequence[SourceEntry],
    obligations: Obligations,
    use: IntendedUse | None,
    today: datetime.date,
    *,
    require_declarations: bool = False,
) -> list[Finding]:
    """What of the declarations stands against the use, has run out, or is missing.

    Parameters
    ----------
    sources
        All raw inputs of the model.
    obligations
        What it inherits of them.
    use
        What it is for; if not given, licences and purposes are not judged.
    today
        What retention is counted from.
    require_declarations
        Whether a source fails that nothing is declared of, rather than warns.
    """
    findings = list(_undeclared(sources, obligations, fails=require_declarations))
    spoken = spoken_of(sources)
    for item in spoken:
        findings += _licence(item, use)
        findings += _purpose(item, use)
        findings += _retention(item, today)
        findings += _personal_data(item)
    if use is not None:
        findings += _combination(spoken, obligations, use)
    return findings


def _undeclared(
    sources: Sequence[SourceEntry], obligations: Obligations, *, fails: bool
) -> Iterator[Finding]:
    severity = Severity.FAIL if fails else Severity.WARN
    places = {source.id: source.place for source in sources}
    for number in obligations.undeclared:
        yield Finding(
            check="undeclared_source",
            severity=severity,
            subject=number,
            message=f"Nothing is declared of {places.get(number, number)}: neither where it comes from, nor "
            "what it may be used for.",
            remedy="Write down what is known in a file source.yaml beside the data (in the folder above, if "
            "ExampleGen reads all files of theirs), or in the settings.",
        )
    if fails and not sources:
        yield Finding(
            check="undeclared_source",
            severity=severity,
            message="No source of the model was found, so nothing is declared of any.",
            remedy="Make the record from the metadata store that the model was made with.",
        )


def _licence(item: Spoken, use: IntendedUse | None) -> Iterator[Finding]:
    declaration = item.declaration
    evidence = {"licence": declaration.licence} if declaration.licence else {}
    if declaration.licence is None and not declaration.terms:
        yield item.finding(
            "licence_unknown",
            Severity.INFO if use is None else Severity.WARN,
            f"Nothing is declared of the licence of {item.name}.",
            f"Ask {item.whom}, and write the licence into its declaration.",
        )
        return
    choice = item.choice(use)
    if use is not None:
        found = clashes(choice, use)
        for clash in found:
            if clash.degree != "unknown":
                yield item.finding("licence_conflict", *_against(item, clash, use), evidence=evidence)
        unknown = [clash for clash in found if clash.degree == "unknown"]
        if choice.terms.share_alike == "required":
            unsaid = [clash for clash in unknown if clash.term == "share_alike"]
            unknown = [clash for clash in unknown if clash not in unsaid]
            for clash in unsaid:
                yield item.finding("licence_unknown", *_not_said(item, clash), evidence=evidence)
        if unknown:
            yield item.finding("licence_unknown", *_not_known(item, unknown), evidence=evidence)
    if choice.terms.attribution == "required":
        cited = declaration.citation or ", ".join(
            filter(None, (item.name, declaration.publisher, declaration.origin))
        )
        yield item.finding(
            "attribution_required",
            Severity.INFO,
            f"{item.name} must be named ({item.licence}): {cited}",
            "Name it wherever the model, or what it gives, is published.",
            evidence=evidence,
        )


def _against(item: Spoken, clash: Clash, use: IntendedUse) -> tuple[Severity, str, str]:
    """What a term that is known says against the use."""
    name, by = item.name, ", ".join(clash.licences)
    instead = f"use another source, or ask {item.whom} for a licence that allows it"
    if clash.degree == "limited":
        return (
            Severity.WARN,
            f"{name} ({by}) may be adapted, but what is made of it may not be shared.",
            f"Hand the model to nobody else, or {instead}.",
        )
    messages = {
        "commercial": (
            f"{name} must not be used commercially ({by}), and the model is to be.",
            f"Declare a use that is not commercial if that is so; else {instead}.",
        ),
        "derivatives": (
            f"Nothing may be made of {name} ({by}), and the model was.",
            f"Train without it: {instead}.",
        ),
        "distribution": (
            f"What is made of {name} must not be handed to others ({by}), and the model is to be.",
            f"Keep the model to yourselves; else {instead}.",
        ),
        "share_alike": (
            f"What is made of {name} may be handed on under {by} only, and the model is to be under "
            f"{use.licence}.",
            f"Hand it on under {by}; else {instead}.",
        ),
        "grant": (
            f"{name} must not be used commercially ({by}), and the model is handed on under {use.licence}, "
            "which allows that.",
            f"Hand it on under a licence that forbids commercial use; else {instead}.",
        ),
    }
    return (Severity.FAIL, *messages[clash.term])


def _not_said(item: Spoken, clash: Clash) -> tuple[Severity, str, str]:
    """That the model has to be under the source's licence, where it is not said under which it is."""
    return (
        Severity.WARN,
        f"What is made of {item.name} may be handed on under {', '.join(clash.licences)} only, and "
        "it is not said under which licence the model is to be.",
        "Give the licence of the model in the intended use.",
    )


def _not_known(item: Spoken, unknown: Sequence[Clash]) -> tuple[Severity, str, str]:
    """What is not known of the terms that the use touches."""
    terms = " and ".join(_ALLOWS[clash.term] for clash in unknown)
    return (
        Severity.WARN,
        f"It is not known whether {item.name} ({item.licence}) allows {terms}.",
        f"Read the licence, or ask {item.whom}, and write down what it says as terms in the declaration.",
    )


def _purpose(item: Spoken, use: IntendedUse | None) -> Iterator[Finding]:
    if use is None:
        return
    purposes = item.declaration.purposes
    if purposes is None:
        personal = bool(item.declaration.personal_data)
        yield item.finding(
            "purpose_unknown",
            Severity.WARN if personal else Severity.INFO,
            f"It is not declared what {item.name} may be used for; the model is for {use.purpose}.",
            f"Ask {item.whom}, and write the purposes into its declaration.",
        )
    elif not any(covers(allowed, use.purpose) for allowed in purposes):
        allowed = ", ".join(purposes) or "no purpose at all"
        yield item.finding(
            "purpose_conflict",
            Severity.FAIL,
            f"{item.name} may be used for {allowed}, and the model is for {use.purpose}.",
            f"Use another source, or ask {item.whom} whether the data may be used for this too.",
            evidence={"purposes": purposes, "purpose": use.purpose},
        )


def _retention(item: Spoken, today: datetime.date) -> Iterator[Finding]:
    last = item.declaration.retention
    if last is None:
        return
    left = (last - today).days
    evidence = {"retention": last.isoformat()}
    if left < 0:
        yield item.finding(
            "retention_passed",
            Severity.FAIL,
            f"{item.name} had to be gone after {last}, {_days(-left)} ago, and so had what was made of it.",
            "Take the data away, withdraw the model, and train it anew without them.",
            threshold=0,
            statistic=Estimate(value=left),
            evidence=evidence,
        )
    elif left <= RETENTION_NEAR_DAYS:
        yield item.finding(
            "retention_near",
            Severity.WARN,
            f"{item.name} must be gone after {last}, {f'in {_days(left)}' if left else 'which is today'}, "
            "and so must what was made of it.",
            f"Plan a model without it, or ask {item.whom} for longer.",
            threshold=RETENTION_NEAR_DAYS,
            statistic=Estimate(value=left),
            evidence=evidence,
        )


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number:,} days"


def _personal_data(item: Spoken) -> Iterator[Finding]:
    declaration = item.declaration
    if not declaration.personal_data:
        return
    categories = ", ".join(declaration.personal_data)
    basis = declaration.legal_basis
    if basis is None:
        yield item.finding(
            "legal_basis_missing",
            Severity.WARN,
            f"{item.name} holds personal data ({categories}), and no legal basis is declared.",
            "Write the legal basis into its declaration, or that nobody can be identified "
            "(not_personal_data).",
        )
    elif basis == "consent" and not declaration.consent:
        yield item.finding(
            "consent_missing",
            Severity.WARN,
            f"{item.name} holds personal data by consent, and it is not said where that is recorded.",
            "Write into its declaration where consent is recorded, or what was consented to.",
        )
    told = "of which it is declared that they identify nobody" if basis == "not_personal_data" else None
    by = (
        told or f"on the legal basis of {basis.replace('_', ' ')}"
        if basis
        else "on no legal basis that is told"
    )
    yield item.finding(
        "personal_data",
        Severity.INFO,
        f"{item.name} holds data about people ({categories}), {by}.",
        evidence={"categories": declaration.personal_data, "legal_basis": basis},
    )


def _combination(spoken: Sequence[Spoken], obligations: Obligations, use: IntendedUse) -> Iterator[Finding]:
    """Licences that each want the model for themselves."""
    alike = obligations.share_alike
    if not use.distribution or len(alike) < 2 or _together(spoken):
        return
    yield Finding(
        check="licences_incompatible",
        severity=Severity.FAIL,
        subject=" + ".join(alike),
        message=f"What is made of the sources may be handed on under {' and under '.join(alike)} only, "
        "and no licence is both.",
        remedy="Keep the model to yourselves, or train it without the sources of one of these licences.",
        evidence={"licences": alike},
    )


def _together(spoken: Sequence[Spoken]) -> bool:
    """Whether the licences can be chosen so that one licence keeps to all that want to be shared alike."""
    left: set[frozenset[str] | None] = {None}
    for item in spoken:
        wanted = [
            common_licences(choice.saying("share_alike", "required"))
            for choice in choices(item.declaration.licence, item.declaration.terms)
        ]
        left = {_both(mine, theirs) for mine in left for theirs in wanted} - {frozenset()}
    return bool(left)


def _both(mine: frozenset[str] | None, theirs: frozenset[str] | None) -> frozenset[str] | None:
    if mine is None or theirs is None:
        return theirs if mine is None else mine
    return mine & theirs
