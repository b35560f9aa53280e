"""Metadata stores made by hand, as TFX would make them, with the files of their artifacts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

COMPONENTS = {
    "CsvExampleGen": "tfx.components.example_gen.csv_example_gen.component.CsvExampleGen",
    "ImportExampleGen": "tfx.components.example_gen.import_example_gen.component.ImportExampleGen",
    "BigQueryExampleGen": ("tfx.extensions.google_cloud_big_query.example_gen.component.BigQueryExampleGen"),
    "StatisticsGen": "tfx.components.statistics_gen.component.StatisticsGen",
    "SchemaGen": "tfx.components.schema_gen.component.SchemaGen",
    "ImportSchemaGen": "tfx.components.schema_gen.import_schema_gen.component.ImportSchemaGen",
    "Transform": "tfx.components.transform.component.Transform",
    "Trainer": "tfx.components.trainer.component.Trainer",
    "Evaluator": "tfx.components.evaluator.component.Evaluator",
    "Pusher": "tfx.components.pusher.component.Pusher",
    "Importer": "tfx.dsl.components.common.importer.Importer",
    "Resolver": "tfx.dsl.components.common.resolver.Resolver",
}
"""Full names of TFX's components, by their short ones."""
CONTENTS = {
    "Examples": ["Split-train/data_tfrecord-00000-of-00001.gz", "Split-eval/data_tfrecord-00000-of-00001.gz"],
    "ExampleStatistics": ["Split-train/FeatureStats.pb", "Split-eval/FeatureStats.pb"],
    "Schema": ["schema.pbtxt"],
    "TransformGraph": ["transform_fn/saved_model.pb", "metadata/schema.pbtxt"],
    "Model": [
        "Format-Serving/saved_model.pb",
        "Format-Serving/variables/variables.index",
        "Format-Serving/variables/variables.data-00000-of-00001",
    ],
    "PushedModel": ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"],
    "ModelEvaluation": ["metrics-00000-of-00001.tfrecord", "eval_config.json"],
    "ModelBlessing": ["BLESSED"],
}
"""Files of each type's folder; one of the name ``data`` of other types."""
SPLITS = {"split_names": '["train", "eval"]'}
_TYPE_PROPERTIES = {"split_names": pb.STRING}


@dataclass(frozen=True)
class Made:
    """An execution and what it made, or was served."""

    execution: int
    outputs: dict[str, list[int]]

    def __getitem__(self, key: str) -> int:
        """Id of the only artifact of an output."""
        (number,) = self.outputs[key]
        return number


