"""What the charts of a fairness report are made of: signs of verdicts, rows, texts at their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from tfx_trust.components.page.charts import PALETTE, VERDICT_COLOURS

# By the tone of a verdict; info is what is not judged.
SHAPES = {
    "pass": "circle",
    "inconclusive": "diamond",
    "fail": "square",
    "not_run": "cross",
    "info": "circle",
}
COLOURS = {
    **{name: VERDICT_COLOURS[name] for name in ("pass", "inconclusive", "fail", "not_run")},
    "info": PALETTE[0],
}


def texts(rows: Sequence[dict[str, Any]], height: int, **style: Any) -> Any:
    """Texts, each at a place in pixels from the left and in rows from above, of which there are `height`."""
    return (
        layer(rows)
        .mark_text(baseline="middle", **style)
        .encode(
            x=alt.X("x:Q", scale=None, axis=None),
            y=down("y", height),
            text=alt.Text("text:N"),
        )
    )


def layer(rows: Sequence[dict[str, Any]]) -> Any:
    """A chart of rows of its own."""
    return alt.Chart(alt.Data(values=list(rows)))


def down(name: str, rows: int) -> Any:
    """A place down the rows, the first at the top."""
    return alt.Y(f"{name}:Q", axis=None, scale=alt.Scale(domain=[rows, 0], nice=False, zero=False))
