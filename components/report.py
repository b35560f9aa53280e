"""Report, Finding, Verdict: the one shape that every gate writes.

A gate writes an artifact folder with ``report.json`` (for machines) and ``report.html`` (for
people). This module owns the first; :mod:`tfx_trust.components.page` the second. Nothing here
imports TFX or TensorFlow, so that the command line and notebooks start at once.
"""

from __future__ import annotations

import datetime
import enum
import html
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pydantic

from tfx_trust.components.errors import InputError

SCHEMA_VERSION = "1.0"
REPORT_FILE = "report.json"
PAGE_FILE = "report.html"


class Verdict(str, enum.Enum):
    """What a gate says of its subject as a whole.

    ``not_run`` is its own verdict: what could not be checked is neither a pass nor a fail.
    """

    PASS = "pass"
    WARN = "warn"
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not_run"
    FAIL = "fail"

    def __str__(self) -> str:
        return self.value

    @classmethod
    def worst(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """The gravest of `verdicts`, in the order of definition; ``pass`` of none.

        Examples
        --------
        >>> str(Verdict.worst([Verdict.WARN, Verdict.FAIL, Verdict.NOT_RUN]))
        'fail'
        """
        order = list(cls)
        return max(verdicts, key=order.index, default=cls.PASS)


class Severity(str, enum.Enum):
    """What one finding does to the verdict: nothing (``info``), or raise it to its own level."""

    INFO = "info"
    WARN = "warn"
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not_run"
    FAIL = "fail"

    def __str__(self) -> str:
        return self.value

    @property
    def verdict(self) -> Verdict:
        """The mildest verdict that a report with such a finding can have."""
        return Verdict.PASS if self is Severity.INFO else Verdict(self.value)


class Model(pydantic.BaseModel):
    """Base of all that is written into a report: closed, and without NaN or infinity."""

    model_config = pydantic.ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Estimate(Model):
    """A number that was estimated from data, with its uncertainty.

    Examples
    --------
    >>> print(Estimate(value=0.1, low=0.05, high=0.15, count=200))
    0.1 [0.05, 0.15], n = 200
    """

    value: float
    """The point estimate."""
    low: float | None = None
    """Lower end of the interval at `level`; none where the value is exact (a count, a flag)."""
    high: float | None = None
    """Upper end of the interval at `level`."""
    count: int | None = pydantic.Field(default=None, ge=0)
    """Number of observations that the value rests on (its denominator)."""
    level: float | None = pydantic.Field(default=None, gt=0, lt=1)
    """Confidence level of the interval, e.g. 0.95."""
    method: str | None = None
    """How the interval was made, e.g. ``wilson``."""

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Estimate:
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval needs both its ends: give low and high, or neither")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low = {self.low} lies above high = {self.high}")
        return self

    def __str__(self) -> str:
        text = format_number(self.value)
        if self.low is not None and self.high is not None:
            text += f" [{format_number(self.low)}, {format_number(self.high)}]"
        return text if self.count is None else f"{text}, n = {self.count:,}"


class Finding(Model):
    """One thing that a check found out, and what to do about it."""

    check: str = pydantic.Field(min_length=1)
    """Which check: a short machine name, e.g. ``duplicates_across_splits``."""
    severity: Severity
    """What the finding does to the verdict."""
    subject: str = ""
    """What it is about: a feature, slice, report, file …"""
    statistic: Estimate | None = None
    """The number that was judged."""
    threshold: float | None = None
    """The bound that it was judged against."""
    message: str = pydantic.Field(min_length=1)
    """What was found, in a sentence that a product owner can read."""
    remedy: str = ""
    """What to do about it."""
    evidence: dict[str, Any] = {}
    """Whatever supports the finding; masked, never raw personal data."""


class InputRef(Model):
    """An artifact or file that the report speaks of."""

    uri: str
    """Where it lay."""
    type: str = ""
    """Its artifact type, e.g. ``Model``."""
    id: int | None = None
    """Its id in the metadata store."""
    split_names: list[str] = []
    """The splits that were read, where it has any."""


ReportT = TypeVar("ReportT", bound="Report")


