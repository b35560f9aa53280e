"""What a guarantee covers: all that ships with the model, or the training alone."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from tfx_trust.components.privacy.report import Leak, Mechanism

Scope = Literal["pipeline", "training only", "none"]

UNCOVERED = "uncovered"


def analyzer_leaks(analyzers: Iterable[Any], public: Sequence[str]) -> list[Leak]:
    """The analyzers of Transform whose outputs ship with the model, each with what covers it.

    Parameters
    ----------
    analyzers
        As :func:`~tfx_trust.components.privacy.transform_graph.analyzers_of` gives them, each with a `name`,
        `what` it found out, and a `mechanism` where it was computed privately.
    public
        Names that are declared public; ``*`` and ``?`` stand for other letters. An analyzer that was computed
        privately stays so: what it cost was spent.
    """
    return [
        Leak(
            name=item.name,
            kind="analyzer",
            what=item.what,
            state="private"
            if item.mechanism is not None
            else "public"
            if is_public(item.name, public)
            else UNCOVERED,
        )
        for item in analyzers
    ]


def declared(leaks: Iterable[Leak], public: Sequence[str]) -> list[Leak]:
    """Leaks that were seen elsewhere, each once, those that are declared public marked so."""
    once = {leak.name: leak for leak in leaks}
    return [
        leak.model_copy(update={"state": "public"})
        if leak.state == UNCOVERED and is_public(leak.name, public)
        else leak
        for leak in once.values()
    ]


def mechanisms_of(analyzers: Iterable[Any]) -> list[Mechanism]:
    """What the private analyzers released."""
    return [item.mechanism for item in analyzers if item.mechanism is not None]


def scope_of(leaks: Iterable[Leak], *, known: bool, guaranteed: bool) -> Scope:
    """What the guarantee covers.

    Parameters
    ----------
    leaks
        All that depends on the data beside the training.
    known
        Whether they could be told.
    guaranteed
        Whether the training has a guarantee at all.

    Examples
    --------
    >>> leak = Leak(name="bucketize/age", kind="analyzer", what="edges of buckets", state="uncovered")
    >>> scope_of([leak], known=True, guaranteed=True)
    'training only'
    """
    if not guaranteed:
        return "none"
    return "pipeline" if known and not uncovered(leaks) else "training only"


def uncovered(leaks: Iterable[Leak]) -> list[Leak]:
    """Those that nothing covers."""
    return [leak for leak in leaks if leak.state == UNCOVERED]


def without_match(public: Iterable[str], leaks: Sequence[Leak]) -> list[str]:
    """Declarations that no leak answers to."""
    return [pattern for pattern in public if not any(is_public(leak.name, [pattern]) for leak in leaks)]


def is_public(name: str, public: Iterable[str]) -> bool:
    """Whether a name is among those declared public.

    Examples
    --------
    >>> is_public("bucketize/age", ["bucketize/*"]), is_public("vocabulary/[x]", ["vocabulary/[x]"])
    (True, True)
    """
    # Brackets are letters here: names of features may have them.
    return any(fnmatch.fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in public)
