"""How each layer of a model is clipped, and which models cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import keras
from absl import logging

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.clipping.fallback import Fallback
from tfx_trust.components.privacy.clipping.rules import Rule, rule_of
from tfx_trust.components.privacy.report import LayerRule

# Layers that mix the examples of a batch, or keep something of it, and what to take instead.
_MIXING: list[tuple[type[keras.Layer], str]] = [
    (
        keras.layers.BatchNormalization,
        "it normalises an example by the others of its batch and keeps their statistics; use "
        "keras.layers.GroupNormalization or LayerNormalization, or freeze it (trainable = False)",
    ),
    (
        keras.layers.SpectralNormalization,
        "it keeps a state of its own that training changes; use the layer in it without it",
    ),
]
# Layers that call others in a loop.
_LOOPS = (keras.layers.RNN, keras.layers.Bidirectional, keras.layers.TimeDistributed)


@dataclass
class Plan:
    """How a model is clipped.

    Attributes
    ----------
    rules
        One for each layer that has weights to train.
    variables
        The trained variables, in the model's order.
    described
        The same, and the layers that are not trained, for the report.
    """

    rules: list[Rule] = field(default_factory=list)
    variables: list[keras.Variable] = field(default_factory=list)
    described: list[LayerRule] = field(default_factory=list)


def plan(model: keras.Model) -> Plan:
    """How a model's layers are clipped.

    Raises
    ------
    InputError
        If it cannot be: with the layer, the reason and what to do.
    """
    _check_model(model)
    made = Plan(variables=list(model.trainable_variables))
    _visit(model, {id(variable) for variable in made.variables}, made, set())
    _check_cover(model, made)
    for rule in made.rules:
        if rule.method == "fallback":
            logging.warning(
                "Layer %r (%s) has no rule for clipping: the gradient of each example is computed for it, "
                "which takes several times longer.",
                rule.layer.name,
                type(rule.layer).__name__,
            )
    return made


def same(first: Sequence[keras.Variable], second: Sequence[keras.Variable]) -> bool:
    """Whether these are the same variables in the same order."""
    return [id(variable) for variable in first] == [id(variable) for variable in second]


def check_trainable(model: keras.Model, variables: Sequence[keras.Variable]) -> None:
    """An error if the model's trainable variables are not these."""
    if not same(model.trainable_variables, variables):
        raise InputError(
            f"the trainable weights of model {model.name!r} changed after it was made private: a layer was "
            "frozen, thawed, added or built anew; set `trainable` first, then compile and make it private"
        )


def _check_model(model: keras.Model) -> None:
    name = f"model {model.name!r}"
    if not model.built:
        raise InputError(
            f"{name} is not built, so its weights are not known; give it an Input, or call it on a batch once"
        )
    for method, instead in (
        ("train_step", "private training has a step of its own, which would take its place"),
        (
            "compute_loss",
            "the loss of each example is needed, not that of a batch; pass `loss=` to compile()",
        ),
    ):
        if getattr(type(model), method) is not getattr(keras.Model, method):
            raise InputError(f"{name} ({type(model).__name__}) overrides {method}(): {instead}")
    if not model.trainable_variables:
        raise InputError(f"{name} has no trainable weights; set `trainable` of the layers to train")
    if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
        raise InputError(f"{name} scales its loss for mixed precision; compile it with the inner optimizer")


def _visit(layer: keras.Layer, trained: set[int], made: Plan, seen: set[int]) -> None:
    """Find a rule for a layer, or for the layers that it is made of."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    everything = [variable for variable in layer.trainable_variables if id(variable) in trained]
    if layer.trainable:
        _check_layer(layer, bool(everything))
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    mine = [variable for variable in own if id(variable) in trained]
    frozen = [variable for variable in own if id(variable) not in trained and _is_weight(layer, variable)]
    rule: Rule | None = None
    if everything and isinstance(layer, _LOOPS):
        rule = Fallback(layer, everything)
    elif mine:
        rule = rule_of(layer, mine) or Fallback(layer, everything)
    if rule is not None:
        made.rules.append(rule)
        made.described.append(_described(layer, rule.method, rule.weights))
    whole = isinstance(rule, Fallback)
    if whole:
        frozen = [variable for variable in layer.weights if id(variable) not in trained]
    if frozen:
        made.described.append(_described(layer, "frozen", frozen))
    if whole:
        for inner in layer._flatten_layers(include_self=False):
            if inner.trainable:
                _check_layer(inner, bool(inner.trainable_variables))
        return
    for inner in layer._flatten_layers(include_self=False, recursive=False):
        _visit(inner, trained, made, seen)


def _check_layer(layer: keras.Layer, has_trained: bool) -> None:
    name = f"layer {layer.name!r} ({type(layer).__name__})"
    for kind, reason in _MIXING:
        if isinstance(layer, kind):
            raise InputError(f"{name} cannot be trained privately: {reason}")
    if layer.activity_regularizer is not None:
        raise InputError(
            f"{name} has an activity regularizer, a loss of the whole batch; add its value to each "
            "example's loss instead, or regularize the weights"
        )
    if not has_trained:
        return
    if layer.compute_dtype != "float32" or layer.variable_dtype != "float32":
        raise InputError(
            f"{name} computes in {layer.compute_dtype} with weights in {layer.variable_dtype}: rounded "
            "gradients can exceed the clip norm; use the dtype policy 'float32'"
        )
    if getattr(layer, "quantization_mode", None):
        raise InputError(f"{name} is quantized ({layer.quantization_mode}); train it before it is quantized")
    if getattr(layer, "_remat_mode", None) is not None:
        raise InputError(f"{name} was made in a RematScope, which computes it twice; make it without")


def _check_cover(model: keras.Model, made: Plan) -> None:
    owner: dict[int, Rule] = {}
    for rule in made.rules:
        for weight in rule.weights:
            other = owner.setdefault(id(weight), rule)
            if other is not rule:
                raise InputError(
                    f"weight {weight.path!r} belongs to layer {other.layer.name!r} and to layer "
                    f"{rule.layer.name!r}: its gradient is told by one; give each a weight of its own, or "
                    "call the same layer in both places"
                )
    for variable in made.variables:
        if id(variable) not in owner:
            raise InputError(
                f"weight {variable.path!r} of model {model.name!r} belongs to none of its layers, so that "
                "its gradient cannot be told by example; create it in a layer"
            )


def _is_weight(layer: keras.Layer, variable: keras.Variable) -> bool:
    """Whether it is one, rather than the state of random numbers."""
    return any(variable is weight for weight in layer.weights)


def _described(layer: keras.Layer, method: str, weights: Sequence[keras.Variable]) -> LayerRule:
    return LayerRule(
        layer=layer.path or layer.name,
        kind=type(layer).__name__,
        method=method,
        weights=sum(int(weight.value.shape.num_elements()) for weight in weights),
    )
