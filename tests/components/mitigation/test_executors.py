"""ThresholdTuner and Reweigher on artifacts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from leaky import example, write_records
from models import save_scorer
from tfx.components.util import examples_utils
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.proto import example_gen_pb2
from tfx.types import artifact, standard_artifacts
from tfx.types.channel_utils import as_channel

from tfx_trust.components import InputError, MitigationReport, Reweigher, ThresholdTuner, UsageError
from tfx_trust.components.examples import records

Row = dict[str, Any]


def rows_of(seed: int, number: int) -> list[Row]:
    """Women have higher scores than men for the same label."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(number):
        sex, label = str(random.choice(["f", "m"])), int(random.random() < 0.4)
        score = float(np.clip(random.normal(0.35 + 0.25 * label + (0.12 if sex == "f" else 0), 0.15), 0, 1))
        rows.append({"sex": sex, "label": label, "score": score, "importance": float(random.integers(1, 4))})
    return rows


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Row]]:
    return {"train": rows_of(1, 1500), "eval": rows_of(2, 700), "more": rows_of(3, 20)}


def examples_of(folder: Path, splits: dict[str, list[Row]]) -> artifact.Artifact:
    made = standard_artifacts.Examples()
    made.uri = str(folder / "examples")
    made.split_names = json.dumps(list(splits))
    made.span = 7
    examples_utils.set_payload_format(made, example_gen_pb2.FORMAT_TF_EXAMPLE)
    for split, rows in splits.items():
        half = len(rows) // 2
        for number, part in enumerate((rows[:half], rows[half:])):
            path = Path(made.uri) / f"Split-{split}" / f"data_tfrecord-0000{number}-of-00002.gz"
            write_records(path, [example(row) for row in part])
    return made


def model_of(folder: Path) -> artifact.Artifact:
    made = standard_artifacts.Model()
    made.uri = str(folder / "model")
    save_scorer(Path(made.uri) / "Format-Serving")
    return made


def run(component: BaseComponent, folder: Path) -> dict[str, artifact.Artifact]:
    inputs = {key: list(channel.get()) for key, channel in component.inputs.items()}
    outputs = {}
    for key, channel in component.outputs.items():
        outputs[key] = [channel.type()]
        outputs[key][0].uri = str(folder / "out" / key)
    component.executor_spec.executor_class().Do(inputs, outputs, component.exec_properties)
    return {key: items[0] for key, items in outputs.items()}


def tuned(folder: Path, splits: dict[str, list[Row]], **settings: Any) -> dict[str, artifact.Artifact]:
    return run(
        ThresholdTuner(
            examples=as_channel([examples_of(folder, splits)]),
            model=as_channel([model_of(folder)]),
            settings={"label": "label", "groups": ["sex"], **settings},
        ),
        folder,
    )


def reweighed(folder: Path, splits: dict[str, list[Row]], **settings: Any) -> dict[str, artifact.Artifact]:
    return run(
        Reweigher(
            examples=as_channel([examples_of(folder, splits)]),
            settings={"label": "label", "groups": ["sex"], **settings},
        ),
        folder,
    )


def told(outputs: dict[str, artifact.Artifact]) -> MitigationReport:
    return MitigationReport.load(outputs["mitigation_report"].uri)


def records_of(made: artifact.Artifact, split: str) -> list[bytes]:
    files = sorted((Path(made.uri) / f"Split-{split}").iterdir())
    return [record for path in files for record in records(str(path))]


def test_the_model_decides_by_thresholds_chosen_on_train(tmp_path: Path, rows: dict[str, list[Row]]) -> None:
    outputs = tuned(tmp_path, rows, max_gap=0.03)
    found = told(outputs).mitigation.thresholds
    assert found is not None
    assert found.before.gap.value > 0.2
    assert found.after.gap.value <= 0.03
    model = tf.saved_model.load(str(Path(outputs["model"].uri) / "Format-Serving"))
    serialized = tf.constant([example(row) for row in rows["train"]])
    decided = model.signatures["decisions"](examples=serialized)["decision"].numpy()
    labels = np.array([row["label"] for row in rows["train"]])
    assert (decided == labels).mean() == found.after.accuracy.value
    # Eval is measured and chooses nothing.
    assert found.held_out_after is not None
    assert found.held_out_after.accuracy.count == 700
    other = tuned(tmp_path / "other", {**rows, "eval": rows_of(9, 300)}, max_gap=0.03)
    again = told(other).mitigation.thresholds
    assert again is not None
    assert [item.threshold for item in again.groups] == [item.threshold for item in found.groups]


