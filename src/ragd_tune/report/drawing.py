"""Parts that every chart is made of: the frame, axes, lines and labels. Units are SVG's own."""

from __future__ import annotations

from collections.abc import Sequence

from ragd_tune.report.markup import Markup, el, join
from ragd_tune.report.scale import Scale, label

WIDTH = 380.0
"""A chart's width: at a phone's width its texts of 13 are still more than 10 pixels high."""
LINE = 18.0


def chart(key: str, height: float, title: str, told: str, *parts: Markup) -> Markup:
    """Return a drawing with a name and a description for those who do not see it."""
    return el(
        "svg",
        el("title", title, id=f"{key}-title"),
        el("desc", told, id=f"{key}-desc"),
        *parts,
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        preserveAspectRatio="xMinYMin meet",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
        class_="chart",
    )


def write(x: float, y: float, words: object, *, anchor: str = "start", style: str = "") -> Markup:
    """Return one line of text whose baseline is at ``y``."""
    return el("text", words, x=x, y=y, text_anchor=anchor, class_=style or None)


def rule(x1: float, y1: float, x2: float, y2: float, style: str = "grid") -> Markup:
    """Return a straight line."""
    return el("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=style)


def across(scale: Scale, top: float, bottom: float, *, signed: bool = False) -> Markup:
    """Return a horizontal axis: a faint line and a number at every tick, and 0 stronger."""
    parts = []
    for tick in scale.ticks(4):
        x = scale(tick)
        style = "zero" if signed and abs(tick) < 1e-12 else "grid"
        parts.append(rule(x, top, x, bottom, style))
        shown = label(tick, signed=signed)
        parts.append(write(x, bottom + 16, shown, anchor="middle", style="tick"))
    return join(*parts)


def upward(scale: Scale, left: float, right: float) -> Markup:
    """Return a vertical axis: a faint line and a number at every tick."""
    parts = []
    for tick in scale.ticks(4):
        y = scale(tick)
        parts.append(rule(left, y, right, y))
        parts.append(write(left - 6, y + 4, label(tick), anchor="end", style="tick"))
    return join(*parts)


def path(points: Sequence[tuple[float, float]], style: str) -> Markup:
    """Return a line through ``points``."""
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return el("polyline", points=told, class_=style)


def dot(x: float, y: float, style: str, *, size: float = 4.0, told: str = "") -> Markup:
    """Return a point; ``told`` is shown when a pointer rests on it."""
    inside = (el("title", told),) if told else ()
    if not inside:
        return el("circle", cx=x, cy=y, r=size, class_=style)
    return el("g", *inside, el("circle", cx=x, cy=y, r=size, class_=style))


def legend(entries: Sequence[tuple[str, str]], *, x: float, y: float) -> Markup:
    """Return names beside the colours of their lines; widths are guessed from letters."""
    parts = []
    for words, style in entries:
        parts.append(rule(x, y - 4, x + 18, y - 4, style))
        parts.append(write(x + 23, y, words, style="tick"))
        x += 23 + 6.6 * len(words) + 16
    return join(*parts)
