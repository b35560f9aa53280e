"""The bounded sample: the same rows whatever their order, counts complete."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_trust.components.leakage.columns import Layout
from tfx_trust.components.leakage.sample import Sample, Sampler
from tfx_trust.components.leakage.tables import batches_of

LAYOUT = Layout({"a": "integer", "b": "text"})


def sampled(values: list[int], limit: int, size: int) -> Sample:
    table = pa.table({"a": pa.array(values), "b": pa.array([str(value % 3) for value in values])})
    sampler = Sampler(limit)
    for batch in batches_of(table.to_batches(max_chunksize=size), LAYOUT):
        sampler.add(batch)
    return sampler.sample()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(0, 25), min_size=1, max_size=120),
    st.integers(1, 12),
    st.integers(1, 40),
    st.randoms(use_true_random=False),
)
def test_order_and_batches_do_not_change_it_and_counts_are_complete(
    values: list[int], limit: int, size: int, random: object
) -> None:
    sample = sampled(values, limit, 1000)
    again = sampled(random.sample(values, len(values)), limit, size)  # type: ignore[attr-defined]
    assert (sample.priority == again.priority).all()
    assert (sample.count == again.count).all()
    assert (sample.terms == again.terms).all()
    assert sample.rows == min(limit, len(set(values)))
    assert sample.complete == (len(set(values)) < limit)
    for value, count in zip(sample.numbers["a"], sample.count):
        assert values.count(int(value)) == count


def test_every_distinct_row_has_the_same_chance_however_often_it_occurs() -> None:
    rare, often = [], []
    for start in range(0, 40_000, 200):
        values = [*range(start, start + 100), *(np.repeat(np.arange(start + 100, start + 200), 9).tolist())]
        kept = sampled(values, 50, 500).numbers["a"]
        rare.append((kept < start + 100).sum())
        often.append((kept >= start + 100).sum())
    assert abs(np.mean(rare) - np.mean(often)) < 1.5
