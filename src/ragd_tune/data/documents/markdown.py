"""Markdown and plain text: headings by ``#`` or underlines, fenced code, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ragd_tune.data.documents.model import Block, Link, Source, tidy

_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_RULE = re.compile(r"[ \t]*([=\-~^\"'*+#])\1{2,}[ \t]*$")
_LINK = re.compile(r"(?<!!)\[([^\[\]]{2,120})\]\(([^()\s]+)(?:\s+\"[^\"]*\")?\)")
_FRONT = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)\n", re.DOTALL)
_NOISE = re.compile(r"<!--.*?-->|\{#[^}]*\}", re.DOTALL)


@dataclass(slots=True)
class _Line:
    text: str
    start: int


def read_markdown(name: str, text: str) -> Source:
    """Return the document ``text``; underlined headings (reStructuredText's too) count."""
    text = tidy(text)
    front = _FRONT.match(text)
    blocks = list(_blocks(text, front.end() if front else 0))
    title = next((block.headings[0] for block in blocks if block.headings), "")
    links = tuple(Link(text=plain(one[1]), target=one[2]) for one in _LINK.finditer(text))
    return Source(id=name, title=title, text=text, blocks=tuple(blocks), links=links)


def plain(text: str) -> str:
    """Return a heading or a link's text without its marks: ``**Use** `x` `` is ``Use x``."""
    text = _LINK.sub(r"\1", _NOISE.sub("", text))
    return " ".join(re.sub(r"[*`]+|(?<!\w)_+|_+(?!\w)|\\(?=\W)", "", text).split())


def _lines(text: str, start: int) -> list[_Line]:
    lines, at = [], start
    for line in text[start:].split("\n"):
        lines.append(_Line(line, at))
        at += len(line) + 1
    return lines


def _blocks(text: str, start: int) -> Iterator[Block]:
    path: list[tuple[int, str]] = []
    run: list[_Line] = []
    styles: list[str] = []
    fence, rule = "", -1
    lines = _lines(text, start)
    for number, line in enumerate(lines):
        mark = _FENCE.match(line.text)
        if number == rule:  # it underlines the heading above
            continue
        if fence:
            run.append(line)
            fence = "" if mark and mark[1].startswith(fence) else fence
        elif heading := None if run else _heading(lines, number, styles):
            rule = number + 1 if _ATX.match(line.text) is None else -1
            path[:] = [*(one for one in path if one[0] < heading[0]), heading]
        elif _ATX.match(line.text):
            yield from _flush(text, run, path)
            heading = _atx(line.text)
            path[:] = [*(one for one in path if one[0] < heading[0]), heading]
        elif mark or line.text.strip():
            fence = mark[1] if mark else ""
            run.append(line)
        else:
            yield from _flush(text, run, path)
    yield from _flush(text, run, path)


def _atx(line: str) -> tuple[int, str]:
    found = _ATX.match(line)
    assert found is not None
    return len(found[1]), plain(found[2])


def _heading(lines: list[_Line], number: int, styles: list[str]) -> tuple[int, str] | None:
    """Return level and text of a heading that begins at this line, which begins a paragraph."""
    line = lines[number].text
    if _ATX.match(line):
        return _atx(line)
    below = lines[number + 1].text if number + 1 < len(lines) else ""
    if not _underlines(line, below):
        return None
    mark = below.strip()[0]
    if mark not in styles:
        styles.append(mark)
    level = {"=": 1, "-": 2}.get(mark) if set(styles) <= set("=-") else styles.index(mark) + 1
    return level or 1, plain(line)


def _underlines(title: str, rule: str) -> bool:
    """Say whether ``rule`` underlines ``title``: as reStructuredText has it, at full length."""
    shown = title.strip()
    if not shown or not _RULE.match(rule) or _RULE.match(title) or title[0] in " \t|>":
        return False
    return len(rule.strip()) >= min(len(shown), 3 if rule.strip()[0] in "=-" else len(shown))


def _flush(text: str, run: list[_Line], path: list[tuple[int, str]]) -> Iterator[Block]:
    if run:
        start, last = run[0].start, run[-1]
        body = text[start : last.start + len(last.text)].rstrip()
        kind = "code" if _FENCE.match(body) else "text"
        headings = tuple(one for _, one in path)
        if _NOISE.sub("", body).strip():
            yield Block(
                text=body,
                start=start,
                end=start + len(body),
                headings=headings,
                kind="code" if kind == "code" else "text",
            )
    run.clear()
