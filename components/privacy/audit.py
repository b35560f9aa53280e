"""The audit: what an attacker would find in a model, judged. No TFX, no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy import attacks, audit_words, exposure, inference, one_run, roc
from tfx_trust.components.privacy.config import AuditSettings, Claim
from tfx_trust.components.privacy.report import (
    Attack,
    AttackName,
    AuditReport,
    AuditSection,
    CanaryAudit,
    Inference,
)
from tfx_trust.components.report import Verdict

COMPONENT = "PrivacyAuditor"
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Outputs:
    """What a model says of some examples.

    Attributes
    ----------
    probabilities
        Of shape ``(examples, classes)``; a label of two values has two classes.
    labels
        Places of the true classes, whole numbers of shape ``(examples,)``.
    slices
        Values of the features to slice by, by name, of as many examples: texts, numbers or None.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    slices: exposure.Values = field(default_factory=dict)

    def scores(self, what: str) -> dict[AttackName, np.ndarray]:
        """Scores of each attack that needs nothing else, of shape ``(examples,)``.

        Parameters
        ----------
        what
            The examples, for messages.

        Raises
        ------
        InputError
            If the outputs are no probabilities, or labels are not among the classes.
        """
        self._check(what)
        return attacks.by_outputs(np.asarray(self.probabilities, float), np.asarray(self.labels))

    def _check(self, what: str) -> None:
        shape = np.shape(self.probabilities)
        if len(shape) != 2 or shape[1] < 2:
            raise InputError(
                f"the model's outputs of {what} have the shape {shape}; expected (examples, classes), two "
                "classes or more: of a single score p give 1 - p and p"
            )
        if np.shape(self.labels) != shape[:1]:
            raise InputError(
                f"{what}: labels have the shape {np.shape(self.labels)}, outputs {shape}; give one label "
                "for each example"
            )
        total = np.sum(self.probabilities, axis=1)
        # Not the other way round: what is not a number has to be refused too.
        right = np.all(self.probabilities >= 0, axis=1) & (np.abs(total - 1) <= _ROUNDING)
        if not right.all():
            raise InputError(
                f"the model's outputs are no probabilities that sum up to 1 for {int((~right).sum()):,} of "
                f"{shape[0]:,} {what}; name the output that is (settings: score_output), or give the model a "
                "softmax or sigmoid"
            )
        labels = np.asarray(self.labels)
        if len(labels) and (labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= shape[1]):
            raise InputError(
                f"labels of {what} are not all places of one of the model's {shape[1]} outputs; name the "
                "values of the label (settings: positive, or classes)"
            )


