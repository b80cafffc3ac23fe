"""The real all-MiniLM-L6-v2 by the cpu backend: what is loaded is what was trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune.models import remember, resolve
from ragd_tune.registry import Registry, discover
from ragd_tune.serve import load_base
from ragd_tune.serve.load import load
from ragd_tune.store import Store

pytestmark = pytest.mark.slow

MINILM = "all-MiniLM-L6-v2"
TEXTS = ["How do I read a file line by line?", "a harbour at night", "", "Überprüfung 🔎"]


@pytest.fixture
def registry() -> Registry:
    found = discover()
    assert "cpu" in found.backends, [plugin.error for plugin in found.plugins]
    return found


@pytest.fixture
def real(shop: Any, registry: Registry, tmp_path: Path) -> Any:
    store = Store(tmp_path / "real")
    base = resolve(MINILM, offline=True, home=store.root)
    remember(store.root, base)
    return replace(shop, registry=registry, base=base, store=store, backend="cpu")


def test_a_bare_base_through_the_hooks_is_the_librarys_own(
    registry: Registry, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    with load_base(MINILM, home=tmp_path, registry=registry, device="cpu", offline=True) as found:
        assert (found.dimension, found.symmetric) == (384, True)
        vectors = found.embed_documents(TEXTS)
        assert found.embed(TEXTS) == found.embed_queries(TEXTS).tolist()
    path = resolve(MINILM, offline=True, home=tmp_path).path
    own = SentenceTransformer(str(path), device="cpu").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(vectors, own, atol=1e-6)


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_a_trained_adapter_gives_the_vectors_of_its_own_weights(real: Any, tuning: str) -> None:
    from sentence_transformers import SentenceTransformer

    entry = real.train("mine", tuning=tuning, max_steps=3, max_length=32, learning_rate=1e-4)
    with load(
        "mine", home=real.store.root, registry=real.registry, offline=True, slot="embedder"
    ) as found:
        assert found.id == entry.id
        vectors = found.embed_documents(TEXTS)
    path = real.base.path if tuning == "lora" else entry.path
    by_hand = SentenceTransformer(str(path), device="cpu")
    before = SentenceTransformer(str(real.base.path), device="cpu").encode(TEXTS)
    if tuning == "lora":
        by_hand.load_adapter(str(entry.path))
    by_hand.max_seq_length = 32
    expected = by_hand.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert np.abs(vectors - before).max() > 1e-4
