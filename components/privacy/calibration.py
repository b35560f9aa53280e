"""Noise for a target epsilon.

What a bound by Rényi divergences asks for is found first, in milliseconds. From there the noise that a tight
accountant asks for is a few of its evaluations away, since log epsilon is nearly straight in log noise. What
was found is remembered, in this process and in the user's cache folder, and held against the accountant
before it is used again: a file says where to look, never what is private.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import dp_accounting

from tfx_trust.components.errors import UsageError
from tfx_trust.components.privacy.accounting import (
    Composition,
    check_delta,
    composed_with,
    delta_for,
    epsilon_of,
    passes,
    roughly,
)
from tfx_trust.components.privacy.config import AccountantName, Adjacency, PrivacySettings
from tfx_trust.components.privacy.report import Mechanism

TOLERANCE = 1e-3
"""By how much epsilon may stay below its target, relatively; it is never above."""

_GREATEST = 1e3
_LEAST_NOISE, _MOST_NOISE = 1e-3, 1e6
_AIM = 1 - 0.4 * TOLERANCE
_DIGITS = 6
_ROUNDS = 60
_ROUGH = 3e-3
_SLOPE = -1.5

_FORMAT = 1
_known: dict[str, float] = {}


def settle(settings: PrivacySettings, examples: int, others: Sequence[Mechanism] = ()) -> Mechanism:
    """The training that the settings ask for, on so many examples.

    Parameters
    ----------
    settings
        Of the training; its `composed_with` counts among the others.
    examples
        N.
    others
        What else is released of the same examples. A target epsilon is that of all together.

    Returns
    -------
    Mechanism
        With its noise and steps; `max_batch` is none where no batch can be larger.

    Raises
    ------
    UsageError
        If the batch is larger than the data, delta is not below 1/N, or the target cannot be reached.
    """
    if settings.batch_size > examples:
        raise UsageError(
            f"batch_size = {settings.batch_size:,}: above the number of examples, {examples:,}; make it at "
            "most that"
        )
    delta = delta_for(settings, examples)
    check_delta(delta, examples)
    cut = settings.sampling == "poisson" and settings.largest_batch < examples
    planned = plan(settings, examples, max_batch=settings.largest_batch if cut else None)
    if settings.epsilon is None:
        return planned
    noise = noise_for(
        settings.epsilon,
        delta,
        planned,
        [*composed_with(settings), *others],
        accountant=settings.accountant,
        adjacency=settings.adjacency,
    )
    return planned.model_copy(update={"noise_multiplier": noise})


def plan(settings: PrivacySettings, examples: int, *, max_batch: int | None) -> Mechanism:
    """The training that the settings plan; with a noise multiplier of 1 where it is yet to be found.

    Parameters
    ----------
    settings
        Of the training.
    examples
        N.
    max_batch
        Where Poisson batches are cut off; nowhere if none.
    """
    return Mechanism(
        what="training",
        noise_multiplier=settings.noise_multiplier or 1.0,
        sampling=settings.sampling,
        sampling_probability=settings.batch_size / examples,
        steps=settings.steps_for(examples),
        examples=examples,
        max_batch=max_batch,
    )


def noise_for(
    epsilon: float,
    delta: float,
    mechanism: Mechanism,
    others: Sequence[Mechanism] = (),
    *,
    accountant: AccountantName = "pld",
    adjacency: Adjacency = "add_or_remove_one",
) -> float:
    """The least noise multiplier, nearly, by which `mechanism` and the others cost no more than `epsilon`.

    Parameters
    ----------
    epsilon
        Target: of all together.
    delta
        At which.
    mechanism
        Its noise is to be found; the one that it has does not matter.
    others
        What is released besides.
    accountant, adjacency
        As of `epsilon_of`.

    Returns
    -------
    float
        Six digits long. Epsilon, as `epsilon_of` tells it, is at most the target, and above 0.999 of it.

    Raises
    ------
    UsageError
        If an argument is not allowed, or no noise is enough.

    Examples
    --------
    >>> once = Mechanism(what="mean", noise_multiplier=1.0, examples=1000)
    >>> round(noise_for(1.0, 1e-5, once), 2)
    3.73
    """
    if not 0 < epsilon <= _GREATEST:
        raise UsageError(
            f"epsilon = {epsilon:g}: expected above 0 and at most {_GREATEST:g}; nothing is private beyond"
        )
    if mechanism.steps == 0:
        raise UsageError(f"{mechanism.what}: no steps, so that no noise is needed; plan at least one")

    target = _Target(epsilon, delta, mechanism, others, accountant, adjacency)
    _check_reachable(target)
    inputs = _inputs(target)
    for recalled in (_known.get(inputs), _recall(inputs)):
        if recalled is not None and target.fits(target.spent(recalled)):
            _known[inputs] = recalled
            return recalled
    found = _closed(target)
    if found is None or not target.fits(target.spent(found)):
        found = _searched(target)
    if target.spent(found) > epsilon:
        raise UsageError(f"epsilon = {epsilon:g} cannot be reached by any noise; raise epsilon")
    _known[inputs] = found
    _remember(inputs, found)
    return found


def with_noise(mechanism: Mechanism, noise: float) -> Mechanism:
    """`mechanism` with another noise multiplier."""
    return mechanism.model_copy(update={"noise_multiplier": noise})


@dataclass(frozen=True)
class _Target:
    """What `noise_for` was asked: an epsilon, and all that it depends on beside the noise."""

    epsilon: float
    delta: float
    mechanism: Mechanism
    others: Sequence[Mechanism]
    accountant: AccountantName
    adjacency: Adjacency

    def spent(
        self,
        noise: float,
        *,
        by: Callable[..., float] = epsilon_of,
        accountant: AccountantName | None = None,
    ) -> float:
        """Epsilon of all together at a noise multiplier."""
        return by(
            [with_noise(self.mechanism, noise), *self.others],
            self.delta,
            accountant=accountant or self.accountant,
            adjacency=self.adjacency,
        )

    def spent_besides(self, accountant: AccountantName) -> float:
        """Epsilon of the others alone."""
        return epsilon_of(self.others, self.delta, accountant=accountant, adjacency=self.adjacency)

    def fits(self, found: float) -> bool:
        """Whether an epsilon is the target, but for the tolerance."""
        return self.epsilon * (1 - TOLERANCE) < found <= self.epsilon


def _check_reachable(target: _Target) -> None:
    """Refuses a target that no noise is enough for, and says what stands in its way."""
    epsilon, delta, mechanism = target.epsilon, target.delta, target.mechanism
    # By either accountant, it is infinite where delta is used up.
    limit = epsilon_of(
        [with_noise(mechanism, _MOST_NOISE)], delta, accountant="rdp", adjacency=target.adjacency
    )
    extra = Composition.of([mechanism, *target.others]).extra_delta
    if extra >= delta:
        raise UsageError(
            f"delta = {delta:g} is used up by what is released besides noise ({extra:g}, such as thresholds "
            "that hide rare values); raise delta, or release less"
        )
    if target.accountant == "rdp" and not limit <= epsilon:
        raise UsageError(
            f"epsilon = {epsilon:g} cannot be shown by accountant 'rdp': batches of more than "
            f"{mechanism.max_batch} examples are cut, and too often; raise max_batch, or take accountant "
            "'pld'"
        )
    besides = target.spent_besides(target.accountant)
    if besides >= epsilon:
        raise UsageError(
            f"epsilon = {epsilon:g} cannot be reached: what is released besides {mechanism.what} costs "
            f"{besides:.4g} already; raise epsilon, or release less"
        )


# Search


def _closed(target: _Target) -> float | None:
    """By the Gaussian mechanism's closed form (Balle & Wang 2018, Theorem 8), where nothing is sampled."""
    mechanism = target.mechanism
    composed = Composition.of([mechanism, *target.others])
    if target.accountant != "pld" or composed.sampled:
        return None
    sides = 2.0 if target.adjacency == "replace_one" else 1.0
    delta = target.delta - composed.extra_delta
    total = dp_accounting.get_sigma_gaussian(target.epsilon * _AIM, delta) * sides
    left = total**-2 - Composition.of(target.others).precision
    if left <= 0:
        return None
    count = mechanism.steps if mechanism.sampling != "shuffle" else passes(mechanism)
    return _rounded(math.sqrt(count / left))


