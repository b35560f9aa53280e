"""What depends on the training data beside the noised gradients, and ships with the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras

from tfx_trust.components.privacy.report import LayerRule, Leak

_CALLBACKS: list[tuple[type[keras.callbacks.Callback], str, str]] = [
    (
        keras.callbacks.EarlyStopping,
        "early_stopping",
        "training stops by {monitor}, which is measured without noise",
    ),
    (
        keras.callbacks.ReduceLROnPlateau,
        "reduce_lr_on_plateau",
        "the learning rate falls by {monitor}, which is measured without noise",
    ),
]
_PREPROCESSING = {"Normalization"}
"""Layers whose weights are told of by `_adapted`."""


def of_model(model: keras.Model, rules: Iterable[LayerRule]) -> Iterator[Leak]:
    """Leaks that the model itself shows."""
    frozen = [rule.layer for rule in rules if rule.method == "frozen" and rule.kind not in _PREPROCESSING]
    if frozen:
        yield _leak(
            "frozen_weights",
            f"the weights of {_listed(frozen)} are not trained here: what they were made of is not covered",
        )
    layers = list(model._flatten_layers(include_self=False))
    within = {
        id(layer._lookup_layer) for layer in layers if isinstance(layer, keras.layers.TextVectorization)
    }
    for layer in layers:
        what = _adapted(layer)
        if what and id(layer) not in within:
            yield _leak(
                f"adapted/{layer.name}",
                f"layer {layer.name!r} ({type(layer).__name__}) holds {what} that were not given when it was "
                "made, but computed from data without noise",
            )


def of_fit(callbacks: Iterable[Any], *, class_weight: bool, validation_split: bool) -> Iterator[Leak]:
    """Leaks that the arguments of ``fit`` show."""
    for callback in callbacks:
        for kind, name, what in _CALLBACKS:
            if isinstance(callback, kind):
                yield _leak(name, what.format(monitor=_monitored(callback)))
        if isinstance(callback, keras.callbacks.ModelCheckpoint) and callback.save_best_only:
            yield _leak(
                "best_checkpoint",
                f"the weights that are kept are chosen by {_monitored(callback)}, which is measured without "
                "noise",
            )
    if class_weight:
        yield _leak(
            "class_weight", "examples are weighed by class, with weights that may come from their frequencies"
        )
    if validation_split:
        yield _leak(
            "validation_split",
            "a part of the data is measured on in each epoch, and the guarantee is not about it",
        )


def _adapted(layer: keras.Layer) -> str:
    """What a preprocessing layer learned from data; empty for others."""
    layers = keras.layers
    if isinstance(layer, layers.Normalization):
        return "means and variances" if layer.input_mean is None else ""
    if isinstance(layer, layers.Discretization):
        return "boundaries" if layer.bin_boundaries and layer.num_bins is not None else ""
    if isinstance(layer, layers.TextVectorization):
        return _vocabulary(layer._lookup_layer)
    if isinstance(layer, layers.StringLookup | layers.IntegerLookup):
        return _vocabulary(layer)
    return ""


def _vocabulary(layer: Any) -> str:
    learned = layer.input_vocabulary is None and layer.vocabulary_size() > len(
        layer.get_vocabulary(include_special_tokens=True)
    ) - len(layer.get_vocabulary(include_special_tokens=False))
    return "words" if learned else ""


def _monitored(callback: Any) -> str:
    on = "validation examples" if str(callback.monitor).startswith("val_") else "the training data"
    return f"{callback.monitor!r} on {on}"


def _leak(name: str, what: str) -> Leak:
    return Leak(name=name, kind="training", what=what, state="uncovered")


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more layers"
