"""What a training, and all that is released beside it, costs in privacy: epsilon and delta.

By dp-accounting's privacy loss distributions (PLD; Doroshenko, Ghazi, Kamath, Kumar & Manurangsi 2022,
"Connect the dots"), which are tight, or by Rényi divergences (RDP; Mironov 2017, "Rényi differential
privacy"), an upper bound. All mechanisms here are Gaussian:

- without sampling, they come down to one Gaussian, its precision being the sum of theirs; alone, its epsilon
  has a closed form (Balle & Wang 2018, "Improving the Gaussian mechanism for differential privacy");
- of a shuffled dataset, an example is in one batch of each pass, so that a pass costs as much as one
  Gaussian;
- of Poisson batches, each step is a sampled Gaussian.

Every number that comes out is an upper bound: grids round up, what floating point may be off by is taken off
delta, and what the cut of large batches may add is accounted for.

`noise_multiplier` is the noise's standard deviation over the clip norm. Where one example is *replaced*, the
sum of clipped gradients moves by up to twice the clip norm; that is in the numbers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import dp_accounting
import numpy as np
from dp_accounting import rdp
from dp_accounting.pld import privacy_loss_distribution
from scipy import special, stats

from tfx_trust.components.errors import UsageError, unknown
from tfx_trust.components.privacy.config import (
    ACCOUNTANTS,
    ADJACENCIES,
    AccountantName,
    Adjacency,
    PrivacySettings,
)
from tfx_trust.components.privacy.report import CurvePoint, Guarantee, Mechanism

Loss = Any
_RELATIONS = {
    "add_or_remove_one": dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE,
    "replace_one": dp_accounting.NeighboringRelation.REPLACE_ONE,
}
_DEFAULT_POWER = 1.1

# The grid of privacy losses: as dp-accounting's, but finer where a step's loss is itself that small, and
# coarser where the losses range so widely that it would take minutes.
_GRID = 1e-4
_FINENESS = 32
_MOST_POINTS, _MOST_FINE_POINTS, _MOST_COMPOSED = 2.5e5, 1e6, 1e6
_COARSENESS = 8
# Noise below which nothing is guaranteed, and beyond which more of it is not counted: what it is for either
# would drown in rounding.
_FAINT, _ENOUGH = 1e-4, 1e6
# Beyond it the bound by Rényi divergences stands for itself: no privacy is left for a tighter one to tell.
_HOPELESS = 2e3
# The same of steps: composing more of them takes minutes.
_MOST_STEPS = 2e6
# Fourier transforms are off by about one rounding a step, measured against the closed form of the Gaussian.
_ROUNDING, _ROUNDING_PER_STEP = 1e-14, float(np.finfo(float).eps)
# Share of delta up to which cut batches are paid for out of it, in place of a distribution of their own.
_NEGLIGIBLE = 1e-3

_ORDERS = tuple(float(order) for order in rdp.rdp_privacy_accountant.DEFAULT_RDP_ORDERS)
_STEP, _MARGIN, _FURTHEST = 0.05, 16.0, 2e4


# Delta


def default_delta(examples: int) -> float:
    """N^-1.1: below 1/N, at which nobody would be protected, and further below the larger N is.

    Examples
    --------
    >>> f"{default_delta(32561):.2e}"
    '1.09e-05'
    """
    return float(examples) ** -_DEFAULT_POWER


def delta_for(settings: PrivacySettings, examples: int) -> float:
    """The delta of the settings, or the default for so many examples."""
    return settings.delta if settings.delta is not None else default_delta(examples)


def check_delta(delta: float, examples: int) -> None:
    """Refuses a delta that allows to publish an example.

    Raises
    ------
    UsageError
        If it is not above 0 and below 1/N: a mechanism that publishes one example at random has delta = 1/N.
    """
    if examples < 2:
        raise UsageError(f"examples = {examples}: expected at least 2; there is nobody to hide among")
    if not 0 < delta < 1 / examples:
        raise UsageError(
            f"delta = {delta:g}: expected above 0 and below 1/N = {1 / examples:.3g}, N = {examples:,} being "
            f"the number of examples; leave it out for N^-1.1 = {default_delta(examples):.3g}"
        )


# Epsilon


def epsilon_of(
    mechanisms: Sequence[Mechanism],
    delta: float,
    *,
    accountant: AccountantName = "pld",
    adjacency: Adjacency = "add_or_remove_one",
) -> float:
    """Epsilon of all mechanisms together, at `delta`.

    Parameters
    ----------
    mechanisms
        What was released of the same examples, in any order; each may have been chosen after the outcome of
        others. Each mechanism's `extra_delta` is taken off `delta` at each of its steps.
    delta
        Between 0 and 1.
    accountant
        ``pld`` or ``rdp``.
    adjacency
        Which data sets count as neighbours.

    Returns
    -------
    float
        0 or above; infinite where nothing is guaranteed.

    Raises
    ------
    UsageError
        If an argument is not allowed, or a sampled mechanism has no sampling probability.

    Notes
    -----
    A shuffled dataset is taken to give each example once in every N that are drawn, so that one is in at most
    ceil(steps * batch / N) batches: it is not repeated before it is shuffled, and a last batch of a pass that
    is not full is not left out. Its batches have a fixed size, so that one example more would push others
    from batch to batch; under ``add_or_remove_one``, that an example is left out is thus taken to mean that
    its place stays blank ("zero-out"; Chua et al. 2024, "How private are DP-SGD implementations?").

    Whether a batch is cut (`max_batch`) can only depend on an example where the others in it are as many as
    it may hold, and that is as probable in all data sets that are neighbours. With p the sum of its
    probability over the steps, (epsilon, d) without the cut is thus (epsilon, d + p) with it. Where that
    costs too much, and the accountant is ``pld``, dp-accounting's distribution for cut batches
    (arXiv:2508.15089) is taken.

    Examples
    --------
    >>> step = Mechanism(what="training", noise_multiplier=1.1, sampling="poisson",
    ...                  sampling_probability=256 / 60_000, steps=3516, examples=60_000)
    >>> round(epsilon_of([step], 1e-5), 2)
    1.13
    """
    _check(delta, accountant, adjacency)
    return _epsilon(Composition.of(mechanisms), float(delta), accountant, adjacency)


def roughly(
    mechanisms: Sequence[Mechanism],
    delta: float,
    *,
    accountant: AccountantName = "pld",
    adjacency: Adjacency = "add_or_remove_one",
) -> float:
    """As `epsilon_of`, in an eighth of its time: still an upper bound, mostly within a hundredth.

    Raises
    ------
    UsageError
        As of `epsilon_of`.
    """
    _check(delta, accountant, adjacency)
    return _epsilon(Composition.of(mechanisms), float(delta), accountant, adjacency, coarse=True)


def guarantees(
    mechanisms: Sequence[Mechanism], delta: float, settings: PrivacySettings
) -> tuple[Guarantee, list[Guarantee]]:
    """The guarantee as the settings want it told, and the same by the other accountant and adjacency.

    Parameters
    ----------
    mechanisms
        All that was released.
    delta
        At which.
    settings
        Name the accountant, the adjacency and the target.

    Returns
    -------
    tuple of Guarantee and list of Guarantee
        The others are told where they are finite.

    Raises
    ------
    UsageError
        As of `epsilon_of`.
    """

    def told(accountant: AccountantName, adjacency: Adjacency) -> Guarantee:
        epsilon = epsilon_of(mechanisms, delta, accountant=accountant, adjacency=adjacency)
        own = (accountant, adjacency) == (settings.accountant, settings.adjacency)
        return Guarantee(
            epsilon=epsilon if math.isfinite(epsilon) else None,
            delta=delta,
            adjacency=adjacency,
            accountant=accountant,
            target=settings.epsilon if own else None,
        )

    own = told(settings.accountant, settings.adjacency)
    others = [
        told(accountant, adjacency)
        for adjacency in ADJACENCIES
        for accountant in ACCOUNTANTS
        if (accountant, adjacency) != (settings.accountant, settings.adjacency)
    ]
    return own, [guarantee for guarantee in others if guarantee.epsilon is not None]


def curve(
    mechanism: Mechanism,
    others: Sequence[Mechanism],
    delta: float,
    *,
    accountant: AccountantName = "pld",
    adjacency: Adjacency = "add_or_remove_one",
    points: int = 24,
) -> list[CurvePoint]:
    """Epsilon over the steps of a training.

    Parameters
    ----------
    mechanism
        The training.
    others
        What was released before it, and so is spent from the first step on.
    delta
        At which, all along.
    accountant, adjacency
        As of `epsilon_of`.
    points
        How many at most, evenly over the steps.

    Returns
    -------
    list of CurvePoint
        By step. The last is the whole training's, by `epsilon_of`; those before it are on a coarser grid, and
        so slightly above. Empty where nothing is guaranteed; points without a guarantee are left out.

    Raises
    ------
    UsageError
        As of `epsilon_of`.
    """
    whole = epsilon_of([mechanism, *others], delta, accountant=accountant, adjacency=adjacency)
    if not math.isfinite(whole) or mechanism.steps == 0:
        return []
    steps = sorted({math.ceil(mechanism.steps * (index + 1) / points) for index in range(points)})
    drawn = []
    for step in steps[:-1]:
        until = [mechanism.model_copy(update={"steps": step}), *others]
        epsilon = roughly(until, delta, accountant=accountant, adjacency=adjacency)
        drawn.append(CurvePoint(step=step, epsilon=min(epsilon, whole)))
    return [*drawn, CurvePoint(step=mechanism.steps, epsilon=whole)]


def _check(delta: float, accountant: str, adjacency: str) -> None:
    if accountant not in ACCOUNTANTS:
        raise unknown("accountant", accountant, ACCOUNTANTS)
    if adjacency not in ADJACENCIES:
        raise unknown("adjacency", adjacency, ADJACENCIES)
    if not 0 < delta < 1:
        raise UsageError(f"delta = {delta:g}: expected above 0 and below 1")


# What mechanisms come down to


def composed_with(settings: PrivacySettings) -> list[Mechanism]:
    """What the settings name as released of the same examples besides."""
    return [Mechanism.model_validate(item) for item in settings.composed_with]


@dataclasses.dataclass(frozen=True)
class Sampled:
    """Steps of the Poisson sampled Gaussian mechanism."""

    noise: float
    probability: float
    examples: int
    max_batch: int | None
    steps: int

    @property
    def cut(self) -> float:
        """Probability that in any of the steps the others alone fill the batch."""
        if self.max_batch is None:
            return 0.0
        # Of the larger of two neighbours, which may have one example more.
        full = float(stats.binom.sf(self.max_batch - 1, self.examples, self.probability))
        return min(1.0, self.steps * full)


@dataclasses.dataclass(frozen=True)
class Composition:
    """What any mechanisms come down to: one Gaussian, sampled ones, and a probability to fail by."""

    precision: float
    """1 / noise multiplier^2 of the one Gaussian that those without sampling come down to; 0 if none."""
    sampled: tuple[Sampled, ...]
    """Those with sampling, each once."""
    extra_delta: float
    """Sum of the probabilities that they fail by besides."""

    @classmethod
    def of(cls, mechanisms: Sequence[Mechanism]) -> Composition:
        """The composition of `mechanisms`.

        Raises
        ------
        UsageError
            If one is sampled and does not say how often.
        """
        precision, extra, sampled = 0.0, 0.0, dict[tuple[float, float, int, int | None], int]()
        for it in mechanisms:
            if it.steps == 0:
                continue
            extra += it.extra_delta * it.steps
            if it.sampling == "none":
                precision += it.steps * _precision(it)
                continue
            if it.sampling_probability is None:
                raise UsageError(
                    f"{it.what}: {it.sampling} sampling without a sampling probability; give the batch "
                    "size over the number of examples"
                )
            cut = it.max_batch is not None and it.max_batch < it.examples
            if it.sampling == "shuffle":
                precision += passes(it) * _precision(it)
            elif it.sampling_probability == 1 and not cut:
                precision += it.steps * _precision(it)
            else:
                kind = (
                    min(it.noise_multiplier, _ENOUGH),
                    it.sampling_probability,
                    it.examples if cut else 0,
                    it.max_batch if cut else None,
                )
                sampled[kind] = sampled.get(kind, 0) + it.steps
        # In one order, so that what is known of it is found again.
        ordered = sorted(sampled.items(), key=lambda item: (*item[0][:3], item[0][3] or 0))
        return cls(precision, tuple(Sampled(*kind, steps) for kind, steps in ordered), extra)

    @property
    def steps(self) -> int:
        """Of all that are sampled."""
        return sum(it.steps for it in self.sampled)

    @property
    def cut(self) -> float:
        """Probability that an example may change what is cut of a batch."""
        return sum(it.cut for it in self.sampled)

    @property
    def faintest(self) -> float:
        """The least noise multiplier of any."""
        plain = self.precision**-0.5 if self.precision else math.inf
        return min([plain, *(it.noise for it in self.sampled)])

    def uncut(self) -> Composition:
        """The same where no batch is cut."""
        return dataclasses.replace(
            self, sampled=tuple(dataclasses.replace(it, examples=0, max_batch=None) for it in self.sampled)
        )


def _precision(mechanism: Mechanism) -> float:
    # Infinite rather than an error, where the square of next to no noise is 0.
    return (1 / mechanism.noise_multiplier) * (1 / mechanism.noise_multiplier)


def passes(mechanism: Mechanism) -> int:
    """How many batches an example is in at most, where the dataset is shuffled for each pass.

    Examples
    --------
    >>> passes(Mechanism(what="training", noise_multiplier=1.0, sampling="shuffle", sampling_probability=0.25,
    ...                  steps=9, examples=100))
    3
    """
    assert mechanism.sampling_probability is not None
    # Of the batch size, which is whole, and not of its quotient, which is rounded.
    batch = max(1, round(mechanism.sampling_probability * mechanism.examples))
    return min(mechanism.steps, -(-mechanism.steps * batch // mechanism.examples))


# By either accountant


@functools.lru_cache(maxsize=4096)
def _epsilon(
    composed: Composition,
    delta: float,
    accountant: AccountantName,
    adjacency: Adjacency,
    coarse: bool = False,
) -> float:
    left = delta - composed.extra_delta
    if not composed.precision and not composed.sampled:
        return 0.0 if left >= 0 else math.inf
    if left <= 0 or composed.faintest < _FAINT:
        return math.inf
    if accountant == "pld" and not composed.sampled:
        return _of_gaussian(composed.precision, left, adjacency)
    bound = _by_divergence(composed, left - composed.cut, adjacency)
    if accountant == "rdp":
        return bound
    rough = _by_divergence(composed, left, adjacency)
    if not rough < _HOPELESS or composed.steps > _MOST_STEPS:
        return bound
    if composed.cut <= _NEGLIGIBLE * left:
        left, composed = left - composed.cut, composed.uncut()
    found = _by_distribution(composed, left, adjacency, _grid(composed, rough, adjacency, coarse))
    # Of a delta that is all but rounding, and of very many steps, the other bound is the better one.
    return min(found, bound)


def _of_gaussian(precision: float, delta: float, adjacency: Adjacency) -> float:
    """Of the Gaussian mechanism alone (Balle & Wang 2018, Theorem 8)."""
    noise = precision**-0.5 * (0.5 if adjacency == "replace_one" else 1.0)
    with np.errstate(all="ignore"):
        return float(dp_accounting.get_epsilon_gaussian(noise, delta))


# By privacy loss distributions


def _grid(composed: Composition, rough: float, adjacency: Adjacency, coarse: bool) -> float:
    """Distance of the grid's points: dp-accounting's, halved or doubled so often as is of use.

    Parameters
    ----------
    composed
        Of which.
    rough
        Its epsilon, about.
    adjacency
        Of neighbours.
    coarse
        Whether it is to be quick rather than tight.
    """
    # Privacy loss of a step: its greatest, and its spread.
    sides = 2.0 if adjacency == "replace_one" else 1.0
    noises = [(it.noise / (sides if it.max_batch is None else 2), it.probability) for it in composed.sampled]
    if composed.precision:
        noises.append((composed.precision**-0.5 / sides, 1.0))
    greatest = max(11 / noise + 0.5 / noise**2 for noise, _ in noises)
    spread = min(share * math.sqrt(math.expm1(min(1 / noise**2, 700.0))) for noise, share in noises)
    finest = max(greatest / _MOST_FINE_POINTS, spread / _FINENESS)
    coarsest = max(greatest / _MOST_POINTS, rough / _MOST_COMPOSED)
    wanted = max(min(_GRID, finest), coarsest) * (_COARSENESS if coarse else 1)
    # Equal grids can be composed, and remembered.
    doublings = math.log2(wanted / _GRID)
    return float(_GRID * 2.0 ** (math.ceil(doublings) if wanted > _GRID else math.floor(doublings)))


def _by_distribution(composed: Composition, delta: float, adjacency: Adjacency, grid: float) -> float:
    left = delta - _ROUNDING - _ROUNDING_PER_STEP * composed.steps
    if left <= 0:
        return math.inf
    with np.errstate(all="ignore"):
        return float(_distribution(composed, adjacency, grid).get_epsilon_for_delta(left))


@functools.lru_cache(maxsize=2)
def _distribution(composed: Composition, adjacency: Adjacency, grid: float) -> Loss:
    parts = [_of_sampled(it, adjacency, grid) for it in composed.sampled]
    if composed.precision:
        parts.append(
            privacy_loss_distribution.from_gaussian_mechanism(
                composed.precision**-0.5,
                value_discretization_interval=grid,
                neighboring_relation=_RELATIONS[adjacency],
            )
        )
    return functools.reduce(lambda first, second: first.compose(second), parts)


@functools.lru_cache(maxsize=16)
def _of_sampled(part: Sampled, adjacency: Adjacency, grid: float) -> Loss:
    with np.errstate(all="ignore"):
        return _of_step(dataclasses.replace(part, steps=1), adjacency, grid).self_compose(part.steps)


@functools.lru_cache(maxsize=4)
def _of_step(part: Sampled, adjacency: Adjacency, grid: float) -> Loss:
    if part.max_batch is None:
        return privacy_loss_distribution.from_gaussian_mechanism(
            part.noise,
            value_discretization_interval=grid,
            sampling_prob=part.probability,
            neighboring_relation=_RELATIONS[adjacency],
        )
    return privacy_loss_distribution.from_truncated_subsampled_gaussian_mechanism(
        dataset_size=part.examples,
        sampling_probability=part.probability,
        truncated_batch_size=part.max_batch,
        noise_multiplier=part.noise,
        value_discretization_interval=grid,
        neighboring_relation=_RELATIONS[adjacency],
    )


# By Rényi divergences


def _by_divergence(composed: Composition, delta: float, adjacency: Adjacency) -> float:
    if delta <= 0:
        return math.inf
    orders = np.array(_ORDERS)
    sides = 2.0 if adjacency == "replace_one" else 1.0
    total = composed.precision * sides**2 * orders / 2
    for it in composed.sampled:
        total = total + it.steps * np.array(_divergences(it.noise, it.probability, adjacency))
    with _quiet():
        return float(rdp.compute_epsilon(_ORDERS, total, delta)[0])


@functools.lru_cache(maxsize=1024)
def _divergences(noise: float, probability: float, adjacency: Adjacency) -> tuple[float, ...]:
    """Of the sampled Gaussian mechanism, one for each of the orders."""
    if adjacency == "replace_one":
        return tuple(_divergence_of_replacement(noise, probability, order) for order in _ORDERS)
    event = dp_accounting.PoissonSampledDpEvent(probability, dp_accounting.GaussianDpEvent(noise))
    with _quiet():
        found = rdp.RdpAccountant(_ORDERS).compose(event).rdp
    # What is off by rounding is no gain in privacy.
    return tuple(float(value) for value in np.maximum(found, 0.0))


def _divergence_of_replacement(noise: float, probability: float, order: float) -> float:
    """Rényi divergence between the two mixtures that one example's replacement by another leads to at most.

    They are (1-q) N(0, s^2) + q N(1, s^2) and (1-q) N(0, s^2) + q N(-1, s^2), as in dp-accounting's privacy
    loss distributions; it has no closed form. The integrand is analytic and falls off like a Gaussian, for
    which the trapezoidal rule errs by far less than rounding (Trefethen & Weideman 2014).
    """
    shift = 1 / noise
    furthest = shift * (2 * order - 1) + _MARGIN
    if furthest > _FURTHEST:
        return math.inf
    x = np.arange(-shift - _MARGIN, furthest, _STEP)
    density = -(x**2) / 2 - math.log(2 * math.pi) / 2

    def log_of_mixture(side: float) -> np.ndarray:
        at_zero = math.log1p(-probability) if probability < 1 else -math.inf
        return np.asarray(
            density + np.logaddexp(at_zero, math.log(probability) + side * shift * x - shift**2 / 2)
        )

    exponents = order * log_of_mixture(1.0) + (1 - order) * log_of_mixture(-1.0)
    return max(0.0, float(special.logsumexp(exponents) + math.log(_STEP)) / (order - 1))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without dp-accounting's warnings of orders that it leaves out, which costs tightness alone."""
    logger, rule = logging.getLogger("absl"), _without_accountant
    logger.addFilter(rule)
    try:
        yield
    finally:
        logger.removeFilter(rule)


def _without_accountant(record: logging.LogRecord) -> bool:
    return "rdp_privacy_accountant" not in record.pathname
