"""Worker side of SourceDeclarer: what was declared, written down."""

from __future__ import annotations

import os
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio

from tfx_trust.components.artifacts import Artifacts
from tfx_trust.components.provenance.declaration_files import DECLARATIONS_FILE, parse, to_text


class Executor(base_executor.BaseExecutor):
    """Executor of SourceDeclarer."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Writes ``declarations.json``.

        Parameters
        ----------
        input_dict
            Empty.
        output_dict
            ``declarations``.
        exec_properties
            ``declared``: JSON text of the declarations.
        """
        (output,) = output_dict["declarations"]
        found = [item.declaration for item in parse(exec_properties["declared"].encode(), output.uri)]
        fileio.makedirs(output.uri)
        with fileio.open(os.path.join(output.uri, DECLARATIONS_FILE), "wb") as file:
            file.write((to_text(found) + "\n").encode())
        output.set_int_custom_property("declarations", len(found))
