"""Settings of the provenance components, and what is declared of a source."""

from __future__ import annotations

import datetime
import re
from typing import Any, Literal

import pydantic

from tfx_trust.components.settings import Settings

LegalBasis = Literal[
    "consent",
    "contract",
    "legal_obligation",
    "vital_interests",
    "public_task",
    "legitimate_interests",
    "not_personal_data",
]
"""The grounds of Art. 6(1) GDPR on which personal data may be processed, or that nobody can be identified by
the data."""

_PASSWORD = re.compile(r"://[^/\s@]*:[^/\s@]+@")


class SourceDeclaration(Settings):
    """What somebody answers for about a source of data: no program can find it out.

    The fields are those that the Data & Trust Alliance's Data Provenance Standards 1.0 ask for, as far as a
    pipeline can do something with them. Whatever is left out is reported as unknown, never assumed.

    Examples
    --------
    >>> declared = SourceDeclaration(name="UCI Adult", licence="CC-BY-4.0", purposes=["research"])
    >>> declared.retention is None
    True
    """

    name: str = pydantic.Field(min_length=1)
    """What the source is called, in reports and queries."""
    covers: list[str] = []
    """Which inputs it speaks of: paths, URIs or queries, with the wildcards of the shell, relative ones
    from the folder that the declaration lies in. Empty: all in that folder, or, for a declaration that lies
    in none, every source that no other declaration covers."""
    origin: str | None = None
    """Where the data came from: an address, a DOI, a system."""
    publisher: str | None = None
    """Who issued them."""
    version: str | None = None
    """Of the data, as the publisher counts."""
    issued: datetime.date | None = None
    """When they were published."""
    citation: str | None = None
    """How they are to be cited."""
    licence: str | None = None
    """SPDX licence expression, e.g. ``CC-BY-4.0`` or ``CC-BY-NC-4.0 OR LicenseRef-contract-17``."""
    terms: dict[str, Literal["allowed", "forbidden", "required"]] = {}
    """What an own licence (``LicenseRef-…``) says of ``commercial``, ``derivatives``, ``distribution``
    (allowed or forbidden), ``attribution`` and ``share_alike`` (required). Of a licence of the SPDX list it
    settles what is not known of it, and restricts what it allows."""
    collection: str | None = None
    """How the data were collected."""
    legal_basis: LegalBasis | None = None
    """On which ground personal data are processed."""
    consent: str | None = None
    """Where consent is recorded, or what was consented to."""
    purposes: list[str] | None = None
    """What the data may be used for; ``any`` for all. A purpose covers those below it: ``research`` covers
    ``research/health``."""
    retention: datetime.date | None = None
    """The day after which the data, and what was made of them, must not be used any more."""
    personal_data: list[str] | None = None
    """Categories of data about people, e.g. ``age``, ``health``; an empty list says that there are none.
    ``legal_basis`` tells whether anybody can be identified by them."""
    limitations: str | None = None
    """What the data do not tell, or only distortedly."""
    contact: str | None = None
    """Who answers for the data."""

    @pydantic.field_validator("terms")
    @classmethod
    def _known_terms(cls, terms: dict[str, str]) -> dict[str, str]:
        for name, said in terms.items():
            if name not in TERMS:
                raise ValueError(f"unknown term {name!r}; known ones are {', '.join(TERMS)}")
            if said not in TERMS[name]:
                raise ValueError(f"{name} = {said!r}; possible are {', '.join(TERMS[name])}")
        return terms

    @pydantic.field_validator("licence")
    @classmethod
    def _an_expression(cls, licence: str | None) -> str | None:
        from tfx_trust.components.provenance.licences import check_expression

        return None if licence is None else check_expression(licence)

    @pydantic.field_validator("issued", "retention", mode="before")
    @classmethod
    def _a_day(cls, given: Any) -> Any:
        # A number, as text too, would be taken for seconds since 1970.
        if isinstance(given, (int, float)) or (
            isinstance(given, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", given)
        ):
            raise ValueError("a day is written as 2030-12-31")
        return given

    @pydantic.model_validator(mode="after")
    def _no_password(self) -> SourceDeclaration:
        for name in type(self).model_fields:
            given = getattr(self, name)
            for text in given if isinstance(given, list) else [given]:
                if isinstance(text, str) and _PASSWORD.search(text):
                    raise ValueError(f"{name} holds an address with a password; leave that out")
        return self


TERMS = {
    "commercial": ("allowed", "forbidden"),
    "derivatives": ("allowed", "forbidden"),
    "distribution": ("allowed", "forbidden"),
    "attribution": ("allowed", "required"),
    "share_alike": ("allowed", "required"),
}
"""What a licence can say, by term. ``attribution: allowed`` and ``share_alike: allowed`` mean: not asked
for."""


class IntendedUse(Settings):
    """What the model is to be used for: held against what its sources allow."""

    purpose: str = pydantic.Field(min_length=1)
    """In the words of the declarations' ``purposes``, e.g. ``research/health``."""
    commercial: bool = True
    """Whether somebody earns by it; yes unless it is said otherwise."""
    distribution: bool = False
    """Whether the model itself is handed to others."""
    licence: str | None = None
    """Under which licence (SPDX) it is handed on, if it is."""

    @pydantic.field_validator("licence")
    @classmethod
    def _an_expression(cls, licence: str | None) -> str | None:
        from tfx_trust.components.provenance.licences import check_expression

        return None if licence is None else check_expression(licence)


class SubjectIndex(Settings):
    """The opt-in index of data subjects: who is in the training data, without a name in it."""

    feature: str = pydantic.Field(min_length=1)
    """The feature of the raw examples that identifies a subject."""
    key_file: str | None = None
    """File with the secret key, at least 32 bytes; what is indexed cannot be found without it."""
    key_env: str | None = None
    """Name of the environment variable that holds the key instead."""

    @pydantic.model_validator(mode="after")
    def _one_key(self) -> SubjectIndex:
        if (self.key_file is None) == (self.key_env is None):
            raise ValueError("key_file, key_env: give one of the two")
        return self


class ProvenanceSettings(Settings):
    """Settings of ProvenanceTracker and of ``tfx-trust provenance record``.

    Examples
    --------
    >>> ProvenanceSettings(use=IntendedUse(purpose="research")).require_signature
    False
    """

    declarations: list[SourceDeclaration] = []
    """Of sources; those that lie beside the data as ``source.yaml``, and those of a SourceDeclarer that is
    connected, are read too."""
    use: IntendedUse | None = None
    """What the model is to be used for. Without it, licences and purposes are told and not judged."""
    require_declarations: bool = False
    """Whether an undeclared source fails, rather than warns."""
    require_signature: bool = False
    """Whether an unsigned record fails, rather than being told."""
    require_commit: bool = False
    """Whether code fails that is in no git commit, or was changed since, rather than being told."""
    signing_key: str | None = None
    """File with the private key, PEM, ECDSA P-256, that the model and its record are signed with."""
    signing_key_env: str | None = None
    """Name of the environment variable that holds the PEM text of the key instead."""
    repository: str | None = None
    """Folder of the git repository of the code; that of the module that is trained by if not given."""
    container: str | None = None
    """Name and digest of the container image that the pipeline runs in."""
    subjects: SubjectIndex | None = None
    """Index of data subjects; none is made if not given."""

    @pydantic.field_validator("signing_key", "signing_key_env")
    @classmethod
    def _no_key_itself(cls, name: str | None) -> str | None:
        if name is not None and ("-----BEGIN" in name or "\n" in name):
            raise ValueError("a key was given where the name of its file or environment variable is wanted")
        return name

    @pydantic.model_validator(mode="after")
    def _at_most_one_key(self) -> ProvenanceSettings:
        if self.signing_key is not None and self.signing_key_env is not None:
            raise ValueError("signing_key, signing_key_env: give one of the two, or neither")
        return self
