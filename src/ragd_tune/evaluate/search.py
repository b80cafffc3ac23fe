"""Exact dense search in blocks: the k best documents of every query, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ragd_tune.errors import TuneError, UsageError

Vectors = NDArray[np.float32]

DOCUMENT_BLOCK = 4096
QUERY_BLOCK = 256

_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_SIGN = np.uint32(0x80000000)


def top_k(
    queries: Vectors,
    documents: Vectors | Iterable[Vectors],
    k: int,
    *,
    block: int = DOCUMENT_BLOCK,
    dims: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return scores (n, min(k, m)) and document indices of the best documents, the best first.

    ``queries`` is (n, d), ``documents`` (m, d) or an iterable of such blocks, which are taken one
    at a time. The score is the inner product, which is the cosine when both sides have unit
    length. ``dims`` cuts every vector to its first values (Matryoshka) and gives what is left unit
    length again. A tie goes to the lower document index, whatever ``block`` is.

    :raises TuneError: a vector holds NaN or infinity, or the two sides differ in length.
    :raises UsageError: ``dims`` is not in 1…d.
    """
    search = TopK(queries, k, dims=dims)
    for part in blocks(documents, block):
        search.add(part)
    return search.result()


class TopK:
    """A search that takes the documents block by block; several share one pass over a corpus."""

    def __init__(self, queries: Vectors, k: int, *, dims: int | None = None) -> None:
        if k < 1:
            raise ValueError(f"k is {k}; it must be at least 1")
        self._width = _checked(queries, "query", 0)
        self._dims = dims
        self._queries = _prepared(queries, dims)
        self._k = k
        self._seen = 0
        self._keys = np.empty((len(queries), 0), np.uint64)

    def add(self, documents: Vectors, *, keep: NDArray[np.bool_] | None = None) -> None:
        """Look through one more block of documents (b, d), numbered on from the last one.

        Rows where ``keep`` (b,) is false are numbered and checked, and never found.
        """
        width = _checked(documents, "document", self._seen)
        if width != self._width:
            raise TuneError(
                f"query vectors have {self._width} values, document vectors {width}",
                mend="embed queries and documents with the same model",
            )
        numbers = np.arange(self._seen, self._seen + len(documents), dtype=np.uint64)
        self._seen += len(documents)
        if keep is not None and not keep.all():
            documents, numbers = documents[keep], numbers[keep]
        self._merge(_prepared(documents, self._dims).T, numbers)

    def _merge(self, columns: NDArray[np.float64], numbers: NDArray[np.uint64]) -> None:
        width = min(self._k, self._keys.shape[1] + len(numbers))
        kept = np.empty((len(self._queries), width), np.uint64)
        for start in range(0, len(self._queries), QUERY_BLOCK):
            rows = slice(start, start + QUERY_BLOCK)
            keys = _keys(self._queries[rows] @ columns, numbers)
            kept[rows] = _smallest(np.concatenate([self._keys[rows], keys], axis=1), self._k)
        self._keys = kept

    def found(self) -> NDArray[np.uint64]:
        """Return the ranking so far in the form that :meth:`take` takes: (n, min(k, m))."""
        return self._keys

    def take(self, found: NDArray[np.uint64], size: int) -> None:
        """Add what another search of the same queries :meth:`found` in the next ``size`` documents.

        That is what :meth:`add` would have found in them.
        """
        moved = found + np.uint64(self._seen)
        self._seen += size
        self._keys = _smallest(np.concatenate([self._keys, moved], axis=1), self._k)

    def result(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scores and document indices, both (n, min(k, m)), the best first."""
        keys = np.sort(self._keys, axis=1)
        return _scores(keys), (keys & _LOW).astype(np.int64)


def blocks(
    documents: Vectors | Iterable[Vectors], block: int = DOCUMENT_BLOCK
) -> Iterator[Vectors]:
    """Yield ``documents`` in pieces of at most ``block`` rows, in order, without a copy."""
    if block < 1:
        raise ValueError(f"block is {block}; it must be at least 1")
    for part in [documents] if isinstance(documents, np.ndarray) else documents:
        for start in range(0, len(part), block):
            yield part[start : start + block]


def _checked(vectors: Vectors, side: str, first: int) -> int:
    """Return the length of the vectors; refuse NaN and infinity by row."""
    if vectors.ndim != 2:
        raise ValueError(f"{side} embeddings have shape {vectors.shape}; (rows, values) is needed")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise TuneError(
            f"the embedding of {side} {first + bad[0]} holds NaN or infinity"
            f" ({len(bad)} of {len(vectors)} rows looked at do)",
            mend="the model is damaged or its training diverged: train again at a lower"
            " learning rate",
        )
    return int(vectors.shape[1])


def _prepared(vectors: Vectors, dims: int | None) -> NDArray[np.float64]:
    """Return float64 vectors, cut to ``dims`` and of unit length where that is asked for.

    In float64 the error of a product is far below a float32 step, so equal texts get equal float32
    scores in whichever block they stand: that is what makes ties and block sizes harmless.
    """
    wide = vectors.astype(np.float64)
    if dims is None:
        return wide
    if not 1 <= dims <= vectors.shape[1]:
        raise UsageError(
            f"cannot cut embeddings of {vectors.shape[1]} values to {dims}",
            mend=f"choose dimensions from 1 to {vectors.shape[1]}",
        )
    wide = wide[:, :dims]
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    return unit


def _keys(scores: NDArray[np.float64], numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Pack score and document number so that ascending keys are the ranking, ties and all.

    The bits of a float32 order as an unsigned integer once the sign bit of positive numbers is set
    and negative numbers are inverted; inverting the whole makes the best score the smallest key.
    """
    bits = (scores.astype(np.float32) + np.float32(0)).view(np.uint32)  # + 0 makes -0.0 a 0.0
    ordered = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    keys: NDArray[np.uint64] = ((~ordered).astype(np.uint64) << _SHIFT) | numbers
    return keys


def _scores(keys: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Undo ``_keys``: the float32 scores."""
    ordered = ~(keys >> _SHIFT).astype(np.uint32)
    return np.where(ordered & _SIGN, ordered ^ _SIGN, ~ordered).view(np.float32)


def _smallest(keys: NDArray[np.uint64], k: int) -> NDArray[np.uint64]:
    """Return the k smallest keys of every row, unordered; keys are unique, so ties cannot arise."""
    if keys.shape[1] <= k:
        return keys
    return np.partition(keys, k - 1, axis=1)[:, :k]
