"""Documents, or what ragd has indexed, as passages of a length that the base model reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.data.chunk import Chunk, CountTokens, about_tokens, chunk
from ragd_tune.data.documents import Block, Library, Source, gather
from ragd_tune.errors import NotInstalledError, UsageError
from ragd_tune.pipeline.workshop import Workshop

if TYPE_CHECKING:
    from ragd_tune.pipeline.generating import Generation

TOKENS = 256
"""Tokens of a passage where the base model's own limit is not smaller."""


def library_of(shop: Workshop, asked: Generation) -> Library:
    """Read ragd's index where one is named, else the documents, or both.

    :raises DataError: there is nothing that can be read.
    """
    if asked.index is None:
        return gather(asked.documents, progress=shop.progress)
    kept = indexed(asked.index)
    if not asked.documents:
        return kept
    read = gather(asked.documents, progress=shop.progress)
    return replace(read, sources=kept.sources + read.sources)


def indexed(folder: Path) -> Library:
    """Return the chunks of ragd's Chroma store in ``folder``, by document and place in it.

    :raises DataError: ragd has no index there, or it cannot be read.
    :raises NotInstalledError: chromadb is not here.
    """
    from ragd_tune.ragd import chunks

    found = sorted(
        chunks(folder),
        key=lambda one: (_name(one.metadata), int(one.metadata.get("chunk_index", 0)), one.id),
    )
    sources = tuple(
        Source(
            id=one.id,
            title="",
            text=one.text,
            blocks=(Block(text=one.text, start=0, end=len(one.text)),),
            whole=True,
            origin=_name(one.metadata),
        )
        for one in found
        if one.text.strip()
    )
    return Library(sources=sources, counts={"ragd": len(sources)})


def _name(metadata: object) -> str:
    """Return the document that a chunk is of: its file, else ragd's id of it."""
    told = metadata if isinstance(metadata, dict) else {}
    return str(told.get("source") or told.get("document_id") or "")


def passages_of(
    shop: Workshop, library: Library, asked: Generation, notes: list[str]
) -> list[Chunk]:
    """Cut documents into passages; ``notes`` gets what was done otherwise than asked."""
    shop.progress("cutting documents into passages", 0.0)
    count, limit = _tokens(shop, asked, notes)
    tokens = asked.tokens or min(limit or TOKENS, TOKENS)
    return list(chunk(library.sources, tokens=tokens, count=count))


def _tokens(shop: Workshop, asked: Generation, notes: list[str]) -> tuple[CountTokens, int | None]:
    """Return how tokens are counted: by the base model's tokenizer, or by a guess."""
    from ragd_tune.data.tokens import counter
    from ragd_tune.models import length_limit, resolve

    try:
        found = resolve(asked.base, offline=asked.offline, home=shop.store.root)
        return counter(found.path), length_limit(found.path)
    except (NotInstalledError, UsageError) as error:
        notes.append(f"tokens are guessed, not counted: {error.message.splitlines()[0]}")
        return about_tokens, None
