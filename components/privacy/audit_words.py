"""The findings of the privacy audit in sentences that a data protection officer can read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tfx_trust.components.fairness.words import percent, slice_name
from tfx_trust.components.privacy import one_run
from tfx_trust.components.privacy.config import AuditSettings, Claim
from tfx_trust.components.privacy.report import (
    Attack,
    AttackName,
    AuditSection,
    CanaryAudit,
    Inference,
    SliceExposure,
)
from tfx_trust.components.report import Estimate, Finding, Severity, Verdict

ATTACKS: dict[AttackName, str] = {
    "loss": "the loss",
    "confidence": "the model's confidence",
    "entropy": "the entropy of the outputs",
    "lira": "the likelihood ratio of models trained with and without it (LiRA)",
}
"""What each attack goes by, after "by"."""
CHECKS = {
    **{str(name): f"membership inference by {what}" for name, what in ATTACKS.items()},
    "lira": "membership inference by likelihood ratio (LiRA)",
    "membership": "membership inference",
    "canaries": "canaries",
    "attribute_inference": "attribute inference",
    "inversion": "model inversion",
    "slices": "exposure by slice",
}
"""Attacks by name, as people say them; those that a caller names otherwise are told by their name."""

_LISTED = 50
_TRAIN_MORE_PRIVATELY = (
    "Train privately (PrivateTrainer), or with a smaller epsilon; a smaller model, fewer epochs and stronger "
    "regularization make a model memorize less too, but guarantee nothing."
)
_ALIKE = (
    "If the two splits were not drawn alike, such as by time, part of it may be that difference: compare "
    "them first."
)


def findings(section: AuditSection, settings: AuditSettings) -> Iterator[Finding]:
    """All findings, from what was attacked."""
    yield from _canaries(section)
    yield from _beyond_guarantee(section)
    yield from _membership(section, settings)
    yield from _slices(section, settings)
    yield from _inferences(section, settings)
    yield from _left_out(section)


# The claimed guarantee


def _canaries(section: AuditSection) -> Iterator[Finding]:
    audit, claim = section.canaries, section.claim
    if audit is None:
        yield from _without_canaries(section)
        return
    shown = f"With {_level(audit.level)} confidence, epsilon is at least {_number(audit.epsilon)}"
    if claim is None:
        yield Finding(
            check="canaries_told",
            severity=Severity.INFO,
            subject="epsilon",
            statistic=_bound(audit.epsilon, audit.count),
            message=(f"{_guessed(audit)} {shown}. No guarantee is claimed that this could be held against."),
        )
    elif audit.verdict is Verdict.FAIL:
        yield Finding(
            check="claim_falsified",
            severity=Severity.FAIL,
            subject="epsilon",
            statistic=_bound(audit.epsilon, audit.count),
            threshold=claim.epsilon,
            message=f"The claimed guarantee ({_claimed(section)}) does not hold. {_guessed(audit)} "
            f"Under the guarantee that hardly ever happens. {shown}.",
            remedy="Do not rely on the guarantee. Look whether all of the training went through "
            "make_private, with the right number of examples and really Poisson batches; then train anew.",
            evidence=_evidence(audit),
        )
    elif audit.verdict is Verdict.INCONCLUSIVE:
        yield Finding(
            check="claim_untested",
            severity=Severity.WARN,
            subject="epsilon",
            statistic=_bound(audit.epsilon, audit.count),
            threshold=claim.epsilon,
            message=f"So few canaries cannot tell whether the claimed guarantee ({_claimed(section)}) "
            f"holds: had every guess about the {audit.count:,} of them been right, they would have shown an "
            f"epsilon of {_number(audit.ceiling)} at most. They show {_number(audit.epsilon)}.",
            remedy=(
                "Put more canaries into training (settings of PrivateTrainer: canaries), or claim a smaller "
                "epsilon."
            ),
            evidence=_evidence(audit),
        )
    else:
        yield Finding(
            check="claim_not_falsified",
            severity=Severity.INFO,
            subject="epsilon",
            statistic=_bound(audit.epsilon, audit.count),
            threshold=claim.epsilon,
            message=f"Not falsified: the claimed guarantee ({_claimed(section)}) survives. {shown} by what "
            f"the model gives away of {audit.count:,} canaries; they could have shown up to "
            f"{_number(audit.ceiling)}. That is no proof: another attack may find more.",
            evidence=_evidence(audit),
        )


def _without_canaries(section: AuditSection) -> Iterator[Finding]:
    shown = max((item.epsilon for item in section.attacks if item.epsilon is not None), default=None)
    if section.claim is None or section.falsified or shown is None:
        return
    # About so many are left where membership is made a coin's toss.
    most = one_run.ceiling(
        2 * min(section.members, section.others),
        section.claim.delta,
        1 - (1 - section.level) / len(section.attacks),
    )
    if most <= section.claim.epsilon:
        yield Finding(
            check="claim_untested",
            severity=Severity.WARN,
            subject="epsilon",
            statistic=_bound(shown, section.members + section.others),
            threshold=section.claim.epsilon,
            message=f"Membership inference cannot tell whether the claimed guarantee ({_claimed(section)}) "
            f"holds: of so few examples even a perfect attack would have shown an epsilon of "
            f"{_number(most)} at most. It shows {_number(shown)}.",
            remedy="Attack with more examples, put canaries into training (settings of PrivateTrainer: "
            "canaries), or claim a smaller epsilon or delta.",
        )
        return
    yield Finding(
        check="claim_not_falsified",
        severity=Severity.INFO,
        subject="epsilon",
        statistic=_bound(shown, section.members + section.others),
        threshold=section.claim.epsilon,
        message=f"Not falsified: the claimed guarantee ({_claimed(section)}) survives membership inference, "
        f"which shows with {_level(section.level)} confidence an epsilon of at least {_number(shown)}. That "
        "is no proof, and canaries put into training would test it harder.",
    )


def _beyond_guarantee(section: AuditSection) -> Iterator[Finding]:
    claim = section.claim
    if claim is None:
        return
    over = [item for item in section.attacks if item.epsilon is not None and item.epsilon > claim.epsilon]
    if not over:
        return
    worst = max(over, key=lambda item: item.epsilon or 0.0)
    yield Finding(
        check="membership_beyond_guarantee",
        severity=Severity.FAIL,
        subject="epsilon",
        statistic=_bound(worst.epsilon or 0.0, worst.members + worst.others),
        threshold=claim.epsilon,
        message=f"Members are told from others better than the claimed guarantee ({_claimed(section)}) "
        f"allows: the attack by {ATTACKS[worst.name]} shows, with {_level(section.level)} confidence, an "
        f"epsilon of at least {_number(worst.epsilon)}, if members and others were drawn alike.",
        remedy=f"Do not rely on the guarantee: look whether all of the training was private. {_ALIKE}",
        evidence={"epsilon": {item.name: item.epsilon for item in over}},
    )


def _guessed(audit: CanaryAudit) -> str:
    best = audit.best
    return (
        f"Of {audit.count:,} made-up examples (canaries) a coin decided which to train on; of "
        f"{best.guesses:,} guesses which those were, by what the model says of them, {best.correct:,} are "
        "right."
    )


def _claimed(section: AuditSection) -> str:
    claim = section.claim
    assert claim is not None
    by = f", stated by {section.claimed_by}" if section.claimed_by else ""
    return f"{claim_in_words(claim)}{by}"


def claim_in_words(claim: Claim) -> str:
    """A guarantee in a clause.

    Examples
    --------
    >>> claim_in_words(Claim(epsilon=3.0, delta=1e-5))
    'epsilon 3 at delta 1e-05'
    """
    return f"epsilon {claim.epsilon:g} at delta {claim.delta:.2g}"


def _bound(epsilon: float, count: int) -> Estimate:
    return Estimate(value=epsilon, count=count, method="one-run lower bound")


def _evidence(audit: CanaryAudit) -> dict[str, object]:
    return {
        "level": audit.level,
        "delta": audit.delta,
        "ceiling": audit.ceiling,
        "guesses": [item.model_dump() for item in audit.guesses],
    }


# Membership inference


def _membership(section: AuditSection, settings: AuditSettings) -> Iterator[Finding]:
    if not section.attacks or min(section.members, section.others) < settings.min_count:
        yield Finding(
            check="membership_few",
            severity=Severity.INCONCLUSIVE,
            subject="membership",
            threshold=float(settings.min_count),
            message="Whether members can be told could not be decided by "
            f"{_counted(section.members, 'member')} and {_counted(section.others, 'other example')}: at "
            f"least {settings.min_count:,} of each are needed.",
            remedy="Give more examples of both splits, or lower min_count.",
        )
        return
    failed = [item for item in section.attacks if item.verdict is Verdict.FAIL]
    open_ = [item for item in section.attacks if item.verdict is Verdict.INCONCLUSIVE]
    if failed:
        worst = max(failed, key=lambda item: item.auc.value)
        yield Finding(
            check="membership_inference",
            severity=Severity.FAIL,
            subject=worst.name,
            statistic=_judged(worst, settings),
            threshold=_limit(worst, settings),
            message=f"The model gives away who was in its training data. {_pairs(worst, settings)}"
            f"{_advantage(worst, settings)}{_also(failed, worst)}",
            remedy=f"{_TRAIN_MORE_PRIVATELY} {_ALIKE}",
            evidence=_attack_evidence(failed),
        )
    elif open_:
        worst = max(open_, key=lambda item: item.auc.high or 1.0)
        yield Finding(
            check="membership_undecided",
            severity=Severity.INCONCLUSIVE,
            subject=worst.name,
            statistic=_judged(worst, settings),
            threshold=_limit(worst, settings),
            message="The examples do not settle whether the model gives away who was in its training data. "
            f"{_pairs(worst, settings)}{_advantage(worst, settings)}",
            remedy="Attack with more examples: raise max_examples, or give larger splits.",
            evidence=_attack_evidence(open_),
        )
    else:
        worst = max(section.attacks, key=lambda item: item.auc.value)
        yield Finding(
            check="membership_not_shown",
            severity=Severity.INFO,
            subject=worst.name,
            statistic=worst.auc,
            threshold=settings.max_auc,
            message="No attack tells members from others better than allowed. Of "
            f"{_counted(len(section.attacks), 'attack')} the strongest: {_pairs(worst, settings)} Another "
            "attacker may do better.",
        )


def _pairs(attack: Attack, settings: AuditSettings) -> str:
    return (
        "Shown an example that was trained on and one that was not, an attacker who goes by "
        f"{ATTACKS[attack.name]} tells which is which {_times(attack.auc)}; a coin would in 50.0 %, and "
        f"{percent(settings.max_auc)} are allowed."
    )


def _times(auc: Estimate) -> str:
    interval = ""
    if auc.low is not None and auc.high is not None:
        interval = f" ({percent(auc.low)} to {percent(auc.high)})"
    return f"in {percent(auc.value)} of such pairs{interval}"


def _advantage(attack: Attack, settings: AuditSettings) -> str:
    if settings.max_advantage is None:
        return ""
    return (
        " At its best threshold it takes for a member more members than others, by "
        f"{_points(attack.advantage)}; {100 * settings.max_advantage:.1f} are allowed."
    )


def _also(failed: Sequence[Attack], worst: Attack) -> str:
    further = [ATTACKS[item.name] for item in failed if item is not worst]
    return f" So do attacks by {' and by '.join(further)}." if further else ""


def _judged(attack: Attack, settings: AuditSettings) -> Estimate:
    """The number that a limit was held against: the AUC, or the advantage if that alone is beyond."""
    return attack.advantage if _by_advantage(attack, settings) else attack.auc


def _limit(attack: Attack, settings: AuditSettings) -> float:
    return settings.max_advantage or 0.0 if _by_advantage(attack, settings) else settings.max_auc


def _by_advantage(attack: Attack, settings: AuditSettings) -> bool:
    within = attack.auc.high is not None and attack.auc.high <= settings.max_auc
    return settings.max_advantage is not None and within


def _attack_evidence(found: Sequence[Attack]) -> dict[str, object]:
    return {
        item.name: {
            "auc": item.auc.value,
            "low": item.auc.low,
            "high": item.auc.high,
            "advantage": item.advantage.value,
            "p_adjusted": item.p_adjusted,
        }
        for item in found
    }


# Slices


def _slices(section: AuditSection, settings: AuditSettings) -> Iterator[Finding]:
    failed = [item for item in section.slices if item.verdict is Verdict.FAIL]
    open_ = [item for item in section.slices if item.verdict is Verdict.INCONCLUSIVE and item.auc is not None]
    few = [item for item in section.slices if item.auc is None]
    if failed:
        worst = failed[0]
        yield Finding(
            check="slice_exposed",
            severity=Severity.FAIL,
            subject=_names(failed),
            statistic=worst.auc,
            threshold=settings.max_auc,
            message=f"The model gives away who of {slice_name(worst.slice)} was in its training data: an "
            f"attacker who goes by {ATTACKS[worst.attack]} tells members from others "
            f"{_told(worst)}; {percent(settings.max_auc)} are allowed."
            + (f" So it does of {_names(failed[1:])}." if failed[1:] else ""),
            remedy=f"{_TRAIN_MORE_PRIVATELY} Of people of whom there are few, more examples help too.",
            evidence=_slice_evidence(failed),
        )
    if open_:
        widest = max(open_, key=lambda item: 1.0 if item.auc is None else item.auc.high or 1.0)
        yield Finding(
            check="slices_undecided",
            severity=Severity.WARN,
            subject=_names(open_),
            statistic=widest.auc,
            threshold=settings.max_auc,
            message=f"For {_counted(len(open_), 'slice')} the examples do not settle whether members are "
            f"told too well: {_names(open_)}.",
            remedy="Attack with more examples of these groups, or accept in writing that it is not known.",
            evidence=_slice_evidence(open_),
        )
    if few:
        yield Finding(
            check="slices_few",
            # Slices were asked for: that none could be judged is no pass.
            severity=Severity.INFO if len(few) < len(section.slices) else Severity.NOT_RUN,
            subject=_counted(len(few), "slice"),
            threshold=float(settings.min_count),
            message=f"Exposure could not be judged for {_counted(len(few), 'slice')} with fewer than "
            f"{settings.min_count:,} members or others: {_names(few)}.",
            remedy="Slice more coarsely, or attack with more examples.",
        )
    if section.slices and not (failed or open_) and len(few) < len(section.slices):
        most = max((item for item in section.slices if item.auc is not None), key=_area)
        yield Finding(
            check="slices_not_shown",
            severity=Severity.INFO,
            subject=slice_name(most.slice),
            statistic=most.auc,
            threshold=settings.max_auc,
            message=f"In none of {_counted(len(section.slices) - len(few), 'slice')} are members told "
            f"better than allowed; the most in {slice_name(most.slice)}, {_told(most)}.",
        )


def _area(item: SliceExposure) -> float:
    return 0.0 if item.auc is None else item.auc.value


def _told(item: SliceExposure) -> str:
    return "" if item.auc is None else _times(item.auc)


def _names(items: Sequence[SliceExposure]) -> str:
    shown = [slice_name(item.slice) for item in items[:4]]
    more = len(items) - len(shown)
    return "; ".join(shown) + (f"; and {more:,} more" if more else "")


def _slice_evidence(items: Sequence[SliceExposure]) -> dict[str, object]:
    return {
        "slices": [
            {
                "slice": slice_name(item.slice),
                "auc": item.auc.value,
                "low": item.auc.low,
                "high": item.auc.high,
                "members": item.members,
                "others": item.others,
                "p_adjusted": item.p_adjusted,
            }
            for item in items[:_LISTED]
            if item.auc is not None
        ]
    }


# Sensitive features


def _inferences(section: AuditSection, settings: AuditSettings) -> Iterator[Finding]:
    for item in section.inferences:
        if item.kind == "inversion":
            yield Finding(
                check="inversion_told",
                severity=Severity.INFO,
                subject=item.feature,
                statistic=item.gain,
                message=f"Who knows an example's label alone and asks the model guesses {item.feature} "
                f"right {_right(item.others)}, and {_right(item.baseline)} without the model. This is about "
                "people in general, so it is told, not judged.",
            )
        elif item.verdict is Verdict.FAIL:
            yield Finding(
                check="attribute_inference",
                severity=Severity.FAIL,
                subject=item.feature,
                statistic=item.gain,
                threshold=settings.max_inference_gain,
                message=f"{_attribute(item)} That is {_points(item.gain)} more often; "
                f"{_allowed_points(settings)} are allowed. The model remembers its training examples.",
                remedy=_TRAIN_MORE_PRIVATELY,
                evidence={"p": item.p, "p_adjusted": item.p_adjusted},
            )
        elif item.p is None:
            yield Finding(
                check="attribute_few",
                severity=Severity.INCONCLUSIVE,
                subject=item.feature,
                statistic=item.gain,
                threshold=float(settings.min_count),
                message=f"There are too few examples to say whether the model gives away {item.feature}: at "
                f"least {settings.min_count:,} members and as many others are needed.",
                remedy="Give more examples of both splits, or lower min_count.",
            )
        elif item.verdict is Verdict.INCONCLUSIVE:
            yield Finding(
                check="attribute_undecided",
                severity=Severity.WARN,
                subject=item.feature,
                statistic=item.gain,
                threshold=settings.max_inference_gain,
                message=f"The examples do not settle whether {item.feature} is guessed more often of "
                f"members than allowed. {_attribute(item)}",
                remedy="Ask about more examples: raise attribute_examples.",
                evidence={"p": item.p, "p_adjusted": item.p_adjusted},
            )
        else:
            yield Finding(
                check="attribute_not_shown",
                severity=Severity.INFO,
                subject=item.feature,
                statistic=item.gain,
                threshold=settings.max_inference_gain,
                message=f"{_attribute(item)} A difference of {_allowed_points(settings)} is allowed.",
            )


def _attribute(item: Inference) -> str:
    return (
        f"Who knows everything else about an example and asks the model guesses {item.feature} right "
        f"{_right(item.members)} of members and {_right(item.others)} of others; without the model, "
        f"{_right(item.baseline)}."
    )


def _right(share: Estimate) -> str:
    return f"in {percent(share.value)}"


def _points(gain: Estimate) -> str:
    interval = ""
    if gain.low is not None and gain.high is not None:
        interval = f" ({100 * gain.low:.1f} to {100 * gain.high:.1f})"
    return f"{100 * gain.value:.1f} percentage points{interval}"


def _allowed_points(settings: AuditSettings) -> str:
    return f"{100 * settings.max_inference_gain:.1f} percentage points"


# What was not done


def _left_out(section: AuditSection) -> Iterator[Finding]:
    if section.not_run:
        told = "; ".join(f"{CHECKS.get(name, name)} ({why})" for name, why in section.not_run.items())
        yield Finding(
            check="attacks_left_out",
            severity=Severity.INFO,
            subject=_counted(len(section.not_run), "attack"),
            message=f"Not tried: {told}.",
        )
    if section.claim is None:
        yield Finding(
            check="no_claim",
            severity=Severity.INFO,
            subject="epsilon",
            message="No privacy guarantee is claimed, so none was tested.",
        )


def _level(level: float) -> str:
    return f"{100 * level:g} %"


def _number(value: float | None) -> str:
    """A lower bound, rounded down: more than was shown is never told."""
    return "unknown" if value is None else f"{math.floor(100 * value * (1 + 1e-9)) / 100:.2f}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
