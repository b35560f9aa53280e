"""What a user slots into the standard pipeline: gates, filters, and steps for the model and after Pusher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.common.resolver import Resolver
from tfx.types.channel import BaseChannel


@dataclass(frozen=True)
class Nodes:
    """The standard nodes, as far as a gate can be wired to them.

    Attributes
    ----------
    examples
        What all nodes, and so a gate, read: the examples of `example_gen`, or what the last filter made
        of them.
    model
        What is to be released, and so what a gate judges: the model of `trainer`, or what the last model
        step made of it.
    """

    examples: BaseChannel
    example_gen: BaseComponent
    statistics_gen: BaseComponent
    schema_gen: BaseComponent
    example_validator: BaseComponent
    transform: BaseComponent
    trainer: BaseComponent
    resolver: Resolver
    evaluator: BaseComponent
    model: BaseChannel


@dataclass(frozen=True)
class Gate:
    """A gate of the pipeline: a name, and how its component is wired.

    Attributes
    ----------
    name
        Short name, as the policy, ``without`` and the page use it: letters, digits, underscores.
    build
        Makes the component from the standard nodes. Exactly one of its outputs must be a report:
        an artifact of type TrustReport or a subclass of it.

    Examples
    --------
    >>> Gate("latency", lambda nodes: LatencyGate(model=nodes.model))  # doctest: +SKIP
    """

    name: str
    build: Callable[[Nodes], BaseComponent]


@dataclass(frozen=True)
class Filter:
    """A step between ExampleGen and everything else that reads examples.

    Attributes
    ----------
    name
        Short name, for messages.
    build
        Makes the components of the step, in order, from the channels of the examples and the schema. The
        last one must have an output ``examples``, which all other nodes then read.

    Examples
    --------
    >>> Filter("adults", lambda examples, schema: [AdultFilter(examples=examples)])  # doctest: +SKIP
    """

    name: str
    build: Callable[[BaseChannel, BaseChannel], Sequence[BaseComponent]]


@dataclass(frozen=True)
class ModelStep:
    """A step between Trainer and everything else that reads the model.

    Attributes
    ----------
    name
        Short name, for messages.
    build
        Makes the components of the step, in order, from the channels of the model, the examples and the
        schema. The last one must have an output ``model``, which all other nodes then read.

    Examples
    --------
    >>> ModelStep(                                                           # doctest: +SKIP
    ...     "thresholds",
    ...     lambda model, examples, schema: [ThresholdTuner(examples=examples, model=model, settings=...)],
    ... )
    """

    name: str
    build: Callable[[BaseChannel, BaseChannel, BaseChannel], Sequence[BaseComponent]]


@dataclass(frozen=True)
class PushStep:
    """A step after Pusher.

    Attributes
    ----------
    name
        Short name, for messages.
    build
        Makes the components of the step, in order, from the channel of the pushed model and the channels of
        the gates' reports by the gates' names.
    needs
        Names of gates without which there is nothing for it to do: it is left out with any of them.

    Examples
    --------
    >>> PushStep(                                                            # doctest: +SKIP
    ...     "provenance",
    ...     lambda pushed, reports: [
    ...         PushValidator(pushed_model=pushed, provenance_record=reports["provenance"])
    ...     ],
    ...     needs=["provenance"],
    ... )
    """

    name: str
    build: Callable[[BaseChannel, Mapping[str, BaseChannel]], Sequence[BaseComponent]]
    needs: Sequence[str] = ()
