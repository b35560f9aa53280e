"""Worker side of PushValidator: the pushed copy and the record in, the report out."""

from __future__ import annotations

from typing import Any

from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.types import artifact

from tfx_trust.components.artifacts import Artifacts, only, reference, write_report
from tfx_trust.components.provenance.push import check_push


class Executor(base_executor.BaseExecutor):
    """Executor of PushValidator."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Compares the copy with the record, and puts the record into the copy.

        Parameters
        ----------
        input_dict
            ``pushed_model`` and ``provenance_record``.
        output_dict
            ``push_report``.
        exec_properties
            ``carry``: whether to put the record into the copy.
        """
        record = only(input_dict["provenance_record"], "PushValidator")
        pushed = only(input_dict["pushed_model"], "PushValidator")
        report = check_push(record.uri, _destination(pushed), carry=bool(exec_properties["carry"]))
        report.inputs = {
            key: [reference(item) for item in items] for key, items in input_dict.items() if items
        }
        write_report(report, output_dict["push_report"][0])
        logging.info("Push: %s, %d differences", report.verdict, len(report.push.changes))


def _destination(pushed: artifact.Artifact) -> str | None:
    """Where Pusher put the model; none where it pushed nothing."""
    if not pushed.get_int_custom_property("pushed"):
        return None
    return pushed.get_string_custom_property("pushed_destination") or None
