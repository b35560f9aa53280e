"""How the model was made, as CycloneDX tells it: a workflow for each run, a task for each execution."""

from __future__ import annotations

from typing import Any

from tfx_trust.components.provenance import naming as common
from tfx_trust.components.provenance.record import ExecutionEntry, Record

# What an execution does, by a word in the name of its component.
_TASKS = {
    "ExampleGen": "copy",
    "Importer": "copy",
    "Transform": "build",
    "Trainer": "build",
    "Tuner": "build",
    "Pusher": "deploy",
    "Evaluator": "test",
    "Validator": "test",
}

_Json = dict[str, Any]


def formulation_of(record: Record) -> list[_Json]:
    """The formula, with its workflows; none of a record without executions."""
    runs: dict[str, list[ExecutionEntry]] = {}
    for execution in record.executions:
        runs.setdefault(execution.run, []).append(execution)
    workflows = [
        _workflow(record, number, run, executions)
        for number, (run, executions) in enumerate(runs.items(), start=1)
    ]
    return [{"bom-ref": "formula:1", "workflows": workflows}] if workflows else []


def _workflow(record: Record, number: int, run: str, executions: list[ExecutionEntry]) -> _Json:
    starts = sorted(item.started for item in executions if item.started)
    ends = sorted(item.finished for item in executions if item.finished)
    makers = {port.artifact: execution.id for execution in executions for port in execution.outputs}
    order = [
        {
            "ref": common.execution_ref(execution.id),
            "dependsOn": [
                common.execution_ref(maker)
                for maker in dict.fromkeys(makers.get(port.artifact) for port in execution.inputs)
                if maker is not None and maker != execution.id
            ],
        }
        for execution in executions
    ]
    return common.filled(
        {
            "bom-ref": f"run:{number}",
            "uid": run or common.identifier("run", common.digest_of(record), number),
            "name": record.pipeline,
            "taskTypes": ["build"],
            "tasks": [_task(record, execution) for execution in executions],
            "taskDependencies": [common.filled(item) for item in order],
            "timeStart": starts[0] if starts else None,
            "timeEnd": ends[-1] if ends else None,
        }
    )


def _task(record: Record, execution: ExecutionEntry) -> _Json:
    short = execution.type.rpartition(".")[2]
    kind = next((kind for word, kind in _TASKS.items() if word in short), "other")
    read = [
        *(source.id for source in common.sources_read_by(record, execution.id)),
        *(
            common.artifact_ref(item.id)
            for item in common.known(record, (port.artifact for port in execution.inputs))
        ),
    ]
    parameters = [
        common.filled({"name": name, "value": common.as_text(value)})
        for name, value in execution.parameters.items()
    ]
    made = common.known(record, (port.artifact for port in execution.outputs))
    return common.filled(
        {
            "bom-ref": common.execution_ref(execution.id),
            "uid": str(execution.id),
            "name": execution.component,
            "taskTypes": [kind],
            "inputs": [
                *({"resource": {"ref": ref}} for ref in read),
                *([{"parameters": parameters}] if parameters else []),
            ],
            "outputs": [
                {"type": "artifact", "resource": {"ref": common.artifact_ref(item.id)}} for item in made
            ],
            "timeStart": execution.started,
            "timeEnd": execution.finished,
            "properties": common.properties_of(
                {"component": execution.type, "state": execution.state, "reused-in": execution.reused_in}
            ),
        }
    )
