"""The standard pipeline, with the trust gates slotted in and one release decision at its end."""

from __future__ import annotations

import csv
import hashlib
import inspect
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorflow_model_analysis.proto import config_pb2
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.io import fileio
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import example_gen_pb2, pusher_pb2, trainer_pb2, transform_pb2
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.v1 import components as standard

from tfx_trust.components.artifacts import TrustReport
from tfx_trust.components.errors import InputError, UsageError, unknown
from tfx_trust.components.release.baseline import LatestReleasedModelStrategy
from tfx_trust.components.release.component import ReleaseGate
from tfx_trust.components.release.config import ReleasePolicy
from tfx_trust.components.standard import parse_schema
from tfx_trust.pipelines.beam import LOCAL_RUNNER
from tfx_trust.pipelines.source import UserFunction, dotted_path, source_digest

RELEASE = "release"
RESERVED = (RELEASE, "evaluation", "anomalies")
SPLITS = ("train", "eval")


@dataclass(frozen=True)
class Nodes:
    """The standard nodes, as far as a gate can be wired to them.

    Attributes
    ----------
    examples
        What all nodes, and so a gate, read: the examples of `example_gen`, or what the last filter made
        of them.
    model
        What is to be released, and so what a gate judges: the model of `trainer`, or what the last model
        step made of it.
    """

    examples: BaseChannel
    example_gen: BaseComponent
    statistics_gen: BaseComponent
    schema_gen: BaseComponent
    example_validator: BaseComponent
    transform: BaseComponent
    trainer: BaseComponent
    resolver: Resolver
    evaluator: BaseComponent
    model: BaseChannel


@dataclass(frozen=True)
class Gate:
    """A gate of the pipeline: a name, and how its component is wired.

    Attributes
    ----------
    name
        Short name, as the policy, ``without`` and the page use it: letters, digits, underscores.
    build
        Makes the component from the standard nodes. Exactly one of its outputs must be a report:
        an artifact of type TrustReport or a subclass of it.

    Examples
    --------
    >>> Gate("latency", lambda nodes: LatencyGate(model=nodes.model))  # doctest: +SKIP
    """

    name: str
    build: Callable[[Nodes], BaseComponent]


@dataclass(frozen=True)
class Filter:
    """A step between ExampleGen and everything else that reads examples.

    Attributes
    ----------
    name
        Short name, for messages.
    build
        Makes the components of the step, in order, from the channels of the examples and the schema. The
        last one must have an output ``examples``, which all other nodes then read.

    Examples
    --------
    >>> Filter("adults", lambda examples, schema: [AdultFilter(examples=examples)])  # doctest: +SKIP
    """

    name: str
    build: Callable[[BaseChannel, BaseChannel], Sequence[BaseComponent]]


