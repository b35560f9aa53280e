"""Graph side of PrivacyAuditor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import json_utils

from tfx_trust.components.artifacts import AuditReport, PrivacyReport
from tfx_trust.components.errors import UsageError
from tfx_trust.components.privacy.audit_executor import Executor
from tfx_trust.components.privacy.config import AuditSettings


class PrivacyAuditorSpec(ComponentSpec):
    """Specification of PrivacyAuditor."""

    PARAMETERS = {
        "settings": ExecutionParameter(type=str),
        "run_fn": ExecutionParameter(type=str, optional=True),
        "module_file": ExecutionParameter(type=str, optional=True),
        "module_path": ExecutionParameter(type=str, optional=True),
        "train_args": ExecutionParameter(type=trainer_pb2.TrainArgs),
        "eval_args": ExecutionParameter(type=trainer_pb2.EvalArgs),
        "custom_config": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "privacy_report": ChannelParameter(type=PrivacyReport, optional=True),
        "schema": ChannelParameter(type=standard_artifacts.Schema, optional=True),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
        "hyperparameters": ChannelParameter(type=standard_artifacts.HyperParameters, optional=True),
    }
    OUTPUTS = {"audit_report": ChannelParameter(type=AuditReport)}


class PrivacyAuditor(base_component.BaseComponent):
    """Attacks a model to find out what it gives away of the people it was trained on.

    Membership inference by loss, confidence and entropy, overall and by slice, and by shadow models (LiRA)
    where these are asked for; the canaries that PrivateTrainer put in, which bound epsilon from below;
    attribute inference and model inversion on sensitive features. A guarantee that survives is not falsified,
    which is no proof; one that does not fails, as does an attack beyond the limits.

    Parameters
    ----------
    examples
        Examples channel as it is before Transform, with a split that the model was trained on and one that it
        was not: those that the Trainer's were made of, after filters.
    model
        Model channel: a SavedModel with a signature that takes serialized tf.Examples and gives
        probabilities.
    settings
        An :class:`AuditSettings`, or its fields as a mapping; ``label`` is needed.
    privacy_report
        PrivacyReport channel of the training: the guarantee to hold against, and the canaries.
    schema
        Schema channel: the types of the features. Without it they are inferred from the first examples of
        each file.
    transform_graph
        TransformGraph channel, as the Trainer has it. Only shadow models need it and what follows.
    hyperparameters
        HyperParameters channel, as the Trainer has it.
    run_fn, module_file
        How a model is trained, as the Trainer has it: one of them.
    train_args, eval_args, custom_config
        As the Trainer has them. The privacy settings come from the privacy report.

    Outputs: ``audit_report``.

    Raises
    ------
    UsageError
        If a setting is unknown or not allowed, or shadow models are asked for without a ``run_fn``.

    Examples
    --------
    >>> auditor = PrivacyAuditor(                                            # doctest: +SKIP
    ...     examples=example_gen.outputs["examples"],
    ...     model=trainer.outputs["model"],
    ...     privacy_report=trainer.outputs["privacy_report"],
    ...     settings=AuditSettings(label="defaulted", slices=[["sex"]], sensitive=["race"]),
    ... )
    """

    SPEC_CLASS = PrivacyAuditorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        examples: channel.BaseChannel,
        model: channel.BaseChannel,
        settings: AuditSettings | Mapping[str, Any],
        privacy_report: channel.BaseChannel | None = None,
        schema: channel.BaseChannel | None = None,
        transform_graph: channel.BaseChannel | None = None,
        hyperparameters: channel.BaseChannel | None = None,
        run_fn: str | None = None,
        module_file: str | None = None,
        train_args: trainer_pb2.TrainArgs | None = None,
        eval_args: trainer_pb2.EvalArgs | None = None,
        custom_config: Mapping[str, Any] | None = None,
    ) -> None:
        wanted = AuditSettings.of(settings)
        if run_fn and module_file:
            raise UsageError("run_fn and module_file are both given; give the one that the Trainer has")
        if wanted.shadow_models and not (run_fn or module_file):
            raise UsageError(
                f"shadow_models = {wanted.shadow_models} needs run_fn or module_file, by which the Trainer "
                "trains; give it, or set shadow_models to 0"
            )
        optional = {
            "privacy_report": privacy_report,
            "schema": schema,
            "transform_graph": transform_graph,
            "hyperparameters": hyperparameters,
        }
        super().__init__(
            spec=PrivacyAuditorSpec(
                examples=examples,
                model=model,
                settings=wanted.to_json(),
                run_fn=run_fn,
                module_file=module_file,
                train_args=train_args or trainer_pb2.TrainArgs(),
                eval_args=eval_args or trainer_pb2.EvalArgs(),
                custom_config=json_utils.dumps(None if custom_config is None else dict(custom_config)),
                audit_report=channel.Channel(type=AuditReport),
                **{name: given for name, given in optional.items() if given is not None},
            )
        )
        if module_file:
            self._package()

    def _package(self) -> None:
        """Has TFX make a wheel of the user's module, as for its own Trainer."""
        # Loads most of TFX, and is needed for modules alone.
        from tfx.components.util import udf_utils

        if udf_utils.should_package_user_modules():
            udf_utils.add_user_module_dependency(self, "module_file", "module_path")
