"""Private analyzers in Transform: what they find, what they cost, what they refuse."""

from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.beam import analyzer_cache
from transform_graphs import save_transform_graph

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.analyzers import (
    private_bounds,
    private_bucketize,
    private_compute_and_apply_vocabulary,
    private_mean_and_var,
    private_quantiles,
    private_scale_to_z_score,
    private_vocabulary,
)
from tfx_trust.components.privacy.transform_graph import analyzers_of

ROWS = 2000
SPEC = {
    "age": tf.io.FixedLenFeature([], tf.float32),
    "hours": tf.io.FixedLenFeature([], tf.int64),
    "town": tf.io.FixedLenFeature([], tf.string),
    "wage": tf.io.VarLenFeature(tf.float32),
    "tag": tf.io.VarLenFeature(tf.string),
}


def rows(count=ROWS):
    random = np.random.default_rng(1)
    return [
        {
            "age": float(np.float32(random.normal(50, 10))),
            "hours": int(random.integers(0, 90)),
            "town": str(random.choice(["Ulm", "Ems", "Aue"], p=[0.6, 0.3, 0.1])) if row else "alone",
            "wage": float(np.float32(random.normal(300, 40))) if row % 3 else None,
            "tag": "new" if row % 2 else None,
        }
        for row in range(count)
    ]


def preprocessing_fn(inputs):
    low, high = private_bounds(inputs["wage"], noise_multiplier=1.0)
    pair = tf.stack([inputs["age"], tf.cast(inputs["hours"], tf.float32)], axis=1)
    vocabulary = private_vocabulary(
        tf.as_string(inputs["hours"] % 5), noise_multiplier=3.0, delta=1e-6, vocab_filename="mod five"
    )
    within = tft.scale_to_0_1(inputs["age"])
    return {
        "pair": private_scale_to_z_score(pair, 0, [100, 90], noise_multiplier=2.0),
        "wage": private_scale_to_z_score(inputs["wage"], noise_multiplier=2.0, name="pay"),
        "late": private_scale_to_z_score(inputs["wage"], low, high, noise_multiplier=2.0, name="late"),
        "bucket": private_bucketize(inputs["age"], 0, 100, 4, noise_multiplier=2.0),
        "buckets": private_bucketize(pair, 0, [100, 90], [3, 5], noise_multiplier=2.0, where=pair > 45),
        "wage_bucket": private_bucketize(inputs["wage"], 0, 600, 2, noise_multiplier=2.0),
        "town": private_compute_and_apply_vocabulary(inputs["town"], noise_multiplier=3.0, delta=1e-6),
        "tag": private_compute_and_apply_vocabulary(
            inputs["tag"], noise_multiplier=3.0, delta=1e-6, num_oov_buckets=1
        ),
        "five": tft.apply_vocabulary(tf.as_string(inputs["hours"]), vocabulary),
        "low": tf.cast(within > private_quantiles(within, 0, 1, 4, noise_multiplier=2.0)[0], tf.int64),
    }


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Of an analysis of two phases, of which TFX 1.16's Transform is not capable, but tft is."""
    folder = tmp_path_factory.mktemp("graph")
    metadata = tft.DatasetMetadata.from_feature_spec(SPEC)
    made = [{name: listed(name, value) for name, value in row.items()} for row in rows()]
    with tft_beam.Context(temp_dir=str(folder / "tmp")):
        function = (made, metadata) | tft_beam.AnalyzeDataset(preprocessing_fn)
        function | tft_beam.WriteTransformFn(str(folder / "5"))
        metadata | tft_beam.WriteMetadata(str(folder / "5" / "metadata"), beam.Pipeline())
    return str(folder / "5")


def listed(name, value):
    """A value as tft takes it: missing ones are of variable length."""
    return value if name not in ("wage", "tag") else [] if value is None else [value]


@pytest.fixture(scope="module")
def transformed(graph):
    features = {name: [row[name] for row in rows()] for name in SPEC}
    raw = {
        name: tf.ragged.constant([[] if value is None else [value] for value in values]).to_sparse()
        if name in ("wage", "tag")
        else tf.constant(values, SPEC[name].dtype)
        for name, values in features.items()
    }
    return tft.TFTransformOutput(graph).transform_features_layer()(raw)


