"""The ROC curve of an attack: its area, its advantage, its power at low false positive rates.

Members are those that a model was trained on, others those that it was not. A greater score speaks for a
member.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from tfx_trust.components import intervals
from tfx_trust.components.errors import InputError
from tfx_trust.components.fairness.curves import ranking_count
from tfx_trust.components.privacy.report import RocPoint
from tfx_trust.components.report import Estimate

if TYPE_CHECKING:
    from tfx_trust.components.privacy.config import Claim

_POINTS = 200

Interval = tuple[float, float]


def checked(scores: np.ndarray, what: str) -> np.ndarray:
    """Scores as float64 of shape ``(examples,)``; they may be infinite.

    Raises
    ------
    InputError
        If they have another shape, or one is not a number.
    """
    found = np.asarray(scores, float)
    if found.ndim != 1:
        raise InputError(f"scores of {what} have the shape {found.shape}; give one number for each example")
    if np.isnan(found).any():
        raise InputError(
            f"scores of {what}: {int(np.isnan(found).sum()):,} of {len(found):,} are not a number; leave "
            "these examples out, or look why the model gives none"
        )
    return found


def clopper_pearson(successes: int, count: int, level: float) -> Interval:
    """Exact interval of a share (Clopper & Pearson 1934).

    Examples
    --------
    >>> low, high = clopper_pearson(1, 10, 0.95)
    >>> round(low, 4), round(high, 4)
    (0.0025, 0.445)
    """
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, count - successes + 1, tail))
    high = (
        1.0 if successes == count else float(special.betaincinv(successes + 1, count - successes, 1 - tail))
    )
    return low, high


# The area


@dataclass(frozen=True)
class Area:
    """Area under the ROC curve.

    Attributes
    ----------
    value
        Share of (member, other) pairs in which the member scores higher, ties counting half.
    deviation
        Its standard deviation (DeLong, DeLong & Clarke-Pearson 1988); NaN of fewer than two of either.
    members, others
        How many.
    """

    value: float
    deviation: float
    members: int
    others: int

    @property
    def count(self) -> np.ndarray:
        """How many examples a share of the same variance would rest on."""
        return ranking_count(
            np.array(self.value), np.array(self.deviation), np.array(self.members), np.array(self.others)
        )

    def interval(self, level: float) -> Interval:
        """Its interval, which keeps within 0 and 1.

        The variance is DeLong's, or that of a model of few scores where it is greater (Newcombe 2006), and
        the form is Wilson's: the plain normal interval holds an AUC of 0.9 of 30 and 30 examples 92 times in
        100, and its lower end lies above it 8 times, not 2.5.
        """
        low, high = intervals.wilson(self.value, self.count, level)
        return float(low), float(high)

    def estimate(self, level: float) -> Estimate:
        """With its interval."""
        low, high = self.interval(level)
        return Estimate(
            value=self.value,
            low=low,
            high=high,
            count=self.members + self.others,
            level=level,
            method="DeLong, in Wilson's form",
        )

    def above(self, bound: float) -> float:
        """P-value of its being no more than a bound.

        It is below ``1 - level`` where the interval at that level lies above the bound.
        """
        count = self.count
        z = intervals.inverted(
            lambda z: _low(self.value, count, z), np.array([self.value]), np.array([float(bound)])
        )
        return float(z[0])


def _low(value: float, count: np.ndarray, z: np.ndarray) -> np.ndarray:
    squared = z * z / count
    half = z / (1 + squared) * np.sqrt(value * (1 - value) / count + squared / (4 * count))
    low: np.ndarray = (value + squared / 2) / (1 + squared) - half
    return low


def area(members: np.ndarray, others: np.ndarray) -> Area:
    """Area under the ROC curve of some scores.

    Parameters
    ----------
    members, others
        Scores, of shapes ``(members,)`` and ``(others,)``, at least one of each.

    Examples
    --------
    >>> area(np.array([0.3, 0.7, 0.9]), np.array([0.1, 0.3])).value
    0.9166666666666666
    """
    if not (len(members) and len(others)):
        raise InputError(
            f"{len(members):,} members and {len(others):,} others; an attack needs some of both to tell apart"
        )
    # For each example, the share of the other side that it beats: the placements of DeLong et al.
    of_members = _beaten(members, others)
    of_others = 1 - _beaten(others, members)
    spread = np.nan
    if min(len(members), len(others)) > 1:
        variance = of_members.var(ddof=1) / len(members) + of_others.var(ddof=1) / len(others)
        spread = float(np.sqrt(variance))
    return Area(float(of_members.mean()), spread, len(members), len(others))


def _beaten(scores: np.ndarray, by: np.ndarray) -> np.ndarray:
    ranked = np.sort(by)
    below = np.searchsorted(ranked, scores, "left") + np.searchsorted(ranked, scores, "right")
    share: np.ndarray = below / (2 * len(ranked))
    return share


# The advantage


@dataclass(frozen=True)
class Advantage:
    """True less false positive rate at one threshold.

    Attributes
    ----------
    true_positive_rate, members
        Share of the members that score at least the threshold, and how many there are.
    false_positive_rate, others
        The same of the others.
    """

    true_positive_rate: float
    members: int
    false_positive_rate: float
    others: int

    @property
    def value(self) -> float:
        """True less false positive rate."""
        return self.true_positive_rate - self.false_positive_rate

    def estimate(self, level: float) -> Estimate:
        """With Newcombe's interval."""
        low, high = intervals.newcombe(
            self.true_positive_rate, self.members, self.false_positive_rate, self.others, level
        )
        return Estimate(
            value=self.value,
            low=float(low),
            high=float(high),
            count=self.members + self.others,
            level=level,
            method="Newcombe, threshold from the other half",
        )

    def above(self, bound: float) -> float:
        """P-value of its being no more than a bound."""
        return difference_above(
            self.true_positive_rate, self.members, self.false_positive_rate, self.others, bound
        )


