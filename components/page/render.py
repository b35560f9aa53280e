"""Renders reports and runs to HTML."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from tfx_trust.components.page import (
    audit,
    fairness,
    fairness_words,
    icons,
    leakage,
    lineage,
    links,
    marks,
    mitigation,
    overview,
    privacy,
    provenance,
    push,
    release,
    values,
    words,
)
from tfx_trust.components.report import format_number

if TYPE_CHECKING:
    from tfx_trust.components.page.charts import Figure
    from tfx_trust.components.page.run import Run
    from tfx_trust.components.release.report import Weighed
    from tfx_trust.components.report import Report

TEMPLATES = Path(__file__).parent / "templates"


def render_report(report: Report, folder: str | None = None) -> str:
    """The page of a report: one HTML text that needs no network, no JavaScript and no other file.

    A concern's report (one whose class sets ``CONCERN``) may bring

    - a template ``<concern>.html.j2`` beside the others, which extends ``base.html.j2`` and
      overrides its blocks, ``charts`` and ``section`` above all;
    - a module ``charts`` in the concern's own package, or the one that the class names as ``CHARTS``, with
      ``figures(report)``, a list of :class:`~tfx_trust.components.page.charts.Figure`. It is imported here
      and nowhere else, so that only a page with charts costs the time to load Vega-Altair.

    Without them the section is shown field by field.

    Parameters
    ----------
    report
        Any report.
    folder
        Where the page will lie. Links to pages of other reports are then relative, and hold after
        all was moved together; otherwise they are absolute.
    """
    template = _environment().get_template(_template_of(report))
    return template.render(
        report=report,
        section=_section(report),
        figures=_figures(report),
        page_of=lambda weighed: links.page_link(weighed.uri, folder) if _has_page(weighed) else None,
        page_at=lambda uri: links.page_link(uri, folder),
    )


def render_overview(run: Run) -> str:
    """The overview page of a run of a pipeline: its outcome, its graph, its gates and its model.

    Links are relative to the folder of the run, where also ``run.log`` lies.
    """
    return _environment().get_template("overview.html.j2").render(run=run, head=overview.headline(run))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        audit=audit,
        fairness=fairness,
        fairness_words=fairness_words,
        icon=icons.icon,
        leakage=leakage,
        lineage=lineage,
        links=links,
        mark=marks.mark,
        mitigation=mitigation,
        overview=overview,
        privacy=privacy,
        provenance=provenance,
        push=push,
        release=release,
        titled=_titled,
        values=values,
        words=words,
    )
    environment.filters.update(number=format_number, duration=words.duration, moment=words.moment)
    return environment


def _template_of(report: Report) -> str:
    name = f"{report.CONCERN}.html.j2"
    return name if report.CONCERN and (TEMPLATES / name).is_file() else "base.html.j2"


def _section(report: Report) -> dict[str, Any]:
    """The concern's own section by its name; of a plain report, all that goes beyond a report's fields."""
    if report.CONCERN:
        return {report.CONCERN: getattr(report, report.CONCERN, None)}
    return dict(report.model_extra or {})


def _has_page(weighed: Weighed) -> bool:
    return weighed.kind == "report" and bool(weighed.component)


def _titled(figures: Sequence[Figure], title: str) -> Figure | None:
    """The figure of that title, if it was drawn."""
    return next((figure for figure in figures if figure.title == title), None)


def _figures(report: Report) -> Sequence[Figure]:
    module = report.CHARTS or f"tfx_trust.components.{report.CONCERN}.charts"
    if not report.CONCERN or importlib.util.find_spec(module.rpartition(".")[0]) is None:
        return ()
    if importlib.util.find_spec(module) is None:
        return ()
    from tfx_trust.components.page.charts import checked

    with checked():
        figures: Sequence[Figure] = importlib.import_module(module).figures(report)
    return figures