@pytest.mark.slow
def test_columns_are_scaled_together(transformed):
    np.testing.assert_allclose(np.mean(transformed["pair"], 0), 0, atol=0.05)
    np.testing.assert_allclose(np.std(transformed["pair"], 0), 1, atol=0.05)
    assert transformed["pair"].dtype == tf.float32


@pytest.mark.slow
def test_missing_values_stay_missing_and_do_not_count(transformed):
    for name in ("wage", "late"):
        wage = transformed[name]
        assert isinstance(wage, tf.SparseTensor)
        assert len(wage.values) == ROWS - len(range(0, ROWS, 3))
        # The bounds found are 128 and 512.
        assert np.mean(wage.values) == pytest.approx(0, abs=0.1)
        assert np.std(wage.values) == pytest.approx(1, abs=0.1)
    assert np.mean(transformed["wage_bucket"].values) == pytest.approx(0.5, abs=0.05)


@pytest.mark.slow
def test_buckets_are_of_the_values_that_count(transformed):
    np.testing.assert_allclose(np.bincount(transformed["bucket"]) / ROWS, 0.25, atol=0.05)
    pair = np.array([[row["age"], row["hours"]] for row in rows()])
    for column, buckets in enumerate((3, 5)):
        found = transformed["buckets"].numpy()[pair[:, column] > 45, column]
        np.testing.assert_allclose(np.bincount(found) / len(found), 1 / buckets, atol=0.06)
        # What does not count has a bucket all the same.
        assert (transformed["buckets"].numpy()[pair[:, column] <= 45, column] == 0).all()


@pytest.mark.slow
def test_words_of_few_are_unknown(graph, transformed):
    town = np.array([row["town"] for row in rows()])
    assert set(transformed["town"].numpy()[town == "Ulm"]) == {0}
    assert set(transformed["town"].numpy()[town == "Aue"]) == {2}
    assert transformed["town"].numpy()[0] == -1
    assert set(transformed["tag"].values.numpy()) == {0}
    output = tft.TFTransformOutput(graph)
    assert set(output.vocabulary_by_name("mod five")) == {b"0", b"1", b"2", b"3", b"4"}
    assert output.vocabulary_size_by_name("mod five") == 5


@pytest.mark.slow
def test_their_cost_is_found_again(graph):
    found = {info.name: info for info in analyzers_of(graph)}
    assert {name: info.mechanism and info.mechanism.noise_multiplier for name, info in found.items()} == {
        "late/private_mean_and_var/wage": 2.0,
        "pay/private_mean_and_var/wage": 2.0,
        "private_bounds/wage": 1.0,
        "private_bucketize/age": 2.0,
        "private_bucketize/age+hours": 2.0,
        "private_bucketize/wage": 2.0,
        "private_compute_and_apply_vocabulary/tag": 3.0,
        "private_compute_and_apply_vocabulary/town": 3.0,
        "private_quantiles/age": 2.0,
        "private_scale_to_z_score/age+hours": 2.0,
        "private_vocabulary/hours": 3.0,
        "scale_to_0_1": None,
        "scale_to_0_1/age": None,
    }
    # What a private analyzer was fed with is told, whether or not it ships by itself.
    assert "which the input of private_quantiles was made with" in found["scale_to_0_1"].what
    mechanisms = [info.mechanism for info in found.values() if info.mechanism]
    assert {mechanism.examples for mechanism in mechanisms} == {ROWS}
    assert {(mechanism.sampling, mechanism.steps) for mechanism in mechanisms} == {("none", 1)}
    assert {each.what for each in mechanisms} == {name for name in found if "private" in name}
    words = [each.extra_delta for each in mechanisms if "vocabulary" in each.what]
    assert words == [1e-6] * 3
    assert sum(each.extra_delta for each in mechanisms) == pytest.approx(3e-6)


