"""The report as one HTML page that needs nothing else: no script, no file, no network."""

from __future__ import annotations

from ragd_tune import __version__
from ragd_tune.report import sections, style, words
from ragd_tune.report.markup import Markup, el, join
from ragd_tune.report.story import Story

MARK = "ragd-tune report"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Told to the browser: even a fault of ours could load or run nothing."""


def page(story: Story) -> str:
    """Return the page. Texts from the data are escaped."""
    title = f"{story.adapter}: {story.report.candidate} against {story.report.incumbent}"
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="generator", content=MARK),
        el("title", title),
        el("style", Markup(style.sheet())),
    )
    return f"<!doctype html>\n{el('html', head, el('body', _main(story)), lang='en-GB')}\n"


def _main(story: Story) -> Markup:
    run = story.run
    small = [
        one
        for one in (
            sections.metrics(story),
            sections.changes(story),
            sections.known_and_new(story),
            sections.elsewhere(story),
            sections.learning(run),
            sections.cut_vectors(story),
            sections.costs(run),
        )
        if one is not None
    ]
    return el(
        "main",
        _header(story),
        sections.verdict(story),
        el("div", *small, class_="columns"),
        sections.examples(story),
        sections.every_cell(story),
        sections.origin(story),
        el("p", el("small", f"Made by ragd-tune {__version__} from the record of this proof."),
           class_="muted"),
    )  # fmt: skip


def _header(story: Story) -> Markup:
    told = f"{story.kind} on {story.base}, tested on {story.data} ({story.split})"
    if story.at:
        told += f", {words.day(story.at)}"
    return join(el("h1", story.adapter), el("p", told, class_="muted"))
