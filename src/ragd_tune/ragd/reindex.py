"""Embedding again what ragd has indexed, into an index of its own, so that it survives a kill.

The chunks' stored texts are embedded: no document is read or extracted again. The source is read
from a snapshot and never touched. The target is marked as being built until every chunk, a sample
of vectors and the rest of ragd's data have been checked; whoever begins again does what is missing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragd_tune.errors import DataError, StoreError
from ragd_tune.ragd import carry, chroma
from ragd_tune.ragd.chroma import DOCUMENTS, Chunk
from ragd_tune.ragd.marker import Marker, is_empty, read_marker
from ragd_tune.store import files

if TYPE_CHECKING:
    from ragd_tune.serve import Embedder

Progress = Callable[[int, int], None]
"""Called with the number of chunks that are done, and of all chunks."""

SAMPLE = 64
TOLERANCE = 1e-5
"""Largest difference between a stored value and the model's own: Chroma keeps float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reindexed:
    """What was done: chunks in the index now, those embedded anew, those taken out; seconds."""

    chunks: int
    embedded: int
    removed: int
    seconds: float


def _silent(done: int, total: int) -> None:
    """Show nothing."""


def reindex(
    source: Path,
    target: Path,
    embedder: Embedder,
    *,
    adding: bool = False,
    batch: int = SAMPLE,
    scratch: Path | None = None,
    progress: Progress = _silent,
) -> Reindexed:
    """Bring the index in ``target`` to hold every chunk of ``source``, embedded by ``embedder``.

    Chunks that are there with the same text and metadata are not embedded again, so the same call
    goes on after whatever ended it. Chunks that ``source`` does not have are taken out.

    :param adding: only add what ``target`` lacks: it is in use, and may hold more than ``source``.
    :param batch: chunks that are embedded at a time.
    :param scratch: where the snapshot of ``source`` is kept meanwhile.
    :raises StoreError: ``target`` holds another space, or a check failed; ``target`` stays marked
        as unfinished, and ``source`` as it was.
    :raises DataError: ragd has indexed nothing in ``source``.
    """
    start = time.perf_counter()
    marker = _begin(source, target, embedder, adding=adding)
    others = sorted(chroma.names_in(source) - {DOCUMENTS})
    with chroma.reading(source, scratch=scratch, vectors=others) as old:
        new = chroma.open_client(target)
        try:
            _must_be_readable(source, target)
            removed = 0 if adding else _take_out(old, new)
            embedded = _copy_chunks(old, new, embedder, batch, progress)
            for name in others:
                carry.copy_collection(old, new, name, adding=adding)
            total = _check(old, new, embedder, adding=adding)
        finally:
            chroma.close_client(new)
    carry.copy_words(source, target, adding=adding)
    marker.model_copy(update={"state": "ready"}).write(target)
    return Reindexed(
        chunks=total, embedded=embedded, removed=removed, seconds=time.perf_counter() - start
    )


def count(chroma_dir: Path) -> tuple[int, int]:
    """Return the numbers of documents and chunks that ragd has indexed."""
    with chroma.reading(chroma_dir) as client:
        has_records = chroma.RECORDS in chroma.names(client)
        documents = client.get_collection(chroma.RECORDS).count() if has_records else 0
        return int(documents), int(client.get_collection(DOCUMENTS).count())


def measure(chroma_dir: Path, embedder: Embedder, *, sample: int = SAMPLE) -> float:
    """Return the seconds that embedding the whole index will take, by timing a sample of it."""
    with chroma.reading(chroma_dir) as client:
        collection = client.get_collection(DOCUMENTS)
        ids = chroma.all_ids(collection)
        picked = random.Random(0).sample(ids, min(sample, len(ids)))
        texts = [passage(one) for one in chroma.get_chunks(collection, picked)]
    if not texts:
        return 0.0
    embedder.load()
    embedder.embed_documents(texts[:1])  # the first call pays for warming up
    start = time.perf_counter()
    embedder.embed_documents(texts)
    return (time.perf_counter() - start) * len(ids) / len(texts)


def differs(chroma_dir: Path, embedder: Embedder, *, tolerance: float = 1e-3) -> bool:
    """Say whether a sample of an index's vectors is not what ``embedder`` makes of their texts."""
    import numpy as np

    with chroma.reading(chroma_dir, vectors=[DOCUMENTS]) as client:
        collection = client.get_collection(DOCUMENTS)
        ids = chroma.all_ids(collection)
        picked = random.Random(1).sample(ids, min(8, len(ids)))
        texts = [passage(one) for one in chroma.get_chunks(collection, picked)]
        stored = stored_vectors(collection, picked)
    own = embedder.embed_documents(texts)
    return bool(stored.shape != own.shape or np.abs(stored - own).max() > tolerance)


