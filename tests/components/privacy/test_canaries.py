"""Canaries: whose values they have, by which toss they are trained on, and what is written where."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from google.protobuf import text_format
from leaky import example, write_rows
from tensorflow_metadata.proto.v0 import schema_pb2
from transform_graphs import save_transform_graph

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.examples import records
from tfx_trust.components.privacy.canaries import CANARIES_FILE, Made, make, permuted, read
from tfx_trust.components.privacy.config import Canaries

Values = dict[str, list[Any]]


def values_of(record: bytes) -> Values:
    found: Values = {}
    for name, feature in tf.train.Example.FromString(record).features.feature.items():
        kind = feature.WhichOneof("kind")
        found[name] = list(getattr(feature, kind).value) if kind else []
    return found


def people(rows: int) -> list[dict[str, Any]]:
    """Whose features all tell who they are."""
    return [
        {
            "number": number,
            "name": f"name {number}",
            "words": [f"word {number}.{place}" for place in range(number % 3)] or None,
            "size": None if number % 5 == 0 else number + 0.5,
            "label": number % 2,
        }
        for number in range(rows)
    ]


def made_of(folder: Path, rows: list[dict[str, Any]], settings: dict[str, Any], **given: Any) -> Made:
    files = [
        write_rows(folder / "eval" / f"data-{part}.gz", rows[part::2]) for part in range(min(2, len(rows)))
    ]
    given = {"label": "label", **given}
    return make(
        files,
        Canaries(**settings),
        report_folder=str(folder / "report"),
        train_folder=str(folder / "more"),
        **given,
    )


# Permuting


def test_each_value_is_given_once_and_together_they_are_nobodys() -> None:
    given = [example(row) for row in people(200)]
    made = [values_of(record) for record in permuted(given, 200, np.random.default_rng(1))]
    before = [values_of(record) for record in given]
    for name in ("number", "name", "words", "size", "label"):
        written = [Counter(str(values.get(name)) for values in some) for some in (made, before)]
        assert written[0] == written[1], name
    assert not any(values in before for values in made)
    # Of 200 shuffled ones, about one is left with its own value.
    assert sum(values["name"] == [f"name {values['number'][0]}".encode()] for values in made) < 8


def test_features_are_permuted_independently_of_each_other() -> None:
    given = [example({"a": number, "b": number}) for number in range(2000)]
    made = [values_of(record) for record in permuted(given, 2000, np.random.default_rng(2))]
    first, second = (np.array([values[name][0] for values in made]) for name in ("a", "b"))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1


def test_more_canaries_than_examples_take_values_equally_often() -> None:
    given = [example(row) for row in people(10)]
    made = [values_of(record) for record in permuted(given, 35, np.random.default_rng(3))]
    times = Counter(values["number"][0] for values in made)
    assert len(made) == 35
    assert set(times.values()) == {3, 4}


def test_labels_are_drawn_with_equal_chances_whatever_their_frequency() -> None:
    rows = [{"a": number, "label": int(number % 10 == 0)} for number in range(2000)]
    made = permuted([example(row) for row in rows], 2000, np.random.default_rng(4), label="label")
    labels = [values_of(record)["label"][0] for record in made]
    assert 900 < sum(labels) < 1100


SPARSE = """
    sparse_feature { name: "s" index_feature { name: "at" } value_feature { name: "value" } }
    weighted_feature { name: "w" feature { step: "query" } weight_feature { step: "weight" } }
    tensor_representation_group {
      key: ""
      value {
        tensor_representation {
          key: "r"
          value { ragged_tensor { feature_path { step: "ragged" } partition { row_length: "lengths" } } }
        }
      }
    }
