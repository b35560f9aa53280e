"""Attribute inference and inversion: against a slow twin, and on models that give features away."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from leaky import example
from models import Answer, save_model

from tfx_trust.components.errors import InputError
from tfx_trust.components.model import ExampleModel
from tfx_trust.components.privacy.attribute_examples import Asked, Values, column_of, infer
from tfx_trust.components.privacy.audit_reader import Reader
from tfx_trust.components.privacy.config import AuditSettings
from tfx_trust.components.privacy.report import Inference
from tfx_trust.components.report import Verdict

ROWS = 400
COLORS = ["blue", "green", "red"]


def people(first: int, rows: int = ROWS) -> list[dict[str, Any]]:
    random = np.random.default_rng(first)
    return [
        {
            "id": number,
            "color": str(random.choice(COLORS, p=[0.5, 0.3, 0.2])),
            "age": int(random.integers(20, 60)),
            "size": float(np.float32(random.random())),
            "label": int(random.integers(2)),
        }
        for number in range(first, first + rows)
    ]


SPEC = {
    "id": tf.io.FixedLenFeature([], tf.int64),
    "color": tf.io.FixedLenFeature([], tf.string, "none"),
    "age": tf.io.FixedLenFeature([], tf.int64, 0),
    "size": tf.io.FixedLenFeature([], tf.float32, 0.0),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


def parsed(examples: tf.Tensor) -> Mapping[str, tf.Tensor]:
    return tf.io.parse_example(examples, SPEC)


def answering(right: Any) -> Answer:
    """A model that gives the label of an example this probability."""

    def answer(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        found = parsed(examples)
        probability = right(found)
        return {"outputs": tf.where(found["label"] == 1, probability, 1 - probability)}

    return answer


def blind(found: Mapping[str, tf.Tensor]) -> tf.Tensor:
    return 0.5 + 0.3 * tf.sin(tf.cast(found["id"], tf.float32))


def mixed(found: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Depends on everything, differently for each person."""
    color = tf.cast(tf.strings.to_hash_bucket_fast(found["color"], 97), tf.float32)
    total = tf.cast(found["id"], tf.float32) * 1.3 + color + tf.cast(found["age"], tf.float32) + found["size"]
    return 0.5 + 0.45 * tf.sin(total)


def remembering(members: int) -> Any:
    """Gives members their label only with the color that they have."""

    def right(found: Mapping[str, tf.Tensor]) -> tf.Tensor:
        own = tf.gather(
            tf.constant([row["color"] for row in people(0)]), tf.clip_by_value(found["id"], 0, ROWS - 1)
        )
        known = (found["id"] < members) & (found["color"] == own)
        return tf.where(known, 0.95 * tf.ones_like(found["size"]), 0.5 * tf.ones_like(found["size"]))

    return right


def asked(rows: list[dict[str, Any]]) -> Asked:
    records = np.array([example(row) for row in rows], object)
    return Asked(records, np.array([row["label"] for row in rows]))


def inferred(
    folder: Path,
    right: Any,
    members: list[dict[str, Any]] | None = None,
    others: list[dict[str, Any]] | None = None,
    **settings: Any,
) -> tuple[list[Inference], dict[str, str]]:
    given = AuditSettings(**{"label": "label", "sensitive": ["color"], **settings})
    model = ExampleModel(save_model(folder / "model", answering(right)))
    reader = Reader(model, {"label": "integer"}, given)
    members = people(0) if members is None else members
    others = people(ROWS) if others is None else others
    return infer(asked(members), asked(others), reader, given)


def one(found: tuple[list[Inference], dict[str, str]], kind: str = "attribute_inference") -> Inference:
    made, not_run = found
    assert not not_run
    (chosen,) = [item for item in made if item.kind == kind]
    return chosen


# Against a slow twin


@pytest.mark.parametrize("name", ["color", "age", "size"])
def test_guesses_are_those_of_asking_one_by_one(tmp_path: Path, name: str) -> None:
    members, others = people(0, 40), people(ROWS, 30)
    if name == "size":
        for row in (*members, *others):
            row["size"] = round(row["size"], 1)
    found = one(inferred(tmp_path, mixed, members, others, sensitive=[name]))
    model = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    every = [np.float32(row[name]) if name == "size" else row[name] for row in (*members, *others)]
    values = sorted(set(every))
    assert found.values == len(values)

    def guess(row: dict[str, Any]) -> Any:
        by_value = {}
        for value in values:
            changed = {**row, name: float(value) if name == "size" else value}
            said = float(model(examples=tf.constant([example(changed)]))["outputs"][0])
            by_value[value] = every.count(value) * (said if row["label"] else 1 - said)
        return max(by_value, key=by_value.__getitem__)

    for told, rows in ((found.members, members), (found.others, others)):
        right = [guess(row) == (np.float32(row[name]) if name == "size" else row[name]) for row in rows]
        assert told.value == pytest.approx(np.mean(right))
        assert told.count == len(rows)


