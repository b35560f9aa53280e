"""What the licences that are widely used for data and code say: a table, by identifier of the SPDX list.

It tells what holds for something that is *made of* licensed material, such as a model. It is no legal advice;
what it does not know it calls unknown. Each rule names what it was read from.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

Permission = Literal["allowed", "forbidden", "unknown"]
Duty = Literal["allowed", "required", "unknown"]
"""``allowed`` says that it is not asked for."""

_STRICTNESS = {"allowed": 0, "unknown": 1, "forbidden": 2, "required": 2}


@dataclass(frozen=True)
class Terms:
    """What a licence says, term by term."""

    commercial: Permission = "unknown"
    """Whether somebody may earn by it."""
    derivatives: Permission = "unknown"
    """Whether anything may be made of the material."""
    distribution: Permission = "unknown"
    """Whether what is made of it may be handed to others."""
    attribution: Duty = "unknown"
    """Whether the source must be named."""
    share_alike: Duty = "unknown"
    """Whether what is made of it may be handed on under the same licence only."""

    def and_(self, other: Terms) -> Terms:
        """What holds where both do: of each term the stricter, and unknown rather than allowed."""
        others = asdict(other)
        found: dict[str, Any] = {name: strictest(said, others[name]) for name, said in asdict(self).items()}
        return Terms(**found)

    def with_declared(self, declared: Mapping[str, str]) -> Terms:
        """With what somebody answers for: it settles what is unknown and restricts what is allowed."""
        found: dict[str, Any] = {
            name: declared[name] if said == "unknown" else strictest(said, declared[name])
            for name, said in asdict(self).items()
            if name in declared
        }
        return replace(self, **found)


FREE = Terms("allowed", "allowed", "allowed", "allowed", "allowed")
"""All is allowed and nothing asked for."""
_NOTICE = Terms("allowed", "allowed", "allowed", "required", "allowed")
_COPYLEFT = Terms("allowed", "allowed", "allowed", "required", "required")
_OPEN = Terms("allowed", "allowed", "allowed")


def strictest(*said: str) -> str:
    """Of what is said of one term the strictest.

    Examples
    --------
    >>> strictest("allowed", "unknown"), strictest("unknown", "forbidden")
    ('unknown', 'forbidden')
    """
    return max(said, key=_STRICTNESS.__getitem__)


class _Rule(NamedTuple):
    """Of a family of licences."""

    identifiers: str
    """Regular expression of all of the identifier."""
    terms: Terms | Callable[[re.Match[str]], Terms]
    read_from: str


def _creative_commons(found: re.Match[str]) -> Terms:
    elements = found["elements"].split("-")
    return Terms(
        commercial="forbidden" if "NC" in elements else "allowed",
        derivatives="forbidden" if "ND" in elements else "allowed",
        distribution="allowed",
        attribution="required" if "BY" in elements else "allowed",
        share_alike="required" if "SA" in elements else "allowed",
    )


_RULES = (
    _Rule(
        r"CC-(?P<elements>[A-Z]{2}(-[A-Z]{2})*)-\d\.\d(-[A-Z]+)?",
        _creative_commons,
        "the elements in the name; https://creativecommons.org/share-your-work/cclicenses/",
    ),
    _Rule(
        r"CC0-1\.0|CC-PDDC|CC-PDM-1\.0|PDDL-1\.0|Unlicense|0BSD|MIT-0|WTFPL|DL-DE-ZERO-2\.0|NIST-PD"
        r"|SAX-PD(-2\.0)?|NCBI-PD|NTIA-PD|blessing",
        FREE,
        "their texts: rights are given up, or asked for in no way",
    ),
    _Rule(
        r"CDLA-Permissive-[12]\.0|CDLA-Sharing-1\.0|C-UDA-1\.0|O-UDA-1\.0",
        FREE,
        "CDLA-Permissive-2.0 section 3.1, CDLA 1.0 sections 1.1 and 1.13, C-UDA section 2.2, O-UDA section "
        "2.1.2: nothing is asked for Results, which models are; what is asked for the data stays with them",
    ),
    _Rule(
        r"ODC-By-1\.0|OGL-UK-[123]\.0|OGL-Canada-2\.0|OGDL-Taiwan-1\.0|NLOD-[12]\.0|etalab-2\.0|DL-DE-BY-2\.0",
        _NOTICE,
        "ODC-By sections 3.1 and 4.3; the public sector's licences: use for any purpose, the source named",
    ),
    _Rule(
        r"ODbL-1\.0",
        _COPYLEFT,
        "sections 3.1, 4.3 and 4.4. Whether a model is a derivative database, which must be shared alike, or "
        "a produced work, which need not (4.5 b), is not settled: the stricter is taken",
    ),
    _Rule(
        r"NCGL-UK-2\.0",
        Terms("forbidden", "allowed", "allowed", "required", "allowed"),
        "the Non-Commercial Government Licence: any non-commercial purpose, the source named",
    ),
    _Rule(
        r"PolyForm-Noncommercial-1\.0\.0",
        Terms("forbidden", "allowed", "allowed", "required", "unknown"),
        "sections Copyright License, Distribution License, Notices, Noncommercial Purposes",
    ),
    _Rule(
        r"MIT|MIT-CMU|X11|ISC|BSD-1-Clause|BSD-2-Clause(-Patent|-Views)?|BSD-3-Clause(-Clear|-LBNL)?"
        r"|BSD-4-Clause(-UC)?|Apache-1\.0|Apache-1\.1|Apache-2\.0|Zlib|BSL-1\.0|NCSA|PostgreSQL|PSF-2\.0"
        r"|Python-2\.0(\.1)?|CNRI-Python|UPL-1\.0|AFL-\d\.\d|ECL-[12]\.0|BlueOak-1\.0\.0|MulanPSL-[12]\.0|HPND"
        r"|Unicode-3\.0|Unicode-DFS-201[56]|W3C|OpenSSL|CECILL-B|curl|libtiff|Libpng|libpng-2\.0"
        r"|HDF5|NetCDF|CERN-OHL-P-2\.0|OFFIS|ICU",
        _NOTICE,
        "their texts: any use, with the notices kept",
    ),
    _Rule(
        r"[AL]?GPL-\d\.\d(-only|-or-later)|MPL-(1\.0|1\.1|2\.0(-no-copyleft-exception)?)|EPL-[12]\.0"
        r"|EUPL-1\.[012]|CDDL-1\.[01]|OSL-\d\.\d|CECILL-(1\.0|1\.1|2\.0|2\.1|C)|CPL-1\.0|IPL-1\.0|MS-RL"
        r"|GFDL-1\.[123](-no-invariants)?(-only|-or-later)|LAL-1\.[23]|APSL-2\.0|QPL-1\.0|CERN-OHL-[SW]-2\.0"
        r"|OFL-1\.[01](-RFN|-no-RFN)?|copyleft-next-0\.3\.[01]|LiLiQ-R(plus)?-1\.1",
        _COPYLEFT,
        "their texts: any use; what is derived and handed on stays under the same licence",
    ),
    _Rule(
        r"Artistic-1\.0(-Perl|-cl8)?|Artistic-2\.0|PHP-3\.01?|LPPL-1\.3[ac]|MS-PL|Sleepycat|LiLiQ-P-1\.1|Vim|Ruby",
        _OPEN,
        "the Open Source Definition, sections 1, 3 and 6 (https://opensource.org/osd)",
    ),
)


@functools.cache
def terms_of_identifier(identifier: str) -> Terms:
    """What one licence of the SPDX list says; all unknown where the table does not have it.

    ``<licence>+`` is that licence, or a later version if the reader likes that better.

    Examples
    --------
    >>> terms_of_identifier("CC-BY-NC-4.0").commercial
    'forbidden'
    """
    for rule in _RULES:
        found = re.fullmatch(rule.identifiers, identifier.removesuffix("+"))
        if found:
            return rule.terms if isinstance(rule.terms, Terms) else rule.terms(found)
    return Terms()


# Sharing alike


_VERSIONED = re.compile(r"(?P<stem>.+?)-(?P<version>\d+(\.\d+)*)(?P<ending>(-[A-Za-z]+)*)")
_GNU = {"GPL": ("1.0", "2.0", "3.0"), "LGPL": ("2.0", "2.1", "3.0"), "AGPL": ("1.0", "3.0")}
_SHARE_ALIKE = re.compile(r"CC-(BY-)?(NC-)?SA")
# MPL 2.0 sections 1.12 and 3.3; the appendix of EUPL 1.2; https://creativecommons.org/compatiblelicenses
_FURTHER = {
    "MPL-2.0": (("GPL", "2.0"), ("LGPL", "2.1"), ("AGPL", "3.0")),
    "EUPL-1.2": (("GPL", "2.0"), ("LGPL", "2.1"), ("AGPL", "3.0")),
    "LGPL-2.0-only": (("GPL", "2.0"),),
    "LGPL-2.1-only": (("GPL", "2.0"),),
    "LGPL-3.0-only": (("GPL", "3.0"),),
}
_NAMED = {
    "CC-BY-SA-4.0": ("GPL-3.0-only", "LAL-1.3"),
    "LAL-1.3": ("CC-BY-SA-4.0",),
    "EUPL-1.2": (
        *("EUPL-1.1", "OSL-2.1", "OSL-3.0", "EPL-1.0", "CECILL-2.0", "CECILL-2.1", "MPL-2.0"),
        *("CC-BY-SA-3.0", "LiLiQ-R-1.1", "LiLiQ-Rplus-1.1"),
    ),
}


@functools.cache
def passes_as(identifier: str, known: frozenset[str]) -> frozenset[str]:
    """Identifiers that something may be handed on under, of `known`, if it must be shared alike under one.

    Examples
    --------
    >>> sorted(passes_as("CC-BY-SA-3.0", frozenset({"CC-BY-SA-2.0", "CC-BY-SA-4.0", "MIT"})))
    ['CC-BY-SA-3.0', 'CC-BY-SA-4.0']
    """
    base = identifier.removesuffix("+")
    found = {identifier, base, *_NAMED.get(base, ())}
    parts = _VERSIONED.fullmatch(base)
    if parts:
        stem, version, ending = parts["stem"], parts["version"], parts["ending"]
        if stem in _GNU:
            if ending == "-or-later":
                found |= _gnu(stem, version)
            for name, least in _FURTHER.get(f"{stem}-{version}-only", ()):
                found |= _gnu(name, least)
        elif _later_allowed(identifier, stem, version) and (not ending or _SHARE_ALIKE.fullmatch(stem)):
            found |= {name for name in known if _later(name, stem, version)}
    for name, least in _FURTHER.get(base, ()):
        found |= _gnu(name, least)
    return frozenset(found)


def _gnu(stem: str, least: str) -> set[str]:
    return {
        f"{stem}-{version}{ending}"
        for version in _GNU[stem]
        if version >= least
        for ending in ("-only", "-or-later")
    }


def _later_allowed(identifier: str, stem: str, version: str) -> bool:
    """Creative Commons' licences allow later versions from 2.0 on, in section 4 b; ODbL does in 4.4 a ii."""
    if _SHARE_ALIKE.fullmatch(stem):
        return version != "1.0"
    return identifier.endswith("+") or stem in ("ODbL", "EUPL", "EPL", "CDDL", "MPL")


def _later(name: str, stem: str, version: str) -> bool:
    parts = _VERSIONED.fullmatch(name)
    return parts is not None and parts["stem"] == stem and _number(parts["version"]) >= _number(version)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
