"""A trial on made-up examples: whether a model keeps them apart, and all gradients are told by example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.clipping import bookkeeping
from tfx_trust.components.privacy.clipping.capture import Call, Watch, capturing
from tfx_trust.components.privacy.clipping.losses import ExampleLosses
from tfx_trust.components.privacy.clipping.made_up import inputs_of, labels_of
from tfx_trust.components.privacy.clipping.plan import Plan
from tfx_trust.components.privacy.clipping.rules import Rule

_ROWS = 4
_MODEL = "whether the model keeps examples apart"
_WEIGHTS = "whether the gradients of all weights are told by example"
_LOSS = "whether the loss keeps examples apart"


def try_out(model: keras.Model, planned: Plan, losses: ExampleLosses) -> list[str]:
    """Call a model on made-up examples, without changing its state, and see that none touches another.

    Returns
    -------
    What could not be checked, and why.

    Raises
    ------
    InputError
        If the model or its loss does what per-example clipping does not allow.
    """
    found = _first_run(model)
    if isinstance(found, str):
        return [f"{check}: {found}" for check in (_MODEL, _WEIGHTS, _LOSS)]
    run, other_inputs = found
    _check_state(model, planned.rules, run)
    _check_rows(model, planned.rules, run)
    again = _Run.of(model, run.x)
    if not _same(run.y_pred, again.y_pred):
        return _random(planned.rules, run, again)
    other = _Run.of(model, other_inputs)
    if not _same(run.y_pred, other.y_pred):
        raise InputError(_mixing(model, run, other))
    _check_count(model, run)
    return [*_check_gradients(model, planned, run.x), *_check_loss(losses, run, other)]


@dataclass(frozen=True)
class _LayerCall:
    layer: keras.Layer
    inputs: Any
    outputs: Any


class _Looker:
    """Notes a layer's calls."""

    def __init__(self, layer: keras.Layer, log: list[_LayerCall]) -> None:
        self.layer = layer
        self._log = log

    def forward(
        self, original: Callable[..., Any], watch: Watch, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Call]:
        outputs = original(*args, **kwargs)
        self._log.append(_LayerCall(self.layer, (args, kwargs), outputs))
        return outputs, Call(None, [])


@dataclass(frozen=True)
class _Run:
    """A call of the model in training: its result, its layers' calls, and what it would have changed."""

    x: Any
    y_pred: Any
    calls: list[_LayerCall]
    scope: keras.StatelessScope

    @classmethod
    def of(cls, model: keras.Model, x: Any) -> _Run:
        log: list[_LayerCall] = []
        lookers = [_Looker(layer, log) for layer in model._flatten_layers(include_self=False)]
        with keras.StatelessScope(collect_losses=True) as scope, capturing(lookers, lambda tensor: None):
            y_pred = bookkeeping.in_training(model, x)
        return cls(x, y_pred, log, scope)


def _first_run(model: keras.Model) -> tuple[_Run, Any] | str:
    """A run on the first inputs that the model can be called on, and other ones; or why there is none."""
    problem = "it is not known what inputs it takes; make it of keras.Input"
    for x, other in inputs_of(model, _ROWS):
        try:
            return _Run.of(model, x), other
        except Exception as error:  # whatever a model raises on what it was not made for
            problem = f"it could not be called on made-up inputs ({type(error).__name__})"
    return problem


# What layers may not do


def _check_state(model: keras.Model, rules: Sequence[Rule], run: _Run) -> None:
    layers = model._flatten_layers()
    for layer in layers:
        if any(id(loss) in layer._loss_ids for loss in run.scope.losses):
            raise InputError(
                f"layer {_named(layer)} calls add_loss(), a loss of the whole batch; return it as an "
                "output and give it a loss of its own in compile()"
            )
    changed = set(run.scope.state_mapping)
    for variable in model.weights:
        if id(variable) in changed:
            raise InputError(
                f"weight {variable.path!r} is changed when the model is called in training: what it keeps "
                "of the examples would leave with the model without noise; take a layer without such a "
                "state"
            )
    known = {id(variable) for variable in model.variables}
    for rule in rules:
        if rule.method != "fallback":
            continue
        generators = [
            generator for layer in rule.layer._flatten_layers() for generator in layer._seed_generators
        ]
        if any(id(generator.state) in changed for generator in generators) or changed - known:
            raise InputError(_drawing(rule))


