"""Follow a page of the docs: run what it says, and compare what it shows with what was printed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = ROOT / "docs" / "tutorial"
BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^>]*) -->\n)?"
    r"```(?P<type>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    type: str
    title: str
    note: str
    body: str


def blocks(page: Path) -> Iterator[Block]:
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Block(found["type"], found["title"] or "", found["note"] or "", found["body"])


def follow(page: Path, folder: Path, run: Callable[[str], str]) -> list[tuple[str, str]]:
    """Do in ``folder`` what ``page`` says, and return each command with what ``run`` printed.

    A block with a title is a file; ``text`` is what the command before it prints.
    """
    told: list[tuple[str, str]] = []
    for block in blocks(page):
        if block.note.startswith("not run"):
            continue
        if block.title:
            (folder / block.title).write_text(block.body, encoding="utf-8")
        elif block.type == "sh":
            told += [(line, run(line)) for line in block.body.strip().splitlines()]
        elif block.type == "text":
            printed = told[-1][1]
            assert same(block.body, printed), f"shown:\n{block.body}\nprinted:\n{printed}"
        else:
            pytest.fail(f"a block of {block.type} that nothing runs: {block.body[:60]}")
    return told


def same(shown: str, printed: str) -> bool:
    """Say whether an output is what is shown; blanks at the ends of lines do not count.

    ``…`` in what is shown stands for anything.
    """

    def tidy(text: str) -> str:
        return "\n".join(line.rstrip() for line in text.strip().splitlines())

    pattern = re.escape(tidy(shown)).replace("…", ".*?")
    return re.fullmatch(pattern, tidy(printed), re.DOTALL) is not None
