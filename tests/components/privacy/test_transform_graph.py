"""What Transform learnt of the data: nothing that ships is missed, nothing known to all is accused."""

import re

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from transform_graphs import save_transform_graph

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.analyzers import private_mean_and_var
from tfx_trust.components.privacy.transform_graph import UnknownAnalyzers, analyzer_scope, analyzers_of
from tfx_trust.pipelines.census import data, features

SPEC = {
    "age": tf.io.FixedLenFeature([], tf.float32),
    "hours": tf.io.FixedLenFeature([], tf.int64),
    "town": tf.io.FixedLenFeature([], tf.string),
}
RANDOM = np.random.default_rng(1)
ROWS = [
    {
        "age": float(np.float32(RANDOM.normal(50, 10))),
        "hours": int(RANDOM.integers(0, 90)),
        "town": str(RANDOM.choice(["Ulm", "Ems", "Aue"])),
    }
    for _ in range(200)
]
OUTSIDE = tf.constant([7.0, 8.0])
SUFFIX = tf.constant("!")


def preprocessing_fn(inputs):
    age, hours, town = inputs["age"], inputs["hours"], inputs["town"]
    mean = tft.mean(age)
    least, most = tft.min(age), tft.max(age)

    def table():
        rows = tf.lookup.KeyValueTensorInitializer(tf.constant(["Ulm"]), tf.constant([3], tf.int64))
        return tf.lookup.StaticHashTable(rows, default_value=5)

    @tf.function
    def less(values):
        return values - tft_sum

    tft_sum = tft.sum(age, name="all_years")
    with tf.name_scope("mine"):
        coded = tft.compute_and_apply_vocabulary(town, vocab_filename="towns")
    tft.vocabulary(tf.as_string(hours), vocab_filename="unused")
    public, _ = private_mean_and_var(age, 0, 100, noise_multiplier=5.0)
    return {
        "bare": age - mean,
        "branch": tf.cond(tf.reduce_sum(age) > 0, lambda: age - least, lambda: age + least),
        "mapped": tf.map_fn(lambda value: value - most, age),
        "called": less(age),
        "scaled": tft.scale_to_z_score(tf.stack([age, tf.cast(hours, tf.float32)], 1), elementwise=True),
        "bucket": tft.bucketize(hours, 3),
        "bucket_too": tft.bucketize(hours, 5),
        "own_bucket": tft.bucketize(age, 3, name="own"),
        "per_town": tft.scale_to_z_score_per_key(age, town),
        "coded": coded,
        "zipped": tft.compute_and_apply_vocabulary(town, file_format="tfrecord_gzip"),
        "known": tft.make_and_track_object(table, name="known").lookup(town),
        "outside": age + OUTSIDE[0],
        "called_out": tf.strings.join([town, SUFFIX]),
        "written": age * tf.constant([2.0])[0],
        "private": age - public,
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph") / "5"
    graph = save_transform_graph(folder, ROWS, SPEC, preprocessing_fn)
    return {info.name: info for info in analyzers_of(graph)}


@pytest.mark.slow
def test_every_analyzer_is_listed_by_a_stable_name_with_its_features(found):
    zipped = "file/vocab_compute_and_apply_vocabulary_vocabulary.tfrecord.gz"
    assert set(found) == {
        # Used outside of any scope, so that nothing tells what it is.
        "constant/age",
        "constant/town",
        "map/age",
        # Computed together with the greatest value, and not used.
        "max",
        "min/age",
        # Both of them.
        "bucketize/hours",
        "own/apply_buckets/age",
        "scale_to_z_score/age+hours",
        "scale_to_z_score_per_key/age+town",
        "mine/compute_and_apply_vocabulary/town",
        "compute_and_apply_vocabulary/town",
        zipped,
        # Its size, and its words.
        "vocabulary",
        "file/unused",
        "private_mean_and_var/age",
    }


@pytest.mark.slow
def test_it_is_said_what_they_found(found):
    assert found["bucketize/hours"].what == (
        "the edges of buckets, quantiles of the data, in a constant, float32[1, 2]; "
        "the edges of buckets, quantiles of the data, in a constant, float32[1, 4]"
    )
    assert found["scale_to_z_score/age+hours"].what == (
        "the mean and the variance, in a constant, float32[2] (2 times)"
    )
    assert "which values occur, in the file towns" in found["mine/compute_and_apply_vocabulary/town"].what
    assert re.match("something unknown: an analyzer's output, or a constant", found["constant/age"].what)
    assert {info.name for info in found.values() if info.mechanism} == {"private_mean_and_var/age"}


@pytest.mark.slow
def test_the_census_learns_nothing_from_its_tables(tmp_path):
    names = data.COLUMNS
    numbers = {"age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week", data.LABEL}
    rows = [
        {name: int(value) if name in numbers else value for name, value in zip(names, row)}
        for _, row in zip(range(400), data.examples("train"))
    ]
    types = {name: tf.int64 if name in numbers else tf.string for name in names}
    spec = {name: tf.io.FixedLenFeature([], dtype) for name, dtype in types.items()}
    folder = save_transform_graph(tmp_path / "graph", rows, spec, features.preprocessing_fn)
    words = {"workclass", "education", "marital_status", "occupation", "relationship", "race", "sex"}
    listed = [info.name for info in analyzers_of(folder)]
    assert listed
    assert not [name for name in listed if words & set(name.split("/")[-1].split("+"))]
    assert not [name for name in listed if name.startswith(("constant", "file"))]


def test_a_graph_without_analyzers_has_none(tmp_path):
    folder = save_transform_graph(
        tmp_path / "graph", ROWS[:5], SPEC, lambda inputs: {"age": inputs["age"] * 2.0 + tf.constant(1.0)}
    )
    assert analyzers_of(folder) == []


def test_a_variable_is_listed(tmp_path):
    class Held(tf.Module):
        def __init__(self):
            super().__init__()
            self.offset = tf.Variable(2.0)

    def preprocessing_fn(inputs):
        return {"age": inputs["age"] + tft.make_and_track_object(Held, name="held").offset}

    folder = save_transform_graph(tmp_path / "graph", ROWS[:5], SPEC, preprocessing_fn)
    (info,) = analyzers_of(folder)
    assert info.name.endswith("/age")
    assert info.what.endswith("in a variable or another resource")


def test_a_missing_graph_is_unknown(tmp_path):
    with pytest.raises(UnknownAnalyzers, match="the transform graph cannot be loaded"):
        analyzers_of(str(tmp_path))
    assert issubclass(UnknownAnalyzers, InputError)


def test_a_graph_of_tensorflow_1_s_behaviour_is_unknown(tmp_path):
    metadata = tft.DatasetMetadata.from_feature_spec({"age": SPEC["age"]})
    with tft_beam.Context(temp_dir=str(tmp_path / "tmp"), force_tf_compat_v1=True):
        function = ([{"age": 1.0}, {"age": 2.0}], metadata) | tft_beam.AnalyzeDataset(
            lambda inputs: {"age": tft.scale_to_z_score(inputs["age"])}
        )
        function | tft_beam.WriteTransformFn(str(tmp_path / "graph"))
    with pytest.raises(UnknownAnalyzers, match="TensorFlow 1's behaviour.*without force_tf_compat_v1"):
        analyzers_of(str(tmp_path / "graph"))


@pytest.mark.parametrize(
    ("operation", "scope"),
    [
        ("bucketize_1/apply_buckets/assign_buckets/Reshape", "bucketize"),
        ("mine/bucketize_2/x", "mine/bucketize"),
        ("scale_to_0_1/min_and_max/sub_1", "scale_to_0_1"),
        ("scale_to_0_1_1/min_and_max/sub_1", "scale_to_0_1"),
        ("private_scale_to_z_score/private_mean_and_var/strided_slice", "private_scale_to_z_score"),
        ("layers_3/inner/sub", "layers"),
        ("sub", ""),
    ],
)
def test_scopes_are_cut_at_the_analyzer(operation, scope):
    assert analyzer_scope(operation) == scope
