"""Questions that documents ask themselves: headings, FAQ, docstrings, texts of links."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.documents.model import Source

_WORDS_EMPTY_LINKS = """
here link this page more source top back next previous read details edit home see
"""
_EMPTY_LINKS = frozenset(_WORDS_EMPTY_LINKS.split())
_NUMBERING = re.compile(r"^(?:\(?(?:\d+|[IVXivx]+|[A-Za-z])[.)]\s+|[\d.]+\s+|§+\s*)")
_ROLE = re.compile(r":[a-z:]+:`[!~]?([^`<]*?)(?:\s*<[^>]*>)?`|``([^`]*)``|`([^`]*)`_?")


def heading(chunk: Chunk, titles: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (style, question) of the headings that a passage, or part of it, stands under.

    A heading of one or two words says little ("Usage"): what it stands under comes before it.
    """
    for path in () if chunk.name else (chunk.sections or (chunk.headings,)):
        if not path:
            continue
        own = clean(path[-1])
        if own.endswith("?"):
            yield "faq", own
            continue
        above = clean(path[-2] if len(path) > 1 else titles.get(chunk.document, ""))
        if len(own.split()) < 3 and above and above.lower() not in own.lower():
            own = f"{above} {own}"
        yield "heading", own


def docstring(chunk: Chunk) -> Iterator[tuple[str, str]]:
    """Yield the first sentence of a docstring: it says what the code does."""
    paragraph = chunk.about.strip().partition("\n\n")[0]
    sentence = re.split(r"(?<=[.!?])\s", " ".join(paragraph.split()), maxsplit=1)[0]
    said = clean(sentence).rstrip(".:")
    if said and not re.fullmatch(r">>>.*|[\w.]+\(.*\)(\s*->\s*\S+)?", said):
        yield "docstring", said


def title(chunk: Chunk) -> Iterator[tuple[str, str]]:
    """Yield the title of a passage that came with one."""
    if chunk.title:
        yield "heading", clean(chunk.title)


def clean(text: str) -> str:
    """Return a heading without numbering and marks, as readers would say it."""
    plain = _ROLE.sub(lambda found: next(filter(None, found.groups()), ""), text)
    return " ".join(_NUMBERING.sub("", plain.replace("¶", " ").strip()).split())


def links(sources: Iterable[Source], chunks: Sequence[Chunk]) -> Iterator[tuple[str, str, str]]:
    """Yield (passage id, style, text of a link) for links of one document into another.

    A link with a fragment leads to the passage under that heading, else to the document's first.
    """
    first: dict[str, str] = {}
    under: dict[tuple[str, str], str] = {}
    for chunk in chunks:
        first.setdefault(chunk.document, chunk.id)
        for one in chunk.headings:
            under.setdefault((chunk.document, slug(one)), chunk.id)
    for source in sources:
        for link in source.links:
            parts = urlsplit(link.target)
            if parts.scheme or parts.netloc or not parts.path:
                continue
            folder = posixpath.dirname(source.id)
            target = posixpath.normpath(posixpath.join(folder, unquote(parts.path)))
            found = under.get((target, slug(parts.fragment))) or first.get(target)
            if found and target != source.id and link.text.lower().strip(". ") not in _EMPTY_LINKS:
                yield found, "link", clean(link.text)


def slug(heading: str) -> str:
    """Return the fragment that tools make of a heading: ``Read a proof`` is ``read-a-proof``."""
    return re.sub(r"[\s_]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())
