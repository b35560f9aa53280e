"""How each kind of layer is clipped: what is kept of its calls, and its weights' norms and sums from that."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import keras
import tensorflow as tf

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.clipping import terms
from tfx_trust.components.privacy.clipping.capture import Call, Watch
from tfx_trust.components.privacy.clipping.einsum import Equation

Original = Callable[..., Any]


class Rule(abc.ABC):
    """A layer with weights to train, and how examples' gradients of them are found.

    Parameters
    ----------
    layer
        The layer.
    weights
        Those of its weights that are trained.
    """

    method: ClassVar[Literal["ghost", "fallback"]] = "ghost"

    def __init__(self, layer: keras.Layer, weights: Sequence[keras.Variable]) -> None:
        self.layer = layer
        self.weights = list(weights)

    @abc.abstractmethod
    def forward(
        self, original: Original, watch: Watch, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Call]:
        """What the layer returns, and its call."""

    @abc.abstractmethod
    def norms(self, calls: Sequence[Call]) -> tf.Tensor:
        """Squared norm of each example's gradient of all the weights, of shape ``(batch,)``.

        Parameters
        ----------
        calls
            At least one.
        """

    @abc.abstractmethod
    def sums(self, calls: Sequence[Call]) -> list[tf.Tensor | None]:
        """Sum of the examples' gradients by weight, none for zero; calls as for `norms`."""

    def scaled_sums(self, calls: Sequence[Call], scales: tf.Tensor) -> list[tf.Tensor | None]:
        """The same of gradients that are each multiplied by their example's scale."""
        return self.sums([call.scaled(scales) for call in calls])

    def trains(self, weight: keras.Variable | None) -> bool:
        """Whether a weight is among the trained ones."""
        return any(weight is mine for mine in self.weights)


