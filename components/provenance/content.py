"""Content-aware caching: TFX's cache goes by the bytes of what a component reads and made.

TFX looks at ids, names, sizes and times. So a component is served from the cache although bytes of its input,
or of what it made, were changed; and a raw input that was only touched is read anew. A driver wrapped by
:func:`content_aware` puts digests into the execution properties, which are part of the cache's key.
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from absl import logging
from tfx.components.example_gen import utils as example_gen_utils
from tfx.dsl.components.base import base_component, base_driver, base_node
from tfx.dsl.io import fileio
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.orchestration.portable import data_types
from tfx.proto import example_gen_pb2
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import artifact
from tfx.utils import name_utils, proto_utils

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.mlmd import COMPLETE, INPUTS, OUTPUTS, Execution, Store, store_of
from tfx_trust.components.provenance.hashing import (
    digest_files,
    digest_folders,
    file_digest,
    raw_fingerprint,
    tree_digest,
)
from tfx_trust.components.provenance.readings import INPUTS_DIGEST, readings_of
from tfx_trust.components.provenance.record import FileEntry, canonical
from tfx_trust.components.provenance.snapshot_component import ArtifactSnapshot
from tfx_trust.components.provenance.snapshots import earlier

OUTPUTS_REFUSED = "outputs_refused"
"""Execution property with the ids of artifacts that the cache must not serve any more; absent if there are
none."""
MISSING, NO_FILES = "missing", "no files"
PUSHED_PROVENANCE = "assets.extra/provenance"
"""Folder of a pushed model that holds its record: it is no part of the model."""

# Parameters that name a file which TFX does not look into; it does into module_file.
_FILE_PARAMETERS = ("schema_file",)
# A letter that may stand in an identifier, and hardly ever does.
_DOT = "·"
_AROUND = "Around"

_NodeT = TypeVar("_NodeT", bound=base_node.BaseNode)


def content_aware(component: _NodeT) -> _NodeT:
    """Makes TFX's cache follow the bytes that a component reads and made; gives the same object back.

    * Bytes of an input artifact, of the folder that a PushedModel was pushed to, or of the file that a
      parameter ``schema_file`` names, were changed or are gone: the component runs anew.
    * A file-based ExampleGen goes by the bytes of its raw input, whatever its files' times and sizes are; the
      digest takes the place of TFX's ``input_fingerprint``.
    * What the component made earlier is not any more what a snapshot, a record or a content-aware reader saw
      of it first: it is made anew rather than served. What none of them saw cannot be told, nor is this done
      in an InteractiveContext.
    * A driver that the component has already goes on working inside.

    Nothing is hashed of a query-based ExampleGen, whose query is its input. Importers and resolvers, which
    read no bytes, are left as they are; so is :class:`~tfx_trust.components.ArtifactSnapshot`, of which the
    first stands. Where a runner runs no drivers, as Kubeflow's, this has no effect.

    Parameters
    ----------
    component
        Before the pipeline is run. Its executor is given two more execution properties, which those of TFX
        and of function components pass over.

    Raises
    ------
    UsageError
        If its driver is a class that cannot be imported by name, e.g. one defined in a function.
    """
    if isinstance(component, ArtifactSnapshot) or not isinstance(component, base_component.BaseComponent):
        return component
    inner = component.driver_class
    if inner is base_driver.BaseDriver:
        component.driver_class = Driver
    elif not issubclass(inner, ContentAware):
        try:
            path = name_utils.get_full_name(inner)
        except ValueError as error:
            raise UsageError(
                f"the driver of {component.id} cannot be wrapped: {error}; put it into a module"
            ) from None
        component.driver_class = _around(path)
    return component


class ContentAware:
    """What a driver does besides; to be put before the class of a driver."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Does what the driver itself does, and adds the digests."""
        result = super().run(execution_info)  # type: ignore[misc]
        parameters = dict(execution_info.exec_properties)
        for name, value in result.exec_properties.items():
            parameters[name] = getattr(value, value.WhichOneof("value"))
        parameters[INPUTS_DIGEST] = inputs_digest(execution_info.input_dict, parameters)
        result.exec_properties[INPUTS_DIGEST].string_value = parameters[INPUTS_DIGEST]
        if not execution_info.pipeline_node.execution_options.caching_options.enable_cache:
            return result
        node = f"{execution_info.pipeline_info.id}.{execution_info.pipeline_node.node_info.id}"
        with self._mlmd_connection as handle:  # type: ignore[attr-defined]
            refused = refused_outputs(store_of(handle.store), node, parameters)
        if refused:
            logging.warning("%s: what it made before was changed since, so it runs anew: %s", node, refused)
            result.exec_properties[OUTPUTS_REFUSED].string_value = json.dumps(refused)
        return result

    def resolve_exec_properties(
        self, exec_properties: dict[str, Any], pipeline_info: Any, component_info: Any
    ) -> dict[str, Any]:
        """Puts the digest of an ExampleGen's raw input in the place of its fingerprint."""
        inner = super().resolve_exec_properties  # type: ignore[misc]
        resolved = inner(exec_properties, pipeline_info, component_info)
        if resolved.get(example_gen_utils.FINGERPRINT_PROPERTY_NAME):
            resolved[example_gen_utils.FINGERPRINT_PROPERTY_NAME] = _raw_fingerprint(resolved)
        return dict(resolved)

    def resolve_input_artifacts(
        self, input_dict: Any, exec_properties: dict[str, Any], driver_args: Any, pipeline_info: Any
    ) -> dict[str, list[artifact.Artifact]]:
        """Adds the digest where no driver is run, but this: in an InteractiveContext."""
        inner = super().resolve_input_artifacts  # type: ignore[misc]
        found = inner(input_dict, exec_properties, driver_args, pipeline_info)
        exec_properties[INPUTS_DIGEST] = inputs_digest(found, exec_properties)
        return dict(found)


