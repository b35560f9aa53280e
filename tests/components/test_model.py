"""ExampleModel: which signature and outputs it takes, in which form, and what it refuses."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from leaky import example
from models import Answer, feature_of, save_model, save_scorer

from tfx_trust.components import InputError
from tfx_trust.components.leakage.scoring import ModelScorer
from tfx_trust.components.model import ExampleModel

SCORES = [0.25, 0.5, 0.75]


def batch(**columns: list[Any]) -> tf.Tensor:
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return tf.constant([example(row) for row in rows])


def answering(**outputs: Any) -> Answer:
    """The same for each example, whatever it is."""

    def answer(examples: Any) -> dict[str, Any]:
        rows = tf.shape(examples)[0]
        return {name: tf.repeat(tf.constant([row]), rows, axis=0) for name, row in outputs.items()}

    return answer


def predicted(folder: Path, answer: Answer, **given: Any) -> Any:
    return ExampleModel(save_model(folder, answer), **given)(tf.constant([b"", b""]))


def test_a_column_of_scores_is_flattened_to_float64(tmp_path: Path) -> None:
    model = ExampleModel(save_scorer(tmp_path / "model"))
    found = model(batch(score=SCORES))
    assert found.scores.tolist() == SCORES
    assert found.scores.dtype == np.float64
    assert found.decisions is None
    assert (model.signature, model.score_output, model.scored, model.decided) == (
        "serving_default",
        "outputs",
        True,
        False,
    )


@pytest.mark.parametrize(
    ("row", "shown"),
    [(0.25, [0.25] * 2), ([0.75, 0.25], [0.25] * 2), ([0.25, 0.5, 0.25], [[0.25, 0.5, 0.25]] * 2)],
)
def test_of_two_columns_the_second_is_the_score_and_more_are_kept(
    tmp_path: Path, row: Any, shown: Any
) -> None:
    assert predicted(tmp_path, answering(scores=row)).scores.tolist() == shown


def test_decisions_are_whole_numbers_beside_the_score_or_alone(tmp_path: Path) -> None:
    both = predicted(tmp_path / "1", answering(outputs=0.25, chosen=[1.0]), decision_output="chosen")
    assert both.scores.tolist() == [0.25, 0.25]
    assert both.decisions.tolist() == [1, 1]
    assert both.decisions.dtype == np.int64
    model = ExampleModel(save_model(tmp_path / "2", answering(chosen=True)), decision_output="chosen")
    alone = model(tf.constant([b""]))
    assert (model.scored, model.decided) == (False, True)
    assert alone.scores is None
    assert alone.decisions.tolist() == [1]


def test_an_output_with_a_usual_name_goes_before_others_and_a_named_one_before_all(tmp_path: Path) -> None:
    answer = answering(a=0.125, probabilities=0.25, logistic=0.5)
    assert predicted(tmp_path / "1", answer).scores[0] == 0.25
    assert predicted(tmp_path / "2", answer, score_output="a").scores[0] == 0.125


def test_the_only_signature_that_takes_examples_is_taken(tmp_path: Path) -> None:
    module = tf.Module()
    numbers = [tf.TensorSpec([None], tf.float32, "x")]
    module.f = tf.function(lambda x: {"y": x}, input_signature=numbers)
    texts = [tf.TensorSpec([None], tf.string, "raw")]
    module.g = tf.function(lambda raw: {"scores": feature_of(raw, "score")}, input_signature=texts)
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.f, "examples": module.g})
    model = ExampleModel(str(tmp_path))
    assert model.signature == "examples"
    assert model(batch(score=SCORES)).scores.tolist() == SCORES
    with pytest.raises(
        InputError, match=r"signature 'serving_default' takes no batch .* those that do: examples"
    ):
        ExampleModel(str(tmp_path), signature="serving_default")


def test_a_signature_is_named_where_there_are_several(tmp_path: Path) -> None:
    folder = save_model(tmp_path, {"a": answering(outputs=0.25), "b": answering(outputs=0.5)})
    with pytest.raises(
        InputError, match=r"several signatures take serialized tf.Examples \(a, b\); say which"
    ):
        ExampleModel(folder)
    assert ExampleModel(folder, signature="b")(tf.constant([b""])).scores.tolist() == [0.5]
    with pytest.raises(InputError, match="no signature 'c'; it has a, b"):
        ExampleModel(folder, signature="c")


def test_a_model_that_takes_no_examples_is_refused(tmp_path: Path) -> None:
    module = tf.Module()
    module.f = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    tf.saved_model.save(module, str(tmp_path), signatures=module.f)
    with pytest.raises(InputError, match=r"none of its signatures \(serving_default\) takes a batch"):
        ExampleModel(str(tmp_path))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no SavedModel there; export the model"):
        ExampleModel(str(tmp_path / "nothing"))


def test_an_output_that_there_is_not_is_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path, answering(a=0.25, b=0.5))
    for given in ({"score_output": "c"}, {"decision_output": "c"}):
        with pytest.raises(InputError, match="signature 'serving_default' has no output 'c'; it has a, b"):
            ExampleModel(folder, **given)
    with pytest.raises(InputError, match=r"has several outputs \(a, b\); say which is the score"):
        ExampleModel(folder)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("text", r"output 'y' has type object and shape \(2,\) for 2 examples; a number, or one a class,"),
        ([[0.25, 0.5], [0.25, 0.5]], r"shape \(2, 2, 2\) for 2 examples"),
    ],
)
def test_scores_of_another_shape_or_type_are_refused(tmp_path: Path, row: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        predicted(tmp_path, answering(y=row))


def test_one_score_for_a_whole_batch_is_refused(tmp_path: Path) -> None:
    def mean(examples: Any) -> dict[str, Any]:
        return {"y": tf.reduce_mean(feature_of(examples, "score"))[None]}

    model = ExampleModel(save_model(tmp_path, mean))
    with pytest.raises(InputError, match=r"shape \(1,\) for 3 examples"):
        model(batch(score=SCORES))


@pytest.mark.parametrize(("row", "shape"), [(0.5, r"\(2,\)"), ([0, 1], r"\(2, 2\)")])
def test_decisions_that_are_no_whole_number_an_example_are_refused(
    tmp_path: Path, row: Any, shape: str
) -> None:
    with pytest.raises(InputError, match=rf"shape {shape} for 2 examples; a whole number is needed"):
        predicted(tmp_path, answering(y=row, outputs=0.5), decision_output="y")


def test_examples_without_what_the_model_needs_are_refused(tmp_path: Path) -> None:
    model = ExampleModel(save_scorer(tmp_path / "model"))
    with pytest.raises(
        InputError,
        match=r"'serving_default' cannot answer the examples \(.*score.*they must have the features",
    ):
        model(batch(other=SCORES))


def test_it_passes_on_what_is_no_probability_and_the_leakage_scorer_refuses_nan(tmp_path: Path) -> None:
    folder = save_scorer(tmp_path / "model")
    found = ExampleModel(folder)(batch(score=[float("nan"), 7.0]))
    assert np.isnan(found.scores[0])
    assert found.scores[1] == 7
    with pytest.raises(InputError, match="1 of 2 scores are NaN or infinite; mend the model"):
        ModelScorer(folder)(batch(score=[float("nan"), 7.0]))


def test_the_leakage_scorer_takes_the_class_of_the_highest_score(tmp_path: Path) -> None:
    scorer = ModelScorer(save_model(tmp_path, answering(y=[0.25, 0.5, 0.25])))
    assert scorer(tf.constant([b""])).tolist() == [1.0]


@pytest.mark.parametrize("made", [ExampleModel, ModelScorer])
def test_it_can_be_pickled(tmp_path: Path, made: Any) -> None:
    folder = save_scorer(tmp_path / "model")
    model = pickle.loads(pickle.dumps(made(folder)))
    answer = model(batch(score=SCORES))
    assert (answer if made is ModelScorer else answer.scores).tolist() == SCORES


def test_a_pickled_model_keeps_what_was_named(tmp_path: Path) -> None:
    folder = save_model(tmp_path, {"a": answering(x=0.25, y=1), "b": answering(x=0.5, y=1)})
    model = ExampleModel(folder, signature="b", score_output="x", decision_output="y")
    again = pickle.loads(pickle.dumps(model))(tf.constant([b""]))
    assert (again.scores.tolist(), again.decisions.tolist()) == ([0.5], [1])
