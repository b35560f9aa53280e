"""How an example's gradient of a weight follows from a layer's input and the gradient at its output.

For a kind of weight, ``*_norms`` gives the squared L2 norm of every example's gradient, of shape
``(batch,)``, and ``*_sum`` the sum of all examples' gradients. The latter gives the sum of clipped gradients
where the output gradients were scaled, example by example: a gradient is linear in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

# Numbers that may be held at once for some examples where gradients are written out: 16 MB.
_AT_ONCE = 1 << 22
# A multiplication in double precision costs about as much as so many in single precision.
_DOUBLE = 3
# Squares below it may count as zero in float32.
_LEAST = 1.2e-38
# Of the squares of a gradient's parts, what it counts as where they cancel.
_OF_PARTS = 1e-6


def squares(tensor: tf.Tensor) -> tf.Tensor:
    """Sum of squares by example."""
    return tf.reduce_sum(tf.square(tensor), axis=list(range(1, len(tensor.shape))))


def no_less(norms: tf.Tensor, parts: tf.Tensor) -> tf.Tensor:
    """Squared norms, or a millionth of their parts' where these cancel to less.

    The norm is that of the exact sum, but parts that are a thousand times as long are added to those of other
    examples in float32: what is rounded there would move the sum of all by more than the clip norm.
    """
    return tf.maximum(norms, _OF_PARTS * parts)


# Products: an example's gradient is the sum over positions of the outer products of input and output
# gradient.


def product_norms(inputs: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Squared norms of ``sum_p inputs[b, g, p] outer gradients[b, g, p]``, added over ``g``.

    Parameters
    ----------
    inputs
        Of shape ``(batch, groups, positions, D)``, or ``(batch, D)`` for one group and one position.
    gradients
        Of shape ``(batch, groups, positions, K)``, or ``(batch, K)``.
    """
    if len(inputs.shape) == 2:
        return _lengths(squares(inputs), inputs) * _lengths(squares(gradients), gradients)
    by_position = [_lengths(tf.reduce_sum(tf.square(each), axis=-1), each) for each in (inputs, gradients)]
    parts = tf.reduce_sum(by_position[0] * by_position[1], axis=[1, 2])
    _, groups, positions, width = inputs.shape
    outputs = gradients.shape[-1]
    if positions == 1:
        return parts
    if positions is not None and _DOUBLE * positions * (width + outputs) < width * outputs:
        norms = in_chunks(_gram_norms, [inputs, gradients], 4 * groups * positions * positions)
    else:
        norms = in_chunks(_written_norms, [inputs, gradients], groups * width * outputs)
    return no_less(norms, parts)


