"""A stand-in for ragd's index: the same seams as FACTS tells, over a real chromadb."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chromadb
import pytest
from chromadb.config import Settings

Embed = Callable[[Sequence[str]], list[list[float]]]


@dataclass
class HostIndex:
    """A folder with ragd's two collections and its BM25 table."""

    folder: Path
    chunks: dict[str, str] = field(default_factory=dict)

    def client(self) -> Any:
        return chromadb.PersistentClient(
            path=str(self.folder), settings=Settings(anonymized_telemetry=False, allow_reset=True)
        )

    def add(self, document: str, texts: Sequence[str], embed: Embed, **more: object) -> None:
        """Index one document as ragd does."""
        client = self.client()
        found = client.get_or_create_collection("ragd_documents", metadata={"hnsw:space": "cosine"})
        ids = [f"{document}_chunk_{number}" for number in range(len(texts))]
        found.add(
            ids=ids,
            documents=list(texts),
            embeddings=embed(texts),
            metadatas=[
                {"chunk_index": number, "source": f"/d/{document}.txt", "document_id": document}
                | dict(more)
                for number in range(len(texts))
            ],
        )
        records = client.get_or_create_collection("ragd_metadata")
        records.add(
            ids=[document],
            documents=[f"/d/{document}.txt"],
            embeddings=[[float(len(document)), 1.0, 2.0]],
            metadatas=[{"filename": f"{document}.txt", "chunk_count": len(texts)}],
        )
        client.close()
        self.add_words(document, dict(zip(ids, texts, strict=True)))
        self.chunks |= dict(zip(ids, texts, strict=True))

    def add_words(self, document: str, chunks: Mapping[str, str]) -> None:
        with sqlite3.connect(self.folder / "bm25.db") as database:
            database.execute(
                "CREATE VIRTUAL TABLE IF NOT EXISTS chunks_fts USING fts5("
                "content, chunk_id UNINDEXED, document_id UNINDEXED, tokenize='porter unicode61')"
            )
            database.executemany(
                "INSERT INTO chunks_fts VALUES (?, ?, ?)",
                [(text, chunk, document) for chunk, text in chunks.items()],
            )
        database.close()

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


def letters(texts: Sequence[str]) -> list[list[float]]:
    """Embed texts by counting letters: four dimensions, good enough to tell texts apart."""
    return [[float(1 + text.count(letter)) for letter in "aeio"] for text in texts]


@pytest.fixture
def host_index(tmp_path: Path) -> HostIndex:
    return HostIndex(tmp_path / "ragd" / "chroma")
