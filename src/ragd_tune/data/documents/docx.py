"""Word's DOCX: headings by style, paragraphs, tables; needs the package python-docx."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.data.documents.model import Block, Source, UnreadableError, tidy

if TYPE_CHECKING:
    from docx.document import Document

_LARGEST = 512 * 2**20
"""Bytes that a file may unpack to: a zip of a few kilobytes can hold gigabytes."""


def read_docx(name: str, path: Path) -> Source:
    """Return a DOCX file.

    :raises UnreadableError: it is encrypted, damaged, or unpacks to more than 512 MiB.
    """
    import docx

    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(one.file_size for one in archive.infolist())
        document = docx.Document(str(path)) if size <= _LARGEST else None
    except Exception as error:
        raise UnreadableError(f"is damaged, encrypted or no DOCX ({error})"[:200]) from error
    if document is None:
        raise UnreadableError("unpacks to more than 512 MiB")
    parts: list[str] = []
    blocks = tuple(_blocks(document, parts))
    title = document.core_properties.title or next(
        (b.headings[0] for b in blocks if b.headings), ""
    )
    return Source(id=name, title=title, text="\n\n".join(parts), blocks=blocks)


def _blocks(document: Document, parts: list[str]) -> Iterator[Block]:
    path: list[tuple[int, str]] = []
    at = 0
    for level, body in _items(document):
        if not body:
            continue
        if level:
            path = [*(one for one in path if one[0] < level), (level, body)]
        else:
            headings = tuple(one for _, one in path)
            yield Block(text=body, start=at, end=at + len(body), headings=headings)
        parts.append(body)
        at += len(body) + 2


def _items(document: Document) -> Iterator[tuple[int, str]]:
    """Yield (level of heading or 0, text) in the document's order."""
    from docx.text.paragraph import Paragraph

    for item in document.iter_inner_content():
        if isinstance(item, Paragraph):
            yield _level(item.style.name if item.style else ""), tidy(item.text).strip()
        else:
            rows = (" | ".join(tidy(cell.text).strip() for cell in row.cells) for row in item.rows)
            yield 0, "\n".join(rows)


def _level(style: str | None) -> int:
    if style == "Title":
        return 1
    found = re.fullmatch(r"Heading (\d)", style or "")
    return int(found[1]) + 1 if found else 0