@dataclass(frozen=True)
class ModelStep:
    """A step between Trainer and everything else that reads the model.

    Attributes
    ----------
    name
        Short name, for messages.
    build
        Makes the components of the step, in order, from the channels of the model, the examples and the
        schema. The last one must have an output ``model``, which all other nodes then read.

    Examples
    --------
    >>> ModelStep(                                                           # doctest: +SKIP
    ...     "thresholds",
    ...     lambda model, examples, schema: [ThresholdTuner(examples=examples, model=model, settings=...)],
    ... )
    """

    name: str
    build: Callable[[BaseChannel, BaseChannel, BaseChannel], Sequence[BaseComponent]]


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
    policy: ReleasePolicy | Mapping[str, Any] | None = None,
    without: Collection[str] = (),
    custom_config: Mapping[str, Any] | None = None,
    train_steps: int | None = None,
    eval_steps: int | None = None,
    serving: str | None = None,
    metadata_connection: Any = None,
    enable_cache: bool = True,
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
        If a gate or function is unknown, a gate writes no report, a filter gives no examples, a trainer or
        model step no model, or two of a kind have one name.
    """
    root, schema = os.fspath(root), os.fspath(schema)
    chosen = _chosen_gates(gates, without)
    label = _raw_label(evaluation)
    schema_file = _by_content(_checked_schema(schema, label), root)
    example_gen = data if isinstance(data, BaseComponent) else _example_gen(os.fspath(data), label)
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
    standing = [node for node in vars(nodes).values() if not isinstance(node, BaseChannel)]
    components: list[Any] = [*filtering, *standing, *altering]
    blessing = evaluator.outputs["blessing"]
    if RELEASE not in without:
        built = {gate.name: gate.build(nodes) for gate in chosen}
        release = ReleaseGate(
            model=model,
            evaluator_blessing=evaluator.outputs["blessing"],
            reports={gate: _report_of(gate, component) for gate, component in built.items()},
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
    components.append(
        standard.Pusher(
            model=model,
            model_blessing=blessing,
            push_destination=pusher_pb2.PushDestination(
                filesystem=pusher_pb2.PushDestination.Filesystem(
                    base_directory=serving or os.path.join(root, "serving")
                )
            ),
        )
    )
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


def _example_gen(folder: str, label: str) -> BaseComponent:
    for split in SPLITS:
        _check_split(folder, split, label)
    splits = [example_gen_pb2.Input.Split(name=split, pattern=f"{split}/*.csv") for split in SPLITS]
    return standard.CsvExampleGen(input_base=folder, input_config=example_gen_pb2.Input(splits=splits))


def _raw_label(evaluation: config_pb2.EvalConfig) -> str:
    """The label as the raw examples have it; empty where the Evaluator makes it by preprocessing."""
    if not evaluation.model_specs:
        raise UsageError("the EvalConfig has no model_specs; eval_config(label, ...) makes one that fits")
    spec = evaluation.model_specs[0]
    return "" if spec.preprocessing_function_names else spec.label_key


def _check_split(folder: str, split: str, label: str) -> None:
    if not fileio.isdir(folder):
        raise InputError(f"{folder}: no such folder; it should hold train/*.csv and eval/*.csv")
    files = fileio.glob(os.path.join(folder, split, "*.csv"))
    if not files:
        raise InputError(f"{folder}: no {split}/*.csv; the {split} split is read from there")
    examples = False
    for path in files:
        with fileio.open(path, "rb") as file:
            header, first = (_decoded(file.readline(), path) for _ in range(2))
        examples = examples or bool(first.strip())
        if not header.strip():
            raise InputError(f"{path}: the file is empty; it should have a header and examples")
        columns = next(csv.reader([header]))
        if header.startswith("\ufeff"):
            raise InputError(
                f"{path}: begins with a byte order mark, which TFX takes for part of a name; save without"
            )
        if label and label not in columns:
            separator = "; TFX reads commas between columns" if len(columns) == 1 else ""
            raise InputError(
                f"{path}: no column {label!r}, the label; its header has {', '.join(columns)}{separator}"
            )
    if not examples:
        raise InputError(f"{files[0]}: a header but no example, and so is all of the {split} split")


def _decoded(line: bytes, path: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); convert it") from None


def _checked_schema(path: str, label: str) -> str:
    """The text of the schema file."""
    if not fileio.exists(path):
        raise InputError(f"{path}: no such schema file")
    with fileio.open(path, "r") as file:
        text = str(file.read())
    names = [feature.name for feature in parse_schema(text, path).feature]
    if label and label not in names:
        raise InputError(f"{path}: no feature {label!r}, the label; it has {', '.join(names)}")
    return text


def _by_content(text: str, root: str) -> str:
    """A copy of the schema under a name made of its content.

    ImportSchemaGen is served from the cache as long as the path is the same, whatever is in the file.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = os.path.join(root, "schema", digest[:16], "schema.pbtxt")
    if not fileio.exists(path):
        fileio.makedirs(os.path.dirname(path))
        with fileio.open(path, "w") as file:
            file.write(text)
    return path
