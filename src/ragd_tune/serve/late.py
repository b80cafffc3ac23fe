"""Scores of a late-interaction model: its token vectors, and the core's MaxSim over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ragd_tune.backends import MultiVector, RerankRequest
from ragd_tune.serve.maxsim import maxsim

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ragd_tune.plan import Role

    Embed = Callable[[Sequence[str], Role], NDArray[np.float32] | MultiVector]
    """Texts of one role to vectors, as :meth:`ragd_tune.kinds.Served.embed`."""

BLOCK = 256
"""Passages whose token vectors are in memory at once: 32 MiB of float32 at 256 tokens of 128."""


def multi(vectors: NDArray[np.float32] | MultiVector) -> MultiVector:
    """Return ``vectors`` as many a text: a dense one is a text's only vector."""
    if isinstance(vectors, MultiVector):
        return vectors
    return MultiVector(values=vectors, offsets=np.arange(len(vectors) + 1, dtype=np.int64))


def rerank(embed: Embed, requests: Sequence[RerankRequest]) -> list[NDArray[np.float32]]:
    """Return the MaxSim of every request's query with its passages, in their order.

    A passage that several requests share is embedded once; passages go in blocks.
    """
    scores = [np.zeros(len(one.passages), np.float32) for one in requests]
    queries = multi(embed([one.query for one in requests], "query"))
    wanted: dict[str, list[tuple[int, int]]] = {}
    for number, one in enumerate(requests):
        for place, text in enumerate(one.passages):
            wanted.setdefault(text, []).append((number, place))
    for texts in blocks(list(wanted), BLOCK):
        found = multi(embed(texts, "document"))
        asked: dict[int, list[tuple[int, int]]] = {}
        for column, text in enumerate(texts):
            for number, place in wanted[text]:
                asked.setdefault(number, []).append((place, column))
        for number, pairs in asked.items():
            places, columns = (list(one) for one in zip(*pairs, strict=True))
            query = some(queries, [number])
            scores[number][places] = maxsim(query, some(found, columns))[0]
    return scores


def some(vectors: MultiVector, rows: Sequence[int]) -> MultiVector:
    """Return the vectors of some of the texts, in the order of ``rows``."""
    ends = vectors.offsets
    parts = [vectors.values[ends[row] : ends[row + 1]] for row in rows]
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    values = np.concatenate(parts) if parts else vectors.values[:0]
    return MultiVector(values=values, offsets=offsets)


def blocks(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield ``texts`` in pieces of at most ``size``."""
    for start in range(0, len(texts), size):
        yield texts[start : start + size]
