"""What MLX trained, searched with by ragd: its provider loads the adapter on the cpu backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ragd_tune
from ragd_tune.cli import run
from ragd_tune.data import write
from ragd_tune.evaluate.search import top_k
from ragd_tune.ragd.provider import get_embedder
from ragd_tune.registry import discover
from ragd_tune.serve import load_base
from ragd_tune.store import Store
from ragd_tune.testing.samples import translated_data
from ragd_tune.testing.tiny import tiny_encoder

DATA = translated_data(queries=80)
TEXTS = [document.passage for document in DATA.corpus.values()]
QUERIES = [query.text for query in DATA.queries.values()]


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Train the adapter ``mine`` with the command, by MLX, and return the base's folder."""
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Path, "home", staticmethod(lambda: tmp_path))
    write(DATA, tmp_path / "data")
    base = tiny_encoder(tmp_path / "base")
    given = ("--data", str(tmp_path / "data"), "--base", str(base), "--backend", "mlx")
    how = (
        "--max-steps",
        "30",
        "--batch-size",
        "8",
        "--learning-rate",
        "0.01",
        "--no-proof",
        "--mine",
        "no",
    )
    assert run(["train", "bi-encoder", *given, *how, "--name", "mine"]) == 0
    return base


def found(documents: Any, queries: Any) -> list[list[int]]:
    """Return the ten nearest documents of every query, the best first."""
    return [row.tolist() for row in top_k(queries, documents, 10)[1]]


def test_ragds_provider_searches_on_the_cpu_backend_as_mlx_does(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ragd_tune.load("mine", slot="embedder", backend="mlx") as own:
        vectors = own.embed_documents(TEXTS), own.embed_queries(QUERIES)
    with load_base(str(trained), backend="mlx") as bare:
        untuned = found(bare.embed_documents(TEXTS), bare.embed_queries(QUERIES))
    # A registry without MLX, as ragd's own environment has it.
    monkeypatch.setenv("RAGD_TUNE_DISABLE", "mlx")
    config = {
        "embedding": {"model": "custom", "custom_model_path": "mine", "dimension": 32},
        "storage": {"data_dir": str(tmp_path / "ragd"), "chroma_dir": "chroma"},
    }
    host = get_embedder(config, home=Store().root, registry=discover())
    documents = np.array(host.embed(TEXTS), np.float32)
    queries = np.array([host.embed_single(text) for text in QUERIES], np.float32)
    assert host.ids == (Store().get("mine").id,) * 2
    assert np.abs(documents - vectors[0]).max() <= 1e-5
    assert np.abs(queries - vectors[1]).max() <= 1e-5
    assert found(documents, queries) == found(*vectors)
    assert found(documents, queries) != untuned
    provenance = Store().records(Store().get("mine").id, "provenance")[0].payload
    assert provenance["plan"]["backend"] == "mlx"