@pytest.mark.slow
def test_a_changed_vocabulary_is_no_longer_private(graph):
    vocabulary = Path(tft.TFTransformOutput(graph).vocabulary_file_by_name("mod five"))
    content = vocabulary.read_bytes()
    try:
        vocabulary.write_bytes(content + b"secret\n")
        found = {info.name: info for info in analyzers_of(graph)}
    finally:
        vocabulary.write_bytes(content)
    assert "private_vocabulary/hours" not in found
    assert found["apply_vocab/hours"].mechanism is None
    assert "mod-five" in found["apply_vocab/hours"].what


# Transform's cache


def analyze(tmp_path, low, high):
    """What Transform's cache held of two spans, and the graph that was made with it."""

    def fn(inputs):
        mean, _ = private_mean_and_var(inputs["age"], low, high, noise_multiplier=2.0)
        edges = private_quantiles(inputs["age"], low, high, 4, noise_multiplier=2.0)
        return {"mean": inputs["age"] - mean, "edge": inputs["age"] - edges[0]}

    metadata = tft.DatasetMetadata.from_feature_spec({"age": SPEC["age"]})
    ages = [{"age": row["age"]} for row in rows()]
    spans = {
        analyzer_cache.DatasetKey("span-1"): ages[:700],
        analyzer_cache.DatasetKey("span-2"): ages[700:],
    }
    folder = tmp_path / f"graph-{len(list(tmp_path.iterdir()))}"
    cache_folder = str(tmp_path / "cache")
    with tft_beam.Context(temp_dir=str(tmp_path / "tmp")):
        pipeline = beam.Pipeline("DirectRunner")
        data = {key: pipeline | key.key >> beam.Create(span) for key, span in spans.items()}
        cache = {}
        if Path(cache_folder).exists():
            cache = pipeline | analyzer_cache.ReadAnalysisCacheFromFS(cache_folder, list(spans))
        function, made = (data, cache, metadata) | tft_beam.AnalyzeDatasetWithCache(fn, pipeline=pipeline)
        made | analyzer_cache.WriteAnalysisCacheToFS(pipeline, cache_folder)
        function | tft_beam.WriteTransformFn(str(folder))
        result = pipeline.run()
        result.wait_until_finish()
    counters = {
        each.key.metric.name: each.committed
        for each in result.metrics().query()["counters"]
        if each.key.metric.name.startswith("cache_entries")
    }
    layer = tft.TFTransformOutput(str(folder)).transform_features_layer()
    at_zero = layer({"age": tf.constant([0.0])})
    return counters, {name: float(-values[0]) for name, values in at_zero.items()}, str(folder)


@pytest.mark.slow
def test_cached_sums_get_fresh_noise_and_other_bounds_are_not_cached(tmp_path):
    first, found, _ = analyze(tmp_path, 0, 100)
    again, found_again, graph = analyze(tmp_path, 0, 100)
    other, found_other, _ = analyze(tmp_path, 0, 40)
    assert (first, again) == ({"cache_entries_encoded": 4}, {"cache_entries_decoded": 4})
    assert other == {"cache_entries_encoded": 4}
    assert found["mean"] == pytest.approx(50, abs=2)
    assert found["edge"] == pytest.approx(43.3, abs=2)
    assert found_again["mean"] == pytest.approx(found["mean"], abs=2)
    assert found_again["mean"] != found["mean"]
    # Most are clipped to 40.
    assert found_other["mean"] == pytest.approx(39, abs=1)
    assert {info.mechanism.examples for info in analyzers_of(graph)} == {ROWS}


# What is refused