def _searched(target: _Target) -> float:
    """By Rényi divergences, then on a coarse grid of privacy losses, then as epsilon is told."""
    epsilon, noise, slope = target.epsilon, 1.0, _SLOPE
    if target.accountant != "rdp":
        # The others alone may cost more than the target by the first bound.
        more = target.spent_besides("rdp") - target.spent_besides(target.accountant)
        above = epsilon + max(0.0, more)
        by_divergence = functools.partial(target.spent, accountant="rdp")
        noise, slope = _search(by_divergence, above, noise, slope, functools.partial(_near, above))
        on_coarse_grid = functools.partial(target.spent, by=roughly)
        noise, slope = _search(on_coarse_grid, epsilon, noise, slope, functools.partial(_near, epsilon))
    return _search(target.spent, epsilon, noise, slope, lambda found, _: target.fits(found))[0]


def _near(target: float, found: float, width: float) -> bool:
    return width < _ROUGH or abs(found / target - 1) < _ROUGH


def _search(
    spent: Callable[[float], float],
    epsilon: float,
    start: float,
    slope: float,
    done: Callable[[float, float], bool],
) -> tuple[float, float]:
    """Noise at which `spent` is about `epsilon`, from near it.

    By the secant through the last two points in logarithms, within the bracket that is known; by halves where
    that does not help.

    Parameters
    ----------
    spent
        Epsilon of a noise multiplier; falls.
    epsilon
        Target.
    start
        First noise multiplier to try.
    slope
        Of log epsilon over log noise, as far as it is known.
    done
        Whether an epsilon will do, or the bracket's width in logarithms.

    Returns
    -------
    tuple of float and float
        The noise, and the slope there. If none is found in time, the least of those that keep to the target.
    """
    low, high = math.log(_LEAST_NOISE), math.log(_MOST_NOISE)
    x, last = math.log(start), None
    for _ in range(_ROUNDS):
        noise = _rounded(math.exp(x))
        x = math.log(noise)
        found = spent(noise)
        gap = math.log(found / (epsilon * _AIM)) if 0 < found < math.inf else None
        if gap is not None and last is not None and abs(x - last[0]) > 1e-9:
            slope = min(max((gap - last[1]) / (x - last[0]), -20.0), -0.05)
        if done(found, high - low):
            return noise, slope
        if found > epsilon:
            low = max(low, x)
        else:
            high = min(high, x)
        last = (x, gap) if gap is not None else None
        x = x - gap / slope if gap is not None else (low + high) / 2
        if not low < x < high:
            x = (low + high) / 2
    return _rounded(math.exp(high)), slope


