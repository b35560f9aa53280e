"""Which rows to take out so that nothing stands on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfx_trust.components.errors import UsageError, unknown
from tfx_trust.components.leakage.config import FEATURES, FilterSettings
from tfx_trust.components.leakage.count import EVAL, TRAIN, Keyed, group_ids
from tfx_trust.components.leakage.hashing import mix
from tfx_trust.components.leakage.plan import GROUP, Plan

_SALT = np.uint64(0x8CB92BA72F3D8DD7)


@dataclass(frozen=True)
class Changes:
    """What becomes of the rows of both splits.

    Attributes
    ----------
    dropped
        Places of the rows to leave out, by split (train, eval); uint64, ascending.
    moved
        Places of the rows that go to the other side, by the split they are in; uint64, ascending.
    """

    dropped: tuple[np.ndarray, np.ndarray]
    moved: tuple[np.ndarray, np.ndarray]


def keys_of(plan: Plan, settings: FilterSettings) -> tuple[list[str], list[str]]:
    """The overlap keys and the entity keys to filter by.

    Raises
    ------
    UsageError
        If the settings name one that the report does not have.
    """
    groups = plan.settings.groups if settings.groups is None else settings.groups
    for group in groups:
        if group not in plan.settings.groups:
            raise unknown("group feature", group, plan.settings.groups)
    keys = [FEATURES] if settings.keys is None else settings.keys
    for key in keys:
        if key not in plan.overlap_keys:
            raise unknown("key", key, plan.overlap_keys)
    entities = [] if settings.entities == "keep" else [f"{GROUP}{group}" for group in groups]
    if not keys and not entities:
        raise UsageError("neither keys nor groups to filter by: there is nothing to do")
    return keys, entities


def changes(
    train: Mapping[str, Keyed], evaluation: Mapping[str, Keyed], entities: list[str], settings: FilterSettings
) -> Changes:
    """Decides about each row.

    Parameters
    ----------
    train, evaluation
        The rows by key, in one order for all keys, with places.
    entities
        The keys among them that name entities.
    settings
        What to do.
    """
    some = next(iter(train))
    places = np.concatenate([train[some].places, evaluation[some].places])
    before = np.repeat([TRAIN, EVAL], [train[some].rows, evaluation[some].rows])
    side = before.copy()
    kept = np.ones(len(side), bool)
    drop_side = TRAIN if settings.drop_from == "train" else EVAL
    both_sides = {key: np.concatenate([train[key].keys, evaluation[key].keys], axis=1) for key in train}
    ids = {key: _groups(keys, alone=key in entities) for key, keys in both_sides.items()}
    if settings.entities == "move" and entities:
        hashes = np.minimum.reduce([mix(both_sides[key][0] ^ _SALT) for key in entities])
        side = _moved([ids[key] for key in entities], hashes, side, settings)
    for key, group in ids.items():
        if key in entities and settings.entities == "move":
            continue
        both = _on_both_sides(group, side)
        kept &= ~(both & (side == drop_side))
    dropped = [np.sort(places[~kept & (before == split)]) for split in (TRAIN, EVAL)]
    moved = [np.sort(places[kept & (before == split) & (side != split)]) for split in (TRAIN, EVAL)]
    return Changes((dropped[TRAIN], dropped[EVAL]), (moved[TRAIN], moved[EVAL]))


def _groups(keys: np.ndarray, *, alone: bool) -> np.ndarray:
    """Groups of equal keys; with `alone`, a row without any value is in a group of its own."""
    ids = group_ids(keys)
    if alone:
        missing = np.flatnonzero((keys == 0).all(axis=0))
        ids[missing] = int(ids.max(initial=0)) + 1 + np.arange(len(missing))
    return ids


def _on_both_sides(group: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Whether each row's group has rows on both sides."""
    number = int(group.max(initial=-1)) + 1
    there = [np.bincount(group[side == split], minlength=number) > 0 for split in (TRAIN, EVAL)]
    both: np.ndarray = (there[TRAIN] & there[EVAL])[group]
    return both


def _moved(
    groups: list[np.ndarray], hashes: np.ndarray, side: np.ndarray, settings: FilterSettings
) -> np.ndarray:
    """The sides after each entity that was on both was moved to one, by a hash of the entity itself.

    Entities of several kinds hang together: the people of a household go where it goes.
    """
    together = _connected(groups, len(side))
    both = _on_both_sides(together, side)
    least = np.full(int(together.max(initial=-1)) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, together, hashes)
    share = mix(least)[together].astype(float) / 2.0**64
    return np.where(both, np.where(share < settings.eval_fraction, EVAL, TRAIN), side)


def _connected(groups: list[np.ndarray], rows: int) -> np.ndarray:
    """Rows that are connected by any of the groupings, as numbers from 0."""
    together = groups[0] if groups else np.arange(rows)
    for _ in range(rows):
        before = together
        for group in groups:
            least = np.full(int(group.max(initial=-1)) + 1, np.iinfo(np.int64).max)
            np.minimum.at(least, group, together)
            together = least[group]
        if (together == before).all():
            break
    return np.unique(together, return_inverse=True)[1]
