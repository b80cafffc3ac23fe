"""Embeddings and judgements in, per-query scores at every dimension out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ragd_tune.errors import TuneError
from ragd_tune.evaluate.metrics import METRICS, Qrels, Scores, parse, same_text, score
from ragd_tune.evaluate.search import DOCUMENT_BLOCK, TopK, Vectors, blocks

DEPTH = 100


def evaluate_retrieval(
    queries: Vectors,
    documents: Vectors | Iterable[Vectors],
    *,
    query_ids: Sequence[str],
    document_ids: Sequence[str],
    qrels: Qrels,
    dims: Sequence[int] = (),
    metrics: Sequence[str] = METRICS,
    texts: Sequence[str] | None = None,
    block: int = DOCUMENT_BLOCK,
) -> dict[int, Scores]:
    """Search and score at every dimension of ``dims``; by default at the full one.

    ``queries`` is float32 (n, d) in the order of ``query_ids``; ``documents`` is (m, d) or an
    iterable of such blocks, embedded as it goes, in the order of ``document_ids``. Similarity is
    the cosine. One pass over the documents serves all dimensions.

    ``texts`` are the documents as they were embedded. With them, documents of identical text count
    as one (see :func:`ragd_tune.evaluate.metrics.same_text`) and :attr:`Scores.collapsed` says how
    many went; without them every duplicate but the judged one is scored as wrong, as trec_eval
    would. Passing them is the safe choice for a proof: no model can tell equal texts apart, so
    counting one of them as wrong measures nothing, and both sides are treated alike.

    :raises TuneError: vectors that are not finite, do not fit together, or do not match the ids.
    :raises UsageError: a dimension or a metric that cannot be.
    """
    _match(len(queries), query_ids, "query")
    same = _equivalents(document_ids, texts)
    depth = max(DEPTH, *(parse(metric)[1] for metric in metrics))
    sizes = tuple(dict.fromkeys(dims)) or (queries.shape[1],)
    searches = {size: TopK(queries, depth, dims=size) for size in sizes}
    keep = np.array([document not in same for document in document_ids], bool)
    seen = 0
    for part in blocks(documents, block):
        mask = keep[seen : seen + len(part)]
        seen += len(part)
        if len(mask) < len(part):
            break
        for search in searches.values():
            search.add(part, keep=mask)
    _match(seen, document_ids, "document")
    return {
        size: score(
            _rankings(query_ids, document_ids, search.result()[1]),
            qrels,
            metrics=metrics,
            equivalents=same,
        )
        for size, search in searches.items()
    }


def _equivalents(document_ids: Sequence[str], texts: Sequence[str] | None) -> Mapping[str, str]:
    if texts is None:
        return {}
    _match(len(texts), document_ids, "document")
    return same_text(dict(zip(document_ids, texts, strict=True)))


def _match(rows: int, ids: Sequence[str], side: str) -> None:
    if rows != len(ids):
        more = "at least " if rows > len(ids) else ""
        raise TuneError(f"{len(ids)} {side} ids came with {more}{rows} rows")
    if len(set(ids)) < len(ids):
        raise TuneError(f"a {side} id stands twice", mend="`ragd-tune data check` names the lines")


def _rankings(
    query_ids: Sequence[str], document_ids: Sequence[str], indices: NDArray[np.int64]
) -> dict[str, list[str]]:
    return {
        query: [document_ids[i] for i in row]
        for query, row in zip(query_ids, indices.tolist(), strict=True)
    }
