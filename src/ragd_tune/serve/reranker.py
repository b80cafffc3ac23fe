"""A reranking model, pinned to one content id for life."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragd_tune.backends import RerankRequest
from ragd_tune.serve.pinned import Pinned
from ragd_tune.serve.served import checked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Reranker(Pinned):
    """Scores of passages for a query, by one model that never changes under this object."""

    slot = "reranker"

    def rerank(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Return one score a passage, float32 (n,), in the order of ``passages``.

        The higher the better; scores of different queries need not compare. No passages give an
        empty array.
        """
        (scores,) = self.rerank_many([(query, passages)])
        return scores

    def rerank_many(
        self, requests: Sequence[tuple[str, Sequence[str]]]
    ) -> list[NDArray[np.float32]]:
        """Return the scores of many (query, passages) at once: they batch better than one by one.

        :raises UsageError: passages are one text, or not texts.
        """
        asked = [_request(query, passages) for query, passages in requests]
        with self._lock:
            return self.load().rerank(asked)


def _request(query: str, passages: Sequence[str]) -> RerankRequest:
    return RerankRequest(
        query=checked([query], "queries")[0], passages=tuple(checked(passages, "passages"))
    )