class _Plain(base_driver.BaseDriver, portable_driver.BaseDriver):
    """Does nothing. TFX asks for both base classes: one when composing, one when running."""

    def __init__(self, metadata_handle: Any) -> None:
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        return driver_output_pb2.DriverOutput()


class Driver(ContentAware, _Plain):
    """Driver of a component that has none of its own."""


def __getattr__(name: str) -> Any:
    """A driver around that of a component: TFX imports drivers by name, in a process of its own choice."""
    beginning, _, path = name.partition(_DOT)
    if beginning != _AROUND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _around(path.replace(_DOT, "."))


@functools.cache
def _around(path: str) -> type[Any]:
    inner = name_utils.resolve_full_name(path)
    name = f"{_AROUND}.{path}".replace(".", _DOT)
    return type(name, (ContentAware, inner), {"__module__": __name__, "__doc__": f"{path}, content-aware."})


# What is read


def inputs_digest(inputs: Mapping[str, Iterable[artifact.Artifact]], parameters: Mapping[str, Any]) -> str:
    """The digests of all that a component reads, as canonical JSON.

    ``artifacts`` has the tree digest by id, ``pushed`` that of the folder that a PushedModel lies in,
    ``files`` the sha256 by parameter, ``raw`` the fingerprint of an ExampleGen's raw input. What is gone is
    ``missing``, what is no file ``no files``: TFX's own key has to do for a table. What cannot be read gets a
    text that never comes again, so that nothing is served for it.
    """
    artifacts = {item.id: item for items in inputs.values() for item in items}
    places = {str(number): item.uri for number, item in artifacts.items() if item.uri}
    pushed = {
        str(number): destination
        for number, item in artifacts.items()
        if item.type_name == "PushedModel"
        and (destination := item.get_string_custom_property("pushed_destination"))
    }
    content = {
        "artifacts": _trees(places),
        "pushed": _trees(pushed, ignore=[PUSHED_PROVENANCE]),
        "files": {
            name: _file(parameters[name])
            for name in _FILE_PARAMETERS
            if isinstance(parameters.get(name), str) and parameters[name]
        },
        "raw": parameters.get(example_gen_utils.FINGERPRINT_PROPERTY_NAME),
    }
    return canonical({name: told for name, told in content.items() if told}).decode()


def _trees(places: Mapping[str, str], ignore: Sequence[str] = ()) -> dict[str, str]:
    found = digest_folders(places.values(), ignore=ignore)
    return {name: _tree(place, found[place]) for name, place in places.items()}


def _tree(place: str, outcome: list[FileEntry] | InputError) -> str:
    return _unreadable(place, outcome) if isinstance(outcome, InputError) else tree_digest(outcome)


def _file(place: str) -> str:
    try:
        return file_digest(place, follow=True).sha256
    except InputError as error:
        return _unreadable(place, error)


def _unreadable(place: str, error: InputError) -> str:
    try:
        if not fileio.exists(place):
            return MISSING
    except Exception as failure:
        # Of TFX and of TensorFlow, where no file system is known: a table's URI, say.
        if type(failure) is Exception or type(failure).__name__ == "UnimplementedError":
            return NO_FILES
    logging.warning("Not served from the cache, since its input cannot be read: %s", error)
    return f"unreadable {uuid.uuid4()}"