class Affine(Rule):
    """A layer that multiplies by a kernel, adds a bias, and then applies an activation."""

    def forward(
        self, original: Original, watch: Watch, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Call]:
        """The layer's own code without its activation, and then that."""
        layer = self.layer
        activation = layer.activation
        layer.__dict__["activation"] = None
        try:
            before = original(*args, **kwargs)
        finally:
            layer.__dict__["activation"] = activation
        watch(before)
        after = before if activation is None else activation(before)
        return after, Call(self._dense_input(args, kwargs), [before])

    def norms(self, calls: Sequence[Call]) -> tf.Tensor:
        """Of the kernel and of the bias, added."""
        found = []
        if self.trains(self.layer.kernel):
            found.append(self.kernel_norms(calls))
        if self.trains(self.layer.bias):
            gradients = [call.gradient for call in calls]
            found.append(terms.broadcast_norms(gradients, tuple(self.layer.bias.shape)))
        return add(found)

    def sums(self, calls: Sequence[Call]) -> list[tf.Tensor | None]:
        """Of the kernel and of the bias."""
        return [
            tf.reduce_sum(self._bias_gradients(calls), axis=0)
            if weight is self.layer.bias
            else self.kernel_sum(calls)
            for weight in self.weights
        ]

    @abc.abstractmethod
    def kernel_norms(self, calls: Sequence[Call]) -> tf.Tensor:
        """Squared norm of each example's gradient of the kernel."""

    @abc.abstractmethod
    def kernel_sum(self, calls: Sequence[Call]) -> tf.Tensor:
        """Sum of the examples' gradients of the kernel."""

    def _bias_gradients(self, calls: Sequence[Call]) -> tf.Tensor:
        shape = tuple(self.layer.bias.shape)
        return add([terms.reduce_to(call.gradient, shape) for call in calls])

    def _dense_input(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tf.Tensor:
        given = first(args, kwargs)
        if isinstance(given, tf.SparseTensor | tf.RaggedTensor):
            raise InputError(
                f"layer {self.layer.name!r} ({type(self.layer).__name__}) is called on a "
                f"{type(given).__name__}; call it on a dense tensor (tf.sparse.to_dense, or to_tensor)"
            )
        return tf.convert_to_tensor(given)


class Dense(Affine):
    """A dense layer, applied to examples or to positions of them."""

    def kernel_norms(self, calls: Sequence[Call]) -> tf.Tensor:
        """Those of a product."""
        return terms.product_norms(*self._rows(calls))

    def kernel_sum(self, calls: Sequence[Call]) -> tf.Tensor:
        """That of a product."""
        product = terms.product_sum(*self._rows(calls))
        return product if len(product.shape) == 2 else product[0]

    def _rows(self, calls: Sequence[Call]) -> tuple[tf.Tensor, tf.Tensor]:
        if len(calls) == 1 and len(calls[0].inputs.shape) == 2:
            return calls[0].inputs, calls[0].gradient
        inputs = by_position([call.inputs for call in calls])
        return inputs[:, None], by_position([call.gradient for call in calls])[:, None]


class EinsumDense(Affine):
    """Any product of examples by a kernel that an equation writes."""

    def kernel_norms(self, calls: Sequence[Call]) -> tf.Tensor:
        """Those of a product."""
        return terms.product_norms(*self._rows(calls))

    def kernel_sum(self, calls: Sequence[Call]) -> tf.Tensor:
        """That of a product."""
        product = terms.product_sum(*self._rows(calls))
        return self._equation(calls[0]).as_kernel(product, tuple(self.layer.kernel.shape))

    def _rows(self, calls: Sequence[Call]) -> tuple[tf.Tensor, tf.Tensor]:
        equation = self._equation(calls[0])
        inputs = [equation.input_rows(call.inputs) for call in calls]
        gradients = [equation.output_rows(call.gradient) for call in calls]
        return join(inputs, axis=2), join(gradients, axis=2)

    def _equation(self, call: Call) -> Equation:
        equation = Equation.of(self.layer.equation, len(call.inputs.shape))
        assert equation is not None, self.layer.equation
        return equation


class Convolution(Affine):
    """A convolution over one or two axes, channels last."""

    def kernel_norms(self, calls: Sequence[Call]) -> tf.Tensor:
        """Those of a product of patches of the input, which are cut out for some examples at a time."""
        flat: list[tf.Tensor] = []
        for call in calls:
            flat += [self._padded(call.inputs), call.gradient]
        kernel = self.layer.kernel.shape.num_elements()
        places = sum((call.gradient.shape[1:-1].num_elements() or 1024) for call in calls)
        patches = places * kernel // self.layer.filters
        return terms.in_chunks(self._norms_by_patches, flat, max(kernel, patches))

    def kernel_sum(self, calls: Sequence[Call]) -> tf.Tensor:
        """From the gradient of the convolution itself, which needs no patches."""
        found = []
        kernel = tf.convert_to_tensor(self.layer.kernel)
        for call in calls:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(kernel)
                made = keras.ops.conv(
                    self._padded(call.inputs),
                    kernel,
                    strides=list(self.layer.strides),
                    padding=self._padding,
                    data_format="channels_last",
                    dilation_rate=self.layer.dilation_rate,
                )
            found.append(tape.gradient(made, kernel, output_gradients=call.gradient))
        return add(found)

    def _norms_by_patches(self, *flat: tf.Tensor) -> tf.Tensor:
        inputs = by_position([self._patches(each) for each in flat[0::2]])
        return terms.product_norms(inputs[:, None], by_position(flat[1::2])[:, None])

    def _patches(self, images: tf.Tensor) -> tf.Tensor:
        kernel, strides, rates = (
            list(getattr(self.layer, name)) for name in ("kernel_size", "strides", "dilation_rate")
        )
        if self.layer.rank == 1:
            images = images[:, None]
            kernel, strides, rates = [1, *kernel], [1, *strides], [1, *rates]
        return tf.image.extract_patches(
            images, [1, *kernel, 1], [1, *strides, 1], [1, *rates, 1], self._padding.upper()
        )

    @property
    def _padding(self) -> str:
        return "valid" if self.layer.padding == "causal" else str(self.layer.padding)

    def _padded(self, inputs: tf.Tensor) -> tf.Tensor:
        if self.layer.padding != "causal":
            return inputs
        before = self.layer.dilation_rate[0] * (self.layer.kernel_size[0] - 1)
        return tf.pad(inputs, [[0, 0], [before, 0], [0, 0]])


class Embedding(Rule):
    """A table of vectors that are looked up by number."""

    def forward(
        self, original: Original, watch: Watch, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Call]:
        """The layer's own code; the numbers are kept as it uses them."""
        found = original(*args, **kwargs)
        watch(found)
        ids = first(args, kwargs)
        if isinstance(ids, tf.SparseTensor | tf.RaggedTensor):
            raise InputError(
                f"layer {self.layer.name!r} (Embedding) is called on a {type(ids).__name__}; call it on a "
                "dense tensor (tf.sparse.to_dense, or to_tensor), with mask_zero=True where it is padded"
            )
        ids = tf.convert_to_tensor(ids)
        if ids.dtype not in (tf.int32, tf.int64):
            ids = tf.cast(ids, tf.int32)
        # Negative numbers count from the end.
        return found, Call(tf.where(ids < 0, ids + tf.cast(self.layer.input_dim, ids.dtype), ids), [found])

    def norms(self, calls: Sequence[Call]) -> tf.Tensor:
        """Those of lookups."""
        return terms.lookup_norms(*self._lookups(calls))

    def sums(self, calls: Sequence[Call]) -> list[tf.Tensor | None]:
        """That of lookups."""
        return [terms.lookup_sum(*self._lookups(calls), self.layer.input_dim)]

    def _lookups(self, calls: Sequence[Call]) -> tuple[tf.Tensor, tf.Tensor]:
        ids = by_position([call.inputs[..., None] for call in calls])[..., 0]
        return ids, by_position([call.gradient for call in calls])


class Normalization(Rule):
    """A layer that normalises each example by itself, then scales and shifts."""

    def __init__(self, layer: keras.Layer, weights: Sequence[keras.Variable]) -> None:
        super().__init__(layer, weights)
        is_rms = _RMS is not None and isinstance(layer, _RMS)
        self._scale: keras.Variable | None = layer.scale if is_rms else layer.gamma
        self._shift: keras.Variable | None = None if is_rms else layer.beta

    def forward(
        self, original: Original, watch: Watch, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Call]:
        """The layer's own code with a scale of one and a shift of zero, and then these."""
        neutral = []
        if self._scale is not None:
            neutral.append((self._scale, tf.ones(self._scale.shape)))
        if self._shift is not None:
            neutral.append((self._shift, tf.zeros(self._shift.shape)))
        with keras.StatelessScope(neutral):
            normal = original(*args, **kwargs)
        made = normal
        if self._scale is not None:
            made = made * tf.reshape(tf.convert_to_tensor(self._scale), self._broadcast(normal))
        if self._shift is not None:
            made = made + tf.reshape(tf.convert_to_tensor(self._shift), self._broadcast(normal))
        watch(made)
        return made, Call(normal, [made])

    def norms(self, calls: Sequence[Call]) -> tf.Tensor:
        """Of scale and shift, added."""
        shape = self._broadcast(calls[0].inputs)[1:]
        return add([terms.broadcast_norms(self._gradients(weight, calls), shape) for weight in self.weights])

    def sums(self, calls: Sequence[Call]) -> list[tf.Tensor | None]:
        """Of scale and shift."""
        shape = self._broadcast(calls[0].inputs)[1:]
        found = [
            add([terms.reduce_to(gradient, shape) for gradient in self._gradients(weight, calls)])
            for weight in self.weights
        ]
        return [
            tf.reshape(tf.reduce_sum(total, axis=0), weight.shape)
            for weight, total in zip(self.weights, found, strict=True)
        ]

    def _gradients(self, weight: keras.Variable, calls: Sequence[Call]) -> list[tf.Tensor]:
        """By call, at every position."""
        return [call.gradient * call.inputs if weight is self._scale else call.gradient for call in calls]

    def _broadcast(self, tensor: tf.Tensor) -> list[int]:
        axes = self.layer.axis if isinstance(self.layer.axis, list | tuple) else [self.layer.axis]
        shape = [1] * len(tensor.shape)
        for axis in axes:
            shape[axis] = tensor.shape[axis]
        return shape


def first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The first argument of a layer."""
    return args[0] if args else next(iter(kwargs.values()))


def add(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Their sum."""
    return tensors[0] if len(tensors) == 1 else tf.add_n(tensors)


def join(tensors: Sequence[tf.Tensor], axis: int) -> tf.Tensor:
    """One after the other."""
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis=axis)


