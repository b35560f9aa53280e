"""The findings of private training in sentences that a data protection officer can read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from tfx_trust.components.privacy.config import Adjacency, Effect, PrivateTrainingSettings
from tfx_trust.components.privacy.report import (
    CanaryRecord,
    Guarantee,
    Leak,
    Ledger,
    LedgerEntry,
    Training,
)
from tfx_trust.components.report import Estimate, Finding, Severity, as_sentence

_EFFECTS: dict[Effect, Severity] = {"note": Severity.INFO, "warn": Severity.WARN, "block": Severity.FAIL}
_NEIGHBOURS: dict[Adjacency, str] = {
    "add_or_remove_one": "Whether or not somebody's example was among them",
    "replace_one": "Which of all possible examples somebody's was",
}
_LISTED = 50
_NAMED = 5


def number(value: float | None) -> str:
    """An epsilon as people read it, rounded up: less than was spent is never told.

    Examples
    --------
    >>> number(2.99621), number(3.004), number(31.4), number(0.0123), number(None)
    ('3.00', '3.01', '31.4', '0.0123', 'unknown')
    """
    if value is None:
        return "unknown"
    if value >= 100:
        return f"{rounded_up(value, 0):,.0f}"
    if value < 0.1:
        return f"{rounded_up(value):.3g}"
    digits = 1 if value >= 10 else 2
    return f"{rounded_up(value, digits):.{digits}f}"


def rounded_up(value: float, digits: int | None = None) -> float:
    """To so many decimals, or to three significant digits, upwards but for what floating point is off by."""
    if value <= 0:
        return value
    if digits is None:
        digits = 2 - math.floor(math.log10(value))
    return math.ceil(value * 10.0**digits * (1 - 1e-9)) / 10.0**digits


def factor(epsilon: float) -> str:
    """By what factor a probability can differ at an epsilon, at most.

    Examples
    --------
    >>> factor(3.0), factor(50.0)
    ('20.1 (e to the power of epsilon = 3.00)', 'e to the power of epsilon = 50.0, more than a million')
    """
    power = f"e to the power of epsilon = {number(epsilon)}"
    value = math.exp(min(epsilon, 20.0))
    if value > 1e6:
        return f"{power}, more than a million"
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{rounded_up(value, digits):,.{digits}f} ({power})"


def guaranteed(guarantee: Guarantee, examples: int, scope: str) -> Finding:
    """What is guaranteed, to whom."""
    assert guarantee.epsilon is not None
    what = (
        "anything that ships with the model" if scope == "pipeline" else "anything that training put into it"
    )
    target = "" if guarantee.target is None else f" Asked for was {number(guarantee.target)}."
    return Finding(
        check="guarantee",
        severity=Severity.INFO,
        subject="epsilon",
        statistic=Estimate(value=guarantee.epsilon, count=examples),
        threshold=guarantee.target,
        message=f"The model was trained privately on {examples:,} examples. "
        f"{_NEIGHBOURS[guarantee.adjacency]} changes the probability of {what} by a factor of at most "
        f"{factor(guarantee.epsilon)}, apart from a chance of {guarantee.delta:.1e} (delta).{target}",
        evidence={
            "epsilon": guarantee.epsilon,
            "delta": guarantee.delta,
            "adjacency": guarantee.adjacency,
            "accountant": guarantee.accountant,
        },
    )


# What takes the guarantee away


def not_private(runs: int) -> Finding:
    """No model was trained privately."""
    seen = (
        "run_fn trained no model privately: it did not call make_private."
        if not runs
        else "run_fn called make_private and then made no private step."
    )
    return _void(
        "not_private",
        f"{seen} No epsilon is stated.",
        "Call make_private(model, fn_args.custom_config['privacy'], data) after compile, and then fit.",
    )


def other_weights(missing: int, of: int) -> Finding:
    """The exported model is another than the one that was trained privately."""
    how = "none" if missing == of else f"{of - missing:,}"
    return _void(
        "other_weights",
        f"The exported model is not the one that was trained privately: of the {of:,} sets of weights that "
        f"were, {how} stand in it. It was trained without privacy, or changed afterwards. No epsilon is "
        "stated for it.",
        "Export the model that make_private returned, without training or changing it by other means.",
        statistic=Estimate(value=float(missing), count=of),
    )


def other_updates(training: Training) -> Finding:
    """The optimizer made updates that were not private."""
    made = training.optimizer_steps or 0
    return _void(
        "other_updates",
        f"The optimizer updated the model {made:,} times, and {training.steps:,} of the updates were "
        "private. The others saw the data as they are, so that no epsilon is stated.",
        "Train by fit, train_on_batch or private_gradients alone, and with an optimizer of the model's own.",
        statistic=Estimate(value=float(made)),
        threshold=float(training.steps),
    )


def known_seed() -> Finding:
    """The noise can be computed again."""
    return _void(
        "known_seed",
        "The noise and the batches came from a seed that is written down: who knows it can take the noise "
        "away. No epsilon is stated.",
        "Leave the seed out; it is for tests.",
    )


def repeated_examples(training: Training, counted: int) -> Finding:
    """There were more examples in training than in the data."""
    return _void(
        "examples",
        f"The model was trained on {training.examples:,} examples, and the train split has {counted:,}. Some "
        "were used several times over, and so is what is known of the people in them. No epsilon is stated.",
        "Give each example once; let weights or more epochs do what repeating was to do.",
        statistic=Estimate(value=float(training.examples)),
        threshold=float(counted),
    )


def no_bound() -> Finding:
    """The composed epsilon is infinite."""
    return _void(
        "no_bound",
        "With so little noise over so many steps no finite epsilon can be stated.",
        "Add noise, take fewer steps, or ask for a target epsilon and have the noise calibrated.",
    )


def large_delta(delta: float, examples: int) -> Finding:
    """Delta allows to give somebody's example away."""
    return _void(
        "delta",
        f"delta = {delta:.2g} is not below 1/N, with N = {examples:,}: a mechanism that gives away an "
        "example chosen at random would satisfy it. No epsilon is stated.",
        "Leave delta out, for N to the power of -1.1.",
        statistic=Estimate(value=delta),
        threshold=1 / examples,
    )


