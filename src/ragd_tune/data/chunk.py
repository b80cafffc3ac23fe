"""Cut documents into passages by structure, within a number of tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ragd_tune.data.documents.model import Block, Source

CountTokens = Callable[[Sequence[str]], Sequence[int]]

_SENTENCE = re.compile(r"(?<=[.!?…。\uff01\uff1f])[\"'”’)\]]*\s+|\n+")
_LEAST = 0.5
"""A passage is closed at a new heading once it holds this share of the budget; smaller sections of
one parent are put together, since a passage of one line answers little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage of a document.

    ``start`` and ``end`` are offsets in characters into the text of ``document``; ``headings`` is
    the path that it stands under, ``sections`` the paths of the small sections that it holds.
    ``title`` is part of what a model reads, and is filled only where the document came as passages
    with titles. ``name`` and ``about`` are those of a function or class.
    """

    id: str
    document: str
    text: str
    start: int
    end: int
    title: str = ""
    headings: tuple[str, ...] = ()
    sections: tuple[tuple[str, ...], ...] = ()
    code: bool = False
    name: str = ""
    about: str = ""

    @property
    def passage(self) -> str:
        """What a model reads, as in :class:`ragd_tune.data.Document`."""
        return f"{self.title} {self.text}" if self.title else self.text

    def place(self) -> dict[str, object]:
        """Return where it stands, JSON-shaped."""
        return {
            "_id": self.id,
            "document": self.document,
            "headings": list(self.headings),
            "start": self.start,
            "end": self.end,
        }


def about_tokens(texts: Sequence[str]) -> list[int]:
    """Return a guess of the tokens of ``texts`` where no tokenizer is at hand.

    A third more than words, or a quarter of the characters: subword tokenizers of English lie
    between the two.
    """
    return [max(len(text.split()) * 4 // 3, len(text) // 4) + 2 for text in texts]


def chunk(
    sources: Iterable[Source], *, tokens: int, count: CountTokens = about_tokens
) -> Iterator[Chunk]:
    """Yield the passages of ``sources``, each of at most ``tokens`` tokens by ``count``.

    Paragraphs under one heading are put together, and functions stay by themselves; what is longer
    than the budget is cut between sentences, else between words. Ids are ``document#number``; a
    source that is one passage keeps its own id.
    """
    for source in sources:
        pieces = list(_pieces(source, tokens, count))
        if source.whole and len(pieces) == 1:
            yield _chunk(source, source.id, pieces[0])
            continue
        for number, piece in enumerate(pieces):
            yield _chunk(source, f"{source.id}#{number}", piece)


def _chunk(source: Source, identity: str, piece: Sequence[Block]) -> Chunk:
    first, last = piece[0], piece[-1]
    return Chunk(
        id=" ".join(identity.split()),
        document=source.origin or source.id,
        text="\n\n".join(block.text for block in piece),
        title=source.title if source.whole else "",
        start=first.start,
        end=last.end,
        headings=_common(piece),
        sections=tuple(dict.fromkeys(block.headings for block in piece if block.headings)),
        code=all(block.kind == "code" for block in piece),
        name=first.name,
        about=first.about,
    )


def _common(piece: Sequence[Block]) -> tuple[str, ...]:
    """Return the headings that all blocks stand under, or the first's where one paragraph leads."""
    shared = list(piece[0].headings)
    for block in piece[1:]:
        same = 0
        for one, two in zip(shared, block.headings, strict=False):
            if one != two:
                break
            same += 1
        shared = shared[:same]
    return tuple(shared)


def _pieces(source: Source, tokens: int, count: CountTokens) -> Iterator[list[Block]]:
    title = count([source.title])[0] if source.whole and source.title else 0
    budget = max(16, tokens - title)
    piece: list[Block] = []
    used = 0
    for block, size in _fitting(source.blocks, budget, count):
        if piece and (used + size > budget or _closes(piece[-1], block, used, budget)):
            yield piece
            piece, used = [], 0
        piece.append(block)
        used += size
    if piece:
        yield piece


def _closes(last: Block, block: Block, used: int, budget: int) -> bool:
    """Say whether ``block`` begins a passage of its own although there is room."""
    if block.name or last.name:
        return True
    if block.headings == last.headings:
        return False
    siblings = block.headings[:-1] == last.headings[:-1] and len(block.headings) > 1
    return used >= budget * _LEAST or not siblings


def _fitting(
    blocks: Sequence[Block], budget: int, count: CountTokens
) -> Iterator[tuple[Block, int]]:
    """Yield blocks with their sizes, those that are too long in parts."""
    sizes = count([block.text for block in blocks])
    for block, size in zip(blocks, sizes, strict=True):
        if size <= budget:
            yield block, size
            continue
        parts = list(_cut(block, budget, count))
        for number, (part, length) in enumerate(parts):
            yield part if number == 0 else _anonymous(part), length


def _anonymous(block: Block) -> Block:
    """Return a later part of a function: the docstring is about its beginning."""
    return replace(block, about="")


def _cut(block: Block, budget: int, count: CountTokens) -> Iterator[tuple[Block, int]]:
    spans = list(_spans(block, budget, count))
    start, used = spans[0][0], 0
    end = start
    for first, last, size in spans:
        if used and used + size > budget:
            yield _part(block, start, end), used
            start, used = first, 0
        end = last
        used += size
    yield _part(block, start, end), used


def _part(block: Block, start: int, end: int) -> Block:
    text = block.text[start:end]
    at = block.start + start + len(text) - len(text.lstrip("\n"))
    text = text.strip("\n").rstrip()
    return replace(block, text=text, start=at, end=min(block.end, at + len(text)))


def _spans(block: Block, budget: int, count: CountTokens) -> Iterator[tuple[int, int, int]]:
    """Yield (start, end, tokens) of sentences or lines; of runs of words where one is too long."""
    bounds = [0, *(found.end() for found in _SENTENCE.finditer(block.text)), len(block.text)]
    spans = [(one, two) for one, two in pairwise(bounds) if two > one]
    sizes = count([block.text[one:two] for one, two in spans])
    for (start, end), size in zip(spans, sizes, strict=True):
        if size <= budget:
            yield start, end, size
            continue
        # Halved until it fits: words differ in tokens, and a text may have no blanks at all.
        step = max(1, (end - start) * budget // (2 * size))
        for at in range(start, end, step):
            stop = min(end, at + step)
            yield at, stop, min(budget, count([block.text[at:stop]])[0])
