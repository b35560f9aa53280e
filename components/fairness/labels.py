"""Labels, weights, scores and decisions as numbers, each checked: nothing is left out without a word."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfx_trust.components.errors import InputError
from tfx_trust.components.fairness.coding import distinct
from tfx_trust.components.fairness.plan import Plan

USUAL = {"0": 0, "1": 1, "false": 0, "true": 1}
"""By which a label of two values is understood without being told."""
_SHOWN = 5
MOST_WEIGHT = 2.0**30


class LabelSettings(Protocol):
    """The settings of any component that reads labels."""

    @property
    def label(self) -> str:
        """Feature that holds the label."""

    @property
    def positive(self) -> str | None:
        """Value of a two-valued label that counts as positive."""

    @property
    def classes(self) -> list[str] | None:
        """Values of a label of several classes."""


class Labels:
    """Labels as 0 and 1, or as the numbers of classes; remembers which values there were."""

    def __init__(self, settings: LabelSettings) -> None:
        self.settings = settings
        self.seen: set[str] = set()

    def of(self, array: pa.Array, first: int) -> np.ndarray:
        """Numbers of some labels, int64 of shape ``(rows,)``.

        Parameters
        ----------
        array
            Labels as they are in the examples.
        first
            Number of the first one, for messages.

        Raises
        ------
        InputError
            If one is missing, or there are other values than the settings say.
        """
        name = self.settings.label
        words, places = distinct(array)
        numbers = np.array([-1 if word is None else self._number(word) for word in words], np.int64)
        found: np.ndarray = numbers[places]
        _refuse(found < 0, first, f"label {name!r} is missing", "leave these examples out, or label them")
        return found

    def _number(self, word: str) -> int:
        self.seen.add(word)
        settings = self.settings
        if settings.classes is not None:
            if word not in settings.classes:
                raise InputError(
                    f"label {settings.label!r} is {word!r} in an example; classes names "
                    f"{', '.join(settings.classes)}: complete it, or correct the example"
                )
            return settings.classes.index(word)
        if len(self.seen) > 2:
            self._refuse_several()
        if settings.positive is not None:
            return int(word == settings.positive)
        if word not in USUAL:
            raise InputError(
                f"label {settings.label!r} is {word!r} in an example; 0 and 1 are understood: say which "
                "value is positive (settings: positive), or name the classes of a label of several "
                "(settings: classes)"
            )
        return USUAL[word]

    def _refuse_several(self) -> None:
        shown = ", ".join(sorted(self.seen)[:_SHOWN])
        raise InputError(
            f"label {self.settings.label!r} has more than two values ({shown}, …); name the classes of a "
            "label of several (settings: classes), or give one of two values"
        )

    def merge(self, other: Labels) -> None:
        """Takes into account which values another one met."""
        self.seen |= other.seen
        if self.settings.classes is None and len(self.seen) > 2:
            self._refuse_several()

    def check_differ(self, examples: int) -> None:
        """Refuses a label that is the same everywhere.

        Raises
        ------
        InputError
            If it is.
        """
        settings = self.settings
        if len(self.seen) < 2:
            only = next(iter(self.seen), "nothing")
            raise InputError(
                f"label {settings.label!r} is {only!r} in all {examples:,} examples: rates of errors cannot "
                "be told; check that it is the label, and that the split has both kinds of examples"
            )
        if settings.positive is not None and settings.positive not in self.seen:
            raise InputError(
                f"label {settings.label!r} is {' or '.join(sorted(self.seen))}, never the positive value "
                f"{settings.positive!r}; name one of these"
            )


def check_words(words: Collection[str], labels: Labels) -> None:
    """Refuses decisions that are words which no label has.

    Raises
    ------
    InputError
        If there are any.
    """
    strange = sorted(set(words) - labels.seen)
    if strange:
        raise InputError(
            f"a decision is {', '.join(map(repr, strange[:_SHOWN]))}, which no label is (they are "
            f"{' and '.join(sorted(labels.seen))}); give decisions as 0 and 1, or as the label has them"
        )


def weights_of(array: pa.Array, name: str, first: int) -> np.ndarray:
    """Weights, float64 of shape ``(rows,)``.

    Raises
    ------
    InputError
        If one is missing, negative, not finite, or too large.
    """
    values = _numbers(array, f"weight {name!r}")
    remedy = "correct the weights, or leave these examples out"
    _refuse(np.isnan(values), first, f"weight {name!r} is missing or NaN", remedy)
    _refuse(values < 0, first, f"weight {name!r} is negative", remedy)
    _refuse(
        values >= MOST_WEIGHT, first, f"weight {name!r} is above {MOST_WEIGHT:,.0f}", "divide all weights"
    )
    return values


def scores_of(values: np.ndarray | None, plan: Plan, first: int, what: str) -> np.ndarray:
    """Scores of the plan's label; as :func:`probabilities_of`."""
    return probabilities_of(values, plan.settings.classes, first, what)


