"""Exposure by slice: those of whom a model saw few are given away first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tfx_trust.components.errors import InputError, UsageError, unknown
from tfx_trust.components.fairness.coding import Coder
from tfx_trust.components.fairness.report import MISSING
from tfx_trust.components.privacy import roc
from tfx_trust.components.privacy.config import AuditSettings
from tfx_trust.components.privacy.report import AttackName, Slice, SliceExposure
from tfx_trust.components.privacy.verdicts import at_most, judge
from tfx_trust.components.report import Verdict

MOST_VALUES = 4000
"""Of a feature."""
_MOST_NUMBERS = 100

Values = Mapping[str, Sequence[Any] | np.ndarray | pa.Array]


def by_slice(
    attack: AttackName,
    members: np.ndarray,
    others: np.ndarray,
    member_values: Values,
    other_values: Values,
    settings: AuditSettings,
) -> list[SliceExposure]:
    """How well members of each slice are told from others of the same slice.

    Parameters
    ----------
    attack
        Which score.
    members, others
        Scores, of shapes ``(members,)`` and ``(others,)``; greater ones speak for a member.
    member_values, other_values
        Values of their features, by name: texts, numbers or None, of as many examples.
    settings
        Which features are sliced by, the edges of numbers' buckets, limit and level.

    Returns
    -------
    list of SliceExposure
        Those that fail first, then the others by the lower end of their AUC; at last those that have too few
        members or others, the largest first. p-values are corrected (Holm) for all slices.

    Raises
    ------
    InputError
        If a feature has too many values, or is a real number without buckets.
    UsageError
        If there is no such feature.
    """
    names = dict.fromkeys(name for family in settings.slices for name in family)
    coded = {name: _coded(name, member_values, other_values, settings) for name in names}
    for name, (first, second, _) in coded.items():
        for codes, scores, what in ((first, members, "members"), (second, others, "others")):
            if len(codes) != len(scores):
                raise InputError(
                    f"feature {name!r} has {len(codes):,} values for {len(scores):,} {what}; give one each"
                )
    enough: list[SliceExposure] = []
    few: list[SliceExposure] = []
    # Two families may have slices in common only if they are the same.
    for family in dict.fromkeys(tuple(sorted(family)) for family in settings.slices):
        for values, mine, theirs in _parts(family, coded):
            found = _exposure(attack, values, members[mine], others[theirs], settings)
            (few if found.auc is None else enough).append(found)
    judge(enough, settings.level, lambda item: at_most(item.auc, settings.max_auc))
    few.sort(key=lambda item: -min(item.members, item.others))
    return [*sorted(enough, key=_rank), *few]


def _coded(
    name: str, member_values: Values, other_values: Values, settings: AuditSettings
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Codes of the values of members and others, and the value of each code."""
    for values in (member_values, other_values):
        if name not in values:
            raise unknown("feature to slice by", name, values)
    edges = settings.buckets.get(name)
    if edges is not None and (not edges or sorted(set(edges)) != edges):
        raise UsageError(f"buckets of {name!r} have the edges {edges}; give some, each greater than the last")
    coder = Coder(name, edges, MOST_VALUES)
    sides = [_array(name, values[name]) for values in (member_values, other_values)]
    first, second = (coder.codes(side) for side in sides)
    real = any(pa.types.is_floating(side.type) or pa.types.is_decimal(side.type) for side in sides)
    if edges is None and real and len(coder.values) > _MOST_NUMBERS:
        raise InputError(
            f"feature {name!r} is a number of many values without buckets; name their edges (settings: "
            "buckets)"
        )
    if coder.overflown:
        raise InputError(
            f"feature {name!r} has more than {MOST_VALUES:,} values; slice by something coarser, or give a "
            "number buckets (settings: buckets)"
        )
    return first, second, [MISSING, *coder.values]


def _array(name: str, values: Sequence[Any] | np.ndarray | pa.Array) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise InputError(f"feature {name!r} has values of several types; give texts or numbers") from None


def _parts(
    family: Sequence[str], coded: Mapping[str, tuple[np.ndarray, np.ndarray, list[str]]]
) -> list[tuple[Slice, np.ndarray, np.ndarray]]:
    """The slices of some features: value by feature, and which members and which others are in it."""
    sides = [np.stack([coded[name][side] for name in family], axis=1) for side in (0, 1)]
    groups, number = np.unique(np.concatenate(sides), axis=0, return_inverse=True)
    number = number.reshape(-1)
    cut = len(sides[0])
    parts = zip(_places(number[:cut], len(groups)), _places(number[cut:], len(groups)), strict=True)
    return [
        ({name: coded[name][2][code] for name, code in zip(family, codes, strict=True)}, mine, theirs)
        for codes, (mine, theirs) in zip(groups, parts, strict=True)
    ]


def _places(number: np.ndarray, groups: int) -> list[np.ndarray]:
    """The rows of each group."""
    order = np.argsort(number, kind="stable")
    return np.split(order, np.searchsorted(number[order], np.arange(1, groups)))


def _exposure(
    attack: AttackName, values: Slice, members: np.ndarray, others: np.ndarray, settings: AuditSettings
) -> SliceExposure:
    found = SliceExposure(
        slice=values,
        attack=attack,
        members=len(members),
        others=len(others),
        auc=None,
        verdict=Verdict.INCONCLUSIVE,
    )
    if min(len(members), len(others)) >= settings.min_count:
        area = roc.area(members, others)
        found.auc = area.estimate(settings.level)
        found.p = area.above(settings.max_auc)
    return found


def _rank(item: SliceExposure) -> tuple[bool, float]:
    low = 0.0 if item.auc is None or item.auc.low is None else item.auc.low
    return item.verdict is not Verdict.FAIL, -low
