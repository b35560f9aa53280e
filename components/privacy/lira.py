"""The likelihood ratio attack, by models trained with and without an example (Carlini et al. 2022)."""

from __future__ import annotations

import numpy as np

from tfx_trust.components.errors import InputError

# A model's outputs are float32 as a rule, of which the one next to 1 is this far away.
_LEAST = 2.0**-24
# From so many shadow models on, each example has variances of its own, as the authors advise.
_OWN_VARIANCES = 64
_LEAST_VARIANCE = 1e-12


def lira_confidence(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Confidence in the true label as log odds, which is about normal over models (equation 4 of the paper).

    Parameters
    ----------
    probabilities
        A model's outputs, of shape ``(examples, classes)``.
    labels
        Places of the true classes, of shape ``(examples,)``.

    Returns
    -------
    ndarray
        Of shape ``(examples,)``, finite.

    Examples
    --------
    >>> lira_confidence(np.array([[0.2, 0.8], [0.5, 0.5]]), np.array([1, 0])).round(4).tolist()
    [1.3863, 0.0]
    """
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    rest = probabilities.copy()
    rest[rows, labels] = 0.0
    # Not 1 - own, which keeps no digits where own is near 1.
    odds: np.ndarray = np.log(np.maximum(own, _LEAST)) - np.log(np.maximum(rest.sum(axis=1), _LEAST))
    return odds


def lira_scores(
    shadow_confidences: np.ndarray, in_shadow: np.ndarray, target_confidences: np.ndarray
) -> np.ndarray:
    """How much likelier the model's confidence is if it was trained on the example than if not.

    Confidences with and without the example are taken to be normal. Their means are each example's own. Of
    few models, the variances are pooled over the examples, within each one's own mean, and widened by the
    error of that mean: the plain ones would take every confidence that two or three models did not have for a
    sign.

    Parameters
    ----------
    shadow_confidences
        Of the shadow models, as :func:`lira_confidence` gives them, of shape ``(shadows, examples)``.
    in_shadow
        Whether the shadow model was trained on the example, bool of the same shape.
    target_confidences
        Of the model that is attacked, of shape ``(examples,)``.

    Returns
    -------
    ndarray
        Log likelihood ratios of shape ``(examples,)``; positive ones speak for a member.

    Raises
    ------
    InputError
        If shapes differ, a confidence is not finite, or an example has no shadow model of either kind.
    """
    shadows = np.asarray(shadow_confidences, float)
    inside = np.asarray(in_shadow, bool)
    target = np.asarray(target_confidences, float)
    _check(shadows, inside, target)
    own = len(shadows) >= _OWN_VARIANCES
    return _log_density(target, shadows, inside, own) - _log_density(target, shadows, ~inside, own)


def _check(shadows: np.ndarray, inside: np.ndarray, target: np.ndarray) -> None:
    if shadows.ndim != 2 or inside.shape != shadows.shape or target.shape != shadows.shape[1:]:
        raise InputError(
            f"confidences of shadow models have the shape {shadows.shape}, their members {inside.shape}, the "
            f"model's {target.shape}; expected (shadows, examples) twice, and (examples,)"
        )
    if not (np.isfinite(shadows).all() and np.isfinite(target).all()):
        raise InputError("confidences of shadow models are not all finite; make them by lira_confidence")
    members = inside.sum(axis=0)
    alone = int(((members == 0) | (members == len(shadows))).sum())
    if alone:
        raise InputError(
            f"{alone:,} of {len(target):,} examples were in all shadow models' training, or in none's; "
            "train on two halves in turn, so that each example is in one of every two"
        )
    if len(shadows) < 3:
        raise InputError(
            f"{len(shadows)} shadow models; at least 3, better 4, are needed to tell their spread"
        )


def _log_density(target: np.ndarray, shadows: np.ndarray, chosen: np.ndarray, own: bool) -> np.ndarray:
    """Normal log density of the target's confidence by that of some of the models, but for a constant."""
    count = chosen.sum(axis=0)
    mean = np.where(chosen, shadows, 0.0).sum(axis=0) / count
    squares = (np.where(chosen, shadows - mean, 0.0) ** 2).sum(axis=0)
    if own and (count > 1).all():
        variance = squares / (count - 1)
    else:
        variance = np.full(len(target), squares.sum() / max(1, (count - 1).sum()))
    variance = np.maximum(variance, _LEAST_VARIANCE) * (1 + 1 / count)
    density: np.ndarray = -((target - mean) ** 2) / (2 * variance) - np.log(variance) / 2
    return density
