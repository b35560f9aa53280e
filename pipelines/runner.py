"""Runs a pipeline, tells how each node fares, and draws the overview page."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import data_types, launcher
from tfx.types import artifact, artifact_utils

from tfx_trust.components.artifacts import ReleaseReport as ReleaseReportArtifact
from tfx_trust.components.artifacts import read_report
from tfx_trust.components.errors import InputError, TrustError, unknown
from tfx_trust.components.page import render_overview
from tfx_trust.components.page.run import NodeRun, Run, State
from tfx_trust.components.privacy.ledger import BudgetExceeded
from tfx_trust.components.release.report import ReleaseReport
from tfx_trust.components.release.standard import read_anomalies
from tfx_trust.components.report import PAGE_FILE, Report, Verdict
from tfx_trust.pipelines.beam import LOCAL_RUNNER

RUNNERS = ("local", "beam")


class PipelineFailed(TrustError):
    """A node failed.

    Attributes
    ----------
    run
        Tells which, with its error in one line, and how the others fared.
    causes
        What was raised, by node.
    """

    def __init__(self, run: Run, causes: Mapping[str, Exception] | None = None) -> None:
        self.run = run
        self.causes = dict(causes or {})
        failures = "; ".join(f"{node.name}: {node.error}" for node in run.failed)
        super().__init__(failures or "the pipeline ended before its last node")


class Progress(Protocol):
    """What wants to be told how the nodes fare, as they run."""

    def started(self, node: str) -> None:
        """The node with this id begins."""

    def ended(self, node: str, state: State, seconds: float) -> None:
        """The node with this id is done, cached, failed, or skipped (``not_run``)."""


def run_pipeline(
    pipeline: Pipeline,
    *,
    runner: str = "local",
    progress: Progress | None = None,
    overview: str | Path | None = None,
    details: Mapping[str, str] | None = None,
) -> Run:
    """Runs `pipeline` to its end or its first failure.

    Unlike TFX's LocalDagRunner, which goes on after a node whose inputs could not be resolved and
    then returns as if all were well, this stops and raises.

    Parameters
    ----------
    pipeline
        Any TFX pipeline.
    runner
        ``local`` (LocalDagRunner) or ``beam`` (BeamDagRunner, on the direct runner).
    progress
        Told of each node's start and end.
    overview
        File to write the overview page to, also if the run fails.
    details
        Further facts for the page, by label.

    Returns
    -------
    Run
        How each node fared, with the release report if there is a release gate.

    Raises
    ------
    PipelineFailed
        If a node failed; its ``run`` is what would have been returned.
    UsageError
        If there is no such runner.
    """
    if runner not in RUNNERS:
        raise unknown("runner", runner, RUNNERS)
    if overview:
        # An interrupted run must not leave the page, and with it the verdict, of the one before.
        Path(overview).unlink(missing_ok=True)
    watch = _Watch(progress)
    crash: Exception | None = None
    with watch.observing(), _beam_in_process():
        try:
            _runner(runner).run(pipeline)
        except Exception as error:
            crash = error
            if not watch.errors:
                raise
    run = watch.summary(pipeline, base=Path(overview).parent if overview else None, details=details or {})
    if overview:
        Path(overview).parent.mkdir(parents=True, exist_ok=True)
        Path(overview).write_text(render_overview(run), encoding="utf-8")
    if crash is not None:
        raise PipelineFailed(run, watch.causes) from crash
    return run


def _runner(name: str) -> Any:
    if name == "local":
        from tfx.orchestration.local.local_dag_runner import LocalDagRunner

        return LocalDagRunner()
    from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

    return BeamDagRunner()


@contextlib.contextmanager
def _beam_in_process() -> Iterator[None]:
    """Keeps BeamDagRunner's own graph in this process; there is no argument for that."""
    from apache_beam.options.pipeline_options import StandardOptions

    default = StandardOptions.DEFAULT_RUNNER
    StandardOptions.DEFAULT_RUNNER = LOCAL_RUNNER
    try:
        yield
    finally:
        StandardOptions.DEFAULT_RUNNER = default


