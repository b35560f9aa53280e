"""Graph side of PrivateTrainer and PrivacyAuditor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.proto import trainer_pb2
from tfx.types import channel, standard_artifacts, system_executions
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import json_utils

from tfx_trust.components.artifacts import PrivacyReport
from tfx_trust.components.errors import UsageError
from tfx_trust.components.privacy.audit_component import PrivacyAuditor
from tfx_trust.components.privacy.config import PrivateTrainingSettings, check_custom_config
from tfx_trust.components.privacy.driver import Driver
from tfx_trust.components.privacy.executor import Executor

__all__ = ["PrivacyAuditor", "PrivateTrainer"]


class PrivateTrainerSpec(ComponentSpec):
    """Specification of PrivateTrainer: that of TFX's Trainer, and a little more."""

    PARAMETERS = {
        "privacy": ExecutionParameter(type=str),
        "train_args": ExecutionParameter(type=trainer_pb2.TrainArgs),
        "eval_args": ExecutionParameter(type=trainer_pb2.EvalArgs),
        "module_file": ExecutionParameter(type=str, optional=True),
        "module_path": ExecutionParameter(type=str, optional=True),
        "run_fn": ExecutionParameter(type=str, optional=True),
        "custom_config": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
        "schema": ChannelParameter(type=standard_artifacts.Schema, optional=True),
        "base_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "hyperparameters": ChannelParameter(type=standard_artifacts.HyperParameters, optional=True),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
        "canary_examples": ChannelParameter(type=standard_artifacts.Examples, optional=True),
    }
    OUTPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
        "privacy_report": ChannelParameter(type=PrivacyReport),
    }
    TYPE_ANNOTATION = system_executions.Train


class PrivateTrainer(base_component.BaseComponent):
    """Trains a model privately, and says what that guarantees to whom, and what it does not.

    It runs a ``run_fn`` as TFX's Trainer does, and takes the same arguments. ``run_fn`` makes its model
    private by :func:`~tfx_trust.components.make_private` with ``fn_args.custom_config["privacy"]``. The
    guarantee is of what was seen to happen: it is stated where the exported weights are those that were
    trained privately, and by private updates alone. What ships with the model beside them and depends on the
    data, such as the vocabularies and means of Transform, is listed; unless all of it is public or was
    computed privately, the guarantee is of the training only.

    What is spent on the same data adds up, over all trainings that the metadata store knows of. A training
    that would pass the budget stops before it begins. An unchanged pipeline is served from TFX's cache and
    spends nothing; any other argument trains anew, and spends anew, also where it bears on the judgement
    alone, as `public` does.

    Parameters
    ----------
    privacy
        A :class:`PrivateTrainingSettings`, or its fields as a mapping.
    examples
        Examples channel, raw or transformed.
    transformed_examples
        The same under its older name; give one of the two.
    transform_graph
        TransformGraph channel. Without it, the guarantee is of a model that reads raw examples.
    schema
        Schema channel.
    base_model
        Model channel of the model that training begins with.
    hyperparameters
        HyperParameters channel, such as Tuner's.
    statistics
        ExampleStatistics channel; ``run_fn`` finds the numbers of examples in ``fn_args.num_examples`` where
        TFX gives them (since 1.21).
    canary_examples
        Raw examples, from whose eval split canaries are made, if the settings ask for some.
    module_file
        Path of a Python module with a function ``run_fn``.
    run_fn
        Dotted path of the function; give one of the two.
    train_args, eval_args
        Splits and numbers of steps, as ``run_fn`` reads them. How long training takes is a matter of
        `privacy`.
    custom_config
        Passed to ``run_fn`` as ``fn_args.custom_config``, to which ``privacy`` is added.

    Outputs: ``model``, ``model_run`` and ``privacy_report``. The report's artifact has the custom properties
    ``epsilon`` and ``delta``, if there is a guarantee.

    Raises
    ------
    UsageError
        If a setting is unknown or not allowed, an argument is missing, or two are given of which one is
        needed.

    Examples
    --------
    >>> trainer = PrivateTrainer(                                            # doctest: +SKIP
    ...     examples=transform.outputs["transformed_examples"],
    ...     transform_graph=transform.outputs["transform_graph"],
    ...     run_fn="my_package.my_model.run_fn",
    ...     privacy=PrivateTrainingSettings(epsilon=3.0, epochs=20, budget=Budget(epsilon=9.0)),
    ... )
    """

    SPEC_CLASS = PrivateTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        *,
        privacy: PrivateTrainingSettings | Mapping[str, Any],
        examples: channel.BaseChannel | None = None,
        transformed_examples: channel.BaseChannel | None = None,
        transform_graph: channel.BaseChannel | None = None,
        schema: channel.BaseChannel | None = None,
        base_model: channel.BaseChannel | None = None,
        hyperparameters: channel.BaseChannel | None = None,
        statistics: channel.BaseChannel | None = None,
        canary_examples: channel.BaseChannel | None = None,
        module_file: str | data_types.RuntimeParameter | None = None,
        run_fn: str | data_types.RuntimeParameter | None = None,
        train_args: trainer_pb2.TrainArgs | data_types.RuntimeParameter | None = None,
        eval_args: trainer_pb2.EvalArgs | data_types.RuntimeParameter | None = None,
        custom_config: Mapping[str, Any] | data_types.RuntimeParameter | None = None,
    ) -> None:
        settings = PrivateTrainingSettings.of(privacy)
        _check_one("module_file", module_file, "run_fn", run_fn)
        _check_one("examples", examples, "transformed_examples", transformed_examples)
        if transformed_examples is not None and transform_graph is None:
            raise UsageError("transformed_examples need transform_graph, which tells what they consist of")
        if settings.canaries is not None and canary_examples is None:
            raise UsageError(
                "canaries are asked for and canary_examples is not connected: give the raw examples that "
                "they are to be made of"
            )
        if isinstance(custom_config, Mapping):
            check_custom_config(custom_config)
        optional = {
            "transform_graph": transform_graph,
            "schema": schema,
            "base_model": base_model,
            "hyperparameters": hyperparameters,
            "statistics": statistics,
            # A channel that nothing is made of would only make TFX train anew when it changes.
            "canary_examples": canary_examples if settings.canaries is not None else None,
            "module_file": module_file,
            "run_fn": run_fn,
        }
        spec = PrivateTrainerSpec(
            privacy=settings.to_json(),
            examples=transformed_examples if examples is None else examples,
            train_args=train_args or trainer_pb2.TrainArgs(),
            eval_args=eval_args or trainer_pb2.EvalArgs(),
            custom_config=custom_config
            if isinstance(custom_config, data_types.RuntimeParameter)
            else json_utils.dumps(None if custom_config is None else dict(custom_config)),
            model=channel.Channel(type=standard_artifacts.Model),
            model_run=channel.Channel(type=standard_artifacts.ModelRun),
            privacy_report=channel.Channel(type=PrivacyReport),
            **{name: given for name, given in optional.items() if given is not None},
        )
        super().__init__(spec=spec)
        if module_file is not None:
            _package(self)


def _check_one(first: str, one: Any, second: str, other: Any) -> None:
    if (one is None) == (other is None):
        found = "neither is given" if one is None else "both are given"
        raise UsageError(f"{first}, {second}: {found}; give one of the two")


def _package(component: base_component.BaseComponent) -> None:
    """Has TFX make a wheel of the user's module, as for its own Trainer."""
    # Loads most of TFX, and is needed for modules alone.
    from tfx.components.util import udf_utils

    if udf_utils.should_package_user_modules():
        udf_utils.add_user_module_dependency(component, "module_file", "module_path")
