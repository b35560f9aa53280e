"""The HTML pages of reports: self-contained, offline, without JavaScript."""

from tfx_trust.components.page.render import render_overview, render_report

__all__ = ["render_overview", "render_report"]
