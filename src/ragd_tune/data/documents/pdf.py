"""PDF: the text of its pages, and the outline as headings; needs the package pypdf."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragd_tune.data.documents.model import Block, Source, UnreadableError, paragraphs, tidy

if TYPE_CHECKING:
    from pypdf import PdfReader

_HYPHEN = re.compile(r"(?<=[a-z])-\n(?=[a-z])")
_PAGES = 5000


def read_pdf(name: str, path: Path) -> Source:
    """Return the pages of a PDF.

    :raises UnreadableError: it is encrypted, damaged, or holds pictures of text only.
    """
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of every oddity of a file
    try:
        reader = PdfReader(path)
        locked = reader.is_encrypted and not reader.decrypt("")
        pages = [] if locked else [_page(one.extract_text()) for one in reader.pages[:_PAGES]]
        outline = {} if locked else _outline(reader)
        title = "" if locked else str((reader.metadata.title if reader.metadata else "") or "")
    except (PyPdfError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableError(f"is damaged or no PDF ({error})"[:200]) from error
    if locked:
        raise UnreadableError("is encrypted: save a copy without a password")
    if not any(page.strip() for page in pages):
        raise UnreadableError("holds no text (scanned pages need OCR first)")
    return _source(name, pages, outline, " ".join(title.split()))


def _page(text: str) -> str:
    return _HYPHEN.sub("", tidy(text))


def _outline(reader: PdfReader) -> dict[int, list[tuple[int, str]]]:
    """Return the outline's entries by page: (depth, title)."""
    found: dict[int, list[tuple[int, str]]] = {}

    def walk(entries: Iterable[Any], depth: int) -> None:
        for entry in entries:
            if isinstance(entry, list):
                walk(entry, depth + 1)
            else:
                page = reader.get_destination_page_number(entry)
                title = " ".join(str(getattr(entry, "title", "")).split())
                if page is not None and title:
                    found.setdefault(page, []).append((depth, title))

    walk(reader.outline, 1)
    return found


def _source(
    name: str, pages: list[str], outline: dict[int, list[tuple[int, str]]], title: str
) -> Source:
    path: list[tuple[int, str]] = []
    blocks: list[Block] = []
    at = 0
    for number, page in enumerate(pages):
        for start, part in _parts(page, outline.get(number, []), path):
            headings = tuple(one for _, one in path)
            blocks += paragraphs(part, at=at + start, headings=headings)
        at += len(page) + 1
    return Source(id=name, title=title, text="\n".join(pages), blocks=tuple(blocks))


def _parts(
    page: str, entries: list[tuple[int, str]], path: list[tuple[int, str]]
) -> Iterator[tuple[int, str]]:
    """Yield (offset, text) of a page between headings; ``path`` follows them.

    A heading of the outline whose line is not found holds from the top of its page.
    """
    start = 0
    for depth, title in entries:
        found = re.search(r"\s+".join(map(re.escape, title.split())), page[start:])
        if found:
            yield start, page[start : start + found.start()]
            start += found.end()
        path[:] = [*(one for one in path if one[0] < depth), (depth, title)]
    yield start, page[start:]
