"""A stand-in for ragd's index: the same seams as FACTS tells, over a real chromadb."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import chromadb
import pytest
from chromadb.config import Settings

from ragd_tune.models import fingerprint, remember
from ragd_tune.options import CONTRASTIVE, LORA, RUN
from ragd_tune.pipeline.training import commit
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.plan import BaseModel, Side, TrainPlan
from ragd_tune.registry import Registry
from ragd_tune.serve import Embedder, load_base
from ragd_tune.serve.load import load
from ragd_tune.store import Entry, Store
from ragd_tune.testing import contrastive_rows
from ragd_tune.testing.fakes import advertise, make_base, registry

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
            database.execute(
                "CREATE TABLE IF NOT EXISTS indexed_documents"
                " (document_id TEXT PRIMARY KEY, indexed_at TEXT)"
            )
            database.execute("INSERT INTO indexed_documents VALUES (?, 'then')", (document,))
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


@dataclass(frozen=True)
class Workbench:
    """A home with a store, a base model of the fake backend, and ragd's folder beside it."""

    home: Path
    base: Path
    registry: Registry

    @property
    def store(self) -> Store:
        return Store(self.home / ".ragd" / "tune")

    @property
    def index(self) -> HostIndex:
        return HostIndex(self.home / ".ragd" / "chroma")

    def config(self, **embedding: object) -> dict[str, Any]:
        """Return a configuration of ragd's that embeds with the base."""
        return {
            "embedding": {"model": str(self.base), "dimension": 16} | embedding,
            "storage": {"data_dir": str(self.home / ".ragd"), "chroma_dir": "chroma"},
        }

    def embedder(self, ref: str | None = None) -> Embedder:
        """Load an adapter, or the base, by ragd-tune itself."""
        if ref is None:
            return load_base(str(self.base), home=self.store.root, registry=self.registry)
        return load(ref, home=self.store.root, registry=self.registry, slot="embedder")

    def train(
        self, name: str, *, side: Side = "both", seed: int = 0, length: int = 0, **prompts: str
    ) -> Entry:
        """Train an adapter on the sample rows, commit it and say that it is proven."""
        base = BaseModel(name="fake-base", path=self.base, fingerprint=fingerprint(self.base))
        store, rows = self.store, contrastive_rows()
        remember(store.root, base)
        options = {option.name: option.default for option in (*RUN, *CONTRASTIVE, *LORA)}
        options |= {"batch_size": 4, "learning_rate": 1e-2, "max_steps": 20}
        options |= {"max_length": length} if length else {}
        options |= {f"{role}_prompt": text for role, text in prompts.items()}
        out = Path(tempfile.mkdtemp(prefix="run-", dir=self.home)) / "out"
        plan = TrainPlan(
            kind="bi-encoder", objective="contrastive", tuning="lora", side="both",
            backend="fake", device="cpu", base=base, data_fingerprint="d" * 64,
            rows_fingerprint=rows.fingerprint, options=options | {"seed": seed}, out=out,
        )  # fmt: skip
        result = self.registry.call(
            "fake", "ragd_tune_train", plan=plan, rows=rows, emit=lambda event: None
        )
        planned: Any = SimpleNamespace(
            plan=replace(plan, side=side), rows=rows, kind=SimpleNamespace(serves="embedder"),
            data=SimpleNamespace(source=Path("data"), fingerprint="d" * 64),
        )  # fmt: skip
        shop = Workshop(registry=self.registry, store=store)
        made = commit(shop, planned, result, name=name)
        store.record(made.id, "proof", {"passed": True})
        return store.get(name)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """Return an empty home, in which processes find the fake backend, too."""
    home = tmp_path / "home"
    (home / ".ragd").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.delenv("RAGD_TUNE_HOME", raising=False)
    monkeypatch.setenv("RAGD_TUNE_DISABLE", "cpu,mlx,unsloth")
    advertise(tmp_path, monkeypatch.setenv, monkeypatch.syspath_prepend)
    return Workbench(home=home, base=make_base(tmp_path / "base"), registry=registry())


@pytest.fixture
def host_index(tmp_path: Path) -> HostIndex:
    return HostIndex(tmp_path / "ragd" / "chroma")


@pytest.fixture
def shop(bench: Any) -> Workshop:
    """Return a home in which ragd has indexed two documents by the base."""
    base = bench.embedder()
    texts = [f"part {number} of a harbour at night" for number in range(5)]
    for name in ("one", "two"):
        bench.index.add(name, texts, lambda some: base.embed_documents(some).tolist())
    (bench.home / ".ragd" / "config.yaml").write_text(
        f"# my ragd\nembedding:\n  model: {bench.base}   # the base\n  dimension: 16\n"
        f"storage:\n  data_dir: {bench.home / '.ragd'}\nmine: [1,  2]\n",
        encoding="utf-8",
    )
    return Workshop(registry=bench.registry, store=bench.store)


@pytest.fixture
def config(bench: Any) -> Path:
    path: Path = bench.home / ".ragd" / "config.yaml"
    return path
