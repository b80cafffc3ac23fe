"""The heart of a report as one picture: for a slide, a message, a page that takes no HTML."""

from __future__ import annotations

import re
import textwrap
from importlib.util import find_spec

from ragd_tune.errors import NotInstalledError
from ragd_tune.evaluate.metrics import title
from ragd_tune.report import charts, drawing, style, words
from ragd_tune.report.charts import Bar
from ragd_tune.report.markup import Markup, el, join
from ragd_tune.report.story import Story

WIDTH, EDGE, GAP = 840.0, 30.0, 30.0
LETTERS = 104
"""Letters of a line of the sentence: 14 pixels high, they fill the width with room to spare."""
ZOOM = 2
"""Pixels of a PNG for one of the drawing, so that it stays sharp on a screen of today."""

_OWN = """
text { font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--ink); }
.ground { fill: var(--paper); } .name { font-size: 24px; font-weight: 700; }
.chart .name { font-size: 13px; font-weight: 400; } .chart .decides { font-weight: 700; }
.small { font-size: 13px; fill: var(--muted); } .said { font-size: 14px; }
.answer { font-size: 18px; font-weight: 700; } .head { font-size: 14px; font-weight: 700; }
.answer.yes { fill: var(--gain); } .answer.no { fill: var(--loss); }
"""


def svg(story: Story, *, dark: bool = True) -> str:
    """Return the picture as a whole SVG file; with ``dark`` it follows the reader's theme."""
    return str(_drawn(story, _sheet(dark=dark))) + "\n"


def png(story: Story) -> bytes:
    """Return the picture as PNG, in light colours.

    :raises NotInstalledError: the extra that draws it is not installed.
    """
    check_png()
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=svg(story, dark=False), zoom=ZOOM))


def check_png() -> None:
    """Refuse to draw a PNG where nothing can.

    :raises NotInstalledError: with the extra that brings it.
    """
    if find_spec("resvg_py") is None:
        raise NotInstalledError(
            "a report as .png needs the package resvg-py",
            mend='pip install "ragd-tune[png]"; or write it as .svg or .html',
        )


def _sheet(*, dark: bool) -> str:
    """Return the style with colours written out: not every reader of SVG knows CSS variables."""
    light = _coloured(style.CHARTS + _OWN, style.LIGHT)
    if not dark:
        return light
    night = _coloured(style.CHARTS + _OWN, style.DARK)
    return f"{light}@media (prefers-color-scheme: dark) {{{night}}}"


def _coloured(sheet: str, colours: dict[str, str]) -> str:
    return re.sub(r"var\(--(\w+)\)", lambda found: colours[found[1]], sheet)


def _drawn(story: Story, sheet: str) -> Markup:
    lines = textwrap.wrap(story.report.sentence, LETTERS)
    y = 128.0 + 20 * len(lines)
    height = y + 300
    wide = (WIDTH - 2 * EDGE - GAP) / 2
    said = [drawing.write(EDGE, 120 + 20 * i, one, style="said") for i, one in enumerate(lines)]
    told = f"{story.kind} on {story.base}, tested on {story.data} ({story.split})"
    return el(
        "svg",
        el("title", f"{story.adapter}: {story.decision}"),
        el("desc", story.report.sentence),
        el("style", Markup(sheet)),
        el("rect", x=0, y=0, width=WIDTH, height=height, class_="ground"),
        drawing.write(EDGE, 42, story.adapter, style="name"),
        drawing.write(EDGE, 64, told, style="small"),
        drawing.write(EDGE, 96, story.decision, style=f"answer {story.answer}"),
        *said,
        _part("Before and after, 95% intervals", _metrics(story), EDGE, y, wide),
        _part("Change of each query", _changes(story), EDGE + wide + GAP, y, wide),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        width=WIDTH,
        height=height,
        role="img",
    )


def _part(heading: str, chart: Markup, x: float, y: float, width: float) -> Markup:
    placed = el(
        "svg", chart, x=x, y=y + 24, width=width, height=250, viewBox=f"0 0 {drawing.WIDTH:g} 250"
    )
    return join(drawing.write(x, y + 14, heading, style="head"), placed)


def _metrics(story: Story) -> Markup:
    report = story.report
    cells = [c for c in report.cells if c.part == "all" and c.dims == report.gate_dims]
    bars = [Bar(name=title(c.metric), found=c.difference, decides=c is report.gate) for c in cells]
    return charts.intervals("metrics", "Differences by metric", bars[:7])


def _changes(story: Story) -> Markup:
    moved = [one.after - one.before for one in story.report.queries]
    return charts.changes("changes", f"Changes of {words.metric(story.report.gate)}", moved)
