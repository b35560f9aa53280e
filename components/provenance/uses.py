"""The models of a store: who made them, whether they are blessed, and where their copies lie."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

from tfx_trust.components.mlmd import Artifact, rewritten
from tfx_trust.components.provenance.answers import Copy, ModelRef, ModelUse
from tfx_trust.components.provenance.chain import iso
from tfx_trust.components.provenance.graph import Graph, Reached, route
from tfx_trust.components.provenance.lineage import PUSHED_MODEL
from tfx_trust.components.provenance.masking import mask_text

BLESSING = "ModelBlessing"
# Custom properties, as TFX's Pusher and Evaluator write them.
_PUSHED, _DESTINATION, _VERSION = "pushed", "pushed_destination", "pushed_version"
_BLESSED, _BLESSED_MODEL = "blessed", "current_model_id"
# Folders above an artifact's that TFX makes for it: of the output, of the node.
_OWN_FOLDERS = 3


class Models:
    """What a store tells of its models.

    Parameters
    ----------
    graph
        The store.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._folders: dict[str, frozenset[str] | None] = {}

    def reference(self, model: Artifact) -> ModelRef:
        """A model, as an answer names it."""
        # No execution has this id.
        maker = self._graph.maker.get(model.id, 0)
        return ModelRef(
            id=model.id,
            uri=mask_text(self._graph.place(model)),
            pipeline=self._pipelines.get(maker, ""),
            run=self._runs.get(maker, ""),
            component=self._nodes.get(maker, ""),
            created=iso(model.created),
            blessed=self._blessed.get(model.id),
        )

    def uses(self, reached: Mapping[int, Reached]) -> list[ModelUse]:
        """The models among what was made of something, the newest first."""
        found = [item for item in reversed(self._graph.models) if item.id in reached]
        return [self._use(item, reached) for item in found]

    def copies(self, model: int) -> list[Copy]:
        """Where a model was pushed to, the newest first."""
        return sorted((self._copy(item) for item in self._pushed[model]), key=lambda item: -item.id)

    def model_of(self, pushed: int) -> int | None:
        """Id of the model that a PushedModel is a copy of."""
        reads = self._graph.reads[self._graph.maker[pushed]] if pushed in self._graph.maker else []
        types = self._graph.model_types
        return next(
            (event.artifact for event in reads if self._graph.artifacts[event.artifact].type in types), None
        )

    def node_of(self, model: int) -> tuple[str, str] | None:
        """Pipeline and node that made a model; none where nothing did."""
        maker = self._graph.maker.get(model)
        return None if maker is None else (self._pipelines.get(maker, ""), self._nodes.get(maker, ""))

    def _use(self, model: Artifact, reached: Mapping[int, Reached]) -> ModelUse:
        newest = self._newest_without(model, reached)
        return ModelUse(
            **self.reference(model).model_dump(),
            relation=reached[model.id].relation,
            route=self._route(route(reached, model.id)),
            copies=self.copies(model.id),
            newer=newest and self.reference(newest),
        )

    def _newest_without(self, model: Artifact, reached: Mapping[int, Reached]) -> Artifact | None:
        others = self._by_node[self.node_of(model.id)] if model.id in self._graph.maker else []
        newest = next((item for item in others if item.id not in reached), None)
        is_newer = newest is not None and (newest.created, newest.id) > (model.created, model.id)
        return newest if is_newer else None

    def _route(self, artifacts: list[int]) -> list[str]:
        steps: list[str] = []
        for number in artifacts:
            maker = self._graph.maker.get(number)
            if steps and maker is not None:
                steps.append(self._all_nodes[maker])
            steps.append(f"{self._graph.artifacts[number].type} {number}")
        return steps

    @cached_property
    def _makers(self) -> list[int]:
        return sorted(
            {self._graph.maker[item.id] for item in self._graph.models if item.id in self._graph.maker}
        )

    @cached_property
    def _nodes(self) -> dict[int, str]:
        return self._graph.store.nodes(self._makers)

    @cached_property
    def _all_nodes(self) -> dict[int, str]:
        """Of all executions: asked at once, as a route has several, and every model a route."""
        return self._graph.store.nodes(set(self._graph.maker.values()))

    @cached_property
    def _pipelines(self) -> dict[int, str]:
        return self._graph.store.pipelines(self._makers)

    @cached_property
    def _runs(self) -> dict[int, str]:
        return self._graph.store.runs(self._makers)

    @cached_property
    def _by_node(self) -> defaultdict[tuple[str, str] | None, list[Artifact]]:
        """Models that were made, the newest first."""
        found: defaultdict[tuple[str, str] | None, list[Artifact]] = defaultdict(list)
        for item in reversed(self._graph.models):
            if item.id in self._graph.maker:
                found[self.node_of(item.id)].append(item)
        return found

    @cached_property
    def _blessed(self) -> dict[int, bool]:
        """What was last said of each model."""
        found: dict[int, bool] = {}
        blessings = [item for item in self._graph.artifacts.values() if item.type == BLESSING]
        for item in sorted(blessings, key=lambda item: (item.created, item.id)):
            told = item.properties.get(_BLESSED)
            model = item.properties.get(_BLESSED_MODEL)
            if told is not None and model is not None and item.id in self._graph.maker:
                found[int(model)] = bool(int(told))
        return found

    # Copies

    @cached_property
    def _pushed(self) -> defaultdict[int, list[Artifact]]:
        """Copies by the model's id; a Pusher that was not allowed to push leaves an artifact as well."""
        found: defaultdict[int, list[Artifact]] = defaultdict(list)
        for item in self._graph.artifacts.values():
            if item.type == PUSHED_MODEL and str(item.properties.get(_PUSHED, 1)) != "0":
                model = self.model_of(item.id)
                if model is not None:
                    found[model].append(item)
        return found

    def _copy(self, pushed: Artifact) -> Copy:
        told = pushed.properties.get(_DESTINATION)
        place = rewritten(str(told), self._graph.rewrite) if told else self._graph.place(pushed)
        folder, _, name = place.rstrip("/").rpartition("/")
        names = self._names_in(folder) if folder else None
        there = None if names is None else name in names
        versions = [int(other) for other in names or () if other.isdigit()]
        served = None if there is None or not name.isdigit() else there and int(name) == max(versions)
        return Copy(
            id=pushed.id,
            destination=mask_text(place),
            version=str(pushed.properties.get(_VERSION, "")),
            pushed=iso(pushed.created),
            there=there,
            served=served,
        )

    def _names_in(self, folder: str) -> frozenset[str] | None:
        """Names of the folders in one; none where it cannot be seen from here."""
        if folder not in self._folders:
            self._folders[folder] = _names_in(folder)
        return self._folders[folder]


def is_there(place: str) -> bool | None:
    """Whether an artifact lies in a local place; none where not even the folders that TFX made for it do.

    A store that was moved knows places that are not of this machine: what is not there may be elsewhere.
    """
    if not place or "://" in place:
        return None
    if os.path.lexists(place):
        return True
    for _ in range(_OWN_FOLDERS):
        place = os.path.dirname(place.rstrip("/"))
        if place.strip("/") and os.path.isdir(place):
            return False
    return None


def _names_in(folder: str) -> frozenset[str] | None:
    try:
        if "://" not in folder:
            return frozenset(entry.name for entry in os.scandir(folder) if entry.is_dir())
        from tfx.dsl.io import fileio

        return frozenset(str(name).rstrip("/") for name in fileio.listdir(folder))
    except Exception:  # Every file system has errors of its own.
        return None