class _NodeFailed(Exception):
    """A node that TFX marked as failed without raising."""


class _Watch:
    """Sees each node start and end, in this process, under either runner."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.run_id = ""
        self.started: datetime.datetime | None = None
        self.states: dict[str, State] = {}
        self.seconds: dict[str, float] = {}
        self.errors: dict[str, str] = {}
        self.causes: dict[str, Exception] = {}
        self.outputs: dict[str, list[artifact.Artifact]] = {}

    @contextlib.contextmanager
    def observing(self) -> Iterator[None]:
        """Both runners make a ``launcher.Launcher`` for each node; for the while, they make ours."""
        watch = self
        original = launcher.Launcher

        class Observed(original):  # type: ignore[misc, valid-type]
            def launch(self) -> data_types.ExecutionInfo | None:
                return watch.launched(self, super().launch)

        launcher.Launcher = Observed
        try:
            yield
        finally:
            launcher.Launcher = original

    def launched(
        self, node: Any, launch: Callable[[], data_types.ExecutionInfo | None]
    ) -> data_types.ExecutionInfo | None:
        name = node._pipeline_node.node_info.id
        self.run_id = node._pipeline_runtime_spec.pipeline_run_id.field_value.string_value
        self.started = self.started or datetime.datetime.now(datetime.timezone.utc)
        if self.progress:
            self.progress.started(name)
        begin = time.monotonic()
        state: State = "failed"
        try:
            info = launch()
            state = self._outcome(name, node, info)
            return info
        except SystemExit:
            # Beam's parser ends the process over an argument that it does not understand.
            self.errors[name] = "an argument for Beam was not understood; the log says which"
            raise _NodeFailed(self.errors[name]) from None
        except Exception as error:
            self.errors[name] = _in_one_line(error)
            self.causes[name] = error
            raise
        finally:
            self.states[name], self.seconds[name] = state, time.monotonic() - begin
            if self.progress:
                self.progress.ended(name, state, self.seconds[name])

    def _outcome(self, name: str, node: Any, info: data_types.ExecutionInfo | None) -> State:
        if info is None or not info.execution_id:
            return "not_run"
        with node._mlmd_connection as handle:
            (execution,) = handle.store.get_executions_by_id([info.execution_id])
            self.outputs[name] = _outputs(handle.store, info.execution_id)
        states = metadata_store_pb2.Execution
        if execution.last_known_state == states.FAILED:
            raise _NodeFailed(_reason(execution))
        # TFX files a resolver's executions under CACHED although it resolves anew each time.
        is_resolver = "resolver" in node._pipeline_node.node_info.type.name.lower()
        return "cached" if execution.last_known_state == states.CACHED and not is_resolver else "done"

    def summary(self, pipeline: Pipeline, base: Path | None, details: Mapping[str, str]) -> Run:
        verdicts, pages, release = self._reports(base)
        hint = self._anomalies() if self.errors else ""
        for node, cause in self.causes.items():
            if isinstance(cause, BudgetExceeded) and cause.page:
                verdicts[node], pages[node] = Verdict.FAIL, _link(cause.page, base)
        nodes = tuple(
            NodeRun(
                name=node.id,
                kind=type(node).__name__,
                state=self.states.get(node.id, "not_run"),
                seconds=self.seconds.get(node.id),
                upstream=tuple(sorted(upstream.id for upstream in node.upstream_nodes)),
                error=self.errors[node.id] + hint if node.id in self.errors else "",
                verdict=verdicts.get(node.id),
                page=pages.get(node.id),
            )
            for node in pipeline.components
        )
        return Run(
            pipeline=pipeline.pipeline_info.pipeline_name,
            run_id=self.run_id,
            started=self.started,
            nodes=nodes,
            release=release,
            pushed=self._pushed(base),
            details=details,
        )

    def _reports(self, base: Path | None) -> tuple[dict[str, Any], dict[str, str], ReleaseReport | None]:
        verdicts: dict[str, Any] = {}
        pages: dict[str, str] = {}
        release = None
        for node, outputs in self.outputs.items():
            for output in outputs:
                if not output.has_custom_property("verdict"):
                    continue
                is_release = output.type_name == ReleaseReportArtifact.TYPE_NAME
                try:
                    report = read_report(output, ReleaseReport if is_release else Report)
                except InputError:
                    continue  # the release gate says what is wrong with it
                verdicts[node] = report.verdict
                pages[node] = _link(os.path.join(output.uri, PAGE_FILE), base)
                release = report if isinstance(report, ReleaseReport) else release
        return verdicts, pages, release

    def _anomalies(self) -> str:
        """What ExampleValidator found: often the reason why a later node fails."""
        found: list[str] = []
        for output in itertools.chain.from_iterable(self.outputs.values()):
            if output.type_name == "ExampleAnomalies":
                by_split = read_anomalies(output)
                found += [f"{split}: {text}" for split, texts in by_split.items() for text in texts]
        shown = "; ".join(text.rstrip(". ") for text in found[:3])
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        return f" (the examples do not fit their schema: {shown}{more})" if found else ""

    def _pushed(self, base: Path | None) -> str | None:
        for outputs in self.outputs.values():
            for output in outputs:
                if output.type_name == "PushedModel" and output.get_int_custom_property("pushed"):
                    place = output.get_string_custom_property("pushed_destination")
                    inside = base is not None and base.resolve() in Path(place).resolve().parents
                    return os.path.relpath(place, base) if inside else place
        return None


def _link(page: str, base: Path | None) -> str:
    """The link from the overview to a page."""
    return os.path.relpath(page, base) if base and "://" not in page else page


def _outputs(store: Any, execution_id: int) -> list[artifact.Artifact]:
    """Output artifacts as published; a cached execution's are those of the one it repeats."""
    kinds = (metadata_store_pb2.Event.OUTPUT, metadata_store_pb2.Event.DECLARED_OUTPUT)
    events = [event for event in store.get_events_by_execution_ids([execution_id]) if event.type in kinds]
    if not events:
        return []
    published = store.get_artifacts_by_id(sorted({event.artifact_id for event in events}))
    types = {kind.id: kind for kind in store.get_artifact_types_by_id([item.type_id for item in published])}
    return [artifact_utils.deserialize_artifact(types[item.type_id], item) for item in published]


def _reason(execution: metadata_store_pb2.Execution) -> str:
    """What TFX noted of a failed execution: the last line of its traceback."""
    noted = execution.custom_properties["__execution_result__"].string_value
    try:
        message = json.loads(noted)["resultMessage"]
    except (ValueError, KeyError, TypeError):
        message = noted
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1] if lines else "its inputs could not be resolved"


def _in_one_line(error: BaseException) -> str:
    """Kind and message of an error, without the stacks that Beam puts into its messages."""
    if isinstance(error, UnicodeDecodeError):
        # Beam changes its first argument, and with it the message, beyond recognition.
        return (
            f"UnicodeDecodeError: {error.reason} {error.object[error.start : error.end]!r}; TFX reads UTF-8"
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told_by_stack = any(line.startswith("Traceback (most recent call last)") for line in lines)
    head = lines[-1 if told_by_stack else 0] if lines else ""
    if len(lines) > 1 and head.endswith((":", "=")):
        head = f"{head} {lines[1]}"
    # Beam appends where in its graph an exception came up.
    head = head.split(" [while running")[0]
    if isinstance(error, (TrustError, _NodeFailed)):
        return head
    return f"{type(error).__name__}: {head}" if head else type(error).__name__