def by_position(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """All of their vectors by example, of shape ``(batch, positions, width)``."""
    flat = []
    for tensor in tensors:
        if len(tensor.shape) != 3:
            between = tensor.shape[1:-1].num_elements()
            batch = tf.shape(tensor)[0] if between is None else -1
            tensor = tf.reshape(tensor, [batch, -1 if between is None else between, tensor.shape[-1]])
        flat.append(tensor)
    return join(flat, axis=1)


def rule_of(layer: keras.Layer, weights: Sequence[keras.Variable]) -> Rule | None:
    """The rule for a layer, if one knows all that it computes; none for a subclass with other code."""
    for kind, rule in _RULES:
        if isinstance(layer, kind) and type(layer).call is kind.call and "call" not in layer.__dict__:
            return rule(layer, weights) if _plain(layer) else None
    return None


def _plain(layer: keras.Layer) -> bool:
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        return False
    if isinstance(layer, keras.layers.EinsumDense):
        return Equation.of(layer.equation, layer.input_spec.ndim) is not None
    if isinstance(layer, keras.layers.Conv1D | keras.layers.Conv2D):
        return layer.groups == 1 and layer.data_format == "channels_last"
    return True


_RMS: type[keras.Layer] | None = getattr(keras.layers, "RMSNormalization", None)
_RULES: list[tuple[type[keras.Layer], type[Rule]]] = [
    (keras.layers.Dense, Dense),
    (keras.layers.EinsumDense, EinsumDense),
    (keras.layers.Conv1D, Convolution),
    (keras.layers.Conv2D, Convolution),
    (keras.layers.Embedding, Embedding),
    (keras.layers.LayerNormalization, Normalization),
    (keras.layers.GroupNormalization, Normalization),
    *([(_RMS, Normalization)] if _RMS is not None else []),
]