def _lengths(squared: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    # What small squares lose is added, so that large ones of the other side do not make nothing of them.
    return squared + _LEAST * vectors.shape[-1]


def product_sum(inputs: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Sum over examples and positions of the outer products, of shape ``(groups, D, K)`` or ``(D, K)``."""
    if len(inputs.shape) == 2:
        return tf.linalg.matmul(inputs, gradients, transpose_a=True)
    if inputs.shape[1] == 1:
        rows = [tf.reshape(each, [-1, each.shape[-1]]) for each in (inputs, gradients)]
        return tf.linalg.matmul(*rows, transpose_a=True)[None]
    return tf.einsum("bgpd,bgpk->gdk", inputs, gradients)


def _written_norms(inputs: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    return squares(tf.linalg.matmul(inputs, gradients, transpose_a=True))


def _gram_norms(inputs: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    # In double precision: where positions cancel, the small square is a difference of large numbers.
    grams = [
        tf.linalg.matmul(each, each, transpose_b=True)
        for each in (tf.cast(inputs, tf.float64), tf.cast(gradients, tf.float64))
    ]
    return tf.cast(tf.maximum(tf.reduce_sum(grams[0] * grams[1], axis=[1, 2, 3]), 0.0), tf.float32)


# Lookups: the gradient of a row of a table is the sum of the output gradients where it was looked up.


def lookup_norms(ids: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Squared norms where an example looks up rows `ids`, some perhaps more than once.

    Parameters
    ----------
    ids
        Rows of the table, of shape ``(batch, positions)``.
    gradients
        Of shape ``(batch, positions, K)``.
    """
    if ids.shape[1] == 1:
        return squares(gradients)
    batch, positions = tf.unstack(tf.shape(ids))
    order = tf.argsort(ids, axis=1)
    ids = tf.gather(ids, order, axis=1, batch_dims=1)
    gradients = tf.gather(gradients, order, axis=1, batch_dims=1)
    # Equal neighbours are of one segment; there are as many segments as positions, some of them empty.
    changes = tf.pad(tf.cast(ids[:, 1:] != ids[:, :-1], tf.int32), [[0, 0], [1, 0]])
    segments = tf.cumsum(changes, axis=1) + tf.range(batch)[:, None] * positions
    added = tf.math.unsorted_segment_sum(gradients, segments, batch * positions)
    norms = squares(tf.reshape(added, [batch, positions, gradients.shape[-1]]))
    return no_less(norms, squares(gradients))


def lookup_sum(ids: tf.Tensor, gradients: tf.Tensor, rows: int) -> tf.Tensor:
    """Sum of the examples' gradients of a table of so many rows, of shape ``(rows, K)``."""
    flat = tf.reshape(gradients, [-1, gradients.shape[-1]])
    return tf.math.unsorted_segment_sum(flat, tf.reshape(ids, [-1]), rows)


# Broadcasts: the gradient of what was added to all positions is the sum over them.


def broadcast_norms(gradients: Sequence[tf.Tensor], shape: Sequence[int]) -> tf.Tensor:
    """Squared norms of the sum, over positions and calls, of gradients of a weight that was broadcast.

    Parameters
    ----------
    gradients
        One for each call, of shape ``(batch, ...)``.
    shape
        Of the weight; the axes that it lacks are the first ones.
    """
    added = [reduce_to(gradient, shape) for gradient in gradients]
    if len(added) == 1:
        norms = squares(added[0])
        return norms if added[0] is gradients[0] else no_less(norms, squares(gradients[0]))
    return no_less(squares(tf.add_n(added)), tf.add_n([squares(gradient) for gradient in gradients]))


def reduce_to(gradients: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Each example's gradient of a weight that was broadcast and added.

    Parameters
    ----------
    gradients
        Of shape ``(batch, ...)``.
    shape
        Of the weight; the axes that it lacks are the first ones.

    Returns
    -------
    Of shape ``(batch, *shape)``.
    """
    rank = len(gradients.shape)
    whole = [1] * (rank - len(shape)) + list(shape)
    added = [axis for axis in range(1, rank) if whole[axis] == 1 and gradients.shape[axis] != 1]
    if added:
        gradients = tf.reduce_sum(gradients, axis=added)
    if gradients.shape[1:] != tuple(shape):
        gradients = tf.reshape(gradients, [-1, *shape])
    return gradients


def in_chunks(function: Callable[..., tf.Tensor], tensors: Sequence[tf.Tensor], numbers: int) -> tf.Tensor:
    """Values by example from tensors by example, of so many examples at a time as memory is given for.

    Parameters
    ----------
    function
        Takes tensors whose first axis is that of examples, returns float32 of shape ``(examples,)``.
    tensors
        Its arguments, for all examples.
    numbers
        What it holds in memory for one example, in numbers.
    """
    at_once = max(1, _AT_ONCE // max(1, numbers))
    batch = tensors[0].shape[0]
    if batch is not None:
        return function(*tensors) if batch <= at_once else _chunked(function, tensors, batch, at_once)
    rows = tf.shape(tensors[0])[0]
    found = tf.cond(
        rows <= at_once,
        lambda: function(*tensors),
        lambda: _chunked(function, tensors, rows, at_once),
    )
    return tf.ensure_shape(found, [None])


def sums_in_chunks(
    function: Callable[..., Sequence[tf.Tensor]],
    scales: tf.Tensor,
    tensors: Sequence[tf.Tensor],
    shapes: Sequence[tuple[int, ...]],
    numbers: int,
) -> Sequence[tf.Tensor]:
    """Sums over examples, of so many at a time as memory is given for.

    Parameters
    ----------
    function
        Takes some of the scales and of the tensors, returns sums over these examples.
    scales
        By example.
    tensors
        By example.
    shapes
        Of the sums.
    numbers
        What the function holds in memory for one example, in numbers.
    """
    at_once = max(1, _AT_ONCE // max(1, numbers))
    batch = tensors[0].shape[0]
    if batch is not None and batch <= at_once:
        return function(scales, *tensors)
    if batch is None:
        batch = tf.shape(tensors[0])[0]
    chunks = (batch + at_once - 1) // at_once
    size = (batch + chunks - 1) // chunks
    # The last example again where there is none left, with a scale of zero.
    places = tf.reshape(tf.range(chunks * size), [chunks, size])
    found = tf.minimum(places, batch - 1)
    scales = tf.where(places < batch, tf.gather(scales, found), 0.0)

    def add(chunk: tf.Tensor, sums: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        some = [tf.gather(tensor, found[chunk]) for tensor in tensors]
        more = function(scales[chunk], *some)
        return chunk + 1, [one + other for one, other in zip(sums, more, strict=True)]

    begin = (tf.constant(0), [tf.zeros(shape) for shape in shapes])
    _, sums = tf.while_loop(lambda chunk, _: chunk < chunks, add, begin, parallel_iterations=1)
    return list(sums)


def _chunked(
    function: Callable[..., tf.Tensor], tensors: Sequence[tf.Tensor], batch: int | tf.Tensor, at_once: int
) -> tf.Tensor:
    # Chunks of one size, for XLA; there are fewer rows of padding than chunks.
    chunks = (batch + at_once - 1) // at_once
    size = (batch + chunks - 1) // chunks
    split = []
    for tensor in tensors:
        padded = tf.pad(tensor, [[0, chunks * size - batch]] + [[0, 0]] * (len(tensor.shape) - 1))
        whole = tf.reshape(padded, tf.concat([[chunks, size], tf.shape(tensor)[1:]], axis=0))
        whole.set_shape([None, None, *tensor.shape[1:]])
        split.append(whole)
    found = tf.map_fn(
        lambda some: function(*some), split, fn_output_signature=tf.float32, parallel_iterations=1
    )
    return tf.reshape(found, [-1])[:batch]
