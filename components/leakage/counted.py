"""What a driver hands over for judgement: the same whether it ran in process or on Beam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tfx_trust.components.leakage.consequence import codes
from tfx_trust.components.leakage.count import Arrivals, Keyed, Tally
from tfx_trust.components.leakage.plan import Labels
from tfx_trust.components.leakage.sample import Sample
from tfx_trust.components.leakage.times import Times


@dataclass(frozen=True)
class Counted:
    """All that was counted.

    Attributes
    ----------
    driver
        Which one counted.
    examples
        Examples of train and of eval.
    tallies
        By overlap key.
    arrivals
        By group feature.
    times, late
        Times seen, and train examples at or after the first eval example.
    labels
        Values of the label.
    samples
        Of train and of eval.
    clock
        Whether times are moments rather than plain numbers.
    """

    driver: Literal["in_process", "beam"]
    examples: tuple[int, int]
    tallies: Mapping[str, Tally]
    arrivals: Mapping[str, Arrivals]
    times: Times
    late: int
    labels: Labels
    samples: tuple[Sample, Sample]
    clock: bool = False


def with_values(evaluation: Keyed, labels: Labels) -> Keyed:
    """Eval rows with their scores as codes that can be counted, once the label's values are known."""
    if "score" not in evaluation.extras or not labels.values:
        return evaluation
    extras = evaluation.extras
    value, target = codes(
        labels.kind,
        scores=extras["score"],
        positive=evaluation.labels == np.uint64(labels.positive),
        labels=extras["number"],
        right=extras["right"],
    )
    value = np.where(evaluation.labels == 0, -1, value)
    return Keyed(evaluation.keys, evaluation.labels, evaluation.places, {"value": value, "target": target})
