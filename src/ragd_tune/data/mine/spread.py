"""The two searches of a mining on a cluster: they find what those of one machine find."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragd_tune.data.cluster import Cluster, Shared
from ragd_tune.data.mine.lexical import Lexical
from ragd_tune.evaluate.search import TopK

Vectors = NDArray[np.float32]

SHARD = 16_384
"""Passages that a worker searches at a time. More, and few workers have something to do; fewer, and
what they send back (the best of every query) takes longer than the search."""
_QUERIES = 256
"""Queries of a block for BM25."""


class SpreadDense:
    """Exact search: each worker looks through parts of the passages, for all queries.

    No machine but this one needs all vectors, and here they lie in a file.
    """

    def __init__(self, cluster: Cluster, passages: Vectors) -> None:
        self._cluster = cluster
        self.passages = passages

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, NDArray[np.int64]]:
        """Return scores and passage numbers, both (n, min(k, m)), the best first."""
        best = TopK(queries, min(k, len(self.passages)))
        make = partial(_Searcher, Shared.put(np.asarray(queries)), k)
        waiting: list[NDArray[np.uint64]] = []
        seen = 0
        for made in self._cluster.map(make, self.passages, block=SHARD):
            waiting.append(made["found"])
            if sum(map(len, waiting)) < len(queries):
                continue  # Ray cuts what is large
            size = min(SHARD, len(self.passages) - seen)
            best.take(np.concatenate(waiting), size)
            waiting, seen = [], seen + size
        return best.result()


class SpreadLexical:
    """BM25: each worker answers some of the queries, by an index that is made here."""

    def __init__(self, cluster: Cluster, index: Lexical) -> None:
        self._cluster, self._index = cluster, index
        self._shared = Shared.put(index)

    def search(
        self, queries: Sequence[str], k: int
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Yield scores and passage numbers as :meth:`Lexical.search` does."""
        make = partial(_Words, self._shared, k)
        for made in self._cluster.map(make, list(queries), block=_QUERIES):
            for row in made["found"]:
                scores, numbers = json.loads(str(row))
                yield np.asarray(scores, np.float32), np.asarray(numbers, np.int64)

    def score(self, query: str) -> NDArray[np.float32]:
        """Return the score of every passage: float32 (n,)."""
        return self._index.score(query)


class _Searcher:
    """Finds the best of some passages for every query, numbered from 0."""

    def __init__(self, queries: Shared, k: int) -> None:
        self._queries, self._k = queries.get(), k

    def __call__(self, passages: NDArray[Any]) -> dict[str, NDArray[Any]]:
        best = TopK(self._queries, self._k)
        best.add(np.ascontiguousarray(passages, np.float32))
        return {"found": best.found()}


class _Words:
    """Asks a BM25 index."""

    def __init__(self, index: Shared, k: int) -> None:
        self._index: Lexical = index.get()
        self._k = k

    def __call__(self, queries: NDArray[Any]) -> dict[str, NDArray[Any]]:
        found = self._index.search([str(one) for one in queries], self._k)
        rows = [json.dumps([scores.tolist(), numbers.tolist()]) for scores, numbers in found]
        return {"found": np.array(rows, dtype=object)}