def saved(tmp_path, fn, made=None, spec=None):
    return save_transform_graph(tmp_path / "graph", made or rows(30), spec or SPEC, fn)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda x: private_mean_and_var(x["age"], 9, 3, noise_multiplier=1), "low must be below"),
        (lambda x: private_mean_and_var(x["age"], 9, noise_multiplier=1), "give low and high, or neither"),
        (
            lambda x: private_mean_and_var(x["age"], 1, 3, noise_multiplier=0),
            "noise_multiplier must be a pos",
        ),
        (lambda x: private_mean_and_var(x["town"], 1, 3, noise_multiplier=1), "x must be numbers, found s"),
        (lambda x: private_bounds(x["cube"], noise_multiplier=1), r"x must have shape \[examples\] or"),
        (
            lambda x: private_quantiles(x["age"], 1, 3, 1, noise_multiplier=1),
            "buckets must be a whole number",
        ),
        (lambda x: private_quantiles(x["age"], 1, 3, [2, 3], noise_multiplier=1), "found \\[2, 3\\]"),
        (
            lambda x: private_quantiles(x["age"], 1, 3, 2, noise_multiplier=1, where=x["age"]),
            "where must be bool of the shape of x",
        ),
        (
            lambda x: private_mean_and_var(x["wage"], 1, 3, noise_multiplier=1, where=x["age"] > 0),
            "where is for a dense x",
        ),
        (lambda x: private_vocabulary(x["town"], noise_multiplier=1, delta=0.7), "delta must be above 0 and"),
        (lambda x: private_vocabulary(x["age"], noise_multiplier=1, delta=1e-6), "x must be texts or whole"),
        (
            lambda x: private_vocabulary(x["town"], noise_multiplier=1, delta=1e-6, top_k=0),
            "top_k must be 1 or more",
        ),
        (
            lambda x: private_vocabulary(x["pair"], noise_multiplier=1, delta=1e-6),
            r"x must have shape \[examples\], found",
        ),
    ],
)
def test_wrong_use_is_refused_when_the_function_is_traced(use, message):
    @tf.function(
        input_signature=[
            {
                "age": tf.TensorSpec([None], tf.float32),
                "town": tf.TensorSpec([None], tf.string),
                "pair": tf.TensorSpec([None, 2], tf.string),
                "cube": tf.TensorSpec([None, 2, 2], tf.float32),
                "wage": tf.SparseTensorSpec([None, None], tf.float32),
            }
        ],
        autograph=False,
    )
    def traced(inputs):
        use(inputs)
        return inputs["age"]

    with pytest.raises(InputError, match=message):
        traced.get_concrete_function()


def test_nan_stops_the_analysis(tmp_path):
    made = rows(30)
    made[3]["age"] = float("nan")

    def fn(inputs):
        return {"age": private_scale_to_z_score(inputs["age"], 0, 100, noise_multiplier=1)}

    with pytest.raises(
        Exception, match=r"private_scale_to_z_score/.*: values are NaN .* leave them out by `where`"
    ):
        saved(tmp_path, fn, made)


def test_several_values_of_an_example_stop_the_analysis(tmp_path):
    made = rows(30)
    made[3]["tag"] = ["new", "old"]

    def fn(inputs):
        private_vocabulary(inputs["tag"], noise_multiplier=1, delta=1e-6)
        return {"age": inputs["age"]}

    with pytest.raises(Exception, match=r"private_vocabulary: examples have more than one value"):
        saved(tmp_path, fn, made)


def test_a_vocabulary_without_frequent_words_has_one_that_nothing_equals(tmp_path):
    def fn(inputs):
        coded = private_compute_and_apply_vocabulary(
            inputs["town"], noise_multiplier=30.0, delta=1e-9, vocab_filename="towns"
        )
        return {"town": coded}

    output = tft.TFTransformOutput(saved(tmp_path, fn))
    assert output.vocabulary_by_name("towns") == [b"49d0cd50-04bb-48c0-bc6f-5b575dce351a"]
    coded = output.transform_features_layer()({"town": tf.constant(["Ulm"])})
    assert coded["town"].numpy().tolist() == [-1]


def test_under_tensorflow_1_s_behaviour_they_are_refused(tmp_path):
    def fn(inputs):
        mean, _ = private_mean_and_var(inputs["age"], 0, 100, noise_multiplier=1.0)
        return {"age": inputs["age"] - mean}

    metadata = tft.DatasetMetadata.from_feature_spec({"age": SPEC["age"]})
    with (
        tft_beam.Context(temp_dir=str(tmp_path / "tmp"), force_tf_compat_v1=True),
        pytest.raises(InputError, match="run Transform without force_tf_compat_v1"),
    ):
        ([{"age": 1.0}], metadata) | tft_beam.AnalyzeDataset(fn)
