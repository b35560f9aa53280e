"""Which layers a model has, how each is clipped, and what cannot be clipped."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from tfx_trust.components.errors import InputError
from tfx_trust.components.privacy.clipping.rules import Rule, rule_of
from tfx_trust.components.privacy.report import LayerRule


@dataclass(frozen=True)
class Plan:
    """How a model is clipped."""

    rules: list[Rule]
    variables: list[keras.Variable]
    described: list[LayerRule]
    unchecked: list[str]


def plan(model: keras.Model) -> Plan:
    """How a model's layers are clipped."""
    if not model.built:
        raise InputError(
            f"model {model.name!r} is not built, so its weights are not known; call it on a batch, or model.build()"
        )
    variables = list(model.trainable_variables)
    trained = {id(variable) for variable in variables}
    rules: list[Rule] = []
    described: list[LayerRule] = []
    for layer in model._flatten_layers(include_self=False):
        own = list(layer._trainable_variables) + list(layer._non_trainable_variables)
        weights = [variable for variable in own if id(variable) in trained]
        if not weights:
            continue
        rule = rule_of(layer, weights)
        if rule is None:
            raise InputError(f"layer {layer.name!r} ({type(layer).__name__}) cannot be clipped")
        rules.append(rule)
        described.append(
            LayerRule(
                layer=layer.name,
                kind=type(layer).__name__,
                method=rule.method,
                weights=sum(int(variable.value.shape.num_elements()) for variable in weights),
            )
        )
    return Plan(rules, variables, described, [])
