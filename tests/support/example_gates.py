"""Gates and steps as a user would write them. In a module of its own, since TFX imports it by name."""

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from tfx_trust.components import Finding, Report, Severity, TrustReport, write_report


@component
def OpinionGate(
    model: InputArtifact[standard_artifacts.Model],
    opinion_report: OutputArtifact[TrustReport],
    severity: Parameter[str],
) -> None:
    """Says what it is told to say about any model."""
    finding = Finding(
        check="opinion", severity=Severity(severity), subject=model.uri, message=f"The opinion is {severity}."
    )
    write_report(Report(component="OpinionGate", findings=[finding]), opinion_report)


@component
def SilentGate(
    model: InputArtifact[standard_artifacts.Model], blessing: OutputArtifact[standard_artifacts.ModelBlessing]
) -> None:
    """Writes no report, so it is no gate."""


@component
def IdleFilter(
    unfiltered: InputArtifact[standard_artifacts.Examples],
    schema: InputArtifact[standard_artifacts.Schema],
    examples: OutputArtifact[standard_artifacts.Examples],
) -> None:
    """A filter to compose pipelines of; it writes nothing."""


@component
def IdleModelStep(
    before: InputArtifact[standard_artifacts.Model],
    examples: InputArtifact[standard_artifacts.Examples],
    schema: InputArtifact[standard_artifacts.Schema],
    model: OutputArtifact[standard_artifacts.Model],
) -> None:
    """A model step to compose pipelines of; it writes nothing."""


@component
def PushLooker(
    pushed: InputArtifact[standard_artifacts.PushedModel],
    report: InputArtifact[TrustReport],
    looked: OutputArtifact[TrustReport],
) -> None:
    """A step after Pusher to compose pipelines of; it writes nothing."""


def raising_run_fn(fn_args: object) -> None:
    """A run_fn with a defect."""
    raise RuntimeError("the optimizer exploded\nand a second line")