def difference_above(share: float, count: int, other: float, other_count: int, bound: float) -> float:
    """P-value of ``share - other`` being no more than a bound: Newcombe's interval inverted.

    Where few are expected, Fisher's exact test has a say (:func:`~tfx_trust.components.intervals.unequal`).

    Examples
    --------
    >>> difference_above(0.55, 400, 0.5, 400, 0.0) > 0.05 > difference_above(0.6, 400, 0.5, 400, 0.0)
    True
    """
    if share <= other:
        return 1.0
    found = [np.array([item]) for item in (share, float(count), other, float(other_count))]
    p = np.maximum(intervals.beyond(found[0], found[1], found[2], found[3], bound), intervals.unequal(*found))
    return float(p[0])


def advantage(members: np.ndarray, others: np.ndarray, seed: int) -> Advantage:
    """The greatest advantage of one threshold: chosen on a random half, measured on the other.

    On the half that it was chosen on it would look greater than it is: of 100 and 100 examples and no power
    at all by about 0.11.

    Parameters
    ----------
    members, others
        Scores, at least two of each.
    seed
        Of the halves.
    """
    if min(len(members), len(others)) < 2:
        raise InputError(
            f"{len(members):,} members and {len(others):,} others; halves need at least two of each"
        )
    rng = np.random.default_rng(seed)
    chosen, measured = zip(_halves(members, rng), _halves(others, rng), strict=True)
    threshold = _best_threshold(*chosen)
    first, second = ((scores >= threshold).mean() for scores in measured)
    return Advantage(float(first), len(measured[0]), float(second), len(measured[1]))


def _halves(scores: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    mixed = rng.permutation(scores)
    return mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]


def _best_threshold(members: np.ndarray, others: np.ndarray) -> float:
    values = np.unique(members)
    gain = _at_least(members, values) - _at_least(others, values)
    return float(values[np.argmax(gain)])


