"""What every component keeps to. A new component needs an entry in `MINIMAL`, nothing more."""

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from leaky import write_rows
from models import feature_of, save_model
from records import minimal
from tfx.components.util import examples_utils
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.proto import example_gen_pb2
from tfx.types import artifact, standard_artifacts
from tfx.types.channel_utils import as_channel

import tfx_trust.components
from tfx_trust.components import (
    ArtifactSnapshot,
    FairnessEvaluator,
    LeakageFilter,
    LeakageValidator,
    PrivacyAuditor,
    PrivateTrainer,
    ProvenanceTracker,
    PushValidator,
    ReleaseGate,
    Report,
    Reweigher,
    SourceDeclarer,
    ThresholdTuner,
    TrustReport,
)
from tfx_trust.components.artifacts import LeakageReport as LeakageReportArtifact
from tfx_trust.components.artifacts import ProvenanceRecord
from tfx_trust.components.provenance.writing import write_record

ROOT = Path(tfx_trust.components.__file__).parent
CONCERNS = sorted(path.parent.name for path in ROOT.glob("*/component.py"))
COMPONENTS = [
    member
    for concern in CONCERNS
    for _, member in inspect.getmembers(importlib.import_module(f"tfx_trust.components.{concern}.component"))
    if inspect.isclass(member)
    and issubclass(member, BaseComponent)
    and member.__module__.startswith(f"tfx_trust.components.{concern}.")
]


def channel_of(kind: type[artifact.Artifact], uri: str) -> Any:
    made = kind()
    made.uri = uri
    return as_channel([made])


