"""Edges of numeric features' buckets: by the training statistics, or by a training column."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_metadata.proto.v0 import statistics_pb2

from tfx_trust.components import InputError
from tfx_trust.components.fairness.buckets import edges_for, edges_of, edges_of_column, is_wide
from tfx_trust.components.fairness.config import FairnessSettings


def statistics_of(**columns: Sequence[Any]) -> statistics_pb2.DatasetFeatureStatistics:
    """What StatisticsGen would write of some columns."""
    import pandas as pd

    made = tfdv.generate_statistics_from_dataframe(pd.DataFrame(columns), n_jobs=1)
    return made.datasets[0]


def histogram(*buckets: tuple[float, float, float], whole: bool = False) -> Any:
    """Statistics of a feature ``x`` with a histogram of quantiles alone."""
    made = statistics_pb2.DatasetFeatureStatistics()
    feature = made.features.add()
    feature.path.step.append("x")
    feature.type = feature.INT if whole else feature.FLOAT
    feature.num_stats.min, feature.num_stats.max = buckets[0][0], buckets[-1][1]
    found = feature.num_stats.histograms.add(type=statistics_pb2.Histogram.QUANTILES)
    for low, high, count in buckets:
        found.buckets.add(low_value=low, high_value=high, sample_count=count)
    return made


@pytest.fixture(scope="module")
def training() -> statistics_pb2.DatasetFeatureStatistics:
    random = np.random.default_rng(0)
    return statistics_of(
        age=random.integers(17, 91, 5_000),
        income=random.lognormal(0, 1, 5_000).astype(np.float32),
        gain=np.where(random.random(5_000) < 0.92, 0, random.integers(1_000, 9_000, 5_000)),
        loss=np.where(random.random(5_000) < 0.97, 0.0, random.random(5_000)),
        same=np.full(5_000, 3.0),
        sex=random.choice(["f", "m"], 5_000),
    )


def test_quantiles_between_those_of_the_histogram_are_interpolated() -> None:
    made = histogram((0, 1, 10), (1, 3, 10), (3, 7, 20))
    assert edges_of(made, "x", 4) == [1.0, 3.0, 5.0]
    assert edges_of(made, "x", 8)[:2] == [0.5, 1.0]


def test_edges_of_whole_numbers_are_whole_and_divide_them_alike() -> None:
    assert edges_of(histogram((0, 9, 10), whole=True), "x", 4) == [3.0, 5.0, 7.0]
    values = np.arange(10)
    for whole, real in zip([3, 5, 7], [2.25, 4.5, 6.75], strict=True):
        assert ((values >= whole) == (values >= real)).all()


def test_buckets_by_statistics_hold_equally_many_training_examples(training: Any) -> None:
    random = np.random.default_rng(0)
    age = random.integers(17, 91, 5_000)
    income = random.lognormal(0, 1, 5_000).astype(np.float32)
    for name, values in (("age", age), ("income", income)):
        edges = edges_of(training, name, 5)
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=5)
        assert len(edges) == 4
        assert np.abs(counts / 5_000 - 0.2).max() < 0.04, name


def test_a_whole_number_that_is_mostly_the_least_is_divided_above_it(training: Any) -> None:
    assert edges_of(training, "gain", 4) == [1.0]


def test_a_weighted_histogram_is_used_where_there_is_no_other() -> None:
    made = histogram((0, 4, 10))
    numbers = made.features[0].num_stats
    numbers.weighted_numeric_stats.histograms.append(numbers.histograms[0])
    numbers.weighted_numeric_stats.histograms[0].buckets[0].high_value = 8
    assert edges_of(made, "x", 2) == [2.0]
    del numbers.histograms[:]
    numbers.max = 8
    assert edges_of(made, "x", 2) == [4.0]


def test_edges_that_are_given_need_no_statistics() -> None:
    assert edges_of(None, "x", [1.5, 2.5]) == [1.5, 2.5]
    assert edges_of_column(pa.array([], pa.float64()), [1.5]) == [1.5]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("other", "the training statistics have no feature 'other'; name the edges .settings: buckets."),
        ("sex", "have 'sex' as no number"),
        ("same", "'same' has the value 3 in nearly all training examples"),
        ("loss", "'loss' has the value 0 in nearly all training examples"),
    ],
)
def test_a_feature_without_edges_is_refused(training: Any, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        edges_of(training, name, 4)


def test_there_are_no_edges_without_statistics() -> None:
    with pytest.raises(
        InputError, match="'x' is a number without buckets; name the edges .settings: buckets."
    ):
        edges_of(None, "x", 4)
    made = histogram((0, 4, 10))
    made.features[0].num_stats.histograms[0].type = statistics_pb2.Histogram.STANDARD
    with pytest.raises(InputError, match="no quantiles of feature 'x'"):
        edges_of(made, "x", 4)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=200), st.integers(2, 9))
def test_edges_of_a_column_ascend_and_leave_examples_on_either_side(values: list[int], wanted: int) -> None:
    column = pa.chunked_array([values[: len(values) // 2], values[len(values) // 2 :]], pa.int64())
    if len(set(values)) == 1:
        with pytest.raises(InputError, match="one value in the training examples"):
            edges_of_column(column, wanted, "x")
        return
    edges = edges_of_column(column, wanted, "x")
    assert edges == sorted(set(edges))
    assert 1 <= len(edges) < wanted
    counts = np.bincount(np.searchsorted(edges, values, side="right"))
    assert (counts > 0).all()
    assert set(edges) <= set(map(float, values))


def test_edges_of_distinct_values_make_equal_buckets() -> None:
    values = np.random.default_rng(0).permutation(1_000) / 8
    edges = edges_of_column(pa.array(values), 5)
    assert np.bincount(np.searchsorted(edges, values, side="right")).tolist() == [200] * 5


def test_what_is_no_number_in_a_column_does_not_count() -> None:
    column = pa.array([None, float("nan"), float("inf"), 1.0, 2.0], pa.float64())
    assert edges_of_column(column, 2) == [2.0]
    with pytest.raises(InputError, match="'x' has no number in the training examples"):
        edges_of_column(pa.array([None, float("nan")], pa.float64()), 2, "x")


def test_features_get_buckets_if_they_are_named_real_or_wide(training: Any) -> None:
    settings = FairnessSettings(label="y", slices=[["sex"], ["age"], ["income"]], buckets={"gain": 2})
    kinds = {"y": "integer", "sex": "text", "age": "integer", "income": "real", "gain": "integer"}
    kinds |= {"small": "integer", "year": "integer", "loss": "real"}

    def find(name: str, wanted: int | list[float]) -> list[float]:
        if name == "loss":
            raise InputError("none")
        return [float(wanted)] if isinstance(wanted, int) else wanted

    edges = edges_for(settings, kinds, find, lambda name: name in ("age", "year"))  # type: ignore[arg-type]
    assert edges == {"gain": [2.0], "age": [4.0], "income": [4.0], "year": [4.0]}
    with pytest.raises(InputError, match="none"):
        edges_for(FairnessSettings(label="y", slices=[["loss"]]), kinds, find)  # type: ignore[arg-type]
    alone = FairnessSettings(label="y", slices=[["sex"]], discover=[])
    assert edges_for(alone, kinds, find) == {}  # type: ignore[arg-type]


def test_a_whole_number_is_wide_by_the_training_statistics(training: Any) -> None:
    assert is_wide(training, "age", 72)
    assert not is_wide(training, "age", 73)
    assert not is_wide(training, "sex", 20)
    assert not is_wide(None, "age", 20)