def _rounded(noise: float) -> float:
    """Up, to some digits, so that the number that is told is the number that is meant."""
    scale = 10.0 ** (_DIGITS - 1 - math.floor(math.log10(noise)))
    return math.ceil(noise * scale * (1 - 1e-12)) / scale


# Memory


def _inputs(target: _Target) -> str:
    """All that the noise depends on, as text."""

    def numbers(it: Mechanism) -> dict[str, Any]:
        return it.model_dump(exclude={"what"})

    known: dict[str, Any] = {
        "format": _FORMAT,
        "dp_accounting": metadata.version("dp-accounting"),
        "epsilon": target.epsilon,
        "delta": target.delta,
        "mechanism": numbers(with_noise(target.mechanism, 1.0)),
        "others": sorted(
            (numbers(it) for it in target.others), key=lambda it: json.dumps(it, sort_keys=True)
        ),
        "accountant": target.accountant,
        "adjacency": target.adjacency,
    }
    return json.dumps(known, sort_keys=True)


def _file(inputs: str) -> Path | None:
    """Where the noise is remembered; none where there is no home."""
    folder = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # One that is not absolute is to be left alone, says the specification.
        base = Path(folder) if os.path.isabs(folder) else Path.home() / ".cache"
    except RuntimeError:
        return None
    return base / "tfx-trust" / "noise" / f"{hashlib.sha256(inputs.encode()).hexdigest()}.json"


def _recall(inputs: str) -> float | None:
    path = _file(inputs)
    try:
        known = json.loads(path.read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError):
        return None
    if not isinstance(known, dict) or known.get("inputs") != json.loads(inputs):
        return None
    noise = known.get("noise_multiplier")
    if not isinstance(noise, float) or not _LEAST_NOISE <= noise <= _MOST_NOISE:
        return None
    return noise


def _remember(inputs: str, noise: float) -> None:
    """Writes the noise in one piece, if it can be written at all."""
    path = _file(inputs)
    if path is None:
        return
    text = json.dumps({"inputs": json.loads(inputs), "noise_multiplier": noise}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    except OSError:
        return
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
