"""Icons of verdicts and outcomes: each has a shape of its own, so that none rests on colour alone."""

from __future__ import annotations

from markupsafe import Markup

# On a 16 × 16 grid; the shape takes the text's colour, the sign within it the background's.
_SIGN = 'fill="none" stroke="var(--surface)" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"'
_THIN_SIGN = _SIGN.replace('width="2"', 'width="1.6"')
_DOT = 'fill="var(--surface)"'
_SHAPES = {
    "pass": f'<circle cx="8" cy="8" r="7.5"/><path d="M4.7 8.4l2.3 2.3 4.4-4.9" {_SIGN}/>',
    "warn": (
        '<path d="M6.9 1.4a1.3 1.3 0 0 1 2.2 0l6.5 11.4a1.3 1.3 0 0 1-1.1 1.9H1.5a1.3 1.3 0 0 1-1.1-1.9z"/>'
        f'<path d="M8 5.6v3.6" {_SIGN}/><circle cx="8" cy="12" r="1.15" {_DOT}/>'
    ),
    "inconclusive": (
        '<path d="M8 .2l7.8 7.8L8 15.8.2 8z"/>'
        f'<path d="M6.2 6.4a1.9 1.9 0 1 1 2.7 1.9c-.6.3-.9.6-.9 1.2" {_THIN_SIGN}/>'
        f'<circle cx="8" cy="11.9" r="1" {_DOT}/>'
    ),
    "not_run": (
        '<circle cx="8" cy="8" r="6.7" fill="none" stroke="currentColor" stroke-width="1.6" '
        'stroke-dasharray="2.6 2.1"/><path d="M5.2 8h5.6" fill="none" stroke="currentColor" '
        'stroke-width="1.8" stroke-linecap="round"/>'
    ),
    "fail": (
        f'<path d="M4.8.5h6.4l4.3 4.3v6.4l-4.3 4.3H4.8L.5 11.2V4.8z"/>'
        f'<path d="M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4" {_SIGN}/>'
    ),
    "info": (
        '<circle cx="8" cy="8" r="6.8" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        '<path d="M8 7.4v4" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"/>'
        '<circle cx="8" cy="4.7" r="1.1"/>'
    ),
    "done": (
        '<path d="M2.5 8.6l3.6 3.7 7.4-8.4" fill="none" stroke="currentColor" stroke-width="2.2" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    ),
    "cached": (
        '<path d="M3 8.2A5.2 5.2 0 1 0 4.8 4.1" fill="none" stroke="currentColor" stroke-width="1.8" '
        'stroke-linecap="round"/><path d="M5.9.9v4.4H1.5z"/>'
    ),
}
_SAME = {"failed": "fail"}

NAMES = frozenset(_SHAPES) | frozenset(_SAME)


def shape(name: str) -> Markup:
    """The drawing alone, for use inside an ``<svg>`` that is there already."""
    return Markup(_SHAPES[_SAME.get(name, name)])


def icon(name: str) -> Markup:
    """An inline icon; hidden from screen readers, because a word always stands beside it."""
    return Markup(
        '<svg class="icon" viewBox="0 0 16 16" fill="currentColor" aria-hidden="true" focusable="false">'
        "{}</svg>"
    ).format(shape(name))