class Builder:
    """Writes a store into ``<folder>/metadata.db``, and the artifacts' files below ``<folder>/artifacts``.

    Ids count from 1, for artifacts and executions each, in the order of the calls.
    """

    def __init__(self, folder: str | Path, pipeline: str = "taxi", *, files: bool = True) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = str(self.folder / "metadata.db")
        self.pipeline = pipeline
        self.files = files
        self.serving = self.folder / "serving"
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = self.path
        config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self.store = metadata_store.MetadataStore(config)
        self._run: str | None = None
        self._types: dict[tuple[str, str], int] = {}
        self._contexts: dict[tuple[str, str], int] = {}
        self._bulk = False
        self._artifacts: list[pb.Artifact] = []
        self._executions: list[pb.Execution] = []
        self._events: list[pb.Event] = []
        self._associations: list[tuple[int, tuple[str, str]]] = []
        self._last = {"artifact": 0, "execution": 0}
        self._uris: dict[int, str] = {}

    def run(self, name: str) -> "Builder":
        """Begins a pipeline run; what follows an empty name belongs to none."""
        self._run = name or None
        return self

    def execute(
        self,
        node: str,
        kind: str = "",
        *,
        inputs: Mapping[str, Sequence[int]] | None = None,
        outputs: Mapping[str, Sequence[tuple[Any, ...] | int]] | None = None,
        state: str = "COMPLETE",
        parameters: Mapping[str, Any] | None = None,
    ) -> Made:
        """An execution that made something.

        `kind` is a component's full name, or a short one of `COMPONENTS`; that of the node if not given. Each
        output is a type of artifact, optionally followed by its URI (relative ones lie in the artifacts'
        folder) and its properties; or the id of an artifact that is there already.
        """
        number = self._execution(node, kind or node, inputs or {}, state, parameters or {})
        made: dict[str, list[int]] = {}
        for key, items in (outputs or {}).items():
            for index, item in enumerate(items):
                artifact = item if isinstance(item, int) else self._output(number, node, key, index, *item)
                made.setdefault(key, []).append(artifact)
                self._event(number, artifact, pb.Event.OUTPUT, key, index)
        self._flush()
        return Made(number, made)

    def _output(
        self,
        execution: int,
        node: str,
        key: str,
        index: int,
        kind: str,
        uri: str = "",
        properties: Mapping[str, Any] | None = None,
    ) -> int:
        place = f"{node}/{key}/{execution}" + (f"/{index}" if index else "")
        return self.artifact(kind, uri or place, properties)

    def cached(
        self,
        node: str,
        kind: str = "",
        *,
        inputs: Mapping[str, Sequence[int]] | None = None,
        outputs: Mapping[str, Sequence[int]] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Made:
        """An execution that was served outputs of an earlier one."""
        number = self._execution(node, kind or node, inputs or {}, "CACHED", parameters or {})
        served = {key: list(items) for key, items in (outputs or {}).items()}
        for key, items in served.items():
            for index, artifact in enumerate(items):
                self._event(number, artifact, pb.Event.OUTPUT, key, index)
        self._flush()
        return Made(number, served)

    def again(
        self, node: str, made: Made, inputs: Mapping[str, Sequence[int]] | None = None, **more: Any
    ) -> Made:
        """An execution that was served what another made."""
        return self.cached(node, inputs=inputs, outputs=made.outputs, **more)

    def resolver(self, node: str, selected: Mapping[str, Sequence[int]]) -> Made:
        """A resolver that chose some artifacts."""
        number = self._execution(node, "Resolver", {}, "COMPLETE", {})
        for key, items in selected.items():
            for index, artifact in enumerate(items):
                self._event(number, artifact, pb.Event.INTERNAL_OUTPUT, key, index)
        self._flush()
        return Made(number, {key: list(items) for key, items in selected.items()})

    def artifact(
        self, kind: str, uri: str, properties: Mapping[str, Any] | None = None, *, state: str = "LIVE"
    ) -> int:
        """An artifact that nothing made."""
        if "://" not in uri and not uri.startswith("/"):
            uri = str(self.folder / "artifacts" / uri)
        item = pb.Artifact(
            type_id=self._type("artifact", kind), uri=uri, state=pb.Artifact.State.Value(state)
        )
        values = dict(properties or {})
        if kind in ("Examples", "ExampleStatistics"):
            values = SPLITS | values
        for name, value in values.items():
            held = item.properties if name in _TYPE_PROPERTIES and kind != "Model" else item.custom_properties
            _put(held[name], value)
        self._artifacts.append(item)
        number = self._next("artifact")
        self._uris[number] = uri
        if self.files and uri.startswith("/"):
            self.write(uri, {name: f"{name} of {kind} {number}\n".encode() for name in _contents(kind)})
        if not self._bulk:
            self._flush()
        return number

    def uri(self, artifact: int) -> str:
        """Where an artifact lies."""
        return self._uris[artifact]

    def write(self, folder: str | Path, files: Mapping[str, bytes]) -> None:
        """Writes files below a folder; a relative one lies in that of the store."""
        for name, content in files.items():
            path = self.folder / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """Within it, everything is written at the end, and quickly."""
        self._bulk = True
        yield
        self._bulk = False
        self._flush()

    def push(self, node: str, model: int, version: int, **more: Any) -> Made:
        """Pushes a model: a copy of its ``Format-Serving`` lies in ``<folder>/serving/<version>``."""
        place = self.serving / str(version)
        if self.files:
            serving = Path(self.uri(model)) / "Format-Serving"
            for path in sorted(serving.rglob("*")):
                if path.is_file():
                    self.write(place, {str(path.relative_to(serving)): path.read_bytes()})
        told = {"pushed": 1, "pushed_destination": str(place), "pushed_version": str(version)}
        return self.execute(
            node,
            "Pusher",
            inputs={"model": [model]},
            outputs={"pushed_model": [("PushedModel", "", told)]},
            **more,
        )

    def _next(self, kind: str) -> int:
        self._last[kind] += 1
        return self._last[kind]

    def _type(self, of: str, name: str) -> int:
        if (of, name) not in self._types:
            if of == "artifact":
                made = pb.ArtifactType(name=name)
                if name in ("Examples", "ExampleStatistics"):
                    made.properties.update(_TYPE_PROPERTIES)
                base = {"Examples": "DATASET", "Model": "MODEL", "PushedModel": "MODEL"}.get(name)
                if base:
                    made.base_type = pb.ArtifactType.SystemDefinedBaseType.Value(base)
                number = self.store.put_artifact_type(made)
            elif of == "execution":
                number = self.store.put_execution_type(pb.ExecutionType(name=name))
            else:
                number = self.store.put_context_type(pb.ContextType(name=name))
            self._types[of, name] = number
        return self._types[of, name]

    def _make_contexts(self) -> None:
        names = dict.fromkeys(context for _, context in self._associations)
        new = [name for name in names if name not in self._contexts]
        if new:
            made = [pb.Context(type_id=self._type("context", kind), name=name) for kind, name in new]
            self._contexts.update(zip(new, self.store.put_contexts(made)))

    def _execution(
        self,
        node: str,
        kind: str,
        inputs: Mapping[str, Sequence[int]],
        state: str,
        parameters: Mapping[str, Any],
    ) -> int:
        made = pb.Execution(
            type_id=self._type("execution", COMPONENTS.get(kind, kind)),
            last_known_state=pb.Execution.State.Value(state),
        )
        for name, value in parameters.items():
            _put(made.custom_properties[name], value)
        self._executions.append(made)
        number = self._next("execution")
        for key, items in inputs.items():
            for index, artifact in enumerate(items):
                self._event(number, artifact, pb.Event.INPUT, key, index)
        if self._run is not None:
            names = {"pipeline": self.pipeline, "pipeline_run": self._run, "node": f"{self.pipeline}.{node}"}
            self._associations += [(number, pair) for pair in names.items()]
        return number

    def _event(self, execution: int, artifact: int, kind: Any, key: str, index: int) -> None:
        event = pb.Event(execution_id=execution, artifact_id=artifact, type=kind)
        event.path.steps.add().key = key
        event.path.steps.add().index = index
        self._events.append(event)

    def _flush(self) -> None:
        if self._bulk:
            return
        artifacts, executions = [], []
        if self._artifacts:
            artifacts = self.store.put_artifacts(self._artifacts)
        if self._executions:
            executions = self.store.put_executions(self._executions)
        if self._events:
            self.store.put_events(self._events)
        if self._associations:
            self._make_contexts()
            made = [
                pb.Association(execution_id=number, context_id=self._contexts[name])
                for number, name in self._associations
            ]
            self.store.put_attributions_and_associations([], made)
        for kind, numbers in (("artifact", artifacts), ("execution", executions)):
            assert not numbers or numbers[-1] == self._last[kind], f"ids of {kind}s are not as foreseen"
        self._artifacts, self._executions, self._events, self._associations = [], [], [], []


def _contents(kind: str) -> list[str]:
    return CONTENTS.get(kind, ["data"])


def _put(held: Any, value: Any) -> None:
    if isinstance(value, bool):
        held.bool_value = value
    elif isinstance(value, int):
        held.int_value = value
    elif isinstance(value, float):
        held.double_value = value
    else:
        held.string_value = value


def input_config(**patterns: str) -> str:
    """The parameter of an ExampleGen that holds patterns, or queries, by split."""
    return json.dumps({"splits": [{"name": name, "pattern": pattern} for name, pattern in patterns.items()]})


# Stores that are ready


@dataclass(frozen=True)
class Runs:
    """A store of a taxi-like pipeline."""

    path: str
    folder: Path
    data: Path
    """The CSV folder."""
    builder: Builder
    models: list[int]
    """One a run, oldest first."""
    upstream: dict[int, tuple[set[int], set[int]]]
    """By model: ids of exactly the artifacts and the executions that it came from, with itself."""
    pushed: list[int] = field(default_factory=list)


def four_runs(folder: str | Path) -> Runs:
    """Four runs with a parameter of the trainer changed in each: all before it is cached in three of them."""
    return many_runs(folder, 4, files=True)


def many_runs(folder: str | Path, runs: int = 1000, *, files: bool = False) -> Runs:
    """As `four_runs`, with any number of runs, and no files unless asked for."""
    builder = Builder(folder, files=files)
    with builder.bulk():
        return _runs(builder, runs=runs)


def _runs(builder: Builder, *, runs: int) -> Runs:
    data = builder.folder / "data"
    builder.write(data, {"train.csv": b"fare,tips\n10,1\n20,3\n", "eval.csv": b"fare,tips\n15,2\n"})
    models: list[int] = []
    pushed: list[int] = []
    upstream: dict[int, tuple[set[int], set[int]]] = {}
    first: dict[str, Made] = {}

    def node(name: str, inputs: dict[str, list[int]], **more: Any) -> Made:
        if name in first:
            return builder.again(name, first[name], inputs, parameters=more.get("parameters"))
        first[name] = builder.execute(name, inputs=inputs, **more)
        return first[name]

    for number in range(1, runs + 1):
        builder.run(f"run-{number}")
        gen = node(
            "CsvExampleGen",
            {},
            outputs={"examples": [("Examples", "", {"span": 0})]},
            parameters={
                "input_base": str(data),
                "input_config": input_config(train="train.csv", eval="eval.csv"),
                "span": 0,
            },
        )
        examples = gen.outputs["examples"]
        statistics = node(
            "StatisticsGen", {"examples": examples}, outputs={"statistics": [("ExampleStatistics",)]}
        )
        schema = node(
            "SchemaGen", {"statistics": statistics.outputs["statistics"]}, outputs={"schema": [("Schema",)]}
        )
        transform = node(
            "Transform",
            {"examples": examples, "schema": schema.outputs["schema"]},
            outputs={"transform_graph": [("TransformGraph",)], "transformed_examples": [("Examples",)]},
            parameters={"preprocessing_fn": "json.dumps"},
        )
        trainer = builder.execute(
            "Trainer",
            inputs={
                "examples": transform.outputs["transformed_examples"],
                "transform_graph": transform.outputs["transform_graph"],
                "schema": schema.outputs["schema"],
            },
            outputs={"model": [("Model",)], "model_run": [("ModelRun",)]},
            parameters={
                "run_fn": "json.dumps",
                "train_args": json.dumps({"num_steps": 100 * number, "splits": ["train"]}),
                "eval_args": json.dumps({"num_steps": 10, "splits": ["eval"]}),
                "custom_config": json.dumps({"seed": number, "learning_rate": 0.1}),
            },
        )
        if models:
            builder.resolver("latest_blessed", {"model": [models[-1]]})
        evaluator = builder.execute(
            "Evaluator",
            inputs={"examples": examples, "model": [trainer["model"]]}
            | ({"baseline_model": [models[-1]]} if models else {}),
            outputs={
                "evaluation": [("ModelEvaluation",)],
                "blessing": [("ModelBlessing", "", {"blessed": 1, "current_model_id": trainer["model"]})],
            },
        )
        assert evaluator.execution > trainer.execution
        pushed.append(builder.push("Pusher", trainer["model"], number)["pushed_model"])
        made = [first[name] for name in ("CsvExampleGen", "StatisticsGen", "SchemaGen", "Transform")]
        upstream[trainer["model"]] = (
            {item for one in made for items in one.outputs.values() for item in items} | {trainer["model"]},
            {one.execution for one in made} | {trainer.execution},
        )
        models.append(trainer["model"])
    return Runs(builder.path, builder.folder, data, builder, models, upstream, pushed)


def chain(folder: str | Path, steps: int = 3000) -> Builder:
    """Each of so many steps makes an artifact of the one before; the last has the highest id."""
    builder = Builder(folder, "chain", files=False)
    with builder.bulk():
        builder.run("run-1")
        last = builder.artifact("Examples", "step/0")
        for number in range(1, steps + 1):
            made = builder.execute(
                "Step", "Step", inputs={"input": [last]}, outputs={"output": [("Examples", f"step/{number}")]}
            )
            last = made["output"]
    return builder


def failed_run(folder: str | Path, *, at: str = "Evaluator") -> Runs:
    """A run that failed in ``Evaluator``, with a model, or in ``Trainer``, without one."""
    builder = Builder(folder)
    data = builder.folder / "data"
    builder.write(data, {"taxi.csv": b"fare,tips\n10,1\n20,3\n"})
    builder.run("run-1")
    gen = builder.execute(
        "CsvExampleGen",
        outputs={"examples": [("Examples", "", {"span": 0})]},
        parameters={"input_base": str(data)},
    )
    examples = gen.outputs["examples"]
    if at == "Trainer":
        builder.execute(
            "Trainer", inputs={"examples": examples}, state="FAILED", parameters={"run_fn": "x.run"}
        )
        return Runs(builder.path, builder.folder, data, builder, [], {})
    trainer = builder.execute(
        "Trainer",
        inputs={"examples": examples},
        outputs={"model": [("Model",)]},
        parameters={"run_fn": "json.dumps"},
    )
    builder.execute("Evaluator", inputs={"examples": examples, "model": [trainer["model"]]}, state="FAILED")
    upstream = {trainer["model"]: ({gen["examples"], trainer["model"]}, {gen.execution, trainer.execution})}
    return Runs(builder.path, builder.folder, data, builder, [trainer["model"]], upstream)
