"""The served model that decides by group: the old one's answers, and right decisions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from leaky import example
from models import Answer, feature_of, save_model

from tfx_trust.components import InputError, TrustError, UsageError
from tfx_trust.components.mitigation.export import export_decisions
from tfx_trust.components.mitigation.report import GroupThresholds
from tfx_trust.components.mitigation.thresholds import choose_thresholds
from tfx_trust.components.model import ExampleModel

ROWS: list[dict[str, Any]] = [
    {"score": 0.3, "sex": "f", "age": 30},
    {"score": 0.5, "sex": "f", "age": 60},
    {"score": 0.6, "sex": "m", "age": 30},
    {"score": 0.7, "sex": "m", "age": 60},
    {"score": 0.65, "sex": "größer", "age": 30},
    {"score": 0.5, "sex": "x", "age": 30},
    {"score": 0.5, "sex": "", "age": 30},
    {"score": 0.49, "sex": None, "age": None},
]


def serialized(rows: list[dict[str, Any]]) -> Any:
    return tf.constant([example(row) for row in rows])


def thresholds(columns: dict[str, list[Any]], values: list[float], compare: str = ">=") -> GroupThresholds:
    """Thresholds of the groups that the columns name, whatever scores would say."""
    rows = len(values)
    repeated = {name: list(column) * 40 for name, column in columns.items()}
    found = choose_thresholds(
        np.tile([0.25, 0.75], rows * 20),
        np.repeat([0, 1], rows * 20),
        repeated,
        {"compare": compare, "min_count": 1, "max_gap": 1.0},
    )
    own = {tuple(str(columns[name][place]) for name in columns): value for place, value in enumerate(values)}
    groups = [item.model_copy(update={"threshold": own[tuple(item.group.values())]}) for item in found.groups]
    return found.model_copy(update={"groups": groups})


@pytest.fixture
def by_sex() -> GroupThresholds:
    return thresholds({"sex": ["f", "m", "größer"]}, [0.25, 0.6875, 0.75])


def exported(
    folder: Path, answers: Answer | dict[str, Answer], found: GroupThresholds, **given: Any
) -> tuple[Any, str]:
    source = save_model(folder / "old", answers)
    kinds = {"sex": "text", "age": "integer"}
    export_decisions(source, str(folder / "new"), found, kinds, [serialized(ROWS)], **given)
    return tf.saved_model.load(str(folder / "new")), source


def score_of(shape: Callable[[Any], Any] = lambda score: score[:, None]) -> Answer:
    return lambda examples: {"outputs": shape(feature_of(examples, "score"))}


@pytest.mark.parametrize("compare", [">=", ">"])
@pytest.mark.parametrize(
    "shape",
    [
        lambda score: score,
        lambda score: score[:, None],
        lambda score: tf.stack([1 - score, score], axis=1),
        lambda score: tf.cast(score, tf.float64),
    ],
)
def test_it_decides_by_the_group_and_else_by_the_common_threshold(
    tmp_path: Path, shape: Callable[[Any], Any], compare: str
) -> None:
    found = thresholds({"sex": ["f", "m", "größer"]}, [0.25, 0.6875, 0.75], compare)
    model, source = exported(tmp_path, score_of(shape), found)
    answer = model.signatures["decisions"](examples=serialized(ROWS))
    told = answer["threshold"].numpy()
    assert (told.dtype, answer["decision"].dtype) == (np.float32, tf.int64)
    assert told.tolist() == [0.25, 0.25, 0.6875, 0.6875, 0.75, 0.5, 0.5, 0.5]
    # A score of 0.5 meets the common threshold.
    met = int(compare == ">=")
    assert answer["decision"].numpy().tolist() == [1, 1, 0, 1, 0, met, met, 0]
    old = tf.saved_model.load(source).signatures["serving_default"](examples=serialized(ROWS))
    assert answer["outputs"].numpy().tobytes() == old["outputs"].numpy().tobytes()


def test_groups_are_crossed_of_texts_and_whole_numbers(tmp_path: Path) -> None:
    columns = {"sex": ["f", "f", "m", "m"], "age": [30, 60, 30, 60]}
    model, _ = exported(tmp_path, score_of(), thresholds(columns, [0.125, 0.25, 0.375, 0.625]))
    told = model.signatures["decisions"](examples=serialized(ROWS))["threshold"].numpy()
    assert told.tolist() == [0.125, 0.25, 0.375, 0.625, 0.5, 0.5, 0.5, 0.5]


def test_values_that_look_alike_when_put_together_are_told_apart(tmp_path: Path) -> None:
    columns = {"a": ["x", "x1:y"], "b": ["1:yz", "z"]}
    found = thresholds(columns, [0.125, 0.25])
    source = save_model(tmp_path / "old", score_of())
    rows = [{"score": 0.5, "a": "x", "b": "1:yz"}, {"score": 0.5, "a": "x1:y", "b": "z"}]
    export_decisions(source, str(tmp_path / "new"), found, dict.fromkeys("ab", "text"), [serialized(rows)])
    answer = tf.saved_model.load(str(tmp_path / "new")).signatures["decisions"](examples=serialized(rows))
    assert answer["threshold"].numpy().tolist() == [0.125, 0.25]


def test_signatures_stay_as_they_are_beside_the_new_one(tmp_path: Path, by_sex: GroupThresholds) -> None:
    answers: dict[str, Answer] = {
        "serving_default": score_of(),
        "ages": lambda examples: {
            "age": tf.io.parse_example(examples, {"age": tf.io.VarLenFeature(tf.int64)})["age"].dense_shape
        },
    }
    model, _ = exported(tmp_path, answers, by_sex)
    assert set(model.signatures) == {"serving_default", "ages", "decisions"}
    assert set(model.signatures["serving_default"].structured_outputs) == {"outputs"}
    # As the fairness gate asks it, and as it asks any other model.
    judged = ExampleModel(str(tmp_path / "new"), signature="decisions", decision_output="decision")
    said = judged(serialized(ROWS))
    assert said.decisions is not None
    assert said.decisions.tolist() == by_sex.decide(said.scores, [row["sex"] for row in ROWS]).tolist()
    assert ExampleModel(str(tmp_path / "new")).signature == "serving_default"


def test_the_new_outputs_may_be_put_into_the_models_own_signature(
    tmp_path: Path, by_sex: GroupThresholds
) -> None:
    model, _ = exported(tmp_path, score_of(), by_sex, decision_signature="serving_default")
    outputs = model.signatures["serving_default"].structured_outputs
    assert set(outputs) == {"outputs", "decision", "threshold"}


@pytest.mark.parametrize(("name", "known"), [("outputs", True), ("output_0", False)])
def test_tfma_reads_the_score_where_the_new_signature_is_one_of_its_own(
    tmp_path: Path, by_sex: GroupThresholds, name: str, known: bool
) -> None:
    from tensorflow_model_analysis.metrics import metric_util
    from tensorflow_model_analysis.utils import model_util

    model, _ = exported(tmp_path, lambda examples: {name: feature_of(examples, "score")}, by_sex)
    answer = model_util.get_callable(model)(examples=serialized(ROWS))
    assert list(answer) == [name]
    outputs = model.signatures["decisions"](examples=serialized(ROWS))
    both = {output: value.numpy()[:1] for output, value in outputs.items()}
    # Why it is: of several outputs TFMA takes only one that it knows by name.
    if not known:
        with pytest.raises(ValueError, match="prediction is a dict with unrecognized keys"):
            metric_util.prepare_labels_and_predictions([1], both)
    key = None if known else name
    _, score = metric_util.prepare_labels_and_predictions([1], both, key)
    assert score.ravel().tolist() == both[name].ravel().tolist()


def test_signatures_tables_files_and_warm_up_requests_of_the_model_are_kept(
    tmp_path: Path, by_sex: GroupThresholds
) -> None:
    vocabulary = tmp_path / "sexes.txt"
    vocabulary.write_text("f\nm\n")
    module = tf.Module()
    module.bias = tf.Variable(0.125)
    module.table = tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        1,
    )

    def scored(examples: Any) -> dict[str, Any]:
        spec = {
            "sex": tf.io.FixedLenFeature([], tf.string, ""),
            "score": tf.io.FixedLenFeature([], tf.float32),
        }
        parsed = tf.io.parse_example(examples, spec)
        return {"outputs": parsed["score"] / 2 + module.bias, "id": module.table.lookup(parsed["sex"])}

    def plain(x: Any) -> dict[str, Any]:
        return {"y": x + module.bias}

    taken = [tf.TensorSpec([None], tf.string, "examples")]
    signatures = {
        "serving_default": tf.function(scored, input_signature=taken),
        "plain": tf.function(plain, input_signature=[tf.TensorSpec([None], tf.float32, "x")]),
    }
    module.functions = list(signatures.values())
    source = tmp_path / "old"
    tf.saved_model.save(module, str(source), signatures=signatures)
    (source / "assets.extra" / "deep").mkdir(parents=True)
    (source / "assets.extra" / "deep" / "requests").write_bytes(b"warm")
    kinds = {"sex": "text"}
    export_decisions(
        str(source), str(tmp_path / "new"), by_sex, kinds, [serialized(ROWS)], score_output="outputs"
    )
    # The files of the first one are not needed any more.
    source.rename(tmp_path / "gone")
    vocabulary.unlink()
    model = tf.saved_model.load(str(tmp_path / "new"))
    answer = model.signatures["decisions"](examples=serialized(ROWS))
    assert answer["id"].numpy().tolist()[:4] == [0, 0, 1, 1]
    assert model.signatures["plain"](x=tf.constant([1.0]))["y"].numpy().tolist() == [1.125]
    assert (tmp_path / "new" / "assets.extra" / "deep" / "requests").read_bytes() == b"warm"


def test_a_model_exported_by_keras_is_taken(tmp_path: Path, by_sex: GroupThresholds) -> None:
    inner = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(1, "sigmoid")]
    )
    archive = keras.export.ExportArchive()
    archive.track(inner)
    archive.add_endpoint(
        "serving_default",
        lambda examples: {"outputs": inner(feature_of(examples, "score")[:, None], training=False)},
        input_signature=[tf.TensorSpec([None], tf.string, name="examples")],
    )
    archive.write_out(str(tmp_path / "old"), verbose=False)
    checked = export_decisions(
        str(tmp_path / "old"), str(tmp_path / "new"), by_sex, {"sex": "text"}, [serialized(ROWS)] * 2
    )
    assert checked == 16


def test_a_model_that_answers_otherwise_each_time_is_not_taken(
    tmp_path: Path, by_sex: GroupThresholds
) -> None:
    def random(examples: Any) -> dict[str, Any]:
        # By the clock, which no test's seed can set.
        return {"outputs": tf.zeros(tf.shape(examples)) + tf.cast(tf.timestamp() % 1, tf.float32)}

    with pytest.raises(TrustError, match="output 'outputs' of signature 'serving_default' changed"):
        exported(tmp_path, random, by_sex)
    assert not (tmp_path / "new").exists()


def test_a_decision_other_than_the_one_chosen_is_not_taken(
    tmp_path: Path, by_sex: GroupThresholds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        GroupThresholds, "decide", lambda self, scores, groups: np.ones(len(scores), np.int64)
    )
    with pytest.raises(TrustError, match="output 'decision' of the exported model is not what was chosen"):
        exported(tmp_path, score_of(), by_sex)
    assert not (tmp_path / "new").exists()


def test_examples_without_a_known_group_are_checked_though_none_was_given(
    tmp_path: Path, by_sex: GroupThresholds, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = GroupThresholds.thresholds_for

    def wrong(self: GroupThresholds, groups: Any) -> np.ndarray:
        # Nobody's group: another threshold than the exported model has.
        unknown = np.array([value not in (b"f", b"m") for value in groups["sex"].to_pylist()])
        return np.where(unknown, np.float32(0.875), right(self, groups))

    monkeypatch.setattr(GroupThresholds, "thresholds_for", wrong)
    source = save_model(tmp_path / "old", score_of())
    with pytest.raises(TrustError, match="an example without a known group: output 'threshold'"):
        export_decisions(source, str(tmp_path / "new"), by_sex, {"sex": "text"}, [serialized(ROWS[:4])])


@pytest.mark.parametrize(
    ("answers", "given", "error", "said"),
    [
        (
            {"decisions": score_of(), "other": score_of()},
            {"signature": "other"},
            UsageError,
            "a signature 'decisions' already",
        ),
        (
            lambda examples: {
                "outputs": feature_of(examples, "score"),
                "threshold": feature_of(examples, "score"),
            },
            {},
            UsageError,
            "has an output 'threshold' already",
        ),
        (score_of(), {"score_output": "logits"}, InputError, "has no output 'logits'"),
    ],
)
def test_names_that_are_taken_or_missing_are_told(
    tmp_path: Path, by_sex: GroupThresholds, answers: Any, given: dict[str, Any], error: Any, said: str
) -> None:
    with pytest.raises(error, match=said):
        exported(tmp_path, answers, by_sex, **given)


def test_real_numbers_name_no_groups(tmp_path: Path, by_sex: GroupThresholds) -> None:
    source = save_model(tmp_path / "old", score_of())
    with pytest.raises(InputError, match="feature 'sex' holds real numbers"):
        export_decisions(source, str(tmp_path / "new"), by_sex, {"sex": "real"}, [serialized(ROWS)])


def test_there_must_be_examples_to_check_it_on(tmp_path: Path, by_sex: GroupThresholds) -> None:
    source = save_model(tmp_path / "old", score_of())
    with pytest.raises(InputError, match="no examples to check the new model on"):
        export_decisions(source, str(tmp_path / "new"), by_sex, {"sex": "text"}, [])
    assert not (tmp_path / "new").exists()


def test_columns_of_arrow_are_decided_as_those_of_numpy(by_sex: GroupThresholds) -> None:
    sexes = [row["sex"] for row in ROWS]
    scores = np.array([row["score"] for row in ROWS])
    encoded = pa.array([None if sex is None else sex.encode() for sex in sexes]).dictionary_encode()
    assert by_sex.decide(scores, {"sex": encoded}).tolist() == by_sex.decide(scores, sexes).tolist()
