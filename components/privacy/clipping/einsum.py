"""The equation of an EinsumDense layer as a product over positions."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Equation:
    """Labels of the axes by their part in the product.

    Attributes
    ----------
    inputs, kernel, outputs
        All labels, in order.
    groups
        In all three: a product for each of them.
    positions
        In input and output, not in the kernel: what products are added over.
    contracted
        In input and kernel alone.
    made
        In kernel and output alone.
    """

    inputs: str
    kernel: str
    outputs: str
    groups: str
    positions: str
    contracted: str
    made: str

    @classmethod
    def of(cls, text: str, rank: int) -> Equation | None:
        """The equation for inputs of so many axes; none if it is no such product for every example.

        Parameters
        ----------
        text
            As ``"...x,xy->...y"``.
        rank
            Number of axes of the input, with that of examples.
        """
        left, outputs = text.replace(" ", "").split("->")
        inputs, kernel = left.split(",")
        if "..." in text:
            free = [letter for letter in string.ascii_letters if letter not in text]
            elided = "".join(free[: rank - len(inputs.replace("...", ""))])
            inputs, kernel, outputs = (part.replace("...", elided) for part in (inputs, kernel, outputs))
        if any(len(set(part)) < len(part) for part in (inputs, kernel, outputs)):
            return None
        if inputs[0] != outputs[0] or inputs[0] in kernel or set(kernel) - set(inputs) - set(outputs):
            return None
        return cls(
            inputs,
            kernel,
            outputs,
            groups="".join(label for label in kernel if label in inputs and label in outputs),
            positions="".join(label for label in outputs[1:] if label in inputs and label not in kernel),
            contracted="".join(label for label in kernel if label in inputs and label not in outputs),
            made="".join(label for label in kernel if label not in inputs),
        )

    def input_rows(self, tensor: tf.Tensor) -> tf.Tensor:
        """The input as ``(batch, groups, positions, D)``."""
        alone = [axis for axis, label in enumerate(self.inputs) if label not in self.outputs + self.kernel]
        if alone:
            tensor = tf.reduce_sum(tensor, axis=alone)
        labels = "".join(label for axis, label in enumerate(self.inputs) if axis not in alone)
        return self._rows(tensor, labels, self.contracted)

    def output_rows(self, tensor: tf.Tensor) -> tf.Tensor:
        """The output, or the gradient at it, as ``(batch, groups, positions, K)``."""
        return self._rows(tensor, self.outputs, self.made)

    def as_kernel(self, product: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
        """A product of shape ``(groups, D, K)`` in the shape of the kernel."""
        labels = self.groups + self.contracted + self.made
        sizes = dict(zip(self.kernel, shape, strict=True))
        apart = tf.reshape(product, [sizes[label] for label in labels])
        return tf.transpose(apart, [labels.index(label) for label in self.kernel])

    def _rows(self, tensor: tf.Tensor, labels: str, last: str) -> tf.Tensor:
        order = self.inputs[0] + self.groups + self.positions + last
        tensor = tf.transpose(tensor, [labels.index(label) for label in order])
        sizes = dict(zip(order, tensor.shape, strict=True))
        known = [sizes[label] for label in self.positions]
        positions = -1 if None in known else math.prod(known)
        shape = [math.prod(sizes[label] for label in part) for part in (self.groups, last)]
        batch = tf.shape(tensor)[0] if positions == -1 else -1
        return tf.reshape(tensor, [batch, shape[0], positions, shape[1]])
