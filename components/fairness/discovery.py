"""The worst slices, found in one half of the examples and measured in the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tfx_trust.components.corrections import holm
from tfx_trust.components.fairness.candidates import (
    Candidates,
    Measures,
    search,
    shares,
    simultaneous,
)
from tfx_trust.components.fairness.config import FairnessSettings
from tfx_trust.components.fairness.half import SLOTS, Family, Half
from tfx_trust.components.fairness.report import Discovered
from tfx_trust.components.intervals import beyond, newcombe, unequal

_ALIKE = 0.8


def discover(
    codes: np.ndarray,
    counts: np.ndarray,
    values: Mapping[str, Sequence[str]],
    settings: FairnessSettings,
) -> tuple[list[Discovered], int, tuple[int, int]]:
    """The worst slices of a few features, found in one half of the examples and measured in the other.

    What is looked through is chosen by looking, so that its own numbers flatter it; hence the halves. In the
    first, slices are searched level by level (:func:`~tfx_trust.components.fairness.candidates.search`) and
    ranked by the lower end of the interval of their gap to all other examples, less what is tolerated, at
    a level corrected for all slices looked at (Bonferroni): neither a lucky slice of few examples nor a
    negligible gap of many gets far. The worst is taken; the others are then ranked by the
    examples that no taken slice of the same metric holds, and so on: what is bad only because it holds a
    taken slice, or lies in it, is not told again. Nor is one that shares four fifths of its examples with a
    taken one (of those in either, Jaccard).

    Only what was taken is measured in the other half, with intervals that the search did not touch, and
    tested against its tolerance; p-values are corrected for the number taken (Holm 1979).

    An example goes into either half by a coin. Those of a cell with equal label and decision cannot be told
    apart: for n of them, n coins equal one draw from a Binomial(n, 1/2). So the halves are drawn from the
    counts, in an order of the cells by names and values of the features, and do not depend on
    the order in which examples, cells or features come, nor on who counted them.

    Parameters
    ----------
    codes
        Integers of shape ``(cells, features)``, one feature at least: for each combination of values, the
        numbers of these in `values`. A combination that is there twice counts as one.
    counts
        Integers of shape ``(cells, 2, 2)``: examples by label and decision.
    values
        Different values by feature, in the order of the columns of `codes`.
    settings
        Give `tolerances`, one a metric, whose differences of decision metrics are looked at (accuracy if
        there are none), and ``discover_order``, ``discover_most``, ``min_count``, ``level`` and ``seed``.

    Returns
    -------
    found : list of Discovered
        In the order in which they were taken. Gaps are those of the slice less all other examples; a slice
        is confirmed if it is worse by more than its tolerance, never if it is better.
    candidates : int
        Slices that were looked at.
    halves : tuple of int
        Examples of the half in which slices were found, and of the other.

    Examples
    --------
    Of 500 men 60, of 500 women 10 were decided wrongly:

    >>> found, candidates, halves = discover(
    ...     np.array([[0], [1]]),
    ...     np.array([[[220, 30], [30, 220]], [[245, 5], [5, 245]]]),
    ...     {"sex": ["Male", "Female"]},
    ...     FairnessSettings(label="approved", slices=[["sex"]], tolerances=[]),
    ... )
    >>> [(item.slice, item.metric, item.confirmed) for item in found], candidates
    ([({'sex': 'Male'}, 'accuracy', True)], 2)
    """
    first, second = _halves(codes, counts, values, settings.seed)
    measures = Measures.of(settings)
    candidates = search(first, measures, settings)
    taken = _taken(first, measures, candidates, settings)
    found = _measured(taken, candidates, (first, second), values, measures, settings)
    return found, candidates.slices, (int(first.counts.sum()), int(second.counts.sum()))


def _halves(
    codes: np.ndarray, counts: np.ndarray, values: Mapping[str, Sequence[str]], seed: int
) -> tuple[Half, Half]:
    """Both halves, with features and values in the order of their names."""
    columns = []
    for place, name in sorted(enumerate(values), key=lambda item: item[1]):
        rank = np.empty(len(values[name]), np.uint16)
        rank[np.argsort(np.asarray(values[name], object), kind="stable")] = np.arange(len(rank))
        columns.append(rank[codes[:, place]])
    order = np.lexsort(columns[::-1])
    ranked = np.stack(columns, axis=1)[order]
    begin = np.flatnonzero(np.r_[True, (ranked[1:] != ranked[:-1]).any(axis=1)][: len(ranked)])
    cells = (
        np.add.reduceat(counts.reshape(-1, SLOTS)[order], begin)
        if len(begin)
        else np.zeros((0, SLOTS), np.int64)
    )
    drawn = np.random.default_rng(seed).binomial(cells, 0.5)
    radix = [len(values[name]) for name in sorted(values)]
    return Half.of(ranked[begin], drawn, radix), Half.of(ranked[begin], cells - drawn, radix)


def _taken(half: Half, measures: Measures, candidates: Candidates, settings: FairnessSettings) -> list[int]:
    """The candidates that are taken, the worst first, by number."""
    which, family, counts = candidates.measure, candidates.family, candidates.counts
    strict = simultaneous(settings.level, candidates.comparisons)
    members = measures.members[which]
    # By metric, what no taken slice holds: entries, examples, examples of each candidate.
    free = np.ones((len(measures.names), len(half.slots)), bool)
    outside = np.tile(half.total, (len(measures.names), 1))
    left = counts.copy()
    in_play = np.ones(len(which), bool)
    taken: list[int] = []
    while len(taken) < settings.discover_most:
        rest = outside[which] - left
        enough = np.minimum((left * members).sum(axis=1), (rest * members).sum(axis=1)) >= settings.min_count
        surely = measures.lower(which, left, rest, strict)
        # Of what overlaps a taken slice there are many: chance among them all has to be excluded.
        whole = ((counts - left) * members).sum(axis=1) == 0
        bad = (surely > 0) | (whole & (measures.lower(which, left, rest, settings.level) > 0))
        eligible = np.flatnonzero(in_play & enough & bad)
        if not len(eligible):
            break
        pick = int(eligible[np.argmax((surely - measures.bounds[which])[eligible])])
        taken.append(pick)
        measure = which[pick]
        inside = np.flatnonzero(half.keys(candidates.families[family[pick]]) == candidates.keys[pick])
        new = free[measure, inside] * half.counts[inside]
        outside[measure] -= np.bincount(half.slots[inside], new, SLOTS)
        free[measure, inside] = False
        rivals = np.flatnonzero(in_play & (which == measure))
        for number in np.unique(family[rivals]):
            rows = rivals[family[rivals] == number]
            shared, lost = _inside(half, candidates.families[number], candidates.keys[rows], inside, new)
            left[rows] -= lost
            either = counts[rows].sum(axis=1) + counts[pick].sum() - shared
            in_play[rows[shared > _ALIKE * either]] = False
    return taken


def _inside(
    half: Half, family: Family, keys: np.ndarray, entries: np.ndarray, new: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Examples of some entries that each slice holds, and the new ones of these by label and decision."""
    own = half.keys(family, entries)
    place = np.minimum(np.searchsorted(keys, own), len(keys) - 1)
    held = keys[place] == own
    place, entries, new = place[held], entries[held], new[held]
    shared = np.bincount(place, half.counts[entries], len(keys))
    lost = np.bincount(place * SLOTS + half.slots[entries], new, SLOTS * len(keys)).reshape(-1, SLOTS)
    return shared, lost


