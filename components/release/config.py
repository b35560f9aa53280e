"""Settings of ReleaseGate: what the release policy asks for."""

from __future__ import annotations

from typing import Literal

from tfx_trust.components.report import Verdict
from tfx_trust.components.settings import Settings

Effect = Literal["allow", "block"]


class ReleasePolicy(Settings):
    """When a model may be released. The defaults are strict: silence blocks.

    A report that says ``fail`` always blocks. Only what may be argued about is a setting.

    Examples
    --------
    >>> ReleasePolicy(on_warn="block").blocks(Verdict.WARN)
    True
    >>> ReleasePolicy().blocks(Verdict.WARN), ReleasePolicy().blocks(Verdict.NOT_RUN)
    (False, True)
    """

    required: list[str] | None = None
    """Names of the reports that must be there; all that are connected if not given. A connected
    report that is not required can still warn and fail, but its absence or ``not_run`` does not block."""
    waived: list[str] = []
    """Names of gates left out on purpose: their absence warns instead of blocking. One that is
    connected all the same is weighed like any other."""
    on_warn: Effect = "allow"
    """What a report's ``warn`` does."""
    on_inconclusive: Effect = "block"
    """What a report's ``inconclusive`` does."""
    on_not_run: Effect = "block"
    """What a required report's ``not_run`` or absence does."""
    on_anomalies: Effect = "block"
    """What anomalies that ExampleValidator found in the data do."""
    require_evaluation: bool = True
    """Whether the Evaluator must have judged the model; an Evaluator without thresholds has not."""

    def blocks(self, verdict: Verdict) -> bool:
        """Whether a required report with this verdict keeps the model from being released."""
        return {
            Verdict.PASS: False,
            Verdict.WARN: self.on_warn == "block",
            Verdict.INCONCLUSIVE: self.on_inconclusive == "block",
            Verdict.NOT_RUN: self.on_not_run == "block",
            Verdict.FAIL: True,
        }[verdict]
