"""A lower bound on epsilon from a single training (Steinke, Nasr & Jagielski 2023, arXiv 2305.08846).

Of examples that were each trained on or not by the toss of a fair coin, an attacker who only sees what an
(epsilon, delta) mechanism put out guesses which, abstaining where it likes. The right guesses are then no
more than a binomial number with share ``e^epsilon / (1 + e^epsilon)``, but for a term in delta. If there are
more, epsilon is greater.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy import roc
from tfx_trust.components.privacy.config import AuditSettings, Claim
from tfx_trust.components.privacy.report import CanaryAudit, Guesses
from tfx_trust.components.report import Verdict

DELTA = 1e-5
"""At which epsilon is bounded where no guarantee is claimed, and so no delta."""
LEAST = 20
"""Fewest canaries."""
_FEWEST_GUESSES = 10
_PRECISION = 1e-5
# Beyond so many standard deviations nothing is left of a binomial distribution.
_FAR = 12.0
# Tosses of a fair coin are not as uneven as this.
_UNFAIR = 1e-6


def p_value(count: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Probability that an (epsilon, delta) mechanism allows so many right guesses: Theorem 5.2.

    Parameters
    ----------
    count
        Examples that a coin was tossed for.
    guesses
        Of them, guessed about.
    correct
        Right guesses.
    epsilon, delta
        The guarantee, of one example more or less.

    Returns
    -------
    float
        An upper bound of the probability of `correct` right guesses or more.

    Examples
    --------
    >>> round(p_value(1000, 100, 75, 0.673, 1e-4), 3)
    0.05
    """
    share = 1 / (1 + math.exp(-epsilon))
    tail = 1.0 if correct == 0 else float(special.bdtrc(correct - 1, guesses, share))
    if delta == 0 or correct == 0:
        return tail
    # The steepest chord from P(X < correct) back to P(X <= j): where the distribution function turns from
    # convex to concave it has passed its maximum, and far below the mean it is 0.
    mean, deviation = guesses * share, math.sqrt(guesses * share * (1 - share))
    begin = max(-1, math.floor(min(mean, correct) - _FAR * deviation) - 2)
    end = max(begin, min(correct - 2, math.ceil(mean) + 1))
    places = np.arange(begin, end + 1)
    # bdtr of -1 is not 0 but NaN.
    reached = np.where(places < 0, 0.0, special.bdtr(np.maximum(places, 0), guesses, share))
    steepest = float(np.max((special.bdtr(correct - 1, guesses, share) - reached) / (correct - 1 - places)))
    return min(1.0, tail + 2 * count * delta * steepest)


