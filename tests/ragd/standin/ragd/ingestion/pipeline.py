"""Indexing one document, by the embedder that the configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragd.embedding.embedder import get_embedder


def index_document(path: Path, store: Any, config: Any, skip_duplicates: bool = True) -> str:
    text = path.read_text(encoding="utf-8")
    vectors = get_embedder(model_name=config.embedding.model).embed([text])
    store.add(ids=[f"{path.stem}_chunk_0"], documents=[text], embeddings=vectors)
    return path.stem
