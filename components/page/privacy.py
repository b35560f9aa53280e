"""What the page of a privacy report says: the guarantee in words, what it covers, what was spent."""

from __future__ import annotations

import datetime
import math

from tfx_trust.components.page import words
from tfx_trust.components.privacy.report import (
    Guarantee,
    LedgerEntry,
    Mechanism,
    PrivacyReport,
    PrivacySection,
    Training,
)
from tfx_trust.components.privacy.words import rounded_up
from tfx_trust.components.report import format_number

CURVE_FIGURE = "Epsilon over the steps"
TRADEOFF_FIGURE = "What other epsilons cost"
LEDGER_FIGURE = "What was spent of these data"

SCOPES = {
    "pipeline": "everything that ships with the model",
    "training only": "the training alone, not all that ships with the model",
    "none": "nothing",
}
ADJACENCIES = {
    "add_or_remove_one": "one example more or less",
    "replace_one": "one example being another",
}
CHANGES = {
    "add_or_remove_one": "Take any one example out of the training data, or put any one in",
    "replace_one": "Replace any one example of the training data by any other",
}
ACCOUNTANTS = {
    "pld": "privacy loss distributions",
    "rdp": "Rényi divergences",
}
SAMPLINGS = {
    "poisson": "each example by itself, with the same probability at every step (Poisson sampling)",
    "shuffle": "shuffled and cut; no amplification by sampling is claimed, because none is proven for it",
    "none": "all examples",
}
NOISES = {
    "aes-ctr": "AES-256 in counter mode, its key from the operating system’s entropy",
    "philox": "Philox, its key from the operating system’s entropy",
    "seeded": "a known seed: who knows it can take the noise away",
}
METHODS = {
    "ghost": "exact, from inputs and output gradients",
    "fallback": "exact, by per-example gradients",
    "frozen": "not trained",
}
STATES = {"public": "Declared public", "private": "Private, composed in", "uncovered": "Not covered"}
STATE_TONES = {"public": "info", "private": "pass", "uncovered": "warn"}


def odds(epsilon: float) -> float:
    """The greatest probability that somebody who held it for even odds can arrive at by seeing the model.

    Bayes' rule with a likelihood ratio of e^epsilon (Wasserman & Zhou 2010).

    Examples
    --------
    >>> round(odds(3.0), 3)
    0.953
    """
    return 1 / (1 + math.exp(-epsilon))


def factor(epsilon: float) -> str:
    """e^epsilon as people read it.

    Examples
    --------
    >>> factor(3.0), factor(20.0)
    ('20.1', 'more than a million')
    """
    value = math.exp(min(epsilon, 50))
    if value >= 1e6:
        return "more than a million"
    return format_number(math.ceil(value)) if value >= 1000 else f"{rounded_up(value):.3g}"


def share(value: float) -> str:
    """A probability in per cent, never rounded up to certainty.

    Examples
    --------
    >>> share(0.9526), share(0.99997)
    ('95.3 %', '99.9 %')
    """
    return f"{min(round(100 * value, 1), 99.9):.1f} %"


def one_in(delta: float) -> str:
    """A small probability as one in so many.

    Examples
    --------
    >>> one_in(1.09e-05)
    '1 in 91,743'
    """
    return f"1 in {round(1 / delta):,}" if delta > 0 else "never"


def epsilon(value: float | None) -> str:
    """Epsilon with three digits, rounded up.

    Examples
    --------
    >>> epsilon(2.99953), epsilon(3.004), epsilon(None), epsilon(0.0123)
    ('3.00', '3.01', 'none', '0.0123')
    """
    if value is None:
        return "none"
    return f"{rounded_up(value, 2):.2f}" if value >= 0.1 else f"{rounded_up(value):.3g}"


def small(value: float) -> str:
    """A delta, e.g. ``1.09e-05``."""
    return f"{value:.3g}"


def neighbours(guarantee: Guarantee, section: PrivacySection) -> str:
    """What the guarantee is between, in words.

    Shuffled batches have a fixed size: one example more would push others from batch to batch.
    """
    shuffled = any(item.sampling == "shuffle" for item in section.mechanisms)
    if shuffled and guarantee.adjacency == "add_or_remove_one":
        return "one example being there or its place left blank"
    return ADJACENCIES[guarantee.adjacency]


def covered(section: PrivacySection) -> list[Mechanism]:
    """What the guarantee is of: training first."""
    return sorted(section.mechanisms, key=lambda item: item.what != "training")


def facts(training: Training) -> list[tuple[str, str]]:
    """What was seen of the training, as names and values."""
    size = f"{training.batch_size:,} expected"
    if training.max_batch is not None:
        size += f", {training.max_batch:,} at most"
    steps = f"{training.steps:,}"
    if training.steps != training.planned_steps:
        steps += f" of {training.planned_steps:,} planned"
    clip = format_number(training.l2_clip)
    return [
        ("Model", training.model),
        ("Examples", f"{training.examples:,}"),
        ("Batches", SAMPLINGS[training.sampling]),
        ("Batch size", size),
        ("Steps", steps),
        ("Clip norm", f"{clip}, the last of an adaptive one" if training.adaptive else clip),
        ("Noise", NOISES[training.noise_source]),
        ("Optimizer", training.optimizer),
    ]


def spans(entry: LedgerEntry) -> str:
    """Spans of an entry; ``all`` where they are not numbered."""
    return ", ".join(map(str, entry.spans)) or "all"


def when(entry: LedgerEntry) -> str:
    """When a training was, as people write it; empty where it is not known."""
    try:
        return words.moment(datetime.datetime.fromisoformat(entry.created.replace("Z", "+00:00")))
    except ValueError:
        return entry.created


def headline(report: PrivacyReport) -> str:
    """The guarantee in one sentence."""
    section = report.privacy
    guarantee = section.guarantee
    if guarantee.epsilon is None:
        return "The model has no privacy guarantee."
    return (
        f"The model is ({epsilon(guarantee.epsilon)}, {small(guarantee.delta)})-differentially private, for "
        f"{neighbours(guarantee, section)}; that holds for {SCOPES[section.scope]}."
    )
