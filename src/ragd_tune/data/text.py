"""When two texts are the same, and how far apart they are."""

from __future__ import annotations

import re
import unicodedata

# Marks of a sentence. Others carry meaning and stay: C++ is not C, and -5 is another number, but
# a hyphen or an apostrophe inside a word is spelling. An underscore is part of a name.
_MARKS = re.compile(
    r"[.,;:!?\u2026\u00b7\u00bf\u00a1\"'`\u00b4\u2018-\u201e\u00ab\u00bb\u2039\u203a()\[\]{}"
    r"\u2010-\u2014]+|(?<=\w)-(?=\w)|-(?!\w)"
)


def fold(text: str) -> str:
    """Return ``text`` without differences of case, blanks and Unicode forms (NFKC)."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def bare(text: str) -> str:
    """Return :func:`fold` of ``text`` without punctuation; as it is if nothing else is left."""
    folded = fold(text)
    return " ".join(_MARKS.sub(" ", folded).split()) or folded


def printable(name: str) -> str:
    r"""Return a file's ``name`` with what no id may hold escaped as Python does: ``\u200d``.

    A system takes any bytes for a name. Some are no UTF-8, and others mark how letters join.
    """
    return "".join(
        char if char.isprintable() or char.isspace() else char.encode("unicode_escape").decode()
        for char in name
    )


def edits(first: str, second: str, limit: int) -> int:
    """Return how many edits part two texts, or ``limit + 1`` if more than ``limit``.

    An edit inserts, drops or replaces a character, or swaps two neighbours (optimal string
    alignment). Costs O(limit × length): only the band around the diagonal is filled.
    """
    if first == second:
        return 0
    if abs(len(first) - len(second)) > limit:
        return limit + 1
    far = limit + 1
    width = len(second)
    before: list[int] = []
    above = [min(column, far) for column in range(width + 1)]
    for row, letter in enumerate(first, 1):
        line = [far] * (width + 1)
        line[0] = min(row, far)
        for column in range(max(1, row - limit), min(width, row + limit) + 1):
            other = second[column - 1]
            cost = min(
                above[column] + 1, line[column - 1] + 1, above[column - 1] + (letter != other)
            )
            if row > 1 and column > 1 and letter == second[column - 2] and first[row - 2] == other:
                cost = min(cost, before[column - 2] + 1)
            line[column] = min(cost, far)
        if min(line) > limit and min(above) > limit:
            return far
        before, above = above, line
    return above[width]