def _raw_fingerprint(parameters: Mapping[str, Any]) -> str:
    base = parameters["input_base"]
    config = example_gen_pb2.Input()
    proto_utils.json_to_proto(parameters["input_config"], config)
    matched = {split.name: fileio.glob(os.path.join(base, split.pattern)) for split in config.splits}
    try:
        return raw_fingerprint(
            {
                name: digest_files([path for path in paths if not fileio.isdir(path)], base, follow=True)
                for name, paths in matched.items()
            }
        )
    except InputError as error:
        return _unreadable(base, error)


# What was made


def refused_outputs(store: Store, node: str, parameters: Mapping[str, Any]) -> list[int]:
    """Ids of artifacts that the cache might serve to a node, and that are not what they were.

    They are what executions of this node with these parameters made; of several that have one key of TFX's
    cache the newest, which it serves. An artifact that is put back as it was is not refused any more.

    Parameters
    ----------
    store
        The metadata store.
    node
        ``<pipeline>.<node>``, as its context is called.
    parameters
        Execution properties, with ``inputs_digest``.
    """
    made = [
        event.artifact
        for event in store.events_of_executions(_newest_of_each_key(store, _like(store, node, parameters)))
        if event.kind in OUTPUTS
    ]
    artifacts = store.artifacts(made)
    first = _first_trees(store, artifacts)
    now = digest_folders(artifacts[number].uri for number in first)
    return sorted(
        number for number, tree in first.items() if _tree_or_none(now[artifacts[number].uri]) != tree
    )


def _newest_of_each_key(store: Store, executions: Iterable[Execution]) -> list[int]:
    """Ids of those that TFX's cache would serve; of the others the outputs may well be gone."""
    newest: dict[str, int] = {}
    for item in sorted(executions, key=lambda item: (item.created, item.id)):
        contexts = store.raw.get_contexts_by_execution(item.id)
        keys = [str(context.name) for context in contexts if context.type == "execution_cache"]
        newest[keys[0] if keys else f"execution {item.id}"] = item.id
    return list(newest.values())


def _like(store: Store, node: str, parameters: Mapping[str, Any]) -> list[Execution]:
    """Executions of a node with certain parameters that completed."""
    plain = {
        name: value
        for name, value in parameters.items()
        if isinstance(value, (str, int, float)) and name != OUTPUTS_REFUSED
    }
    return [
        item
        for item in _executions_of(store, node)
        if item.state == COMPLETE and plain.items() <= item.properties.items()
    ]


def _executions_of(store: Store, node: str) -> Iterable[Execution]:
    context = store.raw.get_context_by_type_and_name("node", node)
    found = store.raw.get_executions_by_context(context.id) if context else []
    return store.executions(item.id for item in found).values()


def _first_trees(store: Store, artifacts: Iterable[int]) -> dict[int, str]:
    """Of each artifact that was ever looked at, the digest that was seen first.

    Records come after snapshots and readers, and there may be thousands of them: they are opened only for
    what neither of the two saw.
    """
    wanted = set(artifacts)
    seen: dict[int, list[tuple[float, str]]] = {
        number: [(_seconds(item.observed), tree_digest(item.files)) for item in found]
        for number, found in earlier(store, wanted, records=False).items()
    }
    events = [event for event in store.events_of_artifacts(wanted) if event.kind in INPUTS]
    readers = store.executions({event.execution for event in events})
    for event in events:
        tree = _read_by(readers[event.execution]).get(str(event.artifact))
        if tree:
            seen[event.artifact].append((event.time / 1000, tree))
    for number, found in earlier(store, [number for number in seen if not seen[number]]).items():
        seen[number] = [(_seconds(item.observed), tree_digest(item.files)) for item in found]
    return {number: min(found, key=lambda item: item[0])[1] for number, found in seen.items() if found}


def _seconds(moment: str) -> float:
    return datetime.datetime.fromisoformat(moment).timestamp()


def _read_by(execution: Execution) -> dict[str, str]:
    """Digests of the artifacts that a content-aware execution read."""
    if execution.state != COMPLETE:
        return {}
    return dict(readings_of(execution).get("artifacts", {}))


def _tree_or_none(outcome: list[FileEntry] | InputError) -> str | None:
    return None if isinstance(outcome, InputError) else tree_digest(outcome)
