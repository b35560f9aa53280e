"""Reports of PrivateTrainer and PrivacyAuditor: what a page must bear."""

from __future__ import annotations

import datetime
import math

import numpy as np

from tfx_trust.components.privacy.config import Claim, PrivateTrainingSettings, TradeoffPoint
from tfx_trust.components.privacy.report import (
    Attack,
    AuditReport,
    AuditSection,
    CanaryAudit,
    CanaryRecord,
    CurvePoint,
    Guarantee,
    Guesses,
    Inference,
    LayerRule,
    Leak,
    Ledger,
    LedgerEntry,
    Mechanism,
    PrivacyReport,
    PrivacySection,
    Rate,
    RocPoint,
    SliceExposure,
    Training,
)
from tfx_trust.components.report import Estimate, Finding, InputRef, Severity, Verdict

CREATED = datetime.datetime(2026, 3, 4, 9, 5, tzinfo=datetime.timezone.utc)
DELTA = 32_661**-1.1
EXAMPLES = 32_661
TRAINING = Mechanism(
    what="training",
    noise_multiplier=1.345,
    sampling="poisson",
    sampling_probability=1024 / EXAMPLES,
    steps=638,
    examples=EXAMPLES,
    max_batch=1280,
)
SCALING = Mechanism(what="z_score(age)", noise_multiplier=40.0, examples=EXAMPLES)


def estimate(value: float, half: float, count: int) -> Estimate:
    return Estimate(
        value=value, low=value - half, high=value + half, count=count, level=0.95, method="delong"
    )


def guarantee(
    epsilon: float | None, adjacency: str = "add_or_remove_one", accountant: str = "pld"
) -> Guarantee:
    return Guarantee.model_validate(
        {
            "epsilon": epsilon,
            "delta": DELTA,
            "adjacency": adjacency,
            "accountant": accountant,
            "target": 3.0 if accountant == "pld" and adjacency == "add_or_remove_one" else None,
        }
    )


def ledger(hostile: str = "") -> Ledger:
    entries = [
        LedgerEntry(
            run=f"2026-03-0{day}T08:00:00.000000",
            created=f"2026-03-0{day}T08:01:00+00:00",
            artifact=day,
            spans=[],
            epsilon=3.0,
            delta=DELTA,
            mechanisms=[TRAINING, SCALING],
        )
        for day in (1, 2, 3)
    ]
    here = entries[0].model_copy(update={"run": "2026-03-04T09:00:00.000000", "artifact": None, "here": True})
    prior = LedgerEntry(
        run=f"tables published in March{hostile}", created="", artifact=None, spans=[], epsilon=1.0, delta=0.0
    )
    return Ledger(
        source=f"UCI Adult{hostile}",
        entries=[prior, *entries, here],
        total_before=6.9,
        total=7.9,
        delta=DELTA,
        budget=20.0,
        unknown=["One execution of PrivateTrainer failed; it published nothing and is not counted."],
    )


