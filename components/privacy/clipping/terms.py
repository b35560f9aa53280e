"""How an example's gradient of one weight follows from what a layer took in and the gradient at what it put out.

For each kind of weight there are two functions. ``*_norms`` gives the squared L2 norm of every example's
gradient, of shape ``(batch,)``; ``*_sum`` gives the sum of all examples' gradients. For a sum of clipped
gradients the latter is given output gradients that were scaled, example by example: a gradient is linear in
them.
"""

from __future__ import annotations

import math

import tensorflow as tf

# Numbers that the gradients of a chunk of examples may have together, where they are written out: 16 MB.
_CHUNK = 1 << 22
# A product in double precision costs about so many in single precision.
_DOUBLE = 3


def squares(tensor: tf.Tensor) -> tf.Tensor:
    """Sum of squares over all axes but the first."""
    return tf.reduce_sum(tf.square(tensor), axis=list(range(1, len(tensor.shape))))


# A product: the gradient is the sum over positions of the outer product of input and output gradient.


def product_norms(inputs: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Squared norms of ``sum_p inputs[b, g, p] (x) gradients[b, g, p]`` over all ``g``.

    Parameters
    ----------
    inputs
        Of shape ``(batch, groups, positions, D)``, or ``(batch, D)`` for one group and one position.
    gradients
        Of shape ``(batch, groups, positions, K)``, or ``(batch, K)``.
    """
    if len(inputs.shape) == 2:
        return squares(inputs) * squares(gradients)
    _, groups, positions, width = inputs.shape
    outputs = gradients.shape[-1]
    if positions == 1:
        return tf.reduce_sum(
            tf.reduce_sum(tf.square(inputs), axis=[2, 3]) * tf.reduce_sum(tf.square(gradients), axis=[2, 3]),
            axis=1,
        )
    if positions is not None and _DOUBLE * positions * (width + outputs) < width * outputs:
        return in_chunks(_gram_norms, [inputs, gradients], groups * positions * positions * 4)
    return in_chunks(_written_norms, [inputs, gradients], (groups or 1) * width * outputs)


def _written_norms(inputs: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    return squares(tf.linalg.matmul(inputs, gradients, transpose_a=True))


def _gram_norms(inputs: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    # In double precision: positions may cancel, and the square of a small norm is then the difference of large ones.
    inputs, gradients = tf.cast(inputs, tf.float64), tf.cast(gradients, tf.float64)
    products = tf.linalg.matmul(inputs, inputs, transpose_b=True) * tf.linalg.matmul(
        gradients, gradients, transpose_b=True
    )
    return tf.cast(tf.maximum(tf.reduce_sum(products, axis=[1, 2, 3]), 0), tf.float32)


def product_sum(inputs: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Sum over examples and positions of the outer products, of shape ``(groups, D, K)`` or ``(D, K)``."""
    if len(inputs.shape) == 2:
        return tf.linalg.matmul(inputs, gradients, transpose_a=True)
    if inputs.shape[1] == 1:
        rows = tf.reshape(inputs, [-1, inputs.shape[-1]])
        return tf.linalg.matmul(rows, tf.reshape(gradients, [-1, gradients.shape[-1]]), transpose_a=True)[
            None
        ]
    return tf.einsum("bgpd,bgpk->gdk", inputs, gradients)


# A lookup: the gradient of a row of the table is the sum of the output gradients where it was looked up.


def lookup_norms(ids: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Squared norms, where an example looks up rows `ids`, some perhaps more than once.

    Parameters
    ----------
    ids
        Row of the table, of shape ``(batch, positions)``.
    gradients
        Of shape ``(batch, positions, K)``.
    """
    if ids.shape[1] == 1:
        return squares(gradients)
    shape = tf.shape(ids)
    batch, positions = shape[0], shape[1]
    order = tf.argsort(ids, axis=1)
    ids = tf.gather(ids, order, axis=1, batch_dims=1)
    gradients = tf.gather(gradients, order, axis=1, batch_dims=1)
    first = tf.pad(tf.cast(ids[:, 1:] != ids[:, :-1], tf.int32), [[0, 0], [1, 0]])
    segments = tf.cumsum(first, axis=1) + tf.range(batch)[:, None] * positions
    summed = tf.math.unsorted_segment_sum(gradients, segments, batch * positions)
    return squares(tf.reshape(summed, tf.shape(gradients)))


def lookup_sum(ids: tf.Tensor, gradients: tf.Tensor, rows: int) -> tf.Tensor:
    """Sum of all examples' gradients of a table of so many rows, of shape ``(rows, K)``."""
    flat = tf.reshape(gradients, [-1, gradients.shape[-1]])
    return tf.math.unsorted_segment_sum(flat, tf.reshape(ids, [-1]), rows)


def reduce_to(gradients: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Each example's gradient of a weight of such a shape that was broadcast and added.

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
    whole = (1,) * (rank - len(shape)) + tuple(shape)
    summed = [axis for axis in range(1, rank) if whole[axis] == 1 and gradients.shape[axis] != 1]
    if summed:
        gradients = tf.reduce_sum(gradients, axis=summed)
    if gradients.shape[1:] != shape:
        gradients = tf.reshape(gradients, [-1, *shape])
    return gradients


def in_chunks(function: object, tensors: list[tf.Tensor], numbers: int) -> tf.Tensor:
    """The function of some examples' tensors, for all examples: so many at a time as memory is given.

    Parameters
    ----------
    function
        Takes tensors whose first axis is that of examples, returns one of shape ``(examples,)``.
    numbers
        What it holds in memory for one example, in numbers.
    """
    at_once = max(1, _CHUNK // max(1, numbers))
    batch = tensors[0].shape[0]
    if batch is not None and batch <= at_once:
        return function(*tensors)
    batch = tf.shape(tensors[0])[0]
    chunks = tf.maximum((batch + at_once - 1) // at_once, 1)
    size = (batch + chunks - 1) // chunks
    padded = [
        tf.reshape(
            tf.pad(tensor, [[0, chunks * size - batch]] + [[0, 0]] * (len(tensor.shape) - 1)),
            tf.concat([[chunks, size], tf.shape(tensor)[1:]], axis=0),
        )
        for tensor in tensors
    ]
    for tensor, whole in zip(tensors, padded, strict=True):
        whole.set_shape([None, None, *tensor.shape[1:]])
    found = tf.map_fn(
        lambda some: function(*some), padded, fn_output_signature=tf.float32, parallel_iterations=1
    )
    return tf.reshape(found, [-1])[:batch]


def numbers_of(shape: tuple[int, ...]) -> int:
    """How many numbers a tensor of such a shape has."""
    return math.prod(shape)
