"""A question that stands by itself on a line is the heading of the answer below it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from ragd_tune.data.documents.model import Block

_LONGEST = 25
"""Words of a question; a longer paragraph that ends in a question mark is a paragraph."""
_MARKS = re.compile(
    r"^(?:\W*(?:Q|Question|FAQ)?\s*\d{0,3}\s*[.:)]\s+|[*_>#\-•\s]+)+|[*_\s]+$", re.I
)


def raise_questions(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Return ``blocks`` with questions on lines of their own as headings of what follows."""
    made: list[Block] = []
    asked = ""
    under: tuple[str, ...] = ()
    for block in blocks:
        if asked and block.headings != under:
            asked = ""
        question = "" if block.kind == "code" else _question(block.text)
        head, _, rest = block.text.partition("\n")
        if question:
            asked, under = question, block.headings
        elif rest and block.kind != "code" and _question(head):
            asked, under = _question(head), block.headings
            at = block.start + len(head) + 1
            made.append(replace(block, text=rest, start=at, headings=(*under, asked)))
        elif asked:
            made.append(replace(block, headings=(*block.headings, asked)))
        else:
            made.append(block)
    return tuple(made)


def _question(text: str) -> str:
    """Return the question that ``text`` is and nothing else, without its marks; else nothing."""
    shown = _MARKS.sub("", text.strip())
    if "\n" in text.strip() or not shown.endswith("?") or len(shown.split()) > _LONGEST:
        return ""
    inner = shown[:-1]
    return "" if re.search(r"[.!?]\s", inner) or len(inner.split()) < 2 else shown
