"""A searcher that keeps its parts for life."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import chromadb
from chromadb.config import Settings

from ragd.config import load_config
from ragd.embedding.embedder import get_embedder


class Words:
    """Where the keyword index is; this stand-in has vectors only."""

    def __init__(self, path: Any) -> None:
        self.path = path
        self.open = True

    def close(self) -> None:
        self.open = False


def open_store(config: Any) -> Any:
    client = chromadb.PersistentClient(
        path=str(config.chroma_path),
        settings=Settings(anonymized_telemetry=False, allow_reset=True),
    )
    return client.get_or_create_collection("ragd_documents", metadata={"hnsw:space": "cosine"})


class HybridSearcher:
    def __init__(self, config: Any = None) -> None:
        self.config = config or load_config()
        self._vector_store = open_store(self.config)
        self._bm25 = Words(self.config.chroma_path / "bm25.db")
        self._embedder = get_embedder(self.config.embedding.model)

    def search(
        self,
        query: str,
        limit: int = 10,
        min_score: float = 0.0,
        document_ids: list[str] | None = None,
        document_boosts: dict[str, float] | None = None,
    ) -> list[Any]:
        found = self._vector_store.query(
            query_embeddings=[self._embedder.embed_single(query)], n_results=limit
        )
        rows = zip(found["ids"][0], found["documents"][0], found["distances"][0], strict=True)
        return [
            SimpleNamespace(chunk_id=key, content=text, combined_score=1 - distance / 2)
            for key, text, distance in rows
            if 1 - distance / 2 >= min_score
        ]