def private(hostile: str = "") -> PrivacyReport:
    """A private training with everything that a page can have."""
    curve = [CurvePoint(step=step, epsilon=3 * math.sqrt(step / 638)) for step in range(0, 639, 58) if step]
    tradeoff = [
        TradeoffPoint(epsilon=epsilon, metric=metric, mean=mean, low=mean - 0.002, high=mean + 0.001, count=3)
        for metric, means in (
            ("auc", (0.902, 0.908, 0.913, 0.915, 0.921)),
            ("accuracy", (0.851, 0.857, 0.861, 0.862, 0.865)),
        )
        for epsilon, mean in zip((0.5, 1.0, 3.0, 8.0, None), means)
    ]
    settings = PrivateTrainingSettings.of(
        {"epsilon": 3.0, "batch_size": 1024, "epochs": 20, "budget": {"epsilon": 20.0}}
    )
    return PrivacyReport(
        component="PrivateTrainer",
        created=CREATED,
        settings=settings.model_dump(mode="json"),
        findings=[
            Finding(
                check="leaks",
                severity=Severity.WARN,
                subject=f"bucketize(age){hostile}",
                message=f"The quantiles of age{hostile} were computed from the data without privacy.",
                remedy="Declare them public, or compute them by a private analyzer.",
            ),
            Finding(
                check="guarantee", severity=Severity.INFO, message="Epsilon is 3.00 at a delta of 1.1e-05."
            ),
        ],
        inputs={"examples": [InputRef(uri="/data/examples", type="Examples", id=3, split_names=["train"])]},
        privacy=PrivacySection(
            guarantee=guarantee(2.9995),
            scope="training only",
            mechanisms=[TRAINING, SCALING],
            alternatives=[
                guarantee(3.31, accountant="rdp"),
                guarantee(4.87, adjacency="replace_one"),
                guarantee(None, adjacency="replace_one", accountant="rdp"),
            ],
            curve=curve,
            training=Training(
                model=f"functional (Functional){hostile}",
                examples=EXAMPLES,
                batch_size=1024,
                max_batch=1280,
                sampling="poisson",
                steps=638,
                planned_steps=638,
                optimizer="SGD",
                optimizer_steps=638,
                l2_clip=1.0,
                adaptive=False,
                noise_source="aes-ctr",
                layers=[
                    LayerRule(layer=f"dense{hostile}", kind="Dense", method="ghost", weights=11_264),
                    LayerRule(layer="lstm", kind="LSTM", method="fallback", weights=4_160),
                    LayerRule(layer="embedding", kind="Embedding", method="frozen", weights=16_000),
                ],
                unchecked=["whether examples mix: the inputs are not known"],
            ),
            leaks=[
                Leak(name=f"bucketize(age){hostile}", kind="analyzer", what="quantiles", state="uncovered"),
                Leak(name="z_score(age)", kind="analyzer", what="mean and variance", state="private"),
                Leak(name="vocab_sex", kind="analyzer", what="a vocabulary", state="public"),
                Leak(name="early_stopping", kind="training", what="stopped by the loss", state="uncovered"),
            ],
            ledger=ledger(hostile),
            canaries=CanaryRecord(
                count=200, included=103, file="canaries.tfrecord.gz", tosses=[True, False] * 100
            ),
            tradeoff=tradeoff,
        ),
    )


def not_private() -> PrivacyReport:
    """A training that was not private."""
    return PrivacyReport(
        component="PrivateTrainer",
        created=CREATED,
        findings=[
            Finding(
                check="not_private",
                severity=Severity.FAIL,
                message="The training was not private: no epsilon can be stated.",
                remedy="Call make_private on the model in run_fn.",
            )
        ],
        privacy=PrivacySection(guarantee=guarantee(None), scope="none", leaks_known=False),
    )


def _attack(name: str, auc: float, verdict: Verdict) -> Attack:
    grid = np.geomspace(1e-4, 1, 60)
    power = grid ** (1 / auc - 1)
    return Attack.model_validate(
        {
            "name": name,
            "members": 20_000,
            "others": 16_281,
            "auc": estimate(auc, 0.006, 36_281),
            "advantage": estimate(2 * auc - 1, 0.011, 18_000),
            "rates": [
                Rate(
                    false_positive_rate=rate,
                    true_positive_rate=estimate(rate ** (1 / auc - 1), 0.2 * rate, 20_000),
                    allowed=min(1.0, 20.1 * rate + DELTA),
                )
                for rate in (0.001, 0.01, 0.1)
            ],
            "roc": [
                RocPoint(false_positive_rate=float(a), true_positive_rate=float(b))
                for a, b in zip(grid, power)
            ],
            "verdict": verdict,
        }
    )


