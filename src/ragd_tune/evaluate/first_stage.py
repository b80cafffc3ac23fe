"""First stages: what finds the candidates that a reranker puts in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragd_tune.evaluate.bm25 import Bm25
from ragd_tune.evaluate.search import TopK, Vectors, blocks

DENSE_SHARE = 0.7
"""ragd's weights of cosine and keywords in one score; those of its default configuration."""

BM25_CEILING = 10.0
"""A BM25 score of this much or more counts as 1, as in ragd."""


@dataclass(frozen=True, slots=True)
class Found:
    """The passages that were found for one query: indices (m,) and scores (m,), the best first."""

    indices: NDArray[np.int64]
    scores: NDArray[np.float32]


def dense(
    queries: Vectors,
    documents: Vectors | Iterable[Vectors],
    depth: int,
    *,
    keep: NDArray[np.bool_] | None = None,
) -> list[Found]:
    """Return the ``depth`` passages of highest inner product for each query.

    ``queries`` is (n, d), ``documents`` (m, d) or an iterable of such blocks. Passages where
    ``keep`` (m,) is false are never found.
    """
    search = TopK(queries, depth)
    seen = 0
    for part in blocks(documents):
        search.add(part, keep=None if keep is None else keep[seen : seen + len(part)])
        seen += len(part)
    scores, indices = search.result()
    return [Found(row, found) for row, found in zip(indices, scores, strict=True)]


def keywords(
    queries: Sequence[str],
    index: Bm25,
    depth: int,
    *,
    keep: NDArray[np.bool_] | None = None,
) -> list[Found]:
    """Return the ``depth`` passages of highest BM25 score for each query; fewer have its words."""
    made = []
    for query in queries:
        scores, indices = index.top(query, depth, keep=keep)
        made.append(Found(indices, scores))
    return made


def hybrid(meant: Sequence[Found], keyed: Sequence[Found], depth: int) -> list[Found]:
    """Return what ragd's score makes of both: 0.7 · (1 + cos) / 2 + 0.3 · min(1, BM25 / 10).

    A passage that one side did not find gets nothing from that side.
    """
    return [_mixed(one, two, depth) for one, two in zip(meant, keyed, strict=True)]


def by_meaning(cosine: float) -> float:
    """Return the part of ragd's score that a cosine makes."""
    return DENSE_SHARE * (1.0 + cosine) / 2.0


def by_words(bm25: float, ceiling: float = BM25_CEILING) -> float:
    """Return the part of ragd's score that BM25 makes."""
    return (1.0 - DENSE_SHARE) * min(1.0, bm25 / ceiling)


def _mixed(meaning: Found, keyed: Found, depth: int) -> Found:
    total: dict[int, float] = {}
    for index, cosine in zip(meaning.indices.tolist(), meaning.scores.tolist(), strict=True):
        total[index] = by_meaning(cosine)
    for index, score in zip(keyed.indices.tolist(), keyed.scores.tolist(), strict=True):
        total[index] = total.get(index, 0.0) + by_words(score)
    best = sorted(total, key=lambda index: (-total[index], index))[:depth]
    scores = [total[index] for index in best]
    return Found(np.array(best, np.int64), np.array(scores, np.float32))


def reordered(found: Found, scores: NDArray[np.float32]) -> Found:
    """Return ``found`` in the order of other scores (m,); a tie keeps the first stage's order."""
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    return Found(found.indices[order], scores[order])
