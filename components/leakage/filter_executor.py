"""Worker side of LeakageFilter: examples in, the same without what leaked out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact

from tfx_trust.components.artifacts import Artifacts, first, only, read_report
from tfx_trust.components.errors import InputError, TrustError
from tfx_trust.components.leakage.config import FilterSettings, LeakageSettings
from tfx_trust.components.leakage.count import EVAL, TRAIN, Keyed
from tfx_trust.components.leakage.filter import Changes, changes, keys_of
from tfx_trust.components.leakage.plan import Plan
from tfx_trust.components.leakage.report import LeakageReport

Files = dict[str, list[str]]


class Executor(base_beam_executor.BaseBeamExecutor):
    """Executor of LeakageFilter."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Writes the examples anew and checks what was written.

        Parameters
        ----------
        input_dict
            ``unfiltered_examples`` and ``leakage_report``; ``schema`` where connected.
        output_dict
            ``examples``.
        exec_properties
            ``settings``: JSON text of a FilterSettings.

        Raises
        ------
        InputError
            If the report is about other examples, or nothing would be left of a split.
        TrustError
            If what was written still has rows on both sides.
        """
        from tfx_trust.components import examples as files_io
        from tfx_trust.components.leakage.examples_driver import layout_for
        from tfx_trust.components.standard import read_schema

        settings = FilterSettings.of(exec_properties["settings"])
        source = only(input_dict["unfiltered_examples"], "LeakageFilter")
        told = read_report(input_dict["leakage_report"][0], LeakageReport)
        _check_about(told, source)
        checked = LeakageSettings.of(told.settings)
        destination = output_dict["examples"][0]
        files = {name: files_io.split_files(source, name) for name in files_io.splits_of(source)}
        schema = first(input_dict, "schema")
        sides = {name: files[name] for name in checked.splits}
        plan = Plan.of(checked, layout_for(sides, checked, read_schema(schema) if schema else None))
        keys, entities = keys_of(plan, settings)
        decided = changes(*_read(plan, sides, [*keys, *entities]), entities, settings)
        files_io.copy_properties(source, destination)
        counts = _write(files, sides, decided, destination)
        for name, (before, after) in counts.items():
            if before and not after:
                raise InputError(
                    f"nothing would be left of the {name} split: all {before:,} examples are on both sides; "
                    "filter by fewer keys, or drop from the other split"
                )
            destination.set_int_custom_property(f"{name}_examples_before", before)
            destination.set_int_custom_property(f"{name}_examples_after", after)
        logging.info(
            "Leakage filter: %s", "; ".join(f"{name} {a} of {b} kept" for name, (b, a) in counts.items())
        )
        written = {name: files_io.split_files(destination, name) for name in checked.splits}
        _check_clean(plan, written, keys, entities, settings)


def _check_about(told: LeakageReport, source: artifact.Artifact) -> None:
    known = [item.uri for item in told.inputs.get("examples", [])]
    if known != [source.uri]:
        raise InputError(
            f"the leakage report is about {', '.join(known) or 'no artifact'}, not about {source.uri}: "
            "connect the report of a LeakageValidator that read the same examples"
        )


def _read(
    plan: Plan, sides: Mapping[str, list[str]], keys: Sequence[str]
) -> tuple[dict[str, Keyed], dict[str, Keyed]]:
    """The keys of all rows of both splits."""
    from tfx_trust.components.leakage.decoder import Decoder, read_batches

    decoder = Decoder(plan.layout)
    found = []
    for paths in sides.values():
        parts: dict[str, list[Keyed]] = {key: [] for key in keys}
        for batch in read_batches(paths, decoder):
            # The label plays no part here.
            nothing = np.zeros(batch.rows, np.uint64)
            for key in keys:
                parts[key].append(Keyed(batch.key(plan.keys[key]), nothing, batch.places))
        found.append({key: Keyed.concatenated(rows) for key, rows in parts.items()})
    return found[TRAIN], found[EVAL]


def _write(
    files: Files, sides: Mapping[str, list[str]], decided: Changes, destination: artifact.Artifact
) -> dict[str, tuple[int, int]]:
    from tfx_trust.components import examples as files_io

    paths = list(sides.values())
    counts = {}
    for name in files:
        folder = files_io.split_folder(destination, name)
        fileio.makedirs(folder)
        if name not in sides:
            counts[name] = files_io.write_split(files[name], folder, np.zeros(0, np.uint64))
            continue
        split = list(sides).index(name)
        other = EVAL if split == TRAIN else TRAIN
        gone = np.union1d(decided.dropped[split], decided.moved[split])
        moved_in = [(paths[other], decided.moved[other])] if len(decided.moved[other]) else []
        counts[name] = files_io.write_split(files[name], folder, gone, moved_in=moved_in)
    return counts


def _check_clean(
    plan: Plan,
    written: Mapping[str, list[str]],
    keys: Sequence[str],
    entities: list[str],
    settings: FilterSettings,
) -> None:
    """Reads what was written: nothing may be on both sides any more."""
    again = changes(*_read(plan, written, [*keys, *entities]), entities, settings)
    left = sum(len(places) for places in (*again.dropped, *again.moved))
    if left:
        raise TrustError(
            f"{left:,} examples are still on both sides after filtering. This must not happen: the files "
            "may have been changed while they were read. Run again; if it stays, report it."
        )
