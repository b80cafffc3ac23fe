"""What a new index takes over from the old one as it is: records, images, keywords."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from ragd_tune.ragd import chroma
from ragd_tune.store import files

WORDS = "bm25.db"
"""ragd's keyword index, which lies in the folder of the vectors."""


def same(old: Any, new: Any, name: str) -> Any:
    """Return the collection of that name in ``new``, made as it is in ``old``."""
    return new.get_or_create_collection(name, metadata=old.get_collection(name).metadata)


def copy_collection(old: Any, new: Any, name: str, *, adding: bool) -> None:
    """Copy what is not a chunk (records of documents, images) with the vectors that it has."""
    source, target = old.get_collection(name), same(old, new, name)
    ids = chroma.all_ids(source)
    gone = [] if adding else sorted(set(chroma.all_ids(target)) - set(ids))
    if gone:
        target.delete(ids=gone)
    for part in chroma.batches(ids, 500):
        found = source.get(ids=list(part), include=["documents", "metadatas", "embeddings"])
        target.upsert(
            ids=found["ids"],
            documents=found["documents"],
            embeddings=found["embeddings"],
            metadatas=[one or None for one in found["metadatas"]],
        )


def copy_words(source: Path, target: Path, *, adding: bool) -> None:
    """Copy ragd's keyword index; it holds no vectors, so it fits every model."""
    if not (source / WORDS).is_file():
        return
    if adding and (target / WORDS).is_file():
        _add_words(source, target)
        return
    draft = target / f"{WORDS}.draft"
    draft.unlink(missing_ok=True)
    with (
        contextlib.closing(sqlite3.connect(_address(source), uri=True, timeout=30)) as old,
        contextlib.closing(sqlite3.connect(draft)) as copy,
    ):
        old.backup(copy)
    files.sync_file(draft)
    files.rename(draft, target / WORDS)
    files.sync_dir(target)


def _add_words(source: Path, target: Path) -> None:
    """Add the rows of chunks that the target does not have, in one transaction."""
    with contextlib.closing(sqlite3.connect(target / WORDS, uri=True, timeout=30)) as new:
        new.execute("ATTACH DATABASE ? AS old", (_address(source),))
        with new:
            new.execute(
                "INSERT INTO chunks_fts (content, chunk_id, document_id) SELECT content, chunk_id,"
                " document_id FROM old.chunks_fts WHERE chunk_id NOT IN"
                " (SELECT chunk_id FROM main.chunks_fts)"
            )
            new.execute(
                "INSERT OR IGNORE INTO indexed_documents SELECT * FROM old.indexed_documents"
            )


def _address(folder: Path) -> str:
    return f"{(folder / WORDS).resolve().as_uri()}?mode=ro"