def _check_rows(model: keras.Model, rules: Sequence[Rule], run: _Run) -> None:
    for tensor in keras.tree.flatten(run.y_pred):
        if not _has_rows(tensor):
            raise InputError(
                f"model {model.name!r} returns shape {tuple(tensor.shape)} for {_ROWS} examples; return a "
                "row for each of them"
            )
    ruled = {id(rule.layer) for rule in rules}
    for call in run.calls:
        if id(call.layer) not in ruled:
            continue
        tensors = [each for each in keras.tree.flatten(call.outputs) if tf.is_tensor(each)]
        for tensor in tensors:
            if not _has_rows(tensor):
                raise InputError(
                    f"layer {_named(call.layer)} has {tensor.shape[0] if tensor.shape else 'no'} rows for "
                    f"{_ROWS} examples: which row is whose is not known; leave the first axis to examples "
                    "(layers take further axes for positions)"
                )


def _random(rules: Sequence[Rule], run: _Run, again: _Run) -> list[str]:
    for first, second in zip(run.calls, again.calls, strict=False):
        if first.layer is second.layer and not _same(first.outputs, second.outputs):
            for rule in rules:
                if rule.method == "fallback" and first.layer in rule.layer._flatten_layers():
                    raise InputError(_drawing(rule))
            break
    why = "it draws random numbers without a keras.random.SeedGenerator"
    return [f"{check}: {why}" for check in (_MODEL, _WEIGHTS, _LOSS)]


def _drawing(rule: Rule) -> str:
    return (
        f"layer {_named(rule.layer)} has no rule for clipping, and what is drawn at random in it (dropout) "
        "would differ when it is computed example by example; set its dropout to 0, and put a Dropout "
        "layer before or after it"
    )


def _check_count(model: keras.Model, run: _Run) -> None:
    """See that what a model returns for an example does not depend on how many there are."""
    try:
        fewer = _Run.of(model, keras.tree.map_structure(lambda tensor: tensor[: _ROWS - 1], run.x))
    except Exception:  # whatever a model raises that takes batches of one size alone
        return
    for one, two in zip(keras.tree.flatten(run.y_pred), keras.tree.flatten(fewer.y_pred), strict=True):
        if one.dtype.is_floating and not np.allclose(one[0], two[0], rtol=1e-4, atol=1e-5, equal_nan=True):
            raise InputError(
                f"model {model.name!r} returns something else for an example where there are fewer others in "
                "its batch: how many there are is private; divide by a fixed number instead"
            )


def _mixing(model: keras.Model, run: _Run, other: _Run) -> str:
    culprit = "one of its layers or operations"
    for first, second in zip(run.calls, other.calls, strict=False):
        if first.layer is second.layer and not _same(first.outputs, second.outputs):
            if _same(first.inputs, second.inputs):
                culprit = f"layer {_named(first.layer)}"
            else:
                culprit = f"an operation before layer {_named(first.layer)}"
            break
    return (
        f"model {model.name!r} mixes the examples of a batch: what it returns for one depends on the "
        f"others, by {culprit}. Take what treats each example by itself, such as LayerNormalization for a "
        "normalisation"
    )


# Gradients


