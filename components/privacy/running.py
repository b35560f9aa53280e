"""Runs a user's ``run_fn`` as TFX's Trainer does, and sees what it trains privately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfx.components.trainer.executor import GenericExecutor
from tfx.components.trainer.fn_args_utils import FnArgs

from tfx_trust.components.artifacts import Artifacts
from tfx_trust.components.privacy.config import PRIVACY, check_custom_config
from tfx_trust.components.privacy.recording import recording


def run(
    context: Any,
    input_dict: Artifacts,
    output_dict: Artifacts,
    exec_properties: dict[str, Any],
    *,
    settings: Mapping[str, Any],
    further_files: Sequence[str] = (),
) -> list[Any]:
    """Trains, and tells of each model that was made private in it.

    Parameters
    ----------
    context
        Of the executor.
    input_dict, output_dict, exec_properties
        As TFX's Trainer has them.
    settings
        What `make_private` takes; ``run_fn`` gets them as ``fn_args.custom_config["privacy"]``.
    further_files
        TFRecord files to be trained on beside those of the train split.

    Raises
    ------
    UsageError
        If ``custom_config`` has settings of that name already.
    """
    trainer = _Trainer(context, settings, further_files)
    with recording() as runs:
        trainer.Do(input_dict, output_dict, exec_properties)
    return list(runs)


class _Trainer(GenericExecutor):
    """TFX's own, which gives ``run_fn`` a little more."""

    def __init__(self, context: Any, settings: Mapping[str, Any], further_files: Sequence[str]) -> None:
        super().__init__(context)
        self._settings = dict(settings)
        self._further_files = list(further_files)

    def _GetFnArgs(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> FnArgs:
        result = super()._GetFnArgs(input_dict, output_dict, exec_properties)
        custom = dict(result.custom_config or {})
        check_custom_config(custom)
        result.custom_config = {**custom, PRIVACY: self._settings}
        result.train_files = [*result.train_files, *self._further_files]
        return result