def probabilities_of(
    values: np.ndarray | None, classes: Sequence[str] | None, first: int, what: str
) -> np.ndarray:
    """Scores, float64 of shape ``(rows,)``, or ``(rows, classes)``.

    Raises
    ------
    InputError
        If one is NaN or no probability, or the number of classes is another.
    """
    if values is None:
        raise InputError(f"there is no {what} in some examples; give one for each")
    scores = np.asarray(values, float)
    if classes is None and scores.ndim != 1:
        raise InputError(
            f"the {what} has {scores.shape[1]} numbers an example, a label of two values needs one: name "
            "the classes (settings: classes), or give the score of the positive value"
        )
    if classes is not None and (scores.ndim != 2 or scores.shape[1] != len(classes)):
        found = 1 if scores.ndim == 1 else scores.shape[1]
        raise InputError(
            f"the {what} has {found} numbers an example for {len(classes)} classes; give one a class"
        )
    unknown = np.isnan(scores)
    unknown = unknown if scores.ndim == 1 else unknown.any(axis=1)
    _refuse(unknown, first, f"the {what} is NaN", "mend the model, or leave these examples out")
    outside = (scores < 0) | (scores > 1)
    if outside.any():
        at = np.argwhere(outside)[0]
        _refuse(
            outside if scores.ndim == 1 else outside.any(axis=1),
            first,
            f"the {what} is no probability (the first such is {scores[tuple(at)]:.6g})",
            "give probabilities between 0 and 1, e.g. the sigmoid of a logit",
        )
    return scores


def decisions_of(
    values: np.ndarray | None, scores: np.ndarray | None, plan: Plan, first: int, what: str
) -> np.ndarray:
    """The level of each decision, int64 of shape ``(rows,)``: how many thresholds the score passes.

    Of given decisions it is the decision; of several classes the class, by the highest score if there is no
    decision.
    """
    settings = plan.settings
    if values is None:
        if scores is None:
            raise InputError(f"there is neither a {what} nor a score in some examples; give one for each")
        if settings.classes is not None:
            return np.argmax(scores, axis=1)
        side = "right" if settings.compare == ">=" else "left"
        if plan.decided:
            # The baseline of a model that decides itself may have no decisions of its own.
            return (np.searchsorted([settings.thresholds[0]], scores, side=side)).astype(np.int64)
        return np.searchsorted(plan.thresholds, scores, side=side).astype(np.int64)
    decided = np.asarray(values)
    if decided.dtype.kind == "f":
        _refuse(np.isnan(decided), first, f"the {what} is missing or NaN", "give a decision for each example")
    most = 1 if settings.classes is None else len(settings.classes) - 1
    wrong = ~np.isin(decided, np.arange(most + 1))
    _refuse(wrong, first, f"the {what} is none of {', '.join(map(str, range(most + 1)))}", "give it as such")
    levels = decided.astype(np.int64)
    if settings.classes is None and plan.thresholds:
        # A baseline that decides itself, beside a model whose score is compared with several thresholds.
        levels = levels * len(plan.thresholds)
    return levels


def _numbers(array: pa.Array, what: str) -> np.ndarray:
    try:
        return pc.fill_null(array.cast(pa.float64(), safe=False), np.nan).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(f"{what} is {array.type}; numbers are needed") from None


def _refuse(wrong: np.ndarray, first: int, what: str, remedy: str) -> None:
    number = int(np.count_nonzero(wrong))
    if number:
        place = first + int(np.argmax(wrong))
        raise InputError(
            f"{what} in {number:,} of {len(wrong):,} examples, first in number {place:,} (from 0); {remedy}"
        )