def passage(chunk: Chunk) -> str:
    """Return the text that ragd embeds for a chunk: with the context before it that an LLM gave."""
    context = chunk.metadata.get("context")
    return f"{context}\n\n{chunk.text}" if context else chunk.text


def _begin(source: Path, target: Path, embedder: Embedder, *, adding: bool) -> Marker:
    """Mark the target as being built, if it is this model's to build.

    One that is in use is whole at any time, and stays marked as it is.

    :raises StoreError: it holds vectors of another space, or vectors that are nobody's.
    """
    if source.resolve() == target.resolve():
        raise StoreError(f"{source} cannot be embedded into itself", mend="name another index")
    found = read_marker(target)
    if found is not None and found.space != embedder.space:
        raise StoreError(
            f"{target} holds vectors of {found.name}, not of {embedder.model_name}",
            mend="remove that folder if nothing uses it any more",
        )
    if found is None and not is_empty(target):
        raise StoreError(
            f"{target} holds vectors that ragd-tune did not make", mend="move that folder away"
        )
    files.make_dir(target)
    marker = Marker(
        space=embedder.space, model=embedder.id, name=embedder.model_name,
        dimension=embedder.dimension, source=str(source), state="building",
    )  # fmt: skip
    if not adding:
        marker.write(target)
    return marker


def _must_be_readable(source: Path, target: Path) -> None:
    """Refuse to build what ragd's own, older chromadb could not open.

    :raises DataError: the two databases went through different migrations.
    """
    if chroma.migrations(source) != chroma.migrations(target):
        raise DataError(
            f"ragd wrote {source} by another version of chromadb than the one installed here",
            mend="install ragd-tune into ragd's own environment, or the chromadb that ragd has",
        )


def _take_out(old: Any, new: Any) -> int:
    """Take chunks out that the source does not have; return their number."""
    target = carry.same(old, new, DOCUMENTS)
    gone = sorted(set(chroma.all_ids(target)) - set(chroma.all_ids(old.get_collection(DOCUMENTS))))
    for part in chroma.batches(gone, 500):
        target.delete(ids=list(part))
    return len(gone)


def _copy_chunks(old: Any, new: Any, embedder: Embedder, batch: int, progress: Progress) -> int:
    """Embed and add what the target lacks; return the number of chunks that were embedded."""
    source, target = old.get_collection(DOCUMENTS), carry.same(old, new, DOCUMENTS)
    ids = chroma.all_ids(source)
    done = embedded = 0
    progress(0, len(ids))
    for part in chroma.batches(ids, batch):
        there = {one.id: one for one in chroma.get_chunks(target, part)}
        todo = [one for one in chroma.get_chunks(source, part) if there.get(one.id) != one]
        if todo:
            _put(target, todo, embedder.embed_documents([passage(one) for one in todo]))
        done, embedded = done + len(part), embedded + len(todo)
        progress(done, len(ids))
    return embedded


def _put(target: Any, chunks: Sequence[Chunk], vectors: Any) -> None:
    target.upsert(
        ids=[one.id for one in chunks],
        documents=[one.text for one in chunks],
        embeddings=vectors,
        metadatas=[dict(one.metadata) or None for one in chunks],
    )


def _check(old: Any, new: Any, embedder: Embedder, *, adding: bool) -> int:
    """Compare ids and counts of all collections, and a sample of vectors; return the chunks.

    :raises StoreError: something differs; says what.
    """
    import numpy as np

    for name in sorted(chroma.names(old)):
        source, target = old.get_collection(name), new.get_collection(name)
        wanted, there = set(chroma.all_ids(source)), set(chroma.all_ids(target))
        if wanted - there or (there - wanted and not adding):
            raise _failed(f"{name} has {target.count()} entries, and should have {source.count()}")
    target = new.get_collection(DOCUMENTS)
    ids = chroma.all_ids(target)
    picked = random.Random(len(ids)).sample(ids, min(SAMPLE, len(ids)))
    texts = [passage(one) for one in chroma.get_chunks(target, picked)]
    stored = stored_vectors(target, picked)
    if texts:
        worst = float(np.abs(stored - embedder.embed_documents(texts)).max())
        if not worst <= TOLERANCE:
            raise _failed(f"vectors differ from the model's by up to {worst:.1e}")
    return len(ids)


def stored_vectors(collection: Any, ids: Sequence[str]) -> Any:
    """Return the vectors of ``ids`` in their order, float (n, dimension)."""
    import numpy as np

    found = collection.get(ids=list(ids), include=["embeddings"])
    place = {key: number for number, key in enumerate(found["ids"])}
    return np.asarray(found["embeddings"])[[place[key] for key in ids]]


def _failed(what: str) -> StoreError:
    return StoreError(
        f"the new index is not sound: {what}; ragd keeps the old one",
        mend="begin it anew: ragd-tune host reindex --fresh",
    )
