"""Tables: what they hold is escaped, and wide ones scroll by themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ragd_tune.report.markup import Markup, el


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's name, and whether it holds numbers."""

    name: str
    number: bool = False


def table(
    columns: Sequence[Heading],
    rows: Sequence[Sequence[str]],
    *,
    marked: Collection[int] = (),
    said: bool = False,
    style: str = "",
) -> Markup:
    """Return a table whose first column names the rows.

    ``marked`` are numbers of rows that stand out; ``said`` means that the first column holds
    texts of the user's, in any direction.
    """
    named = [el("th", one.name, scope="col", class_=_number(one.number)) for one in columns]
    head = el("thead", el("tr", *named)) if named else None
    kinds = [one.number for one in columns] or [False] * max(map(len, rows), default=0)
    body = [
        el("tr", _first(row[0], kinds[0], said=said), *map(_cell, row[1:], kinds[1:]),
           class_="decides" if i in marked else None)
        for i, row in enumerate(rows)
    ]  # fmt: skip
    whole = el("table", head, el("tbody", *body), class_=style or None)
    return el("div", whole, class_="scroll")


def _first(words: str, number: bool, *, said: bool) -> Markup:
    if said:
        return el("td", words, class_="said", dir="auto")
    return el("th", words, scope="row", class_=_number(number))


def _cell(words: str, number: bool) -> Markup:
    return el("td", words, class_=_number(number))


def _number(number: bool) -> str | None:
    return "n" if number else None
