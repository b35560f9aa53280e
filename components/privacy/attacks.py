"""Membership inference: telling the examples that a model was trained on by what it says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tfx_trust.components.privacy import one_run, roc
from tfx_trust.components.privacy.config import AuditSettings, Claim
from tfx_trust.components.privacy.report import Attack, AttackName, Rate
from tfx_trust.components.privacy.verdicts import at_most, judge
from tfx_trust.components.report import Verdict

LEAST = 4
"""Fewest members, and fewest others, that anything can be computed of."""

# Scores


def by_outputs(probabilities: np.ndarray, labels: np.ndarray) -> dict[AttackName, np.ndarray]:
    """Scores of each attack that needs nothing but the model's outputs; greater ones speak for a member.

    Of a label of two values, ``entropy`` puts examples in the same order as ``loss``.

    Parameters
    ----------
    probabilities
        Of shape ``(examples, classes)``.
    labels
        Places of the true classes, of shape ``(examples,)``.

    Returns
    -------
    dict
        By attack, of shape ``(examples,)``: the cross-entropy of the true label, negative (Yeom et al. 2018);
        the greatest probability (Salem et al. 2019); and the modified entropy, negative (Song & Mittal 2021).
    """
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    with np.errstate(divide="ignore"):
        log_own, log_rest = np.log(own), np.log1p(-probabilities)
    # Where the label has a probability of 1, others have 0: 0 times the logarithm of 0 is then 0.
    terms = np.multiply(probabilities, log_rest, out=np.zeros(probabilities.shape), where=probabilities > 0)
    terms[rows, labels] = np.multiply(1 - own, log_own, out=np.zeros(len(own)), where=own < 1)
    return {"loss": log_own, "confidence": probabilities.max(axis=1), "entropy": terms.sum(axis=1)}


# Attacks


def membership(
    name: AttackName,
    members: np.ndarray,
    others: np.ndarray,
    settings: AuditSettings,
    claim: Claim | None,
    *,
    attacks: int = 1,
) -> Attack:
    """Measures an attack and judges it by itself.

    Parameters
    ----------
    name
        Which score.
    members, others
        Scores of examples that the model was trained on and not, of shapes ``(members,)`` and ``(others,)``,
        at least :data:`LEAST` of each; greater ones speak for a member.
    settings
        Limits, levels and false positive rates.
    claim
        The guarantee; what it allows is told beside each rate.
    attacks
        How many attacks there are: the lower bound on epsilon holds for all of them together (Bonferroni).

    Returns
    -------
    Attack
        Its verdict is ``fail`` where a limit is exceeded by more than chance, ``pass`` where the intervals
        lie within the limits, else ``inconclusive``, and so where there are fewer than
        ``settings.min_count``.
    """
    members, others = roc.checked(members, "members"), roc.checked(others, "others")
    area = roc.area(members, others)
    advantage = roc.advantage(members, others, settings.seed)
    p_values = [area.above(settings.max_auc)]
    if settings.max_advantage is not None:
        p_values.append(advantage.above(settings.max_advantage))
    enough = min(len(members), len(others)) >= settings.min_count
    p = min(1.0, len(p_values) * min(p_values)) if enough else None
    attack = Attack(
        name=name,
        members=len(members),
        others=len(others),
        auc=area.estimate(settings.level),
        advantage=advantage.estimate(settings.level),
        rates=[
            Rate(
                false_positive_rate=rate,
                true_positive_rate=roc.power_at(members, others, rate, settings.level),
                allowed=None if claim is None else float(roc.allowed(rate, claim)),
            )
            for rate in sorted(settings.rates)
        ],
        roc=roc.points(members, others),
        p=p,
        epsilon=_shown(members, others, settings, claim, attacks),
        verdict=Verdict.INCONCLUSIVE,
    )
    _judge([attack], settings)
    return attack


def _shown(
    members: np.ndarray, others: np.ndarray, settings: AuditSettings, claim: Claim | None, attacks: int
) -> float | None:
    """Lower bound on epsilon; none of too few."""
    scores, included = one_run.balanced(members, others, settings.seed)
    if len(scores) < one_run.LEAST:
        return None
    delta = one_run.DELTA if claim is None else claim.delta
    level = 1 - (1 - settings.level) / attacks
    return one_run.bound(scores, included, delta, level, settings.seed).epsilon


def _judge(found: Sequence[Attack], settings: AuditSettings) -> None:
    def within(attack: Attack) -> bool:
        return at_most(attack.auc, settings.max_auc) and (
            settings.max_advantage is None or at_most(attack.advantage, settings.max_advantage)
        )

    judge(found, settings.level, within)


def all_of(
    members: Mapping[AttackName, np.ndarray],
    others: Mapping[AttackName, np.ndarray],
    settings: AuditSettings,
    claim: Claim | None,
) -> list[Attack]:
    """All attacks, judged together: p-values are corrected (Holm) for being several."""
    found = [
        membership(name, scores, others[name], settings, claim, attacks=len(members))
        for name, scores in members.items()
    ]
    _judge(found, settings)
    return found