def _at_least(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Shares of scores that are no less than each threshold."""
    below = np.searchsorted(np.sort(scores), thresholds, "left")
    share: np.ndarray = 1 - below / len(scores)
    return share


# Low false positive rates


def power_at(members: np.ndarray, others: np.ndarray, rate: float, level: float) -> Estimate:
    """True positive rate at a false positive rate.

    The threshold is the greatest score that leaves no more than this share of the others above it. Which
    threshold has that rate in truth is not known: by order statistics of the others (David & Nagaraja 2003,
    section 7.1) it lies between two of their scores, and the interval reaches from the lower Clopper-Pearson
    end at the one to the upper end at the other, each of the four errors having a quarter of what the level
    leaves. So few others give a wide interval.

    Parameters
    ----------
    members, others
        Scores.
    rate
        False positive rate, between 0 and 1.
    level
        Confidence level.
    """
    count, quarter = len(others), (1 - level) / 4
    descending = -np.sort(-others)
    here = int(np.floor(rate * count))
    # The j-th greatest of the others has a rate of no more than this with probability P(Binomial >= j).
    places = np.arange(1, count + 1)
    reached = special.bdtrc(places - 1, count, rate)
    strict = int((reached >= 1 - quarter).sum())
    loose = int((1 - reached < 1 - quarter).sum()) + 1
    caught = int((members > descending[here]).sum()) if here < count else len(members)
    low, high = 0.0, 1.0
    side = 1 - 2 * quarter
    if strict:
        low = clopper_pearson(int((members > descending[strict - 1]).sum()), len(members), side)[0]
    if loose <= count:
        high = clopper_pearson(int((members >= descending[loose - 1]).sum()), len(members), side)[1]
    value = caught / len(members)
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        count=len(members),
        level=level,
        method="Clopper-Pearson, with the threshold's error",
    )


def allowed(rates: np.ndarray | float, claim: Claim) -> np.ndarray:
    """The greatest true positive rates that a guarantee allows (Kairouz, Oh & Viswanath 2015).

    Parameters
    ----------
    rates
        False positive rates, of any shape.
    claim
        The guarantee.

    Examples
    --------
    >>> from tfx_trust.components.privacy.config import Claim
    >>> allowed(np.array([0.01, 0.5]), Claim(epsilon=1.0, delta=1e-5)).round(4).tolist()
    [0.0272, 0.8161]
    """
    # exp overflows where either bound is 1 for every purpose.
    factor = np.exp(min(claim.epsilon, 700.0))
    most = np.minimum(factor * rates + claim.delta, 1 - (1 - claim.delta - rates) / factor)
    return np.clip(most, 0.0, 1.0)


# The picture


def points(members: np.ndarray, others: np.ndarray, most: int = _POINTS) -> list[RocPoint]:
    """Points of the ROC curve for drawing: its ends, and points evenly on a log scale and on a plain one.

    Parameters
    ----------
    members, others
        Scores.
    most
        Greatest number of points.
    """
    values = np.unique(np.concatenate([members, others]))[::-1]
    false, true = _at_least(others, values), _at_least(members, values)
    # Among points of the same rate the highest is the curve's.
    last = np.append(np.diff(false) > 0, True)
    false, true = np.append(0.0, false[last]), np.append(0.0, true[last])
    if len(false) > most:
        half = (most - 2) // 2
        least = false[1] if false[1] > 0 else false[2]
        wanted = np.concatenate([np.geomspace(least, 1.0, half), np.linspace(0.0, 1.0, half)])
        kept = np.unique(np.concatenate([[0, 1], np.searchsorted(false, wanted - 1e-12)]))
        false, true = false[kept], true[kept]
    return [
        RocPoint(false_positive_rate=float(x), true_positive_rate=float(y))
        for x, y in zip(false, true, strict=True)
    ]