def _void(
    check: str,
    message: str,
    remedy: str,
    *,
    statistic: Estimate | None = None,
    threshold: float | None = None,
) -> Finding:
    return Finding(
        check=check,
        severity=Severity.FAIL,
        subject="training",
        statistic=statistic,
        threshold=threshold,
        message=message,
        remedy=remedy,
    )


# What training was


def target_missed(guarantee: Guarantee) -> Finding:
    """More was spent than asked for."""
    return Finding(
        check="target",
        severity=Severity.FAIL,
        subject="epsilon",
        statistic=Estimate(value=guarantee.epsilon or 0.0),
        threshold=guarantee.target,
        message=f"Asked for was an epsilon of {number(guarantee.target)}, and {number(guarantee.epsilon)} "
        "was spent.",
        remedy="Train by the settings in fn_args.custom_config['privacy'], on one model, and for the planned "
        "steps; batches must come from private_data, private_records or private_transformed.",
    )


def steps(training: Training) -> Finding | None:
    """Other steps than planned."""
    if training.steps == training.planned_steps:
        return None
    more = training.steps > training.planned_steps
    message = (
        f"Training took {training.steps:,} private steps, {training.planned_steps:,} were planned. The "
        "epsilon stated is that of the steps taken."
    )
    return Finding(
        check="steps",
        severity=Severity.WARN if more else Severity.INFO,
        subject="training",
        statistic=Estimate(value=float(training.steps)),
        threshold=float(training.planned_steps),
        message=message,
        remedy="Plan as many steps as are taken." if more else "",
    )