def test_it_does_without_an_eval_split(tmp_path: Path, rows: dict[str, list[Row]]) -> None:
    found = told(tuned(tmp_path, {"train": rows["train"]})).mitigation.thresholds
    assert found is not None
    assert found.held_out_after is None


def test_a_gap_that_only_deciding_all_alike_keeps_is_refused(tmp_path: Path) -> None:
    # Scores that say the opposite in the two groups.
    flipped = [
        {"sex": sex, "label": label, "score": 0.9 if (label == 1) == (sex == "f") else 0.1}
        for sex in "fm"
        for label in (0, 1)
    ] * 50
    with pytest.raises(
        InputError, match="only thresholds are left that decide everybody alike.*allow a larger"
    ):
        tuned(tmp_path, {"train": flipped}, max_gap=0.5)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"label": "colour"}, UsageError, "unknown feature of the examples 'colour'"),
        ({"groups": ["score"]}, InputError, "feature 'score' holds real numbers"),
        ({"split": "nowhere"}, InputError, "no split 'nowhere'"),
        (
            {"label": "sex", "groups": ["label"]},
            InputError,
            "'sex' is one of 'f', 'm'; 0 and 1 are understood",
        ),
        ({"label": "importance"}, InputError, "has 3 values"),
    ],
)
def test_what_cannot_be_used_is_told(
    tmp_path: Path, rows: dict[str, list[Row]], settings: dict[str, Any], error: Any, said: str
) -> None:
    with pytest.raises(error, match=said):
        tuned(tmp_path, {"train": rows["more"]}, **settings)


def test_weights_are_added_and_nothing_else_changes(tmp_path: Path, rows: dict[str, list[Row]]) -> None:
    outputs = reweighed(tmp_path, rows)
    written = outputs["examples"]
    assert json.loads(written.split_names) == ["train", "eval", "more"]
    assert written.span == 7
    assert examples_utils.get_payload_format(written) == example_gen_pb2.FORMAT_TF_EXAMPLE
    weights = {}
    for split, given in rows.items():
        found = records_of(written, split)
        assert all(record.startswith(example(row)) for record, row in zip(found, given, strict=True))
        parsed = [tf.train.Example.FromString(record) for record in found]
        weights[split] = np.array(
            [item.features.feature["fairness_weight"].float_list.value[0] for item in parsed]
        )
    assert set(weights["eval"]) == set(weights["more"]) == {1.0}
    total = weights["train"].sum()
    assert total == pytest.approx(1500, rel=1e-6)
    for sex in "fm":
        for label in (0, 1):
            group = np.array([row["sex"] == sex for row in rows["train"]])
            labelled = np.array([row["label"] == label for row in rows["train"]])
            both = weights["train"][group & labelled].sum() / total
            expected = weights["train"][group].sum() / total * weights["train"][labelled].sum() / total
            assert both == pytest.approx(expected, rel=1e-6)


def test_weights_that_are_there_are_multiplied(tmp_path: Path, rows: dict[str, list[Row]]) -> None:
    outputs = reweighed(tmp_path, rows, weight="importance", feature="w")
    report = told(outputs).mitigation.reweighing
    assert report is not None
    factors = {(cell.group["sex"], cell.label): cell.factor for cell in report.cells}
    for split, given in rows.items():
        for record, row in zip(records_of(outputs["examples"], split), given, strict=True):
            value = tf.train.Example.FromString(record).features.feature["w"].float_list.value[0]
            factor = factors[row["sex"], str(row["label"])] if split == "train" else 1.0
            assert value == pytest.approx(row["importance"] * factor)
    assert report.gap_after == pytest.approx(0, abs=1e-12)


def test_a_feature_that_is_there_already_is_refused(tmp_path: Path, rows: dict[str, list[Row]]) -> None:
    with pytest.raises(InputError, match="record 0 has a feature 'score' already"):
        reweighed(tmp_path, rows, feature="score")


def test_few_examples_and_small_groups_are_told(tmp_path: Path, rows: dict[str, list[Row]]) -> None:
    few = [{**row, "sex": "x"} for row in rows["more"][:5]]
    scarce = [row for row in rows["train"] if row["sex"] == "f" or row["label"] == 0] + [
        {**rows["train"][0], "sex": "m", "label": 1}
    ] * 3
    report = told(reweighed(tmp_path, {"train": [*scarce, *few]}))
    assert str(report.verdict) == "warn"
    checks = {finding.check: finding for finding in report.findings}
    assert checks["few_examples"].subject == "sex=m, label 1"
    assert checks["groups_left"].evidence == {"groups": ["sex=x"]}
    assert checks["groups_left"].message.startswith("The weight of 5 examples stays as it was")
