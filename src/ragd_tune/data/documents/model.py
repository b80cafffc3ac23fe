"""What a document is once it was read: its text, and the blocks that the text is made of."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

BlockKind = Literal["text", "code"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One paragraph, list, table or function.

    ``start`` and ``end`` are offsets in characters into the document's ``text``; ``headings`` is
    the path of headings that it stands under, the outermost first. ``name`` is what a function or
    class is called, ``about`` its docstring, which is then no part of ``text``.
    """

    text: str
    start: int
    end: int
    headings: tuple[str, ...] = ()
    kind: BlockKind = "text"
    name: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a link says, and where it leads: an address as it is written."""

    text: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One document that was read.

    ``id`` is its path below the folder that was given, with ``/`` between; ``text`` is what was
    taken out of it. A source that is one passage already (a row of a corpus, a chunk of an index)
    has ``whole`` set: it is cut only where a model could not read all of it. ``origin`` is then
    the name of the document that the passage came from, if that is known.
    """

    id: str
    title: str
    text: str
    blocks: tuple[Block, ...]
    links: tuple[Link, ...] = ()
    whole: bool = False
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file that was left out, and why."""

    path: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """Return a JSON-shaped copy."""
        return {"path": self.path, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """All documents of a run, and what was left out."""

    sources: tuple[Source, ...]
    skipped: tuple[Skipped, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """Files read by type: ``{"md": 12, "py": 3}``."""


class UnreadableError(Exception):
    """A reader cannot take text out of a file; the message says why, in a few words."""


def tidy(text: str) -> str:
    """Return ``text`` in Unicode's composed form (NFC) with plain line ends and no NULs."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "").replace("\xad", "")
    return unicodedata.normalize("NFC", plain)


def paragraphs(text: str, *, at: int = 0, headings: tuple[str, ...] = ()) -> list[Block]:
    """Return the paragraphs of plain ``text``; ``at`` is added to their offsets."""
    found = []
    for match in re.finditer(r"\S.*?(?=\n[ \t]*\n|\Z)", text, re.DOTALL):
        body = match[0].rstrip()
        start = at + match.start()
        found.append(Block(text=body, start=start, end=start + len(body), headings=headings))
    return found