def _slice(value: str, auc: float | None, verdict: Verdict, hostile: str = "") -> SliceExposure:
    return SliceExposure(
        slice={f"race{hostile}": f"{value}{hostile}"},
        attack="loss",
        members=3_000,
        others=1_500,
        auc=None if auc is None else estimate(auc, 0.02, 4_500),
        p=None if auc is None else 0.4,
        p_adjusted=None if auc is None else 0.9,
        verdict=verdict,
    )


def audited(hostile: str = "") -> AuditReport:
    """An audit that found nothing beyond the limits."""
    inference = Inference(
        feature=f"sex{hostile}",
        kind="attribute_inference",
        members=estimate(0.71, 0.02, 2_000),
        others=estimate(0.705, 0.02, 2_000),
        baseline=estimate(0.67, 0.02, 2_000),
        gain=estimate(0.005, 0.028, 4_000),
        values=2,
        p=0.99,
        p_adjusted=1.0,
        verdict=Verdict.PASS,
    )
    return AuditReport(
        component="PrivacyAuditor",
        created=CREATED,
        settings={"label": "over_50k", "max_auc": 0.55},
        findings=[
            Finding(
                check="canaries",
                severity=Severity.INFO,
                message=f"The claimed epsilon of 3 is not falsified{hostile}: the lower bound is 0.11.",
            )
        ],
        audit=AuditSection(
            claim=Claim(epsilon=3.0, delta=DELTA),
            claimed_by="the privacy report",
            members=20_000,
            others=16_281,
            attacks=[
                _attack("loss", 0.503, Verdict.PASS),
                _attack("confidence", 0.501, Verdict.PASS),
                _attack("entropy", 0.504, Verdict.PASS),
            ],
            slices=[
                _slice("Amer-Indian-Eskimo", 0.521, Verdict.INCONCLUSIVE),
                _slice("Black", 0.507, Verdict.PASS, hostile),
                _slice("White", 0.502, Verdict.PASS),
                _slice("Other", None, Verdict.INCONCLUSIVE),
            ],
            canaries=CanaryAudit(
                count=200,
                included=103,
                auc=estimate(0.53, 0.08, 200),
                epsilon=0.11,
                level=0.95,
                delta=DELTA,
                ceiling=4.1,
                guesses=[
                    Guesses(guesses=20, correct=13, epsilon=0.11),
                    Guesses(guesses=40, correct=22, epsilon=0.0),
                ],
                verdict=Verdict.PASS,
            ),
            inferences=[inference, inference.model_copy(update={"kind": "inversion", "p": None})],
            not_run={"lira": f"no shadow models were asked for{hostile}"},
        ),
    )


def exposed() -> AuditReport:
    """An overfitted model with a claim."""
    section = audited().audit.model_copy(
        update={
            "falsified": True,
            "attacks": [_attack("loss", 0.633, Verdict.FAIL), _attack("lira", 0.71, Verdict.FAIL)],
            "slices": [_slice("Black", 0.67, Verdict.FAIL), _slice("White", 0.63, Verdict.FAIL)],
            "not_run": {},
        }
    )
    return AuditReport(
        component="PrivacyAuditor",
        created=CREATED,
        settings={"label": "over_50k", "max_auc": 0.55},
        findings=[
            Finding(
                check="membership",
                severity=Severity.FAIL,
                subject="loss",
                message="Members are told from others with an AUC of 0.633.",
                remedy="Train privately, or with less capacity.",
            )
        ],
        audit=section,
    )


def bare() -> AuditReport:
    """Nothing could be attacked."""
    return AuditReport(
        component="PrivacyAuditor",
        created=CREATED,
        findings=[Finding(check="split", severity=Severity.NOT_RUN, message="There is no split 'train'.")],
        audit=AuditSection(
            claim=None, members=0, others=0, not_run={"membership": "there is no train split"}
        ),
    )


SAMPLES = {
    "privacy_full": private,
    "privacy_none": not_private,
    "audit_full": audited,
    "audit_exposed": exposed,
    "audit_bare": bare,
}
