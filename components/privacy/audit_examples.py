"""The audit of a model on tf.Examples: files in, one report out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_trust.components.errors import InputError
from tfx_trust.components.leakage.splits import has_examples
from tfx_trust.components.model import ExampleModel
from tfx_trust.components.privacy import canaries
from tfx_trust.components.privacy.attribute_examples import Asked, infer
from tfx_trust.components.privacy.audit import COMPONENT, Outputs, audit_outputs
from tfx_trust.components.privacy.audit_reader import Reader, kinds_of
from tfx_trust.components.privacy.config import AuditSettings, Claim
from tfx_trust.components.privacy.report import AuditReport, AuditSection, PrivacyReport
from tfx_trust.components.privacy.sampled import Sampled, sample_records
from tfx_trust.components.privacy.shadow import ShadowError, Training, shadow_scores
from tfx_trust.components.report import Finding, Severity

NOT_ASKED = "no shadow models were asked for (settings: shadow_models)"
_BY_SETTINGS = "the settings"
_BY_REPORT = "the privacy report"
_REMEDIES = {
    "lira": "Give the auditor what the Trainer was given (run_fn or module_file, transform_graph, "
    "custom_config), or ask for no shadow models (settings: shadow_models).",
    "canaries": "Connect the report of the training that made the model, its folder being as it was written.",
}
_OTHER_REMEDY = "Name features that the examples have one value of, or leave them out (settings: sensitive)."


@dataclass(frozen=True)
class Stated:
    """What the training of a model states of it.

    Attributes
    ----------
    report
        Its report.
    folder
        Where the report lies, and the canaries beside it.
    """

    report: PrivacyReport
    folder: str


def audit_examples(
    files: Mapping[str, Sequence[str]],
    settings: AuditSettings | Mapping[str, Any],
    *,
    model: ExampleModel,
    schema: schema_pb2.Schema | None = None,
    stated: Stated | None = None,
    training: Training | None = None,
    folder: str = ".",
) -> AuditReport:
    """Attacks a model on serialized tf.Examples, and judges what comes out.

    Parameters
    ----------
    files
        TFRecord files by split, of examples as they are before Transform; those that end in ``.gz`` are
        compressed.
    settings
        An :class:`AuditSettings`, or its fields as a mapping.
    model
        The model.
    schema
        Tells the features and their types; inferred from the first examples of each file if not given.
    stated
        What the training states; none if it was not private.
    training
        How shadow models are trained; none without them.
    folder
        For what shadow models need meanwhile.

    Raises
    ------
    UsageError
        If the settings name a feature that there is not.
    InputError
        If a file cannot be read whole, a label or a feature to slice by cannot be used, or the model gives no
        probabilities. What only one attack stumbles over is told in the report.
    """
    settings = AuditSettings.of(settings)
    claim, claimed_by = claim_of(settings, None if stated is None else stated.report)
    if (missing := _missing(files, settings)) is not None:
        return _nothing(settings, missing, claim, claimed_by)
    splits = files[settings.train_split], files[settings.eval_split]
    kinds = kinds_of(dict(files), settings, schema)
    samples = (_sample(splits[0], "members", settings), _sample(splits[1], "others", settings))
    reader = Reader(model, kinds, settings)
    members = reader.outputs(samples[0].records, "the sample of members")
    others = reader.outputs(samples[1].records, "the sample of others")
    left_out = LeftOut()
    lira = None
    if not settings.shadow_models:
        left_out.not_asked["lira"] = NOT_ASKED
    elif training is None:
        left_out.failed["lira"] = "it is not said how to train shadow models"
    else:
        try:
            lira = shadow_scores(
                splits,
                samples,
                (members, others),
                training=training,
                reader=reader,
                settings=settings,
                folder=folder,
            )
        except (ShadowError, InputError) as error:
            left_out.failed["lira"] = str(error)
    most = settings.attribute_examples
    inferences, impossible = infer(
        Asked(samples[0].records[:most], members.labels[:most]),
        Asked(samples[1].records[:most], others.labels[:most]),
        reader,
        settings,
        schema,
    )
    left_out.failed.update(impossible)
    report = audit_outputs(
        members,
        others,
        settings,
        claim,
        claimed_by,
        canaries=_canaries(reader, stated, left_out),
        lira=lira,
        inferences=inferences,
        not_run=left_out.not_asked,
    )
    return _with_failed(report, left_out.failed)


@dataclass(frozen=True)
class LeftOut:
    """Attacks that were not made, by name, and why.

    Attributes
    ----------
    not_asked
        Nobody asked for them, or there was nothing to make them of.
    failed
        They were asked for, and could not be made.
    """

    not_asked: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def claim_of(settings: AuditSettings, report: PrivacyReport | None) -> tuple[Claim | None, str]:
    """The guarantee that a model is held against, and who states it.

    Examples
    --------
    >>> claim_of(AuditSettings(label="sick", claim=Claim(epsilon=1.0, delta=1e-5)), None)
    (Claim(epsilon=1.0, delta=1e-05), 'the settings')
    """
    if settings.claim is not None:
        return settings.claim, _BY_SETTINGS
    if report is None or report.privacy.guarantee.epsilon is None or report.privacy.scope == "none":
        return None, ""
    guarantee = report.privacy.guarantee
    # The strongest statement there is: an epsilon of 0 is none that settings could make.
    claim = Claim(epsilon=max(guarantee.epsilon or 0.0, 1e-9), delta=guarantee.delta)
    scope = "" if report.privacy.scope == "pipeline" else f" ({report.privacy.scope})"
    return claim, f"{_BY_REPORT}{scope}"


def _missing(files: Mapping[str, Sequence[str]], settings: AuditSettings) -> str | None:
    for name in (settings.train_split, settings.eval_split):
        if name not in files:
            return f"There is no {name} split."
        if not any(has_examples(path) for path in files[name]):
            return f"The {name} split has no examples."
    return None


def _sample(files: Sequence[str], what: str, settings: AuditSettings) -> Sampled:
    sample = sample_records(files, settings.max_examples, settings.seed)
    logging.info("Audit: %d of %d %s are attacked", sample.rows, sample.total, what)
    return sample


def _nothing(settings: AuditSettings, missing: str, claim: Claim | None, claimed_by: str) -> AuditReport:
    """The report where there is nobody to attack."""
    finding = Finding(
        check="splits",
        severity=Severity.NOT_RUN,
        subject="examples",
        message=f"Nothing was tried: {missing[:1].lower()}{missing[1:]}",
        remedy="Give examples that were trained on and others that were not, or name the splits that they "
        "are (settings: train_split, eval_split).",
    )
    section = AuditSection(
        claim=claim,
        claimed_by=claimed_by,
        level=settings.level,
        members=0,
        others=0,
        not_run={"audit": missing},
    )
    return AuditReport(
        component=COMPONENT,
        findings=[finding],
        settings=settings.model_dump(mode="json"),
        audit=section,
    )


def _canaries(reader: Reader, stated: Stated | None, left_out: LeftOut) -> tuple[Outputs, np.ndarray] | None:
    """What the model says of the canaries, and which were trained on."""
    if stated is None:
        left_out.not_asked["canaries"] = "no privacy report is connected, which would tell of them"
        return None
    record = stated.report.privacy.canaries
    if record is None:
        left_out.not_asked["canaries"] = "none were put into training (settings of PrivateTrainer: canaries)"
        return None
    try:
        raw = canaries.read(stated.folder, record)
        outputs = reader.outputs(raw, os.path.join(stated.folder, record.file))
    except InputError as error:
        left_out.failed["canaries"] = str(error)
        return None
    return outputs, np.array(record.tosses, bool)


def _with_failed(report: AuditReport, failed: Mapping[str, str]) -> AuditReport:
    """The report with what was asked for and could not be made: that is no pass."""
    if not failed:
        return report
    section = report.audit.model_copy(update={"not_run": {**report.audit.not_run, **failed}})
    findings = [
        Finding(
            check="attack_not_made",
            severity=Severity.NOT_RUN,
            subject=name,
            message=f"{_sentence(name)} was asked for and could not be tried: {why}",
            remedy=_REMEDIES.get(name, _OTHER_REMEDY),
        )
        for name, why in failed.items()
    ]
    return AuditReport(
        component=report.component,
        created=report.created,
        findings=[*report.findings, *findings],
        settings=report.settings,
        audit=section,
    )


def _sentence(name: str) -> str:
    told = {"lira": "The attack by shadow models (LiRA)", "canaries": "The audit by canaries"}.get(name, name)
    return f"{told[:1].upper()}{told[1:]}"
