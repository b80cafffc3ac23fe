"""Our models behind ragd's own protocols ``Embedder`` and ``Reranker``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ragd_tune.serve import Embedder


class HostEmbedder:
    """ragd's ``Embedder``: ``embed`` takes documents, ``embed_single`` takes a query.

    That is how ragd calls them, though its protocol knows no roles. ``model_name`` is the name in
    the configuration, by which ragd keeps its embedders.

    :param documents: embeds what goes into the index.
    :param queries: embeds what is searched for; ``documents`` if None.
    """

    def __init__(self, name: str, documents: Embedder, queries: Embedder | None = None) -> None:
        self._name = name
        self._documents = documents
        self._queries = queries or documents

    def embed(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of documents."""
        vectors: list[list[float]] = self._documents.embed_documents(texts).tolist()
        return vectors

    def embed_single(self, text: str) -> list[float]:
        """Return the vector of a query."""
        vector: list[float] = self._queries.embed_queries([text])[0].tolist()
        return vector

    @property
    def dimension(self) -> int:
        """Floats of one vector."""
        return self._documents.dimension

    @property
    def model_name(self) -> str:
        """The name in ragd's configuration."""
        return self._name

    @property
    def space(self) -> str:
        """Id of the space that documents are embedded into."""
        return self._documents.space

    @property
    def ids(self) -> tuple[str, str]:
        """Ids of the models that embed documents and queries; they never change."""
        return self._documents.id, self._queries.id

    def is_loaded(self) -> bool:
        """Say whether the weights are in memory (a method, as in ragd)."""
        return self._documents.is_loaded and self._queries.is_loaded

    def close(self) -> None:
        """Give the memory back."""
        self._documents.close()
        self._queries.close()


class _Scores(Protocol):
    """A loaded reranker: scores, float32 (n,), the higher the better."""

    def rerank(self, query: str, passages: Sequence[str]) -> Any: ...


class HostReranker:
    """ragd's ``Reranker``: sorts results by a model's scores and drops none of them."""

    def __init__(self, model: _Scores) -> None:
        self._model = model

    def rerank(self, query: str, results: Sequence[Any], top_k: int | None = None) -> list[Any]:
        """Return ``results`` (objects with ``.content``, dicts or texts), the best first.

        Results with equal scores keep their order. ``top_k`` keeps the first ones.
        """
        if not results:
            return []
        scores = self._model.rerank(query, [content(one) for one in results])
        order = sorted(range(len(results)), key=lambda index: -float(scores[index]))
        return [results[index] for index in order[:top_k]]


def content(result: object) -> str:
    """Return the text of one of ragd's results."""
    if isinstance(result, dict):
        return str(result.get("content", ""))
    return str(getattr(result, "content", result))