def _check_gradients(model: keras.Model, planned: Plan, x: Any) -> list[str]:
    """See that the gradient of one example, as the engine tells it, is that which TensorFlow computes."""
    with keras.StatelessScope():
        _, calls = bookkeeping.run(planned.rules, lambda: bookkeeping.in_training(model, x), _weighed_outputs)
        told = bookkeeping.weighted_sums(planned.rules, calls, tf.one_hot(0, _ROWS), planned.variables)
        squared = bookkeeping.squared_norms(planned.rules, calls)
    with keras.StatelessScope(), tf.GradientTape() as tape:
        loss = _weighed_outputs(bookkeeping.in_training(model, x))[0]
    computed = [
        np.zeros(variable.shape) if gradient is None else tf.convert_to_tensor(gradient).numpy()
        for variable, gradient in zip(
            planned.variables,
            tape.gradient(loss, [variable.value for variable in planned.variables]),
            strict=True,
        )
    ]
    if not all(np.isfinite(gradient).all() for gradient in computed):
        return [f"{_WEIGHTS}: they are not finite on made-up inputs"]
    largest = max(float(np.abs(gradient).max(initial=0)) for gradient in computed)
    for variable, mine, theirs in zip(planned.variables, told, computed, strict=True):
        size = max(float(np.abs(theirs).max(initial=0)), float(tf.reduce_max(tf.abs(mine))))
        if not np.allclose(mine.numpy(), theirs, rtol=0, atol=1e-3 * size + 1e-6 * largest):
            raise InputError(
                f"the gradient of weight {variable.path!r} does not all come about in calls of its layer: "
                "it is used outside of them too, or in a call that its class does not know; use it in its "
                "own layer alone, and where it is shared, call that layer again"
            )
    norm = np.sqrt(sum(float((gradient.astype(np.float64) ** 2).sum()) for gradient in computed))
    found = float(np.sqrt(sum(float(each[0]) for each in squared)))
    if not np.isclose(found, norm, rtol=1e-3, atol=1e-6):
        raise InputError(
            f"the norms of gradients by example of model {model.name!r} are not told rightly on made-up "
            f"inputs ({found:.6g}, not {norm:.6g}): a layer takes the first axis for another than that of "
            "examples"
        )
    return []


def _weighed_outputs(y_pred: Any) -> tf.Tensor:
    """A number for each example that depends on all of the outputs."""
    rng = np.random.default_rng(3)
    found = tf.zeros([_ROWS])
    for tensor in keras.tree.flatten(y_pred):
        if tensor.dtype.is_floating:
            weighed = tensor * tf.constant(rng.normal(size=tensor.shape), tensor.dtype)
            found += tf.reduce_sum(tf.reshape(weighed, [_ROWS, -1]), axis=1)
    return found


# The loss


def _check_loss(losses: ExampleLosses, run: _Run, other: _Run) -> list[str]:
    problem = "no labels could be made up for it"
    for y, other_y in labels_of(run.y_pred, _ROWS):
        try:
            with keras.StatelessScope():
                first = losses.afresh()(y, run.y_pred)[0].numpy()
                second = losses.afresh()(other_y, other.y_pred)[0].numpy()
        except InputError:
            raise
        except Exception as error:  # whatever a loss raises on what it was not made for
            problem = f"it could not be called on made-up labels ({type(error).__name__})"
            continue
        if not np.isfinite(first).all():
            problem = "it is not finite on made-up labels"
            continue
        if not np.isclose(first[0], second[0], rtol=1e-5, atol=1e-6):
            raise InputError(
                f"the loss of model {losses.model_name!r} mixes the examples of a batch: its value for one "
                "depends on the others; take a loss that gives each example a value of its own"
            )
        return []
    return [f"{_LOSS}: {problem}"]


def _same(first: Any, second: Any) -> bool:
    """Whether two results agree on the first example."""
    pairs = zip(keras.tree.flatten(first), keras.tree.flatten(second), strict=False)
    return all(_same_row(one, two) for one, two in pairs if tf.is_tensor(one) and tf.is_tensor(two))


def _same_row(first: Any, second: Any) -> bool:
    if not (_has_rows(first) and first.shape == second.shape):
        return True
    one, two = first[0].numpy(), second[0].numpy()
    if not first.dtype.is_floating:
        return bool(np.array_equal(one, two))
    return bool(np.allclose(one, two, rtol=1e-6, atol=1e-7, equal_nan=True))


def _has_rows(tensor: tf.Tensor) -> bool:
    return len(tensor.shape) > 0 and tensor.shape[0] == _ROWS


def _named(layer: keras.Layer) -> str:
    return f"{layer.name!r} ({type(layer).__name__})"
