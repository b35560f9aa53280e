"""Worker side of Reweigher: examples in, the same with a weight out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio

from tfx_trust.components.artifacts import Artifacts, first, only, reference, write_report
from tfx_trust.components.errors import InputError
from tfx_trust.components.mitigation.config import ReweighSettings
from tfx_trust.components.mitigation.judge import reweigh_findings
from tfx_trust.components.mitigation.report import MitigationReport, MitigationSection
from tfx_trust.components.mitigation.reweigh import Cells, Factors

COMPONENT = "Reweigher"


class Executor(base_executor.BaseExecutor):
    """Executor of Reweigher."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Counts the examples by group and label, and writes all of them anew with a weight.

        Parameters
        ----------
        input_dict
            ``unweighted_examples``; ``schema`` where connected.
        output_dict
            ``examples`` and ``mitigation_report``.
        exec_properties
            ``settings``: JSON text of a ReweighSettings.

        Raises
        ------
        InputError
            If a split or feature cannot be used, or the examples have the new feature already.
        """
        # TensorFlow is for the worker alone.
        from tfx_trust.components import examples as files_io
        from tfx_trust.components.mitigation.records import kinds_of
        from tfx_trust.components.standard import read_schema

        settings = ReweighSettings.of(exec_properties["settings"])
        source = only(input_dict["unweighted_examples"], COMPONENT)
        destination = output_dict["examples"][0]
        files = files_io.split_files(source, settings.split)
        schema = first(input_dict, "schema")
        columns = [settings.label, *settings.groups, *([settings.weight] if settings.weight else [])]
        kinds = kinds_of(files, columns, settings.groups, read_schema(schema) if schema else None)
        cells = Cells(settings.label, settings.groups, settings.max_values)
        _count(files, kinds, cells, settings)
        factors = cells.factors(strength=settings.strength, min_count=settings.min_count)
        files_io.copy_properties(source, destination)
        for name in files_io.splits_of(source):
            folder = files_io.split_folder(destination, name)
            fileio.makedirs(folder)
            chosen = (cells, factors) if name == settings.split else None
            written = files_io.append_to_split(
                files_io.split_files(source, name), folder, _additions(kinds, settings, chosen)
            )
            logging.info("Reweigher: %d examples of %s", written, name)
        reweighing = factors.reweighing(settings.feature)
        report = MitigationReport(
            component=COMPONENT,
            findings=reweigh_findings(reweighing, settings.split, settings.min_count),
            settings=settings.model_dump(mode="json"),
            mitigation=MitigationSection(reweighing=reweighing),
        )
        report.inputs = {
            key: [reference(item) for item in items] for key, items in input_dict.items() if items
        }
        write_report(report, output_dict["mitigation_report"][0])


def _count(files: Sequence[str], kinds: dict[str, Any], cells: Cells, settings: ReweighSettings) -> None:
    from tfx_trust.components.fairness.decoder import Decoder
    from tfx_trust.components.mitigation.labels import weights_of
    from tfx_trust.components.mitigation.records import batches

    for _, columns in batches(files, Decoder(kinds)):
        weights = None if settings.weight is None else weights_of(columns[settings.weight], settings.weight)
        cells.add(columns, weights)


def _additions(
    kinds: dict[str, Any], settings: ReweighSettings, chosen: tuple[Cells, Factors] | None
) -> Callable[[Any, str, int], list[bytes]]:
    """From serialized examples to what is added to each: the weight that it has, times what was chosen."""
    from tfx_trust.components.fairness.decoder import Decoder
    from tfx_trust.components.mitigation.labels import weights_of
    from tfx_trust.components.mitigation.records import Appended

    names = list(kinds) if chosen else [settings.weight] if settings.weight else []
    decoder = Decoder({**{name: kinds[name] for name in names}, settings.feature: "real"})
    appended = Appended(settings.feature)

    def additions(serialized: Any, path: str, first_record: int) -> list[bytes]:
        columns = decoder.decode(serialized, path=path, first=first_record)
        _check_new(columns[settings.feature], settings.feature, path, first_record)
        weights = np.ones(int(serialized.shape[0]))
        if settings.weight is not None:
            weights = weights_of(columns[settings.weight], settings.weight)
        if chosen is not None:
            cells, factors = chosen
            weights = weights * factors.of(*cells.codes(columns))
        return appended.bytes_of(weights)

    return additions


def _check_new(column: Any, name: str, path: str, first_record: int) -> None:
    if column.null_count < len(column):
        there = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
        raise InputError(
            f"{path}: record {first_record + int(there[0]):,} has a feature {name!r} already; choose another "
            "name for the new one (settings: feature), or name it as weight to be multiplied"
        )
