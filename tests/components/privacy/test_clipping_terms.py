"""Norms and sums of products, lookups and broadcasts, held against gradients that are written out."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from per_example import compiled, data_of, per_example

from tfx_trust.components.privacy.clipping import Engine, terms
from tfx_trust.components.privacy.clipping.einsum import Equation

layers = keras.layers


def numbers(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def written(inputs: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    return np.einsum("bgpd,bgpk->bgdk", inputs, gradients, dtype=np.float64)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 99),
)
def test_products(batch: int, groups: int, positions: int, width: int, outputs: int, seed: int) -> None:
    inputs = numbers(batch, groups, positions, width, seed=seed)
    gradients = numbers(batch, groups, positions, outputs, seed=seed + 1)
    expected = written(inputs, gradients)
    found = terms.product_norms(tf.constant(inputs), tf.constant(gradients))
    np.testing.assert_allclose(found, (expected**2).sum((1, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(
        terms.product_sum(tf.constant(inputs), tf.constant(gradients)), expected.sum(0), atol=1e-4
    )


def test_few_positions_are_taken_by_their_products_with_each_other() -> None:
    inputs, gradients = numbers(3, 1, 2, 40), numbers(3, 1, 2, 50, seed=2)
    expected = (written(inputs, gradients) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(terms._gram_norms(inputs, gradients), expected, rtol=1e-6)
    np.testing.assert_allclose(terms._written_norms(inputs, gradients), expected, rtol=1e-6)


def opposite(apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Two positions that take in the same and whose gradients are opposite but for a part."""
    inputs = np.repeat(numbers(1, 1, 1, 60), 2, axis=2)
    gradient = numbers(1, 1, 1, 60, seed=2)
    return inputs, np.concatenate([gradient, -gradient * np.float32(1 + apart)], axis=2)


@pytest.mark.parametrize("apart", [0.1, 0.01])
def test_positions_that_cancel_leave_the_small_norm_that_they_have(apart: float) -> None:
    inputs, gradients = opposite(apart)
    expected = (written(inputs, gradients) ** 2).sum((1, 2, 3))
    found = terms.product_norms(tf.constant(inputs), tf.constant(gradients))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_where_they_cancel_to_less_than_float32_can_tell_the_norm_is_not_told_too_small() -> None:
    inputs, gradients = opposite(1e-5)
    parts = ((inputs**2).sum(3) * (gradients**2).sum(3)).sum((1, 2))
    found = terms.product_norms(tf.constant(inputs), tf.constant(gradients))
    np.testing.assert_allclose(found, terms._OF_PARTS * parts, rtol=1e-4)
    ids, same = tf.zeros([1, 2], tf.int32), tf.constant(gradients[0])
    np.testing.assert_allclose(
        terms.lookup_norms(ids, same), terms._OF_PARTS * (gradients**2).sum((1, 2, 3)), rtol=1e-4
    )
    np.testing.assert_allclose(
        terms.broadcast_norms([same], (60,)), terms._OF_PARTS * (gradients**2).sum((1, 2, 3)), rtol=1e-4
    )


def test_squares_too_small_for_float32_are_not_lost() -> None:
    inputs, gradients = np.full((1, 4), 1e-25, np.float32), np.full((1, 3), 1e25, np.float32)
    norm = np.sqrt(terms.product_norms(tf.constant(inputs), tf.constant(gradients)))
    assert norm >= np.sqrt(12)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 12), st.integers(1, 4), st.integers(1, 6), st.integers(0, 99))