def unamplified() -> Finding:
    """Poisson sampling was asked for, and did not take place."""
    return Finding(
        check="sampling",
        severity=Severity.WARN,
        subject="training",
        message="Batches were to be drawn at random, each example by itself, and came from somewhere else. "
        "The epsilon stated claims no gain from sampling.",
        remedy="Give fit the data of private_data, private_records or private_transformed, or set "
        "sampling='shuffle'.",
    )


def fewer_examples(training: Training, counted: int) -> Finding:
    """Not all examples were trained on."""
    return Finding(
        check="examples",
        severity=Severity.INFO,
        subject="training",
        statistic=Estimate(value=float(training.examples)),
        message=f"Training used {training.examples:,} of the {counted:,} examples of the train split. Those "
        "that were left out must have been left out by rules, not by what other examples are like.",
    )


def uncounted() -> Finding:
    """How many examples there are could not be counted."""
    return Finding(
        check="unchecked",
        severity=Severity.WARN,
        subject="examples",
        message="How many examples the train split has could not be counted here; the number that training "
        "gave was believed. If there are fewer, the epsilon stated is too small.",
        remedy="Give examples as TFRecords of tf.Example, or make sure of their number.",
    )


def unchecked(training: Training) -> Iterator[Finding]:
    """What could not be checked of the model."""
    for what in training.unchecked:
        yield Finding(
            check="unchecked",
            severity=Severity.WARN,
            subject="model",
            message=as_sentence(what),
            remedy="Make sure of it by reading the model's code.",
        )
    if training.optimizer_steps is None:
        yield Finding(
            check="unchecked",
            severity=Severity.WARN,
            subject="optimizer",
            message="Whether there were other updates than the private ones is not known: the model's "
            "optimizer made none, and what applied the gradients does not count them here.",
            remedy="Apply private gradients by the optimizer that the model was compiled with.",
        )


def several(trainings: int) -> Finding:
    """Several models were trained in one run."""
    return Finding(
        check="trainings",
        severity=Severity.INFO,
        subject="training",
        statistic=Estimate(value=float(trainings)),
        message=f"run_fn trained {trainings:,} models privately. Since each saw the data, the epsilon "
        "stated is that of all together.",
    )


def canaries(record: CanaryRecord) -> Finding:
    """Made-up examples were trained on."""
    return Finding(
        check="canaries",
        severity=Severity.INFO,
        subject="training",
        statistic=Estimate(value=float(record.included), count=record.count),
        message=f"{record.included:,} of {record.count:,} made-up examples were put into training, for the "
        "audit to look for. They are nobody's.",
    )


# What the guarantee does not cover


def left_open(
    leaks: Sequence[Leak], settings: PrivateTrainingSettings, *, guaranteed: bool
) -> Finding | None:
    """What ships with the model and is not covered."""
    if not leaks:
        return None
    named = "; ".join(f"{leak.name} ({leak.what.rstrip('.')})" for leak in leaks[:_NAMED])
    more = f"; and {len(leaks) - _NAMED:,} more" if len(leaks) > _NAMED else ""
    count = "One thing depends" if len(leaks) == 1 else f"{len(leaks):,} things depend"
    covers = "The guarantee is of the training only. " if guaranteed else ""
    return Finding(
        check="uncovered",
        severity=_EFFECTS[settings.on_leak],
        subject=leaks[0].name if len(leaks) == 1 else f"{len(leaks):,} leaks",
        statistic=Estimate(value=float(len(leaks))),
        message=f"{covers}{count} on the data without protection: {named}{more}.",
        remedy="Declare what is known to all anyhow, by its name, in the setting `public`; compute the rest "
        "privately, or leave it out.",
        evidence={"leaks": [{"name": leak.name, "what": leak.what} for leak in leaks[:_LISTED]]},
    )


def not_known(why: str, settings: PrivateTrainingSettings) -> Finding:
    """The analyzers of Transform could not be told."""
    severity = Severity.NOT_RUN if settings.on_leak == "block" else _EFFECTS[settings.on_leak]
    return Finding(
        check="analyzers",
        severity=severity,
        subject="transform_graph",
        message="The guarantee, if any, is of the training only: what Transform computed from the data could "
        f"not be told ({why.rstrip('.')}).",
        remedy="Connect the transform graph of Transform's run by TensorFlow 2's behaviour, its default.",
    )