"""


def test_what_only_has_a_meaning_together_stays_together() -> None:
    schema = text_format.Parse(SPARSE, schema_pb2.Schema())
    pairs = [("at", "value"), ("query", "weight"), ("ragged", "lengths")]
    rows = [{name: number for pair in pairs for name in pair} for number in range(100)]
    made = permuted([example(row) for row in rows], 100, np.random.default_rng(5), schema=schema)
    told = [{name: values[0] for name, values in values_of(record).items()} for record in made]
    for first, second in pairs:
        assert all(row[first] == row[second] for row in told)
    assert sum(row["at"] == row["query"] for row in told) < 8


def test_a_label_that_belongs_to_other_features_is_refused() -> None:
    schema = text_format.Parse(SPARSE, schema_pb2.Schema())
    rows = [example({"at": number, "value": number % 2}) for number in range(10)]
    with pytest.raises(InputError, match="'value' belongs to at by the schema.*a label of its own"):
        permuted(rows, 10, np.random.default_rng(1), label="value", schema=schema)


def test_examples_that_are_all_the_same_make_no_canaries() -> None:
    rows = [example({"a": 1, "label": number % 2}) for number in range(10)]
    with pytest.raises(InputError, match="all 10 examples .* have the same features.*some that differ"):
        permuted(rows, 10, np.random.default_rng(1), label="label")


# Making


def test_all_are_written_raw_and_those_that_are_trained_on_also_to_train(tmp_path: Path) -> None:
    made = made_of(tmp_path, people(60), {"count": 50})
    raw = read(str(tmp_path / "report"), made.record)
    assert made.record.count == len(raw) == 50
    assert made.record.included == sum(made.record.tosses)
    trained = list(records(made.train_file))
    assert trained == [record for record, tossed in zip(raw, made.record.tosses) if tossed]


def test_those_that_are_trained_on_are_transformed_as_the_others_were(tmp_path: Path) -> None:
    rows = [{"a": float(number), "word": f"w{number % 3}", "label": number % 2} for number in range(40)]
    spec = {
        "a": tf.io.FixedLenFeature([], tf.float32),
        "word": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }

    def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
        return {
            "a_scaled": tft.scale_to_0_1(inputs["a"]),
            "word_id": tft.compute_and_apply_vocabulary(inputs["word"]),
            "label": inputs["label"],
        }

    graph = save_transform_graph(tmp_path / "graph", rows, spec, preprocessing_fn)
    made = made_of(tmp_path, rows, {"count": 40, "seed": 1}, transform_graph=graph)
    raw = [
        values_of(record)
        for record, tossed in zip(read(str(tmp_path / "report"), made.record), made.record.tosses)
        if tossed
    ]
    trained = [values_of(record) for record in records(made.train_file)]
    assert len(trained) == made.record.included
    assert {tuple(sorted(values)) for values in trained} == {("a_scaled", "label", "word_id")}
    scaled = [values["a_scaled"][0] for values in trained]
    assert scaled == pytest.approx([values["a"][0] / 39 for values in raw])
    assert [values["label"] for values in trained] == [values["label"] for values in raw]


def test_tosses_are_fair_and_new_each_time(tmp_path: Path) -> None:
    tosses = [made_of(tmp_path / str(run), people(30), {"count": 1000}).record.tosses for run in range(2)]
    assert all(400 < sum(some) < 600 for some in tosses)
    assert 400 < sum(first == second for first, second in zip(*tosses)) < 600


def test_with_a_seed_all_is_the_same_again(tmp_path: Path) -> None:
    made = [made_of(tmp_path / str(run), people(30), {"count": 40, "seed": 7}).record for run in range(2)]
    raw = [read(str(tmp_path / str(run) / "report"), made[run]).tolist() for run in range(2)]
    assert made[0] == made[1]
    assert raw[0] == raw[1]


@pytest.mark.parametrize(
    ("rows", "label", "message"),
    [
        ([], "label", "no examples to make canaries of"),
        ([{"a": number, "label": 1} for number in range(30)], "label", "'label' has one value in the 30"),
        ([{"a": number, "label": [0, 1]} for number in range(30)], "label", "'label' has no single value"),
    ],
)
def test_what_makes_no_canaries_is_said(
    tmp_path: Path, rows: list[dict[str, Any]], label: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        made_of(tmp_path, rows, {"count": 30}, label=label)


def test_an_unknown_label_is_answered_with_the_features_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'labl': known are label, name.*did you mean 'label'"):
        made_of(tmp_path, people(30), {"count": 30}, label="labl")


def test_canaries_that_were_changed_since_are_refused(tmp_path: Path) -> None:
    made = made_of(tmp_path, people(30), {"count": 30})
    write_rows(tmp_path / "report" / CANARIES_FILE, people(29))
    with pytest.raises(InputError, match="29 canaries, the report has 30 tosses.*train again"):
        read(str(tmp_path / "report"), made.record)