def _measured(
    taken: Sequence[int],
    candidates: Candidates,
    halves: tuple[Half, Half],
    values: Mapping[str, Sequence[str]],
    measures: Measures,
    settings: FairnessSettings,
) -> list[Discovered]:
    """What the other half says of the slices that were taken."""
    if not taken:
        return []
    first, second = halves
    which = candidates.measure[taken]
    slices = [(candidates.families[candidates.family[pick]], int(candidates.keys[pick])) for pick in taken]
    hits, members, signs = measures.hits[which], measures.members[which], measures.signs[which]
    there = np.stack([second.inside(*slice_) for slice_ in slices])
    here = candidates.counts[taken]
    found = shares(here, hits, members)[0] - shares(first.total - here, hits, members)[0]
    share, count = shares(there, hits, members)
    other, other_count = shares(second.total - there, hits, members)
    gap = share - other
    low, high = newcombe(share, count, other, other_count, settings.level)
    far = beyond(share, count, other, other_count, measures.bounds[which])
    p = np.where(signs * gap > 0, np.maximum(far, unequal(share, count, other, other_count)), 1.0)
    adjusted = holm(p.tolist())
    names = sorted(values)
    discovered = []
    for row, (family, key) in enumerate(slices):
        known = not bool(np.isnan(gap[row]))
        discovered.append(
            Discovered(
                slice={
                    names[feature]: sorted(values[names[feature]])[number]
                    for feature, number in zip(family, first.values_of(family, key), strict=True)
                },
                metric=measures.names[which[row]],
                found=float(found[row]),
                value=float(gap[row]) if known else None,
                low=float(low[row]) if known else None,
                high=float(high[row]) if known else None,
                count=int(count[row]),
                slice_value=float(share[row]) if count[row] else None,
                rest_value=float(other[row]) if other_count[row] else None,
                tolerance=float(measures.bounds[which[row]]),
                p=float(p[row]) if known else None,
                p_adjusted=adjusted[row] if known else None,
                confirmed=known and adjusted[row] < 1 - settings.level,
            )
        )
    return discovered