@dataclass(frozen=True)
class Scores:
    """Scores of some examples; greater ones speak for a member.

    Attributes
    ----------
    by_attack
        Of shape ``(examples,)`` each.
    slices
        As those of :class:`Outputs`.
    """

    by_attack: Mapping[AttackName, np.ndarray]
    slices: exposure.Values = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many examples."""
        return len(next(iter(self.by_attack.values())))


def audit_outputs(
    members: Outputs,
    others: Outputs,
    settings: AuditSettings,
    claim: Claim | None,
    claimed_by: str,
    *,
    canaries: tuple[Outputs, np.ndarray] | None = None,
    lira: tuple[np.ndarray, np.ndarray] | None = None,
    inferences: Sequence[Inference] = (),
    not_run: Mapping[str, str] | None = None,
) -> AuditReport:
    """Attacks a model by its outputs, and judges what comes out.

    Parameters
    ----------
    members, others
        Outputs for examples that the model was trained on, and for others that came about like these.
    settings
        Limits, levels and slices.
    claim
        The guarantee to hold against; none if none is claimed.
    claimed_by
        Who states it, in a few words.
    canaries
        Outputs for the canaries, and which of them were trained on, bool of shape ``(canaries,)``.
    lira
        Scores of members and of others by :func:`tfx_trust.components.privacy.lira.lira_scores`.
    inferences
        Made by :mod:`tfx_trust.components.privacy.inference`; they are judged together here.
    not_run
        Attacks that were not made, by name, and why.

    Returns
    -------
    AuditReport
        Its ``settings`` and ``inputs`` are the caller's to complete.

    Raises
    ------
    InputError
        If outputs are no probabilities, or of too few examples.
    UsageError
        If a feature to slice by is not there.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> def outputs(right):
    ...     return Outputs(np.stack([right, 1 - right], axis=1), np.zeros(len(right), int))
    >>> seen, unseen = outputs(rng.uniform(0.7, 1, 500)), outputs(rng.uniform(0.3, 1, 500))
    >>> report = audit_outputs(seen, unseen, AuditSettings(label="sick"), None, "")
    >>> str(report.verdict), round(report.audit.attacks[0].auc.value, 2)
    ('fail', 0.76)
    """
    scored = []
    for outputs, what, further in zip(
        (members, others), ("members", "others"), lira or (None, None), strict=True
    ):
        found = outputs.scores(what)
        if further is not None:
            found["lira"] = further
        scored.append(Scores(found, outputs.slices))
    tossed = None if canaries is None else (canaries[0].scores("canaries")["loss"], canaries[1])
    return audit_scores(
        scored[0],
        scored[1],
        settings,
        claim,
        claimed_by,
        canaries=tossed,
        inferences=inferences,
        not_run=not_run,
    )


def audit_scores(
    members: Scores,
    others: Scores,
    settings: AuditSettings,
    claim: Claim | None,
    claimed_by: str,
    *,
    canaries: tuple[np.ndarray, np.ndarray] | None = None,
    inferences: Sequence[Inference] = (),
    not_run: Mapping[str, str] | None = None,
) -> AuditReport:
    """As :func:`audit_outputs`, where scores are known and outputs need not be.

    Parameters
    ----------
    members, others
        Scores by the same attacks.
    canaries
        Scores of the canaries, greater ones speaking for having been trained on, and which were.
    settings, claim, claimed_by, inferences, not_run
        As for :func:`audit_outputs`.
    """
    _check(members, others)
    left_out = dict(not_run or {})
    found: list[Attack] = []
    least = min(members.count, others.count)
    if least >= attacks.LEAST:
        found = attacks.all_of(members.by_attack, others.by_attack, settings, claim)
    else:
        told = f"there are {members.count:,} members and {others.count:,} others"
        left_out |= {str(name): told for name in members.by_attack}
    exposed = "lira" if "lira" in members.by_attack else next(iter(members.by_attack))
    section = AuditSection(
        claim=claim,
        claimed_by=claimed_by if claim is not None else "",
        level=settings.level,
        members=members.count,
        others=others.count,
        attacks=found,
        slices=exposure.by_slice(
            exposed,
            roc.checked(members.by_attack[exposed], "members"),
            roc.checked(others.by_attack[exposed], "others"),
            members.slices,
            others.slices,
            settings,
        ),
        canaries=None if canaries is None else one_run.audit_canaries(*canaries, settings, claim),
        inferences=inference.judged(inferences, settings),
        not_run=left_out,
    )
    section.falsified = _falsified(section.canaries, found, claim)
    return AuditReport(
        component=COMPONENT,
        findings=list(audit_words.findings(section, settings)),
        settings=settings.model_dump(mode="json"),
        audit=section,
    )


def _check(members: Scores, others: Scores) -> None:
    """Refuses what cannot be compared."""
    alone = set(members.by_attack) ^ set(others.by_attack)
    if alone or not members.by_attack:
        raise InputError(
            f"scores of {', '.join(sorted(alone)) or 'no attack'}: members and others need scores by the "
            "same attacks"
        )
    for scores in (members, others):
        for name, values in scores.by_attack.items():
            if len(values) != scores.count:
                raise InputError(
                    f"attack {name!r} has {len(values):,} scores for {scores.count:,} examples; give one "
                    "for each"
                )


def _falsified(canaries: CanaryAudit | None, found: Sequence[Attack], claim: Claim | None) -> bool:
    if claim is None:
        return False
    shown = canaries is not None and canaries.verdict is Verdict.FAIL
    return shown or any(attack.epsilon is not None and attack.epsilon > claim.epsilon for attack in found)