def unmatched(patterns: Sequence[str]) -> Iterator[Finding]:
    """Declarations that mean nothing."""
    for pattern in patterns:
        yield Finding(
            check="public",
            severity=Severity.INFO,
            subject=pattern,
            message=f"{pattern!r} is declared public, and nothing has such a name.",
            remedy="Correct it, or take it out.",
        )


# The budget


def budget(ledger: Ledger, spent: float | None, *, exceeded: bool) -> Finding:
    """How much of the budget is spent."""
    assert ledger.budget is not None
    earlier = len(ledger.entries) - 1
    before = f"{earlier:,} earlier {'entry' if earlier == 1 else 'entries'} and " if earlier else ""
    by = f"{before}this training"
    if spent is None:
        which = "this training has" if ledger.entries[-1].epsilon is None else "an earlier training on it had"
        said = (
            f"What is spent on {ledger.source} is not known, since {which} no guarantee. The budget of "
            f"{number(ledger.budget)} may be used up."
        )
    elif exceeded:
        said = (
            f"The budget of {ledger.source} is used up: {number(spent)} of {number(ledger.budget)} by {by}."
        )
    else:
        said = (
            f"Of the budget of {ledger.source}, {number(spent)} of {number(ledger.budget)} is spent by {by}."
        )
    return Finding(
        check="budget",
        severity=Severity.FAIL if exceeded else Severity.INFO,
        subject=ledger.source,
        statistic=None if spent is None else Estimate(value=spent),
        threshold=ledger.budget,
        message=said,
        remedy="Use data of a span that was not used before, ask for a smaller epsilon, or have those who "
        "are responsible for the data raise the budget."
        if exceeded
        else "",
        evidence={"delta": ledger.delta, "entries": [_line(entry) for entry in ledger.entries[-_LISTED:]]},
    )


def _line(entry: LedgerEntry) -> dict[str, object]:
    return {
        "run": entry.run,
        "created": entry.created,
        "spans": entry.spans,
        "epsilon": entry.epsilon,
        "delta": entry.delta,
    }


def ledger_notes(ledger: Ledger) -> Iterator[Finding]:
    """What could not be established of earlier trainings."""
    for line in ledger.unknown:
        yield Finding(check="ledger", severity=Severity.INFO, subject=ledger.source, message=line)


def no_ledger(*, limited: bool) -> Finding:
    """The metadata store was not read."""
    if limited:
        return Finding(
            check="budget",
            severity=Severity.NOT_RUN,
            subject="budget",
            message="What was spent on the data before is not known, so that the budget was not held against "
            "it: this orchestrator gave no access to the metadata store.",
            remedy="Run by LocalDagRunner or BeamDagRunner, or note earlier spending in `budget.prior` and "
            "keep the ledger by hand.",
        )
    return Finding(
        check="ledger",
        severity=Severity.INFO,
        subject="ledger",
        message="What was spent on the data before was not looked up: this orchestrator gave no access to "
        "the metadata store.",
    )


def input_leak(kind: Literal["base_model", "hyperparameters", "schema"]) -> Leak:
    """Something that was given to training, and may have been made of the same data."""
    what = {
        "base_model": "the weights that training began with, which another training made",
        "hyperparameters": "chosen by trials on the data, as Tuner does",
        "schema": "inferred from the data by SchemaGen",
    }[kind]
    return Leak(name=kind, kind="training", what=what, state="uncovered")


def further_weights(count: int) -> Leak:
    """Numbers in the exported model that were not trained privately."""
    sets = "one set of numbers" if count == 1 else f"{count:,} sets of numbers"
    return Leak(
        name="other_weights",
        kind="training",
        what=f"{sets} in the exported model beside those that were trained privately",
        state="uncovered",
    )
