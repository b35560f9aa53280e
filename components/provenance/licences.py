"""Licence expressions (SPDX), and what the licences that are widely used for data and code allow.

An expression is read as the SPDX specification 2.3, annex D, has it: ``AND`` binds to both licences, ``OR``
lets the reader choose, ``WITH`` adds the permissions of an exception.
"""

from __future__ import annotations

import difflib
import functools
import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tfx_trust.components.errors import UsageError
from tfx_trust.components.provenance.licence_terms import Terms, terms_of_identifier

__all__ = ["Choice", "Terms", "check_expression", "choices", "known_licences", "terms_of"]

_OWN = re.compile(r"(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
_OWN_EXCEPTION = re.compile(r"(DocumentRef-[A-Za-z0-9.-]+:)?AdditionRef-[A-Za-z0-9.-]+")
_OWN_PREFIX = re.compile(r"\b(DocumentRef|LicenseRef|AdditionRef)-", re.IGNORECASE)
_OWN_HINT = "a licence of one's own is called LicenseRef-<letters, digits, dots and hyphens>"
# Identifiers that the SPDX list replaced by two others.
_REPLACED = re.compile(
    r"\bGPL-(?P<version>[23]\.0)-with-(?P<exception>GCC|autoconf|bison|classpath|font)-exception\b",
    re.IGNORECASE,
)
_EXCEPTIONS = {
    "2.0-gcc": "GCC-exception-2.0",
    "2.0-autoconf": "Autoconf-exception-2.0",
    "2.0-bison": "Bison-exception-2.2",
    "2.0-classpath": "Classpath-exception-2.0",
    "2.0-font": "Font-exception-2.0",
    "3.0-gcc": "GCC-exception-3.1",
    "3.0-autoconf": "Autoconf-exception-3.0",
}
_NO_LICENCES = {"NONE", "NOASSERTION"}
# More than anybody writes by hand; each is weighed.
_MOST_ALTERNATIVES = 1_000


def check_expression(expression: str) -> str:
    """An SPDX licence expression with identifiers as the SPDX list spells them.

    Identifiers that the list has replaced, such as ``GPL-2.0+``, become those that it has now.

    Raises
    ------
    UsageError
        If it is none, or an identifier is not on the list and no ``LicenseRef-…``.

    Examples
    --------
    >>> check_expression("cc-by-4.0 or LicenseRef-contract-17")
    'CC-BY-4.0 OR LicenseRef-contract-17'
    """
    tree = _parsed(expression)
    count = _count(tree)
    if count > _MOST_ALTERNATIVES:
        raise UsageError(
            f"a licence that lets choose from {count:,} combinations; write down the one that was chosen"
        )
    return str(tree)


@dataclass(frozen=True)
class Choice:
    """One of the combinations of licences that an expression lets choose from."""

    parts: tuple[tuple[str, Terms], ...]
    """Licences, each with its exception if it has one, and what they say: all of them hold."""

    @property
    def licences(self) -> tuple[str, ...]:
        """The licences."""
        return tuple(name for name, _ in self.parts)

    @property
    def terms(self) -> Terms:
        """What they say together."""
        return functools.reduce(Terms.and_, (terms for _, terms in self.parts))

    def saying(self, term: str, said: str) -> tuple[str, ...]:
        """The licences that say this of a term."""
        return tuple(name for name, terms in self.parts if getattr(terms, term) == said)

    def demands(self) -> tuple[int, ...]:
        """How much it asks for: the number of prohibitions, of unknown terms, of duties."""
        said = [getattr(self.terms, term) for term in Terms.__dataclass_fields__]
        return tuple(said.count(word) for word in ("forbidden", "unknown", "required"))


def choices(expression: str | None, declared: Mapping[str, str] | None = None) -> list[Choice]:
    """The combinations that an expression lets choose from, as written, each with its terms.

    Parameters
    ----------
    expression
        SPDX licence expression; none where only `declared` is known.
    declared
        ``terms`` of a declaration. Where the expression has a licence of one's own (``LicenseRef-…``) they
        are its terms; else they settle what the licences leave unknown, and restrict what they allow.

    Raises
    ------
    UsageError
        If it is no licence expression.
    """
    declared = declared or {}
    if expression is None:
        return [Choice((("the declared terms", Terms().with_declared(declared)),))]
    alternatives = _alternatives(_parsed(check_expression(expression)))
    own = any(_is_own(name) for names in alternatives for name in names)
    return [
        Choice(tuple((name, _terms(name, declared if _is_own(name) or not own else {})) for name in names))
        for names in alternatives
    ]


def terms_of(expression: str | None, declared: Mapping[str, str] | None = None) -> Terms:
    """What an expression says; where it lets choose, what the choice says that asks for least.

    :func:`~tfx_trust.components.provenance.licence_uses.chosen` makes the choice for a use.

    Raises
    ------
    UsageError
        If it is no licence expression.

    Examples
    --------
    >>> terms_of("CC-BY-4.0 AND CC-BY-NC-SA-4.0").commercial
    'forbidden'
    >>> terms_of("CC-BY-NC-4.0 OR LicenseRef-bought", {"commercial": "allowed"}).commercial
    'allowed'
    """
    return min(choices(expression, declared), key=Choice.demands).terms


def _terms(name: str, declared: Mapping[str, str]) -> Terms:
    """What a licence says, perhaps with an exception.

    An exception only ever adds permissions, mostly of handing on under another licence; which, the table does
    not know.
    """
    identifier, _, exception = name.partition(" WITH ")
    terms = terms_of_identifier(identifier)
    if exception and terms.share_alike == "required":
        terms = replace(terms, share_alike="unknown")
    return terms.with_declared(declared)


def _is_own(name: str) -> bool:
    return _OWN.fullmatch(name.partition(" WITH ")[0]) is not None


# Expressions


def _alternatives(tree: Any) -> list[tuple[str, ...]]:
    """The tree as a choice of lists of licences, each list and each licence in it once."""
    if not hasattr(tree, "operator"):
        return [(str(tree),)]
    parts = [_alternatives(item) for item in tree.args]
    if tree.operator.strip() == "OR":
        found = [names for part in parts for names in part]
    else:
        found = [tuple(dict.fromkeys(itertools.chain(*names))) for names in itertools.product(*parts)]
    return list(dict.fromkeys(found))


def _count(tree: Any) -> int:
    """How many alternatives there are, at most."""
    if not hasattr(tree, "operator"):
        return 1
    counts = [_count(item) for item in tree.args]
    return sum(counts) if tree.operator.strip() == "OR" else math.prod(counts)


def _parsed(expression: str) -> Any:
    """The tree of an expression whose identifiers are all known."""
    from license_expression import ExpressionError, ExpressionParseError

    try:
        tree = _licensing().parse(_as_listed(expression))
    except (ExpressionError, ExpressionParseError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(f"{expression!r} is no SPDX licence expression: {reason}; {_OWN_HINT}") from None
    if tree is None:
        raise UsageError("a licence of no characters; leave the field out where the licence is not known")
    for symbol in tree.get_symbols() if hasattr(tree, "get_symbols") else [tree]:
        _check_symbol(symbol)
    return tree


def _as_listed(expression: str) -> str:
    """The text with what the parser does not know brought to what it does."""

    def parted(found: re.Match[str]) -> str:
        exception = _EXCEPTIONS.get(f"{found['version']}-{found['exception'].lower()}")
        return f"GPL-{found['version']}-only WITH {exception}" if exception else found[0]

    def spelt(found: re.Match[str]) -> str:
        return next(
            name
            for name in ("DocumentRef-", "LicenseRef-", "AdditionRef-")
            if name.lower() == found[0].lower()
        )

    return _OWN_PREFIX.sub(spelt, _REPLACED.sub(parted, expression))


def _check_symbol(symbol: Any) -> None:
    from license_expression import LicenseWithExceptionSymbol

    if isinstance(symbol, LicenseWithExceptionSymbol):
        _check_identifier(symbol.license_symbol.key)
        _check_exception(symbol.exception_symbol.key)
    else:
        _check_identifier(symbol.key)


def _check_identifier(key: str) -> None:
    licences, exceptions = _identifiers()
    if key in licences or key.removesuffix("+") in licences or _OWN.fullmatch(key):
        return
    if key in _NO_LICENCES:
        raise UsageError(f"{key} is no licence; leave the field out where the licence is not known")
    if key in exceptions:
        raise UsageError(f"{key!r} is an exception to a licence: write <licence> WITH {key}")
    raise UsageError(f"unknown licence {key!r}: not on the SPDX list{_nearest(key, licences)}")


def _check_exception(key: str) -> None:
    _, exceptions = _identifiers()
    if key not in exceptions and not _OWN_EXCEPTION.fullmatch(key):
        raise UsageError(
            f"unknown exception {key!r} after WITH: not on the SPDX list{_nearest(key, exceptions)}"
        )


def _nearest(key: str, known: frozenset[str]) -> str:
    """A hint at the identifier that was meant; people write ``CC BY 4.0``, ``GPLv3`` and ``CC0``."""
    by_plain = {_plain(name): name for name in sorted(known)}
    wanted = _plain(key)
    longer = [name for name in by_plain if name.startswith(f"{wanted}-") or name.startswith(f"{wanted}.")]
    nearest = sorted(longer, key=lambda name: (-len(name), name))[-1:]
    near = nearest or difflib.get_close_matches(wanted, by_plain, n=1)
    return f", did you mean {by_plain[near[0]]!r}?" if near else f"; {_OWN_HINT}"


def _plain(key: str) -> str:
    return re.sub(r"[\s_-]+|(?<=l)v(?=\d)", "-", key.strip().casefold())


@functools.cache
def _licensing() -> Any:
    """The parser, with the identifiers of the SPDX list alone.

    The library's own index also takes some ``LicenseRef-…`` for licences of the list, of which whoever
    declares one knows nothing.
    """
    from license_expression import LicenseSymbol, Licensing, get_license_index

    return Licensing(
        LicenseSymbol(
            key=item["spdx_license_key"],
            aliases=[name for name in item["other_spdx_license_keys"] if not name.startswith("LicenseRef-")],
            is_exception=item["is_exception"],
        )
        for item in get_license_index()
        if item["spdx_license_key"] and not item["spdx_license_key"].startswith("LicenseRef-")
    )


def known_licences() -> frozenset[str]:
    """Identifiers of the licences of the SPDX list."""
    return _identifiers()[0]


@functools.cache
def _identifiers() -> tuple[frozenset[str], frozenset[str]]:
    """Identifiers of licences, and of exceptions."""
    symbols = _licensing().known_symbols
    exceptions = frozenset(key for key, symbol in symbols.items() if symbol.is_exception)
    return frozenset(symbols) - exceptions, exceptions
