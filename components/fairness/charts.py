"""The pictures of a fairness report: groups by metric, crossed groups, scores against outcomes."""

from __future__ import annotations

from dataclasses import dataclass

from tfx_trust.components.fairness import forest, heat, reliability
from tfx_trust.components.fairness.report import FairnessReport
from tfx_trust.components.page.charts import Figure, to_svg


@dataclass(frozen=True)
class PartFigure(Figure):
    """A figure, and to which part of the page it belongs.

    Attributes
    ----------
    part
        ``judged`` or ``told`` (a metric's groups), ``crossed`` (a heat map) or ``calibration``.
    """

    part: str = ""


def figures(report: FairnessReport) -> list[Figure]:
    """The report's charts: each metric's groups, crossed groups, and scores against outcomes.

    Parameters
    ----------
    report
        A fairness report.

    Returns
    -------
    list of Figure
        :class:`PartFigure` all of them; none where nothing was measured. Long ones are cut, and say so.
    """
    return [
        *(
            PartFigure(
                item.title,
                to_svg(forest.chart(item), label=forest.label(item)),
                forest.caption(item),
                "judged" if item.judged else "told",
            )
            for item in forest.forests(report)
        ),
        *(
            PartFigure(
                item.title, to_svg(heat.chart(item), label=heat.label(item)), heat.caption(item), "crossed"
            )
            for item in heat.heat_maps(report)
        ),
        *(
            PartFigure(
                item.title,
                to_svg(reliability.chart(item), label=reliability.label(item)),
                reliability.caption(item),
                "calibration",
            )
            for item in reliability.curves(report)
        ),
    ]
