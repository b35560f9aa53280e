"""Purposes: which one covers which, and what several lists of them have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

ANY = "any"


def covers(allowed: str, wanted: str) -> bool:
    """Whether a purpose covers another: ``any`` all, ``research`` also ``research/health``.

    Examples
    --------
    >>> covers("research", "Research/health"), covers("research/health", "research")
    (True, False)
    """
    allowed, wanted = _plain(allowed), _plain(wanted)
    return allowed in (ANY, wanted) or wanted.startswith(f"{allowed}/")


def common(lists: Iterable[Sequence[str] | None]) -> list[str] | None:
    """The purposes that every list covers, sorted; none where no list says anything.

    A list that is missing says nothing, an empty one that there is no purpose.

    Examples
    --------
    >>> common([["any"], ["research", "teaching"], None, ["research/health", "statistics"]])
    ['research/health']
    """
    found: list[str] | None = None
    for given in lists:
        if given is None:
            continue
        mine = [_plain(item) for item in given]
        found = mine if found is None else [*_covered(found, mine), *_covered(mine, found)]
        found = _broadest(found)
    return found


def _covered(by: Sequence[str], purposes: Sequence[str]) -> list[str]:
    return [wanted for wanted in purposes if any(covers(allowed, wanted) for allowed in by)]


def _broadest(purposes: Sequence[str]) -> list[str]:
    """Sorted, without those that another one covers."""
    distinct = sorted(set(purposes))
    return [item for item in distinct if not any(covers(other, item) for other in distinct if other != item)]


def _plain(purpose: str) -> str:
    return "/".join(part.strip() for part in purpose.casefold().strip("/ ").split("/"))