class Report(pydantic.BaseModel):
    """What every gate writes; a concern's own report adds one section under its concern's name.

    Subclass it, set `CONCERN`, and add a field of that name:

    >>> class LatencyReport(Report):
    ...     CONCERN: ClassVar[str] = "latency"
    ...     latency: dict[str, float] = {}
    >>> report = LatencyReport(component="LatencyGate", latency={"p99_ms": 4.1})
    >>> str(report.verdict)
    'pass'
    """

    model_config = pydantic.ConfigDict(extra="allow", allow_inf_nan=False, use_attribute_docstrings=True)

    CONCERN: ClassVar[str] = ""
    CHARTS: ClassVar[str] = ""

    schema_version: str = SCHEMA_VERSION
    """Version of this shape: ``major.minor``; a reader refuses another major."""
    component: str = pydantic.Field(min_length=1)
    """Class name of the component that wrote it."""
    created: datetime.datetime = pydantic.Field(
        default_factory=lambda: datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    )
    """When, in UTC."""
    verdict: Verdict = Verdict.PASS
    """The component's judgement; never milder than the gravest finding."""
    findings: list[Finding] = []
    """All findings, the gravest first."""
    settings: dict[str, Any] = {}
    """The settings in force, defaults included."""
    inputs: dict[str, list[InputRef]] = {}
    """What was looked at, by input name."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Report:
        major = self.schema_version.partition(".")[0]
        if major != SCHEMA_VERSION.partition(".")[0]:
            raise ValueError(
                f"schema_version is {self.schema_version}, this tfx-trust reads {SCHEMA_VERSION}: "
                "use the version of tfx-trust that wrote the report, or make it anew"
            )
        order = list(Severity)
        self.findings.sort(key=lambda finding: -order.index(finding.severity))
        gravest = Verdict.worst(finding.severity.verdict for finding in self.findings)
        if "verdict" not in self.model_fields_set:
            self.verdict = gravest
        elif Verdict.worst([self.verdict, gravest]) is not self.verdict:
            raise ValueError(f"verdict is {self.verdict} although a finding is {gravest}")
        return self

    def to_json(self) -> str:
        """The report as JSON text, keys in the order of definition, non-ASCII kept."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, folder: str | Path) -> Path:
        """Writes ``report.json`` and ``report.html`` into `folder` and returns the page's path."""
        from tfx_trust.components.page import render_report

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT_FILE).write_text(self.to_json(), encoding="utf-8")
        page = folder / PAGE_FILE
        page.write_text(render_report(self, str(folder.resolve())), encoding="utf-8")
        return page

    @classmethod
    def load(cls: type[ReportT], path: str | Path) -> ReportT:
        """Reads a report from its file or its folder.

        Raises
        ------
        InputError
            If there is no such file, it is no JSON, or not of this shape.
        """
        path = Path(path)
        if path.is_dir():
            path = path / REPORT_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise InputError(f"{path}: no such report; run the gate that writes it first") from None
        except pydantic.ValidationError as error:
            raise InputError(f"{path}: not a report: {explain(error)}; make it anew") from None

    def _repr_html_(self) -> str:
        from tfx_trust.components.page import render_report

        page = html.escape(render_report(self), quote=True)
        return f'<iframe srcdoc="{page}" style="width:100%;height:40rem;border:0"></iframe>'


def explain(error: pydantic.ValidationError) -> str:
    """A pydantic error in one line: field, what is wrong, the value that was found.

    Examples
    --------
    >>> try:
    ...     Estimate(value=1.0, count=-1)
    ... except pydantic.ValidationError as error:
    ...     print(explain(error))
    count: Input should be greater than or equal to 0, found -1
    """
    parts = []
    for item in error.errors(include_url=False):
        where = ".".join(str(step) for step in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        found = item.get("input")
        hidden = isinstance(found, (dict, bytes)) or item["type"] == "missing" or "-----BEGIN" in str(found)
        shown = "" if hidden else f", found {found!r:.60}"
        parts.append(f"{where}: {message}{shown}" if where else message)
    return "; ".join(parts)


def format_number(value: float) -> str:
    """A number as people read it: integers with separators, else four significant digits.

    Examples
    --------
    >>> format_number(32561.0), format_number(0.123456), format_number(1e-9)
    ('32,561', '0.1235', '1e-09')
    """
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"


def as_sentence(text: str) -> str:
    """A reason with a capital letter and a full stop.

    Examples
    --------
    >>> as_sentence("the examples fit their schema")
    'The examples fit their schema.'
    """
    text = text.rstrip(". ")
    return f"{text[:1].upper()}{text[1:]}."
