"""The errors that users meet: one tree, each with a message that names the thing and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TrustError(Exception):
    """Base of all errors that this library raises on purpose."""


class InputError(TrustError, ValueError):
    """The data, model or file given cannot be used."""


class UsageError(TrustError, ValueError):
    """A name or setting given does not exist or is not allowed."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """An error for an unknown name, with the known ones and the nearest of them.

    Examples
    --------
    >>> print(unknown("gate", "relase", ["leakage", "release"]))
    unknown gate 'relase': known are leakage, release; did you mean 'release'?
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return UsageError(f"unknown {kind} {name!r}: known are {', '.join(names) or 'none'}{hint}")