def least_epsilon(count: int, guesses: int, correct: int, delta: float, level: float) -> float:
    """The greatest epsilon that is refuted at a level; 0 if none is.

    Examples
    --------
    >>> round(least_epsilon(1000, 100, 75, 1e-4, 0.95), 3)
    0.673
    """
    error = 1 - level

    def refuted(epsilon: float) -> bool:
        return p_value(count, guesses, correct, epsilon, delta) < error

    if not refuted(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while refuted(high):
        low, high = high, 2 * high
    while high - low > _PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


# Bounds


def ceiling(count: int, delta: float, level: float) -> float:
    """The most that a bound from so many tosses can show: every guess is right."""
    tried = _numbers(count)
    each = 1 - (1 - level) / len(tried)
    return max(least_epsilon(count, 2 * half, 2 * half, delta, each) for half in tried)


@dataclass(frozen=True)
class Bound:
    """A lower bound on epsilon.

    Attributes
    ----------
    epsilon
        No less than this, with the confidence that was asked for, over all `guesses` together.
    ceiling
        What it would be if every guess were right.
    guesses
        What was tried.
    """

    epsilon: float
    ceiling: float
    guesses: list[Guesses]


def bound(scores: np.ndarray, included: np.ndarray, delta: float, level: float, seed: int) -> Bound:
    """A lower bound on epsilon from scores and which examples were trained on.

    Guessed to be trained on are those with the greatest scores, and not to be those with the least, as many
    of either. How many is tried in halves from all down, each at a corrected level (Bonferroni).

    Parameters
    ----------
    scores
        Of shape ``(examples,)``; greater ones speak for having been trained on.
    included
        Which were, bool of the same shape, by tosses of a fair coin.
    delta, level
        Of the bound.
    seed
        By which equal scores are put in order: the order of the examples may tell which were trained on.
    """
    count = len(scores)
    order = _ranked(scores, seed)
    # Right guesses among so many of the greatest, and of the least.
    greatest = np.cumsum(included[order[::-1]])
    least = np.cumsum(~included[order])
    tried = _numbers(count)
    each = 1 - (1 - level) / len(tried)
    guesses = []
    for half in tried:
        correct = int(greatest[half - 1] + least[half - 1])
        epsilon = least_epsilon(count, 2 * half, correct, delta, each)
        guesses.append(Guesses(guesses=2 * half, correct=correct, epsilon=epsilon))
    return Bound(max(item.epsilon for item in guesses), ceiling(count, delta, level), guesses)


def _ranked(scores: np.ndarray, seed: int) -> np.ndarray:
    mixed = np.random.default_rng(seed).permutation(len(scores))
    order: np.ndarray = mixed[np.argsort(scores[mixed], kind="stable")]
    return order


def _numbers(count: int) -> Sequence[int]:
    """Guesses on either side that are tried."""
    half = count // 2
    found = [half]
    while half // 2 >= _FEWEST_GUESSES // 2:
        half //= 2
        found.append(half)
    return found


def balanced(members: np.ndarray, others: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and which are of members, thinned out so that membership is the toss of a fair coin.

    If each example became a member by itself with the same probability, as ExampleGen splits by a hash, then
    among those that are left it did so with probability 1/2.
    """
    rng = np.random.default_rng(seed)
    share = len(members) / len(others)
    first = members[rng.random(len(members)) < 1 / share] if share > 1 else members
    second = others[rng.random(len(others)) < share] if share < 1 else others
    included = np.arange(len(first) + len(second)) < len(first)
    return np.concatenate([first, second]), included


# Canaries


def audit_canaries(
    scores: np.ndarray, included: np.ndarray, settings: AuditSettings, claim: Claim | None
) -> CanaryAudit:
    """Holds the claimed guarantee against what the model shows of canaries.

    The bound is about one example more or less. Training by DP-SGD that keeps a guarantee for one example
    replaced by another keeps it for one more or less too, so that the bound counts against either.

    Parameters
    ----------
    scores
        Of each canary, of shape ``(canaries,)``; a greater one speaks for having been trained on.
    included
        Which were trained on, bool of the same shape: by a toss of a fair coin for each.
    settings
        Confidence level, and the seed by which ties are broken.
    claim
        The guarantee, if one is claimed. Its delta is that of the bound; without it :data:`DELTA`.

    Raises
    ------
    InputError
        If there are too few canaries, or the tosses cannot have been those of a fair coin.
    """
    scores = roc.checked(scores, "the canaries")
    included = np.asarray(included)
    _check_tosses(scores, included)
    included = included.astype(bool)
    delta = DELTA if claim is None else claim.delta
    found = bound(scores, included, delta, settings.level, settings.seed)
    return CanaryAudit(
        count=len(scores),
        included=int(included.sum()),
        auc=roc.area(scores[included], scores[~included]).estimate(settings.level),
        epsilon=found.epsilon,
        level=settings.level,
        delta=delta,
        ceiling=found.ceiling,
        guesses=found.guesses,
        verdict=_verdict(found, claim),
    )


def _check_tosses(scores: np.ndarray, included: np.ndarray) -> None:
    if included.shape != scores.shape:
        raise InputError(
            f"there are {len(scores):,} canaries and {included.size:,} tosses; give one toss for each canary"
        )
    if len(scores) < LEAST:
        raise InputError(f"{len(scores):,} canaries; at least {LEAST} are needed to show anything")
    count, heads = len(scores), int(included.sum())
    if 2 * float(special.bdtr(min(heads, count - heads), count, 0.5)) < _UNFAIR:
        raise InputError(
            f"{heads:,} of {count:,} canaries were trained on: no fair coin gives that, and the bound needs "
            "one; toss for each canary by itself"
        )


def _verdict(found: Bound, claim: Claim | None) -> Verdict:
    if claim is None:
        return Verdict.NOT_RUN
    if found.epsilon > claim.epsilon:
        return Verdict.FAIL
    # What could not have been refuted by anything has not been tested.
    return Verdict.INCONCLUSIVE if found.ceiling <= claim.epsilon else Verdict.PASS
