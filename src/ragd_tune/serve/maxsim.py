"""Late interaction: exact MaxSim over token vectors, in blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ragd_tune.backends import MultiVector
from ragd_tune.errors import UsageError

BLOCK = 1 << 24
"""Token similarities held at once: 64 MiB of float32."""


def maxsim(
    queries: MultiVector, documents: MultiVector, *, block: int = BLOCK
) -> NDArray[np.float32]:
    """Return the scores of every query against every document: float32 (queries, documents).

    ``score(q, d)`` is the sum over q's tokens of the largest inner product with a token of d
    (Khattab and Zaharia, ColBERT, 2020, equation 3). A query without tokens scores 0 everywhere;
    a document without tokens scores minus infinity against any other query, so it comes last.

    :param block: how many token similarities are in memory at once, at the least one query's
        with one document's.
    :raises UsageError: the two sides have different dimensions.
    """
    if queries.values.shape[1] != documents.values.shape[1]:
        raise UsageError(
            f"queries have {queries.values.shape[1]} dimensions, "
            f"documents {documents.values.shape[1]}",
            mend="embed both with the same model",
        )
    made = np.zeros((len(queries.offsets) - 1, len(documents.offsets) - 1), np.float32)
    side = max(1, int(block**0.5))
    for q_from, q_to in _spans(queries.offsets, side):
        q_tokens, q_offsets = _part(queries, q_from, q_to)
        for d_from, d_to in _spans(documents.offsets, max(1, block // max(1, len(q_tokens)))):
            d_tokens, d_offsets = _part(documents, d_from, d_to)
            best = _by_group(np.maximum, d_tokens @ q_tokens.T, d_offsets, -np.inf)
            made[q_from:q_to, d_from:d_to] = _by_group(np.add, best.T, q_offsets, 0.0)
    return made


def _by_group(
    reduce: np.ufunc, rows: NDArray[np.float32], offsets: NDArray[np.int64], empty: float
) -> NDArray[np.float32]:
    """Reduce consecutive rows by group; a group without rows gets ``empty``."""
    made = np.full((len(offsets) - 1, rows.shape[1]), empty, np.float32)
    full = offsets[1:] > offsets[:-1]
    if full.any():
        # reduceat takes an empty group for a single row, so only the full ones are passed.
        made[full] = reduce.reduceat(rows, offsets[:-1][full], axis=0)
    return made


def _part(
    vectors: MultiVector, start: int, stop: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    offsets = vectors.offsets[start : stop + 1]
    return vectors.values[offsets[0] : offsets[-1]], offsets - offsets[0]


def _spans(offsets: NDArray[np.int64], tokens: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of texts with at most ``tokens`` tokens, or one text that has more."""
    start, count = 0, len(offsets) - 1
    while start < count:
        stop = int(np.searchsorted(offsets, offsets[start] + tokens, side="right")) - 1
        stop = min(count, max(stop, start + 1))
        yield start, stop
        start = stop
