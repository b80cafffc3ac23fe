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


def copy_collection(old: Any, new: Any, name: str) -> None:
    """Copy what is not a chunk (records of documents, images) with the vectors that it has."""
    source, target = old.get_collection(name), same(old, new, name)
    ids = chroma.all_ids(source)
    gone = sorted(set(chroma.all_ids(target)) - set(ids))
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


def copy_words(source: Path, target: Path) -> None:
    """Copy ragd's keyword index; it holds no vectors, so it fits every model."""
    if not (source / WORDS).is_file():
        return
    draft = target / f"{WORDS}.draft"
    draft.unlink(missing_ok=True)
    address = f"{(source / WORDS).resolve().as_uri()}?mode=ro"
    with (
        contextlib.closing(sqlite3.connect(address, uri=True, timeout=30)) as old,
        contextlib.closing(sqlite3.connect(draft)) as copy,
    ):
        old.backup(copy)
    files.sync_file(draft)
    files.rename(draft, target / WORDS)
    files.sync_dir(target)
