"""Reading a metadata store: in bulk, in plain values, and never writing.

``get_lineage_subgraph`` and filter queries are not used: the former leaves artifacts out without a word, the
latter are gone from newer versions of ML Metadata.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf import json_format
from ml_metadata import errors
from ml_metadata.proto import metadata_store_pb2 as pb

from tfx_trust.components.errors import InputError, UsageError
from tfx_trust.components.mlmd_connection import connect_mysql, connect_sqlite, locked

PASSWORD_ENV = "TFX_TRUST_METADATA_PASSWORD"
"""Name of the environment variable that the password of a MySQL store is taken from."""
COMPLETE, CACHED = "COMPLETE", "CACHED"
"""States of an execution that made its outputs, and of one that was served those of another."""
INPUTS = ("INPUT", "DECLARED_INPUT")
OUTPUTS = ("OUTPUT", "DECLARED_OUTPUT")
SELECTED = "INTERNAL_OUTPUT"
"""Kinds of events that say: this was read, was made, was chosen by a resolver."""
# An SQL statement names every id; it may be a million characters long.
_CHUNK = 5000
# From here on it is quicker to ask every context for its executions than every execution for its contexts.
_MANY = 200
_PIPELINE, _RUN, _NODE = "pipeline", "pipeline_run", "node"

Value = str | int | float | bool
Prefixes = Sequence[tuple[str, str]]
"""Pairs of an old beginning of a place and the new one."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Artifact:
    """An artifact as the store has it."""

    id: int
    type: str
    """Name of its type, e.g. ``Examples``."""
    name: str
    uri: str
    state: str
    """E.g. ``LIVE``."""
    created: int
    """Milliseconds since 1970, UTC."""
    updated: int
    properties: dict[str, Value]
    """Properties, and custom ones, which win."""


@dataclass(frozen=True)
class Execution:
    """An execution as the store has it."""

    id: int
    type: str
    """Full name of the component's type."""
    name: str
    state: str
    """``NEW``, ``RUNNING``, ``COMPLETE``, ``FAILED``, ``CACHED`` or ``CANCELED``."""
    created: int
    """Milliseconds since 1970, UTC."""
    updated: int
    properties: dict[str, Value]
    """Its parameters: properties, and custom ones, which win."""

    @property
    def component(self) -> str:
        """Short name of the component's type, e.g. ``Trainer``."""
        return self.type.rpartition(".")[2]


@dataclass(frozen=True)
class Event:
    """That an execution read, made or chose an artifact."""

    artifact: int
    execution: int
    kind: str
    """``INPUT``, ``OUTPUT``, with ``DECLARED_`` or ``INTERNAL_`` before, or ``PENDING_OUTPUT``."""
    key: str
    """Name of the component's input or output."""
    index: int
    """Which of several artifacts under this name."""
    time: int
    """Milliseconds since 1970, UTC."""