def examples_in(folder: Path) -> Any:
    made = standard_artifacts.Examples()
    made.uri = str(folder / "examples")
    made.split_names = json.dumps(["train", "eval"])
    examples_utils.set_payload_format(made, example_gen_pb2.FORMAT_TF_EXAMPLE)
    for split, numbers in (("train", range(60)), ("eval", range(50, 90))):
        rows = [{"a": number, "label": number % 2} for number in numbers]
        write_rows(Path(made.uri) / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz", rows)
    return as_channel([made])


def report_in(folder: Path) -> Any:
    validator = LeakageValidator(examples=examples_in(folder), settings={"label": "label"})
    made = LeakageReportArtifact()
    made.uri = str(folder / "report")
    inputs = {key: list(channel.get()) for key, channel in validator.inputs.items()}
    validator.executor_spec.executor_class().Do(inputs, {"leakage_report": [made]}, validator.exec_properties)
    return as_channel([made])


def model_in(folder: Path) -> Any:
    """Scores the examples of `examples_in` by their feature ``a``."""
    uri = folder / "model"
    save_model(
        uri / "Format-Serving",
        lambda examples: {"outputs": tf.cast(feature_of(examples, "a", tf.int64), tf.float32) / 100},
    )
    return channel_of(standard_artifacts.Model, str(uri))


def record_in(folder: Path) -> Any:
    write_record(minimal(), folder / "record")
    return channel_of(ProvenanceRecord, str(folder / "record"))


# The fewest arguments with which each component runs, given a folder to put artifacts in.
MINIMAL: dict[type[BaseComponent], Callable[[Path], dict[str, Any]]] = {
    FairnessEvaluator: lambda folder: {
        "examples": examples_in(folder),
        "model": model_in(folder),
        "settings": {"label": "label", "slices": [["a"]], "max_values": 50},
    },
    LeakageValidator: lambda folder: {"examples": examples_in(folder), "settings": {"label": "label"}},
    LeakageFilter: lambda folder: {"examples": examples_in(folder), "leakage_report": report_in(folder)},
    Reweigher: lambda folder: {
        "examples": examples_in(folder),
        "settings": {"label": "label", "groups": ["a"], "max_values": 100},
    },
    ThresholdTuner: lambda folder: {
        "examples": examples_in(folder),
        "model": model_in(folder),
        "settings": {"label": "label", "groups": ["a"], "max_values": 100},
    },
    PrivacyAuditor: lambda folder: {
        "examples": examples_in(folder),
        "model": model_in(folder),
        "settings": {"label": "label"},
    },
    PrivateTrainer: lambda folder: {
        "examples": examples_in(folder),
        "run_fn": "private_runs.run_fn",
        "privacy": {"noise_multiplier": 1.0, "steps": 3, "batch_size": 20},
    },
    ArtifactSnapshot: lambda folder: {"artifacts": {"examples": examples_in(folder)}},
    ProvenanceTracker: lambda folder: {"model": model_in(folder)},
    PushValidator: lambda folder: {
        "pushed_model": channel_of(standard_artifacts.PushedModel, str(folder / "pushed")),
        "provenance_record": record_in(folder),
    },
    SourceDeclarer: lambda folder: {"declarations": [{"name": "Loans", "covers": ["loans"]}]},
    ReleaseGate: lambda folder: {"model": channel_of(standard_artifacts.Model, str(folder / "model"))},
}


def executor_source(component: type[BaseComponent]) -> str:
    return inspect.getsource(inspect.getmodule(component.EXECUTOR_SPEC.executor_class))


@pytest.fixture(params=COMPONENTS, ids=lambda component: component.__name__)
def component(request: pytest.FixtureRequest) -> type[BaseComponent]:
    return request.param


def test_there_are_components() -> None:
    assert COMPONENTS


def test_it_is_public(component: type[BaseComponent]) -> None:
    assert getattr(tfx_trust.components, component.__name__) is component


def test_every_parameter_and_input_is_read_by_the_executor(component: type[BaseComponent]) -> None:
    strings = {
        node.value
        for node in ast.walk(ast.parse(executor_source(component)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    spec = component.SPEC_CLASS
    assert {*spec.PARAMETERS, *spec.INPUTS, *spec.OUTPUTS} <= strings


def test_its_docstring_describes_each_argument_and_no_other(component: type[BaseComponent]) -> None:
    section = re.search(r"Parameters\n\s*-+\n(.*?)(?:\n\s*\n\s*[A-Z]|\Z)", component.__doc__ or "", re.DOTALL)
    assert section, "no section 'Parameters'"
    indent = re.match(r" *", section[1])[0]  # type: ignore[index]
    heads = [line.strip() for line in section[1].splitlines() if re.match(rf"{indent}\S", line)]
    described = [name.strip() for head in heads for name in head.split(",")]
    signature = inspect.signature(component.__init__).parameters.values()
    assert described == [item.name for item in signature if item.name != "self"]
    assert all(item.kind is inspect.Parameter.KEYWORD_ONLY for item in signature if item.name != "self")


def test_its_graph_side_loads_no_analysis_library(component: type[BaseComponent]) -> None:
    heavy = {"tensorflow_model_analysis", "tensorflow_data_validation", "tensorflow_transform", "altair"}
    code = f"import {component.__module__}, sys; print({heavy!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_it_writes_every_output_even_from_the_fewest_inputs(
    component: type[BaseComponent], tmp_path: Path
) -> None:
    made = component(**MINIMAL[component](tmp_path))
    inputs = {key: list(channel.get()) for key, channel in made.inputs.items()}
    outputs = {}
    for key, channel in made.outputs.items():
        outputs[key] = [channel.type()]
        outputs[key][0].uri = str(tmp_path / key)
    made.executor_spec.executor_class().Do(inputs, outputs, made.exec_properties)
    reports = [item for items in outputs.values() for item in items if isinstance(item, TrustReport)]
    for key in outputs:
        assert any((tmp_path / key).iterdir()), key
    for item in reports:
        report = Report.load(item.uri)
        assert report.component == component.__name__
        assert item.get_string_custom_property("verdict") == str(report.verdict)
        assert (Path(item.uri) / "report.html").exists()


def test_its_folder_has_a_readme(component: type[BaseComponent]) -> None:
    text = (Path(inspect.getfile(component)).parent / "README.md").read_text()
    for name in component.SPEC_CLASS.INPUTS:
        assert name in text