# What models give away


def test_a_model_that_remembers_its_members_gives_their_color_away(tmp_path: Path) -> None:
    found = one(inferred(tmp_path, remembering(ROWS)))
    # With the prior, blue is taken for an answer where red has not much more than twice its probability.
    assert found.members.value > 0.75
    assert found.others.value == pytest.approx(found.baseline.value, abs=0.05)
    assert found.gain.low is not None
    assert found.gain.low > 0.15
    assert found.verdict is Verdict.FAIL
    assert found.values == 3


def test_a_model_that_does_not_know_the_feature_gives_nothing_away(tmp_path: Path) -> None:
    found = inferred(tmp_path, blind)
    for kind in ("attribute_inference", "inversion"):
        told = one(found, kind)
        assert told.others.value == pytest.approx(np.mean([row["color"] == "blue" for row in people(ROWS)]))
    assert one(found).verdict is not Verdict.FAIL
    assert one(found, "inversion").gain.value == 0


def test_what_is_equally_likely_is_guessed_at_random(tmp_path: Path) -> None:
    sides = [people(0, 300), people(ROWS, 300)]
    for rows in sides:
        for place, row in enumerate(rows):
            row["color"] = COLORS[place % 3]
    found = one(inferred(tmp_path, blind, *sides))
    assert found.members.value == pytest.approx(1 / 3, abs=0.1)
    assert found.others.value == pytest.approx(1 / 3, abs=0.1)


def test_a_model_of_how_feature_and_label_go_together_is_inverted(tmp_path: Path) -> None:
    def of_color(found: Mapping[str, tf.Tensor]) -> tf.Tensor:
        likes = (found["color"] == "blue") == (found["label"] == 1)
        return tf.where(likes, 0.9 * tf.ones_like(found["size"]), 0.1 * tf.ones_like(found["size"]))

    sides = [people(0), people(ROWS)]
    for rows in sides:
        for row in rows:
            row["label"] = int(row["color"] == "blue")
    found = one(inferred(tmp_path, of_color, *sides), "inversion")
    # Of those that are not blue, green is the commonest.
    assert found.others.value == pytest.approx(0.8, abs=0.06)
    assert found.gain.value == pytest.approx(0.3, abs=0.06)
    assert found.verdict is Verdict.NOT_RUN


def test_what_is_missing_is_not_guessed(tmp_path: Path) -> None:
    members = people(0)
    for row in members[::4]:
        row["color"] = None
    found = one(inferred(tmp_path, blind, members))
    assert (found.members.count, found.others.count) == (ROWS * 3 // 4, ROWS)


def test_numbers_are_guessed_by_bucket(tmp_path: Path) -> None:
    found = one(inferred(tmp_path, blind, sensitive=["size"], buckets={"size": [0.25, 0.5]}))
    assert found.values == 3
    # The greatest bucket is half of all.
    assert found.others.value == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({"color": "blue"}, {}, "'color' has 1 value in these examples: there is nothing to guess"),
        ({"tags": ["a", "b"]}, {"sensitive": ["tags"]}, "'tags' has several values in an example"),
        ({"color": None}, {}, "'color' has 0 value"),
        ({}, {"sensitive": ["id"]}, "'id' has so many values that the 50 commonest are less than half"),
        ({}, {"buckets": {"color": [1.0]}}, "'color' is text and has buckets"),
        ({}, {"sensitive": ["age"], "buckets": {"age": [30.0, 20.0]}}, "'age' have the edges .*each greater"),
    ],
)
def test_what_cannot_be_guessed_is_told_and_the_rest_goes_on(
    tmp_path: Path, change: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    sides = [[{**row, **change} for row in people(first, 60)] for first in (0, ROWS)]
    sensitive = [*settings.pop("sensitive", ["color"]), "label_of_another"]
    for rows in sides:
        for row in rows:
            row["label_of_another"] = row["id"] % 2
    made, not_run = inferred(tmp_path, blind, *sides, sensitive=sensitive, **settings)
    assert {item.feature for item in made} == {"label_of_another"}
    ((name, why),) = not_run.items()
    assert name == f"attribute inference and inversion of {sensitive[0]}"
    with pytest.raises(InputError, match=message):
        raise InputError(why)


def test_the_rarest_values_are_never_right() -> None:
    column = np.array([b"often"] * 60 + [b"seldom"] * 40 + [b"%d" % place for place in range(60)], object)
    values = Values.of("x", column, None)
    assert values.count == 50
    assert list(values.put[:2]) == [b"often", b"seldom"]
    assert (values.codes < 0).sum() == 12


def test_a_column_is_read_as_it_is() -> None:
    rows = [{"x": 3}, {"x": None}, {"y": 1}, {"x": float("nan")}, {"x": 0.5}, {"x": "a"}]
    records = np.array([example(row) for row in rows], object)
    assert column_of(records, "x").tolist() == [3, None, None, None, 0.5, b"a"]
