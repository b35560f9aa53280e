"""Attribute inference and model inversion: what the model gives away of a sensitive feature, from guesses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfx_trust.components import intervals
from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy import roc
from tfx_trust.components.privacy.config import AuditSettings
from tfx_trust.components.privacy.report import Inference
from tfx_trust.components.privacy.verdicts import at_most, judge
from tfx_trust.components.report import Estimate, Verdict


def attribute(
    feature: str,
    member_right: np.ndarray,
    other_right: np.ndarray,
    baseline_right: np.ndarray,
    settings: AuditSettings,
    *,
    values: int,
) -> Inference:
    """An attacker who knows the rest of an example guesses a feature by the model (Yeom et al. 2018).

    What anyone could infer of anybody, since features are related, is no fault of the training. So what
    counts is how much oftener the guess is right of members than of others.

    Parameters
    ----------
    feature
        The sensitive feature.
    member_right, other_right
        Whether the guess is right, bool of shapes ``(members,)`` and ``(others,)``.
    baseline_right
        Whether the guess without the model is right, bool of shape ``(others,)``.
    settings
        Limit and level.
    values
        How many values were guessed from.

    Returns
    -------
    Inference
        Its verdict is that of this feature alone; :func:`judged` corrects for several.
    """
    members, others = _rights(feature, member_right), _rights(feature, other_right)
    baseline = _same_examples(feature, _rights(feature, baseline_right), others)
    first, second = float(members.mean()), float(others.mean())
    low, high = intervals.newcombe(first, len(members), second, len(others), settings.level)
    enough = min(len(members), len(others)) >= settings.min_count
    limit = settings.max_inference_gain
    p = roc.difference_above(first, len(members), second, len(others), limit) if enough else None
    found = Inference(
        feature=feature,
        kind="attribute_inference",
        members=_share(members, settings.level),
        others=_share(others, settings.level),
        baseline=_share(baseline, settings.level),
        gain=Estimate(
            value=first - second,
            low=float(low),
            high=float(high),
            count=len(members) + len(others),
            level=settings.level,
            method="Newcombe",
        ),
        values=values,
        p=p,
        verdict=Verdict.INCONCLUSIVE,
    )
    return judged([found], settings)[0]


def inversion(
    feature: str,
    member_right: np.ndarray,
    other_right: np.ndarray,
    baseline_right: np.ndarray,
    settings: AuditSettings,
    *,
    values: int,
) -> Inference:
    """An attacker who knows the label alone guesses a feature by the model (Fredrikson et al. 2015).

    What the model tells of the people of a label as a whole is told, not judged: a model that is any good
    shows how features and label go together, with or without privacy.

    Parameters
    ----------
    feature, member_right, other_right, baseline_right, settings, values
        As for :func:`attribute`; the gain is over `baseline_right`, of the same examples.
    """
    members, others = _rights(feature, member_right), _rights(feature, other_right)
    baseline = _same_examples(feature, _rights(feature, baseline_right), others)
    newly, no_longer = int((others & ~baseline).sum()), int((~others & baseline).sum())
    low, high = intervals.paired(np.array(newly), np.array(no_longer), np.array(len(others)), settings.level)
    return Inference(
        feature=feature,
        kind="inversion",
        members=_share(members, settings.level),
        others=_share(others, settings.level),
        baseline=_share(baseline, settings.level),
        gain=Estimate(
            value=(newly - no_longer) / len(others),
            low=min(float(low), (newly - no_longer) / len(others)),
            high=max(float(high), (newly - no_longer) / len(others)),
            count=len(others),
            level=settings.level,
            method="Bonett & Price, paired",
        ),
        values=values,
        verdict=Verdict.NOT_RUN,
    )


def judged(inferences: Sequence[Inference], settings: AuditSettings) -> list[Inference]:
    """Inferences with p-values corrected (Holm) for all features, and judged by them."""
    found = [item.model_copy() for item in inferences]
    judge(found, settings.level, lambda item: at_most(item.gain, settings.max_inference_gain))
    return found


def _rights(feature: str, right: np.ndarray) -> np.ndarray:
    found = np.asarray(right, bool)
    if found.ndim != 1 or not len(found):
        raise InputError(f"guesses of {feature!r} have the shape {found.shape}; give one for each example")
    return found


def _same_examples(feature: str, baseline: np.ndarray, others: np.ndarray) -> np.ndarray:
    if len(baseline) != len(others):
        raise InputError(
            f"{len(baseline):,} guesses of {feature!r} without the model, {len(others):,} with it; give "
            "those of the same examples"
        )
    return baseline


def _share(right: np.ndarray, level: float) -> Estimate:
    share = float(right.mean())
    low, high = intervals.wilson(share, len(right), level)
    return Estimate(
        value=share, low=float(low), high=float(high), count=len(right), level=level, method="wilson"
    )
