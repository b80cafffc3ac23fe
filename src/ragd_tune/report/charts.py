"""The charts of a report: intervals, changes of queries, learning curve, cut vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragd_tune.evaluate.significance import Comparison
from ragd_tune.report import drawing, words
from ragd_tune.report.drawing import LINE, WIDTH
from ragd_tune.report.markup import Markup, join
from ragd_tune.report.scale import Scale, label

ROW = 30.0
NAMES = 116.0
"""Room for names at the left of a chart of intervals."""
VALUES = 60.0
BINS = 10
"""Bars on either side of 0."""
POINTS = 300
"""Points of a line: more would not be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One difference to draw: its name, what it is, and whether it decides."""

    name: str
    found: Comparison
    decides: bool = False


def intervals(key: str, title: str, bars: Sequence[Bar], *, limit: float | None = None) -> Markup:
    """Return differences with their 95% intervals, one a row, around a line at 0.

    ``limit`` draws a second line: a tolerance.
    """
    ends = [end for bar in bars for end in (bar.found.low, bar.found.high)]
    marks = [0.0] if limit is None else [0.0, limit]
    scale = Scale.over([*ends, *marks], NAMES, WIDTH - VALUES)
    bottom = 8 + ROW * len(bars)
    rows = [_interval(bar, scale, 8 + ROW * (i + 0.5)) for i, bar in enumerate(bars)]
    told = "; ".join(
        f"{bar.name}: {bar.found.mean:+.4f}, from {bar.found.low:+.4f} to {bar.found.high:+.4f}"
        for bar in bars
    )
    line = () if limit is None else (drawing.rule(scale(limit), 4, scale(limit), bottom, "limit"),)
    axis = drawing.across(scale, 4, bottom, signed=True)
    return drawing.chart(key, bottom + 24, title, told, axis, *line, *rows)


def _interval(bar: Bar, scale: Scale, y: float) -> Markup:
    found = bar.found
    colour = "gain" if found.low > 0 else "loss" if found.high < 0 else "even"
    style = "name decides" if bar.decides else "name"
    return join(
        drawing.write(0, y + 4, bar.name, style=style),
        drawing.rule(scale(found.low), y, scale(found.high), y, f"interval {colour}"),
        drawing.dot(scale(found.mean), y, f"dot {colour}", size=5.0 if bar.decides else 4.0),
        drawing.write(WIDTH, y + 4, words.signed(found.mean), anchor="end", style="value"),
    )


def changes(key: str, title: str, moved: Sequence[float]) -> Markup:
    """Return how many queries changed by how much; those that did not change are left out."""
    most = max(map(abs, moved), default=1.0)
    limit = 1.0 if most <= 1.0 else most
    step = limit / BINS
    counts = [0] * (2 * BINS)
    for change in moved:
        if change:
            place = min(int(abs(change) / step), BINS - 1)
            counts[BINS + place if change > 0 else BINS - 1 - place] += 1
    return _histogram(key, title, counts, step)


def _histogram(key: str, title: str, counts: Sequence[int], step: float) -> Markup:
    left, right, top, bottom = 36.0, WIDTH - 14, 10.0, 190.0
    up = Scale(0.0, max(max(counts), 1) * 1.05, bottom, top)
    half = len(counts) // 2
    along = Scale(-half * step, half * step, left, right)
    bars = []
    for i, count in enumerate(counts):
        x = along((i - half) * step)
        width = along((i - half + 1) * step) - x
        colour = "gain" if i >= half else "loss"
        if count:
            told = f"{count} from {label((i - half) * step)} to {label((i - half + 1) * step)}"
            bars.append(_bar(x, up(count), width, bottom, colour, told))
    gained, lost = sum(counts[half:]), sum(counts[:half])
    told = f"{gained} queries gained, {lost} lost"
    axes = (drawing.upward(up, left, right), drawing.across(along, top, bottom, signed=True))
    return drawing.chart(key, bottom + 24, title, told, *axes, *bars)


def _bar(x: float, y: float, width: float, bottom: float, colour: str, told: str) -> Markup:
    from ragd_tune.report.markup import el

    rect = el("rect", x=x + 1, y=y, width=width - 2, height=bottom - y, class_=f"bar {colour}")
    return el("g", el("title", told), rect)


def learning(
    key: str,
    title: str,
    losses: Sequence[tuple[int, float]],
    held_out: Sequence[tuple[int, float]],
) -> Markup:
    """Return the training loss by step, its running mean, and the held-out loss."""
    mean = _running(losses)
    left, right, top, bottom = 46.0, WIDTH - 14, 8 + LINE, 200.0
    values = [loss for _, loss in (*losses, *held_out)]
    last = max(step for step, _ in (*losses, *held_out))
    along, up = Scale(0.0, float(max(last, 1)), left, right), Scale.over(values, bottom, top)

    def places(curve: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
        return [(along(step), up(loss)) for step, loss in _thin(curve)]

    lines = [drawing.path(places(losses), "line faint"), drawing.path(places(mean), "line before")]
    entries = [("training loss", "line before")]
    if held_out:
        lines.append(drawing.path(places(held_out), "line after"))
        lines += [drawing.dot(x, y, "dot after") for x, y in places(held_out)]
        entries.append(("held-out loss", "line after"))
    axes = (drawing.upward(up, left, right), drawing.across(along, top, bottom))
    drawn = drawing.legend(entries, x=left, y=12.0)
    return drawing.chart(key, bottom + 24, title, _curve_told(mean, held_out), *axes, *lines, drawn)


def _running(losses: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return the mean over a window of a twentieth of the points around each."""
    half = max(1, len(losses) // 40)
    found = []
    for i, (step, _) in enumerate(losses):
        part = [loss for _, loss in losses[max(0, i - half) : i + half + 1]]
        found.append((step, sum(part) / len(part)))
    return found


def _thin(curve: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return at most about ``POINTS`` points, the last one among them."""
    step = -(-len(curve) // POINTS) or 1
    return [*curve[:-1:step], *curve[-1:]]


def _curve_told(mean: Sequence[tuple[int, float]], held_out: Sequence[tuple[int, float]]) -> str:
    told = f"training loss from {mean[0][1]:.3f} to {mean[-1][1]:.3f}" if mean else ""
    if held_out:
        told += f"; held-out loss from {held_out[0][1]:.3f} to {held_out[-1][1]:.3f}"
    return told


def cuts(key: str, title: str, sizes: Sequence[tuple[int, float, float]]) -> Markup:
    """Return the metric before and after at each dimension (dimension, before, after).

    Dimensions are a step each: from one to the next is a halving, more or less.
    """
    left, right, top, bottom = 46.0, WIDTH - 16, 8 + LINE, 190.0
    ordered = sorted(sizes)
    along = Scale(0.0, float(max(len(ordered) - 1, 1)), left + 14, right)
    up = Scale.over([value for _, *both in ordered for value in both], bottom, top, margin=0.12)
    before = [(along(i), up(one)) for i, (_, one, _) in enumerate(ordered)]
    after = [(along(i), up(one)) for i, (_, _, one) in enumerate(ordered)]
    ticks = [
        drawing.write(along(i), bottom + 16, size, anchor="middle", style="tick")
        for i, (size, *_) in enumerate(ordered)
    ]
    told = "; ".join(f"{size} dimensions: {one:.4f} → {two:.4f}" for size, one, two in ordered)
    return drawing.chart(
        key, bottom + 24, title, told,
        drawing.upward(up, left, right), *ticks,
        drawing.path(before, "line before"), *(drawing.dot(x, y, "dot before") for x, y in before),
        drawing.path(after, "line after"), *(drawing.dot(x, y, "dot after") for x, y in after),
        drawing.legend([("before", "line before"), ("after", "line after")], x=left, y=12.0),
    )  # fmt: skip
