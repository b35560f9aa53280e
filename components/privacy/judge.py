"""From what was seen of a training to its guarantee, what that covers, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from tfx_trust.components.privacy import accounting, ledger, words
from tfx_trust.components.privacy.config import PrivateTrainingSettings
from tfx_trust.components.privacy.report import (
    CanaryRecord,
    CurvePoint,
    Guarantee,
    Leak,
    Ledger,
    Mechanism,
    PrivacyReport,
    PrivacySection,
    Training,
)
from tfx_trust.components.privacy.scope import declared, scope_of, uncovered, without_match
from tfx_trust.components.privacy.spending import TRAINING, Account
from tfx_trust.components.report import Finding

COMPONENT = "PrivateTrainer"
# A calibrated epsilon may lie above its target by what the search for the noise leaves.
_SLACK = 1e-3
# Parts of a key that tell an optimizer's: what it keeps is made of the private gradients alone.
_STATE = {"optimizer", "_optimizer"}


@dataclass(frozen=True)
class Observed:
    """What was seen of a training.

    Attributes
    ----------
    runs
        A PrivateRun for each model that was made private, in order.
    exported
        Digests of the exported model's weights, by their keys.
    examples
        Of the train split, as counted; none where they could not be.
    leaks
        Analyzers of Transform, and what else was given to training.
    analyzers
        What the private analyzers released.
    unknown_analyzers
        Why Transform's analyzers could not be told; empty where they could.
    account
        What was spent before; none where the metadata store was not read.
    canaries
        Made-up examples that were put into training.
    """

    runs: Sequence[Any]
    exported: Mapping[str, str]
    examples: int | None
    leaks: Sequence[Leak] = ()
    analyzers: Sequence[Mechanism] = ()
    unknown_analyzers: str = ""
    account: Account | None = None
    canaries: CanaryRecord | None = None


@dataclass(frozen=True)
class _Matched:
    """The run whose model was exported, and what of the two does not fit."""

    run: Any
    missing: int
    weights: int
    further: int


@dataclass(frozen=True)
class _Judged:
    """The guarantee, and why there is none if so."""

    guarantee: Guarantee
    mechanisms: list[Mechanism] = field(default_factory=list)
    alternatives: list[Guarantee] = field(default_factory=list)
    curve: list[CurvePoint] = field(default_factory=list)
    voids: list[Finding] = field(default_factory=list)


def conclude(observed: Observed, settings: PrivateTrainingSettings) -> PrivacyReport:
    """The report of a training.

    A guarantee is only stated where the exported weights are those that were trained privately, by as many
    updates as were private, with noise that nobody can compute again, on examples that each count once.
    """
    matched = _matched(observed)
    judged = _judged(observed, matched, settings)
    guarantee = judged.guarantee
    leaks = declared([*observed.leaks, *_seen(observed, matched)], settings.public)
    known = not observed.unknown_analyzers
    scope = scope_of(leaks, known=known, guaranteed=guarantee.epsilon is not None)
    book = _ledger(observed.account, judged, settings)
    section = PrivacySection(
        guarantee=guarantee,
        scope=scope,
        mechanisms=judged.mechanisms,
        alternatives=judged.alternatives,
        curve=judged.curve,
        training=matched.run.training if matched and matched.run.training.steps else None,
        leaks=leaks,
        leaks_known=known,
        ledger=book,
        canaries=observed.canaries,
        tradeoff=settings.tradeoff,
    )
    findings = [*judged.voids, *_findings(section, observed, settings)]
    return PrivacyReport(
        component=COMPONENT,
        findings=findings,
        settings=settings.model_dump(mode="json"),
        privacy=section,
    )


def planned(
    training: Mechanism,
    analyzers: Sequence[Mechanism],
    account: Account,
    settings: PrivateTrainingSettings,
    examples: int,
) -> Ledger:
    """The ledger as it will be after a training that has not begun."""
    mechanisms = [training, *analyzers, *accounting.composed_with(settings)]
    delta = accounting.delta_for(settings, examples)
    entry = account.here(
        mechanisms, epsilon=_epsilon(mechanisms, delta, settings), delta=delta, created=_now()
    )
    return _composed(account, entry, settings, delta)


def refused(book: Ledger, settings: PrivateTrainingSettings) -> PrivacyReport:
    """The report of a training that did not take place, since it would have passed the budget."""
    here = book.entries[-1]
    return PrivacyReport(
        component=COMPONENT,
        findings=[words.budget(book, ledger.spent_here(book), exceeded=True), *words.ledger_notes(book)],
        settings=settings.model_dump(mode="json"),
        privacy=PrivacySection(
            guarantee=_no_guarantee(here.delta, settings),
            scope="none",
            ledger=book,
            tradeoff=settings.tradeoff,
        ),
    )


# The model that was exported


def _matched(observed: Observed) -> _Matched | None:
    """Of the runs the one whose weights were exported, or the one that is nearest to that."""
    found = [_match(run, observed.exported) for run in observed.runs]
    # Of equals the last: what was trained later is what was exported.
    return min(reversed(found), key=lambda item: item.missing, default=None)


def _match(run: Any, exported: Mapping[str, str]) -> _Matched:
    weights = run.weights
    missing = sum(not (ours & set(exported.values())) for ours in weights)
    known = set().union(*weights, run.other_weights)
    further = {value for key, value in exported.items() if not _is_state(key)} - known
    return _Matched(run, missing, len(weights), len(further))


def _is_state(key: str) -> bool:
    return bool(_STATE & set(key.split("/")))


def _seen(observed: Observed, matched: _Matched | None) -> Iterator[Leak]:
    """What was seen in training, of any model that was made private in it."""
    for run in observed.runs:
        yield from run.leaks
    if matched and not matched.missing and matched.further:
        yield words.further_weights(matched.further)


# The guarantee


def _judged(observed: Observed, matched: _Matched | None, settings: PrivateTrainingSettings) -> _Judged:
    trained = [run for run in observed.runs if run.training.steps]
    examples = max((run.training.examples for run in trained), default=observed.examples or 1)
    delta = accounting.delta_for(settings, examples)
    mechanisms = [*_trainings(trained), *observed.analyzers]
    voids = list(_voids(observed, matched, trained, delta, examples))
    none = _no_guarantee(delta, settings)
    if voids:
        return _Judged(none, voids=voids)
    composed = [*mechanisms, *accounting.composed_with(settings)]
    if not math.isfinite(_epsilon(composed, delta, settings)):
        return _Judged(none, mechanisms, voids=[words.no_bound()])
    guarantee, alternatives = accounting.guarantees(composed, delta, settings)
    curve = accounting.curve(
        composed[0],
        composed[1:],
        delta,
        accountant=settings.accountant,
        adjacency=settings.adjacency,
    )
    return _Judged(guarantee, composed, alternatives, curve)


def _no_guarantee(delta: float, settings: PrivateTrainingSettings) -> Guarantee:
    return Guarantee(
        epsilon=None,
        delta=delta,
        adjacency=settings.adjacency,
        accountant=settings.accountant,
        target=settings.epsilon,
    )


def _trainings(runs: Sequence[Any]) -> list[Mechanism]:
    """What each training released; the later ones of several are numbered."""
    return [
        run.mechanism.model_copy(update={"what": TRAINING if place == 1 else f"{TRAINING} {place}"})
        for place, run in enumerate(runs, 1)
    ]


def _voids(
    observed: Observed,
    matched: _Matched | None,
    trained: Sequence[Any],
    delta: float,
    examples: int,
) -> Iterator[Finding]:
    """All that takes the guarantee away."""
    if matched is None or not trained:
        yield words.not_private(len(observed.runs))
        return
    if not matched.run.training.steps:
        yield words.not_private(1)
    elif matched.missing or not matched.weights:
        yield words.other_weights(matched.missing, matched.weights)
    for training in _once(run.training for run in trained):
        if training.optimizer_steps is not None and training.optimizer_steps != training.steps:
            yield words.other_updates(training)
        if training.noise_source == "seeded":
            yield words.known_seed()
        if observed.examples is not None and training.examples > observed.examples:
            yield words.repeated_examples(training, observed.examples)
    if delta >= 1 / examples:
        yield words.large_delta(delta, examples)


def _once(trainings: Iterator[Training]) -> list[Training]:
    found: list[Training] = []
    for item in trainings:
        if item not in found:
            found.append(item)
    return found


def _epsilon(mechanisms: Sequence[Mechanism], delta: float, settings: PrivateTrainingSettings) -> float:
    return accounting.epsilon_of(
        mechanisms, delta, accountant=settings.accountant, adjacency=settings.adjacency
    )


# The ledger


def _ledger(account: Account | None, judged: _Judged, settings: PrivateTrainingSettings) -> Ledger | None:
    if account is None:
        return None
    guarantee = judged.guarantee
    entry = account.here(
        judged.mechanisms if guarantee.epsilon is not None else [],
        epsilon=guarantee.epsilon,
        delta=guarantee.delta,
        created=_now(),
    )
    return _composed(account, entry, settings, guarantee.delta)


def _composed(account: Account, entry: Any, settings: PrivateTrainingSettings, delta: float) -> Ledger:
    budget = settings.budget
    book = ledger.ledger_of(
        account.source,
        list(account.spans),
        list(account.entries),
        entry,
        budget,
        budget.delta if budget and budget.delta is not None else delta,
        accountant=settings.accountant,
        adjacency=settings.adjacency,
    )
    return book.model_copy(update={"unknown": [*book.unknown, *account.unknown]})


def _now() -> str:
    return datetime.now(timezone.utc).replace(microsecond=0).isoformat()


# Findings


def _findings(
    section: PrivacySection, observed: Observed, settings: PrivateTrainingSettings
) -> Iterator[Finding]:
    training = section.training
    guarantee = section.guarantee
    if guarantee.epsilon is not None and training is not None:
        yield words.guaranteed(guarantee, training.examples, section.scope)
        if guarantee.target is not None and guarantee.epsilon > guarantee.target * (1 + _SLACK):
            yield words.target_missed(guarantee)
    if training is not None:
        yield from _about(training, observed.examples, settings)
    trainings = sum(1 for run in observed.runs if run.training.steps)
    if guarantee.epsilon is not None and trainings > 1:
        yield words.several(trainings)
    left_open = words.left_open(uncovered(section.leaks), settings, guaranteed=guarantee.epsilon is not None)
    if left_open is not None:
        yield left_open
    if not section.leaks_known:
        yield words.not_known(observed.unknown_analyzers, settings)
    else:
        yield from words.unmatched(without_match(settings.public, section.leaks))
    if section.canaries is not None:
        yield words.canaries(section.canaries)
    yield from _about_spending(section, settings)


def _about(training: Training, counted: int | None, settings: PrivateTrainingSettings) -> Iterator[Finding]:
    if (found := words.steps(training)) is not None:
        yield found
    if settings.sampling == "poisson" and training.sampling == "shuffle":
        yield words.unamplified()
    if counted is None:
        yield words.uncounted()
    elif training.examples < counted:
        yield words.fewer_examples(training, counted)
    yield from words.unchecked(training)


def _about_spending(section: PrivacySection, settings: PrivateTrainingSettings) -> Iterator[Finding]:
    book = section.ledger
    if book is None:
        yield words.no_ledger(limited=settings.budget is not None)
        return
    if book.budget is not None:
        yield words.budget(book, ledger.spent_here(book), exceeded=ledger.exceeds(book))
    yield from words.ledger_notes(book)
