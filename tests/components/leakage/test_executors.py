"""LeakageValidator and LeakageFilter on artifacts: what they read, write and refuse."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from leaky import example, write_records, write_rows
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2, transform_pb2
from tfx.types import standard_artifacts
from tfx.types.channel_utils import as_channel
from tfx.v1.components import Transform

from tfx_trust.components import InputError, LeakageFilter, LeakageReport, LeakageValidator, UsageError
from tfx_trust.components.leakage import preprocessing, splits
from tfx_trust.components.leakage.config import LeakageSettings
from tfx_trust.components.leakage.report import Preprocessing

Rows = Sequence[dict[str, Any]]
SCHEMA = """
default_environment: "TRAINING" default_environment: "SERVING"
feature { name: "a" type: INT } feature { name: "who" type: BYTES } feature { name: "label" type: INT }
feature { name: "late" type: FLOAT not_in_environment: "SERVING" }
"""


def people(numbers: Sequence[int]) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    coins = random.integers(0, 2, 10_000)
    return [{"a": n, "who": f"p{n // 4}", "label": int(coins[n])} for n in numbers]


def artifact_of(folder: Path, rows: dict[str, Rows], *, ending: str = ".gz") -> Any:
    made = standard_artifacts.Examples()
    made.uri = str(folder)
    made.split_names = json.dumps(list(rows))
    examples_utils.set_payload_format(made, example_gen_pb2.FORMAT_TF_EXAMPLE)
    for split, content in rows.items():
        for part in (0, 1):
            name = f"data_tfrecord-0000{part}-of-00002{ending}"
            write_rows(folder / f"Split-{split}" / name, content[part::2])
    return made


def run(component: Any, folder: Path) -> dict[str, Any]:
    inputs = {key: list(channel.get()) for key, channel in component.inputs.items()}
    outputs = {key: [channel.type()] for key, channel in component.outputs.items()}
    for key, (made,) in outputs.items():
        made.uri = str(folder / key)
    component.executor_spec.executor_class().Do(inputs, outputs, component.exec_properties)
    return {key: made for key, (made,) in outputs.items()}


def validated(examples: Any, folder: Path, **settings: Any) -> tuple[LeakageReport, Any]:
    component = LeakageValidator(
        examples=as_channel([examples]), settings={"label": "label", "targets": False, **settings}
    )
    made = run(component, folder)["leakage_report"]
    return LeakageReport.load(made.uri), made


def records_of(artifact: Any, split: str) -> list[bytes]:
    files = sorted((Path(artifact.uri) / f"Split-{split}").iterdir())
    return [
        record
        for path in files
        for record in tf.data.TFRecordDataset(
            str(path), "GZIP" if path.suffix == ".gz" else ""
        ).as_numpy_iterator()
    ]


def filtered(examples: Any, report: Any, folder: Path, **settings: Any) -> Any:
    component = LeakageFilter(
        examples=as_channel([examples]), leakage_report=as_channel([report]), settings=settings
    )
    return run(component, folder)["examples"]


@pytest.fixture
def leaky(tmp_path: Path) -> Any:
    """120 train rows and 60 eval rows, of which 20 are in train; a third split beside them."""
    rows = {"train": people(range(120)), "eval": people(range(100, 160)), "holdout": people(range(500, 510))}
    return artifact_of(tmp_path / "examples", rows)


def test_the_filter_drops_leaked_rows_from_train_and_leaves_the_rest_byte_for_byte(
    leaky: Any, tmp_path: Path
) -> None:
    report, made = validated(leaky, tmp_path)
    assert report.leakage.overlap[0].eval_in_train == 20
    clean = filtered(leaky, made, tmp_path / "out")
    gone = {
        record
        for record in records_of(leaky, "train")
        if tf.train.Example.FromString(record).features.feature["a"].int64_list.value[0] >= 100
    }
    assert records_of(clean, "train") == [
        record for record in records_of(leaky, "train") if record not in gone
    ]
    assert len(gone) == 20
    for split in ("eval", "holdout"):
        assert records_of(clean, split) == records_of(leaky, split)
    assert clean.split_names == leaky.split_names
    assert examples_utils.get_payload_format(clean) == example_gen_pb2.FORMAT_TF_EXAMPLE
    counts = {
        name: clean.get_int_custom_property(name)
        for name in (
            "train_examples_before",
            "train_examples_after",
            "eval_examples_after",
            "holdout_examples_after",
        )
    }
    assert counts == {
        "train_examples_before": 120,
        "train_examples_after": 100,
        "eval_examples_after": 60,
        "holdout_examples_after": 10,
    }
    again, _ = validated(clean, tmp_path / "again")
    assert {item.eval_in_train for item in again.leakage.overlap} == {0}


def test_the_filter_can_drop_from_eval(leaky: Any, tmp_path: Path) -> None:
    _, made = validated(leaky, tmp_path)
    clean = filtered(leaky, made, tmp_path / "out", drop_from="eval")
    assert len(records_of(clean, "train")) == 120
    assert len(records_of(clean, "eval")) == 40


def test_entities_on_both_sides_are_dropped(tmp_path: Path) -> None:
    source = artifact_of(
        tmp_path / "examples", {"train": people(range(0, 101)), "eval": people(range(101, 160))}
    )
    report, made = validated(source, tmp_path, groups=["who"])
    assert report.leakage.entities[0].entities_in_both == 1
    clean = filtered(source, made, tmp_path / "out")
    again, _ = validated(clean, tmp_path / "again", groups=["who"])
    assert again.leakage.entities[0].entities_in_both == 0
    assert again.leakage.examples == {"train": 100, "eval": 59}


def test_entities_on_both_sides_are_moved_whole_to_one_and_nothing_is_lost(tmp_path: Path) -> None:
    train, evaluation = people(range(0, 400, 2)), people(range(1, 400, 2))
    source = artifact_of(tmp_path / "examples", {"train": train, "eval": evaluation})
    _, made = validated(source, tmp_path, groups=["who"])
    clean = filtered(source, made, tmp_path / "out", entities="move", eval_fraction=0.4)
    again, _ = validated(clean, tmp_path / "again", groups=["who"])
    assert again.leakage.entities[0].entities_in_both == 0
    both = [records_of(clean, split) for split in ("train", "eval")]
    assert sorted(both[0] + both[1]) == sorted(records_of(source, "train") + records_of(source, "eval"))
    assert 0.25 < len(both[1]) / 400 < 0.55
    backwards = artifact_of(tmp_path / "reversed", {"train": train[::-1], "eval": evaluation[::-1]})
    _, other = validated(backwards, tmp_path / "other", groups=["who"])
    same = filtered(backwards, other, tmp_path / "same", entities="move", eval_fraction=0.4)
    assert sorted(records_of(same, "eval")) == sorted(both[1]), "where an entity goes depends on it alone"


def test_the_filter_refuses_a_report_about_other_examples(leaky: Any, tmp_path: Path) -> None:
    _, made = validated(leaky, tmp_path)
    other = artifact_of(tmp_path / "other", {"train": people([1, 2]), "eval": people([3, 4])})
    with pytest.raises(InputError, match="the leakage report is about .*/examples, not about .*/other"):
        filtered(other, made, tmp_path / "out")


def test_the_filter_refuses_to_leave_a_split_empty(tmp_path: Path) -> None:
    source = artifact_of(tmp_path / "examples", {"train": people(range(40)), "eval": people(range(60))})
    _, made = validated(source, tmp_path)
    with pytest.raises(InputError, match="nothing would be left of the train split: all 40 examples"):
        filtered(source, made, tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"keys": ["featurs"]}, "did you mean 'features'"),
        ({"groups": ["whom"]}, "unknown group feature 'whom'"),
    ],
)
def test_the_filter_refuses_what_the_report_does_not_know(
    leaky: Any, tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    _, made = validated(leaky, tmp_path)
    with pytest.raises(UsageError, match=said):
        filtered(leaky, made, tmp_path / "out", **settings)


def test_a_missing_or_empty_split_fails(tmp_path: Path) -> None:
    source = artifact_of(tmp_path / "a", {"train": people(range(10))})
    report, _ = validated(source, tmp_path / "1")
    assert str(report.verdict) == "fail"
    assert "There is no eval split" in report.findings[0].message
    source = artifact_of(tmp_path / "b", {"train": people(range(10)), "eval": []})
    report, _ = validated(source, tmp_path / "2")
    assert "The eval split has no examples" in report.findings[0].message


def test_the_same_file_behind_two_splits_fails(tmp_path: Path) -> None:
    rows = people(range(60))
    source = artifact_of(tmp_path / "a", {"train": rows, "eval": rows})
    first, second = (tmp_path / "a" / f"Split-{split}" for split in ("train", "eval"))
    for path in first.iterdir():
        (second / path.name).write_bytes(path.read_bytes())
    report, _ = validated(source, tmp_path / "1")
    shared = next(item for item in report.findings if item.check == splits.SHARED)
    assert str(shared.severity) == "fail"
    assert "2 files of the eval split" in shared.message


def schema_artifact(folder: Path) -> Any:
    made = standard_artifacts.Schema()
    made.uri = str(folder)
    folder.mkdir()
    (folder / "schema.pbtxt").write_text(SCHEMA)
    return made


def test_a_feature_of_another_type_than_the_schema_says_is_named_with_its_record(tmp_path: Path) -> None:
    source = artifact_of(tmp_path / "a", {"train": people(range(10)), "eval": people(range(20, 30))})
    write_records(
        tmp_path / "a" / "Split-eval" / "data_tfrecord-00000-of-00002.gz",
        [example({"a": 1, "who": "x", "label": 0}), example({"a": 1.5, "who": "x", "label": 0})],
    )
    component = LeakageValidator(
        examples=as_channel([source]),
        schema=as_channel([schema_artifact(tmp_path / "schema")]),
        settings={"label": "label"},
    )
    with pytest.raises(
        InputError, match=r"Split-eval/.*feature 'a' is real in record 1; integer is expected"
    ):
        run(component, tmp_path / "out")


def test_a_label_absent_in_eval_is_named(tmp_path: Path) -> None:
    unlabelled = [{"a": row["a"], "who": row["who"]} for row in people(range(50, 90))]
    source = artifact_of(tmp_path / "a", {"train": people(range(50)), "eval": unlabelled})
    component = LeakageValidator(
        examples=as_channel([source]),
        schema=as_channel([schema_artifact(tmp_path / "schema")]),
        settings={"label": "label"},
    )
    with pytest.raises(InputError, match="the label 'label' has no value in any of the 40 eval examples"):
        run(component, tmp_path / "out")


def test_a_missing_entity_is_reported_as_not_checked(tmp_path: Path) -> None:
    rows = people(range(50, 90))
    for row in rows[:3]:
        row["who"] = None
    source = artifact_of(tmp_path / "a", {"train": people(range(48)), "eval": rows})
    report, _ = validated(source, tmp_path / "1", groups=["who"])
    (finding,) = (item for item in report.findings if str(item.severity) == "not_run")
    assert "3 eval examples have no who: they were not checked" in finding.message
    assert str(report.verdict) == "not_run"


def test_a_model_that_cannot_be_scored_is_not_passed_over(leaky: Any, tmp_path: Path) -> None:
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "model")
    folder = tmp_path / "model" / "Format-Serving"
    module = tf.Module()
    module.f = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    tf.saved_model.save(module, str(folder), signatures=module.f)
    component = LeakageValidator(
        examples=as_channel([leaky]), model=as_channel([model]), settings={"label": "label", "targets": False}
    )
    report = LeakageReport.load(run(component, tmp_path)["leakage_report"].uri)
    (finding,) = (item for item in report.findings if str(item.severity) == "not_run")
    assert "takes a batch of serialized tf.Examples" in finding.message


def transform(analyze: list[str] | None) -> Any:
    config = (
        None if analyze is None else transform_pb2.SplitsConfig(analyze=analyze, transform=["train", "eval"])
    )
    return Transform(
        examples=as_channel([standard_artifacts.Examples()]),
        schema=as_channel([standard_artifacts.Schema()]),
        preprocessing_fn="some.module.preprocessing_fn",
        splits_config=config,
    )


@pytest.mark.parametrize(("analyze", "told"), [(["train", "eval"], ["train", "eval"]), (None, ["train"])])
def test_the_splits_that_transform_analyses_are_read_from_its_node(
    analyze: list[str] | None, told: list[str]
) -> None:
    component = LeakageValidator(
        examples=as_channel([standard_artifacts.Examples()]),
        transform_graph=transform(analyze).outputs["transform_graph"],
        settings={"label": "label"},
    )
    assert LeakageSettings.of(component.exec_properties["settings"]).analyzed_splits == told


def test_preprocessing_is_judged_by_what_is_known() -> None:
    def judged(analyzed: list[str] | None, absent: list[str]) -> Preprocessing:
        return preprocessing.judged(analyzed, ["eval"], ["a", "late"], absent)

    assert str(judged(["train"], []).verdict) == "pass"
    assert str(judged(["train", "eval"], []).verdict) == "fail"
    assert str(judged(["train"], ["late"]).verdict) == "fail"
    assert str(judged(None, []).verdict) == "not_run"


def test_features_that_are_not_there_at_serving_are_found() -> None:
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    assert preprocessing.absent_at("SERVING", schema, ["a", "late"]) == ["late"]
    assert preprocessing.absent_at("SERVING", schema, ["a", "who"]) == []
