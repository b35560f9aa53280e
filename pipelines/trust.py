"""The standard pipeline, with the trust gates slotted in and one release decision at its end."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from tensorflow_model_analysis.proto import config_pb2
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.io import fileio
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2, trainer_pb2, transform_pb2
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.v1 import components as standard

from tfx_trust.components.artifacts import TrustReport
from tfx_trust.components.errors import InputError, UsageError, unknown
from tfx_trust.components.provenance.content import content_aware as aware_of_content
from tfx_trust.components.provenance.snapshots import track as snapshot_of
from tfx_trust.components.release.baseline import LatestReleasedModelStrategy
from tfx_trust.components.release.component import ReleaseGate
from tfx_trust.components.release.config import ReleasePolicy
from tfx_trust.pipelines.beam import LOCAL_RUNNER
from tfx_trust.pipelines.inputs import SPLITS, by_content, checked_schema, example_gen_of, raw_label
from tfx_trust.pipelines.source import UserFunction, dotted_path, source_digest
from tfx_trust.pipelines.steps import Filter, Gate, ModelStep, Nodes, PushStep

RELEASE = "release"
RESERVED = (RELEASE, "evaluation", "anomalies")


def create_pipeline(
    *,
    name: str,
    root: str | os.PathLike[str],
    data: str | os.PathLike[str] | BaseComponent,
    schema: str | os.PathLike[str],
    preprocessing_fn: UserFunction,
    run_fn: UserFunction,
    evaluation: config_pb2.EvalConfig,
    trainer: Callable[..., BaseComponent] | None = None,
    filters: Sequence[Filter] = (),
    model_steps: Sequence[ModelStep] = (),
    gates: Sequence[Gate] = (),
    push_steps: Sequence[PushStep] = (),
    track: Collection[str] = (),
    policy: ReleasePolicy | Mapping[str, Any] | None = None,
    without: Collection[str] = (),
    custom_config: Mapping[str, Any] | None = None,
    train_steps: int | None = None,
    eval_steps: int | None = None,
    serving: str | None = None,
    metadata_connection: Any = None,
    enable_cache: bool = True,
    content_aware: bool = True,
    beam_pipeline_args: Sequence[str] = (),
) -> Pipeline:
    """ExampleGen → filters → … → model steps → Evaluator → gates → ReleaseGate → Pusher, for one's own data.

    Parameters
    ----------
    name
        Name of the pipeline in the metadata store.
    root
        Folder of the run: ``metadata.db``, ``artifacts/``, ``serving/`` and a copy of the schema go there.
    data
        Folder with ``train/*.csv`` and ``eval/*.csv``, each with a header; or any component with an
        ``examples`` output that has these two splits.
    schema
        Path of the curated schema, a text-format ``Schema`` proto.
    preprocessing_fn, run_fn
        As Transform and Trainer take them: the function itself, its dotted path, or the path of a
        ``.py`` file that defines it. Changed code is trained anew rather than served from the cache.
    evaluation
        The Evaluator's configuration; :func:`~tfx_trust.pipelines.eval_config` makes one.
    trainer
        Makes the trainer from the keyword arguments of TFX's own, which is the default; for instance
        ``functools.partial(PrivateTrainer, privacy=...)``. If it has a parameter ``canary_examples``, it is
        given the channel of the examples as they are before Transform. Its component must have an output
        ``model``.
    filters
        Steps between ExampleGen and all that reads examples, in order: each reads what the one before
        it gave.
    model_steps
        Steps between Trainer and all that reads the model, in order: each reads what the one before it
        gave.
    gates
        The trust gates; extend the list with your own. One may give a component that is there already, as
        in ``Gate("privacy", lambda nodes: nodes.trainer)``.
    push_steps
        Steps after Pusher, in order.
    track
        Names of standard nodes, as :class:`~tfx_trust.pipelines.Nodes` has them, e.g. ``example_gen`` and
        ``trainer``. What they make is hashed as soon as it is made, before any other node reads it, so that
        ProvenanceTracker can tell whether it was changed since.
    policy
        The release policy. If it does not say what is required, all `gates` are.
    without
        Names of gates to leave out of this run (they are noted as waived); ``release`` leaves out the
        release gate itself, all others with it, and Pusher goes by the Evaluator alone.
    custom_config
        Passed to ``run_fn`` as ``fn_args.custom_config``.
    train_steps, eval_steps
        Passed to ``run_fn``; how it reads "none" is its own affair.
    serving
        Where Pusher puts a released model; ``<root>/serving`` by default.
    metadata_connection
        ML Metadata connection; SQLite at ``<root>/metadata.db`` by default.
    enable_cache
        Whether nodes whose inputs and parameters did not change are served from the cache.
    content_aware
        Whether "did not change" means the bytes. TFX by itself goes by names, sizes and times: what was
        tampered with is then served from the cache, and what was only touched is computed again. It costs
        reading each input once a run.
    beam_pipeline_args
        Arguments for the Beam pipelines within the components.

    Returns
    -------
    Pipeline
        To be run by LocalDagRunner, BeamDagRunner, or :func:`~tfx_trust.pipelines.run_pipeline`.

    Raises
    ------
    InputError
        If the data folder, a split, the header's label column or the schema is missing or empty.
    UsageError
        If a gate, function or node to be tracked is unknown, a gate writes no report, a filter gives no
        examples, a trainer or model step no model, or two of a kind have one name.
    """
    root, schema = os.fspath(root), os.fspath(schema)
    chosen = _chosen_gates(gates, without)
    label = raw_label(evaluation)
    schema_file = by_content(checked_schema(schema, label), root)
    example_gen = data if isinstance(data, BaseComponent) else example_gen_of(os.fspath(data), label)
    schema_gen = standard.ImportSchemaGen(schema_file=schema_file)
    filtering, examples = _filtered(filters, example_gen.outputs["examples"], schema_gen.outputs["schema"])
    statistics_gen = standard.StatisticsGen(examples=examples)
    example_validator = standard.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    transform = standard.Transform(
        examples=examples,
        schema=schema_gen.outputs["schema"],
        # Said here although it is the default: no vocabulary and no statistic may see the eval split.
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=list(SPLITS)),
        **_user_code("preprocessing_fn", preprocessing_fn),
    )
    _rerun_when_edited(transform, transform.exec_properties.get("preprocessing_fn"))
    # Not for data: what is wrong with the examples is to be known before anything stumbles over it.
    transform.add_upstream_node(example_validator)
    trainer_node = _trainer(
        trainer or standard.Trainer,
        examples,
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        train_args=trainer_pb2.TrainArgs(splits=["train"], num_steps=train_steps),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"], num_steps=eval_steps),
        custom_config=dict(custom_config or {}),
        **_user_code("run_fn", run_fn),
    )
    altering, model = _altered(
        model_steps, trainer_node.outputs["model"], examples, schema_gen.outputs["schema"]
    )
    judge = "Evaluator" if RELEASE in without else "ReleaseGate"
    resolver = Resolver(
        strategy_class=LatestReleasedModelStrategy,
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing, producer_component_id=judge),
        candidate=model,
    ).with_id("Resolver")
    evaluator = standard.Evaluator(
        examples=examples,
        model=model,
        baseline_model=resolver.outputs["model"],
        eval_config=evaluation,
        example_splits=["eval"],
    )
    nodes = Nodes(
        examples,
        example_gen,
        statistics_gen,
        schema_gen,
        example_validator,
        transform,
        trainer_node,
        resolver,
        evaluator,
        model,
    )
    standing = {name: node for name, node in vars(nodes).items() if not isinstance(node, BaseChannel)}
    snapshots = _snapshots(track, standing)
    components: list[Any] = [*filtering, *standing.values(), *altering]
    blessing = evaluator.outputs["blessing"]
    reports: dict[str, BaseChannel] = {}
    if RELEASE not in without:
        built = {gate.name: gate.build(nodes) for gate in chosen}
        reports = {gate: _report_of(gate, component) for gate, component in built.items()}
        release = ReleaseGate(
            model=model,
            evaluator_blessing=evaluator.outputs["blessing"],
            reports=reports,
            evaluation=evaluator.outputs["evaluation"],
            baseline_model=resolver.outputs["model"],
            anomalies=example_validator.outputs["anomalies"],
            statistics=statistics_gen.outputs["statistics"],
            policy=_policy(policy, without, chosen),
        )
        added = [component for component in built.values() if component not in components]
        for component in (*added, release):
            _rerun_when_edited(component, component.executor_spec.class_path)
        components += [*dict.fromkeys(added), release]
        blessing = release.outputs["blessing"]
    pusher = standard.Pusher(
        model=model,
        model_blessing=blessing,
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(
                base_directory=serving or os.path.join(root, "serving")
            )
        ),
    )
    components += [pusher, *_pushed(push_steps, pusher.outputs["pushed_model"], reports, gates)]
    if content_aware:
        for component in components:
            aware_of_content(component)
    components = _with_snapshots(components, snapshots)
    return Pipeline(
        pipeline_name=name,
        pipeline_root=os.path.join(root, "artifacts"),
        components=components,
        enable_cache=enable_cache,
        metadata_connection_config=metadata_connection
        or metadata.sqlite_metadata_connection_config(os.path.join(root, "metadata.db")),
        beam_pipeline_args=[*DIRECT_RUNNER, *beam_pipeline_args],
    )


# One worker in process: quickest on one machine's data. A later argument of the same name wins.
DIRECT_RUNNER = (f"--runner={LOCAL_RUNNER}", "--direct_running_mode=in_memory", "--direct_num_workers=1")


def _chosen_gates(gates: Sequence[Gate], without: Collection[str]) -> list[Gate]:
    names = [gate.name for gate in gates]
    _check_differ("gate", names)
    for name in RESERVED:
        if name in names:
            raise UsageError(f"a gate must not be named {name!r}: the release decision uses that name itself")
    for name in without:
        if name not in (*names, RELEASE):
            raise unknown("gate", name, (*names, RELEASE))
    return [gate for gate in gates if gate.name not in without]


def _check_differ(kind: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{kind} names must differ: {', '.join(twice)}")


def _trainer(make: Callable[..., BaseComponent], raw: BaseChannel, **arguments: Any) -> BaseComponent:
    """The trainer's component; its own code counts as the user's does, if it is not TFX's."""
    if "canary_examples" in inspect.signature(make).parameters:
        arguments["canary_examples"] = raw
    made = make(**arguments)
    if "model" not in made.outputs:
        raise UsageError(
            f"the trainer {type(made).__name__} has no output 'model', which all other nodes are to read; "
            f"its outputs: {', '.join(made.outputs) or 'none'}"
        )
    _rerun_when_edited(made, made.exec_properties.get("run_fn"))
    if not made.executor_spec.class_path.startswith("tfx."):
        _rerun_when_edited(made, made.executor_spec.class_path)
    return made


def _filtered(
    filters: Sequence[Filter], examples: BaseChannel, schema: BaseChannel
) -> tuple[list[BaseComponent], BaseChannel]:
    """The components of all filters, and what comes out of the last."""
    return _chained("filter", filters, "examples", examples, schema)


def _altered(
    steps: Sequence[ModelStep], model: BaseChannel, examples: BaseChannel, schema: BaseChannel
) -> tuple[list[BaseComponent], BaseChannel]:
    """The components of all model steps, and what comes out of the last."""
    return _chained("model step", steps, "model", model, examples, schema)


def _chained(
    kind: str, steps: Sequence[Filter | ModelStep], output: str, given: BaseChannel, *others: BaseChannel
) -> tuple[list[BaseComponent], BaseChannel]:
    """The components of steps, each of which reads what the one before it gave; and what the last gives."""
    _check_differ(kind, [step.name for step in steps])
    made: list[BaseComponent] = []
    for step in steps:
        components = list(step.build(given, *others))
        if not components:
            raise UsageError(
                f"{kind} {step.name!r} builds no component; one that has nothing to do is left out"
            )
        last = components[-1]
        if output not in last.outputs:
            raise UsageError(
                f"{kind} {step.name!r}: {type(last).__name__} comes last and has no output {output!r}, "
                f"which all other nodes are to read; its outputs: {', '.join(last.outputs) or 'none'}"
            )
        for component in components:
            _rerun_when_edited(component, component.executor_spec.class_path)
        given = last.outputs[output]
        made += components
    return made, given


def _pushed(
    steps: Sequence[PushStep],
    pushed: BaseChannel,
    reports: Mapping[str, BaseChannel],
    gates: Sequence[Gate],
) -> list[BaseComponent]:
    """The components of all steps after Pusher whose gates are there."""
    _check_differ("push step", [step.name for step in steps])
    made: list[BaseComponent] = []
    for step in steps:
        for name in step.needs:
            if name not in [gate.name for gate in gates]:
                raise unknown(
                    f"gate that push step {step.name!r} needs:", name, [gate.name for gate in gates]
                )
        if not all(name in reports for name in step.needs):
            continue
        components = list(step.build(pushed, reports))
        for component in components:
            _rerun_when_edited(component, component.executor_spec.class_path)
        made += components
    return made


def _snapshots(names: Collection[str], nodes: Mapping[str, BaseComponent]) -> dict[str, BaseComponent]:
    """Snapshots of the outputs of some nodes, by the id of the node."""
    able = [name for name, node in nodes.items() if not isinstance(node, Resolver)]
    for name in names:
        if name not in able:
            raise unknown("node to be tracked", name, able)
    return {nodes[name].id: snapshot_of(nodes[name]) for name in names}


def _with_snapshots(components: Sequence[Any], snapshots: Mapping[str, BaseComponent]) -> list[Any]:
    """The components with each snapshot behind what it is of, and before all that read that."""
    placed: list[Any] = []
    for component in components:
        read = {
            node for channel in component.inputs.values() for node in channel.get_data_dependent_node_ids()
        }
        for node in sorted(read & set(snapshots)):
            component.add_upstream_node(snapshots[node])
        placed += [component, *([snapshots[component.id]] if component.id in snapshots else [])]
    return placed


def _policy(
    policy: ReleasePolicy | Mapping[str, Any] | None, without: Collection[str], chosen: Sequence[Gate]
) -> ReleasePolicy:
    given = ReleasePolicy.of(policy)
    required = [gate.name for gate in chosen] if given.required is None else given.required
    return given.model_copy(
        update={"required": required, "waived": sorted({*given.waived, *without})},
    )


def _report_of(name: str, component: BaseComponent) -> BaseChannel:
    reports = [output for output in component.outputs.values() if issubclass(output.type, TrustReport)]
    if len(reports) != 1:
        raise UsageError(
            f"gate {name!r}: {type(component).__name__} has {len(reports)} outputs of type TrustReport; "
            "exactly one is needed for the release gate to weigh"
        )
    return reports[0]


def _user_code(parameter: str, function: UserFunction) -> dict[str, str]:
    if isinstance(function, str) and function.endswith(".py"):
        if not fileio.exists(function):
            raise InputError(f"{function}: no such file; {parameter} is to be found there")
        return {"module_file": function}
    return {parameter: dotted_path(function)}


def _rerun_when_edited(component: BaseComponent, dotted: str | None) -> None:
    """Makes TFX's cache depend on the code that the component runs, and not on its name alone.

    Flags of an executor specification are part of the cache key; executors ignore those they do
    not know. A ``module_file`` needs none: TFX looks into it by itself.
    """
    if dotted:
        component.executor_spec.add_extra_flags([f"--source_digest={source_digest(dotted)}"])
