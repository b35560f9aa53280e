"""Worker side of ReleaseGate: artifacts in, the decision, artifacts out."""

from __future__ import annotations

from typing import Any

from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.types import artifact

from tfx_trust.components.artifacts import Artifacts, first, read_report, reference, write_report
from tfx_trust.components.blessing import write_blessing
from tfx_trust.components.errors import InputError
from tfx_trust.components.release.config import ReleasePolicy
from tfx_trust.components.release.decision import (
    Judged,
    decide,
    weigh_anomalies,
    weigh_evaluation,
    weigh_report,
)
from tfx_trust.components.release.report import ReleaseReport, ReleaseSection, Weighed
from tfx_trust.components.release.standard import (
    read_anomalies,
    read_evaluation,
    read_metrics,
)
from tfx_trust.components.report import Verdict
from tfx_trust.components.standard import read_example_counts
from tfx_trust.components.versions import versions

REPORT_PREFIX = "report_"


class Executor(base_executor.BaseExecutor):
    """Executor of ReleaseGate."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Weighs the inputs; writes the blessing and the report.

        Parameters
        ----------
        input_dict
            As ReleaseGate's parameters; reports under ``report_<name>``.
        output_dict
            ``blessing`` and ``release_report``.
        exec_properties
            ``policy``: JSON text of a ReleasePolicy.
        """
        policy = ReleasePolicy.of(exec_properties["policy"])
        model = input_dict["model"][0]
        baseline = first(input_dict, "baseline_model")
        statistics = first(input_dict, "statistics")
        weighed = _weigh(input_dict, policy)
        blessed, findings = decide(weighed, policy)
        report = ReleaseReport(
            component="ReleaseGate",
            findings=findings,
            settings=policy.model_dump(mode="json"),
            inputs={key: [reference(item) for item in items] for key, items in input_dict.items() if items},
            release=ReleaseSection(
                blessed=blessed,
                model=reference(model),
                baseline_model=reference(baseline) if baseline else None,
                weighed=weighed,
                metrics=read_metrics(first(input_dict, "evaluation")),
                examples=read_example_counts(statistics) if statistics else {},
                versions=versions(),
            ),
        )
        write_blessing(
            output_dict["blessing"][0],
            blessed=blessed,
            model=model,
            baseline_model=baseline,
            component_id=self._node_id(),
            message="; ".join(finding.message for finding in report.findings) or "nothing speaks against it",
        )
        write_report(report, output_dict["release_report"][0])
        logging.info("Release %s: %s", "granted" if blessed else "refused", report.verdict)

    def _node_id(self) -> str:
        node = self._context.pipeline_node if self._context else None
        return node.node_info.id if node else "ReleaseGate"


def _weigh(input_dict: Artifacts, policy: ReleasePolicy) -> list[Weighed]:
    weighed = [
        weigh_evaluation(
            read_evaluation(first(input_dict, "evaluator_blessing"), first(input_dict, "evaluation")),
            policy,
        )
    ]
    anomalies = first(input_dict, "anomalies")
    if anomalies:
        weighed.append(weigh_anomalies(read_anomalies(anomalies), anomalies.uri, policy))
    connected = {
        key.removeprefix(REPORT_PREFIX): _judged(items)
        for key, items in input_dict.items()
        if key.startswith(REPORT_PREFIX)
    }
    names = [*connected, *(name for name in policy.required or () if name not in connected)]
    weighed += [
        weigh_report(name, connected.get(name), policy)
        for name in names
        if name in connected or name not in policy.waived
    ]
    order = list(Verdict)
    return sorted(weighed, key=lambda item: (item.weight != "blocks", -order.index(item.verdict)))


def _judged(reports: list[artifact.Artifact]) -> Judged:
    if not reports:
        return Judged(None, problem="its gate wrote none in this run")
    try:
        return Judged(read_report(reports[0]), uri=reports[0].uri)
    except InputError as error:
        return Judged(None, uri=reports[0].uri, problem=str(error))