class Store:
    """A metadata store, to be read.

    Every reading raises InputError where the store cannot be read, e.g. because a writer locks it. Ids that
    are not in the store are left out.
    """

    def __init__(self, raw: Any, place: str) -> None:
        self.raw = raw
        self.place = place
        self._contexts: dict[str, dict[int, str]] = {kind: {} for kind in (_PIPELINE, _RUN, _NODE)}

    def artifacts(self, ids: Iterable[int] | None = None) -> dict[int, Artifact]:
        """Artifacts by id; all of them if no ids are given."""
        return {item.id: _artifact(item) for item in self._nodes("artifacts", ids)}

    def executions(self, ids: Iterable[int] | None = None) -> dict[int, Execution]:
        """Executions by id; all of them if no ids are given."""
        return {item.id: _execution(item) for item in self._nodes("executions", ids)}

    def artifacts_of_type(self, name: str) -> list[Artifact]:
        """All artifacts of a type, by id; none where there is no such type."""
        found = self._read(lambda: self.raw.get_artifacts_by_type(name))
        return sorted(map(_artifact, found), key=lambda item: item.id)

    def executions_of_type(self, name: str) -> list[Execution]:
        """All executions of a type, given its full name, by id; none where there is no such type."""
        found = self._read(lambda: self.raw.get_executions_by_type(name))
        return sorted(map(_execution, found), key=lambda item: item.id)

    def execution_types(self) -> list[str]:
        """Full names of the components' types."""
        return [str(item.name) for item in self._read(self.raw.get_execution_types)]

    def artifact_types(self) -> dict[str, str]:
        """What each type of artifact is a kind of, e.g. ``MODEL`` of ``Model``; empty if it is not told."""
        found = self._read(self.raw.get_artifact_types)
        return {
            str(item.name): pb.ArtifactType.SystemDefinedBaseType.Name(item.base_type)
            if item.base_type
            else ""
            for item in found
        }

    def events_of_artifacts(self, ids: Iterable[int]) -> list[Event]:
        """All events of some artifacts."""
        return self._events(self.raw.get_events_by_artifact_ids, ids)

    def events_of_executions(self, ids: Iterable[int]) -> list[Event]:
        """All events of some executions."""
        return self._events(self.raw.get_events_by_execution_ids, ids)

    def runs(self, executions: Iterable[int]) -> dict[int, str]:
        """Id of the pipeline run by execution id; those of which it is not known are left out."""
        return self._context_names(_RUN, executions)

    def pipelines(self, executions: Iterable[int]) -> dict[int, str]:
        """Name of the pipeline by execution id; those of which it is not known are left out."""
        return self._context_names(_PIPELINE, executions)

    def nodes(self, executions: Iterable[int]) -> dict[int, str]:
        """Id of the pipeline's node by execution id; the short name of its type where it is not known."""
        wanted = list(executions)
        pipelines, nodes = self.pipelines(wanted), self._context_names(_NODE, wanted)
        nodes = {number: name.removeprefix(pipelines.get(number, "") + ".") for number, name in nodes.items()}
        rest = self.executions(set(wanted) - set(nodes))
        return nodes | {number: item.component for number, item in rest.items()}

    def executions_of_run(self, run: str) -> list[Execution]:
        """All executions of a pipeline run, by id; none where there is no such run."""
        context = self._read(lambda: [self.raw.get_context_by_type_and_name(_RUN, run)])
        if not context or context[0] is None:
            return []
        found = self._read(lambda: self.raw.get_executions_by_context(context[0].id))
        return sorted(map(_execution, found), key=lambda item: item.id)

    def latest(self, type_name: str) -> Artifact | None:
        """The newest artifact of a type that was finished; none where there is none."""
        finished = [
            item for item in self.artifacts_of_type(type_name) if item.state not in ("PENDING", "ABANDONED")
        ]
        return max(finished, key=lambda item: (item.created, item.id), default=None)

    def _nodes(self, kind: str, ids: Iterable[int] | None) -> Iterator[Any]:
        if ids is None:
            yield from self._read(getattr(self.raw, f"get_{kind}"))
            return
        by_id = getattr(self.raw, f"get_{kind}_by_id")
        for chunk in _chunks(ids):
            yield from self._read(functools.partial(by_id, chunk))

    def _events(self, read: Callable[[list[int]], Any], ids: Iterable[int]) -> list[Event]:
        return [_event(item) for chunk in _chunks(ids) for item in self._read(functools.partial(read, chunk))]

    def _context_names(self, kind: str, executions: Iterable[int]) -> dict[int, str]:
        wanted = set(executions)
        names = self._contexts[kind]
        unknown = wanted - names.keys()
        if len(unknown) > _MANY:
            for context in self._read(lambda: self.raw.get_contexts_by_type(kind)):
                within = self._read(functools.partial(self.raw.get_executions_by_context, context.id))
                names |= {item.id: str(context.name) for item in within}
        else:
            for number in sorted(unknown):
                for context in self._read(functools.partial(self.raw.get_contexts_by_execution, number)):
                    self._contexts.setdefault(str(context.type), {})[number] = str(context.name)
        # So that those without one are not asked for again.
        names |= dict.fromkeys(wanted - names.keys(), "")
        return {number: names[number] for number in sorted(wanted) if names[number]}

    def _read(self, call: Callable[[], Iterable[_T]]) -> list[_T]:
        with _quiet():
            try:
                return list(call())
            except errors.NotFoundError:
                return []
            except errors.AbortedError:
                raise InputError(locked(self.place)) from None
            except errors.StatusError as error:
                raise InputError(f"{self.place}: the metadata store cannot be read: {error}") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps ML Metadata from logging what is raised anyway."""
    logger = logging.getLogger("absl")
    logger.addFilter(_not_of_mlmd)
    try:
        yield
    finally:
        logger.removeFilter(_not_of_mlmd)


def _not_of_mlmd(record: logging.LogRecord) -> bool:
    return f"{os.sep}ml_metadata{os.sep}" not in record.pathname


def store_of(handle: Any, place: str = "the metadata store") -> Store:
    """The view of a ``MetadataStore`` that is open already; `place` is what errors call it."""
    return Store(handle, place)


def open_store(place: str | os.PathLike[str], *, password_env: str = PASSWORD_ENV) -> Store:
    """Opens a metadata store for reading; it is neither written to nor migrated.

    Parameters
    ----------
    place
        Path of a SQLite file, or ``mysql://user@host:port/database``.
    password_env
        Name of the environment variable with the password of a MySQL server.

    Raises
    ------
    UsageError
        If it is an address of another kind, or one that holds a password; the address is not repeated.
    InputError
        If there is no metadata store that can be read; why, and what to do.
    """
    text = os.fspath(place)
    scheme, separator, _ = text.partition("://")
    if not separator:
        return Store(*connect_sqlite(text))
    if scheme != "mysql":
        raise UsageError(
            f"a metadata store at {scheme}:// cannot be read: give the path of a SQLite file, or "
            "mysql://user@host:port/database"
        )
    return Store(*connect_mysql(text, password_env))


def rewritten(place: str, prefixes: Prefixes) -> str:
    """A place of a store that was moved: the longest old beginning that fits is replaced.

    Only whole names of folders fit.

    Examples
    --------
    >>> rewritten("/old/runs/7/model", [("/old/runs", "/mnt")])
    '/mnt/7/model'
    >>> rewritten("/old/runs-2/7", [("/old/runs", "/mnt")])
    '/old/runs-2/7'
    """
    for old, new in sorted(prefixes, key=lambda pair: len(pair[0]), reverse=True):
        old = old.rstrip("/")
        if place == old or place.startswith(old + "/"):
            return new.rstrip("/") + place[len(old) :] or "/"
    return place


def _chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), _CHUNK):
        yield wanted[start : start + _CHUNK]


def _artifact(item: Any) -> Artifact:
    return Artifact(
        id=item.id,
        type=item.type,
        name=item.name,
        uri=item.uri,
        state=pb.Artifact.State.Name(item.state),
        created=item.create_time_since_epoch,
        updated=item.last_update_time_since_epoch,
        properties=_values(item),
    )


def _execution(item: Any) -> Execution:
    return Execution(
        id=item.id,
        type=item.type,
        name=item.name,
        state=pb.Execution.State.Name(item.last_known_state),
        created=item.create_time_since_epoch,
        updated=item.last_update_time_since_epoch,
        properties=_values(item),
    )


def _event(item: Any) -> Event:
    steps: Collection[Any] = item.path.steps
    return Event(
        artifact=item.artifact_id,
        execution=item.execution_id,
        kind=pb.Event.Type.Name(item.type),
        key=next((str(step.key) for step in steps if step.WhichOneof("value") == "key"), ""),
        index=next((int(step.index) for step in steps if step.WhichOneof("value") == "index"), 0),
        time=item.milliseconds_since_epoch,
    )


def _values(item: Any) -> dict[str, Value]:
    both = [*item.properties.items(), *item.custom_properties.items()]
    return {str(name): _value(value) for name, value in both if value.WhichOneof("value")}


def _value(value: Any) -> Value:
    kind = value.WhichOneof("value")
    held = getattr(value, kind)
    if kind in ("struct_value", "proto_value"):
        return json.dumps(json_format.MessageToDict(held), sort_keys=True)
    plain: Value = held
    return plain
