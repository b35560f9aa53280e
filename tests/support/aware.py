"""Small components for runs that are about TFX's cache."""

from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_component, base_driver, base_executor, executor_spec
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.v1.dsl.components import InputArtifact, OutputArtifact, Parameter, component


def everything_in(folder: str) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file())


@component
def Reader(
    examples: InputArtifact[standard_artifacts.Examples],
    copy: OutputArtifact[standard_artifacts.Model],
    factor: Parameter[int] = 1,
) -> None:
    """Copies what it reads."""
    Path(copy.uri, "bytes").write_bytes(everything_in(examples.uri) * factor)


class Driver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """A driver of a component of somebody's own: looks into the store, and adds a property."""

    def __init__(self, handle: Any) -> None:
        base_driver.BaseDriver.__init__(self, handle)
        portable_driver.BaseDriver.__init__(self, handle)

    def run(self, execution_info: Any) -> driver_output_pb2.DriverOutput:
        result = driver_output_pb2.DriverOutput()
        with self._mlmd_connection as handle:
            types = len(handle.store.get_artifacts_by_type("Examples"))
        result.exec_properties["counted"].int_value = min(types, 1)
        return result


class _Executor(base_executor.BaseExecutor):
    def Do(self, input_dict: Any, output_dict: Any, exec_properties: dict[str, Any]) -> None:
        (output,) = output_dict["copy"]
        Path(output.uri, "bytes").write_text(f"{exec_properties['counted']} {exec_properties['schema_file']}")


class _OwnSpec(ComponentSpec):
    PARAMETERS = {"schema_file": ExecutionParameter(type=str)}
    INPUTS = {"model": ChannelParameter(type=standard_artifacts.Model)}
    OUTPUTS = {"copy": ChannelParameter(type=standard_artifacts.Model)}


class Own(base_component.BaseComponent):
    """A component with a driver of its own, and a file that a parameter names."""

    SPEC_CLASS = _OwnSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(_Executor)
    DRIVER_CLASS = Driver

    def __init__(self, *, model: channel.BaseChannel, schema_file: str) -> None:
        copy = channel.Channel(type=standard_artifacts.Model)
        super().__init__(spec=_OwnSpec(model=model, schema_file=schema_file, copy=copy))
