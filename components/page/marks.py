"""Small inline pictures of one number: where it lies among its interval, bounds and baseline.

Each has its own scale, so it says "which side, how near", not "how much more than the row above".
The numbers themselves always stand beside it; the picture is hidden from screen readers.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

WIDTH = 132
HEIGHT = 18
MARGIN = 8


def mark(
    value: float,
    *,
    low: float | None = None,
    high: float | None = None,
    baseline: float | None = None,
    bounds: Iterable[float] = (),
    allowed: tuple[float | None, float | None] | None = None,
) -> Markup:
    """The mark of `value`, as inline SVG.

    Parameters
    ----------
    value
        Drawn as a dot.
    low, high
        Its interval, drawn as a line through the dot.
    baseline
        Another model's value, drawn as a hollow diamond.
    bounds
        Thresholds, drawn as upright lines.
    allowed
        What the thresholds allow, from below and from above, drawn as a shaded band; none is open.

    Returns
    -------
    Markup
        Empty where there is nothing to compare the value with.
    """
    lines = sorted(set(bounds))
    others = [point for point in (low, high, baseline, *lines) if point is not None]
    scale = _Scale([value, *others])
    if not others or scale.empty:
        return Markup("")
    middle = HEIGHT / 2
    parts = [_line("mark-axis", MARGIN / 2, WIDTH - MARGIN / 2, middle)]
    if allowed is not None:
        left, right = scale.end(allowed[0], MARGIN / 2), scale.end(allowed[1], WIDTH - MARGIN / 2)
        width = max(0.0, right - left)
        parts.append(f'<rect class="mark-allowed" x="{left:.1f}" y="3" width="{width:.1f}" height="12"/>')
    parts += [f'<path class="mark-bound" d="M{scale(line):.1f} 1.5v15"/>' for line in lines]
    if low is not None and high is not None:
        parts.append(_line("mark-interval", scale(low), scale(high), middle))
    if baseline is not None:
        parts.append(f'<path class="mark-baseline" d="M{scale(baseline):.1f} 4.5l4.5 4.5-4.5 4.5-4.5-4.5z"/>')
    parts.append(f'<circle class="mark-value" cx="{scale(value):.1f}" cy="{middle:g}" r="3.6"/>')
    return Markup(
        f'<svg class="mark" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'aria-hidden="true" focusable="false">{"".join(parts)}</svg>'
    )


class _Scale:
    """From numbers to places on the mark."""

    def __init__(self, points: list[float]) -> None:
        self._low, high = min(points), max(points)
        self._span = high - self._low
        self.empty = self._span <= 0

    def __call__(self, point: float) -> float:
        return 2 * MARGIN + (point - self._low) / self._span * (WIDTH - 4 * MARGIN)

    def end(self, bound: float | None, otherwise: float) -> float:
        return otherwise if bound is None else self(bound)


def _line(name: str, left: float, right: float, y: float) -> str:
    return f'<path class="{name}" d="M{left:.1f} {y:g}H{right:.1f}"/>'
