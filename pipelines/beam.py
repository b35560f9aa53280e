"""The Beam engine for one machine's data."""

from __future__ import annotations

from typing import Any

from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.runners.runner import PipelineRunner


class LocalRunner(PipelineRunner):
    """Beam's own FnApiRunner: what its DirectRunner chooses for a batch pipeline, on every version.

    Newer DirectRunners try another engine first, Prism, which they download as an executable while
    the pipeline runs.
    """

    def run_pipeline(self, pipeline: Any, options: Any) -> Any:
        """Runs `pipeline`, its options handed on to worker processes if there are any."""
        encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
        provision = beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
        engine = fn_runner.FnApiRunner(provision_info=fn_runner.ExtendedProvisionInfo(provision))
        return engine.run_pipeline(pipeline, options)


LOCAL_RUNNER = f"{LocalRunner.__module__}.{LocalRunner.__qualname__}"