def test_lookups(batch: int, positions: int, width: int, rows: int, seed: int) -> None:
    ids = np.random.default_rng(seed).integers(0, rows, (batch, positions))
    gradients = numbers(batch, positions, width, seed=seed)
    expected = np.zeros((batch, rows, width))
    for example in range(batch):
        np.add.at(expected[example], ids[example], gradients[example])
    found = terms.lookup_norms(tf.constant(ids), tf.constant(gradients))
    np.testing.assert_allclose(found, (expected**2).sum((1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        terms.lookup_sum(tf.constant(ids), tf.constant(gradients), rows), expected.sum(0), atol=1e-5
    )


def test_negative_ids_count_from_the_end() -> None:
    x = keras.Input([3], dtype="int32")
    model = compiled(keras.Model(x, layers.Dense(1)(layers.Flatten()(layers.Embedding(5, 2)(x)))), "mse")
    ids, y = np.array([[-1, 4, 0], [1, -5, 2]], np.int32), np.ones((2, 1), np.float32)
    expected = per_example(model, ids, y)
    clipped = Engine(model).step(ids, y, None, 0.1)
    np.testing.assert_allclose(clipped.norms, expected.norms, rtol=1e-5)
    for mine, total in zip(clipped.sums, expected.sums(0.1)):
        np.testing.assert_allclose(mine, total, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((3,), (0, 1)), ((2, 3), (0,)), ((2, 1), (0, 2)), ((4, 2, 3), ()), ((4, 1, 1), (1, 2))],
)
def test_what_was_broadcast_is_added_up(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    gradients = numbers(5, 4, 2, 3)
    summed = gradients.sum(tuple(axis + 1 for axis in expected)).reshape(5, *shape)
    np.testing.assert_allclose(terms.reduce_to(tf.constant(gradients), shape), summed, rtol=1e-5)


@pytest.mark.parametrize("fixed", [True, False], ids=["fixed batch", "any batch"])
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("batch", [1, 4, 7, 13])
def test_chunks_of_examples_give_what_all_at_once_do(
    batch: int, jit: bool, fixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms, "_AT_ONCE", 4 * 10)
    seen: list[int | None] = []

    def squared(one: Any, two: Any) -> Any:
        seen.append(one.shape[0])
        return tf.reduce_sum(one * two, axis=[1, 2])

    one, two = numbers(batch, 2, 3), numbers(batch, 2, 3, seed=2)
    specs = [tf.TensorSpec([batch if fixed else None, 2, 3])] * 2
    function = tf.function(lambda *both: terms.in_chunks(squared, both, 10), specs, jit_compile=jit)
    np.testing.assert_allclose(function(one, two), (one * two).sum((1, 2)), rtol=1e-5, atol=1e-6)
    if fixed and batch <= 4:
        assert seen == [batch]


@pytest.mark.parametrize("rows", [3, 8])
def test_layers_in_chunks_equal_a_loop(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms, "_AT_ONCE", 150)
    keras.utils.set_random_seed(2)
    x = keras.Input([5, 4])
    h = layers.Conv1D(3, 2)(layers.Dense(4)(x))
    h = layers.PReLU()(layers.EinsumDense("abc,cde->abde", (4, 2, 3))(h))
    model = compiled(keras.Model(x, layers.Dense(1)(layers.Flatten()(h))), "mse")
    data, y = data_of(model, rows)
    expected = per_example(model, data, y)
    engine = Engine(model)
    specs = [tf.TensorSpec([None, 5, 4]), tf.TensorSpec([None, 1])]
    found = tf.function(lambda x, y: engine.step(x, y, None, 1.0).norms, specs)(data, y)
    np.testing.assert_allclose(found, expected.norms, rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "inputs", "kernel"),
    [
        ("ab,bc->ac", (2, 3), (3, 4)),
        ("abc,cd->abd", (2, 5, 3), (3, 4)),
        ("abcd,dce->abe", (2, 5, 3, 4), (4, 3, 6)),
        ("abcd,cde->aebc", (2, 5, 3, 4), (3, 4, 6)),
        ("abc,bcd->abd", (2, 5, 3), (5, 3, 4)),
        ("abc,cd->ad", (2, 5, 3), (3, 4)),
        ("ab,bcd->adc", (2, 3), (3, 4, 5)),
        ("abc,bc->a", (2, 5, 3), (5, 3)),
        ("...x,xy->...y", (2, 5, 6, 3), (3, 4)),
        ("ab...,bc->ac...", (2, 3, 5, 6), (3, 4)),
    ],
)
def test_an_equation_is_a_product_over_positions(
    text: str, inputs: tuple[int, ...], kernel: tuple[int, ...]
) -> None:
    equation = Equation.of(text, len(inputs))
    assert equation is not None
    x, w = tf.constant(numbers(*inputs)), tf.constant(numbers(*kernel, seed=2))
    with tf.GradientTape() as tape:
        tape.watch(w)
        y = tf.einsum(text, x, w)
        loss = tf.reduce_sum(y * y)
    expected = tape.gradient(loss, w)
    product = terms.product_sum(equation.input_rows(x), equation.output_rows(2 * y))
    np.testing.assert_allclose(equation.as_kernel(product, kernel), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("text", ["ab,bcd->ac", "ab,ac->bc", "abb,bc->ac", "ab,bc->ca", "ab,abc->ac"])
def test_an_equation_that_is_none_for_every_example_by_itself_is_left_to_the_fallback(text: str) -> None:
    assert Equation.of(text, len(text.split(",")[0])) is None
